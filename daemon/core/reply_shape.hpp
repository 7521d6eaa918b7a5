// Blocks whose replies cannot be taken for one another. A Modbus reply says neither which registers
// it holds nor which question it answers: address, function and length are all there is to it. So
// where two questions to one address differ in their registers alone, a reply that comes a question
// late (a meter's, or that of a gateway which is out of step for good) is a valid answer to the
// wrong one. The blocks that hold money's registers therefore get a length of their own, by reading
// a few registers more; a late reply then fits its own question alone, and holds what that register
// once truly showed. Pure, any thread.
#pragma once

#include <vector>

#include "daemon/core/poll_plan.hpp"

namespace gatehouse {

// `plans` are the blocks of all meters of one address, in their order; `vital` are the spans of the
// billing registers among them; `others` are asked now and then and stay as they are; `values` are
// all spans that the address is known to have, of which a block may take more. Blocks that hold a
// vital span, or share its length, grow by the fewest registers until no other block of that
// function has that length. Where nothing fits the blocks stay as they were, and the proofs of
// bus_machine.hpp must do.
void tell_apart(std::vector<std::vector<RegisterSpan>>& plans,
                const std::vector<RegisterSpan>& vital, const std::vector<RegisterSpan>& others,
                const std::vector<RegisterSpan>& values, const BlockRules& rules);

}  // namespace gatehouse
