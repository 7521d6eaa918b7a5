// What is held, and what staff decide about it: nothing of it is money before, all of it is exact
// after, and no decision is made twice.
#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

struct Held : House {
    Held() {
        open();
        REQUIRE(import(three_homes()).kind == ReplyKind::ok);
        settle("e-101", "1000.00");
        settle("w-101", "1.000");
    }
    // Three samples that agree with each other, a while apart.
    std::string hold(const std::string& face) {
        for (int i = 0; i < 3; ++i) {
            pass(10 * kMinute);
            sample("e-101", face);
        }
        const auto rows = StoreReader(path()).quarantine(QuarantineRow::State::open, 0, 10);
        REQUIRE(rows.size() == 1);
        return std::to_string(rows[0].id);
    }
    Reply decide(const std::string& id, bool release, const std::string& by = "s-01",
                 const std::string& reason = "looked at it") {
        return ask(SettleQuarantine{"local", id, by, reason, release});
    }
    [[nodiscard]] QuarantineRow row(const std::string& id) const {
        StoreReader reader(path());
        for (QuarantineRow& one : reader.quarantine(std::nullopt, 0, 100))
            if (std::to_string(one.id) == id) return one;
        throw std::runtime_error("no row " + id);
    }
};

}  // namespace

TEST_CASE_METHOD(Held, "released: charged whole, once, and over a restart") {
    const std::string id = hold("1300.00");
    CHECK(row(id).reason == "cap");
    CHECK(format(row(id).held) == "158.49");  // 300 x 0.5283
    CHECK(balance("a-101") == "100.00");
    CHECK(format(account("a-101").provisional) == "-58.49");
    const Reply reply = decide(id, true);
    REQUIRE(reply.kind == ReplyKind::ok);
    CHECK(field(reply.json, "state") == "released");
    CHECK(field(reply.json, "balance") == "-58.49");
    const auto check = [&] {
        CHECK(balance("a-101") == "-58.49");
        CHECK(format(account("a-101").provisional) == "-58.49");
        CHECK(account("a-101").quality == Quality::confirmed);
        CHECK(account("a-101").level == 3);  // judged at once
        CHECK(meter("e-101").total == Milli{1'300'000});
        int told = 0;
        for (const StoredEvent& event : events("alert.raised"))
            told += field(event.body, "kind") == "low_balance" ? 1 : 0;
        CHECK(told == 1);
        CHECK(proof() == "");
    };
    check();
    const StoredReading last = readings("e-101").back();
    CHECK(last.row.quality == ReadingQuality::released);
    CHECK(last.row.seq == row(id).released_as);
    reopen();
    check();
    SECTION("the same decision again answers alike, the other one is a conflict") {
        const Reply again = decide(id, true);
        CHECK(again.kind == ReplyKind::ok);
        CHECK(field(again.json, "reading") == field(reply.json, "reading"));
        CHECK(decide(id, false).kind == ReplyKind::conflict);
        CHECK(events("meter.quarantine_released").size() == 1);
        check();
    }
    SECTION("the next samples go on from it") {
        pass(10 * kMinute);
        settle("e-101", "1301.00");
        CHECK(balance("a-101") == "-59.02");  // 301 x 0.5283 = 159.0183
    }
}

TEST_CASE_METHOD(Held, "rejected: the readings before it go on") {
    const std::string id = hold("1300.00");
    const Reply reply = decide(id, false);
    REQUIRE(reply.kind == ReplyKind::ok);
    CHECK(field(reply.json, "state") == "rejected");
    CHECK(format(account("a-101").provisional) == "100.00");
    CHECK(meter("e-101").rejected >= 1);
    reopen();
    CHECK(account("a-101").quality == Quality::confirmed);
    pass(10 * kMinute);
    settle("e-101", "1001.00");
    CHECK(balance("a-101") == "99.47");
    CHECK(decide(id, false).kind == ReplyKind::ok);
    CHECK(decide(id, true).kind == ReplyKind::conflict);
    SECTION("and what still says the same is asked about anew") {
        const std::string other = hold("1400.00");
        CHECK(other != id);
    }
}

TEST_CASE_METHOD(Held, "a register that fell and is released counts on at the total as it was") {
    const std::string id = hold("5.00");
    CHECK(row(id).reason == "decrease");
    CHECK(format(row(id).held) == "0.00");
    CHECK(format(account("a-101").provisional) == "100.00");
    REQUIRE(decide(id, true).kind == ReplyKind::ok);
    CHECK(balance("a-101") == "100.00");
    CHECK(meter("e-101").total == Milli{1'000'000});
    CHECK(meter("e-101").register_value == Milli{5'000});
    reopen();
    pass(10 * kMinute);
    settle("e-101", "6.00");
    CHECK(meter("e-101").total == Milli{1'001'000});
    CHECK(balance("a-101") == "99.47");
    CHECK(events("meter.rebased").size() == 1);
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Held, "what resolved itself is no longer to be decided otherwise") {
    const std::string id = hold("5.00");
    pass(10 * kMinute);
    settle("e-101", "1001.00");
    CHECK(meter("e-101").rejected == 3);
    CHECK(decide(id, true).kind == ReplyKind::conflict);
    CHECK(decide(id, false).kind == ReplyKind::ok);
    CHECK(balance("a-101") == "99.47");
}

TEST_CASE_METHOD(Held, "a decision needs somebody and a reason") {
    const std::string id = hold("1300.00");
    struct Row {
        const char *id, *by, *reason;
        ReplyKind kind;
    };
    const Row rows[] = {
        {"", "s-01", "why", ReplyKind::not_found},
        {"99", "s-01", "why", ReplyKind::not_found},
        {"1x", "s-01", "why", ReplyKind::not_found},
        {id.c_str(), "s-99", "why", ReplyKind::invalid},
        {id.c_str(), "", "why", ReplyKind::invalid},
        {id.c_str(), "s-01", "", ReplyKind::invalid},
    };
    for (const Row& one : rows) {
        INFO(one.id << " " << one.by << " " << one.reason);
        for (const bool release : {true, false})
            CHECK(decide(one.id, release, one.by, one.reason).kind == one.kind);
    }
    CHECK(row(id).state == QuarantineRow::State::open);
    CHECK(balance("a-101") == "100.00");
}

TEST_CASE_METHOD(Held, "released days later: each day that it spans is posted late, once") {
    pass(2 * kHour);
    settle("e-101", "1001.00");
    const std::string id = hold("9001.00");
    pass(3 * kDay);
    pass(10 * kMinute);
    CHECK(book("a-101") == std::vector<std::string>{"opening 100.00 opening"});
    REQUIRE(decide(id, true).kind == ReplyKind::ok);
    // 8001 kWh x 0.5283 = 4226.9283
    CHECK(balance("a-101") == "-4126.93");
    pass(kMinute);
    settle("e-101", "9001.00");
    pass(kMinute);
    step();
    reopen();
    CHECK(balance("a-101") == "-4126.93");
    Fen charged;
    for (const StoredEntry& entry : entries("a-101"))
        if (entry.entry.kind == EntryKind::charge) {
            charged += entry.entry.amount;
            CHECK(entry.entry.cause.starts_with("late:"));
        }
    CHECK(format(charged) == "-4226.93");
    CHECK(ledger("a-101") == "-4126.93");
    CHECK(proof() == "");
}

TEST_CASE("a CT ratio that changes in the meter is held until staff know it") {
    House house;
    house.open();
    REQUIRE(house.import(three_homes()).kind == ReplyKind::ok);
    house.ratios["e-101"] = Rational{20, 1};
    house.settle("e-101", "1000.00");
    house.pass(kMinute);
    house.settle("e-101", "1000.00");
    house.ratios["e-101"] = Rational{40, 1};
    SECTION("read once it is noise") {
        house.pass(10 * kMinute);
        house.sample("e-101", "1002.00");
        house.ratios["e-101"] = Rational{20, 1};
        house.pass(10 * kMinute);
        house.settle("e-101", "1001.00");
        CHECK(house.balance("a-101") == "99.47");
        CHECK(house.events("meter.quarantined").empty());
    }
    SECTION("read twice staff are asked, over a restart as well") {
        for (int i = 0; i < 2; ++i) {
            house.pass(10 * kMinute);
            house.sample("e-101", "2002.00");
        }
        auto rows = StoreReader(house.path()).quarantine(QuarantineRow::State::open, 0, 10);
        REQUIRE(rows.size() == 1);
        CHECK(rows[0].reason == "multiplier_changed");
        CHECK(rows[0].serial == "40");
        CHECK(house.balance("a-101") == "100.00");
        house.reopen();
        house.pass(10 * kMinute);
        house.sample("e-101", "2003.00");
        CHECK(house.balance("a-101") == "100.00");
        const Reply reply = house.ask(
            SettleQuarantine{"local", std::to_string(rows[0].id), "s-01", "new CTs", true});
        REQUIRE(reply.kind == ReplyKind::ok);
        CHECK(house.meter("e-101").total == Milli{1'000'000});
        house.reopen();
        house.pass(10 * kMinute);
        house.settle("e-101", "2004.00");
        CHECK(house.meter("e-101").total == Milli{1'002'000});
        CHECK(house.balance("a-101") == "98.94");  // 2 x 0.5283 = 1.0566
        CHECK(house.proof() == "");
    }
}

TEST_CASE_METHOD(Held, "what staff hold is neither charged nor lost") {
    REQUIRE(ask(HoldMeter{"local", "e-101", "s-01", "cable work", true}).kind == ReplyKind::ok);
    for (int i = 0; i < 3; ++i) {
        pass(10 * kMinute);
        sample("e-101", "1002.00");
    }
    const auto check = [&] {
        CHECK(balance("a-101") == "100.00");
        CHECK(meter("e-101").hold);
        CHECK(account("a-101").quality == Quality::held);
    };
    check();
    CHECK(ask(HoldMeter{"local", "e-101", "s-01", "", true}).kind == ReplyKind::ok);
    CHECK(events("meter.held").size() == 1);
    reopen();
    pass(kMinute);
    settle("e-101", "1002.00");
    check();
    CHECK(ask(HoldMeter{"local", "e-101", "s-99", "", false}).kind == ReplyKind::invalid);
    CHECK(ask(HoldMeter{"local", "none", "s-01", "", false}).kind == ReplyKind::not_found);
    REQUIRE(ask(HoldMeter{"local", "e-101", "s-01", "", false}).kind == ReplyKind::ok);
    CHECK(asked.soon["e-101"] >= 1);
    pass(kMinute);
    settle("e-101", "1003.00");
    CHECK(balance("a-101") == "98.42");  // 3 x 0.5283 = 1.5849
    reopen();
    CHECK_FALSE(meter("e-101").hold);
    CHECK(proof() == "");
}

TEST_CASE("a first reading that contradicts its opening, released after a restart") {
    struct Row {
        const char *opening, *held, *balance, *total, *after;
    };
    const Row rows[] = {
        {"100.00", "475.47", "-375.47", "1000.000", "-376.00"},  // 900, then 901 x 0.5283
        {"1090.00", "0.00", "100.00", "1000.000", "99.47"},      // it was typed wrong
    };
    for (const Row& row : rows) {
        INFO(row.opening);
        House house;
        house.open();
        FileTexts files = three_homes();
        files["meters.csv"] =
            "meter,unit,service,bus,address,profile,rated_amps,opening_register,opening_at\n"
            "e-101,1-101,electricity,b1,1,eastron-sdm120,60," +
            std::string(row.opening) + ",2026-11-23\n";
        REQUIRE(house.import(files).kind == ReplyKind::ok);
        for (int i = 0; i < 3; ++i) {
            house.sample("e-101", "1000.00");
            house.pass(kMinute);
        }
        const auto items = StoreReader(house.path()).quarantine(QuarantineRow::State::open, 0, 10);
        REQUIRE(items.size() == 1);
        CHECK(items[0].reason == "opening_mismatch");
        CHECK(format(items[0].held) == row.held);
        CHECK(house.balance("a-101") == "100.00");
        house.reopen();
        REQUIRE(
            house.ask(SettleQuarantine{"local", std::to_string(items[0].id), "s-01", "seen", true})
                .kind == ReplyKind::ok);
        CHECK(house.balance("a-101") == row.balance);
        CHECK(format(*house.meter("e-101").total) == row.total);
        house.reopen();
        house.pass(kHour);
        house.settle("e-101", "1001.00");
        CHECK(house.balance("a-101") == row.after);
        CHECK(house.proof() == "");
    }
}

TEST_CASE("a power cut while a fallen register is held loses nothing that was confirmed before") {
    House house;
    house.options.store_interval_ms = kDay;
    house.open();
    REQUIRE(house.import(three_homes()).kind == ReplyKind::ok);
    house.settle("e-103", "1000.00");
    house.pass(kHour);
    house.settle("e-103", "1001.00");
    for (int i = 0; i < 3; ++i) {
        house.pass(kMinute);
        house.sample("e-103", "0.00");
    }
    REQUIRE(house.account("a-103").quality == Quality::held);
    house.reopen();
    CHECK(house.meter("e-103").total == Milli{1'001'000});
    const auto held = StoreReader(house.path()).quarantine(QuarantineRow::State::open, 0, 10);
    REQUIRE(held.size() == 1);
    const std::string id = std::to_string(held[0].id);
    REQUIRE(house.ask(SettleQuarantine{"local", id, "s-01", "it fell", true}).kind ==
            ReplyKind::ok);
    // 1 x 0.5283: it counts on from there
    CHECK(house.balance("a-103") == "-0.53");
    CHECK(house.proof() == "");
}
