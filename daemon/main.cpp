// gatehoused: arguments, configuration, run.
#include <malloc.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "daemon/config/config.hpp"
#include "daemon/service.hpp"

int main(int argc, char** argv) {
    // Some seventy bus threads allocate little and seldom; an arena for each few of them keeps
    // megabytes that nobody uses. What is large goes straight back to the system when it is freed;
    // left to itself the allocator would keep whatever is smaller than the largest so far.
    (void)::mallopt(M_ARENA_MAX, 1);
    (void)::mallopt(M_MMAP_THRESHOLD, 256 * 1024);
    CLI::App app{"Reads a building's meters, keeps its prepaid accounts, tells who runs low."};
    std::string file = "/etc/gatehouse/gatehouse.toml";
    bool check = false;
    bool dry_run = false;
    app.add_option("--config", file, "The configuration")->capture_default_str();
    app.add_flag("--check-config", check, "Check the configuration, say what is wrong, and end");
    app.add_flag("--dry-run", dry_run,
                 "Poll every meter of the registry once, write nothing, print what came, and end");
    app.set_version_flag("--version", std::string("gatehoused ") + GATEHOUSE_VERSION);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    const gatehouse::config::Loaded loaded =
        gatehouse::config::load(file, gatehouse::config::FileCheck::readable);
    if (check) return gatehouse::run_check(loaded, file);
    for (const gatehouse::Problem& problem : loaded.problems)
        std::fprintf(stderr, "%s\n", to_string(problem).c_str());
    if (!loaded.problems.empty()) return 2;
    return dry_run ? gatehouse::run_dry(loaded.config) : gatehouse::run_service(loaded.config);
}
