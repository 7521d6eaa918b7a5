// From samples to balances: what a confirmed register costs, and what is never charged.
#include <tuple>
#include <vector>

#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

struct Standing : House {
    Standing() {
        open();
        REQUIRE(import(three_homes()).kind == ReplyKind::ok);
    }
};

}  // namespace

TEST_CASE_METHOD(Standing, "a first reading is asked for twice and costs nothing") {
    sample("e-103", "1000.00");
    CHECK_FALSE(meter("e-103").total);
    CHECK(asked.soon["e-103"] == 1);
    pass(kSecond);
    sample("e-103", "1000.00");
    CHECK(meter("e-103").total == Milli{1'000'000});
    CHECK(balance("a-103") == "0.00");
    CHECK(account("a-103").level == 0);
    CHECK_FALSE(account("a-103").judged);
    CHECK(readings("e-103").size() == 1);
    CHECK(events("alert.raised").empty());
}

TEST_CASE("with an opening register the difference to the first reading is charged") {
    House house;
    house.open();
    FileTexts files = three_homes();
    files["meters.csv"] =
        "meter,unit,service,bus,address,profile,opening_register,opening_at\n"
        "e-101,1-101,electricity,b1,1,eastron-sdm120,990.00,2026-11-23\n";
    REQUIRE(house.import(files).kind == ReplyKind::ok);
    house.settle("e-101", "1000.00");
    // 10 kWh x 0.5283 = 5.283
    CHECK(house.balance("a-101") == "94.72");
    CHECK(house.ledger("a-101") == "100.00");
    house.reopen();
    CHECK(house.balance("a-101") == "94.72");

    SECTION("and one that lies above the register is held") {
        House other;
        other.open();
        files["meters.csv"] =
            "meter,unit,service,bus,address,profile,opening_register,opening_at\n"
            "e-101,1-101,electricity,b1,1,eastron-sdm120,1090.00,2026-11-23\n";
        REQUIRE(other.import(files).kind == ReplyKind::ok);
        for (int i = 0; i < 4; ++i) {
            other.sample("e-101", "1000.00");
            other.pass(kMinute);
        }
        CHECK(other.balance("a-101") == "100.00");
        CHECK(other.account("a-101").quality == Quality::held);
        CHECK(other.events("meter.quarantined").size() == 1);
        other.reopen();
        for (int i = 0; i < 4; ++i) {
            other.sample("e-101", "1000.00");
            other.pass(kMinute);
        }
        CHECK(other.account("a-101").quality == Quality::held);
        CHECK(other.balance("a-101") == "100.00");
        CHECK(other.events("meter.quarantined").size() == 1);
    }
}

TEST_CASE_METHOD(Standing, "a flat price: the balance falls by the exact amount of each poll") {
    settle("e-103", "1000.00");
    // Register, and what 0.5283 a kWh makes of it, half up.
    const std::vector<std::pair<std::string, std::string>> polls{
        {"1000.01", "-0.01"}, {"1000.94", "-0.50"}, {"1001.00", "-0.53"}, {"1002.00", "-1.06"},
        {"1003.00", "-1.58"}, {"1004.00", "-2.11"}, {"1010.00", "-5.28"}, {"1100.00", "-52.83"}};
    for (const auto& [face, balance_then] : polls) {
        pass(kHour);
        settle("e-103", face);
        CHECK(balance("a-103") == balance_then);
        CHECK(ledger("a-103") == "0.00");
    }
    CHECK(entries("a-103").empty());
}

TEST_CASE_METHOD(Standing, "a moving register is charged up to the sample that was confirmed") {
    settle("e-103", "1000.00");
    pass(kMinute);
    sample("e-103", "1001.00");
    CHECK(balance("a-103") == "0.00");
    pass(kMinute);
    sample("e-103", "1002.00");
    CHECK(balance("a-103") == "-0.53");
    pass(kMinute);
    sample("e-103", "1003.00");
    CHECK(balance("a-103") == "-1.06");
}

TEST_CASE_METHOD(Standing, "Beijing's ladder: each tier at its own price, from where it stood") {
    settle("e-102", "5000.00");
    // 2879 kWh were used this year. Tier 1 ends at 2880, tier 2 at 4800.
    const std::vector<std::pair<std::string, std::string>> polls{
        {"5001.00", "199.51"},    // 1 x 0.4883 = 0.49
        {"5003.00", "198.43"},    // and 2 x 0.5383 = 1.08
        {"6921.00", "-834.03"},   // and 1920 x 0.5383 = 1033.54
        {"6931.00", "-841.91"}};  // and 10 x 0.7883 = 7.88
    for (const auto& [face, balance_then] : polls) {
        pass(kHour);
        settle("e-102", face);
        CHECK(balance("a-102") == balance_then);
        CHECK(ledger("a-102") == "200.00");
    }
    // What lies between the two is told by tier, from the reading before to the last sample.
    const PendingParts pending = account("a-102").pending;
    REQUIRE(pending != nullptr);
    std::vector<std::pair<int, std::string>> tiers;
    for (const PendingPart& part : *pending) {
        tiers.emplace_back(part.line.tier, format(part.quantity));
        CHECK(part.from == 1);
        CHECK(part.register_value == Milli{6'931'000});
        CHECK(part.before.quantity == Milli{});
    }
    CHECK(tiers ==
          std::vector<std::pair<int, std::string>>{{1, "1.000"}, {2, "1920.000"}, {3, "10.000"}});
    reopen();
    CHECK(balance("a-102") == "-841.91");
}

TEST_CASE_METHOD(Standing, "two services of one account draw on one balance") {
    settle("e-101", "10.00");
    settle("w-101", "7.000");
    pass(kHour);
    settle("e-101", "20.00");
    settle("w-101", "8.500");
    // 10 x 0.5283 = 5.28 and 1.5 x 5.00 = 7.50
    CHECK(balance("a-101") == "87.22");
}

TEST_CASE_METHOD(Standing, "a spike is not charged") {
    settle("e-103", "1000.00");
    pass(10 * kMinute);
    sample("e-103", "900000.00");
    CHECK(balance("a-103") == "0.00");
    CHECK(account("a-103").quality == Quality::confirmed);
    pass(10 * kMinute);
    settle("e-103", "1001.00");
    CHECK(balance("a-103") == "-0.53");
    CHECK(events("meter.quarantined").empty());
}

TEST_CASE_METHOD(Standing, "three spikes that agree are held and cost nobody money") {
    settle("e-101", "1000.00");
    settle("w-101", "1.000");
    for (int i = 0; i < 3; ++i) {
        pass(10 * kMinute);
        sample("e-101", "900000.00");
    }
    const auto held = [&] {
        CHECK(events("meter.quarantined").size() == 1);
        CHECK(meter("e-101").quality == Quality::held);
        CHECK(account("a-101").quality == Quality::held);
        CHECK(balance("a-101") == "100.00");
        // 899,000 kWh x 0.5283 = 474,941.70
        CHECK(format(account("a-101").provisional) == "-474841.70");
        CHECK(account("a-101").level == 0);
        for (const StoredEvent& event : events("alert.raised"))
            CHECK(field(event.body, "kind") == "reading_held");
    };
    held();
    auto rows = StoreReader(path()).quarantine(QuarantineRow::State::open, 0, 10);
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].reason == "cap");
    CHECK(format(rows[0].held) == "474941.70");
    reopen();
    held();
    pass(10 * kMinute);
    settle("e-101", "1001.00");
    CHECK(events("meter.quarantine_resolved").size() == 1);
    CHECK(account("a-101").quality == Quality::confirmed);
    CHECK(balance("a-101") == "99.47");
    CHECK(format(account("a-101").provisional) == "99.47");
    CHECK(StoreReader(path()).quarantine(QuarantineRow::State::open, 0, 10).empty());
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Standing, "a register that passes its end goes on, over a restart as well") {
    settle("e-103", "999999.00");
    pass(10 * kMinute);
    settle("e-103", "1.00");
    // 2 kWh = 1.0566
    CHECK(balance("a-103") == "-1.06");
    reopen();
    pass(10 * kMinute);
    settle("e-103", "2.00");
    CHECK(balance("a-103") == "-1.58");
    CHECK(meter("e-103").total == Milli{1'000'002'000});
    CHECK(events("meter.rollover").size() == 1);
    pass(15 * kMinute);
    settle("e-103", "3.00");
    pass(kMinute);
    step();
    reopen();
    CHECK(balance("a-103") == "-2.11");
    pass(10 * kMinute);
    settle("e-103", "4.00");
    CHECK(balance("a-103") == "-2.64");
}

TEST_CASE_METHOD(Standing, "a dead meter is its own trouble and says why") {
    settle("e-101", "1000.00");
    settle("e-103", "1000.00");
    fail("e-101");
    CHECK_FALSE(meter("e-101").online);
    CHECK(meter("e-101").reason == "no answer");
    CHECK(account("a-101").quality == Quality::meter_offline);
    fail("e-101");
    CHECK(events("meter.offline").size() == 1);
    pass(10 * kMinute);
    settle("e-103", "1001.00");
    CHECK(balance("a-103") == "-0.53");
    settle("e-101", "1001.00");
    CHECK(events("meter.online").size() == 1);
    CHECK(account("a-101").quality == Quality::confirmed);
    CHECK(balance("a-101") == "99.47");
}
