// What each account owes for the stretches that its meters' readings give, and where the ledger,
// the lines and the screens say otherwise.
#include <algorithm>
#include <tuple>

#include "tests/simulation/money_auditor.hpp"

namespace gatehouse::money {
namespace {

constexpr std::int64_t kPostedAfterMs = 5 * 60'000, kMarginMs = 5'000;
constexpr std::int64_t kSetBackMs = 4 * 3'600'000;
constexpr std::int64_t kNobodysTime = 1'000'000'000'000;  // a clock that was lost shows 2001

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

std::int64_t thousandths_in(const std::string& quantity) {
    return floor_of(ratio_of(quantity) * Ratio{1'000, 1});
}

}  // namespace

// Opening balance and ladder take effect once: at live_from, or at the account's first day.
void Auditor::open_account(Books& books, const Screen& screen, AccountAudit& account) {
    if (account.opened || !books.posted(account.plan.id, "opening")) return;
    account.opened = true;
    const std::int64_t day = account.plan.live_day.value_or(calendar_->day_of(screen.now_ms));
    // Since then the clock may have been lost, or set back by hours.
    if (account.plan.live_day && screen.trusted &&
        calendar_->day_of(screen.now_ms + kSetBackMs) < day)
        disagree("account " + account.plan.id + ": went live before its day");
    for (std::size_t i = 0; i < account.plan.opening_ladder.size(); ++i)
        prices_.seed(account.books, account.plan.tariffs[i], day,
                     thousandths_in(account.plan.opening_ladder[i]));
}

void Auditor::use(const AccountAudit& account, OwnLines& lines, const Charge& charge) const {
    const std::int64_t day = calendar_->day_of(charge.edge - 1);
    // A trial is read and costs nothing.
    if (account.plan.live_day && day < *account.plan.live_day) return;
    prices_.use(lines, charge.tariff, day, charge.quantity);
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

void Auditor::post(Books& books) {
    for (auto& [id, account] : accounts_) {
        if (account.open.empty()) continue;
        const std::string newest = books.newest_day_posted(id);
        std::vector<Charge> posted, open;
        for (Charge& charge : account.open) {
            const std::string day = text_of(civil_of(calendar_->day_of(charge.edge - 1)));
            (charge.at_once || day <= newest ? posted : open).push_back(std::move(charge));
        }
        account.open = std::move(open);
        put_in_order(posted, std::exchange(account.posted_through, newest));
        for (const Charge& charge : posted) {
            use(account, account.books, charge);
            account.months.insert(month_text(calendar_->day_of(charge.edge - 1)));
        }
    }
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
            if (line.price != floor_of(own.price * Ratio{100'000'000, 1}))
                disagree(where + ": the price is " + decimal_of(line.price, 8));
            expect_fen(where, "what was posted", ledgered(account) ? own.target() : 0, line.posted);
            if (found != theirs.end()) theirs.erase(found);
        }
        for (const auto& [key, line] : theirs)
            expect_quantity(name + ", line " + key, "the quantity", 0, line.quantity);
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
        if (*shown.read_at < kNobodysTime) return std::nullopt;
        const std::int64_t next = calendar_->midnight(calendar_->day_of(*shown.read_at) + 1);
        use(account, lines, {id, meter.terms.tariff, 0, next, *shown.total - meter.mark, false});
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
        const NextEdge edge = next_edge(meter);
        // A change of the registry comes after the sample of the same instant.
        if (meter.settled_until != 0 && edge.at + (edge.registry ? 1 : 0) <= *shown.read_at)
            disagree("meter " + id + ": read at " + std::to_string(*shown.read_at) +
                     " and nothing stands at the edge " + std::to_string(edge.at));
    }
}

// A day is posted once every meter has its freeze, at the latest five minutes after it ended.
void Auditor::compare_days(Books& books, const Screen& screen) const {
    if (!screen.trusted || !screen.writable || screen.up_ms < kPostedAfterMs + kMarginMs) return;
    const std::int64_t ended = calendar_->day_of(screen.now_ms - kPostedAfterMs - kMarginMs) - 1;
    for (const auto& [id, account] : accounts_) {
        const std::string newest = books.newest_day_posted(id);
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
    compare_meters(screen);
    compare_days(books, screen);
    for (auto& [id, account] : accounts_) {
        compare_lines(books, account);
        compare_balance(screen, account);
        compare_level(screen, account, false);
    }
}

void Auditor::audit(Books& books, const Screen& screen) {
    books.forget_times();
    read(books);
    for (auto& [id, account] : accounts_) open_account(books, screen, account);
    post(books);
    compare(books, screen);
    ++tally_.audits;
}

void Auditor::final_audit(Books& books, const Screen& screen,
                          const std::map<std::string, Ratio>& true_faces) {
    audit(books, screen);
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
