#include "daemon/engine/key_desk.hpp"

#include <string_view>

#include "daemon/engine/act_routes.hpp"
#include "daemon/engine/command_desk.hpp"

namespace gatehouse {
namespace {

constexpr std::size_t kKeyMax = 128;

// One key is one act, of whatever kind: a program that counts its keys anew for each kind would
// else take money twice under one that it believes to be done.
std::optional<IdempotencyRow> find_key(const Context& context, const KeyedRequest& request) {
    if (auto own = context.store.idempotency(stored_key(request.route, request.key))) return own;
    for (const char* route : act_route::kAll) {
        if (std::string_view(route) == request.route) continue;
        if (auto other = context.store.idempotency(stored_key(route, request.key))) return other;
    }
    return std::nullopt;
}

}  // namespace

std::string cause_of(const KeyedRequest& request) {
    return std::string(request.route) + ":" + request.key;
}

std::optional<Reply> answered(Context& context, const KeyedRequest& request) {
    if (request.key.empty())
        return refusal(ReplyKind::bad_request, "idempotency-key-missing",
                       "the header Idempotency-Key is missing; draw one key for each act and "
                       "repeat it when you ask again");
    if (request.key.size() > kKeyMax)
        return refusal(ReplyKind::bad_request, "idempotency-key-invalid",
                       "the Idempotency-Key is longer than 128 bytes; a UUID is enough");
    const std::optional<IdempotencyRow> row = find_key(context, request);
    if (!row) return std::nullopt;
    if (row->body_hash != request.body_hash || row->route != request.route)
        return refusal(ReplyKind::key_reused, "idempotency-key-reused",
                       "the Idempotency-Key `" + request.key +
                           "` was used with another request; nothing was booked. Draw a new key "
                           "for a new act");
    Reply reply;
    reply.kind = ReplyKind::ok;
    reply.json = row->reply;
    return reply;
}

bool is_known(const Context& context, const KeyedRequest& request) {
    return !request.key.empty() &&
           context.store.idempotency(stored_key(request.route, request.key)).has_value();
}

void remember(Context& context, const KeyedRequest& request, const Reply& reply) {
    const bool fresh =
        context.store.add_idempotency({stored_key(request.route, request.key), request.route,
                                       request.body_hash, static_cast<int>(reply.kind), reply.json},
                                      context.now);
    GH_ASSERT(fresh);
    context.urgent = true;
}

}  // namespace gatehouse
