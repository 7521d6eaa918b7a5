// The questions and the loaders of the start.
#include <algorithm>
#include <charconv>
#include <functional>

#include "daemon/store/registry_rows.hpp"
#include "daemon/store/store_impl.hpp"

namespace gatehouse {

using sql::Query;

std::optional<IdempotencyRow> Store::idempotency(const std::string& key) {
    return store::find_idempotency(impl_->connection, key);
}

std::optional<std::string> Store::receipt_of_payment(const std::string& account,
                                                     const std::string& method,
                                                     const std::string& reference) {
    Query query(impl_->connection,
                "SELECT e.receipt FROM entry_text t JOIN entry e ON e.seq=t.entry "
                "WHERE t.reference=? AND t.reference<>'' AND e.account=? AND e.method=? "
                "AND e.receipt IS NOT NULL "
                "AND NOT EXISTS(SELECT 1 FROM entry r WHERE r.reverses=e.entry) LIMIT 1");
    query << reference << impl_->account_id(account) << method;
    if (!query.step()) return std::nullopt;
    return query.text();
}

std::optional<Store::NumberedEntry> Store::entry_at(std::uint64_t seq) {
    auto row = store::load_entry(impl_->connection, seq, impl_->bases);
    if (!row) return std::nullopt;
    return NumberedEntry{seq, std::move(row->entry)};
}

std::optional<Store::NumberedEntry> Store::find_entry(const std::string& entry) {
    std::uint64_t seq = 0;
    {
        Query query(impl_->connection, "SELECT seq FROM entry WHERE entry=?");
        query << entry;
        if (!query.step()) return std::nullopt;
        seq = query.u64();
    }
    return entry_at(seq);
}

std::string Store::undone_by(const std::string& entry) {
    Query query(impl_->connection, "SELECT entry FROM entry WHERE reverses=?");
    query << entry;
    return query.step() ? query.text() : std::string();
}

// The entries of an account's book from that month on, newest first.
void Store::Impl::walk_book(const std::string& account, const std::string& from_month,
                            const std::function<void(store::EntryColumns&)>& take) {
    std::int64_t book_id = 0;
    std::uint64_t seq = 0;
    {
        Query query(connection, "SELECT id,last_entry FROM ledger_account WHERE name=?");
        query << book::household(account);
        if (!query.step()) return;
        book_id = query.i64();
        seq = query.u64();
    }
    while (seq > 0) {
        auto row = store::load_entry(connection, seq, bases);
        if (!row || row->entry.month < from_month) return;
        take(*row);
        Query query(connection,
                    "SELECT prev FROM entry_leg WHERE entry=? AND account=? ORDER BY n LIMIT 1");
        query << seq << book_id;
        if (!query.step()) return;
        const std::uint64_t prev = query.u64();
        // A link that does not lead back would never end; verify names the row.
        if (prev >= seq) return;
        seq = prev;
    }
}

std::vector<Entry> Store::standing_fees(const std::string& account, const std::string& from_month) {
    std::vector<Entry> fees;
    impl_->walk_book(account, from_month, [&](store::EntryColumns& row) {
        if (row.entry.kind == EntryKind::fee && undone_by(row.entry.entry).empty())
            fees.push_back(std::move(row.entry));
    });
    std::reverse(fees.begin(), fees.end());
    return fees;
}

std::vector<FeeSettlementRow> Store::settled_fees(const std::string& account,
                                                  const std::string& from_month) {
    constexpr std::string_view kCause = "version:";
    std::vector<FeeSettlementRow> rows;
    impl_->walk_book(account, from_month, [&](store::EntryColumns& row) {
        const std::string_view cause = row.entry.cause;
        if (row.entry.kind != EntryKind::price_settlement || row.line != 0 ||
            !cause.starts_with(kCause))
            return;
        FeeSettlementRow fee{0, row.entry.amount, {}, row.at};
        std::from_chars(cause.data() + kCause.size(), cause.data() + cause.size(), fee.event);
        Query query(impl_->connection, "SELECT reference FROM entry_text WHERE entry=?");
        query << row.seq;
        if (query.step()) fee.fee = query.text();
        rows.push_back(std::move(fee));
    });
    std::reverse(rows.begin(), rows.end());
    return rows;
}

std::vector<KnownVersionRow> Store::late_versions(const std::string& account) {
    std::vector<KnownVersionRow> rows;
    Query query(impl_->connection,
                "SELECT tariff,valid_from,late_version.event,EXISTS(SELECT 1 FROM posting "
                "WHERE cause='version:'||late_version.event AND account=?),"
                "event.seq IS NOT NULL,event.run,event.mono_ms,event.skew_ms FROM late_version "
                "LEFT JOIN event ON event.seq=late_version.event "
                "ORDER BY late_version.event,tariff,valid_from");
    query << impl_->account_id(account);
    while (query.step()) {
        KnownVersionRow row;
        row.version.tariff = query.text();
        const std::string date = query.text();
        const auto valid_from = parse_date(date);
        if (!valid_from) throw StoreError(StoreError::Kind::corrupt, "not a date: " + date);
        row.version.valid_from = *valid_from;
        row.version.event = query.u64();
        row.posted = query.flag();
        if (query.flag()) row.imported = store::stamp_columns(query, impl_->bases);
        rows.push_back(std::move(row));
    }
    return rows;
}

LedgerAccountRow Store::ledger_account(const std::string& book_name) {
    LedgerAccountRow row;
    row.account = book_name;
    Query query(impl_->connection,
                "SELECT ledger_account.balance,last_entry,coalesce(entry.event,0) "
                "FROM ledger_account LEFT JOIN entry ON entry.seq=last_entry WHERE name=?");
    query << book_name;
    if (!query.step()) return row;
    row.balance = Fen{query.i64()};
    row.last_entry = query.u64();
    row.last_event = query.u64();
    return row;
}

std::vector<LedgerAccountRow> Store::load_ledger_accounts() {
    std::vector<LedgerAccountRow> rows;
    Query query(impl_->connection,
                "SELECT name,ledger_account.balance,last_entry,coalesce(entry.event,0) "
                "FROM ledger_account LEFT JOIN entry ON entry.seq=last_entry ORDER BY name");
    while (query.step()) {
        LedgerAccountRow row;
        row.account = query.text();
        row.balance = Fen{query.i64()};
        row.last_entry = query.u64();
        row.last_event = query.u64();
        rows.push_back(std::move(row));
    }
    return rows;
}

bool Store::posted(const std::string& account, const std::string& cause) {
    Query query(impl_->connection, "SELECT 1 FROM posting WHERE cause=? AND account=?");
    query << cause << impl_->account_id(account);
    return query.step();
}

std::map<std::string, LocalDate> Store::load_posted_days() {
    std::map<std::string, LocalDate> days;
    Query newest(impl_->connection,
                 "SELECT max(cause) FROM posting WHERE cause>='day:' AND cause<'day;'");
    if (!newest.step()) return days;
    const std::optional<std::string> cause = newest.maybe_text();
    if (!cause) return days;
    const std::optional<LocalDate> last = parse_date(cause->substr(4));
    if (!last) return days;
    // Accounts are posted side by side: none lags further behind the others than this.
    const LocalDate from = date_from_days(days_since_epoch(*last) - 40);
    Query query(impl_->connection,
                "SELECT account.account,max(cause) FROM posting "
                "JOIN account ON account.id=posting.account "
                "WHERE cause>=? AND cause<'day;' GROUP BY posting.account");
    query << "day:" + format_date(from);
    while (query.step()) {
        std::string account = query.text();
        if (const auto day = parse_date(query.text().substr(4))) days[std::move(account)] = *day;
    }
    return days;
}

Registry Store::load_registry() {
    return store::load_registry(impl_->connection);
}

std::vector<RunRow> Store::load_runs() {
    return store::load_runs(impl_->connection);
}

std::vector<EpochRow> Store::load_open_epochs() {
    std::vector<EpochRow> rows;
    Query query(impl_->connection,
                "SELECT epoch.id,meter.meter,epoch.serial,epoch.multiplier,base_total,base_figure,"
                "device_ratio,opened_run,opened_mono_ms,opened_wall_ms FROM epoch "
                "JOIN meter ON meter.id=epoch.meter WHERE closed_run IS NULL "
                "ORDER BY meter.meter, epoch.id");
    while (query.step()) {
        EpochRow row;
        row.id = query.i64();
        row.meter = query.text();
        row.serial = query.text();
        row.multiplier = query.text();
        row.base_total = Milli{query.i64()};
        row.base_figure = Milli{query.i64()};
        row.device_ratio = query.text();
        if (const auto run = query.maybe_i64()) {
            row.opened.emplace();
            row.opened->run = *run;
            row.opened->mono_ms = query.i64();
            row.opened->wall_ms = query.i64();
        }
        rows.push_back(std::move(row));
    }
    return rows;
}

std::vector<ReadingRow> Store::load_last_readings() {
    store::Contexts contexts;
    store::load_contexts(impl_->connection, contexts, 0);
    std::vector<ReadingRow> rows;
    rows.reserve(impl_->last_of_meter.size());
    for (const auto& [meter, seq] : impl_->last_of_meter) {
        Query query(impl_->connection,
                    "SELECT " GATEHOUSE_READING_COLUMNS "FROM reading WHERE seq=?");
        query << seq;
        if (!query.step()) continue;
        ReadingRow row;
        apply(contexts.at(store::reading_columns(query, impl_->bases, row)), row);
        rows.push_back(std::move(row));
    }
    return rows;
}

std::vector<ReadingRow> Store::load_newest_dated(const std::vector<DatedSearch>& searches) {
    constexpr UtcMs kInOrderMs = 10 * 60'000;
    store::Contexts contexts;
    store::load_contexts(impl_->connection, contexts, 0);
    RunTimes times;
    times.set(store::load_runs(impl_->connection));
    std::multimap<std::uint64_t, const DatedSearch*, std::greater<>> waiting;
    for (const DatedSearch& one : searches) waiting.emplace(one.before, &one);
    std::map<std::string, std::pair<UtcMs, ReadingRow>> newest;
    // Readings are not indexed by meter: one pass for all that stopped together. What was split
    // once a clock was confirmed came later than what stands behind it, so that the first that came
    // when it stands ends the search of its meter; corrections stand where what they correct does.
    while (!waiting.empty()) {
        std::map<std::string, UtcMs> wanted;
        UtcMs oldest = INT64_MAX;
        Query query(impl_->connection,
                    "SELECT " GATEHOUSE_READING_COLUMNS
                    "FROM reading WHERE seq<? AND supersedes IS NULL AND (stands_at_ms IS NOT NULL "
                    "OR run IN (SELECT run FROM run_offset)) ORDER BY seq DESC");
        query << waiting.begin()->first;
        bool more = true;
        for (more = query.step(); more; more = query.step()) {
            ReadingRow row;
            apply(contexts.at(store::reading_columns(query, impl_->bases, row)), row);
            while (!waiting.empty() && waiting.begin()->first > row.seq) {
                const DatedSearch& begins = *waiting.begin()->second;
                wanted.emplace(begins.meter, begins.after);
                oldest = std::min(oldest, begins.after);
                waiting.erase(waiting.begin());
            }
            const RunTimes::Time came = times.time(row.at);
            if (wanted.empty() || (came.trusted && came.at + kInOrderMs < oldest)) break;
            const auto search = wanted.find(row.meter);
            if (search == wanted.end()) continue;
            const UtcMs at = row.stands_at.value_or(came.at);
            const bool in_order =
                row.kind == ReadingKind::manual || (came.trusted && came.at - at <= kInOrderMs);
            const auto found = newest.find(row.meter);
            if (at > search->second && (found == newest.end() || at > found->second.first))
                newest.insert_or_assign(search->first, std::pair(at, std::move(row)));
            if (in_order) wanted.erase(search);
        }
        if (!more) break;
    }
    std::vector<ReadingRow> rows;
    for (auto& [meter, one] : newest) {
        const std::uint64_t seq = account_books().newest_row(one.second.seq);
        Query corrected(impl_->connection,
                        "SELECT " GATEHOUSE_READING_COLUMNS "FROM reading WHERE seq=?");
        corrected << seq;
        if (seq != one.second.seq && corrected.step()) {
            ReadingRow row;
            apply(contexts.at(store::reading_columns(corrected, impl_->bases, row)), row);
            one.second = std::move(row);
        }
        rows.push_back(std::move(one.second));
    }
    return rows;
}

std::vector<MarkRow> Store::load_marks() {
    std::vector<MarkRow> rows;
    Query query(impl_->connection,
                "SELECT account.account,meter.meter,reading,total FROM mark "
                "JOIN account ON account.id=mark.account JOIN meter ON meter.id=mark.meter");
    while (query.step()) {
        MarkRow row;
        row.account = query.text();
        row.meter = query.text();
        row.reading = query.u64();
        row.total = Milli{query.i64()};
        rows.push_back(std::move(row));
    }
    return rows;
}

std::vector<PendingEdgeRow> Store::load_pending_edges() {
    std::vector<PendingEdgeRow> rows;
    Query query(
        impl_->connection,
        "SELECT meter.meter,event,run,mono_ms,skew_ms,pending_edge.unit,pending_edge.account,"
        "pending_edge.tariff,pending_edge.multiplier,persons FROM pending_edge "
        "JOIN meter ON meter.id=pending_edge.meter ORDER BY pending_edge.meter,event");
    while (query.step()) {
        PendingEdgeRow row;
        row.meter = query.text();
        row.event = query.u64();
        row.at = store::stamp_columns(query, impl_->bases);
        row.unit = query.text();
        row.account = query.text();
        row.tariff = query.text();
        row.multiplier = query.text();
        if (const auto persons = query.maybe_i64()) row.persons = static_cast<int>(*persons);
        rows.push_back(std::move(row));
    }
    return rows;
}

std::vector<SwitchRow> Store::load_switches(const std::string& meter, std::uint64_t after) {
    std::vector<SwitchRow> rows;
    // `kind>2` is what the index of rare kinds says of itself; 3 is a switch. A row that supersedes
    // one stands in its place.
    Query query(
        impl_->connection,
        "SELECT r.seq,r.stands_at_ms,coalesce((SELECT s.total FROM reading s "
        "WHERE s.supersedes=r.seq ORDER BY s.seq DESC LIMIT 1),r.total) FROM meter_context x "
        "JOIN reading r INDEXED BY reading_rare ON r.context=x.id "
        "WHERE x.meter=? AND r.kind>2 AND r.kind=3 AND r.seq>? "
        "AND r.stands_at_ms IS NOT NULL AND r.supersedes IS NULL ORDER BY r.seq");
    query << impl_->meter_id(meter) << after;
    while (query.step()) {
        SwitchRow row;
        row.reading = query.u64();
        row.edge = query.i64();
        row.total = Milli{query.i64()};
        rows.push_back(row);
    }
    return rows;
}

std::optional<Milli> Store::register_of(std::uint64_t reading) {
    Query query(impl_->connection, "SELECT register FROM reading WHERE seq=?");
    query << reading;
    return query.step() ? std::optional(Milli{query.i64()}) : std::nullopt;
}

namespace {

// day, meter, reading, total, quality
DayRow day_columns(Query& query) {
    DayRow row;
    row.day = query.i64();
    row.meter = query.text();
    row.reading = query.u64();
    row.total = Milli{query.i64()};
    row.quality = static_cast<ReadingQuality>(query.i64());
    return row;
}

}  // namespace

std::vector<DayRow> Store::load_days(std::int64_t from_day) {
    std::vector<DayRow> rows;
    Query query(impl_->connection,
                "SELECT day,meter.meter,reading,total,quality FROM meter_day "
                "JOIN meter ON meter.id=meter_day.meter WHERE day>=? ORDER BY day");
    query << from_day;
    while (query.step()) rows.push_back(day_columns(query));
    return rows;
}

std::optional<DayRow> Store::load_day_before(const std::string& meter, std::int64_t day,
                                             int days_back) {
    // Days are looked up one by one: meter_day is kept by day first, and a meter's rows lie apart.
    Query query(impl_->connection,
                "WITH RECURSIVE back(day) AS (SELECT ?2 UNION ALL "
                "SELECT day-1 FROM back WHERE day>?2-?3) "
                "SELECT d.day,meter.meter,d.reading,d.total,d.quality FROM back "
                "CROSS JOIN meter_day d ON d.day=back.day AND d.meter=?1 "
                "JOIN meter ON meter.id=d.meter LIMIT 1");
    query << impl_->meter_id(meter) << day << static_cast<std::int64_t>(days_back);
    if (!query.step()) return std::nullopt;
    return day_columns(query);
}

std::vector<HourRow> Store::load_hours(Service service, std::int64_t from_hour) {
    std::vector<HourRow> rows;
    // CROSS JOIN keeps the hours outside: they are few and lie together, the meters' do not.
    Query query(impl_->connection,
                "SELECT hour,meter.meter,total,quality FROM meter_hour "
                "CROSS JOIN meter ON meter.id=meter_hour.meter "
                "WHERE hour>=? AND service=? ORDER BY hour");
    query << from_hour << std::string(to_string(service));
    while (query.step()) {
        HourRow row;
        row.hour = query.i64();
        row.meter = query.text();
        row.total = Milli{query.i64()};
        row.quality = static_cast<ReadingQuality>(query.i64());
        rows.push_back(std::move(row));
    }
    return rows;
}

std::vector<QuarantineRow> Store::load_open_quarantine() {
    std::vector<QuarantineRow> rows;
    Query query(impl_->connection,
                "SELECT " GATEHOUSE_QUARANTINE_COLUMNS "WHERE state='open' ORDER BY quarantine.id");
    while (query.step()) rows.push_back(store::quarantine_columns(query, impl_->bases));
    return rows;
}

std::map<std::string, Settlement> Store::load_settlements(const std::string& from_scope,
                                                          LocalDate counters_from) {
    std::map<std::string, Settlement> rows;
    {
        Query query(impl_->connection,
                    "SELECT account.account,line.service,scope,tariff,version,season,band,tier,"
                    "price,quantity,posted FROM line JOIN account ON account.id=line.account "
                    "WHERE scope>=?1 UNION ALL "
                    "SELECT account.account,line.service,scope,tariff,version,season,band,tier,"
                    "price,quantity,posted FROM line INDEXED BY line_unsettled "
                    "JOIN account ON account.id=line.account WHERE unsettled<>0 AND scope<?1");
        query << from_scope;
        while (query.step()) {
            Settlement& settlement = rows[query.text()];
            LineKey key = store::line_key_columns(query);
            Line line;
            line.price = Price{query.i64()};
            line.quantity = Milli{query.i64()};
            line.posted = Fen{query.i64()};
            settlement.lines.emplace(std::move(key), line);
        }
    }
    Query query(impl_->connection,
                "SELECT account.account,tariff,start,quantity FROM ladder_counter "
                "JOIN account ON account.id=ladder_counter.account WHERE start>=?");
    query << format_date(counters_from);
    while (query.step()) {
        Settlement& settlement = rows[query.text()];
        std::string tariff = query.text();
        const auto start = parse_date(query.text());
        if (!start) throw StoreError(StoreError::Kind::corrupt, "ladder_counter: not a date");
        settlement.counters[{std::move(tariff), *start}] = Milli{query.i64()};
    }
    Query rests(impl_->connection,
                "SELECT account.account,tariff,quantity FROM step_total "
                "JOIN account ON account.id=step_total.account WHERE quantity<>0");
    while (rests.step()) {
        Settlement& settlement = rows[rests.text()];
        std::string tariff = rests.text();
        settlement.rests[std::move(tariff)] = Milli{rests.i64()};
    }
    return rows;
}

std::vector<AlertRow> Store::load_open_alerts() {
    std::vector<AlertRow> rows;
    Query query(impl_->connection, "SELECT " GATEHOUSE_ALERT_COLUMNS "WHERE open<>0 ORDER BY n");
    while (query.step()) rows.push_back(store::alert_columns(query));
    return rows;
}

std::map<std::string, std::uint64_t> Store::load_topic_heads() {
    std::map<std::string, std::uint64_t> heads;
    Query query(impl_->connection, "SELECT topic,seq FROM topic_head");
    while (query.step()) {
        std::string topic = query.text();
        heads[std::move(topic)] = query.u64();
    }
    return heads;
}

std::uint64_t Store::load_mqtt_cursor() {
    return static_cast<std::uint64_t>(
        sql::number(impl_->connection, "SELECT mqtt_cursor FROM site").value_or(0));
}

std::optional<UtcMs> Store::load_newest_trusted() {
    return sql::number(impl_->connection, "SELECT newest_trusted_ms FROM site");
}

std::vector<TokenRow> Store::load_tokens() {
    std::vector<TokenRow> rows;
    Query query(impl_->connection, "SELECT " GATEHOUSE_TOKEN_COLUMNS "ORDER BY created_at_ms, id");
    while (query.step()) rows.push_back(store::token_columns(query));
    return rows;
}

std::string Store::load_note(const std::string& name) {
    return store::note(impl_->connection, name);
}

}  // namespace gatehouse
