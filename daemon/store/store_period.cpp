// Months: closing and sealing.
#include "daemon/core/assert.hpp"
#include "daemon/store/chain.hpp"
#include "daemon/store/store_impl.hpp"

namespace gatehouse {

using sql::Query;

void Store::begin_period(const PeriodRow& period) {
    impl_->need_transaction();
    {
        Query query(impl_->connection,
                    "INSERT INTO period(month,state,closed_by,event,last_entry,last_reading) "
                    "VALUES(?,'closing',?,NULL,?,?)");
        query << period.month << period.by << period.last_entry << period.last_reading;
        query.run();
    }
    impl_->connection.exec("DELETE FROM closing_line");
    Query query(impl_->connection,
                "INSERT INTO closing_line SELECT line,quantity,posted FROM line WHERE scope=?");
    query << period.month;
    query.run();
}

void Store::keep_period_part(const std::string& month, const std::string& name, int n,
                             std::string_view deflated) {
    impl_->need_transaction();
    if (n == 0) {
        Query query(impl_->connection, "DELETE FROM period_content WHERE month=? AND name=?");
        query << month << name;
        query.run();
    }
    Query query(impl_->connection, "INSERT INTO period_content VALUES(?,?,?,?)");
    query << month << name << n;
    query.blob(deflated);
    query.run();
}

void Store::seal_period(const PeriodRow& period, const std::vector<PeriodFile>& files) {
    impl_->need_transaction();
    {
        Query query(impl_->connection,
                    "UPDATE period SET state='closed',closed_by=?,event=? "
                    "WHERE month=? AND state='closing'");
        query << period.by << period.event << period.month;
        query.run();
        GH_ASSERT(impl_->connection.changes() == 1);
    }
    for (const PeriodFile& file : files) {
        Query query(impl_->connection, "INSERT INTO period_file VALUES(?,?,?,?)");
        query << period.month << file.name;
        query.blob(store::unhex(file.sha256)) << file.bytes;
        query.run();
    }
    impl_->connection.exec("DELETE FROM closing_line");
}

std::vector<PeriodRow> Store::load_periods() {
    std::vector<PeriodRow> rows;
    Query query(impl_->connection,
                "SELECT month,state,closed_by,event,last_entry,last_reading FROM period "
                "ORDER BY month");
    while (query.step()) rows.push_back(store::period_columns(query));
    return rows;
}

std::string Store::oldest_month() {
    return store::oldest_month(impl_->connection);
}

}  // namespace gatehouse
