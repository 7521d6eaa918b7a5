// A scan as a job of its bus: hands the machine's questions to the bus thread and shows from any
// thread how far it is. It ends by itself when nobody has looked for a while.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/time.hpp"
#include "drivers/modbus/bus_job.hpp"
#include "drivers/modbus/scan.hpp"

namespace gatehouse::modbus {

inline constexpr std::int64_t kScanAbandonedMs = 60'000;

enum class ScanState { running, done, cancelled, failed };
[[nodiscard]] const char* to_string(ScanState state);

struct ScanSight {
    ScanState state = ScanState::running;
    std::string reason;  // where it was cancelled or failed
    ScanProgress progress;
    ScanReport report;
    UtcMs started_ms = 0;
    std::int64_t elapsed_ms = 0;
    std::int64_t left_ms = 0;  // at the pace so far, polls between included
    int percent = 0;
};

class ScanJob final : public BusJob {
  public:
    // Table and clock outlive the job.
    ScanJob(ScanPlan plan, const ProfileTable& table, const Clock& clock);

    [[nodiscard]] std::optional<JobExchange> next() override;
    void ended(const JobExchange& exchange, const Reply& reply) override;
    void finished(const std::string& reason) override;

    // Looking at a running scan keeps it alive.
    [[nodiscard]] ScanSight look();
    // True where it was running; it ends before its next question.
    bool cancel(const std::string& reason);
    // One line about the line as a whole, before those that the scan finds.
    void add_note(std::string note);
    [[nodiscard]] const ScanPlan& plan() const { return plan_; }

  private:
    [[nodiscard]] bool running() const { return state_ == ScanState::running; }

    const ScanPlan plan_;
    const Clock& clock_;
    mutable std::mutex mutex_;
    ScanMachine machine_;
    ScanState state_ = ScanState::running;
    std::string reason_;
    std::vector<std::string> notes_;
    UtcMs started_ms_;
    MonoMs begun_, ended_, looked_;
};

}  // namespace gatehouse::modbus
