// Which numbering of a cabinet an event belongs to. A board that was replaced or lost its memory
// counts from the start again, and so under numbers that were used before: each such numbering is a
// source of its own ("kc-01", then "kc-01~2"), so that (source, boot, seq) stays one event, nothing
// is taken for a repetition that is none, and nothing is late for ever. Pure, any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/key_event.hpp"

namespace gatehouse {

inline constexpr char kNumberingMark = '~';
// The n-th numbering of a cabinet as a source; 1: the cabinet's own name.
[[nodiscard]] std::string numbering_source(const std::string& cabinet, std::size_t n);
[[nodiscard]] bool is_later_numbering(const std::string& source);
[[nodiscard]] std::string numbering_before(const std::string& source);  // of a later one

// Boards count in 32 bits. Behind the last number comes 0, or 1 where 0 is none: the numbers begin
// again, and the log goes on.
inline constexpr std::int64_t kSeqs = std::int64_t{1} << 32;
// No log is so long that numbers so far apart can stand on both sides of that end.
inline constexpr std::int64_t kLogMost = std::int64_t{1} << 20;
// Whether `next` is the number behind `seq` across that end.
[[nodiscard]] bool is_wrap(std::int64_t seq, std::int64_t next);
// Whether it stands so shortly behind that end, while `seq` stands before it.
[[nodiscard]] bool is_beyond_wrap(std::int64_t seq, std::int64_t next);

// When what is kept of one boot happened. Of events whose own clock could be believed alone.
struct BootSpan {
    UtcMs first = 0, last = 0;
};
struct Numbering {
    std::string source;
    std::string serial;  // of the electronics; empty: it never said
    std::map<std::int64_t, BootSpan> boots;
};

// What is kept of a numbering under an event's boot and seq: nothing, that event, its happening at
// another time or another one at its time (`other`), or what has neither in common (`reused`).
enum class KeptAs { nothing, same, other, reused };
struct Kept {
    KeptAs as = KeptAs::nothing;
    UtcMs at = 0;  // when that happened, where something is
};

// That event cannot be of the same numbering as what is kept: its boot is lower and it is later
// than all that a higher one told, and than its first by more than clocks are apart. The other way
// round proves nothing, since a clock may stand still while the power is away.
[[nodiscard]] bool contradicts(const Numbering& numbering, std::int64_t boot, UtcMs at);

// Where an event of a cabinet that pushes belongs: the place in `numberings`; their size: it is the
// first of a new one. `at`: its time, where its own clock can be believed. The order in which
// events come does not matter where clocks are right.
[[nodiscard]] std::size_t numbering_of(const std::vector<Numbering>& numberings,
                                       const std::vector<Kept>& kept, std::int64_t boot,
                                       std::optional<UtcMs> at);

// A cabinet that is asked tells how it counts now, and nothing of it comes late: that this is less
// than what is kept says it all.
[[nodiscard]] bool counts_anew(std::int64_t boot, std::int64_t newest, std::int64_t kept_boot,
                               std::int64_t kept_seq);

}  // namespace gatehouse
