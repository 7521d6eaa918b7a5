// The MQTT publisher: a reader of the event log with a durable cursor, and the voice of the state
// topics. It decides nothing about alerts or money; it never holds up the engine. One publishing
// thread of its own makes every call to Paho; Paho's callbacks only enqueue. Public calls are safe
// from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "daemon/core/time.hpp"
#include "daemon/mqtt/settings.hpp"
#include "daemon/mqtt/source.hpp"

namespace gatehouse::mqtt {

struct Status {
    bool connected = false;
    std::string reason;            // why not connected, or what went wrong last; one line
    std::uint64_t cursor = 0;      // highest contiguous PUBACK
    std::uint64_t backlog = 0;     // event_seq - cursor
    std::size_t in_flight = 0;     // messages of events handed over and not acknowledged
    std::uint64_t reconnects = 0;  // connections made after the first
    std::uint64_t published = 0;   // messages of events acknowledged since start
    std::uint64_t held_back = 0;   // times that the library was full and we waited for a delivery
    std::uint64_t unpublishable = 0;  // rows whose body was no JSON of its kind; passed over
};

class Publisher {
  public:
    // All references outlive the publisher.
    Publisher(Settings settings, Source& source, const Zone& zone, const Clock& clock,
              Random& random);
    ~Publisher();  // stops
    Publisher(const Publisher&) = delete;
    Publisher& operator=(const Publisher&) = delete;

    void start();  // returns at once; the broker may be absent
    // Bounded: a last pass over the log (Settings::stop_drain_ms), the cursor, `offline`,
    // disconnect. The source must still be served while it runs.
    void stop();
    void wake();  // something was committed; never blocks
    [[nodiscard]] Status status() const;
    [[nodiscard]] MonoMs heartbeat_mono_ms() const;  // of the last turn, for the watchdog

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace gatehouse::mqtt
