// The one queue into the engine: samples, failed polls, bus states and commands. Bounded; what
// happens when it is full differs by kind and is said at each call. Any thread puts, the engine
// thread takes.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

#include "daemon/core/sample.hpp"
#include "daemon/engine/engine.hpp"

namespace gatehouse {

struct QueuedCommand {
    Command command;
    ReplyHandler handler;
};
using QueuedObservation = std::variant<Sample, PollFailure>;

struct Batch {
    std::vector<QueuedObservation> observations;
    std::vector<QueuedCommand> commands;
    std::vector<BusStatus> buses;
};

class InputQueue final : public SampleSink {
  public:
    InputQueue(std::size_t samples_max, std::size_t commands_max);

    // Full: the newest queued sample of the same meter is replaced; where it has none, this one is
    // dropped. Either way the next poll tells the same register again; both are counted.
    void sample(Sample sample) override;
    // Full: dropped; the poller repeats itself.
    void failure(PollFailure failure) override;
    // Never refused: the latest state of a bus replaces the one before.
    void bus(BusStatus status) override;
    // False when full or closed.
    [[nodiscard]] bool command(Command command, ReplyHandler handler);

    // Waits up to `wait_ms` for anything, then takes all commands and at most `observations_max`.
    [[nodiscard]] Batch take(std::int64_t wait_ms, std::size_t observations_max);
    void close();  // refuses commands from now on, wakes take
    [[nodiscard]] bool closed() const;
    [[nodiscard]] std::uint64_t coalesced() const;

  private:
    mutable std::mutex mutex_;
    std::condition_variable ready_;
    std::deque<QueuedObservation> observations_;
    std::deque<QueuedCommand> commands_;
    std::map<std::string, BusStatus> buses_;
    std::size_t samples_max_;
    std::size_t commands_max_;
    std::uint64_t coalesced_ = 0;
    bool closed_ = false;
};

}  // namespace gatehouse
