// The remap desk: two meters, or a meter and a unit, were mixed up since a day. What each counted
// from then on is priced where it belongs, the lines that differ are settled, and the registry is
// set right from now on; one act of two people, shown before. Engine thread only.
#pragma once

#include "daemon/engine/settling_desk.hpp"

namespace gatehouse {

[[nodiscard]] LateJudged remap_meter(Context& context, const RemapMeter& command);

}  // namespace gatehouse
