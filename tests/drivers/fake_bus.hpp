// A bus service over fake links: registers by address on a bench, a sink that collects, a steady
// clock. For the tests of the service, its pool and its jobs.
#pragma once

#include <time.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "drivers/modbus/bus_service.hpp"

namespace gatehouse::modbus::fake {

class SteadyClock final : public Clock {
  public:
    [[nodiscard]] MonoMs mono_ms() const override {
        timespec now{};
        ::clock_gettime(CLOCK_MONOTONIC, &now);
        return now.tv_sec * 1'000 + now.tv_nsec / 1'000'000;
    }
    [[nodiscard]] UtcMs wall_ms() const override { return 1'795'000'000'000 + mono_ms(); }
};

class FixedRandom final : public Random {
  public:
    void fill(void* bytes, std::size_t count) override {
        for (std::size_t i = 0; i < count; ++i) static_cast<unsigned char*>(bytes)[i] = 42;
    }
};

class Collector final : public SampleSink {
  public:
    void sample(Sample sample) override {
        add([&] { samples.push_back(std::move(sample)); });
    }
    void failure(PollFailure failure) override {
        add([&] { failures.push_back(std::move(failure)); });
    }
    void bus(BusStatus status) override {
        add([&] { statuses.push_back(std::move(status)); });
    }
    template <class Done>
    bool wait(Done done) {
        std::unique_lock lock(mutex);
        return condition.wait_for(lock, std::chrono::seconds(20), done);
    }
    std::mutex mutex;
    std::condition_variable condition;
    std::vector<Sample> samples;
    std::vector<PollFailure> failures;
    std::vector<BusStatus> statuses;

  private:
    template <class Change>
    void add(Change change) {
        const std::lock_guard lock(mutex);
        change();
        condition.notify_all();
    }
};

// Registers by address; what is not there is refused with exception 2. Shared by links and tests.
struct Bench {
    std::mutex mutex;
    std::map<std::pair<int, std::pair<RegisterTable, int>>, std::uint16_t> words;
    std::map<int, PollResult> failing;  // by address
    std::map<int, bool> silent;         // by address: takes the whole timeout, with the bench free
    std::vector<LineSettings> lines;    // as they were set
    std::string refuses_connection;
    int connections = 0, closes = 0;
    std::map<int, int> exchanges;  // by address
    int registers_max = 125;
    // A gateway that gives each question the reply to the one before it, while it is out of step.
    bool out_of_step = false;
    std::deque<Reply> behind;
    Reply last;  // while it was in step

    [[nodiscard]] Reply answer(const Request& request) const {
        Reply reply;
        reply.request = {1, 2};
        for (int i = 0; i < request.span.count; ++i) {
            const auto found =
                words.find({request.address, {request.span.table, request.span.first + i}});
            if (found == words.end() || request.span.count > registers_max) {
                reply.words.clear();
                reply.result = PollResult::exception;
                reply.exception = 2;
                reply.detail = "exception 2: illegal data address";
                return reply;
            }
            reply.words.push_back(found->second);
        }
        reply.result = PollResult::ok;
        reply.response = {0xAB, 0xCD};
        return reply;
    }
    [[nodiscard]] Reply answer_in_turn(const Request& request) {
        if (!out_of_step) {
            behind.clear();
            last = answer(request);
            return last;
        }
        behind.push_back(answer(request));
        Reply reply = behind.front();
        behind.pop_front();
        const bool fits = reply.words.size() == static_cast<std::size_t>(request.span.count);
        if (reply.result == PollResult::ok && !fits) {
            reply.result = PollResult::foreign_frame;
            reply.detail = "another length than was asked for";
        }
        return reply;
    }

    void put(int address, RegisterTable table, int first, std::vector<std::uint16_t> values) {
        const std::lock_guard lock(mutex);
        for (std::size_t i = 0; i < values.size(); ++i) {
            words[{address, {table, first + static_cast<int>(i)}}] = values[i];
        }
    }
};

class FakeLink final : public Link {
  public:
    explicit FakeLink(Bench& bench) : bench_(bench) {}
    std::string connect(std::int64_t) override {
        const std::lock_guard lock(bench_.mutex);
        ++bench_.connections;
        return bench_.refuses_connection;
    }
    void close() override {
        const std::lock_guard lock(bench_.mutex);
        ++bench_.closes;
    }
    Reply exchange(const Request& request) override {
        {
            std::unique_lock lock(bench_.mutex);
            if (bench_.silent[request.address]) {
                ++bench_.exchanges[request.address];
                lock.unlock();
                std::this_thread::sleep_for(std::chrono::milliseconds(request.timeout_ms));
                Reply reply;
                reply.detail = "no reply in time";
                return reply;
            }
        }
        const std::lock_guard lock(bench_.mutex);
        ++bench_.exchanges[request.address];
        Reply reply;
        reply.request = {1, 2};
        const auto failing = bench_.failing.find(request.address);
        if (failing != bench_.failing.end()) {
            reply.result = failing->second;
            reply.detail = "as the bench wants";
            return reply;
        }
        return bench_.answer_in_turn(request);
    }
    Heard listen(std::int64_t, const Request&) override { return {}; }
    std::string set_line(const LineSettings& line) override {
        const std::lock_guard lock(bench_.mutex);
        if (line.baud == 300) return "baud 300 is not served";
        bench_.lines.push_back(line);
        return "";
    }

  private:
    Bench& bench_;
};

inline std::shared_ptr<const Profile> profile(const std::string& id) {
    static const ProfileTable table = load_profiles({GATEHOUSE_METERS});
    return table.find(id);
}

struct Fixture {
    SteadyClock clock;
    FixedRandom random;
    Collector sink;
    Bench bench;
    BusService service{clock, random, sink, 7,
                       [this](const BusSettings&) { return std::make_unique<FakeLink>(bench); }};

    Fixture() {
        bench.put(1, RegisterTable::input, 0x48, {0x449A, 0x5000});
        bench.put(1, RegisterTable::input, 0x0C, {0x42FA, 0x0000});
        bench.put(1, RegisterTable::holding, 0xFC00, {0x0113, 0x8A2C});
    }
    BusPlan plan(const std::string& bus = "b1") const {
        BusPlan plan;
        plan.id = bus;
        plan.settings.transport = Transport::rtu;
        plan.settings.device = "/dev/null";
        plan.poll_interval_ms = 50;
        plan.response_timeout_ms = 100;
        plan.meters = {{"m1", 1, 0, profile("eastron-sdm120")}};
        return plan;
    }
};

}  // namespace gatehouse::modbus::fake
