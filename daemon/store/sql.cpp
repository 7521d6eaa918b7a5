#include "daemon/store/sql.hpp"

#include <sqlite3.h>

#include <filesystem>

#include "daemon/store/row_proof.hpp"

namespace gatehouse::sql {
namespace {

// What the engine's thread may wait for a lock that by design nobody else holds.
constexpr int kWriterBusyMs = 20;
constexpr int kReaderBusyMs = 2'000;

StoreError::Kind kind_of(int code) {
    switch (code & 0xff) {
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return StoreError::Kind::busy;
        case SQLITE_FULL:
            return StoreError::Kind::full;
        case SQLITE_IOERR:
        case SQLITE_CANTOPEN:
        case SQLITE_READONLY:
        case SQLITE_PERM:
        case SQLITE_AUTH:
        case SQLITE_NOMEM:
            return StoreError::Kind::io;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            return StoreError::Kind::corrupt;
        default:
            return StoreError::Kind::other;
    }
}

const char* remedy(StoreError::Kind kind) {
    switch (kind) {
        case StoreError::Kind::busy:
            return "another program holds its lock; close that program";
        case StoreError::Kind::full:
            return "no space is left; free some on that file system";
        case StoreError::Kind::io:
            return "check that the path exists, may be written, and that the disk is sound";
        case StoreError::Kind::corrupt:
            return "the file is damaged or no database; restore a backup";
        case StoreError::Kind::newer_schema:
        case StoreError::Kind::other:
            break;
    }
    return "this is a fault of gatehoused; please report it";
}

}  // namespace

void raise(const SQLite::Exception& error, const std::string& path) {
    const StoreError::Kind kind = kind_of(error.getErrorCode());
    throw StoreError(kind, "database " + path + ": " + error.what() + ": " + remedy(kind));
}

namespace {

// A path as SQLite reads it in a `file:` name.
std::string escaped(const std::string& path) {
    std::string text;
    for (const char c : path)
        text += c == '%' ? "%25" : c == '?' ? "%3f" : c == '#' ? "%23" : std::string(1, c);
    return text;
}

// Whoever opens a database in WAL mode makes -wal and -shm beside it, a reader too, and only a
// writer takes them away again. Where there is no -wal nobody has it open, and all that was ever
// committed stands in the file itself.
bool is_at_rest(const std::string& path) {
    std::error_code error;
    return !std::filesystem::exists(path + "-wal", error) && !error;
}

SQLite::Database open(const std::string& path, Connection::Mode mode) {
    try {
        if (mode == Connection::Mode::still && is_at_rest(path))
            return SQLite::Database("file:" + escaped(path) + "?immutable=1",
                                    SQLite::OPEN_READONLY | SQLite::OPEN_URI, kReaderBusyMs);
        const bool write = mode == Connection::Mode::write;
        return SQLite::Database(
            path, write ? SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE : SQLite::OPEN_READONLY,
            write ? kWriterBusyMs : kReaderBusyMs);
    } catch (const SQLite::Exception& error) {
        raise(error, path);
    }
}

}  // namespace

Connection::Connection(const std::string& path, Mode mode)
    : path_(path), database_(open(path, mode)) {
    store::know_row_proof(database_.getHandle());
    if (mode != Mode::write) {
        // Debian's SQLite predates the fix of the WAL-reset fault: only the writer checkpoints.
        sqlite3_db_config(database_.getHandle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
        exec("PRAGMA query_only=ON");
        exec("PRAGMA cache_size=-1024");
        exec("PRAGMA mmap_size=0");
        return;
    }
    exec("PRAGMA mmap_size=0");
    exec("PRAGMA cache_size=-4096");
    exec("PRAGMA temp_store=MEMORY");
    exec("PRAGMA foreign_keys=ON");
    // Without it INSERT OR REPLACE would pass by the triggers that keep rows.
    exec("PRAGMA recursive_triggers=ON");
    exec("PRAGMA trusted_schema=OFF");
}

void Connection::exec(const char* sql) {
    try {
        database_.exec(sql);
    } catch (const SQLite::Exception& error) {
        raise(error, path_);
    }
}

SQLite::Statement& Connection::cached(const char* literal) {
    auto& slot = statements_[literal];
    if (!slot) slot = prepare(literal);
    return *slot;
}

std::unique_ptr<SQLite::Statement> Connection::prepare(const std::string& sql) {
    try {
        return std::make_unique<SQLite::Statement>(database_, sql);
    } catch (const SQLite::Exception& error) {
        raise(error, path_);
    }
}

void Connection::release_memory() noexcept {
    sqlite3_db_release_memory(database_.getHandle());
}

bool Connection::in_transaction() const {
    return sqlite3_get_autocommit(database_.getHandle()) == 0;
}

void Connection::rollback() noexcept {
    // A full disk may have rolled back already; then there is nothing to do.
    if (in_transaction()) {
        sqlite3_exec(database_.getHandle(), "ROLLBACK", nullptr, nullptr, nullptr);
    }
}

std::int64_t Connection::last_rowid() const {
    return sqlite3_last_insert_rowid(database_.getHandle());
}

int Connection::changes() const {
    return sqlite3_changes(database_.getHandle());
}

Query::Query(Connection& connection, const char* literal)
    : connection_(connection), statement_(connection.cached(literal)) {}

Query::Query(Connection& connection, std::unique_ptr<SQLite::Statement> own)
    : own_(std::move(own)), connection_(connection), statement_(*own_) {}

Query::~Query() {
    statement_.tryReset();
    if (bound_ > 0) statement_.clearBindings();
}

Query& Query::operator<<(std::int64_t value) {
    statement_.bind(++bound_, value);
    return *this;
}

Query& Query::operator<<(std::string_view text) {
    statement_.bind(++bound_, std::string(text));
    return *this;
}

Query& Query::operator<<(std::nullopt_t) {
    statement_.bind(++bound_);
    return *this;
}

Query& Query::blob(std::string_view bytes) {
    // A null pointer would bind NULL instead of an empty blob.
    statement_.bind(++bound_, bytes.data() ? bytes.data() : "", static_cast<int>(bytes.size()));
    return *this;
}

bool Query::step() {
    column_ = 0;
    try {
        return statement_.executeStep();
    } catch (const SQLite::Exception& error) {
        raise(error, connection_.path());
    }
}

void Query::run() {
    while (step()) {
    }
}

std::int64_t Query::i64() {
    return statement_.getColumn(column_++).getInt64();
}

std::string Query::text() {
    return statement_.getColumn(column_++).getString();
}

Bytes Query::bytes() {
    const SQLite::Column column = statement_.getColumn(column_++);
    const auto size = static_cast<std::size_t>(column.getBytes());
    return size == 0 ? Bytes{} : Bytes(static_cast<const char*>(column.getBlob()), size);
}

std::optional<std::int64_t> Query::maybe_i64() {
    const SQLite::Column column = statement_.getColumn(column_++);
    if (column.isNull()) return std::nullopt;
    return column.getInt64();
}

std::optional<std::string> Query::maybe_text() {
    const SQLite::Column column = statement_.getColumn(column_++);
    if (column.isNull()) return std::nullopt;
    return column.getString();
}

std::optional<std::int64_t> number(Connection& connection, const char* literal) {
    Query query(connection, literal);
    if (!query.step()) return std::nullopt;
    return query.maybe_i64();
}

}  // namespace gatehouse::sql
