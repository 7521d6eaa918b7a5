// One connection to a broker over Paho, with the library's traps closed (modbus-meters.md 2h): no
// persistence, no buffering while disconnected, no reconnect of its own, and callbacks that do
// nothing but hand over a notice. All calls belong to the publishing thread; notices come from
// Paho's threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/mqtt/settings.hpp"

namespace gatehouse::mqtt {

struct Notice {
    enum class Kind {
        connected,       // the broker accepted us
        connect_failed,  // text says why; nothing is under way
        lost,            // the connection ended; what was in flight is unknown
        delivered,       // token: PUBACK (QoS 1), or written to the socket (QoS 0)
        failed,          // token: will not be delivered over this connection
        disconnected,    // our own disconnect is done
        heard,           // topic and text of a message that was subscribed to
    };
    Kind kind = Kind::lost;
    std::uint64_t token = 0;
    std::string text;
    std::string topic = {};
};

struct Message {
    std::string topic;
    std::string payload;
    int qos = 0;
    bool retained = false;
};

class Link {
  public:
    // on_notice is called from Paho's threads and must do no more than enqueue.
    Link(const Settings& settings, std::function<void(Notice)> on_notice);
    ~Link();
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;

    // Starts one attempt; a notice tells its end. Not empty: it could not even start, and why.
    [[nodiscard]] std::string connect();

    enum class Handed {
        yes,   // a notice with this token follows, or `lost`
        full,  // back-pressure of the library: wait for a delivery, then the same message again
        down,  // not connected: nothing was taken
    };
    [[nodiscard]] Handed publish(const Message& message, std::uint64_t token);

    // Hears those topics on this connection; what cannot be heard is not told again.
    void subscribe(const std::vector<std::string>& topics);

    // Starts a clean end within `quiesce_ms`; `disconnected` follows. False: nothing to end.
    [[nodiscard]] bool disconnect(int quiesce_ms);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// "<root>/<site>/<rest>".
[[nodiscard]] std::string full_topic(const Settings& settings, const std::string& rest);

}  // namespace gatehouse::mqtt
