#include "daemon/core/tariff.hpp"

#include <algorithm>

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

bool tiers_ascend(const TariffVersion& version) {
    if (version.tiers.empty() || version.tiers.back().up_to) return false;
    Milli below{0};
    for (std::size_t i = 0; i + 1 < version.tiers.size(); ++i) {
        const Tier& tier = version.tiers[i];
        if (!tier.up_to || *tier.up_to <= below || *tier.up_to > kQuantityMax) return false;
        below = *tier.up_to;
    }
    return true;
}

// What makes a version that needs nothing unserved unfit to price with all the same.
std::string why_unfit(const TariffVersion& version) {
    if (!tiers_ascend(version)) return "tiers that ascend to an open one";
    if (version.ladder == LadderPeriod::none && version.tiers.size() > 1)
        return "a ladder period for its tiers";
    for (const Tier& tier : version.tiers)
        if (tier.price.count < 0 || tier.price > kPriceMax) return "prices from 0 to 10000 a unit";
    return "";
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

std::string why_not_yet(const TariffVersion& version) {
    std::string words;
    if (!version.bands.empty()) add_word(words, "bands");
    if (std::any_of(version.tiers.begin(), version.tiers.end(),
                    [](const Tier& tier) { return !tier.months.empty(); }))
        add_word(words, "seasonal limits");
    if (version.per_person) add_word(words, "per-person limits");
    if (!version.fixed.empty()) add_word(words, "fixed fees");
    if (version.minimum.count != 0) add_word(words, "a minimum");
    if (version.quantity_step.count != 1) add_word(words, "a quantity step");
    if (words.empty()) add_word(words, why_unfit(version));
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

std::vector<TierPart> split(const TariffVersion& version, Milli used, Milli quantity) {
    GH_ASSERT(used.count >= 0 && quantity.count >= 0);
    std::vector<TierPart> parts;
    int number = 0;
    for (const Tier& tier : version.tiers) {
        ++number;
        if (quantity.count == 0) break;
        if (tier.up_to && used >= *tier.up_to) continue;
        const Milli room = tier.up_to ? *tier.up_to - used : quantity;
        const Milli taken = std::min(room, quantity);
        parts.push_back({number, tier.price, taken});
        used += taken;
        quantity -= taken;
    }
    GH_ASSERT(quantity.count == 0);
    return parts;
}

}  // namespace gatehouse
