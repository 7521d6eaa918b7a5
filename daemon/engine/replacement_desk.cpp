#include "daemon/engine/replacement_desk.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "daemon/engine/account_book.hpp"
#include "daemon/engine/command_desk.hpp"
#include "daemon/engine/edge_book.hpp"
#include "daemon/engine/meter_acts.hpp"
#include "daemon/engine/meter_book.hpp"
#include "daemon/engine/quarantine_desk.hpp"
#include "daemon/engine/registry_acts.hpp"

namespace gatehouse {
namespace {

constexpr std::size_t kSerialMax = 64;
constexpr int kAddressMax = 247;  // of Modbus; what lies above is reserved

// What was typed, understood.
struct Exchange {
    TypedFace old_final, new_opening;
    TypedTime at;
    std::optional<int> new_address;
    // Of a module that counts on beside the new meter: dial minus counter from here on.
    std::optional<std::string> new_offset;
};

// Whether what is read goes on although the meter is exchanged.
bool is_module(const MeterRuntime& meter) {
    return meter.terms.traits->module || meter.row->offset.has_value();
}

std::string replaced_json(const Context& context, const MeterRuntime& meter,
                          const ReplacementRow& row) {
    JsonWriter json;
    json.begin_object()
        .field("meter", row.meter)
        .field("old_epoch", row.old_epoch)
        .field("epoch", row.new_epoch)
        .field("old_final", row.old_final)
        .field("new_serial", row.new_serial)
        .field("new_opening", row.new_opening);
    if (row.new_address) json.field("new_address", *row.new_address);
    if (is_module(meter)) json.field_if("new_offset", meter.row->offset.value_or(""));
    if (meter.last) json.field("total", format(meter.last->total));
    json.field("at", context.iso(row.at))
        .field("by", row.by)
        .field("second", row.second)
        .field("event", row.event);
    account_fields(json, context, meter);
    json.end_object();
    return json.take();
}

void check_address(const Context& context, Reply& reply, const MeterRuntime& meter,
                   const std::string& text, Exchange& exchange) {
    if (text.empty()) return;
    int address = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, address);
    if (error != std::errc{} || stop != end || address < 1 || address > kAddressMax) {
        reply.errors.push_back({"/new_address", "`" + text + "` is no address from 1 to 247"});
        return;
    }
    if (meter.row->bus.empty()) {
        reply.errors.push_back({"/new_address", "the meter stands on no bus; leave it out"});
        return;
    }
    for (const Meter& other : context.world.registry->meters) {
        if (other.meter == meter.row->meter || other.bus != meter.row->bus ||
            other.address != address || other.channel != meter.row->channel ||
            other.status != MeterStatus::active)
            continue;
        reply.errors.push_back({"/new_address", "address " + text + " of bus " + other.bus +
                                                    " is that of the meter " + other.meter});
        return;
    }
    exchange.new_address = address;
}

std::optional<Exchange> understand(const Context& context, Reply& reply, const MeterRuntime& meter,
                                   const ReplaceMeter& command) {
    Exchange exchange;
    check_two(context, reply, command.by, command.second);
    const auto old_final = check_face(reply, "/old_final", command.old_final, meter);
    const auto opening = check_face(reply, "/new_opening", command.new_opening, meter);
    exchange.at = check_time(context, reply, command.at);
    if (command.new_serial.empty() || command.new_serial.size() > kSerialMax)
        reply.errors.push_back({"/new_serial", "1 to 64 characters, as on the new nameplate"});
    check_address(context, reply, meter, command.new_address, exchange);
    if (is_refused(reply)) return std::nullopt;
    exchange.old_final = *old_final;
    exchange.new_opening = *opening;
    return exchange;
}

std::optional<Reply> earlier(Context& context, const MeterRuntime& meter,
                             const ReplaceMeter& command, const Exchange& exchange) {
    const auto row = context.store.newest_replacement(meter.row->meter);
    if (!row || !meter.epoch || row->new_epoch != meter.epoch->id ||
        row->old_final != command.old_final || row->new_serial != command.new_serial ||
        row->new_opening != command.new_opening || row->by != command.by ||
        (exchange.at.typed &&
         (*exchange.at.typed > row->at || row->at - *exchange.at.typed > kTypedMs)))
        return std::nullopt;
    Reply reply;
    reply.json = replaced_json(context, meter, *row);
    return reply;
}

// Nothing where the old meter can be closed with that figure; `judged` is its state then.
std::optional<Reply> judge_final(const Context& context, const MeterRuntime& meter,
                                 const Exchange& exchange, MeterState& judged, Verdict& verdict) {
    const FaceReading reading{exchange.old_final.face, exchange.old_final.tolerance, context.now,
                              exchange.at.time};
    verdict = judge_face(judged, reading, meter.terms);
    if (!verdict.held && !verdict.confirmed.empty()) return std::nullopt;
    return wrong_field(
        "/old_final", "old-final",
        verdict.reason + " since " + context.iso(context.best(*meter.last)) +
            "; nothing was changed: check the digits and the time, or the rating of the "
            "meter in meters.csv");
}

// A module says its own serial number, which stays; the new meter's stands on its nameplate alone.
bool keeps_serial(const MeterRuntime& meter) {
    return meter.terms.traits->module && meter.terms.traits->reads_serial;
}

// What the module's counter stood at is what the old dial says of it, or its last confirmed reading
// where that is higher: then nothing that the old meter counted is charged to the new one. A module
// that had lost pulses is asked about with its next samples (`opening_mismatch`).
std::optional<std::string> paired_anew(const MeterRuntime& meter, const Exchange& exchange) {
    Rational old_face = exchange.old_final.face;
    const auto& baseline = meter.state.baseline;
    if (baseline && compare(old_face, baseline->exact) < 0) old_face = baseline->exact;
    const auto counter = subtract(old_face, meter.terms.offset);
    const auto offset = counter ? subtract(exchange.new_opening.face, *counter) : std::nullopt;
    const auto milli = offset ? round_to_milli(*offset) : std::nullopt;
    if (!milli) return std::nullopt;
    return format_decimal_trimmed(milli->count, 3, 0);
}

// The tail of the old meter, posted up to the instant under the epoch that ends with it.
void close_old(Context& context, std::size_t index, const Verdict& verdict,
               const Exchange& exchange) {
    MeterRuntime& meter = context.world.meters[index];
    const UtcMs at = exchange.at.typed.value_or(context.now_ms());
    const Taking taking{ReadingKind::replacement, ReadingQuality::manual, at, true};
    std::uint64_t final_row = 0;
    for (const Confirmed& confirmed : verdict.confirmed)
        final_row = take_confirmed(context, index, confirmed, taking);
    note_band_use(context, meter, at, meter.last->total - meter.settled_total);
    meter.settled_until = std::max(meter.settled_until, at);
    meter.settled_total = meter.last->total;
    meter.settled_register = meter.last->register_value;
    if (meter.marked && meter.account) {
        meter.unposted.push_back({at, meter.last->total, final_row});
        post_meters(context, *meter.account, {index}, at,
                    "meter:" + std::to_string(meter.epoch->id));
    }
    meter.epoch->closed = context.now;
    meter.epoch->final_register = meter.last->register_value;
    context.store.put_epoch(*meter.epoch);
}

void open_new(Context& context, std::size_t index, const ReplaceMeter& command,
              const Exchange& exchange, ReplacementRow& row) {
    MeterRuntime& meter = context.world.meters[index];
    const Rational multiplier = meter.terms.multiplier;
    EpochRow epoch;
    epoch.meter = meter.row->meter;
    epoch.serial = keeps_serial(meter) ? meter.epoch->serial : command.new_serial;
    epoch.multiplier = meter.epoch->multiplier;
    epoch.opened = context.now;
    epoch.base_total = meter.last->total;
    epoch.base_figure = *figure(exchange.new_opening.face, multiplier);
    epoch.id = context.store.put_epoch(epoch);
    row.new_epoch = epoch.id;
    meter.epoch = std::move(epoch);
    meter.serial_read = {};
    meter.ratio_read.reset();
    Point point;
    point.stamp = context.now;
    point.stands_at = row.at;
    point.register_value = *round_to_milli(exchange.new_opening.face);
    point.total = meter.last->total;
    point.quality = ReadingQuality::manual;
    if (1'000 % exchange.new_opening.face.denominator != 0)
        point.face = format_fraction(exchange.new_opening.face);
    point.reading = store_point(context, meter, point, ReadingKind::replacement);
    meter.last = point;
    if (!meter.marked) return;
    meter.mark.reading = point.reading;
    meter.mark.total = point.total;
    context.store.put_mark(meter.mark);
}

// Judging begins anew with the opening that people read; what the wire taught of the run stays.
void begin_judging(Context& context, MeterRuntime& meter) {
    MeterState fresh = state_of(context, meter);
    fresh.run_first = meter.state.run_first;
    fresh.last_sample = meter.state.last_sample;
    meter.state = std::move(fresh);
    meter.newest_face.reset();
    meter.newest_time.reset();
}

void tell(Context& context, const MeterRuntime& meter, ReplacementRow& row) {
    row.event = log_meter(context, meter, "meter.replaced", "", [&](JsonWriter& body) {
        body.field("old_epoch", row.old_epoch)
            .field("epoch", row.new_epoch)
            .field("old_final", row.old_final)
            .field("new_serial", row.new_serial)
            .field("new_opening", row.new_opening);
        if (row.new_address) body.field("new_address", *row.new_address);
        if (is_module(meter)) body.field_if("new_offset", meter.row->offset.value_or(""));
        body.field("total", format(meter.last->total))
            .field("reading", meter.last->reading)
            .field("replaced_at", context.iso(row.at))
            .field("by", row.by)
            .field("second", row.second)
            .field("authenticated", context.vouched(row.by, row.second));
    });
    row.id = context.store.put_replacement(row);
}

Reply carry_out(Context& context, std::size_t index, const ReplaceMeter& command,
                Exchange exchange) {
    MeterState judged = context.world.meters[index].state;
    Verdict verdict;
    if (auto refused = judge_final(context, context.world.meters[index], exchange, judged, verdict))
        return *std::move(refused);
    if (!round_to_milli(exchange.new_opening.face) ||
        !figure(exchange.new_opening.face, context.world.meters[index].terms.multiplier))
        return wrong_field("/new_opening", "invalid", "is beyond what can be counted");
    if (is_module(context.world.meters[index])) {
        exchange.new_offset = paired_anew(context.world.meters[index], exchange);
        if (!exchange.new_offset)
            return wrong_field("/new_opening", "invalid",
                               "lies further from the counter than can be counted");
    }
    ReplacementRow row;
    row.meter = command.meter;
    row.old_epoch = context.world.meters[index].epoch->id;
    row.at = exchange.at.typed.value_or(context.now_ms());
    row.old_final = command.old_final;
    row.new_serial = command.new_serial;
    row.new_opening = command.new_opening;
    row.new_address = exchange.new_address;
    row.by = command.by;
    row.second = command.second;
    context.world.meters[index].state = std::move(judged);
    close_old(context, index, verdict, exchange);
    answer_quarantine(context, index, command.by, "a replacement was entered");
    open_new(context, index, command, exchange, row);
    const bool nameplate = keeps_serial(context.world.meters[index]);
    change_meter_row(context, index, [&](Meter& meter) {
        (nameplate ? meter.nameplate : meter.serial) = command.new_serial;
        if (exchange.new_offset) meter.offset = exchange.new_offset;
        if (exchange.new_address) meter.address = exchange.new_address;
    });
    MeterRuntime& meter = context.world.meters[index];
    tell(context, meter, row);
    begin_judging(context, meter);
    bind_identity(context, meter);
    touch_meter(context, index);
    if (meter.account) reprice(context, *meter.account, Mover::drift);
    if (context.poller != nullptr && !meter.row->bus.empty())
        context.poller->poll_soon(meter.row->meter);
    context.urgent = true;
    Reply reply;
    reply.kind = ReplyKind::created;
    reply.json = replaced_json(context, meter, row);
    return reply;
}

}  // namespace

Reply replace_meter(Context& context, const ReplaceMeter& command) {
    const auto found = context.world.meter_index.find(command.meter);
    if (found == context.world.meter_index.end()) return no_such_meter(command.meter);
    const MeterRuntime& meter = context.world.meters[found->second];
    Reply reply;
    auto exchange = understand(context, reply, meter, command);
    if (!exchange) return reply;
    if (auto before = earlier(context, meter, command, *exchange)) return *std::move(before);
    if (!meter.epoch || !meter.last)
        return refusal(ReplyKind::conflict, "no-reading-yet",
                       "no reading of the meter " + command.meter +
                           " was confirmed yet: correct its row in meters.csv instead");
    if (!context.clock.trusted())
        return refusal(ReplyKind::refused, "clock",
                       "a replacement is an edge and the clock is not trusted (" +
                           context.clock.reason() +
                           "); confirm it with `gatehousectl clock confirm` first");
    follow_last(context, meter, exchange->at);
    if (is_too_early(context, meter, exchange->at))
        return wrong_field("/at", "not-later",
                           "the old meter was read at " + context.iso(context.best(*meter.last)) +
                               " (register " + format(meter.last->register_value) +
                               "); a replacement lies after its last confirmed reading");
    return carry_out(context, found->second, command, *exchange);
}

}  // namespace gatehouse
