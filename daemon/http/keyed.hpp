// Requests that are done once under their Idempotency-Key: reading the header, telling two bodies
// apart, and refusing the second of two while the first is in progress. What was done before the
// engine knows. Handlers alone; any thread.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "daemon/engine/act_routes.hpp"
#include "daemon/http/routes.hpp"

namespace gatehouse::http {

// Throws Refused with 400 where the header is missing or has a wrong form.
[[nodiscard]] std::string idempotency_key(const Request& request);

// Of the fields in the order given. Two bodies are the same where their fields are, whatever their
// order and blanks.
[[nodiscard]] std::string fields_hash(std::initializer_list<std::string_view> fields);

// Whether the books hold the request's key, of whatever act, so that the engine answers it as it
// was answered then, or refuses its second use. Throws Refused with 409 where the same request is
// in progress, and as idempotency_key().
[[nodiscard]] bool is_answered(const Call& call, const char* route);

// A key in progress until it is left. `route` is the act's word, of act_route.
// Throws Refused with 409 where the same one is in progress already.
class KeyInProgress {
  public:
    KeyInProgress(Call& call, const char* route, const std::string& key);
    // Hands the command to the engine; its reply becomes the answer, 503 where it takes nothing
    // more, and the key is left. From any thread.
    void submit(EnginePort& engine, Command command, const Respond& respond) const;

  private:
    std::shared_ptr<KeysInFlight> keys_;
    std::string key_;
};

}  // namespace gatehouse::http
