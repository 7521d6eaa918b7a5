// The four files of a closed month as JSON: readings (one row a meter and epoch), charges (one row
// a line of its consumption, a fee, or a correction of an older month), ledger (its entries) and
// summary (what they come to, and how it fits together). Ids only: no name, no free text. Written
// from the store while the engine runs, for what was posted until the month began to close. Calls
// may throw StoreError; one thread a call.
#pragma once

#include <string>
#include <vector>

#include "daemon/engine/period_checks.hpp"

namespace gatehouse {

// What the files are written from beside the store. Values of the site.
struct PeriodSite {
    std::string site_id, currency;
    bool chinese = true;
    const Zone* zone = nullptr;
};

// How the month's meters and its open readings stand, of readings up to that seq.
[[nodiscard]] PeriodFacts read_facts(StoreReader& reader, const Snapshot& snapshot,
                                     const PeriodBounds& bounds, std::uint64_t last_reading);

// The files of a month that is closing (asserted), by name in the order above.
[[nodiscard]] std::vector<PeriodFile> write_period(LocalDate month, const PeriodSite& site,
                                                   const Snapshot& snapshot, StoreReader& reader);

}  // namespace gatehouse
