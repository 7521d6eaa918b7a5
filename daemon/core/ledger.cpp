#include "daemon/core/ledger.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "daemon/core/text.hpp"

namespace gatehouse {
namespace {

constexpr std::array<std::pair<EntryKind, const char*>, 13> kKindWords{{
    {EntryKind::topup, "topup"},
    {EntryKind::charge, "charge"},
    {EntryKind::fee, "fee"},
    {EntryKind::opening, "opening"},
    {EntryKind::transfer, "transfer"},
    {EntryKind::adjustment, "adjustment"},
    {EntryKind::refund, "refund"},
    {EntryKind::round_off, "round_off"},
    {EntryKind::write_off, "write_off"},
    {EntryKind::banked, "banked"},
    {EntryKind::correction, "correction"},
    {EntryKind::price_settlement, "price_settlement"},
    {EntryKind::reversal, "reversal"},
}};
constexpr std::array<std::pair<Method, const char*>, 5> kMethodWords{{
    {Method::cash, "cash"},
    {Method::card, "card"},
    {Method::transfer, "transfer"},
    {Method::qr, "qr"},
    {Method::cheque, "cheque"},
}};

template <class Table, class Value>
const char* word_of(const Table& table, Value value) {
    for (const auto& [known, word] : table) {
        if (known == value) return word;
    }
    GH_ASSERT(!"a value of the enumeration");
}

enum class Sign { positive, negative, either };

// The legs that each kind may have: the household's, and one other that starts with one of
// `others` (blank-separated; a name that ends in ':' takes any id behind it).
struct KindRule {
    EntryKind kind;
    Sign sign;
    bool line;
    const char* others;
};
constexpr std::array<KindRule, 12> kRules{{
    {EntryKind::topup, Sign::positive, false, "cash: clearing: suspense"},
    {EntryKind::charge, Sign::negative, true, "revenue: pool:"},
    {EntryKind::fee, Sign::negative, false, "fees pool:"},
    {EntryKind::opening, Sign::either, false, "opening"},
    {EntryKind::transfer, Sign::either, false, "household:"},
    {EntryKind::adjustment, Sign::either, false, "revenue:"},
    {EntryKind::refund, Sign::negative, false, "cash: finance:cash clearing:"},
    {EntryKind::round_off, Sign::either, false, "over_short"},
    {EntryKind::write_off, Sign::positive, false, "over_short"},
    {EntryKind::correction, Sign::either, true, "revenue: pool:"},
    {EntryKind::price_settlement, Sign::either, true, "revenue: pool: fees"},
    // A reversal turns the legs of the entry it names, whatever they were.
    {EntryKind::reversal, Sign::either, false, "cash: clearing: suspense fees pool: finance:cash"},
}};

bool allowed(std::string_view account, std::string_view others) {
    while (!others.empty()) {
        const std::size_t end = std::min(others.find(' '), others.size());
        const std::string_view name = others.substr(0, end);
        const bool prefix = name.ends_with(':');
        if (prefix ? account.starts_with(name) && account.size() > name.size() : account == name) {
            return true;
        }
        others.remove_prefix(std::min(end + 1, others.size()));
    }
    return false;
}

std::string banked_fault(const Entry& entry) {
    const bool right = entry.account.empty() && entry.amount.count == 0 && !entry.line &&
                       entry.legs.size() == 2 && entry.legs[0].account == book::kFinanceCash &&
                       entry.legs[1].account == book::kClearingBank &&
                       entry.legs[0].amount.count > 0;
    return right ? "" : "banked moves money from finance:cash to clearing:bank and nothing else";
}

std::string kind_fault(const Entry& entry, const KindRule& rule) {
    const std::string word = to_string(entry.kind);
    if (entry.account.empty()) return word + " names no account";
    if (entry.amount.count == 0) return word + " of 0.00";
    if (rule.sign == Sign::positive && entry.amount.count < 0) return word + " below zero";
    if (rule.sign == Sign::negative && entry.amount.count > 0) return word + " above zero";
    // Fees have no line, and neither has what settles them.
    const bool fees = entry.legs.size() == 2 && entry.legs[1].account == book::kFees;
    const bool line = rule.line && !fees;
    if (line != entry.line.has_value()) {
        return word + (line ? " names no line" : " names a line");
    }
    if (entry.kind == EntryKind::round_off && (entry.amount.count > 9 || entry.amount.count < -9)) {
        return "round_off beyond 0.09";
    }
    if (entry.legs.size() != 2) return word + " has not two legs";
    if (entry.legs[0].account != book::household(entry.account) ||
        entry.legs[0].amount != entry.amount) {
        return word + ": the first leg is not the household's amount";
    }
    const std::string& other = entry.legs[1].account;
    if (!allowed(other, rule.others) || other == entry.legs[0].account) {
        return word + " against " + other;
    }
    if (entry.line && other.starts_with("revenue:") &&
        other != book::revenue(entry.line->service)) {
        return word + " of " + to_string(entry.line->service) + " against " + other;
    }
    return "";
}

void put(std::string& out, std::string_view field) {
    out += std::to_string(field.size());
    out += ':';
    out += field;
    out += ',';
}
template <class Integer>
void put_number(std::string& out, Integer value) {
    put(out, std::to_string(value));
}

Entry two_legs(EntryKind kind, std::string account, Fen amount, std::string other,
               std::string cause) {
    Entry entry;
    entry.kind = kind;
    entry.amount = amount;
    entry.legs = {{book::household(account), amount}, {std::move(other), -amount}};
    entry.account = std::move(account);
    entry.cause = std::move(cause);
    return entry;
}

Entry line_entry(EntryKind kind, std::string account, const Due& due, std::string cause) {
    Entry entry = two_legs(kind, std::move(account), -due.amount, book::revenue(due.key.service),
                           std::move(cause));
    entry.line = due.key;
    return entry;
}

// What somebody typed, short enough for an error message.
std::string quoted(std::string_view text) {
    constexpr std::size_t kShown = 40;
    std::string shown = "'";
    for (const char c : text.substr(0, kShown)) {
        shown += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    }
    // A multi-byte character that the cut went through is dropped whole.
    if (text.size() > kShown) {
        while (shown.size() > 1 &&
               (static_cast<unsigned char>(text[shown.size() - 1]) & 0xc0) == 0x80) {
            shown.pop_back();
        }
        shown += "...";
    }
    return shown + "'";
}

void judge_account(const AccountFacts& account, TopUpJudgement& out) {
    const auto refuse = [&](const char* type, const std::string& message) {
        out.refusals.push_back({true, type, "", "account " + account.account + " " + message});
    };
    if (!account.open) {
        refuse("account-closed", "is closed; top up the open account of its unit");
    }
    if (account.billing != Billing::prepaid) {
        refuse("billing", std::string("has billing ") + to_string(account.billing) +
                              " and keeps no balance; only prepaid accounts are topped up");
    }
    if (!account.not_yet.empty()) {
        refuse("not-yet", "is not served yet: its tariff needs " + account.not_yet +
                              "; name a flat or laddered tariff in accounts.csv");
    }
    if (account.live_from) {
        refuse("trial", "is on trial until " + format_date(*account.live_from) +
                            "; until then take the payment in the old system");
    }
}

}  // namespace

const char* to_string(EntryKind kind) {
    return word_of(kKindWords, kind);
}
const char* to_string(Method method) {
    return word_of(kMethodWords, method);
}

std::optional<EntryKind> parse_entry_kind(std::string_view word) {
    for (const auto& [kind, known] : kKindWords) {
        if (word == known) return kind;
    }
    return std::nullopt;
}
std::optional<Method> parse_method(std::string_view word) {
    for (const auto& [method, known] : kMethodWords) {
        if (word == known) return method;
    }
    return std::nullopt;
}

namespace book {

std::string household(std::string_view account) {
    return "household:" + std::string(account);
}
std::string cash(std::string_view staff) {
    return "cash:" + std::string(staff);
}
std::string pool(std::string_view pool) {
    return "pool:" + std::string(pool);
}

std::string_view holder_of(std::string_view book_name) {
    constexpr std::string_view kHousehold = "household:";
    return book_name.starts_with(kHousehold) ? book_name.substr(kHousehold.size())
                                             : std::string_view();
}

const char* revenue(Service service) {
    return service == Service::electricity ? kRevenueElectricity : kRevenueWater;
}

std::string receiving(Method method, std::string_view staff) {
    switch (method) {
        case Method::cash:
            return cash(staff);
        case Method::card:
            return kClearingCard;
        case Method::transfer:
            return kClearingBank;
        case Method::qr:
            return kClearingQr;
        case Method::cheque:
            return kClearingCheque;
    }
    GH_ASSERT(!"a method of payment");
}

}  // namespace book

Entry topup_entry(std::string account, Fen amount, Method method, std::string by,
                  std::string cause) {
    Entry entry = two_legs(EntryKind::topup, std::move(account), amount,
                           book::receiving(method, by), std::move(cause));
    entry.by = std::move(by);
    return entry;
}

Entry charge_entry(std::string account, const Due& due, std::string cause) {
    return line_entry(EntryKind::charge, std::move(account), due, std::move(cause));
}

Entry correction_entry(std::string account, const Due& due, std::string cause) {
    return line_entry(EntryKind::correction, std::move(account), due, std::move(cause));
}

Entry price_settlement_entry(std::string account, const Due& due, std::string cause) {
    return line_entry(EntryKind::price_settlement, std::move(account), due, std::move(cause));
}

Entry fee_settlement_entry(std::string account, Fen charged, std::string cause) {
    return two_legs(EntryKind::price_settlement, std::move(account), -charged, book::kFees,
                    std::move(cause));
}

Entry fee_entry(std::string account, Fen amount, std::string cause) {
    return two_legs(EntryKind::fee, std::move(account), -amount, book::kFees, std::move(cause));
}

Entry pool_entry(std::string account, Fen amount, std::string_view pool, std::string_view month) {
    return two_legs(EntryKind::fee, std::move(account), -amount, book::pool(pool),
                    "pool:" + std::string(pool) + "/" + std::string(month));
}

Entry opening_entry(std::string account, Fen amount) {
    return two_legs(EntryKind::opening, std::move(account), amount, book::kOpening, "opening");
}

std::string entry_fault(const Entry& entry) {
    if (entry.cause.empty()) return std::string(to_string(entry.kind)) + " without a cause";
    Int128 sum = 0;
    for (const Leg& leg : entry.legs) sum += leg.amount.count;
    if (sum != 0) return "the legs do not sum to zero";
    if ((entry.kind == EntryKind::reversal) != !entry.reverses.empty()) {
        return entry.reverses.empty() ? "reversal names no entry"
                                      : "only a reversal names an entry that it undoes";
    }
    if (entry.kind == EntryKind::banked) return banked_fault(entry);
    for (const KindRule& rule : kRules) {
        if (rule.kind == entry.kind) return kind_fault(entry, rule);
    }
    GH_ASSERT(!"a rule for every kind");
}

std::string canonical_bytes(const Entry& entry, std::uint64_t seq, const Stamp& stamp) {
    std::string out;
    put(out, "gatehouse-entry-1");
    put_number(out, seq);
    put(out, entry.entry);
    put(out, to_string(entry.kind));
    put(out, entry.account);
    put_number(out, entry.amount.count);
    put(out, entry.cause);
    put(out, entry.month);
    put(out, entry.receipt);
    put(out, entry.by);
    put(out, entry.second);
    put(out, entry.reverses);
    put_number(out, stamp.run);
    put_number(out, stamp.mono_ms);
    put_number(out, stamp.wall_ms);
    put_number(out, entry.line ? 7 : 0);
    if (entry.line) {
        put(out, to_string(entry.line->service));
        put(out, entry.line->scope);
        put(out, entry.line->tariff);
        put(out, format_date(entry.line->version));
        put(out, entry.line->season);
        put(out, entry.line->band);
        put_number(out, entry.line->tier);
    }
    put_number(out, entry.legs.size());
    for (const Leg& leg : entry.legs) {
        put(out, leg.account);
        put_number(out, leg.amount.count);
    }
    return out;
}

namespace {

// Digits, and at most two places: what is one and cannot be read is too large.
bool is_plain(std::string_view text) {
    if (text.starts_with('-')) text.remove_prefix(1);
    const std::size_t point = text.find('.');
    const std::string_view whole = text.substr(0, point);
    const std::string_view places =
        point == text.npos ? std::string_view() : text.substr(point + 1);
    const auto digits = [](std::string_view part) {
        return part.find_first_not_of("0123456789") == part.npos;
    };
    return !whole.empty() && digits(whole) && digits(places) && places.size() <= 2 &&
           (point == text.npos || !places.empty());
}

}  // namespace

std::optional<Fen> read_amount(std::string_view text, AmountSign sign, const char* act,
                               std::vector<Refusal>& refusals) {
    const auto refuse = [&](const std::string& message) {
        refusals.push_back({false, "amount", "/amount", "the amount " + quoted(text) + message});
    };
    const std::optional<std::int64_t> fen = parse_decimal(text, 2);
    const auto too_large = [&] {
        refuse(" is above " + format(kTopUpMax) + ", the most that one " + act +
               " takes; check it, or split it");
    };
    if (!fen && is_plain(text)) {
        too_large();
    } else if (!fen) {
        refuse(" is no plain decimal with at most two places; write it like 100.00");
    } else if (*fen == 0 && sign == AmountSign::either) {
        refuse(" moves nothing; leave the act out");
    } else if (*fen <= 0 && sign == AmountSign::positive) {
        refuse(std::string_view(act) == "top-up"
                   ? " is not above zero; what takes money from an account is a refund, a reversal "
                     "or an adjustment"
                   : std::string(" is not above zero; write what the ") + act +
                         " moves, such as 100.00");
    } else if (Fen{*fen} > kTopUpMax || Fen{*fen} < -kTopUpMax) {
        too_large();
    } else {
        return Fen{*fen};
    }
    return std::nullopt;
}

void check_reference(std::string_view reference, std::vector<Refusal>& refusals) {
    const auto refuse = [&](const std::string& message) {
        refusals.push_back({false, "reference", "/reference", message});
    };
    if (reference.size() > kReferenceMax) {
        refuse("the reference has " + std::to_string(reference.size()) + " bytes; " +
               std::to_string(kReferenceMax) + " are the most");
    } else if (has_unprintable(reference)) {
        refuse("the reference " + quoted(reference) +
               " contains a character that cannot be printed; type it again");
    }
}

std::optional<Method> read_payment(std::string_view word, std::string_view reference,
                                   std::vector<Refusal>& refusals) {
    const std::optional<Method> method = parse_method(word);
    if (!method) {
        refusals.push_back(
            {false, "method", "/method",
             "the method " + quoted(word) + " is none of cash, card, transfer, qr, cheque"});
        return std::nullopt;
    }
    if (*method != Method::cash && reference.find_first_not_of(" \t") == reference.npos) {
        refusals.push_back({false, "reference", "/reference",
                            "a payment by " + std::string(word) +
                                " needs its reference; give the number of the payment's own "
                                "paper"});
    } else {
        check_reference(reference, refusals);
    }
    return method;
}

TopUpJudgement judge_topup(const AccountFacts& account, std::string_view amount,
                           std::string_view method, std::string_view reference) {
    TopUpJudgement out;
    out.amount = read_amount(amount, AmountSign::positive, "top-up", out.refusals).value_or(Fen{});
    out.method = read_payment(method, reference, out.refusals).value_or(Method::cash);
    judge_account(account, out);
    if (!out.refusals.empty() || !account.hoarding_cap) return out;
    const Fen after = account.balance + out.amount;
    if (after > *account.hoarding_cap) {
        out.refusals.push_back(
            {true, "hoarding-cap", "/amount",
             format(account.balance) + " + " + format(out.amount) + " = " + format(after) +
                 " would pass the hoarding cap of " + format(*account.hoarding_cap) +
                 " of account " + account.account + "; nothing was booked" +
                 (*account.hoarding_cap > account.balance
                      ? ", at most " + format(*account.hoarding_cap - account.balance) + " fits"
                      : "")});
    }
    return out;
}

}  // namespace gatehouse
