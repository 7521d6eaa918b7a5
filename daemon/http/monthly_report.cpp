// A closed month's readings for the office, one row a meter.
#include <array>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "daemon/core/units.hpp"
#include "daemon/http/exports.hpp"
#include "daemon/http/params.hpp"
#include "daemon/http/period_tables.hpp"

namespace gatehouse::http {

namespace json = boost::json;

namespace {

const Column kMonthlyColumns[] = {
    {"no", "序号", Cell::count},
    {"unit", "房号"},
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
    {"band_1", "尖用量", Cell::quantity},
    {"band_2", "峰用量", Cell::quantity},
    {"band_3", "平用量", Cell::quantity},
    {"band_4", "谷用量", Cell::quantity},
    {"quality", "读数状态", Cell::word, kQualityWords},
    {"old_final", "换表旧表止码", Cell::quantity},
    {"new_opening", "换表新表底数", Cell::quantity},
    {"previous_quantity", "上月用量", Cell::quantity},
    {"change_pct", "变化率", Cell::number},
    {"account", "账户"},
    {"note", "备注"},
    {"seq", "记录号", Cell::count},
};

const TableSpec kMonthly{"monthly", "月抄表表", kMonthlyColumns};

using TakeItem = std::function<void(json::object&)>;

std::optional<std::int64_t> milli_of(const json::object& item, const char* name) {
    const json::value* value = item.if_contains(name);
    if (value == nullptr || !value->is_string()) return std::nullopt;
    return parse_decimal({value->get_string().data(), value->get_string().size()}, 3);
}

void put(json::object& item, const char* name, std::optional<std::int64_t> milli) {
    if (milli) item[name] = format(Milli{*milli});
}

// What each band of a price by the hour counted, as the month's charges say it. A line that several
// meters share says it of all of them together, so none of them gets a figure.
class BandUse {
  public:
    BandUse(const PeriodFile& charges, bool chinese) : chinese_(chinese) {
        read_sealed_items(
            charges, [&](json::object& item) { take(item); }, [](const json::object&) {});
    }
    void fill(const std::string& meter, json::object& row, std::string& note) const {
        const auto found = meters_.find(meter);
        if (found == meters_.end()) return;
        for (std::size_t column = 0; column < kColumns; ++column)
            put(row, kNames[column], found->second.columns[column]);
        for (const auto& [band, quantity] : found->second.others)
            add_to(note, band + " " + format(Milli{quantity}));
        for (const std::string& account : found->second.shared)
            add_to(note, chinese_ ? "分时用量合计见账户" + account + "的收费明细"
                                  : "bands of all its meters: charges of " + account);
    }
    static void add_to(std::string& note, const std::string& what) {
        note += (note.empty() ? "" : "; ") + what;
    }

  private:
    static constexpr std::size_t kColumns = 4;
    static constexpr const char* kNames[kColumns] = {"band_1", "band_2", "band_3", "band_4"};
    struct Use {
        std::array<std::optional<std::int64_t>, kColumns> columns;
        std::map<std::string, std::int64_t> others;
        std::set<std::string> shared;
    };

    // The four kinds that an office knows; another name stands in the note.
    static std::optional<std::size_t> column_of(const std::string& band) {
        constexpr std::pair<std::string_view, std::size_t> kWords[] = {
            {"sharp", 0}, {"critical", 0}, {"尖", 0},   {"valley", 3}, {"off", 3},    {"谷", 3},
            {"peak", 1},  {"峰", 1},       {"flat", 2}, {"mid", 2},    {"normal", 2}, {"平", 2}};
        for (const auto& [word, column] : kWords)
            if (band.find(word) != std::string::npos) return column;
        return std::nullopt;
    }
    void take(const json::object& item) {
        const json::value* band = item.if_contains("band");
        const json::value* meters = item.if_contains("meters");
        const auto quantity = milli_of(item, "quantity");
        if (band == nullptr || meters == nullptr || !quantity || item.at("kind") != "line") return;
        const json::array& names = meters->as_array();
        for (const json::value& name : names) {
            Use& use = meters_[name.as_string().c_str()];
            if (names.size() > 1) {
                use.shared.insert(item.at("account").as_string().c_str());
                continue;
            }
            const std::string word = band->as_string().c_str();
            if (const auto column = column_of(word)) {
                use.columns[*column] = use.columns[*column].value_or(0) + *quantity;
            } else {
                use.others[word] += *quantity;
            }
        }
    }

    bool chinese_;
    std::map<std::string, Use> meters_;
};

// Rows of one meter that was replaced become one: from the first start to the last end.
class MeterMonths {
  public:
    MeterMonths(std::map<std::string, std::int64_t> before, BandUse bands, bool chinese,
                TakeItem take)
        : before_(std::move(before)),
          bands_(std::move(bands)),
          chinese_(chinese),
          take_(std::move(take)) {}
    void add(json::object& item) {
        std::string meter = item.at("meter").as_string().c_str();
        if (meter == meter_) return merge(item);
        flush();
        meter_ = std::move(meter);
        row_ = std::move(item);
        exchanges_ = 0;
        used_ = milli_of(row_, "quantity");
        counted_ = difference(row_);
    }
    void flush() {
        if (meter_.empty()) return;
        row_["no"] = ++count_;
        put(row_, "quantity", used_);
        put(row_, "register_use", counted_);
        if (const json::value* seq = row_.if_contains("end_seq")) row_["seq"] = *seq;
        if (const auto before = before_.find(meter_); before != before_.end()) {
            put(row_, "previous_quantity", before->second);
            // Tenths of a percent, toward zero.
            if (used_ && before->second > 0) {
                const Int128 change = Int128{*used_ - before->second} * 1'000 / before->second;
                row_["change_pct"] = format_decimal(static_cast<std::int64_t>(change), 1);
            }
        }
        std::string note;
        if (exchanges_ > 1)
            BandUse::add_to(note, chinese_ ? "本月换表" + std::to_string(exchanges_) + "次"
                                           : "replaced " + std::to_string(exchanges_) + " times");
        bands_.fill(meter_, row_, note);
        if (!note.empty()) row_["note"] = note;
        take_(row_);
        meter_.clear();
    }

  private:
    static std::optional<std::int64_t> difference(const json::object& item) {
        const auto start = milli_of(item, "start_register");
        const auto end = milli_of(item, "end_register");
        if (!start || !end) return std::nullopt;
        return *end - *start;
    }
    void merge(json::object& next) {
        ++exchanges_;
        put(row_, "old_final", milli_of(row_, "end_register"));
        put(row_, "new_opening", milli_of(next, "start_register"));
        if (const auto more = milli_of(next, "quantity")) used_ = used_.value_or(0) + *more;
        if (const auto more = difference(next)) counted_ = counted_.value_or(0) + *more;
        for (const char* name :
             {"end_at", "end_register", "end_seq", "quality", "serial", "multiplier", "account"})
            if (const json::value* value = next.if_contains(name)) row_[name] = *value;
    }

    std::map<std::string, std::int64_t> before_;
    BandUse bands_;
    bool chinese_;
    TakeItem take_;
    std::string meter_;
    json::object row_;
    std::optional<std::int64_t> used_, counted_;
    int count_ = 0, exchanges_ = 0;
};

LocalDate month_before(LocalDate month) {
    return month.month == 1 ? LocalDate{month.year - 1, 12, 1}
                            : LocalDate{month.year, month.month - 1, 1};
}

std::string month_name(LocalDate month) {
    return format_date(month).substr(0, 7);
}

PeriodFile sealed(Call& call, LocalDate month, const char* name) {
    auto file = call.app.readers.take()->period_file(month_name(month), name);
    if (file) return *std::move(file);
    throw Refused{problem(409, "period-open",
                          month_name(month) + " is not closed; its report comes from its files. "
                                              "GET /api/v1/periods says how it stands.")};
}

LocalDate report_month(Call& call) {
    Query query(call.request);
    if (call.request.format != Format::json) static_cast<void>(query.text("lang"));
    query.finish();
    const auto month = parse_month(call.params[0]);
    if (!month)
        throw Refused{
            problem(404, "not-found", call.params[0] + " is no month; write one as 2026-11.")};
    return *month;
}

void monthly(Call& call, LocalDate month, const TakeItem& take,
             const std::function<void(const json::object&)>& member) {
    const PeriodFile file = sealed(call, month, "readings");
    std::map<std::string, std::int64_t> before;
    const auto previous =
        call.app.readers.take()->period_file(month_name(month_before(month)), "readings");
    if (previous)
        read_sealed_items(
            *previous,
            [&](json::object& item) {
                if (const auto used = milli_of(item, "quantity"))
                    before[item.at("meter").as_string().c_str()] += *used;
            },
            [](const json::object&) {});
    const bool chinese = call.request.format != Format::json && wants_chinese(call.request);
    MeterMonths months(std::move(before), BandUse(sealed(call, month, "charges"), chinese), chinese,
                       take);
    read_sealed_items(
        file, [&](json::object& item) { months.add(item); }, member);
    months.flush();
}
}  // namespace

Response get_monthly(Call& call) {
    const LocalDate month = report_month(call);
    JsonWriter json;
    json.begin_object().field("month", month_name(month)).key("items").begin_array();
    json::value totals;
    monthly(
        call, month, [&](json::object& item) { json.raw(json::serialize(item)); },
        [&](const json::object& members) {
            if (const json::value* found = members.if_contains("totals")) totals = *found;
        });
    json.end_array().key("totals").raw(json::serialize(totals));
    json.end_object();
    return json_response(json.take());
}

Response table_monthly(Call& call) {
    const LocalDate month = report_month(call);
    return file_response(call, kMonthly, month_name(month) + "-monthly", [&](const TakeRow& take) {
        Row row(std::size(kMonthlyColumns));
        About about{{"period", month_name(month)}};
        monthly(
            call, month,
            [&](json::object& item) {
                fill_row(item, kMonthly, row);
                take(row);
            },
            [&](const json::object& members) {
                if (const json::value* totals = members.if_contains("totals"))
                    flatten(about, "totals", *totals);
            });
        return about;
    });
}
}  // namespace gatehouse::http
