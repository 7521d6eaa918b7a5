// The book of an account or a building, with what it began and ended with.
#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <map>
#include <optional>
#include <string>

#include "daemon/core/units.hpp"
#include "daemon/http/entry_parts.hpp"
#include "daemon/http/exports.hpp"
#include "daemon/http/params.hpp"
#include "daemon/http/period_tables.hpp"

namespace gatehouse::http {

namespace json = boost::json;

namespace {

constexpr std::size_t kBookPage = 500;
constexpr std::size_t kJsonRowsMax = 20'000;  // of one document; a CSV has no such limit

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
    {"start", "起码", Cell::quantity},
    {"end", "止码", Cell::quantity},
    {"multiplier", "倍率", Cell::number},
    {"quantity", "用量", Cell::quantity},
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

const TableSpec kBook{"ledger-book", "水电预存台账", kBookColumns};

// The accounts of a book one after the other, each with its opening and closing balance.
class LedgerBook {
  public:
    explicit LedgerBook(Call& call) : app_(call.app), snapshot_(call.snapshot) {
        Query query(call.request);
        if (call.request.format != Format::json) static_cast<void>(query.text("lang"));
        const auto account = query.text("account");
        const auto building = query.text("building");
        from_ = query.time("from", app_.zone).value_or(0);
        to_ = query.through("to", app_.zone).value_or(INT64_MAX);
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
        EntryParts parts(app_, account.first);
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
                if (stored.at.at < from_) {
                    parts.pass(stored);
                } else {
                    if (!opened)
                        edge(account, "opening", from_ == 0 ? stored.at.at : from_, balance);
                    opened = true;
                    rows_.push_back(entry_row(stored, account.second));
                    if (const auto rest = parts.take(stored)) put_rest(rows_.back(), *rest);
                }
                balance = stored.balance_after;
                newest = std::max(newest, stored.at.at);
            }
        }
        if (!opened && from_ != 0) edge(account, "opening", from_, balance);
        if (opened || from_ != 0)
            edge(account, "closing", to_ == INT64_MAX ? newest : to_, balance);
    }

    static void put_rest(json::object& row, const EntryParts::Rest& rest) {
        row["quantity"] = format(rest.quantity);
        if (rest.start) row["start"] = format(*rest.start);
        if (rest.end) row["end"] = format(*rest.end);
        if (!rest.multiplier.empty()) row["multiplier"] = rest.multiplier;
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

}  // namespace

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
