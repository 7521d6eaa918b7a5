// What is wrong with a bus or a meter, in one line for the person who goes there: the cable, the
// gateway, a second master, or one meter. It judges what was counted lately and knows no clock and
// no wire. Pure; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "daemon/core/sample.hpp"

namespace gatehouse {

using ExchangeCounts = std::array<std::uint64_t, kPollResults>;

// What each states of the place to look at.
enum class LineFault {
    none,
    offline,         // the bus itself: adapter, gateway, network
    gateway_path,    // the gateway lives, its serial side does not
    all_silent,      // cable, power, speed of the line
    behind_gateway,  // the gateway lives and hears nobody
    noise,           // replies of all meters are damaged: cable, termination, bias
    foreign,         // frames that nobody asked for: a second master, a duplicate address
    unsteady,        // most meters leave questions without a reply: the cable or the gateway
    meters,          // single meters alone
};
[[nodiscard]] const char* to_string(LineFault fault);
enum class MeterFault { none, silent, damaged, foreign, refuses, valueless, set_aside, unsteady };
[[nodiscard]] const char* to_string(MeterFault fault);

struct MeterDiagnosis {
    std::string meter;
    MeterFault fault = MeterFault::none;
    std::string text;  // empty where nothing is wrong
};
struct BusDiagnosis {
    LineFault fault = LineFault::none;
    std::string text;                    // empty where nothing is wrong
    std::vector<MeterDiagnosis> meters;  // in the order of BusStatus::lines
};

// The exchanges of a bus since some minutes ago: of each meter, and what is left is nobody's.
struct RecentExchanges {
    ExchangeCounts bus{};
    std::map<std::string, ExchangeCounts> meters;
};
[[nodiscard]] BusDiagnosis diagnose(const BusStatus& bus, const RecentExchanges& recent);

// Keeps two old states of the counters of all buses, so that a fault that is mended leaves the
// diagnosis after ten to twenty minutes. Owned by whoever calls it; not for several threads.
class RecentCounts {
  public:
    static constexpr std::int64_t kWindowMs = 600'000;

    // Whether the newest state is older than the window; note() keeps another one then.
    [[nodiscard]] bool due(MonoMs now) const;
    void note(const std::vector<BusStatus>& buses, MonoMs now);
    // What was counted since the older state; everything where there is none yet.
    [[nodiscard]] RecentExchanges since(const BusStatus& bus) const;

  private:
    // 32 bits are enough for the difference of two counters that lie minutes apart.
    using Narrow = std::array<std::uint32_t, kPollResults>;
    struct Mark {
        MonoMs at = 0;
        std::map<std::string, Narrow> buses;
        std::map<std::pair<std::string, std::string>, Narrow> meters;  // by bus and meter
    };
    [[nodiscard]] static Narrow narrow(const ExchangeCounts& counts);
    [[nodiscard]] static ExchangeCounts minus(const ExchangeCounts& now, const Narrow& then);
    Mark older_, newer_;
    int marks_ = 0;
};

}  // namespace gatehouse
