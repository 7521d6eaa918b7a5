// The meter book: takes samples and failed polls, has core/validation judge them, stores what is to
// be stored (DESIGN.md 4), splits use at edges, and tells the account book what moved. It prices
// nothing. Engine thread only.
#pragma once

#include "daemon/engine/world.hpp"

namespace gatehouse {

// How a confirmed value comes into the books, where it is no routine sample.
struct Taking {
    ReadingKind kind = ReadingKind::interval;
    ReadingQuality quality = ReadingQuality::good;
    std::optional<UtcMs> stands_at;  // where people typed the time
    bool store = false;              // gets a row whatever the interval says
};
// Stores what is to be stored, splits at edges and has the account priced anew. Returns the row's
// seq; 0 where it got none.
std::uint64_t take_confirmed(Context& context, std::size_t meter, const Confirmed& confirmed,
                             const Taking& taking = {});
// Stores a row at a point of the meter's present epoch, and returns its seq.
std::uint64_t store_point(Context& context, MeterRuntime& meter, const Point& point,
                          ReadingKind kind);

void take_sample(Context& context, const Sample& sample);
void take_failure(Context& context, const PollFailure& failure);

// Once the clock is trusted: handles the edges that the last confirmed samples have passed.
void settle_edges(Context& context);

// Stores the last confirmed sample of a meter where no row holds it yet.
void keep_last(Context& context, std::size_t meter);

// At a local midnight: every meter is polled soon, so that its freeze stands on the edge.
void poll_all_soon(Context& context);

// Stores the last confirmed sample of a meter as the end of what held until now: the edge of a
// registry change. Returns the reading's seq; 0 where the meter has no confirmed reading.
std::uint64_t freeze_now(Context& context, std::size_t meter, ReadingKind kind);

}  // namespace gatehouse
