#include "daemon/engine/alert_desk.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "daemon/engine/json_writer.hpp"

namespace gatehouse {
namespace {

constexpr const char* kLowBalance = "low_balance";
constexpr std::size_t kNoteMax = 1'000;

struct Telling {
    AlertState state = AlertState::raised;
    std::string cleared_by;
    const AckAlert* acknowledgement = nullptr;
};

SentenceFacts facts_of(const Context& context, const AccountRuntime& account, int level,
                       AlertState state) {
    SentenceFacts facts;
    facts.kind = AlertKind::low_balance;
    facts.state = state;
    facts.level = level;
    facts.unit_label = context.unit_label(account.row->unit);
    facts.subject = account.row->account;
    facts.service = account.row->service;
    facts.balance = account.balance;
    facts.currency = context.options.currency;
    facts.days_left = account.days_left;
    if (account.as_of) facts.as_of = context.zone.local(*account.as_of);
    facts.held = account.quality == Quality::held;
    facts.offline = account.quality == Quality::meter_offline;
    return facts;
}

std::string payload_of(const Context& context, const AccountRuntime& account,
                       const OpenAlert& alert, int level, const Telling& telling, std::uint64_t seq,
                       std::uint64_t prev, const LevelJudgement& judgement) {
    const UtcMs at = context.now_ms();
    JsonWriter json;
    json.begin_object()
        .field("schema", 1)
        .field("id", alert.row.id)
        .field("seq", seq)
        .field("prev", prev)
        .field("kind", alert.row.kind)
        .field("state", to_string(telling.state))
        .field("severity", severity_of(level))
        .field("subject", alert.row.subject)
        .field("level", level)
        .field("account", account.row->account)
        .field("unit", account.row->unit)
        .field("unit_label", context.unit_label(account.row->unit))
        .field("service", to_string(account.row->service))
        .field("balance", format(account.balance))
        .field("currency", context.options.currency);
    if (judgement.reason == AlertReason::days)
        json.field("threshold", judgement.threshold_days);
    else
        json.field("threshold", format(judgement.threshold));
    json.field("reason", to_string(judgement.reason)).field("days_left", account.days_left);
    json.field("quality", to_string(account.quality)).key("as_of");
    if (account.as_of)
        json.value(context.iso(*account.as_of));
    else
        json.null();
    json.field("notify_after", context.iso(notify_after(at, context.zone, context.options.alerts)));
    json.field_if("cleared_by", telling.cleared_by);
    if (telling.acknowledgement != nullptr) {
        json.field("acked_by", telling.acknowledgement->by)
            .field("via", telling.acknowledgement->via);
        json.field_if("result", telling.acknowledgement->result);
    }
    json.field("text",
               sentence(facts_of(context, account, level, telling.state), context.options.chinese));
    json.field("opened_at", context.iso(alert.row.opened_at)).field("at", context.iso(at));
    json.end_object();
    return json.take();
}

std::string subject_json(const AccountRuntime& account, const std::string& alert) {
    JsonWriter json;
    json.begin_object()
        .field("alert", alert)
        .field("account", account.row->account)
        .field_if("unit", account.row->unit)
        .end_object();
    return json.take();
}

// Writes one transition: the event, the alert's row, and the world's copy.
void tell(Context& context, AccountRuntime& account, OpenAlert& alert, int level,
          const Telling& telling, const LevelJudgement& judgement) {
    const std::string topic = "alert/" + alert.row.kind;
    const std::uint64_t seq = context.store.next(Series::event);
    const std::uint64_t prev = context.world.topic_heads[topic];
    alert.row.payload = payload_of(context, account, alert, level, telling, seq, prev, judgement);
    alert.row.state = to_string(telling.state);
    alert.row.level = level;
    alert.row.seq = seq;
    alert.row.acknowledged = alert.life.acknowledged;
    alert.row.told_at = alert.life.told_at;
    const std::uint64_t written = log_event(
        context, std::string("alert.") + alert.row.state, subject_json(account, alert.row.id),
        alert.row.payload, {"account:" + account.row->account, "alert:" + alert.row.id}, topic);
    GH_ASSERT(written == seq);
    context.store.put_alert(alert.row);
}

LevelJudgement judgement_of(const AccountRuntime& account, int level) {
    LevelJudgement judgement;
    judgement.level = level;
    judgement.reason = account.reason;
    judgement.threshold = level >= 3   ? Fen{0}
                          : level == 2 ? account.thresholds.critical_balance
                                       : account.thresholds.low_balance;
    judgement.threshold_days =
        level == 2 ? account.thresholds.critical_days : account.thresholds.low_days;
    return judgement;
}

}  // namespace

void apply_level(Context& context, std::size_t index, const LevelJudgement& judgement,
                 const std::string& cleared_by) {
    AccountRuntime& account = context.world.accounts[index];
    std::optional<AlertLife> life;
    if (account.alert) life = context.world.alerts.at(*account.alert).life;
    const AlertStep step = step_level(life, judgement.level, context.now_ms());
    account.level = judgement.level;
    account.reason = judgement.reason;
    if (!step.state) return;
    if (*step.state == AlertState::raised) {
        OpenAlert opened;
        opened.row.id = context.new_ulid();
        opened.row.kind = kLowBalance;
        opened.row.subject = account.row->account;
        opened.row.account = account.row->account;
        opened.row.unit = account.row->unit;
        opened.row.opened_at = context.now_ms();
        account.alert = opened.row.id;
        context.world.alerts.emplace(opened.row.id, std::move(opened));
    }
    GH_ASSERT(account.alert.has_value());
    OpenAlert& alert = context.world.alerts.at(*account.alert);
    Telling telling;
    telling.state = *step.state;
    const bool falls = telling.state == AlertState::eased || telling.state == AlertState::cleared;
    if (falls) telling.cleared_by = cleared_by;
    alert.life =
        step.life.value_or(AlertLife{judgement.level, alert.life.acknowledged, context.now_ms()});
    alert.row.open = step.life.has_value();
    tell(context, account, alert, judgement.level, telling, judgement);
    if (!step.life) {
        context.world.alerts.erase(*account.alert);
        account.alert.reset();
    }
    context.dirty_accounts.insert(index);
}

Reply acknowledge_alert(Context& context, const AckAlert& command) {
    Reply reply;
    static constexpr std::array<const char*, 5> kWays{"phone", "visit", "posted", "message",
                                                      "other"};
    if (context.world.staff.find(command.by) == context.world.staff.end())
        reply.errors.push_back({"/by", "`" + command.by + "` is nobody in staff.csv"});
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
    const AlertStep step = step_acknowledge(alert.life, context.now_ms());
    GH_ASSERT(step.state && step.life);
    AccountRuntime& account =
        context.world.accounts[context.world.account_index.at(alert.row.account)];
    alert.life = *step.life;
    Telling telling;
    telling.state = *step.state;
    telling.acknowledgement = &command;
    tell(context, account, alert, alert.life.level, telling,
         judgement_of(account, alert.life.level));
    context.store.add_ack(
        {alert.row.id, alert.row.seq, command.by, command.via, command.note, command.result});
    context.dirty_accounts.insert(context.world.account_index.at(alert.row.account));
    reply.json = alert.row.payload;
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
