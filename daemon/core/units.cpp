#include "daemon/core/units.hpp"

#include <limits>
#include <numeric>

namespace gatehouse {
namespace {

__extension__ using UInt128 = unsigned __int128;

constexpr int kMaxDigits = 18;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

UInt128 magnitude(Int128 value) {
    return value < 0 ? UInt128{0} - static_cast<UInt128>(value) : static_cast<UInt128>(value);
}

UInt128 gcd(UInt128 a, UInt128 b) {
    constexpr UInt128 kWord = std::numeric_limits<std::uint64_t>::max();
    while (b > kWord || (a > kWord && b != 0)) {
        const UInt128 rest = a % b;
        a = b;
        b = rest;
    }
    if (b == 0) return a;
    return std::gcd(static_cast<std::uint64_t>(a), static_cast<std::uint64_t>(b));
}

// gcd(a, b) for b > 0 divides both, so that the quotients below are exact; at least 1.
Int128 common(Int128 a, Int128 b) {
    return static_cast<Int128>(gcd(magnitude(a), magnitude(b)));
}

std::int64_t power_of_ten(int exponent) {
    std::int64_t power = 1;
    for (int i = 0; i < exponent; ++i) power *= 10;
    return power;
}

struct Decimal {
    std::int64_t digits = 0;  // signed, without the point
    int places = 0;
};

std::optional<Decimal> parse_digits(std::string_view text) {
    const bool negative = !text.empty() && text.front() == '-';
    if (negative) text.remove_prefix(1);
    Decimal result;
    int count = 0;
    bool point = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '.' && !point && i > 0 && i + 1 < text.size()) {
            point = true;
            continue;
        }
        if (!is_digit(text[i]) || ++count > kMaxDigits) return std::nullopt;
        result.digits = result.digits * 10 + (text[i] - '0');
        if (point) ++result.places;
    }
    if (count == 0) return std::nullopt;
    if (negative) result.digits = -result.digits;
    return result;
}

// Quotient and rest of a division that rounds towards minus infinity.
struct Division {
    Int128 quotient, rest;
};
Division divide_floor(const Rational& value) {
    Division d{value.numerator / value.denominator, value.numerator % value.denominator};
    if (d.rest < 0) {
        d.rest += value.denominator;
        --d.quotient;
    }
    return d;
}

// floor(rest x factor / denominator) for 0 <= rest < denominator, bit by bit, so that no
// intermediate leaves 128 bits.
std::int64_t scale_rest(Int128 rest, Int128 denominator, unsigned factor) {
    const auto d = static_cast<UInt128>(denominator);
    const auto r = static_cast<UInt128>(rest);
    UInt128 left = 0;
    std::int64_t quotient = 0;
    for (unsigned bit = 1U << 15; bit != 0; bit >>= 1) {
        quotient *= 2;
        left *= 2;
        if (left >= d) {
            left -= d;
            ++quotient;
        }
        if ((factor & bit) == 0) continue;
        left += r;
        if (left >= d) {
            left -= d;
            ++quotient;
        }
    }
    return quotient;
}

std::string format_int128(Int128 value) {
    UInt128 rest = magnitude(value);
    std::string digits;
    do {
        digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(rest % 10)));
        rest /= 10;
    } while (rest != 0);
    return value < 0 ? "-" + digits : digits;
}

std::optional<Int128> parse_int128(std::string_view text) {
    const bool negative = !text.empty() && text.front() == '-';
    if (negative) text.remove_prefix(1);
    if (text.empty()) return std::nullopt;
    Int128 value = 0;
    for (const char c : text) {
        if (!is_digit(c)) return std::nullopt;
        if (__builtin_mul_overflow(value, Int128{10}, &value)) return std::nullopt;
        if (__builtin_add_overflow(value, Int128{c - '0'}, &value)) return std::nullopt;
    }
    return negative ? -value : value;
}

}  // namespace

std::optional<std::int64_t> parse_decimal(std::string_view text, int places) {
    GH_ASSERT(places >= 0 && places <= kMaxDigits);
    const auto decimal = parse_digits(text);
    if (!decimal || decimal->places > places) return std::nullopt;
    std::int64_t value = 0;
    if (__builtin_mul_overflow(decimal->digits, power_of_ten(places - decimal->places), &value)) {
        return std::nullopt;
    }
    return value;
}

std::string format_decimal(std::int64_t value, int places) {
    GH_ASSERT(places >= 0 && places <= kMaxDigits);
    const std::uint64_t size = value < 0 ? std::uint64_t{0} - static_cast<std::uint64_t>(value)
                                         : static_cast<std::uint64_t>(value);
    std::string text = std::to_string(size);
    const auto fraction = static_cast<std::size_t>(places);
    if (text.size() <= fraction) text.insert(0, fraction + 1 - text.size(), '0');
    if (fraction > 0) text.insert(text.size() - fraction, 1, '.');
    if (value < 0) text.insert(0, 1, '-');
    return text;
}

std::string format_decimal_trimmed(std::int64_t value, int places, int keep) {
    GH_ASSERT(keep >= 0 && keep <= places);
    std::string text = format_decimal(value, places);
    for (int left = places; left > keep && text.back() == '0'; --left) text.pop_back();
    if (text.back() == '.') text.pop_back();
    return text;
}

std::optional<Rational> parse_rational(std::string_view decimal) {
    const auto parsed = parse_digits(decimal);
    if (!parsed) return std::nullopt;
    const Int128 denominator = power_of_ten(parsed->places);
    const Int128 divisor = common(parsed->digits, denominator);
    return Rational{parsed->digits / divisor, denominator / divisor};
}

std::optional<Rational> multiply(const Rational& a, const Rational& b) {
    const Int128 left = common(a.numerator, b.denominator);
    const Int128 right = common(b.numerator, a.denominator);
    Rational product;
    if (__builtin_mul_overflow(a.numerator / left, b.numerator / right, &product.numerator) ||
        __builtin_mul_overflow(a.denominator / right, b.denominator / left, &product.denominator)) {
        return std::nullopt;
    }
    return product;
}

std::optional<Rational> add(const Rational& a, const Rational& b) {
    const Int128 shared = common(a.denominator, b.denominator);
    Int128 left = 0;
    Int128 right = 0;
    Rational sum;
    if (__builtin_mul_overflow(a.numerator, b.denominator / shared, &left) ||
        __builtin_mul_overflow(b.numerator, a.denominator / shared, &right) ||
        __builtin_add_overflow(left, right, &sum.numerator) ||
        __builtin_mul_overflow(a.denominator, b.denominator / shared, &sum.denominator)) {
        return std::nullopt;
    }
    const Int128 divisor = common(sum.numerator, sum.denominator);
    return Rational{sum.numerator / divisor, sum.denominator / divisor};
}

std::optional<Rational> subtract(const Rational& a, const Rational& b) {
    Rational negative{0, b.denominator};
    if (__builtin_sub_overflow(Int128{0}, b.numerator, &negative.numerator)) return std::nullopt;
    return add(a, negative);
}

std::strong_ordering compare(const Rational& a, const Rational& b) {
    if (a.denominator == b.denominator) return a.numerator <=> b.numerator;
    Rational x = a;
    Rational y = b;
    // As continued fractions: whole parts decide, else the rests upside down, which turns the
    // order round. Numbers only get smaller, so nothing overflows and it ends.
    for (bool turned = false;; turned = !turned) {
        const Division p = divide_floor(x);
        const Division q = divide_floor(y);
        auto order = p.quotient <=> q.quotient;
        if (order == 0 && (p.rest == 0 || q.rest == 0)) {
            order = (p.rest == 0 ? 0 : 1) <=> (q.rest == 0 ? 0 : 1);
            if (order == 0) return order;
        }
        if (order != 0) return turned ? 0 <=> order : order;
        x = Rational{x.denominator, p.rest};
        y = Rational{y.denominator, q.rest};
    }
}

std::optional<Milli> round_to_milli(const Rational& value) {
    const Division whole = divide_floor(value);
    // floor(x + 1/2) = floor((floor(2x) + 1) / 2): the half is decided on an exact integer.
    const std::int64_t doubled = scale_rest(whole.rest, value.denominator, 2000);
    Int128 milli = 0;
    if (__builtin_mul_overflow(whole.quotient, Int128{1000}, &milli) ||
        __builtin_add_overflow(milli, Int128{(doubled + 1) / 2}, &milli)) {
        return std::nullopt;
    }
    if (milli > std::numeric_limits<std::int64_t>::max() ||
        milli < std::numeric_limits<std::int64_t>::min()) {
        return std::nullopt;
    }
    return Milli{static_cast<std::int64_t>(milli)};
}

std::string format_fraction(const Rational& value) {
    const Int128 divisor = common(value.numerator, value.denominator);
    const std::string numerator = format_int128(value.numerator / divisor);
    if (value.denominator == divisor) return numerator;
    return numerator + "/" + format_int128(value.denominator / divisor);
}

std::optional<Rational> parse_fraction(std::string_view text) {
    const std::size_t slash = text.find('/');
    const auto numerator = parse_int128(text.substr(0, slash));
    if (!numerator) return std::nullopt;
    Rational value{*numerator, 1};
    if (slash != std::string_view::npos) {
        const auto denominator = parse_int128(text.substr(slash + 1));
        if (!denominator || *denominator <= 0) return std::nullopt;
        value.denominator = *denominator;
    }
    // One spelling only, so that what was stored compares as text too.
    if (format_fraction(value) != text) return std::nullopt;
    return value;
}

}  // namespace gatehouse
