// What the stored readings mean: totals from registers, edges between samples, and the stretches
// of use that each account owes.
#include "tests/simulation/money_auditor.hpp"

#include <algorithm>
#include <cstdlib>
#include <iterator>

namespace gatehouse::money {
namespace {

constexpr std::int64_t kOnEdgeMs = 5 * 60'000;

[[noreturn]] void disagree(const std::string& text) {
    throw Disagreement(text);
}

std::string name_of(const ReadingOnDisk& row) {
    return "meter " + row.meter + ", reading " + std::to_string(row.seq);
}

void expect(const ReadingOnDisk& row, const char* what, std::int64_t own, std::int64_t theirs) {
    if (own != theirs)
        disagree(name_of(row) + ": " + what + " is " + decimal_of(own, 3) + " by the auditor and " +
                 decimal_of(theirs, 3) + " in the books");
}

Ratio face_of(const ReadingOnDisk& row) {
    return row.face.empty() ? thousandths(row.register_value) : fraction_of(row.face);
}

}  // namespace

void Tally::add(const Tally& other) {
    audits += other.audits;
    readings += other.readings;
    estimated += other.estimated;
    charges += other.charges;
    late += other.late;
    entries += other.entries;
    acts += other.acts;
    months += other.months;
    moved += other.moved;
    taken_back += other.taken_back;
    minimums_back += other.minimums_back;
    replaced += other.replaced;
    changes += other.changes;
    rollovers += other.rollovers;
    released += other.released;
    settled += other.settled;
    corrected += other.corrected;
    edges += other.edges;
    below_truth += other.below_truth;
}

void Auditor::imported(const Plan& plan, std::int64_t event, Books& books) {
    for (const PlanAccount& account : plan.accounts) accounts_[account.id].plan = account;
    books.forget_times();
    read(books);
    publish(plan);
    for (const auto& [id, terms] : plan.terms()) {
        MeterAudit& meter = meters_[id];
        if (meter.begun && meter.registry != terms) {
            const auto at = books.time_of_event(event);
            if (!at) disagree("meter " + id + ": its terms changed at a time that nobody knows");
            meter.edges.push_back({event, *at, meter.registry});
        } else if (!meter.begun) {
            meter.terms = terms;
        }
        meter.registry = terms;
    }
}

void Auditor::publish(const Plan& plan) {
    published_ = plan;
    prices_.publish(plan);
    for (auto& [id, account] : accounts_) hold_prices(account);
}

void Auditor::read(Books& books) {
    // All rows of a correction stand in one transaction, side by side.
    std::vector<ReadingOnDisk> batch;
    for (const ReadingOnDisk& row : books.readings_after(reading_seq_)) {
        const bool same = !batch.empty() && row.supersedes != 0 && row.meter == batch[0].meter &&
                          row.run == batch[0].run && row.mono_ms == batch[0].mono_ms;
        if (!same) correct(books, std::exchange(batch, {}));
        if (row.supersedes != 0)
            batch.push_back(row);
        else
            take(books, row);
        reading_seq_ = row.seq;
        ++tally_.readings;
    }
    correct(books, batch);
    read_entries(books);
}

// What charges the meter before the edges at that instant and after all that lie before it.
const Terms& Auditor::terms_at(const MeterAudit& meter, std::int64_t at) {
    for (const Edge& edge : meter.passed)
        if (edge.at >= at) return edge.before;
    for (const Edge& edge : meter.edges)
        if (edge.at >= at) return edge.before;
    return meter.registry;
}

Auditor::NextEdge Auditor::next_edge(const MeterAudit& meter) const {
    const std::int64_t day = calendar_->day_of(meter.settled_until);
    NextEdge next{calendar_->midnight(day + 1), NextEdge::Kind::midnight};
    // At one instant the day ends first, then a band, and the terms change last.
    if (!meter.terms.tariff.empty())
        for (const std::int64_t edge : prices_.band_edges(meter.terms.tariff, day))
            if (edge > meter.settled_until && edge < next.at) next = {edge, NextEdge::Kind::band};
    if (!meter.edges.empty() && meter.edges.front().at < next.at)
        next = {meter.edges.front().at, NextEdge::Kind::registry};
    return next;
}

std::int64_t Auditor::counts_at(const MeterAudit& meter, std::int64_t read_at) const {
    const std::int64_t day = calendar_->day_of(read_at);
    std::int64_t newest = -1;
    const auto see = [&](std::int64_t edge) {
        if (edge > meter.settled_until && edge <= read_at) newest = std::max(newest, edge);
    };
    see(calendar_->midnight(day));
    const std::string& tariff = terms_at(meter, read_at + 1).tariff;
    if (!tariff.empty())
        for (const std::int64_t edge : prices_.band_edges(tariff, day)) see(edge);
    for (const Edge& edge : meter.edges)
        if (edge.at <= read_at) newest = std::max(newest, edge.at);
    return newest >= 0 && read_at - newest <= kOnEdgeMs ? newest : read_at;
}

// No wrong value was confirmed: not above what the register held when the next sample confirmed
// it, not another device's, and never one that nobody sent.
void Auditor::check_truth(const MeterAudit& meter, const ReadingOnDisk& row) {
    const Witness& witness = witness_->at(row.meter);
    const auto found = witness.shown.find({row.run, row.mono_ms});
    if (found == witness.shown.end()) disagree(name_of(row) + ": no such sample was ever sent");
    const Shown& shown = found->second;
    expect(row, "the register", half_up(shown.sent * Ratio{1'000, 1}), row.register_value);
    if (shown.device != meter.device) disagree(name_of(row) + ": another device showed that");
    if (shown.truth) return;
    ++tally_.below_truth;
    Ratio held = shown.held;
    const auto next = std::next(found);
    if (next != witness.shown.end() && held < next->second.held) held = next->second.held;
    if (held < shown.sent) disagree(name_of(row) + ": a wrong value was confirmed");
}

void Auditor::begin(MeterAudit& meter, const ReadingOnDisk& row, Ratio face,
                    std::optional<std::int64_t> at) {
    const Ratio multiplier = ratio_of(meter.terms.multiplier);
    const bool opening = row.kind == RowKind::manual;
    meter.begun = true;
    meter.begun_at = opening && row.stands_at ? row.stands_at : at;
    meter.base_total = meter.base_figure = figure_of(face, multiplier);
    expect(row, "the first total", meter.base_total, row.total);
    meter.marked = !meter.terms.account.empty();
    meter.mark = row.total;
    meter.mark_at = meter.begun_at.value_or(0);
    meter.mark_seq = row.seq;
    // An opening register counts from its date where it has one, else from the first reading.
    if (opening)
        meter.settled_until = row.stands_at.value_or(0);
    else
        meter.settled_until = at.value_or(0);
    meter.settled_total = row.total;
    meter.settled_register = row.register_value;
    meter.settled_seq = row.seq;
    meter.last_at = meter.settled_until == 0 ? std::nullopt : std::optional(meter.settled_until);
    meter.last_total = row.total;
    meter.last_register = row.register_value;
    meter.last_face = face;
    meter.last_typed = opening;
    meter.last_epoch = row.epoch;
    meter.last_stamp = meter.first_stamp = {row.run, row.mono_ms};
}

std::int64_t Auditor::total_at(const MeterAudit& meter, const ReadingOnDisk& row,
                               Ratio face) const {
    const Ratio multiplier = ratio_of(meter.terms.multiplier);
    const std::int64_t plain = meter.base_total + figure_of(face, multiplier) - meter.base_figure;
    if (!(face < meter.last_face)) return std::max(plain, meter.last_total);
    if (row.quality == RowQuality::released) return meter.last_total;
    const std::int64_t modulus = witness_->at(row.meter).modulus;
    if (modulus != 0 && !(meter.last_face < thousandths(modulus) * Ratio{95, 100}))
        return meter.base_total + figure_of(face + thousandths(modulus), multiplier) -
               meter.base_figure;
    if (!meter.last_typed)
        disagree(name_of(row) + ": confirmed below the one before, " +
                 decimal_of(meter.last_register, 3));
    return meter.last_total;
}

void Auditor::total_of(MeterAudit& meter, const ReadingOnDisk& row, Ratio face) {
    const std::int64_t total = total_at(meter, row, face);
    expect(row, "the total", total, row.total);
    // What people typed may lie a little above; what adds to it, or was released, is another lap's.
    const bool released = row.quality == RowQuality::released;
    if (face < meter.last_face && (!meter.last_typed || released || total > meter.last_total)) {
        // The register began anew: from here on this lap counts.
        meter.base_total = total;
        meter.base_figure = figure_of(face, ratio_of(meter.terms.multiplier));
        ++(row.quality == RowQuality::released ? tally_.released : tally_.rollovers);
    }
    if (total < meter.last_total) disagree(name_of(row) + ": the total fell");
}

// The samples up to the next edge that are dated by now, whatever was known when they were read;
// the newest first.
std::vector<Auditor::Anchor> Auditor::dated_later(Books& books, const MeterAudit& meter) const {
    std::vector<Anchor> dated;
    const std::int64_t edge = next_edge(meter).at;
    for (auto one = meter.undated.rbegin(); one != meter.undated.rend(); ++one) {
        const auto at = books.time_of(one->stamp.first, one->stamp.second);
        if (at && *at <= edge) dated.push_back({*at, one->total, one->register_value});
    }
    return dated;
}

// Where the next edge is worked out from: the newest dated figure before it. Where the sample that
// ends the stretch was dated later, it depends on when that was, and on whether the process knew a
// dated sample at all: then any of the three is right. The edges of one stretch lie on one line:
// `edge_before` is the newest one before the first of them.
std::vector<Auditor::Anchor> Auditor::anchors_of(Books& books, const MeterAudit& meter,
                                                 const ReadingOnDisk& end,
                                                 const Anchor& edge_before) const {
    std::vector<Anchor> anchors;
    const auto add = [&](const Anchor& anchor) {
        if (anchor.at >= edge_before.at) anchors.push_back(anchor);
    };
    // A first reading is stored before its edges, and is no beginning of the stretch that it ends.
    // An end that people accepted has the stamp of the last sample, and that one is.
    const bool same =
        end.kind != RowKind::move && meter.last_stamp == std::pair(end.run, end.mono_ms);
    const auto last = meter.last_at
                          ? meter.last_at
                          : books.time_of(meter.last_stamp.first, meter.last_stamp.second);
    if (last && !same && *last <= next_edge(meter).at)
        add({*last, meter.last_total, meter.last_register});
    const bool from_last = !anchors.empty();
    for (const Anchor& dated : dated_later(books, meter)) add(dated);
    if (meter.dated) add(*meter.dated);
    add(edge_before);
    // Where the last sample turned out to lie before the last edge, the one before it may be known
    // still; a new process knows the edge alone.
    if (from_last && books.time_then(end.run, end.mono_ms)) anchors.resize(1);
    // An end that people accepted, and nobody after it, is no edge that a new process knows of.
    if (meter.terms.account.empty() && last && meter.last_total >= edge_before.total)
        anchors.push_back({*last, meter.last_total, meter.last_register});
    return anchors;
}

void Auditor::check_estimate(const ReadingOnDisk& row, const Anchor& from, const ReadingOnDisk& end,
                             std::int64_t end_at, std::int64_t end_total) {
    const std::int64_t edge = row.stands_at.value_or(0);
    expect(row, "the total at the edge",
           at_edge(from.total, from.at, std::max(from.total, end_total), end_at, edge), row.total);
    // Where the register passed its end, or another lap began, nobody knows it in between.
    const std::int64_t there =
        end.register_value < from.register_value
            ? end.register_value
            : at_edge(from.register_value, from.at, end.register_value, end_at, edge);
    expect(row, "the register at the edge", there, row.register_value);
}

// A price that came in the course of its first day has edges that the last sample lies behind: the
// newest dated one. While its settlement is under way that may be the sample that ends the stretch.
// Where the last one was dated later than it was read, it may have been worked out as other edges.
bool Auditor::lies_before(Books& books, const MeterAudit& meter, const ReadingOnDisk& row,
                          const Anchor& edge_before, const Anchor& end) const {
    if (row.kind != RowKind::change) return false;
    std::vector<Anchor> behind;
    const auto add = [&](const Anchor& anchor) {
        if (row.stands_at.value_or(anchor.at) < anchor.at) behind.push_back(anchor);
    };
    const auto dated = meter.last_at
                           ? meter.last_at
                           : books.time_of(meter.last_stamp.first, meter.last_stamp.second);
    if (dated) add({*dated, meter.last_total, meter.last_register});
    if (!meter.last_at && meter.dated) add(*meter.dated);
    const bool must = meter.last_at && !behind.empty();
    const auto payer = accounts_.find(meter.terms.account);
    const bool waits = payer != accounts_.end() &&
                       std::any_of(payer->second.unheard.begin(), payer->second.unheard.end(),
                                   [](const Late& late) { return !late.left; });
    if (waits) add(end);
    for (std::size_t i = 0; i < behind.size(); ++i) {
        try {
            check_before(books, row, edge_before, behind[i]);
            return true;
        } catch (const Disagreement&) {
            if (must && i + 1 == behind.size()) throw;
        }
    }
    return false;
}

void Auditor::check_before(Books& books, const ReadingOnDisk& row, const Anchor& edge_before,
                           const Anchor& last) const {
    const std::int64_t edge = row.stands_at.value_or(0);
    Anchor from = edge_before;
    Anchor to{last.at, std::max(last.total, edge_before.total), last.register_value};
    const bool told = tell(books, row.meter, from, to, edge);
    expect(row, "the total at the edge", at_edge(from.total, from.at, to.total, to.at, edge),
           row.total);
    const std::int64_t low = edge_before.register_value, high = last.register_value;
    if (!told || high < low) {
        expect(row, "the register at the edge",
               high < low ? high : at_edge(low, edge_before.at, high, last.at, edge),
               row.register_value);
        return;
    }
    // Hours have no register: it is as far along as the total, which is whole thousandths.
    const std::int64_t used = std::max<std::int64_t>(1, last.total - edge_before.total);
    const std::int64_t rounded = 2 + (high - low + used - 1) / used;
    const std::int64_t there = at_edge(low, edge_before.total, high, last.total, row.total);
    if (std::abs(there - row.register_value) > rounded)
        expect(row, "the register at the edge", there, row.register_value);
}

// Estimated rows stand before the sample that ends their stretch; with it they can be worked out.
void Auditor::end_estimates(Books& books, MeterAudit& meter, const ReadingOnDisk& row, Ratio face,
                            std::int64_t read_at) {
    const std::int64_t end_at = counts_at(meter, read_at);
    Anchor edge_before{meter.settled_until, meter.settled_total, meter.settled_register};
    for (const ReadingOnDisk& estimate : std::exchange(meter.estimated, {})) {
        const std::int64_t total = total_at(meter, row, face);
        if (lies_before(books, meter, estimate, edge_before, {end_at, total, row.register_value})) {
            pass_edge(meter, estimate, thousandths(estimate.register_value));
            continue;
        }
        // Where people took the last reading for the end, no sample came.
        const bool sampled = row.quality != RowQuality::estimated;
        if (sampled && read_at - next_edge(meter).at <= kOnEdgeMs)
            disagree(name_of(estimate) + ": estimated, although a sample came in five minutes");
        const std::vector<Anchor> anchors = anchors_of(books, meter, row, edge_before);
        for (std::size_t i = 0; i < anchors.size(); ++i) {
            try {
                check_estimate(estimate, anchors[i], row, end_at, total);
                break;
            } catch (const Disagreement&) {
                if (i + 1 == anchors.size()) throw;
            }
        }
        const std::string multiplier = meter.terms.multiplier;
        pass_edge(meter, estimate, thousandths(estimate.register_value));
        // What lies before counts by another multiplier.
        if (meter.terms.multiplier != multiplier)
            edge_before = {meter.settled_until, meter.settled_total, meter.settled_register};
    }
}

// One edge, estimated or read: it ends a stretch of use, and maybe what charged it.
void Auditor::pass_edge(MeterAudit& meter, const ReadingOnDisk& row, Ratio face) {
    const NextEdge edge = next_edge(meter);
    if (row.stands_at != edge.at)
        disagree(name_of(row) + ": stands at " + std::to_string(row.stands_at.value_or(0)) +
                 " and the next edge is " + std::to_string(edge.at));
    const bool first = civil_of(calendar_->day_of(edge.at)).day == 1;
    const bool registry = edge.kind == NextEdge::Kind::registry;
    const RowKind kind = edge.kind != NextEdge::Kind::midnight ? RowKind::change
                         : first                               ? RowKind::month
                                                               : RowKind::freeze;
    if (row.kind != kind) disagree(name_of(row) + ": is of another kind than its edge");
    charge(meter, row, edge.at, registry);
    meter.settled_until = edge.at;
    meter.settled_total = row.total;
    meter.settled_register = row.register_value;
    meter.settled_seq = row.seq;
    if (registry) change_terms(meter, row, face);
}

void Auditor::change_terms(MeterAudit& meter, const ReadingOnDisk& row, Ratio face_at_edge) {
    meter.passed.push_back(std::move(meter.edges.front()));
    meter.edges.pop_front();
    const Terms next = meter.edges.empty() ? meter.registry : meter.edges.front().before;
    if (next.multiplier != meter.terms.multiplier) {
        meter.base_total = row.total;
        meter.base_figure = figure_of(face_at_edge, ratio_of(next.multiplier));
        // What was read behind the edge before anybody knew when was counted by the old multiplier.
        if (!meter.last_at) meter.last_total = std::min(meter.last_total, row.total);
    }
    meter.terms = next;
    meter.marked = !next.account.empty();
    meter.mark = row.total;
    meter.mark_at = row.stands_at.value_or(0);
    meter.mark_seq = row.seq;
    ++tally_.changes;
}

void Auditor::charge(MeterAudit& meter, const ReadingOnDisk& row, std::int64_t edge, bool at_once) {
    if (!meter.marked) return;
    std::vector<Charge>& open = accounts_.at(meter.terms.account).open;
    open.push_back({row.meter, meter.terms.tariff, row.seq, edge, row.total - meter.mark,
                    meter.terms.persons, at_once, false, meter.mark_at, meter.mark});
    // With it go the days of that meter that waited for others.
    if (at_once)
        for (Charge& one : open)
            if (one.meter == row.meter) one.at_once = true;
    meter.mark = row.total;
    meter.mark_at = edge;
    meter.mark_seq = row.seq;
    ++tally_.charges;
}

// The last figure of the old meter, then the first one of the new. An epoch may also begin with a
// multiplier, and the old meter may end without another row in it.
void Auditor::replace(MeterAudit& meter, const ReadingOnDisk& row, Ratio face) {
    if (!is_new_meter(meter, row)) {
        meter.ended = true;
        const std::int64_t at = row.stands_at.value_or(0);
        meter.settled_until = std::max(meter.settled_until, at);
        meter.settled_total = row.total;
        meter.settled_register = row.register_value;
        meter.settled_seq = row.seq;
        charge(meter, row, at, true);
        return;
    }
    meter.ended = false;
    expect(row, "the total of a new meter", meter.last_total, row.total);
    meter.base_total = row.total;
    meter.base_figure = figure_of(face, ratio_of(meter.terms.multiplier));
    ++meter.device;
    ++tally_.replaced;
}

void Auditor::moved(const std::string& account, const PlanAccount& next, const Plan& plan,
                    bool ladder_goes_on, std::optional<std::int64_t> at) {
    accounts_.at(account).plan.closed = true;
    accounts_.at(account).ended_at = at;
    successor_[account] = next.id;
    if (!next.id.empty()) {
        AccountAudit& opened = accounts_[next.id];
        opened.plan = next;
        if (ladder_goes_on) opened.goes_on_from = account;
    }
    const std::map<std::string, Terms> terms = plan.terms();
    for (auto& [id, meter] : meters_) {
        if (meter.registry.account != account) continue;
        meter.registry = terms.at(id);
        if (!meter.begun) meter.terms = meter.registry;
    }
}

// One row ends what the one holder pays and is where the other begins. Where what was left did not
// suit how it was to be settled, nobody moved, and the same holder goes on.
void Auditor::move(MeterAudit& meter, const ReadingOnDisk& row) {
    const std::int64_t at = row.stands_at.value_or(0);
    charge(meter, row, at, true);
    meter.settled_until = std::max(meter.settled_until, at);
    meter.settled_total = row.total;
    meter.settled_register = row.register_value;
    meter.settled_seq = row.seq;
    if (!successor_.contains(meter.terms.account)) return;
    meter.passed.push_back({0, at, meter.terms});
    meter.terms = meter.registry;
    meter.marked = !meter.terms.account.empty();
    meter.mark = row.total;
    meter.mark_at = at;
    meter.mark_seq = row.seq;
    ++tally_.moved;
}

void Auditor::take(Books& books, const ReadingOnDisk& row) {
    MeterAudit& meter = meters_.at(row.meter);
    meter.rows[row.seq] = {row.kind,      row.quality == RowQuality::estimated,
                           row.stands_at, {row.run, row.mono_ms},
                           row.total,     row.register_value,
                           row.account};
    // Behind its estimates the last reading that people accepted stands once more, and then ends.
    const bool accepted = row.kind == RowKind::interval || row.kind == RowKind::move;
    if (row.quality == RowQuality::estimated && row.kind == RowKind::interval) return;
    if (row.quality == RowQuality::estimated && !accepted) {
        ++tally_.estimated;
        meter.estimated.push_back(row);
        return;
    }
    const Ratio face = face_of(row);
    const bool typed = row.kind == RowKind::manual || row.kind == RowKind::move ||
                       row.kind == RowKind::replacement || row.quality == RowQuality::manual;
    if (!typed) check_truth(meter, row);
    const bool on_edge =
        row.kind == RowKind::freeze || row.kind == RowKind::month || row.kind == RowKind::change;
    // What nobody vouched for when it was read is dated later, with the edges that it passed.
    const bool edges = on_edge || !meter.estimated.empty();
    // What people typed has the stamp of the typing; on an edge it stands at the edge alone.
    const std::optional<std::int64_t> read_at = row.stands_at && (!on_edge || typed) ? row.stands_at
                                                : edges ? books.time_of(row.run, row.mono_ms)
                                                        : books.time_then(row.run, row.mono_ms);
    if (!meter.begun) {
        begin(meter, row, face, read_at);
        return;
    }
    if (meter.settled_until == 0 && read_at)
        meter.settled_until =
            books.time_of(meter.first_stamp.first, meter.first_stamp.second).value_or(*read_at);
    if (meter.mark_at == 0)
        meter.mark_at =
            books.time_of(meter.first_stamp.first, meter.first_stamp.second).value_or(0);
    const bool new_meter = is_new_meter(meter, row);
    if (!new_meter) {
        if (read_at) end_estimates(books, meter, row, face, *read_at);
        total_of(meter, row, face);
    }
    if (row.account != meter.terms.account)
        disagree(name_of(row) + ": is of account " + row.account + " and should be of " +
                 meter.terms.account);
    const std::optional<std::int64_t> counts =
        read_at ? std::optional(counts_at(meter, *read_at)) : read_at;
    if (on_edge) {
        if (!read_at || *read_at - row.stands_at.value_or(0) > kOnEdgeMs)
            disagree(name_of(row) + ": is too late to stand on its edge");
        pass_edge(meter, row, face);
    }
    if (row.kind == RowKind::replacement) replace(meter, row, face);
    if (row.kind == RowKind::move) move(meter, row);
    if (counts) {
        meter.dated.reset();
        meter.undated.clear();
    } else {
        if (meter.last_at)
            meter.dated = Anchor{*meter.last_at, meter.last_total, meter.last_register};
        meter.undated.push_back({{row.run, row.mono_ms}, row.total, row.register_value});
    }
    meter.last_at = counts;
    meter.last_stamp = {row.run, row.mono_ms};
    meter.last_total = row.total;
    meter.last_register = row.register_value;
    meter.last_face = face;
    meter.last_typed = typed;
    meter.last_epoch = row.epoch;
}

}  // namespace gatehouse::money
