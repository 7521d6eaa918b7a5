// What each account owes for the stretches that its meters' readings give, and where the ledger,
// the lines and the screens say otherwise.
#include <algorithm>
#include <tuple>

#include "tests/simulation/money_auditor.hpp"

namespace gatehouse::money {
namespace {

constexpr std::int64_t kPostedAfterMs = 5 * 60'000, kMarginMs = 5'000;
constexpr std::int64_t kSetBackMs = 4 * 3'600'000;

// A clock that was lost shows 2001, or a year that has not come.
bool is_nobodys(const Screen& screen, std::int64_t at) {
    return at < 1'000'000'000'000 || at > screen.now_ms + 100 * std::int64_t{86'400'000};
}

[[noreturn]] void disagree(const std::string& text) {
    throw Disagreement(text);
}

void expect_fen(const std::string& where, const char* what, std::int64_t own, std::int64_t theirs) {
    if (own != theirs)
        disagree(where + ": " + what + " is " + decimal_of(own, 2) + " by the auditor and " +
                 decimal_of(theirs, 2) + " in the books");
}

void expect_quantity(const std::string& where, const char* what, std::int64_t own,
                     std::int64_t theirs) {
    if (own != theirs)
        disagree(where + ": " + what + " is " + decimal_of(own, 3) + " by the auditor and " +
                 decimal_of(theirs, 3) + " in the books");
}

std::int64_t fen_in(const std::string& amount) {
    return amount.empty() ? 0 : floor_of(ratio_of(amount) * Ratio{100, 1});
}

std::int64_t day_of_text(const std::string& date) {
    return day_number(
        {std::stoi(date.substr(0, 4)), std::stoi(date.substr(5, 2)), std::stoi(date.substr(8, 2))});
}

std::int64_t thousandths_in(const std::string& quantity) {
    return floor_of(ratio_of(quantity) * Ratio{1'000, 1});
}

}  // namespace

// Opening balance and ladder take effect once: at live_from, or at the account's first day.
void Auditor::open_account(Books& books, const Screen& screen, AccountAudit& account) {
    if (account.opened || !books.posted(account.plan.id, "opening")) return;
    account.opened = true;
    // The day before its first is keyed as posted with it; the clock may have been lost since.
    const std::string before_first = books.oldest_day_posted(account.plan.id);
    const std::int64_t first =
        before_first.empty() ? calendar_->day_of(screen.now_ms) : day_of_text(before_first) + 1;
    const std::int64_t day = account.opened_on = account.plan.live_day.value_or(first);
    // Since then the clock may have been lost, or set back by hours.
    if (account.plan.live_day && screen.trusted &&
        calendar_->day_of(screen.now_ms + kSetBackMs) < day)
        disagree("account " + account.plan.id + ": went live before its day");
    for (std::size_t i = 0; i < account.plan.opening_ladder.size(); ++i)
        seed(account, account.plan.tariffs[i], day, thousandths_in(account.plan.opening_ladder[i]));
    if (account.goes_on_from.empty()) return;
    const AccountAudit& before = accounts_.at(account.goes_on_from);
    for (const std::string& tariff : account.plan.tariffs)
        seed(account, tariff, day, prices_of(before).counted(before.books, tariff, day));
}

std::vector<std::string> Auditor::ladders_of(const std::string& id) const {
    const AccountAudit& account = accounts_.at(id);
    std::vector<std::string> counted;
    for (const std::string& tariff : account.plan.tariffs)
        counted.push_back(
            decimal_of(prices_of(account).counted(account.books, tariff, account.opened_on), 3));
    return counted;
}

// Puts what was posted in the order in which it was: changes, replacements and late readings with
// their rows, missed days oldest first once the last of their rows is there, within a posting by
// seq. Where a ladder's limit and the end of a month lie close, the order decides the line.
void Auditor::put_in_order(std::vector<Charge>& posted, const std::string& posted_before) const {
    const auto day_of = [&](const Charge& charge) { return calendar_->day_of(charge.edge - 1); };
    const auto by_day = [&](const Charge& charge) {
        return !charge.at_once && text_of(civil_of(day_of(charge))) > posted_before;
    };
    std::map<std::int64_t, std::int64_t> complete;  // day -> seq of its last row
    for (const Charge& charge : posted)
        if (by_day(charge))
            complete[day_of(charge)] = std::max(complete[day_of(charge)], charge.seq);
    std::int64_t before = 0;
    for (auto& [day, seq] : complete) before = seq = std::max(seq, before);
    const auto place = [&](const Charge& charge) {
        return by_day(charge) ? std::tuple(complete.at(day_of(charge)), day_of(charge), charge.seq)
                              : std::tuple(charge.seq, std::int64_t{0}, charge.seq);
    };
    std::sort(posted.begin(), posted.end(),
              [&](const Charge& a, const Charge& b) { return place(a) < place(b); });
}

// With its row, with its day, or, where that was posted before, with the end of it or the next day
// that is posted: a band's end within a day that is over already is no cause of its own.
bool Auditor::is_posted(Books& books, const AccountAudit& account, const Charge& charge,
                        const std::string& newest) const {
    const std::int64_t day = calendar_->day_of(charge.edge - 1);
    if (charge.at_once) return true;
    if (text_of(civil_of(day)) > newest) return false;
    if (text_of(civil_of(day)) > account.posted_through) return true;
    if (charge.waited && newest > account.posted_through) return true;
    // It came, and a day was posted, since the audit before: which of them was first?
    if (newest > account.posted_through &&
        charge.seq <= books.charged_up_to(account.plan.id, charge.meter))
        return true;
    for (const Charge& one : account.open)
        if (one.meter == charge.meter && one.edge >= charge.edge &&
            one.edge == calendar_->midnight(calendar_->day_of(one.edge)))
            return true;
    return false;
}

// Days only come on top, and who has left gets none: what no account has reached yet is looked
// through, with some days of margin, and all of it at the end.
void Auditor::see_days(Books& books, bool all) {
    constexpr int kMarginDays = 3;
    std::string from;
    for (const auto& [id, account] : accounts_) {
        const auto newest = newest_days_.find(id);
        if (account.plan.closed || newest == newest_days_.end() || newest->second.empty()) continue;
        if (from.empty() || newest->second < from) from = newest->second;
    }
    if (!from.empty()) from = text_of(civil_of(day_of_text(from) - kMarginDays));
    for (const auto& [id, day] : books.newest_days_posted(all ? "" : from)) {
        std::string& known = newest_days_[id];
        if (day < known) disagree("account " + id + ": the posting of day " + known + " is gone");
        known = day;
    }
}

void Auditor::post(Books& books, bool successors) {
    for (auto& [id, account] : accounts_) {
        if (!successors && !account.opened && !account.goes_on_from.empty()) continue;
        const std::string newest = newest_days_[id];
        if (account.open.empty() && newest == account.posted_through) continue;
        if (!account.first_day && !newest.empty()) {
            // The day before the account's first is keyed as posted when it opens.
            account.first_day = day_of_text(books.oldest_day_posted(id)) + 1;
            account.posted_through = text_of(civil_of(*account.first_day - 1));
        }
        std::vector<Charge> posted, open;
        for (const Charge& charge : account.open)
            (is_posted(books, account, charge, newest) ? posted : open).push_back(charge);
        account.open = std::move(open);
        for (Charge& charge : account.open) charge.waited = true;
        const std::string before = std::exchange(account.posted_through, newest);
        put_in_order(posted, before);
        for (const Charge& charge : posted) {
            use(account, account.books, charge);
            account.history.push_back(charge);
            account.months.insert(month_text(calendar_->day_of(charge.edge - 1)));
            // What goes along with a change of today leaves the fees of its own days to them.
            const bool along =
                charge.at_once && std::any_of(posted.begin(), posted.end(), [&](const Charge& one) {
                    return one.at_once && one.meter == charge.meter && one.seq > charge.seq;
                });
            owe_fees(account, charge.edge, false, along ? Due::by_the_day : Due::with_the_posting);
        }
        if (!newest.empty())
            for (std::int64_t day = day_of_text(before) + 1; day <= day_of_text(newest); ++day)
                post_day(account, day);
    }
}

// The tariffs that charged a meter of the account up to that instant.
std::set<std::string> Auditor::tariffs_before(const std::string& account, std::int64_t edge,
                                              bool begun_since) const {
    std::set<std::string> tariffs;
    for (const auto& [id, meter] : meters_) {
        if (!meter.begun || (!begun_since && meter.begun_at && *meter.begun_at > edge)) continue;
        const Terms& terms = terms_at(meter, edge);
        if (terms.account == account) tariffs.insert(terms.tariff);
    }
    return tariffs;
}

// A fee of a month is due with the first posting whose use lies in it, one of a day with the day.
void Auditor::owe_fees(AccountAudit& account, std::int64_t edge, bool daily, Due due) {
    const std::int64_t day = calendar_->day_of(edge - 1);
    const Civil date = civil_of(day);
    const std::int64_t last =
        day_number({date.year, date.month, 1}) + days_of_month(date.year, date.month) - 1;
    // Before it was open, or live, nothing is due.
    if (!ledgered(account) || !account.first_day || last < *account.first_day) return;
    if (account.plan.live_day && day < *account.plan.live_day) return;
    if (due == Due::with_the_posting)
        for (const std::string& tariff : tariffs_before(account.plan.id, edge, false))
            for (const Prices::Fee& fee : prices_of(account).fees(tariff, day, daily))
                account.fees[fee.cause].insert(fee.fen);
    // A meter that began, or changed its terms, after the edge and before its posting may bring its
    // tariff's in; that of a month is due with the next one all the same.
    std::set<std::string> early = tariffs_before(account.plan.id, edge, true);
    if (!daily)
        for (const auto& [id, meter] : meters_)
            if (meter.registry.account == account.plan.id) early.insert(meter.registry.tariff);
    for (const std::string& tariff : early)
        for (const Prices::Fee& fee : prices_of(account).fees(tariff, day, daily))
            account.early_fees[fee.cause].insert(fee.fen);
}

void Auditor::post_day(AccountAudit& account, std::int64_t day) {
    const std::int64_t edge = calendar_->midnight(day + 1);
    owe_fees(account, edge, true, Due::with_the_posting);
    const Civil date = civil_of(day);
    if (date.day != days_of_month(date.year, date.month)) return;
    // No minimum in the month in which an account opened.
    const std::int64_t before = day - date.day;
    if (before < *account.first_day) return;
    if (account.plan.live_day && before < *account.plan.live_day) return;
    for (const std::string& tariff : tariffs_before(account.plan.id, edge, false)) {
        account.minima.emplace_back(tariff, day);
        prices_of(account).begin_minimum(account.books, tariff, day);
    }
    account.months.insert(month_text(day));
}

void Auditor::compare_fees(AccountAudit& account) const {
    const std::string name = "account " + account.plan.id + ", ";
    for (const auto& [cause, amounts] : account.fees) {
        const auto booked = account.booked_fees.find(cause);
        if (booked == account.booked_fees.end()) disagree(name + cause + ": was never charged");
        if (!amounts.contains(booked->second) &&
            !account.early_fees.at(cause).contains(booked->second))
            disagree(name + cause + ": is " + decimal_of(booked->second, 2) + " in the books");
    }
    for (const auto& [cause, fen] : account.booked_fees)
        if (!account.fees.contains(cause) && !account.early_fees.contains(cause))
            disagree(name + cause + ": is not due");
}

void Auditor::compare_lines(Books& books, AccountAudit& account) {
    if (account.months.empty()) return;
    const std::string name = "account " + account.plan.id;
    for (const std::string& month : std::exchange(account.months, {})) {
        auto theirs = books.lines_of(account.plan.id, month);
        for (const auto& [key, own] : account.books.lines) {
            if (key.find("|" + month + "|") == std::string::npos) continue;
            const auto found = theirs.find(key);
            const LineOnDisk line = found == theirs.end() ? LineOnDisk{} : found->second;
            const std::string where = name + ", line " + key;
            expect_quantity(where, "the quantity", own.quantity, line.quantity);
            // A line that took nothing need not stand in the books: a minimum that was reached.
            const bool stands = own.quantity != 0 || found != theirs.end();
            if (stands && line.price != floor_of(own.price * Ratio{100'000'000, 1}))
                disagree(where + ": the price is " + decimal_of(line.price, 8));
            expect_fen(where, "what was posted", ledgered(account) ? own.target() : 0, line.posted);
            if (found != theirs.end()) theirs.erase(found);
        }
        for (const auto& [key, line] : theirs) {
            expect_quantity(name + ", line " + key, "the quantity", 0, line.quantity);
            expect_fen(name + ", line " + key, "what was posted", 0, line.posted);
        }
    }
    for (const auto& [tariff, rest] : books.rests_of(account.plan.id)) {
        const auto own = account.books.steps.find(tariff);
        expect_quantity(
            name + ", tariff " + tariff, "what whole steps hold back",
            own == account.books.steps.end() ? 0 : own->second.used - own->second.entered, rest);
    }
    for (const auto& [key, quantity] : books.counters_of(account.plan.id)) {
        // Without a ladder nothing is counted that a price hangs on.
        if (!prices_.has_ladder(key)) continue;
        const auto own = account.books.counters.find(key);
        expect_quantity(name + ", ladder counter " + key, "the counter",
                        own == account.books.counters.end() ? 0 : own->second, quantity);
    }
}

// The lines as they would be if what confirmed samples have used since the last posting were
// posted now: meters in order of id, each its edges and then the rest.
std::optional<OwnLines> Auditor::with_rest(const Screen& screen,
                                           const AccountAudit& account) const {
    OwnLines lines = account.books;
    for (const auto& [id, meter] : meters_) {
        if (meter.terms.account != account.plan.id || !meter.begun || !meter.marked) continue;
        for (const Charge& charge : account.open)
            if (charge.meter == id) use(account, lines, charge);
        const MeterScreen& shown = screen.meters.at(id);
        if (!shown.total || !shown.read_at || *shown.total <= meter.mark) continue;
        if (is_nobodys(screen, *shown.read_at)) return std::nullopt;
        use(account, lines,
            {id, meter.terms.tariff, 0, *shown.read_at + 1, *shown.total - meter.mark,
             meter.terms.persons, false});
    }
    return lines;
}

void Auditor::compare_balance(const Screen& screen, const AccountAudit& account) const {
    const std::string name = "account " + account.plan.id;
    const AccountScreen& shown = screen.accounts.at(account.plan.id);
    const std::int64_t posted = account.books.targets();
    const std::int64_t ledger = ledgered(account) ? account.money - posted : account.money;
    if (!ledgered(account) && account.money != 0) disagree(name + ": money before it is live");
    expect_fen(name, "the sum of the entries", ledger, account.entries);
    expect_fen(name, "the ledger balance", ledger, shown.ledger);
    if (account.plan.closed) expect_fen(name, "what its end left", 0, ledger);
    if (!screen.trusted) return;
    const std::optional<OwnLines> lines = with_rest(screen, account);
    const std::int64_t used = ledgered(account) && lines ? lines->targets() - posted : 0;
    if (lines) expect_fen(name, "the balance", ledger - used, shown.balance);
    if (shown.provisional > shown.balance)
        disagree(name + ": the provisional balance is above the balance");
}

// The level that the amount gives: at or below a threshold it holds; above it only up to the
// margin, and only where it held already.
void Auditor::compare_level(const Screen& screen, const AccountAudit& account, bool exact) const {
    const AccountScreen& shown = screen.accounts.at(account.plan.id);
    const std::string name = "account " + account.plan.id;
    if (account.plan.closed && shown.level != 0) disagree(name + ": an alert after its end");
    if (account.plan.closed) return;
    if (!ledgered(account) || !shown.judged || !screen.writable) {
        if (!ledgered(account) && shown.level != 0) disagree(name + ": an alert without money");
        return;
    }
    const std::int64_t overdraft = fen_in(account.plan.overdraft);
    const auto level = [&](std::int64_t margin) {
        if (overdraft > 0 && shown.balance < -overdraft) return 4;
        if (shown.balance <= 0) return 3;
        const auto within = [&](std::int64_t limit) {
            return shown.balance <= limit || shown.balance < limit + margin;
        };
        return within(screen.critical) ? 2 : within(screen.low) ? 1 : 0;
    };
    if (shown.level < level(0))
        disagree(name + ": level " + std::to_string(shown.level) + " at a balance of " +
                 decimal_of(shown.balance, 2));
    if (exact && shown.level > level(screen.margin))
        disagree(name + ": level " + std::to_string(shown.level) + " is kept at a balance of " +
                 decimal_of(shown.balance, 2));
}

void Auditor::compare_meters(const Screen& screen) const {
    for (const auto& [id, meter] : meters_) {
        const MeterScreen& shown = screen.meters.at(id);
        if (!meter.begun || !shown.total || !shown.read_at) continue;
        if (*shown.total < meter.last_total) disagree("meter " + id + ": its total fell");
        if (!screen.trusted || !screen.writable || !meter.last_at) continue;
        if (is_nobodys(screen, *shown.read_at)) continue;
        // The edges of a price that came late are passed with its settlement.
        const auto payer = accounts_.find(meter.terms.account);
        if (payer != accounts_.end() && !payer->second.unheard.empty()) continue;
        const NextEdge edge = next_edge(meter);
        // A change of the registry comes after the sample of the same instant.
        const bool registry = edge.kind == NextEdge::Kind::registry;
        if (meter.settled_until != 0 && edge.at + (registry ? 1 : 0) <= *shown.read_at)
            disagree("meter " + id + ": read at " + std::to_string(*shown.read_at) +
                     " and nothing stands at the edge " + std::to_string(edge.at));
    }
}

// A day is posted once every meter has its freeze, at the latest five minutes after it ended.
void Auditor::compare_days(const Screen& screen) const {
    if (!screen.trusted || !screen.writable || screen.up_ms < kPostedAfterMs + kMarginMs) return;
    const std::int64_t ended = calendar_->day_of(screen.now_ms - kPostedAfterMs - kMarginMs) - 1;
    for (const auto& [id, account] : accounts_) {
        if (account.plan.closed) continue;
        const auto found = newest_days_.find(id);
        const std::string newest = found == newest_days_.end() ? "" : found->second;
        if (!newest.empty() && newest < text_of(civil_of(ended)))
            disagree("account " + id + ": the newest posted day is " + newest + ", " +
                     text_of(civil_of(ended)) + " has ended");
    }
}

void Auditor::compare(Books& books, const Screen& screen) {
    for (auto& [series, seq] : gapless_)
        if (const std::string hole = books.hole_in(series, seq); !hole.empty()) disagree(hole);
    check_paid();
    compare_ledger(books);
    compare_months(books);
    compare_meters(screen);
    compare_days(screen);
    for (auto& [id, account] : accounts_) {
        compare_lines(books, account);
        compare_fees(account);
        compare_taken_back(account);
        compare_balance(screen, account);
        compare_level(screen, account, false);
    }
}

void Auditor::audit(Books& books, const Screen& screen) {
    const Books::OneState state(books);
    books.forget_times();
    read(books);
    read_figures(books);
    settle_late(books);
    // Who takes a ladder over takes it as the last posting of who left it has it.
    for (auto& [id, account] : accounts_)
        if (account.goes_on_from.empty()) open_account(books, screen, account);
    see_days(books, false);
    post(books, false);
    for (auto& [id, account] : accounts_) {
        end_late(account);
        open_account(books, screen, account);
    }
    // Who came days before that was entered has days already.
    post(books, true);
    compare(books, screen);
    ++tally_.audits;
}

void Auditor::final_audit(Books& books, const Screen& screen,
                          const std::map<std::string, Ratio>& true_faces) {
    audit(books, screen);
    const std::map<std::string, std::string> seen = newest_days_;
    see_days(books, true);
    if (newest_days_ != seen) disagree("a day was posted that no audit saw");
    const std::int64_t today = calendar_->day_of(screen.now_ms);
    for (const auto& [id, account] : accounts_) {
        compare_level(screen, account, true);
        for (const Charge& charge : account.open)
            if (calendar_->day_of(charge.edge - 1) < today)
                disagree("account " + id + ": the use of meter " + charge.meter +
                         " up to reading " + std::to_string(charge.seq) + " was never charged");
    }
    for (const auto& [id, meter] : meters_) {
        const std::string name = "meter " + id;
        if (!meter.edges.empty()) disagree(name + ": a change of the registry is not passed");
        const Ratio face = true_faces.at(id);
        const std::int64_t total = meter.base_total +
                                   figure_of(face, ratio_of(meter.terms.multiplier)) -
                                   meter.base_figure;
        expect_quantity(name, "the total of what it truly shows", total,
                        screen.meters.at(id).total.value_or(-1));
        expect_quantity(name, "the register", half_up(face * Ratio{1'000, 1}),
                        screen.meters.at(id).register_value.value_or(-1));
    }
}

}  // namespace gatehouse::money
