// The plain registers of the office: who received which document, what was handed over with a flat,
// telephone calls that need no ticket, and inspection rounds whose faults become tickets.
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <optional>
#include <utility>

#include "daemon/core/meter_counter.hpp"
#include "daemon/http/act.hpp"
#include "daemon/http/handover.hpp"
#include "daemon/http/key_pages.hpp"
#include "daemon/http/room.hpp"

namespace gatehouse::http {

namespace json = boost::json;

namespace {

Response list_register(Call& call, const char* kind, const std::string& unit_of_path) {
    Query query(call.request);
    const std::string unit = unit_of_path.empty() ? query.text("unit").value_or("") : unit_of_path;
    const auto limit = query.limit();
    const std::uint64_t after = query.after_seq();
    query.finish();
    const auto reader = call.app.readers.take();
    KeyBooks books = reader->key_books();
    const auto rows = books.registers(kind, unit, static_cast<std::int64_t>(after), limit + 1);
    ListWriter list;
    auto next = static_cast<std::int64_t>(after);
    for (const RegisterRow& row : rows) {
        if (list.count() == limit) break;
        JsonWriter one;
        one.begin_object()
            .field("id", row.id)
            .field_if("unit", row.unit)
            .field("at", format_iso8601(row.at, call.app.zone))
            .field("seq", row.event)
            .key("row")
            .raw(row.body)
            .end_object();
        list.item(one.take());
        next = row.id;
    }
    list.end_items();
    return list.finish(next, rows.size() > limit);
}

Body body_of(Call& call) {
    Query(call.request).finish();
    return Body(call.request.body, call.app.options.limits.json_depth);
}

// What the electronics say of a register that was typed: equal within a step of the figure, apart,
// or silent, which is what a flat without power says.
const char* agreement(const Call& call, const std::string& meter, const std::string& typed) {
    const auto& meters = call.snapshot->meters;
    for (std::size_t i = 0; i < meters.size(); ++i) {
        if (meters[i].meter() != meter) continue;
        const auto face = parse_rational(typed);
        const auto tolerance = typed_tolerance(typed, Rational{1, 1000});
        if (!face || !tolerance || !meters[i].register_value || !meters[i].online) return "silent";
        const Rational read{meters[i].register_value->count, 1000};
        const auto low = subtract(*face, *tolerance);
        const auto high = add(*face, *tolerance);
        const bool agrees = low && high && compare(*low, read) <= 0 && compare(read, *high) <= 0;
        return agrees ? "agrees" : "apart";
    }
    return "unknown_meter";
}

}  // namespace

Response get_documents(Call& call) {
    return list_register(call, "document", "");
}

// One row a receiver, as each signs for it.
void post_document(Call& call, Respond respond) {
    Body body = body_of(call);
    WriteRegister row;
    row.kind = "document";
    row.event = "document.issued";
    row.by = by_of(call, body);
    row.subject = body.required_text("name");
    const std::string number = body.text("no"), copies = body.number_text("copies");
    const std::string place = body.text("place"), at = body.text("at");
    row.unit = body.text("unit");
    const std::string receiver = body.required_text("receiver");
    const bool returned = body.flag("recall");
    body.finish();
    JsonWriter text;
    text.begin_object()
        .field("name", row.subject)
        .field_if("no", number)
        .field_if("copies", copies)
        .field("receiver", receiver)
        .field_if("unit", row.unit)
        .field_if("place", place)
        .field_if("at", at)
        .field("recall", returned)
        .field("by", row.by)
        .end_object();
    row.body = text.take();
    submit_work(call, {std::move(row)}, std::move(respond));
}

Response get_handovers(Call& call) {
    if (call.request.wants_html) {
        const auto reader = call.app.readers.take();
        KeyBooks books = reader->key_books();
        return handover_page(call, call.params[0],
                             books.registers("handover", call.params[0], 0, kLimitMax));
    }
    return list_register(call, "handover", call.params[0]);
}

bool has_handover(const Body& body) {
    return body.has("readings") || body.has("keys") || body.has("checklist");
}

// A register that the electronics do not confirm is taken all the same, to be reconciled.
WriteRegister read_handover(const Call& call, Body& body, const std::string& by,
                            const std::string& direction) {
    WriteRegister row;
    row.kind = "handover";
    row.event = "unit.handover";
    row.unit = call.params[0];
    row.by = by;
    const std::string witness = body.text("witness"), receiver = body.text("receiver");
    const std::string note = body.text("note");
    using Pairs = std::vector<std::pair<std::string, std::string>>;
    const auto map = [&](const char* name) {
        return body.has(name) ? body.required_map(name) : Pairs();
    };
    const Pairs readings = map("readings"), keys = map("keys"), checklist = map("checklist");
    JsonWriter text;
    bool reconcile = false;
    text.begin_object().field("direction", direction).key("readings").begin_array();
    for (const auto& [meter, register_value] : readings) {
        const std::string_view says = agreement(call, meter, register_value);
        if (says == "unknown_meter")
            body.wrong("/readings/" + meter, "no meter `" + meter + "` stands in meters.csv");
        if (!parse_rational(register_value))
            body.wrong("/readings/" + meter, "`" + register_value + "` is no register");
        reconcile = reconcile || says != "agrees";
        text.begin_object()
            .field("meter", meter)
            .field("register", register_value)
            .field("electronic", says)
            .end_object();
    }
    text.end_array();
    for (const auto& [name, list] :
         {std::pair{"keys", &keys}, std::pair{"checklist", &checklist}}) {
        text.key(name).begin_object();
        for (const auto& [key, value] : *list) text.field(key, value);
        text.end_object();
    }
    text.field("reconcile", reconcile)
        .field_if("witness", witness)
        .field_if("receiver", receiver)
        .field_if("note", note)
        .field("by", row.by)
        .end_object();
    row.body = text.take();
    return row;
}

// Move-in or move-out without a change of the accounts.
void post_handover(Call& call, Respond respond) {
    Body body = body_of(call);
    const std::string by = by_of(call, body);
    const std::string direction = body.required_text("direction");
    if (direction != "in" && direction != "out")
        body.wrong("/direction", "`" + direction + "` is neither in nor out");
    const std::string at = body.text("at");
    WriteRegister row = read_handover(call, body, by, direction);
    body.finish();
    if (!at.empty()) {
        JsonWriter when;
        when.begin_object().field("at", at).end_object();
        row.body.pop_back();
        row.body += "," + when.take().substr(1);
    }
    submit_work(call, {std::move(row)}, std::move(respond));
}

Response get_calls(Call& call) {
    return list_register(call, "call", "");
}

// A question that was answered: a row and no ticket.
void post_call(Call& call, Respond respond) {
    Body body = body_of(call);
    WriteRegister row;
    row.kind = "call";
    row.event = "call.logged";
    row.by = by_of(call, body);
    row.unit = body.text("unit");
    const std::string said = body.required_text("text"), channel = body.text("channel");
    const std::string answer = body.text("answer");
    body.finish();
    JsonWriter text;
    text.begin_object()
        .field("text", said)
        .field_if("answer", answer)
        .field_if("channel", channel)
        .field("by", row.by)
        .end_object();
    row.body = text.take();
    JsonWriter log;
    log.begin_object().field_if("unit", row.unit).field("by", row.by).end_object();
    row.log_body = log.take();
    submit_work(call, {std::move(row)}, std::move(respond));
}

Response get_rounds(Call& call) {
    return list_register(call, "round", "");
}

// An inspection round: what is in order is a line of its row, what is not a ticket of its own.
void post_round(Call& call, Respond respond) {
    Body body = body_of(call);
    WriteRegister row;
    row.kind = "round";
    row.event = "round.made";
    row.by = by_of(call, body);
    row.subject = body.required_text("area");
    const std::string score = body.number_text("score"), note = body.text("note");
    const auto items = body.required_map("items");
    body.finish();
    JsonWriter text;
    text.begin_object().field("area", row.subject).key("items").begin_array();
    for (const auto& [item, result] : items) {
        const bool pass = result == "pass" || result == "合格";
        text.begin_object().field("item", item).field("pass", pass);
        text.field_if("fault", pass ? "" : result).end_object();
        if (pass) continue;
        OpenTicket fault;
        fault.kind = "inspection";
        fault.place = row.subject;
        fault.category = "公共区域";
        fault.text = item + ": " + result;
        fault.channel = "patrol";
        fault.by = row.by;
        row.faults.push_back(std::move(fault));
    }
    text.end_array().field_if("score", score).field_if("note", note).field("by", row.by);
    text.end_object();
    row.body = text.take();
    submit_work(call, {std::move(row)}, std::move(respond));
}

}  // namespace gatehouse::http
