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
    "a full disk: top-ups are refused honestly, reading goes on, room heals without restart") {
    House house;
    house.options.max_pages = 600;
    house.open();
    REQUIRE(house.import(three_homes()).kind == ReplyKind::ok);
    house.settle("e-103", "1000.00");
    int taken = 0;
    REQUIRE(house.top_up("a-103", "1.00", "k-0").kind == ReplyKind::created);
    ++taken;
    Ballast ballast(house.path());
    ballast.fill(600);
    Reply reply;
    for (int i = 1; i < 2'000; ++i) {
        reply = house.top_up("a-103", "1.00", "k-" + std::to_string(i));
        if (reply.kind != ReplyKind::created) break;
        ++taken;
    }
    REQUIRE(reply.kind == ReplyKind::unavailable);
    CHECK(reply.type == "store-unavailable");
    CHECK_FALSE(house.engine().snapshot()->store_ok);
    CHECK(house.engine().snapshot()->store_reason != "");
    CHECK(house.account("a-103").ledger == Fen{taken * 100});
    const std::string key = "k-" + std::to_string(taken);

    house.clock.pass(kMinute);
    house.settle("e-103", "1000.00");
    house.clock.pass(kMinute);
    house.settle("e-103", "1002.00");
    CHECK(house.meter("e-103").total == Milli{1'002'000});
    CHECK(house.account("a-103").balance == Fen{taken * 100 - 106});

    CHECK(house.top_up("a-103", "1.00", key).kind == ReplyKind::unavailable);
    ballast.drop();
    house.pass(kMinute);
    CHECK(house.engine().snapshot()->store_ok);
    CHECK(house.top_up("a-103", "1.00", key).kind == ReplyKind::created);
    ++taken;
    house.settle("e-103", "1002.00");
    CHECK(house.account("a-103").balance == Fen{taken * 100 - 106});
    house.reopen();
    CHECK(house.account("a-103").ledger == Fen{taken * 100});
    CHECK(house.entries("a-103").size() == static_cast<std::size_t>(taken));
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
