// gatehouse-sim: the building behind the buses. It reads the same files as the daemon, opens what
// their urls name, and answers until it is told to stop.
#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <vector>

#include "drivers/simulator/building.hpp"
#include "drivers/simulator/cabinet_site.hpp"
#include "drivers/simulator/control.hpp"
#include "drivers/simulator/line.hpp"
#include "drivers/simulator/options.hpp"

namespace {

namespace sim = gatehouse::simulator;
namespace modbus = gatehouse::modbus;

constexpr int kFailed = 1, kBadInput = 2;
constexpr int kPeopleEveryMs = 100;
constexpr std::int64_t kDayMs = 24LL * 3'600'000;

std::int64_t clock_ms(clockid_t clock) {
    timespec now{};
    ::clock_gettime(clock, &now);
    return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

std::int64_t local_time_of_day_ms() {
    const std::time_t now = std::time(nullptr);
    std::tm local{};
    ::localtime_r(&now, &local);
    return ((local.tm_hour * 60LL + local.tm_min) * 60 + local.tm_sec) * 1000 % kDayMs;
}

// The local date as days since 1970-01-01, for the meters' own clocks.
int local_date_days() {
    const std::time_t now = std::time(nullptr);
    std::tm local{};
    ::localtime_r(&now, &local);
    local.tm_hour = local.tm_min = local.tm_sec = 0;
    return static_cast<int>(::timegm(&local) / (kDayMs / 1000));
}

std::string utc_text(std::int64_t ms) {
    const std::time_t seconds = ms / 1000;
    std::tm utc{};
    ::gmtime_r(&seconds, &utc);
    std::array<char, 40> text{};
    const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
    std::string millis = std::to_string(1000 + ms % 1000);
    return std::string(text.data(), size) + "." + millis.substr(1) + "Z";
}

std::vector<std::string> profile_folders(const sim::Options& options, const sim::Site& site) {
    if (!options.profiles.empty()) {
        return options.profiles;
    }
    std::error_code error;
    const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
    std::vector<std::string> folders{
        (program.parent_path().parent_path() / "share/gatehouse/meters").string()};
    if (!site.profiles_path.empty()) {
        folders.push_back(site.profiles_path);
    }
    return folders;
}

std::vector<std::string> cabinet_folders(const sim::Options& options, const sim::Site& site) {
    if (!options.cabinet_profiles.empty()) {
        return options.cabinet_profiles;
    }
    std::error_code error;
    const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
    std::vector<std::string> folders{
        (program.parent_path().parent_path() / "share/gatehouse/cabinets").string()};
    if (!site.profiles_path.empty()) {
        folders.push_back((std::filesystem::path(site.profiles_path) / "cabinets").string());
    }
    return folders;
}

// Names in the arguments that the files do not know.
std::vector<std::string> unknown_names(const sim::Options& options, const sim::Building& building) {
    std::vector<std::string> problems;
    const auto meter = [&](const std::string& option, const std::string& name) {
        if (!name.empty() && !building.knows(name)) {
            problems.push_back(option + ": meter '" + name + "' is not simulated here; see --list");
        }
    };
    for (const std::string& name : options.building.dead) {
        meter("--dead", name);
    }
    for (const auto& [name, value] : options.building.starts) {
        meter("--start", name);
    }
    for (const sim::FaultRule& rule : options.building.faults) {
        meter("--fault", rule.meter);
    }
    const auto bus = [&](const std::string& option, const std::string& name) {
        const auto& buses = building.site().buses;
        if (std::none_of(buses.begin(), buses.end(), [&](const auto& b) { return b.id == name; })) {
            problems.push_back(option + ": bus '" + name + "' is not in the configuration");
        }
    };
    for (const auto& [name, port] : options.ports) {
        bus("--port", name);
    }
    for (const auto& [name, path] : options.links) {
        bus("--link", name);
    }
    return problems;
}

void print_list(const sim::Building& building) {
    for (const sim::MeterSpec& meter : building.site().meters) {
        if (!building.knows(meter.id)) {
            continue;
        }
        const sim::BusSpec& bus = building.site().buses[meter.bus];
        std::cout << meter.id << "  " << bus.id << "  " << bus.settings.text << "  address "
                  << meter.address;
        if (meter.channel > 0) {
            std::cout << "  channel " << meter.channel;
        }
        std::cout << "  " << meter.profile << (meter.water ? "  water" : "  electricity") << "\n";
    }
    for (const sim::CabinetSpec& cabinet : building.site().cabinets) {
        const sim::BusSpec& bus = building.site().buses[cabinet.bus];
        std::cout << cabinet.id << "  " << bus.id << "  " << bus.settings.text << "  address "
                  << cabinet.address << "  " << cabinet.profile << "  key cabinet\n";
    }
}

sim::LineSettings line_settings(const sim::Options& options, const sim::BusSpec& bus,
                                std::size_t index) {
    sim::LineSettings settings;
    settings.bus = index;
    settings.listen = options.listen;
    settings.pace = options.pace;
    settings.late_ms = options.late_ms;
    const bool line = bus.settings.transport != modbus::Transport::tcp || bus.character_us() > 0;
    settings.turnaround_ms = options.turnaround_ms.value_or(line ? 20 : 5);
    if (const auto port = options.ports.find(bus.id); port != options.ports.end()) {
        settings.port = port->second;
    }
    if (const auto link = options.links.find(bus.id); link != options.links.end()) {
        settings.link = link->second;
    }
    return settings;
}

// What people do at the cabinets, also while nobody asks these.
void live(boost::asio::steady_timer& timer, sim::Building& building, const sim::Line::Now& now) {
    building.advance_cabinets(now());
    timer.expires_after(std::chrono::milliseconds(kPeopleEveryMs));
    timer.async_wait([&timer, &building, &now](const boost::system::error_code& error) {
        if (!error) {
            live(timer, building, now);
        }
    });
}

// Opens everything and serves until a signal comes.
int serve(const sim::Options& options, sim::Building& building) {
    boost::asio::io_context context(1);
    const std::int64_t started = clock_ms(CLOCK_BOOTTIME);
    const sim::Line::Now now = [started] { return clock_ms(CLOCK_BOOTTIME) - started; };
    std::ofstream truth;
    if (!options.truth.empty()) {
        truth.open(options.truth, std::ios::app);
        if (!truth) {
            std::cerr << "gatehouse-sim: --truth " << options.truth << " cannot be written\n";
            return kBadInput;
        }
        building.on_truth([&truth](const sim::Truth& one) {
            truth << R"({"at":")" << utc_text(clock_ms(CLOCK_REALTIME)) << R"(","mono_ms":)"
                  << clock_ms(CLOCK_BOOTTIME) << "," << sim::truth_json(one) << "}\n"
                  << std::flush;
        });
        building.on_cabinet_truth([&truth](const std::string& json) {
            truth << json << "\n" << std::flush;
        });
    }
    std::vector<std::unique_ptr<sim::Line>> lines;
    const auto& buses = building.site().buses;
    for (std::size_t i = 0; i < buses.size(); ++i) {
        sim::OpenedLine opened =
            sim::open_line(context, building, line_settings(options, buses[i], i), now);
        if (!opened.line) {
            std::cerr << "gatehouse-sim: " << opened.problem << "\n";
            return kFailed;
        }
        const auto meters = std::count_if(
            building.site().meters.begin(), building.site().meters.end(),
            [&](const sim::MeterSpec& m) { return m.bus == i && building.knows(m.id); });
        const auto cabinets =
            std::count_if(building.site().cabinets.begin(), building.site().cabinets.end(),
                          [&](const sim::CabinetSpec& cabinet) { return cabinet.bus == i; });
        std::cout << "bus " << buses[i].id << ": " << opened.line->where() << ", " << meters
                  << " meters";
        if (cabinets > 0) {
            std::cout << ", " << cabinets << " key cabinets";
        }
        std::cout << "\n";
        lines.push_back(std::move(opened.line));
    }
    sim::Control control(context, building, now);
    if (options.control) {
        if (const std::string problem = control.open(*options.control); !problem.empty()) {
            std::cerr << "gatehouse-sim: " << problem << "\n";
            return kFailed;
        }
        std::cout << "control: 127.0.0.1:" << control.port() << "\n";
    }
    boost::asio::steady_timer people(context);
    live(people, building, now);
    boost::asio::signal_set signals(context, SIGINT, SIGTERM);
    signals.async_wait([&context](const boost::system::error_code&, int) { context.stop(); });
    std::cout << "ready: seed " << options.building.seed << ", speed " << options.building.speed
              << std::endl;
    context.run();
    control.close();
    for (const std::unique_ptr<sim::Line>& line : lines) {
        line->close();
    }
    return 0;
}

int run(int argc, char** argv) {
    sim::ParsedOptions parsed = sim::parse_options(argc, argv);
    if (parsed.exit_code) {
        return *parsed.exit_code;
    }
    sim::Options& options = parsed.options;
    if (options.building.day_start_ms < 0) {
        options.building.day_start_ms = local_time_of_day_ms();
    }
    options.building.date_days = local_date_days();
    options.building.epoch_ms = clock_ms(CLOCK_REALTIME);
    sim::LoadedSite loaded = sim::load_site(options.config, options.registry);
    for (std::string& problem :
         sim::load_cabinets(options.config, options.registry, cabinet_folders(options, loaded.site),
                            options.cabinets, loaded.site)) {
        loaded.problems.push_back(std::move(problem));
    }
    for (const std::string& problem : loaded.problems) {
        std::cerr << "gatehouse-sim: " << problem << "\n";
    }
    if (!loaded.problems.empty()) {
        return kBadInput;
    }
    const modbus::ProfileTable profiles =
        modbus::load_profiles(profile_folders(options, loaded.site));
    for (const gatehouse::Problem& problem : profiles.problems) {
        std::cerr << "gatehouse-sim: " << gatehouse::to_string(problem) << "\n";
    }
    sim::Building building(
        loaded.site,
        [&](const std::string& id, std::string* reason) { return profiles.find(id, reason); },
        options.building);
    for (const std::string& problem : building.problems()) {
        std::cerr << "gatehouse-sim: " << problem << "\n";
    }
    const std::vector<std::string> unknown = unknown_names(options, building);
    for (const std::string& problem : unknown) {
        std::cerr << "gatehouse-sim: " << problem << "\n";
    }
    if (!unknown.empty()) {
        return kBadInput;
    }
    if (options.list) {
        print_list(building);
        return 0;
    }
    return serve(options, building);
}

}  // namespace

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);  // a client that hangs up ends its connection, not us
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        std::cerr << "gatehouse-sim: " << error.what() << "\n";
        return kFailed;
    }
}
