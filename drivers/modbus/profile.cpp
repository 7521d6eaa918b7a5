#include "drivers/modbus/profile.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "drivers/modbus/decode.hpp"

namespace gatehouse::modbus {
namespace {

struct MeasurementFact {
    Measurement measurement;
    const char* name;
    const char* unit;
};
constexpr std::array<MeasurementFact, kMeasurements> kFacts{{
    {Measurement::energy_import, "energy_import", "kWh"},
    {Measurement::energy_import_l1, "energy_import_l1", "kWh"},
    {Measurement::energy_import_l2, "energy_import_l2", "kWh"},
    {Measurement::energy_import_l3, "energy_import_l3", "kWh"},
    {Measurement::energy_export, "energy_export", "kWh"},
    {Measurement::energy_total, "energy_total", "kWh"},
    {Measurement::energy_import_t1, "energy_import_t1", "kWh"},
    {Measurement::energy_import_t2, "energy_import_t2", "kWh"},
    {Measurement::energy_import_t3, "energy_import_t3", "kWh"},
    {Measurement::energy_import_t4, "energy_import_t4", "kWh"},
    {Measurement::volume, "volume", "m3"},
    {Measurement::volume_reverse, "volume_reverse", "m3"},
    {Measurement::volume_net, "volume_net", "m3"},
    {Measurement::pulses, "pulses", ""},
    {Measurement::power, "power", "W"},
    {Measurement::power_l1, "power_l1", "W"},
    {Measurement::power_l2, "power_l2", "W"},
    {Measurement::power_l3, "power_l3", "W"},
    {Measurement::flow, "flow", "m3/h"},
    {Measurement::voltage_l1, "voltage_l1", "V"},
    {Measurement::voltage_l2, "voltage_l2", "V"},
    {Measurement::voltage_l3, "voltage_l3", "V"},
    {Measurement::current_l1, "current_l1", "A"},
    {Measurement::current_l2, "current_l2", "A"},
    {Measurement::current_l3, "current_l3", "A"},
    {Measurement::frequency, "frequency", "Hz"},
    {Measurement::power_factor, "power_factor", ""},
    {Measurement::serial, "serial", ""},
    {Measurement::status, "status", ""},
    {Measurement::own_balance, "own_balance", ""},
    {Measurement::own_purchases, "own_purchases", ""},
    {Measurement::battery, "battery", "V"},
    {Measurement::temperature, "temperature", "C"},
    {Measurement::clock, "clock", ""},
}};

RegisterSpan at_channel(const Field& field, int channel) {
    RegisterSpan span = field.span;
    span.first += field.stride * channel;
    return span;
}

struct Read {
    FieldValue value;
    std::vector<std::uint16_t> words;
    bool missing = false;
};

Read read_part(const Part& part, int channel, const RegisterImage& image) {
    Read read;
    const auto words = image.get(at_channel(part.field, channel));
    if (!words) {
        read.missing = true;
        return read;
    }
    read.words = *words;
    read.value = decode_field(part.field, *words);
    return read;
}

std::optional<Rational> power_of_ten(std::int64_t exponent) {
    if (exponent < -18 || exponent > 18) return std::nullopt;
    Int128 power = 1;
    for (std::int64_t i = 0; i < (exponent < 0 ? -exponent : exponent); ++i) power *= 10;
    return exponent < 0 ? Rational{1, power} : Rational{power, 1};
}

// What the factor multiplies with; nothing where its register says what the profile does not know.
std::optional<Rational> factor_of(const Factor& factor, const Rational& number) {
    const auto scaled = multiply(number, factor.part.scale);
    if (!scaled || factor.kind == Factor::Kind::ratio) return scaled;
    if (scaled->numerator % scaled->denominator != 0) return std::nullopt;
    const Int128 whole = scaled->numerator / scaled->denominator;
    if (whole < -1'000'000 || whole > 1'000'000) return std::nullopt;
    const auto index = static_cast<std::int64_t>(whole);
    if (factor.kind == Factor::Kind::exponent) return power_of_ten(index);
    const auto found = factor.table.find(index);
    if (found == factor.table.end()) return std::nullopt;
    return found->second;
}

void fail(Decoded& decoded, PollResult result, const std::string& step) {
    decoded.result = result;
    decoded.number = Rational{};
    decoded.text.clear();
    if (!decoded.steps.empty()) decoded.steps += "; ";
    decoded.steps += step;
}

PollResult result_of(FieldState state) {
    return state == FieldState::not_available ? PollResult::sentinel : PollResult::implausible;
}

void decode_calendar(const ClockLayout& layout, const std::vector<std::uint16_t>& words,
                     Decoded& decoded) {
    const auto clock = decode_clock(layout, words);
    const std::string how = hex_words(words) + (layout.bcd ? " as BCD" : "") + " calendar";
    if (!clock) {
        fail(decoded, PollResult::implausible, how + ": no date of any calendar");
        return;
    }
    decoded.text = to_string(*clock);
    decoded.steps = how + " = " + decoded.text;
}

// The names of the bits that are set, for --raw.
std::string bits_set(const Value& value, const Rational& number) {
    std::string text;
    if (number.denominator != 1 || number.numerator < 0) return text;
    for (const auto& [bit, meaning] : value.bits) {
        if (((number.numerator >> static_cast<unsigned>(bit)) & 1) == 0) continue;
        text += (text.empty() ? "" : ", ") + meaning;
    }
    return text.empty() ? "no bit set" : text;
}

}  // namespace

const char* to_string(Measurement measurement) {
    for (const MeasurementFact& fact : kFacts) {
        if (fact.measurement == measurement) return fact.name;
    }
    return "?";
}

const char* unit_of(Measurement measurement) {
    for (const MeasurementFact& fact : kFacts) {
        if (fact.measurement == measurement) return fact.unit;
    }
    return "";
}

std::optional<Measurement> measurement_from(std::string_view name) {
    for (const MeasurementFact& fact : kFacts) {
        if (name == fact.name) return fact.measurement;
    }
    return std::nullopt;
}

void RegisterImage::set(const RegisterSpan& span, const std::vector<std::uint16_t>& words) {
    // The newest words of an address win, so they stand in front.
    blocks_.insert(blocks_.begin(), Block{span, words});
}

std::optional<std::vector<std::uint16_t>> RegisterImage::get(const RegisterSpan& span) const {
    std::vector<std::uint16_t> words;
    for (int i = 0; i < span.count; ++i) {
        const RegisterSpan one{span.table, span.first + i, 1};
        const auto block = std::find_if(blocks_.begin(), blocks_.end(), [&](const Block& entry) {
            return entry.span.contains(one);
        });
        if (block == blocks_.end()) return std::nullopt;
        const auto offset = static_cast<std::size_t>(one.first - block->span.first);
        if (offset >= block->words.size()) return std::nullopt;
        words.push_back(block->words[offset]);
    }
    return words;
}

const Value* Profile::find(Measurement measurement) const {
    for (const Value& value : values) {
        if (value.measurement == measurement) return &value;
    }
    return nullptr;
}

std::vector<RegisterSpan> Profile::spans(Measurement measurement, int channel) const {
    std::vector<RegisterSpan> spans;
    const Value* value = find(measurement);
    if (value == nullptr) return spans;
    for (const Part& part : value->parts) spans.push_back(at_channel(part.field, channel));
    for (const int index : value->factors) {
        spans.push_back(at_channel(factors[static_cast<std::size_t>(index)].part.field, channel));
    }
    return spans;
}

std::vector<RegisterSpan> Profile::routine_spans(int channel) const {
    std::vector<RegisterSpan> all;
    for (const Measurement measurement :
         {billing, Measurement::power, Measurement::flow, Measurement::own_balance}) {
        const auto some = spans(measurement, channel);
        all.insert(all.end(), some.begin(), some.end());
    }
    if (!prepayment) return all;
    for (const Measurement measurement : {Measurement::own_purchases, Measurement::status}) {
        const auto some = spans(measurement, channel);
        all.insert(all.end(), some.begin(), some.end());
    }
    return all;
}

std::vector<RegisterSpan> Profile::identity_spans(int channel) const {
    return spans(Measurement::serial, channel);
}

std::vector<RegisterSpan> Profile::full_spans(int channel) const {
    std::vector<RegisterSpan> all;
    for (const Value& value : values) {
        const auto some = spans(value.measurement, channel);
        all.insert(all.end(), some.begin(), some.end());
    }
    return all;
}

Decoded Profile::decode(Measurement measurement, int channel, const RegisterImage& image) const {
    Decoded decoded;
    const Value* value = find(measurement);
    if (value == nullptr) {
        fail(decoded, PollResult::not_connected, "the profile does not name it");
        return decoded;
    }
    Rational sum;
    for (const Part& part : value->parts) {
        const Read read = read_part(part, channel, image);
        if (read.missing) {
            fail(decoded, PollResult::not_connected, "not read");
            return decoded;
        }
        decoded.raw.insert(decoded.raw.end(), read.words.begin(), read.words.end());
        if (measurement == Measurement::clock && clock) {
            decode_calendar(*clock, read.words, decoded);
            return decoded;
        }
        if (read.value.state != FieldState::ok) {
            fail(decoded, result_of(read.value.state), read.value.how);
            return decoded;
        }
        if (!decoded.steps.empty()) decoded.steps += "; ";
        decoded.steps += read.value.how;
        if (measurement == Measurement::serial) decoded.text += read.value.text;
        const auto scaled = multiply(read.value.number, part.scale);
        const auto total = scaled ? add(sum, *scaled) : std::nullopt;
        if (!total) {
            fail(decoded, PollResult::implausible, "beyond 127 bits");
            return decoded;
        }
        if (part.scale.numerator != 1 || part.scale.denominator != 1) {
            decoded.steps += " x " + format_rational(part.scale);
        }
        sum = *total;
    }
    for (const int index : value->factors) {
        const Factor& factor = factors[static_cast<std::size_t>(index)];
        const Read read = read_part(factor.part, channel, image);
        if (read.missing) {
            fail(decoded, PollResult::not_connected, factor.name + " was not read");
            return decoded;
        }
        decoded.raw.insert(decoded.raw.end(), read.words.begin(), read.words.end());
        if (read.value.state != FieldState::ok) {
            fail(decoded, result_of(read.value.state), factor.name + ": " + read.value.how);
            return decoded;
        }
        const auto ratio = factor_of(factor, read.value.number);
        const auto product = ratio ? multiply(sum, *ratio) : std::nullopt;
        if (!product || ratio->numerator == 0) {
            fail(decoded, PollResult::implausible,
                 factor.name + " " + read.value.how + ": no factor that the profile knows");
            return decoded;
        }
        decoded.steps +=
            "; " + factor.name + " " + read.value.how + ", x " + format_rational(*ratio);
        sum = *product;
    }
    decoded.number = sum;
    if (!value->bits.empty()) decoded.steps += ": " + bits_set(*value, sum);
    if (measurement == Measurement::serial && decoded.text.empty()) {
        decoded.text = format_rational(sum);
    }
    return decoded;
}

std::optional<Rational> Profile::device_ratio(int channel, const RegisterImage& image) const {
    const Value* value = find(billing);
    if (value == nullptr || value->factors.empty()) return std::nullopt;
    Rational ratio{1, 1};
    for (const int index : value->factors) {
        const Factor& factor = factors[static_cast<std::size_t>(index)];
        const Read read = read_part(factor.part, channel, image);
        if (read.missing || read.value.state != FieldState::ok) return std::nullopt;
        const auto one = factor_of(factor, read.value.number);
        const auto product = one ? multiply(ratio, *one) : std::nullopt;
        if (!product) return std::nullopt;
        ratio = *product;
    }
    return ratio;
}

std::optional<OwnPrepayment> Profile::own_prepayment(int channel,
                                                     const RegisterImage& image) const {
    if (!prepayment) return std::nullopt;
    const Decoded credit = decode(Measurement::own_balance, channel, image);
    const Decoded loaded = decode(Measurement::own_purchases, channel, image);
    const Decoded bits = decode(Measurement::status, channel, image);
    if (credit.result != PollResult::ok && bits.result != PollResult::ok) return std::nullopt;
    OwnPrepayment own;
    if (credit.result == PollResult::ok) own.balance = credit.number;
    if (bits.result == PollResult::ok && bits.number.denominator == 1) {
        const auto word = static_cast<std::uint64_t>(bits.number.numerator);
        own.in_arrears = (word & prepayment->arrears_mask) != 0;
        own.supply_off = (word & prepayment->off_mask) != 0;
    }
    const bool was_loaded = loaded.result == PollResult::ok && loaded.number.numerator != 0;
    // A count of purchases never falls again: it tells only where the credit itself was not read.
    own.live = own.in_arrears || (own.balance ? own.balance->numerator != 0 : was_loaded);
    const std::string unit = prepayment->unit == "currency" ? "" : " " + prepayment->unit;
    own.text = own.live ? "prepays by itself" : "its own prepayment is not in use";
    if (own.balance) own.text += ", credit " + format_rational(*own.balance) + unit;
    if (was_loaded) own.text += ", loaded " + format_rational(loaded.number) + " times";
    if (own.in_arrears) own.text += ", in arrears";
    if (own.supply_off) own.text += ", supply off";
    return own;
}

std::string format_rational(const Rational& value) {
    const bool negative = value.numerator < 0;
    __extension__ using Wide = unsigned __int128;
    Wide numerator = negative ? Wide{0} - static_cast<Wide>(value.numerator)
                              : static_cast<Wide>(value.numerator);
    const auto denominator = static_cast<Wide>(value.denominator);
    const auto digits = [](Wide number) {
        std::string text;
        do {
            text.insert(text.begin(), static_cast<char>('0' + static_cast<int>(number % 10)));
            number /= 10;
        } while (number != 0);
        return text;
    };
    std::string text = digits(numerator / denominator);
    Wide rest = numerator % denominator;
    std::string places;
    // A denominator below 2^123 keeps rest x 10 within 128 bits; more places than that many twos
    // and fives can give mean that the decimal does not end.
    while (rest != 0 && places.size() < 128 && denominator < (Wide{1} << 124U)) {
        rest *= 10;
        places.push_back(static_cast<char>('0' + static_cast<int>(rest / denominator)));
        rest %= denominator;
    }
    if (rest != 0) {
        text = digits(numerator) + "/" + digits(denominator);
    } else if (!places.empty()) {
        text += "." + places;
    }
    return negative ? "-" + text : text;
}

std::vector<VectorMismatch> run_vectors(const Profile& profile) {
    std::vector<VectorMismatch> mismatches;
    for (const TestVector& vector : profile.tests) {
        RegisterImage image;
        for (const auto& [place, word] : vector.words) {
            image.set(RegisterSpan{place.first, place.second, 1}, {word});
        }
        for (const auto& [measurement, expected] : vector.expect) {
            const Decoded decoded = profile.decode(measurement, vector.channel, image);
            std::string got = decoded.text.empty() ? format_rational(decoded.number) : decoded.text;
            if (decoded.result == PollResult::sentinel) got = "none";
            if (decoded.result == PollResult::implausible) got = "implausible";
            if (decoded.result == PollResult::not_connected) got = "not read";
            if (got == expected) continue;
            mismatches.push_back({vector.line, "test \"" + vector.name +
                                                   "\": " + to_string(measurement) +
                                                   " is expected to be " + expected + " but is " +
                                                   got + " (" + decoded.steps + ")"});
        }
    }
    return mismatches;
}

}  // namespace gatehouse::modbus
