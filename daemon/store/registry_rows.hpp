// The registry in its tables. Private to the store; for the writer and for readers.
#pragma once

#include <unordered_map>

#include "daemon/store/sql.hpp"

namespace gatehouse::store {

[[nodiscard]] Registry load_registry(sql::Connection& connection);
// Writes what differs from what is stored; what is stored and not named stays.
// Only what differs from `before`, which is what stands there.
void put_registry(sql::Connection& connection, const Registry& registry, const Registry& before);

// Of tariff_rows.cpp: a version with its tiers, bands and fixed fees; versions into their tariffs.
void put_tariff_version(sql::Connection& connection, const std::string& tariff,
                        const TariffVersion& version);
void load_tariff_versions(sql::Connection& connection,
                          const std::unordered_map<std::string, Tariff*>& tariffs);

}  // namespace gatehouse::store
