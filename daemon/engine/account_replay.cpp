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

AccountReplay::AccountReplay(AccountBooks& books, const ReplayFrame& frame, std::string account,
                             std::optional<LocalDate> live_from)
    : books_(books), frame_(frame), account_(std::move(account)), live_from_(live_from) {}

void AccountReplay::add(std::shared_ptr<TariffsOf> tariffs, Corrected corrected) {
    replays_.emplace_back([tariffs](const std::string& id) { return (*tariffs)(id); },
                          frame_.calendar, frame_.zone, live_from_);
    tariffs_.push_back(std::move(tariffs));
    corrected_.push_back(std::move(corrected));
}

bool AccountReplay::advance(std::size_t steps) {
    if (!started_) {
        started_ = true;
        for (const LadderOpeningRow& row : books_.ladder_openings(account_))
            for (Replay& replay : replays_)
                replay.seed({row.tariff, row.day, row.quantity, row.start});
        static_cast<void>(find_newer());
    }
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
    for (const std::uint64_t head : books_.newest_steps(account_)) {
        if (head == 0)
            fault_ = "was charged before its figures were kept in order, so it cannot be replayed";
        else if (head > newest_)
            heads_.push_back(head);
    }
    return !heads_.empty();
}

void AccountReplay::walk() {
    const std::uint64_t head = heads_.back();
    std::optional<StepRow> row = books_.step(head);
    if (!row) {
        fault_ = "step " + std::to_string(head) + " names a reading that is not there";
        return;
    }
    heads_.back() = row->prev;
    if (row->prev == 0 && !row->begins)
        fault_ = "was charged before its figures were kept in order, so it cannot be replayed";
    if (row->prev <= newest_) heads_.pop_back();
    rows_.push_back(*std::move(row));
    if (!heads_.empty()) return;
    std::sort(rows_.begin() + static_cast<std::ptrdiff_t>(next_), rows_.end(),
              [](const StepRow& a, const StepRow& b) { return a.step < b.step; });
    newest_ = rows_.back().step;
}

void AccountReplay::take(const StepRow& step) {
    ReplayRow row;
    row.reading = step.reading;
    row.meter = step.meter;
    row.at = step.stands_at ? *step.stands_at : frame_.time(step.at);
    row.total = step.total;
    row.begins = step.begins;
    if (step.begins) row.terms = ReplayTerms{step.tariff, step.persons};
    for (std::size_t i = 0; i < replays_.size(); ++i) {
        const auto other = corrected_[i].find(step.reading);
        row.total = other == corrected_[i].end() ? step.total : other->second;
        replays_[i].take(row);
    }
    if (step.begins) {
        open_[step.meter] = stretches_.size();
        stretches_.push_back({step.meter, step.tariff, row.at, row.at});
    }
    const auto open = open_.find(step.meter);
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
        for (Replay& replay : replays_) replay.end_month({last, row.tariff});
    }
}

}  // namespace gatehouse
