// Forecast: how many days a balance lasts, from what the last complete days used, walked through
// tiers, seasons, bands and fixed fees in exact integers. It foretells money alone and books none.
// Pure, any thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/registry.hpp"
#include "daemon/core/time.hpp"
#include "daemon/core/units.hpp"

namespace gatehouse {

// A mean as the exact ratio sum / days.
struct DailyMean {
    Milli sum;
    int days = 0;
    friend bool operator==(const DailyMean&, const DailyMean&) = default;
};
inline constexpr int kMeanDaysMax = 7, kMeanDaysMin = 3;
inline constexpr int kDaysLeftMax = 999;

// Of the last complete days' quantities, newest last; older ones than kMeanDaysMax are left out.
// Nothing for fewer than kMeanDaysMin.
[[nodiscard]] std::optional<DailyMean> daily_mean(const std::vector<Milli>& days);

// What a day used, by name of band.
using BandUse = std::map<std::string, Milli>;
// What that use costs at the prices that the bands of those names have in that month, or in some
// month where they have none then, in 1e-11 of the currency. Nothing where the version lacks one of
// the names: such a day says nothing about these prices.
[[nodiscard]] std::optional<Int128> band_cost(const TariffVersion& version, int month,
                                              const BandUse& use);

// One (service, tariff) of an account: where its ladder stands, unposted use included, and what a
// day uses. mean absent: too few days, and then nothing is foretold.
struct DailyUse {
    const TariffVersion* version = nullptr;  // in force at as_of; not null (asserted)
    Milli counter;
    std::optional<DailyMean> mean;
    int persons = 0;
    Int128 bands = 0;             // band_cost of the mean's days together
    bool month_fees_due = false;  // those of the month of as_of are not posted yet
};

// Whole days that the balance lasts from the day of as_of on, walked through the tiers, each
// ladder starting anew where its period does, and through the fixed fees. 0 for a balance of 0 or
// less; nothing without a mean or without use; at most kDaysLeftMax. Exact integers, floor.
[[nodiscard]] std::optional<int> days_left(Fen balance, LocalDate as_of,
                                           const std::vector<DailyUse>& uses);

// Days left count down from as_of while no confirmed sample comes; never below 0.
[[nodiscard]] int counted_down(int days, UtcMs as_of, UtcMs now);

}  // namespace gatehouse
