// What `kind=` and `period=` of a question for readings mean, for the list and for its table.
// Throws Refused.
#pragma once

#include "daemon/http/params.hpp"

namespace gatehouse::http {

[[nodiscard]] ReadingFilter reading_filter(Query& query, const Zone& zone);

}  // namespace gatehouse::http
