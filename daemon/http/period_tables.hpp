// The files of a closed month as tables, and their sealed JSON line by line.
#pragma once

#include <boost/json/fwd.hpp>
#include <functional>
#include <string>

#include "daemon/http/exports.hpp"
#include "daemon/http/routes.hpp"

namespace gatehouse::http {

// Items one by one; `member` gets what stands before the items, and then what stands behind them.
// Throws StoreError where the file is not what was sealed, after it has given all.
void read_sealed_items(const PeriodFile& file,
                       const std::function<void(boost::json::object&)>& item,
                       const std::function<void(const boost::json::object&)>& member);

// The members of a document as lines for the second sheet: "totals.electricity.unit".
void flatten(About& about, const std::string& name, const boost::json::value& value);

[[nodiscard]] Response period_table(Call& call, const std::string& month,
                                    const StoredPeriod& period, const PeriodFile& file);

}  // namespace gatehouse::http
