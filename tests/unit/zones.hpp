// A zone for core's tests, which may use no library for it.
#pragma once

#include "daemon/core/time.hpp"

namespace gatehouse::test {

// Eight hours east, no summer time.
class EastEight final : public Zone {
  public:
    [[nodiscard]] LocalTime local(UtcMs at) const override {
        const UtcMs shifted = at + kShiftMs;
        const std::int64_t days = (shifted - (shifted < 0 ? kDayMs - 1 : 0)) / kDayMs;
        return {date_from_days(days), static_cast<int>(shifted - days * kDayMs), 480};
    }
    [[nodiscard]] UtcMs midnight(LocalDate date) const override {
        return days_since_epoch(date) * kDayMs - kShiftMs;
    }
    static constexpr UtcMs kDayMs = 86'400'000, kShiftMs = 8 * 3'600'000;
};
inline const EastEight kZone;

[[nodiscard]] inline UtcMs at(LocalDate date, int hour, int minute) {
    return kZone.midnight(date) + (hour * 60 + minute) * 60'000;
}

}  // namespace gatehouse::test
