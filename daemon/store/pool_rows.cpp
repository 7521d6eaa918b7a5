#include "daemon/store/pool_rows.hpp"

#include "daemon/core/assert.hpp"
#include "daemon/store/reader_impl.hpp"
#include "daemon/store/store_impl.hpp"

namespace gatehouse {

using sql::Query;

namespace {

const char* word_of(PoolShareRow::State state) {
    switch (state) {
        case PoolShareRow::State::waiting:
            return "waiting";
        case PoolShareRow::State::charged:
            return "charged";
        case PoolShareRow::State::left:
            return "left";
    }
    return "";
}

PoolSheetRow::State sheet_state(const std::string& word) {
    return word == "approved"  ? PoolSheetRow::State::approved
           : word == "charged" ? PoolSheetRow::State::charged
                               : PoolSheetRow::State::withdrawn;
}

PoolShareRow::State share_state(const std::string& word) {
    return word == "waiting"   ? PoolShareRow::State::waiting
           : word == "charged" ? PoolShareRow::State::charged
                               : PoolShareRow::State::left;
}

#define GATEHOUSE_SHARES_IN(state)                                      \
    "(SELECT coalesce(sum(pool_share.amount),0) FROM pool_share WHERE " \
    "pool_share.event=pool_sheet.event AND pool_share.state='" state "'),"
#define GATEHOUSE_SHEET_COLUMNS                                                 \
    "event,pool,month,state,charge_from,amount," GATEHOUSE_SHARES_IN("charged") \
        GATEHOUSE_SHARES_IN("left") "by,second,sha256 FROM pool_sheet "
PoolSheetRow sheet_columns(Query& query) {
    PoolSheetRow row;
    row.event = query.u64();
    row.pool = query.text();
    row.month = query.text();
    row.state = sheet_state(query.text());
    row.charge_from = parse_date(query.text()).value_or(LocalDate{});
    row.amount = Fen{query.i64()};
    row.charged = Fen{query.i64()};
    row.left = Fen{query.i64()};
    row.by = query.text();
    row.second = query.text();
    row.sha256 = query.text();
    return row;
}

// The document and the shares of a sheet whose columns are there.
void complete(sql::Connection& connection, PoolSheetRow& row) {
    {
        Query query(connection, "SELECT document FROM pool_sheet WHERE event=?");
        query << row.event;
        if (query.step()) row.document = query.text();
    }
    Query query(
        connection,
        "SELECT n,pool_share.unit,coalesce(account.account,''),weight,amount,state FROM pool_share "
        "LEFT JOIN account ON account.id=pool_share.account WHERE event=? ORDER BY n");
    query << row.event;
    while (query.step()) {
        PoolShareRow share;
        share.n = query.i32();
        share.unit = query.text();
        share.account = query.text();
        share.weight = query.i64();
        share.amount = Fen{query.i64()};
        share.state = share_state(query.text());
        row.shares.push_back(std::move(share));
    }
}

}  // namespace

const char* to_string(PoolSheetRow::State state) {
    switch (state) {
        case PoolSheetRow::State::approved:
            return "approved";
        case PoolSheetRow::State::withdrawn:
            return "withdrawn";
        case PoolSheetRow::State::charged:
            return "charged";
    }
    return "";
}

void Store::add_pool_sheet(const PoolSheetRow& sheet) {
    impl_->need_transaction();
    {
        Query query(impl_->connection, "INSERT INTO pool_sheet VALUES(?,?,?,?,?,?,?,?,?,?)");
        query << sheet.event << sheet.pool << sheet.month << to_string(sheet.state)
              << format_date(sheet.charge_from) << sheet.amount.count << sheet.by << sheet.second
              << sheet.document << sheet.sha256;
        query.run();
    }
    for (const PoolShareRow& share : sheet.shares) {
        Query query(impl_->connection, "INSERT INTO pool_share VALUES(?,?,?,?,?,?,?)");
        query << sheet.event << share.n << share.unit;
        if (share.account.empty())
            query << std::nullopt;
        else
            query << impl_->account_id(share.account);
        query << share.weight << share.amount.count << word_of(share.state);
        query.run();
    }
}

void Store::put_pool_share(std::uint64_t sheet, int n, PoolShareRow::State state) {
    impl_->need_transaction();
    Query query(impl_->connection, "UPDATE pool_share SET state=? WHERE event=? AND n=?");
    query << word_of(state) << sheet << n;
    query.run();
    GH_ASSERT(impl_->connection.changes() == 1);
}

void Store::end_pool_sheet(std::uint64_t sheet, PoolSheetRow::State state) {
    impl_->need_transaction();
    Query query(impl_->connection, "UPDATE pool_sheet SET state=? WHERE event=?");
    query << to_string(state) << sheet;
    query.run();
    GH_ASSERT(impl_->connection.changes() == 1);
}

std::optional<PoolSheetRow> Store::find_pool_sheet(const std::string& pool,
                                                   const std::string& month) {
    std::optional<PoolSheetRow> row;
    {
        Query query(impl_->connection, "SELECT " GATEHOUSE_SHEET_COLUMNS
                                       "WHERE pool=? AND month=? AND state<>'withdrawn'");
        query << pool << month;
        if (query.step()) row = sheet_columns(query);
    }
    if (row) complete(impl_->connection, *row);
    return row;
}

std::vector<PoolSheetRow> Store::load_pool_sheets() {
    std::vector<PoolSheetRow> rows;
    {
        Query query(impl_->connection,
                    "SELECT " GATEHOUSE_SHEET_COLUMNS "WHERE state='approved' ORDER BY event");
        while (query.step()) rows.push_back(sheet_columns(query));
    }
    for (PoolSheetRow& row : rows) complete(impl_->connection, row);
    return rows;
}

std::vector<WaitingShareRow> Store::load_waiting_shares(const std::string& account) {
    std::vector<WaitingShareRow> rows;
    Query query(impl_->connection,
                "SELECT event,n,pool,month,pool_share.amount FROM pool_sheet JOIN pool_share "
                "USING(event) WHERE pool_sheet.state='approved' AND pool_share.state='waiting' AND "
                "pool_share.account=(SELECT id FROM account WHERE account.account=?) "
                "ORDER BY event,n");
    query << account;
    while (query.step()) {
        WaitingShareRow row;
        row.sheet = query.u64();
        row.n = query.i32();
        row.pool = query.text();
        row.month = query.text();
        row.amount = Fen{query.i64()};
        rows.push_back(std::move(row));
    }
    return rows;
}

std::vector<PoolSheetRow> StoreReader::pool_sheets(const std::string& pool) {
    const Impl::Moment moment(*impl_);
    std::vector<PoolSheetRow> rows;
    Query query(impl_->connection,
                "SELECT " GATEHOUSE_SHEET_COLUMNS
                "WHERE pool=?1 AND event=(SELECT max(event) FROM pool_sheet other WHERE "
                "other.pool=?1 AND other.month=pool_sheet.month) ORDER BY month");
    query << pool;
    while (query.step()) rows.push_back(sheet_columns(query));
    return rows;
}

std::optional<PoolSheetRow> StoreReader::pool_sheet(const std::string& pool,
                                                    const std::string& month) {
    const Impl::Moment moment(*impl_);
    std::optional<PoolSheetRow> row;
    {
        Query query(impl_->connection, "SELECT " GATEHOUSE_SHEET_COLUMNS
                                       "WHERE pool=? AND month=? ORDER BY event DESC LIMIT 1");
        query << pool << month;
        if (query.step()) row = sheet_columns(query);
    }
    if (row) complete(impl_->connection, *row);
    return row;
}

bool StoreReader::posted(const std::string& account, const std::string& cause) {
    const Impl::Moment moment(*impl_);
    Query query(impl_->connection,
                "SELECT 1 FROM posting WHERE cause=? AND "
                "account=(SELECT id FROM account WHERE account.account=?)");
    query << cause << account;
    return query.step();
}

}  // namespace gatehouse
