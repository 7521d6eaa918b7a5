// Home Assistant discovery: for each meter and account one retained message below the prefix that
// tells Home Assistant where the state topics are and how to read them. Pure; any thread.
// Source: home-assistant.io/integrations/mqtt/#mqtt-discovery.
#pragma once

#include "daemon/engine/snapshot.hpp"
#include "daemon/mqtt/link.hpp"
#include "daemon/mqtt/settings.hpp"

namespace gatehouse::mqtt {

[[nodiscard]] Message meter_discovery(const Settings& settings, const MeterView& meter);
[[nodiscard]] Message balance_discovery(const Settings& settings, const AccountView& account);

}  // namespace gatehouse::mqtt
