// The go-live desk: what an import brings in from the old system, said before and with it. Control
// totals of the opening balances, compared with what finance typed, and what the first readings
// will charge to whom. It books nothing (import_desk, account_book). Engine thread only.
#pragma once

#include <optional>
#include <string>

#include "daemon/engine/json_writer.hpp"
#include "daemon/engine/world.hpp"

namespace gatehouse {

// Of the files that were given, whether booked before or not: the same folder has the same totals.
struct OpeningTotals {
    std::int64_t accounts = 0;  // prepaid ones with an opening balance, 0.00 included
    Fen sum;
    std::string highest, lowest;  // account ids; empty where there are none
    Fen highest_amount, lowest_amount;
};
[[nodiscard]] OpeningTotals opening_totals(const Registry& files);

// Nothing: the totals that were typed are those of the files, or none were typed.
[[nodiscard]] std::optional<Reply> check_control(const ImportRegistry& command,
                                                 const OpeningTotals& totals);

void write_openings(JsonWriter& json, const OpeningTotals& totals);

// What the first confirmed reading of each meter with an opening register will move, by what the
// meter showed last; null where it was not read yet.
void write_first_charges(JsonWriter& json, const Context& context, const Registry& merged);

}  // namespace gatehouse
