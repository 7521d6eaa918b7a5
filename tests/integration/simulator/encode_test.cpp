#include "drivers/simulator/encode.hpp"

#include <cmath>

#include "tests/integration/simulator/fixture.hpp"

namespace gatehouse::simulator {
namespace {

using modbus::Measurement;

// Every profile has its own address here, and each channel its own meter.
Site a_meter_of_each() {
    Site site = one_bus();
    int address = 1;
    for (const auto& [id, profile] : shipped_profiles().profiles) {
        for (int channel = 0; channel < profile->channels; ++channel) {
            MeterSpec spec = meter(id + "-" + std::to_string(channel), address, id, "12345.67");
            spec.channel = channel;
            spec.water = profile->service == Service::water;
            spec.serial = "4711";
            site.meters.push_back(spec);
        }
        ++address;
    }
    return site;
}

TEST_CASE("every shipped profile reads back what the simulator encodes") {
    REQUIRE(shipped_profiles().profiles.size() >= 10);
    REQUIRE(shipped_profiles().problems.empty());
    Building building(a_meter_of_each(), shipped(), {});
    REQUIRE(building.problems().empty());
    constexpr std::int64_t now_ms = 12 * 3'600'000;
    for (const Truth& truth : building.truth(now_ms)) {
        const auto& meters = building.site().meters;
        const auto spec = std::find_if(meters.begin(), meters.end(),
                                       [&](const MeterSpec& m) { return m.id == truth.meter; });
        const auto profile = shipped_profiles().find(spec->profile);
        INFO(truth.meter);
        const modbus::Decoded read = decoded(building, spec->address, spec->profile,
                                             profile->billing, spec->channel, now_ms);
        REQUIRE(read.result == PollResult::ok);
        CHECK(modbus::format_rational(read.number) == modbus::format_rational(truth.value));
        // Floats of seven digits and steps of a tenth: within one of them of what was asked for,
        // and twelve hours of a household above it.
        CHECK(as_number(read.number) >= 12345.0);
        CHECK(as_number(read.number) < 12345.67 + 40);
    }
}

TEST_CASE("every value that a profile names is plausible") {
    Building building(a_meter_of_each(), shipped(), {});
    constexpr std::int64_t now_ms = 19 * 3'600'000;  // the evening peak
    int address = 0;
    for (const auto& [id, profile] : shipped_profiles().profiles) {
        ++address;
        for (const modbus::Value& value : profile->values) {
            const modbus::Decoded read =
                decoded(building, address, id, value.measurement, 0, now_ms);
            INFO(id << " " << modbus::to_string(value.measurement));
            REQUIRE(read.result == PollResult::ok);
            const double number = as_number(read.number);
            switch (value.measurement) {
                case Measurement::voltage_l1:
                case Measurement::voltage_l2:
                case Measurement::voltage_l3:
                    CHECK(number > 200);
                    CHECK(number < 260);
                    break;
                case Measurement::frequency:
                    CHECK(std::abs(number - 50) < 0.1);
                    break;
                case Measurement::power:
                    CHECK(number > 100);
                    CHECK(number < 10'000);
                    break;
                case Measurement::current_l1:
                    CHECK(number > 0.1);
                    CHECK(number < 45);
                    break;
                case Measurement::flow:
                    CHECK(number >= 0);
                    CHECK(number < 2.5);
                    break;
                case Measurement::serial:
                    CHECK(read.text == "4711");
                    break;
                case Measurement::own_balance:
                case Measurement::energy_export:
                    CHECK(number == 0);
                    break;
                default:
                    break;
            }
        }
    }
}

TEST_CASE("what is encoded is never above the target, and a counter wraps where it ends") {
    const auto profile = shipped_profiles().find("abb-b23");
    REQUIRE(profile);
    const modbus::Value* const energy = profile->find(Measurement::energy_import);
    REQUIRE(energy != nullptr);
    Words words;
    const auto written = encode_number(*profile, *energy, 0, Rational{123'456'789, 1000}, words);
    REQUIRE(written);
    CHECK(modbus::format_rational(*written) == "123456.78");

    const auto pulses = shipped_profiles().find("wirenboard-mcm8");
    REQUIRE(pulses);
    const modbus::Value* const count = pulses->find(Measurement::pulses);
    REQUIRE(count != nullptr);
    words.clear();
    const auto wrapped =
        encode_number(*pulses, *count, 0, Rational{(Int128{1} << 32) + 5, 1}, words);
    REQUIRE(wrapped);
    CHECK(modbus::format_rational(*wrapped) == "5");
}

TEST_CASE("a text that does not fit its registers is refused") {
    for (const auto& [id, profile] : shipped_profiles().profiles) {
        const modbus::Value* const serial = profile->find(Measurement::serial);
        if (serial == nullptr) {
            continue;
        }
        Words words;
        INFO(id);
        CHECK(encode_text(*serial, 0, "77", words));
        CHECK_FALSE(encode_text(*serial, 0, std::string(200, '9'), words));
    }
}

}  // namespace
}  // namespace gatehouse::simulator
