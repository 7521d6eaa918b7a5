// What staff do at a meter: readings by eye, replacements, holds, and what is held.
#include <utility>

#include "daemon/http/act.hpp"

namespace gatehouse::http {

namespace {

constexpr std::int64_t kSeqMax = std::int64_t{1} << 53;  // what JSON numbers hold exactly

void settle(Call& call, bool release, Respond respond) {
    submit_act<SettleQuarantine>(call, std::move(respond), [&](Body& body, SettleQuarantine& act) {
        act.id = call.params[0];
        act.by = by_of(call, body);
        act.reason = body.required_text("reason");
        act.release = release;
    });
}

void hold_or_not(Call& call, bool hold, Respond respond) {
    submit_act<HoldMeter>(call, std::move(respond), [&](Body& body, HoldMeter& act) {
        act.meter = call.params[0];
        act.by = call.person.empty() ? body.text("by") : by_of(call, body);
        act.reason = body.text("reason");
        act.hold = hold;
    });
}

}  // namespace

void post_meter_reading(Call& call, Respond respond) {
    Query query(call.request);
    ReadFace act;
    act.dry_run = query.flag("dry_run");
    query.finish();
    Body body(call.request.body, call.app.options.limits.json_depth);
    act.actor = call.actor;
    act.meter = call.params[0];
    act.register_value = body.required_decimal("register");
    act.at = body.text("at");
    if (act.dry_run) {
        // Who looks signs nothing; a code that somebody agreed with is kept for the act.
        for (const char* name : {"by", "second", "approval"}) static_cast<void>(body.text(name));
    } else {
        const Signed people = two_of(call, body);
        act.by = people.by;
        act.second = people.second;
        act.actor = people.actor;
    }
    act.photo = body.text("photo");
    act.supersedes = static_cast<std::uint64_t>(body.integer("supersedes", 1, kSeqMax).value_or(0));
    act.reason = body.text("reason");
    body.finish();
    if (act.dry_run && act.supersedes == 0)
        throw Refused{problem(422, "invalid",
                              "Only a correction can be looked at first: name the stored reading "
                              "that was wrong in supersedes, or leave out dry_run.",
                              {{"/supersedes", "is missing"}})};
    if (act.supersedes != 0) act.around = call.app.readers.take()->around(act.supersedes);
    submit(call, std::move(act), std::move(respond));
}

void post_meter_confirm(Call& call, Respond respond) {
    submit_act<ConfirmFace>(call, std::move(respond), [&](Body& body, ConfirmFace& act) {
        act.meter = call.params[0];
        act.register_value = body.required_decimal("register");
        act.by = by_of(call, body);
    });
}

void post_replacement(Call& call, Respond respond) {
    submit_act<ReplaceMeter>(call, std::move(respond), [&](Body& body, ReplaceMeter& act) {
        act.meter = call.params[0];
        act.at = body.text("at");
        act.old_final = body.required_decimal("old_final");
        act.new_serial = body.required_text("new_serial");
        act.new_opening = body.required_decimal("new_opening");
        act.new_address = body.number_text("new_address");
        const Signed people = two_of(call, body);
        act.by = people.by;
        act.second = people.second;
        act.actor = people.actor;
    });
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
