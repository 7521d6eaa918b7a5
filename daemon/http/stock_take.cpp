// 盘点表: what of the keys was counted in a time, beside what the books said of them as they were
// counted; as JSON, CSV, workbook and on paper. A key that nobody counted has its line, to be
// filled in by hand.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <map>
#include <optional>
#include <utility>

#include "daemon/engine/key_codec.hpp"
#include "daemon/http/exports.hpp"
#include "daemon/http/item_rows.hpp"
#include "daemon/http/key_pages.hpp"
#include "daemon/http/page.hpp"
#include "daemon/http/room.hpp"

namespace gatehouse::http {

namespace json = boost::json;

namespace {

constexpr std::size_t kCountsMax = 20'000;

const Column kColumns[] = {
    {"no", "序号", Cell::count},
    {"key", "钥匙编号"},
    {"class", "类别", Cell::word, kKeyClassWords},
    {"label", "标签"},
    {"place", "柜/挂位"},
    {"state", "账面状态", Cell::word, kKeyPlaceWords},
    {"holder", "持有人"},
    {"expected", "应有", Cell::count, {}, true},
    {"counted", "实有", Cell::count, {}, true},
    {"difference", "差异", Cell::count, {}, true},
    {"at", "盘点时间", Cell::time},
    {"by", "盘点人"},
    {"second", "复核人"},
    {"remark", "原因/备注"},
};
const TableSpec kStockTake{"stock-take", "盘点表", kColumns, "counted"};

struct Span {
    UtcMs from = 0, to = 0;  // to: not in it any more
};

// Absent: the month as far as it has gone, since a stock-take is a month's.
Span span_of(Call& call) {
    const auto [from, to] = asked_span(call);
    LocalDate month = call.app.zone.local(call.snapshot->now_ms).date;
    month.day = 1;
    return {from.value_or(call.app.zone.midnight(month)), to.value_or(call.snapshot->now_ms + 1)};
}

// The newest count of each key.
std::map<std::string, KeyEvent> counts_of(KeyBooks& books, const Span& span) {
    const auto rows = books.counts_between(span.from, span.to, kCountsMax + 1);
    if (rows.size() > kCountsMax)
        throw Refused{
            problem(413, "too-many-rows",
                    "More than 20,000 counts in that time; ask for a shorter one with from= and "
                    "to=, such as from=2026-11-01&to=2026-11-30.")};
    std::map<std::string, KeyEvent> newest;
    for (const KeyEventRow& row : rows) {
        KeyEvent event;
        from_book(row.body, event);
        const std::string key = event.key;
        newest.insert_or_assign(key, std::move(event));
    }
    return newest;
}

std::string place_of(const Key& key) {
    return key.cabinet + (key.slot ? "#" + std::to_string(*key.slot) : "") + key.place;
}

// By the books so many hang there: all of a bunch, or none. Nothing: they do not know.
std::optional<int> expected_there(const KeyExpected& expected) {
    if (expected.place == to_string(KeyPlace::unknown)) return std::nullopt;
    return expected.place == to_string(KeyPlace::in) ? expected.pieces : 0;
}

void add_count(const Call& call, json::object& item, const KeyEvent& event) {
    const int whole = event.expected ? event.expected->pieces : 1;
    const int counted = event.present.empty()            ? 0
                        : event.detail == kCountedPieces ? event.present.front()
                                                         : whole;
    item["counted"] = counted;
    if (const json::value* expected = item.if_contains("expected"))
        item["difference"] = counted - expected->to_number<int>();
    item["at"] = format_iso8601(event.at, call.app.zone);
    item["by"] = event.by;
    if (!event.second.empty()) item["second"] = event.second;
    if (!event.reason.empty()) item["remark"] = event.reason;
}

void add_expected(json::object& item, const KeyExpected& expected) {
    item["state"] = expected.place;
    if (!expected.holder.empty()) item["holder"] = expected.holder;
    if (const auto there = expected_there(expected)) item["expected"] = *there;
}

std::vector<json::object> items_of(const Call& call, KeyBooks& books, const Span& span) {
    std::map<std::string, KeyEvent> counts = counts_of(books, span);
    std::vector<json::object> items;
    const auto board = board_of(call);
    std::map<std::string, const KeyView*> views;
    for (const KeyView& view : board->keys) views.emplace(view.key, &view);
    for (const Key& key : call.snapshot->registry->keys) {
        json::object item{{"no", items.size() + 1},
                          {"key", key.key},
                          {"class", to_string(key.class_)},
                          {"place", place_of(key)}};
        if (!key.label.empty()) item["label"] = key.label;
        const auto count = counts.find(key.key);
        const auto view = views.find(key.key);
        if (count != counts.end() && count->second.expected) {
            add_expected(item, *count->second.expected);
        } else if (count == counts.end() && view != views.end()) {
            const auto& loan = view->second->loan;
            add_expected(item, {to_string(view->second->place), loan ? loan->holder : "",
                                key.count.value_or(1)});
        }
        if (count != counts.end()) {
            add_count(call, item, count->second);
            counts.erase(count);
        }
        items.push_back(std::move(item));
    }
    // Counted then, and gone from keys.csv since.
    for (const auto& [id, event] : counts) {
        json::object item{{"no", items.size() + 1}, {"key", id}};
        if (event.expected) add_expected(item, *event.expected);
        add_count(call, item, event);
        items.push_back(std::move(item));
    }
    return items;
}

// Of those that were counted: what nobody looked at is neither there nor missing.
int sum_of(const std::vector<json::object>& items, const char* name) {
    int sum = 0;
    for (const json::object& item : items)
        if (const json::value* value = item.if_contains(name); value && item.contains("counted"))
            sum += value->to_number<int>();
    return sum;
}

// Keys whose count is not what the books said, one too many as well as one too few.
std::size_t differing(const std::vector<json::object>& items) {
    std::size_t count = 0;
    for (const json::object& item : items) {
        const json::value* value = item.if_contains("difference");
        if (value != nullptr && value->to_number<int>() != 0) ++count;
    }
    return count;
}

std::size_t counted(const std::vector<json::object>& items) {
    std::size_t count = 0;
    for (const json::object& item : items) count += item.contains("counted") ? 1U : 0U;
    return count;
}

Response stock_take_page(const Call& call, const Span& span,
                         const std::vector<json::object>& items) {
    const bool chinese = call.app.options.chinese;
    Page page(chinese, call.app.options.site_name, chinese ? "盘点表" : "Stock-take of keys",
              Paper::a4_landscape);
    page.facts({{{"From", "起"}, minute(span.from, call.app.zone)},
                {{"To", "止"}, minute(span.to - 1, call.app.zone)},
                {{"Counted, of all keys", "已盘/总数"},
                 std::to_string(counted(items)) + " / " + std::to_string(items.size())},
                {{"Not counted", "未盘"}, std::to_string(items.size() - counted(items))},
                {{"With a difference", "有差异"}, std::to_string(differing(items))}});
    std::vector<Page::Column> columns{{{"No", "序号"}, true},      {{"Key", "钥匙编号"}},
                                      {{"Class", "类别"}},         {{"Label", "标签"}},
                                      {{"Where", "柜/挂位"}},      {{"By the books", "账面状态"}},
                                      {{"Holder", "持有人"}},      {{"Expected", "应有"}, true},
                                      {{"Counted", "实有"}, true}, {{"Difference", "差异"}, true},
                                      {{"When", "盘点时间"}},      {{"Counted by", "盘点人"}},
                                      {{"Second", "复核人"}},      {{"Why, remark", "原因/备注"}}};
    std::vector<std::vector<std::string>> rows;
    for (const json::object& item : items) {
        Row row(kStockTake.columns.size());
        fill_row(item, kStockTake, row);
        if (chinese) translate(kStockTake, row);
        for (std::size_t i = 0; i < row.size(); ++i)
            if (kColumns[i].cell == Cell::time && row[i].size() > 16)
                row[i] = row[i].substr(0, 10) + " " + row[i].substr(11, 5);
        rows.push_back(std::move(row));
    }
    page.table(
        columns, rows,
        {page.word({"Sum of the counted", "已盘合计"}), "", "", "", "", "",
         page.word({"not counted: ", "未盘："}) + std::to_string(items.size() - counted(items)),
         std::to_string(sum_of(items, "expected")), std::to_string(sum_of(items, "counted")),
         std::to_string(sum_of(items, "difference"))});
    page.signatures({{"Counted by", "盘点人"}, {"Checked by", "复核人"}});
    return page.response();
}

}  // namespace

Response get_stock_take(Call& call) {
    const Span span = span_of(call);
    const auto reader = call.app.readers.take();
    KeyBooks books = reader->key_books();
    const std::vector<json::object> items = items_of(call, books, span);
    if (call.request.wants_html) return stock_take_page(call, span, items);
    const json::object document{{"from", format_iso8601(span.from, call.app.zone)},
                                {"to", format_iso8601(span.to, call.app.zone)},
                                {"keys", items.size()},
                                {"counted", counted(items)},
                                {"not_counted", items.size() - counted(items)},
                                {"differing", differing(items)},
                                {"items", json::array(items.begin(), items.end())}};
    return json_response(json::serialize(document));
}

Response table_stock_take(Call& call) {
    const Span span = span_of(call);
    const auto reader = call.app.readers.take();
    KeyBooks books = reader->key_books();
    return table_response(call, kStockTake,
                          std::make_unique<ItemRows>(kStockTake, items_of(call, books, span)));
}

}  // namespace gatehouse::http
