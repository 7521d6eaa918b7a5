#include "daemon/engine/account_replay.hpp"

#include <algorithm>

namespace gatehouse {

TariffsOf::TariffsOf(std::shared_ptr<const Registry> registry, LeftOut left_out)
    : registry_(std::move(registry)), left_out_(std::move(left_out)) {}

const Tariff* TariffsOf::operator()(const std::string& id) {
    const auto [place, fresh] = known_.try_emplace(id);
    if (!fresh) return place->second.get();
    for (const Tariff& tariff : registry_->tariffs) {
        if (tariff.tariff != id) continue;
        place->second = std::make_unique<Tariff>(tariff);
        std::erase_if(place->second->versions, [&](const TariffVersion& version) {
            return left_out_.contains({id, version.valid_from});
        });
    }
    return place->second.get();
}

Milli TotalLine::at(UtcMs edge) const {
    return total_at_edge(from_total, from, to_total, to, edge);
}

std::optional<TotalLine> line_told(AccountBooks& books, const std::string& meter,
                                   const TotalLine& ends, UtcMs edge) {
    constexpr UtcMs kHourMs = 3'600'000;
    TotalLine line = ends;
    const auto usable = [&](std::int64_t hour) -> std::optional<Milli> {
        const std::optional<Milli> total = books.hour(meter, hour);
        return total && *total >= line.from_total && *total <= ends.to_total ? total : std::nullopt;
    };
    for (std::int64_t hour = edge / kHourMs; hour * kHourMs > ends.from; --hour) {
        const std::optional<Milli> total = usable(hour);
        if (!total) continue;
        line.from = hour * kHourMs;
        line.from_total = *total;
        break;
    }
    for (std::int64_t hour = (edge + kHourMs - 1) / kHourMs; hour * kHourMs < ends.to; ++hour) {
        const std::optional<Milli> total = usable(hour);
        if (!total) continue;
        line.to = hour * kHourMs;
        line.to_total = *total;
        break;
    }
    const bool told = line.from != ends.from || line.to != ends.to;
    return told ? std::optional(line) : std::nullopt;
}

AccountReplay::AccountReplay(AccountBooks& books, const ReplayFrame& frame, std::string account,
                             std::optional<LocalDate> live_from)
    : books_(books), frame_(frame), account_(std::move(account)), live_from_(live_from) {}

void AccountReplay::add(ReplayTake take) {
    const std::shared_ptr<TariffsOf> tariffs = take.tariffs;
    const std::size_t index = sets_.size();
    Replay replay([tariffs](const std::string& id) { return (*tariffs)(id); }, frame_.calendar,
                  frame_.zone, live_from_,
                  [this, index](const ReplayStretch& stretch, UtcMs edge) {
                      return figure_at(sets_.at(index), stretch, edge);
                  });
    sets_.push_back({std::move(take), std::move(replay), {}, {}, {}});
}

std::optional<Milli> AccountReplay::figure_at(Set& set, const ReplayStretch& stretch, UtcMs edge) {
    const EdgePlace place{stretch.to.reading, edge};
    for (const auto* known : {&set.with.edges, &edges_})
        if (const auto found = known->find(place); found != known->end()) return found->second;
    if (!set.with.seeks) return std::nullopt;
    const auto line =
        line_told(books_, stretch.to.meter,
                  {stretch.from, stretch.to.at, stretch.from_total, stretch.to.total}, edge);
    if (!line) return std::nullopt;
    set.found.push_back({account_, stretch.to.meter, stretch.to.reading, edge, 0, line->at(edge)});
    return set.found.back().total;
}

void AccountReplay::start() {
    started_ = true;
    for (const EdgeFigureRow& row : books_.edge_figures(account_))
        edges_.insert_or_assign(EdgePlace{row.reading, row.at}, row.total);
    for (const LadderOpeningRow& row : books_.ladder_openings(account_))
        for (Set& set : sets_) set.replay.seed({row.tariff, row.day, row.quantity, row.start});
    const std::vector<RemapRow> known = books_.remaps(account_);
    for (Set& set : sets_) {
        // What is only thought of comes after what was done.
        set.with.remaps.insert(set.with.remaps.begin(), known.begin(), known.end());
        for (const RemapRow& one : set.with.remaps)
            if (one.account == account_) strangers_.insert(one.meter);
    }
    static_cast<void>(find_newer());
}

bool AccountReplay::advance(std::size_t steps) {
    if (!started_) start();
    while (!done_ && fault_.empty()) {
        if (steps == 0) return false;
        --steps;
        if (!heads_.empty())
            walk();
        else if (next_ < rows_.size())
            take(rows_[next_++]);
        else if (!find_newer())
            finish();
    }
    return true;
}

// Chains that have grown since the newest step that was taken.
bool AccountReplay::find_newer() {
    const auto see = [&](std::uint64_t head, const std::string& account) {
        if (head == 0)
            fault_ = "was charged before its figures were kept in order, so it cannot be replayed";
        else if (head > newest_)
            heads_.push_back({head, account});
    };
    for (const std::uint64_t head : books_.newest_steps(account_)) see(head, account_);
    for (const std::string& meter : strangers_)
        for (const auto& [account, head] : books_.newest_steps_of_meter(meter))
            if (account != account_) see(head, account);
    return !heads_.empty();
}

void AccountReplay::walk() {
    Head& head = heads_.back();
    std::optional<StepRow> row = books_.step(head.step);
    if (!row) {
        fault_ = "step " + std::to_string(head.step) + " names a reading that is not there";
        return;
    }
    rows_.push_back({*row, head.account});
    head.step = row->prev;
    if (row->prev == 0 && !row->begins)
        fault_ = "was charged before its figures were kept in order, so it cannot be replayed";
    if (row->prev <= newest_) heads_.pop_back();
    if (!heads_.empty()) return;
    std::sort(rows_.begin() + static_cast<std::ptrdiff_t>(next_), rows_.end(),
              [](const Chained& a, const Chained& b) { return a.row.step < b.row.step; });
    newest_ = rows_.back().row.step;
}

void AccountReplay::take(const Chained& chained) {
    const StepRow& step = chained.row;
    ReplayRow row;
    row.reading = step.reading;
    row.meter = step.meter;
    row.at = step.stands_at ? *step.stands_at : frame_.time(step.at);
    row.begins = step.begins;
    if (step.begins) row.terms = ReplayTerms{step.tariff, step.persons};
    for (Set& set : sets_) {
        const auto other = set.with.corrected.find(step.reading);
        row.total = other == set.with.corrected.end() ? step.total : other->second;
        take_in(set, chained, row);
    }
}

void AccountReplay::take_in(Set& set, const Chained& chained, ReplayRow row) {
    const RemapRow* moved = nullptr;
    for (const RemapRow& one : set.with.remaps)
        if (one.meter == row.meter && row.at > one.from && chained.row.step <= one.through_step)
            moved = &one;
    Seen& seen = set.seen[row.meter];
    const bool ours = (moved ? moved->account : chained.account) == account_;
    if (ours) {
        if (moved) {
            const ReplayTerms terms{moved->tariff, moved->persons};
            if (row.begins)
                row.terms = terms;
            else if (!seen.ours || seen.terms != terms)
                begin_moved(set, *moved, seen);
            seen.terms = terms;
            if (moved->event == kThoughtOf) {
                const ReplayRow& from = seen.row ? *seen.row : row;
                const Moved moves{from.total, from.total, from.reading};
                set.moved.try_emplace(row.meter, moves).first->second.to = row.total;
            }
        } else if (row.terms) {
            seen.terms = *row.terms;
        }
        set.replay.take(row);
        note_stretch(set, row);
    }
    seen.ours = ours;
    seen.row = std::move(row);
}

// The figure where the meter's use begins to be this account's stands on another's.
void AccountReplay::begin_moved(Set& set, const RemapRow& moved, const Seen& seen) {
    if (!seen.row || seen.row->at != moved.from) {
        fault_ = "gets meter " + moved.meter + " from an instant at which nothing was posted of it";
        return;
    }
    ReplayRow begin = *seen.row;
    begin.begins = true;
    begin.terms = ReplayTerms{moved.tariff, moved.persons};
    set.replay.take(begin);
    note_stretch(set, begin);
}

// Fees go by what stands in the books.
void AccountReplay::note_stretch(const Set& set, const ReplayRow& row) {
    if (&set != &sets_.front()) return;
    if (row.begins) {
        open_[row.meter] = stretches_.size();
        stretches_.push_back({row.meter, row.terms->tariff, row.at, row.at});
    }
    const auto open = open_.find(row.meter);
    if (open == open_.end()) return;
    Stretch& stretch = stretches_[open->second];
    stretch.to = std::max(stretch.to, row.at);
}

void AccountReplay::finish() {
    done_ = true;
    for (const MonthTariffRow& row : books_.months(account_)) {
        const auto first = parse_date(row.month + "-01");
        if (!first) continue;
        const LocalDate last{first->year, first->month, days_in_month(first->year, first->month)};
        for (Set& set : sets_) set.replay.end_month({last, row.tariff});
    }
}

}  // namespace gatehouse
