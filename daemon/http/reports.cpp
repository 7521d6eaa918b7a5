// The sheet of a day's takings, and what stands open below it.
#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <map>
#include <optional>
#include <string>

#include "daemon/core/units.hpp"
#include "daemon/http/exports.hpp"
#include "daemon/http/item_rows.hpp"
#include "daemon/http/params.hpp"
#include "daemon/http/period_tables.hpp"

namespace gatehouse::http {

namespace json = boost::json;

namespace {

constexpr std::size_t kBookPage = 500;
constexpr std::int64_t kDayMs = 86'400'000;

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
    {"void_numbers", "作废号"},
};

const TableSpec kDaily{"daily", "收费日报表", kDailyColumns};

// A day's takings of one collector by one method.
struct Takings {
    std::size_t count = 0, voided = 0;
    Fen electricity, water, all, refunds, voided_amount, due;
    std::string first, last;  // receipts
    std::string voids;        // the numbers of those that were undone
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
            std::string method = stored.method, undone_receipt;
            if (entry.kind == EntryKind::reversal) {
                const auto undone = reader->entry(entry.reverses);
                if (!undone || undone->entry.kind != EntryKind::topup) continue;
                method = undone->method;
                undone_receipt = undone->entry.receipt;
            }
            Takings& takings = book[{entry.by, method}];
            if (entry.kind == EntryKind::topup) {
                count_topup(takings, stored, services[entry.account]);
            } else if (entry.kind == EntryKind::refund) {
                takings.refunds -= entry.amount;
                takings.due += entry.amount;
            } else {
                ++takings.voided;
                takings.voids += (takings.voids.empty() ? "" : " ") + undone_receipt;
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
            {"receipt_last", takings.last},
            {"void_numbers", takings.voids}};
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

}  // namespace

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

}  // namespace gatehouse::http
