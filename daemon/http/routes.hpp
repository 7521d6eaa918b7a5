// The routes as one table: method, pattern, scope, handler. What the server, the authorisation, the
// OpenAPI test and the limits know of a route stands in its row and nowhere else.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/engine/snapshot.hpp"
#include "daemon/http/app.hpp"
#include "daemon/http/message.hpp"

namespace gatehouse::http {

// One request on its way through a handler, on a pool thread (or the io_context thread for routes
// that run there).
struct Call {
    App& app;
    const Request& request;
    std::vector<std::string> params;  // what the {...} of the pattern stood for
    std::string actor;   // "local", the token's id, or "staff:<id>" of who is logged in
    std::string person;  // the staff who is logged in; empty: nobody is
    std::shared_ptr<const Snapshot> snapshot;
    bool compared = false;  // for If-Match alone: nobody is shown the answer
};
using Respond = std::function<void(Response)>;  // once, from any thread

using Handler = Response (*)(Call&);           // answers at once; may throw Refused, StoreError
using LongHandler = void (*)(Call&, Respond);  // answers later; may throw before it took it

enum class Runs { pool, io };  // io: reads the snapshot only, never blocks

struct Route {
    const char* method;
    const char* pattern;  // "/api/v1/accounts/{account}/topups"
    const char* scope;    // empty: open to everybody
    Handler handler = nullptr;
    LongHandler long_handler = nullptr;  // exactly one of the two
    Runs runs = Runs::pool;
    bool large_body = false;             // import_body_bytes instead of body_bytes
    std::int64_t answer_timeout_ms = 0;  // 0: that of the limits
    const char* people = nullptr;        // what people need instead of `scope` (roles.hpp)
    Handler table = nullptr;             // the same as CSV or XLSX; null: JSON alone
    const char* keyed = nullptr;         // done once under its Idempotency-Key: the act's word
};

[[nodiscard]] std::span<const Route> routes();

struct Match {
    const Route* route = nullptr;  // null: see allow
    std::vector<std::string> params;
    std::string allow;  // methods of the path; empty: no such path
};
[[nodiscard]] Match match_route(std::string_view method, const std::vector<std::string>& segments);
// The same for a request, whose path may end in `.csv` or `.xlsx`: format and segments follow.
[[nodiscard]] Match match_request(Request& request, std::string_view accept);

// The scopes of CONTRACT.md 5.
[[nodiscard]] std::span<const char* const> scopes();

// Handlers, by the file that holds them.
Response get_health(Call& call);  // health.cpp
Response get_ready(Call& call);
Response get_metrics(Call& call);
Response get_openapi(Call& call);
Response get_status(Call& call);
Response get_clock(Call& call);
Response get_units(Call& call);  // meters.cpp
Response get_meters(Call& call);
Response get_meter(Call& call);
Response get_meter_readings(Call& call);
Response get_readings(Call& call);
Response get_quarantine(Call& call);
void post_meter_read(Call& call, Respond respond);
void post_meter_reading(Call& call, Respond respond);  // meter_acts.cpp
void post_meter_confirm(Call& call, Respond respond);
void post_replacement(Call& call, Respond respond);
void post_meter_hold(Call& call, Respond respond);
void post_meter_unhold(Call& call, Respond respond);
void post_release(Call& call, Respond respond);
void post_reject(Call& call, Respond respond);
void post_meter_clock(Call& call, Respond respond);  // meter_clock.cpp
Response post_scan(Call& call);                      // scan.cpp
Response get_scan(Call& call);
Response delete_scan(Call& call);
Response get_accounts(Call& call);  // accounts.cpp
Response get_account(Call& call);
Response get_ledger(Call& call);
Response get_charges(Call& call);
Response get_why(Call& call);
Response get_entry(Call& call);
void post_topup(Call& call, Respond respond);
void post_reversal(Call& call, Respond respond);  // money_acts.cpp
void post_refund(Call& call, Respond respond);
void post_transfer(Call& call, Respond respond);
void post_adjustment(Call& call, Respond respond);
void post_close(Call& call, Respond respond);  // closing_acts.cpp
void post_occupant(Call& call, Respond respond);
Response get_periods(Call& call);  // periods.cpp
Response get_period(Call& call);
Response get_period_file(Call& call);
Response post_period_close(Call& call);
Response get_pools(Call& call);  // pools.cpp
Response get_pool(Call& call);
void post_pool_approve(Call& call, Respond respond);
void post_pool_withdraw(Call& call, Respond respond);
void post_remap(Call& call, Respond respond);  // remap.cpp
Response get_remap(Call& call);
Response get_alerts(Call& call);  // alerts.cpp
void post_alert_test(Call& call, Respond respond);
void post_alert_ack(Call& call, Respond respond);
Response get_events(Call& call);
Response get_keys(Call& call);  // keys.cpp
Response get_key(Call& call);
void post_key(Call& call, Respond respond);
Response get_cabinets(Call& call);
Response get_cabinet_events(Call& call);
void post_cabinet_events(Call& call, Respond respond);
void post_cabinet_clock(Call& call, Respond respond);
Response get_unit_files(Call& call);
Response table_unit_files(Call& call);
void post_unit_file(Call& call, Respond respond);
Response get_tickets(Call& call);  // tickets.cpp
Response get_ticket(Call& call);
void post_ticket(Call& call, Respond respond);
void post_ticket_action(Call& call, Respond respond);
Response get_search(Call& call);
Response get_timeline(Call& call);  // timeline.cpp
Response get_repairs(Call& call);   // key_reports.cpp
Response table_repairs(Call& call);
void post_repairs_freeze(Call& call, Respond respond);
Response get_key_register(Call& call);
Response table_key_register(Call& call);
Response get_visits(Call& call);  // shift_pages.cpp
Response table_visits(Call& call);
Response table_shift(Call& call);
Response table_stock_take(Call& call);
Response table_documents(Call& call);  // office_tables.cpp
Response table_handovers(Call& call);
Response table_calls(Call& call);
Response table_rounds(Call& call);
Response get_shift(Call& call);
Response get_stock_take(Call& call);
Response get_documents(Call& call);  // office_registers.cpp
void post_document(Call& call, Respond respond);
Response get_handovers(Call& call);
void post_handover(Call& call, Respond respond);
Response get_calls(Call& call);
void post_call(Call& call, Respond respond);
Response get_rounds(Call& call);
void post_round(Call& call, Respond respond);
Response get_event_stream(Call& call);           // event_stream.cpp
void post_session(Call& call, Respond respond);  // people.cpp
Response get_session(Call& call);
Response delete_session(Call& call);
Response post_approval(Call& call);
Response get_setup(Call& call);
void post_setup(Call& call, Respond respond);
Response get_staff(Call& call);
void post_password(Call& call, Respond respond);
void delete_password(Call& call, Respond respond);
void get_unit(Call& call, Respond respond);  // household.cpp
Response get_unit_views(Call& call);
void post_unit_access(Call& call, Respond respond);
Response get_accesses(Call& call);
void post_access_grant(Call& call, Respond respond);
void post_access_refuse(Call& call, Respond respond);
Response table_meters(Call& call);  // list_tables.cpp
Response table_accounts(Call& call);
Response table_readings(Call& call);
Response table_meter_readings(Call& call);
Response table_ledger(Call& call);
Response table_charges(Call& call);
Response table_quarantine(Call& call);
Response table_units(Call& call);  // register_tables.cpp
Response table_keys(Call& call);
Response table_tickets(Call& call);
Response table_alerts(Call& call);
Response table_period_file(Call& call);  // periods.cpp
Response get_monthly(Call& call);        // reports.cpp
Response table_monthly(Call& call);
Response get_daily(Call& call);
Response table_daily(Call& call);
Response get_ledger_book(Call& call);
Response table_ledger_book(Call& call);
void post_person_erase(Call& call, Respond respond);  // erasure.cpp
Response get_erasures(Call& call);
Response get_registry(Call& call);  // admin.cpp
void post_registry(Call& call, Respond respond);
Response get_tokens(Call& call);
void post_token(Call& call, Respond respond);
void delete_token(Call& call, Respond respond);
void post_clock_confirm(Call& call, Respond respond);
Response post_verify(Call& call);

}  // namespace gatehouse::http
