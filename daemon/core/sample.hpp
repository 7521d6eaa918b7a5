// What drivers hand upwards: samples, failed polls and the state of buses, and the sink that
// takes them. Values only; nothing here decides. The sink's implementation says which thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/poll_plan.hpp"
#include "daemon/core/time.hpp"
#include "daemon/core/turnaround.hpp"
#include "daemon/core/units.hpp"

namespace gatehouse {

// What a profile says of the physics of its meter; the registry may narrow it (rated_amps,
// rated_flow). Core needs it for the cap, the rollover and the comparison with typed values.
enum class MapStatus { checked, document, conflict };
struct MeterTraits {
    std::optional<Rational> rollover;    // the face shows value mod this; absent: never wraps
    Rational step{1, 1000};              // the smallest move of the register, before multiplier
    int phases = 1;                      // electricity
    int nominal_voltage_v = 230;         // electricity, phase to neutral
    std::optional<Rational> rated_amps;  // Imax on the meter's side
    std::optional<Rational> rated_flow;  // m3/h, before the multiplier
    MapStatus status = MapStatus::document;
    bool reads_serial = false;  // the profile names a serial register
    bool primary_side = false;  // the register has CT and PT in it: the multiplier stays 1
    // The register is that of a module beside the meter (a pulse counter): it goes on, with its own
    // serial number, when the meter is exchanged.
    bool module = false;
};

// One successful poll of one meter's billing register, with what was read beside it.
struct Sample {
    std::string meter;
    Stamp at;                        // the middle of the reply on the wire
    Rational register_value;         // face, before the multiplier
    std::vector<std::uint16_t> raw;  // the words of the billing register as on the wire
    std::optional<std::int64_t> power_milliwatt;
    std::optional<std::int64_t> flow_millilitre_per_hour;
    std::optional<std::string> serial;  // present where it was read with this poll
    // Product of what the profile says stands in registers of the device as a factor of the billing
    // register (CT, PT, resolution): who changes one there changes what the register means.
    std::optional<Rational> device_ratio;
    // Whether its own prepayment is in use, of a meter that has one, and one line about it.
    std::optional<bool> prepays;
    std::string prepays_text;
    // The meter's own calendar where it was read with this poll, in seconds as if it were UTC.
    std::optional<std::int64_t> own_clock_s;
    bool confirming = false;     // the immediate second exchange that the engine asked for
    bool current_flows = false;  // power or flow read above zero: for the stuck check
};

// How one exchange with a meter ended. Each states its consequence for the poller.
enum class PollResult {
    ok,              // a sample follows
    timeout,         // quiet, drain, retry later; counts towards offline
    crc,             // as timeout: the frame was damaged
    foreign_frame,   // as timeout: another address, function or length answered
    exception,       // the meter refuses: bisect and put the register aside
    busy,            // exception 5 or 6: retry soon
    gateway_path,    // exception 0x0A: the gateway lives, its path does not
    gateway_target,  // exception 0x0B: the gateway lives, the meter does not
    sentinel,        // a "not available" value or NaN: no reading; for long, as if offline
    implausible,     // decoded outside what the type allows (bad BCD): likewise
    not_connected,   // the bus is offline
};
inline constexpr std::size_t kPollResults = 11;
[[nodiscard]] const char* to_string(PollResult result);

struct PollFailure {
    std::string meter;
    Stamp at;
    PollResult result = PollResult::timeout;
    std::string detail;    // one line for a person
    bool offline = false;  // the poller now holds the meter for offline
};

// What a meter refused by itself and is read without, until it is tried again.
struct SetAside {
    int function = 3;  // that would read it: 1 to 4
    int first = 0, count = 0;
    std::string reason;  // one line for a person
    MonoMs since_mono_ms = 0;
    MonoMs retry_mono_ms = 0;
};
// One meter on its bus, counted since the bus began. Enough to tell a cable's fault (crc, timeouts
// of many meters) from a meter's (one meter, an exception, a register).
struct MeterLine {
    std::string meter;
    int address = 1;
    bool online = false;
    std::string reason;  // how the last exchange failed; empty after a good one
    std::array<std::uint64_t, kPollResults> exchanges{};
    std::int64_t busy_ms = 0;                       // time its exchanges were on the wire
    std::optional<std::int64_t> turnaround_p50_us;  // absent: it has not answered yet
    std::optional<std::int64_t> turnaround_p99_us;
    std::int64_t timeout_ms = 0;               // the working one, to the first byte of a reply
    std::optional<MonoMs> last_good_mono_ms;   // end of the last poll that read all it should
    std::optional<MonoMs> next_probe_mono_ms;  // while it does not answer: not asked before
    std::vector<RegisterSpan> blocks;          // of each poll, as planned
    std::vector<SetAside> set_aside;
};

enum class BusPhase { connecting, online, offline };
[[nodiscard]] const char* to_string(BusPhase phase);
struct BusStatus {
    std::string bus;
    BusPhase phase = BusPhase::connecting;
    std::string reason;  // why offline, or what is wrong with the line though it is open
    std::array<std::uint64_t, kPollResults> exchanges{};
    std::int64_t busy_ms = 0;  // time a transaction was on the wire
    int meters = 0;
    int meters_online = 0;
    MonoMs since_mono_ms = 0;                       // of this phase
    MonoMs began_mono_ms = 0;                       // when counting began: busy_ms / (now - this)
    std::optional<std::int64_t> turnaround_p50_us;  // over all meters of the bus
    std::optional<std::int64_t> turnaround_p99_us;
    ResponseTimes response_times;              // all replies since counting began
    std::optional<std::int64_t> character_us;  // of the line: as configured, or as learned
    std::vector<MeterLine> lines;  // by meter as planned; empty in what the sink is told
};

// Key-cabinet events pass here too once their drivers exist (DESIGN.md 7).

// Called from bus threads; must not block for longer than an enqueue.
class SampleSink {
  public:
    virtual ~SampleSink() = default;
    virtual void sample(Sample sample) = 0;
    virtual void failure(PollFailure failure) = 0;
    virtual void bus(BusStatus status) = 0;  // on every change of phase
};

}  // namespace gatehouse
