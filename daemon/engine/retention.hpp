// Retention: drops what is older than DESIGN.md 9 keeps, once a local day, in slices that each take
// a few milliseconds. Interval readings go by seq, hours and days by their own time; freezes,
// lines, entries and events stay. Beside it the seals of ended days. Engine thread only.
#pragma once

#include <optional>

#include "daemon/engine/world.hpp"

namespace gatehouse {

inline constexpr std::int64_t kIntervalsKeptDays = 100;
inline constexpr int kHoursKeptMonths = 13, kDaysKeptYears = 10, kViewsKeptYears = 3;
inline constexpr std::int64_t kKeysKeptDays = 730, kDeniedKeptDays = 180;

class Retention {
  public:
    // One slice, where the clock is trusted, the store can be written and something is due.
    void slice(Context& context);

  private:
    void plan(Context& context, LocalDate today);
    [[nodiscard]] std::size_t drop_views(Context& context) const;
    [[nodiscard]] std::size_t drop_keys(Context& context) const;

    std::optional<LocalDate> planned_;  // for this day
    bool left_ = false;
    std::uint64_t readings_up_to_ = 0;
    std::int64_t hours_before_ = 0, days_before_ = 0;
    UtcMs views_before_ = 0;
};

// Seals each day that has ended: the head of the log before the first row of the new day. What no
// clock vouched for belongs to the day in which one did.
class DaySeals {
  public:
    void look(Context& context);

  private:
    std::optional<LocalDate> sealed_before_;
};

}  // namespace gatehouse
