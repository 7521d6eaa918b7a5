#include "daemon/engine/snapshot_builder.hpp"

#include <utility>

#include "daemon/engine/account_book.hpp"

namespace gatehouse {
namespace {

MeterView meter_view(const Context& context, const MeterRuntime& meter) {
    const Meter& row = *meter.row;
    MeterView view;
    // It lives as long as its registry does.
    view.row = {context.world.registry, meter.row};
    view.unit_label = context.unit_label(row.unit);
    view.serial = row.serial.empty() && meter.epoch ? meter.epoch->serial : row.serial;
    if (meter.account) view.account = context.world.accounts[*meter.account].row->account;
    view.by_eye = row.bus.empty();
    view.enabled = meter.profile->traits.has_value();
    view.online = meter.online;
    view.reason = meter.reason;
    if (view.reason.empty() && !view.by_eye && !meter.seen) view.reason = "not polled yet";
    if (meter.last) {
        view.register_value = meter.last->register_value;
        view.total = meter.last->total;
        view.read_at = context.best(*meter.last);
    }
    view.power_milliwatt = meter.power_milliwatt;
    view.flow_millilitre_per_hour = meter.flow_millilitre_per_hour;
    if (meter.quarantine || meter.hold)
        view.quality = Quality::held;
    else if (!view.by_eye && !meter.online)
        view.quality = Quality::meter_offline;
    view.last_poll_at = meter.last_poll_at;
    view.clock_drift_s = meter.clock_drift_s;
    view.clock_read_at = meter.clock_read_at;
    view.stuck = meter.stuck;
    view.hold = meter.hold.has_value();
    if (meter.prepays.mark.value_or(false)) view.own_prepayment = meter.prepays_text;
    view.rejected = meter.rejected;
    view.duplicates = meter.duplicates;
    view.flags = meter.flags;
    view.epoch = meter.epoch ? meter.epoch->id : 0;
    view.state_version = meter.state_version;
    return view;
}

AccountView account_view(const Context& context, const AccountRuntime& account) {
    const Account& row = *account.row;
    AccountView view;
    view.account = row.account;
    view.unit = row.unit;
    view.unit_label = context.unit_label(row.unit);
    view.service = row.service;
    view.billing = row.billing;
    view.tariffs = row.tariffs;
    view.holder = row.holder;
    const Thresholds& limits = account.thresholds;
    view.thresholds = {limits.low_balance,     limits.critical_balance, limits.clear_margin,
                       limits.overdraft,       limits.low_days,         limits.critical_days,
                       limits.amount_max_days, row.hoarding_cap};
    view.ledger = account.ledger;
    view.balance = account.balance;
    view.provisional = account.provisional;
    view.days_left = account.days_left;
    view.level = account.level;
    view.judged = account.judged;
    view.trial = account.trial;
    view.preview = account.preview;
    view.not_yet = account.not_yet;
    view.quality = account.quality;
    view.as_of = account.as_of;
    view.ledger_seq = account.ledger_seq;
    view.open = row.closed.empty();
    if (!view.open) view.closed_at = parse_iso8601(row.closed, context.zone);
    if (posts_days(account)) view.posted_through = account.posted_through;
    view.pending = account.pending;
    view.state_version = account.state_version;
    return view;
}

void update_alerts(const Context& context, Snapshot& snapshot) {
    snapshot.open_alerts.clear();
    for (const auto& [id, alert] : context.world.alerts) {
        AlertView view;
        view.id = id;
        view.kind = alert.row.kind;
        view.state = alert.row.state;
        view.subject = alert.row.subject;
        view.account = alert.row.account;
        view.unit = alert.row.unit;
        view.unit_label = context.unit_label(alert.row.unit);
        view.level = alert.row.level;
        view.acknowledged = alert.row.acknowledged;
        view.opened_at = alert.row.opened_at;
        view.seq = alert.row.seq;
        view.payload = alert.row.payload;
        snapshot.open_alerts.push_back(std::make_shared<const AlertView>(std::move(view)));
    }
    snapshot.digest = context.world.digest;
    snapshot.accounts_low = 0;
    for (const AccountRuntime& account : context.world.accounts)
        if (account.level > 0 && account.row->closed.empty() &&
            account.row->billing == Billing::prepaid)
            ++snapshot.accounts_low;
}

}  // namespace

const char* to_string(Quality quality) {
    switch (quality) {
        case Quality::confirmed:
            return "confirmed";
        case Quality::held:
            return "held";
        case Quality::meter_offline:
            return "meter_offline";
    }
    return "confirmed";
}

void update_snapshot(Context& context, Snapshot& snapshot) {
    snapshot.registry = context.world.registry;
    for (const std::size_t index : context.dirty_meters)
        snapshot.meters.set(index, meter_view(context, context.world.meters[index]));
    for (const std::size_t index : context.dirty_accounts)
        snapshot.accounts.set(index, account_view(context, context.world.accounts[index]));
    if (!context.dirty_accounts.empty() || context.alerts_moved) update_alerts(context, snapshot);
    context.alerts_moved = false;
    context.dirty_meters.clear();
    context.dirty_accounts.clear();
    snapshot.buses.clear();
    for (const auto& [id, status] : context.world.buses) snapshot.buses.push_back(status);
    snapshot.event_seq = context.store.last(Series::event);
    snapshot.reading_seq = context.store.last(Series::reading);
    snapshot.mqtt_cursor = context.world.mqtt_cursor;
    snapshot.run = context.run;
    snapshot.clock_trusted = context.clock.trusted();
    snapshot.clock_reason = context.clock.reason();
    snapshot.now_ms = context.now_ms();
    const std::string missing =
        context.clock.trusted()
            ? calendar_warning(context.world.calendar, context.day_of(context.now_ms()))
            : "";
    snapshot.calendar_warning = missing.empty() ? missing : kCalendarFile + (": " + missing);
    snapshot.store_ok = context.writable && context.space != SpaceState::reserve;
    snapshot.samples_total = context.samples;
    snapshot.readings_stored = context.readings_stored;
}

}  // namespace gatehouse
