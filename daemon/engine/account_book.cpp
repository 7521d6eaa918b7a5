#include "daemon/engine/account_book.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "daemon/engine/alert_desk.hpp"
#include "daemon/engine/alert_watch.hpp"
#include "daemon/engine/fee_book.hpp"
#include "daemon/engine/meter_book.hpp"
#include "daemon/engine/outlook.hpp"
#include "daemon/engine/row_documents.hpp"
#include "daemon/engine/trial_book.hpp"

namespace gatehouse {
namespace {

constexpr std::int64_t kEdgeWaitMs = 5 * 60'000;

// A day that no version prices keeps its use unaccounted until one does; what passes the limit of
// a line is a broken meter and stays unaccounted as well, where the auditor sees it. `at` lies in
// the interval of the use.
bool accrue_use(const Context& context, Settlement& settlement, const MeterRuntime& meter, UtcMs at,
                Milli quantity, std::vector<Share>* shares) {
    if (meter.tariff == nullptr || quantity.count < 0) return false;
    const Interval when = context.interval(meter, at);
    return accrue(settlement, *meter.tariff, when, month_scope(when.day), quantity, shares) ==
           Accrual::ok;
}

// The same, noting which lines took how much.
bool accrue_noted(const Context& context, Settlement& settlement, const MeterRuntime& meter,
                  UtcMs at, Milli quantity, PendingPart part, std::vector<PendingPart>* parts) {
    std::vector<Share> shares;
    if (!accrue_use(context, settlement, meter, at, quantity, parts ? &shares : nullptr))
        return false;
    part.meter = meter.row->meter;
    part.multiplier = meter.row->multiplier;
    for (const Share& share : shares) {
        part.line = share.line;
        part.before = share.before;
        part.quantity = share.quantity;
        parts->push_back(part);
    }
    return true;
}

// When what was used since the newest freeze was used. Where the clock is not trusted the books
// know at least that it is not before their newest row; of a run that ended so, that it is not
// before the meter's own newest edge: rows that came later say nothing of it.
UtcMs time_of_rest(const Context& context, const MeterRuntime& meter) {
    if (!meter.last) return context.now_ms();
    if (const std::optional<UtcMs> at = context.trusted(*meter.last)) return *at;
    const bool ended = meter.last->stamp.run != context.run;
    return std::max(context.best(*meter.last),
                    ended ? meter.settled_until : context.clock.floor_ms());
}

// Adds a meter's use beyond its mark: each unposted freeze in the day it ends, then the rest.
void accrue_unposted(const Context& context, const AccountRuntime& account,
                     const MeterRuntime& meter, Settlement& settlement,
                     std::optional<Milli> total_now, std::vector<PendingPart>* parts) {
    Milli before = meter.mark.total;
    if (!meter.marked) {
        // Held before its first reading: it would be charged from the opening register on.
        if (meter.epoch || !total_now || !meter.terms.opening_register) return;
        before = figure(*meter.terms.opening_register, meter.terms.multiplier).value_or(*total_now);
    }
    PendingPart part;
    part.from = meter.mark.reading;
    for (const Freeze& freeze : meter.unposted) {
        if (freeze.total < before) continue;
        part.to = freeze.reading;
        if (!is_before_live(account, context.day_of(freeze.edge - 1)) &&
            !accrue_noted(context, settlement, meter, freeze.edge - 1, freeze.total - before, part,
                          parts))
            continue;
        before = freeze.total;
        if (!freeze.inside) part.from = freeze.reading;
    }
    if (!total_now || *total_now <= before) return;
    const UtcMs at = time_of_rest(context, meter);
    if (is_before_live(account, context.day_of(at))) return;
    if (parts != nullptr && meter.last) {
        part.to = meter.last->reading;
        part.register_value = meter.last->register_value;
        part.total = meter.last->total;
        part.raw = meter.last->raw;
        part.at = context.best(*meter.last);
    }
    accrue_noted(context, settlement, meter, at, *total_now - before, part, parts);
}

// What late use takes from the minimum of a month that has ended: a part without readings.
void note_minimums(const Context& context, const AccountRuntime& account, Settlement& settlement,
                   std::vector<PendingPart>* parts) {
    // What an end has taken back does not rise again.
    if (!account.row->closed.empty()) return;
    const Settlement& posted = account.settlement;
    for (const LineKey& key : follow_minimums(context, settlement, account.lines_from)) {
        if (parts == nullptr) continue;
        PendingPart part;
        part.line = key;
        part.before = posted.lines.at(key);
        part.quantity = settlement.lines.at(key).quantity - part.before.quantity;
        parts->push_back(part);
    }
}

// Brings back lines of months that were settled and forgotten: a late reading adds to them.
void need_lines(Context& context, AccountRuntime& account, const std::string& scope) {
    if (account.lines_from <= scope) return;
    auto settlements = context.store.load_settlements(scope, LocalDate{9999, 12, 31});
    account.settlement.lines.merge(settlements[account.row->account].lines);
    account.lines_from = scope;
}

std::optional<Milli> last_total(const MeterRuntime& meter) {
    return meter.last ? std::optional(meter.last->total) : std::nullopt;
}

Settlement priced(const Context& context, const AccountRuntime& account,
                  std::optional<std::pair<std::size_t, Milli>> instead,
                  std::vector<PendingPart>* parts = nullptr) {
    Settlement copy = account.settlement;
    for (const std::size_t index : account.meters) {
        const MeterRuntime& meter = context.world.meters[index];
        const bool other = instead && instead->first == index;
        accrue_unposted(context, account, meter, copy, other ? instead->second : last_total(meter),
                        parts);
    }
    note_minimums(context, account, copy, parts);
    return copy;
}

Quality quality_of(const Context& context, const AccountRuntime& account) {
    Quality quality = Quality::confirmed;
    for (const std::size_t index : account.meters) {
        const MeterRuntime& meter = context.world.meters[index];
        if (meter.quarantine || meter.hold) return Quality::held;
        if (!meter.row->bus.empty() && meter.seen && !meter.online)
            quality = Quality::meter_offline;
    }
    return quality;
}

// Of the oldest figure that the balance rests on.
std::optional<UtcMs> as_of(const Context& context, const AccountRuntime& account) {
    std::optional<UtcMs> oldest;
    for (const std::size_t index : account.meters) {
        const MeterRuntime& meter = context.world.meters[index];
        if (!meter.last) continue;
        const UtcMs at = context.best(*meter.last);
        oldest = oldest ? std::min(*oldest, at) : at;
    }
    return oldest;
}

bool all_confirmed_this_run(const Context& context, const AccountRuntime& account) {
    return std::all_of(account.meters.begin(), account.meters.end(), [&](std::size_t index) {
        const MeterRuntime& meter = context.world.meters[index];
        return meter.confirmed_this_run || meter.row->bus.empty() || !meter.last;
    });
}

// Whether a meter that answers has not yet said in this run what was used since its last row. A
// dead one, or one whose reading is held, is not waited for.
bool is_catching_up(const Context& context, const AccountRuntime& account) {
    return std::any_of(account.meters.begin(), account.meters.end(), [&](std::size_t index) {
        const MeterRuntime& meter = context.world.meters[index];
        const bool silent = meter.seen && !meter.online;
        return is_polled(meter) && meter.last && !meter.confirmed_this_run && !silent &&
               !meter.quarantine && !meter.hold;
    });
}

// A top-up judges at once, but by figures of this run: right after a start it waits, with the
// account's meters asked soon, and is judged as a top-up once they have said what they used.
Mover judged_as(Context& context, AccountRuntime& account, Mover mover) {
    const bool fresh = mover == Mover::topup;
    if (!fresh && !account.topup_waits_since) return mover;
    const MonoMs since = account.topup_waits_since.value_or(context.now.mono_ms);
    account.topup_waits_since = since;
    if (!is_catching_up(context, account) || context.now.mono_ms - since >= kTopUpWaitMs) {
        account.topup_waits_since.reset();
        return Mover::topup;
    }
    if (fresh && context.poller != nullptr) {
        for (const std::size_t index : account.meters)
            context.poller->poll_soon(context.world.meters[index].row->meter);
    }
    return mover;
}

LevelInput level_input(const Context& context, const AccountRuntime& account, Mover mover) {
    LevelInput input;
    input.level = account.level;
    input.balance = account.balance;
    input.days_left = account.days_left;
    input.vacant = account.unit != nullptr && is_vacant(account.unit->status);
    input.topup = mover == Mover::topup;
    input.held = account.quality == Quality::held;
    input.may_clear = all_confirmed_this_run(context, account);
    input.catching_up = account.topup_waits_since.has_value();
    return input;
}

// What a screen shows of an account; where it is as it was, nothing is published.
auto figures_of(const AccountRuntime& account) {
    return std::tuple(account.balance, account.provisional, account.days_left, account.level,
                      account.quality, account.as_of, account.judged, account.preview);
}

// One day, or one meter, of an account on its way into the lines.
struct Posting {
    std::size_t account = 0;
    std::string cause;
    std::map<LineKey, std::vector<LinePartRow>> parts;
};

// The ladder counter and the rest of a tariff as the books keep them.
void put_counts(Context& context, const AccountRuntime& account, const Tariff& tariff,
                LocalDate day, bool rest_moved) {
    const LocalDate start = counter_start(tariff, day);
    // Without a ladder there is no period and nothing to count.
    if (start != LocalDate{1970, 1, 1})
        context.store.put_counter(
            {account.row->account, tariff.tariff, start, counter(account.settlement, tariff, day)});
    if (rest_moved)
        context.store.put_rest(
            {account.row->account, tariff.tariff, rest_of(account.settlement, tariff)});
}

// Of one stretch that is split inside a line gets one part.
void add_part(std::vector<LinePartRow>& parts, LinePartRow part) {
    const auto same = [&](const LinePartRow& one) {
        return one.meter == part.meter && one.to == part.to;
    };
    const auto found = std::find_if(parts.begin(), parts.end(), same);
    if (found == parts.end())
        parts.push_back(std::move(part));
    else
        found->quantity += part.quantity;
}

void accrue_freeze(Context& context, Posting& posting, std::size_t index, const Freeze& freeze) {
    AccountRuntime& account = context.world.accounts[posting.account];
    MeterRuntime& meter = context.world.meters[index];
    const LocalDate day = context.day_of(freeze.edge - 1);
    preview_use(context, context.world, account, meter, freeze.edge - 1,
                freeze.total - meter.mark.total);
    if (freeze.total > meter.mark.total && !is_before_live(account, day)) {
        need_lines(context, account, month_scope(day));
        std::vector<Share> shares;
        const Milli rest = meter.tariff ? rest_of(account.settlement, *meter.tariff) : Milli{};
        if (!accrue_use(context, account.settlement, meter, freeze.edge - 1,
                        freeze.total - meter.mark.total, &shares)) {
            if (!freeze.inside)
                context.store.pass_mark(account.row->account, meter.row->meter, freeze.reading);
            return;
        }
        for (const Share& share : shares)
            add_part(posting.parts[share.line],
                     {meter.row->meter, meter.mark.reading, freeze.reading, share.quantity});
        put_counts(context, account, *meter.tariff, day,
                   rest != rest_of(account.settlement, *meter.tariff));
    }
    meter.mark.total = freeze.total;
    if (freeze.inside) return;
    meter.mark.reading = freeze.reading;
    context.store.put_mark(meter.mark);
}

void write_posting(Context& context, Posting& posting, const std::vector<LineKey>& minimums) {
    AccountRuntime& account = context.world.accounts[posting.account];
    const auto put = [&](const LineKey& key) {
        return context.store.put_line(account.row->account, key, account.settlement.lines.at(key));
    };
    for (const auto& [key, parts] : posting.parts) {
        const std::int64_t line = put(key);
        for (const LinePartRow& part : parts) context.store.add_line_part(line, part);
    }
    for (const LineKey& key : minimums) put(key);
    if (!covers_ledger(account)) return;
    for (const Due& due : due(account.settlement)) {
        mark_posted(account.settlement, due);
        const std::int64_t line = put(due.key);
        const bool sealed = due.key.scope <= context.world.sealed_through;
        const auto entry = due.amount.count > 0 && !sealed ? charge_entry : correction_entry;
        book_entry(context, posting.account, entry(account.row->account, due, posting.cause), {},
                   line);
    }
}

// The minimum of the month that ends with that day, and what this posting takes from older ones.
std::vector<LineKey> minimums_of(Context& context, std::size_t index, std::optional<LocalDate> day,
                                 UtcMs edge) {
    AccountRuntime& account = context.world.accounts[index];
    std::vector<LineKey> moved = follow_minimums(context, account.settlement, account.lines_from);
    if (!day || day->day != days_in_month(day->year, day->month)) return moved;
    need_lines(context, account, month_scope(*day));
    for (LineKey& key : begin_minimums(context, index, *day, edge)) moved.push_back(std::move(key));
    return moved;
}

// What waits for staff gives no freeze; a settlement that waits would move the day's fees again.
bool day_ready(const Context& context, const AccountRuntime& account, UtcMs edge, bool waited) {
    if (context.store.is_settling(account.row->account)) return false;
    if (waited) return true;
    return std::all_of(account.meters.begin(), account.meters.end(), [&](std::size_t index) {
        const MeterRuntime& meter = context.world.meters[index];
        const bool expected = !meter.row->bus.empty() && meter.profile->traits.has_value() &&
                              (meter.online || !meter.seen) && !meter.quarantine && !meter.hold;
        return !expected || !meter.last || meter.settled_until >= edge;
    });
}

void post_day(Context& context, std::size_t index, LocalDate day, UtcMs edge) {
    AccountRuntime& account = context.world.accounts[index];
    const std::string cause = "day:" + format_date(day);
    account.posted_through = day;
    context.dirty_accounts.insert(index);
    if (!context.store.add_posting(account.row->account, cause)) return;
    struct MeterFreeze {
        std::size_t meter;
        Freeze freeze;
    };
    std::vector<MeterFreeze> freezes;
    for (const std::size_t meter_index : account.meters) {
        MeterRuntime& meter = context.world.meters[meter_index];
        while (!meter.unposted.empty() && meter.unposted.front().edge <= edge) {
            freezes.push_back({meter_index, meter.unposted.front()});
            meter.unposted.pop_front();
        }
    }
    std::sort(freezes.begin(), freezes.end(), [](const MeterFreeze& a, const MeterFreeze& b) {
        return std::tie(a.freeze.reading, a.freeze.edge) <
               std::tie(b.freeze.reading, b.freeze.edge);
    });
    Posting posting{index, cause, {}};
    for (const MeterFreeze& one : freezes) accrue_freeze(context, posting, one.meter, one.freeze);
    write_posting(context, posting, minimums_of(context, index, day, edge));
    post_fees(context, index, day, edge, true);
    const bool goes_live =
        account.row->live_from && context.zone.midnight(*account.row->live_from) <= edge;
    if (account.trial && goes_live) {
        account.trial = false;
        book_opening(context, index, *account.row->live_from);
    }
    account.lines_from =
        std::max(account.lines_from,
                 std::min(month_scope(day), lines_needed(context, context.world, account)));
    forget_settled(account.settlement, account.lines_from,
                   date_from_days(days_since_epoch(day) - kCountersDays));
    context.repriced.insert(index);
    context.urgent = true;
}

}  // namespace

std::string lines_needed(const Context& context, const World& world,
                         const AccountRuntime& account) {
    LocalDate oldest = context.day_of(context.clock.floor_ms());
    for (const std::size_t index : account.meters) {
        const MeterRuntime& meter = world.meters[index];
        if (!meter.marked) continue;
        oldest = std::min(oldest, context.day_of(time_of_rest(context, meter)));
        if (!meter.unposted.empty())
            oldest = std::min(oldest, context.day_of(meter.unposted.front().edge - 1));
    }
    return month_scope(oldest);
}

namespace {

// What the old system left it is booked once the clock is trusted, and until then what stands in
// the ledger is not what the household has.
bool awaits_opening(const AccountRuntime& account) {
    const auto& opening = account.row->opening_balance;
    return !account.opening_booked && !account.trial && opening && opening->count != 0;
}

}  // namespace

void reprice(Context& context, std::size_t index, Mover moved_by) {
    AccountRuntime& account = context.world.accounts[index];
    const Mover mover = judged_as(context, account, moved_by);
    const auto before = figures_of(account);
    if (context.writable)
        need_lines(context, account, lines_needed(context, context.world, account));
    std::vector<PendingPart> pending;
    const Settlement now = priced(context, account, std::nullopt, &pending);
    if (pending.empty() ? account.pending != nullptr
                        : account.pending == nullptr || *account.pending != pending) {
        account.pending =
            pending.empty() ? nullptr
                            : std::make_shared<const std::vector<PendingPart>>(std::move(pending));
        context.dirty_accounts.insert(index);
    }
    const bool ledgered = covers_ledger(account);
    account.balance = ledgered ? account.ledger - outstanding(now) : account.ledger;
    account.provisional = account.balance;
    for (const std::size_t meter_index : account.meters) {
        const MeterRuntime& meter = context.world.meters[meter_index];
        if (!ledgered || !meter.quarantine || meter.quarantine->total.count < 0) continue;
        const Settlement held =
            priced(context, account, std::pair(meter_index, meter.quarantine->total));
        // A register that fell would cost nothing; what it may give back, staff decide.
        account.provisional -= std::max(outstanding(held) - outstanding(now), Fen{});
    }
    account.preview = account.trial
                          ? std::optional(preview_balance(context, context.world, account))
                          : std::nullopt;
    if (!account.trial) account.trial_lines.reset();
    account.quality = quality_of(context, account);
    // One that was closed has no meter any more; it rests on what closed it.
    if (account.row->closed.empty()) account.as_of = as_of(context, account);
    account.days_left = ledgered ? days_left_of(context, account, now) : std::nullopt;
    account.judged = account.judged || account.ledger_seq != 0 || outstanding(now).count != 0;
    if (ledgered && account.judged && account.row->closed.empty() && context.writable &&
        !awaits_opening(account)) {
        const LevelJudgement judgement =
            judge_level(level_input(context, account, mover), thresholds_now(context, account));
        // What changes a level is kept, so that the books can show what the alert rests on.
        if (judgement.level != account.level)
            for (const std::size_t meter : account.meters) keep_last(context, meter);
        apply_level(context, index, judgement,
                    mover == Mover::topup        ? "topup"
                    : mover == Mover::correction ? "correction"
                                                 : "drift");
    }
    if (before == figures_of(account)) return;
    ++account.state_version;
    context.dirty_accounts.insert(index);
}

int level_if(const Context& context, std::size_t index, std::size_t meter, Milli total) {
    const AccountRuntime& account = context.world.accounts[index];
    if (!covers_ledger(account)) return account.level;
    LevelInput input = level_input(context, account, Mover::drift);
    input.balance = account.ledger - outstanding(priced(context, account, std::pair(meter, total)));
    return judge_level(input, thresholds_now(context, account)).level;
}

bool posts_days(const AccountRuntime& account) {
    return account.posted_through && account.row->billing != Billing::none &&
           account.row->closed.empty() && account.not_yet.empty();
}

namespace {

// The oldest day that has ended and is not posted; nothing where the account posts no days.
std::optional<LocalDate> next_ended_day(const AccountRuntime& account, LocalDate today) {
    if (!posts_days(account)) return std::nullopt;
    const std::int64_t day = days_since_epoch(*account.posted_through) + 1;
    if (day >= days_since_epoch(today)) return std::nullopt;
    return date_from_days(day);
}

UtcMs end_of(const Context& context, LocalDate day) {
    return context.zone.midnight(date_from_days(days_since_epoch(day) + 1));
}

}  // namespace

void post_ended_days(Context& context, std::size_t index, UtcMs until) {
    while (const auto day = next_ended_day(context.world.accounts[index], context.day_of(until)))
        post_day(context, index, *day, end_of(context, *day));
}

bool post_days(Context& context, MonoMs started_mono_ms, const Clock& clock,
               MonoMs deadline_mono_ms, std::size_t& next) {
    if (!context.clock.trusted() || !context.writable) return false;
    const std::size_t count = context.world.accounts.size();
    for (std::size_t looked = 0; looked < count; ++looked, ++next) {
        AccountRuntime& account = context.world.accounts[next %= count];
        while (const auto day = next_ended_day(account, context.day_of(context.now_ms()))) {
            const UtcMs edge = end_of(context, *day);
            const bool waited = context.now_ms() >= edge + kEdgeWaitMs &&
                                context.now.mono_ms - started_mono_ms >= kEdgeWaitMs;
            if (!day_ready(context, account, edge, waited)) break;
            post_day(context, next, *day, edge);
            if (clock.mono_ms() < deadline_mono_ms) continue;
            // After an outage of months one account alone has more days than a slice holds.
            ++next;
            return true;
        }
    }
    return false;
}

bool post_meters(Context& context, std::size_t index, const std::vector<std::size_t>& meters,
                 UtcMs up_to_edge, const std::string& cause, const std::string& key) {
    const std::string& account = context.world.accounts[index].row->account;
    if (!context.store.add_posting(account, key.empty() ? cause : key)) return false;
    Posting posting{index, cause, {}};
    for (const std::size_t meter_index : meters) {
        MeterRuntime& meter = context.world.meters[meter_index];
        while (!meter.unposted.empty() && meter.unposted.front().edge <= up_to_edge) {
            const Freeze freeze = meter.unposted.front();
            meter.unposted.pop_front();
            accrue_freeze(context, posting, meter_index, freeze);
        }
    }
    write_posting(context, posting, minimums_of(context, index, std::nullopt, up_to_edge));
    post_fees(context, index, context.day_of(up_to_edge - 1), up_to_edge, false);
    context.repriced.insert(index);
    context.urgent = true;
    return true;
}

}  // namespace gatehouse
