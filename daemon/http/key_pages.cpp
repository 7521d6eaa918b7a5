// The office's sheets of keys and tickets on paper: 钥匙保管清单, 钥匙领用登记表, 收楼移交清单,
// 回访记录表 and 交接班. They show what the documents of the same routes hold.
#include "daemon/http/key_pages.hpp"

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

#include "daemon/engine/key_codec.hpp"
#include "daemon/http/page.hpp"
#include "daemon/http/params.hpp"

namespace gatehouse::http {

namespace json = boost::json;

namespace {

std::string text_of(const json::object& object, const char* name) {
    const json::value* value = object.if_contains(name);
    if (value == nullptr || value->is_null()) return "";
    return value->is_string() ? std::string(value->get_string()) : json::serialize(*value);
}

// What a sheet says of a time is a minute.
std::string minute_of(const json::object& object, const char* name) {
    std::string text = text_of(object, name).substr(0, 16);
    if (text.size() == 16) text[10] = ' ';
    return text;
}

const Key* key_row(const Call& call, const std::string& id) {
    for (const Key& key : call.snapshot->registry->keys)
        if (key.key == id) return &key;
    return nullptr;
}

std::string place_of(const Call& call, const Ticket& ticket) {
    if (ticket.unit.empty()) return ticket.place;
    for (const Unit& unit : call.snapshot->registry->units)
        if (unit.unit == ticket.unit && !unit.label.empty()) return unit.label;
    return ticket.unit;
}

Words state_word(KeyPlace place) {
    switch (place) {
        case KeyPlace::in:
            return {"in", "在位"};
        case KeyPlace::out:
            return {"out", "领出"};
        case KeyPlace::given:
            return {"given to the owner", "已交业主"};
        case KeyPlace::lost:
            return {"lost", "遗失"};
        case KeyPlace::unknown:
            break;
    }
    return {"not known", "待核"};
}

Words class_word(KeyClass key_class) {
    switch (key_class) {
        case KeyClass::entrusted:
            return {"entrusted", "业主托管"};
        case KeyClass::vacant:
            return {"vacant flat", "空置房"};
        case KeyClass::public_:
            return {"public area", "公共区域"};
        case KeyClass::equipment:
            return {"equipment room", "设备房"};
        case KeyClass::rework:
            return {"rework", "返修"};
        case KeyClass::reserve_sealed:
            return {"reserve, sealed", "备用封存"};
        case KeyClass::master:
            return {"master", "万能钥匙"};
        case KeyClass::no_loan:
            break;
    }
    return {"not lent", "不外借"};
}

Words origin_word(const std::string& origin) {
    if (origin == "device") return {"cabinet", "钥匙柜"};
    if (origin == "derived") return {"worked out", "推断"};
    return {"by hand", "手工"};
}

Page page_of(const Call& call, const char* english, const char* chinese) {
    const bool zh = call.app.options.chinese;
    return Page(zh, call.app.options.site_name, zh ? chinese : english);
}

}  // namespace

std::string minute(const std::optional<UtcMs>& at, const Zone& zone) {
    if (!at) return "";
    std::string text = format_iso8601(*at, zone).substr(0, 16);
    text[10] = ' ';
    return text;
}

Response key_list_page(const Call& call, const KeyBoard& board) {
    Page page = page_of(call, "Keys kept", "钥匙保管清单");
    std::vector<std::vector<std::string>> rows;
    int pieces = 0;
    for (const KeyView& view : board.keys) {
        const Key* key = key_row(call, view.key);
        if (key == nullptr) continue;
        pieces += key->count.value_or(1);
        const std::string slot = view.slot ? "#" + std::to_string(*view.slot) : "";
        rows.push_back({key->key, page.word(class_word(key->class_)), key->label,
                        std::to_string(key->count.value_or(1)), view.cabinet + slot + key->place,
                        key->set, page.word(state_word(view.place)), ""});
    }
    page.table({{{"Key", "钥匙编号"}},
                {{"Class", "类别"}},
                {{"Label", "标签"}},
                {{"Pieces", "把数"}, true},
                {{"Where", "柜/挂位"}},
                {{"Set", "套号"}},
                {{"State", "状态"}},
                {{"Counted", "实有"}}},
               rows, {page.word({"Sum", "合计"}), "", "", std::to_string(pieces)});
    page.signatures({{"Counted by", "盘点人"}, {"Checked by", "复核人"}});
    return page.response();
}

// Which flat a key opens is no word for a sheet that lies on the desk.
Response key_register_page(const Call& call, const std::vector<json::object>& loans) {
    Page page = page_of(call, "Keys lent", "钥匙领用登记表");
    std::vector<std::vector<std::string>> rows;
    for (const json::object& loan : loans)
        rows.push_back(
            {text_of(loan, "no"), text_of(loan, "key"), text_of(loan, "person"),
             text_of(loan, "department"), text_of(loan, "ticket"), minute_of(loan, "owner_contact"),
             text_of(loan, "issued_by"), minute_of(loan, "out_at"), minute_of(loan, "due_at"),
             minute_of(loan, "in_at"), text_of(loan, "returned_by"),
             text_of(loan, "overdue") == "true" ? page.word({"late", "超时"}) : "", "",
             page.word(origin_word(text_of(loan, "origin"))), text_of(loan, "note"), "", ""});
    page.table({{{"No", "序号"}, true},
                {{"Key", "钥匙编号"}},
                {{"Taken by", "领用人"}},
                {{"Department", "部门/单位"}},
                {{"Ticket", "派工单号"}},
                {{"Owner spoken to", "业主联系情况"}},
                {{"Issued by", "发放人"}},
                {{"Out", "领用时间"}},
                {{"Due", "应还时间"}},
                {{"In", "归还时间"}},
                {{"Brought by", "归还人"}},
                {{"Late", "超时"}},
                {{"Condition", "钥匙完好"}},
                {{"Source", "记录来源"}},
                {{"Note", "备注"}},
                {{"Signed out", "领用人签字"}},
                {{"Signed in", "归还签字"}}},
               rows);
    return page.response();
}

Response handover_page(const Call& call, const std::string& unit,
                       const std::vector<RegisterRow>& handovers) {
    Page page = page_of(call, "Handed over with the flat", "收楼移交清单");
    std::string label = unit;
    for (const Unit& one : call.snapshot->registry->units)
        if (one.unit == unit && !one.label.empty()) label = one.label;
    for (const RegisterRow& handover : handovers) {
        const json::object row = json::parse(handover.body).as_object();
        const bool in = text_of(row, "direction") == "in";
        page.heading(
            std::string(page.word(in ? Words{"Move-in", "办理入住"} : Words{"Move-out", "退房"})) +
            " " + minute(handover.at, call.app.zone));
        page.facts({{{"Flat", "房号"}, label},
                    {{"Receiver", "接收人"}, text_of(row, "receiver")},
                    {{"Witness", "见证人"}, text_of(row, "witness")},
                    {{"Note", "备注"}, text_of(row, "note")}});
        std::vector<std::vector<std::string>> rows;
        for (const json::value& one : row.at("readings").as_array()) {
            const json::object& reading = one.as_object();
            const bool agrees = text_of(reading, "electronic") == "agrees";
            rows.push_back({text_of(reading, "meter"), text_of(reading, "register"),
                            agrees ? "" : page.word({"to be reconciled", "待电子核对"})});
        }
        if (!rows.empty())
            page.table({{{"Meter", "表号"}}, {{"Register", "表底数"}, true}, {{"", ""}}}, rows);
        rows.clear();
        for (const char* list : {"keys", "checklist"})
            for (const auto& [name, value] : row.at(list).as_object())
                rows.push_back({std::string(name), std::string(value.as_string())});
        if (!rows.empty()) page.table({{{"What", "项目"}}, {{"How many", "数量/结果"}}}, rows);
        page.signatures({{"Handed over by", "移交人"}, {"Received by", "接收人"}});
    }
    return page.response();
}

// Who received what in a year: the catalogue of the documents that the office issued.
Response documents_page(const Call& call, const std::vector<RegisterRow>& documents) {
    Page page = page_of(call, "Documents issued", "文件发放登记表");
    std::vector<std::vector<std::string>> rows;
    for (const RegisterRow& document : documents) {
        const json::object row = json::parse(document.body).as_object();
        const std::string at = text_of(row, "at");
        rows.push_back(
            {std::to_string(rows.size() + 1),
             at.empty() ? minute(document.at, call.app.zone).substr(0, 10) : at.substr(0, 10),
             text_of(row, "name"), text_of(row, "no"), text_of(row, "copies"),
             text_of(row, "receiver"), document.unit, "",
             text_of(row, "recall") == "true" ? page.word({"yes", "是"}) : "",
             text_of(row, "place"), text_of(row, "by")});
    }
    page.table({{{"No", "序号"}, true},
                {{"Date", "发放日期"}},
                {{"Document", "文件名称"}},
                {{"Number", "文件编号"}},
                {{"Copies", "份数"}, true},
                {{"Receiver", "接收人"}},
                {{"Flat", "房号"}},
                {{"Signed", "签收"}},
                {{"To be given back", "是否回收"}},
                {{"Kept at", "存放位置"}},
                {{"Issued by", "发放人"}}},
               rows);
    page.signatures({{"Made by", "制表人"}, {"Checked by", "审核人"}});
    return page.response();
}

// 回访记录表 of a month, and what is due and not made.
Response get_visits(Call& call) {
    Query(call.request).finish();
    const auto month = parse_month(call.params[0]);
    if (!month) throw Refused{problem(404, "not-found", "`" + call.params[0] + "` is no month.")};
    const UtcMs from = call.app.zone.midnight(*month);
    const UtcMs to = call.app.zone.midnight(next_month(*month));
    const auto reader = call.app.readers.take();
    KeyBooks books = reader->key_books();
    std::map<std::string, TicketMoveRow> visits;
    for (TicketMoveRow& move : books.moves_between(from, to))
        if (move.to == "visited") visits.insert_or_assign(move.ticket, std::move(move));
    JsonWriter json;
    json.begin_object().field("month", call.params[0]).key("items").begin_array();
    std::vector<std::vector<std::string>> rows;
    for (const auto& [number, move] : visits) {
        const auto row = books.ticket(number);
        if (!row) continue;
        const Ticket ticket = ticket_of(*row);
        json.begin_object()
            .field("at", format_iso8601(move.at, call.app.zone))
            .field("ticket", number)
            .field("unit", ticket.unit)
            .field_if("place", ticket.place)
            .field("rating", ticket.rating)
            .field("visitor", move.by)
            .field_if("note", move.note)
            .end_object();
        rows.push_back({minute(move.at, call.app.zone), number, place_of(call, ticket),
                        ticket.rating, move.by, move.note});
    }
    json.end_array().key("due").begin_array();
    KeyBooks::TicketFilter filter;
    filter.state = "visit_due";
    for (const TicketRow& row : books.tickets(filter, kLimitMax)) {
        const Ticket ticket = ticket_of(row);
        json.begin_object().field("ticket", row.number).field("unit", row.unit);
        if (ticket.visit_by)
            json.field("visit_by", format_iso8601(*ticket.visit_by, call.app.zone));
        json.end_object();
    }
    json.end_array().end_object();
    if (!call.request.wants_html) return json_response(json.take());
    Page page = page_of(call, "Return visits", "回访记录表");
    page.table({{{"Date", "回访时间"}},
                {{"Ticket", "派工单号"}},
                {{"Where", "房号"}},
                {{"Rating", "满意度"}},
                {{"Visitor", "回访人"}},
                {{"Remark", "备注"}}},
               rows);
    return page.response();
}

// 交接班: what the next shift takes over, as it is now.
Response get_shift(Call& call) {
    Query(call.request).finish();
    const Snapshot& now = *call.snapshot;
    const auto reader = call.app.readers.take();
    KeyBooks books = reader->key_books();
    KeyBooks::TicketFilter filter;
    filter.state = "open";
    const auto tickets = books.tickets(filter, kLimitMax);
    std::vector<std::vector<std::string>> keys, open;
    JsonWriter json;
    json.begin_object().field("at", format_iso8601(now.now_ms, call.app.zone)).key("keys_out");
    json.begin_array();
    if (now.keys)
        for (const KeyView& view : now.keys->keys) {
            if (!view.loan) continue;
            json.begin_object().field("key", view.key).field("person", view.loan->holder);
            json.field("out_at", format_iso8601(view.loan->out_at, call.app.zone)).end_object();
            keys.push_back({view.key, view.loan->holder, minute(view.loan->out_at, call.app.zone),
                            minute(view.due_at, call.app.zone)});
        }
    json.end_array().key("tickets").begin_array();
    for (const TicketRow& row : tickets) {
        const Ticket ticket = ticket_of(row);
        json.begin_object().field("ticket", row.number).field("state", row.state).end_object();
        open.push_back({row.number, row.state, place_of(call, ticket), ticket.text,
                        minute(ticket.done_by, call.app.zone)});
    }
    json.end_array().field("alerts", now.open_alerts.size()).end_object();
    if (!call.request.wants_html) return json_response(json.take());
    Page page = page_of(call, "Shift hand-over", "交接班");
    page.facts({{{"Now", "时间"}, minute(now.now_ms, call.app.zone)},
                {{"Open alerts", "待处理提醒"}, std::to_string(now.open_alerts.size())}});
    page.heading(page.word({"Keys that are out", "未还钥匙"}));
    page.table({{{"Key", "钥匙编号"}},
                {{"With", "领用人"}},
                {{"Since", "领用时间"}},
                {{"Due", "应还时间"}}},
               keys);
    page.heading(page.word({"Open tickets", "未完工单"}));
    page.table({{{"Ticket", "派工单号"}},
                {{"State", "状态"}},
                {{"Where", "房号/部位"}},
                {{"What", "内容"}},
                {{"Due", "时限"}}},
               open);
    page.signatures({{"Hands over", "交班人"}, {"Takes over", "接班人"}});
    return page.response();
}

}  // namespace gatehouse::http
