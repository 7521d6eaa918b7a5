// Verbs of shared-area pools: which there are, the sheet of a month, its approval by two people.
#include <boost/json/array.hpp>
#include <iostream>

#include "daemon/ctl/output.hpp"
#include "daemon/ctl/table.hpp"
#include "daemon/ctl/verbs.hpp"

namespace gatehouse::ctl {

namespace json = boost::json;

namespace {

std::string pool_path(const Options& options, const std::string& what) {
    return "/api/v1/pools/" + encode(options.subject) + what;
}

}  // namespace

int pool_list(const Options& options) {
    const Listing listing = all_items(options, "/api/v1/pools");
    if (listing.failed.status != 0) return report(options, listing.failed);
    if (options.json) return print_items(listing);
    TextTable table;
    for (const char* heading : {"POOL", "SERVICE", "SHARE", "TARIFF", "MEMBERS", "LAST MONTH"})
        table.column(heading);
    for (const json::value& item : listing.items) {
        const json::object& pool = item.get_object();
        const json::array& months = list(pool, "months");
        std::string last = "none approved";
        if (!months.empty())
            last = text(months.back().get_object(), "month") + " " +
                   text(months.back().get_object(), "state");
        table.row({text(pool, "pool"), text(pool, "service"), text(pool, "share"),
                   text(pool, "tariff"), text(pool, "members"), last});
    }
    std::cout << (table.empty() ? "the registry has no pools\n" : table.text());
    return kDone;
}

int pool_show(const Options& options) {
    const std::string month = options.month.empty() ? "" : "?month=" + encode(options.month);
    const Answer answer = call(options.socket_path, "GET", pool_path(options, month));
    if (!answer.ok()) return report(options, answer);
    if (options.json) return print_document(answer);
    const json::object shown = document(answer);
    const json::object& sheet = shown.at("sheet").get_object();
    std::cout << text(sheet, "pool") << ", " << text(sheet, "month") << ": "
              << text(sheet, "quantity") << " " << text(sheet, "unit_of_measure") << " are "
              << text(sheet, "amount") << " " << text(sheet, "currency") << ", shared by "
              << text(sheet, "share") << "\n";
    const json::value& approval = shown.at("approval");
    if (approval.is_object()) {
        const json::object& one = approval.get_object();
        std::cout << text(one, "state") << " by " << text(one, "by") << " and "
                  << text(one, "second") << ", charged from " << text(one, "charge_from") << ": "
                  << text(one, "charged_amount") << " so far, " << text(one, "left_amount")
                  << " to nobody\n";
    } else {
        std::cout << "not approved: nobody is charged\n";
    }
    for (const json::value& problem : list(sheet, "problems"))
        std::cout << "! " << problem.get_string().c_str() << "\n";
    TextTable table;
    table.column("UNIT");
    table.column("WEIGHT", TextTable::Align::right);
    table.column("AMOUNT", TextTable::Align::right);
    table.column("ACCOUNT");
    for (const json::value& item : list(sheet, "members")) {
        const json::object& member = item.get_object();
        const std::string account = text(member, "account");
        table.row({text(member, "unit"), text(member, "weight"), text(member, "amount"),
                   account.empty() ? text(member, "not_charged") : account});
    }
    std::cout << table.text() << "sheet " << text(shown, "sha256") << "\n";
    return kDone;
}

int pool_approve(const Options& options) {
    BodyBuilder body;
    body.field("month", options.month).field("sheet", options.sheet).field("by", options.by);
    body.field("second", options.second).field("reason", options.reason);
    const Answer answer = call(options.socket_path, "POST", pool_path(options, "/approve"),
                               body.take(), {{"Idempotency-Key", options.key}});
    if (!answer.ok()) return report(options, answer);
    if (options.json) return print_document(answer);
    const json::object done = document(answer);
    std::cout << text(done, "month") << " of " << text(done, "pool")
              << " is approved: " << text(done, "charged_amount") << " " << text(done, "currency")
              << " of " << text(done, "amount") << " are charged from " << text(done, "charge_from")
              << ", " << text(done, "left_amount")
              << " are left to the site; until then `gatehousectl pool withdraw` takes it back\n";
    return kDone;
}

int pool_withdraw(const Options& options) {
    BodyBuilder body;
    body.field("month", options.month).field("by", options.by).field("reason", options.reason);
    const Answer answer =
        call(options.socket_path, "POST", pool_path(options, "/withdraw"), body.take(), {});
    if (!answer.ok()) return report(options, answer);
    if (options.json) return print_document(answer);
    const json::object done = document(answer);
    std::cout << text(done, "month") << " of " << text(done, "pool") << " is withdrawn; "
              << text(done, "charged_amount") << " " << text(done, "currency")
              << " were paid by who left meanwhile, and stay paid\n";
    return kDone;
}

}  // namespace gatehouse::ctl
