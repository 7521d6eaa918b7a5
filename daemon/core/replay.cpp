#include "daemon/core/replay.hpp"

#include <algorithm>
#include <utility>

namespace gatehouse {
namespace {

// A version may find several parts of one stretch for the same line; people see one.
void add_part(std::vector<ReplayPart>& parts, ReplayPart part) {
    for (auto one = parts.rbegin(); one != parts.rend() && one->to == part.to; ++one) {
        if (one->meter != part.meter) continue;
        one->quantity += part.quantity;
        return;
    }
    parts.push_back(std::move(part));
}

template <class Map>
std::vector<typename Map::key_type> keys_of_both(const Map& a, const Map& b) {
    std::vector<typename Map::key_type> keys;
    for (const auto& [key, value] : a) keys.push_back(key);
    for (const auto& [key, value] : b)
        if (!a.contains(key)) keys.push_back(key);
    std::sort(keys.begin(), keys.end());
    return keys;
}

template <class Map>
Milli quantity_of(const Map& map, const typename Map::key_type& key) {
    const auto found = map.find(key);
    return found == map.end() ? Milli{} : found->second;
}

std::string by_readings(Milli replayed, Milli stored) {
    return "the readings come to " + format(replayed) + " and " + format(stored) + " stands there";
}

}  // namespace

std::vector<UtcMs> edges_within_day(const Tariff& tariff, UtcMs from, UtcMs to,
                                    const Calendar& calendar, const Zone& zone) {
    std::vector<UtcMs> edges;
    if (from >= to || !has_bands(tariff)) return edges;
    const LocalDate day = zone.local(from).date;
    if (day != zone.local(to - 1).date) return edges;
    for (const UtcMs edge : band_edges(tariff, day, calendar, zone))
        if (edge > from && edge < to) edges.push_back(edge);
    return edges;
}

Replay::Replay(TariffLookup tariffs, const Calendar& calendar, const Zone& zone,
               std::optional<LocalDate> live_from, FigureAt figure_at)
    : tariffs_(std::move(tariffs)),
      calendar_(calendar),
      zone_(zone),
      live_from_(live_from),
      figure_at_(std::move(figure_at)) {}

void Replay::seed(const ReplaySeed& seed) {
    const Tariff* tariff = tariffs_(seed.tariff);
    if (tariff == nullptr || version_on(*tariff, seed.day) == nullptr) return;
    if (seed.start && counter_start(*tariff, seed.day) != *seed.start) return;
    seed_counter(out_.settlement, *tariff, seed.day, seed.used);
}

void Replay::take(const ReplayRow& row) {
    const auto [found, fresh] = meters_.try_emplace(row.meter);
    MeterReplay& meter = found->second;
    ReplayMark& mark = out_.marks[row.meter];
    const Tariff* tariff = fresh || row.begins ? nullptr : tariffs_(meter.terms.tariff);
    if (tariff != nullptr && row.total > mark.total)
        charge(meter, mark, *tariff, row);
    else
        mark = {row.reading, row.total};
    meter.at = row.at;
    meter.seen = row.total;
    if (row.terms) meter.terms = *row.terms;
}

void Replay::charge(MeterReplay& meter, ReplayMark& mark, const Tariff& tariff,
                    const ReplayRow& row) {
    if (row.total >= meter.seen) {
        const ReplayStretch stretch{meter.at, meter.seen, row};
        Milli reached = meter.seen;
        for (const UtcMs edge : edges_within_day(tariff, meter.at, row.at, calendar_, zone_)) {
            // A figure of the ends may have been corrected since the one between was kept.
            reached = std::clamp(total_at(stretch, edge), reached, row.total);
            static_cast<void>(price(meter, mark, tariff, edge, reached, row));
        }
    }
    if (price(meter, mark, tariff, row.at, row.total, row)) mark.reading = row.reading;
}

Milli Replay::total_at(const ReplayStretch& stretch, UtcMs edge) const {
    const std::optional<Milli> known = figure_at_ ? figure_at_(stretch, edge) : std::nullopt;
    const ReplayRow& to = stretch.to;
    return known ? *known : total_at_edge(stretch.from_total, stretch.from, to.total, to.at, edge);
}

// False where it has no price: the mark then stays where the priced part ends.
bool Replay::price(const MeterReplay& meter, ReplayMark& mark, const Tariff& tariff, UtcMs edge,
                   Milli total, const ReplayRow& row) {
    const Interval when = interval_at(edge - 1, calendar_, zone_, meter.terms.persons);
    const Milli quantity = total - mark.total;
    if (quantity.count <= 0) return true;
    if (!live_from_ || when.day >= *live_from_) {
        std::vector<Share> shares;
        if (accrue(out_.settlement, tariff, when, month_scope(when.day), quantity, &shares) !=
            Accrual::ok) {
            if (out_.unpriced == 0) out_.unpriced = row.reading;
            return false;
        }
        for (const Share& share : shares)
            add_part(out_.parts[share.line],
                     {row.meter, mark.reading, row.reading, share.quantity});
    }
    mark.total = total;
    return true;
}

void Replay::end_month(const ReplayMonth& month) {
    const Tariff* tariff = tariffs_(month.tariff);
    const TariffVersion* version = tariff ? version_on(*tariff, month.last_day) : nullptr;
    if (version == nullptr || version->minimum.count == 0) return;
    settle_minimum(out_.settlement, minimum_line(*tariff, *version, month_scope(month.last_day)),
                   version->minimum);
}

Replayed replay(const ReplayAccount& account, const TariffLookup& tariffs, const Calendar& calendar,
                const Zone& zone) {
    Replay one(tariffs, calendar, zone, account.live_from);
    for (const ReplaySeed& seed : account.seeds) one.seed(seed);
    for (const ReplayRow& row : account.rows) one.take(row);
    for (const ReplayMonth& month : account.months_ended) one.end_month(month);
    return std::move(one.result());
}

void carry_posted(Settlement& replayed, const Settlement& stored) {
    for (const auto& [key, line] : stored.lines) {
        const auto place = replayed.lines.try_emplace(key, Line{line.price, Milli{}, Fen{}}).first;
        place->second.posted = line.posted;
    }
}

std::optional<ReplayFault> replay_fault(const Settlement& replayed, const Settlement& stored) {
    for (const LineKey& key : keys_of_both(replayed.lines, stored.lines)) {
        const auto a = replayed.lines.find(key), b = stored.lines.find(key);
        const Line none;
        const Line& right = a == replayed.lines.end() ? none : a->second;
        const Line& there = b == stored.lines.end() ? none : b->second;
        if (right.quantity != there.quantity)
            return ReplayFault{key, by_readings(right.quantity, there.quantity)};
        if (right.quantity.count != 0 && right.price != there.price)
            return ReplayFault{key, "its price is " + format(right.price) + " and " +
                                        format(there.price) + " was charged"};
    }
    for (const auto& key : keys_of_both(replayed.counters, stored.counters)) {
        if (key.second == LocalDate{1970, 1, 1}) continue;  // without a ladder nothing is counted
        const Milli right = quantity_of(replayed.counters, key);
        const Milli there = quantity_of(stored.counters, key);
        if (right != there)
            return ReplayFault{{},
                               "ladder counter of tariff " + key.first + " from " +
                                   format_date(key.second) + ": " + by_readings(right, there)};
    }
    for (const auto& key : keys_of_both(replayed.rests, stored.rests)) {
        const Milli right = quantity_of(replayed.rests, key);
        const Milli there = quantity_of(stored.rests, key);
        if (right != there)
            return ReplayFault{{}, "rest of tariff " + key + ": " + by_readings(right, there)};
    }
    return std::nullopt;
}

}  // namespace gatehouse
