// Space for a file that is made beside the books and that they do not need. It looks at no disk.
// Pure, any thread.
#pragma once

#include <cstdint>

namespace gatehouse {

// Whether it may go on: `written` bytes of it stand, and as much again and some more comes when it
// is packed. It never takes the space below which interval readings stop. `reserve_bytes`: the
// size of the reserve of that file system, as reserve_bytes_for says.
[[nodiscard]] bool may_write_beside(std::uint64_t free_bytes, std::uint64_t reserve_bytes,
                                    std::uint64_t written);

}  // namespace gatehouse
