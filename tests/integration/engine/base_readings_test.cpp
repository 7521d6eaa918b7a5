// The figures of a move that two people read at dials which no electronics confirm: readings with
// the record, or neither.
#include "daemon/engine/key_room.hpp"
#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

struct MoveIn : House {
    MoveIn() {
        open();
        FileTexts files = three_homes();
        files["meters.csv"] =
            "meter,unit,service,bus,address,profile,rated_amps\n"
            "e-101,1-101,electricity,b1,1,eastron-sdm120,60\n"
            "w-101,1-101,water,,,,\n"
            "e-102,1-102,electricity,b1,3,eastron-sdm120,60\n";
        REQUIRE(import(files).kind == ReplyKind::ok);
    }
    static WriteRegister sheet(const std::map<std::string, std::string>& faces,
                               const std::string& second = "s-02", const std::string& at = "") {
        WriteRegister row;
        row.kind = "handover";
        row.event = "unit.handover";
        row.unit = "1-101";
        row.by = "s-01";
        row.second = second;
        std::string readings;
        for (const auto& [meter, face] : faces) {
            readings += (readings.empty() ? "" : ",") +
                        (R"({"meter":")" + meter + R"(","register":")" + face + R"("})");
            row.faces.push_back({"local", meter, face, at, row.by, row.second, ""});
        }
        row.body = R"({"direction":"in","readings":[)" + readings +
                   R"(],"keys":{"door":"5"},"by":"s-01"})";
        row.log_body = R"({"direction":"in","by":"s-01"})";
        OpenTicket defect;
        defect.kind = "defect";
        defect.unit = "1-101";
        defect.text = "the door: scratched";
        defect.by = "s-01";
        row.faults.push_back(defect);
        return row;
    }
    Reply work(WriteRegister row) {
        RoomCommand command;
        command.work = std::make_shared<const RoomWork>(RoomWork{std::move(row)});
        return ask(std::move(command));
    }
    [[nodiscard]] std::size_t tickets() const {
        return StoreReader(path()).key_books().tickets({}, 10).size();
    }
    [[nodiscard]] std::size_t records() const {
        return StoreReader(path()).key_books().registers("handover", "1-101", 0, 10).size();
    }
};

}  // namespace

TEST_CASE_METHOD(MoveIn, "what two read at a dial at the move is the base from which is charged") {
    const Reply made = work(sheet({{"w-101", "12.5"}}));
    REQUIRE(made.kind == ReplyKind::created);
    CHECK(made.json.find(
              R"("base_readings":[{"meter":"w-101","state":"confirmed","register":"12.5")") !=
          std::string::npos);
    CHECK(events("meter.read_by_eye").size() == 1);
    REQUIRE(events("unit.handover").size() == 1);
    CHECK(events("unit.handover")[0].body.find("base_readings") != std::string::npos);
    REQUIRE(readings("w-101").size() == 1);
    CHECK(readings("w-101")[0].row.quality == ReadingQuality::manual);
    CHECK(balance("a-101") == "100.00");
    // The same sheet, lost on its way and sent again, is the same one.
    const Reply again = work(sheet({{"w-101", "12.5"}}));
    CHECK(again.kind == ReplyKind::ok);
    CHECK(again.json == made.json);
    CHECK(readings("w-101").size() == 1);
    CHECK(tickets() == 1);
    reopen();
    pass(5 * kDay);
    REQUIRE(ask(ReadFace{"local", "w-101", "14.5", "", "s-01", "s-02", ""}).kind ==
            ReplyKind::created);
    CHECK(balance("a-101") == "90.00");  // 2 x 5.00
    CHECK(proof() == "");
}

TEST_CASE_METHOD(MoveIn, "a clerk's sheet that another one signs later books its figures, once") {
    WriteRegister alone = sheet({{"w-101", "12.5"}}, "");
    alone.faces.clear();
    REQUIRE(work(alone).kind == ReplyKind::created);
    CHECK(readings("w-101").empty());
    REQUIRE(work(sheet({{"w-101", "12.5"}})).kind == ReplyKind::created);
    CHECK(readings("w-101").size() == 1);
    CHECK(tickets() == 1);
    CHECK(work(sheet({{"w-101", "12.5"}})).kind == ReplyKind::ok);
    CHECK(readings("w-101").size() == 1);
}

TEST_CASE_METHOD(MoveIn,
                 "a meter that is dead lives from that figure on, and agrees or is asked about") {
    settle("e-101", "1000.00");
    pass(2 * kHour);
    REQUIRE(work(sheet({{"e-101", "1001"}})).kind == ReplyKind::created);
    CHECK(meter("e-101").total == Milli{1'001'000});
    CHECK(balance("a-101") == "99.47");  // 0.5283
    pass(kHour);
    settle("e-101", "1002.00");
    CHECK(balance("a-101") == "98.94");
    CHECK(proof() == "");
}

TEST_CASE_METHOD(MoveIn, "a figure that contradicts the books is held, and a task") {
    settle("e-101", "1000.00");
    pass(2 * kHour);
    const Reply made = work(sheet({{"e-101", "900"}, {"w-101", "7"}}));
    REQUIRE(made.kind == ReplyKind::created);
    CHECK(made.json.find(R"("meter":"e-101","state":"held","register":"900")") !=
          std::string::npos);
    CHECK(made.json.find(R"("meter":"w-101","state":"confirmed")") != std::string::npos);
    CHECK(tickets() == 2);  // the defect, and what staff decide
    CHECK(balance("a-101") == "100.00");
    reopen();
    REQUIRE(StoreReader(path()).quarantine(QuarantineRow::State::open, 0, 10).size() == 1);
    CHECK(records() == 1);
    CHECK(proof() == "");
}

TEST_CASE_METHOD(MoveIn, "a sheet with one figure that cannot be taken changes nothing") {
    struct Row {
        std::map<std::string, std::string> faces;
        const char *second, *at, *pointer;
    };
    settle("e-101", "1000.00");
    const Row rows[] = {
        {{{"w-101", "12.5"}, {"x-9", "1"}}, "s-02", "", ""},
        {{{"e-101", "1e3"}, {"w-101", "12.5"}}, "s-02", "", "/readings/e-101"},
        {{{"w-101", "99999999999999999999"}}, "s-02", "", "/readings/w-101"},
        {{{"w-101", "12.5"}}, "s-01", "", "/second"},
        {{{"w-101", "12.5"}}, "s-77", "", "/second"},
        {{{"w-101", "12.5"}}, "s-02", "2027-01-01T08:00:00+08:00", "/at"},
        {{{"e-101", "1001"}, {"w-101", "12.5"}}, "s-02", "2026-11-20T08:00:00+08:00", "/at"},
    };
    for (const Row& row : rows) {
        INFO(row.pointer << " " << row.second << " " << row.at);
        const Reply reply = work(sheet(row.faces, row.second, row.at));
        CHECK(reply.kind == (*row.pointer != 0 ? ReplyKind::invalid : ReplyKind::not_found));
        CHECK(!reply.detail.empty());
        if (*row.pointer != 0) {
            REQUIRE(!reply.errors.empty());
            CHECK(reply.errors[0].pointer == row.pointer);
        }
    }
    CHECK(records() == 0);
    CHECK(tickets() == 0);
    CHECK(readings("w-101").empty());
    CHECK(events("meter.read_by_eye").empty());
    CHECK(events("unit.handover").empty());
}

namespace {

struct Changing : MoveIn {
    bool accept = false;
    Changing() {
        FileTexts files;
        files["people.csv"] = "person,kind,name,unit\np-2,tenant,Somebody,1-101\n";
        REQUIRE(import(files).kind == ReplyKind::ok);
        settle("e-101", "1000.00");
        REQUIRE(ask(ReadFace{"local", "w-101", "7", "", "s-01", "s-02", ""}).kind ==
                ReplyKind::created);
        pass(2 * kDay);
        settle("e-101", "1001.00");
    }
    Reply moves(const char* key, const std::map<std::string, std::string>& faces) {
        ChangeOccupant change;
        change.act = {"local", "s-01", "s-02", "moved", key, key};
        change.unit = "1-101";
        change.holder = "p-2";
        change.settle = "refund";
        change.accept_last_reading = accept;
        WriteRegister row = sheet(faces);
        row.faults.clear();
        row.body.replace(row.body.find("\"direction\""), 0, "\"reconcile\":false,");
        change.record = std::make_shared<const RoomWork>(RoomWork{row});
        return ask(change);
    }
};

}  // namespace

TEST_CASE_METHOD(Changing,
                 "a move that accepts the last reading makes a task of a face that contradicts") {
    CHECK(moves("k-1", {}).type == "no-fresh-reading");
    // What contradicts the books is no reading, and the dial is still to be read.
    CHECK(moves("k-2", {{"w-101", "3"}}).type == "no-fresh-reading");
    CHECK(readings("w-101").size() == 1);
    CHECK(records() == 0);
    // Where the last reading is accepted as it is, somebody looks at what was written down.
    accept = true;
    const Reply apart = moves("k-4", {{"e-101", "1001"}, {"w-101", "3"}});
    INFO(apart.detail);
    REQUIRE(apart.kind == ReplyKind::created);
    CHECK(apart.json.find(R"("base_readings":[{"meter":"w-101","state":"apart","register":"3",)") !=
          std::string::npos);
    for (const StoredReading& one : readings("w-101"))
        CHECK(format(one.row.register_value) == "7.000");
    REQUIRE(tickets() == 1);
    const TicketRow task = StoreReader(path()).key_books().tickets({}, 10).at(0);
    CHECK(field(task.body, "kind") == "inspection");
    CHECK(field(task.body, "text").find("w-101 3 (") != std::string::npos);
    CHECK(field(task.body, "text").find("e-101") == std::string::npos);
    const auto record = StoreReader(path()).key_books().registers("handover", "1-101", 0, 10);
    REQUIRE(record.size() == 1);
    CHECK(record[0].body.find(R"("reconcile":true)") != std::string::npos);
    CHECK(record[0].body.find(R"("tickets":["XJ-)") != std::string::npos);
    CHECK(moves("k-4", {{"e-101", "1001"}, {"w-101", "3"}}).json == apart.json);
    CHECK(tickets() == 1);
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Changing,
                 "a change of occupant closes and opens at what two read with its record") {
    // The electronics have just spoken of the one; the other lives by the eye.
    const Reply moved = moves("k-3", {{"e-101", "1001"}, {"w-101", "9"}});
    INFO(moved.detail);
    REQUIRE(moved.kind == ReplyKind::created);
    CHECK(moved.json.find(R"("base_readings":[{"meter":"w-101","state":"confirmed")") !=
          std::string::npos);
    CHECK(events("meter.read_by_eye").size() == 2);
    CHECK(ledger("a-101") == "0.00");
    CHECK(balance("a-101.2") == "0.00");
    const auto rows = StoreReader(path()).key_books().registers("handover", "1-101", 0, 10);
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].body.find(R"("base_readings":[{"meter":"w-101")") != std::string::npos);
    CHECK(moves("k-3", {{"e-101", "1001"}, {"w-101", "9"}}).json == moved.json);
    reopen();
    pass(kDay);
    REQUIRE(ask(ReadFace{"local", "w-101", "10", "", "s-01", "s-02", ""}).kind ==
            ReplyKind::created);
    CHECK(balance("a-101.2") == "-5.00");
    CHECK(proof() == "");
}
