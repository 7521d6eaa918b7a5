// The parts of a profile file that stand apart from its values: framing, the meter's clock, its own
// prepayment, and what identifies it. Private to the profile loader; problems go to the reader.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "drivers/modbus/profile.hpp"
#include "drivers/modbus/profile_reader.hpp"

namespace gatehouse::modbus {

[[nodiscard]] RegisterTable read_function(Reader& reader, const toml::table& table);

[[nodiscard]] std::vector<Framing> read_framings(Reader& reader, const toml::table& root);

[[nodiscard]] std::optional<ClockLayout> read_clock(Reader& reader, const toml::table& root);

// `profile` has its values by now: the rule names some of them.
[[nodiscard]] std::optional<PrepaymentRule> read_prepayment(Reader& reader, const toml::table& root,
                                                            const Profile& profile);

// `part` reads the register of a rule.
[[nodiscard]] std::vector<IdentityRule> read_identify(
    Reader& reader, const toml::table& root, const std::function<Part(const toml::table&)>& part);

// What the bits of a status mean: { "0" = "leak" }.
[[nodiscard]] std::map<int, std::string> read_bits(Reader& reader, const toml::table& value);

}  // namespace gatehouse::modbus
