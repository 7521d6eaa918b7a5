// The meter book: takes samples and failed polls, has core/validation judge them, stores what is to
// be stored (DESIGN.md 4), and tells the edge book and the account book what moved. It prices
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

// Stores the last confirmed sample of a meter where no row holds it yet.
void keep_last(Context& context, std::size_t meter);

// At a local midnight: every meter is polled soon, so that its freeze stands on the edge.
void poll_all_soon(Context& context);

// What the edge book writes of a meter. The row's account, unit and epoch are those in force.
std::uint64_t store_row(Context& context, MeterRuntime& meter, const Point& point, ReadingKind kind,
                        ReadingQuality quality);
void store_last(Context& context, MeterRuntime& meter);  // where no row holds it yet
// From that stored figure on what the meter uses is not in the lines of the account in force.
void put_mark(Context& context, MeterRuntime& meter, const Point& from);

}  // namespace gatehouse
