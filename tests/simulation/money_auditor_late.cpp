// Prices that come after their first day: until its settlement is in the books an account goes by
// those that were known, then all that it was charged for is priced anew. Who left before keeps
// what the end was settled by.
#include "tests/simulation/money_auditor.hpp"

namespace gatehouse::money {
namespace {

[[noreturn]] void disagree(const std::string& text) {
    throw Disagreement(text);
}

}  // namespace

void Auditor::hold_prices(AccountAudit& account) const {
    account.own.reset();
    if (account.unheard.empty()) return;
    std::vector<LateVersion> unheard;
    for (const Late& late : account.unheard) unheard.push_back(late.version);
    auto own = std::make_shared<Prices>(*calendar_);
    own->publish(without(published_, unheard));
    account.own = std::move(own);
}

void Auditor::imported_late(const Plan& plan, std::int64_t event, const LateVersion& late,
                            Books& books) {
    for (auto& [id, account] : accounts_) {
        // Nothing was posted by that tariff: there is nothing to settle.
        const bool waits = books.settling_state(id, event) != "" || books.settled(id, event);
        if (waits || account.plan.closed) account.unheard.push_back({late, event});
    }
    late_.insert("version:" + std::to_string(event));
    imported(plan, event, books);
}

void Auditor::seed(AccountAudit& account, const std::string& tariff, std::int64_t day,
                   std::int64_t quantity) {
    account.seeds.push_back({tariff, prices_of(account).counter_on(tariff, day), day, quantity});
    prices_of(account).seed(account.books, tariff, day, quantity);
}

// All that was posted, by the prices that hold for the account now.
void Auditor::post_anew(AccountAudit& account) {
    const Prices& prices = prices_of(account);
    OwnLines lines;
    for (const Seed& seed : account.seeds)
        if (prices.counter_on(seed.tariff, seed.day) == seed.counter)
            prices.seed(lines, seed.tariff, seed.day, seed.quantity);
    for (const Charge& charge : account.history) use(account, lines, charge);
    for (const auto& [tariff, day] : account.minima) prices.begin_minimum(lines, tariff, day);
    // What a line has no more is compared as well.
    for (const OwnLines* one : {&account.books, &lines})
        for (const auto& [key, line] : one->lines) {
            const std::size_t month = key.find('|') + 1;
            account.months.insert(key.substr(month, 7));
        }
    account.books = std::move(lines);
}

void Auditor::settle_late(Books& books) {
    for (auto& [id, account] : accounts_) {
        bool moved = false;
        for (auto late = account.unheard.begin(); late != account.unheard.end();) {
            const bool settled = books.settled(id, late->event);
            if (!settled && books.settling_state(id, late->event) == "left" && !account.plan.closed)
                disagree("account " + id + ": event " + std::to_string(late->event) +
                         " is never settled, and the account is open");
            moved = moved || settled;
            late = settled ? account.unheard.erase(late) : std::next(late);
        }
        if (!moved) continue;
        hold_prices(account);
        post_anew(account);
        ++tally_.settled;
    }
    for (const std::string& cause : std::exchange(settled_causes_, {}))
        if (!late_.contains(cause)) disagree(cause + ": no price came late with it");
}

}  // namespace gatehouse::money
