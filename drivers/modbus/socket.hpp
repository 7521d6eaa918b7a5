// Sockets of the link: resolving a name without waiting for ever, connecting within a deadline, and
// waiting for a gateway that calls us. Knows no Modbus. Used by link.cpp on the bus thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace gatehouse::modbus {

// A descriptor that closes itself.
class Descriptor {
  public:
    Descriptor() = default;
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
    Descriptor& operator=(Descriptor&& other) noexcept;
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() { reset(); }
    [[nodiscard]] int get() const { return fd_; }
    [[nodiscard]] bool valid() const { return fd_ >= 0; }
    [[nodiscard]] int release();
    void reset();

  private:
    int fd_ = -1;
};

struct Opened {
    Descriptor socket;
    std::string reason;  // where the socket is not valid: why, in one line
};

// The resolver runs beside the bus thread, because getaddrinfo cannot be given a deadline; one that
// is still busy is waited for again by the next attempt.
class Resolver;

class Connector {
  public:
    Connector(std::string host, int port);
    ~Connector();
    Connector(const Connector&) = delete;
    Connector& operator=(const Connector&) = delete;
    [[nodiscard]] Opened connect(std::int64_t timeout_ms);
    // Binds host:port on the first call and waits for the gateway to call.
    [[nodiscard]] Opened accept(std::int64_t timeout_ms);

  private:
    std::string host_;
    int port_;
    Descriptor listener_;
    std::shared_ptr<Resolver> resolver_;  // shared with the resolving thread
};

// CLOCK_MONOTONIC, for durations on the wire.
[[nodiscard]] std::int64_t steady_us();
void sleep_until_us(std::int64_t at_us);

}  // namespace gatehouse::modbus
