// One bus: its thread, its link, its machine. It carries out what the machine says, decodes what
// came, and tells the sink. Made and ended by BusService; update() and the wishes are safe from any
// thread, all else happens on the worker's own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "daemon/core/bus_machine.hpp"
#include "drivers/modbus/bus_service.hpp"

namespace gatehouse::modbus {

// The blocks of one meter as the machine wants them. `caution` grows with what the meter refused:
// 0 fills holes, 1 does not, 2 reads every value alone; `aside` is never read.
[[nodiscard]] BusMeter plan_meter(const MeterPlan& meter, const BusSettings& settings,
                                  std::int64_t turnaround_us, int caution,
                                  const std::vector<RegisterSpan>& aside);
[[nodiscard]] ExchangeTrace trace_of(const RegisterSpan& span, const Reply& reply);
[[nodiscard]] std::vector<ReadValue> read_values(const MeterPlan& meter,
                                                 const RegisterImage& image);

class BusWorker {
  public:
    BusWorker(BusPlan plan, const Clock& clock, std::uint64_t jitter_seed, SampleSink& sink,
              std::int64_t run, std::unique_ptr<Link> link);
    ~BusWorker();
    BusWorker(const BusWorker&) = delete;
    BusWorker& operator=(const BusWorker&) = delete;

    void update(BusPlan plan);  // the same settings and timeout, other meters
    void poll_soon(const std::string& meter);
    [[nodiscard]] bool read_now(const std::string& meter, ReadHandler handler);
    [[nodiscard]] BusStatus status() const;
    [[nodiscard]] Heartbeat heartbeat() const;
    void ask_to_stop();
    void join();

  private:
    struct MeterState {
        MeterPlan plan;
        RegisterImage image;
        std::vector<ExchangeTrace> traces;
        std::optional<Stamp> billing_at;
        RegisterSpan last_asked;
        int last_exception = 0;  // of that read; 0: none
        std::string serial;      // as it was read last
        std::optional<Rational> register_value;  // likewise
        int caution = 0;
        std::vector<RegisterSpan> aside;  // refused alone
    };
    using Waiting = std::pair<std::string, ReadHandler>;

    void run();
    void take_wishes(BusMachine& machine, bool may_configure);
    void adopt(BusMachine* machine, BusPlan plan);
    BusSetup setup_of(const BusMachine* machine) const;
    BusEvent perform(const BusAction& action);
    ReadEnded read(const BusAction& action);
    void wait_until(MonoMs until);
    void ended(BusMachine& machine, const VisitEnd& end);
    void emit(const MeterState& meter, const VisitEnd& end);
    void doubt_identity(BusMachine& machine, const VisitEnd& end);
    void emit_failure(const MeterState& meter, PollResult result, std::string detail, bool offline);
    bool more_cautious(BusMachine& machine, int index, const VisitEnd& end);
    void answer(const std::string& meter, ReadResult result);
    void answer_all(const std::string& reason);
    void publish(const BusMachine& machine, bool tell);
    [[nodiscard]] Stamp stamp() const;

    const Clock& clock_;
    SampleSink& sink_;
    const std::int64_t run_;
    const std::uint64_t jitter_seed_;
    BusPlan plan_;
    std::unique_ptr<Link> link_;
    std::vector<MeterState> meters_;  // in the machine's order
    std::map<std::string, std::vector<ReadHandler>> answers_;

    mutable std::mutex mutex_;  // the wishes, the known meters and the last status
    std::condition_variable condition_;
    bool stopping_ = false;
    std::optional<BusPlan> new_plan_;
    std::vector<std::string> soon_;
    std::vector<Waiting> reads_;
    std::set<std::string> known_;
    BusStatus status_;
    std::atomic<MonoMs> beat_{0};
    std::thread thread_;
};

}  // namespace gatehouse::modbus
