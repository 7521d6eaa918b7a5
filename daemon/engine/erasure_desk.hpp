// The erasure desk: a person's name, phone and what was written about them go for good, once nobody
// owes them anything; ids, amounts and readings stay. What a restored copy brought back goes again
// at the start. Engine thread only.
#pragma once

#include "daemon/engine/world.hpp"

namespace gatehouse {

// What stands in people.csv instead of a name.
inline constexpr const char* kErasedName = "***";

// Asked again it is the same erasure.
[[nodiscard]] Reply erase_person(Context& context, const ErasePerson& command);

// Who stands in the list beside the books and not in them: in a transaction, at the start.
void erase_again(Context& context);

// Why that row of people.csv cannot be taken: the person is erased. Empty: it can.
[[nodiscard]] std::string erased_fault(const World& world, const Person& person);

}  // namespace gatehouse
