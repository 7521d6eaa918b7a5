// Alerts that nobody's act and no money makes: silent meters and buses, held readings, old
// balances, reminders, the digest, a restored copy.
#include <filesystem>

#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

using Steps = std::vector<std::string>;

// a-101 holds 100.00 on e-101 and w-101, a-102 200.00 on e-102, a-103 nothing on e-103; all on b1.
struct Quiet : House {
    Quiet() {
        // Levels are another test's.
        options.alerts.base.low_balance = options.alerts.base.critical_balance = Fen{0};
        options.alerts.base.clear_margin = Fen{0};
    }
    void move_in() {
        open();
        REQUIRE(import(three_homes()).kind == ReplyKind::ok);
        read_all();
    }
    void read_all() {
        for (const char* id : {"e-101", "e-102", "e-103"}) feed(id, Rational{1'000, 1});
        feed("w-101", Rational{1, 1});
        step();
        clock.pass(kSecond);
        for (const char* id : {"e-101", "e-102", "e-103"}) feed(id, Rational{1'000, 1});
        feed("w-101", Rational{1, 1});
        step();
    }
    // "raised e-101 1 warning", oldest first.
    Steps steps(const std::string& kind) const {
        Steps all;
        for (const StoredEvent& event : events("alert."))
            if (field(event.body, "kind") == kind)
                all.push_back(event.kind.substr(6) + " " + field(event.body, "subject") + " " +
                              field(event.body, "level") + " " + field(event.body, "severity"));
        return all;
    }
    std::string newest(const std::string& name) const {
        std::string body;
        for (const StoredEvent& event : events("alert."))
            if (event.kind != "alert.digest") body = event.body;
        return field(body, name);
    }
    // The poller goes on missing it; ticks see the time.
    void pass_seconds(int seconds) {
        for (int i = 0; i < seconds; ++i) pass(kSecond);
    }
};

}  // namespace

TEST_CASE_METHOD(Quiet, "a silent meter is told once it lasts, and its return once that lasts") {
    move_in();
    fail("e-103");
    pass_seconds(59);
    CHECK(steps("meter_offline").empty());
    pass_seconds(2);
    CHECK(steps("meter_offline") == Steps{"raised e-103 1 warning"});
    CHECK(newest("account") == "a-103");
    CHECK(newest("unit_label") == "1栋103");
    CHECK(newest("meter") == "e-103");
    CHECK(newest("bus") == "b1");
    CHECK(newest("reason") == "no answer");
    CHECK(newest("quality") == "meter_offline");
    CHECK(newest("threshold") == "null");
    CHECK(newest("as_of") == "2026-11-23T08:00:01+08:00");
    CHECK(newest("text") == "【未抄到】1栋103 电表未抄到（通讯中断），读数截至 11-23 08:00。");
    pass_seconds(300);
    CHECK(engine().snapshot()->open_alerts.size() == 1);

    SECTION("a restart keeps it open, says nothing anew, and ends it when the meter is back") {
        reopen();
        pass_seconds(120);
        CHECK(steps("meter_offline").size() == 1);
        fail("e-103");
        pass_seconds(120);
        CHECK(steps("meter_offline").size() == 1);
        CHECK(engine().snapshot()->open_alerts.size() == 1);
        settle("e-103", "1000.00");
        pass_seconds(61);
        CHECK(steps("meter_offline").back() == "cleared e-103 0 info");
        CHECK(newest("cleared_by") == "answer");
        CHECK(engine().snapshot()->open_alerts.empty());
    }
    SECTION("one answer between two silences ends nothing") {
        settle("e-103", "1000.00");
        pass_seconds(30);
        fail("e-103");
        pass_seconds(120);
        CHECK(steps("meter_offline").size() == 1);
    }
    SECTION("a meter that comes and goes makes no stream of messages") {
        for (int round = 0; round < 20; ++round) {
            settle("e-103", "1000.00");
            pass_seconds(90);
            fail("e-103");
            pass_seconds(90);
        }
        // Raised, cleared, raised; from then on its return must last a quarter of an hour.
        CHECK(steps("meter_offline").size() == 3);
        settle("e-103", "1000.00");
        pass_seconds(902);
        CHECK(steps("meter_offline").size() == 4);
    }
    SECTION("a meter out of service is not missed") {
        FileTexts files = three_homes();
        files["meters.csv"] =
            "meter,unit,service,bus,address,profile,rated_amps,status\n"
            "e-103,1-103,electricity,b1,4,eastron-sdm120,1000,stored\n";
        REQUIRE(import(files).kind == ReplyKind::ok);
        pass_seconds(2);
        CHECK(steps("meter_offline").back() == "cleared e-103 0 info");
        CHECK(newest("cleared_by") == "registry");
    }
    SECTION("somebody who went there says so") {
        const std::string id = engine().snapshot()->open_alerts.at(0)->id;
        const Reply told = ask(AckAlert{"local", id, "s-01", "visit", "", "fuse"});
        REQUIRE(told.kind == ReplyKind::ok);
        CHECK(field(told.json, "state") == "acknowledged");
        CHECK(field(told.json, "meter") == "e-103");
        CHECK(field(told.json, "balance") == "0.00");
        CHECK(engine().snapshot()->open_alerts.at(0)->acknowledged);
    }
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Quiet, "a dead bus is one loud alert, and a quiet one for each of its meters") {
    move_in();
    for (const char* id : {"e-101", "e-102", "e-103", "w-101"}) fail(id);
    pass_seconds(63);
    CHECK(steps("meter_offline") == Steps{"raised bus:b1 2 critical", "raised e-101 0 info",
                                          "raised w-101 0 info", "raised e-102 0 info",
                                          "raised e-103 0 info"});
    CHECK(field(events("alert.").front().body, "meters") == "4");
    CHECK(field(events("alert.").front().body, "bus") == "b1");
    CHECK(field(events("alert.").front().body, "account") == "");
    CHECK(field(events("alert.").front().body, "text") ==
          "【线路中断】b1 线路通讯中断，4 块表全部未抄到。");
    CHECK(newest("text") == "【未抄到】1栋103 电表未抄到（线路 b1 中断），读数截至 11-23 08:00。");
    pass_seconds(3'600);
    CHECK(steps("meter_offline").size() == 5);
    reopen();
    pass_seconds(10);
    CHECK(engine().snapshot()->open_alerts.size() == 5);

    // All but one come back: that one is a fault of its own, after a while.
    for (const char* id : {"e-101", "e-102", "e-103", "w-101"}) fail(id);
    pass_seconds(2);
    settle("e-101", "1000.00");
    settle("e-102", "1000.00");
    settle("w-101", "1.000");
    pass_seconds(70);
    CHECK(steps("meter_offline").size() == 9);
    pass_seconds(900);
    CHECK(steps("meter_offline").back() == "escalated e-103 1 warning");
    CHECK(newest("text").find("升级：未抄到】1栋103 电表未抄到（通讯中断）") != std::string::npos);
    CHECK(engine().snapshot()->open_alerts.size() == 1);
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Quiet, "a held reading is told when it is held and when it is no more") {
    move_in();
    for (int i = 0; i < 3; ++i) {
        pass(10 * kMinute);
        sample("e-101", "900000.00");
    }
    REQUIRE(events("meter.quarantined").size() == 1);
    CHECK(steps("reading_held") == Steps{"raised e-101 1 warning"});
    CHECK(newest("reason") == "cap");
    CHECK(newest("quality") == "held");
    CHECK(newest("balance") == "100.00");
    // In the transaction of its cause: nothing lies between them but the alert's own row.
    CHECK(events("alert.raised").back().seq == events("meter.quarantined").back().seq + 1);
    reopen();
    pass_seconds(3);
    CHECK(steps("reading_held").size() == 1);
    pass(10 * kMinute);
    settle("e-101", "1001.00");
    CHECK(steps("reading_held").back() == "cleared e-101 0 info");
    CHECK(events("alert.cleared").back().seq == events("meter.quarantine_resolved").back().seq + 1);
    CHECK(engine().snapshot()->open_alerts.empty());
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Quiet, "a balance without a reading for a day is told, and days are projected") {
    options.alerts.base.low_days = 7;
    move_in();
    // Four days of 10 kWh, 5.283 each: 200.00 on the ladder of a-102 lasts long, a-103 is filled.
    REQUIRE(top_up("a-103", "75.00", "k-1").kind == ReplyKind::created);
    for (int day = 1; day <= 4; ++day) {
        pass(kDay - kSecond);
        settle("e-103", std::to_string(1'000 + 10 * day) + ".00");
    }
    // 75.00 - 21.13 = 53.87 lasts 10 days.
    REQUIRE(account("a-103").days_left == 10);
    CHECK(steps("low_balance").empty());
    fail("e-103");
    pass_seconds(3);
    pass(kDay - 10 * kSecond);
    CHECK(steps("stale_balance") == Steps{"raised a-101 1 warning", "raised a-102 1 warning"});
    pass_seconds(15);
    CHECK(steps("stale_balance").size() == 3);
    CHECK(steps("stale_balance").back() == "raised a-103 1 warning");
    CHECK(newest("text").find("超过24小时无已核实读数") != std::string::npos);
    for (int day = 0; day < 3; ++day) pass(kDay);
    pass_seconds(2);
    CHECK(steps("low_balance") == Steps{"raised a-103 1 warning"});
    CHECK(newest("reason") == "days");
    CHECK(newest("estimated") == "true");
    CHECK(newest("text").find("按平均用量推算") != std::string::npos);
    settle("e-103", "1040.00");
    pass_seconds(2);
    CHECK(steps("stale_balance").back() == "cleared a-103 0 info");
    CHECK(newest("kind") == "stale_balance");
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Quiet, "after a start every meter is asked before its silence is told") {
    move_in();
    crash();
    clock.pass(3 * kDay);
    open();
    pass_seconds(30);
    CHECK(steps("stale_balance").empty());
    read_all();
    pass_seconds(2);
    CHECK(steps("stale_balance").empty());
    crash();
    clock.pass(3 * kDay);
    open();
    fail("e-102");
    pass_seconds(2);
    CHECK(steps("stale_balance") == Steps{"raised a-102 1 warning"});
}

namespace {

// a-101 low since Monday, 2026-11-23, 09:00.
struct Low : House {
    explicit Low(const std::string& chase = "") {
        open();
        FileTexts files = three_homes();
        files["accounts.csv"] =
            "account,unit,service,tariff,opening_balance,chase\n"
            "a-101,1-101,electricity,flat,100.00," +
            chase + "\n";
        REQUIRE(import(files).kind == ReplyKind::ok);
        settle("e-101", "1000.00");
        pass(kHour - 2 * kSecond);
        settle("e-101", "1095.00");
        REQUIRE(told() == Steps{"raised 11-23 09:00"});
    }
    // A week in quarters of an hour, the register standing still.
    void pass_days(int days) {
        for (int quarter = 0; quarter < days * 96; ++quarter) {
            clock.pass(15 * kMinute);
            feed("e-101", Rational{1'095, 1});
            step();
        }
    }
    Steps told() const {
        Steps all;
        for (const StoredEvent& event : events("alert."))
            if (field(event.body, "kind") == "low_balance")
                all.push_back(event.kind.substr(6) + " " + field(event.body, "at").substr(5, 5) +
                              " " + field(event.body, "at").substr(11, 5));
        return all;
    }
};

}  // namespace

TEST_CASE("reminders: weekly at level 1, over restarts, and not in quiet hours") {
    Low house;
    house.pass_days(6);
    CHECK(house.told().size() == 1);
    house.reopen();
    house.pass_days(2);
    CHECK(house.told() == Steps{"raised 11-23 09:00", "reminded 11-30 09:00"});
    house.reopen();
    house.pass_days(3);
    CHECK(house.told().size() == 2);
    CHECK(field(house.events("alert.reminded").back().body, "threshold") == "50.00");
    CHECK(field(house.events("alert.reminded").back().body, "reason") == "balance");
    CHECK(house.proof() == "");
}

TEST_CASE("reminders: what falls into the night waits for the morning") {
    Low house;
    house.pass(10 * kHour);
    house.settle("e-101", "1171.00");
    REQUIRE(house.told().back() == "escalated 11-23 19:00");
    for (int i = 0; i < 3 * 96; ++i) {
        house.clock.pass(15 * kMinute);
        house.feed("e-101", Rational{1'171, 1});
        house.step();
    }
    // Due a day later at 19:00, told when people may be called.
    REQUIRE(house.told().size() == 3);
    CHECK(house.told().back() == "reminded 11-25 09:00");
}

TEST_CASE("reminders: who was called is left in peace, and so is who is not to be chased") {
    SECTION("acknowledged") {
        Low house;
        const std::string id = house.engine().snapshot()->open_alerts.at(0)->id;
        REQUIRE(house.ask(AckAlert{"local", id, "s-01", "phone", "", ""}).kind == ReplyKind::ok);
        house.reopen();
        house.pass_days(15);
        CHECK(house.told().size() == 2);
    }
    SECTION("chase = no") {
        Low house("no");
        house.pass_days(15);
        CHECK(house.told().size() == 1);
    }
    SECTION("quarantine") {
        Low house;
        for (int i = 0; i < 3; ++i) {
            house.pass(10 * kMinute);
            house.sample("e-101", "900000.00");
        }
        REQUIRE(house.account("a-101").quality == Quality::held);
        for (int i = 0; i < 15; ++i) house.pass(kDay);
        CHECK(house.told().size() == 1);
    }
}

TEST_CASE_METHOD(Quiet, "the digest: once a working day, with every account looked at") {
    options.alerts.base.low_balance = Fen{50'00};
    move_in();
    const auto digests = [&] { return events("alert.digest"); };
    pass(30 * kMinute);
    settle("e-101", "1095.00");  // a-101 at 49.81, a-103 never paid
    pass(19 * kMinute);
    CHECK(digests().empty());
    pass(2 * kMinute);
    REQUIRE(digests().size() == 1);
    const std::string body = digests()[0].body;
    CHECK(field(body, "date") == "2026-11-23");
    CHECK(field(body, "seq") == std::to_string(digests()[0].seq));
    CHECK(field(body, "prev") == "0");
    CHECK(field(body, "checked") == "3");
    CHECK(field(body, "levels") == R"({"0":2,"1":1,"2":0,"3":0,"4":0})");
    CHECK(field(body, "new") == "1");
    CHECK(field(body, "topped_up") == "0");
    CHECK(field(body, "not_read") == "0");
    CHECK(field(body, "text") ==
          "【11月23日 水电余额日报】已检查 3 个账户（未抄到 0 个）。余额用完 0 户，二级 0 户，一级 "
          "1 户；新增 1 户，充值解除 0 户。");
    CHECK(engine().snapshot()->digest == body);
    // Not again the same day, whatever happens.
    pass(kHour);
    reopen();
    CHECK(engine().snapshot()->digest == body);
    pass(kHour);
    read_all();
    CHECK(digests().size() == 1);
    REQUIRE(top_up("a-101", "100.00", "k-1").kind == ReplyKind::created);

    // Tuesday: nobody is low any more, and nobody was read for a day.
    pass(22 * kHour);
    REQUIRE(digests().size() == 2);
    CHECK(field(digests()[1].body, "prev") == std::to_string(digests()[0].seq));
    CHECK(field(digests()[1].body, "new") == "0");
    CHECK(field(digests()[1].body, "topped_up") == "1");
    for (int day = 0; day < 5; ++day) pass(kDay);
    // Wednesday, Thursday, Friday; not on the weekend.
    CHECK(digests().size() == 5);
    CHECK(field(digests()[4].body, "date") == "2026-11-27");
    CHECK(field(digests()[4].body, "not_read") == "3");
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Quiet, "the digest follows the calendar, and waits for the first round of polls") {
    open();
    FileTexts files = three_homes();
    files["calendar.csv"] = "date,kind,name\n2026-11-23,holiday,校庆\n2026-11-28,workday,调休\n";
    REQUIRE(import(files).kind == ReplyKind::ok);
    read_all();
    pass(2 * kHour);
    CHECK(events("alert.digest").empty());
    crash();
    clock.pass(kDay);
    open();
    pass_seconds(60);
    CHECK(events("alert.digest").empty());
    read_all();
    pass_seconds(2);
    CHECK(events("alert.digest").size() == 1);
    // A start at which a meter never shows up: five minutes, and it counts as not read.
    crash();
    clock.pass(4 * kDay);  // Saturday, worked instead
    open();
    pass_seconds(290);
    CHECK(events("alert.digest").size() == 1);
    pass_seconds(20);
    CHECK(events("alert.digest").size() == 2);
}

TEST_CASE_METHOD(Quiet, "a restored copy is an alert until somebody has looked into it") {
    move_in();
    REQUIRE(top_up("a-101", "5.00", "k-1").kind == ReplyKind::created);
    const std::string copy = path() + ".copy";
    crash();
    std::filesystem::copy_file(path(), copy);
    open();
    REQUIRE(top_up("a-101", "7.00", "k-2").kind == ReplyKind::created);
    const std::uint64_t last = engine().snapshot()->event_seq;
    crash();
    for (const char* tail : {"", "-wal", "-shm"}) std::filesystem::remove(path() + tail);
    std::filesystem::copy_file(copy, path());
    open();
    REQUIRE(events("log.restored").size() == 1);
    CHECK(steps("log_gap") == Steps{"raised riverside 2 critical"});
    CHECK(newest("text").find("数据库由备份恢复，第 ") != std::string::npos);
    CHECK(events("alert.raised").back().seq > last);
    reopen();
    CHECK(steps("log_gap").size() == 1);
    const std::string id = engine().snapshot()->open_alerts.at(0)->id;
    REQUIRE(ask(AckAlert{"local", id, "s-01", "other", "", "7.00 booked again"}).kind ==
            ReplyKind::ok);
    CHECK(steps("log_gap") == Steps{"raised riverside 2 critical",
                                    "acknowledged riverside 2 critical",
                                    "cleared riverside 0 info"});
    CHECK(engine().snapshot()->open_alerts.empty());
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Quiet, "a meter that prepays by itself is told once, and when it no longer does") {
    move_in();
    prepaying["e-101"] = true;
    pass(kMinute);
    sample("e-101", "1000.00");
    CHECK(steps("meter_prepaid_active").empty());  // once may be noise
    pass(kMinute);
    sample("e-101", "1000.00");
    CHECK(steps("meter_prepaid_active") == Steps{"raised e-101 2 critical"});
    CHECK(newest("reason") == "prepays by itself, credit 80");
    CHECK(newest("account") == "a-101");
    CHECK(newest("unit") == "1-101");
    CHECK(meter("e-101").own_prepayment == "prepays by itself, credit 80");
    reopen();
    pass(kMinute);
    step();
    sample("e-101", "1000.00");
    pass(kMinute);
    sample("e-101", "1000.00");
    CHECK(steps("meter_prepaid_active").size() == 1);
    prepaying["e-101"] = false;
    for (int i = 0; i < 2; ++i) {
        pass(kMinute);
        sample("e-101", "1000.00");
    }
    CHECK(steps("meter_prepaid_active") ==
          Steps{"raised e-101 2 critical", "cleared e-101 0 info"});
    CHECK(meter("e-101").own_prepayment.empty());
}

TEST_CASE_METHOD(Quiet,
                 "a billing register without a number is the meter's reason until it has one") {
    move_in();
    PollFailure failure;
    failure.meter = "e-103";
    failure.result = PollResult::sentinel;
    failure.detail = "the billing register holds no reading: 7FC0 0000";
    engine().sink().failure(failure);
    step();
    CHECK(meter("e-103").reason == failure.detail);
    CHECK(meter("e-103").online);
    CHECK(meter("e-103").quality == Quality::confirmed);
    // One good value takes it away.
    clock.pass(kSecond);
    sample("e-103", "1000");
    CHECK(meter("e-103").reason.empty());
    // Lasting, it is an outage like any other: the day's posting waits for nobody who has nothing.
    failure.offline = true;
    engine().sink().failure(failure);
    step();
    CHECK_FALSE(meter("e-103").online);
    CHECK(meter("e-103").quality == Quality::meter_offline);
    CHECK(account("a-103").quality == Quality::meter_offline);
    pass_seconds(61);
    CHECK(steps("meter_offline") == Steps{"raised e-103 1 warning"});
    CHECK(newest("reason") == failure.detail);
    sample("e-103", "1000");
    CHECK(meter("e-103").reason.empty());
    CHECK(meter("e-103").online);
}
