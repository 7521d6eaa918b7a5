// Versions of answers: the ETag of what a GET says, and If-Match of what changes it. A changing
// route is compared with the answer of the nearest GET route above it in the table, so that no row
// of it names one. Pool threads; throws what handlers throw.
#pragma once

#include <string>
#include <string_view>

#include "daemon/http/routes.hpp"

namespace gatehouse::http {

// Whether a header of entity tags names that one. Weak tags count for If-None-Match alone.
[[nodiscard]] bool names_tag(std::string_view header, std::string_view tag, bool weak);

// Puts the ETag on a JSON answer of a GET route of the API; 304 where the caller has it already.
void put_etag(const Route& route, const Request& request, Response& response);

// Throws Refused with 412 where If-Match names something else than what stands now.
void check_if_match(const Route& route, const Call& call);

}  // namespace gatehouse::http
