// Late edges: edges of bands at which nobody took a freeze, since the price with these bands came
// later than the use. What was posted is settled by a replay (settling_desk); here what was not is
// split, so that it is posted and shown by the same figures. Engine thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "daemon/engine/world.hpp"

namespace gatehouse {

// A version came late with that event: what the account's meters used since the last posting is
// split at edges that the version has there. Between two freezes by splits inside the stretch,
// behind the newest one by freezes of their own, as if the last sample had come only now.
void take_late_bands(Context& context, std::size_t account, std::uint64_t event);
// The same splits, as the books have them: after the unposted freezes were loaded.
void load_splits(AccountBooks& books, MeterRuntime& meter);

}  // namespace gatehouse
