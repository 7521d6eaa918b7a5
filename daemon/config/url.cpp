#include "daemon/config/url.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

#include "daemon/config/toml_reader.hpp"

namespace gatehouse::config {
namespace {

constexpr std::size_t kHostMax = 253;
constexpr std::size_t kDevicePathMax = 255;
constexpr std::int64_t kGapMsMax = 10'000;
// What libmodbus and Linux carry out as asked; libmodbus turns any other rate into 9600 silently.
const std::vector<std::string> kBauds{"1200",  "2400",  "4800",  "9600",
                                      "19200", "38400", "57600", "115200"};
const std::vector<std::string> kSchemes{"modbus+tcp", "modbus+rtu-tcp", "modbus+rtu"};
const std::vector<std::string> kParities{"none", "even", "odd"};

std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const auto& word : words) {
        out += (out.empty() ? "" : ", ") + word;
    }
    return out;
}

bool is_host_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
}

std::optional<int> parse_port(std::string_view text) {
    if (text.empty() || text.size() > 5 ||
        !std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) {
        return std::nullopt;
    }
    const int port = std::stoi(std::string(text));
    return port >= 1 && port <= 65'535 ? std::optional(port) : std::nullopt;
}

// The options that a transport knows, for the nearest name as well.
std::vector<std::string> known_options(Transport transport, bool cabinet) {
    std::vector<std::string> known;
    switch (transport) {
        case Transport::rtu:
            known = {"baud", "parity", "stop_bits", "gap", "echo"};
            break;
        case Transport::rtu_over_tcp:
            known = {"line_baud", "line_parity", "gap", "echo", "dial_in"};
            break;
        case Transport::tcp:
            known = {"line_baud", "line_parity", "tid", "gap", "dial_in"};
            break;
    }
    if (cabinet) {
        known.emplace_back("address");
    }
    return known;
}

class OptionReader {
  public:
    OptionReader(ParsedBusUrl& out, bool cabinet)
        : out_(out), known_(known_options(out.url.transport, cabinet)) {}

    void read(std::string_view query) {
        while (!query.empty()) {
            const auto end = query.find('&');
            one(query.substr(0, end));
            query = end == std::string_view::npos ? std::string_view() : query.substr(end + 1);
        }
    }

  private:
    void bad(const std::string& name, const std::string& value, const std::string& remedy) {
        out_.problems.push_back("option " + name + " is '" + value + "'; " + remedy);
    }

    void one(std::string_view option) {
        const auto equals = option.find('=');
        const std::string name(option.substr(0, equals));
        if (std::find(known_.begin(), known_.end(), name) == known_.end()) {
            // The rate behind a gateway is asked for as often as that of an own port.
            const bool of_line =
                std::find(known_.begin(), known_.end(), "line_" + name) != known_.end();
            out_.problems.push_back(
                "unknown option '" + name + "' for this kind of bus, which takes " +
                joined(known_) +
                toml_reader::did_you_mean(of_line ? "line_" + name : name, known_));
            return;
        }
        if (std::find(seen_.begin(), seen_.end(), name) != seen_.end()) {
            out_.problems.push_back("option " + name + " is given twice; keep one");
            return;
        }
        seen_.push_back(name);
        apply(name, equals == std::string_view::npos ? std::string()
                                                     : std::string(option.substr(equals + 1)));
    }

    void apply(const std::string& name, const std::string& value) {
        BusUrl& url = out_.url;
        if (name == "baud" || name == "line_baud") {
            baud(name, value);
        } else if (name == "parity" || name == "line_parity") {
            parity(name, value);
        } else if (name == "stop_bits") {
            if (value != "1" && value != "2") {
                bad(name, value, "it must be 1 or 2");
            } else {
                url.stop_bits = value == "1" ? 1 : 2;
            }
        } else if (name == "gap") {
            const auto ms = toml_reader::parse_duration(value);
            if (!ms || *ms > kGapMsMax) {
                bad(name, value, "it must be a duration up to 10s, such as 20ms");
            } else {
                url.gap_ms = *ms;
            }
        } else if (name == "address") {
            const auto address = parse_port(value);
            if (!address || *address > 247) {
                bad(name, value, "it must be from 1 to 247");
            } else {
                out_.address = address;
            }
        } else {
            yes_no(name, value);
        }
    }

    void baud(const std::string& name, const std::string& value) {
        if (std::find(kBauds.begin(), kBauds.end(), value) == kBauds.end()) {
            bad(name, value, "it must be one of " + joined(kBauds));
            return;
        }
        out_.url.baud = std::stoi(value);
    }

    void parity(const std::string& name, const std::string& value) {
        const auto found = std::find(kParities.begin(), kParities.end(), value);
        if (found == kParities.end()) {
            bad(name, value,
                "it must be one of " + joined(kParities) +
                    toml_reader::did_you_mean(value, kParities));
            return;
        }
        out_.url.parity = static_cast<Parity>(found - kParities.begin());
    }

    void yes_no(const std::string& name, const std::string& value) {
        if (value != "yes" && value != "no") {
            bad(name, value, "it must be yes or no");
            return;
        }
        const bool yes = value == "yes";
        if (name == "tid") {
            out_.url.transaction_id_echoed = yes;
        } else if (name == "echo") {
            out_.url.local_echo = yes;
        } else {
            out_.url.dial_in = yes;
        }
    }

    ParsedBusUrl& out_;
    std::vector<std::string> known_;
    std::vector<std::string> seen_;
};

void read_device(std::string_view rest, ParsedBusUrl& out) {
    out.url.device = std::string(rest);
    if (rest.empty() || rest.front() != '/' || rest.size() > kDevicePathMax || rest.back() == '/') {
        out.problems.push_back(
            "'" + std::string(rest) +
            "' is no device path; write three slashes, such as modbus+rtu:///dev/ttyUSB0");
    }
}

void read_host(std::string_view rest, ParsedBusUrl& out) {
    std::string problem;
    const int default_port = out.url.transport == Transport::tcp ? 502 : 0;
    const auto found = parse_host_port(rest, default_port, problem);
    if (!found) {
        out.problems.push_back(problem);
        return;
    }
    out.url.host = found->host;
    out.url.port = found->port;
}

}  // namespace

std::optional<HostPort> parse_host_port(std::string_view text, int default_port,
                                        std::string& problem) {
    HostPort out;
    std::string_view rest;
    if (!text.empty() && text.front() == '[') {
        const auto close = text.find(']');
        if (close == std::string_view::npos) {
            problem = "'" + std::string(text) + "' opens a bracket that nothing closes";
            return std::nullopt;
        }
        out.host = std::string(text.substr(1, close - 1));
        rest = text.substr(close + 1);
        in6_addr scratch{};
        if (inet_pton(AF_INET6, out.host.c_str(), &scratch) != 1) {
            problem = "'" + out.host + "' is no IPv6 address";
            return std::nullopt;
        }
    } else {
        const auto colon = text.find(':');
        out.host = std::string(text.substr(0, colon));
        rest = colon == std::string_view::npos ? std::string_view() : text.substr(colon);
        if (out.host.empty() || out.host.size() > kHostMax ||
            !std::all_of(out.host.begin(), out.host.end(), is_host_character)) {
            problem = "'" + out.host + "' is no host name or address; write host:port";
            return std::nullopt;
        }
    }
    if (rest.empty() && default_port != 0) {
        out.port = default_port;
        return out;
    }
    const auto port = parse_port(rest.substr(rest.empty() ? 0 : 1));
    if (!port || rest.front() != ':') {
        problem = rest.empty() ? "the port is missing; write " + std::string(text) + ":PORT"
                               : "the port '" + std::string(rest.substr(1)) +
                                     "' must be a number from 1 to 65535";
        return std::nullopt;
    }
    out.port = *port;
    return out;
}

bool is_ip_address(const std::string& host) {
    std::array<unsigned char, sizeof(in6_addr)> scratch{};
    return inet_pton(AF_INET, host.c_str(), scratch.data()) == 1 ||
           inet_pton(AF_INET6, host.c_str(), scratch.data()) == 1;
}

bool is_loopback(const std::string& host) {
    in_addr v4{};
    if (inet_pton(AF_INET, host.c_str(), &v4) == 1) {
        return (ntohl(v4.s_addr) >> 24U) == 127;
    }
    in6_addr v6{};
    if (inet_pton(AF_INET6, host.c_str(), &v6) == 1) {
        return std::equal(std::begin(v6.s6_addr), std::end(v6.s6_addr),
                          std::begin(in6addr_loopback.s6_addr));
    }
    return host == "localhost";
}

ParsedBusUrl parse_bus_url(std::string_view text, bool cabinet) {
    ParsedBusUrl out;
    out.url.text = std::string(text);
    const auto separator = text.find("://");
    const std::string scheme(text.substr(0, separator));
    if (separator == std::string_view::npos ||
        std::find(kSchemes.begin(), kSchemes.end(), scheme) == kSchemes.end()) {
        out.problems.push_back("'" + std::string(text) + "' must begin with one of " +
                               joined(kSchemes) + " and '://'" +
                               toml_reader::did_you_mean(scheme, kSchemes));
        return out;
    }
    BusUrl& url = out.url;
    url.transport = scheme == kSchemes[0]   ? Transport::tcp
                    : scheme == kSchemes[1] ? Transport::rtu_over_tcp
                                            : Transport::rtu;
    if (url.transport != Transport::rtu) {
        url.baud = 0;  // what stands behind a gateway is learned unless line_baud says it
    }
    std::string_view rest = text.substr(separator + 3);
    const auto query = rest.find('?');
    const std::string_view options =
        query == std::string_view::npos ? std::string_view() : rest.substr(query + 1);
    rest = rest.substr(0, query);
    if (url.transport == Transport::rtu) {
        read_device(rest, out);
    } else {
        read_host(rest, out);
    }
    OptionReader(out, cabinet).read(options);
    return out;
}

}  // namespace gatehouse::config
