#include "drivers/modbus/bus_worker.hpp"

#include <algorithm>
#include <utility>

#include "daemon/core/assert.hpp"
#include "drivers/modbus/clock_job.hpp"

namespace gatehouse::modbus {
namespace {

constexpr std::int64_t kConnectLeastMs = 1'000;
constexpr std::int64_t kConnectMostMs = 5'000;
constexpr std::int64_t kRestMs = 1'000;  // of a bus that was told to stop
constexpr std::size_t kSoonMax = 1'024;

std::optional<std::int64_t> millis(const Decoded& decoded, const Rational& factor) {
    if (decoded.result != PollResult::ok) return std::nullopt;
    const auto scaled = multiply(decoded.number, factor);
    const auto rounded = scaled ? round_to_milli(*scaled) : std::nullopt;
    if (!rounded) return std::nullopt;
    return rounded->count;
}

// The meter's calendar in seconds, where it was read and is one.
std::optional<std::int64_t> clock_seconds(const Profile& profile, const RegisterImage& image) {
    if (!profile.clock) return std::nullopt;
    const auto words = image.get(profile.clock->span);
    const auto clock = words ? decode_clock(*profile.clock, *words) : std::nullopt;
    if (!clock) return std::nullopt;
    return calendar_seconds(*clock);
}

std::string valueless_text(const Decoded& billing) {
    return "the billing register holds no reading: " + billing.steps;
}

}  // namespace

BusWorker::BusWorker(BusPlan plan, const Clock& clock, std::uint64_t jitter_seed, SampleSink& sink,
                     std::int64_t run, std::unique_ptr<Link> link)
    : clock_(clock),
      sink_(sink),
      run_(run),
      link_(std::move(link)),
      machine_(BusSetup{}, jitter_seed, clock.mono_ms()) {
    adopt(std::move(plan));
}

void BusWorker::ask_to_stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    link_->wake();
}

void BusWorker::update(BusPlan plan) {
    const std::lock_guard lock(mutex_);
    known_.clear();
    for (const MeterPlan& meter : plan.meters) known_.insert(meter.id);
    new_plan_ = std::move(plan);
}

void BusWorker::poll_soon(const std::string& meter) {
    const std::lock_guard lock(mutex_);
    if (known_.count(meter) == 0 || soon_.size() >= kSoonMax) return;
    if (std::find(soon_.begin(), soon_.end(), meter) == soon_.end()) soon_.push_back(meter);
}

bool BusWorker::read_now(const std::string& meter, ReadHandler handler) {
    const std::lock_guard lock(mutex_);
    if (stopping_ || known_.count(meter) == 0 || reads_.size() >= kReadsWaitingMax) return false;
    reads_.emplace_back(meter, std::move(handler));
    return true;
}

std::string BusWorker::run_job(std::shared_ptr<BusJob> job) {
    const std::lock_guard lock(mutex_);
    if (stopping_) return "the bus ends";
    if (has_job_) return "another search runs on this bus; wait until it is done";
    has_job_ = true;
    new_job_ = std::move(job);
    return "";
}

BusStatus BusWorker::status() const {
    const std::lock_guard lock(machine_mutex_);
    BusStatus status = machine_.status(/*with_lines=*/true);
    status.bus = plan_.id;
    return status;
}

Stamp BusWorker::stamp() const {
    return {run_, clock_.mono_ms(), clock_.wall_ms()};
}

MonoMs BusWorker::turn() {
    {
        const std::lock_guard lock(mutex_);
        if (stopping_) return clock_.mono_ms() + kRestMs;
    }
    take_wishes();
    BusStep step;
    std::optional<BusStatus> told;
    {
        const std::lock_guard lock(machine_mutex_);
        step = machine_.resume(event_, clock_.mono_ms());
        if (step.status_changed) told = machine_.status();
        troubled_ = machine_.troubled();
    }
    for (const VisitEnd& end : step.ended) ended(end);
    if (told) {
        told->bus = plan_.id;
        sink_.bus(std::move(*told));
    }
    waiting_ = step.action.kind == BusActionKind::wait;
    if (waiting_) {
        event_ = Woken{};
        return step.action.until;
    }
    event_ = perform(step.action);
    return clock_.mono_ms();
}

void BusWorker::close() {
    link_->close();
    answer_all("the daemon stops or the bus was changed");
    {
        const std::lock_guard lock(mutex_);
        if (new_job_) job_ = std::exchange(new_job_, nullptr);
    }
    finish_job("the daemon stops or the bus was changed");
}

void BusWorker::adopt(BusPlan plan) {
    std::vector<MeterState> states;
    for (const MeterPlan& meter : plan.meters) {
        if (!meter.profile) continue;
        MeterState state;
        const auto same = std::find_if(meters_.begin(), meters_.end(),
                                       [&](const MeterState& old) { return old.plan == meter; });
        if (same != meters_.end()) {
            state.doubt = same->doubt;
            state.valueless = same->valueless;
        }
        state.plan = meter;
        states.push_back(std::move(state));
    }
    {
        const std::lock_guard lock(machine_mutex_);
        meters_ = std::move(states);
        plan_ = std::move(plan);
        plan_.meters = {};  // they stand in meters_
        machine_.configure(setup(), clock_.mono_ms());
    }
    const std::lock_guard lock(mutex_);
    if (new_plan_) return;  // a still newer one has set them
    known_.clear();
    for (const MeterState& state : meters_) known_.insert(state.plan.id);
}

BusSetup BusWorker::setup() const {
    BusSetup setup;
    setup.poll_interval_ms = plan_.poll_interval_ms;
    setup.response_timeout_ms = plan_.response_timeout_ms;
    setup.reconnects = plan_.settings.transport != Transport::rtu;
    setup.gateway = plan_.settings.transport == Transport::tcp;
    setup.transaction_numbers = setup.gateway && plan_.settings.transaction_id_echoed;
    setup.char_us = line_character_us(plan_.settings);
    setup.gap_ms = plan_.settings.gap_ms;
    for (const MeterState& state : meters_) setup.meters.push_back(plan_meter(state.plan));
    return setup;
}

void BusWorker::take_wishes() {
    std::optional<BusPlan> plan;
    std::vector<std::string> soon;
    std::vector<Waiting> reads;
    std::shared_ptr<BusJob> job;
    {
        const std::lock_guard lock(mutex_);
        // Wishes name meters of the newest plan, so they wait for it.
        if (new_plan_ && !waiting_) return;
        plan = std::exchange(new_plan_, std::nullopt);
        soon = std::exchange(soon_, {});
        reads = std::exchange(reads_, {});
        job = std::exchange(new_job_, nullptr);
    }
    if (plan) {
        adopt(std::move(*plan));
        std::vector<std::string> gone;
        for (const auto& [meter, handlers] : answers_) {
            if (machine_.find(meter) < 0) gone.push_back(meter);
        }
        for (const std::string& meter : gone) {
            ReadResult result;
            result.result = PollResult::not_connected;
            result.detail = "the meter was removed from this bus";
            answer(meter, std::move(result));
        }
    }
    for (Waiting& wish : reads) {
        const int index = machine_.find(wish.first);
        answers_[wish.first].push_back(std::move(wish.second));
        if (index >= 0 && machine_.shown_phase() != BusPhase::offline) {
            const std::lock_guard lock(machine_mutex_);
            machine_.read_full(index);
            continue;
        }
        ReadResult result;
        result.result = PollResult::not_connected;
        result.detail = index < 0 ? "the meter is not on this bus" : machine_.reason();
        answer(wish.first, std::move(result));
    }
    if (job) begin_job(std::move(job));
    const std::lock_guard lock(machine_mutex_);
    for (const std::string& meter : soon) {
        if (const int index = machine_.find(meter); index >= 0) machine_.poll_soon(index);
    }
}

void BusWorker::begin_job(std::shared_ptr<BusJob> job) {
    job_ = std::move(job);
    if (machine_.shown_phase() == BusPhase::offline) {
        finish_job(machine_.reason());
        return;
    }
    const std::lock_guard lock(machine_mutex_);
    machine_.want_job(true);
}

BusEvent BusWorker::perform(const BusAction& action) {
    const Request about{action.address, action.span, action.timeout_ms};
    switch (action.kind) {
        case BusActionKind::wait:
            return Woken{};
        case BusActionKind::connect: {
            std::string reason = link_->connect(
                std::clamp(plan_.response_timeout_ms, kConnectLeastMs, kConnectMostMs));
            line_changed_ = false;
            if (reason.empty()) return Connected{};
            finish_job(reason);
            return ConnectFailed{std::move(reason)};
        }
        case BusActionKind::read:
            return read(action);
        case BusActionKind::listen: {
            Heard heard = link_->listen(action.for_ms, about);
            return Listened{heard.bytes, heard.last_byte_ms, heard.owed_reply,
                            std::move(heard.lost)};
        }
        case BusActionKind::drain: {
            Heard heard = link_->listen(0, about);
            return Drained{heard.bytes, std::move(heard.lost)};
        }
        case BusActionKind::close:
            link_->close();
            return Closed{};
        case BusActionKind::job:
            return turn_job();
    }
    GH_ASSERT(false);
}

ReadEnded BusWorker::read(const BusAction& action) {
    MeterState& meter = meters_.at(static_cast<std::size_t>(action.meter));
    if (action.restart) {
        meter.image.clear();
        meter.traces.clear();
        meter.billing_at.reset();
        meter.refusal.clear();
    }
    const BusSettings& settings = plan_.settings;
    if (std::exchange(line_changed_, false)) {
        (void)link_->set_line(
            {settings.baud, settings.parity, settings.stop_bits, settings.data_bits});
    }
    const Request request{action.address, action.span, action.timeout_ms, action.gap_us};
    const Reply reply = link_->exchange(request);
    if (action.traced && !action.proof) meter.traces.push_back(trace_of(action.span, reply));
    const auto billing = meter.plan.profile->spans(meter.plan.profile->billing, meter.plan.channel);
    const bool bills = !billing.empty() && action.span.contains(billing.front());
    if (reply.result == PollResult::exception && bills) meter.refusal = reply.detail;
    if (reply.result == PollResult::ok && !action.proof) {
        meter.image.set(action.span, reply.words);
        if (bills) {
            // The middle of the reply on the wire: half of its bytes before now.
            const std::int64_t half_ms =
                line_character_us(settings) * (5 + 2 * action.span.count) / 2 / 1'000;
            Stamp at = stamp();
            at.mono_ms -= half_ms;
            at.wall_ms -= half_ms;
            meter.billing_at = at;
        }
    }
    return {reply.result,
            reply.turnaround_us,
            reply.busy_us,
            reply.exception,
            reply.detail,
            reply.lost,
            /*unsent=*/reply.request.empty()};
}

JobTurned BusWorker::turn_job() {
    JobTurned turned;
    if (job_ && !job_exchange_) job_exchange_ = job_->next();
    if (!job_exchange_) {
        finish_job("");
        turned.done = true;
        return turned;
    }
    const JobExchange& wanted = *job_exchange_;
    const MonoMs now = clock_.mono_ms();
    const auto leave = machine_.job_may_ask(wanted.request.address, wanted.request.span, now);
    if (leave.not_before > now) {
        turned.not_before = leave.not_before;
        return turned;
    }
    if (!leave.provable) {
        return refuse_job(
            "an earlier question of this length may still be answered; ask for another number of "
            "registers, or again in half a minute");
    }
    const BusSettings& settings = plan_.settings;
    const LineSettings usual{settings.baud, settings.parity, settings.stop_bits,
                             settings.data_bits};
    if (wanted.line || line_changed_) {
        const LineSettings line = wanted.line.value_or(usual);
        std::string reason = link_->set_line(line);
        if (!reason.empty()) return refuse_job(std::move(reason));
        line_changed_ = line != usual;
    }
    turned.address = wanted.request.address;
    turned.span = wanted.request.span;
    Reply reply = wanted.write ? link_->write(*wanted.write) : link_->exchange(wanted.request);
    if (wanted.listen_ms > 0 && reply.result == PollResult::ok) {
        reply.after = link_->listen(wanted.listen_ms, wanted.request);
        reply.lost = reply.after.lost;
    }
    // What a broken connection was never sent is asked again over the next one, once.
    const bool unsent = !reply.lost.empty() && reply.request.empty();
    turned.lost = reply.lost;
    if (unsent && !std::exchange(job_unsent_, true)) return turned;
    job_unsent_ = false;
    turned.sent = true;
    turned.result = reply.result;
    turned.busy_us = reply.busy_us + wanted.listen_ms * 1'000;
    const JobExchange done = *std::exchange(job_exchange_, std::nullopt);
    job_->ended(done, reply);
    return turned;
}

JobTurned BusWorker::refuse_job(std::string reason) {
    Reply reply;
    reply.result = PollResult::busy;
    reply.detail = std::move(reason);
    const JobExchange refused = *std::exchange(job_exchange_, std::nullopt);
    job_->ended(refused, reply);
    return {};
}

void BusWorker::finish_job(const std::string& reason) {
    job_exchange_.reset();
    job_unsent_ = false;
    const std::shared_ptr<BusJob> job = std::exchange(job_, nullptr);
    if (!job) return;
    {
        const std::lock_guard lock(machine_mutex_);
        machine_.want_job(false);
    }
    {
        const std::lock_guard lock(mutex_);
        has_job_ = false;
    }
    job->finished(reason);
}

void BusWorker::ended(const VisitEnd& end) {
    MeterState& meter = meters_.at(static_cast<std::size_t>(end.meter));
    if (end.kind == VisitKind::full) {
        answer(meter.plan.id, read_result(meter, end));
    } else if (end.result == PollResult::ok) {
        emit(meter, end);
        if (meter.doubt.look(*meter.plan.profile, meter.plan.channel, meter.image)) {
            const std::lock_guard lock(machine_mutex_);
            machine_.identify(end.meter);
        }
    } else {
        emit_failure(meter, end.result, end.detail, end.offline);
    }
    // Nobody looks at it until the next visit, which begins anew.
    meter.image = {};
    meter.traces = {};
}

// A reading is good where the billing register was read and holds a number.
ReadResult BusWorker::read_result(const MeterState& meter, const VisitEnd& end) const {
    ReadResult result;
    result.result = end.result;
    result.detail = end.detail;
    const Profile& profile = *meter.plan.profile;
    const Decoded billing = profile.decode(profile.billing, meter.plan.channel, meter.image);
    if (end.result == PollResult::ok && billing.result != PollResult::ok) {
        const bool refused = billing.result == PollResult::not_connected;
        result.result = refused ? PollResult::exception : billing.result;
        result.detail = refused ? meter.refusal : valueless_text(billing);
    }
    result.values = read_values(meter.plan, meter.image);
    result.exchanges = meter.traces;
    result.image = meter.image;
    return result;
}

// A meter that answers without a number is as good as one that does not: after as many polls it is
// offline to those who want its readings, though its line is well.
void BusWorker::emit_valueless(MeterState& meter, int index, const Decoded& billing) {
    const std::string why = valueless_text(billing);
    {
        const std::lock_guard lock(machine_mutex_);
        machine_.unusable(index, billing.result, why);
    }
    meter.valueless = std::min(meter.valueless + 1, BusMachine::kFailuresOffline);
    emit_failure(meter, billing.result, why, meter.valueless >= BusMachine::kFailuresOffline);
}

void BusWorker::emit(MeterState& meter, const VisitEnd& end) {
    const Profile& profile = *meter.plan.profile;
    const int channel = meter.plan.channel;
    const Decoded billing = profile.decode(profile.billing, channel, meter.image);
    if (billing.result != PollResult::ok) {
        emit_valueless(meter, end.meter, billing);
        return;
    }
    meter.valueless = 0;
    Sample sample;
    sample.meter = meter.plan.id;
    sample.at = meter.billing_at.value_or(stamp());
    sample.register_value = billing.number;
    sample.raw = billing.raw;
    sample.confirming = end.kind == VisitKind::confirming;
    const Decoded power = profile.decode(Measurement::power, channel, meter.image);
    sample.power_milliwatt = millis(power, Rational{1, 1});
    const Decoded flow = profile.decode(Measurement::flow, channel, meter.image);
    sample.flow_millilitre_per_hour = millis(flow, Rational{1'000, 1});
    sample.current_flows =
        sample.power_milliwatt.value_or(0) > 0 || sample.flow_millilitre_per_hour.value_or(0) > 0;
    const Decoded serial = profile.decode(Measurement::serial, channel, meter.image);
    // A meter whose number was never set says 0, as many others do.
    const bool named = serial.text.find_first_not_of("0 ") != std::string::npos;
    if (serial.result == PollResult::ok && named) sample.serial = serial.text;
    sample.own_clock_s = clock_seconds(profile, meter.image);
    sample.device_ratio = profile.device_ratio(channel, meter.image);
    if (auto own = profile.own_prepayment(channel, meter.image)) {
        sample.prepays = own->live;
        sample.prepays_text = std::move(own->text);
    }
    sink_.sample(std::move(sample));
}

void BusWorker::emit_failure(const MeterState& meter, PollResult result, std::string detail,
                             bool offline) {
    PollFailure failure;
    failure.meter = meter.plan.id;
    failure.at = stamp();
    failure.result = result;
    failure.detail = std::move(detail);
    failure.offline = offline;
    sink_.failure(std::move(failure));
}

void BusWorker::answer(const std::string& meter, ReadResult result) {
    const auto found = answers_.find(meter);
    if (found == answers_.end()) return;
    const std::vector<ReadHandler> handlers = std::move(found->second);
    answers_.erase(found);
    result.meter = meter;
    result.bus = plan_.id;
    result.at = stamp();
    for (const MeterState& state : meters_) {
        if (state.plan.id != meter) continue;
        result.profile = state.plan.profile->id;
        result.channel = state.plan.channel;
    }
    for (const ReadHandler& handler : handlers) handler(result);
}

void BusWorker::answer_all(const std::string& reason) {
    {
        const std::lock_guard lock(mutex_);
        for (Waiting& wish : reads_) answers_[wish.first].push_back(std::move(wish.second));
        reads_.clear();
    }
    std::vector<std::string> waiting;
    for (const auto& [meter, handlers] : answers_) waiting.push_back(meter);
    for (const std::string& meter : waiting) {
        ReadResult result;
        result.result = PollResult::not_connected;
        result.detail = reason;
        answer(meter, std::move(result));
    }
}

}  // namespace gatehouse::modbus
