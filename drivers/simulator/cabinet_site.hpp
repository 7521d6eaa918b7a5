// The key cabinets of the daemon's own files: where they stand from gatehouse.toml, what hangs in
// them from keys.csv, who has cards from staff.csv, their inputs from the cabinet profile; and how
// they behave, from a file of the simulator's own. Nothing here opens a port.
#pragma once

#include <string>
#include <vector>

#include "drivers/simulator/site.hpp"

namespace gatehouse::simulator {

// Adds the cabinets that are asked over Modbus to a site whose buses are loaded, and a bus for each
// line that has no [[bus]]; those that push are left alone. `behaviour` may be empty. Returns what
// is wrong, each with its file.
[[nodiscard]] std::vector<std::string> load_cabinets(const std::string& config_file,
                                                     const std::string& registry,
                                                     const std::vector<std::string>& profiles,
                                                     const std::string& behaviour, Site& site);

}  // namespace gatehouse::simulator
