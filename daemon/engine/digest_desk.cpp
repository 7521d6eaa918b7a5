#include "daemon/engine/digest_desk.hpp"

#include <algorithm>

#include "daemon/core/digest.hpp"
#include "daemon/engine/alert_desk.hpp"
#include "daemon/engine/alert_watch.hpp"
#include "daemon/engine/json_writer.hpp"

namespace gatehouse {
namespace {

constexpr std::int64_t kRunSettledMs = 300'000;
constexpr std::int64_t kUncontactedMs = 86'400'000;
constexpr const char* kTopic = "alert/digest";

bool is_unread(const Context& context, const AccountRuntime& account) {
    if (is_stale(context, account)) return true;
    return std::any_of(account.meters.begin(), account.meters.end(), [&](std::size_t index) {
        const MeterRuntime& meter = context.world.meters[index];
        return is_polled(meter) && !meter.last;
    });
}

// Whoever has been told already, and whom a day fewer would tell.
bool renews_before(const Context& context, const AccountRuntime& account) {
    return account.level > 0 ||
           (account.days_left && *account.days_left <= thresholds_now(context, account).low_days);
}

DigestCounts count(const Context& context) {
    DigestCounts counts;
    counts.date = context.day_of(context.now_ms());
    counts.fresh = context.world.digest_fresh;
    counts.topped_up = context.world.digest_topped_up;
    const int low_days = context.options.alerts.base.low_days.value_or(0);
    if (low_days > 0) counts.rest = context.world.calendar.rest(counts.date, low_days);
    for (const AccountRuntime& account : context.world.accounts) {
        if (!is_live(account)) continue;
        ++counts.checked;
        ++counts.by_level[static_cast<std::size_t>(account.level)];
        if (is_unread(context, account)) ++counts.not_read;
        if (account.quality == Quality::held) ++counts.held;
        if (counts.rest && renews_before(context, account)) ++counts.before_rest;
    }
    for (const MeterRuntime& meter : context.world.meters)
        if (meter.alerts().offline) ++counts.meters_offline;
    for (const auto& [id, alert] : context.world.alerts) {
        if (alert.row.kind == to_string(AlertKind::vacant_use)) ++counts.vacant_use;
        if (alert.row.kind == to_string(AlertKind::leak_suspect)) ++counts.leaks;
        const auto account = context.world.account_index.find(alert.row.account);
        const bool waits = alert.row.kind == to_string(AlertKind::low_balance) &&
                           account != context.world.account_index.end() &&
                           is_chased(context.world.accounts[account->second]) &&
                           !alert.life.acknowledged &&
                           context.now_ms() - alert.row.opened_at >= kUncontactedMs;
        if (!waits) continue;
        const std::string label = context.unit_label(alert.row.unit);
        counts.uncontacted.push_back(label.empty() ? alert.row.account : label);
    }
    return counts;
}

std::string digest_json(const Context& context, const DigestCounts& counts, std::uint64_t seq,
                        std::uint64_t prev) {
    JsonWriter json;
    json.begin_object()
        .field("schema", 1)
        .field("seq", seq)
        .field("prev", prev)
        .field("kind", "digest")
        .field("date", format_date(counts.date))
        .field("checked", counts.checked);
    json.key("levels").begin_object();
    for (std::size_t level = 0; level < counts.by_level.size(); ++level)
        json.field(std::to_string(level), counts.by_level[level]);
    json.end_object()
        .field("new", counts.fresh)
        .field("topped_up", counts.topped_up)
        .field("not_read", counts.not_read)
        .field("held", counts.held)
        .field("meters_offline", counts.meters_offline)
        .field("vacant_use", counts.vacant_use)
        .field("leak_suspect", counts.leaks)
        .field("uncontacted", counts.uncontacted.size());
    if (counts.rest)
        json.key("holiday")
            .begin_object()
            .field("from", format_date(counts.rest->from))
            .field("back", format_date(counts.rest->back))
            .field("to_renew", counts.before_rest)
            .end_object();
    json.field("text", digest_sentence(counts, context.options.chinese))
        .field("at", context.iso(context.now_ms()))
        .end_object();
    return json.take();
}

}  // namespace

bool is_digest_time(const Context& context, MonoMs run_began) {
    if (!context.writable || !context.clock.trusted()) return false;
    const World& world = context.world;
    if (!is_digest_due(context.now_ms(), context.zone, world.digest_day, world.calendar))
        return false;
    if (std::none_of(world.accounts.begin(), world.accounts.end(), is_live)) return false;
    return context.now.mono_ms - run_began >= kRunSettledMs ||
           std::all_of(world.meters.begin(), world.meters.end(), [](const MeterRuntime& meter) {
               return !is_polled(meter) || meter.confirmed_this_run ||
                      (meter.seen && !meter.online);
           });
}

void write_digest(Context& context) {
    World& world = context.world;
    const DigestCounts counts = count(context);
    const std::uint64_t seq = context.store.next(Series::event);
    const std::string json = digest_json(context, counts, seq, world.topic_heads[kTopic]);
    const std::uint64_t written = log_event(context, "alert.digest", "{}", json, {}, kTopic);
    GH_ASSERT(written == seq);
    world.digest = json;
    world.digest_day = counts.date;
    world.digest_fresh = world.digest_topped_up = 0;
    context.store.put_note(kDigestNote, json);
    context.store.put_note(kDigestDayNote, format_date(counts.date));
    context.store.put_note(kDigestTallyNote, "0 0");
    context.alerts_moved = true;
}

}  // namespace gatehouse
