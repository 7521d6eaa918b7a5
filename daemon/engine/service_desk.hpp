// The service desk: what a technician asks of one meter. Whether a reading would be accepted now,
// judged on a copy, so that asking changes nothing; and the setting of a meter's own clock, which
// the log keeps before and after the bus carries it out. Engine thread only.
#pragma once

#include "daemon/engine/world.hpp"

namespace gatehouse {

[[nodiscard]] Reply judge_reading(const Context& context, const JudgeReading& command);
[[nodiscard]] Reply order_meter_clock(Context& context, const OrderMeterClock& command);
[[nodiscard]] Reply note_meter_clock(Context& context, const NoteMeterClock& command);

}  // namespace gatehouse
