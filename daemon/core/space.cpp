#include "daemon/core/space.hpp"

#include <algorithm>

namespace gatehouse {

const char* to_string(SpaceState state) {
    switch (state) {
        case SpaceState::plenty:
            return "plenty";
        case SpaceState::low:
            return "low";
        case SpaceState::reserve:
            return "reserve";
    }
    return "";
}

std::uint64_t reserve_bytes_for(std::uint64_t file_system_bytes) {
    constexpr std::uint64_t kLeast = 512 * 1024, kMost = 16 * 1024 * 1024;
    return std::clamp(file_system_bytes / 16, kLeast, kMost);
}

SpaceState step_space(SpaceState state, const SpaceFacts& facts) {
    const std::uint64_t low = facts.reserve_bytes / 2;
    const std::uint64_t margin = low / 4;
    if (!facts.held) {
        // What is left after it was taken must be plenty, or it would be given up at once again.
        const bool again = facts.free_bytes >= facts.reserve_bytes + low + margin;
        return again && !facts.write_failed ? SpaceState::plenty : SpaceState::reserve;
    }
    if (facts.write_failed || facts.free_bytes < facts.reserve_bytes / 16)
        return SpaceState::reserve;
    const std::uint64_t enough = state == SpaceState::plenty ? low : low + margin;
    return facts.free_bytes < enough ? SpaceState::low : SpaceState::plenty;
}

}  // namespace gatehouse
