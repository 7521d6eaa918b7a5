// The working calendar of the site: what kind of day a date is, and whether it still reaches far
// enough. The office edits it as calendar.csv; nothing here knows a holiday by itself. Pure, any
// thread.
#pragma once

#include <optional>
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

    // A long rest: three days or more in a row on which nobody works, which the calendar makes so
    // (a weekend alone has two). `back` is the first working day after it.
    struct Rest {
        LocalDate from, back;
        friend bool operator==(const Rest&, const Rest&) = default;
    };
    // The first one that is not over on `today` and begins at most so many days after it.
    [[nodiscard]] std::optional<Rest> rest(LocalDate today, int within) const;

  private:
    std::vector<std::pair<LocalDate, DayKind>> days_;  // ascending
    std::vector<Rest> rests_;                          // the same
};

// What people are told of calendar.csv while the calendar holds no day of the year that is needed:
// from 1 December on the next one, and after that the current one where it holds other years.
// Empty: nothing is missing. Until it is mended every holiday there counts as what its weekday is.
[[nodiscard]] std::string calendar_warning(const Calendar& calendar, LocalDate today);

}  // namespace gatehouse
