// Which band holds when, where one begins, and what the calendar says of a day.
#include "daemon/core/bands.hpp"

#include "daemon/core/settlement.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/tariffs.hpp"
#include "tests/unit/zones.hpp"

using namespace gatehouse;
using namespace gatehouse::test;

namespace {

const Calendar kCalendar(std::vector<CalendarDay>{
    {{2026, 10, 10}, DayKind::workday, "调休上班"},  // a Saturday
    {{2026, 10, 1}, DayKind::holiday, "国庆节"},     // a Thursday
    {{2026, 10, 4}, DayKind::holiday, "国庆节"},     // a Sunday
});

std::string name_at(const Tariff& tariff, LocalDate day, int minute) {
    const Interval when{day, minute, kCalendar.kind(day), 0};
    const Band* band = band_at(*version_on(tariff, day), when);
    return band == nullptr ? "-" : band->name;
}

// Peak on workdays alone, cheap at weekends, dear in summer, and a price of its own for holidays.
Tariff by_day() {
    Tariff out = zhejiang_bands();
    Band day = band("peak", 8 * 60, 22 * 60, "1.00");
    day.days = BandDays::workday;
    Band night = band("valley", 22 * 60, 8 * 60, "0.30");
    night.days = BandDays::workday;
    Band weekend = band("weekend", 0, 1440, "0.20");
    weekend.days = BandDays::weekend;
    Band feast = band("holiday", 0, 1440, "0.10");
    feast.days = BandDays::holiday;
    out.versions[0].bands = {day, night, weekend, feast};
    return out;
}

std::vector<std::string> clocks(const std::vector<UtcMs>& edges, const Zone& zone) {
    std::vector<std::string> texts;
    for (const UtcMs edge : edges) texts.push_back(format_iso8601(edge, zone).substr(11, 5));
    return texts;
}

// Zone of an office that puts its clock from 02:00 to 03:00 on 29 March 2026 and back from 03:00 to
// 02:00 on 25 October 2026; one hour east otherwise.
class Summer final : public Zone {
  public:
    [[nodiscard]] LocalTime local(UtcMs at) const override {
        const bool summer = at >= kForward && at < kBack;
        const std::int64_t shifted = at + (summer ? 2 : 1) * 3'600'000;
        const std::int64_t days = shifted / 86'400'000;
        return {date_from_days(days), static_cast<int>(shifted % 86'400'000), summer ? 120 : 60};
    }
    [[nodiscard]] UtcMs midnight(LocalDate date) const override {
        const UtcMs winter = days_since_epoch(date) * 86'400'000 - 3'600'000;
        return winter >= kForward && winter - 3'600'000 < kBack ? winter - 3'600'000 : winter;
    }
    static constexpr UtcMs kForward = 1'774'746'000'000;  // 2026-03-29T01:00:00Z
    static constexpr UtcMs kBack = 1'792'890'000'000;     // 2026-10-25T01:00:00Z
};

}  // namespace

TEST_CASE("the calendar's own word comes before the weekday") {
    CHECK(kCalendar.kind({2026, 10, 1}) == BandDays::holiday);
    CHECK(kCalendar.kind({2026, 10, 2}) == BandDays::workday);  // Friday
    CHECK(kCalendar.kind({2026, 10, 3}) == BandDays::weekend);  // Saturday
    CHECK(kCalendar.kind({2026, 10, 4}) == BandDays::holiday);
    CHECK(kCalendar.kind({2026, 10, 10}) == BandDays::workday);
    CHECK(kCalendar.kind({2026, 10, 11}) == BandDays::weekend);  // Sunday
}

TEST_CASE("a calendar that ends is told of from the first of December on") {
    CHECK(calendar_warning(kCalendar, {2026, 11, 30}).empty());
    const std::string told = calendar_warning(kCalendar, {2026, 12, 1});
    CHECK(told.find("there is no day of 2027") == 0);
    CHECK(calendar_warning(kCalendar, {2026, 12, 31}) == told);
    CHECK(calendar_warning(kCalendar, {2027, 1, 1}) == told);  // still the same year is missing
    const Calendar next(std::vector<CalendarDay>{{{2027, 1, 1}, DayKind::holiday, ""}});
    CHECK(calendar_warning(next, {2026, 12, 1}).empty());
    CHECK(calendar_warning(next, {2027, 6, 1}).empty());
    // Without any calendar at all once a year.
    CHECK(calendar_warning({}, {2026, 11, 30}).empty());
    CHECK_FALSE(calendar_warning({}, {2026, 12, 1}).empty());
}

TEST_CASE("a band holds by minute, month and kind of day, and may pass midnight") {
    const Tariff t = by_day();
    struct Row {
        LocalDate day;
        int minute;
        const char* name;
    };
    const LocalDate monday{2026, 10, 12};
    const Row rows[] = {
        {monday, 0, "valley"},
        {monday, 7 * 60 + 59, "valley"},
        {monday, 8 * 60, "peak"},
        {monday, 21 * 60 + 59, "peak"},
        {monday, 22 * 60, "valley"},
        {monday, 1439, "valley"},
        {{2026, 10, 10}, 12 * 60, "peak"},     // a Saturday that is worked
        {{2026, 10, 11}, 12 * 60, "weekend"},  // Sunday
        {{2026, 10, 1}, 12 * 60, "holiday"},   // Thursday
        {{2026, 10, 4}, 0, "holiday"},         // Sunday
        // Friday's valley passes midnight: Saturday's minutes are Saturday's.
        {{2026, 10, 16}, 1439, "valley"},
        {{2026, 10, 17}, 0, "weekend"},
    };
    for (const Row& row : rows) {
        CAPTURE(format_date(row.day), row.minute);
        CHECK(name_at(t, row.day, row.minute) == row.name);
    }
    Tariff summer = zhejiang_bands();
    Band sharp = band("sharp", 14 * 60, 16 * 60, "0.90");
    sharp.months = {7, 8};
    summer.versions[0].bands = {sharp};
    CHECK(name_at(summer, {2026, 7, 1}, 15 * 60) == "sharp");
    CHECK(name_at(summer, {2026, 9, 1}, 15 * 60) == "-");
    CHECK(tells_days_apart(t));
    CHECK_FALSE(tells_days_apart(summer));
    CHECK_FALSE(has_bands(beijing_electricity()));
}

TEST_CASE("edges stand where another band begins, and not at midnight") {
    using Texts = std::vector<std::string>;
    const Tariff t = by_day();
    CHECK(clocks(band_edges(t, {2026, 10, 12}, kCalendar, kZone), kZone) ==
          Texts{"08:00", "22:00"});
    CHECK(band_edges(t, {2026, 10, 11}, kCalendar, kZone).empty());
    CHECK(band_edges(t, {2026, 10, 1}, kCalendar, kZone).empty());
    CHECK(clocks(band_edges(t, {2026, 10, 10}, kCalendar, kZone), kZone) ==
          Texts{"08:00", "22:00"});
    CHECK(band_edges(beijing_electricity(), {2026, 10, 12}, kCalendar, kZone).empty());
    CHECK(band_edges(t, {2019, 1, 1}, kCalendar, kZone).empty());  // no version yet
    CHECK(clocks(band_edges(guangzhou_bands("1", "0.2"), {2026, 7, 1}, kCalendar, kZone), kZone) ==
          Texts{"08:00", "10:00", "12:00", "14:00", "19:00"});
    // Two windows of one name side by side are one band.
    Tariff joined = zhejiang_bands();
    joined.versions[0].bands = {band("a", 0, 600, "1"), band("a", 600, 720, "1"),
                                band("b", 720, 1440, "2")};
    CHECK(clocks(band_edges(joined, {2026, 7, 1}, kCalendar, kZone), kZone) == Texts{"12:00"});
}

TEST_CASE("an edge keeps its place on the wall where the clock is put forward or back") {
    const Summer zone;
    const auto clock = [&](LocalDate day, int minute) {
        return format_iso8601(instant_of(day, minute, zone), zone).substr(11);
    };
    CHECK(clock({2026, 3, 28}, 8 * 60) == "08:00:00+01:00");
    CHECK(clock({2026, 3, 29}, 60) == "01:00:00+01:00");
    CHECK(clock({2026, 3, 29}, 2 * 60 + 30) == "03:00:00+02:00");  // skipped
    CHECK(clock({2026, 3, 29}, 8 * 60) == "08:00:00+02:00");
    CHECK(clock({2026, 7, 1}, 22 * 60) == "22:00:00+02:00");
    CHECK(clock({2026, 10, 25}, 2 * 60 + 30) == "02:30:00+02:00");  // the first of two
    CHECK(clock({2026, 10, 25}, 8 * 60) == "08:00:00+01:00");
    CHECK(clock({2026, 10, 25}, 23 * 60) == "23:00:00+01:00");
}

TEST_CASE("the interval of an instant has its day, minute, kind and persons") {
    CHECK(interval_at(at({2026, 10, 1}, 8, 30), kCalendar, kZone, 4) ==
          Interval{{2026, 10, 1}, 510, BandDays::holiday, 4});
    CHECK(interval_at(at({2026, 10, 12}, 0, 0) - 1, kCalendar, kZone, 0) ==
          Interval{{2026, 10, 11}, 1439, BandDays::weekend, 0});
}
