#include "daemon/store/decode.hpp"

#include <algorithm>

#include "daemon/store/chain.hpp"

namespace gatehouse::store {
namespace {

using sql::Connection;
using sql::Query;

template <class T>
T known(std::optional<T> value, const std::string& word) {
    if (!value) throw StoreError(StoreError::Kind::corrupt, "books: unknown word " + word);
    return *value;
}

}  // namespace

RunBases load_run_bases(Connection& connection) {
    RunBases bases;
    Query query(connection, "SELECT run, base_ms FROM run");
    while (query.step()) {
        const std::int64_t run = query.i64();
        bases[run] = query.i64();
    }
    return bases;
}

void bind_stamp(Query& query, const Stamp& stamp, const RunBases& bases) {
    const auto base = bases.find(stamp.run);
    const std::int64_t base_ms = base == bases.end() ? 0 : base->second;
    query << stamp.run << stamp.mono_ms << stamp.wall_ms - stamp.mono_ms - base_ms;
}

Stamp stamp_columns(Query& query, const RunBases& bases) {
    Stamp stamp;
    stamp.run = query.i64();
    stamp.mono_ms = query.i64();
    const auto base = bases.find(stamp.run);
    stamp.wall_ms = query.i64() + stamp.mono_ms + (base == bases.end() ? 0 : base->second);
    return stamp;
}

std::string pack_words(const std::vector<std::uint16_t>& words) {
    std::string bytes;
    for (const std::uint16_t word : words) {
        bytes.push_back(static_cast<char>(word >> 8));
        bytes.push_back(static_cast<char>(word & 0xff));
    }
    return bytes;
}

std::vector<std::uint16_t> unpack_words(const std::string& bytes) {
    std::vector<std::uint16_t> words;
    for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
        words.push_back(static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[i]) << 8 |
                                                   static_cast<unsigned char>(bytes[i + 1])));
    }
    return words;
}

std::string join(const std::vector<std::string>& words) {
    std::string text;
    for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
    return text;
}

std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> words;
    std::size_t from = 0;
    while (from < text.size()) {
        const std::size_t to = std::min(text.find(' ', from), text.size());
        if (to > from) words.push_back(text.substr(from, to - from));
        from = to + 1;
    }
    return words;
}

std::int64_t load_contexts(Connection& connection, Contexts& contexts, std::int64_t newest) {
    Query query(connection, kContextSql);
    query << newest;
    while (query.step()) {
        newest = query.i64();
        Context context;
        context.meter_id = query.i64();
        context.meter = query.text();
        context.unit = query.text();
        context.account = query.text();
        context.serial = query.text();
        context.multiplier = query.text();
        context.epoch = query.maybe_i64().value_or(0);
        const std::string role = query.text(), service = query.text();
        context.role = known(parse_meter_role(role), role);
        context.service = known(parse_service(service), service);
        contexts[newest] = std::move(context);
    }
    return newest;
}

std::int64_t reading_columns(Query& query, const RunBases& bases, ReadingRow& row) {
    row.seq = query.u64();
    const std::int64_t context = query.i64();
    row.kind = static_cast<ReadingKind>(query.i64());
    row.quality = static_cast<ReadingQuality>(query.i64());
    row.at = stamp_columns(query, bases);
    row.register_value = Milli{query.i64()};
    row.total = Milli{query.i64()};
    row.raw = unpack_words(query.bytes());
    row.stands_at = query.maybe_i64();
    const auto supersedes = query.maybe_i64();
    row.supersedes.reset();
    if (supersedes) row.supersedes = static_cast<std::uint64_t>(*supersedes);
    row.face = query.maybe_text().value_or("");
    return context;
}

void apply(const Context& context, ReadingRow& row) {
    row.meter = context.meter;
    row.epoch = context.epoch;
    row.account = context.account;
}

std::vector<RunRow> load_runs(Connection& connection) {
    std::vector<RunRow> rows;
    {
        Query query(connection,
                    "SELECT run,id,started_mono_ms,started_wall_ms,version FROM run ORDER BY run");
        while (query.step()) {
            RunRow row;
            row.run = query.i64();
            row.id = query.text();
            row.started_mono_ms = query.i64();
            row.started_wall_ms = query.i64();
            row.version = query.text();
            rows.push_back(std::move(row));
        }
    }
    Query query(connection,
                "SELECT run,from_mono_ms,offset_ms FROM run_offset ORDER BY run, from_mono_ms");
    std::size_t at = 0;
    while (query.step()) {
        const std::int64_t run = query.i64();
        while (at < rows.size() && rows[at].run < run) ++at;
        RunOffset offset;
        offset.from_mono_ms = query.i64();
        offset.offset_ms = query.i64();
        if (at < rows.size() && rows[at].run == run) rows[at].offsets.push_back(offset);
    }
    return rows;
}

QuarantineRow quarantine_columns(Query& query, const RunBases& bases) {
    QuarantineRow row;
    row.id = query.i64();
    row.meter = query.text();
    row.account = query.text();
    row.epoch = query.maybe_i64().value_or(0);
    row.at = stamp_columns(query, bases);
    row.register_value = Milli{query.i64()};
    row.total = Milli{query.i64()};
    row.raw = unpack_words(query.bytes());
    row.reason = query.text();
    row.held = Fen{query.i64()};
    const std::string state = query.text();
    row.state = state == "open"       ? QuarantineRow::State::open
                : state == "released" ? QuarantineRow::State::released
                                      : QuarantineRow::State::rejected;
    row.released_as = query.u64();
    row.by = query.text();
    row.serial = query.text();
    return row;
}

AlertRow alert_columns(Query& query) {
    AlertRow row;
    row.id = query.text();
    row.kind = query.text();
    row.state = query.text();
    row.subject = query.text();
    row.account = query.text();
    row.unit = query.text();
    row.level = query.i32();
    row.acknowledged = query.flag();
    row.opened_at = query.i64();
    row.told_at = query.i64();
    row.seq = query.u64();
    row.payload = query.text();
    row.open = query.flag();
    return row;
}

TokenRow token_columns(Query& query) {
    TokenRow row;
    row.id = query.text();
    row.name = query.text();
    row.scopes = split(query.text());
    row.secret_hash = query.text();
    row.created_at = query.i64();
    row.expires_at = query.maybe_i64();
    row.revoked_at = query.maybe_i64();
    row.last_used_at = query.maybe_i64();
    row.addresses = split(query.text());
    return row;
}

PeriodRow period_columns(sql::Query& query) {
    PeriodRow row;
    row.month = query.text();
    row.state = query.text() == "closed" ? PeriodRow::State::closed : PeriodRow::State::closing;
    row.by = query.maybe_text().value_or("");
    row.event = static_cast<std::uint64_t>(query.maybe_i64().value_or(0));
    row.last_entry = static_cast<std::uint64_t>(query.maybe_i64().value_or(0));
    row.last_reading = static_cast<std::uint64_t>(query.maybe_i64().value_or(0));
    return row;
}

std::string oldest_month(sql::Connection& connection) {
    std::string oldest;
    const auto take = [&](const std::optional<std::string>& month) {
        if (month && (oldest.empty() || *month < oldest)) oldest = *month;
    };
    {
        // Months of entries never fall, so the first one's is the oldest.
        sql::Query query(connection, "SELECT month FROM entry ORDER BY seq LIMIT 1");
        if (query.step()) take(query.text());
    }
    {
        sql::Query query(connection, "SELECT min(scope) FROM line");
        if (query.step()) take(query.maybe_text());
    }
    const auto day = sql::number(connection, "SELECT min(day) FROM meter_day");
    if (day) take(month_scope(date_from_days(*day)));
    return oldest;
}

LogHead head_columns(Query& query) {
    LogHead head;
    head.day = query.text();
    head.seq = query.u64();
    head.h = hex(query.bytes());
    return head;
}

LogHead newest_seal(Connection& connection) {
    Query query(connection, "SELECT day,seq,h FROM event_seal ORDER BY day DESC LIMIT 1");
    return query.step() ? head_columns(query) : LogHead{};
}

std::string note(Connection& connection, const std::string& name) {
    Query query(connection, "SELECT value FROM note WHERE name=?");
    query << name;
    return query.step() ? query.text() : std::string{};
}

std::optional<IdempotencyRow> find_idempotency(Connection& connection, const std::string& key) {
    Query query(connection, "SELECT route,body_hash,status,reply FROM idempotency WHERE key=?");
    query << key;
    if (!query.step()) return std::nullopt;
    IdempotencyRow row;
    row.key = key;
    row.route = query.text();
    row.body_hash = query.text();
    row.status = query.i32();
    row.reply = query.text();
    return row;
}

LineKey line_key_columns(Query& query) {
    LineKey key;
    const std::string service = query.text();
    key.service = known(parse_service(service), service);
    key.scope = query.text();
    key.tariff = query.text();
    const std::string version = query.text();
    key.version = known(parse_date(version), version);
    key.season = query.text();
    key.band = query.text();
    key.tier = query.i32();
    return key;
}

std::optional<EntryColumns> load_entry(Connection& connection, std::uint64_t seq,
                                       const RunBases& bases) {
    EntryColumns row;
    row.seq = seq;
    Entry& entry = row.entry;
    {
        Query query(connection,
                    "SELECT entry.entry,entry.kind,account.account,entry.amount,cause,month,line,"
                    "receipt,by,second,reverses,run,mono_ms,skew_ms,event,method,received_at_ms,h "
                    "FROM entry LEFT JOIN account ON account.id = entry.account WHERE seq=?");
        query << seq;
        if (!query.step()) return std::nullopt;
        entry.entry = query.text();
        const std::string kind = query.text();
        entry.kind = known(parse_entry_kind(kind), kind);
        entry.account = query.maybe_text().value_or("");
        entry.amount = Fen{query.i64()};
        entry.cause = query.text();
        entry.month = query.text();
        row.line = query.maybe_i64().value_or(0);
        entry.receipt = query.maybe_text().value_or("");
        entry.by = query.maybe_text().value_or("");
        entry.second = query.maybe_text().value_or("");
        entry.reverses = query.maybe_text().value_or("");
        row.at = stamp_columns(query, bases);
        row.event = static_cast<std::uint64_t>(query.maybe_i64().value_or(0));
        row.method = query.maybe_text().value_or("");
        row.received_at = query.maybe_i64();
        row.h = query.bytes();
    }
    if (row.line != 0) {
        Query query(connection,
                    "SELECT service,scope,tariff,version,season,band,tier FROM line WHERE line=?");
        query << row.line;
        if (query.step()) entry.line = line_key_columns(query);
    }
    Query legs(connection,
               "SELECT ledger_account.name,entry_leg.amount FROM entry_leg "
               "JOIN ledger_account ON ledger_account.id = entry_leg.account "
               "WHERE entry_leg.entry=? ORDER BY entry_leg.n");
    legs << seq;
    while (legs.step()) {
        Leg leg;
        leg.account = legs.text();
        leg.amount = Fen{legs.i64()};
        entry.legs.push_back(std::move(leg));
    }
    return row;
}

}  // namespace gatehouse::store
