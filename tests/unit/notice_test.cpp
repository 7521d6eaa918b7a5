// The ready sentence of each kind of alert, in both languages, whole.
#include "daemon/core/notice.hpp"

#include "tests/support/catch.hpp"
#include "tests/unit/tariffs.hpp"
#include "tests/unit/zones.hpp"

using namespace gatehouse;
using namespace gatehouse::test;

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
        const char *chinese, *english, *chinese_end = "", *english_end = "";
    };
    const Row rows[] = {
        {AlertState::raised, "二级提醒", "Critical balance"},
        {AlertState::escalated, "升级：二级提醒", "Critical balance, escalated"},
        {AlertState::reminded, "再次提醒：二级提醒", "Critical balance, reminder",
         "尚无联系登记，请客服主管跟进。",
         " Nobody recorded a contact: for the client-service lead."},
        {AlertState::acknowledged, "已登记联系：二级提醒", "Critical balance, contact recorded"},
        {AlertState::eased, "降为二级提醒", "Critical balance, eased"},
        {AlertState::cleared, "已解除", "Cleared"},
    };
    for (const Row& row : rows) {
        facts.state = row.state;
        CHECK(sentence(facts, true) ==
              "【" + std::string(row.chinese) +
                  "】3栋2单元1201 电费余额 9.85 元，约可用 2 天，读数截至 11-23 20:15。" +
                  row.chinese_end);
        CHECK(sentence(facts, false) ==
              "[" + std::string(row.english) +
                  "] 3栋2单元1201: electricity balance CNY 9.85, about 2 days left, read up to "
                  "11-23 20:15." +
                  row.english_end);
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

TEST_CASE("the ready sentence of use where nobody lives, and of a leak") {
    SentenceFacts facts;
    facts.unit_label = "3栋2单元1201";
    facts.as_of = kZone.local(at({2026, 11, 23}, 8, 5));
    struct Row {
        AlertKind kind;
        AccountService service;
        AlertState state;
        std::optional<Milli> used;
        bool by_registry;
        const char *chinese, *english;
    };
    const auto power = AccountService::electricity;
    const auto water = AccountService::water;
    const Row rows[] = {
        {AlertKind::vacant_use, power, AlertState::raised, Milli{1'532}, false,
         "【空置用量】3栋2单元1201 空置房一日用电 1.532 度，请上门查看，读数截至 11-23 08:05。",
         "[Use in a vacant unit] 3栋2单元1201: 1.532 kWh of electricity in a day, and nobody lives "
         "there, read up to 11-23 08:05."},
        {AlertKind::vacant_use, power, AlertState::reminded, std::nullopt, false,
         "【再次提醒：空置用量】3栋2单元1201 空置房有用电，请上门查看，读数截至 11-23 "
         "08:05。尚无联系登记，请客服主管跟进。",
         "[Use in a vacant unit, reminder] 3栋2单元1201: electricity is used, and nobody lives "
         "there, read up to 11-23 08:05. Nobody recorded a contact: for the client-service lead."},
        {AlertKind::vacant_use, water, AlertState::raised, std::nullopt, false,
         "【空置用量】3栋2单元1201 空置房水表24小时流水不断，请上门查看，读数截至 11-23 08:05。",
         "[Use in a vacant unit] 3栋2单元1201: water has not stood still for 24 hours, and nobody "
         "lives there, read up to 11-23 08:05."},
        {AlertKind::vacant_use, water, AlertState::cleared, std::nullopt, false,
         "【空置用量已解除】3栋2单元1201 水表整日无异常用量，读数截至 11-23 08:05。",
         "[Use in a vacant unit, cleared] 3栋2单元1201: water meter counted nothing of note for a "
         "whole day, read up to 11-23 08:05."},
        {AlertKind::vacant_use, power, AlertState::cleared, std::nullopt, true,
         "【空置用量已解除】3栋2单元1201 电表不再按空置房核对，读数截至 11-23 08:05。",
         "[Use in a vacant unit, cleared] 3栋2单元1201: electricity meter is no longer looked at "
         "as "
         "a vacant unit's, read up to 11-23 08:05."},
        {AlertKind::leak_suspect, water, AlertState::raised, Milli{4}, false,
         "【疑似漏水】3栋2单元1201 水表24小时流水不断，每小时至少 0.004 吨，请查漏，读数截至 "
         "11-23 08:05。",
         "[Leak suspected] 3栋2单元1201: the water has not stood still for 24 hours, at least "
         "0.004 "
         "m3 in every hour; have the pipes looked at, read up to 11-23 08:05."},
        {AlertKind::leak_suspect, water, AlertState::acknowledged, std::nullopt, false,
         "【已登记联系：疑似漏水】3栋2单元1201 水表流水不断，请查漏，读数截至 11-23 08:05。",
         "[Leak suspected, contact recorded] 3栋2单元1201: the water has not stood still; have the "
         "pipes looked at, read up to 11-23 08:05."},
        {AlertKind::leak_suspect, water, AlertState::cleared, std::nullopt, false,
         "【疑似漏水已解除】3栋2单元1201 水表已有停水时段，读数截至 11-23 08:05。",
         "[Leak suspected, cleared] 3栋2单元1201: the water stood still again, read up to 11-23 "
         "08:05."},
        {AlertKind::leak_suspect, water, AlertState::cleared, std::nullopt, true,
         "【疑似漏水已解除】3栋2单元1201 水表已不在用，读数截至 11-23 08:05。",
         "[Leak suspected, cleared] 3栋2单元1201: the water meter is no longer in service, read up "
         "to 11-23 08:05."},
    };
    for (const Row& row : rows) {
        facts.kind = row.kind;
        facts.service = row.service;
        facts.state = row.state;
        facts.level = row.kind == AlertKind::vacant_use ? 2 : 1;
        facts.used = row.used;
        facts.by_registry = row.by_registry;
        CHECK(sentence(facts, true) == row.chinese);
        CHECK(sentence(facts, false) == row.english);
    }
}

TEST_CASE("the ready sentence before a long rest, to a lead, and about who is phoned") {
    SentenceFacts facts;
    facts.unit_label = "3栋2单元1201";
    facts.balance = fen("300.00");
    facts.days_left = 13;
    facts.back_on = LocalDate{2026, 2, 24};
    CHECK(sentence(facts, true) ==
          "【一级提醒】3栋2单元1201 电费余额 300.00 元，约可用 13 天（节后 "
          "2月24日上班），尚无读数。");
    CHECK(sentence(facts, false) ==
          "[Low balance] 3栋2单元1201: electricity balance CNY 300.00, about 13 days left (the "
          "office is closed until 2026-02-24), no reading yet.");
    facts = SentenceFacts{};
    facts.unit_label = "3栋2单元1201";
    facts.state = AlertState::reminded;
    facts.level = 3;
    facts.phone = true;
    CHECK(sentence(facts, true) ==
          "【再次提醒：余额用完】3栋2单元1201 电费余额 0.00 "
          "元，尚无读数。尚无联系登记，请项目经理跟进。请电话联系，勿张贴通知。");
    CHECK(sentence(facts, false) ==
          "[Balance exhausted, reminder] 3栋2单元1201: electricity balance CNY 0.00, no reading "
          "yet. Nobody recorded a contact: for the project manager. Phone them; post nothing on "
          "the door.");
}

TEST_CASE("the words of the kinds and back") {
    for (const AlertKind kind :
         {AlertKind::low_balance, AlertKind::stale_balance, AlertKind::meter_offline,
          AlertKind::reading_held, AlertKind::meter_prepaid_active, AlertKind::vacant_use,
          AlertKind::leak_suspect, AlertKind::log_gap})
        CHECK(parse_alert_kind(to_string(kind)) == kind);
    CHECK_FALSE(parse_alert_kind("abnormal_use"));
    CHECK_FALSE(parse_alert_kind(""));
}
