// Around a price that comes late: who is told of closed accounts that used it, and a day that ends
// while its settlements wait.
#include <boost/json.hpp>

#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using gatehouse::testing::FileTexts;
using gatehouse::testing::flat_tariff;
using gatehouse::testing::House;
using gatehouse::testing::kDay;
using gatehouse::testing::kHour;
using gatehouse::testing::kMinute;
using gatehouse::testing::kMorning;
using gatehouse::testing::kSecond;
using gatehouse::testing::three_homes;

namespace {

using Rows = std::vector<std::string>;
constexpr UtcMs kMidnight24 = kMorning + 16 * kHour;  // Tuesday 2026-11-24T00:00:00+08:00

struct Late : House {
    explicit Late(const FileTexts& files) {
        open();
        const Reply reply = import(files);
        INFO(reply.detail << (reply.errors.empty() ? "" : reply.errors[0].message));
        REQUIRE(reply.kind == ReplyKind::ok);
    }
    void read(const std::string& id, const std::string& face, UtcMs at) {
        pass(at - clock.wall);
        settle(id, face);
    }
    // Rows of both books that begin so.
    int kept(const std::string& prefix) {
        int count = 0;
        for (const char* account : {"a-101", "a-103"})
            for (const std::string& row : book(account)) count += row.starts_with(prefix) ? 1 : 0;
        return count;
    }
};

FileTexts dearer(const std::string& day) {
    return {{"tariffs/flat.toml", flat_tariff("flat", "electricity", "0.5283") +
                                      "[[tariff.version]]\nvalid_from = \"" + day +
                                      "\"\nladder = \"none\"\ntiers = [ { price = \"0.60\" } ]\n"}};
}

boost::json::array money_of(const Reply& reply) {
    return boost::json::parse(reply.json).as_object().at("money").as_array();
}

}  // namespace

TEST_CASE("closed accounts that used a tariff in the time of a late version are named") {
    FileTexts homes = three_homes();
    homes["accounts.csv"] =
        "account,unit,service,tariff\na-101,1-101,electricity,flat\n"
        "a-103,1-103,electricity,flat\n";
    Late house(homes);
    for (const char* meter : {"e-101", "e-103"}) house.settle(meter, "1000.00");
    const auto leave = [&](const std::string& account, const std::string& paid) {
        AdjustMoney adjust;
        adjust.act = {"local", "s-01", "s-02", "all of it", "k1" + account, "h1"};
        adjust.account = account;
        adjust.amount = paid;
        adjust.reference = "paper 7";
        REQUIRE(house.ask(adjust).kind == ReplyKind::created);
        CloseAccount close;
        close.act = {"local", "s-01", "s-02", "gone", "k2" + account, "h2"};
        close.account = account;
        const Reply closed = house.ask(close);
        INFO(closed.detail);
        REQUIRE(closed.kind == ReplyKind::created);
    };
    const auto warnings_of = [](const Reply& reply) {
        Rows rows;
        const boost::json::value json = boost::json::parse(reply.json);
        for (const auto& row : json.at("warnings").as_array())
            if (row.as_string().find("closed by now") != boost::json::string::npos)
                rows.emplace_back(row.as_string().c_str());
        return rows;
    };
    house.read("e-101", "1010.00", kMidnight24 + kMinute);
    house.read("e-103", "1010.00", kMidnight24 + kMinute);
    leave("a-103", "5.28");  // on Tuesday, right after midnight
    CHECK(warnings_of(house.import(dearer("2026-11-25"), true)).empty());  // nobody's yet
    house.read("e-101", "1030.00", kMidnight24 + kDay + kMinute);
    const std::string words =
        " of tariff `flat` covers a time in which 1 account that is closed by now was charged by "
        "it: a-103; nothing is posted there";
    SECTION("beside one that is open") {
        for (const bool dry_run : {true, false}) {
            const Reply reply = dry_run ? house.import(dearer("2026-11-24"), true)
                                        : house.import_signed(dearer("2026-11-24"));
            REQUIRE(reply.kind == ReplyKind::ok);
            CHECK(money_of(reply).size() == 1);
            const Rows warnings = warnings_of(reply);
            REQUIRE(warnings.size() == 1);
            INFO(warnings[0]);
            CHECK(warnings[0].find("tariffs/flat.toml:") == 0);
            CHECK(warnings[0].find("version 2026-11-24" + words) != std::string::npos);
        }
        // The next one begins after it had gone.
        FileTexts later = dearer("2026-11-24");
        later["tariffs/flat.toml"] +=
            "[[tariff.version]]\nvalid_from = \"2026-11-25\"\n"
            "ladder = \"none\"\ntiers = [ { price = \"0.70\" } ]\n";
        CHECK(warnings_of(house.import(later, true)).empty());
    }
    SECTION("where nobody else was charged by it") {
        leave("a-101", "15.85");
        const Reply shown = house.import(dearer("2026-11-23"), true);
        REQUIRE(shown.kind == ReplyKind::ok);
        CHECK(money_of(shown).empty());
        REQUIRE(warnings_of(shown).size() == 1);
        CHECK(warnings_of(shown)[0].find("2 accounts that are closed by now were charged by it: "
                                         "a-101, a-103;") != std::string::npos);
        const Reply done = house.import_signed(dearer("2026-11-23"));
        REQUIRE(done.kind == ReplyKind::ok);
        CHECK(warnings_of(done) == warnings_of(shown));
        CHECK(house.ledger("a-103") == "0.00");
    }
    CHECK(house.proof() == "");
}

TEST_CASE("more closed accounts than a warning names are counted") {
    FileTexts files = three_homes();
    files["people.csv"] = "person,kind,name\np-0,tenant,a\np-1,tenant,b\n";
    files["accounts.csv"] =
        "account,unit,service,tariff,holder\na-103,1-103,electricity,flat,p-1\n";
    Late house(files);
    house.settle("e-103", "1000.00");
    for (int i = 0; i < 23; ++i) {
        house.read("e-103", "1000.00", kMorning + kHour + i * kHour / 2);
        ChangeOccupant change;
        change.act = {"local", "s-01", "s-02", "on", "k" + std::to_string(i), "h"};
        change.unit = "1-103";
        change.holder = i % 2 == 0 ? "p-0" : "p-1";
        change.settle = "refund";
        const Reply moved = house.ask(change);
        INFO(moved.detail << (moved.errors.empty() ? "" : moved.errors[0].message));
        REQUIRE(moved.kind == ReplyKind::created);
    }
    const Reply shown = house.import(dearer("2026-11-23"), true);
    REQUIRE(shown.kind == ReplyKind::ok);
    CHECK(shown.json.find("23 accounts that are closed by now were charged by it: a-103, ") !=
          std::string::npos);
    CHECK(shown.json.find(" and 3 more; nothing is posted") != std::string::npos);
}

TEST_CASE("a day that ends while an account waits for its settlement has its fee once") {
    const std::string text =
        "[[tariff]]\nid = \"flat\"\nservice = \"electricity\"\nsource = \"a test\"\n"
        "[[tariff.version]]\nvalid_from = \"2026-01-01\"\nladder = \"none\"\n"
        "tiers = [ { price = \"1.00\" } ]\n"
        "fixed = [ { name = \"line\", per = \"day\", amount = \"0.10\" } ]\n";
    FileTexts files = three_homes();
    files["tariffs/flat.toml"] = text;
    Late house(files);
    for (const char* meter : {"e-101", "e-103"}) house.settle(meter, "1000.00");
    house.pass(kMidnight24 + 3 * kHour - house.clock.wall);
    CHECK(house.ledger("a-103") == "-0.10");
    house.clock.look_costs = 5;
    ImportRegistry command;
    command.actor = "local";
    command.files = {{"tariffs/flat.toml",
                      text +
                          "[[tariff.version]]\nvalid_from = \"2026-11-23\"\nladder = \"none\"\n"
                          "tiers = [ { price = \"1.00\" } ]\n"
                          "fixed = [ { name = \"line\", per = \"day\", amount = \"0.25\" } ]\n"}};
    command.by = "s-01";
    command.second = "s-02";
    command.reason = "late";
    REQUIRE(house.engine().submit(command, [](const Reply&) {}));
    for (int turn = 0; turn < 20 && house.events("registry.imported").size() < 2; ++turn)
        house.step();
    REQUIRE(house.events("registry.imported").size() == 2);
    REQUIRE(house.ledger("a-103") == "-0.10");
    house.clock.look_costs = 0;
    // Midnight passes before the next turn.
    house.pass(kMidnight24 + kDay + 6 * kMinute - house.clock.wall);
    house.pass(kSecond);
    CHECK(house.events("tariff.settled").size() == 1);
    // Two days of 0.25, and both accounts alike.
    CHECK(house.ledger("a-103") == "-0.50");
    CHECK(house.ledger("a-101") == "99.50");
    CHECK(house.kept("fee -0.25") == 2);
    CHECK(house.proof() == "");
}

TEST_CASE("a month's fee that was posted on the first is settled with a price of that day") {
    const std::string monthly =
        "[[tariff]]\nid = \"flat\"\nservice = \"electricity\"\nsource = \"a test\"\n"
        "[[tariff.version]]\nvalid_from = \"2026-01-01\"\nladder = \"none\"\n"
        "tiers = [ { price = \"1.00\" } ]\n"
        "fixed = [ { name = \"service\", per = \"month\", amount = \"2.00\" } ]\n";
    FileTexts homes = three_homes();
    homes["tariffs/flat.toml"] = monthly;
    Late house(homes);
    const UtcMs december = kMidnight24 + 7 * kDay;
    house.read("e-103", "1000.00", kMidnight24 - kHour);
    house.read("e-103", "1000.00", december);
    house.pass(6 * kMinute);
    // The use of the first up to ten is posted with the change, and brings the month's fee.
    house.read("e-103", "1001.00", december + 10 * kHour);
    std::string& accounts = homes["accounts.csv"];
    accounts.replace(accounts.find("electricity,flat"), 16, "electricity,beijing");
    REQUIRE(house.import(homes).kind == ReplyKind::ok);
    house.read("e-103", "1001.00", december + 10 * kHour + kMinute);
    REQUIRE(house.kept("fee -2.00 fee:flat/service/2026-12") == 1);
    homes["tariffs/flat.toml"] =
        monthly +
        "[[tariff.version]]\nvalid_from = \"2026-12-01\"\nladder = \"none\"\n"
        "tiers = [ { price = \"1.00\" } ]\n"
        "fixed = [ { name = \"service\", per = \"month\", amount = \"3.50\" } ]\n";
    const auto money = money_of(house.import(homes, /*dry_run=*/true));
    REQUIRE(money.size() == 1);
    CHECK(money[0].as_object().at("amount") == "-1.50");
    REQUIRE(house.import_signed(homes).kind == ReplyKind::ok);
    CHECK(house.kept("price_settlement -1.50 version:") == 1);
    CHECK(house.proof() == "");
    house.read("e-103", "1001.00", december + kDay);
    house.pass(6 * kMinute);
    CHECK(house.kept("fee -3.50") == 0);
    CHECK(house.proof() == "");
}
