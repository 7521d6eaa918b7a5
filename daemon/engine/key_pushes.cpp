// What comes in from cabinets: a push into the books, holes and new numberings told, and whether a
// cabinet that is asked answers.
#include <algorithm>
#include <utility>

#include "daemon/core/text.hpp"
#include "daemon/engine/command_desk.hpp"
#include "daemon/engine/import_desk.hpp"
#include "daemon/engine/json_writer.hpp"
#include "daemon/engine/key_alerts.hpp"
#include "daemon/engine/key_codec.hpp"
#include "daemon/engine/key_room.hpp"

namespace gatehouse {
namespace {

constexpr std::size_t kLoansOfKey = 200;  // of a week, far more than a key is taken

// A clock this far from ours is not late delivery but a wrong clock.
constexpr std::int64_t kWrongClockMs = 7 * 86'400'000LL, kAheadMs = 60'000;
constexpr std::int64_t kReaderSkewMs = 1'000;
constexpr std::int64_t kSkewShownMs = 1'000;  // so much makes another snapshot

}  // namespace

// When it happened by a clock that may be believed, and whose the card was then.
void KeyRoom::resolve(KeyEvent& event, std::optional<UtcMs> device_now) const {
    event.received_at = context_.now_ms();
    const UtcMs said = event.at;
    const auto believable = [&](UtcMs at) {
        const std::int64_t behind = event.received_at - at;
        return behind <= kWrongClockMs && behind >= -kAheadMs;
    };
    if (device_now) {
        const std::int64_t skew = event.received_at - *device_now;
        // A reader's badge is set beside contacts that have our time, so seconds matter.
        const std::int64_t bearable =
            is_reader(event.id.source) ? kReaderSkewMs : options_.rules.skew_ms;
        const bool wrong = skew > bearable || skew < -bearable;
        // One time that is wrong alone is no reason to move those that are right.
        if (wrong && (believable(event.at + skew) || !believable(event.at))) event.at += skew;
    }
    const bool believed = said != 0 && believable(event.at);
    if (!believed) event.at = event.received_at;
    event.clocked = believed && event.at == event.received_at;
    if (said != 0 && said != event.at) event.device_at = said;
    if (!event.card.empty()) {
        event.card = hashed_card(context_, event.card);
        if (event.person.empty()) event.person = cards_.holder(event.card, event.at);
        event.stranger = event.stranger || event.person.empty();
    }
    if (!event.person.empty() && !is_person(event.person)) {
        event.person.clear();
        event.stranger = true;
    }
    if (!event.second.empty() && !is_person(event.second)) event.second.clear();
    // Alerts name the ticket in what they publish.
    if (!is_code(event.ticket)) event.ticket.clear();
}

// How far a clock is before ours, as far as a push shows: by its own word, or by its newest event,
// which cannot be from the future and may be from any time before.
std::optional<std::int64_t> KeyRoom::skew_of(const KeyPush& push) const {
    if (push.device_now) return *push.device_now - context_.now_ms();
    const KeyEvent* newest = nullptr;
    for (const KeyEvent& event : push.events)
        if (event.id.source == push.source && (newest == nullptr || newest->id < event.id))
            newest = &event;
    if (newest == nullptr || newest->at < context_.now_ms() - kSkewOverMs) return std::nullopt;
    return newest->at - context_.now_ms();
}

std::set<std::pair<std::string, SeqGap>> KeyRoom::gaps() const {
    std::set<std::pair<std::string, SeqGap>> all;
    for (const KeyFact& fact : findings_.facts)
        if (fact.kind == KeyFactKind::log_gap)
            all.insert({fact.cabinet + (is_reader(fact.event.source) ? kReaderSuffix : ""),
                        {fact.from, fact.through}});
    return all;
}

// A hole in what a cabinet told is an event of its own, and so is what fills it.
void KeyRoom::log_gap(const char* kind, const std::string& source, const SeqGap& gap) {
    const std::string cabinet = cabinet_of(source);
    const std::string topic = "cabinet/" + cabinet + "/event";
    const std::uint64_t seq = context_.store.next(Series::event);
    JsonWriter subject, body;
    subject.begin_object().field("cabinet", cabinet).end_object();
    body.begin_object()
        .field("schema", 1)
        .field("id", source + "/gap/" + std::to_string(gap.from))
        .field("seq", seq)
        .field("prev", context_.world.topic_heads[topic])
        .field("event_type", kind)
        .field("cabinet", cabinet)
        .field("from", gap.from)
        .field("to", gap.through)
        .field("origin", "derived")
        .field("at", context_.iso(context_.now_ms()))
        .field("received_at", context_.iso(context_.now_ms()))
        .end_object();
    log_event(context_, std::string("cabinet.") + (kind[4] == 'g' ? "log_gap" : "log_filled"),
              subject.take(), body.take(), {"cabinet:" + cabinet}, topic);
}

void KeyRoom::log_gaps(const std::set<std::pair<std::string, SeqGap>>& before) {
    const auto now = gaps();
    for (const auto& [source, gap] : now)
        if (!before.contains({source, gap})) log_gap("log.gap", source, gap);
    for (const auto& [source, gap] : before)
        if (!now.contains({source, gap})) log_gap("log.filled", source, gap);
}

// What came too late for the fold may still be all that was missed. Of several holes the alert told
// the first one, so nothing may be missing from there on.
void KeyRoom::close_filled_gaps() {
    KeyBooks& books = context_.store.key_books();
    for (const OpenGap& open : open_gaps(context_)) {
        const KeyEventId& behind = open.event;
        if (!is_late(behind)) continue;  // the fold sees to it
        const auto body = books.event_body(behind.source, behind.boot, behind.seq);
        KeyEvent event;
        if (body) from_book(*body, event);
        const std::int64_t newest = books.newest_seq(behind.source, behind.boot);
        if (!body || !books.has_all(behind.source, behind.boot, open.gap.from,
                                    std::max(newest, open.gap.through), event.received_at))
            continue;
        log_gap("log.filled",
                cabinet_of(behind.source) + (is_reader(behind.source) ? kReaderSuffix : ""),
                open.gap);
        close_gap(context_, open);
    }
}

// Another numbering of a cabinet begins: another board, or one that lost its memory.
void KeyRoom::log_restart(const KeyEvent& first, bool wraps) {
    const std::string cabinet = cabinet_of(first.id.source);
    const std::string topic = "cabinet/" + cabinet + "/event";
    const std::uint64_t seq = context_.store.next(Series::event);
    JsonWriter subject, body;
    subject.begin_object().field("cabinet", cabinet).end_object();
    body.begin_object()
        .field("schema", 1)
        .field("id", first.id.source)
        .field("seq", seq)
        .field("prev", context_.world.topic_heads[topic])
        .field("event_type", "log.restarted")
        .field("cabinet", cabinet)
        .field("first", format(first.id))
        .field_if("detail", std::string(wraps ? "wrap" : ""))
        .field("origin", "derived")
        .field("at", context_.iso(first.at))
        .field("received_at", context_.iso(first.received_at))
        .end_object();
    log_event(context_, "cabinet.log_restarted", subject.take(), body.take(),
              {"cabinet:" + cabinet}, topic);
}

// A loss that begins among what is kept (the daemon ended between commit and acknowledgement) is
// one of what lies behind that.
void KeyRoom::shorten_loss(KeyEvent& event, const KeyNumberings::Place& place) {
    if (event.type != KeyEventType::log_overwritten || place.begins) return;
    const std::int64_t kept = place.kept_through;
    if (event.from <= kept && kept < event.through) event.from = event.id.seq = kept + 1;
}

Reply KeyRoom::push(const KeyPush& push) {
    KeyBooks& books = context_.store.key_books();
    KeyNumberings::Pending pending;
    std::vector<KeyPush::Bad> bad = push.bad;
    std::int64_t duplicates = 0, again = -1;  // again: kept already, under another boot
    std::string counted = numberings_.current(books, push.source);
    std::optional<UtcMs> device_now = push.device_now;
    if (const auto skew = skew_of(push); skew && *skew > options_.rules.skew_ms)
        device_now = context_.now_ms() + *skew;
    for (std::size_t i = 0; i < push.events.size(); ++i) {
        KeyEvent event = push.events[i];
        resolve(event, device_now);
        const bool own = event.id.source == push.source;  // else what the box itself saw
        KeyNumberings::Place place;
        if (own) {
            place = numberings_.place(books, pending, push, push.events[i], event);
            shorten_loss(event, place);
            event.id.source = place.source;
            if (event.id.boot == push.boot) {
                counted = place.source;
                if (place.boot != event.id.boot) again = std::max(again, event.id.seq);
            }
            event.id.boot = place.boot;
        }
        // It was read again, or this push holds it twice.
        if (pending.contains(event.id) ||
            books.event_body(event.id.source, event.id.boot, event.id.seq)) {
            ++duplicates;
            if (place.kept == KeptAs::other) bad.push_back({i, "identity_reused"});
            continue;
        }
        if (own) numberings_.keep(books, push, place, event);
        if (place.begins) log_restart(event, place.wraps);
        pending.emplace(event.id, std::move(event));
    }
    hear(push);
    std::vector<KeyEvent> fresh;
    for (auto& [id, event] : pending) fresh.push_back(std::move(event));
    if (!fresh.empty()) ingest(std::move(fresh));
    // Of that boot alone: a cabinet frees what is acknowledged, and counts anew after each boot.
    const std::int64_t kept = std::max(books.newest_seq(counted, push.boot), again);
    JsonWriter json;
    json.begin_object().key("ack");
    if (kept < 0)
        json.null();  // nothing is kept that could be freed
    else
        json.begin_object().field("boot", push.boot).field("seq", kept).end_object();
    json.field("dup", duplicates).key("bad").begin_array();
    for (const KeyPush::Bad& one : bad)
        json.begin_object().field("i", one.index).field("code", one.code).end_object();
    // The same holds of what is missing: under another boot those numbers are other events.
    json.end_array().key("gap").begin_array();
    for (const KeyFact& fact : findings_.facts)
        if (fact.kind == KeyFactKind::log_gap && fact.event.source == counted &&
            fact.event.boot == push.boot)
            json.begin_object().field("from", fact.from).field("to", fact.through).end_object();
    json.end_array();
    // It may be answered where the cabinet beside it is.
    if (is_reader(push.source)) json.field("src", push.source);
    json.end_object();
    Reply reply;
    reply.json = json.take();
    return reply;
}

// That a cabinet spoke. A reader does so for itself alone.
void KeyRoom::hear(const KeyPush& push) {
    heard_[push.source] = context_.now_ms();
    const std::optional<std::int64_t> skew = skew_of(push);
    if (is_reader(push.source)) {
        if (push.device_now || (skew && *skew > options_.rules.skew_ms))
            reader_skew_ms_[push.source] = *skew;
        moved_ = true;
        return;
    }
    CabinetWatch& watched = watch_[push.source];
    watched.cabinet = push.source;
    watched.known = true;
    const bool sign_of_life =
        (push.events.empty() && push.bad.empty()) ||
        std::any_of(push.events.begin(), push.events.end(),
                    [](const KeyEvent& one) { return one.type == KeyEventType::inventory; });
    if (sign_of_life && beating_.insert(push.source).second)
        context_.store.key_books().put_base(kBeatingKind, push.source, "1");
    if (watched.offline_since && is_pushing(push.source))
        static_cast<void>(see({push.source, true, watched.skew_ms, ""}));
    if (!push.device_now && !is_pushing(push.source)) return;
    if (skew) hear_clock(watched, *skew);
}

void KeyRoom::hear_clock(CabinetWatch& watched, std::int64_t skew_ms) {
    const std::int64_t drift = skew_ms - watched.skew_ms;
    if (drift >= kSkewShownMs || drift <= -kSkewShownMs) moved_ = true;
    note_skew(watched, skew_ms, options_.rules);
}

Reply KeyRoom::see(const CabinetSeen& seen) {
    CabinetWatch& watched = watch_[seen.cabinet];
    const bool was_known = watched.known;
    watched.cabinet = seen.cabinet;
    // One that does not answer has told no time.
    if (seen.online) hear_clock(watched, seen.skew_ms);
    watched.known = true;
    Reply reply;
    reply.json = "{}";
    const bool was_online = !watched.offline_since;
    if (was_known && was_online == seen.online) return reply;
    if (!seen.online)
        watched.offline_since = context_.now_ms();
    else
        watched.offline_since.reset();
    reasons_[seen.cabinet] = seen.reason;
    moved_ = true;
    if (!was_known && seen.online) return reply;
    log_line(seen, context_.now_ms());
    return reply;
}

// Whether a cabinet can be heard, as an event of it that the box made (5.1).
void KeyRoom::log_line(const CabinetSeen& seen, UtcMs at) {
    const std::string topic = "cabinet/" + seen.cabinet + "/event";
    const std::uint64_t seq = context_.store.next(Series::event);
    JsonWriter subject, body;
    subject.begin_object().field("cabinet", seen.cabinet).end_object();
    body.begin_object()
        .field("schema", 1)
        .field("id", seen.cabinet + "/line/" + std::to_string(seq))
        .field("seq", seq)
        .field("prev", context_.world.topic_heads[topic])
        .field("event_type", seen.online ? "device.online" : "device.offline")
        .field("cabinet", seen.cabinet)
        .field_if("reason", seen.reason)
        .field("origin", "derived")
        .field("at", context_.iso(at))
        .field("received_at", context_.iso(context_.now_ms()))
        .end_object();
    log_event(context_, seen.online ? "cabinet.online" : "cabinet.offline", subject.take(),
              body.take(), {"cabinet:" + seen.cabinet}, topic);
}

bool KeyRoom::is_pushing(const std::string& cabinet) const {
    return std::any_of(options_.cabinets.begin(), options_.cabinets.end(),
                       [&](const auto& one) { return one.id == cabinet && one.kind != "modbus"; });
}

// A cabinet that pushes is offline once it was silent beyond the rule, where it is known to give
// signs of life (an empty push, an inventory); one that only tells what happens may have nothing to
// tell for hours. The time that the box was away itself is nobody's silence.
void KeyRoom::look_for_silence() {
    for (auto& [id, watched] : watch_) {
        if (!watched.known || watched.offline_since || !is_pushing(id)) continue;
        const auto heard = heard_.find(id);
        const UtcMs since = std::max(began_, heard == heard_.end() ? 0 : heard->second);
        const UtcMs now = context_.now_ms();
        const bool silent = beating_.contains(id)
                                ? now >= since + options_.rules.offline_ms
                                : is_too_silent(since, now, options_.rules, context_.zone);
        if (!silent) continue;
        watched.offline_since = since;
        reasons_[id] = "it has been silent since " + context_.iso(since);
        moved_ = true;
        log_line({id, false, watched.skew_ms, reasons_[id]}, since);
    }
}

// What an inventory found otherwise than it was known, key by key, beside the inventory itself.
void KeyRoom::log_jumps(const KeyEvent& inventory) {
    for (const KeyJump& jump : findings_.jumps) {
        if (jump.event != inventory.id) continue;
        KeyEvent event;
        event.type = jump.out ? KeyEventType::key_removed : KeyEventType::key_returned;
        event.origin = KeyOrigin::derived;
        event.key = jump.key;
        event.slot = jump.slot;
        event.at = inventory.at;
        event.received_at = inventory.received_at;
        event.id = inventory.id;
        event.id.source = jump.cabinet;
        const KeyEventId loan = jump.loan.source.empty() ? inventory.id : jump.loan;
        const KeyMoved moved{inventory.id, jump.key, "", KeyOrigin::derived, loan};
        log_key_event(event, &moved, "#" + jump.key);
    }
}

// Of tickets at work: when the last of their keys came back, where all are back.
std::map<std::string, UtcMs> KeyRoom::keys_back() {
    std::map<std::string, UtcMs> all;
    if (!options_.rules.alerts.contains("key_back_ticket_open")) return all;
    KeyBooks& books = context_.store.key_books();
    for (const auto& [number, ticket] : tickets_) {
        if (ticket.state != TicketState::working) continue;
        const auto [known, fresh] = back_.try_emplace(number);
        if (fresh) {
            bool out = false;
            for (const KeyLinkRow& link : books.links_of_ticket(number)) {
                const auto kind = parse_key_link_kind(link.kind);
                const auto loan = books.loan(link.loan);
                if (!kind || !counts(*kind) || !loan) continue;
                out = out || !loan->in_at;
                if (loan->in_at) known->second = std::max(known->second.value_or(0), *loan->in_at);
            }
            if (out) known->second.reset();
        }
        if (known->second) all.emplace(number, *known->second);
    }
    return all;
}

// Entrusted keys that moved within the window, against what they did in the week before.
const std::vector<KeyFact>& KeyRoom::entered_often() {
    if (often_) return *often_;
    often_.emplace();
    if (!options_.rules.alerts.contains("unit_entered_twice")) return *often_;
    KeyBooks& books = context_.store.key_books();
    std::map<std::string, UtcMs> newest;
    for (const KeyLoan* loan : loans()) {
        const Key* key = find_key(loan->key);
        if (key == nullptr || key->class_ != KeyClass::entrusted) continue;
        UtcMs& at = newest[loan->key];
        at = std::max(at, loan->out_at);
    }
    for (const auto& [id, at] : newest) {
        std::vector<KeyEntry> entries;
        for (const KeyLoanRow& row : books.loans_of(id, kLoansOfKey)) {
            // Those of the week before it, and what the oldest of them is judged by.
            if (row.out_at <= at - 2 * kEntriesMs) continue;
            KeyEntry entry{loan_of(row).id, row.out_at, {}};
            for (const KeyLinkRow& link : books.links_of_loan(row.id)) {
                const auto kind = parse_key_link_kind(link.kind);
                if (kind && counts(*kind) && !link.ticket.empty())
                    entry.tickets.insert(link.ticket);
            }
            entries.push_back(std::move(entry));
        }
        std::sort(entries.begin(), entries.end(), [](const KeyEntry& a, const KeyEntry& b) {
            return std::pair{a.out_at, a.loan} < std::pair{b.out_at, b.loan};
        });
        for (KeyFact& fact : gatehouse::entered_often(*find_key(id), entries))
            if (fact.at > at - kEntriesMs) often_->push_back(std::move(fact));
    }
    return *often_;
}

void KeyRoom::forget_derived() {
    back_.clear();
    often_.reset();
}

}  // namespace gatehouse
