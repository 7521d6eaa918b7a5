// The proof that readings and tariffs give the ledger: every account's figures, priced anew in the
// order in which they entered the lines, come to the lines, counters, rests and marks that stand in
// the books. It reads a reader's connection alone. Any thread, one call at a time.
#pragma once

#include <functional>
#include <string>

#include "daemon/core/time.hpp"
#include "daemon/store/account_books.hpp"

namespace gatehouse {

// The first account whose books are others, in words; empty: all agree. An account that is being
// settled is between two books and is left out, and so is one that was charged before steps were
// kept.
[[nodiscard]] std::string replay_proof(AccountBooks& books, const Zone& zone,
                                       const std::function<void()>& breathe);

}  // namespace gatehouse
