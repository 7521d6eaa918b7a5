// Addresses that a token may come from: single ones and networks, IPv4 and IPv6. Pure; any thread.
#pragma once

#include <string>
#include <vector>

namespace gatehouse::http {

// "192.0.2.7", "192.0.2.0/24", "2001:db8::/32".
[[nodiscard]] bool is_address(const std::string& text);

// An IPv4 address that came over an IPv6 socket is that IPv4 address.
[[nodiscard]] bool is_within(const std::string& peer, const std::vector<std::string>& addresses);

}  // namespace gatehouse::http
