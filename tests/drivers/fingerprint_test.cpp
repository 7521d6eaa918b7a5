// Which profile is this, and does a value make sense: rules, telling values, alternatives.
#include "drivers/modbus/fingerprint.hpp"

#include <algorithm>
#include <map>

#include "drivers/modbus/plausibility.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::modbus;

namespace {

const ProfileTable& shipped() {
    static const ProfileTable kTable = load_profiles({GATEHOUSE_METERS});
    return kTable;
}

RegisterSpan holding(int first, int count) {
    return {RegisterTable::holding, first, count};
}
RegisterSpan input(int first, int count) {
    return {RegisterTable::input, first, count};
}

// An SDM120 at address 7: 1234.5 kWh, 230 V, 50 Hz, power factor 1.
ProbeImage sdm120() {
    ProbeImage image(7);
    image.answered(input(0x48, 2), {0x449A, 0x5000});
    image.answered(input(0x00, 2), {0x4366, 0x0000});
    image.answered(input(0x46, 2), {0x4248, 0x0000});
    image.answered(input(0x1E, 2), {0x3F80, 0x0000});
    image.answered(holding(0x14, 2), {0x40E0, 0x0000});
    image.answered(holding(0xFC00, 2), {0x0113, 0x8A2C});
    return image;
}

const Candidate* candidate(const std::vector<Candidate>& all, const std::string& id) {
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&](const Candidate& c) { return c.profile->id == id; });
    return found == all.end() ? nullptr : &*found;
}

std::shared_ptr<const Profile> parsed(const std::string& extra, const std::string& value) {
    const std::string text =
        "schema = 1\nid = \"x-y\"\nmaker = \"X\"\nmodel = \"Y\"\n"
        "service = \"electricity\"\nsource = \"bench\"\nmap = \"document\"\n"
        "billing = \"energy_import\"\n[meter]\nstep = \"0.01\"\n"
        "rated_amps = \"60\"\n" +
        extra +
        "[[value]]\nmeasurement = \"energy_import\"\nregister = 10\n"
        "type = \"u32\"\n" +
        value +
        "[[test]]\nname = \"1\"\nwords = { \"3:10\" = \"0000 0001\" }\n"
        "expect = { energy_import = \"1\" }\n"
        "[[test]]\nname = \"2\"\nwords = { \"3:10\" = \"0000 0002\" }\n"
        "expect = { energy_import = \"2\" }\n";
    const ParsedProfile result = parse_profile(text, "x-y.toml");
    for (const Problem& problem : result.problems) FAIL_CHECK(to_string(problem));
    REQUIRE(result.profile);
    return result.profile;
}

Finding judge(const Profile& profile, Measurement measurement, const Rational& number) {
    Decoded decoded;
    decoded.number = number;
    return judge_value(profile, measurement, decoded);
}

}  // namespace

TEST_CASE("a device that names its model is certain, and its sisters are not offered as such") {
    ProbeImage image = sdm120();
    image.answered(holding(0xFC02, 1), {0x0020});
    const std::vector<Candidate> all = rank_candidates(shipped(), image);
    REQUIRE_FALSE(all.empty());
    CHECK(all.front().profile->id == "eastron-sdm120");
    CHECK(all.front().fingerprint.match == Match::certain);
    CHECK(all.front().fingerprint.serial == "18057772");
    CHECK(all.front().fingerprint.why.find("meter code 32") != std::string::npos);
    // The same words could be an SDM230, which has no code; an SDM72D has another.
    REQUIRE(candidate(all, "eastron-sdm230") != nullptr);
    CHECK(candidate(all, "eastron-sdm230")->fingerprint.match == Match::likely);
    CHECK(candidate(all, "eastron-sdm72d") == nullptr);
    CHECK_FALSE(next_question(shipped(), image).has_value());
}

TEST_CASE("without the code the family is likely, and a foreign map is out") {
    ProbeImage image = sdm120();
    image.refused(holding(0xFC02, 1));
    const std::vector<Candidate> all = rank_candidates(shipped(), image);
    REQUIRE(candidate(all, "eastron-sdm120") != nullptr);
    CHECK(candidate(all, "eastron-sdm120")->fingerprint.match == Match::likely);
    CHECK(fingerprint(*shipped().find("abb-b23"), image).match == Match::possible);
    image.refused(holding(0x5000, 4));
    CHECK(fingerprint(*shipped().find("abb-b23"), image).match == Match::no);
    CHECK(candidate(rank_candidates(shipped(), image), "abb-b23") == nullptr);
}

TEST_CASE("the register that holds the address must hold the one that answers, or say nothing") {
    const auto profile = shipped().find("eastron-sdm230");
    ProbeImage mine = sdm120();
    ProbeImage other(8);  // behind a gateway that gives addresses of its own
    other.answered(holding(0x14, 2), {0x40E0, 0x0000});
    CHECK(fingerprint(*profile, mine).score > fingerprint(*profile, other).score);
    CHECK(fingerprint(*profile, other).match == Match::possible);
}

TEST_CASE("a value that cannot be true of the profile speaks against it") {
    const auto profile = shipped().find("eastron-sdm120");
    ProbeImage image = sdm120();
    image.answered(input(0x46, 2), {0x0000, 0x4248});  // 50 Hz with its words changed over
    const Fingerprint judged = fingerprint(*profile, image);
    CHECK(judged.match == Match::no);
    CHECK(judged.score == 0);
    CHECK(judged.why.find("frequency") != std::string::npos);
}

TEST_CASE("a block that holds a refused span is refused, and a part of one is not") {
    ProbeImage image(1);
    image.refused(holding(10, 2));
    CHECK(image.is_refused(holding(10, 2)));
    CHECK(image.is_refused(holding(8, 10)));
    CHECK_FALSE(image.is_refused(holding(10, 1)));
    CHECK_FALSE(image.is_refused(input(10, 2)));
    CHECK(image.is_known(holding(10, 2)));
}

TEST_CASE("rules compare numbers, masks, ranges and texts") {
    struct Row {
        const char* rule;
        std::vector<std::uint16_t> words;
        Match match;
    };
    const std::vector<Row> rows{
        {"type = \"u16\"\none_of = [\"0x0089\", \"7\"]\n", {7}, Match::certain},
        {"type = \"u16\"\none_of = [\"0x0089\"]\n", {0x89}, Match::certain},
        {"type = \"u16\"\none_of = [\"0x0089\"]\n", {7}, Match::no},
        {"type = \"u16\"\none_of = [\"0x0089\"]\nrefutes = false\n", {7}, Match::possible},
        {"type = \"u16\"\nat_least = \"331\"\nat_most = \"345\"\n", {345}, Match::certain},
        {"type = \"u16\"\nat_least = \"331\"\nat_most = \"345\"\n", {330}, Match::no},
        {"type = \"u16\"\nmask = 0xFF00\naddress = true\n", {0x0903}, Match::certain},
        {"type = \"u16\"\nmask = 0xFF00\naddress = true\n", {0x0803}, Match::possible},
        {"type = \"u16\"\nscale = \"0.1\"\none_of = [\"2.5\"]\n", {25}, Match::certain},
        {"type = \"ascii\"\ncount = 2\nbegins_with = [\"B23\"]\n",
         {0x4232, 0x3320},
         Match::certain},
        {"type = \"ascii\"\ncount = 2\nbegins_with = [\"b23\"]\n",
         {0x4232, 0x3320},
         Match::certain},
        {"type = \"ascii\"\ncount = 2\nbegins_with = [\"B21\"]\n", {0x4232, 0x3320}, Match::no},
        {"type = \"chars\"\ncount = 4\nequals = [\"AB\"]\n", {0x41, 0x42, 0, 0}, Match::certain},
        {"type = \"chars\"\ncount = 4\nequals = [\"AB\"]\n", {0x41, 0x42, 0x43, 0}, Match::no},
    };
    for (const Row& row : rows) {
        CAPTURE(row.rule);
        const auto profile = parsed(
            "[[identify]]\nname = \"code\"\nstrength = \"certain\"\n"
            "register = 0\n" +
                std::string(row.rule),
            "");
        ProbeImage image(9);
        const int count = profile->identify.front().part.field.span.count;
        image.answered(holding(0, count), row.words);
        CHECK(fingerprint(*profile, image).match == row.match);
    }
}

TEST_CASE("questions end, and each is asked once") {
    ProbeImage image(1);
    int asked = 0;
    while (const auto span = next_question(shipped(), image)) {
        REQUIRE_FALSE(image.is_known(*span));
        image.refused(*span);
        REQUIRE(++asked < 300);
    }
    CHECK(rank_candidates(shipped(), image).empty());
    CHECK(asked > 10);
    for (const auto& [id, profile] : shipped().profiles) {
        CAPTURE(id);
        CHECK(fingerprint_spans(*profile).size() <= 10);
        CHECK(fingerprint(*profile, image).match == Match::no);
    }
}

TEST_CASE("a value is judged by what the meter can be") {
    const auto profile = shipped().find("eastron-sdm120");
    struct Row {
        Measurement measurement;
        Rational value;
        Sense sense;
    };
    const std::vector<Row> rows{
        {Measurement::voltage_l1, {230, 1}, Sense::good},
        {Measurement::voltage_l1, {184, 1}, Sense::good},
        {Measurement::voltage_l1, {276, 1}, Sense::good},
        {Measurement::voltage_l1, {120, 1}, Sense::neutral},
        {Measurement::voltage_l1, {400, 1}, Sense::neutral},
        {Measurement::voltage_l1, {0, 1}, Sense::neutral},
        {Measurement::voltage_l1, {23, 1}, Sense::against},
        {Measurement::voltage_l1, {2300, 1}, Sense::against},
        {Measurement::voltage_l1, {-230, 1}, Sense::against},
        {Measurement::frequency, {50, 1}, Sense::good},
        {Measurement::frequency, {45, 1}, Sense::good},
        {Measurement::frequency, {65, 1}, Sense::good},
        {Measurement::frequency, {449, 10}, Sense::against},
        {Measurement::frequency, {651, 10}, Sense::against},
        {Measurement::frequency, {500, 1}, Sense::against},
        {Measurement::power_factor, {-1, 1}, Sense::good},
        {Measurement::power_factor, {98, 1}, Sense::against},
        {Measurement::current_l1, {90, 1}, Sense::neutral},
        {Measurement::current_l1, {91, 1}, Sense::against},
        {Measurement::power, {10'350, 1}, Sense::neutral},  // 45 A x 230 V
        {Measurement::power, {15'526, 1}, Sense::against},  // above half as much again
        {Measurement::energy_import, {-1, 1}, Sense::against},
        {Measurement::energy_import, {2'721'843, 1}, Sense::neutral},  // 10.35 kW x 30 years
        {Measurement::energy_import, {2'721'844, 1}, Sense::against},
        {Measurement::energy_import, {1, 1'000'000}, Sense::neutral},
        {Measurement::energy_import, {1, 1'000'001}, Sense::against},
    };
    for (const Row& row : rows) {
        const Finding finding = judge(*profile, row.measurement, row.value);
        CAPTURE(to_string(row.measurement), format_rational(row.value), finding.text);
        CHECK(finding.sense == row.sense);
    }
}

TEST_CASE("behind a voltage transformer no voltage speaks against the map") {
    const auto profile = shipped().find("acrel-adl3000");
    RegisterImage image;
    image.set(holding(0x61, 1), {1'000});  // 100 V x PT 100
    image.set(holding(0x37, 2), {100, 20});
    const Decoded volts = profile->decode(Measurement::voltage_l1, 0, image);
    CHECK(format_rational(volts.number) == "10000");
    CHECK(judge_value(*profile, Measurement::voltage_l1, volts).sense == Sense::neutral);
}

TEST_CASE("a plausible looking value in the wrong order or scale is named with what would fit") {
    const auto profile = shipped().find("eastron-sdm120");
    RegisterImage image;
    image.set(input(0x48, 2), {0x5000, 0x449A});
    image.set(input(0x00, 2), {0x0000, 0x4366});
    const PlausibilityReport report = judge_values(*profile, 0, image);
    CHECK_FALSE(report.plausible());
    const std::vector<std::string> lines = report.lines();
    const auto says = [&](const std::string& part) {
        return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
            return line.find(part) != std::string::npos;
        });
    };
    for (const std::string& line : lines) UNSCOPED_INFO(line);
    CHECK(says("voltage_l1 would be 230 V with word order CDAB"));
    CHECK(says("energy_import would be 1234.5 kWh with word order CDAB"));

    const auto integers = shipped().find("bge-ws100");
    RegisterImage tenths;
    tenths.set(holding(0x100, 2), {0, 2300});  // tenths of a volt where the map has thousandths
    const auto scaled = judge_values(*integers, 0, tenths).lines();
    REQUIRE(scaled.size() >= 2);
    CHECK(scaled.at(1) == "voltage_l1 would be 230 V with scale x 0.1");
}

TEST_CASE("a sister profile whose registers were read is offered") {
    const auto profile = shipped().find("finder-7m24");
    RegisterImage image;
    image.set(input(2752, 2), {0x0012, 0xD644});  // 1234500 Wh as an integer; as a float a crumb
    const PlausibilityReport report = judge_values(*profile, 0, image, &shipped());
    CHECK_FALSE(report.plausible());
    const bool offered = std::any_of(
        report.alternatives.begin(), report.alternatives.end(), [](const Alternative& other) {
            return other.what == "profile finder-7m24-u32" && other.value == "1234.5 kWh";
        });
    CHECK(offered);
}

TEST_CASE("watts must fit volts and amperes") {
    const auto profile = shipped().find("eastron-sdm120");
    const auto report = [&](std::uint16_t power_word) {
        RegisterImage image;
        image.set(input(0x00, 2), {0x4366, 0x0000});  // 230 V
        image.set(input(0x06, 2), {0x40D0, 0x0000});  // 6.5 A: 1495 VA
        image.set(input(0x0C, 2), {power_word, 0x0000});
        return judge_values(*profile, 0, image);
    };
    CHECK(report(0x44BB).supported());        // 1496 W
    CHECK(report(0xC4BB).supported());        // the same, fed in
    CHECK_FALSE(report(0x44FA).plausible());  // 2000 W
    CHECK_FALSE(report(0x3FC0).plausible());  // 1.5: kilowatts that were taken for watts
    RegisterImage idle;
    idle.set(input(0x0C, 2), {0, 0});
    CHECK(judge_values(*profile, 0, idle).plausible());
}

TEST_CASE("growth against power finds a scale that is wrong by ten") {
    const auto profile = shipped().find("peacefair-pzem016");
    constexpr std::int64_t kHour = 3'600'000;
    const Rational kilowatt{1'000, 1};
    CHECK(judge_growth(*profile, {1, 1}, kHour, kilowatt).empty());
    CHECK(judge_growth(*profile, {3, 1}, kHour, kilowatt).empty());  // the load was higher between
    CHECK(judge_growth(*profile, {10, 1}, kHour, kilowatt).find("x 0.1") != std::string::npos);
    CHECK(judge_growth(*profile, {1, 10}, kHour, kilowatt).find("x 10") != std::string::npos);
    CHECK(judge_growth(*profile, {0, 1}, kHour, kilowatt).find("the power gives 1 kWh") !=
          std::string::npos);
    CHECK(judge_growth(*profile, {10, 1}, kHour, {1, 1'000}).empty());  // too little to say
    CHECK(judge_growth(*profile, {10, 1}, 0, kilowatt).empty());
}

TEST_CASE("a transformer ratio is not applied twice") {
    const auto primary = shipped().find("acrel-adl3000");
    RegisterImage image;
    image.set(holding(0x37, 2), {1, 40});
    CHECK(judge_multiplier(*primary, 0, image, {1, 1}).empty());
    const std::string twice = judge_multiplier(*primary, 0, image, {40, 1});
    CHECK(twice.find("PT 1, CT 40") != std::string::npos);
    CHECK(twice.find("multiplier 40") != std::string::npos);
    CHECK(judge_multiplier(*shipped().find("wirenboard-mcm8"), 0, image, {1, 100}).empty());
    CHECK(judge_multiplier(*shipped().find("eastron-sdm120"), 0, image, {40, 1}).empty());
    CHECK(primary->traits().primary_side);
    CHECK(shipped().find("acrel-adl400")->traits().primary_side);
    CHECK_FALSE(shipped().find("eastron-sdm630")->traits().primary_side);
    CHECK_FALSE(shipped().find("wirenboard-mcm8")->traits().primary_side);
}

TEST_CASE("C16: the registers of a meter's own tariffs add up to its register") {
    const auto profile = shipped().find("acrel-ddsy1352");
    const auto report = [&](std::uint16_t total, std::uint16_t first, std::uint16_t second) {
        RegisterImage image;
        image.set(holding(0x215, 2), {0, total});
        image.set(holding(0x217, 2), {0, first});
        image.set(holding(0x219, 2), {0, second});
        image.set(holding(0x21B, 2), {0, 0});
        image.set(holding(0x21D, 2), {0, 0});
        return judge_values(*profile, 0, image);
    };
    CHECK(report(12'345, 10'000, 2'345).plausible());
    // Four registers of 0.01 kWh may each have cut off a step: 0.04.
    CHECK(report(12'345, 10'000, 2'341).plausible());
    CHECK(report(12'345, 10'000, 2'349).plausible());
    const PlausibilityReport apart = report(12'345, 10'000, 2'340);
    CHECK_FALSE(apart.plausible());
    CHECK(apart.lines() ==
          std::vector<std::string>{"energy_import_t1 123.4 kWh: so much is in the registers of its "
                                   "tariffs together, and the register is 123.45 kWh"});
    CHECK(report(12'345, 0, 0).plausible());  // its tariffs are not in use
    RegisterImage unread;
    unread.set(holding(0x215, 2), {0, 12'345});
    unread.set(holding(0x217, 2), {0, 1});
    CHECK(judge_values(*profile, 0, unread).plausible());
}
