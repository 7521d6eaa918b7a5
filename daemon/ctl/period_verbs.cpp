// Verbs of months: which there are, what is open in one, and closing it.
#include <boost/json/array.hpp>
#include <iostream>

#include "daemon/ctl/output.hpp"
#include "daemon/ctl/table.hpp"
#include "daemon/ctl/verbs.hpp"

namespace gatehouse::ctl {

namespace json = boost::json;

namespace {

std::string period_path(const Options& options) {
    return "/api/v1/periods/" + encode(options.subject);
}

bool is_month(const std::string& text) {
    const auto digits = [&](std::size_t from, std::size_t count) {
        return text.find_first_not_of("0123456789", from) >= from + count;
    };
    if (text.size() != 7 || text[4] != '-' || !digits(0, 4) || !digits(5, 2)) return false;
    const std::string month = text.substr(5);
    return month >= "01" && month <= "12";
}

int no_month(const Options& options) {
    return fail(options, kBadInput, "input", options.subject + " is no month; write it as 2026-11");
}

void print_checklist(const json::object& checklist) {
    TextTable table;
    for (const char* heading : {"WHAT", "METER", "ACCOUNT", "UNIT", "WHAT TO DO"})
        table.column(heading);
    for (const json::value& item : list(checklist, "items")) {
        const json::object& check = item.get_object();
        table.row({text(check, "kind"), text(check, "meter"), text(check, "account"),
                   text(check, "unit_label"), text(check, "text")});
    }
    std::cout << (table.empty() ? "nothing is open\n" : table.text());
}

int print_period(const Options& options, const Answer& answer) {
    if (!answer.ok()) return report(options, answer);
    if (options.json) return print_document(answer);
    const json::object period = document(answer);
    std::cout << text(period, "month") << " is " << text(period, "state");
    if (const std::string at = text(period, "closed_at"); !at.empty())
        std::cout << " since " << at << ", by " << text(period, "closed_by");
    std::cout << "\n";
    for (const json::value& item : list(period, "files")) {
        const json::object& file = item.get_object();
        std::cout << "  " << text(file, "sha256") << "  " << text(file, "name") << " ("
                  << text(file, "bytes") << " bytes)\n";
    }
    const auto* checklist = period.if_contains("checklist");
    if (checklist != nullptr && checklist->is_object()) print_checklist(checklist->get_object());
    return kDone;
}

}  // namespace

int period_list(const Options& options) {
    const Listing listing = all_items(options, "/api/v1/periods");
    if (listing.failed.status != 0) return report(options, listing.failed);
    if (options.json) return print_items(listing);
    TextTable table;
    for (const char* heading : {"MONTH", "STATE", "CLOSED", "BY"}) table.column(heading);
    for (const json::value& item : listing.items) {
        const json::object& period = item.get_object();
        table.row({text(period, "month"), text(period, "state"), text(period, "closed_at"),
                   text(period, "closed_by")});
    }
    std::cout << (table.empty() ? "the books are empty\n" : table.text());
    return kDone;
}

int period_show(const Options& options) {
    if (!is_month(options.subject)) return no_month(options);
    return print_period(options, call(options.socket_path, "GET", period_path(options)));
}

int period_close(const Options& options) {
    if (!is_month(options.subject)) return no_month(options);
    BodyBuilder body;
    body.field("by", options.by);
    return print_period(options, call(options.socket_path, "POST", period_path(options) + "/close",
                                      body.take(), {}));
}

}  // namespace gatehouse::ctl
