// Threads that give buses their turns. A serial line or a gateway with several meters has a host
// with one thread of its own; meters with a TCP address of their own share a host with a few. A bus
// is in one turn at a time, and a turn blocks for one exchange at most.
//
// Buses that do not answer may take at most half of a shared host's threads at once, whatever their
// number: the others wait for a silent peer's timeout once, when it falls silent, and never after.
// Public calls are safe from any thread.
#pragma once

#include <condition_variable>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "drivers/modbus/bus_worker.hpp"

namespace gatehouse::modbus {

class BusHost {
  public:
    BusHost(const Clock& clock, const std::string& name, int threads);
    ~BusHost();
    BusHost(const BusHost&) = delete;
    BusHost& operator=(const BusHost&) = delete;

    void add(std::shared_ptr<BusWorker> worker);
    // It has no turn any more when this returns; waits for the one it is in.
    void remove(const BusWorker& worker);
    void wake(const BusWorker& worker);  // its next turn is now
    [[nodiscard]] std::vector<Heartbeat> heartbeats() const;

  private:
    struct Entry {
        std::shared_ptr<BusWorker> worker;
        MonoMs next_at = 0;
        bool running = false;
        bool woken = false;  // while it was running
        bool suspect = false;
        bool leaving = false;
    };
    void run(std::size_t thread);
    [[nodiscard]] Entry* pick(MonoMs now);
    void wait_for_work(std::unique_lock<std::mutex>& lock, MonoMs now);
    [[nodiscard]] bool may_run(const Entry& entry) const;
    [[nodiscard]] Entry* find(const BusWorker& worker);

    const Clock& clock_;
    const std::string name_;
    const int suspects_max_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;   // something may be due
    std::condition_variable returned_;  // a turn ended
    std::vector<std::unique_ptr<Entry>> entries_;
    std::vector<MonoMs> beats_;  // by thread
    int suspects_running_ = 0;
    // One idle thread waits for the next deadline, the others rest; an earlier one has its own.
    MonoMs watched_until_ = std::numeric_limits<MonoMs>::max();
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace gatehouse::modbus
