// Readings by eye: a dead meter, a meter without a bus, and a profile whose sources disagree.
#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

struct Eye : House {
    Eye() {
        open();
        FileTexts files = three_homes();
        files["meters.csv"] =
            "meter,unit,service,bus,address,profile,rated_amps\n"
            "e-101,1-101,electricity,b1,1,eastron-sdm120,60\n"
            "w-101,1-101,water,,,,\n"
            "e-102,1-102,electricity,b1,3,chint-dtsu666,60\n"
            "e-103,1-103,electricity,b1,4,eastron-sdm120,60\n";
        REQUIRE(import(files).kind == ReplyKind::ok);
    }
    Reply dial(const std::string& meter, const std::string& face, const std::string& at = "",
               const std::string& by = "s-01", const std::string& second = "s-02") {
        return ask(ReadFace{"local", meter, face, at, by, second, "IMG_1"});
    }
    Reply confirm(const std::string& meter, const std::string& face) {
        return ask(ConfirmFace{"local", meter, face, "s-01"});
    }
    [[nodiscard]] std::vector<QuarantineRow> open_rows() const {
        return StoreReader(path()).quarantine(QuarantineRow::State::open, 0, 10);
    }
};

}  // namespace

TEST_CASE_METHOD(Eye, "a meter without a bus lives by the eye") {
    const Reply first = dial("w-101", "7");
    REQUIRE(first.kind == ReplyKind::created);
    CHECK(field(first.json, "state") == "confirmed");
    CHECK(balance("a-101") == "100.00");
    pass(5 * kDay);
    const Reply next = dial("w-101", "19.5");
    REQUIRE(next.kind == ReplyKind::created);
    CHECK(balance("a-101") == "37.50");  // 12.5 x 5.00 = 62.50
    CHECK(meter("w-101").total == Milli{19'500});
    const StoredReading last = readings("w-101").back();
    CHECK(last.row.kind == ReadingKind::manual);
    CHECK(last.row.quality == ReadingQuality::manual);
    reopen();
    CHECK(balance("a-101") == "37.50");
    CHECK(events("meter.read_by_eye").size() == 2);
    // The days between are posted, estimated, each once.
    pass(10 * kMinute);
    CHECK(ledger("a-101") != "100.00");
    CHECK(balance("a-101") == "37.50");
    CHECK(proof() == "");
    SECTION("what falls or leaps is held, and staff decide") {
        const Reply held = dial("w-101", "17");
        REQUIRE(held.kind == ReplyKind::created);
        CHECK(field(held.json, "state") == "held");
        CHECK(field(held.json, "reason") == "decrease");
        CHECK(balance("a-101") == "37.50");
        CHECK(account("a-101").quality == Quality::held);
        CHECK(dial("w-101", "18").kind == ReplyKind::conflict);
        const std::string id = field(held.json, "quarantine");
        reopen();
        SECTION("rejected it is as if it had not been") {
            REQUIRE(ask(SettleQuarantine{"local", id, "s-01", "misread", false}).kind ==
                    ReplyKind::ok);
            CHECK(account("a-101").quality == Quality::confirmed);
            pass(kHour);
            REQUIRE(dial("w-101", "20.5").kind == ReplyKind::created);
            CHECK(balance("a-101") == "32.50");
        }
        SECTION("released it counts on from there") {
            REQUIRE(ask(SettleQuarantine{"local", id, "s-01", "new dial", true}).kind ==
                    ReplyKind::ok);
            CHECK(balance("a-101") == "37.50");
            pass(kHour);
            REQUIRE(dial("w-101", "18").kind == ReplyKind::created);
            CHECK(balance("a-101") == "32.50");
            CHECK(meter("w-101").total == Milli{20'500});
        }
        SECTION("a reading that agrees with the books answers it") {
            pass(kHour);
            REQUIRE(dial("w-101", "20.5").kind == ReplyKind::created);
            CHECK(balance("a-101") == "32.50");
            CHECK(open_rows().empty());
        }
    }
}

TEST_CASE_METHOD(Eye, "a dead meter is read by eye, and the electronics come back") {
    settle("e-103", "1000.00");
    pass(kHour);
    fail("e-103");
    pass(kHour);
    REQUIRE(dial("e-103", "1004.2").kind == ReplyKind::created);
    CHECK(balance("a-103") == "-2.22");  // 4.2 x 0.5283 = 2.21886
    reopen();
    CHECK(balance("a-103") == "-2.22");
    pass(kHour);
    SECTION("where they agree within the last place of the dial they go on") {
        settle("e-103", "1004.15");
        CHECK(balance("a-103") == "-2.22");
        CHECK(account("a-103").quality == Quality::confirmed);
        pass(kHour);
        settle("e-103", "1005.00");
        CHECK(balance("a-103") == "-2.64");  // 5 x 0.5283 = 2.6415
        CHECK(meter("e-103").total == Milli{1'005'000});
    }
    SECTION("where they do not staff decide") {
        for (int i = 0; i < 3; ++i) {
            pass(kMinute);
            sample("e-103", "1001.00");
        }
        REQUIRE(open_rows().size() == 1);
        CHECK(open_rows()[0].reason == "manual_differs");
        CHECK(balance("a-103") == "-2.22");
        const std::string id = std::to_string(open_rows()[0].id);
        reopen();
        REQUIRE(ask(SettleQuarantine{"local", id, "s-01", "lost counts", true}).kind ==
                ReplyKind::ok);
        pass(kHour);
        settle("e-103", "1002.00");
        CHECK(meter("e-103").total == Milli{1'005'200});
        CHECK(balance("a-103") == "-2.75");  // 5.2 x 0.5283 = 2.74716
    }
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Eye, "a dial that was typed a step too low charges nothing, whatever restarts") {
    settle("e-103", "1000.75");
    const auto restarted = [&] {
        reopen();
        settle("e-103", "1000.75");
        CHECK(meter("e-103").total == Milli{1'000'750});
        CHECK(balance("a-103") == "0.00");
    };
    for (int again = 0; again < 3; ++again) {
        pass(kMinute);
        REQUIRE(dial("e-103", "1000").kind == ReplyKind::created);
        CHECK(meter("e-103").total == Milli{1'000'750});
        restarted();
    }
    // By eye alone, with whole figures that two people read differently.
    REQUIRE(dial("w-101", "103").kind == ReplyKind::created);
    for (int again = 0; again < 3; ++again) {
        pass(kMinute);
        REQUIRE(dial("w-101", "102").kind == ReplyKind::created);
        reopen();
        pass(kMinute);
        REQUIRE(dial("w-101", "103").kind == ReplyKind::created);
        CHECK(meter("w-101").total == Milli{103'000});
    }
    CHECK(balance("a-101") == "100.00");
    CHECK(proof().empty());
}

TEST_CASE_METHOD(Eye, "a reading by eye is refused with field and reason, and changes nothing") {
    settle("e-103", "1000.00");
    pass(kHour);
    settle("e-103", "1000.50");
    const std::string before = balance("a-103");
    struct Row {
        const char *meter, *face, *at, *by, *second;
        ReplyKind kind;
        const char* pointer;
    };
    const Row rows[] = {
        {"none", "1001", "", "s-01", "s-02", ReplyKind::not_found, ""},
        {"e-103", "1001", "", "s-01", "s-01", ReplyKind::invalid, "/second"},
        {"e-103", "1001", "", "s-99", "s-02", ReplyKind::invalid, "/by"},
        {"e-103", "1001", "", "s-01", "", ReplyKind::invalid, "/second"},
        {"e-103", "1e3", "", "s-01", "s-02", ReplyKind::invalid, "/register"},
        {"e-103", "-5", "", "s-01", "s-02", ReplyKind::invalid, "/register"},
        {"e-103", "", "", "s-01", "s-02", ReplyKind::invalid, "/register"},
        {"e-103", "1001", "soon", "s-01", "s-02", ReplyKind::invalid, "/at"},
        {"e-103", "1001", "2026-11-24T00:00:00+08:00", "s-01", "s-02", ReplyKind::invalid, "/at"},
        {"e-103", "1001", "2026-11-23T08:30:00+08:00", "s-01", "s-02", ReplyKind::invalid, "/at"},
    };
    for (const Row& row : rows) {
        INFO(row.meter << " " << row.face << " " << row.at << " " << row.by << " " << row.second);
        const Reply reply = dial(row.meter, row.face, row.at, row.by, row.second);
        CHECK(reply.kind == row.kind);
        CHECK(!reply.detail.empty());
        if (*row.pointer != 0) {
            REQUIRE(!reply.errors.empty());
            CHECK(reply.errors[0].pointer == row.pointer);
        }
    }
    CHECK(balance("a-103") == before);
    CHECK(events("meter.read_by_eye").empty());
}

TEST_CASE_METHOD(Eye, "the same reading asked again is taken once") {
    const std::string at = "2026-11-23T07:59:00+08:00";
    const Reply first = dial("w-101", "7", at);
    REQUIRE(first.kind == ReplyKind::created);
    const Reply again = dial("w-101", "7", at);
    CHECK(again.kind == ReplyKind::ok);
    CHECK(field(again.json, "reading") == field(first.json, "reading"));
    CHECK(readings("w-101").size() == 1);
}

TEST_CASE_METHOD(Eye, "a profile in conflict charges nothing until one face agreed") {
    for (int i = 0; i < 4; ++i) {
        sample("e-102", "5000.00");
        pass(kMinute);
    }
    REQUIRE(open_rows().size() == 1);
    CHECK(open_rows()[0].reason == "conflict_profile");
    const std::string id = std::to_string(open_rows()[0].id);
    CHECK_FALSE(meter("e-102").total);
    CHECK(ask(SettleQuarantine{"local", id, "s-01", "fine", true}).kind == ReplyKind::refused);
    const Reply other = confirm("e-102", "41.70");
    CHECK(other.kind == ReplyKind::invalid);
    CHECK(other.detail.find("5000.000") != std::string::npos);
    CHECK(confirm("e-101", "1.00").kind == ReplyKind::conflict);
    CHECK(confirm("none", "1.00").kind == ReplyKind::not_found);
    REQUIRE(confirm("e-102", "5000.0").kind == ReplyKind::ok);
    CHECK(open_rows().empty());
    CHECK(confirm("e-102", "5000.0").kind == ReplyKind::ok);
    CHECK(events("meter.face_confirmed").size() == 1);
    reopen();
    pass(kMinute);
    settle("e-102", "5000.00");
    CHECK(meter("e-102").total == Milli{5'000'000});
    CHECK(balance("a-102") == "200.00");
    pass(kHour);
    settle("e-102", "5001.00");
    CHECK(balance("a-102") == "199.51");
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Eye, "a dial beyond what can be counted is refused at its field") {
    REQUIRE(dial("w-101", "7").kind == ReplyKind::created);
    pass(kHour);
    // 9.3e15 in thousandths passes 2^63 = 9.22e18.
    for (const char* face : {"9300000000000000", "99999999999999999999"}) {
        INFO(face);
        const Reply reply = dial("w-101", face);
        CHECK(reply.kind == ReplyKind::invalid);
        CHECK(reply.type == "invalid");
        REQUIRE(reply.errors.size() == 1);
        CHECK(reply.errors[0].pointer == "/register");
    }
    CHECK(open_rows().empty());
    CHECK(meter("w-101").total == Milli{7'000});
}
