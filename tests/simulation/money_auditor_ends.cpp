// An end that is entered days after it happened: what was posted meanwhile of the time after it was
// never owed. Fees of later days and months are undone whole, minimums of the month of the end and
// of later ones fall away, and who came owes both from that date on like anybody.
#include "tests/simulation/money_auditor.hpp"

namespace gatehouse::money {
namespace {

[[noreturn]] void disagree(const std::string& text) {
    throw Disagreement(text);
}

// A day's fee is of the whole day, which who came has; the month of the end was lived in.
bool is_after(const Calendar& calendar, const std::string& cause, std::int64_t end) {
    const std::string of = cause.substr(cause.rfind('/') + 1);
    const bool monthly = of.size() == std::string("2026-11").size();
    return monthly ? of > month_text(calendar.day_of(end - 1))
                   : of >= text_of(civil_of(calendar.day_of(end)));
}

}  // namespace

// One fee of the account, whole, under the fee's own cause.
void Auditor::take_back(const EntryOnDisk& entry, const std::string& name, AccountAudit& account) {
    const std::string cause = entry.cause.substr(std::string("close:").size());
    const auto fee = account.fee_entries.find(cause);
    if (fee == account.fee_entries.end() || fee->second != entry.reverses)
        disagree(name + ": " + entry.cause + " undoes " + entry.reverses + ", which is not that");
    if (entry.amount != account.booked_fees.at(cause) || entry.legs.at(1).book != "fees")
        disagree(name + ": " + entry.cause + " is not what it undoes");
    if (entry.by == entry.second || entry.by.empty() || entry.second.empty())
        disagree(name + ": two people did not sign it");
    if (!undone_.insert(entry.reverses).second)
        disagree(name + ": " + entry.reverses + " was undone before");
    account.taken_back.insert(cause);
    ++tally_.taken_back;
}

// No month that did not end with the household in it has a minimum.
void Auditor::end_late(AccountAudit& account) {
    if (!account.ended_at) return;
    const std::int64_t day = calendar_->day_of(*account.ended_at);
    const std::string from = month_text(day);
    std::erase_if(account.minima, [&](const auto& one) { return month_text(one.second) >= from; });
    std::erase_if(account.books.minimums, [&](const auto& one) {
        const std::string month = one.first.substr(one.first.find('|') + 1, from.size());
        if (month < from) return false;
        std::int64_t& quantity = account.books.lines.at(one.first).quantity;
        if (std::exchange(quantity, 0) != 0) ++tally_.minimums_back;
        account.months.insert(month);
        return true;
    });
}

void Auditor::compare_taken_back(const AccountAudit& account) const {
    const std::string name = "account " + account.plan.id + ", ";
    for (const auto& [cause, entry] : account.fee_entries) {
        const bool after = account.ended_at && is_after(*calendar_, cause, *account.ended_at);
        if (after && !undone_.contains(entry))
            disagree(name + cause + ": is of the time after its end, and stands");
        if (!after && account.taken_back.contains(cause))
            disagree(name + cause + ": was taken back, and is of the time before its end");
    }
}

}  // namespace gatehouse::money
