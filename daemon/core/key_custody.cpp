#include "daemon/core/key_custody.hpp"

#include <algorithm>
#include <utility>

#include "daemon/core/key_fold.hpp"
#include "daemon/core/key_numbering.hpp"

namespace gatehouse {
namespace {

constexpr std::int64_t kUnknownCardsMs = 600'000, kDenialsMs = 300'000;
constexpr std::size_t kUnknownCardsMax = 3, kDenialsMax = 5;

// What something else ends: of the others there are thousands in a window, and nobody asks again.
bool lasts(KeyFactKind kind) {
    return kind == KeyFactKind::cabinet_forced || kind == KeyFactKind::door_held ||
           kind == KeyFactKind::tamper || kind == KeyFactKind::wrong_slot ||
           kind == KeyFactKind::stock_mismatch;
}

// A source is mostly in its order already, so each is looked at alone. Only pointers move: an event
// is large, and a window holds thousands.
void set_in_order(std::vector<KeyEvent*>& events) {
    std::map<std::string_view, std::vector<KeyEvent*>> sources;
    for (KeyEvent* event : events) sources[event->id.source].push_back(event);
    struct Place {
        KeyEvent* event;
        UtcMs at;
    };
    std::vector<Place> places;
    places.reserve(events.size());
    const auto earlier = [](const KeyEvent* a, const KeyEvent* b) {
        return std::pair{a->id.boot, a->id.seq} < std::pair{b->id.boot, b->id.seq};
    };
    const auto place_all = [&](std::vector<KeyEvent*>& own) {
        if (!std::is_sorted(own.begin(), own.end(), earlier))
            std::stable_sort(own.begin(), own.end(), earlier);
        UtcMs newest = own.empty() ? 0 : own.front()->at;
        for (KeyEvent* event : own) {
            newest = std::max(newest, event->at);
            places.push_back({event, newest});
        }
    };
    // Of one moment a badge is before what was done by it, and the desk is the last: it writes down
    // what it has seen.
    for (auto& [source, own] : sources)
        if (is_reader(source)) place_all(own);
    for (auto& [source, own] : sources)
        if (source != kDeskSource && !is_reader(source)) place_all(own);
    place_all(sources[kDeskSource]);
    std::stable_sort(places.begin(), places.end(),
                     [](const Place& a, const Place& b) { return a.at < b.at; });
    for (std::size_t i = 0; i < places.size(); ++i) events[i] = places[i].event;
}

}  // namespace

const char* to_string(KeyPlace place) {
    switch (place) {
        case KeyPlace::in:
            return "in";
        case KeyPlace::out:
            return "out";
        case KeyPlace::given:
            return "given";
        case KeyPlace::lost:
            return "lost";
        case KeyPlace::unknown:
            return "unknown";
    }
    return "";
}

std::optional<KeyPlace> parse_key_place(std::string_view word) {
    for (const KeyPlace place :
         {KeyPlace::in, KeyPlace::out, KeyPlace::given, KeyPlace::lost, KeyPlace::unknown})
        if (word == to_string(place)) return place;
    return std::nullopt;
}

const char* to_string(KeyFactKind kind) {
    switch (kind) {
        case KeyFactKind::ambiguous_holder:
            return "ambiguous_holder";
        case KeyFactKind::key_moved_no_auth:
            return "key_moved_no_auth";
        case KeyFactKind::slot_state_jump:
            return "slot_state_jump";
        case KeyFactKind::wrong_slot:
            return "wrong_slot";
        case KeyFactKind::unknown_tag:
            return "unknown_tag";
        case KeyFactKind::returned_by_other:
            return "returned_by_other";
        case KeyFactKind::second_missing:
            return "second_missing";
        case KeyFactKind::cabinet_forced:
            return "cabinet_forced";
        case KeyFactKind::door_held:
            return "door_held";
        case KeyFactKind::unknown_card:
            return "unknown_card";
        case KeyFactKind::credential_attack:
            return "credential_attack";
        case KeyFactKind::duress:
            return "duress";
        case KeyFactKind::tamper:
            return "tamper";
        case KeyFactKind::log_gap:
            return "log_gap";
        case KeyFactKind::log_overwritten:
            return "log_overwritten";
        case KeyFactKind::stock_mismatch:
            return "stock_mismatch";
        case KeyFactKind::log_restarted:
            return "log_restarted";
        case KeyFactKind::after_hours_access:
            return "after_hours_access";
        case KeyFactKind::unit_entered_twice:
            return "unit_entered_twice";
    }
    return "";
}

// Readers of one maker say E0A1, another's e0a1.
std::string tag_name(std::string tag) {
    for (char& c : tag)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return tag;
}

KeyIndex index_keys(const std::vector<Key>& keys) {
    KeyIndex index;
    for (const Key& key : keys) {
        index.by_id.emplace(key.key, &key);
        if (!key.tag.empty()) index.by_tag.emplace(tag_name(key.tag), &key);
        if (!key.cabinet.empty() && key.slot)
            index.by_slot.emplace(std::pair{key.cabinet, *key.slot}, &key);
    }
    return index;
}

std::string cabinet_of(const std::string& source) {
    return source.substr(0, source.find_first_of("/~"));
}

bool is_reader(std::string_view source) {
    return source.substr(0, source.find(kNumberingMark)).ends_with(kReaderSuffix);
}

std::optional<SeqGap> gap_before(const SourceState& source, const KeyEventId& next) {
    if (!source.begun) return std::nullopt;
    if (next.boot == source.boot) {
        if (next.seq <= source.seq + 1) return std::nullopt;
        return SeqGap{source.seq + 1, next.seq - 1};
    }
    if (next.seq > source.seq + 1) return SeqGap{source.seq + 1, next.seq - 1};
    // It began anew: 0 or 1 is its first; between them nothing is missing.
    if (next.seq > 1 && next.seq <= source.seq) return SeqGap{1, next.seq - 1};
    return std::nullopt;
}

void sort_events(std::vector<KeyEvent>& events) {
    std::vector<KeyEvent*> order;
    order.reserve(events.size());
    for (KeyEvent& event : events) order.push_back(&event);
    set_in_order(order);
    std::vector<KeyEvent> sorted;
    sorted.reserve(events.size());
    for (KeyEvent* event : order) sorted.push_back(std::move(*event));
    events = std::move(sorted);
}

void sort_events(std::vector<std::unique_ptr<KeyEvent>>& events) {
    std::vector<KeyEvent*> order;
    order.reserve(events.size());
    for (auto& event : events) order.push_back(event.release());
    set_in_order(order);
    for (std::size_t i = 0; i < order.size(); ++i) events[i].reset(order[i]);
}

void apply(Custody& custody, const KeyEvent& event, const KeyIndex& index,
           CustodyFindings& findings) {
    KeyFold(custody, event, index, findings).run();
}

KeyFold::KeyFold(Custody& custody, const KeyEvent& event, const KeyIndex& index,
                 CustodyFindings& findings)
    : custody_(custody),
      event_(event),
      index_(index),
      cabinet_(cabinet_of(event.id.source)),
      findings_(findings),
      source_(custody.sources[event.id.source]),
      here_(custody.cabinets[cabinet_]) {}

void KeyFold::look_before() {
    // A loss that begins among what is known says itself what is missing, after a restart as well.
    if (event_.type == KeyEventType::log_overwritten && event_.from <= source_.seq + 1 &&
        source_.seq < event_.through)
        return;
    if (const auto gap = gap_before(source_, event_.id)) miss(gap->from, gap->through);
}

void KeyFold::count_on() {
    look_before();
    if (!source_.begun && is_later_numbering(event_.id.source)) restart();
    source_.begun = true;
    source_.boot = event_.id.boot;
    source_.seq = event_.id.seq;
}

void KeyFold::run() {
    count_on();
    end_sessions();
    if (is_alarm(event_.type) && !event_.begins) return end_alarm();
    switch (event_.type) {
        case KeyEventType::access_granted:
        case KeyEventType::session_open:
            return grant();
        case KeyEventType::session_close:
            return log_out();
        case KeyEventType::access_denied:
            return deny();
        case KeyEventType::door_unlocked:
        case KeyEventType::emergency_release:
        case KeyEventType::remote_release:
            here_.authorised_at = event_.at;
            return;
        case KeyEventType::door_opened:
            return open_door();
        case KeyEventType::door_closed:
            return close_door();
        case KeyEventType::door_held:
            return begin_alarm(KeyFactKind::door_held);
        case KeyEventType::door_forced:
            return begin_alarm(KeyFactKind::cabinet_forced);
        case KeyEventType::tamper:
            return begin_alarm(KeyFactKind::tamper);
        case KeyEventType::duress:
            return begin_alarm(KeyFactKind::duress);
        case KeyEventType::key_removed:
            return remove();
        case KeyEventType::key_returned:
        case KeyEventType::key_wrong_slot:
        case KeyEventType::key_unknown_tag:
            return put_back();
        case KeyEventType::inventory:
            return take_stock();
        case KeyEventType::log_gap:
            return miss(event_.from, event_.through);
        case KeyEventType::log_overwritten:
            return lose_for_good();
        case KeyEventType::device_offline:
            if (!source_.offline_since) source_.offline_since = event_.at;
            return;
        case KeyEventType::device_online:
        case KeyEventType::boot:
            source_.offline_since.reset();
            return;
        case KeyEventType::key_handed:
        case KeyEventType::key_lost:
        case KeyEventType::key_found:
        case KeyEventType::key_given:
        case KeyEventType::key_counted:
        case KeyEventType::key_extended:
        case KeyEventType::key_offered:
        case KeyEventType::key_declined:
        case KeyEventType::key_lapsed:
        case KeyEventType::key_unsealed:
        case KeyEventType::key_sealed:
            return write_down();
        case KeyEventType::key_fault:
        case KeyEventType::slot_fault:
        case KeyEventType::power:
        case KeyEventType::clock_set:
        case KeyEventType::vendor:
            return;
    }
}

KeyFact& KeyFold::tell(KeyFactKind kind, const std::string& subject) {
    KeyFact fact;
    fact.kind = kind;
    fact.event = event_.id;
    fact.subject = subject;
    fact.cabinet = cabinet();
    fact.person = event_.person;
    fact.at = event_.at;
    if (lasts(kind)) findings_.lasting.push_back(findings_.facts.size());
    findings_.facts.push_back(std::move(fact));
    return findings_.facts.back();
}

void KeyFold::begin_alarm(KeyFactKind kind) {
    tell(kind, cabinet());
}

// That it is over moves no key and authorises nothing; what it was about somebody still looks into.
void KeyFold::end_alarm() {
    const auto named = [&](const auto& map, const std::string& name) {
        const auto at = map.find(name);
        return name.empty() || at == map.end() ? std::string() : at->second->key;
    };
    switch (event_.type) {
        case KeyEventType::door_held:
            return end(KeyFactKind::door_held, cabinet());
        case KeyEventType::door_forced:
            return end(KeyFactKind::cabinet_forced, cabinet());
        case KeyEventType::tamper:
            return end(KeyFactKind::tamper, cabinet());
        case KeyEventType::key_wrong_slot: {
            std::string key = named(index_.by_id, event_.key);
            if (key.empty()) key = named(index_.by_tag, tag_name(event_.tag));
            if (key.empty() && event_.home) {
                const auto own = index_.by_slot.find(std::pair{cabinet(), *event_.home});
                if (own != index_.by_slot.end()) key = own->second->key;
            }
            // Of a slot alone: what is known to hang there.
            const SlotGuest* guest = event_.slot ? guest_in(*event_.slot) : nullptr;
            if (key.empty() && guest != nullptr) key = guest->key;
            if (!key.empty()) end(KeyFactKind::wrong_slot, key);
            return;
        }
        default:
            return;
    }
}

void KeyFold::end(KeyFactKind kind, const std::string& subject) {
    findings_.ends[{kind, subject}] = event_.at;
    std::erase_if(findings_.lasting, [&](std::size_t index) {
        KeyFact& fact = findings_.facts[index];
        if (fact.kind != kind || fact.subject != subject) return false;
        fact.over_at = event_.at;
        return true;
    });
}

void KeyFold::end_sessions() {
    std::erase_if(here_.sessions, [&](const KeySession& session) {
        if (session.closed_at && event_.at > *session.closed_at + kSessionAfterDoorMs) return true;
        return event_.at > session.changed_at + kSessionIdleMs;
    });
}

// What names no door may be of any of them, a session and an event alike.
bool KeyFold::concerns(const KeySession& session) const {
    return !session.door || !event_.door || session.door == event_.door;
}

// Nothing can be taken in it any more, as far as the doors are told.
bool KeyFold::is_shut(const KeySession& session) const {
    if (here_.open_doors.empty()) return true;
    return session.door && session.closed_at && !here_.open_doors.contains(*session.door);
}

// Another badge while the door stands open: either of them may take what is taken from now on. At
// another door it ends nothing.
void KeyFold::grant() {
    here_.authorised_at = event_.at;
    std::erase_if(here_.sessions, [&](const KeySession& session) {
        const bool again = session.person == event_.person && session.card == event_.card;
        return concerns(session) && (again || is_shut(session));
    });
    here_.sessions.push_back(
        {event_.person, event_.card, event_.at, event_.at, std::nullopt, event_.door});
    if (is_off_hours()) tell(KeyFactKind::after_hours_access, cabinet());
}

bool KeyFold::is_off_hours() const {
    return index_.off_hours && index_.off_hours(event_.at);
}

void KeyFold::deny() {
    const auto keep = [&](std::vector<UtcMs>& times, std::int64_t span) {
        std::erase_if(times, [&](UtcMs at) { return at <= event_.at - span; });
        times.push_back(event_.at);
        return times.size();
    };
    // While the office is shut the first one is one too many.
    if (event_.detail == "unknown_card" &&
        (keep(here_.unknown_cards, kUnknownCardsMs) >= kUnknownCardsMax || is_off_hours())) {
        here_.unknown_cards.clear();
        tell(KeyFactKind::unknown_card, cabinet());
    }
    // Each one more is another attempt of the same attack.
    if (keep(here_.denials, kDenialsMs) >= kDenialsMax)
        tell(KeyFactKind::credential_attack, cabinet());
}

void KeyFold::open_door() {
    here_.open_doors.insert(event_.door.value_or(1));
    if (!here_.door_open_since) here_.door_open_since = event_.at;
    const bool allowed = here_.authorised_at && event_.at - *here_.authorised_at <= kForcedAfterMs;
    if (!allowed && event_.person.empty()) tell(KeyFactKind::cabinet_forced, cabinet());
    // A door behind a badge is that badge's access.
    if (here_.sessions.empty() && is_off_hours()) tell(KeyFactKind::after_hours_access, cabinet());
}

void KeyFold::close_door() {
    if (event_.door)
        here_.open_doors.erase(*event_.door);
    else
        here_.open_doors.clear();
    close_sessions();
    if (!here_.open_doors.empty()) return;
    here_.door_open_since.reset();
    end(KeyFactKind::cabinet_forced, cabinet());
    end(KeyFactKind::door_held, cabinet());
}

// Those of that door; of no door, where none is open any more. One whose own door may still be
// opened by its badge goes on.
void KeyFold::close_sessions() {
    const bool all_shut = here_.open_doors.empty();
    for (KeySession& session : here_.sessions) {
        if (session.closed_at) continue;
        const bool own = !event_.door || session.door == event_.door;
        const bool used_up = !session.door || event_.at - session.opened_at > kForcedAfterMs;
        if (own || (all_shut && used_up)) session.closed_at = event_.at;
    }
}

void KeyFold::log_out() {
    for (KeySession& session : here_.sessions)
        if (!session.closed_at && concerns(session)) session.closed_at = event_.at;
}

// Whoever took or brought what this event is about. Never a guess.
KeyFold::Who KeyFold::who() {
    Who who;
    who.second = event_.second;
    if (!event_.person.empty() || event_.origin == KeyOrigin::manual) {
        who.person = event_.person;
        who.origin = event_.origin;
        return who;
    }
    // The cabinet's own word of somebody unknown goes before what a session would let conclude.
    if (event_.stranger) {
        who.nobody = true;
        who.origin = event_.origin;
        return who;
    }
    who.origin = KeyOrigin::derived;
    std::set<std::string> people;
    for (const KeySession& session : here_.sessions)
        if (concerns(session)) people.insert(session.person);
    // A badge that nobody knows is nobody.
    const bool stranger = people.erase("") > 0;
    if (people.size() == 1 && !stranger) {
        who.person = *people.begin();
    } else if (people.empty()) {
        // Nothing was concluded: the cabinet saw it go, and nobody is named.
        who.nobody = true;
        who.origin = event_.origin;
    } else {
        who.candidates.assign(people.begin(), people.end());
        who.ambiguous = true;
    }
    for (KeySession& session : here_.sessions)
        if (concerns(session)) session.changed_at = event_.at;
    return who;
}

void KeyFold::tell_doubts(const Who& who, const std::string& key) {
    if (who.nobody) tell(KeyFactKind::key_moved_no_auth, key.empty() ? cabinet() : key).key = key;
    if (!who.ambiguous) return;
    KeyFact& fact = tell(KeyFactKind::ambiguous_holder, key.empty() ? cabinet() : key);
    fact.key = key;
    fact.candidates = who.candidates;
}

// Seqs that nobody has seen: what hangs in that cabinet is not known until it says so again.
void KeyFold::miss(std::int64_t from, std::int64_t through) {
    KeyFact& fact = tell(KeyFactKind::log_gap, cabinet());
    fact.from = from;
    fact.through = through;
    forget_places();
}

// What was in the memory of the board before may never be told, unless its numbers were at their
// end: then the log goes on, and nothing is missing.
void KeyFold::restart() {
    tell(KeyFactKind::log_restarted, cabinet());
    const auto before = custody_.sources.find(numbering_before(event_.id.source));
    const bool goes_on = before != custody_.sources.end() && before->second.begun &&
                         before->second.boot == event_.id.boot &&
                         is_wrap(before->second.seq, event_.id.seq);
    if (!goes_on) forget_places();
}

// In the place of the first of them; the log goes on behind the last.
void KeyFold::lose_for_good() {
    source_.seq = std::max(source_.seq, event_.through);
    KeyFact& fact = tell(KeyFactKind::log_overwritten, cabinet());
    fact.from = event_.from;
    fact.through = event_.through;
    forget_places();
}

// A reader sees no key: what it did not tell leaves every key where it is.
void KeyFold::forget_places() {
    forget_sessions();
    if (is_reader(event_.id.source)) return;
    for (const auto& [place, key] : index_.by_slot) {
        if (place.first != cabinet()) continue;
        KeyState& state = custody_.keys[key->key];
        if (state.place == KeyPlace::in || state.place == KeyPlace::out)
            state.place = KeyPlace::unknown;
    }
}

// What happened at its door meanwhile is not known either.
void KeyFold::forget_sessions() {
    here_.sessions.clear();
    here_.door_open_since.reset();
}

}  // namespace gatehouse
