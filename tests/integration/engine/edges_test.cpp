// Registry changes as edges: what was used before one is charged by what held then, what comes
// after by what holds now, to the fen. The amounts are worked out by hand beside each case.
#include <algorithm>

#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

using Rows = std::vector<std::string>;
constexpr UtcMs kMidnight24 = kMorning + 16 * kHour;  // 2026-11-24T00:00:00+08:00

// One change of the registry; flat is 0.5283 a kWh.
FileTexts to_tariff(const std::string& price) {
    const std::string id = "at-" + price;
    return {{"tariffs/" + id + ".toml", flat_tariff(id, "electricity", price)},
            {"accounts.csv", "account,unit,service,tariff\na-103,1-103,electricity," + id + "\n"}};
}
FileTexts to_multiplier(const std::string& multiplier) {
    return {{"meters.csv",
             "meter,unit,service,multiplier\ne-103,1-103,electricity," + multiplier + "\n"}};
}
FileTexts to_account(const std::string& account) {
    return {
        {"meters.csv", "meter,unit,service,account\ne-103,1-103,electricity," + account + "\n"}};
}

struct Edges : House {
    explicit Edges(UtcMs begin = kMorning) {
        clock.wall = begin;
        open();
        REQUIRE(import(three_homes()).kind == ReplyKind::ok);
    }
    void until(UtcMs at) { pass(at - clock.wall); }
    // Two equal samples, the second of them at that instant.
    void settle_by(const std::string& id, const std::string& face, UtcMs at) {
        until(at - kSecond);
        settle(id, face);
    }
    // The same, the first of them at that instant.
    void settle_from(const std::string& id, const std::string& face, UtcMs at) {
        until(at);
        settle(id, face);
    }
    std::string change(const FileTexts& files, UtcMs at) {
        until(at);
        const Reply reply = import(files);
        REQUIRE(reply.detail == "");
        return "registry:" + std::to_string(events("registry.imported").back().seq);
    }
    std::vector<StoredReading> switches(const std::string& id) const {
        std::vector<StoredReading> all;
        for (StoredReading& row : readings(id))
            if (row.row.kind == ReadingKind::switch_) all.push_back(std::move(row));
        return all;
    }
};

// e-103 shows 1000.00 at eight, 1010.00 at nine; the change is at ten, and then the sample comes.
struct Case {
    const char* name;
    FileTexts change;
    std::int64_t sample_after_ms;  // the change
    const char* face;
    const char* charged_a103;  // under registry:<seq>
    const char* balance_a103;
    const char* balance_a101;  // began with 100.00
    std::int64_t total_at_edge, total;
    ReadingQuality quality;
};

std::vector<Case> cases() {
    return {
        // 10.5 x 0.5283 = 5.54715
        {"a price, and a sample within five minutes stands on the edge", to_tariff("1.00"),
         4 * kMinute, "1010.50", "-5.55", "-5.55", "100.00", 1'010'500, 1'010'500,
         ReadingQuality::good},
        // Half of 4 kWh: 12 x 0.5283 = 6.3396; 2 x 1.00
        {"a price, interpolated", to_tariff("1.00"), kHour, "1014.00", "-6.34", "-8.34", "100.00",
         1'012'000, 1'014'000, ReadingQuality::estimated},
        // 1/6 of 0.01 kWh is floored to 0.001: 10.001 x 0.5283 = 5.2835283; 0.009 x 1.00
        {"the total at the edge is floored", to_tariff("1.00"), 5 * kHour, "1010.01", "-5.28",
         "-5.29", "100.00", 1'010'001, 1'010'010, ReadingQuality::estimated},
        // 12 x 0.5283 = 6.3396; 2 x 10 = 20 more on the same line: 32 x 0.5283 = 16.9056
        {"a multiplier, interpolated", to_multiplier("10"), kHour, "1014.00", "-6.34", "-16.91",
         "100.00", 1'012'000, 1'032'000, ReadingQuality::estimated},
        // 11 x 0.5283 = 5.8113; nothing since
        {"a multiplier, and the sample stands on the edge", to_multiplier("10"), kMinute, "1011.00",
         "-5.81", "-5.81", "100.00", 1'011'000, 1'011'000, ReadingQuality::good},
        // 6.3396; the other household pays 2 x 0.5283 = 1.0566
        {"an account", to_account("a-101"), kHour, "1014.00", "-6.34", "-6.34", "98.94", 1'012'000,
         1'014'000, ReadingQuality::estimated},
    };
}

}  // namespace

TEST_CASE("before a registry change the old terms count, after it the new ones") {
    const auto table = cases();
    const Case& one = table[GENERATE(range<std::size_t>(0, 6))];
    const bool killed = GENERATE(false, true);
    INFO(one.name << (killed ? ", killed between" : ""));
    Edges house;
    house.settle("e-103", "1000.00");
    house.settle_by("e-103", "1010.00", kMorning + kHour);
    const UtcMs edge = kMorning + 2 * kHour;
    const std::string cause = house.change(one.change, edge);
    // Nothing is known of the edge yet, and nothing is booked.
    CHECK(house.book("a-103").empty());
    CHECK(house.balance("a-103") == "-5.28");
    CHECK(house.balance("a-101") == "100.00");
    CHECK(house.asked.soon["e-103"] >= 1);
    if (killed) house.reopen();
    CHECK(house.balance("a-103") == "-5.28");
    house.settle_from("e-103", one.face, edge + one.sample_after_ms);
    house.step();
    CHECK(house.book("a-103") == Rows{std::string("charge ") + one.charged_a103 + " " + cause});
    CHECK(house.balance("a-103") == one.balance_a103);
    CHECK(house.balance("a-101") == one.balance_a101);
    CHECK(house.meter("e-103").total == Milli{one.total});
    const auto rows = house.switches("e-103");
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].row.total == Milli{one.total_at_edge});
    CHECK(rows[0].row.quality == one.quality);
    CHECK(rows[0].at.at == edge);
    CHECK(rows[0].row.account == "a-103");
    house.pass(31 * kSecond);
    house.reopen();
    CHECK(house.balance("a-103") == one.balance_a103);
    CHECK(house.balance("a-101") == one.balance_a101);
    CHECK(house.meter("e-103").total == Milli{one.total});
    CHECK(house.book("a-103").size() == 1);
    CHECK(house.proof() == "");
}

TEST_CASE("several changes while the meter is offline are passed in their order") {
    const bool killed = GENERATE(false, true);
    Edges house;
    house.settle("e-103", "1000.00");
    house.settle_by("e-103", "1010.00", kMorning + kHour);
    house.fail("e-103");
    const std::string first = house.change(to_tariff("1.00"), kMorning + 2 * kHour);
    const std::string second = house.change(to_tariff("2.00"), kMorning + 3 * kHour);
    if (killed) house.reopen();
    const std::string third = house.change(to_multiplier("10"), kMorning + 4 * kHour);
    CHECK(house.balance("a-103") == "-5.28");
    house.settle_from("e-103", "1018.00", kMorning + 5 * kHour);
    // Two kWh an hour. 12 x 0.5283 = 6.3396; 2 x 1.00; 2 x 2.00, and 2 x 10 x 2.00 = 40.00 open.
    CHECK(house.book("a-103") ==
          Rows{"charge -6.34 " + first, "charge -2.00 " + second, "charge -4.00 " + third});
    CHECK(house.balance("a-103") == "-52.34");
    CHECK(house.meter("e-103").total == Milli{1'036'000});
    house.pass(31 * kSecond);
    house.reopen();
    CHECK(house.balance("a-103") == "-52.34");
    house.settle_from("e-103", "1019.00", kMorning + 6 * kHour);
    CHECK(house.balance("a-103") == "-72.34");  // 10 kWh x 2.00 more
    CHECK(house.proof() == "");
}

TEST_CASE("a change back and forth charges each household for its own time") {
    Edges house;
    house.settle("e-103", "1000.00");
    house.settle_by("e-103", "1010.00", kMorning + kHour);
    house.change(to_account("a-101"), kMorning + 2 * kHour);
    house.settle_from("e-103", "1014.00", kMorning + 3 * kHour);
    house.until(kMorning + 4 * kHour);
    house.settle_by("e-103", "1016.00", kMorning + 4 * kHour + kSecond);
    house.change(to_account("a-103"), kMorning + 4 * kHour + kSecond);
    house.settle_from("e-103", "1026.00", kMorning + 5 * kHour);
    // a-103: 12 before and 10 after: 22 x 0.5283 = 11.6226; a-101: 4 x 0.5283 = 2.1132
    CHECK(house.balance("a-103") == "-11.62");
    CHECK(house.balance("a-101") == "97.89");
    CHECK(house.proof() == "");
}

TEST_CASE("a change before any reading") {
    SECTION("without an opening register the first reading is where counting begins") {
        Edges house;
        house.change(to_tariff("1.00"), kMorning + kHour);
        house.settle_from("e-103", "1000.00", kMorning + 2 * kHour);
        house.settle_from("e-103", "1010.00", kMorning + 3 * kHour);
        CHECK(house.balance("a-103") == "-10.00");
        CHECK(house.switches("e-103").empty());
        CHECK(house.proof() == "");
    }
    SECTION("a dated opening register is split like any other stretch") {
        const bool killed = GENERATE(false, true);
        Edges house;
        FileTexts opening{{"meters.csv",
                           "meter,unit,service,opening_register,opening_at\n"
                           "e-103,1-103,electricity,1000.00,2026-11-23T08:00:00+08:00\n"}};
        house.change(opening, kMorning);
        const std::string cause = house.change(to_tariff("1.00"), kMorning + 2 * kHour);
        if (killed) house.reopen();
        house.settle_from("e-103", "1008.00", kMorning + 4 * kHour);
        // 4 x 0.5283 = 2.1132; 4 x 1.00
        CHECK(house.book("a-103") == Rows{"charge -2.11 " + cause});
        CHECK(house.balance("a-103") == "-6.11");
        CHECK(house.proof() == "");
    }
}

TEST_CASE("a change and midnight are passed in the order of time") {
    const bool killed = GENERATE(false, true);
    SECTION("the change an hour before") {
        Edges house;
        house.settle("e-103", "1000.00");
        house.settle_by("e-103", "1010.00", kMidnight24 - 2 * kHour);
        const std::string cause = house.change(to_tariff("1.00"), kMidnight24 - kHour);
        house.until(kMidnight24 + 10 * kMinute);
        if (killed) house.reopen();
        house.settle_from("e-103", "1018.00", kMidnight24 + 2 * kHour);
        // At 23:00 12: 6.3396; at midnight 14: 2 x 1.00; at two 18: 4 x 1.00 open
        const Rows book = house.book("a-103");
        REQUIRE(book.size() == 2);
        CHECK(book[0] == "charge -6.34 " + cause);
        CHECK(book[1].rfind("charge -2.00 late:", 0) == 0);
        CHECK(house.balance("a-103") == "-12.34");
        CHECK(house.proof() == "");
    }
    SECTION("the change an hour after, in another month") {
        Edges house(kMorning + 7 * kDay);  // 30 November
        const UtcMs december = kMidnight24 + 7 * kDay;
        house.settle("e-103", "1000.00");
        house.settle_by("e-103", "1010.00", december - 2 * kHour);
        house.until(december + 10 * kMinute);
        const std::string cause = house.change(to_tariff("1.00"), december + kHour);
        if (killed) house.reopen();
        house.settle_from("e-103", "1018.00", december + 2 * kHour);
        // November 14 x 0.5283 = 7.3962; December 2 x 0.5283 = 1.0566, and 2 x 1.00 open
        const Rows book = house.book("a-103");
        REQUIRE(book.size() == 2);
        CHECK(book[0].rfind("charge -7.40 late:", 0) == 0);
        CHECK(book[1] == "charge -1.06 " + cause);
        CHECK(house.balance("a-103") == "-10.46");
        CHECK(house.proof() == "");
    }
}

TEST_CASE("two meters on one line pass the change at different times") {
    Edges house;
    house.change({{"meters.csv",
                   "meter,unit,service,bus,address,profile,rated_amps\n"
                   "e-104,1-103,electricity,b1,5,eastron-sdm120,1000\n"}},
                 kMorning);
    house.settle("e-103", "1000.00");
    house.settle("e-104", "500.00");
    house.settle_by("e-104", "510.00", kMorning + kHour - kSecond);
    house.settle_by("e-103", "1010.00", kMorning + kHour);
    const std::string cause = house.change(to_tariff("1.00"), kMorning + 2 * kHour);
    house.settle_from("e-103", "1010.00", kMorning + 2 * kHour + kMinute);
    house.settle_from("e-104", "510.00", kMorning + 2 * kHour + 2 * kMinute);
    house.settle_from("e-104", "511.00", kMorning + 3 * kHour);
    // 10 x 0.5283 = 5.283, 20 x 0.5283 = 10.566; 1 x 1.00 open
    const Rows book = house.book("a-103");
    REQUIRE(book.size() == 2);
    CHECK(book[0] == "charge -5.28 " + cause);
    CHECK(book[1].rfind("charge -5.29 late:", 0) == 0);
    CHECK(house.balance("a-103") == "-11.57");
    CHECK(house.proof() == "");
}

TEST_CASE("a meter that leaves service ends at its last reading") {
    Edges house;
    house.settle("e-103", "1000.00");
    house.settle_by("e-103", "1010.00", kMorning + kHour);
    const std::string cause = house.change(
        {{"meters.csv", "meter,unit,service,status\ne-103,1-103,electricity,retired\n"}},
        kMorning + 2 * kHour);
    CHECK(house.book("a-103") == Rows{"charge -5.28 " + cause});
    const auto rows = house.switches("e-103");
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].row.total == Milli{1'010'000});
    CHECK(rows[0].row.quality == ReadingQuality::estimated);
    house.reopen();
    CHECK(house.balance("a-103") == "-5.28");
    CHECK(house.proof() == "");
}

TEST_CASE("a unit and the persons in it are edges too; what leaves all as it was is none") {
    Edges house;
    house.settle("e-103", "1000.00");
    house.settle_by("e-103", "1010.00", kMorning + kHour);
    house.change({{"units.csv", "unit,label\n1-103,one more word\n"}}, kMorning + 2 * kHour);
    house.settle_from("e-103", "1011.00", kMorning + 3 * kHour);
    CHECK(house.book("a-103").empty());
    const std::string persons =
        house.change({{"units.csv", "unit,persons\n1-103,4\n"}}, kMorning + 4 * kHour);
    house.settle_from("e-103", "1013.00", kMorning + 4 * kHour + kMinute);
    // 13 x 0.5283 = 6.8679
    CHECK(house.book("a-103") == Rows{"charge -6.87 " + persons});
    house.change({{"meters.csv", "meter,unit,service,account\ne-103,1-102,electricity,a-103\n"}},
                 kMorning + 5 * kHour);
    house.settle_from("e-103", "1014.00", kMorning + 5 * kHour + kMinute);
    const auto rows = house.switches("e-103");
    REQUIRE(rows.size() == 2);
    CHECK(rows[1].unit == "1-103");
    house.settle_from("e-103", "1015.00", kMorning + 6 * kHour);
    CHECK(house.readings("e-103").back().unit == "1-102");
    CHECK(house.proof() == "");
}

TEST_CASE("a new version of a tariff begins at its midnight, whenever the sample comes") {
    Edges house;
    FileTexts versions;
    versions["tariffs/flat.toml"] =
        flat_tariff("flat", "electricity", "0.5283") +
        "[[tariff.version]]\nvalid_from = \"2026-11-24\"\nladder = \"none\"\n"
        "tiers = [ { price = \"1.00\" } ]\n";
    house.settle("e-103", "1000.00");
    house.change(versions, kMorning + kHour);
    CHECK(house.switches("e-103").empty());
    house.settle_by("e-103", "1010.00", kMidnight24 - 2 * kHour);
    house.until(kMidnight24 + 10 * kMinute);
    house.settle_from("e-103", "1018.00", kMidnight24 + 2 * kHour);
    // By midnight 14 x 0.5283 = 7.3962; 4 x 1.00
    const Rows book = house.book("a-103");
    REQUIRE(book.size() == 1);
    CHECK(book[0].rfind("charge -7.40 late:", 0) == 0);
    CHECK(house.balance("a-103") == "-11.40");
    CHECK(house.proof() == "");
}
