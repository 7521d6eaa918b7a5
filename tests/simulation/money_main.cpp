// The money simulation: seeded worlds around the real engine, and an auditor that shares no code
// with it. Prints what the worlds did; fails at the first disagreement of each seed, with the words
// that replay it. See --help.
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <map>
#include <random>

#include "tests/simulation/money_plants.hpp"
#include "tests/simulation/money_world.hpp"

namespace gatehouse::money {
namespace {

struct Options {
    std::uint64_t seeds = 1, seed = 1;
    int days = 30, households = 6, jobs = 2;
    std::string program = "money_world", plant = "nothing";
    bool fresh = false, keep = false;
};

std::string make_folder() {
    // In memory where the machine has such a folder: no test here pulls the plug of the disk.
    std::string pattern = "/dev/shm/gatehouse-money-XXXXXX";
    if (::mkdtemp(pattern.data()) != nullptr) return pattern;
    pattern = (std::filesystem::temp_directory_path() / "gatehouse-money-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    return pattern;
}

struct Outcome {
    bool agreed = false;
    Deeds deeds;
};

std::string replay_words(const Options& options, std::uint64_t seed) {
    std::string words = options.program + " --seed " + std::to_string(seed) + " --days " +
                        std::to_string(options.days) + " --households " +
                        std::to_string(options.households);
    if (options.plant != "nothing") words += " --plant " + options.plant;
    return words;
}

Outcome live(const Options& options, std::uint64_t seed) {
    Settings settings{seed, options.days, options.households, make_folder()};
    Outcome outcome;
    try {
        outcome.deeds = World(settings).run();
        outcome.agreed = true;
    } catch (const std::exception& error) {
        std::cout << "seed " + std::to_string(seed) + ", " + error.what() +
                         "\n  replay: " + replay_words(options, seed) + "\n"
                  << std::flush;
    }
    if (options.keep && !outcome.agreed) {
        std::cout << "  kept: " << settings.folder << std::endl;
        return outcome;
    }
    std::error_code ignored;
    std::filesystem::remove_all(settings.folder, ignored);
    return outcome;
}

// Each world in a process of its own: an assertion of the daemon ends that seed and no other.
class Worker {
  public:
    Worker(const Options& options, std::uint64_t seed) : seed_(seed) {
        if (::pipe(pipe_) != 0) throw std::runtime_error("pipe");
        pid_ = ::fork();
        if (pid_ < 0) throw std::runtime_error("fork");
        if (pid_ != 0) {
            ::close(pipe_[1]);
            return;
        }
        const Outcome outcome = live(options, seed);
        const bool told = ::write(pipe_[1], &outcome, sizeof outcome) == sizeof outcome;
        ::_exit(told ? 0 : 1);
    }
    [[nodiscard]] pid_t pid() const { return pid_; }
    [[nodiscard]] std::uint64_t seed() const { return seed_; }
    Outcome collect() {
        Outcome outcome;
        const bool told = ::read(pipe_[0], &outcome, sizeof outcome) == sizeof outcome;
        ::close(pipe_[0]);
        return told ? outcome : Outcome{};
    }

  private:
    std::uint64_t seed_;
    int pipe_[2] = {-1, -1};
    pid_t pid_ = -1;
};

void print(const Deeds& deeds) {
    const Tally& audited = deeds.audited;
    const std::pair<const char*, std::int64_t> rows[] = {
        {"steps", deeds.steps},
        {"samples", deeds.samples},
        {"  of them wrong", deeds.wrong},
        {"power cuts", deeds.cuts},
        {"starts without a clock", deeds.untrusted_starts},
        {"clock jumps", deeds.clock_jumps},
        {"full disks", deeds.full_disks},
        {"copies restored", deeds.restores},
        {"imports", deeds.imports},
        {"top-ups answered", deeds.topups},
        {"  asked again", deeds.repeated},
        {"  refused", deeds.refused},
        {"acts that two people signed", deeds.acts},
        {"  refused", deeds.acts_refused},
        {"months closed", deeds.months},
        {"changes of occupant", deeds.moves},
        {"  entered days later", deeds.late_moves},
        {"  fees taken back by them", audited.taken_back},
        {"  minimums taken back", audited.minimums_back},
        {"accounts closed", deeds.closes},
        {"  neither, for now", deeds.moves_refused},
        {"prices that came late", deeds.late_prices},
        {"  accounts settled by them", audited.settled},
        {"  totals at their edges", audited.edges},
        {"figures corrected", deeds.corrections},
        {"  refused", deeds.corrections_refused},
        {"meters that died", deeds.dead},
        {"registers that fell or leapt", deeds.resets},
        {"quarantines settled by staff", deeds.quarantines},
        {"audits", audited.audits},
        {"readings", audited.readings},
        {"  estimated at an edge", audited.estimated},
        {"  below the truth", audited.below_truth},
        {"  released", audited.released},
        {"rollovers", audited.rollovers},
        {"replacements", audited.replaced},
        {"changes of terms passed", audited.changes},
        {"stretches charged", audited.charges},
        {"entries", audited.entries},
        {"  late", audited.late},
        {"  that two people signed", audited.acts}};
    for (const auto& [name, count] : rows)
        std::cout << std::left << std::setw(32) << name << std::right << std::setw(12) << count
                  << "\n";
}

// Of so many seeds each of these has happened, or the worlds are too kind to prove anything.
bool is_rough(const Deeds& deeds) {
    const Tally& audited = deeds.audited;
    return deeds.cuts > 0 && deeds.restores > 0 && deeds.full_disks > 0 && deeds.clock_jumps > 0 &&
           deeds.untrusted_starts > 0 && deeds.repeated > 0 && deeds.acts > 0 && deeds.months > 0 &&
           deeds.moves > 0 && deeds.late_moves > 0 && deeds.closes > 0 && audited.settled > 0 &&
           audited.edges > 0 && deeds.corrections > 0 && deeds.quarantines > 0 &&
           audited.estimated > 0 && audited.late > 0 && audited.replaced > 0 &&
           audited.rollovers > 0 && audited.released > 0 && audited.changes > 0 &&
           audited.below_truth > 0;
}

struct Verdict {
    std::uint64_t agreed = 0, wrong = 0;
    Deeds deeds;
};

// The fixed ones, and one that nobody knows yet.
std::vector<std::uint64_t> seeds_of(const Options& options) {
    std::vector<std::uint64_t> seeds;
    for (std::uint64_t i = 0; i < options.seeds; ++i) seeds.push_back(options.seed + i);
    if (options.fresh) seeds.push_back(std::random_device{}());
    return seeds;
}

Verdict run(const Options& options, const std::vector<std::uint64_t>& seeds) {
    Verdict verdict;
    std::map<pid_t, Worker> workers;
    std::size_t next = 0;
    while (next < seeds.size() || !workers.empty()) {
        while (next < seeds.size() && workers.size() < static_cast<std::size_t>(options.jobs)) {
            Worker worker(options, seeds[next++]);
            workers.emplace(worker.pid(), worker);
        }
        int status = 0;
        const pid_t ended = ::wait(&status);
        const auto found = workers.find(ended);
        if (found == workers.end()) continue;
        const Outcome outcome = found->second.collect();
        if (WIFSIGNALED(status))
            std::cout << "seed " << found->second.seed() << " died of signal " << WTERMSIG(status)
                      << "\n  replay: " << replay_words(options, found->second.seed()) << "\n";
        ++(outcome.agreed ? verdict.agreed : verdict.wrong);
        verdict.deeds.add(outcome.deeds);
        workers.erase(found);
    }
    return verdict;
}

int judge(const Options& options, const std::vector<std::uint64_t>& seeds, const Verdict& verdict) {
    print(verdict.deeds);
    std::cout << seeds.size() << " seeds, " << options.days << " days of " << options.households
              << " households each: " << verdict.agreed << " agree, " << verdict.wrong
              << " do not\n";
    if (options.plant != "nothing") {
        if (verdict.wrong > 0) return 0;
        std::cout << "the planted fault was not seen: this test proves nothing\n";
        return 1;
    }
    if (verdict.wrong > 0) return 1;
    constexpr std::uint64_t kSeedsThatMeetAll = 50;
    if (seeds.size() >= kSeedsThatMeetAll && !is_rough(verdict.deeds)) {
        std::cout << "something of the list above never happened: this proves too little\n";
        return 1;
    }
    return 0;
}

// Each planted fault in worlds of its own, until one of them is seen to disagree.
int see_all(const Options& options) {
    int unseen = 0;
    for (const std::string& name : plant_names()) {
        if (name == "nothing") continue;
        plant(name);
        Options batch = options;
        batch.plant = name;
        batch.seeds = static_cast<std::uint64_t>(options.jobs);
        bool seen = false;
        for (; !seen && batch.seed < options.seed + options.seeds; batch.seed += batch.seeds)
            seen = run(batch, seeds_of(batch)).wrong > 0;
        std::cout << name << (seen ? ": seen" : ": NOT SEEN: this test proves nothing") << "\n"
                  << std::flush;
        if (!seen) ++unseen;
    }
    return unseen == 0 ? 0 : 1;
}

int main_of(int argc, char** argv) {
    Options options;
    options.program = argv[0];
    CLI::App app{"Drives the engine through seeded months and audits every fen of them."};
    app.add_option("--seeds", options.seeds, "how many worlds, counted up from --seed")
        ->check(CLI::Range(0, 1'000'000))
        ->capture_default_str();
    app.add_option("--seed", options.seed, "the first")->capture_default_str();
    app.add_flag("--fresh", options.fresh,
                 "one world more, of a seed that nobody knows yet; it is printed");
    app.add_option("--days", options.days, "of each world")
        ->check(CLI::Range(1, 4'000))
        ->capture_default_str();
    app.add_option("--households", options.households, "of each world")
        ->check(CLI::Range(1, 80))
        ->capture_default_str();
    app.add_option("--jobs", options.jobs, "worlds side by side")
        ->check(CLI::Range(1, 64))
        ->capture_default_str();
    app.add_flag("--keep", options.keep, "leave the database of a seed that does not agree");
    std::vector<std::string> plants = plant_names();
    plants.emplace_back("all");
    app.add_option("--plant", options.plant,
                   "put a bug into the daemon's money and expect the auditor to see it; all: each "
                   "in turn, until it is seen")
        ->check(CLI::IsMember(plants));
    CLI11_PARSE(app, argc, argv);
    if (options.plant == "all") return see_all(options);
    plant(options.plant);
    const std::vector<std::uint64_t> seeds = seeds_of(options);
    if (options.seeds > 0)
        std::cout << "seeds " << options.seed << " to " << options.seed + options.seeds - 1 << "\n";
    if (options.fresh) std::cout << "fresh seed " << seeds.back() << "\n";
    std::cout << std::flush;
    return judge(options, seeds, run(options, seeds));
}

}  // namespace
}  // namespace gatehouse::money

int main(int argc, char** argv) {
    return gatehouse::money::main_of(argc, argv);
}
