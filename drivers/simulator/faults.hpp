// Faults by name: what may go wrong in an exchange with a meter, how often, and with which meters.
// Every meter draws from a sequence of its own, so a seed tells which of its exchanges fail,
// whatever the others do. Pure; the simulator's thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "drivers/simulator/consumption.hpp"

namespace gatehouse::simulator {

enum class Fault {
    silence,         // no reply
    late_reply,      // the reply comes after a later question
    bit_error,       // one bit of the reply is turned over
    exception,       // exception 4 instead of a reply
    wrong_unit,      // the reply bears another address
    counter_reset,   // the register falls to zero and counts on
    meter_replaced,  // another serial number, and a register that is nearly new
    stuck_value,     // the register stands still for half an hour while power flows
    duplicate,       // the reply comes twice
    truncated,       // the end of the reply is missing
    trickle,         // the reply comes byte by byte, with pauses
    foreign_frame,   // a reply of another address (TCP: under another number) comes before it
    second_master,   // another master asks the same meter for other registers at the same time
    echo,            // the question comes back before its reply (not on Modbus TCP)
    mute,            // the connection stays open and nothing more is said on it
    gateway_path,    // exception 0x0A, as of a gateway without a path
    gateway_target,  // exception 0x0B, as of a gateway whose meter does not answer
    payload_flip,    // one bit of the data is wrong and every check is right; never twice running
    slow_start,      // the meter starts anew: silent for a while, then slow for some questions
};
inline constexpr std::array<const char*, 19> kFaultNames{
    "silence",       "late-reply",     "bit-error",     "exception", "wrong-unit",
    "counter-reset", "meter-replaced", "stuck-value",   "duplicate", "truncated",
    "trickle",       "foreign-frame",  "second-master", "echo",      "mute",
    "gateway-path",  "gateway-target", "payload-flip",  "slow-start"};
// One sentence each, for people.
[[nodiscard]] const char* fault_help(Fault fault);

struct FaultRule {
    Fault fault = Fault::silence;
    std::int64_t parts_per_billion = 0;
    std::string meter;  // empty: every meter
};
// NAME=PROBABILITY[@METER[,METER...]] as rules, one a meter, or a sentence that says what is wrong.
struct ParsedFault {
    std::vector<FaultRule> rules;
    std::string problem;
};
[[nodiscard]] ParsedFault parse_fault(std::string_view text);

// Which faults one exchange has; the numbers are further draws for those that need one.
struct Misfortune {
    std::array<bool, kFaultNames.size()> has{};
    std::uint64_t which_bit = 0;
    std::uint64_t how_late = 0;
    std::uint64_t how_much = 0;
    [[nodiscard]] bool operator[](Fault fault) const {
        return has[static_cast<std::size_t>(fault)];
    }
};

class FaultPlan {
  public:
    // A later rule of the same fault replaces an earlier one for the meters it names; a rule for
    // every meter replaces all of that fault.
    void add(const FaultRule& rule);
    // Always the same number of draws, so that adding a fault does not move the others.
    [[nodiscard]] Misfortune draw(const std::string& meter, Dice& dice) const;

  private:
    std::vector<FaultRule> rules_;
};

}  // namespace gatehouse::simulator
