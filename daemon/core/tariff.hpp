// Tariffs: which version holds on a day, where its ladder period began, which tiers hold then, and
// how a quantity falls into them. It knows no account and no posting (settlement.hpp), and no hour
// (bands.hpp). Pure, any thread.
#pragma once

#include <string>
#include <vector>

#include "daemon/core/money.hpp"
#include "daemon/core/registry.hpp"

namespace gatehouse {

// The version in force on that local date; null before the first one, and then nothing can be
// priced on that day.
[[nodiscard]] const TariffVersion* version_on(const Tariff& tariff, LocalDate date);

// What makes these prices unfit to price with; empty: every function below may be called. The
// consequence of words is that the account is refused by them.
[[nodiscard]] std::string why_not_yet(const TariffVersion& version);
[[nodiscard]] std::string why_not_yet(const Tariff& tariff);  // of all versions, each word once

// Whether a list of months that is empty for all of them holds that one.
[[nodiscard]] bool holds_in(const std::vector<int>& months, int month);

// First day of the ladder period that holds `date`, by the calendar alone. ladder = none has one
// period that began in 1970. Where a year begins on a day that a year lacks, its month's last day.
[[nodiscard]] LocalDate ladder_period_start(const TariffVersion& version, LocalDate date);

// First day of the ladder counter that consumption of `date` moves: the period's start, or the
// valid_from of the version that last changed `ladder` or `ladder_from`, when that is later. With
// the tariff's id it names the counter; a new start is a counter at 0.
[[nodiscard]] LocalDate counter_start(const Tariff& tariff, LocalDate date);

// The tiers that hold in a month for so many persons. `season` names the months that they hold in,
// like "5-10" or "1-4,11-12"; empty where the version has no seasons.
struct Ladder {
    struct Step {
        std::optional<Milli> up_to;  // inclusive, raised for persons; absent: open
        Price price;                 // beside bands, the adder
        friend bool operator==(const Step&, const Step&) = default;
    };
    std::string season;
    std::vector<Step> steps;  // empty: no tier holds (bands without tiers)
    friend bool operator==(const Ladder&, const Ladder&) = default;
};
[[nodiscard]] Ladder ladder_in(const TariffVersion& version, int month, int persons);

struct TierPart {
    int tier = 1;  // counts from 1
    Price price;
    Milli quantity;
    friend bool operator==(const TierPart&, const TierPart&) = default;
};

// Splits a quantity that comes after `used` over the tiers; limits are inclusive. Parts ascend, sum
// to the quantity, and none is empty. Needs a ladder whose last step is open, or none at all, and
// then there are no parts.
[[nodiscard]] std::vector<TierPart> split(const Ladder& ladder, Milli used, Milli quantity);

// The name that a band may not have: the line of a month's minimum stands under it.
inline constexpr const char* kMinimumBand = "minimum";
// Above this a fee or a minimum is a typing error.
inline constexpr Fen kFeeMax{100'000'000'000};  // 1,000,000,000.00

}  // namespace gatehouse
