// Which flats somebody moved into, and what of that stands in the books: for the alert that asks
// for it a day later (keys-and-tickets.md M3).
#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include "daemon/engine/key_room.hpp"

namespace gatehouse {
namespace {

namespace json = boost::json;

constexpr MonoMs kMovesMs = 60'000;  // people and dates change without an event of this room

std::set<std::string> held_units(const World& world, const Registry& registry, LocalDate today) {
    std::set<std::string> held;
    for (const Person& person : registry.people)
        if (!person.unit.empty() && (!person.valid_to || *person.valid_to >= today))
            held.insert(person.unit);
    for (const AccountRuntime& account : world.accounts)
        if (account.row->closed.empty() && !account.row->holder.empty())
            held.insert(account.row->unit);
    return held;
}

}  // namespace

// A record says when it was; one without a time was written as it happened.
void KeyRoom::note_handover(const RegisterRow& row) {
    if (row.kind != "handover" || row.unit.empty()) return;
    boost::system::error_code error;
    const json::value value = json::parse(row.body, error);
    if (error || !value.is_object()) return;
    const auto text = [&](const char* name) {
        const json::value* member = value.get_object().if_contains(name);
        return member != nullptr && member->is_string() ? std::string(member->get_string())
                                                        : std::string();
    };
    UtcMs at = row.at;
    for (const char* name : {"at", "moved_at"})
        if (const auto said = parse_iso8601(text(name), context_.zone)) at = *said;
    HandOvers& known = handovers_[row.unit];
    std::optional<UtcMs>& newest = text("direction") == "out" ? known.out : known.in;
    if (!newest || *newest < at) newest = at;
    moves_mono_ms_ = 0;
}

void KeyRoom::look_for_moves() {
    const MonoMs now = context_.now.mono_ms;
    if (moves_mono_ms_ != 0 && now - moves_mono_ms_ < kMovesMs) return;
    moves_mono_ms_ = now;
    std::map<std::string, MoveIn> moves;
    for (const auto& [unit, known] : handovers_)
        if (known.in && (!known.out || *known.out < *known.in))
            moves[unit] = {unit, *known.in, true, false};
    for (const auto& [id, state] : now_.keys) {
        const Key* key = find_key(id);
        if (state.place != KeyPlace::given || key == nullptr || key->class_ != KeyClass::vacant)
            continue;
        for (const std::string& unit : key->opens) {
            const auto known = handovers_.find(unit);
            const bool left =
                known != handovers_.end() && known->second.out && *known->second.out >= state.since;
            if (left || !context_.world.units.contains(unit)) continue;
            // A record that comes later makes nobody's day longer.
            MoveIn& move = moves.try_emplace(unit, MoveIn{unit, state.since}).first->second;
            move.at = std::min(move.at, state.since);
        }
    }
    moves_.clear();
    if (moves.empty()) return;
    const std::set<std::string> held =
        held_units(context_.world, *registry_, context_.day_of(context_.now_ms()));
    for (auto& [unit, move] : moves) {
        move.holder = held.contains(unit);
        if (!move.recorded || !move.holder) moves_.push_back(std::move(move));
    }
}

}  // namespace gatehouse
