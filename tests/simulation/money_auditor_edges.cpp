// Edges of bands where nobody took a freeze, since their price came later than the use: what the
// books say the total was there, worked out again from the hours that are kept, the hours held
// against what was read around them.
#include <algorithm>
#include <cstdint>

#include "tests/simulation/money_auditor.hpp"

namespace gatehouse::money {
namespace {

[[noreturn]] void disagree(const std::string& text) {
    throw Disagreement(text);
}

}  // namespace

// Strictly within the stretch; a meter that was away over a midnight is split by nobody.
std::vector<std::int64_t> Auditor::edges_inside(const AccountAudit& account,
                                                const Charge& charge) const {
    std::vector<std::int64_t> inside;
    if (charge.from == 0 || charge.tariff.empty() || charge.quantity < 0) return inside;
    const std::int64_t day = calendar_->day_of(charge.from);
    if (charge.from >= charge.edge || day != calendar_->day_of(charge.edge - 1)) return inside;
    for (const std::int64_t edge : prices_of(account).band_edges(charge.tariff, day))
        if (edge > charge.from && edge < charge.edge) inside.push_back(edge);
    return inside;
}

void Auditor::use(const AccountAudit& account, OwnLines& lines, const Charge& charge) const {
    const std::int64_t day = calendar_->day_of(charge.edge - 1);
    // A trial is read and costs nothing.
    if (account.plan.live_day && day < *account.plan.live_day) return;
    const Prices& prices = prices_of(account);
    const std::int64_t end = charge.from_total + charge.quantity;
    std::int64_t before = charge.from_total;
    const auto kept = figures_.find(account.plan.id);
    for (const std::int64_t edge : edges_inside(account, charge)) {
        std::int64_t total = at_edge(charge.from_total, charge.from, end, charge.edge, edge);
        if (kept != figures_.end())
            if (const auto found = kept->second.find({charge.seq, edge});
                found != kept->second.end())
                total = found->second;
        total = std::clamp(total, before, end);
        prices.use(lines, charge.tariff, edge - 1, charge.persons, total - before);
        before = total;
    }
    prices.use(lines, charge.tariff, charge.edge - 1, charge.persons, end - before);
}

// Not below what was stored before the hour, not above what was stored after it. Rows beside which
// a clock was set back say nothing: of them the same hour came twice.
void Auditor::check_hour(Books& books, const std::string& id, std::int64_t at,
                         std::int64_t total) const {
    struct Stored {
        std::int64_t seq = 0, at = 0, total = 0;
        bool turned = false;
    };
    std::vector<Stored> stored;
    for (const auto& [seq, row] : meters_.at(id).rows) {
        const auto stands =
            row.stands_at ? row.stands_at : books.time_of(row.stamp.first, row.stamp.second);
        if (!row.estimated && stands) stored.push_back({seq, *stands, row.total});
    }
    std::int64_t latest = INT64_MIN, earliest = INT64_MAX;
    for (Stored& row : stored) {
        row.turned = row.at < latest;
        latest = std::max(latest, row.at);
    }
    for (auto row = stored.rbegin(); row != stored.rend(); ++row) {
        row->turned = row->turned || row->at > earliest;
        earliest = std::min(earliest, row->at);
    }
    for (const Stored& row : stored)
        if (!row.turned && (row.at <= at ? row.total > total : row.total < total))
            disagree("meter " + id + ": the hour " + std::to_string(at) + " has " +
                     decimal_of(total, 3) + " and reading " + std::to_string(row.seq) + " of " +
                     std::to_string(row.at) + " has " + decimal_of(row.total, 3));
}

// The line between the full hours next to the edge, or the ends; false: no hour lies between them.
bool Auditor::tell(Books& books, const std::string& meter, Anchor& from, Anchor& to,
                   std::int64_t edge) const {
    const Anchor begin = from, end = to;
    const auto hours = books.hours(meter, from.at + 1, end.at - 1);
    // An hour beside the stretch is of a clock that was wrong for a while.
    for (const auto& [at, total] : hours)
        if (at <= edge && total >= begin.total && total <= end.total) from = {at, total, 0};
    for (const auto& [at, total] : hours) {
        if (at < edge || total < from.total || total > end.total) continue;
        to = {at, total, 0};
        break;
    }
    if (from.at != begin.at) check_hour(books, meter, from.at, from.total);
    if (to.at != end.at) check_hour(books, meter, to.at, to.total);
    return from.at != begin.at || to.at != end.at;
}

const Auditor::Charge& Auditor::charge_ending(const AccountAudit& account,
                                              const FigureOnDisk& figure) const {
    for (const auto* charges : {&account.history, &account.open})
        for (const Charge& charge : *charges)
            if (charge.meter == figure.meter && charge.seq == figure.reading) return charge;
    disagree("account " + account.plan.id + ": a figure at an edge before reading " +
             std::to_string(figure.reading) + ", with which no use of it ends");
}

// A figure that was corrected lies on the line between what was read beside it.
std::int64_t Auditor::corrected_figure(Books& books, const FigureOnDisk& figure) const {
    std::optional<Anchor> before, after;
    for (const auto& [seq, row] : meters_.at(figure.meter).rows) {
        if (row.estimated) continue;
        const auto at =
            row.stands_at ? row.stands_at : books.time_of(row.stamp.first, row.stamp.second);
        if (!at) continue;
        if (*at <= figure.at && (!before || *at >= before->at)) before = Anchor{*at, row.total, 0};
        if (*at >= figure.at && (!after || *at < after->at)) after = Anchor{*at, row.total, 0};
    }
    if (!before || !after) disagree("meter " + figure.meter + ": an edge beside what was read");
    return at_edge(before->total, before->at, after->total, after->at, figure.at);
}

void Auditor::read_figures(Books& books) {
    if (books.figures() == figures_read_) return;
    for (const FigureOnDisk& figure : books.edge_figures()) {
        if (!figures_seen_.insert({figure.account, figure.reading, figure.at, figure.event}).second)
            continue;
        const AccountAudit& account = accounts_.at(figure.account);
        const Charge& charge = charge_ending(account, figure);
        std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t>& kept =
            figures_[figure.account];
        const bool first = !kept.contains({figure.reading, figure.at});
        std::int64_t own = 0;
        if (first) {
            Anchor from{charge.from, charge.from_total, 0};
            Anchor to{charge.edge, charge.from_total + charge.quantity, 0};
            if (figure.at <= from.at || figure.at >= to.at)
                disagree("reading " + std::to_string(figure.reading) + ": an edge beside its use");
            static_cast<void>(tell(books, figure.meter, from, to, figure.at));
            own = at_edge(from.total, from.at, to.total, to.at, figure.at);
        } else {
            if (!books.has_event(figure.event, "meter.reading_corrected"))
                disagree("reading " + std::to_string(figure.reading) + ": an edge moved by itself");
            own = corrected_figure(books, figure);
        }
        if (own != figure.total)
            disagree("account " + figure.account + ", meter " + figure.meter + ": at the edge " +
                     std::to_string(figure.at) + " before reading " +
                     std::to_string(figure.reading) + " the total is " + decimal_of(own, 3) +
                     " by the auditor and " + decimal_of(figure.total, 3) + " in the books");
        kept[{figure.reading, figure.at}] = figure.total;
        ++tally_.edges;
    }
    figures_read_ = books.figures();
}

// What the hours tell of an edge is not left to a line over the whole stretch.
void Auditor::check_told(Books& books, const AccountAudit& account) const {
    const auto kept = figures_.find(account.plan.id);
    for (const Charge& charge : account.history) {
        if (charge.quantity == 0) continue;  // whatever the prices are
        for (const std::int64_t edge : edges_inside(account, charge)) {
            if (kept != figures_.end() && kept->second.contains({charge.seq, edge})) continue;
            Anchor from{charge.from, charge.from_total, 0};
            Anchor to{charge.edge, charge.from_total + charge.quantity, 0};
            if (tell(books, charge.meter, from, to, edge))
                disagree("account " + account.plan.id + ": the edge " + std::to_string(edge) +
                         " before reading " + std::to_string(charge.seq) +
                         " was settled without the hours beside it");
        }
    }
}

}  // namespace gatehouse::money
