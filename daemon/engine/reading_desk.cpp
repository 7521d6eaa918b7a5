#include "daemon/engine/reading_desk.hpp"

#include <algorithm>
#include <utility>

#include "daemon/engine/account_book.hpp"
#include "daemon/engine/command_desk.hpp"
#include "daemon/engine/meter_acts.hpp"
#include "daemon/engine/meter_book.hpp"
#include "daemon/engine/quarantine_desk.hpp"

namespace gatehouse {
namespace {

constexpr std::size_t kPhotoMax = 256;

ManualReadingRow row_of(const Context& context, const MeterRuntime& meter, const ReadFace& command,
                        const TypedTime& at) {
    ManualReadingRow row;
    row.meter = meter.row->meter;
    row.epoch = meter.epoch ? meter.epoch->id : 0;
    row.at = context.now;
    row.read_at = at.typed.value_or(context.now_ms());
    row.register_value = command.register_value;
    row.by = command.by;
    row.second = command.second;
    row.photo = command.photo;
    return row;
}

std::string face_json(const Context& context, const MeterRuntime& meter,
                      const ManualReadingRow& row) {
    JsonWriter json;
    json.begin_object()
        .field("meter", row.meter)
        .field("state", row.state == ManualReadingRow::State::confirmed ? "confirmed"
                        : row.state == ManualReadingRow::State::waiting ? "held"
                                                                        : "rejected")
        .field("register", row.register_value);
    if (row.reading != 0) json.field("reading", row.reading).field("quality", "manual");
    if (row.quarantine != 0) json.field("quarantine", std::to_string(row.quarantine));
    if (row.state == ManualReadingRow::State::waiting && meter.quarantine)
        json.field("reason", meter.quarantine->reason).field("detail", meter.reason);
    if (meter.last) json.field("total", format(meter.last->total));
    json.field("at", context.iso(row.read_at)).field("by", row.by).field("second", row.second);
    json.field_if("photo", row.photo);
    account_fields(json, context, meter);
    json.end_object();
    return json.take();
}

// Asked again after the answer was lost: the same reading is not taken twice.
std::optional<Reply> earlier(Context& context, const MeterRuntime& meter, const ReadFace& command,
                             const TypedTime& at) {
    const auto row = context.store.newest_manual_reading(meter.row->meter, false);
    if (!row || !at.typed || row->read_at != *at.typed ||
        row->register_value != command.register_value || row->by != command.by ||
        row->second != command.second)
        return std::nullopt;
    Reply reply;
    reply.json = face_json(context, meter, *row);
    return reply;
}

void log_face(Context& context, const MeterRuntime& meter, const ManualReadingRow& row,
              const char* kind) {
    log_meter(context, meter, kind, meter.quarantine ? meter.quarantine->reason : "",
              [&](JsonWriter& body) {
                  body.field("register", row.register_value)
                      .field("read_at", context.iso(row.read_at))
                      .field("by", row.by)
                      .field_if("second", row.second)
                      .field_if("photo", row.photo);
                  if (row.reading != 0) body.field("reading", row.reading);
                  if (row.quarantine != 0) body.field("quarantine", std::to_string(row.quarantine));
                  body.field("authenticated", context.vouched(row.by, row.second));
              });
}

// What a face says, and what the books make of it.
struct Looked {
    std::size_t meter = 0;
    TypedTime at;
    MeterState judged;
    Verdict verdict;
};

std::optional<Reply> judge_typed(const MeterRuntime& meter, const Context& context,
                                 const TypedFace& typed, Looked& looked) {
    looked.judged = meter.state;
    const FaceReading reading{typed.face, typed.tolerance, context.now, looked.at.time};
    looked.verdict = judge_face(looked.judged, reading, meter.terms);
    const Verdict& verdict = looked.verdict;
    if (verdict.uncountable) return wrong_field("/register", "invalid", verdict.reason);
    if (verdict.held && !verdict.opened && !meter.quarantine)
        return refusal(ReplyKind::conflict, "clock", verdict.reason);
    if (verdict.held && meter.quarantine)
        return refusal(ReplyKind::conflict, "held-already",
                       verdict.reason + "; release or reject the reading " +
                           std::to_string(meter.quarantine->id) + " first (" +
                           meter.quarantine->reason + ")");
    return std::nullopt;
}

Reply take_face(Context& context, const ReadFace& command, Looked looked) {
    const std::size_t index = looked.meter;
    const TypedTime& at = looked.at;
    const Verdict& verdict = looked.verdict;
    MeterRuntime& meter = context.world.meters[index];
    meter.state = std::move(looked.judged);
    ManualReadingRow row = row_of(context, meter, command, at);
    if (verdict.opened) {
        open_quarantine(context, index, *verdict.opened);
        meter.reason = verdict.reason;
        row.state = ManualReadingRow::State::waiting;
        row.quarantine = meter.quarantine->id;
    } else {
        Taking taking{ReadingKind::manual, ReadingQuality::manual, at.typed, true};
        for (const Confirmed& confirmed : verdict.confirmed)
            row.reading = take_confirmed(context, index, confirmed, taking);
        row.epoch = meter.epoch->id;
        answer_quarantine(context, index, command.by, "a reading by eye agrees with the books");
        count_rejected(context, index, verdict.rejected);
    }
    row.id = context.store.put_manual_reading(row);
    log_face(context, meter, row, "meter.read_by_eye");
    touch_meter(context, index);
    if (meter.account) reprice(context, *meter.account, Mover::drift);
    context.urgent = true;
    Reply reply;
    reply.kind = ReplyKind::created;
    reply.json = face_json(context, meter, row);
    return reply;
}

std::string confirm_json(const MeterRuntime& meter) {
    JsonWriter json;
    json.begin_object()
        .field("meter", meter.row->meter)
        .field("profile", meter.row->profile)
        .field("confirmed", true)
        .end_object();
    return json.take();
}

// The face was read within moments of the newest sample: it agrees where it lies within its own
// tolerance below that, and no further above than physics lets through since.
bool agrees(const Context& context, const MeterRuntime& meter, const TypedFace& typed) {
    MeterState newest;
    newest.baseline.emplace();
    newest.baseline->exact = *meter.newest_face;
    newest.baseline->tolerance = typed.tolerance;
    newest.baseline->time = newest.baseline->moved_at = *meter.newest_time;
    ReadValue value;
    value.exact = typed.face;
    value.at = context.now;
    value.time = {context.run, context.now.mono_ms,
                  context.clock.trusted_time(context.now.mono_ms)};
    // What the last place of the dial hides may lie above as well.
    if (const auto lower = subtract(typed.face, typed.tolerance);
        lower && compare(*lower, *meter.newest_face) <= 0 &&
        compare(typed.face, *meter.newest_face) >= 0)
        return true;
    return fits(newest, value, meter.terms);
}

// The answer where there is one already: a refusal, or what the same reading was taken for. Changes
// nothing.
std::optional<Reply> look_at(Context& context, const ReadFace& command, Looked& looked) {
    const auto found = context.world.meter_index.find(command.meter);
    if (found == context.world.meter_index.end()) return no_such_meter(command.meter);
    looked.meter = found->second;
    const MeterRuntime& meter = context.world.meters[found->second];
    Reply reply;
    check_two(context, reply, command.by, command.second);
    const auto typed = check_face(reply, "/register", command.register_value, meter);
    TypedTime& at = looked.at = check_time(context, reply, command.at);
    if (command.photo.size() > kPhotoMax)
        reply.errors.push_back({"/photo", "longer than 256 bytes; name the picture"});
    if (is_refused(reply)) return reply;
    if (auto before = earlier(context, meter, command, at)) return *std::move(before);
    if (meter.row->status != MeterStatus::active)
        return refusal(ReplyKind::conflict, "not-active",
                       "the meter " + command.meter + " is " + to_string(meter.row->status) +
                           " in meters.csv; nothing is read there");
    follow_last(context, meter, at);
    if (is_too_early(context, meter, at)) {
        return wrong_field("/at", "not-later",
                           "the last confirmed reading is of " +
                               context.iso(context.best(*meter.last)) + " (register " +
                               format(meter.last->register_value) +
                               "); a reading not later than that moves nothing: to correct what "
                               "stands before, name "
                               "the row that was wrong (supersedes)");
    }
    return judge_typed(meter, context, *typed, looked);
}

}  // namespace

Reply read_face(Context& context, const ReadFace& command) {
    Looked looked;
    if (auto answered = look_at(context, command, looked)) return *std::move(answered);
    return take_face(context, command, std::move(looked));
}

std::optional<Reply> refuse_face(Context& context, const ReadFace& command) {
    Looked looked;
    auto answered = look_at(context, command, looked);
    return answered && answered->kind == ReplyKind::ok ? std::nullopt : answered;
}

FaceLook look_at_face(Context& context, const ReadFace& command) {
    Looked looked;
    if (const auto answered = look_at(context, command, looked))
        return answered->kind == ReplyKind::ok
                   ? FaceLook{FaceLook::Fit::known, ""}
                   : FaceLook{FaceLook::Fit::contradicts, answered->type};
    if (!looked.verdict.opened) return {};
    return {FaceLook::Fit::contradicts, to_string(looked.verdict.opened->reason)};
}

Reply confirm_face(Context& context, const ConfirmFace& command) {
    const auto found = context.world.meter_index.find(command.meter);
    if (found == context.world.meter_index.end()) return no_such_meter(command.meter);
    MeterRuntime& meter = context.world.meters[found->second];
    Reply reply;
    check_staff(context, reply, "/by", command.by);
    const auto typed = check_face(reply, "/register", command.register_value, meter);
    if (is_refused(reply)) return reply;
    if (meter.terms.traits->status != MapStatus::conflict || !meter.profile->traits)
        return refusal(
            ReplyKind::conflict, "not-in-conflict",
            "the profile of " + command.meter + " is not in conflict: there is nothing to confirm");
    if (meter.state.face_confirmed) {
        reply.json = confirm_json(meter);
        return reply;
    }
    if (!meter.newest_face)
        return refusal(ReplyKind::conflict, "not-read-yet",
                       "the meter " + command.meter +
                           " was not read since the start: wait for a poll, then look again");
    if (!agrees(context, meter, *typed)) {
        const std::string read = format(round_to_milli(*meter.newest_face).value_or(Milli{}));
        return wrong_field("/register", "face-differs",
                           "the face shows " + command.register_value + " and the profile `" +
                               meter.row->profile + "` reads " + read +
                               ": it is the wrong one of the maps; name another profile in "
                               "meters.csv");
    }
    ReadFace face;
    face.register_value = command.register_value;
    face.by = command.by;
    ManualReadingRow row = row_of(context, meter, face, {});
    row.profile = meter.row->profile;
    row.id = context.store.put_manual_reading(row);
    reject(meter.state);
    meter.state.face_confirmed = true;
    log_face(context, meter, row, "meter.face_confirmed");
    answer_quarantine(context, found->second, command.by, "the face agrees with the profile");
    if (context.poller != nullptr) context.poller->poll_soon(meter.row->meter);
    touch_meter(context, found->second);
    context.urgent = true;
    reply.json = confirm_json(meter);
    return reply;
}

Reply hold_meter(Context& context, const HoldMeter& command) {
    const auto found = context.world.meter_index.find(command.meter);
    if (found == context.world.meter_index.end()) return no_such_meter(command.meter);
    MeterRuntime& meter = context.world.meters[found->second];
    Reply reply;
    if (!command.by.empty()) check_staff(context, reply, "/by", command.by);
    if (!command.reason.empty()) check_reason(reply, command.reason);
    if (is_refused(reply)) return reply;
    if (meter.hold.has_value() != command.hold) {
        const std::string by = command.by.empty() ? command.actor : command.by;
        const std::uint64_t event =
            log_meter(context, meter, command.hold ? "meter.held" : "meter.unheld", command.reason,
                      [&](JsonWriter& body) {
                          body.field("by", by).field("authenticated", context.vouched(by));
                      });
        // No poll will bring back what a power cut takes while it is held.
        if (command.hold) keep_last(context, found->second);
        HoldRow row = meter.hold.value_or(HoldRow{meter.row->meter, by, event, 0});
        if (!command.hold) row.until = event;
        context.store.put_hold(row);
        meter.hold = command.hold ? std::optional(row) : std::nullopt;
        meter.reason = command.hold ? "held by staff" : "";
        touch_meter(context, found->second);
        if (meter.account) reprice(context, *meter.account, Mover::drift);
        if (!command.hold && context.poller != nullptr && !meter.row->bus.empty())
            context.poller->poll_soon(meter.row->meter);
        context.urgent = true;
    }
    JsonWriter json;
    json.begin_object()
        .field("meter", meter.row->meter)
        .field("hold", meter.hold.has_value())
        .field_if("by", meter.hold ? meter.hold->by : "");
    account_fields(json, context, meter);
    json.end_object();
    reply.json = json.take();
    return reply;
}

}  // namespace gatehouse
