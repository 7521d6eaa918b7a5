#include "daemon/core/alert.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace gatehouse {
namespace {

constexpr std::array<std::pair<AlertState, const char*>, 6> kStateWords{{
    {AlertState::raised, "raised"},
    {AlertState::escalated, "escalated"},
    {AlertState::reminded, "reminded"},
    {AlertState::acknowledged, "acknowledged"},
    {AlertState::eased, "eased"},
    {AlertState::cleared, "cleared"},
}};

// The tables that hold for an account, narrowest first.
std::vector<const AlertTable*> tables_of(const Account& account, Use use,
                                         const AlertSettings& settings) {
    const std::string service = to_string(account.service);
    std::vector<const AlertTable*> tables;
    for (const std::string& name : {service + "." + to_string(use), service}) {
        const auto found = settings.overrides.find(name);
        if (found != settings.overrides.end()) tables.push_back(&found->second);
    }
    tables.push_back(&settings.base);
    return tables;
}

template <class Value>
Value first_of(const std::optional<Value>& own, const std::vector<const AlertTable*>& tables,
               std::optional<Value> AlertTable::*field) {
    if (own) return *own;
    for (const AlertTable* table : tables) {
        if (table->*field) return *(table->*field);
    }
    return Value{};
}

// Which rules put the balance at `level` or above; level 1 and 2 alone have two.
struct Rules {
    bool amount = false;
    bool days = false;
    [[nodiscard]] bool any() const { return amount || days; }
};

Rules rules_at(int level, const LevelInput& in, const Thresholds& limits) {
    if (level == 4) {
        return {limits.overdraft.count > 0 && in.balance < -limits.overdraft, false};
    }
    if (level == 3) return {in.balance.count <= 0, false};
    const Fen amount = level == 1 ? limits.low_balance : limits.critical_balance;
    const int days = level == 1 ? limits.low_days : limits.critical_days;
    const bool margin = in.level >= level && !in.topup;
    const bool silent = in.vacant || (in.days_left && limits.amount_max_days &&
                                      *in.days_left > *limits.amount_max_days);
    Rules rules;
    rules.amount =
        !silent && (in.balance <= amount || (margin && in.balance < amount + limits.clear_margin));
    rules.days = days > 0 && in.days_left && *in.days_left <= days + (margin ? 1 : 0);
    return rules;
}

LevelJudgement described(int level, AlertReason reason, const Thresholds& limits) {
    LevelJudgement out{level, reason, {}, 0};
    if (level == 4) out.threshold = -limits.overdraft;
    if (level == 2) out.threshold = limits.critical_balance;
    if (level <= 1) out.threshold = limits.low_balance;
    if (reason == AlertReason::days) {
        out.threshold_days = level == 2 ? limits.critical_days : limits.low_days;
    }
    return out;
}

constexpr UtcMs kDayMs = 86'400'000;
UtcMs reminder_pause_ms(const AlertLife& life) {
    if (life.level <= 1) return 7 * kDayMs;
    return life.level == 2 && life.reminded ? 2 * kDayMs : kDayMs;
}

}  // namespace

Thresholds thresholds_of(const Account& account, Use use, const AlertSettings& settings) {
    const auto tables = tables_of(account, use, settings);
    Thresholds out;
    out.low_balance = first_of(account.low_balance, tables, &AlertTable::low_balance);
    out.critical_balance =
        first_of(account.critical_balance, tables, &AlertTable::critical_balance);
    out.clear_margin = first_of({}, tables, &AlertTable::clear_margin);
    out.low_days = first_of(account.low_days, tables, &AlertTable::low_days);
    out.critical_days = first_of(account.critical_days, tables, &AlertTable::critical_days);
    out.amount_max_days = first_of({}, tables, &AlertTable::amount_max_days);
    out.overdraft = account.overdraft.value_or(Fen{0});
    return out;
}

int low_days_on(LocalDate today, int low_days, const Calendar& calendar) {
    if (low_days <= 0) return low_days;
    const std::optional<Calendar::Rest> rest = calendar.rest(today, low_days);
    if (!rest) return low_days;
    const std::int64_t until = days_since_epoch(rest->back) - days_since_epoch(today) + 1;
    return static_cast<int>(std::max<std::int64_t>(low_days, until));
}

const char* to_string(AlertReason reason) {
    return reason == AlertReason::balance ? "balance" : "days";
}

LevelJudgement judge_level(const LevelInput& in, const Thresholds& limits) {
    GH_ASSERT(in.level >= 0 && in.level <= 4);
    int level = 4;
    Rules rules = rules_at(level, in, limits);
    while (level > 0 && !rules.any()) {
        --level;
        if (level > 0) rules = rules_at(level, in, limits);
    }
    const bool may_fall = !in.catching_up && (in.topup || (!in.held && in.may_clear));
    if (level < in.level && !may_fall) {
        // What holds it is that nothing may fall; the rule it once came by may not hold any more.
        level = in.level;
        rules = {!in.vacant || level > 2, in.vacant};
    }
    const bool days_alone = rules.days && !rules.amount;
    return described(level, days_alone ? AlertReason::days : AlertReason::balance, limits);
}

const char* to_string(AlertState state) {
    for (const auto& [known, word] : kStateWords) {
        if (known == state) return word;
    }
    GH_ASSERT(!"a state of an alert");
}

std::optional<AlertState> parse_alert_state(std::string_view word) {
    for (const auto& [state, known] : kStateWords) {
        if (word == known) return state;
    }
    return std::nullopt;
}

AlertStep step_level(const std::optional<AlertLife>& life, int level, UtcMs now) {
    if (!life) {
        if (level <= 0) return {};
        return {AlertState::raised, AlertLife{level, false, now}};
    }
    if (level <= 0) return {AlertState::cleared, std::nullopt};
    if (level > life->level) return {AlertState::escalated, AlertLife{level, false, now}};
    if (level < life->level) {
        return {AlertState::eased, AlertLife{level, life->acknowledged, now}};
    }
    return {std::nullopt, life};
}

AlertStep step_acknowledge(const std::optional<AlertLife>& life, UtcMs now) {
    if (!life) return {};
    return {AlertState::acknowledged, AlertLife{life->level, true, now}};
}

AlertStep step_fact(const std::optional<AlertLife>& life, bool holds, int level, UtcMs now) {
    if (holds == life.has_value()) return {std::nullopt, life};
    if (holds) return {AlertState::raised, AlertLife{level, false, now}};
    return {AlertState::cleared, std::nullopt};
}

AlertStep step_outage(const std::optional<AlertLife>& life, const OutageInput& in, UtcMs now) {
    if (!life) {
        if (!in.offline || in.steady_ms < kOutageRaiseMs) return {};
        return {AlertState::raised, AlertLife{in.bus_out ? 0 : 1, false, now}};
    }
    if (!in.offline) {
        const bool restless = in.cleared_ago_ms && *in.cleared_ago_ms < kOutageRestlessMs;
        if (in.steady_ms < (restless ? kOutageRestlessClearMs : kOutageClearMs))
            return {std::nullopt, life};
        return {AlertState::cleared, std::nullopt};
    }
    // Where the bus came back in an earlier run nothing is known of when; the meter's own time
    // stands for it.
    const std::int64_t alone_ms = std::min(in.steady_ms, in.bus_back_ms.value_or(in.steady_ms));
    if (life->level == 0 && !in.bus_out && alone_ms >= kOutageAloneMs)
        return {AlertState::escalated, AlertLife{1, false, now}};
    return {std::nullopt, life};
}

AlertStep step_remind(const std::optional<AlertLife>& life, bool held, UtcMs now, const Zone& zone,
                      const AlertSettings& settings) {
    if (!life || life->acknowledged || held) return {std::nullopt, life};
    const bool waited = now - life->told_at >= reminder_pause_ms(*life);
    if (!waited || is_quiet(zone.local(now).ms_of_day / 60'000, settings)) {
        return {std::nullopt, life};
    }
    return {AlertState::reminded, AlertLife{life->level, false, now, true}};
}

const char* escalated_to(AlertState state, int level) {
    if (state != AlertState::reminded || level < 2) return "";
    return level == 2 ? "lead" : "manager";
}

const char* severity_of(int level) {
    if (level <= 0) return "info";
    if (level == 1) return "warning";
    return level == 2 ? "critical" : "emergency";
}

bool is_quiet(int minute, const AlertSettings& settings) {
    const int from = settings.quiet_from_minute;
    const int to = settings.quiet_to_minute;
    if (from <= to) return from <= minute && minute < to;
    return minute >= from || minute < to;
}

UtcMs notify_after(UtcMs at, int level, const Zone& zone, const AlertSettings& settings) {
    const LocalTime local = zone.local(at);
    if (level >= 3 || !is_quiet(local.ms_of_day / 60'000, settings)) return at;
    const int end_ms = settings.quiet_to_minute * 60'000;
    LocalDate day = local.date;
    if (end_ms <= local.ms_of_day) day = date_from_days(days_since_epoch(day) + 1);
    // Where clocks are put forward or back in that night, midnight plus hours is off by the shift.
    const UtcMs guess = zone.midnight(day) + end_ms;
    const LocalTime there = zone.local(guess);
    if (there.date != day) return guess;
    return guess + (end_ms - there.ms_of_day);
}

}  // namespace gatehouse
