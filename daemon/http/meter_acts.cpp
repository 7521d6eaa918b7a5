// What staff do at a meter: readings by eye, replacements, holds, and what is held.
#include <utility>

#include "daemon/http/body.hpp"
#include "daemon/http/params.hpp"

namespace gatehouse::http {

namespace {

Body body_of(Call& call) {
    Query(call.request).finish();
    return {call.request.body, call.app.options.limits.json_depth};
}

void settle(Call& call, bool release, Respond respond) {
    Body body = body_of(call);
    SettleQuarantine settle;
    settle.actor = call.actor;
    settle.id = call.params[0];
    settle.by = body.required_text("by");
    settle.reason = body.required_text("reason");
    settle.release = release;
    body.finish();
    submit(call, std::move(settle), std::move(respond));
}

void hold_or_not(Call& call, bool hold, Respond respond) {
    Body body = body_of(call);
    HoldMeter command;
    command.actor = call.actor;
    command.meter = call.params[0];
    command.by = body.text("by");
    command.reason = body.text("reason");
    command.hold = hold;
    body.finish();
    submit(call, std::move(command), std::move(respond));
}

}  // namespace

void post_meter_reading(Call& call, Respond respond) {
    Body body = body_of(call);
    ReadFace face;
    face.actor = call.actor;
    face.meter = call.params[0];
    face.register_value = body.required_decimal("register");
    face.at = body.text("at");
    face.by = body.required_text("by");
    face.second = body.required_text("second");
    face.photo = body.text("photo");
    body.finish();
    submit(call, std::move(face), std::move(respond));
}

void post_meter_confirm(Call& call, Respond respond) {
    Body body = body_of(call);
    ConfirmFace face;
    face.actor = call.actor;
    face.meter = call.params[0];
    face.register_value = body.required_decimal("register");
    face.by = body.required_text("by");
    body.finish();
    submit(call, std::move(face), std::move(respond));
}

void post_replacement(Call& call, Respond respond) {
    Body body = body_of(call);
    ReplaceMeter replace;
    replace.actor = call.actor;
    replace.meter = call.params[0];
    replace.at = body.text("at");
    replace.old_final = body.required_decimal("old_final");
    replace.new_serial = body.required_text("new_serial");
    replace.new_opening = body.required_decimal("new_opening");
    replace.new_address = body.number_text("new_address");
    replace.by = body.required_text("by");
    replace.second = body.required_text("second");
    body.finish();
    submit(call, std::move(replace), std::move(respond));
}

void post_meter_hold(Call& call, Respond respond) {
    hold_or_not(call, /*hold=*/true, std::move(respond));
}

void post_meter_unhold(Call& call, Respond respond) {
    hold_or_not(call, /*hold=*/false, std::move(respond));
}

void post_release(Call& call, Respond respond) {
    settle(call, /*release=*/true, std::move(respond));
}

void post_reject(Call& call, Respond respond) {
    settle(call, /*release=*/false, std::move(respond));
}

}  // namespace gatehouse::http
