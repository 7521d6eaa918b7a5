#include "drivers/cabinet/poller.hpp"

#include <algorithm>
#include <utility>

namespace gatehouse::cabinet {
namespace {

constexpr int kRetries = 2;
constexpr int kFailedPollsMax = 3;              // from then on it is offline
constexpr std::int64_t kOfflineRestMs = 5'000;  // between two looks at one that does not answer
constexpr std::int64_t kGuardMs = 1'000;        // no board is later than that and its timeout
constexpr std::int64_t kHandedMostMs = 60'000;
constexpr std::int64_t kClockMostMs = 20'000;
constexpr std::int64_t kTellAgainMs = 60'000, kSkewMovedMs = 2'000;

}  // namespace

CabinetPoller::CabinetPoller(PollerSettings settings, std::unique_ptr<Board> board)
    : settings_(std::move(settings)), board_(std::move(board)) {
    status_.cabinet = settings_.cabinet;
    status_.reason = "it has not been asked yet";
}

PollerAction CabinetPoller::next(const Moment& now) {
    PollerAction action;
    // Whoever was handed a push and says nothing is taken for gone; the push is handed again and is
    // the same, so that nothing comes of it if he was slow.
    if (handed_ && now.mono_ms - handed_at_ >= kHandedMostMs) committed(ticket_, false, now);
    if (!asking_ && now.mono_ms >= rest_until_) {
        ask_ = board_->next(now);
        attempts_ = 0;
        asking_ = ask_.kind == BoardAsk::Kind::read || ask_.kind == BoardAsk::Kind::write;
        if (ask_.kind == BoardAsk::Kind::hand) {
            handed_ = true;
            handed_at_ = now.mono_ms;
            action.kind = PollerAction::Kind::hand;
            action.push = std::move(ask_.push);
            action.ticket = ++ticket_;
            ++status_.counts.pushes;
            status_.counts.events += action.push.events.size();
            return action;
        }
    }
    if (!asking_) {
        action.until = now.mono_ms < rest_until_ ? rest_until_ : ask_.until;
        return action;
    }
    action.request.address = settings_.address;
    action.request.span = ask_.span;
    action.request.timeout_ms = settings_.response_timeout_ms;
    if (std::exchange(guard_, false)) {
        action.kind = PollerAction::Kind::listen;
        action.for_ms = kGuardMs;
        return action;
    }
    ++attempts_;
    ++status_.counts.exchanges;
    if (ask_.kind == BoardAsk::Kind::read) {
        action.kind = PollerAction::Kind::read;
        return action;
    }
    action.kind = PollerAction::Kind::write;
    action.write.address = settings_.address;
    action.write.first = ask_.first;
    action.write.words = ask_.words;
    action.write.timeout_ms = settings_.response_timeout_ms;
    return action;
}

void CabinetPoller::count(PollResult result) {
    CabinetCounts& counts = status_.counts;
    switch (result) {
        case PollResult::ok:
        case PollResult::not_connected:
            return;
        case PollResult::timeout:
            ++counts.timeouts;
            return;
        case PollResult::crc:
            ++counts.checksums;
            return;
        case PollResult::foreign_frame:
            ++counts.foreign_frames;
            return;
        default:
            ++counts.refused;
            return;
    }
}

void CabinetPoller::ended(const modbus::Reply& reply, const Moment& now) {
    count(reply.result);
    if (reply.result == PollResult::ok) {
        asking_ = false;
        answered({reply.words, 0}, now);
        return;
    }
    if (reply.result == PollResult::exception) {
        asking_ = false;
        answered({{}, reply.exception}, now);
        return;
    }
    if (!reply.lost.empty()) {
        poll_failed(reply.lost, now);
        return;
    }
    const bool owed = reply.result == PollResult::timeout || reply.result == PollResult::crc ||
                      reply.result == PollResult::foreign_frame;
    guard_ = owed && !settings_.numbered;
    // One that has been away for long is not asked three times in a row.
    if (attempts_ <= kRetries && failed_polls_ < kFailedPollsMax) return;
    poll_failed(reply.detail, now);
}

void CabinetPoller::answered(const BoardReply& reply, const Moment& now) {
    if (failed_polls_ >= kFailedPollsMax) board_->was_away();
    const std::string problem = board_->answered(reply, now);
    if (!problem.empty()) {
        poll_failed(problem, now);
        return;
    }
    failed_polls_ = 0;
    status_.online = true;
    status_.reason.clear();
    status_.skew_ms = board_->skew_ms();
}

void CabinetPoller::poll_failed(const std::string& reason, const Moment& now) {
    asking_ = false;
    board_->failed(now);
    failed_polls_ = std::min(failed_polls_ + 1, kFailedPollsMax);
    rest_until_ = now.mono_ms + settings_.poll_interval_ms;
    if (failed_polls_ < kFailedPollsMax) return;
    status_.online = false;
    status_.reason = reason;
    rest_until_ = now.mono_ms + std::max(kOfflineRestMs, settings_.poll_interval_ms);
}

void CabinetPoller::unreachable(const std::string& reason, const Moment& now) {
    guard_ = false;
    poll_failed(reason, now);
    rest_until_ = now.mono_ms;  // the connection has a rest of its own
}

void CabinetPoller::heard(std::size_t bytes) {
    status_.counts.unsolicited_bytes += bytes;
}

void CabinetPoller::committed(std::uint64_t ticket, bool kept, const Moment& now) {
    if (!handed_ || ticket != ticket_) return;
    handed_ = false;
    board_->committed(kept, now);
    ask_ = {};  // it may have something to do at once
}

std::string CabinetPoller::clock_problem() const {
    if (!status_.online) return "it does not answer: " + status_.reason;
    if (clock_until_) return "its clock is being set already";
    return board_->has_clock() ? "" : "it has no clock that could be set";
}

std::string CabinetPoller::set_clock(std::int64_t offset_ms, const Moment& now) {
    if (std::string problem = clock_problem(); !problem.empty()) return problem;
    board_->set_clock(offset_ms);
    clock_until_ = now.mono_ms + kClockMostMs;
    ask_ = {};  // it has something to do at once
    return "";
}

std::optional<ClockOutcome> CabinetPoller::clock_outcome(const Moment& now) {
    if (!clock_until_) return std::nullopt;
    auto outcome = board_->clock_outcome();
    if (!outcome && !status_.online)
        outcome = ClockOutcome{false, {}, {}, "it does not answer any more: " + status_.reason};
    if (!outcome && now.mono_ms >= *clock_until_)
        outcome = ClockOutcome{false, {}, {}, "it did not come to it in time"};
    if (!outcome) return std::nullopt;
    board_->cancel_clock();
    clock_until_.reset();
    return outcome;
}

std::optional<CabinetSeen> CabinetPoller::seen(const Moment& now) {
    const bool decided = status_.online || failed_polls_ >= kFailedPollsMax;
    if (!decided) return std::nullopt;
    const std::int64_t skew_ms = status_.skew_ms.value_or(0);
    const std::int64_t moved = skew_ms - told_skew_ms_;
    const bool changed = !told_ || told_online_ != status_.online;
    const bool drifted = status_.online && (moved > kSkewMovedMs || moved < -kSkewMovedMs);
    // Now and then again: whoever was told may have been too busy to listen.
    if (!changed && !drifted && now.mono_ms - told_at_ < kTellAgainMs) return std::nullopt;
    told_ = true;
    told_online_ = status_.online;
    told_skew_ms_ = skew_ms;
    told_at_ = now.mono_ms;
    return CabinetSeen{settings_.cabinet, status_.online, skew_ms, status_.reason};
}

}  // namespace gatehouse::cabinet
