#include "drivers/modbus/clock_job.hpp"

#include <cstdlib>
#include <utility>

#include "daemon/core/time.hpp"

namespace gatehouse::modbus {

std::int64_t calendar_seconds(const MeterClock& clock) {
    LocalDate date;
    date.year = clock.year;
    date.month = clock.month;
    date.day = clock.day;
    return ((days_since_epoch(date) * 24 + clock.hour) * 60 + clock.minute) * 60 + clock.second;
}

ClockJob::ClockJob(int address, ClockLayout layout, std::int64_t timeout_ms,
                   std::function<MeterClock()> now, std::function<void(ClockOutcome)> handler)
    : address_(address),
      layout_(std::move(layout)),
      timeout_ms_(timeout_ms),
      now_(std::move(now)),
      handler_(std::move(handler)) {}

std::optional<JobExchange> ClockJob::next() {
    if (step_ == Step::over) return std::nullopt;
    JobExchange exchange;
    exchange.request.address = address_;
    exchange.request.span = layout_.span;
    exchange.request.timeout_ms = timeout_ms_;
    if (step_ != Step::write) return exchange;
    if (write_ == 0) {
        outcome_.set_to = now_();
        writes_ = clock_writes(layout_, *outcome_.set_to);
        if (writes_.empty()) {
            give_up("the profile does not describe how its clock is set");
            return std::nullopt;
        }
    }
    const RegisterWrite& write = writes_[write_];
    exchange.write = WriteRequest{address_, write.function, write.first, write.words, timeout_ms_};
    return exchange;
}

void ClockJob::ended(const JobExchange& exchange, const Reply& reply) {
    if (step_ == Step::over) return;
    exchange.write ? write_ended(reply) : read_ended(reply);
}

void ClockJob::read_ended(const Reply& reply) {
    const bool first = step_ == Step::before;
    if (reply.result != PollResult::ok) {
        if (++tries_ < kTriesMax) return;
        give_up(std::string(first ? "its clock cannot be read: "
                                  : "it was written, but cannot be read back: ") +
                reply.detail);
        return;
    }
    tries_ = 0;
    const auto clock = decode_clock(layout_, reply.words);
    if (first) {
        // Words that are no date are what a clock that lost its battery shows.
        outcome_.before = clock;
        step_ = Step::write;
        return;
    }
    outcome_.after = clock;
    step_ = Step::over;
    // A meter that counts no seconds may lag by what it does not show.
    const std::int64_t allowed_s = layout_.parts.back() ? kOffS : 60 + kOffS;
    outcome_.done =
        clock && std::llabs(calendar_seconds(*clock) - calendar_seconds(now_())) <= allowed_s;
    if (outcome_.done) return;
    outcome_.reason = clock ? "it shows " + to_string(*clock) + " after the write"
                            : std::string("it shows no date after the write");
    if (!write_problem_.empty()) outcome_.reason += " (" + write_problem_ + ")";
}

// Whatever came of a write, what the meter shows afterwards decides.
void ClockJob::write_ended(const Reply& reply) {
    if (reply.result != PollResult::ok) {
        if (write_problem_.empty()) write_problem_ = reply.detail;
        if (reply.result == PollResult::busy && reply.request.empty() && ++tries_ < kTriesMax) {
            return;
        }
        step_ = Step::after;
    } else if (++write_ == writes_.size()) {
        step_ = Step::after;
    }
    tries_ = 0;
}

void ClockJob::give_up(std::string reason) {
    outcome_.reason = std::move(reason);
    step_ = Step::over;
}

void ClockJob::finished(const std::string& reason) {
    if (step_ != Step::over) outcome_.reason = reason.empty() ? "it was not finished" : reason;
    handler_(std::move(outcome_));
}

}  // namespace gatehouse::modbus
