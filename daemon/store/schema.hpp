// The schema as numbered migrations, and how a database is brought up to date: each in one
// transaction, a copy made before, a newer schema refused. Private to the store.
#pragma once

#include <string>
#include <vector>

#include "daemon/store/sql.hpp"

namespace gatehouse::store {

// Migration n brings user_version from n - 1 to n; the texts of released ones never change.
[[nodiscard]] const std::vector<const char*>& migrations();

struct Migrated {
    int from = 0, to = 0;
    std::string backup;  // path of the copy; empty: none was needed
};
// Applies what is missing. An empty file is a new database and needs no copy.
Migrated migrate(sql::Connection& connection, const std::vector<const char*>& steps);

}  // namespace gatehouse::store
