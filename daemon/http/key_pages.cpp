// The office's sheets of keys and papers: 钥匙保管清单, 钥匙领用登记表, 收楼移交清单,
// 文件发放登记表. They show what the documents of the same routes hold.
#include "daemon/http/key_pages.hpp"

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

#include "daemon/engine/key_codec.hpp"
#include "daemon/http/page.hpp"
#include "daemon/http/params.hpp"
#include "daemon/http/table.hpp"

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

Page page_of(const Call& call, const char* english, const char* chinese, Paper paper = Paper::a4) {
    const bool zh = call.app.options.chinese;
    return Page(zh, call.app.options.site_name, zh ? chinese : english, paper);
}

std::string say(const Page& page, CellWords words, const std::string& word) {
    return page.chinese() ? chinese_word(words, word) : word;
}

std::string seal_words(const Page& page, const std::optional<KeySeal>& seal) {
    if (!seal) return "";
    return seal->number + (seal->broken ? page.word({" (opened)", "（已启封）"}) : "");
}

std::string label_of(const Call& call, const std::string& unit) {
    for (const Unit& one : call.snapshot->registry->units)
        if (one.unit == unit && !one.label.empty()) return one.label;
    return unit;
}

}  // namespace

AskedSpan asked_span(Call& call) {
    Query query(call.request);
    AskedSpan span;
    span.from = query.time("from", call.app.zone);
    span.to = query.through("to", call.app.zone);
    const auto said = [&](const char* name) { return query.text(name).value_or(""); };
    if (span.from && span.to && *span.from >= *span.to)
        throw Refused{problem(400, "query",
                              "from=" + said("from") + " lies behind to=" + said("to") +
                                  "; name an earlier from or a later to.")};
    query.finish();
    return span;
}

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
        rows.push_back({key->key, say(page, kKeyClassWords, to_string(key->class_)), key->label,
                        std::to_string(key->count.value_or(1)), view.cabinet + slot + key->place,
                        key->set, say(page, kKeyPlaceWords, to_string(view.place)),
                        seal_words(page, view.seal), ""});
    }
    page.table({{{"Key", "钥匙编号"}},
                {{"Class", "类别"}},
                {{"Label", "标签"}},
                {{"Pieces", "把数"}, true},
                {{"Where", "柜/挂位"}},
                {{"Set", "套号"}},
                {{"State", "状态"}},
                {{"Seal", "封条"}},
                {{"Counted", "实有"}}},
               rows, {page.word({"Sum", "合计"}), "", "", std::to_string(pieces)});
    page.signatures({{"Counted by", "盘点人"}, {"Checked by", "复核人"}});
    return page.response();
}

// Its caller has the right to read keys, and what they open stands in the registry that he reads.
Response key_register_page(const Call& call, const std::vector<json::object>& loans) {
    Page page = page_of(call, "Keys lent", "钥匙领用登记表", Paper::a4_landscape);
    std::vector<std::vector<std::string>> rows;
    for (const json::object& loan : loans)
        rows.push_back({text_of(loan, "no"),
                        text_of(loan, "key"),
                        text_of(loan, "opens"),
                        text_of(loan, "count"),
                        text_of(loan, "person"),
                        text_of(loan, "department"),
                        text_of(loan, "reason"),
                        text_of(loan, "ticket"),
                        minute_of(loan, "owner_contact"),
                        text_of(loan, "issued_by"),
                        minute_of(loan, "out_at"),
                        minute_of(loan, "due_at"),
                        minute_of(loan, "in_at"),
                        text_of(loan, "returned_by"),
                        text_of(loan, "received_by"),
                        text_of(loan, "overdue") == "true" ? page.word({"late", "超时"}) : "",
                        "",
                        say(page, kOriginWords, text_of(loan, "origin")),
                        text_of(loan, "note"),
                        "",
                        ""});
    page.table({{{"No", "序号"}, true},
                {{"Key", "钥匙编号"}},
                {{"Opens", "房号/部位"}},
                {{"Pieces", "把数"}, true},
                {{"Taken by", "领用人"}},
                {{"Department", "部门/单位"}},
                {{"What for", "领用事由"}},
                {{"Ticket", "派工单号"}},
                {{"Owner spoken to", "业主联系情况"}},
                {{"Issued by", "批准/发放人"}},
                {{"Out", "领用时间"}},
                {{"Due", "应还时间"}},
                {{"In", "归还时间"}},
                {{"Brought by", "归还人"}},
                {{"Received by", "接收人"}},
                {{"Late", "超时"}},
                {{"Condition", "钥匙完好"}},
                {{"Source", "记录来源"}},
                {{"Note", "备注"}},
                {{"Signed out", "领用人签字"}, false, true},
                {{"Signed in", "归还签字"}, false, true}},
               rows);
    return page.response();
}

namespace {

// What became of a register that two people read: confirmed, held, or apart from the books; empty:
// it is a word of the sheet.
std::string booked_as(const json::object& row, const std::string& meter) {
    const json::value* booked = row.if_contains("base_readings");
    if (booked == nullptr || !booked->is_array()) return "";
    for (const json::value& one : booked->get_array())
        if (one.is_object() && text_of(one.get_object(), "meter") == meter)
            return text_of(one.get_object(), "state");
    return "";
}

Words said_of_register(const std::string& electronic, const std::string& booked) {
    if (booked == "apart")
        return {"contradicts the books, not booked, to be reconciled",
                "与账面不符，未入账，待核对"};
    if (!booked.empty() && booked != "confirmed")
        return {"contradicts the books, held until staff decide", "与账面不符，待核实"};
    if (electronic == "agrees") return {"", ""};
    if (electronic == "by_eye" || !booked.empty()) return {"read by eye", "人工抄表"};
    if (electronic == "not_read") return {"not read, to be reconciled", "未抄，待核对"};
    if (electronic == "apart")
        return {"differs from the electronics, to be reconciled", "与电子读数不一致，待核对"};
    return {"the electronics are silent, to be reconciled", "无电子读数，待核对"};
}

}  // namespace

namespace {

// Who stands in people.csv or staff.csv under that id; else the words as they were written.
std::string name_on_paper(const Call& call, const std::string& who) {
    const Registry& registry = *call.snapshot->registry;
    for (const Person& person : registry.people)
        if (person.person == who && !person.name.empty()) return person.name;
    for (const Staff& staff : registry.staff)
        if (staff.staff == who && !staff.name.empty()) return staff.name;
    return who;
}

}  // namespace

// Its caller may open the household's file.
Response handover_page(const Call& call, const std::string& unit,
                       const std::vector<RegisterRow>& handovers) {
    Page page = page_of(call, "Handed over with the flat", "收楼移交清单");
    const std::string label = label_of(call, unit);
    for (const RegisterRow& handover : handovers) {
        const json::object row = json::parse(handover.body).as_object();
        const bool in = text_of(row, "direction") == "in";
        page.heading(
            std::string(page.word(in ? Words{"Move-in", "办理入住"} : Words{"Move-out", "退房"})) +
            " " + minute(handover.at, call.app.zone));
        page.facts({{{"Flat", "房号"}, label},
                    {{"Receiver", "接收人"}, name_on_paper(call, text_of(row, "receiver"))},
                    {{"Handed over by", "移交人"}, name_on_paper(call, text_of(row, "by"))},
                    {{"Second person", "复核人"}, name_on_paper(call, text_of(row, "second"))},
                    {{"Witness", "见证人"}, name_on_paper(call, text_of(row, "witness"))},
                    {{"Note", "备注"}, text_of(row, "note")}});
        std::vector<std::vector<std::string>> rows;
        for (const json::value& one : row.at("readings").as_array()) {
            const json::object& reading = one.as_object();
            const std::string says = text_of(reading, "electronic");
            const std::string meter = text_of(reading, "meter");
            rows.push_back({meter, text_of(reading, "register"),
                            page.word(said_of_register(text_of(reading, "electronic"),
                                                       booked_as(row, meter)))});
        }
        if (!rows.empty())
            page.table({{{"Meter", "表号"}}, {{"Register", "表底数"}, true}, {{"", ""}}}, rows);
        rows.clear();
        for (const char* list : {"keys", "checklist"})
            for (const auto& [name, value] : row.at(list).as_object())
                rows.push_back({std::string(name), std::string(value.as_string())});
        if (!rows.empty()) page.table({{{"What", "项目"}}, {{"How many", "数量/结果"}}}, rows);
        if (const json::value* tickets = row.if_contains("tickets")) {
            std::string numbers;
            for (const json::value& one : tickets->as_array())
                numbers += (numbers.empty() ? "" : ", ") + std::string(one.as_string());
            page.facts({{{"Tickets", "派工单号"}, numbers}});
        }
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
             text_of(row, "receiver"), label_of(call, document.unit), "",
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
                {{"Signed", "签收"}, false, true},
                {{"To be given back", "是否回收"}},
                {{"Kept at", "存放位置"}},
                {{"Issued by", "发放人"}}},
               rows);
    page.signatures({{"Made by", "制表人"}, {"Checked by", "审核人"}});
    return page.response();
}

}  // namespace gatehouse::http
