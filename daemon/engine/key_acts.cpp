// What people write down about keys, how a key event stands in the log, and the board that the
// snapshot shows.
#include <algorithm>
#include <utility>

#include "daemon/core/assert.hpp"
#include "daemon/core/text.hpp"
#include "daemon/engine/command_desk.hpp"
#include "daemon/engine/json_writer.hpp"
#include "daemon/engine/key_alerts.hpp"
#include "daemon/engine/key_codec.hpp"
#include "daemon/engine/key_documents.hpp"
#include "daemon/engine/key_room.hpp"
#include "daemon/engine/meter_acts.hpp"

namespace gatehouse {
namespace {

// "key.removed" stands for itself; what has one word, or a word that the daemon's own log uses,
// is the cabinet's: tamper -> cabinet.tamper, log.gap -> cabinet.log_gap.
std::string log_kind(KeyEventType type) {
    const std::string word = to_string(type);
    for (const char* prefix : {"key.", "door.", "access.", "session.", "slot."})
        if (word.starts_with(prefix)) return word;
    std::string kind = "cabinet." + word;
    std::replace(kind.begin() + 8, kind.end(), '.', '_');
    return kind;
}

bool is_lead(const Staff& staff) {
    return std::any_of(staff.roles.begin(), staff.roles.end(), [](StaffRole role) {
        return role == StaffRole::head || role == StaffRole::admin || role == StaffRole::duty;
    });
}

// A key that came back before it left would make a loan that no paper could show. What is written
// to the minute may be of the minute in which it was taken.
std::string too_early(const std::string& key, const KeyState& state, UtcMs since, UtcMs& at,
                      const std::string& typed, const Zone& zone) {
    const bool handed = state.loan && !state.loan->handed.empty();
    if (at < since && at % 60'000 == 0 && at + 60'000 > since) at = since;
    if (at >= since) return "";
    const char* was = handed                         ? "was handed on at "
                      : state.place == KeyPlace::out ? "was taken at "
                                                     : "has been where it is since ";
    return "`" + typed + "` lies before that: key " + key + " " + was +
           format_iso8601(since, zone) +
           "; name a time from then on, or write down first what is "
           "missing in between";
}

// What is lost or given away is neither once more (each loss orders a lock), and nobody takes it.
bool is_gone(KeyAct::What what, KeyPlace place) {
    using What = KeyAct::What;
    const bool moves = what == What::take || what == What::lose || what == What::give;
    return moves && (place == KeyPlace::lost || place == KeyPlace::given);
}

KeyEventType type_of(KeyAct::What what) {
    switch (what) {
        case KeyAct::What::take:
            return KeyEventType::key_removed;
        case KeyAct::What::bring:
            return KeyEventType::key_returned;
        case KeyAct::What::hand:
            return KeyEventType::key_handed;
        case KeyAct::What::lose:
            return KeyEventType::key_lost;
        case KeyAct::What::find:
            return KeyEventType::key_found;
        case KeyAct::What::give:
            return KeyEventType::key_given;
        case KeyAct::What::count:
            return KeyEventType::key_counted;
        case KeyAct::What::extend:
            return KeyEventType::key_extended;
        case KeyAct::What::offer:
            return KeyEventType::key_offered;
        case KeyAct::What::confirm:
            return KeyEventType::key_handed;
        case KeyAct::What::decline:
            return KeyEventType::key_declined;
        case KeyAct::What::unseal:
            return KeyEventType::key_unsealed;
        case KeyAct::What::seal:
            return KeyEventType::key_sealed;
    }
    return KeyEventType::vendor;
}

}  // namespace

void KeyRoom::log_key_event(KeyEvent& event, const KeyMoved* moved, const std::string& part) {
    const Key* key = find_key(moved != nullptr ? moved->key : event.key);
    std::string cabinet = cabinet_of(event.id.source);
    if (cabinet == kDeskSource) cabinet = key != nullptr ? key->cabinet : "";
    const std::string topic = cabinet.empty() ? "" : "cabinet/" + cabinet + "/event";
    const std::uint64_t seq = context_.store.next(Series::event);
    const std::string& person = moved != nullptr ? moved->person : event.person;
    const KeyOrigin origin = moved != nullptr ? moved->origin : event.origin;
    const std::vector<KeyLink>* links = nullptr;
    if (moved != nullptr && !moved->loan.source.empty())
        if (const auto at = links_.find(format(moved->loan)); at != links_.end())
            links = &at->second;
    const bool linked = links != nullptr && !links->empty();
    // The body is published: a cabinet may send anything where an id or a code belongs.
    const auto code = [](const std::string& text) { return is_code(text) ? text : std::string(); };
    const auto known_person = [&](const std::string& id) {
        return is_person(id) ? id : std::string();
    };
    JsonWriter body;
    body.begin_object()
        .field("schema", 1)
        .field("id", format(event.id) + part)
        .field("seq", seq)
        .field("prev", topic.empty() ? 0 : context_.world.topic_heads[topic])
        .field("event_type", event.type == KeyEventType::vendor ? "vendor" : to_string(event.type))
        .field_if("cabinet", cabinet)
        .field_if("slot", event.slot);
    body.field_if("key", key != nullptr ? key->key : code(event.key))
        .field_if("person", known_person(person))
        .field_if("second", known_person(event.second))
        .field_if("ticket", linked ? links->front().ticket : code(event.ticket));
    if (linked) body.field("link", to_string(links->front().kind));
    body.field("origin", to_string(origin)).field_if("door", event.door);
    body.field_if("detail", code(event.detail))
        .field_if("to", known_person(event.to))
        .field_if("by", known_person(event.by));
    if (event.type == KeyEventType::vendor) body.field_if("word", code(event.word));
    if (event.seal) body.field_if("seal_no", code(event.seal->number));
    if (!event.begins) body.field("ends", true);
    if (event.through != 0) body.field("from", event.from).field("to", event.through);
    if (moved != nullptr && !moved->loan.source.empty()) body.field("loan", format(moved->loan));
    body.field("at", context_.iso(event.at));
    if (event.device_at) body.field("device_at", context_.iso(*event.device_at));
    body.field("received_at", context_.iso(event.received_at)).end_object();
    JsonWriter subject;
    subject.begin_object().field_if("cabinet", cabinet).field_if("slot", event.slot);
    subject.field_if("key", key != nullptr ? key->key : "").end_object();
    std::vector<std::string> about;
    if (!cabinet.empty()) about.push_back("cabinet:" + cabinet);
    for (const std::string& one : std::set<std::string>{person, event.second, event.to})
        if (!one.empty()) about.push_back("staff:" + one);
    if (key != nullptr) {
        about.push_back("key:" + key->key);
        name_units(about, *key);
    }
    if (linked) about.push_back("ticket:" + links->front().ticket);
    event.row = log_event(context_, log_kind(event.type), subject.take(), body.take(),
                          std::move(about), topic);
}

// Who takes part: known, still here where they get a key, and for more time somebody else than who
// has it.
void KeyRoom::check_people(const KeyAct& act, Reply& reply) const {
    using What = KeyAct::What;
    const auto person = [&](const char* pointer, const std::string& id, bool required, bool gets) {
        if (id.empty() && required)
            reply.errors.push_back({pointer, "is missing: name one of staff.csv or people.csv"});
        else if (!id.empty() && !is_person(id))
            reply.errors.push_back({pointer, "`" + id + "` is nobody in staff.csv or people.csv"});
        else if (gets && !id.empty() && has_left(id))
            reply.errors.push_back({pointer, "`" + id + "` has left and gets no key"});
    };
    person("/person", act.person, act.what == What::take, act.what == What::take);
    person("/second", act.second, false, true);
    person("/to", act.to, act.what == What::hand, true);
    if (act.what != What::extend) return;
    if (const auto staff = context_.world.staff.find(act.by);
        staff != context_.world.staff.end() && !is_lead(*staff->second))
        reply.errors.push_back({"/by", "`" + act.by +
                                           "` is no lead; somebody with the role head, admin or "
                                           "duty gives more time"});
    const auto state = now_.keys.find(act.key);
    if (state != now_.keys.end() && state->second.loan && state->second.loan->holder == act.by)
        reply.errors.push_back({"/by", "`" + act.by + "` has the key; a lead gives more time"});
}

// What is wrong with an act as it was typed; `at` and `until` are read on the way.
void KeyRoom::check_act(const KeyAct& act, const Key& key, Reply& reply, std::optional<UtcMs>& at,
                        std::optional<UtcMs>& until) {
    using What = KeyAct::What;
    check_staff(context_, reply, "/by", act.by);
    check_people(act, reply);
    const bool goes_on = act.what == What::hand || act.what == What::offer;
    if (goes_on && is_person(act.to) && !has_left(act.to))
        if (const std::string why = not_here(act.to); !why.empty())
            reply.errors.push_back({"/to", why});
    const bool two = act.what == What::take &&
                     (key.needs_second.value_or(false) || key.class_ == KeyClass::no_loan);
    if (two && (act.second.empty() || act.second == act.person))
        reply.errors.push_back({"/second", "this key leaves with two people; name the other one"});
    const bool seals = act.what == What::unseal || act.what == What::seal;
    if (seals && takes_two_to_seal(key) && act.second.empty())
        reply.errors.push_back({"/second", std::string("is missing: a key of class ") +
                                               to_string(key.class_) +
                                               " is unsealed and sealed by two people; name the "
                                               "other one"});
    if (seals && !act.second.empty() && act.second == (act.person.empty() ? act.by : act.person))
        reply.errors.push_back(
            {"/second", "`" + act.second + "` does it; name the other one who is there"});
    if (act.what == What::lose || act.what == What::give || act.what == What::extend || seals)
        check_reason(reply, act.reason);
    const auto time = [&](const char* pointer, const std::string& text) {
        const auto read = parse_iso8601(text, context_.zone);
        if (!text.empty() && !read)
            reply.errors.push_back({pointer, "`" + text + "` is no time; write 2026-11-23T14:00"});
        return text.empty() ? std::nullopt : read;
    };
    at = time("/at", act.at);
    until = time("/until", act.until);
    if (at && *at > context_.now_ms())
        reply.errors.push_back({"/at", "`" + act.at + "` lies in the future"});
    const bool past = until && *until <= context_.now_ms();
    if (past || (act.what == What::extend && !until))
        reply.errors.push_back({"/until", "name a time to come"});
    if (act.what == What::count && !act.present && !act.counted)
        reply.errors.push_back({"/present",
                                "is missing: say whether it hangs there (true, false), "
                                "or `count` how many pieces do"});
    if (act.what == What::count && !act.second.empty() && act.second == act.by)
        reply.errors.push_back(
            {"/second", "`" + act.second + "` counts; name the other one, or leave it out"});
    if (act.present && act.counted && *act.present != (*act.counted > 0))
        reply.errors.push_back({"/count", "is " + std::to_string(*act.counted) +
                                              ", and `present` "
                                              "says that " +
                                              (*act.present ? "it hangs" : "none hangs") +
                                              " there; send one of them"});
    if (act.counted && *act.counted < 0) reply.errors.push_back({"/count", "is below 0"});
    if (!act.ticket.empty() && find_ticket(act.ticket) == nullptr)
        reply.errors.push_back({"/ticket", "no ticket `" + act.ticket + "`"});
}

// Who finds the key must not be able to open: the lock is changed soon (keys-and-tickets.md 5.9).
void KeyRoom::order_lock(const Key& key, const KeyAct& act) {
    if (key.opens.empty()) return;
    OpenTicket lock;
    lock.kind = "repair";
    lock.category = "门窗锁具";
    lock.urgency = "urgent";
    lock.by = act.by;
    lock.channel = "staff";
    if (key.opens.size() == 1 && context_.world.units.contains(key.opens.front()))
        lock.unit = key.opens.front();
    else
        for (const std::string& place : key.opens)
            if (lock.place.size() + place.size() < 120)
                lock.place += (lock.place.empty() ? "" : " ") + place;
    lock.text =
        (context_.options.chinese ? "钥匙遗失，更换锁芯：" : "key lost, change the lock: ") +
        key.key;
    const Reply opened = open(lock);
    GH_ASSERT(opened.kind == ReplyKind::created);
}

KeyEvent KeyRoom::event_of(const KeyAct& act, const Key& key, const KeyState& state,
                           std::optional<UtcMs> at, std::optional<UtcMs> until) const {
    using What = KeyAct::What;
    KeyEvent event = desk_event(type_of(act.what), act.key);
    event.by = act.by;
    event.person = act.person.empty() && act.what == What::bring ? state.loan->holder : act.person;
    event.second = act.second;
    event.to = act.to;
    event.ticket = act.ticket;
    event.reason = act.reason;
    event.until = until;
    event.at = at.value_or(context_.now_ms());
    event.received_at = context_.now_ms();
    if (act.what == What::hand) event.person = state.loan->holder;
    if (act.what != What::count) return event;
    if (act.present.value_or(act.counted.value_or(0) > 0))
        event.present = {act.counted.value_or(1)};
    if (act.counted) event.detail = kCountedPieces;
    // The sheet of the stock-take says what was known then, whatever happens to the key later.
    event.expected = KeyExpected{to_string(state.place), state.loan ? state.loan->holder : "",
                                 key.count.value_or(1)};
    return event;
}

UtcMs KeyRoom::known_until(const std::string& key, const KeyState& state) const {
    UtcMs known = state.since;
    if (state.loan && !state.loan->handed.empty())
        known = std::max(known, state.loan->handed.back().at);
    std::set<KeyEventId> moves;
    for (const KeyMoved& one : findings_.moved)
        if (one.key == key) moves.insert(one.event);
    for (const KeyJump& one : findings_.jumps)
        if (one.key == key) moves.insert(one.event);
    // A cabinet whose clock went back meanwhile places an event later than its own time says.
    std::map<std::string_view, UtcMs> newest;
    for (const auto& event : window_) {
        if (event->id.source == kDeskSource) continue;
        UtcMs& placed = newest[event->id.source];
        placed = std::max(placed, event->at);
        if (moves.contains(event->id)) known = std::max(known, placed);
    }
    return known;
}

Reply KeyRoom::act(const KeyAct& act) {
    using What = KeyAct::What;
    const Key* key = find_key(act.key);
    if (key == nullptr)
        return refusal(ReplyKind::not_found, "not-found",
                       "no key `" + act.key + "` stands in keys.csv");
    lapse_offers();
    Reply reply;
    std::optional<UtcMs> at, until;
    check_act(act, *key, reply, at, until);
    if (is_refused(reply)) return reply;
    const KeyState& state = now_.keys[act.key];
    const bool out = state.loan.has_value();
    if (is_gone(act.what, state.place))
        return refusal(ReplyKind::conflict, "key-gone",
                       "key " + act.key + " is " +
                           (state.place == KeyPlace::lost ? "lost" : "given away") +
                           "; where it is here again, write down first that it was found");
    if (act.what == What::take && (out || state.place != KeyPlace::in))
        return refusal(
            ReplyKind::conflict, "key-out",
            "key " + act.key + " is " + to_string(state.place) +
                (out && !state.loan->holder.empty() ? " with " + state.loan->holder : "") +
                "; write its return or hand-over down first");
    const bool of_both =
        act.what == What::offer || act.what == What::confirm || act.what == What::decline;
    if (act.what == What::find && out)
        return refusal(ReplyKind::conflict, "key-out",
                       "key " + act.key + " is out" +
                           (state.loan->holder.empty() ? "" : " with " + state.loan->holder) +
                           "; write its return down, by whom it was brought");
    const bool needs_loan =
        of_both || act.what == What::bring || act.what == What::hand || act.what == What::extend;
    if (needs_loan && !out)
        return refusal(ReplyKind::conflict, "key-in",
                       "key " + act.key + " is " + to_string(state.place) + ", nobody has it");
    if (act.what == What::hand && act.to == state.loan->holder)
        return wrong_field("/to", "invalid", "`" + act.to + "` has it already; name another");
    const bool seals = act.what == What::unseal || act.what == What::seal;
    const UtcMs known = known_until(act.key, state);
    if (at && !seals)
        if (std::string why = too_early(act.key, state, known, *at, act.at, context_.zone);
            !why.empty())
            return wrong_field("/at", "invalid", std::move(why));
    KeyEvent event = event_of(act, *key, state, at, until);
    // Where a cabinet's clock is ahead of ours, what is done now is still done after it.
    if (!at && !seals) event.at = std::max(event.at, known);
    if (seals)
        if (auto refused = take_seal(act, *key, at, event)) return *std::move(refused);
    if (of_both)
        if (auto refused = take_offer(act, *state.loan, event)) return *std::move(refused);
    std::vector<KeyEvent> fresh;
    fresh.push_back(std::move(event));
    ingest(std::move(fresh));
    if (act.what == What::lose) order_lock(*key, act);
    const auto now = board();
    for (const KeyView& view : now->keys)
        if (view.key == act.key) reply.json = key_json(view, *key, context_.zone);
    if (act.what == What::take) reply.kind = ReplyKind::created;
    return reply;
}

Reply KeyRoom::clock(const CabinetClock& clock) {
    using What = CabinetClock::What;
    Reply reply;
    if (clock.what == What::ordered) {
        check_staff(context_, reply, "/by", clock.by);
        if (is_refused(reply)) return reply;
        if (!context_.clock.trusted())
            return refusal(ReplyKind::refused, "clock",
                           "the daemon's own clock is not trusted (" + context_.clock.reason() +
                               "); no cabinet is set by it");
    }
    const auto seconds = [](const std::optional<std::int64_t>& ms) {
        return ms ? std::optional(*ms / 1'000) : std::nullopt;
    };
    JsonWriter subject, body;
    subject.begin_object().field("cabinet", clock.cabinet).end_object();
    body.begin_object()
        .field("cabinet", clock.cabinet)
        .field("by", clock.by)
        .field_if("skew_before_s", seconds(clock.before_ms))
        .field_if("skew_after_s", seconds(clock.after_ms))
        .field_if("reason", clock.reason)
        .field("at", context_.iso(context_.now_ms()))
        .end_object();
    // The cabinet's own word of it is cabinet.clock_set.
    const char* kind = clock.what == What::ordered ? "cabinet.clock_ordered"
                       : clock.what == What::set   ? "cabinet.clock_corrected"
                                                   : "cabinet.clock_failed";
    log_event(context_, kind, subject.take(), body.take(),
              {"cabinet:" + clock.cabinet, "staff:" + clock.by});
    if (clock.after_ms) note_skew(watch_[clock.cabinet], *clock.after_ms, options_.rules);
    context_.urgent = true;
    moved_ = true;
    JsonWriter json;
    json.begin_object().field("offset_ms", context_.clock.offset_ms()).end_object();
    reply.json = json.take();
    return reply;
}

KeyView KeyRoom::view_of(const Key& key) {
    KeyView view;
    view.key = key.key;
    view.cabinet = key.cabinet;
    view.slot = key.slot;
    view.seal = seal_of(key, {});
    if (const auto at = now_.keys.find(key.key); at != now_.keys.end()) {
        const KeyState& state = at->second;
        view.place = state.place;
        view.since = state.since;
        view.loan = state.loan;
        view.seal = seal_of(key, state);
        if (!state.cabinet.empty()) {
            view.cabinet = state.cabinet;
            view.slot = state.slot;
        }
    }
    if (!view.loan) return view;
    const auto links = links_.find(format(view.loan->id));
    if (links != links_.end()) view.links = links->second;
    const Ticket* ticket = view.links.empty() || !counts(view.links.front().kind)
                               ? nullptr
                               : find_ticket(view.links.front().ticket);
    view.due_at = due_at(*view.loan, key, ticket, options_.rules, context_.zone);
    return view;
}

std::optional<ReaderView> KeyRoom::reader_of(const std::string& cabinet) {
    const std::string id = cabinet + kReaderSuffix;
    ReaderView view;
    view.source = numberings_.current(context_.store.key_books(), id);
    const auto source = now_.sources.find(view.source);
    const bool begun = source != now_.sources.end() && source->second.begun;
    const auto heard = heard_.find(id);
    if (!begun && heard == heard_.end()) return std::nullopt;
    if (begun) {
        view.boot = source->second.boot;
        view.seq = source->second.seq;
    }
    if (heard != heard_.end()) view.last_event_at = heard->second;
    if (const auto skew = reader_skew_ms_.find(id); skew != reader_skew_ms_.end())
        view.skew_ms = skew->second;
    for (const auto& [name, gap] : gaps())
        if (name == id) view.gaps.push_back(gap);
    return view;
}

CabinetView KeyRoom::view_of(const KeyRoomOptions::Cabinet& cabinet,
                             const std::vector<KeyView>& keys) {
    CabinetView view;
    view.cabinet = cabinet.id;
    view.profile = cabinet.profile;
    view.kind = cabinet.kind;
    view.source = numberings_.current(context_.store.key_books(), cabinet.id);
    if (const auto at = now_.sources.find(view.source); at != now_.sources.end()) {
        view.seen = at->second.begun;
        view.boot = at->second.boot;
        view.seq = at->second.seq;
        view.online = !at->second.offline_since;
    }
    if (const auto at = watch_.find(cabinet.id); at != watch_.end()) {
        view.seen = view.seen || at->second.known;
        view.online = view.online && !at->second.offline_since;
        view.skew_ms = at->second.skew_ms;
        view.reason = reasons_[cabinet.id];
    }
    if (const auto at = heard_.find(cabinet.id); at != heard_.end())
        view.last_event_at = at->second;
    for (const auto& [id, gap] : gaps())
        if (id == cabinet.id) view.gaps.push_back(gap);
    view.reader = reader_of(cabinet.id);
    for (const KeyView& key : keys) {
        const Key* row = find_key(key.key);
        if (row == nullptr || row->cabinet != cabinet.id) continue;
        ++view.keys;
        if (key.loan) ++view.out;
    }
    return view;
}

std::shared_ptr<const KeyBoard> KeyRoom::board() {
    if (board_ && !moved_) return board_;
    auto fresh = std::make_shared<KeyBoard>();
    fresh->version = ++version_;
    fresh->rules = options_.rules;
    if (registry_)
        for (const Key& key : registry_->keys) fresh->keys.push_back(view_of(key));
    for (const KeyRoomOptions::Cabinet& cabinet : options_.cabinets)
        fresh->cabinets.push_back(view_of(cabinet, fresh->keys));
    fresh->tickets = shown_;
    board_ = std::move(fresh);
    moved_ = false;
    return board_;
}

}  // namespace gatehouse
