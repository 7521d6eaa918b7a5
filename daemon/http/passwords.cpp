#include "daemon/http/passwords.hpp"

#include <pthread.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>

#include "daemon/core/assert.hpp"

namespace gatehouse::http {

namespace {

constexpr std::size_t kMemoryFloor = 19UL * 1024 * 1024;
constexpr unsigned long long kPassesFloor = 2, kPassesMax = 12;
constexpr std::size_t kPasswordLeast = 8, kPasswordMost = 128;

// The most common ones that are long enough to be taken otherwise.
constexpr std::array<std::string_view, 40> kCommon{
    "12345678",   "123456789", "1234567890",    "password",  "password1",  "password123",
    "11111111",   "00000000",  "88888888",      "66666666",  "123123123",  "1234567a",
    "a1234567",   "a12345678", "aa123456",      "abc123456", "abcd1234",   "qwertyui",
    "qwerty123",  "1qaz2wsx",  "q1w2e3r4",      "zaq12wsx",  "iloveyou",   "5201314520",
    "woaini1314", "woaini520", "asdfghjkl",     "1q2w3e4r",  "1q2w3e4r5t", "admin123",
    "admin888",   "admin1234", "administrator", "gatehouse", "12341234",   "87654321",
    "147258369",  "sunshine",  "football",      "princess"};

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) {
        return static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    });
    return text;
}

}  // namespace

struct Hasher::Impl {
    explicit Impl(HashCost given) : cost(given) {
        cost.memory_bytes = std::max(cost.memory_bytes, kMemoryFloor);
        GH_ASSERT(sodium_init() >= 0);
        thread = std::thread([this] { run(); });
    }

    bool post(std::function<void()> job) {
        {
            const std::lock_guard lock(mutex);
            if (stopping || jobs.size() >= cost.waiting_max) return false;
            jobs.push_back(std::move(job));
        }
        ready.notify_one();
        return true;
    }

    void run() {
        pthread_setname_np(pthread_self(), "passwords");
        for (;;) {
            std::function<void()> job;
            {
                std::unique_lock lock(mutex);
                ready.wait(lock, [this] { return stopping || !jobs.empty(); });
                if (stopping) return;
                job = std::move(jobs.front());
                jobs.pop_front();
            }
            job();
        }
    }

    std::string hash(const std::string& password) {
        std::array<char, crypto_pwhash_STRBYTES> text{};
        if (crypto_pwhash_str(text.data(), password.data(), password.size(), passes,
                              cost.memory_bytes) != 0)
            return {};
        return text.data();
    }

    // Before the first hash that somebody waits for.
    void calibrate() {
        if (calibrated) return;
        calibrated = true;
        const auto begin = std::chrono::steady_clock::now();
        comparison = hash("somebody who is nobody");
        const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
                              std::chrono::steady_clock::now() - begin)
                              .count();
        const std::int64_t one_pass =
            std::max<std::int64_t>(took / static_cast<std::int64_t>(kPassesFloor), 1);
        passes = std::clamp(static_cast<unsigned long long>(cost.target_ms / one_pass),
                            kPassesFloor, kPassesMax);
        if (passes != kPassesFloor) comparison = hash("somebody who is nobody");
    }

    HashCost cost;
    unsigned long long passes = kPassesFloor;
    bool calibrated = false;
    std::string comparison;  // what an unknown person's password is compared with
    std::mutex mutex;
    std::condition_variable ready;
    std::deque<std::function<void()>> jobs;
    bool stopping = false;
    std::thread thread;
};

Hasher::Hasher(HashCost cost) : impl_(std::make_unique<Impl>(cost)) {}

Hasher::~Hasher() {
    {
        const std::lock_guard lock(impl_->mutex);
        impl_->stopping = true;
        impl_->jobs.clear();
    }
    impl_->ready.notify_one();
    impl_->thread.join();
}

bool Hasher::verify(std::string hash, std::string password, Verified done) {
    return impl_->post([this, hash = std::move(hash), password = std::move(password),
                        done = std::move(done)] {
        impl_->calibrate();
        const bool known = !hash.empty();
        const std::string& against = known ? hash : impl_->comparison;
        const bool same =
            crypto_pwhash_str_verify(against.c_str(), password.data(), password.size()) == 0;
        const bool stale = known && crypto_pwhash_str_needs_rehash(against.c_str(), impl_->passes,
                                                                   impl_->cost.memory_bytes) != 0;
        done(known && same, stale);
    });
}

bool Hasher::make(std::string password, Made done) {
    return impl_->post([this, password = std::move(password), done = std::move(done)] {
        impl_->calibrate();
        done(impl_->hash(password));
    });
}

std::string password_fault(const std::string& password, const std::string& staff,
                           const std::string& site_name) {
    if (password.size() < kPasswordLeast)
        return "a password has at least 8 characters, better 15: three words are easy to keep";
    if (password.size() > kPasswordMost) return "a password has at most 128 bytes";
    const std::string plain = lower(password);
    if (std::find(kCommon.begin(), kCommon.end(), plain) != kCommon.end())
        return "this password is one of the first that anybody tries; take another";
    const bool named =
        plain == lower(staff) || plain == lower(site_name) ||
        std::all_of(plain.begin(), plain.end(), [&](char c) { return c == plain.front(); });
    return named ? "this password is guessed at once; take another" : "";
}

}  // namespace gatehouse::http
