// The two cases that make libmodbus alone unfit for billing, against the whole service: a late RTU
// reply that answers the next question, and transaction numbers that are off by one for ever.
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <mutex>

#include "drivers/modbus/bus_service.hpp"
#include "tests/integration/modbus/slave.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::modbus;
using test::Bytes;
using test::Chunk;
using test::Slave;

namespace {

class FixedRandom final : public Random {
  public:
    void fill(void* bytes, std::size_t count) override {
        for (std::size_t i = 0; i < count; ++i) static_cast<unsigned char*>(bytes)[i] = 42;
    }
};

class Collector final : public SampleSink {
  public:
    void sample(Sample sample) override {
        const std::lock_guard lock(mutex);
        samples.push_back(std::move(sample));
    }
    void failure(PollFailure failure) override {
        const std::lock_guard lock(mutex);
        failures.push_back(std::move(failure));
    }
    void bus(BusStatus status) override {
        const std::lock_guard lock(mutex);
        statuses.push_back(std::move(status));
    }
    std::size_t count() {
        const std::lock_guard lock(mutex);
        return samples.size();
    }
    std::mutex mutex;
    std::vector<Sample> samples;
    std::vector<PollFailure> failures;
    std::vector<BusStatus> statuses;
};

// Two registers of one slave, same function, same length: the shape of finding 1.
std::shared_ptr<const Profile> two_registers() {
    const ParsedProfile parsed = parse_profile(R"(schema = 1
id = "bench-two"
maker = "Bench"
model = "Two"
service = "electricity"
source = "this test"
map = "document"
billing = "energy_import"
[meter]
step = "1"
[read]
fill_holes = false
[[value]]
measurement = "energy_import"
register = 0
type = "u32"
[[value]]
measurement = "power"
register = 100
type = "u32"
[[value]]
measurement = "energy_export"
register = 2
type = "u32"
[[test]]
name = "a"
words = { "3:0" = "0000 0001 0000 0002", "3:100" = "0000 0003" }
expect = { energy_import = "1", energy_export = "2", power = "3" }
[[test]]
name = "b"
words = { "3:0" = "0001 0000" }
expect = { energy_import = "65536" }
)",
                                               "bench-two.toml");
    REQUIRE(parsed.profile);
    return parsed.profile;
}

// Long enough for a busy machine to answer within it what is not meant to be late.
constexpr int kTimeoutMs = 300;

BusPlan plan_of(const Slave& slave, Transport transport) {
    BusPlan plan;
    plan.id = "b1";
    plan.settings.transport = transport;
    plan.settings.host = "127.0.0.1";
    plan.settings.port = slave.port();
    plan.settings.device = slave.device();
    plan.settings.baud = 115'200;
    plan.poll_interval_ms = 20;
    plan.response_timeout_ms = kTimeoutMs;
    plan.meters = {{"m1", 1, 0, two_registers()}};
    return plan;
}

// Every register answers with its own address, so each right sample is known.
void check_samples(Collector& sink) {
    const std::lock_guard lock(sink.mutex);
    for (const Sample& sample : sink.samples) {
        CHECK(sample.raw == std::vector<std::uint16_t>{0, 1});
        CHECK(sample.power_milliwatt == (100LL * 65'536 + 101) * 1'000);
    }
}

}  // namespace

TEST_CASE("finding 1: a late RTU reply of the same slave, function and length is no value") {
    for (const Slave::Kind kind : {Slave::Kind::pty, Slave::Kind::rtu_over_tcp}) {
        std::atomic<int> count{0};
        Slave slave(kind, [&](const Bytes& asked) {
            // Every fifth reply comes after its timeout, by one to three of them.
            const int n = ++count;
            const int late = n % 5 == 0 ? kTimeoutMs + 50 + kTimeoutMs * (n / 5 % 3) : 0;
            return std::vector<Chunk>{{late, test::with_crc(test::register_reply(asked))}};
        });
        const test::SteadyClock clock;
        FixedRandom random;
        Collector sink;
        BusService service(clock, random, sink, 1);
        service.configure(
            {plan_of(slave, kind == Slave::Kind::pty ? Transport::rtu : Transport::rtu_over_tcp)});
        CHECK(test::eventually([&] { return sink.count() >= 12 && count >= 25; }));
        service.stop();
        check_samples(sink);
        const std::lock_guard lock(sink.mutex);
        CHECK_FALSE(sink.failures.empty());
    }
}

TEST_CASE("a slave that is always later than its timeout never gives a wrong value") {
    Slave slave(Slave::Kind::pty, [](const Bytes& asked) {
        return std::vector<Chunk>{{kTimeoutMs + 50, test::with_crc(test::register_reply(asked))}};
    });
    const test::SteadyClock clock;
    FixedRandom random;
    Collector sink;
    BusService service(clock, random, sink, 1);
    service.configure({plan_of(slave, Transport::rtu)});
    CHECK(test::eventually([&] {
        const std::lock_guard lock(sink.mutex);
        return !sink.failures.empty() && sink.failures.back().offline;
    }));
    service.stop();
    CHECK(sink.count() == 0);
}

TEST_CASE("finding 2: one TCP timeout does not desynchronise the transaction numbers for ever") {
    std::atomic<int> count{0};
    Slave slave(Slave::Kind::tcp, [&](const Bytes& asked) {
        const Bytes pdu = test::register_reply({asked.begin() + 6, asked.end()});
        Bytes reply{asked[0], asked[1], 0, 0, 0, static_cast<std::uint8_t>(pdu.size())};
        reply.insert(reply.end(), pdu.begin(), pdu.end());
        const int n = ++count;
        return std::vector<Chunk>{{n % 4 == 0 ? kTimeoutMs + 70 : 0, reply}};
    });
    const test::SteadyClock clock;
    FixedRandom random;
    Collector sink;
    BusService service(clock, random, sink, 1);
    service.configure({plan_of(slave, Transport::tcp)});
    CHECK(test::eventually([&] { return sink.count() >= 12 && count >= 25; }));
    service.stop();
    check_samples(sink);
}

TEST_CASE("a port that goes and comes back: offline with its reason, then online by itself") {
    char pattern[] = "/tmp/gatehouse-port-XXXXXX";
    const std::string folder = ::mkdtemp(pattern);
    const std::string port = folder + "/port";
    const auto answer = [](const Bytes& asked) {
        return std::vector<Chunk>{{0, test::with_crc(test::register_reply(asked))}};
    };
    const test::SteadyClock clock;
    FixedRandom random;
    Collector sink;
    BusService service(clock, random, sink, 1);
    auto slave = std::make_unique<Slave>(Slave::Kind::pty, answer);
    BusPlan plan = plan_of(*slave, Transport::rtu);
    plan.settings.device = port;
    service.configure({plan});
    const auto offline = [&] {
        const BusStatus status = service.status().at(0);
        return status.phase == BusPhase::offline && !status.reason.empty();
    };
    CHECK(test::eventually(offline));
    CHECK(service.status()[0].reason.find(port) != std::string::npos);
    std::filesystem::create_symlink(slave->device(), port);
    CHECK(test::eventually([&] { return sink.count() > 2; }));
    CHECK(service.status()[0].phase == BusPhase::online);
    // Pulled out: the far end is gone and so is the name.
    std::filesystem::remove(port);
    slave.reset();
    CHECK(test::eventually(offline));
    slave = std::make_unique<Slave>(Slave::Kind::pty, answer);
    std::filesystem::create_symlink(slave->device(), port);
    const std::size_t before = sink.count();
    CHECK(test::eventually([&] { return sink.count() > before; }));
    service.stop();
    check_samples(sink);
    std::filesystem::remove_all(folder);
}

TEST_CASE("stop does not wait for more than the exchange on the wire") {
    Slave slave(Slave::Kind::pty, [](const Bytes&) { return std::vector<Chunk>{}; });
    const test::SteadyClock clock;
    FixedRandom random;
    Collector sink;
    BusService service(clock, random, sink, 1);
    BusPlan plan = plan_of(slave, Transport::rtu);
    plan.response_timeout_ms = 1'000;
    service.configure({plan});
    CHECK(test::eventually([&] { return slave.requests() > 0; }));
    const int before = slave.requests();
    service.stop();
    CHECK(slave.requests() <= before + 1);
}
