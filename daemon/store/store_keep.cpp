// Seals of the log, and what retention drops.
#include "daemon/core/assert.hpp"
#include "daemon/store/chain.hpp"
#include "daemon/store/store_impl.hpp"

namespace gatehouse {

using sql::Query;

LogHead Store::newest_seal() {
    return store::newest_seal(impl_->connection);
}

std::uint64_t Store::newest_event(const std::function<bool(const Stamp&)>& wanted) {
    Query query(impl_->connection, "SELECT seq,run,mono_ms,skew_ms FROM event ORDER BY seq DESC");
    while (query.step()) {
        const std::uint64_t seq = query.u64();
        if (wanted(store::stamp_columns(query, impl_->bases))) return seq;
    }
    return 0;
}

LogHead Store::seal_day(const std::string& day, std::uint64_t event) {
    impl_->need_transaction();
    {
        Query query(impl_->connection,
                    "INSERT OR IGNORE INTO event_seal SELECT ?,seq,h FROM event WHERE seq=?");
        query << day << event;
        query.run();
    }
    Query query(impl_->connection, "SELECT day,seq,h FROM event_seal WHERE day=?");
    query << day;
    GH_ASSERT(query.step());
    return store::head_columns(query);
}

std::uint64_t Store::intervals_dropped() {
    return static_cast<std::uint64_t>(
        sql::number(impl_->connection, "SELECT intervals_dropped_up_to FROM site").value_or(0));
}

std::optional<std::pair<std::uint64_t, Stamp>> Store::reading_at(std::uint64_t seq) {
    Query query(impl_->connection,
                "SELECT seq,run,mono_ms,skew_ms FROM reading WHERE seq<=? ORDER BY seq DESC "
                "LIMIT 1");
    query << seq;
    if (!query.step()) return std::nullopt;
    const std::uint64_t found = query.u64();
    return std::pair(found, store::stamp_columns(query, impl_->bases));
}

std::size_t Store::drop_interval_readings(std::uint64_t up_to_seq) {
    impl_->need_transaction();
    const std::uint64_t from = intervals_dropped();
    if (up_to_seq <= from) return 0;
    impl_->flush_last();  // so that meter_last below is as new as the rows
    {
        Query query(impl_->connection, "INSERT INTO maintenance(one,intervals_up_to) VALUES(1,?)");
        query << up_to_seq;
        query.run();
    }
    std::size_t dropped = 0;
    {
        // The newest row of a meter stays: a restart begins from it. So does what a charge or a
        // day rests on; freezes are of another kind, marks name theirs, and where the charging of
        // a meter began its first reading explains the first bill for as long as there is a book.
        Query query(impl_->connection,
                    "DELETE FROM reading WHERE seq>?1 AND seq<=?2 AND kind=0 AND "
                    "seq NOT IN (SELECT reading FROM mark) AND "
                    "seq NOT IN (SELECT reading FROM mark_step WHERE begins<>0) AND "
                    "seq NOT IN (SELECT reading FROM meter_last)");
        query << from << up_to_seq;
        query.run();
        dropped = static_cast<std::size_t>(impl_->connection.changes());
    }
    impl_->connection.exec("DELETE FROM maintenance");
    Query query(impl_->connection, "UPDATE site SET intervals_dropped_up_to=?");
    query << up_to_seq;
    query.run();
    return dropped;
}

std::size_t Store::drop_oldest_hour(std::int64_t before_hour) {
    impl_->need_transaction();
    Query query(impl_->connection,
                "DELETE FROM meter_hour WHERE hour=(SELECT min(hour) FROM meter_hour) AND hour<?");
    query << before_hour;
    query.run();
    return static_cast<std::size_t>(impl_->connection.changes());
}

std::size_t Store::drop_oldest_day(std::int64_t before_day) {
    impl_->need_transaction();
    Query query(impl_->connection,
                "DELETE FROM meter_day WHERE day=(SELECT min(day) FROM meter_day) AND day<?");
    query << before_day;
    query.run();
    return static_cast<std::size_t>(impl_->connection.changes());
}

}  // namespace gatehouse
