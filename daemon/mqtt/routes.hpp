// Which rows of the event log become which messages: one table from the kind's prefix to a route.
// Pure, any thread.
#pragma once

#include <vector>

#include "daemon/mqtt/link.hpp"
#include "daemon/mqtt/settings.hpp"
#include "daemon/mqtt/source.hpp"

namespace gatehouse::mqtt {

struct Routed {
    std::vector<Message> messages;  // in the order to hand over; empty: the cursor moves, no more
    bool broken = false;            // the body was not what its kind promises; nothing is published
};

// Where a cabinet that pushes over MQTT does so.
[[nodiscard]] std::string push_topic(const Settings& settings, const std::string& cabinet);

[[nodiscard]] Routed route(const LogRow& row, const Settings& settings);

}  // namespace gatehouse::mqtt
