// What the HTTP server needs of the rest of the daemon, as seams that main fills: the engine, a
// reading at once, and the state of what else runs. No socket and no HTTP type stands here.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/sample.hpp"
#include "daemon/engine/engine.hpp"
#include "daemon/engine/snapshot.hpp"

namespace gatehouse::http {

// The engine as HTTP sees it. Any thread.
class EnginePort {
  public:
    virtual ~EnginePort() = default;
    // False: nothing was taken and the handler is not called (answered with 503).
    [[nodiscard]] virtual bool submit(Command command, ReplyHandler handler) = 0;
    [[nodiscard]] virtual std::shared_ptr<const Snapshot> snapshot() const = 0;
};

// One request and its reply on the wire, framing included; `reply` is empty where none came.
struct WireExchange {
    std::vector<std::uint8_t> request, reply;
    std::int64_t took_ms = 0;
};

// One value of a reading at once: how its words became it.
struct DecodedValue {
    std::string measurement, value, unit;  // value empty where `result` is not ok
    PollResult result = PollResult::ok;
    std::vector<std::uint16_t> raw;
    std::string steps;
};

// How a reading at once ended: the exchanges in order, what they decode to, and the sample of the
// billing register where there is one.
struct MeterReadOutcome {
    PollResult result = PollResult::timeout;
    std::string detail;            // one line for a person where result is not ok
    std::optional<Sample> sample;  // the same that went to the engine
    std::vector<DecodedValue> values;
    std::vector<WireExchange> exchanges;
};

// Reads one meter now, outside its turn. Any thread; the handler is called once, on any thread.
class MeterReader {
  public:
    virtual ~MeterReader() = default;
    using Handler = std::function<void(MeterReadOutcome)>;
    // False: the meter has no bus, or too many such readings wait; `why` says which in one line.
    [[nodiscard]] virtual bool read_now(const std::string& meter, Handler handler,
                                        std::string& why) = 0;
};

struct MqttStatus {
    bool configured = false;
    bool connected = false;
    std::string reason;  // why not connected, one line
    std::uint64_t published_total = 0;
    std::uint64_t reconnects_total = 0;
};
struct ProcessStatus {
    std::string version;
    UtcMs started_ms = 0;
    std::int64_t uptime_ms = 0;
    bool ready = false;  // the start is over
    // Threads that have not moved for too long, by name; empty: all alive.
    std::vector<std::string> stalled;
    std::int64_t database_bytes = 0;
    std::int64_t disk_free_bytes = 0;
};

// What else runs. Any thread; must not block.
class StatusSource {
  public:
    virtual ~StatusSource() = default;
    [[nodiscard]] virtual std::vector<BusStatus> buses() const = 0;
    [[nodiscard]] virtual MqttStatus mqtt() const = 0;
    [[nodiscard]] virtual ProcessStatus process() const = 0;
};

}  // namespace gatehouse::http
