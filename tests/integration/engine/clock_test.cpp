// A clock that nobody vouches for: reading and money go on, days wait for it.
#include <sqlite3.h>

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

namespace {

constexpr std::int64_t kFarStep = 2 * kDay + 17 * kHour;

// In the order of their times the rows of a meter never fall, and none is dated another time after
// a start than it was before.
void check_orderly(House& house, const std::string& meter) {
    auto rows = house.readings(meter);
    std::stable_sort(rows.begin(), rows.end(), [](const StoredReading& a, const StoredReading& b) {
        return a.at.at < b.at.at;
    });
    for (std::size_t i = 1; i < rows.size(); ++i) {
        INFO(rows[i].row.seq << " at " << rows[i].at.at << " below " << rows[i - 1].row.seq
                             << " at " << rows[i - 1].at.at);
        CHECK(rows[i].row.total >= rows[i - 1].row.total);
    }
    CHECK(house.proof() == "");
}

// The total at the end of that day, as it was frozen.
Milli frozen(const House& house, const std::string& meter, UtcMs midnight) {
    for (const StoredReading& row : house.readings(meter))
        if (row.at.at == midnight && row.row.kind == ReadingKind::freeze) return row.row.total;
    return Milli{-1};
}

}  // namespace

TEST_CASE("a clock that steps in the very millisecond of a sample does not date it anew") {
    House house;
    house.open();
    REQUIRE(house.import(three_homes()).kind == ReplyKind::ok);
    house.settle("e-103", "1000.00");
    house.clock.pass(2 * kHour);
    house.settle("e-103", "1002.60");
    const UtcMs read_at = house.clock.wall;
    house.clock.wall += kFarStep;
    house.step();
    house.pass(kSecond);
    CHECK(house.engine().snapshot()->now_ms == read_at + kFarStep + kSecond);
    CHECK(house.account("a-103").as_of == read_at);
    house.clock.pass(10 * kMinute);
    house.settle("e-103", "1003.00");
    const UtcMs midnight = kMorning + 16 * kHour;
    house.pass(31 * kSecond);
    CHECK(frozen(house, "e-103", midnight).count >= 1'002'600);
    CHECK(frozen(house, "e-103", midnight + kDay) >= frozen(house, "e-103", midnight));
    check_orderly(house, "e-103");
    house.reopen();
    house.clock.pass(10 * kMinute);
    house.settle("e-103", "1003.50");
    check_orderly(house, "e-103");
}

TEST_CASE("staff who confirm a clock that stepped date nothing anew either") {
    House house;
    house.options.trust = EngineOptions::Trust::manual;
    house.open();
    REQUIRE(house.import(three_homes()).kind == ReplyKind::ok);
    REQUIRE(house.ask(ConfirmClock{"local", "s-01"}).kind == ReplyKind::ok);
    house.settle("e-103", "1000.00");
    house.clock.pass(2 * kHour);
    house.settle("e-103", "1002.60");
    const UtcMs read_at = house.clock.wall;
    house.clock.wall += kFarStep;
    const Reply confirmed = house.ask(ConfirmClock{"local", "s-01"});
    REQUIRE(confirmed.kind == ReplyKind::ok);
    CHECK(field(confirmed.json, "now").starts_with("2026-11-26T03:"));
    CHECK(house.account("a-103").as_of == read_at);
    house.clock.pass(kSecond);
    house.clock.pass(10 * kMinute);
    house.settle("e-103", "1003.00");
    CHECK(house.engine().snapshot()->now_ms == read_at + kFarStep + 10 * kMinute + 2 * kSecond);
    house.pass(31 * kSecond);
    CHECK(frozen(house, "e-103", kMorning + 16 * kHour).count >= 1'002'600);
    check_orderly(house, "e-103");
}

TEST_CASE("samples around a step of the clock: no freeze lies below what was confirmed before") {
    const auto by =
        GENERATE(values<std::int64_t>({kFarStep, 16 * kHour, 14 * kHour + 3 * kMinute, -kFarStep}));
    const auto queued = GENERATE(values({0, 1, 2}));
    const auto lag = GENERATE(values<std::int64_t>({0, 999}));
    CAPTURE(by, queued, lag);
    const bool ends_day_first = GENERATE(true, false);
    House house;
    house.open();
    REQUIRE(house.import(three_homes()).kind == ReplyKind::ok);
    house.settle("e-103", "1000.00");
    house.clock.pass(2 * kHour);
    house.settle("e-103", "1002.60");
    house.pass(31 * kSecond);
    house.clock.pass(kSecond);
    house.sample("e-103", "1002.61");
    // Read after the step and before the engine has looked.
    house.clock.wall += by;
    for (int i = 0; i < queued; ++i) {
        house.clock.pass(lag);
        house.feed("e-103", *parse_rational("1002.62"));
    }
    house.step();
    house.clock.pass(kSecond);
    if (ends_day_first) house.pass(6 * kMinute);
    house.clock.pass(10 * kMinute);
    house.settle("e-103", "1003.00");
    house.pass(31 * kSecond);
    check_orderly(house, "e-103");
    const Milli first = frozen(house, "e-103", kMorning + 16 * kHour);
    if (by > 0) CHECK(first.count >= 1'002'600);
    house.pass(kDay);
    house.settle("e-103", "1009.00");
    house.pass(6 * kMinute);
    check_orderly(house, "e-103");
    const auto before = house.readings("e-103");
    house.reopen();
    const auto after = house.readings("e-103");
    REQUIRE(before.size() == after.size());
    for (std::size_t i = 0; i < before.size(); ++i) CHECK(before[i].at.at == after[i].at.at);
    // All of it is charged once: 9 x 0.5283 = 4.7547, and the step has made no second one.
    house.settle("e-103", "1009.00");
    CHECK(house.balance("a-103") == "-4.75");
}

TEST_CASE("a step that came while the books could not be written is known after a start") {
    House house;
    house.open();
    REQUIRE(house.import(three_homes()).kind == ReplyKind::ok);
    house.settle("e-103", "1000.00");
    house.crash();
    // Until the store was found to write again.
    const std::string ill =
        "CREATE TRIGGER ill BEFORE INSERT ON run_offset WHEN NEW.from_mono_ms>" +
        std::to_string(house.clock.mono + kMinute) +
        " AND NOT EXISTS(SELECT 1 FROM note WHERE name='recovered_at') "
        "BEGIN SELECT RAISE(ABORT,'ill'); END";
    sqlite3* books = nullptr;
    REQUIRE(sqlite3_open(house.path().c_str(), &books) == SQLITE_OK);
    REQUIRE(sqlite3_exec(books, ill.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(books);
    house.open();
    house.pass(10 * kMinute);
    house.clock.wall += kFarStep;
    house.pass(kSecond);
    CHECK_FALSE(house.engine().snapshot()->store_ok);
    for (int i = 0; i < 10; ++i) house.pass(kMinute);
    CHECK(house.engine().snapshot()->store_ok);
    CHECK(house.events("clock.stepped").size() == 1);
    house.settle("e-103", "1001.00");
    house.pass(31 * kSecond);
    const auto before = house.readings("e-103");
    house.reopen();
    const auto after = house.readings("e-103");
    REQUIRE(before.size() == after.size());
    for (std::size_t i = 0; i < before.size(); ++i) CHECK(before[i].at.at == after[i].at.at);
    CHECK(after.back().at.at > kMorning + kFarStep);
    CHECK(frozen(house, "e-103", kMorning + 16 * kHour).count >= 1'000'000);
    check_orderly(house, "e-103");
}
