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
// The limits of July; the seasons themselves are not served yet.
inline Tariff guangzhou_july() {
    return tariff("guangzhou-home-electricity", Service::electricity,
                  version({2020, 1, 1}, LadderPeriod::month,
                          {{"260", "0.58886875"}, {"600", "0.63886875"}, {"", "0.88886875"}}));
}

}  // namespace gatehouse::test
