// The verbs of gatehousectl: each asks its route and prints what it said. No verb decides anything.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace gatehouse::ctl {

// 0 done, 1 failed, 2 bad usage or bad input (CONTRACT.md 1).
enum Exit { kDone = 0, kFailed = 1, kBadInput = 2 };

struct Options {
    std::string socket_path;
    bool json = false;

    std::string subject;  // ACCOUNT, METER, ALERT, DIR, ID
    std::string amount, key, by, second, reason, method, reference, receipt, payer, note,
        received_at, via, result, month, name, expires_at, face, at, photo, supersedes, old_final,
        new_serial, new_opening, new_address, to_account, service, holder, settle, ladder,
        control_accounts, control_sum, sheet, with, from_day;
    std::vector<std::string> scopes, addresses;
    // Of keys and tickets: body's fields or query's names by their names, and which act is meant.
    std::map<std::string, std::string> fields;
    std::vector<std::string> crew, flags;
    std::string action;
    int from = 0, to = 0;  // addresses of a scan; 0: the whole range
    bool dry_run = false, raw = false, low = false, open = false, own_settings = false,
         accept_last_reading = false, lines = false, meters = false;
};

int import_registry(const Options& options);
int export_registry(const Options& options);
int status(const Options& options);
int read_meter(const Options& options);
int scan_bus(const Options& options);
int set_clock(const Options& options);
int cabinet_clock(const Options& options);
int accounts(const Options& options);
int topup(const Options& options);
int reverse(const Options& options);
int refund(const Options& options);
int transfer(const Options& options);
int adjust(const Options& options);
int close_account(const Options& options);
int occupant(const Options& options);
int remap(const Options& options);
int why(const Options& options);
int alerts(const Options& options);
int alerts_test(const Options& options);
int ack(const Options& options);
int token_add(const Options& options);
int token_list(const Options& options);
int token_revoke(const Options& options);
int clock_status(const Options& options);
int clock_confirm(const Options& options);
int verify(const Options& options);
int period_list(const Options& options);
int period_show(const Options& options);
int period_close(const Options& options);
int user_passwd(const Options& options);
int user_list(const Options& options);
int erase(const Options& options);
int erasures(const Options& options);
int pool_list(const Options& options);
int pool_show(const Options& options);
int pool_approve(const Options& options);
int pool_withdraw(const Options& options);
int keys(const Options& options);
int key_show(const Options& options);
int key_act(const Options& options);
int stock_take(const Options& options);
int cabinets(const Options& options);
int cabinet_events(const Options& options);
int tickets(const Options& options);
int ticket_show(const Options& options);
int ticket_new(const Options& options);
int ticket_act(const Options& options);
int timeline(const Options& options);
int handovers(const Options& options);
int quarantine_list(const Options& options);
int quarantine_release(const Options& options);
int quarantine_reject(const Options& options);
int dial(const Options& options);
int confirm_face(const Options& options);
int replace(const Options& options);
int hold(const Options& options);
int unhold(const Options& options);

}  // namespace gatehouse::ctl
