// Freezes, postings and the clock: each day under its own key, and nothing that no clock vouches
// for.
#include <algorithm>

#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

using Rows = std::vector<std::string>;
constexpr UtcMs kMidnight24 = kMorning + 16 * kHour;  // 2026-11-24T00:00:00+08:00

struct Days : House {
    explicit Days(UtcMs begin = kMorning) : Days(three_homes(), begin) {}
    Days(const FileTexts& files, UtcMs begin) {
        clock.wall = begin;
        open();
        REQUIRE(import(files).kind == ReplyKind::ok);
    }
    void until(UtcMs at) { pass(at - clock.wall); }
    // Two equal samples, the second of them at that instant.
    void settle_by(const std::string& id, const std::string& face, UtcMs at) {
        until(at - kSecond);
        settle(id, face);
    }
    std::vector<StoredReading> freezes(const std::string& id) const {
        std::vector<StoredReading> all;
        for (StoredReading& row : readings(id))
            if (row.row.kind == ReadingKind::freeze || row.row.kind == ReadingKind::month)
                all.push_back(std::move(row));
        return all;
    }
};

}  // namespace

TEST_CASE("a sample within five minutes of midnight stands on the edge and is posted at once") {
    Days house;
    house.settle("e-103", "1000.00");
    house.settle_by("e-103", "1010.00", kMidnight24 - kMinute);
    CHECK(house.book("a-103").empty());
    house.until(kMidnight24);
    CHECK(house.asked.soon["e-103"] >= 1);
    house.until(kMidnight24 + 2 * kMinute);
    house.settle("e-103", "1010.50");
    // 10.5 kWh x 0.5283 = 5.54715
    CHECK(house.book("a-103") == Rows{"charge -5.55 day:2026-11-23"});
    CHECK(house.ledger("a-103") == "-5.55");
    CHECK(house.balance("a-103") == "-5.55");
    const auto rows = house.freezes("e-103");
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].row.total == Milli{1'010'500});
    CHECK(rows[0].row.quality == ReadingQuality::good);
    CHECK(rows[0].at.at == kMidnight24);
    house.reopen();
    house.pass(10 * kMinute);
    CHECK(house.book("a-103").size() == 1);
    CHECK(house.balance("a-103") == "-5.55");
    CHECK(house.proof() == "");
}

TEST_CASE("later than that the total at the edge is interpolated and marked estimated") {
    Days house;
    house.settle("e-103", "1000.00");
    house.settle_by("e-103", "1010.00", kMidnight24 - 4 * kHour);
    house.clock.pass(8 * kHour);
    house.settle("e-103", "1018.00");
    // Half of 8 kWh by midnight: 14 x 0.5283 = 7.3962; in all 18 x 0.5283 = 9.5094
    // The day was posted without it at the first tick after the wait was over.
    const Rows book = house.book("a-103");
    REQUIRE(book.size() == 1);
    CHECK(book[0].rfind("charge -7.40 late:", 0) == 0);
    CHECK(house.balance("a-103") == "-9.51");
    const auto rows = house.freezes("e-103");
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].row.total == Milli{1'014'000});
    CHECK(rows[0].row.quality == ReadingQuality::estimated);
    CHECK(house.proof() == "");
}

TEST_CASE("a dead meter holds nobody up and comes late under its own key") {
    Days house;
    house.settle("e-101", "1000.00");
    house.settle("w-101", "1.000");
    house.settle("e-103", "1000.00");
    house.settle_by("w-101", "2.000", kMidnight24 - 2 * kHour);
    SECTION("known to be offline: the others are posted as soon as they are in") {
        house.fail("w-101");
        house.until(kMidnight24 + kMinute);
        house.settle("e-101", "1010.00");
        CHECK(house.book("a-101") == Rows{"opening 100.00 opening", "charge -5.28 day:2026-11-23"});
    }
    SECTION("silent: five minutes after the edge, and not before") {
        house.until(kMidnight24 + kMinute);
        house.settle("e-101", "1010.00");
        house.until(kMidnight24 + 5 * kMinute - kSecond);
        CHECK(house.book("a-101").size() == 1);
        house.until(kMidnight24 + 5 * kMinute);
        CHECK(house.book("a-101") == Rows{"opening 100.00 opening", "charge -5.28 day:2026-11-23"});
    }
    house.settle_by("e-101", "1010.00", kMidnight24 + 2 * kHour - 2 * kSecond);
    house.until(kMidnight24 + 2 * kHour);
    house.settle("w-101", "4.000");
    // From 22:00 to 02:00 2 m3: 1 of them before midnight, and 1 at 22:00 was there already.
    const Rows book = house.book("a-101");
    REQUIRE(book.size() == 3);
    CHECK(book[2] == "charge -10.00 late:" + std::to_string(house.freezes("w-101").at(0).row.seq));
    CHECK(house.balance("a-101") == "79.72");  // 100 - 5.28 - 3 x 5.00
    CHECK(house.proof() == "");
}

TEST_CASE("three days without the daemon are posted each under its own key, oldest first") {
    Days house;
    house.settle("e-103", "1000.00");
    house.settle_by("e-103", "1010.00", kMidnight24 - 4 * kHour);
    house.pass(31 * kSecond);
    house.crash();
    house.clock.pass(3 * kDay - kMinute);
    house.open();
    house.step();
    CHECK(house.book("a-103").empty());
    house.until(kMidnight24 + 3 * kDay - 4 * kHour);
    house.settle("e-103", "1082.00");
    // 1 kWh an hour: 14, 38 and 62 kWh at the midnights: 7.3962, 20.0754, 32.7546
    CHECK(house.book("a-103") == Rows{"charge -7.40 day:2026-11-23", "charge -12.68 day:2026-11-24",
                                      "charge -12.67 day:2026-11-25"});
    CHECK(house.balance("a-103") == "-43.32");  // 82 x 0.5283 = 43.3206
    CHECK(house.proof() == "");
}

TEST_CASE("all midnights of one gap lie on one line") {
    Days house;
    house.settle("e-103", "1000.00");
    house.until(kMidnight24 - 12 * kHour - kSecond);
    house.settle("e-103", "1000.00");
    house.pass(31 * kSecond);
    house.crash();
    house.clock.pass(6 * kDay - 31 * kSecond - kSecond);
    house.open();
    house.settle("e-103", "1000.44");
    house.pass(31 * kSecond);
    // floor(0.440 x 12, 36, 60, ... hours / 144): each from the sample, and not from the midnight
    // before, where what was cut off would add up.
    std::vector<std::int64_t> totals;
    for (const StoredReading& row : house.freezes("e-103")) totals.push_back(row.row.total.count);
    CHECK(totals == std::vector<std::int64_t>{1'000'036, 1'000'110, 1'000'183, 1'000'256, 1'000'330,
                                              1'000'403});
    CHECK(house.proof() == "");
}

TEST_CASE("a month has lines of its own") {
    Days house(kMorning + 7 * kDay);  // 30 November
    const UtcMs december = kMidnight24 + 7 * kDay;
    house.settle("e-103", "1000.00");
    house.until(december + kMinute);
    house.settle("e-103", "1010.00");
    house.until(december + kDay + kMinute);
    house.settle("e-103", "1020.00");
    // 5.283 in either month, and not 10.566 - 5.28
    CHECK(house.book("a-103") ==
          Rows{"charge -5.28 day:2026-11-30", "charge -5.28 day:2026-12-01"});
    CHECK(house.entries("a-103").at(0).entry.month == "2026-12");
    CHECK(house.entries("a-103").at(0).entry.line->scope == "2026-11");
    CHECK(house.freezes("e-103").at(0).row.kind == ReadingKind::month);
    CHECK(house.proof() == "");
}

TEST_CASE("a restart between the freezes of a month's end and their posting loses no line") {
    Days house(kMorning + 6 * kDay);  // 29 November
    const UtcMs thirtieth = kMidnight24 + 6 * kDay;
    house.settle("e-101", "1000.00");
    house.settle("w-101", "1.000");
    house.until(thirtieth + kMinute);
    house.settle("e-101", "1010.00");
    house.settle("w-101", "1.000");
    house.until(thirtieth + kDay + kMinute);
    house.settle("e-101", "1020.00");
    house.pass(31 * kSecond);
    house.reopen();
    house.pass(10 * kMinute);
    // 10 kWh are 5.28, 20 kWh are 10.57
    CHECK(house.book("a-101") == Rows{"opening 100.00 opening", "charge -5.28 day:2026-11-29",
                                      "charge -5.29 day:2026-11-30"});
    CHECK(house.balance("a-101") == "89.43");
    CHECK(house.proof() == "");
}

TEST_CASE("a late reading of a month that is over adds to that month's line") {
    const bool restarted = GENERATE(false, true);
    Days house(kMorning + 6 * kDay);  // 29 November
    const UtcMs thirtieth = kMidnight24 + 6 * kDay;
    house.settle("e-101", "1000.00");
    house.settle("w-101", "1.000");
    house.until(thirtieth + kMinute);
    house.settle("e-101", "1000.00");
    house.settle("w-101", "2.000");
    house.fail("w-101");
    house.until(thirtieth + kDay + kMinute);
    house.settle("e-101", "1000.00");
    if (restarted) house.reopen();
    house.until(thirtieth + 2 * kDay);
    house.settle("e-101", "1000.00");
    house.settle("w-101", "6.800");
    const Rows book = house.book("a-101");
    REQUIRE(book.size() == 4);
    CHECK(book[1] == "charge -5.00 day:2026-11-29");
    // Of 4.8 m3 between 00:01:03 on the 30th and the end of 1 December 2.399 lie in November:
    // 3.399 x 5.00 = 16.995, of which 5.00 is posted; and 2.401 x 5.00 = 12.005. After a restart it
    // is split from the last stored reading, the freeze of midnight: 2.4 and 2.4.
    CHECK(book[2].rfind("charge -12.00 late:", 0) == 0);
    // After the restart nobody knows the meter for dead, and the day waits for it.
    CHECK(book[3].rfind(restarted ? "charge -12.00 day:2026-12-01" : "charge -12.01 late:", 0) ==
          0);
    CHECK(house.balance("a-101") == (restarted ? "71.00" : "70.99"));
    CHECK(house.proof() == "");
}

TEST_CASE("a year's ladder goes on over months and begins anew with the year") {
    Days house(kMorning + 7 * kDay);  // 30 November
    const UtcMs december = kMidnight24 + 7 * kDay;
    house.settle("e-102", "5000.00");
    house.until(december + kMinute);
    house.settle("e-102", "5001.00");  // the 2880th: 0.4883
    house.until(december + kDay + kMinute);
    house.settle("e-102", "5011.00");  // 10 x 0.5383 = 5.383
    house.reopen();
    house.until(december + 30 * kDay + 16 * kHour);
    house.settle("e-102", "5011.00");
    house.until(december + 31 * kDay + kMinute);
    house.settle("e-102", "5011.00");
    house.until(december + 32 * kDay + kMinute);
    house.settle("e-102", "5012.00");  // the first of 2027: 0.4883
    CHECK(house.book("a-102") == Rows{"opening 200.00 opening", "charge -0.49 day:2026-11-30",
                                      "charge -5.38 day:2026-12-01",
                                      "charge -0.49 day:2027-01-01"});
    CHECK(house.proof() == "");
}

TEST_CASE("before live_from nothing is charged and nobody is alerted") {
    House house;
    house.open();
    FileTexts files = three_homes();
    files["accounts.csv"] =
        "account,unit,service,tariff,opening_balance,live_from\n"
        "a-103,1-103,electricity,flat,60.00,2026-11-24\n";
    REQUIRE(house.import(files).kind == ReplyKind::ok);
    CHECK(house.account("a-103").trial);
    house.settle("e-103", "1000.00");
    CHECK(house.top_up("a-103", "10.00", "k-1").kind == ReplyKind::refused);
    house.pass(8 * kHour);
    house.settle("e-103", "1200.00");
    CHECK(house.balance("a-103") == "0.00");
    CHECK(house.book("a-103").empty());
    house.clock.pass(kMidnight24 + kSecond - house.clock.wall);
    house.step();
    CHECK(house.book("a-103") == Rows{"opening 60.00 opening"});
    CHECK(house.balance("a-103") == "60.00");
    house.settle("e-103", "1200.00");
    house.pass(kHour);
    house.settle("e-103", "1210.00");
    CHECK(house.balance("a-103") == "54.72");
    CHECK(house.events("alert.raised").empty());
    CHECK(house.proof() == "");
}

TEST_CASE(
    "a restart goes on from the first reading, not from the estimate of the midnight before") {
    House house;
    house.open();
    FileTexts files = three_homes();
    files["meters.csv"] =
        "meter,unit,service,bus,address,profile,rated_amps,opening_register,opening_at\n"
        "e-103,1-103,electricity,b1,4,eastron-sdm120,1000,990.00,2026-11-22T20:00:00+08:00\n";
    REQUIRE(house.import(files).kind == ReplyKind::ok);
    house.settle("e-103", "1000.00");
    CHECK(house.meter("e-103").total == Milli{1'000'000});
    // 10 x 0.5283
    CHECK(house.balance("a-103") == "-5.28");
    house.reopen();
    CHECK(house.meter("e-103").total == Milli{1'000'000});
    CHECK(house.balance("a-103") == "-5.28");
    CHECK(house.proof() == "");
}

TEST_CASE("after months without the daemon a turn posts what its slice holds, in all accounts") {
    FileTexts files = three_homes();
    files["tariffs/flat.toml"] +=
        "fixed = [ { name = \"line\", per = \"day\", amount = \"0.10\" } ]\n";
    House house;
    house.open();
    REQUIRE(house.import(files).kind == ReplyKind::ok);
    for (const char* meter : {"e-101", "e-103"}) house.settle(meter, "100.00");
    house.pass(31 * kSecond);
    house.crash();
    house.clock.pass(100 * kDay);
    house.open();
    house.step();
    house.clock.pass(6 * kMinute);
    house.clock.look_costs = 25;  // so that a slice is over after a day
    const auto fees = [&](const char* account) {
        const Rows book = house.book(account);
        return std::count_if(book.begin(), book.end(),
                             [](const std::string& row) { return row.rfind("fee ", 0) == 0; });
    };
    for (int turn = 0; turn < 8; ++turn) house.step();
    CHECK(fees("a-101") + fees("a-103") <= 8);
    CHECK(fees("a-103") >= 2);
    house.clock.look_costs = 0;
    house.pass(kMinute);
    CHECK(fees("a-103") == 100);
    CHECK(house.proof() == "");
}

TEST_CASE("a meter silent for two months and a restart goes on from its last midnight") {
    // The terms change on the first evening, so that where they began is what is left of the meter
    // within the days that are loaded at the start.
    const bool changed = GENERATE(true, false);
    // A run whose clock was never known has read it once before it fell silent.
    const bool undated = GENERATE(false, true);
    INFO("changed " << changed << " undated " << undated);
    FileTexts files = three_homes();
    files["tariffs/even.toml"] = flat_tariff("even", "electricity", "1.00");
    files["meters.csv"] =
        "meter,unit,service,bus,address,profile,rated_amps,role\n"
        "e-101,1-101,electricity,b1,1,eastron-sdm120,1000,\n"
        "e-103,1-103,electricity,b1,4,eastron-sdm120,1000,\n"
        "e-104,1-102,electricity,b1,5,eastron-sdm120,1000,check\n";
    const auto homes = [](const std::string& tariff) {
        return "account,unit,service,tariff\na-101,1-101,electricity,flat\n"
               "a-103,1-103,electricity," +
               tariff + "\n";
    };
    files["accounts.csv"] = homes(changed ? "flat" : "even");
    Days house(files, kMorning);
    const auto both = [&](const std::string& face) {
        house.settle("e-103", face);
        house.settle("e-104", face);
    };
    both("1000.00");
    if (changed) {
        files["accounts.csv"] = homes("even");
        files["meters.csv"].replace(files["meters.csv"].find("e-104,1-102"), 11, "e-104,1-103");
        REQUIRE(house.import_signed(files).kind == ReplyKind::ok);
        both("1000.00");
    }
    const UtcMs noon = kMidnight24 + kDay + 12 * kHour;
    house.until(kMidnight24 + kMinute);
    both("1010.00");
    house.until(kMidnight24 + kDay + kMinute);
    both("1030.00");
    house.until(noon - kSecond);
    both("1036.00");
    house.settle("e-101", "500.00");
    if (undated) {
        house.synchronised = false;
        house.reopen();
        both("1040.00");
        house.pass(kMinute);
        house.synchronised = true;
        house.reopen();
    }
    house.pass(60 * kDay - (house.clock.wall - noon) - 2 * kHour);
    house.settle("e-101", "520.00");
    house.pass(31 * kSecond);
    house.reopen();
    house.until(noon + 60 * kDay - kSecond);
    // 120 kWh in 60 days: 1037 at the midnight of the day on which they fell silent.
    both("1156.00");
    house.pass(31 * kSecond);
    const std::int64_t first = days_since_epoch({2026, 11, 23});
    for (const char* id : {"e-103", "e-104"}) {
        INFO(id << " " << format(house.meter(id).total.value_or(Milli{})));
        StoreReader reader(house.path());
        const auto days = reader.meter_days(id, first, first + 100);
        REQUIRE(days.size() == 62);
        CHECK(days[0].total == Milli{1'010'000});
        CHECK(days[1].total == Milli{1'030'000});
        for (std::size_t i = 2; i < days.size(); ++i) {
            INFO(i);
            CHECK(days[i].total == Milli{1'033'000 + 2'000 * static_cast<std::int64_t>(i)});
        }
        // Each midnight is stored once: a day that is kept is not estimated again.
        CHECK(house.freezes(id).size() == 62);
    }
    // What is used at 1.00 a kWh, and at 0.5283 before the change, where nothing was.
    CHECK(house.balance("a-103") == "-156.00");
    house.reopen();
    house.pass(kMinute);
    CHECK(house.balance("a-103") == "-156.00");
    CHECK(house.proof() == "");
}
