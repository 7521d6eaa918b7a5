// The closing desk: an account ends, alone or because a unit's holder goes and another comes. Each
// is one act in one transaction: freeze, charge to the last fen, settle, close, and open anew from
// the same registers at the same instant (DESIGN.md 5). Engine thread only.
#pragma once

#include "daemon/engine/world.hpp"

namespace gatehouse {

// Before the id of a closed account, the name of the note in the store that holds the time of the
// reading that closed it; and that time: nothing where no reading did.
inline constexpr const char* kClosedOnNote = "closed_on/";
[[nodiscard]] std::optional<UtcMs> closed_on(Context& context, const std::string& account);

// Refused, with what is left and how to settle it, unless exactly 0.00 is left.
[[nodiscard]] Reply close_account(Context& context, const CloseAccount& command);
[[nodiscard]] Reply change_occupant(Context& context, const ChangeOccupant& command);

}  // namespace gatehouse
