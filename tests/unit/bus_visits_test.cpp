// Whose turn it is on a bus, on a simulated wire where every byte takes its time: pauses are
// filled, registers bisected, speeds and timeouts learned, dead meters and jobs kept to their
// share.
#include <functional>
#include <map>
#include <random>
#include <set>

#include "daemon/core/bus_machine.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;

namespace {

constexpr RegisterTable kIn = RegisterTable::input;

BusMeter meter(int number, std::vector<RegisterSpan> values) {
    BusMeter meter;
    meter.id = "m" + std::to_string(number);
    meter.address = 1 + number;
    meter.routine = std::move(values);
    meter.vital = {meter.routine.front()};
    meter.full = meter.routine;
    meter.proofs = {{kIn, 0, 2}, {kIn, 0, 4}, {kIn, 0, 6}};
    return meter;
}

struct Station {
    std::int64_t turnaround_us = 20'000;
    bool dead = false;
    std::set<int> refused;  // registers
    PollResult instead = PollResult::ok;
};

// Carries out what the machine says. The line is that of an RTU bus at 9600 baud or, with
// `told_speed` false, of a gateway whose line the machine does not know.
class World {
  public:
    std::int64_t char_us = 1'042;
    bool told_speed = true;
    std::map<int, Station> stations;  // by address
    std::int64_t now_us = 0;
    std::int64_t silence_us = 0;  // spent on stations that do not answer
    std::map<int, int> visits;    // ended well, by meter
    std::vector<VisitEnd> ended;
    std::map<int, std::vector<RegisterSpan>> asked;  // of routine visits, by address
    std::function<JobTurned(World&)> job;
    std::function<void(const BusAction&)> watch = [](const BusAction&) {};

    [[nodiscard]] MonoMs now() const { return now_us / 1'000; }
    void turn(BusMachine& machine) {
        const BusStep step = machine.resume(event_, now());
        for (const VisitEnd& end : step.ended) {
            if (end.result == PollResult::ok) ++visits[end.meter];
            ended.push_back(end);
        }
        watch(step.action);
        event_ = perform(step.action);
    }
    void run_until(BusMachine& machine, MonoMs until) {
        while (now() < until) turn(machine);
    }
    ReadEnded exchange(int address, const RegisterSpan& span, std::int64_t timeout_ms) {
        const Station& station = stations[address];
        const std::int64_t bytes = 13 + 2 * span.count;
        const std::int64_t wire_us = (bytes + 3) * char_us + char_us / 2;
        ReadEnded reply;
        reply.detail = "no reply";
        const std::int64_t known_us = told_speed ? bytes * char_us : 0;
        const std::int64_t reply_us = station.turnaround_us + (told_speed ? 0 : bytes * char_us);
        if (station.dead || reply_us > timeout_ms * 1'000) {
            reply.result = PollResult::timeout;
            reply.busy_us = timeout_ms * 1'000 + known_us;
            silence_us += reply.busy_us;
        } else {
            reply.busy_us = wire_us + station.turnaround_us;
            reply.turnaround_us = reply_us;
            reply.result = station.instead;
            if (reply.result != PollResult::ok) reply.detail = to_string(reply.result);
            for (const int bad : station.refused) {
                if (span.first > bad || bad >= span.end()) continue;
                reply.result = PollResult::exception;
                reply.exception = 2;
                reply.detail = "exception 2";
            }
        }
        now_us += reply.busy_us;
        return reply;
    }

  private:
    BusEvent perform(const BusAction& action) {
        switch (action.kind) {
            case BusActionKind::wait:
                now_us = std::max(now_us + 1'000, action.until * 1'000);
                return Woken{};
            case BusActionKind::connect:
                return Connected{};
            case BusActionKind::close:
                return Closed{};
            case BusActionKind::drain:
                return Drained{};
            case BusActionKind::listen:
                now_us += action.for_ms * 1'000;
                silence_us += action.for_ms * 1'000;
                return Listened{};
            case BusActionKind::read:
                if (!action.proof) asked[action.address].push_back(action.span);
                return exchange(action.address, action.span, action.timeout_ms);
            case BusActionKind::job:
                return job(*this);
        }
        return Woken{};
    }
    BusEvent event_ = Woken{};
};

BusSetup setup(std::int64_t interval_ms) {
    BusSetup setup;
    setup.poll_interval_ms = interval_ms;
    setup.response_timeout_ms = 500;
    setup.char_us = 1'042;
    return setup;
}

}  // namespace

TEST_CASE("the bus never idles while another meter is due, and every pause is kept") {
    for (std::uint32_t seed = 1; seed <= 40; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        const auto below = [&](int sides) {
            return static_cast<int>(random() % static_cast<unsigned>(sides));
        };
        BusSetup bus = setup(100 + below(3'000));
        World world;
        const int count = 2 + below(10);
        for (int i = 0; i < count; ++i) {
            std::vector<RegisterSpan> values;
            for (int k = 1 + below(4); k > 0; --k) values.push_back({kIn, 100 * k, 2});
            bus.meters.push_back(meter(i, values));
            bus.meters.back().pause_ms = below(3) == 0 ? below(800) : 0;
            world.stations[1 + i].turnaround_us = 5'000 + below(60'000);
        }
        BusMachine machine(bus, seed, 0);
        std::map<int, std::int64_t> free_at;  // by address
        std::map<int, MonoMs> due;            // by meter
        bool idled = false;
        bool hurried = false;
        int reading = 0;
        world.watch = [&](const BusAction& action) {
            if (reading > 0) {  // the read before this action has ended now
                free_at[reading] =
                    world.now() + bus.meters[static_cast<std::size_t>(reading - 1)].pause_ms;
                reading = 0;
            }
            for (const VisitEnd& end : world.ended)
                due[end.meter] = world.now() + bus.poll_interval_ms;
            world.ended.clear();
            if (action.kind == BusActionKind::read) {
                if (world.now() < free_at[action.address]) hurried = true;
                reading = action.address;
            }
            if (action.kind != BusActionKind::wait) return;
            // A meter whose last visit lies a whole interval back is due, wherever its grid is.
            for (int i = 0; i < count; ++i) {
                if (due[i] <= world.now() && free_at[1 + i] <= world.now()) idled = true;
            }
        };
        world.run_until(machine, 60'000);
        CHECK_FALSE(idled);
        CHECK_FALSE(hurried);
        for (int i = 0; i < count; ++i) CHECK(world.visits[i] > 2);
    }
}

TEST_CASE("a meter's pause is filled with the reads of others") {
    BusSetup bus = setup(100);
    World world;
    for (int i = 0; i < 8; ++i) {
        bus.meters.push_back(meter(i, {{kIn, 0, 2}, {kIn, 200, 2}}));  // two reads a visit
        bus.meters.back().pause_ms = 300;
    }
    BusMachine machine(bus, 1, 0);
    std::int64_t waited_us = 0;
    world.watch = [&](const BusAction& action) {
        if (action.kind == BusActionKind::wait) {
            waited_us += std::max<std::int64_t>(action.until * 1'000 - world.now_us, 0);
        }
    };
    world.run_until(machine, 60'000);
    // Eight meters with a read of 41 ms each: one's pause is nearly over when all others were read.
    CHECK(waited_us < 60'000'000 * 5 / 100);
}

TEST_CASE("a bad register is set aside within the poll; billing goes on, and status says why") {
    BusSetup bus = setup(1'000);
    World world;
    std::vector<RegisterSpan> values;
    for (int i = 0; i < 10; ++i) values.push_back({kIn, 2 * i, 2});
    bus.meters = {meter(0, values)};
    world.stations[1].refused = {13};
    BusMachine machine(bus, 1, 0);
    world.run_until(machine, 500);
    REQUIRE(world.ended.size() == 1);
    CHECK(world.ended[0].result == PollResult::ok);
    CHECK(world.asked[1].size() <= 1 + 8 + 2);
    world.asked.clear();
    world.run_until(machine, 60'000);
    CHECK(world.asked[1].size() == 2 * (world.ended.size() - 1));
    MeterLine line = machine.status(true).lines.at(0);
    REQUIRE(line.set_aside.size() == 1);
    CHECK(line.set_aside[0].first == 12);
    CHECK(line.set_aside[0].reason == "exception 2");
    CHECK(line.online);
    CHECK(line.reason.empty());
    CHECK(line.blocks == std::vector<RegisterSpan>{{kIn, 0, 12}, {kIn, 14, 6}});
    // Tried again alone, ever more seldom, until it answers.
    world.asked.clear();
    world.run_until(machine, 3'600'000);
    const auto& asked = world.asked[1];
    CHECK(std::count(asked.begin(), asked.end(), RegisterSpan{kIn, 12, 2}) == 2);
    for (const VisitEnd& end : world.ended) CHECK(end.result == PollResult::ok);
    world.stations[1].refused.clear();
    world.run_until(machine, 8 * 3'600'000);
    line = machine.status(true).lines.at(0);
    CHECK(line.set_aside.empty());
    CHECK(line.blocks == std::vector<RegisterSpan>{{kIn, 0, 20}});
}

TEST_CASE("the speed of a line behind a gateway is learned, and the plan follows it") {
    for (const std::int64_t character : {1'042, 0}) {
        CAPTURE(character);
        BusSetup bus = setup(1'000);
        bus.char_us = 0;
        bus.transaction_numbers = bus.reconnects = true;
        World world;
        world.char_us = character;
        world.told_speed = false;
        for (int i = 0; i < 6; ++i) bus.meters.push_back(meter(i, {{kIn, 0, 2}, {kIn, 60, 2}}));
        BusMachine machine(bus, 1, 0);
        world.run_until(machine, 2'000);
        CHECK(world.asked[1].at(0).count == 62);  // free holes, as long as nothing is known
        world.run_until(machine, 60'000);
        const BusStatus status = machine.status(true);
        CHECK(status.character_us.value_or(0) == character);
        CHECK(status.lines[0].blocks.size() == (character > 0 ? 2 : 1));
        if (character > 0) CHECK(*status.turnaround_p50_us < 26'000);  // without the bytes' time
        for (const VisitEnd& end : world.ended) CHECK(end.result == PollResult::ok);
    }
}

TEST_CASE("the working timeout is learned for each meter, with the configured one as ceiling") {
    BusSetup bus = setup(1'000);
    World world;
    for (int i = 0; i < 3; ++i) bus.meters.push_back(meter(i, {{kIn, 0, 2}}));
    world.stations[2].turnaround_us = 120'000;
    world.stations[3].turnaround_us = 450'000;
    BusMachine machine(bus, 1, 0);
    std::map<int, std::int64_t> timeouts;
    world.watch = [&](const BusAction& action) {
        if (action.kind == BusActionKind::read) timeouts[action.address] = action.timeout_ms;
    };
    world.run_until(machine, 2'000);
    CHECK(timeouts[1] == 500);
    world.run_until(machine, 60'000);
    CHECK(timeouts[1] == 150);
    CHECK(timeouts[2] > 360);
    CHECK(timeouts[2] < 500);
    CHECK(timeouts[3] == 500);
    CHECK(machine.status(true).lines[1].timeout_ms == timeouts[2]);
    // After a silence it is the ceiling again: a meter that became slower is found.
    world.stations[1].turnaround_us = 400'000;
    world.run_until(machine, 120'000);
    CHECK(timeouts[1] == 500);
    CHECK(machine.meter_online(0));
    CHECK(machine.status(true).lines[0].exchanges[static_cast<std::size_t>(PollResult::timeout)] <
          4);
}

TEST_CASE("ten of 32 dead: the healthy sweep grows by at most five per cent over ten minutes") {
    std::map<bool, double> sweep_ms;
    for (const bool some_dead : {false, true}) {
        BusSetup bus = setup(100);  // as fast as the bus can
        World world;
        for (int i = 0; i < 32; ++i) {
            bus.meters.push_back(meter(i, {{kIn, 0, 2}, {kIn, 60, 2}}));
            // The same 22 healthy meters in both runs; the dead are there or not at all.
            if (i >= 22 && some_dead) world.stations[1 + i].dead = true;
        }
        if (!some_dead) bus.meters.resize(22);
        BusMachine machine(bus, 5, 0);
        world.run_until(machine, 180'000);
        world.visits.clear();
        world.silence_us = 0;
        world.run_until(machine, 180'000 + 600'000);
        int sweeps = 0;
        for (int i = 0; i < 22; ++i) sweeps += world.visits[i];
        sweep_ms[some_dead] = 600'000.0 * 22 / sweeps;
        CHECK(world.silence_us <= 600'000'000 / 100 * BusMachine::kProbePercent);
        CHECK(machine.status().meters_online == 22);
    }
    CAPTURE(sweep_ms[false], sweep_ms[true]);
    CHECK(sweep_ms[true] <= sweep_ms[false] * 1.05);
}

TEST_CASE("a living gateway with dead meters is told apart from a dead gateway") {
    BusSetup bus = setup(1'000);
    bus.reconnects = bus.transaction_numbers = true;
    World world;
    for (int i = 0; i < 3; ++i) bus.meters.push_back(meter(i, {{kIn, 0, 2}}));
    for (int i = 1; i <= 3; ++i) world.stations[i].instead = PollResult::gateway_target;
    BusMachine machine(bus, 1, 0);
    world.run_until(machine, 60'000);
    CHECK(machine.status().phase == BusPhase::online);
    CHECK(machine.status().reason.find("gateway lives") != std::string::npos);
    CHECK(machine.status().meters_online == 0);
    CHECK(machine.troubled());
    for (int i = 1; i <= 3; ++i) world.stations[i] = {20'000, true, {}, PollResult::ok};
    world.run_until(machine, 300'000);
    CHECK(machine.status().phase == BusPhase::offline);
    CHECK(machine.status().reason.find("nothing answers") != std::string::npos);
    world.stations[2].dead = false;
    world.run_until(machine, 360'000);
    CHECK(machine.status().phase == BusPhase::online);
    CHECK(machine.status().reason.empty());
    CHECK(machine.status().meters_online == 1);
    CHECK_FALSE(machine.troubled());
    CHECK_FALSE(machine.status(true).lines[0].reason.empty());
    CHECK(machine.status(true).lines[0].next_probe_mono_ms);
}

TEST_CASE("dead meters do not close the connection that serves the others") {
    BusSetup bus = setup(500);
    bus.reconnects = bus.transaction_numbers = true;
    World world;
    for (int i = 0; i < 6; ++i) {
        bus.meters.push_back(meter(i, {{kIn, 0, 2}}));
        world.stations[1 + i].dead = i % 2 == 0;
    }
    BusMachine machine(bus, 1, 0);
    world.run_until(machine, 60'000);
    int closes = 0;
    world.watch = [&](const BusAction& action) {
        closes += action.kind == BusActionKind::close ? 1 : 0;
    };
    world.run_until(machine, 600'000);
    CHECK(closes == 0);
    CHECK(machine.status().meters_online == 3);
}

TEST_CASE("a job gets a quarter of a busy bus and all of an idle one, and never a doubtful reply") {
    for (const std::int64_t interval_ms : {100, 600'000}) {
        CAPTURE(interval_ms);
        BusSetup bus = setup(interval_ms);
        World world;
        for (int i = 0; i < 16; ++i) bus.meters.push_back(meter(i, {{kIn, 0, 2}}));
        for (int i = 100; i < 200; ++i) world.stations[i].dead = true;
        BusMachine machine(bus, 1, 0);
        world.run_until(machine, 60'000);
        world.visits.clear();
        std::int64_t job_us = 0;
        int next = 100;
        int refused = 0;
        world.job = [&](World& at) {
            JobTurned turned;
            const RegisterSpan span{kIn, 0, 2};
            turned.address = next;
            turned.span = span;
            next = next == 199 ? 100 : next + 1;
            if (!machine.job_may_ask(turned.address, span, at.now()).provable) {
                ++refused;
                return turned;
            }
            const ReadEnded ended = at.exchange(turned.address, span, 100);
            turned.sent = true;
            turned.result = ended.result;
            turned.busy_us = ended.busy_us;
            job_us += ended.busy_us;
            return turned;
        };
        machine.want_job(true);
        world.run_until(machine, 120'000);
        const double share = static_cast<double>(job_us) / 60'000'000;
        CAPTURE(share, refused);
        if (interval_ms == 100) {
            CHECK(share > 0.2);
            CHECK(share < 0.3);
        } else {
            CHECK(share > 0.3);
        }
        // The same address was silent less than half a minute ago: not asked with that length.
        CHECK((refused > 0) == (interval_ms != 100));
        machine.want_job(false);
        job_us = 0;
        world.run_until(machine, 130'000);
        CHECK(job_us == 0);
    }
}

TEST_CASE("a job's question to a meter waits for its pause and its silence is the meter's debt") {
    BusSetup bus = setup(600'000);
    bus.meters = {meter(0, {{kIn, 0, 2}})};
    bus.meters[0].pause_ms = 400;
    World world;
    BusMachine machine(bus, 1, 0);
    MonoMs read_at = 0;
    BusMachine::JobLeave leave;
    world.watch = [&](const BusAction& action) {
        if (action.kind != BusActionKind::wait || read_at > 0) return;
        read_at = world.now();
        leave = machine.job_may_ask(1, {kIn, 8, 2}, read_at);
    };
    while (read_at == 0) world.turn(machine);
    CHECK(leave.provable);
    CHECK(leave.not_before == read_at + 400);
    world.job = [](World& at) {
        JobTurned turned;
        turned.sent = true;
        turned.address = 1;
        turned.span = {kIn, 8, 2};
        turned.result = PollResult::timeout;
        at.now_us += 100'000;
        return turned;
    };
    machine.want_job(true);
    while (!machine.reply_owed(0)) world.turn(machine);
    machine.want_job(false);
    CHECK_FALSE(machine.job_may_ask(1, {kIn, 20, 2}, world.now() + 500).provable);
    CHECK(machine.job_may_ask(1, {kIn, 20, 4}, world.now() + 500).provable);
    CHECK(machine.job_may_ask(1, {kIn, 20, 2}, world.now() + BusMachine::kDebtMs).provable);
}

TEST_CASE("who waits for a confirmation goes between the reads of a long reading") {
    BusSetup bus = setup(600'000);
    std::vector<RegisterSpan> values;
    for (int i = 0; i < 20; ++i) values.push_back({kIn, 10 * i, 2});
    bus.meters = {meter(0, values), meter(1, {{kIn, 0, 2}})};
    World world;
    BusMachine machine(bus, 1, 0);
    world.run_until(machine, 10'000);
    world.ended.clear();
    machine.read_full(0);
    for (int i = 0; i < 6; ++i) world.turn(machine);
    machine.poll_soon(1);
    while (world.ended.empty()) world.turn(machine);
    CHECK(world.ended[0].meter == 1);
    CHECK(world.ended[0].kind == VisitKind::confirming);
    while (world.ended.size() < 2) world.turn(machine);
    CHECK(world.ended[1].meter == 0);
    CHECK(world.ended[1].kind == VisitKind::full);
}
