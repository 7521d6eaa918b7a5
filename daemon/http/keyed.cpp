#include "daemon/http/keyed.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "daemon/engine/json_writer.hpp"

namespace gatehouse::http {

namespace {

constexpr std::size_t kKeyMax = 128;

Response busy() {
    return problem(503, "busy",
                   "The engine takes nothing more at the moment; nothing was booked. "
                   "Ask again in a second with the same Idempotency-Key.");
}

[[noreturn]] void in_progress() {
    throw Refused{problem(409, "in-progress",
                          "A request with this Idempotency-Key is in progress; ask again in a "
                          "second with the same key and body.")};
}

}  // namespace

std::string idempotency_key(const Request& request) {
    if (!request.idempotency_key || request.idempotency_key->empty()) {
        throw Refused{problem(400, "idempotency-key",
                              "The header Idempotency-Key is missing. Draw one for each payment "
                              "or act, and send the same one when asking again.")};
    }
    const std::string& key = *request.idempotency_key;
    bool printable = key.size() <= kKeyMax;
    for (const char c : key) printable = printable && c > 0x20 && c < 0x7F;
    if (!printable) {
        throw Refused{problem(400, "idempotency-key",
                              "The header Idempotency-Key is longer than 128 characters, or has "
                              "others in it than visible ASCII without blanks.")};
    }
    return key;
}

std::string fields_hash(std::initializer_list<std::string_view> fields) {
    JsonWriter json;
    json.begin_array();
    for (const std::string_view field : fields) json.value(field);
    json.end_array();
    return sha256_hex(json.take());
}

bool is_answered(const Call& call, const char* route) {
    const std::string key = idempotency_key(call.request);
    if (call.app.keys->holds(stored_key(route, key))) in_progress();
    const auto reader = call.app.readers.take();
    return std::any_of(
        std::begin(act_route::kAll), std::end(act_route::kAll),
        [&](const char* one) { return reader->idempotency(stored_key(one, key)).has_value(); });
}

KeyInProgress::KeyInProgress(Call& call, const char* route, const std::string& key)
    : keys_(call.app.keys), key_(stored_key(route, key)) {
    if (!keys_->enter(key_)) in_progress();
}

void KeyInProgress::submit(EnginePort& engine, Command command, const Respond& respond) const {
    const bool taken = engine.submit(std::move(command), [respond, left = *this](Reply reply) {
        left.keys_->leave(left.key_);
        respond(to_response(std::move(reply)));
    });
    if (taken) return;
    keys_->leave(key_);
    respond(busy());
}

}  // namespace gatehouse::http
