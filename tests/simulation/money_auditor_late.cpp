// Prices that come after their first day: until its settlement is in the books an account goes by
// those that were known, then all that it was charged for is priced anew. Who left before keeps
// what the end was settled by.
#include <algorithm>
#include <tuple>

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
    // What was stored since is stored at its edges: nothing was read meanwhile.
    publish(plan);
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

std::vector<Auditor::Correctable> Auditor::correctable(const std::string& id) const {
    const MeterAudit& meter = meters_.at(id);
    std::vector<Correctable> found;
    if (meter.dated || !meter.undated.empty() || !meter.estimated.empty()) return found;
    for (auto row = meter.rows.begin(); row != meter.rows.end(); ++row) {
        const RowKind kind = row->second.kind;
        if (kind != RowKind::interval && kind != RowKind::freeze && kind != RowKind::month &&
            kind != RowKind::change)
            continue;
        auto before = row, after = std::next(row);
        while (before != meter.rows.begin() && (before == row || before->second.estimated))
            --before;
        // A figure that is repeated was wrong each time.
        while (after != meter.rows.end() &&
               (after->second.estimated || after->second.total == row->second.total))
            ++after;
        if (before == row || after == meter.rows.end() || before->second.estimated) continue;
        const std::int64_t low = before->second.register_value, high = after->second.register_value;
        const std::int64_t stands = row->second.register_value;
        if (low > stands || stands > high) continue;
        found.push_back({row->first, low, high, {}});
        for (auto one = before; one != std::next(after); ++one)
            found.back().around.push_back(one->first);
    }
    return found;
}

// One stretch ends with the row and the next begins with it: what the one has more the other has
// less. What is not posted yet moves at once.
void Auditor::move_charges(const std::string& id, std::int64_t seq, std::int64_t by,
                           const std::string& cause) {
    MeterAudit& meter = meters_.at(id);
    bool ends = false;
    for (auto& [name, account] : accounts_) {
        Charge *own = nullptr, *next = nullptr;
        bool own_posted = false, next_posted = false;
        const auto see = [&](std::vector<Charge>& charges, bool posted) {
            for (Charge& charge : charges) {
                if (charge.meter != id || charge.seq < seq) continue;
                if (charge.seq == seq) {
                    own = &charge;
                    own_posted = posted;
                } else if (next == nullptr || charge.seq < next->seq) {
                    next = &charge;
                    next_posted = posted;
                }
            }
        };
        see(account.history, true);
        see(account.open, false);
        if (own == nullptr) continue;
        ends = true;
        const auto move = [&](Charge* charge, bool posted, std::int64_t quantity,
                              std::int64_t from_total) {
            if (charge == nullptr) return;
            if (posted) {
                account.moved.push_back({cause, charge->seq, quantity, from_total});
            } else {
                charge->quantity += quantity;
                charge->from_total += from_total;
            }
        };
        move(own, own_posted, by, 0);
        move(next, next_posted, -by, by);
    }
    if (ends && meter.mark_seq == seq) meter.mark += by;
    if (meter.settled_seq == seq) meter.settled_total += by;
}

// The rows of a meter in order of time: midnights that were split once the clock was confirmed came
// later than what was read behind them. What nobody can date is beside none of them, but for the
// row that is asked for.
std::vector<Auditor::InTime> Auditor::in_time(Books& books, const MeterAudit& meter,
                                              std::int64_t root) const {
    std::vector<InTime> rows;
    std::int64_t last = 0;
    for (const auto& [seq, row] : meter.rows) {
        const auto at =
            row.stands_at ? row.stands_at : books.time_of(row.stamp.first, row.stamp.second);
        if (!at && seq != root) continue;
        last = std::max(last, at.value_or(last));
        rows.push_back({at.value_or(last), seq, &row});
    }
    std::sort(rows.begin(), rows.end(), [](const InTime& a, const InTime& b) {
        return std::tie(a.at, a.row->total, a.seq) < std::tie(b.at, b.row->total, b.seq);
    });
    return rows;
}

// What was estimated lies on the line between what was read beside it.
void Auditor::check_estimates(const std::vector<InTime>& rows, std::int64_t seq) const {
    auto first =
        std::find_if(rows.begin(), rows.end(), [&](const InTime& one) { return one.seq == seq; });
    auto end = first;
    while (first != rows.begin() && first->row->estimated) --first;
    while (end != rows.end() && end->row->estimated) ++end;
    if (end == rows.end())
        disagree("reading " + std::to_string(seq) + ": estimated, and nothing was read behind it");
    for (auto one = std::next(first); one != end; ++one) {
        const std::int64_t total =
            at_edge(first->row->total, first->at, end->row->total, end->at, one->at);
        if (total != one->row->total)
            disagree("reading " + std::to_string(one->seq) + ": estimated anew as " +
                     decimal_of(one->row->total, 3) + ", and lies at " + decimal_of(total, 3));
    }
}

// People typed what the face showed then: the row and those that repeat it stand there, and what
// was estimated around them follows.
void Auditor::correct(Books& books, const std::vector<ReadingOnDisk>& batch) {
    if (batch.empty()) return;
    MeterAudit& meter = meters_.at(batch[0].meter);
    const Ratio multiplier = ratio_of(meter.terms.multiplier);
    std::optional<std::int64_t> wrong;
    std::string cause;
    std::int64_t root = 0;
    for (const ReadingOnDisk& row : batch) {
        if (!corrected_to_.contains(row.supersedes) || row.quality != RowQuality::manual) continue;
        root = row.supersedes;
        cause = "correction:" + std::to_string(row.seq);
    }
    if (cause.empty()) disagree("meter " + batch[0].meter + ": nobody asked for its correction");
    for (const ReadingOnDisk& row : batch) {
        Row& stood = meter.rows.at(row.supersedes);
        const std::int64_t before = stood.total;
        if (row.quality == RowQuality::manual) {
            const auto asked = corrected_to_.find(row.supersedes);
            if (asked != corrected_to_.end() && asked->second != row.register_value)
                disagree("reading " + std::to_string(row.seq) + ": another register was typed");
            const std::int64_t total = before +
                                       figure_of(thousandths(row.register_value), multiplier) -
                                       figure_of(thousandths(stood.register_value), multiplier);
            const bool repeats = !wrong || *wrong == before;
            if (!stood.estimated && total != row.total)
                disagree("reading " + std::to_string(row.seq) + ": the corrected total is " +
                         decimal_of(total, 3) + " by the auditor and " + decimal_of(row.total, 3) +
                         " in the books");
            if (!repeats) disagree("reading " + std::to_string(row.seq) + ": was another figure");
            wrong = before;
            stood.estimated = false;
        } else if (!stood.estimated) {
            disagree("reading " + std::to_string(row.seq) + ": is no estimate of an estimate");
        }
        stood.total = row.total;
        stood.register_value = row.register_value;
        if (row.total != before) move_charges(row.meter, row.supersedes, row.total - before, cause);
        if (meter.settled_seq == row.supersedes) meter.settled_register = row.register_value;
    }
    const std::vector<InTime> rows = in_time(books, meter, root);
    const auto typed =
        std::find_if(rows.begin(), rows.end(), [&](const InTime& one) { return one.seq == root; });
    auto before = typed, after = typed;
    while (before != rows.begin() && (before == typed || before->row->estimated)) --before;
    while (after != rows.end() && (after->row->estimated || after->row->total == typed->row->total))
        ++after;
    if (before->row->total > typed->row->total ||
        (after != rows.end() && after->row->total < typed->row->total))
        disagree("reading " + std::to_string(root) + ": was corrected to a total of " +
                 decimal_of(typed->row->total, 3) + ", which its neighbours do not hold");
    for (const ReadingOnDisk& row : batch)
        if (meter.rows.at(row.supersedes).estimated) check_estimates(rows, row.supersedes);
    ++tally_.corrected;
}

void Auditor::settle_late(Books& books) {
    for (auto& [id, account] : accounts_) {
        bool moved = false;
        for (auto one = account.moved.begin(); one != account.moved.end();) {
            if (!books.posted(id, one->cause)) {
                ++one;
                continue;
            }
            for (Charge& charge : account.history)
                if (charge.seq == one->seq) {
                    charge.quantity += one->quantity;
                    charge.from_total += one->from_total;
                }
            moved = true;
            one = account.moved.erase(one);
        }
        for (auto late = account.unheard.begin(); late != account.unheard.end();) {
            if (late->left) {
                ++late;
                continue;
            }
            const bool settled = books.settled(id, late->event);
            const bool left = !settled && books.settling_state(id, late->event) == "left";
            late->left = left && account.plan.closed;
            if (left && !account.plan.closed)
                disagree("account " + id + ": event " + std::to_string(late->event) +
                         " is never settled, and the account is open");
            moved = moved || settled;
            late = settled ? account.unheard.erase(late) : std::next(late);
        }
        if (!moved) continue;
        hold_prices(account);
        check_told(books, account);
        post_anew(account);
        ++tally_.settled;
    }
    for (const std::string& cause : std::exchange(settled_causes_, {}))
        if (!late_.contains(cause)) disagree(cause + ": no price came late with it");
}

}  // namespace gatehouse::money
