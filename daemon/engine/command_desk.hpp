// The command desk: what people and programs ask for, one function a command. Each answers with a
// document or a refusal that names field, value and remedy and has changed nothing. The engine
// sends the answer after the commit. Engine thread only.
#pragma once

#include "daemon/core/ledger.hpp"
#include "daemon/engine/world.hpp"

namespace gatehouse {

[[nodiscard]] Reply top_up(Context& context, const TopUp& command);
[[nodiscard]] Reply confirm_clock(Context& context, const ConfirmClock& command);
[[nodiscard]] Reply add_token(Context& context, const AddToken& command);
[[nodiscard]] Reply revoke_token(Context& context, const RevokeToken& command);
[[nodiscard]] Reply touch_token(Context& context, const TouchToken& command);
// Name of the note in the store that holds the newest day whose seal a broker acknowledged.
inline constexpr const char* kSealToldNote = "seal_told";
[[nodiscard]] Reply move_cursor(Context& context, const MqttCursor& command);

// Where the clock just became trusted: the offset is stored and the log says so.
void note_clock(Context& context, const std::string& kind);

// Refusals of one shape.
[[nodiscard]] Reply refusal(ReplyKind kind, std::string type, std::string detail);
[[nodiscard]] Reply judged_refusal(const std::vector<Refusal>& refusals);  // not empty

// An account as core judges what is done to its money.
[[nodiscard]] AccountFacts facts_of(const AccountRuntime& account);
// The next number of the one book of receipts.
[[nodiscard]] std::string draw_receipt(Context& context);

}  // namespace gatehouse
