#include "daemon/store/verify_steps.hpp"

#include "daemon/store/chain.hpp"
#include "daemon/store/row_proof.hpp"

namespace gatehouse::store {
namespace {

using sql::Query;

constexpr std::size_t kDigestSize = 16;
constexpr std::uint64_t kBreathEvery = 1'024;

void put(std::string& out, const std::string& field) {
    out += std::to_string(field.size()) + ":" + field + ",";
}
// An absent one is told apart from an empty one and from 0.
void put(std::string& out, const std::optional<std::int64_t>& number) {
    put(out, number ? std::to_string(*number) : std::string("-"));
}

// Empty where the row is gone.
std::string reading_bytes(sql::Connection& connection, std::uint64_t reading) {
    Query query(connection,
                "SELECT x.meter,x.epoch,x.account,x.multiplier,x.serial,r.kind,r.quality,r.run,"
                "r.mono_ms,r.skew_ms,r.register,r.total,r.stands_at_ms,r.supersedes,r.face,r.raw "
                "FROM reading r JOIN meter_context x ON x.id=r.context WHERE r.seq=?");
    query << reading;
    if (!query.step()) return {};
    std::string out;
    put(out, "gatehouse-reading-1");
    put(out, std::to_string(reading));
    put(out, query.maybe_i64());
    put(out, query.maybe_i64());
    for (int i = 0; i < 3; ++i) put(out, query.text());
    for (int i = 0; i < 9; ++i) put(out, query.maybe_i64());
    put(out, query.maybe_text().value_or(""));
    put(out, query.bytes());
    return out;
}

std::string terms_bytes(sql::Connection& connection, std::uint64_t reading, std::int64_t meter) {
    Query query(connection,
                "SELECT account,tariff,persons,total,run,mono_ms,skew_ms,stands_at_ms "
                "FROM meter_terms WHERE meter=? AND from_reading=?");
    query << meter << reading;
    std::string out;
    put(out, "gatehouse-terms-1");
    if (!query.step()) return out;
    put(out, query.maybe_i64());
    put(out, query.text());
    for (int i = 0; i < 6; ++i) put(out, query.maybe_i64());
    return out;
}

std::string digest_of(const std::string& bytes) {
    return sha256(bytes).substr(0, kDigestSize);
}

// Retention drops interval readings; what began with one stands in its terms.
std::string changed_step(sql::Connection& connection, std::uint64_t dropped,
                         const std::function<void()>& breathe) {
    Query query(connection,
                "SELECT step,mark_step.meter,meter.meter,reading,begins,digest FROM mark_step "
                "JOIN meter ON meter.id=mark_step.meter ORDER BY step");
    for (std::uint64_t count = 1; query.step(); ++count) {
        const std::uint64_t step = query.u64();
        const std::int64_t meter = query.i64();
        const std::string name = query.text();
        const std::uint64_t reading = query.u64();
        const bool begins = query.flag();
        const std::string digest = query.bytes();
        if (count % kBreathEvery == 0) breathe();
        const std::string bytes = reading_bytes(connection, reading);
        if (bytes.empty() && reading > dropped)
            return "reading " + std::to_string(reading) + " of meter " + name +
                   ": it entered the lines and is not there";
        if (bytes.empty()) continue;
        const std::string terms = begins ? terms_bytes(connection, reading, meter) : std::string();
        if (digest_of(bytes + terms) != digest)
            return "reading " + std::to_string(reading) + " of meter " + name +
                   (begins ? ", or the terms that begin with it" : "") +
                   ": not the row that entered the lines (step " + std::to_string(step) + ")";
    }
    return {};
}

std::string changed_superseding(sql::Connection& connection) {
    Query query(connection,
                "SELECT r.seq,r.supersedes,coalesce(s.digest,x'') FROM reading r INDEXED BY "
                "reading_supersedes "
                "LEFT JOIN superseding s ON s.reading=r.seq WHERE r.supersedes IS NOT NULL");
    while (query.step()) {
        const std::uint64_t reading = query.u64(), replaced = query.u64();
        const std::string digest = query.bytes();
        if (digest_of(reading_bytes(connection, reading)) != digest)
            return "reading " + std::to_string(reading) + ", which supersedes " +
                   std::to_string(replaced) + ": not the row that was stored";
    }
    return {};
}

// A day's figure is what its freeze holds, or the newest row in that one's place: after a restart
// the next days are worked out from it.
std::string changed_day(sql::Connection& connection, const std::function<void()>& breathe) {
    Query query(connection,
                "SELECT m.meter,date(d.day*86400,'unixepoch'),d.total,x.meter IS d.meter,"
                "coalesce((SELECT s.total FROM reading s WHERE s.supersedes=r.seq "
                "ORDER BY s.seq DESC LIMIT 1),r.total) FROM meter_day d "
                "JOIN meter m ON m.id=d.meter LEFT JOIN reading r ON r.seq=d.reading "
                "LEFT JOIN meter_context x ON x.id=r.context ORDER BY d.day,d.meter");
    for (std::uint64_t count = 1; query.step(); ++count) {
        const std::string meter = query.text(), day = query.text();
        const std::int64_t total = query.i64();
        const bool of_meter = query.flag();
        const auto frozen = query.maybe_i64();
        if (count % kBreathEvery == 0) breathe();
        if (!of_meter || !frozen)
            return "day " + day + " of meter " + meter + ": its freeze is not there";
        if (*frozen != total)
            return "day " + day + " of meter " + meter + ": not what its freeze holds";
    }
    return {};
}

struct Rule {
    const char* rows;   // selects the name of the first row that breaks it
    const char* words;  // before that name
};
constexpr Rule kRules[] = {
    // The entries of every posting stand under its key; a change of tariffs within one import has
    // a key for each of them.
    {"SELECT 'entry '||entry.seq||' of account '||account.account||', posting '||cause "
     "FROM entry JOIN account ON account.id=entry.account "
     "WHERE kind IN ('charge','correction','fee','price_settlement') AND NOT EXISTS("
     "SELECT 1 FROM posting WHERE posting.account=entry.account AND posting.cause=entry.cause) "
     "AND NOT EXISTS(SELECT 1 FROM posting WHERE posting.account=entry.account "
     "AND posting.cause>entry.cause||'/' AND posting.cause<entry.cause||'0') LIMIT 1",
     "booked without its posting: "},
    // Days follow one another. An account that nobody could charge for a while is not posted then,
    // and a start after more than 40 days of that begins its days anew.
    {"SELECT 'account '||account.account||', from '||min(cause)||' to '||max(cause) "
     "FROM posting JOIN account ON account.id=posting.account "
     "WHERE cause>='day:' AND cause<'day;' GROUP BY posting.account "
     "HAVING julianday(substr(max(cause),5)) IS NULL OR julianday(substr(min(cause),5)) IS NULL "
     "OR julianday(substr(max(cause),5))-julianday(substr(min(cause),5))+1-count(*) "
     "<>0 AND julianday(substr(max(cause),5))-julianday(substr(min(cause),5))+1-count(*) "
     "<40 LIMIT 1",
     "posting: a day is missing or was never one: "},
    {"SELECT 'posting '||cause||' of account '||account.account FROM posting "
     "JOIN account ON account.id=posting.account WHERE cause>'day:'||(SELECT "
     "date(newest_trusted_ms/1000,'unixepoch','+1 day') FROM site) AND cause<'day;' LIMIT 1",
     "a day that has not ended: "},
    {"SELECT 'posting '||cause FROM posting WHERE cause>='late:' AND cause<'late;' "
     "AND NOT EXISTS(SELECT 1 FROM reading WHERE seq=CAST(substr(cause,6) AS INTEGER)) LIMIT 1",
     "its reading is not there: "},
    {"SELECT 'meter '||meter.meter||', event '||remap.event FROM remap "
     "JOIN meter ON meter.id=remap.meter WHERE NOT EXISTS(SELECT 1 FROM event JOIN event_kind "
     "ON event_kind.id=event.kind WHERE event.seq=remap.event "
     "AND event_kind.name='meter.remapped') LIMIT 1",
     "re-mapped by no event: "},
    {"SELECT 'account '||account.account||', meter '||meter.meter FROM mark "
     "JOIN account ON account.id=mark.account JOIN meter ON meter.id=mark.meter "
     "WHERE step<>0 AND NOT EXISTS(SELECT 1 FROM mark_step WHERE mark_step.step=mark.step "
     "AND mark_step.account=mark.account AND mark_step.meter=mark.meter) LIMIT 1",
     "mark: its newest step is not there: "},
};

}  // namespace

std::string step_digest(sql::Connection& connection, std::uint64_t reading, std::int64_t meter,
                        bool begins) {
    return digest_of(reading_bytes(connection, reading) +
                     (begins ? terms_bytes(connection, reading, meter) : std::string()));
}

std::string step_fault(sql::Connection& connection, const std::function<void()>& breathe) {
    std::uint64_t dropped = 0;
    if (const auto up_to = sql::number(connection, "SELECT intervals_dropped_up_to FROM site"))
        dropped = static_cast<std::uint64_t>(*up_to);
    if (auto fault = changed_step(connection, dropped, breathe); !fault.empty()) return fault;
    if (auto fault = changed_superseding(connection); !fault.empty()) return fault;
    if (auto fault = changed_day(connection, breathe); !fault.empty()) return fault;
    // A replay prices by them.
    if (auto fault = row_fault(connection, "edge_figure"); !fault.empty()) return fault;
    for (const Rule& rule : kRules) {
        Query query(connection, rule.rows);
        if (query.step()) return rule.words + query.maybe_text().value_or("?");
    }
    return {};
}

}  // namespace gatehouse::store
