// The thresholds that accounts fall back to (CONTRACT.md 2 [alerts]). Values only, any thread.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "daemon/core/units.hpp"

namespace gatehouse {

// Thresholds as a table gives them; absent values fall back to the wider table.
struct AlertTable {
    std::optional<Fen> low_balance, critical_balance, clear_margin;
    std::optional<int> low_days, critical_days;
    std::optional<std::optional<int>> amount_max_days;  // inner nothing: null, never silences
    friend bool operator==(const AlertTable&, const AlertTable&) = default;
};
struct AlertSettings {
    AlertTable base;                              // [alerts], defaults filled in
    std::map<std::string, AlertTable> overrides;  // "water", "electricity.shop", ...
    int quiet_from_minute = 18 * 60, quiet_to_minute = 9 * 60;
    friend bool operator==(const AlertSettings&, const AlertSettings&) = default;
};

}  // namespace gatehouse
