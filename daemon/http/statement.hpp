// The statement of one ledger entry on paper: a plain page that a browser prints, in the site's
// language. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "daemon/core/time.hpp"
#include "daemon/store/reader.hpp"

namespace gatehouse::http {

struct StatementFrame {
    std::string_view site_name, currency;
    std::string_view unit_label;  // as people say it; empty: the account alone stands there
    bool chinese = true;
};
// Every text of people's is escaped; nothing on the page runs or is fetched.
[[nodiscard]] std::string statement_html(const StoredEntry& stored, const StatementFrame& frame,
                                         const Zone& zone);

}  // namespace gatehouse::http
