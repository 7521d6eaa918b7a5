// How keys leave and come back: the part of the fold that opens and ends loans.
#include <algorithm>
#include <utility>

#include "daemon/core/key_fold.hpp"

namespace gatehouse {

const Key* KeyFold::key_of_event() {
    const auto found = [](const auto& map, const auto& name) {
        const auto at = map.find(name);
        return at == map.end() ? nullptr : at->second;
    };
    if (!event_.key.empty()) return found(index_.by_id, event_.key);
    if (!event_.tag.empty()) {
        const Key* key = found(index_.by_tag, tag_name(event_.tag));
        if (key == nullptr) tell(KeyFactKind::unknown_tag, cabinet()).key = event_.tag;
        return key;
    }
    return event_.slot ? found(index_.by_slot, std::pair{cabinet(), *event_.slot}) : nullptr;
}

void KeyFold::remove() {
    const Key* key = key_of_event();
    const Who taken = who();
    tell_doubts(taken, key != nullptr ? key->key : "");
    if (key == nullptr) return;
    KeyState& state = custody_.keys[key->key];
    // It was away already by what is known, so its return was never seen.
    if (state.loan) give_back(state, {});
    end(KeyFactKind::wrong_slot, key->key);
    lend(*key, state, taken);
    // Two badges in one door are two people, though nobody knows which of them took it.
    const bool two =
        (!taken.person.empty() && !taken.second.empty() && taken.second != taken.person) ||
        taken.candidates.size() > 1;
    if (key->needs_second.value_or(false) && !two)
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
    loan.extended_until = event_.until;
    state.place = KeyPlace::out;
    state.cabinet.clear();
    state.slot.reset();
    state.since = event_.at;
    state.loan = std::move(loan);
}

void KeyFold::put_back() {
    const Key* key = key_of_event();
    const Who brought = who();
    tell_doubts(brought, key != nullptr ? key->key : "");
    if (key == nullptr) return;
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
    state.place = KeyPlace::in;
    state.cabinet = event_.slot ? cabinet() : "";
    state.slot = event_.slot;
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

// What hangs there against what is known. A difference is something that nobody saw happen; where
// nothing was known it only tells.
void KeyFold::take_stock() {
    Who unseen;
    unseen.origin = KeyOrigin::derived;
    for (const auto& [place, key] : index_.by_slot) {
        if (place.first != cabinet()) continue;
        KeyState& state = custody_.keys[key->key];
        if (state.place == KeyPlace::given || state.place == KeyPlace::lost) continue;
        const bool here = std::find(event_.present.begin(), event_.present.end(), place.second) !=
                          event_.present.end();
        const KeyPlace before = state.place;
        KeyJump jump{event_.id, key->key, cabinet(), place.second, !here, {}};
        if (state.loan) jump.loan = state.loan->id;
        const bool moves = here == state.loan.has_value();
        if (here) {
            if (state.loan) give_back(state, unseen);
            state.place = KeyPlace::in;
        } else if (!state.loan) {
            lend(*key, state, unseen);
        } else {
            state.place = KeyPlace::out;
        }
        if (moves) findings_.jumps.push_back(std::move(jump));
        if (before == state.place) continue;
        state.since = event_.at;
        if (before != KeyPlace::unknown)
            tell(KeyFactKind::slot_state_jump, key->key).key = key->key;
    }
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
        case KeyEventType::key_lost:
            if (state.loan) lose(state);
            state.place = KeyPlace::lost;
            break;
        case KeyEventType::key_given:
            if (state.loan) give_back(state, who);
            state.place = KeyPlace::given;
            break;
        default:
            if (state.loan) give_back(state, who);
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
