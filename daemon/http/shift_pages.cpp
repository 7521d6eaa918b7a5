// 回访记录表 of a month, and 交接班, what the next shift takes over: as JSON, CSV, workbook and
// paper.
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <map>
#include <utility>

#include "daemon/engine/key_codec.hpp"
#include "daemon/engine/repair_summary.hpp"
#include "daemon/http/exports.hpp"
#include "daemon/http/household.hpp"
#include "daemon/http/item_rows.hpp"
#include "daemon/http/key_pages.hpp"
#include "daemon/http/page.hpp"
#include "daemon/http/params.hpp"

namespace gatehouse::http {

namespace json = boost::json;

namespace {

const std::pair<std::string_view, std::string_view> kParts[] = {
    {"key", "未还钥匙"}, {"ticket", "未完工单"}, {"alert", "待处理提醒"}};
const Column kVisitColumns[] = {
    {"no", "序号", Cell::count}, {"at", "回访时间", Cell::time},
    {"ticket", "派工单号"},      {"where", "房号/部位"},
    {"spoken_to", "被访人"},     {"rating", "满意度", Cell::word, kRatingWords},
    {"visitor", "回访人"},       {"note", "备注"},
};
const Column kShiftColumns[] = {
    {"part", "项目", Cell::word, kParts},
    {"id", "编号"},
    {"state", "状态", Cell::word, kTicketStateWords},
    {"person", "领用人"},
    {"where", "房号/部位"},
    {"since", "开始时间", Cell::time},
    {"due_at", "时限", Cell::time},
    {"text", "内容"},
};
const TableSpec kVisits{"visits", "回访记录表", kVisitColumns};
const TableSpec kShift{"shift", "交接班", kShiftColumns};

std::string text_of(const json::object& object, const char* name) {
    const json::value* value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

std::string minute_of(const json::object& object, const char* name) {
    std::string text = text_of(object, name).substr(0, 16);
    if (text.size() == 16) text[10] = ' ';
    return text;
}

std::string place_of(const Call& call, const Ticket& ticket) {
    if (ticket.unit.empty()) return ticket.place;
    for (const Unit& unit : call.snapshot->registry->units)
        if (unit.unit == ticket.unit && !unit.label.empty()) return unit.label;
    return ticket.unit;
}

std::string say(const Page& page, CellWords words, const std::string& word) {
    return page.chinese() ? chinese_word(words, word) : word;
}

Page page_of(const Call& call, const char* english, const char* chinese) {
    const bool zh = call.app.options.chinese;
    return Page(zh, call.app.options.site_name, zh ? chinese : english);
}

// What was said of that visit, and not of a later one.
TicketOutcome outcome_of(const Ticket& ticket, const std::vector<TicketMoveRow>& moves,
                         std::int64_t visit) {
    for (CountedOutcome& one : counted_outcomes(ticket, moves))
        if (one.move == visit) return std::move(one.outcome);
    return {};
}

// The sheet is of no household in particular: who was spoken to is whole for who reads all files,
// and that he did stands in the view log.
void show_people(Call& call, std::vector<json::object>& items) {
    const auto named = [](const json::object& item) { return item.contains("spoken_to"); };
    if (std::none_of(items.begin(), items.end(), named)) return;
    if (opens_file(call, "")) return ask_engine(call, NoteView{call.actor, "", "", "visits"});
    for (json::object& item : items)
        if (named(item)) item["spoken_to"] = masked_name(text_of(item, "spoken_to"));
}

// One row a visit of the month, as its count in the month of repairs has it.
std::vector<json::object> visits_of(Call& call, KeyBooks& books) {
    const auto month = parse_month(call.params[0]);
    if (!month) throw Refused{problem(404, "not-found", "`" + call.params[0] + "` is no month.")};
    const UtcMs from = call.app.zone.midnight(*month);
    const UtcMs to = call.app.zone.midnight(next_month(*month));
    std::vector<json::object> items;
    for (const TicketMoveRow& move : books.moves_between(from, to)) {
        if (!is_visit(move)) continue;
        const auto row = books.ticket(move.ticket);
        if (!row) continue;
        const Ticket ticket = ticket_of(*row);
        const TicketOutcome outcome = outcome_of(ticket, books.moves(move.ticket), move.id);
        json::object item{{"no", items.size() + 1},
                          {"at", format_iso8601(move.at, call.app.zone)},
                          {"ticket", move.ticket},
                          {"unit", ticket.unit},
                          {"where", place_of(call, ticket)},
                          {"rating", outcome.rating},
                          {"visitor", move.by}};
        if (!ticket.place.empty()) item["place"] = ticket.place;
        if (!outcome.spoken_to.empty()) item["spoken_to"] = outcome.spoken_to;
        if (!move.note.empty()) item["note"] = move.note;
        items.push_back(std::move(item));
    }
    show_people(call, items);
    return items;
}

json::array visits_due(const Call& call, KeyBooks& books) {
    json::array due;
    KeyBooks::TicketFilter filter;
    filter.state = "visit_due";
    for (const TicketRow& row : books.tickets(filter, kLimitMax)) {
        const Ticket ticket = ticket_of(row);
        json::object item{{"ticket", row.number}, {"unit", row.unit}};
        if (ticket.visit_by) item["visit_by"] = format_iso8601(*ticket.visit_by, call.app.zone);
        due.push_back(std::move(item));
    }
    return due;
}

// Without tickets:read or alerts:read those parts are missing and not empty: nobody is to believe
// that there are none.
struct Shift {
    bool with_tickets = false, with_alerts = false;
    std::vector<json::object> keys, tickets, alerts;
};

void add_keys(Shift& shift, const Call& call) {
    const Snapshot& now = *call.snapshot;
    const Zone& zone = call.app.zone;
    if (now.keys)
        for (const KeyView& view : now.keys->keys) {
            if (!view.loan) continue;
            json::object item{{"part", "key"},
                              {"id", view.key},
                              {"key", view.key},
                              {"person", view.loan->holder},
                              {"since", format_iso8601(view.loan->out_at, zone)},
                              {"out_at", format_iso8601(view.loan->out_at, zone)}};
            if (view.due_at) item["due_at"] = format_iso8601(*view.due_at, zone);
            shift.keys.push_back(std::move(item));
        }
}

void add_tickets(Shift& shift, const Call& call, KeyBooks& books) {
    const Zone& zone = call.app.zone;
    KeyBooks::TicketFilter filter;
    filter.state = "open";
    for (const TicketRow& row : books.tickets(filter, kLimitMax)) {
        const Ticket ticket = ticket_of(row);
        json::object item{{"part", "ticket"},
                          {"id", row.number},
                          {"ticket", row.number},
                          {"state", row.state},
                          {"where", place_of(call, ticket)},
                          {"since", format_iso8601(ticket.reported_at, zone)},
                          {"text", ticket.text}};
        if (ticket.done_by) item["due_at"] = format_iso8601(*ticket.done_by, zone);
        shift.tickets.push_back(std::move(item));
    }
}

// Alerts say what they are about in their own sentence.
void add_alerts(Shift& shift, const Call& call) {
    const Zone& zone = call.app.zone;
    for (const auto& alert : call.snapshot->open_alerts) {
        boost::system::error_code error;
        const json::value payload = json::parse(alert->payload, error);
        std::string sentence;
        if (!error && payload.is_object()) sentence = text_of(payload.get_object(), "text");
        shift.alerts.push_back({{"part", "alert"},
                                {"id", alert->id},
                                {"kind", alert->kind},
                                {"where", alert->unit_label},
                                {"since", format_iso8601(alert->opened_at, zone)},
                                {"text", sentence.empty() ? alert->kind : sentence}});
    }
}

// What is not settled now, as far as the caller may read it.
Shift shift_of(const Call& call, KeyBooks& books) {
    Shift shift;
    shift.with_tickets = has_scope(call, "tickets:read");
    shift.with_alerts = has_scope(call, "alerts:read");
    add_keys(shift, call);
    if (shift.with_tickets) add_tickets(shift, call, books);
    if (shift.with_alerts) add_alerts(shift, call);
    return shift;
}

json::array only(const std::vector<json::object>& items, std::initializer_list<const char*> names) {
    json::array list;
    for (const json::object& item : items) {
        json::object one;
        for (const char* name : names)
            if (const json::value* value = item.if_contains(name)) one[name] = *value;
        list.push_back(std::move(one));
    }
    return list;
}

void show_tickets(Page& page, const Shift& shift) {
    std::vector<std::vector<std::string>> rows;
    for (const json::object& one : shift.tickets)
        rows.push_back({text_of(one, "ticket"), say(page, kTicketStateWords, text_of(one, "state")),
                        text_of(one, "where"), text_of(one, "text"), minute_of(one, "due_at")});
    page.heading(page.word({"Open tickets", "未完工单"}));
    page.table({{{"Ticket", "派工单号"}},
                {{"State", "状态"}},
                {{"Where", "房号/部位"}},
                {{"What", "内容"}},
                {{"Due", "时限"}}},
               rows);
}

void show_alerts(Page& page, const Shift& shift) {
    std::vector<std::vector<std::string>> rows;
    for (const json::object& one : shift.alerts)
        rows.push_back({minute_of(one, "since"), text_of(one, "text")});
    page.heading(page.word({"Open alerts", "待处理提醒"}));
    page.table({{{"Since", "发生时间"}}, {{"What", "内容"}}}, rows);
}

Response shift_page(const Call& call, const Shift& shift) {
    Page page = page_of(call, "Shift hand-over", "交接班");
    page.facts({{{"Now", "时间"}, minute(call.snapshot->now_ms, call.app.zone)}});
    std::vector<std::vector<std::string>> rows;
    for (const json::object& one : shift.keys)
        rows.push_back({text_of(one, "key"), text_of(one, "person"), minute_of(one, "since"),
                        minute_of(one, "due_at")});
    page.heading(page.word({"Keys that are out", "未还钥匙"}));
    page.table({{{"Key", "钥匙编号"}},
                {{"With", "领用人"}},
                {{"Since", "领用时间"}},
                {{"Due", "应还时间"}}},
               rows);
    if (shift.with_tickets) show_tickets(page, shift);
    if (shift.with_alerts) show_alerts(page, shift);
    page.signatures({{"Hands over", "交班人"}, {"Takes over", "接班人"}});
    return page.response();
}

// A table takes the language alone.
void only_lang(const Call& call) {
    Query query(call.request);
    static_cast<void>(query.text("lang"));
    query.finish();
}

}  // namespace

Response get_visits(Call& call) {
    Query(call.request).finish();
    const auto reader = call.app.readers.take();
    KeyBooks books = reader->key_books();
    const std::vector<json::object> items = visits_of(call, books);
    if (!call.request.wants_html) {
        const json::object document{{"month", call.params[0]},
                                    {"items", json::array(items.begin(), items.end())},
                                    {"due", visits_due(call, books)}};
        return json_response(json::serialize(document));
    }
    Page page = page_of(call, "Return visits", "回访记录表");
    std::vector<std::vector<std::string>> rows;
    for (const json::object& item : items)
        rows.push_back({std::to_string(rows.size() + 1), minute_of(item, "at"),
                        text_of(item, "ticket"), text_of(item, "where"), text_of(item, "spoken_to"),
                        say(page, kRatingWords, text_of(item, "rating")), text_of(item, "visitor"),
                        text_of(item, "note")});
    page.table({{{"No", "序号"}, true},
                {{"Date", "回访时间"}},
                {{"Ticket", "派工单号"}},
                {{"Where", "房号/部位"}},
                {{"Spoken to", "被访人"}},
                {{"Rating", "满意度"}},
                {{"Visitor", "回访人"}},
                {{"Remark", "备注"}}},
               rows);
    page.signatures({{"Made by", "制表人"}, {"Checked by", "审核人"}});
    return page.response();
}

Response table_visits(Call& call) {
    only_lang(call);
    const auto reader = call.app.readers.take();
    KeyBooks books = reader->key_books();
    return table_response(call, kVisits,
                          std::make_unique<ItemRows>(kVisits, visits_of(call, books)));
}

Response get_shift(Call& call) {
    Query(call.request).finish();
    const auto reader = call.app.readers.take();
    KeyBooks books = reader->key_books();
    const Shift shift = shift_of(call, books);
    if (call.request.wants_html) return shift_page(call, shift);
    json::object document{{"at", format_iso8601(call.snapshot->now_ms, call.app.zone)},
                          {"keys_out", only(shift.keys, {"key", "person", "out_at", "due_at"})}};
    if (shift.with_tickets)
        document["tickets"] = only(shift.tickets, {"ticket", "state", "where", "due_at"});
    if (shift.with_alerts) {
        document["alerts"] = shift.alerts.size();
        document["alert_items"] = only(shift.alerts, {"id", "kind", "text"});
    }
    return json_response(json::serialize(document));
}

Response table_shift(Call& call) {
    only_lang(call);
    const auto reader = call.app.readers.take();
    KeyBooks books = reader->key_books();
    Shift shift = shift_of(call, books);
    std::vector<json::object> items;
    for (auto* part : {&shift.keys, &shift.tickets, &shift.alerts})
        for (json::object& item : *part) items.push_back(std::move(item));
    return table_response(call, kShift, std::make_unique<ItemRows>(kShift, std::move(items)));
}

}  // namespace gatehouse::http
