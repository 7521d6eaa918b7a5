// The visits of a bus: whose turn it is, which reads a visit has, and what their replies mean for
// it. The events of the line are in bus_machine.cpp, the stations in bus_stations.cpp.
#include <algorithm>
#include <utility>

#include "daemon/core/assert.hpp"
#include "daemon/core/bus_machine.hpp"

namespace gatehouse {
namespace {

constexpr std::int64_t kBusyRetryMs = 250;
constexpr std::int64_t kTurnaroundUs = 20'000;     // before anything was learned
constexpr std::int64_t kJobPauseMs = 50;           // after a question of a job that was not sent
constexpr std::int64_t kJobCreditMaxUs = 500'000;  // and as much may be owed

bool is_line_failure(PollResult result) {
    return result == PollResult::timeout || result == PollResult::crc ||
           result == PollResult::foreign_frame;
}

}  // namespace

bool BusMachine::job_turn(MonoMs now) const {
    return job_wanted_ && now >= job_at_;
}

BusStep BusMachine::next(MonoMs now) {
    phase_ = MachinePhase::idle;
    for (;;) {
        const auto pick = plan_.pick(now);
        const bool job_first = !pick || (!pick->urgent && job_credit_us_ > 0);
        if (job_first && job_turn(now)) {
            if (used_up(now)) return close(still_serves(), now);
            phase_ = MachinePhase::job;
            BusAction action;
            action.kind = BusActionKind::job;
            return act(std::move(action));
        }
        if (!pick) break;
        if (begin_visit(pick->index, now)) return read_block(now);
        GH_ASSERT(plan_.held_until(pick->index) > now);
    }
    if (used_up(now)) return close(still_serves(), now);
    return wait_for_due(now);
}

BusStep BusMachine::wait_for_due(MonoMs now) {
    MonoMs until = plan_.next_at().value_or(now + setup_.poll_interval_ms);
    if (job_wanted_) until = std::min(until, job_at_);
    return wait(until);
}

bool BusMachine::still_serves() const {
    return good_since_connect_ || failures_in_a_row_ < kFailuresReconnect;
}

bool BusMachine::begin_visit(int meter, MonoMs now) {
    MeterState& state = meters_[static_cast<std::size_t>(meter)];
    Station& station = station_of(meter);
    if (now < station.not_before) {
        plan_.hold(meter, station.not_before);
        return false;
    }
    Visit visit;
    if (state.parked) {
        visit = std::move(*state.parked);
        state.parked.reset();
    } else {
        visit.meter = meter;
        visit.kind = state.full_wanted      ? VisitKind::full
                     : state.confirm_wanted ? VisitKind::confirming
                                            : VisitKind::routine;
        if (visit.kind != VisitKind::full && !may_probe(station, now)) return false;
        visit.reads = reads_of(meter, visit.kind, now);
        visit.identity = std::any_of(visit.reads.begin(), visit.reads.end(), [](const Read& read) {
            return read.purpose == Purpose::identity;
        });
        visit.fresh = true;
    }
    if (!settle_debts(visit, now)) return false;
    visit_ = std::move(visit);
    return true;
}

bool BusMachine::settle_debts(Visit& visit, MonoMs now) {
    MeterState& state = meters_[static_cast<std::size_t>(visit.meter)];
    Station& station = station_of(visit.meter);
    std::erase_if(station.owed, [&](const Owed& owed) { return owed.asked + kDebtMs <= now; });
    visit.proving = !station.owed.empty();
    if (!visit.proving || proof_for(visit.meter, station, /*fresh=*/false)) return true;
    // The newest debt expires last; until then no reply of this station proves anything.
    MonoMs until = now + 1;
    for (const Owed& owed : station.owed) until = std::max(until, owed.asked + kDebtMs);
    if (visit.kind == VisitKind::full) {
        state.full_wanted = false;
        fail_meter(visit.meter, VisitKind::full, PollResult::timeout,
                   "a late reply may still come and could not be told apart; ask again later");
    }
    state.blocks.end_search();
    hold_station(state.station, until);
    return false;
}

std::vector<BusMachine::Read> BusMachine::reads_of(int meter, VisitKind kind, MonoMs now) {
    MeterState& state = meters_[static_cast<std::size_t>(meter)];
    std::vector<Read> reads;
    if (kind == VisitKind::full) {
        for (const RegisterSpan& span : state.values->full) reads.push_back({span, Purpose::full});
        return reads;
    }
    const Station& station = station_of(meter);
    WireCost cost;
    cost.char_us = char_us();
    cost.turnaround_us =
        station.turnaround_mean_us > 0 ? station.turnaround_mean_us : kTurnaroundUs;
    cost.pause_us = std::max(state.pause_ms, setup_.gap_ms) * 1'000;
    (void)state.blocks.plan(cost, now);
    for (const RegisterSpan& span : state.blocks.routine()) {
        reads.push_back({span, Purpose::routine});
    }
    if (state.identity_due || now - state.identity_at >= kIdentityEveryMs) {
        for (const RegisterSpan& span : state.blocks.identity()) {
            reads.push_back({span, Purpose::identity});
        }
    }
    if (const auto again = state.blocks.retry(now)) reads.push_back({*again, Purpose::retry});
    if (const auto shorter = learning_read(meter)) {
        reads.push_back({*shorter, Purpose::learning});
    }
    return reads;
}

// Where the speed of the line is not known and this station has answered one length only: a read of
// another length, a few times.
std::optional<RegisterSpan> BusMachine::learning_read(int meter) const {
    const Station& station = station_of(meter);
    if (setup_.char_us > 0 || learned_from_ >= kLearnedFrom || learning_reads_ >= kLearningReads) {
        return std::nullopt;
    }
    if (station.good == 0 || station.lengths.character_us()) return std::nullopt;
    for (const RegisterSpan& proof : meters_[static_cast<std::size_t>(meter)].values->proofs) {
        if (!may_prove(meter, proof)) continue;
        if (wire_bytes(proof) + LengthTimes::kBytesApart <= station.lengths.longest_bytes()) {
            return proof;
        }
    }
    return std::nullopt;
}

BusStep BusMachine::go_on(MonoMs now) {
    const int meter = visit_.meter;
    MeterState& state = meters_[static_cast<std::size_t>(meter)];
    if (!visit_.proving && !state.blocks.searching() && visit_.next >= visit_.reads.size()) {
        end_visit(PollResult::ok, "", now);
        return next(now);
    }
    const Station& station = station_of(meter);
    bool park = now < station.not_before;
    if (park) plan_.hold(meter, station.not_before);
    if (!park && visit_.kind == VisitKind::full) {
        // Many reads for one person: who waits for a confirmation goes between them.
        plan_.yielded(meter, now);
        const auto pick = plan_.pick(now);
        park = pick && pick->urgent && pick->index != meter;
    }
    if (!park) return read_block(now);
    state.parked = std::exchange(visit_, Visit{});
    return next(now);
}

BusStep BusMachine::read_block(MonoMs now) {
    if (used_up(now)) {
        park_visit();
        return close(still_serves(), now);
    }
    const Station& station = station_of(visit_.meter);
    const MeterState& state = meters_[static_cast<std::size_t>(visit_.meter)];
    visit_.guarding = false;
    if (visit_.proving) {
        auto proof = proof_for(visit_.meter, station, /*fresh=*/true);
        if (!proof) proof = proof_for(visit_.meter, station, /*fresh=*/false);
        GH_ASSERT(proof.has_value());
        return read_span(*proof, /*proof=*/true, now);
    }
    if (state.blocks.searching()) {
        return read_span(state.blocks.search_read(), /*proof=*/false, now);
    }
    if (visit_.next >= visit_.reads.size()) {  // nothing to read: a profile without values
        end_visit(PollResult::ok, "", now);
        return next(now);
    }
    const Read& read = visit_.reads[visit_.next];
    if (const auto guard = guard_for(visit_.meter, read.span)) {
        visit_.guarding = true;
        return read_span(*guard, /*proof=*/true, now);
    }
    if (read.purpose == Purpose::learning) ++learning_reads_;
    return read_span(read.span, read.purpose == Purpose::learning, now);
}

BusStep BusMachine::read_span(const RegisterSpan& span, bool proof, MonoMs now) {
    phase_ = MachinePhase::reading;
    ++asked_;
    visit_.asked = span;
    visit_.asked_at = now;
    Station& station = station_of(visit_.meter);
    visit_.settles = note_asked(station, span);
    BusAction action;
    action.kind = BusActionKind::read;
    action.meter = visit_.meter;
    action.address = station.address;
    action.span = span;
    action.proof = proof;
    action.restart = !proof && std::exchange(visit_.fresh, false);
    action.traced = visit_.kind == VisitKind::full;
    action.timeout_ms = working_timeout_ms(station);
    // The link adds the time of the bytes itself where it was told the line's speed.
    if (setup_.char_us == 0) {
        action.timeout_ms += char_us() * wire_bytes(span) / 1'000;
        // 3.5 characters, and 1.75 ms above 19200 baud, as frame_gap_us() has it.
        if (char_us() > 0) action.gap_us = std::max<std::int64_t>((char_us() * 7 + 1) / 2, 1'750);
    }
    return act(std::move(action));
}

BusStep BusMachine::on_read(const ReadEnded& event, MonoMs now) {
    const auto result = static_cast<std::size_t>(event.result);
    ++exchanges_[result];
    busy_us_ += event.busy_us;
    Station& station = station_of(visit_.meter);
    MeterState& state = meters_[static_cast<std::size_t>(visit_.meter)];
    ++state.exchanges[result];
    state.busy_us += event.busy_us;
    if (state.pause_ms > 0) station.not_before = now + state.pause_ms;
    if (!event.lost.empty() || event.result == PollResult::not_connected) {
        // What was asked may be answered on the next connection: a serial server does that.
        if (!event.unsent) owe(station.owed, visit_.asked, visit_.asked_at);
        return on_lost(event.lost.empty() ? event.detail : event.lost, event.unsent, now);
    }
    if (!is_line_failure(event.result)) ++replies_;
    if (event.result == PollResult::ok) return on_good_read(event, now);
    if (is_line_failure(event.result)) return on_line_failure(event, now);
    return on_refusal(event, now);
}

BusStep BusMachine::on_good_read(const ReadEnded& event, MonoMs now) {
    Station& station = station_of(visit_.meter);
    MeterState& state = meters_[static_cast<std::size_t>(visit_.meter)];
    learn(station, event);
    answered(station, now);
    if (visit_.settles) settle_asked(station);
    state.busy_retries = 0;
    if (visit_.guarding) return go_on(now);
    if (visit_.proving) {
        // The station answers in order: what it owed came before this reply or never will.
        station.owed.clear();
        visit_.proving = false;
        return go_on(now);
    }
    if (state.blocks.searching()) {
        visit_.losses = 0;
        const auto verdict = state.blocks.search_answered(/*refused=*/false, state.reason, now);
        if (verdict == MeterBlocks::Verdict::settled) begin_anew(now);
        return go_on(now);
    }
    visit_.losses = 0;
    const Read& read = visit_.reads[visit_.next];
    if (read.purpose == Purpose::retry) state.blocks.retried(read.span, false, "", now);
    visit_.refusals = 0;
    ++visit_.next;
    return go_on(now);
}

// What was set aside is out of the plan: the rest of the visit is read by the new one.
void BusMachine::begin_anew(MonoMs now) {
    const bool describing =
        visit_.next < visit_.reads.size() && visit_.reads[visit_.next].purpose == Purpose::identity;
    std::vector<Read> reads = reads_of(visit_.meter, visit_.kind, now);
    if (describing) {
        // The values of the poll were read already.
        std::erase_if(reads, [](const Read& read) { return read.purpose == Purpose::routine; });
        visit_.identity = false;
    }
    visit_.fresh = visit_.fresh || !describing;
    visit_.reads = std::move(reads);
    visit_.next = 0;
}

BusStep BusMachine::on_refusal(const ReadEnded& event, MonoMs now) {
    Station& station = station_of(visit_.meter);
    if (event.result == PollResult::gateway_path || event.result == PollResult::gateway_target) {
        failures_in_a_row_ = 0;  // the gateway lives
        good_since_connect_ = true;
        silent_ = false;
        // Of a meter that answers, one silence behind the gateway costs no more than its block.
        MeterState& state = meters_[static_cast<std::size_t>(visit_.meter)];
        if (station.online && station.failures == 0 && state.busy_retries == 0) {
            return ask_again(now);
        }
        state.busy_retries = 0;
        fail_station(event.result, event.detail, event.busy_us, now);
        return next(now);
    }
    answered(station, now);
    MeterState& state = meters_[static_cast<std::size_t>(visit_.meter)];
    if (event.result == PollResult::busy && state.busy_retries < kBusyRetriesMax) {
        return ask_again(now);
    }
    // The question itself, asked before the one that counts, is refused as that would be.
    visit_.guarding = visit_.guarding && visit_.asked != visit_.reads[visit_.next].span;
    const bool proof = visit_.proving || visit_.guarding;
    if (proof && event.result != PollResult::busy) {
        // A refusal proves nothing (it may be the owed reply) and this proof would be refused
        // again: it is left out from here on, and its own reply is owed as well.
        state.refused_proofs.push_back(visit_.asked);
        owe(station.owed, visit_.asked, visit_.asked_at);
        return listen(now);
    }
    if (!proof && event.result == PollResult::exception) {
        return on_block_refused(event, now);
    }
    end_visit(event.result, event.detail, now);
    return next(now);
}

// The same block, after a pause that grows; what was read of the visit stays.
BusStep BusMachine::ask_again(MonoMs now) {
    MeterState& state = meters_[static_cast<std::size_t>(visit_.meter)];
    ++state.busy_retries;
    hold_station(state.station, now + kBusyRetryMs * state.busy_retries);
    park_visit();
    return next(now);
}

BusStep BusMachine::on_block_refused(const ReadEnded& event, MonoMs now) {
    MeterState& state = meters_[static_cast<std::size_t>(visit_.meter)];
    const Read read = visit_.reads[visit_.next];
    const bool planned = read.purpose == Purpose::routine || read.purpose == Purpose::identity;
    if (planned && blames_block(event.exception)) {
        // It has no length to be told by: behind a gateway it may be another question's, and what
        // would be given up for it is the length that tells this block's replies from others.
        const bool first = !state.blocks.searching() && state.blocks.vital(read.span);
        if (setup_.gateway && first && ++visit_.refusals < kRefusalsBelieved) return go_on(now);
        visit_.refusals = 0;
        state.reason = event.detail;
        const auto verdict = state.blocks.searching()
                                 ? state.blocks.search_answered(true, event.detail, now)
                                 : state.blocks.refused(read.span, event.detail, now);
        if (verdict == MeterBlocks::Verdict::settled) begin_anew(now);
        if (verdict != MeterBlocks::Verdict::hopeless) return go_on(now);
        end_visit(event.result, event.detail, now);
        return next(now);
    }
    state.blocks.end_search();
    if (read.purpose == Purpose::routine && state.blocks.vital(read.span)) {
        end_visit(event.result, event.detail, now);
        return next(now);
    }
    // The visit goes on without what may be missing.
    if (read.purpose == Purpose::identity) visit_.identity = false;
    if (read.purpose == Purpose::retry) state.blocks.retried(read.span, true, event.detail, now);
    if (read.purpose == Purpose::learning) {
        state.refused_proofs.push_back(read.span);
    }
    ++visit_.next;
    return go_on(now);
}

void BusMachine::end_visit(PollResult result, const std::string& detail, MonoMs now) {
    const Visit visit = std::exchange(visit_, Visit{});
    MeterState& state = meters_[static_cast<std::size_t>(visit.meter)];
    state.busy_retries = 0;
    state.blocks.end_search();
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
    losses_ = 0;
    if (visit.kind != VisitKind::full) {
        if (!state.online) {
            status_changed_ = true;
            if (state.last_good) state.blocks.try_all_again(now);
            // Behind a gateway a refusal may have been another question's, as what is set aside.
            if (setup_.gateway) state.refused_proofs.clear();
        }
        state.online = true;
        state.offline = false;
        // Asked for while a visit without it was under way, it is still due.
        const bool asked =
            std::any_of(visit.reads.begin(), visit.reads.end(),
                        [](const Read& read) { return read.purpose == Purpose::identity; });
        if (asked || state.blocks.identity().empty()) {
            state.identity_at = now;
            state.identity_due = false;
        }
        state.last_good = now;
        state.reason.clear();
    }
    ended_.push_back({visit.meter, visit.kind, visit.identity, result, detail, false});
}

void BusMachine::fail_meter(int meter, VisitKind kind, PollResult result,
                            const std::string& detail) {
    MeterState& state = meters_[static_cast<std::size_t>(meter)];
    state.reason = detail;
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

void BusMachine::unusable(int meter, PollResult result, const std::string& detail) {
    MeterState& state = meters_.at(static_cast<std::size_t>(meter));
    ++exchanges_[static_cast<std::size_t>(result)];
    ++state.exchanges[static_cast<std::size_t>(result)];
    state.reason = detail;
}

BusMachine::JobLeave BusMachine::job_may_ask(int address, const RegisterSpan& span,
                                             MonoMs now) const {
    const auto answers = [&](const Owed& owed) {
        return owed.span.count == span.count && owed.asked + kDebtMs > now;
    };
    for (const Station& station : stations_) {
        if (station.address != address) continue;
        return {std::none_of(station.owed.begin(), station.owed.end(), answers),
                station.not_before};
    }
    return {std::none_of(guests_.begin(), guests_.end(),
                         [&](const Guest& guest) {
                             return guest.address == address && answers(guest.owed);
                         }),
            now};
}

BusStep BusMachine::on_job(const JobTurned& event, MonoMs now) {
    if (event.done) {
        job_wanted_ = false;
        return next(now);
    }
    if (!event.sent) {
        job_at_ = std::max(event.not_before, now + kJobPauseMs);
        return event.lost.empty() ? next(now) : on_lost(event.lost, /*unsent=*/true, now);
    }
    ++asked_;
    busy_us_ += event.busy_us;
    job_credit_us_ = std::max(job_credit_us_ - event.busy_us, -kJobCreditMaxUs);
    const auto known = std::find_if(stations_.begin(), stations_.end(), [&](const Station& one) {
        return one.address == event.address;
    });
    const bool broken = !event.lost.empty() || is_line_failure(event.result);
    if (known != stations_.end()) {
        for (std::size_t i = 0; i < meters_.size(); ++i) {
            if (&station_of(static_cast<int>(i)) != &*known) continue;
            known->not_before = std::max(known->not_before, now + meters_[i].pause_ms);
        }
        const bool settles = note_asked(*known, event.span);
        if (settles && event.result == PollResult::ok) settle_asked(*known);
        if (broken) owe(known->owed, event.span, now);
        // A reply of a length that nobody else owes came after whatever was owed.
        if (event.result == PollResult::ok) known->owed.clear();
    } else if (event.result == PollResult::ok) {
        std::erase_if(guests_, [&](const Guest& one) { return one.address == event.address; });
    } else if (broken && !setup_.transaction_numbers) {
        std::erase_if(guests_, [&](const Guest& one) { return one.owed.asked + kDebtMs <= now; });
        if (guests_.size() >= kGuestsMax) guests_.erase(guests_.begin());
        guests_.push_back({event.address, {event.span, now}});
    }
    if (!event.lost.empty()) return on_lost(event.lost, /*unsent=*/false, now);
    if (!broken) {
        ++replies_;
        failures_in_a_row_ = 0;
        good_since_connect_ = true;
        return next(now);
    }
    if (event.result == PollResult::timeout) return next(now);
    phase_ = MachinePhase::draining;
    quiet_station_ = -1;
    BusAction action;
    action.kind = BusActionKind::drain;
    action.address = event.address;
    action.span = event.span;
    return act(std::move(action));
}

}  // namespace gatehouse
