// The move book: what every meter of an account shows at the instant in which its holder goes. It
// judges whether the books may rest on what was read, stores the row that both holders share (kind
// `move`), and posts what the old one used until then. It moves no money. Engine thread only.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/engine/world.hpp"

namespace gatehouse {

// One meter at that instant, stored.
struct MovedMeter {
    std::size_t meter = 0;
    std::uint64_t reading = 0;  // its row; 0: nothing of it was ever confirmed
    ReadingQuality quality = ReadingQuality::good;
};

// Takes what was read for the act, where nothing newer came meanwhile.
void take_fresh(Context& context, const std::vector<Sample>& samples);

// A reading this near to the instant stands on it, as one does on every edge.
[[nodiscard]] bool is_near(const Context& context, const MeterRuntime& meter, UtcMs at);

// Why the meters cannot stand for that instant: one of them is held or waits for a registry change
// (conflict), was read after the instant, or not lately enough (conflict, unless the last reading
// is accepted as it is). Nothing: they can. `faced`: those whose dials two people have read for the
// act; they are still to be taken.
[[nodiscard]] std::optional<Reply> judge_move(const Context& context, std::size_t account, UtcMs at,
                                              bool accept_last_reading,
                                              const std::set<std::size_t>& faced = {});

// Freezes an account's meters at the instant and posts everything until then: ended days under
// their own causes, the rest under `close`. The meters are those that judge_move was asked about.
std::vector<MovedMeter> freeze_and_post(Context& context, std::size_t account, UtcMs at);

// After the registry was bound anew: from the same rows on the meters count for whoever pays now.
void go_on(Context& context, const std::vector<MovedMeter>& meters);

}  // namespace gatehouse
