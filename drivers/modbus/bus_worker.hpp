// One bus: its link and its machine. In each turn it carries out what the machine says, decodes
// what came, and tells the sink. Its host gives it turns, one at a time (bus_host.hpp); update(),
// the wishes and status() are safe from any thread.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "daemon/core/bus_machine.hpp"
#include "drivers/modbus/bus_service.hpp"
#include "drivers/modbus/identity_doubt.hpp"

namespace gatehouse::modbus {

// One meter's values as the machine wants them.
[[nodiscard]] BusMeter plan_meter(const MeterPlan& meter);
[[nodiscard]] ExchangeTrace trace_of(const RegisterSpan& span, const Reply& reply);
[[nodiscard]] std::vector<ReadValue> read_values(const MeterPlan& meter,
                                                 const RegisterImage& image);

class BusWorker {
  public:
    BusWorker(BusPlan plan, const Clock& clock, std::uint64_t jitter_seed, SampleSink& sink,
              std::int64_t run, std::unique_ptr<Link> link);
    BusWorker(const BusWorker&) = delete;
    BusWorker& operator=(const BusWorker&) = delete;

    // Takes what was wished, tells the machine what happened, and carries out its next action: one
    // exchange at most. Returns when the next turn is wanted. Host's threads, one at a time.
    [[nodiscard]] MonoMs turn();
    // Whether the bus fails to answer and its turns are likely to last for a timeout.
    [[nodiscard]] bool troubled() const { return troubled_; }
    // After the last turn: lets go of the port and answers whoever waits.
    void close();

    // What follows wants a wake() of the host.
    void update(BusPlan plan);  // the same settings and timeout, other meters
    void poll_soon(const std::string& meter);
    [[nodiscard]] bool read_now(const std::string& meter, ReadHandler handler);
    [[nodiscard]] std::string run_job(std::shared_ptr<BusJob> job);
    void ask_to_stop();
    [[nodiscard]] BusStatus status() const;

  private:
    struct MeterState {
        MeterPlan plan;
        RegisterImage image;
        std::vector<ExchangeTrace> traces;
        std::optional<Stamp> billing_at;
        IdentityDoubt doubt;
        std::string refusal;  // of the billing register, in the reading under way
        int valueless = 0;    // polls in a row whose billing register held no number
    };
    using Waiting = std::pair<std::string, ReadHandler>;

    void take_wishes();
    void adopt(BusPlan plan);
    void begin_job(std::shared_ptr<BusJob> job);
    [[nodiscard]] BusSetup setup() const;
    [[nodiscard]] BusEvent perform(const BusAction& action);
    [[nodiscard]] ReadEnded read(const BusAction& action);
    [[nodiscard]] JobTurned turn_job();
    [[nodiscard]] JobTurned refuse_job(std::string reason);
    void finish_job(const std::string& reason);
    void ended(const VisitEnd& end);
    void emit(MeterState& meter, const VisitEnd& end);
    void emit_valueless(MeterState& meter, int index, const Decoded& billing);
    [[nodiscard]] ReadResult read_result(const MeterState& meter, const VisitEnd& end) const;
    void emit_failure(const MeterState& meter, PollResult result, std::string detail, bool offline);
    void answer(const std::string& meter, ReadResult result);
    void answer_all(const std::string& reason);
    [[nodiscard]] Stamp stamp() const;

    const Clock& clock_;
    SampleSink& sink_;
    const std::int64_t run_;
    BusPlan plan_;
    std::unique_ptr<Link> link_;
    std::vector<MeterState> meters_;    // in the machine's order
    mutable std::mutex machine_mutex_;  // held while the machine decides, never during an exchange
    BusMachine machine_;
    BusEvent event_ = Woken{};
    bool waiting_ = true;  // the machine's last action was to wait
    std::map<std::string, std::vector<ReadHandler>> answers_;
    std::shared_ptr<BusJob> job_;
    std::optional<JobExchange> job_exchange_;  // asked for and not yet carried out
    bool job_unsent_ = false;                  // it, over a connection that was broken
    bool line_changed_ = false;                // by the job
    std::atomic<bool> troubled_{false};

    mutable std::mutex mutex_;  // the wishes and the known meters
    bool stopping_ = false;
    std::optional<BusPlan> new_plan_;
    std::vector<std::string> soon_;
    std::vector<Waiting> reads_;
    std::shared_ptr<BusJob> new_job_;
    bool has_job_ = false;
    std::set<std::string> known_;
};

}  // namespace gatehouse::modbus
