// The part of `verify` that proves shared-area pools: the shares of a sheet sum to its amount, each
// was charged once and as the sheet says, and the sheet is the one that was approved (I10). Private
// to the store; reads alone.
#pragma once

#include <string>

#include "daemon/store/sql.hpp"

namespace gatehouse::store {

// The first row that does not hold, in words; empty: all do.
[[nodiscard]] std::string pool_fault(sql::Connection& connection);

}  // namespace gatehouse::store
