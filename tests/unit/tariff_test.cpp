#include "daemon/core/tariff.hpp"

#include "tests/support/catch.hpp"
#include "tests/unit/tariffs.hpp"

using namespace gatehouse;
using namespace gatehouse::test;

TEST_CASE("the version in force is the newest that has begun") {
    Tariff two = flat("0.50");
    two.versions[0].valid_from = {2026, 1, 1};
    two.versions.push_back(version({2026, 7, 1}, LadderPeriod::none, {{"", "0.60"}}));
    CHECK(version_on(two, {2025, 12, 31}) == nullptr);
    CHECK(version_on(two, {2026, 1, 1}) == &two.versions[0]);
    CHECK(version_on(two, {2026, 6, 30}) == &two.versions[0]);
    CHECK(version_on(two, {2026, 7, 1}) == &two.versions[1]);
    CHECK(version_on(two, {2036, 7, 1}) == &two.versions[1]);
}

TEST_CASE("flat prices and month or year ladders are served") {
    CHECK(why_not_yet(flat("0.5283")).empty());
    CHECK(why_not_yet(beijing_electricity()).empty());
    CHECK(why_not_yet(guangzhou_july()).empty());
    CHECK(why_not_yet(flat("0.00")).empty());
    CHECK(why_not_yet(flat("10000")).empty());
}

TEST_CASE("what is not served yet is named by its words") {
    struct Row {
        const char* words;
        void (*change)(TariffVersion&);
    };
    const Row rows[] = {
        {"bands", [](TariffVersion& v) { v.bands.emplace_back(); }},
        {"seasonal limits",
         [](TariffVersion& v) {
             v.tiers[0].months = {5, 6};
         }},
        {"per-person limits",
         [](TariffVersion& v) {
             v.per_person = PerPerson{6, Milli{1}};
         }},
        {"fixed fees",
         [](TariffVersion& v) {
             v.fixed.push_back({"service", {}, Fen{200}});
         }},
        {"a minimum", [](TariffVersion& v) { v.minimum = Fen{1}; }},
        {"a quantity step", [](TariffVersion& v) { v.quantity_step = Milli{1000}; }},
        {"tiers that ascend to an open one",
         [](TariffVersion& v) { v.tiers[1].up_to = v.tiers[0].up_to; }},
        {"tiers that ascend to an open one", [](TariffVersion& v) { v.tiers.pop_back(); }},
        {"tiers that ascend to an open one", [](TariffVersion& v) { v.tiers.clear(); }},
        {"a ladder period for its tiers", [](TariffVersion& v) { v.ladder = LadderPeriod::none; }},
        {"prices from 0 to 10000 a unit", [](TariffVersion& v) { v.tiers[1].price.count = -1; }},
        {"prices from 0 to 10000 a unit",
         [](TariffVersion& v) { v.tiers[2].price = kPriceMax + Price{1}; }},
    };
    for (const Row& row : rows) {
        Tariff changed = beijing_electricity();
        row.change(changed.versions[0]);
        CHECK(why_not_yet(changed.versions[0]) == row.words);
        CHECK(why_not_yet(changed) == row.words);
    }
}

TEST_CASE("the words of all versions stand once each") {
    Tariff two = beijing_electricity();
    two.versions[0].bands.emplace_back();
    two.versions.push_back(two.versions[0]);
    two.versions[1].minimum = Fen{500};
    CHECK(why_not_yet(two) == "bands, a minimum");
}

TEST_CASE("a ladder period begins where its kind says") {
    struct Row {
        LadderPeriod ladder;
        int month, day;
        LocalDate date, start;
    };
    const Row rows[] = {
        {LadderPeriod::none, 1, 1, {2026, 11, 24}, {1970, 1, 1}},
        {LadderPeriod::month, 1, 1, {2026, 11, 24}, {2026, 11, 1}},
        {LadderPeriod::month, 7, 15, {2026, 11, 1}, {2026, 11, 1}},
        {LadderPeriod::year, 1, 1, {2026, 1, 1}, {2026, 1, 1}},
        {LadderPeriod::year, 1, 1, {2026, 12, 31}, {2026, 1, 1}},
        {LadderPeriod::year, 7, 1, {2026, 6, 30}, {2025, 7, 1}},
        {LadderPeriod::year, 7, 1, {2026, 7, 1}, {2026, 7, 1}},
        {LadderPeriod::year, 2, 29, {2026, 2, 27}, {2025, 2, 28}},
        {LadderPeriod::year, 2, 29, {2026, 2, 28}, {2026, 2, 28}},
        {LadderPeriod::year, 2, 29, {2028, 2, 28}, {2027, 2, 28}},
        {LadderPeriod::year, 2, 29, {2028, 2, 29}, {2028, 2, 29}},
    };
    for (const Row& row : rows) {
        TariffVersion v = beijing_electricity().versions[0];
        v.ladder = row.ladder;
        v.ladder_from_month = row.month;
        v.ladder_from_day = row.day;
        CHECK(format_date(ladder_period_start(v, row.date)) == format_date(row.start));
    }
}

TEST_CASE("a change of the ladder's rule starts the counter anew, new limits do not") {
    Tariff t = beijing_electricity();
    t.versions.push_back(t.versions[0]);
    t.versions[1].valid_from = {2026, 4, 1};
    t.versions[1].tiers[0].up_to = quantity("3000");
    CHECK(counter_start(t, {2026, 3, 31}) == LocalDate{2026, 1, 1});
    CHECK(counter_start(t, {2026, 4, 1}) == LocalDate{2026, 1, 1});

    SECTION("from year to month and back within one year: three counters") {
        t.versions[1].ladder = LadderPeriod::month;
        t.versions.push_back(t.versions[0]);
        t.versions[2].valid_from = {2026, 5, 20};
        CHECK(counter_start(t, {2026, 3, 31}) == LocalDate{2026, 1, 1});
        CHECK(counter_start(t, {2026, 4, 30}) == LocalDate{2026, 4, 1});
        CHECK(counter_start(t, {2026, 5, 19}) == LocalDate{2026, 5, 1});
        CHECK(counter_start(t, {2026, 5, 20}) == LocalDate{2026, 5, 20});
        CHECK(counter_start(t, {2027, 2, 1}) == LocalDate{2027, 1, 1});
    }
    SECTION("another first day of the year") {
        t.versions[1].ladder_from_month = 7;
        CHECK(counter_start(t, {2026, 4, 1}) == LocalDate{2026, 4, 1});
        CHECK(counter_start(t, {2026, 7, 1}) == LocalDate{2026, 7, 1});
    }
    SECTION("the first day of a year says nothing to a month ladder") {
        t.versions[0].ladder = LadderPeriod::month;
        t.versions[1].ladder = LadderPeriod::month;
        t.versions[1].valid_from = {2026, 4, 15};
        t.versions[1].ladder_from_month = 7;
        CHECK(counter_start(t, {2026, 4, 20}) == LocalDate{2026, 4, 1});
    }
}

TEST_CASE("a quantity falls into tiers with inclusive limits") {
    const TariffVersion v = beijing_water().versions[0];
    using Parts = std::vector<TierPart>;
    const Price one = price("5"), two = price("7"), three = price("9");
    CHECK(split(v, quantity("0"), quantity("0")).empty());
    CHECK(split(v, quantity("0"), quantity("180")) == Parts{{1, one, quantity("180")}});
    CHECK(split(v, quantity("180"), quantity("0.001")) == Parts{{2, two, quantity("0.001")}});
    CHECK(split(v, quantity("179.999"), quantity("0.002")) ==
          Parts{{1, one, quantity("0.001")}, {2, two, quantity("0.001")}});
    CHECK(split(v, quantity("100"), quantity("200")) ==
          Parts{{1, one, quantity("80")}, {2, two, quantity("80")}, {3, three, quantity("40")}});
    CHECK(split(v, quantity("260"), quantity("1000")) == Parts{{3, three, quantity("1000")}});
}
