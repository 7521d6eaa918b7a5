#include "daemon/core/settlement.hpp"

#include <random>

#include "tests/support/catch.hpp"
#include "tests/unit/tariffs.hpp"

using namespace gatehouse;
using namespace gatehouse::test;

namespace {

const LocalDate kDay{2026, 7, 15};

Fen post(Settlement& settlement) {
    Fen sum;
    for (const Due& item : due(settlement)) {
        sum += item.amount;
        mark_posted(settlement, item);
    }
    return sum;
}

// Uses a quantity in the scope and posts it; what was posted.
Fen use(Settlement& settlement, const Tariff& tariff, Milli amount,
        const std::string& scope = "2026") {
    REQUIRE(accrue(settlement, tariff, {kDay}, scope, amount) == Accrual::ok);
    return post(settlement);
}
Fen use(Settlement& settlement, const Tariff& tariff, const char* amount,
        const std::string& scope = "2026") {
    return use(settlement, tariff, quantity(amount), scope);
}

std::vector<std::string> line_targets(const Settlement& settlement) {
    std::vector<std::string> texts;
    for (const auto& [key, line] : settlement.lines) texts.push_back(format(target(line)));
    return texts;
}

std::string date_text(int month) {
    return std::string("2026-") + (month < 10 ? "0" : "") + std::to_string(month);
}

}  // namespace

TEST_CASE("V1: ten thousand small polls post what the register says") {
    struct Row {
        const char* step;
        const char* total;
    };
    const Row rows[] = {
        {"0.01", "52.83"},  {"0.02", "105.66"}, {"0.03", "158.49"},
        {"0.05", "264.15"}, {"0.10", "528.30"},
    };
    const Tariff t = flat("0.5283");
    for (const Row& row : rows) {
        Settlement settlement;
        Fen total;
        int postings = 0;
        const Milli step = quantity(row.step);
        for (int poll = 1; poll <= 10'000; ++poll) {
            const Fen posted = use(settlement, t, step);
            total += posted;
            postings += posted.count != 0;
            // In 1e-11 of the currency: never further than half a fen from the exact sum.
            const std::int64_t exact = 52'830'000 * step.count * poll;
            REQUIRE(std::abs(total.count * 1'000'000'000 - exact) <= 500'000'000);
        }
        CHECK(format(total) == row.total);
        if (step == Milli{10}) CHECK(postings == 5283);
    }
}

TEST_CASE("V2, V6: published worked examples over the ladder year") {
    struct Row {
        Tariff tariff;
        const char* used;
        std::vector<std::string> lines;
        const char* total;
    };
    const Row rows[] = {
        {beijing_electricity(), "1800", {"878.94"}, "878.94"},
        {beijing_electricity(), "5000", {"1406.30", "1033.54", "157.66"}, "2597.50"},
        {beijing_water(), "300", {"900.00", "560.00", "360.00"}, "1820.00"},
        {beijing_water(), "203.7", {"900.00", "165.90"}, "1065.90"},
    };
    for (const Row& row : rows) {
        Settlement settlement;
        CHECK(format(use(settlement, row.tariff, row.used)) == row.total);
        CHECK(line_targets(settlement) == row.lines);
    }
}

TEST_CASE("V3a, V3b, V6 step: a quantity across a limit is split, not priced whole") {
    struct Row {
        Tariff tariff;
        const char *before, *before_total, *step, *posted;
    };
    const Row rows[] = {
        {beijing_electricity(), "2879.37", "1406.00", "1.48", "0.76"},
        {beijing_electricity(), "2700", "1318.41", "300", "152.49"},
        {beijing_water(), "180", "900.00", "0.001", "0.01"},
    };
    for (const Row& row : rows) {
        Settlement settlement;
        CHECK(format(use(settlement, row.tariff, row.before)) == row.before_total);
        CHECK(format(use(settlement, row.tariff, row.step)) == row.posted);
    }
}

TEST_CASE("V5a, V5d, V5e: Guangzhou's July as a month ladder, rounded per line") {
    struct Row {
        const char* used;
        std::vector<std::string> lines;
        const char* total;
    };
    const Row rows[] = {
        {"650", {"153.11", "217.22", "44.44"}, "414.77"},
        {"260.00", {"153.11"}, "153.11"},
        {"260.01", {"153.11", "0.01"}, "153.12"},
    };
    for (const Row& row : rows) {
        Settlement settlement;
        CHECK(format(use(settlement, guangzhou(), row.used, "2026-07")) == row.total);
        CHECK(line_targets(settlement) == row.lines);
    }
}

TEST_CASE("V11: a replaced meter carries the ladder counter on") {
    const Tariff t = beijing_electricity();
    Settlement settlement;
    CHECK(format(use(settlement, t, "2870")) == "1401.42");
    REQUIRE(accrue(settlement, t, {kDay}, "2026", quantity("4321.50") - quantity("4318.20")) ==
            Accrual::ok);
    REQUIRE(accrue(settlement, t, {kDay}, "2026", quantity("20.10") - quantity("12.30")) ==
            Accrual::ok);
    CHECK(format(post(settlement)) == "5.47");
    CHECK(counter(settlement, t, kDay) == quantity("2881.10"));
}

TEST_CASE("V13: a staircase of polls posts each fen once") {
    const char* cumulative[] = {"0.01", "0.02", "0.03", "0.04", "0.05", "0.06", "0.07", "0.10"};
    const char* totals[] = {"0.00", "0.01", "0.01", "0.02", "0.02", "0.03", "0.03", "0.05"};
    const int deltas[] = {0, 1, 0, 1, 0, 1, 0, 2};
    Settlement settlement;
    Milli before;
    Fen total;
    for (int i = 0; i < 8; ++i) {
        const Milli now = quantity(cumulative[i]);
        const Fen delta = use(settlement, beijing_electricity(), now - before);
        before = now;
        total += delta;
        CHECK(delta == Fen{deltas[i]});
        CHECK(format(total) == totals[i]);
    }
}

// A prepaid household owes no late fee; what the rule of one would cost is a line's arithmetic.
TEST_CASE("V15: a thousandth of 57.30 for each of twelve days, and at least 1.00") {
    const Tariff by_day = flat("0.0573");
    Settlement settlement;
    CHECK(format(use(settlement, by_day, "12", "2026-07")) == "0.69");  // 0.6876
    const LineKey least = minimum_line(by_day, by_day.versions.front(), "2026-07");
    REQUIRE(settle_minimum(settlement, least, Fen{100}));
    CHECK(format(post(settlement)) == "0.31");
}

TEST_CASE("V18: month lines add up on paper, a year's line alternates") {
    const Tariff t = beijing_electricity();
    Settlement by_month, by_year;
    Fen months, year;
    for (int month = 1; month <= 12; ++month) {
        const LocalDate day{2026, month, 10};
        REQUIRE(accrue(by_month, t, {day}, date_text(month), quantity("100.01")) == Accrual::ok);
        const Fen posted = post(by_month);
        CHECK(format(posted) == "48.83");
        months += posted;
        REQUIRE(accrue(by_year, t, {day}, "2026", quantity("100.01")) == Accrual::ok);
        const Fen of_year = post(by_year);
        CHECK(format(of_year) == (month % 2 == 1 ? "48.83" : "48.84"));
        year += of_year;
    }
    CHECK(format(months) == "585.96");
    CHECK(format(year) == "586.02");
    CHECK(by_month.lines.size() == 12);
    CHECK(counter(by_month, t, {2026, 12, 31}) == quantity("1200.12"));
}

TEST_CASE("V14: consumption uses the counter of the ladder year in which it lies") {
    const Tariff t = beijing_electricity();
    Settlement settlement;
    seed_counter(settlement, t, {2026, 12, 31}, quantity("4900"));
    REQUIRE(accrue(settlement, t, {{2026, 12, 31}}, "2026", quantity("1.20")) == Accrual::ok);
    REQUIRE(accrue(settlement, t, {{2027, 1, 1}}, "2027", quantity("1.20")) == Accrual::ok);
    CHECK(line_targets(settlement) == std::vector<std::string>{"0.95", "0.59"});
    CHECK(counter(settlement, t, {2026, 12, 31}) == quantity("4901.20"));
    CHECK(counter(settlement, t, {2027, 1, 1}) == quantity("1.20"));
}

TEST_CASE("a version change inside a month opens lines at zero and keeps the counter") {
    Tariff t = beijing_electricity();
    t.versions.push_back(t.versions[0]);
    t.versions[1].valid_from = {2026, 7, 16};
    t.versions[1].tiers[0].price = price("0.6000");
    Settlement settlement;
    REQUIRE(accrue(settlement, t, {{2026, 7, 15}}, "2026-07", quantity("3")) == Accrual::ok);
    REQUIRE(accrue(settlement, t, {{2026, 7, 16}}, "2026-07", quantity("3")) == Accrual::ok);
    CHECK(line_targets(settlement) == std::vector<std::string>{"1.46", "1.80"});
    CHECK(counter(settlement, t, {2026, 7, 20}) == quantity("6"));
}

TEST_CASE("an opening ladder decides the tier and charges nothing itself") {
    const Tariff t = beijing_electricity();
    Settlement settlement;
    seed_counter(settlement, t, kDay, quantity("2880"));
    CHECK(due(settlement).empty());
    CHECK(format(use(settlement, t, "10", "2026-07")) == "5.38");
    CHECK(settlement.lines.begin()->first.tier == 2);
}

TEST_CASE("what cannot be priced changes nothing") {
    Tariff t = beijing_electricity();
    t.versions[0].valid_from = {2026, 7, 16};
    Settlement settlement;
    const Settlement empty;
    CHECK(accrue(settlement, t, {{2026, 7, 15}}, "2026-07", Milli{1}) == Accrual::no_price);
    CHECK(counter(settlement, t, {2026, 7, 15}) == Milli{0});
    CHECK(settlement == empty);
    CHECK(accrue(settlement, t, {{2026, 7, 16}}, "2026-07", Milli{0}) == Accrual::ok);
    CHECK(settlement == empty);
    const Milli too_much = kQuantityMax + Milli{1};
    CHECK(accrue(settlement, t, {{2026, 7, 16}}, "2026-07", too_much) == Accrual::too_much);
    CHECK(settlement == empty);
    CHECK(accrue(settlement, t, {{2026, 7, 16}}, "2026-07", kQuantityMax) == Accrual::ok);
    const Settlement full = settlement;
    CHECK(accrue(settlement, t, {{2026, 7, 16}}, "2026-07", Milli{1}) == Accrual::too_much);
    CHECK(settlement == full);
}

TEST_CASE("the dearest price times the largest quantity is money still") {
    CHECK(target(kPriceMax, kQuantityMax) == Fen{1'000'000'000'000'000});
    CHECK(target(price("0.5"), Milli{10}) == Fen{1});  // 0.005: half up
    CHECK(target(Price{49'999'999}, Milli{10}) == Fen{0});
    CHECK(target(Price{0}, kQuantityMax) == Fen{0});
}

TEST_CASE("settled lines and old counters are forgotten, unsettled ones are not") {
    const Tariff t = beijing_electricity();
    Settlement settlement;
    (void)use(settlement, t, "10", "2026-05");
    (void)use(settlement, t, "10", "2026-07");
    REQUIRE(accrue(settlement, t, {kDay}, "2026-06", quantity("10")) == Accrual::ok);
    forget_settled(settlement, "2026-07", {2026, 1, 1});
    CHECK(settlement.lines.size() == 2);
    CHECK(settlement.lines.begin()->first.scope == "2026-06");
    CHECK(counter(settlement, t, kDay) == quantity("30"));
    CHECK(format(outstanding(settlement)) == "4.88");
    forget_settled(settlement, "2026-07", {2026, 1, 2});
    CHECK(counter(settlement, t, kDay) == Milli{0});
}

TEST_CASE("the total at an edge is floored between its neighbours") {
    struct Row {
        std::int64_t total0, t0, total1, t1, edge, expected;
    };
    const Row rows[] = {
        {1000, 0, 7000, 600'000, 300'000, 4000},
        {0, 0, 10, 3, 1, 3},
        {0, 0, 10, 3, 2, 6},
        {5, 100, 5, 200, 150, 5},
        {0, 100, 10, 200, 100, 0},
        {0, 100, 10, 200, 99, 0},
        {0, 100, 10, 200, 200, 10},
        {0, 100, 10, 200, 201, 10},
        // Ten years and a trillion: the product needs more than 64 bits.
        {0, 0, 1'000'000'000'000, 315'576'000'000, 157'788'000'000, 500'000'000'000},
    };
    for (const Row& row : rows) {
        CHECK(total_at_edge(Milli{row.total0}, row.t0, Milli{row.total1}, row.t1, row.edge) ==
              Milli{row.expected});
    }
}

// An independent account of what is right: the register's final figure through the tiers, once, in
// plain integers of 1e-11.
static std::int64_t fen_of_year(std::int64_t milli) {
    const std::int64_t limits[] = {2'880'000, 4'800'000, INT64_MAX};
    const std::int64_t prices[] = {48'830'000, 53'830'000, 78'830'000};
    std::int64_t below = 0;
    std::int64_t sum = 0;
    for (int tier = 0; tier < 3 && milli > below; ++tier) {
        const std::int64_t part = std::min(milli, limits[tier]) - below;
        sum += (prices[tier] * part + 500'000'000) / 1'000'000'000;
        below = limits[tier];
    }
    return sum;
}

TEST_CASE("telescoping: no cadence, duplicate or restart changes what is posted") {
    const Tariff t = beijing_electricity();
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        CAPTURE(seed);
        std::mt19937_64 random(seed);
        const auto draw = [&](std::uint64_t below) {
            return static_cast<std::int64_t>(random() % below);
        };
        // What is on disk, and what the process holds; a restart loses the difference.
        Settlement stored, memory;
        std::int64_t stored_total = 0, memory_total = 0, meter = 0, posted = 0;
        const std::uint64_t stride = random() % 2 == 0 ? 50 : 40'000;
        for (int poll = 0; poll < 400; ++poll) {
            const std::int64_t what = draw(10);
            if (what >= 2) meter += draw(stride);  // else a duplicate
            REQUIRE(accrue(memory, t, {kDay}, "2026", Milli{meter - memory_total}) == Accrual::ok);
            memory_total = meter;
            if (what == 3) {
                memory = stored;
                memory_total = stored_total;
            } else if (what >= 7) {
                for (const Due& item : due(memory)) {
                    REQUIRE(item.amount.count > 0);
                    posted += item.amount.count;
                    mark_posted(memory, item);
                }
                stored = memory;
                stored_total = memory_total;
                REQUIRE(posted == fen_of_year(stored_total));
            }
        }
        REQUIRE(accrue(memory, t, {kDay}, "2026", Milli{meter - memory_total}) == Accrual::ok);
        // The unposted part priced on a copy is what a posting would then book.
        const Fen unposted = outstanding(memory);
        posted += post(memory).count;
        REQUIRE(posted == fen_of_year(meter));
        REQUIRE(unposted.count == posted - fen_of_year(stored_total));
    }
}
