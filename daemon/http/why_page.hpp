// `why` on paper, for a resident who asks: each line with the readings that it rests on, its price
// in full, where the price was published, how it was rounded, what was charged for it, and every
// payment. Made of the document of the same route. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "daemon/http/message.hpp"

namespace gatehouse::http {

[[nodiscard]] Response why_page(const std::string& document, std::string_view site_name,
                                bool chinese);

}  // namespace gatehouse::http
