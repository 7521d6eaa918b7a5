#include "daemon/core/settlement.hpp"

#include <algorithm>
#include <utility>

namespace gatehouse {
namespace {

// Means are over 3 to 7 days; in 420ths every one of them is whole.
constexpr Int128 kDayParts = 420;
static_assert(kMeanDaysMin == 3 && kMeanDaysMax == 7);
constexpr Int128 kFenParts = 1'000'000'000;  // of 1e-11 of the currency

// A use on its walk; quantities in 420ths of 1e-3, so that nothing is rounded on the way.
struct Walker {
    const TariffVersion* version = nullptr;
    Int128 used = 0;
    Int128 a_day = 0;
};

// What so many days from here cost, in 420ths of 1e-11 of the currency.
Int128 cost(const std::vector<Walker>& walkers, int days) {
    Int128 sum = 0;
    for (const Walker& walker : walkers) {
        Int128 left = walker.a_day * days;
        Int128 used = walker.used;
        for (const Tier& tier : walker.version->tiers) {
            const Int128 limit = tier.up_to ? tier.up_to->count * kDayParts : used + left;
            if (used >= limit) continue;
            const Int128 taken = std::min(limit - used, left);
            sum += taken * tier.price.count;
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

// Goes from one start of a ladder period to the next, because an account is repriced at every
// poll and a walk day by day would cost more than the poll.
int walk(std::vector<Walker> walkers, Int128 money, LocalDate day) {
    int walked = 0;
    while (walked < kDaysLeftMax) {
        int stretch = kDaysLeftMax - walked;
        for (const Walker& walker : walkers)
            stretch = std::min(stretch, days_to_reset(*walker.version, day));
        const int paid = days_paid(walkers, money, stretch);
        walked += paid;
        if (paid < stretch) break;
        money -= cost(walkers, stretch);
        for (Walker& walker : walkers) {
            const bool ends = days_to_reset(*walker.version, day) == stretch;
            walker.used = ends ? 0 : walker.used + walker.a_day * stretch;
        }
        day = date_from_days(days_since_epoch(day) + stretch);
    }
    return walked;
}

void take_part(Settlement& settlement, const Tariff& tariff, const TariffVersion& version,
               const std::string& scope, const TierPart& part) {
    const LineKey key{tariff.service, scope, tariff.tariff, version.valid_from, "", "", part.tier};
    Line& line = settlement.lines[key];
    line.price = part.price;
    line.quantity += part.quantity;
}

}  // namespace

std::string month_scope(LocalDate date) {
    return format_date(date).substr(0, 7);
}

Accrual accrue(Settlement& settlement, const Tariff& tariff, LocalDate day,
               const std::string& scope, Milli quantity) {
    const TariffVersion* version = version_on(tariff, day);
    if (version == nullptr) return Accrual::no_version;
    return accrue(settlement, tariff, *version, scope, counter_start(tariff, day), quantity);
}

Accrual accrue(Settlement& settlement, const Tariff& tariff, const TariffVersion& version,
               const std::string& scope, LocalDate counter_from, Milli quantity) {
    GH_ASSERT(quantity.count >= 0);
    if (quantity.count == 0) return Accrual::ok;
    const Settlement::CounterKey name{tariff.tariff, counter_from};
    const auto found = settlement.counters.find(name);
    const Milli used = found == settlement.counters.end() ? Milli{} : found->second;
    if (quantity > kQuantityMax || used > kQuantityMax - quantity) return Accrual::too_much;
    const std::vector<TierPart> parts = split(version, used, quantity);
    for (const TierPart& part : parts) {
        const LineKey key{tariff.service, scope, tariff.tariff, version.valid_from, "", "",
                          part.tier};
        const auto line = settlement.lines.find(key);
        if (line != settlement.lines.end() && line->second.quantity > kQuantityMax - part.quantity)
            return Accrual::too_much;
    }
    for (const TierPart& part : parts) take_part(settlement, tariff, version, scope, part);
    settlement.counters[name] = used + quantity;
    return Accrual::ok;
}

Milli counter(const Settlement& settlement, const Tariff& tariff, LocalDate day) {
    const auto found = settlement.counters.find({tariff.tariff, counter_start(tariff, day)});
    return found == settlement.counters.end() ? Milli{} : found->second;
}

void seed_counter(Settlement& settlement, const Tariff& tariff, LocalDate day, Milli used) {
    settlement.counters[{tariff.tariff, counter_start(tariff, day)}] = used;
}

std::vector<Due> due(const Settlement& settlement) {
    std::vector<Due> result;
    for (const auto& [key, line] : settlement.lines) {
        const Fen aim = target(line);
        if (aim != line.posted)
            result.push_back({key, line.price, line.quantity, aim, aim - line.posted});
    }
    return result;
}

Fen outstanding(const Settlement& settlement) {
    Fen sum;
    for (const auto& [key, line] : settlement.lines) sum += target(line) - line.posted;
    return sum;
}

void mark_posted(Settlement& settlement, const Due& posted) {
    const auto line = settlement.lines.find(posted.key);
    GH_ASSERT(line != settlement.lines.end());
    line->second.posted += posted.amount;
}

void forget_settled(Settlement& settlement, const std::string& scope, LocalDate counters_before) {
    std::erase_if(settlement.lines, [&](const auto& item) {
        return item.first.scope < scope && target(item.second) == item.second.posted;
    });
    std::erase_if(settlement.counters, [&](const auto& item) {
        return item.first.second < counters_before && item.first.second != LocalDate{1970, 1, 1};
    });
}

Milli total_at_edge(Milli total0, UtcMs t0, Milli total1, UtcMs t1, UtcMs edge) {
    GH_ASSERT(total1 >= total0);
    if (edge <= t0) return total0;
    if (edge >= t1) return total1;
    const Int128 moved = Int128{(total1 - total0).count} * (edge - t0) / (t1 - t0);
    return total0 + Milli{static_cast<std::int64_t>(moved)};
}

std::optional<DailyMean> daily_mean(const std::vector<Milli>& days) {
    const std::size_t count = std::min<std::size_t>(days.size(), kMeanDaysMax);
    if (count < kMeanDaysMin) return std::nullopt;
    DailyMean mean;
    for (std::size_t i = days.size() - count; i < days.size(); ++i) mean.sum += days[i];
    mean.days = static_cast<int>(count);
    return mean;
}

std::optional<int> days_left(Fen balance, LocalDate as_of, const std::vector<DailyUse>& uses) {
    // Also without a mean: what is used up needs no forecast.
    if (balance.count <= 0) return 0;
    std::vector<Walker> walkers;
    for (const DailyUse& use : uses) {
        GH_ASSERT(use.version != nullptr);
        if (!use.mean) return std::nullopt;
        GH_ASSERT(use.mean->days >= kMeanDaysMin && use.mean->days <= kMeanDaysMax);
        // No week can use more than a line may hold; the limit keeps 999 days within 128 bits.
        const std::int64_t sum =
            std::clamp<std::int64_t>(use.mean->sum.count, 0, kQuantityMax.count);
        if (sum == 0) continue;
        walkers.push_back(
            {use.version, use.counter.count * kDayParts, sum * (kDayParts / use.mean->days)});
    }
    if (walkers.empty()) return std::nullopt;
    return walk(std::move(walkers), balance.count * kFenParts * kDayParts, as_of);
}

int counted_down(int days, UtcMs as_of, UtcMs now) {
    constexpr std::int64_t kDayMs = 86'400'000;
    const std::int64_t passed = std::max<std::int64_t>(0, now - as_of) / kDayMs;
    return static_cast<int>(std::max<std::int64_t>(0, days - passed));
}

}  // namespace gatehouse
