#include "daemon/core/bus_machine.hpp"

#include <algorithm>
#include <utility>

#include "daemon/core/assert.hpp"

namespace gatehouse {
namespace {

constexpr std::int64_t kStragglerMs = 60;  // bytes that late in the quiet time: listen once more

}  // namespace

const char* to_string(MachinePhase phase) {
    switch (phase) {
        case MachinePhase::connecting:
            return "connecting";
        case MachinePhase::idle:
            return "idle";
        case MachinePhase::reading:
            return "reading";
        case MachinePhase::quiet:
            return "quiet";
        case MachinePhase::draining:
            return "draining";
        case MachinePhase::closing:
            return "closing";
        case MachinePhase::backoff:
            return "backoff";
        case MachinePhase::job:
            return "job";
    }
    return "?";
}

BusMachine::BusMachine(BusSetup setup, std::uint64_t jitter_seed, MonoMs now)
    : since_(now), connect_at_(now), credit_at_(now), jitter_state_(jitter_seed | 1U), began_(now) {
    configure(std::move(setup), now);
}

void BusMachine::configure(BusSetup setup, MonoMs now) {
    const std::vector<BusMeter> wanted = std::exchange(setup.meters, {});
    setup_ = std::move(setup);
    const std::vector<MeterState> old_meters = std::exchange(meters_, {});
    const std::vector<Station> old_stations = std::exchange(stations_, {});
    const PollPlan old_plan = std::exchange(plan_, {});
    plan_.reset(static_cast<int>(wanted.size()), setup_.poll_interval_ms, now);
    meters_.resize(wanted.size());
    index_stations(wanted, old_stations);
    std::vector<std::shared_ptr<const MeterValues>> shared;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        MeterState& state = meters_[i];
        std::shared_ptr<const MeterValues> kept = in_order(wanted[i]);
        const auto same = std::find_if(shared.begin(), shared.end(),
                                       [&](const auto& one) { return *one == *kept; });
        if (same != shared.end()) {
            kept = *same;
        } else {
            shared.push_back(kept);
        }
        MeterBlocks blocks(kept);
        for (std::size_t k = 0; k < old_meters.size(); ++k) {
            const MeterState& old = old_meters[k];
            if (old.id != wanted[i].id) continue;
            if (old_stations[static_cast<std::size_t>(old.station)].address != wanted[i].address) {
                continue;
            }
            const int station = state.station;
            state = old;
            state.station = station;
            state.parked.reset();
            blocks.inherit(state.blocks);
            plan_.inherit(static_cast<int>(i), old_plan, static_cast<int>(k));
        }
        state.id = wanted[i].id;
        state.pause_ms = wanted[i].pause_ms;
        state.values = kept;
        state.blocks = std::move(blocks);
    }
    visit_ = Visit{};
    status_changed_ = true;
}

void BusMachine::poll_soon(int meter) {
    meters_.at(static_cast<std::size_t>(meter)).confirm_wanted = true;
    plan_.poll_soon(meter);
}

void BusMachine::identify(int meter) {
    meters_.at(static_cast<std::size_t>(meter)).identity_due = true;
}

void BusMachine::read_full(int meter) {
    meters_.at(static_cast<std::size_t>(meter)).full_wanted = true;
    plan_.poll_soon(meter);
    plan_.hold(meter, station_of(meter).not_before);
}

int BusMachine::find(const std::string& meter) const {
    for (std::size_t i = 0; i < meters_.size(); ++i) {
        if (meters_[i].id == meter) return static_cast<int>(i);
    }
    return -1;
}

bool BusMachine::meter_online(int index) const {
    return meters_.at(static_cast<std::size_t>(index)).online;
}

std::int64_t BusMachine::turnaround_us(int index) const {
    return station_of(index).turnaround_mean_us;
}
std::int64_t BusMachine::lateness_ms(int index) const {
    return station_of(index).lateness_ms;
}
bool BusMachine::reply_owed(int index) const {
    return !station_of(index).owed.empty();
}

BusMachine::Station& BusMachine::station_of(int meter) {
    return stations_.at(
        static_cast<std::size_t>(meters_.at(static_cast<std::size_t>(meter)).station));
}
const BusMachine::Station& BusMachine::station_of(int meter) const {
    return stations_.at(
        static_cast<std::size_t>(meters_.at(static_cast<std::size_t>(meter)).station));
}

BusStep BusMachine::act(BusAction action) {
    BusStep step;
    step.action = std::move(action);
    step.ended = std::exchange(ended_, {});
    step.status_changed = std::exchange(status_changed_, false);
    return step;
}

BusStep BusMachine::wait(MonoMs until) {
    BusAction action;
    action.kind = BusActionKind::wait;
    action.until = until;
    return act(std::move(action));
}

BusStep BusMachine::resume(const BusEvent& event, MonoMs now) {
    accrue_credit(now);
    switch (phase_) {
        case MachinePhase::backoff:
        case MachinePhase::idle:
            GH_ASSERT(std::holds_alternative<Woken>(event));
            return on_woken(now);
        case MachinePhase::connecting:
            if (const auto* failed = std::get_if<ConnectFailed>(&event)) {
                return on_connect_failed(failed->reason, now);
            }
            GH_ASSERT(std::holds_alternative<Connected>(event));
            phase_ = MachinePhase::idle;
            good_since_connect_ = false;
            asked_ = replies_ = 0;
            if (now >= single_until_) failures_in_a_row_ = 0;
            if (std::exchange(outage_, false)) {
                for (MeterState& meter : meters_) meter.identity_due = true;
            }
            // After a connection without one reply, only a reply makes this one better.
            if (!silent_) show(BusPhase::online, "", now);
            return next(now);
        case MachinePhase::reading:
            return on_read(std::get<ReadEnded>(event), now);
        case MachinePhase::quiet:
            return on_listened(std::get<Listened>(event), now);
        case MachinePhase::draining:
            return on_drained(std::get<Drained>(event), now);
        case MachinePhase::job:
            return on_job(std::get<JobTurned>(event), now);
        case MachinePhase::closing:
            GH_ASSERT(std::holds_alternative<Closed>(event));
            phase_ = MachinePhase::backoff;
            return on_woken(now);
    }
    GH_ASSERT(false);
}

BusStep BusMachine::on_woken(MonoMs now) {
    if (phase_ != MachinePhase::backoff) return next(now);
    if (now < connect_at_) return wait(connect_at_);
    const bool idle = !plan_.pick(now) && !job_turn(now);
    if (now < single_until_ && idle && !silent_) {
        // A connection that waits for its one question may be closed before it comes.
        return wait_for_due(now);
    }
    return connect(now);
}

BusStep BusMachine::connect(MonoMs now) {
    phase_ = MachinePhase::connecting;
    connect_backoff_ms_ = connect_backoff_ms_ == 0
                              ? kConnectFirstMs
                              : std::min(connect_backoff_ms_ * 2, kConnectMaxMs);
    connect_at_ = now;
    BusAction action;
    action.kind = BusActionKind::connect;
    return act(std::move(action));
}

BusStep BusMachine::on_connect_failed(const std::string& reason, MonoMs now) {
    phase_ = MachinePhase::backoff;
    connect_at_ = now + jittered(connect_backoff_ms_);
    show(BusPhase::offline, reason, now);
    outage_ = true;
    fail_all(reason);
    return wait(connect_at_);
}

// Nobody can be reached over this connection.
void BusMachine::fail_all(const std::string& reason) {
    visit_ = Visit{};
    for (std::size_t i = 0; i < meters_.size(); ++i) {
        // What was read of it may be hours old by the next reply.
        meters_[i].parked.reset();
        meters_[i].blocks.end_search();
        const bool asked = meters_[i].full_wanted;
        if (meters_[i].offline && !asked) continue;
        meters_[i].full_wanted = false;
        fail_meter(static_cast<int>(i), asked ? VisitKind::full : VisitKind::routine,
                   PollResult::not_connected, reason);
    }
}

bool BusMachine::used_up(MonoMs now) const {
    return setup_.reconnects && now < single_until_ && asked_ > 0;
}

// What a connection ended with says of the gateway: one reply, and then nothing or a hang-up, time
// after time, is one question a connection.
void BusMachine::learn_single(MonoMs now) {
    if (!setup_.reconnects || now < single_until_) return;
    single_hints_ = replies_ == 1 ? single_hints_ + 1 : 0;
    if (single_hints_ < kSingleHints) return;
    single_hints_ = 0;
    single_until_ = now + kSingleMs;
}

void BusMachine::park_visit() {
    const int meter = visit_.meter;
    meters_[static_cast<std::size_t>(meter)].parked = std::exchange(visit_, Visit{});
}

BusStep BusMachine::close(bool serves, MonoMs now) {
    visit_ = Visit{};
    learn_single(now);
    silent_ = setup_.reconnects && !serves;
    outage_ = outage_ || !serves;
    if (!serves) {
        for (MeterState& meter : meters_) {  // a visit that was begun begins anew
            meter.parked.reset();
            meter.blocks.end_search();
        }
    }
    if (silent_ && reason_.empty()) {
        show(BusPhase::offline,
             "connected, but nothing answers: the gateway, or every meter behind it, is silent",
             now);
    }
    phase_ = MachinePhase::closing;
    // A connection that served well is opened again at once; one that did not waits its turn.
    if (!serves) {
        connect_at_ = now + jittered(connect_backoff_ms_);
    } else {
        connect_backoff_ms_ = 0;
        connect_at_ = now;
        if (losses_ > kLossesFree) {
            const int doublings = std::min(losses_ - kLossesFree, 8);
            connect_at_ += jittered(std::min(kConnectFirstMs << doublings, kConnectMaxMs));
        }
    }
    good_since_connect_ = false;
    BusAction action;
    action.kind = BusActionKind::close;
    return act(std::move(action));
}

BusStep BusMachine::on_lost(const std::string& reason, bool unsent, MonoMs now) {
    ++losses_;
    bool serves = good_since_connect_;
    if (visit_.meter >= 0) {
        // A hang-up between two questions is no fault of the meter that is asked next.
        serves = serves || (unsent && !barren_);
        if (++visit_.losses > kLossesOfOneRead) {
            // Two connections ended with this very question: whoever else is asked may fare better.
            const int meter = visit_.meter;
            end_visit(PollResult::not_connected, reason, now);
            const int doublings = std::min(meters_[static_cast<std::size_t>(meter)].failures, 8);
            plan_.hold(meter, now + std::min(kBackoffFirstMs << doublings, kBackoffMaxMs));
            serves = true;
        } else if (serves) {
            park_visit();
        } else {
            fail_all(reason);
        }
    }
    if (!serves) show(BusPhase::offline, reason, now);
    barren_ = replies_ == 0;
    return close(serves, now);
}

BusStep BusMachine::on_line_failure(const ReadEnded& event, MonoMs now) {
    Station& station = station_of(visit_.meter);
    owe(station.owed, visit_.asked, visit_.asked_at);
    // A meter that is known to be dead says nothing of the connection, as long as others answer.
    if (station.failures < kFailuresOffline || !any_station_online()) ++failures_in_a_row_;
    close_after_ = setup_.reconnects && failures_in_a_row_ >= kFailuresReconnect;
    const bool number_decides = setup_.transaction_numbers && event.result == PollResult::timeout;
    quiet_station_ = meters_[static_cast<std::size_t>(visit_.meter)].station;
    quiet_span_ = visit_.asked;
    quiet_asked_at_ = visit_.asked_at;
    quiet_rounds_ = 0;
    const std::int64_t quiet_us = number_decides ? 0 : quiet_ms(station) * 1'000;
    if (event.result == PollResult::timeout) station.good = 0;
    fail_station(event.result, event.detail, event.busy_us + quiet_us, now);
    if (!number_decides) return listen(now);
    phase_ = MachinePhase::draining;
    BusAction action;
    action.kind = BusActionKind::drain;
    action.address = station.address;
    action.span = quiet_span_;
    return act(std::move(action));
}

BusStep BusMachine::listen(MonoMs now) {
    if (visit_.meter >= 0) {
        quiet_station_ = meters_[static_cast<std::size_t>(visit_.meter)].station;
        quiet_span_ = visit_.asked;
        quiet_asked_at_ = visit_.asked_at;
        quiet_rounds_ = 0;
        visit_ = Visit{};
    }
    phase_ = MachinePhase::quiet;
    quiet_from_ = now;
    const Station& station = stations_[static_cast<std::size_t>(quiet_station_)];
    BusAction action;
    action.kind = BusActionKind::listen;
    action.for_ms = quiet_ms(station);
    action.address = station.address;
    action.span = quiet_span_;
    return act(std::move(action));
}

BusStep BusMachine::on_listened(const Listened& event, MonoMs now) {
    if (!event.lost.empty()) return on_lost(event.lost, /*unsent=*/false, now);
    Station& station = stations_[static_cast<std::size_t>(quiet_station_)];
    if (event.bytes > 0) {
        const std::int64_t late = quiet_from_ + event.last_byte_ms - quiet_asked_at_;
        station.lateness_ms = std::clamp<std::int64_t>(late, station.lateness_ms, kDebtMs);
    }
    if (event.owed_reply) settle(station);
    const bool straggling = !event.owed_reply && event.bytes > 0 &&
                            event.last_byte_ms + kStragglerMs >= now - quiet_from_;
    if (straggling && ++quiet_rounds_ < kQuietRoundsMax) return listen(now);
    phase_ = MachinePhase::draining;
    BusAction action;
    action.kind = BusActionKind::drain;
    action.address = station.address;
    action.span = quiet_span_;
    return act(std::move(action));
}

BusStep BusMachine::on_drained(const Drained& event, MonoMs now) {
    if (!event.lost.empty()) return on_lost(event.lost, /*unsent=*/false, now);
    if (event.bytes > 0 && !setup_.transaction_numbers && quiet_station_ >= 0 &&
        ++quiet_rounds_ < kQuietRoundsMax) {
        return listen(now);
    }
    quiet_station_ = -1;
    if (std::exchange(close_after_, false)) {
        failures_in_a_row_ = 0;
        return close(good_since_connect_, now);
    }
    return next(now);
}

void BusMachine::show(BusPhase phase, std::string reason, MonoMs now) {
    if (phase == shown_phase_ && reason == reason_) return;
    if (phase != shown_phase_) since_ = now;
    shown_phase_ = phase;
    reason_ = std::move(reason);
    status_changed_ = true;
}

}  // namespace gatehouse
