#include "daemon/core/export_space.hpp"

namespace gatehouse {

bool may_write_beside(std::uint64_t free_bytes, std::uint64_t reserve_bytes,
                      std::uint64_t written) {
    const std::uint64_t low = reserve_bytes / 2;
    return free_bytes >= low + low / 4 + 2 * written;
}

}  // namespace gatehouse
