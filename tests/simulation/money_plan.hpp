// The site of one world as its clerks wrote it down: tariffs, meters, accounts. It becomes the
// registry's files for the daemon, and the published prices and terms for the auditor. It knows
// nothing of what was read or booked. Values only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace gatehouse::money {

// The one source of chance of a world; a seed gives the same world on every machine.
class Dice {
  public:
    explicit Dice(std::uint64_t seed) : engine_(seed) {}
    std::uint64_t next() { return engine_(); }
    std::int64_t below(std::int64_t n) {
        return static_cast<std::int64_t>(engine_() % static_cast<std::uint64_t>(n));
    }
    std::int64_t from_to(std::int64_t low, std::int64_t high) {
        return low + below(high - low + 1);
    }
    bool one_in(std::int64_t n) { return below(n) == 0; }
    bool percent(std::int64_t p) { return below(100) < p; }
    template <class Value>
    const Value& pick(const std::vector<Value>& from) {
        return from[static_cast<std::size_t>(below(static_cast<std::int64_t>(from.size())))];
    }

  private:
    std::mt19937_64 engine_;
};

struct PlanTier {
    std::string up_to, price;  // up_to empty: open; beside bands the price is the adder
    std::vector<int> months;   // empty: all that no other tier names
};
struct PlanBand {
    std::string name;
    int from = 0, to = 0;     // minutes of the day; to is exclusive, 1440 = 24:00
    std::vector<int> months;  // empty: all
    std::string days;         // empty: all
    std::string price;
};
struct PlanFee {
    std::string name, per, amount;
};
struct PlanVersion {
    std::int64_t from_day = 0;  // valid_from
    std::string ladder = "none";
    int year_month = 1, year_day = 1;  // ladder_from
    std::vector<PlanTier> tiers;
    std::vector<PlanBand> bands;
    std::vector<PlanFee> fees;
    std::string minimum, quantity_step;  // empty: none
    int persons_from = 0;                // 0: limits hold for any number of persons
    std::string persons_plus;
};
struct PlanTariff {
    std::string id, service;
    std::vector<PlanVersion> versions;
};
struct PlanUnit {
    std::string id;
    int persons = 1;
};
struct PlanMeter {
    std::string id, unit, service, profile, multiplier = "1";
    std::string account, tariff;  // its own; empty: those of the unit's account
    std::string opening_register, opening_at;
    int address = 1;
};
struct PlanAccount {
    std::string id, unit, service;
    std::vector<std::string> tariffs;
    std::string billing = "prepaid", opening_balance, overdraft, hoarding_cap;
    std::vector<std::string> opening_ladder;
    std::optional<std::int64_t> live_day;
    bool closed = false;
};

// Who pays for a meter, by which tariff, and what its register counts for.
struct Terms {
    std::string account, tariff, multiplier;
    int persons = 0;
    friend bool operator==(const Terms&, const Terms&) = default;
};

struct Plan {
    std::vector<PlanTariff> tariffs;
    std::vector<PlanUnit> units;
    std::vector<PlanMeter> meters;
    std::vector<PlanAccount> accounts;
    std::vector<std::string> people;
    std::map<std::int64_t, std::string> special_days;  // calendar.csv

    [[nodiscard]] std::vector<std::pair<std::string, std::string>> files() const;
    [[nodiscard]] std::map<std::string, Terms> terms() const;  // by meter
    [[nodiscard]] const PlanTariff* tariff(const std::string& id) const;
};

// A site of so many households that begins on that day and is watched for so many.
[[nodiscard]] Plan draw_plan(Dice& dice, int households, std::int64_t first_day, int days);
// Another version of a tariff, or another tariff, multiplier, payer or number of persons for
// somebody: what clerks change in the middle of a month. Says what it changed; empty: nothing.
[[nodiscard]] std::string change_plan(Dice& dice, Plan& plan, std::int64_t today,
                                      const std::vector<std::string>& steady_meters);
// A version of a tariff whose first day has come already.
struct LateVersion {
    std::string tariff;
    std::int64_t from_day = 0;
};
// Other prices and limits, and now and then another minimum, for days that are over; ladder,
// seasons and bands are those that held then, since nobody took a freeze at others. Nothing: not
// this time.
[[nodiscard]] std::optional<LateVersion> publish_late(Dice& dice, Plan& plan, std::int64_t today);
// The plan as who never heard of these versions has it.
[[nodiscard]] Plan without(Plan plan, const std::vector<LateVersion>& versions);

}  // namespace gatehouse::money
