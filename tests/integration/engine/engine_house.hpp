// What the engine's tests share: a house with a real store file, clocks that the test sets, meters
// whose samples it hands in, and the books read back through the store's reader. One thread.
#pragma once

#include <stdlib.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "daemon/engine/engine.hpp"
#include "daemon/engine/zone.hpp"
#include "daemon/store/reader.hpp"

namespace gatehouse::testing {

inline constexpr std::int64_t kSecond = 1'000, kMinute = 60'000, kHour = 3'600'000,
                              kDay = 86'400'000;
inline constexpr UtcMs kMorning = 1'795'392'000'000;  // 2026-11-23T08:00:00+08:00

class FakeClock final : public Clock {
  public:
    MonoMs mono = 5'000'000;
    UtcMs wall = kMorning;
    std::int64_t look_costs = 0;  // each look lets so much pass
    [[nodiscard]] MonoMs mono_ms() const override { return mono + (looked += look_costs); }
    [[nodiscard]] UtcMs wall_ms() const override { return wall + looked; }
    void pass(std::int64_t ms) {
        mono += ms + looked;
        wall += ms + looked;
        looked = 0;
    }

  private:
    mutable std::int64_t looked = 0;
};

class SeededRandom final : public Random {
  public:
    explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}
    void fill(void* bytes, std::size_t count) override {
        auto* at = static_cast<unsigned char*>(bytes);
        for (std::size_t i = 0; i < count; ++i) at[i] = static_cast<unsigned char>(engine_());
    }

  private:
    std::mt19937_64 engine_;
};

class Asked final : public Poller {
  public:
    std::map<std::string, int> soon;
    int registries = 0;
    void poll_soon(const std::string& meter) override { ++soon[meter]; }
    void registry_changed(std::shared_ptr<const Registry>) override { ++registries; }
};

using FileTexts = std::map<std::string, std::string>;

// Flat 0.5283 for electricity, 5.00 for water, and Beijing's ladder of the year; three homes.
[[nodiscard]] FileTexts three_homes();
[[nodiscard]] std::string flat_tariff(const std::string& id, const std::string& service,
                                      const std::string& price);
[[nodiscard]] std::string beijing_tariff();

class House {
  public:
    explicit House(std::uint64_t seed = 1);
    ~House();
    House(const House&) = delete;
    House& operator=(const House&) = delete;

    FakeClock clock;
    Asked asked;
    EngineOptions options;
    std::optional<bool> synchronised = true;  // what the system says of its clock

    void open();   // makes an Engine on the file
    void crash();  // destroys it between two steps; what was not committed is gone
    void reopen() {
        crash();
        open();
    }
    [[nodiscard]] Engine& engine() { return *engine_; }
    [[nodiscard]] const std::string& path() const { return options.database_path; }

    Reply ask(Command command);  // submits, steps, and hands back the reply
    Reply import(const FileTexts& files, bool dry_run = false);
    Reply import_signed(const FileTexts& files,
                        const std::string& actor = "local");  // by s-01 and s-02
    Reply top_up(const std::string& account, const std::string& amount, const std::string& key,
                 const std::string& body = "");

    void step() { engine_->step(); }
    // Steps once a second's worth at both ends, so that ticks see the time that passed.
    void pass(std::int64_t ms);
    // One sample into the queue, not stepped yet.
    void feed(const std::string& meter, const Rational& face, bool confirming = false);
    // What the samples of a meter say of the device from here on.
    std::map<std::string, std::string> serials;
    std::map<std::string, Rational> ratios;
    std::map<std::string, bool> prepaying;
    void sample(const std::string& meter, const std::string& face);
    // Two equal samples a second apart: the face is confirmed.
    void settle(const std::string& meter, const std::string& face);
    void fail(const std::string& meter);  // the poller holds it for offline

    [[nodiscard]] AccountView account(const std::string& id) const;
    [[nodiscard]] MeterView meter(const std::string& id) const;
    [[nodiscard]] std::vector<StoredEvent> events(const std::string& kind = "") const;
    [[nodiscard]] std::vector<StoredEntry> entries(const std::string& account) const;
    // "charge -2.64 day:2026-11-23", one a row, oldest first.
    [[nodiscard]] std::vector<std::string> book(const std::string& account) const;
    [[nodiscard]] std::vector<StoredReading> readings(const std::string& meter) const;
    [[nodiscard]] std::string proof() const;  // empty: every chain and line holds
    [[nodiscard]] std::string balance(const std::string& id) const {
        return format(account(id).balance);
    }
    [[nodiscard]] std::string ledger(const std::string& id) const {
        return format(account(id).ledger);
    }
    std::vector<std::string> said;

  private:
    std::string folder_;
    std::unique_ptr<Zone> zone_;
    SeededRandom random_;
    std::unique_ptr<Engine> engine_;
};

// The value of a field of a flat JSON document as text ("" where absent), strings unquoted.
[[nodiscard]] std::string field(const std::string& json, const std::string& name);

}  // namespace gatehouse::testing
