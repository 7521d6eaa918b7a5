#include "daemon/engine/outlook.hpp"

#include <algorithm>

#include "daemon/engine/fee_book.hpp"

namespace gatehouse {
namespace {

struct DayUse {
    Milli quantity;
    Int128 bands = 0;  // what its bands cost
};

BandUse band_use_of(const MeterRuntime& meter, std::int64_t day) {
    if (!meter.bands) return {};
    const auto found = meter.bands->days.find(day);
    return found == meter.bands->days.end() ? BandUse{} : found->second;
}

// What every meter of the tariff used on that day; nothing where one of them has no complete day,
// or where its bands are not known whole.
std::optional<DayUse> use_of_day(const Context& context, const AccountRuntime& account,
                                 const Tariff* tariff, const TariffVersion& version, int month,
                                 std::int64_t day) {
    DayUse use;
    for (const std::size_t index : account.meters) {
        const MeterRuntime& meter = context.world.meters[index];
        if (meter.tariff != tariff) continue;
        const std::optional<Milli> end = meter.day_totals.at(day);
        const std::optional<Milli> begin = meter.day_totals.at(day - 1);
        if (!end || !begin || *end < *begin) return std::nullopt;
        const Milli used = *end - *begin;
        use.quantity += used;
        if (version.bands.empty()) continue;
        const BandUse bands = band_use_of(meter, day);
        Milli banded;
        for (const auto& [name, quantity] : bands) banded += quantity;
        if (banded != used) return std::nullopt;
        const std::optional<Int128> cost = band_cost(version, month, bands);
        if (!cost) return std::nullopt;
        use.bands += *cost;
    }
    return use;
}

// The day up to which all meters of the tariff were heard: what one that is silent used since
// nobody knows, and its last complete days are those before it.
std::int64_t heard_until(const Context& context, const AccountRuntime& account,
                         const Tariff* tariff, std::int64_t today) {
    std::int64_t day = today;
    for (const std::size_t index : account.meters) {
        const MeterRuntime& meter = context.world.meters[index];
        if (meter.tariff != tariff || !meter.last) continue;
        if (const std::optional<UtcMs> at = context.trusted(*meter.last))
            day = std::min(day, days_since_epoch(context.day_of(*at)));
    }
    return day;
}

DailyUse daily_use(Context& context, AccountRuntime& account, const Tariff& tariff,
                   const TariffVersion& version, LocalDate as_of, std::int64_t today) {
    DailyUse use;
    use.version = &version;
    use.month_fees_due = month_fees_due(context, account, tariff, as_of);
    std::vector<Milli> days;
    const std::int64_t until = heard_until(context, account, &tariff, today);
    for (std::int64_t day = until - kMeanDaysMax; day < until; ++day) {
        const auto one = use_of_day(context, account, &tariff, version, as_of.month, day);
        if (!one) continue;
        days.push_back(one->quantity);
        use.bands += one->bands;
    }
    use.mean = daily_mean(days);
    return use;
}

}  // namespace

std::optional<int> days_left_of(Context& context, AccountRuntime& account,
                                const Settlement& priced) {
    if (!account.as_of || !context.clock.trusted()) return std::nullopt;
    const LocalDate as_of = context.day_of(*account.as_of);
    const std::int64_t today = days_since_epoch(context.day_of(context.now_ms()));
    std::vector<DailyUse> uses;
    std::vector<const Tariff*> seen;
    for (const std::size_t index : account.meters) {
        const MeterRuntime& meter = context.world.meters[index];
        const Tariff* tariff = meter.tariff;
        if (tariff == nullptr || std::find(seen.begin(), seen.end(), tariff) != seen.end())
            continue;
        seen.push_back(tariff);
        const TariffVersion* version = version_on(*tariff, as_of);
        if (version == nullptr) return std::nullopt;
        DailyUse use = daily_use(context, account, *tariff, *version, as_of, today);
        use.counter = counter(priced, *tariff, as_of);
        use.persons = meter.persons;
        uses.push_back(use);
    }
    if (uses.empty()) return std::nullopt;
    const std::optional<int> days = days_left(account.balance, as_of, uses);
    if (!days) return days;
    return counted_down(*days, *account.as_of, context.now_ms());
}

}  // namespace gatehouse
