// What core judges before it is written down: hand-overs of keys that both of the two say, with
// what nobody confirmed in time, and seals that are opened or put on.
#include <algorithm>
#include <utility>

#include "daemon/engine/command_desk.hpp"
#include "daemon/engine/import_desk.hpp"
#include "daemon/engine/key_room.hpp"
#include "daemon/engine/meter_acts.hpp"

namespace gatehouse {

KeyEvent KeyRoom::desk_event(KeyEventType type, const std::string& key) const {
    KeyEvent event;
    event.id = {kDeskSource, context_.run, 0};
    event.id.seq = context_.store.key_books().newest_seq(kDeskSource, context_.run) + 1;
    event.type = type;
    event.origin = KeyOrigin::manual;
    event.key = key;
    event.at = event.received_at = context_.now_ms();
    return event;
}

std::optional<Reply> KeyRoom::take_offer(const KeyAct& act, const KeyLoan& loan,
                                         KeyEvent& event) const {
    const OfferStep step = act.what == KeyAct::What::offer     ? OfferStep::offer
                           : act.what == KeyAct::What::confirm ? OfferStep::confirm
                                                               : OfferStep::decline;
    const auto judged = step_offer(loan, step, act.by, act.to, context_.now_ms());
    if (const auto* refused = std::get_if<OfferRefusal>(&judged)) {
        if (!refused->pointer.empty())
            return wrong_field(refused->pointer.c_str(), refused->type.c_str(), refused->text);
        return refusal(ReplyKind::conflict, refused->type, refused->text);
    }
    const auto& offer = std::get<KeyOffer>(judged);
    event.person = offer.from;
    event.to = offer.to;
    // Behind what took it, also where that cabinet's clock is a little ahead of ours.
    event.at = std::max(event.at, loan.out_at + 1);
    if (step != OfferStep::confirm) return std::nullopt;
    event.by = offer.by;
    event.second = act.by;
    return std::nullopt;
}

std::string KeyRoom::key_sealed_with(const std::string& number) const {
    for (const Key& key : registry_->keys) {
        const auto state = now_.keys.find(key.key);
        const auto seal = seal_of(key, state == now_.keys.end() ? KeyState() : state->second);
        if (seal && !seal->broken && seal->number == number) return key.key;
    }
    return "";
}

std::optional<Reply> KeyRoom::take_seal(const KeyAct& act, const Key& key, std::optional<UtcMs> at,
                                        KeyEvent& event) const {
    const auto known = now_.keys.find(key.key);
    const KeyState state = known == now_.keys.end() ? KeyState() : known->second;
    const SealStep step = act.what == KeyAct::What::seal ? SealStep::renew : SealStep::open;
    if (const auto refused = judge_seal(key, state, step, act.seal_no)) {
        if (!refused->pointer.empty())
            return wrong_field(refused->pointer.c_str(), refused->type.c_str(), refused->text);
        return refusal(ReplyKind::conflict, refused->type, refused->text);
    }
    const auto seal = seal_of(key, state);
    if (at && seal && *at < seal->at)
        return wrong_field("/at", "invalid",
                           "`" + act.at + "` lies before that: the seal `" + seal->number +
                               "` was " + (seal->broken ? "opened at " : "put on at ") +
                               context_.iso(seal->at) + "; name a time from then on");
    if (step == SealStep::renew)
        if (const std::string other = key_sealed_with(act.seal_no); !other.empty())
            return wrong_field("/seal_no", "invalid",
                               "`" + act.seal_no + "` is on key " + other +
                                   "; write the number that stands on this seal");
    if (event.person.empty()) event.person = act.by;
    event.seal = SealWritten{step == SealStep::renew ? act.seal_no : seal->number, key.seal_no};
    return std::nullopt;
}

// Told once, at the end of its ten minutes, whoever looks first; the key stays where it was. A
// clock that is not trusted ends nothing.
void KeyRoom::lapse_offers() {
    if (!context_.clock.trusted()) return;
    std::vector<std::pair<std::string, KeyOffer>> over;
    for (const auto& [key, state] : now_.keys)
        if (state.loan && state.loan->offered && is_over(*state.loan->offered, context_.now_ms()))
            over.emplace_back(key, *state.loan->offered);
    for (const auto& [key, offer] : over) {
        KeyEvent event = desk_event(KeyEventType::key_lapsed, key);
        event.origin = KeyOrigin::derived;
        event.person = offer.from;
        event.to = offer.to;
        event.at = offer.at + kOfferMs;
        ingest({std::move(event)});
        context_.urgent = true;
    }
}

std::string KeyRoom::not_here(const std::string& id) const {
    const LocalDate today = context_.day_of(context_.now_ms());
    const auto left = [&](const std::optional<LocalDate>& until, const char* file) {
        if (!until || !context_.clock.trusted() || *until >= today) return std::string();
        return "`" + id + "` left on " + format_date(*until) + " (" + file +
               "); name somebody who is there";
    };
    if (const auto staff = context_.world.staff.find(id); staff != context_.world.staff.end())
        return left(staff->second->active_to, "staff.csv");
    for (const Person& person : registry_->people)
        if (person.person == id) return left(person.valid_to, "people.csv");
    return "`" + id + "` is nobody in staff.csv or people.csv";
}

}  // namespace gatehouse
