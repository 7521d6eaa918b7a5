// The late end: an account that ends with a date that has passed was posted meanwhile as if its
// holder lived there still. What came of the time after the end is taken back with it: the fees of
// later days and months, shares of pools among them, what late prices made of those fees, and the
// minimums of the month of the end and of later ones. What was used is not its work (move_book).
// Engine thread only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemon/engine/world.hpp"
#include "daemon/store/pool_rows.hpp"

namespace gatehouse {

// Why the account cannot end at that instant: it began later (invalid, at `/at`), or two people
// approved a pool's sheet for it, of a month that comes after (conflict): it lists who was not
// there any more, and can be withdrawn.
[[nodiscard]] std::optional<Reply> judge_end(Context& context, std::size_t account, UtcMs at,
                                             const std::vector<WaitingShareRow>& shares);

// What taking it back gives to the household, above zero; with all that was used in the minimums.
[[nodiscard]] Fen posted_after_end(Context& context, std::size_t account, UtcMs end);
// Takes it back, signed by the two people of the end: a reversal a fee, a correction a minimum,
// a price settlement for each fee that a late price settled.
void take_back_after_end(Context& context, std::size_t account, UtcMs end, const Act& act);

}  // namespace gatehouse
