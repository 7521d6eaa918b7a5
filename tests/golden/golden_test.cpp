// Golden transcripts of the wire: what passed, and what the bus machine made of it, reviewed as
// text. A change of behaviour shows as a difference; GATEHOUSE_GOLDEN=update writes the files anew,
// to be read before they are committed.
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tests/golden/wire.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::test;

namespace {

std::shared_ptr<const modbus::Profile> profile(const std::string& id) {
    static const modbus::ProfileTable kTable = modbus::load_profiles({GATEHOUSE_METERS});
    auto found = kTable.find(id);
    REQUIRE(found);
    return found;
}

void compare_with_file(const std::string& name, const std::string& what,
                       const std::string& transcript) {
    const std::string path = std::string(GATEHOUSE_GOLDEN_FOLDER) + "/" + name + ".txt";
    const std::string text = "# " + what + "\n\n" + transcript;
    const char* update = std::getenv("GATEHOUSE_GOLDEN");
    if (update != nullptr && std::string(update) == "update") {
        std::ofstream(path) << text;
        return;
    }
    std::ifstream file(path);
    INFO("transcript " << path << "; GATEHOUSE_GOLDEN=update writes it anew");
    REQUIRE(file.good());
    std::stringstream held;
    held << file.rdbuf();
    CHECK(held.str() == text);
}

// 1000.0, 1000.5, 1001.0 kWh as the floats that an SDM120 holds.
const std::vector<std::uint16_t> kFirst{0x447A, 0x0000}, kLater{0x447A, 0x2000},
    kLast{0x447A, 0x4000};
const std::vector<std::uint16_t> kPower{0x44FA, 0x0000};  // 2000 W

void put_sdm120(GoldenWire& wire, int address, const std::vector<std::uint16_t>& energy,
                const std::vector<std::uint16_t>& serial = {0x0112, 0xA880}) {
    wire.put(address, RegisterTable::input, 0x48, energy);
    wire.put(address, RegisterTable::input, 0x0C, kPower);
    wire.put(address, RegisterTable::holding, 0xFC00, serial);
}

constexpr const char* kSerial = "18000000";  // 0x0112A880

}  // namespace

TEST_CASE("golden: a normal cycle of two meters") {
    GoldenWire wire({});
    wire.add("e1", 1, profile("eastron-sdm120"), kSerial);
    wire.add("e2", 2, profile("chint-ddsu666"));
    put_sdm120(wire, 1, kFirst);
    wire.put(2, RegisterTable::holding, 0x4000, kFirst);
    wire.put(2, RegisterTable::holding, 0x2004, {0x3FC0, 0x0000});
    wire.run({}, 70'000);
    compare_with_file("normal_cycle", "Two meters on one line: identity once, then polls.",
                      wire.transcript());
}

TEST_CASE("golden: a timeout") {
    GoldenWire wire({});
    wire.add("e1", 1, profile("eastron-sdm120"), kSerial);
    put_sdm120(wire, 1, kFirst);
    wire.run({{7, {Fate::Kind::silence}}}, 70'000);
    compare_with_file("timeout", "One question is never answered.", wire.transcript());
}

TEST_CASE("golden: a late reply") {
    GoldenWire wire({});
    wire.add("e1", 1, profile("eastron-sdm120"), kSerial);
    put_sdm120(wire, 1, kFirst);
    wire.run({{7, {Fate::Kind::late, 1'600}}, {10, {Fate::Kind::silence}}}, 130'000);
    compare_with_file("late_reply",
                      "A reply comes 1.6 s after its question; the next quiet time is longer.",
                      wire.transcript());
}

TEST_CASE("golden: exceptions") {
    GoldenWire wire({});
    wire.add("e1", 1, profile("eastron-sdm120"), kSerial);
    put_sdm120(wire, 1, kFirst);
    wire.run({{1, {Fate::Kind::exception, 4}}, {10, {Fate::Kind::exception, 6}}}, 130'000);
    compare_with_file("exception", "The meter reports a failure, and later that it is busy.",
                      wire.transcript());
}

TEST_CASE("golden: a bisect") {
    GoldenWire wire({modbus::Transport::rtu, 300'000});
    wire.add("e1", 1, profile("acrel-ddsy1352"));
    wire.put(1, RegisterTable::holding, 0x215, {0x0001, 0x86A0});  // 100,000 x 0.01 kWh
    wire.put(1, RegisterTable::holding, 0x20A, {0x07D0});          // 2.000 kW
    wire.refuse(1, {RegisterTable::holding, 0x224, 1});
    wire.run({}, 901'000, [&](int) {
        if (wire.now() >= 600'000) wire.refuse_nothing();
    });
    compare_with_file("bisect",
                      "One register of a block is refused: it is searched, set aside, and tried "
                      "again alone after ten minutes.",
                      wire.transcript());
}

TEST_CASE("golden: a replacement") {
    GoldenWire wire({});
    wire.add("e1", 1, profile("eastron-sdm120"), kSerial);
    put_sdm120(wire, 1, kLater);
    std::map<int, Fate> fates;
    for (int question = 7; question <= 9; ++question) fates[question] = {Fate::Kind::silence};
    wire.run(fates, 170'000, [&](int question) {
        // While it did not answer another meter was hung there.
        if (question == 10) put_sdm120(wire, 1, {0x3F80, 0x0000}, {0x01C9, 0xC380});
    });
    compare_with_file("replacement", "A meter is away, and another one answers in its place.",
                      wire.transcript());
}

TEST_CASE("golden: a gateway reset") {
    GoldenWire wire({modbus::Transport::tcp, 60'000, 1'000, 5});
    wire.add("e1", 1, profile("eastron-sdm120"), kSerial);
    wire.add("e2", 2, profile("eastron-sdm120"), kSerial);
    put_sdm120(wire, 1, kFirst);
    put_sdm120(wire, 2, kLast);
    wire.run({{11, {Fate::Kind::lost}}, {15, {Fate::Kind::exception, 0x0B}}}, 95'000);
    compare_with_file("gateway_reset",
                      "The gateway resets the connection, and later cannot reach a meter.",
                      wire.transcript());
}
