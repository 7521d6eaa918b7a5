#include "daemon/core/alert.hpp"

#include "daemon/core/notice.hpp"
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

TEST_CASE("reminders come by level, by day, and to those who did not answer") {
    const UtcMs noon = at({2026, 11, 2}, 12, 0);
    const auto reminded = [&](AlertLife life, UtcMs now, bool held = false) {
        return step_remind(life, held, now, kZone, settings()).state == AlertState::reminded;
    };
    for (const auto& [level, days] : {std::pair(1, 7), {2, 2}, {3, 1}, {4, 1}}) {
        const UtcMs then = noon + days * EastEight::kDayMs;
        const AlertLife life{level, false, noon};
        CAPTURE(level);
        CHECK_FALSE(reminded(life, then - 1));
        CHECK(reminded(life, then));
        CHECK_FALSE(reminded(life, then, true));
        CHECK_FALSE(reminded({level, true, noon}, then));
        CHECK_FALSE(reminded(life, then + 6 * 3'600'000));  // 18:00
        CHECK(step_remind(life, false, then, kZone, settings()).life ==
              AlertLife{level, false, then});
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
}

TEST_CASE("every level has its severity") {
    const char* words[] = {"info", "warning", "critical", "emergency", "emergency"};
    for (int level = 0; level <= 4; ++level) CHECK(std::string(severity_of(level)) == words[level]);
}

TEST_CASE("the ready sentence of a low balance") {
    SentenceFacts facts;
    facts.level = 2;
    facts.unit_label = "3栋2单元1201";
    facts.subject = "3-2-1201-e";
    facts.balance = fen("9.85");
    facts.days_left = 2;
    facts.as_of = kZone.local(at({2026, 11, 23}, 20, 15));
    struct Row {
        AlertState state;
        const char *chinese, *english;
    };
    const Row rows[] = {
        {AlertState::raised, "二级提醒", "Critical balance"},
        {AlertState::escalated, "升级：二级提醒", "Critical balance, escalated"},
        {AlertState::reminded, "再次提醒：二级提醒", "Critical balance, reminder"},
        {AlertState::acknowledged, "已登记联系：二级提醒", "Critical balance, contact recorded"},
        {AlertState::eased, "降为二级提醒", "Critical balance, eased"},
        {AlertState::cleared, "已解除", "Cleared"},
    };
    for (const Row& row : rows) {
        facts.state = row.state;
        CHECK(sentence(facts, true) ==
              "【" + std::string(row.chinese) +
                  "】3栋2单元1201 电费余额 9.85 元，约可用 2 天，读数截至 11-23 20:15。");
        CHECK(sentence(facts, false) ==
              "[" + std::string(row.english) +
                  "] 3栋2单元1201: electricity balance CNY 9.85, about 2 days left, read up to "
                  "11-23 20:15.");
    }
    facts.state = AlertState::raised;
    facts.level = 3;
    facts.balance = fen("-3.27");
    facts.days_left = 0;
    facts.service = AccountService::all;
    facts.held = true;
    facts.offline = true;
    facts.as_of.reset();
    facts.unit_label.clear();
    CHECK(
        sentence(facts, true) ==
        "【余额用完】3-2-1201-e 水电费余额 -3.27 元，尚无读数。有读数待核。表未抄到（通讯中断）。");
    CHECK(sentence(facts, false) ==
          "[Balance exhausted] 3-2-1201-e: electricity and water balance CNY -3.27, no reading "
          "yet. A reading awaits a check. The meter does not answer.");
    facts.level = 4;
    CHECK(sentence(facts, true).find("【超透支】") == 0);
    facts.level = 1;
    facts.balance = fen("48.00");
    facts.days_left = 1;
    facts.currency = "EUR";
    CHECK(sentence(facts, true).find("【一级提醒】3-2-1201-e 水电费余额 48.00 EUR，约可用 1 天") ==
          0);
    CHECK(sentence(facts, false)
              .find("[Low balance] 3-2-1201-e: electricity and water balance "
                    "EUR 48.00, about 1 day left") == 0);
}

TEST_CASE("the ready sentence of the other kinds") {
    SentenceFacts facts;
    facts.unit_label = "3栋2单元1201";
    facts.service = AccountService::water;
    facts.balance = fen("9.85");
    facts.as_of = kZone.local(at({2026, 11, 23}, 8, 5));
    struct Row {
        AlertKind kind;
        AlertState state;
        const char *chinese, *english;
    };
    const Row rows[] = {
        {AlertKind::meter_offline, AlertState::raised,
         "【未抄到】3栋2单元1201 水表未抄到（通讯中断），读数截至 11-23 08:05。",
         "[Meter offline] 3栋2单元1201: water meter does not answer, read up to 11-23 08:05."},
        {AlertKind::meter_offline, AlertState::cleared,
         "【未抄到已解除】3栋2单元1201 水表已恢复抄表，读数截至 11-23 08:05。",
         "[Meter offline, cleared] 3栋2单元1201: water meter answers again, read up to 11-23 "
         "08:05."},
        {AlertKind::reading_held, AlertState::raised,
         "【待核读数】3栋2单元1201 水表读数待核，核实前不扣费，读数截至 11-23 08:05。",
         "[Reading held] 3栋2单元1201: water meter reading awaits a check and costs nothing until "
         "then, read up to 11-23 08:05."},
        {AlertKind::reading_held, AlertState::cleared,
         "【待核读数已解除】3栋2单元1201 水表读数已核实处理，读数截至 11-23 08:05。",
         "[Reading held, cleared] 3栋2单元1201: water meter reading was checked, read up to 11-23 "
         "08:05."},
        {AlertKind::stale_balance, AlertState::raised,
         "【余额未更新】3栋2单元1201 超过24小时无已核实读数，水费余额 9.85 元，读数截至 11-23 "
         "08:05。",
         "[Balance is stale] 3栋2单元1201: no confirmed reading for 24 hours, water balance CNY "
         "9.85, read up to 11-23 08:05."},
        {AlertKind::stale_balance, AlertState::cleared,
         "【余额未更新已解除】3栋2单元1201 读数已恢复，水费余额 9.85 元，读数截至 11-23 08:05。",
         "[Balance is stale, cleared] 3栋2单元1201: readings are back, water balance CNY 9.85, "
         "read up to 11-23 08:05."},
    };
    for (const Row& row : rows) {
        facts.kind = row.kind;
        facts.state = row.state;
        CHECK(sentence(facts, true) == row.chinese);
        CHECK(sentence(facts, false) == row.english);
    }
}

TEST_CASE("the ready sentence of a bus, of its meters, of a projection, and of a gap") {
    SentenceFacts facts;
    facts.kind = AlertKind::meter_offline;
    facts.unit_label = "b1";
    facts.level = 2;
    facts.meters = 32;
    CHECK(sentence(facts, true) == "【线路中断】b1 线路通讯中断，32 块表全部未抄到。");
    CHECK(sentence(facts, false) == "[Bus offline] b1: none of the 32 meters of this bus answers.");
    facts.state = AlertState::cleared;
    CHECK(sentence(facts, true) == "【线路中断已解除】b1 线路已恢复通讯。");
    CHECK(sentence(facts, false) == "[Bus offline, cleared] b1: the bus answers again.");

    facts = SentenceFacts{};
    facts.kind = AlertKind::meter_offline;
    facts.unit_label = "3栋2单元1201";
    facts.bus = "b1";
    CHECK(sentence(facts, true) == "【未抄到】3栋2单元1201 电表未抄到（线路 b1 中断），尚无读数。");
    CHECK(sentence(facts, false) ==
          "[Meter offline] 3栋2单元1201: electricity meter does not answer, as all of bus b1, no "
          "reading yet.");

    facts = SentenceFacts{};
    facts.unit_label = "3栋2单元1201";
    facts.balance = fen("60.00");
    facts.days_left = 6;
    facts.estimated = true;
    CHECK(sentence(facts, true) ==
          "【一级提醒】3栋2单元1201 电费余额 60.00 元，约可用 6 天（按平均用量推算），尚无读数。");
    CHECK(sentence(facts, false) ==
          "[Low balance] 3栋2单元1201: electricity balance CNY 60.00, about 6 days left "
          "(projected), no reading yet.");

    facts = SentenceFacts{};
    facts.kind = AlertKind::log_gap;
    facts.subject = "riverside";
    facts.gap_after = 120;
    facts.gap_next = 4'217;
    CHECK(sentence(facts, true) ==
          "【记录缺口】riverside 数据库由备份恢复，第 121 至 4216 "
          "号记录缺失，请核对期间的收款和换表。");
    CHECK(sentence(facts, false) ==
          "[Gap in the log] riverside: a backup was restored and events 121 to 4216 are missing; "
          "check the top-ups and replacements of that time.");
    facts.gap_next = 121;
    CHECK(sentence(facts, false).find("check the top-ups and replacements after it.") !=
          std::string::npos);
    facts.state = AlertState::cleared;
    CHECK(sentence(facts, true) == "【记录缺口已解除】riverside 已有人核对。");
}

TEST_CASE("the words of the kinds and back") {
    for (const AlertKind kind :
         {AlertKind::low_balance, AlertKind::stale_balance, AlertKind::meter_offline,
          AlertKind::reading_held, AlertKind::log_gap})
        CHECK(parse_alert_kind(to_string(kind)) == kind);
    CHECK_FALSE(parse_alert_kind("leak_suspect"));
    CHECK_FALSE(parse_alert_kind(""));
}
