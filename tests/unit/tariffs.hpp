// Tariffs that the money tests share, with the figures of published price lists. Tests only.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "daemon/core/registry.hpp"

namespace gatehouse::test {

inline Price price(const char* text) {
    return Price{parse_decimal(text, 8).value()};
}
inline Milli quantity(const char* text) {
    return Milli{parse_decimal(text, 3).value()};
}
inline Fen fen(const char* text) {
    return Fen{parse_decimal(text, 2).value()};
}

// Limits and prices in turn; an empty limit is the open tier.
using TierTexts = std::vector<std::pair<std::string, std::string>>;

inline TariffVersion version(LocalDate from, LadderPeriod ladder, const TierTexts& tiers) {
    TariffVersion out;
    out.valid_from = from;
    out.ladder = ladder;
    for (const auto& [limit, text] : tiers) {
        Tier tier;
        if (!limit.empty()) tier.up_to = quantity(limit.c_str());
        tier.price = price(text.c_str());
        out.tiers.push_back(tier);
    }
    return out;
}

inline Tariff tariff(const char* id, Service service, TariffVersion only) {
    Tariff out;
    out.tariff = id;
    out.service = service;
    out.source = "test";
    out.versions = {std::move(only)};
    return out;
}

inline Tariff flat(const char* text) {
    return tariff("flat", Service::electricity,
                  version({2020, 1, 1}, LadderPeriod::none, {{"", text}}));
}
inline Tariff beijing_electricity() {
    return tariff("beijing-home-electricity", Service::electricity,
                  version({2020, 1, 1}, LadderPeriod::year,
                          {{"2880", "0.4883"}, {"4800", "0.5383"}, {"", "0.7883"}}));
}
inline Tariff beijing_water() {
    return tariff("beijing-home-water", Service::water,
                  version({2020, 1, 1}, LadderPeriod::year,
                          {{"180", "5.00"}, {"260", "7.00"}, {"", "9.00"}}));
}
inline Tier tier(std::vector<int> months, const char* limit, const char* text) {
    Tier out;
    out.months = std::move(months);
    if (*limit != 0) out.up_to = quantity(limit);
    out.price = price(text);
    return out;
}
// May to October and the rest of the year.
inline Tariff guangzhou() {
    const std::vector<int> summer{5, 6, 7, 8, 9, 10};
    TariffVersion v;
    v.valid_from = {2020, 1, 1};
    v.ladder = LadderPeriod::month;
    v.tiers = {tier(summer, "260", "0.58886875"), tier(summer, "600", "0.63886875"),
               tier(summer, "", "0.88886875"),    tier({}, "200", "0.58886875"),
               tier({}, "400", "0.63886875"),     tier({}, "", "0.88886875")};
    return tariff("guangzhou-home-electricity", Service::electricity, v);
}
inline Band band(const char* name, int from_minute, int to_minute, const char* text) {
    Band out;
    out.name = name;
    out.from_minute = from_minute;
    out.to_minute = to_minute;
    out.price = price(text);
    return out;
}
// Peak from 8 to 22, the ladder of the year as an adder beside it.
inline Tariff zhejiang_bands() {
    TariffVersion v;
    v.valid_from = {2020, 1, 1};
    v.ladder = LadderPeriod::year;
    v.bands = {band("peak", 8 * 60, 22 * 60, "0.568"), band("valley", 22 * 60, 8 * 60, "0.288")};
    v.tiers = {tier({}, "2760", "0"), tier({}, "4800", "0"), tier({}, "", "0")};
    v.tiers[1].adder = price("0.05");
    v.tiers[2].adder = price("0.30");
    return tariff("zhejiang-home-electricity-bands", Service::electricity, v);
}
// Guangzhou's bands with the limits of summer; the two price sets that were published differ.
inline Tariff guangzhou_bands(const char* peak, const char* valley) {
    Tariff out = guangzhou();
    out.tariff = "guangzhou-home-electricity-bands";
    TariffVersion& v = out.versions[0];
    const char* const adders[] = {"0", "0.05", "0.30"};
    for (std::size_t i = 0; i < v.tiers.size(); ++i) {
        v.tiers[i].price = Price{};
        v.tiers[i].adder = price(adders[i % 3]);
    }
    v.bands = {band("valley", 0, 8 * 60, valley),    band("flat", 8 * 60, 10 * 60, "0.58886875"),
               band("peak", 10 * 60, 12 * 60, peak), band("flat", 12 * 60, 14 * 60, "0.58886875"),
               band("peak", 14 * 60, 19 * 60, peak), band("flat", 19 * 60, 24 * 60, "0.58886875")};
    return out;
}

}  // namespace gatehouse::test
