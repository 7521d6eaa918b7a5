// The daily digest: whether a day is a working day, when the digest of a day is due, and the
// sentence that proves that every account was looked at. It counts nothing itself. Pure, any
// thread.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/calendar.hpp"
#include "daemon/core/time.hpp"

namespace gatehouse {

// The calendar's own word first, then Monday to Friday.
[[nodiscard]] bool is_working_day(LocalDate date, const Calendar& calendar);

// Ten minutes before nine: what the desk reads when it opens.
inline constexpr int kDigestMinute = 8 * 60 + 50;
// Whether the digest of the day in which `now` lies is to be written. `last`: of which day the
// newest one is. Days that passed unseen get none: it says how things stand now.
[[nodiscard]] bool is_digest_due(UtcMs now, const Zone& zone, std::optional<LocalDate> last,
                                 const Calendar& calendar);

struct DigestCounts {
    LocalDate date;
    int checked = 0;                // live prepaid accounts, all of which were judged just now
    std::array<int, 5> by_level{};  // accounts at levels 0 to 4
    int not_read = 0;               // of those checked: no confirmed sample for 24 hours
    int held = 0;                   // of those checked: a reading awaits a check
    int fresh = 0;                  // alerts raised since the digest before
    int topped_up = 0;              // alerts that a top-up cleared since then
    int meters_offline = 0;         // open alerts of meters that do not answer
    int vacant_use = 0, leaks = 0;  // open alerts of these kinds
    // A long rest that begins soon, and how many should renew before it.
    std::optional<Calendar::Rest> rest;
    int before_rest = 0;
    std::vector<std::string> uncontacted;  // labels: open for 24 hours and nobody was called
};
// Names at most this many of the uncontacted, and says how many more there are.
inline constexpr std::size_t kDigestNamesMax = 20;
[[nodiscard]] std::string digest_sentence(const DigestCounts& counts, bool chinese);

}  // namespace gatehouse
