#include "daemon/engine/trial_book.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "daemon/core/settlement.hpp"
#include "daemon/engine/account_replay.hpp"

namespace gatehouse {
namespace {

// A trial that lasts longer shows its newest days.
constexpr std::int64_t kTrialDaysMax = 400;

// The ladder begins where the old system's stands, so that the preview is priced like its bills.
Settlement begun(const World& world, const AccountRuntime& account, LocalDate day) {
    Settlement lines;
    const std::vector<Milli>& used = account.row->opening_ladder;
    for (std::size_t i = 0; i < used.size() && i < account.row->tariffs.size(); ++i)
        for (const Tariff& tariff : world.registry->tariffs)
            if (tariff.tariff == account.row->tariffs[i] && version_on(tariff, day) != nullptr)
                seed_counter(lines, tariff, day, used[i]);
    return lines;
}

// What no version prices stays out of the preview, as it stays out of the lines.
void add(const Context& context, const World& world, Settlement& lines, const MeterRuntime& meter,
         UtcMs at, Milli quantity) {
    if (meter.tariff == nullptr || quantity.count <= 0) return;
    const Interval when = interval_at(at, world.calendar, context.zone, meter.persons);
    static_cast<void>(accrue(lines, *meter.tariff, when, month_scope(when.day), quantity));
}

bool is_trial_day(const AccountRuntime& account, LocalDate day) {
    return account.row->live_from && day < *account.row->live_from;
}

// By the tariffs that charge the account's meters now.
std::vector<const Tariff*> tariffs_with_fees(const World& world, const AccountRuntime& account) {
    std::vector<const Tariff*> tariffs;
    for (const std::size_t index : account.meters) {
        const Tariff* tariff = world.meters[index].tariff;
        const bool due = tariff != nullptr &&
                         std::any_of(tariff->versions.begin(), tariff->versions.end(),
                                     [](const TariffVersion& version) {
                                         return !version.fixed.empty() || version.minimum.count > 0;
                                     });
        if (due && std::find(tariffs.begin(), tariffs.end(), tariff) == tariffs.end())
            tariffs.push_back(tariff);
    }
    return tariffs;
}

// What those days bring beside the use: fees as fee_book charges them, and the line that brings a
// month up to its minimum, but not in the month in which the trial began.
Fen fees_of(const Tariff& tariff, LocalDate from, LocalDate through, Settlement& lines) {
    Fen fees;
    std::string month;  // whose fees are in
    for (std::int64_t day = days_since_epoch(from); day <= days_since_epoch(through); ++day) {
        const LocalDate date = date_from_days(day);
        const TariffVersion* version = version_on(tariff, date);
        if (version == nullptr) continue;
        const bool first = std::exchange(month, month_scope(date)) != month_scope(date);
        for (const FixedFee& fee : version->fixed)
            if (fee.per == FeePeriod::day || first) fees += fee.amount;
        const bool ends = date.day == days_in_month(date.year, date.month);
        if (ends && version->minimum.count > 0 && month_scope(from) != month)
            static_cast<void>(
                settle_minimum(lines, minimum_line(tariff, *version, month), version->minimum));
    }
    return fees;
}

// A figure of a meter on trial that is in its preview.
struct Past {
    std::size_t meter = 0;
    UtcMs edge = 0;
    Milli total;
    std::uint64_t reading = 0;
};

// In the order in which they were priced: day by day, within one as they were stored. What is not
// posted yet is added by the balance itself.
std::vector<Past> past_of_trials(Context& context, World& world) {
    std::vector<Past> past;
    std::map<std::size_t, std::uint64_t> first;  // row of each meter
    const std::int64_t today = days_since_epoch(context.day_of(context.now_ms()));
    for (const DayRow& row : context.store.load_days(today - kTrialDaysMax)) {
        const auto found = world.meter_index.find(row.meter);
        if (found == world.meter_index.end()) continue;
        const MeterRuntime& meter = world.meters[found->second];
        if (!meter.account || !world.accounts[*meter.account].trial || !meter.epoch) continue;
        if (row.reading > meter.mark.reading) continue;
        first.try_emplace(found->second, row.reading);
        past.push_back({found->second, context.zone.midnight(date_from_days(row.day + 1)),
                        row.total, row.reading});
    }
    for (const auto& [index, reading] : first) {
        const MeterRuntime& meter = world.meters[index];
        if (meter.tariff == nullptr || !has_bands(*meter.tariff)) continue;
        for (const SwitchRow& row : context.store.load_switches(meter.row->meter, 0))
            if (row.reading <= meter.mark.reading)
                past.push_back({index, row.edge, row.total, row.reading});
    }
    std::stable_sort(past.begin(), past.end(), [&](const Past& a, const Past& b) {
        return std::pair(context.day_of(a.edge - 1), a.reading) <
               std::pair(context.day_of(b.edge - 1), b.reading);
    });
    return past;
}

}  // namespace

void preview_use(const Context& context, const World& world, AccountRuntime& account,
                 const MeterRuntime& meter, UtcMs at, Milli quantity) {
    const LocalDate day = context.day_of(at);
    if (!account.trial || !is_trial_day(account, day)) return;
    if (!account.trial_lines)
        account.trial_lines =
            std::make_shared<TrialLines>(TrialLines{begun(world, account, day), day});
    account.trial_lines->from = std::min(account.trial_lines->from, day);
    add(context, world, account.trial_lines->lines, meter, at, quantity);
}

Fen preview_balance(const Context& context, const World& world, const AccountRuntime& account) {
    const LocalDate today = context.day_of(context.now_ms());
    Settlement lines =
        account.trial_lines ? account.trial_lines->lines : begun(world, account, today);
    for (const std::size_t index : account.meters) {
        const MeterRuntime& meter = world.meters[index];
        if (!meter.marked || !meter.last) continue;
        Milli before = meter.mark.total;
        for (const Freeze& freeze : meter.unposted) {
            add(context, world, lines, meter, freeze.edge - 1, freeze.total - before);
            before = std::max(before, freeze.total);
        }
        add(context, world, lines, meter, context.best(*meter.last), meter.last->total - before);
    }
    Fen fees;
    if (account.trial_lines && account.posted_through)
        for (const Tariff* tariff : tariffs_with_fees(world, account))
            fees += fees_of(*tariff, account.trial_lines->from, *account.posted_through, lines);
    return account.row->opening_balance.value_or(Fen{}) - outstanding(lines) - fees;
}

void load_previews(Context& context, World& world) {
    const bool any = std::any_of(world.accounts.begin(), world.accounts.end(),
                                 [](const AccountRuntime& account) { return account.trial; });
    if (!any) return;
    // By meter, where its use stands so far.
    std::map<std::size_t, Past> before;
    for (const Past& row : past_of_trials(context, world)) {
        const MeterRuntime& meter = world.meters[row.meter];
        AccountRuntime& account = world.accounts[*meter.account];
        const Milli base = std::min(meter.epoch->base_total, row.total);
        Past& from = before.try_emplace(row.meter, Past{row.meter, 0, base, 0}).first->second;
        // A price that came late has edges where no freeze stands.
        if (from.edge != 0 && meter.tariff != nullptr && row.total >= from.total) {
            const TotalLine stretch{from.edge, row.edge, from.total, row.total};
            for (const UtcMs edge : edges_within_day(*meter.tariff, from.edge, row.edge,
                                                     world.calendar, context.zone)) {
                const auto told =
                    line_told(context.store.account_books(), meter.row->meter, stretch, edge);
                const Milli total = std::max(from.total, told.value_or(stretch).at(edge));
                preview_use(context, world, account, meter, edge - 1, total - from.total);
                from.total = total;
            }
        }
        preview_use(context, world, account, meter, row.edge - 1, row.total - from.total);
        from = row;
    }
}

}  // namespace gatehouse
