// The steps of marks and their proof: a digest of each figure that entered the lines, and the rules
// that rows of postings and steps keep. Private to the store.
#pragma once

#include <functional>
#include <string>

#include "daemon/store/sql.hpp"

namespace gatehouse::store {

// Of the reading's row with what it was read under, and of the terms that begin with it.
[[nodiscard]] std::string step_digest(sql::Connection& connection, std::uint64_t reading,
                                      std::int64_t meter, bool begins);

// The first row that does not hold, in words; empty: all do. `breathe` is called now and then.
[[nodiscard]] std::string step_fault(sql::Connection& connection,
                                     const std::function<void()>& breathe);

}  // namespace gatehouse::store
