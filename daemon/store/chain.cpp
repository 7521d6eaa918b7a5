#include "daemon/store/chain.hpp"

#include <sodium.h>

#include "daemon/core/assert.hpp"

namespace gatehouse::store {
namespace {

void append_number(std::string& text, std::uint64_t value) {
    for (int shift = 56; shift >= 0; shift -= 8) {
        text.push_back(static_cast<char>((value >> shift) & 0xff));
    }
}

}  // namespace

std::string sha256(std::string_view bytes) {
    static_assert(crypto_hash_sha256_BYTES == kHashSize);
    std::string hash(kHashSize, '\0');
    crypto_hash_sha256(reinterpret_cast<unsigned char*>(hash.data()),
                       reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    return hash;
}

std::string hex(std::string_view bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const char byte : bytes) {
        text.push_back(kDigits[(static_cast<unsigned char>(byte) >> 4) & 0xf]);
        text.push_back(kDigits[static_cast<unsigned char>(byte) & 0xf]);
    }
    return text;
}

std::string unhex(std::string_view text) {
    const auto nibble = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
    GH_ASSERT(text.size() % 2 == 0);
    std::string bytes;
    for (std::size_t i = 0; i < text.size(); i += 2)
        bytes += static_cast<char>(nibble(text[i]) * 16 + nibble(text[i + 1]));
    return bytes;
}

std::string first_link() {
    return std::string(kHashSize, '\0');
}

std::string event_document(std::string_view subject, std::string_view body) {
    std::string text = R"({"subject":)";
    text += subject;
    text += R"(,"body":)";
    text += body;
    text += '}';
    return text;
}

std::string commitment(std::string_view salt, std::string_view document) {
    std::string bytes(salt);
    bytes += document;
    return sha256(bytes);
}

std::string event_link(std::string_view previous, std::uint64_t seq, std::string_view kind,
                       std::int64_t run, MonoMs mono_ms, std::string_view c) {
    std::string bytes(previous);
    append_number(bytes, seq);
    append_number(bytes, kind.size());
    bytes += kind;
    append_number(bytes, static_cast<std::uint64_t>(run));
    append_number(bytes, static_cast<std::uint64_t>(mono_ms));
    bytes += c;
    return sha256(bytes);
}

std::string entry_link(std::string_view previous, std::string_view canonical) {
    std::string bytes(previous);
    bytes += canonical;
    return sha256(bytes);
}

}  // namespace gatehouse::store
