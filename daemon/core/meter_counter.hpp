// From a register to the billing total: exact arithmetic of one epoch, rollover, and the most that
// physics lets through in a time. It judges no sample: validation.hpp does. Pure, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "daemon/core/registry.hpp"
#include "daemon/core/sample.hpp"
#include "daemon/core/units.hpp"

namespace gatehouse {

// Where the counting of an epoch started: a total and the figure (register x multiplier) that
// belongs to it. total = base_total + (figure - base_figure), so a store that keeps the total and
// the figure of any one reading can make the base again without losing a thousandth.
struct CounterBase {
    Milli base_total;
    Milli base_figure;
    Rational multiplier{1, 1};
};

// register x multiplier x 1000, rounded half up once from the exact value; nothing where it leaves
// 64 bits (the consequence: the sample is no reading).
[[nodiscard]] std::optional<Milli> figure(const Rational& face, const Rational& multiplier);

// The base at which total equals register x multiplier: an opening register or a first baseline.
[[nodiscard]] std::optional<CounterBase> first_base(const Rational& face,
                                                    const Rational& multiplier);
// Whether a meter can begin to count there: face and total with room for all that it will count.
[[nodiscard]] bool counts_from(const Rational& face, const Rational& multiplier);
// The base of a change of multiplier (same face) or of a replacement (the new meter's opening):
// the total stays, from here on the new face and multiplier count.
[[nodiscard]] std::optional<CounterBase> new_base(Milli total, const Rational& face,
                                                  const Rational& multiplier);
// The total at a face of the same lap.
[[nodiscard]] std::optional<Milli> total_at(const CounterBase& base, const Rational& face);
// The total after the register passed its end once: face + modulus counts; the caller starts a
// new_base with the face afterwards.
[[nodiscard]] std::optional<Milli> total_after_rollover(const CounterBase& base,
                                                        const Rational& face,
                                                        const Rational& modulus);

// True where a register that stood at `last` may have passed its end (C2: last >= 0.95 x modulus).
[[nodiscard]] bool near_end(const Rational& last, const Rational& modulus);

// What a profile without a rating is taken for: generous for a dwelling; a larger meter shows
// itself as quarantined `cap` until rated_amps or rated_flow stands in the registry.
inline constexpr std::int64_t kDefaultAmps = 100;
inline constexpr std::int64_t kDefaultFlowM3PerHour = 10;

// The most that can have passed in that time, after the multiplier: 1.2 x rated x elapsed + one
// step, in 1e-3 rounded up. Saturates at the end of 64 bits; a negative time counts as none.
[[nodiscard]] Milli physical_cap(Service service, const MeterTraits& traits,
                                 const Rational& multiplier, std::int64_t elapsed_ms);

// One unit in the last place of a typed decimal: "120" is 1, "120.50" is 1/100.
[[nodiscard]] std::optional<Rational> unit_in_last_place(std::string_view decimal);
// The tolerance of a comparison with it: that or the register's step, whichever is larger.
[[nodiscard]] std::optional<Rational> typed_tolerance(std::string_view decimal,
                                                      const Rational& step);

}  // namespace gatehouse
