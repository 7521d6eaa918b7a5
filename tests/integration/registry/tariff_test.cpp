// tariffs/*.toml by CONTRACT.md 3: what is read, and what is refused where.
#include "tests/integration/registry/support.hpp"

using namespace gatehouse;
using namespace gatehouse::registry_files;

namespace {

// Seven lines; the version's tiers begin in line 8.
const std::string kHead =
    "[[tariff]]\n"
    "id = \"t\"\n"
    "service = \"electricity\"\n"
    "source = \"a test\"\n"
    "[[tariff.version]]\n"
    "valid_from = \"2026-01-01\"\n"
    "ladder = \"month\"\n";

struct Case {
    std::string text;
    int line;
    int column;
    std::string fragment;
};

Parsed read(const std::string& text) {
    return parse({{"tariffs/t.toml", text}});
}

void check_each(const std::vector<Case>& cases) {
    for (const auto& c : cases) {
        const auto parsed = read(c.text);
        INFO(c.text << "\nexpected " << c.line << ":" << c.column << " " << c.fragment << "\ngot\n"
                    << listed(parsed.problems));
        CHECK(holds(parsed.problems, c.line, c.column, c.fragment));
    }
}

std::vector<Case> after_head(std::vector<Case> cases) {
    for (auto& c : cases) {
        c.text = kHead + c.text;
    }
    return cases;
}

}  // namespace

TEST_CASE("the contract's example is read to the letter") {
    const auto parsed = read(R"([[tariff]]
id = "beijing-home-electricity"
label = { zh-CN = "居民阶梯电价", en = "Residential, tiered" }
service = "electricity"                  # priced per kWh; water per m3
source = "where the prices were published"
uses = ["home"]
  [[tariff.version]]
  valid_from = "2026-01-01"              # local midnight
  ladder = "year"                        # none, month, year
  ladder_from = "07-01"                  # where a year begins
  tiers = [
    { up_to = "2880", price = "0.4883" },
    { up_to = "4800", price = "0.5383" },
    { price = "0.7883" } ]
  per_person = { from = 6, up_to_plus = "100" }     # raises each limit
  fixed = [
    { name = "service", per = "month", amount = "2.00" } ]
  minimum = "0.00"                       # a month
  quantity_step = "0.001"                # "1": whole tons, the rest carried
  [[tariff.version]]
  valid_from = "2027-01-01"
  ladder = "month"
  tiers = [
    { months = [5,6,7,8,9,10], up_to = "260", price = "0.58886875" },
    { months = [5,6,7,8,9,10], price = "0.6389" },
    { up_to = "200", price = "0.5889" },
    { price = "0.6389" } ]
  [[tariff.version]]
  valid_from = "2028-01-01"
  ladder = "year"
  bands = [
    { name = "peak", from = "08:00", to = "22:00", price = "0.568" },
    { name = "valley", from = "22:00", to = "08:00", price = "0.288" } ]
  tiers = [
    { up_to = "2760", adder = "0.00" },
    { up_to = "4800", adder = "0.05" },
    { adder = "0.30" } ]
)");
    INFO(listed(parsed.problems));
    REQUIRE(parsed.ok());
    CHECK(parsed.warnings.empty());
    const Tariff& tariff = parsed.registry.tariffs.at(0);
    CHECK(tariff.label.at("zh-CN") == "居民阶梯电价");
    CHECK(tariff.uses == std::vector<Use>{Use::home});
    REQUIRE(tariff.versions.size() == 3);
    const auto& first = tariff.versions[0];
    CHECK(first.ladder_from_month == 7);
    CHECK(first.tiers.at(0).up_to == Milli{2'880'000});
    CHECK(first.tiers.at(0).price == Price{48'830'000});
    CHECK_FALSE(first.tiers.at(2).up_to.has_value());
    CHECK(first.per_person->up_to_plus == Milli{100'000});
    CHECK(first.fixed.at(0).amount == Fen{200});
    CHECK(tariff.versions[1].tiers.at(0).price == Price{58'886'875});
    CHECK(tariff.versions[2].bands.at(1).to_minute == 480);
    CHECK(tariff.versions[2].tiers.at(2).adder == Price{30'000'000});
}

TEST_CASE("a tariff without what it needs is refused at its table") {
    check_each({
        {"", 1, 1, "[[tariff]] is missing"},
        {"[[tarif]]\n", 1, 3, "did you mean 'tariff'?"},
        {"[[tariff]]\nservice = \"water\"\nsource = \"x\"\n", 1, 1, "tariff.id is missing"},
        {"[[tariff]]\nid = \"t\"\nsource = \"x\"\n", 1, 1, "tariff.service is missing"},
        {"[[tariff]]\nid = \"t\"\nservice = \"water\"\n", 1, 1, "tariff.source is missing"},
        {"[[tariff]]\nid = \"t\"\nservice = \"water\"\nsource = \"\"\n", 4, 10, "must say where"},
        {"[[tariff]]\nid = \"t\"\nservice = \"water\"\nsource = \"x\"\n", 1, 1,
         "[[tariff.version]] is missing"},
        {"[[tariff]]\nid = \"a b\"\n", 2, 6, "identifiers are"},
        {"[[tariff]]\nservice = \"gas\"\n", 2, 11, "must be one of electricity, water"},
        {"[[tariff]]\nuses = [\"home\", \"shops\"]\n", 2, 17, "did you mean 'shop'?"},
        {"[[tariff]]\nuses = [\"home\", \"home\"]\n", 2, 17, "twice"},
        {"[[tariff]]\nuses = []\n", 2, 8, "leave it out"},
        {"[[tariff]]\nlabel = { de = \"x\" }\n", 2, 11, "unknown key 'tariff.label.de'"},
        {"[[tariff]]\n[[tariff.version]]\nladder = \"none\"\n", 2, 1, "valid_from is missing"},
        {"[[tariff]]\n[[tariff.version]]\nvalid_from = \"2026-01-01\"\n", 2, 1,
         "ladder is missing"},
        {"[[tariff]]\n[[tariff.version]]\nvalid_from = 2026-01-01\n", 3, 14,
         "must be a string in quotes, not a date"},
        {"[[tariff]]\n[[tariff.version]]\nvalid_from = \"2026-02-30\"\n", 3, 14, "write a date"},
        {"[[tariff]]\n[[tariff.version]]\nladder = \"yearly\"\n", 3, 10, "did you mean 'year'?"},
        {"[[tariff]]\n[[tariff.version]]\nladder_from = \"13-01\"\n", 3, 15, "month and day"},
    });
}

TEST_CASE("each wrong key of a version is refused at its place") {
    check_each(after_head({
        {"", 5, 1, "tiers is missing"},
        {"tiers = []\n", 8, 9, "is empty"},
        {"tiers = [ { price = 0.5 } ]\n", 8, 21, "not a floating-point number"},
        {"tiers = [ { price = \"0.123456789\" } ]\n", 8, 21, "at most 8 places"},
        {"tiers = [ { price = \"-1\" } ]\n", 8, 21, "must be from 0"},
        {"tiers = [ { prize = \"1\" } ]\n", 8, 13, "did you mean 'price'?"},
        {"tiers = [ { up_to = \"5\" } ]\n", 8, 11, "price is missing"},
        {"tiers = [ { adder = \"5\" } ]\n", 8, 21, "goes with bands"},
        {"tiers = [ { up_to = \"1.2345\", price = \"1\" } ]\n", 8, 21, "at most 3 places"},
        {"tiers = [ { up_to = \"5\", price = \"1\" } ]\n", 8, 9, "must be open"},
        {"tiers = [ { price = \"1\" }, { price = \"1\" } ]\n", 8, 9, "only the last tier"},
        {"tiers = [ { up_to = \"5\", price = \"1\" }, { up_to = \"5\", price = \"1\" }, "
         "{ price = \"2\" } ]\n",
         8, 9, "must ascend: 5.000 follows 5.000"},
        {"tiers = [ { months = [1, 13], price = \"1\" } ]\n", 8, 26, "1 to 12"},
        {"tiers = [ { months = [1, 1], price = \"1\" } ]\n", 8, 26, "each once"},
        {"tiers = [ { months = [], price = \"1\" } ]\n", 8, 22, "leave it out"},
        {"tiers = [ { months = [1], price = \"1\" } ]\n", 8, 9, "no tier holds in month 2"},
        {"tiers = [ { months = [1,2], price = \"1\" }, { months = [2], price = \"1\" }, "
         "{ price = \"1\" } ]\n",
         8, 9, "month 2 belongs to two seasons"},
        {"tiers = [ { months = [1,2,3,4,5,6,7,8,9,10,11,12], price = \"1\" }, "
         "{ price = \"1\" } ]\n",
         8, 9, "never hold"},
        {"tiers = [ { price = \"1\" } ]\nfixed = [ { name = \"a b\", per = \"month\", "
         "amount = \"1\" } ]\n",
         9, 20, "without blanks"},
        {"tiers = [ { price = \"1\" } ]\nfixed = [ { name = \"a\", per = \"week\", "
         "amount = \"1\" } ]\n",
         9, 31, "must be one of month, day"},
        {"tiers = [ { price = \"1\" } ]\nfixed = [ { name = \"a\", per = \"day\" } ]\n", 9, 11,
         "amount is missing"},
        {"tiers = [ { price = \"1\" } ]\nminimum = \"-1\"\n", 9, 11, "must be from 0"},
        {"tiers = [ { price = \"1\" } ]\nquantity_step = \"0\"\n", 9, 17, "must be from 0.001"},
        {"tiers = [ { price = \"1\" } ]\nper_person = { from = 0, up_to_plus = \"1\" }\n", 9, 23,
         "from 1 to 99"},
        {"tiers = [ { price = \"1\" } ]\nper_person = { from = 5 }\n", 9, 14,
         "up_to_plus is missing"},
        {"tiers = [ { price = \"1\" } ]\n[[tariff.version]]\nvalid_from = \"2026-01-01\"\n"
         "ladder = \"none\"\ntiers = [ { price = \"1\" } ]\n",
         10, 14, "must come after 2026-01-01"},
    }));
}

TEST_CASE("a ladder of none has one tier, and a year has no seasons") {
    auto text = kHead + "tiers = [ { up_to = \"5\", price = \"1\" }, { price = \"1\" } ]\n";
    CHECK(read(text).ok());
    text.replace(text.find("month"), 5, "none");
    CHECK(holds(read(text).problems, 8, 9, "ladder is none, which has one tier"));
    text = kHead + "tiers = [ { months = [1], price = \"1\" }, { price = \"2\" } ]\n";
    CHECK(read(text).ok());
    text.replace(text.find("\"month\""), 7, "\"none\"");
    CHECK(read(text).ok());
    text.replace(text.find("\"none\""), 6, "\"year\"");
    CHECK(holds(read(text).problems, 8, 9, "seasons do not go with"));
}

TEST_CASE("bands cover exactly 24 hours of every kind of day and month") {
    const auto bands = [](const std::string& items) {
        return kHead + "bands = [ " + items + " ]\n";
    };
    const auto band = [](const std::string& name, const std::string& from, const std::string& to,
                         const std::string& more = "", const std::string& price = "1") {
        return "{ name = \"" + name + "\", from = \"" + from + "\", to = \"" + to + "\", " + more +
               "price = \"" + price + "\" }";
    };
    CHECK(read(bands(band("a", "00:00", "24:00"))).ok());
    CHECK(read(bands(band("a", "22:00", "08:00") + ", " + band("b", "08:00", "22:00"))).ok());
    CHECK(read(bands(band("a", "00:00", "24:00", "days = \"workday\", ") + ", " +
                     band("b", "00:00", "24:00", "days = \"weekend\", ") + ", " +
                     band("c", "00:00", "24:00", "days = \"holiday\", ")))
              .ok());
    check_each({
        {bands(band("a", "00:00", "23:59")), 8, 9, "no band holds 23:59 to 24:00 on a workday"},
        {bands(band("a", "00:00", "12:00") + ", " + band("b", "11:00", "24:00")), 8, 9,
         "more than one band holds 11:00 to 12:00"},
        {bands(band("a", "00:00", "24:00", "months = [1], ")), 8, 9, "in month 2"},
        {bands(band("a", "00:00", "24:00", "days = \"workday\", ") + ", " +
               band("b", "00:00", "24:00", "days = \"weekend\", ")),
         8, 9, "on a holiday in month 1"},
        {bands(band("a", "00:00", "12:00") + ", " + band("a", "12:00", "24:00", "", "2")), 8, 9,
         "band 'a' has two prices, 1.00 and 2.00"},
        {bands(band("a", "08:00", "08:00")), 8, 46, "same time"},
        {bands(band("a", "24:00", "08:00")), 8, 32, "write a time"},
        {bands(band("a b", "00:00", "24:00")), 8, 20, "without blanks"},
        {bands(""), 8, 9, "is empty"},
        {bands(band("a", "00:00", "24:00")) + "tiers = [ { price = \"1\" } ]\n", 9, 21,
         "adder alone"},
        {bands(band("a", "00:00", "24:00")) + "tiers = [ { up_to = \"1\" } ]\n", 9, 11,
         "adder is missing"},
        {bands(band("a", "00:00", "24:00")) + "quantity_step = \"1\"\n", 9, 17,
         "does not go with bands"},
    });
}

TEST_CASE("several tariffs may stand in one file, each id once in all") {
    const auto one = flat_tariff("a", "water");
    CHECK(read(one + flat_tariff("b", "water")).registry.tariffs.size() == 2);
    // An export beside the file that it came from repeats it word for word.
    const auto same = parse({{"tariffs/x.toml", one}, {"tariffs/y.toml", one}});
    CHECK(same.problems.empty());
    CHECK(same.warnings.size() == 1);
    CHECK(same.registry.tariffs.size() == 1);
    std::string other = one;
    other.replace(other.find("source"), 0, "uses = [\"shop\"]\n");
    const auto twice = parse({{"tariffs/x.toml", one}, {"tariffs/y.toml", other}});
    REQUIRE(twice.problems.size() == 1);
    CHECK(twice.problems[0].file == "tariffs/y.toml");
    CHECK(twice.problems[0].message.find("already in tariffs/x.toml line 1") != std::string::npos);
}

TEST_CASE("what has no effect is said and does not refuse") {
    const auto parsed = read(kHead +
                             "ladder_from = \"02-29\"\ntiers = [ { price = \"1\" } ]\n"
                             "per_person = { from = 5, up_to_plus = \"1\" }\n");
    CHECK(parsed.ok());
    CHECK(holds(parsed.warnings, 8, 15, "no effect unless ladder is year"));
    CHECK(holds(parsed.warnings, 10, 14, "no tier has a limit"));
}

TEST_CASE("no table holds more than its limit") {
    std::string tiers;
    for (std::size_t i = 1; i <= kTiersMax; ++i) {
        tiers += "{ up_to = \"" + std::to_string(i) + "\", price = \"1\" }, ";
    }
    CHECK(holds(read(kHead + "tiers = [ " + tiers + "{ price = \"1\" } ]\n").problems, 8, 9,
                "at most 64"));
    std::string versions = kHead.substr(0, kHead.find("[[tariff.version]]"));
    for (std::size_t i = 0; i <= kVersionsMax; ++i) {
        versions += "[[tariff.version]]\nvalid_from = \"" + std::to_string(1971 + i) +
                    "-01-01\"\nladder = \"none\"\ntiers = [ { price = \"1\" } ]\n";
    }
    const auto parsed = read(versions);
    REQUIRE(parsed.problems.size() == 1);
    CHECK(parsed.problems[0].message.find("at most 200") != std::string::npos);
    CHECK_FALSE(read(std::string(1024 * 1024 + 1, '#')).ok());
}
