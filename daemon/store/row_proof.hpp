// Proofs of single rows: numbers that a row's own columns give, kept beside it, so that `verify`
// names a cell that was changed by hand or by a fault of the disk where neither chain nor replay
// rests on it. They show a change; they do not stop who knows how they are made. Private to the
// store. One thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "daemon/store/sql.hpp"

struct sqlite3;

namespace gatehouse::store {

// Makes the SQL function row_proof(columns...) known: SipHash-2-4 of their types and values, 47
// bits. Every connection has it.
void know_row_proof(sqlite3* database);

// The rows of a table that belong to that owner are proved anew: after they were written. Tables
// are those of the list in row_proof.cpp.
void prove(sql::Connection& connection, const char* table, const std::string& owner);
// All rows of all those tables, as they stand: after their columns have changed.
void prove_all(sql::Connection& connection);

// The first row that is not as it was written; empty: none. `breathe` between some thousands.
[[nodiscard]] std::string row_fault(sql::Connection& connection,
                                    const std::function<void()>& breathe);
// The same of one of those tables.
[[nodiscard]] std::string row_fault(sql::Connection& connection, const char* table);

}  // namespace gatehouse::store
