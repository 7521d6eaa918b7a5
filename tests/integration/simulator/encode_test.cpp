#include "drivers/simulator/encode.hpp"

#include <algorithm>
#include <cmath>

#include "drivers/modbus/fingerprint.hpp"
#include "drivers/modbus/plausibility.hpp"
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
                    CHECK(std::abs(number - 50) < 0.11);  // some count tenths
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
                    // BCD keeps its leading zeros.
                    CHECK(read.text.substr(read.text.find_first_not_of('0')) == "4711");
                    break;
                case Measurement::clock:
                    CHECK(read.text.substr(0, 12) == "2024-10-04 1");
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

TEST_CASE("nothing that a profile reads from its own meter speaks against it") {
    Building building(a_meter_of_each(), shipped(), {});
    constexpr std::int64_t now_ms = 19 * 3'600'000;
    int address = 0;
    for (const auto& [id, profile] : shipped_profiles().profiles) {
        modbus::RegisterImage image;
        for (const auto& [place, word] : building.words(0, ++address, now_ms)) {
            image.set({place.first, place.second, 1}, {word});
        }
        const auto report = modbus::judge_values(*profile, 0, image, &shipped_profiles());
        INFO(id);
        for (const std::string& line : report.lines()) {
            UNSCOPED_INFO(line);
        }
        CHECK(report.plausible());
        if (profile->find(Measurement::voltage_l1) != nullptr) {
            CHECK(report.supported());
        }
    }
}

// Asks the meter as a scan would, and returns what may stand at the address, best first.
std::vector<modbus::Candidate> searched(Building& building, int address, std::int64_t now_ms,
                                        int& questions) {
    modbus::ProbeImage image(address);
    while (const auto span = modbus::next_question(shipped_profiles(), image)) {
        ++questions;
        const Answer answer = building.answer(
            0, address, read_pdu(static_cast<int>(span->table), span->first, span->count), now_ms);
        if (answer.silent || answer.pdu.empty() || (answer.pdu.front() & 0x80) != 0) {
            image.refused(*span);
            continue;
        }
        std::vector<std::uint16_t> words;
        const bool bits =
            span->table == RegisterTable::coils || span->table == RegisterTable::discrete_inputs;
        for (int i = 0; i < span->count; ++i) {
            const auto at = static_cast<std::size_t>(i);
            words.push_back(static_cast<std::uint16_t>(
                bits ? (answer.pdu[2 + at / 8] >> (at % 8)) & 1
                     : (answer.pdu[2 + 2 * at] << 8) | answer.pdu[3 + 2 * at]));
        }
        image.answered(*span, words);
    }
    return modbus::rank_candidates(shipped_profiles(), image);
}

TEST_CASE("every shipped profile is found at an unknown address by asking") {
    Building building(a_meter_of_each(), shipped(), {});
    constexpr std::int64_t now_ms = 19 * 3'600'000;
    int address = 0;
    for (const auto& [id, profile] : shipped_profiles().profiles) {
        int questions = 0;
        const auto found = searched(building, ++address, now_ms, questions);
        INFO(id << " after " << questions << " questions");
        for (const modbus::Candidate& candidate : found) {
            UNSCOPED_INFO(candidate.profile->id << " " << to_string(candidate.fingerprint.match)
                                                << " " << candidate.fingerprint.score << " "
                                                << candidate.fingerprint.why);
        }
        CHECK(questions <= 200);
        const auto own = std::find_if(found.begin(), found.end(), [&](const auto& candidate) {
            return candidate.profile->id == id;
        });
        REQUIRE(own != found.end());
        CHECK(own->fingerprint.complete);
        // Nothing else may be held for more certain than what it is.
        CHECK(own->fingerprint.match == found.front().fingerprint.match);
        const bool named = std::any_of(profile->identify.begin(), profile->identify.end(),
                                       [](const auto& rule) { return rule.certain; });
        if (named) {
            CHECK(own == found.begin());
            CHECK(own->fingerprint.match == modbus::Match::certain);
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
