// The HTTP server: a Unix socket whose callers are local administrators, and a listener whose
// callers bear tokens. One io_context thread owns every socket; what reads the store or parses a
// body runs on a small pool with read-only connections; what changes anything is a command to the
// engine. No decision about money or readings is made here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include "daemon/core/time.hpp"
#include "daemon/http/passwords.hpp"
#include "daemon/http/ports.hpp"

namespace gatehouse::http {

// Each stands in the OpenAPI document and has a test that hits it.
struct Limits {
    std::size_t header_bytes = 16 * 1024;
    std::size_t body_bytes = 1024 * 1024;
    std::size_t import_body_bytes = 32 * 1024 * 1024;
    std::size_t connections = 200;      // for each of socket and listener
    std::size_t waiting_requests = 64;  // in the pool's queue; more are told 503
    std::size_t json_depth = 16;
    std::int64_t header_timeout_ms = 10'000;  // from the first byte of the header to its last
    std::int64_t body_timeout_ms = 60'000;
    std::int64_t write_timeout_ms = 60'000;
    std::int64_t idle_timeout_ms = 60'000;    // between two requests of one connection
    std::int64_t answer_timeout_ms = 30'000;  // engine or meter; then 503, outcome unknown
    std::size_t reader_threads = 2;
    std::size_t export_threads = 2;              // make what is streamed
    std::size_t sheet_rows = 1'048'576;          // what a sheet of a workbook holds
    std::size_t event_streams = 32;              // at once; more are told 429
    std::int64_t export_timeout_ms = 1'800'000;  // of one streamed answer, events aside
    std::int64_t heartbeat_ms = 15'000;          // of an event stream where nothing happens
    // For each token, session or stranger's address: so many requests at once, and so many a second
    // after that; more are told 429. 0 a second: no limit.
    double rate_a_second = 100, rate_burst = 400;
    // Likewise for attempts to log in, by address.
    double logins_a_second = 0.5, logins_burst = 20;
    HashCost hash;
};

struct ServerOptions {
    std::string socket_path;                  // empty: none
    std::string listen_host;                  // empty: no listener
    int listen_port = 0;                      // 0: any free one, see Server::port
    std::string tls_cert_file, tls_key_file;  // both or none
    std::string database_path;
    std::string site_id, site_name, currency = "CNY";
    bool chinese = true;  // language of what is printed
    bool metrics_meters = false;
    PushDecoder decode_push;                      // null: no cabinet pushes over HTTP
    std::function<void(const std::string&)> say;  // one line for the journal
    Limits limits;
};

// A socket or certificate that cannot be used; what() is one line for a person with the remedy.
struct ServerError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Server {
  public:
    // Binds both; throws ServerError. The references outlive the server.
    Server(ServerOptions options, EnginePort& engine, MeterReader& meters,
           Commissioning& commissioning, StatusSource& status, const Zone& zone, const Clock& clock,
           Random& random);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    void start();        // the threads
    void commit_came();  // the event log or the snapshot moved; any thread, does not block
    // No new connection, requests in hand get three seconds, then everything closes; joins. Call
    // it before the engine stops: commands that were taken are still answered.
    void stop();
    // Reads certificate and key; throws ServerError. What it returns puts them in force, for
    // connections that come from then on; those that are open keep theirs.
    [[nodiscard]] std::function<void()> prepare_tls(const std::string& cert_file,
                                                    const std::string& key_file);
    void show_meters(bool show);                     // in /metrics
    [[nodiscard]] int port() const;                  // of the listener; 0: none
    [[nodiscard]] MonoMs heartbeat_mono_ms() const;  // of the io_context thread, for the watchdog

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace gatehouse::http
