// Settlement: charges from the cumulative register. What an account used adds up in lines, and
// what is posted is always a line's target less what was posted before, so neither cadence nor
// duplicates nor restarts can change it. It writes no entries (ledger.hpp). Pure, any thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/core/bands.hpp"
#include "daemon/core/money.hpp"
#include "daemon/core/registry.hpp"
#include "daemon/core/tariff.hpp"
#include "daemon/core/time.hpp"

namespace gatehouse {

// What tells an account's lines apart. The scope is a text: the daemon passes the consumption
// month (month_scope), the vectors that settle over a year pass "2026". Beside bands a tier's line
// has no band and carries the adder; a band's has tier 0 and no season.
struct LineKey {
    Service service = Service::electricity;
    std::string scope;
    std::string tariff;
    LocalDate version;   // its valid_from
    std::string season;  // Ladder::season
    std::string band;    // name; kMinimumBand: what brings the month up to its minimum
    int tier = 1;        // counts from 1; 0: the line of a band or of a minimum
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

// One account's lines and ladder counters. A counter is named by tariff and counter_start. A rest
// is what a quantity_step has held back of a tariff's use so far, less than a step.
struct Settlement {
    using CounterKey = std::pair<std::string, LocalDate>;
    std::map<LineKey, Line> lines;
    std::map<CounterKey, Milli> counters;
    std::map<std::string, Milli> rests;
    friend bool operator==(const Settlement&, const Settlement&) = default;
};

[[nodiscard]] std::string month_scope(LocalDate date);  // "2026-11"

// Why a quantity was not added; nothing has changed then.
enum class Accrual {
    ok,
    no_price,  // no version, tier or band is in force then: nothing can be charged for it
    too_much   // a line or counter would pass kQuantityMax: the reading is to be held
};

// What of a quantity went into a line.
struct Share {
    LineKey line;
    Line before;  // without it
    Milli quantity;
    friend bool operator==(const Share&, const Share&) = default;
};

// Adds a quantity used within one interval: whole steps of it through the tiers into their lines
// and, beside them, into the line of the band; and moves the ladder counter of the period in which
// the day lies. The quantity is not negative (asserted), and why_not_yet(tariff) is empty. `shares`
// gets what went where, appended; none where a step holds all of it back. Postings, pending
// balances and replays all come through here.
[[nodiscard]] Accrual accrue(Settlement& settlement, const Tariff& tariff, const Interval& when,
                             const std::string& scope, Milli quantity,
                             std::vector<Share>* shares = nullptr);

// What whole steps of the tariff hold back so far.
[[nodiscard]] Milli rest_of(const Settlement& settlement, const Tariff& tariff);

// The counter that consumption of that day moves; 0 where it was never moved.
[[nodiscard]] Milli counter(const Settlement& settlement, const Tariff& tariff, LocalDate day);

// Opening ladder: sets the counter of the period that holds `day` to what the old system counted.
void seed_counter(Settlement& settlement, const Tariff& tariff, LocalDate day, Milli used);

// The line of a month's minimum, by the version in force at the month's end.
[[nodiscard]] LineKey minimum_line(const Tariff& tariff, const TariffVersion& version,
                                   const std::string& scope);
[[nodiscard]] inline bool is_minimum(const LineKey& line) {
    return line.band == kMinimumBand;
}
// Makes its target max(0, minimum - targets of the tariff's other lines of the scope), all of which
// stand in the settlement. Its price is 1.00 and its quantity the amount, so that it is a line like
// any other. False where nothing changed; a line of 0 is not begun.
bool settle_minimum(Settlement& settlement, const LineKey& line, Fen minimum);

// A line whose target is not what was posted. amount = target - posted; below 0 where a later
// reading or a correction took from the line, and then it is no charge.
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

}  // namespace gatehouse
