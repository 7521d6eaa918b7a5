// The edge book: splits what a meter used at local midnights, at the edges of bands and at registry
// changes, stores the freeze of each edge and has it posted (DESIGN.md 5, "Edges"). An edge is a
// value with a time: it is passed when the first confirmed sample at or after it comes, however
// late. It judges no sample and knows no price. Engine thread only.
#pragma once

#include <string>
#include <vector>

#include "daemon/engine/world.hpp"

namespace gatehouse {

// A sample this soon after an edge stands on it.
inline constexpr std::int64_t kOnEdgeMs = 5 * 60'000;
// Days. A meter that comes back after longer than this has its lost days in one piece; the books
// begin anew there rather than with thousands of invented days.
inline constexpr int kEdgesMax = 400;

// Adds what a meter used since the edge before to its band of the day that ends, or goes on, there.
void note_band_use(const Context& context, MeterRuntime& meter, UtcMs edge, Milli quantity);

// The next edge at which the meter's price changes with the hour, within the day that it has
// reached; nothing where there is none left, or where no day has begun for it yet.
[[nodiscard]] std::optional<UtcMs> next_band_edge(const Context& context, MeterRuntime& meter);
// Asks for a sample of every meter that has reached such an edge, once for each.
void poll_band_edges(Context& context);

// Passes every edge between the meter's last handled one and the point, oldest first. A point that
// stands on an edge has the edge's time from then on; its total is moved to what it counts under
// the multiplier that holds after the edges. Its row is set where it gets one, and the end of an
// estimated split always does. Where the clock does not vouch for the point nothing happens.
void split_edges(Context& context, std::size_t meter, Point& point);

// A price came late: passes its edges that the meter's last sample lies behind, by what is told of
// the totals there.
void pass_late_edges(Context& context, std::size_t meter);

// Once the clock is trusted: passes the edges that the last confirmed samples lie behind.
void settle_edges(Context& context);

// What charges a meter of a registry, in words; a change of it is an edge.
struct Terms {
    std::string unit, account, tariff, multiplier;
    std::optional<int> persons;
    friend bool operator==(const Terms&, const Terms&) = default;
};
// In the order of the registry's meters. A meter that nobody pays for has its multiplier alone.
[[nodiscard]] std::vector<Terms> terms_of(const Registry& registry);

// The meters whose charging the new registry changes and that have counted something already: a
// reading, or a typed opening register with its time.
[[nodiscard]] std::vector<std::size_t> changed_meters(const Context& context, const Registry& next);

// Makes the import `event` their edge, with what held until now. Call it before the registry is
// replaced and bound.
void open_edges(Context& context, const std::vector<std::size_t>& meters, std::uint64_t event);
// After the bind: a meter that is in service no more sends no sample, so its edges are passed at
// its last reading.
void close_edges_of_retired(Context& context, const std::vector<std::size_t>& meters);

// Asks for a sample of every meter that has an edge before it.
void poll_edges_soon(Context& context);

}  // namespace gatehouse
