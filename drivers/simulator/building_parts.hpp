// What stands behind the building's lines, for building.cpp and building_answer.cpp alone. The
// simulator's thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "drivers/simulator/building.hpp"

namespace gatehouse::simulator {

struct Building::Meter {
    MeterSpec spec;
    std::shared_ptr<const modbus::Profile> profile;
    std::uint64_t seed = 0;
    Dice dice;
    Counter counter;
    std::int64_t advanced_ms = 0;
    std::int64_t rate_max = 0;  // millionths an hour, after the multiplier
    std::vector<const Meter*> children;
    std::string serial;
    bool dead = false;
    std::int64_t stuck_until_ms = 0;
    std::int64_t stuck_micro = 0;
    std::int64_t restarted_until_ms = 0;  // a slow start: silent until then
    int slow_replies = 0;                 // still to come
    bool misled = false;                  // the last reply was wrong and nothing showed it
};

// What answers at one address: one meter, or a module with a meter on each channel.
struct Building::Device {
    std::shared_ptr<const modbus::Profile> profile;
    std::vector<Meter*> meters;
    int address = 1;
    bool tcp = false;
};

}  // namespace gatehouse::simulator
