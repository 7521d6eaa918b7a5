// What the simulator's tests share: shipped profiles, a building of a few meters, and questions.
#pragma once

#include <memory>
#include <string>

#include "drivers/modbus/profile.hpp"
#include "drivers/simulator/building.hpp"
#include "tests/support/catch.hpp"

namespace gatehouse::simulator {

inline const modbus::ProfileTable& shipped_profiles() {
    static const modbus::ProfileTable kTable =
        modbus::load_profiles({std::string(GATEHOUSE_SOURCE_DIR) + "/drivers/meters"});
    return kTable;
}

inline Building::Profiles shipped() {
    return [](const std::string& id, std::string* reason) {
        return shipped_profiles().find(id, reason);
    };
}

// One bus, RTU unless said; meters are added by the test.
inline Site one_bus(modbus::Transport transport = modbus::Transport::rtu) {
    Site site;
    BusSpec bus;
    bus.id = "b1";
    bus.settings.transport = transport;
    site.buses.push_back(bus);
    return site;
}

inline MeterSpec meter(const std::string& id, int address, const std::string& profile,
                       const std::string& opening = "1000") {
    MeterSpec spec;
    spec.id = id;
    spec.address = address;
    spec.profile = profile;
    spec.opening_register = parse_rational(opening);
    return spec;
}

inline Bytes read_pdu(int function, int first, int count) {
    return {static_cast<std::uint8_t>(function), static_cast<std::uint8_t>(first >> 8),
            static_cast<std::uint8_t>(first & 0xFF), static_cast<std::uint8_t>(count >> 8),
            static_cast<std::uint8_t>(count & 0xFF)};
}

// The energy import of an SDM120, the meter of most of these tests: two input registers.
inline Bytes energy_question() {
    return read_pdu(4, 0x48, 2);
}

inline double as_number(const Rational& value) {
    return static_cast<double>(value.numerator) / static_cast<double>(value.denominator);
}

// A profile's view of what the building holds: through the decoder that the daemon uses.
inline modbus::Decoded decoded(Building& building, int address, const std::string& profile_id,
                               modbus::Measurement what, int channel, std::int64_t now_ms) {
    modbus::RegisterImage image;
    for (const auto& [place, word] : building.words(0, address, now_ms)) {
        image.set({place.first, place.second, 1}, {word});
    }
    return shipped_profiles().find(profile_id)->decode(what, channel, image);
}

}  // namespace gatehouse::simulator
