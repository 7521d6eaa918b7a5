#include "daemon/engine/quarantine_desk.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "daemon/engine/account_book.hpp"
#include "daemon/engine/command_desk.hpp"
#include "daemon/engine/meter_acts.hpp"
#include "daemon/engine/meter_book.hpp"
#include "daemon/engine/registry_acts.hpp"
#include "daemon/engine/row_documents.hpp"

namespace gatehouse {
namespace {

// What the total would be if the held value were released: a register that fell, or that belongs
// to another meter or another ratio, counts on from there and costs nothing by itself.
Milli total_if_released(const MeterRuntime& meter, QuarantineReason reason, Milli plain) {
    if (!meter.last) return plain;
    const bool counts = reason != QuarantineReason::serial_changed &&
                        reason != QuarantineReason::multiplier_changed;
    return counts ? std::max(plain, meter.last->total) : meter.last->total;
}

void close_row(Context& context, MeterRuntime& meter, QuarantineRow::State state,
               const std::string& by) {
    meter.quarantine->state = state;
    meter.quarantine->by = by;
    if (!context.writable || meter.quarantine->id == 0) return;
    context.store.put_quarantine(*meter.quarantine);
    const bool released = state == QuarantineRow::State::released;
    auto typed = context.store.manual_reading_of(meter.quarantine->id);
    if (!typed) return;
    typed->state =
        released ? ManualReadingRow::State::confirmed : ManualReadingRow::State::rejected;
    typed->reading = meter.quarantine->released_as;
    context.store.put_manual_reading(*typed);
}

void forget_row(Context& context, std::size_t index) {
    MeterRuntime& meter = context.world.meters[index];
    meter.quarantine.reset();
    meter.reason = meter.hold ? "held by staff" : "";
    touch_meter(context, index);
    if (meter.account) context.repriced.insert(*meter.account);
}

std::string settled_json(const Context& context, const MeterRuntime& meter,
                         const QuarantineRow& row) {
    JsonWriter json;
    json.begin_object()
        .field("id", std::to_string(row.id))
        .field("meter", row.meter)
        .field("state", row.state == QuarantineRow::State::released ? "released" : "rejected")
        .field("reason", row.reason)
        .field("register", format(row.register_value))
        .field("raw", raw_words(row.raw))
        .field("held", format(row.held))
        .field("at", context.iso(context.best(row.at)))
        .field_if("by", row.by);
    if (row.released_as != 0) json.field("reading", row.released_as);
    account_fields(json, context, meter);
    json.end_object();
    return json.take();
}

struct Found {
    Reply reply;  // of what was decided already, or a refusal; where `meter` is absent
    std::optional<std::size_t> meter;
};

Found find_open(Context& context, const SettleQuarantine& command) {
    Found found;
    std::int64_t id = 0;
    const char* end = command.id.data() + command.id.size();
    const auto [stop, error] = std::from_chars(command.id.data(), end, id);
    std::optional<QuarantineRow> row;
    if (error == std::errc{} && stop == end) row = context.store.find_quarantine(id);
    const auto meter =
        row ? context.world.meter_index.find(row->meter) : context.world.meter_index.end();
    if (!row || meter == context.world.meter_index.end()) {
        found.reply = refusal(ReplyKind::not_found, "not-found",
                              "nothing was ever held under the id `" + command.id + "`");
        return found;
    }
    if (row->state == QuarantineRow::State::open) {
        const auto& open = context.world.meters[meter->second].quarantine;
        GH_ASSERT(open && open->id == id);  // one open at a time of each meter
        found.meter = meter->second;
        return found;
    }
    const bool released = row->state == QuarantineRow::State::released;
    if (released == command.release) {
        found.reply.json = settled_json(context, context.world.meters[meter->second], *row);
        return found;
    }
    found.reply = refusal(
        ReplyKind::conflict, "already-settled",
        "the reading " + command.id + " was " + (released ? "released" : "rejected") +
            (row->by.empty() ? std::string(", by later samples that agree with the old baseline")
                             : " by " + row->by) +
            "; to change what it brought is an adjustment");
    return found;
}

ReadValue held_value(const Context& context, const MeterRuntime& meter) {
    const QuarantineRow& row = *meter.quarantine;
    const auto& open = meter.state.quarantine;
    ReadValue value;
    if (open && open->asked.value.register_value == row.register_value &&
        open->asked.value.at == row.at) {
        value = open->asked.value;
    } else {
        value.exact = Rational{row.register_value.count, 1'000};
    }
    value.register_value = row.register_value;
    value.at = row.at;
    value.time = {row.at.run, row.at.mono_ms, context.trusted(row.at)};
    value.raw = row.raw;
    return value;
}

// A device that named itself otherwise, or was set otherwise, is the known one from now on.
void adopt_mark(Context& context, std::size_t index, QuarantineReason reason) {
    MeterRuntime& meter = context.world.meters[index];
    const std::string mark = meter.quarantine->serial;
    if (reason == QuarantineReason::serial_changed) {
        if (meter.epoch) meter.epoch->serial = mark;
        change_meter_row(context, index, [&](Meter& row) { row.serial = mark; });
    } else if (reason == QuarantineReason::multiplier_changed && meter.epoch) {
        meter.epoch->device_ratio = mark;
    }
    MeterRuntime& bound = context.world.meters[index];
    if (bound.epoch) context.store.put_epoch(*bound.epoch);
    bind_identity(context, bound);
}

// A dial that was held and is released is compared with to the last place that people typed.
void recall_dial(Context& context, MeterRuntime& meter) {
    const auto typed = context.store.manual_reading_of(meter.quarantine->id);
    if (!typed || !meter.state.baseline) return;
    meter.state.baseline->typed = Typed::dial;
    const auto tolerance = typed_tolerance(typed->register_value, meter.terms.traits->step);
    if (tolerance) meter.state.baseline->tolerance = *tolerance;
}

Reply release_open(Context& context, std::size_t index, const SettleQuarantine& command) {
    MeterRuntime& meter = context.world.meters[index];
    const auto reason = parse_quarantine_reason(meter.quarantine->reason);
    GH_ASSERT(reason.has_value());
    const ReadValue held = held_value(context, meter);
    if (*reason == QuarantineReason::conflict_profile)
        return refusal(ReplyKind::refused, "face-reading-needed",
                       "the sources of the profile `" + meter.row->profile +
                           "` disagree: look at the face and enter it with `gatehousectl confirm " +
                           meter.row->meter + " FACE --by STAFF`");
    if (*reason == QuarantineReason::serial_changed && !fits(meter.state, held, meter.terms))
        return refusal(ReplyKind::refused, "replacement-needed",
                       "the register " + format(held.register_value) + " of serial number " +
                           meter.quarantine->serial +
                           " does not go on from the last confirmed one: it is another meter; "
                           "enter the replacement with `gatehousectl replace " +
                           meter.row->meter + "`");
    const auto typed = context.store.manual_reading_of(meter.quarantine->id);
    const bool rebase = *reason == QuarantineReason::multiplier_changed;
    const std::optional<Confirmed> released = release(meter.state, held, meter.terms, rebase);
    if (!released)
        return refusal(ReplyKind::refused, "beyond-counting",
                       "the total would leave what can be counted; reject the reading");
    adopt_mark(context, index, *reason);
    Taking taking;
    taking.quality = ReadingQuality::released;
    taking.store = true;
    if (typed) {
        taking.quality = ReadingQuality::manual;
        taking.kind = ReadingKind::manual;
        taking.stands_at = typed->read_at;
    }
    MeterRuntime& bound = context.world.meters[index];
    recall_dial(context, bound);
    bound.quarantine->released_as = take_confirmed(context, index, *released, taking);
    close_row(context, bound, QuarantineRow::State::released, command.by);
    log_meter(context, bound, "meter.quarantine_released", command.reason, [&](JsonWriter& body) {
        body.field("quarantine", std::to_string(bound.quarantine->id))
            .field("by", command.by)
            .field("register", format(bound.quarantine->register_value))
            .field("reading", bound.quarantine->released_as)
            .field("authenticated", context.vouched(command.by));
    });
    return {};
}

}  // namespace

void open_quarantine(Context& context, std::size_t index, const Quarantine& opened) {
    MeterRuntime& meter = context.world.meters[index];
    // Where the register fell no poll will bring back what a power cut takes.
    keep_last(context, index);
    QuarantineRow row;
    row.meter = meter.row->meter;
    if (meter.account) row.account = context.world.accounts[*meter.account].row->account;
    row.epoch = meter.epoch ? meter.epoch->id : 0;
    row.at = opened.value.at;
    row.register_value = opened.value.register_value;
    row.total = total_if_released(meter, opened.reason, opened.value.total);
    row.raw = opened.value.raw;
    row.reason = to_string(opened.reason);
    const MeterState& state = meter.state;
    if (opened.reason == QuarantineReason::serial_changed && state.serial)
        row.serial = state.serial->other.value_or("");
    if (opened.reason == QuarantineReason::multiplier_changed && state.ratio && state.ratio->other)
        row.serial = format_fraction(*state.ratio->other);
    meter.quarantine = row;
    touch_meter(context, index);
    if (meter.account) {
        AccountRuntime& account = context.world.accounts[*meter.account];
        reprice(context, *meter.account, Mover::drift);
        row.held = account.balance - account.provisional;
    }
    if (context.writable) {
        row.id = context.store.put_quarantine(row);
        log_meter(context, meter, "meter.quarantined", row.reason, [&](JsonWriter& body) {
            body.field("quarantine", std::to_string(row.id))
                .field("register", format(row.register_value))
                .field("held", format(row.held))
                .field_if("mark", row.serial);
        });
    }
    meter.quarantine = row;
}

void resolve_quarantine(Context& context, std::size_t index) {
    MeterRuntime& meter = context.world.meters[index];
    if (!meter.quarantine) return;
    close_row(context, meter, QuarantineRow::State::rejected, "");
    log_meter(context, meter, "meter.quarantine_resolved",
              "later samples confirmed against the old baseline", [&](JsonWriter& body) {
                  body.field("quarantine", std::to_string(meter.quarantine->id));
              });
    forget_row(context, index);
}

void follow_held(Context& context, std::size_t index) {
    MeterRuntime& meter = context.world.meters[index];
    if (!meter.quarantine) return;
    const std::optional<Milli> held = meter.state.held_total();
    const auto reason = parse_quarantine_reason(meter.quarantine->reason);
    if (!held || !reason) return;
    const Milli total = total_if_released(meter, *reason, *held);
    if (total == meter.quarantine->total) return;
    meter.quarantine->total = total;
    if (meter.account) context.repriced.insert(*meter.account);
}

void count_rejected(Context& context, std::size_t index, int values) {
    if (values <= 0) return;
    context.world.meters[index].rejected += static_cast<std::uint64_t>(values);
    context.dirty_meters.insert(index);
}

void answer_quarantine(Context& context, std::size_t index, const std::string& by,
                       const std::string& why) {
    MeterRuntime& meter = context.world.meters[index];
    if (!meter.quarantine) return;
    close_row(context, meter, QuarantineRow::State::rejected, by);
    log_meter(context, meter, "meter.quarantine_rejected", why, [&](JsonWriter& body) {
        body.field("quarantine", std::to_string(meter.quarantine->id))
            .field("by", by)
            .field("authenticated", context.vouched(by));
    });
    forget_row(context, index);
}

Reply settle_quarantine(Context& context, const SettleQuarantine& command) {
    Reply reply;
    check_staff(context, reply, "/by", command.by);
    check_reason(reply, command.reason);
    if (is_refused(reply)) return reply;
    const Found found = find_open(context, command);
    if (!found.meter) return found.reply;
    const std::size_t index = *found.meter;
    const std::int64_t id = context.world.meters[index].quarantine->id;
    if (command.release) {
        Reply refused = release_open(context, index, command);
        if (!refused.type.empty()) return refused;
        forget_row(context, index);
    } else {
        MeterRuntime& meter = context.world.meters[index];
        count_rejected(context, index, std::max(1, meter.state.doubts));
        reject(meter.state);
        answer_quarantine(context, index, command.by, command.reason);
    }
    const MeterRuntime& meter = context.world.meters[index];
    if (meter.account) reprice(context, *meter.account, Mover::drift);
    const auto row = context.store.find_quarantine(id);
    GH_ASSERT(row.has_value());
    reply.json = settled_json(context, meter, *row);
    context.urgent = true;
    return reply;
}

}  // namespace gatehouse
