// Documents: from values of the snapshot to the JSON text that MQTT and HTTP send, so that both
// say the same thing under the same names (CONTRACT.md 4 and 5). Pure functions; any thread. What
// stands in the store alone is written by row_documents.hpp.
#pragma once

#include <string>
#include <string_view>

#include "daemon/core/registry.hpp"
#include "daemon/core/time.hpp"
#include "daemon/engine/snapshot.hpp"

namespace gatehouse {

// The payload of `meter/<meter>/state`. power in W and flow in m3/h are decimal strings like all
// quantities; total, register and read_at are null until a reading was confirmed.
[[nodiscard]] std::string meter_state_json(const MeterView& meter, const Zone& zone);

// The payload of `account/<account>/balance`. No name and no holder stands in it.
[[nodiscard]] std::string account_balance_json(const AccountView& account,
                                               std::string_view currency, const Zone& zone);

// The HTTP resources: the payload's fields, then what the route adds.
[[nodiscard]] std::string meter_json(const MeterView& meter, const Zone& zone);
[[nodiscard]] std::string account_json(const AccountView& account, std::string_view currency,
                                       const Zone& zone);
[[nodiscard]] std::string unit_json(const Unit& unit);

// "online" or "offline", as `meter/<meter>/availability` says it.
[[nodiscard]] const char* availability(const MeterView& meter);

// 1234567 milliwatt -> "1234.567"; 1500000 ml/h -> "1.5".
[[nodiscard]] std::string format_power_w(std::int64_t milliwatt);
[[nodiscard]] std::string format_flow_m3_per_hour(std::int64_t millilitre_per_hour);

// "kWh" or "m3".
[[nodiscard]] const char* unit_of_measure(Service service);

}  // namespace gatehouse
