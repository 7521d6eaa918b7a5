// Shared-area pools: which there are, the sheet of a month as a document and on paper, and its
// approval by two people.
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <utility>

#include "daemon/core/settlement.hpp"
#include "daemon/engine/pool_sheet.hpp"
#include "daemon/http/act.hpp"
#include "daemon/http/act_body.hpp"
#include "daemon/http/page.hpp"

namespace gatehouse::http {

namespace bj = boost::json;

namespace {

const Pool& find_pool(Call& call) {
    const auto& pools = call.snapshot->registry->pools;
    const auto pool = std::find_if(pools.begin(), pools.end(),
                                   [&](const Pool& one) { return one.pool == call.params[0]; });
    if (pool == pools.end()) {
        throw Refused{
            problem(404, "not-found",
                    "No pool " + call.params[0] + " stands in the registry's pools.csv.")};
    }
    return *pool;
}

// Empty: the newest month that has ended.
LocalDate month_of(const Call& call, const std::string& text) {
    if (text.empty()) {
        LocalDate today = call.app.zone.local(call.snapshot->now_ms).date;
        today.day = 1;
        LocalDate before = date_from_days(days_since_epoch(today) - 1);
        before.day = 1;
        return before;
    }
    const auto month = parse_month(text);
    if (!month)
        throw Refused{problem(422, "invalid", "month `" + text + "` is none; write 2026-11.",
                              {{"/month", "`" + text + "` is no month; write 2026-11"}})};
    return *month;
}

PoolSheet draft(Call& call, StoreReader& reader, const Pool& pool, LocalDate month) {
    return read_pool_sheet(reader, *call.snapshot->registry, pool, month, call.snapshot->now_ms,
                           call.app.zone);
}

std::string document_of(const Call& call, const PoolSheet& sheet) {
    return pool_sheet_json(sheet, *call.snapshot->registry, call.app.options.currency);
}

void approval_fields(JsonWriter& json, const PoolSheetRow& row) {
    json.field("state", to_string(row.state))
        .field("charge_from", format_date(row.charge_from))
        .field("amount", format(row.amount))
        .field("charged_amount", format(row.charged))
        .field("left_amount", format(row.left))
        .field("by", row.by)
        .field("second", row.second)
        .field("event", row.event)
        .field("sha256", row.sha256);
}

// Units whose share nobody pays: no account was theirs, or it keeps no balance any more.
void left_units(JsonWriter& json, const PoolSheetRow& row) {
    json.key("left").begin_array();
    for (const PoolShareRow& share : row.shares)
        if (share.state == PoolShareRow::State::left)
            json.begin_object()
                .field("unit", share.unit)
                .field("amount", format(share.amount))
                .end_object();
    json.end_array();
}

const char* state_word(const Page& page, const PoolSheetRow* row) {
    if (row == nullptr) return page.word({"draft, not approved", "草稿，未审批"});
    switch (row->state) {
        case PoolSheetRow::State::approved:
            return page.word({"approved", "已审批"});
        case PoolSheetRow::State::withdrawn:
            return page.word({"withdrawn", "已撤回"});
        case PoolSheetRow::State::charged:
            break;
    }
    return page.word({"charged", "已计费"});
}

std::string text_of(const bj::object& object, std::string_view name) {
    const bj::value* value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

bool is_true(const bj::object& object, std::string_view name) {
    const bj::value* value = object.if_contains(name);
    return value != nullptr && value->is_bool() && value->get_bool();
}

// What hangs in the hall (公示表): figures, price, shares; rooms and no names. From the document,
// which is the approved one where one was.
Response sheet_page(const Call& call, const std::string& document, const PoolSheetRow* row) {
    const bool chinese = call.app.options.chinese;
    const bj::object sheet = bj::parse(document).as_object();
    Page page(chinese, call.app.options.site_name,
              chinese ? "公摊费用公示表" : "Shared-area costs");
    const std::string share = text_of(sheet, "share");
    const Words shared = share == "equal"  ? Words{"in equal shares", "按户均摊"}
                         : share == "area" ? Words{"by area", "按面积"}
                                           : Words{"by use", "按用量"};
    page.facts(
        {{{"Pool", "公摊项目"}, text_of(sheet, "pool")},
         {{"Month", "月份"}, text_of(sheet, "month")},
         {{"Shared", "分摊方式"}, page.word(shared)},
         {{"Quantity", "公摊用量"},
          text_of(sheet, "quantity") + " " + text_of(sheet, "unit_of_measure")},
         {{"Amount", "公摊金额"}, text_of(sheet, "amount") + " " + text_of(sheet, "currency")},
         {{"State", "状态"}, state_word(page, row)},
         {{"Charged from", "计费日期"}, row ? format_date(row->charge_from) : ""},
         {{"Approved by", "审批人"}, row ? row->by + ", " + row->second : ""},
         {{"Sheet", "校验码"}, row ? row->sha256 : ""}});
    for (const bj::value& one : sheet.at("problems").as_array())
        page.paragraph("! " + std::string(one.as_string()));
    std::vector<std::vector<std::string>> rows;
    for (const auto& [name, sign] : {std::pair{"main", ""}, std::pair{"subs", "-"}})
        for (const bj::value& one : sheet.at(name).as_array()) {
            const bj::object& meter = one.as_object();
            const std::string quantity = text_of(meter, "quantity");
            rows.push_back({text_of(meter, "meter"), text_of(meter, "from"), text_of(meter, "to"),
                            (quantity == "0.000" ? "" : sign) + quantity,
                            is_true(meter, "estimated") ? page.word({"estimated", "估算"}) : ""});
        }
    page.table({{{"Meter", "表号"}},
                {{"Start", "起码"}, true},
                {{"End", "止码"}, true},
                {{"Use", "用量"}, true},
                {{"", ""}}},
               rows, {page.word({"Shared", "公摊"}), "", "", text_of(sheet, "quantity")});
    rows.clear();
    for (const bj::value& one : sheet.at("parts").as_array()) {
        const bj::object& part = one.as_object();
        rows.push_back({text_of(part, "from"), text_of(part, "to"), text_of(part, "quantity"),
                        text_of(part, "price"), text_of(part, "amount")});
    }
    page.table({{{"From", "自"}},
                {{"To", "至"}},
                {{"Quantity", "用量"}, true},
                {{"Price", "单价"}, true},
                {{"Amount", "金额"}, true}},
               rows);
    rows.clear();
    for (const bj::value& one : sheet.at("members").as_array()) {
        const bj::object& member = one.as_object();
        const std::string label = text_of(member, "unit_label");
        rows.push_back({label.empty() ? text_of(member, "unit") : label, text_of(member, "weight"),
                        text_of(member, "amount"),
                        member.contains("account") ? ""
                        : member.contains("paid_at_end") && member.at("paid_at_end").as_bool()
                            ? page.word({"paid by who left", "已由迁出住户付清"})
                            : page.word({"not charged", "不计费"})});
    }
    page.table(
        {{{"Flat", "房号"}}, {{"Share", "分摊基数"}, true}, {{"Amount", "金额"}, true}, {{"", ""}}},
        rows, {page.word({"Sum", "合计"}), "", text_of(sheet, "amount")});
    return page.response();
}

}  // namespace

Response get_pools(Call& call) {
    Query query(call.request);
    const auto reader = call.app.readers.take();
    return list_rows(
        call.snapshot->registry->pools, query, [](const Pool& pool) { return pool.pool; },
        [](const Pool&) { return true; },
        [&](const Pool& pool) {
            JsonWriter json;
            json.begin_object()
                .field("pool", pool.pool)
                .field("service", to_string(pool.service))
                .field("share", to_string(pool.share))
                .field("tariff", pool.tariff)
                .field("members", pool.members.size());
            for (const auto& [name, list] :
                 {std::pair{"main", &pool.main}, std::pair{"subs", &pool.subs}}) {
                json.key(name).begin_array();
                for (const std::string& meter : *list) json.value(meter);
                json.end_array();
            }
            json.key("months").begin_array();
            for (const PoolSheetRow& row : reader->pool_sheets(pool.pool)) {
                json.begin_object().field("month", row.month);
                approval_fields(json, row);
                json.end_object();
            }
            json.end_array().end_object();
            return json.take();
        });
}

Response get_pool(Call& call) {
    Query query(call.request);
    const std::string text = query.text("month").value_or("");
    query.finish();
    const Pool& pool = find_pool(call);
    const LocalDate month = month_of(call, text);
    const auto reader = call.app.readers.take();
    const auto row = reader->pool_sheet(pool.pool, month_scope(month));
    const bool stands = row && row->state != PoolSheetRow::State::withdrawn;
    const std::string document =
        stands ? row->document : document_of(call, draft(call, *reader.operator->(), pool, month));
    if (call.request.wants_html) return sheet_page(call, document, stands ? &*row : nullptr);
    JsonWriter json;
    json.begin_object().key("sheet").raw(document).field("sha256", sha256_hex(document));
    json.key("approval");
    if (row) {
        json.begin_object();
        approval_fields(json, *row);
        left_units(json, *row);
        json.end_object();
    } else {
        json.null();
    }
    json.end_object();
    return json_response(json.take());
}

void post_pool_approve(Call& call, Respond respond) {
    std::string month, looked_at;
    ApprovePool command = read_act<ApprovePool>(call, [&](Body& body, ApprovePool&) {
        month = body.text("month");
        looked_at = body.text("sheet");
        return fields_hash({month, looked_at});
    });
    const Pool& pool = find_pool(call);
    command.registry = call.snapshot->registry;
    {
        const auto reader = call.app.readers.take();
        command.sheet = draft(call, *reader.operator->(), pool, month_of(call, month));
    }
    command.document = document_of(call, command.sheet);
    command.sha256 = sha256_hex(command.document);
    // What was approved already is answered by its key, whatever moved since.
    const auto approved = call.app.readers.take()->pool_sheet(pool.pool, command.sheet.month);
    const bool known = approved && approved->sha256 == looked_at;
    if (!looked_at.empty() && looked_at != command.sha256 && !known) {
        throw Refused{problem(409, "pool-moved",
                              "The sheet is another one than that with the hash " + looked_at +
                                  "; look at it again.")};
    }
    const KeyInProgress key(call, act_route::kPool, command.act.idempotency_key);
    key.submit(call.app.engine, std::move(command), respond);
}

void post_pool_withdraw(Call& call, Respond respond) {
    submit_act<WithdrawPool>(call, std::move(respond), [&](Body& body, WithdrawPool& command) {
        command.pool = find_pool(call).pool;
        command.month = body.required_text("month");
        command.by = by_of(call, body);
        command.reason = body.required_text("reason");
    });
}

}  // namespace gatehouse::http
