// The digest desk: counts how every account stands and writes the daily digest as an event, once a
// working day. What it counts others decided. Engine thread only.
#pragma once

#include "daemon/engine/world.hpp"

namespace gatehouse {

// Whether it is time, by core/digest, and every meter had its turn in this run or the run is five
// minutes old, so that `not read` does not mean `not read yet`. `run_began` is the monotonic start
// of the process.
[[nodiscard]] bool is_digest_time(const Context& context, MonoMs run_began);

// Writes it. The caller has had every account judged in this turn.
void write_digest(Context& context);

}  // namespace gatehouse
