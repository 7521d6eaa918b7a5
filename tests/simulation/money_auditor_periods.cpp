// Months that were closed: what their files say is what the auditor worked out, nothing is booked
// into them any more, and what comes late moves their lines by corrections alone.
#include <boost/json/parse.hpp>

#include "tests/simulation/money_auditor.hpp"

namespace gatehouse::money {
namespace {

namespace json = boost::json;

[[noreturn]] void disagree(const std::string& text) {
    throw Disagreement(text);
}

std::string text_in(const json::object& object, const char* name) {
    const json::value* value = object.if_contains(name);
    return value == nullptr || !value->is_string() ? "" : std::string(value->get_string());
}

std::int64_t fen_of_text(const std::string& amount) {
    return floor_of(ratio_of(amount) * Ratio{100, 1});
}

using Sums = std::map<std::string, std::int64_t>;

void compare_sums(const std::string& where, const Sums& own, const Sums& theirs) {
    Sums names = own;
    names.insert(theirs.begin(), theirs.end());
    for (const auto& [name, sum] : names) {
        const auto a = own.find(name), b = theirs.find(name);
        const std::int64_t mine = a == own.end() ? 0 : a->second;
        const std::int64_t read = b == theirs.end() ? 0 : b->second;
        if (mine != read)
            disagree(where + ", " + name + ": the sum is " + decimal_of(mine, 2) +
                     " by the auditor and " + decimal_of(read, 2) + " in the file");
    }
}

std::string month_after(const std::string& month) {
    const Civil first{std::stoi(month.substr(0, 4)), std::stoi(month.substr(5, 2)), 1};
    return month_text(day_number(first) + days_of_month(first.year, first.month));
}

}  // namespace

std::string Auditor::month_due(Books& books, std::int64_t today) const {
    if (!closed_.empty() && closed_.back().digests.empty()) return closed_.back().month;
    const std::string due =
        closed_.empty() ? books.oldest_month() : month_after(closed_.back().month);
    return !due.empty() && due < month_text(today) ? due : "";
}

void Auditor::closes(const std::string& month, std::int64_t last_entry) {
    if (!closed_.empty() && closed_.back().month == month) {
        if (closed_.back().last_entry != last_entry)
            disagree("month " + month + ": it ended with another entry before");
        return;
    }
    Closed closed{month, last_entry, {}, {}, {}};
    for (const auto& [id, account] : accounts_)
        for (const auto& [key, line] : account.books.lines)
            if (ledgered(account) && key.find("|" + month + "|") != std::string::npos &&
                line.target() != 0)
                closed.lines[id] += line.target();
    closed.booked = booked_[month];
    closed_.push_back(std::move(closed));
}

// The month in which an entry of that one has to stand: never one that is closed.
std::string Auditor::booking_month(const EntryOnDisk& entry, const std::string& month) const {
    std::string open = month;
    for (const Closed& closed : closed_)
        if (entry.seq > closed.last_entry) open = std::max(open, month_after(closed.month));
    return open;
}

bool Auditor::is_closed_for(const EntryOnDisk& entry) const {
    for (const Closed& closed : closed_)
        if (entry.seq > closed.last_entry && entry.scope <= closed.month) return true;
    return false;
}

void Auditor::check_files(const std::string& month,
                          const std::map<std::string, std::string>& texts) const {
    const Closed& closed = closed_.back();
    const auto items = [&](const char* name) {
        return json::parse(texts.at(name)).as_object().at("items").as_array();
    };
    Sums charges, ledger;
    for (const json::value& item : items("charges")) {
        const json::object& row = item.as_object();
        const std::string kind = text_in(row, "kind");
        if (kind == "line" || kind == "minimum")
            charges[text_in(row, "account")] += fen_of_text(text_in(row, "amount"));
    }
    const std::string household = "household:";
    Sums by_row;
    for (const json::value& item : items("ledger")) {
        const json::object& row = item.as_object();
        if (const std::string account = text_in(row, "account"); !account.empty())
            by_row[account] += fen_of_text(text_in(row, "amount"));
        for (const json::value& leg : item.as_object().at("legs").as_array()) {
            const std::string book = text_in(leg.as_object(), "account");
            if (book.rfind(household, 0) == 0)
                ledger[book.substr(household.size())] +=
                    fen_of_text(text_in(leg.as_object(), "amount"));
        }
    }
    compare_sums("month " + month + ", ledger by its rows", closed.booked, by_row);
    compare_sums("month " + month + ", charges", closed.lines, charges);
    compare_sums("month " + month + ", ledger", closed.booked, ledger);
}

void Auditor::sealed(const std::string& month, const std::map<std::string, std::string>& digests) {
    if (closed_.back().month != month) disagree("month " + month + " was not the one that closed");
    closed_.back().digests = digests;
    ++tally_.months;
}

void Auditor::compare_months(Books& books) const {
    for (const Closed& closed : closed_)
        if (!closed.digests.empty() && books.period_digests(closed.month) != closed.digests)
            disagree("month " + closed.month + ": its sealed files are others");
}

}  // namespace gatehouse::money
