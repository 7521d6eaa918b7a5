#include "daemon/engine/edge_book.hpp"

#include <algorithm>
#include <utility>

#include "daemon/engine/account_book.hpp"
#include "daemon/engine/account_replay.hpp"
#include "daemon/engine/meter_acts.hpp"
#include "daemon/engine/meter_book.hpp"
#include "daemon/engine/registry_files.hpp"

namespace gatehouse {
namespace {

// The points between which an edge is interpolated.
struct Anchor {
    UtcMs at = 0;
    Milli total, register_value;
};
Anchor settled_anchor(const MeterRuntime& meter) {
    return {meter.settled_until, meter.settled_total, meter.settled_register};
}
// The newer of the last confirmed sample that is dated and the last handled edge.
Anchor anchor_of(const Context& context, const MeterRuntime& meter) {
    for (const Point* sample :
         {meter.last ? &*meter.last : nullptr, meter.dated ? &*meter.dated : nullptr}) {
        const std::optional<UtcMs> at = sample != nullptr ? context.trusted(*sample) : std::nullopt;
        if (at && *at >= meter.settled_until) return {*at, sample->total, sample->register_value};
    }
    return settled_anchor(meter);
}

// The sample that passes edges: when it was read, and as of when it counts (the edge that it
// stands on). All edges of one gap lie on one line between the same two points (DESIGN.md 5).
struct Passing {
    UtcMs read_at = 0, at = 0;
    Anchor from, settled;         // where the line begins, and the newest edge before it
    std::uint64_t estimated = 0;  // the newest row of an edge that was not its own; 0: none
    bool late = false;            // the price with the edges came after the sample
};
Passing begin_passing(const Context& context, const MeterRuntime& meter, UtcMs read_at, UtcMs at) {
    return {read_at, at, anchor_of(context, meter), settled_anchor(meter), 0, false};
}

// The first reading that was not dated when it came begins the first day as soon as it is. Where it
// never will be, in a run whose clock nobody trusted, the first dated sample begins it.
void begin_days(Context& context, MeterRuntime& meter, UtcMs at) {
    if (meter.settled_until != 0) return;
    const std::optional<UtcMs> since =
        meter.baseline ? context.trusted(*meter.baseline) : std::nullopt;
    meter.settled_until = since.value_or(at);
}

Rational face_of(const Point& point) {
    const auto exact = point.face.empty() ? std::optional<Rational>{} : parse_fraction(point.face);
    return exact.value_or(Rational{point.register_value.count, 1'000});
}

// Moves the two points together to what is told of the total between them: both lie in the past.
// The register is as far along as the total is.
void draw_together(Context& context, const MeterRuntime& meter, UtcMs edge, Anchor& from,
                   Anchor& to) {
    if (to.total < from.total) return;
    const Anchor begin = from, end = to;
    const auto line = line_told(context.store.account_books(), meter.row->meter,
                                {begin.at, end.at, begin.total, end.total}, edge);
    if (!line) return;
    const auto register_at = [&](Milli total) {
        return end.register_value < begin.register_value
                   ? end.register_value
                   : total_at_edge(begin.register_value, begin.total.count, end.register_value,
                                   end.total.count, total.count);
    };
    from = {line->from, line->from_total, register_at(line->from_total)};
    to = {line->to, line->to_total, register_at(line->to_total)};
}

// Stores the meter's figure at the edge and makes it the last handled one; returns the row's seq.
// The point's own row is that one where it stands on the edge.
std::uint64_t freeze_at(Context& context, std::size_t index, UtcMs edge, ReadingKind kind,
                        Point& point, Passing& passing) {
    MeterRuntime& meter = context.world.meters[index];
    Point frozen = point;
    frozen.stands_at = edge;
    frozen.reading = 0;
    ReadingQuality quality = point.quality;
    const bool estimated = passing.read_at - edge > kOnEdgeMs;
    if (estimated) {
        Anchor from = passing.from;
        Anchor to{passing.at, point.total, point.register_value};
        // A version with bands that came late has edges before the last sample.
        const bool past = from.at > edge;
        if (past) to = std::exchange(from, passing.settled);
        if (past || passing.late) draw_together(context, meter, edge, from, to);
        // A typed opening may lie above the first reading by less than its tolerance.
        const Milli end = std::max(from.total, to.total);
        frozen.total = total_at_edge(from.total, from.at, end, to.at, edge);
        const bool rolled = to.register_value < from.register_value;
        if (!rolled)
            frozen.register_value =
                total_at_edge(from.register_value, from.at, to.register_value, to.at, edge);
        frozen.raw.clear();
        frozen.face.clear();
        quality = ReadingQuality::estimated;
        store_last(context, meter);
    }
    const std::uint64_t seq = store_row(context, meter, frozen, kind, quality);
    if (estimated) passing.estimated = seq;
    if (!estimated && point.reading == 0) point.reading = seq;
    note_band_use(context, meter, edge, frozen.total - meter.settled_total);
    meter.settled_until = std::max(meter.settled_until, edge);
    meter.settled_total = frozen.total;
    meter.settled_register = frozen.register_value;
    if (meter.marked) meter.unposted.push_back({edge, frozen.total, seq});
    return seq;
}

void pass_midnight(Context& context, std::size_t index, std::int64_t day_ended, UtcMs edge,
                   Point& point, Passing& passing) {
    MeterRuntime& meter = context.world.meters[index];
    const bool month = date_from_days(day_ended + 1).day == 1;
    const bool estimated = passing.read_at - edge > kOnEdgeMs;
    const std::uint64_t seq = freeze_at(
        context, index, edge, month ? ReadingKind::month : ReadingKind::freeze, point, passing);
    context.store.put_day({meter.row->meter, day_ended, seq, meter.settled_total,
                           estimated ? ReadingQuality::estimated : point.quality});
    meter.day_totals.put(day_ended, meter.settled_total);
    if (!meter.marked) return;
    const AccountRuntime& account = context.world.accounts[*meter.account];
    if (account.posted_through && days_since_epoch(*account.posted_through) >= day_ended)
        post_meters(context, *meter.account, {index}, edge, "late:" + std::to_string(seq));
}

// From the edge on the register counts by another multiplier: the epoch that it counted in ends
// with the figure at the edge, the next begins there, and what the point adds to it is the
// difference of two figures of the new multiplier.
void change_multiplier(Context& context, MeterRuntime& meter, const Stamp& edge, bool rolled,
                       Point& point) {
    const std::string& text = multiplier_in_force(meter);
    const Rational before = parse_rational(meter.epoch->multiplier).value_or(Rational{1, 1});
    EpochRow old = *meter.epoch;
    old.closed = edge;
    old.final_register = meter.settled_register;
    context.store.put_epoch(old);
    const bool stands = meter.settled_total == point.total;
    const Rational face = face_of(point);
    const Rational at_edge = stands ? face : Rational{meter.settled_register.count, 1'000};
    const Milli counted = figure(face, meter.terms.multiplier).value_or(Milli{});
    Milli since = counted - figure(at_edge, meter.terms.multiplier).value_or(Milli{});
    if (rolled && !stands) {
        // The register at the edge is not known in its lap, but what it counted since is.
        const Rational rest{(point.total - meter.settled_total).count, 1'000};
        const auto units = multiply(rest, Rational{before.denominator, before.numerator});
        since = units ? figure(*units, meter.terms.multiplier).value_or(Milli{}) : Milli{};
    }
    point.total = meter.settled_total + since;
    EpochRow epoch;
    epoch.meter = old.meter;
    epoch.serial = old.serial;
    epoch.multiplier = text;
    epoch.opened = edge;
    epoch.base_total = meter.settled_total;
    epoch.base_figure = counted - since;
    epoch.id = context.store.put_epoch(epoch);
    meter.epoch = std::move(epoch);
    rebase(meter.state, point.total, meter.terms.multiplier);
}

// One posting a tariff: two meters of an account that count on the same line may pass the edge at
// different times, and a cause adds to a line once.
void post_edge(Context& context, std::size_t index, const PendingEdgeRow& edge, UtcMs at,
               std::uint64_t reading) {
    const MeterRuntime& meter = context.world.meters[index];
    const std::string cause = "registry:" + std::to_string(edge.event);
    if (!post_meters(context, *meter.account, {index}, at, cause, cause + "/" + edge.tariff))
        post_meters(context, *meter.account, {index}, at, "late:" + std::to_string(reading));
}

// What held until the oldest registry change ends there: a freeze, posted on the old terms, and
// from it on the next ones count.
void pass_registry_edge(Context& context, std::size_t index, Point& point, Passing& passing) {
    MeterRuntime& meter = context.world.meters[index];
    const PendingEdgeRow edge = meter.edges.front();
    const UtcMs at = context.best(edge.at);
    const bool rolled = point.register_value < passing.from.register_value;
    const std::uint64_t reading =
        freeze_at(context, index, at, ReadingKind::switch_, point, passing);
    if (meter.marked) post_edge(context, index, edge, at, reading);
    if (meter.account) context.repriced.insert(*meter.account);
    context.store.drop_pending_edge(edge.meter, edge.event);
    meter.edges.pop_front();
    bind_charging(context.world, index);
    if (meter.epoch->multiplier != multiplier_in_force(meter)) {
        change_multiplier(context, meter, edge.at, rolled, point);
        // What lies before counted by another multiplier.
        passing.from = passing.settled = settled_anchor(meter);
    }
    meter.marked = meter.account.has_value();
    if (meter.marked) {
        Point from;
        from.stamp = edge.at;
        from.stands_at = at;
        from.total = meter.settled_total;
        from.reading = reading;
        put_mark(context, meter, from);
        context.repriced.insert(*meter.account);
    }
    ++meter.state_version;
    context.dirty_meters.insert(index);
    context.urgent = true;
}

// The tariff that charges the meter at that instant, whatever it has passed so far.
const Tariff* tariff_at(const Context& context, const MeterRuntime& meter, UtcMs at) {
    for (const PendingEdgeRow& edge : meter.edges)
        if (context.best(edge.at) > at) return find_tariff(context.world, edge.tariff);
    return meter.by_registry.tariff;
}

// The newest edge at or before `at` that the meter has not passed; nothing where there is none.
std::optional<UtcMs> newest_edge(const Context& context, const MeterRuntime& meter, UtcMs at) {
    std::optional<UtcMs> newest;
    const auto see = [&](UtcMs edge) {
        if (edge > meter.settled_until && edge <= at && (!newest || edge > *newest)) newest = edge;
    };
    const LocalDate day = context.day_of(at);
    see(context.zone.midnight(day));
    if (const Tariff* tariff = tariff_at(context, meter, at))
        for (const UtcMs edge : band_edges(*tariff, day, context.world.calendar, context.zone))
            see(edge);
    for (const PendingEdgeRow& edge : meter.edges)
        if (const UtcMs one = context.best(edge.at); one <= at && (!newest || one > *newest))
            newest = one;
    return newest;
}

// A freeze within the day, on the terms that go on: it is posted with the day, or with what a late
// meter has of it.
void pass_band_edge(Context& context, std::size_t index, UtcMs edge, Point& point,
                    Passing& passing) {
    freeze_at(context, index, edge, ReadingKind::switch_, point, passing);
    MeterRuntime& meter = context.world.meters[index];
    if (meter.account) context.repriced.insert(*meter.account);
    context.urgent = true;
}

// What is passed next on the way to the point: of several edges at one instant midnight first, and
// a registry change last, since all before it happened on the terms that it ends.
struct NextEdge {
    enum class Kind { none, midnight, band, registry } kind = Kind::none;
    UtcMs at = 0;
};
NextEdge next_edge(const Context& context, MeterRuntime& meter, UtcMs midnight, UtcMs until) {
    NextEdge next;
    const auto see = [&](NextEdge::Kind kind, std::optional<UtcMs> at) {
        if (at && *at <= until && (next.kind == NextEdge::Kind::none || *at < next.at))
            next = {kind, *at};
    };
    see(NextEdge::Kind::midnight, midnight);
    see(NextEdge::Kind::band, next_band_edge(context, meter));
    if (!meter.edges.empty()) see(NextEdge::Kind::registry, context.best(meter.edges.front().at));
    return next;
}

}  // namespace

void note_band_use(const Context& context, MeterRuntime& meter, UtcMs edge, Milli quantity) {
    if (meter.tariff == nullptr) return;
    const Interval when = context.interval(meter, edge - 1);
    const TariffVersion* version = version_on(*meter.tariff, when.day);
    const Band* band = version == nullptr ? nullptr : band_at(*version, when);
    if (band == nullptr) return;
    if (!meter.bands) meter.bands = BandState{};
    const std::int64_t day = days_since_epoch(when.day);
    auto& days = meter.bands->days;
    days[day][band->name] += quantity;
    while (days.begin()->first < day - kMeanDaysMax) days.erase(days.begin());
}

std::optional<UtcMs> next_band_edge(const Context& context, MeterRuntime& meter) {
    if (meter.tariff == nullptr || !has_bands(*meter.tariff) || meter.settled_until == 0)
        return std::nullopt;
    if (!meter.bands) meter.bands = BandState{};
    BandState& bands = *meter.bands;
    if (bands.since == meter.settled_until) return bands.edge;
    bands.since = meter.settled_until;
    bands.edge.reset();
    bands.asked = false;
    for (const UtcMs edge : band_edges(*meter.tariff, context.day_of(meter.settled_until),
                                       context.world.calendar, context.zone)) {
        if (edge <= meter.settled_until) continue;
        bands.edge = edge;
        break;
    }
    return bands.edge;
}

void poll_band_edges(Context& context) {
    if (context.poller == nullptr || !context.clock.trusted()) return;
    for (MeterRuntime& meter : context.world.meters) {
        const std::optional<UtcMs> edge = next_band_edge(context, meter);
        if (!edge || *edge > context.now_ms() || meter.bands->asked) continue;
        meter.bands->asked = true;
        if (!meter.row->bus.empty() && meter.profile->traits)
            context.poller->poll_soon(meter.row->meter);
    }
}

namespace {

void pass_edges(Context& context, std::size_t index, Point& point, bool late) {
    MeterRuntime& meter = context.world.meters[index];
    const std::optional<UtcMs> read_at = context.trusted(point);
    if (!read_at || !context.writable) return;
    begin_days(context, meter, *read_at);
    Passing passing = begin_passing(context, meter, *read_at, *read_at);
    passing.late = late;
    const std::optional<UtcMs> newest = newest_edge(context, meter, *read_at);
    if (newest && *read_at - *newest <= kOnEdgeMs) {
        passing.at = *newest;
        point.stands_at = *newest;
    }
    const std::int64_t today = days_since_epoch(context.day_of(passing.at));
    std::int64_t day = days_since_epoch(context.day_of(meter.settled_until)) + 1;
    day = std::max(day, today - std::int64_t{kEdgesMax});
    for (;;) {
        const UtcMs midnight = context.zone.midnight(date_from_days(day));
        const NextEdge next = next_edge(context, meter, midnight, passing.at);
        if (next.kind == NextEdge::Kind::none) break;
        if (next.kind == NextEdge::Kind::midnight) {
            if (midnight > meter.settled_until)
                pass_midnight(context, index, day - 1, midnight, point, passing);
            ++day;
        } else if (next.kind == NextEdge::Kind::band) {
            pass_band_edge(context, index, next.at, point, passing);
        } else {
            pass_registry_edge(context, index, point, passing);
        }
    }
    // The newest row of a meter is where it stands after a restart, and an estimate is no such
    // place: a sample whose own row is older than those of its edges gets another one.
    if (point.reading < passing.estimated)
        point.reading = store_row(context, meter, point, ReadingKind::interval, point.quality);
}

}  // namespace

void split_edges(Context& context, std::size_t index, Point& point) {
    pass_edges(context, index, point, /*late=*/false);
}

void pass_late_edges(Context& context, std::size_t index) {
    MeterRuntime& meter = context.world.meters[index];
    if (!meter.last || !meter.epoch) return;
    const std::optional<UtcMs> edge = next_band_edge(context, meter);
    const std::optional<UtcMs> read_at = context.trusted(*meter.last);
    if (!edge || !read_at || *read_at < *edge) return;
    Point point = std::move(*meter.last);
    meter.last.reset();
    pass_edges(context, index, point, /*late=*/true);
    meter.last = std::move(point);
    touch_meter(context, index);
    ++meter.state_version;
}

void settle_edges(Context& context) {
    for (std::size_t index = 0; index < context.world.meters.size(); ++index) {
        MeterRuntime& meter = context.world.meters[index];
        if (meter.last && meter.epoch && meter.confirmed_this_run) {
            // The last sample is the end of the split; it begins at the last one that was dated.
            Point point = std::move(*meter.last);
            meter.last.reset();
            if (meter.dated) meter.last = std::move(*meter.dated);
            meter.dated.reset();
            split_edges(context, index, point);
            meter.last = std::move(point);
            // What was shown by the clock as it was seen is shown as it is dated now.
            touch_meter(context, index);
            ++meter.state_version;
        }
        if (meter.account) context.repriced.insert(*meter.account);
    }
}

std::vector<Terms> terms_of(const Registry& registry) {
    std::vector<Terms> terms(registry.meters.size());
    for (std::size_t i = 0; i < terms.size(); ++i)
        terms[i].multiplier = registry.meters[i].multiplier;
    for (const auto& charged : registry_files::charged_meters(registry)) {
        Terms& one = terms[static_cast<std::size_t>(charged.meter - registry.meters.data())];
        one.unit = charged.meter->unit;
        one.account = charged.account->account;
        one.tariff = charged.tariff->tariff;
        one.persons = charged.persons;
    }
    return terms;
}

std::vector<std::size_t> changed_meters(const Context& context, const Registry& next) {
    const std::vector<Terms> before = terms_of(*context.world.registry);
    const std::vector<Terms> after = terms_of(next);
    std::vector<std::size_t> changed;
    for (std::size_t i = 0; i < before.size(); ++i) {
        const MeterRuntime& meter = context.world.meters[i];
        const bool counted =
            meter.last || (meter.terms.opening_register && meter.terms.opening_at &&
                           *meter.terms.opening_at < context.now_ms());
        if (counted && before[i] != after[i]) changed.push_back(i);
    }
    return changed;
}

void open_edges(Context& context, const std::vector<std::size_t>& meters, std::uint64_t event) {
    const std::vector<Terms> terms = terms_of(*context.world.registry);
    for (const std::size_t index : meters) {
        MeterRuntime& meter = context.world.meters[index];
        PendingEdgeRow edge;
        edge.meter = meter.row->meter;
        edge.event = event;
        edge.at = context.now;
        edge.unit = meter.row->unit;
        edge.account = terms[index].account;
        edge.tariff = terms[index].tariff;
        edge.multiplier = terms[index].multiplier;
        edge.persons = terms[index].persons;
        context.store.put_pending_edge(edge);
        // A restart must split from the same sample.
        keep_last(context, index);
        meter.edges.push_back(std::move(edge));
    }
}

void close_edges_of_retired(Context& context, const std::vector<std::size_t>& meters) {
    for (const std::size_t index : meters) {
        MeterRuntime& meter = context.world.meters[index];
        if (meter.row->status == MeterStatus::active) continue;
        while (!meter.edges.empty()) {
            if (!meter.last || !meter.epoch) {
                context.store.drop_pending_edge(meter.row->meter, meter.edges.front().event);
                meter.edges.pop_front();
                bind_charging(context.world, index);
                continue;
            }
            // Interpolating between the last reading and itself leaves its total at the edge.
            Point point = *meter.last;
            Passing passing =
                begin_passing(context, meter, context.now_ms() + kOnEdgeMs + 1, context.now_ms());
            pass_registry_edge(context, index, point, passing);
            meter.last = std::move(point);
        }
    }
}

void poll_edges_soon(Context& context) {
    if (context.poller == nullptr) return;
    for (const MeterRuntime& meter : context.world.meters)
        if (!meter.edges.empty() && !meter.row->bus.empty() && meter.profile->traits)
            context.poller->poll_soon(meter.row->meter);
}

}  // namespace gatehouse
