// The figures of a move that two people read at dials which no electronics can confirm: readings by
// eye like any other, taken with the record of the move or not at all. Engine thread only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemon/engine/key_room.hpp"

namespace gatehouse {

// Why one of them would not be taken, by its place in the sheet; nothing: all would be. Changes
// nothing.
[[nodiscard]] std::optional<Reply> refuse_base_readings(Context& context,
                                                        const std::vector<ReadFace>& faces);

// A figure that contradicts the books, where the move that it came with goes on without it.
struct LeftFace {
    std::string meter, register_value, reason;
};
struct BaseReadings {
    // A list of what became of each: confirmed, held for staff to decide, or apart from the books
    // and left a word of the sheet.
    std::string json;
    std::vector<RegisterDoubt> to_decide;  // those that are held
};
// They were asked for before, and nothing happened since.
[[nodiscard]] BaseReadings take_base_readings(Context& context, const std::vector<ReadFace>& faces,
                                              const std::vector<LeftFace>& left = {});

// Those of a list of base readings that were left, into the doubts of their record.
void add_left_faces(std::vector<RegisterDoubt>& doubts, const std::string& base_readings,
                    bool chinese);

// The one ticket that asks somebody to look at registers of a hand-over: to be reconciled with the
// electronics, or held and to be decided.
enum class RegisterTask { reconcile, decide };
[[nodiscard]] OpenTicket task_of_registers(RegisterTask what, const WriteRegister& row,
                                           const std::vector<RegisterDoubt>& doubts, bool chinese);

}  // namespace gatehouse
