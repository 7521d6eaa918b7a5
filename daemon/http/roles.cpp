#include "daemon/http/roles.hpp"

#include <algorithm>
#include <array>
#include <set>

namespace gatehouse::http {

namespace {

struct RoleScopes {
    StaffRole role;
    const char* scopes;  // blank-separated
};

// Names and phones stand behind files:read alone: customer service and its head. The administrator
// keeps the system running and opens no household's file. Contractors log in to nothing.
constexpr std::array<RoleScopes, 8> kRoles{{
    {StaffRole::desk,
     "files:read readings:read meters:read balances:read topups:write money:write alerts:read "
     "alerts:write keys:read tickets:read tickets:write events:read"},
    {StaffRole::duty,
     "meters:read balances:read alerts:read alerts:write keys:read tickets:read tickets:write"},
    {StaffRole::collector,
     "meters:read balances:read topups:write alerts:read alerts:write tickets:read"},
    {StaffRole::cashier,
     "readings:read meters:read balances:read topups:write money:write alerts:read"},
    {StaffRole::billing, "readings:read meters:read balances:read periods:close events:read"},
    {StaffRole::tech,
     "readings:read meters:read meters:write alerts:read alerts:write keys:read tickets:read "
     "tickets:write"},
    {StaffRole::head,
     "files:read readings:read meters:read meters:write balances:read topups:write money:write "
     "periods:close alerts:read alerts:write keys:read tickets:read tickets:write events:read "
     "access:grant"},
    {StaffRole::admin,
     "admin people:write meters:read meters:write readings:read alerts:read alerts:write "
     "events:read"},
}};

template <class Take>
void each_scope(StaffRole role, Take take) {
    for (const RoleScopes& one : kRoles) {
        if (one.role != role) continue;
        std::string_view rest = one.scopes;
        while (!rest.empty()) {
            const std::size_t end = std::min(rest.find(' '), rest.size());
            take(rest.substr(0, end));
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
    }
}

}  // namespace

bool may(const std::vector<StaffRole>& roles, std::string_view scope) {
    if (scope == kLoggedIn) return true;
    if (scope == kInHouse)
        return std::any_of(roles.begin(), roles.end(),
                           [](StaffRole role) { return role != StaffRole::contractor; });
    bool found = false;
    for (const StaffRole role : roles)
        each_scope(role, [&](std::string_view one) { found = found || one == scope; });
    return found;
}

std::vector<std::string_view> scopes_of(const std::vector<StaffRole>& roles) {
    std::set<std::string_view> all;
    for (const StaffRole role : roles)
        each_scope(role, [&](std::string_view one) { all.insert(one); });
    return {all.begin(), all.end()};
}

}  // namespace gatehouse::http
