#include "daemon/core/ledger_acts.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace gatehouse {
namespace {

constexpr std::array<std::pair<Settle, const char*>, 3> kSettleWords{{
    {Settle::refund, "refund"},
    {Settle::transfer, "transfer"},
    {Settle::debt, "debt"},
}};
constexpr std::size_t kIdMax = 64;

Entry signed_entry(EntryKind kind, std::string account, Fen amount, std::string other,
                   const Signature& signature) {
    Entry entry;
    entry.kind = kind;
    entry.amount = amount;
    entry.legs = {{book::household(account), amount}, {std::move(other), -amount}};
    entry.account = std::move(account);
    entry.cause = signature.cause;
    entry.by = signature.by;
    entry.second = signature.second;
    return entry;
}

void judge_books(const AccountFacts& account, const char* pointer, std::vector<Refusal>& refusals) {
    const auto refuse = [&](const char* type, const std::string& message) {
        refusals.push_back({true, type, pointer, "account " + account.account + " " + message});
    };
    if (!account.open)
        refuse("account-closed", "is closed and its books stay as they are; name an open account");
    if (account.billing != Billing::prepaid)
        refuse("billing", std::string("has billing ") + to_string(account.billing) +
                              " and keeps no balance; only prepaid accounts have money to move");
    if (!account.not_yet.empty())
        refusals.push_back({true, "not-yet", pointer,
                            account.not_yet + "; name a tariff that is served in accounts.csv"});
    if (account.live_from)
        refuse("trial", "is on trial until " + format_date(*account.live_from) +
                            " and has no ledger yet; do it in the old system, or bring it in with "
                            "the opening balance");
}

// What of the balance may leave an account.
void judge_cover(const AccountFacts& account, Fen amount, const char* act,
                 std::vector<Refusal>& refusals) {
    if (amount <= account.balance) return;
    refusals.push_back(
        {true, "balance", "/amount",
         "account " + account.account + " has " + format(account.balance) + " and " +
             format(amount) + " is more; " +
             (account.balance.count > 0 ? std::string("at most that can be ") + act
                                        : "nothing of it can be " + std::string(act))});
}

}  // namespace

Entry reversal_entry(const Entry& undone, const Signature& signature) {
    Entry entry = signed_entry(EntryKind::reversal, undone.account, -undone.amount, "", signature);
    entry.legs = undone.legs;
    for (Leg& leg : entry.legs) leg.amount = -leg.amount;
    entry.reverses = undone.entry;
    return entry;
}

Entry transfer_entry(std::string from, std::string_view to, Fen amount,
                     const Signature& signature) {
    GH_ASSERT(amount.count > 0);
    return signed_entry(EntryKind::transfer, std::move(from), -amount, book::household(to),
                        signature);
}

Entry adjustment_entry(std::string account, Service service, Fen amount,
                       const Signature& signature) {
    return signed_entry(EntryKind::adjustment, std::move(account), amount, book::revenue(service),
                        signature);
}

Entry write_off_entry(std::string account, Fen debt, const Signature& signature) {
    GH_ASSERT(debt.count > 0);
    return signed_entry(EntryKind::write_off, std::move(account), debt, book::kOverShort,
                        signature);
}

Entry round_off_entry(std::string account, Fen amount, const Signature& signature) {
    return signed_entry(EntryKind::round_off, std::move(account), amount, book::kOverShort,
                        signature);
}

std::vector<Entry> refund_entries(const std::string& account, Fen amount, Method method,
                                  const Signature& signature) {
    GH_ASSERT(amount.count > 0);
    const Fen rest{method == Method::cash ? amount.count % kSmallestCash.count : 0};
    std::vector<Entry> entries;
    if (amount != rest)
        entries.push_back(signed_entry(EntryKind::refund, account, rest - amount,
                                       book::receiving(method, signature.by), signature));
    if (rest.count != 0) entries.push_back(round_off_entry(account, -rest, signature));
    return entries;
}

ActJudgement judge_refund(const AccountFacts& account, std::string_view amount,
                          std::string_view method, std::string_view reference) {
    ActJudgement out;
    const auto read = read_amount(amount, AmountSign::positive, "refund", out.refusals);
    out.amount = read.value_or(Fen{});
    out.method = read_payment(method, reference, out.refusals).value_or(Method::cash);
    judge_books(account, "", out.refusals);
    if (out.refusals.empty()) judge_cover(account, out.amount, "refunded", out.refusals);
    return out;
}

ActJudgement judge_transfer(const AccountFacts& from, const AccountFacts& to,
                            std::string_view amount, std::string_view reference) {
    ActJudgement out;
    const auto read = read_amount(amount, AmountSign::positive, "transfer", out.refusals);
    out.amount = read.value_or(Fen{});
    check_reference(reference, out.refusals);
    judge_books(from, "", out.refusals);
    if (from.account == to.account)
        out.refusals.push_back(
            {false, "to", "/to",
             "account " + to.account + " is the one that the money comes from; name another"});
    else
        judge_books(to, "/to", out.refusals);
    if (out.refusals.empty()) judge_cover(from, out.amount, "transferred", out.refusals);
    return out;
}

std::vector<Refusal> judge_receiver(const AccountFacts& to) {
    std::vector<Refusal> refusals;
    judge_books(to, "/to", refusals);
    return refusals;
}

ActJudgement judge_adjustment(const AccountFacts& account, std::string_view amount,
                              std::string_view reference) {
    ActJudgement out;
    const auto read = read_amount(amount, AmountSign::either, "adjustment", out.refusals);
    out.amount = read.value_or(Fen{});
    check_reference(reference, out.refusals);
    judge_books(account, "", out.refusals);
    return out;
}

std::vector<Refusal> judge_reversal(const ReversalFacts& facts) {
    GH_ASSERT(facts.undone != nullptr);
    const Entry& entry = *facts.undone;
    const std::string name = "entry " + entry.entry;
    std::vector<Refusal> refusals;
    if (entry.kind != EntryKind::topup && entry.kind != EntryKind::fee &&
        entry.kind != EntryKind::refund) {
        refusals.push_back(
            {true, "not-reversible", "",
             name + " is a " + to_string(entry.kind) +
                 "; a reversal undoes a topup, fee or refund. " +
                 (entry.kind == EntryKind::reversal   ? "Book the payment anew instead"
                  : entry.kind == EntryKind::transfer ? "Transfer the money back instead"
                                                      : "Correct it by an adjustment instead")});
        return refusals;
    }
    if (!facts.reversed_by.empty())
        refusals.push_back({true, "already-reversed", "",
                            name + " was undone already by entry " +
                                std::string(facts.reversed_by) + "; nothing is left to undo"});
    if (!facts.account_open)
        refusals.push_back({true, "account-closed", "",
                            name + " belongs to account " + entry.account +
                                ", which is closed and whose books stay as they are"});
    if (!entry.by.empty() && facts.second == entry.by)
        refusals.push_back({false, "second", "/second",
                            "`" + std::string(facts.second) + "` took or paid the money of " +
                                name + "; another person must agree that it is undone"});
    return refusals;
}

const char* to_string(Settle settle) {
    for (const auto& [known, word] : kSettleWords)
        if (known == settle) return word;
    GH_ASSERT(!"a way to settle");
}

std::optional<Settle> parse_settle(std::string_view word) {
    for (const auto& [settle, known] : kSettleWords)
        if (word == known) return settle;
    return std::nullopt;
}

std::string how_to_settle(const std::string& account, Fen balance) {
    const std::string left =
        "account " + account +
        (balance.count > 0 ? " has " + format(balance) + " left" : " owes " + format(-balance));
    return left +
           (balance.count > 0
                ? "; refund it, or transfer it to another account"
                : "; take a top-up of that amount, or write it off as a debt (settle: debt)");
}

std::optional<Refusal> judge_settle(const std::string& account, Fen balance, Settle settle) {
    const bool fits = balance.count == 0 || (balance.count < 0) == (settle == Settle::debt);
    if (fits) return std::nullopt;
    return Refusal{true, "settle", "/settle",
                   std::string("settle `") + to_string(settle) +
                       "` does not fit: " + how_to_settle(account, balance)};
}

std::string successor_id(std::string_view account, int further) {
    int number = 1;
    std::string_view base = account;
    if (const std::size_t point = account.rfind('.');
        point != account.npos && point > 0 && account.size() - point <= 5) {
        const char* end = account.data() + account.size();
        int read = 0;
        const auto [stop, error] = std::from_chars(account.data() + point + 1, end, read);
        if (error == std::errc{} && stop == end && read >= 2) {
            number = read;
            base = account.substr(0, point);
        }
    }
    const std::string suffix = "." + std::to_string(number + 1 + further);
    return std::string(base.substr(0, kIdMax - suffix.size())) + suffix;
}

}  // namespace gatehouse
