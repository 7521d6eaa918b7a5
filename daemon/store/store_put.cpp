// What the engine writes beside the appended rows: state that changes, and the removal of bodies.
#include "daemon/core/assert.hpp"
#include "daemon/store/chain.hpp"
#include "daemon/store/registry_rows.hpp"
#include "daemon/store/row_proof.hpp"
#include "daemon/store/store_impl.hpp"

namespace gatehouse {

using sql::Query;

void Store::put_registry(const Registry& registry, const Stamp& at, const Registry* before) {
    impl_->need_transaction();
    std::unordered_map<std::string, std::string> holders;
    {
        Query query(impl_->connection, "SELECT account, holder FROM account");
        while (query.step()) {
            std::string account = query.text();
            holders[std::move(account)] = query.text();
        }
    }
    store::put_registry(impl_->connection, registry,
                        before != nullptr ? *before : store::load_registry(impl_->connection));
    for (const Account& account : registry.accounts) {
        const auto held = holders.find(account.account);
        if (held == holders.end() ? account.holder.empty() : held->second == account.holder) {
            continue;
        }
        Query query(impl_->connection, "INSERT OR REPLACE INTO holder_history VALUES(?,?,?,?,?)");
        query << impl_->account_id(account.account);
        store::bind_stamp(query, at, impl_->bases);
        query << account.holder;
        query.run();
    }
    impl_->contexts.clear();
}

std::int64_t Store::put_epoch(const EpochRow& epoch) {
    impl_->need_transaction();
    const std::int64_t id =
        epoch.id != 0 ? epoch.id : static_cast<std::int64_t>(impl_->take(Series::epoch));
    const auto bind = [](Query& query, const std::optional<Stamp>& stamp) {
        if (stamp) {
            query << stamp->run << stamp->mono_ms << stamp->wall_ms;
        } else {
            query << std::nullopt << std::nullopt << std::nullopt;
        }
    };
    Query query(
        impl_->connection,
        "INSERT INTO epoch VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(id) DO UPDATE SET "
        "serial=excluded.serial,multiplier=excluded.multiplier,"
        "base_total=excluded.base_total,base_figure=excluded.base_figure,"
        "opened_run=excluded.opened_run,opened_mono_ms=excluded.opened_mono_ms,"
        "opened_wall_ms=excluded.opened_wall_ms,closed_run=excluded.closed_run,"
        "closed_mono_ms=excluded.closed_mono_ms,closed_wall_ms=excluded.closed_wall_ms,"
        "final_register=excluded.final_register,device_ratio=excluded.device_ratio");
    query << id << impl_->meter_id(epoch.meter) << epoch.serial << epoch.multiplier
          << epoch.base_total.count << epoch.base_figure.count;
    bind(query, epoch.opened);
    bind(query, epoch.closed);
    if (epoch.final_register) {
        query << epoch.final_register->count;
    } else {
        query << std::nullopt;
    }
    query << epoch.device_ratio;
    query.run();
    store::prove(impl_->connection, "epoch", std::to_string(id));
    impl_->contexts.erase(epoch.meter);
    return id;
}

void Store::put_day(const DayRow& day) {
    impl_->need_transaction();
    Query query(impl_->connection,
                "INSERT INTO meter_day VALUES(?,?,?,?,?) ON CONFLICT(day,meter) DO UPDATE SET "
                "reading=excluded.reading,total=excluded.total,quality=excluded.quality");
    query << day.day << impl_->meter_id(day.meter) << day.reading << day.total.count
          << static_cast<std::int64_t>(day.quality);
    query.run();
}

void Store::put_hour(const HourRow& hour) {
    impl_->need_transaction();
    Query query(impl_->connection,
                "INSERT INTO meter_hour VALUES(?,?,?,?) ON CONFLICT(hour,meter) DO UPDATE SET "
                "total=excluded.total,quality=excluded.quality");
    query << hour.hour << impl_->meter_id(hour.meter) << hour.total.count
          << static_cast<std::int64_t>(hour.quality);
    query.run();
}

void Store::put_pending_edge(const PendingEdgeRow& edge) {
    impl_->need_transaction();
    Query query(impl_->connection, "INSERT INTO pending_edge VALUES(?,?,?,?,?,?,?,?,?,?)");
    query << impl_->meter_id(edge.meter) << edge.event;
    store::bind_stamp(query, edge.at, impl_->bases);
    query << edge.unit << edge.account << edge.tariff << edge.multiplier << edge.persons;
    query.run();
}

void Store::drop_pending_edge(const std::string& meter, std::uint64_t event) {
    impl_->need_transaction();
    Query query(impl_->connection, "DELETE FROM pending_edge WHERE meter=? AND event=?");
    query << impl_->meter_id(meter) << event;
    query.run();
}

std::int64_t Store::put_line(const std::string& account, const LineKey& key, const Line& line) {
    impl_->need_transaction();
    const std::int64_t id = impl_->line_id(impl_->account_id(account), key);
    Query query(impl_->connection,
                "UPDATE line SET price=?,quantity=?,posted=?,unsettled=? WHERE line=?");
    query << line.price.count << line.quantity.count << line.posted.count
          << (target(line) != line.posted) << id;
    query.run();
    return id;
}

void Store::add_line_part(std::int64_t line, const LinePartRow& part) {
    impl_->need_transaction();
    Query query(impl_->connection, "INSERT INTO line_part VALUES(?,?,?,?,?)");
    query << line << impl_->meter_id(part.meter) << part.from << part.to << part.quantity.count;
    query.run();
}

void Store::put_counter(const CounterRow& counter) {
    impl_->need_transaction();
    Query query(impl_->connection,
                "INSERT INTO ladder_counter VALUES(?,?,?,?) ON CONFLICT(start,account,tariff) DO "
                "UPDATE SET quantity=excluded.quantity");
    query << format_date(counter.start) << impl_->account_id(counter.account) << counter.tariff
          << counter.quantity.count;
    query.run();
}

void Store::put_rest(const RestRow& rest) {
    impl_->need_transaction();
    Query query(impl_->connection,
                "INSERT INTO step_total VALUES(?,?,?) ON CONFLICT(account,tariff) DO UPDATE SET "
                "quantity=excluded.quantity");
    query << impl_->account_id(rest.account) << rest.tariff << rest.quantity.count;
    query.run();
}

void Store::add_terms(const TermsRow& terms) {
    impl_->need_transaction();
    Query query(impl_->connection, "INSERT INTO meter_terms VALUES(?,?,?,?,?,?,?,?,?,?)");
    query << impl_->meter_id(terms.meter) << terms.from << impl_->account_id(terms.account)
          << terms.tariff << terms.persons << terms.total.count;
    store::bind_stamp(query, terms.at, impl_->bases);
    query << terms.stands_at;
    query.run();
}

bool Store::add_posting(const std::string& account, const std::string& cause) {
    impl_->need_transaction();
    Query query(impl_->connection, "INSERT OR IGNORE INTO posting VALUES(?,?)");
    query << cause << impl_->account_id(account);
    query.run();
    return impl_->connection.changes() == 1;
}

std::int64_t Store::put_quarantine(const QuarantineRow& row) {
    impl_->need_transaction();
    const std::int64_t id =
        row.id != 0 ? row.id : static_cast<std::int64_t>(impl_->take(Series::quarantine));
    std::optional<std::int64_t> epoch;
    if (row.epoch != 0) epoch = row.epoch;
    Query query(impl_->connection,
                "INSERT INTO quarantine VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(id) DO "
                "UPDATE SET held=excluded.held,total=excluded.total,state=excluded.state,"
                "released_as=excluded.released_as,by=excluded.by,register=excluded.register,"
                "raw=excluded.raw,serial=excluded.serial");
    query << id << impl_->meter_id(row.meter) << row.account << epoch;
    store::bind_stamp(query, row.at, impl_->bases);
    query << row.register_value.count << row.total.count;
    query.blob(store::pack_words(row.raw));
    query << row.reason << row.held.count
          << (row.state == QuarantineRow::State::open       ? "open"
              : row.state == QuarantineRow::State::released ? "released"
                                                            : "rejected")
          << row.released_as << row.by << row.serial;
    query.run();
    return id;
}

void Store::put_alert(const AlertRow& alert) {
    impl_->need_transaction();
    std::int64_t n = 0;
    {
        Query query(impl_->connection,
                    "INSERT INTO alert(id,kind,state,subject,account,unit,level,acknowledged,"
                    "opened_at_ms,told_at_ms,seq,payload,open) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?) "
                    "ON CONFLICT(id) DO UPDATE SET state=excluded.state,unit=excluded.unit,"
                    "level=excluded.level,acknowledged=excluded.acknowledged,"
                    "told_at_ms=excluded.told_at_ms,seq=excluded.seq,payload=excluded.payload,"
                    "open=excluded.open RETURNING n");
        query << alert.id << alert.kind << alert.state << alert.subject << alert.account
              << alert.unit << alert.level << alert.acknowledged << alert.opened_at << alert.told_at
              << alert.seq << alert.payload << alert.open;
        GH_ASSERT(query.step());
        n = query.i64();
        query.run();
    }
    Query query(impl_->connection, "INSERT OR IGNORE INTO alert_transition VALUES(?,?,?,?)");
    query << n << alert.seq << alert.state << alert.level;
    query.run();
}

void Store::add_ack(const AckRow& ack) {
    impl_->need_transaction();
    Query query(impl_->connection,
                "INSERT INTO alert_ack SELECT ?,n,?,?,?,? FROM alert WHERE id=?");
    query << ack.seq << ack.by << ack.via << ack.note << ack.result << ack.alert;
    query.run();
}

bool Store::add_idempotency(const IdempotencyRow& row, const Stamp& at) {
    impl_->need_transaction();
    Query query(impl_->connection, "INSERT OR IGNORE INTO idempotency VALUES(?,?,?,?,?,?,?)");
    query << row.key << row.route << row.body_hash << row.status << row.reply << at.run
          << at.mono_ms;
    query.run();
    return impl_->connection.changes() == 1;
}

void Store::put_token(const TokenRow& token) {
    impl_->need_transaction();
    Query query(impl_->connection,
                "INSERT INTO token VALUES(?,?,?,?,?,?,?,?,?) ON CONFLICT(id) DO UPDATE SET "
                "name=excluded.name,scopes=excluded.scopes,expires_at_ms=excluded.expires_at_ms,"
                "revoked_at_ms=excluded.revoked_at_ms,last_used_at_ms=excluded.last_used_at_ms");
    query << token.id << token.name << store::join(token.scopes) << token.secret_hash
          << token.created_at << token.expires_at << token.revoked_at << token.last_used_at
          << store::join(token.addresses);
    query.run();
}

void Store::put_topic_head(const std::string& topic, std::uint64_t seq) {
    impl_->need_transaction();
    Query query(impl_->connection,
                "INSERT INTO topic_head VALUES(?,?) ON CONFLICT(topic) DO UPDATE SET "
                "seq=excluded.seq");
    query << topic << seq;
    query.run();
}

void Store::put_mqtt_cursor(std::uint64_t seq) {
    impl_->need_transaction();
    Query query(impl_->connection, "UPDATE site SET mqtt_cursor=?");
    query << seq;
    query.run();
}

void Store::put_run_offset(std::int64_t run, const RunOffset& offset) {
    impl_->need_transaction();
    Query query(impl_->connection,
                "INSERT INTO run_offset VALUES(?,?,?) ON CONFLICT(run,from_mono_ms) DO UPDATE SET "
                "offset_ms=excluded.offset_ms");
    query << run << offset.from_mono_ms << offset.offset_ms;
    query.run();
}

void Store::put_newest_trusted(UtcMs at) {
    impl_->need_transaction();
    Query query(impl_->connection, "UPDATE site SET newest_trusted_ms=?");
    query << at;
    query.run();
}

void Store::put_note(const std::string& name, const std::string& value) {
    impl_->need_transaction();
    if (value.empty()) {
        Query query(impl_->connection, "DELETE FROM note WHERE name=?");
        query << name;
        query.run();
        return;
    }
    Query query(impl_->connection,
                "INSERT INTO note VALUES(?,?) ON CONFLICT(name) DO UPDATE SET "
                "value=excluded.value");
    query << name << value;
    query.run();
}

void Store::remove_event_body(std::uint64_t seq, const std::string& reason) {
    impl_->need_transaction();
    GH_ASSERT(!reason.empty());
    {
        Query query(impl_->connection,
                    "INSERT OR IGNORE INTO event_removed SELECT seq,? FROM event_body WHERE seq=?");
        query << reason << seq;
        query.run();
    }
    Query query(impl_->connection, "DELETE FROM event_body WHERE seq=?");
    query << seq;
    query.run();
}

}  // namespace gatehouse
