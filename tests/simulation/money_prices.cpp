#include "tests/simulation/money_prices.hpp"

#include <algorithm>
#include <stdexcept>

namespace gatehouse::money {
namespace {

std::int64_t in_thousandths(const std::string& decimal) {
    return floor_of(ratio_of(decimal) * Ratio{1'000, 1});
}

std::string counter_name(const std::string& tariff, std::int64_t began) {
    return tariff + "|" + text_of(civil_of(began));
}

bool is_other_ladder(const PlanVersion& a, const PlanVersion& b) {
    if (a.ladder != b.ladder) return true;
    return a.ladder == "year" && (a.year_month != b.year_month || a.year_day != b.year_day);
}

}  // namespace

std::int64_t OwnLines::targets() const {
    std::int64_t sum = 0;
    for (const auto& [key, line] : lines) sum += line.target();
    return sum;
}

const PlanTariff& Prices::tariff(const std::string& id) const {
    for (const PlanTariff& one : tariffs_)
        if (one.id == id) return one;
    throw std::logic_error("the auditor knows no tariff " + id);
}

const PlanVersion& Prices::version_of(const PlanTariff& tariff, std::int64_t day) {
    const PlanVersion* found = nullptr;
    for (const PlanVersion& version : tariff.versions)
        if (version.from_day <= day) found = &version;
    if (found == nullptr) throw std::logic_error("no version of " + tariff.id);
    return *found;
}

std::optional<std::int64_t> Prices::counter_began(const PlanTariff& tariff, std::int64_t day) {
    const PlanVersion& version = version_of(tariff, day);
    if (version.ladder == "none") return std::nullopt;
    const Civil date = civil_of(day);
    std::int64_t began = day_number({date.year, date.month, 1});
    if (version.ladder == "year") {
        began = day_number({date.year, version.year_month, version.year_day});
        if (began > day) began = day_number({date.year - 1, version.year_month, version.year_day});
    }
    // Another ladder begins at 0 with the version that brought it.
    for (std::size_t i = 1; i < tariff.versions.size(); ++i)
        if (tariff.versions[i].from_day <= day &&
            is_other_ladder(tariff.versions[i - 1], tariff.versions[i]))
            began = std::max(began, tariff.versions[i].from_day);
    return began;
}

void Prices::use(OwnLines& lines, const std::string& id, std::int64_t day,
                 std::int64_t quantity) const {
    if (quantity == 0) return;
    const PlanTariff& published = tariff(id);
    const PlanVersion& version = version_of(published, day);
    const std::optional<std::int64_t> began = counter_began(published, day);
    std::int64_t none = 0;
    std::int64_t& counter = began ? lines.counters[counter_name(id, *began)] : none;
    const std::string prefix = published.service + "|" + month_text(day) + "|" + id + "|" +
                               text_of(civil_of(version.from_day)) + "|||";
    // What lies between the counter before and after falls into the tiers by their limits alone.
    const std::int64_t from = counter, to = counter + quantity;
    std::int64_t below = 0;
    for (std::size_t i = 0; i < version.tiers.size(); ++i) {
        const PlanTier& tier = version.tiers[i];
        const std::int64_t limit = tier.up_to.empty() ? to : in_thousandths(tier.up_to);
        const std::int64_t part = std::min(limit, to) - std::max(below, from);
        below = std::max(below, limit);
        if (part <= 0) continue;
        OwnLine& line = lines.lines[prefix + std::to_string(i + 1)];
        line.price = ratio_of(tier.price);
        line.quantity += part;
    }
    counter = to;
}

bool Prices::has_ladder(const std::string& counter) const {
    const std::size_t bar = counter.find('|');
    const std::string start = counter.substr(bar + 1);
    if (start == "1970-01-01") return false;
    const PlanVersion* version = nullptr;
    for (const PlanVersion& one : tariff(counter.substr(0, bar)).versions)
        if (text_of(civil_of(one.from_day)) <= start || version == nullptr) version = &one;
    return version->ladder != "none";
}

void Prices::seed(OwnLines& lines, const std::string& id, std::int64_t day,
                  std::int64_t quantity) const {
    if (const auto began = counter_began(tariff(id), day))
        lines.counters[counter_name(id, *began)] = quantity;
}

}  // namespace gatehouse::money
