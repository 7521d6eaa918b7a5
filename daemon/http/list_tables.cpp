// The lists as tables: their columns, and who is walked for them.
#include <array>

#include "daemon/http/exports.hpp"
#include "daemon/http/params.hpp"
#include "daemon/http/reading_query.hpp"

namespace gatehouse::http {

namespace {

constexpr std::size_t kPageReadings = 4'096;

const Column kMeterColumns[] = {
    {"meter", "表编号"},
    {"unit", "房号"},
    {"unit_label", "房屋"},
    {"service", "表类", Cell::word, kServiceWords},
    {"role", "表性质", Cell::word, kRoleWords},
    {"register", "表码", Cell::quantity},
    {"multiplier", "倍率", Cell::number},
    {"total", "累计用量", Cell::quantity},
    {"unit_of_measure", "单位"},
    {"power", "功率(W)", Cell::number},
    {"flow", "流量(m3/h)", Cell::number},
    {"quality", "读数状态", Cell::word, kQualityWords},
    {"read_at", "抄表时间", Cell::time},
    {"availability", "通讯状态", Cell::word, kAvailabilityWords},
    {"reason", "原因"},
    {"account", "账户"},
    {"bus", "总线"},
    {"address", "通讯地址", Cell::count},
    {"channel", "通道", Cell::count},
    {"profile", "型号"},
    {"serial", "通讯编号"},
    {"nameplate", "表号"},
    {"location", "位置"},
    {"last_poll_at", "最近通讯", Cell::time},
};

const Column kAccountColumns[] = {
    {"account", "账户"},
    {"unit", "房号"},
    {"unit_label", "房屋"},
    {"service", "项目", Cell::word, kServiceWords},
    {"tariff", "电价名称"},
    {"billing", "计费方式", Cell::word, kBillingWords},
    {"ledger", "账面余额", Cell::money, {}, true},
    {"balance", "余额", Cell::money, {}, true},
    {"provisional", "暂估余额", Cell::money, {}, true},
    {"currency", "币种"},
    {"days_left", "可用天数", Cell::count},
    {"level", "级别", Cell::count},
    {"quality", "读数状态", Cell::word, kQualityWords},
    {"as_of", "读数截至", Cell::time},
    {"thresholds.low_balance", "低余额提醒", Cell::money},
    {"thresholds.critical_balance", "紧急提醒", Cell::money},
    {"thresholds.overdraft", "透支额", Cell::money},
    {"trial", "试运行", Cell::flag},
    {"open", "在用", Cell::flag},
    {"closed", "销户时间", Cell::time},
};

// The order that ReadingRows writes in.
const Column kReadingColumns[] = {
    {"seq", "记录号", Cell::count},
    {"kind", "类别", Cell::word, kReadingWords},
    {"meter", "表编号"},
    {"unit", "房号"},
    {"account", "账户"},
    {"role", "表性质", Cell::word, kRoleWords},
    {"service", "表类", Cell::word, kServiceWords},
    {"register", "表码", Cell::quantity},
    {"multiplier", "倍率", Cell::number},
    {"total", "累计用量", Cell::quantity},
    {"quality", "读数状态", Cell::word, kQualityWords},
    {"at", "抄表时间", Cell::time},
    {"received_at", "接收时间", Cell::time},
    {"epoch", "表期", Cell::count},
    {"serial", "通讯编号"},
    {"supersedes", "更正记录号", Cell::count},
    {"time_untrusted", "时间未核实", Cell::flag},
};

const Column kPointColumns[] = {
    {"at", "时间", Cell::time},
    {"day", "日期"},
    {"total", "累计用量", Cell::quantity},
    {"consumption", "用量", Cell::quantity, {}, true},
    {"quality", "读数状态", Cell::word, kQualityWords},
    {"reading", "记录号", Cell::count},
};

const Column kEntryColumns[] = {
    {"seq", "流水号", Cell::count},
    {"entry", "流水编号"},
    {"at", "日期时间", Cell::time},
    {"account", "账户"},
    {"kind", "摘要", Cell::word, kEntryWords},
    {"amount", "金额", Cell::money, {}, true},
    {"balance_after", "余额", Cell::money},
    {"month", "账期"},
    {"cause", "依据"},
    {"line", "明细行", Cell::count},
    {"receipt", "收据号"},
    {"method", "方式", Cell::word, kMethodWords},
    {"reference", "交易单号"},
    {"by", "经手人"},
    {"second", "复核人"},
    {"reverses", "关联流水"},
    {"reason", "原因"},
    {"note", "备注"},
};

const Column kQuarantineColumns[] = {
    {"id", "编号"},
    {"meter", "表编号"},
    {"account", "账户"},
    {"register", "表码", Cell::quantity},
    {"total", "累计用量", Cell::quantity},
    {"at", "抄表时间", Cell::time},
    {"reason", "原因"},
    {"held", "暂扣金额", Cell::money, {}, true},
    {"serial", "通讯编号"},
};

const Column kAlertColumns[] = {
    {"id", "编号"},
    {"kind", "类别"},
    {"state", "状态", Cell::word, kAlertStateWords},
    {"severity", "严重程度"},
    {"subject", "对象"},
    {"level", "级别", Cell::count},
    {"account", "账户"},
    {"unit", "房号"},
    {"unit_label", "房屋"},
    {"service", "项目", Cell::word, kServiceWords},
    {"balance", "余额", Cell::money},
    {"threshold", "阈值", Cell::number},
    {"days_left", "可用天数", Cell::count},
    {"quality", "读数状态", Cell::word, kQualityWords},
    {"opened_at", "发生时间", Cell::time},
    {"at", "最近变化", Cell::time},
    {"text", "内容"},
};

const TableSpec kMeters{"meters", "表计", kMeterColumns};
const TableSpec kAccounts{"accounts", "账户", kAccountColumns};
const TableSpec kReadings{"readings", "抄表记录", kReadingColumns};
const TableSpec kPoints{"consumption", "用量", kPointColumns};
const TableSpec kLedger{"ledger", "台账", kEntryColumns};
const TableSpec kCharges{"charges", "收费流水", kEntryColumns};
const TableSpec kQuarantine{"quarantine", "待核读数", kQuarantineColumns};
const TableSpec kAlerts{"alerts", "提醒", kAlertColumns};

// The same text as format_iso8601, of which many rows share all but the seconds.
class TimeText {
  public:
    explicit TimeText(const Zone& zone) : zone_(zone) {}
    void write(std::string& out, UtcMs at) {
        const UtcMs minute = at - ((at % kMinuteMs) + kMinuteMs) % kMinuteMs;
        if (minute != minute_) {
            text_ = format_iso8601(minute, zone_);
            minute_ = minute;
        }
        out = text_;
        const auto second = static_cast<int>((at - minute) / 1'000);
        out[kSeconds] = static_cast<char>('0' + second / 10);
        out[kSeconds + 1] = static_cast<char>('0' + second % 10);
    }

  private:
    static constexpr UtcMs kMinuteMs = 60'000;
    static constexpr std::size_t kSeconds = 17;  // 2026-11-23T20:15:00+08:00
    const Zone& zone_;
    UtcMs minute_ = INT64_MIN;
    std::string text_;
};

// Readings without a detour through JSON: a month of them may be eleven million rows. Between two
// pages no connection is held, so that the journal of the books can be taken over meanwhile.
class ReadingRows final : public RowSource {
  public:
    ReadingRows(Call& call, ReadingFilter filter, std::uint64_t after,
                std::optional<std::uint64_t> limit)
        : app_(call.app),
          filter_(std::move(filter)),
          after_(after),
          limit_(limit),
          at_text_(call.app.zone),
          received_text_(call.app.zone) {}
    bool next(Row& row) override {
        if (at_ == page_.items.size()) {
            if (done_) return false;
            page_ = app_.readers.take()->readings_after(
                after_, static_cast<std::size_t>(limit_.value_or(kPageReadings)), filter_);
            at_ = 0;
            after_ = page_.next;
            done_ = limit_ || !page_.has_more;
            if (page_.items.empty()) return false;
        }
        write(page_.items[at_++], row);
        return true;
    }

  private:
    void write(const StoredReading& reading, Row& row) {
        const ReadingRow& stored = reading.row;
        std::size_t i = 0;
        row[i++] = std::to_string(stored.seq);
        row[i++] = to_string(stored.kind);
        row[i++] = stored.meter;
        row[i++] = reading.unit;
        row[i++] = stored.account;
        row[i++] = to_string(reading.role);
        row[i++] = to_string(reading.service);
        row[i++] = format(stored.register_value);
        row[i++] = reading.multiplier;
        row[i++] = format(stored.total);
        row[i++] = to_string(stored.quality);
        at_text_.write(row[i++], reading.at.at);
        received_text_.write(row[i++], reading.received_at.at);
        row[i++] = std::to_string(stored.epoch);
        row[i++] = reading.serial;
        row[i++] = stored.supersedes ? std::to_string(*stored.supersedes) : std::string();
        row[i] = reading.at.trusted ? "" : "true";
    }

    App& app_;
    ReadingFilter filter_;
    std::uint64_t after_;
    std::optional<std::uint64_t> limit_;
    TimeText at_text_, received_text_;
    ReadingPage page_;
    std::size_t at_ = 0;
    bool done_ = false;
};

bool asks_for_part(const Request& request) {
    for (const auto& [name, value] : request.query)
        if (name == "limit") return true;
    return false;
}

// All of a list that grows for ever is the one kind of export that is heavy.
std::shared_ptr<HeavyExport> heavy(Call& call) {
    return asks_for_part(call.request) ? nullptr : std::make_shared<HeavyExport>(call.app);
}

}  // namespace

Response table_meters(Call& call) {
    return table_response(call, kMeters, list_source(call, get_meters, kMeters));
}

Response table_accounts(Call& call) {
    return table_response(call, kAccounts, list_source(call, get_accounts, kAccounts));
}

Response table_readings(Call& call) {
    Query query(call.request);
    static_cast<void>(query.text("lang"));
    std::optional<std::uint64_t> limit;
    if (asks_for_part(call.request)) limit = query.limit();
    const std::uint64_t after = query.after_seq();
    ReadingFilter filter = reading_filter(query, call.app.zone);
    query.finish();
    auto place = heavy(call);
    return table_response(call, kReadings,
                          std::make_unique<ReadingRows>(call, std::move(filter), after, limit),
                          std::move(place));
}

Response table_meter_readings(Call& call) {
    bool raw = true;
    for (const auto& [name, value] : call.request.query)
        if (name == "step") raw = value == "raw";
    const TableSpec& spec = raw ? kReadings : kPoints;
    return table_response(call, spec, list_source(call, get_meter_readings, spec));
}

Response table_ledger(Call& call) {
    return table_response(call, kLedger, list_source(call, get_ledger, kLedger));
}

Response table_charges(Call& call) {
    auto place = heavy(call);
    return table_response(call, kCharges, list_source(call, get_charges, kCharges),
                          std::move(place));
}

Response table_quarantine(Call& call) {
    return table_response(call, kQuarantine, list_source(call, get_quarantine, kQuarantine));
}

Response table_alerts(Call& call) {
    return table_response(call, kAlerts, list_source(call, get_alerts, kAlerts));
}

}  // namespace gatehouse::http
