// Jobs on a bus while polling goes on, and the pool of threads for meters with a TCP address of
// their own.
#include <atomic>
#include <set>

#include "tests/drivers/fake_bus.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::modbus;
using namespace gatehouse::modbus::fake;

namespace {

// Asks what it is given, one after another, and keeps what came.
class Script final : public BusJob {
  public:
    explicit Script(std::vector<JobExchange> exchanges) : exchanges_(std::move(exchanges)) {}
    std::optional<JobExchange> next() override {
        const std::lock_guard lock(mutex);
        if (at_ == exchanges_.size()) return std::nullopt;
        return exchanges_[at_++];
    }
    void ended(const JobExchange&, const Reply& reply) override {
        const std::lock_guard lock(mutex);
        replies.push_back(reply);
    }
    void finished(const std::string& reason) override {
        const std::lock_guard lock(mutex);
        ++times_finished;
        why = reason;
        condition.notify_all();
    }
    bool wait() {
        std::unique_lock lock(mutex);
        return condition.wait_for(lock, std::chrono::seconds(20),
                                  [&] { return times_finished > 0; });
    }
    std::mutex mutex;
    std::condition_variable condition;
    std::vector<Reply> replies;
    int times_finished = 0;
    std::string why;

  private:
    std::vector<JobExchange> exchanges_;
    std::size_t at_ = 0;
};

JobExchange ask(int address, RegisterSpan span, std::optional<LineSettings> line = {}) {
    JobExchange exchange;
    exchange.request = {address, span, 20};
    exchange.line = line;
    return exchange;
}

constexpr RegisterSpan kEnergy{RegisterTable::input, 0x48, 2};

}  // namespace

TEST_CASE("a job runs between polls, with its own line settings, which are put back") {
    Fixture f;
    f.bench.put(9, RegisterTable::input, 0x48, {1, 2});
    f.service.configure({f.plan()});
    const LineSettings slow{2'400, Parity::even, 1, 8};
    const auto job = std::make_shared<Script>(std::vector<JobExchange>{
        ask(9, kEnergy), ask(9, kEnergy, slow), ask(8, kEnergy, slow),
        ask(8, kEnergy, LineSettings{300, Parity::none, 1, 8}), ask(1, kEnergy)});
    CHECK(f.service.run_job("nowhere", job).find("no bus nowhere") != std::string::npos);
    CHECK(f.service.run_job("b1", job).empty());
    REQUIRE(job->wait());
    CHECK(job->why.empty());
    CHECK(job->times_finished == 1);
    REQUIRE(job->replies.size() == 5);
    CHECK(job->replies[0].words == std::vector<std::uint16_t>{1, 2});
    CHECK(job->replies[1].result == PollResult::ok);
    CHECK(job->replies[2].result == PollResult::exception);
    CHECK(job->replies[3].result == PollResult::busy);
    CHECK(job->replies[3].detail.find("300") != std::string::npos);
    CHECK(job->replies[4].result == PollResult::ok);
    std::size_t samples = 0;
    {
        const std::lock_guard lock(f.sink.mutex);
        samples = f.sink.samples.size();
    }
    REQUIRE(f.sink.wait([&] { return f.sink.samples.size() > samples + 3; }));
    const std::lock_guard lock(f.bench.mutex);
    REQUIRE_FALSE(f.bench.lines.empty());
    CHECK(f.bench.lines.front() == slow);
    CHECK(f.bench.lines.back() == LineSettings{});
}

TEST_CASE("an address that owes a reply is not asked again with the same length") {
    Fixture f;
    f.service.configure({f.plan()});
    {
        const std::lock_guard lock(f.bench.mutex);
        f.bench.failing[7] = PollResult::timeout;
    }
    const auto job = std::make_shared<Script>(
        std::vector<JobExchange>{ask(7, kEnergy), ask(7, {RegisterTable::holding, 0, 2}),
                                 ask(7, {RegisterTable::input, 0x48, 4}), ask(6, kEnergy)});
    REQUIRE(f.service.run_job("b1", job).empty());
    REQUIRE(job->wait());
    REQUIRE(job->replies.size() == 4);
    CHECK(job->replies[0].result == PollResult::timeout);
    CHECK(job->replies[1].result == PollResult::busy);
    CHECK(job->replies[2].result == PollResult::timeout);
    CHECK(job->replies[3].result == PollResult::exception);
}

TEST_CASE("a bus takes one job, finishes it when the bus ends, and says why it cannot be reached") {
    Fixture f;
    BusPlan plan = f.plan();
    f.bench.silent[50] = true;
    f.service.configure({plan});
    const auto first = std::make_shared<Script>(std::vector<JobExchange>(10'000, ask(51, kEnergy)));
    const auto second = std::make_shared<Script>(std::vector<JobExchange>{});
    REQUIRE(f.service.run_job("b1", first).empty());
    CHECK(f.service.run_job("b1", second).find("another search") != std::string::npos);
    f.service.stop();
    CHECK(first->times_finished == 1);
    CHECK_FALSE(first->why.empty());
    CHECK(second->times_finished == 0);
    Fixture g;
    g.bench.refuses_connection = "cannot open /dev/rs485/b1: No such file or directory";
    g.service.configure({plan});
    const auto third = std::make_shared<Script>(std::vector<JobExchange>{ask(1, kEnergy)});
    REQUIRE(g.service.run_job("b1", third).empty());
    REQUIRE(third->wait());
    CHECK(third->why.find("No such file") != std::string::npos);
    CHECK(third->replies.empty());
}

namespace {

BusPlan single(int number) {
    BusPlan plan;
    plan.id = "t" + std::to_string(number);
    plan.settings.transport = Transport::tcp;
    plan.settings.baud = 0;
    plan.settings.host = "127.0.1." + std::to_string(number);
    plan.poll_interval_ms = 200;
    plan.response_timeout_ms = 100;
    plan.meters = {{"m" + std::to_string(number), number, 0, profile("eastron-sdm120")}};
    return plan;
}

}  // namespace

TEST_CASE("300 single meters share eight threads, and 30 silent ones hold up nobody") {
    Fixture f;
    std::vector<BusPlan> plans;
    for (int i = 1; i <= 300; ++i) {
        f.bench.put(i, RegisterTable::input, 0x48, {0x449A, 0x5000});
        f.bench.put(i, RegisterTable::input, 0x0C, {0x42FA, 0x0000});
        f.bench.put(i, RegisterTable::holding, 0xFC00, {1, 2});
        f.bench.silent[i] = i % 10 == 0;
        plans.push_back(single(i));
    }
    CHECK(f.service.configure(plans).empty());
    CHECK(f.service.heartbeats().size() == kPoolThreads);
    std::map<std::string, int> count;
    std::size_t seen = 0;
    REQUIRE(f.sink.wait([&] {
        for (; seen < f.sink.samples.size(); ++seen) ++count[f.sink.samples[seen].meter];
        return count.size() == 270 && std::all_of(count.begin(), count.end(),
                                                  [](const auto& one) { return one.second >= 5; });
    }));
    REQUIRE(f.sink.wait([&] {
        std::set<std::string> dead;
        for (const PollFailure& failure : f.sink.failures) {
            if (failure.offline) dead.insert(failure.meter);
        }
        return dead.size() == 30;
    }));
    CHECK(f.service.status().size() == 300);
}

TEST_CASE("a bus that gets a second meter goes on where it was, with a thread of its own") {
    Fixture f;
    f.bench.put(5, RegisterTable::input, 0x48, {0x449A, 0x5000});
    BusPlan plan = single(5);
    plan.meters = {{"m1", 1, 0, profile("eastron-sdm120")}};
    f.service.configure({plan});
    REQUIRE(f.sink.wait([&] { return f.sink.samples.size() > 2; }));
    CHECK(f.service.heartbeats().size() == kPoolThreads);
    plan.meters.push_back({"m5", 5, 0, profile("eastron-sdm120")});
    f.service.configure({plan});
    REQUIRE(f.sink.wait([&] { return f.sink.samples.back().meter == "m5"; }));
    CHECK(f.service.heartbeats().size() == kPoolThreads + 1);
    CHECK(f.bench.connections == 1);
    plan.meters.pop_back();
    f.service.configure({plan});
    CHECK(f.service.heartbeats().size() == kPoolThreads);
    const std::size_t samples = f.sink.samples.size();
    REQUIRE(f.sink.wait([&] { return f.sink.samples.size() > samples + 2; }));
    CHECK(f.bench.connections == 1);
}

TEST_CASE("the pool takes 512 buses, and says which it leaves out") {
    Fixture f;
    std::vector<BusPlan> plans;
    for (int i = 0; i < 514; ++i) {
        plans.push_back(single(1));
        plans.back().id = "t" + std::to_string(i);
        plans.back().meters.clear();
    }
    const auto refused = f.service.configure(plans);
    REQUIRE(refused.size() == 2);
    CHECK(refused[1].find("t513") != std::string::npos);
    CHECK(f.service.status().size() == 514);
    f.service.stop();
}
