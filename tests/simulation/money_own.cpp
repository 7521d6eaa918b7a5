#include "tests/simulation/money_own.hpp"

#include <date/date.h>
#include <date/tz.h>

#include <array>
#include <chrono>
#include <numeric>

namespace gatehouse::money {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;

Wide magnitude(Wide value) {
    return value < 0 ? -value : value;
}

Wide common(Wide a, Wide b) {
    while (b != 0) {
        const Wide rest = a % b;
        a = b;
        b = rest;
    }
    return a == 0 ? 1 : a;
}

Ratio reduced(Wide above, Wide below) {
    const Wide divisor = common(magnitude(above), below);
    return {above / divisor, below / divisor};
}

Wide times(Wide a, Wide b) {
    Wide product = 0;
    if (__builtin_mul_overflow(a, b, &product)) throw std::overflow_error("a ratio of the auditor");
    return product;
}

Wide digits(const std::string& text) {
    if (text.empty()) throw std::invalid_argument("no digits");
    Wide value = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') throw std::invalid_argument(text);
        value = times(value, 10) + (c - '0');
    }
    return value;
}

}  // namespace

Ratio ratio_of(const std::string& decimal) {
    const bool negative = !decimal.empty() && decimal.front() == '-';
    const std::string rest = decimal.substr(negative ? 1 : 0);
    const std::size_t point = rest.find('.');
    Wide above = digits(rest.substr(0, point));
    Wide below = 1;
    if (point != std::string::npos) {
        for (const char c : rest.substr(point + 1)) {
            above = times(above, 10) + digits(std::string(1, c));
            below = times(below, 10);
        }
    }
    return reduced(negative ? -above : above, below);
}

Ratio fraction_of(const std::string& text) {
    const std::size_t slash = text.find('/');
    if (slash == std::string::npos) return ratio_of(text);
    return reduced(digits(text.substr(0, slash)), digits(text.substr(slash + 1)));
}

Ratio thousandths(std::int64_t count) {
    return reduced(count, 1'000);
}

Ratio operator*(Ratio a, Ratio b) {
    const Ratio one = reduced(a.above, b.below), two = reduced(b.above, a.below);
    return {times(one.above, two.above), times(one.below, two.below)};
}

Ratio operator+(Ratio a, Ratio b) {
    return reduced(times(a.above, b.below) + times(b.above, a.below), times(a.below, b.below));
}

Ratio operator-(Ratio a, Ratio b) {
    return a + Ratio{-b.above, b.below};
}

bool operator<(Ratio a, Ratio b) {
    return times(a.above, b.below) < times(b.above, a.below);
}

std::int64_t floor_of(Ratio value) {
    Wide whole = value.above / value.below;
    if (value.above % value.below < 0) --whole;
    return static_cast<std::int64_t>(whole);
}

std::int64_t half_up(Ratio value) {
    return floor_of(value + Ratio{1, 2});
}

std::int64_t figure_of(Ratio face, Ratio multiplier) {
    return half_up(face * multiplier * Ratio{1'000, 1});
}

std::int64_t fen_of(Ratio price, std::int64_t quantity) {
    return half_up(price * thousandths(quantity) * Ratio{100, 1});
}

std::int64_t at_edge(std::int64_t total0, std::int64_t t0, std::int64_t total1, std::int64_t t1,
                     std::int64_t edge) {
    if (edge <= t0) return total0;
    if (edge >= t1) return total1;
    return total0 + floor_of(Ratio{total1 - total0, 1} * reduced(edge - t0, t1 - t0));
}

std::string decimal_of(std::int64_t count, int places) {
    const bool negative = count < 0;
    std::string text = std::to_string(negative ? -count : count);
    const auto width = static_cast<std::size_t>(places) + 1;
    if (text.size() < width) text.insert(0, width - text.size(), '0');
    if (places > 0) text.insert(text.size() - static_cast<std::size_t>(places), ".");
    return (negative ? "-" : "") + text;
}

std::int64_t day_number(Civil date) {
    const date::year_month_day ymd{date::year{static_cast<int>(date.year)},
                                   date::month{static_cast<unsigned>(date.month)},
                                   date::day{static_cast<unsigned>(date.day)}};
    return date::sys_days{ymd}.time_since_epoch().count();
}

Civil civil_of(std::int64_t day) {
    const date::year_month_day ymd{date::sys_days{date::days{static_cast<int>(day)}}};
    return {static_cast<int>(ymd.year()), static_cast<int>(static_cast<unsigned>(ymd.month())),
            static_cast<int>(static_cast<unsigned>(ymd.day()))};
}

int days_of_month(std::int64_t year, int month) {
    const date::year_month_day_last last{
        date::year{static_cast<int>(year)},
        date::month_day_last{date::month{static_cast<unsigned>(month)}}};
    return static_cast<int>(static_cast<unsigned>(last.day()));
}

std::string text_of(Civil date) {
    std::string text = decimal_of(date.year, 0) + "-";
    text += (date.month < 10 ? "0" : "") + std::to_string(date.month) + "-";
    return text + (date.day < 10 ? "0" : "") + std::to_string(date.day);
}

std::string month_text(std::int64_t day) {
    return text_of(civil_of(day)).substr(0, 7);
}

int weekday_of(std::int64_t day) {
    return static_cast<int>((day + 3) % 7);  // 1970-01-01 was a Thursday
}

Calendar::Calendar(const std::string& zone) : zone_(date::locate_zone(zone)) {}

std::int64_t Calendar::day_of(std::int64_t utc_ms) const {
    // Two days of that time at most can be right; the midnights decide.
    std::int64_t day = utc_ms / kDayMs + 1;
    while (midnight(day) > utc_ms) --day;
    return day;
}

std::int64_t Calendar::midnight(std::int64_t day) const {
    const auto found = midnights_.find(day);
    if (found != midnights_.end()) return found->second;
    const date::local_days local{date::days{static_cast<int>(day)}};
    const auto at = zone_->to_sys(local, date::choose::earliest);
    const std::int64_t ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
    midnights_.emplace(day, ms);
    return ms;
}

int Calendar::minute_of(std::int64_t utc_ms) const {
    const date::sys_time<std::chrono::milliseconds> at{std::chrono::milliseconds(utc_ms)};
    const auto passed = zone_->to_local(at).time_since_epoch() % std::chrono::hours(24);
    return static_cast<int>(std::chrono::duration_cast<std::chrono::minutes>(passed).count());
}

std::int64_t Calendar::reaches(std::int64_t day, int minute) const {
    // No zone that a world stands in moves its clock by less than minutes: each is looked at, and
    // where no clock was moved the first guess is right.
    constexpr std::int64_t kMinuteMs = 60'000;
    const std::int64_t begin = midnight(day), end = midnight(day + 1);
    if (end - begin == kDayMs && minute_of(begin) == 0) return begin + minute * kMinuteMs;
    std::int64_t at = begin;
    while (at < end && minute_of(at) < minute) at += kMinuteMs;
    return at;
}

}  // namespace gatehouse::money
