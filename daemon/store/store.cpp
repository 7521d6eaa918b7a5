#include "daemon/store/store.hpp"

#include <fcntl.h>
#include <sodium.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "daemon/core/assert.hpp"
#include "daemon/core/space.hpp"
#include "daemon/store/chain.hpp"
#include "daemon/store/registry_rows.hpp"
#include "daemon/store/schema.hpp"
#include "daemon/store/store_impl.hpp"

namespace gatehouse {
namespace {

using sql::Query;
using store::Numbers;

constexpr std::array<const char*, kSeriesCount> kSeriesNames{
    "event",      "reading", "entry", "receipt", "notice",
    "quarantine", "epoch",   "line",  "alert",   "other"};
// How far ahead a ceiling is synced: far enough that it costs nothing, near enough that a
// restored copy does not jump far.
constexpr std::array<std::uint64_t, kSeriesCount> kSteps{4'096, 65'536, 4'096, 64, 64,
                                                         256,   256,    1'024, 64, 64};

std::size_t index(Series series) {
    return static_cast<std::size_t>(series);
}

constexpr std::int64_t kPageBytes = 4'096;

// The books hold personal data: the file is made for its owner alone before SQLite sees it.
std::string private_file(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        throw StoreError(StoreError::Kind::io,
                         "database " + path + ": cannot open it for writing: " +
                             std::strerror(errno) + ": check that its folder exists and its owner");
    }
    ::close(fd);
    return path;
}

Numbers numbers_in(sql::Connection& connection) {
    Numbers numbers{};
    const auto at_least = [&numbers](Series series, std::optional<std::int64_t> value) {
        auto& number = numbers[index(series)];
        if (value) number = std::max(number, static_cast<std::uint64_t>(*value));
    };
    at_least(Series::event, sql::number(connection, "SELECT max(seq) FROM event"));
    at_least(Series::reading, sql::number(connection, "SELECT max(seq) FROM reading"));
    at_least(Series::entry, sql::number(connection, "SELECT max(seq) FROM entry"));
    at_least(Series::quarantine, sql::number(connection, "SELECT max(id) FROM quarantine"));
    at_least(Series::epoch, sql::number(connection, "SELECT max(id) FROM epoch"));
    at_least(Series::line, sql::number(connection, "SELECT max(line) FROM line"));
    at_least(Series::other, sql::number(connection, "SELECT max(id) FROM manual_reading"));
    at_least(Series::other, sql::number(connection, "SELECT max(id) FROM replacement"));
    for (std::size_t i = 0; i < kSeriesCount; ++i) {
        Query issued(connection,
                     "SELECT max(n) FROM (SELECT last AS n FROM issued WHERE series=?1 "
                     "UNION ALL SELECT next - 1 FROM gap WHERE series=?1)");
        issued << kSeriesNames[i];
        if (issued.step()) at_least(static_cast<Series>(i), issued.maybe_i64());
    }
    return numbers;
}

std::string newest_hash(sql::Connection& connection, const char* literal) {
    Query query(connection, literal);
    return query.step() ? query.bytes() : store::first_link();
}

}  // namespace

Store::Impl::Impl(const StoreOptions& options, Random& random_)
    : random(random_),
      high_water(private_file(options.path) + ".highwater"),
      reserve(options.path),
      connection(options.path, sql::Connection::Mode::write) {
    if (sodium_init() < 0) throw StoreError(StoreError::Kind::other, "libsodium does not start");
    const store::Migrated migrated = store::migrate(connection, store::migrations());
    report.migrated_from = migrated.from;
    report.migrated_to = migrated.to;
    report.backup = migrated.backup;
    report.created = migrated.from == 0;
    if (!migrated.backup.empty()) {
        report.lines.push_back("database brought from schema " + std::to_string(migrated.from) +
                               " to " + std::to_string(migrated.to) + "; the copy before is " +
                               migrated.backup);
    }
    {
        Query query(connection, "PRAGMA journal_mode=WAL");
        if (!query.step() || query.text() != "wal") {
            throw StoreError(StoreError::Kind::io,
                             "database " + options.path +
                                 ": its file system allows no write-ahead log; use a local disk");
        }
    }
    connection.exec("PRAGMA synchronous=FULL");
    connection.exec("PRAGMA journal_size_limit=16777216");
    // The log is written into the database before it is larger than a quarter of the reserve, which
    // therefore always has room for it.
    const std::int64_t log_pages = static_cast<std::int64_t>(reserve.bytes()) / 4 / kPageBytes;
    connection.exec("PRAGMA wal_autocheckpoint=" +
                    std::to_string(std::min<std::int64_t>(1'000, log_pages)));
    if (options.max_pages > 0) {
        max_pages = options.max_pages;
        connection.exec("PRAGMA max_page_count=" + std::to_string(max_pages));
    }
    if (const StoreSpace now_free = space();
        now_free.held && now_free.free_bytes < now_free.reserve_bytes / 16) {
        release_reserve();
    }
    start(options);
}

std::uint64_t Store::Impl::reserve_bytes() const {
    return max_pages == 0 ? reserve.bytes()
                          : reserve_bytes_for(static_cast<std::uint64_t>(max_pages * kPageBytes));
}

StoreSpace Store::Impl::space() {
    if (max_pages == 0) return {reserve.free_bytes(), reserve_bytes(), reserve.held()};
    const auto pages = [this](const char* pragma) {
        return sql::number(connection, pragma).value_or(0);
    };
    const std::int64_t limit = pages_released ? pages("PRAGMA max_page_count") : max_pages;
    const std::int64_t left = std::max<std::int64_t>(0, limit - pages("PRAGMA page_count")) +
                              pages("PRAGMA freelist_count");
    return {static_cast<std::uint64_t>(left * kPageBytes), reserve_bytes(), !pages_released};
}

void Store::Impl::release_reserve() {
    GH_ASSERT(!connection.in_transaction());
    if (max_pages > 0) {
        pages_released = true;
        const std::int64_t used = sql::number(connection, "PRAGMA page_count").value_or(0);
        const std::int64_t beyond = static_cast<std::int64_t>(reserve_bytes()) / kPageBytes;
        connection.exec("PRAGMA max_page_count=" +
                        std::to_string(std::max(max_pages, used) + beyond));
        return;
    }
    reserve.release();
    // A reader in the middle of its work holds it up; the next automatic one goes on from there.
    Query query(connection, "PRAGMA wal_checkpoint(TRUNCATE)");
    query.run();
}

bool Store::Impl::take_reserve() {
    if (max_pages == 0) return reserve.take();
    pages_released = false;
    connection.exec("PRAGMA max_page_count=" + std::to_string(max_pages));
    return true;
}

void Store::Impl::check_site(const std::string& site_id) {
    std::string stored;
    {
        Query query(connection, "SELECT site FROM site");
        if (query.step()) stored = query.text();
    }
    if (stored == site_id) return;
    if (!stored.empty()) {
        throw StoreError(StoreError::Kind::other,
                         "database " + connection.path() + " is the books of site " + stored +
                             ", not of " + site_id + ": check [site] id and [store] path");
    }
    Query query(connection, "INSERT INTO site(one, site) VALUES(1, ?)");
    query << site_id;
    query.run();
}

bool Store::Impl::older_copy(const Numbers& in_database, const std::string& last_run) const {
    const auto& found = high_water.found();
    if (!found) return false;
    if (last_run != found->run && last_run != found->pending) return true;
    for (std::size_t i = 0; i < kSeriesCount; ++i) {
        if (in_database[i] < found->floors[i]) return true;
    }
    return false;
}

EventRow Store::Impl::jump(const Numbers& in_database, const Stamp& at) {
    const Numbers ceilings = high_water.ceilings();
    std::string skipped;
    const std::uint64_t event = std::max(in_database[0], ceilings[0]) + 1;
    for (std::size_t i = 0; i < kSeriesCount; ++i) {
        if (ceilings[i] <= in_database[i]) continue;
        now.last[i] = ceilings[i];
        Query query(connection, "INSERT INTO gap VALUES(?,?,?,?)");
        query << kSeriesNames[i] << in_database[i] << ceilings[i] + 1 << event;
        query.run();
        skipped += std::string(skipped.empty() ? "" : ",") + "\"" + kSeriesNames[i] +
                   "\":{\"after\":" + std::to_string(in_database[i]) +
                   ",\"next\":" + std::to_string(ceilings[i] + 1) + "}";
    }
    EventRow row;
    row.kind = "log.restored";
    row.subject = "{}";
    row.body = "{\"schema\":1,\"skipped\":{" + skipped + "}}";
    row.at = at;
    report.lines.push_back("an older copy of the database was restored: numbers go on at event " +
                           std::to_string(event));
    report.restored = true;
    report.restored_after = in_database[0];
    report.restored_next = event;
    return row;
}

void Store::Impl::start(const StoreOptions& options) {
    std::string last_run;
    {
        Query query(connection, "SELECT id FROM run ORDER BY run DESC LIMIT 1");
        if (query.step()) last_run = query.text();
    }
    const Numbers in_database = numbers_in(connection);
    now.last = in_database;
    now.event_hash = newest_hash(connection, "SELECT h FROM event ORDER BY seq DESC LIMIT 1");
    now.entry_hash = newest_hash(connection, "SELECT h FROM entry ORDER BY seq DESC LIMIT 1");
    const bool older = older_copy(in_database, last_run);
    report.high_water_recreated =
        !high_water.found() && (!last_run.empty() || high_water.damaged());

    Numbers ceilings{};
    for (std::size_t i = 0; i < kSeriesCount; ++i) {
        ceilings[i] = std::max(high_water.found() ? high_water.found()->ceilings[i] : 0,
                               high_water.found() ? in_database[i] : in_database[i] + kSteps[i]);
    }
    // Two steps around the commit, so that a crash between them looks neither like an older copy
    // nor hides one.
    high_water.start(older ? high_water.found()->run : last_run, options.run_id, ceilings);
    connection.exec("BEGIN IMMEDIATE");
    try {
        check_site(options.site_id);
        const std::int64_t base = options.wall_ms - options.mono_ms;
        {
            Query query(connection,
                        "INSERT INTO run(id,started_mono_ms,started_wall_ms,base_ms,version) "
                        "VALUES(?,?,?,?,?)");
            query << options.run_id << options.mono_ms << options.wall_ms << base
                  << options.version;
            query.run();
        }
        report.run = connection.last_rowid();
        bases = store::load_run_bases(connection);
        const Stamp at{report.run, options.mono_ms, options.wall_ms};
        if (older) append_event(jump(in_database, at));
        if (report.high_water_recreated) {
            append_event({"log.high_water_recreated", "{}", R"({"schema":1})", at, {}});
            report.lines.push_back(
                "the high-water file was missing or damaged and was made anew: whether this "
                "database is an older copy could not be checked");
        }
        connection.exec("COMMIT");
    } catch (...) {
        connection.rollback();
        throw;
    }
    high_water.start(options.run_id, "", high_water.ceilings());
    load_last();
    after_commit();
}

void Store::Impl::after_commit() {
    committed = now;
    undo_last.clear();
    undo_marks_up_to = marks_up_to;
    high_water.floors(committed.last);
}

void Store::Impl::forget_caches() {
    // Ids that the rolled-back transaction gave exist no more.
    meters.clear();
    accounts.clear();
    kinds.clear();
    ledger_accounts.clear();
    contexts.clear();
}

std::uint64_t Store::Impl::take(Series series) {
    const std::size_t i = index(series);
    const std::uint64_t number = now.last[i] + 1;
    if (number > high_water.ceiling(series)) high_water.raise(series, number + kSteps[i]);
    now.last[i] = number;
    return number;
}

void Store::Impl::need_transaction() const {
    GH_ASSERT(connection.in_transaction());
}

Store::Store(const StoreOptions& options, Random& random)
    : impl_(std::make_unique<Impl>(options, random)) {}
Store::~Store() = default;

const OpenReport& Store::report() const {
    return impl_->report;
}

void Store::begin() {
    GH_ASSERT(!impl_->connection.in_transaction());
    impl_->connection.exec("BEGIN IMMEDIATE");
}

void Store::commit() {
    impl_->connection.exec("COMMIT");
    impl_->after_commit();
}

void Store::rollback() noexcept {
    impl_->connection.rollback();
    impl_->now = impl_->committed;
    for (auto undo = impl_->undo_last.rbegin(); undo != impl_->undo_last.rend(); ++undo) {
        if (undo->second == 0) {
            impl_->last_of_meter.erase(undo->first);
        } else {
            impl_->last_of_meter[undo->first] = undo->second;
        }
    }
    impl_->undo_last.clear();
    impl_->marks_up_to = impl_->undo_marks_up_to;
    impl_->forget_caches();
}

bool Store::in_transaction() const {
    return impl_->connection.in_transaction();
}

StoreSpace Store::space() {
    return impl_->space();
}
void Store::release_reserve() {
    impl_->release_reserve();
}
bool Store::take_reserve() {
    return impl_->take_reserve();
}

std::uint64_t Store::last(Series series) const {
    return impl_->committed.last[index(series)];
}
std::uint64_t Store::next(Series series) const {
    return impl_->now.last[index(series)] + 1;
}

std::uint64_t Store::draw(Series series) {
    impl_->need_transaction();
    const std::uint64_t number = impl_->take(series);
    Query query(impl_->connection,
                "INSERT INTO issued VALUES(?,?) ON CONFLICT(series) DO UPDATE SET "
                "last=excluded.last");
    query << kSeriesNames[index(series)] << number;
    query.run();
    return number;
}

}  // namespace gatehouse
