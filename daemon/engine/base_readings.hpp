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

struct BaseReadings {
    std::string json;       // a list of what became of each: confirmed, or held for staff to decide
    std::string to_decide;  // those that are held, in words; empty: none
};
// They were asked for before, and nothing happened since.
[[nodiscard]] BaseReadings take_base_readings(Context& context, const std::vector<ReadFace>& faces);

}  // namespace gatehouse
