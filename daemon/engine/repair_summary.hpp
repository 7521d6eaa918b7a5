// A month of repairs as the office files it (工程派单统计表): one row a ticket, and by category
// what was open, came, was done and is left (keys-and-tickets.md 4.1). It reads the books and
// writes nothing. One thread at a time; may throw StoreError.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/core/ticket.hpp"
#include "daemon/store/key_books.hpp"

namespace gatehouse {

struct RepairCounts {
    int opening = 0, reported = 0, reopened = 0, done = 0, cancelled = 0, closing = 0;
    int on_time = 0, late = 0, visited = 0, rated_a = 0, rated_b = 0, rated_c = 0;
    Fen fees;                                // material and labour of what was done
    std::vector<std::int64_t> durations_ms;  // from report to done, of what was done
    std::vector<std::int64_t> responses_ms;  // from report to on site, of what was begun
    int key_loans = 0;                       // that began in the month, for its tickets
    std::int64_t keys_out_ms = 0;            // of the month, with all that were out for them
    // opening + reported + reopened - done - cancelled = closing, each counted for itself.
    [[nodiscard]] bool foots() const {
        return opening + reported + reopened - done - cancelled == closing;
    }
};
struct RepairMonth {
    std::vector<Ticket> tickets;  // that were open in it or came in it, by report
    // Reported in an earlier month that was filed before they were written down: they count here.
    std::set<std::string> entered_late;
    std::map<std::string, RepairCounts> categories;
    RepairCounts total;
};
// What a move brought, beside the time at which that move is counted.
struct CountedOutcome {
    std::int64_t move = 0;  // its row; 0: fees, which are no move
    UtcMs at = 0;
    TicketOutcome outcome;
};
[[nodiscard]] std::vector<CountedOutcome> counted_outcomes(const Ticket& ticket,
                                                           const std::vector<TicketMoveRow>& moves);
[[nodiscard]] bool is_visit(const TicketMoveRow& move);
// Who was spoken to at each visit, by the id of its move; visits of which nobody wrote it down are
// left out.
[[nodiscard]] std::map<std::int64_t, std::string> spoken_to_of(
    const Ticket& ticket, const std::vector<TicketMoveRow>& moves);
// What moved is counted at the time of its row, which is when it was so, and where that month was
// filed already, when it was written down: no month that was filed changes by what comes late. What
// rounds found counts apart (XJ) and is not in it (property-office.md 1, row 5). `now`: until then
// a key that is out was out; at most `to` counts.
[[nodiscard]] RepairMonth read_repair_month(KeyBooks& books, UtcMs from, UtcMs to, UtcMs now);
[[nodiscard]] std::string repair_month_json(const RepairMonth& month, const std::string& name,
                                            const std::string& currency,
                                            const std::function<std::string(const Ticket&)>& row);

// The month as it is filed: numbers, times, counts and places, and none of the words that people
// wrote, so that nothing of it has to go when a person is erased and its hash stands for ever.
inline constexpr const char* kRepairsFiled = "repairs_month";  // of the registers
[[nodiscard]] std::string filed_repairs(KeyBooks& books, LocalDate month, const Zone& zone,
                                        const std::string& currency);

// Months that are over by two days and are not filed yet, the oldest first: the first three days of
// the next month are for what is still to be written down. At most three months back.
[[nodiscard]] std::optional<LocalDate> month_to_file(KeyBooks& books, UtcMs now, const Zone& zone);

}  // namespace gatehouse
