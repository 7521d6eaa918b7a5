// A source without engine and store: an event log in memory and a snapshot that the test writes.
// Any thread; and the clock, zone and randomness that the publisher is given in tests.
#pragma once

#include <time.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "daemon/core/time.hpp"
#include "daemon/mqtt/source.hpp"

namespace gatehouse::test {

class RealClock final : public Clock {
  public:
    [[nodiscard]] MonoMs mono_ms() const override { return read(CLOCK_BOOTTIME) + skipped_.load(); }
    [[nodiscard]] UtcMs wall_ms() const override { return read(CLOCK_REALTIME); }
    void skip(std::int64_t ms) { skipped_ += ms; }

  private:
    std::atomic<std::int64_t> skipped_{0};
    static std::int64_t read(clockid_t id) {
        timespec now{};
        ::clock_gettime(id, &now);
        return now.tv_sec * std::int64_t{1000} + now.tv_nsec / 1'000'000;
    }
};

class SeededRandom final : public Random {
  public:
    explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}
    void fill(void* bytes, std::size_t count) override {
        auto* out = static_cast<unsigned char*>(bytes);
        for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<unsigned char>(engine_());
    }

  private:
    std::mt19937_64 engine_;
};

// Eight hours east of Greenwich, always.
class EastZone final : public Zone {
  public:
    [[nodiscard]] LocalTime local(UtcMs at) const override {
        const std::int64_t shifted = at + kOffsetMs;
        return {date_from_days(shifted / kDayMs), static_cast<int>(shifted % kDayMs), 480};
    }
    [[nodiscard]] UtcMs midnight(LocalDate date) const override {
        return days_since_epoch(date) * kDayMs - kOffsetMs;
    }

  private:
    static constexpr std::int64_t kDayMs = 86'400'000;
    static constexpr std::int64_t kOffsetMs = 8 * 3'600'000;
};

class FakeSource final : public mqtt::Source {
  public:
    FakeSource() {
        state_.registry = std::make_shared<Registry>();
        state_.run_id = "run-1";
        state_.clock_trusted = true;
        state_.now_ms = 1'795'392'900'000;
    }

    std::shared_ptr<const Snapshot> snapshot() override {
        const std::lock_guard lock(mutex_);
        if (!shared_) shared_ = std::make_shared<const Snapshot>(state_);
        return shared_;
    }
    std::vector<mqtt::LogRow> events_after(std::uint64_t seq, std::size_t limit) override {
        const std::lock_guard lock(mutex_);
        std::vector<mqtt::LogRow> rows;
        for (std::size_t i = seq; i < log_.size() && rows.size() < limit; ++i) {
            rows.push_back(log_[i]);
        }
        return rows;
    }
    std::optional<mqtt::SealHead> newest_seal() override {
        const std::lock_guard lock(mutex_);
        return seals.empty() ? std::nullopt : std::optional(seals.back());
    }
    std::optional<mqtt::SealHead> seal_after(const std::string& day) override {
        const std::lock_guard lock(mutex_);
        for (const mqtt::SealHead& seal : seals)
            if (seal.date > day) return seal;
        return std::nullopt;
    }
    std::string seal_told() override {
        const std::lock_guard lock(mutex_);
        return told_;
    }
    bool advance_cursor(std::uint64_t seq, const std::string& sealed) override {
        const std::lock_guard lock(mutex_);
        told_ = sealed;
        cursors_.push_back(seq);
        state_.mqtt_cursor = seq;
        shared_.reset();
        return true;
    }
    std::optional<std::uint64_t> disk_free_bytes() override { return 123'456'789; }

    // The test's side.
    template <class Change>
    void change(Change change) {
        const std::lock_guard lock(mutex_);
        change(state_);
        shared_.reset();
    }
    std::uint64_t append(std::string kind, std::optional<std::string> body) {
        const std::lock_guard lock(mutex_);
        state_.event_seq = log_.size() + 1;
        log_.push_back({state_.event_seq, std::move(kind), std::move(body)});
        shared_.reset();
        return state_.event_seq;
    }
    std::uint64_t alert(const std::string& id, const std::string& state,
                        std::size_t text_bytes = 0) {
        const std::lock_guard lock(mutex_);
        const std::uint64_t seq = state_.event_seq = log_.size() + 1;
        log_.push_back({seq, "alert." + state, body(id, state, seq, text_bytes)});
        shared_.reset();
        return seq;
    }
    static std::string body(const std::string& id, const std::string& state, std::uint64_t seq,
                            std::size_t text_bytes = 0) {
        const std::string text(text_bytes, 'x');
        return R"({"schema":1,"id":")" + id + R"(","seq":)" + std::to_string(seq) +
               R"(,"kind":"low_balance","state":")" + state + R"(","text":")" + text + "\"}";
    }
    std::vector<std::uint64_t> cursors() const {
        const std::lock_guard lock(mutex_);
        return cursors_;
    }
    std::vector<mqtt::SealHead> seals;  // before the publisher starts

  private:
    mutable std::mutex mutex_;
    Snapshot state_;
    std::shared_ptr<const Snapshot> shared_;
    std::vector<mqtt::LogRow> log_;
    std::vector<std::uint64_t> cursors_;
    std::string told_;
};

inline mqtt::Settings settings_for(int port) {
    mqtt::Settings settings;
    settings.host = "127.0.0.1";
    settings.port = port;
    settings.client_id = "gatehouse-test";
    settings.topic_root = "gatehouse";
    settings.site_id = "riverside";
    settings.version = "0.1.0";
    settings.reconnect_min_ms = 50;
    settings.reconnect_max_ms = 200;
    return settings;
}

// The number after "seq": of a payload; 0 where there is none.
inline std::uint64_t seq_of(const std::string& payload) {
    const std::size_t at = payload.find("\"seq\":");
    return at == std::string::npos ? 0 : std::stoull(payload.substr(at + 6));
}

}  // namespace gatehouse::test
