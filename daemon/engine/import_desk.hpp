// The import desk: takes a registry folder's bytes, has them parsed, merged and checked, refuses
// what the books forbid, and makes the registry's changes an edge (CONTRACT.md 3). All or nothing.
// Engine thread only.
#pragma once

#include <optional>

#include "daemon/engine/settling_desk.hpp"
#include "daemon/engine/world.hpp"

namespace gatehouse {

// A version whose first day has passed changes what was charged: that is looked at first.
[[nodiscard]] LateJudged import_registry(Context& context, const ImportRegistry& command);

// Opens the books of accounts that have none yet: where their days begin, and their opening.
// After an import, and after a start whose clock was not trusted then.
// `since`: the day on which those that have none yet began, where that is not today.
void open_accounts(Context& context, std::optional<LocalDate> since = std::nullopt);

// A card as the registry keeps it: "hmac256:<hex>" over "format:value" with the site's own key.
[[nodiscard]] std::string hashed_card(Context& context, const std::string& card);

}  // namespace gatehouse
