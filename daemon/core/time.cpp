#include "daemon/core/time.hpp"

#include <cstdio>

namespace gatehouse {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;
constexpr std::int64_t kMinuteMs = 60'000;

bool is_leap(int year) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

// Takes text from the front, strictly; a failed step leaves `ok` false for good.
struct Scanner {
    std::string_view rest;
    bool ok = true;

    bool take(char c) {
        if (rest.empty() || rest.front() != c) return false;
        rest.remove_prefix(1);
        return true;
    }
    void need(char c) { ok = take(c) && ok; }
    int digits(int count) {
        int value = 0;
        for (int i = 0; i < count; ++i) {
            if (rest.empty() || rest.front() < '0' || rest.front() > '9') {
                ok = false;
                return 0;
            }
            value = value * 10 + (rest.front() - '0');
            rest.remove_prefix(1);
        }
        return value;
    }
    int number(int count, int low, int high) {
        const int value = digits(count);
        if (value < low || value > high) ok = false;
        return value;
    }
};

std::optional<LocalDate> scan_date(Scanner& scanner) {
    LocalDate date;
    date.year = scanner.number(4, 1970, 9999);
    scanner.need('-');
    date.month = scanner.number(2, 1, 12);
    scanner.need('-');
    date.day = scanner.number(2, 1, 31);
    if (!scanner.ok || date.day > days_in_month(date.year, date.month)) return std::nullopt;
    return date;
}

// HH:MM[:SS[.fraction]] as milliseconds of the day; what is finer than a millisecond is cut.
std::int64_t scan_time(Scanner& scanner) {
    std::int64_t ms = scanner.number(2, 0, 23) * 60 * kMinuteMs;
    scanner.need(':');
    ms += scanner.number(2, 0, 59) * kMinuteMs;
    if (!scanner.take(':')) return ms;
    ms += scanner.number(2, 0, 59) * std::int64_t{1000};
    if (!scanner.take('.')) return ms;
    int weight = 100;
    int places = 0;
    while (!scanner.rest.empty() && scanner.rest.front() >= '0' && scanner.rest.front() <= '9') {
        ms += scanner.digits(1) * weight;
        weight /= 10;
        ++places;
    }
    if (places == 0 || places > 9) scanner.ok = false;
    return ms;
}

// Z, +HH:MM, +HHMM or +HH; minutes east of UTC.
std::optional<int> scan_offset(Scanner& scanner) {
    if (scanner.take('Z')) return 0;
    const bool west = !scanner.rest.empty() && scanner.rest.front() == '-';
    if (!scanner.take('+') && !scanner.take('-')) return std::nullopt;
    int minutes = scanner.number(2, 0, 23) * 60;
    if (scanner.take(':') || !scanner.rest.empty()) minutes += scanner.number(2, 0, 59);
    return west ? -minutes : minutes;
}

// The instant at which the zone's clocks show that; the earlier one where they show it twice,
// nothing where they skip it. A zone changes its offset at most once a day.
std::optional<UtcMs> from_local(LocalDate date, std::int64_t ms_of_day, const Zone& zone) {
    const std::int64_t days = days_since_epoch(date);
    std::optional<UtcMs> earliest;
    for (const std::int64_t day : {days, days + 1}) {
        const int offset = zone.local(zone.midnight(date_from_days(day))).offset_minutes;
        const UtcMs at = days * kDayMs + ms_of_day - offset * kMinuteMs;
        const LocalTime shown = zone.local(at);
        if (shown.date != date || shown.ms_of_day != ms_of_day) continue;
        if (!earliest || at < *earliest) earliest = at;
    }
    return earliest;
}

}  // namespace

// Both ways after Howard Hinnant's chrono-compatible algorithms: years begin in March, so that the
// leap day is the last one.
std::int64_t days_since_epoch(LocalDate date) {
    const std::int64_t year = date.month <= 2 ? date.year - 1 : date.year;
    const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
    const std::int64_t year_of_era = year - era * 400;
    const std::int64_t day_of_year =
        (153 * (date.month + (date.month > 2 ? -3 : 9)) + 2) / 5 + date.day - 1;
    const std::int64_t day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146'097 + day_of_era - 719'468;
}

LocalDate date_from_days(std::int64_t days) {
    const std::int64_t shifted = days + 719'468;
    const std::int64_t era = (shifted >= 0 ? shifted : shifted - 146'096) / 146'097;
    const std::int64_t day_of_era = shifted - era * 146'097;
    const std::int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
    const std::int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const std::int64_t month_index = (5 * day_of_year + 2) / 153;
    const std::int64_t month = month_index < 10 ? month_index + 3 : month_index - 9;
    LocalDate date;
    date.year = static_cast<int>(year_of_era + era * 400 + (month <= 2 ? 1 : 0));
    date.month = static_cast<int>(month);
    date.day = static_cast<int>(day_of_year - (153 * month_index + 2) / 5 + 1);
    return date;
}

std::string format_date(LocalDate date) {
    char text[40];
    std::snprintf(text, sizeof text, "%04d-%02d-%02d", date.year, date.month, date.day);
    return text;
}

std::optional<LocalDate> parse_date(std::string_view text) {
    Scanner scanner{text};
    const auto date = scan_date(scanner);
    if (!date || !scanner.rest.empty()) return std::nullopt;
    return date;
}

int days_in_month(int year, int month) {
    static constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (month < 1 || month > 12) return 0;
    return month == 2 && is_leap(year) ? 29 : kDays[month - 1];
}

std::optional<LocalDate> parse_month(std::string_view text) {
    if (text.size() != 7) return std::nullopt;
    return parse_date(std::string(text) + "-01");
}

LocalDate next_month(LocalDate month) {
    return month.month == 12 ? LocalDate{month.year + 1, 1, 1}
                             : LocalDate{month.year, month.month + 1, 1};
}

std::string format_iso8601(UtcMs at, const Zone& zone) {
    const LocalTime local = zone.local(at);
    const int seconds = local.ms_of_day / 1000;
    const int offset = local.offset_minutes < 0 ? -local.offset_minutes : local.offset_minutes;
    char text[96];
    std::snprintf(text, sizeof text, "%sT%02d:%02d:%02d%c%02d:%02d",
                  format_date(local.date).c_str(), seconds / 3600, seconds / 60 % 60, seconds % 60,
                  local.offset_minutes < 0 ? '-' : '+', offset / 60, offset % 60);
    return text;
}

std::optional<UtcMs> parse_iso8601(std::string_view text, const Zone& zone) {
    Scanner scanner{text};
    const auto date = scan_date(scanner);
    if (!date) return std::nullopt;
    if (scanner.rest.empty()) return zone.midnight(*date);
    if (!scanner.take('T') && !scanner.take(' ')) return std::nullopt;
    const std::int64_t ms_of_day = scan_time(scanner);
    if (!scanner.ok) return std::nullopt;
    if (scanner.rest.empty()) return from_local(*date, ms_of_day, zone);
    const auto offset = scan_offset(scanner);
    if (!offset || !scanner.ok || !scanner.rest.empty()) return std::nullopt;
    return days_since_epoch(*date) * kDayMs + ms_of_day - *offset * kMinuteMs;
}

}  // namespace gatehouse
