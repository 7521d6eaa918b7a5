// Repair tickets, the dispatch slip on paper, and the one box that finds a flat, a ticket or a key.
#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "daemon/core/ledger.hpp"
#include "daemon/engine/key_codec.hpp"
#include "daemon/engine/key_documents.hpp"
#include "daemon/engine/repair_summary.hpp"
#include "daemon/engine/row_documents.hpp"
#include "daemon/http/act.hpp"
#include "daemon/http/household.hpp"
#include "daemon/http/key_pages.hpp"
#include "daemon/http/page.hpp"
#include "daemon/http/room.hpp"
#include "daemon/http/table.hpp"

namespace gatehouse::http {

namespace {

constexpr std::size_t kSearchMax = 50;

std::string label_of(const Call& call, const std::string& unit) {
    for (const Unit& one : call.snapshot->registry->units)
        if (one.unit == unit) return one.label.empty() ? one.unit : one.label;
    return unit;
}

// An amount of money in a text; nothing where absent, and told where wrong.
// A price or what was taken; 0.00 says that it was free.
std::optional<Fen> fen_of(Body& body, const char* name) {
    if (!body.has(name)) return std::nullopt;
    const std::string text = body.required_decimal(name);
    if (text == "0" || text == "0.0" || text == "0.00") return Fen{};
    std::vector<Refusal> refusals;
    const auto amount = read_amount(text, AmountSign::positive, "amount", refusals);
    for (const Refusal& one : refusals) body.wrong(std::string("/") + name, one.message);
    return amount;
}

// A time in a text; nothing where absent, and told where wrong.
std::optional<UtcMs> time_of(const Call& call, Body& body, const char* name) {
    const std::string text = body.text(name);
    if (text.empty()) return std::nullopt;
    const auto at = parse_iso8601(text, call.app.zone);
    if (!at)
        body.wrong(std::string("/") + name, "`" + text + "` is no time; write 2026-11-23T14:00");
    return at;
}

Ticket find_ticket(Call& call, KeyBooks& books) {
    const auto row = books.ticket(call.params[0]);
    if (!row) throw Refused{problem(404, "not-found", "No ticket " + call.params[0] + ".")};
    return ticket_of(*row);
}

// What is to be filled in by hand has its line all the same.
std::string or_blank(std::string text) {
    return text.empty() ? "\u3000" : std::move(text);
}

void fill_slip(Page& page, const Call& call, const Ticket& ticket, const std::string& reporter) {
    const Zone& zone = call.app.zone;
    const auto say = [&](CellWords words, const std::string& word) {
        return page.chinese() ? chinese_word(words, word) : word;
    };
    const auto by = [&](const std::optional<UtcMs>& at) { return or_blank(minute(at, zone)); };
    std::string crew;
    for (const std::string& one : ticket.crew) crew += (crew.empty() ? "" : ", ") + one;
    page.facts(
        {{{"Number", "派工单号"}, ticket.number},
         {{"Where", "房号/部位"}, ticket.unit.empty() ? ticket.place : label_of(call, ticket.unit)},
         {{"Reporter, phone", "报修人/电话"}, or_blank(reporter)},
         {{"Category", "类别"}, ticket.category},
         {{"Urgency", "紧急程度"}, say(kUrgencyWords, to_string(ticket.urgency))},
         {{"What is wrong", "报修内容"}, ticket.text},
         {{"Reported", "报修时间"}, minute(ticket.reported_at, zone)},
         {{"By way of", "报修方式"}, or_blank(say(kChannelWords, ticket.channel))},
         {{"Taken by", "接单记录人"}, ticket.by},
         {{"Dispatched", "派单时间"}, by(ticket.dispatched_at)},
         {{"Who goes", "维修人"}, or_blank(crew)},
         {{"Appointment", "预约时间"}, minute(ticket.appointment_at, zone)},
         {{"On site by", "到场时限"}, by(ticket.on_site_by)},
         {{"Done by", "完工时限"}, by(ticket.done_by)},
         {{"Agreed price", "约定价格"},
          or_blank(ticket.agreed_price ? format(*ticket.agreed_price) : "")},
         {{"Receipt", "收费单据"}, or_blank(ticket.receipt)}});
    page.table({{{"Arrived", "到场时间"}},
                {{"Done", "完工时间"}},
                {{"Material", "材料费"}, true},
                {{"Labour", "人工费"}, true},
                {{"Result", "处理结果"}}},
               {{by(ticket.started_at), by(ticket.done_at),
                 ticket.material ? format(*ticket.material) : "",
                 ticket.labour ? format(*ticket.labour) : "", ticket.result}});
    page.signatures({{"Repairer", "维修人签字"}, {"Resident", "住户签字"}, {"Desk", "客服签字"}});
}

// 派工单: what the repairer takes along and both sign, with the copy that the desk keeps. Whoever
// opens the household's file has it with name and phone, and stands in its view log.
Response slip(Call& call, const Ticket& ticket) {
    const bool chinese = call.app.options.chinese;
    std::string reporter;
    if (!ticket.unit.empty()) {
        const bool whole = opens_file(call, ticket.unit);
        reporter = contact_of(call, ticket.unit, whole);
        if (whole && !reporter.empty())
            ask_engine(call, NoteView{call.actor, ticket.unit, "", "dispatch slip"});
    }
    Page page(chinese, call.app.options.site_name,
              chinese ? "派工单（维修联）" : "Dispatch slip (repairer's)", Paper::a5);
    fill_slip(page, call, ticket, reporter);
    page.next_sheet(chinese ? "派工单（客服存根）" : "Dispatch slip (desk's)");
    fill_slip(page, call, ticket, reporter);
    return page.response();
}

// Numbers as the office writes rooms: full-width digits are digits, and so are those of 3栋1201.
std::string ascii_digits(const std::string& text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
        // U+FF10 to U+FF19 are EF BC 90 to EF BC 99.
        if (i + 2 < text.size() && byte(i) == 0xEF && byte(i + 1) == 0xBC && byte(i + 2) >= 0x90 &&
            byte(i + 2) <= 0x99) {
            out += static_cast<char>('0' + (byte(i + 2) - 0x90));
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

std::vector<std::string> digit_groups(const std::string& text) {
    std::vector<std::string> groups;
    bool inside = false;
    for (const char c : text) {
        const bool digit = c >= '0' && c <= '9';
        if (digit && !inside) groups.emplace_back();
        if (digit) groups.back() += c;
        inside = digit;
    }
    // 0302 and 302 are one room.
    for (std::string& group : groups)
        group.erase(0, std::min(group.find_first_not_of('0'), group.size() - 1));
    return groups;
}

// Every group of the question stands in the label, in order: 3栋1201 is 3栋2单元1201. One number
// alone says too little.
bool names_room(const std::vector<std::string>& wanted, const std::string& label) {
    if (wanted.size() < 2) return false;
    std::size_t at = 0;
    for (const std::string& group : digit_groups(ascii_digits(label)))
        if (at < wanted.size() && group == wanted[at]) ++at;
    return at == wanted.size();
}

}  // namespace

Response get_tickets(Call& call) {
    Query query(call.request);
    KeyBooks::TicketFilter filter;
    filter.state = query.text("state").value_or("");
    filter.unit = query.text("unit").value_or("");
    filter.kind = query.text("kind").value_or("");
    filter.after = query.text("after").value_or("");
    filter.from = query.time("from", call.app.zone);
    filter.to = query.through("to", call.app.zone);
    const std::uint64_t limit = query.limit();
    query.finish();
    if (!filter.state.empty() && filter.state != "open" && !parse_ticket_state(filter.state))
        throw Refused{problem(400, "query", "state=" + filter.state + " is no state of a ticket.")};
    const auto reader = call.app.readers.take();
    KeyBooks books = reader->key_books();
    if (!filter.after.empty() && !books.ticket(filter.after))
        throw Refused{problem(400, "cursor", "after=" + filter.after + " names no ticket.")};
    const auto rows = books.tickets(filter, limit + 1);
    ListWriter list;
    std::string next = filter.after;
    for (const TicketRow& row : rows) {
        if (list.count() == limit) break;
        list.item(ticket_json(ticket_of(row), label_of(call, row.unit), call.app.options.currency,
                              nullptr, call.app.zone));
        next = row.number;
    }
    list.end_items();
    const bool has_more = rows.size() > limit;
    return next.empty() ? list.finish(std::optional<std::string>(), has_more)
                        : list.finish(next, has_more);
}

Response get_ticket(Call& call) {
    Query(call.request).finish();
    const auto reader = call.app.readers.take();
    KeyBooks books = reader->key_books();
    const Ticket ticket = find_ticket(call, books);
    if (call.request.wants_html) return slip(call, ticket);
    TicketParts parts{books.moves(ticket.number), books.links_of_ticket(ticket.number)};
    parts.spoken_to = spoken_to_of(ticket, parts.moves);
    if (!parts.spoken_to.empty() && opens_file(call, ticket.unit))
        ask_engine(call, NoteView{call.actor, ticket.unit, "", "visit"});
    else
        for (auto& [move, person] : parts.spoken_to) person = masked_name(person);
    return json_response(ticket_json(ticket, label_of(call, ticket.unit), call.app.options.currency,
                                     &parts, call.app.zone));
}

void post_ticket(Call& call, Respond respond) {
    Query(call.request).finish();
    Body body(call.request.body, call.app.options.limits.json_depth);
    OpenTicket open;
    open.kind = body.required_text("kind");
    open.unit = body.text("unit");
    open.place = body.text("place");
    open.category = body.text("category");
    open.urgency = body.text("urgency");
    open.text = body.required_text("text");
    open.channel = body.text("channel");
    open.external_no = body.text("external_no");
    open.reported_at = body.text("reported_at");
    open.appointment_at = body.text("appointment_at");
    open.emergency = body.flag("emergency");
    open.by = by_of(call, body);
    body.finish();
    submit_work(call, {std::move(open)}, std::move(respond));
}

void post_ticket_action(Call& call, Respond respond) {
    const auto action = parse_ticket_action(call.params[1]);
    if (!action)
        throw Refused{problem(404, "not-found",
                              "No action " + call.params[1] +
                                  " on a ticket; dispatch, accept, decline, transfer, start, "
                                  "pause, done, visit, close, reopen, cancel, link, unlink and "
                                  "extend are.")};
    Query(call.request).finish();
    Body body(call.request.body, call.app.options.limits.json_depth);
    TicketAct act;
    act.number = call.params[0];
    TicketMove& move = act.move;
    move.action = *action;
    move.by = by_of(call, body);
    move.note = body.text("note");
    move.reason = body.text("reason");
    using A = TicketAction;
    if (*action == A::dispatch || *action == A::transfer) {
        if (body.has("crew")) move.crew = body.required_texts("crew");
        if (const std::string to = body.text("to"); !to.empty()) move.crew.push_back(to);
    }
    if (*action == A::dispatch || *action == A::transfer || *action == A::start ||
        *action == A::extend)
        move.agreed_price = fen_of(body, "agreed_price");
    if (*action == A::dispatch || *action == A::transfer || *action == A::accept)
        act.appointment_at = body.text("appointment_at");
    if (*action == A::accept || *action == A::start || *action == A::done)
        act.owner_contacted_at = body.text("owner_contacted_at");
    if (*action == A::dispatch || *action == A::transfer || *action == A::accept ||
        *action == A::start || *action == A::done)
        move.at = time_of(call, body, "at");
    if (*action == A::pause || *action == A::extend) act.until = body.text("until");
    if (*action == A::done) move.result = body.text("result");
    if (*action == A::done || *action == A::close) {
        move.material = fen_of(body, "material");
        move.labour = fen_of(body, "labour");
        move.pay_method = body.text("pay_method");
        move.receipt = body.text("receipt");
    }
    if (*action == A::visit) {
        move.rating = body.required_text("rating");
        move.spoken_to = body.text("spoken_to");
    }
    // A reason says that the keys may stay out; `override` alone asks for one.
    if (*action == A::close) move.override_ = body.flag("override") || !move.reason.empty();
    if (*action == A::link || *action == A::unlink) {
        act.loan = body.text("loan");
        act.key = body.text("key");
    }
    body.finish();
    submit_work(call, {std::move(act)}, std::move(respond));
}

// One box for whoever answers the telephone: a room, the last digits of a phone number, a ticket or
// a key. No name and no number of anybody is shown; the household's file has them.
Response get_search(Call& call) {
    Query query(call.request);
    const std::string wanted = ascii_digits(query.text("q").value_or(""));
    query.finish();
    if (wanted.size() < 2 || wanted.size() > 64)
        throw Refused{problem(400, "query",
                              "q= takes 2 to 64 bytes of a room, the last digits of "
                              "a phone number, a ticket or a key.")};
    const Registry& registry = *call.snapshot->registry;
    const auto has = [&](const std::string& text) {
        return text.find(wanted) != std::string::npos;
    };
    const std::vector<std::string> groups = digit_groups(wanted);
    std::map<std::string, const char*> found;  // unit -> why
    for (const Person& person : registry.people)
        if (wanted.size() >= 4 && person.phone.ends_with(wanted)) {
            if (!person.unit.empty()) found.emplace(person.unit, "phone");
            for (const Account& account : registry.accounts)
                if (account.holder == person.person && account.closed.empty())
                    found.emplace(account.unit, "phone");
        }
    ListWriter list;
    for (const Unit& unit : registry.units) {
        if (list.count() == kSearchMax) break;
        const bool by_room = has(unit.unit) || has(unit.label) || names_room(groups, unit.label) ||
                             names_room(groups, unit.unit);
        const auto by_phone = found.find(unit.unit);
        if (!by_room && by_phone == found.end()) continue;
        JsonWriter json;
        json.begin_object()
            .field("unit", unit.unit)
            .field("unit_label", unit.label)
            .field("by", by_room ? "room" : "phone")
            .end_object();
        list.item(json.take());
    }
    const bool with_keys = has_scope(call, "keys:read");
    for (const Key& key : registry.keys) {
        if (!with_keys || list.count() == kSearchMax) break;
        if (!has(key.key) && !has(key.label)) continue;
        JsonWriter json;
        json.begin_object().field("key", key.key).field("by", "key").end_object();
        list.item(json.take());
    }
    const auto reader = call.app.readers.take();
    if (const auto ticket = reader->key_books().ticket(wanted)) {
        JsonWriter json;
        json.begin_object()
            .field("ticket", ticket->number)
            .field_if("unit", ticket->unit)
            .field("by", "ticket")
            .end_object();
        list.item(json.take());
    }
    list.end_items();
    return list.finish(std::optional<std::string>(), false);
}

}  // namespace gatehouse::http
