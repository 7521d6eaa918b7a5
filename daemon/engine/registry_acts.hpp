// A change of one row of the registry that an act of staff brings with it, such as the serial
// number of a meter that was replaced. Engine thread only.
#pragma once

#include <functional>

#include "daemon/engine/world.hpp"

namespace gatehouse {

// Every pointer into the registry of before is bound anew; a MeterRuntime stays where it is. The
// engine tells the poller after the commit.
void change_meter_row(Context& context, std::size_t meter,
                      const std::function<void(Meter&)>& change);

}  // namespace gatehouse
