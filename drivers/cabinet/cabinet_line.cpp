#include "drivers/cabinet/cabinet_line.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

namespace gatehouse::cabinet {
namespace {

constexpr std::int64_t kConnectMs = 2'000, kConnectRestLeastMs = 1'000, kConnectRestMostMs = 10'000;
constexpr std::int64_t kSleepMostMs = 1'000;  // the heartbeat goes on meanwhile
constexpr std::int64_t kTurnMostMs = 10'000;  // timeout, a long reply and the quiet after it

}  // namespace

CabinetLine::CabinetLine(const Clock& clock, const PushSink& push, const SeenSink& seen,
                         std::string place, const modbus::BusSettings& settings,
                         std::unique_ptr<modbus::Link> link, std::vector<CabinetPoller> pollers)
    : clock_(clock),
      push_(push),
      seen_(seen),
      place_(std::move(place)),
      numbered_(settings.transport == modbus::Transport::tcp && settings.transaction_id_echoed),
      link_(std::move(link)),
      pollers_(std::move(pollers)),
      wanted_at_(pollers_.size()),
      clock_done_(pollers_.size()),
      beat_mono_ms_(clock.mono_ms()) {}

CabinetLine::~CabinetLine() {
    ask_to_stop();
    join();
}

void CabinetLine::start() {
    thread_ = std::thread([this] { run(); });
}

void CabinetLine::ask_to_stop() {
    {
        const std::lock_guard lock(mailbox_->mutex);
        mailbox_->stopping = true;
    }
    mailbox_->changed.notify_all();
    link_->wake();
}

void CabinetLine::join() {
    if (thread_.joinable()) thread_.join();
}

Moment CabinetLine::now() const {
    return {clock_.mono_ms(), clock_.wall_ms()};
}

void CabinetLine::run() {
    for (;;) {
        beat_mono_ms_ = clock_.mono_ms();
        {
            const std::lock_guard lock(mailbox_->mutex);
            if (mailbox_->stopping) break;
        }
        take_letters();
        if (!connect()) {
            tell_seen();
            rest_until(connect_at_);
            continue;
        }
        // The one that has waited longest for its turn.
        std::size_t next = 0;
        for (std::size_t i = 1; i < pollers_.size(); ++i) {
            const std::size_t at = (last_ + i) % pollers_.size();
            if (i == 1 || wanted_at_[at] < wanted_at_[next]) next = at;
        }
        if (wanted_at_[last_] < wanted_at_[next]) next = last_;
        if (wanted_at_[next] > clock_.mono_ms()) {
            rest_until(wanted_at_[next]);
            continue;
        }
        last_ = next;
        wanted_at_[next] = turn(next);
        tell_seen();
    }
    link_->close();
}

void CabinetLine::take_letters() {
    std::vector<Mailbox::Letter> letters;
    {
        const std::lock_guard lock(mailbox_->mutex);
        letters.swap(mailbox_->letters);
        mailbox_->woken = false;
    }
    const std::lock_guard lock(pollers_mutex_);
    for (const Mailbox::Letter& letter : letters) {
        pollers_[letter.poller].committed(letter.ticket, letter.kept, now());
        wanted_at_[letter.poller] = 0;
    }
}

bool CabinetLine::connect() {
    if (connected_) return true;
    if (clock_.mono_ms() < connect_at_) return false;
    const std::string reason = link_->connect(kConnectMs);
    if (!reason.empty()) {
        lose(reason);
        return false;
    }
    connected_ = true;
    connect_rest_ms_ = 0;
    std::fill(wanted_at_.begin(), wanted_at_.end(), 0);
    return true;
}

void CabinetLine::lose(const std::string& reason) {
    link_->close();
    connected_ = false;
    connect_rest_ms_ = std::clamp(connect_rest_ms_ * 2, kConnectRestLeastMs, kConnectRestMostMs);
    connect_at_ = clock_.mono_ms() + connect_rest_ms_;
    const std::lock_guard lock(pollers_mutex_);
    for (CabinetPoller& poller : pollers_) poller.unreachable(reason, now());
}

MonoMs CabinetLine::turn(std::size_t index) {
    PollerAction action;
    {
        const std::lock_guard lock(pollers_mutex_);
        action = pollers_[index].next(now());
    }
    if (action.kind == PollerAction::Kind::wait) return action.until;
    carry_out(index, action);
    return clock_.mono_ms();
}

void CabinetLine::carry_out(std::size_t index, const PollerAction& action) {
    if (action.kind == PollerAction::Kind::hand) {
        push_(action.push, [mailbox = std::weak_ptr<Mailbox>(mailbox_), index,
                            ticket = action.ticket](bool committed) {
            const auto box = mailbox.lock();
            if (!box) return;
            const std::lock_guard lock(box->mutex);
            box->letters.push_back({index, ticket, committed});
            box->woken = true;
            box->changed.notify_all();
        });
        return;
    }
    std::string lost;
    if (action.kind == PollerAction::Kind::listen) {
        const modbus::Heard heard = link_->listen(action.for_ms, action.request);
        // The reply that was owed is late, not strange.
        const std::lock_guard lock(pollers_mutex_);
        if (!heard.owed_reply) pollers_[index].heard(heard.bytes);
        lost = heard.lost;
    } else {
        count_strangers(index, action.request);
        const modbus::Reply reply = action.kind == PollerAction::Kind::read
                                        ? link_->exchange(action.request)
                                        : link_->write(action.write);
        lost = reply.lost;
        const std::lock_guard lock(pollers_mutex_);
        if (lost.empty()) pollers_[index].ended(reply, now());
    }
    if (!lost.empty()) lose(lost);
}

// Where nothing but our questions makes anybody talk, what lies on the line now is a stranger's.
void CabinetLine::count_strangers(std::size_t index, const modbus::Request& about) {
    if (numbered_) return;
    const modbus::Heard heard = link_->listen(0, about);
    if (heard.bytes == 0) return;
    const std::lock_guard lock(pollers_mutex_);
    pollers_[index].heard(heard.bytes);
}

void CabinetLine::tell_seen() {
    tell_clocks();
    std::vector<CabinetSeen> news;
    {
        const std::lock_guard lock(pollers_mutex_);
        for (CabinetPoller& poller : pollers_)
            if (auto one = poller.seen(now())) news.push_back(std::move(*one));
    }
    for (CabinetSeen& one : news) seen_(std::move(one));
}

void CabinetLine::rest_until(MonoMs until) {
    const std::int64_t left_ms = std::min(until - clock_.mono_ms(), kSleepMostMs);
    if (left_ms <= 0) return;
    std::unique_lock lock(mailbox_->mutex);
    mailbox_->changed.wait_for(lock, std::chrono::milliseconds(left_ms),
                               [this] { return mailbox_->stopping || mailbox_->woken; });
}

bool CabinetLine::set_clock(const std::string& cabinet, std::int64_t offset_ms,
                            CabinetService::ClockDone done, std::string& problem) {
    const std::lock_guard lock(pollers_mutex_);
    for (std::size_t i = 0; i < pollers_.size(); ++i) {
        if (pollers_[i].cabinet() != cabinet) continue;
        problem = pollers_[i].set_clock(offset_ms, now());
        if (problem.empty()) clock_done_[i] = std::move(done);
        return true;
    }
    return false;
}

std::optional<std::string> CabinetLine::clock_problem(const std::string& cabinet) const {
    const std::lock_guard lock(pollers_mutex_);
    for (const CabinetPoller& poller : pollers_)
        if (poller.cabinet() == cabinet) return poller.clock_problem();
    return std::nullopt;
}

void CabinetLine::tell_clocks() {
    std::vector<std::pair<CabinetService::ClockDone, ClockOutcome>> over;
    {
        const std::lock_guard lock(pollers_mutex_);
        for (std::size_t i = 0; i < pollers_.size(); ++i)
            if (const auto outcome = pollers_[i].clock_outcome(now()))
                over.emplace_back(std::exchange(clock_done_[i], nullptr), *outcome);
    }
    for (const auto& [done, outcome] : over) done(outcome);
}

std::vector<CabinetStatus> CabinetLine::status() const {
    const std::lock_guard lock(pollers_mutex_);
    std::vector<CabinetStatus> all;
    for (const CabinetPoller& poller : pollers_) all.push_back(poller.status());
    return all;
}

modbus::Heartbeat CabinetLine::heartbeat() const {
    return {place_, beat_mono_ms_.load(), kTurnMostMs};
}

}  // namespace gatehouse::cabinet
