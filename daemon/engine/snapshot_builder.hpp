// Makes the rows of the snapshot from the world: only those that a turn touched. Engine thread
// only; what it returns is immutable and goes to every thread.
#pragma once

#include <memory>

#include "daemon/engine/world.hpp"

namespace gatehouse {

// Brings `snapshot` up to the world and clears what was touched.
void update_snapshot(Context& context, Snapshot& snapshot);

}  // namespace gatehouse
