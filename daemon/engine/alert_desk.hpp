// The alert desk: carries out what core/alert decides. It opens, moves and closes alerts as rows of
// the event log with their payload and sentence, in the transaction of their cause. It decides no
// level (account_book) and sends nothing (mqtt reads the log). Engine thread only.
#pragma once

#include <string>

#include "daemon/engine/world.hpp"

namespace gatehouse {

// Moves the low_balance alert of an account to the level just judged; nothing when it stands there.
// `cleared_by` names what brought a fall: topup, drift or correction.
void apply_level(Context& context, std::size_t account, const LevelJudgement& judgement,
                 const std::string& cleared_by);

[[nodiscard]] Reply acknowledge_alert(Context& context, const AckAlert& command);

// One raised and one cleared alert of kind test, so that a technician sees the way to the broker.
[[nodiscard]] Reply test_alert(Context& context, const TestAlert& command);

}  // namespace gatehouse
