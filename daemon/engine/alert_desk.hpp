// The alert desk: carries out what core/alert decides. It opens, moves and closes alerts as rows of
// the event log with their payload and sentence, in the transaction of their cause. It decides no
// level (account_book) and no outage (alert_watch) and sends nothing (mqtt reads the log). Engine
// thread only.
#pragma once

#include <string>

#include "daemon/engine/world.hpp"

namespace gatehouse {

// What holds for an account today: before a long rest its low_days reach beyond it.
[[nodiscard]] Thresholds thresholds_now(const Context& context, const AccountRuntime& account);

// Moves the low_balance alert of an account to the level just judged; nothing when it stands there.
// `cleared_by` names what brought a fall: topup, drift or correction.
void apply_level(Context& context, std::size_t account, const LevelJudgement& judgement,
                 const std::string& cleared_by);

// One transition of an alert of another kind, or of a reminder, as core decided it; nothing where
// the step has no state. `place` is where its subject keeps the id of its open alert.
struct Transition {
    AlertKind kind = AlertKind::low_balance;
    std::string subject;  // account, meter, kBusSubject + bus, or site id
    AlertStep step;
    std::string reason;      // one word or line: why it holds
    std::string cleared_by;  // what ended it
};
void move_alert(Context& context, std::optional<std::string>& place, const Transition& transition);

[[nodiscard]] Reply acknowledge_alert(Context& context, const AckAlert& command);

// One raised and one cleared alert of kind test, so that a technician sees the way to the broker.
[[nodiscard]] Reply test_alert(Context& context, const TestAlert& command);

}  // namespace gatehouse
