// Units: money, quantity and price as integers whose unit stands in the type, and the exact
// rational that a decoded register is until it is rounded once. No floating point. Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/core/assert.hpp"

namespace gatehouse {

__extension__ using Int128 = __int128;

// A 64-bit integer of one unit. Arithmetic that would overflow is a bug and asserts.
template <class Unit>
struct Amount {
    std::int64_t count = 0;

    friend constexpr auto operator<=>(const Amount&, const Amount&) = default;
    friend constexpr Amount operator+(Amount a, Amount b) {
        std::int64_t sum = 0;
        GH_ASSERT(!__builtin_add_overflow(a.count, b.count, &sum));
        return {sum};
    }
    friend constexpr Amount operator-(Amount a, Amount b) {
        std::int64_t difference = 0;
        GH_ASSERT(!__builtin_sub_overflow(a.count, b.count, &difference));
        return {difference};
    }
    friend constexpr Amount operator-(Amount a) { return Amount{0} - a; }
    constexpr Amount& operator+=(Amount b) { return *this = *this + b; }
    constexpr Amount& operator-=(Amount b) { return *this = *this - b; }
};

using Milli = Amount<struct MilliUnit>;  // 1e-3 kWh or 1e-3 m3
using Fen = Amount<struct FenUnit>;      // 1e-2 of the currency
using Price = Amount<struct PriceUnit>;  // 1e-8 of the currency for one kWh or m3

// An exact fraction; denominator > 0 always.
struct Rational {
    Int128 numerator = 0;
    Int128 denominator = 1;
};

// Parses a plain decimal with at most `places` digits after the point into an integer of
// 10^-places. Accepts an optional leading '-', digits, an optional point with digits. Refuses
// everything else: exponent, blanks, full-width digits, '+', more places, more than 18 digits.
[[nodiscard]] std::optional<std::int64_t> parse_decimal(std::string_view text, int places);

// The inverse: always `places` digits after the point unless `trim`, which drops trailing zeros
// (and the point) but keeps at least `keep` places.
[[nodiscard]] std::string format_decimal(std::int64_t value, int places);
[[nodiscard]] std::string format_decimal_trimmed(std::int64_t value, int places, int keep);

[[nodiscard]] inline std::string format(Fen amount) {
    return format_decimal(amount.count, 2);
}
[[nodiscard]] inline std::string format(Milli quantity) {
    return format_decimal(quantity.count, 3);
}
[[nodiscard]] inline std::string format(Price price) {
    return format_decimal_trimmed(price.count, 8, 2);
}

// A decimal of any number of places up to 18 digits as an exact fraction ("0.01", "120").
[[nodiscard]] std::optional<Rational> parse_rational(std::string_view decimal);

// Multiplies exactly and reduces; nothing where the result leaves 127 bits (the consequence is
// that the sample is no reading).
[[nodiscard]] std::optional<Rational> multiply(const Rational& a, const Rational& b);
[[nodiscard]] std::optional<Rational> add(const Rational& a, const Rational& b);

// value x 10^3, rounded half up (towards +infinity at the half) once; nothing beyond 64 bits.
[[nodiscard]] std::optional<Milli> round_to_milli(const Rational& value);

// Exact comparison that cannot overflow, and the exact difference.
[[nodiscard]] std::strong_ordering compare(const Rational& a, const Rational& b);
[[nodiscard]] std::optional<Rational> subtract(const Rational& a, const Rational& b);

// An exact fraction as text for the store, "12345/1000" reduced, or "120" where it is whole; and
// back, strictly.
[[nodiscard]] std::string format_fraction(const Rational& value);
[[nodiscard]] std::optional<Rational> parse_fraction(std::string_view text);

}  // namespace gatehouse
