// 钥匙领用登记表 as the office files it: as JSON, CSV, workbook and on paper.
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <optional>
#include <utility>

#include "daemon/engine/key_codec.hpp"
#include "daemon/engine/key_documents.hpp"
#include "daemon/http/act.hpp"
#include "daemon/http/exports.hpp"
#include "daemon/http/item_rows.hpp"
#include "daemon/http/key_pages.hpp"
#include "daemon/http/page.hpp"
#include "daemon/http/room.hpp"

namespace gatehouse::http {

namespace json = boost::json;

namespace {

constexpr std::size_t kLoansMax = 20'000;

// The columns of property-office.md 5.3. The state of a key as it comes back (`condition`) stands
// in no book, so its cells stay empty for whoever fills the paper.
const Column kKeyColumns[] = {
    {"no", "序号", Cell::count},
    {"key", "钥匙编号"},
    {"opens", "房号/部位"},
    {"count", "把数", Cell::count},
    {"taken_by", "领用人"},
    {"department_company", "部门/单位"},
    {"reason", "领用事由"},
    {"ticket", "派工单号"},
    {"owner_contact", "业主联系情况", Cell::time},
    {"issued_by", "批准/发放人"},
    {"out_at", "领用时间", Cell::time},
    {"due_at", "应还时间", Cell::time},
    {"in_at", "归还时间", Cell::time},
    {"returned_by", "归还人"},
    {"received_by", "接收人"},
    {"overdue", "超时", Cell::flag},
    {"condition", "钥匙完好"},
    {"origin", "记录来源", Cell::word, kOriginWords},
    {"note", "备注"},
};
const TableSpec kKeyRegister{"keys", "钥匙领用登记表", kKeyColumns};

std::string label_of(const Call& call, const std::string& unit) {
    for (const Unit& one : call.snapshot->registry->units)
        if (one.unit == unit) return one.label.empty() ? one.unit : one.label;
    return unit;
}

std::string joined(const std::vector<std::string>& list) {
    std::string text;
    for (const std::string& one : list) text += (text.empty() ? "" : ", ") + one;
    return text;
}

const Key* key_row(const Call& call, const std::string& id) {
    for (const Key& key : call.snapshot->registry->keys)
        if (key.key == id) return &key;
    return nullptr;
}

// What became of it on its way: whom it was handed to, and who else could have taken it.
std::string note_of(const KeyLoan& loan, const Zone& zone) {
    std::vector<std::string> notes;
    for (const KeyHandOver& hand : loan.handed)
        notes.push_back("→ " + hand.to + " " + minute(hand.at, zone));
    if (!loan.candidates.empty()) notes.push_back("? " + joined(loan.candidates));
    return joined(notes);
}

// One loan in the words of the register.
json::object loan_item(const Call& call, KeyBooks& books, const KeyLoanRow& row,
                       const KeyRules& rules) {
    const KeyLoan loan = loan_of(row);
    const auto links = books.links_of_loan(row.id);
    json::object item = json::parse(loan_json(loan, links, call.app.zone)).as_object();
    item["taken_by"] = loan.holder;
    item["ticket"] = links.empty() ? loan.ticket : links.front().ticket;
    std::optional<Ticket> ticket;
    const bool linked = !links.empty() &&
                        counts(parse_key_link_kind(links.front().kind).value_or(KeyLinkKind::weak));
    if (linked)
        if (const auto found = books.ticket(links.front().ticket)) ticket = ticket_of(*found);
    if (ticket && ticket->owner_contacted_at)
        item["owner_contact"] = format_iso8601(*ticket->owner_contacted_at, call.app.zone);
    if (const Key* key = key_row(call, loan.key)) {
        if (key->count) item["count"] = *key->count;
        json::array opens;
        for (const std::string& unit : key->opens) opens.emplace_back(unit);
        item["opens"] = std::move(opens);
        const UtcMs due = due_at(loan, *key, ticket ? &*ticket : nullptr, rules, call.app.zone);
        item["due_at"] = format_iso8601(due, call.app.zone);
        item["overdue"] = loan.in_at.value_or(call.snapshot->now_ms) > due;
    }
    for (const Staff& staff : call.snapshot->registry->staff)
        if (staff.staff == loan.holder) item["department"] = staff.department;
    for (const Person& person : call.snapshot->registry->people)
        if (person.person == loan.holder) item["department"] = person.company;
    if (const json::value* where = item.if_contains("department"))
        item["department_company"] = json::value(*where);
    if (const std::string note = note_of(loan, call.app.zone); !note.empty()) item["note"] = note;
    return item;
}

std::vector<json::object> loan_items(Call& call) {
    const auto [from, to] = asked_span(call);
    const auto reader = call.app.readers.take();
    KeyBooks books = reader->key_books();
    const auto board = board_of(call);
    std::vector<json::object> items;
    for (const KeyLoanRow& row :
         books.loans_between(from.value_or(INT64_MIN), to.value_or(INT64_MAX), kLoansMax + 1)) {
        if (items.size() == kLoansMax)
            throw Refused{
                problem(413, "too-many-rows",
                        "More than 20,000 loans began in that time; ask for a shorter one with "
                        "from= and to=, such as from=2026-11-01&to=2026-11-30.")};
        items.push_back(loan_item(call, books, row, board->rules));
        items.back()["no"] = items.size();
    }
    return items;
}

// With what people call the flats and places that a key opens, in one cell.
std::vector<json::object> labelled_items(Call& call) {
    std::vector<json::object> items = loan_items(call);
    for (json::object& item : items) {
        const json::value* opens = item.if_contains("opens");
        if (opens == nullptr) continue;
        std::vector<std::string> labels;
        for (const json::value& unit : opens->as_array())
            labels.push_back(label_of(call, std::string(unit.as_string())));
        item["opens"] = joined(labels);
    }
    return items;
}

}  // namespace

Response get_key_register(Call& call) {
    if (call.request.wants_html) return key_register_page(call, labelled_items(call));
    JsonWriter json;
    json.begin_object().key("items").begin_array();
    for (const json::object& item : loan_items(call)) json.raw(json::serialize(item));
    json.end_array().end_object();
    return json_response(json.take());
}

Response table_key_register(Call& call) {
    return table_response(call, kKeyRegister,
                          std::make_unique<ItemRows>(kKeyRegister, labelled_items(call)));
}

}  // namespace gatehouse::http
