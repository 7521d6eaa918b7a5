// The quarantine desk: what is held, for how much money, and what staff decide about it. It
// confirms nothing itself: core/validation releases, the meter book takes what was released.
// Engine thread only.
#pragma once

#include "daemon/engine/world.hpp"

namespace gatehouse {

// From the meter book: staff are asked now; later samples confirmed against the old baseline; what
// is held goes on counting.
void open_quarantine(Context& context, std::size_t meter, const Quarantine& opened);
void resolve_quarantine(Context& context, std::size_t meter);
void follow_held(Context& context, std::size_t meter);
void count_rejected(Context& context, std::size_t meter, int values);

// A reading by eye or a replacement answered the question.
void answer_quarantine(Context& context, std::size_t meter, const std::string& by,
                       const std::string& why);

// Idempotent: what was decided so already is answered alike; decided otherwise: conflict.
[[nodiscard]] Reply settle_quarantine(Context& context, const SettleQuarantine& command);

}  // namespace gatehouse
