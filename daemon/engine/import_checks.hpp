// What the books say to an import before it is carried out: openings that were used, prices and
// kinds of day that were charged by, prices that come late and prices that are missing. It changes
// nothing. Engine thread only.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "daemon/engine/registry_files.hpp"
#include "daemon/engine/world.hpp"

namespace gatehouse {

// A problem at the row's cell in the file that it came from.
[[nodiscard]] Problem at_row(const registry_files::Places& places, registry_files::Table table,
                             const std::string& id, const std::string& column, std::string message);

// What the books forbid to change: openings that were used.
void check_books(const Context& context, const Registry& merged,
                 const registry_files::Places& places, std::vector<Problem>& problems);

// Versions whose first day has passed, of tariffs that charged accounts. One that was there before
// stays as it was; one that is new is late.
struct LateVersions {
    std::vector<LateVersionRow> versions;
    std::vector<Problem> places;  // of each, with what is to be done
    std::set<std::string> accounts;
};
[[nodiscard]] LateVersions late_versions(const Context& context, const Registry& merged,
                                         const registry_files::Places& places,
                                         std::vector<Problem>& problems);
// Closed accounts that used such a tariff in the time of the version: they stay as they were
// settled, and people are told whose they are.
void warn_of_closed(const Context& context, const Registry& merged, const LateVersions& late,
                    const registry_files::Places& places, std::vector<Problem>& warnings);

// A kind of day that prices were charged by stays; what was charged is corrected by an adjustment.
void check_calendar(const Context& context, const Registry& merged,
                    const registry_files::Places& places, std::vector<Problem>& problems);
// A tariff that is given to who is charged, and has no price yet.
void check_prices(const Context& context, const Registry& merged,
                  const registry_files::Places& places, std::vector<Problem>& problems);
// Accounts that cannot be served as they are.
void check_served(const Registry& merged, const registry_files::Places& places,
                  std::vector<Problem>& problems);
// Opening registers of a day that has not come.
void warn_of_openings(const Context& context, const Registry& merged,
                      const registry_files::Places& places, std::vector<Problem>& warnings);
void warn_of_calendar(const Context& context, const Registry& merged,
                      std::vector<Problem>& warnings);

}  // namespace gatehouse
