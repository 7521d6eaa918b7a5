#include "daemon/engine/meter_book.hpp"

#include <algorithm>
#include <utility>

#include "daemon/engine/account_book.hpp"
#include "daemon/engine/edge_book.hpp"
#include "daemon/engine/json_writer.hpp"
#include "daemon/engine/meter_acts.hpp"
#include "daemon/engine/quarantine_desk.hpp"
#include "daemon/engine/row_documents.hpp"

namespace gatehouse {
namespace {

const std::string& account_id(const Context& context, const MeterRuntime& meter) {
    static const std::string kNone;
    return meter.account ? context.world.accounts[*meter.account].row->account : kNone;
}

}  // namespace

std::uint64_t store_row(Context& context, MeterRuntime& meter, const Point& point, ReadingKind kind,
                        ReadingQuality quality) {
    ReadingRow row;
    row.meter = meter.row->meter;
    row.epoch = meter.epoch->id;
    row.account = account_id(context, meter);
    if (!meter.edges.empty()) row.unit = meter.edges.front().unit;
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

void put_mark(Context& context, MeterRuntime& meter, const Point& from) {
    meter.mark = {account_id(context, meter), meter.row->meter, from.reading, from.total};
    meter.marked = meter.account.has_value();
    if (!meter.marked) return;
    TermsRow terms;
    terms.meter = meter.mark.meter;
    terms.from = from.reading;
    terms.account = meter.mark.account;
    terms.total = from.total;
    terms.at = from.stamp;
    terms.stands_at = from.stands_at;
    if (meter.tariff != nullptr) terms.tariff = meter.tariff->tariff;
    if (meter.persons != 0) terms.persons = meter.persons;
    context.store.add_terms(terms);
    context.store.put_mark(meter.mark, true);
}

namespace {

std::int64_t slot_of(const Context& context, const Point& point) {
    return context.best(point) / std::max<std::int64_t>(1'000, context.options.store_interval_ms);
}

void store_opening(Context& context, MeterRuntime& meter, const Point& first) {
    Point opening = first;
    opening.raw.clear();
    opening.face.clear();
    opening.register_value = *round_to_milli(*meter.terms.opening_register);
    opening.total = meter.epoch->base_total;
    // A date after the first reading that agrees with it, such as the day on which the house goes
    // live, is no time at which the register stood there: what is used until then is not of it.
    std::optional<UtcMs> at = meter.terms.opening_at;
    if (const auto read_at = context.trusted(first); at && read_at) at = std::min(*at, *read_at);
    if (at) opening.stands_at = *at;
    opening.reading =
        store_row(context, meter, opening, ReadingKind::manual, ReadingQuality::manual);
    put_mark(context, meter, opening);
    meter.settled_until = at.value_or(0);
    meter.settled_total = opening.total;
    meter.settled_register = opening.register_value;
}

bool knows_ratio(const MeterRuntime& meter) {
    return meter.ratio_read && meter.ratio_read->sure();
}

// The first confirmed reading of a meter opens its epoch.
void begin_epoch(Context& context, std::size_t index, const Confirmed& confirmed,
                 const Taking& taking, Point& point) {
    MeterRuntime& meter = context.world.meters[index];
    EpochRow epoch;
    epoch.meter = meter.row->meter;
    epoch.serial = meter.terms.serial.value_or(
        meter.serial_read.sure() ? meter.serial_read.mark.value_or("") : "");
    if (knows_ratio(meter)) epoch.device_ratio = meter.ratio_read->mark.value_or("");
    epoch.multiplier = multiplier_in_force(meter);
    epoch.base_total = meter.state.base.base_total;
    epoch.base_figure = meter.state.base.base_figure;
    epoch.opened = confirmed.value.at;
    epoch.id = context.store.put_epoch(epoch);
    meter.epoch = epoch;
    meter.baseline = confirmed.value.at;
    bind_identity(context, meter);
    // What staff released below the opening register says that the opening was wrong.
    const bool from_opening = meter.terms.opening_register && !confirmed.rebased;
    if (from_opening) store_opening(context, meter, point);
    point.reading = store_row(context, meter, point, taking.kind, point.quality);
    if (!from_opening) {
        put_mark(context, meter, point);
        meter.settled_until = context.trusted(point).value_or(0);
        meter.settled_total = point.total;
        meter.settled_register = point.register_value;
    }
    meter.stored_slot = slot_of(context, point);
    context.urgent = true;
}

// After a rollover the epoch counts from a new base, or a restart would take the lap twice; so it
// does where staff released a register that fell.
void move_base(Context& context, MeterRuntime& meter, const char* event) {
    meter.epoch->base_total = meter.state.base.base_total;
    meter.epoch->base_figure = meter.state.base.base_figure;
    context.store.put_epoch(*meter.epoch);
    log_meter(context, meter, event, {});
}

// Stores the total at each end of an hour that the meter passed since its last sample. A stretch of
// silence gets no hours: they would be inventions, and what it used stands in the next one's total.
void roll_hours(Context& context, MeterRuntime& meter, const Point& point,
                std::optional<UtcMs> end) {
    constexpr std::int64_t kHourMs = 3'600'000, kStandsMs = 5 * 60'000, kSilenceMs = 2 * kHourMs;
    const std::optional<UtcMs> begin =
        meter.last ? context.trusted(*meter.last) : std::optional<UtcMs>{};
    if (!end || !begin || *begin < 0) return;
    for (std::int64_t hour = std::max(*begin, *end - kSilenceMs) / kHourMs + 1;
         hour * kHourMs <= *end; ++hour) {
        const UtcMs edge = hour * kHourMs;
        const bool stands = *end - edge <= kStandsMs;
        if (!stands && *end - *begin > kSilenceMs) continue;
        HourRow row{meter.row->meter, hour, point.total, ReadingQuality::good};
        if (!stands) {
            row.quality = ReadingQuality::estimated;
            row.total = total_at_edge(meter.last->total, *begin,
                                      std::max(meter.last->total, point.total), *end, edge);
        }
        context.store.put_hour(row);
        if (meter.row->service == Service::water) meter.flow.see(hour, row.total);
        context.unsaved = true;
    }
}

}  // namespace

std::uint64_t take_confirmed(Context& context, std::size_t index, const Confirmed& confirmed,
                             const Taking& taking) {
    MeterRuntime& meter = context.world.meters[index];
    Point point;
    point.stands_at = taking.stands_at;
    point.quality = taking.quality;
    point.stamp = confirmed.value.at;
    point.register_value = confirmed.value.register_value;
    point.total = confirmed.value.total;
    point.raw = confirmed.value.raw;
    if (1'000 % confirmed.value.exact.denominator != 0)
        point.face = format_fraction(confirmed.value.exact);
    const bool moved = !meter.last || meter.last->total != point.total;
    meter.confirmed_this_run = true;
    if (context.writable) {
        const bool begins = !meter.epoch;
        if (begins)
            begin_epoch(context, index, confirmed, taking, point);
        else if (confirmed.rollover || confirmed.rebased)
            move_base(context, meter, confirmed.rollover ? "meter.rollover" : "meter.rebased");
        const std::optional<UtcMs> read_at = context.trusted(point);
        if (!read_at && meter.last && !meter.dated && context.trusted(*meter.last)) {
            store_last(context, meter);
            meter.dated = *meter.last;
        }
        split_edges(context, index, point);
        if (read_at) meter.dated.reset();
        roll_hours(context, meter, point, read_at);
        const std::int64_t slot = slot_of(context, point);
        // What nothing rests on is the first to go where space runs low. The first row of a lap is
        // kept with its new base, or a restart passes the end once more.
        const bool room = context.space == SpaceState::plenty;
        const bool by_people = taking.kind != ReadingKind::interval && !begins;
        const bool due = taking.store || confirmed.rollover || (room && slot != meter.stored_slot);
        if (by_people || (point.reading == 0 && due))
            point.reading = store_row(context, meter, point, taking.kind, point.quality);
        meter.stored_slot = slot;
    }
    meter.last = std::move(point);
    if (moved) touch_meter(context, index);
    if (meter.account) context.repriced.insert(*meter.account);
    return meter.last->reading;
}

namespace {

void come_online(Context& context, std::size_t index) {
    MeterRuntime& meter = context.world.meters[index];
    const bool was_offline = meter.seen && !meter.online;
    const bool first = !meter.seen;
    meter.seen = true;
    meter.online = true;
    if (was_offline) log_meter(context, meter, "meter.online", {});
    if (was_offline || first) {
        touch_meter(context, index);
        if (meter.account) context.repriced.insert(*meter.account);
    }
}

// What the meter says of itself is remembered once it has said so twice and nothing is doubted.
void learn_identity(Context& context, MeterRuntime& meter, const Sample& sample) {
    if (meter.terms.traits->reads_serial) meter.serial_read.see(sample.serial);
    if (sample.device_ratio) {
        if (!meter.ratio_read) meter.ratio_read = SeenTwice<std::string>{};
        meter.ratio_read->see(format_fraction(*sample.device_ratio));
    }
    if (!meter.epoch || meter.quarantine || !context.writable) return;
    EpochRow& epoch = *meter.epoch;
    const std::string registered = meter.terms.traits->reads_serial ? meter.row->serial : "";
    std::string serial = registered;
    if (serial.empty() && epoch.serial.empty() && meter.serial_read.sure())
        serial = *meter.serial_read.mark;
    const bool new_serial = !serial.empty() && serial != epoch.serial;
    const bool new_ratio = epoch.device_ratio.empty() && knows_ratio(meter);
    if (!new_serial && !new_ratio) return;
    if (new_serial) epoch.serial = serial;
    if (new_ratio) epoch.device_ratio = *meter.ratio_read->mark;
    context.store.put_epoch(epoch);
    context.unsaved = true;
    bind_identity(context, meter);
}

// How far the meter's own calendar is off. It says nothing while our own clock is not trusted.
void compare_clock(Context& context, MeterRuntime& meter, const Sample& sample) {
    const std::optional<UtcMs> at = context.trusted(sample.at);
    if (!sample.own_clock_s || !at) return;
    const LocalTime local = context.zone.local(*at);
    meter.clock_drift_s =
        *sample.own_clock_s - (days_since_epoch(local.date) * 86'400 + local.ms_of_day / 1'000);
    meter.clock_read_at = *at;
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
        // A registry change waits for its freeze, and so does another band.
        soon = soon || (now && !meter.edges.empty());
        const std::optional<UtcMs> edge = next_band_edge(context, meter);
        soon = soon || (now && edge && *edge <= *now);
        // And so does a top-up that is judged once this run has a reading.
        if (meter.account)
            soon = soon || context.world.accounts[*meter.account].topup_waits_since.has_value();
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
    if (!meter.profile->traits || meter.row->status != MeterStatus::active) return;
    come_online(context, index);
    ++context.samples;
    context.dirty_meters.insert(index);
    const SampleTime time{sample.at.run, sample.at.mono_ms, context.trusted(sample.at)};
    meter.last_poll_at = context.best(sample.at);
    compare_clock(context, meter, sample);
    if (meter.power_milliwatt != sample.power_milliwatt ||
        meter.flow_millilitre_per_hour != sample.flow_millilitre_per_hour) {
        meter.power_milliwatt = sample.power_milliwatt;
        meter.flow_millilitre_per_hour = sample.flow_millilitre_per_hour;
        touch_meter(context, index);
    }
    // A meter without such registers says no, also where another stood there before.
    meter.prepays.see(sample.prepays.value_or(false));
    meter.prepays_text = sample.prepays_text;
    if (meter.hold) {
        // A pair that confirms has nothing between its two, a time on hold least of all.
        meter.state.neighbour.reset();
        return;
    }
    const Verdict verdict = judge(meter.state, sample, time, meter.terms);
    if (verdict.duplicate) {
        ++meter.duplicates;
        return;
    }
    meter.newest_face = add(sample.register_value, meter.terms.offset);
    meter.newest_time = time;
    if (verdict.stuck_changed || verdict.reason != meter.reason) {
        meter.stuck = verdict.stuck;
        meter.reason = verdict.reason;
        touch_meter(context, index);
    }
    learn_identity(context, meter, sample);
    const std::string judged_by = multiplier_in_force(meter);
    for (Confirmed confirmed : verdict.confirmed) {
        // The second of two equal values, where the first passed a change of multiplier.
        if (meter.last && judged_by != multiplier_in_force(meter))
            confirmed.value.total = meter.last->total;
        take_confirmed(context, index, confirmed);
    }
    count_rejected(context, index, verdict.rejected);
    if (verdict.quarantine_resolved) resolve_quarantine(context, index);
    if (verdict.opened) open_quarantine(context, index, *verdict.opened);
    follow_held(context, index);
    hasten(context, index, sample, verdict);
}

void take_failure(Context& context, const PollFailure& failure) {
    const auto found = context.world.meter_index.find(failure.meter);
    if (found == context.world.meter_index.end()) return;
    MeterRuntime& meter = context.world.meters[found->second];
    const bool no_value =
        failure.result == PollResult::sentinel || failure.result == PollResult::implausible;
    if (!failure.offline && no_value && meter.reason != failure.detail) {
        // It answers; what it says in place of a number stands there until it says one.
        meter.reason = failure.detail;
        touch_meter(context, found->second);
    }
    if (!failure.offline) return;
    const bool changed = meter.online || !meter.seen;
    meter.seen = true;
    meter.online = false;
    if (!changed && meter.reason == failure.detail) return;
    meter.reason = failure.detail;
    touch_meter(context, found->second);
    if (!changed) return;
    log_meter(context, meter, "meter.offline", failure.detail);
    if (meter.account) context.repriced.insert(*meter.account);
}

void keep_last(Context& context, std::size_t index) {
    if (context.writable) store_last(context, context.world.meters[index]);
}

void poll_all_soon(Context& context) {
    if (context.poller == nullptr) return;
    for (const MeterRuntime& meter : context.world.meters)
        if (!meter.row->bus.empty() && meter.profile->traits)
            context.poller->poll_soon(meter.row->meter);
}

std::uint64_t store_point(Context& context, MeterRuntime& meter, const Point& point,
                          ReadingKind kind) {
    return store_row(context, meter, point, kind, point.quality);
}

}  // namespace gatehouse
