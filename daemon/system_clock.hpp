// The machine's clocks and random bytes behind core's seams, and what the system says of its
// clock. Made in main and passed down; nobody else asks the machine. Any thread.
#pragma once

#include <optional>

#include "daemon/core/time.hpp"

namespace gatehouse {

class SystemClock final : public Clock {
  public:
    [[nodiscard]] MonoMs mono_ms() const override;
    [[nodiscard]] UtcMs wall_ms() const override;
};

class SystemRandom final : public Random {
  public:
    SystemRandom();
    void fill(void* bytes, std::size_t count) override;
};

// Whether the kernel's clock is synchronised, or the hardware clock agrees with it within 60 s.
// Nothing inside a container or where neither can be read: there the host keeps the clock.
[[nodiscard]] std::optional<bool> system_clock_synchronised();

}  // namespace gatehouse
