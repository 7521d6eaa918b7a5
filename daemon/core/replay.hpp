// Replay: what an account's stored readings come to when they are priced anew from the first one
// on, in the order in which they were confirmed. It is how a price or a correction that comes late
// finds what every line should hold, and how the books are proved. It posts nothing and reads no
// store; who calls it compares with what was posted (carry_posted, due). Pure, any thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/calendar.hpp"
#include "daemon/core/settlement.hpp"
#include "daemon/core/time.hpp"

namespace gatehouse {

// What charges a meter to the account from a reading on; tariff empty: nothing any more.
struct ReplayTerms {
    std::string tariff;
    int persons = 0;
    friend bool operator==(const ReplayTerms&, const ReplayTerms&) = default;
};
// A stored figure of a meter of the account. The use since the row of that meter before is charged
// on the terms that held until here.
struct ReplayRow {
    std::uint64_t reading = 0;  // seq
    std::string meter;
    UtcMs at = 0;  // where it stands
    Milli total;
    std::optional<ReplayTerms> terms;  // set where others begin
};
// What the old system had counted of a tariff when the account opened.
struct ReplaySeed {
    std::string tariff;
    LocalDate day;
    Milli used;
};
struct ReplayAccount {
    std::vector<ReplaySeed> seeds;
    std::optional<LocalDate> live_from;  // what was used before is charged to nobody
    std::vector<ReplayRow> rows;         // ascending seq
    // Last days of the months that were posted whole and before which the account was open.
    std::vector<LocalDate> months_ended;
};

using TariffLookup = std::function<const Tariff*(const std::string& id)>;  // null: none

struct Replayed {
    Settlement settlement;  // posted is 0 in every line
    // The first reading whose use could not be priced (no version, no band, too much); 0: none.
    // What it and later rows used in that stretch is not in the lines.
    std::uint64_t unpriced = 0;
};
// Between two rows of a meter the totals at midnights and at edges of bands lie on the line between
// them, as in total_at_edge: a version that came later may have edges where no freeze stands.
[[nodiscard]] Replayed replay(const ReplayAccount& account, const TariffLookup& tariffs,
                              const Calendar& calendar, const Zone& zone);

// Gives every line what was posted on it, lines that hold nothing any more included, so that due()
// tells the differences.
void carry_posted(Settlement& replayed, const Settlement& stored);

}  // namespace gatehouse
