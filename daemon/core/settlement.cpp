#include "daemon/core/settlement.hpp"

#include <algorithm>

namespace gatehouse {
namespace {

// A day's mean cost is walked in steps of one day at most; each step is priced exactly over the
// denominator of its mean, so nothing is rounded before the comparison with the balance.
struct Walker {
    const DailyUse* use = nullptr;
    Int128 used = 0;  // counter x days of the mean
};

// Cost of one day in 1e-11 of the currency x days of the mean, moving the counter.
Int128 day_cost(Walker& walker, LocalDate date, LocalDate before) {
    const TariffVersion& version = *walker.use->version;
    const Int128 days = walker.use->mean->days;
    if (ladder_period_start(version, date) != ladder_period_start(version, before)) walker.used = 0;
    Int128 left = walker.use->mean->sum.count;
    Int128 cost = 0;
    for (const Tier& tier : version.tiers) {
        if (left == 0) break;
        const Int128 limit = tier.up_to ? Int128{tier.up_to->count} * days : walker.used + left;
        if (walker.used >= limit) continue;
        const Int128 taken = std::min(limit - walker.used, left);
        cost += taken * tier.price.count;
        walker.used += taken;
        left -= taken;
    }
    return cost;
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
    Int128 common = 1;
    for (const DailyUse& use : uses) {
        GH_ASSERT(use.version != nullptr);
        if (!use.mean) return std::nullopt;
        if (use.mean->sum.count == 0) continue;
        walkers.push_back({&use, Int128{use.counter.count} * use.mean->days});
        common *= use.mean->days;
    }
    if (walkers.empty()) return std::nullopt;
    // Means of at most seven days and two services: the common denominator stays tiny.
    Int128 left = Int128{balance.count} * 1'000'000'000 * common;
    const std::int64_t first = days_since_epoch(as_of);
    for (int days = 0; days < kDaysLeftMax; ++days) {
        const LocalDate date = date_from_days(first + days);
        const LocalDate before = date_from_days(first + days - (days == 0 ? 0 : 1));
        for (Walker& walker : walkers)
            left -= day_cost(walker, date, before) * (common / walker.use->mean->days);
        if (left < 0) return days;
    }
    return kDaysLeftMax;
}

int counted_down(int days, UtcMs as_of, UtcMs now) {
    constexpr std::int64_t kDayMs = 86'400'000;
    const std::int64_t passed = std::max<std::int64_t>(0, now - as_of) / kDayMs;
    return static_cast<int>(std::max<std::int64_t>(0, days - passed));
}

}  // namespace gatehouse
