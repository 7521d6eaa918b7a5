// Verbs of keys, key cabinets and tickets: who has what, what is written down by hand, and the way
// of a ticket.
#include <boost/json/array.hpp>
#include <charconv>
#include <cstdint>
#include <iostream>

#include "daemon/ctl/output.hpp"
#include "daemon/ctl/table.hpp"
#include "daemon/ctl/verbs.hpp"

namespace gatehouse::ctl {

namespace json = boost::json;

namespace {

std::string query_of(const Options& options, const std::vector<std::string>& names) {
    std::string query;
    for (const std::string& name : names) {
        const auto found = options.fields.find(name);
        if (found == options.fields.end() || found->second.empty()) continue;
        query += "&" + name + "=" + encode(found->second);
    }
    return query;
}

// What is no number is the server's to refuse.
json::value number_or_text(const std::string& text) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size()) return number;
    return json::string(text);
}

// Fields have the names of the body's; `crew` is a list, flags are true where given.
std::string body_of(const Options& options) {
    BodyBuilder body;
    for (const auto& [name, value] : options.fields)
        if (name != "crew" && name != "count") body.field(name, value);
    const auto pieces = options.fields.find("count");
    const bool bunch = pieces != options.fields.end() && !pieces->second.empty();
    if (bunch) body.object["count"] = number_or_text(pieces->second);
    body.field("by", options.by).field("second", options.second);
    body.field("reason", options.reason).field("note", options.note);
    if (!options.crew.empty()) {
        json::array crew;
        for (const std::string& one : options.crew) crew.emplace_back(one);
        body.object["crew"] = std::move(crew);
    }
    for (const std::string& name : options.flags) body.object[name] = true;
    // A stock-take says either, never nothing.
    if (options.action == "count" && options.flags.empty() && !bunch)
        body.object["present"] = false;
    return body.take();
}

std::string minute(const json::object& object, const char* name) {
    std::string at = text(object, name).substr(0, 16);
    if (at.size() == 16) at[10] = ' ';
    return at;
}

std::string first_person(const json::object& key) {
    const std::string person = text(key, "person");
    if (!person.empty()) return person;
    std::string all;
    for (const json::value& one : list(key, "candidates"))
        all += (all.empty() ? "" : " or ") + std::string(one.get_string());
    return all.empty() && key.contains("out_at") ? "nobody is known" : all;
}

std::string sealed_with(const json::object& key) {
    if (!key.contains("seal")) return "";
    const json::object& seal = member(key, "seal");
    return ", seal " + text(seal, "no") + " " + text(seal, "state");
}

// The badge reader beside it: its newest event, and what is wrong with its line.
std::string reader_line(const json::object& cabinet) {
    if (!cabinet.contains("reader")) return "";
    const json::object& reader = member(cabinet, "reader");
    const std::string skew = text(reader, "clock_skew_s");
    return text(reader, "boot") + "/" + text(reader, "seq") + " " +
           minute(reader, "last_event_at") +
           (skew.empty() || skew == "0" ? "" : ", off by " + skew + " s") +
           (list(reader, "gaps").empty() ? "" : ", events missing");
}

int print_ticket(const Options& options, const Answer& answer) {
    if (!answer.ok()) return report(options, answer);
    if (options.json) return print_document(answer);
    const json::object ticket = document(answer);
    std::string crew;
    for (const json::value& one : list(ticket, "crew"))
        crew += (crew.empty() ? "" : ", ") + std::string(one.get_string());
    std::cout << text(ticket, "number") << "  " << text(ticket, "state") << "  "
              << text(ticket, "unit_label") << text(ticket, "place") << "  "
              << text(ticket, "category") << "  " << text(ticket, "text") << "\n";
    if (!crew.empty()) std::cout << "crew " << crew << "\n";
    for (const json::value& one : list(ticket, "moves")) {
        const json::object& move = one.get_object();
        std::cout << "  " << minute(move, "at") << "  " << text(move, "to") << " by "
                  << text(move, "by") << (text(move, "spoken_to").empty() ? "" : ", spoke to ")
                  << text(move, "spoken_to") << (text(move, "note").empty() ? "" : ": ")
                  << text(move, "note") << "\n";
    }
    for (const json::value& one : list(ticket, "keys")) {
        const json::object& link = one.get_object();
        std::cout << "  key of loan " << text(link, "loan") << ", " << text(link, "link") << "\n";
    }
    return kDone;
}

}  // namespace

int keys(const Options& options) {
    const Listing listing =
        all_items(options, "/api/v1/keys", query_of(options, {"state", "person", "cabinet"}));
    if (listing.failed.status != 0) return report(options, listing.failed);
    if (options.json) return print_items(listing);
    TextTable table;
    for (const char* heading : {"KEY", "CLASS", "STATE", "WHERE", "PERSON", "OUT", "DUE", "TICKET"})
        table.column(heading);
    for (const json::value& item : listing.items) {
        const json::object& key = item.get_object();
        const std::string slot = text(key, "slot");
        const std::string where =
            text(key, "cabinet") + (slot.empty() ? "" : "#" + slot) + text(key, "place");
        const std::string link = text(key, "link");
        table.row({text(key, "key"), text(key, "class"), text(key, "state"), where,
                   first_person(key), minute(key, "out_at"), minute(key, "due_at"),
                   text(key, "ticket") + (link.empty() ? "" : " (" + link + ")")});
    }
    std::cout << (table.empty() ? "no key fits\n" : table.text());
    return kDone;
}

int key_show(const Options& options) {
    const Answer answer =
        call(options.socket_path, "GET", "/api/v1/keys/" + encode(options.subject));
    if (!answer.ok()) return report(options, answer);
    if (options.json) return print_document(answer);
    const json::object key = document(answer);
    std::cout << text(key, "key") << " is " << text(key, "state");
    if (key.contains("out_at"))
        std::cout << " with " << first_person(key) << " since " << minute(key, "out_at") << ", due "
                  << minute(key, "due_at");
    std::cout << sealed_with(key) << "\n";
    TextTable table;
    for (const char* heading : {"OUT", "IN", "PERSON", "BROUGHT BY", "ORIGIN", "TICKET"})
        table.column(heading);
    for (const json::value& item : list(key, "loans")) {
        const json::object& loan = item.get_object();
        const json::array& links = list(loan, "links");
        table.row({minute(loan, "out_at"), minute(loan, "in_at"), first_person(loan),
                   text(loan, "returned_by"), text(loan, "origin"),
                   links.empty() ? "" : text(links.front().get_object(), "ticket")});
    }
    if (!table.empty()) std::cout << table.text();
    return kDone;
}

int key_act(const Options& options) {
    const Answer answer = call(options.socket_path, "POST",
                               "/api/v1/keys/" + encode(options.subject) + "/" + options.action,
                               body_of(options), {});
    if (!answer.ok()) return report(options, answer);
    if (options.json) return print_document(answer);
    const json::object key = document(answer);
    std::cout << text(key, "key") << " is " << text(key, "state");
    if (const std::string person = first_person(key); !person.empty())
        std::cout << " with " << person << ", due " << minute(key, "due_at");
    std::cout << sealed_with(key) << "\n";
    return kDone;
}

int stock_take(const Options& options) {
    std::string query = query_of(options, {"from", "to"});
    if (!query.empty()) query.front() = '?';
    const Answer answer = call(options.socket_path, "GET", "/api/v1/reports/stock-take" + query);
    if (!answer.ok()) return report(options, answer);
    if (options.json) return print_document(answer);
    const json::object sheet = document(answer);
    TextTable table;
    for (const char* heading : {"KEY", "WHERE", "BY THE BOOKS", "HOLDER", "EXPECTED", "COUNTED",
                                "DIFFERENCE", "WHEN", "BY", "SECOND", "REMARK"})
        table.column(heading);
    for (const json::value& item : list(sheet, "items")) {
        const json::object& one = item.get_object();
        table.row({text(one, "key"), text(one, "place"), text(one, "state"), text(one, "holder"),
                   text(one, "expected"), text(one, "counted"), text(one, "difference"),
                   minute(one, "at"), text(one, "by"), text(one, "second"), text(one, "remark")});
    }
    std::cout << (table.empty() ? "keys.csv names no key\n" : table.text())
              << text(sheet, "counted") << " of " << text(sheet, "keys") << " counted, "
              << text(sheet, "differing") << " with a difference\n";
    return kDone;
}

int cabinets(const Options& options) {
    const Listing listing = all_items(options, "/api/v1/cabinets");
    if (listing.failed.status != 0) return report(options, listing.failed);
    if (options.json) return print_items(listing);
    TextTable table;
    for (const char* heading : {"CABINET", "PROFILE", "BY", "STATE", "KEYS", "OUT", "LAST SEQ",
                                "CLOCK OFF S", "LAST EVENT", "READER"})
        table.column(heading);
    for (const json::value& item : listing.items) {
        const json::object& one = item.get_object();
        const char* state = !truth(one, "seen")    ? "never heard of"
                            : truth(one, "online") ? "online"
                                                   : "offline";
        const std::string gaps = list(one, "gaps").empty() ? "" : ", events missing";
        table.row({text(one, "cabinet"), text(one, "profile"), text(one, "kind"), state + gaps,
                   text(one, "keys"), text(one, "out"), text(one, "boot") + "/" + text(one, "seq"),
                   text(one, "clock_skew_s"), minute(one, "last_event_at"), reader_line(one)});
    }
    std::cout << (table.empty() ? "gatehouse.toml names no cabinet\n" : table.text());
    return kDone;
}

int cabinet_events(const Options& options) {
    const Listing listing =
        all_items(options, "/api/v1/cabinets/" + encode(options.subject) + "/events");
    if (listing.failed.status != 0) return report(options, listing.failed);
    if (options.json) return print_items(listing);
    TextTable table;
    for (const char* heading : {"SEQ", "AT", "EVENT", "SLOT", "KEY", "PERSON", "ORIGIN"})
        table.column(heading);
    for (const json::value& item : listing.items) {
        const json::object& event = item.get_object();
        const json::object& body = member(event, "body");
        table.row({text(event, "seq"), minute(body, "at"), text(event, "kind"), text(body, "slot"),
                   text(body, "key"), text(body, "person"), text(body, "origin")});
    }
    std::cout << (table.empty() ? "nothing was heard of it\n" : table.text());
    return kDone;
}

int cabinet_clock(const Options& options) {
    BodyBuilder body;
    body.field("by", options.by);
    const Answer answer =
        call(options.socket_path, "POST", "/api/v1/cabinets/" + encode(options.subject) + "/clock",
             body.take(), {});
    if (!answer.ok()) return report(options, answer);
    const json::object setting = document(answer);
    const bool done = truth(setting, "done");
    if (options.json) print_document(answer);
    const std::string before = text(setting, "skew_before_s"),
                      after = text(setting, "skew_after_s");
    if (!done)
        return fail(options, kFailed, "not-set",
                    "the clock of " + text(setting, "cabinet") +
                        " was not set: " + text(setting, "reason") +
                        (after.empty() ? "" : "; it is off by " + after + " s"));
    if (options.json) return kDone;
    std::cout << text(setting, "cabinet") << "  before "
              << (before.empty() ? "no time" : "off by " + before + " s") << "  now off by "
              << after << " s\n";
    return kDone;
}

int tickets(const Options& options) {
    const Listing listing = all_items(options, "/api/v1/tickets",
                                      query_of(options, {"state", "unit", "kind", "from", "to"}));
    if (listing.failed.status != 0) return report(options, listing.failed);
    if (options.json) return print_items(listing);
    TextTable table;
    for (const char* heading :
         {"TICKET", "STATE", "URGENCY", "WHERE", "CATEGORY", "REPORTED", "DONE BY", "TEXT"})
        table.column(heading);
    for (const json::value& item : listing.items) {
        const json::object& one = item.get_object();
        table.row({text(one, "number"), text(one, "state"), text(one, "urgency"),
                   text(one, "unit_label") + text(one, "place"), text(one, "category"),
                   minute(one, "reported_at"), minute(one, "done_by"), text(one, "text")});
    }
    std::cout << (table.empty() ? "no ticket fits\n" : table.text());
    return kDone;
}

int ticket_show(const Options& options) {
    return print_ticket(
        options, call(options.socket_path, "GET", "/api/v1/tickets/" + encode(options.subject)));
}

int ticket_new(const Options& options) {
    return print_ticket(options,
                        call(options.socket_path, "POST", "/api/v1/tickets", body_of(options), {}));
}

int ticket_act(const Options& options) {
    return print_ticket(options,
                        call(options.socket_path, "POST",
                             "/api/v1/tickets/" + encode(options.subject) + "/" + options.action,
                             body_of(options), {}));
}

namespace {

// An alert that rests on a reading which is in doubt says so as well.
std::string how_sure(const json::object& event, const json::object& body) {
    std::string sure = text(event, "origin");
    const std::string quality = text(body, "quality");
    if (text(event, "kind").starts_with("alert.") && !quality.empty() && quality != "confirmed")
        sure += (sure.empty() ? "" : ", ") + quality;
    return sure;
}

}  // namespace

int timeline(const Options& options) {
    const std::string query =
        query_of(options, {"unit", "key", "ticket", "staff", "meter", "account", "cabinet"});
    const Listing listing = all_items(options, "/api/v1/timeline", query);
    if (listing.failed.status != 0) return report(options, listing.failed);
    if (options.json) return print_items(listing);
    TextTable table;
    for (const char* heading : {"SEQ", "AT", "WHAT", "ABOUT", "WHO", "HOW SURE"})
        table.column(heading);
    for (const json::value& item : listing.items) {
        const json::object& event = item.get_object();
        const json::object& body = member(event, "body");
        std::string about, who = text(body, "person");
        for (const char* name :
             {"key", "ticket", "number", "link", "account", "meter", "amount", "text"}) {
            const std::string part = text(body, name);
            if (!part.empty()) about += (about.empty() ? "" : " ") + part;
        }
        for (const char* name : {"by", "acked_by"})
            if (who.empty()) who = text(body, name);
        table.row({text(event, "seq"), minute(event, "at"), text(event, "kind"), about, who,
                   how_sure(event, body)});
    }
    std::cout << (table.empty() ? "nothing is known of it\n" : table.text());
    return kDone;
}

}  // namespace gatehouse::ctl
