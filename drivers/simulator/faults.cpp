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
    return misfortune;
}

}  // namespace gatehouse::simulator
