#include "daemon/http/keyed.hpp"

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

}  // namespace

std::string idempotency_key(const Request& request) {
    if (!request.idempotency_key || request.idempotency_key->empty()) {
        throw Refused{problem(400, "idempotency-key",
                              "The header Idempotency-Key is missing. Draw one for each payment "
                              "or act, and send the same one when asking again.",
                              {{"Idempotency-Key", "is missing"}})};
    }
    const std::string& key = *request.idempotency_key;
    bool printable = key.size() <= kKeyMax;
    for (const char c : key) printable = printable && c > 0x20 && c < 0x7F;
    if (!printable) {
        throw Refused{problem(400, "idempotency-key",
                              "The header Idempotency-Key is longer than 128 characters, or has "
                              "others in it than visible ASCII without blanks.",
                              {{"Idempotency-Key", "has a wrong form"}})};
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

KeyInProgress::KeyInProgress(Call& call, std::string_view route, const std::string& key)
    : keys_(call.app.keys), key_(route.empty() ? key : std::string(route) + " " + key) {
    if (keys_->enter(key_)) return;
    throw Refused{problem(409, "in-progress",
                          "A request with this Idempotency-Key is in progress; ask again in a "
                          "second with the same key and body.")};
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
