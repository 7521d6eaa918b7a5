// The money desk: what two people do to a household's money beside taking a payment, each once for
// its key and whole in one transaction (core/ledger_acts judges and writes the legs). Engine thread
// only.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/ledger_acts.hpp"
#include "daemon/engine/act_routes.hpp"
#include "daemon/engine/json_writer.hpp"
#include "daemon/engine/key_desk.hpp"
#include "daemon/engine/world.hpp"

namespace gatehouse {

[[nodiscard]] Reply reverse_entry(Context& context, const ReverseEntry& command);
[[nodiscard]] Reply refund_money(Context& context, const RefundMoney& command);
[[nodiscard]] Reply transfer_money(Context& context, const TransferMoney& command);
[[nodiscard]] Reply adjust_money(Context& context, const AdjustMoney& command);

// The key of a command that is such an act, closing ones too; nothing for every other command.
[[nodiscard]] std::optional<KeyedRequest> act_request(const Command& command);

// --- what the desks of money acts share

// Adds an error for each field of the signature that is wrong: two different people of the staff,
// and a reason.
void check_signature(const Context& context, Reply& reply, const Act& act);
// Adds what core refused; the reply has its type and kind by the first of them.
void add_refusals(Reply& reply, const std::vector<Refusal>& refusals);

// The entries of one act, booked in their order. The reason stands beside each, not in the chain.
struct Booked {
    std::vector<Entry> entries;  // with ids and receipts; none: there was nothing to move
    std::uint64_t event = 0;     // of the first
};
Booked book_act(Context& context, const Act& act, std::vector<Entry> entries,
                const std::string& method, const std::string& reference);

// The fields that an answer gives of entries and of the account as it stands now.
void booked_fields(JsonWriter& json, const Booked& booked);
void act_fields(JsonWriter& json, const Context& context, const Act& act,
                const AccountRuntime& account);

}  // namespace gatehouse
