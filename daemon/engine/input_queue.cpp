#include "daemon/engine/input_queue.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

namespace gatehouse {

InputQueue::InputQueue(std::size_t samples_max, std::size_t commands_max)
    : samples_max_(samples_max), commands_max_(commands_max) {}

void InputQueue::sample(Sample sample) {
    {
        const std::lock_guard lock(mutex_);
        if (observations_.size() >= samples_max_) {
            ++coalesced_;
            const auto queued =
                std::find_if(observations_.rbegin(), observations_.rend(), [&](const auto& item) {
                    const Sample* other = std::get_if<Sample>(&item);
                    return other != nullptr && other->meter == sample.meter;
                });
            if (queued != observations_.rend()) *queued = std::move(sample);
            return;
        }
        observations_.emplace_back(std::move(sample));
    }
    ready_.notify_one();
}

void InputQueue::failure(PollFailure failure) {
    {
        const std::lock_guard lock(mutex_);
        if (observations_.size() >= samples_max_) {
            ++coalesced_;
            return;
        }
        observations_.emplace_back(std::move(failure));
    }
    ready_.notify_one();
}

void InputQueue::bus(BusStatus status) {
    {
        const std::lock_guard lock(mutex_);
        std::string id = status.bus;
        buses_.insert_or_assign(std::move(id), std::move(status));
    }
    ready_.notify_one();
}

bool InputQueue::command(Command command, ReplyHandler handler) {
    {
        const std::lock_guard lock(mutex_);
        if (closed_ || commands_.size() >= commands_max_) return false;
        commands_.push_back({std::move(command), std::move(handler)});
    }
    ready_.notify_one();
    return true;
}

Batch InputQueue::take(std::int64_t wait_ms, std::size_t observations_max) {
    std::unique_lock lock(mutex_);
    ready_.wait_for(lock, std::chrono::milliseconds(std::max<std::int64_t>(0, wait_ms)), [&] {
        return closed_ || !observations_.empty() || !commands_.empty() || !buses_.empty();
    });
    Batch batch;
    const std::size_t count = std::min(observations_max, observations_.size());
    const auto end = observations_.begin() + static_cast<std::ptrdiff_t>(count);
    batch.observations.assign(std::make_move_iterator(observations_.begin()),
                              std::make_move_iterator(end));
    observations_.erase(observations_.begin(), end);
    batch.commands.assign(std::make_move_iterator(commands_.begin()),
                          std::make_move_iterator(commands_.end()));
    commands_.clear();
    for (auto& [id, status] : buses_) batch.buses.push_back(std::move(status));
    buses_.clear();
    return batch;
}

void InputQueue::close() {
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
    }
    ready_.notify_all();
}

bool InputQueue::closed() const {
    const std::lock_guard lock(mutex_);
    return closed_;
}

std::uint64_t InputQueue::coalesced() const {
    const std::lock_guard lock(mutex_);
    return coalesced_;
}

}  // namespace gatehouse
