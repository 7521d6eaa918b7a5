// The key desk: one request under one Idempotency-Key is done once, and asking again gives the
// first answer byte for byte, over restarts as well. A key belongs to its route: two routes never
// meet. Only what was done is remembered; a refusal is not. Engine thread only.
#pragma once

#include <optional>
#include <string>

#include "daemon/engine/world.hpp"

namespace gatehouse {

// One request: its route's word ("topup", "refund"), and what the caller sent.
struct KeyedRequest {
    const char* route;
    const std::string& key;
    const std::string& body_hash;
};
[[nodiscard]] inline KeyedRequest keyed(const char* route, const Act& act) {
    return {route, act.idempotency_key, act.body_hash};
}
// As a ledger entry names it: "refund:<key>".
[[nodiscard]] std::string cause_of(const KeyedRequest& request);

// The answer where the request is answered already: it was done before, or its key is missing, too
// long, or was used with another body.
[[nodiscard]] std::optional<Reply> answered(Context& context, const KeyedRequest& request);
// Whether it was done before; a full disk does not hide a receipt.
[[nodiscard]] bool is_known(const Context& context, const KeyedRequest& request);
// Keeps the answer, in the transaction of what was done.
void remember(Context& context, const KeyedRequest& request, const Reply& reply);

}  // namespace gatehouse
