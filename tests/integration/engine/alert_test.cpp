// The life of a low-balance alert: each step once, in the transaction of its cause.
#include <algorithm>

#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

// a-101 holds 100.00; low at 50.00, critical at 10.00; its meter stands at 1000.00.
struct Watched : House {
    Watched() {
        open();
        REQUIRE(import(three_homes()).kind == ReplyKind::ok);
        settle("e-101", "1000.00");
        settle("w-101", "1.000");
    }
    void use_up_to(const std::string& face) {
        pass(kHour);
        settle("e-101", face);
    }
    // The digest of the day is another's matter.
    std::vector<StoredEvent> told() const {
        std::vector<StoredEvent> all;
        for (StoredEvent& event : events("alert."))
            if (field(event.body, "kind") == "low_balance") all.push_back(std::move(event));
        return all;
    }
    std::vector<std::string> steps() const {
        std::vector<std::string> all;
        for (const StoredEvent& event : told())
            all.push_back(event.kind.substr(6) + " " + field(event.body, "level") + " " +
                          field(event.body, "balance"));
        return all;
    }
};
using Steps = std::vector<std::string>;

}  // namespace

TEST_CASE_METHOD(Watched, "each crossing is told once, with everything the contract names") {
    use_up_to("1094.00");  // 49.66 used
    CHECK(steps().empty());
    use_up_to("1095.00");  // 50.1885 used
    CHECK(steps() == Steps{"raised 1 49.81"});
    use_up_to("1096.00");
    CHECK(steps().size() == 1);
    use_up_to("1171.00");  // 90.3393 used
    use_up_to("1172.00");
    use_up_to("1190.00");  // 100.377 used
    use_up_to("1191.00");
    CHECK(steps() == Steps{"raised 1 49.81", "escalated 2 9.66", "escalated 3 -0.38"});
    const auto told = this->told();
    REQUIRE(told.size() == 3);
    const std::string id = field(told[0].body, "id");
    CHECK(id.size() == 26);
    std::string before = "0";
    for (const StoredEvent& event : told) {
        CHECK(field(event.body, "schema") == "1");
        CHECK(field(event.body, "id") == id);
        CHECK(field(event.body, "seq") == std::to_string(event.seq));
        CHECK(field(event.body, "prev") == before);
        before = std::to_string(event.seq);
        CHECK(field(event.body, "kind") == "low_balance");
        CHECK(field(event.body, "subject") == "a-101");
        CHECK(field(event.body, "account") == "a-101");
        CHECK(field(event.body, "unit") == "1-101");
        CHECK(field(event.body, "unit_label") == "1栋101");
        CHECK(field(event.body, "service") == "all");
        CHECK(field(event.body, "currency") == "CNY");
        CHECK(field(event.body, "reason") == "balance");
        // Nothing is foretold from one day; what is used up needs no forecast.
        CHECK(field(event.body, "days_left") == (field(event.body, "level") == "3" ? "0" : "null"));
        CHECK(field(event.body, "quality") == "confirmed");
        CHECK(field(event.body, "text").find("1栋101") != std::string::npos);
        CHECK(field(event.body, "cleared_by") == "");
    }
    CHECK(field(told[0].body, "threshold") == "50.00");
    CHECK(field(told[1].body, "threshold") == "10.00");
    CHECK(field(told[2].body, "threshold") == "0.00");
    CHECK(field(told[0].body, "severity") == "warning");
    CHECK(field(told[2].body, "severity") == "emergency");
    // The water meter was read first and not again: the balance rests on that reading too.
    CHECK(field(told[0].body, "as_of") == "2026-11-23T08:00:02+08:00");
    CHECK(field(told[0].body, "notify_after") == "2026-11-23T10:00:04+08:00");
    CHECK(field(told[2].body, "opened_at") == field(told[0].body, "at"));
    CHECK(engine().snapshot()->open_alerts.size() == 1);
    CHECK(engine().snapshot()->accounts_low == 1);

    SECTION("a top-up clears it in the transaction of the top-up") {
        const Reply paid = top_up("a-101", "100.00", "k-1");
        REQUIRE(paid.kind == ReplyKind::created);
        CHECK(field(paid.json, "level") == "0");
        const auto cleared = events("alert.cleared");
        REQUIRE(cleared.size() == 1);
        CHECK(field(cleared[0].body, "cleared_by") == "topup");
        CHECK(field(cleared[0].body, "id") == id);
        CHECK(events("entry.topup").at(0).seq + 1 == cleared[0].seq);
        CHECK(engine().snapshot()->open_alerts.empty());
        reopen();
        CHECK(engine().snapshot()->open_alerts.empty());
    }
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Watched, "the flat's line has its alerts, in order, and no other's") {
    use_up_to("1095.00");
    use_up_to("1172.00");
    fail("e-101");
    for (int i = 0; i < 70; ++i) pass(1'000);
    const auto line = [&](const char* unit) {
        std::vector<std::string> all;
        for (const StoredEvent& event :
             StoreReader(path()).events_about(std::string("unit:") + unit, 0, 100))
            if (event.kind.starts_with("alert."))
                all.push_back(event.kind.substr(6) + " " + field(event.body, "kind"));
        return all;
    };
    CHECK(line("1-101") ==
          Steps{"raised low_balance", "escalated low_balance", "raised meter_offline"});
    CHECK(line("1-102").empty());
}

TEST_CASE_METHOD(Watched, "a small top-up eases, one above the threshold clears without a margin") {
    use_up_to("1171.00");
    CHECK(steps() == Steps{"raised 2 9.66"});
    REQUIRE(top_up("a-101", "20.00", "k-1").kind == ReplyKind::created);
    CHECK(steps().back() == "eased 1 29.66");
    REQUIRE(top_up("a-101", "20.35", "k-2").kind == ReplyKind::created);
    CHECK(steps().back() == "cleared 0 50.01");
    use_up_to("1171.01");
    CHECK(steps().size() == 3);  // 90.3446 used, 50.01 as before
    use_up_to("1171.03");        // 90.3551 used
    CHECK(steps().back() == "raised 1 49.99");
    const auto raised = events("alert.raised");
    REQUIRE(raised.size() == 2);
    CHECK(field(raised[0].body, "id") != field(raised[1].body, "id"));
    CHECK(field(raised[1].body, "prev") == std::to_string(events("alert.cleared")[0].seq));
}

TEST_CASE_METHOD(Watched, "somebody who called says so") {
    use_up_to("1095.00");
    const std::string id = engine().snapshot()->open_alerts.at(0)->id;
    const Reply told = ask(AckAlert{"local", id, "s-01", "phone", "will pay tomorrow", ""});
    REQUIRE(told.kind == ReplyKind::ok);
    CHECK(field(told.json, "state") == "acknowledged");
    CHECK(engine().snapshot()->open_alerts.at(0)->acknowledged);
    CHECK(StoreReader(path()).acks(id).size() == 1);
    CHECK(ask(AckAlert{"local", "01ABC", "s-01", "phone", "", ""}).kind == ReplyKind::not_found);
    CHECK(ask(AckAlert{"local", id, "s-99", "phone", "", ""}).kind == ReplyKind::invalid);
    CHECK(ask(AckAlert{"local", id, "s-01", "dove", "", ""}).kind == ReplyKind::invalid);
    reopen();
    CHECK(engine().snapshot()->open_alerts.at(0)->acknowledged);
    use_up_to("1171.00");
    CHECK(steps().back() == "escalated 2 9.66");
    CHECK_FALSE(engine().snapshot()->open_alerts.at(0)->acknowledged);
}

TEST_CASE_METHOD(Watched, "a restart keeps the one open alert and neither clears nor repeats it") {
    use_up_to("1095.00");
    REQUIRE(steps() == Steps{"raised 1 49.81"});
    for (int i = 0; i < 3; ++i) {
        reopen();
        CHECK(steps().size() == 1);
        CHECK(engine().snapshot()->open_alerts.size() == 1);
        CHECK(account("a-101").level == 1);
        CHECK(balance("a-101") == "49.81");
        pass(kMinute);
        step();
        sample("e-101", "1095.00");
        CHECK(steps().size() == 1);
    }
    settle("e-101", "1095.00");
    settle("w-101", "1.000");
    pass(kMinute);
    CHECK(steps().size() == 1);
}

TEST_CASE_METHOD(Watched,
                 "a top-up right after a kill is judged once the meters said what they used") {
    use_up_to("1095.00");
    REQUIRE(steps() == Steps{"raised 1 49.81"});
    pass(kMinute);
    settle("e-101", "1099.00");  // 99 x 0.5283 = 52.30, and no row holds it
    REQUIRE(balance("a-101") == "47.70");
    reopen();
    REQUIRE(balance("a-101") == "49.81");
    asked.soon.clear();
    SECTION("what does not reach the threshold clears nothing") {
        REQUIRE(top_up("a-101", "1.00", "k-1").kind == ReplyKind::created);
        CHECK(balance("a-101") == "50.81");
        CHECK(asked.soon["e-101"] == 1);
        CHECK(asked.soon["w-101"] == 1);
        pass(kMinute);
        settle("w-101", "1.000");
        sample("e-101", "1099.00");
        CHECK(asked.soon["e-101"] == 2);
        pass(kSecond);
        sample("e-101", "1099.00");
        CHECK(balance("a-101") == "48.70");
        CHECK(steps().size() == 1);
        CHECK(account("a-101").level == 1);
    }
    SECTION("what does clears as a top-up, without a margin") {
        REQUIRE(top_up("a-101", "2.31", "k-1").kind == ReplyKind::created);
        CHECK(steps().size() == 1);
        pass(kMinute);
        settle("e-101", "1099.00");
        CHECK(steps().size() == 1);
        settle("w-101", "1.000");
        CHECK(steps().back() == "cleared 0 50.01");
        CHECK(field(told().back().body, "cleared_by") == "topup");
    }
    SECTION("a dead meter is not waited for") {
        REQUIRE(top_up("a-101", "100.00", "k-1").kind == ReplyKind::created);
        CHECK(steps().size() == 1);
        pass(kMinute);
        settle("w-101", "1.000");
        fail("e-101");
        pass(kMinute);
        CHECK(steps().back() == "cleared 0 149.81");
    }
    SECTION("nor one that says nothing for ten minutes") {
        REQUIRE(top_up("a-101", "100.00", "k-1").kind == ReplyKind::created);
        pass(10 * kMinute);
        step();
        pass(kSecond);
        CHECK(steps().back() == "cleared 0 149.81");
    }
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Watched, "a crossing that waits for its second sample asks for it at once") {
    pass(kHour);
    asked.soon.clear();
    sample("e-101", "1010.00");
    CHECK(asked.soon["e-101"] == 0);
    pass(kHour);
    sample("e-101", "1095.00");
    CHECK(asked.soon["e-101"] == 1);
}

TEST_CASE_METHOD(Watched, "a test alert opens nothing") {
    CHECK(ask(TestAlert{"local"}).kind == ReplyKind::ok);
    CHECK(events("alert.raised").size() == 1);
    CHECK(events("alert.cleared").size() == 1);
    CHECK(engine().snapshot()->open_alerts.empty());
}

TEST_CASE_METHOD(Watched,
                 "the first accrued fen is judged: an account that never paid is exhausted") {
    settle("e-103", "500.00");
    CHECK(steps().empty());
    pass(kHour);
    settle("e-103", "500.02");
    CHECK(steps() == Steps{"raised 3 -0.01"});
}

TEST_CASE("by days: what seven more days would not last for raises with the days as threshold") {
    House house;
    house.options.alerts.base.low_balance = Fen{0};
    house.options.alerts.base.critical_balance = Fen{0};
    house.options.alerts.base.low_days = 7;
    house.options.alerts.base.critical_days = 3;
    house.open();
    FileTexts files = three_homes();
    files["accounts.csv"] =
        "account,unit,service,tariff,opening_balance\na-103,1-103,electricity,flat,58.00\n";
    REQUIRE(house.import(files).kind == ReplyKind::ok);
    house.settle("e-103", "1000.00");
    house.pass(16 * kHour + kMinute);
    for (const char* face : {"1010.00", "1020.00", "1030.00", "1040.00"}) {
        CHECK_FALSE(house.account("a-103").days_left);
        house.settle("e-103", face);
        house.pass(kDay - kSecond);
    }
    // Three whole days of 10 kWh: 5.283 a day. 58.00 - 21.13 = 36.87 lasted for 6 days, a day ago.
    const auto raised = house.events("alert.raised");
    REQUIRE(raised.size() == 1);
    CHECK(field(raised[0].body, "balance") == "36.87");
    CHECK(field(raised[0].body, "reason") == "days");
    CHECK(field(raised[0].body, "threshold") == "7");
    CHECK(field(raised[0].body, "days_left") == "6");
    CHECK(field(raised[0].body, "level") == "1");
    REQUIRE(house.top_up("a-103", "50.00", "k-1").kind == ReplyKind::created);
    CHECK(house.events("alert.cleared").size() == 1);
    CHECK(house.proof() == "");
}

TEST_CASE("the days of a meter that is silent count down to none, over a start as well") {
    const bool restarts = GENERATE(false, true);
    INFO("restarts: " << restarts);
    House house;
    house.options.alerts.base.low_balance = Fen{50'00};
    house.options.alerts.base.critical_balance = Fen{0};
    house.options.alerts.base.low_days = 7;
    house.options.alerts.base.critical_days = 3;
    house.open();
    FileTexts files = three_homes();
    files["accounts.csv"] =
        "account,unit,service,tariff,opening_balance\na-103,1-103,electricity,flat,97.00\n";
    REQUIRE(house.import(files).kind == ReplyKind::ok);
    house.settle("e-103", "1000.00");
    house.pass(16 * kHour + kMinute);
    for (const char* face : {"1010.00", "1020.00", "1030.00", "1040.00"}) {
        house.settle("e-103", face);
        house.pass(kDay - kSecond);
    }
    house.fail("e-103");
    // 10 kWh a day cost 5.283; 97.00 - 21.13 = 75.87 lasted for 14 days, a day ago.
    REQUIRE(house.balance("a-103") == "75.87");
    std::vector<int> days, levels;
    for (int day = 0; day < 18; ++day) {
        house.pass(kDay);
        if (restarts && day % 5 == 2) {
            house.reopen();
            house.pass(10 * kMinute);
            house.pass(kDay - 10 * kMinute);
            ++day;
        }
        days.push_back(house.account("a-103").days_left.value_or(-1));
        levels.push_back(house.account("a-103").level);
    }
    CHECK(days.back() == 0);
    CHECK(std::is_sorted(days.rbegin(), days.rend()));
    CHECK(std::is_sorted(levels.begin(), levels.end()));
    CHECK(levels.back() == 2);
    CHECK(house.events("alert.raised").size() >= 1);
    for (const StoredEvent& one : house.events("alert."))
        if (field(one.body, "kind") == "low_balance") {
            CHECK(one.kind != "alert.cleared");
            CHECK(field(one.body, "reason") == "days");
        }
    CHECK(house.proof() == "");
}
