#include "daemon/store/reader.hpp"

#include <algorithm>
#include <utility>

#include "daemon/store/chain.hpp"
#include "daemon/store/reader_impl.hpp"
#include "daemon/store/registry_rows.hpp"

namespace gatehouse {

using sql::Query;

namespace {

#define GATEHOUSE_CONTEXTS_OF_METER_3 \
    "SELECT x.id FROM meter_context x JOIN meter m ON m.id=x.meter WHERE m.meter=?3"

// Rows of a meter that lie near a page's time and outside of it, which the page leaves out.
constexpr std::size_t kPageSlack = 256;

}  // namespace

StoreReader::Impl::Moment::Moment(Impl& impl) : impl_(impl) {
    impl_.connection.exec("BEGIN");
    try {
        // The first read fixes the moment; data_version alone would not.
        static_cast<void>(sql::number(impl_.connection, "SELECT one FROM site"));
        const auto version = sql::number(impl_.connection, "PRAGMA data_version");
        if (version == impl_.data_version) return;
        impl_.bases = store::load_run_bases(impl_.connection);
        impl_.times.set(store::load_runs(impl_.connection));
        impl_.newest_context =
            store::load_contexts(impl_.connection, impl_.contexts, impl_.newest_context);
        impl_.data_version = version.value_or(-1);
    } catch (...) {
        impl_.connection.rollback();
        throw;
    }
}

StoreReader::Impl::Moment::~Moment() {
    impl_.connection.rollback();
}

StoreReader::StoreReader(const std::string& path) : impl_(std::make_unique<Impl>(path)) {}
StoreReader::StoreReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StoreReader StoreReader::in_passing(const std::string& path) {
    return StoreReader(std::make_unique<Impl>(path, sql::Connection::Mode::still));
}
StoreReader::~StoreReader() = default;
StoreReader::StoreReader(StoreReader&&) noexcept = default;
StoreReader& StoreReader::operator=(StoreReader&&) noexcept = default;

void StoreReader::rest() noexcept {
    impl_->connection.release_memory();
}

StoredReading StoreReader::Impl::reading(Query& query) {
    StoredReading stored;
    const std::int64_t id = store::reading_columns(query, bases, stored.row);
    const store::Context& context = contexts.at(id);
    store::apply(context, stored.row);
    stored.unit = context.unit;
    stored.serial = context.serial;
    stored.multiplier = context.multiplier;
    stored.role = context.role;
    stored.service = context.service;
    stored.received_at = times.time(stored.row.at);
    stored.at = stored.received_at;
    if (stored.row.stands_at) stored.at.at = *stored.row.stands_at;
    return stored;
}

std::optional<StoredReading> StoreReader::Impl::reading_at(std::uint64_t seq) {
    Query query(connection, "SELECT " GATEHOUSE_READING_COLUMNS "FROM reading WHERE seq=?");
    query << seq;
    if (!query.step()) return std::nullopt;
    return reading(query);
}

std::optional<StoredReading> StoreReader::reading(std::uint64_t seq) {
    const Impl::Moment moment(*impl_);
    return impl_->reading_at(seq);
}

std::optional<StoredReading> StoreReader::Impl::standing_at(std::uint64_t seq,
                                                            std::uint64_t up_to) {
    const std::uint64_t newest = AccountBooks(connection, bases).newest_row(seq, up_to);
    auto stands = reading_at(newest);
    if (!stands || newest == seq) return stands;
    if (const auto root = reading_at(seq)) {
        stands->row.kind = root->row.kind;
        stands->at = root->at;
    }
    return stands;
}

std::optional<StoredReading> StoreReader::standing(std::uint64_t seq) {
    const Impl::Moment moment(*impl_);
    return impl_->standing_at(seq);
}

std::uint64_t StoreReader::Impl::first_reading_from(UtcMs at) {
    // Rows arrive in order of time but for steps of the clock, so a bisection finds the place.
    std::uint64_t low = 0;
    std::uint64_t high = static_cast<std::uint64_t>(
                             sql::number(connection, "SELECT max(seq) FROM reading").value_or(0)) +
                         1;
    while (low + 1 < high) {
        const std::uint64_t middle = low + (high - low) / 2;
        Query query(connection,
                    "SELECT run,mono_ms,skew_ms FROM reading WHERE seq>=? ORDER BY seq LIMIT 1");
        query << middle;
        const bool before = query.step() && times.time(store::stamp_columns(query, bases)).at < at;
        (before ? low : high) = middle;
    }
    return high;
}

std::uint64_t StoreReader::Impl::page_edge(const std::string& meter, std::uint64_t first,
                                           std::uint64_t last, std::size_t most) {
    Query query(connection,
                "SELECT r.seq FROM reading r WHERE r.seq>=?1 AND r.seq<?2 AND r.context IN "
                "(" GATEHOUSE_CONTEXTS_OF_METER_3 ") ORDER BY r.seq LIMIT 1 OFFSET ?4");
    query << first << last << meter << static_cast<std::int64_t>(most) - 1;
    return query.step() ? query.u64() : kNoEdge;
}

std::optional<std::int64_t> StoreReader::Impl::first_place(const char* sql,
                                                           const std::string& meter) {
    Query query(connection, sql);
    query << meter;
    if (!query.step()) return std::nullopt;
    return query.i64();
}

namespace {

#define GATEHOUSE_EVENT_COLUMNS                                                       \
    "event.seq,event_kind.name,run,mono_ms,skew_ms,h,subject,body,reason FROM event " \
    "JOIN event_kind ON event_kind.id=event.kind "                                    \
    "LEFT JOIN event_body ON event_body.seq=event.seq "                               \
    "LEFT JOIN event_removed ON event_removed.seq=event.seq "

StoredEvent event_columns(Query& query, const store::RunBases& bases, const RunTimes& times) {
    StoredEvent event;
    event.seq = query.u64();
    event.kind = query.text();
    const Stamp stamp = store::stamp_columns(query, bases);
    event.at = times.time(stamp);
    if (const RunRow* run = times.find(stamp.run)) event.run = run->id;
    event.h = store::hex(query.bytes());
    event.subject = query.maybe_text().value_or("");
    event.body = query.maybe_text().value_or("");
    event.removed = query.maybe_text().value_or("");
    return event;
}

bool wanted(const std::string& kind, const std::vector<std::string>& kinds) {
    if (kinds.empty()) return true;
    for (const auto& word : kinds) {
        if (kind == word) return true;
        if (!word.empty() && word.back() == '.' && kind.compare(0, word.size(), word) == 0) {
            return true;
        }
    }
    return false;
}

}  // namespace

std::vector<StoredEvent> StoreReader::events_after(std::uint64_t seq, std::size_t limit,
                                                   const std::vector<std::string>& kinds) {
    const Impl::Moment moment(*impl_);
    std::vector<StoredEvent> events;
    Query query(impl_->connection,
                "SELECT " GATEHOUSE_EVENT_COLUMNS "WHERE event.seq>? ORDER BY event.seq");
    query << seq;
    while (events.size() < limit && query.step()) {
        StoredEvent event = event_columns(query, impl_->bases, impl_->times);
        if (wanted(event.kind, kinds)) events.push_back(std::move(event));
    }
    return events;
}

std::vector<StoredEvent> StoreReader::events_about(const std::string& about, std::uint64_t after,
                                                   std::size_t limit) {
    const Impl::Moment moment(*impl_);
    std::vector<StoredEvent> events;
    Query query(impl_->connection, "SELECT " GATEHOUSE_EVENT_COLUMNS
                                   "JOIN event_about ON event_about.seq=event.seq "
                                   "WHERE about=? AND event_about.seq>? "
                                   "ORDER BY event_about.seq LIMIT ?");
    query << about << after << static_cast<std::int64_t>(limit);
    while (query.step()) events.push_back(event_columns(query, impl_->bases, impl_->times));
    return events;
}

LogHead StoreReader::newest_seal() {
    return store::newest_seal(impl_->connection);
}

LogHead StoreReader::seal_after(const std::string& day) {
    const Impl::Moment moment(*impl_);
    const auto newest = parse_date(store::newest_seal(impl_->connection).day);
    if (!newest) return {};
    const LocalDate oldest = date_from_days(days_since_epoch(*newest) - kSealDaysMax);
    Query query(impl_->connection,
                "SELECT day,seq,h FROM event_seal WHERE day>? ORDER BY day LIMIT 1");
    query << std::max(day, format_date(oldest));
    return query.step() ? store::head_columns(query) : LogHead{};
}

std::string StoreReader::note(const std::string& name) {
    return store::note(impl_->connection, name);
}

std::map<std::string, UtcMs> StoreReader::newest_kept(UtcMs before, std::uint64_t up_to) {
    const Impl::Moment moment(*impl_);
    std::vector<std::pair<std::string, std::uint64_t>> rows;
    {
        // meter_last is kept in steps; what came since the last one is looked up beside it.
        Query query(impl_->connection,
                    "SELECT meter.meter,max(seq) FROM (SELECT meter,reading AS seq FROM meter_last "
                    "UNION ALL SELECT c.meter,r.seq FROM reading r JOIN meter_context c ON "
                    "c.id=r.context WHERE r.seq>(SELECT marks_up_to FROM site)) AS newest "
                    "JOIN meter ON meter.id=newest.meter WHERE seq<=? GROUP BY meter.id");
        query << up_to;
        while (query.step()) {
            std::string meter = query.text();
            rows.emplace_back(std::move(meter), query.u64());
        }
    }
    std::map<std::string, UtcMs> kept;
    for (auto& [meter, seq] : rows) {
        const auto reading = impl_->reading_at(seq);
        if (reading && reading->at.at < before) kept.emplace(std::move(meter), reading->at.at);
    }
    return kept;
}

namespace {

bool within(const StoredReading& reading, const ReadingFilter& filter) {
    return (!filter.kind || reading.row.kind == *filter.kind) &&
           (filter.meter.empty() || reading.row.meter == filter.meter) &&
           (!filter.from || reading.at.at >= *filter.from) &&
           (!filter.to || reading.at.at < *filter.to);
}

}  // namespace

ReadingPage StoreReader::readings_after(std::uint64_t seq, std::size_t limit,
                                        const ReadingFilter& filter) {
    const Impl::Moment moment(*impl_);
    ReadingPage page;
    page.first = static_cast<std::uint64_t>(
        sql::number(impl_->connection, "SELECT min(seq) FROM reading").value_or(0));
    page.truncated =
        static_cast<std::int64_t>(seq) <
        sql::number(impl_->connection, "SELECT intervals_dropped_up_to FROM site").value_or(0);
    page.next = seq;
    std::uint64_t from = seq;
    if (filter.from) {
        // What stands at or after `from` also arrived then, but for what is read ahead of an edge.
        constexpr UtcMs kAheadMs = 10 * 60'000;
        const std::uint64_t first = impl_->first_reading_from(*filter.from - kAheadMs);
        from = std::max(from, first == 0 ? 0 : first - 1);
    }
    // Interval rows lie where their time is; what comes late is of another kind.
    std::uint64_t behind = INT64_MAX;
    if (filter.to && filter.kind == ReadingKind::interval) {
        constexpr UtcMs kLateMs = 60 * 60'000;
        behind = impl_->first_reading_from(*filter.to + kLateMs);
    }
    const bool by_kind = filter.kind && *filter.kind != ReadingKind::interval;
    Query query(impl_->connection,
                by_kind ? "SELECT " GATEHOUSE_READING_COLUMNS
                          "FROM reading WHERE seq>? AND seq<? AND kind=? AND kind<>0 ORDER BY seq"
                        : "SELECT " GATEHOUSE_READING_COLUMNS
                          "FROM reading WHERE seq>? AND seq<? ORDER BY seq");
    query << from << behind;
    if (by_kind) query << static_cast<std::int64_t>(*filter.kind);
    while (query.step()) {
        StoredReading reading = impl_->reading(query);
        if (!within(reading, filter)) continue;
        if (page.items.size() == limit) {
            page.has_more = true;
            break;
        }
        page.next = reading.row.seq;
        page.items.push_back(std::move(reading));
    }
    return page;
}

ReadingPage StoreReader::meter_readings(const std::string& meter, UtcMs from, UtcMs to,
                                        std::uint64_t after, std::size_t limit) {
    const Impl::Moment moment(*impl_);
    ReadingPage page;
    page.next = after;
    page.first = static_cast<std::uint64_t>(
        sql::number(impl_->connection, "SELECT min(seq) FROM reading").value_or(0));
    constexpr UtcMs kAheadMs = 10 * 60'000;
    const std::uint64_t first = std::max(impl_->first_reading_from(from - kAheadMs), after + 1);
    const std::uint64_t last = impl_->first_reading_from(to + kAheadMs);
    // A page ends where its interval rows end, so that one out of years costs what it shows.
    const std::uint64_t edge = impl_->page_edge(meter, first, last, limit + kPageSlack);
    ReadingFilter filter;
    filter.meter = meter;
    filter.from = from;
    filter.to = to;
    // Interval rows lie where their time is. The others may come much later (a split after an
    // outage, a figure by eye) and are few: their indexes find them wherever they lie, and those of
    // midnights are found by their days.
    Query query(impl_->connection,
                "WITH RECURSIVE days(p) AS (SELECT max(?4,(SELECT min(day) FROM meter_day)) "
                "UNION ALL SELECT p+1 FROM days WHERE p<min(?5,(SELECT max(day) FROM meter_day))) "
                "SELECT " GATEHOUSE_READING_COLUMNS
                "FROM reading WHERE seq IN ("
                "SELECT r.seq FROM reading r WHERE r.seq>=?1 AND r.seq<?2 AND r.seq<=?7 AND "
                "r.context IN (" GATEHOUSE_CONTEXTS_OF_METER_3
                ") UNION "
                "SELECT r.seq FROM meter m JOIN meter_context x ON x.meter=m.id "
                "JOIN reading r INDEXED BY reading_rare "
                "ON r.context=x.id AND r.kind>2 WHERE m.meter=?3 UNION "
                "SELECT d.reading FROM days CROSS JOIN meter_day d ON d.day=p AND "
                "d.meter=(SELECT id FROM meter WHERE meter=?3)"
                ") AND seq>?6 AND seq<=?7 ORDER BY seq");
    constexpr UtcMs kDayMs = 86'400'000;
    query << first << last << meter << from / kDayMs - 2 << to / kDayMs + 2 << after << edge;
    while (query.step()) {
        StoredReading reading = impl_->reading(query);
        if (!within(reading, filter)) continue;
        if (page.items.size() == limit) {
            page.has_more = true;
            return page;
        }
        page.next = reading.row.seq;
        page.items.push_back(std::move(reading));
    }
    if (edge < Impl::kNoEdge) {
        page.next = edge;
        page.has_more = true;
    }
    return page;
}

std::optional<std::int64_t> StoreReader::first_hour(const std::string& meter) {
    const Impl::Moment moment(*impl_);
    return impl_->first_place(
        "WITH RECURSIVE places(p,last) AS (SELECT (SELECT min(hour) FROM "
        "meter_hour),(SELECT max(hour) FROM meter_hour) UNION ALL SELECT "
        "p+1,last FROM places WHERE p<last) SELECT p FROM places CROSS JOIN "
        "meter_hour ON hour=p AND meter=(SELECT id FROM meter WHERE meter=?) "
        "LIMIT 1",
        meter);
}

std::optional<std::int64_t> StoreReader::first_day(const std::string& meter) {
    const Impl::Moment moment(*impl_);
    return impl_->first_place(
        "WITH RECURSIVE places(p,last) AS (SELECT (SELECT min(day) FROM "
        "meter_day),(SELECT max(day) FROM meter_day) UNION ALL SELECT "
        "p+1,last FROM places WHERE p<last) SELECT p FROM places CROSS JOIN "
        "meter_day ON day=p AND meter=(SELECT id FROM meter WHERE meter=?) "
        "LIMIT 1",
        meter);
}

std::vector<MeterPoint> StoreReader::meter_hours(const std::string& meter, UtcMs from, UtcMs to) {
    const Impl::Moment moment(*impl_);
    constexpr UtcMs kHourMs = 3'600'000;
    std::vector<MeterPoint> points;
    Query query(impl_->connection,
                "WITH RECURSIVE hours(h) AS (SELECT ?1 UNION ALL SELECT h+1 FROM hours WHERE "
                "h<?2) SELECT hour,total,quality FROM hours JOIN meter_hour ON hour=h AND "
                "meter=(SELECT id FROM meter WHERE meter=?3) ORDER BY hour");
    query << (from + kHourMs - 1) / kHourMs << (to - 1) / kHourMs << meter;
    while (query.step()) {
        MeterPoint point;
        point.at = query.i64() * kHourMs;
        point.total = Milli{query.i64()};
        point.quality = static_cast<ReadingQuality>(query.i64());
        if (point.at >= from && point.at < to) points.push_back(point);
    }
    return points;
}

std::vector<MeterPoint> StoreReader::meter_days(const std::string& meter, std::int64_t from_day,
                                                std::int64_t to_day) {
    const Impl::Moment moment(*impl_);
    std::vector<MeterPoint> points;
    if (from_day >= to_day) return points;
    // Days are the first part of the key, so that a midnight is a few pages: one lookup a day.
    Query query(impl_->connection,
                "WITH RECURSIVE days(d) AS (SELECT ?1 UNION ALL SELECT d+1 FROM days WHERE d<?2) "
                "SELECT day,meter_day.total,meter_day.quality,coalesce((SELECT max(s.seq) "
                "FROM reading s WHERE s.supersedes=meter_day.reading),meter_day.reading),"
                "run,mono_ms,skew_ms,stands_at_ms FROM days CROSS JOIN meter_day ON day=d AND "
                "meter=(SELECT id FROM meter WHERE meter=?3) "
                "JOIN reading ON reading.seq=meter_day.reading");
    query << from_day << to_day - 1 << meter;
    while (query.step()) {
        MeterPoint point;
        point.day = query.i64();
        point.total = Milli{query.i64()};
        point.quality = static_cast<ReadingQuality>(query.i64());
        point.reading = query.u64();
        const Stamp stamp = store::stamp_columns(query, impl_->bases);
        point.at = query.maybe_i64().value_or(impl_->times.time(stamp).at);
        points.push_back(point);
    }
    return points;
}

std::vector<QuarantineRow> StoreReader::quarantine(std::optional<QuarantineRow::State> state,
                                                   std::int64_t after, std::size_t limit) {
    const Impl::Moment moment(*impl_);
    std::vector<QuarantineRow> rows;
    Query query(impl_->connection, "SELECT " GATEHOUSE_QUARANTINE_COLUMNS
                                   "WHERE quarantine.id>? ORDER BY quarantine.id");
    query << after;
    while (rows.size() < limit && query.step()) {
        QuarantineRow row = store::quarantine_columns(query, impl_->bases);
        if (!state || row.state == *state) rows.push_back(std::move(row));
    }
    return rows;
}

std::vector<AlertRow> StoreReader::alerts(bool open_only, const std::string& after_id,
                                          std::size_t limit) {
    const Impl::Moment moment(*impl_);
    std::vector<AlertRow> rows;
    Query query(impl_->connection,
                "SELECT " GATEHOUSE_ALERT_COLUMNS
                "WHERE n>coalesce((SELECT n FROM alert WHERE id=?1),0) AND (open<>0 OR ?2=0) "
                "ORDER BY n LIMIT ?3");
    query << after_id << open_only << static_cast<std::int64_t>(limit);
    while (query.step()) rows.push_back(store::alert_columns(query));
    return rows;
}

std::optional<AlertRow> StoreReader::alert(const std::string& id) {
    Query query(impl_->connection, "SELECT " GATEHOUSE_ALERT_COLUMNS "WHERE id=?");
    query << id;
    if (!query.step()) return std::nullopt;
    return store::alert_columns(query);
}

std::vector<AckRow> StoreReader::acks(const std::string& alert_id) {
    std::vector<AckRow> rows;
    Query query(impl_->connection,
                "SELECT alert_ack.seq,by,via,note,result FROM alert_ack "
                "JOIN alert ON alert.n=alert_ack.alert WHERE alert.id=? ORDER BY alert_ack.seq");
    query << alert_id;
    while (query.step()) {
        AckRow row;
        row.alert = alert_id;
        row.seq = query.u64();
        row.by = query.text();
        row.via = query.text();
        row.note = query.text();
        row.result = query.text();
        rows.push_back(std::move(row));
    }
    return rows;
}

std::optional<TokenRow> StoreReader::token(const std::string& id) {
    Query query(impl_->connection, "SELECT " GATEHOUSE_TOKEN_COLUMNS "WHERE id=?");
    query << id;
    if (!query.step()) return std::nullopt;
    return store::token_columns(query);
}

std::vector<TokenRow> StoreReader::tokens() {
    std::vector<TokenRow> rows;
    Query query(impl_->connection, "SELECT " GATEHOUSE_TOKEN_COLUMNS "ORDER BY created_at_ms, id");
    while (query.step()) rows.push_back(store::token_columns(query));
    return rows;
}

std::optional<IdempotencyRow> StoreReader::idempotency(const std::string& key) {
    return store::find_idempotency(impl_->connection, key);
}

Registry StoreReader::registry() {
    const Impl::Moment moment(*impl_);
    return store::load_registry(impl_->connection);
}

std::vector<RunRow> StoreReader::runs() {
    const Impl::Moment moment(*impl_);
    return impl_->times.runs();
}

std::uint64_t StoreReader::topic_head(const std::string& topic) {
    Query query(impl_->connection, "SELECT seq FROM topic_head WHERE topic=?");
    query << topic;
    return query.step() ? query.u64() : 0;
}

RunTimes::Time StoreReader::time(const Stamp& stamp) {
    const Impl::Moment moment(*impl_);
    return impl_->times.time(stamp);
}

}  // namespace gatehouse
