#include "daemon/engine/use_watch.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "daemon/engine/alert_desk.hpp"
#include "daemon/engine/alert_watch.hpp"

namespace gatehouse {
namespace {

constexpr std::int64_t kHourMs = 3'600'000;
// Hours older than this say nothing of now: a meter that fell silent, or a box that was off.
constexpr std::int64_t kFreshHours = 2;

std::string note_of(const std::string& unit) {
    return kVacantNote + unit;
}

// Since when a unit is vacant stands in no file. It begins when it is first seen so: what was used
// before that belongs to whoever lived there.
void follow_vacancy(Context& context) {
    World& world = context.world;
    for (const Unit& unit : world.registry->units) {
        const bool vacant = is_vacant(unit.status);
        const auto found = world.vacant_since.find(unit.unit);
        if (vacant == (found != world.vacant_since.end())) continue;
        if (vacant)
            world.vacant_since.emplace(unit.unit, context.now_ms());
        else
            world.vacant_since.erase(found);
        context.store.put_note(note_of(unit.unit),
                               vacant ? std::to_string(context.now_ms()) : std::string());
        context.unsaved = true;
    }
}

std::optional<UtcMs> vacant_since(const Context& context, const MeterRuntime& meter) {
    const auto found = context.world.vacant_since.find(meter.row->unit);
    return found == context.world.vacant_since.end() ? std::nullopt : std::optional(found->second);
}

bool is_watched(const Context& context, const MeterRuntime& meter) {
    const bool trial = meter.account && context.world.accounts[*meter.account].trial;
    return is_polled(meter) && !trial;
}

bool is_doubted(const MeterRuntime& meter) {
    return meter.quarantine || meter.hold;
}

bool is_fresh(const Context& context, const MeterRuntime& meter) {
    return context.now_ms() / kHourMs - meter.flow.newest() <= kFreshHours;
}

VacantDays vacant_days(const Context& context, const MeterRuntime& meter, UtcMs since) {
    VacantDays days;
    const std::int64_t today = days_since_epoch(context.day_of(context.now_ms()));
    const auto begins_vacant = [&](std::int64_t day) {
        return context.zone.midnight(date_from_days(day)) >= since;
    };
    const std::optional<Milli> midnight = meter.day_totals.at(today - 1);
    const std::optional<Milli> before = meter.day_totals.at(today - 2);
    if (midnight && before && begins_vacant(today - 1)) days.yesterday = *midnight - *before;
    if (midnight && meter.last && begins_vacant(today)) days.today = meter.last->total - *midnight;
    return days;
}

Finding vacant_finding(const Context& context, const MeterRuntime& meter, UtcMs since) {
    if (meter.row->service == Service::electricity)
        return is_vacant_use(vacant_days(context, meter, since));
    if (!is_fresh(context, meter)) return std::nullopt;
    return is_vacant_flow(meter.flow, (since + kHourMs - 1) / kHourMs);
}

std::optional<AlertLife> life_of(const Context& context, const std::optional<std::string>& place) {
    if (!place) return std::nullopt;
    return context.world.alerts.at(*place).life;
}

std::string reason_of(const Context& context, const MeterRuntime& meter, AlertKind kind) {
    const std::optional<Milli> used = use_told(context, meter, kind);
    if (kind == AlertKind::leak_suspect)
        return used ? "at least " + format(*used) + " m3 in every hour" : "no hour without flow";
    if (meter.row->service == Service::water) return "no hour without flow";
    return used ? format(*used) + " kWh in a day" : "use";
}

// One subject and kind: to where the finding puts it, or a reminder of what stands.
struct Watched {
    AlertKind kind;
    int level;
    Finding holds;
    std::string cleared_by;
};
void move(Context& context, MeterRuntime& meter, std::optional<std::string>& place,
          const Watched& watched) {
    const std::optional<AlertLife> life = life_of(context, place);
    // What is doubted alerts nobody; what stands open stays so.
    if (!life && (!watched.holds.value_or(false) || is_doubted(meter))) return;
    AlertStep step =
        step_fact(life, watched.holds.value_or(life.has_value()), watched.level, context.now_ms());
    if (!step.state)
        step = step_remind(life, is_doubted(meter), context.now_ms(), context.zone,
                           context.options.alerts);
    if (!step.state) return;
    const bool over = *step.state == AlertState::cleared;
    move_alert(
        context, place,
        {watched.kind, meter.row->meter, step, over ? "" : reason_of(context, meter, watched.kind),
         over ? watched.cleared_by : ""});
}

void watch_vacant(Context& context, MeterRuntime& meter) {
    const std::optional<UtcMs> since = vacant_since(context, meter);
    const bool watched = since && meter.row->role == MeterRole::unit && is_watched(context, meter);
    const bool open = meter.alerts().vacant.has_value();
    if (!watched && !open) return;
    Finding holds = false;
    if (watched) holds = vacant_finding(context, meter, *since);
    if (!open && !holds.value_or(false)) return;
    move(context, meter, meter.alerts_to_move().vacant,
         {AlertKind::vacant_use, 2, holds, watched ? "still" : "registry"});
}

// Main and check meters count what many use, and never stand still.
bool may_leak(const MeterRuntime& meter) {
    return meter.row->service == Service::water &&
           (meter.row->role == MeterRole::unit || meter.row->role == MeterRole::public_);
}

void watch_leak(Context& context, MeterRuntime& meter) {
    const bool watched = may_leak(meter) && is_watched(context, meter);
    const bool open = meter.alerts().leak.has_value();
    if (!watched && !open) return;
    Finding holds = false;
    if (watched) holds = is_leak(meter.flow);
    // Of a vacant unit it is told as what it is there, and once.
    if (!open &&
        (!holds.value_or(false) || !is_fresh(context, meter) || vacant_since(context, meter)))
        return;
    move(context, meter, meter.alerts_to_move().leak,
         {AlertKind::leak_suspect, 1, holds, watched ? "still" : "registry"});
}

}  // namespace

void watch_use(Context& context) {
    if (!context.writable || !context.clock.trusted()) return;
    follow_vacancy(context);
    for (MeterRuntime& meter : context.world.meters) {
        watch_vacant(context, meter);
        watch_leak(context, meter);
    }
}

void load_use(Context& context, World& world) {
    for (const Unit& unit : world.registry->units) {
        if (!is_vacant(unit.status)) continue;
        const std::string since = context.store.load_note(note_of(unit.unit));
        UtcMs at = 0;
        if (std::from_chars(since.data(), since.data() + since.size(), at).ec == std::errc())
            world.vacant_since.emplace(unit.unit, at);
    }
    // Where the books end, not where the clock stands: it may be wrong at the start.
    const std::int64_t newest =
        context.store.load_newest_trusted().value_or(context.now_ms()) / kHourMs;
    for (const HourRow& row :
         context.store.load_hours(Service::water, newest - kNeverStillHours - kFreshHours)) {
        const auto found = world.meter_index.find(row.meter);
        if (found != world.meter_index.end())
            world.meters[found->second].flow.see(row.hour, row.total);
    }
}

std::optional<Milli> use_told(const Context& context, const MeterRuntime& meter, AlertKind kind) {
    if (kind == AlertKind::leak_suspect)
        return is_leak(meter.flow) == true ? std::optional(meter.flow.least()) : std::nullopt;
    if (kind != AlertKind::vacant_use || meter.row->service != Service::electricity)
        return std::nullopt;
    const std::optional<UtcMs> since = vacant_since(context, meter);
    return since ? vacant_days(context, meter, *since).used() : std::nullopt;
}

}  // namespace gatehouse
