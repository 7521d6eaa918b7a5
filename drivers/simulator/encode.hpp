// Profiles backwards: the words that a meter must hold so that its profile reads a given value.
// Written apart from the decoder on purpose, so that each proves the other. Pure, any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "drivers/modbus/profile.hpp"

namespace gatehouse::simulator {

using Words = std::map<std::pair<RegisterTable, int>, std::uint16_t>;

// The run-time factors of a profile (CT, PT, resolution), as registers hold them: ratios are 1, an
// exponent is 0, a table takes its finest entry. Words that stand already are kept.
void encode_factors(const modbus::Profile& profile, int channel, Words& words);

// Writes the largest value that is not above `target` (for floating point: the nearest) and
// returns exactly what was written; where the registers end, counters go on at zero and all else
// stays at the end. Nothing where the value has
// no number (a text) or a factor is zero: then no word is written.
std::optional<Rational> encode_number(const modbus::Profile& profile, const modbus::Value& value,
                                      int channel, const Rational& target, Words& words);

// Writes a text, or a number's digits where the registers hold a number. False where the text does
// not fit: too long, or not a number.
bool encode_text(const modbus::Value& value, int channel, const std::string& text, Words& words);

// The registers that identify the device (model code, its own address), as a meter of that profile
// holds them. Words that stand already are kept: a register may be a value as well.
void encode_identity(const modbus::Profile& profile, int address, Words& words);

// The meter's calendar; nothing is written where the profile has none.
void encode_calendar(const modbus::Profile& profile, const modbus::MeterClock& clock, Words& words);

}  // namespace gatehouse::simulator
