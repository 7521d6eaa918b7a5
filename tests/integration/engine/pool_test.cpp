// A shared-area pool: its sheet from real freezes, approval by two people, shares that are charged
// from the next day on and each once.
#include "daemon/engine/pool_sheet.hpp"

#include <sqlite3.h>

#include "daemon/store/chain.hpp"
#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

constexpr UtcMs kDecember = kMorning + 7 * kDay + 16 * kHour;  // 2026-12-01T00:00:00+08:00
constexpr UtcMs kJanuary = kDecember + 31 * kDay;

using Rows = std::vector<std::string>;

struct Pools : House {
    FileTexts files = three_homes();
    Pools() {
        clock.wall = kDecember - kHour;
        files["meters.csv"] =
            "meter,unit,service,role,bus,address,profile,rated_amps\n"
            "e-101,1-101,electricity,unit,b1,1,eastron-sdm120,1000\n"
            "e-102,1-102,electricity,unit,b1,3,eastron-sdm120,10000\n"
            "e-103,1-103,electricity,unit,b1,4,eastron-sdm120,1000\n"
            "e-104,1-104,electricity,unit,b1,5,eastron-sdm120,1000\n"
            "e-m,,electricity,main,b1,9,eastron-sdm120,10000\n";
        files["accounts.csv"] =
            "account,unit,service,tariff,opening_balance\n"
            "a-101,1-101,electricity,flat,100.00\n"
            "a-102,1-102,electricity,beijing,200.00\n"
            "a-103,1-103,electricity,flat,\n";
        files["units.csv"] += "1-104,1栋104\n";
        files["pools.csv"] =
            "pool,service,main,subs,share,members,tariff\n"
            "lift,electricity,e-m,e-101;e-102;e-103,equal,1-101;1-102;1-103;1-104,flat\n";
        open();
        const Reply imported = import(files);
        INFO(imported.detail << (imported.errors.empty() ? "" : imported.errors[0].message));
        REQUIRE(imported.kind == ReplyKind::ok);
    }
    void until(UtcMs at) { pass(at - clock.wall); }
    void read(const std::string& main, const std::string& a, const std::string& b,
              const std::string& c) {
        settle("e-m", main);
        settle("e-101", a);
        settle("e-102", b);
        settle("e-103", c);
    }
    // December used 101 kWh at the main meter, 90 at the flats.
    void live_december(const std::string& main_end = "1101.00") {
        read("1000.00", "100.00", "200.00", "300.00");
        until(kDecember + kMinute);
        read("1000.00", "100.00", "200.00", "300.00");
        until(kJanuary - kHour);
        read(main_end, "120.00", "230.00", "340.00");
        until(kJanuary + kMinute);
        read(main_end, "120.00", "230.00", "340.00");
        until(kJanuary + 10 * kMinute);
    }
    PoolSheet sheet() {
        StoreReader reader(path());
        const auto registry = engine().snapshot()->registry;
        return read_pool_sheet(reader, *registry, registry->pools.at(0), {2026, 12, 1}, clock.wall,
                               *zone);
    }
    Reply approve(const std::string& key, const std::string& second = "s-02") {
        ApprovePool command;
        command.act = {"local", "s-01", second, "lift and stairs", key, "hash"};
        command.sheet = sheet();
        command.registry = engine().snapshot()->registry;
        command.document = pool_sheet_json(command.sheet, *command.registry, "CNY");
        command.sha256 = store::hex(store::sha256(command.document));
        Reply reply = ask(std::move(command));
        UNSCOPED_INFO(reply.detail);
        return reply;
    }
    static ChangeOccupant leaving(const std::string& unit) {
        ChangeOccupant change;
        change.act = {"local", "s-01", "s-02", "moves out", "c-1", "hash"};
        change.unit = unit;
        change.holder = "p-1";
        change.settle = "refund";
        change.accept_last_reading = true;
        return change;
    }
    Rows fees(const std::string& account) {
        Rows rows;
        for (const std::string& row : book(account))
            if (row.starts_with("fee ")) rows.push_back(row);
        return rows;
    }
    std::unique_ptr<Zone> zone = make_zone("Asia/Shanghai");
};

}  // namespace

TEST_CASE_METHOD(Pools, "a pool charges nobody until two people approved its month") {
    live_december();
    const PoolSheet draft = sheet();
    CHECK(draft.problems.empty());
    CHECK(format(draft.quantity) == "11.000");
    CHECK(format(draft.amount) == "5.81");  // 11 x 0.5283 = 5.8113
    Rows shares;
    for (const PoolMember& member : draft.members)
        shares.push_back(member.unit + " " + format(member.amount) + " " + member.account);
    // 1-104 has no account: its share is said and charged to nobody.
    CHECK(shares ==
          Rows{"1-101 1.46 a-101", "1-102 1.45 a-102", "1-103 1.45 a-103", "1-104 1.45 "});
    until(kJanuary + 3 * kDay);
    CHECK(fees("a-101").empty());

    CHECK(approve("p-1", "s-01").errors.at(0).pointer == "/second");
    const Reply approved = approve("p-1");
    REQUIRE(approved.kind == ReplyKind::created);
    CHECK(field(approved.json, "amount") == "5.81");
    CHECK(field(approved.json, "charged_amount") == "4.36");
    CHECK(field(approved.json, "charge_from") == "2027-01-05");
    CHECK(events("pool.approved").size() == 1);
    CHECK(approve("p-1").json == approved.json);
    CHECK(approve("p-2").type == "pool-approved");
    pass(kHour);
    CHECK(fees("a-101").empty());
}

TEST_CASE_METHOD(Pools, "from the next day on each share is charged once, over restarts as well") {
    live_december();
    const std::string before = ledger("a-103");
    REQUIRE(approve("p-1").kind == ReplyKind::created);
    until(kJanuary + kDay + kMinute);
    CHECK(fees("a-101") == Rows{"fee -1.46 pool:lift/2026-12"});
    CHECK(fees("a-102") == Rows{"fee -1.45 pool:lift/2026-12"});
    CHECK(events("pool.charged").size() == 1);
    CHECK(Fen{*parse_decimal(before, 2)} - Fen{1'45} == account("a-103").ledger);
    reopen();
    until(kJanuary + 3 * kDay);
    CHECK(fees("a-101").size() == 1);
    CHECK(ask(WithdrawPool{"local", "lift", "2026-12", "s-01", "wrong meter"}).type ==
          "pool-charged");
}

TEST_CASE_METHOD(Pools, "a power cut before the commit leaves all shares or none, and none twice") {
    live_december();
    REQUIRE(approve("p-1").kind == ReplyKind::created);
    clock.pass(kJanuary + kDay - clock.wall);
    crash();
    open();
    for (int i = 0; i < 3; ++i) pass(kSecond);
    for (const char* account : {"a-101", "a-102", "a-103"}) CHECK(fees(account).size() == 1);
}

TEST_CASE_METHOD(Pools, "an approval is taken back before it is charged, and may come again") {
    live_december();
    REQUIRE(approve("p-1").kind == ReplyKind::created);
    CHECK(ask(WithdrawPool{"local", "lift", "2026-11", "s-01", "no"}).kind == ReplyKind::not_found);
    CHECK(ask(WithdrawPool{"local", "lift", "2026-12", "s-99", "no"}).errors.at(0).pointer ==
          "/by");
    REQUIRE(ask(WithdrawPool{"local", "lift", "2026-12", "s-01", "wrong list"}).kind ==
            ReplyKind::ok);
    until(kJanuary + 2 * kDay);
    CHECK(fees("a-101").empty());
    REQUIRE(approve("p-2").kind == ReplyKind::created);
    until(kJanuary + 4 * kDay);
    CHECK(fees("a-101").size() == 1);
}

TEST_CASE_METHOD(Pools, "V20: a pool below zero, a running month and a missing figure stop it") {
    const PoolSheet running = sheet();
    CHECK(running.problems.at(0).find("2026-12 runs until the end of 2026-12-31") == 0);
    live_december("1089.00");
    const Reply negative = approve("p-1");
    CHECK(negative.type == "pool-negative");
    CHECK(negative.detail.find("1.000 more than the main meters") != std::string::npos);
    FileTexts more;
    more["pools.csv"] =
        "pool,service,main,subs,share,members,tariff\n"
        "lift,electricity,e-m,e-104,equal,1-101,flat\n";
    REQUIRE(import(more).kind == ReplyKind::ok);
    const Reply missing = approve("p-2");
    CHECK(missing.type == "pool-sheet");
    CHECK(missing.detail.find("meter `e-104` has no figure at the end of 2026-11-30") !=
          std::string::npos);
    CHECK(events("pool.").empty());
}

TEST_CASE_METHOD(Pools, "a share is undone by a reversal") {
    live_december();
    REQUIRE(approve("p-1").kind == ReplyKind::created);
    until(kJanuary + kDay + kMinute);
    std::string entry;
    for (const StoredEntry& row : entries("a-101"))
        if (row.entry.kind == EntryKind::fee) entry = row.entry.entry;
    ReverseEntry reverse;
    reverse.act = {"local", "s-01", "s-02", "not of this stairway", "r-1", "hash"};
    reverse.entry = entry;
    REQUIRE(ask(reverse).kind == ReplyKind::created);
    CHECK(book("a-101").back() == "reversal 1.46 reversal:r-1");
}

TEST_CASE_METHOD(Pools, "who leaves before the charging day pays the share with the end") {
    live_december();
    REQUIRE(approve("p-1").kind == ReplyKind::created);
    CloseAccount close;
    close.act = {"local", "s-01", "s-02", "moves out", "c-1", "hash"};
    close.account = "a-103";
    close.accept_last_reading = true;
    // Nothing was paid, so its use is owed: 40 x 0.5283 = 21.132; and 1.45 of the lift.
    const Reply owed = ask(close);
    CHECK(owed.type == "balance-left");
    CHECK(owed.detail.find("a-103 owes 22.58") != std::string::npos);
    CHECK(owed.detail.find("share 1.45 of pool lift, 2026-12") != std::string::npos);
    CHECK(fees("a-103").empty());
    REQUIRE(top_up("a-103", "22.58", "t-1").kind == ReplyKind::created);
    const Reply done = ask(close);
    REQUIRE(done.kind == ReplyKind::created);
    CHECK(done.json.find(
              "\"pools\":[{\"pool\":\"lift\",\"month\":\"2026-12\",\"amount\":\"1.45\"}]") !=
          std::string::npos);
    CHECK(fees("a-103") == Rows{"fee -1.45 pool:lift/2026-12"});
    CHECK(ledger("a-103") == "0.00");
    CHECK(proof() == "");
    SECTION("in one process") {}
    SECTION("over a start") {
        reopen();
    }
    until(kJanuary + kDay + kMinute);
    CHECK(fees("a-103").size() == 1);
    CHECK(fees("a-101").size() == 1);
    const std::string charged = events("pool.charged").at(0).body;
    CHECK(field(charged, "charged_amount") == "4.36");
    CHECK(field(charged, "left_amount") == "1.45");
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Pools,
                 "a change of occupant charges the share to who goes, and an approval that "
                 "is taken back then keeps it") {
    live_december();
    FileTexts people;
    people["people.csv"] = "person,kind,name\np-1,tenant,one\np-2,tenant,two\n";
    REQUIRE(import(people).kind == ReplyKind::ok);
    REQUIRE(approve("p-1").kind == ReplyKind::created);
    ChangeOccupant change = leaving("1-101");
    SECTION("what is left does not cover it: people say how it is settled") {
        AdjustMoney adjust;
        adjust.act = {"local", "s-01", "s-02", "basis", "d-1", "hash"};
        adjust.account = "a-101";
        adjust.amount = format(Fen{1'00} - account("a-101").balance);
        REQUIRE(ask(adjust).kind == ReplyKind::created);
        REQUIRE(balance("a-101") == "1.00");
        const Rows before = book("a-101");
        const Reply refused = ask(change);
        CHECK(refused.type == "settle");
        CHECK(refused.detail.find("owes 0.46") != std::string::npos);
        CHECK(book("a-101") == before);
        change.settle = "debt";
        REQUIRE(ask(change).kind == ReplyKind::created);
        CHECK(book("a-101").back() == "write_off 0.46 occupant:c-1");
    }
    SECTION("paid out is what is left after it") {
        const Fen left = account("a-101").balance - Fen{1'46};
        const Reply done = ask(change);
        REQUIRE(done.kind == ReplyKind::created);
        CHECK(done.json.find("\"amount\":\"" + format(-left) + "\"") != std::string::npos);
        CHECK(done.json.find("\"pool\":\"lift\"") != std::string::npos);
    }
    CHECK(fees("a-101") == Rows{"fee -1.46 pool:lift/2026-12"});
    CHECK(ledger("a-101") == "0.00");
    CHECK(fees("a-101.2").empty());
    const Reply withdrawn = ask(WithdrawPool{"local", "lift", "2026-12", "s-01", "wrong list"});
    REQUIRE(withdrawn.kind == ReplyKind::ok);
    CHECK(field(withdrawn.json, "charged_amount") == "1.46");
    CHECK(proof() == "");
    // Who left has paid; who came does not, and what falls on the flat is the site's.
    CHECK(sheet().members.at(0).account.empty());
    CHECK(sheet().members.at(0).paid_at_end);
    const Reply again = approve("p-2");
    REQUIRE(again.kind == ReplyKind::created);
    CHECK(field(again.json, "charged_amount") == "2.90");
    CHECK(field(again.json, "left_amount") == "2.91");
    until(kJanuary + kDay + kMinute);
    CHECK(fees("a-101").size() == 1);
    CHECK(fees("a-101.2").empty());
    CHECK(fees("a-102").size() == 1);
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Pools, "who came on the first of the month has no share of the one before") {
    live_december();
    FileTexts people;
    people["people.csv"] = "person,kind,name\np-1,tenant,one\n";
    REQUIRE(import(people).kind == ReplyKind::ok);
    ChangeOccupant change = leaving("1-101");
    REQUIRE(ask(change).kind == ReplyKind::created);
    CHECK(sheet().members.at(0).account.empty());
    CHECK(sheet().members.at(1).account == "a-102");
}

TEST_CASE_METHOD(Pools, "who came within the month has its share, though it was entered after it") {
    files["accounts.csv"] += "a-104,1-104,electricity,flat,\n";
    files["people.csv"] = "person,kind,name\np-1,tenant,one\n";
    REQUIRE(import(files).kind == ReplyKind::ok);
    live_december();
    CHECK(sheet().members.at(3).account == "a-104");
    ChangeOccupant change = leaving("1-104");
    SECTION("within it") {
        change.at = "2026-12-20T10:00:00+08:00";
        const Reply moved = ask(change);
        INFO(moved.detail);
        REQUIRE(moved.kind == ReplyKind::created);
        CHECK(sheet().members.at(3).account == "a-104.2");
    }
    SECTION("after it") {
        change.at = "2027-01-01T00:05:00+08:00";
        const Reply moved = ask(change);
        INFO(moved.detail);
        REQUIRE(moved.kind == ReplyKind::created);
        CHECK(sheet().members.at(3).account.empty());
    }
}

TEST_CASE_METHOD(Pools, "who had gone before the month is charged no share of it") {
    files["accounts.csv"] += "a-104,1-104,electricity,flat,\n";
    files["people.csv"] = "person,kind,name\np-1,tenant,one\n";
    REQUIRE(import(files).kind == ReplyKind::ok);
    live_december();
    REQUIRE(approve("p-1").kind == ReplyKind::created);
    ChangeOccupant change = leaving("1-104");
    change.at = "2026-11-30T23:30:00+08:00";
    SECTION("a sheet that waits is withdrawn first") {
        const Rows before = book("a-104");
        const Reply refused = ask(change);
        CHECK(refused.kind == ReplyKind::conflict);
        CHECK(refused.type == "pool-approved");
        CHECK(refused.detail.find("pool lift, 2026-12") != std::string::npos);
        CHECK(book("a-104") == before);
        CHECK(account("a-104").open);
        REQUIRE(ask(WithdrawPool{"local", "lift", "2026-12", "s-01", "moved"}).kind ==
                ReplyKind::ok);
        REQUIRE(ask(change).kind == ReplyKind::created);
        CHECK(sheet().members.at(3).account == "a-104.2");
        REQUIRE(approve("p-2").kind == ReplyKind::created);
        until(kJanuary + kDay + kMinute);
        CHECK(fees("a-104").empty());
        CHECK(fees("a-104.2").size() == 1);
    }
    SECTION("one that was charged is undone with the move") {
        until(kJanuary + kDay + kMinute);
        REQUIRE(fees("a-104").size() == 1);
        change.settle = "transfer";
        const Reply moved = ask(change);
        INFO(moved.detail);
        REQUIRE(moved.kind == ReplyKind::created);
        CHECK(book("a-104").back().ends_with(" close:pool:lift/2026-12"));
        CHECK(ledger("a-104") == "0.00");
        CHECK_FALSE(sheet().members.at(3).paid_at_end);
    }
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Pools, "from the approval on it is said what nobody pays") {
    live_december();
    const Reply approved = approve("p-1");
    REQUIRE(approved.kind == ReplyKind::created);
    CHECK(field(approved.json, "left_amount") == "1.45");
    const auto shown = [&] { return StoreReader(path()).pool_sheets("lift").at(0); };
    CHECK(format(shown().left) == "1.45");
    CHECK(format(shown().charged) == "0.00");
    until(kJanuary + kDay + kMinute);
    CHECK(format(shown().left) == "1.45");
    CHECK(format(shown().charged) == "4.36");
}

TEST_CASE_METHOD(Pools, "verify names a sheet, a share and an entry that were changed") {
    live_december();
    ApprovePool command;
    command.act = {"local", "s-01", "s-02", "lift", "p-1", "hash"};
    command.sheet = sheet();
    command.registry = engine().snapshot()->registry;
    command.document = "";  // whose hash is known
    command.sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    REQUIRE(ask(std::move(command)).kind == ReplyKind::created);
    until(kJanuary + kDay + kMinute);
    CHECK(proof() == "");
    crash();
    const auto tamper = [&](const char* sql) {
        sqlite3* books = nullptr;
        REQUIRE(sqlite3_open(path().c_str(), &books) == SQLITE_OK);
        CHECK(sqlite3_exec(books, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
        sqlite3_close(books);
    };
    tamper("DROP TRIGGER pool_share_keeps; UPDATE pool_share SET amount=amount+1 WHERE n=0");
    CHECK(proof() == "the shares do not sum to what was shared: pool lift, 2026-12");
    tamper("UPDATE pool_share SET amount=amount-1 WHERE n=1");
    CHECK(proof() ==
          "a share that was charged is not in the ledger: pool lift, 2026-12, unit 1-101");
    tamper(
        "UPDATE pool_share SET amount=amount-1 WHERE n=0;"
        "UPDATE pool_share SET amount=amount+1 WHERE n=1");
    CHECK(proof() == "");
    tamper("DROP TRIGGER pool_sheet_keeps; UPDATE pool_sheet SET document='{}'");
    CHECK(proof() == "the sheet of pool lift, 2026-12, is not the one that was approved");
}
