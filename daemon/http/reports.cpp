// Reports of the office: a month's readings one row a meter, a day's takings, and the book of an
// account or a building with what it began and ended with.
#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <map>
#include <optional>
#include <tuple>

#include "daemon/core/units.hpp"
#include "daemon/http/exports.hpp"
#include "daemon/http/params.hpp"
#include "daemon/http/period_tables.hpp"

namespace gatehouse::http {

namespace json = boost::json;

namespace {

constexpr std::size_t kBookPage = 500;
constexpr std::size_t kJsonRowsMax = 20'000;  // of one document; a CSV has no such limit
constexpr std::int64_t kDayMs = 86'400'000;

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
    {"quality", "读数状态", Cell::word, kQualityWords},
    {"old_final", "换表旧表止码", Cell::quantity},
    {"new_opening", "换表新表底数", Cell::quantity},
    {"previous_quantity", "上月用量", Cell::quantity},
    {"change_pct", "变化率", Cell::number},
    {"account", "账户"},
    {"seq", "记录号", Cell::count},
};

const Column kDailyColumns[] = {
    {"date", "日期"},
    {"collector", "收费员"},
    {"method", "收款方式", Cell::word, kMethodWords},
    {"count", "笔数", Cell::count, {}, true},
    {"electricity", "电费预存", Cell::money, {}, true},
    {"water", "水费预存", Cell::money, {}, true},
    {"all", "水电预存", Cell::money, {}, true},
    {"refunds", "退费", Cell::money, {}, true},
    {"voided", "作废张数", Cell::count, {}, true},
    {"voided_amount", "作废金额", Cell::money, {}, true},
    {"due", "合计应交", Cell::money, {}, true},
    {"receipt_first", "收据起号"},
    {"receipt_last", "收据止号"},
};

const Column kBookColumns[] = {
    {"no", "序号", Cell::count},
    {"at", "日期时间", Cell::time},
    {"unit", "房号"},
    {"account", "账户"},
    {"summary", "摘要", Cell::word, kEntryWords},
    {"service", "项目", Cell::word, kServiceWords},
    {"tariff", "电价名称"},
    {"tariff_version", "单价版本"},
    {"period", "账期"},
    {"in", "收入", Cell::money, {}, true},
    {"out", "扣费", Cell::money, {}, true},
    {"balance_after", "余额", Cell::money},
    {"method", "方式", Cell::word, kMethodWords},
    {"receipt", "收据号"},
    {"reference", "交易单号"},
    {"by", "经手人"},
    {"approved_by", "复核人"},
    {"relates_to", "关联流水"},
    {"note", "备注"},
    {"seq", "流水号", Cell::count},
};

const TableSpec kMonthly{"monthly", "月抄表表", kMonthlyColumns};
const TableSpec kDaily{"daily", "收费日报表", kDailyColumns};
const TableSpec kBook{"ledger-book", "水电预存台账", kBookColumns};

using TakeItem = std::function<void(json::object&)>;

std::optional<std::int64_t> milli_of(const json::object& item, const char* name) {
    const json::value* value = item.if_contains(name);
    if (value == nullptr || !value->is_string()) return std::nullopt;
    return parse_decimal({value->get_string().data(), value->get_string().size()}, 3);
}

void put(json::object& item, const char* name, std::optional<std::int64_t> milli) {
    if (milli) item[name] = format(Milli{*milli});
}

// Rows of one meter that was replaced become one: from the first start to the last end.
class MeterMonths {
  public:
    explicit MeterMonths(std::map<std::string, std::int64_t> before, TakeItem take)
        : before_(std::move(before)), take_(std::move(take)) {}
    void add(json::object& item) {
        std::string meter = item.at("meter").as_string().c_str();
        if (meter == meter_) return merge(item);
        flush();
        meter_ = std::move(meter);
        row_ = std::move(item);
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
        put(row_, "old_final", milli_of(row_, "end_register"));
        put(row_, "new_opening", milli_of(next, "start_register"));
        if (const auto more = milli_of(next, "quantity")) used_ = used_.value_or(0) + *more;
        if (const auto more = difference(next)) counted_ = counted_.value_or(0) + *more;
        for (const char* name :
             {"end_at", "end_register", "end_seq", "quality", "serial", "multiplier", "account"})
            if (const json::value* value = next.if_contains(name)) row_[name] = *value;
    }

    std::map<std::string, std::int64_t> before_;
    TakeItem take_;
    std::string meter_;
    json::object row_;
    std::optional<std::int64_t> used_, counted_;
    int count_ = 0;
};

LocalDate month_before(LocalDate month) {
    return month.month == 1 ? LocalDate{month.year - 1, 12, 1}
                            : LocalDate{month.year, month.month - 1, 1};
}

std::string month_name(LocalDate month) {
    return format_date(month).substr(0, 7);
}

PeriodFile sealed_readings(Call& call, LocalDate month) {
    auto file = call.app.readers.take()->period_file(month_name(month), "readings");
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
    const PeriodFile file = sealed_readings(call, month);
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
    MeterMonths months(std::move(before), take);
    read_sealed_items(
        file, [&](json::object& item) { months.add(item); }, member);
    months.flush();
}

// A day's takings of one collector by one method.
struct Takings {
    std::size_t count = 0, voided = 0;
    Fen electricity, water, all, refunds, voided_amount, due;
    std::string first, last;  // receipts
};

struct Day {
    LocalDate date;
    UtcMs from = 0, to = 0;
};
Day report_day(Call& call) {
    Query query(call.request);
    if (call.request.format != Format::json) static_cast<void>(query.text("lang"));
    query.finish();
    const auto date = parse_date(call.params[0]);
    if (!date)
        throw Refused{
            problem(404, "not-found", call.params[0] + " is no day; write one as 2026-11-23.")};
    const LocalDate next = date_from_days(days_since_epoch(*date) + 1);
    return {*date, call.app.zone.midnight(*date), call.app.zone.midnight(next)};
}

// The seq before the first entry at or after that time. Entries come in order of time but for
// steps of the clock, so a bisection finds the place.
std::uint64_t entries_before(StoreReader& reader, UtcMs from) {
    std::uint64_t low = 0;
    std::uint64_t high = 1;
    const auto early = [&](std::uint64_t seq) {
        const EntryPage page = reader.entries_after(seq, 1);
        return !page.items.empty() && page.items.front().at.at < from;
    };
    while (early(high)) high *= 2;
    while (low < high) {
        const std::uint64_t middle = low + (high - low) / 2;
        if (early(middle)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

using TakingsBook = std::map<std::pair<std::string, std::string>, Takings>;

void count_topup(Takings& takings, const StoredEntry& stored, AccountService service) {
    const Entry& entry = stored.entry;
    ++takings.count;
    Fen& sum = service == AccountService::water         ? takings.water
               : service == AccountService::electricity ? takings.electricity
                                                        : takings.all;
    sum += entry.amount;
    takings.due += entry.amount;
    if (takings.first.empty()) takings.first = entry.receipt;
    takings.last = entry.receipt;
}

TakingsBook takings_of(Call& call, const Day& day) {
    std::map<std::string, AccountService> services;
    for (std::size_t i = 0; i < call.snapshot->accounts.size(); ++i)
        services[call.snapshot->accounts[i].account] = call.snapshot->accounts[i].service;
    TakingsBook book;
    const auto reader = call.app.readers.take();
    std::uint64_t after = entries_before(*reader.operator->(), day.from);
    for (bool more = true; more;) {
        const EntryPage page = reader->entries_after(
            after, kBookPage, {EntryKind::topup, EntryKind::refund, EntryKind::reversal});
        after = page.next;
        more = page.has_more;
        for (const StoredEntry& stored : page.items) {
            if (stored.at.at >= day.to) return book;
            const Entry& entry = stored.entry;
            std::string method = stored.method;
            if (entry.kind == EntryKind::reversal) {
                const auto undone = reader->entry(entry.reverses);
                if (!undone || undone->entry.kind != EntryKind::topup) continue;
                method = undone->method;
            }
            Takings& takings = book[{entry.by, method}];
            if (entry.kind == EntryKind::topup) {
                count_topup(takings, stored, services[entry.account]);
            } else if (entry.kind == EntryKind::refund) {
                takings.refunds -= entry.amount;
                takings.due += entry.amount;
            } else {
                ++takings.voided;
                takings.voided_amount -= entry.amount;
                takings.due += entry.amount;
            }
        }
    }
    return book;
}

json::object takings_item(const Day& day, const std::pair<std::string, std::string>& who,
                          const Takings& takings) {
    return {{"date", format_date(day.date)},
            {"collector", who.first},
            {"method", who.second},
            {"count", takings.count},
            {"electricity", format(takings.electricity)},
            {"water", format(takings.water)},
            {"all", format(takings.all)},
            {"refunds", format(takings.refunds)},
            {"voided", takings.voided},
            {"voided_amount", format(takings.voided_amount)},
            {"due", format(takings.due)},
            {"receipt_first", takings.first},
            {"receipt_last", takings.last}};
}

// What stands below the sheet; of now, because an alert keeps no history of its days.
void follow_up(JsonWriter& json, Call& call) {
    std::size_t open = 0, contacted = 0, late = 0, unread = 0;
    for (const auto& alert : call.snapshot->open_alerts) {
        if (alert->kind != "low_balance") continue;
        ++open;
        if (alert->acknowledged) ++contacted;
        if (!alert->acknowledged && alert->opened_at < call.snapshot->now_ms - kDayMs) ++late;
    }
    for (std::size_t i = 0; i < call.snapshot->meters.size(); ++i) {
        const MeterView& meter = call.snapshot->meters[i];
        if (!meter.read_at || *meter.read_at < call.snapshot->now_ms - kDayMs) ++unread;
    }
    const auto held = call.app.readers.take()->quarantine(QuarantineRow::State::open, 0, kBookPage);
    json.begin_object()
        .field("low_balance_open", open)
        .field("contacted", contacted)
        .field("not_contacted_24h", late)
        .field("not_read_24h", unread)
        .field("quarantined", held.size())
        .end_object();
}

// The accounts of a book one after the other, each with its opening and closing balance.
class LedgerBook {
  public:
    explicit LedgerBook(Call& call) : app_(call.app), snapshot_(call.snapshot) {
        Query query(call.request);
        if (call.request.format != Format::json) static_cast<void>(query.text("lang"));
        const auto account = query.text("account");
        const auto building = query.text("building");
        from_ = query.time("from", app_.zone).value_or(0);
        to_ = query.time("to", app_.zone).value_or(INT64_MAX);
        query.finish();
        if (account.has_value() == building.has_value())
            throw Refused{problem(400, "query", "Name either account= or building=.")};
        if (from_ >= to_) throw Refused{problem(400, "query", "from is not before to.")};
        if (account) {
            const AccountView& view =
                find_row(snapshot_->accounts, *account, &AccountView::account, "account");
            accounts_.emplace_back(view.account, view.unit);
        } else {
            add_building(*building);
        }
    }
    bool next(json::object& item) {
        while (at_ == rows_.size()) {
            if (account_ == accounts_.size()) return false;
            read_account(accounts_[account_++]);
        }
        item = std::move(rows_[at_++]);
        item["no"] = ++count_;
        return true;
    }

  private:
    void add_building(const std::string& building) {
        std::map<std::string, bool> inside;
        for (const Unit& unit : snapshot_->registry->units)
            if (unit.building == building) inside[unit.unit] = true;
        for (std::size_t i = 0; i < snapshot_->accounts.size(); ++i) {
            const AccountView& view = snapshot_->accounts[i];
            if (inside.contains(view.unit)) accounts_.emplace_back(view.account, view.unit);
        }
        if (inside.empty())
            throw Refused{
                problem(404, "not-found", "No unit of a building " + building + " is known.")};
    }

    void edge(const std::pair<std::string, std::string>& account, const char* what, UtcMs at,
              Fen balance) {
        rows_.push_back({{"at", format_iso8601(at, app_.zone)},
                         {"unit", account.second},
                         {"account", account.first},
                         {"summary", what},
                         {"balance_after", format(balance)}});
    }

    void read_account(const std::pair<std::string, std::string>& account) {
        rows_.clear();
        at_ = 0;
        Fen balance;
        UtcMs newest = from_;
        bool opened = false;
        std::uint64_t after = 0;
        for (bool more = true; more;) {
            const EntryPage page = app_.readers.take()->ledger(account.first, after, kBookPage);
            after = page.next;
            more = page.has_more;
            for (const StoredEntry& stored : page.items) {
                if (stored.at.at >= to_) {
                    more = false;
                    break;
                }
                if (stored.at.at >= from_) {
                    if (!opened)
                        edge(account, "opening", from_ == 0 ? stored.at.at : from_, balance);
                    opened = true;
                    rows_.push_back(entry_row(stored, account.second));
                }
                balance = stored.balance_after;
                newest = std::max(newest, stored.at.at);
            }
        }
        if (!opened && from_ != 0) edge(account, "opening", from_, balance);
        if (opened || from_ != 0)
            edge(account, "closing", to_ == INT64_MAX ? newest : to_, balance);
    }

    json::object entry_row(const StoredEntry& stored, const std::string& unit) {
        const Entry& entry = stored.entry;
        json::object row{{"at", format_iso8601(stored.at.at, app_.zone)},
                         {"unit", unit},
                         {"account", entry.account},
                         {"summary", to_string(entry.kind)},
                         {"period", entry.line ? entry.line->scope : entry.month},
                         {"balance_after", format(stored.balance_after)},
                         {"method", stored.method},
                         {"receipt", entry.receipt},
                         {"reference", stored.reference},
                         {"by", entry.by},
                         {"approved_by", entry.second},
                         {"relates_to", entry.reverses},
                         {"note", stored.note},
                         {"seq", stored.seq}};
        row[entry.amount.count < 0 ? "out" : "in"] =
            format(entry.amount.count < 0 ? -entry.amount : entry.amount);
        if (entry.line) {
            row["service"] = to_string(entry.line->service);
            row["tariff"] = entry.line->tariff;
            row["tariff_version"] = format_date(entry.line->version);
        }
        return row;
    }

    App& app_;
    std::shared_ptr<const Snapshot> snapshot_;
    UtcMs from_ = 0, to_ = 0;
    std::vector<std::pair<std::string, std::string>> accounts_;  // id, unit
    std::size_t account_ = 0, at_ = 0;
    std::vector<json::object> rows_;  // of one account
    std::uint64_t count_ = 0;
};

class BookRows final : public RowSource {
  public:
    explicit BookRows(Call& call) : book_(call) {}
    bool next(Row& row) override {
        json::object item;
        if (!book_.next(item)) return false;
        fill_row(item, kBook, row);
        return true;
    }

  private:
    LedgerBook book_;
};

class ItemRows final : public RowSource {
  public:
    ItemRows(const TableSpec& spec, std::vector<json::object> items)
        : spec_(spec), items_(std::move(items)) {}
    bool next(Row& row) override {
        if (at_ == items_.size()) return false;
        fill_row(items_[at_++], spec_, row);
        return true;
    }

  private:
    const TableSpec& spec_;
    std::vector<json::object> items_;
    std::size_t at_ = 0;
};

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

Response get_daily(Call& call) {
    const Day day = report_day(call);
    JsonWriter json;
    json.begin_object().field("date", format_date(day.date)).key("items").begin_array();
    Fen due;
    for (const auto& [who, takings] : takings_of(call, day)) {
        json.raw(json::serialize(takings_item(day, who, takings)));
        due += takings.due;
    }
    json.end_array().field("due", format(due)).key("now");
    follow_up(json, call);
    json.end_object();
    return json_response(json.take());
}

Response table_daily(Call& call) {
    const Day day = report_day(call);
    std::vector<json::object> items;
    for (const auto& [who, takings] : takings_of(call, day))
        items.push_back(takings_item(day, who, takings));
    return table_response(call, kDaily, std::make_unique<ItemRows>(kDaily, std::move(items)));
}

Response get_ledger_book(Call& call) {
    LedgerBook book(call);
    JsonWriter json;
    json.begin_object().key("items").begin_array();
    json::object item;
    for (std::size_t rows = 0; book.next(item); ++rows) {
        if (rows == kJsonRowsMax)
            throw Refused{problem(413, "too-many-rows",
                                  "More than " + std::to_string(kJsonRowsMax) +
                                      " rows; ask for a shorter time, or for CSV.")};
        json.raw(json::serialize(item));
    }
    json.end_array().end_object();
    return json_response(json.take());
}

Response table_ledger_book(Call& call) {
    auto rows = std::make_unique<BookRows>(call);
    auto place = std::make_shared<HeavyExport>(call.app);
    return table_response(call, kBook, std::move(rows), std::move(place));
}

}  // namespace gatehouse::http
