// Ledger: the chart of accounts, the kinds of entry with the legs that each may have, the bytes
// that the hash chain covers, and the judgement of a top-up. It stores nothing and draws no id.
// Pure, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/registry.hpp"
#include "daemon/core/settlement.hpp"
#include "daemon/core/time.hpp"
#include "daemon/core/units.hpp"

namespace gatehouse {

enum class EntryKind {
    topup,
    charge,
    fee,
    opening,
    transfer,
    adjustment,
    refund,
    round_off,
    write_off,
    banked,
    correction,
    price_settlement,
    reversal
};
[[nodiscard]] const char* to_string(EntryKind kind);  // the contract's word
[[nodiscard]] std::optional<EntryKind> parse_entry_kind(std::string_view word);

enum class Method { cash, card, transfer, qr, cheque };
[[nodiscard]] const char* to_string(Method method);
[[nodiscard]] std::optional<Method> parse_method(std::string_view word);

// The chart of accounts. The names are stored for ten years.
namespace book {
inline constexpr const char* kFinanceCash = "finance:cash";
inline constexpr const char* kClearingBank = "clearing:bank";
inline constexpr const char* kClearingQr = "clearing:qr";
inline constexpr const char* kClearingCard = "clearing:card";
inline constexpr const char* kClearingCheque = "clearing:cheque";
inline constexpr const char* kRevenueElectricity = "revenue:electricity";
inline constexpr const char* kRevenueWater = "revenue:water";
inline constexpr const char* kFees = "fees";
inline constexpr const char* kOtherReceipts = "other_receipts";
inline constexpr const char* kOverShort = "over_short";
inline constexpr const char* kSuspense = "suspense";
inline constexpr const char* kOpening = "opening";
[[nodiscard]] std::string household(std::string_view account);
[[nodiscard]] std::string cash(std::string_view staff);
[[nodiscard]] std::string pool(std::string_view pool);
// The account whose household that is; empty: it is no household's.
[[nodiscard]] std::string_view holder_of(std::string_view book_name);
[[nodiscard]] const char* revenue(Service service);
// Where a payment arrives: the collector's cash, or the clearing account of the method.
[[nodiscard]] std::string receiving(Method method, std::string_view staff);
}  // namespace book

// Credit is positive, debit negative: the legs of household:<account> sum to its ledger balance,
// and those of cash:<staff> to the cash in hand with its sign turned.
struct Leg {
    std::string account;
    Fen amount;
    friend bool operator==(const Leg&, const Leg&) = default;
};

// One entry as decided. What the engine draws at the commit (id, receipt, month) is empty until
// then. All are ids or words of this house: free text stands elsewhere and may be erased.
struct Entry {
    EntryKind kind = EntryKind::topup;
    std::string account;          // empty for banked
    Fen amount;                   // signed, for the household
    std::vector<Leg> legs;        // sum to zero
    std::optional<LineKey> line;  // charge, correction, price_settlement
    std::string cause;            // "topup:<key>", "day:2026-11-23", "meter:<epoch>", ...
    std::string entry;            // id
    std::string receipt;          // number; top-ups and refunds
    std::string month;            // "2026-11", of the commit
    std::string by, second;       // staff
    std::string reverses;         // entry id; reversal
    friend bool operator==(const Entry&, const Entry&) = default;
};

[[nodiscard]] Entry topup_entry(std::string account, Fen amount, Method method, std::string by,
                                std::string cause);
[[nodiscard]] Entry charge_entry(std::string account, const Due& due, std::string cause);
// Of either sign: a line whose target fell, or moved after its month was sealed.
[[nodiscard]] Entry correction_entry(std::string account, const Due& due, std::string cause);
// Of either sign: what a version that came late makes of a line, or of the fees of days that were
// posted already (no line). Two people have signed it.
[[nodiscard]] Entry price_settlement_entry(std::string account, const Due& due, std::string cause);
[[nodiscard]] Entry fee_settlement_entry(std::string account, Fen charged, std::string cause);
[[nodiscard]] Entry fee_entry(std::string account, Fen amount, std::string cause);
// A share of a pool's month: a fee, so that what was shared wrongly is undone whole.
[[nodiscard]] Entry pool_entry(std::string account, Fen amount, std::string_view pool,
                               std::string_view month);
[[nodiscard]] Entry opening_entry(std::string account, Fen amount);  // cause "opening": once

// What is wrong with an entry by the table of its kind (sign, legs, sum, line); empty: nothing.
// verify asks this of every row, and the engine asserts it before a commit.
[[nodiscard]] std::string entry_fault(const Entry& entry);

// The bytes that the hash chain covers: netstrings (<length>:<bytes>,) of "gatehouse-entry-1", seq,
// entry, kind, account, amount in fen, cause, month, receipt, by, second, reverses, run, mono_ms,
// wall_ms, the count of line fields (0 or 7) and they (service, scope, tariff, version, season,
// band, tier), the count of legs and each leg's account and amount in fen. Numbers are plain
// decimals. Lengths before bytes make two different entries never the same bytes.
[[nodiscard]] std::string canonical_bytes(const Entry& entry, std::uint64_t seq,
                                          const Stamp& stamp);

inline constexpr Fen kTopUpMax{100'000'000};  // 1,000,000.00
inline constexpr std::size_t kReferenceMax = 64;

// Why a top-up is refused. Nothing was booked; the person who typed it is told every reason.
struct Refusal {
    bool rule = false;    // false: the field is wrong (invalid); true: the books say no (refused)
    std::string type;     // stable word: "amount", "method", "reference", "hoarding-cap", "trial",
                          // "account-closed", "billing", "not-yet"
    std::string pointer;  // JSON Pointer into the body; empty: the whole body
    std::string message;  // names value and remedy
    friend bool operator==(const Refusal&, const Refusal&) = default;
};

// The account as the engine sees it inside the transaction.
struct AccountFacts {
    std::string account;
    bool open = true;
    Billing billing = Billing::prepaid;
    std::optional<LocalDate> live_from;  // set while the account is on trial, else absent
    std::string not_yet;                 // AccountView::not_yet
    std::optional<Fen> hoarding_cap;
    Fen balance;  // not the ledger's: caps use balance
};

// What people typed, read; each adds a refusal where it is wrong and then gives nothing. A zero, a
// third place, an exponent, a full-width digit and what is above kTopUpMax are wrong as an amount;
// a reference is needed unless the method is cash. `act` stands in the remedy: "top-up".
enum class AmountSign { positive, either };
[[nodiscard]] std::optional<Fen> read_amount(std::string_view text, AmountSign sign,
                                             const char* act, std::vector<Refusal>& refusals);
[[nodiscard]] std::optional<Method> read_payment(std::string_view method,
                                                 std::string_view reference,
                                                 std::vector<Refusal>& refusals);
// A reference that no method asks for: short, and fit to be printed.
void check_reference(std::string_view reference, std::vector<Refusal>& refusals);

struct TopUpJudgement {
    std::vector<Refusal> refusals;  // empty: accepted, and only then do the others mean anything
    Fen amount;
    Method method = Method::cash;
};
[[nodiscard]] TopUpJudgement judge_topup(const AccountFacts& account, std::string_view amount,
                                         std::string_view method, std::string_view reference);

}  // namespace gatehouse
