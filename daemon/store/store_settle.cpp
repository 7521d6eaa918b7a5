// The writer's part of replays: steps of marks, and what waits to be settled anew.
#include "daemon/store/row_proof.hpp"
#include "daemon/store/store_impl.hpp"
#include "daemon/store/verify_steps.hpp"

namespace gatehouse {

using sql::Query;

namespace {

const char* word_of(SettlingState state) {
    return state == SettlingState::waiting ? "waiting" : "left";
}

}  // namespace

// The mark is there: the step hangs on the one before.
void Store::Impl::keep_step(std::int64_t account, std::int64_t meter, std::uint64_t reading,
                            bool begins) {
    std::int64_t prev = 0;
    {
        Query query(connection, "SELECT step FROM mark WHERE account=? AND meter=?");
        query << account << meter;
        if (query.step()) prev = query.i64();
    }
    {
        Query query(connection,
                    "INSERT INTO mark_step(account,meter,reading,begins,prev,digest) "
                    "VALUES(?,?,?,?,?,?)");
        query << account << meter << reading << begins << prev;
        query.blob(store::step_digest(connection, reading, meter, begins)).run();
    }
    const std::int64_t step = connection.last_rowid();
    Query query(connection, "UPDATE mark SET step=? WHERE account=? AND meter=?");
    query << step << account << meter;
    query.run();
}

void Store::put_mark(const MarkRow& mark, bool begins) {
    impl_->need_transaction();
    const std::int64_t account = impl_->account_id(mark.account);
    const std::int64_t meter = impl_->meter_id(mark.meter);
    std::uint64_t before = 0;
    {
        Query query(impl_->connection, "SELECT reading FROM mark WHERE account=? AND meter=?");
        query << account << meter;
        if (query.step()) before = query.u64();
    }
    {
        Query query(impl_->connection,
                    "INSERT INTO mark(account,meter,reading,total) VALUES(?,?,?,?) "
                    "ON CONFLICT(account,meter) DO UPDATE SET "
                    "reading=excluded.reading,total=excluded.total");
        query << account << meter << mark.reading << mark.total.count;
        query.run();
    }
    if (begins || before != mark.reading) impl_->keep_step(account, meter, mark.reading, begins);
}

void Store::pass_mark(const std::string& account, const std::string& meter, std::uint64_t reading) {
    impl_->need_transaction();
    impl_->keep_step(impl_->account_id(account), impl_->meter_id(meter), reading, false);
}

void Store::add_remap(const RemapRow& row) {
    impl_->need_transaction();
    Query query(impl_->connection, "INSERT INTO remap VALUES(?,?,?,?,?,?,?,?)");
    query << row.event << impl_->meter_id(row.meter) << row.from << row.through_step
          << row.through_reading << impl_->account_id(row.account) << row.tariff << row.persons;
    query.run();
}

// The chain of steps stays as it is: what lies behind the figure belongs to another account.
void Store::set_mark_back(const MarkRow& mark) {
    impl_->need_transaction();
    Query query(impl_->connection, "UPDATE mark SET reading=?,total=? WHERE account=? AND meter=?");
    query << mark.reading << mark.total.count << impl_->account_id(mark.account)
          << impl_->meter_id(mark.meter);
    query.run();
}

void Store::replace_line_parts(std::int64_t line, const std::vector<LinePartRow>& parts) {
    impl_->need_transaction();
    {
        Query query(impl_->connection, "DELETE FROM line_part WHERE line=?");
        query << line;
        query.run();
    }
    for (const LinePartRow& part : parts) add_line_part(line, part);
}

void Store::add_ladder_opening(const LadderOpeningRow& row) {
    impl_->need_transaction();
    Query query(impl_->connection, "INSERT OR REPLACE INTO ladder_opening VALUES(?,?,?,?,?)");
    query << impl_->account_id(row.account) << row.tariff << format_date(row.day)
          << format_date(row.start) << row.quantity.count;
    query.run();
}

void Store::add_month_tariff(const MonthTariffRow& row) {
    impl_->need_transaction();
    Query query(impl_->connection, "INSERT OR IGNORE INTO month_tariff VALUES(?,?,?)");
    query << row.month << impl_->account_id(row.account) << row.tariff;
    query.run();
}

void Store::drop_month_tariffs(const std::string& account, const std::string& from_month) {
    impl_->need_transaction();
    Query query(impl_->connection, "DELETE FROM month_tariff WHERE account=? AND month>=?");
    query << impl_->account_id(account) << from_month;
    query.run();
}

void Store::add_late_version(const LateVersionRow& row) {
    impl_->need_transaction();
    Query query(impl_->connection, "INSERT INTO late_version VALUES(?,?,?)");
    query << row.tariff << format_date(row.valid_from) << row.event;
    query.run();
}

void Store::add_edge_figures(const std::string& account, const std::vector<EdgeFigureRow>& rows) {
    impl_->need_transaction();
    if (rows.empty()) return;
    for (const EdgeFigureRow& row : rows) {
        Query query(impl_->connection, "INSERT INTO edge_figure VALUES(?,?,?,?,?,?)");
        query << impl_->account_id(account) << impl_->meter_id(row.meter) << row.reading << row.at
              << row.event << row.total.count;
        query.run();
    }
    store::prove(impl_->connection, "edge_figure", account);
}

void Store::add_settling(const SettlingRow& row) {
    impl_->need_transaction();
    Query query(impl_->connection, "INSERT INTO settling_cause VALUES(?,?,?,?,?,?,?)");
    query << row.event << row.kind << row.cause << row.by << row.second << row.reason
          << std::int64_t{row.vouched};
    query.run();
    store::prove(impl_->connection, "settling_cause", std::to_string(row.event));
}

void Store::put_settling_state(std::uint64_t event, const std::string& account,
                               SettlingState state) {
    impl_->need_transaction();
    Query query(impl_->connection,
                "INSERT INTO settling VALUES(?,?,?) ON CONFLICT(account,event) DO UPDATE SET "
                "state=excluded.state");
    query << impl_->account_id(account) << event << word_of(state);
    query.run();
}

void Store::end_settling(std::uint64_t event, const std::string& account) {
    impl_->need_transaction();
    Query query(impl_->connection, "DELETE FROM settling WHERE account=? AND event=?");
    query << impl_->account_id(account) << event;
    query.run();
}

std::vector<std::string> Store::accounts_of_tariff(const std::string& tariff) {
    std::vector<std::string> rows;
    Query query(impl_->connection,
                "SELECT account FROM account WHERE id IN "
                "(SELECT account FROM meter_terms WHERE tariff=?) ORDER BY id");
    query << tariff;
    while (query.step()) rows.push_back(query.text());
    return rows;
}

bool Store::is_settling(const std::string& account) {
    return impl_->books.is_settling(account);
}

std::optional<SettlingRow> Store::find_settling(std::uint64_t event) {
    Query query(
        impl_->connection,
        "SELECT event,kind,cause,by,second,reason,vouched FROM settling_cause WHERE event=?");
    query << event;
    if (!query.step()) return std::nullopt;
    SettlingRow row;
    row.event = query.u64();
    row.kind = query.text();
    row.cause = query.text();
    row.by = query.text();
    row.second = query.text();
    row.reason = query.text();
    row.vouched = query.i64() != 0;
    return row;
}

std::vector<std::pair<std::uint64_t, std::string>> Store::load_waiting() {
    std::vector<std::pair<std::uint64_t, std::string>> rows;
    Query query(impl_->connection,
                "SELECT event,account.account FROM settling JOIN account "
                "ON account.id=settling.account WHERE state='waiting' "
                "ORDER BY event,settling.account");
    while (query.step()) {
        const std::uint64_t event = query.u64();
        rows.emplace_back(event, query.text());
    }
    return rows;
}

AccountBooks& Store::account_books() {
    return impl_->books;
}

}  // namespace gatehouse
