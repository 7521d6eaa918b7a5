// The sheet of a pool's month: figures of its meters at the edges of the month and of prices, who
// the members are, and the document that people look at before they approve it. It decides nothing
// (core/pool prices and shares). Any thread, with its own reader.
#pragma once

#include <string>

#include "daemon/core/pool.hpp"
#include "daemon/core/time.hpp"
#include "daemon/store/reader.hpp"

namespace gatehouse {

// Of a month that may still run: then a problem says so. The members that are charged are the
// prepaid accounts of their units that were open on its last day and are so still.
[[nodiscard]] PoolSheet read_pool_sheet(StoreReader& reader, const Registry& registry,
                                        const Pool& pool, LocalDate month, UtcMs now,
                                        const Zone& zone);

// The same bytes for the same sheet; the hash of an approval is of these.
[[nodiscard]] std::string pool_sheet_json(const PoolSheet& sheet, const Registry& registry,
                                          const std::string& currency);

}  // namespace gatehouse
