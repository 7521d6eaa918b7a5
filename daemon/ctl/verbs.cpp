// Verbs about meters, alerts, tokens, the clock and the proof of the books.
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

void print_buses(const json::object& document) {
    TextTable table;
    table.column("BUS");
    table.column("STATE");
    table.column("METERS", TextTable::Align::right);
    table.column("REASON");
    for (const json::value& item : list(document, "buses")) {
        const json::object& bus = item.get_object();
        table.row({text(bus, "bus"), text(bus, "phase"),
                   text(bus, "meters_online") + "/" + text(bus, "meters"), text(bus, "reason")});
    }
    if (!table.empty()) std::cout << table.text();
}

void print_status(const json::object& document) {
    const json::object& meters = member(document, "meters");
    const json::object& mqtt = member(document, "mqtt");
    const json::object& store = member(document, "store");
    const json::object& clock = member(document, "clock");
    std::cout << "site      " << text(document, "site") << ", version " << text(document, "version")
              << ", since " << text(document, "started_at") << "\n";
    std::cout << "meters    " << text(meters, "online") << " of " << text(meters, "total")
              << " online, " << text(meters, "held") << " held, " << text(meters, "disabled")
              << " disabled, " << text(meters, "by_eye") << " by eye\n";
    std::cout << "accounts  " << text(member(document, "accounts"), "total") << ", "
              << text(member(document, "accounts"), "low") << " low, "
              << text(member(document, "alerts"), "open") << " open alerts\n";
    if (truth(mqtt, "configured")) {
        std::cout << "mqtt      "
                  << (truth(mqtt, "connected") ? "connected" : "offline: " + text(mqtt, "reason"))
                  << ", backlog " << text(mqtt, "backlog") << "\n";
    } else {
        std::cout << "mqtt      not configured\n";
    }
    std::cout << "database  " << (truth(store, "ok") ? "ok" : "failing: " + text(store, "reason"))
              << ", " << text(store, "database_bytes") << " bytes, event "
              << text(store, "event_seq") << ", reading " << text(store, "reading_seq") << "\n";
    std::cout << "clock     " << (truth(clock, "trusted") ? "trusted" : "NOT trusted") << ": "
              << text(clock, "reason") << ", " << text(clock, "now") << "\n";
    print_buses(document);
}

}  // namespace

int status(const Options& options) {
    const Answer answer = call(options.socket_path, "GET", "/api/v1/status");
    if (!answer.ok()) return report(options, answer);
    if (options.json) return print_document(answer);
    print_status(document(answer));
    return kDone;
}

int read_meter(const Options& options) {
    const Answer answer = call(options.socket_path, "POST",
                               "/api/v1/meters/" + encode(options.subject) + "/read", "{}");
    if (!answer.ok()) return report(options, answer);
    const json::object result = document(answer);
    const bool good = text(result, "result") == "ok";
    if (options.json) {
        print_document(answer);
        return good ? kDone : kFailed;
    }
    std::cout << text(result, "meter") << "  ";
    if (good) {
        std::cout << "register " << text(result, "register") << "  words " << text(result, "raw")
                  << "  at " << text(result, "at") << "\n";
    } else {
        std::cout << text(result, "result") << ": " << text(result, "detail") << "\n";
    }
    if (options.raw) {
        for (const json::value& item : list(result, "exchanges")) {
            const json::object& exchange = item.get_object();
            const std::string reply = text(exchange, "reply");
            std::cout << "  > " << text(exchange, "request") << "\n  < "
                      << (reply.empty() ? "(nothing)" : reply) << "  (" << text(exchange, "took_ms")
                      << " ms)\n";
        }
    }
    return good ? kDone : kFailed;
}

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
    } else if (ok) {
        std::cout << "all of it holds: " << text(proof, "events") << " events, "
                  << text(proof, "entries") << " entries, " << text(proof, "lines") << " lines, "
                  << text(proof, "readings") << " readings\n";
    } else {
        std::cout << "does NOT hold: " << text(proof, "first_bad") << "\n";
    }
    return ok ? kDone : kFailed;
}

int quarantine_list(const Options& options) {
    const Listing listing = all_items(options, "/api/v1/quarantine");
    if (listing.failed.status != 0) return report(options, listing.failed);
    if (options.json) return print_items(listing);
    TextTable table;
    for (const char* heading : {"ID", "METER", "REASON", "REGISTER", "HELD", "AT", "WORDS"}) {
        table.column(heading);
    }
    for (const json::value& item : listing.items) {
        const json::object& row = item.get_object();
        table.row({text(row, "id"), text(row, "meter"), text(row, "reason"), text(row, "register"),
                   text(row, "held"), text(row, "at"), text(row, "raw")});
    }
    std::cout << (table.empty() ? "nothing is held\n" : table.text());
    return kDone;
}

}  // namespace gatehouse::ctl
