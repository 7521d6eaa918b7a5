#include "drivers/modbus/bus_worker.hpp"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "daemon/core/assert.hpp"

namespace gatehouse::modbus {
namespace {

constexpr std::int64_t kWaitSliceMs = 5'000;  // a waiting worker still shows that it lives
constexpr std::int64_t kConnectLeastMs = 1'000;
constexpr std::int64_t kConnectMostMs = 5'000;
constexpr std::int64_t kTurnaroundUs = 20'000;  // before anything was learned
constexpr std::int64_t kTurnMarginMs = 10'000;  // of a turn, for a machine that is busy
constexpr std::size_t kSoonMax = 1'024;

std::optional<std::int64_t> millis(const Decoded& decoded, const Rational& factor) {
    if (decoded.result != PollResult::ok) return std::nullopt;
    const auto scaled = multiply(decoded.number, factor);
    const auto rounded = scaled ? round_to_milli(*scaled) : std::nullopt;
    if (!rounded) return std::nullopt;
    return rounded->count;
}

}  // namespace

BusWorker::BusWorker(BusPlan plan, const Clock& clock, std::uint64_t jitter_seed, SampleSink& sink,
                     std::int64_t run, std::unique_ptr<Link> link)
    : clock_(clock), sink_(sink), run_(run), jitter_seed_(jitter_seed), link_(std::move(link)) {
    adopt(nullptr, std::move(plan));
    status_.bus = plan_.id;
    status_.meters = static_cast<int>(meters_.size());
    beat_ = clock_.mono_ms();
    thread_ = std::thread([this] { this->run(); });
}

BusWorker::~BusWorker() {
    ask_to_stop();
    join();
}

void BusWorker::ask_to_stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    condition_.notify_all();
    link_->wake();
}

void BusWorker::join() {
    if (thread_.joinable()) thread_.join();
}

void BusWorker::update(BusPlan plan) {
    const std::lock_guard lock(mutex_);
    known_.clear();
    for (const MeterPlan& meter : plan.meters) known_.insert(meter.id);
    new_plan_ = std::move(plan);
    condition_.notify_all();
}

void BusWorker::poll_soon(const std::string& meter) {
    const std::lock_guard lock(mutex_);
    if (known_.count(meter) == 0 || soon_.size() >= kSoonMax) return;
    if (std::find(soon_.begin(), soon_.end(), meter) == soon_.end()) soon_.push_back(meter);
    condition_.notify_all();
}

bool BusWorker::read_now(const std::string& meter, ReadHandler handler) {
    const std::lock_guard lock(mutex_);
    if (stopping_ || known_.count(meter) == 0 || reads_.size() >= kReadsWaitingMax) return false;
    reads_.emplace_back(meter, std::move(handler));
    condition_.notify_all();
    return true;
}

BusStatus BusWorker::status() const {
    const std::lock_guard lock(mutex_);
    return status_;
}

Heartbeat BusWorker::heartbeat() const {
    Heartbeat heartbeat;
    const std::lock_guard lock(mutex_);
    heartbeat.bus = status_.bus;
    heartbeat.mono_ms = beat_;
    // The longest turn is a quiet time after a station that was once as late as can be.
    heartbeat.allowed_ms = std::max(kWaitSliceMs, 2 * BusMachine::kDebtMs) + kTurnMarginMs;
    return heartbeat;
}

Stamp BusWorker::stamp() const {
    return {run_, clock_.mono_ms(), clock_.wall_ms()};
}

void BusWorker::run() {
    const std::string name = "bus-" + plan_.id.substr(0, 11);  // the kernel keeps 15 characters
    (void)::pthread_setname_np(::pthread_self(), name.c_str());
    BusMachine machine(setup_of(nullptr), jitter_seed_, clock_.mono_ms());
    BusEvent event = Woken{};
    bool waiting = true;
    for (;;) {
        beat_ = clock_.mono_ms();
        {
            const std::lock_guard lock(mutex_);
            if (stopping_) break;
        }
        take_wishes(machine, waiting);
        const BusStep step = machine.resume(event, clock_.mono_ms());
        for (const VisitEnd& end : step.ended) ended(machine, end);
        if (step.status_changed || !step.ended.empty()) publish(machine, step.status_changed);
        waiting = step.action.kind == BusActionKind::wait;
        event = perform(step.action);
    }
    link_->close();
    answer_all("the daemon stops or the bus was changed");
}

void BusWorker::adopt(BusMachine* machine, BusPlan plan) {
    std::vector<MeterState> states;
    for (const MeterPlan& meter : plan.meters) {
        if (!meter.profile) continue;
        MeterState state;
        const auto same = std::find_if(meters_.begin(), meters_.end(),
                                       [&](const MeterState& old) { return old.plan == meter; });
        if (same != meters_.end()) {
            state.caution = same->caution;
            state.serial = same->serial;
            state.register_value = same->register_value;
            state.aside = same->aside;
        }
        state.plan = meter;
        states.push_back(std::move(state));
    }
    meters_ = std::move(states);
    plan_ = std::move(plan);
    if (machine != nullptr) machine->configure(setup_of(machine), clock_.mono_ms());
    const std::lock_guard lock(mutex_);
    if (new_plan_) return;  // a still newer one has set them
    known_.clear();
    for (const MeterState& state : meters_) known_.insert(state.plan.id);
}

BusSetup BusWorker::setup_of(const BusMachine* machine) const {
    BusSetup setup;
    setup.poll_interval_ms = plan_.poll_interval_ms;
    setup.response_timeout_ms = plan_.response_timeout_ms;
    setup.reconnects = plan_.settings.transport != Transport::rtu;
    setup.transaction_numbers =
        plan_.settings.transport == Transport::tcp && plan_.settings.transaction_id_echoed;
    for (const MeterState& state : meters_) {
        const int index = machine != nullptr ? machine->find(state.plan.id) : -1;
        std::int64_t turnaround_us = index >= 0 ? machine->turnaround_us(index) : 0;
        if (turnaround_us == 0) turnaround_us = kTurnaroundUs;
        setup.meters.push_back(
            plan_meter(state.plan, plan_.settings, turnaround_us, state.caution, state.aside));
    }
    return setup;
}

void BusWorker::take_wishes(BusMachine& machine, bool may_configure) {
    std::optional<BusPlan> plan;
    std::vector<std::string> soon;
    std::vector<Waiting> reads;
    {
        const std::lock_guard lock(mutex_);
        // Wishes name meters of the newest plan, so they wait for it.
        if (new_plan_ && !may_configure) return;
        plan = std::exchange(new_plan_, std::nullopt);
        soon = std::exchange(soon_, {});
        reads = std::exchange(reads_, {});
    }
    if (plan) {
        adopt(&machine, std::move(*plan));
        publish(machine, /*tell=*/true);
        std::vector<std::string> gone;
        for (const auto& [meter, handlers] : answers_) {
            if (machine.find(meter) < 0) gone.push_back(meter);
        }
        for (const std::string& meter : gone) {
            ReadResult result;
            result.result = PollResult::not_connected;
            result.detail = "the meter was removed from this bus";
            answer(meter, std::move(result));
        }
    }
    for (const std::string& meter : soon) {
        if (const int index = machine.find(meter); index >= 0) machine.poll_soon(index);
    }
    const BusStatus status = machine.status();
    for (Waiting& wish : reads) {
        const int index = machine.find(wish.first);
        answers_[wish.first].push_back(std::move(wish.second));
        if (index >= 0 && status.phase != BusPhase::offline) {
            machine.read_full(index);
            continue;
        }
        ReadResult result;
        result.result = PollResult::not_connected;
        result.detail = index < 0 ? "the meter is not on this bus" : status.reason;
        answer(wish.first, std::move(result));
    }
}

BusEvent BusWorker::perform(const BusAction& action) {
    const Request about{action.address, action.span, action.timeout_ms};
    switch (action.kind) {
        case BusActionKind::wait:
            wait_until(action.until);
            return Woken{};
        case BusActionKind::connect: {
            std::string reason = link_->connect(
                std::clamp(plan_.response_timeout_ms, kConnectLeastMs, kConnectMostMs));
            if (!reason.empty()) return ConnectFailed{std::move(reason)};
            return Connected{};
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
    }
    GH_ASSERT(false);
}

ReadEnded BusWorker::read(const BusAction& action) {
    MeterState& meter = meters_.at(static_cast<std::size_t>(action.meter));
    const Request request{action.address, action.span, action.timeout_ms};
    const Reply reply = link_->exchange(request);
    meter.last_asked = action.span;
    meter.last_exception = reply.exception;
    if (!action.proof) {
        meter.traces.push_back(trace_of(action.span, reply));
        if (reply.result == PollResult::ok) {
            meter.image.set(action.span, reply.words);
            const auto billing =
                meter.plan.profile->spans(meter.plan.profile->billing, meter.plan.channel);
            if (!billing.empty() && action.span.contains(billing.front())) {
                // The middle of the reply on the wire: half of its bytes before now.
                const std::int64_t half_ms =
                    line_character_us(plan_.settings) * (5 + 2 * action.span.count) / 2 / 1'000;
                Stamp at = stamp();
                at.mono_ms -= half_ms;
                at.wall_ms -= half_ms;
                meter.billing_at = at;
            }
        }
    }
    return {reply.result, reply.turnaround_us, reply.busy_us, reply.detail, reply.lost};
}

void BusWorker::wait_until(MonoMs until) {
    const std::int64_t left_ms = std::min(until - clock_.mono_ms(), kWaitSliceMs);
    if (left_ms <= 0) return;
    std::unique_lock lock(mutex_);
    condition_.wait_for(lock, std::chrono::milliseconds(left_ms), [&] {
        return stopping_ || new_plan_ || !soon_.empty() || !reads_.empty();
    });
}

void BusWorker::ended(BusMachine& machine, const VisitEnd& end) {
    MeterState& meter = meters_.at(static_cast<std::size_t>(end.meter));
    if (end.kind == VisitKind::full) {
        ReadResult result;
        result.result = end.result;
        result.detail = end.detail;
        result.values = read_values(meter.plan, meter.image);
        result.exchanges = meter.traces;
        answer(meter.plan.id, std::move(result));
    } else if (end.result == PollResult::ok) {
        emit(meter, end);
        doubt_identity(machine, end);
    } else if (!more_cautious(machine, end.meter, end)) {
        emit_failure(meter, end.result, end.detail, end.offline);
    }
    meter.image.clear();
    meter.traces.clear();
    meter.billing_at.reset();
}

// An exception may be the fault of one register in a block: the block is taken apart step by step,
// and what is refused alone and is not the billing register is put aside.
bool BusWorker::more_cautious(BusMachine& machine, int index, const VisitEnd& end) {
    if (end.result != PollResult::exception) return false;
    MeterState& meter = meters_[static_cast<std::size_t>(index)];
    // Function, address and value are the block's fault; the other codes are the meter's state.
    if (meter.last_exception < 1 || meter.last_exception > 3) return false;
    const Profile& profile = *meter.plan.profile;
    const auto needed = profile.spans(profile.billing, meter.plan.channel);
    const bool alone = std::find(needed.begin(), needed.end(), meter.last_asked) != needed.end();
    if (alone) return false;
    if (meter.caution < 2) {
        ++meter.caution;
    } else {
        meter.aside.push_back(meter.last_asked);
    }
    std::int64_t turnaround_us = machine.turnaround_us(index);
    if (turnaround_us == 0) turnaround_us = kTurnaroundUs;
    machine.replan(
        index, plan_meter(meter.plan, plan_.settings, turnaround_us, meter.caution, meter.aside),
        clock_.mono_ms());
    return true;
}

// A serial number that is not the one of last time is read once more: twice alike it is believed.
// A register that fell may be another meter's, so that the serial number is asked for as well.
void BusWorker::doubt_identity(BusMachine& machine, const VisitEnd& end) {
    MeterState& meter = meters_[static_cast<std::size_t>(end.meter)];
    const Profile& profile = *meter.plan.profile;
    const int channel = meter.plan.channel;
    const Decoded billing = profile.decode(profile.billing, channel, meter.image);
    bool doubt = false;
    if (billing.result == PollResult::ok) {
        doubt = meter.register_value && compare(billing.number, *meter.register_value) < 0;
        meter.register_value = billing.number;
    }
    if (end.identity) {
        const Decoded serial = profile.decode(Measurement::serial, channel, meter.image);
        doubt = doubt || (serial.result == PollResult::ok && serial.text != meter.serial);
        if (serial.result == PollResult::ok) meter.serial = serial.text;
    }
    if (doubt) machine.identify(end.meter);
}

void BusWorker::emit(const MeterState& meter, const VisitEnd& end) {
    const Profile& profile = *meter.plan.profile;
    const int channel = meter.plan.channel;
    const Decoded billing = profile.decode(profile.billing, channel, meter.image);
    if (billing.result != PollResult::ok) {
        emit_failure(meter, billing.result, billing.steps, /*offline=*/false);
        return;
    }
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
    if (end.identity) {
        const Decoded serial = profile.decode(Measurement::serial, channel, meter.image);
        // A meter whose number was never set says 0, as many others do.
        const bool named = serial.text.find_first_not_of("0 ") != std::string::npos;
        if (serial.result == PollResult::ok && named) sample.serial = serial.text;
    }
    sample.device_ratio = profile.device_ratio(channel, meter.image);
    const Decoded balance = profile.decode(Measurement::own_balance, channel, meter.image);
    if (balance.result == PollResult::ok) sample.own_balance = balance.number;
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
        if (state.plan.id == meter) result.profile = state.plan.profile->id;
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

void BusWorker::publish(const BusMachine& machine, bool tell) {
    BusStatus status = machine.status();
    status.bus = plan_.id;
    {
        const std::lock_guard lock(mutex_);
        status_ = status;
    }
    if (tell) sink_.bus(std::move(status));
}

}  // namespace gatehouse::modbus
