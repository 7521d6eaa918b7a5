#include "daemon/http/sessions.hpp"

#include <algorithm>
#include <array>

#include "daemon/http/app.hpp"

namespace gatehouse::http {

namespace {

std::string random_hex(Random& random) {
    std::array<unsigned char, 32> bytes{};
    random.fill(bytes.data(), bytes.size());
    static constexpr char kHex[] = "0123456789abcdef";
    std::string text;
    for (const unsigned char byte : bytes) {
        text += kHex[byte >> 4U];
        text += kHex[byte & 0xFU];
    }
    return text;
}

}  // namespace

void Sessions::make_room(const std::string& staff, MonoMs now) {
    std::erase_if(sessions_, [&](const auto& one) { return is_over(one.second, now); });
    const auto oldest = [&](auto wanted) {
        auto found = sessions_.end();
        for (auto one = sessions_.begin(); one != sessions_.end(); ++one)
            if (wanted(one->second) &&
                (found == sessions_.end() || one->second.used < found->second.used))
                found = one;
        return found;
    };
    const auto own = [&](const One& one) { return one.staff == staff; };
    const auto count = std::count_if(sessions_.begin(), sessions_.end(),
                                     [&](const auto& one) { return own(one.second); });
    if (static_cast<std::size_t>(count) >= kSessionsAPerson) sessions_.erase(oldest(own));
    if (sessions_.size() >= kSessionsMax) sessions_.erase(oldest([](const One&) { return true; }));
}

std::string Sessions::open(const std::string& staff, MonoMs now) {
    std::string secret = random_hex(random_);
    const std::lock_guard lock(mutex_);
    make_room(staff, now);
    sessions_[sha256_hex(secret)] = {staff, now, now, {}};
    return secret;
}

std::optional<std::string> Sessions::use(const std::string& secret, MonoMs now, bool sign_of_life) {
    const std::string hash = sha256_hex(secret);
    const std::lock_guard lock(mutex_);
    const auto found = sessions_.find(hash);
    if (found == sessions_.end()) return std::nullopt;
    if (is_over(found->second, now)) {
        sessions_.erase(found);
        return std::nullopt;
    }
    if (sign_of_life) found->second.used = now;
    return found->second.staff;
}

void Sessions::close(const std::string& secret) {
    const std::string hash = sha256_hex(secret);
    const std::lock_guard lock(mutex_);
    sessions_.erase(hash);
}

void Sessions::close_all(const std::string& staff) {
    const std::lock_guard lock(mutex_);
    std::erase_if(sessions_, [&](const auto& one) { return one.second.staff == staff; });
    std::erase_if(approvals_, [&](const auto& one) { return one.second.staff == staff; });
}

std::string Sessions::approve(const std::string& staff, MonoMs now) {
    const std::lock_guard lock(mutex_);
    std::erase_if(approvals_, [&](const auto& one) {
        const std::int64_t age_ms = now - one.second.opened;
        return one.second.request.empty() ? age_ms >= kApprovalMs || one.second.staff == staff
                                          : age_ms >= kApprovalAskedAgainMs;
    });
    std::string code;
    do {
        code = std::to_string(10'000'000 + random_.next_u64() % 90'000'000);
    } while (approvals_.contains(code));
    approvals_[code] = {staff, now, now, {}};
    return code;
}

std::optional<std::string> Sessions::take_approval(const std::string& code,
                                                   const std::string& request, MonoMs now) {
    const std::lock_guard lock(mutex_);
    const auto found = approvals_.find(code);
    if (found == approvals_.end()) return std::nullopt;
    One& one = found->second;
    const std::int64_t age_ms = now - one.opened;
    if (!one.request.empty())
        return one.request == request && age_ms < kApprovalAskedAgainMs ? std::optional(one.staff)
                                                                        : std::nullopt;
    const std::optional<std::string> staff =
        age_ms < kApprovalMs ? std::optional(one.staff) : std::nullopt;
    if (!staff || request.empty())
        approvals_.erase(found);
    else
        one.request = request;
    return staff;
}

std::int64_t Attempts::begin(const std::string& key, MonoMs now) {
    const std::lock_guard lock(mutex_);
    if (keys_.size() >= kKeysMax)
        std::erase_if(keys_, [&](const auto& one) { return one.second.next <= now; });
    One& one = keys_[key];
    if (now - one.last >= kForgetMs) one = {};
    if (now < one.next) return one.next - now;
    one.last = now;
    if (++one.failures > kFree) {
        const int doublings = std::min(one.failures - kFree - 1, 20);
        one.next = now + std::min(kWaitMaxMs, std::int64_t{1'000} << doublings);
    }
    return 0;
}

void Attempts::succeeded(const std::string& key) {
    const std::lock_guard lock(mutex_);
    keys_.erase(key);
}

std::int64_t RateLimit::take(const std::string& who, MonoMs now) {
    if (a_second_ <= 0) return 0;
    const std::lock_guard lock(mutex_);
    // Whoever was silent for long enough has all again and need not be remembered.
    if (known_.size() >= kKeysMax)
        std::erase_if(known_, [&](const auto& one) {
            return static_cast<double>(now - one.second.at) * a_second_ >= burst_ * 1'000;
        });
    const auto [found, fresh] = known_.try_emplace(who, One{burst_, now});
    One& one = found->second;
    one.left = std::min(burst_, one.left + static_cast<double>(now - one.at) * a_second_ / 1'000);
    one.at = now;
    if (one.left >= 1) {
        one.left -= 1;
        return 0;
    }
    return static_cast<std::int64_t>((1 - one.left) * 1'000 / a_second_) + 1;
}

}  // namespace gatehouse::http
