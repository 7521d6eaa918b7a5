#include "daemon/store/key_books.hpp"

#include "daemon/store/reader_impl.hpp"
#include "daemon/store/store_impl.hpp"

namespace gatehouse {

using sql::Query;

namespace {

const char* word_of(KeyEventFold fold) {
    switch (fold) {
        case KeyEventFold::fresh:
            return "fresh";
        case KeyEventFold::folded:
            return "folded";
        case KeyEventFold::late:
            return "late";
    }
    return "";
}

#define GATEHOUSE_LOAN_COLUMNS "SELECT id,key,holder,out_ms,in_ms,body FROM key_loan "
std::vector<KeyLoanRow> loan_rows(Query& query) {
    std::vector<KeyLoanRow> rows;
    while (query.step()) {
        KeyLoanRow row;
        row.id = query.text();
        row.key = query.text();
        row.holder = query.text();
        row.out_at = query.i64();
        row.in_at = query.maybe_i64();
        row.body = query.text();
        rows.push_back(std::move(row));
    }
    return rows;
}

#define GATEHOUSE_LINK_COLUMNS "SELECT id,loan,ticket,kind,main,by,at_ms FROM key_link "
std::vector<KeyLinkRow> link_rows(Query& query) {
    std::vector<KeyLinkRow> rows;
    while (query.step()) {
        KeyLinkRow row;
        row.id = query.i64();
        row.loan = query.text();
        row.ticket = query.text();
        row.kind = query.text();
        row.primary = query.flag();
        row.by = query.text();
        row.at = query.i64();
        rows.push_back(std::move(row));
    }
    return rows;
}

#define GATEHOUSE_KEY_EVENT_COLUMNS \
    "SELECT source,boot,seq,event,at_ms,received_ms,body FROM key_event "
std::vector<KeyEventRow> key_event_rows(Query& query) {
    std::vector<KeyEventRow> rows;
    while (query.step()) {
        KeyEventRow row;
        row.source = query.text();
        row.boot = query.i64();
        row.seq = query.i64();
        row.event = query.u64();
        row.at = query.i64();
        row.received_at = query.i64();
        row.body = query.text();
        rows.push_back(std::move(row));
    }
    return rows;
}

}  // namespace

std::optional<std::string> KeyBooks::event_body(const std::string& source, std::int64_t boot,
                                                std::int64_t seq) {
    Query query(connection_, "SELECT body FROM key_event WHERE source=? AND boot=? AND seq=?");
    query << source << boot << seq;
    return query.step() ? std::optional(query.text()) : std::nullopt;
}

void KeyBooks::add_event(const KeyEventRow& row, KeyEventFold fold) {
    Query query(connection_,
                "INSERT INTO key_event(source,boot,seq,event,at_ms,received_ms,fold,body) "
                "VALUES(?,?,?,?,?,?,?,?)");
    query << row.source << row.boot << row.seq << row.event << row.at << row.received_at
          << word_of(fold) << row.body;
    query.run();
}

void KeyBooks::mark_folded(const std::string& source, std::int64_t boot, std::int64_t seq) {
    Query query(connection_,
                "UPDATE key_event SET fold='folded' WHERE source=? AND boot=? AND seq=?");
    query << source << boot << seq;
    query.run();
}

std::vector<KeyEventRow> KeyBooks::fresh_events() {
    Query query(connection_, GATEHOUSE_KEY_EVENT_COLUMNS "WHERE fold='fresh'");
    return key_event_rows(query);
}

std::vector<KeyEventRow> KeyBooks::counts_between(UtcMs from, UtcMs to, std::size_t limit) {
    Query query(connection_, GATEHOUSE_KEY_EVENT_COLUMNS
                "WHERE source='desk' AND at_ms>=? AND at_ms<? AND "
                "instr(body,'\"type\":\"key.counted\"')>0 ORDER BY at_ms,event LIMIT ?");
    query << from << to << static_cast<std::int64_t>(limit);
    return key_event_rows(query);
}

std::int64_t KeyBooks::newest_seq(const std::string& source, std::int64_t boot) {
    Query query(connection_, "SELECT max(seq) FROM key_event WHERE source=? AND boot=?");
    query << source << boot;
    return query.step() ? query.maybe_i64().value_or(-1) : -1;
}

std::vector<KeyBooks::BootRow> KeyBooks::boots(const std::string& source) {
    std::vector<BootRow> rows;
    Query query(connection_,
                "SELECT boot,max(seq),min(told_ms),max(told_ms) FROM (SELECT boot,seq,CASE WHEN "
                "at_ms<>received_ms OR body->>'clocked' THEN at_ms END AS told_ms FROM key_event "
                "WHERE source=?) GROUP BY boot ORDER BY boot");
    query << source;
    while (query.step()) {
        BootRow row;
        row.boot = query.i64();
        row.seq = query.i64();
        row.first = query.maybe_i64().value_or(0);
        row.last = query.maybe_i64().value_or(0);
        rows.push_back(row);
    }
    return rows;
}

bool KeyBooks::has_all(const std::string& source, std::int64_t boot, std::int64_t from,
                       std::int64_t through, UtcMs since) {
    Query query(connection_,
                "SELECT count(DISTINCT seq) FROM key_event WHERE source=? AND seq BETWEEN ? AND ? "
                "AND (boot=? OR received_ms>=?)");
    query << source << from << through << boot << since;
    return query.step() && query.i64() == through - from + 1;
}

std::vector<std::uint64_t> KeyBooks::events_of(const std::string& source, std::uint64_t after,
                                               std::size_t limit) {
    std::vector<std::uint64_t> rows;
    Query query(connection_,
                "SELECT event FROM key_event WHERE source=? AND event>? ORDER BY event LIMIT ?");
    query << source << after << static_cast<std::int64_t>(limit);
    while (query.step()) rows.push_back(query.u64());
    return rows;
}

void KeyBooks::put_base(const std::string& kind, const std::string& id, const std::string& body) {
    Query query(connection_, "INSERT OR REPLACE INTO key_base VALUES(?,?,?)");
    query << kind << id << body;
    query.run();
}

std::vector<std::pair<std::string, std::string>> KeyBooks::bases(const std::string& kind) {
    std::vector<std::pair<std::string, std::string>> rows;
    Query query(connection_, "SELECT id,body FROM key_base WHERE kind=?");
    query << kind;
    while (query.step()) {
        std::string id = query.text();
        rows.emplace_back(std::move(id), query.text());
    }
    return rows;
}

void KeyBooks::put_loan(const KeyLoanRow& row) {
    Query query(connection_, "INSERT OR REPLACE INTO key_loan VALUES(?,?,?,?,?,?)");
    query << row.id << row.key << row.holder << row.out_at << row.in_at << row.body;
    query.run();
}

void KeyBooks::drop_loan(const std::string& id) {
    Query query(connection_, "DELETE FROM key_loan WHERE id=?");
    query << id;
    query.run();
}

std::vector<KeyLoanRow> KeyBooks::loans_of(const std::string& key, std::size_t limit) {
    Query query(connection_,
                GATEHOUSE_LOAN_COLUMNS "WHERE key=? ORDER BY out_ms DESC, id DESC LIMIT ?");
    query << key << static_cast<std::int64_t>(limit);
    return loan_rows(query);
}

std::vector<KeyLoanRow> KeyBooks::loans_between(UtcMs from, UtcMs to, std::size_t limit) {
    Query query(connection_,
                GATEHOUSE_LOAN_COLUMNS "WHERE out_ms>=? AND out_ms<? ORDER BY out_ms, id LIMIT ?");
    query << from << to << static_cast<std::int64_t>(limit);
    return loan_rows(query);
}

std::optional<KeyLoanRow> KeyBooks::loan(const std::string& id) {
    Query query(connection_, GATEHOUSE_LOAN_COLUMNS "WHERE id=?");
    query << id;
    auto rows = loan_rows(query);
    return rows.empty() ? std::nullopt : std::optional(std::move(rows.front()));
}

std::int64_t KeyBooks::add_link(const KeyLinkRow& row) {
    Query query(connection_,
                "INSERT INTO key_link(loan,ticket,kind,main,by,at_ms) VALUES(?,?,?,?,?,?)");
    query << row.loan << row.ticket << row.kind << row.primary << row.by << row.at;
    query.run();
    return connection_.last_rowid();
}

void KeyBooks::supersede_links(const std::string& loan, std::int64_t by_id) {
    Query query(connection_,
                "UPDATE key_link SET superseded=? WHERE loan=? AND superseded IS NULL AND id<?");
    query << by_id << loan << by_id;
    query.run();
}

std::vector<KeyLinkRow> KeyBooks::links_of_loan(const std::string& loan) {
    Query query(connection_, GATEHOUSE_LINK_COLUMNS
                "WHERE loan=? AND superseded IS NULL AND ticket<>'' ORDER BY id");
    query << loan;
    return link_rows(query);
}

std::vector<KeyLinkRow> KeyBooks::links_of_ticket(const std::string& ticket) {
    Query query(connection_,
                GATEHOUSE_LINK_COLUMNS "WHERE ticket=? AND superseded IS NULL ORDER BY id");
    query << ticket;
    return link_rows(query);
}

std::vector<KeyLinkRow> KeyBooks::links_since(UtcMs out_at) {
    Query query(connection_, GATEHOUSE_LINK_COLUMNS
                "WHERE superseded IS NULL AND loan IN (SELECT id FROM key_loan WHERE out_ms>=?1 "
                "OR in_ms IS NULL) ORDER BY id");
    query << out_at;
    return link_rows(query);
}

bool KeyBooks::is_told(const std::string& code, const std::string& fact) {
    Query query(connection_, "SELECT 1 FROM key_told WHERE code=? AND fact=?");
    query << code << fact;
    return query.step();
}

bool KeyBooks::add_told(const std::string& code, const std::string& fact, UtcMs at) {
    Query query(connection_, "INSERT OR IGNORE INTO key_told VALUES(?,?,?)");
    query << code << fact << at;
    query.run();
    return connection_.changes() == 1;
}

std::vector<std::string> KeyBooks::told_facts(const std::string& code) {
    Query query(connection_, "SELECT fact FROM key_told WHERE code=?");
    query << code;
    std::vector<std::string> facts;
    while (query.step()) facts.push_back(query.text());
    return facts;
}

void KeyBooks::forget_told(const std::string& code, const std::string& fact) {
    Query query(connection_, "DELETE FROM key_told WHERE code=? AND fact=?");
    query << code << fact;
    query.run();
}

void KeyBooks::drop_told(UtcMs before) {
    Query query(connection_, "DELETE FROM key_told WHERE at_ms<?");
    query << before;
    query.run();
}

KeyBooks& Store::key_books() {
    return impl_->key_books;
}

KeyBooks StoreReader::key_books() {
    const Impl::Moment moment(*impl_);
    return KeyBooks(impl_->connection);
}

}  // namespace gatehouse
