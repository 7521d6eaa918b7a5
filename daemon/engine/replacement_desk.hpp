// The replacement desk: one physical meter's time at a place ends and another's begins, at one
// instant, entered by two people. The total and the ladder go on; the tail of the old meter is
// posted under meter:<its epoch>. Engine thread only.
#pragma once

#include "daemon/engine/world.hpp"

namespace gatehouse {

// Asked again with the same figures it answers alike and changes nothing.
[[nodiscard]] Reply replace_meter(Context& context, const ReplaceMeter& command);

}  // namespace gatehouse
