// What the world outside says of a site: time zones installed on this machine and currencies of two
// decimals. Reads the zone files; any thread.
#pragma once

#include <string>
#include <vector>

namespace gatehouse::config {

// Empty where the zone can be used; else why not, with the nearest name.
[[nodiscard]] std::string timezone_problem(const std::string& name);
// Empty for a currency of two decimals; else why not.
[[nodiscard]] std::string currency_problem(const std::string& code);

}  // namespace gatehouse::config
