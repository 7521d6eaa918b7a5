#include "daemon/engine/move_book.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "daemon/engine/account_book.hpp"
#include "daemon/engine/command_desk.hpp"
#include "daemon/engine/edge_book.hpp"
#include "daemon/engine/meter_acts.hpp"
#include "daemon/engine/meter_book.hpp"

namespace gatehouse {
namespace {

constexpr const char* kClose = "close";

Reply conflict(const char* type, std::vector<FieldError> errors) {
    Reply reply = refusal(ReplyKind::conflict, type, errors.front().message);
    reply.errors = std::move(errors);
    return reply;
}

// What a meter used since a change of the registry brought it to the account is not known before it
// is read; booked after the end it would be nobody's.
std::vector<FieldError> coming(const Context& context, std::size_t account) {
    std::vector<FieldError> errors;
    const std::string& id = context.world.accounts[account].row->account;
    for (const MeterRuntime& meter : context.world.meters) {
        if (meter.edges.empty() || meter.account == account) continue;
        const bool comes = meter.by_registry.account == account ||
                           std::any_of(meter.edges.begin() + 1, meter.edges.end(),
                                       [&](const auto& edge) { return edge.account == id; });
        if (comes)
            errors.push_back({"", "the meter " + meter.row->meter +
                                      " came to this account by a change of the registry and was "
                                      "not read since; read its dial first (gatehousectl dial)"});
    }
    return errors;
}

// What is doubted decides nothing: staff do first.
std::vector<FieldError> doubted(const Context& context, std::size_t account,
                                const std::vector<std::size_t>& meters) {
    std::vector<FieldError> errors = coming(context, account);
    for (const std::size_t index : meters) {
        const MeterRuntime& meter = context.world.meters[index];
        const std::string name = "the meter " + meter.row->meter;
        if (meter.quarantine)
            errors.push_back({"", name + " has the reading " +
                                      std::to_string(meter.quarantine->id) + " on hold (" +
                                      meter.quarantine->reason + "); release or reject it first"});
        else if (meter.hold)
            errors.push_back({"", name + " is held by staff; let it go first (unhold)"});
        else if (!meter.edges.empty())
            errors.push_back({"", name + " waits for the first reading after a change of the "
                                         "registry; ask again in a minute, or read its dial"});
    }
    return errors;
}

std::vector<FieldError> read_later(const Context& context, const std::vector<std::size_t>& meters,
                                   UtcMs at) {
    std::vector<FieldError> errors;
    for (const std::size_t index : meters) {
        const MeterRuntime& meter = context.world.meters[index];
        if (!meter.last) continue;
        const UtcMs last = context.best(*meter.last);
        if (last <= at + kOnEdgeMs && meter.settled_until <= at) continue;
        errors.push_back({"/at", "the meter " + meter.row->meter + " was read and accounted at " +
                                     context.iso(std::max(last, meter.settled_until)) +
                                     "; a move lies not before that: leave `at` out, and correct "
                                     "what lies before by an adjustment"});
    }
    return errors;
}

std::vector<FieldError> not_read(const Context& context, const std::vector<std::size_t>& meters,
                                 UtcMs at, bool accept_last_reading,
                                 const std::set<std::size_t>& faced) {
    std::vector<FieldError> errors;
    for (const std::size_t index : meters) {
        const MeterRuntime& meter = context.world.meters[index];
        if (faced.contains(index) || is_near(context, meter, at)) continue;
        // What it used since a typed opening nobody knows, and the next holder must not pay it.
        const bool nothing_known = !meter.last && meter.terms.opening_register.has_value();
        if (accept_last_reading && !nothing_known) continue;
        errors.push_back(
            {"",
             "the meter " + meter.row->meter +
                 (meter.last ? " was last read at " + context.iso(context.best(*meter.last)) +
                                   " (register " + format(meter.last->register_value) + ")"
                             : " was never read") +
                 "; read its dial (gatehousectl dial)" +
                 (nothing_known ? std::string()
                                : ", or accept the last reading as it is (accept_last_reading)")});
    }
    return errors;
}

// The row that both holders share. Midnights between the last sample and the instant are passed as
// if it were a sample; where it is old that is an estimate, and the row says so.
MovedMeter freeze(Context& context, std::size_t index, UtcMs at) {
    MeterRuntime& meter = context.world.meters[index];
    MovedMeter moved{index, 0, ReadingQuality::good};
    if (!meter.last || !meter.epoch) return moved;
    moved.quality = is_near(context, meter, at) ? meter.last->quality : ReadingQuality::estimated;
    store_last(context, meter);
    // The stamp stays that of the sample: how much can have passed since is judged by it.
    Point point = *meter.last;
    point.stands_at = at;
    point.quality = moved.quality;
    if (at > context.best(*meter.last)) split_edges(context, index, point);
    point.stands_at = at;
    point.reading = store_point(context, meter, point, ReadingKind::move);
    moved.reading = point.reading;
    meter.settled_until = std::max(meter.settled_until, at);
    meter.settled_total = point.total;
    meter.settled_register = point.register_value;
    if (meter.marked) meter.unposted.push_back({at, point.total, point.reading});
    meter.last = std::move(point);
    touch_meter(context, index);
    return moved;
}

// An account whose last attempt left a rest of fen is posted once more under a cause of its own.
std::string closing_cause(const Context& context, const std::string& account) {
    if (!context.store.posted(account, kClose)) return kClose;
    return std::string(kClose) + ":" + std::to_string(context.store.next(Series::event));
}

}  // namespace

bool is_near(const Context& context, const MeterRuntime& meter, UtcMs at) {
    const std::optional<UtcMs> last =
        meter.last ? context.trusted(*meter.last) : std::optional<UtcMs>{};
    return last && std::abs(*last - at) <= kOnEdgeMs;
}

void take_fresh(Context& context, const std::vector<Sample>& samples) {
    for (const Sample& sample : samples) {
        const auto found = context.world.meter_index.find(sample.meter);
        if (found == context.world.meter_index.end()) continue;
        const std::optional<SampleTime>& newest = context.world.meters[found->second].newest_time;
        if (newest && newest->run == sample.at.run && newest->mono_ms >= sample.at.mono_ms)
            continue;
        take_sample(context, sample);
    }
}

std::optional<Reply> judge_move(const Context& context, std::size_t account, UtcMs at,
                                bool accept_last_reading, const std::set<std::size_t>& faced) {
    const std::vector<std::size_t>& meters = context.world.accounts[account].meters;
    if (auto errors = doubted(context, account, meters); !errors.empty())
        return conflict("reading-held", std::move(errors));
    if (auto errors = read_later(context, meters, at); !errors.empty()) {
        Reply reply;
        reply.type = "not-later";
        reply.errors = std::move(errors);
        static_cast<void>(is_refused(reply));
        return reply;
    }
    if (auto errors = not_read(context, meters, at, accept_last_reading, faced); !errors.empty())
        return conflict("no-fresh-reading", std::move(errors));
    return std::nullopt;
}

std::vector<MovedMeter> freeze_and_post(Context& context, std::size_t account, UtcMs at) {
    const std::vector<std::size_t> meters = context.world.accounts[account].meters;
    std::vector<MovedMeter> moved;
    for (const std::size_t index : meters) moved.push_back(freeze(context, index, at));
    post_ended_days(context, account, at);
    const std::string cause = closing_cause(context, context.world.accounts[account].row->account);
    const bool fresh = post_meters(context, account, meters, at, cause);
    GH_ASSERT(fresh);
    reprice(context, account, Mover::drift);
    return moved;
}

void go_on(Context& context, const std::vector<MovedMeter>& meters) {
    for (const MovedMeter& moved : meters) {
        MeterRuntime& meter = context.world.meters[moved.meter];
        if (moved.reading != 0) put_mark(context, meter, *meter.last);
        touch_meter(context, moved.meter);
        if (meter.account) context.repriced.insert(*meter.account);
    }
}

}  // namespace gatehouse
