#include "daemon/core/diagnosis.hpp"

#include <algorithm>

namespace gatehouse {
namespace {

// Fewer exchanges than these tell nothing; a fault that rare costs nothing either.
constexpr std::uint64_t kFewest = 3;
constexpr std::uint64_t kDamagePercent = 3;
constexpr std::uint64_t kUnsteadyPercent = 10;
// Of the meters that were asked: from here on it is the line's fault and not theirs.
constexpr std::size_t kMostPercent = 75;
constexpr std::size_t kNamedMax = 4;

std::uint64_t count(const ExchangeCounts& counts, PollResult result) {
    return counts[static_cast<std::size_t>(result)];
}
std::uint64_t all(const ExchangeCounts& counts) {
    std::uint64_t sum = 0;
    for (const std::uint64_t one : counts) sum += one;
    return sum - count(counts, PollResult::not_connected);
}
// Replies of any kind: somebody is there and was understood.
std::uint64_t answers(const ExchangeCounts& counts) {
    return count(counts, PollResult::ok) + count(counts, PollResult::exception) +
           count(counts, PollResult::busy) + count(counts, PollResult::sentinel) +
           count(counts, PollResult::implausible);
}
std::uint64_t unheard(const ExchangeCounts& counts) {
    return count(counts, PollResult::timeout) + count(counts, PollResult::gateway_target) +
           count(counts, PollResult::gateway_path);
}
bool above(std::uint64_t part, std::uint64_t whole, std::uint64_t percent) {
    return part >= kFewest && part * 100 > whole * percent;
}

struct Seen {
    const MeterLine* line = nullptr;
    ExchangeCounts counts{};
    MeterFault fault = MeterFault::none;
};

MeterFault fault_of(const MeterLine& line, const ExchangeCounts& counts) {
    const std::uint64_t asked = all(counts);
    const std::uint64_t crc = count(counts, PollResult::crc);
    const std::uint64_t foreign = count(counts, PollResult::foreign_frame);
    if (asked == 0)
        return line.online || line.reason.empty() ? MeterFault::none : MeterFault::silent;
    if (foreign > crc && above(foreign, asked, kDamagePercent)) return MeterFault::foreign;
    if (above(crc + foreign, asked, kDamagePercent)) return MeterFault::damaged;
    if (!line.online && answers(counts) == 0 && crc + foreign == 0) return MeterFault::silent;
    if (count(counts, PollResult::ok) == 0 && answers(counts) > 0) return MeterFault::refuses;
    if (!line.online && unheard(counts) > 0) return MeterFault::silent;
    if (above(unheard(counts), asked, kUnsteadyPercent)) return MeterFault::unsteady;
    const std::uint64_t valueless =
        count(counts, PollResult::sentinel) + count(counts, PollResult::implausible);
    if (valueless >= kFewest && !line.reason.empty()) return MeterFault::valueless;
    if (!line.set_aside.empty()) return MeterFault::set_aside;
    return MeterFault::none;
}

std::string share(std::uint64_t part, std::uint64_t whole) {
    return std::to_string(part) + " of " + std::to_string(whole);
}

std::string set_aside_text(const MeterLine& line) {
    const SetAside& first = line.set_aside.front();
    const std::string more = line.set_aside.size() == 1
                                 ? ""
                                 : " and " + std::to_string(line.set_aside.size() - 1) + " more";
    return "reads without register " + std::to_string(first.first) + " of function " +
           std::to_string(first.function) + more + ": " + first.reason;
}

std::string meter_text(const Seen& seen) {
    const ExchangeCounts& counts = seen.counts;
    const std::uint64_t asked = all(counts);
    switch (seen.fault) {
        case MeterFault::none:
            return "";
        case MeterFault::silent:
            return count(counts, PollResult::gateway_target) > 0
                       ? "the gateway gets no reply from it: the meter, its power or its wiring"
                       : "it does not answer: the meter, its power, its address or its wiring";
        case MeterFault::damaged:
            return share(count(counts, PollResult::crc) + count(counts, PollResult::foreign_frame),
                         asked) +
                   " replies are damaged: its wiring, or a second device with its address";
        case MeterFault::foreign:
            return share(count(counts, PollResult::foreign_frame), asked) +
                   " replies were not its own: late replies, a second master, or a duplicate "
                   "address";
        case MeterFault::refuses:
            return "it answers and refuses every reading" +
                   (seen.line->reason.empty() ? "" : " (" + seen.line->reason + ")") +
                   ": is this its profile?";
        case MeterFault::valueless:
            return "it answers, but " + seen.line->reason +
                   ": the meter's own fault, or is this its profile?";
        case MeterFault::set_aside:
            return set_aside_text(*seen.line);
        case MeterFault::unsteady:
            return share(unheard(counts), asked) +
                   " questions stay without a reply: a slow meter, or a loose wire";
    }
    return "";
}

std::size_t with(const std::vector<Seen>& seen, MeterFault fault) {
    return static_cast<std::size_t>(std::count_if(
        seen.begin(), seen.end(), [&](const Seen& one) { return one.fault == fault; }));
}
bool most(std::size_t part, std::size_t whole) {
    return whole > 0 && part * 100 >= whole * kMostPercent;
}

// "only address 7 (m-7) is silent", "addresses 3 (m-3), 7 (m-7) and 2 more are silent".
std::string named(const std::vector<Seen>& seen, MeterFault fault, const std::string& what) {
    std::string text;
    std::size_t found = 0;
    const std::size_t total = with(seen, fault);
    for (const Seen& one : seen) {
        if (one.fault != fault || ++found > kNamedMax) continue;
        text += (text.empty() ? "" : ", ") + std::to_string(one.line->address) + " (" +
                one.line->meter + ")";
    }
    if (total > kNamedMax) text += " and " + std::to_string(total - kNamedMax) + " more";
    return (total == 1 ? "only address " : "only addresses ") + text +
           (total == 1 ? " is " : " are ") + what;
}

BusDiagnosis whole_line(const BusStatus& bus, const ExchangeCounts& counts,
                        const std::vector<Seen>& seen) {
    BusDiagnosis result;
    const std::size_t meters = seen.size();
    const std::size_t silent = with(seen, MeterFault::silent);
    const std::size_t damaged = with(seen, MeterFault::damaged) + with(seen, MeterFault::foreign);
    const std::uint64_t crc = count(counts, PollResult::crc);
    const std::uint64_t foreign = count(counts, PollResult::foreign_frame);
    const auto say = [&](LineFault fault, std::string text) {
        result.fault = fault;
        result.text = std::move(text);
        return result;
    };
    if (bus.phase == BusPhase::offline) {
        return say(LineFault::offline, "the bus is offline: " + bus.reason);
    }
    if (meters > 0 && silent == meters) {
        if (count(counts, PollResult::gateway_path) > 0) {
            return say(LineFault::gateway_path,
                       "the gateway lives, but its serial line does not (exception 0x0A): check "
                       "its settings");
        }
        if (count(counts, PollResult::gateway_target) > 0) {
            return say(LineFault::behind_gateway,
                       "the gateway lives and hears no meter (exception 0x0B): check the cable "
                       "behind it, the meters' power, and the speed of its line");
        }
        return say(LineFault::all_silent,
                   "no meter of " + bus.bus +
                       " answers: check the cable (A and B swapped?), the meters' power, and the "
                       "speed and parity of the line");
    }
    if (meters > 1 && most(damaged, meters - silent) && foreign > crc) {
        return say(LineFault::foreign,
                   "foreign frames: " + share(foreign, all(counts)) +
                       " replies answer a question that was not asked: a second master or a "
                       "duplicate address on " +
                       bus.bus);
    }
    if (meters > 1 && most(damaged, meters - silent)) {
        return say(LineFault::noise, (damaged == meters ? std::string("all meters of ")
                                                        : share(damaged, meters) + " meters of ") +
                                         bus.bus + " have CRC errors (" +
                                         share(crc + foreign, all(counts)) +
                                         " replies): check cable, termination and bias");
    }
    const std::size_t unsteady = with(seen, MeterFault::unsteady);
    if (unsteady > 1 && most(unsteady, meters - silent)) {
        std::uint64_t missing = 0;
        for (const Seen& one : seen) missing += unheard(one.counts);
        return say(LineFault::unsteady, share(unsteady, meters) + " meters of " + bus.bus +
                                            " leave questions without a reply (" +
                                            share(missing, all(counts)) +
                                            "): the cable or the gateway rather than a meter");
    }
    return result;
}

}  // namespace

const char* to_string(LineFault fault) {
    switch (fault) {
        case LineFault::none:
            return "none";
        case LineFault::offline:
            return "offline";
        case LineFault::gateway_path:
            return "gateway_path";
        case LineFault::all_silent:
            return "all_silent";
        case LineFault::behind_gateway:
            return "behind_gateway";
        case LineFault::noise:
            return "noise";
        case LineFault::foreign:
            return "foreign";
        case LineFault::unsteady:
            return "unsteady";
        case LineFault::meters:
            return "meters";
    }
    return "?";
}

const char* to_string(MeterFault fault) {
    switch (fault) {
        case MeterFault::none:
            return "none";
        case MeterFault::silent:
            return "silent";
        case MeterFault::damaged:
            return "damaged";
        case MeterFault::foreign:
            return "foreign";
        case MeterFault::refuses:
            return "refuses";
        case MeterFault::valueless:
            return "valueless";
        case MeterFault::set_aside:
            return "set_aside";
        case MeterFault::unsteady:
            return "unsteady";
    }
    return "?";
}

BusDiagnosis diagnose(const BusStatus& bus, const RecentExchanges& recent) {
    std::vector<Seen> seen;
    for (const MeterLine& line : bus.lines) {
        Seen one;
        one.line = &line;
        const auto counts = recent.meters.find(line.meter);
        if (counts != recent.meters.end()) one.counts = counts->second;
        if (bus.phase == BusPhase::online) one.fault = fault_of(line, one.counts);
        seen.push_back(one);
    }
    BusDiagnosis result = whole_line(bus, recent.bus, seen);
    for (const Seen& one : seen) {
        result.meters.push_back({one.line->meter, one.fault, meter_text(one)});
    }
    if (result.fault != LineFault::none) return result;
    const std::pair<MeterFault, const char*> single[] = {
        {MeterFault::silent, "silent: the meter or its wiring"},
        {MeterFault::damaged,
         "damaged while the rest of the line is clean: its wiring, or two devices with one "
         "address"},
        {MeterFault::foreign, "answered by somebody else: two devices with one address"},
        {MeterFault::refuses, "refusing every reading: the wrong profile?"},
        {MeterFault::valueless,
         "without a reading: it answers, and its billing register holds none"},
        {MeterFault::unsteady, "unsteady: a slow meter or a loose wire"},
        {MeterFault::set_aside, "read in part: it refuses some of its registers"},
    };
    for (const auto& [fault, what] : single) {
        if (with(seen, fault) == 0) continue;
        result.fault = LineFault::meters;
        result.text += (result.text.empty() ? "" : "; ") + named(seen, fault, what);
    }
    return result;
}

RecentCounts::Narrow RecentCounts::narrow(const ExchangeCounts& counts) {
    Narrow narrow{};
    for (std::size_t i = 0; i < kPollResults; ++i) {
        narrow[i] = static_cast<std::uint32_t>(counts[i]);
    }
    return narrow;
}

// A counter that began anew (the bus was changed) counts from zero.
ExchangeCounts RecentCounts::minus(const ExchangeCounts& now, const Narrow& then) {
    ExchangeCounts result{};
    for (std::size_t i = 0; i < kPollResults; ++i) {
        if (now[i] < then[i] && now[i] <= 0xFFFF'FFFFU) return now;
        result[i] = static_cast<std::uint32_t>(now[i]) - then[i];
    }
    return result;
}

bool RecentCounts::due(MonoMs now) const {
    return marks_ == 0 || now - newer_.at >= kWindowMs;
}

void RecentCounts::note(const std::vector<BusStatus>& buses, MonoMs now) {
    if (!due(now)) return;
    Mark fresh;
    fresh.at = now;
    for (const BusStatus& bus : buses) {
        fresh.buses[bus.bus] = narrow(bus.exchanges);
        for (const MeterLine& line : bus.lines) {
            fresh.meters[{bus.bus, line.meter}] = narrow(line.exchanges);
        }
    }
    older_ = std::move(newer_);
    newer_ = std::move(fresh);
    marks_ = std::min(marks_ + 1, 2);
}

RecentExchanges RecentCounts::since(const BusStatus& bus) const {
    RecentExchanges recent;
    recent.bus = bus.exchanges;
    for (const MeterLine& line : bus.lines) recent.meters[line.meter] = line.exchanges;
    // The first state was taken at the start, when nothing was counted yet.
    const Mark& mark = marks_ == 2 ? older_ : newer_;
    if (marks_ == 0) return recent;
    if (const auto then = mark.buses.find(bus.bus); then != mark.buses.end()) {
        recent.bus = minus(bus.exchanges, then->second);
    }
    for (const MeterLine& line : bus.lines) {
        const auto then = mark.meters.find({bus.bus, line.meter});
        if (then != mark.meters.end()) {
            recent.meters[line.meter] = minus(line.exchanges, then->second);
        }
    }
    return recent;
}

}  // namespace gatehouse
