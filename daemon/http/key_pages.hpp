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

// The time that a register is asked for: from= and to=, where a date alone is its last day. Refused
// where it ends before it begins.
struct AskedSpan {
    std::optional<UtcMs> from, to;
};
[[nodiscard]] AskedSpan asked_span(Call& call);
// "2026-11-23 14:03"; empty where there is none.
[[nodiscard]] std::string minute(const std::optional<UtcMs>& at, const Zone& zone);
[[nodiscard]] Response key_list_page(const Call& call, const KeyBoard& board);
[[nodiscard]] Response key_register_page(const Call& call,
                                         const std::vector<boost::json::object>& loans);
[[nodiscard]] Response handover_page(const Call& call, const std::string& unit,
                                     const std::vector<RegisterRow>& handovers);

[[nodiscard]] Response documents_page(const Call& call, const std::vector<RegisterRow>& documents);

}  // namespace gatehouse::http
