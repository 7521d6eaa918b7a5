// Changes of the registry that an act of staff brings with it, such as the serial number of a meter
// that was replaced, or the end of an account. Engine thread only.
#pragma once

#include <functional>

#include "daemon/engine/world.hpp"

namespace gatehouse {

// Whole or nothing: what the change leaves as it was is not written. Rows may be added, at the end
// alone. Every pointer into the registry of before is bound anew; a MeterRuntime stays where it is.
// The engine tells the poller after the commit.
void change_registry(Context& context, const std::function<void(Registry&)>& change);
void change_meter_row(Context& context, std::size_t meter,
                      const std::function<void(Meter&)>& change);

// What the configuration says of alerts and of readings that are kept, from now on; `options` are
// the context's own. Nothing is written: the next start reads the configuration again.
[[nodiscard]] Reply change_settings(Context& context, EngineOptions& options,
                                    const ChangeSettings& command);

}  // namespace gatehouse
