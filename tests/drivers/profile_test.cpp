// Profiles: every shipped one with its vectors, the decoding of every encoding and order, and files
// that must be refused at their place.
#include "drivers/modbus/profile.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "drivers/modbus/bus_worker.hpp"
#include "drivers/modbus/decode.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::modbus;

namespace {

const std::string kMeters = GATEHOUSE_METERS;

const std::string kGood = R"(schema = 1
id = "x-y"
maker = "X"
model = "Y"
service = "water"
source = "bench"
map = "document"
billing = "volume"
[meter]
step = "0.001"
[[value]]
measurement = "volume"
register = 10
type = "u32"
scale = "1/1000"
[[test]]
name = "one"
words = { "3:10" = "0000 0001" }
expect = { volume = "0.001" }
[[test]]
name = "two"
words = { "3:10" = "0000 0002" }
expect = { volume = "0.002" }
)";

std::string replaced(const std::string& from, const std::string& to) {
    std::string text = kGood;
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
}

std::string decode(Encoding encoding, WordOrder order, std::vector<std::uint16_t> words) {
    Field field;
    field.encoding = encoding;
    field.order = order;
    field.span.count = static_cast<int>(words.size());
    const FieldValue value = decode_field(field, words);
    if (value.state == FieldState::not_available) return "none";
    if (value.state == FieldState::implausible) return "implausible";
    return is_text(encoding) ? value.text : format_rational(value.number);
}

}  // namespace

// One id for every row of the library that Modbus can read; variants stand beside the first.
const std::vector<std::string> kLibrary{
    "eastron-sdm120", "eastron-sdm230", "eastron-sdm630", "eastron-sdm72d", "chint-ddsu666",
    "chint-ddsu666-fc04", "chint-dtsu666", "chint-dtsu666-401e", "acrel-ddsy1352", "acrel-dtsy1352",
    "acrel-ddsy1352-iot", "acrel-adl3000", "acrel-adl400", "acrel-adl400-total", "acrel-adw300",
    "carlogavazzi-em24", "carlogavazzi-em24-e1", "carlogavazzi-em340", "carlogavazzi-em112",
    "carlogavazzi-em112-abcd", "abb-b21", "abb-b23", "schneider-iem3155", "schneider-iem3150",
    "schneider-iem3150-kwh", "orno-we516", "orno-we514", "orno-we525", "bge-ws100", "janitza-b23",
    "finder-7m24", "finder-7m24-u32", "finder-7m38", "finder-7m38-u32", "inepro-pro380",
    "socomec-countis-e24", "socomec-countis-e34", "socomec-diris-a10", "socomec-diris-b30",
    "hiking-dds238", "hiking-dds238-swapped", "peacefair-pzem016", "peacefair-pzem016-tenth",
    // water
    "dynaflox-ultrad", "dynaflox-ultrad-lsw", "xintai-valve", "arad-octave", "tuf-2000m",
    "tuf-2000m-abcd", "ao-valve", "bove-ultrasonic", "wirenboard-mwac2", "wirenboard-mwac",
    "wirenboard-mcm8", "kamstrup-multical", "kamstrup-multical-fc04", "diehl-sharky775",
    "diehl-sharky775-fc04", "diehl-sharky775-inputs"};

bool expects(const Profile& profile, Measurement measurement, bool other) {
    return std::any_of(profile.tests.begin(), profile.tests.end(), [&](const TestVector& vector) {
        return std::any_of(vector.expect.begin(), vector.expect.end(), [&](const auto& expected) {
            return (expected.first != measurement) == other && expected.second != "none" &&
                   expected.second != "implausible";
        });
    });
}

TEST_CASE("every shipped profile loads, which runs its vectors, and the library is whole") {
    const ProfileTable table = load_profiles({kMeters});
    for (const Problem& problem : table.problems) FAIL_CHECK(to_string(problem));
    for (const std::string& id : kLibrary) {
        CAPTURE(id);
        CHECK(table.find(id));
    }
    CHECK(table.profiles.size() == kLibrary.size());
    for (const auto& [id, profile] : table.profiles) {
        CAPTURE(id);
        CHECK(profile->tests.size() >= 2);
        CHECK(expects(*profile, profile->billing, false));
        CHECK((profile->values.size() == 1 || expects(*profile, profile->billing, true)));
        CHECK_FALSE(profile->source.empty());
        CHECK(run_vectors(*profile).empty());
        // Nothing was tried on a device, and no profile may claim it.
        CHECK(profile->map_status != MapStatus::checked);
        CHECK_FALSE(profile->routine_spans(0).empty());
        const MeterTraits traits = profile->traits();
        CHECK(traits.step.numerator > 0);
        const bool water = profile->service == Service::water;
        CHECK((water ? traits.rated_flow : traits.rated_amps).has_value());
    }
}

TEST_CASE("variants stand where sources conflict, and charge nothing until a face agrees") {
    const ProfileTable table = load_profiles({kMeters});
    for (const char* id : {"chint-dtsu666",           "chint-dtsu666-401e",
                           "carlogavazzi-em112",      "carlogavazzi-em112-abcd",
                           "schneider-iem3150",       "schneider-iem3150-kwh",
                           "finder-7m24-u32",         "hiking-dds238",
                           "hiking-dds238-swapped",   "peacefair-pzem016",
                           "peacefair-pzem016-tenth", "acrel-ddsy1352-iot",
                           "acrel-adl3000",           "dynaflox-ultrad",
                           "dynaflox-ultrad-lsw",     "tuf-2000m",
                           "bove-ultrasonic",         "kamstrup-multical",
                           "diehl-sharky775",         "ao-valve"}) {
        CAPTURE(id);
        const auto profile = table.find(id);
        REQUIRE(profile);
        CHECK(profile->map_status == MapStatus::conflict);
        CHECK(profile->traits().status == MapStatus::conflict);
        CHECK_FALSE(profile->conflict.empty());
    }
}

TEST_CASE("a profile says what its meter is: rollover, serial, pause, limit, framing, side") {
    const ProfileTable table = load_profiles({kMeters});
    CHECK(table.find("wirenboard-mcm8")->traits().rollover->numerator == 4294967296);
    CHECK(table.find("abb-b23")->traits().reads_serial);
    CHECK(table.find("eastron-sdm72d")->pause_ms == 500);
    CHECK(table.find("eastron-sdm630")->rules.registers_max == 80);
    CHECK(table.find("dynaflox-ultrad")->rules.registers_max == 22);
    CHECK(table.find("bove-ultrasonic")->framings.front() == Framing{2400, 8, 'E', 1});
    CHECK(table.find("chint-ddsu666")->framings.size() == 2);
    CHECK(table.find("chint-ddsu666")->framing == "9600 8N1");
    CHECK(table.find("acrel-adl400")->side == Side::primary);
    CHECK(table.find("wirenboard-mcm8")->side == Side::secondary);
    CHECK(table.find("eastron-sdm120")->side == Side::direct);
}

TEST_CASE("a meter's own prepayment is told from a meter that does not use it") {
    const auto acrel = load_profiles({kMeters}).find("acrel-ddsy1352");
    struct Row {
        std::uint32_t balance;
        std::uint16_t purchases, status;
        bool live, arrears;
    };
    for (const Row& row :
         {Row{0, 0, 0, false, false}, Row{3642, 0, 0, true, false}, Row{0, 2, 0, false, false},
          Row{3642, 2, 0, true, false}, Row{0, 0, 0x20, true, true}, Row{0, 2, 0x20, true, true}}) {
        CAPTURE(row.balance, row.purchases, row.status);
        RegisterImage image;
        image.set({RegisterTable::holding, 0x21F, 2},
                  {static_cast<std::uint16_t>(row.balance >> 16U),
                   static_cast<std::uint16_t>(row.balance)});
        image.set({RegisterTable::holding, 0x221, 1}, {row.purchases});
        image.set({RegisterTable::holding, 0x224, 1}, {row.status});
        const auto own = acrel->own_prepayment(0, image);
        REQUIRE(own);
        CHECK(own->live == row.live);
        CHECK(own->in_arrears == row.arrears);
    }
    // Once loaded and used up it is over, and the text still says that it was.
    RegisterImage used_up;
    used_up.set({RegisterTable::holding, 0x21F, 2}, {0, 0});
    used_up.set({RegisterTable::holding, 0x221, 1}, {2});
    used_up.set({RegisterTable::holding, 0x224, 1}, {0});
    CHECK(acrel->own_prepayment(0, used_up)->text ==
          "its own prepayment is not in use, credit 0, loaded 2 times");
    // Without its credit nobody can say that it is used up.
    RegisterImage no_credit;
    no_credit.set({RegisterTable::holding, 0x221, 1}, {2});
    no_credit.set({RegisterTable::holding, 0x224, 1}, {0});
    CHECK(acrel->own_prepayment(0, no_credit)->live);
    CHECK_FALSE(acrel->own_prepayment(0, RegisterImage{}));
    CHECK_FALSE(load_profiles({kMeters}).find("abb-b23")->own_prepayment(0, RegisterImage{}));

    const auto xintai = load_profiles({kMeters}).find("xintai-valve");
    RegisterImage image;
    image.set({RegisterTable::holding, 0x08, 2}, {0x0000, 0xCC41});  // 25.5
    image.set({RegisterTable::holding, 0x1C, 1}, {2});
    const auto own = xintai->own_prepayment(0, image);
    REQUIRE(own);
    CHECK(own->live);
    CHECK(own->supply_off);
    CHECK(own->text == "prepays by itself, credit 25.5 m3, supply off");
    // It is asked with every poll, for the alert.
    const auto spans = xintai->routine_spans(0);
    CHECK(std::find(spans.begin(), spans.end(), RegisterSpan{RegisterTable::holding, 0x1C, 1}) !=
          spans.end());
}

TEST_CASE("a clock reads, refuses what is no date, and says how it is set") {
    const ProfileTable table = load_profiles({kMeters});
    const MeterClock at{2026, 2, 28, 23, 59, 58};
    for (const auto& [id, profile] : table.profiles) {
        if (!profile->clock) continue;
        CAPTURE(id);
        const ClockLayout& layout = *profile->clock;
        MeterClock expected = at;
        if (!layout.parts[5]) expected.second = 0;  // a meter without seconds
        CHECK(decode_clock(layout, encode_clock(layout, at)) == expected);
        RegisterImage image;
        image.set(layout.span, encode_clock(layout, at));
        CHECK(profile->decode(Measurement::clock, 0, image).text == to_string(expected));
        CHECK_FALSE(decode_clock(layout, encode_clock(layout, {2026, 2, 29, 0, 0, 0})));
        CHECK(decode_clock(layout, encode_clock(layout, {2028, 2, 29, 0, 0, 0})).has_value());
        CHECK_FALSE(decode_clock(layout, encode_clock(layout, {2026, 13, 1, 0, 0, 0})));
        CHECK_FALSE(decode_clock(layout, {}));
    }
    const auto single = clock_writes(*table.find("arad-octave")->clock, at);
    REQUIRE(single.size() == 5);  // the day of the week, register 1, is left alone
    CHECK(single.front().function == 6);
    CHECK(single.front().first == 2);
    CHECK(single.front().words == std::vector<std::uint16_t>{28});
    const auto block = clock_writes(*table.find("acrel-adl3000")->clock, at);
    REQUIRE(block.size() == 1);
    CHECK(block.front().function == 16);
    CHECK(block.front().first == 0x3C);
    CHECK(block.front().words == std::vector<std::uint16_t>{0x1A02, 0x1C17, 0x3B3A});
    CHECK(clock_writes(*table.find("schneider-iem3155")->clock, at).empty());
}

TEST_CASE("the ratio that stands in the meter is known apart from the register") {
    const ProfileTable table = load_profiles({kMeters});
    RegisterImage image;
    image.set({RegisterTable::holding, 0x37, 2}, {10, 40});
    const auto ratio = table.find("acrel-adl3000")->device_ratio(0, image);
    REQUIRE(ratio);
    CHECK(format_rational(*ratio) == "400");
    CHECK_FALSE(table.find("acrel-adl3000")->device_ratio(0, RegisterImage{}));
    CHECK_FALSE(table.find("eastron-sdm120")->device_ratio(0, image));
}

TEST_CASE("framings are written as people say them") {
    CHECK(parse_framing("9600 8N1") == Framing{9600, 8, 'N', 1});
    CHECK(to_string(Framing{19200, 8, 'E', 1}) == "19200 8E1");
    for (const char* wrong : {"", "9600", "9600 8N", "9600 8N3", "9600 9N1", "9600 8X1",
                              "9600  8N1", "9601 8N1", "-9600 8N1", "9600 8N1 ", "9600-8N1"}) {
        CAPTURE(wrong);
        CHECK_FALSE(parse_framing(wrong));
    }
}

TEST_CASE("the profile that the guide adds as an example is a sound one") {
    std::ifstream file(kMeters + "/README.md");
    const std::string guide(std::istreambuf_iterator<char>(file), {});
    const std::size_t id = guide.find("id = \"example-m1\"");
    REQUIRE(id != std::string::npos);
    const std::size_t begin = guide.rfind("```toml\n", id) + 8;
    const std::size_t end = guide.find("```", begin);
    const ParsedProfile parsed = parse_profile(guide.substr(begin, end - begin), "example-m1.toml");
    for (const Problem& problem : parsed.problems) FAIL_CHECK(to_string(problem));
    REQUIRE(parsed.profile);
    CHECK(parsed.profile->id == "example-m1");
    // Every profile of the library stands in the guide's table, and nothing else does.
    std::size_t listed = 0;
    for (const auto& [name, profile] : load_profiles({kMeters}).profiles) {
        CAPTURE(name);
        CHECK(guide.find("| " + name + " |") != std::string::npos);
        ++listed;
    }
    const std::size_t table = guide.find("## What is here");
    const std::string rows = guide.substr(table, guide.find("## What is left out") - table);
    CHECK(static_cast<std::size_t>(std::count(rows.begin(), rows.end(), '\n')) >= listed);
}

TEST_CASE("channels are base plus stride times channel") {
    const auto profile = load_profiles({kMeters}).find("wirenboard-mwac2");
    REQUIRE(profile);
    CHECK(profile->spans(Measurement::volume, 0).at(0).first == 1068);
    CHECK(profile->spans(Measurement::volume, 1).at(0).first == 1072);
}

TEST_CASE("words become exact numbers in every encoding and order") {
    struct Row {
        Encoding encoding;
        WordOrder order;
        std::vector<std::uint16_t> words;
        const char* value;
    };
    constexpr auto kU = Encoding::unsigned_;
    constexpr auto kS = Encoding::signed_;
    constexpr auto kF = Encoding::float_;
    constexpr auto kB = Encoding::bcd;
    const std::vector<Row> rows{
        {kU, WordOrder::abcd, {0x1234}, "4660"},
        {kU, WordOrder::badc, {0x1234}, "13330"},
        {kS, WordOrder::abcd, {0xFFFF}, "-1"},
        {kS, WordOrder::abcd, {0x8000}, "-32768"},
        {kU, WordOrder::abcd, {0x0001, 0xE240}, "123456"},
        {kU, WordOrder::cdab, {0xE240, 0x0001}, "123456"},
        {kU, WordOrder::badc, {0x0100, 0x40E2}, "123456"},
        {kU, WordOrder::dcba, {0x40E2, 0x0100}, "123456"},
        {kS, WordOrder::cdab, {0xFFFE, 0xFFFF}, "-2"},
        {kU, WordOrder::abcd, {0x0000, 0x0001, 0x0000, 0x0002}, "4294967298"},
        {kU, WordOrder::cdab, {0x0002, 0x0000, 0x0001, 0x0000}, "4294967298"},
        {kU, WordOrder::badc, {0x0000, 0x0100, 0x0000, 0x0200}, "4294967298"},
        {kU, WordOrder::dcba, {0x0200, 0x0000, 0x0100, 0x0000}, "4294967298"},
        {kU, WordOrder::abcd, {0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF}, "18446744073709551615"},
        {kS, WordOrder::abcd, {0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF}, "-1"},
        {kS, WordOrder::abcd, {0x8000, 0, 0, 0}, "-9223372036854775808"},
        {kF, WordOrder::abcd, {0x449A, 0x5000}, "1234.5"},
        {kF, WordOrder::cdab, {0x5000, 0x449A}, "1234.5"},
        {kF, WordOrder::badc, {0x9A44, 0x0050}, "1234.5"},
        {kF, WordOrder::dcba, {0x0050, 0x9A44}, "1234.5"},
        {kF, WordOrder::abcd, {0x8000, 0x0000}, "0"},
        {kF, WordOrder::abcd, {0xC2C8, 0x0000}, "-100"},
        {kF, WordOrder::abcd, {0x3DCC, 0xCCCD}, "0.100000001490116119384765625"},
        {kF, WordOrder::abcd, {0x7FC0, 0x0000}, "none"},
        {kF, WordOrder::abcd, {0xFF80, 0x0000}, "none"},
        {kF, WordOrder::abcd, {0x7F7F, 0xFFFF}, "implausible"},
        {kF, WordOrder::abcd, {0x0000, 0x0001}, "implausible"},
        {kF, WordOrder::abcd, {0x4093, 0x4A00, 0x0000, 0x0000}, "1234.5"},
        {kF, WordOrder::dcba, {0x0000, 0x0000, 0x004A, 0x9340}, "1234.5"},
        {kF, WordOrder::abcd, {0x7FF0, 0, 0, 0}, "none"},
        {kB, WordOrder::abcd, {0x1234}, "1234"},
        {kB, WordOrder::abcd, {0x0012, 0x3456}, "123456"},
        {kB, WordOrder::dcba, {0x5634, 0x1200}, "123456"},
        {kB, WordOrder::abcd, {0x9999, 0x9999, 0x9999, 0x9999}, "9999999999999999"},
        {kB, WordOrder::abcd, {0x123A}, "implausible"},
        {Encoding::ascii, WordOrder::abcd, {0x4142, 0x4300}, "ABC"},
        {Encoding::ascii, WordOrder::badc, {0x4241, 0x2043}, "ABC"},
        {Encoding::ascii, WordOrder::abcd, {0x4142, 0x01FF}, "implausible"},
        {Encoding::ascii, WordOrder::abcd, {0, 0}, "none"},
        {Encoding::chars, WordOrder::abcd, {0x31, 0x32, 0x33, 0}, "123"},
        {Encoding::chars, WordOrder::badc, {0x3100, 0x3200}, "12"},
        {Encoding::chars, WordOrder::abcd, {0x3132}, "implausible"},
        {Encoding::chars, WordOrder::abcd, {0x07}, "implausible"},
        {Encoding::chars, WordOrder::abcd, {0, 0x31}, "none"},
        {Encoding::bit, WordOrder::abcd, {1}, "1"},
    };
    for (const Row& row : rows) {
        CAPTURE(hex_words(row.words), to_string(row.order), row.value);
        CHECK(decode(row.encoding, row.order, row.words) == row.value);
    }
}

TEST_CASE("a float of more digits than a decimal is parsed of is read all the same") {
    MeterPlan meter;
    meter.profile = load_profiles({kMeters}).find("kamstrup-multical");
    RegisterImage image;
    image.set({RegisterTable::holding, 8, 2}, {0x429C, 0xDC29});
    const auto values = read_values(meter, image);
    REQUIRE(values.front().measurement == Measurement::volume);
    CHECK(values.front().value == "78.43000030517578125");  // 19 digits
    CHECK(format_rational(values.front().number) == values.front().value);
}

TEST_CASE("exact fractions as text") {
    CHECK(format_rational({1, 3}) == "1/3");
    CHECK(format_rational({-1, 4}) == "-0.25");
    CHECK(format_rational({0, 1}) == "0");
    CHECK(format_rational({7, 1}) == "7");
    CHECK(format_rational({-10, 3}) == "-10/3");
}

TEST_CASE("parts are summed with their own scales, and an exponent register multiplies") {
    const std::string text = R"(schema = 1
id = "x-y"
maker = "X"
model = "Y"
service = "water"
source = "bench"
map = "document"
billing = "volume"
[meter]
step = "0.001"
[[factor]]
name = "decimals"
kind = "exponent"
register = 20
type = "s16"
[[value]]
measurement = "volume"
type = "u32"
order = "CDAB"
parts = [ { register = 2 }, { register = 4, scale = "1/1000000" } ]
[[value]]
measurement = "flow"
register = 8
type = "u16"
factors = ["decimals"]
not_available = ["8000"]
[[test]]
name = "12 m3 and 345 678 mL; 15 x 10^-2"
words = { "3:2" = "000C 0000 464E 0005", "3:8" = "000F", "3:20" = "FFFE" }
expect = { volume = "12.345678", flow = "0.15" }
[[test]]
name = "no value; an exponent that no meter has"
words = { "3:8" = "8000", "3:20" = "0000" }
expect = { volume = "not read", flow = "none" }
)";
    const ParsedProfile parsed = parse_profile(text, "x-y.toml");
    for (const Problem& problem : parsed.problems) FAIL_CHECK(to_string(problem));
    REQUIRE(parsed.profile);
    RegisterImage image;
    image.set({RegisterTable::holding, 8, 1}, {15});
    image.set({RegisterTable::holding, 20, 1}, {100});
    CHECK(parsed.profile->decode(Measurement::flow, 0, image).result == PollResult::implausible);
    CHECK(parsed.profile->decode(Measurement::power, 0, image).result == PollResult::not_connected);
}

TEST_CASE("a broken profile is refused at its place") {
    REQUIRE(parse_profile(kGood, "x-y.toml").profile);
    struct Row {
        const char* from;
        const char* to;
        int line;
        const char* says;
    };
    const std::vector<Row> rows{
        {"schema = 1", "schema = 2", 1, "schema"},
        {"maker = \"X\"", "", 1, "\"maker\" is missing"},
        {"service = \"water\"", "service = \"gas\"", 5, "electricity, water"},
        {"source = \"bench\"", "sorce = \"bench\"", 6, "did you mean \"source\""},
        {"map = \"document\"", "map = \"guess\"", 7, "checked, document, conflict"},
        {"map = \"document\"", "map = \"conflict\"", 1, "what the sources say"},
        {"billing = \"volume\"", "billing = \"power\"", 8, "none of the values"},
        {"step = \"0.001\"", "step = 0.001", 10, "exact ratio in quotes"},
        {"step = \"0.001\"", "", 9, "step"},
        {"measurement = \"volume\"", "measurement = \"volum\"", 11, "did you mean \"volume\""},
        {"register = 10", "register = 70000", 13, "65535"},
        {"register = 10", "register = 65535", 11, "beyond 65535"},
        {"register = 10", "", 11, "\"register\" is missing"},
        {"type = \"u32\"", "type = \"u33\"", 14, "u16, u32"},
        {"scale = \"1/1000\"", "scale = \"1/0\"", 15, "positive exact ratio"},
        {"scale = \"1/1000\"", "scale = \"-1\"", 15, "positive exact ratio"},
        {"scale = \"1/1000\"", "order = \"ACBD\"", 15, "ABCD, CDAB"},
        {"scale = \"1/1000\"", "function = 2", 11, "\"bit\""},
        {"scale = \"1/1000\"", "not_available = [\"FFFF\"]", 15, "2 words"},
        {"scale = \"1/1000\"", "factors = [\"ct\"]", 15, "no [[factor]]"},
        {"[meter]", "[read]\nblock_limit = 1\n[meter]", 13, "longer than block_limit"},
        {"[meter]", "[read]\nforbidden = [{ register = 11, count = 1 }]\n[meter]", 13,
         "forbidden range"},
        {"volume = \"0.001\"", "volume = \"0.002\"", 16, "is expected to be 0.002 but is 0.001"},
        {"\"0000 0001\"", "\"0000 001\"", 18, "words are written like"},
        {"\"3:10\"", "\"5:10\"", 18, "written like"},
        {"id = \"x-y\"", "id = \"x y\"", 2, "no identifier"},
        {"map = \"document\"", "map = \"document\"\nframing = \"9600 8N\"", 8, "no framing"},
        {"map = \"document\"", "map = \"document\"\nframing = [\"9600 8N1\", 7]", 8,
         "must hold strings"},
        {"map = \"document\"", "map = \"document\"\nside = \"left\"", 8, "direct, primary"},
        {"[meter]", "[clock]\nregister = 3\n[meter]", 9, "\"year\" is missing"},
        {"[meter]", "[clock]\nregister = 3\nyear = { at = 1 }\n[meter]", 11, "from 0 to 0"},
        {"[meter]", "[clock]\nregister = 3\nwrite = { function = 5 }\n[meter]", 11, "6 to 16"},
        {"[meter]", "[clock]\nregister = 3\nwrite = { function = 7 }\n[meter]", 11,
         "nothing else is written"},
        {"[meter]", "[prepayment]\nunit = \"m3\"\n[meter]", 9, "needs a value own_balance"},
        {"[meter]", "[prepayment]\nunit = \"yen\"\n[meter]", 10, "currency, kWh, m3"},
        {"[meter]",
         "[[identify]]\nname = \"c\"\nstrength = \"sure\"\nregister = 1\ntype = "
         "\"u16\"\none_of = [\"1\"]\n[meter]",
         11, "certain, likely"},
        {"[meter]",
         "[[identify]]\nname = \"c\"\nstrength = \"likely\"\nregister = 1\ntype = "
         "\"u16\"\n[meter]",
         9, "it needs one_of"},
        {"[meter]",
         "[[identify]]\nname = \"c\"\nstrength = \"likely\"\nregister = 1\ntype = "
         "\"ascii\"\none_of = [\"1\"]\n[meter]",
         9, "begins_with or equals"},
        {"[meter]",
         "[[identify]]\nname = \"c\"\nstrength = \"likely\"\nregister = 1\ntype = "
         "\"u16\"\none_of = [\"one\"]\n[meter]",
         14, "no number"},
        {"[meter]",
         "[[identify]]\nname = \"c\"\nstrength = \"likely\"\nregister = 1\ntype = "
         "\"u16\"\nrefute = true\none_of = [\"1\"]\n[meter]",
         14, "did you mean \"refutes\""},
        {"scale = \"1/1000\"", "bits = { \"0\" = \"leak\" }", 15, "only a status has bits"},
        {"volume = \"0.002\"", "volume = \"0.003\"", 20, "is expected to be 0.003"},
        {"id = \"x-y\"", "id = \"x-y", 2, ""},
    };
    for (const Row& row : rows) {
        CAPTURE(row.to, row.says);
        const ParsedProfile parsed = parse_profile(replaced(row.from, row.to), "x-y.toml");
        CHECK_FALSE(parsed.profile);
        REQUIRE_FALSE(parsed.problems.empty());
        bool found = false;
        std::string all;
        for (const Problem& problem : parsed.problems) {
            all += to_string(problem) + "\n";
            found = found || (problem.line == row.line &&
                              problem.message.find(row.says) != std::string::npos);
        }
        INFO(all);
        CHECK(found);
    }
}

TEST_CASE("a profile without two vectors, or with an untested value, is refused") {
    const std::size_t second = kGood.rfind("[[test]]");
    const ParsedProfile one = parse_profile(kGood.substr(0, second), "x-y.toml");
    REQUIRE(one.problems.size() == 1);
    CHECK(one.problems[0].message.find("two [[test]]") != std::string::npos);
    const ParsedProfile untested =
        parse_profile(replaced("[[test]]",
                               "[[value]]\nmeasurement = \"flow\"\nregister = 4\ntype = \"u16\"\n"
                               "[[test]]"),
                      "x-y.toml");
    REQUIRE(untested.problems.size() == 1);
    CHECK(untested.problems[0].message.find("no [[test]] expects flow") != std::string::npos);
    CHECK(untested.problems[0].line == 16);
}

TEST_CASE("the technician's folder overlays, and a broken file disables itself alone") {
    char pattern[] = "/tmp/gatehouse-profiles-XXXXXX";
    const std::string folder = ::mkdtemp(pattern);
    const auto write = [&](const std::string& name, const std::string& text) {
        std::ofstream(folder + "/" + name) << text;
    };
    write("x-y.toml", kGood);
    write("eastron-sdm120.toml", "schema = 1\nid = \"eastron-sdm120\"\n");
    write("other.toml", kGood);
    write("large.toml", std::string(300 * 1024, '#'));
    const ProfileTable table = load_profiles({kMeters, folder, ""});
    CHECK(table.find("x-y"));
    CHECK(table.find("eastron-sdm630"));
    std::string reason;
    CHECK_FALSE(table.find("eastron-sdm120", &reason));
    CHECK(reason.find("is broken") != std::string::npos);
    CHECK_FALSE(table.find("other", &reason));
    CHECK(reason.find("named as its id") != std::string::npos);
    CHECK_FALSE(table.find("large", &reason));
    CHECK(reason.find("256 KiB") != std::string::npos);
    CHECK_FALSE(table.find("eastron-sdm6300", &reason));
    CHECK(reason.find("did you mean \"eastron-sdm630\"") != std::string::npos);
    CHECK(load_profiles({folder + "/none"}).problems.size() == 1);

    // The technician's own stands for the installed one of its name, and it is said.
    std::string own;
    {
        std::ifstream installed(kMeters + "/eastron-sdm120.toml");
        own.assign(std::istreambuf_iterator<char>(installed), {});
    }
    const std::string was = "rated_amps = \"45\"";
    own.replace(own.find(was), was.size(), "rated_amps = \"40\"");
    write("eastron-sdm120.toml", own);
    const ProfileTable overlaid = load_profiles({kMeters, folder});
    REQUIRE(overlaid.find("eastron-sdm120"));
    CHECK(overlaid.find("eastron-sdm120")->traits().rated_amps->numerator == 40);
    REQUIRE(overlaid.notes.size() == 1);
    CHECK(overlaid.notes[0].file == folder + "/eastron-sdm120.toml");
    CHECK(load_profiles({kMeters}).notes.empty());
    std::filesystem::remove_all(folder);
}

TEST_CASE("every limit of a profile is refused by name") {
    struct Row {
        const char* from;
        const char* to;
        const char* says;
    };
    for (const Row& row : std::vector<Row>{
             {"[meter]", "channels = 65\n[meter]", "from 1 to 64"},
             {"[meter]", "[read]\nblock_limit = 126\n[meter]", "from 1 to 125"},
             {"[meter]", "[read]\npause_ms = 10001\n[meter]", "from 0 to 10000"},
             {"type = \"u32\"", "type = \"ascii\"\ncount = 21", "from 1 to 20"},
             {"scale = \"1/1000\"", "stride = 1001", "from 0 to 1000"},
             {"[meter]", "[clock]\nregister = 1\ncount = 17\n[meter]", "from 1 to 16"},
         }) {
        CAPTURE(row.to);
        const ParsedProfile parsed = parse_profile(replaced(row.from, row.to), "x-y.toml");
        const bool said = std::any_of(
            parsed.problems.begin(), parsed.problems.end(),
            [&](const Problem& p) { return p.message.find(row.says) != std::string::npos; });
        CHECK(said);
    }
    const auto many = [](const std::string& block, int count) {
        std::string text = kGood;
        for (int i = 0; i < count; ++i) text += block;
        const ParsedProfile parsed = parse_profile(text, "x-y.toml");
        return std::any_of(parsed.problems.begin(), parsed.problems.end(), [](const Problem& p) {
            return p.message.find("more than ") != std::string::npos;
        });
    };
    const std::string value = "[[value]]\nmeasurement = \"flow\"\nregister = 1\ntype = \"u16\"\n";
    const std::string rule =
        "[[identify]]\nname = \"c\"\nstrength = \"likely\"\nregister = 1\n"
        "type = \"u16\"\none_of = [\"1\"]\n";
    CHECK_FALSE(many(value, 63));  // refused as standing twice, but not for their number
    CHECK(many(value, 65));
    CHECK_FALSE(many(rule, 6));
    CHECK(many(rule, 7));
}
