// The appenders: events, readings and ledger entries, each with its number and its chain.
#include "daemon/core/assert.hpp"
#include "daemon/store/chain.hpp"
#include "daemon/store/row_proof.hpp"
#include "daemon/store/store_impl.hpp"
#include "daemon/store/verify_steps.hpp"

namespace gatehouse {

using sql::Query;

namespace {

[[noreturn]] void unknown(const char* what, const std::string& id) {
    throw StoreError(StoreError::Kind::other,
                     std::string("store: ") + what + " " + id + " is not in the registry");
}

}  // namespace

std::int64_t Store::Impl::meter_id(const std::string& meter) {
    const auto found = meters.find(meter);
    if (found != meters.end()) return found->second;
    Query query(connection, "SELECT id FROM meter WHERE meter=?");
    query << meter;
    if (!query.step()) unknown("meter", meter);
    return meters[meter] = query.i64();
}

std::int64_t Store::Impl::account_id(const std::string& account) {
    const auto found = accounts.find(account);
    if (found != accounts.end()) return found->second;
    Query query(connection, "SELECT id FROM account WHERE account=?");
    query << account;
    if (!query.step()) unknown("account", account);
    return accounts[account] = query.i64();
}

std::int64_t Store::Impl::kind_id(const std::string& kind) {
    const auto found = kinds.find(kind);
    if (found != kinds.end()) return found->second;
    {
        Query query(connection, "SELECT id FROM event_kind WHERE name=?");
        query << kind;
        if (query.step()) return kinds[kind] = query.i64();
    }
    Query query(connection, "INSERT INTO event_kind(name) VALUES(?)");
    query << kind;
    query.run();
    return kinds[kind] = connection.last_rowid();
}

std::int64_t Store::Impl::ledger_account_id(const std::string& name) {
    const auto found = ledger_accounts.find(name);
    if (found != ledger_accounts.end()) return found->second;
    {
        Query query(connection, "SELECT id FROM ledger_account WHERE name=?");
        query << name;
        if (query.step()) return ledger_accounts[name] = query.i64();
    }
    Query query(connection, "INSERT INTO ledger_account(name,balance,last_entry) VALUES(?,0,0)");
    query << name;
    query.run();
    return ledger_accounts[name] = connection.last_rowid();
}

std::int64_t Store::Impl::line_id(std::int64_t account, const LineKey& key) {
    {
        Query query(connection,
                    "SELECT line FROM line WHERE scope=? AND account=? AND service=? AND tariff=? "
                    "AND version=? AND season=? AND band=? AND tier=?");
        query << key.scope << account << to_string(key.service) << key.tariff
              << format_date(key.version) << key.season << key.band << key.tier;
        if (query.step()) return query.i64();
    }
    const auto id = static_cast<std::int64_t>(take(Series::line));
    Query query(connection, "INSERT INTO line VALUES(?,?,?,?,?,?,?,?,?,0,0,0,0)");
    query << id << key.scope << account << to_string(key.service) << key.tariff
          << format_date(key.version) << key.season << key.band << key.tier;
    query.run();
    return id;
}

std::int64_t Store::Impl::context_id(const ReadingRow& reading) {
    const auto found = contexts.find(reading.meter);
    if (found != contexts.end() && found->second.epoch == reading.epoch &&
        found->second.account == reading.account && found->second.unit == reading.unit) {
        return found->second.id;
    }
    const std::int64_t meter = meter_id(reading.meter);
    std::string unit, role, service, multiplier, serial;
    {
        Query query(connection,
                    "SELECT meter.unit,meter.role,meter.service,"
                    "coalesce(epoch.multiplier,meter.multiplier),"
                    "coalesce(epoch.serial,meter.serial) FROM meter "
                    "LEFT JOIN epoch ON epoch.id=? WHERE meter.id=?");
        query << reading.epoch << meter;
        if (!query.step()) unknown("meter", reading.meter);
        unit = query.maybe_text().value_or("");
        if (reading.unit) unit = *reading.unit;
        role = query.text();
        service = query.text();
        multiplier = query.text();
        serial = query.text();
    }
    std::optional<std::int64_t> epoch;
    if (reading.epoch != 0) epoch = reading.epoch;
    std::int64_t id = 0;
    {
        Query query(connection,
                    "SELECT id FROM meter_context WHERE meter=? AND epoch IS ? AND unit=? AND "
                    "account=? AND role=? AND service=? AND multiplier=? AND serial=?");
        query << meter << epoch << unit << reading.account << role << service << multiplier
              << serial;
        if (query.step()) id = query.i64();
    }
    if (id == 0) {
        Query query(connection,
                    "INSERT INTO meter_context(meter,epoch,unit,account,role,service,multiplier,"
                    "serial) VALUES(?,?,?,?,?,?,?,?)");
        query << meter << epoch << unit << reading.account << role << service << multiplier
              << serial;
        query.run();
        id = connection.last_rowid();
    }
    contexts[reading.meter] = {id, reading.epoch, reading.account, reading.unit};
    return id;
}

std::uint64_t Store::Impl::append_event(const EventRow& event) {
    const std::int64_t kind = kind_id(event.kind);
    std::string salt(store::kSaltSize, '\0');
    random.fill(salt.data(), salt.size());
    const std::string c = store::commitment(salt, store::event_document(event.subject, event.body));
    const std::uint64_t seq = take(Series::event);
    const std::string h =
        store::event_link(now.event_hash, seq, event.kind, event.at.run, event.at.mono_ms, c);
    {
        Query query(connection, "INSERT INTO event VALUES(?,?,?,?,?,?,?)");
        query << seq << kind;
        store::bind_stamp(query, event.at, bases);
        query.blob(c).blob(h).run();
    }
    {
        Query query(connection, "INSERT INTO event_body VALUES(?,?,?,?)");
        query << seq;
        query.blob(salt);
        query << event.subject << event.body;
        query.run();
    }
    for (const auto& about : event.about) {
        Query query(connection, "INSERT OR IGNORE INTO event_about VALUES(?,?)");
        query << about << seq;
        query.run();
    }
    now.event_hash = h;
    return seq;
}

// Whether that row stands behind that instant; false where nobody knows its time.
bool Store::Impl::stands_behind(std::uint64_t reading, UtcMs at) {
    Query query(connection,
                "SELECT coalesce(r.stands_at_ms,r.mono_ms+coalesce("
                "(SELECT offset_ms FROM run_offset o WHERE o.run=r.run AND "
                "o.from_mono_ms<=r.mono_ms ORDER BY o.from_mono_ms DESC LIMIT 1),"
                "(SELECT offset_ms FROM run_offset o WHERE o.run=r.run "
                "ORDER BY o.from_mono_ms LIMIT 1))) FROM reading r WHERE r.seq=?");
    query << reading;
    const auto stands = query.step() ? query.maybe_i64() : std::nullopt;
    return stands && *stands > at;
}

void Store::Impl::note_last(std::int64_t meter, const ReadingRow& reading) {
    std::uint64_t& last = last_of_meter[meter];
    // A row that replaces an older one in its place is not where the meter stands now, but for the
    // one where it stood; corrections name the row that came first, the second one of it as well.
    const auto stands_in_place_of_last = [&] {
        if (*reading.supersedes == last) return true;
        Query query(connection, "SELECT supersedes FROM reading WHERE seq=?");
        query << last;
        const auto root = query.step() ? query.maybe_i64() : std::nullopt;
        return root && static_cast<std::uint64_t>(*root) == *reading.supersedes;
    };
    // Nor is a midnight that was split once the clock was confirmed, where what was read behind it
    // is stored already.
    const auto is_split_late = [&] {
        return !reading.supersedes && reading.stands_at && last != 0 &&
               reading.quality == ReadingQuality::estimated &&
               stands_behind(last, *reading.stands_at);
    };
    if ((reading.supersedes && !stands_in_place_of_last()) || is_split_late()) {
        if (last == 0) last_of_meter.erase(meter);
        return;
    }
    undo_last.emplace_back(meter, last);
    last = reading.seq;
}

void Store::Impl::flush_last() {
    for (const auto& [meter, seq] : last_of_meter) {
        Query query(connection,
                    "INSERT INTO meter_last VALUES(?1,?2) ON CONFLICT(meter) DO UPDATE SET "
                    "reading=?2 WHERE reading<>?2");
        query << meter << seq;
        query.run();
    }
    marks_up_to = now.last[static_cast<std::size_t>(Series::reading)];
    Query query(connection, "UPDATE site SET marks_up_to=?");
    query << marks_up_to;
    query.run();
}

void Store::Impl::load_last() {
    marks_up_to = static_cast<std::uint64_t>(
        sql::number(connection, "SELECT marks_up_to FROM site").value_or(0));
    {
        Query query(connection, "SELECT meter,reading FROM meter_last");
        while (query.step()) {
            const std::int64_t meter = query.i64();
            last_of_meter[meter] = query.u64();
        }
    }
    store::Contexts known;
    store::load_contexts(connection, known, 0);
    Query query(connection,
                "SELECT seq,context,supersedes,quality,stands_at_ms FROM reading "
                "WHERE seq>? ORDER BY seq");
    query << marks_up_to;
    while (query.step()) {
        ReadingRow row;
        row.seq = query.u64();
        const std::int64_t context = query.i64();
        const auto supersedes = query.maybe_i64();
        if (supersedes) row.supersedes = static_cast<std::uint64_t>(*supersedes);
        row.quality = static_cast<ReadingQuality>(query.i64());
        row.stands_at = query.maybe_i64();
        note_last(known.at(context).meter_id, row);
    }
}

void Store::Impl::append_leg(std::uint64_t entry, int n, const Leg& leg) {
    const std::int64_t account = ledger_account_id(leg.account);
    std::int64_t balance = 0;
    std::uint64_t prev = 0;
    {
        Query query(connection, "SELECT balance,last_entry FROM ledger_account WHERE id=?");
        query << account;
        GH_ASSERT(query.step());
        balance = query.i64();
        prev = query.u64();
    }
    balance = (Fen{balance} + leg.amount).count;
    {
        Query query(connection, "INSERT INTO entry_leg VALUES(?,?,?,?,?,?)");
        query << entry << n << account << leg.amount.count << balance << prev;
        query.run();
    }
    Query query(connection, "UPDATE ledger_account SET balance=?,last_entry=? WHERE id=?");
    query << balance << entry << account;
    query.run();
}

std::uint64_t Store::append_event(const EventRow& event) {
    impl_->need_transaction();
    return impl_->append_event(event);
}

std::uint64_t Store::append_reading(const ReadingRow& reading) {
    impl_->need_transaction();
    const std::int64_t context = impl_->context_id(reading);
    ReadingRow row;
    row.seq = impl_->take(Series::reading);
    row.supersedes = reading.supersedes;
    {
        Query query(impl_->connection,
                    "INSERT INTO reading VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,"
                    "row_proof(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13))");
        query << row.seq << context << static_cast<std::int64_t>(reading.kind)
              << static_cast<std::int64_t>(reading.quality);
        store::bind_stamp(query, reading.at, impl_->bases);
        query << reading.register_value.count << reading.total.count;
        query.blob(store::pack_words(reading.raw));
        query << reading.stands_at << reading.supersedes;
        query.text_or_null(reading.face);
        query.run();
    }
    if (reading.supersedes) {
        Query query(impl_->connection, "INSERT INTO superseding VALUES(?,?)");
        query << row.seq;
        query.blob(store::step_digest(impl_->connection, row.seq, 0, false)).run();
    }
    impl_->note_last(impl_->meter_id(reading.meter), row);
    if (row.seq - impl_->marks_up_to >= Impl::kFlushEvery) impl_->flush_last();
    return row.seq;
}

std::uint64_t Store::append_entry(const Entry& entry, const Stamp& at, const EntryExtra& extra) {
    impl_->need_transaction();
    GH_ASSERT(!entry.entry.empty());
    std::optional<std::int64_t> account, line, event;
    if (!entry.account.empty()) account = impl_->account_id(entry.account);
    if (entry.line) {
        GH_ASSERT(account);
        line = impl_->line_id(*account, *entry.line);
    }
    if (extra.event != 0) event = static_cast<std::int64_t>(extra.event);
    const std::uint64_t seq = impl_->take(Series::entry);
    const std::string h = store::entry_link(impl_->now.entry_hash, canonical_bytes(entry, seq, at));
    {
        Query query(impl_->connection,
                    "INSERT INTO entry VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
        query << seq << entry.entry << to_string(entry.kind) << account << entry.amount.count
              << entry.cause << entry.month << line;
        query.text_or_null(entry.receipt).text_or_null(entry.by).text_or_null(entry.second);
        query.text_or_null(entry.reverses);
        store::bind_stamp(query, at, impl_->bases);
        query << event;
        query.text_or_null(extra.method);
        query << extra.received_at;
        query.blob(h).run();
    }
    int n = 0;
    for (const Leg& leg : entry.legs) impl_->append_leg(seq, n++, leg);
    if (extra.vouched) {
        Query query(impl_->connection, "INSERT INTO entry_vouched VALUES(?)");
        query << seq;
        query.run();
    }
    if (!extra.reference.empty() || !extra.payer.empty() || !extra.note.empty()) {
        Query query(impl_->connection, "INSERT INTO entry_text VALUES(?,?,?,?)");
        query << seq << extra.reference << extra.payer << extra.note;
        query.run();
        store::prove(impl_->connection, "entry_text", std::to_string(seq));
    }
    impl_->now.entry_hash = h;
    return seq;
}

}  // namespace gatehouse
