#include "drivers/modbus/scan_job.hpp"

#include <algorithm>
#include <utility>

namespace gatehouse::modbus {

const char* to_string(ScanState state) {
    switch (state) {
        case ScanState::running:
            return "running";
        case ScanState::done:
            return "done";
        case ScanState::cancelled:
            return "cancelled";
        case ScanState::failed:
            return "failed";
    }
    return "?";
}

ScanJob::ScanJob(ScanPlan plan, const ProfileTable& table, const Clock& clock)
    : plan_(plan),
      clock_(clock),
      machine_(std::move(plan), table),
      started_ms_(clock.wall_ms()),
      begun_(clock.mono_ms()),
      ended_(begun_),
      looked_(begun_) {}

std::optional<JobExchange> ScanJob::next() {
    const std::lock_guard lock(mutex_);
    if (!running()) return std::nullopt;
    if (clock_.mono_ms() - looked_ > kScanAbandonedMs) {
        state_ = ScanState::cancelled;
        reason_ = "nobody has asked after it for " + std::to_string(kScanAbandonedMs / 1'000) +
                  " seconds";
        return std::nullopt;
    }
    const auto ask = machine_.next();
    if (!ask) return std::nullopt;
    JobExchange exchange;
    exchange.request = ask->request;
    exchange.listen_ms = ask->listen_ms;
    if (ask->line != 0) exchange.line = plan_.lines[ask->line];
    return exchange;
}

void ScanJob::ended(const JobExchange&, const Reply& reply) {
    const std::lock_guard lock(mutex_);
    if (machine_.next()) machine_.heard({reply, reply.after});
}

void ScanJob::finished(const std::string& reason) {
    const std::lock_guard lock(mutex_);
    ended_ = clock_.mono_ms();
    if (!running()) return;
    const std::string failure = machine_.report().failure;
    reason_ = failure.empty() ? reason : failure;
    state_ = reason_.empty() ? ScanState::done : ScanState::failed;
}

bool ScanJob::cancel(const std::string& reason) {
    const std::lock_guard lock(mutex_);
    if (!running()) return false;
    state_ = ScanState::cancelled;
    reason_ = reason;
    ended_ = clock_.mono_ms();
    return true;
}

void ScanJob::add_note(std::string note) {
    const std::lock_guard lock(mutex_);
    notes_.push_back(std::move(note));
}

ScanSight ScanJob::look() {
    const std::lock_guard lock(mutex_);
    ScanSight sight;
    sight.state = state_;
    sight.reason = reason_;
    sight.progress = machine_.progress();
    sight.report = machine_.report();
    sight.report.notes.insert(sight.report.notes.begin(), notes_.begin(), notes_.end());
    sight.started_ms = started_ms_;
    sight.elapsed_ms = (running() ? clock_.mono_ms() : ended_) - begun_;
    if (state_ == ScanState::done) sight.percent = 100;
    if (!running()) return sight;
    looked_ = clock_.mono_ms();
    const std::int64_t done_us = sight.progress.done_us;
    const std::int64_t left_us = sight.progress.left_us;
    sight.left_ms = left_us / 1'000;
    // Polls and pauses between its questions go on as they have so far.
    if (done_us > 1'000'000) sight.left_ms = left_us / 1'000 * sight.elapsed_ms / (done_us / 1'000);
    if (done_us + left_us > 0) {
        sight.percent =
            static_cast<int>(std::min<std::int64_t>(99, done_us * 100 / (done_us + left_us)));
    }
    return sight;
}

}  // namespace gatehouse::modbus
