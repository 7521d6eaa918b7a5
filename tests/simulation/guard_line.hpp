// One simulated line of the shift guard: an RS-485 bus with all its ills, reached as a pseudo-
// terminal, as RTU over TCP, or through a Modbus TCP gateway that is as careless as those sold. An
// implementation of its own, for the test alone. One thread a line.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

#include "tests/simulation/guard_world.hpp"

namespace gatehouse::test {

enum class Way { pty, rtu_tcp, tcp, tcp_unnumbered };
inline constexpr int kWays = 4;
const char* to_string(Way way);

// What befell exchanges, for the report.
enum class Ill {
    late_by_questions,  // comes just before the answer to one of the next three questions
    late_by_time,       // comes after one to four timeouts, whoever speaks then
    foreign,            // another station's frame, or another master's exchange, comes before it
    duplicated,
    truncated,
    bit_error,      // of the reply
    request_error,  // of the request: the meter hears nothing that it understands
    trickled,
    gateway_damage,  // a frame with a wrong address or function, passed on all the same
    payload_flip,    // one bit of the data, nothing else knows
    gateway_late,    // the gateway's own reply, late under its own number
    gateway_twice,   // the gateway's own reply twice
    gateway_half,    // the gateway's own reply cut
    count
};
inline constexpr std::size_t kIlls = static_cast<std::size_t>(Ill::count);
const char* to_string(Ill ill);

// The RS-485 side: takes request frames, gives pieces of bytes at their times. Not thread safe; the
// line's mutex guards it.
class SickWire {
  public:
    SickWire(GuardWorld& world, std::uint64_t seed, std::int64_t timeout_us, bool behind_gateway);
    void ask(const Bytes& frame, std::int64_t now_us);
    // The next piece whose time has come; empty: none yet.
    Bytes take(std::int64_t now_us);
    [[nodiscard]] std::int64_t next_at() const;  // of the next piece, far away if none
    // Whether it strikes now, `parts` in 100,000; counted.
    bool strikes(Ill ill, std::int64_t parts);
    std::array<std::uint64_t, kIlls> ills{};
    bool healthy = false;  // from then on nothing goes wrong

  private:
    struct Piece {
        std::int64_t at_us = 0;
        int questions_left = 0;  // more than 0: when so many further questions were heard
        Bytes bytes;
    };
    void put(std::int64_t at_us, Bytes bytes, int questions = 0);
    void put_foreign(const Bytes& request, std::int64_t at_us);
    void answer(Bytes frame, std::int64_t at_us);

    GuardWorld& world_;
    Dice dice_;
    std::int64_t timeout_us_;
    std::int64_t turnaround_us_;  // the least
    bool behind_gateway_;
    std::deque<Piece> pieces_;
};

class GuardLine {
  public:
    GuardLine(std::string id, Way way, std::uint64_t seed, std::int64_t timeout_ms);
    ~GuardLine();
    GuardLine(const GuardLine&) = delete;
    GuardLine& operator=(const GuardLine&) = delete;

    std::mutex mutex;  // the world, the ills and the diary
    GuardWorld world;
    [[nodiscard]] const std::string& id() const { return id_; }
    [[nodiscard]] Way way() const { return way_; }
    [[nodiscard]] const std::string& device() const { return device_; }
    [[nodiscard]] int port() const { return port_; }
    [[nodiscard]] const SickWire& wire() const { return wire_; }
    [[nodiscard]] std::uint64_t questions() const { return questions_; }
    void heal();
    // What was said on the line lately, newest last. Under the mutex.
    std::deque<std::string> diary;
    void note(const std::string& what);

  private:
    // Of one question that a gateway has taken and not yet answered.
    struct Waiting {
        Bytes header;  // transaction, protocol, length, unit
        Bytes pdu;
        std::int64_t until_us = 0;
    };
    void run();
    void serve(int fd);
    void take_rtu(Bytes& pending);
    void take_tcp(Bytes& pending);
    void turn_gateway(std::int64_t now_us);
    void gateway_answers(const Waiting& asked, Bytes pdu, int unit, std::int64_t now_us);
    bool strikes(Ill ill, std::int64_t parts);
    void say(const Bytes& bytes);

    std::string id_;
    Way way_;
    Dice dice_;
    bool silent_gateway_, flushing_gateway_, careless_gateway_;
    std::int64_t timeout_us_;
    SickWire wire_;
    std::string device_;
    int port_ = 0, master_ = -1, listener_ = -1, fd_ = -1;
    std::deque<Waiting> waiting_;
    std::vector<std::pair<std::int64_t, Bytes>> outgoing_;  // of the gateway, late ones too
    Bytes last_flipped_;  // the request whose reply was flipped last: never twice running
    std::uint16_t own_number_ = 0;
    std::atomic<std::uint64_t> questions_{0};
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

}  // namespace gatehouse::test
