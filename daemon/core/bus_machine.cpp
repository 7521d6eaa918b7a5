#include "daemon/core/bus_machine.hpp"

#include <algorithm>
#include <utility>

#include "daemon/core/assert.hpp"

namespace gatehouse {
namespace {

constexpr std::int64_t kBusyRetryMs = 250;
constexpr std::int64_t kStragglerMs = 60;  // bytes that late in the quiet time: listen once more
constexpr std::size_t kOwedMax = 16;

bool is_line_failure(PollResult result) {
    return result == PollResult::timeout || result == PollResult::crc ||
           result == PollResult::foreign_frame;
}

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
    }
    return "?";
}

BusMachine::BusMachine(BusSetup setup, std::uint64_t jitter_seed, MonoMs now)
    : since_(now), connect_at_(now), credit_at_(now), jitter_state_(jitter_seed | 1U) {
    configure(std::move(setup), now);
}

void BusMachine::configure(BusSetup setup, MonoMs now) {
    const BusSetup old_setup = std::exchange(setup_, std::move(setup));
    const std::vector<MeterState> old_meters = std::exchange(meters_, {});
    const std::vector<Station> old_stations = std::exchange(stations_, {});
    const PollPlan old_plan = std::exchange(plan_, {});
    const int count = static_cast<int>(setup_.meters.size());
    plan_.reset(count, setup_.poll_interval_ms, now);
    meters_.resize(setup_.meters.size());
    index_stations(old_stations);
    for (int i = 0; i < count; ++i) {
        const BusMeter& meter = setup_.meters[static_cast<std::size_t>(i)];
        for (std::size_t k = 0; k < old_setup.meters.size(); ++k) {
            if (old_setup.meters[k].id != meter.id) continue;
            if (old_setup.meters[k].address != meter.address) continue;
            const int station = meters_[static_cast<std::size_t>(i)].station;
            meters_[static_cast<std::size_t>(i)] = old_meters[k];
            meters_[static_cast<std::size_t>(i)].station = station;
            plan_.inherit(i, old_plan, static_cast<int>(k));
        }
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

void BusMachine::replan(int meter, BusMeter blocks, MonoMs now) {
    BusMeter& target = setup_.meters.at(static_cast<std::size_t>(meter));
    GH_ASSERT(target.id == blocks.id && target.address == blocks.address);
    target = std::move(blocks);
    meters_.at(static_cast<std::size_t>(meter)).failures = 0;
    plan_.set_due(meter, now);
}

int BusMachine::find(const std::string& meter) const {
    for (std::size_t i = 0; i < setup_.meters.size(); ++i) {
        if (setup_.meters[i].id == meter) return static_cast<int>(i);
    }
    return -1;
}

const BusMeter& BusMachine::meter(int index) const {
    return setup_.meters.at(static_cast<std::size_t>(index));
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

BusStatus BusMachine::status() const {
    BusStatus status;
    status.phase = shown_phase_;
    status.reason = reason_;
    status.exchanges = exchanges_;
    status.busy_ms = busy_us_ / 1'000;
    status.meters = static_cast<int>(meters_.size());
    status.meters_online = static_cast<int>(std::count_if(
        meters_.begin(), meters_.end(), [](const MeterState& meter) { return meter.online; }));
    status.since_mono_ms = since_;
    return status;
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
            failures_in_a_row_ = 0;
            for (MeterState& meter : meters_) meter.identity_due = true;
            show(BusPhase::online, "", now);
            return next(now);
        case MachinePhase::reading:
            return on_read(std::get<ReadEnded>(event), now);
        case MachinePhase::quiet:
            return on_listened(std::get<Listened>(event), now);
        case MachinePhase::draining:
            return on_drained(std::get<Drained>(event), now);
        case MachinePhase::closing:
            GH_ASSERT(std::holds_alternative<Closed>(event));
            phase_ = MachinePhase::backoff;
            return on_woken(now);
    }
    GH_ASSERT(false);
}

BusStep BusMachine::on_woken(MonoMs now) {
    if (phase_ == MachinePhase::backoff) {
        return now < connect_at_ ? wait(connect_at_) : connect(now);
    }
    return visit_.meter >= 0 ? read_block(now) : next(now);
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
    for (std::size_t i = 0; i < meters_.size(); ++i) {
        const bool asked = meters_[i].full_wanted;
        if (meters_[i].offline && !asked) continue;
        meters_[i].full_wanted = false;
        fail_meter(static_cast<int>(i), asked ? VisitKind::full : VisitKind::routine,
                   PollResult::not_connected, reason);
    }
    return wait(connect_at_);
}

BusStep BusMachine::close(MonoMs now) {
    visit_ = Visit{};
    phase_ = MachinePhase::closing;
    // A connection that served well is opened again at once; one that did not waits its turn.
    connect_at_ = good_since_connect_ ? now : now + jittered(connect_backoff_ms_);
    if (good_since_connect_) connect_backoff_ms_ = 0;
    good_since_connect_ = false;
    BusAction action;
    action.kind = BusActionKind::close;
    return act(std::move(action));
}

BusStep BusMachine::on_lost(const std::string& reason, MonoMs now) {
    if (!good_since_connect_) show(BusPhase::offline, reason, now);
    if (visit_.meter >= 0) {
        const int meter = visit_.meter;
        MeterState& state = meters_[static_cast<std::size_t>(meter)];
        if (visit_.kind == VisitKind::full) state.full_wanted = false;
        // The first loss after good service is tried again without counting against the meter.
        if (!good_since_connect_ || visit_.kind == VisitKind::full) {
            fail_meter(meter, visit_.kind, PollResult::not_connected, reason);
        }
    }
    return close(now);
}

BusStep BusMachine::next(MonoMs now) {
    phase_ = MachinePhase::idle;
    while (const auto pick = plan_.pick(now)) {
        if (begin_visit(pick->index, now)) return read_block(now);
        GH_ASSERT(plan_.held_until(pick->index) > now);
    }
    return wait(plan_.next_at().value_or(now + setup_.poll_interval_ms));
}

bool BusMachine::begin_visit(int meter, MonoMs now) {
    MeterState& state = meters_[static_cast<std::size_t>(meter)];
    Station& station = station_of(meter);
    const BusMeter& plan = setup_.meters[static_cast<std::size_t>(meter)];
    if (now < station.not_before) {
        plan_.hold(meter, station.not_before);
        return false;
    }
    Visit visit;
    visit.meter = meter;
    visit.kind = state.full_wanted      ? VisitKind::full
                 : state.confirm_wanted ? VisitKind::confirming
                                        : VisitKind::routine;
    if (visit.kind != VisitKind::full && !may_probe(station, now)) return false;
    std::erase_if(station.owed, [&](const Owed& owed) { return owed.asked + kDebtMs <= now; });
    visit.proving = !station.owed.empty();
    if (visit.proving && !proof_for(meter, station)) {
        // The newest debt expires last; until then no reply of this station proves anything.
        MonoMs until = now + 1;
        for (const Owed& owed : station.owed) until = std::max(until, owed.asked + kDebtMs);
        if (visit.kind == VisitKind::full) {
            state.full_wanted = false;
            fail_meter(meter, VisitKind::full, PollResult::timeout,
                       "a late reply may still come and could not be told apart; ask again later");
        }
        hold_station(state.station, until);
        return false;
    }
    if (visit.kind == VisitKind::full) {
        visit.blocks = plan.full;
        visit.required = 0;
    } else {
        visit.blocks = plan.routine;
        visit.required = plan.routine.size();
        visit.identity = state.identity_due && !plan.identity.empty();
        if (visit.identity) {
            visit.blocks.insert(visit.blocks.end(), plan.identity.begin(), plan.identity.end());
        }
    }
    visit_ = std::move(visit);
    return true;
}

BusStep BusMachine::read_block(MonoMs now) {
    const Station& station = station_of(visit_.meter);
    phase_ = MachinePhase::idle;
    if (now < station.not_before) return wait(station.not_before);
    if (visit_.proving) {
        const auto proof = proof_for(visit_.meter, station);
        GH_ASSERT(proof.has_value());
        return read_span(*proof, /*proof=*/true, now);
    }
    if (visit_.next >= visit_.blocks.size()) {  // nothing to read: a profile without blocks
        end_visit(PollResult::ok, "", now);
        return next(now);
    }
    return read_span(visit_.blocks[visit_.next], /*proof=*/false, now);
}

BusStep BusMachine::read_span(const RegisterSpan& span, bool proof, MonoMs now) {
    phase_ = MachinePhase::reading;
    visit_.asked = span;
    visit_.asked_at = now;
    BusAction action;
    action.kind = BusActionKind::read;
    action.meter = visit_.meter;
    action.address = setup_.meters[static_cast<std::size_t>(visit_.meter)].address;
    action.span = span;
    action.proof = proof;
    action.timeout_ms = working_timeout_ms(station_of(visit_.meter));
    return act(std::move(action));
}

BusStep BusMachine::on_read(const ReadEnded& event, MonoMs now) {
    ++exchanges_[static_cast<std::size_t>(event.result)];
    busy_us_ += event.busy_us;
    Station& station = station_of(visit_.meter);
    const BusMeter& plan = setup_.meters[static_cast<std::size_t>(visit_.meter)];
    if (plan.pause_ms > 0) station.not_before = now + plan.pause_ms;
    if (!event.lost.empty() || event.result == PollResult::not_connected) {
        // What was asked may be answered on the next connection: a serial server does that.
        if (!setup_.transaction_numbers && station.owed.size() < kOwedMax) {
            station.owed.push_back({visit_.asked, visit_.asked_at});
        }
        return on_lost(event.lost.empty() ? event.detail : event.lost, now);
    }
    if (event.result == PollResult::ok) return on_good_read(event, now);
    if (is_line_failure(event.result)) return on_line_failure(event, now);
    return on_refusal(event, now);
}

BusStep BusMachine::on_good_read(const ReadEnded& event, MonoMs now) {
    Station& station = station_of(visit_.meter);
    const std::int64_t mean = station.turnaround_mean_us;
    station.turnaround_mean_us =
        mean == 0 ? event.turnaround_us : mean + (event.turnaround_us - mean) / 8;
    station.turnaround_max_us = std::max(station.turnaround_max_us, event.turnaround_us);
    ++station.good;
    answered(station, now);
    if (visit_.proving) {
        // The station answers in order: what it owed came before this reply or never will.
        station.owed.clear();
        visit_.proving = false;
        return read_block(now);
    }
    ++visit_.next;
    if (visit_.next < visit_.blocks.size()) return read_block(now);
    end_visit(PollResult::ok, "", now);
    return next(now);
}

BusStep BusMachine::on_refusal(const ReadEnded& event, MonoMs now) {
    Station& station = station_of(visit_.meter);
    if (event.result == PollResult::gateway_path || event.result == PollResult::gateway_target) {
        failures_in_a_row_ = 0;  // the gateway lives
        good_since_connect_ = true;
        fail_station(event.result, event.detail, event.busy_us, now);
        return next(now);
    }
    answered(station, now);
    MeterState& state = meters_[static_cast<std::size_t>(visit_.meter)];
    if (event.result == PollResult::busy && state.busy_retries < kBusyRetriesMax) {
        ++state.busy_retries;
        hold_station(state.station, now + kBusyRetryMs * state.busy_retries);
        visit_ = Visit{};
        return next(now);
    }
    if (visit_.proving && event.result != PollResult::busy) {
        // A refusal proves nothing (it may be the owed reply) and this proof would be refused
        // again: it is left out from here on, and its own reply is owed as well.
        std::erase(setup_.meters[static_cast<std::size_t>(visit_.meter)].proofs, visit_.asked);
        if (station.owed.size() < kOwedMax) {
            station.owed.push_back({visit_.asked, visit_.asked_at});
        }
        return listen(now);
    }
    if (visit_.next >= visit_.required && !visit_.proving) {
        // What only describes the meter may be refused; the visit goes on without it.
        visit_.identity = false;
        ++visit_.next;
        if (visit_.next < visit_.blocks.size()) return read_block(now);
        end_visit(PollResult::ok, "", now);
        return next(now);
    }
    end_visit(event.result, event.detail, now);
    return next(now);
}

BusStep BusMachine::on_line_failure(const ReadEnded& event, MonoMs now) {
    Station& station = station_of(visit_.meter);
    if (!setup_.transaction_numbers) {
        if (station.owed.size() >= kOwedMax) station.owed.erase(station.owed.begin());
        station.owed.push_back({visit_.asked, visit_.asked_at});
    }
    ++failures_in_a_row_;
    close_after_ = setup_.reconnects && failures_in_a_row_ >= kFailuresReconnect;
    const bool number_decides = setup_.transaction_numbers && event.result == PollResult::timeout;
    quiet_station_ = meters_[static_cast<std::size_t>(visit_.meter)].station;
    quiet_span_ = visit_.asked;
    quiet_asked_at_ = visit_.asked_at;
    quiet_rounds_ = 0;
    const std::int64_t quiet_us = number_decides ? 0 : quiet_ms(station) * 1'000;
    station.good = 0;
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
    if (!event.lost.empty()) return on_lost(event.lost, now);
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
    if (!event.lost.empty()) return on_lost(event.lost, now);
    if (event.bytes > 0 && !setup_.transaction_numbers && ++quiet_rounds_ < kQuietRoundsMax) {
        return listen(now);
    }
    quiet_station_ = -1;
    if (std::exchange(close_after_, false)) {
        failures_in_a_row_ = 0;
        return close(now);
    }
    return next(now);
}

void BusMachine::end_visit(PollResult result, const std::string& detail, MonoMs now) {
    const Visit visit = std::exchange(visit_, Visit{});
    MeterState& state = meters_[static_cast<std::size_t>(visit.meter)];
    state.busy_retries = 0;
    if (visit.kind == VisitKind::full) state.full_wanted = false;
    if (visit.kind == VisitKind::confirming) state.confirm_wanted = false;
    plan_.clear_urgent(visit.meter);
    if (state.full_wanted || state.confirm_wanted) plan_.poll_soon(visit.meter);
    if (visit.kind != VisitKind::full) plan_.done(visit.meter, now);
    if (result != PollResult::ok) {
        fail_meter(visit.meter, visit.kind, result, detail);
        return;
    }
    state.failures = 0;
    if (visit.kind != VisitKind::full) {
        if (!state.online) status_changed_ = true;
        state.online = true;
        state.offline = false;
        state.identity_due = false;
    }
    ended_.push_back({visit.meter, visit.kind, visit.identity, result, detail, false});
}

void BusMachine::fail_meter(int meter, VisitKind kind, PollResult result,
                            const std::string& detail) {
    MeterState& state = meters_[static_cast<std::size_t>(meter)];
    if (kind != VisitKind::full) {
        ++state.failures;
        if (state.failures >= kFailuresOffline && !state.offline) {
            state.offline = true;
            state.online = false;
            state.identity_due = true;
            status_changed_ = true;
        }
    }
    ended_.push_back({meter, kind, false, result, detail, state.offline});
}

void BusMachine::show(BusPhase phase, std::string reason, MonoMs now) {
    if (phase == shown_phase_ && reason == reason_) return;
    if (phase != shown_phase_) since_ = now;
    shown_phase_ = phase;
    reason_ = std::move(reason);
    status_changed_ = true;
}

}  // namespace gatehouse
