#include "daemon/engine/fee_book.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "daemon/core/ledger.hpp"
#include "daemon/engine/account_book.hpp"

namespace gatehouse {
namespace {

LocalDate last_of_month(LocalDate day) {
    return {day.year, day.month, days_in_month(day.year, day.month)};
}

LocalDate day_before(LocalDate day, int days = 1) {
    return date_from_days(days_since_epoch(day) - days);
}

// What a change of the registry that no sample has passed says of that instant.
const Tariff* tariff_by_registry(const Context& context, const MeterRuntime& meter,
                                 const AccountRuntime& account, UtcMs edge) {
    const auto change =
        std::find_if(meter.edges.begin(), meter.edges.end(),
                     [&](const PendingEdgeRow& one) { return context.best(one.at) >= edge; });
    if (change != meter.edges.end())
        return change->account == account.row->account ? find_tariff(context.world, change->tariff)
                                                       : nullptr;
    const Charging& charging = meter.by_registry;
    if (!charging.account) return nullptr;
    return &context.world.accounts[*charging.account] == &account ? charging.tariff : nullptr;
}

// The tariff that charged the meter for this account up to that instant, whatever was passed since;
// null where none did.
const Tariff* tariff_before(const Context& context, const AccountBooks::ChargedMeter& charged,
                            const AccountRuntime& account, UtcMs edge) {
    const auto found = context.world.meter_index.find(charged.meter);
    if (found == context.world.meter_index.end()) return nullptr;
    const MeterRuntime& meter = context.world.meters[found->second];
    const auto at = [&](const auto& row) {
        return row.stands_at ? *row.stands_at : context.best(row.at);
    };
    const bool changed = !meter.edges.empty() && context.best(meter.edges.front().at) < edge;
    if (changed || charged.terms.empty())
        return meter.marked ? tariff_by_registry(context, meter, account, edge) : nullptr;
    const auto terms = std::find_if(charged.terms.rbegin(), charged.terms.rend(),
                                    [&](const TermsRow& one) { return at(one) < edge; });
    if (terms == charged.terms.rend() || terms->account != account.row->account) return nullptr;
    const bool goes_on = terms == charged.terms.rbegin() && meter.marked &&
                         meter.mark.account == account.row->account;
    return goes_on || at(charged) >= edge ? find_tariff(context.world, terms->tariff) : nullptr;
}

std::vector<const Tariff*> tariffs_before(const Context& context, const AccountRuntime& account,
                                          UtcMs edge) {
    std::vector<const Tariff*> tariffs;
    const auto add = [&](const Tariff* tariff) {
        if (tariff != nullptr && std::find(tariffs.begin(), tariffs.end(), tariff) == tariffs.end())
            tariffs.push_back(tariff);
    };
    for (const auto& meter : context.store.account_books().charged_meters(account.row->account))
        add(tariff_before(context, meter, account, edge));
    // What a change of the registry brought is due from that change on, and waits for no dead
    // meter.
    for (const MeterRuntime& meter : context.world.meters)
        if (!meter.edges.empty() && context.best(meter.edges.front().at) < edge)
            add(tariff_by_registry(context, meter, account, edge));
    return tariffs;
}

std::string fee_cause(const Tariff& tariff, const FixedFee& fee, LocalDate day) {
    return "fee:" + tariff.tariff + "/" + fee.name + "/" +
           (fee.per == FeePeriod::month ? month_scope(day) : format_date(day));
}

}  // namespace

bool covers_ledger(const AccountRuntime& account) {
    return account.row->billing == Billing::prepaid && !account.trial && account.not_yet.empty();
}

bool is_before_live(const AccountRuntime& account, LocalDate day) {
    return account.row->live_from && day < *account.row->live_from;
}

bool was_open_on(Context& context, const AccountRuntime& account, LocalDate day) {
    if (is_before_live(account, day) || !account.posted_through) return false;
    if (day > *account.posted_through) return true;
    return context.store.posted(account.row->account, "day:" + format_date(day_before(day)));
}

void post_fees(Context& context, std::size_t index, LocalDate day, UtcMs edge, bool daily) {
    AccountRuntime& account = context.world.accounts[index];
    // The last day of a trial is posted when the account is live already; it costs nothing.
    if (!covers_ledger(account) || is_before_live(account, day) ||
        !was_open_on(context, account, last_of_month(day)))
        return;
    for (const Tariff* tariff : tariffs_before(context, account, edge)) {
        const TariffVersion* version = version_on(*tariff, day);
        if (version == nullptr) continue;
        for (const FixedFee& fee : version->fixed) {
            if (fee.amount.count == 0 || (fee.per == FeePeriod::day && !daily)) continue;
            const std::string cause = fee_cause(*tariff, fee, day);
            if (!context.store.add_posting(account.row->account, cause)) continue;
            book_entry(context, index, fee_entry(account.row->account, fee.amount, cause), {});
        }
        MonthFees& month = account.month_fees[tariff->tariff];
        if (month_scope(day) >= month.month) month = {month_scope(day), true};
    }
}

Fen fees_of_closing(Context& context, std::size_t index, UtcMs at) {
    const AccountRuntime& account = context.world.accounts[index];
    const LocalDate day = context.day_of(at - 1);
    Fen sum;
    if (!covers_ledger(account) || is_before_live(account, day) ||
        !was_open_on(context, account, last_of_month(day)))
        return sum;
    for (const Tariff* tariff : tariffs_before(context, account, at)) {
        const TariffVersion* version = version_on(*tariff, day);
        if (version == nullptr) continue;
        for (const FixedFee& fee : version->fixed)
            if (fee.per == FeePeriod::month &&
                !context.store.posted(account.row->account, fee_cause(*tariff, fee, day)))
                sum += fee.amount;
    }
    return sum;
}

bool month_fees_due(Context& context, AccountRuntime& account, const Tariff& tariff,
                    LocalDate day) {
    const TariffVersion* version = version_on(tariff, day);
    if (version == nullptr) return false;
    const auto fee = std::find_if(
        version->fixed.begin(), version->fixed.end(),
        [](const FixedFee& one) { return one.per == FeePeriod::month && one.amount.count != 0; });
    if (fee == version->fixed.end()) return false;
    MonthFees& known = account.month_fees[tariff.tariff];
    if (known.month == month_scope(day)) return !known.posted;
    // While the store fails nothing is asked of it; the forecast is a fee off at most.
    if (!context.writable) return false;
    known = {month_scope(day),
             context.store.posted(account.row->account, fee_cause(tariff, *fee, day))};
    return !known.posted;
}

std::vector<LineKey> begin_minimums(Context& context, std::size_t index, LocalDate last_day,
                                    UtcMs edge) {
    AccountRuntime& account = context.world.accounts[index];
    std::vector<LineKey> moved;
    // Not in the month in which the account was opened.
    if (!was_open_on(context, account, day_before(last_day, last_day.day))) return moved;
    for (const Tariff* tariff : tariffs_before(context, account, edge)) {
        // Whatever the minimum is now: a version may come late.
        context.store.add_month_tariff(
            {month_scope(last_day), account.row->account, tariff->tariff});
        const TariffVersion* version = version_on(*tariff, last_day);
        if (version == nullptr || version->minimum.count == 0) continue;
        const LineKey key = minimum_line(*tariff, *version, month_scope(last_day));
        if (settle_minimum(account.settlement, key, version->minimum)) moved.push_back(key);
    }
    return moved;
}

std::vector<LineKey> follow_minimums(const Context& context, Settlement& settlement,
                                     const std::string& from_scope) {
    std::vector<LineKey> minimums, moved;
    for (const auto& [key, line] : settlement.lines)
        if (is_minimum(key) && key.scope >= from_scope) minimums.push_back(key);
    for (const LineKey& key : minimums) {
        const Tariff* tariff = find_tariff(context.world, key.tariff);
        const auto month = parse_date(key.scope + "-01");
        if (tariff == nullptr || !month) continue;
        // A version that came late has taken the place of the one whose line it was.
        const TariffVersion* version = version_on(*tariff, last_of_month(*month));
        if (version == nullptr || version->valid_from != key.version) continue;
        if (settle_minimum(settlement, key, version->minimum)) moved.push_back(key);
    }
    return moved;
}

FeeSums fees_by(const Context& context, std::size_t index,
                const std::vector<AccountReplay::Stretch>& stretches, const TariffLookup& tariffs,
                LocalDate from, const FeesUntil& until) {
    FeeSums sums;
    const AccountRuntime& account = context.world.accounts[index];
    if (!account.posted_through) return sums;
    const LocalDate last =
        std::min(*account.posted_through, until.posted.value_or(*account.posted_through));
    // A meter that is still charged to the account is charged on from its newest step.
    std::map<std::string, std::size_t> newest;
    for (std::size_t i = 0; i < stretches.size(); ++i) newest[stretches[i].meter] = i;
    const auto goes_on = [&](std::size_t i) {
        const auto meter = context.world.meter_index.find(stretches[i].meter);
        return newest.at(stretches[i].meter) == i && meter != context.world.meter_index.end() &&
               context.world.meters[meter->second].marked &&
               context.world.meters[meter->second].account == index;
    };
    std::set<std::string> months;  // whose fees are in, by tariff
    const auto begins = [&](const std::string& tariff, LocalDate date) {
        return months.insert(tariff + "/" + month_scope(date)).second;
    };
    // A month's fee is that of its first day, whatever comes within it.
    from.day = 1;
    for (std::int64_t day = days_since_epoch(from); day <= days_since_epoch(last); ++day) {
        const LocalDate date = date_from_days(day);
        if (is_before_live(account, date)) continue;
        const UtcMs edge = context.zone.midnight(date_from_days(day + 1));
        std::set<std::string> charged;
        for (std::size_t i = 0; i < stretches.size(); ++i)
            if (stretches[i].from < edge && (stretches[i].to >= edge || goes_on(i)))
                charged.insert(stretches[i].tariff);
        for (const std::string& id : charged) {
            const Tariff* tariff = tariffs(id);
            const TariffVersion* version = tariff ? version_on(*tariff, date) : nullptr;
            if (version == nullptr) continue;
            const bool first = begins(id, date);
            for (const FixedFee& fee : version->fixed)
                if ((fee.per == FeePeriod::day || first) &&
                    !(until.end && is_after_end(context, fee.per, date, *until.end)))
                    sums[{id, fee.name}] += fee.amount;
        }
    }
    // On the first of a month a change, a late reading or a meter's end may have brought its fee
    // before any of its days was posted.
    const LocalDate open = date_from_days(days_since_epoch(last) + 1);
    if (until.posted || open.day != 1 || open < from) return sums;
    const UtcMs begin = context.zone.midnight(open);
    for (std::size_t i = 0; i < stretches.size(); ++i) {
        if (stretches[i].to <= begin && !goes_on(i)) continue;
        const std::string& id = stretches[i].tariff;
        const Tariff* tariff = tariffs(id);
        const TariffVersion* version = tariff ? version_on(*tariff, open) : nullptr;
        if (version == nullptr || !begins(id, open)) continue;
        for (const FixedFee& fee : version->fixed)
            if (fee.per == FeePeriod::month &&
                context.store.posted(account.row->account, fee_cause(*tariff, fee, open)))
                sums[{id, fee.name}] += fee.amount;
    }
    return sums;
}

bool is_after_end(const Context& context, FeePeriod per, LocalDate day, UtcMs end) {
    return per == FeePeriod::month ? month_scope(day) > month_scope(context.day_of(end - 1))
                                   : day >= context.day_of(end);
}

}  // namespace gatehouse
