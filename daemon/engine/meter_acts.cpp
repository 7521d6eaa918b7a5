#include "daemon/engine/meter_acts.hpp"

#include <utility>

#include "daemon/engine/command_desk.hpp"

namespace gatehouse {
namespace {

constexpr std::size_t kTextMax = 1'000;

}  // namespace

void touch_meter(Context& context, std::size_t index) {
    ++context.world.meters[index].state_version;
    context.dirty_meters.insert(index);
}

std::uint64_t log_meter(Context& context, const MeterRuntime& meter, const std::string& kind,
                        const std::string& reason, const std::function<void(JsonWriter&)>& more) {
    if (!context.writable) return 0;
    JsonWriter subject, body;
    subject.begin_object().field("meter", meter.row->meter).end_object();
    body.begin_object()
        .field("meter", meter.row->meter)
        .field_if("unit", meter.row->unit)
        .field_if("bus", meter.row->bus)
        .field_if("reason", reason);
    if (more) more(body);
    body.field("at", context.iso(context.now_ms())).end_object();
    std::vector<std::string> about{"meter:" + meter.row->meter};
    if (!meter.row->unit.empty()) about.push_back("unit:" + meter.row->unit);
    return log_event(context, kind, subject.take(), body.take(), std::move(about));
}

void check_staff(const Context& context, Reply& reply, const char* pointer,
                 const std::string& staff) {
    const std::string name = pointer + 1;
    const auto found = context.world.staff.find(staff);
    if (staff.empty()) {
        reply.errors.push_back({pointer, "`" + name + "` is missing: name one of staff.csv"});
    } else if (found == context.world.staff.end()) {
        reply.errors.push_back({pointer, "`" + staff + "` is nobody in staff.csv"});
    } else if (const auto& until = found->second->active_to;
               until && context.clock.trusted() && *until < context.day_of(context.now_ms())) {
        reply.errors.push_back(
            {pointer, "`" + staff + "` left on " + format_date(*until) + " (staff.csv)"});
    }
}

void check_two(const Context& context, Reply& reply, const std::string& by,
               const std::string& second) {
    check_staff(context, reply, "/by", by);
    check_staff(context, reply, "/second", second);
    if (!by.empty() && by == second)
        reply.errors.push_back(
            {"/second", "`" + second + "` is the same person as by; two different ones must look"});
}

// Blanks say nothing.
void check_reason(Reply& reply, const std::string& reason) {
    if (reason.find_first_not_of(" \t\r\n") == std::string::npos)
        reply.errors.push_back({"/reason", "is missing: say why in a few words"});
    else if (reason.size() > kTextMax)
        reply.errors.push_back({"/reason", "longer than 1,000 bytes; shorten it"});
}

std::optional<TypedFace> check_face(Reply& reply, const char* pointer, const std::string& text,
                                    const MeterRuntime& meter) {
    const auto face = parse_rational(text);
    const auto tolerance = typed_tolerance(text, meter.terms.traits->step);
    if (face && face->numerator >= 0 && tolerance) return TypedFace{*face, *tolerance};
    reply.errors.push_back(
        {pointer, "`" + text + "` is no register; write it as the face shows it, such as 1234.5"});
    return std::nullopt;
}

TypedTime check_time(const Context& context, Reply& reply, const std::string& text) {
    TypedTime at;
    at.time = {context.run, context.now.mono_ms, context.clock.trusted_time(context.now.mono_ms)};
    if (text.empty()) return at;
    const auto typed = parse_iso8601(text, context.zone);
    if (!typed) {
        reply.errors.push_back(
            {"/at", "`" + text + "` is no ISO 8601 time such as 2026-11-23T20:15:00+08:00"});
    } else if (!at.time.trusted_utc_ms) {
        reply.errors.push_back({"/at",
                                "the clock is not trusted, so a typed time cannot be "
                                "compared; confirm the clock or leave `at` out"});
    } else if (*typed > *at.time.trusted_utc_ms) {
        reply.errors.push_back({"/at", "`" + text + "` lies in the future; it is " +
                                           context.iso(*at.time.trusted_utc_ms)});
    } else {
        at.typed = typed;
        at.time.mono_ms -= *at.time.trusted_utc_ms - *typed;
        at.time.trusted_utc_ms = typed;
    }
    return at;
}

void follow_last(const Context& context, const MeterRuntime& meter, TypedTime& at) {
    if (!meter.last || !at.typed) return;
    const std::optional<UtcMs> last = context.trusted(*meter.last);
    if (!last || *at.typed > *last || *last - *at.typed > kTypedMs) return;
    at.typed = *last + 1;
    at.time.trusted_utc_ms = at.typed;
    at.time.mono_ms = context.now.mono_ms;
}

bool is_too_early(const Context& context, const MeterRuntime& meter, const TypedTime& at) {
    if (!meter.last || !at.typed) return false;
    const std::optional<UtcMs> last = context.trusted(*meter.last);
    return last && *at.typed <= *last;
}

bool is_refused(Reply& reply) {
    if (reply.errors.empty()) return false;
    reply.kind = ReplyKind::invalid;
    if (reply.type.empty()) reply.type = "invalid";
    const FieldError& first = reply.errors.front();
    reply.detail = first.pointer + " " + first.message;
    return true;
}

Reply wrong_field(const char* pointer, const char* type, std::string message) {
    Reply reply;
    reply.errors.push_back({pointer, std::move(message)});
    reply.type = type;
    static_cast<void>(is_refused(reply));
    return reply;
}

Reply no_such_meter(const std::string& meter) {
    return refusal(ReplyKind::not_found, "not-found", "no meter has the id `" + meter + "`");
}

void account_fields(JsonWriter& json, const Context& context, const MeterRuntime& meter) {
    if (!meter.account) return;
    const AccountRuntime& account = context.world.accounts[*meter.account];
    json.field("account", account.row->account)
        .field("balance", format(account.balance))
        .field("provisional", format(account.provisional))
        .field("currency", context.options.currency);
}

}  // namespace gatehouse
