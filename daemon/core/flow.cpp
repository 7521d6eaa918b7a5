#include "daemon/core/flow.hpp"

#include <algorithm>
#include <limits>

namespace gatehouse {
namespace {

// Far beyond what anybody asks for.
std::int16_t more(std::int16_t count, std::int64_t hours) {
    return static_cast<std::int16_t>(std::min<std::int64_t>(count + hours, 10'000));
}

}  // namespace

bool is_vacant(UnitStatus status) {
    return status == UnitStatus::vacant || status == UnitStatus::not_delivered;
}

void HourFlow::see(std::int64_t hour, Milli total) {
    if (hour <= newest_) return;
    const std::int64_t hours = hour - newest_;
    const Milli used = total - total_;
    const bool first = newest_ == 0;
    newest_ = static_cast<std::int32_t>(hour);
    total_ = total;
    if (first) return;
    if (used.count == 0) {
        // A register only rises: it stood in the hours that are missing as well.
        still_ = more(still_, hours);
        moving_ = leaking_ = 0;
        return;
    }
    still_ = 0;
    const bool known = hours == 1 && used.count > 0;
    moving_ = known ? more(moving_, 1) : std::int16_t{0};
    if (!known || used <= kDripAnHour) {
        leaking_ = 0;
        return;
    }
    const auto litres = static_cast<std::int32_t>(
        std::min<std::int64_t>(used.count, std::numeric_limits<std::int32_t>::max()));
    least_ = leaking_ == 0 ? litres : std::min(least_, litres);
    leaking_ = more(leaking_, 1);
}

Finding is_leak(const HourFlow& flow) {
    if (flow.leaking() >= kNeverStillHours) return true;
    if (flow.still() > 0) return false;
    return std::nullopt;
}

Finding is_vacant_flow(const HourFlow& flow, std::int64_t vacant_since_hour) {
    if (flow.still() >= kNeverStillHours) return false;
    const bool alone = flow.newest() - kNeverStillHours >= vacant_since_hour;
    if (alone && flow.moving() >= kNeverStillHours) return true;
    return std::nullopt;
}

std::optional<Milli> VacantDays::used() const {
    std::optional<Milli> most;
    for (const std::optional<Milli>& day : {yesterday, today})
        if (day && *day > kVacantADay && (!most || *day > *most)) most = day;
    return most;
}

Finding is_vacant_use(const VacantDays& days) {
    if (days.used()) return true;
    if (days.yesterday) return false;
    return std::nullopt;
}

}  // namespace gatehouse
