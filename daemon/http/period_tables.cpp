// The files of a closed month as tables. They come from the sealed JSON line by line, so that the
// same bytes are made on every pull and no month is held whole.
#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include "daemon/core/units.hpp"
#include "daemon/engine/sealed_text.hpp"
#include "daemon/http/exports.hpp"
#include "daemon/http/params.hpp"
#include "daemon/http/period_tables.hpp"

namespace gatehouse::http {

namespace json = boost::json;

namespace {

const Column kReadingColumns[] = {
    {"no", "序号", Cell::count},
    {"unit", "房号"},
    {"unit_label", "房屋"},
    {"building", "楼栋"},
    {"entrance", "单元"},
    {"location", "位置"},
    {"use", "用途", Cell::word, kUseWords},
    {"meter", "表编号"},
    {"nameplate", "表号"},
    {"serial", "通讯编号"},
    {"service", "表类", Cell::word, kServiceWords},
    {"role", "表性质", Cell::word, kRoleWords},
    {"parent", "上级表"},
    {"multiplier", "倍率", Cell::number},
    {"start_at", "上期抄表时间", Cell::time},
    {"start_register", "起码", Cell::quantity},
    {"end_at", "本期抄表时间", Cell::time},
    {"end_register", "止码", Cell::quantity},
    {"register_use", "表计用量", Cell::quantity},
    {"quantity", "实际用量", Cell::quantity},
    {"unit_of_measure", "单位"},
    {"quality", "读数状态", Cell::word, kQualityWords},
    {"account", "账户"},
    {"epoch", "表期", Cell::count},
    {"end_seq", "记录号", Cell::count},
};

const Column kChargeColumns[] = {
    {"no", "序号", Cell::count},
    {"period", "账期"},
    {"unit", "房号"},
    {"unit_label", "房屋"},
    {"account", "账户"},
    {"billing", "计费方式", Cell::word, kBillingWords},
    {"kind", "类别", Cell::word, kEntryWords},
    {"service", "项目", Cell::word, kServiceWords},
    {"meters", "表编号"},
    {"tariff", "电价名称"},
    {"version", "版本生效日"},
    {"season", "季节"},
    {"tier", "阶梯档", Cell::count},
    {"band", "时段"},
    {"quantity", "用量", Cell::quantity},
    {"price", "单价", Cell::number},
    {"amount", "金额", Cell::money, {}, true},
    {"estimated", "估算标志", Cell::flag},
    {"refers_to", "关联账期"},
    {"cause", "依据"},
    {"line", "明细行", Cell::count},
    {"entry", "流水编号"},
    {"seq", "流水号", Cell::count},
    {"start", "起码", Cell::quantity},
    {"end", "止码", Cell::quantity},
    {"multiplier", "倍率"},
};
constexpr std::size_t kFaceColumns = 3;  // of charges, the last

const Column kLedgerColumns[] = {
    {"seq", "流水号", Cell::count},
    {"entry", "流水编号"},
    {"at", "日期时间", Cell::time},
    {"unit", "房号"},
    {"account", "账户"},
    {"kind", "摘要", Cell::word, kEntryWords},
    {"amount", "金额", Cell::money, {}, true},
    {"refers_to", "关联账期"},
    {"cause", "依据"},
    {"line", "明细行", Cell::count},
    {"receipt", "收据号"},
    {"method", "方式", Cell::word, kMethodWords},
    {"by", "经手人"},
    {"second", "复核人"},
    {"reverses", "关联流水"},
};

const Column kSummaryColumns[] = {
    {"section", "部分", Cell::word, kEntryWords},
    {"service", "项目", Cell::word, kServiceWords},
    {"tariff", "电价名称"},
    {"kind", "摘要", Cell::word, kEntryWords},
    {"rows", "笔数", Cell::count},
    {"quantity", "用量", Cell::quantity},
    {"amount", "金额", Cell::money},
};

const TableSpec kTables[] = {
    {"readings", "月抄表表", kReadingColumns},
    {"charges", "月收费明细表", kChargeColumns},
    {"ledger", "月台账", kLedgerColumns},
    {"summary", "月汇总表", kSummaryColumns},
};

// A month that was sealed before its lines had registers gives the same bytes as ever.
const TableSpec kChargesWithoutFaces{
    "charges", "月收费明细表",
    std::span(kChargeColumns).first(std::size(kChargeColumns) - kFaceColumns)};

const TableSpec& spec_of(const std::string& name) {
    return *std::find_if(std::begin(kTables), std::end(kTables),
                         [&](const TableSpec& spec) { return spec.name == name; });
}

std::string text_of(const json::object& object, const char* name) {
    const json::value* value = object.if_contains(name);
    if (value == nullptr || value->is_null()) return {};
    return value->is_string() ? std::string(value->get_string().c_str())
                              : std::to_string(value->to_number<std::int64_t>());
}

// What the face counted, before the multiplier.
void add_register_use(json::object& item) {
    const auto start = parse_decimal(text_of(item, "start_register"), 3);
    const auto end = parse_decimal(text_of(item, "end_register"), 3);
    if (start && end) item["register_use"] = format(Milli{*end - *start});
}

void summary_row(const TakeRow& take, const std::string& section, json::object item) {
    item["section"] = section;
    Row row(std::size(kSummaryColumns));
    fill_row(item, spec_of("summary"), row);
    take(row);
}

void summary_charges(const json::object& charges, const TakeRow& take) {
    if (const json::value* items = charges.if_contains("items"))
        for (const json::value& item : items->as_array())
            summary_row(take, "charges", item.as_object());
    for (const char* kind : {"total", "booked_later", "of_earlier_periods", "booked_in_period"})
        summary_row(take, "charges", {{"kind", kind}, {"amount", text_of(charges, kind)}});
}

void summary_ledger(const json::object& ledger, const TakeRow& take) {
    // A month that was sealed before the balances had names of their own stays as it was.
    const bool named = ledger.contains("opening_balance");
    const char* const opening = named ? "opening_balance" : "opening";
    summary_row(take, "ledger", {{"kind", opening}, {"amount", text_of(ledger, opening)}});
    for (const auto& kind : ledger.at("kinds").as_object())
        summary_row(take, "ledger",
                    {{"kind", kind.key()},
                     {"rows", text_of(kind.value().as_object(), "count")},
                     {"amount", text_of(kind.value().as_object(), "amount")}});
    for (const char* kind : {"moved", named ? "closing_balance" : "closing"})
        summary_row(take, "ledger", {{"kind", kind}, {"amount", text_of(ledger, kind)}});
}

void summary_readings(const json::object& services, const TakeRow& take) {
    for (const auto& service : services) {
        const json::object& totals = service.value().as_object();
        for (const char* kind : {"unit", "public", "main", "check", "difference", "loss_percent"}) {
            const std::string figure = text_of(totals, kind);
            if (!figure.empty())
                summary_row(take, "readings",
                            {{"kind", kind}, {"service", service.key()}, {"quantity", figure}});
        }
        for (const char* kind : {"unread", "estimated"})
            summary_row(
                take, "readings",
                {{"kind", kind}, {"service", service.key()}, {"rows", text_of(totals, kind)}});
    }
}

}  // namespace

void flatten(About& about, const std::string& name, const json::value& value) {
    if (const json::object* object = value.if_object()) {
        for (const auto& member : *object)
            flatten(
                about,
                name.empty() ? std::string(member.key()) : name + "." + std::string(member.key()),
                member.value());
    } else if (value.is_string()) {
        about.emplace_back(name, value.get_string().c_str());
    } else if (value.is_number()) {
        about.emplace_back(name, std::to_string(value.to_number<std::int64_t>()));
    }
}

void read_sealed_items(const PeriodFile& file, const std::function<void(json::object&)>& item,
                       const std::function<void(const json::object&)>& member) {
    std::string line;
    bool first = true;
    const auto take_line = [&] {
        std::string_view text = line;
        if (first) {
            // The head, up to the items; a file without any is one line.
            first = false;
            const bool open = text.ends_with("[");
            member(json::parse(std::string(text) + (open ? "]}" : "")).as_object());
        } else if (text.starts_with("]")) {
            member(json::parse("{\"items\":[" + std::string(text)).as_object());
        } else if (!text.empty()) {
            if (text.ends_with(",")) text.remove_suffix(1);
            json::value value = json::parse({text.data(), text.size()});
            item(value.as_object());
        }
        line.clear();
    };
    read_sealed(file, [&](std::string_view piece) {
        for (std::size_t end = 0; (end = piece.find('\n')) != std::string_view::npos;) {
            line += piece.substr(0, end);
            piece.remove_prefix(end + 1);
            take_line();
        }
        line += piece;
    });
    if (!line.empty()) take_line();
}

namespace {

// Its head says so, before the first item.
bool has_faces(const PeriodFile& file) {
    std::string head;
    bool ended = false;
    read_sealed(file, [&](std::string_view piece) {
        if (ended) return;
        const std::size_t end = piece.find('\n');
        ended = end != std::string_view::npos;
        head += piece.substr(0, end);
    });
    return head.find("\"faces\":true") != std::string::npos;
}

}  // namespace

Response period_table(Call& call, const std::string& month, const StoredPeriod& period,
                      const PeriodFile& file) {
    const bool old = file.name == "charges" && !has_faces(file);
    const TableSpec& spec = old ? kChargesWithoutFaces : spec_of(file.name);
    return file_response(call, spec, month + "-" + file.name, [&](const TakeRow& take) {
        About about;
        Row row(spec.columns.size());
        const bool readings = file.name == "readings";
        read_sealed_items(
            file,
            [&](json::object& item) {
                if (readings) add_register_use(item);
                fill_row(item, spec, row);
                take(row);
            },
            [&](const json::object& members) {
                if (const json::value* charges = members.if_contains("charges"))
                    summary_charges(charges->as_object(), take);
                if (const json::value* ledger = members.if_contains("ledger"))
                    summary_ledger(ledger->as_object(), take);
                if (const json::value* use = members.if_contains("readings"))
                    summary_readings(use->as_object(), take);
                flatten(about, {}, members);
            });
        about.emplace_back("closed_by", period.row.by);
        about.emplace_back("seal_sha256", file.sha256);
        return about;
    });
}

}  // namespace gatehouse::http
