#include "daemon/engine/key_room.hpp"

#include <algorithm>
#include <utility>

#include "daemon/engine/command_desk.hpp"
#include "daemon/engine/import_desk.hpp"
#include "daemon/engine/json_writer.hpp"
#include "daemon/engine/key_alerts.hpp"
#include "daemon/engine/key_codec.hpp"

namespace gatehouse {
namespace {

constexpr std::int64_t kWatchMs = 1'000, kTrimMs = 60'000;
constexpr std::size_t kTrimMax = 500;       // events a turn
constexpr std::size_t kWindowMax = 50'000;  // beyond it the oldest are folded earlier
// Tickets that ended so long ago explain no key that is still looked at.
constexpr std::int64_t kTicketsMs = kCustodyWindowMs + 86'400'000;
// A clock this far from ours is not late delivery but a wrong clock.
constexpr std::int64_t kWrongClockMs = 7 * 86'400'000LL, kAheadMs = 60'000;

// Whether the cabinet says the same again; what the box made of it may have changed.
bool is_same(const std::string& kept, const KeyEvent& again) {
    KeyEvent before;
    from_book(kept, before);
    return before.type == again.type && before.slot == again.slot && before.tag == again.tag &&
           before.device_at.value_or(before.at) == (again.at == 0 ? before.at : again.at);
}

}  // namespace

KeyRoom::KeyRoom(Context& context) : context_(context) {
    if (context.options.keys) options_ = *context.options.keys;
    if (options_.rules.alerts.empty()) options_.rules.alerts = default_key_alerts();
}

void KeyRoom::load() {
    KeyBooks& books = context_.store.key_books();
    registry_ = context_.world.registry;
    index_ = index_keys(registry_->keys);
    base_ = {};
    for (const auto& [id, body] : books.bases("key")) from_book(body, base_.keys[id]);
    for (const auto& [id, body] : books.bases("source")) from_book(body, base_.sources[id]);
    window_.clear();
    for (const KeyEventRow& row : books.fresh_events()) {
        KeyEvent event;
        from_book(row.body, event);
        event.row = row.event;
        window_.push_back(std::move(event));
    }
    sort_events(window_);
    newest_at_ = 0;
    for (const KeyEvent& event : window_) newest_at_ = std::max(newest_at_, event.at);
    tickets_.clear();
    for (const TicketRow& row : books.tickets_ended_since(context_.now_ms() - kTicketsMs))
        tickets_.emplace(row.number, ticket_of(row));
    shown_.clear();
    for (const auto& [number, ticket] : tickets_) show(ticket);
    links_.clear();
    named_.clear();
    for (const KeyLinkRow& row : books.links_since(context_.now_ms() - 2 * kCustodyWindowMs)) {
        if (row.ticket.empty()) continue;
        links_[row.loan].push_back(
            {row.ticket, parse_key_link_kind(row.kind).value_or(KeyLinkKind::weak), row.primary});
        if (!row.by.empty()) named_[row.loan].push_back(row.ticket);
    }
    refold();
    kept_.clear();
    for (const KeyLoan* loan : loans()) kept_.emplace(format(loan->id), *loan);
    loaded_ = true;
    moved_ = true;
}

void KeyRoom::refold() {
    now_ = base_;
    findings_ = {};
    for (const KeyEvent& event : window_) apply(now_, event, index_, findings_);
}

// Where it is the newest in the one order it is folded alone, else all of the window again.
void KeyRoom::insert(const KeyEvent& event) {
    const bool newest = window_.empty() || newest_at_ <= event.at;
    newest_at_ = std::max(newest_at_, event.at);
    const auto source = now_.sources.find(event.id.source);
    const bool next =
        source == now_.sources.end() || !source->second.begun ||
        std::pair{event.id.boot, event.id.seq} > std::pair{source->second.boot, source->second.seq};
    window_.push_back(event);
    if (newest && next) {
        apply(now_, event, index_, findings_);
        return;
    }
    sort_events(window_);
    refold();
}

bool KeyRoom::is_late(const KeyEventId& id) const {
    const auto source = base_.sources.find(id.source);
    return source != base_.sources.end() && source->second.begun &&
           std::pair{id.boot, id.seq} <= std::pair{source->second.boot, source->second.seq};
}

// What is older than the window moves into the base, for good.
void KeyRoom::trim() {
    const UtcMs before = context_.now_ms() - kCustodyWindowMs;
    KeyBooks& books = context_.store.key_books();
    CustodyFindings scratch;
    const std::map<std::string, KeyState> was = base_.keys;
    std::set<std::string> sources;
    std::size_t count = 0;
    while (count < window_.size() && count < kTrimMax &&
           (window_[count].at < before || window_.size() - count > kWindowMax)) {
        const KeyEvent& event = window_[count];
        apply(base_, event, index_, scratch);
        sources.insert(event.id.source);
        books.mark_folded(event.id.source, event.id.boot, event.id.seq);
        ++count;
    }
    if (count == 0) return;
    window_.erase(window_.begin(), window_.begin() + static_cast<std::ptrdiff_t>(count));
    for (const auto& [id, state] : base_.keys) {
        const auto old = was.find(id);
        if (old == was.end() || !(old->second == state)) books.put_base("key", id, to_book(state));
    }
    for (const std::string& id : sources)
        books.put_base("source", id, to_book(base_.sources.at(id)));
    for (const KeyLoan& loan : scratch.ended) {
        kept_.erase(format(loan.id));
        links_.erase(format(loan.id));
        named_.erase(format(loan.id));
    }
    books.drop_told(before - kCustodyWindowMs);
    refold();
    context_.unsaved = true;
}

std::vector<const KeyLoan*> KeyRoom::loans() const {
    std::vector<const KeyLoan*> all;
    for (const KeyLoan& loan : findings_.ended) all.push_back(&loan);
    for (const auto& [id, state] : now_.keys)
        if (state.loan) all.push_back(&*state.loan);
    return all;
}

std::vector<const KeyLoan*> KeyRoom::keep_loans() {
    KeyBooks& books = context_.store.key_books();
    std::map<std::string, KeyLoan> now;
    std::vector<const KeyLoan*> changed;
    for (const KeyLoan* loan : loans()) {
        const std::string id = format(loan->id);
        now.emplace(id, *loan);
        const auto before = kept_.find(id);
        if (before != kept_.end() && before->second == *loan) continue;
        books.put_loan(loan_row(*loan));
        changed.push_back(loan);
        moved_ = true;
    }
    for (const auto& [id, loan] : kept_) {
        if (now.contains(id)) continue;
        books.drop_loan(id);
        put_links(loan, {});
        moved_ = true;
    }
    kept_ = std::move(now);
    return changed;
}

// The loans whose links a ticket may touch: those of keys that open where it is, those that name
// it, and those of keys for everywhere.
std::vector<const KeyLoan*> KeyRoom::loans_near(const Ticket& ticket) const {
    std::vector<const KeyLoan*> near = loans();
    std::erase_if(near, [&](const KeyLoan* loan) {
        const Key* key = find_key(loan->key);
        if (key == nullptr) return true;
        if (loan->ticket == ticket.number || opens_everywhere(*key)) return false;
        const auto opens = [&](const std::string& place) {
            return std::find(key->opens.begin(), key->opens.end(), place) != key->opens.end();
        };
        if (opens(ticket.unit) || opens(ticket.place)) return false;
        const auto links = links_.find(format(loan->id));
        return links == links_.end() ||
               std::none_of(links->second.begin(), links->second.end(),
                            [&](const KeyLink& link) { return link.ticket == ticket.number; });
    });
    return near;
}

void KeyRoom::keep_links(const std::vector<const KeyLoan*>& among) {
    std::vector<const Ticket*> tickets;
    for (const auto& [number, ticket] : tickets_) tickets.push_back(&ticket);
    for (const KeyLoan* loan : among) {
        const Key* key = find_key(loan->key);
        if (key == nullptr) continue;
        const auto named = named_.find(format(loan->id));
        const std::vector<KeyLink> links =
            link_loan(*loan, *key, tickets,
                      named == named_.end() ? std::vector<std::string>() : named->second);
        const auto before = links_.find(format(loan->id));
        if (before == links_.end() ? links.empty() : before->second == links) continue;
        put_links(*loan, links);
    }
}

// Appended, and the older ones point to what took their place.
void KeyRoom::put_links(const KeyLoan& loan, const std::vector<KeyLink>& links) {
    KeyBooks& books = context_.store.key_books();
    const std::string id = format(loan.id);
    const auto named = named_.find(id);
    std::int64_t first = 0;
    // A row without a ticket says that none is left.
    std::vector<KeyLink> rows = links;
    if (rows.empty()) rows.push_back({"", KeyLinkKind::weak, false});
    for (const KeyLink& link : rows) {
        KeyLinkRow row;
        row.loan = id;
        row.ticket = link.ticket;
        row.kind = to_string(link.kind);
        row.primary = link.primary;
        row.at = context_.now_ms();
        if (link.kind == KeyLinkKind::linked && named != named_.end()) row.by = "staff";
        const std::int64_t number = books.add_link(row);
        if (first == 0) first = number;
        if (link.ticket.empty()) continue;
        JsonWriter subject, body;
        subject.begin_object().field("key", loan.key).field("ticket", link.ticket).end_object();
        body.begin_object()
            .field("loan", id)
            .field("key", loan.key)
            .field("ticket", link.ticket)
            .field("link", to_string(link.kind))
            .field("primary", link.primary)
            .field("out_at", context_.iso(loan.out_at))
            .end_object();
        log_event(context_, "custody.linked", subject.take(), body.take(),
                  {"key:" + loan.key, "ticket:" + link.ticket});
    }
    books.supersede_links(id, first);
    links_[id] = links;
    moved_ = true;
}

const Key* KeyRoom::find_key(const std::string& id) const {
    const auto found = index_.by_id.find(id);
    return found == index_.by_id.end() ? nullptr : found->second;
}

bool KeyRoom::is_person(const std::string& id) const {
    if (context_.world.staff.contains(id)) return true;
    return std::any_of(registry_->people.begin(), registry_->people.end(),
                       [&](const Person& person) { return person.person == id; });
}

// Who a card belongs to, and when it happened by a clock that may be believed.
void KeyRoom::resolve(KeyEvent& event, std::optional<UtcMs> device_now) const {
    event.received_at = context_.now_ms();
    const UtcMs said = event.at;
    if (device_now) {
        const std::int64_t skew = event.received_at - *device_now;
        if (skew > options_.rules.skew_ms || skew < -options_.rules.skew_ms) event.at += skew;
    }
    const std::int64_t behind = event.received_at - event.at;
    if (said == 0 || behind > kWrongClockMs || behind < -kAheadMs) event.at = event.received_at;
    if (said != 0 && said != event.at) event.device_at = said;
    if (!event.card.empty()) {
        event.card = hashed_card(context_, event.card);
        if (event.person.empty()) {
            for (const Staff& staff : registry_->staff)
                if (std::find(staff.cards.begin(), staff.cards.end(), event.card) !=
                    staff.cards.end())
                    event.person = staff.staff;
        }
    }
    if (!event.person.empty() && !is_person(event.person)) event.person.clear();
    if (!event.second.empty() && !is_person(event.second)) event.second.clear();
}

std::set<std::pair<std::string, SeqGap>> KeyRoom::gaps() const {
    std::set<std::pair<std::string, SeqGap>> all;
    for (const KeyFact& fact : findings_.facts)
        if (fact.kind == KeyFactKind::log_gap)
            all.insert({fact.cabinet, {fact.from, fact.through}});
    return all;
}

// A hole in what a cabinet told is an event of its own, and so is what fills it.
void KeyRoom::log_gaps(const std::set<std::pair<std::string, SeqGap>>& before) {
    const auto now = gaps();
    const auto tell = [&](const char* kind, const std::string& cabinet, const SeqGap& gap) {
        const std::string topic = "cabinet/" + cabinet + "/event";
        const std::uint64_t seq = context_.store.next(Series::event);
        JsonWriter subject, body;
        subject.begin_object().field("cabinet", cabinet).end_object();
        body.begin_object()
            .field("schema", 1)
            .field("id", cabinet + "/gap/" + std::to_string(gap.from))
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
    };
    for (const auto& [cabinet, gap] : now)
        if (!before.contains({cabinet, gap})) tell("log.gap", cabinet, gap);
    for (const auto& [cabinet, gap] : before)
        if (!now.contains({cabinet, gap})) tell("log.filled", cabinet, gap);
}

void KeyRoom::ingest(std::vector<KeyEvent> fresh) {
    KeyBooks& books = context_.store.key_books();
    const auto before = gaps();
    std::sort(fresh.begin(), fresh.end(),
              [](const KeyEvent& a, const KeyEvent& b) { return a.id < b.id; });
    std::set<KeyEventId> late;
    for (const KeyEvent& event : fresh) {
        if (is_late(event.id))
            late.insert(event.id);
        else
            insert(event);
    }
    keep_links(keep_loans());
    std::map<KeyEventId, const KeyMoved*> moved;
    for (const KeyMoved& one : findings_.moved) moved.emplace(one.event, &one);
    for (KeyEvent& event : fresh) {
        const auto found = moved.find(event.id);
        log_key_event(event, found == moved.end() ? nullptr : found->second);
        books.add_event({event.id.source, event.id.boot, event.id.seq, event.row, event.at,
                         event.received_at, to_book(event)},
                        late.contains(event.id) ? KeyEventFold::late : KeyEventFold::fresh);
    }
    for (KeyEvent& event : window_) {
        if (event.row != 0) continue;
        const auto same = std::find_if(fresh.begin(), fresh.end(),
                                       [&](const KeyEvent& one) { return one.id == event.id; });
        if (same != fresh.end()) event.row = same->row;
    }
    log_gaps(before);
    moved_ = true;
    watch();
}

Reply KeyRoom::push(const KeyPush& push) {
    std::vector<KeyEvent> fresh;
    std::set<KeyEventId> seen;
    std::vector<KeyPush::Bad> bad = push.bad;
    std::int64_t duplicates = 0;
    for (std::size_t i = 0; i < push.events.size(); ++i) {
        KeyEvent one = push.events[i];
        // A loss that begins among what is kept (the daemon ended between commit and
        // acknowledgement) is one of what lies behind that.
        if (one.type == KeyEventType::log_overwritten) {
            const std::int64_t kept_through =
                context_.store.key_books().newest_seq(one.id.source, one.id.boot);
            if (one.from <= kept_through && kept_through < one.through)
                one.from = one.id.seq = kept_through + 1;
        }
        if (const auto kept =
                context_.store.key_books().event_body(one.id.source, one.id.boot, one.id.seq)) {
            ++duplicates;
            // A cabinet that counts anew under the same boot would lose what it says now.
            if (!is_same(*kept, one)) bad.push_back({i, "identity_reused"});
            continue;
        }
        if (!seen.insert(one.id).second) {
            ++duplicates;
            continue;
        }
        KeyEvent event = one;
        resolve(event, push.device_now);
        fresh.push_back(std::move(event));
    }
    CabinetWatch& watched = watch_[push.source];
    watched.cabinet = push.source;
    watched.known = true;
    if (push.device_now) watched.skew_ms = *push.device_now - context_.now_ms();
    if (!fresh.empty()) ingest(std::move(fresh));
    // Of that boot alone: a cabinet frees what is acknowledged, and counts anew after each boot.
    const std::int64_t kept = context_.store.key_books().newest_seq(push.source, push.boot);
    JsonWriter json;
    json.begin_object().key("ack").begin_object();
    json.field("boot", push.boot).field("seq", kept).end_object();
    json.field("dup", duplicates).key("bad").begin_array();
    for (const KeyPush::Bad& one : bad)
        json.begin_object().field("i", one.index).field("code", one.code).end_object();
    json.end_array().key("gap").begin_array();
    for (const auto& [cabinet, gap] : gaps())
        if (cabinet == push.source)
            json.begin_object().field("from", gap.from).field("to", gap.through).end_object();
    json.end_array().end_object();
    Reply reply;
    reply.json = json.take();
    return reply;
}

Reply KeyRoom::see(const CabinetSeen& seen) {
    CabinetWatch& watched = watch_[seen.cabinet];
    const bool was_known = watched.known;
    watched.cabinet = seen.cabinet;
    watched.skew_ms = seen.skew_ms;
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
    JsonWriter subject, body;
    subject.begin_object().field("cabinet", seen.cabinet).end_object();
    body.begin_object()
        .field("cabinet", seen.cabinet)
        .field_if("reason", seen.reason)
        .field("at", context_.iso(context_.now_ms()))
        .end_object();
    log_event(context_, seen.online ? "cabinet.online" : "cabinet.offline", subject.take(),
              body.take(), {"cabinet:" + seen.cabinet});
    return reply;
}

// The books as they are now: loaded, and with the registry of the newest import.
void KeyRoom::follow_books() {
    if (!loaded_) load();
    if (registry_ == context_.world.registry) return;
    registry_ = context_.world.registry;
    index_ = index_keys(registry_->keys);
    refold();
    keep_loans();
    keep_links(loans());
    moved_ = true;
}

Reply KeyRoom::carry_out(const RoomCommand& command) {
    follow_books();
    const auto& what = command.work->what;
    if (const auto* one = std::get_if<KeyPush>(&what)) return push(*one);
    if (const auto* one = std::get_if<CabinetSeen>(&what)) return see(*one);
    if (const auto* one = std::get_if<KeyAct>(&what)) return act(*one);
    if (const auto* one = std::get_if<OpenTicket>(&what)) return open(*one);
    if (const auto* one = std::get_if<TicketAct>(&what)) return move(*one);
    return write(std::get<WriteRegister>(what));
}

void KeyRoom::tick() {
    if (!context_.writable) return;
    follow_books();
    const MonoMs now = context_.now.mono_ms;
    if (now - trimmed_mono_ms_ >= kTrimMs) {
        trimmed_mono_ms_ = now;
        trim();
    }
    if (now - watched_mono_ms_ < kWatchMs) return;
    watch();
}

std::vector<LoanFacts> KeyRoom::open_loans() const {
    std::vector<LoanFacts> all;
    for (const auto& [id, state] : now_.keys) {
        const Key* key = find_key(id);
        if (!state.loan || key == nullptr) continue;
        LoanFacts facts{&*state.loan, key, state.place, {}};
        const auto links = links_.find(format(state.loan->id));
        if (links != links_.end()) facts.links = links->second;
        all.push_back(std::move(facts));
    }
    return all;
}

// What holds now, by the books' clock; while that is not trusted nothing is late.
void KeyRoom::watch() {
    watched_mono_ms_ = context_.now.mono_ms;
    if (!context_.clock.trusted()) return;
    const std::vector<LoanFacts> open = open_loans();
    std::map<std::string, const Ticket*> tickets;
    std::vector<const Ticket*> at_work;
    for (const auto& [number, ticket] : tickets_) {
        tickets.emplace(number, &ticket);
        if (is_at_work(ticket.state)) at_work.push_back(&ticket);
    }
    std::vector<CabinetWatch> cabinets;
    for (const auto& [id, one] : watch_) cabinets.push_back(one);
    for (const auto& [id, source] : now_.sources)
        if (source.offline_since && !watch_.contains(id))
            cabinets.push_back({id, true, source.offline_since, 0});
    std::set<std::string> inactive;
    const LocalDate today = context_.day_of(context_.now_ms());
    for (const Staff& staff : registry_->staff)
        if (staff.active_to && *staff.active_to < today) inactive.insert(staff.staff);
    const KeyWatchInput input{open,     tickets,        at_work,       findings_.facts,  cabinets,
                              inactive, options_.rules, context_.zone, context_.now_ms()};
    move_key_alerts(context_, key_conditions(input), findings_.facts);
}

}  // namespace gatehouse
