// The auditor's own arithmetic and calendar: exact ratios, the two roundings of the house, local
// days. Written from DESIGN.md 5 and 8; it includes nothing of the daemon, so that an error there
// cannot hide here. Values only; one world's calendar belongs to one thread.
#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>

namespace date {
class time_zone;
}

namespace gatehouse::money {

__extension__ using Wide = __int128;

// An exact fraction; below > 0. What leaves 127 bits throws: the world never goes there.
struct Ratio {
    Wide above = 0;
    Wide below = 1;
};
[[nodiscard]] Ratio ratio_of(const std::string& decimal);  // "0.4883", "-12"
[[nodiscard]] Ratio fraction_of(const std::string& text);  // "12345/1000" or "120"
[[nodiscard]] Ratio thousandths(std::int64_t count);       // count / 1000
[[nodiscard]] Ratio operator*(Ratio a, Ratio b);
[[nodiscard]] Ratio operator+(Ratio a, Ratio b);
[[nodiscard]] Ratio operator-(Ratio a, Ratio b);
[[nodiscard]] bool operator<(Ratio a, Ratio b);
[[nodiscard]] std::int64_t floor_of(Ratio value);
[[nodiscard]] std::int64_t half_up(Ratio value);  // the half goes towards +infinity
// register x multiplier in 1e-3, rounded once.
[[nodiscard]] std::int64_t figure_of(Ratio face, Ratio multiplier);
// price x quantity in whole fen, half up; price in the currency a unit, quantity in 1e-3.
[[nodiscard]] std::int64_t fen_of(Ratio price, std::int64_t quantity);
// total0 + floor(growth x passed / span), an edge outside the span taking the nearer end.
[[nodiscard]] std::int64_t at_edge(std::int64_t total0, std::int64_t t0, std::int64_t total1,
                                   std::int64_t t1, std::int64_t edge);

[[nodiscard]] std::string decimal_of(std::int64_t count, int places);

struct Civil {
    std::int64_t year = 1970;
    int month = 1, day = 1;
    friend auto operator<=>(const Civil&, const Civil&) = default;
};
[[nodiscard]] std::int64_t day_number(Civil date);  // days since 1970-01-01
[[nodiscard]] Civil civil_of(std::int64_t day_number);
[[nodiscard]] int days_of_month(std::int64_t year, int month);
[[nodiscard]] std::string text_of(Civil date);           // 2026-11-23
[[nodiscard]] std::string month_text(std::int64_t day);  // 2026-11

// 0 is Monday.
[[nodiscard]] int weekday_of(std::int64_t day_number);

// The local calendar of one IANA zone, from the date library directly.
class Calendar {
  public:
    explicit Calendar(const std::string& zone);
    [[nodiscard]] std::int64_t day_of(std::int64_t utc_ms) const;
    [[nodiscard]] std::int64_t midnight(std::int64_t day) const;  // its first instant
    [[nodiscard]] int minute_of(std::int64_t utc_ms) const;       // that its clock shows
    // The first instant of the day at which its clock shows that minute or a later one.
    [[nodiscard]] std::int64_t reaches(std::int64_t day, int minute) const;

  private:
    const date::time_zone* zone_;
    mutable std::map<std::int64_t, std::int64_t> midnights_;
};

}  // namespace gatehouse::money
