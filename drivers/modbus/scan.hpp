// The scan of one bus: which addresses answer, at which framing, what they are, and whether two
// devices share an address. A step machine: it names the next exchange and is told how it ended. It
// opens nothing, sleeps nowhere, writes nothing to any device, and knows no clock. Pure; one
// thread.
//
// Dead addresses are nearly all of the work, so the first round asks everybody briefly: as long as
// the slowest answer so far took, several times over. The second round asks whoever kept silent
// another question, patiently: a slow device, or one that ignores what it does not know, is found
// there. A late answer bears its own address and is heard during the next question; it counts.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "drivers/modbus/fingerprint.hpp"
#include "drivers/modbus/link.hpp"
#include "drivers/modbus/plausibility.hpp"

namespace gatehouse::modbus {

inline constexpr int kAddressFirst = 1;
inline constexpr int kAddressLast = 247;             // of the Modbus serial line guide
inline constexpr int kScanQuestionsMax = 60;         // to tell one device's profile
inline constexpr std::size_t kScanAsksMax = 30'000;  // of one scan; it ends there and says so
inline constexpr int kScanTriesMax = 3;              // of a question whose reply was damaged
inline constexpr int kScanRepeats = 3;               // of every device, for a second one behind it

[[nodiscard]] std::string to_string(const LineSettings& line);  // "9600 8E1"
// The bus's own first; on a serial line then the factory settings of the known meters, those of
// most models first, and the other usual ones. Behind a gateway nothing but the bus's own.
[[nodiscard]] std::vector<LineSettings> scan_lines(const BusSettings& settings,
                                                   const ProfileTable& table);

// A meter that the registry has on this bus.
struct KnownMeter {
    std::string id;
    int address = 1;
    int channel = 0;
    std::string profile;
};
struct ScanPlan {
    int from = kAddressFirst, to = kAddressLast;
    std::vector<LineSettings> lines;           // never empty; the bus's own first
    std::int64_t response_timeout_ms = 1'000;  // the most that one question waits
    bool transaction_numbers = false;          // a late reply cannot answer another question
    bool stream = false;                       // TCP in either form: the net adds its own delay
    std::vector<KnownMeter> known;
};

struct ScanAsk {
    std::size_t line = 0;  // index into ScanPlan::lines
    Request request;
    std::int64_t listen_ms = 0;  // and so long after it, for a second reply
};
struct ScanHeard {
    Reply reply;
    Heard after;  // where listen_ms asked for it
};

// What the repeated questions to one address gave, and the line's other addresses beside it.
struct DuplicateFacts {
    int asked = 0;
    int damaged = 0;  // checksum or frame wrong
    int silent = 0;
    int second_replies = 0;  // a whole second frame, or bytes, after the reply
    int falls = 0;           // of a counter that never falls
    int stubborn = 0;        // questions whose reply was damaged each time, while others were not
    std::vector<std::string> serials;      // different ones
    int line_asked = 0, line_damaged = 0;  // answered or damaged questions to the other addresses
    bool through_gateway = false;          // collisions are hidden: they look like silence
};
enum class DuplicateVerdict { none, possible, certain };
[[nodiscard]] const char* to_string(DuplicateVerdict verdict);
struct DuplicateJudgement {
    DuplicateVerdict verdict = DuplicateVerdict::none;
    std::string why;  // one line for a person; empty where there is nothing to say
};
[[nodiscard]] DuplicateJudgement judge_duplicate(const DuplicateFacts& facts);

struct FoundDevice {
    int address = 1;
    std::size_t line = 0;
    bool readable = true;               // false: nothing but damaged replies came
    std::int64_t turnaround_us = 0;     // longest
    std::vector<Candidate> candidates;  // best first; empty: no profile fits
    std::string serial;
    DuplicateJudgement duplicate;
    std::vector<std::string> meters;  // of the registry at this address
    std::string note;                 // one line: another profile in the registry, and the like
    struct Figure {
        Measurement measurement = Measurement::energy_import;
        std::string value, unit;
    };
    std::vector<Figure> figures;        // what the best candidate makes of the words
    std::vector<std::string> findings;  // what is implausible in them; empty: all plausible
};

enum class ScanPhase { sweep, patience, settings, identify, repeat, done, failed };
[[nodiscard]] const char* to_string(ScanPhase phase);
struct ScanProgress {
    ScanPhase phase = ScanPhase::sweep;
    std::size_t line = 0;
    int address = 0;           // asked last
    std::int64_t done_us = 0;  // time that the exchanges took
    std::int64_t left_us = 0;  // estimate of what they will still take
    std::size_t asked = 0;
    std::size_t found = 0;
};
struct ScanReport {
    std::vector<FoundDevice> devices;  // by line settings, then address
    std::vector<KnownMeter> silent;    // of the registry, in the range, that did not answer
    std::vector<std::string> notes;    // about the line as a whole
    std::string failure;               // why it ended early; empty: it did not
};

class ScanMachine {
  public:
    // The table outlives the machine.
    ScanMachine(ScanPlan plan, const ProfileTable& table);

    // Nothing: the scan is over. The same until heard() is called.
    [[nodiscard]] std::optional<ScanAsk> next();
    void heard(const ScanHeard& heard);

    [[nodiscard]] const ScanPlan& plan() const { return plan_; }
    [[nodiscard]] ScanProgress progress() const;
    [[nodiscard]] ScanReport report() const;

  private:
    struct Probe {
        int address = 1;
        int tries = 0;
    };
    struct Device {
        explicit Device(int address) : image(address) { found.address = address; }
        FoundDevice found;
        ProbeImage image;
        RegisterSpan probe;     // the question that found it
        bool settling = false;  // a reply may be pending: another length is asked first
        int asked = 0;          // questions to tell its profile
        int failures = 0;       // running
        int retries = 0;        // of the question now asked
        std::optional<RegisterSpan> question;
        // Questions of one table that it kept silent to, until it answers one of them.
        std::map<RegisterTable, int> silent;
        DuplicateFacts facts;
        int repeats = 0;
        std::optional<Rational> last_register;
    };

    void begin_line(std::size_t line);
    [[nodiscard]] bool step();
    void advance();
    void next_line();
    void ask(int address, const RegisterSpan& span, std::int64_t timeout_ms,
             std::int64_t listen_ms);
    [[nodiscard]] bool ask_probe();
    [[nodiscard]] bool ask_settings();
    [[nodiscard]] bool ask_identify();
    [[nodiscard]] bool ask_repeat();
    void heard_probe(const Reply& reply);
    void heard_settings(const Reply& reply);
    void heard_identify(const Reply& reply);
    void heard_repeat(const ScanHeard& heard);
    void take_repeat(Device& device, const Reply& reply);
    void learn(const Reply& reply);
    void add_device(int address, bool readable, const Reply& reply);
    void late_answer(const Reply& reply);
    void end_settings();
    void end_identify(Device& device);
    void end_repeat(Device& device);
    void fold_any_address();
    void compare_with_registry(FoundDevice& device) const;
    [[nodiscard]] RegisterSpan probe_span(int tries) const;
    [[nodiscard]] RegisterSpan repeat_question(const Device& device) const;
    [[nodiscard]] Device* device_at(int address);
    [[nodiscard]] bool is_known(int address) const;
    [[nodiscard]] std::int64_t brief_ms() const;
    [[nodiscard]] std::int64_t patient_ms() const;
    [[nodiscard]] std::int64_t left_us() const;

    ScanPlan plan_;
    const ProfileTable& table_;
    ScanPhase phase_ = ScanPhase::sweep;
    std::size_t line_ = 0;
    std::deque<std::size_t> lines_left_;
    std::deque<Probe> probes_;
    std::vector<int> silent_;  // of the first round
    std::vector<Device> devices_;
    std::size_t first_device_ = 0;  // of this line
    std::size_t device_ = 0;        // the one now asked
    int line_asked_ = 0, line_damaged_ = 0;
    std::optional<ScanAsk> asked_;
    bool gateway_answers_ = false;  // it says by itself that a device is silent
    bool path_noted_ = false;
    std::int64_t turnaround_max_us_ = 0;
    bool was_late_ = false;
    std::deque<int> recent_;      // addresses asked last, newest first
    std::deque<Probe> settings_;  // asked again at other settings: do these matter at all?
    int settings_asked_ = 0, settings_answers_ = 0;
    int settings_without_effect_ = 0;
    bool settings_matter_ = false;
    int lost_ = 0;
    std::size_t asks_ = 0;
    std::int64_t done_us_ = 0;
    std::vector<std::string> notes_;
    std::string failure_;
};

}  // namespace gatehouse::modbus
