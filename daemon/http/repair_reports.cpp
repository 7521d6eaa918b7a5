// 工程派单统计表, the month of repairs as the office files it: as JSON, CSV, workbook and on paper,
// and frozen under its hash.
#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <optional>
#include <utility>

#include "daemon/core/key_watch.hpp"
#include "daemon/engine/key_codec.hpp"
#include "daemon/engine/key_documents.hpp"
#include "daemon/engine/repair_summary.hpp"
#include "daemon/http/act.hpp"
#include "daemon/http/exports.hpp"
#include "daemon/http/item_rows.hpp"
#include "daemon/http/page.hpp"
#include "daemon/http/room.hpp"

namespace gatehouse::http {

namespace json = boost::json;

namespace {

// The columns of property-office.md 5.3. Who reported it (`reporter`) stands in no book, so its
// cells stay empty for whoever fills the paper.
const Column kRepairColumns[] = {
    {"no", "序号", Cell::count},
    {"ticket", "派工单号"},
    {"reported_at", "报修时间", Cell::time},
    {"channel", "报修方式", Cell::word, kChannelWords},
    {"reporter", "报修人"},
    {"unit_or_area", "房号/部位"},
    {"symptom", "报修内容"},
    {"category", "类别"},
    {"urgency", "紧急程度", Cell::word, kUrgencyWords},
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
    {"rating", "满意度", Cell::word, kRatingWords},
    {"reopened", "返修", Cell::count, {}, true},
    {"note", "备注"},
    {"state", "状态", Cell::word, kTicketStateWords},
};
const TableSpec kRepairs{"repairs", "工程派单统计表", kRepairColumns};

// 工程派单统计表 (b): a row a category, and the sum last. The share of each in percent.
const Column kSummaryColumns[] = {
    {"category", "类别"},
    {"opening", "期初未完", Cell::count},
    {"reported", "本月报修", Cell::count},
    {"reopened", "返修", Cell::count},
    {"done", "完成", Cell::count},
    {"cancelled", "取消", Cell::count},
    {"closing", "期末未完", Cell::count},
    {"on_time", "及时", Cell::count},
    {"late", "超时", Cell::count},
    {"on_time_percent", "及时率(%)", Cell::number},
    {"mean_minutes", "平均用时（分）", Cell::count},
    {"visited", "回访数", Cell::count},
    {"visited_percent", "回访率(%)", Cell::number},
    {"rated_a", "满意", Cell::count},
    {"rated_b", "较满意", Cell::count},
    {"rated_c", "不满意", Cell::count},
    {"satisfied_percent", "满意率(%)", Cell::number},
    {"fees", "收费金额", Cell::money},
    {"median_response_minutes", "响应中位（分）", Cell::count},
    {"median_minutes", "用时中位（分）", Cell::count},
    {"key_loans", "借用钥匙", Cell::count},
    {"key_hours", "钥匙在外（时）", Cell::number},
};
const TableSpec kSummary{"summary", "按类别汇总", kSummaryColumns};

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
    for (const KeyLinkRow& link : books.links_of_ticket(ticket.number)) {
        // What was taken for another unit or by another crew was not taken for this ticket.
        if (link.kind == to_string(KeyLinkKind::bad)) continue;
        const auto loan = books.loan(link.loan);
        if (loan && std::find(keys.begin(), keys.end(), loan->key) == keys.end())
            keys.push_back(loan->key);
    }
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

// It counts in another month than that of its report, and says so.
void note_late(const Call& call, json::object& item) {
    item["entered_late"] = true;
    const json::value* note = item.if_contains("note");
    const std::string late = call.app.options.chinese ? "补登（报修月份已归档）"
                                                      : "entered after the month of its report";
    item["note"] = note == nullptr ? late : std::string(note->as_string()) + ", " + late;
}

std::string month_document(Call& call, KeyBooks& books, LocalDate month) {
    const RepairMonth repairs =
        read_repair_month(books, call.app.zone.midnight(month),
                          call.app.zone.midnight(next_month(month)), call.snapshot->now_ms);
    std::size_t number = 0;
    return repair_month_json(repairs, call.params[0], call.app.options.currency,
                             [&](const Ticket& ticket) {
                                 json::object item = repair_item(call, books, ticket, ++number);
                                 if (repairs.entered_late.contains(ticket.number))
                                     note_late(call, item);
                                 return std::string(json::serialize(item));
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
        if (row.contains("entered_late")) note_late(call, item);
        item["no"] = items.size() + 1;
        items.push_back(std::move(item));
    }
    return items;
}

json::object filed_document(const Call& call, KeyBooks& books, const FiledMonth& filed) {
    json::object document = json::parse(filed.body).as_object();
    json::array items;
    for (json::object& item : filed_items(call, books, filed)) items.push_back(std::move(item));
    document["items"] = std::move(items);
    return document;
}

// The month as it stands: as it was filed, else as it is now.
json::object sheet_of(Call& call, KeyBooks& books, LocalDate month) {
    if (const auto filed = filed_month(call, books, month))
        return filed_document(call, books, *filed);
    return json::parse(month_document(call, books, month)).as_object();
}

// The items as rows of a table: one cell holds all who went.
std::vector<json::object> rows_of(const json::object& sheet) {
    std::vector<json::object> rows;
    for (const json::value& one : sheet.at("items").as_array()) {
        json::object item = one.as_object();
        const json::value* crew = item.if_contains("crew");
        if (crew != nullptr && crew->is_array()) {
            std::vector<std::string> names;
            for (const json::value& name : crew->as_array()) names.emplace_back(name.as_string());
            item["crew"] = joined(names);
        }
        rows.push_back(std::move(item));
    }
    return rows;
}

std::string text_of(const json::object& object, const char* name) {
    const json::value* value = object.if_contains(name);
    if (value == nullptr || value->is_null()) return "";
    return value->is_string() ? std::string(value->get_string()) : json::serialize(*value);
}

std::int64_t count_of(const json::object& counts, const char* name) {
    const json::value* value = counts.if_contains(name);
    return value != nullptr && value->is_int64() ? value->get_int64() : 0;
}

// In percent to one place, half up; nothing where there is nothing of which it is a part.
std::string percent(std::int64_t part, std::int64_t whole) {
    if (whole == 0) return "";
    return format_decimal((part * 2'000 + whole) / (2 * whole), 1);
}

// How long the work of that month took in the mean, from report to done; of all categories where
// none is named.
std::string mean_minutes(const json::object& sheet, const std::string& category) {
    const std::string month = text_of(sheet, "month");
    std::int64_t sum = 0, count = 0;
    for (const json::value& one : sheet.at("items").as_array()) {
        const json::object& item = one.as_object();
        const json::value* duration = item.if_contains("duration");
        if (duration == nullptr || !text_of(item, "done_at").starts_with(month)) continue;
        if (!category.empty() && text_of(item, "category") != category) continue;
        sum += duration->to_number<std::int64_t>();
        ++count;
    }
    return count == 0 ? "" : std::to_string((sum + count / 2) / count);
}

// The sheet's second half, with the shares that are read from it.
std::vector<json::object> summary_of(const Call& call, const json::object& sheet) {
    std::vector<json::object> rows;
    const auto add = [&](const json::object& counts, const std::string& name,
                         const std::string& category) {
        json::object row = counts;
        row["category"] = name;
        const std::int64_t done = count_of(counts, "done");
        const std::int64_t in_time = count_of(counts, "on_time");
        const std::int64_t a = count_of(counts, "rated_a"), b = count_of(counts, "rated_b");
        row["on_time_percent"] = percent(in_time, in_time + count_of(counts, "late"));
        row["mean_minutes"] = mean_minutes(sheet, category);
        row["visited_percent"] = percent(count_of(counts, "visited"), done);
        row["satisfied_percent"] = percent(a + b, a + b + count_of(counts, "rated_c"));
        rows.push_back(std::move(row));
    };
    for (const json::value& one : sheet.at("categories").as_array()) {
        const std::string category = text_of(one.as_object(), "category");
        add(one.as_object(), category, category);
    }
    add(sheet.at("totals").as_object(), call.app.options.chinese ? "合计" : "Sum", "");
    return rows;
}

// Columns and rows of a table on paper, in the words of its cells.
void table_on(Page& page, const Call& call, const TableSpec& spec,
              const std::vector<json::object>& items, bool sums) {
    std::vector<Page::Column> columns;
    std::vector<std::string> names;  // of an English sheet
    for (const Column& column : spec.columns) {
        names.emplace_back(column.name);
        std::replace(names.back().begin(), names.back().end(), '_', ' ');
    }
    for (std::size_t i = 0; i < spec.columns.size(); ++i) {
        const Column& column = spec.columns[i];
        const bool number =
            column.cell == Cell::count || column.cell == Cell::money || column.cell == Cell::number;
        columns.push_back({{names[i].c_str(), column.chinese}, number});
    }
    std::vector<std::vector<std::string>> rows;
    for (const json::object& item : items) {
        Row row(spec.columns.size());
        fill_row(item, spec, row);
        if (call.app.options.chinese) translate(spec, row);
        for (std::size_t i = 0; i < row.size(); ++i)
            if (spec.columns[i].cell == Cell::time && row[i].size() > 16)
                row[i] = row[i].substr(0, 10) + " " + row[i].substr(11, 5);
        rows.push_back(std::move(row));
    }
    std::vector<std::string> last;
    if (sums && !rows.empty()) {
        last = std::move(rows.back());
        rows.pop_back();
    }
    page.table(columns, rows, last);
}

// 工程派单统计表: (a) the tickets, (b) by category with the sum that must foot, then the shares;
// and what it would be by now, where a month that was filed differs from that.
Response repairs_page(Call& call, KeyBooks& books, LocalDate month,
                      const std::optional<FiledMonth>& filed) {
    const json::object sheet = filed ? filed_document(call, books, *filed)
                                     : json::parse(month_document(call, books, month)).as_object();
    const bool chinese = call.app.options.chinese;
    Page page(chinese, call.app.options.site_name,
              std::string(chinese ? "工程派单统计表 " : "Repairs ") + text_of(sheet, "month"),
              Paper::a4_landscape);
    page.heading(page.word({"(a) Tickets", "（一）派工单明细"}));
    table_on(page, call, kRepairs, rows_of(sheet), false);
    page.heading(page.word({"(b) By category", "（二）按类别汇总"}));
    const std::vector<json::object> summary = summary_of(call, sheet);
    table_on(page, call, kSummary, summary, true);
    const auto share = [&](const char* name) {
        const std::string text = text_of(summary.back(), name);
        return text.empty() ? "-" : text + "%";
    };
    const std::string minutes = text_of(summary.back(), "mean_minutes");
    page.facts(
        {{{"In time, of what was done", "及时率"}, share("on_time_percent")},
         {{"Mean time from report to done (minutes)", "平均用时（分）"},
          minutes.empty() ? "-" : minutes},
         {{"Visited, of what was done", "回访率"}, share("visited_percent")},
         {{"Satisfied or fairly so, of what was rated", "满意率"}, share("satisfied_percent")}});
    if (filed) page.facts({{{"Sheet", "校验码"}, filed->sha256}});
    if (filed && filed->amended) {
        page.heading(page.word({"Amendment, written down since", "更正（归档后登记）"}));
        table_on(page, call, kSummary,
                 summary_of(call, json::parse(month_document(call, books, month)).as_object()),
                 true);
    }
    page.signatures({{"Made by", "制表人"}, {"Checked by", "审核人（客服部长）"}});
    return page.response();
}

}  // namespace

Response get_repairs(Call& call) {
    Query(call.request).finish();
    const LocalDate month = month_of(call);
    const auto reader = call.app.readers.take();
    KeyBooks books = reader->key_books();
    const auto filed = filed_month(call, books, month);
    if (call.request.wants_html) return repairs_page(call, books, month, filed);
    if (!filed) return json_response(month_document(call, books, month));
    json::object document = filed_document(call, books, *filed);
    document["frozen_at"] = format_iso8601(filed->at, call.app.zone);
    document["sha256"] = filed->sha256;
    document["amended"] = filed->amended;
    if (filed->amended) document["amendment"] = json::parse(month_document(call, books, month));
    return json_response(json::serialize(document));
}

Response table_repairs(Call& call) {
    Query query(call.request);
    static_cast<void>(query.text("lang"));
    query.finish();
    const LocalDate month = month_of(call);
    const auto reader = call.app.readers.take();
    KeyBooks books = reader->key_books();
    const json::object sheet = sheet_of(call, books, month);
    const std::vector<json::object> summary = summary_of(call, sheet);
    return table_response(call, kRepairs, std::make_unique<ItemRows>(kRepairs, rows_of(sheet)),
                          kSummary, summary);
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

}  // namespace gatehouse::http
