// The correction desk: a figure that stands in the books and was wrong. Two people type what the
// face showed then; the row stays, another one supersedes it, and what was estimated between it and
// its neighbours is estimated anew. The account's lines are settled by replay (settling_desk.hpp).
// Engine thread only.
#pragma once

#include "daemon/engine/settling_desk.hpp"
#include "daemon/engine/world.hpp"

namespace gatehouse {

[[nodiscard]] LateJudged correct_reading(Context& context, const ReadFace& command);

}  // namespace gatehouse
