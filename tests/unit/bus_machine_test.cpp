// The bus machine without a socket: scripts of events and actions, and a simulated line that is
// late, noisy and shared.
#include "daemon/core/bus_machine.hpp"

#include <deque>
#include <random>

#include "tests/support/catch.hpp"

using namespace gatehouse;

namespace {

constexpr RegisterTable kIn = RegisterTable::input;
constexpr RegisterSpan kEnergy{kIn, 72, 2};
constexpr RegisterSpan kPower{kIn, 12, 2};
constexpr RegisterSpan kSerial{RegisterTable::holding, 500, 2};
constexpr RegisterSpan kProof{kIn, 72, 4};

BusMeter meter(const std::string& id, int address) {
    BusMeter meter;
    meter.id = id;
    meter.address = address;
    meter.routine = {kEnergy};
    meter.full = {kEnergy, kPower};
    meter.proofs = {kEnergy, kProof, {kIn, 72, 6}};
    return meter;
}

BusSetup setup(std::vector<BusMeter> meters) {
    BusSetup setup;
    setup.meters = std::move(meters);
    setup.poll_interval_ms = 10'000;
    setup.response_timeout_ms = 500;
    return setup;
}

ReadEnded read(PollResult result, const std::string& detail = "") {
    ReadEnded event;
    event.result = result;
    event.detail = detail;
    event.turnaround_us = 20'000;
    event.busy_us = 40'000;
    return event;
}

// Connects and returns the machine's first action on the line.
BusStep connected(BusMachine& machine, MonoMs now) {
    REQUIRE(machine.resume(Woken{}, now).action.kind == BusActionKind::connect);
    return machine.resume(Connected{}, now);
}

}  // namespace

TEST_CASE("a poll: connect, read, the sample, wait for the next deadline") {
    BusMachine machine(setup({meter("m1", 1)}), 7, 0);
    BusStep step = connected(machine, 0);
    CHECK(machine.status().phase == BusPhase::online);
    REQUIRE(step.action.kind == BusActionKind::read);
    CHECK(step.action.address == 1);
    CHECK(step.action.span == kEnergy);
    CHECK(step.action.timeout_ms == 500);
    CHECK_FALSE(step.action.proof);
    step = machine.resume(read(PollResult::ok), 40);
    REQUIRE(step.ended.size() == 1);
    CHECK(step.ended[0].result == PollResult::ok);
    CHECK(step.ended[0].kind == VisitKind::routine);
    CHECK(machine.meter_online(0));
    const ResponseTimes times = machine.status().response_times;
    CHECK(times.sum_us == 20'000);
    CHECK(times.counts.at(4) == 1);  // above 10 ms, up to 25
    REQUIRE(step.action.kind == BusActionKind::wait);
    CHECK(step.action.until == 10'000);
}

TEST_CASE("poll_soon is an exchange of its own before what is due") {
    BusMachine machine(setup({meter("m1", 1), meter("m2", 2)}), 7, 0);
    (void)connected(machine, 0);
    machine.poll_soon(0);  // while its first read is on the wire
    BusStep step = machine.resume(read(PollResult::ok), 40);
    REQUIRE(step.ended.size() == 1);
    REQUIRE(step.action.kind == BusActionKind::read);
    // The read under way had begun as routine; the confirming one is another transaction.
    CHECK(step.ended[0].kind == VisitKind::routine);
    CHECK(step.action.meter == 0);
    step = machine.resume(read(PollResult::ok), 80);
    REQUIRE(step.ended.size() == 1);
    CHECK(step.ended[0].kind == VisitKind::confirming);
    CHECK(step.action.meter == 1);
}

TEST_CASE("after a timeout: quiet, drain, and a proof before any value") {
    BusMachine machine(setup({meter("m1", 1)}), 7, 0);
    (void)connected(machine, 0);
    BusStep step = machine.resume(read(PollResult::timeout), 500);
    REQUIRE(step.action.kind == BusActionKind::listen);
    CHECK(step.action.for_ms == 500);
    CHECK(step.action.span == kEnergy);
    CHECK(machine.reply_owed(0));
    step = machine.resume(Listened{}, 1'000);
    REQUIRE(step.action.kind == BusActionKind::drain);
    step = machine.resume(Drained{}, 1'000);
    REQUIRE(step.action.kind == BusActionKind::wait);
    step = machine.resume(Woken{}, step.action.until);
    REQUIRE(step.action.kind == BusActionKind::read);
    CHECK(step.action.proof);
    CHECK(step.action.span.count == 4);  // another length than the owed one
    step = machine.resume(read(PollResult::ok), 2'100);
    CHECK_FALSE(machine.reply_owed(0));
    REQUIRE(step.action.kind == BusActionKind::read);
    CHECK_FALSE(step.action.proof);
    CHECK(step.action.span == kEnergy);
}

TEST_CASE("every line failure is followed by quiet") {
    for (const PollResult result :
         {PollResult::timeout, PollResult::crc, PollResult::foreign_frame}) {
        BusMachine machine(setup({meter("m1", 1), meter("m2", 2)}), 7, 0);
        (void)connected(machine, 0);
        CHECK(machine.resume(read(result), 500).action.kind == BusActionKind::listen);
        CHECK(machine.phase() == MachinePhase::quiet);
    }
}

TEST_CASE("the owed reply heard whole settles the debt, and its lateness is learned") {
    BusMachine machine(setup({meter("m1", 1)}), 7, 0);
    (void)connected(machine, 0);
    (void)machine.resume(read(PollResult::timeout), 500);
    Listened heard;
    heard.bytes = 9;
    heard.last_byte_ms = 300;
    heard.owed_reply = true;
    BusStep step = machine.resume(heard, 900);
    CHECK_FALSE(machine.reply_owed(0));
    CHECK(machine.lateness_ms(0) == 800);
    step = machine.resume(Drained{}, 900);
    step = machine.resume(Woken{}, step.action.until);
    CHECK_FALSE(step.action.proof);
    step = machine.resume(read(PollResult::timeout), 3'000);
    REQUIRE(step.action.kind == BusActionKind::listen);
    CHECK(step.action.for_ms == 1'000);  // a quarter longer than it was ever late
}

TEST_CASE("a line that stays noisy is listened to again, but not for ever") {
    BusMachine machine(setup({meter("m1", 1)}), 7, 0);
    (void)connected(machine, 0);
    BusStep step = machine.resume(read(PollResult::crc), 100);
    MonoMs now = 100;
    int rounds = 0;
    while (step.action.kind == BusActionKind::listen) {
        now += step.action.for_ms;
        Listened heard;
        heard.bytes = 50;
        heard.last_byte_ms = step.action.for_ms;
        step = machine.resume(heard, now);
        ++rounds;
        REQUIRE(rounds <= BusMachine::kQuietRoundsMax);
    }
    CHECK(rounds == BusMachine::kQuietRoundsMax);
    CHECK(step.action.kind == BusActionKind::drain);
}

TEST_CASE("without a length that differs the station waits until nothing can be pending") {
    BusMeter lonely = meter("m1", 1);
    lonely.proofs = {kEnergy};
    BusMachine machine(setup({lonely}), 7, 0);
    (void)connected(machine, 0);
    (void)machine.resume(read(PollResult::timeout), 500);
    (void)machine.resume(Listened{}, 1'000);
    BusStep step = machine.resume(Drained{}, 1'000);
    while (step.action.kind == BusActionKind::wait) {
        step = machine.resume(Woken{}, step.action.until);
        REQUIRE(step.action.until <= BusMachine::kDebtMs);
    }
    CHECK(step.action.kind == BusActionKind::read);
    CHECK_FALSE(step.action.proof);
    CHECK_FALSE(machine.reply_owed(0));
}

TEST_CASE("a refused proof proves nothing and is not tried again") {
    BusMachine machine(setup({meter("m1", 1)}), 7, 0);
    (void)connected(machine, 0);
    (void)machine.resume(read(PollResult::timeout), 500);
    (void)machine.resume(Listened{}, 1'000);
    BusStep step = machine.resume(Drained{}, 1'000);
    step = machine.resume(Woken{}, step.action.until);
    REQUIRE(step.action.span.count == 4);
    step = machine.resume(read(PollResult::exception), 3'000);
    CHECK(machine.reply_owed(0));
    REQUIRE(step.action.kind == BusActionKind::listen);
    (void)machine.resume(Listened{}, 3'500);
    step = machine.resume(Drained{}, 3'500);
    while (step.action.kind == BusActionKind::wait) {
        step = machine.resume(Woken{}, step.action.until);
    }
    CHECK(step.action.proof);
    CHECK(step.action.span.count == 6);
}

TEST_CASE("with transaction numbers a timeout needs no quiet and owes nothing") {
    BusSetup tcp = setup({meter("m1", 1), meter("m2", 2)});
    tcp.transaction_numbers = true;
    tcp.reconnects = true;
    BusMachine machine(tcp, 7, 0);
    (void)connected(machine, 0);
    BusStep step = machine.resume(read(PollResult::timeout), 500);
    CHECK(step.action.kind == BusActionKind::drain);
    CHECK_FALSE(machine.reply_owed(0));
    step = machine.resume(Drained{}, 500);
    REQUIRE(step.action.kind == BusActionKind::read);
    CHECK(step.action.meter == 1);
    // A stale number: quiet, drain; the second failure in a row opens a new connection.
    step = machine.resume(read(PollResult::foreign_frame), 510);
    CHECK(step.action.kind == BusActionKind::listen);
    (void)machine.resume(Listened{}, 1'010);
    step = machine.resume(Drained{}, 1'010);
    CHECK(step.action.kind == BusActionKind::close);
    step = machine.resume(Closed{}, 1'010);
    if (step.action.kind == BusActionKind::wait) step = machine.resume(Woken{}, step.action.until);
    CHECK(step.action.kind == BusActionKind::connect);
}

TEST_CASE("three failures make a meter offline, one reply brings it back with its identity") {
    BusMeter named = meter("m1", 1);
    named.identity = {kSerial};
    BusMachine machine(setup({named}), 7, 0);
    BusStep step = connected(machine, 0);
    MonoMs now = 0;
    std::vector<bool> offline;
    while (offline.size() < 4) {
        REQUIRE(now < 200'000);
        switch (step.action.kind) {
            case BusActionKind::read:
                now += 500;
                step = machine.resume(read(PollResult::timeout), now);
                break;
            case BusActionKind::listen:
                now += step.action.for_ms;
                step = machine.resume(Listened{}, now);
                break;
            case BusActionKind::drain:
                step = machine.resume(Drained{}, now);
                break;
            default:
                now = step.action.until;
                step = machine.resume(Woken{}, now);
        }
        for (const VisitEnd& end : step.ended) offline.push_back(end.offline);
    }
    CHECK(offline == std::vector<bool>{false, false, true, true});
    CHECK_FALSE(machine.meter_online(0));
    bool identity = false;
    for (int i = 0; i < 30 && !machine.meter_online(0); ++i) {
        switch (step.action.kind) {
            case BusActionKind::read:
                identity = identity || step.action.span == kSerial;
                step = machine.resume(read(PollResult::ok), now += 40);
                break;
            case BusActionKind::listen:
                step = machine.resume(Listened{}, now += 500);
                break;
            case BusActionKind::drain:
                step = machine.resume(Drained{}, now);
                break;
            default:
                now = step.action.until;
                step = machine.resume(Woken{}, now);
        }
    }
    CHECK(machine.meter_online(0));
    CHECK(identity);
    REQUIRE(step.ended.size() == 1);
    CHECK(step.ended[0].identity);
}

TEST_CASE("what only describes the meter may be refused") {
    BusMeter named = meter("m1", 1);
    named.identity = {kSerial};
    BusMachine machine(setup({named}), 7, 0);
    (void)connected(machine, 0);
    BusStep step = machine.resume(read(PollResult::ok), 40);
    REQUIRE(step.action.span == kSerial);
    step = machine.resume(read(PollResult::exception), 80);
    REQUIRE(step.ended.size() == 1);
    CHECK(step.ended[0].result == PollResult::ok);
    CHECK_FALSE(step.ended[0].identity);
}

TEST_CASE("a busy meter is asked again soon, and then given up until the next poll") {
    BusMachine machine(setup({meter("m1", 1)}), 7, 0);
    BusStep step = connected(machine, 0);
    MonoMs now = 0;
    int asked = 0;
    while (step.ended.empty()) {
        if (step.action.kind == BusActionKind::read) {
            ++asked;
            step = machine.resume(read(PollResult::busy), now += 40);
        } else {
            REQUIRE(step.action.until - now <= 1'000);
            now = step.action.until;
            step = machine.resume(Woken{}, now);
        }
    }
    CHECK(asked == BusMachine::kBusyRetriesMax + 1);
    CHECK(step.ended[0].result == PollResult::busy);
    CHECK(step.action.until == 10'000);
}

TEST_CASE("a gateway that names a dead meter owes nothing and is not left") {
    BusSetup gateway = setup({meter("m1", 1), meter("m2", 2)});
    gateway.reconnects = true;
    BusMachine machine(gateway, 7, 0);
    (void)connected(machine, 0);
    const BusStep step = machine.resume(read(PollResult::gateway_target), 40);
    CHECK_FALSE(machine.reply_owed(0));
    REQUIRE(step.action.kind == BusActionKind::read);
    CHECK(step.action.meter == 1);
}

TEST_CASE("a port that is missing: offline with its reason, growing pauses, back by itself") {
    BusMachine machine(setup({meter("m1", 1)}), 7, 0);
    BusStep step = machine.resume(Woken{}, 0);
    MonoMs now = 0;
    std::size_t failures = 0;
    std::int64_t pause = 0;
    for (int attempt = 0; attempt < 12; ++attempt) {
        REQUIRE(step.action.kind == BusActionKind::connect);
        step = machine.resume(ConnectFailed{"no such device"}, now);
        failures += step.ended.size();
        REQUIRE(step.action.kind == BusActionKind::wait);
        pause = step.action.until - now;
        CHECK(pause <= BusMachine::kConnectMaxMs * 5 / 4);
        // Woken early, it still waits.
        CHECK(machine.resume(Woken{}, now + pause - 1).action.kind == BusActionKind::wait);
        now += pause;
        step = machine.resume(Woken{}, now);
    }
    CHECK(pause >= BusMachine::kConnectMaxMs * 3 / 4);
    CHECK(failures == BusMachine::kFailuresOffline);  // told until it is offline, not for ever
    CHECK(machine.status().phase == BusPhase::offline);
    CHECK(machine.status().reason == "no such device");
    step = machine.resume(Connected{}, now);
    CHECK(step.status_changed);
    CHECK(machine.status().phase == BusPhase::online);
    CHECK(machine.status().reason.empty());
    CHECK(step.action.kind == BusActionKind::read);
}

TEST_CASE("a lost connection is opened again at once after good service") {
    BusMachine machine(setup({meter("m1", 1), meter("m2", 2)}), 7, 0);
    (void)connected(machine, 0);
    (void)machine.resume(read(PollResult::ok), 40);
    ReadEnded lost = read(PollResult::not_connected);
    lost.lost = "connection reset";
    BusStep step = machine.resume(lost, 80);
    CHECK(step.ended.empty());
    REQUIRE(step.action.kind == BusActionKind::close);
    step = machine.resume(Closed{}, 80);
    REQUIRE(step.action.kind == BusActionKind::connect);
    // What was asked on the old connection may still be answered on the new one.
    step = machine.resume(Connected{}, 90);
    CHECK(step.action.meter == 1);
    CHECK(step.action.proof);
}

TEST_CASE("meters that share an address share its silence and its debt") {
    BusMachine machine(setup({meter("a", 9), meter("b", 9), meter("c", 3)}), 7, 0);
    (void)connected(machine, 0);
    const BusStep step = machine.resume(read(PollResult::timeout), 500);
    REQUIRE(step.ended.size() == 2);
    CHECK(step.ended[0].meter == 0);
    CHECK(step.ended[1].meter == 1);
    CHECK(machine.reply_owed(1));
    CHECK_FALSE(machine.reply_owed(2));
}

TEST_CASE("a full reading answers once, without touching the grid, past backoff") {
    BusMachine machine(setup({meter("m1", 1)}), 7, 0);
    (void)connected(machine, 0);
    (void)machine.resume(read(PollResult::ok), 40);
    machine.read_full(0);
    BusStep step = machine.resume(Woken{}, 100);
    REQUIRE(step.action.span == kEnergy);
    step = machine.resume(read(PollResult::ok), 140);
    REQUIRE(step.action.span == kPower);
    step = machine.resume(read(PollResult::exception), 180);
    REQUIRE(step.ended.size() == 1);
    CHECK(step.ended[0].kind == VisitKind::full);
    CHECK(step.ended[0].result == PollResult::ok);
    CHECK(step.action.until == 10'000);
}

TEST_CASE("a new list of meters keeps what was learned of the old ones") {
    BusMachine machine(setup({meter("m1", 1)}), 7, 0);
    (void)connected(machine, 0);
    BusStep step = machine.resume(read(PollResult::ok), 40);
    machine.configure(setup({meter("m0", 5), meter("m1", 1)}), 100);
    CHECK(machine.meter_online(1));
    CHECK_FALSE(machine.meter_online(0));
    CHECK(machine.turnaround_us(1) == 20'000);
    step = machine.resume(Woken{}, 100);
    REQUIRE(step.action.kind == BusActionKind::read);
    CHECK(step.action.meter == 0);
    CHECK(machine.find("m1") == 1);
    CHECK(machine.find("nobody") == -1);
}

namespace {

// A line with stations that answer in order, sometimes late, sometimes damaged. What a read takes
// is judged by address, table and length alone, as on an RTU wire; the frame remembers what was
// asked.
class Line {
  public:
    explicit Line(std::uint32_t seed) : random_(seed) {}
    int late_permille = 10, noise_permille = 10, foreign_permille = 5;
    std::vector<int> dead;
    MonoMs now = 0;
    std::uint64_t reads = 0, wrong = 0, good = 0;
    std::int64_t dead_ms = 0;

    BusEvent perform(const BusAction& action) {
        switch (action.kind) {
            case BusActionKind::wait:
                now = std::max(now + 1, action.until);
                return Woken{};
            case BusActionKind::connect:
                return Connected{};
            case BusActionKind::close:
                return Closed{};
            case BusActionKind::drain:
                return Drained{take_all(now), ""};
            case BusActionKind::listen:
                return listen(action);
            case BusActionKind::read:
                return read(action);
            case BusActionKind::job:
                break;
        }
        return Woken{};
    }

  private:
    struct Frame {
        MonoMs at;
        int address;
        RegisterSpan span;
    };
    std::size_t take_all(MonoMs until) {
        std::size_t bytes = 0;
        while (!frames_.empty() && frames_.front().at <= until) {
            bytes += 9;
            frames_.pop_front();
        }
        return bytes;
    }
    BusEvent listen(const BusAction& action) {
        Listened heard;
        const MonoMs end = now + action.for_ms;
        while (!frames_.empty() && frames_.front().at <= end) {
            const Frame frame = frames_.front();
            frames_.pop_front();
            heard.bytes += 9;
            heard.last_byte_ms = frame.at - now;
            heard.owed_reply = heard.owed_reply || (frame.address == action.address &&
                                                    frame.span.count == action.span.count);
        }
        if (std::count(dead.begin(), dead.end(), action.address) > 0) dead_ms += action.for_ms;
        now = end;
        return heard;
    }
    BusEvent read(const BusAction& action) {
        ++reads;
        const bool silent = std::count(dead.begin(), dead.end(), action.address) > 0;
        const MonoMs deadline = now + action.timeout_ms;
        if (!silent) {
            std::int64_t delay = 20 + chance(20);
            if (chance(1'000) < late_permille) delay = 100 + chance(8'000);
            MonoMs at = now + delay;
            for (const Frame& frame : frames_) {
                if (frame.address == action.address) at = std::max(at, frame.at + 5);
            }
            int address = action.address;
            if (chance(1'000) < foreign_permille) address += 100;
            Frame frame{at, address, action.span};
            frames_.insert(
                std::upper_bound(frames_.begin(), frames_.end(), frame,
                                 [](const Frame& a, const Frame& b) { return a.at < b.at; }),
                frame);
        }
        ReadEnded ended;
        if (frames_.empty() || frames_.front().at > deadline) {
            if (silent) dead_ms += deadline - now;
            ended.busy_us = (deadline - now) * 1'000;
            now = deadline;
            ended.result = PollResult::timeout;
            return ended;
        }
        const Frame frame = frames_.front();
        frames_.pop_front();
        ended.turnaround_us = (frame.at - now) * 1'000;
        now = std::max(now, frame.at);
        if (frame.address != action.address || frame.span.count != action.span.count) {
            ended.result = PollResult::foreign_frame;
        } else if (chance(1'000) < noise_permille) {
            ended.result = PollResult::crc;
        } else {
            ended.result = PollResult::ok;
            ++good;
            if (frame.span != action.span && !action.proof) ++wrong;
        }
        return ended;
    }
    int chance(int sides) { return static_cast<int>(random_() % static_cast<unsigned>(sides)); }

    std::mt19937 random_;
    std::deque<Frame> frames_;
};

}  // namespace

TEST_CASE("no wrong register in 200,000 exchanges with late, damaged and foreign replies") {
    const std::uint32_t seed = 20261124;
    CAPTURE(seed);
    BusSetup many = setup({});
    many.poll_interval_ms = 1'000;
    for (int i = 0; i < 12; ++i) {
        BusMeter one = meter("m" + std::to_string(i), 1 + i / 2);  // two meters an address
        one.routine = {{kIn, 10 * i, 2}, {kIn, 300 + 10 * i, 2}};
        one.proofs = {{kIn, 0, 2}, {kIn, 0, 4}, {kIn, 0, 6}, {kIn, 0, 8}};
        many.meters.push_back(one);
    }
    BusMachine machine(many, seed, 0);
    Line line(seed);
    BusEvent event = Woken{};
    while (line.reads < 200'000) {
        event = line.perform(machine.resume(event, line.now).action);
        if (line.reads % 97 == 0) machine.poll_soon(static_cast<int>(line.reads % 12));
    }
    CHECK(line.wrong == 0);
    CHECK(line.good > 150'000);
}

TEST_CASE("ten of 32 meters dead cost the bus at most four per cent of its time") {
    BusSetup many = setup({});
    many.poll_interval_ms = 5'000;
    Line line(1);
    line.late_permille = line.noise_permille = line.foreign_permille = 0;
    for (int i = 0; i < 32; ++i) {
        many.meters.push_back(meter("m" + std::to_string(i), 1 + i));
        if (i % 3 == 0 && line.dead.size() < 10) line.dead.push_back(1 + i);
    }
    BusMachine machine(many, 3, 0);
    BusEvent event = Woken{};
    while (line.now < 120'000) event = line.perform(machine.resume(event, line.now).action);
    line.dead_ms = 0;
    while (line.now < 120'000 + 600'000) {
        event = line.perform(machine.resume(event, line.now).action);
    }
    CHECK(line.dead_ms <= 600'000 * 4 / 100);
    CHECK(machine.status().meters_online == 22);
    // All of them come back by themselves.
    line.dead.clear();
    while (line.now < 720'000 + 400'000) {
        event = line.perform(machine.resume(event, line.now).action);
    }
    CHECK(machine.status().meters_online == 32);
}

TEST_CASE("a whole line that was away comes back within half a minute") {
    BusSetup many = setup({});
    Line line(2);
    line.late_permille = line.noise_permille = line.foreign_permille = 0;
    for (int i = 0; i < 20; ++i) {
        many.meters.push_back(meter("m" + std::to_string(i), 1 + i));
        line.dead.push_back(1 + i);
    }
    BusMachine machine(many, 3, 0);
    BusEvent event = Woken{};
    while (line.now < 600'000) event = line.perform(machine.resume(event, line.now).action);
    CHECK(machine.status().meters_online == 0);
    line.dead.clear();
    while (line.now < 630'000) event = line.perform(machine.resume(event, line.now).action);
    CHECK(machine.status().meters_online == 20);
}
