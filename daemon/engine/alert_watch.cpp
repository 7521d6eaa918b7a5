#include "daemon/engine/alert_watch.hpp"

#include <algorithm>
#include <utility>

#include "daemon/engine/account_book.hpp"
#include "daemon/engine/alert_desk.hpp"

namespace gatehouse {
namespace {

// A process this old has read every meter that can be read.
constexpr std::int64_t kRunSettledMs = 600'000;

std::optional<AlertLife> life_of(const Context& context, const std::optional<std::string>& place) {
    if (!place) return std::nullopt;
    return context.world.alerts.at(*place).life;
}

bool in_trial(const Context& context, const MeterRuntime& meter) {
    return meter.account && context.world.accounts[*meter.account].trial;
}

// --- meters that do not answer

bool is_watched(const Context& context, const MeterRuntime& meter) {
    return is_polled(meter) && !in_trial(context, meter);
}

void look_at_meter(const Context& context, MeterRuntime& meter) {
    if (!meter.seen) return;
    const bool offline = !meter.online;
    if (meter.watch.known && meter.watch.offline == offline) return;
    meter.watch.known = true;
    meter.watch.offline = offline;
    meter.watch.since_mono_ms = context.now.mono_ms;
}

// What the meters of a bus say of it together.
struct BusTally {
    int meters = 0, known = 0, offline = 0;
    MonoMs oldest_mono_ms = 0;  // since when the first of them is offline
};

std::map<std::string, BusTally> tally_buses(const Context& context) {
    std::map<std::string, BusTally> tallies;
    for (const MeterRuntime& meter : context.world.meters) {
        if (!is_watched(context, meter)) continue;
        BusTally& bus = tallies[meter.row->bus];
        ++bus.meters;
        if (!meter.watch.known) continue;
        ++bus.known;
        if (!meter.watch.offline) continue;
        bus.oldest_mono_ms = bus.offline == 0
                                 ? meter.watch.since_mono_ms
                                 : std::min(bus.oldest_mono_ms, meter.watch.since_mono_ms);
        ++bus.offline;
    }
    return tallies;
}

void watch_bus(Context& context, const std::string& id, const BusTally& tally) {
    BusWatch& bus = context.world.bus_watch[id];
    bus.meters = tally.meters;
    // Nobody answered yet and not all were asked: what stands open stays open.
    if (tally.known == tally.offline && tally.known < tally.meters) return;
    const bool out = tally.meters >= kBusOutageMeters && tally.offline == tally.meters;
    if (!bus.known || out != bus.out) {
        if (bus.known && !out) bus.back_mono_ms = context.now.mono_ms;
        bus.known = true;
        bus.out = out;
        bus.since_mono_ms = context.now.mono_ms;
    }
    OutageInput input;
    input.offline = out;
    // The bus speaks as soon as the first of its meters would.
    input.steady_ms = context.now.mono_ms - (out ? tally.oldest_mono_ms : bus.since_mono_ms);
    if (bus.cleared_mono_ms) input.cleared_ago_ms = context.now.mono_ms - *bus.cleared_mono_ms;
    AlertStep step = step_outage(life_of(context, bus.alert), input, context.now_ms());
    if (!step.state) return;
    if (step.life) step.life->level = 2;
    if (*step.state == AlertState::cleared) bus.cleared_mono_ms = context.now.mono_ms;
    const auto status = context.world.buses.find(id);
    const std::string reason = status != context.world.buses.end() && !status->second.reason.empty()
                                   ? status->second.reason
                                   : "no meter of it answers";
    move_alert(context, bus.alert,
               {AlertKind::meter_offline, std::string(kBusSubject) + id, step, out ? reason : "",
                step.life ? "" : "answer"});
}

// A bus that no meter stands on any more has nothing to be silent about.
void close_empty_buses(Context& context, const std::map<std::string, BusTally>& tallies) {
    for (auto& [id, bus] : context.world.bus_watch) {
        if (tallies.count(id) != 0 || !bus.alert) continue;
        move_alert(
            context, bus.alert,
            {AlertKind::meter_offline, std::string(kBusSubject) + id,
             step_fact(life_of(context, bus.alert), false, 0, context.now_ms()), "", "registry"});
    }
}

void watch_outage(Context& context, MeterRuntime& meter) {
    const bool watched = is_watched(context, meter);
    if (!meter.alerts().offline && (!watched || !meter.watch.known || !meter.watch.offline)) return;
    // Not polled in this run yet: what stands open stays open until something is known.
    if (watched && !meter.watch.known) return;
    OutageInput input;
    input.offline = watched && meter.watch.offline;
    input.steady_ms =
        watched ? context.now.mono_ms - meter.watch.since_mono_ms : kOutageRestlessClearMs;
    if (meter.watch.cleared_mono_ms)
        input.cleared_ago_ms = context.now.mono_ms - *meter.watch.cleared_mono_ms;
    const BusWatch& bus = context.world.bus_watch[meter.row->bus];
    input.bus_out = bus.out;
    if (bus.back_mono_ms) input.bus_back_ms = context.now.mono_ms - *bus.back_mono_ms;
    const AlertStep step =
        step_outage(life_of(context, meter.alerts().offline), input, context.now_ms());
    if (!step.state) return;
    const bool over = *step.state == AlertState::cleared;
    if (over) meter.watch.cleared_mono_ms = context.now.mono_ms;
    move_alert(context, meter.alerts_to_move().offline,
               {AlertKind::meter_offline, meter.row->meter, step, over ? "" : meter.reason,
                !over     ? ""
                : watched ? "answer"
                          : "registry"});
}

void watch_outages(Context& context) {
    for (MeterRuntime& meter : context.world.meters) look_at_meter(context, meter);
    const std::map<std::string, BusTally> tallies = tally_buses(context);
    for (const auto& [id, tally] : tallies) watch_bus(context, id, tally);
    close_empty_buses(context, tallies);
    for (MeterRuntime& meter : context.world.meters) watch_outage(context, meter);
}

// --- readings that are held

void watch_held(Context& context, MeterRuntime& meter) {
    const bool holds = meter.quarantine && meter.quarantine->id != 0 && !in_trial(context, meter);
    if (holds == meter.alerts().held.has_value()) return;
    const AlertStep step =
        step_fact(life_of(context, meter.alerts().held), holds, 1, context.now_ms());
    move_alert(context, meter.alerts_to_move().held,
               {AlertKind::reading_held, meter.row->meter, step,
                holds ? meter.quarantine->reason : "", holds ? "" : "checked"});
}

// --- meters that prepay by themselves

// Until the meter has said so twice what stands open stays open: after a restart nothing is known.
void watch_prepaid(Context& context, MeterRuntime& meter) {
    const bool watched = is_watched(context, meter);
    if (watched && !meter.prepays.sure()) return;
    const bool holds = watched && meter.prepays.mark.value_or(false);
    if (holds == meter.alerts().prepaid.has_value()) return;
    const AlertStep step =
        step_fact(life_of(context, meter.alerts().prepaid), holds, 2, context.now_ms());
    move_alert(
        context, meter.alerts_to_move().prepaid,
        {AlertKind::meter_prepaid_active, meter.row->meter, step, holds ? meter.prepays_text : "",
         holds     ? ""
         : watched ? "meter"
                   : "registry"});
}

// --- balances that grew old

bool is_old(const Context& context, const MeterRuntime& meter) {
    if (!is_polled(meter) || !meter.last) return false;
    const std::optional<UtcMs> at = context.trusted(*meter.last);
    return at && context.now_ms() - *at >= kStaleMs;
}

// After a start every meter is asked before anything is said of its silence.
bool had_its_chance(const Context& context, const MeterRuntime& meter, MonoMs run_began) {
    return (meter.seen && !meter.online) || context.now.mono_ms - run_began >= kRunSettledMs;
}

void watch_stale(Context& context, std::size_t index, MonoMs run_began) {
    AccountRuntime& account = context.world.accounts[index];
    bool holds = false;
    if (is_live(account)) {
        for (const std::size_t meter_index : account.meters) {
            const MeterRuntime& meter = context.world.meters[meter_index];
            holds = holds || (is_old(context, meter) &&
                              (account.stale_alert || had_its_chance(context, meter, run_began)));
        }
    }
    if (holds == account.stale_alert.has_value()) return;
    const AlertStep step =
        step_fact(life_of(context, account.stale_alert), holds, 1, context.now_ms());
    move_alert(context, account.stale_alert,
               {AlertKind::stale_balance, account.row->account, step,
                holds ? "no confirmed reading for 24 hours" : "", holds ? "" : "reading"});
    // What is left is a projection from here on.
    context.repriced.insert(index);
}

// --- reminders

void remind(Context& context, const AccountRuntime& account, AlertKind kind,
            std::optional<std::string>& place) {
    if (!place || !is_chased(account)) return;
    const AlertStep step = step_remind(life_of(context, place), account.quality == Quality::held,
                                       context.now_ms(), context.zone, context.options.alerts);
    move_alert(context, place,
               {kind, account.row->account, step,
                kind == AlertKind::stale_balance ? "no confirmed reading for 24 hours" : "", ""});
}

}  // namespace

void end_alerts(Context& context, std::size_t index) {
    AccountRuntime& account = context.world.accounts[index];
    if (account.row->closed.empty() || (!account.alert && !account.stale_alert)) return;
    // Its level is told with its last balance.
    ++account.state_version;
    context.dirty_accounts.insert(index);
    if (account.alert) apply_level(context, index, LevelJudgement{}, "closed");
    if (account.stale_alert)
        move_alert(context, account.stale_alert,
                   {AlertKind::stale_balance, account.row->account,
                    step_fact(life_of(context, account.stale_alert), false, 1, context.now_ms()),
                    "", "closed"});
}

bool is_polled(const MeterRuntime& meter) {
    return !meter.row->bus.empty() && meter.profile->traits &&
           meter.row->status == MeterStatus::active;
}

bool is_live(const AccountRuntime& account) {
    return account.row->billing == Billing::prepaid && !account.trial && account.not_yet.empty() &&
           account.row->closed.empty();
}

bool is_chased(const AccountRuntime& account) {
    return account.row->chase != false &&
           !(account.unit != nullptr && is_vacant(account.unit->status));
}

bool is_stale(const Context& context, const AccountRuntime& account) {
    return std::any_of(account.meters.begin(), account.meters.end(), [&](std::size_t index) {
        return is_old(context, context.world.meters[index]);
    });
}

void watch_turn(Context& context) {
    if (!context.writable) return;
    for (const std::size_t index : context.dirty_meters) {
        watch_held(context, context.world.meters[index]);
        watch_prepaid(context, context.world.meters[index]);
    }
}

void watch_time(Context& context, MonoMs run_began) {
    if (!context.writable) return;
    watch_outages(context);
    for (MeterRuntime& meter : context.world.meters) {
        watch_held(context, meter);
        watch_prepaid(context, meter);
    }
    for (std::size_t index = 0; index < context.world.accounts.size(); ++index) {
        end_alerts(context, index);
        const auto& waits = context.world.accounts[index].topup_waits_since;
        if (waits && context.now.mono_ms - *waits >= kTopUpWaitMs) context.repriced.insert(index);
    }
    if (!context.clock.trusted()) return;
    for (std::size_t index = 0; index < context.world.accounts.size(); ++index) {
        watch_stale(context, index, run_began);
        AccountRuntime& account = context.world.accounts[index];
        remind(context, account, AlertKind::low_balance, account.alert);
        remind(context, account, AlertKind::stale_balance, account.stale_alert);
    }
}

void tell_gap(Context& context, std::uint64_t after, std::uint64_t next) {
    context.world.gap_after = after;
    context.world.gap_next = next;
    context.store.put_note(kGapNote, std::to_string(after) + " " + std::to_string(next));
    AlertStep step =
        step_fact(life_of(context, context.world.gap_alert), true, 2, context.now_ms());
    move_alert(context, context.world.gap_alert,
               {AlertKind::log_gap, context.options.site_id, step, "restored", ""});
}

}  // namespace gatehouse
