// What a quantity costs, written from DESIGN.md 5 alone: versions by date, seasons, bands, ladders
// with their own counters and limits by persons, whole steps, minimums and fees; one line for each
// (service, month, tariff, version, season, band, tier). The auditor's; it shares nothing with
// core/tariff, core/bands and core/settlement. Values only; the calendar outlives it.
#pragma once

#include <map>
#include <optional>
#include <set>
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
// What whole steps were taken of a tariff's use.
struct OwnSteps {
    std::int64_t used = 0, entered = 0;
};
// One account's lines and counters; the names are those of LineOnDisk::key and "tariff|start".
struct OwnLines {
    std::map<std::string, OwnLine> lines;
    std::map<std::string, std::int64_t> counters;
    std::map<std::string, OwnSteps> steps;         // by tariff
    std::map<std::string, std::int64_t> minimums;  // fen by the line that brings a month up to it
    [[nodiscard]] std::int64_t targets() const;
};

class Prices {
  public:
    explicit Prices(const Calendar& calendar) : calendar_(&calendar) {}
    void publish(const Plan& plan);
    // A quantity that was used at that instant, by so many persons.
    void use(OwnLines& lines, const std::string& tariff, std::int64_t at, int persons,
             std::int64_t quantity) const;
    // Opening ladder: what the old system had counted in the period that holds the day.
    void seed(OwnLines& lines, const std::string& tariff, std::int64_t day,
              std::int64_t quantity) const;
    // What the ladder has counted in the period that holds the day; 0 without a ladder.
    [[nodiscard]] std::int64_t counted(const OwnLines& lines, const std::string& tariff,
                                       std::int64_t day) const;
    // The month that ends with that day has a minimum from now on, where its tariff has one.
    void begin_minimum(OwnLines& lines, const std::string& tariff, std::int64_t last_day) const;
    // The instants within the day at which another band begins, ascending.
    [[nodiscard]] const std::vector<std::int64_t>& band_edges(const std::string& tariff,
                                                              std::int64_t day) const;
    struct Fee {
        std::string cause;
        std::int64_t fen = 0;
    };
    // The fees of the version in force on that day, under the causes that they are due once for.
    [[nodiscard]] std::vector<Fee> fees(const std::string& tariff, std::int64_t day,
                                        bool daily) const;

    // The counter that use of that day moves; "" without a ladder.
    [[nodiscard]] std::string counter_on(const std::string& tariff, std::int64_t day) const;
    // Whether a counter of that name ("tariff|start") is one of a ladder.
    [[nodiscard]] bool has_ladder(const std::string& counter) const;

  private:
    [[nodiscard]] const PlanTariff& tariff(const std::string& id) const;
    // The version in force, and the day on which its counter began; nothing without a ladder.
    [[nodiscard]] static const PlanVersion& version_of(const PlanTariff& tariff, std::int64_t day);
    [[nodiscard]] static std::optional<std::int64_t> counter_began(const PlanTariff& tariff,
                                                                   std::int64_t day);
    [[nodiscard]] std::string kind_of(std::int64_t day) const;
    [[nodiscard]] const PlanBand& band_at(const PlanVersion& version, std::int64_t day,
                                          int minute) const;
    void follow_minimums(OwnLines& lines) const;

    const Calendar* calendar_;
    std::vector<PlanTariff> tariffs_;
    std::map<std::int64_t, std::string> special_days_;
    mutable std::map<std::pair<std::string, std::int64_t>, std::vector<std::int64_t>> edges_;
};

}  // namespace gatehouse::money
