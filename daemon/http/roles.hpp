// What staff may do by their roles (interfaces-and-operations.md 6.4). Tokens carry scopes; people
// carry roles, and a role is a set of scopes. Some scopes are for people alone: no token can be
// made with them, and a token needs admin where people need one of those. Pure; any thread.
#pragma once

#include <string_view>
#include <vector>

#include "daemon/core/registry.hpp"

namespace gatehouse::http {

// Money beyond taking a payment; who may open household files to others; passwords of others;
// whoever works in the house; whoever is logged in at all.
inline constexpr const char *kMoneyWrite = "money:write", *kAccessGrant = "access:grant",
                            *kPeopleWrite = "people:write", *kInHouse = "house",
                            *kLoggedIn = "session";

[[nodiscard]] bool may(const std::vector<StaffRole>& roles, std::string_view scope);
// All that those roles may, in order of name.
[[nodiscard]] std::vector<std::string_view> scopes_of(const std::vector<StaffRole>& roles);

}  // namespace gatehouse::http
