// Alerts: which thresholds hold for an account, which level its balance has, and the life of an
// alert as transitions. It sends nothing and words nothing (notice.hpp). Pure, any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "daemon/core/alert_settings.hpp"
#include "daemon/core/calendar.hpp"
#include "daemon/core/registry.hpp"
#include "daemon/core/time.hpp"
#include "daemon/core/units.hpp"

namespace gatehouse {

struct Thresholds {
    Fen low_balance, critical_balance, clear_margin, overdraft;
    int low_days = 0, critical_days = 0;  // 0: off
    std::optional<int> amount_max_days;   // absent: never silences the amount rule
    friend bool operator==(const Thresholds&, const Thresholds&) = default;
};
// The account's own first, then the table "<service>.<use>", then "<service>", then the base; the
// service of an account for all services is "all". What no table names is 0 (off), and
// amount_max_days absent: the configuration fills the base in.
[[nodiscard]] Thresholds thresholds_of(const Account& account, Use use,
                                       const AlertSettings& settings);
// The low_days that hold on that day. Where a long rest begins within them, who would run out in it
// is told before it: they reach to the first working day after it, and one day on. 0 stays off.
[[nodiscard]] int low_days_on(LocalDate today, int low_days, const Calendar& calendar);

enum class AlertReason { balance, days };
[[nodiscard]] const char* to_string(AlertReason reason);

struct LevelInput {
    int level = 0;  // as it stands, 0 to 4
    Fen balance;
    std::optional<int> days_left;
    bool vacant = false;       // amount rule silent
    bool topup = false;        // judged by a top-up: margin 0, falls even while held
    bool held = false;         // quarantine: no fall by drift
    bool may_clear = true;     // false: the unposted part restarted, no fall by drift
    bool catching_up = false;  // the same, and meters that answer will soon say: no fall at all
};
// The level, and the rule that gives it: by reason either the amount or the days. A level that
// only hysteresis or a held fall keeps names the rule by which it is kept or was entered, and level
// 0 the low threshold that was left.
struct LevelJudgement {
    int level = 0;
    AlertReason reason = AlertReason::balance;
    Fen threshold;
    int threshold_days = 0;
    friend bool operator==(const LevelJudgement&, const LevelJudgement&) = default;
};
// Levels 1 and 2 by amount or days, 3 at 0 or less, 4 below -overdraft where overdraft is not 0.
[[nodiscard]] LevelJudgement judge_level(const LevelInput& input, const Thresholds& thresholds);

enum class AlertState { raised, escalated, reminded, acknowledged, eased, cleared };
[[nodiscard]] const char* to_string(AlertState state);
[[nodiscard]] std::optional<AlertState> parse_alert_state(std::string_view word);

// An open alert; one for each account (or meter) and kind. Kinds without levels use level 1.
struct AlertLife {
    int level = 1;
    bool acknowledged = false;  // silences reminders until the level rises
    UtcMs told_at = 0;          // of the newest transition that people hear of
    bool reminded = false;      // that one was a reminder
    friend bool operator==(const AlertLife&, const AlertLife&) = default;
};
struct AlertStep {
    std::optional<AlertState> state;  // absent: nothing to tell
    std::optional<AlertLife> life;    // afterwards; absent: closed, or never opened
    friend bool operator==(const AlertStep&, const AlertStep&) = default;
};
// To the level just judged: raised, escalated, eased, cleared, or nothing.
[[nodiscard]] AlertStep step_level(const std::optional<AlertLife>& life, int level, UtcMs now);
// Nothing where no alert is open: acknowledging a closed one is the caller's not_found.
[[nodiscard]] AlertStep step_acknowledge(const std::optional<AlertLife>& life, UtcMs now);
// For what holds or does not hold, without levels in between: raised at that level, cleared.
[[nodiscard]] AlertStep step_fact(const std::optional<AlertLife>& life, bool holds, int level,
                                  UtcMs now);
// Reminds level 1 weekly, level 2 a day after it was told and then every second day, 3 and 4 daily;
// never in quiet hours, under quarantine, or once acknowledged.
[[nodiscard]] AlertStep step_remind(const std::optional<AlertLife>& life, bool held, UtcMs now,
                                    const Zone& zone, const AlertSettings& settings);

// Whom a transition is meant for beside the desk: a reminder of level 2 says that nobody recorded a
// contact for a day and is for who leads it ("lead"), of level 3 and above for the project's
// "manager". Empty: nobody.
[[nodiscard]] const char* escalated_to(AlertState state, int level);

// A meter that does not answer, or answers again. Told only once it has lasted, so that a loose
// wire makes no stream of messages; ended after a longer while where it ended not long ago.
inline constexpr std::int64_t kOutageRaiseMs = 60'000, kOutageClearMs = 60'000,
                              kOutageRestlessMs = 3'600'000, kOutageRestlessClearMs = 900'000;
// A bus with at least so many meters that are all out is one outage: its own alert is the loud one,
// and those of its meters are told at level 0. A meter that stays away longer than kOutageAloneMs
// after its bus came back is a fault of its own and is told again, at level 1.
inline constexpr int kBusOutageMeters = 3;
inline constexpr std::int64_t kOutageAloneMs = 900'000;
struct OutageInput {
    bool offline = false;
    std::int64_t steady_ms = 0;                  // since when it has been so
    std::optional<std::int64_t> cleared_ago_ms;  // since its last alert ended, where known
    bool bus_out = false;                        // its bus is one outage now
    std::optional<std::int64_t> bus_back_ms;     // since its bus last came back, where it ever did
};
[[nodiscard]] AlertStep step_outage(const std::optional<AlertLife>& life, const OutageInput& input,
                                    UtcMs now);

// 24 hours without a confirmed sample: the balance may not be what it says.
inline constexpr std::int64_t kStaleMs = 86'400'000;

// "warning" at 1, "critical" at 2, "emergency" from 3 on; "info" at 0, once cleared.
[[nodiscard]] const char* severity_of(int level);

// Quiet hours are [from, to) in local minutes and may pass midnight; from = to: none.
[[nodiscard]] bool is_quiet(int minute, const AlertSettings& settings);
// From when people may be called: `at` itself, or the end of the quiet hours in which it lies. Who
// has nothing left (level 3 and above) is called at once.
[[nodiscard]] UtcMs notify_after(UtcMs at, int level, const Zone& zone,
                                 const AlertSettings& settings);

}  // namespace gatehouse
