// Who is logged in, who failed to, and what one person agreed to for another: in memory alone, so a
// restart logs everybody out. Secrets are kept as hashes. Any thread.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "daemon/core/time.hpp"

namespace gatehouse::http {

inline constexpr std::int64_t kSessionIdleMs = 30 * 60'000, kSessionMs = 12 * 3'600'000;
inline constexpr std::size_t kSessionsMax = 500, kSessionsAPerson = 10;
inline constexpr std::int64_t kApprovalMs = 120'000, kApprovalAskedAgainMs = 12 * 3'600'000;
inline constexpr const char* kSessionCookie = "__Host-gatehouse";

class Sessions {
  public:
    explicit Sessions(Random& random) : random_(random) {}

    // The secret of a new session; a person's oldest one gives way where there are too many.
    [[nodiscard]] std::string open(const std::string& staff, MonoMs now);
    // Whose session it is; what was idle or lived for too long is gone.
    [[nodiscard]] std::optional<std::string> use(const std::string& secret, MonoMs now,
                                                 bool sign_of_life = true);
    void close(const std::string& secret);
    void close_all(const std::string& staff);

    // Eight digits that the second person says to the first, who sends them with the act: once, and
    // within two minutes.
    [[nodiscard]] std::string approve(const std::string& staff, MonoMs now);
    // Who agreed. The code belongs to that request from then on, so that asking again for the same
    // one is answered as before; `request` empty: it is gone.
    [[nodiscard]] std::optional<std::string> take_approval(const std::string& code,
                                                           const std::string& request, MonoMs now);

  private:
    struct One {
        std::string staff;
        MonoMs opened = 0, used = 0;
        std::string request = {};  // that an approval belongs to; empty: none yet
    };
    static bool is_over(const One& one, MonoMs now) {
        return now - one.opened >= kSessionMs || now - one.used >= kSessionIdleMs;
    }
    void make_room(const std::string& staff, MonoMs now);

    Random& random_;
    std::mutex mutex_;
    std::map<std::string, One> sessions_;   // by hash of the secret
    std::map<std::string, One> approvals_;  // by code
};

// Failures in a row, by whom and from where: after some of them each costs a growing wait, and
// nobody is ever locked out for good.
class Attempts {
  public:
    static constexpr int kFree = 3;
    static constexpr std::int64_t kWaitMaxMs = 300'000, kForgetMs = 3'600'000;
    static constexpr std::size_t kKeysMax = 10'000;
    // How long the next one has to wait; 0: it may go on, and counts as failed until it succeeded,
    // so that many at once do not pass together.
    [[nodiscard]] std::int64_t begin(const std::string& key, MonoMs now);
    void succeeded(const std::string& key);

  private:
    struct One {
        int failures = 0;
        MonoMs last = 0, next = 0;
    };
    std::mutex mutex_;
    std::map<std::string, One> keys_;
};

// So many requests in a moment and so many a second after that, by who asks.
class RateLimit {
  public:
    RateLimit(double a_second, double burst) : a_second_(a_second), burst_(burst) {}
    // 0: go on; else the milliseconds until the next one may.
    [[nodiscard]] std::int64_t take(const std::string& who, MonoMs now);

  private:
    static constexpr std::size_t kKeysMax = 10'000;
    struct One {
        double left = 0;
        MonoMs at = 0;
    };
    double a_second_, burst_;
    std::mutex mutex_;
    std::map<std::string, One> known_;
};

}  // namespace gatehouse::http
