// Profiles: every shipped one with its vectors, the decoding of every encoding and order, and files
// that must be refused at their place.
#include "drivers/modbus/profile.hpp"

#include <filesystem>
#include <fstream>

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
    return encoding == Encoding::ascii ? value.text : format_rational(value.number);
}

}  // namespace

TEST_CASE("every shipped profile loads, which runs its vectors, and the ten of the contract do") {
    const ProfileTable table = load_profiles({kMeters});
    for (const Problem& problem : table.problems) FAIL_CHECK(to_string(problem));
    for (const char* id : {"eastron-sdm120", "eastron-sdm630", "chint-ddsu666", "chint-dtsu666",
                           "chint-dtsu666-401e", "acrel-adl3000", "abb-b23", "arad-octave",
                           "wirenboard-mwac2", "wirenboard-mcm8"}) {
        CAPTURE(id);
        const auto profile = table.find(id);
        REQUIRE(profile);
        CHECK(profile->tests.size() >= 2);
        CHECK_FALSE(profile->source.empty());
        CHECK(run_vectors(*profile).empty());
        // Nothing was tried on a device, and no profile may claim it.
        CHECK(profile->map_status != MapStatus::checked);
        CHECK_FALSE(profile->routine_spans(0).empty());
    }
    CHECK(table.find("chint-dtsu666")->map_status == MapStatus::conflict);
    CHECK(table.find("wirenboard-mcm8")->traits().rollover->numerator == 4294967296);
    CHECK(table.find("abb-b23")->traits().reads_serial);
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
        {Encoding::bit, WordOrder::abcd, {1}, "1"},
    };
    for (const Row& row : rows) {
        CAPTURE(hex_words(row.words), to_string(row.order), row.value);
        CHECK(decode(row.encoding, row.order, row.words) == row.value);
    }
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
    std::filesystem::remove_all(folder);
}
