#include "daemon/core/alert.hpp"

#include "tests/support/catch.hpp"
#include "tests/unit/tariffs.hpp"
#include "tests/unit/zones.hpp"

using namespace gatehouse;
using namespace gatehouse::test;

namespace {

Thresholds limits() {
    Thresholds out;
    out.low_balance = fen("50.00");
    out.critical_balance = fen("10.00");
    out.clear_margin = fen("5.00");
    out.low_days = 7;
    out.critical_days = 3;
    out.amount_max_days = 30;
    return out;
}

LevelInput input(int level, const char* balance, std::optional<int> days = std::nullopt) {
    LevelInput out;
    out.level = level;
    out.balance = fen(balance);
    out.days_left = days;
    return out;
}

int level_of(const LevelInput& in, const Thresholds& thresholds = limits()) {
    return judge_level(in, thresholds).level;
}

AlertSettings settings() {
    AlertSettings out;
    out.base = {fen("50.00"), fen("10.00"), fen("5.00"), 7, 3, std::optional<int>(30)};
    return out;
}

}  // namespace

TEST_CASE("thresholds: the account's own, then service and use, then service, then the base") {
    AlertSettings tables = settings();
    tables.overrides["electricity"].low_balance = fen("60.00");
    tables.overrides["electricity"].low_days = 10;
    tables.overrides["electricity.shop"].low_balance = fen("500.00");
    tables.overrides["electricity.shop"].amount_max_days = std::optional<int>();
    tables.overrides["water"].clear_margin = fen("1.00");
    Account account;
    const Thresholds home = thresholds_of(account, Use::home, tables);
    CHECK(home.low_balance == fen("60.00"));
    CHECK(home.low_days == 10);
    CHECK(home.critical_balance == fen("10.00"));
    CHECK(home.clear_margin == fen("5.00"));
    CHECK(home.amount_max_days == 30);
    CHECK(home.overdraft == Fen{0});
    const Thresholds shop = thresholds_of(account, Use::shop, tables);
    CHECK(shop.low_balance == fen("500.00"));
    CHECK(shop.low_days == 10);
    CHECK_FALSE(shop.amount_max_days);
    account.low_balance = fen("1.00");
    account.critical_days = 0;
    account.overdraft = fen("20.00");
    const Thresholds own = thresholds_of(account, Use::shop, tables);
    CHECK(own.low_balance == fen("1.00"));
    CHECK(own.critical_days == 0);
    CHECK(own.overdraft == fen("20.00"));
    account = {};
    account.service = AccountService::water;
    CHECK(thresholds_of(account, Use::home, tables).clear_margin == fen("1.00"));
    account.service = AccountService::all;
    CHECK(thresholds_of(account, Use::shop, tables) == limits());
}

TEST_CASE("V19: two alerts and one clearing, by hysteresis") {
    struct Row {
        const char* balance;
        const char* transition;
    };
    const Row rows[] = {
        {"50.01", ""}, {"50.00", "raised"},  {"49.98", ""}, {"50.30", ""},       {"54.99", ""},
        {"49.00", ""}, {"55.00", "cleared"}, {"54.90", ""}, {"50.00", "raised"},
    };
    Thresholds amount_only = limits();
    amount_only.low_days = amount_only.critical_days = 0;
    std::optional<AlertLife> life;
    UtcMs now = 0;
    for (const Row& row : rows) {
        const int level = level_of(input(life ? life->level : 0, row.balance), amount_only);
        const AlertStep step = step_level(life, level, ++now);
        CAPTURE(row.balance);
        CHECK(std::string(step.state ? to_string(*step.state) : "") == row.transition);
        life = step.life;
    }
    REQUIRE(life);
    CHECK(life->level == 1);
}

TEST_CASE("levels by amount and by days, with what gives them") {
    using R = AlertReason;
    struct Row {
        int before;
        const char* balance;
        std::optional<int> days;
        LevelJudgement expected;
    };
    const Row rows[] = {
        {0, "50.01", 8, {0, R::balance, fen("50.00"), 0}},
        {0, "50.00", 8, {1, R::balance, fen("50.00"), 0}},
        {0, "50.00", {}, {1, R::balance, fen("50.00"), 0}},
        {0, "10.01", {}, {1, R::balance, fen("50.00"), 0}},
        {0, "10.00", {}, {2, R::balance, fen("10.00"), 0}},
        {0, "0.01", {}, {2, R::balance, fen("10.00"), 0}},
        {0, "0.00", {}, {3, R::balance, Fen{0}, 0}},
        {0, "-500.00", {}, {3, R::balance, Fen{0}, 0}},
        {0, "900.00", 8, {0, R::balance, fen("50.00"), 0}},
        {0, "900.00", 7, {1, R::days, fen("50.00"), 7}},
        {0, "900.00", 4, {1, R::days, fen("50.00"), 7}},
        {0, "900.00", 3, {2, R::days, fen("10.00"), 3}},
        {1, "900.00", 8, {1, R::days, fen("50.00"), 7}},
        {1, "900.00", 9, {0, R::balance, fen("50.00"), 0}},
        {2, "900.00", 4, {2, R::days, fen("10.00"), 3}},
        {2, "900.00", 5, {1, R::days, fen("50.00"), 7}},
        {2, "14.99", {}, {2, R::balance, fen("10.00"), 0}},
        {2, "15.00", {}, {1, R::balance, fen("50.00"), 0}},
        {3, "0.01", {}, {2, R::balance, fen("10.00"), 0}},
        // The amount rule is silent while the money lasts long; 30 days are not more than 30.
        {0, "20.00", 31, {0, R::balance, fen("50.00"), 0}},
        {0, "20.00", 30, {1, R::balance, fen("50.00"), 0}},
        {1, "20.00", 31, {0, R::balance, fen("50.00"), 0}},
    };
    for (const Row& row : rows) {
        CAPTURE(row.before, row.balance, row.days.value_or(-1));
        CHECK(judge_level(input(row.before, row.balance, row.days), limits()) == row.expected);
    }
}

TEST_CASE("days that are off and an amount rule that nothing silences") {
    Thresholds off = limits();
    off.low_days = off.critical_days = 0;
    CHECK(level_of(input(0, "900.00", 0), off) == 0);
    CHECK(level_of(input(1, "900.00", 1), off) == 0);
    Thresholds loud = limits();
    loud.amount_max_days.reset();
    CHECK(level_of(input(0, "20.00", 999), loud) == 1);
}

TEST_CASE("level 4 begins below the overdraft, and only where there is one") {
    Thresholds twenty = limits();
    twenty.overdraft = fen("20.00");
    CHECK(level_of(input(0, "-20.00"), twenty) == 3);
    const LevelJudgement beyond = judge_level(input(3, "-20.01"), twenty);
    CHECK(beyond == LevelJudgement{4, AlertReason::balance, fen("-20.00"), 0});
    CHECK(level_of(input(4, "-20.00"), twenty) == 3);
    CHECK(level_of(input(3, "-20.01")) == 3);
}

TEST_CASE("a vacant unit is judged by days and by an empty account") {
    LevelInput vacant = input(0, "20.00");
    vacant.vacant = true;
    CHECK(level_of(vacant) == 0);
    vacant.days_left = 7;
    CHECK(level_of(vacant) == 1);
    vacant.balance = fen("0.00");
    CHECK(level_of(vacant) == 3);
}

TEST_CASE("a top-up judges without margin, also under quarantine") {
    LevelInput topup = input(2, "50.01");
    CHECK(level_of(topup) == 1);  // by drift the margin keeps it
    topup.topup = true;
    CHECK(level_of(topup) == 0);
    topup.held = true;
    topup.may_clear = false;
    CHECK(level_of(topup) == 0);
    topup.balance = fen("50.00");
    CHECK(level_of(topup) == 1);
    topup.balance = fen("900.00");
    topup.level = 1;
    topup.days_left = 8;
    CHECK(level_of(topup) == 0);
    topup.days_left = 7;
    CHECK(level_of(topup) == 1);
}

TEST_CASE("while the meters of a restart are awaited not even a top-up lowers a level") {
    LevelInput topup = input(2, "900.00");
    topup.topup = topup.catching_up = true;
    CHECK(level_of(topup) == 2);
    topup.level = 0;
    topup.balance = fen("9.00");
    CHECK(level_of(topup) == 2);
    topup.level = 2;
    topup.balance = fen("900.00");
    topup.catching_up = false;
    CHECK(level_of(topup) == 0);
}

TEST_CASE("under quarantine and after a restart a level rises but does not fall by drift") {
    for (const bool held : {true, false}) {
        LevelInput in = input(2, "900.00");
        (held ? in.held : in.may_clear) = held;
        CHECK(judge_level(in, limits()) ==
              LevelJudgement{2, AlertReason::balance, fen("10.00"), 0});
        in.level = 0;
        CHECK(level_of(in) == 0);
        in.balance = fen("9.00");
        CHECK(level_of(in) == 2);
        in.level = 1;
        CHECK(level_of(in) == 2);
        in.level = 3;
        CHECK(level_of(in) == 3);
    }
}

TEST_CASE("the life of an alert") {
    const AlertStep none = step_level(std::nullopt, 0, 5);
    CHECK_FALSE(none.state);
    CHECK_FALSE(none.life);
    const AlertStep raised = step_level(none.life, 1, 10);
    CHECK(raised == AlertStep{AlertState::raised, AlertLife{1, false, 10}});
    CHECK(step_level(raised.life, 1, 11) == AlertStep{std::nullopt, AlertLife{1, false, 10}});
    const AlertStep known = step_acknowledge(raised.life, 12);
    CHECK(known == AlertStep{AlertState::acknowledged, AlertLife{1, true, 12}});
    const AlertStep worse = step_level(known.life, 3, 13);
    CHECK(worse == AlertStep{AlertState::escalated, AlertLife{3, false, 13}});
    const AlertStep known_again = step_acknowledge(worse.life, 14);
    const AlertStep eased = step_level(known_again.life, 1, 15);
    CHECK(eased == AlertStep{AlertState::eased, AlertLife{1, true, 15}});
    const AlertStep cleared = step_level(eased.life, 0, 16);
    CHECK(cleared == AlertStep{AlertState::cleared, std::nullopt});
    CHECK(step_acknowledge(cleared.life, 17) == AlertStep{});
    for (const char* word :
         {"raised", "escalated", "reminded", "acknowledged", "eased", "cleared"}) {
        REQUIRE(parse_alert_state(word));
        CHECK(std::string(to_string(*parse_alert_state(word))) == word);
    }
    CHECK_FALSE(parse_alert_state("open"));
}

TEST_CASE("before a long rest low_days reach to the first working day after it, and one day on") {
    // 春节 2026 from Sunday 02-15 to Monday 02-23, with Saturday 02-14 worked; the rest of 清明 is
    // a weekend and a Monday; a single holiday on a Wednesday is no long rest.
    std::vector<CalendarDay> days;
    for (int day = 15; day <= 23; ++day) days.push_back({{2026, 2, day}, DayKind::holiday, ""});
    days.push_back({{2026, 2, 14}, DayKind::workday, ""});
    days.push_back({{2026, 4, 6}, DayKind::holiday, ""});
    days.push_back({{2026, 6, 10}, DayKind::holiday, ""});
    const Calendar calendar(days), none;
    struct Row {
        LocalDate today;
        int low_days, expected;
    };
    const Row rows[] = {
        {{2026, 2, 7}, 7, 7},   // eight days before it begins
        {{2026, 2, 8}, 7, 17},  // seven: 16 days to Tuesday the 24th, and one
        {{2026, 2, 14}, 7, 11}, {{2026, 2, 15}, 7, 10},  // it has begun
        {{2026, 2, 20}, 7, 7},                           // five days would be less
        {{2026, 2, 23}, 7, 7},  {{2026, 2, 23}, 1, 2},
        {{2026, 2, 24}, 7, 7},  // over
        {{2026, 2, 8}, 0, 0},   // off stays off
        {{2026, 2, 12}, 3, 13}, {{2026, 2, 11}, 3, 3},
        {{2026, 4, 1}, 7, 7},                          // six days are less than seven
        {{2026, 4, 2}, 3, 6},   {{2026, 6, 8}, 3, 3},  // one day off is no long rest
        {{2026, 11, 27}, 1, 1},                        // nor is a weekend
    };
    for (const Row& row : rows) {
        CAPTURE(format_date(row.today), row.low_days);
        CHECK(low_days_on(row.today, row.low_days, calendar) == row.expected);
        CHECK(low_days_on(row.today, row.low_days, none) == row.low_days);
    }
    CHECK(calendar.rest({2026, 2, 8}, 7) == Calendar::Rest{{2026, 2, 15}, {2026, 2, 24}});
    CHECK(calendar.rest({2026, 3, 1}, 60) == Calendar::Rest{{2026, 4, 4}, {2026, 4, 7}});
    CHECK_FALSE(calendar.rest({2026, 4, 7}, 365));
    CHECK_FALSE(none.rest({2026, 2, 8}, 7));
}

TEST_CASE("an amount that lasts beyond a long rest is left alone, one that does not is told") {
    // From today on: whoever is told before a rest stays told as it comes nearer, day by day.
    Thresholds wide = limits();
    wide.low_days = 17;
    CHECK(judge_level(input(0, "900.00", 17), wide) ==
          LevelJudgement{1, AlertReason::days, fen("50.00"), 17});
    CHECK(level_of(input(0, "900.00", 18), wide) == 0);
    CHECK(level_of(input(0, "900.00", 3), wide) == 2);  // critical days are as they were
    for (int passed = 0; passed < 17; ++passed) {
        wide.low_days = std::max(7, 17 - passed);
        CHECK(level_of(input(1, "900.00", 17 - passed), wide) >= 1);
    }
}

TEST_CASE("a level that presses is taken to somebody above a day after it was told") {
    const UtcMs noon = at({2026, 11, 2}, 12, 0);
    constexpr UtcMs kDay = EastEight::kDayMs, kHour = 3'600'000;
    struct Row {
        int level;
        bool reminded, acknowledged, held;
        UtcMs after;
        const char* to;  // nullptr: nothing is told
    };
    const Row rows[] = {
        {1, false, false, false, kDay, nullptr},
        {1, false, false, false, 7 * kDay, ""},
        {2, false, false, false, kDay - 1, nullptr},
        {2, false, false, false, kDay, "lead"},
        {2, true, false, false, kDay, nullptr},  // and then every second day
        {2, true, false, false, 2 * kDay, "lead"},
        {2, false, true, false, 9 * kDay, nullptr},
        {2, false, false, true, 9 * kDay, nullptr},
        {2, false, false, false, kDay + 6 * kHour, nullptr},  // 18:00, quiet until nine
        {2, false, false, false, kDay + 20 * kHour, nullptr},
        {2, false, false, false, kDay + 21 * kHour, "lead"},
        {3, false, false, false, kDay - 1, nullptr},
        {3, false, false, false, kDay, "manager"},
        {3, true, false, false, kDay, "manager"},
        {3, true, false, false, kDay + 8 * kHour, nullptr},
        {4, false, false, false, kDay, "manager"},
        {4, false, true, false, kDay, nullptr},
    };
    for (const Row& row : rows) {
        CAPTURE(row.level, row.reminded, row.acknowledged, row.after);
        const AlertLife life{row.level, row.acknowledged, noon, row.reminded};
        const AlertStep step = step_remind(life, row.held, noon + row.after, kZone, settings());
        REQUIRE((step.state == AlertState::reminded) == (row.to != nullptr));
        if (row.to == nullptr) continue;
        CHECK(std::string(escalated_to(*step.state, step.life->level)) == row.to);
        CHECK(step.life == AlertLife{row.level, false, noon + row.after, true});
    }
    // A rise is told to the desk first, however often the level before it was reminded of.
    const AlertStep rise = step_level(AlertLife{2, false, noon, true}, 3, noon + kDay);
    CHECK(rise == AlertStep{AlertState::escalated, AlertLife{3, false, noon + kDay, false}});
    for (const AlertState state : {AlertState::raised, AlertState::escalated, AlertState::eased,
                                   AlertState::acknowledged, AlertState::cleared})
        CHECK(std::string(escalated_to(state, 3)).empty());
}

TEST_CASE("reminders come by level, by day, and to those who did not answer") {
    const UtcMs noon = at({2026, 11, 2}, 12, 0);
    const auto reminded = [&](AlertLife life, UtcMs now, bool held = false) {
        return step_remind(life, held, now, kZone, settings()).state == AlertState::reminded;
    };
    for (const auto& [level, days] : {std::pair(1, 7), {2, 2}, {3, 1}, {4, 1}}) {
        const UtcMs then = noon + days * EastEight::kDayMs;
        const AlertLife life{level, false, noon, true};
        CAPTURE(level);
        CHECK_FALSE(reminded(life, then - 1));
        CHECK(reminded(life, then));
        CHECK_FALSE(reminded(life, then, true));
        CHECK_FALSE(reminded({level, true, noon}, then));
        CHECK_FALSE(reminded(life, then + 6 * 3'600'000));  // 18:00
        CHECK(step_remind(life, false, then, kZone, settings()).life ==
              AlertLife{level, false, then, true});
    }
    CHECK(step_remind(std::nullopt, false, noon, kZone, settings()) == AlertStep{});
}

TEST_CASE("what holds or does not is raised once and cleared once") {
    const std::optional<AlertLife> none, open = AlertLife{1, true, 5};
    CHECK(step_fact(none, false, 1, 9) == AlertStep{});
    CHECK(step_fact(none, true, 2, 9) == AlertStep{AlertState::raised, AlertLife{2, false, 9}});
    CHECK(step_fact(open, true, 1, 9) == AlertStep{std::nullopt, open});
    CHECK(step_fact(open, false, 1, 9) == AlertStep{AlertState::cleared, std::nullopt});
}

TEST_CASE("an outage is told once it lasts, and ended once that lasts") {
    constexpr std::int64_t kMinute = 60'000;
    struct Row {
        int level;  // of the open alert; -1: none is open
        bool offline;
        std::int64_t steady_ms;
        std::optional<std::int64_t> cleared_ago_ms;
        bool bus_out;
        std::optional<std::int64_t> bus_back_ms;
        const char* told;
        int after;
    };
    const Row rows[] = {
        {-1, false, 0, {}, false, {}, "", -1},
        {-1, true, 0, {}, false, {}, "", -1},
        {-1, true, kMinute - 1, {}, false, {}, "", -1},
        {-1, true, kMinute, {}, false, {}, "raised", 1},
        {-1, true, kMinute, {}, true, {}, "raised", 0},
        {1, true, 600 * kMinute, {}, false, {}, "", 1},
        {1, true, 600 * kMinute, {}, true, {}, "", 1},
        {1, false, kMinute - 1, {}, false, {}, "", 1},
        {1, false, kMinute, {}, false, {}, "cleared", -1},
        // It had ended within the hour before, so its return must last longer.
        {1, false, kMinute, 59 * kMinute, false, {}, "", 1},
        {1, false, 15 * kMinute - 1, 59 * kMinute, false, {}, "", 1},
        {1, false, 15 * kMinute, 59 * kMinute, false, {}, "cleared", -1},
        {1, false, kMinute, 60 * kMinute, false, {}, "cleared", -1},
        {0, false, kMinute, {}, true, {}, "cleared", -1},
        // Its bus came back and it did not.
        {0, true, 600 * kMinute, {}, true, {}, "", 0},
        {0, true, 600 * kMinute, {}, false, 15 * kMinute - 1, "", 0},
        {0, true, 600 * kMinute, {}, false, 15 * kMinute, "escalated", 1},
        {0, true, 15 * kMinute - 1, {}, false, {}, "", 0},
        {0, true, 15 * kMinute, {}, false, {}, "escalated", 1},
    };
    for (const Row& row : rows) {
        CAPTURE(row.level, row.offline, row.steady_ms, row.bus_out);
        std::optional<AlertLife> life;
        if (row.level >= 0) life = AlertLife{row.level, false, 1};
        const OutageInput input{row.offline, row.steady_ms, row.cleared_ago_ms, row.bus_out,
                                row.bus_back_ms};
        const AlertStep step = step_outage(life, input, 7);
        CHECK(std::string(step.state ? to_string(*step.state) : "") == row.told);
        CHECK((step.life ? step.life->level : -1) == row.after);
    }
}

TEST_CASE("a first raise says from when people may be called") {
    const auto notify_after = [](UtcMs when, const Zone& zone, const AlertSettings& settings) {
        return gatehouse::notify_after(when, 1, zone, settings);
    };
    const LocalDate day{2026, 11, 23}, next{2026, 11, 24};
    const AlertSettings night = settings();
    CHECK(notify_after(at(day, 17, 59), kZone, night) == at(day, 17, 59));
    CHECK(notify_after(at(day, 18, 0), kZone, night) == at(next, 9, 0));
    CHECK(notify_after(at(day, 20, 15) + 30'123, kZone, night) == at(next, 9, 0));
    CHECK(notify_after(at(next, 0, 0), kZone, night) == at(next, 9, 0));
    CHECK(notify_after(at(next, 8, 59), kZone, night) == at(next, 9, 0));
    CHECK(notify_after(at(next, 9, 0), kZone, night) == at(next, 9, 0));
    AlertSettings midday = night;
    midday.quiet_from_minute = 12 * 60;
    midday.quiet_to_minute = 14 * 60;
    CHECK(notify_after(at(day, 12, 0), kZone, midday) == at(day, 14, 0));
    CHECK(notify_after(at(day, 14, 0), kZone, midday) == at(day, 14, 0));
    AlertSettings to_midnight = night;
    to_midnight.quiet_to_minute = 0;
    CHECK(notify_after(at(day, 23, 0), kZone, to_midnight) == at(next, 0, 0));
    AlertSettings never = night;
    never.quiet_from_minute = never.quiet_to_minute = 0;
    CHECK(notify_after(at(day, 3, 0), kZone, never) == at(day, 3, 0));
    // Who has nothing left is called at once.
    for (const int level : {3, 4})
        CHECK(gatehouse::notify_after(at(day, 3, 0), level, kZone, night) == at(day, 3, 0));
    for (const int level : {0, 1, 2})
        CHECK(gatehouse::notify_after(at(day, 3, 0), level, kZone, night) == at(day, 9, 0));
}

TEST_CASE("every level has its severity") {
    const char* words[] = {"info", "warning", "critical", "emergency", "emergency"};
    for (int level = 0; level <= 4; ++level) CHECK(std::string(severity_of(level)) == words[level]);
}
