// Setting a key cabinet's own clock at a person's command. The log has the order before the wire
// sees it, and what came of it before the answer.
#include <boost/json/parse.hpp>
#include <string>
#include <utility>

#include "daemon/http/body.hpp"
#include "daemon/http/params.hpp"
#include "daemon/http/room.hpp"

namespace gatehouse::http {

namespace {

// What the steps hand on. The references outlive them: the server stops before the engine and the
// cabinets do.
struct Order {
    EnginePort* engine;
    Commissioning* commissioning;
    std::string actor;
    CabinetClock clock;
    Respond respond;
};

std::optional<std::int64_t> seconds(const std::optional<std::int64_t>& ms) {
    return ms ? std::optional(*ms / 1'000) : std::nullopt;
}

Response setting_response(const Order& order) {
    const CabinetClock& clock = order.clock;
    JsonWriter json;
    json.begin_object()
        .field("cabinet", clock.cabinet)
        .field("done", clock.what == CabinetClock::What::set)
        .field("by", clock.by)
        .field_if("skew_before_s", seconds(clock.before_ms))
        .field_if("skew_after_s", seconds(clock.after_ms))
        .field_if("reason", clock.reason)
        .end_object();
    return json_response(json.take());
}

RoomCommand command_of(const Order& order) {
    RoomCommand command;
    command.actor = order.actor;
    command.work = std::make_shared<const RoomWork>(RoomWork{order.clock});
    return command;
}

// The third step. What was done is told even where the log cannot take it now; it has the order.
void note(Order order, const CabinetClockSetting& setting) {
    order.clock.what = setting.done ? CabinetClock::What::set : CabinetClock::What::failed;
    order.clock.before_ms = setting.before_ms;
    order.clock.after_ms = setting.after_ms;
    order.clock.reason = setting.reason;
    const bool taken = order.engine->submit(
        command_of(order), [order](const Reply&) { order.respond(setting_response(order)); });
    if (!taken) order.respond(setting_response(order));
}

// The second step, once the order is stored.
void carry_out(const Order& order, const std::string& stored) {
    boost::system::error_code error;
    const auto document = boost::json::parse(stored, error);
    const auto* offset =
        error || !document.is_object() ? nullptr : document.get_object().if_contains("offset_ms");
    std::string why = "the engine gave no time";
    const bool taken =
        offset != nullptr && offset->is_int64() &&
        order.commissioning->set_cabinet_clock(
            order.clock.cabinet, offset->get_int64(),
            [order](const CabinetClockSetting& setting) { note(order, setting); }, why);
    if (!taken) note(order, {false, {}, {}, why});
}

// Why that cabinet's clock cannot be set from here; empty: it can.
std::string refusal_of(Call& call, const CabinetView& cabinet) {
    if (cabinet.kind != "modbus")
        return "it pushes by " + cabinet.kind + " and is asked for nothing; set it at the cabinet";
    std::string why;
    static_cast<void>(call.app.commissioning.can_set_cabinet_clock(cabinet.cabinet, why));
    return why;
}

}  // namespace

void post_cabinet_clock(Call& call, Respond respond) {
    Query(call.request).finish();
    const auto board = board_of(call);
    const CabinetView& cabinet = find_cabinet(call, *board);
    Body body(call.request.body, call.app.options.limits.json_depth);
    Order order{&call.app.engine, &call.app.commissioning, call.actor, {}, std::move(respond)};
    order.clock.cabinet = cabinet.cabinet;
    order.clock.by = by_of(call, body);
    body.finish();
    if (const std::string why = refusal_of(call, cabinet); !why.empty())
        throw Refused{
            problem(422, "no-clock",
                    "The clock of cabinet " + cabinet.cabinet + " cannot be set: " + why + ".")};
    const bool taken = call.app.engine.submit(command_of(order), [order](Reply reply) {
        if (reply.kind != ReplyKind::ok) {
            order.respond(to_response(std::move(reply)));
            return;
        }
        carry_out(order, reply.json);
    });
    if (!taken)
        throw Refused{problem(503, "busy", "The engine takes nothing now; ask again in a moment.")};
}

}  // namespace gatehouse::http
