// What people paid and signed, and what of it stands in the ledger: each entry with its two sides,
// each act once and whole, each book the sum of its legs.
#include "tests/simulation/money_auditor.hpp"

namespace gatehouse::money {
namespace {

[[noreturn]] void disagree(const std::string& text) {
    throw Disagreement(text);
}

void expect_fen(const std::string& where, const char* what, std::int64_t own, std::int64_t theirs) {
    if (own != theirs)
        disagree(where + ": " + what + " is " + decimal_of(own, 2) + " by the auditor and " +
                 decimal_of(theirs, 2) + " in the books");
}

std::int64_t fen_in(const std::string& amount) {
    return amount.empty() ? 0 : floor_of(ratio_of(amount) * Ratio{100, 1});
}

constexpr std::int64_t kSmallestCash = 10;  // coins pay no less

bool is_act(const std::string& kind) {
    return kind == "refund" || kind == "round_off" || kind == "transfer" || kind == "adjustment" ||
           kind == "reversal" || kind == "write_off";
}

std::string household(const std::string& account) {
    return "household:" + account;
}

// Where money of that method lies.
std::string till(const std::string& method, const std::string& by) {
    if (method == "cash") return "cash:" + by;
    return method == "transfer" ? "clearing:bank" : "clearing:" + method;
}

}  // namespace

void Auditor::acknowledged(const std::string& key, const std::string& account, std::int64_t fen,
                           const std::string& receipt) {
    const auto [found, fresh] = paid_.try_emplace(key, Paid{account, receipt, fen});
    if (fresh)
        fresh_.push_back(key);
    else if (found->second.receipt != receipt)
        disagree("top-up " + key + ": receipt " + receipt + " after " + found->second.receipt);
}

void Auditor::take_money(const EntryOnDisk& entry, const std::string& name, AccountAudit& account) {
    const std::string& other = entry.legs.at(1).book;
    const auto other_is = [&](const std::string& own) {
        if (other != own) disagree(name + ": a " + entry.kind + " against " + other);
    };
    if (entry.kind == "topup") {
        other_is(till("cash", entry.by));
        if (!topups_.try_emplace(entry.cause, entry.account, entry.amount).second)
            disagree(name + ": " + entry.cause + " is in the books twice");
    } else if (entry.kind == "opening") {
        other_is("opening");
        expect_fen(name, "the opening balance", fen_in(account.plan.opening_balance), entry.amount);
    } else if (entry.kind == "charge") {
        other_is("revenue:" + entry.service);
        if (entry.amount >= 0) disagree(name + ": a charge that gives money");
        if (is_closed_for(entry)) disagree(name + ": a charge of a month that was closed");
        return;
    } else if (entry.kind == "correction") {
        // A minimum shrinks as what comes late is charged on its own line; nothing else does, but
        // of a month that is closed all that comes is a correction.
        other_is("revenue:" + entry.service);
        const bool people_typed = entry.cause.rfind("correction:", 0) == 0;
        if (!is_closed_for(entry) &&
            ((entry.band != "minimum" && !people_typed) || entry.amount <= 0))
            disagree(name + ": a correction of nothing that shrank");
        return;
    } else if (entry.kind == "price_settlement") {
        other_is("revenue:" + entry.service);
        settled_causes_.insert(entry.cause);
        if (entry.by == entry.second || entry.by.empty() || entry.second.empty())
            disagree(name + ": two people did not sign it");
        return;
    } else if (entry.kind == "fee") {
        other_is("fees");
        if (!account.booked_fees.try_emplace(entry.cause, -entry.amount).second)
            disagree(name + ": " + entry.cause + " is in the books twice");
        account.fee_entries[entry.cause] = entry.entry;
    } else if (entry.kind == "reversal" && entry.cause.rfind("close:", 0) == 0) {
        take_back(entry, name, account);
    } else if (is_act(entry.kind)) {
        acts_[entry.cause].push_back(
            {entry.kind, entry.account, entry.amount, other, entry.by, entry.cause});
        touched_.insert(entry.cause);
        ++tally_.acts;
        if (entry.kind == "reversal" && !undone_.insert(entry.reverses).second)
            disagree(name + ": " + entry.reverses + " was undone before");
        if (entry.by == entry.second || entry.by.empty() || entry.second.empty())
            disagree(name + ": two people did not sign it");
    } else {
        disagree(name + ": nobody asked for a " + entry.kind);
    }
    if (entry.kind == "topup" || entry.kind == "refund" || entry.kind == "fee")
        undoable_[entry.entry] = {entry.kind, entry.account, entry.amount,
                                  other,      entry.by,      entry.cause};
}

// An entry belongs to the month of its commit, and months never fall. While nobody vouches for the
// clock the books know at least that it is not before what stands in them.
void Auditor::check_month(Books& books, const EntryOnDisk& entry, const std::string& name) {
    const auto at = books.time_of(entry.run, entry.mono_ms);
    const std::string month = month_text(calendar_->day_of(at.value_or(entry.wall_ms)));
    const std::string seen = month_text(calendar_->day_of(entry.wall_ms));
    const auto own = [&](const std::string& one) {
        return std::max(booking_month(entry, one), newest_month_);
    };
    bool right = entry.month == own(month) || entry.month == own(seen);
    if (!books.time_then(entry.run, entry.mono_ms) && entry.month >= newest_month_)
        right = right || !at || entry.month <= own(month);
    if (!right)
        disagree(name + ": month " + entry.month + ", committed in " + month + " after " +
                 newest_month_);
    newest_month_ = entry.month;
}

void Auditor::take_entry(Books& books, const EntryOnDisk& entry) {
    const std::string name = "account " + entry.account + ", entry " + std::to_string(entry.seq);
    ++tally_.entries;
    if (entry.cause.rfind("late:", 0) == 0) ++tally_.late;
    check_month(books, entry, name);
    if (entry.legs.size() != 2 || entry.legs[0].book != household(entry.account))
        disagree(name + ": its legs are not the household and another");
    expect_fen(name, "the household's leg", entry.amount, entry.legs[0].amount);
    expect_fen(name, "the sum of its legs", 0, entry.legs[0].amount + entry.legs[1].amount);
    AccountAudit& account = accounts_.at(entry.account);
    take_money(entry, name, account);
    for (const LegOnDisk& leg : entry.legs) {
        ledger_[leg.book] += leg.amount;
        const std::string prefix = household("");
        if (leg.book.rfind(prefix, 0) != 0) continue;
        AccountAudit& holder = accounts_.at(leg.book.substr(prefix.size()));
        holder.entries += leg.amount;
        booked_[entry.month][leg.book.substr(prefix.size())] += leg.amount;
        const bool of_a_line = entry.kind == "charge" || entry.kind == "correction" ||
                               entry.kind == "price_settlement";
        if (!of_a_line) holder.money += leg.amount;
    }
}

void Auditor::read_entries(Books& books) {
    for (const EntryOnDisk& entry : books.entries_after(entry_seq_)) {
        entry_seq_ = entry.seq;
        take_entry(books, entry);
    }
    for (const std::string& cause : std::exchange(touched_, {})) check_act(cause);
}

std::vector<Auditor::OwnEntry> Auditor::entries_of(const std::string& cause, const Asked& asked) {
    std::vector<OwnEntry> own;
    const auto add = [&](const std::string& kind, const std::string& account, std::int64_t amount,
                         const std::string& other) {
        own.push_back({kind, account, amount, other, asked.by, cause});
    };
    if (asked.kind == "transfer") {
        add("transfer", asked.account, -asked.fen, household(asked.to));
    } else if (asked.kind == "adjustment") {
        add("adjustment", asked.account, asked.fen, "revenue:" + asked.service);
    } else if (asked.kind == "refund") {
        const std::int64_t rest = asked.method == "cash" ? asked.fen % kSmallestCash : 0;
        if (asked.fen != rest)
            add("refund", asked.account, rest - asked.fen, till(asked.method, asked.by));
        if (rest != 0) add("round_off", asked.account, -rest, "over_short");
    } else if (const auto undone = undoable_.find(asked.entry); undone != undoable_.end()) {
        const OwnEntry& entry = undone->second;
        if (asked.second == entry.by)
            disagree(cause + ": who took the money agreed that it is undone");
        add("reversal", entry.account, -entry.amount, entry.other);
        // Undone whole is what coins could not pay as well.
        if (entry.kind == "refund")
            for (const OwnEntry& beside : acts_.at(entry.cause))
                if (beside.kind == "round_off")
                    add("round_off", beside.account, -beside.amount, beside.other);
    }
    return own;
}

void Auditor::check_act(const std::string& cause) {
    const auto asked = asked_.find(cause);
    if (asked == asked_.end()) disagree(cause + ": nobody asked for it");
    const std::vector<OwnEntry> own = entries_of(cause, asked->second);
    const std::vector<OwnEntry>& theirs = acts_.at(cause);
    // How much was left is seen by the ledger of who left, which is empty now.
    if (asked->second.kind == "occupant") return;
    if (own.size() != theirs.size())
        disagree(cause + ": " + std::to_string(theirs.size()) + " entries, and it takes " +
                 std::to_string(own.size()));
    for (std::size_t i = 0; i < own.size(); ++i) {
        if (own[i].kind != theirs[i].kind || own[i].account != theirs[i].account ||
            own[i].other != theirs[i].other || own[i].by != theirs[i].by)
            disagree(cause + ": a " + theirs[i].kind + " of " + theirs[i].account + " against " +
                     theirs[i].other + " by " + theirs[i].by + ", where a " + own[i].kind + " of " +
                     own[i].account + " against " + own[i].other + " was asked for");
        expect_fen(cause, "the amount", own[i].amount, theirs[i].amount);
    }
}

void Auditor::check_paid() {
    for (const std::string& key : std::exchange(fresh_, {})) {
        const Paid& paid = paid_.at(key);
        const auto found = topups_.find("topup:" + key);
        if (found == topups_.end())
            disagree("account " + paid.account + ": top-up " + key +
                     " was acknowledged and is not in the books");
        if (found->second.first != paid.account) disagree("top-up " + key + ": another account");
        expect_fen("account " + paid.account + ", top-up " + key, "the amount", paid.fen,
                   found->second.second);
    }
    for (const std::string& cause : std::exchange(fresh_acts_, {}))
        if (!acts_.contains(cause)) disagree(cause + ": was acknowledged and is not in the books");
}

void Auditor::compare_ledger(Books& books) const {
    for (const auto& [book, balance] : books.ledger()) {
        const auto own = ledger_.find(book);
        expect_fen("the book " + book, "the sum of its legs",
                   own == ledger_.end() ? 0 : own->second, balance);
    }
}

}  // namespace gatehouse::money
