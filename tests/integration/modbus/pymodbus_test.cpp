// A slave that this project did not write: Debian's python3-pymodbus over TCP, RTU over TCP and a
// pseudo-terminal, read by the shipped profiles.
#include <arpa/inet.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <mutex>
#include <thread>

#include "drivers/modbus/bus_service.hpp"
#include "tests/integration/modbus/slave.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::modbus;

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
    void bus(BusStatus) override {}
    std::size_t of(const std::string& meter) {
        const std::lock_guard lock(mutex);
        std::size_t count = 0;
        for (const Sample& sample : samples) count += sample.meter == meter ? 1U : 0U;
        return count;
    }
    std::mutex mutex;
    std::vector<Sample> samples;
    std::vector<PollFailure> failures;
};

// The slave's process; it is ended by its id.
class PymodbusSlave {
  public:
    PymodbusSlave(const std::string& kind, const std::string& where) {
        std::array<int, 2> out{};
        REQUIRE(::pipe(out.data()) == 0);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::dup2(out[1], STDOUT_FILENO);
            ::close(out[0]);
            ::close(out[1]);
            ::execl("/usr/bin/python3", "python3", GATEHOUSE_PYMODBUS_SLAVE, kind.c_str(),
                    where.c_str(), nullptr);
            ::_exit(127);
        }
        ::close(out[1]);
        std::array<char, 64> line{};
        const ssize_t got = ::read(out[0], line.data(), line.size() - 1);
        output_ = out[0];  // stays open: the rest of the line may come later
        REQUIRE(got > 0);
        REQUIRE(std::string(line.data()).find("ready") == 0);
    }
    ~PymodbusSlave() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        ::close(output_);
    }
    PymodbusSlave(const PymodbusSlave&) = delete;
    PymodbusSlave& operator=(const PymodbusSlave&) = delete;

  private:
    pid_t pid_ = -1;
    int output_ = -1;
};

int free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in local{};
    local.sin_family = AF_INET;
    local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof local;
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&local), length) == 0);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&local), &length);
    ::close(fd);
    return ntohs(local.sin_port);
}

void read_building(BusPlan plan) {
    const ProfileTable table = load_profiles({GATEHOUSE_METERS});
    plan.id = "b1";
    plan.poll_interval_ms = 200;
    plan.response_timeout_ms = 1'000;
    plan.meters = {{"power", 1, 0, table.find("eastron-sdm120")},
                   {"water0", 2, 0, table.find("wirenboard-mcm8")},
                   {"water7", 2, 7, table.find("wirenboard-mcm8")}};
    for (const MeterPlan& meter : plan.meters) REQUIRE(meter.profile);
    const test::SteadyClock clock;
    FixedRandom random;
    Collector sink;
    BusService service(clock, random, sink, 1);
    service.configure({plan});
    CHECK(test::eventually(
        [&] { return sink.of("power") > 3 && sink.of("water0") > 3 && sink.of("water7") > 3; }));
    service.stop();
    const std::lock_guard lock(sink.mutex);
    for (const PollFailure& failure : sink.failures) FAIL_CHECK(failure.meter + failure.detail);
    bool serial = false;
    for (const Sample& sample : sink.samples) {
        CAPTURE(sample.meter);
        if (sample.meter == "power") {
            CHECK(format_rational(sample.register_value) == "1234.5");
            CHECK(sample.power_milliwatt == 125'000);
            serial = serial || sample.serial == "18057772";
        } else {
            CHECK(format_rational(sample.register_value) == (sample.meter == "water0" ? "1" : "8"));
        }
    }
    CHECK(serial);
}

// Two pseudo-terminals back to back, and a thread that is the cable between them.
class Cable {
  public:
    Cable() {
        for (std::size_t i = 0; i < 2; ++i) {
            std::array<char, 128> name{};
            termios raw{};
            ::cfmakeraw(&raw);
            // The near side stays open as well, so that the line never hangs up.
            REQUIRE(::openpty(&far_[i], &near_[i], name.data(), &raw, nullptr) == 0);
            names_[i] = name.data();
        }
        thread_ = std::thread([this] { carry(); });
    }
    ~Cable() {
        stopping_ = true;
        thread_.join();
        for (const int fd : far_) ::close(fd);
        for (const int fd : near_) ::close(fd);
    }
    Cable(const Cable&) = delete;
    Cable& operator=(const Cable&) = delete;
    [[nodiscard]] const std::string& end(std::size_t i) const { return names_[i]; }

  private:
    void carry() {
        while (!stopping_) {
            std::array<pollfd, 2> entries{pollfd{far_[0], POLLIN, 0}, pollfd{far_[1], POLLIN, 0}};
            if (::poll(entries.data(), 2, 20) <= 0) continue;
            for (std::size_t i = 0; i < 2; ++i) {
                if ((entries[i].revents & POLLIN) == 0) continue;
                std::array<char, 256> chunk{};
                const ssize_t got = ::read(far_[i], chunk.data(), chunk.size());
                if (got <= 0) continue;
                (void)!::write(far_[1 - i], chunk.data(), static_cast<std::size_t>(got));
            }
        }
    }

    std::array<int, 2> far_{-1, -1};
    std::array<int, 2> near_{-1, -1};
    std::array<std::string, 2> names_;
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

}  // namespace

TEST_CASE("pymodbus over TCP") {
    const int port = free_port();
    const PymodbusSlave slave("tcp", std::to_string(port));
    BusPlan plan;
    plan.settings.host = "localhost";
    plan.settings.port = port;
    read_building(plan);
}

TEST_CASE("pymodbus as RTU over TCP") {
    const int port = free_port();
    const PymodbusSlave slave("rtu-over-tcp", std::to_string(port));
    BusPlan plan;
    plan.settings.transport = Transport::rtu_over_tcp;
    plan.settings.host = "127.0.0.1";
    plan.settings.port = port;
    read_building(plan);
}

TEST_CASE("pymodbus on a serial line") {
    const Cable cable;
    const PymodbusSlave slave("serial", cable.end(1));
    BusPlan plan;
    plan.settings.transport = Transport::rtu;
    plan.settings.device = cable.end(0);
    read_building(plan);
}
