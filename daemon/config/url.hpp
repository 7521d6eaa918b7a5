// The urls of gatehouse.toml in their parts: buses, cabinets, brokers and listeners. Names are not
// resolved here. Pure, any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/config.hpp"

namespace gatehouse::config {

// A value, or every reason why there is none, each a sentence with its remedy.
struct ParsedBusUrl {
    BusUrl url;
    std::optional<int> address;  // cabinets only: address=1
    std::vector<std::string> problems;
};
[[nodiscard]] ParsedBusUrl parse_bus_url(std::string_view text, bool cabinet);

struct HostPort {
    std::string host;  // without the brackets of an IPv6 address
    int port = 0;
};
// "host:port", "[::1]:port"; without a port `default_port`, where that is 0 the port is required.
[[nodiscard]] std::optional<HostPort> parse_host_port(std::string_view text, int default_port,
                                                      std::string& problem);
[[nodiscard]] bool is_ip_address(const std::string& host);
[[nodiscard]] bool is_loopback(const std::string& host);  // 127.0.0.0/8, ::1, localhost

}  // namespace gatehouse::config
