// A meter that was mixed up with another, or with a unit: the act that sets it right, its preview,
// and the statement that people print of it.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <utility>

#include "daemon/http/body.hpp"
#include "daemon/http/keyed.hpp"
#include "daemon/http/page.hpp"
#include "daemon/http/params.hpp"

namespace gatehouse::http {

namespace bj = boost::json;

namespace {

constexpr const char* kKind = "meter.remapped";

std::string text_of(const bj::object& object, std::string_view name) {
    const bj::value* value = object.if_contains(name);
    if (value == nullptr || value->is_null()) return {};
    return value->is_string() ? std::string(value->get_string()) : bj::serialize(*value);
}

std::string line_title(const Page& page, const bj::object& line) {
    std::string title = text_of(line, "service") == "water" ? page.word({"Water", "水费"})
                                                            : page.word({"Electricity", "电费"});
    if (const std::string band = text_of(line, "band"); !band.empty()) title += ", " + band;
    if (const std::string tier = text_of(line, "tier"); !tier.empty())
        title += std::string(", ") + page.word({"tier ", "阶梯第"}) + tier + page.word({"", "档"});
    return title;
}

void show_account(Page& page, const bj::object& account, const std::string& currency) {
    const std::string label = text_of(account, "unit_label");
    page.heading((label.empty() ? text_of(account, "unit") : label) + ", " +
                 text_of(account, "account"));
    std::vector<std::vector<std::string>> rows;
    for (const bj::value& one : account.at("lines").as_array()) {
        const bj::object& line = one.as_object();
        rows.push_back({text_of(line, "month"), line_title(page, line), text_of(line, "price"),
                        text_of(line, "old_quantity"), text_of(line, "old_target"),
                        text_of(line, "quantity"), text_of(line, "target"),
                        text_of(line, "amount")});
    }
    page.table({{{"Month", "月份"}},
                {{"Line", "项目"}},
                {{"Price", "单价"}, true},
                {{"Charged for", "原计费用量"}, true},
                {{"Charged", "原计费金额"}, true},
                {{"Used", "更正用量"}, true},
                {{"Due", "更正金额"}, true},
                {{"Amount", "退补"}, true}},
               rows,
               {page.word({"Sum", "合计"}), "", "", "", text_of(account, "old"), "",
                text_of(account, "new"), text_of(account, "amount") + " " + currency});
}

// For the file of the office both households, for each of them its own part alone.
Response statement_page(const Call& call, const bj::object& remap, const std::string& only) {
    const bool chinese = call.app.options.chinese;
    Page page(chinese, call.app.options.site_name,
              chinese ? "串户更正单" : "Meters that were mixed up");
    page.facts({{{"No.", "单号"}, text_of(remap, "event")},
                {{"Mixed up since", "串户起始日"}, text_of(remap, "from")},
                {{"Set right", "更正时间"}, text_of(remap, "at")},
                {{"Basis", "凭证号"}, text_of(remap, "reference")},
                {{"Reason", "事由"}, text_of(remap, "reason")},
                {{"By", "经办"}, text_of(remap, "by")},
                {{"Agreed by", "复核"}, text_of(remap, "second")}});
    std::vector<std::vector<std::string>> rows;
    for (const bj::value& one : remap.at("meters").as_array()) {
        const bj::object& meter = one.as_object();
        if (!only.empty() && text_of(meter, "to_account") != only) continue;
        rows.push_back({text_of(meter, "meter"), only.empty() ? text_of(meter, "from_unit") : "",
                        text_of(meter, "to_unit"), text_of(meter, "total_from"),
                        text_of(meter, "total_to"), text_of(meter, "quantity")});
    }
    page.table({{{"Meter", "表号"}},
                {{"Charged to", "原计费房号"}},
                {{"Belongs to", "更正后房号"}},
                {{"Total then", "起码"}, true},
                {{"Total now", "止码"}, true},
                {{"Use", "用量"}, true}},
               rows);
    for (const bj::value& one : remap.at("accounts").as_array())
        if (only.empty() || text_of(one.as_object(), "account") == only)
            show_account(page, one.as_object(), text_of(remap, "currency"));
    page.paragraph(
        page.word({"Below zero is charged, above zero is given back; the entries stand "
                   "in the month of this act.",
                   "负数为补收，正数为退还；分录记入本单所在月份。"}));
    page.signatures({{"By:", "经办："}, {"Agreed:", "复核："}, {"Resident:", "住户签字："}});
    return page.response();
}

}  // namespace

void post_remap(Call& call, Respond respond) {
    Query query(call.request);
    RemapMeter remap;
    remap.dry_run = query.flag("dry_run");
    query.finish();
    remap.meter = call.params[0];
    remap.act.actor = call.actor;
    if (!remap.dry_run) remap.act.idempotency_key = idempotency_key(call.request);
    Body body(call.request.body, call.app.options.limits.json_depth);
    remap.with = body.required_text("with");
    remap.from = body.required_text("from");
    remap.reference = body.text("reference");
    if (remap.dry_run) {
        // Who looks signs nothing; a code that somebody agreed with is kept for the act.
        for (const char* name : {"by", "second", "reason", "approval"})
            static_cast<void>(body.text(name));
    } else {
        const Signed people = two_of(call, body);
        remap.act.by = people.by;
        remap.act.second = people.second;
        remap.act.actor = people.actor;
        remap.act.reason = body.required_text("reason");
    }
    body.finish();
    remap.act.body_hash = fields_hash({remap.meter, remap.with, remap.from, remap.reference,
                                       remap.act.by, remap.act.second, remap.act.reason});
    if (remap.dry_run) {
        submit(call, std::move(remap), std::move(respond));
        return;
    }
    const KeyInProgress key(call, act_route::kRemap, remap.act.idempotency_key);
    key.submit(call.app.engine, std::move(remap), respond);
}

Response get_remap(Call& call) {
    Query query(call.request);
    const std::string only = query.text("account").value_or("");
    query.finish();
    const std::string& id = call.params[0];
    std::uint64_t seq = 0;
    const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), seq);
    const bool number = error == std::errc{} && end == id.data() + id.size() && seq != 0;
    std::vector<StoredEvent> events;
    if (number) events = call.app.readers.take()->events_after(seq - 1, 1, {kKind});
    if (events.empty() || events.front().seq != seq)
        throw Refused{problem(404, "not-found", "No re-mapping has the number " + id + ".")};
    if (events.front().body.empty())
        throw Refused{
            problem(404, "removed",
                    "What stood in this re-mapping was removed: " + events.front().removed)};
    if (!call.request.wants_html) return json_response(events.front().body);
    return statement_page(call, bj::parse(events.front().body).as_object(), only);
}

}  // namespace gatehouse::http
