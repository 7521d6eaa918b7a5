// Folders of profiles: how many files one may hold.
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "drivers/modbus/profile.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::modbus;

TEST_CASE("a folder of more profiles than the limit says so") {
    char pattern[] = "/tmp/gatehouse-profiles-XXXXXX";
    const std::string folder = ::mkdtemp(pattern);
    for (int i = 0; i < 1'001; ++i)
        std::ofstream(folder + "/p-" + std::to_string(10'000 + i) + ".toml") << "schema = 1\n";
    const ProfileTable table = load_profiles({folder});
    CHECK(table.broken.size() == 1'000);
    REQUIRE_FALSE(table.problems.empty());
    CHECK(table.problems.front().message.find("more than 1000 profiles") != std::string::npos);
    std::filesystem::remove_all(folder);
}
