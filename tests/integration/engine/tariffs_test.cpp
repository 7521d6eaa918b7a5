// Tariffs at work: bands over days, fees and minimums over a month's end, whole steps, persons,
// several meters and services on one account. Amounts are worked out by hand beside each case.
#include <algorithm>

#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

using Rows = std::vector<std::string>;
constexpr UtcMs kMidnight24 = kMorning + 16 * kHour;  // Tuesday 2026-11-24T00:00:00+08:00

std::string tariff_text(const std::string& id, const std::string& service,
                        const std::string& version) {
    return "[[tariff]]\nid = \"" + id + "\"\nservice = \"" + service +
           "\"\nsource = \"a test\"\n[[tariff.version]]\nvalid_from = \"2026-01-01\"\n" + version;
}

// Zhejiang's prices: the band's, and an adder from 2760 kWh of the year on.
std::string banded(const std::string& days = "") {
    return tariff_text("banded", "electricity",
                       "ladder = \"year\"\nbands = [\n"
                       "{ name = \"peak\", from = \"08:00\", to = \"22:00\", price = \"0.568\"" +
                           days +
                           " },\n"
                           "{ name = \"valley\", from = \"22:00\", to = \"08:00\", price = "
                           "\"0.288\"" +
                           days + " },\n" +
                           (days.empty() ? ""
                                         : "{ name = \"rest\", from = \"00:00\", to = \"24:00\", "
                                           "price = \"0.20\", days = \"weekend\" },\n"
                                           "{ name = \"feast\", from = \"00:00\", to = \"24:00\", "
                                           "price = \"0.10\", days = \"holiday\" },\n") +
                           "]\ntiers = [ { up_to = \"2760\", adder = \"0.00\" }, "
                           "{ up_to = \"4800\", adder = \"0.05\" }, { adder = \"0.30\" } ]\n");
}

FileTexts with_tariff(const std::string& text, const std::string& account_row,
                      const std::string& meters = "") {
    FileTexts files = three_homes();
    files["tariffs/mine.toml"] = text;
    files["accounts.csv"] =
        "account,unit,service,tariff,opening_balance,opening_ladder\n" + account_row + "\n";
    if (!meters.empty()) files["meters.csv"] = meters;
    return files;
}

struct Tariffs : House {
    explicit Tariffs(const FileTexts& files, UtcMs begin = kMorning) {
        clock.wall = begin;
        open();
        const Reply reply = import(files);
        INFO(reply.detail << (reply.errors.empty() ? "" : reply.errors[0].message));
        REQUIRE(reply.kind == ReplyKind::ok);
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
    // kill -9 after everything was committed, and a new process.
    void restart() {
        pass(31 * kSecond);
        reopen();
    }
    // "2026-11-24T08:00 1015.000 good", one a freeze within a day.
    Rows switches(const std::string& id) const {
        Rows rows;
        for (const StoredReading& row : readings(id))
            if (row.row.kind == ReadingKind::switch_)
                rows.push_back(std::to_string((row.at.at - kMorning) / kMinute) + " " +
                               format(row.row.total) + " " + to_string(row.row.quality));
        return rows;
    }
    // "peak 24.000 x 0.568 = 13.63", one a line.
    Rows lines(const std::string& id, const std::string& month) const {
        StoreReader reader(path());
        Rows rows;
        for (const WhyLine& line : reader.why(id, month).lines)
            rows.push_back((line.key.band.empty() ? std::to_string(line.key.tier) : line.key.band) +
                           " " + format(line.line.quantity) + " x " + format(line.line.price) +
                           " = " + format(line.line.posted));
        return rows;
    }
};

}  // namespace

TEST_CASE("a day in bands: freezes at their edges, one line a band, one a tier") {
    Tariffs house(with_tariff(banded(), "a-103,1-103,electricity,banded,,2750"));
    house.settle("e-103", "1000.00");
    house.until(kMidnight24 - 2 * kHour);
    CHECK(house.asked.soon["e-103"] >= 1);  // asked for at the edge, not at the next poll
    house.settle_from("e-103", "1010.00", kMidnight24 - 2 * kHour + kMinute);
    // 10 x 0.568 before any midnight, and on the same line afterwards.
    CHECK(house.balance("a-103") == "-5.68");
    CHECK(house.book("a-103").empty());
    house.restart();
    house.settle_from("e-103", "1013.00", kMidnight24 + kMinute);
    CHECK(house.book("a-103") == Rows{"charge -0.15 day:2026-11-23",    // 3 x 0.05
                                      "charge -5.68 day:2026-11-23",    // 10 x 0.568
                                      "charge -0.86 day:2026-11-23"});  // 3 x 0.288 = 0.864
    house.settle_from("e-103", "1015.00", kMidnight24 + 8 * kHour + 2 * kMinute);
    house.restart();
    CHECK(house.balance("a-103") == "-7.37");  // 10 and 5: 5.68 + 1.44 + 5 x 0.05
    // Silent over the edge at 22:00: 1 of 2 kWh in two hours lies before it.
    house.settle_by("e-103", "1028.00", kMidnight24 + 21 * kHour);
    house.settle_by("e-103", "1030.00", kMidnight24 + 23 * kHour);
    house.settle_from("e-103", "1031.00", kMidnight24 + kDay + kMinute);
    // Peak 10 + 14 = 24: 13.632. Valley 3 + 2 + 2 = 7: 2.016. Above the limit 31 - 10 = 21: 1.05.
    CHECK(house.lines("a-103", "2026-11") ==
          Rows{"1 10.000 x 0.00 = 0.00", "2 21.000 x 0.05 = 1.05", "peak 24.000 x 0.568 = 13.63",
               "valley 7.000 x 0.288 = 2.02"});
    CHECK(house.switches("e-103") ==
          Rows{"840 1010.000 good", "1440 1015.000 good", "2280 1029.000 estimated"});
    CHECK(house.balance("a-103") == "-16.70");
    CHECK(house.ledger("a-103") == "-16.70");
    CHECK(house.proof() == "");
}

TEST_CASE("kill -9 between a freeze at a band's edge and its posting loses and doubles nothing") {
    Tariffs house(with_tariff(banded(), "a-103,1-103,electricity,banded,,"));
    house.settle("e-103", "1000.00");
    house.settle_from("e-103", "1010.00", kMidnight24 - 2 * kHour + kMinute);
    for (int i = 0; i < 3; ++i) {
        house.reopen();
        CHECK(house.balance("a-103") == "-5.68");
        house.pass(5 * kMinute);
        house.settle("e-103", "1010.00");
        CHECK(house.balance("a-103") == "-5.68");
    }
    CHECK(house.switches("e-103").size() == 1);
    house.settle_from("e-103", "1011.00", kMidnight24 + kMinute);
    CHECK(house.book("a-103") ==
          Rows{"charge -5.68 day:2026-11-23", "charge -0.29 day:2026-11-23"});
    CHECK(house.proof() == "");
}

TEST_CASE("a meter that was off for days has each day's bands, estimated, and the sum is exact") {
    Tariffs house(with_tariff(banded(), "a-103,1-103,electricity,banded,,"));
    house.settle("e-103", "1000.00");
    house.settle_by("e-103", "1000.00", kMorning + 2 * kHour);  // 10:00
    house.fail("e-103");
    // 48 hours later 48 kWh: one an hour.
    house.settle_by("e-103", "1048.00", kMorning + 50 * kHour);
    // Peak 12 + 14 + 2 = 28, valley 10 + 10 = 20.
    house.until(kMorning + 51 * kHour);
    CHECK(house.switches("e-103") == Rows{"840 1012.000 estimated", "1440 1022.000 estimated",
                                          "2280 1036.000 estimated", "2880 1046.000 estimated"});
    CHECK(house.balance("a-103") == "-21.66");  // 15.904 and 5.76
    house.settle_from("e-103", "1048.00", kMorning + 64 * kHour + kMinute);
    CHECK(house.lines("a-103", "2026-11") == Rows{"1 48.000 x 0.00 = 0.00",
                                                  "peak 28.000 x 0.568 = 15.90",
                                                  "valley 20.000 x 0.288 = 5.76"});
    CHECK(house.proof() == "");
}

TEST_CASE("the calendar says which prices a day has, and its past cannot be changed") {
    FileTexts files =
        with_tariff(banded(", days = \"workday\""), "a-103,1-103,electricity,banded,,");
    files["calendar.csv"] =
        "date,kind\n2026-11-24,holiday\n2026-11-28,workday\n2027-01-01,holiday\n";
    Tariffs house(files);
    house.settle("e-103", "1000.00");
    const auto day_end = [](int day) { return kMidnight24 + (day - 23) * kDay; };
    house.settle_from("e-103", "1010.00", day_end(23) - 2 * kHour);  // peak
    house.settle_from("e-103", "1013.00", day_end(23));              // valley
    house.settle_from("e-103", "1033.00", day_end(24));              // a Tuesday that is a feast
    CHECK(house.lines("a-103", "2026-11") ==
          Rows{"1 33.000 x 0.00 = 0.00", "feast 20.000 x 0.10 = 2.00", "peak 10.000 x 0.568 = 5.68",
               "valley 3.000 x 0.288 = 0.86"});
    // To Saturday, which is worked: 8 hours of valley on it. Then Sunday.
    for (int day = 25; day <= 27; ++day) house.settle_from("e-103", "1033.00", day_end(day));
    house.settle_from("e-103", "1037.00", day_end(27) + 8 * kHour);
    house.settle_from("e-103", "1038.00", day_end(27) + 22 * kHour);
    house.settle_from("e-103", "1038.00", day_end(28));
    house.settle_from("e-103", "1043.00", day_end(29));
    CHECK(house.lines("a-103", "2026-11") ==
          Rows{"1 43.000 x 0.00 = 0.00", "feast 20.000 x 0.10 = 2.00", "peak 11.000 x 0.568 = 6.25",
               "rest 5.000 x 0.20 = 1.00", "valley 7.000 x 0.288 = 2.02"});
    const Reply refused = house.import({{"calendar.csv", "date,kind\n2026-11-26,holiday\n"}});
    CHECK(refused.kind == ReplyKind::invalid);
    REQUIRE(refused.errors.size() == 1);
    CHECK(refused.errors[0].message.find("calendar.csv:2:12: 2026-11-26 has begun") == 0);
    CHECK(house.import({{"calendar.csv", "date,kind\n2026-12-26,workday\n2026-11-24,holiday\n"}})
              .kind == ReplyKind::ok);
    CHECK(house.proof() == "");
}

TEST_CASE("from the first of December on next year's calendar is asked for, once a day") {
    FileTexts files = three_homes();
    files["calendar.csv"] = "date,kind\n2026-10-01,holiday\n";
    Tariffs house(files, kMorning + 7 * kDay);  // 30 November
    const auto told = [&] {
        return std::count_if(house.said.begin(), house.said.end(), [](const std::string& line) {
            return line.find("calendar.csv: there is no day of 2027") == 0;
        });
    };
    house.pass(kMinute);
    CHECK(told() == 0);
    CHECK(house.engine().snapshot()->calendar_warning.empty());
    house.until(kMidnight24 + 7 * kDay + kMinute);
    house.pass(kMinute);
    CHECK(told() == 1);
    CHECK_FALSE(house.engine().snapshot()->calendar_warning.empty());
    CHECK(house.import(files, true).json.find("calendar.csv: there is no day of 2027") !=
          std::string::npos);
    house.pass(kDay);
    house.pass(kMinute);
    CHECK(told() == 2);
    files["calendar.csv"] += "2027-01-01,holiday\n";
    const Reply mended = house.import(files);
    CHECK(mended.json.find("there is no day") == std::string::npos);
    house.pass(kDay);
    house.pass(kMinute);
    CHECK(told() == 2);
    CHECK(house.engine().snapshot()->calendar_warning.empty());
}

TEST_CASE("fees and a minimum over a month's end, and what comes late takes from the minimum") {
    const std::string text =
        tariff_text("mine", "electricity",
                    "ladder = \"none\"\ntiers = [ { price = \"1.00\" } ]\nminimum = \"30.00\"\n"
                    "fixed = [ { name = \"service\", per = \"month\", amount = \"2.00\" },\n"
                    "          { name = \"line\", per = \"day\", amount = \"0.10\" } ]\n");
    const UtcMs december = kMidnight24 + 7 * kDay;
    Tariffs house(with_tariff(text, "a-103,1-103,electricity,mine,,",
                              "meter,unit,service,bus,address,profile,rated_amps\n"
                              "e-103,1-103,electricity,b1,4,eastron-sdm120,1000\n"
                              "e-104,1-103,electricity,b1,5,eastron-sdm120,1000\n"),
                  kMorning + 7 * kDay);
    house.settle("e-103", "1000.00");
    house.settle("e-104", "500.00");
    house.settle_from("e-103", "1000.50", december);
    house.settle_from("e-104", "500.00", december + kMinute);
    // Opened in November: its fees are due, its minimum is not.
    CHECK(house.book("a-103") == Rows{"charge -0.50 day:2026-11-30",
                                      "fee -2.00 fee:mine/service/2026-11",
                                      "fee -0.10 fee:mine/line/2026-11-30"});
    // December: 0.5 kWh a day of the one, 0.2 of the other up to the 29th, which then falls silent.
    for (int day = 1; day <= 31; ++day) {
        const UtcMs end = december + day * kDay;
        const auto face = [&](std::int64_t begin, std::int64_t step) {
            return format_decimal(begin + step * day, 2);
        };
        if (day <= 29) house.settle_by("e-104", face(500'00, 20), end);
        if (day == 29) house.fail("e-104");
        house.settle_from("e-103", face(1000'50, 50), end + kMinute);
        if (day == 15) house.restart();
    }
    house.until(december + 31 * kDay + 6 * kMinute);
    Rows book = house.book("a-103");
    // 15.50 + 29 x 0.20 = 21.30 of 30.00.
    REQUIRE(book.size() > 3);
    CHECK(Rows(book.end() - 3, book.end()) == Rows{"charge -0.50 day:2026-12-31",
                                                   "charge -8.70 day:2026-12-31",
                                                   "fee -0.10 fee:mine/line/2026-12-31"});
    const auto monthly = [&] {
        return std::count_if(book.begin(), book.end(), [](const std::string& row) {
            return row.find("fee:mine/service/") != std::string::npos;
        });
    };
    CHECK(monthly() == 2);
    CHECK(std::count(book.begin(), book.end(), "fee -2.00 fee:mine/service/2026-12") == 1);
    // 58 hours later 5.8 kWh: 2.4 of them on each of two days of December, 1.0 in January.
    house.settle_by("e-104", "511.60", december + 31 * kDay + 10 * kHour);
    book = house.book("a-103");
    REQUIRE(book.size() > 4);
    const Rows late(book.end() - 4, book.end());
    CHECK(late[0].rfind("charge -2.40 late:", 0) == 0);
    CHECK(late[1].rfind("correction 2.40 late:", 0) == 0);
    CHECK(late[2].rfind("charge -2.40 late:", 0) == 0);
    CHECK(late[3].rfind("correction 2.40 late:", 0) == 0);
    CHECK(house.lines("a-103", "2026-12") ==
          Rows{"1 26.100 x 1.00 = 26.10", "minimum 3.900 x 1.00 = 3.90"});
    // November 0.50 + 2.10, December 30.00 + 2.00 + 3.10, and one of January not posted.
    CHECK(house.ledger("a-103") == "-37.70");
    CHECK(house.balance("a-103") == "-38.70");
    CHECK(house.proof() == "");
    // The fee of January comes with its first day, and once.
    house.until(december + 32 * kDay + 6 * kMinute);
    house.reopen();
    house.pass(kMinute);
    book = house.book("a-103");
    CHECK(monthly() == 3);
    CHECK(book.back() == "fee -0.10 fee:mine/line/2027-01-01");
    CHECK(house.proof() == "");
}

TEST_CASE("water by whole tons: the rest is carried over days, a restart and the month's end") {
    const std::string text =
        tariff_text("tons", "water",
                    "ladder = \"none\"\ntiers = [ { price = \"5.00\" } ]\nquantity_step = \"1\"\n");
    const UtcMs december = kMidnight24 + 7 * kDay;
    Tariffs house(with_tariff(text, "a-101,1-101,water,tons,,"), december - 40 * kHour);  // 29th
    house.settle("w-101", "1.000");
    house.settle_from("w-101", "1.700", december - kDay);
    CHECK(house.balance("a-101") == "0.00");
    CHECK(house.book("a-101").empty());
    house.restart();
    house.settle_from("w-101", "2.650", december - 12 * kHour);
    CHECK(house.balance("a-101") == "-5.00");  // 0.7 + 0.95 = 1.65
    house.settle_from("w-101", "2.990", december);
    CHECK(house.book("a-101") == Rows{"charge -5.00 day:2026-11-30"});
    house.restart();
    // 1.99 so far: 0.02 more makes the second ton, and it is December's.
    house.settle_from("w-101", "3.010", december + kDay);
    CHECK(house.lines("a-101", "2026-11") == Rows{"1 1.000 x 5.00 = 5.00"});
    CHECK(house.lines("a-101", "2026-12") == Rows{"1 1.000 x 5.00 = 5.00"});
    CHECK(house.balance("a-101") == "-10.00");
    CHECK(house.proof() == "");
}

namespace {

std::string by_persons() {
    return tariff_text("persons", "electricity",
                       "ladder = \"month\"\ntiers = [ { up_to = \"100\", price = \"0.50\" }, "
                       "{ price = \"1.00\" } ]\nper_person = { from = 5, up_to_plus = \"50\" }\n");
}
FileTexts persons(int count) {
    return {{"units.csv", "unit,persons\n1-103," + std::to_string(count) + "\n"}};
}

}  // namespace

TEST_CASE("another number of persons raises the limits from the import on") {
    Tariffs house(with_tariff(by_persons(), "a-103,1-103,electricity,persons,,"));
    REQUIRE(house.import(persons(4)).kind == ReplyKind::ok);
    house.settle("e-103", "1000.00");
    house.settle_by("e-103", "1120.00", kMorning + 4 * kHour);
    CHECK(house.balance("a-103") == "-70.00");  // 100 x 0.50 + 20 x 1.00
    const Reply reply = house.import(persons(6));
    REQUIRE(reply.kind == ReplyKind::ok);
    CHECK(field(reply.json, "edges") == "[\"e-103\"]");
    // Two more than four: 100 + 2 x 50 from here on, so 80 more in the first tier.
    house.settle("e-103", "1120.00");
    house.settle_from("e-103", "1220.00", kMidnight24 + kMinute);
    const std::string cause =
        "registry:" + std::to_string(house.events("registry.imported").back().seq);
    CHECK(house.book("a-103") == Rows{"charge -50.00 " + cause, "charge -20.00 " + cause,
                                      "charge -40.00 day:2026-11-23",
                                      "charge -20.00 day:2026-11-23"});
    CHECK(house.proof() == "");
}

TEST_CASE("the old number holds until the import, however late the next sample and whatever dies") {
    Tariffs house(with_tariff(by_persons(), "a-103,1-103,electricity,persons,,"));
    REQUIRE(house.import(persons(4)).kind == ReplyKind::ok);
    house.settle("e-103", "1000.00");
    house.settle_by("e-103", "1090.00", kMorning + kHour);
    house.until(kMorning + 2 * kHour);
    REQUIRE(house.import(persons(6)).kind == ReplyKind::ok);
    house.restart();
    // Two hours after 09:00 40 kWh more: 20 of them before 10:00, 10 of those above the limit.
    house.settle_by("e-103", "1130.00", kMorning + 3 * kHour);
    const std::string cause =
        "registry:" + std::to_string(house.events("registry.imported").back().seq);
    CHECK(house.book("a-103") == Rows{"charge -50.00 " + cause, "charge -10.00 " + cause});
    // 110 counted, limit 200: the other 20 are cheap.
    CHECK(house.balance("a-103") == "-70.00");
    CHECK(house.proof() == "");
}

TEST_CASE("one shop, two meters, two tariffs: each meter by its own, one balance") {
    FileTexts files = with_tariff(banded(), "a-103,1-103,electricity,flat,100.00,",
                                  "meter,unit,service,bus,address,profile,rated_amps,tariff\n"
                                  "e-103,1-103,electricity,b1,4,eastron-sdm120,1000,\n"
                                  "e-104,1-103,electricity,b1,5,eastron-sdm120,1000,banded\n");
    Tariffs house(files);
    house.settle("e-103", "1000.00");
    house.settle("e-104", "500.00");
    house.settle_from("e-104", "510.00", kMidnight24 - 2 * kHour + kMinute);
    house.settle_from("e-103", "1010.00", kMidnight24 + kMinute);
    house.settle_from("e-104", "511.00", kMidnight24 + 2 * kMinute);
    // 10 x 0.5283 = 5.283; 10 x 0.568 = 5.68; 1 x 0.288.
    CHECK(house.book("a-103") == Rows{"opening 100.00 opening", "charge -5.68 day:2026-11-23",
                                      "charge -0.29 day:2026-11-23",
                                      "charge -5.28 day:2026-11-23"});
    CHECK(house.switches("e-103").empty());
    CHECK(house.switches("e-104").size() == 1);
    CHECK(house.balance("a-103") == "88.75");
    CHECK(house.proof() == "");
}

TEST_CASE("two meters on one tariff share its ladder, its fee and its rest") {
    const std::string text =
        tariff_text("mine", "electricity",
                    "ladder = \"month\"\ntiers = [ { up_to = \"10\", price = \"0.50\" }, "
                    "{ price = \"1.00\" } ]\nquantity_step = \"1\"\n"
                    "fixed = [ { name = \"service\", per = \"month\", amount = \"2.00\" } ]\n");
    Tariffs house(with_tariff(text, "a-103,1-103,electricity,mine,,",
                              "meter,unit,service,bus,address,profile,rated_amps\n"
                              "e-103,1-103,electricity,b1,4,eastron-sdm120,1000\n"
                              "e-104,1-103,electricity,b1,5,eastron-sdm120,1000\n"));
    house.settle("e-103", "1000.00");
    house.settle("e-104", "500.00");
    house.settle_from("e-103", "1007.60", kMidnight24 + kMinute);
    house.settle_from("e-104", "506.50", kMidnight24 + 2 * kMinute);
    // 14.1 in all: 14 whole ones, 10 x 0.50 and 4 x 1.00.
    CHECK(house.lines("a-103", "2026-11") ==
          Rows{"1 10.000 x 0.50 = 5.00", "2 4.000 x 1.00 = 4.00"});
    CHECK(house.book("a-103").back() == "fee -2.00 fee:mine/service/2026-11");
    CHECK(house.balance("a-103") == "-11.00");
    CHECK(house.proof() == "");
}

TEST_CASE("both services on one account, each with its own fee, step and ladder") {
    const std::string text =
        tariff_text("light", "electricity",
                    "ladder = \"none\"\ntiers = [ { price = \"0.50\" } ]\n"
                    "fixed = [ { name = \"line\", per = \"day\", amount = \"0.30\" } ]\n") +
        tariff_text("tons", "water",
                    "ladder = \"year\"\ntiers = [ { up_to = \"2\", price = \"5.00\" }, { price = "
                    "\"7.00\" } ]\nquantity_step = \"1\"\n"
                    "fixed = [ { name = \"meter\", per = \"day\", amount = \"0.05\" } ]\n");
    Tariffs house(with_tariff(text, "a-101,1-101,all,light;tons,,0;1.000"));
    house.settle("e-101", "100.00");
    house.settle("w-101", "10.000");
    house.settle_from("e-101", "110.00", kMidnight24 + kMinute);
    house.settle_from("w-101", "12.900", kMidnight24 + 2 * kMinute);
    // 2.9 m3 after 1: one at 5.00 and one at 7.00, 0.9 are carried.
    CHECK(house.book("a-101") == Rows{"charge -5.00 day:2026-11-23", "charge -5.00 day:2026-11-23",
                                      "charge -7.00 day:2026-11-23",
                                      "fee -0.30 fee:light/line/2026-11-23",
                                      "fee -0.05 fee:tons/meter/2026-11-23"});
    CHECK(house.balance("a-101") == "-17.35");
    CHECK(house.proof() == "");
}

TEST_CASE("V9: a register that passes its end goes on on the ladder") {
    Tariffs house(with_tariff(beijing_tariff(), "a-102,1-102,electricity,beijing,,2879.5"));
    house.settle("e-102", "999999.50");
    house.settle_from("e-102", "0.30", kMidnight24 + kMinute);
    // 0.8 kWh: 0.5 x 0.4883 = 0.24415 and 0.3 x 0.5383 = 0.16149.
    CHECK(house.lines("a-102", "2026-11") ==
          Rows{"1 0.500 x 0.4883 = 0.24", "2 0.300 x 0.5383 = 0.16"});
    CHECK(house.proof() == "");
}

TEST_CASE("days left know the bands that were used and the fees that come") {
    std::string text = banded();
    text += "fixed = [ { name = \"line\", per = \"day\", amount = \"0.36\" } ]\n";
    Tariffs house(with_tariff(text, "a-103,1-103,electricity,banded,100.00,"));
    house.settle("e-103", "1000.00");
    std::int64_t face = 1000'00;
    const auto next = [&](std::int64_t more) { return format_decimal(face += more, 2); };
    for (int day = 0; day < 4; ++day) {
        const UtcMs end = kMidnight24 + day * kDay;
        if (day > 0) house.settle_from("e-103", next(2'00), end - 16 * kHour);  // valley
        house.settle_from("e-103", next(5'00), end - 2 * kHour);                // peak
        house.settle_from("e-103", next(1'00), end);                            // valley
        if (day < 3) CHECK_FALSE(house.account("a-103").days_left);
    }
    // Three whole days of 5 peak and 3 valley: 2.84 + 0.864 + 0.36 = 4.064 a day. Four peaks and
    // 10 valleys and four fees went: 100 - 11.36 - 2.88 - 1.44 = 84.32, and 84.32 / 4.064 = 20.7.
    CHECK(house.balance("a-103") == "84.32");
    CHECK(house.account("a-103").days_left == 20);
    house.restart();
    CHECK(house.account("a-103").days_left == 20);
}

namespace {

std::string with_daily_fee(const std::string& id, const std::string& fee) {
    return tariff_text(id, "electricity",
                       "ladder = \"none\"\ntiers = [ { price = \"1.00\" } ]\n"
                       "fixed = [ { name = \"line\", per = \"day\", amount = \"" +
                           fee + "\" } ]\n");
}

}  // namespace

// Seed 24 of the worlds whose clock may run ahead.
TEST_CASE("a tariff that comes with a meter which is dead is due from that day on") {
    FileTexts files = with_tariff(with_daily_fee("mine", "0.10"),
                                  "a-103,1-103,electricity,mine,,\na-102,1-102,electricity,mine,,");
    files["tariffs/next.toml"] = with_daily_fee("next", "0.30");
    Tariffs house(files);
    house.settle("e-103", "1000.00");
    house.settle("e-102", "500.00");
    const Reply changed =
        house.import({{"meters.csv",
                       "meter,unit,service,account,tariff\ne-103,1-103,electricity,a-102,next\n"}});
    REQUIRE(changed.kind == ReplyKind::ok);
    house.settle_from("e-102", "500.00", kMidnight24 + kMinute);
    house.until(kMidnight24 + 6 * kMinute);
    CHECK(house.book("a-102").back() == "fee -0.30 fee:next/line/2026-11-23");
    // What it used since is charged once it answers; the fee of the day stays the one.
    house.settle_from("e-103", "1001.00", kMidnight24 + kHour);
    house.pass(kMinute);
    const auto book = house.book("a-102");
    CHECK(std::count(book.begin(), book.end(), "fee -0.30 fee:next/line/2026-11-23") == 1);
    CHECK(house.proof() == "");
}

TEST_CASE("a change that was passed before the day before it is posted leaves that day its fee") {
    FileTexts files = with_tariff(with_daily_fee("mine", "0.10"), "a-103,1-103,electricity,mine,,");
    files["tariffs/next.toml"] = with_daily_fee("next", "0.30");
    Tariffs house(files);
    house.settle("e-103", "1000.00");
    house.until(kMidnight24 - 10 * kMinute);
    house.settle("e-103", "1005.00");
    house.crash();
    // A new process at ten past midnight: before any sample the registry changes.
    house.clock.pass(20 * kMinute);
    house.open();
    house.step();
    SECTION("to another tariff") {
        REQUIRE(house
                    .import({{"accounts.csv",
                              "account,unit,service,tariff\na-103,1-103,electricity,next\n"}})
                    .kind == ReplyKind::ok);
        house.settle("e-103", "1005.00");
        house.pass(kMinute);
        CHECK(house.book("a-103").back() == "fee -0.10 fee:mine/line/2026-11-23");
        house.settle_from("e-103", "1007.00", kMidnight24 + kDay);
        house.until(kMidnight24 + kDay + 6 * kMinute);
        CHECK(house.book("a-103").back() == "fee -0.30 fee:next/line/2026-11-24");
    }
    SECTION("to another account") {
        REQUIRE(house
                    .import({{"accounts.csv",
                              "account,unit,service,tariff\na-102,1-102,electricity,next\n"},
                             {"meters.csv",
                              "meter,unit,service,account\ne-103,1-103,electricity,a-102\n"}})
                    .kind == ReplyKind::ok);
        house.settle("e-103", "1005.00");
        house.pass(kMinute);
        CHECK(house.book("a-103").back() == "fee -0.10 fee:mine/line/2026-11-23");
        house.settle_from("e-103", "1007.00", kMidnight24 + kDay);
        house.until(kMidnight24 + kDay + 6 * kMinute);
        CHECK(house.book("a-103").back() == "fee -0.10 fee:mine/line/2026-11-23");
        CHECK(house.book("a-102").back() == "fee -0.30 fee:next/line/2026-11-24");
    }
    CHECK(house.proof() == "");
}
