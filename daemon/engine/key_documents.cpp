#include "daemon/engine/key_documents.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "daemon/core/registry.hpp"
#include "daemon/core/text.hpp"
#include "daemon/engine/json_writer.hpp"

namespace gatehouse {
namespace {

void time(JsonWriter& json, const char* name, const std::optional<UtcMs>& at, const Zone& zone) {
    if (at) json.field(name, format_iso8601(*at, zone));
}

void texts(JsonWriter& json, const char* name, const std::vector<std::string>& list) {
    json.key(name).begin_array();
    for (const std::string& one : list) json.value(one);
    json.end_array();
}

void loan_fields(JsonWriter& json, const KeyLoan& loan, const Zone& zone) {
    json.field("loan", format(loan.id)).key("person");
    if (loan.holder.empty())
        json.null();
    else
        json.value(loan.holder);
    if (!loan.candidates.empty()) texts(json, "candidates", loan.candidates);
    json.field_if("second", loan.second)
        .field("origin", to_string(loan.origin))
        .field_if("reason", loan.reason)
        .field_if("issued_by", loan.issued_by)
        .field("out_at", format_iso8601(loan.out_at, zone));
    time(json, "in_at", loan.in_at, zone);
    time(json, "lost_at", loan.lost_at, zone);
    json.field_if("returned_by", loan.returned_by).field_if("received_by", loan.received_by);
    if (loan.return_origin) json.field("return_origin", to_string(*loan.return_origin));
    time(json, "return_by", loan.return_by, zone);
    time(json, "extended_until", loan.extended_until, zone);
    if (loan.offered)
        json.key("offer")
            .begin_object()
            .field("from", loan.offered->from)
            .field("to", loan.offered->to)
            .field("by", loan.offered->by)
            .field("at", format_iso8601(loan.offered->at, zone))
            .field("until", format_iso8601(loan.offered->at + kOfferMs, zone))
            .end_object();
    if (loan.handed.empty()) return;
    json.key("handed").begin_array();
    for (const KeyHandOver& hand : loan.handed)
        json.begin_object()
            .field_if("from", hand.from)
            .field("to", hand.to)
            .field("by", hand.by)
            .field_if("second", hand.second)
            .field("at", format_iso8601(hand.at, zone))
            .end_object();
    json.end_array();
}

void ticket_head(JsonWriter& json, const Ticket& ticket, const std::string& unit_label,
                 const Zone& zone) {
    json.field("number", ticket.number)
        .field("kind", to_string(ticket.kind))
        .field("state", to_string(ticket.state))
        .field("urgency", to_string(ticket.urgency))
        .field("category", ticket.category)
        .field("unit", ticket.unit)
        .field("unit_label", unit_label)
        .field_if("place", ticket.place);
    texts(json, "crew", ticket.crew);
    json.field("reported_at", format_iso8601(ticket.reported_at, zone));
    for (const auto& [name, at] :
         {std::pair{"dispatched_at", &ticket.dispatched_at},
          std::pair{"accepted_at", &ticket.accepted_at},
          std::pair{"started_at", &ticket.started_at}, std::pair{"done_at", &ticket.done_at},
          std::pair{"visited_at", &ticket.visited_at}, std::pair{"closed_at", &ticket.closed_at},
          std::pair{"cancelled_at", &ticket.cancelled_at},
          std::pair{"appointment_at", &ticket.appointment_at},
          std::pair{"resume_at", &ticket.resume_at}, std::pair{"dispatch_by", &ticket.dispatch_by},
          std::pair{"on_site_by", &ticket.on_site_by}, std::pair{"done_by", &ticket.done_by},
          std::pair{"visit_by", &ticket.visit_by}})
        time(json, name, *at, zone);
    json.field("reopened", ticket.reopened);
    if (ticket.emergency) json.field("emergency", true);
}

// Older rows say only that it was somebody of the staff.
std::string person_of(const KeyLinkRow& link) {
    return link.by == "staff" ? "" : link.by;
}

void gap_items(JsonWriter& json, const std::vector<SeqGap>& gaps) {
    for (const SeqGap& gap : gaps)
        json.begin_object().field("from", gap.from).field("to", gap.through).end_object();
}

// keys-and-tickets.md 4.1, and the words of an office that writes English.
bool is_category(const std::string& word) {
    static constexpr std::array<std::string_view, 24> kWords{
        "给排水", "电气",     "门窗锁具",   "土建渗漏", "弱电门禁", "电梯",
        "消防",   "公共区域", "保洁",       "交房返修", "其他",     "plumbing",
        "water",  "power",    "electrical", "doors",    "lock",     "structure",
        "leak",   "access",   "lift",       "fire",     "cleaning", "other"};
    return std::find(kWords.begin(), kWords.end(), word) != kWords.end();
}

}  // namespace

std::string key_json(const KeyView& view, const Key& key, const Zone& zone) {
    JsonWriter json;
    json.begin_object()
        .field("key", key.key)
        .field("class", to_string(key.class_))
        .field("state", to_string(view.place))
        .field_if("cabinet", view.cabinet)
        .field_if("slot", view.slot)
        .field_if("place", key.place)
        .field_if("label", key.label)
        .field_if("set", key.set)
        .field_if("count", key.count);
    texts(json, "opens", key.opens);
    if (view.since != 0) json.field("since", format_iso8601(view.since, zone));
    if (view.loan) {
        loan_fields(json, *view.loan, zone);
        json.field_if("ticket", view.links.empty() ? "" : view.links.front().ticket);
        if (!view.links.empty()) json.field("link", to_string(view.links.front().kind));
        json.key("links").begin_array();
        for (const KeyLink& link : view.links)
            json.begin_object()
                .field("ticket", link.ticket)
                .field("link", to_string(link.kind))
                .field("primary", link.primary)
                .end_object();
        json.end_array();
        time(json, "due_at", view.due_at, zone);
    }
    if (view.seal) {
        json.key("seal")
            .begin_object()
            .field("no", view.seal->number)
            .field("state", view.seal->broken ? "broken" : "intact")
            .field_if("person", view.seal->person)
            .field_if("second", view.seal->second);
        if (view.seal->at != 0) json.field("at", format_iso8601(view.seal->at, zone));
        json.end_object();
    }
    json.end_object();
    return json.take();
}

std::string loan_json(const KeyLoan& loan, const std::vector<KeyLinkRow>& links, const Zone& zone) {
    JsonWriter json;
    json.begin_object().field("key", loan.key);
    loan_fields(json, loan, zone);
    json.key("links").begin_array();
    for (const KeyLinkRow& link : links)
        json.begin_object()
            .field("ticket", link.ticket)
            .field("link", link.kind)
            .field("primary", link.primary)
            .field_if("by", person_of(link))
            .end_object();
    json.end_array().end_object();
    return json.take();
}

std::string cabinet_json(const CabinetView& view, const Zone& zone) {
    JsonWriter json;
    json.begin_object()
        .field("cabinet", view.cabinet)
        .field("profile", view.profile)
        .field("kind", view.kind)
        .field("seen", view.seen)
        .field("online", view.seen && view.online)
        .field_if("reason", view.reason)
        .field_if("source", view.source == view.cabinet ? "" : view.source)
        .field("boot", view.boot)
        .field("seq", view.seq)
        .field("clock_skew_s", view.skew_ms / 1000);
    time(json, "last_event_at", view.last_event_at, zone);
    json.field("keys", view.keys).field("out", view.out).key("gaps").begin_array();
    gap_items(json, view.gaps);
    json.end_array();
    if (view.reader) {
        const ReaderView& reader = *view.reader;
        json.key("reader")
            .begin_object()
            .field("source", reader.source)
            .field("boot", reader.boot)
            .field("seq", reader.seq);
        if (reader.skew_ms) json.field("clock_skew_s", *reader.skew_ms / 1000);
        time(json, "last_event_at", reader.last_event_at, zone);
        json.key("gaps").begin_array();
        gap_items(json, reader.gaps);
        json.end_array().end_object();
    }
    json.end_object();
    return json.take();
}

std::string ticket_json(const Ticket& ticket, const std::string& unit_label,
                        const std::string& currency, const TicketParts* parts, const Zone& zone) {
    JsonWriter json;
    json.begin_object();
    ticket_head(json, ticket, unit_label, zone);
    json.field("text", ticket.text)
        .field_if("channel", ticket.channel)
        .field_if("external_no", ticket.external_no)
        .field("by", ticket.by)
        .field_if("result", ticket.result)
        .field_if("pause_reason", ticket.pause_reason)
        .field_if("rating", ticket.rating)
        .field("must_visit", ticket.must_visit)
        .field("visit_wanted", ticket.visit_wanted)
        .field_if("pay_method", ticket.pay_method)
        .field_if("receipt", ticket.receipt)
        .field_if("close_override", ticket.close_override);
    time(json, "owner_contacted_at", ticket.owner_contacted_at, zone);
    for (const auto& [name, amount] :
         {std::pair{"agreed_price", &ticket.agreed_price}, std::pair{"material", &ticket.material},
          std::pair{"labour", &ticket.labour}})
        if (*amount) json.field(name, format(**amount));
    if (ticket.agreed_price || ticket.material || ticket.labour) json.field("currency", currency);
    if (parts != nullptr) {
        json.key("moves").begin_array();
        for (const TicketMoveRow& move : parts->moves) {
            const auto spoken_to = parts->spoken_to.find(move.id);
            json.begin_object()
                .field("action", move.action)
                .field("from", move.from)
                .field("to", move.to)
                .field("by", move.by)
                .field_if("spoken_to", spoken_to == parts->spoken_to.end() ? "" : spoken_to->second)
                .field_if("note", move.note)
                .field("at", format_iso8601(move.at, zone))
                .field("seq", move.event)
                .end_object();
        }
        json.end_array().key("keys").begin_array();
        for (const KeyLinkRow& link : parts->links)
            json.begin_object()
                .field("loan", link.loan)
                .field("link", link.kind)
                .field("primary", link.primary)
                .field_if("by", person_of(link))
                .end_object();
        json.end_array();
    }
    json.end_object();
    return json.take();
}

std::string compact_ticket_json(const Ticket& ticket, const std::string& unit_label,
                                const Zone& zone) {
    JsonWriter json;
    // It is published: a category or a place that somebody made up may be anybody's name.
    Ticket shown = ticket;
    if (!is_category(shown.category)) shown.category = "其他";
    if (!is_code(shown.place)) shown.place.clear();
    json.begin_object().field("schema", 1);
    ticket_head(json, shown, unit_label, zone);
    json.end_object();
    return json.take();
}

}  // namespace gatehouse
