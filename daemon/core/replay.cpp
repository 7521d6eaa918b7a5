#include "daemon/core/replay.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace gatehouse {
namespace {

struct MeterReplay {
    UtcMs at = 0;
    Milli total;
    ReplayTerms terms;
    std::vector<std::pair<UtcMs, std::string>> tariffs;  // from when on which, ascending seq
};

class Replay {
  public:
    Replay(const ReplayAccount& account, const TariffLookup& tariffs, const Calendar& calendar,
           const Zone& zone)
        : account_(account), tariffs_(tariffs), calendar_(calendar), zone_(zone) {}

    Replayed run() {
        for (const ReplaySeed& seed : account_.seeds)
            if (const Tariff* tariff = tariffs_(seed.tariff);
                tariff != nullptr && version_on(*tariff, seed.day) != nullptr)
                seed_counter(out_.settlement, *tariff, seed.day, seed.used);
        for (const ReplayRow& row : account_.rows) take(row);
        for (const LocalDate day : account_.months_ended) end_month(day);
        return std::move(out_);
    }

  private:
    void take(const ReplayRow& row) {
        const auto found = meters_.find(row.meter);
        MeterReplay& meter = found == meters_.end() ? meters_[row.meter] : found->second;
        const Tariff* tariff = tariffs_(meter.terms.tariff);
        if (found != meters_.end() && tariff != nullptr && !charge(meter, *tariff, row)) return;
        meter.at = row.at;
        meter.total = row.total;
        if (!row.terms) return;
        meter.terms = *row.terms;
        meter.tariffs.emplace_back(row.at, row.terms->tariff);
    }

    // False where some of it could not be priced; the meter then stays where the priced part ends.
    bool charge(MeterReplay& meter, const Tariff& tariff, const ReplayRow& row) {
        if (row.total <= meter.total) return true;
        const UtcMs from = meter.at;
        const Milli begin = meter.total;
        for (const UtcMs edge : edges_between(tariff, from, row.at)) {
            const Milli total = total_at_edge(begin, from, row.total, row.at, edge);
            if (!price(meter, tariff, edge, total, row.reading)) return false;
        }
        return price(meter, tariff, std::max(row.at, from), row.total, row.reading);
    }

    bool price(MeterReplay& meter, const Tariff& tariff, UtcMs edge, Milli total,
               std::uint64_t reading) {
        const Interval when = interval_at(edge - 1, calendar_, zone_, meter.terms.persons);
        const bool live = !account_.live_from || when.day >= *account_.live_from;
        if (live && accrue(out_.settlement, tariff, when, month_scope(when.day),
                           total - meter.total) != Accrual::ok) {
            if (out_.unpriced == 0) out_.unpriced = reading;
            return false;
        }
        meter.at = edge;
        meter.total = total;
        return true;
    }

    // Midnights and edges of bands strictly between two instants.
    std::vector<UtcMs> edges_between(const Tariff& tariff, UtcMs from, UtcMs to) const {
        std::vector<UtcMs> edges;
        const auto add = [&](UtcMs edge) {
            if (edge > from && edge < to) edges.push_back(edge);
        };
        const std::int64_t last = days_since_epoch(zone_.local(to).date);
        for (std::int64_t day = days_since_epoch(zone_.local(from).date); day <= last; ++day) {
            const LocalDate date = date_from_days(day);
            add(zone_.midnight(date));
            for (const UtcMs edge : band_edges(tariff, date, calendar_, zone_)) add(edge);
        }
        return edges;
    }

    void end_month(LocalDate last_day) {
        const UtcMs edge = zone_.midnight(date_from_days(days_since_epoch(last_day) + 1));
        for (const auto& [id, meter] : meters_) {
            const auto next =
                std::find_if(meter.tariffs.begin(), meter.tariffs.end(),
                             [&](const auto& change) { return change.first >= edge; });
            if (next == meter.tariffs.begin()) continue;
            const Tariff* tariff = tariffs_(std::prev(next)->second);
            const TariffVersion* version =
                tariff == nullptr ? nullptr : version_on(*tariff, last_day);
            if (version == nullptr || version->minimum.count == 0) continue;
            settle_minimum(out_.settlement, minimum_line(*tariff, *version, month_scope(last_day)),
                           version->minimum);
        }
    }

    const ReplayAccount& account_;
    const TariffLookup& tariffs_;
    const Calendar& calendar_;
    const Zone& zone_;
    std::map<std::string, MeterReplay> meters_;
    Replayed out_;
};

}  // namespace

Replayed replay(const ReplayAccount& account, const TariffLookup& tariffs, const Calendar& calendar,
                const Zone& zone) {
    return Replay(account, tariffs, calendar, zone).run();
}

void carry_posted(Settlement& replayed, const Settlement& stored) {
    for (const auto& [key, line] : stored.lines) {
        const auto place = replayed.lines.try_emplace(key, Line{line.price, Milli{}, Fen{}}).first;
        place->second.posted = line.posted;
    }
}

}  // namespace gatehouse
