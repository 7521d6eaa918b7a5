#include "daemon/core/tariff.hpp"

#include <algorithm>
#include <utility>

namespace gatehouse {
namespace {

// A year's ladder begins on a day that a year may lack (29 February): then on its month's last.
LocalDate year_start(const TariffVersion& version, int year) {
    const int last = days_in_month(year, version.ladder_from_month);
    return {year, version.ladder_from_month, std::min(version.ladder_from_day, last)};
}

void add_word(std::string& words, const std::string& word) {
    if (word.empty() || words.find(word) != std::string::npos) return;
    words += (words.empty() ? "" : ", ") + word;
}

// The tiers of one season, by its months; without seasons there is one of no months.
using Season = std::pair<std::vector<int>, std::vector<const Tier*>>;
std::vector<Season> seasons_of(const TariffVersion& version) {
    std::vector<Season> seasons;
    for (const Tier& tier : version.tiers) {
        auto season = std::find_if(seasons.begin(), seasons.end(),
                                   [&](const Season& one) { return one.first == tier.months; });
        if (season == seasons.end()) season = seasons.insert(season, {tier.months, {}});
        season->second.push_back(&tier);
    }
    return seasons;
}

bool tiers_ascend(const std::vector<const Tier*>& tiers) {
    if (tiers.empty() || tiers.back()->up_to) return false;
    Milli below{0};
    for (std::size_t i = 0; i + 1 < tiers.size(); ++i) {
        const std::optional<Milli>& limit = tiers[i]->up_to;
        if (!limit || *limit <= below || *limit > kQuantityMax) return false;
        below = *limit;
    }
    return true;
}

std::string why_tiers_unfit(const TariffVersion& version) {
    const std::vector<Season> seasons = seasons_of(version);
    if (seasons.empty() && version.bands.empty()) return "tiers that ascend to an open one";
    for (const auto& [months, tiers] : seasons) {
        if (!tiers_ascend(tiers)) return "tiers that ascend to an open one";
        if (version.ladder == LadderPeriod::none && tiers.size() > 1)
            return "a ladder period for its tiers";
        if (version.ladder == LadderPeriod::year && !months.empty())
            return "a month ladder for its seasons";
    }
    return "";
}

bool is_price(Price price) {
    return price.count >= 0 && price <= kPriceMax;
}

bool prices_fit(const TariffVersion& version) {
    return std::all_of(
               version.tiers.begin(), version.tiers.end(),
               [](const Tier& tier) { return is_price(tier.price) && is_price(tier.adder); }) &&
           std::all_of(version.bands.begin(), version.bands.end(),
                       [](const Band& band) { return is_price(band.price); });
}

bool is_amount(Fen amount) {
    return amount.count >= 0 && amount <= kFeeMax;
}

// The months of which a text is made, as runs: "5-10", "1-4,11-12".
std::string months_text(const std::vector<int>& months) {
    std::string text;
    for (std::size_t i = 0; i < months.size(); ++i) {
        std::size_t end = i;
        while (end + 1 < months.size() && months[end + 1] == months[end] + 1) ++end;
        text += (text.empty() ? "" : ",") + std::to_string(months[i]);
        if (end > i) text += "-" + std::to_string(months[end]);
        i = end;
    }
    return text;
}

// The months that no season of the version names.
std::vector<int> other_months(const TariffVersion& version) {
    std::vector<int> months;
    for (int month = 1; month <= 12; ++month)
        if (std::none_of(version.tiers.begin(), version.tiers.end(), [&](const Tier& tier) {
                return !tier.months.empty() && holds_in(tier.months, month);
            }))
            months.push_back(month);
    return months;
}

Milli raised(Milli limit, const TariffVersion& version, int persons) {
    if (!version.per_person || persons < version.per_person->from) return limit;
    const Int128 more =
        Int128{version.per_person->up_to_plus.count} * (persons - version.per_person->from + 1);
    // Beyond what a line may hold a limit limits nothing.
    const Int128 sum = std::min<Int128>(limit.count + more, kQuantityMax.count);
    return Milli{static_cast<std::int64_t>(sum)};
}

bool same_ladder(const TariffVersion& a, const TariffVersion& b) {
    if (a.ladder != b.ladder) return false;
    return a.ladder != LadderPeriod::year ||
           (a.ladder_from_month == b.ladder_from_month && a.ladder_from_day == b.ladder_from_day);
}

}  // namespace

const TariffVersion* version_on(const Tariff& tariff, LocalDate date) {
    const TariffVersion* found = nullptr;
    for (const TariffVersion& version : tariff.versions)
        if (version.valid_from <= date) found = &version;
    return found;
}

bool holds_in(const std::vector<int>& months, int month) {
    return months.empty() || std::find(months.begin(), months.end(), month) != months.end();
}

std::string why_not_yet(const TariffVersion& version) {
    std::string words = why_tiers_unfit(version);
    if (!prices_fit(version)) add_word(words, "prices from 0 to 10000 a unit");
    if (!is_amount(version.minimum) ||
        !std::all_of(version.fixed.begin(), version.fixed.end(),
                     [](const FixedFee& fee) { return is_amount(fee.amount); }))
        add_word(words, "fees and a minimum of at most " + format(kFeeMax));
    if (std::any_of(version.bands.begin(), version.bands.end(),
                    [](const Band& band) { return band.name == kMinimumBand; }))
        add_word(words, "another name for its band 'minimum'");
    if (version.quantity_step.count < 1 || version.quantity_step > kQuantityMax ||
        (version.quantity_step.count != 1 && !version.bands.empty()))
        add_word(words, "either bands or a quantity step");
    return words;
}

std::string why_not_yet(const Tariff& tariff) {
    std::string words;
    for (const TariffVersion& version : tariff.versions) {
        std::string rest = why_not_yet(version);
        while (!rest.empty()) {
            const std::size_t comma = rest.find(", ");
            add_word(words, rest.substr(0, comma));
            rest = comma == std::string::npos ? "" : rest.substr(comma + 2);
        }
    }
    return words;
}

LocalDate ladder_period_start(const TariffVersion& version, LocalDate date) {
    switch (version.ladder) {
        case LadderPeriod::none:
            return {1970, 1, 1};
        case LadderPeriod::month:
            return {date.year, date.month, 1};
        case LadderPeriod::year:
            break;
    }
    const LocalDate start = year_start(version, date.year);
    return start <= date ? start : year_start(version, date.year - 1);
}

LocalDate counter_start(const Tariff& tariff, LocalDate date) {
    const TariffVersion* version = version_on(tariff, date);
    if (version == nullptr) return {1970, 1, 1};
    LocalDate start = ladder_period_start(*version, date);
    const TariffVersion* before = nullptr;
    for (const TariffVersion& one : tariff.versions) {
        if (one.valid_from > date) break;
        if (before != nullptr && !same_ladder(*before, one))
            start = std::max(start, one.valid_from);
        before = &one;
    }
    return start;
}

Ladder ladder_in(const TariffVersion& version, int month, int persons) {
    Ladder ladder;
    const bool beside_bands = !version.bands.empty();
    for (const auto& [months, tiers] : seasons_of(version)) {
        const std::vector<int> held = months.empty() ? other_months(version) : months;
        if (!holds_in(held, month) || held.empty()) continue;
        if (held.size() < 12) ladder.season = months_text(held);
        for (const Tier* tier : tiers) {
            std::optional<Milli> limit;
            if (tier->up_to) limit = raised(*tier->up_to, version, persons);
            ladder.steps.push_back({limit, beside_bands ? tier->adder : tier->price});
        }
        break;
    }
    return ladder;
}

std::vector<TierPart> split(const Ladder& ladder, Milli used, Milli quantity) {
    GH_ASSERT(used.count >= 0 && quantity.count >= 0);
    std::vector<TierPart> parts;
    if (ladder.steps.empty()) return parts;
    int number = 0;
    for (const Ladder::Step& step : ladder.steps) {
        ++number;
        if (quantity.count == 0) break;
        if (step.up_to && used >= *step.up_to) continue;
        const Milli room = step.up_to ? *step.up_to - used : quantity;
        const Milli taken = std::min(room, quantity);
        parts.push_back({number, step.price, taken});
        used += taken;
        quantity -= taken;
    }
    GH_ASSERT(quantity.count == 0);
    return parts;
}

}  // namespace gatehouse
