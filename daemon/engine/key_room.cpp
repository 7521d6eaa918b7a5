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
constexpr std::size_t kRegistersAtOnce = 500;
constexpr std::size_t kTrimMax = 500;  // events a turn
// Beyond it the oldest are folded earlier: so many are folded again well within 50 ms.
constexpr std::size_t kWindowMax = 12'000;
// Tickets that ended so long ago explain no key that is still looked at.
constexpr std::int64_t kTicketsMs = kCustodyWindowMs + 86'400'000;

// Whose sign of life an event is, whatever its numbering: a cabinet's, or its reader's.
std::string spoken_by(const std::string& source) {
    return cabinet_of(source) + (is_reader(source) ? kReaderSuffix : "");
}

}  // namespace

KeyRoom::KeyRoom(Context& context) : context_(context) {
    if (context.options.keys) options_ = *context.options.keys;
    if (options_.rules.alerts.empty()) options_.rules.alerts = default_key_alerts();
}

// What older books have otherwise is read as they meant it.
void KeyRoom::load_base() {
    KeyBooks& books = context_.store.key_books();
    base_ = {};
    for (const auto& [id, body] : books.bases("cabinet")) from_book(body, base_.cabinets[id]);
    std::map<std::string, CabinetState> of_sources;
    for (const auto& [id, body] : books.bases("source")) {
        from_book(body, base_.sources[id]);
        CabinetState state;
        from_book(body, state);
        if (!(state == CabinetState())) of_sources[cabinet_of(id)] = std::move(state);
    }
    base_.cabinets.merge(of_sources);
    for (const auto& [id, body] : books.bases("key")) {
        KeyState& state = base_.keys[id];
        from_book(body, state);
        const auto key = index_.by_id.find(id);
        if (state.slot && key != index_.by_id.end() &&
            (key->second->cabinet != state.cabinet || key->second->slot != state.slot)) {
            auto& guests = base_.cabinets[state.cabinet].guests;
            const bool known = std::any_of(guests.begin(), guests.end(), [&](const auto& guest) {
                return guest.slot == *state.slot;
            });
            if (!known) guests.push_back({*state.slot, id, ""});
        }
        // The time that was promised with a removal stood as an extension.
        if (!state.loan || !state.loan->extended_until || state.loan->return_by) continue;
        const KeyEventId& removal = state.loan->id;
        const auto said = books.event_body(removal.source, removal.boot, removal.seq);
        KeyEvent event;
        if (said) from_book(*said, event);
        if (said && event.until == state.loan->extended_until)
            std::swap(state.loan->return_by, state.loan->extended_until);
    }
}

void KeyRoom::load_watch() {
    // Who gave signs of life, or told something lately, is missed from now on.
    began_ = context_.now_ms();
    for (const auto& [cabinet, one] : context_.store.key_books().bases(kBeatingKind))
        beating_.insert(cabinet);
    std::set<std::string> missed = beating_;
    for (const auto& [source, at] : heard_)
        if (!is_reader(source)) missed.insert(source);
    for (const std::string& cabinet : missed)
        if (is_pushing(cabinet)) {
            watch_[cabinet].cabinet = cabinet;
            watch_[cabinet].known = true;
        }
    for (const auto& [id, alert] : context_.world.alerts) {
        const bool there =
            std::any_of(options_.cabinets.begin(), options_.cabinets.end(),
                        [&](const auto& one) { return one.id == alert.row.subject; });
        if (alert.row.kind != "cabinet_offline" || !there) continue;
        CabinetWatch& silent = watch_[alert.row.subject];
        silent.cabinet = alert.row.subject;
        silent.known = true;
        silent.offline_since = alert.row.opened_at - options_.rules.offline_ms;
    }
    // A clock that was wrong is so until it is seen to be right.
    for (const auto& [id, alert] : context_.world.alerts) {
        if (alert.row.kind != "clock_skew" || !is_key_alert(context_, alert.row)) continue;
        watch_[alert.row.subject].cabinet = alert.row.subject;
        watch_[alert.row.subject].skewed = true;
    }
}

void KeyRoom::load() {
    KeyBooks& books = context_.store.key_books();
    numberings_.reset();
    registry_ = context_.world.registry;
    index_registry();
    follow_cards(books, *registry_, context_.now_ms());
    cards_.load(books);
    load_base();
    window_.clear();
    for (const KeyEventRow& row : books.fresh_events()) {
        KeyEvent event;
        from_book(row.body, event);
        event.row = row.event;
        window_.push_back(std::make_unique<KeyEvent>(std::move(event)));
    }
    sort_events(window_);
    newest_at_ = 0;
    heard_.clear();
    for (const auto& event : window_) {
        newest_at_ = std::max(newest_at_, event->at);
        UtcMs& heard = heard_[spoken_by(event->id.source)];
        heard = std::max(heard, event->received_at);
    }
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
        if (!row.by.empty()) named_[row.loan].emplace_back(row.ticket, row.by);
    }
    handovers_.clear();
    for (std::int64_t after = 0;;) {
        const auto rows = books.registers("handover", "", after, kRegistersAtOnce);
        for (const RegisterRow& row : rows) note_handover(row);
        if (rows.size() < kRegistersAtOnce) break;
        after = rows.back().id;
    }
    refold();
    kept_.clear();
    for (const KeyLoan* loan : loans()) {
        const auto row = books.loan(format(loan->id));
        if (!row || row->body == to_book(*loan)) kept_.emplace(format(loan->id), *loan);
    }
    load_watch();
    static_cast<void>(keep_loans());  // those that older books had otherwise
    forget_derived();
    loaded_ = true;
    moved_ = true;
}

void KeyRoom::index_registry() {
    index_ = index_keys(registry_->keys);
    index_.off_hours = [this](UtcMs at) {
        const LocalDate day = context_.zone.local(at).date;
        const std::int64_t minute = (at - context_.zone.midnight(day)) / 60'000;
        return minute < options_.rules.open_minute || minute >= options_.rules.shut_minute;
    };
    index_.is_active = [this](const std::string& id, UtcMs at) { return was_here(id, at); };
}

void KeyRoom::refold() {
    now_ = base_;
    findings_ = {};
    for (const auto& event : window_) apply(now_, *event, index_, findings_);
}

// Where they are the newest in the one order each is folded alone. Else all of the window is folded
// again, once for all of them: a cabinet that was away tells its backlog in pushes of hundreds.
void KeyRoom::insert(std::vector<KeyEvent> events) {
    bool in_place = true;
    for (KeyEvent& event : events) {
        const bool newest =
            window_.empty() || newest_at_ < event.at ||
            (newest_at_ == event.at &&
             (event.id.source == kDeskSource || window_.back()->id.source == event.id.source));
        newest_at_ = std::max(newest_at_, event.at);
        const auto source = now_.sources.find(event.id.source);
        const bool next = source == now_.sources.end() || !source->second.begun ||
                          std::pair{event.id.boot, event.id.seq} >
                              std::pair{source->second.boot, source->second.seq};
        in_place = in_place && newest && next;
        if (in_place) apply(now_, event, index_, findings_);
        window_.push_back(std::make_unique<KeyEvent>(std::move(event)));
    }
    if (in_place) return;
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
    std::set<std::string> sources, cabinets;
    std::size_t count = 0;
    while (count < window_.size() && count < kTrimMax &&
           (window_[count]->at < before || window_.size() - count > kWindowMax)) {
        const KeyEvent& event = *window_[count];
        apply(base_, event, index_, scratch);
        sources.insert(event.id.source);
        cabinets.insert(cabinet_of(event.id.source));
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
    for (const std::string& id : cabinets)
        books.put_base("cabinet", id, to_book(base_.cabinets.at(id)));
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
    std::set<std::string> gone;
    for (const auto& [id, loan] : kept_) gone.insert(gone.end(), id);
    std::vector<const KeyLoan*> changed;
    for (const KeyLoan* loan : loans()) {
        const std::string id = format(loan->id);
        gone.erase(id);
        const auto [before, fresh] = kept_.try_emplace(id, *loan);
        if (!fresh && before->second == *loan) continue;
        before->second = *loan;
        books.put_loan(loan_row(*loan));
        changed.push_back(loan);
        moved_ = true;
    }
    for (const std::string& id : gone) {
        books.drop_loan(id);
        put_links(kept_.at(id), {});
        kept_.erase(id);
        moved_ = true;
    }
    if (!changed.empty() || !gone.empty()) forget_derived();
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

void KeyRoom::keep_links(const std::vector<const KeyLoan*>& among, const TicketMove* undone) {
    // What a key is linked to already is judged again, however long ago that ticket ended.
    for (const KeyLoan* loan : among)
        if (const auto before = links_.find(format(loan->id)); before != links_.end())
            for (const KeyLink& link : before->second) static_cast<void>(find_ticket(link.ticket));
    std::vector<const Ticket*> tickets;
    for (const auto& [number, ticket] : tickets_) tickets.push_back(&ticket);
    for (const KeyLoan* loan : among) {
        const Key* key = find_key(loan->key);
        if (key == nullptr) continue;
        std::vector<std::string> numbers;
        if (const auto named = named_.find(format(loan->id)); named != named_.end())
            for (const auto& [number, by] : named->second) numbers.push_back(number);
        const std::vector<KeyLink> links = link_loan(*loan, *key, tickets, numbers);
        const auto before = links_.find(format(loan->id));
        if (before == links_.end() ? links.empty() : before->second == links) continue;
        put_links(*loan, links, undone);
    }
}

// What joins a key's time out with a ticket, in the line of each, of who had it, and of the flats.
// `by`: who joined or parted them; empty: it was concluded.
void KeyRoom::log_link(const char* kind, const KeyLoan& loan, const KeyLink& link,
                       const std::string& by) {
    JsonWriter subject, body;
    subject.begin_object().field("key", loan.key).field("ticket", link.ticket).end_object();
    body.begin_object()
        .field("loan", format(loan.id))
        .field("key", loan.key)
        .field("ticket", link.ticket)
        .field_if("person", loan.holder)
        .field("link", to_string(link.kind))
        .field("primary", link.primary)
        .field("origin", to_string(by.empty() ? origin_of(link.kind) : KeyOrigin::manual))
        .field_if("by", context_.world.staff.contains(by) ? by : "")  // "staff" in older rows
        .field("out_at", context_.iso(loan.out_at))
        .end_object();
    std::vector<std::string> about{"key:" + loan.key, "ticket:" + link.ticket};
    if (!loan.holder.empty()) about.push_back("staff:" + loan.holder);
    if (const Key* key = find_key(loan.key)) name_units(about, *key);
    const Ticket* ticket = find_ticket(link.ticket);
    if (ticket != nullptr && !ticket->unit.empty()) about.push_back("unit:" + ticket->unit);
    log_event(context_, kind, subject.take(), body.take(), std::move(about));
}

// Appended, and the older ones point to what took their place.
void KeyRoom::put_links(const KeyLoan& loan, const std::vector<KeyLink>& links,
                        const TicketMove* undone) {
    KeyBooks& books = context_.store.key_books();
    const std::string id = format(loan.id);
    const auto named = named_.find(id);
    const auto named_by = [&](const KeyLink& link) {
        if (link.kind != KeyLinkKind::linked || named == named_.end()) return std::string();
        for (const auto& [number, by] : named->second)
            if (number == link.ticket) return by;
        return std::string();
    };
    const std::string undone_by = undone == nullptr ? "" : undone->by;
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
        row.by = link.ticket.empty() ? undone_by : named_by(link);
        const std::int64_t number = books.add_link(row);
        if (first == 0) first = number;
        if (!link.ticket.empty()) log_link("custody.linked", loan, link, row.by);
    }
    if (const auto before = links_.find(id); before != links_.end())
        for (const KeyLink& link : before->second)
            if (std::none_of(links.begin(), links.end(),
                             [&](const KeyLink& one) { return one.ticket == link.ticket; }))
                log_link("custody.unlinked", loan, link,
                         link.kind == KeyLinkKind::linked ? undone_by : "");
    books.supersede_links(id, first);
    forget_derived();
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

void KeyRoom::ingest(std::vector<KeyEvent> fresh) {
    KeyBooks& books = context_.store.key_books();
    const auto before = gaps();
    std::sort(fresh.begin(), fresh.end(),
              [](const KeyEvent& a, const KeyEvent& b) { return a.id < b.id; });
    std::set<KeyEventId> late;
    std::vector<KeyEvent> in_window;
    for (const KeyEvent& event : fresh) {
        // A reader's word is no sign of life of the module beside it.
        UtcMs& heard = heard_[spoken_by(event.id.source)];
        heard = std::max(heard, event.received_at);
        if (is_late(event.id))
            late.insert(event.id);
        else
            in_window.push_back(event);
    }
    insert(std::move(in_window));
    keep_links(keep_loans());
    std::map<KeyEventId, const KeyMoved*> moved;
    for (const KeyMoved& one : findings_.moved) moved.emplace(one.event, &one);
    for (KeyEvent& event : fresh) {
        const auto found = moved.find(event.id);
        log_key_event(event, found == moved.end() ? nullptr : found->second);
        if (event.type == KeyEventType::inventory) log_jumps(event);
        books.add_event({event.id.source, event.id.boot, event.id.seq, event.row, event.at,
                         event.received_at, to_book(event)},
                        late.contains(event.id) ? KeyEventFold::late : KeyEventFold::fresh);
    }
    for (const auto& event : window_) {
        if (event->row != 0) continue;
        const auto same =
            std::lower_bound(fresh.begin(), fresh.end(), event->id,
                             [](const KeyEvent& one, const KeyEventId& id) { return one.id < id; });
        if (same != fresh.end() && same->id == event->id) event->row = same->row;
    }
    log_gaps(before);
    if (!late.empty()) close_filled_gaps();
    moved_ = true;
    const auto written = [](const KeyEvent& event) { return event.id.source == kDeskSource; };
    if (std::any_of(fresh.begin(), fresh.end(), written)) moves_mono_ms_ = 0;
    watch();
}

// The books as they are now: loaded, and with the registry of the newest import.
void KeyRoom::follow_books() {
    if (!loaded_) load();
    if (registry_ == context_.world.registry) return;
    registry_ = context_.world.registry;
    index_registry();
    cards_.load(context_.store.key_books());
    refold();
    keep_loans();
    keep_links(loans());
    forget_derived();
    moves_mono_ms_ = 0;
    moved_ = true;
}

void KeyRoom::follow() {
    if (context_.writable) follow_books();
}

Reply KeyRoom::carry_out(const RoomCommand& command) {
    follow_books();
    const auto& what = command.work->what;
    if (const auto* one = std::get_if<KeyPush>(&what)) return push(*one);
    if (const auto* one = std::get_if<CabinetSeen>(&what)) return see(*one);
    if (const auto* one = std::get_if<KeyAct>(&what)) return act(*one);
    if (const auto* one = std::get_if<CabinetClock>(&what)) return clock(*one);
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
    lapse_offers();
    watch();
}

bool KeyRoom::has_left(const std::string& id) const {
    return !was_here(id, context_.now_ms());
}

bool KeyRoom::was_here(const std::string& id, UtcMs at) const {
    const LocalDate day = context_.day_of(at);
    if (const auto staff = context_.world.staff.find(id); staff != context_.world.staff.end())
        return !staff->second->active_to || *staff->second->active_to >= day;
    return std::none_of(registry_->people.begin(), registry_->people.end(), [&](const Person& one) {
        return one.person == id && one.valid_to && *one.valid_to < day;
    });
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

std::vector<CabinetWatch> KeyRoom::watched_cabinets() {
    std::vector<CabinetWatch> cabinets;
    for (const auto& [id, one] : watch_) cabinets.push_back(one);
    std::set<std::string> read;
    for (const auto& [id, source] : now_.sources) {
        const std::string cabinet = cabinet_of(id);
        if (is_reader(id)) read.insert(cabinet);
        const auto watched = watch_.find(cabinet);
        const bool heard = watched != watch_.end() && watched->second.known;
        if (source.offline_since && !heard &&
            id == numberings_.current(context_.store.key_books(), cabinet))
            cabinets.push_back({cabinet, true, source.offline_since, 0, std::nullopt});
    }
    for (const auto& [id, state] : now_.cabinets) {
        CabinetWatch door;
        door.cabinet = id;
        door.door_open_since = state.door_open_since;
        if (!state.denials.empty()) door.denied_at = state.denials.back();
        door.has_reader = read.contains(id);
        if (door.door_open_since || door.denied_at || door.has_reader)
            cabinets.push_back(std::move(door));
    }
    return cabinets;
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
    look_for_silence();
    const std::vector<CabinetWatch> cabinets = watched_cabinets();
    look_for_moves();
    std::set<std::string> inactive;
    const LocalDate today = context_.day_of(context_.now_ms());
    for (const Staff& staff : registry_->staff)
        if (staff.active_to && *staff.active_to < today) inactive.insert(staff.staff);
    std::set<std::string> on_duty;
    for (const Staff& staff : registry_->staff)
        if (std::find(staff.roles.begin(), staff.roles.end(), StaffRole::duty) != staff.roles.end())
            on_duty.insert(staff.staff);
    const std::vector<KeyFact>& often = entered_often();
    std::vector<KeyFact> joined;
    if (!often.empty()) {
        joined = findings_.facts;
        joined.insert(joined.end(), often.begin(), often.end());
    }
    const std::vector<KeyFact>& facts = often.empty() ? findings_.facts : joined;
    const KeyWatchInput input{
        open,           tickets,       at_work,           facts,  cabinets,    inactive,
        options_.rules, context_.zone, context_.now_ms(), moves_, keys_back(), std::move(on_duty)};
    move_key_alerts(context_, key_conditions(input), facts, findings_.ends,
                    [this](const KeyEventId& id) { return is_late(id); });
}

}  // namespace gatehouse
