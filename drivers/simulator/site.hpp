// The building as the daemon's own files describe it: buses from gatehouse.toml, meters from the
// registry folder, so that one description drives both sides of the wire. It reads the columns that
// a meter on a bus has, leaves the rest to the daemon's checks, and changes nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/units.hpp"
#include "drivers/modbus/link.hpp"
#include "drivers/simulator/cabinet.hpp"
#include "drivers/simulator/consumption.hpp"

namespace gatehouse::simulator {

struct BusSpec {
    std::string id;
    modbus::BusSettings settings;
    // One character on the line, or on the one behind the gateway, in microseconds; 0 where its
    // speed is not known.
    [[nodiscard]] std::int64_t character_us() const;
};

struct MeterSpec {
    std::string id;
    std::size_t bus = 0;  // index into Site::buses
    int address = 1;
    int channel = 0;
    std::string profile;
    bool water = false;
    Pattern pattern = Pattern::home;
    std::string parent;
    std::string serial;  // empty: the simulator makes one up
    Rational multiplier{1, 1};
    std::optional<Rational> rated_amps;  // meter side
    std::optional<Rational> rated_flow;  // m3/h
    std::optional<Rational> opening_register;
};

struct Site {
    std::vector<BusSpec> buses;
    std::vector<MeterSpec> meters;
    std::vector<CabinetSpec> cabinets;  // cabinet_site.hpp adds them
    std::string profiles_path;          // [profiles] path, empty where absent
};

struct LoadedSite {
    Site site;
    std::vector<std::string> problems;  // each names file, line and remedy; empty: site holds
};
[[nodiscard]] LoadedSite load_site(const std::string& config_file, const std::string& registry);

// A bus url in its parts, or nothing where it is none; `problem` then says why.
[[nodiscard]] std::optional<modbus::BusSettings> parse_bus_url(const std::string& url,
                                                               std::string& problem);

// Rows of a CSV file as RFC 4180 writes it, each with the line it begins on; a byte-order mark is
// dropped. Nothing where a quote is never closed.
struct CsvRow {
    int line = 0;
    std::vector<std::string> cells;
};
[[nodiscard]] std::optional<std::vector<CsvRow>> parse_csv(const std::string& text);

}  // namespace gatehouse::simulator
