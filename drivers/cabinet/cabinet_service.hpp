// The key cabinets that are asked: one thread a line or gateway, on which its cabinets take turns.
// What they tell goes to two sinks; a push is taken for kept only when its sink said so, whenever
// and from whatever thread that is. Nothing here opens a lock. Public calls are safe from any
// thread; the sinks are called on the cabinets' threads and must not wait.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "drivers/cabinet/poller.hpp"
#include "drivers/cabinet/profile.hpp"
#include "drivers/modbus/bus_service.hpp"

namespace gatehouse::cabinet {

struct CabinetSettings {
    std::string id;
    modbus::BusSettings bus;
    int address = 1;
    std::shared_ptr<const CabinetProfile> profile;  // null: it is not asked, and `problem` says why
    std::string problem;
    std::optional<std::int64_t> poll_interval_ms;  // absent: the profile's
    std::int64_t response_timeout_ms = 500;
};

// `done` may be called once, late, never, or after the service has gone.
using PushDone = std::function<void(bool committed)>;
using PushSink = std::function<void(KeyPush push, PushDone done)>;
using SeenSink = std::function<void(CabinetSeen seen)>;

class CabinetService {
  public:
    // `run` is the boot of what the box itself sees; a later life of the process has a higher one.
    CabinetService(const Clock& clock, std::int64_t run, PushSink push, SeenSink seen,
                   modbus::LinkFactory links = modbus::make_link);
    ~CabinetService();
    CabinetService(const CabinetService&) = delete;
    CabinetService& operator=(const CabinetService&) = delete;

    // Once. Cabinets whose bus settings name one line or gateway share its connection.
    void start(std::vector<CabinetSettings> cabinets);
    // Waits at most for the exchange that is on the wire.
    void stop();

    // Why the cabinet's clock cannot be set now; empty: it can.
    [[nodiscard]] std::string clock_problem(const std::string& cabinet) const;
    // Sets the cabinet's clock to the monotonic one and that offset, with its next turn. Empty, or
    // why that cannot be; `done` is called once, late, unless the service stops first.
    using ClockDone = std::function<void(const ClockOutcome& outcome)>;
    [[nodiscard]] std::string set_clock(const std::string& cabinet, std::int64_t offset_ms,
                                        ClockDone done);
    [[nodiscard]] std::vector<CabinetStatus> status() const;
    [[nodiscard]] std::vector<modbus::Heartbeat> heartbeats() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace gatehouse::cabinet
