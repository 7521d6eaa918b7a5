// One act: its body read strictly into a command, and the command handed to the engine, whose reply
// becomes the answer. For every route that does no more than that. The io_context thread.
#pragma once

#include <utility>

#include "daemon/http/body.hpp"
#include "daemon/http/params.hpp"

namespace gatehouse::http {

// `fill(body, act)` asks the body for every field that the act has.
template <class Act, class Fill>
void submit_act(Call& call, Respond respond, Fill fill) {
    Query(call.request).finish();
    Body body(call.request.body, call.app.options.limits.json_depth);
    Act act;
    act.actor = call.actor;
    fill(body, act);
    body.finish();
    submit(call, std::move(act), std::move(respond));
}

}  // namespace gatehouse::http
