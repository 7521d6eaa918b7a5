// A move that is entered long after it happened: both households owe what they would have owed had
// it been entered in time, and nothing of the days in which they did not live there.
#include <algorithm>
#include <string_view>

#include "daemon/engine/period_documents.hpp"
#include "daemon/engine/sealed_text.hpp"
#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

using Rows = std::vector<std::string>;

constexpr const char* kMoved = "2026-12-28T12:00:00+08:00";
constexpr UtcMs kMovedMs = kMorning + 35 * kDay + 4 * kHour;

// A flat whose only meter was last read on 20 December, under a tariff with every kind of fee.
struct Late : House {
    Late() {
        open();
        FileTexts files = three_homes();
        files["people.csv"] = "person,kind,name\np-1,tenant,one\np-2,tenant,two\n";
        versions =
            "[[tariff]]\nid = \"fees\"\nservice = \"electricity\"\nsource = \"test\"\n"
            "[[tariff.version]]\nvalid_from = \"2020-01-01\"\nladder = \"none\"\n"
            "tiers = [ { price = \"1.00\" } ]\nminimum = \"30.00\"\n"
            "fixed = [ { name = \"service\", per = \"month\", amount = \"2.00\" },\n"
            "          { name = \"line\", per = \"day\", amount = \"0.10\" } ]\n";
        files["tariffs/fees.toml"] = versions;
        files["accounts.csv"] =
            "account,unit,service,tariff,holder\na-103,1-103,electricity,fees,p-1\n";
        REQUIRE(import(files).kind == ReplyKind::ok);
        settle("e-103", "700.00");
        REQUIRE(top_up("a-103", "100.00", "k-0").kind == ReplyKind::created);
        until(kMorning + 27 * kDay);
        settle("e-103", "710.00");
        pass(31 * kSecond);
    }
    void until(UtcMs at) { pass(at - clock.wall); }
    ChangeOccupant move(const std::string& at) {
        ChangeOccupant change;
        change.act = {"local", "s-01", "s-02", "moved out", "k-1", "k-1"};
        change.unit = "1-103";
        change.holder = "p-2";
        change.settle = "refund";
        change.accept_last_reading = true;
        change.at = at;
        return change;
    }
    std::unique_ptr<Zone> zone = make_zone("Asia/Shanghai");
    // A version of the fees that comes late.
    void import_late(const std::string& day, const char* month_fee, const char* day_fee) {
        versions += "[[tariff.version]]\nvalid_from = \"" + day +
                    "\"\nladder = \"none\"\ntiers = [ { price = \"1.00\" } ]\n"
                    "minimum = \"30.00\"\nfixed = [\n{ name = \"service\", per = \"month\", "
                    "amount = \"" +
                    month_fee + "\" },\n{ name = \"line\", per = \"day\", amount = \"" + day_fee +
                    "\" } ]\n";
        const Reply done = import_signed({{"tariffs/fees.toml", versions}});
        INFO(done.detail << (done.errors.empty() ? "" : done.errors[0].message));
        REQUIRE(done.kind == ReplyKind::ok);
    }
    [[nodiscard]] std::string paid_out(const std::string& account) {
        return format(Fen{-under(account, "occupant:").count});
    }
    // What stands in the book under a cause that begins so.
    [[nodiscard]] Fen under(const std::string& account, const std::string& cause) {
        Fen sum;
        for (const StoredEntry& one : entries(account))
            if (one.entry.cause.starts_with(cause)) sum += one.entry.amount;
        return sum;
    }
    std::string versions;
    void close_month(const std::string& month) {
        REQUIRE(ask(BeginPeriod{"local", month, "s-01"}).kind == ReplyKind::ok);
        StoreReader reader(path());
        std::vector<PeriodFile> files =
            write_period(*parse_month(month), {"riverside", "CNY", false, zone.get()},
                         *engine().snapshot(), reader);
        for (Command& command : sealing("local", month, "s-01", std::move(files)))
            REQUIRE(ask(std::move(command)).kind == ReplyKind::ok);
    }
    std::string january_file() {
        const auto sealed = StoreReader(path()).period_file("2027-01", "charges");
        REQUIRE(sealed);
        return open_sealed(*sealed);
    }
    [[nodiscard]] std::size_t kept(const std::string& account, const std::string& prefix) {
        const Rows rows = book(account);
        return static_cast<std::size_t>(std::count_if(
            rows.begin(), rows.end(), [&](const auto& row) { return row.starts_with(prefix); }));
    }
};

}  // namespace

TEST_CASE_METHOD(Late,
                 "a move of December costs the same whether it is entered then or in February") {
    const bool in_time = GENERATE(true, false);
    INFO("entered in time: " << in_time);
    const UtcMs february = kMorning + 72 * kDay;  // 3 February, 08:00
    until(in_time ? kMovedMs : february);
    if (!in_time) {
        // 10 kWh from 23 November, 08:00 to 20 December, 08:00: 184 of 648 hours in November.
        // 100.00 - 2.84 - 30.00 of December and of January - 4 x 2.00 - 72 x 0.10
        CHECK(balance("a-103") == "21.96");
    }
    const Reply moved = ask(move(in_time ? "" : kMoved));
    INFO(moved.detail);
    REQUIRE(moved.kind == ReplyKind::created);
    // 100.00 - 10.00 used - 2.00 of November and of December - 0.10 of 35 days (23 November to 27
    // December); no minimum of the months in which it was opened and closed.
    CHECK(book("a-103").back() == "refund -82.50 occupant:k-1");
    CHECK(ledger("a-103") == "0.00");
    until(february);
    // 2.00 of three months, 0.10 of 37 days (28 December to 2 February), 30.00 of January.
    CHECK(ledger("a-103.2") == "-39.70");
    CHECK(balance("a-103.2") == "-39.70");
    CHECK(kept("a-103.2", "fee -2.00") == 3);
    CHECK(kept("a-103.2", "fee -0.10") == 37);
    if (!in_time) {
        // Of 28 December to 2 February, and of January and February.
        CHECK(kept("a-103", "reversal 0.10 close:fee:fees/line/") == 37);
        CHECK(kept("a-103", "reversal 2.00 close:fee:fees/service/2027-01") == 1);
        CHECK(kept("a-103", "reversal 2.00 close:fee:fees/service/2027-02") == 1);
        CHECK(kept("a-103", "reversal") == 39);
    }
    CHECK(proof() == "");
    SECTION("and so does what the meter shows later") {
        until(february + kHour);
        settle("e-103", "754.25");
        // 44.25 kWh in the 885 hours from 28 December, 12:00 to 3 February, 09:00: 84 hours of
        // December, 744 of January (37.20: above the minimum, which falls away) and 57 of February.
        CHECK(balance("a-103.2") == "-53.95");
        pass(kDay);
        settle("e-103", "754.25");
        CHECK(proof() == "");
    }
    SECTION("after a restart too") {
        reopen();
        until(february + kDay);
        CHECK(ledger("a-103.2") == "-39.80");
        CHECK(ledger("a-103") == "0.00");
        CHECK(proof() == "");
    }
}

TEST_CASE_METHOD(Late, "what a person undid before is not undone by the move again") {
    until(kMorning + 72 * kDay);
    std::string january;
    for (const StoredEntry& one : entries("a-103"))
        if (one.entry.cause == "fee:fees/service/2027-01") january = one.entry.entry;
    REQUIRE_FALSE(january.empty());
    REQUIRE(
        ask(ReverseEntry{{"local", "s-01", "s-02", "empty flat", "k-9", "k-9"}, january}).kind ==
        ReplyKind::created);
    REQUIRE(ask(move(kMoved)).kind == ReplyKind::created);
    CHECK(kept("a-103", "reversal 2.00") == 2);
    CHECK(book("a-103").back() == "refund -82.50 occupant:k-1");
    CHECK(ledger("a-103") == "0.00");
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Late,
                 "sealed months stay as they are, and both households are right beside them") {
    until(kMorning + 72 * kDay);
    for (const char* month : {"2026-11", "2026-12", "2027-01"}) close_month(month);
    const std::string sealed = january_file();
    REQUIRE(ask(move(kMoved)).kind == ReplyKind::created);
    CHECK(book("a-103").back() == "refund -82.50 occupant:k-1");
    CHECK(ledger("a-103") == "0.00");
    CHECK(ledger("a-103.2") == "-39.70");
    for (const char* id : {"a-103", "a-103.2"})
        for (const StoredEntry& one : entries(id))
            if (one.entry.cause.starts_with("close:") || std::string_view(id) == "a-103.2")
                CHECK(one.entry.month == "2027-02");
    CHECK(january_file() == sealed);
    CHECK(proof() == "");
    until(kMorning + 99 * kDay);  // 2 March
    close_month("2027-02");
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Late, "prices that came late between the move and its entry leave no fee behind") {
    const bool in_time = GENERATE(true, false);
    INFO("entered in time: " << in_time);
    const UtcMs february = kMorning + 72 * kDay;  // 3 February, 08:00
    if (in_time) {
        until(kMovedMs);
        REQUIRE(ask(move("")).kind == ReplyKind::created);
    }
    until(kMorning + 60 * kDay);  // 22 January
    import_late("2027-01-06", "3.00", "0.25");
    until(kMorning + 70 * kDay);  // 1 February
    import_late("2027-01-20", "2.50", "0.40");
    if (!in_time) {
        // 16 days of 0.15; 12 days of 0.15 and none of the month's, whose first day was before.
        CHECK(under("a-103", "version:") == Fen{-240 - 180});
        reopen();
    }
    until(february);
    if (!in_time) {
        const Reply moved = ask(move(kMoved));
        INFO(moved.detail);
        REQUIRE(moved.kind == ReplyKind::created);
        CHECK(under("a-103", "close:version:") == Fen{240 + 180});
    }
    CHECK(book("a-103").back() == "refund -82.50 occupant:k-1");
    CHECK(ledger("a-103") == "0.00");
    // 2.00 of December and of January and 2.50 of February, 30.00 of January; 9 days of 0.10 (28
    // December to 5 January), 14 of 0.25 (to 19 January) and 14 of 0.40 (to 2 February).
    CHECK(ledger("a-103.2") == "-46.50");
    CHECK(proof() == "");
    SECTION("and a month can be closed over it") {
        for (const char* month : {"2026-11", "2026-12", "2027-01"}) close_month(month);
        until(kMorning + 99 * kDay);  // 2 March
        close_month("2027-02");
        CHECK(proof() == "");
    }
    SECTION("and one that comes afterwards is the new household's alone") {
        import_late("2027-02-01", "4.50", "0.50");
        CHECK(ledger("a-103") == "0.00");
        // 2.00 of February's month and 0.10 of two days more.
        CHECK(ledger("a-103.2") == "-48.70");
        reopen();
        CHECK(proof() == "");
    }
}

TEST_CASE_METHOD(Late, "what a late price made of the days before the end stays where it is") {
    until(kMorning + 60 * kDay);  // 22 January
    // From 16 December on: 37 days of 0.15, and 1.00 of January.
    import_late("2026-12-16", "3.00", "0.25");
    CHECK(under("a-103", "version:") == Fen{-555 - 100});
    // The same day again, so that 1 to 21 January are as they were.
    import_late("2027-01-01", "2.00", "0.10");
    CHECK(under("a-103", "version:") == Fen{-555 - 100 + 315 + 100});
    SECTION("an end within a day") {
        REQUIRE(ask(move(kMoved)).kind == ReplyKind::created);
        // 100.00 - 10.01 (three lines: 2.84, 5.56 and 1.61) - 2 x 2.00 - 23 x 0.10 - 12 x 0.25.
        CHECK(paid_out("a-103") == "80.69");
        // 28 to 31 December.
        CHECK(under("a-103", "close:version:") == Fen{60});
        // 3.00 of December, whose first day it was on the 28th, 2.00 of January, 0.25 of four days
        // and 0.10 of 21.
        CHECK(ledger("a-103.2") == "-8.10");
    }
    SECTION("an end at the midnight of the first of a month") {
        REQUIRE(ask(move("2027-01-01T00:00:00+08:00")).kind == ReplyKind::created);
        // 100.00 - 2.84 - 30.00 of December - 2 x 2.00 - 23 x 0.10 - 16 x 0.25; two entries that
        // undo each other came of January.
        CHECK(paid_out("a-103") == "56.86");
        CHECK(under("a-103", "close:version:") == Fen{0});
        CHECK(ledger("a-103.2") == "-4.10");
    }
    SECTION("an end after all of it") {
        REQUIRE(ask(move("2027-01-22T00:00:00+08:00")).kind == ReplyKind::created);
        CHECK(under("a-103", "close:version:") == Fen{0});
        // 2.00 and 21 x 0.10 more.
        CHECK(paid_out("a-103") == "52.76");
    }
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Late, "prices of right after midnight, before the day was posted") {
    until(kMorning + 35 * kDay + 16 * kHour + kMinute);  // 29 December, 00:01
    // The house has a dead meter alone, and waits five minutes for it.
    CHECK(kept("a-103", "fee -0.10") == 35);
    import_late("2026-12-24", "2.00", "0.30");
    CHECK(under("a-103", "version:") == Fen{-20 * 4});
    until(kMorning + 36 * kDay);
    CHECK(kept("a-103", "fee -0.30") == 1);
    REQUIRE(ask(move("2026-12-29T00:00:30+08:00")).kind == ReplyKind::created);
    // Both were of who left: 24 to 28 December.
    CHECK(under("a-103", "close:version:") == Fen{0});
    // 100.00 - 10.00 - 2 x 2.00 - 31 x 0.10 - 5 x 0.30
    CHECK(book("a-103").back() == "refund -81.40 occupant:k-1");
    CHECK(proof() == "");
}

// Money simulation, seed 2078.
TEST_CASE("an account that is only valued loses the minimums of after its end as well") {
    House house;
    house.open();
    FileTexts files = three_homes();
    files["people.csv"] = "person,kind,name\np-1,tenant,one\np-2,tenant,two\n";
    files["tariffs/flat.toml"] =
        flat_tariff("flat", "electricity", "1.00") + "minimum = \"30.00\"\n";
    files["accounts.csv"] =
        "account,unit,service,tariff,holder,billing\na-103,1-103,electricity,flat,p-1,internal\n";
    REQUIRE(house.import(files).kind == ReplyKind::ok);
    house.settle("e-103", "700.00");
    house.pass(72 * kDay);  // 3 February
    ChangeOccupant change;
    change.act = {"local", "s-01", "s-02", "moved out", "k-1", "k-1"};
    change.unit = "1-103";
    change.holder = "p-2";
    change.settle = "refund";
    change.accept_last_reading = true;
    change.at = kMoved;
    const Reply moved = house.ask(change);
    INFO(moved.detail);
    REQUIRE(moved.kind == ReplyKind::created);
    for (const WhyLine& line : StoreReader(house.path()).why("a-103", "2027-01").lines)
        CHECK(line.line.quantity.count == 0);
    CHECK(house.proof() == "");
}

// Money simulation, seed 2038.
TEST_CASE_METHOD(Late,
                 "a meter that is still to come by a change of the registry holds up the end") {
    FileTexts files;
    // Of the flat beside it, and silent since the change.
    settle("e-101", "100.00");
    files["meters.csv"] =
        "meter,unit,service,bus,address,profile,rated_amps,account\n"
        "e-101,1-101,electricity,b1,1,eastron-sdm120,1000,a-103\n";
    files["units.csv"] = "unit,label\n1-101,1栋101\n";
    const Reply changed = import(files);
    INFO(changed.detail << (changed.errors.empty() ? "" : changed.errors[0].message));
    REQUIRE(changed.kind == ReplyKind::ok);
    until(kMorning + 40 * kDay);
    const Reply refused = ask(move(""));
    CHECK(refused.kind == ReplyKind::conflict);
    CHECK(refused.type == "reading-held");
    REQUIRE_FALSE(refused.errors.empty());
    CHECK(refused.errors[0].message.find("e-101 came to this account by a change") !=
          std::string::npos);
    CHECK(account("a-103").open);
    settle("e-101", "101.00");
    CHECK(ask(move("")).kind == ReplyKind::created);
    CHECK(ledger("a-103") == "0.00");
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Late, "nobody goes before the account began") {
    FileTexts files;
    files["units.csv"] = "unit,label\n1-109,1栋109\n";
    files["accounts.csv"] =
        "account,unit,service,tariff,holder\na-109,1-109,electricity,fees,p-1\n";
    REQUIRE(import(files).kind == ReplyKind::ok);  // 20 December
    until(kMorning + 30 * kDay);
    ChangeOccupant change = move("2026-12-19T23:00:00+08:00");
    change.unit = "1-109";
    const Reply refused = ask(change);
    CHECK(refused.kind == ReplyKind::invalid);
    REQUIRE(refused.errors.size() == 1);
    CHECK(refused.errors[0].pointer == "/at");
    CHECK(refused.errors[0].message.find("a-109 began after 2026-12-19T23:00") !=
          std::string::npos);
    CHECK(account("a-109").open);
    change.at = "2026-12-21T09:00:00+08:00";
    CHECK(ask(change).kind == ReplyKind::created);
    CHECK(proof() == "");
}
