// The use watch: finds meters of vacant units that count all the same, and water that never stands
// still, from the totals at the ends of hours and days that stand in the books. It asks core/flow
// and has the alert desk tell; it holds and charges nothing. Engine thread only; where the store
// cannot be written it does nothing and finds the same later.
#pragma once

#include "daemon/engine/world.hpp"

namespace gatehouse {

// Now and then: what holds, what is over, and what is due to be told again.
void watch_use(Context& context);

// What the store remembers of it: the flow of the newest hours, and since when units are vacant.
void load_use(Context& context, World& world);

// What an alert of that kind about the meter says of its use; absent where nothing is known now.
[[nodiscard]] std::optional<Milli> use_told(const Context& context, const MeterRuntime& meter,
                                            AlertKind kind);

}  // namespace gatehouse
