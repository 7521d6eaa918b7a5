// Replays: stored readings priced anew give what was posted day by day, and the difference where a
// reading or a price was another one.
#include "daemon/core/replay.hpp"

#include <random>

#include "tests/support/catch.hpp"
#include "tests/unit/tariffs.hpp"
#include "tests/unit/zones.hpp"

using namespace gatehouse;
using namespace gatehouse::test;

namespace {

const Calendar kCalendar(std::vector<CalendarDay>{{{2026, 7, 1}, DayKind::holiday, ""}});

struct Prices {
    std::vector<Tariff> tariffs;
    const Tariff* operator()(const std::string& id) const {
        for (const Tariff& tariff : tariffs)
            if (tariff.tariff == id) return &tariff;
        return nullptr;
    }
};

ReplayRow row(std::uint64_t seq, UtcMs at, const char* total,
              std::optional<ReplayTerms> terms = std::nullopt, const char* meter = "e-1") {
    return {seq, meter, at, quantity(total), std::move(terms)};
}

std::vector<std::string> told(const std::vector<Due>& dues) {
    std::vector<std::string> texts;
    for (const Due& one : dues)
        texts.push_back(one.key.scope + " " + format_date(one.key.version) + " " + one.key.band +
                        (one.key.tier != 0 ? std::to_string(one.key.tier) : "") + " " +
                        format(one.quantity) + " " + format(one.amount));
    return texts;
}

using Rows = std::vector<std::string>;

}  // namespace

TEST_CASE("V16 as a replay: without the wrong reading 188.41 come back, on its own line") {
    const Prices prices{{beijing_electricity()}};
    ReplayAccount account;
    account.seeds = {{"beijing-home-electricity", {2026, 7, 1}, quantity("2800")}};
    account.rows = {row(1, at({2026, 7, 1}, 8, 0), "0", ReplayTerms{"beijing-home-electricity"}),
                    row(2, at({2026, 7, 2}, 0, 0), "500")};
    const Replayed wrong = replay(account, prices, kCalendar, kZone);
    CHECK(wrong.unpriced == 0);
    Settlement posted = wrong.settlement;
    Fen sum;
    for (const Due& one : due(posted)) {
        sum += one.amount;
        mark_posted(posted, one);
    }
    CHECK(format(sum) == "265.15");
    account.rows[1].total = quantity("150");
    Replayed right = replay(account, prices, kCalendar, kZone);
    carry_posted(right.settlement, posted);
    CHECK(told(due(right.settlement)) == Rows{"2026-07 2020-01-01 2 70.000 -188.41"});
    CHECK(counter(right.settlement, prices.tariffs[0], {2026, 7, 2}) == quantity("2950"));
}

TEST_CASE("a price that comes late empties the old version's lines and fills its own") {
    // 1 kWh an hour over two days at 0.50; then a version with bands of the second day on.
    Prices prices{{flat("0.50")}};
    ReplayAccount account;
    account.rows = {row(1, at({2026, 6, 29}, 0, 0), "0", ReplayTerms{"flat"}),
                    row(2, at({2026, 6, 30}, 0, 0), "24"), row(3, at({2026, 7, 1}, 0, 0), "48")};
    Settlement posted = replay(account, prices, kCalendar, kZone).settlement;
    for (const Due& one : due(posted)) mark_posted(posted, one);
    TariffVersion late = zhejiang_bands().versions[0];
    late.valid_from = {2026, 6, 30};
    late.ladder = LadderPeriod::none;
    late.tiers.clear();
    prices.tariffs[0].versions.push_back(late);
    Replayed now = replay(account, prices, kCalendar, kZone);
    carry_posted(now.settlement, posted);
    // 24 x 0.50 come back; 14 x 0.568 = 7.952 and 10 x 0.288 are due, though no freeze stands at
    // 08:00 and 22:00.
    CHECK(told(due(now.settlement)) == Rows{"2026-06 2020-01-01 1 24.000 -12.00",
                                            "2026-06 2026-06-30 peak 14.000 7.95",
                                            "2026-06 2026-06-30 valley 10.000 2.88"});
    CHECK(format(outstanding(now.settlement)) == "-1.17");
}

TEST_CASE("a meter that leaves the account, changes its terms or comes late is charged as it was") {
    Tariff limited = guangzhou();
    limited.versions[0].per_person = PerPerson{5, quantity("100")};
    const std::string id = limited.tariff;
    const Prices prices{{limited, flat("1.00")}};
    ReplayAccount account;
    const auto july = [](int day, int hour) { return at({2026, 7, day}, hour, 0); };
    account.rows = {
        row(1, july(1, 0), "0", ReplayTerms{id, 4}),
        row(2, july(1, 0), "1000", ReplayTerms{"flat"}, "e-2"),
        row(3, july(1, 12), "300", ReplayTerms{id, 5}),  // 40 in tier 2
        row(4, july(2, 0), "400"),                       // 60 to 360, then 40
        row(5, july(2, 0), "1010", std::nullopt, "e-2"),
        row(6, july(2, 12), "1012", ReplayTerms{""}, "e-2"),  // it leaves
        row(7, july(3, 0), "1500", std::nullopt, "e-2"),
        row(8, july(3, 0), "390"),  // a figure that is lower moves nothing
        row(9, july(4, 0), "401"),
    };
    Replayed now = replay(account, prices, kCalendar, kZone);
    CHECK(now.unpriced == 0);
    std::vector<std::string> lines;
    for (const auto& [key, line] : now.settlement.lines)
        lines.push_back(key.tariff + " " + std::to_string(key.tier) + " " + format(line.quantity));
    // The figure of row 8 is where the next one begins: 390 to 401.
    CHECK(lines == Rows{"flat 1 12.000", id + " 1 320.000", id + " 2 91.000"});
}

TEST_CASE("minimums of ended months, trial days, and what no version prices") {
    Tariff minimum = flat("1.00");
    minimum.versions[0].valid_from = {2026, 6, 1};
    minimum.versions[0].minimum = fen("30.00");
    const Prices prices{{minimum}};
    ReplayAccount account;
    account.rows = {row(1, at({2026, 6, 1}, 0, 0), "0", ReplayTerms{"flat"})};
    for (int day = 1; day <= 31; ++day) {
        const LocalDate next = date_from_days(days_since_epoch({2026, 6, 1}) + day);
        account.rows.push_back(
            row(static_cast<std::uint64_t>(day) + 1, at(next, 0, 0), std::to_string(day).c_str()));
    }
    account.live_from = LocalDate{2026, 6, 6};
    account.months_ended = {{{2026, 6, 30}, "flat"}};
    // One a day: the first five are before the account went live, 25 more in June.
    const Settlement settlement = replay(account, prices, kCalendar, kZone).settlement;
    const LineKey key = minimum_line(minimum, minimum.versions[0], "2026-06");
    CHECK(format(target(settlement.lines.at(key))) == "5.00");
    CHECK(format(outstanding(settlement)) == "31.00");
    // May has no price: what it used is charged with the first day that has one.
    account.live_from.reset();
    account.months_ended.clear();
    account.rows = {row(1, at({2026, 5, 30}, 0, 0), "0", ReplayTerms{"flat"}),
                    row(2, at({2026, 5, 31}, 0, 0), "3"), row(3, at({2026, 6, 1}, 0, 0), "5"),
                    row(4, at({2026, 6, 2}, 0, 0), "6")};
    const Replayed early = replay(account, prices, kCalendar, kZone);
    CHECK(early.unpriced == 2);
    CHECK(format(outstanding(early.settlement)) == "6.00");
    CHECK(early.marks.at("e-1") == ReplayMark{4, quantity("6")});
    const std::vector<ReplayPart> parts{{"e-1", 1, 4, quantity("6")}};
    CHECK(early.parts.begin()->second == parts);
}

TEST_CASE("a meter that was away for longer than anybody split has its use in one piece") {
    Tariff bands = zhejiang_bands();
    const Prices prices{{bands}};
    ReplayAccount account;
    account.rows = {row(1, at({2026, 6, 1}, 0, 0), "0", ReplayTerms{bands.tariff}),
                    row(2, at({2026, 6, 4}, 0, 0), "72"), row(3, at({2026, 6, 5}, 0, 0), "96")};
    const Replayed now = replay(account, prices, kCalendar, kZone);
    // 72 in the last interval before its end, the valley; then a day that is split by itself.
    std::vector<std::string> lines;
    for (const auto& [key, line] : now.settlement.lines)
        if (!key.band.empty()) lines.push_back(key.band + " " + format(line.quantity));
    CHECK(lines == Rows{"peak 14.000", "valley 82.000"});
}

TEST_CASE("what stands otherwise in the books than the figures come to is named") {
    const Prices prices{{beijing_electricity()}};
    ReplayAccount account;
    const std::string id = prices.tariffs[0].tariff;
    account.seeds = {{id, {2026, 7, 1}, quantity("2800"), LocalDate{2026, 1, 1}}};
    account.rows = {row(1, at({2026, 7, 1}, 8, 0), "0", ReplayTerms{id}),
                    row(2, at({2026, 7, 2}, 0, 0), "100")};
    const Settlement right = replay(account, prices, kCalendar, kZone).settlement;
    CHECK_FALSE(replay_fault(right, right));
    Settlement wrong = right;
    for (auto& [key, line] : wrong.lines) line.posted = fen("1.00");
    CHECK_FALSE(replay_fault(right, wrong));
    wrong.counters.begin()->second += quantity("1");
    REQUIRE(replay_fault(right, wrong));
    CHECK(replay_fault(right, wrong)->words ==
          "ladder counter of tariff " + id +
              " from 2026-01-01: the readings come to 2900.000 and 2901.000 stands there");
    wrong = right;
    wrong.lines.begin()->second.quantity += quantity("1");
    REQUIRE(replay_fault(right, wrong));
    CHECK(replay_fault(right, wrong)->line == right.lines.begin()->first);
    wrong = right;
    wrong.rests["flat"] = quantity("0.5");
    CHECK(replay_fault(right, wrong)->words ==
          "rest of tariff flat: the readings come to 0.000 and 0.500 stands there");
    // A ladder that was changed since begins at 0, whatever the old system had counted.
    account.seeds[0].start = LocalDate{2026, 7, 1};
    CHECK(counter(replay(account, prices, kCalendar, kZone).settlement, prices.tariffs[0],
                  {2026, 7, 2}) == quantity("100"));
}

TEST_CASE("however the rows lie, a replay gives what was accrued freeze by freeze") {
    Tariff bands = guangzhou_bands("0.99500875", "0.22914475");
    Tariff steps = beijing_water();
    steps.versions[0].quantity_step = quantity("1");
    const Prices prices{{bands, steps}};
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        CAPTURE(seed);
        std::mt19937_64 random(seed);
        ReplayAccount account;
        Settlement by_freeze;
        const UtcMs begin = at({2026, 6, 28}, 0, 0);
        account.rows = {row(1, begin, "0", ReplayTerms{bands.tariff}),
                        row(2, begin, "0", ReplayTerms{steps.tariff}, "w-1")};
        std::int64_t light = 0, water = 0;
        std::uint64_t seq = 2;
        for (int hour = 1; hour <= 24 * 6; ++hour) {
            // A row at every hour, which all edges are; the replay sees them all.
            const UtcMs now = begin + hour * std::int64_t{3'600'000};
            const Milli used{static_cast<std::int64_t>(random() % 9'000)};
            const Milli drawn{static_cast<std::int64_t>(random() % 2'000)};
            const Interval when = interval_at(now - 1, kCalendar, kZone, 0);
            const std::string scope = month_scope(when.day);
            REQUIRE(accrue(by_freeze, bands, when, scope, used) == Accrual::ok);
            REQUIRE(accrue(by_freeze, steps, when, scope, drawn) == Accrual::ok);
            light += used.count;
            water += drawn.count;
            account.rows.push_back({++seq, "e-1", now, Milli{light}, std::nullopt});
            account.rows.push_back({++seq, "w-1", now, Milli{water}, std::nullopt});
        }
        REQUIRE(replay(account, prices, kCalendar, kZone).settlement == by_freeze);
    }
}
