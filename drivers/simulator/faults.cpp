#include "drivers/simulator/faults.hpp"

#include <algorithm>

#include "daemon/core/units.hpp"

namespace gatehouse::simulator {
namespace {

constexpr std::int64_t kBillion = 1'000'000'000;

std::string names() {
    std::string list;
    for (const char* name : kFaultNames) {
        list += list.empty() ? "" : ", ";
        list += name;
    }
    return list;
}

}  // namespace

const char* fault_help(Fault fault) {
    switch (fault) {
        case Fault::silence:
            return "no reply";
        case Fault::late_reply:
            return "the reply comes after later questions";
        case Fault::bit_error:
            return "one bit of the reply is wrong (on Modbus TCP: exception 0x0B, as of a gateway "
                   "whose line failed)";
        case Fault::exception:
            return "exception 4 instead of a reply";
        case Fault::wrong_unit:
            return "the reply bears another address";
        case Fault::counter_reset:
            return "the register falls to zero and counts on";
        case Fault::meter_replaced:
            return "another serial number and a register that is nearly new";
        case Fault::stuck_value:
            return "the register stands still for 30 minutes while power flows";
        case Fault::duplicate:
            return "the reply comes twice";
        case Fault::truncated:
            return "the end of the reply is missing";
        case Fault::trickle:
            return "the reply comes byte by byte, with 3 ms between them";
        case Fault::foreign_frame:
            return "another address's reply comes before it (on Modbus TCP: under a number that "
                   "nobody used)";
        case Fault::second_master:
            return "another master's question to this meter and its reply, of the same length, "
                   "come before it (on Modbus TCP: the gateway passes that reply on instead, never "
                   "twice running for one meter)";
        case Fault::echo:
            return "the question comes back before its reply (not on Modbus TCP)";
        case Fault::mute:
            return "the connection stays open and nothing more is said on it (on a "
                   "pseudo-terminal for 5 seconds)";
        case Fault::gateway_path:
            return "exception 0x0A, as of a gateway without a path";
        case Fault::gateway_target:
            return "exception 0x0B, as of a gateway whose meter does not answer";
        case Fault::payload_flip:
            return "one bit of the data is wrong and all checks are right; never twice running for "
                   "one meter";
        case Fault::slow_start:
            return "the meter starts anew: silent for 2 seconds, then 5 replies 200 ms late";
    }
    return "";
}

ParsedFault parse_fault(std::string_view text) {
    const std::string whole(text);
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) {
        return {{}, "fault '" + whole + "': write NAME=PROBABILITY or NAME=PROBABILITY@METER"};
    }
    const std::string_view name = text.substr(0, equals);
    const auto* const found = std::find(kFaultNames.begin(), kFaultNames.end(), name);
    if (found == kFaultNames.end()) {
        return {{}, "fault '" + std::string(name) + "' is not known; there are " + names()};
    }
    std::string_view rest = text.substr(equals + 1);
    const std::size_t at = rest.find('@');
    const std::optional<std::int64_t> parts = parse_decimal(rest.substr(0, at), 9);
    if (!parts || *parts < 0 || *parts > kBillion) {
        return {{}, "fault '" + whole + "': the probability is a decimal from 0 to 1"};
    }
    const FaultRule rule{static_cast<Fault>(found - kFaultNames.begin()), *parts, ""};
    if (at == std::string_view::npos) {
        return {{rule}, ""};
    }
    ParsedFault parsed;
    rest.remove_prefix(at + 1);
    for (std::size_t comma = 0; comma != std::string_view::npos;) {
        comma = rest.find(',');
        FaultRule one = rule;
        one.meter = std::string(rest.substr(0, comma));
        if (one.meter.empty()) {
            return {{}, "fault '" + whole + "': a meter's name is missing after '@' or ','"};
        }
        parsed.rules.push_back(one);
        rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
    }
    return parsed;
}

void FaultPlan::add(const FaultRule& rule) {
    std::erase_if(rules_, [&](const FaultRule& old) {
        return old.fault == rule.fault && (rule.meter.empty() || old.meter == rule.meter);
    });
    rules_.push_back(rule);
}

Misfortune FaultPlan::draw(const std::string& meter, Dice& dice) const {
    std::array<std::int64_t, kFaultNames.size()> parts{};
    // A rule for one meter wins over the one for all; add() dropped those that an all-rule
    // replaced.
    for (const FaultRule& rule : rules_) {
        if (rule.meter.empty()) {
            parts[static_cast<std::size_t>(rule.fault)] = rule.parts_per_billion;
        }
    }
    for (const FaultRule& rule : rules_) {
        if (rule.meter == meter && !rule.meter.empty()) {
            parts[static_cast<std::size_t>(rule.fault)] = rule.parts_per_billion;
        }
    }
    Misfortune misfortune;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const auto drawn = static_cast<std::int64_t>(dice.below(kBillion));
        misfortune.has[i] = drawn < parts[i];
    }
    misfortune.which_bit = dice.next();
    misfortune.how_late = dice.next();
    misfortune.how_much = dice.next();
    return misfortune;
}

}  // namespace gatehouse::simulator
