// Water that never stands still and use where nobody lives, from totals at the ends of hours and
// days.
#include "daemon/core/flow.hpp"

#include <vector>

#include "tests/support/catch.hpp"

using namespace gatehouse;

namespace {

constexpr std::int64_t kFirst = 498'720;  // an hour of 2026

// A meter whose hours used so many litres, the first of them after kFirst. A negative number is an
// hour without a row, whose use, of so many litres but one, stands in the next total.
HourFlow flow_of(const std::vector<int>& litres) {
    HourFlow flow;
    Milli total{1'000};
    flow.see(kFirst, total);
    std::int64_t hour = kFirst;
    for (const int used : litres) {
        ++hour;
        total += Milli{used < 0 ? -used - 1 : used};
        if (used >= 0) flow.see(hour, total);
    }
    return flow;
}

std::vector<int> times(std::size_t count, int litres) {
    return std::vector<int>(count, litres);
}

std::vector<int> operator+(std::vector<int> first, const std::vector<int>& second) {
    first.insert(first.end(), second.begin(), second.end());
    return first;
}

std::string word(Finding finding) {
    return !finding ? "" : *finding ? "yes" : "no";
}

}  // namespace

TEST_CASE("C7: a leak is flow of more than a drip in each of 24 hours") {
    struct Row {
        std::vector<int> litres;
        const char* finding;
        int least;
    };
    const Row rows[] = {
        {{}, "", 0},
        {times(23, 9), "", 9},
        {times(24, 9), "yes", 9},
        {times(24, 3), "yes", 3},
        {times(24, 2), "", 0},  // two litres are a drip
        {times(12, 9) + times(1, 2) + times(12, 9), "", 9},
        {times(12, 9) + times(1, 2) + times(24, 4), "yes", 4},
        {times(40, 50) + times(1, 3) + times(5, 80), "yes", 3},
        // One hour of nothing is how a home sleeps.
        {times(23, 9) + times(1, 0), "no", 0},
        {times(30, 9) + times(1, 0), "no", 0},
        {times(30, 9) + times(1, 0) + times(1, 9), "", 9},
        {times(1, 0) + times(24, 9), "yes", 9},
        // Slower than before, but it never stood still.
        {times(30, 9) + times(1, 1), "", 0},
        // An hour that is missing might have been still.
        {times(23, 9) + times(1, -10) + times(1, 9), "", 0},
        {times(24, 9) + times(1, -10) + times(1, 9), "", 0},
        {times(1, 9) + times(1, -1) + times(25, 9), "yes", 9},
        // What is missing certainly was still where nothing was counted over it.
        {times(24, 9) + times(5, -1) + times(1, 0), "no", 0},
    };
    for (const Row& row : rows) {
        CAPTURE(row.litres);
        const HourFlow flow = flow_of(row.litres);
        CHECK(word(is_leak(flow)) == row.finding);
        if (flow.leaking() > 0) CHECK(flow.least().count == row.least);
    }
}

TEST_CASE("vacant water: any flow in each of 24 hours, all of them since the unit is vacant") {
    struct Row {
        std::vector<int> litres;
        std::int64_t since;  // hours after the first
        const char* finding;
    };
    const Row rows[] = {
        {times(23, 1), 0, ""},
        {times(24, 1), 0, "yes"},
        {times(24, 1), -500, "yes"},
        {times(24, 1), 1, ""},  // the first of them was somebody's
        {times(25, 1), 1, "yes"},
        {times(30, 9) + times(1, 0), 0, ""},  // one still hour ends nothing here
        {times(30, 9) + times(23, 0), 0, ""},
        {times(30, 9) + times(24, 0), 0, "no"},
        {times(30, 9) + times(24, 0) + times(1, 3), 0, ""},
        {times(24, 0), 0, "no"},
        {times(30, 9) + times(25, -1) + times(1, 0), 0, "no"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.litres, row.since);
        CHECK(word(is_vacant_flow(flow_of(row.litres), kFirst + row.since)) == row.finding);
    }
}

TEST_CASE("the hours of a meter come once each and in order, and only rise") {
    HourFlow flow;
    flow.see(kFirst, Milli{1'000});
    flow.see(kFirst + 1, Milli{1'005});
    flow.see(kFirst + 1, Milli{1'004});  // written anew after a restart
    flow.see(kFirst, Milli{900});
    CHECK(flow.newest() == kFirst + 1);
    CHECK(flow.moving() == 1);
    flow.see(kFirst + 2, Milli{1'001});  // a register that staff released lower says nothing
    CHECK(flow.moving() == 0);
    CHECK(flow.still() == 0);
    flow.see(kFirst + 3, Milli{1'002});
    CHECK(flow.moving() == 1);
    // A meter that stood for years.
    flow.see(kFirst + 100'000, Milli{1'002});
    CHECK(flow.still() >= kNeverStillHours);
    CHECK(word(is_leak(flow)) == "no");
}

TEST_CASE("vacant electricity: more than 1 kWh on a day, over after a whole day without") {
    using Use = std::optional<int>;
    struct Row {
        Use yesterday, today;  // in Wh
        const char* finding;
        Use used;
    };
    const Row rows[] = {
        {{}, {}, "", {}},
        {{}, 400, "", {}},    // no whole day of vacancy yet
        {{}, 1'000, "", {}},  // 1 kWh, not more
        {{}, 1'001, "yes", 1'001},
        {400, 0, "no", {}},
        {1'000, 1'000, "no", {}},
        {1'001, 0, "yes", 1'001},  // that day is not whole and still yet
        {1'001, 5'000, "yes", 5'000},
        {3'000, 2'000, "yes", 3'000},
        {400, 1'200, "yes", 1'200},
        {400, {}, "no", {}},
        {1'500, {}, "yes", 1'500},
    };
    for (const Row& row : rows) {
        CAPTURE(row.yesterday.value_or(-1), row.today.value_or(-1));
        VacantDays days;
        if (row.yesterday) days.yesterday = Milli{*row.yesterday};
        if (row.today) days.today = Milli{*row.today};
        CHECK(word(is_vacant_use(days)) == row.finding);
        CHECK(days.used().has_value() == row.used.has_value());
        if (row.used) CHECK(days.used() == Milli{*row.used});
    }
}

TEST_CASE("nobody lives in a vacant or undelivered unit; who is away or builds does") {
    CHECK(is_vacant(UnitStatus::vacant));
    CHECK(is_vacant(UnitStatus::not_delivered));
    for (const UnitStatus status :
         {UnitStatus::fitting_out, UnitStatus::occupied, UnitStatus::let, UnitStatus::away})
        CHECK_FALSE(is_vacant(status));
}
