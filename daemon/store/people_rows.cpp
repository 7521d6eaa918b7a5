#include "daemon/store/people_rows.hpp"

#include "daemon/store/reader_impl.hpp"
#include "daemon/store/store_impl.hpp"

namespace gatehouse {

using sql::Query;

namespace {

// What a household may be shown of its file, and an office ever asks for at once.
constexpr std::size_t kAccessesMax = 1'000;

#define GATEHOUSE_ACCESS_COLUMNS                                                          \
    "id,staff,unit,reason,hours,asked_at_ms,state,answered_by,answer,expires_at_ms FROM " \
    "file_access "
AccessRow access_columns(Query& query) {
    AccessRow row;
    row.id = query.i64();
    row.staff = query.text();
    row.unit = query.text();
    row.reason = query.text();
    row.hours = query.i32();
    row.asked_at = query.i64();
    const std::string state = query.text();
    row.state = state == "asked"     ? AccessRow::State::asked
                : state == "granted" ? AccessRow::State::granted
                                     : AccessRow::State::refused;
    row.answered_by = query.text();
    row.answer = query.text();
    row.expires_at = query.maybe_i64();
    return row;
}

}  // namespace

const char* to_string(AccessRow::State state) {
    switch (state) {
        case AccessRow::State::asked:
            return "asked";
        case AccessRow::State::granted:
            return "granted";
        case AccessRow::State::refused:
            return "refused";
    }
    return "";
}

void Store::put_password(const PasswordRow& row) {
    impl_->need_transaction();
    if (row.hash.empty()) {
        Query query(impl_->connection, "DELETE FROM staff_password WHERE staff=?");
        query << row.staff;
        query.run();
        return;
    }
    Query query(impl_->connection, "INSERT OR REPLACE INTO staff_password VALUES(?,?,?,0)");
    query << row.staff << row.hash << row.changed_at;
    query.run();
}

void Store::add_view(const ViewRow& row, const Stamp& at) {
    impl_->need_transaction();
    Query query(impl_->connection,
                "INSERT INTO view_log(run,mono_ms,skew_ms,actor,subject,what,reason) "
                "VALUES(?,?,?,?,?,?,?)");
    store::bind_stamp(query, at, impl_->bases);
    query << row.actor << row.unit << row.what << row.reason;
    query.run();
}

std::int64_t Store::put_access(const AccessRow& row) {
    impl_->need_transaction();
    if (row.id == 0) {
        Query query(impl_->connection,
                    "INSERT INTO file_access(staff,unit,reason,hours,asked_at_ms,state,"
                    "answered_by,answer,expires_at_ms) VALUES(?,?,?,?,?,?,?,?,?)");
        query << row.staff << row.unit << row.reason << row.hours << row.asked_at
              << to_string(row.state) << row.answered_by << row.answer << row.expires_at;
        query.run();
        return impl_->connection.last_rowid();
    }
    Query query(impl_->connection,
                "UPDATE file_access SET state=?,answered_by=?,answer=?,expires_at_ms=? WHERE id=?");
    query << to_string(row.state) << row.answered_by << row.answer << row.expires_at << row.id;
    query.run();
    return row.id;
}

std::optional<AccessRow> Store::find_access(std::int64_t id) {
    Query query(impl_->connection, "SELECT " GATEHOUSE_ACCESS_COLUMNS "WHERE id=?");
    query << id;
    if (!query.step()) return std::nullopt;
    return access_columns(query);
}

std::int64_t Store::count_asked(const std::string& staff) {
    Query query(impl_->connection,
                "SELECT count(*) FROM file_access WHERE staff=? AND state='asked'");
    query << staff;
    return query.step() ? query.i64() : 0;
}

std::vector<PasswordRow> StoreReader::passwords() {
    const Impl::Moment moment(*impl_);
    std::vector<PasswordRow> rows;
    Query query(impl_->connection,
                "SELECT staff,hash,changed_at_ms FROM staff_password ORDER BY staff");
    while (query.step()) {
        PasswordRow row;
        row.staff = query.text();
        row.hash = query.text();
        row.changed_at = query.i64();
        rows.push_back(std::move(row));
    }
    return rows;
}

std::vector<ViewRow> StoreReader::views(const std::string& unit, std::int64_t after,
                                        std::size_t limit) {
    const Impl::Moment moment(*impl_);
    std::vector<ViewRow> rows;
    Query query(impl_->connection,
                "SELECT id,actor,subject,what,reason,run,mono_ms,skew_ms FROM view_log "
                "WHERE subject IN (?,'') AND id>? ORDER BY id LIMIT ?");
    query << unit << after << static_cast<std::int64_t>(limit);
    while (query.step()) {
        ViewRow row;
        row.id = query.i64();
        row.actor = query.text();
        row.unit = query.text();
        row.what = query.text();
        row.reason = query.text();
        row.at = impl_->times.time(store::stamp_columns(query, impl_->bases)).at;
        rows.push_back(std::move(row));
    }
    return rows;
}

std::vector<AccessRow> StoreReader::accesses() {
    const Impl::Moment moment(*impl_);
    std::vector<AccessRow> rows;
    Query query(impl_->connection, "SELECT " GATEHOUSE_ACCESS_COLUMNS "ORDER BY id DESC LIMIT ?");
    query << static_cast<std::int64_t>(kAccessesMax);
    while (query.step()) rows.push_back(access_columns(query));
    return rows;
}

}  // namespace gatehouse
