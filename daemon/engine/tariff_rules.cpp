#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "daemon/core/tariff.hpp"
#include "daemon/engine/tariff_file.hpp"

namespace gatehouse::registry_files {
namespace {

constexpr int kDayMinutes = 1440;

std::string clock_text(int minute) {
    const auto two = [](int value) { return (value < 10 ? "0" : "") + std::to_string(value); };
    return two(minute / 60) + ":" + two(minute % 60);
}

// How many bands hold each minute of such a day in that month.
std::array<int, kDayMinutes> coverage(const std::vector<Band>& bands, int month, BandDays days) {
    std::array<int, kDayMinutes> count{};
    for (const Band& band : bands) {
        if (!holds_in(band.months, month) || (band.days != BandDays::all && band.days != days)) {
            continue;
        }
        const int length = band.to_minute > band.from_minute
                               ? band.to_minute - band.from_minute
                               : band.to_minute + kDayMinutes - band.from_minute;
        for (int i = 0; i < length; ++i) {
            ++count[static_cast<std::size_t>((band.from_minute + i) % kDayMinutes)];
        }
    }
    return count;
}

std::string coverage_problem(const std::vector<Band>& bands, int month, BandDays days,
                             const char* day_name) {
    const auto count = coverage(bands, month, days);
    const auto wrong = std::find_if(count.begin(), count.end(), [](int n) { return n != 1; });
    if (wrong == count.end()) {
        return {};
    }
    const auto end = std::find_if(wrong, count.end(), [&](int n) { return n != *wrong; });
    return std::string(*wrong == 0 ? "no band holds " : "more than one band holds ") +
           clock_text(static_cast<int>(wrong - count.begin())) + " to " +
           clock_text(static_cast<int>(end - count.begin())) + " on a " + day_name + " in month " +
           std::to_string(month) + "; bands must cover exactly 24 hours";
}

bool share_a_month(const Band& a, const Band& b) {
    for (int month = 1; month <= 12; ++month) {
        if (holds_in(a.months, month) && holds_in(b.months, month)) {
            return true;
        }
    }
    return false;
}

std::string group_name(const std::vector<int>& months) {
    return months.empty() ? "" : " of the season that holds month " + std::to_string(months[0]);
}

std::string group_problem(const std::vector<int>& months, const std::vector<const Tier*>& tiers,
                          LadderPeriod ladder) {
    for (std::size_t i = 0; i + 1 < tiers.size(); ++i) {
        if (!tiers[i]->up_to) {
            return "only the last tier" + group_name(months) + " may be without up_to";
        }
        if (i > 0 && *tiers[i]->up_to <= *tiers[i - 1]->up_to) {
            return "tier limits" + group_name(months) +
                   " must ascend: " + format(*tiers[i]->up_to) + " follows " +
                   format(*tiers[i - 1]->up_to);
        }
    }
    if (tiers.back()->up_to) {
        return "the last tier" + group_name(months) + " must be open; leave out its up_to";
    }
    if (ladder == LadderPeriod::none && tiers.size() > 1) {
        return "ladder is none, which has one tier" + group_name(months) +
               "; write month or year for limits";
    }
    return {};
}

}  // namespace

std::string band_problem(const std::vector<Band>& bands) {
    constexpr std::array<std::pair<BandDays, const char*>, 3> kKinds{
        {{BandDays::workday, "workday"},
         {BandDays::weekend, "weekend day"},
         {BandDays::holiday, "holiday"}}};
    for (int month = 1; month <= 12; ++month) {
        for (const auto& [kind, name] : kKinds) {
            if (auto problem = coverage_problem(bands, month, kind, name); !problem.empty()) {
                return problem;
            }
        }
    }
    for (std::size_t i = 0; i < bands.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            if (bands[i].name == bands[j].name && bands[i].price != bands[j].price &&
                share_a_month(bands[i], bands[j])) {
                return "band '" + bands[i].name + "' has two prices, " + format(bands[j].price) +
                       " and " + format(bands[i].price) +
                       ", in one month; give one of them another name";
            }
        }
    }
    return {};
}

std::string tier_problem(const TariffVersion& version) {
    std::map<std::vector<int>, std::vector<const Tier*>> groups;
    for (const Tier& tier : version.tiers) {
        groups[tier.months].push_back(&tier);
    }
    std::set<int> named;
    for (const auto& [months, tiers] : groups) {
        if (auto problem = group_problem(months, tiers, version.ladder); !problem.empty()) {
            return problem;
        }
        for (const int month : months) {
            if (!named.insert(month).second) {
                return "month " + std::to_string(month) +
                       " belongs to two seasons; tiers of one season name the same months";
            }
        }
    }
    if (named.empty()) {
        return {};
    }
    if (version.ladder == LadderPeriod::year) {
        return "seasons do not go with ladder = \"year\"; write month";
    }
    const bool others = groups.contains({});
    if (!others && named.size() < 12) {
        int month = 1;
        while (named.contains(month)) {
            ++month;
        }
        return "no tier holds in month " + std::to_string(month) +
               "; add tiers without months for all others";
    }
    if (others && named.size() == 12) {
        return "the tiers without months never hold: the seasons name all twelve";
    }
    return {};
}

}  // namespace gatehouse::registry_files
