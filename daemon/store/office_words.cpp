// What people wrote beside keys and tickets, taken away when a person is erased or retention has
// passed: rows, numbers and times stay, and the words go.
#include "daemon/store/key_books.hpp"
#include "daemon/store/sql.hpp"

namespace gatehouse {

using sql::Query;

std::string KeyBooks::key_held_by(const std::string& person) {
    Query query(connection_, "SELECT key FROM key_loan WHERE holder=? AND in_ms IS NULL LIMIT 1");
    query << person;
    return query.step() ? query.text() : "";
}

void KeyBooks::remove_ticket_words(const std::string& number) {
    {
        Query query(connection_,
                    "UPDATE ticket SET body=json_replace(json_set(json_remove(body,'$.result',"
                    "'$.pause_reason','$.close_override'),'$.text','***'),'$.outcomes',"
                    "(SELECT json_group_array(json_remove(value,'$.spoken_to')) FROM "
                    "json_each(body,'$.outcomes'))) WHERE number=?");
        query << number;
        query.run();
    }
    Query query(connection_, "UPDATE ticket_move SET note='' WHERE ticket=? AND note<>''");
    query << number;
    query.run();
}

void KeyBooks::remove_register_words(std::int64_t id) {
    Query query(connection_,
                "UPDATE office_register SET body=json_remove(body,'$.text','$.answer',"
                "'$.witness','$.receiver','$.note') WHERE id=?");
    query << id;
    query.run();
}

void KeyBooks::remove_key_event_words(std::int64_t id) {
    Query query(connection_,
                "UPDATE key_event SET body=json_remove(body,'$.reason','$.by','$.word',"
                "'$.detail','$.extra') WHERE id=? RETURNING "
                "source||'/'||boot||'/'||seq");
    query << id;
    if (!query.step()) return;
    const std::string loan = query.text();
    while (query.step()) {
    }
    Query other(connection_, "UPDATE key_loan SET body=json_remove(body,'$.reason') WHERE id=?");
    other << loan;
    other.run();
}

std::vector<std::string> KeyBooks::worded_tickets(UtcMs ended_before, std::size_t limit) {
    std::vector<std::string> numbers;
    Query query(connection_,
                "SELECT number FROM ticket WHERE ended_ms<? AND "
                "instr(body,'\"text\":\"***\"')=0 LIMIT ?");
    query << ended_before << static_cast<std::int64_t>(limit);
    while (query.step()) numbers.push_back(query.text());
    return numbers;
}

std::vector<std::uint64_t> KeyBooks::ticket_log(const std::string& number) {
    std::vector<std::uint64_t> events;
    Query query(connection_,
                "SELECT event.seq FROM event_about JOIN event ON event.seq=event_about.seq JOIN "
                "event_kind ON event_kind.id=event.kind JOIN event_body ON "
                "event_body.seq=event.seq WHERE about=? AND event_kind.name LIKE 'ticket.%'");
    query << "ticket:" + number;
    while (query.step()) events.push_back(query.u64());
    return events;
}

std::vector<std::uint64_t> KeyBooks::drop_calls(UtcMs before, std::size_t limit) {
    std::vector<std::uint64_t> events;
    Query query(connection_,
                "DELETE FROM office_register WHERE id IN (SELECT id FROM office_register WHERE "
                "kind IN ('call','round') AND at_ms<? ORDER BY id LIMIT ?) RETURNING event");
    query << before << static_cast<std::int64_t>(limit);
    while (query.step()) events.push_back(query.u64());
    return events;
}

}  // namespace gatehouse
