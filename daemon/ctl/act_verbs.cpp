// Verbs of what staff do at a meter: what is held, readings by eye, replacements, holds.
#include <boost/json/array.hpp>
#include <iostream>

#include "daemon/core/units.hpp"
#include "daemon/ctl/output.hpp"
#include "daemon/ctl/table.hpp"
#include "daemon/ctl/verbs.hpp"

namespace gatehouse::ctl {

namespace json = boost::json;

namespace {

Answer act(const Options& options, const std::string& collection, const std::string& what,
           const BodyBuilder& body) {
    return call(options.socket_path, "POST",
                "/api/v1/" + collection + "/" + encode(options.subject) + "/" + what, body.take());
}

void print_balance(const json::object& result) {
    if (text(result, "account").empty()) return;
    std::cout << "balance of " << text(result, "account") << ": " << text(result, "balance") << " "
              << text(result, "currency") << "\n";
}

int settle(const Options& options, const char* what) {
    BodyBuilder body;
    body.field("by", options.by).field("reason", options.reason);
    const Answer answer = act(options, "quarantine", what, body);
    if (!answer.ok()) return report(options, answer);
    if (options.json) return print_document(answer);
    const json::object result = document(answer);
    std::cout << text(result, "state") << ": " << text(result, "meter") << " at "
              << text(result, "register") << " (" << text(result, "reason") << ")\n";
    print_balance(result);
    return kDone;
}

int hold_or_not(const Options& options, const char* what) {
    BodyBuilder body;
    body.field("by", options.by).field("reason", options.reason);
    const Answer answer = act(options, "meters", what, body);
    if (!answer.ok()) return report(options, answer);
    if (options.json) return print_document(answer);
    const json::object result = document(answer);
    std::cout << text(result, "meter") << (truth(result, "hold") ? " is held\n" : " goes on\n");
    return kDone;
}

}  // namespace

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

int quarantine_release(const Options& options) {
    return settle(options, "release");
}

int quarantine_reject(const Options& options) {
    return settle(options, "reject");
}

namespace {

int print_correction(const json::object& result) {
    const bool looked = !text(result, "dry_run").empty();
    std::cout << text(result, "meter") << " stood at " << text(result, "register") << " at "
              << text(result, "at") << " and not at " << text(result, "old_register") << ": "
              << (looked ? "nothing was changed, a reading would supersede "
                         : "reading " + text(result, "reading") + " supersedes ")
              << text(result, "supersedes") << "\n";
    for (const json::value& item : list(result, "money")) {
        const json::object& row = item.get_object();
        std::cout << "account " << text(row, "account")
                  << (looked ? " would be charged " : " is charged ") << text(row, "new")
                  << " instead of " << text(row, "old") << "\n";
    }
    return kDone;
}

}  // namespace

int dial(const Options& options) {
    BodyBuilder body;
    body.object["register"] = options.face;
    body.field("at", options.at).field("by", options.by).field("second", options.second);
    body.field("photo", options.photo).field("reason", options.reason);
    if (!options.supersedes.empty()) {
        const auto seq = parse_decimal(options.supersedes, 0);
        if (!seq) {
            return fail(options, kBadInput, "input",
                        "--supersedes " + options.supersedes + " is no number of a reading");
        }
        body.object["supersedes"] = *seq;
    }
    const Answer answer =
        act(options, "meters", options.dry_run ? "readings?dry_run=1" : "readings", body);
    if (!answer.ok()) return report(options, answer);
    if (options.json) return print_document(answer);
    const json::object result = document(answer);
    if (text(result, "state") == "corrected") return print_correction(result);
    if (text(result, "state") == "held") {
        std::cout << "held as " << text(result, "quarantine") << " (" << text(result, "reason")
                  << "): " << text(result, "detail") << "\n";
    } else {
        std::cout << text(result, "meter") << " stands at " << text(result, "register")
                  << ", read by eye at " << text(result, "at") << "\n";
    }
    print_balance(result);
    return kDone;
}

int confirm_face(const Options& options) {
    BodyBuilder body;
    body.object["register"] = options.face;
    body.field("by", options.by);
    const Answer answer = act(options, "meters", "confirm", body);
    if (!answer.ok()) return report(options, answer);
    if (options.json) return print_document(answer);
    const json::object result = document(answer);
    std::cout << "the face of " << text(result, "meter") << " agrees with "
              << text(result, "profile") << "; it charges from now on\n";
    return kDone;
}

int replace(const Options& options) {
    BodyBuilder body;
    body.object["old_final"] = options.old_final;
    body.object["new_opening"] = options.new_opening;
    body.field("at", options.at).field("new_serial", options.new_serial);
    body.field("new_address", options.new_address);
    body.field("by", options.by).field("second", options.second);
    const Answer answer = act(options, "meters", "replacement", body);
    if (!answer.ok()) return report(options, answer);
    if (options.json) return print_document(answer);
    const json::object result = document(answer);
    std::cout << text(result, "meter") << " goes on at " << text(result, "total") << " with meter "
              << text(result, "new_serial") << ", opening " << text(result, "new_opening") << "\n";
    print_balance(result);
    return kDone;
}

int hold(const Options& options) {
    return hold_or_not(options, "hold");
}

int unhold(const Options& options) {
    return hold_or_not(options, "unhold");
}

}  // namespace gatehouse::ctl
