// The stations of a bus: who owes a reply, who is asked again when, and what dead ones may cost.
#include <algorithm>
#include <utility>

#include "daemon/core/assert.hpp"
#include "daemon/core/bus_machine.hpp"

namespace gatehouse {
namespace {

constexpr std::int64_t kCreditMaxUs = 10'000'000;  // probes that a long quiet time can save up
constexpr std::int64_t kTimeoutLeastMs = 150;      // the working timeout never falls below
constexpr int kGoodToLearn = 8;                    // replies before a learned timeout is trusted
constexpr std::int64_t kTimeoutMarginMs = 50;      // to what was learned, for a busy machine
constexpr std::size_t kOwedMax = 16;
constexpr std::int64_t kJobCreditMaxUs = 500'000;

// Whatever the table: some meters answer 3 and 4 alike.
bool has_length(const std::vector<RegisterSpan>& spans, int count) {
    return std::any_of(spans.begin(), spans.end(),
                       [&](const RegisterSpan& span) { return span.count == count; });
}

}  // namespace

void BusMachine::index_stations(const std::vector<BusMeter>& meters,
                                const std::vector<Station>& known) {
    for (std::size_t i = 0; i < meters.size(); ++i) {
        const int address = meters[i].address;
        const auto same = [&](const Station& station) { return station.address == address; };
        auto found = std::find_if(stations_.begin(), stations_.end(), same);
        if (found == stations_.end()) {
            const auto before = std::find_if(known.begin(), known.end(), same);
            Station station;
            station.address = address;
            stations_.push_back(before != known.end() ? *before : station);
            found = stations_.end() - 1;
        }
        meters_[i].station = static_cast<int>(found - stations_.begin());
    }
}

bool BusMachine::may_probe(const Station& station, MonoMs now) {
    if (station.online || station.failures < kFailuresOffline) return true;
    if (!any_station_online()) return true;
    const std::int64_t quiet = setup_.transaction_numbers ? 0 : quiet_ms(station);
    const std::int64_t cost_us = (setup_.response_timeout_ms + quiet) * 1'000;
    const std::int64_t needed_us = std::min(cost_us, kCreditMaxUs);
    if (probe_credit_us_ >= needed_us) return true;
    const std::int64_t missing_ms = (needed_us - probe_credit_us_) / 1'000 + 1;
    hold_station(static_cast<int>(&station - stations_.data()),
                 now + missing_ms * 100 / kProbePercent);
    return false;
}

void BusMachine::owe(std::vector<Owed>& owed, const RegisterSpan& span, MonoMs asked) {
    if (setup_.transaction_numbers) return;
    if (owed.size() >= kOwedMax) owed.erase(owed.begin());
    owed.push_back({span, asked});
}

// The last owed reply was heard whole. The station answers in order, so the older ones are settled
// with it, unless one of them has the same length and this may have been that one.
void BusMachine::settle(Station& station) {
    const auto same = std::find_if(station.owed.begin(), station.owed.end(), [&](const Owed& owed) {
        return owed.span.table == quiet_span_.table && owed.span.count == quiet_span_.count;
    });
    if (same == station.owed.end()) return;
    station.owed.erase(station.owed.begin(), same + 1);
}

// The station did not answer: all its meters share the failure, and it is asked again after a
// growing while.
void BusMachine::fail_station(PollResult result, const std::string& detail, std::int64_t cost_us,
                              MonoMs now) {
    const Visit visit = std::exchange(visit_, Visit{});
    meters_[static_cast<std::size_t>(visit.meter)].blocks.end_search();
    const int index = meters_[static_cast<std::size_t>(visit.meter)].station;
    Station& station = stations_[static_cast<std::size_t>(index)];
    ++station.failures;
    if (station.failures >= kFailuresOffline) {
        station.online = false;
        probe_credit_us_ -= cost_us;
    }
    station.backoff_ms =
        station.backoff_ms == 0 ? kBackoffFirstMs : std::min(station.backoff_ms * 2, kBackoffMaxMs);
    std::int64_t delay_ms = jittered(station.backoff_ms);
    if (!any_station_online()) {
        // Nobody else needs the bus: whoever comes back first is found soon.
        delay_ms = std::min(delay_ms, kLonelyProbeMs);
    }
    for (std::size_t i = 0; i < meters_.size(); ++i) {
        if (meters_[i].station != index) continue;
        const int meter = static_cast<int>(i);
        const bool visited = meter == visit.meter;
        const Boxed<Visit> parked = std::exchange(meters_[i].parked, {});
        meters_[i].blocks.end_search();
        const bool full = (visited  ? visit.kind
                           : parked ? parked->kind
                                    : VisitKind::routine) == VisitKind::full;
        if (!visited && !full && meters_[i].offline) continue;
        if (full) meters_[i].full_wanted = false;
        // The urgent lane is for meters that answer; the retry itself will confirm.
        if (visited) plan_.clear_urgent(meter);
        if (meters_[i].full_wanted) plan_.poll_soon(meter);
        plan_.set_due(meter, std::min(plan_.due(meter), now));
        if (full) fail_meter(meter, VisitKind::full, result, detail);
        fail_meter(meter, visited && !full ? visit.kind : VisitKind::routine, result, detail);
    }
    hold_station(index, now + delay_ms);
    show_silence(result, detail, now);
}

// Where nobody answers at all, the bus says what that looks like.
void BusMachine::show_silence(PollResult result, const std::string& detail, MonoMs now) {
    const bool someone = std::any_of(stations_.begin(), stations_.end(), [](const Station& one) {
        return one.online || one.failures < kFailuresOffline;
    });
    if (someone) return;
    if (result == PollResult::gateway_path || result == PollResult::gateway_target) {
        show(BusPhase::online, "the gateway lives, but no meter behind it answers: " + detail, now);
    } else if (!setup_.reconnects) {
        show(BusPhase::online, "the port is open, but no meter on it answers: " + detail, now);
    }
}

void BusMachine::answered(Station& station, MonoMs now) {
    failures_in_a_row_ = 0;
    good_since_connect_ = true;
    silent_ = false;
    if (shown_phase_ != BusPhase::online || !reason_.empty()) show(BusPhase::online, "", now);
    connect_backoff_ms_ = 0;
    const bool alone = !any_station_online();
    const bool was_away = station.failures > 0;
    station.failures = 0;
    station.backoff_ms = 0;
    station.online = true;
    if (!alone || !was_away) return;
    // The whole line was away and is back: the others are asked at once and not after their
    // backoff.
    for (std::size_t i = 0; i < stations_.size(); ++i) {
        if (&stations_[i] == &station || stations_[i].online) continue;
        stations_[i].backoff_ms = 0;
        hold_station(static_cast<int>(i), now);
    }
    probe_credit_us_ = kCreditMaxUs;
}

void BusMachine::hold_station(int station, MonoMs until) {
    for (std::size_t i = 0; i < meters_.size(); ++i) {
        if (meters_[i].station == station) plan_.hold(static_cast<int>(i), until);
    }
}

void BusMachine::accrue_credit(MonoMs now) {
    const std::int64_t passed_ms = std::max<std::int64_t>(now - credit_at_, 0);
    credit_at_ = now;
    job_credit_us_ =
        std::min(kJobCreditMaxUs, job_credit_us_ + passed_ms * 1'000 * kJobPercent / 100);
    probe_credit_us_ =
        std::min(kCreditMaxUs, probe_credit_us_ + passed_ms * 1'000 * kProbePercent / 100);
}

bool BusMachine::may_prove(int meter, const RegisterSpan& proof) const {
    const auto& refused = meters_[static_cast<std::size_t>(meter)].refused_proofs;
    return std::find(refused.begin(), refused.end(), proof) == refused.end();
}

std::optional<RegisterSpan> BusMachine::proof_for(int meter, const Station& station,
                                                  bool fresh) const {
    for (const RegisterSpan& proof : meters_[static_cast<std::size_t>(meter)].values->proofs) {
        if (!may_prove(meter, proof)) continue;
        // Another function code alone would do, but some meters answer 3 and 4 alike: the length
        // must differ from every owed one, whatever the table.
        const bool taken =
            std::any_of(station.owed.begin(), station.owed.end(),
                        [&](const Owed& owed) { return owed.span.count == proof.count; });
        if (taken || (fresh && has_length(station.asked, proof.count))) continue;
        return proof;
    }
    return std::nullopt;
}

bool BusMachine::note_asked(Station& station, const RegisterSpan& span) {
    if (!setup_.gateway) return false;
    std::vector<RegisterSpan>& asked = station.asked;
    const bool settles = !has_length(asked, span.count);
    if (asked.size() >= kAskedMax) asked.erase(asked.begin());
    asked.push_back(span);
    return settles;
}

// Replies come in the order of their questions: all that was asked before was answered or never
// will be.
void BusMachine::settle_asked(Station& station) {
    if (station.asked.size() < 2) return;
    station.asked.erase(station.asked.begin(), station.asked.end() - 1);
}

std::optional<RegisterSpan> BusMachine::guard_for(int meter, const RegisterSpan& span) const {
    const Station& station = station_of(meter);
    const MeterState& state = meters_[static_cast<std::size_t>(meter)];
    const bool alike =
        std::any_of(station.asked.begin(), station.asked.end(), [&](const RegisterSpan& one) {
            return one != span && one.table == span.table && one.count == span.count;
        });
    if (!alike || !state.blocks.vital(span)) return std::nullopt;
    if (const auto proof = proof_for(meter, station, /*fresh=*/true)) return proof;
    for (const RegisterSpan& proof : state.values->proofs) {
        if (proof.count != span.count && may_prove(meter, proof)) return proof;
    }
    return span;
}

std::int64_t BusMachine::working_timeout_ms(const Station& station) const {
    if (station.good < kGoodToLearn || !station.owed.empty()) return setup_.response_timeout_ms;
    const std::int64_t p99_us = station.turnaround.percentile_us(99).value_or(0);
    return std::min(setup_.response_timeout_ms,
                    std::max(kTimeoutLeastMs, 3 * p99_us / 1'000 + kTimeoutMarginMs));
}

std::int64_t BusMachine::char_us() const {
    return setup_.char_us > 0 ? setup_.char_us : learned_char_us_;
}

// Request and reply with their addresses and checksums.
int BusMachine::wire_bytes(const RegisterSpan& span) {
    const bool bits =
        span.table == RegisterTable::coils || span.table == RegisterTable::discrete_inputs;
    return 13 + (bits ? (span.count + 7) / 8 : 2 * span.count);
}

void BusMachine::learn(Station& station, const ReadEnded& event) {
    std::int64_t us = event.turnaround_us;
    if (setup_.char_us == 0) {
        const int bytes = wire_bytes(visit_.asked);
        station.lengths.add(bytes, us);
        us = std::max<std::int64_t>(us - learned_char_us_ * bytes, 0);
        if (learned_from_ < kLearnedFrom && station.lengths.character_us()) {
            std::vector<std::int64_t> said;
            for (const Station& one : stations_) {
                if (const auto character = one.lengths.character_us()) said.push_back(*character);
            }
            if (static_cast<int>(said.size()) > learned_from_) {
                learned_from_ = static_cast<int>(said.size());
                learned_char_us_ = line_character_us(std::move(said));
                // What was learned before counted the bytes as turnaround.
                for (Station& one : stations_) {
                    one.turnaround = {};
                    one.turnaround_mean_us = 0;
                    one.good = 0;
                }
                us = std::max<std::int64_t>(event.turnaround_us - learned_char_us_ * bytes, 0);
            }
        }
    }
    const std::int64_t mean = station.turnaround_mean_us;
    station.turnaround_mean_us = mean == 0 ? us : mean + (us - mean) / 8;
    station.turnaround.add(us);
    response_times_.add(event.turnaround_us);
    ++station.good;
}

std::int64_t BusMachine::quiet_ms(const Station& station) const {
    // With transaction numbers a late reply is known as such, and nobody waits for it.
    if (setup_.transaction_numbers) return setup_.response_timeout_ms;
    return std::max(setup_.response_timeout_ms, station.lateness_ms * 5 / 4);
}

std::int64_t BusMachine::jittered(std::int64_t delay_ms) {
    jitter_state_ ^= jitter_state_ << 13U;  // xorshift64
    jitter_state_ ^= jitter_state_ >> 7U;
    jitter_state_ ^= jitter_state_ << 17U;
    const std::int64_t range = delay_ms / 2;  // three quarters to five quarters of the delay
    if (range <= 0) return delay_ms;
    return delay_ms - range / 2 +
           static_cast<std::int64_t>(jitter_state_ % static_cast<std::uint64_t>(range));
}

BusStatus BusMachine::status(bool with_lines) const {
    BusStatus status;
    status.phase = shown_phase_;
    status.reason = reason_;
    status.exchanges = exchanges_;
    status.busy_ms = busy_us_ / 1'000;
    status.meters = static_cast<int>(meters_.size());
    status.meters_online = static_cast<int>(std::count_if(
        meters_.begin(), meters_.end(), [](const MeterState& meter) { return meter.online; }));
    status.response_times = response_times_;
    status.since_mono_ms = since_;
    status.began_mono_ms = began_;
    if (char_us() > 0) status.character_us = char_us();
    if (!with_lines) return status;
    Turnarounds all;
    for (const Station& station : stations_) all.add(station.turnaround);
    status.turnaround_p50_us = all.percentile_us(50);
    status.turnaround_p99_us = all.percentile_us(99);
    for (std::size_t i = 0; i < meters_.size(); ++i)
        status.lines.push_back(line(static_cast<int>(i)));
    return status;
}

MeterLine BusMachine::line(int meter) const {
    const MeterState& state = meters_[static_cast<std::size_t>(meter)];
    const Station& station = station_of(meter);
    MeterLine line;
    line.meter = state.id;
    line.address = station.address;
    line.online = state.online;
    line.reason = state.reason;
    line.exchanges = state.exchanges;
    line.busy_ms = state.busy_us / 1'000;
    line.turnaround_p50_us = station.turnaround.percentile_us(50);
    line.turnaround_p99_us = station.turnaround.percentile_us(99);
    line.timeout_ms = working_timeout_ms(station);
    line.last_good_mono_ms = state.last_good;
    if (station.failures > 0) line.next_probe_mono_ms = plan_.held_until(meter);
    line.blocks = state.blocks.routine();
    line.set_aside = state.blocks.set_aside();
    return line;
}

bool BusMachine::troubled() const {
    if (any_station_online()) return false;
    return shown_phase_ == BusPhase::offline || silent_ ||
           std::any_of(stations_.begin(), stations_.end(),
                       [](const Station& station) { return station.failures > 0; });
}

bool BusMachine::any_station_online() const {
    return std::any_of(stations_.begin(), stations_.end(),
                       [](const Station& station) { return station.online; });
}

}  // namespace gatehouse
