// Documents of what the store keeps: events, readings, entries, `why`, quarantine, tokens, as the
// items of CONTRACT.md 5. Pure functions from the reader's values to JSON text; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/time.hpp"
#include "daemon/engine/snapshot.hpp"
#include "daemon/store/reader.hpp"

namespace gatehouse {

// A removed body reads null, and `removed` says why.
[[nodiscard]] std::string event_json(const StoredEvent& event, const Zone& zone);

[[nodiscard]] std::string reading_json(const StoredReading& reading, const Zone& zone);

[[nodiscard]] std::string entry_json(const StoredEntry& entry, const Zone& zone);

// Adds what the account's meters used since the last posting to the lines that it will be posted
// to. False, with the material half changed: snapshot and rows are not of one moment, ask again.
[[nodiscard]] bool add_pending(
    WhyMaterial& material, const AccountView& account, std::string_view month,
    const std::function<std::optional<StoredReading>(std::uint64_t)>& reading);

// Every fen of the balance: lines down to the words on the wire, entries, and what is not posted
// yet. `account` and `material` are of one moment: account.ledger == material.ledger. The registry
// says where the prices were published.
[[nodiscard]] std::string why_json(const AccountView& account, const WhyMaterial& material,
                                   std::string_view month, std::string_view currency,
                                   const Registry& registry, const Zone& zone);

[[nodiscard]] std::string quarantine_json(const QuarantineRow& row, const RunTimes::Time& at,
                                          const Zone& zone);

// A look into a household's file that was asked for.
[[nodiscard]] std::string access_json(const AccessRow& row, const Zone& zone);

// Never the secret and never its hash.
[[nodiscard]] std::string token_json(const TokenRow& token, const Zone& zone);

// Words as hex, as they stood on the wire: "0001 86a0".
[[nodiscard]] std::string raw_words(const std::vector<std::uint16_t>& words);

}  // namespace gatehouse
