#include "daemon/engine/key_codec.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <type_traits>

#include "daemon/engine/json_writer.hpp"
#include "daemon/store/rows.hpp"

namespace gatehouse {
namespace {

namespace bj = boost::json;

// One list of members serves both ways: Out writes what differs from nothing, In reads it again.
class Out {
  public:
    explicit Out(JsonWriter& json) : json_(json) {}

    void operator()(const char* name, const std::string& text) { json_.field_if(name, text); }
    template <class Number>
    requires std::is_arithmetic_v<Number>
    void operator()(const char* name, Number number) {
        if (number != Number{}) json_.field(name, number);
    }
    template <class T>
    void operator()(const char* name, const std::optional<T>& maybe) {
        if (!maybe) return;
        if constexpr (std::is_same_v<T, Fen>)
            json_.field(name, maybe->count);
        else
            json_.field(name, *maybe);
    }
    template <class List>
    requires requires(const List& list) { list.begin(), list.size(); }
    void operator()(const char* name, const List& list) {
        if (list.size() == 0) return;
        json_.key(name).begin_array();
        for (const auto& one : list) json_.value(one);
        json_.end_array();
    }
    template <class T>
    void word(const char* name, const T& value) {
        json_.field(name, to_string(value));
    }
    template <class T>
    void word(const char* name, const std::optional<T>& value) {
        if (value) json_.field(name, to_string(*value));
    }
    void id(const char* name, const KeyEventId& value) {
        json_.field_if(name, value.source.empty() ? "" : format(value));
    }
    template <class T>
    void parts(const char* name, const std::vector<T>& list) {
        if (list.empty()) return;
        json_.key(name).begin_array();
        for (const T& one : list) object(one);
        json_.end_array();
    }
    template <class Maybe>
    void part(const char* name, const Maybe& one) {
        if (!one) return;
        json_.key(name);
        object(*one);
    }
    template <class T>
    void object(const T& value) {
        json_.begin_object();
        members(*this, value);
        json_.end_object();
    }

  private:
    JsonWriter& json_;
};

class In {
  public:
    explicit In(const bj::object& object) : object_(object) {}

    void operator()(const char* name, std::string& text) const {
        if (const bj::value* value = object_.if_contains(name)) text = value->as_string().c_str();
    }
    template <class Number>
    requires std::is_arithmetic_v<Number>
    void operator()(const char* name, Number& number) const {
        const bj::value* value = object_.if_contains(name);
        if (value == nullptr) return;
        if constexpr (std::is_same_v<Number, bool>)
            number = value->as_bool();
        else
            number = value->to_number<Number>();
    }
    template <class T>
    void operator()(const char* name, std::optional<T>& maybe) const {
        const bj::value* value = object_.if_contains(name);
        if (value == nullptr) return;
        if constexpr (std::is_same_v<T, Fen>)
            maybe = Fen{value->to_number<std::int64_t>()};
        else
            maybe = value->to_number<T>();
    }
    template <class List>
    requires requires(List& list) { list.insert(list.end(), typename List::value_type{}); }
    void operator()(const char* name, List& list) const {
        const bj::value* value = object_.if_contains(name);
        if (value == nullptr) return;
        for (const bj::value& one : value->as_array()) {
            if constexpr (std::is_same_v<typename List::value_type, std::string>)
                list.insert(list.end(), std::string(one.as_string()));
            else
                list.insert(list.end(), one.to_number<typename List::value_type>());
        }
    }
    template <class T>
    void word(const char* name, T& value) const {
        const std::string_view text = object_.at(name).as_string();
        for (int i = 0;; ++i) {
            const auto candidate = static_cast<T>(i);
            const std::string_view word = to_string(candidate);
            if (word.empty()) throw std::invalid_argument("unknown word");
            if (word != text) continue;
            value = candidate;
            return;
        }
    }
    template <class T>
    void word(const char* name, std::optional<T>& value) const {
        if (!object_.if_contains(name)) return;
        T one{};
        word(name, one);
        value = one;
    }
    void id(const char* name, KeyEventId& value) const {
        if (!object_.if_contains(name)) return;
        const auto parsed = parse_key_event_id(object_.at(name).as_string());
        if (!parsed) throw std::invalid_argument("no id");
        value = *parsed;
    }
    template <class T>
    void parts(const char* name, std::vector<T>& list) const {
        const bj::value* value = object_.if_contains(name);
        if (value == nullptr) return;
        for (const bj::value& one : value->as_array()) {
            T part;
            In in(one.as_object());
            members(in, part);
            list.push_back(std::move(part));
        }
    }
    template <template <class> class Maybe, class T>
    void part(const char* name, Maybe<T>& value) const {
        const bj::value* found = object_.if_contains(name);
        if (found == nullptr) return;
        In in(found->as_object());
        T one;
        members(in, one);
        value = std::move(one);
    }

  private:
    const bj::object& object_;
};

template <class T, class Type>
concept Is = std::is_same_v<std::remove_const_t<T>, Type>;

template <class V>
void members(V& visit, Is<SlotTag> auto& one) {
    visit("slot", one.slot);
    visit("tag", one.tag);
}

template <class V>
void members(V& visit, Is<SealWritten> auto& seal) {
    visit("number", seal.number);
    visit("listed", seal.listed);
}

template <class V>
void members(V& visit, Is<KeyExpected> auto& expected) {
    visit("place", expected.place);
    visit("holder", expected.holder);
    visit("pieces", expected.pieces);
}

template <class V>
void members(V& visit, Is<KeyEvent> auto& event) {
    visit.id("id", event.id);
    visit.word("type", event.type);
    visit("word", event.word);
    visit("detail", event.detail);
    visit("begins", event.begins);
    visit("slot", event.slot);
    visit("door", event.door);
    visit("home", event.home);
    visit("tag", event.tag);
    visit("key", event.key);
    visit("card", event.card);
    visit("person", event.person);
    visit("stranger", event.stranger);
    visit("second", event.second);
    visit("to", event.to);
    visit("by", event.by);
    visit("ticket", event.ticket);
    visit("reason", event.reason);
    visit("session", event.session);
    visit("until", event.until);
    visit.part("seal", event.seal);
    visit.part("expected", event.expected);
    visit.word("origin", event.origin);
    visit("present", event.present);
    visit("covers", event.covers);
    visit.parts("tags", event.tags);
    visit("from", event.from);
    visit("through", event.through);
    visit("at", event.at);
    visit("device_at", event.device_at);
    visit("received_at", event.received_at);
    visit("clocked", event.clocked);
    visit("extra", event.extra);
}

template <class V>
void members(V& visit, Is<KeyHandOver> auto& hand) {
    visit("from", hand.from);
    visit("to", hand.to);
    visit("by", hand.by);
    visit("at", hand.at);
    visit("second", hand.second);
}

template <class V>
void members(V& visit, Is<KeyOffer> auto& offer) {
    visit("from", offer.from);
    visit("to", offer.to);
    visit("by", offer.by);
    visit("at", offer.at);
}

template <class V>
void members(V& visit, Is<KeyLoan> auto& loan) {
    visit.id("id", loan.id);
    visit("key", loan.key);
    visit("holder", loan.holder);
    visit("candidates", loan.candidates);
    visit("second", loan.second);
    visit.word("origin", loan.origin);
    visit("ticket", loan.ticket);
    visit("reason", loan.reason);
    visit("issued_by", loan.issued_by);
    visit("out_at", loan.out_at);
    visit("in_at", loan.in_at);
    visit("lost_at", loan.lost_at);
    visit("returned_by", loan.returned_by);
    visit("received_by", loan.received_by);
    visit.word("return_origin", loan.return_origin);
    visit.parts("handed", loan.handed);
    visit("return_by", loan.return_by);
    visit("extended_until", loan.extended_until);
    visit.part("offered", loan.offered);
}

template <class V>
void members(V& visit, Is<KeySeal> auto& seal) {
    visit("number", seal.number);
    visit("listed", seal.listed);
    visit("broken", seal.broken);
    visit("person", seal.person);
    visit("second", seal.second);
    visit("at", seal.at);
}

template <class V>
void members(V& visit, Is<KeyState> auto& state) {
    visit.word("place", state.place);
    visit("cabinet", state.cabinet);
    visit("slot", state.slot);
    visit.part("loan", state.loan);
    visit("since", state.since);
    visit.part("seal", state.seal);
}

template <class V>
void members(V& visit, Is<KeySession> auto& session) {
    visit("person", session.person);
    visit("card", session.card);
    visit("opened_at", session.opened_at);
    visit("changed_at", session.changed_at);
    visit("closed_at", session.closed_at);
    visit("door", session.door);
}

template <class V>
void members(V& visit, Is<SourceState> auto& source) {
    visit("boot", source.boot);
    visit("seq", source.seq);
    visit("begun", source.begun);
    visit("offline_since", source.offline_since);
}

template <class V>
void members(V& visit, Is<SlotGuest> auto& guest) {
    visit("slot", guest.slot);
    visit("key", guest.key);
    visit("tag", guest.tag);
}

// Older books have these members, but for the guests, with the cabinet's source.
template <class V>
void members(V& visit, Is<CabinetState> auto& cabinet) {
    visit.parts("sessions", cabinet.sessions);
    visit("open_doors", cabinet.open_doors);
    visit("door_open_since", cabinet.door_open_since);
    visit("authorised_at", cabinet.authorised_at);
    visit("unknown_cards", cabinet.unknown_cards);
    visit("denials", cabinet.denials);
    visit.parts("guests", cabinet.guests);
}

template <class V>
void members(V& visit, Is<CardSpan> auto& span) {
    visit("staff", span.staff);
    visit("from", span.from);
    visit("to", span.to);
}

template <class V>
void members(V& visit, Is<CardHistory> auto& card) {
    visit.parts("spans", card.spans);
}

template <class V>
void members(V& visit, Is<CrewSpan> auto& span) {
    visit("crew", span.crew);
    visit("from", span.from);
    visit("to", span.to);
}

template <class V>
void members(V& visit, Is<TicketOutcome> auto& outcome) {
    visit("at", outcome.at);
    visit("what", outcome.what);
    visit("done_by", outcome.done_by);
    visit("material", outcome.material.count);
    visit("labour", outcome.labour.count);
    visit("rating", outcome.rating);
    visit("spoken_to", outcome.spoken_to);
}

template <class V>
void members(V& visit, Is<Ticket> auto& ticket) {
    visit("number", ticket.number);
    visit.word("kind", ticket.kind);
    visit.word("state", ticket.state);
    visit.word("urgency", ticket.urgency);
    visit("unit", ticket.unit);
    visit("place", ticket.place);
    visit("category", ticket.category);
    visit("text", ticket.text);
    visit("channel", ticket.channel);
    visit("external_no", ticket.external_no);
    visit("by", ticket.by);
    visit("crew", ticket.crew);
    visit.parts("spans", ticket.spans);
    visit.parts("outcomes", ticket.outcomes);
    visit("reported_at", ticket.reported_at);
    visit("dispatched_at", ticket.dispatched_at);
    visit("accepted_at", ticket.accepted_at);
    visit("started_at", ticket.started_at);
    visit("done_at", ticket.done_at);
    visit("visited_at", ticket.visited_at);
    visit("closed_at", ticket.closed_at);
    visit("cancelled_at", ticket.cancelled_at);
    visit("appointment_at", ticket.appointment_at);
    visit("resume_at", ticket.resume_at);
    visit("dispatch_by", ticket.dispatch_by);
    visit("on_site_by", ticket.on_site_by);
    visit("done_by", ticket.done_by);
    visit("paused_at", ticket.paused_at);
    visit("visit_by", ticket.visit_by);
    visit("reopened", ticket.reopened);
    visit("must_visit", ticket.must_visit);
    visit("visit_wanted", ticket.visit_wanted);
    visit("rating", ticket.rating);
    visit("result", ticket.result);
    visit("pause_reason", ticket.pause_reason);
    visit("agreed_price", ticket.agreed_price);
    visit("material", ticket.material);
    visit("labour", ticket.labour);
    visit("pay_method", ticket.pay_method);
    visit("receipt", ticket.receipt);
    visit("emergency", ticket.emergency);
    visit("owner_contacted_at", ticket.owner_contacted_at);
    visit("close_override", ticket.close_override);
}

template <class T>
std::string write(const T& value) {
    JsonWriter json;
    Out out(json);
    out.object(value);
    return json.take();
}

template <class T>
void read(std::string_view text, T& value) {
    try {
        const bj::value parsed = bj::parse(bj::string_view(text.data(), text.size()));
        In in(parsed.as_object());
        value = T{};
        if constexpr (std::is_same_v<T, KeyEvent>) value.begins = false;
        members(in, value);
    } catch (const std::exception& error) {
        throw StoreError(StoreError::Kind::corrupt,
                         std::string("a row of the key books cannot be read (") + error.what() +
                             "): " + std::string(text.substr(0, 80)));
    }
}

}  // namespace

std::string to_book(const KeyEvent& value) {
    return write(value);
}
std::string to_book(const KeyState& value) {
    return write(value);
}
std::string to_book(const SourceState& value) {
    return write(value);
}
std::string to_book(const CabinetState& value) {
    return write(value);
}
std::string to_book(const KeyLoan& value) {
    return write(value);
}
std::string to_book(const CardHistory& value) {
    return write(value);
}
std::string to_book(const Ticket& value) {
    return write(value);
}
void from_book(std::string_view text, KeyEvent& value) {
    read(text, value);
}
void from_book(std::string_view text, KeyState& value) {
    read(text, value);
}
void from_book(std::string_view text, SourceState& value) {
    read(text, value);
}
void from_book(std::string_view text, CabinetState& value) {
    read(text, value);
}
void from_book(std::string_view text, KeyLoan& value) {
    read(text, value);
}
void from_book(std::string_view text, CardHistory& value) {
    read(text, value);
}
void from_book(std::string_view text, Ticket& value) {
    read(text, value);
}

TicketRow ticket_row(const Ticket& ticket) {
    TicketRow row;
    row.number = ticket.number;
    row.kind = to_string(ticket.kind);
    row.state = to_string(ticket.state);
    row.unit = ticket.unit;
    row.category = ticket.category;
    row.external_no = ticket.external_no;
    row.reported_at = ticket.reported_at;
    row.ended_at = ticket.closed_at ? ticket.closed_at : ticket.cancelled_at;
    row.body = to_book(ticket);
    return row;
}

Ticket ticket_of(const TicketRow& row) {
    Ticket ticket;
    from_book(row.body, ticket);
    return ticket;
}

KeyLoanRow loan_row(const KeyLoan& loan) {
    const auto ended = loan.in_at ? loan.in_at : loan.lost_at;
    return {format(loan.id), loan.key, loan.holder, loan.out_at, ended, to_book(loan)};
}

KeyLoan loan_of(const KeyLoanRow& row) {
    KeyLoan loan;
    from_book(row.body, loan);
    return loan;
}

}  // namespace gatehouse
