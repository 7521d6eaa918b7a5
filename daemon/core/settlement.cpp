#include "daemon/core/settlement.hpp"

#include <algorithm>
#include <utility>

namespace gatehouse {
namespace {

constexpr Price kOne{100'000'000};        // 1.00
constexpr std::int64_t kMilliOfFen = 10;  // 0.01 at a price of 1.00

// What a quantity brings into the lines where whole steps alone are charged, and the rest after it.
struct Stepped {
    Milli entered, rest;
};
Stepped stepped(Milli rest, Milli quantity, Milli step) {
    const std::int64_t sum = rest.count + quantity.count;
    const std::int64_t entered = sum / step.count * step.count;
    return {Milli{entered}, Milli{sum - entered}};
}

// The lines that a quantity would move, each once.
std::vector<Share> plan(const Settlement& settlement, const LineKey& key, const Ladder& ladder,
                        const Band* band, Milli used, Milli quantity) {
    std::vector<Share> planned;
    const auto add = [&](const LineKey& line, Price price, Milli taken) {
        const auto found = settlement.lines.find(line);
        Line before{price, Milli{}, Fen{}};
        if (found != settlement.lines.end()) before = found->second;
        planned.push_back({line, before, taken});
    };
    if (band != nullptr && quantity.count > 0) {
        LineKey line = key;
        line.band = band->name;
        line.tier = 0;
        add(line, band->price, quantity);
    }
    for (const TierPart& part : split(ladder, used, quantity)) {
        LineKey line = key;
        line.season = ladder.season;
        line.tier = part.tier;
        add(line, part.price, part.quantity);
    }
    return planned;
}

Milli counter_of(const Settlement& settlement, const Settlement::CounterKey& name) {
    const auto found = settlement.counters.find(name);
    return found == settlement.counters.end() ? Milli{} : found->second;
}

}  // namespace

std::string month_scope(LocalDate date) {
    return format_date(date).substr(0, 7);
}

Accrual accrue(Settlement& settlement, const Tariff& tariff, const Interval& when,
               const std::string& scope, Milli quantity, std::vector<Share>* shares) {
    GH_ASSERT(quantity.count >= 0);
    const TariffVersion* version = version_on(tariff, when.day);
    if (version == nullptr) return Accrual::no_price;
    if (quantity.count == 0) return Accrual::ok;
    const Band* band = band_at(*version, when);
    const Ladder ladder = ladder_in(*version, when.day.month, when.persons);
    if (version->bands.empty() ? ladder.steps.empty() : band == nullptr) return Accrual::no_price;
    if (quantity > kQuantityMax) return Accrual::too_much;
    const Stepped step = stepped(rest_of(settlement, tariff), quantity, version->quantity_step);
    const Settlement::CounterKey name{tariff.tariff, counter_start(tariff, when.day)};
    const Milli used = counter_of(settlement, name);
    if (step.entered > kQuantityMax || used > kQuantityMax - step.entered) return Accrual::too_much;
    const LineKey key{tariff.service, scope, tariff.tariff, version->valid_from, "", "", 0};
    std::vector<Share> planned = plan(settlement, key, ladder, band, used, step.entered);
    for (const Share& share : planned)
        if (share.before.quantity > kQuantityMax - share.quantity) return Accrual::too_much;
    for (const Share& share : planned) {
        Line& line = settlement.lines[share.line];
        line = share.before;
        line.quantity += share.quantity;
    }
    settlement.counters[name] = used + step.entered;
    if (step.rest.count != 0)
        settlement.rests[tariff.tariff] = step.rest;
    else
        settlement.rests.erase(tariff.tariff);
    if (shares != nullptr)
        shares->insert(shares->end(), std::make_move_iterator(planned.begin()),
                       std::make_move_iterator(planned.end()));
    return Accrual::ok;
}

Milli rest_of(const Settlement& settlement, const Tariff& tariff) {
    const auto found = settlement.rests.find(tariff.tariff);
    return found == settlement.rests.end() ? Milli{} : found->second;
}

Milli counter(const Settlement& settlement, const Tariff& tariff, LocalDate day) {
    return counter_of(settlement, {tariff.tariff, counter_start(tariff, day)});
}

void seed_counter(Settlement& settlement, const Tariff& tariff, LocalDate day, Milli used) {
    settlement.counters[{tariff.tariff, counter_start(tariff, day)}] = used;
}

LineKey minimum_line(const Tariff& tariff, const TariffVersion& version, const std::string& scope) {
    return {tariff.service, scope, tariff.tariff, version.valid_from, "", kMinimumBand, 0};
}

bool settle_minimum(Settlement& settlement, const LineKey& key, Fen minimum) {
    GH_ASSERT(is_minimum(key) && minimum <= kFeeMax);
    Fen others;
    for (const auto& [other, line] : settlement.lines)
        if (other.scope == key.scope && other.tariff == key.tariff && !is_minimum(other))
            others += target(line);
    const Fen missing = std::max(minimum - others, Fen{});
    const Milli quantity{missing.count * kMilliOfFen};
    const auto found = settlement.lines.find(key);
    if (found == settlement.lines.end() ? quantity.count == 0 : found->second.quantity == quantity)
        return false;
    Line& line = settlement.lines[key];
    line.price = kOne;
    line.quantity = quantity;
    return true;
}

std::vector<Due> due(const Settlement& settlement) {
    std::vector<Due> result;
    for (const auto& [key, line] : settlement.lines) {
        const Fen aim = target(line);
        if (aim != line.posted)
            result.push_back({key, line.price, line.quantity, aim, aim - line.posted});
    }
    return result;
}

Fen outstanding(const Settlement& settlement) {
    Fen sum;
    for (const auto& [key, line] : settlement.lines) sum += target(line) - line.posted;
    return sum;
}

void mark_posted(Settlement& settlement, const Due& posted) {
    const auto line = settlement.lines.find(posted.key);
    GH_ASSERT(line != settlement.lines.end());
    line->second.posted += posted.amount;
}

void forget_settled(Settlement& settlement, const std::string& scope, LocalDate counters_before) {
    std::erase_if(settlement.lines, [&](const auto& item) {
        return item.first.scope < scope && target(item.second) == item.second.posted;
    });
    std::erase_if(settlement.counters, [&](const auto& item) {
        return item.first.second < counters_before && item.first.second != LocalDate{1970, 1, 1};
    });
}

Milli total_at_edge(Milli total0, UtcMs t0, Milli total1, UtcMs t1, UtcMs edge) {
    GH_ASSERT(total1 >= total0);
    if (edge <= t0) return total0;
    if (edge >= t1) return total1;
    const Int128 moved = Int128{(total1 - total0).count} * (edge - t0) / (t1 - t0);
    return total0 + Milli{static_cast<std::int64_t>(moved)};
}

}  // namespace gatehouse
