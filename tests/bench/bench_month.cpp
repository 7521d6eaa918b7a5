// A month of a site of 2,000 households with 4,000 meters is lived through and closed: how long the
// files take beside the engine, how long the engine is held, what memory it costs, and whether the
// totals foot to what is computed here from the registers alone. One line of JSON a figure.
//
//   bench_month            on the disk of /var/tmp; HOMES=200 for a look
#include <stdlib.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>

#include "daemon/engine/period_documents.hpp"
#include "daemon/engine/registry_files.hpp"
#include "daemon/engine/sealed_text.hpp"
#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

namespace json = boost::json;

constexpr UtcMs kNovember = kMorning - 8 * kHour - 22 * kDay;  // 2026-11-01T00:00:00+08:00
constexpr int kDays = 30, kMetersABus = 200;
constexpr std::int64_t kPowerPrice = 52'830'000, kWaterPrice = 500'000'000;  // 1e-8

double now_ms() {
    return std::chrono::duration<double, std::milli>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

long peak_kib() {
    std::ifstream status("/proc/self/status");
    std::string word;
    while (status >> word)
        if (word == "VmHWM:") {
            long kib = 0;
            status >> kib;
            return kib;
        }
    return 0;
}

void forget_peak() {
    std::ofstream("/proc/self/clear_refs") << "5";
}

void print(const char* what, double value, const char* unit) {
    std::printf("{\"bench\":\"month\",\"what\":\"%s\",\"value\":%.1f,\"unit\":\"%s\"}\n", what,
                value, unit);
}

struct Site : House {
    explicit Site(int homes_) : homes(homes_), registers(static_cast<std::size_t>(homes_) * 2) {
        char folder[] = "/var/tmp/gatehouse-month-XXXXXX";
        REQUIRE(::mkdtemp(folder) != nullptr);
        disk = folder;
        options.database_path = disk + "/gatehouse.db";
        options.buses.clear();
        for (int bus = 0; bus <= 2 * homes / kMetersABus; ++bus)
            options.buses.push_back("b" + std::to_string(bus));
        clock.wall = kNovember - kHour;
        open();
    }
    ~Site() {
        crash();
        std::error_code ignored;
        std::filesystem::remove_all(disk, ignored);
    }
    [[nodiscard]] static std::string name(std::size_t meter) {
        return (meter % 2 == 0 ? "e-" : "w-") + std::to_string(meter / 2);
    }
    [[nodiscard]] FileTexts files() const {
        std::string units = "unit,label\n", accounts = "account,unit,service,tariff\n";
        std::string meters = "meter,unit,service,bus,address,profile,rated_amps\n";
        for (int home = 0; home < homes; ++home) {
            const std::string id = std::to_string(home);
            units += "u-" + id + ",flat " + id + "\n";
            accounts += "a-" + id + ",u-" + id + ",all,flat;water\n";
            for (int i = 0; i < 2; ++i) {
                const int meter = 2 * home + i;
                meters += name(static_cast<std::size_t>(meter)) + ",u-" + id +
                          (i == 0 ? ",electricity,b" : ",water,b") +
                          std::to_string(meter / kMetersABus) + "," +
                          std::to_string(meter % kMetersABus + 1) +
                          (i == 0 ? ",eastron-sdm120,1000\n" : ",wirenboard-mwac2,\n");
            }
        }
        return {{"units.csv", units},
                {"meters.csv", meters},
                {"accounts.csv", accounts},
                {"tariffs/flat.toml", flat_tariff("flat", "electricity", "0.5283")},
                {"tariffs/water.toml", flat_tariff("water", "water", "5.00")},
                {"staff.csv", "staff,name,roles\ns-01,a,billing\n"}};
    }
    void feed_all() {
        for (std::size_t meter = 0; meter < registers.size(); ++meter) {
            feed(name(meter), {registers[meter], meter % 2 == 0 ? 100 : 1'000}, false);
            if (meter % 500 == 499) step();
        }
        step();
    }
    // Every meter is confirmed at that instant.
    void read_all(UtcMs at) {
        pass(at - kSecond - clock.wall);
        feed_all();
        pass(kSecond);
        feed_all();
    }
    int homes;
    std::string disk;
    std::vector<std::int64_t> registers;  // 1e-2 kWh, 1e-3 m3
    std::uint64_t draws = 20'261'126;
    // 0 to 12.00 kWh, 0 to 0.400 m3 a day.
    void live_a_day() {
        for (std::size_t meter = 0; meter < registers.size(); ++meter) {
            draws = draws * 6'364'136'223'846'793'005ULL + 1'442'695'040'888'963'407ULL;
            registers[meter] +=
                static_cast<std::int64_t>((draws >> 33U) % (meter % 2 == 0 ? 1'201U : 401U));
        }
    }
};

// How long the engine takes over what was read beside it.
double import_as_http(Site& site) {
    registry_files::Files files;
    for (auto& [name, text] : site.files()) files.emplace_back(name, text);
    ImportRegistry command;
    command.actor = "local";
    command.parsed = std::make_shared<registry_files::Parsed>(registry_files::parse(files));
    const double start = now_ms();
    const Reply reply = site.ask(std::move(command));
    const double held = now_ms() - start;
    INFO(reply.detail);
    REQUIRE(reply.kind == ReplyKind::ok);
    return held;
}

Fen half_up(std::int64_t price, std::int64_t milli) {
    const Int128 scaled = Int128{price} * milli * 2 + 1'000'000'000;
    return {static_cast<std::int64_t>(scaled / 2'000'000'000)};
}

}  // namespace

TEST_CASE("a month of 2,000 households is closed") {
    const char* asked = ::getenv("HOMES");
    Site site(asked != nullptr ? std::max(1, std::atoi(asked)) : 2'000);
    print("hold of the first import", import_as_http(site), "ms");
    double again = 0;
    for (int i = 0; i < 5; ++i) again = std::max(again, import_as_http(site));
    print("longest hold of the same import again", again, "ms");
    for (std::int64_t& register_value : site.registers) register_value = 100'000;
    site.read_all(kNovember - 2 * kMinute);
    site.pass(5 * kMinute);
    site.feed_all();
    const std::vector<std::int64_t> begin = site.registers;
    for (int day = 1; day <= kDays; ++day) {
        site.live_a_day();
        site.read_all(kNovember + day * kDay - 2 * kMinute);
        site.read_all(kNovember + day * kDay + 2 * kMinute);
    }
    site.pass(10 * kMinute);

    const std::unique_ptr<Zone> zone = make_zone("Asia/Shanghai");
    // October began with the first figures; nothing was used in it.
    double longest = 0, writing = 0, beginning = 0;
    std::vector<PeriodFile> files;
    for (const std::string month : {"2026-10", "2026-11"}) {
        forget_peak();
        const long before = peak_kib();
        longest = writing = 0;
        const auto held = [&](Command command) {
            const double start = now_ms();
            const Reply reply = site.ask(std::move(command));
            longest = std::max(longest, now_ms() - start);
            INFO(reply.detail);
            REQUIRE(reply.kind == ReplyKind::ok);
        };
        held(BeginPeriod{"local", month, "s-01"});
        beginning = longest;
        const double start = now_ms();
        {
            StoreReader reader(site.path());
            files = write_period(*parse_month(month), {"riverside", "CNY", false, zone.get()},
                                 *site.engine().snapshot(), reader);
        }
        writing = now_ms() - start;
        for (Command& command : sealing("local", month, "s-01", files)) held(std::move(command));
        if (month == "2026-11")
            print("memory while closing", static_cast<double>(peak_kib() - before) / 1024.0, "MiB");
    }
    print("files written", writing, "ms");
    print("hold of its first step", beginning, "ms");
    print("longest hold of the engine", longest, "ms");
    double text = 0, kept = 0;
    std::map<std::string, json::object> opened;
    for (const PeriodFile& file : files) {
        text += static_cast<double>(file.bytes);
        kept += static_cast<double>(file.deflated.size());
        opened[file.name] = json::parse(open_sealed(file)).as_object();
    }
    print("size of the files", text / 1e6, "MB");
    print("kept in the books", kept / 1e6, "MB");

    Fen expected;
    for (std::size_t meter = 0; meter < begin.size(); ++meter) {
        const std::int64_t used = site.registers[meter] - begin[meter];
        expected += meter % 2 == 0 ? half_up(kPowerPrice, used * 10) : half_up(kWaterPrice, used);
    }
    Fen lines, moved;
    for (const json::value& row : opened["charges"].at("items").as_array())
        lines += Fen{*parse_decimal(row.at("amount").as_string(), 2)};
    for (const json::value& row : opened["ledger"].at("items").as_array())
        moved += Fen{*parse_decimal(row.at("amount").as_string(), 2)};
    const json::object& summary = opened["summary"];
    const auto fen = [&](const char* part, const char* name) {
        return Fen{*parse_decimal(summary.at(part).at(name).as_string(), 2)};
    };
    CHECK(format(lines) == format(expected));
    CHECK(fen("charges", "total") == lines);
    CHECK(fen("charges", "total") - fen("charges", "booked_later") +
              fen("charges", "of_earlier_periods") ==
          fen("charges", "booked_in_period"));
    CHECK(fen("ledger", "opening") + moved == fen("ledger", "closing"));
    CHECK(site.proof() == "");
    print("charged", static_cast<double>(lines.count) / 100, "CNY");
}
