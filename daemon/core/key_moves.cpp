// How keys leave and come back: the part of the fold that opens and ends loans.
#include <algorithm>
#include <utility>

#include "daemon/core/key_fold.hpp"

namespace gatehouse {

bool KeyFold::is_home(const Key& key, int slot) const {
    return key.cabinet == cabinet() && key.slot == slot;
}

// What is known to hang in a slot of this cabinet and does not belong there.
const SlotGuest* KeyFold::guest_in(int slot) const {
    const auto at = std::find_if(here_.guests.begin(), here_.guests.end(),
                                 [&](const SlotGuest& guest) { return guest.slot == slot; });
    if (at == here_.guests.end() || at->key.empty())
        return at == here_.guests.end() ? nullptr : &*at;
    // Its home may be there by now.
    const auto key = index_.by_id.find(at->key);
    return key == index_.by_id.end() || is_home(*key->second, slot) ? nullptr : &*at;
}

// The slot's own key, where the registry has no tag of it.
const Key* KeyFold::untagged_home(int slot) const {
    const auto home = index_.by_slot.find(std::pair{cabinet(), slot});
    return home != index_.by_slot.end() && home->second->tag.empty() ? home->second : nullptr;
}

// The key that a contact speaks of: the one that is known to hang there, or else the slot's own.
const Key* KeyFold::key_in_slot(int slot) {
    if (event_.type == KeyEventType::key_removed) {
        if (const SlotGuest* guest = guest_in(slot)) {
            const auto key = index_.by_id.find(guest->key);
            return key == index_.by_id.end() ? nullptr : key->second;
        }
    }
    const auto home = index_.by_slot.find(std::pair{cabinet(), slot});
    return home == index_.by_slot.end() ? nullptr : home->second;
}

const Key* KeyFold::key_of_event() {
    const auto found = [](const auto& map, const auto& name) {
        const auto at = map.find(name);
        return at == map.end() ? nullptr : at->second;
    };
    if (!event_.key.empty()) return found(index_.by_id, event_.key);
    if (!event_.tag.empty()) {
        if (const Key* key = found(index_.by_tag, tag_name(event_.tag))) return key;
        tell(KeyFactKind::unknown_tag, cabinet()).key = event_.tag;
        // Of a key whose tag nobody typed in, its slot tells, or the cabinet does.
        if (event_.type == KeyEventType::key_wrong_slot)
            return event_.home ? untagged_home(*event_.home) : nullptr;
        const bool moved =
            event_.type == KeyEventType::key_removed || event_.type == KeyEventType::key_returned;
        const bool own = moved && event_.slot && guest_in(*event_.slot) == nullptr;
        return own ? untagged_home(*event_.slot) : nullptr;
    }
    // A cabinet that knows where it belongs says so, though it shows no tag.
    if (event_.type == KeyEventType::key_wrong_slot && event_.home)
        return found(index_.by_slot, std::pair{cabinet(), *event_.home});
    // That another key hangs there says nothing of the slot's own.
    const bool strange =
        event_.type == KeyEventType::key_wrong_slot || event_.type == KeyEventType::key_unknown_tag;
    return event_.slot && !strange ? key_in_slot(*event_.slot) : nullptr;
}

// It hangs nowhere any more.
void KeyFold::leave_slot(const Key& key, KeyState& state) {
    if (state.slot)
        std::erase_if(custody_.cabinets[state.cabinet].guests,
                      [&](const SlotGuest& guest) { return guest.key == key.key; });
    state.cabinet.clear();
    state.slot.reset();
}

void KeyFold::hang(const Key& key, KeyState& state, std::optional<int> slot) {
    leave_slot(key, state);
    if (slot) {
        std::erase_if(here_.guests, [&](const SlotGuest& guest) { return guest.slot == *slot; });
        if (!is_home(key, *slot)) here_.guests.push_back({*slot, key.key, ""});
        state.cabinet = cabinet();
        state.slot = slot;
    }
    state.place = KeyPlace::in;
}

// Something that no key of the registry is came into a slot, or left it.
void KeyFold::hang_strange() {
    if (!event_.slot) return;
    const int slot = *event_.slot;
    const bool comes = event_.type != KeyEventType::key_removed;
    if (event_.type == KeyEventType::key_returned && event_.tag.empty()) return;
    std::erase_if(here_.guests, [&](const SlotGuest& guest) { return guest.slot == slot; });
    if (comes) here_.guests.push_back({slot, "", tag_name(event_.tag)});
}

// Two badges in one door are two people, though nobody knows which of them took it. Who has left is
// nobody's second.
bool KeyFold::are_two(const Who& taken) const {
    std::set<std::string> people(taken.candidates.begin(), taken.candidates.end());
    people.insert({taken.person, taken.second});
    std::erase_if(people, [&](const std::string& person) {
        return person.empty() || (index_.is_active && !index_.is_active(person, event_.at));
    });
    return people.size() > 1;
}

void KeyFold::remove() {
    const Key* key = key_of_event();
    const Who taken = who();
    tell_doubts(taken, key != nullptr ? key->key : "");
    if (key == nullptr) return hang_strange();
    KeyState& state = custody_.keys[key->key];
    // It was away already by what is known, so its return was never seen.
    if (state.loan) give_back(state, {});
    end(KeyFactKind::wrong_slot, key->key);
    lend(*key, state, taken);
    if (key->needs_second.value_or(false) && !are_two(taken))
        tell(KeyFactKind::second_missing, key->key).key = key->key;
    findings_.moved.push_back({event_.id, key->key, taken.person, taken.origin, event_.id});
}

void KeyFold::lend(const Key& key, KeyState& state, const Who& taken) {
    KeyLoan loan;
    loan.id = event_.id;
    loan.key = key.key;
    loan.holder = taken.person;
    loan.candidates = taken.candidates;
    loan.second = taken.second;
    loan.origin = taken.origin;
    loan.ticket = event_.ticket;
    loan.reason = event_.reason;
    loan.issued_by = event_.by;
    loan.out_at = event_.at;
    loan.return_by = event_.until;
    leave_slot(key, state);
    state.place = KeyPlace::out;
    state.since = event_.at;
    state.loan = std::move(loan);
}

void KeyFold::put_back() {
    const Key* key = key_of_event();
    const Who brought = who();
    tell_doubts(brought, key != nullptr ? key->key : "");
    if (key == nullptr) return hang_strange();
    KeyState& state = custody_.keys[key->key];
    end(KeyFactKind::wrong_slot, key->key);
    if (event_.slot && key->slot && (key->cabinet != cabinet() || key->slot != event_.slot))
        tell(KeyFactKind::wrong_slot, key->key).key = key->key;
    KeyMoved moved{event_.id, key->key, brought.person, brought.origin, {}};
    if (state.loan) {
        moved.loan = state.loan->id;
        const std::string& holder = state.loan->holder;
        const bool other = !brought.person.empty() && !holder.empty() && brought.person != holder;
        if (other) tell(KeyFactKind::returned_by_other, key->key).key = key->key;
        give_back(state, brought);
    }
    findings_.moved.push_back(std::move(moved));
    hang(*key, state, event_.slot);
    state.since = event_.at;
}

void KeyFold::give_back(KeyState& state, const Who& brought) {
    KeyLoan loan = *std::exchange(state.loan, std::nullopt);
    loan.in_at = event_.at;
    loan.offered.reset();
    loan.returned_by = brought.person;
    loan.received_by = event_.type == KeyEventType::key_returned ? event_.by : "";
    loan.return_origin = brought.origin;
    findings_.ended.push_back(std::move(loan));
}

// The loan is over, and nobody brought anything.
void KeyFold::lose(KeyState& state) {
    KeyLoan loan = *std::exchange(state.loan, std::nullopt);
    loan.lost_at = event_.at;
    findings_.ended.push_back(std::move(loan));
}

// What an inventory says of slots: which key hangs where. `vague`: slots that hold something, and
// nobody knows whether it is their own key.
struct KeyFold::Stock {
    std::map<std::string, int> found;
    std::set<int> vague, present;
};

bool KeyFold::speaks_of(int slot) const {
    return !event_.covers || slot <= *event_.covers;
}

KeyFold::Stock KeyFold::look_at_slots() {
    Stock stock;
    stock.present.insert(event_.present.begin(), event_.present.end());
    std::erase_if(here_.guests, [&](const SlotGuest& guest) {
        return guest.key.empty() && !stock.present.contains(guest.slot) && speaks_of(guest.slot);
    });
    std::set<int> read;
    for (const SlotTag& one : event_.tags) {
        if (!stock.present.contains(one.slot) || one.tag.empty()) continue;
        read.insert(one.slot);
        const auto key = index_.by_tag.find(tag_name(one.tag));
        if (key != index_.by_tag.end()) {
            stock.found.emplace(key->second->key, one.slot);
            continue;
        }
        // Whose tag nobody typed in may be its own.
        if (untagged_home(one.slot) != nullptr) {
            read.erase(one.slot);
            continue;
        }
        const SlotGuest stranger{one.slot, "", tag_name(one.tag)};
        if (std::find(here_.guests.begin(), here_.guests.end(), stranger) != here_.guests.end())
            continue;
        std::erase_if(here_.guests, [&](const SlotGuest& guest) { return guest.slot == one.slot; });
        here_.guests.push_back(stranger);
        tell(KeyFactKind::unknown_tag, cabinet()).key = one.tag;
    }
    for (const int slot : stock.present) {
        const SlotGuest* guest = read.contains(slot) ? nullptr : guest_in(slot);
        if (guest == nullptr) continue;
        stock.vague.insert(slot);
        if (!guest->key.empty()) stock.found.emplace(guest->key, slot);
    }
    for (const auto& [place, key] : index_.by_slot) {
        const int slot = place.second;
        if (place.first != cabinet() || !stock.present.contains(slot) || read.contains(slot) ||
            stock.vague.contains(slot) || stock.found.contains(key->key))
            continue;
        // It is known to hang in another cabinet: what hangs in its own slot is not known.
        const KeyState& state = custody_.keys[key->key];
        const bool away = state.place == KeyPlace::in && state.slot && state.cabinet != cabinet();
        if (away)
            stock.vague.insert(slot);
        else
            stock.found.emplace(key->key, slot);
    }
    return stock;
}

// What hangs there against what is known. A difference is something that nobody saw happen; where
// nothing was known it only tells. What hangs in another key's slot says nothing of that key.
void KeyFold::take_stock() {
    const Stock stock = look_at_slots();
    std::map<std::string, const Key*> asked;
    for (const auto& [place, key] : index_.by_slot)
        if (place.first == cabinet()) asked.emplace(key->key, key);
    for (const SlotGuest& guest : here_.guests)
        if (const auto key = index_.by_id.find(guest.key); key != index_.by_id.end())
            asked.emplace(guest.key, key->second);
    for (const auto& [id, slot] : stock.found) asked.emplace(id, index_.by_id.at(id));
    for (const auto& [id, key] : asked) {
        const auto found = stock.found.find(id);
        if (found != stock.found.end()) {
            compare(*key, found->second, true);
            continue;
        }
        const KeyState& state = custody_.keys[id];
        const bool elsewhere = state.slot && state.cabinet != cabinet();
        const bool own_slot = key->slot && is_home(*key, *key->slot);
        if (elsewhere && state.place == KeyPlace::in) continue;
        const std::optional<int>& place = state.slot ? state.slot : key->slot;
        if (place && !speaks_of(*place)) continue;
        compare(*key, std::nullopt, !(own_slot && stock.vague.contains(*key->slot)));
    }
}

// `sure`: that it does not hang there is no more than that, where another one may.
void KeyFold::compare(const Key& key, std::optional<int> found, bool sure) {
    KeyState& state = custody_.keys[key.key];
    if (state.place == KeyPlace::given || state.place == KeyPlace::lost) return;
    const bool here = found.has_value();
    const bool as_guest = state.slot && !is_home(key, *state.slot);
    if (!here && !sure && !as_guest) return;
    Who unseen;
    unseen.origin = KeyOrigin::derived;
    const KeyPlace before = state.place;
    using Place = std::pair<std::string, std::optional<int>>;
    const Place old = state.slot ? Place{state.cabinet, state.slot} : Place{key.cabinet, key.slot};
    KeyJump jump{event_.id, key.key, cabinet(), here ? found : old.second, !here, {}};
    if (state.loan) jump.loan = state.loan->id;
    const bool moves = here == state.loan.has_value();
    const bool moved_over = here && !state.loan && old != Place{cabinet(), found};
    if (here) {
        if (state.loan) give_back(state, unseen);
        const bool home = is_home(key, *found);
        if (before != KeyPlace::in || moved_over) hang(key, state, found);
        if (home) end(KeyFactKind::wrong_slot, key.key);
        if (!home && (moves || moved_over)) tell(KeyFactKind::wrong_slot, key.key).key = key.key;
    } else if (!state.loan) {
        end(KeyFactKind::wrong_slot, key.key);
        lend(key, state, unseen);
    } else {
        state.place = KeyPlace::out;
    }
    if (moves) findings_.jumps.push_back(std::move(jump));
    if (before == state.place && !moved_over) return;
    state.since = event_.at;
    if (before != KeyPlace::unknown) tell(KeyFactKind::slot_state_jump, key.key).key = key.key;
}

void KeyFold::write_down() {
    const auto found = index_.by_id.find(event_.key);
    if (found == index_.by_id.end()) return;
    KeyState& state = custody_.keys[event_.key];
    Who who;
    who.person = event_.person;
    who.origin = KeyOrigin::manual;
    switch (event_.type) {
        case KeyEventType::key_handed:
            if (!state.loan) return;
            state.loan->handed.push_back(
                {state.loan->holder, event_.to, event_.by, event_.at, event_.second});
            state.loan->holder = event_.to;
            state.loan->candidates.clear();
            state.loan->offered.reset();
            return;
        case KeyEventType::key_offered:
            if (state.loan)
                state.loan->offered = KeyOffer{event_.person, event_.to, event_.by, event_.at};
            return;
        case KeyEventType::key_declined:
        case KeyEventType::key_lapsed:
            if (state.loan) state.loan->offered.reset();
            return;
        case KeyEventType::key_extended:
            if (state.loan) state.loan->extended_until = event_.until;
            return;
        case KeyEventType::key_counted:
            return count(*found->second, state);
        case KeyEventType::key_unsealed:
        case KeyEventType::key_sealed:
            // No cabinet sees an envelope.
            if (event_.seal)
                state.seal = KeySeal{event_.seal->number,
                                     event_.seal->listed,
                                     event_.type == KeyEventType::key_unsealed,
                                     event_.person,
                                     event_.second,
                                     event_.at};
            return;
        case KeyEventType::key_lost:
            if (state.loan) lose(state);
            leave_slot(*found->second, state);
            state.place = KeyPlace::lost;
            break;
        case KeyEventType::key_given:
            if (state.loan) give_back(state, who);
            leave_slot(*found->second, state);
            state.place = KeyPlace::given;
            break;
        default:
            if (state.loan) give_back(state, who);
            leave_slot(*found->second, state);
            state.place = KeyPlace::in;
            break;
    }
    state.since = event_.at;
}

// A stock-take changes nothing: a difference is for people to explain.
void KeyFold::count(const Key& key, KeyState& state) {
    const bool here = !event_.present.empty();
    end(KeyFactKind::stock_mismatch, key.key);
    const bool all = event_.detail != kCountedPieces || event_.present.empty() ||
                     event_.present.front() == key.count.value_or(1);
    if (state.place == KeyPlace::unknown || (here == (state.place == KeyPlace::in) && all)) return;
    tell(KeyFactKind::stock_mismatch, key.key).key = key.key;
}

}  // namespace gatehouse
