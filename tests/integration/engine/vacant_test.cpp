// Use where nobody lives, water that never stands still, and who is told of a low balance when the
// office is closed or nobody calls.
#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

using Steps = std::vector<std::string>;

// w-101 and e-101 of 1-101, e-103 of 1-103, from Monday, 2026-11-23, 08:00 on. The hour is young:
// every sample of an hour comes some seconds after it began.
struct Rooms : House {
    int litres = 1'000;
    std::map<std::string, int> watt_hours{{"e-101", 1'000'000}, {"e-103", 1'000'000}};

    Rooms() {
        // Levels are another test's.
        options.alerts.base.low_balance = options.alerts.base.critical_balance = Fen{0};
        options.alerts.base.clear_margin = Fen{0};
    }
    FileTexts files(const std::string& status_101, const std::string& status_103 = "occupied") {
        FileTexts texts = three_homes();
        texts["units.csv"] = "unit,label,status\n1-101,1栋101," + status_101 +
                             "\n1-102,1栋102,\n1-103,1栋103," + status_103 + "\n";
        return texts;
    }
    void move_in(const std::string& status_101, const std::string& status_103 = "occupied") {
        clock.wall -= kHour;
        open();
        REQUIRE(import(files(status_101, status_103)).kind == ReplyKind::ok);
        clock.pass(30 * kSecond);
        read();
        hour(0);
    }
    void back() {
        reopen();
        read();
    }
    void read() {
        for (int i = 0; i < 2; ++i) {
            feed("w-101", Rational{litres, 1'000});
            for (const auto& [meter, used] : watt_hours) feed(meter, Rational{used, 1'000});
            step();
            clock.pass(kSecond);
        }
        pass(10 * kSecond);
    }
    // Of which the water meter counts so many litres.
    void hour(int used) {
        litres += used;
        clock.pass(kHour - 12 * kSecond);
        read();
    }
    void hours(int count, int used) {
        for (int i = 0; i < count; ++i) hour(used);
    }
    // Of which an electricity meter counts so many Wh, an equal part each hour.
    void day(const std::string& meter, int used) {
        for (int i = 0; i < 24; ++i) {
            watt_hours[meter] += used / 24;
            hour(0);
        }
    }
    Steps steps(const std::string& kind) const {
        Steps all;
        for (const StoredEvent& event : events("alert."))
            if (field(event.body, "kind") == kind)
                all.push_back(event.kind.substr(6) + " " + field(event.body, "subject") + " " +
                              field(event.body, "level") + " " + field(event.body, "severity"));
        return all;
    }
    std::string newest(const std::string& kind, const std::string& name) const {
        std::string body = "{}";
        for (const StoredEvent& event : events("alert."))
            if (field(event.body, "kind") == kind) body = event.body;
        return field(body, name);
    }
};

const Steps kLeak{"raised w-101 1 warning"};
const Steps kLeakOver{"raised w-101 1 warning", "cleared w-101 0 info"};

}  // namespace

TEST_CASE_METHOD(Rooms, "a leak: a day without a still hour, until there is one") {
    move_in("occupied");
    hours(23, 9);
    CHECK(steps("leak_suspect").empty());
    hour(9);
    CHECK(steps("leak_suspect") == kLeak);
    CHECK(newest("leak_suspect", "account") == "a-101");
    CHECK(newest("leak_suspect", "meter") == "w-101");
    CHECK(newest("leak_suspect", "unit_label") == "1栋101");
    CHECK(newest("leak_suspect", "service") == "water");
    CHECK(newest("leak_suspect", "quality") == "confirmed");
    CHECK(newest("leak_suspect", "threshold") == "null");
    CHECK(newest("leak_suspect", "reason") == "at least 0.009 m3 in every hour");
    CHECK(newest("leak_suspect", "text") ==
          "【疑似漏水】1栋101 水表24小时流水不断，每小时至少 0.009 吨，请查漏，读数截至 11-24 "
          "08:00。");
    hours(3, 2);
    CHECK(steps("leak_suspect") == kLeak);
    CHECK(engine().snapshot()->open_alerts.size() == 1);
    back();
    CHECK(steps("leak_suspect") == kLeak);
    hour(0);
    CHECK(steps("leak_suspect") == kLeakOver);
    CHECK(newest("leak_suspect", "cleared_by") == "still");
    CHECK(steps("vacant_use").empty());
    CHECK(engine().snapshot()->open_alerts.empty());
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Rooms, "a leak: restarts forget no hour, and a long silence is no flow") {
    move_in("occupied");
    hours(12, 9);
    SECTION("restarts") {
        back();
        hours(6, 9);
        reopen();
        hours(5, 9);
        CHECK(steps("leak_suspect").empty());
        hour(9);
        CHECK(steps("leak_suspect") == kLeak);
    }
    SECTION("silence") {
        clock.pass(5 * kHour);
        hours(20, 9);
        CHECK(steps("leak_suspect").empty());
        hours(5, 9);
        CHECK(steps("leak_suspect") == kLeak);
        // Silent for a day, and it had counted nothing meanwhile: it stood still.
        clock.pass(kDay);
        hour(0);
        CHECK(steps("leak_suspect") == kLeakOver);
    }
    SECTION("a box that was off for a day knows nothing of that day") {
        hours(11, 9);
        crash();
        clock.pass(kDay);
        litres += 216;
        open();
        hours(24, 9);
        CHECK(steps("leak_suspect").empty());
        hour(9);
        CHECK(steps("leak_suspect") == kLeak);
    }
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Rooms,
                 "a leak: a meter on hold or in trial alerts nobody, one out of service ends") {
    SECTION("hold") {
        move_in("occupied");
        hours(23, 9);
        HoldMeter hold;
        hold.actor = "local";
        hold.meter = "w-101";
        hold.by = "s-01";
        hold.reason = "the pipe is looked at";
        REQUIRE(ask(hold).kind == ReplyKind::ok);
        hours(30, 9);
        CHECK(steps("leak_suspect").empty());
    }
    SECTION("trial") {
        open();
        FileTexts texts = files("occupied");
        texts["accounts.csv"] =
            "account,unit,service,tariff,live_from\n"
            "a-101,1-101,all,flat;water,2026-12-24\n";
        REQUIRE(import(texts).kind == ReplyKind::ok);
        clock.pass(30 * kSecond);
        read();
        hours(30, 9);
        CHECK(steps("leak_suspect").empty());
    }
    SECTION("out of service") {
        move_in("occupied");
        hours(24, 9);
        REQUIRE(steps("leak_suspect") == kLeak);
        FileTexts texts = files("occupied");
        texts["meters.csv"] =
            "meter,unit,service,bus,address,profile,status\n"
            "w-101,1-101,water,b1,2,wirenboard-mwac2,retired\n";
        REQUIRE(import(texts).kind == ReplyKind::ok);
        pass(10 * kSecond);
        CHECK(steps("leak_suspect") == kLeakOver);
        CHECK(newest("leak_suspect", "cleared_by") == "registry");
    }
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Rooms, "a leak: nobody looked for a week, and is told again; who looked is not") {
    move_in("occupied");
    hours(24, 9);
    const std::string id = engine().snapshot()->open_alerts.at(0)->id;
    SECTION("again") {
        hours(7 * 24, 9);
        CHECK(steps("leak_suspect") == kLeak);
        hour(9);  // at nine
        CHECK(steps("leak_suspect").back() == "reminded w-101 1 warning");
    }
    SECTION("looked at") {
        REQUIRE(ask(AckAlert{"local", id, "s-01", "visit", "", "the cistern"}).kind ==
                ReplyKind::ok);
        hours(8 * 24, 9);
        CHECK(steps("leak_suspect").size() == 2);
    }
}

TEST_CASE_METHOD(Rooms, "water where nobody lives: any flow, told as that and once") {
    move_in("vacant");
    hours(23, 1);
    CHECK(steps("vacant_use").empty());
    hour(50);
    CHECK(steps("vacant_use") == Steps{"raised w-101 2 critical"});
    CHECK(newest("vacant_use", "reason") == "no hour without flow");
    CHECK(newest("vacant_use", "text").find("空置房水表24小时流水不断") != std::string::npos);
    hours(30, 50);
    CHECK(steps("leak_suspect").empty());
    back();
    hours(23, 0);
    // A whole day; and on the way to it nobody called, so the lead was told.
    CHECK(steps("vacant_use") == Steps{"raised w-101 2 critical", "reminded w-101 2 critical"});
    CHECK(newest("vacant_use", "escalate_to") == "lead");
    hour(0);
    CHECK(steps("vacant_use").back() == "cleared w-101 0 info");
    CHECK(newest("vacant_use", "cleared_by") == "still");
    CHECK(engine().snapshot()->open_alerts.empty());
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Rooms, "somebody moves in: use is theirs, and flow is a leak") {
    move_in("not_delivered");
    hours(24, 9);
    REQUIRE(steps("vacant_use") == Steps{"raised w-101 2 critical"});
    REQUIRE(import(files("let")).kind == ReplyKind::ok);
    pass(10 * kSecond);
    CHECK(steps("vacant_use").back() == "cleared w-101 0 info");
    CHECK(newest("vacant_use", "cleared_by") == "registry");
    CHECK(steps("leak_suspect") == kLeak);
    // And out again: what was told stays told, and after a day without anybody it is louder.
    REQUIRE(import(files("vacant")).kind == ReplyKind::ok);
    pass(10 * kSecond);
    hours(24, 9);
    CHECK(steps("vacant_use").size() == 2);
    hour(9);
    CHECK(steps("vacant_use").back() == "raised w-101 2 critical");
    CHECK(steps("leak_suspect") == kLeak);
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Rooms,
                 "electricity where nobody lives: above 1 kWh a day, until a whole day is not") {
    move_in("occupied", "vacant");
    // The rest of Monday is no whole day; Tuesday is a quiet one.
    for (int i = 0; i < 16; ++i) {
        watt_hours["e-103"] += 100;
        hour(0);
    }
    day("e-103", 960);
    CHECK(steps("vacant_use").empty());
    day("e-103", 1'200);  // Wednesday
    CHECK(steps("vacant_use") == Steps{"raised e-103 2 critical"});
    CHECK(newest("vacant_use", "at").substr(0, 16) == "2026-11-25T21:00");
    CHECK(newest("vacant_use", "reason") == "1.050 kWh in a day");
    CHECK(newest("vacant_use", "account") == "a-103");
    CHECK(newest("vacant_use", "text") ==
          "【空置用量】1栋103 空置房一日用电 1.050 度，请上门查看，读数截至 11-25 21:00。");
    back();
    hours(23, 0);  // Thursday, not whole yet
    CHECK(steps("vacant_use").size() == 1);
    hour(0);
    CHECK(steps("vacant_use").back() == "cleared e-103 0 info");
    CHECK(newest("vacant_use", "cleared_by") == "still");
    day("e-103", 24 * 60);
    CHECK(steps("vacant_use").back() == "raised e-103 2 critical");
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Rooms, "what was used before a unit became vacant is nobody's fault") {
    move_in("occupied", "occupied");
    day("e-103", 9'600);
    REQUIRE(import(files("occupied", "vacant")).kind == ReplyKind::ok);
    pass(10 * kSecond);
    reopen();
    day("e-103", 0);
    day("e-103", 0);
    CHECK(steps("vacant_use").empty());
    // A held reading is no use, and neither is an occupied home's.
    day("e-101", 9'600);
    for (int i = 0; i < 3; ++i) {
        pass(10 * kMinute);
        sample("e-103", "900000.00");
    }
    REQUIRE(account("a-103").quality == Quality::held);
    pass(kHour);
    CHECK(steps("vacant_use").empty());
    CHECK(proof() == "");
}

namespace {

// a-101 holds 100.00 and nobody calls.
struct Unpaid : House {
    explicit Unpaid(const std::string& status = "occupied", const std::string& care = "") {
        open();
        FileTexts files = three_homes();
        files["units.csv"] = "unit,label,status,care\n1-101,1栋101," + status + "," + care +
                             "\n1-102,1栋102,,\n1-103,1栋103,,\n";
        files["accounts.csv"] =
            "account,unit,service,tariff,opening_balance\n"
            "a-101,1-101,electricity,flat,100.00\n";
        REQUIRE(import(files).kind == ReplyKind::ok);
        settle("e-101", "1000.00");
        pass(4 * kHour - 3 * kSecond);
    }
    void use_up_to(const std::string& face) {
        pass(kSecond);
        settle("e-101", face);
    }
    // In quarters of an hour, the register standing still.
    void stand(const std::string& face, std::int64_t ms) {
        for (; ms > 0; ms -= 15 * kMinute) {
            clock.pass(15 * kMinute);
            feed("e-101", *parse_rational(face));
            step();
        }
    }
    // "raised 2 11-23 12:00 " with whom it is for behind, oldest first.
    Steps told() const {
        Steps all;
        for (const StoredEvent& event : events("alert."))
            if (field(event.body, "kind") == "low_balance")
                all.push_back(event.kind.substr(6) + " " + field(event.body, "level") + " " +
                              field(event.body, "at").substr(5, 5) + " " +
                              field(event.body, "at").substr(11, 5) + " " +
                              field(event.body, "escalate_to"));
        return all;
    }
    std::string newest(const std::string& name) const {
        std::string body = "{}";
        for (const StoredEvent& event : events("alert."))
            if (field(event.body, "kind") == "low_balance") body = event.body;
        return field(body, name);
    }
};

}  // namespace

TEST_CASE("nobody calls: level 2 goes to the lead after a day, level 3 to the manager") {
    Unpaid house;
    house.use_up_to("1171.00");
    CHECK(house.told() == Steps{"raised 2 11-23 12:00 "});
    house.stand("1171.00", 23 * kHour);
    house.reopen();
    CHECK(house.told().size() == 1);
    house.stand("1171.00", 2 * kHour);
    CHECK(house.told().back() == "reminded 2 11-24 12:00 lead");
    CHECK(house.newest("text").find("请客服主管跟进。") != std::string::npos);
    house.reopen();
    house.stand("1171.00", 46 * kHour);
    CHECK(house.told().size() == 2);
    house.stand("1171.00", 2 * kHour);
    REQUIRE(house.told().size() == 3);
    CHECK(house.told().back() == "reminded 2 11-26 12:00 lead");
    // Used up at night: told at once, and to the manager a day later, in working hours.
    house.stand("1171.00", 10 * kHour);
    house.use_up_to("1190.00");
    REQUIRE(house.told().back().substr(0, 17) == "escalated 3 11-26");
    CHECK(house.newest("notify_after") == house.newest("at"));
    house.stand("1190.00", 30 * kHour);
    house.stand("1190.00", 5 * kHour);
    REQUIRE(house.told().size() == 5);
    CHECK(house.told().back() == "reminded 3 11-28 09:00 manager");
    CHECK(house.newest("text").find("请项目经理跟进。") != std::string::npos);

    SECTION("who called is asked no more") {
        const std::string id = house.engine().snapshot()->open_alerts.at(0)->id;
        REQUIRE(house.ask(AckAlert{"local", id, "s-01", "phone", "", "pays today"}).kind ==
                ReplyKind::ok);
        house.stand("1190.00", 5 * kDay);
        CHECK(house.told().size() == 6);
    }
    SECTION("and else daily") {
        house.stand("1190.00", 3 * kDay);
        CHECK(house.told().size() == 8);
        CHECK(house.told().back().find(" manager") != std::string::npos);
    }
    CHECK(house.proof() == "");
}

TEST_CASE("a vacant unit is shown and not chased") {
    for (const char* status : {"vacant", "not_delivered"}) {
        Unpaid house(status);
        house.use_up_to("1171.00");
        CHECK(house.told().empty());  // by days alone
        house.stand("1171.00", kHour);
        house.use_up_to("1190.00");
        CHECK(house.told() == Steps{"raised 3 11-23 13:00 "});
        house.stand("1190.00", 5 * kDay);
        CHECK(house.told().size() == 1);
        // Nobody is to be called, so nobody was missed.
        CHECK(field(house.events("alert.digest").back().body, "uncontacted") == "0");
    }
}

TEST_CASE("who is cared for is phoned, nothing is posted, and why is not told") {
    Unpaid house("occupied", "在家医疗设备");
    house.use_up_to("1171.00");
    CHECK(house.newest("contact") == "phone");
    CHECK(house.newest("text").find("请电话联系，勿张贴通知。") != std::string::npos);
    const std::string id = house.engine().snapshot()->open_alerts.at(0)->id;
    const Reply posted = house.ask(AckAlert{"local", id, "s-01", "posted", "", ""});
    CHECK(posted.kind == ReplyKind::invalid);
    REQUIRE(posted.errors.size() == 1);
    CHECK(posted.errors[0].pointer == "/via");
    CHECK(house.told().size() == 1);
    REQUIRE(house.ask(AckAlert{"local", id, "s-01", "phone", "", ""}).kind == ReplyKind::ok);
    CHECK(house.newest("text").find("勿张贴") == std::string::npos);
    for (const StoredEvent& event : house.events("alert."))
        CHECK(event.body.find("医疗") == std::string::npos);
    Unpaid other;
    other.use_up_to("1171.00");
    CHECK(other.newest("contact") == "");
    const std::string open = other.engine().snapshot()->open_alerts.at(0)->id;
    CHECK(other.ask(AckAlert{"local", open, "s-01", "posted", "", ""}).kind == ReplyKind::ok);
}

TEST_CASE("who would run out while the office is closed is told before it closes") {
    // Four days of 10 kWh, 5.283 each; then 13 days are left on Friday, 2026-11-27.
    const auto fill = [](House& house, const std::string& calendar) {
        house.options.alerts.base.low_balance = house.options.alerts.base.critical_balance = Fen{0};
        house.options.alerts.base.low_days = 7;
        house.options.alerts.base.critical_days = 3;
        house.open();
        FileTexts files = three_homes();
        if (!calendar.empty()) files["calendar.csv"] = calendar;
        REQUIRE(house.import(files).kind == ReplyKind::ok);
        house.settle("e-103", "1000.00");
        REQUIRE(house.top_up("a-103", "92.00", "k-1").kind == ReplyKind::created);
        for (int day = 1; day <= 4; ++day) {
            house.pass(kDay - kSecond);
            house.settle("e-103", std::to_string(1'000 + 10 * day) + ".00");
        }
    };
    const auto told = [](const House& house) {
        Steps all;
        for (const StoredEvent& event : house.events("alert."))
            if (field(event.body, "kind") == "low_balance")
                all.push_back(
                    event.kind.substr(6) + " " + field(event.body, "at").substr(5, 5) + " " +
                    field(event.body, "reason") + " " + field(event.body, "threshold") + " " +
                    field(event.body, "days_left") + " " + field(event.body, "next_working_day"));
        return all;
    };
    std::string rest = "date,kind,name\n";
    for (int day = 4; day <= 10; ++day)
        rest += "2026-12-" + std::string(day < 10 ? "0" : "") + std::to_string(day) + ",holiday,\n";
    SECTION("without a calendar nothing changes") {
        House house;
        fill(house, "");
        REQUIRE(house.account("a-103").days_left == 13);
        CHECK(told(house).empty());
    }
    SECTION("seven days before it begins") {
        House house;
        fill(house, rest);
        REQUIRE(house.account("a-103").days_left == 13);
        // The rest begins on Friday the 4th and the office is back on the 11th: 14 days, and one.
        CHECK(told(house) == Steps{"raised 11-27 days 15 13 2026-12-11"});
        const auto raised = house.events("alert.raised").back();
        CHECK(field(raised.body, "level") == "1");
        CHECK(field(raised.body, "text").find("约可用 13 天（节后 12月11日上班）") !=
              std::string::npos);
        CHECK(house.account("a-103").thresholds.low_days == 7);
        house.pass(kHour);
        const auto digest = house.events("alert.digest").back();
        CHECK(field(digest.body, "holiday") ==
              R"({"from":"2026-12-04","back":"2026-12-11","to_renew":1})");
        house.reopen();
        for (int day = 1; day <= 3; ++day) {
            house.pass(kDay);
            house.settle("e-103", std::to_string(1'040 + 10 * day) + ".00");
        }
        CHECK(told(house).size() == 1);
    }
    SECTION("not before") {
        House house;
        fill(house, "date,kind,name\n2026-12-07,holiday,\n2026-12-08,holiday,\n");
        CHECK(told(house).empty());
    }
}
