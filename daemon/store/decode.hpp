// Rows as they lie on disk turned into values, for the writer's loaders and for readers. Each
// function names the columns that its query must select, in order. Private to the store.
#pragma once

#include <unordered_map>

#include "daemon/store/sql.hpp"

namespace gatehouse::store {

// run -> wall - mono at its start; stamps hold the wall clock as the difference to it.
using RunBases = std::unordered_map<std::int64_t, std::int64_t>;
[[nodiscard]] RunBases load_run_bases(sql::Connection& connection);

void bind_stamp(sql::Query& query, const Stamp& stamp, const RunBases& bases);
[[nodiscard]] Stamp stamp_columns(sql::Query& query, const RunBases& bases);  // run, mono, skew

[[nodiscard]] std::string pack_words(const std::vector<std::uint16_t>& words);
[[nodiscard]] std::vector<std::uint16_t> unpack_words(const std::string& bytes);

[[nodiscard]] std::string join(const std::vector<std::string>& words);  // one blank between
[[nodiscard]] std::vector<std::string> split(const std::string& text);

// Where a meter stood when it was read.
struct Context {
    std::int64_t meter_id = 0;
    std::string meter, unit, account, serial, multiplier = "1";
    std::int64_t epoch = 0;
    MeterRole role = MeterRole::unit;
    Service service = Service::electricity;
};
inline constexpr const char* kContextSql =
    "SELECT meter_context.id,meter.id,meter.meter,meter_context.unit,meter_context.account,"
    "meter_context.serial,meter_context.multiplier,meter_context.epoch,meter_context.role,"
    "meter_context.service FROM meter_context JOIN meter ON meter.id = meter_context.meter "
    "WHERE meter_context.id > ? ORDER BY meter_context.id";
using Contexts = std::unordered_map<std::int64_t, Context>;
// Adds those that are newer than the newest known; returns the newest id.
std::int64_t load_contexts(sql::Connection& connection, Contexts& contexts, std::int64_t newest);

#define GATEHOUSE_READING_COLUMNS                                                              \
    "seq,context,kind,quality,run,mono_ms,skew_ms,register,total,raw,stands_at_ms,supersedes," \
    "face "
// Fills all but what the context says; returns the context's id.
std::int64_t reading_columns(sql::Query& query, const RunBases& bases, ReadingRow& row);
void apply(const Context& context, ReadingRow& row);

[[nodiscard]] std::vector<RunRow> load_runs(sql::Connection& connection);

#define GATEHOUSE_QUARANTINE_COLUMNS                                                             \
    "quarantine.id,meter.meter,quarantine.account,epoch,run,mono_ms,skew_ms,register,total,raw," \
    "reason,held,state,released_as,by,quarantine.serial FROM quarantine "                        \
    "JOIN meter ON meter.id = quarantine.meter "
[[nodiscard]] QuarantineRow quarantine_columns(sql::Query& query, const RunBases& bases);

#define GATEHOUSE_ALERT_COLUMNS                                                                  \
    "id,kind,state,subject,account,unit,level,acknowledged,opened_at_ms,told_at_ms,seq,payload," \
    "open FROM alert "
[[nodiscard]] AlertRow alert_columns(sql::Query& query);

#define GATEHOUSE_TOKEN_COLUMNS                                                             \
    "id,name,scopes,secret_hash,created_at_ms,expires_at_ms,revoked_at_ms,last_used_at_ms," \
    "addresses FROM token "
[[nodiscard]] TokenRow token_columns(sql::Query& query);

// month,state,closed_by,event,last_entry,last_reading
[[nodiscard]] PeriodRow period_columns(sql::Query& query);

// Of the oldest entry, line or freeze; empty: there is none.
[[nodiscard]] std::string oldest_month(sql::Connection& connection);

[[nodiscard]] LogHead head_columns(sql::Query& query);  // day, seq, h
[[nodiscard]] LogHead newest_seal(sql::Connection& connection);
[[nodiscard]] std::string note(sql::Connection& connection, const std::string& name);

[[nodiscard]] std::optional<IdempotencyRow> find_idempotency(sql::Connection& connection,
                                                             const std::string& key);

// service,scope,tariff,version,season,band,tier
[[nodiscard]] LineKey line_key_columns(sql::Query& query);

// An entry by its seq, with legs and line; nothing where there is none.
struct EntryColumns {
    Entry entry;
    Stamp at;
    std::uint64_t seq = 0, event = 0;
    std::int64_t line = 0;
    std::string method, h;
    std::optional<UtcMs> received_at;
};
[[nodiscard]] std::optional<EntryColumns> load_entry(sql::Connection& connection, std::uint64_t seq,
                                                     const RunBases& bases);

}  // namespace gatehouse::store
