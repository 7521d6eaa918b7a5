// A store that cannot be written, and a process that ends between two steps.
#include <sqlite3.h>

#include <algorithm>

#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

// A second hand on the file, which takes the room that is left and gives it back.
class Ballast {
  public:
    explicit Ballast(const std::string& path) {
        REQUIRE(sqlite3_open(path.c_str(), &db_) == SQLITE_OK);
        run("CREATE TABLE ballast(x)");
    }
    ~Ballast() { sqlite3_close(db_); }
    Ballast(const Ballast&) = delete;
    Ballast& operator=(const Ballast&) = delete;
    void fill(int pages) {
        run("INSERT INTO ballast VALUES(zeroblob(" + std::to_string(pages * 4'096) + "))");
    }
    // Until the file has so many pages.
    void fill_to(int pages) {
        sqlite3_stmt* statement = nullptr;
        REQUIRE(sqlite3_prepare_v2(db_, "PRAGMA page_count", -1, &statement, nullptr) == SQLITE_OK);
        REQUIRE(sqlite3_step(statement) == SQLITE_ROW);
        const int left = pages - sqlite3_column_int(statement, 0);
        sqlite3_finalize(statement);
        REQUIRE(left > 0);
        // The blob's own pages are four bytes short of a page, and its row takes a part of one.
        fill(left - 1);
    }
    void drop() { run("DELETE FROM ballast"); }
    void run(const std::string& sql) {
        char* error = nullptr;
        const int rc = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, &error);
        INFO(sql << ": " << (error == nullptr ? "" : error));
        CHECK(rc == SQLITE_OK);
        sqlite3_free(error);
    }

  private:
    sqlite3* db_ = nullptr;
};

}  // namespace

TEST_CASE(
    "a full disk: interval readings stop first, top-ups are refused, alerts and charges go on") {
    House house;
    house.options.max_pages = 600;
    house.open();
    REQUIRE(house.import(three_homes()).kind == ReplyKind::ok);
    house.settle("e-101", "1000.00");
    house.settle("w-101", "1.000");
    REQUIRE(house.top_up("a-103", "1.00", "k-0").kind == ReplyKind::created);
    const std::size_t stored = house.readings("e-101").size();

    // Little is left: what nothing rests on is not stored any more, money is taken.
    Ballast ballast(house.path());
    ballast.fill_to(600 - 40);
    house.pass(kSecond);
    CHECK(house.engine().snapshot()->store_ok);
    CHECK(house.engine().snapshot()->store_reason.find("space runs low") == 0);
    house.pass(15 * kMinute);
    house.settle("e-101", "1001.00");
    CHECK(house.readings("e-101").size() == stored);
    CHECK(house.balance("a-101") == "99.47");
    CHECK(house.top_up("a-103", "1.00", "k-1").kind == ReplyKind::created);

    // Nothing is left: no top-up, but a household that crosses its threshold is heard of.
    ballast.fill_to(600);
    house.pass(kSecond);
    CHECK_FALSE(house.engine().snapshot()->store_ok);
    const Reply refused = house.top_up("a-103", "1.00", "k-2");
    CHECK(refused.kind == ReplyKind::unavailable);
    CHECK(refused.type == "disk-full");
    CHECK(house.import(three_homes()).kind == ReplyKind::unavailable);
    CHECK(house.top_up("a-103", "1.00", "k-1").kind == ReplyKind::ok);  // its receipt, again
    house.pass(kHour);
    house.settle("e-101", "1095.00");
    const StoredEvent raised = house.events("alert.raised").back();
    CHECK(field(raised.body, "account") == "a-101");
    CHECK(field(raised.body, "balance") == "49.81");
    const std::string alert = field(raised.body, "id");
    CHECK(house.ask(AckAlert{"local", alert, "s-01", "phone", "", ""}).kind == ReplyKind::ok);
    house.pass(16 * kHour);
    house.settle("e-101", "1096.00");
    house.pass(10 * kMinute);
    CHECK(house.book("a-101").size() == 2);  // the opening, and what Monday used

    // A start meanwhile changes nothing of it.
    house.reopen();
    house.pass(kSecond);
    CHECK(house.balance("a-101") == "49.28");
    CHECK(house.engine().snapshot()->open_alerts.size() == 2);  // a-103 holds little as well

    // Ends the open batch, which holds the lock that the other hand wants.
    REQUIRE(house.ask(AckAlert{"local", alert, "s-01", "visit", "", ""}).kind == ReplyKind::ok);
    ballast.drop();
    house.pass(2 * kSecond);
    CHECK(house.engine().snapshot()->store_ok);
    CHECK(house.engine().snapshot()->store_reason.empty());
    CHECK(house.top_up("a-103", "1.00", "k-2").kind == ReplyKind::created);
    CHECK(house.account("a-103").ledger == Fen{300});
    house.pass(15 * kMinute);
    const std::size_t before = house.readings("e-101").size();
    house.settle("e-101", "1096.00");
    CHECK(house.readings("e-101").size() == before + 1);
    std::vector<std::string> states;
    for (const StoredEvent& event : house.events("store.space"))
        states.push_back(field(event.body, "state"));
    CHECK(std::find(states.begin(), states.end(), "reserve") != states.end());
    CHECK(states.back() == "plenty");
    CHECK(house.proof() == "");
}

TEST_CASE("a disk that fills between two looks: the failed batch is answered, then all fits") {
    House house;
    house.options.max_pages = 600;
    house.open();
    REQUIRE(house.import(three_homes()).kind == ReplyKind::ok);
    house.settle("w-101", "1.000");
    house.settle("e-101", "1000.00");
    Ballast ballast(house.path());
    ballast.fill_to(600);
    // No second passes: the engine has not looked, and meets the wall itself.
    Reply reply;
    int taken = 0;
    for (; taken < 2'000; ++taken) {
        reply = house.top_up("a-103", "1.00", "k-" + std::to_string(taken));
        if (reply.kind != ReplyKind::created) break;
    }
    REQUIRE(reply.kind == ReplyKind::unavailable);
    CHECK(reply.type == "disk-full");
    CHECK(house.account("a-103").ledger == Fen{taken * 100});
    house.pass(kHour);
    house.settle("e-101", "1095.00");
    CHECK(house.balance("a-101") == "49.81");
    CHECK(field(house.events("alert.raised").back().body, "account") == "a-101");
    ballast.drop();
    house.pass(kMinute);
    const std::string key = "k-" + std::to_string(taken);
    CHECK(house.top_up("a-103", "1.00", key).kind == ReplyKind::created);
    house.reopen();
    CHECK(house.account("a-103").ledger == Fen{(taken + 1) * 100});
    CHECK(house.proof() == "");
}

TEST_CASE("an end between two steps loses no acknowledged top-up and charges nothing twice") {
    House house;
    house.open();
    REQUIRE(house.import(three_homes()).kind == ReplyKind::ok);
    house.settle("e-103", "1000.00");
    int acknowledged = 0;
    for (int round = 0; round < 30; ++round) {
        house.clock.pass(4 * kHour);
        const std::string face = std::to_string(1'001 + round) + ".00";
        house.settle("e-103", face);
        const std::string key = "k-" + std::to_string(round);
        if (round % 3 == 0) {
            TopUp command;
            command.account = "a-103";
            command.amount = "2.00";
            command.by = "s-01";
            command.idempotency_key = key;
            command.body_hash = key;
            // Submitted and never stepped: not acknowledged, so it may be gone, and is asked again.
            REQUIRE(house.engine().submit(command, [](const Reply&) { FAIL("nobody stepped"); }));
            house.reopen();
        }
        REQUIRE(house.top_up("a-103", "2.00", key, key).kind == ReplyKind::created);
        ++acknowledged;
        if (round % 2 == 0) house.reopen();
    }
    house.clock.pass(10 * kMinute);
    house.settle("e-103", "1030.00");
    house.pass(10 * kMinute);
    CHECK(house.events("entry.topup").size() == static_cast<std::size_t>(acknowledged));
    // 30 kWh x 0.5283 = 15.849
    CHECK(house.account("a-103").balance == Fen{acknowledged * 200 - 1'585});
    CHECK(house.proof() == "");
    std::uint64_t before = 0;
    for (const StoredEvent& event : house.events()) CHECK(event.seq == ++before);
}

TEST_CASE("interval readings that were not committed are read again and cost the same") {
    House house;
    house.open();
    REQUIRE(house.import(three_homes()).kind == ReplyKind::ok);
    house.settle("e-103", "1000.00");
    house.pass(15 * kMinute);
    house.settle("e-103", "1010.00");
    CHECK(house.balance("a-103") == "-5.28");
    house.reopen();
    house.pass(kMinute);
    house.settle("e-103", "1010.00");
    CHECK(house.balance("a-103") == "-5.28");
    CHECK(house.proof() == "");
}
