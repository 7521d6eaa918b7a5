#include "daemon/engine/alert_desk.hpp"
#include "daemon/engine/meter_acts.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "daemon/engine/json_writer.hpp"
#include "daemon/engine/key_alerts.hpp"
#include "daemon/engine/use_watch.hpp"

namespace gatehouse {
namespace {

constexpr std::size_t kNoteMax = 1'000;

struct Telling {
    AlertState state = AlertState::raised;
    int level = 0;
    std::string reason, cleared_by;
    const AckAlert* acknowledgement = nullptr;
};

// What an alert is about, found anew for each transition: nothing of it outlives a turn.
struct About {
    AlertKind kind = AlertKind::low_balance;
    const AccountRuntime* account = nullptr;  // whose money it touches
    const MeterRuntime* meter = nullptr;
    std::string bus;  // the whole bus is meant
    int meters = 0;   // of that bus
};

bool is_about_meter(AlertKind kind) {
    return kind == AlertKind::meter_offline || kind == AlertKind::reading_held ||
           kind == AlertKind::meter_prepaid_active || kind == AlertKind::vacant_use ||
           kind == AlertKind::leak_suspect;
}

bool is_about_money(AlertKind kind) {
    return kind == AlertKind::low_balance || kind == AlertKind::stale_balance;
}

// A household that is cared for is phoned about its money. Why it is stands in the registry alone.
bool is_phoned(const Context& context, const AlertRow& row, AlertKind kind) {
    const auto unit = context.world.units.find(row.unit);
    return is_about_money(kind) && unit != context.world.units.end() && !unit->second->care.empty();
}

About about_of(const Context& context, const AlertRow& row) {
    const World& world = context.world;
    About about;
    const std::optional<AlertKind> kind = parse_alert_kind(row.kind);
    GH_ASSERT(kind.has_value());
    about.kind = *kind;
    if (row.subject.rfind(kBusSubject, 0) == 0) {
        about.bus = row.subject.substr(kBusSubject.size());
        const auto watch = world.bus_watch.find(about.bus);
        if (watch != world.bus_watch.end()) about.meters = watch->second.meters;
        return about;
    }
    if (is_about_meter(about.kind)) {
        const auto meter = world.meter_index.find(row.subject);
        if (meter != world.meter_index.end()) about.meter = &world.meters[meter->second];
    }
    const auto account = world.account_index.find(row.account);
    if (account != world.account_index.end()) about.account = &world.accounts[account->second];
    return about;
}

bool has_balance(const AccountRuntime& account) {
    return account.row->billing == Billing::prepaid && !account.trial && account.not_yet.empty();
}

AccountService service_of(const About& about) {
    if (about.meter != nullptr)
        return about.meter->row->service == Service::electricity ? AccountService::electricity
                                                                 : AccountService::water;
    return about.account != nullptr ? about.account->row->service : AccountService::all;
}

Quality quality_of(const About& about) {
    if (!about.bus.empty()) return Quality::meter_offline;
    if (about.meter == nullptr)
        return about.account != nullptr ? about.account->quality : Quality::confirmed;
    if (about.meter->quarantine) return Quality::held;
    return about.meter->online ? Quality::confirmed : Quality::meter_offline;
}

std::optional<UtcMs> as_of(const Context& context, const About& about) {
    if (about.meter == nullptr)
        return about.account != nullptr ? about.account->as_of : std::optional<UtcMs>();
    if (!about.meter->last) return std::nullopt;
    return context.best(*about.meter->last);
}

// Days left count down over a time without readings; then they are a projection.
bool is_estimated(const Context& context, const About& about) {
    if (about.meter != nullptr || about.account == nullptr) return false;
    return about.account->days_left && about.account->as_of &&
           context.now_ms() - *about.account->as_of >= kStaleMs;
}

// The first working day after a long rest, where that rest makes the threshold.
std::optional<LocalDate> back_on(const Context& context, const About& about,
                                 const LevelJudgement* judgement) {
    if (judgement == nullptr || about.account == nullptr || judgement->level != 1 ||
        judgement->reason != AlertReason::days ||
        judgement->threshold_days <= about.account->thresholds.low_days)
        return std::nullopt;
    const auto rest = context.world.calendar.rest(context.day_of(context.now_ms()),
                                                  about.account->thresholds.low_days);
    return rest ? std::optional(rest->back) : std::nullopt;
}

SentenceFacts facts_of(const Context& context, const AlertRow& row, const About& about,
                       const Telling& telling, const LevelJudgement* judgement) {
    SentenceFacts facts;
    facts.kind = about.kind;
    facts.state = telling.state;
    facts.level = telling.level;
    facts.unit_label = about.bus.empty() ? context.unit_label(row.unit) : about.bus;
    facts.subject = row.subject;
    facts.service = service_of(about);
    if (about.account != nullptr) {
        facts.balance = about.account->balance;
        facts.days_left = about.account->days_left;
    }
    facts.currency = context.options.currency;
    if (const auto at = as_of(context, about)) facts.as_of = context.zone.local(*at);
    facts.held = quality_of(about) == Quality::held;
    facts.offline = quality_of(about) == Quality::meter_offline;
    facts.estimated = is_estimated(context, about);
    facts.meters = about.meters;
    const bool asks =
        telling.state != AlertState::cleared && telling.state != AlertState::acknowledged;
    facts.phone = asks && is_phoned(context, row, about.kind);
    facts.back_on = back_on(context, about, judgement);
    if (about.meter != nullptr) facts.used = use_told(context, *about.meter, about.kind);
    facts.by_registry = telling.cleared_by == "registry";
    if (about.kind == AlertKind::meter_offline && about.meter != nullptr && telling.level == 0)
        facts.bus = about.meter->row->bus;
    facts.gap_after = context.world.gap_after;
    facts.gap_next = context.world.gap_next;
    return facts;
}

void subject_fields(JsonWriter& json, const Context& context, const AlertRow& row,
                    const About& about) {
    json.field("account", row.account)
        .field("unit", row.unit)
        .field("unit_label", context.unit_label(row.unit))
        .field("service", to_string(service_of(about)));
    json.field_if("bus", about.bus);
    if (about.meters > 0) json.field("meters", about.meters);
    if (about.meter == nullptr) return;
    json.field("meter", about.meter->row->meter)
        .field_if("bus", about.meter->row->bus)
        .field_if("location", about.meter->row->location);
}

void money_fields(JsonWriter& json, const Context& context, const About& about,
                  const Telling& telling, const LevelJudgement* judgement) {
    json.key("balance");
    if (about.account != nullptr && has_balance(*about.account))
        json.value(format(about.account->balance));
    else
        json.null();
    json.field("currency", context.options.currency).key("threshold");
    if (judgement == nullptr)
        json.null();
    else if (judgement->reason == AlertReason::days)
        json.value(judgement->threshold_days);
    else
        json.value(format(judgement->threshold));
    json.field("reason", judgement != nullptr ? to_string(judgement->reason) : telling.reason)
        .key("days_left");
    if (about.account != nullptr)
        json.value(about.account->days_left);
    else
        json.null();
    if (const auto day = back_on(context, about, judgement))
        json.field("next_working_day", format_date(*day));
}

std::string payload_of(const Context& context, const OpenAlert& alert, const About& about,
                       const Telling& telling, const LevelJudgement* judgement, std::uint64_t seq,
                       std::uint64_t prev) {
    const UtcMs at = context.now_ms();
    JsonWriter json;
    json.begin_object()
        .field("schema", 1)
        .field("id", alert.row.id)
        .field("seq", seq)
        .field("prev", prev)
        .field("kind", alert.row.kind)
        .field("state", to_string(telling.state))
        .field("severity", severity_of(telling.level))
        .field("subject", alert.row.subject)
        .field("level", telling.level);
    subject_fields(json, context, alert.row, about);
    money_fields(json, context, about, telling, judgement);
    json.field("quality", to_string(quality_of(about))).key("as_of");
    if (const auto read_at = as_of(context, about))
        json.value(context.iso(*read_at));
    else
        json.null();
    if (is_estimated(context, about)) json.field("estimated", true);
    json.field("notify_after",
               context.iso(notify_after(at, telling.level, context.zone, context.options.alerts)));
    json.field_if("escalate_to", escalated_to(telling.state, telling.level));
    if (is_phoned(context, alert.row, about.kind)) json.field("contact", "phone");
    json.field_if("cleared_by", telling.cleared_by);
    // What was said stands beside the alert, not in what is published.
    if (telling.acknowledgement != nullptr)
        json.field("acked_by", telling.acknowledgement->by)
            .field("via", telling.acknowledgement->via);
    json.field("text", sentence(facts_of(context, alert.row, about, telling, judgement),
                                context.options.chinese));
    json.field("opened_at", context.iso(alert.row.opened_at)).field("at", context.iso(at));
    json.end_object();
    return json.take();
}

std::string subject_json(const AlertRow& row, const About& about) {
    JsonWriter json;
    json.begin_object().field("alert", row.id).field_if("account", row.account);
    if (about.meter != nullptr) json.field("meter", about.meter->row->meter);
    json.field_if("bus", about.bus).field_if("unit", row.unit).end_object();
    return json.take();
}

std::vector<std::string> findable_by(const AlertRow& row, const About& about) {
    std::vector<std::string> names;
    if (!row.account.empty()) names.push_back("account:" + row.account);
    if (about.meter != nullptr) names.push_back("meter:" + about.meter->row->meter);
    if (!row.unit.empty()) names.push_back("unit:" + row.unit);
    names.push_back("alert:" + row.id);
    return names;
}

void tally(Context& context, const Telling& telling) {
    World& world = context.world;
    const bool fresh = telling.state == AlertState::raised;
    const bool paid = telling.state == AlertState::cleared && telling.cleared_by == "topup";
    if (!fresh && !paid) return;
    if (fresh) ++world.digest_fresh;
    if (paid) ++world.digest_topped_up;
    context.store.put_note(kDigestTallyNote, std::to_string(world.digest_fresh) + " " +
                                                 std::to_string(world.digest_topped_up));
}

// Writes one transition: the event, the alert's row, and the world's copy.
void tell(Context& context, OpenAlert& alert, const Telling& telling,
          const LevelJudgement* judgement) {
    const std::string topic = "alert/" + alert.row.kind;
    const std::uint64_t seq = context.store.next(Series::event);
    const std::uint64_t prev = context.world.topic_heads[topic];
    const About about = about_of(context, alert.row);
    alert.row.payload = payload_of(context, alert, about, telling, judgement, seq, prev);
    alert.row.state = to_string(telling.state);
    alert.row.level = telling.level;
    alert.row.seq = seq;
    alert.row.acknowledged = alert.life.acknowledged;
    alert.row.told_at = alert.life.told_at;
    const std::uint64_t written =
        log_event(context, std::string("alert.") + alert.row.state, subject_json(alert.row, about),
                  alert.row.payload, findable_by(alert.row, about), topic);
    GH_ASSERT(written == seq);
    context.store.put_alert(alert.row);
    if (about.kind == AlertKind::low_balance) tally(context, telling);
    context.alerts_moved = true;
}

LevelJudgement judgement_of(const Context& context, const AccountRuntime& account, int level) {
    const Thresholds thresholds = thresholds_now(context, account);
    LevelJudgement judgement;
    judgement.level = level;
    judgement.reason = account.reason;
    judgement.threshold = level == 4   ? Fen{} - thresholds.overdraft
                          : level == 3 ? Fen{}
                          : level == 2 ? thresholds.critical_balance
                                       : thresholds.low_balance;
    judgement.threshold_days = level == 2 ? thresholds.critical_days : thresholds.low_days;
    return judgement;
}

// The rule by which a low_balance alert stands; other kinds have none.
std::optional<LevelJudgement> standing_judgement(const Context& context, const AlertRow& row,
                                                 int level) {
    const About about = about_of(context, row);
    if (about.kind != AlertKind::low_balance || about.account == nullptr) return std::nullopt;
    return judgement_of(context, *about.account, level);
}

OpenAlert& open_alert(Context& context, std::optional<std::string>& place, AlertKind kind,
                      const std::string& subject) {
    OpenAlert opened;
    opened.row.id = context.new_ulid();
    opened.row.kind = to_string(kind);
    opened.row.subject = subject;
    const World& world = context.world;
    const AccountRuntime* account = nullptr;
    if (is_about_meter(kind)) {
        const auto meter = world.meter_index.find(subject);
        if (meter != world.meter_index.end()) {
            opened.row.unit = world.meters[meter->second].row->unit;
            if (world.meters[meter->second].account)
                account = &world.accounts[*world.meters[meter->second].account];
        }
    } else if (const auto found = world.account_index.find(subject);
               found != world.account_index.end() && kind != AlertKind::log_gap) {
        account = &world.accounts[found->second];
    }
    if (account != nullptr) {
        opened.row.account = account->row->account;
        if (opened.row.unit.empty()) opened.row.unit = account->row->unit;
    }
    opened.row.opened_at = context.now_ms();
    place = opened.row.id;
    return context.world.alerts.emplace(opened.row.id, std::move(opened)).first->second;
}

void carry_out(Context& context, std::optional<std::string>& place, const Transition& transition,
               const LevelJudgement* judgement) {
    const AlertStep& step = transition.step;
    if (!step.state) return;
    if (*step.state == AlertState::raised)
        open_alert(context, place, transition.kind, transition.subject);
    GH_ASSERT(place.has_value());
    OpenAlert& alert = context.world.alerts.at(*place);
    Telling telling;
    telling.state = *step.state;
    telling.level = step.life ? step.life->level : 0;
    telling.reason = transition.reason;
    telling.cleared_by = transition.cleared_by;
    alert.life = step.life.value_or(AlertLife{0, alert.life.acknowledged, context.now_ms()});
    alert.row.open = step.life.has_value();
    tell(context, alert, telling, judgement);
    if (step.life) return;
    context.world.alerts.erase(*place);
    place.reset();
}

}  // namespace

Thresholds thresholds_now(const Context& context, const AccountRuntime& account) {
    Thresholds now = account.thresholds;
    now.low_days =
        low_days_on(context.day_of(context.now_ms()), now.low_days, context.world.calendar);
    return now;
}

void apply_level(Context& context, std::size_t index, const LevelJudgement& judgement,
                 const std::string& cleared_by) {
    AccountRuntime& account = context.world.accounts[index];
    std::optional<AlertLife> life;
    if (account.alert) life = context.world.alerts.at(*account.alert).life;
    const AlertStep step = step_level(life, judgement.level, context.now_ms());
    account.level = judgement.level;
    account.reason = judgement.reason;
    if (!step.state) return;
    const bool falls = *step.state == AlertState::eased || *step.state == AlertState::cleared;
    carry_out(context, account.alert,
              {AlertKind::low_balance, account.row->account, step, {}, falls ? cleared_by : ""},
              &judgement);
    context.dirty_accounts.insert(index);
}

void move_alert(Context& context, std::optional<std::string>& place, const Transition& transition) {
    std::optional<LevelJudgement> judgement;
    if (place && transition.step.life)
        judgement = standing_judgement(context, context.world.alerts.at(*place).row,
                                       transition.step.life->level);
    carry_out(context, place, transition, judgement ? &*judgement : nullptr);
}

Reply acknowledge_alert(Context& context, const AckAlert& command) {
    Reply reply;
    static constexpr std::array<const char*, 5> kWays{"phone", "visit", "posted", "message",
                                                      "other"};
    check_staff(context, reply, "/by", command.by);
    if (std::find(kWays.begin(), kWays.end(), command.via) == kWays.end())
        reply.errors.push_back(
            {"/via", "`" + command.via + "` is none of phone, visit, posted, message, other"});
    if (command.note.size() > kNoteMax)
        reply.errors.push_back({"/note", "longer than 1,000 bytes; shorten it"});
    if (command.result.size() > kNoteMax)
        reply.errors.push_back({"/result", "longer than 1,000 bytes; shorten it"});
    if (!reply.errors.empty()) {
        reply.kind = ReplyKind::invalid;
        reply.type = "invalid";
        reply.detail = reply.errors.front().message;
        return reply;
    }
    const auto found = context.world.alerts.find(command.alert);
    if (found == context.world.alerts.end()) {
        reply.kind = ReplyKind::not_found;
        reply.type = "not-found";
        reply.detail = "no open alert has the id `" + command.alert + "`";
        return reply;
    }
    OpenAlert& alert = found->second;
    if (is_key_alert(context, alert.row)) {
        if (!may_acknowledge(context, alert, command)) {
            reply.kind = ReplyKind::refused;
            reply.type = "manager-only";
            reply.detail = "a call for help is acknowledged by a manager (head or admin) alone";
            return reply;
        }
        acknowledge_key_alert(context, alert, command);
        context.store.add_ack(
            {alert.row.id, alert.row.seq, command.by, command.via, command.note, command.result});
        reply.json = alert.row.payload;
        return reply;
    }
    const std::optional<AlertKind> kind = parse_alert_kind(alert.row.kind);
    if (kind && command.via == "posted" && is_phoned(context, alert.row, *kind)) {
        reply.kind = ReplyKind::invalid;
        reply.type = "invalid";
        reply.detail =
            "this household is phoned and nothing is posted on its door; phone, and "
            "say so";
        reply.errors.push_back({"/via", reply.detail});
        return reply;
    }
    const AlertStep step = step_acknowledge(alert.life, context.now_ms());
    GH_ASSERT(step.state && step.life);
    alert.life = *step.life;
    Telling telling;
    telling.state = *step.state;
    telling.level = alert.life.level;
    telling.acknowledgement = &command;
    const std::optional<LevelJudgement> judgement =
        standing_judgement(context, alert.row, alert.life.level);
    tell(context, alert, telling, judgement ? &*judgement : nullptr);
    context.store.add_ack(
        {alert.row.id, alert.row.seq, command.by, command.via, command.note, command.result});
    reply.json = alert.row.payload;
    // What a restored copy lost does not come back: it is over once somebody has looked into it.
    if (context.world.gap_alert == command.alert)
        move_alert(
            context, context.world.gap_alert,
            {AlertKind::log_gap, alert.row.subject,
             step_fact(alert.life, false, 0, context.now_ms()), "restored", "acknowledgement"});
    return reply;
}

Reply test_alert(Context& context, const TestAlert&) {
    const std::string id = context.new_ulid();
    const std::string topic = "alert/test";
    Reply reply;
    for (const AlertState state : {AlertState::raised, AlertState::cleared}) {
        const std::uint64_t seq = context.store.next(Series::event);
        JsonWriter json;
        json.begin_object()
            .field("schema", 1)
            .field("id", id)
            .field("seq", seq)
            .field("prev", context.world.topic_heads[topic])
            .field("kind", "test")
            .field("state", to_string(state))
            .field("severity", severity_of(0))
            .field("subject", context.options.site_id)
            .field("level", 0)
            .field("text", context.options.chinese
                               ? "【测试】这是一条测试提醒，无需处理。"
                               : "[Test] This is a test alert; nothing needs to be done.")
            .field("opened_at", context.iso(context.now_ms()))
            .field("at", context.iso(context.now_ms()))
            .end_object();
        reply.json = json.take();
        JsonWriter subject;
        subject.begin_object().field("alert", id).end_object();
        log_event(context, std::string("alert.") + to_string(state), subject.take(), reply.json, {},
                  topic);
    }
    return reply;
}

}  // namespace gatehouse
