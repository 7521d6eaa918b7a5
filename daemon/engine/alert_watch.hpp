// The alert watch: finds what makes or ends an alert without anybody's act and without money
// moving: meters that fell silent or came back, readings that are held, balances that grew old,
// reminders that are due, a log with a gap. It asks core/alert and has the alert desk tell. Engine
// thread only; where the store cannot be written it does nothing and finds the same later.
#pragma once

#include "daemon/engine/world.hpp"

namespace gatehouse {

// After each turn, in its transaction: readings that came to be held, or are no more.
void watch_turn(Context& context);

// Once a second: all that depends on time. `run_began` is the monotonic start of the process.
void watch_time(Context& context, MonoMs run_began);

// A balance of which nothing is said any more must not stay announced: where the account is closed,
// what is open about it ends now.
void end_alerts(Context& context, std::size_t account);

// Of an account: a polled meter without a confirmed sample for 24 hours.
[[nodiscard]] bool is_stale(const Context& context, const AccountRuntime& account);

// A meter that is polled at all: it has a bus, a profile, and stands in service.
[[nodiscard]] bool is_polled(const MeterRuntime& meter);

// A balance that alerts and digests speak of: prepaid, live, served, open.
[[nodiscard]] bool is_live(const AccountRuntime& account);

// Who is shown and not chased is not reminded: whom staff were told to leave in peace, and where
// nobody lives.
[[nodiscard]] bool is_chased(const AccountRuntime& account);

// Events between the two were lost by restoring an older copy.
void tell_gap(Context& context, std::uint64_t after, std::uint64_t next);

}  // namespace gatehouse
