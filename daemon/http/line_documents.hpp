// Buses and meters on the wire as documents: what was counted, how fast they answer, what is set
// aside, and what is probably wrong. Shared by /status and /meters/{meter}. One thread a call.
#pragma once

#include <string>

#include "daemon/engine/json_writer.hpp"
#include "daemon/http/routes.hpp"

namespace gatehouse::http {

// `lines`: with an object for each meter of the bus.
void bus_json(JsonWriter& json, const Call& call, const BusStatus& bus, bool lines);

// The line of one meter; empty text where it stands on no bus that runs.
[[nodiscard]] std::string meter_line_json(const Call& call, const std::string& bus,
                                          const std::string& meter);

}  // namespace gatehouse::http
