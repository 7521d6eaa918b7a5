// Gateways and how they treat a connection: one that hangs up when it likes is no meter that is
// away, and a meter that is busy loses nothing that was read of it.
#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "daemon/core/bus_machine.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;

namespace {

constexpr RegisterTable kIn = RegisterTable::input;
constexpr RegisterSpan kSerial{RegisterTable::holding, 500, 2};

BusMeter meter(int number) {
    BusMeter meter;
    meter.id = "m" + std::to_string(number);
    meter.address = 1 + number;
    meter.routine = {{kIn, 0, 2}, {kIn, 200, 2}, {kIn, 400, 2}};
    meter.vital = {{kIn, 0, 2}};
    meter.identity = {kSerial};
    meter.full = meter.routine;
    meter.proofs = {{kIn, 0, 2}, {kIn, 0, 4}, {kIn, 0, 6}};
    return meter;
}

BusSetup setup(int meters, bool numbers) {
    BusSetup setup;
    setup.poll_interval_ms = 1'000;
    setup.response_timeout_ms = 500;
    setup.char_us = 1'042;
    setup.reconnects = true;
    setup.transaction_numbers = numbers;
    for (int i = 0; i < meters; ++i) setup.meters.push_back(meter(i));
    return setup;
}

// How the far end treats the n-th question of a connection, the first being 0.
enum class Treatment { answers, hangs_up_before, hangs_up_unheard, is_silent, is_busy, no_target };

class Gateway {
  public:
    using Rule = std::function<Treatment(int nth, const BusAction& action)>;
    explicit Gateway(Rule rule) : rule_(std::move(rule)) {}
    MonoMs now = 0;
    int connects = 0, lost = 0, identities = 0, wrong = 0;
    std::map<int, int> visits;  // ended well, by meter
    std::vector<VisitEnd> failed;
    std::set<int> read;  // first registers of the visit under way, all meters

    void run_until(BusMachine& machine, MonoMs until) {
        while (now < until) {
            const BusStep step = machine.resume(event_, now);
            for (const VisitEnd& end : step.ended) {
                if (end.result == PollResult::ok) {
                    ++visits[end.meter];
                } else {
                    failed.push_back(end);
                }
            }
            event_ = perform(step.action);
        }
    }

  private:
    BusEvent perform(const BusAction& action) {
        switch (action.kind) {
            case BusActionKind::connect:
                ++connects;
                now += 1;
                nth_ = 0;
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
    BusEvent exchange(const BusAction& action) {
        ReadEnded ended;
        ended.turnaround_us = 20'000;
        ended.busy_us = 40'000;
        ended.detail = "as the gateway likes";
        now += 40;
        switch (rule_(nth_++, action)) {
            case Treatment::hangs_up_unheard:
                ended.unsent = true;
                [[fallthrough]];
            case Treatment::hangs_up_before:
                ++lost;
                ended.lost = "connection reset";
                ended.result = PollResult::not_connected;
                break;
            case Treatment::is_silent:
                ended.result = PollResult::timeout;
                now += action.timeout_ms;
                break;
            case Treatment::is_busy:
                ended.result = PollResult::busy;
                break;
            case Treatment::no_target:
                ended.result = PollResult::gateway_target;
                break;
            case Treatment::answers:
                ended.result = PollResult::ok;
                identities += action.span == kSerial && !action.proof ? 1 : 0;
        }
        return ended;
    }
    Rule rule_;
    int nth_ = 0;
    BusEvent event_ = Woken{};
};

}  // namespace

TEST_CASE("a gateway that takes one question a connection is read steadily, on every framing") {
    for (const bool numbers : {true, false}) {
        for (const Treatment then :
             {Treatment::hangs_up_unheard, Treatment::hangs_up_before, Treatment::is_silent}) {
            CAPTURE(numbers, static_cast<int>(then));
            BusMachine machine(setup(3, numbers), 1, 0);
            Gateway gateway(
                [&](int nth, const BusAction&) { return nth == 0 ? Treatment::answers : then; });
            gateway.run_until(machine, 30'000);
            CHECK(machine.status().meters_online == 3);
            CHECK(machine.status().phase == BusPhase::online);
            CHECK(machine.status().reason.empty());
            gateway.failed.clear();
            gateway.visits.clear();
            gateway.lost = gateway.connects = gateway.identities = 0;
            gateway.run_until(machine, 90'000);
            for (int i = 0; i < 3; ++i) CHECK(gateway.visits[i] >= 58);
            CHECK(gateway.failed.empty());
            CHECK(gateway.lost == 0);
            CHECK(gateway.identities == 0);  // read once, at the start
            CHECK(gateway.connects <= 3 * 3 * 61);
        }
    }
}

TEST_CASE("a connection that is closed while idle costs one question and no identity") {
    for (const bool numbers : {true, false}) {
        CAPTURE(numbers);
        BusMachine machine(setup(1, numbers), 1, 0);
        int served = 0;
        Gateway gateway([&](int nth, const BusAction&) {
            if (nth == 0) served = 0;
            return ++served > 3 ? Treatment::hangs_up_unheard : Treatment::answers;
        });
        gateway.run_until(machine, 60'000);
        CHECK(gateway.failed.empty());
        CHECK(gateway.visits[0] >= 58);
        CHECK(gateway.identities == 1);
        CHECK_FALSE(machine.reply_owed(0));
    }
}

TEST_CASE("a gateway that hangs up whatever is asked is not called without pause") {
    for (const Treatment always : {Treatment::hangs_up_unheard, Treatment::hangs_up_before}) {
        CAPTURE(static_cast<int>(always));
        BusMachine machine(setup(3, true), 1, 0);
        Gateway gateway([&](int, const BusAction&) { return always; });
        gateway.run_until(machine, 120'000);
        CHECK(gateway.connects <= 60);
        CHECK(machine.status().meters_online == 0);
        CHECK(machine.status().phase == BusPhase::offline);
        for (int i = 0; i < 3; ++i) {
            CHECK(std::any_of(gateway.failed.begin(), gateway.failed.end(),
                              [&](const VisitEnd& end) { return end.meter == i && end.offline; }));
        }
    }
}

TEST_CASE("a meter whose question makes the gateway hang up does not keep the others from theirs") {
    BusMachine machine(setup(3, true), 1, 0);
    Gateway gateway([&](int, const BusAction& action) {
        return action.address == 1 && action.span.first == 200 ? Treatment::hangs_up_before
                                                               : Treatment::answers;
    });
    gateway.run_until(machine, 60'000);
    CHECK(gateway.visits[1] >= 55);
    CHECK(gateway.visits[2] >= 55);
    CHECK_FALSE(machine.meter_online(0));
    CHECK(gateway.connects < 60);
}

TEST_CASE("who they are is asked again after an outage, and not after a hang-up") {
    BusMachine machine(setup(2, true), 1, 0);
    bool away = false;
    int questions = 0;
    Gateway gateway([&](int, const BusAction&) {
        if (away) return Treatment::is_silent;
        return ++questions % 7 == 0 ? Treatment::hangs_up_before : Treatment::answers;
    });
    gateway.run_until(machine, 20'000);
    CHECK(gateway.identities == 2);
    CHECK(gateway.failed.empty());
    away = true;
    gateway.run_until(machine, 60'000);
    CHECK(machine.status().meters_online == 0);
    away = false;
    gateway.run_until(machine, 120'000);
    CHECK(machine.status().meters_online == 2);
    CHECK(gateway.identities == 4);
}

TEST_CASE("a meter that is busy at every second question is read, block by block") {
    for (const Treatment refusal : {Treatment::is_busy, Treatment::no_target}) {
        CAPTURE(static_cast<int>(refusal));
        BusMachine machine(setup(1, true), 1, 0);
        int questions = 0;
        Gateway gateway([&](int, const BusAction&) {
            return ++questions % 2 == 0 ? refusal : Treatment::answers;
        });
        gateway.run_until(machine, 60'000);
        CHECK(machine.meter_online(0));
        CHECK(gateway.visits[0] >= 25);
        CHECK(gateway.failed.empty());
    }
}

TEST_CASE("a meter that stays busy is given up until its next poll, and told") {
    BusMachine machine(setup(1, true), 1, 0);
    int questions = 0;
    Gateway gateway([&](int, const BusAction& action) {
        ++questions;
        return action.span.first == 200 ? Treatment::is_busy : Treatment::answers;
    });
    gateway.run_until(machine, 20'000);
    CHECK_FALSE(machine.meter_online(0));
    CHECK(gateway.visits[0] == 0);
    REQUIRE(gateway.failed.size() >= 3);
    CHECK(gateway.failed[2].offline);
    CHECK(gateway.failed[2].result == PollResult::busy);
    // The block that was busy is asked four times a visit, and the one before it once.
    CHECK(questions <= static_cast<int>(gateway.failed.size() + 1) * 5);
}
