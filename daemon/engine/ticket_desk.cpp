// Tickets in the key room: how one is opened, moved and shown. Which moves there are is core's.
#include <algorithm>
#include <utility>

#include "daemon/core/assert.hpp"
#include "daemon/engine/command_desk.hpp"
#include "daemon/engine/json_writer.hpp"
#include "daemon/engine/key_codec.hpp"
#include "daemon/engine/key_documents.hpp"
#include "daemon/engine/key_room.hpp"
#include "daemon/engine/meter_acts.hpp"
#include "daemon/engine/repair_summary.hpp"

namespace gatehouse {
namespace {

constexpr std::size_t kTextMax = 1'000, kShortMax = 128, kCrewMax = 16;

std::string two_digits(int value) {
    return (value < 10 ? "0" : "") + std::to_string(value);
}

void check_length(Reply& reply, const char* pointer, const std::string& text, std::size_t most) {
    if (text.size() > most)
        reply.errors.push_back(
            {pointer, "longer than " + std::to_string(most) + " bytes; shorten it"});
}

// What is sent again under a number of another system and differs from what stands; what is left
// out this time asks for nothing.
std::string changed_since(const Ticket& known, const OpenTicket& open, const Ticket& asked,
                          const std::optional<UtcMs>& reported_at) {
    const std::pair<const char*, bool> changes[] = {
        {"kind", known.kind != asked.kind},
        {"unit", known.unit != open.unit},
        {"place", known.place != open.place},
        {"text", known.text != open.text},
        {"category", !open.category.empty() && known.category != open.category},
        {"urgency", !open.urgency.empty() && known.urgency != asked.urgency},
        {"channel", !open.channel.empty() && known.channel != open.channel},
        {"reported_at", reported_at && known.reported_at != *reported_at},
        // Whoever is sent agrees on another one, so that it is compared before that alone.
        {"appointment_at", asked.appointment_at && known.spans.empty() &&
                               known.appointment_at != asked.appointment_at},
        {"emergency", open.emergency && !known.emergency},
    };
    std::string names;
    for (const auto& [name, changed] : changes)
        if (changed) names += (names.empty() ? "" : ", ") + std::string(name);
    return names;
}

std::string choices_of_kind() {
    return "repair, complaint, inspection, defect, paid_service (an enquiry is a call, POST "
           "/calls)";
}

}  // namespace

const Ticket* KeyRoom::find_ticket(const std::string& number) {
    if (const auto found = tickets_.find(number); found != tickets_.end()) return &found->second;
    const auto row = context_.store.key_books().ticket(number);
    if (!row) return nullptr;
    return &tickets_.emplace(number, ticket_of(*row)).first->second;
}

void KeyRoom::show(const Ticket& ticket) {
    if (ticket.closed_at || ticket.cancelled_at)
        shown_.erase(ticket.number);
    else
        shown_[ticket.number] =
            compact_ticket_json(ticket, context_.unit_label(ticket.unit), context_.zone);
}

std::string KeyRoom::new_number(const Ticket& ticket) const {
    const LocalDate day = context_.day_of(context_.now_ms());
    const std::string prefix = std::string(ticket.kind == TicketKind::inspection ? "XJ" : "WX") +
                               "-" + std::to_string(day.year) + two_digits(day.month) + "-";
    const std::string newest = context_.store.key_books().newest_number(prefix);
    const std::string next =
        std::to_string(newest.empty() ? 1 : std::stoll(newest.substr(prefix.size())) + 1);
    return prefix + std::string(next.size() < 4 ? 4 - next.size() : 0, '0') + next;
}

// A lot that nobody picks by hand, and that comes out the same whenever it is drawn again.
std::uint32_t KeyRoom::lot_of(const std::string& number) {
    const std::string name = "visit_secret/" + number.substr(0, number.rfind('-'));
    std::string secret = context_.store.load_note(name);
    if (secret.empty()) {
        secret = std::to_string(context_.random.next_u64());
        context_.store.put_note(name, secret);
    }
    std::uint32_t hash = 2'166'136'261U;  // FNV-1a, then mixed
    for (const char c : number + "|" + secret)
        hash = (hash ^ static_cast<unsigned char>(c)) * 16'777'619U;
    hash ^= hash >> 16U;
    hash *= 0x85eb'ca6bU;
    return hash ^ (hash >> 13U);
}

// A key that is lost is not back either, until it is found.
bool KeyRoom::has_keys_out(const std::string& ticket) const {
    KeyBooks& books = context_.store.key_books();
    for (const KeyLinkRow& link : books.links_of_ticket(ticket)) {
        const auto kind = parse_key_link_kind(link.kind);
        const auto row = books.loan(link.loan);
        if (!kind || !counts(*kind) || !row) continue;
        const KeyLoan loan = loan_of(*row);
        if (!loan.in_at && !loan.lost_at) return true;
        const auto state = now_.keys.find(loan.key);
        if (!loan.in_at && state != now_.keys.end() && state->second.place == KeyPlace::lost)
            return true;
    }
    return false;
}

namespace {

bool is_home_of_people(UnitStatus status) {
    return status == UnitStatus::occupied || status == UnitStatus::let ||
           status == UnitStatus::away;
}

}  // namespace

// A key of an occupied home was used for it, however long ago that was: one that the household
// left here, or any other that opens the flat of the ticket while people live there.
bool KeyRoom::used_home_key(const std::string& ticket, const std::string& unit) const {
    const auto home = context_.world.units.find(unit);
    const bool lived_in =
        home != context_.world.units.end() && is_home_of_people(home->second->status);
    KeyBooks& books = context_.store.key_books();
    for (const KeyLinkRow& link : books.links_of_ticket(ticket)) {
        const auto kind = parse_key_link_kind(link.kind);
        const auto row = books.loan(link.loan);
        const Key* key = row ? find_key(row->key) : nullptr;
        if (!kind || !counts(*kind) || key == nullptr) continue;
        if (key->class_ == KeyClass::entrusted) return true;
        const bool of_homes =
            key->class_ != KeyClass::public_ && key->class_ != KeyClass::equipment;
        if (lived_in && of_homes) return true;
    }
    return false;
}

namespace {

// The time at which a move is counted: when it was so, while no month from there on is filed; else
// when it is written down. A ticket's moves stay in order.
UtcMs counted_at(Context& context, const std::string& number, UtcMs happened) {
    const UtcMs now = context.now_ms();
    if (happened >= now) return now;
    KeyBooks& books = context.store.key_books();
    const auto before = books.moves(number);
    const UtcMs at = before.empty() ? happened : std::max(happened, before.back().at);
    const std::string month = format_date(context.day_of(at)).substr(0, 7);
    return books.newest_subject(kRepairsFiled) >= month ? now : at;
}

// The event is published; what was said stands in the row of the move.
std::string words_of(const TicketMove& move) {
    return move.reason + (move.reason.empty() || move.note.empty() ? "" : "; ") + move.note;
}

}  // namespace

void KeyRoom::keep_ticket(const Ticket& before, const Ticket& after, const TicketMove& move,
                          const std::vector<TicketState>& states) {
    KeyBooks& books = context_.store.key_books();
    books.put_ticket(ticket_row(after));
    std::vector<std::string> about{"ticket:" + after.number};
    if (!after.unit.empty()) about.push_back("unit:" + after.unit);
    for (const std::string& person : after.crew) about.push_back("staff:" + person);
    TicketState from = before.state;
    std::vector<TicketState> steps = states;
    const bool still = steps.empty();
    if (still) steps.push_back(after.state);
    const bool opened = before.number.empty();
    const UtcMs counted = counted_at(context_, after.number, move.at.value_or(context_.now_ms()));
    for (const TicketState to : steps) {
        JsonWriter subject, body;
        subject.begin_object().field("ticket", after.number).field_if("unit", after.unit);
        subject.end_object();
        Ticket shown = after;
        shown.state = to;
        const std::string action = opened ? "report" : to_string(move.action);
        std::string text =
            compact_ticket_json(shown, context_.unit_label(after.unit), context_.zone);
        text.pop_back();
        body.begin_object()
            .field("action", action)
            .field("by", move.by)
            .field("at", context_.iso(context_.now_ms()))
            .end_object();
        text += "," + body.take().substr(1);
        const std::string kind =
            still ? std::string("ticket.") + (move.action == TicketAction::link     ? "linked"
                                              : move.action == TicketAction::unlink ? "unlinked"
                                                                                    : "extended")
            : opened && to == TicketState::reported ? "ticket.reported"
            : move.action == TicketAction::reopen   ? "ticket.reopened"
            : move.action == TicketAction::decline  ? "ticket.declined"
            : move.action == TicketAction::transfer ? "ticket.transferred"
                                                    : std::string("ticket.") + to_string(to);
        const std::uint64_t event = log_event(context_, kind, subject.take(), text, about);
        books.add_move({0, after.number, action, opened ? "" : to_string(from), to_string(to),
                        move.by, words_of(move), counted, event});
        from = to;
    }
    tickets_.insert_or_assign(after.number, after);
    show(after);
    keep_links(loans_near(after));
    moved_ = true;
    watch();
}

Reply KeyRoom::open(const OpenTicket& open) {
    Reply reply;
    Ticket ticket;
    check_staff(context_, reply, "/by", open.by);
    if (const auto kind = parse_ticket_kind(open.kind))
        ticket.kind = *kind;
    else
        reply.errors.push_back({"/kind", "`" + open.kind + "` is none of " + choices_of_kind()});
    if (const auto urgency = parse_ticket_urgency(open.urgency.empty() ? "normal" : open.urgency))
        ticket.urgency = *urgency;
    else
        reply.errors.push_back({"/urgency", "`" + open.urgency +
                                                "` is none of urgent (急), normal (一般), planned "
                                                "(计划)"});
    if (open.unit.empty() && open.place.empty())
        reply.errors.push_back({"/unit", "is missing: name the unit, or `place` in public areas"});
    if (!open.unit.empty() && !context_.world.units.contains(open.unit))
        reply.errors.push_back({"/unit", "no unit `" + open.unit + "` stands in units.csv"});
    if (open.text.empty())
        reply.errors.push_back({"/text", "is missing: say what is wrong in a few words"});
    check_length(reply, "/text", open.text, kTextMax);
    check_length(reply, "/place", open.place, kShortMax);
    check_length(reply, "/category", open.category, kShortMax);
    check_length(reply, "/channel", open.channel, kShortMax);
    check_length(reply, "/external_no", open.external_no, kShortMax);
    const auto time = [&](const char* pointer, const std::string& text) {
        const auto at = parse_iso8601(text, context_.zone);
        if (!text.empty() && !at)
            reply.errors.push_back({pointer, "`" + text + "` is no time; write 2026-11-23T14:00"});
        return text.empty() ? std::nullopt : at;
    };
    const std::optional<UtcMs> reported = time("/reported_at", open.reported_at);
    ticket.appointment_at = time("/appointment_at", open.appointment_at);
    if (reported && *reported > context_.now_ms())
        reply.errors.push_back({"/reported_at", "`" + open.reported_at + "` lies in the future"});
    if (is_refused(reply)) return reply;
    if (!open.external_no.empty()) {
        if (const auto there = context_.store.key_books().ticket_by_external(open.external_no)) {
            const Ticket known = ticket_of(*there);
            if (const std::string what = changed_since(known, open, ticket, reported);
                !what.empty())
                return refusal(ReplyKind::conflict, "external-no-used",
                               "external_no `" + open.external_no + "` is ticket " + known.number +
                                   " with another " + what + "; draw a new number");
            reply.json = ticket_json(known, context_.unit_label(there->unit),
                                     context_.options.currency, nullptr, context_.zone);
            return reply;
        }
    }
    ticket.unit = open.unit;
    ticket.place = open.place;
    ticket.category = open.category.empty() ? "其他" : open.category;
    ticket.text = open.text;
    ticket.channel = open.channel;
    ticket.external_no = open.external_no;
    ticket.by = open.by;
    ticket.emergency = open.emergency;
    ticket.reported_at = reported.value_or(context_.now_ms());
    ticket.number = new_number(ticket);
    newest_opened_ = ticket.number;
    set_timers(ticket, ticket.reported_at, {context_.world.calendar, context_.zone});
    TicketMove move;
    move.by = open.by;
    move.at = ticket.reported_at;
    keep_ticket({}, ticket, move, {TicketState::reported});
    reply.kind = ReplyKind::created;
    reply.json = ticket_json(ticket, context_.unit_label(ticket.unit), context_.options.currency,
                             nullptr, context_.zone);
    return reply;
}

namespace {

bool names_ticket(const std::vector<std::pair<std::string, std::string>>& named,
                  const std::string& number) {
    return std::any_of(named.begin(), named.end(),
                       [&](const auto& one) { return one.first == number; });
}

}  // namespace

std::string KeyRoom::loan_to_link(const TicketAct& act, Reply& reply) const {
    std::string loan = act.loan;
    if (!act.key.empty())
        if (const auto at = now_.keys.find(act.key); at != now_.keys.end() && at->second.loan)
            loan = format(at->second.loan->id);
    if (!kept_.contains(loan))
        reply.errors.push_back({act.key.empty() ? "/loan" : "/key",
                                "names no key that is out, or came back within three days"});
    return loan;
}

// What the box concluded follows from tickets and loans: whoever knows better links what is right.
std::string KeyRoom::loan_to_unlink(const TicketAct& act, Reply& reply) const {
    std::vector<std::string> loans;
    for (const auto& [loan, named] : named_) {
        const auto kept = kept_.find(loan);
        const bool meant = act.loan.empty() || act.loan == loan;
        if (kept == kept_.end() || !meant || !names_ticket(named, act.number)) continue;
        if (act.key.empty() || kept->second.key == act.key) loans.push_back(loan);
    }
    if (loans.size() == 1) return loans.front();
    const char* pointer = !act.loan.empty() || act.key.empty() ? "/loan" : "/key";
    if (loans.empty())
        reply.errors.push_back(
            {pointer, "names no key that was linked to " + act.number +
                          " by hand and is out, or came back within three days"});
    else
        reply.errors.push_back({"/loan", "is to say which: " + loans[0] + " and " + loans[1] +
                                             (loans.size() > 2 ? " and others" : "") +
                                             " are linked to it by hand"});
    return "";
}

Reply KeyRoom::move(const TicketAct& act) {
    const Ticket* found = find_ticket(act.number);
    if (found == nullptr)
        return refusal(ReplyKind::not_found, "not-found", "no ticket `" + act.number + "`");
    const Ticket before = *found;
    Reply reply;
    TicketMove move = act.move;
    check_staff(context_, reply, "/by", move.by);
    if (move.crew.size() > kCrewMax)
        reply.errors.push_back({"/crew", "more than " + std::to_string(kCrewMax) + " people"});
    for (std::size_t i = 0; i < move.crew.size(); ++i)
        if (const std::string why = not_here(move.crew[i]); !why.empty())
            reply.errors.push_back({"/crew/" + std::to_string(i), why});
    const auto time = [&](const char* pointer, const std::string& text) {
        const auto at = parse_iso8601(text, context_.zone);
        if (!text.empty() && !at)
            reply.errors.push_back({pointer, "`" + text + "` is no time; write 2026-11-23T14:00"});
        return text.empty() ? std::nullopt : at;
    };
    move.appointment_at = time("/appointment_at", act.appointment_at);
    move.until = time("/until", act.until);
    move.owner_contacted_at = time("/owner_contacted_at", act.owner_contacted_at);
    check_length(reply, "/note", move.note, kTextMax);
    check_length(reply, "/reason", move.reason, kTextMax);
    check_length(reply, "/result", move.result, kTextMax);
    check_length(reply, "/spoken_to", move.spoken_to, kShortMax);
    std::string loan;
    if (move.action == TicketAction::link) loan = loan_to_link(act, reply);
    if (move.action == TicketAction::unlink) loan = loan_to_unlink(act, reply);
    if (is_refused(reply)) return reply;
    move.keys_out = has_keys_out(act.number);
    move.lot = lot_of(act.number);
    if (used_home_key(act.number, before.unit)) move.safety = true;
    auto result =
        move_ticket(before, move, context_.now_ms(), {context_.world.calendar, context_.zone});
    if (const auto* refused = std::get_if<TicketRefusal>(&result)) {
        if (!refused->pointer.empty())
            return wrong_field(refused->pointer.c_str(), refused->type.c_str(), refused->text);
        return refusal(ReplyKind::conflict, refused->type, refused->text);
    }
    const auto& step = std::get<TicketStep>(result);
    if (move.action == TicketAction::link) {
        auto& named = named_[loan];
        if (!names_ticket(named, act.number)) named.emplace_back(act.number, move.by);
        keep_links({&kept_.at(loan)});
    }
    if (move.action == TicketAction::unlink) {
        auto& named = named_.at(loan);
        std::erase_if(named, [&](const auto& one) { return one.first == act.number; });
        if (named.empty()) named_.erase(loan);
        // What the box concludes without that word stands again, in rows of its own.
        keep_links({&kept_.at(loan)}, &move);
    }
    keep_ticket(before, step.ticket, move, step.states);
    TicketParts parts{context_.store.key_books().moves(act.number),
                      context_.store.key_books().links_of_ticket(act.number)};
    // Who is not shown other people's words reads his own.
    if (!move.spoken_to.empty() && !parts.moves.empty())
        parts.spoken_to.emplace(parts.moves.back().id, move.spoken_to);
    reply.json = ticket_json(step.ticket, context_.unit_label(step.ticket.unit),
                             context_.options.currency, &parts, context_.zone);
    return reply;
}

}  // namespace gatehouse
