// The ledger's acts: what two people do to a household's money beside taking a payment, as entries
// with their legs, and why one is refused. Who the two are and what the clock says the engine
// knows; nothing is stored and no id drawn here. Pure, any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/ledger.hpp"

namespace gatehouse {

// Who did it, who agreed, and the cause that the entry names ("refund:<key>").
struct Signature {
    std::string by, second, cause;
};

// Undoes an entry whole: each leg turned.
[[nodiscard]] Entry reversal_entry(const Entry& undone, const Signature& signature);
// One entry with both households' legs, so that no instant shows the money twice or nowhere.
// `amount` leaves the first; it is above zero (asserted).
[[nodiscard]] Entry transfer_entry(std::string from, std::string_view to, Fen amount,
                                   const Signature& signature);
[[nodiscard]] Entry adjustment_entry(std::string account, Service service, Fen amount,
                                     const Signature& signature);
// Brings an account that owes `debt` (above zero, asserted) to 0.00.
[[nodiscard]] Entry write_off_entry(std::string account, Fen debt, const Signature& signature);

[[nodiscard]] Entry round_off_entry(std::string account, Fen amount, const Signature& signature);

// Coins pay no less than this. What is left of a refund in cash is a round-off of its own, so that
// the account falls by the whole amount and the drawer by what was handed out.
inline constexpr Fen kSmallestCash{10};
// The payment, then the round-off; either is left out where it would be 0.00. `amount` is above
// zero (asserted). They stand next to each other in the ledger.
[[nodiscard]] std::vector<Entry> refund_entries(const std::string& account, Fen amount,
                                                Method method, const Signature& signature);

struct ActJudgement {
    std::vector<Refusal> refusals;  // empty: accepted, and only then do the others mean anything
    Fen amount;
    Method method = Method::cash;
};
// Never more than the balance, which has in it what was used and not posted yet.
[[nodiscard]] ActJudgement judge_refund(const AccountFacts& account, std::string_view amount,
                                        std::string_view method, std::string_view reference);
// From an account with that much to another one. The hoarding cap is a rule of top-ups and does
// not hold up money that was paid already.
[[nodiscard]] ActJudgement judge_transfer(const AccountFacts& from, const AccountFacts& to,
                                          std::string_view amount, std::string_view reference);
// Whether an account may be given money that is not a payment; refusals point at `to`.
[[nodiscard]] std::vector<Refusal> judge_receiver(const AccountFacts& to);
// Of either sign, whatever the balance. It moves no line and no ladder.
[[nodiscard]] ActJudgement judge_adjustment(const AccountFacts& account, std::string_view amount,
                                            std::string_view reference);

struct ReversalFacts {
    const Entry* undone = nullptr;  // not null (asserted)
    std::string_view reversed_by;   // entry that undid it already; empty: none
    bool account_open = true;
    std::string_view second;
};
// A top-up, fee or refund, once. Who took or paid the money does not approve that it is undone.
[[nodiscard]] std::vector<Refusal> judge_reversal(const ReversalFacts& facts);

// How what is left of an account is settled when its holder goes.
enum class Settle { refund, transfer, debt };
[[nodiscard]] std::optional<Settle> parse_settle(std::string_view word);
[[nodiscard]] const char* to_string(Settle settle);
// A balance above zero is refunded or transferred, one below is a debt; nothing left takes any.
[[nodiscard]] std::optional<Refusal> judge_settle(const std::string& account, Fen balance,
                                                  Settle settle);
// What is left and what can be done about it, in one sentence.
[[nodiscard]] std::string how_to_settle(const std::string& account, Fen balance);

// The id of the account that follows one: "a-101" is followed by "a-101.2", that by "a-101.3".
// `n` counts from 2 where the id carries no number yet; at most 64 characters.
[[nodiscard]] std::string successor_id(std::string_view account, int further = 0);

}  // namespace gatehouse
