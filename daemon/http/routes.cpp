#include "daemon/http/routes.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "daemon/engine/act_routes.hpp"
#include "daemon/http/roles.hpp"

namespace gatehouse::http {

namespace {

constexpr std::int64_t kImportTimeoutMs = 600'000;  // every account may be replayed
constexpr std::int64_t kSettleTimeoutMs = 60'000;   // two accounts are replayed, twice
constexpr std::int64_t kMoveTimeoutMs = 60'000;     // meters that do not answer are waited for
constexpr std::int64_t kPeriodTimeoutMs = 300'000;
constexpr std::int64_t kVerifyTimeoutMs = 600'000;

// A list that offices take as a file as well.
constexpr Route listed(const char* pattern, const char* scope, Handler handler, Handler table) {
    return {"GET", pattern, scope, handler, nullptr, Runs::pool, /*large_body=*/false,
            0,     nullptr, table};
}

// An act that is done once under its Idempotency-Key.
constexpr Route keyed(const char* word, const char* pattern, const char* scope, LongHandler handler,
                      const char* people, std::int64_t timeout_ms = 0) {
    return {"POST",     pattern, scope,   nullptr, handler, Runs::pool, /*large_body=*/false,
            timeout_ms, people,  nullptr, word};
}

// clang-format off
constexpr Route kRoutes[] = {
    {"GET", "/healthz", "", get_health, nullptr, Runs::io},
    {"GET", "/readyz", "", get_ready, nullptr, Runs::io},
    {"GET", "/metrics", "", get_metrics},
    {"GET", "/api/v1/openapi.json", "", get_openapi, nullptr, Runs::io},
    listed("/api/v1/units", "meters:read", get_units, table_units),
    {"GET", "/api/v1/units/{unit}", "files:read", nullptr, get_unit, Runs::pool,
     /*large_body=*/false, 0, kInHouse},
    {"GET", "/api/v1/units/{unit}/views", "files:read", get_unit_views},
    {"POST", "/api/v1/units/{unit}/access", "files:read", nullptr, post_unit_access, Runs::pool,
     /*large_body=*/false, 0, kInHouse},
    {"GET", "/api/v1/access", "files:read", get_accesses, nullptr, Runs::pool,
     /*large_body=*/false, 0, kInHouse},
    {"POST", "/api/v1/access/{id}/grant", "admin", nullptr, post_access_grant, Runs::pool,
     /*large_body=*/false, 0, kAccessGrant},
    {"POST", "/api/v1/access/{id}/refuse", "admin", nullptr, post_access_refuse, Runs::pool,
     /*large_body=*/false, 0, kAccessGrant},
    {"POST", "/api/v1/people/{person}/erase", "admin", nullptr, post_person_erase, Runs::pool,
     /*large_body=*/false, 0, kAccessGrant},
    {"GET", "/api/v1/erasures", "admin", get_erasures, nullptr, Runs::pool,
     /*large_body=*/false, 0, kAccessGrant},
    listed("/api/v1/meters", "meters:read", get_meters, table_meters),
    {"GET", "/api/v1/meters/{meter}", "meters:read", get_meter},
    listed("/api/v1/meters/{meter}/readings", "readings:read", get_meter_readings,
           table_meter_readings),
    {"POST", "/api/v1/meters/{meter}/read", "meters:write", nullptr, post_meter_read},
    {"POST", "/api/v1/meters/{meter}/readings", "meters:write", nullptr, post_meter_reading},
    {"POST", "/api/v1/meters/{meter}/confirm", "meters:write", nullptr, post_meter_confirm},
    {"POST", "/api/v1/meters/{meter}/replacement", "meters:write", nullptr, post_replacement},
    {"POST", "/api/v1/meters/{meter}/hold", "meters:write", nullptr, post_meter_hold},
    {"POST", "/api/v1/meters/{meter}/unhold", "meters:write", nullptr, post_meter_unhold},
    {"POST", "/api/v1/meters/{meter}/clock", "meters:write", nullptr, post_meter_clock},
    {"POST", "/api/v1/buses/{bus}/scan", "meters:write", post_scan},
    {"GET", "/api/v1/buses/{bus}/scan", "meters:read", get_scan},
    {"DELETE", "/api/v1/buses/{bus}/scan", "meters:write", delete_scan},
    listed("/api/v1/readings", "readings:read", get_readings, table_readings),
    listed("/api/v1/quarantine", "meters:read", get_quarantine, table_quarantine),
    {"POST", "/api/v1/quarantine/{id}/release", "meters:write", nullptr, post_release},
    {"POST", "/api/v1/quarantine/{id}/reject", "meters:write", nullptr, post_reject},
    listed("/api/v1/accounts", "balances:read", get_accounts, table_accounts),
    {"GET", "/api/v1/accounts/{account}", "balances:read", get_account},
    listed("/api/v1/accounts/{account}/ledger", "balances:read", get_ledger, table_ledger),
    listed("/api/v1/charges", "balances:read", get_charges, table_charges),
    {"GET", "/api/v1/accounts/{account}/why", "balances:read", get_why},
    keyed(act_route::kTopUp, "/api/v1/accounts/{account}/topups", "topups:write", post_topup,
          nullptr),
    keyed(act_route::kRefund, "/api/v1/accounts/{account}/refunds", "admin", post_refund,
          kMoneyWrite),
    keyed(act_route::kTransfer, "/api/v1/accounts/{account}/transfers", "admin", post_transfer,
          kMoneyWrite),
    keyed(act_route::kAdjustment, "/api/v1/accounts/{account}/adjustments", "admin",
          post_adjustment, kMoneyWrite),
    keyed(act_route::kRemap, "/api/v1/meters/{meter}/remap", "admin", post_remap,
          kMoneyWrite, kSettleTimeoutMs),
    {"GET", "/api/v1/remaps/{event}", "balances:read", get_remap},
    keyed(act_route::kClose, "/api/v1/accounts/{account}/close", "admin", post_close,
          kMoneyWrite, kMoveTimeoutMs),
    keyed(act_route::kOccupant, "/api/v1/units/{unit}/occupant", "admin", post_occupant,
          kMoneyWrite, kMoveTimeoutMs),
    {"GET", "/api/v1/entries/{entry}", "balances:read", get_entry},
    keyed(act_route::kReversal, "/api/v1/entries/{entry}/reversal", "admin", post_reversal,
          kMoneyWrite),
    {"GET", "/api/v1/periods", "balances:read", get_periods},
    {"GET", "/api/v1/periods/{month}", "balances:read", get_period},
    {"POST", "/api/v1/periods/{month}/close", "periods:close", post_period_close, nullptr,
     Runs::pool, /*large_body=*/false, kPeriodTimeoutMs},
    listed("/api/v1/periods/{month}/readings", "readings:read", get_period_file, table_period_file),
    listed("/api/v1/periods/{month}/charges", "balances:read", get_period_file, table_period_file),
    listed("/api/v1/periods/{month}/ledger", "balances:read", get_period_file, table_period_file),
    listed("/api/v1/periods/{month}/summary", "balances:read", get_period_file, table_period_file),
    {"GET", "/api/v1/pools", "balances:read", get_pools},
    {"GET", "/api/v1/pools/{pool}", "balances:read", get_pool},
    keyed(act_route::kPool, "/api/v1/pools/{pool}/approve", "admin", post_pool_approve,
          kMoneyWrite),
    {"POST", "/api/v1/pools/{pool}/withdraw", "admin", nullptr, post_pool_withdraw, Runs::pool,
     /*large_body=*/false, 0, kMoneyWrite},
    listed("/api/v1/reports/monthly/{month}", "readings:read", get_monthly, table_monthly),
    listed("/api/v1/reports/daily/{date}", "balances:read", get_daily, table_daily),
    listed("/api/v1/ledger-book", "balances:read", get_ledger_book, table_ledger_book),
    listed("/api/v1/alerts", "alerts:read", get_alerts, table_alerts),
    {"POST", "/api/v1/alerts/test", "alerts:write", nullptr, post_alert_test},
    {"POST", "/api/v1/alerts/{alert}/ack", "alerts:write", nullptr, post_alert_ack},
    listed("/api/v1/keys", "keys:read", get_keys, table_keys),
    {"GET", "/api/v1/keys/{key}", "keys:read", get_key},
    {"POST", "/api/v1/keys/{key}/{action}", "cabinets:write", nullptr, post_key, Runs::pool,
     /*large_body=*/false, 0, "tickets:write"},
    {"GET", "/api/v1/cabinets", "keys:read", get_cabinets},
    {"GET", "/api/v1/cabinets/{cabinet}/events", "keys:read", get_cabinet_events},
    {"POST", "/api/v1/cabinets/{cabinet}/events", "cabinets:write", nullptr, post_cabinet_events},
    {"POST", "/api/v1/cabinets/{cabinet}/clock", "meters:write", nullptr, post_cabinet_clock},
    listed("/api/v1/tickets", "tickets:read", get_tickets, table_tickets),
    {"POST", "/api/v1/tickets", "tickets:write", nullptr, post_ticket},
    {"GET", "/api/v1/tickets/{ticket}", "tickets:read", get_ticket},
    {"POST", "/api/v1/tickets/{ticket}/{action}", "tickets:write", nullptr, post_ticket_action},
    {"GET", "/api/v1/timeline", "events:read", get_timeline},
    {"GET", "/api/v1/search", "tickets:read", get_search},
    listed("/api/v1/reports/repairs/{month}", "tickets:read", get_repairs, table_repairs),
    {"POST", "/api/v1/reports/repairs/{month}/freeze", "tickets:write", nullptr,
     post_repairs_freeze},
    listed("/api/v1/reports/keys", "keys:read", get_key_register, table_key_register),
    listed("/api/v1/reports/visits/{month}", "tickets:read", get_visits, table_visits),
    listed("/api/v1/reports/stock-take", "keys:read", get_stock_take, table_stock_take),
    listed("/api/v1/reports/shift", "keys:read", get_shift, table_shift),
    listed("/api/v1/documents", "tickets:read", get_documents, table_documents),
    {"POST", "/api/v1/documents", "tickets:write", nullptr, post_document},
    listed("/api/v1/units/{unit}/handover", "tickets:read", get_handovers, table_handovers),
    keyed(act_route::kHandover, "/api/v1/units/{unit}/handover", "tickets:write", post_handover,
          nullptr),
    listed("/api/v1/units/{unit}/files", "tickets:read", get_unit_files, table_unit_files),
    {"POST", "/api/v1/units/{unit}/files", "tickets:write", nullptr, post_unit_file},
    listed("/api/v1/calls", "tickets:read", get_calls, table_calls),
    {"POST", "/api/v1/calls", "tickets:write", nullptr, post_call},
    listed("/api/v1/rounds", "tickets:read", get_rounds, table_rounds),
    {"POST", "/api/v1/rounds", "tickets:write", nullptr, post_round},
    {"GET", "/api/v1/events", "events:read", get_events},
    {"GET", "/api/v1/events/stream", "events:read", get_event_stream},
    {"GET", "/api/v1/registry", "admin", get_registry},
    {"POST", "/api/v1/registry", "admin", nullptr, post_registry, Runs::pool,
     /*large_body=*/true, kImportTimeoutMs},
    {"GET", "/api/v1/status", "meters:read", get_status},
    {"GET", "/api/v1/clock", "meters:read", get_clock},
    {"POST", "/api/v1/clock/confirm", "admin", nullptr, post_clock_confirm},
    {"POST", "/api/v1/verify", "admin", post_verify, nullptr, Runs::pool,
     /*large_body=*/false, kVerifyTimeoutMs},
    {"GET", "/api/v1/setup", "", get_setup},
    {"POST", "/api/v1/setup", "", nullptr, post_setup},
    {"POST", "/api/v1/session", "", nullptr, post_session},
    {"GET", "/api/v1/session", "admin", get_session, nullptr, Runs::pool,
     /*large_body=*/false, 0, kLoggedIn},
    {"DELETE", "/api/v1/session", "admin", delete_session, nullptr, Runs::pool,
     /*large_body=*/false, 0, kLoggedIn},
    {"POST", "/api/v1/session/approvals", "admin", post_approval, nullptr, Runs::pool,
     /*large_body=*/false, 0, kLoggedIn},
    {"GET", "/api/v1/staff", "admin", get_staff, nullptr, Runs::pool,
     /*large_body=*/false, 0, kInHouse},
    {"POST", "/api/v1/staff/{staff}/password", "admin", nullptr, post_password, Runs::pool,
     /*large_body=*/false, 0, kLoggedIn},
    {"DELETE", "/api/v1/staff/{staff}/password", "admin", nullptr, delete_password, Runs::pool,
     /*large_body=*/false, 0, kPeopleWrite},
    {"GET", "/api/v1/tokens", "admin", get_tokens},
    {"POST", "/api/v1/tokens", "admin", nullptr, post_token},
    {"DELETE", "/api/v1/tokens/{token}", "admin", nullptr, delete_token},
};

constexpr const char* kScopes[] = {
    "readings:read", "meters:read", "meters:write", "balances:read", "topups:write",
    "periods:close", "files:read", "alerts:read", "alerts:write", "keys:read", "cabinets:write",
    "tickets:read", "tickets:write", "events:read", "admin",
};
// clang-format on

// A literal segment wins over {...} because the table names it first: /alerts/test.
std::optional<std::vector<std::string>> match_pattern(std::string_view pattern,
                                                      const std::vector<std::string>& segments) {
    std::vector<std::string> params;
    std::size_t i = 0;
    std::size_t at = 1;
    while (at <= pattern.size()) {
        const std::size_t slash = std::min(pattern.find('/', at), pattern.size());
        const std::string_view part = pattern.substr(at, slash - at);
        at = slash + 1;
        if (i == segments.size()) return std::nullopt;
        const std::string& segment = segments[i++];
        if (part.front() == '{') {
            if (segment.empty()) return std::nullopt;
            params.push_back(segment);
        } else if (part != segment) {
            return std::nullopt;
        }
    }
    if (i != segments.size()) return std::nullopt;
    return params;
}

}  // namespace

std::span<const Route> routes() {
    return kRoutes;
}

std::span<const char* const> scopes() {
    return kScopes;
}

Match match_route(std::string_view method, const std::vector<std::string>& segments) {
    Match match;
    for (const Route& route : kRoutes) {
        auto params = match_pattern(route.pattern, segments);
        if (!params) continue;
        if (method == route.method) {
            match.route = &route;
            match.params = std::move(*params);
            return match;
        }
        match.allow += match.allow.empty() ? "" : ", ";
        match.allow += route.method;
        if (std::string_view(route.method) == "GET") match.allow += ", HEAD";
    }
    return match;
}

Match match_request(Request& request, std::string_view accept) {
    std::vector<std::string> whole = request.segments;
    const Format suffix = take_suffix(request.segments);
    if (suffix != Format::json && request.method == "GET") {
        Match match = match_route(request.method, request.segments);
        if (match.route != nullptr && match.route->table != nullptr) {
            request.format = suffix;
            request.listed = true;
            return match;
        }
    }
    // Ids may end like a file's name.
    request.segments = std::move(whole);
    Match match = match_route(request.method, request.segments);
    if (match.route != nullptr && match.route->table != nullptr) {
        request.format = accepted_format(accept);
        request.listed = true;
    }
    return match;
}

}  // namespace gatehouse::http
