// gatehouse.toml as values (CONTRACT.md 2). Reading it reports every problem at once; nothing here
// opens a port or a database. Used by main and gatehousectl. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/core/alert_settings.hpp"
#include "daemon/core/registry.hpp"
#include "daemon/core/units.hpp"

namespace gatehouse::config {

enum class Language { zh_cn, en };
enum class ClockTrust { automatic, system, manual };
enum class Transport { tcp, rtu_over_tcp, rtu };
enum class Parity { none, even, odd };

// A bus url in its parts. What a url does not say has the defaults below.
struct BusUrl {
    Transport transport = Transport::tcp;
    std::string text;  // as given, for messages
    std::string host;  // tcp, rtu_over_tcp; a name or an address
    int port = 502;
    std::string device;  // rtu
    int baud = 9600;     // rtu; rtu_over_tcp: line_baud (0: learned)
    Parity parity = Parity::none;
    int stop_bits = 1;
    int data_bits = 8;
    bool transaction_id_echoed = true;  // tid=no
    std::int64_t gap_ms = 0;            // gap=20ms: least pause between transactions
    bool local_echo = false;            // echo=yes
    bool dial_in = false;               // dial_in=yes
};

struct Site {
    std::string id, name, timezone, currency = "CNY";
    Language language = Language::zh_cn;
};
struct StoreSettings {
    std::string path = "gatehouse.db";  // relative to the state directory
    std::int64_t store_interval_ms = 900'000;
};
struct MqttSettings {
    std::string url;  // mqtt://host:port or mqtts://host:port
    bool tls = false;
    std::string host;
    int port = 1883;
    std::string topic_root = "gatehouse";
    std::string client_id;
    std::string username, password_file, ca_file, cert_file, key_file;
    bool homeassistant = false;
    std::string homeassistant_prefix = "homeassistant";
};
struct HttpSettings {
    std::string listen;  // empty: socket only; else host:port
    std::string listen_host;
    int listen_port = 0;
    std::string tls_cert_file, tls_key_file;
    std::string socket = "/run/gatehouse/api.sock";
    bool metrics_meters = false;
};
struct Bus {
    std::string id;
    BusUrl url;
    std::int64_t poll_interval_ms = 60'000;
    std::int64_t response_timeout_ms = 1'000;
};
struct Cabinet {
    std::string id, url, profile;
    int line = 1, column = 1;  // of its profile
    // Absent of cabinets that push.
    std::optional<BusUrl> bus;
    int address = 1;
    std::optional<std::int64_t> poll_interval_ms;  // absent: the profile's
    std::int64_t response_timeout_ms = 500;
};
// [keys], beyond CONTRACT.md 2: when keys are back, and which of the alerts of keys-and-tickets.md
// 5.8 are told; absent: the eight that a small desk needs.
struct KeySettings {
    int curfew_minute = 18 * 60;
    std::int64_t max_hold_ms = 8 * 3'600'000LL;
    std::vector<std::string> alerts;  // empty: the default ones
};

struct Config {
    std::string file;  // as opened
    Site site;
    StoreSettings store;
    ClockTrust trust = ClockTrust::automatic;
    std::optional<MqttSettings> mqtt;
    HttpSettings http;
    gatehouse::AlertSettings alerts;  // defaults filled in
    std::string profiles_path;        // the technician's own; empty: none
    int profiles_line = 1, profiles_column = 1;
    std::vector<Bus> buses;
    std::vector<Cabinet> cabinets;
    KeySettings keys;
};

struct Loaded {
    Config config;  // meaningful only where problems is empty
    std::vector<Problem> problems;
};
// Whether the files that the configuration names (passwords, certificates, profiles) must be
// readable now by this process.
enum class FileCheck { skip, readable };

// Relative paths of files are taken from the configuration's folder and come back whole;
// store.path is relative to the state directory and stays as given. Beyond CONTRACT.md 2:
// alerts.amount_max_days takes "null" or "never" (TOML has no null), alerts.quiet_hours takes
// "none".
[[nodiscard]] Loaded load(const std::string& path, FileCheck check = FileCheck::skip);
[[nodiscard]] Loaded parse(const std::string& text, const std::string& file_name,
                           FileCheck check = FileCheck::skip);

// The state directory by CONTRACT.md 1: $STATE_DIRECTORY (first entry), else the configuration's
// folder; and the database's path in it.
[[nodiscard]] std::string state_directory(const Config& config, const char* state_directory_env);
[[nodiscard]] std::string database_path(const Config& config, const std::string& state_directory);

}  // namespace gatehouse::config
