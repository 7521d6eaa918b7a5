// Water that never stands still, and use where nobody lives: what a meter's hours and days say of
// it (C7, and C5 turned round). It flags, and holds and charges nothing. Pure, any thread.
#pragma once

#include <cstdint>
#include <optional>

#include "daemon/core/registry.hpp"
#include "daemon/core/units.hpp"

namespace gatehouse {

// Nobody lives there: what is used is used by nobody, and nobody is called about money.
[[nodiscard]] bool is_vacant(UnitStatus status);

// A dripping tap is no leak: this much in an hour, and what exceeds it is flow that somebody pays
// for. Two litres, since some meters count single ones.
inline constexpr Milli kDripAnHour{2};
// So many hours in a row: every home sleeps within a day.
inline constexpr int kNeverStillHours = 24;

// What the totals at the ends of a meter's hours say, without keeping them: how many hours in a row
// up to the newest one had flow, had none, or had more than a drip.
class HourFlow {
  public:
    // Hours since 1970, ascending; one not later than the newest is left out. An hour that is
    // missing has unknown flow, unless the total after it is the total before it.
    void see(std::int64_t hour, Milli total);

    [[nodiscard]] std::int64_t newest() const { return newest_; }  // 0: none yet
    [[nodiscard]] int moving() const { return moving_; }
    [[nodiscard]] int still() const { return still_; }
    [[nodiscard]] int leaking() const { return leaking_; }
    [[nodiscard]] Milli least() const { return Milli{least_}; }  // of the leaking ones

  private:
    // Small, since thousands of meters have one.
    Milli total_;
    std::int32_t newest_ = 0, least_ = 0;
    std::int16_t moving_ = 0, still_ = 0, leaking_ = 0;
};

// Whether it holds; nothing: it cannot be said, and what is told stays told.
using Finding = std::optional<bool>;

// Every hour of the last day more than a drip. It is over with the first hour without any flow.
[[nodiscard]] Finding is_leak(const HourFlow& flow);
// Of a unit vacant since that hour: flow in every hour of the last day. Over after a day without.
[[nodiscard]] Finding is_vacant_flow(const HourFlow& flow, std::int64_t vacant_since_hour);

// A fridge that was left on is no use: more than this on one day is.
inline constexpr Milli kVacantADay{1'000};
// What a vacant unit's electricity meter counted on the whole day before and on this one so far;
// absent where it is not known, or where somebody still lived there when that day began.
struct VacantDays {
    std::optional<Milli> yesterday, today;
    // The larger of those that are too much.
    [[nodiscard]] std::optional<Milli> used() const;
};
// More than that on either day. Over after a whole day without, and nothing much since.
[[nodiscard]] Finding is_vacant_use(const VacantDays& days);

}  // namespace gatehouse
