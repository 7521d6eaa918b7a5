// Passwords: argon2id by libsodium, one hash at a time on a thread of its own, so that ten people
// who log in at once do not take ten times the memory. What a hash costs is measured once and never
// falls below the published floor (OWASP: 19 MiB, two passes). Public calls from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace gatehouse::http {

struct HashCost {
    std::size_t memory_bytes = 64UL * 1024 * 1024;
    std::int64_t target_ms = 250;  // passes are added until one hash takes so long
    std::size_t waiting_max = 16;  // more are told to come again
};

class Hasher {
  public:
    explicit Hasher(HashCost cost);
    ~Hasher();  // what waits is dropped
    Hasher(const Hasher&) = delete;
    Hasher& operator=(const Hasher&) = delete;

    // Called on the hashing thread. `stale`: the hash was made at a lower cost than today's.
    using Verified = std::function<void(bool same, bool stale)>;
    using Made = std::function<void(std::string hash)>;
    // False: too many wait, and nothing is called. An empty hash is compared all the same and never
    // the same, so that the time taken does not tell who has a password.
    [[nodiscard]] bool verify(std::string hash, std::string password, Verified done);
    [[nodiscard]] bool make(std::string password, Made done);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// Why a password is not taken; empty: it is. Length and the most common ones, no rules of letters.
[[nodiscard]] std::string password_fault(const std::string& password, const std::string& staff,
                                         const std::string& site_name);

}  // namespace gatehouse::http
