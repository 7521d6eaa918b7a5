#include "daemon/ports.hpp"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "daemon/engine/key_room.hpp"
#include "daemon/system_clock.hpp"
#include "drivers/modbus/plausibility.hpp"

namespace gatehouse {
namespace {

// A healthy loop turns each second; a checkpoint or a large import may hold it for longer.
constexpr std::int64_t kStalledMs = 15'000;
constexpr std::int64_t kBuildDateMs = 1'767'225'600'000;  // 2026-01-01: no box runs before this

modbus::BusSettings bus_settings(const config::BusUrl& url) {
    modbus::BusSettings settings;
    settings.transport = url.transport == config::Transport::tcp ? modbus::Transport::tcp
                         : url.transport == config::Transport::rtu
                             ? modbus::Transport::rtu
                             : modbus::Transport::rtu_over_tcp;
    settings.text = url.text;
    settings.host = url.host;
    settings.port = url.port;
    settings.device = url.device;
    settings.baud = url.baud;
    settings.parity = url.parity == config::Parity::even  ? modbus::Parity::even
                      : url.parity == config::Parity::odd ? modbus::Parity::odd
                                                          : modbus::Parity::none;
    settings.stop_bits = url.stop_bits;
    settings.data_bits = url.data_bits;
    settings.transaction_id_echoed = url.transaction_id_echoed;
    settings.gap_ms = url.gap_ms;
    settings.local_echo = url.local_echo;
    settings.dial_in = url.dial_in;
    return settings;
}

std::vector<std::uint8_t> bytes_of(const std::string& hex) {
    std::string digits;
    std::copy_if(hex.begin(), hex.end(), std::back_inserter(digits),
                 [](char c) { return c != ' '; });
    std::vector<std::uint8_t> bytes;
    for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
        std::uint8_t byte = 0;
        std::from_chars(digits.data() + i, digits.data() + i + 2, byte, 16);
        bytes.push_back(byte);
    }
    return bytes;
}

http::MeterReadOutcome outcome_of(const modbus::ReadResult& result, modbus::Measurement billing) {
    http::MeterReadOutcome outcome;
    outcome.result = result.result;
    outcome.detail = result.detail;
    for (const modbus::ExchangeTrace& trace : result.exchanges)
        outcome.exchanges.push_back(
            {bytes_of(trace.request_hex), bytes_of(trace.response_hex), trace.busy_us / 1'000});
    for (const modbus::ReadValue& value : result.values) {
        outcome.values.push_back({modbus::to_string(value.measurement), value.value, value.unit,
                                  value.result, value.raw, value.steps});
        if (value.measurement != billing || value.result != PollResult::ok) continue;
        Sample sample;
        sample.meter = result.meter;
        sample.at = result.at;
        sample.register_value = value.number;
        sample.raw = value.raw;
        outcome.sample = std::move(sample);
    }
    return outcome;
}

// Whether what was read can be true of the meter, and which other map would make sense of it.
void judge_sense(http::MeterReadOutcome& outcome, const modbus::Profile& profile,
                 const modbus::ReadResult& result, const modbus::ProfileTable& profiles) {
    const auto report = modbus::judge_values(profile, result.channel, result.image, &profiles);
    for (const modbus::Finding& finding : report.findings) {
        if (finding.sense != modbus::Sense::against) continue;
        outcome.findings.push_back(std::string(modbus::to_string(finding.measurement)) + " " +
                                   finding.value + ": " + finding.text);
    }
    for (const modbus::Alternative& other : report.alternatives) {
        outcome.alternatives.push_back(
            {modbus::to_string(other.measurement), other.what, other.value});
    }
}

}  // namespace

EngineOptions engine_options(const config::Config& config, const std::string& database_path) {
    EngineOptions options;
    options.database_path = database_path;
    options.site_id = config.site.id;
    options.site_name = config.site.name;
    options.timezone = config.site.timezone;
    options.currency = config.site.currency;
    options.chinese = config.site.language == config::Language::zh_cn;
    options.store_interval_ms = config.store.store_interval_ms;
    options.trust = config.trust == config::ClockTrust::system   ? EngineOptions::Trust::system
                    : config.trust == config::ClockTrust::manual ? EngineOptions::Trust::manual
                                                                 : EngineOptions::Trust::automatic;
    options.system_synchronised = system_clock_synchronised;
    options.alerts = config.alerts;
    for (const config::Bus& bus : config.buses) options.buses.push_back(bus.id);
    for (const config::Cabinet& cabinet : config.cabinets) options.cabinets.push_back(cabinet.id);
    auto keys = std::make_shared<KeyRoomOptions>();
    keys->rules.curfew_minute = config.keys.curfew_minute;
    keys->rules.max_hold_ms = config.keys.max_hold_ms;
    keys->rules.alerts = {config.keys.alerts.begin(), config.keys.alerts.end()};
    for (const config::Cabinet& cabinet : config.cabinets) {
        const std::string kind = cabinet.url == "mqtt:"   ? "mqtt"
                                 : cabinet.url == "http:" ? "http"
                                                          : "modbus";
        keys->cabinets.push_back({cabinet.id, cabinet.profile, kind});
    }
    options.keys = std::move(keys);
    options.build_date_ms = kBuildDateMs;
    return options;
}

mqtt::Settings mqtt_settings(const config::Config& config) {
    mqtt::Settings settings;
    settings.host = config.mqtt->host;
    settings.port = config.mqtt->port;
    settings.tls = config.mqtt->tls;
    settings.ca_file = config.mqtt->ca_file;
    settings.cert_file = config.mqtt->cert_file;
    settings.key_file = config.mqtt->key_file;
    settings.client_id = config.mqtt->client_id;
    settings.username = config.mqtt->username;
    settings.password_file = config.mqtt->password_file;
    settings.topic_root = config.mqtt->topic_root;
    settings.site_id = config.site.id;
    for (const config::Cabinet& cabinet : config.cabinets)
        if (cabinet.url != "http:") settings.push_cabinets.push_back(cabinet.id);
    settings.currency = config.site.currency;
    settings.version = GATEHOUSE_VERSION;
    (config.mqtt->homeassistant ? settings.homeassistant_prefix
                                : settings.homeassistant_old_prefix) =
        config.mqtt->homeassistant_prefix;
    return settings;
}

std::vector<modbus::BusPlan> bus_plans(const config::Config& config, const Registry& registry,
                                       const modbus::ProfileTable& profiles) {
    std::vector<modbus::BusPlan> plans;
    for (const config::Bus& bus : config.buses) {
        modbus::BusPlan plan;
        plan.id = bus.id;
        plan.settings = bus_settings(bus.url);
        plan.poll_interval_ms = bus.poll_interval_ms;
        plan.response_timeout_ms = bus.response_timeout_ms;
        for (const Meter& meter : registry.meters) {
            if (meter.bus != bus.id || meter.status != MeterStatus::active || !meter.address)
                continue;
            auto profile = profiles.find(meter.profile);
            // What the engine does not read is not asked for either.
            const bool fits = profile && profile->service == meter.service &&
                              meter.channel.value_or(0) < profile->channels;
            if (!fits) profile.reset();
            plan.meters.push_back(
                {meter.meter, *meter.address, meter.channel.value_or(0), std::move(profile)});
        }
        plans.push_back(std::move(plan));
    }
    return plans;
}

std::vector<cabinet::CabinetSettings> cabinet_settings(
    const config::Config& config, const cabinet::CabinetProfileTable& profiles) {
    std::vector<cabinet::CabinetSettings> all;
    for (const config::Cabinet& cabinet : config.cabinets) {
        if (!cabinet.bus) continue;
        cabinet::CabinetSettings settings;
        settings.id = cabinet.id;
        settings.bus = bus_settings(*cabinet.bus);
        settings.address = cabinet.address;
        settings.profile = profiles.find(cabinet.profile, &settings.problem);
        settings.poll_interval_ms = cabinet.poll_interval_ms;
        settings.response_timeout_ms = cabinet.response_timeout_ms;
        all.push_back(std::move(settings));
    }
    return all;
}

cabinet::PushSink cabinet_push_sink(Engine& engine, std::function<void(const std::string&)> say) {
    auto failing = std::make_shared<std::atomic<bool>>(false);
    return [&engine, say = std::move(say), failing](KeyPush push, cabinet::PushDone done) {
        RoomCommand command;
        command.actor = "cabinet:" + push.source;
        const std::string name = push.source;
        command.work = std::make_shared<const RoomWork>(RoomWork{std::move(push)});
        const bool taken = engine.submit(std::move(command), [=](const Reply& reply) {
            const bool kept = reply.kind == ReplyKind::ok;
            if (kept == failing->exchange(!kept))
                say(kept ? "key events are kept again"
                         : "key events of " + name +
                               " are not kept, and asked for again: " + reply.detail);
            done(kept);
        });
        if (!taken) done(false);
    };
}

cabinet::SeenSink cabinet_seen_sink(Engine& engine) {
    return [&engine](CabinetSeen seen) {
        RoomCommand command;
        command.actor = "cabinet:" + seen.cabinet;
        command.work = std::make_shared<const RoomWork>(RoomWork{std::move(seen)});
        // It is told again within a minute where the queue is full now.
        (void)engine.submit(std::move(command), [](const Reply&) {});
    };
}

BusPorts::BusPorts(const LiveConfig& config, const modbus::ProfileTable& profiles)
    : config_(config), profiles_(profiles) {}

void BusPorts::attach(modbus::BusService* buses, SampleSink* sink) {
    buses_ = buses;
    sink_ = sink;
}

void BusPorts::poll_soon(const std::string& meter) {
    if (buses_ != nullptr) buses_->poll_soon(meter);
}

void BusPorts::registry_changed(std::shared_ptr<const Registry> registry) {
    if (buses_ != nullptr) (void)buses_->configure(bus_plans(*config_.now(), *registry, profiles_));
}

bool BusPorts::read_now(const std::string& meter, Handler handler, std::string& why) {
    if (buses_ == nullptr) {
        why = "the buses are not started yet";
        return false;
    }
    const bool taken = buses_->read_now(
        meter, [this, handler = std::move(handler)](const modbus::ReadResult& result) {
            const auto profile = profiles_.find(result.profile);
            http::MeterReadOutcome outcome =
                outcome_of(result, profile ? profile->billing : modbus::Measurement::energy_import);
            if (profile) judge_sense(outcome, *profile, result, profiles_);
            handler(std::move(outcome));
        });
    if (!taken) why = "it stands on no bus with a known profile, or too many readings wait";
    return taken;
}

RunningParts::RunningParts(const Clock& clock, std::string version, std::string database_path)
    : clock_(clock),
      version_(std::move(version)),
      database_path_(std::move(database_path)),
      started_wall_ms_(clock.wall_ms()),
      started_mono_ms_(clock.mono_ms()) {}

void RunningParts::attach(const Engine* engine, const modbus::BusService* buses,
                          const mqtt::Publisher* publisher) {
    const std::lock_guard lock(mutex_);
    engine_ = engine;
    buses_ = buses;
    publisher_ = publisher;
}

void RunningParts::attach_cabinets(const cabinet::CabinetService* cabinets) {
    const std::lock_guard lock(mutex_);
    cabinets_ = cabinets;
}

void RunningParts::attach_http(std::function<MonoMs()> heartbeat) {
    const std::lock_guard lock(mutex_);
    http_heartbeat_ = std::move(heartbeat);
}

void RunningParts::detach() {
    const std::lock_guard lock(mutex_);
    engine_ = nullptr;
    buses_ = nullptr;
    publisher_ = nullptr;
    cabinets_ = nullptr;
    http_heartbeat_ = nullptr;
}

std::vector<BusStatus> RunningParts::buses() const {
    const std::lock_guard lock(mutex_);
    return buses_ == nullptr ? std::vector<BusStatus>() : buses_->status();
}

BusDiagnosis RunningParts::diagnosis(const BusStatus& bus) const {
    const std::lock_guard lock(mutex_);
    return diagnose(bus, recent_.since(bus));
}

void RunningParts::note_counts() {
    const std::lock_guard lock(mutex_);
    if (buses_ != nullptr && recent_.due(clock_.mono_ms())) {
        recent_.note(buses_->status(), clock_.mono_ms());
    }
}

http::MqttStatus RunningParts::mqtt() const {
    const std::lock_guard lock(mutex_);
    http::MqttStatus status;
    if (publisher_ == nullptr) return status;
    const mqtt::Status now = publisher_->status();
    status.configured = true;
    status.connected = now.connected;
    status.reason = now.reason;
    status.published_total = now.published;
    status.reconnects_total = now.reconnects;
    return status;
}

http::ProcessStatus RunningParts::process() const {
    http::ProcessStatus status;
    status.version = version_;
    status.started_ms = started_wall_ms_;
    status.uptime_ms = clock_.mono_ms() - started_mono_ms_;
    status.ready = ready_;
    status.stalled = stalled();
    struct stat file {};
    if (stat(database_path_.c_str(), &file) == 0) status.database_bytes = file.st_size;
    struct statvfs disk {};
    if (statvfs(database_path_.c_str(), &disk) == 0)
        status.disk_free_bytes = static_cast<std::int64_t>(disk.f_bavail * disk.f_frsize);
    return status;
}

std::vector<std::string> RunningParts::warnings() const {
    const std::lock_guard lock(mutex_);
    if (refused_reload_.empty()) return {};
    return {refused_reload_};
}

void RunningParts::note_reload(std::string refused) {
    const std::lock_guard lock(mutex_);
    refused_reload_ = std::move(refused);
}

std::vector<std::string> RunningParts::stalled() const {
    const std::lock_guard lock(mutex_);
    const MonoMs now = clock_.mono_ms();
    std::vector<std::string> names;
    if (engine_ != nullptr && now - engine_->heartbeat_mono_ms() > kStalledMs)
        names.emplace_back("engine");
    if (publisher_ != nullptr && now - publisher_->heartbeat_mono_ms() > kStalledMs)
        names.emplace_back("mqtt");
    if (http_heartbeat_ && now - http_heartbeat_() > kStalledMs) names.emplace_back("http");
    if (buses_ != nullptr)
        for (const modbus::Heartbeat& beat : buses_->heartbeats())
            if (now - beat.mono_ms > kStalledMs + beat.allowed_ms)
                names.push_back("bus " + beat.bus);
    if (cabinets_ != nullptr)
        for (const modbus::Heartbeat& beat : cabinets_->heartbeats())
            if (now - beat.mono_ms > kStalledMs + beat.allowed_ms)
                names.push_back("key cabinets at " + beat.bus);
    return names;
}

}  // namespace gatehouse
