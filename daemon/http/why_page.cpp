#include "daemon/http/why_page.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "daemon/http/page.hpp"

namespace gatehouse::http {

namespace bj = boost::json;

namespace {

std::string text_of(const bj::object& object, std::string_view name) {
    const bj::value* value = object.if_contains(name);
    if (value == nullptr || value->is_null()) return {};
    return value->is_string() ? std::string(value->get_string()) : bj::serialize(*value);
}

// 2026-11-23T08:15:00+08:00 as people write it, to the minute.
std::string short_time(const std::string& at) {
    return at.size() < 16 ? at : at.substr(0, 10) + " " + at.substr(11, 5);
}

struct Translation {
    std::string_view word;
    Words words;
};

const char* translated(const Page& page, std::initializer_list<Translation> known,
                       const std::string& word) {
    for (const Translation& one : known)
        if (one.word == word) return page.word(one.words);
    return nullptr;
}

std::string quality_word(const Page& page, const std::string& word) {
    const char* known = translated(page,
                                   {{"good", {"read", "自动抄表"}},
                                    {"estimated", {"estimated", "估算"}},
                                    {"manual", {"read by eye", "人工抄表"}},
                                    {"released", {"checked by staff", "核实放行"}},
                                    {"void", {"corrected since", "已更正"}}},
                                   word);
    return known != nullptr ? known : word;
}

std::string kind_word(const Page& page, const bj::object& entry) {
    const std::string kind = text_of(entry, "kind");
    if (kind == "fee" && text_of(entry, "cause").starts_with("pool:"))
        return page.word({"shared areas", "公摊"});
    const char* known = translated(page,
                                   {{"topup", {"payment", "充值"}},
                                    {"charge", {"charge", "扣费"}},
                                    {"fee", {"fee", "固定费"}},
                                    {"opening", {"opening balance", "期初结转"}},
                                    {"transfer", {"transfer", "转账更正"}},
                                    {"adjustment", {"adjustment", "退补调整"}},
                                    {"refund", {"refund", "退款"}},
                                    {"round_off", {"rounding", "抹零"}},
                                    {"write_off", {"written off", "核销"}},
                                    {"correction", {"correction", "读数更正"}},
                                    {"price_settlement", {"price settlement", "电价清算"}},
                                    {"reversal", {"reversal", "冲正"}}},
                                   kind);
    return known != nullptr ? known : kind;
}

// The pool and the month of a share; of every other entry its cause as it is.
std::string cause_words(const bj::object& entry) {
    const std::string cause = text_of(entry, "cause");
    const std::string pool = "pool:";
    const std::size_t slash = cause.rfind('/');
    if (!cause.starts_with(pool) || slash == std::string::npos) return cause;
    return cause.substr(pool.size(), slash - pool.size()) + ", " + cause.substr(slash + 1);
}

std::string title_of(const Page& page, const bj::object& line) {
    std::string title = text_of(line, "service") == "water" ? page.word({"Water", "水费"})
                                                            : page.word({"Electricity", "电费"});
    title += ", " + text_of(line, "month");
    if (const std::string band = text_of(line, "band"); !band.empty()) title += ", " + band;
    if (const std::string tier = text_of(line, "tier"); !tier.empty())
        title += std::string(", ") + page.word({"tier ", "阶梯第"}) + tier + page.word({"", "档"});
    return title;
}

// What the price of the line parted between two readings, before the second of them.
void show_edges(Page& page, const bj::object& line, const bj::object& reading,
                std::vector<std::vector<std::string>>& rows) {
    for (const bj::value& one : line.at("parts").as_array()) {
        const bj::object& part = one.as_object();
        const bj::value* edges = part.if_contains("edges");
        if (edges == nullptr || part.at("to") != reading.at("seq")) continue;
        for (const bj::value& edge : edges->as_array())
            rows.push_back({text_of(part, "meter"), short_time(text_of(edge.as_object(), "at")), "",
                            "", text_of(edge.as_object(), "total"),
                            quality_word(page, text_of(edge.as_object(), "quality")), "", ""});
    }
}

void show_line(Page& page, const bj::object& line, const std::string& currency) {
    page.heading(title_of(page, line));
    const bool water = text_of(line, "service") == "water";
    std::string product =
        text_of(line, "quantity") + (water ? " m3 x " : " kWh x ") + text_of(line, "price");
    if (const std::string exact = text_of(line, "exact"); !exact.empty()) product += " = " + exact;
    page.facts(
        {{{"Price", "电价/水价"},
          text_of(line, "tariff") + page.word({", from ", "，生效日 "}) + text_of(line, "version")},
         {{"Published", "价格依据"}, text_of(line, "source")},
         {{"Amount", "金额"},
          product + page.word({", rounded half up to ", "，四舍五入为 "}) +
              text_of(line, "target") + " " + currency},
         {{"Charged so far", "已扣"}, text_of(line, "posted") + " " + currency}});
    std::vector<std::vector<std::string>> rows;
    for (const bj::value& one : line.at("readings").as_array()) {
        const bj::object& reading = one.as_object();
        show_edges(page, line, reading, rows);
        std::string how = quality_word(page, text_of(reading, "quality"));
        if (const std::string wrong = text_of(reading, "supersedes"); !wrong.empty())
            how += page.word({", in place of no. ", "，更正记录号 "}) + wrong;
        rows.push_back({text_of(reading, "meter"), short_time(text_of(reading, "at")),
                        text_of(reading, "register"), text_of(reading, "multiplier"),
                        text_of(reading, "total"), how, text_of(reading, "seq"),
                        text_of(reading, "raw")});
    }
    if (rows.empty()) return;
    page.table({{{"Meter", "表号"}},
                {{"At", "时间"}},
                {{"Register", "示数"}, true},
                {{"Multiplier", "倍率"}, true},
                {{"Total", "累计"}, true},
                {{"How", "来源"}},
                {{"No.", "序号"}, true},
                {{"Words", "原始数据"}}},
               rows);
}

void show_entries(Page& page, const bj::object& why) {
    std::vector<std::vector<std::string>> rows;
    for (const bj::value& one : why.at("entries").as_array()) {
        const bj::object& entry = one.as_object();
        std::string why_text = text_of(entry, "reason");
        if (why_text.empty()) why_text = text_of(entry, "receipt");
        if (why_text.empty()) why_text = cause_words(entry);
        rows.push_back({text_of(entry, "seq"), short_time(text_of(entry, "at")),
                        kind_word(page, entry), why_text, text_of(entry, "amount"),
                        text_of(entry, "balance_after")});
    }
    page.heading(page.word({"Money in and out", "收支明细"}));
    page.table({{{"No.", "序号"}, true},
                {{"At", "时间"}},
                {{"What", "类型"}},
                {{"Receipt, reason", "收据号/事由"}},
                {{"Amount", "金额"}, true},
                {{"Balance", "余额"}, true}},
               rows);
}

}  // namespace

Response why_page(const std::string& document, std::string_view site_name, bool chinese) {
    const bj::object why = bj::parse(document).as_object();
    Page page(chinese, site_name, chinese ? "水电费余额明细" : "Why the balance is what it is");
    const std::string currency = text_of(why, "currency");
    const std::string label = text_of(why, "unit_label");
    page.facts({{{"Flat", "房号"}, label.empty() ? text_of(why, "unit") : label},
                {{"Account", "账户"}, text_of(why, "account")},
                {{"Month", "月份"}, text_of(why, "month")},
                {{"As of", "截至"}, short_time(text_of(why, "as_of"))}});
    for (const bj::value& line : why.at("lines").as_array())
        show_line(page, line.as_object(), currency);
    show_entries(page, why);
    page.facts({{{"Booked", "账面余额"}, text_of(why, "ledger") + " " + currency},
                {{"Used since", "未过账用量"}, text_of(why, "unposted") + " " + currency},
                {{"Balance", "可用余额"}, text_of(why, "balance") + " " + currency}});
    return page.response();
}

}  // namespace gatehouse::http
