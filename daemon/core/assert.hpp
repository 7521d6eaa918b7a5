// GH_ASSERT: a claim about our own code, checked in release too. What a user, a wire or a file can
// cause is never asserted; it is an error value. Any thread.
#pragma once

namespace gatehouse {

// Prints place and claim on standard error and aborts; systemd starts the daemon anew, and the
// transaction that was under way is rolled back by SQLite.
[[noreturn]] void assertion_failed(const char* claim, const char* file, int line) noexcept;

}  // namespace gatehouse

#define GH_ASSERT(claim) \
    ((claim) ? static_cast<void>(0) : ::gatehouse::assertion_failed(#claim, __FILE__, __LINE__))
