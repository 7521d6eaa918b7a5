// What the HTTP server needs of the rest of the daemon, as seams that main fills: the engine, a
// reading at once, and the state of what else runs. No socket and no HTTP type stands here.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "daemon/core/diagnosis.hpp"
#include "daemon/core/key_event.hpp"
#include "daemon/core/sample.hpp"
#include "daemon/engine/engine.hpp"
#include "daemon/engine/snapshot.hpp"

namespace gatehouse::http {

// The engine as HTTP sees it. Any thread.
class EnginePort {
  public:
    virtual ~EnginePort() = default;
    // False: nothing was taken and the handler is not called (answered with 503).
    [[nodiscard]] virtual bool submit(Command command, ReplyHandler handler) = 0;
    [[nodiscard]] virtual std::shared_ptr<const Snapshot> snapshot() const = 0;
};

// Why nothing of a cabinet's push could be taken.
struct PushProblem {
    std::string code;  // too-large, malformed, src-mismatch, too-many
    std::string text;
};
// The decoding that HTTP and MQTT share stands with the drivers. Pure, any thread.
using PushDecoder = std::function<std::variant<KeyPush, PushProblem>(std::string_view body,
                                                                     const std::string& cabinet)>;

// One request and its reply on the wire, framing included; `reply` is empty where none came.
struct WireExchange {
    std::vector<std::uint8_t> request, reply;
    std::int64_t took_ms = 0;
};

// One value of a reading at once: how its words became it.
struct DecodedValue {
    std::string measurement, value, unit;  // value empty where `result` is not ok
    PollResult result = PollResult::ok;
    std::vector<std::uint16_t> raw;
    std::string steps;
};

// Another way to read the words of a value that cannot be right.
struct ReadAlternative {
    std::string measurement, what, value;
};

// How a reading at once ended: the exchanges in order, what they decode to, and the sample of the
// billing register where there is one.
struct MeterReadOutcome {
    PollResult result = PollResult::timeout;
    std::string detail;            // one line for a person where result is not ok
    std::optional<Sample> sample;  // the same that went to the engine
    std::vector<DecodedValue> values;
    std::vector<WireExchange> exchanges;
    std::vector<std::string> findings;          // what is implausible; empty: nothing is
    std::vector<ReadAlternative> alternatives;  // that would make sense of it
};

// Reads one meter now, outside its turn. Any thread; the handler is called once, on any thread.
class MeterReader {
  public:
    virtual ~MeterReader() = default;
    using Handler = std::function<void(MeterReadOutcome)>;
    // False: the meter has no bus, or too many such readings wait; `why` says which in one line.
    [[nodiscard]] virtual bool read_now(const std::string& meter, Handler handler,
                                        std::string& why) = 0;
};

// A search for meters on one bus, as it stands. Values only; the words are the driver's.
struct ScanRequest {
    std::string bus;
    int from = 1, to = 247;     // addresses, both inclusive
    bool own_settings = false;  // of a serial line: no other speeds and parities
};
struct ScanCandidate {
    std::string profile, label, service, match, why;  // match: possible, likely, certain
    int score = 0;
    int channels = 1;
};
struct ScanFigure {
    std::string measurement, value, unit;
};
struct ScanDevice {
    int address = 1;
    std::string line;      // settings at which it answered, "9600 8N1"; empty on TCP
    bool own_line = true;  // those are the bus's
    bool readable = true;  // false: nothing but damaged replies came
    std::int64_t turnaround_us = 0;
    std::vector<ScanCandidate> candidates;  // best first
    std::string serial;
    std::vector<ScanFigure> figures;
    std::vector<std::string> findings;     // what is implausible in them
    std::string duplicate, duplicate_why;  // none, possible, certain
    std::vector<std::string> meters;       // of the registry at this address
    std::string note;
};
struct ScanSilent {
    std::string meter, profile;
    int address = 1;
};
struct ScanView {
    std::string bus;
    std::string state;  // running, done, cancelled, failed
    std::string phase, line;
    int from = 1, to = 247, address = 0;
    UtcMs started_ms = 0;
    std::int64_t elapsed_ms = 0, left_ms = 0;  // left: an estimate while it runs
    int percent = 0;
    std::uint64_t asked = 0;
    std::vector<ScanDevice> devices;
    std::vector<ScanSilent> silent;  // meters of the registry that did not answer
    std::vector<std::string> notes;
    std::string reason;  // why it was cancelled or failed
};

// What came of setting a meter's own clock; times as its face shows them, local.
struct ClockSetting {
    bool done = false;  // read back, and right
    std::string before, set_to, after;
    std::optional<std::int64_t> before_off_s;  // meter minus daemon
    std::string reason;                        // where it is not done
};

// What came of setting a key cabinet's clock: how far it was before ours, and is now.
struct CabinetClockSetting {
    bool done = false;
    std::optional<std::int64_t> before_ms, after_ms;
    std::string reason;  // where it is not done
};

// What is done on a bus at a person's wish. Any thread; must not block.
class Commissioning {
  public:
    virtual ~Commissioning() = default;
    enum class Started { yes, no_such_bus, runs_already, not_now };
    // `why` says one line where it is not yes.
    [[nodiscard]] virtual Started start_scan(const ScanRequest& request, std::string& why) = 0;
    // The last scan of the bus in this run; asking keeps a running one alive.
    [[nodiscard]] virtual std::optional<ScanView> scan(const std::string& bus) = 0;
    // True: it was running and ends now.
    virtual bool cancel_scan(const std::string& bus) = 0;

    // Whether the meter's profile describes how its clock is set; `why` says one line if not.
    [[nodiscard]] virtual bool can_set_clock(const std::string& meter, std::string& why) = 0;
    // Sets it to monotonic time + offset. The handler is called once, on any thread; false: never.
    using ClockHandler = std::function<void(ClockSetting)>;
    [[nodiscard]] virtual bool set_clock(const std::string& meter, std::int64_t offset_ms,
                                         ClockHandler handler, std::string& why) = 0;

    // The same of a key cabinet that is asked.
    [[nodiscard]] virtual bool can_set_cabinet_clock(const std::string& cabinet,
                                                     std::string& why) = 0;
    using CabinetClockHandler = std::function<void(CabinetClockSetting)>;
    [[nodiscard]] virtual bool set_cabinet_clock(const std::string& cabinet, std::int64_t offset_ms,
                                                 CabinetClockHandler handler, std::string& why) = 0;
};

struct MqttStatus {
    bool configured = false;
    bool connected = false;
    std::string reason;  // why not connected, one line
    std::uint64_t published_total = 0;
    std::uint64_t reconnects_total = 0;
};
struct ProcessStatus {
    std::string version;
    UtcMs started_ms = 0;
    std::int64_t uptime_ms = 0;
    bool ready = false;  // the start is over
    // Threads that have not moved for too long, by name; empty: all alive.
    std::vector<std::string> stalled;
    std::int64_t database_bytes = 0;
    std::int64_t disk_free_bytes = 0;
};

// What else runs. Any thread; must not block.
class StatusSource {
  public:
    virtual ~StatusSource() = default;
    [[nodiscard]] virtual std::vector<BusStatus> buses() const = 0;
    // What is wrong with a bus by what was counted lately.
    [[nodiscard]] virtual BusDiagnosis diagnosis(const BusStatus& bus) const = 0;
    [[nodiscard]] virtual MqttStatus mqtt() const = 0;
    [[nodiscard]] virtual ProcessStatus process() const = 0;
};

}  // namespace gatehouse::http
