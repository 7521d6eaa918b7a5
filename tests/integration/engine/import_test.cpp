// The import as the engine carries it out: what it books, what it refuses, what it leaves.
#include <algorithm>

#include "daemon/engine/registry_files.hpp"
#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

bool tells(const Reply& reply, const std::string& fragment) {
    return std::any_of(reply.errors.begin(), reply.errors.end(), [&](const FieldError& error) {
        return error.message.find(fragment) != std::string::npos;
    });
}

FileTexts with(FileTexts files, const std::string& name, const std::string& text) {
    files[name] = text;
    return files;
}

}  // namespace

TEST_CASE("an import counts its rows and books each opening balance once") {
    House house;
    house.open();
    const Reply first = house.import(three_homes());
    REQUIRE(first.detail == "");
    REQUIRE(first.kind == ReplyKind::ok);
    CHECK(field(first.json, "added") == "15");
    CHECK(field(first.json, "changed") == "0");
    CHECK(field(first.json, "money_total") == "300.00");
    CHECK(house.book("a-101") == std::vector<std::string>{"opening 100.00 opening"});
    CHECK(house.book("a-102") == std::vector<std::string>{"opening 200.00 opening"});
    CHECK(house.book("a-103").empty());
    CHECK(house.ledger("a-101") == "100.00");
    CHECK(house.balance("a-101") == "100.00");
    CHECK(house.events("entry.opening").size() == 2);
    CHECK(house.events("registry.imported").size() == 1);
    CHECK(house.asked.registries == 1);

    SECTION("the same again changes nothing") {
        const Reply again = house.import(three_homes());
        CHECK(field(again.json, "added") == "0");
        CHECK(field(again.json, "changed") == "0");
        CHECK(field(again.json, "unchanged") == "15");
        CHECK(field(again.json, "money") == "[]");
        CHECK(house.events("entry.opening").size() == 2);
        CHECK(house.ledger("a-101") == "100.00");
    }
    SECTION("nor does it after a restart") {
        house.reopen();
        CHECK(house.import(three_homes()).kind == ReplyKind::ok);
        CHECK(house.events("entry.opening").size() == 2);
    }
    SECTION("a used opening balance stays") {
        const Reply refused = house.import(
            with(three_homes(), "accounts.csv",
                 "account,unit,service,tariff,opening_balance,opening_ladder,hoarding_cap\n"
                 "a-101,1-101,all,flat;water,150.00,,500.00\n"));
        CHECK(refused.kind == ReplyKind::invalid);
        CHECK(tells(refused, "accounts.csv:2:"));
        CHECK(tells(refused, "a-101"));
        CHECK(house.ledger("a-101") == "100.00");
    }
    CHECK(house.proof() == "");
}

TEST_CASE("an export, imported, is the registry that stands") {
    House house;
    house.open();
    REQUIRE(house.import(three_homes()).kind == ReplyKind::ok);
    const Registry before = StoreReader(house.path()).registry();
    const auto files = registry_files::write(before, [](const std::string& card) { return card; });
    const Reply again = house.import(FileTexts(files.begin(), files.end()));
    CHECK(again.kind == ReplyKind::ok);
    CHECK(field(again.json, "added") == "0");
    CHECK(field(again.json, "changed") == "0");
    CHECK(StoreReader(house.path()).registry() == before);
    CHECK(*house.engine().snapshot()->registry == before);
}

TEST_CASE("every problem of an import is told at its cell and nothing is changed") {
    House house;
    house.open();
    const std::uint64_t seq = house.engine().snapshot()->event_seq;
    FileTexts files = three_homes();
    files["meters.csv"] =
        "meter,unit,service,bus,address,profile\n"
        "e-101,1-999,electricity,b1,1,eastron-sdm120\n"
        "e-102,1-102,electricity,b9,3,eastron-sdm120\n"
        "e-103,1-103,electricity,b1,4,eastron-sdm999\n";
    const Reply refused = house.import(files);
    CHECK(refused.kind == ReplyKind::invalid);
    CHECK(tells(refused, "meters.csv:2:7: "));
    CHECK(tells(refused, "1-999"));
    CHECK(tells(refused, "meters.csv:3:"));
    CHECK(tells(refused, "b9"));
    CHECK(house.engine().snapshot()->meters.size() == 0);
    CHECK(house.engine().snapshot()->event_seq == seq);
    CHECK(StoreReader(house.path()).registry() == Registry{});
}

TEST_CASE("a tariff that leaves a hole is refused at its place, and so is who would pay by it") {
    House house;
    house.open();
    FileTexts files = three_homes();
    const std::string head =
        "[[tariff]]\nid = \"flat\"\nservice = \"electricity\"\nsource = \"a test\"\n"
        "[[tariff.version]]\nvalid_from = \"2026-01-01\"\nladder = \"none\"\n";
    const auto bands = [&](const std::string& until) {
        return head +
               "bands = [ { name = \"peak\", from = \"08:00\", to = \"22:00\", price = "
               "\"0.568\" }, { name = \"valley\", from = \"22:00\", to = \"" +
               until + "\", price = \"0.288\" } ]\n";
    };
    files["tariffs/flat.toml"] = bands("07:00");
    Reply refused = house.import(files);
    CHECK(refused.kind == ReplyKind::invalid);
    CHECK(tells(refused, "tariffs/flat.toml:8:"));
    CHECK(tells(refused, "no band holds 07:00 to 08:00"));
    CHECK(refused.errors.size() == 1);
    CHECK(house.engine().snapshot()->accounts.size() == 0);
    files["tariffs/flat.toml"] = bands("08:00");
    CHECK(house.import(files).kind == ReplyKind::ok);
    CHECK(house.account("a-101").not_yet.empty());
    // A shop's price for a home.
    files["tariffs/flat.toml"].insert(files["tariffs/flat.toml"].find("[[tariff.version]]"),
                                      "uses = [\"shop\"]\n");
    refused = house.import(files);
    CHECK(tells(refused, "not for the use home"));
    CHECK(tells(refused, "a-101"));
    CHECK_FALSE(tells(refused, "a-102"));
}

TEST_CASE("a dry run says what would happen and changes nothing") {
    House house;
    house.open();
    FileTexts files = three_homes();
    files["staff.csv"] = "staff,name,roles,cards\ns-01,李四,collector,wiegand26:0012345\n";
    const std::uint64_t seq = house.engine().snapshot()->event_seq;
    const Reply plan = house.import(files, true);
    CHECK(plan.kind == ReplyKind::ok);
    CHECK(field(plan.json, "dry_run") == "true");
    CHECK(field(plan.json, "money_total") == "300.00");
    CHECK(house.engine().snapshot()->event_seq == seq);
    CHECK(StoreReader(house.path()).registry() == Registry{});
    CHECK(house.engine().snapshot()->accounts.size() == 0);
    CHECK(house.asked.registries == 0);
}

TEST_CASE("a changed tariff is an edge: what was used until then is charged at the old price") {
    House house;
    house.open();
    REQUIRE(house.import(three_homes()).kind == ReplyKind::ok);
    house.settle("e-103", "1000.00");
    house.pass(kHour);
    house.settle("e-103", "1010.00");
    // 10 kWh x 0.5283 = 5.283
    CHECK(house.balance("a-103") == "-5.28");
    FileTexts files = three_homes();
    files["tariffs/dear.toml"] = flat_tariff("dear", "electricity", "1.00");
    files["accounts.csv"] = "account,unit,service,tariff\na-103,1-103,electricity,dear\n";
    const Reply changed = house.import(files);
    REQUIRE(changed.kind == ReplyKind::ok);
    CHECK(house.book("a-103").empty());
    house.pass(kHour);
    house.settle("e-103", "1012.00");
    const std::vector<std::string> book = house.book("a-103");
    REQUIRE(book.size() == 1);
    CHECK(book[0].rfind("charge -5.28 registry:", 0) == 0);
    CHECK(house.balance("a-103") == "-7.28");
    house.reopen();
    CHECK(house.balance("a-103") == "-7.28");
    CHECK(house.proof() == "");
}

TEST_CASE("a new multiplier counts from the face as it stands") {
    House house;
    house.open();
    REQUIRE(house.import(three_homes()).kind == ReplyKind::ok);
    house.settle("e-103", "1000.00");
    house.pass(kHour);
    house.settle("e-103", "1010.00");
    const FileTexts files{
        {"meters.csv", "meter,unit,service,multiplier\ne-103,1-103,electricity,10\n"}};
    REQUIRE(house.import(files).kind == ReplyKind::ok);
    CHECK(house.meter("e-103").total == Milli{1'010'000});
    house.pass(kHour);
    house.settle("e-103", "1011.00");
    CHECK(house.ledger("a-103") == "-5.28");
    CHECK(house.meter("e-103").total == Milli{1'020'000});
    CHECK(house.balance("a-103") == "-10.57");
    house.pass(31 * kSecond);
    house.reopen();
    CHECK(house.balance("a-103") == "-10.57");
    house.pass(kHour);
    house.settle("e-103", "1012.00");
    CHECK(house.meter("e-103").total == Milli{1'030'000});
    CHECK(house.balance("a-103") == "-15.85");
    CHECK(house.proof() == "");
}

TEST_CASE("a meter that changes its account is charged to each for its own time") {
    House house;
    house.open();
    REQUIRE(house.import(three_homes()).kind == ReplyKind::ok);
    house.settle("e-103", "1000.00");
    house.pass(kHour);
    house.settle("e-103", "1010.00");
    const FileTexts files{
        {"meters.csv", "meter,unit,service,account\ne-103,1-103,electricity,a-101\n"}};
    const Reply moved = house.import(files);
    REQUIRE(moved.detail == "");
    CHECK(house.balance("a-103") == "-5.28");
    CHECK(house.balance("a-101") == "100.00");
    house.pass(kHour);
    house.settle("e-103", "1020.00");
    CHECK(house.ledger("a-103") == "-5.28");
    CHECK(house.balance("a-103") == "-5.28");
    CHECK(house.balance("a-101") == "94.72");
    house.pass(16 * kHour);
    house.settle("e-103", "1020.00");
    house.pass(10 * kMinute);
    CHECK(house.ledger("a-101") == "94.72");
    house.reopen();
    CHECK(house.balance("a-103") == "-5.28");
    CHECK(house.balance("a-101") == "94.72");
    CHECK(house.proof() == "");
}
