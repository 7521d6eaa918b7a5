#include "drivers/cabinet/kcm.hpp"

#include <array>
#include <cstdio>

namespace gatehouse::cabinet {
namespace {

constexpr std::uint16_t kMagic = 0x4B43;  // "KC"
constexpr int kMapVersion = 1;
constexpr std::uint16_t kEnds = 0x0080;  // in the result: what lasted ends here
constexpr std::array<const char*, 7> kCredentials{"",     "card",   "pin", "finger",
                                                  "face", "remote", "mech"};

constexpr int kRemote = 5, kMechanical = 6;

std::int64_t long_at(std::span<const std::uint16_t> words, std::size_t at) {
    return (std::int64_t{words[at]} << 16) | words[at + 1];
}

std::uint64_t quad_at(std::span<const std::uint16_t> words, std::size_t at) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) value = (value << 16U) | words[at + i];
    return value;
}

std::string hex(std::uint64_t value, int digits) {
    std::array<char, 20> text{};
    (void)std::snprintf(text.data(), text.size(), "%0*llX", digits,
                        static_cast<unsigned long long>(value));
    return text.data();
}

std::string raw_text(std::span<const std::uint16_t> words) {
    std::string text;
    for (const std::uint16_t word : words) text += (text.empty() ? "" : " ") + hex(word, 4);
    return text;
}

// Format and bits, never a decimal alone: two formats print the same number for different cards.
// The first byte is the number of bits; other credentials are numbers of the board's own users.
std::string credential(int kind, std::uint64_t value) {
    if (value == 0 || kind <= 0 || kind >= static_cast<int>(kCredentials.size())) return "";
    if (kind != 1)
        return std::string(kCredentials[static_cast<std::size_t>(kind)]) + ":" +
               std::to_string(value);
    const auto bits = static_cast<int>(value >> 56U);
    const std::uint64_t body = value & 0x00FF'FFFF'FFFF'FFFFULL;
    if (bits == 0) return "raw:" + hex(body, 14);
    return "w" + std::to_string(bits) + ":" + hex(body, (bits + 3) / 4);
}

}  // namespace

std::variant<KcmHead, std::string> decode_kcm_head(std::span<const std::uint16_t> words) {
    if (words.size() < static_cast<std::size_t>(kKcmHead.count)) return "its head is too short";
    if (words[0] != kMagic)
        return "no KCM board answers there: register 0 holds " + hex(words[0], 4) +
               " instead of 4B43";
    if (words[1] != kMapVersion)
        return "the board has version " + std::to_string(words[1]) +
               " of the map; version 1 is known";
    KcmHead head;
    head.slots = words[2];
    head.doors = words[3];
    head.features = words[4];
    head.boot = long_at(words, 5);
    head.utc_s = long_at(words, 7);
    head.clock_quality = words[9];
    head.oldest = long_at(words, 10);
    head.newest = long_at(words, 12);
    head.acked = long_at(words, 14);
    head.lost = words[16];
    return head;
}

std::optional<KeyEvent> decode_kcm_record(const CabinetProfile& profile, const std::string& cabinet,
                                          std::int64_t boot, std::span<const std::uint16_t> words) {
    const std::int64_t seq = long_at(words, 0);
    if (seq == 0 && words[5] == 0) return std::nullopt;
    KeyEvent event;
    event.id = {cabinet, boot, seq};
    const std::int64_t utc_s = long_at(words, 2);
    if (utc_s != 0) event.at = utc_s * 1'000 + words[4] % 1'000;
    const auto known = profile.types.find(words[5]);
    if (known == profile.types.end()) {
        event.word = "kcm:" + hex(words[5], 4);
        event.reason = raw_text(words.first(kKcmRecordWords));
        return event;
    }
    event.type = known->second.type;
    event.word = to_string(event.type);
    if (words[6] != 0) (known->second.of_door ? event.door : event.slot) = words[6];
    const int kind = words[7] >> 8U;
    event.begins = (words[7] & kEnds) == 0;
    const int result = words[7] & 0x7F;
    if (result != 0) {
        const auto names = profile.words.find(event.type);
        event.detail = "code-" + std::to_string(result);
        if (names != profile.words.end() && names->second.contains(result))
            event.detail = names->second.at(result);
    }
    event.stranger = kind == kRemote || kind == kMechanical;
    event.card = credential(kind, quad_at(words, 8));
    event.tag = kcm_tag(words.subspan(12));
    return event;
}

std::string kcm_tag(std::span<const std::uint16_t> words) {
    const std::uint64_t tag = quad_at(words, 0);
    return tag == 0 ? "" : hex(tag, 16);
}

std::vector<std::uint16_t> kcm_ack(std::int64_t boot, std::int64_t seq) {
    const auto word = [](std::int64_t value) { return static_cast<std::uint16_t>(value & 0xFFFF); };
    std::vector<std::uint16_t> words{word(boot >> 16), word(boot), word(seq >> 16), word(seq)};
    words.push_back(word(std::int64_t{words[0]} + words[1] + words[2] + words[3]));
    return words;
}

std::vector<std::uint16_t> kcm_clock(UtcMs now) {
    const std::int64_t utc_s = now / 1'000;
    return {static_cast<std::uint16_t>((utc_s >> 16) & 0xFFFF),
            static_cast<std::uint16_t>(utc_s & 0xFFFF), static_cast<std::uint16_t>(now % 1'000)};
}

}  // namespace gatehouse::cabinet
