// The bare floor of a poll of 8 values: one libmodbus read of 16 registers and one Paho publish of
// QoS 0, with nothing between. For bench_poll.py, which sets it beside the daemon.
//
//   bench_floor PORT METERS SECONDS BROKER_URL    prints what it did and its processor time as JSON
#include <modbus.h>
#include <mqtt/async_client.h>
#include <sys/resource.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

namespace {

double processor_seconds() {
    rusage used{};
    (void)::getrusage(RUSAGE_SELF, &used);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return seconds(used.ru_utime) + seconds(used.ru_stime);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 5) {
        std::fputs("usage: bench_floor PORT METERS SECONDS BROKER_URL\n", stderr);
        return 2;
    }
    const int meters = std::atoi(argv[2]);
    modbus_t* bus = ::modbus_new_tcp("127.0.0.1", std::atoi(argv[1]));
    if (bus == nullptr || ::modbus_connect(bus) != 0) {
        std::fputs("bench_floor: no connection to the meters\n", stderr);
        return 1;
    }
    mqtt::async_client client(argv[4], "bench-floor");
    client.connect()->wait();
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + std::chrono::seconds(std::atoi(argv[3]));
    const double before = processor_seconds();
    long polls = 0;
    // Ten sweeps a second, as the daemon's poll interval asks of it.
    for (auto sweep = Clock::now(); Clock::now() < end; sweep += std::chrono::milliseconds(100)) {
        std::this_thread::sleep_until(sweep);
        for (int meter = 1; meter <= meters; ++meter) {
            std::array<std::uint16_t, 16> words{};
            (void)::modbus_set_slave(bus, meter);
            if (::modbus_read_input_registers(bus, 0, 16, words.data()) != 16) continue;
            const std::string payload =
                "{\"meter\":\"e-" + std::to_string(meter) + "\",\"register\":" +
                std::to_string((static_cast<unsigned>(words[0]) << 16U) | words[1]) + "}";
            client.publish("bench/meter/e-" + std::to_string(meter) + "/state", payload, 0, false);
            ++polls;
        }
    }
    const double spent = processor_seconds() - before;
    std::printf("{\"polls\": %ld, \"processor_us_per_poll\": %.1f}\n", polls,
                polls > 0 ? spent / static_cast<double>(polls) * 1e6 : 0.0);
    client.disconnect()->wait();
    ::modbus_close(bus);
    ::modbus_free(bus);
    return polls > 0 ? 0 : 1;
}
