// The working calendar of the site: what kind of day a date is, and whether it still reaches far
// enough. The office edits it as calendar.csv; nothing here knows a holiday by itself. Pure, any
// thread.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "daemon/core/registry.hpp"
#include "daemon/core/time.hpp"

namespace gatehouse {

class Calendar {
  public:
    Calendar() = default;
    // Not explicit: it is the registry's rows in order of date.
    Calendar(const std::vector<CalendarDay>& days);

    // The calendar's own word first (a workday overrides a weekend, a holiday everything), then
    // Saturday and Sunday, else a workday. Never BandDays::all.
    [[nodiscard]] BandDays kind(LocalDate date) const;
    [[nodiscard]] bool has_year(int year) const;
    [[nodiscard]] bool empty() const { return days_.empty(); }

  private:
    std::vector<std::pair<LocalDate, DayKind>> days_;  // ascending
};

// What people are told of calendar.csv while the calendar holds no day of the year that is needed:
// from 1 December on the next one, and after that the current one where it holds other years.
// Empty: nothing is missing. Until it is mended every holiday there counts as what its weekday is.
[[nodiscard]] std::string calendar_warning(const Calendar& calendar, LocalDate today);

}  // namespace gatehouse
