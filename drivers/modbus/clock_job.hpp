// Setting a meter's own clock, as a job of its bus: read it, write the registers that the profile
// describes for that, read it again. The only write that Gatehouse ever puts on a wire, and only at
// a person's command. A step machine on the bus thread; the handler is called once, there.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "drivers/modbus/bus_job.hpp"
#include "drivers/modbus/profile.hpp"

namespace gatehouse::modbus {

struct ClockOutcome {
    bool done = false;  // read back, and right
    std::optional<MeterClock> before, set_to, after;
    std::string reason;  // where it is not done, in one line
};

// Seconds on the calendar, as if it were UTC: good for differences.
[[nodiscard]] std::int64_t calendar_seconds(const MeterClock& clock);

class ClockJob final : public BusJob {
  public:
    static constexpr int kTriesMax = 3;       // of each reading
    static constexpr std::int64_t kOffS = 5;  // read back further off than this: it did not take

    // now: the local time to set, asked at the moment of the write.
    ClockJob(int address, ClockLayout layout, std::int64_t timeout_ms,
             std::function<MeterClock()> now, std::function<void(ClockOutcome)> handler);

    [[nodiscard]] std::optional<JobExchange> next() override;
    void ended(const JobExchange& exchange, const Reply& reply) override;
    void finished(const std::string& reason) override;

  private:
    enum class Step { before, write, after, over };
    void read_ended(const Reply& reply);
    void write_ended(const Reply& reply);
    void give_up(std::string reason);

    const int address_;
    const ClockLayout layout_;
    const std::int64_t timeout_ms_;
    const std::function<MeterClock()> now_;
    const std::function<void(ClockOutcome)> handler_;
    Step step_ = Step::before;
    int tries_ = 0;
    std::vector<RegisterWrite> writes_;
    std::size_t write_ = 0;
    std::string write_problem_;
    ClockOutcome outcome_;
};

}  // namespace gatehouse::modbus
