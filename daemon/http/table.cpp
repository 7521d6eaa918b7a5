#include "daemon/http/table.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

namespace gatehouse::http {

namespace json = boost::json;

namespace {

using Word = std::pair<std::string_view, std::string_view>;

constexpr std::array kServices = {Word{"electricity", "电"}, Word{"water", "水"},
                                  Word{"all", "水电"}};
constexpr std::array kRoles = {Word{"unit", "户表"}, Word{"main", "总表"}, Word{"public", "公共"},
                               Word{"check", "考核"}};
constexpr std::array kQualities = {Word{"good", "实抄"},      Word{"manual", "人工"},
                                   Word{"estimated", "估算"}, Word{"replaced", "换表"},
                                   Word{"unread", "未抄到"},  Word{"released", "核实"},
                                   Word{"void", "作废"},      Word{"confirmed", "正常"},
                                   Word{"held", "待核"},      Word{"meter_offline", "离线"}};
constexpr std::array kReadings = {Word{"interval", "定时"},   Word{"freeze", "日冻结"},
                                  Word{"month", "月冻结"},    Word{"switch", "切换"},
                                  Word{"move", "交接"},       Word{"manual", "人工"},
                                  Word{"replacement", "换表"}};
constexpr std::array kEntries = {Word{"topup", "充值"},
                                 Word{"charge", "扣费"},
                                 Word{"fee", "固定费"},
                                 Word{"opening", "期初"},
                                 Word{"transfer", "转户"},
                                 Word{"adjustment", "调整"},
                                 Word{"refund", "退费"},
                                 Word{"round_off", "抹零"},
                                 Word{"write_off", "核销"},
                                 Word{"banked", "存行"},
                                 Word{"correction", "退补"},
                                 Word{"price_settlement", "清算"},
                                 Word{"reversal", "冲正"},
                                 Word{"line", "用量"},
                                 Word{"minimum", "保底"},
                                 Word{"total", "合计"},
                                 Word{"closing", "期末"},
                                 Word{"opening_balance", "期初余额"},
                                 Word{"closing_balance", "期末余额"},
                                 Word{"moved", "本期变动"},
                                 Word{"booked_later", "次月入账"},
                                 Word{"of_earlier_periods", "以前账期"},
                                 Word{"booked_in_period", "本期入账"},
                                 Word{"unit", "户表合计"},
                                 Word{"public", "公共合计"},
                                 Word{"main", "总表合计"},
                                 Word{"check", "考核合计"},
                                 Word{"difference", "差额"},
                                 Word{"loss_percent", "损耗率"},
                                 Word{"unread", "未抄到数"},
                                 Word{"estimated", "估算数"},
                                 Word{"charges", "收费"},
                                 Word{"ledger", "台账"},
                                 Word{"readings", "抄表"}};
constexpr std::array kMethods = {Word{"cash", "现金"}, Word{"transfer", "转账"}, Word{"qr", "扫码"},
                                 Word{"card", "刷卡"}, Word{"cheque", "支票"}};
constexpr std::array kUses = {Word{"home", "住宅"}, Word{"shop", "商铺"}, Word{"common", "公共"}};
constexpr std::array kBillings = {Word{"prepaid", "预存"}, Word{"internal", "内部"},
                                  Word{"none", "不计费"}};
constexpr std::array kAvailabilities = {Word{"online", "在线"}, Word{"offline", "离线"}};
constexpr std::array kAlertStates = {Word{"raised", "新发"},     Word{"escalated", "升级"},
                                     Word{"reminded", "再提醒"}, Word{"acknowledged", "已联系"},
                                     Word{"eased", "缓解"},      Word{"cleared", "解除"}};

void append_text(std::string& out, const json::value& value) {
    if (const auto* text = value.if_string()) {
        out.append(text->data(), text->size());
    } else if (value.is_int64()) {
        out += std::to_string(value.get_int64());
    } else if (value.is_uint64()) {
        out += std::to_string(value.get_uint64());
    } else if (value.is_bool()) {
        out += value.get_bool() ? "true" : "false";
    } else if (const auto* list = value.if_array()) {
        for (std::size_t i = 0; i < list->size(); ++i) {
            if (i != 0) out += ';';
            append_text(out, (*list)[i]);
        }
    }
}

const json::value* find(const json::object& item, std::string_view name) {
    const std::size_t dot = name.find('.');
    const json::value* value = item.if_contains(name.substr(0, dot));
    if (value == nullptr || dot == std::string_view::npos) return value;
    const json::object* inner = value->if_object();
    return inner == nullptr ? nullptr : find(*inner, name.substr(dot + 1));
}

bool looks_like_formula(std::string_view cell) {
    if (cell.empty()) return false;
    const char first = cell.front();
    if (first == '\t' || first == '\r') return true;
    return (first == '=' || first == '+' || first == '-' || first == '@') && !is_number(cell);
}

void append_csv_cell(std::string& out, std::string_view cell) {
    const bool formula = looks_like_formula(cell);
    if (cell.find_first_of(",\"\r\n") == std::string_view::npos) {
        if (formula) out += '\'';
        out += cell;
        return;
    }
    out += '"';
    if (formula) out += '\'';
    for (const char c : cell) {
        if (c == '"') out += '"';
        out += c;
    }
    out += '"';
}

}  // namespace

const CellWords kServiceWords = kServices, kRoleWords = kRoles, kQualityWords = kQualities,
            kReadingWords = kReadings, kEntryWords = kEntries, kMethodWords = kMethods,
            kUseWords = kUses, kBillingWords = kBillings, kAvailabilityWords = kAvailabilities,
            kAlertStateWords = kAlertStates;

bool is_number(std::string_view text) {
    if (!text.empty() && (text.front() == '-' || text.front() == '+')) text.remove_prefix(1);
    const std::size_t dot = text.find('.');
    const std::string_view whole = text.substr(0, dot);
    const auto digits = [](std::string_view part) {
        return !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
    };
    return digits(whole) && (dot == std::string_view::npos || digits(text.substr(dot + 1)));
}

void fill_row(const json::object& item, const TableSpec& spec, Row& row) {
    for (std::size_t i = 0; i < spec.columns.size(); ++i) {
        row[i].clear();
        const json::value* value = find(item, spec.columns[i].name);
        if (value != nullptr) append_text(row[i], *value);
    }
}

void translate(const TableSpec& spec, Row& row) {
    for (std::size_t i = 0; i < spec.columns.size(); ++i) {
        const Column& column = spec.columns[i];
        if (column.cell == Cell::flag) {
            if (!row[i].empty()) row[i] = row[i] == "true" ? "是" : "否";
            continue;
        }
        const auto word = std::find_if(column.words.begin(), column.words.end(),
                                       [&](const Word& one) { return one.first == row[i]; });
        if (word != column.words.end()) row[i] = word->second;
    }
}

void append_csv(std::string& out, const Row& row) {
    for (std::size_t i = 0; i < row.size(); ++i) {
        if (i != 0) out += ',';
        append_csv_cell(out, row[i]);
    }
    out += "\r\n";
}

void append_csv_head(std::string& out, const TableSpec& spec, bool chinese) {
    out += "\xEF\xBB\xBF";  // without it Excel takes UTF-8 for the code page of the machine
    Row head;
    for (const Column& column : spec.columns)
        head.emplace_back(chinese ? column.chinese : column.name);
    append_csv(out, head);
}

}  // namespace gatehouse::http
