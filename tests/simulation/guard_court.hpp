// Samples on their way to confirmed readings, as the engine has them judged, and beside it an
// oracle that knows what the registers truly held. Called on bus threads; each meter's case is
// guarded by the mutex of its line.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>

#include "daemon/core/sample.hpp"
#include "daemon/core/validation.hpp"
#include "drivers/modbus/bus_service.hpp"
#include "tests/simulation/guard_line.hpp"

namespace gatehouse::test {

// What came of the samples of one way to the meters.
struct Tally {
    std::uint64_t samples = 0;
    std::uint64_t false_samples = 0;  // delivered, and not what the register showed when asked
    std::uint64_t confirmed = 0;
    std::uint64_t wrong = 0;       // confirmed, and above the register or below the one before
    std::uint64_t low_begins = 0;  // first readings that are low by less than physics allows
    std::uint64_t rejected = 0;    // held samples that later ones refuted
    std::uint64_t quarantines = 0, quarantines_resolved = 0;
    std::uint64_t failures = 0;
    std::map<std::string, std::uint64_t> held;  // by reason
};

// What is left out on purpose, to show that the oracle sees it.
enum class Planted { nothing, no_second_sample };

class Court final : public SampleSink {
  public:
    explicit Court(Planted planted) : planted_(planted) {}
    void add(GuardLine& line, GuardMeter& meter, const modbus::Profile& profile);
    void set_service(modbus::BusService* service) { service_ = service; }
    void sample(Sample sample) override;
    void failure(PollFailure failure) override;
    void bus(BusStatus) override {}
    [[nodiscard]] std::array<Tally, kWays> tallies();
    [[nodiscard]] std::uint64_t wrong() const { return wrong_; }
    [[nodiscard]] std::uint64_t low_begins() const { return low_begins_; }
    // Whether every meter of the line has confirmed what it showed at most `slack_us` ago.
    [[nodiscard]] bool caught_up(GuardLine& line);

  private:
    struct Case {
        GuardLine* line = nullptr;
        GuardMeter* meter = nullptr;
        MeterTerms terms;
        MeterState state;
        std::int64_t last_milli = -1;
        MonoMs before_ms = 0, now_ms = 0;  // of the sample before the newest, and of that
        std::int64_t newest_milli = -1;
        Tally tally;
    };
    [[nodiscard]] static bool is_low_begin(const Case& one, std::int64_t milli);
    void check(Case& one, std::int64_t milli, std::int64_t truth_milli);
    Planted planted_;
    modbus::BusService* service_ = nullptr;
    std::map<std::string, Case> cases_;  // complete before the service starts
    std::atomic<std::uint64_t> wrong_{0}, low_begins_{0};
};

}  // namespace gatehouse::test
