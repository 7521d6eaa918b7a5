// The period desk: when a month may be closed, and its seal. What stands in its files is written
// from the store by who asks (period_documents.hpp), beside the running engine. Engine thread only.
#pragma once

#include "daemon/engine/world.hpp"

namespace gatehouse {

// Closes the month for bookings. Refused where it still runs, where an older month is open, where
// the clock is not trusted, and where a day of it is not posted. A month that is closing or closed
// already is answered as it stands, so that what broke off can go on.
[[nodiscard]] Reply begin_period(Context& context, const BeginPeriod& command);

// Keeps a part of a file of a month that is closing.
[[nodiscard]] Reply keep_period_part(Context& context, const KeepPeriodPart& command);

// Seals its files; refused where the month is not closing.
[[nodiscard]] Reply seal_period(Context& context, const SealPeriod& command);

}  // namespace gatehouse
