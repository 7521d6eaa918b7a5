// One line or gateway with the cabinets behind it: its thread, its connection, and the turns that
// its pollers take. It carries out what they say and decides nothing but when to connect again.
// cabinet_service.cpp alone uses it; public calls are safe from any thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "drivers/cabinet/cabinet_service.hpp"

namespace gatehouse::cabinet {

class CabinetLine {
  public:
    CabinetLine(const Clock& clock, const PushSink& push, const SeenSink& seen, std::string place,
                const modbus::BusSettings& settings, std::unique_ptr<modbus::Link> link,
                std::vector<CabinetPoller> pollers);
    ~CabinetLine();
    CabinetLine(const CabinetLine&) = delete;
    CabinetLine& operator=(const CabinetLine&) = delete;

    void start();
    void ask_to_stop();
    void join();
    // False: it is none of this line's.
    [[nodiscard]] bool set_clock(const std::string& cabinet, std::int64_t offset_ms,
                                 CabinetService::ClockDone done, std::string& problem);
    // Nothing: it is none of this line's. Why its clock cannot be set now; empty: it can.
    [[nodiscard]] std::optional<std::string> clock_problem(const std::string& cabinet) const;
    [[nodiscard]] std::vector<CabinetStatus> status() const;
    [[nodiscard]] modbus::Heartbeat heartbeat() const;

  private:
    // What sinks say, for as long as anybody holds it: it outlives the line.
    struct Mailbox {
        struct Letter {
            std::size_t poller = 0;
            std::uint64_t ticket = 0;
            bool kept = false;
        };
        std::mutex mutex;
        std::condition_variable changed;
        std::vector<Letter> letters;
        bool stopping = false, woken = false;
    };

    void run();
    void take_letters();
    [[nodiscard]] bool connect();
    void lose(const std::string& reason);
    // One poller's action; when the next is wanted.
    [[nodiscard]] MonoMs turn(std::size_t index);
    void carry_out(std::size_t index, const PollerAction& action);
    void count_strangers(std::size_t index, const modbus::Request& about);
    void tell_seen();
    void tell_clocks();
    void rest_until(MonoMs until);
    [[nodiscard]] Moment now() const;

    const Clock& clock_;
    const PushSink& push_;
    const SeenSink& seen_;
    const std::string place_;
    const bool numbered_;
    const std::unique_ptr<modbus::Link> link_;
    mutable std::mutex pollers_mutex_;  // held while a poller decides, never during an exchange
    std::vector<CabinetPoller> pollers_;
    std::vector<MonoMs> wanted_at_;
    std::vector<CabinetService::ClockDone> clock_done_;  // under pollers_mutex_
    const std::shared_ptr<Mailbox> mailbox_ = std::make_shared<Mailbox>();
    bool connected_ = false;
    MonoMs connect_at_ = 0;
    std::int64_t connect_rest_ms_ = 0;
    std::size_t last_ = 0;
    std::atomic<MonoMs> beat_mono_ms_{0};
    std::thread thread_;
};

}  // namespace gatehouse::cabinet
