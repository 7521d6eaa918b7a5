// The adapters that main puts between the parts: the configuration's words to each part's own, the
// engine's wishes to the buses, readings at once to HTTP, and what runs to the status page. They
// translate and decide nothing. Each says which thread calls it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "daemon/config/config.hpp"
#include "daemon/engine/engine.hpp"
#include "daemon/http/ports.hpp"
#include "daemon/http/warnings.hpp"
#include "daemon/mqtt/publisher.hpp"
#include "daemon/reload.hpp"
#include "drivers/cabinet/cabinet_service.hpp"
#include "drivers/modbus/bus_service.hpp"

namespace gatehouse {

[[nodiscard]] EngineOptions engine_options(const config::Config& config,
                                           const std::string& database_path);
[[nodiscard]] mqtt::Settings mqtt_settings(const config::Config& config);
[[nodiscard]] std::vector<modbus::BusPlan> bus_plans(const config::Config& config,
                                                     const Registry& registry,
                                                     const modbus::ProfileTable& profiles);

// The cabinets that are asked; one without a usable profile comes with the reason.
[[nodiscard]] std::vector<cabinet::CabinetSettings> cabinet_settings(
    const config::Config& config, const cabinet::CabinetProfileTable& profiles);
// What they tell, into the engine: kept once it was committed. `say` gets one line when it is not,
// and one when it is again. Called on the cabinets' threads; the engine outlives them.
[[nodiscard]] cabinet::PushSink cabinet_push_sink(Engine& engine,
                                                  std::function<void(const std::string&)> say);
[[nodiscard]] cabinet::SeenSink cabinet_seen_sink(Engine& engine);

// The engine's poller and HTTP's meter reader over the bus service. Any thread.
class BusPorts final : public Poller, public http::MeterReader {
  public:
    BusPorts(const LiveConfig& config, const modbus::ProfileTable& profiles);
    void attach(modbus::BusService* buses, SampleSink* sink);

    void poll_soon(const std::string& meter) override;
    void registry_changed(std::shared_ptr<const Registry> registry) override;
    [[nodiscard]] bool read_now(const std::string& meter, Handler handler,
                                std::string& why) override;

  private:
    const LiveConfig& config_;
    const modbus::ProfileTable& profiles_;
    modbus::BusService* buses_ = nullptr;
    SampleSink* sink_ = nullptr;
};

class EngineAdapter final : public http::EnginePort {
  public:
    explicit EngineAdapter(Engine& engine) : engine_(engine) {}
    [[nodiscard]] bool submit(Command command, ReplyHandler handler) override {
        return engine_.submit(std::move(command), std::move(handler));
    }
    [[nodiscard]] std::shared_ptr<const Snapshot> snapshot() const override {
        return engine_.snapshot();
    }

  private:
    Engine& engine_;
};

// What else runs, for /status, /healthz, /metrics and the watchdog. Any thread.
class RunningParts final : public http::StatusSource, public http::Warnings {
  public:
    RunningParts(const Clock& clock, std::string version, std::string database_path);
    void attach(const Engine* engine, const modbus::BusService* buses,
                const mqtt::Publisher* publisher);
    void attach_cabinets(const cabinet::CabinetService* cabinets);
    void attach_http(std::function<MonoMs()> heartbeat);
    void set_ready() { ready_ = true; }
    // What /status warns of until a SIGHUP is taken; empty: nothing.
    void note_reload(std::string refused);
    void detach();

    [[nodiscard]] std::vector<BusStatus> buses() const override;
    [[nodiscard]] BusDiagnosis diagnosis(const BusStatus& bus) const override;
    void note_counts();  // now and then, so that a diagnosis knows what is recent
    [[nodiscard]] http::MqttStatus mqtt() const override;
    [[nodiscard]] http::ProcessStatus process() const override;
    [[nodiscard]] std::vector<std::string> warnings() const override;
    // Threads that have not moved for too long; empty: all alive.
    [[nodiscard]] std::vector<std::string> stalled() const;

  private:
    const Clock& clock_;
    std::string version_, database_path_;
    UtcMs started_wall_ms_;
    MonoMs started_mono_ms_;
    std::atomic<bool> ready_{false};
    mutable std::mutex mutex_;
    const Engine* engine_ = nullptr;
    const modbus::BusService* buses_ = nullptr;
    const mqtt::Publisher* publisher_ = nullptr;
    const cabinet::CabinetService* cabinets_ = nullptr;
    std::function<MonoMs()> http_heartbeat_;
    std::string refused_reload_;
    RecentCounts recent_;
};

}  // namespace gatehouse
