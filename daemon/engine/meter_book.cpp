#include "daemon/engine/meter_book.hpp"

#include <algorithm>
#include <utility>

#include "daemon/engine/account_book.hpp"
#include "daemon/engine/json_writer.hpp"
#include "daemon/engine/row_documents.hpp"

namespace gatehouse {
namespace {

// A sample this soon after an edge stands on it.
constexpr std::int64_t kOnEdgeMs = 5 * 60'000;
// A meter that comes back after longer than this has its lost days in one piece; the books begin
// anew there rather than with thousands of invented days.
constexpr std::int64_t kEdgesMax = 400;
constexpr std::size_t kDayTotalsMax = kMeanDaysMax + 2;

const std::string& account_id(const Context& context, const MeterRuntime& meter) {
    static const std::string kNone;
    return meter.account ? context.world.accounts[*meter.account].row->account : kNone;
}

void touch(Context& context, std::size_t index) {
    ++context.world.meters[index].state_version;
    context.dirty_meters.insert(index);
}

void log_meter(Context& context, const MeterRuntime& meter, const std::string& kind,
               const std::string& reason) {
    if (!context.writable) return;
    JsonWriter subject, body;
    subject.begin_object().field("meter", meter.row->meter).end_object();
    body.begin_object()
        .field("meter", meter.row->meter)
        .field_if("unit", meter.row->unit)
        .field_if("bus", meter.row->bus)
        .field_if("reason", reason)
        .field("at", context.iso(context.now_ms()))
        .end_object();
    log_event(context, kind, subject.take(), body.take(), {"meter:" + meter.row->meter});
}

std::uint64_t store_row(Context& context, MeterRuntime& meter, const Point& point, ReadingKind kind,
                        ReadingQuality quality) {
    ReadingRow row;
    row.meter = meter.row->meter;
    row.epoch = meter.epoch->id;
    row.account = account_id(context, meter);
    row.kind = kind;
    row.quality = quality;
    row.at = point.stamp;
    row.stands_at = point.stands_at;
    row.register_value = point.register_value;
    row.total = point.total;
    row.raw = point.raw;
    row.face = point.face;
    const std::uint64_t seq = context.store.append_reading(row);
    ++context.readings_stored;
    // A typed time ahead of the clock must not hold the clock back.
    if (const auto at = context.trusted(point))
        context.clock.stored(std::min(*at, context.now_ms()));
    return seq;
}

// Stores the last confirmed sample where no row holds it yet.
void store_last(Context& context, MeterRuntime& meter) {
    if (meter.last && meter.last->reading == 0)
        meter.last->reading =
            store_row(context, meter, *meter.last, ReadingKind::interval, ReadingQuality::good);
}

void put_mark(Context& context, MeterRuntime& meter, std::uint64_t reading, Milli total) {
    meter.mark = {account_id(context, meter), meter.row->meter, reading, total};
    meter.marked = meter.account.has_value();
    if (meter.marked) context.store.put_mark(meter.mark);
}

// The point from which the next edge is interpolated: the newer of the last confirmed sample and
// the last handled edge.
struct Anchor {
    UtcMs at = 0;
    Milli total, register_value;
};
Anchor anchor_of(const Context& context, const MeterRuntime& meter) {
    const std::optional<UtcMs> last = meter.last ? context.trusted(*meter.last) : std::nullopt;
    if (last && *last >= meter.settled_until)
        return {*last, meter.last->total, meter.last->register_value};
    return {meter.settled_until, meter.settled_total, meter.settled_register};
}

void remember_day(MeterRuntime& meter, std::int64_t day, Milli total) {
    meter.day_totals[day] = total;
    while (meter.day_totals.size() > kDayTotalsMax)
        meter.day_totals.erase(meter.day_totals.begin());
}

// `at` is when the point counts as read. Returns the row's seq where it stands on the edge, else 0.
std::uint64_t freeze_at(Context& context, std::size_t index, UtcMs edge, LocalDate begins,
                        const Point& point, UtcMs at) {
    MeterRuntime& meter = context.world.meters[index];
    Point frozen = point;
    frozen.stands_at = edge;
    frozen.reading = 0;
    ReadingQuality quality = ReadingQuality::good;
    if (at - edge > kOnEdgeMs) {
        const Anchor from = anchor_of(context, meter);
        // A typed opening may lie above the first reading by less than its tolerance.
        const Milli end = std::max(from.total, point.total);
        frozen.total = total_at_edge(from.total, from.at, end, at, edge);
        const bool rolled = point.register_value < from.register_value;
        if (!rolled)
            frozen.register_value =
                total_at_edge(from.register_value, from.at, point.register_value, at, edge);
        frozen.raw.clear();
        frozen.face.clear();
        quality = ReadingQuality::estimated;
        store_last(context, meter);
    }
    const ReadingKind kind = begins.day == 1 ? ReadingKind::month : ReadingKind::freeze;
    const std::uint64_t seq = store_row(context, meter, frozen, kind, quality);
    const std::int64_t day = days_since_epoch(begins) - 1;
    context.store.put_day({meter.row->meter, day, seq, frozen.total, quality});
    remember_day(meter, day, frozen.total);
    meter.settled_until = edge;
    meter.settled_total = frozen.total;
    meter.settled_register = frozen.register_value;
    const std::uint64_t own_row = quality == ReadingQuality::good ? seq : 0;
    if (!meter.marked) return own_row;
    meter.unposted.push_back({edge, frozen.total, seq});
    const AccountRuntime& account = context.world.accounts[*meter.account];
    if (account.posted_through && days_since_epoch(*account.posted_through) >= day)
        post_meters(context, *meter.account, {index}, edge, "late:" + std::to_string(seq));
    return own_row;
}

// A first reading that was not dated when it came begins the first day as soon as it is. Where it
// never will be, in a run whose clock nobody trusted, the first dated sample begins it.
void begin_days(Context& context, MeterRuntime& meter, UtcMs at) {
    if (meter.settled_until != 0) return;
    const std::optional<UtcMs> since =
        meter.baseline ? context.trusted(*meter.baseline) : std::nullopt;
    meter.settled_until = since.value_or(at);
}

// Splits at every local midnight between the last handled edge and the point. A point that stands
// on an edge has the edge's time from then on. Its row is set where it gets one, and the end of an
// estimated split always does.
void split_edges(Context& context, std::size_t index, Point& point) {
    MeterRuntime& meter = context.world.meters[index];
    std::optional<UtcMs> at = context.trusted(point);
    if (!at || !context.writable) return;
    begin_days(context, meter, *at);
    std::int64_t day = days_since_epoch(context.day_of(meter.settled_until)) + 1;
    const std::int64_t today = days_since_epoch(context.day_of(*at));
    day = std::max(day, today - kEdgesMax);
    const UtcMs newest = context.zone.midnight(date_from_days(today));
    if (newest > meter.settled_until && *at - newest <= kOnEdgeMs) {
        at = newest;
        point.stands_at = newest;
    }
    bool estimated = false;
    for (; day <= today; ++day) {
        const LocalDate begins = date_from_days(day);
        const UtcMs edge = context.zone.midnight(begins);
        if (edge <= meter.settled_until || edge > *at) continue;
        estimated = estimated || *at - edge > kOnEdgeMs;
        const std::uint64_t own = freeze_at(context, index, edge, begins, point, *at);
        if (point.reading == 0) point.reading = own;
    }
    if (estimated && point.reading == 0)
        point.reading =
            store_row(context, meter, point, ReadingKind::interval, ReadingQuality::good);
}

std::int64_t slot_of(const Context& context, const Point& point) {
    return context.best(point) / std::max<std::int64_t>(1'000, context.options.store_interval_ms);
}

void store_opening(Context& context, MeterRuntime& meter, const Point& first) {
    Point opening = first;
    opening.raw.clear();
    opening.face.clear();
    opening.register_value = *round_to_milli(*meter.terms.opening_register);
    opening.total = meter.epoch->base_total;
    if (meter.terms.opening_at) opening.stands_at = *meter.terms.opening_at;
    const std::uint64_t seq =
        store_row(context, meter, opening, ReadingKind::manual, ReadingQuality::manual);
    put_mark(context, meter, seq, opening.total);
    meter.settled_until = meter.terms.opening_at.value_or(0);
    meter.settled_total = opening.total;
    meter.settled_register = opening.register_value;
}

// The first confirmed reading of a meter opens its epoch.
void begin_epoch(Context& context, std::size_t index, const Confirmed& confirmed, Point& point) {
    MeterRuntime& meter = context.world.meters[index];
    EpochRow epoch;
    epoch.meter = meter.row->meter;
    epoch.serial = meter.terms.serial.value_or("");
    epoch.multiplier = meter.row->multiplier;
    epoch.base_total = meter.state.base.base_total;
    epoch.base_figure = meter.state.base.base_figure;
    epoch.opened = confirmed.value.at;
    epoch.id = context.store.put_epoch(epoch);
    meter.epoch = epoch;
    meter.baseline = confirmed.value.at;
    if (meter.terms.opening_register) store_opening(context, meter, point);
    point.reading = store_row(context, meter, point, ReadingKind::interval, ReadingQuality::good);
    if (!meter.terms.opening_register) {
        put_mark(context, meter, point.reading, point.total);
        meter.settled_until = context.trusted(point).value_or(0);
        meter.settled_total = point.total;
        meter.settled_register = point.register_value;
    }
    meter.stored_slot = slot_of(context, point);
    context.urgent = true;
}

// After a rollover the epoch counts from a new base, or a restart would take the lap twice.
void move_base(Context& context, MeterRuntime& meter) {
    meter.epoch->base_total = meter.state.base.base_total;
    meter.epoch->base_figure = meter.state.base.base_figure;
    context.store.put_epoch(*meter.epoch);
    log_meter(context, meter, "meter.rollover", {});
}

void take_confirmed(Context& context, std::size_t index, const Confirmed& confirmed) {
    MeterRuntime& meter = context.world.meters[index];
    Point point;
    point.stamp = confirmed.value.at;
    point.register_value = confirmed.value.register_value;
    point.total = confirmed.value.total;
    point.raw = confirmed.value.raw;
    if (1'000 % confirmed.value.exact.denominator != 0)
        point.face = format_fraction(confirmed.value.exact);
    const bool moved = !meter.last || meter.last->total != point.total;
    meter.confirmed_this_run = true;
    if (context.writable) {
        if (!meter.epoch) begin_epoch(context, index, confirmed, point);
        if (confirmed.rollover) move_base(context, meter);
        split_edges(context, index, point);
        const std::int64_t slot = slot_of(context, point);
        // What nothing rests on is the first to go where space runs low.
        const bool room = context.space == SpaceState::plenty;
        if (room && point.reading == 0 && slot != meter.stored_slot)
            point.reading =
                store_row(context, meter, point, ReadingKind::interval, ReadingQuality::good);
        meter.stored_slot = slot;
    }
    meter.last = std::move(point);
    if (moved) touch(context, index);
    if (meter.account) context.repriced.insert(*meter.account);
}

void open_quarantine(Context& context, std::size_t index, const Quarantine& opened) {
    MeterRuntime& meter = context.world.meters[index];
    QuarantineRow row;
    row.meter = meter.row->meter;
    row.account = account_id(context, meter);
    row.epoch = meter.epoch ? meter.epoch->id : 0;
    row.at = opened.value.at;
    row.register_value = opened.value.register_value;
    row.total = opened.value.total;
    row.raw = opened.value.raw;
    row.reason = to_string(opened.reason);
    meter.quarantine = row;
    touch(context, index);
    if (meter.account) {
        AccountRuntime& account = context.world.accounts[*meter.account];
        reprice(context, *meter.account, Mover::drift);
        row.held = account.balance - account.provisional;
    }
    if (context.writable) {
        row.id = context.store.put_quarantine(row);
        log_meter(context, meter, "meter.quarantined", row.reason);
    }
    meter.quarantine = row;
}

void resolve_quarantine(Context& context, std::size_t index) {
    MeterRuntime& meter = context.world.meters[index];
    if (!meter.quarantine) return;
    meter.quarantine->state = QuarantineRow::State::rejected;
    if (context.writable && meter.quarantine->id != 0) {
        context.store.put_quarantine(*meter.quarantine);
        log_meter(context, meter, "meter.quarantine_resolved",
                  "later samples confirmed against the old baseline");
    }
    meter.quarantine.reset();
    touch(context, index);
    if (meter.account) context.repriced.insert(*meter.account);
}

void come_online(Context& context, std::size_t index) {
    MeterRuntime& meter = context.world.meters[index];
    const bool was_offline = meter.seen && !meter.online;
    const bool first = !meter.seen;
    meter.seen = true;
    meter.online = true;
    if (was_offline) log_meter(context, meter, "meter.online", {});
    if (was_offline || first) {
        touch(context, index);
        if (meter.account) context.repriced.insert(*meter.account);
    }
}

// A value that waits for its second sample and would change the level asks for it at once.
void hasten(Context& context, std::size_t index, const Sample& sample, const Verdict& verdict) {
    MeterRuntime& meter = context.world.meters[index];
    // One at once is enough; what it does not confirm waits for the next poll.
    if (context.poller == nullptr || sample.confirming) return;
    bool soon = verdict.wants_second;
    if (!soon && meter.state.has_pending() && meter.state.neighbour) {
        const std::optional<UtcMs> last = meter.last ? context.trusted(*meter.last) : std::nullopt;
        const std::optional<UtcMs> now = context.clock.trusted_time(context.now.mono_ms);
        soon = last && now && context.day_of(*last) != context.day_of(*now);
        if (!soon && meter.account)
            soon = level_if(context, *meter.account, index, meter.state.neighbour->value.total) !=
                   context.world.accounts[*meter.account].level;
    }
    if (soon) context.poller->poll_soon(meter.row->meter);
}

}  // namespace

void take_sample(Context& context, const Sample& sample) {
    const auto found = context.world.meter_index.find(sample.meter);
    if (found == context.world.meter_index.end()) return;
    const std::size_t index = found->second;
    MeterRuntime& meter = context.world.meters[index];
    if (!meter.profile.traits || meter.row->status != MeterStatus::active) return;
    come_online(context, index);
    ++context.samples;
    context.dirty_meters.insert(index);
    const SampleTime time{sample.at.run, sample.at.mono_ms, context.trusted(sample.at)};
    meter.last_poll_at = context.best(sample.at);
    const Verdict verdict = judge(meter.state, sample, time, meter.terms);
    if (verdict.duplicate) return;
    if (meter.power_milliwatt != sample.power_milliwatt ||
        meter.flow_millilitre_per_hour != sample.flow_millilitre_per_hour) {
        meter.power_milliwatt = sample.power_milliwatt;
        meter.flow_millilitre_per_hour = sample.flow_millilitre_per_hour;
        touch(context, index);
    }
    if (verdict.stuck_changed || verdict.reason != meter.reason) {
        meter.stuck = verdict.stuck;
        meter.reason = verdict.reason;
        touch(context, index);
    }
    for (const Confirmed& confirmed : verdict.confirmed) take_confirmed(context, index, confirmed);
    if (verdict.quarantine_resolved) resolve_quarantine(context, index);
    if (verdict.opened) open_quarantine(context, index, *verdict.opened);
    if (meter.quarantine) {
        const std::optional<Milli> held = meter.state.held_total();
        if (held && *held != meter.quarantine->total) {
            meter.quarantine->total = *held;
            if (meter.account) context.repriced.insert(*meter.account);
        }
    }
    hasten(context, index, sample, verdict);
}

void take_failure(Context& context, const PollFailure& failure) {
    const auto found = context.world.meter_index.find(failure.meter);
    if (found == context.world.meter_index.end()) return;
    MeterRuntime& meter = context.world.meters[found->second];
    if (!failure.offline) return;
    const bool changed = meter.online || !meter.seen;
    meter.seen = true;
    meter.online = false;
    if (!changed && meter.reason == failure.detail) return;
    meter.reason = failure.detail;
    touch(context, found->second);
    if (!changed) return;
    log_meter(context, meter, "meter.offline", failure.detail);
    if (meter.account) context.repriced.insert(*meter.account);
}

void settle_edges(Context& context) {
    for (std::size_t index = 0; index < context.world.meters.size(); ++index) {
        MeterRuntime& meter = context.world.meters[index];
        if (meter.last && meter.epoch && meter.confirmed_this_run) {
            // The last sample is the end of the split; what lies before is where it was settled.
            Point point = std::move(*meter.last);
            meter.last.reset();
            split_edges(context, index, point);
            meter.last = std::move(point);
        }
        if (meter.account) context.repriced.insert(*meter.account);
    }
}

void keep_last(Context& context, std::size_t index) {
    if (context.writable) store_last(context, context.world.meters[index]);
}

void poll_all_soon(Context& context) {
    if (context.poller == nullptr) return;
    for (const MeterRuntime& meter : context.world.meters)
        if (!meter.row->bus.empty() && meter.profile.traits)
            context.poller->poll_soon(meter.row->meter);
}

std::uint64_t freeze_now(Context& context, std::size_t index, ReadingKind kind) {
    MeterRuntime& meter = context.world.meters[index];
    if (!meter.last || !meter.epoch) return 0;
    const UtcMs edge = context.now_ms();
    Point frozen = *meter.last;
    frozen.stands_at = edge;
    const bool fresh = edge - context.best(*meter.last) <= kOnEdgeMs;
    const std::uint64_t seq = store_row(context, meter, frozen, kind,
                                        fresh ? ReadingQuality::good : ReadingQuality::estimated);
    meter.settled_until = std::max(meter.settled_until, edge);
    meter.settled_total = frozen.total;
    meter.settled_register = frozen.register_value;
    if (meter.marked) meter.unposted.push_back({edge, frozen.total, seq});
    return seq;
}

}  // namespace gatehouse
