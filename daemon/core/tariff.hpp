// Tariffs: which version holds on a day, where its ladder period began, and how a quantity falls
// into tiers. It knows no account and no posting (settlement.hpp). Pure, any thread.
#pragma once

#include <string>
#include <vector>

#include "daemon/core/money.hpp"
#include "daemon/core/registry.hpp"

namespace gatehouse {

// The version in force on that local date; null before the first one, and then nothing can be
// priced on that day.
[[nodiscard]] const TariffVersion* version_on(const Tariff& tariff, LocalDate date);

// What these prices need that is not served yet ("bands, fixed fees"), or what makes them unfit to
// price with; empty: a flat price or a month or year ladder, and every function below may be
// called. The consequence of words is that the account is refused by them.
[[nodiscard]] std::string why_not_yet(const TariffVersion& version);
[[nodiscard]] std::string why_not_yet(const Tariff& tariff);  // of all versions, each word once

// First day of the ladder period that holds `date`, by the calendar alone. ladder = none has one
// period that began in 1970. Where a year begins on a day that a year lacks, its month's last day.
[[nodiscard]] LocalDate ladder_period_start(const TariffVersion& version, LocalDate date);

// First day of the ladder counter that consumption of `date` moves: the period's start, or the
// valid_from of the version that last changed `ladder` or `ladder_from`, when that is later. With
// the tariff's id it names the counter; a new start is a counter at 0.
[[nodiscard]] LocalDate counter_start(const Tariff& tariff, LocalDate date);

struct TierPart {
    int tier = 1;  // counts from 1
    Price price;
    Milli quantity;
    friend bool operator==(const TierPart&, const TierPart&) = default;
};

// Splits a quantity that comes after `used` over the tiers; limits are inclusive. Parts ascend, sum
// to the quantity, and none is empty. Needs why_not_yet(version) to be empty.
[[nodiscard]] std::vector<TierPart> split(const TariffVersion& version, Milli used, Milli quantity);

}  // namespace gatehouse
