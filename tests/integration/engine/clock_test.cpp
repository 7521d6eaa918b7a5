// A clock that nobody vouches for: reading and money go on, days wait for it.
#include <algorithm>

#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

TEST_CASE("after a power cut with a lost clock: polls and top-ups go on, posting waits for trust") {
    House house;
    house.open();
    REQUIRE(house.import(three_homes()).kind == ReplyKind::ok);
    house.settle("e-103", "1000.00");
    house.pass(31 * kSecond);
    house.crash();

    // The box boots an hour later and believes that it is 2001.
    const UtcMs wrong = 978'307'200'000;
    const std::int64_t behind = house.clock.wall + kHour - wrong;
    house.clock.wall = wrong;
    house.clock.mono = 30'000;
    house.synchronised = false;
    house.open();
    CHECK_FALSE(house.engine().snapshot()->clock_trusted);
    const UtcMs polled = house.clock.wall + behind;
    house.settle("e-103", "1000.00");
    house.pass(10 * kMinute);
    house.settle("e-103", "1001.00");
    CHECK(house.balance("a-103") == "-0.53");
    const Reply paid = house.top_up("a-103", "50.00", "k-1");
    REQUIRE(paid.kind == ReplyKind::created);
    CHECK(field(paid.json, "clock_trusted") == "false");
    CHECK(field(paid.json, "balance") == "49.47");
    house.pass(20 * kHour);
    house.settle("e-103", "1021.00");
    CHECK(house.balance("a-103") == "38.91");  // 21 x 0.5283 = 11.0943
    CHECK(house.book("a-103").size() == 1);

    house.clock.wall += behind;
    house.synchronised = true;
    house.pass(kSecond);
    CHECK(house.engine().snapshot()->clock_trusted);
    CHECK(house.events("clock.trusted").size() == 2);
    const auto book = house.book("a-103");
    REQUIRE(book.size() == 2);
    CHECK(book[1].find(" day:2026-11-23") != std::string::npos);
    CHECK(house.balance("a-103") == "38.91");
    const auto rows = house.readings("e-103");
    CHECK(std::any_of(rows.begin(), rows.end(), [&](const StoredReading& row) {
        return row.at.trusted && row.at.at == polled;
    }));
    CHECK(house.entries("a-103").at(0).at.trusted);
    CHECK(house.proof() == "");
}

TEST_CASE("manual trust waits for staff to confirm the clock") {
    House house;
    house.options.trust = EngineOptions::Trust::manual;
    house.open();
    REQUIRE(house.import(three_homes()).kind == ReplyKind::ok);
    CHECK_FALSE(house.engine().snapshot()->clock_trusted);
    CHECK(house.book("a-101").empty());
    CHECK(house.ask(ConfirmClock{"local", "nobody"}).kind == ReplyKind::invalid);
    REQUIRE(house.ask(ConfirmClock{"local", "s-01"}).kind == ReplyKind::ok);
    CHECK(house.engine().snapshot()->clock_trusted);
    CHECK(house.book("a-101") == std::vector<std::string>{"opening 100.00 opening"});
}

TEST_CASE("who has money from the old system is not out of it while the clock is unknown") {
    House house;
    house.options.trust = EngineOptions::Trust::manual;
    house.open();
    REQUIRE(house.import(three_homes()).kind == ReplyKind::ok);
    house.settle("e-101", "1000.00");
    house.clock.pass(10 * kMinute);
    house.settle("e-101", "1010.00");
    CHECK(house.account("a-101").level == 0);
    CHECK(house.engine().snapshot()->open_alerts.empty());
    REQUIRE(house.ask(ConfirmClock{"local", "s-01"}).kind == ReplyKind::ok);
    house.pass(2 * kSecond);
    CHECK(house.balance("a-101") == "94.72");
    CHECK(house.events("alert.raised").empty());
}

TEST_CASE("a clock set back below the newest row is not followed, one set forward is") {
    House house;
    house.open();
    REQUIRE(house.import(three_homes()).kind == ReplyKind::ok);
    house.settle("e-103", "1000.00");
    const UtcMs before = house.engine().snapshot()->now_ms;
    house.clock.wall -= kHour;
    house.pass(kMinute);
    CHECK(house.events("clock.not_followed").size() == 1);
    CHECK(house.engine().snapshot()->now_ms == before + kMinute);
    house.pass(kMinute);
    CHECK(house.events("clock.not_followed").size() == 1);
    house.clock.wall += 3 * kHour;
    house.pass(kMinute);
    CHECK(house.events("clock.stepped").size() == 1);
    CHECK(house.engine().snapshot()->now_ms == before + 2 * kHour + 3 * kMinute);
    house.crash();
    house.clock.wall -= 4 * kHour;
    house.open();
    CHECK_FALSE(house.engine().snapshot()->clock_trusted);
    CHECK(house.engine().snapshot()->clock_reason.find("before the newest stored row") !=
          std::string::npos);
}

TEST_CASE("a clock that was far ahead hides no line of the month") {
    House house;
    house.open();
    REQUIRE(house.import(three_homes()).kind == ReplyKind::ok);
    house.settle("e-103", "1000.00");
    house.pass(16 * kHour + kMinute);
    house.settle("e-103", "1010.00");
    REQUIRE(house.book("a-103").size() == 1);
    house.crash();
    const std::int64_t ahead = 400 * kDay;
    house.clock.wall += ahead;
    house.synchronised = false;
    house.open();
    house.clock.wall -= ahead;
    house.synchronised = true;
    house.pass(kDay);
    house.settle("e-103", "1020.00");
    // 10 kWh are 5.28, 20 kWh are 10.57
    CHECK(house.book("a-103") ==
          std::vector<std::string>{"charge -5.28 day:2026-11-23", "charge -5.29 day:2026-11-24"});
    CHECK(house.proof() == "");
}

TEST_CASE("what is paid while the clock runs years ahead stands in no month that comes in years") {
    House house;
    house.open();
    REQUIRE(house.import(three_homes()).kind == ReplyKind::ok);
    house.settle("e-103", "1000.00");
    house.crash();
    const std::int64_t ahead = 4'000 * kDay;
    house.clock.wall += ahead;
    house.synchronised = false;
    house.open();
    REQUIRE(house.top_up("a-103", "50.00", "k-1").kind == ReplyKind::created);
    house.clock.wall -= ahead;
    house.synchronised = true;
    house.pass(kMinute);
    REQUIRE(house.top_up("a-103", "10.00", "k-2").kind == ReplyKind::created);
    const auto entries = house.entries("a-103");
    REQUIRE(entries.size() == 2);
    CHECK(entries[0].entry.month == "2026-11");
    CHECK(entries[1].entry.month == "2026-11");
    CHECK(house.proof() == "");
}

TEST_CASE("a run that nobody ever trusted does not keep its meters from their days") {
    House house;
    house.synchronised = false;
    house.open();
    REQUIRE(house.import(three_homes()).kind == ReplyKind::ok);
    house.settle("e-103", "1000.00");
    house.pass(31 * kSecond);
    house.crash();
    house.synchronised = true;
    house.open();
    house.pass(kHour);
    house.settle("e-103", "1000.00");
    house.pass(kHour);
    house.settle("e-103", "1002.00");
    house.pass(14 * kHour);
    house.settle("e-103", "1010.00");
    CHECK(house.book("a-103") == std::vector<std::string>{"charge -5.28 day:2026-11-23"});
    CHECK(house.proof() == "");
}

TEST_CASE("a sample that waited while the clock was set is dated as it was when it came") {
    House house;
    house.open();
    REQUIRE(house.import(three_homes()).kind == ReplyKind::ok);
    house.settle("e-103", "1000.00");
    house.pass(16 * kHour + 2 * kMinute);
    house.sample("e-103", "1010.00");
    house.clock.wall += kHour;
    house.pass(kMinute);
    REQUIRE(house.events("clock.stepped").size() == 1);
    house.sample("e-103", "1010.00");
    // Read two minutes after midnight, so that it stands on it; by the new time it were an hour.
    const auto rows = house.readings("e-103");
    const auto freeze = std::find_if(rows.begin(), rows.end(), [](const StoredReading& row) {
        return row.row.kind == ReadingKind::freeze;
    });
    REQUIRE(freeze != rows.end());
    CHECK(freeze->row.quality == ReadingQuality::good);
    CHECK(freeze->row.total == Milli{1'010'000});
    CHECK(house.proof() == "");
}

TEST_CASE("a day that ended while the clock was lost is worked out from the last dated sample") {
    House house;
    house.open();
    REQUIRE(house.import(three_homes()).kind == ReplyKind::ok);
    house.settle("e-103", "1000.00");
    house.pass(4 * kHour - kSecond);
    house.settle("e-103", "1001.00");
    house.pass(31 * kSecond);
    house.crash();
    // An hour after noon it boots in another century; at one in the morning it learns the time.
    const UtcMs wrong = 978'307'200'000;
    const std::int64_t behind = kMorning + 5 * kHour - wrong;
    house.clock.wall = wrong;
    house.clock.mono = 30'000;
    house.synchronised = false;
    house.open();
    house.settle("e-103", "1001.00");
    house.pass(12 * kHour - kSecond);
    house.settle("e-103", "1017.00");
    house.clock.wall += behind;
    house.synchronised = true;
    house.pass(kSecond);
    const auto rows = house.readings("e-103");
    const auto freeze = std::find_if(rows.begin(), rows.end(), [](const StoredReading& row) {
        return row.row.kind == ReadingKind::freeze;
    });
    REQUIRE(freeze != rows.end());
    // 16 kWh from noon to one at night (and a second): 16000 x 43200000 / 46801000 = 14768.9
    CHECK(freeze->row.total == Milli{1'015'768});
    CHECK(house.meter("e-103").total == Milli{1'017'000});
    house.reopen();
    CHECK(house.meter("e-103").total == Milli{1'017'000});
    CHECK(house.proof() == "");
}

TEST_CASE(
    "seed 50: a day is worked out from the last dated sample, whatever lost its clock since") {
    House house;
    house.open();
    REQUIRE(house.import(three_homes()).kind == ReplyKind::ok);
    house.settle("e-103", "1000.00");
    house.pass(4 * kHour - kSecond);
    house.settle("e-103", "1001.00");
    house.pass(31 * kSecond);
    house.crash();
    // A run that never learns the time, and one that knows it from the beginning.
    const UtcMs right = house.clock.wall;
    house.clock.wall = 978'307'200'000;
    house.clock.mono = 30'000;
    house.synchronised = false;
    house.open();
    house.settle("e-103", "1001.00");
    house.pass(2 * kHour);
    house.settle("e-103", "1003.00");
    house.pass(31 * kSecond);
    house.crash();
    house.clock.wall = right + 3 * kHour;
    house.clock.mono = 30'000;
    house.synchronised = true;
    house.open();
    house.pass(kMorning + 17 * kHour - house.clock.wall);
    house.settle("e-103", "1003.00");
    const auto rows = house.readings("e-103");
    const auto freeze = std::find_if(rows.begin(), rows.end(), [](const StoredReading& row) {
        return row.row.kind == ReadingKind::freeze;
    });
    REQUIRE(freeze != rows.end());
    // 2 kWh from noon to one at night: twelve of thirteen hours of them before midnight
    CHECK(freeze->row.quality == ReadingQuality::estimated);
    CHECK(freeze->row.total == Milli{1'002'846});
    CHECK(house.proof() == "");
}

TEST_CASE("under a lost clock no terms change, and an opening ladder counts before what was used") {
    House house;
    house.clock.wall = 978'307'200'000;  // 2001-01-01
    house.synchronised = false;
    house.open();
    FileTexts files = three_homes();
    files["accounts.csv"] =
        "account,unit,service,tariff,opening_balance,opening_ladder\n"
        "a-102,1-102,electricity,beijing,,2879\n";
    REQUIRE(house.import(files).kind == ReplyKind::ok);
    house.settle("e-102", "500.00");
    house.pass(30 * kHour);
    house.settle("e-102", "503.00");
    const Reply change = house.import(
        {{"meters.csv", "meter,unit,service,multiplier\ne-102,1-102,electricity,2\n"}});
    CHECK(change.type == "clock");
    house.pass(kHour);
    house.clock.wall = kMorning + kHour;
    house.synchronised = true;
    house.pass(kMinute);
    house.settle("e-102", "503.00");
    house.pass(kDay);
    house.settle("e-102", "503.00");
    house.pass(6 * kMinute);
    // 1 kWh of the first tier is left of 2880: 1 x 0.4883, then 2 x 0.5383 = 1.0766.
    CHECK(house.ledger("a-102") == "-1.57");
    CHECK(house.proof() == "");
}
