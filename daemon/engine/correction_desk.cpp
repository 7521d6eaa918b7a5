#include "daemon/engine/correction_desk.hpp"

#include <algorithm>
#include <utility>

#include "daemon/engine/account_book.hpp"
#include "daemon/engine/command_desk.hpp"
#include "daemon/engine/meter_acts.hpp"
#include "daemon/engine/meter_book.hpp"
#include "daemon/engine/quarantine_desk.hpp"

namespace gatehouse {
namespace {

// A row and what is to stand in its place.
struct Replaced {
    ReadingRow row;
    UtcMs at = 0;
    Milli register_value, total;
    bool typed = false;  // else estimated anew; what repeats the wrong figure repeats the right one
    bool dated = true;   // else nobody knows that time
};

struct Correction {
    std::size_t meter = 0;
    ReadingAround around;
    TypedFace typed;
    std::vector<Replaced> rows;        // in order of time
    std::vector<EdgeFigureRow> edges;  // beside them
    bool newest = false;               // the meter stands at it, or at a row that repeats it
};

UtcMs time_of(const Context& context, const ReadingRow& row) {
    return row.stands_at ? *row.stands_at : context.best(row.at);
}
bool is_dated(const Context& context, const ReadingRow& row) {
    return row.stands_at || context.trusted(row.at);
}

Rational face_of(const ReadingRow& row) {
    const auto exact = row.face.empty() ? std::optional<Rational>{} : parse_fraction(row.face);
    return exact.value_or(Rational{row.register_value.count, 1'000});
}

// How far the total is above what the register says: what counted before this meter, or this lap.
std::optional<Milli> base_of(const ReadingRow& row, const Rational& multiplier) {
    const auto counted = figure(face_of(row), multiplier);
    return counted ? std::optional(row.total - *counted) : std::nullopt;
}

bool is_estimated(const ReadingRow& row) {
    return row.quality == ReadingQuality::estimated;
}

Reply use_adjust(const std::string& why) {
    return refusal(ReplyKind::conflict, "not-correctable",
                   why +
                       "; correct the money by an adjustment with its basis "
                       "(gatehousectl adjust)");
}

// The rows that the correction rests on count in one piece with it.
std::optional<Reply> judge_place(const Context& context, const MeterRuntime& meter,
                                 const ReadingAround& around) {
    const ReadingRow& row = *around.row;
    const std::string name = "reading " + std::to_string(around.root);
    if (row.kind == ReadingKind::move || row.kind == ReadingKind::replacement)
        return use_adjust(name + " is where a " +
                          (row.kind == ReadingKind::move ? "holder" : "meter") +
                          " ended and the next began");
    if (around.begins)
        return use_adjust(name + " is where the meter began to be charged on its terms");
    if (!meter.epoch || row.epoch != meter.epoch->id)
        return use_adjust(name + " was counted before the meter or its multiplier was changed");
    for (const RemapRow& one : context.store.account_books().remaps_of_meter(row.meter))
        if ((!is_dated(context, row) || time_of(context, row) >= one.from) &&
            around.root <= one.through_reading)
            return use_adjust(name + " was re-mapped with its meter since");
    for (const ReadingRow& twin : around.twins)
        if (twin.kind == ReadingKind::move || twin.kind == ReadingKind::replacement)
            return use_adjust(name + " is one figure with reading " + std::to_string(twin.seq) +
                              ", where a " + (twin.kind == ReadingKind::move ? "holder" : "meter") +
                              " ended and the next began");
    // Where a holder came is his beginning: it stays, and the account counts from there.
    const auto begins_here = [&](const ReadingRow& one) {
        return one.kind == ReadingKind::move && one.epoch == row.epoch &&
               &one == &around.before.front();
    };
    for (const auto* rows : {&around.twins, &around.before, &around.after})
        for (const ReadingRow& one : *rows)
            if ((one.account != row.account || one.epoch != row.epoch) &&
                !(rows == &around.before && begins_here(one)))
                return use_adjust("between " + name + " and its neighbour " +
                                  std::to_string(one.seq) + " the meter's terms changed");
    if (row.account.empty()) return std::nullopt;
    const auto account = context.world.account_index.find(row.account);
    if (account == context.world.account_index.end() ||
        !context.world.accounts[account->second].row->closed.empty())
        return refusal(ReplyKind::conflict, "not-correctable",
                       "account " + row.account +
                           " is closed and its books stay as they are; settle the difference with "
                           "its holder outside them, or as an adjustment of the open account of "
                           "who bears it (gatehousectl adjust), with this reading as its basis");
    return std::nullopt;
}

const ReadingRow* before_of(const Correction& correction) {
    const auto& rows = correction.around.before;
    return rows.empty() || is_estimated(rows.front()) ? nullptr : &rows.front();
}
// None where the meter stands at the row.
const ReadingRow* after_of(const Correction& correction) {
    const auto& rows = correction.around.after;
    return correction.newest || rows.empty() || is_estimated(rows.back()) ? nullptr : &rows.back();
}

std::uint64_t newest_of(Context& context, const ReadingRow& row) {
    return context.store.account_books().newest_row(row.seq);
}

std::string shown(const Context& context, const ReadingRow& row) {
    return format(row.register_value) + " (reading " + std::to_string(row.seq) +
           (is_dated(context, row) ? " of " + context.iso(time_of(context, row))
                                   : " of a time that is not known") +
           ")";
}

// The total that the typed register is, between those of its neighbours; nothing and a refusal
// where it cannot be.
std::optional<Milli> judge_total(const Context& context, const Correction& correction,
                                 Reply& reply) {
    const ReadingAround& around = correction.around;
    const MeterRuntime& meter = context.world.meters[correction.meter];
    const Rational multiplier = meter.terms.multiplier;
    const ReadingRow* before = before_of(correction);
    const ReadingRow* after = after_of(correction);
    const ReadingRow* like = is_estimated(*around.row) ? before : &*around.row;
    const auto base = like ? base_of(*like, multiplier) : std::nullopt;
    const auto counted = figure(correction.typed.face, multiplier);
    const auto step = figure(meter.terms.traits->step, multiplier);
    if (!base || !counted || !before) {
        reply = use_adjust("nothing that was read stands before reading " +
                           std::to_string(around.root));
        return std::nullopt;
    }
    for (const ReadingRow* one : {before, after}) {
        const auto other = one ? base_of(*one, multiplier) : base;
        if (other && std::max(*other - *base, *base - *other) <= step.value_or(Milli{})) continue;
        reply = use_adjust("the register began anew beside reading " + std::to_string(one->seq));
        return std::nullopt;
    }
    const Milli total = *base + *counted;
    const ReadingRow* least =
        around.least && around.least->total > before->total ? &*around.least : before;
    const ReadingRow* most = after ? after : &*around.row;
    if (around.most && around.most->total < most->total) most = &*around.most;
    if (total >= least->total && total <= most->total) return total;
    reply = wrong_field(
        "/register", "not-between",
        "must lie between " + shown(context, *least) + " and " + shown(context, *most) +
            (most == &*around.row ? "; what is more is a new reading, without `supersedes`" : ""));
    return std::nullopt;
}

// What was estimated beside the row lies on a line between two instants; both must be known.
std::optional<Reply> judge_times(const Context& context, const Correction& correction) {
    const auto& around = correction.around;
    const bool estimates =
        std::any_of(around.before.begin() + 1, around.before.end(), is_estimated) ||
        std::any_of(around.after.begin(), around.after.end(), is_estimated);
    if (!estimates) return std::nullopt;
    for (const ReadingRow* row : {before_of(correction), &*around.row, after_of(correction)})
        if (row != nullptr && !is_dated(context, *row))
            return use_adjust("when reading " + std::to_string(row->seq) +
                              " was read is not known, and what was estimated beside it cannot be "
                              "estimated anew");
    return std::nullopt;
}

// What was estimated between the corrected row and its neighbours lies on the lines to it now.
void estimate_anew(const Context& context, Correction& correction, Milli total,
                   Milli register_value) {
    const ReadingAround& around = correction.around;
    const UtcMs at = time_of(context, *around.row);
    struct End {
        UtcMs at = 0;
        Milli total, register_value;
    };
    const auto between = [&](const End& from, const End& to, const ReadingRow& row) {
        Replaced one{row, time_of(context, row), {}, {}, false};
        one.total = total_at_edge(from.total, from.at, to.total, to.at, one.at);
        one.register_value =
            from.register_value <= to.register_value
                ? total_at_edge(from.register_value, from.at, to.register_value, to.at, one.at)
                : to.register_value;
        correction.rows.push_back(one);
    };
    const End middle{at, total, register_value};
    const auto same = [&](const ReadingRow& row, UtcMs time) {
        correction.rows.push_back({row, time, register_value, total, true, is_dated(context, row)});
    };
    const ReadingRow& first = around.before.front();
    const End from{time_of(context, first), first.total, first.register_value};
    for (std::size_t i = 1; i < around.before.size(); ++i) between(from, middle, around.before[i]);
    for (const ReadingRow& twin : around.twins)
        if (twin.seq < around.root) same(twin, at);
    same(*around.row, at);
    for (const ReadingRow& twin : around.twins)
        if (twin.seq > around.root) same(twin, at);
    const ReadingRow* after = after_of(correction);
    const End to =
        after ? End{time_of(context, *after), after->total, after->register_value} : middle;
    End last = middle;
    for (const ReadingRow& row : around.after)
        if (around.repeats.contains(row.seq) && is_dated(context, row))
            last.at = time_of(context, row);
    for (std::size_t i = 0; i + (after ? 1 : 0) < around.after.size(); ++i) {
        const ReadingRow& row = around.after[i];
        if (!is_estimated(row))
            same(row, time_of(context, row));
        else if (time_of(context, row) <= last.at)
            between(middle, last, row);
        else
            between(last, to, row);
    }
}

// What the meter had counted at an instant by the figures that stand now; nothing: it is beside
// what they change, or between times that are not known.
std::optional<Milli> total_then(const Context& context, const Correction& correction, UtcMs at) {
    struct End {
        UtcMs at = 0;
        Milli total;
    };
    std::optional<End> from;
    const ReadingRow& first = correction.around.before.front();
    if (is_dated(context, first)) from = End{time_of(context, first), first.total};
    if (from && at <= from->at) return std::nullopt;
    for (const Replaced& one : correction.rows) {
        if (!one.typed || !one.dated) continue;
        if (at <= one.at && !from) return std::nullopt;
        if (at <= one.at) return total_at_edge(from->total, from->at, one.total, one.at, at);
        from = End{one.at, one.total};
    }
    const ReadingRow* after = after_of(correction);
    if (!from) return std::nullopt;
    if (after == nullptr) return from->total;
    if (!is_dated(context, *after) || at > time_of(context, *after)) return std::nullopt;
    return total_at_edge(from->total, from->at, after->total, time_of(context, *after), at);
}

void move_edges(Context& context, Correction& correction) {
    const std::string& account = correction.around.row->account;
    if (account.empty() || !is_dated(context, *correction.around.row)) return;
    for (EdgeFigureRow& row : context.store.account_books().edge_figures(account)) {
        if (row.meter != correction.around.row->meter) continue;
        const auto total = total_then(context, correction, row.at);
        if (!total || *total == row.total) continue;
        row.total = *total;
        correction.edges.push_back(std::move(row));
    }
}

// The hours that were kept of the wrong figure. None rests on a row without a time.
void move_hours(Context& context, const Correction& correction) {
    if (!is_dated(context, *correction.around.row)) return;
    AccountBooks& books = context.store.account_books();
    const std::string& meter = correction.around.row->meter;
    const ReadingRow* after = after_of(correction);
    const UtcMs end = after ? time_of(context, *after) : context.now_ms();
    const ReadingRow& first = correction.around.before.front();
    const UtcMs begin = time_of(context, is_dated(context, first) ? first : *correction.around.row);
    constexpr UtcMs kHourMs = 3'600'000;
    for (std::int64_t hour = begin / kHourMs + 1; hour * kHourMs <= end; ++hour) {
        const auto kept = books.hour(meter, hour);
        const auto total = total_then(context, correction, hour * kHourMs);
        if (kept && total && *total != *kept)
            context.store.put_hour({meter, hour, *total, ReadingQuality::estimated});
    }
}

std::string corrected_json(const Context& context, const Correction& correction,
                           const ReadFace& command, std::uint64_t reading, const Figures& figures) {
    const MeterRuntime& meter = context.world.meters[correction.meter];
    const Replaced& typed =
        *std::find_if(correction.rows.begin(), correction.rows.end(),
                      [&](const Replaced& one) { return one.row.seq == correction.around.root; });
    JsonWriter json;
    json.begin_object().field("meter", meter.row->meter).field("state", "corrected");
    if (command.dry_run) json.field("dry_run", true);
    if (reading != 0) json.field("reading", reading);
    json.field("supersedes", correction.around.root)
        .field("old_register", format(correction.around.row->register_value))
        .field("register", command.register_value)
        .field("old_total", format(correction.around.row->total))
        .field("total", format(typed.total))
        .field("quality", "manual")
        .field("superseded", correction.rows.size())
        .field("at", context.iso(typed.at));
    json.key("money").begin_array();
    write_figures(json, figures, "correction");
    json.end_array()
        .field_if("by", command.by)
        .field_if("second", command.second)
        .field_if("reason", command.reason)
        .field("authenticated", context.vouched(command.by, command.second))
        .end_object();
    return json.take();
}

// Everything in memory that stands at the row.
void move_runtime(Context& context, MeterRuntime& meter, const Replaced& one, std::uint64_t root) {
    for (Freeze& freeze : meter.unposted)
        if (freeze.reading == root && !freeze.inside) freeze.total = one.total;
    if (one.dated && meter.settled_until == one.at) {
        meter.settled_total = one.total;
        meter.settled_register = one.register_value;
    }
    if (meter.marked && meter.mark.reading == root) {
        meter.mark.total = one.total;
        context.store.put_mark(meter.mark);
    }
    if (one.row.kind != ReadingKind::freeze && one.row.kind != ReadingKind::month) return;
    const std::int64_t day = days_since_epoch(context.day_of(one.at - 1));
    // The day goes on pointing at the freeze; what stands in its place is found from there.
    context.store.put_day({meter.row->meter, day, root, one.total,
                           one.typed ? ReadingQuality::manual : ReadingQuality::estimated});
    meter.day_totals.put(day, one.total);
}

std::uint64_t store_one(Context& context, const Replaced& one, const Rational& face) {
    ReadingRow row = one.row;
    row.supersedes = one.row.seq;
    // What nobody could date stays so, with the time as it was seen then.
    if (one.dated) {
        row.at = context.now;
        row.stands_at = one.at;
    }
    row.register_value = one.register_value;
    row.total = one.total;
    row.raw.clear();
    row.face.clear();
    row.quality = one.typed ? ReadingQuality::manual : ReadingQuality::estimated;
    if (one.typed && 1'000 % face.denominator != 0) row.face = format_fraction(face);
    const std::uint64_t seq = context.store.append_reading(row);
    ++context.readings_stored;
    return seq;
}

// The meter stands at the corrected row: judging begins anew from it, and what was held against the
// wrong one is answered.
void stand_there(Context& context, std::size_t index, const ReadFace& command, const Replaced& one,
                 std::uint64_t reading, const Rational& face) {
    MeterRuntime& meter = context.world.meters[index];
    Point point;
    point.stamp = one.dated ? context.now : one.row.at;
    if (one.dated) point.stands_at = one.at;
    point.register_value = one.register_value;
    point.total = one.total;
    point.quality = ReadingQuality::manual;
    point.reading = reading;
    if (1'000 % face.denominator != 0) point.face = format_fraction(face);
    meter.last = std::move(point);
    meter.dated.reset();
    answer_quarantine(context, index, command.by, "the reading before it was corrected");
    MeterState fresh = state_of(context, meter);
    fresh.run_first = meter.state.run_first;
    fresh.last_sample = meter.state.last_sample;
    meter.state = std::move(fresh);
    bind_identity(context, meter);
}

void put_typed(Context& context, const Replaced& one, const ReadFace& command,
               std::uint64_t reading) {
    ManualReadingRow row;
    row.meter = one.row.meter;
    row.epoch = one.row.epoch;
    row.at = context.now;
    row.read_at = one.at;
    row.register_value = command.register_value;
    row.by = command.by;
    row.second = command.second;
    row.photo = command.photo;
    row.reading = reading;
    context.store.put_manual_reading(row);
}

LateWork::Done take_over(Context& context, const ReadFace& command, const Correction& correction,
                         const Figures& figures) {
    const std::size_t index = correction.meter;
    const std::string account = correction.around.row->account;
    std::uint64_t reading = 0;
    for (const Replaced& one : correction.rows) {
        const std::uint64_t seq = store_one(context, one, correction.typed.face);
        move_runtime(context, context.world.meters[index], one, one.row.seq);
        const bool root = one.row.seq == correction.around.root;
        if (root) reading = seq;
        const bool stands = correction.newest && &one == &correction.rows.back();
        if (!root && !stands) continue;
        put_typed(context, one, command, seq);
        if (stands) stand_there(context, index, command, one, seq, correction.typed.face);
    }
    MeterRuntime& meter = context.world.meters[index];
    const std::uint64_t event =
        log_meter(context, meter, "meter.reading_corrected", command.reason, [&](JsonWriter& body) {
            body.field("reading", reading)
                .field("supersedes", correction.around.root)
                .field("old_register", format(correction.around.row->register_value))
                .field("register", command.register_value)
                .field("superseded", correction.rows.size())
                .field("by", command.by)
                .field("second", command.second)
                .field("authenticated", context.vouched(command.by, command.second));
        });
    touch_meter(context, index);
    context.urgent = true;
    LateWork::Done done;
    done.reply.kind = ReplyKind::created;
    done.reply.json = corrected_json(context, correction, command, reading, figures);
    if (meter.account) context.repriced.insert(*meter.account);
    move_hours(context, correction);
    if (account.empty()) return done;
    std::vector<EdgeFigureRow> edges = correction.edges;
    for (EdgeFigureRow& row : edges) {
        row.event = event;
        for (Freeze& freeze : meter.unposted)
            if (freeze.inside && freeze.reading == row.reading && freeze.edge == row.at)
                freeze.total = row.total;
    }
    context.store.add_edge_figures(account, edges);
    context.store.add_settling({event, "correction", "correction:" + std::to_string(reading),
                                command.by, command.second, command.reason,
                                context.vouched(command.by, command.second)});
    context.store.put_settling_state(event, account, SettlingState::waiting);
    done.event = event;
    return done;
}

// The same correction asked for again, after its answer was lost.
std::optional<Reply> earlier(const Context& context, const ReadFace& command,
                             const Correction& correction) {
    const ReadingRow& row = *correction.around.row;
    if (correction.around.newest == correction.around.root ||
        compare(face_of(row), correction.typed.face) != std::strong_ordering::equal)
        return std::nullopt;
    Correction same = correction;
    same.rows = {{row, time_of(context, row), row.register_value, row.total, true}};
    Reply reply;
    reply.json = corrected_json(context, same, command, correction.around.newest, {});
    return reply;
}

// A figure that is repeated up to where the meter stands was wrong each time, and what was
// corrected with the row is taken back with it. Else the first that was read behind the row is its
// neighbour.
void end_run(const MeterRuntime& meter, Correction& correction) {
    ReadingAround& around = correction.around;
    const bool same = around.after.empty() || around.repeats.contains(around.after.back().seq) ||
                      is_estimated(around.after.back());
    correction.newest = same && meter.last && meter.last->total == around.row->total;
    if (correction.newest) return;
    const auto read =
        std::find_if(around.after.begin(), around.after.end(), [&](const ReadingRow& row) {
            const bool together =
                around.repeats.contains(row.seq) && row.supersedes && around.row->supersedes;
            return !is_estimated(row) && !together;
        });
    if (read == around.after.end()) return;
    around.after.erase(std::next(read), around.after.end());
    around.repeats.erase(read->seq);
}

// The newest confirmed sample, where the rows that were looked up do not have it.
void add_newest(Context& context, Correction& correction) {
    MeterRuntime& meter = context.world.meters[correction.meter];
    ReadingAround& around = correction.around;
    if (!meter.last) return;
    // The rows that were looked up end with one that has another figure, or with the meter's last.
    const ReadingRow& end = around.after.empty() ? *around.row : around.after.back();
    if (end.total != around.row->total || context.best(*meter.last) <= time_of(context, end))
        return;
    ReadingRow row = *around.row;
    row.seq = meter.last->reading;
    row.epoch = meter.epoch ? meter.epoch->id : 0;
    row.quality = meter.last->quality;
    row.at = meter.last->stamp;
    row.stands_at = meter.last->stands_at;
    row.register_value = meter.last->register_value;
    row.total = meter.last->total;
    row.face = meter.last->face;
    row.supersedes.reset();
    if (row.total == around.row->total && !around.row->supersedes) around.repeats.insert(row.seq);
    around.after.push_back(std::move(row));
}

// From when on the money may be other than it was; of what has no time: since what stands before.
constexpr UtcMs kAnyTimeMs = 86'400'000;
UtcMs from_when(const Context& context, const Correction& correction) {
    const Replaced& one = correction.rows.front();
    const ReadingRow& before = correction.around.before.front();
    if (one.dated) return one.at;
    return is_dated(context, before) ? time_of(context, before) : kAnyTimeMs;
}

LateWork::Done carry_out(Context& context, const ReadFace& command, const Correction& correction,
                         const Figures& figures) {
    if (auto waits = settling_refusal(context)) return {*std::move(waits), 0};
    if (auto refused = figures_refusal(figures)) return {*std::move(refused), 0};
    const MeterRuntime& meter = context.world.meters[correction.meter];
    const bool stands =
        meter.last && meter.last->reading == newest_of(context, correction.rows.back().row);
    const bool moved = newest_of(context, *correction.around.row) != correction.around.newest ||
                       !meter.epoch || meter.epoch->id != correction.around.row->epoch ||
                       (correction.newest && !stands);
    if (moved)
        return {refusal(ReplyKind::conflict, "moved-on",
                        "the meter's books went on meanwhile; nothing was changed, ask again"),
                0};
    if (command.dry_run) {
        Reply reply;
        reply.json = corrected_json(context, correction, command, 0, figures);
        return {std::move(reply), 0};
    }
    return take_over(context, command, correction, figures);
}

}  // namespace

LateJudged correct_reading(Context& context, const ReadFace& command) {
    const auto found = context.world.meter_index.find(command.meter);
    if (found == context.world.meter_index.end()) return {no_such_meter(command.meter), {}};
    MeterRuntime& meter = context.world.meters[found->second];
    Reply reply;
    if (!command.dry_run) {
        check_two(context, reply, command.by, command.second);
        check_reason(reply, command.reason);
    }
    const auto typed = check_face(reply, "/register", command.register_value, meter);
    if (!command.at.empty())
        reply.errors.push_back({"/at",
                                "a correction keeps the time of the row that it "
                                "supersedes; leave it out"});
    Correction correction;
    correction.meter = found->second;
    correction.around =
        command.around ? *command.around : context.store.account_books().around(command.supersedes);
    if (!correction.around.row || correction.around.row->meter != command.meter)
        reply.errors.push_back({"/supersedes", "reading " + std::to_string(command.supersedes) +
                                                   " is none of the meter " + command.meter});
    if (is_refused(reply)) return {std::move(reply), {}};
    correction.typed = *typed;
    if (!context.clock.trusted())
        return {refusal(ReplyKind::refused, "clock",
                        "a correction moves money and the clock is not trusted (" +
                            context.clock.reason() +
                            "); confirm it with `gatehousectl clock confirm` first"),
                {}};
    if (auto before = earlier(context, command, correction)) return {*std::move(before), {}};
    if (auto refused = judge_place(context, meter, correction.around))
        return {*std::move(refused), {}};
    keep_last(context, correction.meter);
    add_newest(context, correction);
    end_run(meter, correction);
    const auto total = judge_total(context, correction, reply);
    if (!total) return {std::move(reply), {}};
    if (auto refused = judge_times(context, correction)) return {*std::move(refused), {}};
    const auto register_value = round_to_milli(correction.typed.face);
    if (!register_value) return {wrong_field("/register", "invalid", "cannot be counted"), {}};
    estimate_anew(context, correction, *total, *register_value);
    move_edges(context, correction);
    LateWork work;
    if (!correction.around.row->account.empty())
        work.accounts.push_back(correction.around.row->account);
    work.registry = context.world.registry;
    for (const Replaced& one : correction.rows) work.corrected[one.row.seq] = one.total;
    for (const EdgeFigureRow& row : correction.edges) work.edges[{row.reading, row.at}] = row.total;
    work.from_month = month_scope(context.day_of(from_when(context, correction) - 1));
    work.carry_on = [command, correction](Context& now, const Figures& figures) {
        return carry_out(now, command, correction, figures);
    };
    return {{}, std::move(work)};
}

}  // namespace gatehouse
