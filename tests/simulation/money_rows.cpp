#include "tests/simulation/money_rows.hpp"

#include <sqlite3.h>

#include <stdexcept>

namespace gatehouse::money {

Statement::Statement(sqlite3* db, const char* sql) {
    if (sqlite3_prepare_v2(db, sql, -1, &statement_, nullptr) != SQLITE_OK)
        throw std::runtime_error(std::string(sql) + ": " + sqlite3_errmsg(db));
}
Statement::~Statement() {
    sqlite3_finalize(statement_);
}
void Statement::reset() {
    sqlite3_reset(statement_);
}
bool Statement::step() {
    const int rc = sqlite3_step(statement_);
    if (rc == SQLITE_ROW) return true;
    sqlite3_reset(statement_);
    if (rc != SQLITE_DONE) throw std::runtime_error(sqlite3_errstr(rc));
    return false;
}
std::int64_t Statement::number(int column) const {
    return sqlite3_column_int64(statement_, column);
}
std::string Statement::text(int column) const {
    const unsigned char* bytes = sqlite3_column_text(statement_, column);
    return bytes == nullptr ? "" : reinterpret_cast<const char*>(bytes);
}
bool Statement::null(int column) const {
    return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}
void Statement::one(int at, std::int64_t value) {
    sqlite3_bind_int64(statement_, at, value);
}
void Statement::one(int at, const std::string& value) {
    sqlite3_bind_text(statement_, at, value.c_str(), -1, SQLITE_TRANSIENT);
}

Books::Books(const std::string& path) {
    if (sqlite3_open_v2(path.c_str(), &db_, SQLITE_OPEN_READONLY, nullptr) != SQLITE_OK)
        throw std::runtime_error("cannot open " + path);
    sqlite3_busy_timeout(db_, 5'000);
}
Books::~Books() {
    statements_.clear();
    sqlite3_close(db_);
}

Books::OneState::OneState(Books& books) : db_(books.db_) {
    sqlite3_exec(db_, "BEGIN", nullptr, nullptr, nullptr);
}
Books::OneState::~OneState() {
    sqlite3_exec(db_, "COMMIT", nullptr, nullptr, nullptr);
}

Statement& Books::prepared(const char* sql) {
    Statement& statement = statements_.try_emplace(sql, db_, sql).first->second;
    statement.reset();
    return statement;
}

std::vector<ReadingOnDisk> Books::readings_after(std::int64_t seq) {
    Statement& rows = prepared(
        "SELECT r.seq,c.epoch,r.run,r.mono_ms,run.base_ms+r.mono_ms+r.skew_ms,m.meter,c.account,"
        "r.kind,r.quality,r.register,r.total,r.stands_at_ms,r.face,r.supersedes FROM reading r "
        "JOIN meter_context c ON c.id=r.context JOIN meter m ON m.id=c.meter "
        "JOIN run ON run.run=r.run WHERE r.seq>? ORDER BY r.seq");
    std::vector<ReadingOnDisk> all;
    rows.bind(seq);
    while (rows.step()) {
        ReadingOnDisk row;
        row.seq = rows.number(0);
        row.epoch = rows.number(1);
        row.run = rows.number(2);
        row.mono_ms = rows.number(3);
        row.wall_ms = rows.number(4);
        row.meter = rows.text(5);
        row.account = rows.text(6);
        row.kind = static_cast<RowKind>(rows.number(7));
        row.quality = static_cast<RowQuality>(rows.number(8));
        row.register_value = rows.number(9);
        row.total = rows.number(10);
        if (!rows.null(11)) row.stands_at = rows.number(11);
        row.face = rows.text(12);
        row.supersedes = rows.null(13) ? 0 : rows.number(13);
        all.push_back(std::move(row));
    }
    return all;
}

std::vector<EntryOnDisk> Books::entries_after(std::int64_t seq) {
    Statement& rows = prepared(
        "SELECT e.seq,e.amount,coalesce(e.line,0),e.run,e.mono_ms,run.base_ms+e.mono_ms+e.skew_ms,"
        "e.entry,e.kind,a.account,e.cause,e.month,e.receipt,e.by,e.second,e.reverses,n.service,"
        "n.band,n.scope "
        "FROM entry e LEFT JOIN account a ON a.id=e.account LEFT JOIN line n ON n.line=e.line "
        "JOIN run ON run.run=e.run "
        "WHERE e.seq>? ORDER BY e.seq");
    Statement& legs = prepared(
        "SELECT l.amount,b.name FROM entry_leg l JOIN ledger_account b ON b.id=l.account "
        "WHERE l.entry=? ORDER BY l.n");
    std::vector<EntryOnDisk> all;
    rows.bind(seq);
    while (rows.step()) {
        EntryOnDisk row;
        row.seq = rows.number(0);
        row.amount = rows.number(1);
        row.line = rows.number(2);
        row.run = rows.number(3);
        row.mono_ms = rows.number(4);
        row.wall_ms = rows.number(5);
        row.entry = rows.text(6);
        row.kind = rows.text(7);
        row.account = rows.text(8);
        row.cause = rows.text(9);
        row.month = rows.text(10);
        row.receipt = rows.text(11);
        row.by = rows.text(12);
        row.second = rows.text(13);
        row.reverses = rows.text(14);
        row.service = rows.text(15);
        row.band = rows.text(16);
        row.scope = rows.text(17);
        legs.bind(row.seq);
        while (legs.step()) row.legs.push_back({legs.text(1), legs.number(0)});
        all.push_back(std::move(row));
    }
    return all;
}

std::map<std::string, std::int64_t> Books::ledger() {
    Statement& rows = prepared("SELECT balance,name FROM ledger_account");
    std::map<std::string, std::int64_t> all;
    while (rows.step()) all[rows.text(1)] = rows.number(0);
    return all;
}

std::map<std::string, std::string> Books::period_digests(const std::string& month) {
    Statement& rows = prepared("SELECT name,lower(hex(sha256)) FROM period_file WHERE month=?");
    std::map<std::string, std::string> all;
    rows.bind(month);
    while (rows.step()) all[rows.text(0)] = rows.text(1);
    return all;
}

std::string Books::oldest_month() {
    Statement& rows = prepared(
        "SELECT min(month) FROM (SELECT min(month) AS month FROM entry UNION ALL "
        "SELECT min(scope) FROM line UNION ALL "
        "SELECT strftime('%Y-%m',min(day)*86400,'unixepoch') FROM meter_day)");
    rows.bind().step();
    std::string month = rows.text(0);
    rows.reset();
    return month;
}

std::map<std::string, LineOnDisk> Books::lines_of(const std::string& account,
                                                  const std::string& month) {
    Statement& rows = prepared(
        "SELECT line,quantity,posted,price,service||'|'||scope||'|'||tariff||'|'||version||'|'||"
        "season||'|'||band||'|'||tier FROM line WHERE scope=? AND "
        "account=(SELECT id FROM account WHERE account.account=?)");
    std::map<std::string, LineOnDisk> all;
    rows.bind(month, account);
    while (rows.step()) {
        LineOnDisk line;
        line.line = rows.number(0);
        line.quantity = rows.number(1);
        line.posted = rows.number(2);
        line.price = rows.number(3);
        line.key = rows.text(4);
        all.emplace(line.key, line);
    }
    return all;
}

std::map<std::string, std::int64_t> Books::counters_of(const std::string& account) {
    Statement& rows = prepared(
        "SELECT tariff||'|'||start,quantity FROM ladder_counter JOIN account ON "
        "account.id=ladder_counter.account WHERE account.account=?");
    std::map<std::string, std::int64_t> all;
    rows.bind(account);
    while (rows.step()) all[rows.text(0)] = rows.number(1);
    return all;
}

std::map<std::string, std::int64_t> Books::rests_of(const std::string& account) {
    Statement& rows = prepared(
        "SELECT tariff,quantity FROM step_total JOIN account ON account.id=step_total.account "
        "WHERE account.account=?");
    std::map<std::string, std::int64_t> all;
    rows.bind(account);
    while (rows.step()) all[rows.text(0)] = rows.number(1);
    return all;
}

bool Books::posted(const std::string& account, const std::string& cause) {
    Statement& rows = prepared(
        "SELECT 1 FROM posting WHERE cause=? AND "
        "account=(SELECT id FROM account WHERE account.account=?)");
    const bool found = rows.bind(cause, account).step();
    rows.reset();
    return found;
}

std::map<std::string, std::string> Books::newest_days_posted(const std::string& from) {
    Statement& rows = prepared(
        "SELECT a.account,max(p.cause) FROM posting p JOIN account a ON a.id=p.account "
        "WHERE p.cause>='day:'||? AND p.cause<'day;' GROUP BY p.account");
    std::map<std::string, std::string> all;
    rows.bind(from);
    while (rows.step()) all[rows.text(0)] = rows.text(1).substr(4);
    return all;
}

std::string Books::oldest_day_posted(const std::string& account) {
    Statement& rows = prepared(
        "SELECT cause FROM posting WHERE cause>='day:' AND cause<'day;' AND "
        "account=(SELECT id FROM account WHERE account.account=?) ORDER BY cause LIMIT 1");
    const std::string cause = rows.bind(account).step() ? rows.text(0) : "";
    rows.reset();
    return cause.empty() ? "" : cause.substr(4);
}

std::int64_t Books::entries_with_cause(const std::string& cause) {
    Statement& rows = prepared("SELECT count(*) FROM entry WHERE cause=?");
    rows.bind(cause).step();
    const std::int64_t count = rows.number(0);
    rows.reset();
    return count;
}

std::string Books::hole_in(const std::string& series, std::int64_t& seq) {
    const char* sql = series == "event"   ? "SELECT seq FROM event WHERE seq>? ORDER BY seq"
                      : series == "entry" ? "SELECT seq FROM entry WHERE seq>? ORDER BY seq"
                                          : "SELECT seq FROM reading WHERE seq>? ORDER BY seq";
    Statement& rows = prepared(sql);
    Statement& gap = prepared("SELECT next FROM gap WHERE series=? AND after=?");
    rows.bind(seq);
    while (rows.step()) {
        const std::int64_t next = rows.number(0);
        // Restored copies say what they jumped over; one jump may follow another.
        std::int64_t before = seq;
        while (before + 1 < next && gap.bind(series, before).step()) before = gap.number(0) - 1;
        gap.reset();
        if (before + 1 != next) {
            rows.reset();
            return series + " " + std::to_string(next) + " follows " + std::to_string(seq);
        }
        seq = next;
    }
    return "";
}

std::int64_t Books::newest_entry() {
    Statement& rows = prepared("SELECT coalesce(max(seq),0) FROM entry");
    rows.step();
    const std::int64_t seq = rows.number(0);
    rows.reset();
    return seq;
}

std::int64_t Books::newest_reading() {
    Statement& rows = prepared("SELECT coalesce(max(seq),0) FROM reading");
    rows.step();
    const std::int64_t seq = rows.number(0);
    rows.reset();
    return seq;
}

bool Books::settled(const std::string& account, std::int64_t event) {
    return posted(account, "version:" + std::to_string(event));
}

bool Books::has_reading(std::int64_t seq) {
    Statement& rows = prepared("SELECT 1 FROM reading WHERE seq=?");
    const bool there = rows.bind(seq).step();
    rows.reset();
    return there;
}

std::int64_t Books::figures() {
    Statement& rows = prepared("SELECT count(*) FROM edge_figure");
    rows.bind().step();
    const std::int64_t count = rows.number(0);
    rows.reset();
    return count;
}

std::vector<FigureOnDisk> Books::edge_figures() {
    std::vector<FigureOnDisk> figures;
    Statement& rows = prepared(
        "SELECT account.account,meter.meter,reading,at_ms,event,total FROM edge_figure "
        "JOIN account ON account.id=edge_figure.account JOIN meter ON meter.id=edge_figure.meter "
        "ORDER BY event,edge_figure.account,reading,at_ms");
    rows.bind();
    while (rows.step())
        figures.push_back({rows.text(0), rows.text(1), rows.number(2), rows.number(3),
                           rows.number(4), rows.number(5)});
    rows.reset();
    return figures;
}

std::vector<std::pair<std::int64_t, std::int64_t>> Books::hours(const std::string& meter,
                                                                std::int64_t from,
                                                                std::int64_t to) {
    constexpr std::int64_t kHourMs = 3'600'000;
    std::vector<std::pair<std::int64_t, std::int64_t>> hours;
    Statement& rows = prepared(
        "SELECT hour,total FROM meter_hour WHERE meter=(SELECT id FROM meter WHERE meter.meter=?) "
        "AND hour BETWEEN ? AND ? ORDER BY hour");
    rows.bind(meter, (from + kHourMs - 1) / kHourMs, to / kHourMs);
    while (rows.step()) hours.emplace_back(rows.number(0) * kHourMs, rows.number(1));
    rows.reset();
    return hours;
}

std::string Books::settling_state(const std::string& account, std::int64_t event) {
    Statement& rows = prepared(
        "SELECT state FROM settling WHERE event=? AND "
        "account=(SELECT id FROM account WHERE account.account=?)");
    const std::string state = rows.bind(event, account).step() ? rows.text(0) : "";
    rows.reset();
    return state;
}

std::int64_t Books::charged_up_to(const std::string& account, const std::string& meter) {
    Statement& rows = prepared(
        "SELECT reading FROM mark WHERE account=(SELECT id FROM account WHERE account.account=?) "
        "AND meter=(SELECT id FROM meter WHERE meter.meter=?)");
    const std::int64_t reading = rows.bind(account, meter).step() ? rows.number(0) : 0;
    rows.reset();
    return reading;
}

std::int64_t Books::newest_event(const std::string& kind) {
    Statement& rows = prepared(
        "SELECT coalesce(max(seq),0) FROM event WHERE "
        "kind=(SELECT id FROM event_kind WHERE name=?)");
    rows.bind(kind).step();
    const std::int64_t seq = rows.number(0);
    rows.reset();
    return seq;
}

bool Books::has_event(std::int64_t seq, const std::string& kind) {
    Statement& rows = prepared(
        "SELECT 1 FROM event WHERE seq=? AND kind=(SELECT id FROM event_kind WHERE name=?)");
    const bool found = rows.bind(seq, kind).step();
    rows.reset();
    return found;
}

std::vector<Books::Held> Books::open_quarantines() {
    Statement& rows = prepared(
        "SELECT quarantine.id,run,mono_ms,register,meter.meter,reason FROM quarantine "
        "JOIN meter ON meter.id=quarantine.meter WHERE state='open' ORDER BY quarantine.id");
    std::vector<Held> all;
    while (rows.step())
        all.push_back({rows.number(0), rows.number(1), rows.number(2), rows.number(3), rows.text(4),
                       rows.text(5)});
    return all;
}

const std::map<std::int64_t, std::int64_t>& Books::offsets_of(std::int64_t run) {
    const auto found = offsets_.find(run);
    if (found != offsets_.end()) return found->second;
    Statement& rows =
        prepared("SELECT from_mono_ms,offset_ms FROM run_offset WHERE run=? ORDER BY 1");
    auto& offsets = offsets_[run];
    rows.bind(run);
    while (rows.step()) offsets[rows.number(0)] = rows.number(1);
    return offsets;
}

std::optional<std::int64_t> Books::time_of(std::int64_t run, std::int64_t mono_ms) {
    const auto& offsets = offsets_of(run);
    if (offsets.empty()) return std::nullopt;
    auto holds = offsets.upper_bound(mono_ms);
    // What came before the clock was trusted is dated back by the first offset.
    if (holds != offsets.begin()) --holds;
    return mono_ms + holds->second;
}

std::optional<std::int64_t> Books::time_then(std::int64_t run, std::int64_t mono_ms) {
    const auto& offsets = offsets_of(run);
    if (offsets.empty() || mono_ms < offsets.begin()->first) return std::nullopt;
    return time_of(run, mono_ms);
}

std::optional<std::int64_t> Books::time_of_event(std::int64_t seq) {
    Statement& rows = prepared("SELECT run,mono_ms FROM event WHERE seq=?");
    if (!rows.bind(seq).step()) return std::nullopt;
    const std::int64_t run = rows.number(0), mono_ms = rows.number(1);
    rows.reset();
    return time_of(run, mono_ms);
}

}  // namespace gatehouse::money
