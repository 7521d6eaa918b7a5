// Verbs about money: balances, top-ups, and why a balance is what it is.
#include <boost/json/array.hpp>
#include <iostream>

#include "daemon/ctl/output.hpp"
#include "daemon/ctl/table.hpp"
#include "daemon/ctl/verbs.hpp"

namespace gatehouse::ctl {

namespace json = boost::json;

namespace {

// "season 5-10, tier 2", "band peak", or "minimum of the month".
std::string place_of(const json::object& line) {
    const std::string season = text(line, "season"), band = text(line, "band"),
                      tier = text(line, "tier");
    if (band == "minimum") return "minimum of the month";
    if (!band.empty()) return "band " + band;
    return (season.empty() ? "" : "season " + season + ", ") + "tier " + tier;
}

void print_why_line(const json::object& line) {
    const std::string id = text(line, "line");
    std::cout << text(line, "month") << "  " << (id.empty() ? "" : "line " + id + "  ")
              << text(line, "service") << "  " << text(line, "tariff") << " of "
              << text(line, "version") << ", " << place_of(line) << ": " << text(line, "quantity")
              << " x " << text(line, "price") << " = " << text(line, "target") << ", posted "
              << text(line, "posted") << "\n";
    TextTable table;
    table.column("   READING", TextTable::Align::right);
    table.column("METER");
    table.column("REGISTER", TextTable::Align::right);
    table.column("x");
    table.column("WORDS");
    table.column("AT");
    table.column("QUALITY");
    for (const json::value& item : list(line, "readings")) {
        const json::object& reading = item.get_object();
        const std::string wrong = text(reading, "supersedes");
        table.row({text(reading, "seq"), text(reading, "meter"), text(reading, "register"),
                   text(reading, "multiplier"), text(reading, "raw"), text(reading, "at"),
                   text(reading, "quality") + (wrong.empty() ? "" : ", in place of " + wrong)});
    }
    if (!table.empty()) std::cout << table.text();
    for (const json::value& item : list(line, "parts"))
        for (const json::value& edge : list(item.get_object(), "edges"))
            std::cout << "   between " << text(item.get_object(), "from") << " and "
                      << text(item.get_object(), "to") << ": total "
                      << text(edge.get_object(), "total") << " at " << text(edge.get_object(), "at")
                      << " (" << text(edge.get_object(), "quality") << ")\n";
}

}  // namespace

int accounts(const Options& options) {
    const Listing listing = all_items(options, "/api/v1/accounts", options.low ? "&low=1" : "");
    if (listing.failed.status != 0) return report(options, listing.failed);
    if (options.json) return print_items(listing);
    TextTable table;
    table.column("ACCOUNT");
    table.column("UNIT");
    table.column("SERVICE");
    table.column("BALANCE", TextTable::Align::right);
    table.column("DAYS", TextTable::Align::right);
    table.column("LEVEL", TextTable::Align::right);
    table.column("QUALITY");
    table.column("AS OF");
    for (const json::value& item : listing.items) {
        const json::object& account = item.get_object();
        const std::string label = text(account, "unit_label");
        const std::string days = text(account, "days_left");
        table.row({text(account, "account"), label.empty() ? text(account, "unit") : label,
                   text(account, "service"), text(account, "balance"), days.empty() ? "-" : days,
                   text(account, "level"), text(account, "quality"), text(account, "as_of")});
    }
    std::cout << (table.empty() ? (options.low ? "no account is low\n" : "no accounts\n")
                                : table.text());
    return kDone;
}

int topup(const Options& options) {
    BodyBuilder body;
    // The amount goes as it was typed, an empty one too: the daemon says what is wrong with it.
    body.object["amount"] = options.amount;
    body.field("method", options.method).field("by", options.by);
    body.field("reference", options.reference).field("receipt", options.receipt);
    body.field("payer", options.payer).field("note", options.note);
    body.field("received_at", options.received_at);
    const Answer answer =
        call(options.socket_path, "POST", "/api/v1/accounts/" + encode(options.subject) + "/topups",
             body.take(), {{"Idempotency-Key", options.key}});
    if (!answer.ok()) return report(options, answer);
    if (options.json) return print_document(answer);
    const json::object receipt = document(answer);
    std::cout << (answer.status == 201 ? "booked" : "was booked before under this key")
              << ": receipt " << text(receipt, "receipt") << ", entry " << text(receipt, "entry")
              << ", balance " << text(receipt, "balance") << "\n";
    return kDone;
}

int why(const Options& options) {
    std::string target = "/api/v1/accounts/" + encode(options.subject) + "/why";
    if (!options.month.empty()) target += "?month=" + encode(options.month);
    const Answer answer = call(options.socket_path, "GET", target);
    if (!answer.ok()) return report(options, answer);
    if (options.json) return print_document(answer);
    const json::object why = document(answer);
    const std::string label = text(why, "unit_label");
    std::cout << "account " << text(why, "account") << (label.empty() ? "" : ", " + label)
              << "\n\n";
    for (const json::value& line : list(why, "lines")) print_why_line(line.get_object());
    TextTable table;
    table.column("SEQ", TextTable::Align::right);
    table.column("KIND");
    table.column("AMOUNT", TextTable::Align::right);
    table.column("AFTER", TextTable::Align::right);
    for (const char* heading : {"CAUSE", "LINE", "RECEIPT", "BY", "AT", "REASON"})
        table.column(heading);
    for (const json::value& item : list(why, "entries")) {
        const json::object& entry = item.get_object();
        table.row({text(entry, "seq"), text(entry, "kind"), text(entry, "amount"),
                   text(entry, "balance_after"), text(entry, "cause"), text(entry, "line"),
                   text(entry, "receipt"), text(entry, "by"), text(entry, "at"),
                   text(entry, "reason")});
    }
    if (!table.empty()) std::cout << "\n" << table.text();
    std::cout << "\nledger " << text(why, "ledger") << ", not posted yet " << text(why, "unposted")
              << ", balance " << text(why, "balance") << " " << text(why, "currency") << "\n";
    return kDone;
}

}  // namespace gatehouse::ctl
