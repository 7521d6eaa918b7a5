#include "drivers/modbus/bus_host.hpp"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace gatehouse::modbus {
namespace {

constexpr std::int64_t kWaitSliceMs = 5'000;  // a waiting thread still shows that it lives
constexpr MonoMs kNever = std::numeric_limits<MonoMs>::max();
constexpr std::int64_t kTurnMarginMs = 10'000;  // of a turn, for a machine that is busy

}  // namespace

BusHost::BusHost(const Clock& clock, const std::string& name, int threads)
    : clock_(clock),
      name_(name),
      suspects_max_(std::max(threads / 2, 1)),
      beats_(static_cast<std::size_t>(threads), clock.mono_ms()) {
    for (std::size_t i = 0; i < beats_.size(); ++i) {
        threads_.emplace_back([this, i] { run(i); });
    }
}

BusHost::~BusHost() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

void BusHost::add(std::shared_ptr<BusWorker> worker) {
    const std::lock_guard lock(mutex_);
    auto entry = std::make_unique<Entry>();
    entry->worker = std::move(worker);
    entry->next_at = clock_.mono_ms();
    entries_.push_back(std::move(entry));
    changed_.notify_all();
}

BusHost::Entry* BusHost::find(const BusWorker& worker) {
    for (const auto& entry : entries_) {
        if (entry->worker.get() == &worker) return entry.get();
    }
    return nullptr;
}

void BusHost::remove(const BusWorker& worker) {
    std::unique_lock lock(mutex_);
    Entry* entry = find(worker);
    if (entry == nullptr) return;
    entry->leaving = true;
    returned_.wait(lock, [&] { return !entry->running; });
    std::erase_if(entries_, [&](const auto& one) { return one.get() == entry; });
}

void BusHost::wake(const BusWorker& worker) {
    const std::lock_guard lock(mutex_);
    Entry* entry = find(worker);
    if (entry == nullptr) return;
    entry->woken = entry->running;
    entry->next_at = std::min(entry->next_at, clock_.mono_ms());
    changed_.notify_all();
}

std::vector<Heartbeat> BusHost::heartbeats() const {
    const std::lock_guard lock(mutex_);
    std::vector<Heartbeat> all;
    for (std::size_t i = 0; i < beats_.size(); ++i) {
        Heartbeat beat;
        beat.bus = beats_.size() > 1 ? name_ + "-" + std::to_string(i + 1) : name_;
        beat.mono_ms = beats_[i];
        // The longest turn is a quiet time after a station that was once as late as can be.
        beat.allowed_ms = std::max(kWaitSliceMs, 2 * BusMachine::kDebtMs) + kTurnMarginMs;
        all.push_back(std::move(beat));
    }
    return all;
}

bool BusHost::may_run(const Entry& entry) const {
    if (entry.running || entry.leaving) return false;
    return !entry.suspect || threads_.size() == 1 || suspects_running_ < suspects_max_;
}

BusHost::Entry* BusHost::pick(MonoMs now) {
    Entry* first = nullptr;
    for (const auto& entry : entries_) {
        if (entry->next_at > now || !may_run(*entry)) continue;
        if (first == nullptr || entry->next_at < first->next_at) first = entry.get();
    }
    return first;
}

void BusHost::wait_for_work(std::unique_lock<std::mutex>& lock, MonoMs now) {
    MonoMs until = now + kWaitSliceMs;
    for (const auto& entry : entries_) {
        if (may_run(*entry)) until = std::min(until, entry->next_at);
    }
    if (watched_until_ <= until) {
        changed_.wait_for(lock, std::chrono::milliseconds(kWaitSliceMs));
        return;
    }
    watched_until_ = until;
    changed_.wait_for(lock, std::chrono::milliseconds(std::max<MonoMs>(until - now, 1)));
    watched_until_ = kNever;
}

void BusHost::run(std::size_t thread) {
    const std::string name =
        beats_.size() > 1 ? name_ + "-" + std::to_string(thread + 1) : "bus-" + name_;
    (void)::pthread_setname_np(::pthread_self(), name.substr(0, 15).c_str());
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        const MonoMs now = clock_.mono_ms();
        beats_[thread] = now;
        Entry* entry = pick(now);
        if (entry == nullptr) {
            wait_for_work(lock, now);
            continue;
        }
        // Somebody else must watch for the next deadline while this thread is away.
        if (beats_.size() > 1 && watched_until_ == kNever) changed_.notify_one();
        entry->running = true;
        entry->woken = false;
        const bool suspect = entry->suspect;
        suspects_running_ += suspect ? 1 : 0;
        lock.unlock();
        const MonoMs next_at = entry->worker->turn();
        const bool troubled = entry->worker->troubled();
        lock.lock();
        suspects_running_ -= suspect ? 1 : 0;
        entry->running = false;
        entry->suspect = troubled;
        entry->next_at = entry->woken ? clock_.mono_ms() : next_at;
        returned_.notify_all();
    }
}

}  // namespace gatehouse::modbus
