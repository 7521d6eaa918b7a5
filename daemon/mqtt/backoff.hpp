// How long to wait before the next attempt to connect: exponential, with full jitter in the upper
// half so that a building full of boxes does not return to its broker in one second. Pure; the
// publishing thread's.
#pragma once

#include <cstdint>

#include "daemon/core/time.hpp"

namespace gatehouse::mqtt {

class Backoff {
  public:
    Backoff(std::int64_t min_ms, std::int64_t max_ms) : min_ms_(min_ms), max_ms_(max_ms) {}

    // Between half and the whole of min x 2^failures, never below min nor above max.
    [[nodiscard]] std::int64_t next_ms(Random& random);
    void succeeded() { failures_ = 0; }

  private:
    std::int64_t min_ms_;
    std::int64_t max_ms_;
    int failures_ = 0;
};

}  // namespace gatehouse::mqtt
