// Verbs of what two people do to a household's money: reversal, refund, transfer, adjustment,
// and the end of an account.
#include <boost/json/array.hpp>
#include <iostream>

#include "daemon/ctl/output.hpp"
#include "daemon/ctl/verbs.hpp"

namespace gatehouse::ctl {

namespace json = boost::json;

namespace {

// Amounts go as they were typed, empty ones too: the daemon says what is wrong with them.
BodyBuilder signed_body(const Options& options) {
    BodyBuilder body;
    body.field("reason", options.reason).field("by", options.by).field("second", options.second);
    body.field("reference", options.reference);
    return body;
}

Answer act(const Options& options, const std::string& path, const BodyBuilder& body) {
    return call(options.socket_path, "POST", "/api/v1/" + path, body.take(),
                {{"Idempotency-Key", options.key}});
}

std::string account_path(const Options& options, const char* what) {
    return "accounts/" + encode(options.subject) + "/" + what;
}

int tell(const Options& options, const Answer& answer) {
    if (!answer.ok()) return report(options, answer);
    if (options.json) return print_document(answer);
    const json::object done = document(answer);
    std::cout << (answer.status == 201 ? "booked" : "was booked before under this key");
    for (const json::value& item : list(done, "entries")) {
        const json::object& entry = item.get_object();
        std::cout << ", " << text(entry, "kind") << " " << text(entry, "entry") << " "
                  << text(entry, "amount");
    }
    const std::string receipt = text(done, "receipt");
    std::cout << (receipt.empty() ? "" : ", receipt " + receipt) << ", balance of "
              << text(done, "account") << " " << text(done, "balance");
    if (const std::string to = text(done, "to"); !to.empty())
        std::cout << ", of " << to << " " << text(done, "to_balance");
    std::cout << "\n";
    return kDone;
}

void print_meters(const json::object& done) {
    for (const json::value& item : list(done, "meters")) {
        const json::object& meter = item.get_object();
        std::cout << "  " << text(meter, "meter") << " at " << text(meter, "register") << " ("
                  << text(meter, "quality") << ", reading " << text(meter, "reading") << ")\n";
    }
}

void print_pools(const json::object& done) {
    for (const json::value& item : list(done, "pools")) {
        const json::object& share = item.get_object();
        std::cout << "  share of pool " << text(share, "pool") << ", " << text(share, "month")
                  << ": " << text(share, "amount") << "\n";
    }
}

}  // namespace

int close_account(const Options& options) {
    BodyBuilder body = signed_body(options);
    if (options.accept_last_reading) body.object["accept_last_reading"] = true;
    const Answer answer = act(options, account_path(options, "close"), body);
    if (!answer.ok()) return report(options, answer);
    if (options.json) return print_document(answer);
    const json::object done = document(answer);
    std::cout << text(done, "account") << " is closed since " << text(done, "closed") << " at "
              << text(done, "balance") << "\n";
    print_meters(done);
    print_pools(done);
    return kDone;
}

int occupant(const Options& options) {
    BodyBuilder body = signed_body(options);
    body.field("holder", options.holder).field("settle", options.settle);
    body.field("to", options.to_account).field("method", options.method);
    body.field("at", options.at).field("ladder", options.ladder);
    if (options.accept_last_reading) body.object["accept_last_reading"] = true;
    const Answer answer = act(options, "units/" + encode(options.subject) + "/occupant", body);
    if (!answer.ok()) return report(options, answer);
    if (options.json) return print_document(answer);
    const json::object done = document(answer);
    for (const json::value& item : list(done, "closed")) {
        const json::object& closed = item.get_object();
        const json::object& settled = member(closed, "settled");
        std::cout << text(closed, "account") << " is closed at " << text(closed, "balance");
        for (const json::value& one : list(settled, "entries"))
            std::cout << ", " << text(one.get_object(), "kind") << " "
                      << text(one.get_object(), "amount");
        const std::string receipt = text(settled, "receipt");
        std::cout << (receipt.empty() ? "" : ", receipt " + receipt) << "\n";
        print_meters(closed);
        print_pools(closed);
    }
    for (const json::value& item : list(done, "opened"))
        std::cout << text(item.get_object(), "account") << " is open for " << text(done, "holder")
                  << ", balance " << text(item.get_object(), "balance") << "\n";
    return kDone;
}

int reverse(const Options& options) {
    return tell(options, act(options, "entries/" + encode(options.subject) + "/reversal",
                             signed_body(options)));
}

int refund(const Options& options) {
    BodyBuilder body = signed_body(options);
    body.object["amount"] = options.amount;
    body.field("method", options.method);
    return tell(options, act(options, account_path(options, "refunds"), body));
}

int transfer(const Options& options) {
    BodyBuilder body = signed_body(options);
    body.object["amount"] = options.amount;
    body.field("to", options.to_account);
    return tell(options, act(options, account_path(options, "transfers"), body));
}

int adjust(const Options& options) {
    BodyBuilder body = signed_body(options);
    body.object["amount"] = options.amount;
    body.field("service", options.service);
    return tell(options, act(options, account_path(options, "adjustments"), body));
}

int remap(const Options& options) {
    BodyBuilder body = signed_body(options);
    body.field("with", options.with).field("from", options.from_day);
    const std::string path = "meters/" + encode(options.subject) + "/remap";
    const Answer answer = act(options, path + (options.dry_run ? "?dry_run=true" : ""), body);
    if (!answer.ok()) return report(options, answer);
    if (options.json) return print_document(answer);
    const json::object done = document(answer);
    for (const json::value& item : list(done, "meters")) {
        const json::object& meter = item.get_object();
        std::cout << text(meter, "meter") << ": " << text(meter, "quantity") << " since "
                  << text(done, "from") << " were charged to " << text(meter, "from_account")
                  << " and belong to " << text(meter, "to_account") << "\n";
    }
    for (const json::value& item : list(done, "accounts")) {
        const json::object& account = item.get_object();
        for (const json::value& one : list(account, "lines")) {
            const json::object& line = one.get_object();
            std::cout << "  " << text(account, "account") << " " << text(line, "month") << " "
                      << text(line, "tariff") << " " << text(line, "band") << text(line, "tier")
                      << ": " << text(line, "old_quantity") << " = " << text(line, "old_target")
                      << " becomes " << text(line, "quantity") << " = " << text(line, "target")
                      << "\n";
        }
        std::cout << text(account, "account") << ": " << text(account, "amount") << " "
                  << text(done, "currency") << "\n";
    }
    std::cout << (options.dry_run ? std::string("nothing was changed")
                                  : "set right, statement " + text(done, "event"))
              << "\n";
    return kDone;
}

}  // namespace gatehouse::ctl
