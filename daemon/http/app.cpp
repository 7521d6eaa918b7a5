#include "daemon/http/app.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "daemon/core/assert.hpp"
#include "daemon/http/addresses.hpp"
#include "daemon/http/roles.hpp"

namespace gatehouse::http {

namespace {

constexpr MonoMs kNoteUseMs = 60'000;
constexpr std::size_t kTokenTextMax = 256;

struct Bearer {
    std::string id, secret;
};

// `Bearer gh_<id>_<secret>`; the id has no underscore.
bool parse_bearer(std::string_view header, Bearer& bearer) {
    constexpr std::string_view kScheme = "bearer ";
    if (header.size() < kScheme.size() || header.size() > kTokenTextMax) return false;
    const bool scheme =
        std::equal(kScheme.begin(), kScheme.end(), header.begin(),
                   [](char a, char b) { return a == b || (b >= 'A' && b <= 'Z' && a == b + 32); });
    if (!scheme) return false;
    std::string_view token = header.substr(kScheme.size());
    if (!token.starts_with("gh_")) return false;
    token.remove_prefix(3);
    const std::size_t separator = token.find('_');
    if (separator == std::string_view::npos || separator == 0) return false;
    bearer.id = token.substr(0, separator);
    bearer.secret = token.substr(separator + 1);
    return !bearer.secret.empty();
}

bool equal_in_constant_time(const std::string& a, const std::string& b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

std::string sha256_hex(std::string_view bytes) {
    static constexpr char kHex[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    const int done = EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), nullptr);
    GH_ASSERT(done == 1 && size == 32);
    std::string text;
    for (unsigned int i = 0; i < size; ++i) {
        text += kHex[digest[i] >> 4U];
        text += kHex[digest[i] & 0xFU];
    }
    return text;
}

ReaderPool::Lease::~Lease() {
    if (std::uncaught_exceptions() == exceptions_) pool_.give(std::move(reader_));
}

ReaderPool::Lease ReaderPool::take() {
    {
        const std::lock_guard lock(mutex_);
        if (!idle_.empty()) {
            auto reader = std::move(idle_.back());
            idle_.pop_back();
            return {*this, std::move(reader)};
        }
    }
    return {*this, std::make_unique<StoreReader>(path_)};
}

void ReaderPool::give(std::unique_ptr<StoreReader> reader) {
    reader->rest();
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(reader));
}

Authoriser::Verdict Authoriser::check(const Request& request, const std::string& scope,
                                      const Snapshot& snapshot, ReaderPool& readers) {
    const std::string& authorization = request.authorization;
    if (authorization.empty()) {
        return {401, "Send the header Authorization: Bearer gh_<id>_<secret>.", {}, {}};
    }
    Bearer bearer;
    if (!parse_bearer(authorization, bearer)) {
        return {
            401, "The header Authorization is not of the form Bearer gh_<id>_<secret>.", {}, {}};
    }
    const std::lock_guard lock(mutex_);
    if (!loaded_ || event_seq_ != snapshot.event_seq) {
        auto reader = readers.take();
        tokens_.clear();
        for (TokenRow& token : reader->tokens()) {
            std::string id = token.id;
            tokens_.emplace(std::move(id), std::move(token));
        }
        event_seq_ = snapshot.event_seq;
        loaded_ = true;
    }
    // An unknown id is compared as well, so that the time taken does not tell which ids exist.
    static const std::string kNoHash(64, '0');
    const auto found = tokens_.find(bearer.id);
    const std::string& expected = found == tokens_.end() ? kNoHash : found->second.secret_hash;
    const bool same = equal_in_constant_time(sha256_hex(bearer.secret), expected);
    if (!same || found == tokens_.end() || found->second.revoked_at) {
        return {401,
                "The token is unknown or revoked. `gatehousectl token list` shows which are.",
                {},
                {}};
    }
    const TokenRow& token = found->second;
    if (token.expires_at && *token.expires_at <= snapshot.now_ms) {
        return {401, "The token has expired. `gatehousectl token add` makes a new one.", {}, {}};
    }
    if (!token.addresses.empty() && !is_within(request.peer, token.addresses)) {
        return {403, "The token does not hold from " + request.peer + ".", token.id, "address"};
    }
    // Who may make a token of any scope has them all.
    const bool allowed =
        std::any_of(token.scopes.begin(), token.scopes.end(),
                    [&](const auto& one) { return one == scope || one == "admin"; });
    if (!allowed) {
        return {403, "The token lacks the scope " + scope + ".", token.id, {}};
    }
    return {200, {}, token.id, {}};
}

bool Authoriser::note_use(const std::string& id, MonoMs now) {
    const std::lock_guard lock(mutex_);
    const auto [at, fresh] = used_.try_emplace(id, now);
    if (!fresh && now - at->second < kNoteUseMs) return false;
    at->second = now;
    return true;
}

void SetupCode::draw(Random& random, MonoMs now) {
    static constexpr char kLetters[] = "abcdefghjkmnpqrstuvwxyz23456789";  // none that look alike
    std::string code;
    for (int i = 0; i < 12; ++i) {
        if (i > 0 && i % 4 == 0) code += '-';
        code += kLetters[random.next_u64() % (sizeof kLetters - 1)];
    }
    const std::lock_guard lock(mutex_);
    code_ = std::move(code);
    drawn_ = now;
}

std::string SetupCode::text() const {
    const std::lock_guard lock(mutex_);
    return code_;
}

bool SetupCode::matches(const std::string& code, MonoMs now) const {
    const std::lock_guard lock(mutex_);
    return !code_.empty() && now - drawn_ < kLivesMs && equal_in_constant_time(code, code_);
}

void SetupCode::end() {
    const std::lock_guard lock(mutex_);
    code_.clear();
}

Authoriser::Verdict check_person(App& app, const std::string& cookie, std::string_view scope,
                                 const Snapshot& snapshot, bool sign_of_life) {
    const auto id = app.sessions.use(cookie, app.clock.mono_ms(), sign_of_life);
    if (!id) return {401, "The session has ended. Log in with POST /api/v1/session.", {}, {}};
    const LocalDate today = app.zone.local(snapshot.now_ms).date;
    for (const Staff& staff : snapshot.registry->staff) {
        if (staff.staff != *id || (staff.active_to && today > *staff.active_to)) continue;
        if (may(staff.roles, scope)) return {200, {}, "staff:" + *id, {}};
        return {403, "Your roles do not include " + std::string(scope) + ".", "staff:" + *id, {}};
    }
    app.sessions.close_all(*id);
    return {401, "You are no longer one of the staff here.", {}, {}};
}

bool KeysInFlight::enter(const std::string& key) {
    const std::lock_guard lock(mutex_);
    return keys_.insert(key).second;
}

void KeysInFlight::leave(const std::string& key) {
    const std::lock_guard lock(mutex_);
    keys_.erase(key);
}

bool KeysInFlight::holds(const std::string& key) const {
    const std::lock_guard lock(mutex_);
    return keys_.contains(key);
}

}  // namespace gatehouse::http
