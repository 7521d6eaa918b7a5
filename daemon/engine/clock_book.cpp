#include "daemon/engine/clock_book.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace gatehouse {

ClockBook::ClockBook(Trust trust, UtcMs build_date_ms, std::optional<UtcMs> newest_trusted_ms,
                     std::function<std::optional<bool>()> system_synchronised)
    : trust_(trust),
      floor_ms_(std::max(build_date_ms, newest_trusted_ms.value_or(build_date_ms))),
      newest_row_ms_(newest_trusted_ms),
      system_synchronised_(std::move(system_synchronised)),
      reason_("not looked at yet") {}

bool ClockBook::believable() const {
    switch (trust_) {
        case Trust::system:
            return true;
        case Trust::manual:
            return false;
        case Trust::automatic:
            break;
    }
    // Nothing to read the flag from means a container, where the host keeps the clock.
    const std::optional<bool> flag =
        system_synchronised_ ? system_synchronised_() : std::optional<bool>();
    return flag.value_or(true);
}

ClockBook::Change ClockBook::look(MonoMs mono_ms, UtcMs wall_ms) {
    const std::int64_t offset = wall_ms - mono_ms;
    const bool again = std::exchange(looked_mono_ms_, mono_ms) == mono_ms;
    if (offset_ms_) {
        const std::int64_t step = offset - *offset_ms_;
        if (std::llabs(step) < kStepMs) {
            refused_offset_ms_.reset();
            return Change::none;
        }
        if (again) return Change::none;
        // A hand that turns the clock is believed only where the clock may be believed at all,
        // and never below what already stands in the books: then this run's own time goes on.
        if (trust_ != Trust::manual && wall_ms >= floor_ms_ && believable()) {
            follow(mono_ms, offset);
            refused_offset_ms_.reset();
            reason_ = "stepped by " + std::to_string(step) + " ms and followed";
            return Change::stepped;
        }
        if (refused_offset_ms_ && std::llabs(*refused_offset_ms_ - offset) < kStepMs)
            return Change::none;
        refused_offset_ms_ = offset;
        reason_ = "the wall clock stepped by " + std::to_string(step) +
                  " ms and is not followed; this run keeps its own time";
        return Change::distrusted;
    }
    if (wall_ms < floor_ms_) {
        reason_ = "the wall clock is before the newest stored row or the build date";
        return Change::none;
    }
    if (!believable()) {
        reason_ =
            trust_ == Trust::manual
                ? "waiting for `gatehousectl clock confirm`"
                : "the system's clock is not synchronised; `gatehousectl clock confirm` helps";
        return Change::none;
    }
    follow(mono_ms, offset);
    reason_ = trust_ == Trust::system ? "the system's clock, by configuration"
                                      : "the system's clock is synchronised";
    return Change::trusted;
}

bool ClockBook::confirm(MonoMs mono_ms, UtcMs wall_ms) {
    if (wall_ms < floor_ms_) {
        reason_ = "the wall clock is before the newest stored row or the build date; set it first";
        return false;
    }
    follow(offset_ms_ ? mono_ms + 1 : mono_ms, wall_ms - mono_ms);
    refused_offset_ms_.reset();
    reason_ = "confirmed by staff";
    return true;
}

void ClockBook::stored(UtcMs at) {
    floor_ms_ = std::max(floor_ms_, at);
    newest_row_ms_ = std::max(newest_row_ms_.value_or(at), at);
}

void ClockBook::follow(MonoMs mono_ms, std::int64_t offset_ms) {
    offset_ms_ = offset_ms;
    if (steps_.size() == kStepsMax) steps_.erase(steps_.begin());
    steps_.emplace_back(mono_ms, offset_ms);
}

std::optional<UtcMs> ClockBook::trusted_time(MonoMs mono_ms) const {
    if (!offset_ms_) return std::nullopt;
    auto holds = steps_.end() - 1;
    while (holds != steps_.begin() && mono_ms < holds->first) --holds;
    return mono_ms + holds->second;
}

UtcMs ClockBook::time(MonoMs mono_ms, UtcMs wall_ms) const {
    return trusted_time(mono_ms).value_or(wall_ms);
}

}  // namespace gatehouse
