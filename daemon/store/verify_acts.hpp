// The part of `verify` that proves what people did to money: once for each key, by two people,
// undone whole and once, within the cap, and nothing left where an account ended (I5, I6, I11).
// Private to the store; reads alone.
#pragma once

#include <string>

#include "daemon/store/sql.hpp"

namespace gatehouse::store {

// The first row that does not hold, in words; empty: all do.
[[nodiscard]] std::string act_fault(sql::Connection& connection);

}  // namespace gatehouse::store
