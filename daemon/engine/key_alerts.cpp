#include "daemon/engine/key_alerts.hpp"

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <map>
#include <set>
#include <utility>

#include "daemon/engine/json_writer.hpp"
#include "daemon/store/key_books.hpp"

namespace gatehouse {
namespace {

namespace bj = boost::json;

std::string where_of(const Context& context, const KeyCondition& condition) {
    const std::string label = condition.unit.empty() ? "" : context.unit_label(condition.unit);
    std::string where = label;
    const auto add = [&](const std::string& text) {
        if (!text.empty()) where += (where.empty() ? "" : " ") + text;
    };
    add(condition.key);
    if (!condition.cabinet.empty())
        add(condition.cabinet + (condition.slot.empty() ? "" : "#" + condition.slot));
    if (where.empty()) where = condition.subject;
    return where;
}

// What the alert says of itself beside its state; stays through its life.
std::string subject_fields(const Context& context, const KeyCondition& condition) {
    // What a key opens may be an area, which is no unit of units.csv.
    const bool unit = context.world.units.contains(condition.unit);
    JsonWriter json;
    json.begin_object()
        .field("subject", condition.subject)
        .field("account", "")
        .field("unit", unit ? condition.unit : "")
        .field("unit_label", unit ? context.unit_label(condition.unit) : "")
        .field_if("area", unit ? "" : condition.unit)
        .field("service", "")
        .field_if("key", condition.key)
        .field_if("cabinet", condition.cabinet)
        .field_if("slot", condition.slot)
        .field_if("person", condition.person)
        .field_if("ticket", condition.ticket)
        .field_if("loan", condition.loan)
        .field_if("fact", condition.fact);
    if (condition.through != 0) json.field("from", condition.from).field("to", condition.through);
    if (!condition.candidates.empty()) {
        json.key("candidates").begin_array();
        for (const std::string& person : condition.candidates) json.value(person);
        json.end_array();
    }
    if (condition.due_at) json.field("due_at", context.iso(*condition.due_at));
    json.end_object();
    return json.take();
}

std::string member(const bj::object& object, const char* name) {
    const bj::value* value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

std::int64_t number(const bj::object& object, const char* name) {
    const bj::value* value = object.if_contains(name);
    return value != nullptr && value->is_int64() ? value->get_int64() : 0;
}

bj::object payload_object(const AlertRow& row) {
    boost::system::error_code error;
    bj::value value = bj::parse(row.payload, error);
    return !error && value.is_object() ? value.get_object() : bj::object();
}

struct Telling {
    AlertState state = AlertState::raised;
    int level = 0;
    std::string cleared_by;
    const AckAlert* acknowledgement = nullptr;
};

std::vector<std::string> findable_by(Context& context, const AlertRow& row,
                                     const KeyCondition& condition) {
    std::vector<std::string> names{"alert:" + row.id};
    if (!condition.key.empty()) names.push_back("key:" + condition.key);
    if (!condition.cabinet.empty()) names.push_back("cabinet:" + condition.cabinet);
    if (!condition.ticket.empty()) names.push_back("ticket:" + condition.ticket);
    if (!condition.person.empty()) names.push_back("staff:" + condition.person);
    if (!row.unit.empty()) names.push_back("unit:" + row.unit);
    for (const Key& key : context.world.registry->keys)
        if (key.key == condition.key) name_units(names, key);
    if (condition.ticket.empty()) return names;
    const auto ticket = context.store.key_books().ticket(condition.ticket);
    if (ticket && !ticket->unit.empty()) names.push_back("unit:" + ticket->unit);
    return names;
}

void write_alert(Context& context, OpenAlert& alert, const KeyCondition& condition,
                 const Telling& telling) {
    const std::string topic = "alert/" + alert.row.kind;
    const std::uint64_t seq = context.store.next(Series::event);
    const UtcMs now = context.now_ms();
    JsonWriter json;
    json.begin_object()
        .field("schema", 1)
        .field("id", alert.row.id)
        .field("seq", seq)
        .field("prev", context.world.topic_heads[topic])
        .field("kind", alert.row.kind)
        .field("state", to_string(telling.state))
        .field("severity", severity_of(telling.level))
        .field("level", telling.level);
    // How often it has happened so far; what only holds has happened once.
    json.field("count", std::max<std::int64_t>(1, number(payload_object(alert.row), "count")));
    const bj::object about = bj::parse(subject_fields(context, condition)).as_object();
    for (const auto& [name, value] : about)
        json.key(std::string_view(name.data(), name.size())).raw(bj::serialize(value));
    json.key("balance").null();
    json.field("currency", context.options.currency).key("threshold").null();
    json.field("reason", condition.code).key("days_left").null();
    json.field("quality", condition.unsure ? "held" : "confirmed")
        .field("as_of", context.iso(condition.at))
        .field("notify_after",
               context.iso(notify_after(now, telling.level, context.zone, context.options.alerts)))
        .field_if("cleared_by", telling.cleared_by);
    if (telling.acknowledgement != nullptr)
        json.field("acked_by", telling.acknowledgement->by)
            .field("via", telling.acknowledgement->via);
    json.field("text",
               key_sentence(condition, to_string(telling.state), where_of(context, condition),
                            context.zone, context.options.chinese))
        .field("opened_at", context.iso(alert.row.opened_at))
        .field("at", context.iso(now))
        .end_object();
    alert.row.payload = json.take();
    alert.row.state = to_string(telling.state);
    alert.row.level = telling.level;
    alert.row.seq = seq;
    alert.row.acknowledged = alert.life.acknowledged;
    alert.row.told_at = alert.life.told_at;
    JsonWriter subject;
    subject.begin_object().field("alert", alert.row.id).field_if("key", condition.key);
    subject.field_if("cabinet", condition.cabinet).field_if("unit", condition.unit).end_object();
    log_event(context, std::string("alert.") + alert.row.state, subject.take(), alert.row.payload,
              findable_by(context, alert.row, condition), topic);
    context.store.put_alert(alert.row);
    context.alerts_moved = true;
    context.urgent = true;
}

// The condition as the alert told it last, where it does not hold any more.
KeyCondition told_condition(const OpenAlert& alert) {
    const bj::object payload = payload_object(alert.row);
    KeyCondition condition;
    condition.code = alert.row.kind;
    condition.subject = alert.row.subject;
    condition.severity = alert.life.level;
    condition.fact = member(payload, "fact");
    condition.key = member(payload, "key");
    condition.cabinet = member(payload, "cabinet");
    condition.slot = member(payload, "slot");
    condition.ticket = member(payload, "ticket");
    condition.person = member(payload, "person");
    condition.loan = member(payload, "loan");
    condition.from = number(payload, "from");
    condition.through = number(payload, "to");
    condition.unit = alert.row.unit;
    condition.at = alert.row.opened_at;
    return condition;
}

void clear(Context& context, const std::string& id, const KeyCondition& condition,
           const std::string& cleared_by) {
    OpenAlert& alert = context.world.alerts.at(id);
    alert.row.open = false;
    alert.life.level = 0;
    write_alert(context, alert, condition, {AlertState::cleared, 0, cleared_by, nullptr});
    context.world.alerts.erase(id);
}

// Of facts that were told: those of an alert itself, and those that were counted beside them.
std::string name_of(const std::string& code, const std::string& subject) {
    return code + "|" + subject;
}
constexpr const char* kCounted = "|count";

// False: people heard of that fact already.
bool note_told(Context& context, const KeyCondition& one) {
    return context.store.key_books().add_told(name_of(one.code, one.subject), one.fact, one.at);
}

// It happened again while it is open: it is counted, and nobody is told of each time. What late
// events took back is counted no more, unless the fold has looked there for the last time. By how
// much the count is another one now; `own`: the fact that the alert was raised for.
std::int64_t count_repeats(Context& context, OpenAlert& alert, const std::string& own,
                           const std::vector<const KeyCondition*>& facts,
                           const IsSettled& settled) {
    KeyBooks& books = context.store.key_books();
    const std::string name = name_of(alert.row.kind, alert.row.subject);
    const std::string counted = name + kCounted;
    if (alert.counted.empty())
        for (std::string& fact : books.told_facts(counted)) alert.counted.insert(std::move(fact));
    std::int64_t more = 0;
    std::set<std::string> now;
    for (const KeyCondition* one : facts) {
        now.insert(one->fact);
        if (one->fact == own || !alert.counted.insert(one->fact).second) continue;
        if (books.is_told(name, one->fact)) continue;  // by an alert before this one
        if (books.add_told(counted, one->fact, one->at)) ++more;
    }
    std::erase_if(alert.counted, [&](const std::string& fact) {
        const auto event = parse_key_event_id(fact);
        if (now.contains(fact) || (event && settled(*event))) return false;
        if (books.is_told(counted, fact)) {
            books.forget_told(counted, fact);
            --more;
        }
        return true;
    });
    return more;
}

// How often an alert about facts has happened, as its row says from now on: the one that it was
// raised for, where it was one, and those that are counted beside it.
void recount(Context& context, OpenAlert& alert, const std::vector<const KeyCondition*>& facts,
             const IsSettled& settled) {
    bj::object payload = payload_object(alert.row);
    const std::string own = member(payload, "fact");
    if (own.empty() && facts.empty() && alert.counted.empty()) return;
    const std::int64_t more = count_repeats(context, alert, own, facts, settled);
    if (more == 0) return;
    const std::string counted = name_of(alert.row.kind, alert.row.subject) + kCounted;
    const std::int64_t before = std::max<std::int64_t>(1, number(payload, "count"));
    // A state that holds and is told by events as well has happened as often as those say.
    const auto told = [&] {
        return static_cast<std::int64_t>(context.store.key_books().told_facts(counted).size());
    };
    payload["count"] = std::max<std::int64_t>(1, own.empty() ? told() : before + more);
    alert.row.payload = bj::serialize(payload);
    context.store.put_alert(alert.row);
    context.alerts_moved = true;
}

// What was counted of an alert that is over is no repetition of the next one.
void forget_count(Context& context, const std::string& name) {
    KeyBooks& books = context.store.key_books();
    for (const std::string& fact : books.told_facts(name + kCounted))
        books.forget_told(name + kCounted, fact);
}

void raise(Context& context, const KeyCondition& condition,
           const std::vector<const KeyCondition*>& facts, const IsSettled& settled) {
    OpenAlert opened;
    opened.row.id = context.new_ulid();
    opened.row.kind = condition.code;
    opened.row.subject = condition.subject;
    opened.row.unit = condition.unit;
    opened.row.opened_at = context.now_ms();
    opened.life = {condition.severity, false, context.now_ms()};
    const std::int64_t more = count_repeats(context, opened, condition.fact, facts, settled);
    const std::int64_t count = std::max<std::int64_t>(1, more + (condition.fact.empty() ? 0 : 1));
    opened.row.payload = bj::serialize(bj::object{{"count", count}});
    OpenAlert& alert = context.world.alerts.emplace(opened.row.id, std::move(opened)).first->second;
    write_alert(context, alert, condition, {AlertState::raised, condition.severity, "", nullptr});
}

const KeyFact* find_fact(const std::vector<KeyFact>& facts, const std::string& code,
                         const std::string& event) {
    const auto at = std::find_if(facts.begin(), facts.end(), [&](const KeyFact& fact) {
        return code == to_string(fact.kind) && format(fact.event) == event;
    });
    return at == facts.end() ? nullptr : &*at;
}

// What began before the fold looks has an end there, and waits for nobody.
bool has_ended(const AlertRow& row, const KeyEnds& ends) {
    return std::any_of(ends.begin(), ends.end(), [&](const auto& end) {
        const auto& [kind, subject] = end.first;
        return row.kind == to_string(kind) && row.subject == subject && !asks_acknowledgement(kind);
    });
}

// Why an open alert ends now; empty: it goes on. `goes_on`: whatever somebody looked into.
std::string end_of(const Context& context, const OpenAlert& alert, const KeyCondition* holds,
                   bool goes_on, const std::vector<KeyFact>& facts, const KeyEnds& ends) {
    const KeyCondition told = told_condition(alert);
    if (told.fact.empty()) return holds == nullptr ? "drift" : "";
    const KeyFact* fact = find_fact(facts, alert.row.kind, told.fact);
    const bool in_window = context.now_ms() - alert.row.opened_at < kCustodyWindowMs / 2;
    if (fact == nullptr && in_window) return "correction";
    if (fact == nullptr && has_ended(alert.row, ends)) return "drift";
    const bool by_ack = holds != nullptr ? holds->by_ack : true;
    if (!by_ack) return fact == nullptr || fact->over_at ? "drift" : "";
    if (holds == nullptr && fact != nullptr) return "drift";  // it ended by itself
    return alert.life.acknowledged && !goes_on ? "acknowledgement" : "";
}

}  // namespace

void name_units(std::vector<std::string>& about, const Key& key) {
    constexpr std::size_t kUnitsMax = 8;
    if (key.opens.size() > kUnitsMax) return;
    for (const std::string& unit : key.opens) about.push_back("unit:" + unit);
}

bool is_key_alert(const Context& context, const AlertRow& row) {
    const auto& codes = key_alert_codes();
    return row.subject != context.options.site_id &&
           std::find(codes.begin(), codes.end(), row.kind) != codes.end();
}

void move_key_alerts(Context& context, const std::vector<KeyCondition>& conditions,
                     const std::vector<KeyFact>& facts, const KeyEnds& ends,
                     const IsSettled& settled) {
    using Name = std::pair<std::string, std::string>;
    const std::vector<const KeyCondition*> none;
    // Of several facts of one kind about one thing the first stands; a state is one anyway.
    std::map<Name, const KeyCondition*> holding;
    for (const KeyCondition& one : conditions) holding.emplace(Name{one.code, one.subject}, &one);
    std::set<Name> going_on;
    std::map<Name, std::vector<const KeyCondition*>> facts_of;
    for (const KeyCondition& one : conditions) {
        if (one.goes_on) going_on.emplace(one.code, one.subject);
        if (!one.fact.empty()) facts_of[{one.code, one.subject}].push_back(&one);
    }
    std::map<Name, std::string> open;
    std::vector<std::string> ids;
    for (const auto& [id, alert] : context.world.alerts)
        if (is_key_alert(context, alert.row)) ids.push_back(id);
    for (const std::string& id : ids) {
        OpenAlert& alert = context.world.alerts.at(id);
        const Name name{alert.row.kind, alert.row.subject};
        const auto found = holding.find(name);
        const KeyCondition* holds = found == holding.end() ? nullptr : found->second;
        const auto again = facts_of.find(name);
        recount(context, alert, again == facts_of.end() ? none : again->second, settled);
        if (const std::string why =
                end_of(context, alert, holds, going_on.contains(name), facts, ends);
            !why.empty()) {
            // Who looked has seen all that was told of it until then.
            if (why == "acknowledgement")
                for (const KeyCondition& one : conditions)
                    if (Name{one.code, one.subject} == name && !one.fact.empty())
                        static_cast<void>(note_told(context, one));
            // What was taken back for want of its neighbours, or ended, may be true again with
            // them.
            if (why != "acknowledgement")
                context.store.key_books().forget_told(name_of(name.first, name.second),
                                                      told_condition(alert).fact);
            forget_count(context, name_of(name.first, name.second));
            clear(context, id, told_condition(alert), why);
            continue;
        }
        open.emplace(name, id);
        if (holds == nullptr || holds->severity == alert.life.level) continue;
        const bool rises = holds->severity > alert.life.level;
        if (!rises && !holds->fact.empty()) continue;
        alert.life = {holds->severity, rises ? false : alert.life.acknowledged, context.now_ms()};
        write_alert(
            context, alert, *holds,
            {rises ? AlertState::escalated : AlertState::eased, holds->severity, "", nullptr});
    }
    for (const KeyCondition& one : conditions) {
        const Name name{one.code, one.subject};
        if (open.contains(name) || (!one.fact.empty() && !note_told(context, one))) continue;
        const auto again = facts_of.find(name);
        raise(context, one, again == facts_of.end() ? none : again->second, settled);
        open.emplace(name, "");
    }
}

std::vector<OpenGap> open_gaps(const Context& context) {
    std::vector<OpenGap> gaps;
    for (const auto& [id, alert] : context.world.alerts) {
        if (alert.row.kind != to_string(KeyFactKind::log_gap) || !is_key_alert(context, alert.row))
            continue;
        const KeyCondition told = told_condition(alert);
        const auto event = parse_key_event_id(told.fact);
        if (event && told.through != 0) gaps.push_back({id, *event, {told.from, told.through}});
    }
    return gaps;
}

void close_gap(Context& context, const OpenGap& gap) {
    clear(context, gap.alert, told_condition(context.world.alerts.at(gap.alert)), "correction");
}

bool may_acknowledge(const Context& context, const OpenAlert& alert, const AckAlert& command) {
    if (alert.row.kind != to_string(KeyFactKind::duress)) return true;
    const auto staff = context.world.staff.find(command.by);
    if (staff == context.world.staff.end()) return false;
    const auto& roles = staff->second->roles;
    return std::any_of(roles.begin(), roles.end(), [](StaffRole role) {
        return role == StaffRole::head || role == StaffRole::admin;
    });
}

void acknowledge_key_alert(Context& context, OpenAlert& alert, const AckAlert& command) {
    const AlertStep step = step_acknowledge(alert.life, context.now_ms());
    GH_ASSERT(step.state && step.life);
    alert.life = *step.life;
    write_alert(context, alert, told_condition(alert),
                {*step.state, alert.life.level, "", &command});
}

}  // namespace gatehouse
