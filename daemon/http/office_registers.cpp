// The plain registers of the office: who received which document, what was handed over with a flat,
// telephone calls that need no ticket, and inspection rounds whose faults become tickets.
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <map>
#include <optional>
#include <utility>

#include "daemon/core/meter_counter.hpp"
#include "daemon/http/act.hpp"
#include "daemon/http/handover.hpp"
#include "daemon/http/household.hpp"
#include "daemon/http/key_pages.hpp"
#include "daemon/http/keyed.hpp"
#include "daemon/http/room.hpp"
#include "daemon/http/table.hpp"

namespace gatehouse::http {

namespace json = boost::json;

namespace {

// Names keep their first character, and what people said or wrote is not shown at all.
std::string without_words(const std::string& body) {
    boost::system::error_code error;
    json::value row = json::parse(body, error);
    if (error || !row.is_object()) return "{}";
    for (auto& [name, value] : row.get_object()) {
        if (!value.is_string() || value.get_string().empty()) continue;
        const bool person = name == "receiver" || name == "witness";
        if (person) value = masked_name(std::string(value.get_string()));
        if (name == "text" || name == "answer" || name == "note") value = "***";
    }
    return json::serialize(row);
}

// Whose words are shown stands in the view log before they are.
Response list_register(Call& call, const char* kind, const std::string& unit_of_path) {
    Query query(call.request);
    const std::string unit = unit_of_path.empty() ? query.text("unit").value_or("") : unit_of_path;
    const auto limit = query.limit();
    const std::uint64_t after = query.after_seq();
    query.finish();
    const auto reader = call.app.readers.take();
    KeyBooks books = reader->key_books();
    const auto rows = books.registers(kind, unit, static_cast<std::int64_t>(after), limit + 1);
    // A round of inspection is nobody's file.
    const bool personal = std::string_view(kind) != "round";
    const bool words = !personal || opens_file(call, unit);
    if (personal && words && !rows.empty()) ask_engine(call, NoteView{call.actor, unit, "", kind});
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
            .raw(words ? row.body : without_words(row.body))
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

// As much as a clock on a desk may be ahead of ours.
constexpr std::int64_t kAheadMs = 60'000;

bool is_count(const std::string& text) {
    return text.size() <= 4 && text.find_first_not_of("0123456789") == std::string::npos &&
           text.find_first_not_of('0') != std::string::npos;
}

// A day or a moment, as people write them into a register; a day is its beginning.
std::optional<UtcMs> moment_of(const Call& call, const std::string& at) {
    if (const auto day = parse_date(at)) return call.app.zone.midnight(*day);
    return parse_iso8601(at, call.app.zone);
}

void check_day(const Call& call, Body& body, const std::string& at) {
    if (at.empty()) return;
    const auto moment = moment_of(call, at);
    if (moment && *moment > call.snapshot->now_ms + kAheadMs)
        body.wrong("/at", "`" + at + "` lies in the future; write down what has happened");
    if (!moment)
        body.wrong("/at", "`" + at +
                              "` is neither a day such as 2026-11-23 nor a time such as "
                              "2026-11-23T20:15:00+08:00");
}

// It hangs there, or is charged to an account of the flat.
bool is_of_unit(const Call& call, const std::string& meter, const std::string& unit) {
    const Registry& registry = *call.snapshot->registry;
    for (const Meter& one : registry.meters) {
        if (one.meter != meter) continue;
        return one.unit == unit ||
               std::any_of(registry.accounts.begin(), registry.accounts.end(),
                           [&](const Account& account) {
                               return account.account == one.account && account.unit == unit;
                           });
    }
    return false;
}

// What is in order, and what is a number of pieces; anything else that a checklist says is a
// defect.
bool is_in_order(const std::string& result) {
    static constexpr std::string_view kGood[] = {"合格", "完好", "正常", "齐全", "有",
                                                 "是",   "pass", "ok",   "good", "yes"};
    std::string word = result;
    std::transform(word.begin(), word.end(), word.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return std::find(std::begin(kGood), std::end(kGood), word) != std::end(kGood) ||
           word.find_first_not_of("0123456789") == std::string::npos;
}

OpenTicket defect_of(const WriteRegister& row, const std::string& item, const std::string& result) {
    OpenTicket defect;
    defect.kind = "defect";
    defect.unit = row.unit;
    defect.category = "交房返修";
    defect.channel = "handover";
    defect.text = item + ": " + result;
    defect.by = row.by;
    return defect;
}

// Meters of the flat of which nobody wrote down a register.
std::vector<std::string> meters_left_out(
    const Call& call, const std::string& unit,
    const std::vector<std::pair<std::string, std::string>>& readings) {
    std::vector<std::string> left;
    for (const Meter& meter : call.snapshot->registry->meters) {
        const bool read = std::any_of(readings.begin(), readings.end(),
                                      [&](const auto& one) { return one.first == meter.meter; });
        if (!read && meter.unit == unit && meter.role == MeterRole::unit &&
            meter.status == MeterStatus::active)
            left.push_back(meter.meter);
    }
    return left;
}

// What the electronics say of a register that was typed: equal within a step of the figure, apart,
// or silent, which is what a flat without power says.
const char* agreement(const Call& call, const std::string& meter, const std::string& typed) {
    for (const Meter& one : call.snapshot->registry->meters)
        if (one.meter == meter && one.bus.empty()) return "by_eye";
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

bool is_active(const Call& call, const std::string& meter) {
    const auto& meters = call.snapshot->registry->meters;
    return std::any_of(meters.begin(), meters.end(), [&](const Meter& one) {
        return one.meter == meter && one.status == MeterStatus::active;
    });
}

void check_register(const Call& call, Body& body, const std::string& unit, const std::string& meter,
                    const std::string& typed) {
    const std::string pointer = "/readings/" + meter;
    if (std::string_view(agreement(call, meter, typed)) == "unknown_meter")
        body.wrong(pointer, "no meter `" + meter + "` stands in meters.csv");
    else if (!is_of_unit(call, meter, unit))
        body.wrong(pointer, "meter `" + meter + "` neither hangs in " + unit +
                                " nor is charged to an account of it");
    const auto face = parse_rational(typed);
    if (!face || compare(*face, Rational{0, 1}) < 0)
        body.wrong(pointer, "`" + typed + "` is no register such as 1234.56");
}

// When a document was issued, as its row says; else when that was written.
UtcMs issued_at(const Call& call, const RegisterRow& row) {
    boost::system::error_code error;
    const json::value body = json::parse(row.body, error);
    const auto* at = error || !body.is_object() ? nullptr : body.get_object().if_contains("at");
    if (at == nullptr || !at->is_string()) return row.at;
    return moment_of(call, std::string(at->get_string())).value_or(row.at);
}

}  // namespace

// The printed catalogue: all of a year, in the order in which they were issued.
Response documents_of_year(Call& call) {
    Query query(call.request);
    const std::string unit = query.text("unit").value_or("");
    const int now = call.app.zone.local(call.snapshot->now_ms).date.year;
    const auto year = query.number("year", static_cast<std::uint64_t>(now), 2000, 2200);
    query.finish();
    const auto of = [&](std::uint64_t one) {
        return call.app.zone.midnight({static_cast<int>(one), 1, 1});
    };
    const bool words = opens_file(call, unit);
    const auto reader = call.app.readers.take();
    KeyBooks books = reader->key_books();
    std::vector<std::pair<UtcMs, RegisterRow>> issued;
    std::int64_t after = 0;
    for (bool more = true; more;) {
        auto page = books.registers("document", unit, after, kLimitMax);
        more = page.size() == kLimitMax;
        for (RegisterRow& row : page) {
            after = row.id;
            const UtcMs at = issued_at(call, row);
            if (at < of(year) || at >= of(year + 1)) continue;
            if (!words) row.body = without_words(row.body);
            issued.emplace_back(at, std::move(row));
        }
    }
    std::stable_sort(issued.begin(), issued.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<RegisterRow> all;
    for (auto& [at, row] : issued) all.push_back(std::move(row));
    if (words && !all.empty()) ask_engine(call, NoteView{call.actor, unit, "", "document"});
    return documents_page(call, all);
}

Response get_documents(Call& call) {
    if (call.request.wants_html) return documents_of_year(call);
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
    if (!copies.empty() && !is_count(copies))
        body.wrong("/copies", "`" + copies + "` is no number of copies from 1 to 9999");
    check_day(call, body, at);
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
    JsonWriter log;
    log.begin_object()
        .field_if("unit", row.unit)
        .field("recall", returned)
        .field("by", row.by)
        .end_object();
    row.log_body = log.take();
    submit_work(call, {std::move(row)}, std::move(respond));
}

Response get_handovers(Call& call) {
    if (call.request.wants_html) {
        // The sheet that both sign has their names on it.
        if (!opens_file(call, call.params[0]))
            throw Refused{problem(403, "file-access",
                                  "The sheet of a hand-over is of the household's file, which is "
                                  "customer service's.")};
        ask_engine(call, NoteView{call.actor, call.params[0], "", "handover"});
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
WriteRegister read_handover(const Call& call, Body& body, const Signed& signed_by,
                            const std::string& direction, const std::string& at, bool whole) {
    WriteRegister row;
    row.kind = "handover";
    row.event = "unit.handover";
    row.unit = call.params[0];
    row.by = signed_by.by;
    row.second = signed_by.second;
    const std::string witness = body.text("witness"), receiver = body.text("receiver");
    const std::string note = body.text("note");
    using Pairs = std::vector<std::pair<std::string, std::string>>;
    const auto map = [&](const char* name) {
        return body.has(name) ? body.required_map(name) : Pairs();
    };
    const Pairs readings = map("readings"), keys = map("keys"), checklist = map("checklist");
    for (const auto& [key, count] : keys)
        if (count != "0" && !is_count(count))
            body.wrong("/keys/" + key, "`" + count + "` is no number of keys from 0 to 9999");
    JsonWriter figures;
    const auto to_reconcile = [&](const std::string& meter, const std::string& figure,
                                  std::string_view says) {
        const bool chinese = call.app.options.chinese;
        row.doubts.push_back(
            {meter, figure, chinese ? chinese_word(kElectronicWords, says) : std::string(says)});
    };
    figures.begin_array();
    for (const auto& [meter, register_value] : readings) {
        const std::string_view says = agreement(call, meter, register_value);
        check_register(call, body, row.unit, meter, register_value);
        const bool unheard = says == "by_eye" || says == "silent";
        if (unheard && !row.second.empty() && is_active(call, meter))
            row.faces.push_back(
                {signed_by.actor, meter, register_value, at, signed_by.by, signed_by.second, ""});
        // Where no electronics can say anything, what was read by eye stands.
        if (says != "agrees" && says != "by_eye") to_reconcile(meter, register_value, says);
        figures.begin_object()
            .field("meter", meter)
            .field("register", register_value)
            .field("electronic", says)
            .end_object();
    }
    if (whole)
        for (const std::string& meter : meters_left_out(call, row.unit, readings)) {
            to_reconcile(meter, "", "not_read");
            figures.begin_object().field("meter", meter).field("electronic", "not_read");
            figures.end_object();
        }
    figures.end_array();
    const std::string all = figures.take();
    JsonWriter text, log;
    text.begin_object().field("direction", direction).key("readings").raw(all);
    for (const auto& [name, list] :
         {std::pair{"keys", &keys}, std::pair{"checklist", &checklist}}) {
        text.key(name).begin_object();
        for (const auto& [key, value] : *list) text.field(key, value);
        text.end_object();
    }
    text.field("reconcile", !row.doubts.empty())
        .field_if("witness", witness)
        .field_if("receiver", receiver)
        .field_if("note", note)
        .field("by", row.by)
        .field_if("second", row.second)
        .end_object();
    row.body = text.take();
    log.begin_object().field("direction", direction).key("readings").raw(all);
    log.field("reconcile", !row.doubts.empty()).field("by", row.by);
    log.field_if("second", row.second).end_object();
    row.log_body = log.take();
    for (const auto& [item, result] : checklist)
        if (!is_in_order(result)) row.faults.push_back(defect_of(row, item, result));
    return row;
}

// Of what was typed, whatever the order of members: what the box adds to the record changes with
// time, and a code of the second person with each asking.
std::string typed_hash(const Call& call, const Signed& people) {
    std::map<std::string, std::string> members;
    const json::value typed = json::parse(call.request.body);
    for (const auto& [name, value] : typed.as_object()) {
        if (name == "by" || name == "second" || name == "approval") continue;
        std::map<std::string, std::string> parts;
        if (value.is_object())
            for (const auto& [part, word] : value.get_object()) parts[part] = json::serialize(word);
        json::array list;
        for (const auto& [part, word] : parts) list.push_back({part, word});
        members[name] = value.is_object() ? json::serialize(list) : json::serialize(value);
    }
    json::array all;
    for (const auto& [name, value] : members) all.push_back({name, value});
    return fields_hash({call.params[0], people.by, people.second, json::serialize(all)});
}

// Move-in or move-out without a change of the accounts.
void post_handover(Call& call, Respond respond) {
    Body body = body_of(call);
    // One person's sheet is words; what two of them saw may be a reading.
    const bool two = body.has("second") || body.has("approval");
    const Signed people = two ? two_of(call, body) : Signed{by_of(call, body), "", call.actor};
    const std::string direction = body.required_text("direction");
    if (direction != "in" && direction != "out")
        body.wrong("/direction", "`" + direction + "` is neither in nor out");
    const std::string at = body.text("at");
    check_day(call, body, at);
    if (!has_handover(body))
        body.wrong("/readings",
                   "is missing, and so are keys and checklist: write down at least "
                   "one of them");
    if (two && parse_date(at))
        body.wrong("/at", "`" + at +
                              "` is a day, and dials are read at a moment: write "
                              "2026-11-23T20:15, or leave `second` out");
    WriteRegister row = read_handover(call, body, people, direction, at, /*whole=*/true);
    if (const std::string receiver = body.text("receiver");
        is_of_another_unit(call, receiver, row.unit))
        body.wrong("/receiver", "`" + receiver +
                                    "` stands in people.csv with another unit and holds no account "
                                    "of " +
                                    row.unit);
    body.finish();
    if (!at.empty()) {
        JsonWriter when;
        when.begin_object().field("at", at).end_object();
        const std::string moment = "," + when.take().substr(1);
        for (std::string* text : {&row.body, &row.log_body}) {
            text->pop_back();
            *text += moment;
        }
    }
    RoomCommand command;
    command.actor = people.actor;
    const bool keyed = call.request.idempotency_key.has_value();
    if (keyed) {
        row.idempotency_key = idempotency_key(call.request);
        row.body_hash = typed_hash(call, people);
    }
    const std::string key = row.idempotency_key;
    command.work = std::make_shared<const RoomWork>(RoomWork{std::move(row)});
    if (!keyed) return submit(call, std::move(command), std::move(respond));
    const KeyInProgress in_progress(call, act_route::kHandover, key);
    in_progress.submit(call.app.engine, std::move(command), respond);
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
    for (const auto& [item, result] : items)
        if (result.empty())
            body.wrong("/items/" + item, "is empty; write pass (合格), or what is wrong there");
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
