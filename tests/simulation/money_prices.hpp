// What a quantity costs, written from DESIGN.md 5 alone: versions by date, ladders with their own
// counters, one line for each (service, month, tariff, version, season, band, tier). The auditor's;
// it shares nothing with core/tariff and core/settlement. Values only.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/simulation/money_own.hpp"
#include "tests/simulation/money_plan.hpp"

namespace gatehouse::money {

struct OwnLine {
    Ratio price;
    std::int64_t quantity = 0;
    [[nodiscard]] std::int64_t target() const {
        if (priced_for != quantity) {
            priced = fen_of(price, quantity);
            priced_for = quantity;
        }
        return priced;
    }
    mutable std::int64_t priced_for = -1, priced = 0;  // the product is worked out once
};
// One account's lines and counters; the names are those of LineOnDisk::key and "tariff|start".
struct OwnLines {
    std::map<std::string, OwnLine> lines;
    std::map<std::string, std::int64_t> counters;
    [[nodiscard]] std::int64_t targets() const;
};

class Prices {
  public:
    void publish(const Plan& plan) { tariffs_ = plan.tariffs; }
    // A quantity that was used within one local day.
    void use(OwnLines& lines, const std::string& tariff, std::int64_t day,
             std::int64_t quantity) const;
    // Opening ladder: what the old system had counted in the period that holds the day.
    void seed(OwnLines& lines, const std::string& tariff, std::int64_t day,
              std::int64_t quantity) const;

    // Whether a counter of that name ("tariff|start") is one of a ladder.
    [[nodiscard]] bool has_ladder(const std::string& counter) const;

  private:
    [[nodiscard]] const PlanTariff& tariff(const std::string& id) const;
    // The version in force, and the day on which its counter began; nothing without a ladder.
    [[nodiscard]] static const PlanVersion& version_of(const PlanTariff& tariff, std::int64_t day);
    [[nodiscard]] static std::optional<std::int64_t> counter_began(const PlanTariff& tariff,
                                                                   std::int64_t day);
    std::vector<PlanTariff> tariffs_;
};

}  // namespace gatehouse::money
