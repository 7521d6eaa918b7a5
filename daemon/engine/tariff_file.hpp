// tariffs/*.toml: reading and judging price versions by CONTRACT.md 3. Writing them is
// registry_export.cpp. Pure, any thread.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/core/registry.hpp"

namespace gatehouse::registry_files {

// One tariff with the line where it begins. A tariff whose parts are wrong is here as well: unread
// names them ("service", "uses", "version"), damaged leaves its id alone.
struct TariffRow {
    Tariff tariff;
    int line = 0;
    std::set<std::string, std::less<>> unread;
    bool damaged = false;
};
struct TariffFile {
    std::vector<TariffRow> tariffs;
    bool partial = false;  // it may hold tariffs whose id could not be read
    std::vector<Problem> problems;
    std::vector<Problem> warnings;  // keys that have no effect beside the others
};
[[nodiscard]] TariffFile read_tariffs(const std::string& file, std::string_view text);

// What is wrong with the bands of one version: hours that no band or two bands hold, and one name
// with two prices. Empty: they cover every day exactly.
[[nodiscard]] std::string band_problem(const std::vector<Band>& bands);
// The same of its tiers: seasons, limits, the open end.
[[nodiscard]] std::string tier_problem(const TariffVersion& version);

}  // namespace gatehouse::registry_files
