#include "daemon/store/schema.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "daemon/store/row_proof.hpp"
#include "daemon/store/schema_steps.hpp"

namespace gatehouse::store {
namespace {

// "GHSE": tells our files from other programs'.
constexpr std::int64_t kApplicationId = 0x47485345;

// Rows of one meter or one account are not clustered and mostly not indexed: with thousands of
// them each posting would touch a page a row. Time comes first in every key instead; a meter's
// year is one lookup a day, an account's ledger a list linked through entry_leg.prev.
//
// Stamps: run, mono_ms, and skew_ms = wall as seen - mono_ms - run.base_ms, which is small.

constexpr const char* kBooks = R"sql(
CREATE TABLE site(
  one INTEGER PRIMARY KEY CHECK(one = 1),
  site TEXT NOT NULL,
  newest_trusted_ms INTEGER,
  mqtt_cursor INTEGER NOT NULL DEFAULT 0,
  marks_up_to INTEGER NOT NULL DEFAULT 0,  -- meter_last is complete up to that reading
  intervals_dropped_up_to INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE note(name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE run(
  run INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
  started_mono_ms INTEGER NOT NULL, started_wall_ms INTEGER NOT NULL,
  base_ms INTEGER NOT NULL, version TEXT NOT NULL
) STRICT;
CREATE TABLE run_offset(
  run INTEGER NOT NULL REFERENCES run(run), from_mono_ms INTEGER NOT NULL,
  offset_ms INTEGER NOT NULL, PRIMARY KEY(run, from_mono_ms)
) STRICT, WITHOUT ROWID;
CREATE TABLE issued(series TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT, WITHOUT ROWID;
-- What a restored copy jumped over; written only together with the event log.restored.
CREATE TABLE gap(
  series TEXT NOT NULL, after INTEGER NOT NULL, next INTEGER NOT NULL, event INTEGER NOT NULL,
  PRIMARY KEY(series, after)
) STRICT, WITHOUT ROWID;
-- Opens the triggers below for retention, within one transaction; empty at all other times.
CREATE TABLE maintenance(
  one INTEGER PRIMARY KEY CHECK(one = 1), intervals_up_to INTEGER, events_up_to INTEGER
) STRICT;

CREATE TABLE event_kind(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE event(
  seq INTEGER PRIMARY KEY, kind INTEGER NOT NULL REFERENCES event_kind(id),
  run INTEGER NOT NULL REFERENCES run(run), mono_ms INTEGER NOT NULL, skew_ms INTEGER NOT NULL,
  c BLOB NOT NULL CHECK(length(c) = 32), h BLOB NOT NULL CHECK(length(h) = 32)
) STRICT;
CREATE TABLE event_body(
  seq INTEGER PRIMARY KEY REFERENCES event(seq),
  salt BLOB NOT NULL CHECK(length(salt) = 16), subject TEXT NOT NULL, body TEXT NOT NULL
) STRICT;
CREATE TABLE event_removed(seq INTEGER PRIMARY KEY, reason TEXT NOT NULL) STRICT;
CREATE TABLE event_about(
  about TEXT NOT NULL, seq INTEGER NOT NULL REFERENCES event(seq), PRIMARY KEY(about, seq)
) STRICT, WITHOUT ROWID;
-- The head of the log at the end of each day; a prefix may be dropped at one.
CREATE TABLE event_seal(
  day TEXT PRIMARY KEY, seq INTEGER NOT NULL, h BLOB NOT NULL CHECK(length(h) = 32)
) STRICT, WITHOUT ROWID;
CREATE INDEX event_seal_seq ON event_seal(seq);
CREATE TRIGGER event_seal_keeps BEFORE UPDATE ON event_seal
BEGIN SELECT RAISE(ABORT, 'seals are append-only'); END;
CREATE TRIGGER event_seal_stays BEFORE DELETE ON event_seal
BEGIN SELECT RAISE(ABORT, 'seals are append-only'); END;
CREATE TABLE topic_head(topic TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TRIGGER event_keeps BEFORE UPDATE ON event
BEGIN SELECT RAISE(ABORT, 'event rows are append-only'); END;
CREATE TRIGGER event_stays BEFORE DELETE ON event
WHEN NOT EXISTS(SELECT 1 FROM maintenance JOIN event_seal ON event_seal.seq = events_up_to
                WHERE OLD.seq <= events_up_to)
BEGIN SELECT RAISE(ABORT, 'event rows are append-only'); END;
CREATE TRIGGER event_body_keeps BEFORE UPDATE ON event_body
BEGIN SELECT RAISE(ABORT, 'event bodies are append-only'); END;
CREATE TRIGGER event_body_stays BEFORE DELETE ON event_body
WHEN NOT EXISTS(SELECT 1 FROM event_removed WHERE seq = OLD.seq)
BEGIN SELECT RAISE(ABORT, 'an event body is removed only with a recorded reason'); END;
CREATE TRIGGER event_removed_keeps BEFORE UPDATE ON event_removed
BEGIN SELECT RAISE(ABORT, 'removals are append-only'); END;
CREATE TRIGGER event_removed_stays BEFORE DELETE ON event_removed
BEGIN SELECT RAISE(ABORT, 'removals are append-only'); END;
CREATE TRIGGER gap_keeps BEFORE UPDATE ON gap
BEGIN SELECT RAISE(ABORT, 'gaps are append-only'); END;
CREATE TRIGGER gap_stays BEFORE DELETE ON gap
BEGIN SELECT RAISE(ABORT, 'gaps are append-only'); END;
)sql";

constexpr const char* kRegistry = R"sql(
CREATE TABLE unit(
  id INTEGER PRIMARY KEY, place INTEGER NOT NULL, unit TEXT NOT NULL UNIQUE,
  label TEXT NOT NULL, building TEXT NOT NULL, entrance TEXT NOT NULL, floor TEXT NOT NULL,
  use TEXT NOT NULL, status TEXT NOT NULL, area_centi INTEGER, persons INTEGER,
  walk_order INTEGER, collector TEXT NOT NULL, care TEXT NOT NULL
) STRICT;
-- Personal data stands here alone; everything else names the person's id.
CREATE TABLE person(
  id INTEGER PRIMARY KEY, place INTEGER NOT NULL, person TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL, name TEXT NOT NULL, phone TEXT NOT NULL, unit TEXT NOT NULL,
  company TEXT NOT NULL, valid_from TEXT, valid_to TEXT
) STRICT;
CREATE TABLE tariff(
  id INTEGER PRIMARY KEY, place INTEGER NOT NULL, tariff TEXT NOT NULL UNIQUE,
  service TEXT NOT NULL, source TEXT NOT NULL
) STRICT;
CREATE TABLE tariff_version(
  tariff TEXT NOT NULL REFERENCES tariff(tariff), valid_from TEXT NOT NULL,
  ladder TEXT NOT NULL, ladder_from_month INTEGER NOT NULL, ladder_from_day INTEGER NOT NULL,
  per_person_from INTEGER, per_person_up_to_plus INTEGER, minimum INTEGER NOT NULL,
  quantity_step INTEGER NOT NULL, PRIMARY KEY(tariff, valid_from)
) STRICT, WITHOUT ROWID;
CREATE TABLE tariff_tier(
  tariff TEXT NOT NULL, valid_from TEXT NOT NULL, n INTEGER NOT NULL, months INTEGER NOT NULL,
  up_to INTEGER, price INTEGER NOT NULL, adder INTEGER NOT NULL,
  PRIMARY KEY(tariff, valid_from, n),
  FOREIGN KEY(tariff, valid_from) REFERENCES tariff_version(tariff, valid_from)
) STRICT, WITHOUT ROWID;
CREATE TABLE tariff_band(
  tariff TEXT NOT NULL, valid_from TEXT NOT NULL, n INTEGER NOT NULL, name TEXT NOT NULL,
  from_minute INTEGER NOT NULL, to_minute INTEGER NOT NULL, months INTEGER NOT NULL,
  days TEXT NOT NULL, price INTEGER NOT NULL, PRIMARY KEY(tariff, valid_from, n),
  FOREIGN KEY(tariff, valid_from) REFERENCES tariff_version(tariff, valid_from)
) STRICT, WITHOUT ROWID;
CREATE TABLE tariff_fixed(
  tariff TEXT NOT NULL, valid_from TEXT NOT NULL, n INTEGER NOT NULL, name TEXT NOT NULL,
  per TEXT NOT NULL, amount INTEGER NOT NULL, PRIMARY KEY(tariff, valid_from, n),
  FOREIGN KEY(tariff, valid_from) REFERENCES tariff_version(tariff, valid_from)
) STRICT, WITHOUT ROWID;
CREATE TABLE account(
  id INTEGER PRIMARY KEY, place INTEGER NOT NULL, account TEXT NOT NULL UNIQUE,
  unit TEXT REFERENCES unit(unit) DEFERRABLE INITIALLY DEFERRED, service TEXT NOT NULL,
  holder TEXT NOT NULL, billing TEXT NOT NULL, opening_balance INTEGER, live_from TEXT,
  low_balance INTEGER, critical_balance INTEGER, overdraft INTEGER, hoarding_cap INTEGER,
  low_days INTEGER, critical_days INTEGER, chase INTEGER, old_number TEXT NOT NULL,
  closed TEXT NOT NULL
) STRICT;
CREATE TABLE account_tariff(
  account INTEGER NOT NULL REFERENCES account(id), n INTEGER NOT NULL,
  tariff TEXT REFERENCES tariff(tariff) DEFERRABLE INITIALLY DEFERRED, opening_ladder INTEGER,
  PRIMARY KEY(account, n)
) STRICT, WITHOUT ROWID;
CREATE TABLE holder_history(
  account INTEGER NOT NULL REFERENCES account(id), run INTEGER NOT NULL REFERENCES run(run),
  mono_ms INTEGER NOT NULL, skew_ms INTEGER NOT NULL, holder TEXT NOT NULL,
  PRIMARY KEY(account, run, mono_ms)
) STRICT, WITHOUT ROWID;
CREATE TABLE meter(
  id INTEGER PRIMARY KEY, place INTEGER NOT NULL, meter TEXT NOT NULL UNIQUE,
  unit TEXT REFERENCES unit(unit) DEFERRABLE INITIALLY DEFERRED, service TEXT NOT NULL,
  role TEXT NOT NULL, parent TEXT NOT NULL, bus TEXT NOT NULL, address INTEGER,
  channel INTEGER, profile TEXT NOT NULL, serial TEXT NOT NULL, nameplate TEXT NOT NULL,
  location TEXT NOT NULL, multiplier TEXT NOT NULL, offset TEXT, rated_amps TEXT,
  rated_flow TEXT, opening_register TEXT, opening_at TEXT,
  account TEXT REFERENCES account(account) DEFERRABLE INITIALLY DEFERRED,
  tariff TEXT NOT NULL, status TEXT NOT NULL
) STRICT;
CREATE TABLE pool(
  id INTEGER PRIMARY KEY, place INTEGER NOT NULL, pool TEXT NOT NULL UNIQUE,
  service TEXT NOT NULL, share TEXT NOT NULL, tariff TEXT NOT NULL
) STRICT;
CREATE TABLE calendar(
  date TEXT PRIMARY KEY, place INTEGER NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL
) STRICT;
CREATE TABLE staff(
  id INTEGER PRIMARY KEY, place INTEGER NOT NULL, staff TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL, department TEXT NOT NULL, phone TEXT NOT NULL, active_to TEXT,
  cash_limit INTEGER
) STRICT;
CREATE TABLE key_(
  id INTEGER PRIMARY KEY, place INTEGER NOT NULL, key TEXT NOT NULL UNIQUE,
  class TEXT NOT NULL, cabinet TEXT NOT NULL, slot INTEGER, location TEXT NOT NULL,
  tag TEXT NOT NULL, count INTEGER, max_hold_ms INTEGER, curfew TEXT NOT NULL,
  needs_second INTEGER, seal_no TEXT NOT NULL, set_ TEXT NOT NULL, label TEXT NOT NULL
) STRICT;
-- The columns that hold several values: roles and cards of staff, members of pools, what a key
-- opens, uses and labels of a tariff (field "label.<language>").
CREATE TABLE registry_list(
  file TEXT NOT NULL, id TEXT NOT NULL, field TEXT NOT NULL, n INTEGER NOT NULL,
  value TEXT NOT NULL, PRIMARY KEY(file, id, field, n)
) STRICT, WITHOUT ROWID;
)sql";

constexpr const char* kReadings = R"sql(
CREATE TABLE epoch(
  id INTEGER PRIMARY KEY, meter INTEGER NOT NULL REFERENCES meter(id), serial TEXT NOT NULL,
  multiplier TEXT NOT NULL, base_total INTEGER NOT NULL, base_figure INTEGER NOT NULL,
  opened_run INTEGER REFERENCES run(run), opened_mono_ms INTEGER, opened_wall_ms INTEGER,
  closed_run INTEGER REFERENCES run(run), closed_mono_ms INTEGER, closed_wall_ms INTEGER,
  final_register INTEGER,
  device_ratio TEXT NOT NULL  -- CT, PT or resolution in registers of the device; empty: none read
) STRICT;
CREATE INDEX epoch_meter ON epoch(meter);
-- Where a meter stood when it was read: written once for each change, named by every reading.
CREATE TABLE meter_context(
  id INTEGER PRIMARY KEY, meter INTEGER NOT NULL REFERENCES meter(id),
  epoch INTEGER REFERENCES epoch(id), unit TEXT NOT NULL, account TEXT NOT NULL,
  role TEXT NOT NULL, service TEXT NOT NULL, multiplier TEXT NOT NULL, serial TEXT NOT NULL
) STRICT;
CREATE INDEX meter_context_meter ON meter_context(meter);
CREATE TABLE reading(
  seq INTEGER PRIMARY KEY, context INTEGER NOT NULL REFERENCES meter_context(id),
  kind INTEGER NOT NULL CHECK(kind BETWEEN 0 AND 6),
  quality INTEGER NOT NULL CHECK(quality BETWEEN 0 AND 4),
  run INTEGER NOT NULL REFERENCES run(run), mono_ms INTEGER NOT NULL, skew_ms INTEGER NOT NULL,
  register INTEGER NOT NULL, total INTEGER NOT NULL, raw BLOB NOT NULL, stands_at_ms INTEGER,
  supersedes INTEGER, face TEXT
) STRICT;
CREATE INDEX reading_kind ON reading(kind) WHERE kind <> 0;
CREATE INDEX reading_rare ON reading(context) WHERE kind > 2;
CREATE INDEX reading_supersedes ON reading(supersedes) WHERE supersedes IS NOT NULL;
CREATE TRIGGER reading_keeps BEFORE UPDATE ON reading
BEGIN SELECT RAISE(ABORT, 'readings are append-only'); END;
CREATE TRIGGER reading_stays BEFORE DELETE ON reading
WHEN NOT (OLD.kind = 0
          AND EXISTS(SELECT 1 FROM maintenance WHERE OLD.seq <= intervals_up_to))
BEGIN SELECT RAISE(ABORT, 'readings are append-only'); END;
CREATE TABLE meter_last(
  meter INTEGER PRIMARY KEY REFERENCES meter(id), reading INTEGER NOT NULL
) STRICT;
CREATE TABLE meter_day(
  day INTEGER NOT NULL, meter INTEGER NOT NULL REFERENCES meter(id), reading INTEGER NOT NULL,
  total INTEGER NOT NULL, quality INTEGER NOT NULL, PRIMARY KEY(day, meter)
) STRICT, WITHOUT ROWID;
CREATE TABLE meter_hour(
  hour INTEGER NOT NULL, meter INTEGER NOT NULL REFERENCES meter(id), total INTEGER NOT NULL,
  quality INTEGER NOT NULL, PRIMARY KEY(hour, meter)
) STRICT, WITHOUT ROWID;
-- A registry change that a meter's samples have not passed yet, with what held before it: until
-- they do, the meter is charged by the first of its rows here.
CREATE TABLE pending_edge(
  meter INTEGER NOT NULL REFERENCES meter(id), event INTEGER NOT NULL,
  run INTEGER NOT NULL REFERENCES run(run), mono_ms INTEGER NOT NULL, skew_ms INTEGER NOT NULL,
  unit TEXT NOT NULL, account TEXT NOT NULL, tariff TEXT NOT NULL, multiplier TEXT NOT NULL,
  PRIMARY KEY(meter, event)
) STRICT, WITHOUT ROWID;
CREATE TABLE quarantine(
  id INTEGER PRIMARY KEY, meter INTEGER NOT NULL REFERENCES meter(id), account TEXT NOT NULL,
  epoch INTEGER REFERENCES epoch(id), run INTEGER NOT NULL REFERENCES run(run),
  mono_ms INTEGER NOT NULL, skew_ms INTEGER NOT NULL, register INTEGER NOT NULL,
  total INTEGER NOT NULL, raw BLOB NOT NULL, reason TEXT NOT NULL, held INTEGER NOT NULL,
  state TEXT NOT NULL CHECK(state IN ('open', 'released', 'rejected')),
  released_as INTEGER NOT NULL, by TEXT NOT NULL, serial TEXT NOT NULL
) STRICT;
CREATE INDEX quarantine_open ON quarantine(id) WHERE state = 'open';
CREATE TABLE manual_reading(
  id INTEGER PRIMARY KEY, meter INTEGER NOT NULL REFERENCES meter(id),
  epoch INTEGER REFERENCES epoch(id), run INTEGER NOT NULL REFERENCES run(run),
  mono_ms INTEGER NOT NULL, skew_ms INTEGER NOT NULL, read_at_ms INTEGER NOT NULL,
  register TEXT NOT NULL, by TEXT NOT NULL, second TEXT, photo TEXT,
  state TEXT NOT NULL CHECK(state IN ('waiting', 'confirmed', 'rejected')), reading INTEGER,
  quarantine INTEGER REFERENCES quarantine(id),  -- that it waits for
  profile TEXT NOT NULL  -- whose map the face agreed with; empty: a reading, not that question
) STRICT;
CREATE INDEX manual_reading_meter ON manual_reading(meter);
CREATE TABLE replacement(
  id INTEGER PRIMARY KEY, meter INTEGER NOT NULL REFERENCES meter(id),
  old_epoch INTEGER NOT NULL REFERENCES epoch(id), new_epoch INTEGER REFERENCES epoch(id),
  at_ms INTEGER NOT NULL, old_final TEXT NOT NULL, new_serial TEXT NOT NULL,
  new_opening TEXT NOT NULL, new_address INTEGER, by TEXT NOT NULL, second TEXT NOT NULL,
  event INTEGER NOT NULL REFERENCES event(seq)
) STRICT;
CREATE INDEX replacement_meter ON replacement(meter);
CREATE TABLE meter_hold(
  meter INTEGER NOT NULL REFERENCES meter(id), since INTEGER NOT NULL REFERENCES event(seq),
  until INTEGER REFERENCES event(seq), by TEXT NOT NULL, PRIMARY KEY(meter, since)
) STRICT, WITHOUT ROWID;
)sql";

constexpr const char* kMoney = R"sql(
CREATE TABLE ledger_account(
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, balance INTEGER NOT NULL,
  last_entry INTEGER NOT NULL
) STRICT;
CREATE TABLE line(
  line INTEGER PRIMARY KEY, scope TEXT NOT NULL, account INTEGER NOT NULL REFERENCES account(id),
  service TEXT NOT NULL, tariff TEXT NOT NULL, version TEXT NOT NULL, season TEXT NOT NULL,
  band TEXT NOT NULL, tier INTEGER NOT NULL, price INTEGER NOT NULL, quantity INTEGER NOT NULL,
  posted INTEGER NOT NULL, unsettled INTEGER NOT NULL,
  UNIQUE(scope, account, service, tariff, version, season, band, tier)
) STRICT;
CREATE INDEX line_unsettled ON line(line) WHERE unsettled <> 0;
CREATE TABLE line_part(
  line INTEGER NOT NULL REFERENCES line(line), meter INTEGER NOT NULL REFERENCES meter(id),
  from_reading INTEGER NOT NULL, to_reading INTEGER NOT NULL, quantity INTEGER NOT NULL,
  PRIMARY KEY(line, meter, to_reading)
) STRICT, WITHOUT ROWID;
CREATE TABLE ladder_counter(
  start TEXT NOT NULL, account INTEGER NOT NULL REFERENCES account(id), tariff TEXT NOT NULL,
  quantity INTEGER NOT NULL, PRIMARY KEY(start, account, tariff)
) STRICT, WITHOUT ROWID;
-- The quantity of an (account, tariff) since its first reading, for quantity_step.
CREATE TABLE step_total(
  account INTEGER NOT NULL REFERENCES account(id), tariff TEXT NOT NULL,
  quantity INTEGER NOT NULL, PRIMARY KEY(account, tariff)
) STRICT, WITHOUT ROWID;
CREATE TABLE mark(
  account INTEGER NOT NULL REFERENCES account(id), meter INTEGER NOT NULL REFERENCES meter(id),
  reading INTEGER NOT NULL, total INTEGER NOT NULL, PRIMARY KEY(account, meter)
) STRICT, WITHOUT ROWID;
CREATE TABLE posting(
  cause TEXT NOT NULL, account INTEGER NOT NULL REFERENCES account(id),
  PRIMARY KEY(cause, account)
) STRICT, WITHOUT ROWID;
CREATE TABLE entry(
  seq INTEGER PRIMARY KEY, entry TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
  account INTEGER REFERENCES account(id), amount INTEGER NOT NULL, cause TEXT NOT NULL,
  month TEXT NOT NULL, line INTEGER REFERENCES line(line), receipt TEXT, by TEXT, second TEXT,
  reverses TEXT REFERENCES entry(entry), run INTEGER NOT NULL REFERENCES run(run),
  mono_ms INTEGER NOT NULL, skew_ms INTEGER NOT NULL, event INTEGER, method TEXT,
  received_at_ms INTEGER, h BLOB NOT NULL CHECK(length(h) = 32)
) STRICT;
CREATE UNIQUE INDEX entry_receipt ON entry(receipt) WHERE receipt IS NOT NULL;
CREATE UNIQUE INDEX entry_reverses ON entry(reverses) WHERE reverses IS NOT NULL;
CREATE TABLE entry_leg(
  entry INTEGER NOT NULL REFERENCES entry(seq), n INTEGER NOT NULL,
  account INTEGER NOT NULL REFERENCES ledger_account(id), amount INTEGER NOT NULL,
  balance INTEGER NOT NULL,  -- of that ledger account after this leg
  prev INTEGER NOT NULL,     -- the entry before on that ledger account; 0: none
  PRIMARY KEY(entry, n)
) STRICT, WITHOUT ROWID;
-- Words of people beside an entry; not chained, may be erased.
CREATE TABLE entry_text(
  entry INTEGER PRIMARY KEY REFERENCES entry(seq), reference TEXT NOT NULL,
  payer TEXT NOT NULL, note TEXT NOT NULL
) STRICT;
CREATE TRIGGER entry_keeps BEFORE UPDATE ON entry
BEGIN SELECT RAISE(ABORT, 'ledger entries are append-only'); END;
CREATE TRIGGER entry_stays BEFORE DELETE ON entry
BEGIN SELECT RAISE(ABORT, 'ledger entries are append-only'); END;
CREATE TRIGGER entry_leg_keeps BEFORE UPDATE ON entry_leg
BEGIN SELECT RAISE(ABORT, 'ledger entries are append-only'); END;
CREATE TRIGGER entry_leg_stays BEFORE DELETE ON entry_leg
BEGIN SELECT RAISE(ABORT, 'ledger entries are append-only'); END;
CREATE TABLE receipt_print(
  receipt TEXT NOT NULL, n INTEGER NOT NULL, event INTEGER NOT NULL REFERENCES event(seq),
  PRIMARY KEY(receipt, n)
) STRICT, WITHOUT ROWID;
CREATE TABLE idempotency(
  key TEXT PRIMARY KEY, route TEXT NOT NULL, body_hash TEXT NOT NULL, status INTEGER NOT NULL,
  reply TEXT NOT NULL, run INTEGER NOT NULL REFERENCES run(run), mono_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE period(
  month TEXT PRIMARY KEY, state TEXT NOT NULL CHECK(state IN ('open', 'closing', 'closed')),
  closed_by TEXT, event INTEGER REFERENCES event(seq), last_entry INTEGER, last_reading INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE period_file(
  month TEXT NOT NULL REFERENCES period(month), name TEXT NOT NULL, sha256 BLOB NOT NULL,
  bytes INTEGER NOT NULL, PRIMARY KEY(month, name)
) STRICT, WITHOUT ROWID;
)sql";

constexpr const char* kPeople = R"sql(
CREATE TABLE alert(
  n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, state TEXT NOT NULL,
  subject TEXT NOT NULL, account TEXT NOT NULL, unit TEXT NOT NULL, level INTEGER NOT NULL,
  acknowledged INTEGER NOT NULL, opened_at_ms INTEGER NOT NULL, told_at_ms INTEGER NOT NULL,
  seq INTEGER NOT NULL, payload TEXT NOT NULL, open INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX alert_open ON alert(subject, kind) WHERE open <> 0;
CREATE TABLE alert_transition(
  alert INTEGER NOT NULL REFERENCES alert(n), seq INTEGER NOT NULL, state TEXT NOT NULL,
  level INTEGER NOT NULL, PRIMARY KEY(alert, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE alert_ack(
  seq INTEGER PRIMARY KEY, alert INTEGER NOT NULL REFERENCES alert(n), by TEXT NOT NULL,
  via TEXT NOT NULL, note TEXT NOT NULL, result TEXT NOT NULL
) STRICT;
CREATE INDEX alert_ack_alert ON alert_ack(alert);
CREATE TABLE notice(
  notice TEXT PRIMARY KEY, account TEXT NOT NULL, holder TEXT NOT NULL, alert TEXT NOT NULL,
  level INTEGER NOT NULL, balance INTEGER NOT NULL, days_left INTEGER,
  event INTEGER NOT NULL REFERENCES event(seq), done_event INTEGER REFERENCES event(seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX notice_account ON notice(account);
CREATE TABLE token(
  id TEXT PRIMARY KEY, name TEXT NOT NULL, scopes TEXT NOT NULL, secret_hash TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL, expires_at_ms INTEGER, revoked_at_ms INTEGER,
  last_used_at_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE staff_password(
  staff TEXT PRIMARY KEY, hash TEXT NOT NULL, changed_at_ms INTEGER NOT NULL,
  must_change INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE view_log(
  id INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES run(run), mono_ms INTEGER NOT NULL,
  skew_ms INTEGER NOT NULL, actor TEXT NOT NULL, subject TEXT NOT NULL, what TEXT NOT NULL,
  reason TEXT NOT NULL
) STRICT;
CREATE INDEX view_log_subject ON view_log(subject);
-- Who is erased; a restore applies it again.
CREATE TABLE erasure(
  id INTEGER PRIMARY KEY, person TEXT NOT NULL, by TEXT NOT NULL, reason TEXT NOT NULL,
  event INTEGER REFERENCES event(seq)
) STRICT;
)sql";

// What charges a meter at which terms, from which figure on: a correction or a price that comes
// late replays what was counted long ago, and the registry knows only how things stand now. The
// reading itself may be an interval's, which retention drops; its figure and time stand here. A
// meter without a row was charged as the registry says since before this table was.
constexpr const char* kTerms = R"sql(
ALTER TABLE pending_edge ADD COLUMN persons INTEGER;
CREATE TABLE meter_terms(
  meter INTEGER NOT NULL REFERENCES meter(id), from_reading INTEGER NOT NULL,
  account INTEGER NOT NULL REFERENCES account(id), tariff TEXT NOT NULL, persons INTEGER,
  total INTEGER NOT NULL, run INTEGER NOT NULL REFERENCES run(run), mono_ms INTEGER NOT NULL,
  skew_ms INTEGER NOT NULL, stands_at_ms INTEGER, PRIMARY KEY(meter, from_reading)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER meter_terms_keep BEFORE UPDATE ON meter_terms
BEGIN SELECT RAISE(ABORT, 'terms of meters are append-only'); END;
CREATE TRIGGER meter_terms_stay BEFORE DELETE ON meter_terms
BEGIN SELECT RAISE(ABORT, 'terms of meters are append-only'); END;
)sql";

// A month is closed in two steps: the lines of its consumption as they were posted stand here while
// its files are written beside the running books, and go when the files are sealed. The files are
// kept compressed and in parts, so that a backup of the books holds them and no part holds up the
// writer.
constexpr const char* kPeriods = R"sql(
CREATE TABLE closing_line(
  line INTEGER PRIMARY KEY REFERENCES line(line), quantity INTEGER NOT NULL,
  posted INTEGER NOT NULL
) STRICT;
CREATE TABLE period_content(
  month TEXT NOT NULL REFERENCES period(month), name TEXT NOT NULL, n INTEGER NOT NULL,
  deflated BLOB NOT NULL, PRIMARY KEY(month, name, n)
) STRICT;
CREATE TRIGGER period_keeps BEFORE UPDATE ON period WHEN OLD.state = 'closed'
BEGIN SELECT RAISE(ABORT, 'a closed month is not changed'); END;
CREATE TRIGGER period_stays BEFORE DELETE ON period
BEGIN SELECT RAISE(ABORT, 'a closed month is not changed'); END;
CREATE TRIGGER period_file_keeps BEFORE UPDATE ON period_file
BEGIN SELECT RAISE(ABORT, 'files of a closed month are not changed'); END;
CREATE TRIGGER period_file_stays BEFORE DELETE ON period_file
BEGIN SELECT RAISE(ABORT, 'files of a closed month are not changed'); END;
CREATE TRIGGER period_content_keeps BEFORE UPDATE ON period_content
WHEN (SELECT state FROM period WHERE month = OLD.month) = 'closed'
BEGIN SELECT RAISE(ABORT, 'files of a closed month are not changed'); END;
CREATE TRIGGER period_content_stays BEFORE DELETE ON period_content
WHEN (SELECT state FROM period WHERE month = OLD.month) = 'closed'
BEGIN SELECT RAISE(ABORT, 'files of a closed month are not changed'); END;
)sql";

// What a replay needs beyond the readings: the order in which figures entered the lines, the
// opening of ladders, the tariffs of ended months, and which versions came late and for whom they
// do not hold. Steps of one account lie far apart, so each names the one before.
constexpr const char* kReplays = R"sql(
ALTER TABLE mark ADD COLUMN step INTEGER NOT NULL DEFAULT 0;
CREATE TABLE mark_step(
  step INTEGER PRIMARY KEY, account INTEGER NOT NULL REFERENCES account(id),
  meter INTEGER NOT NULL REFERENCES meter(id), reading INTEGER NOT NULL,
  begins INTEGER NOT NULL,  -- on the terms of meter_terms: what lies before is not charged
  prev INTEGER NOT NULL,    -- of that meter on that account; 0: none
  digest BLOB NOT NULL CHECK(length(digest) = 16)  -- of the reading, and of the terms that begin
) STRICT;
CREATE TRIGGER mark_step_keeps BEFORE UPDATE ON mark_step
BEGIN SELECT RAISE(ABORT, 'steps of marks are append-only'); END;
CREATE TRIGGER mark_step_stays BEFORE DELETE ON mark_step
BEGIN SELECT RAISE(ABORT, 'steps of marks are append-only'); END;
-- Of rows that stand in the place of others in a replay, the same digest.
CREATE TABLE superseding(
  reading INTEGER PRIMARY KEY, digest BLOB NOT NULL CHECK(length(digest) = 16)
) STRICT;
CREATE TRIGGER superseding_keeps BEFORE UPDATE ON superseding
BEGIN SELECT RAISE(ABORT, 'digests of readings are append-only'); END;
CREATE TRIGGER superseding_stays BEFORE DELETE ON superseding
BEGIN SELECT RAISE(ABORT, 'digests of readings are append-only'); END;
CREATE TABLE ladder_opening(
  account INTEGER NOT NULL REFERENCES account(id), tariff TEXT NOT NULL, day TEXT NOT NULL,
  start TEXT NOT NULL, quantity INTEGER NOT NULL, PRIMARY KEY(account, tariff)
) STRICT, WITHOUT ROWID;
-- The tariffs that charged an account when a month of it was posted whole: its minimums.
CREATE TABLE month_tariff(
  month TEXT NOT NULL, account INTEGER NOT NULL REFERENCES account(id), tariff TEXT NOT NULL,
  PRIMARY KEY(month, account, tariff)
) STRICT, WITHOUT ROWID;
CREATE TABLE late_version(
  tariff TEXT NOT NULL, valid_from TEXT NOT NULL, event INTEGER NOT NULL,
  PRIMARY KEY(tariff, valid_from)
) STRICT, WITHOUT ROWID;
-- What a price or a figure that came late changes, account by account.
CREATE TABLE settling_cause(
  event INTEGER PRIMARY KEY, kind TEXT NOT NULL, cause TEXT NOT NULL,
  by TEXT NOT NULL, second TEXT NOT NULL, reason TEXT NOT NULL
) STRICT;
CREATE TABLE settling(
  account INTEGER NOT NULL REFERENCES account(id), event INTEGER NOT NULL,
  state TEXT NOT NULL CHECK(state IN ('waiting', 'left')), PRIMARY KEY(account, event)
) STRICT, WITHOUT ROWID;
CREATE INDEX settling_waiting ON settling(event, account) WHERE state = 'waiting';
CREATE INDEX ladder_counter_account ON ladder_counter(account);
)sql";

void sync_file(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) throw StoreError(StoreError::Kind::io, "cannot open the copy " + path);
    const bool synced = ::fsync(fd) == 0;
    ::close(fd);
    if (!synced) throw StoreError(StoreError::Kind::io, "cannot sync the copy " + path);
}

std::string copy_before(sql::Connection& connection, int version) {
    std::string path;
    for (int n = 0;; ++n) {
        path = connection.path() + ".schema-" + std::to_string(version) +
               (n == 0 ? "" : "-" + std::to_string(n)) + ".backup";
        if (!std::filesystem::exists(path)) break;
    }
    sql::Query query(connection, "VACUUM INTO ?");
    query << path;
    query.run();
    sync_file(path);
    return path;
}

bool has_row_proofs(sql::Connection& connection) {
    return sql::number(connection, "SELECT count(*) FROM sqlite_schema WHERE name='row_proof'") ==
           1;
}

}  // namespace

const std::vector<const char*>& migrations() {
    // One migration may be several texts, since compilers limit the length of a literal.
    static const std::string first = [] {
        std::string text;
        for (const char* part : {kBooks, kRegistry, kReadings, kMoney, kPeople}) text += part;
        return text;
    }();
    static const std::vector<const char*> all{
        first.c_str(), kTerms,        kPeriods, kReplays,     kPools,  kPeopleAccess, kKeysTickets,
        kErasures,     kKeyRetention, kRemaps,  kOfficeWords, kSigned, kRowProofs,    kEdgeFigures};
    return all;
}

Migrated migrate(sql::Connection& connection, const std::vector<const char*>& steps) {
    const int newest = static_cast<int>(steps.size());
    const int version =
        static_cast<int>(sql::number(connection, "PRAGMA user_version").value_or(0));
    if (version > newest) {
        throw StoreError(StoreError::Kind::newer_schema,
                         "database " + connection.path() + " has schema " +
                             std::to_string(version) + ", this gatehoused knows " +
                             std::to_string(newest) +
                             ": install the newer version or restore the backup it made");
    }
    const bool ours =
        sql::number(connection, "PRAGMA application_id").value_or(0) == kApplicationId;
    const bool empty = sql::number(connection, "SELECT count(*) FROM sqlite_schema") == 0;
    if (!empty && !ours) {
        throw StoreError(StoreError::Kind::corrupt,
                         "database " + connection.path() +
                             " belongs to another program: name another path in [store]");
    }
    Migrated result{version, newest, {}};
    if (version == newest) return result;
    if (!empty) result.backup = copy_before(connection, version);
    for (int step = version + 1; step <= newest; ++step) {
        connection.forget_statements();
        connection.exec("BEGIN IMMEDIATE");
        try {
            connection.exec(steps[static_cast<std::size_t>(step - 1)]);
            // What a newer schema adds to a row is part of its proof from here on.
            if (step == newest && has_row_proofs(connection)) store::prove_all(connection);
            connection.exec("PRAGMA application_id=" + std::to_string(kApplicationId));
            connection.exec("PRAGMA user_version=" + std::to_string(step));
            connection.exec("COMMIT");
        } catch (...) {
            connection.rollback();
            throw;
        }
    }
    connection.forget_statements();
    return result;
}

}  // namespace gatehouse::store
