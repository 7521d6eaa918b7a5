// The shipped examples hold what the daemon's own checks demand: nobody should meet an error in the
// first file that they copy.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "daemon/config/config.hpp"
#include "daemon/core/tariff.hpp"
#include "daemon/engine/registry_files.hpp"
#include "tests/integration/simulator/fixture.hpp"

namespace gatehouse::simulator {
namespace {

const std::filesystem::path kConfig = std::filesystem::path(GATEHOUSE_SOURCE_DIR) / "config";

registry_files::Files files_of(const std::filesystem::path& folder, const std::string& prefix) {
    registry_files::Files files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        if (entry.is_regular_file()) {
            std::ifstream stream(entry.path(), std::ios::binary);
            files.emplace_back(
                prefix + std::filesystem::relative(entry.path(), folder).generic_string(),
                std::string(std::istreambuf_iterator<char>(stream), {}));
        }
    }
    return files;
}

std::string listed(const std::vector<Problem>& problems) {
    std::string text;
    for (const Problem& problem : problems) {
        text += to_string(problem) + "\n";
    }
    return text;
}

TEST_CASE("the shipped configurations have no problem") {
    CHECK(listed(config::load((kConfig / "gatehouse.toml").string()).problems).empty());
    CHECK(listed(config::load((kConfig / "demo/gatehouse.toml").string()).problems).empty());
}

TEST_CASE("the shipped tariffs are read without a problem") {
    const auto parsed = registry_files::parse(files_of(kConfig / "tariffs", "tariffs/"));
    CHECK(listed(parsed.problems).empty());
    CHECK(parsed.registry.tariffs.size() >= 11);
    for (const Tariff& tariff : parsed.registry.tariffs) {
        CAPTURE(tariff.tariff);
        CHECK(why_not_yet(tariff).empty());
    }
}

TEST_CASE("the shipped calendar is whole, and the demo's is the same") {
    const auto files = files_of(kConfig / "calendar", "");
    const auto shipped = std::find_if(files.begin(), files.end(), [](const auto& file) {
        return file.first == "china-2026.csv";
    });
    REQUIRE(shipped != files.end());
    const auto parsed = registry_files::parse({{"calendar.csv", shipped->second}});
    CHECK(listed(parsed.problems).empty());
    // The notice's seven feasts: 3 + 9 + 3 + 5 + 3 + 3 + 7 days, and six workdays for them.
    const auto& days = parsed.registry.calendar;
    const auto holidays = std::count_if(days.begin(), days.end(), [](const CalendarDay& day) {
        return day.kind == DayKind::holiday;
    });
    CHECK(holidays == 33);
    CHECK(days.size() == 39);
    const auto demo = registry_files::parse(files_of(kConfig / "demo/registry", ""));
    CHECK(demo.registry.calendar == days);
}

TEST_CASE("the demo's registry is whole: 60 homes, all ten profiles, and no account refused") {
    const auto parsed = registry_files::parse(files_of(kConfig / "demo/registry", ""));
    REQUIRE(listed(parsed.problems).empty());
    registry_files::Known known;
    known.buses = std::vector<std::string>{"b1", "b2", "b3", "b4"};
    known.cabinets = std::vector<std::string>{"kc-01"};
    known.profile_fault = [](const Meter& meter) {
        return shipped_profiles().find(meter.profile) != nullptr ? std::string() : "unknown";
    };
    const auto checked = registry_files::check(parsed.registry, known, parsed.places);
    CHECK(listed(checked.problems).empty());
    CHECK(listed(checked.warnings).empty());
    std::set<std::string> profiles;
    std::set<std::string> buses;
    for (const Meter& one : parsed.registry.meters) {
        profiles.insert(one.profile);
        buses.insert(one.bus);
    }
    CHECK(profiles.size() == 10);
    CHECK(buses.size() == 4);
    const auto& units = parsed.registry.units;
    CHECK(std::count_if(units.begin(), units.end(),
                        [](const Unit& unit) { return unit.use == Use::home; }) == 60);
    for (const std::string& why : registry_files::not_yet(parsed.registry)) {
        CHECK(why.empty());
    }
}

TEST_CASE("the demo's building hangs together") {
    const LoadedSite loaded =
        load_site((kConfig / "demo/gatehouse.toml").string(), (kConfig / "demo/registry").string());
    REQUIRE(loaded.problems.empty());
    Building building(loaded.site, shipped(), {});
    CHECK(building.problems().empty());
    CHECK(building.knows("e-2-1-0302"));  // the one that daemon/demo declares dead
}

}  // namespace
}  // namespace gatehouse::simulator
