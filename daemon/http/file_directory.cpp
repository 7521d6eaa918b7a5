// 文件目录: which papers a household's file must hold, which it holds, and where they are filed.
// The newest row of each name says how it stands now; what nobody wrote of is missing.
#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

#include "daemon/http/act.hpp"
#include "daemon/http/exports.hpp"
#include "daemon/http/item_rows.hpp"
#include "daemon/http/key_pages.hpp"
#include "daemon/http/page.hpp"
#include "daemon/http/room.hpp"

namespace gatehouse::http {

namespace json = boost::json;

namespace {

constexpr const char* kKind = "file";
constexpr std::size_t kRowsMax = 1'000;

// What every file must hold (property-office.md, section 2 of the manual).
constexpr const char* kRequired[] = {"身份证复印件", "购房合同/租赁合同", "入住通知书",
                                     "收楼移交清单", "装修协议",          "水电开户协议"};

const std::pair<std::string_view, std::string_view> kStates[] = {
    {"held", "已存"}, {"missing", "缺"}, {"not_needed", "不需要"}};
const Column kColumns[] = {
    {"no", "序号", Cell::count},
    {"name", "资料名称"},
    {"state", "状态", Cell::word, kStates},
    {"place", "存放位置"},
    {"at", "登记时间", Cell::time},
    {"by", "登记人"},
};
const TableSpec kDirectory{"files", "文件目录", kColumns};

std::string text_of(const json::object& object, const char* name) {
    const json::value* value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

std::vector<json::object> directory_of(const Call& call, const std::string& unit) {
    if (std::none_of(call.snapshot->registry->units.begin(), call.snapshot->registry->units.end(),
                     [&](const Unit& one) { return one.unit == unit; }))
        throw Refused{problem(404, "not-found", "No unit " + unit + " stands in units.csv.")};
    std::vector<json::object> items;
    const auto put = [&](json::object item) {
        const std::string name = text_of(item, "name");
        const auto at = std::find_if(items.begin(), items.end(), [&](const json::object& one) {
            return text_of(one, "name") == name;
        });
        if (at != items.end())
            *at = std::move(item);
        else
            items.push_back(std::move(item));
    };
    for (const char* name : kRequired) put({{"name", name}, {"state", "missing"}});
    const auto reader = call.app.readers.take();
    KeyBooks books = reader->key_books();
    std::int64_t after = 0;
    for (;;) {
        const auto rows = books.registers(kKind, unit, after, kRowsMax);
        for (const RegisterRow& row : rows) {
            json::object item = json::parse(row.body).as_object();
            item["at"] = format_iso8601(row.at, call.app.zone);
            put(std::move(item));
            after = row.id;
        }
        if (rows.size() < kRowsMax) break;
    }
    for (std::size_t i = 0; i < items.size(); ++i) items[i]["no"] = i + 1;
    return items;
}

Response directory_page(const Call& call, const std::vector<json::object>& items) {
    const bool chinese = call.app.options.chinese;
    const std::string& unit = call.params[0];
    std::string label = unit;
    for (const Unit& one : call.snapshot->registry->units)
        if (one.unit == unit && !one.label.empty()) label = one.label;
    Page page(chinese, call.app.options.site_name,
              std::string(chinese ? "文件目录 " : "File directory ") + label);
    std::vector<std::vector<std::string>> rows;
    for (const json::object& item : items) {
        std::string state = text_of(item, "state");
        if (chinese)
            for (const auto& [word, text] : kStates)
                if (state == word) state = text;
        rows.push_back({std::to_string(rows.size() + 1), text_of(item, "name"), state,
                        text_of(item, "place"), text_of(item, "at").substr(0, 10),
                        text_of(item, "by")});
    }
    page.table({{{"No", "序号"}, true},
                {{"Paper", "资料名称"}},
                {{"State", "状态"}},
                {{"Filed at", "存放位置"}},
                {{"Noted on", "登记时间"}},
                {{"By", "登记人"}}},
               rows);
    page.signatures({{"Made by", "制表人"}, {"Checked by", "审核人"}});
    return page.response();
}

}  // namespace

Response get_unit_files(Call& call) {
    Query(call.request).finish();
    const auto items = directory_of(call, call.params[0]);
    if (call.request.wants_html) return directory_page(call, items);
    JsonWriter list;
    list.begin_object().key("items").begin_array();
    std::int64_t missing = 0;
    for (const json::object& item : items) {
        list.raw(json::serialize(item));
        if (text_of(item, "state") == "missing") ++missing;
    }
    list.end_array().field("missing", missing).end_object();
    return json_response(list.take());
}

Response table_unit_files(Call& call) {
    Query query(call.request);
    static_cast<void>(query.text("lang"));
    query.finish();
    return table_response(
        call, kDirectory,
        std::make_unique<ItemRows>(kDirectory, directory_of(call, call.params[0])));
}

void post_unit_file(Call& call, Respond respond) {
    Query(call.request).finish();
    Body body(call.request.body, call.app.options.limits.json_depth);
    WriteRegister row;
    row.kind = kKind;
    row.event = "unit.file_listed";
    row.unit = call.params[0];
    row.by = by_of(call, body);
    row.subject = body.required_text("name");
    const std::string state = body.required_text("state"), place = body.text("place");
    if (std::none_of(std::begin(kStates), std::end(kStates),
                     [&](const auto& one) { return one.first == state; }))
        body.wrong("/state", "`" + state + "` is none of held, missing, not_needed");
    body.finish();
    JsonWriter text;
    text.begin_object()
        .field("name", row.subject)
        .field("state", state)
        .field_if("place", place)
        .field("by", row.by)
        .end_object();
    row.body = text.take();
    submit_work(call, {std::move(row)}, std::move(respond));
}

}  // namespace gatehouse::http
