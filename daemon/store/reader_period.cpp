// Months as read: what closing writes into their files, and the files.
#include <algorithm>
#include <map>

#include "daemon/core/assert.hpp"
#include "daemon/store/chain.hpp"
#include "daemon/store/reader_impl.hpp"

namespace gatehouse {

using sql::Query;

namespace {

constexpr std::int64_t kDayMs = 86'400'000;
constexpr std::int64_t kWalkBackMaxDays = 4'000;  // as long as days are kept

struct Epoch {
    PeriodMeter::Row row;  // start is the figure on which it began, end that of its end
};

Milli face_of(Milli figure, const std::string& multiplier) {
    const auto ratio = parse_rational(multiplier);
    if (!ratio || ratio->numerator <= 0) return figure;
    const auto face = multiply({figure.count, 1'000}, {ratio->denominator, ratio->numerator});
    return face ? round_to_milli(*face).value_or(figure) : figure;
}

}  // namespace

std::vector<StoredPeriod> StoreReader::periods() {
    const Impl::Moment moment(*impl_);
    std::vector<StoredPeriod> periods;
    {
        Query query(impl_->connection,
                    "SELECT month,state,closed_by,event,last_entry,last_reading FROM period "
                    "ORDER BY month");
        while (query.step()) periods.push_back({store::period_columns(query), {}, {}});
    }
    for (StoredPeriod& period : periods) {
        if (period.row.event != 0) {
            Query query(impl_->connection, "SELECT run,mono_ms,skew_ms FROM event WHERE seq=?");
            query << period.row.event;
            if (query.step())
                period.closed_at = impl_->times.time(store::stamp_columns(query, impl_->bases));
        }
        Query query(impl_->connection,
                    "SELECT name,sha256,bytes FROM period_file WHERE month=? ORDER BY name");
        query << period.row.month;
        while (query.step()) {
            PeriodFile file;
            file.name = query.text();
            file.sha256 = store::hex(query.bytes());
            file.bytes = query.u64();
            period.files.push_back(std::move(file));
        }
    }
    return periods;
}

std::optional<PeriodFile> StoreReader::period_file(const std::string& month,
                                                   const std::string& name) {
    const Impl::Moment moment(*impl_);
    Query query(impl_->connection, "SELECT sha256,bytes FROM period_file WHERE month=? AND name=?");
    query << month << name;
    if (!query.step()) return std::nullopt;
    PeriodFile file;
    file.name = name;
    file.sha256 = store::hex(query.bytes());
    file.bytes = query.u64();
    Query parts(impl_->connection,
                "SELECT deflated FROM period_content WHERE month=? AND name=? ORDER BY n");
    parts << month << name;
    while (parts.step()) file.deflated += parts.bytes();
    return file;
}

std::string StoreReader::oldest_month() {
    const Impl::Moment moment(*impl_);
    return store::oldest_month(impl_->connection);
}

std::vector<PeriodMeter> StoreReader::period_meters(std::int64_t first_day, std::int64_t last_day,
                                                    UtcMs from, UtcMs to,
                                                    std::uint64_t last_reading) {
    const Impl::Moment moment(*impl_);
    sql::Connection& connection = impl_->connection;
    // By epoch: when people say that its meter was put in, and not when they typed it.
    std::map<std::int64_t, UtcMs> put_in;
    {
        Query query(connection,
                    "SELECT new_epoch,at_ms FROM replacement p WHERE EXISTS(SELECT 1 FROM "
                    "meter_context x JOIN reading r INDEXED BY reading_rare ON r.context=x.id "
                    "WHERE x.meter=p.meter AND x.epoch=p.new_epoch AND r.kind>2 AND r.seq<=?)");
        query << last_reading;
        while (query.step()) {
            const std::int64_t epoch = query.i64();
            put_in[epoch] = query.i64();
        }
    }
    std::map<std::int64_t, std::vector<Epoch>> epochs;  // by meter, in order of id
    {
        Query query(connection,
                    "SELECT meter,id,serial,multiplier,base_total,base_figure,opened_run,"
                    "opened_mono_ms,opened_wall_ms,closed_run,closed_mono_ms,closed_wall_ms,"
                    "final_register FROM epoch ORDER BY meter,id");
        while (query.step()) {
            std::vector<Epoch>& list = epochs[query.i64()];
            Epoch epoch;
            epoch.row.epoch = query.i64();
            epoch.row.serial = query.text();
            epoch.row.multiplier = query.text();
            epoch.row.start.total = Milli{query.i64()};
            epoch.row.start.register_value = face_of(Milli{query.i64()}, epoch.row.multiplier);
            const auto stamp = [&]() -> std::optional<UtcMs> {
                Stamp at;
                const auto run = query.maybe_i64();
                const auto mono_ms = query.maybe_i64();
                const auto wall_ms = query.maybe_i64();
                if (!run || !mono_ms || !wall_ms) return std::nullopt;
                return impl_->times.time({*run, *mono_ms, *wall_ms}).at;
            };
            epoch.row.start.at = stamp();
            epoch.row.end.at = stamp();
            epoch.row.end.register_value = Milli{query.maybe_i64().value_or(0)};
            if (const auto at = put_in.find(epoch.row.epoch); at != put_in.end())
                epoch.row.start.at = at->second;
            // What the old one ended on is what the new one goes on from.
            if (!list.empty()) {
                list.back().row.end.total = epoch.row.start.total;
                if (put_in.contains(epoch.row.epoch)) list.back().row.end.at = epoch.row.start.at;
                list.back().row.ended = true;
            }
            list.push_back(std::move(epoch));
        }
    }
    struct Days {
        int all = 0, estimated = 0;
    };
    std::map<std::int64_t, Days> days;
    {
        Query query(connection,
                    "SELECT meter,count(*),sum(quality=1) FROM meter_day "
                    "WHERE day BETWEEN ? AND ? AND reading<=? GROUP BY meter");
        query << first_day << last_day << last_reading;
        while (query.step()) {
            Days& one = days[query.i64()];
            one.all = query.i32();
            one.estimated = query.i32();
        }
    }
    struct Found {
        PeriodFigure figure;
        std::int64_t epoch = 0;
    };
    const auto freeze = [&](std::int64_t meter, std::int64_t day,
                            std::int64_t oldest) -> std::optional<Found> {
        for (; day >= oldest; --day) {
            std::uint64_t seq = 0;
            {
                Query query(connection,
                            "SELECT reading FROM meter_day WHERE day=? AND meter=? AND reading<=?");
                query << day << meter << last_reading;
                if (!query.step()) continue;
                seq = query.u64();
            }
            const auto reading = impl_->standing_at(seq, last_reading);
            if (!reading) continue;
            Found found;
            found.figure.register_value = reading->row.register_value;
            found.figure.total = reading->row.total;
            found.figure.at = reading->at.at;
            found.figure.reading = reading->row.seq;
            found.figure.quality = reading->row.quality;
            found.figure.day = day;
            found.figure.account = reading->row.account;
            found.epoch = reading->row.epoch;
            return found;
        }
        return std::nullopt;
    };
    // A meter that was put in after the newest freeze stands at its opening until it is read: what
    // the old one used to its end is of this month, as it is in the lines.
    const auto opened_since = [&](std::optional<Found> found, const std::vector<Epoch>& list,
                                  UtcMs edge) {
        for (const Epoch& epoch : list) {
            const auto at = put_in.find(epoch.row.epoch);
            if (at == put_in.end() || at->second > edge) continue;
            if (found && epoch.row.epoch <= found->epoch) continue;
            Found opening;
            opening.figure = epoch.row.start;
            if (found) opening.figure.day = found->figure.day;
            opening.epoch = epoch.row.epoch;
            found = std::move(opening);
        }
        return found;
    };
    std::vector<std::pair<std::int64_t, std::string>> meters;
    {
        Query query(connection, "SELECT id,meter FROM meter ORDER BY id");
        while (query.step()) {
            const std::int64_t id = query.i64();
            meters.emplace_back(id, query.text());
        }
    }
    std::vector<PeriodMeter> result;
    for (const auto& [id, name] : meters) {
        PeriodMeter meter;
        meter.meter = name;
        meter.days = days[id].all;
        meter.estimated = days[id].estimated;
        const std::vector<Epoch>& list = epochs[id];
        if (list.empty()) {
            result.push_back(std::move(meter));
            continue;
        }
        meter.from = list.front().row.start.at;
        const std::int64_t oldest = meter.from ? *meter.from / kDayMs - 1 : first_day - 400;
        const std::int64_t walk = std::max(oldest, first_day - kWalkBackMaxDays);
        const auto frozen = freeze(id, first_day - 1, walk);
        const auto start = opened_since(frozen, list, from);
        const auto end =
            opened_since(freeze(id, last_day, frozen ? frozen->figure.day : walk), list, to);
        if (!end) {
            // Without a freeze it stands where it began: what it used comes later.
            meter.rows.push_back(list.front().row);
            meter.rows.back().end = meter.rows.back().start;
        }
        for (const Epoch& epoch : list) {
            if (!end || epoch.row.epoch > end->epoch) break;
            if (start && epoch.row.epoch < start->epoch) continue;
            PeriodMeter::Row row = epoch.row;
            if (start && epoch.row.epoch == start->epoch) row.start = start->figure;
            if (epoch.row.epoch == end->epoch) row.end = end->figure;
            meter.rows.push_back(std::move(row));
        }
        result.push_back(std::move(meter));
    }
    return result;
}

namespace {

// The readings of one meter that a line rests on, each as what stands in its place.
class LineFace {
  public:
    struct End {
        std::uint64_t seq = 0;
        Milli register_value, total;
        std::int64_t epoch = 0;
        std::string multiplier;
    };
    // Totals never fall along a meter's use, whatever the order in which its rows came.
    static auto order_of(const End& one) { return std::pair(one.total, one.seq); }
    void add(End from, End to) {
        if (from.epoch == 0) lost_from_ = std::min(lost_from_, from.seq);
        if (to.epoch == 0) lost_to_ = std::max(lost_to_, to.seq);
        if (from.epoch == 0 || to.epoch == 0) return;
        if (!first_ || order_of(from) < order_of(*first_)) first_ = std::move(from);
        if (!last_ || order_of(*last_) < order_of(to)) last_ = std::move(to);
    }
    // Nothing where they are of two epochs, or where one of them is no longer kept.
    [[nodiscard]] std::optional<PeriodLine::Face> face() const {
        if (!first_ || !last_ || lost_from_ < first_->seq || lost_to_ > last_->seq ||
            first_->epoch != last_->epoch || first_->multiplier != last_->multiplier)
            return std::nullopt;
        return PeriodLine::Face{first_->register_value, last_->register_value, first_->multiplier};
    }

  private:
    std::optional<End> first_, last_;
    std::uint64_t lost_from_ = UINT64_MAX, lost_to_ = 0;
};

#define GATEHOUSE_STANDS_2(what)                                                                  \
    "coalesce((SELECT max(s.seq) FROM reading s WHERE s.supersedes=" what " AND s.seq<=?2)," what \
    ")"

LineFace::End face_end(Query& query) {
    LineFace::End end;
    end.seq = query.u64();
    end.register_value = Milli{query.maybe_i64().value_or(0)};
    end.total = Milli{query.maybe_i64().value_or(0)};
    end.epoch = query.maybe_i64().value_or(0);
    end.multiplier = query.maybe_text().value_or("");
    return end;
}

// Whose use stands in the line, from where to where their faces went, and whether all was read.
void rests_on(sql::Connection& connection, PeriodLine& line, std::int64_t last_reading) {
    Query query(connection,
                "SELECT meter.meter,coalesce(a.quality=1,0) OR coalesce(b.quality=1,0),"
                "from_reading,a.register,a.total,ca.epoch,ca.multiplier,"
                "to_reading,b.register,b.total,cb.epoch,cb.multiplier FROM line_part "
                "JOIN meter ON meter.id=line_part.meter "
                "LEFT JOIN reading a ON a.seq=" GATEHOUSE_STANDS_2("from_reading") " "
                "LEFT JOIN meter_context ca ON ca.id=a.context "
                "LEFT JOIN reading b ON b.seq=" GATEHOUSE_STANDS_2("to_reading") " "
                "LEFT JOIN meter_context cb ON cb.id=b.context "
                "WHERE line=?1 ORDER BY line_part.meter");
    query << line.id << last_reading;
    LineFace faces;
    while (query.step()) {
        std::string meter = query.text();
        if (line.meters.empty() || line.meters.back() != meter)
            line.meters.push_back(std::move(meter));
        line.estimated = query.flag() || line.estimated;
        LineFace::End from = face_end(query);
        faces.add(std::move(from), face_end(query));
    }
    if (line.meters.size() == 1) line.face = faces.face();
}

}  // namespace

void StoreReader::period_lines(const std::function<void(const PeriodLine&)>& take) {
    const Impl::Moment moment(*impl_);
    std::vector<PeriodLine> lines;
    {
        Query query(impl_->connection,
                    "SELECT line.service,scope,tariff,version,season,band,tier,line.line,"
                    "account.account,price,closing_line.quantity,closing_line.posted "
                    "FROM closing_line JOIN line USING(line) "
                    "JOIN account ON account.id=line.account "
                    "ORDER BY account.place,line.service,tariff,version,season,band,tier");
        while (query.step()) {
            PeriodLine line;
            line.key = store::line_key_columns(query);
            line.id = query.i64();
            line.account = query.text();
            line.line.price = Price{query.i64()};
            line.line.quantity = Milli{query.i64()};
            line.line.posted = Fen{query.i64()};
            lines.push_back(std::move(line));
        }
    }
    // What is corrected while the month closes is not of its files.
    const std::int64_t last_reading =
        sql::number(impl_->connection, "SELECT max(last_reading) FROM period WHERE state='closing'")
            .value_or(INT64_MAX);
    for (PeriodLine& line : lines) {
        rests_on(impl_->connection, line, last_reading);
        take(line);
    }
}

std::uint64_t StoreReader::last_entry_before(const std::string& month) {
    const Impl::Moment moment(*impl_);
    // Months of entries never fall, so a bisection finds the place.
    std::uint64_t low = 0;
    std::uint64_t high =
        static_cast<std::uint64_t>(
            sql::number(impl_->connection, "SELECT max(seq) FROM entry").value_or(0)) +
        1;
    while (low + 1 < high) {
        const std::uint64_t middle = low + (high - low) / 2;
        Query query(impl_->connection,
                    "SELECT month FROM entry WHERE seq<=? ORDER BY seq DESC "
                    "LIMIT 1");
        query << middle;
        const bool before = !query.step() || query.text() < month;
        (before ? low : high) = middle;
    }
    return low;
}

void StoreReader::entries_between(std::uint64_t after, std::uint64_t up_to,
                                  const std::function<void(const StoredEntry&)>& take) {
    const Impl::Moment moment(*impl_);
    Query query(impl_->connection, "SELECT seq FROM entry WHERE seq>? AND seq<=? ORDER BY seq");
    query << after << up_to;
    while (query.step()) {
        if (const auto entry = impl_->entry_at(query.u64())) take(*entry);
    }
}

Fen StoreReader::households_at_end(const std::string& month, std::uint64_t after) {
    const Impl::Moment moment(*impl_);
    Query query(impl_->connection,
                "SELECT (SELECT coalesce(sum(balance),0) FROM ledger_account "
                "WHERE name LIKE 'household:%') - (SELECT coalesce(sum(entry_leg.amount),0) "
                "FROM entry JOIN entry_leg ON entry_leg.entry=entry.seq "
                "JOIN ledger_account ON ledger_account.id=entry_leg.account "
                "WHERE entry.seq>? AND month>? AND name LIKE 'household:%')");
    query << after << month;
    GH_ASSERT(query.step());
    return Fen{query.i64()};
}

}  // namespace gatehouse
