// Time: the calendar, and ISO 8601 both ways, over zones that a table can follow.
#include "daemon/core/time.hpp"

#include "tests/support/catch.hpp"

using namespace gatehouse;

namespace {

constexpr std::int64_t kHourMs = 3'600'000;
constexpr std::int64_t kDayMs = 24 * kHourMs;

// One offset before an instant, another from it on.
class TestZone : public Zone {
  public:
    TestZone(int before, int after, UtcMs change)
        : before_(before), after_(after), change_(change) {}
    explicit TestZone(int offset) : TestZone(offset, offset, 0) {}

    [[nodiscard]] LocalTime local(UtcMs at) const override {
        const int offset = at < change_ ? before_ : after_;
        const std::int64_t shown = at + offset * std::int64_t{60'000};
        const std::int64_t day = shown >= 0 ? shown / kDayMs : (shown - kDayMs + 1) / kDayMs;
        return {date_from_days(day), static_cast<int>(shown - day * kDayMs), offset};
    }
    [[nodiscard]] UtcMs midnight(LocalDate date) const override {
        const UtcMs early = days_since_epoch(date) * kDayMs - before_ * std::int64_t{60'000};
        if (early < change_) return early;
        const UtcMs late = days_since_epoch(date) * kDayMs - after_ * std::int64_t{60'000};
        return late < change_ ? change_ : late;
    }

  private:
    int before_, after_;
    UtcMs change_;
};

const TestZone kShanghai{480};

}  // namespace

TEST_CASE("days and dates are one another's inverse") {
    CHECK(days_since_epoch({1970, 1, 1}) == 0);
    CHECK(days_since_epoch({2000, 3, 1}) == 11'017);
    CHECK(days_since_epoch({2026, 11, 23}) == 20'780);
    LocalDate date{1970, 1, 1};
    for (std::int64_t day = 0; day < 2'932'897; day += 1) {
        if (date_from_days(day) != date || days_since_epoch(date) != day) {
            FAIL("day " << day << " is not " << format_date(date));
        }
        if (++date.day > days_in_month(date.year, date.month)) {
            date.day = 1;
            if (++date.month > 12) {
                date.month = 1;
                ++date.year;
            }
        }
    }
    CHECK(date == LocalDate{10000, 1, 1});
    CHECK(date_from_days(-1) == LocalDate{1969, 12, 31});
}

TEST_CASE("months have their days") {
    CHECK(days_in_month(2024, 2) == 29);
    CHECK(days_in_month(2023, 2) == 28);
    CHECK(days_in_month(2000, 2) == 29);
    CHECK(days_in_month(2100, 2) == 28);
    CHECK(days_in_month(2026, 13) == 0);
    CHECK(days_in_month(2026, 0) == 0);
}

TEST_CASE("a date is taken strictly") {
    CHECK(parse_date("2026-11-23") == LocalDate{2026, 11, 23});
    CHECK(parse_date("2024-02-29") == LocalDate{2024, 2, 29});
    for (const char* text : {"", "2023-02-29", "2026-13-01", "2026-00-10", "2026-01-00", "2026-1-1",
                             "26-01-01", "1969-12-31", "2026/01/01", "2026-01-01 ", " 2026-01-01",
                             "2026-01-32", "2026-04-31", "20260101", "2026-01-0x"}) {
        INFO(text);
        CHECK_FALSE(parse_date(text));
    }
    CHECK(format_date({2026, 1, 2}) == "2026-01-02");
}

TEST_CASE("an instant is written with the zone's offset") {
    CHECK(format_iso8601(0, kShanghai) == "1970-01-01T08:00:00+08:00");
    CHECK(format_iso8601(1'795'436'100'999, kShanghai) == "2026-11-23T20:15:00+08:00");
    CHECK(format_iso8601(0, TestZone{-210}) == "1969-12-31T20:30:00-03:30");
}

TEST_CASE("an instant is read with offset, or as the zone shows it") {
    const UtcMs at = 1'795'436'100'000;  // 2026-11-23T12:15:00Z
    struct Row {
        const char* text;
        std::optional<UtcMs> value;
    };
    const Row rows[] = {
        {"2026-11-23T20:15:00+08:00", at},
        {"2026-11-23T20:15:00+0800", at},
        {"2026-11-23T20:15+08", at},
        {"2026-11-23T12:15:00Z", at},
        {"2026-11-23T08:45:00-03:30", at},
        {"2026-11-23T20:15", at},
        {"2026-11-23 20:15:00", at},
        {"2026-11-23T12:15:00.25Z", at + 250},
        {"2026-11-23T12:15:00.123999Z", at + 123},
        {"2026-11-23", at - 20 * kHourMs - 15 * 60'000},
        {"2026-11-23T24:00", std::nullopt},
        {"2026-11-23T20:60", std::nullopt},
        {"2026-11-23T20:15:60", std::nullopt},
        {"2026-11-23T20", std::nullopt},
        {"2026-11-23T", std::nullopt},
        {"2026-11-23T20:15:00.", std::nullopt},
        {"2026-11-23T20:15:00.1234567890Z", std::nullopt},
        {"2026-11-23T20:15:00+", std::nullopt},
        {"2026-11-23T20:15:00+8", std::nullopt},
        {"2026-11-23T20:15:00+08:", std::nullopt},
        {"2026-11-23T20:15:00+08:60", std::nullopt},
        {"2026-11-23T20:15:00+08:00x", std::nullopt},
        {"2026-11-23T20:15:00z", std::nullopt},
        {"2026-02-30T20:15:00Z", std::nullopt},
        {"46000.5", std::nullopt},
        {"", std::nullopt},
    };
    for (const Row& row : rows) {
        INFO("'" << row.text << "'");
        CHECK(parse_iso8601(row.text, kShanghai) == row.value);
    }
}

TEST_CASE("what the clocks skip is refused, what they show twice is the earlier") {
    const UtcMs spring = days_since_epoch({2026, 3, 29}) * kDayMs + kHourMs;
    const TestZone forward{60, 120, spring};  // 02:00 becomes 03:00
    CHECK_FALSE(parse_iso8601("2026-03-29T02:30:00", forward));
    CHECK(parse_iso8601("2026-03-29T01:59:59", forward) == spring - 1000);
    CHECK(parse_iso8601("2026-03-29T03:00:00", forward) == spring);

    const UtcMs autumn = days_since_epoch({2026, 10, 25}) * kDayMs + kHourMs;
    const TestZone back{120, 60, autumn};  // 03:00 becomes 02:00
    CHECK(parse_iso8601("2026-10-25T02:30:00", back) == autumn - kHourMs / 2);
    CHECK(parse_iso8601("2026-10-25T03:30:00", back) == autumn + kHourMs + kHourMs / 2);
}
