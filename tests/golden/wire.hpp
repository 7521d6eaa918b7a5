// A line of meters for golden transcripts: a fake clock, registers by address, and a script that
// says what goes wrong with which question. Runs the bus machine the way a bus worker does, without
// a thread, and writes down what passed on the wire and what came of it. One thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/bus_machine.hpp"
#include "daemon/core/validation.hpp"
#include "drivers/modbus/bus_worker.hpp"
#include "drivers/modbus/identity_doubt.hpp"

namespace gatehouse::test {

// What becomes of one question; questions count from 1.
struct Fate {
    enum class Kind { answered, silence, late, exception, lost };
    Kind kind = Kind::answered;
    int number = 0;  // late: milliseconds after the question; exception: its code
};

struct WireSettings {
    modbus::Transport transport = modbus::Transport::rtu;
    std::int64_t poll_interval_ms = 60'000;
    std::int64_t response_timeout_ms = 1'000;
    std::int64_t turnaround_ms = 20;
};

class GoldenWire {
  public:
    explicit GoldenWire(WireSettings settings) : settings_(settings) {}
    void add(const std::string& id, int address, std::shared_ptr<const modbus::Profile> profile,
             const std::string& serial = "");
    void put(int address, RegisterTable table, int first, std::vector<std::uint16_t> words);
    // What touches these registers is refused with exception 2, until nothing is refused any more.
    void refuse(int address, RegisterSpan span) { refused_.emplace_back(address, span); }
    void refuse_nothing() { refused_.clear(); }
    // `fates` by question; all others are answered. `between` is called before each question.
    void run(std::map<int, Fate> fates, std::int64_t for_ms,
             const std::function<void(int question)>& between = {});
    [[nodiscard]] MonoMs now() const { return now_; }
    [[nodiscard]] const std::string& transcript() const { return transcript_; }

  private:
    struct Meter {
        modbus::MeterPlan plan;
        MeterTerms terms;
        MeterState state;
        modbus::RegisterImage image;
        modbus::IdentityDoubt doubt;
        MonoMs read_at = 0;
    };
    using Bytes = std::vector<std::uint8_t>;
    [[nodiscard]] BusSetup setup() const;
    BusEvent perform(const BusAction& action);
    BusEvent read(const BusAction& action);
    // What a meter asks for once its visit is over.
    struct Wishes {
        bool second = false;    // to be read once more at once
        bool identity = false;  // with the next poll
    };
    Wishes ended(const VisitEnd& end);
    void say(const std::string& what);
    [[nodiscard]] Bytes request_of(const BusAction& action) const;
    [[nodiscard]] Bytes reply_of(const BusAction& action, std::vector<std::uint16_t>* words) const;
    [[nodiscard]] Bytes framed(int address, Bytes pdu) const;

    WireSettings settings_;
    std::vector<Meter> meters_;
    std::map<std::pair<int, std::pair<RegisterTable, int>>, std::uint16_t> words_;
    std::vector<std::pair<int, RegisterSpan>> refused_;
    std::map<int, Fate> fates_;
    int question_ = 0;
    std::uint16_t transaction_ = 0;
    MonoMs now_ = 0;
    std::optional<std::pair<MonoMs, Bytes>> late_;  // a reply on its way
    bool wished_ = false;                           // a second sample, which ends a wait
    std::string transcript_;
};

}  // namespace gatehouse::test
