// Settlement: charges from the cumulative register. What an account used adds up in lines, and
// what is posted is always a line's target less what was posted before, so neither cadence nor
// duplicates nor restarts can change it. It writes no entries (ledger.hpp). Pure, any thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/core/money.hpp"
#include "daemon/core/registry.hpp"
#include "daemon/core/tariff.hpp"
#include "daemon/core/time.hpp"

namespace gatehouse {

// What tells an account's lines apart. The scope is a text: the daemon passes the consumption
// month (month_scope), the vectors that settle over a year pass "2026".
struct LineKey {
    Service service = Service::electricity;
    std::string scope;
    std::string tariff;
    LocalDate version;   // its valid_from
    std::string season;  // empty until seasons are served
    std::string band;    // empty until bands are served
    int tier = 1;        // counts from 1
    friend auto operator<=>(const LineKey&, const LineKey&) = default;
};
struct Line {
    Price price;
    Milli quantity;  // cumulative
    Fen posted;      // sum of the line's entries, positive for what was charged
    friend bool operator==(const Line&, const Line&) = default;
};
[[nodiscard]] inline Fen target(const Line& line) {
    return target(line.price, line.quantity);
}

// One account's lines and ladder counters. A counter is named by tariff and counter_start.
struct Settlement {
    using CounterKey = std::pair<std::string, LocalDate>;
    std::map<LineKey, Line> lines;
    std::map<CounterKey, Milli> counters;
    friend bool operator==(const Settlement&, const Settlement&) = default;
};

[[nodiscard]] std::string month_scope(LocalDate date);  // "2026-11"

// Why a quantity was not added; nothing has changed then.
enum class Accrual {
    ok,
    no_version,  // no version is in force on that day: nothing can be charged for it
    too_much     // a line or counter would pass kQuantityMax: the reading is to be held
};

// Adds a quantity used within one local day through the tiers into the lines, and moves the ladder
// counter of the period in which that day lies. The quantity is not negative (asserted), and
// why_not_yet(tariff) is empty. The second form is for callers that name version and counter.
[[nodiscard]] Accrual accrue(Settlement& settlement, const Tariff& tariff, LocalDate day,
                             const std::string& scope, Milli quantity);
[[nodiscard]] Accrual accrue(Settlement& settlement, const Tariff& tariff,
                             const TariffVersion& version, const std::string& scope,
                             LocalDate counter_from, Milli quantity);

// The counter that consumption of that day moves; 0 where it was never moved.
[[nodiscard]] Milli counter(const Settlement& settlement, const Tariff& tariff, LocalDate day);

// Opening ladder: sets the counter of the period that holds `day` to what the old system counted.
void seed_counter(Settlement& settlement, const Tariff& tariff, LocalDate day, Milli used);

// A line whose target is not what was posted. amount = target - posted; below 0 only after a
// correction, and then it is no charge.
struct Due {
    LineKey key;
    Price price;
    Milli quantity;  // the line's, cumulative
    Fen target, amount;
    friend bool operator==(const Due&, const Due&) = default;
};
[[nodiscard]] std::vector<Due> due(const Settlement& settlement);  // in the order of keys
[[nodiscard]] Fen outstanding(const Settlement& settlement);       // sum of what is due

// Remembers that what was due has an entry. The line exists (asserted).
void mark_posted(Settlement& settlement, const Due& posted);

// Drops lines of scopes before `scope` that are settled, and counters that began before
// `counters_before`, so that an account in memory stays small; the store keeps them all.
void forget_settled(Settlement& settlement, const std::string& scope, LocalDate counters_before);

// The total at an edge between two confirmed totals, in milliseconds and 1e-3:
// total0 + floor((total1 - total0) x (edge - t0) / (t1 - t0)). An edge outside t0..t1 takes the
// nearer end. total1 is not below total0 (asserted): only confirmed totals come here.
[[nodiscard]] Milli total_at_edge(Milli total0, UtcMs t0, Milli total1, UtcMs t1, UtcMs edge);

// A mean as the exact ratio sum / days.
struct DailyMean {
    Milli sum;
    int days = 0;
    friend bool operator==(const DailyMean&, const DailyMean&) = default;
};
inline constexpr int kMeanDaysMax = 7, kMeanDaysMin = 3;
inline constexpr int kDaysLeftMax = 999;

// Of the last complete days' quantities, newest last; older ones than kMeanDaysMax are left out.
// Nothing for fewer than kMeanDaysMin.
[[nodiscard]] std::optional<DailyMean> daily_mean(const std::vector<Milli>& days);

// One (service, tariff) of an account: where its ladder stands, unposted use included, and what a
// day uses. mean absent: too few days, and then nothing is foretold.
struct DailyUse {
    const TariffVersion* version = nullptr;  // in force at as_of; not null (asserted)
    Milli counter;
    std::optional<DailyMean> mean;
};

// Whole days that the balance lasts from the day of as_of on, walked through the tiers, each
// ladder starting anew where its period does. 0 for a balance of 0 or less; nothing without a mean
// or without use; at most kDaysLeftMax. Exact integers, floor.
[[nodiscard]] std::optional<int> days_left(Fen balance, LocalDate as_of,
                                           const std::vector<DailyUse>& uses);

// Days left count down from as_of while no confirmed sample comes; never below 0.
[[nodiscard]] int counted_down(int days, UtcMs as_of, UtcMs now);

}  // namespace gatehouse
