// The plain registers of the office as tables: one row a document and a call, and one row a line of
// an inspection round and of what was handed over with a flat. Names and words are shown as in the
// lists of the same routes.
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <unordered_map>
#include <utility>

#include "daemon/http/exports.hpp"

namespace gatehouse::http {

namespace json = boost::json;

namespace {

const std::pair<std::string_view, std::string_view> kDirections[] = {{"in", "办理入住"},
                                                                     {"out", "退房"}};
const std::pair<std::string_view, std::string_view> kParts[] = {
    {"reading", "表底数"}, {"key", "钥匙"}, {"checklist", "验收项目"}, {"", ""}};
const Column kDocumentColumns[] = {
    {"id", "序号", Cell::count},
    {"at", "发放日期"},
    {"name", "文件名称"},
    {"no", "文件编号"},
    {"copies", "份数"},
    {"receiver", "接收人"},
    {"unit", "房号"},
    {"unit_label", "房屋"},
    {"recall", "是否回收", Cell::flag},
    {"place", "存放位置"},
    {"by", "发放人"},
};
const Column kCallColumns[] = {
    {"id", "序号", Cell::count},
    {"at", "来电时间", Cell::time},
    {"channel", "方式", Cell::word, kChannelWords},
    {"unit", "房号"},
    {"unit_label", "房屋"},
    {"text", "内容"},
    {"answer", "答复"},
    {"by", "接听人"},
};
const Column kRoundColumns[] = {
    {"id", "序号", Cell::count},
    {"at", "巡查时间", Cell::time},
    {"area", "区域"},
    {"item", "项目"},
    {"pass", "合格", Cell::flag},
    {"fault", "问题"},
    {"score", "评分"},
    {"note", "备注"},
    {"tickets", "派工单号"},
    {"by", "巡查人"},
};
const Column kHandoverColumns[] = {
    {"id", "序号", Cell::count},
    {"at", "登记时间", Cell::time},
    {"date", "交接日期"},
    {"unit", "房号"},
    {"unit_label", "房屋"},
    {"direction", "类型", Cell::word, kDirections},
    {"part", "类别", Cell::word, kParts},
    {"item", "项目"},
    {"value", "数量/结果"},
    {"electronic", "电子核对", Cell::word, kElectronicWords},
    {"receiver", "接收人"},
    {"witness", "见证人"},
    {"note", "备注"},
    {"tickets", "派工单号"},
    {"by", "移交人"},
};
const TableSpec kDocuments{"documents", "文件发放登记表", kDocumentColumns};
const TableSpec kCalls{"calls", "来电登记表", kCallColumns};
const TableSpec kRounds{"rounds", "巡查记录表", kRoundColumns};
const TableSpec kHandovers{"handovers", "收楼移交清单", kHandoverColumns};

// What the row of a register says, beside its id, unit and time.
json::object flat(const json::object& item) {
    json::object one;
    if (const json::value* row = item.if_contains("row"); row != nullptr && row->is_object())
        one = row->get_object();
    if (const json::value* at = one.if_contains("at")) one["date"] = json::value(*at);
    for (const char* name : {"id", "unit", "at"})
        if (const json::value* value = item.if_contains(name)) one[name] = *value;
    return one;
}

std::vector<json::object> document_rows(const json::object& item) {
    json::object one = flat(item);
    const char* day = one.contains("date") ? "date" : "at";
    one["at"] = std::string(one.at(day).as_string()).substr(0, 10);
    return {std::move(one)};
}

std::vector<json::object> call_rows(const json::object& item) {
    return {flat(item)};
}

std::vector<json::object> round_rows(const json::object& item) {
    std::vector<json::object> rows;
    json::object head = flat(item);
    const json::value items = head["items"];
    head.erase("items");
    if (!items.is_array()) return {std::move(head)};
    for (const json::value& line : items.get_array()) {
        json::object row = head;
        for (const auto& [name, value] : line.as_object()) row[name] = value;
        rows.push_back(std::move(row));
    }
    return rows;
}

// A figure of a sheet that was not booked, since the books say otherwise.
bool contradicts_books(const json::value& booked, const json::value& meter) {
    if (!booked.is_array()) return false;
    return std::any_of(booked.get_array().begin(), booked.get_array().end(), [&](const auto& one) {
        const auto* object = one.if_object();
        const auto* named = object == nullptr ? nullptr : object->if_contains("meter");
        const auto* state = object == nullptr ? nullptr : object->if_contains("state");
        return named != nullptr && *named == meter && state != nullptr && *state != "confirmed";
    });
}

std::vector<json::object> handover_rows(const json::object& item) {
    std::vector<json::object> rows;
    json::object head = flat(item);
    const auto line = [&](const char* part, json::value what, json::value value) -> json::object& {
        json::object row = head;
        row["part"] = part;
        row["item"] = std::move(what);
        row["value"] = std::move(value);
        return rows.emplace_back(std::move(row));
    };
    const json::value readings = head["readings"], keys = head["keys"],
                      checklist = head["checklist"], booked = head["base_readings"];
    for (const char* name : {"readings", "keys", "checklist", "base_readings"}) head.erase(name);
    if (readings.is_array())
        for (const json::value& one : readings.get_array()) {
            json::object reading = one.as_object();
            line("reading", reading["meter"], reading["register"])["electronic"] =
                contradicts_books(booked, reading["meter"]) ? json::value("contradicts")
                                                            : reading["electronic"];
        }
    for (const auto& [part, list] : {std::pair{"key", &keys}, std::pair{"checklist", &checklist}})
        if (list->is_object())
            for (const auto& [name, value] : list->get_object()) line(part, name, value);
    if (rows.empty()) rows.push_back(std::move(head));
    return rows;
}

// Beside the id of a unit what people call it.
class LabelledRows final : public RowSource {
  public:
    LabelledRows(const Call& call, const TableSpec& spec, std::unique_ptr<RowSource> rows)
        : rows_(std::move(rows)) {
        for (std::size_t i = 0; i < spec.columns.size(); ++i) {
            if (std::string_view(spec.columns[i].name) == "unit") unit_ = i;
            if (std::string_view(spec.columns[i].name) == "unit_label") label_ = i;
        }
        for (const Unit& unit : call.snapshot->registry->units)
            labels_[unit.unit] = unit.label.empty() ? unit.unit : unit.label;
    }
    bool next(Row& row) override {
        if (!rows_->next(row)) return false;
        const auto label = labels_.find(row[unit_]);
        if (label != labels_.end()) row[label_] = label->second;
        return true;
    }

  private:
    std::unique_ptr<RowSource> rows_;
    std::size_t unit_ = 0, label_ = 0;
    std::unordered_map<std::string, std::string> labels_;
};

Response labelled(Call& call, const TableSpec& spec, Handler list, ItemParts parts) {
    return table_response(
        call, spec,
        std::make_unique<LabelledRows>(call, spec, list_source(call, list, spec, parts)));
}

}  // namespace

Response table_documents(Call& call) {
    return labelled(call, kDocuments, get_documents, document_rows);
}

Response table_calls(Call& call) {
    return labelled(call, kCalls, get_calls, call_rows);
}

Response table_rounds(Call& call) {
    return table_response(call, kRounds, list_source(call, get_rounds, kRounds, round_rows));
}

Response table_handovers(Call& call) {
    return labelled(call, kHandovers, get_handovers, handover_rows);
}

}  // namespace gatehouse::http
