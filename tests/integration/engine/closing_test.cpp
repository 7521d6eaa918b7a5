// An account that ends and a unit whose holder changes: charged to the last fen at one instant that
// both holders share, settled, closed, opened anew, and the same after a crash between any two.
#include <algorithm>

#include "daemon/engine/registry_files.hpp"
#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

using Rows = std::vector<std::string>;

struct Moving : House {
    Moving() {
        open();
        FileTexts files = three_homes();
        files["people.csv"] =
            "person,kind,name,unit\np-1,tenant,旧住户,1-101\np-2,tenant,新住户,1-101\n";
        files["accounts.csv"] =
            "account,unit,service,tariff,opening_balance,opening_ladder,hoarding_cap,holder\n"
            "a-101,1-101,all,flat;water,100.00,,500.00,p-1\n"
            "a-102,1-102,electricity,beijing,200.00,2879,,\n"
            "a-103,1-103,electricity,flat,,,,\n";
        REQUIRE(import(files).kind == ReplyKind::ok);
        settle("e-101", "1000.00");
        settle("w-101", "50.000");
        settle("e-102", "500.00");
    }
    Act act(const std::string& key) { return {"local", "s-01", "s-02", "moved out", key, key}; }
    Reply close(const std::string& account, const std::string& key, bool accept = false) {
        return ask(CloseAccount{act(key), account, accept, {}});
    }
    Reply occupant(const std::string& key, const std::string& settle_as,
                   const std::string& unit = "1-101", const std::string& holder = "p-2") {
        ChangeOccupant change;
        change.act = act(key);
        change.unit = unit;
        change.holder = holder;
        change.settle = settle_as;
        return ask(change);
    }
    // 10 kWh and 1 m3: 5.283 -> 5.28 and 5.00, so that 89.72 is left of 100.00.
    void use() {
        clock.pass(10 * kMinute);
        settle("e-101", "1010.00");
        settle("w-101", "51.000");
        REQUIRE(balance("a-101") == "89.72");
    }
};

}  // namespace

TEST_CASE_METHOD(Moving, "an account closes at exactly 0.00, and says what is left until then") {
    use();
    const std::uint64_t before = engine().snapshot()->event_seq;
    const Reply left = close("a-101", "k-1");
    CHECK(left.kind == ReplyKind::conflict);
    CHECK(left.type == "balance-left");
    CHECK(left.detail.find("a-101 has 89.72 left; refund it") != std::string::npos);
    CHECK(engine().snapshot()->event_seq == before);
    CHECK(book("a-101") == Rows{"opening 100.00 opening"});
    const Act two = act("k-2");
    REQUIRE(ask(RefundMoney{two, "a-101", "89.72", "", ""}).kind == ReplyKind::created);
    const Reply done = close("a-101", "k-1");
    REQUIRE(done.kind == ReplyKind::created);
    CHECK(book("a-101") == Rows{"opening 100.00 opening", "refund -89.70 refund:k-2",
                                "round_off -0.02 refund:k-2", "charge -5.28 close",
                                "charge -5.00 close"});
    CHECK(ledger("a-101") == "0.00");
    CHECK_FALSE(account("a-101").open);
    CHECK(account("a-101").level == 0);
    CHECK(engine().snapshot()->open_alerts.empty());
    CHECK(close("a-101", "k-1").json == done.json);
    CHECK(close("a-101", "k-3").type == "account-closed");
    CHECK(top_up("a-101", "10.00", "k-4").type == "account-closed");
    CHECK(ask(RefundMoney{act("k-5"), "a-101", "1.00", "", ""}).type == "account-closed");
    CHECK(ask(AdjustMoney{act("k-5"), "a-101", "1.00", "", ""}).type == "account-closed");
    const std::string refund = entries("a-101").at(1).entry.entry;
    CHECK(ask(ReverseEntry{act("k-5"), refund}).type == "account-closed");
    clock.pass(10 * kMinute);
    settle("e-101", "1020.00");
    CHECK(ledger("a-101") == "0.00");
    CHECK(proof().empty());
    reopen();
    clock.pass(10 * kMinute);
    settle("e-101", "1030.00");
    pass(2 * kDay);
    pass(6 * kMinute);
    CHECK(ledger("a-101") == "0.00");
    CHECK(balance("a-101") == "0.00");
    CHECK(meter("e-101").account.empty());
    CHECK(proof().empty());
}

TEST_CASE_METHOD(Moving,
                 "a closed account rests on the reading that closed it, after a start too") {
    use();
    REQUIRE(ask(RefundMoney{act("k-1"), "a-101", "89.72", "", ""}).kind == ReplyKind::created);
    CHECK(engine().snapshot()->open_alerts.size() == 1);
    REQUIRE(close("a-101", "k-2").kind == ReplyKind::created);
    const std::optional<UtcMs> at = account("a-101").as_of;
    REQUIRE(at);
    const std::vector<StoredEvent> cleared = events("alert.cleared");
    REQUIRE(cleared.size() == 1);
    const std::string& body = cleared[0].body;
    INFO(body);
    CHECK(body.find("\"cleared_by\":\"closed\"") != std::string::npos);
    CHECK(body.find("\"as_of\":\"2026-11-23T08:1") != std::string::npos);
    CHECK(body.find("no reading yet") == std::string::npos);
    // What its meter counts from then on is nobody's, or another's.
    clock.pass(kHour);
    settle("e-101", "1020.00");
    CHECK(account("a-101").as_of == at);
    reopen();
    CHECK(account("a-101").as_of == at);
}

TEST_CASE_METHOD(Moving, "a change of occupant is one instant that both holders share") {
    use();
    const Reply done = occupant("k-1", "refund");
    REQUIRE(done.kind == ReplyKind::created);
    CHECK(field(done.json, "account") == "a-101.2");
    CHECK(book("a-101") == Rows{"opening 100.00 opening", "charge -5.28 close",
                                "charge -5.00 close", "refund -89.70 occupant:k-1",
                                "round_off -0.02 occupant:k-1"});
    CHECK(ledger("a-101") == "0.00");
    CHECK_FALSE(account("a-101").open);
    const AccountView next = account("a-101.2");
    CHECK(next.open);
    CHECK(next.holder == "p-2");
    CHECK(next.ledger == Fen{});
    CHECK(next.balance == Fen{});
    CHECK(next.thresholds.hoarding_cap == Fen{500'00});
    CHECK(book("a-101.2").empty());
    CHECK(meter("e-101").account == "a-101.2");
    const auto rows = readings("e-101");
    CHECK(rows.back().row.kind == ReadingKind::move);
    CHECK(rows.back().row.total == Milli{1'010'000});
    CHECK(rows.back().row.account == "a-101");
    clock.pass(10 * kMinute);
    // 5 kWh of the new holder: 5 x 0.5283 = 2.6415 -> 2.64
    settle("e-101", "1015.00");
    CHECK(balance("a-101.2") == "-2.64");
    CHECK(ledger("a-101") == "0.00");
    reopen();
    settle("e-101", "1015.00");
    CHECK(balance("a-101.2") == "-2.64");
    CHECK(occupant("k-1", "refund").json == done.json);
    clock.pass(kDay);
    settle("e-101", "1017.00");
    settle("w-101", "51.000");
    pass(6 * kMinute);
    pass(6 * kMinute);
    // The day's freeze lies between; 7 kWh: 7 x 0.5283 = 3.6981 -> 3.70 in all.
    CHECK(balance("a-101.2") == "-3.70");
    CHECK(proof().empty());
    const auto why = StoreReader(path()).why("a-101.2", "");
    REQUIRE_FALSE(why.lines.empty());
    CHECK(why.lines.at(0).parts.at(0).from.row.kind == ReadingKind::move);
    const auto told = events("account.opened");
    REQUIRE(told.size() == 1);
    CHECK(told[0].body.find("\"a-101\"") == std::string::npos);
    CHECK(events("account.closed").size() == 1);
}

TEST_CASE_METHOD(Moving, "what is left goes to the new account, or to one that is named") {
    use();
    ChangeOccupant change;
    change.act = act("k-1");
    change.unit = "1-101";
    change.holder = "p-2";
    change.settle = "transfer";
    SECTION("the new one") {
        REQUIRE(ask(change).kind == ReplyKind::created);
        CHECK(book("a-101.2") == Rows{"transfer 89.72 occupant:k-1"});
        CHECK(balance("a-101.2") == "89.72");
    }
    SECTION("another") {
        change.to = "a-103";
        REQUIRE(ask(change).kind == ReplyKind::created);
        CHECK(balance("a-103") == "89.72");
        CHECK(book("a-101.2").empty());
    }
    SECTION("not one that ends, nor one that is not there") {
        for (const char* to : {"a-101", "a-999"}) {
            change.to = to;
            const Reply refused = ask(change);
            CHECK(refused.kind == ReplyKind::invalid);
            CHECK(refused.errors.at(0).pointer == "/to");
        }
        CHECK(account("a-101").open);
        return;
    }
    CHECK(ledger("a-101") == "0.00");
    CHECK(proof().empty());
}

TEST_CASE_METHOD(Moving, "a debt is written off by name, and nothing else settles it") {
    REQUIRE(ask(AdjustMoney{act("k-0"), "a-101", "-103.27", "", ""}).kind == ReplyKind::created);
    REQUIRE(balance("a-101") == "-3.27");
    for (const char* other : {"refund", "transfer"}) {
        const Reply refused = occupant("k-1", other);
        CHECK(refused.type == "settle");
        CHECK(refused.detail.find("owes 3.27") != std::string::npos);
    }
    CHECK(close("a-101", "k-1").detail.find("owes 3.27") != std::string::npos);
    REQUIRE(occupant("k-1", "debt").kind == ReplyKind::created);
    CHECK(book("a-101").back() == "write_off 3.27 occupant:k-1");
    CHECK(ledger("a-101") == "0.00");
    CHECK(balance("a-101.2") == "0.00");
    CHECK(engine().snapshot()->open_alerts.empty());
    CHECK(proof().empty());
}

TEST_CASE_METHOD(Moving,
                 "what is left to refund before an account closes has the month's fee in it") {
    FileTexts files;
    files["tariffs/fee.toml"] =
        "[[tariff]]\nid = \"fee\"\nservice = \"electricity\"\nsource = \"test\"\n"
        "[[tariff.version]]\nvalid_from = \"2020-01-01\"\nladder = \"none\"\n"
        "tiers = [ { price = \"0.50\" } ]\n"
        "fixed = [ { name = \"服务费\", per = \"month\", amount = \"2.00\" } ]\n";
    files["accounts.csv"] =
        "account,unit,service,tariff,opening_balance\na-103,1-103,electricity,fee,\n";
    REQUIRE(import(files).kind == ReplyKind::ok);
    settle("e-103", "700.00");
    REQUIRE(top_up("a-103", "100.00", "k-0").kind == ReplyKind::created);
    clock.pass(10 * kMinute);
    settle("e-103", "703.00");
    REQUIRE(balance("a-103") == "98.50");
    // 100.00 - 3 x 0.50 - 2.00
    const Reply left = close("a-103", "k-1");
    CHECK(left.type == "balance-left");
    CHECK(left.detail.find("a-103 has 96.50 left; refund it") != std::string::npos);
    REQUIRE(ask(RefundMoney{act("k-2"), "a-103", "96.50", "", ""}).kind == ReplyKind::created);
    REQUIRE(close("a-103", "k-1").kind == ReplyKind::created);
    CHECK(ledger("a-103") == "0.00");
    CHECK(proof().empty());
}

TEST_CASE_METHOD(Moving, "a fee that falls due with the end is asked about, not written off") {
    FileTexts files;
    files["tariffs/fee.toml"] =
        "[[tariff]]\nid = \"fee\"\nservice = \"electricity\"\nsource = \"test\"\n"
        "[[tariff.version]]\nvalid_from = \"2020-01-01\"\nladder = \"none\"\n"
        "tiers = [ { price = \"0.5283\" } ]\n"
        "fixed = [ { name = \"service\", per = \"month\", amount = \"2.00\" } ]\n";
    files["accounts.csv"] =
        "account,unit,service,tariff,opening_balance\na-103,1-103,electricity,fee,\n";
    REQUIRE(import(files).kind == ReplyKind::ok);
    settle("e-103", "700.00");
    REQUIRE(ask(AdjustMoney{act("k-0"), "a-103", "1.00", "", ""}).kind == ReplyKind::created);
    REQUIRE(balance("a-103") == "1.00");
    // 1.00 - 2.00
    const Reply refused = occupant("k-1", "refund", "1-103");
    CHECK(refused.type == "settle");
    CHECK(refused.detail.find("owes 1.00") != std::string::npos);
    CHECK(account("a-103").open);
    CHECK(ledger("a-103") == "1.00");
    REQUIRE(occupant("k-2", "debt", "1-103").kind == ReplyKind::created);
    CHECK(book("a-103").back() == "write_off 1.00 occupant:k-2");
    CHECK(ledger("a-103") == "0.00");
    CHECK_FALSE(account("a-103").open);
    CHECK(proof().empty());
}

TEST_CASE_METHOD(Moving, "who left before a month ended owes no minimum of it, told late or not") {
    FileTexts files;
    files["tariffs/least.toml"] =
        "[[tariff]]\nid = \"least\"\nservice = \"electricity\"\nsource = \"test\"\n"
        "[[tariff.version]]\nvalid_from = \"2020-01-01\"\nladder = \"none\"\n"
        "tiers = [ { price = \"1.00\" } ]\nminimum = \"30.00\"\n";
    files["accounts.csv"] =
        "account,unit,service,tariff,opening_balance\na-103,1-103,electricity,least,\n";
    REQUIRE(import(files).kind == ReplyKind::ok);
    settle("e-103", "700.00");
    REQUIRE(top_up("a-103", "100.00", "k-0").kind == ReplyKind::created);
    pass(7 * kDay + 16 * kHour + kMinute);  // 1 December
    settle("e-103", "700.00");
    pass(19 * kDay + 12 * kHour);
    settle("e-103", "710.00");  // the last that is ever read of it
    pass(31 * kSecond);
    ChangeOccupant change;
    change.act = act("k-1");
    change.unit = "1-103";
    change.holder = "p-2";
    change.settle = "refund";
    change.accept_last_reading = true;
    const auto minimums = [&] {
        Rows rows;
        for (const WhyLine& line : StoreReader(path()).why("a-103", "").lines)
            if (is_minimum(line.key))
                rows.push_back(line.key.scope + " " + format(target(line.line)) + " " +
                               format(line.line.posted));
        return rows;
    };
    SECTION("in the month") {
        pass(14 * kDay);  // 3 January
        pass(6 * kMinute);
        REQUIRE(minimums() == Rows{"2026-12 20.26 20.26"});
        CHECK(balance("a-103") == "70.00");
        change.at = "2026-12-28T12:00:00+08:00";
        REQUIRE(ask(change).kind == ReplyKind::created);
        CHECK(minimums() == Rows{"2026-12 0.00 0.00"});
        const Rows rows = book("a-103");
        REQUIRE(rows.size() >= 2);
        CHECK(rows.at(rows.size() - 2) == "correction 20.00 close:minimum");
        CHECK(rows.back() == "refund -90.00 occupant:k-1");
    }
    SECTION("two months ago") {
        pass(45 * kDay);  // 3 February
        pass(6 * kMinute);
        REQUIRE(minimums().size() == 2);
        change.at = "2026-12-28T12:00:00+08:00";
        REQUIRE(ask(change).kind == ReplyKind::created);
        CHECK(minimums() == Rows{"2026-12 0.00 0.00", "2027-01 0.00 0.00"});
        CHECK(book("a-103").back() == "refund -90.00 occupant:k-1");
    }
    SECTION("but of a month that was lived to its end") {
        pass(14 * kDay);
        pass(6 * kMinute);
        change.at = "2027-01-02T12:00:00+08:00";
        REQUIRE(ask(change).kind == ReplyKind::created);
        CHECK(minimums() == Rows{"2026-12 20.00 20.00"});
        CHECK(book("a-103").back() == "refund -70.00 occupant:k-1");
    }
    SECTION("and what is left without it decides how it is settled") {
        pass(14 * kDay);
        pass(6 * kMinute);
        change.at = "2026-12-28T12:00:00+08:00";
        REQUIRE(ask(AdjustMoney{act("k-2"), "a-103", "-80.00", "", ""}).kind == ReplyKind::created);
        REQUIRE(balance("a-103") == "-10.00");
        change.settle = "debt";
        const Reply refused = ask(change);
        CHECK(refused.type == "settle");
        CHECK(refused.detail.find("a-103 has 10.00 left") != std::string::npos);
        CHECK(minimums().at(0).ends_with(" 20.26 20.26"));
        change.settle = "refund";
        REQUIRE(ask(change).kind == ReplyKind::created);
        CHECK(book("a-103").back() == "refund -10.00 occupant:k-1");
    }
    CHECK(ledger("a-103") == "0.00");
    CHECK(proof() == "");
    reopen();
    pass(kDay);
    CHECK(balance("a-103") == "0.00");
    CHECK(ledger("a-103") == "0.00");
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Moving,
                 "the ladder begins anew with the holder unless it goes with the dwelling") {
    FileTexts people;
    people["people.csv"] = "person,kind,name\np-3,owner,甲\np-4,owner,乙\n";
    REQUIRE(import(people).kind == ReplyKind::ok);
    clock.pass(10 * kMinute);
    // 2879 used before; 11 kWh: 1 x 0.4883 + 10 x 0.5383 = 0.4883 -> 0.49, 5.383 -> 5.38
    settle("e-102", "511.00");
    REQUIRE(balance("a-102") == "194.13");
    ChangeOccupant change;
    change.act = act("k-1");
    change.unit = "1-102";
    change.holder = "p-3";
    change.settle = "transfer";
    SECTION("anew") {
        REQUIRE(ask(change).kind == ReplyKind::created);
        clock.pass(10 * kMinute);
        settle("e-102", "521.00");
        // 10 x 0.4883 = 4.883 -> 4.88
        CHECK(balance("a-102.2") == "189.25");
    }
    SECTION("continued") {
        change.ladder = "continue";
        REQUIRE(ask(change).kind == ReplyKind::created);
        clock.pass(10 * kMinute);
        settle("e-102", "521.00");
        // 10 x 0.5383 = 5.383 -> 5.38
        CHECK(balance("a-102.2") == "188.75");
        reopen();
        clock.pass(kMinute);
        settle("e-102", "521.00");
        CHECK(balance("a-102.2") == "188.75");
        change.act = act("k-2");
        change.holder = "p-4";
        REQUIRE(ask(change).kind == ReplyKind::created);
        CHECK(account("a-102.3").open);
    }
    CHECK(proof().empty());
}

TEST_CASE_METHOD(Moving, "a ladder that goes on from a day of last month ends with that month") {
    FileTexts lad;
    lad["tariffs/lad.toml"] =
        "[[tariff]]\nid = \"lad\"\nservice = \"electricity\"\nsource = \"a test\"\n"
        "[[tariff.version]]\nvalid_from = \"2026-01-01\"\nladder = \"month\"\n"
        "tiers = [ { up_to = \"40\", price = \"0.50\" }, { price = \"1.00\" } ]\n";
    lad["accounts.csv"] = "account,unit,service,tariff\na-103,1-103,electricity,lad\n";
    lad["people.csv"] = "person,kind,name\np-3,owner,甲\n";
    REQUIRE(import_signed(lad).kind == ReplyKind::ok);
    REQUIRE(top_up("a-103", "100.00", "t-1").kind == ReplyKind::created);
    settle("e-103", "1000.00");
    pass(7 * kDay);  // Monday 30 November, 08:00
    settle("e-103", "1033.33");
    pass(31 * kSecond);
    pass(2 * kDay);
    ChangeOccupant change;
    change.act = act("k-1");
    change.unit = "1-103";
    change.holder = "p-3";
    change.settle = "transfer";
    change.at = "2026-11-30T12:00:00+08:00";
    change.accept_last_reading = true;
    change.ladder = "continue";
    const Reply moved = ask(change);
    INFO(moved.detail);
    REQUIRE(moved.kind == ReplyKind::created);
    // 33.33 x 0.50 = 16.665
    CHECK(balance("a-103.2") == "83.33");
    clock.pass(10 * kMinute);
    settle("e-103", "1033.33");
    clock.pass(10 * kMinute);
    settle("e-103", "1063.33");
    // 30 kWh of December, whose first 40 cost 0.50.
    CHECK(balance("a-103.2") == "68.33");
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Moving, "what is doubted, old or later closes nothing and leaves no trace") {
    use();
    const auto event_seq = [&] { return engine().snapshot()->event_seq; };
    SECTION("a held reading") {
        for (int i = 0; i < 4; ++i, clock.pass(kSecond)) sample("e-101", "99999.00");
        REQUIRE(account("a-101").quality == Quality::held);
        const std::uint64_t before = event_seq();
        const Reply held = occupant("k-1", "refund");
        CHECK(held.kind == ReplyKind::conflict);
        CHECK(held.type == "reading-held");
        CHECK(event_seq() == before);
    }
    SECTION("a meter that has not been read lately") {
        pass(6 * kMinute);
        const std::uint64_t before = event_seq();
        const Reply old = occupant("k-1", "refund");
        CHECK(old.kind == ReplyKind::conflict);
        CHECK(old.type == "no-fresh-reading");
        CHECK(old.errors.size() == 2);
        CHECK(event_seq() == before);
        ChangeOccupant change;
        change.act = act("k-1");
        change.unit = "1-101";
        change.holder = "p-2";
        change.settle = "refund";
        change.accept_last_reading = true;
        REQUIRE(ask(change).kind == ReplyKind::created);
        CHECK(readings("e-101").back().row.quality == ReadingQuality::estimated);
        CHECK(ledger("a-101") == "0.00");
        clock.pass(10 * kMinute);
        // What it used meanwhile is the new holder's: 3 x 0.5283 = 1.5849 -> 1.58
        settle("e-101", "1013.00");
        CHECK(balance("a-101.2") == "-1.58");
        CHECK(proof().empty());
    }
    SECTION("or is read by eye for it") {
        pass(6 * kMinute);
        REQUIRE(ask(ReadFace{"local", "e-101", "1011.00", "", "s-01", "s-02", ""}).kind ==
                ReplyKind::created);
        REQUIRE(ask(ReadFace{"local", "w-101", "51.000", "", "s-01", "s-02", ""}).kind ==
                ReplyKind::created);
        // 11 x 0.5283 = 5.8113 -> 5.81; 100.00 - 5.81 - 5.00 = 89.19
        REQUIRE(balance("a-101") == "89.19");
        REQUIRE(occupant("k-1", "refund").kind == ReplyKind::created);
        CHECK(readings("e-101").back().row.quality == ReadingQuality::manual);
        reopen();
        // The electronics agree within the dial's last place.
        settle("e-101", "1010.995");
        CHECK(meter("e-101").quality == Quality::confirmed);
        CHECK(balance("a-101.2") == "0.00");
    }
    SECTION("an instant that was accounted already") {
        ChangeOccupant change;
        change.act = act("k-1");
        change.unit = "1-101";
        change.holder = "p-2";
        change.settle = "refund";
        change.at = "2026-11-23T07:00:00+08:00";
        const Reply early = ask(change);
        CHECK(early.kind == ReplyKind::invalid);
        CHECK(early.type == "not-later");
        CHECK(early.errors.at(0).pointer == "/at");
        change.at = "2026-11-24T08:00:00+08:00";
        CHECK(ask(change).errors.at(0).pointer == "/at");
        CHECK(account("a-101").open);
    }
    SECTION("fields that are wrong") {
        const std::uint64_t before = event_seq();
        CHECK(occupant("k-1", "shells").errors.at(0).pointer == "/settle");
        CHECK(occupant("k-1", "refund", "1-101", "p-9").errors.at(0).pointer == "/holder");
        CHECK(occupant("k-1", "refund", "1-101", "p-1").errors.at(0).pointer == "/holder");
        CHECK(occupant("k-1", "debt").type == "settle");
        CHECK(occupant("k-1", "refund", "9-999").kind == ReplyKind::not_found);
        ChangeOccupant change;
        change.act = act("k-1");
        change.act.second = "s-01";
        change.unit = "1-101";
        change.holder = "p-2";
        change.settle = "refund";
        change.ladder = "half";
        change.method = "qr";
        const Reply many = ask(change);
        CHECK(many.errors.size() == 3);
        CHECK(event_seq() == before);
    }
}

TEST_CASE_METHOD(Moving, "samples that are read for the act stand at its instant") {
    pass(10 * kMinute);
    ChangeOccupant change;
    change.act = act("k-1");
    change.unit = "1-101";
    change.holder = "p-2";
    change.settle = "transfer";
    const std::int64_t run = engine().snapshot()->run;
    for (const auto& [meter, face] :
         std::map<std::string, std::int64_t>{{"e-101", 1'002}, {"w-101", 50}}) {
        for (int i = 0; i < 2; ++i) {
            Sample one;
            one.meter = meter;
            one.at = {run, clock.mono + i, clock.wall + i};
            one.register_value = Rational{face, 1};
            one.raw = {1};
            change.fresh.push_back(one);
        }
    }
    REQUIRE(ask(change).kind == ReplyKind::created);
    // 2 x 0.5283 = 1.0566 -> 1.06
    CHECK(balance("a-101.2") == "98.94");
    CHECK(readings("e-101").back().row.quality == ReadingQuality::good);
    CHECK(proof().empty());
}

TEST_CASE_METHOD(Moving, "export writes the end, and an import of it changes nothing") {
    use();
    REQUIRE(occupant("k-1", "refund").kind == ReplyKind::created);
    const auto files = registry_files::write(*engine().snapshot()->registry,
                                             [](const std::string& card) { return card; });
    FileTexts texts(files.begin(), files.end());
    const std::string& rows = texts.at("accounts.csv");
    CHECK(rows.find("a-101.2,1-101,all") != std::string::npos);
    CHECK(rows.find("2026-11-23T08:10") != std::string::npos);
    const Reply again = import(texts);
    REQUIRE(again.kind == ReplyKind::ok);
    CHECK(field(again.json, "added") == "0");
    CHECK(field(again.json, "changed") == "0");
}

TEST_CASE_METHOD(Moving,
                 "after a restart an edge is worked out from a move, not from a sample before") {
    clock.pass(10 * kMinute);
    settle("e-101", "1010.00");
    settle("w-101", "50.000");
    // The first of these two is confirmed and moves; the second waits, and was read before.
    clock.pass(kMinute);
    sample("e-101", "1010.50");
    clock.pass(2 * kSecond);
    sample("e-101", "1010.80");
    clock.pass(2 * kSecond);
    REQUIRE(occupant("k-1", "refund").kind == ReplyKind::created);
    clock.pass(2 * kSecond);
    sample("e-101", "1010.90");
    pass(31 * kSecond);
    const auto before = readings("e-101");
    REQUIRE(before.size() >= 2);
    const StoredReading move = before.at(before.size() - 2);
    REQUIRE(move.row.kind == ReadingKind::move);
    REQUIRE(before.back().row.total == Milli{1'010'800});
    REQUIRE(before.back().at.at < move.at.at);
    reopen();
    clock.pass(20 * kHour);
    settle("e-101", "1030.00");
    const UtcMs midnight = kMorning + 16 * kHour;
    const auto after = readings("e-101");
    const auto freeze = std::find_if(after.begin(), after.end(), [](const StoredReading& row) {
        return row.row.kind == ReadingKind::freeze;
    });
    REQUIRE(freeze != after.end());
    REQUIRE(freeze->at.at == midnight);
    CHECK(format(freeze->row.total) ==
          format(total_at_edge(move.row.total, move.at.at, Milli{1'030'000}, clock.wall - kSecond,
                               midnight)));
}
