// Documents of keys, cabinets and tickets, as HTTP shows them (CONTRACT.md 5). Pure functions from
// values to JSON text; any thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "daemon/engine/key_board.hpp"
#include "daemon/store/key_books.hpp"

namespace gatehouse {

[[nodiscard]] std::string key_json(const KeyView& view, const Key& key, const Zone& zone);
[[nodiscard]] std::string loan_json(const KeyLoan& loan, const std::vector<KeyLinkRow>& links,
                                    const Zone& zone);
[[nodiscard]] std::string cabinet_json(const CabinetView& view, const Zone& zone);

// All of a ticket. `currency` names its fees.
struct TicketParts {
    std::vector<TicketMoveRow> moves;
    std::vector<KeyLinkRow> links;
    // Who was spoken to at a visit, by the id of its move; for who may read it.
    std::map<std::int64_t, std::string> spoken_to = {};
};
[[nodiscard]] std::string ticket_json(const Ticket& ticket, const std::string& unit_label,
                                      const std::string& currency, const TicketParts* parts,
                                      const Zone& zone);
// What MQTT shows: no text, since people write names into it.
[[nodiscard]] std::string compact_ticket_json(const Ticket& ticket, const std::string& unit_label,
                                              const Zone& zone);

}  // namespace gatehouse
