// Verbs about alerts, tokens, quarantine, the clock and the proof of the books.
#include "daemon/ctl/verbs.hpp"

#include <boost/json/serialize.hpp>
#include <iostream>

#include "daemon/ctl/output.hpp"
#include "daemon/ctl/table.hpp"

namespace gatehouse::ctl {

namespace json = boost::json;

namespace {

constexpr const char* kApi = "/api/v1";

Answer post(const Options& options, const std::string& path, const BodyBuilder& body) {
    return call(options.socket_path, "POST", kApi + path, body.take());
}

}  // namespace

int alerts(const Options& options) {
    const Listing listing = all_items(options, "/api/v1/alerts", options.open ? "&state=open" : "");
    if (listing.failed.status != 0) return report(options, listing.failed);
    if (options.json) return print_items(listing);
    TextTable table;
    for (const char* heading : {"ALERT", "KIND", "STATE", "LEVEL", "UNIT", "SINCE", "TEXT"}) {
        table.column(heading);
    }
    for (const json::value& item : listing.items) {
        const json::object& alert = item.get_object();
        std::string where = text(alert, "unit_label");
        if (where.empty()) where = text(alert, "unit");
        if (where.empty()) where = text(alert, "subject");  // a bus, a main meter, the site
        table.row({text(alert, "id"), text(alert, "kind"), text(alert, "state"),
                   text(alert, "level"), where, text(alert, "opened_at"), text(alert, "text")});
    }
    std::cout << (table.empty() ? "no alerts\n" : table.text());
    return kDone;
}

int alerts_test(const Options& options) {
    const Answer answer = post(options, "/alerts/test", {});
    if (!answer.ok()) return report(options, answer);
    if (options.json) return print_document(answer);
    std::cout << "a test alert was sent\n";
    return kDone;
}

int ack(const Options& options) {
    BodyBuilder body;
    body.field("by", options.by).field("via", options.via);
    body.field("note", options.note).field("result", options.result);
    const Answer answer = post(options, "/alerts/" + encode(options.subject) + "/ack", body);
    if (!answer.ok()) return report(options, answer);
    if (options.json) return print_document(answer);
    std::cout << "acknowledged " << options.subject << "\n";
    return kDone;
}

int token_add(const Options& options) {
    BodyBuilder body;
    body.field("name", options.name).field("expires_at", options.expires_at);
    json::array scopes;
    for (const std::string& scope : options.scopes) scopes.emplace_back(scope);
    body.object["scopes"] = std::move(scopes);
    json::array addresses;
    for (const std::string& address : options.addresses) addresses.emplace_back(address);
    if (!addresses.empty()) body.object["addresses"] = std::move(addresses);
    const Answer answer = post(options, "/tokens", body);
    if (!answer.ok()) return report(options, answer);
    if (options.json) return print_document(answer);
    std::cout << text(document(answer), "token") << "\n";
    std::cerr << "This is shown once. Revoke it with: gatehousectl token revoke "
              << text(document(answer), "id") << "\n";
    return kDone;
}

int token_list(const Options& options) {
    const Listing listing = all_items(options, "/api/v1/tokens");
    if (listing.failed.status != 0) return report(options, listing.failed);
    if (options.json) return print_items(listing);
    TextTable table;
    for (const char* heading : {"ID", "NAME", "SCOPES", "CREATED", "LAST USED", "ENDS"}) {
        table.column(heading);
    }
    for (const json::value& item : listing.items) {
        const json::object& token = item.get_object();
        std::string scopes;
        for (const json::value& scope : list(token, "scopes")) {
            scopes += (scopes.empty() ? "" : ",") + std::string(scope.get_string().c_str());
        }
        const std::string revoked = text(token, "revoked_at");
        table.row({text(token, "id"), text(token, "name"), scopes, text(token, "created_at"),
                   text(token, "last_used_at"),
                   revoked.empty() ? text(token, "expires_at") : "revoked " + revoked});
    }
    std::cout << (table.empty() ? "no tokens\n" : table.text());
    return kDone;
}

int token_revoke(const Options& options) {
    const Answer answer =
        call(options.socket_path, "DELETE", "/api/v1/tokens/" + encode(options.subject));
    if (!answer.ok()) return report(options, answer);
    if (options.json) return print_document(answer);
    std::cout << "revoked " << options.subject << "\n";
    return kDone;
}

int clock_status(const Options& options) {
    const Answer answer = call(options.socket_path, "GET", "/api/v1/clock");
    if (!answer.ok()) return report(options, answer);
    if (options.json) return print_document(answer);
    const json::object clock = document(answer);
    std::cout << (truth(clock, "trusted") ? "trusted" : "not trusted") << ": "
              << text(clock, "reason") << "\nnow  " << text(clock, "now") << "\nwall "
              << text(clock, "wall") << "\n";
    return kDone;
}

int clock_confirm(const Options& options) {
    BodyBuilder body;
    body.field("by", options.by);
    const Answer answer = post(options, "/clock/confirm", body);
    if (!answer.ok()) return report(options, answer);
    if (options.json) return print_document(answer);
    std::cout << "the clock is confirmed\n";
    return kDone;
}

int verify(const Options& options) {
    const Answer answer = call(options.socket_path, "POST", "/api/v1/verify", "{}");
    if (!answer.ok()) return report(options, answer);
    const json::object proof = document(answer);
    const bool ok = truth(proof, "ok");
    if (options.json) {
        print_document(answer);
        if (!ok)
            return fail(options, kFailed, "not-proven",
                        "does NOT hold: " + text(proof, "first_bad"));
    } else if (ok) {
        std::cout << "all of it holds: " << text(proof, "events") << " events, "
                  << text(proof, "entries") << " entries, " << text(proof, "lines") << " lines, "
                  << text(proof, "readings") << " readings\n";
    } else {
        std::cout << "does NOT hold: " << text(proof, "first_bad") << "\n";
    }
    return ok ? kDone : kFailed;
}

}  // namespace gatehouse::ctl
