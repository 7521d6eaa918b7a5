#include "drivers/simulator/building.hpp"

#include <cmath>

#include "drivers/simulator/control.hpp"
#include "tests/integration/simulator/fixture.hpp"

namespace gatehouse::simulator {
namespace {

constexpr std::int64_t kHourMs = 3'600'000;

Bytes exception_of(Building& building, const Bytes& pdu) {
    return building.answer(0, 1, pdu, 1000).pdu;
}

double energy(Building& building, const std::string& id, std::int64_t now_ms) {
    for (const Truth& truth : building.truth(now_ms)) {
        if (truth.meter == id) {
            return as_number(truth.value);
        }
    }
    FAIL("no meter " << id);
    return 0;
}

TEST_CASE("a meter answers what its map names and refuses the rest as meters do") {
    Site site = one_bus();
    site.meters.push_back(meter("e1", 1, "eastron-sdm120"));
    Building building(site, shipped(), {});
    const Answer good = building.answer(0, 1, energy_question(), 1000);
    CHECK_FALSE(good.silent);
    CHECK(good.unit == 1);
    REQUIRE(good.pdu.size() == 6);
    CHECK(good.pdu[0] == 4);
    CHECK(good.pdu[1] == 4);
    // Addresses beyond the map, a table that it does not have, and lengths that no meter takes.
    CHECK(exception_of(building, read_pdu(4, 0x4000, 2)) == Bytes{0x84, 2});
    CHECK(exception_of(building, read_pdu(1, 0, 1)) == Bytes{0x81, 1});
    CHECK(exception_of(building, read_pdu(4, 0, 0)) == Bytes{0x84, 3});
    CHECK(exception_of(building, read_pdu(4, 0, 126)) == Bytes{0x84, 3});
    const int limit = shipped_profiles().find("eastron-sdm120")->rules.registers_max;
    CHECK(exception_of(building, read_pdu(4, 0, limit + 1)) == Bytes{0x84, 3});
    // Nothing can be written.
    CHECK(exception_of(building, Bytes{6, 0, 0x14, 0, 5}) == Bytes{0x86, 1});
    // Nobody stands at the other addresses; only a TCP gateway says so.
    CHECK(building.answer(0, 2, energy_question(), 1000).silent);
    Building behind_gateway(one_bus(modbus::Transport::tcp), shipped(), {});
    CHECK(behind_gateway.answer(0, 2, energy_question(), 1000).pdu == Bytes{0x84, 0x0B});
}

TEST_CASE("consumption follows the seed and stays below what the meter is rated for") {
    Site site = one_bus();
    site.meters.push_back(meter("e1", 1, "eastron-sdm120"));
    site.meters.back().rated_amps = Rational{10, 1};
    BuildingSettings settings;
    settings.day_start_ms = 18 * kHourMs;
    settings.seed = 42;
    Building slow(site, shipped(), settings);
    Building again(site, shipped(), settings);
    settings.seed = 43;
    Building other(site, shipped(), settings);
    settings.speed = 1000;
    Building fast(site, shipped(), settings);
    const double used = energy(slow, "e1", 4 * kHourMs) - 1000;
    CHECK(used > 1);
    CHECK(used < 12);
    CHECK(used == energy(again, "e1", 4 * kHourMs) - 1000);
    CHECK(used != energy(other, "e1", 4 * kHourMs) - 1000);
    // 10 A at 230 V for four hours, whatever the speed; power says the same.
    const double most = energy(fast, "e1", 4 * kHourMs) - 1000;
    CHECK(most <= 2.3 * 4 + 0.0001);  // a float of seven digits
    CHECK(most > 2.3 * 4 * 0.99);
    const auto power =
        decoded(fast, 1, "eastron-sdm120", modbus::Measurement::power, 0, 4 * kHourMs);
    CHECK(std::abs(as_number(power.number) - 2300) < 1);
}

TEST_CASE("asking more often changes no register") {
    Site site = one_bus();
    site.meters.push_back(meter("e1", 1, "eastron-sdm120"));
    Building often(site, shipped(), {});
    Building seldom(site, shipped(), {});
    for (std::int64_t now_ms = 0; now_ms < kHourMs; now_ms += 777) {
        static_cast<void>(often.answer(0, 1, energy_question(), now_ms));
    }
    CHECK(energy(often, "e1", kHourMs) == energy(seldom, "e1", kHourMs));
}

TEST_CASE("a main meter counts what those below it count, through its transformers") {
    Site site = one_bus();
    site.meters.push_back(meter("main", 1, "abb-b23", "10"));
    site.meters.back().multiplier = {40, 1};
    for (int i = 2; i <= 4; ++i) {
        site.meters.push_back(meter("e" + std::to_string(i), i, "abb-b23", "10"));
        site.meters.back().parent = "main";
    }
    Building building(site, shipped(), {});
    double sum = 0;
    for (const char* id : {"e2", "e3", "e4"}) {
        sum += energy(building, id, 24 * kHourMs) - 10;
    }
    CHECK(sum > 10);
    const double main_total = (energy(building, "main", 24 * kHourMs) - 10) * 40;
    CHECK(std::abs(main_total - sum) < 0.5);
}

TEST_CASE("the channels of a module are meters of their own") {
    Site site = one_bus();
    for (int channel = 0; channel < 2; ++channel) {
        MeterSpec spec = meter("w" + std::to_string(channel), 7, "wirenboard-mcm8",
                               std::to_string(100 * (channel + 1)));
        spec.channel = channel;
        spec.water = true;
        spec.multiplier = {1, 100};
        site.meters.push_back(spec);
    }
    Building building(site, shipped(), {});
    REQUIRE(building.problems().empty());
    const auto first = decoded(building, 7, "wirenboard-mcm8", modbus::Measurement::pulses, 0, 0);
    const auto second = decoded(building, 7, "wirenboard-mcm8", modbus::Measurement::pulses, 1, 0);
    CHECK(modbus::format_rational(first.number) == "100");
    CHECK(modbus::format_rational(second.number) == "200");
    // A channel without a meter reads zero, as a module with nothing connected does.
    const auto third = decoded(building, 7, "wirenboard-mcm8", modbus::Measurement::pulses, 2, 0);
    CHECK(modbus::format_rational(third.number) == "0");
}

TEST_CASE("one bad meter is left out and named, and the rest hangs there") {
    Site site = one_bus();
    site.meters.push_back(meter("good", 1, "eastron-sdm120"));
    site.meters.push_back(meter("typo", 2, "eastron-sdm12"));
    site.meters.push_back(meter("shared", 1, "abb-b23"));
    site.meters.back().channel = 0;
    site.meters.push_back(meter("channel", 3, "wirenboard-mcm8"));
    site.meters.back().channel = 8;
    Building building(site, shipped(), {});
    REQUIRE(building.problems().size() == 3);
    CHECK(building.problems()[0].find("typo") != std::string::npos);
    CHECK(building.problems()[1].find("shared") != std::string::npos);
    CHECK(building.problems()[2].find("channels 0 to 7") != std::string::npos);
    CHECK(building.knows("good"));
    CHECK_FALSE(building.knows("typo"));
}

TEST_CASE("commands at the control port change the building or say why not") {
    Site site = one_bus();
    site.meters.push_back(meter("e1", 1, "eastron-sdm120"));
    Building building(site, shipped(), {});
    const auto say = [&](const std::string& line) { return run_command(building, line, 1000); };
    CHECK(say("set e1 2000.5") == "ok\n");
    CHECK(energy(building, "e1", 1000) == 2000.5);
    CHECK(say("truth e1") == "{\"meter\":\"e1\",\"register\":\"2000.5\"}\nok\n");
    CHECK(say("dead e1") == "ok\n");
    CHECK(building.answer(0, 1, energy_question(), 1000).silent);
    CHECK(say("alive e1") == "ok\n");
    CHECK_FALSE(building.answer(0, 1, energy_question(), 1000).silent);
    CHECK(say("stuck e1") == "ok\n");
    CHECK(energy(building, "e1", 24 * kHourMs) == 2000.5);
    CHECK(run_command(building, "free e1", 24 * kHourMs) == "ok\n");
    CHECK(energy(building, "e1", 24 * kHourMs) > 2001);
    CHECK(run_command(building, "replace e1 999 0.5", 24 * kHourMs) == "ok\n");
    CHECK(energy(building, "e1", 24 * kHourMs) == 0.5);
    CHECK(say("fault silence=1@e1") == "ok\n");
    CHECK(building.answer(0, 1, energy_question(), 24 * kHourMs).silent);
    CHECK(say("speed 5") == "ok\n");
    for (const char* wrong :
         {"", "set e1", "set e9 1", "set e1 -1", "set e1 1e3", "dead e9", "speed 0", "speed 1x",
          "fault silence=2", "fault noise=0.1", "fault silence=0.1@e9", "truth e9", "shout"}) {
        INFO(wrong);
        CHECK(say(wrong).starts_with("error: "));
    }
}

}  // namespace
}  // namespace gatehouse::simulator
