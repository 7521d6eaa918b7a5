#include "drivers/simulator/encode.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <numeric>

namespace gatehouse::simulator {
namespace {

using modbus::Encoding;
using modbus::Factor;
using modbus::Field;
using modbus::IdentityRule;
using modbus::Part;
using modbus::WordOrder;

Rational divide(const Rational& a, const Rational& b) {
    const Rational inverse = b.numerator < 0 ? Rational{-b.denominator, -b.numerator}
                                             : Rational{b.denominator, b.numerator};
    return multiply(a, inverse).value_or(Rational{});
}

Int128 floor_of(const Rational& value) {
    Int128 whole = value.numerator / value.denominator;
    if (value.numerator < 0 && whole * value.denominator != value.numerator) {
        --whole;
    }
    return whole;
}

// Big-endian words into the order in which the meter puts them.
std::vector<std::uint16_t> arrange(std::vector<std::uint16_t> words, WordOrder order) {
    if (order == WordOrder::cdab || order == WordOrder::dcba) {
        std::reverse(words.begin(), words.end());
    }
    if (order == WordOrder::badc || order == WordOrder::dcba) {
        for (std::uint16_t& word : words) {
            word = static_cast<std::uint16_t>((word << 8U) | (word >> 8U));
        }
    }
    return words;
}

void store(const Field& field, int channel, const std::vector<std::uint16_t>& big_endian,
           Words& words) {
    const std::vector<std::uint16_t> wire = arrange(big_endian, field.order);
    const int first = field.span.first + field.stride * channel;
    for (std::size_t i = 0; i < wire.size(); ++i) {
        words[{field.span.table, first + static_cast<int>(i)}] = wire[i];
    }
}

std::vector<std::uint16_t> split(std::uint64_t bits, int count) {
    std::vector<std::uint16_t> words(static_cast<std::size_t>(count), 0);
    for (std::size_t i = words.size(); i-- > 0;) {
        words[i] = static_cast<std::uint16_t>(bits & 0xFFFFU);
        bits >>= 16U;
    }
    return words;
}

// How many different values the registers hold from 0 on.
Int128 capacity(const Field& field) {
    const int count = std::min(field.span.count, 4);
    switch (field.encoding) {
        case Encoding::bcd: {
            Int128 limit = 1;
            for (int digit = 0; digit < 4 * count; ++digit) {
                limit *= 10;
            }
            return limit;
        }
        case Encoding::signed_:
            return Int128{1} << (16 * count - 1);
        case Encoding::bit:
            return 2;
        default:
            return Int128{1} << (16 * count);
    }
}

std::uint64_t to_bcd(std::uint64_t value) {
    std::uint64_t bits = 0;
    for (unsigned shift = 0; shift < 64 && value > 0; shift += 4) {
        bits |= (value % 10) << shift;
        value /= 10;
    }
    return bits;
}

// The exact value of a floating-point number, as a fraction of a power of two.
Rational exact(double value) {
    int exponent = 0;
    const double mantissa = std::frexp(value, &exponent);
    auto whole = static_cast<std::int64_t>(std::ldexp(mantissa, 53));
    exponent -= 53;
    while (whole != 0 && whole % 2 == 0) {
        whole /= 2;
        ++exponent;
    }
    if (whole == 0 || exponent < -100) {
        return {};
    }
    if (exponent >= 0) {
        return {Int128{whole} << std::min(exponent, 60), 1};
    }
    return {whole, Int128{1} << -exponent};
}

Rational store_float(const Field& field, int channel, const Rational& raw, Words& words) {
    const auto wide = static_cast<double>(static_cast<long double>(raw.numerator) /
                                          static_cast<long double>(raw.denominator));
    if (field.span.count >= 4) {
        store(field, channel, split(std::bit_cast<std::uint64_t>(wide), 4), words);
        return exact(wide);
    }
    const auto narrow = static_cast<float>(wide);
    store(field, channel, split(std::bit_cast<std::uint32_t>(narrow), 2), words);
    return exact(static_cast<double>(narrow));
}

// A counter goes on at zero where its registers end; what is measured stays at their end.
enum class AtEnd { wrap, stay };

// Writes one field and returns what its raw value is now.
Rational store_raw(const Field& field, int channel, const Rational& raw, AtEnd at_end,
                   Words& words) {
    if (field.encoding == Encoding::float_) {
        return store_float(field, channel, raw, words);
    }
    const Int128 limit = capacity(field);
    Int128 whole = floor_of(raw);
    if (whole >= 0) {
        whole = at_end == AtEnd::wrap ? whole % limit : std::min(whole, limit - 1);
    }
    const auto bits = static_cast<std::uint64_t>(whole);
    store(
        field, channel,
        split(field.encoding == Encoding::bcd ? to_bcd(bits) : bits, std::min(field.span.count, 4)),
        words);
    return {whole, 1};
}

bool counts(modbus::Measurement measurement) {
    using modbus::Measurement;
    return measurement <= Measurement::energy_import_t4 || measurement == Measurement::volume ||
           measurement == Measurement::volume_reverse || measurement == Measurement::pulses;
}

// The raw number that a factor's register holds here, and the factor that it makes.
std::pair<Rational, Rational> factor_setting(const Factor& factor) {
    switch (factor.kind) {
        case Factor::Kind::ratio:
            return {divide(Rational{1, 1}, factor.part.scale), Rational{1, 1}};
        case Factor::Kind::exponent:
            return {Rational{0, 1}, Rational{1, 1}};
        case Factor::Kind::table:
            break;
    }
    std::pair<Rational, Rational> finest{Rational{0, 1}, Rational{0, 1}};
    for (const auto& [raw, ratio] : factor.table) {
        const bool first = finest.second.numerator == 0;
        if (first || ratio.numerator * finest.second.denominator <
                         finest.second.numerator * ratio.denominator) {
            finest = {Rational{raw, 1}, ratio};
        }
    }
    return finest;
}

// Two characters to a register, or one.
std::vector<std::uint16_t> pack_text(const Field& field, const std::string& text) {
    const bool single = field.encoding == Encoding::chars;
    std::vector<std::uint16_t> packed(static_cast<std::size_t>(field.span.count), 0);
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        std::uint16_t& word = packed[single ? i : i / 2];
        word = static_cast<std::uint16_t>(word | (!single && i % 2 == 0 ? byte << 8U : byte));
    }
    return packed;
}

std::size_t text_limit(const Field& field) {
    const auto count = static_cast<std::size_t>(field.span.count);
    return field.encoding == Encoding::chars ? count : 2 * count;
}

// A number that the rule accepts.
Rational accepted(const IdentityRule& rule, int address) {
    if (rule.own_address) {
        return {address, 1};
    }
    if (!rule.one_of.empty()) {
        return rule.one_of.front();
    }
    return rule.at_least ? *rule.at_least : rule.at_most.value_or(Rational{});
}

}  // namespace

void encode_factors(const modbus::Profile& profile, int channel, Words& words) {
    for (const Factor& factor : profile.factors) {
        const Field& field = factor.part.field;
        const int first = field.span.first + field.stride * channel;
        if (!words.contains({field.span.table, first})) {
            store_raw(field, channel, factor_setting(factor).first, AtEnd::stay, words);
        }
    }
}

std::optional<Rational> encode_number(const modbus::Profile& profile, const modbus::Value& value,
                                      int channel, const Rational& target, Words& words) {
    Rational factor{1, 1};
    for (const int index : value.factors) {
        const Factor& one = profile.factors[static_cast<std::size_t>(index)];
        const std::optional<Rational> product = multiply(factor, factor_setting(one).second);
        if (!product || product->numerator == 0) {
            return std::nullopt;
        }
        factor = *product;
    }
    std::vector<const Part*> parts;
    for (const Part& part : value.parts) {
        if (modbus::is_text(part.field.encoding) || part.scale.numerator == 0) {
            return std::nullopt;
        }
        parts.push_back(&part);
    }
    std::sort(parts.begin(), parts.end(), [](const Part* a, const Part* b) {
        return a->scale.numerator * b->scale.denominator >
               b->scale.numerator * a->scale.denominator;
    });
    const AtEnd at_end = counts(value.measurement) ? AtEnd::wrap : AtEnd::stay;
    Rational rest = divide(target, factor);
    Rational written{0, 1};
    for (const Part* part : parts) {
        const Rational raw =
            store_raw(part->field, channel, divide(rest, part->scale), at_end, words);
        const Rational share = multiply(raw, part->scale).value_or(Rational{});
        rest = add(rest, Rational{-share.numerator, share.denominator}).value_or(Rational{});
        written = add(written, share).value_or(Rational{});
    }
    return multiply(written, factor);
}

bool encode_text(const modbus::Value& value, int channel, const std::string& text, Words& words) {
    const Field& field = value.parts.front().field;
    if (!modbus::is_text(field.encoding)) {
        const std::optional<Rational> number = parse_rational(text);
        if (!number || number->denominator != 1 || number->numerator < 0 ||
            field.encoding == Encoding::float_ || number->numerator >= capacity(field)) {
            return false;
        }
        store_raw(field, channel, *number, AtEnd::stay, words);
        return true;
    }
    if (text.size() > text_limit(field)) {
        return false;
    }
    store(field, channel, pack_text(field, text), words);
    return true;
}

void encode_identity(const modbus::Profile& profile, int address, Words& words) {
    for (const IdentityRule& rule : profile.identify) {
        const Field& field = rule.part.field;
        Words fresh;
        if (modbus::is_text(field.encoding)) {
            const std::string& text =
                rule.equals.empty() ? rule.begins_with.front() : rule.equals.front();
            store(field, 0, pack_text(field, text.substr(0, text_limit(field))), fresh);
        } else {
            Rational number = divide(accepted(rule, address), rule.part.scale);
            if (rule.mask != 0) {
                number.numerator <<= std::countr_zero(rule.mask);
            }
            store_raw(field, 0, number, AtEnd::stay, fresh);
        }
        words.insert(fresh.begin(), fresh.end());
    }
}

void encode_calendar(const modbus::Profile& profile, const modbus::MeterClock& clock,
                     Words& words) {
    if (!profile.clock) {
        return;
    }
    const auto registers = modbus::encode_clock(*profile.clock, clock);
    for (std::size_t i = 0; i < registers.size(); ++i) {
        const RegisterSpan& span = profile.clock->span;
        words[{span.table, span.first + static_cast<int>(i)}] = registers[i];
    }
}

}  // namespace gatehouse::simulator
