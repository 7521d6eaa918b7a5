#include <algorithm>
#include <cctype>
#include <map>
#include <string>

#include "daemon/config/reader.hpp"
#include "daemon/config/url.hpp"

namespace gatehouse::config {

using toml_reader::Section;

namespace {

constexpr std::size_t kBusesMax = 576;         // 64 with a thread of their own, and the pool's 512
constexpr std::size_t kThreadedBusesMax = 64;  // each serial line or gateway has a thread
constexpr std::size_t kCabinetsMax = 64;
constexpr std::int64_t kPollIntervalMsMin = 100;
constexpr std::int64_t kCabinetPollMsMin = 50;
constexpr std::int64_t kPollIntervalMsMax = 86'400'000;
constexpr std::int64_t kResponseTimeoutMsMin = 20;
constexpr std::int64_t kResponseTimeoutMsMax = 60'000;

using FirstLines = std::map<std::string, int>;

// Says where the first one stands; true where it is the first.
bool only_once(Section& section, std::string_view key, const std::string& value, FirstLines& seen) {
    const auto [first, fresh] = seen.emplace(value, section.at(key).line);
    if (!fresh) {
        section.problem(key, section.path(key) + " '" + value + "' is already used in line " +
                                 std::to_string(first->second) + "; each must be its own");
    }
    return fresh;
}

void read_id(Section& section, std::string& out, FirstLines& seen) {
    const auto id = section.required_text("id");
    if (id && check_identifier(section, "id", *id)) {
        out = *id;
        only_once(section, "id", *id, seen);
    }
}

// A gateway has one connection, and its line one question at a time: two buses would take turns at
// neither.
void check_gateway_once(Section& section, const BusUrl& url, FirstLines& gateways) {
    std::string place = url.host + ":" + std::to_string(url.port);
    std::transform(place.begin(), place.end(), place.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const auto [first, fresh] = gateways.emplace(place, section.at("url").line);
    if (fresh) return;
    section.problem("url", "bus.url: " + place + " is already a bus, in line " +
                               std::to_string(first->second) +
                               "; put the meters of both on one [[bus]], which shares the "
                               "gateway's one connection among them");
}

void read_bus(Section& section, Bus& bus, FirstLines& ids, FirstLines& places) {
    read_id(section, bus.id, ids);
    if (const auto url = section.required_text("url")) {
        auto parsed = parse_bus_url(*url, /*cabinet=*/false);
        for (const auto& problem : parsed.problems) {
            section.problem("url", "bus.url: " + problem);
        }
        bus.url = std::move(parsed.url);
        if (bus.url.transport == Transport::rtu && parsed.problems.empty()) {
            only_once(section, "url", bus.url.device, places);
        } else if (parsed.problems.empty()) {
            check_gateway_once(section, bus.url, places);
        }
    }
    bus.poll_interval_ms =
        duration(section, "poll_interval", kPollIntervalMsMin, kPollIntervalMsMax)
            .value_or(bus.poll_interval_ms);
    bus.response_timeout_ms =
        duration(section, "response_timeout", kResponseTimeoutMsMin, kResponseTimeoutMsMax)
            .value_or(bus.response_timeout_ms);
    section.finish();
}

// A line has one master, and a gateway to it takes turns at one connection.
void check_line_free(Section& section, const BusUrl& url, const Config& config) {
    if (url.transport == Transport::tcp) return;
    for (const Bus& bus : config.buses) {
        const bool same = url.transport == bus.url.transport && url.device == bus.url.device &&
                          url.host == bus.url.host && url.port == bus.url.port;
        if (!same) continue;
        section.problem("url", "cabinet.url: this is the line of bus " + bus.id +
                                   "; a cabinet that is asked needs a line of its own");
    }
}

void read_asked(Section& section, Cabinet& cabinet, const Config& config) {
    auto parsed = parse_bus_url(cabinet.url, /*cabinet=*/true);
    for (const auto& problem : parsed.problems) {
        section.problem("url", "cabinet.url: " + problem);
    }
    cabinet.address = parsed.address.value_or(1);
    cabinet.bus = std::move(parsed.url);
    if (parsed.problems.empty()) check_line_free(section, *cabinet.bus, config);
    cabinet.poll_interval_ms = duration(section, "poll_interval", kCabinetPollMsMin, 60'000);
    cabinet.response_timeout_ms =
        duration(section, "response_timeout", kResponseTimeoutMsMin, kResponseTimeoutMsMax)
            .value_or(cabinet.response_timeout_ms);
}

void read_cabinet_url(Section& section, Cabinet& cabinet, const Config& config) {
    const auto url = section.required_text("url");
    if (!url) {
        return;
    }
    cabinet.url = *url;
    if (*url == "mqtt:") {
        if (!config.mqtt) {
            section.problem("url", "cabinet.url is 'mqtt:', but there is no [mqtt]; add it");
        }
        return;
    }
    if (*url == "http:") {
        return;
    }
    if (!url->starts_with("modbus+")) {
        section.problem("url", "cabinet.url is '" + *url +
                                   "'; it must be mqtt:, http: or a url that begins with "
                                   "modbus+tcp, modbus+rtu-tcp or modbus+rtu and '://'");
        return;
    }
    read_asked(section, cabinet, config);
}

// Calls `each(section)` for every [[name]].
template <class Each>
void for_each_table(Section& root, std::string_view name, std::size_t most, Reading& reading,
                    const Each& each) {
    const auto* tables = root.array(name, most);
    if (tables == nullptr) {
        return;
    }
    for (const auto& node : *tables) {
        const auto* table = node.as_table();
        if (table == nullptr) {
            reading.report.add(
                toml_reader::position_of(node),
                std::string(name) + " must hold tables; write [[" + std::string(name) + "]]");
            continue;
        }
        Section section(*table, std::string(name), toml_reader::position_of(node), reading.report);
        each(section);
    }
}

}  // namespace

void read_buses(Section& root, Reading& reading) {
    FirstLines ids;
    FirstLines places;
    std::size_t threaded = 0;
    for_each_table(root, "bus", kBusesMax, reading, [&](Section& section) {
        Bus bus;
        read_bus(section, bus, ids, places);
        if (bus.url.transport != Transport::tcp && ++threaded == kThreadedBusesMax + 1) {
            section.problem("url",
                            "this is serial line or gateway number 65; each has a thread "
                            "of its own, and 64 are served");
        }
        reading.config.buses.push_back(std::move(bus));
    });
}

void read_cabinets(Section& root, Reading& reading) {
    FirstLines ids;
    for_each_table(root, "cabinet", kCabinetsMax, reading, [&](Section& section) {
        Cabinet cabinet;
        read_id(section, cabinet.id, ids);
        read_cabinet_url(section, cabinet, reading.config);
        if (const auto profile = section.required_text("profile")) {
            check_identifier(section, "profile", *profile);
            cabinet.profile = *profile;
            cabinet.line = section.at("profile").line;
            cabinet.column = section.at("profile").column;
        }
        section.finish();
        reading.config.cabinets.push_back(std::move(cabinet));
    });
}

}  // namespace gatehouse::config
