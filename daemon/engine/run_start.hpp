// How a run of the engine begins: its id, whose word on the clock counts, and what the store is
// opened with. Values alone; any thread.
#pragma once

#include <string>

#include "daemon/engine/clock_book.hpp"
#include "daemon/engine/engine.hpp"
#include "daemon/store/store.hpp"

namespace gatehouse {

[[nodiscard]] std::string make_run_id(Random& random);  // 32 hex digits
[[nodiscard]] ClockBook::Trust trust_of(EngineOptions::Trust trust);
[[nodiscard]] StoreOptions store_options(const EngineOptions& options, const std::string& run_id,
                                         const Clock& clock);

}  // namespace gatehouse
