// The bus service over a fake link: samples, failures, on-demand readings, a meter that refuses
// holes, changes while it runs, and its limits.
#include <atomic>
#include <set>

#include "drivers/modbus/bus_worker.hpp"
#include "tests/drivers/fake_bus.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::modbus;
using namespace gatehouse::modbus::fake;

TEST_CASE("a poll becomes a sample with its words, power, serial and stamp") {
    Fixture f;
    CHECK(f.service.configure({f.plan()}).empty());
    REQUIRE(f.sink.wait([&] { return f.sink.samples.size() >= 3; }));
    const std::lock_guard lock(f.sink.mutex);
    const Sample& first = f.sink.samples[0];
    CHECK(first.meter == "m1");
    CHECK(first.at.run == 7);
    CHECK(first.at.wall_ms > 1'795'000'000'000);
    CHECK(format_rational(first.register_value) == "1234.5");
    CHECK(first.raw == std::vector<std::uint16_t>{0x449A, 0x5000});
    CHECK(first.power_milliwatt == 125'000);
    CHECK(first.current_flows);
    CHECK_FALSE(first.confirming);
    CHECK(first.serial == "18057772");
    // Read twice at the start, which makes it believed, and not with every poll.
    CHECK(f.sink.samples[1].serial == "18057772");
    CHECK_FALSE(f.sink.samples[2].serial);
}

TEST_CASE("a meter that refuses holes or registers is read without them, and is not failed") {
    Fixture f;
    // Only energy, power and serial exist on the bench: the planner's first block over the hole
    // is refused. Chint has its power far away and no hole to fill; ABB has all apart.
    BusPlan plan = f.plan();
    plan.settings = {};  // TCP: holes are free, so the planner fills them
    plan.settings.baud = 0;
    f.service.configure({plan});
    REQUIRE(f.sink.wait([&] { return !f.sink.samples.empty(); }));
    const std::lock_guard lock(f.sink.mutex);
    CHECK(f.sink.failures.empty());
    CHECK(f.sink.samples[0].power_milliwatt == 125'000);
}

TEST_CASE("a register that is refused alone is put aside, the billing register goes on") {
    Fixture f;
    {
        const std::lock_guard lock(f.bench.mutex);
        f.bench.words.erase({1, {RegisterTable::input, 0x0C}});
    }
    f.service.configure({f.plan()});
    REQUIRE(f.sink.wait([&] { return !f.sink.samples.empty(); }));
    const std::lock_guard lock(f.sink.mutex);
    CHECK_FALSE(f.sink.samples[0].power_milliwatt);
    CHECK(f.sink.failures.empty());
}

TEST_CASE("a refused billing register is that meter's failure alone") {
    Fixture f;
    BusPlan plan = f.plan();
    plan.meters.push_back({"m2", 2, 0, profile("eastron-sdm120")});
    f.bench.put(2, RegisterTable::input, 0x0C, {0, 0});
    f.service.configure({plan});
    REQUIRE(f.sink.wait([&] { return f.sink.failures.size() >= 3 && f.sink.samples.size() > 3; }));
    const std::lock_guard lock(f.sink.mutex);
    for (const PollFailure& failure : f.sink.failures) {
        CHECK(failure.meter == "m2");
        CHECK(failure.result == PollResult::exception);
    }
    CHECK_FALSE(f.sink.failures[0].offline);
    CHECK(f.sink.failures[2].offline);
}

TEST_CASE("a sentinel is no reading, counted and told, and after three the meter gives none") {
    Fixture f;
    f.bench.put(1, RegisterTable::input, 0x48, {0x7FC0, 0x0000});
    f.service.configure({f.plan()});
    REQUIRE(f.sink.wait([&] { return f.sink.failures.size() >= 4; }));
    {
        const std::lock_guard lock(f.sink.mutex);
        CHECK(f.sink.samples.empty());
        for (std::size_t i = 0; i < f.sink.failures.size(); ++i) {
            const PollFailure& failure = f.sink.failures[i];
            CHECK(failure.result == PollResult::sentinel);
            CHECK(failure.detail.find("7FC0 0000") != std::string::npos);
            CHECK(failure.offline == (i >= 2));
        }
        const MeterLine line = f.service.status().at(0).lines.at(0);
        CHECK(line.online);  // its wire is well
        CHECK(line.exchanges[static_cast<std::size_t>(PollResult::sentinel)] >= 4);
    }
    std::optional<ReadResult> result;
    REQUIRE(f.service.read_now("m1", [&](ReadResult read) {
        const std::lock_guard lock(f.sink.mutex);
        result = std::move(read);
        f.sink.condition.notify_all();
    }));
    REQUIRE(f.sink.wait([&] { return result.has_value(); }));
    CHECK(result->result == PollResult::sentinel);
    CHECK(result->detail.find("7FC0 0000") != std::string::npos);
    // One good value ends it: the next bad one is the first again.
    f.bench.put(1, RegisterTable::input, 0x48, {0x449A, 0x5000});
    REQUIRE(f.sink.wait([&] { return !f.sink.samples.empty(); }));
    {
        const std::lock_guard lock(f.sink.mutex);
        f.sink.failures.clear();
    }
    f.bench.put(1, RegisterTable::input, 0x48, {0x7F80, 0x0000});
    REQUIRE(f.sink.wait([&] { return f.sink.failures.size() >= 3; }));
    const std::lock_guard lock(f.sink.mutex);
    CHECK_FALSE(f.sink.failures[0].offline);
    CHECK(f.sink.failures[2].offline);
}

TEST_CASE("an on-demand reading of a refused billing register fails with the refusal") {
    Fixture f;
    BusPlan plan = f.plan();
    plan.meters = {{"m2", 2, 0, profile("eastron-sdm120")}};
    f.bench.put(2, RegisterTable::input, 0x0C, {0x42FA, 0x0000});
    f.service.configure({plan});
    std::optional<ReadResult> result;
    REQUIRE(f.service.read_now("m2", [&](ReadResult read) {
        const std::lock_guard lock(f.sink.mutex);
        result = std::move(read);
        f.sink.condition.notify_all();
    }));
    REQUIRE(f.sink.wait([&] { return result.has_value(); }));
    CHECK(result->result == PollResult::exception);
    CHECK(result->detail.find("illegal data address") != std::string::npos);
}

TEST_CASE("every installed profile has reads of two other lengths than its billing block") {
    const ProfileTable table = load_profiles({GATEHOUSE_METERS});
    REQUIRE_FALSE(table.profiles.empty());
    for (const auto& [id, one] : table.profiles) {
        const BusMeter plan = plan_meter({"m", 1, 0, one});
        std::set<int> lengths;
        for (const RegisterSpan& proof : plan.proofs) {
            CHECK(proof.count > 0);
            CHECK(proof.count <= one->rules.registers_max);
            for (const RegisterSpan& no : one->rules.forbidden) {
                const bool apart =
                    no.table != proof.table || no.end() <= proof.first || proof.end() <= no.first;
                CHECK(apart);
            }
            lengths.insert(proof.count);
        }
        // A block's own length is one of these; one lost reply and one lost proof leave a third.
        CAPTURE(id, one->rules.fill_holes);
        CHECK(lengths.size() >= (one->rules.fill_holes ? 3 : 2));
    }
}

// The billing blocks of each have lengths of their own, so that nothing goes before them.
TEST_CASE("no installed profile costs a question more behind a gateway that answers well") {
    for (const auto& [id, one] : load_profiles({GATEHOUSE_METERS}).profiles) {
        CAPTURE(id);
        BusSetup setup;
        setup.char_us = 1'042;
        setup.reconnects = setup.gateway = setup.transaction_numbers = true;
        for (int channel = 0; channel < one->channels; ++channel) {
            setup.meters.push_back(plan_meter({"m" + std::to_string(channel), 1, channel, one}));
        }
        BusMachine machine(std::move(setup), 1, 0);
        BusEvent event = Woken{};
        MonoMs now = 0;
        int reads = 0, proofs = 0;
        while (now < 600'000) {
            const BusAction action = machine.resume(event, now).action;
            event = Woken{};
            if (action.kind == BusActionKind::connect) event = Connected{};
            if (action.kind == BusActionKind::wait) now = std::max(now + 1, action.until);
            if (action.kind != BusActionKind::read) continue;
            now += 40;
            ++reads;
            proofs += action.proof ? 1 : 0;
            ReadEnded ended;
            ended.result = PollResult::ok;
            ended.turnaround_us = 20'000;
            event = ended;
        }
        CHECK(reads > 9 * one->channels);
        CHECK(proofs == 0);
    }
}

TEST_CASE(
    "two channels of a module that gives four registers at most keep apart behind a gateway") {
    Fixture f;
    f.bench.put(7, RegisterTable::input, 1068, {0, 0, 0x10, 0x5000, 0, 0, 0x10, 0x5111});
    f.bench.registers_max = 4;
    BusPlan plan = f.plan();
    plan.settings.transport = Transport::tcp;
    plan.meters = {{"m0", 7, 0, profile("wirenboard-mwac2")},
                   {"m1", 7, 1, profile("wirenboard-mwac2")}};
    f.service.configure({plan});
    REQUIRE(f.sink.wait([&] { return f.sink.samples.size() >= 6; }));
    {
        // A reply comes twice, and each question gets the one before it from here on.
        const std::lock_guard lock(f.bench.mutex);
        f.bench.behind.push_back(f.bench.last);
        f.bench.out_of_step = true;
    }
    REQUIRE(f.sink.wait([&] { return f.sink.failures.size() >= 4; }));
    {
        const std::lock_guard lock(f.bench.mutex);
        f.bench.out_of_step = false;
    }
    std::size_t before = 0;
    {
        const std::lock_guard lock(f.sink.mutex);
        before = f.sink.samples.size();
    }
    REQUIRE(f.sink.wait([&] { return f.sink.samples.size() >= before + 6; }));
    const std::lock_guard lock(f.sink.mutex);
    for (const Sample& sample : f.sink.samples) {
        CAPTURE(sample.meter);
        CHECK(sample.raw.back() == (sample.meter == "m0" ? 0x5000 : 0x5111));
    }
}

TEST_CASE("poll_soon gives a confirming sample of its own exchange") {
    Fixture f;
    BusPlan plan = f.plan();
    plan.poll_interval_ms = 3'600'000;
    f.service.configure({plan});
    REQUIRE(f.sink.wait([&] { return f.sink.samples.size() == 1; }));
    int before = 0;
    {
        const std::lock_guard lock(f.bench.mutex);
        before = f.bench.exchanges[1];
    }
    f.service.poll_soon("m1");
    f.service.poll_soon("nobody");
    REQUIRE(f.sink.wait([&] { return f.sink.samples.size() == 2; }));
    CHECK(f.sink.samples[1].confirming);
    const std::lock_guard lock(f.bench.mutex);
    CHECK(f.bench.exchanges[1] > before);
}

TEST_CASE("an on-demand reading tells every value, its bytes and steps") {
    Fixture f;
    f.service.configure({f.plan()});
    std::mutex mutex;
    std::condition_variable condition;
    std::optional<ReadResult> result;
    REQUIRE(f.service.read_now("m1", [&](ReadResult read) {
        const std::lock_guard lock(mutex);
        result = std::move(read);
        condition.notify_all();
    }));
    CHECK_FALSE(f.service.read_now("nobody", [](ReadResult) {}));
    std::unique_lock lock(mutex);
    REQUIRE(condition.wait_for(lock, std::chrono::seconds(20), [&] { return result.has_value(); }));
    CHECK(result->result == PollResult::ok);
    CHECK(result->bus == "b1");
    CHECK(result->profile == "eastron-sdm120");
    REQUIRE_FALSE(result->exchanges.empty());
    CHECK(result->exchanges[0].request_hex == "01 02");
    REQUIRE_FALSE(result->values.empty());
    CHECK(result->values[0].value == "1234.5");
    CHECK(result->values[0].unit == "kWh");
    CHECK(result->values[0].steps.find("449A 5000") != std::string::npos);
}

TEST_CASE("a missing port: offline with its reason, and by itself back") {
    Fixture f;
    f.bench.refuses_connection = "cannot open /dev/rs485/b1: No such file or directory";
    f.service.configure({f.plan()});
    REQUIRE(f.sink.wait([&] {
        return !f.sink.statuses.empty() && f.sink.statuses.back().phase == BusPhase::offline;
    }));
    REQUIRE(f.service.status().size() == 1);
    CHECK(f.service.status()[0].reason.find("No such file") != std::string::npos);
    std::atomic<int> answers{0};
    REQUIRE(f.service.read_now("m1", [&](ReadResult read) {
        if (read.result == PollResult::not_connected) ++answers;
    }));
    {
        const std::lock_guard lock(f.bench.mutex);
        f.bench.refuses_connection.clear();
    }
    REQUIRE(f.sink.wait([&] { return !f.sink.samples.empty(); }));
    CHECK(answers == 1);
    CHECK(f.service.status()[0].phase == BusPhase::online);
}

TEST_CASE("an import changes the meters and leaves the connection alone") {
    Fixture f;
    BusPlan plan = f.plan();
    f.service.configure({plan, f.plan("b2")});
    REQUIRE(f.sink.wait([&] { return f.sink.samples.size() > 3; }));
    int connections = 0;
    {
        const std::lock_guard lock(f.bench.mutex);
        connections = f.bench.connections;
    }
    plan.meters.push_back({"m9", 1, 0, profile("eastron-sdm120")});
    plan.meters.push_back({"m10", 3, 0, nullptr});  // no profile: left out
    f.service.configure({plan, f.plan("b2")});
    REQUIRE(f.sink.wait([&] { return f.sink.samples.back().meter == "m9"; }));
    {
        const std::lock_guard lock(f.bench.mutex);
        CHECK(f.bench.connections == connections);
        CHECK(f.bench.closes == 0);
    }
    // A bus that is no longer wanted, or whose settings changed, is let go.
    plan.settings.baud = 19'200;
    f.service.configure({plan});
    CHECK(f.service.status().size() == 1);
    const std::lock_guard lock(f.bench.mutex);
    CHECK(f.bench.closes == 2);
}

TEST_CASE("the sixty-fifth bus is refused by name, and stop ends all quickly") {
    Fixture f;
    std::vector<BusPlan> plans;
    for (int i = 0; i < 65; ++i) {
        plans.push_back(f.plan("b" + std::to_string(i)));
        plans.back().meters = {{"m" + std::to_string(i), 1, 0, profile("eastron-sdm120")}};
    }
    const auto refused = f.service.configure(plans);
    REQUIRE(refused.size() == 1);
    CHECK(refused[0].find("b64") != std::string::npos);
    CHECK(f.service.heartbeats().size() == kThreadedBusesMax);
    CHECK(f.service.status().back().reason.find("at most 64") != std::string::npos);
    const MonoMs before = f.clock.mono_ms();
    f.service.stop();
    CHECK(f.clock.mono_ms() - before < 5'000);
    CHECK_FALSE(f.service.read_now("m1", [](ReadResult) {}));
    CHECK(f.service.status().empty());
    CHECK(f.service.configure(plans).size() == 1);
}

TEST_CASE("at most sixteen on-demand readings wait, and each is answered once") {
    Fixture f;
    BusPlan plan = f.plan();
    {
        const std::lock_guard lock(f.bench.mutex);
        f.bench.refuses_connection = "not yet";
    }
    f.service.configure({plan});
    std::atomic<int> answered{0};
    int accepted = 0;
    for (int i = 0; i < 200; ++i) {
        if (f.service.read_now("m1", [&](ReadResult) { ++answered; })) ++accepted;
    }
    f.service.stop();
    CHECK(accepted >= static_cast<int>(kReadsWaitingMax));
    CHECK(answered == accepted);
}

TEST_CASE("the dry run reads every meter once and prints a table") {
    Fixture f;
    BusPlan plan = f.plan();
    plan.meters.push_back({"m2", 2, 0, profile("eastron-sdm120")});
    plan.meters.push_back({"m3", 2, 0, profile("eastron-sdm120")});
    f.bench.failing[2] = PollResult::timeout;
    const LinkFactory links = [&](const BusSettings&) {
        return std::make_unique<FakeLink>(f.bench);
    };
    const auto results = poll_once(plan, f.clock, links);
    REQUIRE(results.size() == 3);
    CHECK(results[0].result == PollResult::ok);
    CHECK(results[1].result == PollResult::timeout);
    CHECK(results[2].detail.find("not asked") != std::string::npos);
    const std::string table = to_text(results);
    CHECK(table.find("1234.5 kWh") != std::string::npos);
    CHECK(table.find("as the bench wants") != std::string::npos);
    f.bench.refuses_connection = "no such port";
    CHECK(poll_once(plan, f.clock, links)[0].detail == "no such port");
}
