// The arguments of gatehouse-sim as values, checked. Nothing here opens a file.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "drivers/simulator/building.hpp"

namespace gatehouse::simulator {

struct Options {
    std::string config = "/etc/gatehouse/gatehouse.toml";
    std::string registry;
    std::vector<std::string> profiles;          // folders; empty: the installed ones
    std::vector<std::string> cabinet_profiles;  // likewise
    std::string cabinets;                       // file of how they behave
    BuildingSettings building;
    std::int64_t late_ms = 0;
    std::optional<std::int64_t> turnaround_ms;  // absent: 20 ms on a line, 5 ms on TCP
    bool pace = true;
    std::string listen;
    std::map<std::string, int> ports;          // bus -> port
    std::map<std::string, std::string> links;  // bus -> path
    std::string truth;
    std::optional<int> control;
    bool list = false;
};

// `exit_code` is there when nothing is to be run: 0 after --help and --version, 2 on bad usage;
// what is to be said about it has been said.
struct ParsedOptions {
    Options options;
    std::optional<int> exit_code;
};
[[nodiscard]] ParsedOptions parse_options(int argc, const char* const* argv);

}  // namespace gatehouse::simulator
