// The hash chains: SHA-256 through libsodium, the commitment to a body, and what a row of the
// event log and of the ledger covers. The texts hashed here are stored for ten years. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/core/time.hpp"

namespace gatehouse::store {

inline constexpr std::size_t kHashSize = 32;
inline constexpr std::size_t kSaltSize = 16;

[[nodiscard]] std::string sha256(std::string_view bytes);
[[nodiscard]] std::string hex(std::string_view bytes);
[[nodiscard]] std::string unhex(std::string_view text);  // lower-case, as hex() writes
[[nodiscard]] std::string first_link();  // what the first row names as its predecessor

// The JSON document that an event commits to.
[[nodiscard]] std::string event_document(std::string_view subject, std::string_view body);
// c = SHA-256(salt, document).
[[nodiscard]] std::string commitment(std::string_view salt, std::string_view document);
// h = SHA-256(previous h, seq, length of kind, kind, run, mono, c), numbers as 8 bytes big-endian.
[[nodiscard]] std::string event_link(std::string_view previous, std::uint64_t seq,
                                     std::string_view kind, std::int64_t run, MonoMs mono_ms,
                                     std::string_view c);
// h = SHA-256(previous h, canonical bytes of the entry).
[[nodiscard]] std::string entry_link(std::string_view previous, std::string_view canonical);

}  // namespace gatehouse::store
