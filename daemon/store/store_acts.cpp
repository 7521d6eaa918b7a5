// Rows of what staff did at a meter: readings by eye, replacements, holds.
#include "daemon/store/row_proof.hpp"
#include "daemon/store/store_impl.hpp"

namespace gatehouse {

using sql::Query;

namespace {

#define GATEHOUSE_MANUAL_COLUMNS                                                             \
    "manual_reading.id,meter.meter,epoch,run,mono_ms,skew_ms,read_at_ms,register,by,second," \
    "photo,state,reading,quarantine,manual_reading.profile FROM manual_reading "             \
    "JOIN meter ON meter.id=manual_reading.meter "

const char* to_string(ManualReadingRow::State state) {
    switch (state) {
        case ManualReadingRow::State::waiting:
            return "waiting";
        case ManualReadingRow::State::confirmed:
            return "confirmed";
        case ManualReadingRow::State::rejected:
            return "rejected";
    }
    return "rejected";
}

std::optional<std::int64_t> id_or_none(std::int64_t id) {
    return id == 0 ? std::nullopt : std::optional(id);
}

ManualReadingRow manual_columns(Query& query, const store::RunBases& bases) {
    ManualReadingRow row;
    row.id = query.i64();
    row.meter = query.text();
    row.epoch = query.maybe_i64().value_or(0);
    row.at = store::stamp_columns(query, bases);
    row.read_at = query.i64();
    row.register_value = query.text();
    row.by = query.text();
    row.second = query.maybe_text().value_or("");
    row.photo = query.maybe_text().value_or("");
    const std::string state = query.text();
    row.state = state == "waiting"     ? ManualReadingRow::State::waiting
                : state == "confirmed" ? ManualReadingRow::State::confirmed
                                       : ManualReadingRow::State::rejected;
    row.reading = static_cast<std::uint64_t>(query.maybe_i64().value_or(0));
    row.quarantine = query.maybe_i64().value_or(0);
    row.profile = query.text();
    return row;
}

}  // namespace

std::int64_t Store::put_manual_reading(const ManualReadingRow& row) {
    impl_->need_transaction();
    const std::int64_t id =
        row.id != 0 ? row.id : static_cast<std::int64_t>(impl_->take(Series::other));
    Query query(impl_->connection,
                "INSERT INTO manual_reading VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(id) "
                "DO UPDATE SET state=excluded.state,reading=excluded.reading,"
                "quarantine=excluded.quarantine");
    query << id << impl_->meter_id(row.meter) << id_or_none(row.epoch);
    store::bind_stamp(query, row.at, impl_->bases);
    query << row.read_at << row.register_value << row.by;
    query.text_or_null(row.second).text_or_null(row.photo);
    query << to_string(row.state) << id_or_none(static_cast<std::int64_t>(row.reading))
          << id_or_none(row.quarantine) << row.profile;
    query.run();
    store::prove(impl_->connection, "manual_reading", std::to_string(id));
    return id;
}

std::optional<ManualReadingRow> Store::newest_manual_reading(const std::string& meter,
                                                             bool about_profile) {
    Query query(impl_->connection,
                "SELECT " GATEHOUSE_MANUAL_COLUMNS
                "WHERE manual_reading.meter=? AND (manual_reading.profile<>'')=? "
                "ORDER BY manual_reading.id DESC LIMIT 1");
    query << impl_->meter_id(meter) << about_profile;
    if (!query.step()) return std::nullopt;
    return manual_columns(query, impl_->bases);
}

std::optional<ManualReadingRow> Store::manual_reading_of(std::int64_t quarantine) {
    Query query(impl_->connection, "SELECT " GATEHOUSE_MANUAL_COLUMNS "WHERE quarantine=? LIMIT 1");
    query << quarantine;
    if (!query.step()) return std::nullopt;
    return manual_columns(query, impl_->bases);
}

std::int64_t Store::put_replacement(const ReplacementRow& row) {
    impl_->need_transaction();
    const std::int64_t id =
        row.id != 0 ? row.id : static_cast<std::int64_t>(impl_->take(Series::other));
    Query query(impl_->connection, "INSERT INTO replacement VALUES(?,?,?,?,?,?,?,?,?,?,?,?)");
    query << id << impl_->meter_id(row.meter) << row.old_epoch << id_or_none(row.new_epoch)
          << row.at << row.old_final << row.new_serial << row.new_opening << row.new_address
          << row.by << row.second << row.event;
    query.run();
    store::prove(impl_->connection, "replacement", std::to_string(id));
    return id;
}

std::optional<ReplacementRow> Store::newest_replacement(const std::string& meter) {
    Query query(impl_->connection,
                "SELECT replacement.id,old_epoch,new_epoch,at_ms,old_final,new_serial,new_opening,"
                "new_address,by,second,event FROM replacement WHERE meter=? "
                "ORDER BY replacement.id DESC LIMIT 1");
    query << impl_->meter_id(meter);
    if (!query.step()) return std::nullopt;
    ReplacementRow row;
    row.id = query.i64();
    row.meter = meter;
    row.old_epoch = query.i64();
    row.new_epoch = query.maybe_i64().value_or(0);
    row.at = query.i64();
    row.old_final = query.text();
    row.new_serial = query.text();
    row.new_opening = query.text();
    if (const auto address = query.maybe_i64()) row.new_address = static_cast<int>(*address);
    row.by = query.text();
    row.second = query.text();
    row.event = query.u64();
    return row;
}

void Store::put_hold(const HoldRow& row) {
    impl_->need_transaction();
    Query query(impl_->connection,
                "INSERT INTO meter_hold VALUES(?,?,?,?) ON CONFLICT(meter,since) DO UPDATE SET "
                "until=excluded.until");
    query << impl_->meter_id(row.meter) << row.since
          << id_or_none(static_cast<std::int64_t>(row.until)) << row.by;
    query.run();
}

std::vector<HoldRow> Store::load_open_holds() {
    std::vector<HoldRow> rows;
    Query query(impl_->connection,
                "SELECT meter.meter,meter_hold.by,since FROM meter_hold "
                "JOIN meter ON meter.id=meter_hold.meter WHERE until IS NULL");
    while (query.step()) {
        HoldRow row;
        row.meter = query.text();
        row.by = query.text();
        row.since = query.u64();
        rows.push_back(std::move(row));
    }
    return rows;
}

std::optional<QuarantineRow> Store::find_quarantine(std::int64_t id) {
    Query query(impl_->connection, "SELECT " GATEHOUSE_QUARANTINE_COLUMNS "WHERE quarantine.id=?");
    query << id;
    if (!query.step()) return std::nullopt;
    return store::quarantine_columns(query, impl_->bases);
}

}  // namespace gatehouse
