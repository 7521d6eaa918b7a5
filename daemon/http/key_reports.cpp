// The registers of keys and repairs as the office files them: 工程派单统计表, 钥匙领用登记表, as
// JSON, CSV, workbook and on paper; and the month of repairs frozen under its hash.
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <optional>
#include <utility>

#include "daemon/engine/key_codec.hpp"
#include "daemon/engine/key_documents.hpp"
#include "daemon/engine/repair_summary.hpp"
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

const std::pair<std::string_view, std::string_view> kUrgencies[] = {
    {"urgent", "急"}, {"normal", "一般"}, {"planned", "计划"}};
const std::pair<std::string_view, std::string_view> kStates[] = {
    {"reported", "待派工"},  {"dispatched", "已派工"}, {"accepted", "已接单"},
    {"working", "维修中"},   {"paused", "挂起"},       {"done", "完工"},
    {"visit_due", "待回访"}, {"visited", "已回访"},    {"closed", "已归档"},
    {"cancelled", "已取消"}};
const std::pair<std::string_view, std::string_view> kRatings[] = {
    {"A", "满意"}, {"B", "较满意"}, {"C", "不满意"}};
const std::pair<std::string_view, std::string_view> kOrigins[] = {
    {"device", "设备"}, {"derived", "推定"}, {"manual", "手工"}};

// The columns of property-office.md 5.3. Who reported it (`reporter`) and the state of a key as it
// comes back (`condition`) stand in no book, so their cells stay empty for whoever fills the paper.
const Column kRepairColumns[] = {
    {"no", "序号", Cell::count},
    {"ticket", "派工单号"},
    {"reported_at", "报修时间", Cell::time},
    {"channel", "报修方式"},
    {"reporter", "报修人"},
    {"unit_or_area", "房号/部位"},
    {"symptom", "报修内容"},
    {"category", "类别"},
    {"urgency", "紧急程度", Cell::word, kUrgencies},
    {"taken_by", "接单记录人"},
    {"dispatched_at", "派单时间", Cell::time},
    {"crew", "维修人"},
    {"on_site_at", "到场时间", Cell::time},
    {"done_at", "完工时间", Cell::time},
    {"duration", "用时（分）", Cell::count},
    {"on_time", "是否及时", Cell::flag},
    {"result", "处理结果"},
    {"material", "材料费", Cell::money, {}, true},
    {"labour", "人工费", Cell::money, {}, true},
    {"receipt", "收费单据"},
    {"keys", "领用钥匙"},
    {"visited_at", "回访时间", Cell::time},
    {"rating", "满意度", Cell::word, kRatings},
    {"reopened", "返修", Cell::count, {}, true},
    {"note", "备注"},
    {"state", "状态", Cell::word, kStates},
};
const TableSpec kRepairs{"repairs", "工程派单统计表", kRepairColumns};

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
    {"origin", "记录来源", Cell::word, kOrigins},
    {"note", "备注"},
};
const TableSpec kKeyRegister{"keys", "钥匙领用登记表", kKeyColumns};

LocalDate month_of(const Call& call) {
    const auto month = parse_month(call.params[0]);
    if (!month) throw Refused{problem(404, "not-found", "`" + call.params[0] + "` is no month.")};
    return *month;
}

std::string label_of(const Call& call, const std::string& unit) {
    for (const Unit& one : call.snapshot->registry->units)
        if (one.unit == unit) return one.label.empty() ? one.unit : one.label;
    return unit;
}

std::string label_of(const Call& call, const Ticket& ticket) {
    return ticket.unit.empty() ? ticket.place : label_of(call, ticket.unit);
}

std::string joined(const std::vector<std::string>& list) {
    std::string text;
    for (const std::string& one : list) text += (text.empty() ? "" : ", ") + one;
    return text;
}

// A ticket as a row of the list, its nested parts as texts beside them.
json::object repair_item(const Call& call, KeyBooks& books, const Ticket& ticket,
                         std::size_t number) {
    json::object item = json::parse(ticket_json(ticket, label_of(call, ticket),
                                                call.app.options.currency, nullptr, call.app.zone))
                            .as_object();
    item["no"] = number;
    item["ticket"] = ticket.number;
    item["unit_or_area"] = label_of(call, ticket);
    item["symptom"] = ticket.text;
    item["taken_by"] = ticket.by;
    item["crew_text"] = joined(ticket.crew);
    if (const json::value* at = item.if_contains("started_at"))
        item["on_site_at"] = json::value(*at);
    std::vector<std::string> keys;
    for (const KeyLinkRow& link : books.links_of_ticket(ticket.number))
        if (const auto loan = books.loan(link.loan)) keys.push_back(loan->key);
    item["key_text"] = item["keys"] = joined(keys);
    if (ticket.done_at) {
        item["on_time"] = !ticket.done_by || *ticket.done_at <= *ticket.done_by;
        // As in the foot of the sheet: from the report on, which is what the resident waited.
        item["duration"] = (*ticket.done_at - ticket.reported_at) / 60'000;
    }
    std::vector<std::string> notes;
    for (const std::string* note : {&ticket.pause_reason, &ticket.close_override})
        if (!note->empty()) notes.push_back(*note);
    if (!notes.empty()) item["note"] = joined(notes);
    return item;
}

std::string month_document(Call& call, KeyBooks& books, LocalDate month) {
    const RepairMonth repairs = read_repair_month(books, call.app.zone.midnight(month),
                                                  call.app.zone.midnight(next_month(month)));
    std::size_t number = 0;
    return repair_month_json(
        repairs, call.params[0], call.app.options.currency, [&](const Ticket& ticket) {
            return std::string(json::serialize(repair_item(call, books, ticket, ++number)));
        });
}

// A month that was filed is shown as it was filed; what people wrote beside it is read as it is
// now, since none of that was filed.
json::object as_filed(json::object now, const json::object& filed) {
    for (const char* name : {"dispatched_at", "started_at", "done_at", "cancelled_at", "visited_at",
                             "closed_at", "on_time", "rating", "receipt", "material", "labour"})
        now.erase(name);
    for (const auto& [name, value] : filed) now[name] = value;
    return now;
}

struct FiledMonth {
    UtcMs at = 0;
    std::string body, sha256;
    bool amended = false;
};
std::optional<FiledMonth> filed_month(const Call& call, KeyBooks& books, LocalDate month) {
    auto row = books.register_row(kRepairsFiled, call.params[0]);
    if (!row) return std::nullopt;
    FiledMonth filed{row->at, std::move(row->body), "", false};
    filed.sha256 = sha256_hex(filed.body);
    filed.amended =
        filed.body != filed_repairs(books, month, call.app.zone, call.app.options.currency);
    return filed;
}

// The rows of a filed month; a ticket that is gone from the books has what was filed.
std::vector<json::object> filed_items(const Call& call, KeyBooks& books, const FiledMonth& filed) {
    std::vector<json::object> items;
    const json::value sheet = json::parse(filed.body);
    for (const json::value& one : sheet.at("items").as_array()) {
        const json::object& row = one.as_object();
        const auto ticket = books.ticket(std::string(row.at("number").as_string()));
        json::object item;
        if (ticket) item = repair_item(call, books, ticket_of(*ticket), items.size() + 1);
        item = as_filed(std::move(item), row);
        item["no"] = items.size() + 1;
        items.push_back(std::move(item));
    }
    return items;
}

std::string text_of(const json::object& object, const char* name) {
    const json::value* value = object.if_contains(name);
    if (value == nullptr || value->is_null()) return "";
    return value->is_string() ? std::string(value->get_string()) : json::serialize(*value);
}

// The second half of the sheet: by category, with the sum that must foot.
void category_table(Page& page, const json::object& month) {
    const auto cells = [](const json::object& one, const std::string& name) {
        std::vector<std::string> row{name};
        for (const char* field :
             {"opening", "reported", "reopened", "done", "cancelled", "closing", "on_time", "late",
              "visited", "rated_a", "rated_b", "rated_c", "fees"})
            row.push_back(text_of(one, field));
        return row;
    };
    std::vector<std::vector<std::string>> rows;
    for (const json::value& one : month.at("categories").as_array())
        rows.push_back(cells(one.as_object(), text_of(one.as_object(), "category")));
    page.table({{{"Category", "类别"}},
                {{"Open before", "期初未完"}, true},
                {{"Reported", "本月报修"}, true},
                {{"Reopened", "返修"}, true},
                {{"Done", "完成"}, true},
                {{"Cancelled", "取消"}, true},
                {{"Open after", "期末未完"}, true},
                {{"In time", "及时"}, true},
                {{"Late", "超时"}, true},
                {{"Visited", "回访数"}, true},
                {{"A", "满意"}, true},
                {{"B", "较满意"}, true},
                {{"C", "不满意"}, true},
                {{"Fees", "收费金额"}, true}},
               rows, cells(month.at("totals").as_object(), page.word({"Sum", "合计"})));
}

// `filed`: the month as it was filed, and what it would be by now only where that differs.
Response repairs_page(const Call& call, const std::string& now,
                      const std::optional<FiledMonth>& filed) {
    const json::object month = json::parse(filed ? filed->body : now).as_object();
    const bool chinese = call.app.options.chinese;
    Page page(chinese, call.app.options.site_name,
              std::string(chinese ? "工程派单统计表 " : "Repairs ") + text_of(month, "month"));
    category_table(page, month);
    if (filed) page.facts({{{"Sheet", "校验码"}, filed->sha256}});
    if (filed && filed->amended) {
        page.paragraph(chinese ? "更正（归档后登记）" : "Amendment, written down since");
        category_table(page, json::parse(now).as_object());
    }
    page.signatures({{"Made by", "制表人"}, {"Checked by", "审核人"}});
    return page.response();
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
    Query query(call.request);
    const auto from = query.time("from", call.app.zone);
    const auto to = query.through("to", call.app.zone);
    static_cast<void>(query.text("lang"));
    query.finish();
    const auto reader = call.app.readers.take();
    KeyBooks books = reader->key_books();
    const auto board = board_of(call);
    std::vector<json::object> items;
    for (const KeyLoanRow& row :
         books.loans_between(from.value_or(INT64_MIN), to.value_or(INT64_MAX), kLoansMax + 1)) {
        if (items.size() == kLoansMax)
            throw Refused{
                problem(413, "too-many-rows", "More than 20,000 loans; ask for a shorter time.")};
        items.push_back(loan_item(call, books, row, board->rules));
        items.back()["no"] = items.size();
    }
    return items;
}

}  // namespace

Response get_repairs(Call& call) {
    Query(call.request).finish();
    const LocalDate month = month_of(call);
    const auto reader = call.app.readers.take();
    KeyBooks books = reader->key_books();
    const auto filed = filed_month(call, books, month);
    const std::string now = month_document(call, books, month);
    if (call.request.wants_html) return repairs_page(call, now, filed);
    if (!filed) return json_response(now);
    json::object document = json::parse(filed->body).as_object();
    json::array items;
    for (json::object& item : filed_items(call, books, *filed)) items.push_back(std::move(item));
    document["items"] = std::move(items);
    document["frozen_at"] = format_iso8601(filed->at, call.app.zone);
    document["sha256"] = filed->sha256;
    document["amended"] = filed->amended;
    if (filed->amended) document["amendment"] = json::parse(now);
    return json_response(json::serialize(document));
}

Response table_repairs(Call& call) {
    Query query(call.request);
    static_cast<void>(query.text("lang"));
    query.finish();
    const LocalDate month = month_of(call);
    const auto reader = call.app.readers.take();
    KeyBooks books = reader->key_books();
    std::vector<json::object> items;
    if (const auto filed = filed_month(call, books, month)) {
        items = filed_items(call, books, *filed);
    } else {
        const RepairMonth repairs = read_repair_month(books, call.app.zone.midnight(month),
                                                      call.app.zone.midnight(next_month(month)));
        for (const Ticket& ticket : repairs.tickets)
            items.push_back(repair_item(call, books, ticket, items.size() + 1));
    }
    // One cell holds all who went.
    for (json::object& item : items) {
        const json::value* crew = item.if_contains("crew");
        if (crew == nullptr || !crew->is_array()) continue;
        std::vector<std::string> names;
        for (const json::value& one : crew->as_array()) names.emplace_back(one.as_string());
        item["crew"] = joined(names);
    }
    return table_response(call, kRepairs, std::make_unique<ItemRows>(kRepairs, std::move(items)));
}

void post_repairs_freeze(Call& call, Respond respond) {
    const LocalDate month = month_of(call);
    Query(call.request).finish();
    Body body(call.request.body, call.app.options.limits.json_depth);
    WriteRegister row;
    row.by = by_of(call, body);
    body.finish();
    if (call.snapshot->now_ms < call.app.zone.midnight(next_month(month)))
        throw Refused{problem(409, "month-open", call.params[0] + " is not over yet.")};
    const auto reader = call.app.readers.take();
    KeyBooks books = reader->key_books();
    if (const auto there = books.register_row(kRepairsFiled, call.params[0]))
        throw Refused{problem(409, "month-frozen",
                              call.params[0] + " was frozen on " +
                                  format_iso8601(there->at, call.app.zone) +
                                  "; what changed since shows as `amended`.")};
    row.kind = kRepairsFiled;
    row.once = true;
    row.subject = call.params[0];
    row.event = "repairs.frozen";
    row.body = filed_repairs(books, month, call.app.zone, call.app.options.currency);
    JsonWriter log;
    log.begin_object().field("month", row.subject).field("sha256", sha256_hex(row.body));
    log.field("by", row.by).end_object();
    row.log_body = log.take();
    submit_work(call, {std::move(row)}, std::move(respond));
}

Response get_key_register(Call& call) {
    if (call.request.wants_html) return key_register_page(call, loan_items(call));
    JsonWriter json;
    json.begin_object().key("items").begin_array();
    for (const json::object& item : loan_items(call)) json.raw(json::serialize(item));
    json.end_array().end_object();
    return json_response(json.take());
}

Response table_key_register(Call& call) {
    std::vector<json::object> items = loan_items(call);
    for (json::object& item : items) {
        const json::value* opens = item.if_contains("opens");
        if (opens == nullptr) continue;
        std::vector<std::string> labels;
        for (const json::value& unit : opens->as_array())
            labels.push_back(label_of(call, std::string(unit.as_string())));
        item["opens"] = joined(labels);
    }
    return table_response(call, kKeyRegister,
                          std::make_unique<ItemRows>(kKeyRegister, std::move(items)));
}

}  // namespace gatehouse::http
