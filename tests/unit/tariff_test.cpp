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

TEST_CASE("all that CONTRACT.md 3 allows is served") {
    for (const Tariff& served :
         {flat("0.5283"), flat("0.00"), flat("10000"), beijing_electricity(), guangzhou(),
          zhejiang_bands(), guangzhou_bands("0.99500875", "0.22914475")})
        CHECK(why_not_yet(served).empty());
    Tariff all = beijing_water();
    TariffVersion& v = all.versions[0];
    v.per_person = PerPerson{6, quantity("30")};
    v.fixed = {{"service", FeePeriod::month, fen("2.00")}, {"line", FeePeriod::day, fen("0.10")}};
    v.minimum = fen("5.00");
    v.quantity_step = quantity("1");
    CHECK(why_not_yet(all).empty());
    Tariff without_tiers = zhejiang_bands();
    without_tiers.versions[0].tiers.clear();
    without_tiers.versions[0].ladder = LadderPeriod::none;
    CHECK(why_not_yet(without_tiers).empty());
}

TEST_CASE("what no price can be made of is named by its words") {
    struct Row {
        const char* words;
        void (*change)(TariffVersion&);
    };
    const Row rows[] = {
        {"tiers that ascend to an open one",
         [](TariffVersion& v) { v.tiers[1].up_to = v.tiers[0].up_to; }},
        {"tiers that ascend to an open one", [](TariffVersion& v) { v.tiers.pop_back(); }},
        {"tiers that ascend to an open one", [](TariffVersion& v) { v.tiers.clear(); }},
        {"tiers that ascend to an open one",
         [](TariffVersion& v) {
             v.tiers[0].months = {5, 6};
         }},
        {"a month ladder for its seasons",
         [](TariffVersion& v) {
             v.tiers.push_back(tier({5, 6}, "", "1"));
         }},
        {"a ladder period for its tiers", [](TariffVersion& v) { v.ladder = LadderPeriod::none; }},
        {"prices from 0 to 10000 a unit", [](TariffVersion& v) { v.tiers[1].price.count = -1; }},
        {"prices from 0 to 10000 a unit",
         [](TariffVersion& v) { v.tiers[2].price = kPriceMax + Price{1}; }},
        {"prices from 0 to 10000 a unit",
         [](TariffVersion& v) { v.tiers[2].adder = kPriceMax + Price{1}; }},
        {"prices from 0 to 10000 a unit",
         [](TariffVersion& v) { v.bands = {band("all", 0, 1440, "10000.00000001")}; }},
        {"fees and a minimum of at most 1000000000.00",
         [](TariffVersion& v) { v.minimum = kFeeMax + Fen{1}; }},
        {"fees and a minimum of at most 1000000000.00",
         [](TariffVersion& v) {
             v.fixed.push_back({"service", FeePeriod::day, kFeeMax + Fen{1}});
         }},
        {"another name for its band 'minimum'",
         [](TariffVersion& v) { v.bands = {band("minimum", 0, 1440, "1")}; }},
        {"either bands or a quantity step",
         [](TariffVersion& v) {
             v.bands = {band("all", 0, 1440, "1")};
             v.quantity_step = Milli{1000};
         }},
        {"either bands or a quantity step", [](TariffVersion& v) { v.quantity_step = Milli{0}; }},
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
    two.versions[0].tiers[0].price.count = -1;
    two.versions.push_back(two.versions[0]);
    two.versions[1].minimum = kFeeMax + Fen{1};
    CHECK(why_not_yet(two) ==
          "prices from 0 to 10000 a unit, fees and a minimum of at most 1000000000.00");
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
    const Ladder v = ladder_in(beijing_water().versions[0], 1, 0);
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

TEST_CASE("seasons: the tiers of the month hold, under a name made of their months") {
    const TariffVersion v = guangzhou().versions[0];
    for (int month = 1; month <= 12; ++month) {
        CAPTURE(month);
        const Ladder ladder = ladder_in(v, month, 0);
        const bool summer = month >= 5 && month <= 10;
        REQUIRE(ladder.steps.size() == 3);
        CHECK(ladder.season == (summer ? "5-10" : "1-4,11-12"));
        CHECK(ladder.steps[0].up_to == quantity(summer ? "260" : "200"));
        CHECK(ladder.steps[1].up_to == quantity(summer ? "600" : "400"));
        CHECK_FALSE(ladder.steps[2].up_to);
    }
    CHECK(ladder_in(beijing_water().versions[0], 6, 0).season.empty());
    // Seasons that all name their months, one of them scattered.
    TariffVersion scattered = v;
    scattered.tiers = {tier({1, 3, 12}, "", "1"), tier({2, 4, 5, 6, 7, 8, 9, 10, 11}, "", "2")};
    CHECK(ladder_in(scattered, 3, 0).season == "1,3,12");
    CHECK(ladder_in(scattered, 4, 0).season == "2,4-11");
}

TEST_CASE("each person from the first that counts on raises every limit") {
    TariffVersion v = beijing_water().versions[0];
    v.per_person = PerPerson{6, quantity("30")};
    struct Row {
        int persons;
        const char *first, *second;
    };
    for (const Row& row : {Row{0, "180", "260"}, Row{5, "180", "260"}, Row{6, "210", "290"},
                           Row{7, "240", "320"}, Row{99, "3000", "3080"}}) {
        CAPTURE(row.persons);
        const Ladder ladder = ladder_in(v, 1, row.persons);
        CHECK(ladder.steps.at(0).up_to == quantity(row.first));
        CHECK(ladder.steps.at(1).up_to == quantity(row.second));
    }
    v.per_person->up_to_plus = kQuantityMax;
    CHECK(ladder_in(v, 1, 99).steps.at(0).up_to == kQuantityMax);
}
