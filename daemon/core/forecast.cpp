#include "daemon/core/forecast.hpp"

#include <algorithm>
#include <utility>

#include "daemon/core/money.hpp"
#include "daemon/core/tariff.hpp"

namespace gatehouse {
namespace {

// Means are over 3 to 7 days; in 420ths every one of them is whole.
constexpr Int128 kDayParts = 420;
static_assert(kMeanDaysMin == 3 && kMeanDaysMax == 7);
constexpr Int128 kFenParts = 1'000'000'000;  // of 1e-11 of the currency

// A use on its walk; quantities in 420ths of 1e-3 and money in 420ths of 1e-11 of the currency, so
// that nothing is rounded on the way.
struct Walker {
    const TariffVersion* version = nullptr;
    int persons = 0;
    Ladder ladder;
    Int128 used = 0;
    Int128 a_day = 0;       // quantity
    Int128 day_cost = 0;    // bands and daily fees
    Int128 month_cost = 0;  // monthly fees
    bool month_due = false;
    // Whether anything of it changes with the month.
    [[nodiscard]] bool by_month() const {
        return month_cost != 0 || !ladder.season.empty() || version->ladder == LadderPeriod::month;
    }
};

// What so many days from here cost, within one month and ladder period.
Int128 cost(const std::vector<Walker>& walkers, int days) {
    Int128 sum = 0;
    for (const Walker& walker : walkers) {
        if (days > 0 && walker.month_due) sum += walker.month_cost;
        sum += walker.day_cost * days;
        Int128 left = walker.a_day * days;
        Int128 used = walker.used;
        for (const Ladder::Step& step : walker.ladder.steps) {
            const Int128 limit = step.up_to ? step.up_to->count * kDayParts : used + left;
            if (used >= limit) continue;
            const Int128 taken = std::min(limit - used, left);
            sum += taken * step.price.count;
            used += taken;
            left -= taken;
        }
    }
    return sum;
}

// Days from `date` to the first day of the next ladder period; without a ladder, beyond any walk.
int days_to_reset(const TariffVersion& version, LocalDate date) {
    if (version.ladder == LadderPeriod::none) return kDaysLeftMax + 1;
    // So many days after a period began, the next one runs and the one after it does not yet.
    const int into_next = version.ladder == LadderPeriod::month ? 31 : 367;
    const std::int64_t start = days_since_epoch(ladder_period_start(version, date));
    const LocalDate next = ladder_period_start(version, date_from_days(start + into_next));
    return static_cast<int>(days_since_epoch(next) - days_since_epoch(date));
}

int days_to_month_end(LocalDate date) {
    return days_in_month(date.year, date.month) - date.day + 1;
}

// The most days, up to `days`, that `money` pays for; cost only grows with the days.
int days_paid(const std::vector<Walker>& walkers, Int128 money, int days) {
    int low = 0;
    int high = days;
    while (low < high) {
        const int middle = low + (high - low + 1) / 2;
        if (cost(walkers, middle) <= money) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

int stretch_from(const std::vector<Walker>& walkers, LocalDate day, int most) {
    for (const Walker& walker : walkers) {
        most = std::min(most, days_to_reset(*walker.version, day));
        if (walker.by_month()) most = std::min(most, days_to_month_end(day));
    }
    return most;
}

void pass(Walker& walker, LocalDate day, int days) {
    const LocalDate next = date_from_days(days_since_epoch(day) + days);
    const bool ends = days_to_reset(*walker.version, day) == days;
    walker.used = ends ? 0 : walker.used + walker.a_day * days;
    walker.month_due = walker.by_month() && next.month != day.month;
    if (walker.month_due && !walker.ladder.season.empty())
        walker.ladder = ladder_in(*walker.version, next.month, walker.persons);
}

// Goes from one change to the next (a ladder period, and a month where that matters), because an
// account is repriced at every poll and a walk day by day would cost more than the poll.
int walk(std::vector<Walker> walkers, Int128 money, LocalDate day) {
    int walked = 0;
    while (walked < kDaysLeftMax) {
        const int stretch = stretch_from(walkers, day, kDaysLeftMax - walked);
        const int paid = days_paid(walkers, money, stretch);
        walked += paid;
        if (paid < stretch) break;
        money -= cost(walkers, stretch);
        for (Walker& walker : walkers) pass(walker, day, stretch);
        day = date_from_days(days_since_epoch(day) + stretch);
    }
    return walked;
}

Walker walker_of(const DailyUse& use, int month) {
    GH_ASSERT(use.version != nullptr && use.mean);
    GH_ASSERT(use.mean->days >= kMeanDaysMin && use.mean->days <= kMeanDaysMax);
    // No week can use more than a line may hold; the limit keeps 999 days within 128 bits.
    const std::int64_t sum = std::clamp<std::int64_t>(use.mean->sum.count, 0, kQuantityMax.count);
    const Int128 parts = kDayParts / use.mean->days;
    Walker walker;
    walker.version = use.version;
    walker.persons = use.persons;
    walker.ladder = ladder_in(*use.version, month, use.persons);
    walker.used = use.counter.count * kDayParts;
    walker.a_day = sum * parts;
    walker.day_cost = use.bands * parts;
    for (const FixedFee& fee : use.version->fixed) {
        const Int128 amount = fee.amount.count * kFenParts * kDayParts;
        (fee.per == FeePeriod::day ? walker.day_cost : walker.month_cost) += amount;
    }
    walker.month_due = use.month_fees_due;
    return walker;
}

const Band* band_named(const TariffVersion& version, const std::string& name, int month) {
    const Band* found = nullptr;
    for (const Band& band : version.bands) {
        if (band.name != name) continue;
        if (holds_in(band.months, month)) return &band;
        if (found == nullptr) found = &band;
    }
    return found;
}

}  // namespace

std::optional<DailyMean> daily_mean(const std::vector<Milli>& days) {
    const std::size_t count = std::min<std::size_t>(days.size(), kMeanDaysMax);
    if (count < kMeanDaysMin) return std::nullopt;
    DailyMean mean;
    for (std::size_t i = days.size() - count; i < days.size(); ++i) mean.sum += days[i];
    mean.days = static_cast<int>(count);
    return mean;
}

std::optional<Int128> band_cost(const TariffVersion& version, int month, const BandUse& use) {
    Int128 sum = 0;
    for (const auto& [name, quantity] : use) {
        const Band* band = band_named(version, name, month);
        if (band == nullptr) return std::nullopt;
        sum += Int128{quantity.count} * band->price.count;
    }
    return sum;
}

std::optional<int> days_left(Fen balance, LocalDate as_of, const std::vector<DailyUse>& uses) {
    // Also without a mean: what is used up needs no forecast.
    if (balance.count <= 0) return 0;
    std::vector<Walker> walkers;
    bool used = false;
    for (const DailyUse& use : uses) {
        GH_ASSERT(use.version != nullptr);
        if (!use.mean) return std::nullopt;
        used = used || use.mean->sum.count > 0;
        walkers.push_back(walker_of(use, as_of.month));
    }
    if (!used) return std::nullopt;
    return walk(std::move(walkers), balance.count * kFenParts * kDayParts, as_of);
}

int counted_down(int days, UtcMs as_of, UtcMs now) {
    constexpr std::int64_t kDayMs = 86'400'000;
    const std::int64_t passed = std::max<std::int64_t>(0, now - as_of) / kDayMs;
    return static_cast<int>(std::max<std::int64_t>(0, days - passed));
}

}  // namespace gatehouse
