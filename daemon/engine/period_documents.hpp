// The four files of a closed month as JSON: readings (one row a meter and epoch), charges (one row
// a line of its consumption, a fee, or a correction of an older month), ledger (its entries) and
// summary (what they come to, and how it fits together). Ids only: no name, no free text. Written
// from the store while the engine runs, for what was posted until the month began to close. Calls
// may throw StoreError; one thread a call.
#pragma once

#include <string>
#include <vector>

#include "daemon/engine/engine.hpp"
#include "daemon/engine/period_checks.hpp"

namespace gatehouse {

// What the files are written from beside the store. Values of the site.
struct PeriodSite {
    std::string site_id, currency;
    bool chinese = true;
    const Zone* zone = nullptr;
};

// The files of a month that is closing (asserted), by name in the order above.
[[nodiscard]] std::vector<PeriodFile> write_period(LocalDate month, const PeriodSite& site,
                                                   const Snapshot& snapshot, StoreReader& reader);

// What the engine is told to keep of them and to seal, in this order.
[[nodiscard]] std::vector<Command> sealing(const std::string& actor, const std::string& month,
                                           const std::string& by, std::vector<PeriodFile> files);

}  // namespace gatehouse
