// Verbs about meters and buses: status, one reading with its bytes and its verdict, and the meter's
// own clock.
#include <iostream>

#include "daemon/ctl/output.hpp"
#include "daemon/ctl/table.hpp"
#include "daemon/ctl/verbs.hpp"

namespace gatehouse::ctl {

namespace json = boost::json;

namespace {

std::uint64_t number(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains({name.data(), name.size()});
    return value != nullptr && value->is_int64() ? static_cast<std::uint64_t>(value->get_int64())
                                                 : 0;
}

// "1234 ok, 3 timeout": what came at all, good ones first.
std::string exchanges_text(const json::object& counted) {
    std::string line;
    for (const auto& member : member(counted, "exchanges")) {
        const std::string_view name(member.key().data(), member.key().size());
        const json::object& all = ctl::member(counted, "exchanges");
        if (number(all, name) == 0) continue;
        line += (line.empty() ? "" : ", ") + text(all, name) + " " + std::string(name);
    }
    return line.empty() ? "none" : line;
}

std::string speeds_text(const json::object& counted) {
    const std::string p50 = text(counted, "turnaround_p50_ms");
    if (p50.empty()) return "";
    return p50 + "/" + text(counted, "turnaround_p99_ms");
}

void print_buses(const json::object& document) {
    TextTable table;
    table.column("BUS");
    table.column("STATE");
    table.column("METERS", TextTable::Align::right);
    table.column("BUSY %", TextTable::Align::right);
    table.column("P50/P99 MS", TextTable::Align::right);
    table.column("EXCHANGES");
    for (const json::value& item : list(document, "buses")) {
        const json::object& bus = item.get_object();
        table.row({text(bus, "bus"), text(bus, "phase"),
                   text(bus, "meters_online") + "/" + text(bus, "meters"),
                   text(bus, "busy_percent"), speeds_text(bus), exchanges_text(bus)});
    }
    if (!table.empty()) std::cout << table.text();
    for (const json::value& item : list(document, "buses")) {
        const json::object& bus = item.get_object();
        const std::string diagnosis = text(bus, "diagnosis");
        const std::string said = diagnosis.empty() ? text(bus, "reason") : diagnosis;
        if (!said.empty()) std::cout << "  " << text(bus, "bus") << ": " << said << "\n";
    }
}

// Every meter, or those that have a fault.
void print_lines(const json::object& document, bool all) {
    TextTable table;
    for (const char* heading :
         {"BUS", "ADDRESS", "METER", "LAST GOOD", "P50/P99 MS", "EXCHANGES", "DIAGNOSIS"}) {
        table.column(heading);
    }
    for (const json::value& item : list(document, "buses")) {
        const json::object& bus = item.get_object();
        for (const json::value& entry : list(bus, "lines")) {
            const json::object& line = entry.get_object();
            if (!all && text(line, "fault") == "none") continue;
            const std::string good = text(line, "last_good_at");
            table.row({text(bus, "bus"), text(line, "address"), text(line, "meter"),
                       good.empty() ? "never" : good, speeds_text(line), exchanges_text(line),
                       text(line, "diagnosis")});
        }
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
    const json::object& clocks = member(document, "meter_clocks");
    std::string off;
    for (const json::value& item : list(clocks, "off")) {
        const json::object& one = item.get_object();
        off += (off.empty() ? "" : ", ") + text(one, "meter") + " " + text(one, "drift_s") + " s";
    }
    if (!off.empty()) std::cout << "          meters with a wrong clock: " << off << "\n";
    for (const json::value& warning : list(document, "warnings"))
        std::cout << "warning   " << std::string(warning.get_string().c_str()) << "\n";
    print_buses(document);
}

void print_raw(const json::object& result) {
    for (const json::value& item : list(result, "exchanges")) {
        const json::object& exchange = item.get_object();
        const std::string reply = text(exchange, "reply");
        std::cout << "  > " << text(exchange, "request") << "\n  < "
                  << (reply.empty() ? "(nothing)" : reply) << "  (" << text(exchange, "took_ms")
                  << " ms)\n";
    }
    for (const json::value& item : list(result, "values")) {
        const json::object& value = item.get_object();
        const std::string unit = text(value, "unit");
        const bool good = text(value, "result") == "ok";
        std::cout << "  " << text(value, "measurement") << "  "
                  << (good ? text(value, "value") + (unit.empty() ? "" : " " + unit)
                           : text(value, "result"))
                  << "  <- " << text(value, "steps") << "\n";
    }
}

void print_verdict(const json::object& verdict) {
    if (verdict.empty()) return;
    std::cout << "verdict  " << (truth(verdict, "plausible") ? "plausible" : "NOT plausible")
              << "\n";
    for (const json::value& finding : list(verdict, "findings")) {
        std::cout << "  " << finding.get_string().c_str() << "\n";
    }
    for (const json::value& item : list(verdict, "alternatives")) {
        const json::object& other = item.get_object();
        std::cout << "  " << text(other, "measurement") << " would be " << text(other, "value")
                  << " with " << text(other, "what") << "\n";
    }
    const json::object& books = member(verdict, "books");
    if (books.empty()) {
        std::cout << "books    not asked: the engine is busy\n";
        return;
    }
    std::cout << "books    " << text(books, "would_be") << ": " << text(books, "text") << "\n";
    const json::object& last = member(books, "last_confirmed");
    if (!last.empty()) {
        std::cout << "         last confirmed " << text(last, "register") << " at "
                  << text(last, "at") << "\n";
    }
}

}  // namespace

int status(const Options& options) {
    const Answer answer = call(options.socket_path, "GET", "/api/v1/status");
    if (!answer.ok()) return report(options, answer);
    if (options.json) return print_document(answer);
    const json::object status = document(answer);
    print_status(status);
    print_lines(status, options.meters);
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
        if (good) return kDone;
        return fail(options, kFailed, "not-read",
                    text(result, "meter") + " was not read: " + text(result, "result") + ": " +
                        text(result, "detail"));
    }
    std::cout << text(result, "meter") << "  ";
    if (good) {
        std::cout << "register " << text(result, "register") << "  words " << text(result, "raw")
                  << "  at " << text(result, "at") << "\n";
    } else {
        std::cout << text(result, "result") << ": " << text(result, "detail") << "\n";
    }
    if (options.raw) {
        print_raw(result);
        print_verdict(member(result, "verdict"));
    }
    return good ? kDone : kFailed;
}

int set_clock(const Options& options) {
    BodyBuilder body;
    body.field("by", options.by);
    const Answer answer = call(options.socket_path, "POST",
                               "/api/v1/meters/" + encode(options.subject) + "/clock", body.take());
    if (!answer.ok()) return report(options, answer);
    const json::object setting = document(answer);
    const bool done = truth(setting, "done");
    if (options.json) print_document(answer);
    if (!done) {
        const std::string after = text(setting, "after");
        return fail(options, kFailed, "not-set",
                    "the clock of " + text(setting, "meter") + " was not set: " +
                        text(setting, "reason") + (after.empty() ? "" : "; it shows " + after));
    }
    if (options.json) return kDone;
    const std::string before = text(setting, "before");
    std::cout << text(setting, "meter") << "  before " << (before.empty() ? "no date" : before);
    if (!text(setting, "before_off_s").empty()) {
        std::cout << " (off by " << text(setting, "before_off_s") << " s)";
    }
    std::cout << "  set to " << text(setting, "set_to") << "  shows " << text(setting, "after")
              << "\n";
    return kDone;
}

}  // namespace gatehouse::ctl
