#include "daemon/core/calendar.hpp"

#include <algorithm>

namespace gatehouse {
namespace {

constexpr std::int64_t kRestDays = 3;

LocalDate plus(LocalDate date, std::int64_t days) {
    return date_from_days(days_since_epoch(date) + days);
}

}  // namespace

Calendar::Calendar(const std::vector<CalendarDay>& days) {
    days_.reserve(days.size());
    for (const CalendarDay& day : days) days_.emplace_back(day.date, day.kind);
    std::sort(days_.begin(), days_.end());
    const auto rests = [&](LocalDate date) { return kind(date) != BandDays::workday; };
    for (const auto& [date, kind_of] : days_) {
        if (kind_of != DayKind::holiday || (!rests_.empty() && date < rests_.back().back)) continue;
        Rest rest{date, date};
        while (rests(plus(rest.from, -1))) rest.from = plus(rest.from, -1);
        while (rests(rest.back)) rest.back = plus(rest.back, 1);
        if (days_since_epoch(rest.back) - days_since_epoch(rest.from) >= kRestDays)
            rests_.push_back(rest);
    }
}

std::optional<Calendar::Rest> Calendar::rest(LocalDate today, int within) const {
    for (const Rest& rest : rests_)
        if (rest.back > today)
            return days_since_epoch(rest.from) - days_since_epoch(today) <= within
                       ? std::optional(rest)
                       : std::nullopt;
    return std::nullopt;
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
