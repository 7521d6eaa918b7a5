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

bool names(const std::vector<int>& months, int month) {
    return months.empty() || std::find(months.begin(), months.end(), month) != months.end();
}

// The tiers that hold in a month: those that name it, else those that name none.
std::vector<const PlanTier*> tiers_in(const PlanVersion& version, int month) {
    std::vector<const PlanTier*> named, others;
    for (const PlanTier& tier : version.tiers) {
        if (tier.months.empty())
            others.push_back(&tier);
        else if (names(tier.months, month))
            named.push_back(&tier);
    }
    return named.empty() ? others : named;
}

// "5-10", "1-4,11-12"; empty where the version knows no seasons.
std::string season_of(const PlanVersion& version, const PlanTier& tier) {
    std::set<int> held(tier.months.begin(), tier.months.end());
    if (held.empty()) {
        for (int month = 1; month <= 12; ++month) held.insert(month);
        for (const PlanTier& one : version.tiers)
            for (const int month : one.months) held.erase(month);
    }
    if (held.size() == 12) return "";
    std::string text;
    for (const int month : held) {
        if (held.contains(month - 1)) continue;
        int last = month;
        while (held.contains(last + 1)) ++last;
        text += (text.empty() ? "" : ",") + std::to_string(month);
        if (last > month) text += "-" + std::to_string(last);
    }
    return text;
}

}  // namespace

void Prices::publish(const Plan& plan) {
    tariffs_ = plan.tariffs;
    special_days_ = plan.special_days;
    edges_.clear();
}

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

std::string Prices::kind_of(std::int64_t day) const {
    const auto special = special_days_.find(day);
    if (special != special_days_.end()) return special->second;
    return weekday_of(day) >= 5 ? "weekend" : "workday";
}

const PlanBand& Prices::band_at(const PlanVersion& version, std::int64_t day, int minute) const {
    const std::string kind = kind_of(day);
    for (const PlanBand& band : version.bands) {
        if (!names(band.months, civil_of(day).month)) continue;
        if (!band.days.empty() && band.days != kind) continue;
        // What passes midnight holds before its end and after its beginning.
        const bool inside = band.from < band.to ? band.from <= minute && minute < band.to
                                                : minute < band.to || band.from <= minute;
        if (inside) return band;
    }
    throw std::logic_error("no band holds");
}

const std::vector<std::int64_t>& Prices::band_edges(const std::string& id, std::int64_t day) const {
    const auto [found, fresh] = edges_.try_emplace({id, day});
    if (!fresh) return found->second;
    const PlanVersion& version = version_of(tariff(id), day);
    for (int minute = 1; minute < 1'440 && !version.bands.empty(); ++minute) {
        if (band_at(version, day, minute - 1).name == band_at(version, day, minute).name) continue;
        const std::int64_t edge = calendar_->reaches(day, minute);
        if (found->second.empty() || found->second.back() != edge) found->second.push_back(edge);
    }
    return found->second;
}

void Prices::use(OwnLines& lines, const std::string& id, std::int64_t at, int persons,
                 std::int64_t quantity) const {
    if (quantity == 0) return;
    const std::int64_t day = calendar_->day_of(at);
    const PlanTariff& published = tariff(id);
    const PlanVersion& version = version_of(published, day);
    OwnSteps& steps = lines.steps[id];
    const std::int64_t step =
        version.quantity_step.empty() ? 1 : in_thousandths(version.quantity_step);
    steps.used += quantity;
    const std::int64_t entered = (steps.used - steps.entered) / step * step;
    steps.entered += entered;
    if (entered == 0) return;
    const std::optional<std::int64_t> began = counter_began(published, day);
    std::int64_t none = 0;
    std::int64_t& counter = began ? lines.counters[counter_name(id, *began)] : none;
    const std::string prefix = published.service + "|" + month_text(day) + "|" + id + "|" +
                               text_of(civil_of(version.from_day)) + "|";
    const auto add = [&](const std::string& name, const std::string& price, std::int64_t part) {
        OwnLine& line = lines.lines[prefix + name];
        line.price = ratio_of(price);
        line.quantity += part;
    };
    if (!version.bands.empty()) {
        const PlanBand& band = band_at(version, day, calendar_->minute_of(at));
        add("|" + band.name + "|0", band.price, entered);
    }
    // What lies between the counter before and after falls into the tiers by their limits alone.
    const std::int64_t from = counter, to = counter + entered;
    std::int64_t below = 0;
    int number = 0;
    for (const PlanTier* tier : tiers_in(version, civil_of(day).month)) {
        std::int64_t limit = tier->up_to.empty() ? to : in_thousandths(tier->up_to);
        if (!tier->up_to.empty() && version.persons_from != 0 && persons >= version.persons_from)
            limit += in_thousandths(version.persons_plus) * (persons - version.persons_from + 1);
        const std::int64_t part = std::min(limit, to) - std::max(below, from);
        below = std::max(below, limit);
        ++number;
        if (part > 0)
            add(season_of(version, *tier) + "||" + std::to_string(number), tier->price, part);
    }
    counter = to;
    follow_minimums(lines);
}

std::int64_t Prices::counted(const OwnLines& lines, const std::string& id, std::int64_t day) const {
    const auto began = counter_began(tariff(id), day);
    if (!began) return 0;
    const auto found = lines.counters.find(counter_name(id, *began));
    return found == lines.counters.end() ? 0 : found->second;
}

void Prices::begin_minimum(OwnLines& lines, const std::string& id, std::int64_t last_day) const {
    const PlanTariff& published = tariff(id);
    const PlanVersion& version = version_of(published, last_day);
    if (version.minimum.empty()) return;
    const std::string key = published.service + "|" + month_text(last_day) + "|" + id + "|" +
                            text_of(civil_of(version.from_day)) + "||minimum|0";
    lines.minimums[key] = floor_of(ratio_of(version.minimum) * Ratio{100, 1});
    follow_minimums(lines);
}

// The line of a minimum costs what the other lines of that tariff and month leave of it.
void Prices::follow_minimums(OwnLines& lines) const {
    for (const auto& [key, minimum] : lines.minimums) {
        const std::size_t version = key.find('|', key.find('|', key.find('|') + 1) + 1) + 1;
        const std::string prefix = key.substr(0, version);
        std::int64_t others = 0;
        for (auto line = lines.lines.lower_bound(prefix);
             line != lines.lines.end() && line->first.rfind(prefix, 0) == 0; ++line)
            if (!lines.minimums.contains(line->first)) others += line->second.target();
        OwnLine& line = lines.lines[key];
        line.price = Ratio{1, 1};
        line.quantity = std::max<std::int64_t>(0, minimum - others) * 10;
    }
}

std::vector<Prices::Fee> Prices::fees(const std::string& id, std::int64_t day, bool daily) const {
    std::vector<Fee> due;
    for (const PlanFee& fee : version_of(tariff(id), day).fees) {
        if (fee.per == "day" && !daily) continue;
        const std::string when = fee.per == "day" ? text_of(civil_of(day)) : month_text(day);
        due.push_back({"fee:" + id + "/" + fee.name + "/" + when,
                       floor_of(ratio_of(fee.amount) * Ratio{100, 1})});
    }
    return due;
}

std::string Prices::counter_on(const std::string& id, std::int64_t day) const {
    const auto began = counter_began(tariff(id), day);
    return began ? counter_name(id, *began) : "";
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
