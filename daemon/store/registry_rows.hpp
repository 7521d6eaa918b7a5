// The registry in its tables. Private to the store; for the writer and for readers.
#pragma once

#include "daemon/store/sql.hpp"

namespace gatehouse::store {

[[nodiscard]] Registry load_registry(sql::Connection& connection);
// Writes what differs from what is stored; what is stored and not named stays.
void put_registry(sql::Connection& connection, const Registry& registry);

}  // namespace gatehouse::store
