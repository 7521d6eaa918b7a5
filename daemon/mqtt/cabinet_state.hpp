// The retained state of a key cabinet: what Home Assistant and a screen on the wall show of it
// between two of its events. Names no person. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/time.hpp"
#include "daemon/engine/key_board.hpp"
#include "daemon/engine/snapshot.hpp"
#include "daemon/mqtt/settings.hpp"

namespace gatehouse::mqtt {

// Slots that are the home of a key of the registry, ascending.
[[nodiscard]] std::vector<int> cabinet_slots(const Snapshot& snapshot, const std::string& cabinet);

// {"schema","cabinet","online","reason"?,"keys","out","slots":{"1":{"key","occupied"}},"gaps",
// "last_event_at"?}; occupied is null where nobody knows.
[[nodiscard]] std::string cabinet_state_json(const Snapshot& snapshot, const CabinetView& cabinet,
                                             const Zone& zone);

// The retained states of all cabinets of the site, and whose a topic is, where it is one.
[[nodiscard]] std::string cabinet_state_filter(const Settings& settings);
[[nodiscard]] std::optional<std::string> cabinet_of_state(const Settings& settings,
                                                          std::string_view topic);

}  // namespace gatehouse::mqtt
