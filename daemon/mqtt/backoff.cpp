#include "daemon/mqtt/backoff.hpp"

#include <algorithm>

namespace gatehouse::mqtt {

std::int64_t Backoff::next_ms(Random& random) {
    std::int64_t whole = min_ms_;
    for (int i = 0; i < failures_ && whole < max_ms_; ++i) whole *= 2;
    if (failures_ < 62) ++failures_;
    whole = std::min(whole * 2, max_ms_);
    const std::int64_t half = std::max<std::int64_t>(whole / 2, 1);
    const auto jitter =
        static_cast<std::int64_t>(random.next_u64() % static_cast<std::uint64_t>(whole - half + 1));
    return std::clamp(half + jitter, min_ms_, max_ms_);
}

}  // namespace gatehouse::mqtt
