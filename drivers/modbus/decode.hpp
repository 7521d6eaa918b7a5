// Words to exact numbers: integers, floats, BCD and text in every word and byte order. No floating
// point is computed with; a float's bits become a fraction. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/units.hpp"
#include "drivers/modbus/profile.hpp"

namespace gatehouse::modbus {

enum class FieldState { ok, not_available, implausible };
struct FieldValue {
    FieldState state = FieldState::ok;
    Rational number;   // all encodings but ascii
    std::string text;  // ascii, and the digits of bcd
    std::string how;   // one line: type, order and what came of it
};

// `words` as on the wire, as many as the field has.
[[nodiscard]] FieldValue decode_field(const Field& field, const std::vector<std::uint16_t>& words);

// The words' bytes with the most significant first.
[[nodiscard]] std::vector<std::uint8_t> ordered_bytes(const std::vector<std::uint16_t>& words,
                                                      WordOrder order);

[[nodiscard]] const char* to_string(WordOrder order);
[[nodiscard]] std::string hex_words(const std::vector<std::uint16_t>& words);  // "42F6 E979"

}  // namespace gatehouse::modbus
