#include "drivers/modbus/decode.hpp"

#include <algorithm>
#include <utility>

namespace gatehouse::modbus {
namespace {

// A float whose smallest bit lies below 2^-100 or whose largest lies above 2^100 is no reading of
// any meter, and would leave 127 bits once it is scaled.
constexpr int kExponentMax = 100;

Int128 to_unsigned(const std::vector<std::uint8_t>& bytes) {
    Int128 value = 0;
    for (const std::uint8_t byte : bytes) value = value * 256 + byte;
    return value;
}

FieldValue decode_float(const std::vector<std::uint8_t>& bytes) {
    FieldValue value;
    const bool wide = bytes.size() == 8;
    const int mantissa_bits = wide ? 52 : 23;
    const int exponent_mask = wide ? 0x7FF : 0xFF;
    const int bias = wide ? 1023 : 127;
    auto bits = static_cast<std::uint64_t>(to_unsigned(bytes));
    const bool negative = ((bits >> (wide ? 63U : 31U)) & 1U) != 0;
    const int exponent =
        static_cast<int>(bits >> static_cast<unsigned>(mantissa_bits)) & exponent_mask;
    std::uint64_t mantissa =
        bits & ((std::uint64_t{1} << static_cast<unsigned>(mantissa_bits)) - 1);
    if (exponent == exponent_mask) {
        value.state = FieldState::not_available;
        value.how = mantissa == 0 ? "infinite" : "not a number";
        return value;
    }
    if (exponent != 0) mantissa |= std::uint64_t{1} << static_cast<unsigned>(mantissa_bits);
    if (mantissa == 0) return value;
    int power = (exponent == 0 ? 1 : exponent) - bias - mantissa_bits;
    while ((mantissa & 1U) == 0) {
        mantissa >>= 1U;
        ++power;
    }
    if (power < -kExponentMax || power + mantissa_bits > kExponentMax) {
        value.state = FieldState::implausible;
        value.how = "a float beyond what any meter shows";
        return value;
    }
    Int128 scale = 1;
    for (int i = 0; i < (power < 0 ? -power : power); ++i) scale *= 2;
    const Int128 signed_mantissa = negative ? -Int128{mantissa} : Int128{mantissa};
    if (power >= 0) {
        value.number = Rational{signed_mantissa * scale, 1};
    } else {
        value.number = Rational{signed_mantissa, scale};
    }
    return value;
}

FieldValue decode_bcd(const std::vector<std::uint8_t>& bytes) {
    FieldValue value;
    Int128 number = 0;
    for (const std::uint8_t byte : bytes) {
        const int high = byte >> 4;
        const int low = byte & 0x0F;
        if (high > 9 || low > 9) {
            value.state = FieldState::implausible;
            value.how = "a BCD digit above 9";
            return value;
        }
        number = number * 100 + high * 10 + low;
        value.text.push_back(static_cast<char>('0' + high));
        value.text.push_back(static_cast<char>('0' + low));
    }
    value.number = Rational{number, 1};
    return value;
}

FieldValue decode_text(const std::vector<std::uint8_t>& bytes) {
    FieldValue value;
    for (const std::uint8_t byte : bytes) {
        if (byte == 0) break;
        if (byte < 0x20 || byte > 0x7E) {
            value.state = FieldState::implausible;
            value.how = "a byte that is no printable ASCII";
            value.text.clear();
            return value;
        }
        value.text.push_back(static_cast<char>(byte));
    }
    while (!value.text.empty() && value.text.back() == ' ') value.text.pop_back();
    if (value.text.empty()) value.state = FieldState::not_available;
    return value;
}

// One character in the low byte of each register.
FieldValue decode_chars(const std::vector<std::uint8_t>& bytes) {
    std::vector<std::uint8_t> low;
    for (std::size_t i = 1; i < bytes.size(); i += 2) {
        if (bytes[i - 1] != 0) {
            FieldValue value;
            value.state = FieldState::implausible;
            value.how = "a high byte that is not 0";
            return value;
        }
        low.push_back(bytes[i]);
    }
    return decode_text(low);
}

const char* to_string(Encoding encoding) {
    switch (encoding) {
        case Encoding::unsigned_:
            return "unsigned";
        case Encoding::signed_:
            return "signed";
        case Encoding::float_:
            return "float";
        case Encoding::bcd:
            return "BCD";
        case Encoding::ascii:
        case Encoding::chars:
            return "text";
        case Encoding::bit:
            return "bit";
    }
    return "?";
}

FieldValue decode_bytes(Encoding encoding, const std::vector<std::uint8_t>& bytes) {
    switch (encoding) {
        case Encoding::float_:
            return decode_float(bytes);
        case Encoding::bcd:
            return decode_bcd(bytes);
        case Encoding::ascii:
            return decode_text(bytes);
        case Encoding::chars:
            return decode_chars(bytes);
        case Encoding::unsigned_:
        case Encoding::signed_:
        case Encoding::bit:
            break;
    }
    FieldValue value;
    value.number.numerator = to_unsigned(bytes);
    if (encoding == Encoding::signed_ && !bytes.empty() && bytes.front() >= 0x80) {
        value.number.numerator -= Int128{1} << static_cast<unsigned>(8 * bytes.size());
    }
    return value;
}

}  // namespace

const char* to_string(WordOrder order) {
    switch (order) {
        case WordOrder::abcd:
            return "ABCD";
        case WordOrder::cdab:
            return "CDAB";
        case WordOrder::badc:
            return "BADC";
        case WordOrder::dcba:
            return "DCBA";
    }
    return "?";
}

std::string hex_words(const std::vector<std::uint16_t>& words) {
    constexpr char kDigits[] = "0123456789ABCDEF";
    std::string text;
    for (const std::uint16_t word : words) {
        if (!text.empty()) text.push_back(' ');
        for (int shift = 12; shift >= 0; shift -= 4) text.push_back(kDigits[(word >> shift) & 0xF]);
    }
    return text;
}

std::vector<std::uint8_t> ordered_bytes(const std::vector<std::uint16_t>& words, WordOrder order) {
    const bool low_word_first = order == WordOrder::cdab || order == WordOrder::dcba;
    const bool swap_bytes = order == WordOrder::badc || order == WordOrder::dcba;
    std::vector<std::uint16_t> ordered = words;
    if (low_word_first) std::reverse(ordered.begin(), ordered.end());
    std::vector<std::uint8_t> bytes;
    bytes.reserve(2 * ordered.size());
    for (const std::uint16_t word : ordered) {
        auto high = static_cast<std::uint8_t>(word >> 8U);
        auto low = static_cast<std::uint8_t>(word & 0xFFU);
        if (swap_bytes) std::swap(high, low);
        bytes.push_back(high);
        bytes.push_back(low);
    }
    return bytes;
}

FieldValue decode_field(const Field& field, const std::vector<std::uint16_t>& words) {
    FieldValue value;
    if (std::find(field.not_available.begin(), field.not_available.end(), words) !=
        field.not_available.end()) {
        value.state = FieldState::not_available;
        value.how = "the words that mean no value";
    } else {
        value = decode_bytes(field.encoding, ordered_bytes(words, field.order));
    }
    std::string how = hex_words(words) + " as " + to_string(field.encoding);
    if (words.size() > 1) how += std::string(" ") + to_string(field.order);
    if (value.state != FieldState::ok) {
        how += ": " + (value.how.empty() ? "no value" : value.how);
    } else if (is_text(field.encoding)) {
        how += " = \"" + value.text + "\"";
    } else {
        how += " = " + format_rational(value.number);
    }
    value.how = std::move(how);
    return value;
}

}  // namespace gatehouse::modbus
