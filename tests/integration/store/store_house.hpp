// What the store's tests share: a fresh folder, a seeded source of salts, a small registry, and a
// second hand on the file that obeys no rule.
#pragma once

#include <stdlib.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>

#include "daemon/store/reader.hpp"
#include "daemon/store/store.hpp"
#include "tests/integration/store/other_hand.hpp"

namespace gatehouse::testing {

class Folder {
  public:
    Folder() {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "gatehouse-store-XXXXXX").string();
        if (!::mkdtemp(pattern.data())) throw std::runtime_error("mkdtemp");
        path_ = pattern;
    }
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

  private:
    std::string path_;
};

class SeededRandom : public Random {
  public:
    void fill(void* bytes, std::size_t count) override {
        auto* at = static_cast<unsigned char*>(bytes);
        for (std::size_t i = 0; i < count; ++i) at[i] = static_cast<unsigned char>(engine_());
    }

  private:
    std::mt19937 engine_{20261123};
};

inline constexpr UtcMs kMorning = 1'795'392'000'000;  // 2026-11-23T00:00:00Z

inline StoreOptions options_for(const std::string& path, const std::string& run) {
    StoreOptions options;
    options.path = path;
    options.run_id = run;
    options.version = "test";
    options.mono_ms = 1'000;
    options.wall_ms = kMorning;
    options.site_id = "riverside";
    return options;
}

inline std::unique_ptr<Store> open_store(const std::string& path, const std::string& run) {
    static SeededRandom random;
    return std::make_unique<Store>(options_for(path, run), random);
}

inline Stamp stamp_of(const Store& store, MonoMs mono_ms = 2'000) {
    return {store.report().run, mono_ms, kMorning - 1'000 + mono_ms};
}

// `count` homes h-0.. with an electricity meter e-0.. and an account a-0.. each.
inline Registry homes(int count) {
    Registry registry;
    Tariff tariff;
    tariff.tariff = "flat";
    tariff.source = "test";
    TariffVersion version;
    version.valid_from = {2026, 1, 1};
    version.tiers.push_back({{}, {}, Price{48'830'000}, {}});
    tariff.versions.push_back(version);
    registry.tariffs.push_back(tariff);
    for (int i = 0; i < count; ++i) {
        const std::string n = std::to_string(i);
        Unit unit;
        unit.unit = "h-" + n;
        registry.units.push_back(unit);
        Account account;
        account.account = "a-" + n;
        account.unit = unit.unit;
        account.tariffs = {"flat"};
        registry.accounts.push_back(account);
        Meter meter;
        meter.meter = "e-" + n;
        meter.unit = unit.unit;
        meter.bus = "b1";
        meter.serial = "s-" + n;
        registry.meters.push_back(meter);
    }
    return registry;
}

inline EventRow event_of(const Store& store, const std::string& kind, int n) {
    return {kind, R"({"account":"a-1"})", "{\"n\":" + std::to_string(n) + "}", stamp_of(store), {}};
}

inline ReadingRow reading_of(const Store& store, const std::string& meter, std::int64_t total,
                             MonoMs mono_ms) {
    ReadingRow row;
    row.meter = meter;
    row.at = stamp_of(store, mono_ms);
    row.register_value = Milli{total};
    row.total = Milli{total};
    row.raw = {0x0001, 0xe240};
    return row;
}

}  // namespace gatehouse::testing
