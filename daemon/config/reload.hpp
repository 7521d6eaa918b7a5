// What differs between two readings of gatehouse.toml, and whether it can change while the daemon
// runs. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "daemon/config/config.hpp"

namespace gatehouse::config {

struct Difference {
    std::vector<std::string> changed;   // names of settings that take effect at once
    std::vector<std::string> at_start;  // and of those that only a start takes
};
[[nodiscard]] Difference compare(const Config& before, const Config& after);

}  // namespace gatehouse::config
