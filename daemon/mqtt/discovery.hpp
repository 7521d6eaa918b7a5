// Home Assistant discovery, device by device: one retained message below the prefix for the
// gateway, each meter, account and cabinet tells where the state topics are and how to read them.
// Pure; any thread. Source: home-assistant.io/integrations/mqtt/#mqtt-discovery.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/engine/key_board.hpp"
#include "daemon/engine/snapshot.hpp"
#include "daemon/mqtt/link.hpp"
#include "daemon/mqtt/settings.hpp"

namespace gatehouse::mqtt {

// Of a device, unique on the broker; letters, digits, '_' and '-'.
[[nodiscard]] std::string gateway_object(const Settings& settings);
[[nodiscard]] std::string meter_object(const Settings& settings, const std::string& meter);
[[nodiscard]] std::string account_object(const Settings& settings, const std::string& account);
[[nodiscard]] std::string cabinet_object(const Settings& settings, const std::string& cabinet);

[[nodiscard]] Message gateway_discovery(const Settings& settings, const Snapshot& snapshot);
[[nodiscard]] Message meter_discovery(const Settings& settings, const MeterView& meter);
[[nodiscard]] Message account_discovery(const Settings& settings, const AccountView& account);
// `slots` are those that its state tells of; `gone` were announced before and are taken away.
[[nodiscard]] Message cabinet_discovery(const Settings& settings, const CabinetView& cabinet,
                                        const std::vector<int>& slots,
                                        const std::vector<int>& gone);
// Takes a device away.
[[nodiscard]] Message device_removal(const Settings& settings, const std::string& object);

// What is heard below the prefix: Home Assistant's own status, and what is announced already.
[[nodiscard]] std::string birth_topic(const Settings& settings);
[[nodiscard]] std::string announced_filter(const Settings& settings);
// The object of a discovery topic, where it is one of this site's.
[[nodiscard]] std::optional<std::string> own_object(const Settings& settings,
                                                    std::string_view topic);

}  // namespace gatehouse::mqtt
