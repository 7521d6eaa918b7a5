// What the publisher is told about its broker and its site: plain values that main translates from
// the configuration. No Paho, no configuration type. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace gatehouse::mqtt {

struct Settings {
    std::string host;
    int port = 1883;
    bool tls = false;                 // mqtts: the broker's certificate and host name are verified
    std::string ca_file;              // empty: the system's certificates
    std::string cert_file, key_file;  // mutual TLS; both or none
    std::string client_id;
    std::string username;
    std::string password_file;  // read anew at each connection, so that it may be rotated
    std::string topic_root;     // "gatehouse"
    std::string site_id;
    std::string currency = "CNY";
    std::string version;                     // of the program, for bridge/info
    std::vector<std::string> push_cabinets;  // that push over MQTT, or whose readers do
    std::string homeassistant_prefix;        // of its discovery topics; empty: nothing is announced
    // Where nothing is announced: what of this site is found below it is taken away; empty:
    // nothing.
    std::string homeassistant_old_prefix;

    // Limits; the defaults are what runs in service.
    std::size_t window = 20;        // messages of events not yet acknowledged
    std::size_t state_window = 20;  // messages of state topics not yet handed over
    std::int64_t reconnect_min_ms = 1'000;
    std::int64_t reconnect_max_ms = 60'000;
    std::int64_t connect_timeout_ms = 10'000;
    std::int64_t keep_alive_s = 20;
    std::int64_t health_interval_ms = 60'000;
    std::int64_t balance_interval_ms = 1'000;  // least time between two balances of one account
    // The same where only the time of the reading moved, which nobody acts on: once a quarter hour.
    std::int64_t balance_time_interval_ms = 900'000;
    std::int64_t cursor_interval_ms = 1'000;  // least time between two cursor commands
    std::int64_t scan_interval_ms = 100;      // least time between two looks for changed state
    std::int64_t stop_drain_ms = 2'000;       // the last pass at stop
};

}  // namespace gatehouse::mqtt
