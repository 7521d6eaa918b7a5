// A Modbus TCP gateway that is out of step: it answers each question with the reply to the one
// before, under the right transaction number, for as long as it likes. What tells the replies
// apart then is their length alone.
#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "daemon/core/bus_machine.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;

namespace {

constexpr RegisterTable kIn = RegisterTable::input;
constexpr RegisterSpan kFirst{kIn, 0x042C, 4}, kSecond{kIn, 0x0430, 4};
constexpr RegisterSpan kBoth{kIn, 0x042C, 8};
constexpr RegisterSpan kPulses{kIn, 0x0426, 2}, kMorePulses{kIn, 0x0428, 2};

// Two water meters on one pulse module, as drivers/meters/wirenboard-mwac2.toml has them.
BusMeter channel(int number, std::vector<RegisterSpan> proofs) {
    BusMeter meter;
    meter.id = "w" + std::to_string(number);
    meter.address = 7;
    meter.routine = meter.vital = {number == 0 ? kFirst : kSecond};
    meter.full = {number == 0 ? kPulses : kMorePulses, meter.routine.front()};
    meter.channels = {{kFirst}, {kSecond}};
    meter.channel = static_cast<std::size_t>(number);
    meter.channels_vital = {kFirst, kSecond};
    meter.known = {kPulses, kMorePulses, kFirst, kSecond};
    meter.proofs = std::move(proofs);
    return meter;
}

const std::vector<RegisterSpan> kProofs{kPulses, {kIn, 0x0426, 4}, kBoth, {kIn, 0x042C, 3}};

BusSetup setup(const std::vector<RegisterSpan>& proofs = kProofs) {
    BusSetup setup;
    setup.poll_interval_ms = 1'000;
    setup.response_timeout_ms = 500;
    setup.char_us = 1'042;
    setup.reconnects = setup.transaction_numbers = setup.gateway = true;
    for (int i = 0; i < 2; ++i) setup.meters.push_back(channel(i, proofs));
    return setup;
}

class ShiftedGateway {
  public:
    using Refuses = std::function<bool(const RegisterSpan&)>;
    explicit ShiftedGateway(Refuses refuses = nullptr) : refuses_(std::move(refuses)) {}
    MonoMs now = 0;
    int questions = 0, proofs = 0, refusals = 0;
    bool loses_next = false;
    int refuses_next = 0;  // so many questions, in place of their replies
    // By meter: polls that ended well, and those of them with another register's words.
    std::map<int, int> samples, false_samples;

    // Somebody else's refusal comes before what is asked next, and what is asked stays behind.
    void insert_refusal() { held_.push_back(std::nullopt); }
    void insert(const RegisterSpan& span) { held_.push_back(span); }

    void run_for(BusMachine& machine, std::int64_t for_ms) {
        const MonoMs until = now + for_ms;
        while (now < until) {
            const BusStep step = machine.resume(event_, now);
            for (const VisitEnd& end : step.ended) judge(end);
            event_ = perform(step.action);
        }
    }
    void forget() {
        samples.clear();
        false_samples.clear();
        questions = proofs = refusals = 0;
    }

  private:
    void judge(const VisitEnd& end) {
        if (end.result != PollResult::ok) return;
        ++samples[end.meter];
        const RegisterSpan billing = end.meter == 0 ? kFirst : kSecond;
        const auto& image = images_[end.meter];
        const auto held = image.find(billing.first);
        // The first of its words tells where all of them are from.
        if (held == image.end() || held->second != billing.first) ++false_samples[end.meter];
    }
    BusEvent perform(const BusAction& action) {
        switch (action.kind) {
            case BusActionKind::connect:
                now += 1;
                return Connected{};
            case BusActionKind::close:
                return Closed{};
            case BusActionKind::drain:
                return Drained{};
            case BusActionKind::listen:
                now += action.for_ms;
                return Listened{};
            case BusActionKind::read:
                return exchange(action);
            default:
                now = std::max(now + 1, action.until);
                return Woken{};
        }
    }
    ReadEnded exchange(const BusAction& action) {
        ReadEnded ended;
        ended.turnaround_us = 20'000;
        ended.busy_us = 40'000;
        now += 40;
        ++questions;
        proofs += action.proof ? 1 : 0;
        if (action.restart) images_[action.meter].clear();
        if (!std::exchange(loses_next, false)) {
            const bool mood = refuses_next > 0 && refuses_next-- > 0;
            const bool refused = mood || (refuses_ && refuses_(action.span));
            held_.push_back(refused ? std::nullopt : std::optional{action.span});
        }
        if (held_.empty()) {
            now += action.timeout_ms;
            ended.result = PollResult::timeout;
            return ended;
        }
        const std::optional<RegisterSpan> reply = held_.front();
        held_.pop_front();
        if (!reply) {
            ++refusals;
            ended.result = PollResult::exception;
            ended.exception = 2;
        } else if (reply->table != action.span.table || reply->count != action.span.count) {
            ended.result = PollResult::foreign_frame;
        } else {
            ended.result = PollResult::ok;
            for (int i = 0; i < reply->count && !action.proof; ++i) {
                images_[action.meter][action.span.first + i] = reply->first + i;
            }
        }
        return ended;
    }

    Refuses refuses_;
    std::deque<std::optional<RegisterSpan>> held_;  // on their way; nothing: a refusal
    std::map<int, std::map<int, int>> images_;      // by meter: register, and where it is from
    BusEvent event_ = Woken{};
};

}  // namespace

TEST_CASE("a gateway that is out of step after a foreign refusal gives no channel the other's") {
    BusMachine machine(setup(), 1, 0);
    ShiftedGateway gateway;
    gateway.run_for(machine, 10'000);
    CHECK(gateway.samples[0] >= 9);
    CHECK(gateway.samples[1] >= 9);
    CHECK(gateway.proofs == 0);  // while the lengths differ nothing is added
    gateway.insert_refusal();
    gateway.run_for(machine, 60'000);
    CHECK(gateway.refusals == 1);
    CHECK(gateway.false_samples[0] == 0);
    CHECK(gateway.false_samples[1] == 0);
    // A reply gets lost: question and reply are in step again.
    gateway.loses_next = true;
    gateway.run_for(machine, 30'000);
    gateway.forget();
    gateway.run_for(machine, 30'000);
    CHECK(gateway.samples[0] >= 28);
    CHECK(gateway.samples[1] >= 28);
    CHECK(gateway.false_samples[0] + gateway.false_samples[1] == 0);
}

TEST_CASE("channels of one length go with a read of another before each, and no shift swaps them") {
    for (const bool numbers : {true, false}) {
        CAPTURE(numbers);
        BusSetup bus = setup();
        bus.transaction_numbers = numbers;
        BusMachine machine(std::move(bus), 1, 0);
        // The device gives four registers at most.
        ShiftedGateway gateway([](const RegisterSpan& span) { return span.count > 4; });
        gateway.run_for(machine, 10'000);
        gateway.forget();
        gateway.run_for(machine, 60'000);
        CHECK(gateway.samples[0] >= 58);
        CHECK(gateway.samples[1] >= 58);
        CHECK(gateway.proofs <= gateway.samples[0] + gateway.samples[1] + 2);
        CHECK(gateway.refusals == 0);
        for (int round = 0; round < 20; ++round) {
            gateway.forget();
            for (int behind = 0; behind <= round % 3; ++behind) gateway.insert(kSecond);
            gateway.run_for(machine, 60'000);
            // One that comes between the two is one wrong sample, and never the next one's too.
            CHECK(gateway.false_samples[0] <= 1);
            CHECK(gateway.false_samples[1] == 0);
            for (int behind = 0; behind <= round % 3; ++behind) {
                gateway.loses_next = true;
                gateway.run_for(machine, 40'000);
            }
            gateway.forget();
            gateway.run_for(machine, 60'000);
            CHECK(gateway.samples[0] >= 57);
            CHECK(gateway.samples[1] >= 57);
            CHECK(gateway.false_samples[0] + gateway.false_samples[1] == 0);
        }
    }
}

TEST_CASE("a device with one length alone repeats its question behind a gateway") {
    BusMachine machine(setup({}), 1, 0);
    ShiftedGateway gateway([](const RegisterSpan& span) { return span.count != 4; });
    gateway.run_for(machine, 10'000);
    gateway.forget();
    gateway.run_for(machine, 60'000);
    CHECK(gateway.samples[0] >= 58);
    CHECK(gateway.samples[1] >= 58);
    constexpr int kEach = static_cast<int>(BusMachine::kAskedMax) + 1;
    CHECK(gateway.questions <= kEach * (gateway.samples[0] + gateway.samples[1] + 2));
    for (std::size_t behind = 1; behind <= BusMachine::kAskedMax; ++behind) {
        gateway.forget();
        gateway.insert(kSecond);
        gateway.run_for(machine, 60'000);
        CHECK(gateway.samples[0] >= 58);
        CHECK(gateway.false_samples[0] + gateway.false_samples[1] == 0);
    }
}

TEST_CASE("an on-demand reading's values of one length cost the next poll one read, and no more") {
    BusMachine machine(setup(), 1, 0);
    ShiftedGateway gateway;
    gateway.run_for(machine, 10'000);
    gateway.forget();
    machine.read_full(0);
    gateway.run_for(machine, 1'000);
    CHECK(gateway.proofs <= 2);
    gateway.forget();
    gateway.run_for(machine, 60'000);
    CHECK(gateway.proofs == 0);
    CHECK(gateway.false_samples[0] + gateway.false_samples[1] == 0);
}

TEST_CASE("longer blocks are tried again after ten minutes: the refusal may have been another's") {
    BusMachine machine(setup(), 1, 0);
    ShiftedGateway gateway;
    gateway.run_for(machine, 10'000);
    gateway.refuses_next = BusMachine::kRefusalsBelieved - 1;
    gateway.run_for(machine, 60'000);
    CHECK(gateway.proofs == 0);  // so few say nothing
    gateway.refuses_next = BusMachine::kRefusalsBelieved;
    gateway.run_for(machine, 5'000);
    gateway.forget();
    gateway.run_for(machine, 60'000);
    CHECK(gateway.proofs > 0);
    gateway.run_for(machine, MeterBlocks::kRetryFirstMs);
    gateway.forget();
    gateway.run_for(machine, 60'000);
    CHECK(gateway.proofs == 0);
    CHECK(gateway.samples[0] >= 58);
    CHECK(gateway.samples[1] >= 58);
}
