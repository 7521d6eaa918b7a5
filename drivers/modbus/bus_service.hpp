// The bus service: every bus with its link and its machine, and the threads that serve them. A
// serial line, and a gateway with several meters, has a thread of its own; buses with one meter
// behind Modbus TCP share a pool. Samples, failures and status go to the sink on those threads.
// Public calls are safe from any thread and never wait for a wire, except configure() for a bus
// that is changed or ends, stop() and poll_once().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/core/sample.hpp"
#include "daemon/core/time.hpp"
#include "drivers/modbus/bus_job.hpp"
#include "drivers/modbus/link.hpp"
#include "drivers/modbus/profile.hpp"

namespace gatehouse::modbus {

inline constexpr std::size_t kThreadedBusesMax = 64;  // with a thread of their own
inline constexpr std::size_t kPooledBusesMax = 512;   // one meter each, behind Modbus TCP
inline constexpr int kPoolThreads = 8;
inline constexpr std::size_t kReadsWaitingMax = 16;  // on-demand readings queued on one bus

struct MeterPlan {
    std::string id;
    int address = 1;
    int channel = 0;  // counts from 0; the registry's too
    std::shared_ptr<const Profile> profile;
    friend bool operator==(const MeterPlan&, const MeterPlan&) = default;
};
struct BusPlan {
    std::string id;
    BusSettings settings;
    std::int64_t poll_interval_ms = 60'000;
    std::int64_t response_timeout_ms = 1'000;
    std::vector<MeterPlan> meters;
    friend bool operator==(const BusPlan&, const BusPlan&) = default;
};

// One exchange and one value of an on-demand reading, for people.
struct ExchangeTrace {
    RegisterSpan span;
    PollResult result = PollResult::ok;
    std::string detail;
    std::string request_hex, response_hex;
    std::int64_t busy_us = 0;
};
struct ReadValue {
    Measurement measurement = Measurement::energy_import;
    PollResult result = PollResult::ok;
    std::string value;  // exact decimal, n/d, or text; empty where none
    std::string unit;
    std::vector<std::uint16_t> raw;
    std::string steps;
};
struct ReadResult {
    std::string meter, bus, profile;
    PollResult result = PollResult::ok;  // of the exchanges; a value may still be none
    std::string detail;
    Stamp at;
    std::vector<ReadValue> values;
    std::vector<ExchangeTrace> exchanges;
    int channel = 0;
    RegisterImage image;  // all words that came
};
using ReadHandler = std::function<void(ReadResult)>;  // once; on the bus thread or at its end

struct Heartbeat {
    std::string bus;              // or the thread's name, in the pool
    MonoMs mono_ms = 0;           // when it last turned
    std::int64_t allowed_ms = 0;  // the longest that one turn may take
};

class BusService {
  public:
    BusService(const Clock& clock, Random& random, SampleSink& sink, std::int64_t run,
               LinkFactory links = make_link);
    ~BusService();
    BusService(const BusService&) = delete;
    BusService& operator=(const BusService&) = delete;

    // Starts, changes and ends workers so that they match; a bus whose settings stay keeps its
    // connection and what it learned. A meter whose profile is null is left out. Returns what it
    // refused, one line each; such a bus is told and shown as offline with that reason.
    std::vector<std::string> configure(std::vector<BusPlan> plans);

    void poll_soon(const std::string& meter);  // unknown meter: nothing happens
    // False: unknown meter, stopping, or too many waiting; the handler is not called then.
    [[nodiscard]] bool read_now(const std::string& meter, ReadHandler handler);
    // Takes a job for the bus; one at a time. Empty: it will be finished() in any case. Else why it
    // was not taken (unknown bus, another job runs, stopping), and nothing of it is called.
    [[nodiscard]] std::string run_job(const std::string& bus, std::shared_ptr<BusJob> job);
    // With a line for each meter.
    [[nodiscard]] std::vector<BusStatus> status() const;
    [[nodiscard]] std::vector<Heartbeat> heartbeats() const;
    // Ends all workers; waits at most for the exchange that is on the wire.
    void stop();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// For --dry-run: connects, reads every meter of the bus once on the calling thread, and says what
// came. Takes at most the response timeout a block and meter.
[[nodiscard]] std::vector<ReadResult> poll_once(const BusPlan& plan, const Clock& clock,
                                                const LinkFactory& links = make_link);
[[nodiscard]] std::string to_text(const std::vector<ReadResult>& results);  // a table, for people

}  // namespace gatehouse::modbus
