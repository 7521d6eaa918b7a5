// A scripted Modbus slave for tests, on a pseudo-terminal or a TCP port: it takes each request and
// asks the test's function what bytes to send when. Its thread ends with it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "daemon/core/sample.hpp"
#include "daemon/core/time.hpp"

namespace gatehouse::test {

using Bytes = std::vector<std::uint8_t>;

std::uint16_t crc16(const Bytes& bytes);
Bytes with_crc(Bytes frame);
// The reply of an RTU slave whose register r holds r (high word of a pair, so that every register
// tells where it was read), for a request of function 3 or 4.
Bytes register_reply(const Bytes& request);

struct Chunk {
    int after_ms = 0;
    Bytes bytes;
};
// What to send for one request (RTU: with checksum; TCP: with header).
using Script = std::function<std::vector<Chunk>(const Bytes& request)>;

class Slave {
  public:
    enum class Kind { pty, tcp, rtu_over_tcp };
    Slave(Kind kind, Script script);
    ~Slave();
    Slave(const Slave&) = delete;
    Slave& operator=(const Slave&) = delete;
    [[nodiscard]] const std::string& device() const { return device_; }
    [[nodiscard]] int port() const { return port_; }
    [[nodiscard]] int requests() const { return requests_; }
    [[nodiscard]] int connections() const { return connections_; }
    void hang_up();  // closes the line or the connections

  private:
    void run();
    void serve(int fd);
    Kind kind_;
    Script script_;
    std::string device_;
    int port_ = 0;
    int master_ = -1;
    int listener_ = -1;
    std::atomic<bool> stopping_{false};
    std::atomic<bool> hang_up_{false};
    std::atomic<int> requests_{0};
    std::atomic<int> connections_{0};
    std::thread thread_;
};

class SteadyClock final : public Clock {
  public:
    [[nodiscard]] MonoMs mono_ms() const override;
    [[nodiscard]] UtcMs wall_ms() const override;
};
// Waits until `done`, at most 30 s.
bool eventually(const std::function<bool()>& done);

}  // namespace gatehouse::test
