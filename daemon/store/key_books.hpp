// The books of keys and tickets: events of cabinets and the desk, loans, links, tickets and their
// moves, and the other registers of the office. Bodies are JSON that the engine writes and reads
// again; what is searched for stands in columns of its own. The writer and readers share it; calls
// that write need the writer's transaction. One thread at a time; calls may throw StoreError.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/core/time.hpp"

namespace gatehouse::sql {
class Connection;
}

namespace gatehouse {

struct KeyEventRow {
    std::string source;
    std::int64_t boot = 0, seq = 0;
    std::uint64_t event = 0;  // of the event log
    UtcMs at = 0, received_at = 0;
    std::string body;
};
// fresh: still in the window in which a late event takes its place; folded: in the base; late: it
// came after its place was folded.
enum class KeyEventFold { fresh, folded, late };

struct KeyLoanRow {
    std::string id, key, holder;
    UtcMs out_at = 0;
    std::optional<UtcMs> in_at;
    std::string body;
};
struct KeyLinkRow {
    std::int64_t id = 0;
    std::string loan, ticket, kind;
    bool primary = false;
    std::string by;  // a person's; empty: concluded
    UtcMs at = 0;
    bool superseded = false;
};
struct TicketRow {
    std::string number, kind, state, unit, category, external_no;
    UtcMs reported_at = 0;
    std::optional<UtcMs> ended_at;  // closed or cancelled
    std::string body;
};
struct TicketMoveRow {
    std::int64_t id = 0;
    std::string ticket, action, from, to, by, note;
    UtcMs at = 0;
    std::uint64_t event = 0;
};
// A row of one of the plain registers: handover, document, call, round, shift.
struct RegisterRow {
    std::int64_t id = 0;
    std::string kind, unit, subject;
    UtcMs at = 0;
    std::uint64_t event = 0;
    std::string body;
};

class KeyBooks {
  public:
    explicit KeyBooks(sql::Connection& connection) : connection_(connection) {}

    // --- events
    // What is kept under that identity; nothing: it is new.
    [[nodiscard]] std::optional<std::string> event_body(const std::string& source,
                                                        std::int64_t boot, std::int64_t seq);
    void add_event(const KeyEventRow& row, KeyEventFold fold);
    void mark_folded(const std::string& source, std::int64_t boot, std::int64_t seq);
    [[nodiscard]] std::vector<KeyEventRow> fresh_events();
    // What the desk counted in that time, the oldest first.
    [[nodiscard]] std::vector<KeyEventRow> counts_between(UtcMs from, UtcMs to, std::size_t limit);
    [[nodiscard]] std::int64_t newest_seq(const std::string& source,
                                          std::int64_t boot);  // -1: none
    // The boots of a source: when their events happened by clocks of their own (what has the time
    // of its receipt is left out; 0 where nothing else is kept), and the newest seq.
    struct BootRow {
        std::int64_t boot = 0, seq = 0;
        UtcMs first = 0, last = 0;
    };
    [[nodiscard]] std::vector<BootRow> boots(const std::string& source);
    // Whether all of those seqs are kept: of that boot, or of any other and received since.
    [[nodiscard]] bool has_all(const std::string& source, std::int64_t boot, std::int64_t from,
                               std::int64_t through, UtcMs since);
    // Rows of the event log of a cabinet's events, by seq.
    [[nodiscard]] std::vector<std::uint64_t> events_of(const std::string& source,
                                                       std::uint64_t after, std::size_t limit);

    // --- what is folded for good: ("key" | "source" | "cabinet" | "numbering", id) -> body; and
    // who had which card when: ("card", its hash) -> body
    void put_base(const std::string& kind, const std::string& id, const std::string& body);
    [[nodiscard]] std::vector<std::pair<std::string, std::string>> bases(const std::string& kind);

    // --- loans and links
    void put_loan(const KeyLoanRow& row);
    void drop_loan(const std::string& id);  // late events said that it was none
    [[nodiscard]] std::vector<KeyLoanRow> loans_of(const std::string& key, std::size_t limit);
    [[nodiscard]] std::vector<KeyLoanRow> loans_between(UtcMs from, UtcMs to, std::size_t limit);
    [[nodiscard]] std::optional<KeyLoanRow> loan(const std::string& id);
    [[nodiscard]] std::string key_held_by(const std::string& person);  // empty: none
    std::int64_t add_link(const KeyLinkRow& row);
    void supersede_links(const std::string& loan, std::int64_t by_id);
    [[nodiscard]] std::vector<KeyLinkRow> links_of_loan(const std::string& loan);      // in force
    [[nodiscard]] std::vector<KeyLinkRow> links_of_ticket(const std::string& ticket);  // in force
    [[nodiscard]] std::vector<KeyLinkRow> links_since(UtcMs out_at);  // of loans since, in force

    // --- tickets
    void put_ticket(const TicketRow& row);
    std::int64_t add_move(const TicketMoveRow& row);
    [[nodiscard]] std::optional<TicketRow> ticket(const std::string& number);
    [[nodiscard]] std::optional<TicketRow> ticket_by_external(const std::string& external_no);
    // The newest number with that beginning; empty: none.
    [[nodiscard]] std::string newest_number(const std::string& prefix);
    // Open ones, and those that ended since.
    [[nodiscard]] std::vector<TicketRow> tickets_ended_since(UtcMs at);
    struct TicketFilter {
        std::string state, unit, kind, after;  // after: a number; state "open": not ended
        std::optional<UtcMs> from, to;         // reported
    };
    [[nodiscard]] std::vector<TicketRow> tickets(const TicketFilter& filter, std::size_t limit);
    [[nodiscard]] std::vector<TicketMoveRow> moves(const std::string& ticket);
    [[nodiscard]] std::vector<TicketMoveRow> moves_between(UtcMs from, UtcMs to);

    // --- what was told of single facts
    [[nodiscard]] bool is_told(const std::string& code, const std::string& fact);
    [[nodiscard]] bool add_told(const std::string& code, const std::string& fact, UtcMs at);
    [[nodiscard]] std::vector<std::string> told_facts(const std::string& code);
    void forget_told(const std::string& code, const std::string& fact);  // it was taken back
    void drop_told(UtcMs before);

    // --- plain registers
    std::int64_t add_register(const RegisterRow& row);
    [[nodiscard]] std::vector<RegisterRow> registers(const std::string& kind,
                                                     const std::string& unit, std::int64_t after,
                                                     std::size_t limit);
    [[nodiscard]] std::optional<RegisterRow> register_row(const std::string& kind,
                                                          const std::string& subject);
    // The largest subject of a register; empty: it has no row.
    [[nodiscard]] std::string newest_subject(const std::string& kind);

    // Events that came before and are folded for good, with their rows of the log; `denied`: those
    // of access that was denied alone. They are dropped; the caller removes the bodies.
    std::vector<std::uint64_t> drop_events(UtcMs before, bool denied, std::size_t limit);
    // What people wrote is taken away: of a ticket, in a row of a register, with a key.
    void remove_ticket_words(const std::string& number);
    void remove_register_words(std::int64_t id);
    void remove_key_event_words(std::int64_t id);
    // Tickets that ended before and still have words; and the rows of the log about one.
    [[nodiscard]] std::vector<std::string> worded_tickets(UtcMs ended_before, std::size_t limit);
    [[nodiscard]] std::vector<std::uint64_t> ticket_log(const std::string& number);
    // Calls and rounds that were written down before; they are dropped, their rows of the log told.
    std::vector<std::uint64_t> drop_calls(UtcMs before, std::size_t limit);

    // Loans, links and tickets' moves that ended before (DESIGN.md 9); how many rows went.
    std::size_t drop_before(UtcMs at, std::size_t limit);

  private:
    sql::Connection& connection_;
};

}  // namespace gatehouse
