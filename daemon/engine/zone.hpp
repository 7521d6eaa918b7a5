// The site's IANA time zone over Howard Hinnant's date library, behind core's Zone seam.
// Immutable after construction; any thread.
#pragma once

#include <memory>
#include <string>

#include "daemon/core/time.hpp"

namespace gatehouse {

// Nothing where the host's zoneinfo does not know the name; the configuration check says so first.
[[nodiscard]] std::unique_ptr<Zone> make_zone(const std::string& iana_name);

}  // namespace gatehouse
