// What one row alone cannot tell: references, uniqueness, and which meter is charged to whom.
#include <array>

#include "daemon/core/tariff.hpp"
#include "tests/integration/registry/support.hpp"

using namespace gatehouse;
using namespace gatehouse::registry_files;

namespace {

struct Case {
    std::string file;
    std::string from;
    std::string to;
    int line;
    int column;
    std::string fragment;
};

std::map<std::string, std::string> changed(const Case& c) {
    auto folder = house();
    std::string& text = folder.at(c.file);
    const auto at = text.find(c.from);
    INFO(c.file << ": " << c.from);
    REQUIRE(at != std::string::npos);
    text.replace(at, c.from.size(), c.to);
    return folder;
}

Parsed parsed_house() {
    auto parsed = parse(files_of(house()));
    INFO(listed(parsed.problems));
    REQUIRE(parsed.ok());
    return parsed;
}

}  // namespace

TEST_CASE("a sound house has no problem and no warning") {
    const auto parsed = parsed_house();
    CHECK(parsed.warnings.empty());
    const auto checked = check(merge({}, parsed).registry, known(), parsed.places);
    INFO(listed(checked.problems) << listed(checked.warnings));
    CHECK(checked.problems.empty());
    CHECK(checked.warnings.empty());
}

TEST_CASE("each wrong reference is named at its cell with the nearest name") {
    const std::vector<Case> cases{
        {"units.csv", "s-01", "s-02", 2, 26, "no staff 's-02'; did you mean 's-01'?"},
        {"people.csv", "1-101,2025", "1-111,2025", 2, 14, "no unit '1-111'; did you mean"},
        {"meters.csv", "e-101,1-101", "e-101,1-100", 2, 7, "no unit '1-100'; did you mean"},
        {"meters.csv", "b1,3", "b3,3", 4, 25, "configuration has no bus 'b3'; did you mean 'b1'?"},
        {"meters.csv", "b1,3", "b1,1", 4, 28, "where meter 'e-101' is already"},
        {"meters.csv", "e-s1,s-1", "e-s1,", 5, 6, "neither unit nor account"},
        {"accounts.csv", "a-102,1-102", "a-102,1-103", 3, 7, "no unit '1-103'"},
        {"accounts.csv", "p-1", "p-2", 2, 39, "no person 'p-2'; did you mean 'p-1'?"},
        {"accounts.csv", "shop-power", "shop-powr", 4, 22, "did you mean 'shop-power'?"},
        {"accounts.csv", "shop-power", "home-water", 4, 22, "prices water, but electricity"},
        {"accounts.csv", "shop-power", "home-power", 4, 22, "not for the use shop"},
        {"accounts.csv", "home-power;home-water", "home-power", 2, 17, "covers 2 services"},
        {"accounts.csv", "home-power;home-water", "home-water;home-power", 2, 17,
         "prices water, but electricity"},
        {"accounts.csv", "a-s1,s-1", "a-s1,1-102", 4, 6, "open account 'a-102' for electricity"},
        {"accounts.csv", "a-102,1-102,electricity,home-power,,,",
         "a-102,1-102,electricity,home-power,,,1;2", 3, 38, "2 opening_ladder quantities"},
        {"pools.csv", "1-101;1-102", "1-101;s-1", 2, 35, "shares by area, but unit 's-1'"},
        {"pools.csv", "e-101,e-102", "e-101,e-101", 2, 24, "both main and sub"},
        {"pools.csv", "e-101,e-102", "w-101,e-102", 2, 18, "meter 'w-101' counts water"},
        {"pools.csv", "home-power", "home-water", 2, 47, "prices water"},
        {"pools.csv", "1-101;1-102", "1-101;1-101", 2, 35, "'1-101' stands twice"},
        {"keys.csv", "kc-01", "kc-02", 2, 15, "no cabinet 'kc-02'"},
    };
    for (const auto& c : cases) {
        const auto problems = problems_of(changed(c));
        INFO(c.file << ": " << c.from << " -> " << c.to << "\nexpected " << c.line << ":"
                    << c.column << " " << c.fragment << "\ngot\n"
                    << listed(problems));
        CHECK(holds(problems, c.line, c.column, c.fragment));
    }
}

TEST_CASE(
    "keys of a house without a cabinet are taken, and what is missing is said once a cabinet") {
    auto folder = house();
    folder["keys.csv"] =
        "key,class,cabinet,slot\nk-1,entrusted,kc-09,1\nk-2,entrusted,kc-09,2\n"
        "k-3,entrusted,kc-10,1\nk-4,entrusted,,\n";
    const auto parsed = parse(files_of(folder));
    auto outside = known();
    outside.cabinets.emplace();
    const auto checked = check(merge({}, parsed).registry, outside, parsed.places);
    INFO(listed(checked.problems));
    CHECK(checked.problems.empty());
    INFO(listed(checked.warnings));
    CHECK(std::count_if(checked.warnings.begin(), checked.warnings.end(),
                        [](const Problem& one) { return one.file == "keys.csv"; }) == 2);
    CHECK(holds(checked.warnings, 2, 15, "no [[cabinet]]"));
    CHECK(holds(checked.warnings, 4, 15, "'kc-10'"));
}

TEST_CASE("an unknown profile disables that meter alone") {
    const auto folder =
        changed({"meters.csv", "b1,1,,eastron-sdm120", "b1,1,,eastron-sdm12", 0, 0, ""});
    const auto parsed = parse(files_of(folder));
    const auto checked = check(merge({}, parsed).registry, known(), parsed.places);
    CHECK(checked.problems.empty());
    INFO(listed(checked.warnings));
    CHECK(holds(checked.warnings, 2, 31, "did you mean 'eastron-sdm120'?"));
}

TEST_CASE(
    "a broken profile is named with its place, and a ratio that counts twice with its meter") {
    auto folder = house();
    folder["meters.csv"] =
        "meter,unit,service,bus,address,profile,multiplier\n"
        "e-1,1-101,electricity,b1,1,acrel-adl400,40\n"
        "e-2,1-102,electricity,b1,2,acrel-adl400,1\n"
        "e-3,1-102,electricity,b1,3,eastron-sdm630,40\n"
        "e-4,1-102,electricity,b1,4,eastron-sdm120,1\n";
    folder.erase("pools.csv");
    Known outside = known();
    outside.profiles.reset();
    outside.profile_fault = [](const Meter& meter) {
        if (meter.profile != "eastron-sdm120") return std::string();
        return "profile " + meter.profile + " is broken: /m/eastron-sdm120.toml:3:1: no id";
    };
    outside.profile_primary = [](const std::string& id) { return id == "acrel-adl400"; };
    const auto parsed = parse(files_of(folder));
    const auto checked = check(merge({}, parsed).registry, outside, parsed.places);
    INFO(listed(checked.problems) << listed(checked.warnings));
    CHECK(checked.warnings.size() == 2);
    CHECK(holds(checked.warnings, 2, 41, "meter 'e-1' has the multiplier 40"));
    CHECK(
        holds(checked.warnings, 5, 28, "will not be read: profile eastron-sdm120 is broken: /m/"));
}

TEST_CASE("a channel that the profile does not have, a place taken twice, a number for a figure") {
    auto folder = house();
    folder["meters.csv"] =
        "meter,unit,service,bus,address,channel,profile,multiplier,opening_register\n"
        "e-1,1-101,electricity,b1,1,1,eastron-sdm120,1,\n"
        "e-2,1-102,electricity,b1,2,,eastron-sdm120,1,\n"
        "e-3,1-102,electricity,b1,2,0,eastron-sdm120,1,\n"
        "e-4,1-102,electricity,b1,4,0,eastron-sdm120,1,92233720368547758\n"
        "e-5,1-102,electricity,b1,5,0,eastron-sdm120,1000000,99999999999\n"
        "e-6,1-102,electricity,b1,6,0,eastron-sdm120,1000,9999999.99\n";
    folder.erase("pools.csv");
    Known outside = known();
    outside.channel_fault = [](const Meter& meter) {
        return meter.channel.value_or(0) < 1 ? std::string() : std::string("it has one channel");
    };
    const auto parsed = parse(files_of(folder));
    auto problems = parsed.problems;
    for (const Problem& one : check(merge({}, parsed).registry, outside, parsed.places).problems)
        problems.push_back(one);
    INFO(listed(problems));
    CHECK(holds(problems, 2, 28, "it has one channel"));
    CHECK(holds(problems, 4, 26, "where meter 'e-2' is already"));
    CHECK(std::count_if(problems.begin(), problems.end(), [](const Problem& one) {
              return one.message.find("beyond what can be counted") != std::string::npos;
          }) == 2);
}

TEST_CASE("meters that name an account must fit it") {
    auto folder = house();
    folder["meters.csv"] =
        "meter,unit,service,account,tariff,parent\n"
        "w-1,1-101,water,a-102,,\n"
        "e-1,1-101,electricity,a-109,,\n"
        "e-2,1-101,electricity,,home-water,\n"
        "e-3,s-1,electricity,a-102,,\n"
        "e-4,1-101,electricity,,,e-5\n"
        "e-5,1-101,electricity,,,e-4\n"
        "e-6,1-101,electricity,,,w-1\n";
    folder.erase("pools.csv");
    const auto problems = problems_of(folder);
    INFO(listed(problems));
    CHECK(holds(problems, 2, 17, "does not cover water"));
    CHECK(holds(problems, 3, 23, "no account 'a-109'; did you mean 'a-101'?"));
    CHECK(holds(problems, 4, 24, "prices water, but electricity"));
    CHECK(holds(problems, 5, 1 + 20 + 6, "not for the use shop"));
    CHECK(holds(problems, 6, 25, "above itself"));
    CHECK(holds(problems, 8, 25, "parent 'w-1' water"));
}

TEST_CASE("a charged meter ends on exactly one account and tariff") {
    auto parsed = parsed_house();
    Registry registry = parsed.registry;
    const auto of = [&](const std::string& meter) {
        std::string out;
        for (const auto& charged : charged_meters(registry)) {
            if (charged.meter->meter == meter) {
                out += charged.account->account + "/" + charged.tariff->tariff + " ";
            }
        }
        return out;
    };
    CHECK(of("e-101") == "a-101/home-power ");
    CHECK(of("w-101") == "a-101/home-water ");
    CHECK(of("e-s1") == "a-s1/shop-power ");

    // Two electricity meters of one shop: the second names an account without a unit.
    Account second = registry.accounts.at(2);
    second.account = "a-s1-light";
    second.unit = "";
    registry.accounts.push_back(second);
    Meter light = registry.meters.at(3);
    light.meter = "e-s1-light";
    light.account = "a-s1-light";
    light.tariff = "home-power";
    registry.meters.push_back(light);
    CHECK(of("e-s1") == "a-s1/shop-power ");
    CHECK(of("e-s1-light") == "a-s1-light/home-power ");

    Meter main = registry.meters.at(0);
    main.meter = "e-main";
    main.role = MeterRole::check;
    registry.meters.push_back(main);
    CHECK(of("e-main").empty());
    registry.meters.at(0).status = MeterStatus::retired;
    CHECK(of("e-101").empty());
    registry.accounts.at(1).closed = "2026-01-01T00:00:00+08:00";
    CHECK(of("e-102").empty());
}

TEST_CASE("an account says by name what its prices cannot be charged for") {
    auto parsed = parsed_house();
    Registry& registry = parsed.registry;
    CHECK(not_yet(registry).at(2).empty());
    // A pool is stored beside it: what its members pay today is right without their share.
    CHECK(not_yet(registry).at(1).empty());
    // What a pool cannot be shared at is said at its cell.
    for (Tariff& tariff : registry.tariffs)
        if (tariff.tariff == registry.pools.at(0).tariff)
            tariff.versions.at(0).fixed.push_back({"service", FeePeriod::month, Fen{200}});
    const auto warnings = check(registry, {}, parsed.places).warnings;
    CHECK(std::any_of(warnings.begin(), warnings.end(), [](const Problem& warning) {
        return warning.file == "pools.csv" &&
               warning.message.find("pool 'lift' cannot be shared") == 0 &&
               warning.message.find("without fees") != std::string::npos;
    }));
    registry.tariffs.at(2).versions.at(0).minimum = kFeeMax + Fen{1};
    const auto why = not_yet(registry).at(2);
    CHECK(why.find("account 'a-s1'") != std::string::npos);
    CHECK(why.find("minimum") != std::string::npos);
}

TEST_CASE("import never deletes, and says what it did to each row") {
    const auto first = parsed_house();
    const Registry house = merge({}, first).registry;

    const auto again = merge(house, first);
    CHECK(again.registry == house);
    CHECK(again.count(Outcome::unchanged) == again.changes.size());

    // Only some columns of one row: the others of that row are left, and so are all other rows.
    const auto part = parse({{"units.csv", "unit,persons\n1-102,4\n9-901,1\n"}});
    const auto merged = merge(house, part);
    REQUIRE(merged.registry.units.size() == 4);
    CHECK(merged.registry.units.at(1).persons == 4);
    CHECK(merged.registry.units.at(1).label == "1栋102");
    CHECK(merged.registry.meters == house.meters);
    REQUIRE(merged.changes.size() == 2);
    CHECK(merged.changes[0].id == "1-102");
    CHECK(merged.changes[0].outcome == Outcome::changed);
    CHECK(merged.changes[0].fields == std::vector<std::string>{"persons"});
    CHECK(merged.changes[1].outcome == Outcome::added);

    // A column that is there with an empty cell takes the value away.
    const auto emptied = merge(house, parse({{"units.csv", "unit,label\n1-102,\n"}}));
    CHECK(emptied.registry.units.at(1).label.empty());
}

TEST_CASE("an import adds tariff versions and leaves those it does not name") {
    const Registry house = merge({}, parsed_house()).registry;
    std::string text = flat_tariff("home-water", "water");
    text.replace(text.find("2026-01-01"), 10, "2027-01-01");
    const auto merged = merge(house, parse({{"tariffs/w.toml", text}}));
    REQUIRE(merged.changes.size() == 1);
    CHECK(merged.changes[0].fields == std::vector<std::string>{"version 2027-01-01"});
    CHECK(merged.registry.tariffs.at(1).versions.size() == 2);
    CHECK(merged.registry.tariffs.at(1).versions.at(0).valid_from == LocalDate{2026, 1, 1});
}

TEST_CASE("an import neither closes nor opens an account") {
    Registry house = merge({}, parsed_house()).registry;
    const auto closing =
        parse({{"accounts.csv",
                "account,service,tariff,closed\na-102,electricity,home-power,2026-05-01\n"}});
    const auto merged = merge(house, closing);
    INFO(listed(merged.problems));
    CHECK(holds(merged.problems, 2, 30, "closed is written by export alone"));
    CHECK(merged.registry.accounts.at(1).closed.empty());

    const auto row = parse(
        {{"accounts.csv", "account,service,tariff,closed\na-9,water,home-water,2026-05-01\n"}});
    CHECK(merge(house, row).problems.empty());
}

TEST_CASE("cards are hashed once") {
    auto registry = parsed_house().registry;
    const CardHash hash = [](const std::string&) { return std::string(64, 'a'); };
    hash_cards(registry, hash);
    CHECK(registry.staff.at(0).cards.at(0) == "hmac256:" + std::string(64, 'a'));
    hash_cards(registry, [](const std::string&) { return std::string(64, 'b'); });
    CHECK(registry.staff.at(0).cards.at(0) == "hmac256:" + std::string(64, 'a'));
    for (const auto& [name, text] : write(parsed_house().registry, hash)) {
        CHECK(text.find("0012345") == std::string::npos);
    }
}

namespace {

// Everything that an import of these files names, as the engine does it.
Checked all_of(const std::map<std::string, std::string>& folder) {
    const auto parsed = parse(files_of(folder));
    const auto merged = merge({}, parsed);
    auto checked = check(merged.registry, known(), parsed.places, parsed.partial);
    checked.problems.insert(checked.problems.end(), parsed.problems.begin(), parsed.problems.end());
    arrange_problems(checked.problems);
    return checked;
}

}  // namespace

TEST_CASE("a wrong cell hides nothing that is wrong elsewhere, and makes no noise") {
    struct Wrong {
        const char* name;
        std::vector<std::array<std::string, 3>> edits;  // file, from, to
        std::vector<std::string> told;                  // in order, the front of each problem
    };
    const std::vector<Wrong> cases{
        {"a cell of a unit, a reference of a meter",
         {{"units.csv", "89.37", "8x.37"}, {"meters.csv", "e-102,1-102", "e-102,1-192"}},
         {"meters.csv:4:7: meter 'e-102': there is no unit '1-192'; did you mean", "units.csv:2:"}},
        {"a meter's own cell: who names it finds it, and its other cells are judged",
         {{"meters.csv", "b1,3", "b9,three"}},
         {"meters.csv:4:25: meter 'e-102': the configuration has no bus 'b9'",
          "meters.csv:4:28: address: "}},
        {"a row with too few cells is known by its id",
         {{"units.csv", "1-102,1栋102,home,120,,\n", "1-102,1栋102,home\n"},
          {"accounts.csv", "shop-power", "shop-powr"}},
         {"accounts.csv:4:22: account 'a-s1': there is no tariff 'shop-powr'; did you mean "
          "'shop-power'?",
          "units.csv:3:"}},
        {"a quote in the wrong place costs its row alone",
         {{"units.csv", "1栋102,home", "1\"栋102,home"},
          {"units.csv", "s-1,门面1,shop", "s-1,门面1,shp"}},
         {"units.csv:3:8: a quote inside a cell", "units.csv:4:9: use: "}},
        {"an unknown column hides no row",
         {{"accounts.csv", "holder", "holdr"}, {"accounts.csv", "a-102,1-102", "a-102,1-109"}},
         {"accounts.csv:1:29: unknown column 'holdr'; did you mean 'holder'?",
          "accounts.csv:3:7: account 'a-102': there is no unit '1-109'"}},
        {"a missing column is told once",
         {{"people.csv", "person,kind", "person,knd"}, {"people.csv", "1-101,2025", "1-999,2025"}},
         {"people.csv:1:1: column 'kind' is missing", "people.csv:1:8: unknown column 'knd'",
          "people.csv:2:"}},
        {"a tariff with a wrong part is still there",
         {{"tariffs/shop-power.toml", "\"0.5\"", "\"cheap\""},
          {"meters.csv", "e-101,1-101", "e-101,1-191"}},
         {"meters.csv:2:7: meter 'e-101': there is no unit '1-191'", "tariffs/shop-power.toml:8:"}},
        {"a tariff file that is no TOML still names its ids",
         {{"tariffs/shop-power.toml", "service =", "service"},
          {"accounts.csv", "home-power;home-water", "home-powr;home-water"}},
         {"accounts.csv:2:17: account 'a-101': there is no tariff 'home-powr'; did you mean "
          "'home-power'?",
          "tariffs/shop-power.toml:3:"}},
        {"duplicates, dangling names and wrong cells together",
         {{"meters.csv", "w-101,1-101", "e-101,1-101"},
          {"people.csv", "owner", "ownr"},
          {"accounts.csv", "p-1", "p-7"},
          {"units.csv", "s-01", "s-91"}},
         {"accounts.csv:2:", "meters.csv:3:1: 'e-101' stands twice; it is already in line 2",
          "people.csv:2:5: kind: ", "units.csv:2:26: unit '1-101': there is no staff 's-91'"}},
    };
    for (const Wrong& one : cases) {
        INFO(one.name);
        auto folder = house();
        for (const auto& [file, from, to] : one.edits) {
            std::string& text = folder[file];
            const auto at = text.find(from);
            INFO(file << ": " << from);
            REQUIRE(at != std::string::npos);
            text.replace(at, from.size(), to);
        }
        const auto checked = all_of(folder);
        INFO(listed(checked.problems));
        REQUIRE(checked.problems.size() == one.told.size());
        for (std::size_t i = 0; i < one.told.size(); ++i)
            CHECK(gatehouse::to_string(checked.problems[i]).rfind(one.told[i], 0) == 0);
    }
}

TEST_CASE("holes of one part of a tariff are told beside a wrong cell of another") {
    auto folder = house();
    folder["tariffs/more.toml"] =
        "[[tariff]]\nid = \"bands\"\nservice = \"electricity\"\nsource = \"a test\"\n"
        "[[tariff.version]]\nvalid_from = \"2026-01-01\"\nladder = \"none\"\n"
        "minimum = \"a little\"\n"
        "bands = [ { name = \"peak\", from = \"08:00\", to = \"21:00\", price = \"0.5\" }, "
        "{ name = \"valley\", from = \"22:00\", to = \"08:00\", price = \"0.2\" } ]\n";
    const auto checked = all_of(folder);
    INFO(listed(checked.problems));
    REQUIRE(checked.problems.size() == 2);
    CHECK(checked.problems[0].line == 8);
    CHECK(checked.problems[1].line == 9);
    CHECK(checked.problems[1].message.find("no band holds 21:00 to 22:00") != std::string::npos);
}
