// Space on the disk of the books: when interval readings stop, when the reserve is given up so that
// books and alerts still fit, and when all is as before. It looks at no disk. Pure, any thread.
#pragma once

#include <cstdint>
#include <optional>

namespace gatehouse {

enum class SpaceState {
    plenty,   // everything is stored
    low,      // interval readings are not stored; everything else is
    reserve,  // the reserve is given up: books, alerts and cursors alone are written
};
[[nodiscard]] const char* to_string(SpaceState state);

// How large a reserve a file system of that size gets: a sixteenth, 512 KiB at least and 16 MiB at
// most. Interval readings stop below half of it, and it is given up below a sixteenth of it.
[[nodiscard]] std::uint64_t reserve_bytes_for(std::uint64_t file_system_bytes);

struct SpaceFacts {
    std::uint64_t free_bytes = 0;     // what the books may still take, the reserve not counted
    std::uint64_t reserve_bytes = 0;  // its full size
    bool held = false;                // the reserve lies on the disk
    bool write_failed = false;        // a write has just failed for want of space
};
// Where it stands from now on. The caller gives the reserve up where the answer is `reserve` while
// it is held, and takes it where the answer is another while it is not. What was left comes back
// only with a margin, so that a disk on the edge does not move to and fro.
[[nodiscard]] SpaceState step_space(SpaceState state, const SpaceFacts& facts);

}  // namespace gatehouse
