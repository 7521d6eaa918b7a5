// The body of an act that two people sign, read into its command. Handlers alone; one thread.
#pragma once

#include <string>

#include "daemon/http/body.hpp"
#include "daemon/http/keyed.hpp"
#include "daemon/http/params.hpp"

namespace gatehouse::http {

// Reads what every act carries, then what `fields` asks the body for; it returns the hash of those.
// The command's hash covers all of them and the subject, the path's id. Throws Refused.
template <class Command, class Fields>
[[nodiscard]] Command read_act(Call& call, Fields fields) {
    Query(call.request).finish();
    Command command;
    command.act.actor = call.actor;
    command.act.idempotency_key = idempotency_key(call.request);
    Body body(call.request.body, call.app.options.limits.json_depth);
    const Signed people = two_of(call, body);
    command.act.by = people.by;
    command.act.second = people.second;
    command.act.actor = people.actor;
    command.act.reason = body.required_text("reason");
    const std::string rest = fields(body, command);
    body.finish();
    command.act.body_hash =
        fields_hash({call.params[0], command.act.by, command.act.second, command.act.reason, rest});
    return command;
}

}  // namespace gatehouse::http
