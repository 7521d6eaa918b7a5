#include "daemon/engine/use_desk.hpp"

#include <algorithm>
#include <utility>

#include "daemon/core/use_check.hpp"
#include "daemon/engine/meter_acts.hpp"

namespace gatehouse {
namespace {

// Use of the newest whole days in a row up to and with `last`, newest last; empty where that day
// is not complete.
std::vector<Milli> days_of(const MeterRuntime& meter, std::int64_t last) {
    std::vector<Milli> days;
    for (std::int64_t day = last; days.size() < kUseDays; --day) {
        const std::optional<Milli> end = meter.day_totals.at(day);
        const std::optional<Milli> begin = meter.day_totals.at(day - 1);
        if (!end || !begin) break;
        days.push_back(*end - *begin);
    }
    std::reverse(days.begin(), days.end());
    return days;
}

bool is_occupied(const Context& context, const MeterRuntime& meter) {
    const auto unit = context.world.units.find(meter.row->unit);
    return unit != context.world.units.end() && unit->second->status == UnitStatus::occupied;
}

std::vector<std::string> flags_of(const Context& context, const MeterRuntime& meter,
                                  std::int64_t yesterday) {
    std::vector<std::string> flags;
    if (meter.row->status != MeterStatus::active || !meter.last) return flags;
    const std::vector<Milli> days = days_of(meter, yesterday);
    if (is_abnormal_use(meter.row->service, days)) flags.emplace_back("abnormal_use");
    if (is_occupied(context, meter) && is_use_gone(meter.row->service, days))
        flags.emplace_back("use_gone");
    const std::optional<UtcMs> last = context.trusted(*meter.last);
    if (last && context.now_ms() - *last > kNoReadingMs) flags.emplace_back("no_reading");
    return flags;
}

// Of each main meter with meters below it whose yesterday is complete as well.
void flag_sums(Context& context, std::int64_t yesterday,
               std::vector<std::vector<std::string>>& flags) {
    struct Sum {
        Milli below;
        bool complete = true;
    };
    std::map<std::string, Sum> sums;
    for (const MeterRuntime& meter : context.world.meters) {
        if (meter.row->parent.empty() || meter.row->status != MeterStatus::active) continue;
        const std::vector<Milli> days = days_of(meter, yesterday);
        Sum& sum = sums[meter.row->parent];
        sum.complete = sum.complete && !days.empty();
        if (!days.empty()) sum.below += days.back();
    }
    for (const auto& [parent, sum] : sums) {
        const auto found = context.world.meter_index.find(parent);
        if (found == context.world.meter_index.end() || !sum.complete) continue;
        const std::vector<Milli> days = days_of(context.world.meters[found->second], yesterday);
        if (!days.empty() && is_sum_apart(days.back(), sum.below))
            flags[found->second].emplace_back("sum_apart");
    }
}

}  // namespace

void review_use(Context& context) {
    if (!context.clock.trusted() || !context.writable) return;
    const std::int64_t yesterday = days_since_epoch(context.day_of(context.now_ms())) - 1;
    std::vector<std::vector<std::string>> flags;
    for (const MeterRuntime& meter : context.world.meters)
        flags.push_back(flags_of(context, meter, yesterday));
    flag_sums(context, yesterday, flags);
    for (std::size_t i = 0; i < context.world.meters.size(); ++i) {
        MeterRuntime& meter = context.world.meters[i];
        const bool first = !std::exchange(meter.reviewed, true);
        if (meter.flags == flags[i]) continue;
        meter.flags = std::move(flags[i]);
        touch_meter(context, i);
        if (first) continue;
        log_meter(context, meter, "meter.review", "", [&](JsonWriter& body) {
            body.key("flags").begin_array();
            for (const std::string& flag : meter.flags) body.value(flag);
            body.end_array();
        });
    }
}

}  // namespace gatehouse
