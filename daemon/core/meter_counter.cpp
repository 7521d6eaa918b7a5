#include "daemon/core/meter_counter.hpp"

#include <limits>

namespace gatehouse {
namespace {

constexpr Milli kNoLimit{std::numeric_limits<std::int64_t>::max()};

std::optional<Milli> checked_add(Milli a, Milli b) {
    Milli sum;
    if (__builtin_add_overflow(a.count, b.count, &sum.count)) return std::nullopt;
    return sum;
}

std::optional<Milli> checked_subtract(Milli a, Milli b) {
    Milli difference;
    if (__builtin_sub_overflow(a.count, b.count, &difference.count)) return std::nullopt;
    return difference;
}

// What a rated meter lets through in an hour at 1.0 x rated, kWh or m3, on the meter's side.
std::optional<Rational> rated_per_hour(Service service, const MeterTraits& traits) {
    if (service == Service::water) {
        return traits.rated_flow.value_or(Rational{kDefaultFlowM3PerHour, 1});
    }
    const Rational volts_and_phases{Int128{traits.phases} * traits.nominal_voltage_v, 1000};
    return multiply(traits.rated_amps.value_or(Rational{kDefaultAmps, 1}), volts_and_phases);
}

}  // namespace

std::optional<Milli> figure(const Rational& face, const Rational& multiplier) {
    const auto exact = multiply(face, multiplier);
    if (!exact) return std::nullopt;
    return round_to_milli(*exact);
}

std::optional<CounterBase> first_base(const Rational& face, const Rational& multiplier) {
    const auto start = figure(face, multiplier);
    if (!start) return std::nullopt;
    return CounterBase{*start, *start, multiplier};
}

bool counts_from(const Rational& face, const Rational& multiplier) {
    constexpr Milli kMost{100'000'000'000'000'000};
    const auto shown = round_to_milli(face);
    const auto counted = figure(face, multiplier);
    return shown && counted && *shown <= kMost && *counted <= kMost;
}

std::optional<CounterBase> new_base(Milli total, const Rational& face, const Rational& multiplier) {
    const auto start = figure(face, multiplier);
    if (!start) return std::nullopt;
    return CounterBase{total, *start, multiplier};
}

std::optional<Milli> total_at(const CounterBase& base, const Rational& face) {
    const auto now = figure(face, base.multiplier);
    if (!now) return std::nullopt;
    const auto growth = checked_subtract(*now, base.base_figure);
    if (!growth) return std::nullopt;
    return checked_add(base.base_total, *growth);
}

std::optional<Milli> total_after_rollover(const CounterBase& base, const Rational& face,
                                          const Rational& modulus) {
    const auto unrolled = add(face, modulus);
    if (!unrolled) return std::nullopt;
    return total_at(base, *unrolled);
}

bool near_end(const Rational& last, const Rational& modulus) {
    const auto edge = multiply(modulus, Rational{95, 100});
    return edge && compare(last, *edge) >= 0;
}

Milli physical_cap(Service service, const MeterTraits& traits, const Rational& multiplier,
                   std::int64_t elapsed_ms) {
    // 6/5 is 1.2; 3,600,000 ms make an hour.
    const Rational hours{Int128{elapsed_ms > 0 ? elapsed_ms : 0} * 6, Int128{5} * 3'600'000};
    const auto rated = rated_per_hour(service, traits);
    const auto passed = rated ? multiply(*rated, hours) : std::nullopt;
    const auto with_step = passed ? add(*passed, traits.step) : std::nullopt;
    const auto after = with_step ? multiply(*with_step, multiplier) : std::nullopt;
    const auto milli = after ? multiply(*after, Rational{1000, 1}) : std::nullopt;
    if (!milli) return kNoLimit;
    Int128 whole = milli->numerator / milli->denominator;
    if (milli->numerator > 0 && milli->numerator % milli->denominator != 0) ++whole;
    if (whole > kNoLimit.count) return kNoLimit;
    return Milli{static_cast<std::int64_t>(whole)};
}

std::optional<Rational> unit_in_last_place(std::string_view decimal) {
    if (!parse_rational(decimal)) return std::nullopt;
    Rational unit{1, 1};
    const std::size_t point = decimal.find('.');
    if (point == std::string_view::npos) return unit;
    for (std::size_t i = point + 1; i < decimal.size(); ++i) unit.denominator *= 10;
    return unit;
}

std::optional<Rational> typed_tolerance(std::string_view decimal, const Rational& step) {
    const auto unit = unit_in_last_place(decimal);
    if (!unit) return std::nullopt;
    return compare(*unit, step) > 0 ? *unit : step;
}

}  // namespace gatehouse
