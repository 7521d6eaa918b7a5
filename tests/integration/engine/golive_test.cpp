// Bringing a house in from an old system: totals that finance typed, what the first readings will
// charge, an opening register that is wrong, and a trial that is a preview and nothing else.
#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

constexpr const char* kHead =
    "account,unit,service,tariff,opening_balance,opening_ladder,live_from\n";

struct NewHouse : House {
    NewHouse() { open(); }
    static FileTexts files(const std::string& accounts) {
        FileTexts all = three_homes();
        all["accounts.csv"] = kHead + accounts;
        return all;
    }
    Reply controlled(const FileTexts& all, std::int64_t accounts, const std::string& sum) {
        ImportRegistry command;
        command.actor = "local";
        command.files.assign(all.begin(), all.end());
        command.control_accounts = accounts;
        command.control_sum = sum;
        return ask(command);
    }
};

}  // namespace

TEST_CASE_METHOD(NewHouse, "an import is refused whole where finance counted otherwise") {
    const FileTexts all = files(
        "a-101,1-101,all,flat;water,100.00,,\na-102,1-102,electricity,beijing,-36.42,2879,\n"
        "a-103,1-103,electricity,flat,0.00,,\n");
    const Reply dry = import(all, /*dry_run=*/true);
    // 100.00 - 36.42 + 0.00
    CHECK(field(dry.json, "openings") ==
          R"({"accounts":3,"sum":"63.58","highest":{"account":"a-101","amount":"100.00"},)"
          R"("lowest":{"account":"a-102","amount":"-36.42"}})");
    CHECK(events("registry.imported").empty());
    const Reply count = controlled(all, 4, "63.58");
    CHECK(count.kind == ReplyKind::invalid);
    CHECK(count.type == "control-totals");
    CHECK(count.errors.at(0).pointer == "/control_accounts");
    const Reply sum = controlled(all, 3, "136.42");
    CHECK(sum.errors.at(0).pointer == "/control_sum");
    CHECK(sum.errors.at(0).message.find("63.58") != std::string::npos);
    CHECK(controlled(all, 3, "63,58").errors.at(0).pointer == "/control_sum");
    CHECK(events("registry.imported").empty());
    REQUIRE(controlled(all, 3, "63.58").kind == ReplyKind::ok);
    CHECK(ledger("a-102") == "-36.42");
    const Reply again = controlled(all, 3, "63.58");
    REQUIRE(again.kind == ReplyKind::ok);
    CHECK(field(again.json, "changed") == "0");
    CHECK(events("entry.opening").size() == 2);
    CHECK(proof().empty());
}

TEST_CASE_METHOD(NewHouse, "an opening ladder may leave the first of two tariffs out") {
    FileTexts all = files("a-101,1-101,all,beijing;water,100.00,;150.5,\n");
    REQUIRE(import(all).kind == ReplyKind::ok);
    CHECK(engine().snapshot()->registry->accounts.at(0).opening_ladder ==
          std::vector<Milli>{Milli{0}, Milli{150'500}});
    CHECK(field(import(all).json, "changed") == "0");
    all["accounts.csv"] = std::string(kHead) + "a-101,1-101,all,beijing;water,100.00,0;150.5,\n";
    CHECK(field(import(all).json, "changed") == "0");
}

TEST_CASE_METHOD(NewHouse, "a register ten times too large is held, and its correction foretold") {
    const auto meters = [](const std::string& opening) {
        return "meter,unit,service,bus,address,profile,rated_amps,opening_register\n"
               "e-101,1-101,electricity,b1,1,eastron-sdm120,1000," +
               opening + "\ne-103,1-103,electricity,b1,4,eastron-sdm120,1000,50.0\n";
    };
    FileTexts all =
        files("a-101,1-101,electricity,flat,100.00,,\na-103,1-103,electricity,flat,,,\n");
    all["meters.csv"] = meters("9900.0");
    REQUIRE(import(all).kind == ReplyKind::ok);
    for (int i = 0; i < 4; ++i, clock.pass(kMinute)) sample("e-101", "1000.00");
    CHECK(StoreReader(path()).quarantine(QuarantineRow::State::open, 0, 10).at(0).reason ==
          "opening_mismatch");
    CHECK(balance("a-101") == "100.00");
    CHECK(account("a-101").quality == Quality::held);
    all["meters.csv"] = meters("990.0");
    const Reply dry = import(all, /*dry_run=*/true);
    REQUIRE(dry.kind == ReplyKind::ok);
    // 10 x 0.5283 = 5.283 -> 5.28; e-103 was never read.
    CHECK(field(dry.json, "first_charges") ==
          R"([{"account":"a-101","meter":"e-101","opening_register":"990",)"
          R"("register":"1000.000","quantity":"10.000","amount":"5.28"},)"
          R"({"account":"a-103","meter":"e-103","opening_register":"50",)"
          R"("register":null,"quantity":null,"amount":null}])");
    CHECK(field(dry.json, "first_charge_total") ==
          R"({"accounts":1,"sum":"5.28","not_read":1,)"
          R"("highest":{"account":"a-101","amount":"5.28"}})");
    CHECK(balance("a-101") == "100.00");
    CHECK(proof().empty());
}

TEST_CASE_METHOD(NewHouse, "a trial is priced as a preview, and goes live on its day") {
    REQUIRE(import(files("a-101,1-101,electricity,flat,100.00,,2026-11-26\n")).kind ==
            ReplyKind::ok);
    settle("e-101", "1000.00");
    clock.pass(10 * kMinute);
    settle("e-101", "1010.00");
    // 10 x 0.5283 = 5.283 -> 5.28
    CHECK(format(*account("a-101").preview) == "94.72");
    CHECK(balance("a-101") == "0.00");
    CHECK(ledger("a-101") == "0.00");
    CHECK(top_up("a-101", "10.00", "k-1").type == "trial");
    clock.pass(kDay);
    settle("e-101", "1020.00");
    pass(6 * kMinute);
    pass(6 * kMinute);
    // 20 x 0.5283 = 10.566 -> 10.57, whatever days it fell on within the month
    CHECK(format(*account("a-101").preview) == "89.43");
    reopen();
    settle("e-101", "1020.00");
    CHECK(format(*account("a-101").preview) == "89.43");
    CHECK(book("a-101").empty());
    CHECK(engine().snapshot()->open_alerts.empty());
    // 2026-11-26 00:01
    clock.pass(kMorning + 2 * kDay + 16 * kHour + kMinute - clock.wall);
    settle("e-101", "1025.00");
    pass(6 * kMinute);
    pass(6 * kMinute);
    CHECK(book("a-101") == std::vector<std::string>{"opening 100.00 opening"});
    CHECK_FALSE(account("a-101").preview);
    CHECK(balance("a-101") == "100.00");
    clock.pass(10 * kMinute);
    settle("e-101", "1035.00");
    CHECK(balance("a-101") == "94.72");
    CHECK(field(import(files("a-101,1-101,electricity,flat,100.00,,2026-11-26\n")).json,
                "changed") == "0");
    CHECK(proof().empty());
}

TEST_CASE_METHOD(NewHouse,
                 "an opening register of a day that has not come counts from its reading") {
    FileTexts all = files(
        "a-101,1-101,electricity,flat,100.00,,2026-11-26\na-103,1-103,electricity,flat,100.00,,\n");
    all["meters.csv"] =
        "meter,unit,service,bus,address,profile,rated_amps,opening_register,opening_at\n"
        "e-101,1-101,electricity,b1,1,eastron-sdm120,60,700,2026-11-26\n"
        "e-103,1-103,electricity,b1,4,eastron-sdm120,60,700,2026-11-26\n";
    const Reply done = import(all);
    REQUIRE(done.kind == ReplyKind::ok);
    CHECK(done.json.find("which has not come; it counts from the first reading") !=
          std::string::npos);
    constexpr UtcMs kMidnight24 = kMorning + 16 * kHour;
    const auto read = [&](const std::string& face, UtcMs at) {
        clock.pass(at - clock.wall);
        settle("e-101", face);
        settle("e-103", face);
    };
    read("700.00", kMorning + kHour);
    read("705.00", kMidnight24 - kMinute);
    read("705.00", kMidnight24 + kMinute);
    read("710.00", kMidnight24 + kDay + kMinute);
    pass(6 * kMinute);
    // 5 x 0.5283 = 2.6415 of Monday, and as much of Tuesday: each under its own day.
    CHECK(book("a-103") == std::vector<std::string>{"opening 100.00 opening",
                                                    "charge -2.64 day:2026-11-23",
                                                    "charge -2.64 day:2026-11-24"});
    CHECK(book("a-101").empty());
    read("715.00", kMidnight24 + 2 * kDay + kMinute);
    read("716.00", kMidnight24 + 2 * kDay + kHour);
    // Live since Thursday's first second: one kilowatt-hour, and none of the trial's fifteen.
    CHECK(book("a-101") == std::vector<std::string>{"opening 100.00 opening"});
    CHECK(balance("a-101") == "99.47");
    CHECK(proof().empty());
}

TEST_CASE_METHOD(NewHouse, "a trial with bands has the same preview after a restart") {
    FileTexts all = files("a-101,1-101,electricity,flat,100.00,,2026-12-26\n");
    all["tariffs/flat.toml"] =
        flat_tariff("flat", "electricity", "0.5283") +
        "[[tariff.version]]\nvalid_from = \"2026-02-01\"\nladder = \"none\"\nbands = [\n"
        "{ name = \"peak\", from = \"07:00\", to = \"22:00\", price = \"2\" },\n"
        "{ name = \"valley\", from = \"22:00\", to = \"07:00\", price = \"0.1\" } ]\n";
    REQUIRE(import(all).kind == ReplyKind::ok);
    constexpr UtcMs kMidnight24 = kMorning + 16 * kHour;
    const auto read = [&](const std::string& face, UtcMs at) {
        clock.pass(at - clock.wall);
        settle("e-101", face);
    };
    read("700.00", kMidnight24);
    read("701.00", kMidnight24 + 7 * kHour);
    read("704.00", kMidnight24 + 22 * kHour);
    read("706.00", kMidnight24 + kDay);
    pass(6 * kMinute);
    // 1 + 2 in the valley, 3 at the peak: 0.30 and 6.00.
    CHECK(format(*account("a-101").preview) == "93.70");
    reopen();
    settle("e-101", "706.00");
    CHECK(format(*account("a-101").preview) == "93.70");
}

TEST_CASE_METHOD(NewHouse, "a trial's preview has the fees and the minimum of its days") {
    FileTexts all = files("a-103,1-103,electricity,mine,100.00,,2027-01-05\n");
    all["tariffs/mine.toml"] =
        "[[tariff]]\nid = \"mine\"\nservice = \"electricity\"\nsource = \"a test\"\n"
        "[[tariff.version]]\nvalid_from = \"2026-01-01\"\nladder = \"none\"\n"
        "tiers = [ { price = \"1.00\" } ]\nminimum = \"15.00\"\n"
        "fixed = [ { name = \"service\", per = \"month\", amount = \"2.00\" },\n"
        "          { name = \"line\", per = \"day\", amount = \"0.30\" } ]\n";
    REQUIRE(import(all).kind == ReplyKind::ok);
    settle("e-103", "1000.00");
    const auto a_minute_into_day = [&](int days, const char* face) {
        clock.pass(kMorning + (days - 1) * kDay + 16 * kHour + kMinute - clock.wall);
        settle("e-103", face);
        pass(6 * kMinute);
        pass(6 * kMinute);
        return format(*account("a-103").preview);
    };
    // The 23rd to the 30th: 8 kWh, 2.00 and 8 x 0.30; no minimum in the month in which it began.
    CHECK(a_minute_into_day(8, "1008.00") == "87.60");
    // December: 5 kWh, 2.00 and 31 x 0.30, and 10.00 that are missing of the minimum.
    const std::string preview = a_minute_into_day(39, "1013.00");
    CHECK(preview == "61.30");
    reopen();
    settle("e-103", "1013.00");
    CHECK(format(*account("a-103").preview) == preview);
    CHECK(book("a-103").empty());
}

TEST_CASE_METHOD(NewHouse, "the last day of a trial is posted after midnight and costs no fee") {
    FileTexts all = files("a-103,1-103,electricity,mine,10.00,,2026-11-25\n");
    all["tariffs/mine.toml"] =
        "[[tariff]]\nid = \"mine\"\nservice = \"electricity\"\nsource = \"a test\"\n"
        "[[tariff.version]]\nvalid_from = \"2026-01-01\"\nladder = \"none\"\n"
        "tiers = [ { price = \"1.00\" } ]\n"
        "fixed = [ { name = \"service\", per = \"month\", amount = \"2.00\" },\n"
        "          { name = \"line\", per = \"day\", amount = \"0.30\" } ]\n";
    REQUIRE(import(all).kind == ReplyKind::ok);
    settle("e-103", "1000.00");
    // The account is live from midnight on; the day before waits five minutes for its meter.
    pass(kMorning + kDay + 16 * kHour + kMinute - clock.wall);
    CHECK(book("a-103") == std::vector<std::string>{"opening 10.00 opening"});
    pass(6 * kMinute);
    CHECK(book("a-103") == std::vector<std::string>{"opening 10.00 opening"});
    settle("e-103", "1001.00");
    pass(kDay);
    CHECK(book("a-103") == std::vector<std::string>{"opening 10.00 opening",
                                                    "fee -2.00 fee:mine/service/2026-11",
                                                    "fee -0.30 fee:mine/line/2026-11-25"});
    CHECK(proof().empty());
}

TEST_CASE_METHOD(NewHouse, "an account on trial is not closed over money that it still gets") {
    const std::string rows =
        "a-101,1-101,all,flat;water,100.00,,2026-12-01\na-102,1-102,electricity,beijing,,,"
        "2026-12-01\na-103,1-103,electricity,flat,,,\n";
    REQUIRE(import(files(rows)).kind == ReplyKind::ok);
    for (const char* meter : {"e-101", "w-101", "e-102", "e-103"}) settle(meter, "10.00");
    const auto close = [&](const char* account, const char* key) {
        return ask(
            CloseAccount{{"local", "s-01", "s-02", "moved out", key, key}, account, true, {}});
    };
    const Reply refused = close("a-101", "k-1");
    CHECK(refused.type == "trial");
    CHECK(account("a-101").open);
    REQUIRE(close("a-102", "k-2").kind == ReplyKind::created);
    CHECK_FALSE(account("a-102").trial);
    // What is said to move is what will be booked.
    const Reply again = import(files(rows), /*dry_run=*/true);
    CHECK(field(again.json, "money_total") == "100.00");
    reopen();
    CHECK_FALSE(account("a-102").trial);
}

TEST_CASE_METHOD(NewHouse, "a trial that ended while nobody looked has its ladder of that month") {
    FileTexts all = files("a-103,1-103,electricity,lad,100.00,33.33,2026-11-28\n");
    all["tariffs/lad.toml"] =
        "[[tariff]]\nid = \"lad\"\nservice = \"electricity\"\nsource = \"a test\"\n"
        "[[tariff.version]]\nvalid_from = \"2026-01-01\"\nladder = \"month\"\n"
        "tiers = [ { up_to = \"40\", price = \"0.50\" }, { price = \"1.00\" } ]\n";
    REQUIRE(import(all).kind == ReplyKind::ok);
    settle("e-103", "1000.00");
    pass(31 * kSecond);
    // Off from November over the day on which it goes live and the month's end.
    crash();
    clock.pass(9 * kDay);
    open();
    pass(kMinute);
    settle("e-103", "1000.00");
    pass(10 * kMinute);
    settle("e-103", "1030.00");
    // 30 kWh of December, whose first 40 cost 0.50.
    CHECK(balance("a-103") == "85.00");
    reopen();
    settle("e-103", "1030.00");
    CHECK(balance("a-103") == "85.00");
    CHECK(proof() == "");
}

TEST_CASE_METHOD(NewHouse, "nobody is charged by a tariff that has no price yet") {
    FileTexts all = three_homes();
    all["tariffs/later.toml"] =
        "[[tariff]]\nid = \"later\"\nservice = \"electricity\"\nsource = \"test\"\n"
        "[[tariff.version]]\nvalid_from = \"2026-12-15\"\nladder = \"none\"\n"
        "tiers = [ { price = \"9.00\" } ]\n";
    const std::string head = "account,unit,service,tariff,live_from\n";
    const auto tried = [&](const std::string& rows) {
        all["accounts.csv"] = head + rows;
        const Reply reply = import(all);
        return reply.kind == ReplyKind::ok ? std::string("ok") : reply.errors.at(0).message;
    };
    const std::string refused = tried("a-103,1-103,electricity,later,\n");
    INFO(refused);
    CHECK(refused.starts_with("accounts.csv:2:"));
    CHECK(refused.find("has no price before 2026-12-15") != std::string::npos);
    CHECK(refused.find("charged by it from 2026-11-23 on") != std::string::npos);
    CHECK(tried("a-103,1-103,electricity,later,2026-12-14\n").find("from 2026-12-14 on") !=
          std::string::npos);
    SECTION("from its first day on, somebody is") {
        CHECK(tried("a-103,1-103,electricity,later,2026-12-15\n") == "ok");
    }
    SECTION("nor does who is charged already come to it") {
        REQUIRE(tried("a-103,1-103,electricity,flat,\n") == "ok");
        CHECK(tried("a-103,1-103,electricity,later,\n").find("has no price before") !=
              std::string::npos);
        // Nor a meter of its own accord.
        all["meters.csv"] =
            "meter,unit,service,bus,address,profile,rated_amps,tariff\n"
            "e-103,1-103,electricity,b1,4,eastron-sdm120,1000,later\n";
        CHECK(tried("a-103,1-103,electricity,flat,\n").starts_with("meters.csv:2:"));
    }
}
