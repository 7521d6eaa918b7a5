// The use desk: now and then it looks over what meters used on whole days and flags those that
// people should look at. It holds and charges nothing. Engine thread only.
#pragma once

#include "daemon/engine/world.hpp"

namespace gatehouse {

// Flags every meter anew. A change is told (meter.review) but for the first look of a run, which
// finds again what was told before.
void review_use(Context& context);

}  // namespace gatehouse
