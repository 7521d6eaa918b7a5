// What every handler works with: the seams, the pool of read-only connections, the tokens, and the
// counters of the server itself. Any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "daemon/http/message.hpp"
#include "daemon/http/ports.hpp"
#include "daemon/http/server.hpp"
#include "daemon/http/sessions.hpp"
#include "daemon/store/reader.hpp"

namespace gatehouse::http {

// Read-only connections, one to a caller at a time. A connection that failed is not used again.
class ReaderPool {
  public:
    explicit ReaderPool(std::string path) : path_(std::move(path)) {}

    class Lease {
      public:
        Lease(ReaderPool& pool, std::unique_ptr<StoreReader> reader)
            : pool_(pool), reader_(std::move(reader)), exceptions_(std::uncaught_exceptions()) {}
        ~Lease();
        Lease(const Lease&) = delete;
        Lease& operator=(const Lease&) = delete;
        StoreReader* operator->() const { return reader_.get(); }

      private:
        ReaderPool& pool_;
        std::unique_ptr<StoreReader> reader_;
        int exceptions_;
    };
    [[nodiscard]] Lease take();  // may throw StoreError

  private:
    void give(std::unique_ptr<StoreReader> reader);

    std::string path_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<StoreReader>> idle_;
};

// Who may do what. Tokens are read anew whenever the event log has moved, so that a revocation
// holds from the moment in which it was answered.
class Authoriser {
  public:
    struct Verdict {
        int status = 200;  // 401, 403
        std::string detail;
        std::string actor;  // the token's id, "staff:<id>" of a person; empty: unknown
        std::string type;   // of the problem; empty: by the status
    };
    [[nodiscard]] Verdict check(const Request& request, const std::string& scope,
                                const Snapshot& snapshot, ReaderPool& readers);
    // True once a minute a token: its last use is to be noted.
    [[nodiscard]] bool note_use(const std::string& id, MonoMs now);

  private:
    std::mutex mutex_;
    bool loaded_ = false;
    std::uint64_t event_seq_ = 0;
    std::map<std::string, TokenRow, std::less<>> tokens_;
    std::map<std::string, MonoMs, std::less<>> used_;
};

// Who may make the first account: whoever reads the journal. Drawn at the start of a house where
// nobody has a password yet, and void once somebody has.
class SetupCode {
  public:
    static constexpr std::int64_t kLivesMs = 24 * 3'600'000;
    void draw(Random& random, MonoMs now);
    [[nodiscard]] std::string text() const;
    [[nodiscard]] bool matches(const std::string& code, MonoMs now) const;
    void end();

  private:
    mutable std::mutex mutex_;
    std::string code_;  // empty: none is valid
    MonoMs drawn_ = 0;
};

// Keys of requests that the engine holds now: the second of two is told 409 instead of waiting.
class KeysInFlight {
  public:
    [[nodiscard]] bool enter(const std::string& key);
    void leave(const std::string& key);
    [[nodiscard]] bool holds(const std::string& key) const;

  private:
    mutable std::mutex mutex_;
    std::set<std::string, std::less<>> keys_;
};

struct Counters {
    std::atomic<std::uint64_t> requests{0}, refused{0}, failed{0};  // 2xx-3xx, 4xx, 5xx
    std::atomic<std::uint64_t> connections{0}, connections_refused{0};
    std::atomic<std::int64_t> open{0};
};

struct App {
    const ServerOptions& options;
    EnginePort& engine;
    MeterReader& meters;
    Commissioning& commissioning;
    StatusSource& status;
    const Zone& zone;
    const Clock& clock;
    ReaderPool readers;
    Random& random;
    Authoriser authoriser{};
    Sessions sessions{random};
    Attempts attempts{};
    RateLimit rate{options.limits.rate_a_second, options.limits.rate_burst};
    // Each attempt to log in costs a hash, whoever it names, so an address has few at once.
    RateLimit logins{options.limits.logins_a_second, options.limits.logins_burst};
    Hasher hasher{options.limits.hash};
    SetupCode setup{};
    // Shared with the replies that the engine still owes: they may come after the server has gone.
    std::shared_ptr<KeysInFlight> keys = std::make_shared<KeysInFlight>();
    Counters counters{};
    std::atomic<std::size_t> event_streams{0};
    std::atomic<bool> heavy_export{false};  // one at a time
    std::atomic<bool> stopping{false};
    std::atomic<bool> metrics_meters{options.metrics_meters};
};

// Whether the session of that cookie may; actor "staff:<id>" where somebody is logged in. Without a
// sign of life the session goes on to grow idle: what is open must not keep it awake.
[[nodiscard]] Authoriser::Verdict check_person(App& app, const std::string& cookie,
                                               std::string_view scope, const Snapshot& snapshot,
                                               bool sign_of_life);

// Lower-case hex.
[[nodiscard]] std::string sha256_hex(std::string_view bytes);

}  // namespace gatehouse::http
