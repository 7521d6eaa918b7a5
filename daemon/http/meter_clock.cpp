// Setting a meter's own clock: the one thing that is ever written to a device, at a person's
// command. The log has the order before the wire sees it, and what came of it before the answer.
#include <boost/json/parse.hpp>
#include <string>
#include <utility>

#include "daemon/http/body.hpp"
#include "daemon/http/params.hpp"

namespace gatehouse::http {

namespace {

// What the three steps hand on. The references outlive them: the server stops before the engine
// and the buses do.
struct Order {
    EnginePort* engine;
    Commissioning* commissioning;
    std::string actor, meter, by;
    Respond respond;
};

Response setting_response(const Order& order, const ClockSetting& setting) {
    JsonWriter json;
    json.begin_object()
        .field("meter", order.meter)
        .field("done", setting.done)
        .field("by", order.by)
        .field_if("before", setting.before)
        .field_if("before_off_s", setting.before_off_s)
        .field_if("set_to", setting.set_to)
        .field_if("after", setting.after)
        .field_if("reason", setting.reason)
        .end_object();
    return json_response(json.take());
}

// The third step. What was done is told even where the log cannot take it now; it has the order.
void note(const Order& order, const ClockSetting& setting) {
    NoteMeterClock note;
    note.actor = order.actor;
    note.meter = order.meter;
    note.by = order.by;
    note.done = setting.done;
    note.before = setting.before;
    note.set_to = setting.set_to;
    note.after = setting.after;
    note.reason = setting.reason;
    const bool taken = order.engine->submit(std::move(note), [order, setting](const Reply&) {
        order.respond(setting_response(order, setting));
    });
    if (!taken) order.respond(setting_response(order, setting));
}

// The second step, once the order is stored.
void carry_out(const Order& order, const std::string& stored) {
    boost::system::error_code error;
    const auto document = boost::json::parse(stored, error);
    const auto* offset =
        error || !document.is_object() ? nullptr : document.get_object().if_contains("offset_ms");
    std::string why = "the engine gave no time";
    const bool taken = offset != nullptr && offset->is_int64() &&
                       order.commissioning->set_clock(
                           order.meter, offset->get_int64(),
                           [order](const ClockSetting& setting) { note(order, setting); }, why);
    if (taken) return;
    ClockSetting failed;
    failed.reason = why;
    note(order, failed);
}

}  // namespace

void post_meter_clock(Call& call, Respond respond) {
    Query(call.request).finish();
    const MeterView& meter =
        find_row(call.snapshot->meters, call.params[0], &MeterView::meter, "meter");
    Body body(call.request.body, call.app.options.limits.json_depth);
    OrderMeterClock command;
    command.actor = call.actor;
    command.meter = meter.meter();
    command.by = by_of(call, body);
    body.finish();
    std::string why;
    if (meter.by_eye || !meter.enabled ||
        !call.app.commissioning.can_set_clock(meter.meter(), why)) {
        throw Refused{problem(422, "no-clock",
                              "The clock of meter " + meter.meter() + " cannot be set: " +
                                  (meter.by_eye    ? "it has no bus"
                                   : meter.enabled ? why
                                                   : meter.reason) +
                                  ".")};
    }
    Order order{&call.app.engine, &call.app.commissioning, command.actor, command.meter,
                command.by,       std::move(respond)};
    const bool taken = call.app.engine.submit(std::move(command), [order](Reply reply) {
        if (reply.kind != ReplyKind::ok) {
            order.respond(to_response(std::move(reply)));
            return;
        }
        carry_out(order, reply.json);
    });
    if (!taken) {
        throw Refused{problem(503, "busy", "The engine takes nothing now; ask again in a moment.")};
    }
}

}  // namespace gatehouse::http
