// What tariffs charge beyond a flat price and a plain ladder: seasons, persons, bands, minimum and
// whole steps, with the vectors and official worked examples of the cited price lists. Amounts are
// worked out in fractions beside them.
#include <random>

#include "daemon/core/settlement.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/tariffs.hpp"

using namespace gatehouse;
using namespace gatehouse::test;

namespace {

const LocalDate kJuly{2026, 7, 15};
constexpr int kPeak = 11 * 60, kFlat = 9 * 60, kValley = 3 * 60;

Fen post(Settlement& settlement) {
    Fen sum;
    for (const Due& item : due(settlement)) {
        sum += item.amount;
        mark_posted(settlement, item);
    }
    return sum;
}

Fen use(Settlement& settlement, const Tariff& tariff, const Interval& when, const char* amount,
        const std::string& scope) {
    REQUIRE(accrue(settlement, tariff, when, scope, quantity(amount)) == Accrual::ok);
    return post(settlement);
}

// "peak 0.568 x 12.000 = 6.82", one a line.
std::vector<std::string> told(const Settlement& settlement) {
    std::vector<std::string> texts;
    for (const auto& [key, line] : settlement.lines) {
        std::string name = key.band;
        if (!key.season.empty()) name += key.season + " ";
        if (key.tier != 0) name += std::to_string(key.tier);
        texts.push_back(name + " " + format(line.price) + " x " + format(line.quantity) + " = " +
                        format(target(line)));
    }
    return texts;
}

// The exact price of all lines in 1e-11 of the currency, before any rounding.
Int128 exact(const Settlement& settlement) {
    Int128 sum = 0;
    for (const auto& [key, line] : settlement.lines)
        sum += Int128{line.price.count} * line.quantity.count;
    return sum;
}

using Rows = std::vector<std::string>;

}  // namespace

TEST_CASE("V4: Zhejiang's bands and adders do not depend on the order of use") {
    // 12 x 0.568 = 6.816, 8 x 0.288 = 2.304, 10 x 0.00, 10 x 0.05: 9.12 and 0.50.
    const Tariff t = zhejiang_bands();
    for (const bool peak_first : {true, false}) {
        CAPTURE(peak_first);
        Settlement settlement;
        seed_counter(settlement, t, kJuly, quantity("2750"));
        Fen posted;
        for (const bool peak : {peak_first, !peak_first})
            posted +=
                use(settlement, t, {kJuly, peak ? kPeak : kValley}, peak ? "12" : "8", "2026-07");
        CHECK(format(posted) == "9.62");
        CHECK(told(settlement) == Rows{"1 0.00 x 10.000 = 0.00", "2 0.05 x 10.000 = 0.50",
                                       "peak 0.568 x 12.000 = 6.82",
                                       "valley 0.288 x 8.000 = 2.30"});
        CHECK(counter(settlement, t, kJuly) == quantity("2770"));
    }
}

TEST_CASE("the published prices of Zhejiang are band plus adder in every tier") {
    struct Row {
        const char *used, *peak, *valley;
    };
    for (const Row& row : {Row{"0", "0.568", "0.288"}, Row{"2760", "0.618", "0.338"},
                           Row{"4800", "0.868", "0.588"}}) {
        for (const bool peak : {true, false}) {
            Settlement settlement;
            seed_counter(settlement, zhejiang_bands(), kJuly, quantity(row.used));
            REQUIRE(accrue(settlement, zhejiang_bands(), {kJuly, peak ? kPeak : kValley}, "2026",
                           quantity("1")) == Accrual::ok);
            CHECK(exact(settlement) == Int128{price(peak ? row.peak : row.valley).count} * 1000);
        }
    }
}

TEST_CASE("V5a to V5e: Guangzhou by season, and raised for persons") {
    struct Row {
        LocalDate day;
        int persons;
        const char* used;
        Rows lines;
        const char* total;
    };
    const LocalDate november{2026, 11, 10};
    const Row rows[] = {
        {kJuly,
         0,
         "650",
         {"5-10 1 0.58886875 x 260.000 = 153.11", "5-10 2 0.63886875 x 340.000 = 217.22",
          "5-10 3 0.88886875 x 50.000 = 44.44"},
         "414.77"},
        {november,
         0,
         "650",
         {"1-4,11-12 1 0.58886875 x 200.000 = 117.77", "1-4,11-12 2 0.63886875 x 200.000 = 127.77",
          "1-4,11-12 3 0.88886875 x 250.000 = 222.22"},
         "467.76"},
        {kJuly,
         5,
         "650",
         {"5-10 1 0.58886875 x 360.000 = 211.99", "5-10 2 0.63886875 x 290.000 = 185.27"},
         "397.26"},
        {kJuly,
         4,
         "260.01",
         {"5-10 1 0.58886875 x 260.000 = 153.11", "5-10 2 0.63886875 x 0.010 = 0.01"},
         "153.12"},
        {kJuly, 0, "260.00", {"5-10 1 0.58886875 x 260.000 = 153.11"}, "153.11"},
    };
    Tariff t = guangzhou();
    t.versions[0].per_person = PerPerson{5, quantity("100")};
    for (const Row& row : rows) {
        CAPTURE(row.used, row.persons);
        Settlement settlement;
        const Interval when{row.day, 0, BandDays::workday, row.persons};
        CHECK(format(use(settlement, t, when, row.used, "2026-07")) == row.total);
        CHECK(told(settlement) == row.lines);
    }
}

TEST_CASE("V5f: both published price sets of Guangzhou, exact and rounded line by line") {
    // 100 kWh peak, 150 flat, 100 valley; 90 of the 350 lie in the second tier, 90 x 0.05 = 4.50.
    // A: 99.500875 + 88.3303125 + 22.914475 + 4.50 = 215.2456625, B: 219.3040625. Rounded once over
    // the whole bill they would be 215.25 and 219.30; the house rounds each line.
    struct Row {
        const char *peak, *valley;
        std::int64_t exact;  // 1e-7
        Rows lines;
        const char* total;
    };
    const Row rows[] = {
        {"0.99500875",
         "0.22914475",
         2'152'456'625,
         {"flat 0.58886875 x 150.000 = 88.33", "peak 0.99500875 x 100.000 = 99.50",
          "valley 0.22914475 x 100.000 = 22.91", "5-10 1 0.00 x 260.000 = 0.00",
          "5-10 2 0.05 x 90.000 = 4.50"},
         "215.24"},
        {"0.96596875",
         "0.29876875",
         2'193'040'625,
         {"flat 0.58886875 x 150.000 = 88.33", "peak 0.96596875 x 100.000 = 96.60",
          "valley 0.29876875 x 100.000 = 29.88", "5-10 1 0.00 x 260.000 = 0.00",
          "5-10 2 0.05 x 90.000 = 4.50"},
         "219.31"},
    };
    for (const Row& row : rows) {
        const Tariff t = guangzhou_bands(row.peak, row.valley);
        Settlement settlement;
        Fen posted = use(settlement, t, {kJuly, kPeak}, "100", "2026-07");
        posted += use(settlement, t, {kJuly, kFlat}, "150", "2026-07");
        posted += use(settlement, t, {kJuly, kValley}, "100", "2026-07");
        CHECK(exact(settlement) == Int128{row.exact} * 10'000);
        CHECK(told(settlement) == row.lines);
        CHECK(format(posted) == row.total);
    }
}

TEST_CASE("V7: a price that changes inside a gap takes each half at its own") {
    Tariff t = flat("0.5583");
    t.versions.push_back(version({2026, 7, 16}, LadderPeriod::none, {{"", "0.6000"}}));
    Settlement settlement;
    // 3 x 0.5583 = 1.6749 and 3 x 0.6000 = 1.80.
    CHECK(format(use(settlement, t, {{2026, 7, 15}}, "3", "2026-07")) == "1.67");
    CHECK(format(use(settlement, t, {{2026, 7, 16}}, "3", "2026-07")) == "1.80");
    CHECK(settlement.lines.size() == 2);
}

TEST_CASE("V16: the ladder year replayed without a wrong reading gives the difference back") {
    const Tariff t = beijing_electricity();
    Settlement wrong;
    seed_counter(wrong, t, kJuly, quantity("2800"));
    CHECK(format(use(wrong, t, {kJuly}, "500", "2026")) == "265.15");
    Settlement right;
    seed_counter(right, t, kJuly, quantity("2800"));
    REQUIRE(accrue(right, t, {kJuly}, "2026", quantity("150")) == Accrual::ok);
    for (auto& [key, line] : right.lines) line.posted = wrong.lines.at(key).posted;
    // 80 x 0.4883 = 39.064 stands; the second tier's 226.09 becomes 37.68: 188.41 in one entry.
    const std::vector<Due> back = due(right);
    REQUIRE(back.size() == 1);
    CHECK(back[0].key.tier == 2);
    CHECK(format(back[0].amount) == "-188.41");
    CHECK(format(outstanding(right)) == "-188.41");
    CHECK(counter(right, t, kJuly) == quantity("2950"));
}

TEST_CASE("persons hold from their interval on, and what was counted stays in its tier") {
    Tariff t = guangzhou();
    t.versions[0].per_person = PerPerson{5, quantity("100")};
    Settlement settlement;
    // 300 with limits 260/600: 40 in tier 2. With five persons 260 used of 360: 60 more in tier 1.
    static_cast<void>(use(settlement, t, {kJuly, 0, {}, 4}, "300", "2026-07"));
    static_cast<void>(use(settlement, t, {kJuly, 0, {}, 5}, "100", "2026-07"));
    CHECK(told(settlement) ==
          Rows{"5-10 1 0.58886875 x 320.000 = 188.44", "5-10 2 0.63886875 x 80.000 = 51.11"});
}

TEST_CASE("a season's lines are its own though the month's counter goes on") {
    // A version that moves May into winter on the 16th: the counter of the month stays at 190.
    Tariff t = guangzhou();
    TariffVersion later = t.versions[0];
    later.valid_from = {2026, 5, 16};
    for (Tier& tier : later.tiers)
        if (!tier.months.empty()) tier.months = {6, 7, 8, 9, 10};
    t.versions.push_back(later);
    Settlement settlement;
    static_cast<void>(use(settlement, t, {{2026, 5, 15}}, "190", "2026-05"));
    static_cast<void>(use(settlement, t, {{2026, 5, 16}}, "20", "2026-05"));
    CHECK(told(settlement) == Rows{"5-10 1 0.58886875 x 190.000 = 111.89",
                                   "1-5,11-12 1 0.58886875 x 10.000 = 5.89",
                                   "1-5,11-12 2 0.63886875 x 10.000 = 6.39"});
}

TEST_CASE("bands without tiers have a line each and count no ladder tier") {
    Tariff t = zhejiang_bands();
    t.versions[0].tiers.clear();
    Settlement settlement;
    CHECK(format(use(settlement, t, {kJuly, kPeak}, "10", "2026-07")) == "5.68");
    CHECK(told(settlement) == Rows{"peak 0.568 x 10.000 = 5.68"});
    // An hour that no band holds cannot be charged and changes nothing.
    t.versions[0].bands.pop_back();
    const Settlement before = settlement;
    CHECK(accrue(settlement, t, {kJuly, kValley}, "2026-07", Milli{1}) == Accrual::no_price);
    CHECK(settlement == before);
}

TEST_CASE("whole steps are charged and the rest passes on, into the next month as well") {
    Tariff t = beijing_water();
    t.versions[0].quantity_step = quantity("1");
    Settlement settlement;
    struct Row {
        const char *used, *scope, *posted, *rest;
    };
    // 5.00 a ton: 0.7, 1.4, 2.1 and 2.999 tons in July, 3.3 in August.
    const Row rows[] = {
        {"0.7", "2026-07", "0.00", "0.700"},   {"0.7", "2026-07", "5.00", "0.400"},
        {"0.7", "2026-07", "5.00", "0.100"},   {"0.899", "2026-07", "0.00", "0.999"},
        {"0.001", "2026-08", "5.00", "0.000"}, {"0.3", "2026-08", "0.00", "0.300"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.used, row.scope);
        CHECK(format(use(settlement, t, {kJuly}, row.used, row.scope)) == row.posted);
        const auto rest = settlement.rests.find(t.tariff);
        CHECK(format(rest == settlement.rests.end() ? Milli{} : rest->second) == row.rest);
    }
    CHECK(counter(settlement, t, kJuly) == quantity("3"));
    CHECK(told(settlement) == Rows{"1 5.00 x 2.000 = 10.00", "1 5.00 x 1.000 = 5.00"});
    std::vector<Share> shares;
    REQUIRE(accrue(settlement, t, {kJuly}, "2026-08", quantity("0.2"), &shares) == Accrual::ok);
    CHECK(shares.empty());
    REQUIRE(accrue(settlement, t, {kJuly}, "2026-08", quantity("178"), &shares) == Accrual::ok);
    REQUIRE(shares.size() == 2);
    CHECK(shares[0].quantity == quantity("177"));
    CHECK(shares[0].before.quantity == quantity("1"));
    CHECK(shares[1].quantity == quantity("1"));
}

TEST_CASE("a version without steps takes the rest that one with steps held back") {
    Tariff t = beijing_water();
    t.versions[0].quantity_step = quantity("5");
    t.versions.push_back(t.versions[0]);
    t.versions[1].valid_from = {2026, 7, 16};
    t.versions[1].quantity_step = Milli{1};
    Settlement settlement;
    CHECK(format(use(settlement, t, {{2026, 7, 15}}, "9.5", "2026-07")) == "25.00");
    CHECK(format(use(settlement, t, {{2026, 7, 16}}, "0.5", "2026-07")) == "25.00");
    CHECK(settlement.rests.empty());
    CHECK(counter(settlement, t, kJuly) == quantity("10"));
}

TEST_CASE("no cadence changes what whole steps charge") {
    Tariff t = beijing_water();
    t.versions[0].quantity_step = quantity("1");
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        CAPTURE(seed);
        std::mt19937_64 random(seed);
        Settlement settlement;
        std::int64_t total = 0, posted = 0;
        for (int poll = 0; poll < 200; ++poll) {
            const auto step = static_cast<std::int64_t>(random() % 3'000);
            total += step;
            REQUIRE(accrue(settlement, t, {kJuly}, "2026", Milli{step}) == Accrual::ok);
            posted += post(settlement).count;
            // Tons through 180 / 260 at 5, 7 and 9.
            const std::int64_t tons = total / 1'000;
            const std::int64_t fen = 500 * std::min<std::int64_t>(tons, 180) +
                                     700 * std::clamp<std::int64_t>(tons - 180, 0, 80) +
                                     900 * std::max<std::int64_t>(tons - 260, 0);
            REQUIRE(posted == fen);
        }
    }
}

TEST_CASE("a minimum is a line that fills the month up, and gives way to later use") {
    const Tariff t = zhejiang_bands();
    Settlement settlement;
    const LineKey key = minimum_line(t, t.versions[0], "2026-07");
    CHECK_FALSE(settle_minimum(settlement, key, Fen{}));
    CHECK(settlement.lines.empty());
    // 10 x 0.568 = 5.68; another tariff's and another month's lines do not count.
    static_cast<void>(use(settlement, t, {kJuly, kPeak}, "10", "2026-07"));
    static_cast<void>(use(settlement, t, {kJuly, kPeak}, "10", "2026-06"));
    static_cast<void>(use(settlement, flat("1.00"), {kJuly}, "10", "2026-07"));
    REQUIRE(settle_minimum(settlement, key, fen("12.00")));
    const Line& line = settlement.lines.at(key);
    CHECK(format(line.price) == "1.00");
    CHECK(format(line.quantity) == "6.320");
    CHECK(format(target(line)) == "6.32");
    CHECK(format(post(settlement)) == "6.32");
    CHECK_FALSE(settle_minimum(settlement, key, fen("12.00")));
    // A late kilowatt-hour takes its price from the line; a lot of them leave it at 0.
    REQUIRE(accrue(settlement, t, {kJuly, kPeak}, "2026-07", quantity("1")) == Accrual::ok);
    REQUIRE(settle_minimum(settlement, key, fen("12.00")));
    CHECK(format(post(settlement)) == "0.00");
    CHECK(format(line.posted) == "5.75");
    REQUIRE(accrue(settlement, t, {kJuly, kPeak}, "2026-07", quantity("100")) == Accrual::ok);
    REQUIRE(settle_minimum(settlement, key, fen("12.00")));
    CHECK(line.quantity == Milli{0});
    CHECK(format(post(settlement)) == "51.05");  // 56.80 - 5.75
    CHECK(settlement.lines.contains(key));
    CHECK(is_minimum(key));
    // The largest that is allowed is money still.
    const LineKey august = minimum_line(t, t.versions[0], "2026-08");
    REQUIRE(settle_minimum(settlement, august, kFeeMax));
    CHECK(target(settlement.lines.at(august)) == kFeeMax);
}

TEST_CASE("one account, two tariffs: neither moves the other's lines or counters") {
    const Tariff light = beijing_electricity(), water = beijing_water();
    Settlement settlement;
    CHECK(format(use(settlement, light, {kJuly}, "2881", "2026-07")) == "1406.84");
    CHECK(format(use(settlement, water, {kJuly}, "181", "2026-07")) == "907.00");
    CHECK(counter(settlement, light, kJuly) == quantity("2881"));
    CHECK(counter(settlement, water, kJuly) == quantity("181"));
    CHECK(settlement.lines.size() == 4);
}

TEST_CASE("what would pass the limit of a line leaves bands and tiers as they were") {
    const Tariff t = zhejiang_bands();
    Settlement settlement;
    REQUIRE(accrue(settlement, t, {kJuly, kPeak}, "2026-07", kQuantityMax) == Accrual::ok);
    const Settlement full = settlement;
    CHECK(accrue(settlement, t, {kJuly, kPeak}, "2026-07", Milli{1}) == Accrual::too_much);
    // The next year's counter is empty, the line of this scope is not.
    CHECK(accrue(settlement, t, {{2027, 1, 1}, kPeak}, "2026-07", Milli{1}) == Accrual::too_much);
    CHECK(settlement == full);
    CHECK(accrue(settlement, t, {{2027, 1, 1}, kPeak}, "2027-01", Milli{1}) == Accrual::ok);
}
