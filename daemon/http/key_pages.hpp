// Sheets of keys and tickets as a browser prints them. Pure but for the books that are read; one
// thread a call.
#pragma once

#include <boost/json/fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "daemon/engine/key_board.hpp"
#include "daemon/http/routes.hpp"
#include "daemon/store/key_books.hpp"

namespace gatehouse::http {

// "2026-11-23 14:03"; empty where there is none.
[[nodiscard]] std::string minute(const std::optional<UtcMs>& at, const Zone& zone);
[[nodiscard]] Response key_list_page(const Call& call, const KeyBoard& board);
[[nodiscard]] Response key_register_page(const Call& call,
                                         const std::vector<boost::json::object>& loans);
[[nodiscard]] Response handover_page(const Call& call, const std::string& unit,
                                     const std::vector<RegisterRow>& handovers);

[[nodiscard]] Response documents_page(const Call& call, const std::vector<RegisterRow>& documents);

}  // namespace gatehouse::http
