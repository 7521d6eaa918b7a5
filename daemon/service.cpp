#include "daemon/service.hpp"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <memory>
#include <set>
#include <utility>

#include "daemon/commissioning.hpp"
#include "daemon/engine/engine.hpp"
#include "daemon/engine/zone.hpp"
#include "daemon/http/server.hpp"
#include "daemon/mqtt/engine_source.hpp"
#include "daemon/mqtt/publisher.hpp"
#include "daemon/ports.hpp"
#include "daemon/reload.hpp"
#include "daemon/repairs_filer.hpp"
#include "daemon/store/reader.hpp"
#include "daemon/system_clock.hpp"
#include "drivers/cabinet/push.hpp"
#include "drivers/modbus/bus_service.hpp"

namespace gatehouse {
namespace {

constexpr long kLookEveryMs = 1'000;
constexpr MonoMs kTrimEveryMs = 60'000;

// libmodbus selects on descriptors and corrupts memory from 1024 on (style: finding 3). False where
// whoever started the daemon has left none of those to it.
bool keep_descriptors_low() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > 1'024) {
        limit.rlim_cur = 1'024;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ::close(fd);
    return true;
}

sigset_t block_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    return signals;
}

void open_journal() {
    auto logger = spdlog::stderr_logger_mt("gatehouse");
    // systemd reads the level from the prefix and adds the time itself.
    const bool journal = std::getenv("JOURNAL_STREAM") != nullptr;
    logger->set_pattern(journal ? "%v" : "%Y-%m-%dT%H:%M:%S.%e %l %v");
    logger->flush_on(spdlog::level::info);
    spdlog::set_default_logger(std::move(logger));
}

std::string state_directory(const config::Config& config) {
    return config::state_directory(config, std::getenv("STATE_DIRECTORY"));
}

modbus::ProfileTable load_profiles(const config::Config& config) {
    modbus::ProfileTable table = modbus::load_profiles(profile_folders(config));
    for (const Problem& problem : table.problems)
        spdlog::warn("profile: {}; its meters are disabled", to_string(problem));
    for (const Problem& note : table.notes) spdlog::info("profile: {}", to_string(note));
    return table;
}

// Beside the meters' folders: .../share/gatehouse/cabinets, and `cabinets` in the technician's own.
cabinet::CabinetProfileTable load_cabinets(const config::Config& config) {
    std::vector<std::string> folders = profile_folders(config);
    folders.front().replace(folders.front().rfind("/meters"), std::string::npos, "/cabinets");
    for (std::size_t i = 1; i < folders.size(); ++i) folders[i] += "/cabinets";
    return cabinet::load_cabinet_profiles(folders);
}

cabinet::CabinetProfileTable tell_cabinets(cabinet::CabinetProfileTable table) {
    for (const Problem& problem : table.problems)
        spdlog::warn("cabinet profile: {}; its cabinets are disabled", to_string(problem));
    for (const Problem& note : table.notes) spdlog::info("cabinet profile: {}", to_string(note));
    return table;
}

ProfileLookup lookup_of(const modbus::ProfileTable& profiles) {
    return [&profiles](const std::string& id) {
        ProfileFact fact;
        const auto profile = profiles.find(id, &fact.reason);
        if (profile) {
            fact.traits = profile->traits();
            fact.service = profile->service;
            fact.channels = profile->channels;
        }
        return fact;
    };
}

// Cabinets that are asked over their bus push nothing; a reader beside them may.
using PushSources = std::function<cabinet::PushFrom(const std::string& cabinet)>;
PushSources push_sources(const config::Config& config) {
    std::set<std::string> asked;
    for (const config::Cabinet& cabinet : config.cabinets)
        if (cabinet.url != "mqtt:" && cabinet.url != "http:") asked.insert(cabinet.id);
    return [asked = std::move(asked)](const std::string& cabinet) {
        return asked.contains(cabinet) ? cabinet::PushFrom::reader_alone
                                       : cabinet::PushFrom::cabinet;
    };
}

mqtt::PushDecoder push_decoder(const config::Config& config, const Zone& zone) {
    return [&zone, from = push_sources(config)](
               std::string_view body,
               const std::string& cabinet) -> std::variant<KeyPush, std::string> {
        auto decoded = cabinet::decode_push(body, cabinet, zone, from(cabinet));
        if (const auto* refused = std::get_if<cabinet::PushRefusal>(&decoded)) return refused->text;
        return std::move(std::get<KeyPush>(decoded));
    };
}

http::ServerOptions server_options(const config::Config& config, const std::string& database,
                                   const Zone& zone) {
    http::ServerOptions options;
    options.decode_push =
        [&zone, from = push_sources(config)](
            std::string_view body,
            const std::string& cabinet) -> std::variant<KeyPush, http::PushProblem> {
        auto decoded = cabinet::decode_push(body, cabinet, zone, from(cabinet));
        if (const auto* refused = std::get_if<cabinet::PushRefusal>(&decoded))
            return http::PushProblem{refused->code, refused->text};
        return std::move(std::get<KeyPush>(decoded));
    };
    options.socket_path = config.http.socket;
    options.listen_host = config.http.listen_host;
    options.listen_port = config.http.listen_port;
    options.tls_cert_file = config.http.tls_cert_file;
    options.tls_key_file = config.http.tls_key_file;
    options.database_path = database;
    options.site_id = config.site.id;
    options.site_name = config.site.name;
    options.chinese = config.site.language == config::Language::zh_cn;
    options.currency = config.site.currency;
    options.metrics_meters = config.http.metrics_meters;
    options.say = [](const std::string& line) { spdlog::info("{}", line); };
    return options;
}

// Without a broker nothing waits for one.
std::string status_line(const Snapshot& snapshot, bool mqtt) {
    std::size_t polled = 0, good = 0;
    for (std::size_t i = 0; i < snapshot.meters.size(); ++i) {
        const MeterView& meter = snapshot.meters[i];
        if (meter.by_eye) continue;
        ++polled;
        if (meter.online) ++good;
    }
    const std::uint64_t backlog = mqtt ? snapshot.event_seq - snapshot.mqtt_cursor : 0;
    std::string line = std::to_string(good) + "/" + std::to_string(polled) +
                       " meters ok, backlog " + std::to_string(backlog) + ", " +
                       std::to_string(snapshot.accounts_low) + " low";
    if (!snapshot.clock_trusted) line += ", clock not trusted";
    if (!snapshot.store_ok) line += ", STORE: " + snapshot.store_reason;
    return line;
}

// False: nothing of it was taken.
bool reload_now(LiveConfig& live, Engine& engine, http::Server& server, RunningParts& running) {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld",
               static_cast<long long>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1'000);
    const Reloaded reloaded = reload(live, engine, server);
    running.note_reload(reloaded.refused);
    for (const std::string& line : reloaded.lines) {
        if (reloaded.taken)
            spdlog::info("{}", line);
        else
            spdlog::error("{}", line);
    }
    sd_notify(0, "READY=1");
    return reloaded.taken;
}

// Once a minute, what an import, a large answer or an export left free between what lives on goes
// back to the system; else the process stays for weeks as large as it once was. Milliseconds.
class HeapTrim {
  public:
    explicit HeapTrim(const Clock& clock) : clock_(clock) {}
    void look() {
        const MonoMs now = clock_.mono_ms();
        if (now < next_) return;
        next_ = now + kTrimEveryMs;
        (void)::malloc_trim(0);
    }

  private:
    const Clock& clock_;
    MonoMs next_ = 0;
};

// Waits for the end; feeds the watchdog only while every worker moves. `hangup` is what SIGHUP
// does; `file_repairs` is called now and then.
void watch(const sigset_t& signals, const Engine& engine, RunningParts& parts, HeapTrim heap,
           bool mqtt, const std::function<bool()>& hangup,
           const std::function<void()>& file_repairs) {
    std::string told;
    bool fed = true;
    bool taken = true;
    for (;;) {
        const timespec wait{kLookEveryMs / 1'000, (kLookEveryMs % 1'000) * 1'000'000};
        const int signal = sigtimedwait(&signals, nullptr, &wait);
        if (signal == SIGTERM || signal == SIGINT) return;
        if (signal == SIGHUP) taken = hangup();
        heap.look();
        parts.note_counts();
        file_repairs();
        const std::vector<std::string> stalled = parts.stalled();
        if (stalled.empty()) sd_notify(0, "WATCHDOG=1");
        if (!stalled.empty() && fed) spdlog::error("stalled: {}", stalled.front());
        fed = stalled.empty();
        std::string line = status_line(*engine.snapshot(), mqtt);
        if (!taken) line += ", CONFIGURATION REFUSED: see the journal";
        if (line == told) continue;
        sd_notifyf(0, "STATUS=%s", line.c_str());
        told = std::move(line);
    }
}

struct Parts {
    explicit Parts(const config::Config& config_)
        : config(config_),
          live(config_),
          database(config::database_path(config, state_directory(config))),
          profiles(load_profiles(config)),
          cabinet_profiles(tell_cabinets(load_cabinets(config))),
          zone(make_zone(config.site.timezone)),
          bus_ports(live, profiles),
          commissioning(live, profiles, clock),
          running(clock, GATEHOUSE_VERSION, database) {}

    void build() {
        EngineOptions options = engine_options(config, database);
        options.version = GATEHOUSE_VERSION;
        for (const auto& [id, profile] : profiles.profiles) options.profiles.push_back(id);
        options.say = [](const std::string& line) { spdlog::info("{}", line); };
        engine =
            std::make_unique<Engine>(std::move(options), clock, random, *zone, lookup_of(profiles));
        engine->set_poller(&bus_ports);
        engine_port = std::make_unique<EngineAdapter>(*engine);
        buses = std::make_unique<modbus::BusService>(clock, random, engine->sink(),
                                                     engine->snapshot()->run);
        bus_ports.attach(buses.get(), &engine->sink());
        cabinets = std::make_unique<cabinet::CabinetService>(
            clock, engine->snapshot()->run,
            cabinet_push_sink(*engine, [](const std::string& line) { spdlog::warn("{}", line); }),
            cabinet_seen_sink(*engine));
        commissioning.attach_cabinets(cabinets.get());
        commissioning.attach(buses.get(), zone.get(),
                             [this] { return engine->snapshot()->registry; });
        server =
            std::make_unique<http::Server>(server_options(config, database, *zone), *engine_port,
                                           bus_ports, commissioning, running, *zone, clock, random);
        engine->on_commit([this] { server->commit_came(); });
        if (config.mqtt) {
            source = std::make_unique<mqtt::EngineSource>(*engine, database, *zone,
                                                          push_decoder(config, *zone));
            publisher = std::make_unique<mqtt::Publisher>(mqtt_settings(config), *source, *zone,
                                                          clock, random);
            engine->on_commit([this] { publisher->wake(); });
        }
    }

    void start() {
        // Buses first: libmodbus wants the low descriptors.
        for (const std::string& line :
             buses->configure(bus_plans(config, *engine->snapshot()->registry, profiles)))
            spdlog::error("{}", line);
        engine->start();
        start_cabinets();
        server->start();
        if (publisher) publisher->start();
        running.attach(engine.get(), buses.get(), publisher.get());
        running.attach_http([this] { return server->heartbeat_mono_ms(); });
        running.set_ready();
    }

    void start_cabinets() {
        auto settings = cabinet_settings(config, cabinet_profiles);
        for (const cabinet::CabinetSettings& one : settings)
            if (!one.profile) spdlog::error("cabinet {} is not asked: {}", one.id, one.problem);
        cabinets->start(std::move(settings));
        running.attach_cabinets(cabinets.get());
    }

    void stop() {
        // HTTP first, so that what was taken is answered; then the wire; then what is in the queue;
        // then the broker, which may still hear of it.
        server->stop();
        buses->stop();
        cabinets->stop();
        if (publisher) publisher->stop();
        engine->stop();
        running.detach();
    }

    const config::Config& config;  // of the start
    LiveConfig live;
    std::string database;
    SystemClock clock;
    SystemRandom random;
    modbus::ProfileTable profiles;
    cabinet::CabinetProfileTable cabinet_profiles;
    std::unique_ptr<Zone> zone;
    BusPorts bus_ports;
    BusCommissioning commissioning;
    RunningParts running;
    std::unique_ptr<Engine> engine;
    std::unique_ptr<EngineAdapter> engine_port;
    std::unique_ptr<modbus::BusService> buses;
    std::unique_ptr<cabinet::CabinetService> cabinets;
    std::unique_ptr<mqtt::EngineSource> source;
    std::unique_ptr<mqtt::Publisher> publisher;
    std::unique_ptr<http::Server> server;
};

}  // namespace

std::vector<std::string> profile_folders(const config::Config& config) {
    std::vector<std::string> folders;
    char path[PATH_MAX] = {};
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    std::string beside(path, length > 0 ? static_cast<std::size_t>(length) : 0);
    beside = beside.substr(0, beside.rfind('/')) + "/../share/gatehouse/meters";
    folders.push_back(access(beside.c_str(), R_OK) == 0 ? beside
                                                        : std::string(GATEHOUSE_SHARE "/meters"));
    // One that cannot be read is said when the profiles are loaded.
    if (!config.profiles_path.empty()) folders.push_back(config.profiles_path);
    return folders;
}

int run_service(const config::Config& config) {
    open_journal();
    if (!keep_descriptors_low()) {
        spdlog::error(
            "no descriptor below 1024 is free: whoever starts gatehoused must close its own first");
        return 1;
    }
    const sigset_t signals = block_signals();
    try {
        Parts parts(config);
        if (!parts.zone) {
            spdlog::error("the host does not know the time zone {}", config.site.timezone);
            return 2;
        }
        parts.build();
        parts.start();
        spdlog::info("gatehoused {} serves {}", GATEHOUSE_VERSION, config.site.id);
        sd_notify(0, "READY=1");
        RepairsFiler filer(*parts.engine, parts.database, config.site.currency, *parts.zone);
        watch(
            signals, *parts.engine, parts.running, HeapTrim(parts.clock), config.mqtt.has_value(),
            [&parts] {
                return reload_now(parts.live, *parts.engine, *parts.server, parts.running);
            },
            [&] {
                if (!filer.look(parts.clock.mono_ms()))
                    spdlog::warn("a month of repairs could not be filed now; it is tried again");
            });
        sd_notify(0, "STOPPING=1");
        parts.stop();
        spdlog::info("stopped");
        return 0;
    } catch (const std::exception& error) {
        spdlog::error("{}", error.what());
        return 1;
    }
}

namespace {

// A cabinet that pushes needs nothing of its profile but the name.
std::vector<Problem> cabinet_problems(const config::Config& config, const std::string& file,
                                      const cabinet::CabinetProfileTable& profiles) {
    std::string names;
    for (const auto& [name, profile] : profiles.profiles)
        names += (names.empty() ? "" : ", ") + name;
    std::vector<Problem> problems;
    for (const config::Cabinet& one : config.cabinets) {
        std::string reason;
        if (one.profile.empty() || profiles.find(one.profile, &reason)) continue;
        if (!names.empty()) reason += " (there are " + names + ")";
        problems.push_back(
            {file, one.line, one.column, "cabinet " + one.id + " cannot be read: " + reason});
    }
    return problems;
}

std::vector<Problem> profile_warnings(const config::Config& config, const std::string& file,
                                      const modbus::ProfileTable& meters,
                                      const cabinet::CabinetProfileTable& cabinets) {
    const std::string& own = config.profiles_path;
    const bool missing = !own.empty() && access(own.c_str(), F_OK) != 0;
    std::vector<Problem> warnings;
    if (missing)
        warnings.push_back({file, config.profiles_line, config.profiles_column,
                            "profiles.path: the folder '" + own +
                                "' does not exist, so no profile of your own is read; make it, or "
                                "leave [profiles] out"});
    for (const Problem& problem : meters.problems)
        if (!missing || problem.file != own) warnings.push_back(problem);
    warnings.insert(warnings.end(), cabinets.problems.begin(), cabinets.problems.end());
    return warnings;
}

}  // namespace

int run_check(const config::Loaded& loaded, const std::string& file) {
    const config::Config& config = loaded.config;
    const cabinet::CabinetProfileTable cabinets = load_cabinets(config);
    const modbus::ProfileTable meters = modbus::load_profiles(profile_folders(config));
    for (const Problem& warning : profile_warnings(config, file, meters, cabinets))
        std::fprintf(stderr, "warning: %s\n", to_string(warning).c_str());
    std::vector<Problem> problems = loaded.problems;
    for (Problem& problem : cabinet_problems(config, file, cabinets))
        problems.push_back(std::move(problem));
    std::stable_sort(problems.begin(), problems.end(), [](const Problem& a, const Problem& b) {
        return std::pair(a.line, a.column) < std::pair(b.line, b.column);
    });
    for (const Problem& problem : problems)
        std::fprintf(stderr, "%s\n", to_string(problem).c_str());
    if (!problems.empty()) return 2;
    std::printf("%s: good; %zu buses\n", file.c_str(), config.buses.size());
    return 0;
}

int run_dry(const config::Config& config) {
    try {
        const std::string database = config::database_path(config, state_directory(config));
        Registry registry;
        if (access(database.c_str(), R_OK) == 0)
            registry = StoreReader::in_passing(database).registry();
        const modbus::ProfileTable profiles = modbus::load_profiles(profile_folders(config));
        for (const Problem& problem : profiles.problems)
            std::fprintf(stderr, "%s\n", to_string(problem).c_str());
        const cabinet::CabinetProfileTable cabinets = load_cabinets(config);
        for (const Problem& problem : cabinets.problems)
            std::fprintf(stderr, "%s\n", to_string(problem).c_str());
        for (const cabinet::CabinetSettings& one : cabinet_settings(config, cabinets))
            if (!one.profile)
                std::fprintf(stderr, "cabinet %s: %s\n", one.id.c_str(), one.problem.c_str());
        const SystemClock clock;
        std::size_t meters = 0;
        for (const modbus::BusPlan& plan : bus_plans(config, registry, profiles)) {
            meters += plan.meters.size();
            std::printf("bus %s (%s)\n", plan.id.c_str(), plan.settings.text.c_str());
            const auto results = modbus::poll_once(plan, clock);
            std::fputs(modbus::to_text(results).c_str(), stdout);
        }
        if (meters == 0)
            std::printf("no meter stands in the registry; import one with `gatehousectl import`\n");
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}

}  // namespace gatehouse
