// The outlook: for how many days an account's balance lasts. It gathers what the last complete days
// used; core/forecast walks it. Engine thread only.
#pragma once

#include <optional>

#include "daemon/engine/world.hpp"

namespace gatehouse {

// From the newest common reading on, counted down to now; `priced` is the settlement with what is
// not posted yet. Nothing where too little is known.
[[nodiscard]] std::optional<int> days_left_of(Context& context, AccountRuntime& account,
                                              const Settlement& priced);

}  // namespace gatehouse
