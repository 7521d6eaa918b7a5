#include "daemon/core/calendar.hpp"

#include <algorithm>

namespace gatehouse {

Calendar::Calendar(const std::vector<CalendarDay>& days) {
    days_.reserve(days.size());
    for (const CalendarDay& day : days) days_.emplace_back(day.date, day.kind);
    std::sort(days_.begin(), days_.end());
}

BandDays Calendar::kind(LocalDate date) const {
    const auto found =
        std::lower_bound(days_.begin(), days_.end(), date,
                         [](const auto& day, LocalDate wanted) { return day.first < wanted; });
    if (found != days_.end() && found->first == date)
        return found->second == DayKind::holiday ? BandDays::holiday : BandDays::workday;
    // The first of January 1970 was a Thursday; 0 is Sunday here.
    const std::int64_t weekday = (days_since_epoch(date) + 4) % 7;
    return weekday == 0 || weekday == 6 ? BandDays::weekend : BandDays::workday;
}

bool Calendar::has_year(int year) const {
    return std::any_of(days_.begin(), days_.end(),
                       [&](const auto& day) { return day.first.year == year; });
}

std::string calendar_warning(const Calendar& calendar, LocalDate today) {
    const bool ahead = today.month == 12;
    // Who never had a calendar is asked for one once a year, and not all the year round.
    if (!ahead && calendar.empty()) return "";
    const int year = today.year + (ahead ? 1 : 0);
    if (calendar.has_year(year)) return "";
    return "there is no day of " + std::to_string(year) +
           "; import its holidays and the workdays that make up for them, until then bands and the "
           "digest go by Monday to Friday alone";
}

}  // namespace gatehouse
