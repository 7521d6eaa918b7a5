#include "drivers/simulator/site.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/support/catch.hpp"

namespace gatehouse::simulator {
namespace {

class Folder {
  public:
    Folder() {
        std::string name = "/tmp/gatehouse-site-XXXXXX";
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    void write(const std::string& name, const std::string& text) const {
        std::ofstream(path_ / name, std::ios::binary) << text;
    }
    [[nodiscard]] LoadedSite load() const {
        return load_site((path_ / "gatehouse.toml").string(), path_.string());
    }

  private:
    std::filesystem::path path_;
};

constexpr const char* kConfig =
    "[[bus]]\nid = \"b1\"\nurl = \"modbus+tcp://127.0.0.1:1502?tid=no\"\n"
    "[[bus]]\nid = \"b2\"\nurl = \"modbus+rtu:///dev/x?baud=2400&parity=even\"\n";

TEST_CASE("the registry's meters on a bus are those that are simulated") {
    const Folder folder;
    folder.write("gatehouse.toml", kConfig);
    folder.write("units.csv", "unit,use,status\nu1,home,\nu2,shop,\nu3,home,vacant\n");
    folder.write("meters.csv",
                 "\xEF\xBB\xBF"
                 "表号,房号,类型,总线,通讯地址,通道,型号,倍率,期初读数,状态,role\r\n"
                 "e1,u1,electricity,b1,1,,\"eastron-sdm120\",,12.5,,\r\n"
                 "e2,u2,electricity,b2,2,,chint-dtsu666,40,,,\r\n"
                 "w3,u3,water,b2,3,1,wirenboard-mcm8,0.01,,,\r\n"
                 "eye,u1,water,,,,,,,,\r\n"
                 "old,u1,electricity,b1,9,,eastron-sdm120,,,retired,\r\n");
    const LoadedSite loaded = folder.load();
    REQUIRE(loaded.problems.empty());
    REQUIRE(loaded.site.meters.size() == 3);
    const auto& meters = loaded.site.meters;
    CHECK(meters[0].pattern == Pattern::home);
    REQUIRE(meters[0].opening_register);
    CHECK(meters[1].pattern == Pattern::shop);
    CHECK(meters[1].multiplier.numerator == 40 * meters[1].multiplier.denominator);
    CHECK(meters[2].pattern == Pattern::vacant);
    CHECK(meters[2].water);
    CHECK(meters[2].channel == 1);
    const auto& buses = loaded.site.buses;
    CHECK_FALSE(buses[0].settings.transaction_id_echoed);
    CHECK(buses[0].character_us() == 0);
    CHECK(buses[1].character_us() == 4584);  // 11 bits at 2400 baud, rounded up;
}

TEST_CASE("what cannot be simulated is named with its place") {
    const Folder folder;
    CHECK(folder.load().problems.size() == 2);  // neither file is there
    folder.write("gatehouse.toml", "[[bus]]\nid = \"b1\"\nurl = \"modbus://x\"\n");
    folder.write("meters.csv", "meter,service,bus,address\n");
    const auto first = folder.load().problems;
    REQUIRE(first.size() == 2);
    CHECK(first[0].find("modbus+tcp://") != std::string::npos);
    CHECK(first[1].find("'profile' is missing") != std::string::npos);

    folder.write("gatehouse.toml", kConfig);
    folder.write("meters.csv",
                 "meter,service,bus,address,profile,multiplier\n"
                 "a,electricity,b9,1,p,\n"
                 "b,electricity,b1,300,p,\n"
                 "c,electricity,b1,1,p,4O\n"
                 "d,electricity,b1,1,p,\n"
                 "d,electricity,b1,2,p,\n");
    const auto problems = folder.load().problems;
    REQUIRE(problems.size() == 5);
    CHECK(problems[0].find("meters.csv:2: bus 'b9'") == 0);
    CHECK(problems[1].find("meters.csv:3:") == 0);
    CHECK(problems[2].find("'4O'") != std::string::npos);
    CHECK(problems[3].find("'c'") != std::string::npos);
    CHECK(problems[4].find("twice") != std::string::npos);

    folder.write("gatehouse.toml", "[[bus]\n");
    CHECK(folder.load().problems.front().find("gatehouse.toml:1:") != std::string::npos);
    folder.write("gatehouse.toml", kConfig);
    folder.write("meters.csv", "meter,\"service\nnever closed\n");
    CHECK_FALSE(folder.load().problems.empty());
}

}  // namespace
}  // namespace gatehouse::simulator
