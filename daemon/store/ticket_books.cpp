// Tickets, their moves, the plain registers, and what retention forgets of all of it.
#include "daemon/store/key_books.hpp"
#include "daemon/store/sql.hpp"

namespace gatehouse {

using sql::Query;

namespace {

#define GATEHOUSE_TICKET_COLUMNS \
    "SELECT number,kind,state,unit,category,external_no,reported_ms,ended_ms,body FROM ticket "
std::vector<TicketRow> ticket_rows(Query& query) {
    std::vector<TicketRow> rows;
    while (query.step()) {
        TicketRow row;
        row.number = query.text();
        row.kind = query.text();
        row.state = query.text();
        row.unit = query.text();
        row.category = query.text();
        row.external_no = query.text();
        row.reported_at = query.i64();
        row.ended_at = query.maybe_i64();
        row.body = query.text();
        rows.push_back(std::move(row));
    }
    return rows;
}

std::optional<TicketRow> first(std::vector<TicketRow> rows) {
    return rows.empty() ? std::nullopt : std::optional(std::move(rows.front()));
}

#define GATEHOUSE_MOVE_COLUMNS \
    "SELECT id,ticket,action,from_state,to_state,by,note,at_ms,event FROM ticket_move "
std::vector<TicketMoveRow> move_rows(Query& query) {
    std::vector<TicketMoveRow> rows;
    while (query.step()) {
        TicketMoveRow row;
        row.id = query.i64();
        row.ticket = query.text();
        row.action = query.text();
        row.from = query.text();
        row.to = query.text();
        row.by = query.text();
        row.note = query.text();
        row.at = query.i64();
        row.event = query.u64();
        rows.push_back(std::move(row));
    }
    return rows;
}

#define GATEHOUSE_REGISTER_COLUMNS \
    "SELECT id,kind,unit,subject,at_ms,event,body FROM office_register "
std::vector<RegisterRow> register_rows(Query& query) {
    std::vector<RegisterRow> rows;
    while (query.step()) {
        RegisterRow row;
        row.id = query.i64();
        row.kind = query.text();
        row.unit = query.text();
        row.subject = query.text();
        row.at = query.i64();
        row.event = query.u64();
        row.body = query.text();
        rows.push_back(std::move(row));
    }
    return rows;
}

}  // namespace

void KeyBooks::put_ticket(const TicketRow& row) {
    Query query(connection_, "INSERT OR REPLACE INTO ticket VALUES(?,?,?,?,?,?,?,?,?)");
    query << row.number << row.kind << row.state << row.unit << row.category << row.external_no
          << row.reported_at << row.ended_at << row.body;
    query.run();
}

std::int64_t KeyBooks::add_move(const TicketMoveRow& row) {
    Query query(connection_,
                "INSERT INTO ticket_move(ticket,action,from_state,to_state,by,note,at_ms,event) "
                "VALUES(?,?,?,?,?,?,?,?)");
    query << row.ticket << row.action << row.from << row.to << row.by << row.note << row.at
          << row.event;
    query.run();
    return connection_.last_rowid();
}

std::optional<TicketRow> KeyBooks::ticket(const std::string& number) {
    Query query(connection_, GATEHOUSE_TICKET_COLUMNS "WHERE number=?");
    query << number;
    return first(ticket_rows(query));
}

std::optional<TicketRow> KeyBooks::ticket_by_external(const std::string& external_no) {
    Query query(connection_, GATEHOUSE_TICKET_COLUMNS "WHERE external_no=? AND external_no<>''");
    query << external_no;
    return first(ticket_rows(query));
}

std::string KeyBooks::newest_number(const std::string& prefix) {
    // Numbers of more digits than four are newer; of as many the larger text is.
    Query query(connection_,
                "SELECT number FROM ticket WHERE number>=?1 AND number<?2 "
                "ORDER BY length(number) DESC, number DESC LIMIT 1");
    query << prefix << prefix + "\x7f";
    return query.step() ? query.text() : "";
}

std::vector<TicketRow> KeyBooks::tickets_ended_since(UtcMs at) {
    Query query(connection_, GATEHOUSE_TICKET_COLUMNS
                "WHERE ended_ms IS NULL OR ended_ms>=? ORDER BY reported_ms, number");
    query << at;
    return ticket_rows(query);
}

std::vector<TicketRow> KeyBooks::tickets(const TicketFilter& filter, std::size_t limit) {
    Query query(connection_, GATEHOUSE_TICKET_COLUMNS
                "WHERE (?1='' OR state=?1 OR (?1='open' AND ended_ms IS NULL)) "
                "AND (?2='' OR unit=?2) AND (?3='' OR kind=?3) AND reported_ms>=?4 AND "
                "reported_ms<?5 AND (?6='' OR (reported_ms,number)>((SELECT other.reported_ms "
                "FROM ticket other WHERE other.number=?6),?6)) ORDER BY reported_ms,number "
                "LIMIT ?7");
    query << filter.state << filter.unit << filter.kind << filter.from.value_or(INT64_MIN)
          << filter.to.value_or(INT64_MAX) << filter.after << static_cast<std::int64_t>(limit);
    return ticket_rows(query);
}

std::vector<TicketMoveRow> KeyBooks::moves(const std::string& ticket) {
    Query query(connection_, GATEHOUSE_MOVE_COLUMNS "WHERE ticket=? ORDER BY id");
    query << ticket;
    return move_rows(query);
}

std::vector<TicketMoveRow> KeyBooks::moves_between(UtcMs from, UtcMs to) {
    Query query(connection_, GATEHOUSE_MOVE_COLUMNS "WHERE at_ms>=? AND at_ms<? ORDER BY id");
    query << from << to;
    return move_rows(query);
}

std::int64_t KeyBooks::add_register(const RegisterRow& row) {
    Query query(connection_,
                "INSERT INTO office_register(kind,unit,subject,at_ms,event,body) "
                "VALUES(?,?,?,?,?,?)");
    query << row.kind << row.unit << row.subject << row.at << row.event << row.body;
    query.run();
    return connection_.last_rowid();
}

std::vector<RegisterRow> KeyBooks::registers(const std::string& kind, const std::string& unit,
                                             std::int64_t after, std::size_t limit) {
    Query query(connection_, GATEHOUSE_REGISTER_COLUMNS
                "WHERE kind=? AND (?2='' OR unit=?2) AND id>? ORDER BY id LIMIT ?");
    query << kind << unit << after << static_cast<std::int64_t>(limit);
    return register_rows(query);
}

std::optional<RegisterRow> KeyBooks::register_row(const std::string& kind,
                                                  const std::string& subject) {
    Query query(connection_,
                GATEHOUSE_REGISTER_COLUMNS "WHERE kind=? AND subject=? ORDER BY id DESC LIMIT 1");
    query << kind << subject;
    auto rows = register_rows(query);
    return rows.empty() ? std::nullopt : std::optional(std::move(rows.front()));
}

std::string KeyBooks::newest_subject(const std::string& kind) {
    Query query(connection_,
                "SELECT subject FROM office_register WHERE kind=? ORDER BY subject DESC LIMIT 1");
    query << kind;
    return query.step() ? query.text() : "";
}

std::vector<std::uint64_t> KeyBooks::drop_events(UtcMs before, bool denied, std::size_t limit) {
    std::vector<std::pair<std::int64_t, std::uint64_t>> rows;
    const auto read = [&](Query& query) {
        query << before << static_cast<std::int64_t>(limit);
        while (query.step()) {
            const std::int64_t id = query.i64();
            rows.emplace_back(id, query.u64());
        }
    };
    if (denied) {
        Query query(connection_,
                    "SELECT id,event FROM key_event WHERE received_ms<? AND "
                    "instr(body,'\"type\":\"access.denied\"')>0 AND fold<>'fresh' LIMIT ?");
        read(query);
    } else {
        Query query(connection_,
                    "SELECT id,event FROM key_event WHERE received_ms<? AND fold<>'fresh' LIMIT ?");
        read(query);
    }
    std::vector<std::uint64_t> events;
    for (const auto& [id, event] : rows) {
        Query query(connection_, "DELETE FROM key_event WHERE id=?");
        query << id;
        query.run();
        events.push_back(event);
    }
    return events;
}

std::size_t KeyBooks::drop_before(UtcMs at, std::size_t limit) {
    const auto most = static_cast<std::int64_t>(limit);
    std::size_t dropped = 0;
    const auto count = [&](Query& query) {
        query.run();
        dropped += static_cast<std::size_t>(connection_.changes());
    };
    {
        Query query(connection_,
                    "DELETE FROM key_link WHERE id IN (SELECT key_link.id FROM key_link JOIN "
                    "key_loan ON key_loan.id=key_link.loan WHERE key_loan.in_ms<? LIMIT ?)");
        query << at << most;
        count(query);
    }
    {
        Query query(connection_,
                    "DELETE FROM key_loan WHERE id IN (SELECT id FROM key_loan WHERE in_ms<?1 AND "
                    "NOT EXISTS(SELECT 1 FROM key_link WHERE key_link.loan=key_loan.id) LIMIT ?2)");
        query << at << most;
        count(query);
    }
    {
        Query query(connection_,
                    "DELETE FROM ticket_move WHERE id IN (SELECT ticket_move.id FROM ticket_move "
                    "JOIN ticket ON ticket.number=ticket_move.ticket WHERE ticket.ended_ms<? "
                    "LIMIT ?)");
        query << at << most;
        count(query);
    }
    return dropped;
}

}  // namespace gatehouse
