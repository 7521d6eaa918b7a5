#include "daemon/engine/people_desk.hpp"

#include <charconv>

#include "daemon/engine/command_desk.hpp"
#include "daemon/engine/json_writer.hpp"
#include "daemon/engine/meter_acts.hpp"
#include "daemon/engine/row_documents.hpp"
#include "daemon/store/key_books.hpp"

namespace gatehouse {
namespace {

std::string subject_of(const char* name, const std::string& id) {
    JsonWriter json;
    json.begin_object().field(name, id).end_object();
    return json.take();
}

std::optional<std::int64_t> number_of(const std::string& text) {
    std::int64_t number = 0;
    const char* end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), end, number);
    return error == std::errc() && at == end ? std::optional(number) : std::nullopt;
}

Reply access_reply(const Context& context, const AccessRow& row, ReplyKind kind) {
    Reply reply;
    reply.kind = kind;
    reply.json = access_json(row, context.zone);
    return reply;
}

}  // namespace

Reply set_password(Context& context, const SetPassword& command) {
    if (!context.world.staff.contains(command.staff))
        return refusal(ReplyKind::not_found, "not-found",
                       "no staff has the id `" + command.staff + "`; staff.csv names them");
    context.store.put_password({command.staff, command.hash, context.now_ms()});
    JsonWriter body;
    body.begin_object()
        .field("staff", command.staff)
        .field("by", command.actor)
        .field("at", context.iso(context.now_ms()))
        .end_object();
    Reply reply;
    reply.json = body.take();
    log_event(context, command.hash.empty() ? "staff.password_removed" : "staff.password_set",
              subject_of("staff", command.staff), std::string(reply.json));
    return reply;
}

Reply note_view(Context& context, const NoteView& command) {
    ViewRow row;
    row.actor = command.actor;
    row.unit = command.unit;
    row.what = command.revealed.empty() ? "file" : command.revealed;
    row.reason = command.reason;
    context.store.add_view(row, context.now);
    JsonWriter body;
    body.begin_object()
        .field("unit", command.unit)
        .field("who", command.actor)
        .field("what", row.what)
        .field("reason", command.reason)
        .field("at", context.iso(context.now_ms()))
        .end_object();
    if (command.unit.empty())
        log_event(context, "people.exported", "{}", body.take());
    else
        log_event(context, "file.viewed", subject_of("unit", command.unit), body.take(),
                  {"unit:" + command.unit});
    Reply reply;
    reply.json = "{}";
    return reply;
}

Reply ask_access(Context& context, const AskAccess& command) {
    Reply reply;
    check_staff(context, reply, "/by", command.staff);
    check_reason(reply, command.reason);
    if (!context.world.units.contains(command.unit))
        return refusal(ReplyKind::not_found, "not-found",
                       "no unit `" + command.unit + "` stands in the registry");
    if (command.hours < 1 || command.hours > kAccessHoursMax)
        reply.errors.push_back({"/hours", "between 1 and " + std::to_string(kAccessHoursMax)});
    if (is_refused(reply)) return reply;
    if (context.store.count_asked(command.staff) >= kAccessAskedMax)
        return refusal(ReplyKind::conflict, "access-asked",
                       "for " + command.staff + " " + std::to_string(kAccessAskedMax) +
                           " questions wait for the head already");
    AccessRow row;
    row.staff = command.staff;
    row.unit = command.unit;
    row.reason = command.reason;
    row.hours = command.hours;
    row.asked_at = context.now_ms();
    row.id = context.store.put_access(row);
    reply = access_reply(context, row, ReplyKind::created);
    log_event(context, "file.access_asked", subject_of("unit", row.unit), std::string(reply.json),
              {"unit:" + row.unit});
    return reply;
}

Reply answer_access(Context& context, const AnswerAccess& command) {
    const std::optional<std::int64_t> id = number_of(command.id);
    std::optional<AccessRow> row = id ? context.store.find_access(*id) : std::nullopt;
    if (!row)
        return refusal(ReplyKind::not_found, "not-found",
                       "no question has the id `" + command.id + "`");
    Reply reply;
    check_staff(context, reply, "/by", command.by);
    if (command.by == row->staff)
        reply.errors.push_back({"/by", command.by + " asked for it; another one decides"});
    if (is_refused(reply)) return reply;
    if (row->state != AccessRow::State::asked)
        return refusal(ReplyKind::conflict, "access-answered",
                       "it was " + std::string(to_string(row->state)) + " by " + row->answered_by +
                           " already");
    row->state = command.grant ? AccessRow::State::granted : AccessRow::State::refused;
    row->answered_by = command.by;
    row->answer = command.reason;
    if (command.grant) row->expires_at = context.now_ms() + std::int64_t{row->hours} * 3'600'000;
    context.store.put_access(*row);
    reply = access_reply(context, *row, ReplyKind::ok);
    log_event(context, command.grant ? "file.access_granted" : "file.access_refused",
              subject_of("unit", row->unit), std::string(reply.json), {"unit:" + row->unit});
    return reply;
}

// Keys come back before somebody leaves; a date that stands already is not asked again, since the
// alert about it does.
std::string leaver_fault(Context& context, const Staff& staff) {
    if (!staff.active_to || !context.clock.trusted()) return {};
    if (*staff.active_to >= context.day_of(context.now_ms())) return {};
    const auto known = context.world.staff.find(staff.staff);
    if (known == context.world.staff.end() || known->second->active_to == staff.active_to)
        return {};
    const std::string key = context.store.key_books().key_held_by(staff.staff);
    if (key.empty()) return {};
    return "`" + staff.staff + "` has the key " + key +
           ": write its return or its hand-over down first";
}

}  // namespace gatehouse
