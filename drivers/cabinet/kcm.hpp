// The registers of a KCM-1 board (keys-and-tickets.md 5.4) as values: its head, the records of its
// log, and what is written to it. It asks nothing. Pure, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "drivers/cabinet/profile.hpp"

namespace gatehouse::cabinet {

inline constexpr RegisterSpan kKcmHead{RegisterTable::input, 0x0000, 17};
inline constexpr int kKcmWindow = 0x0100, kKcmRecordWords = 16, kKcmRecordsMax = 7;
inline constexpr int kKcmAck = 0x0200, kKcmClock = 0x0210;

struct KcmHead {
    int slots = 0, doors = 0, features = 0;
    std::int64_t boot = 0;
    std::int64_t utc_s = 0;  // 0: never set
    int clock_quality = 0;   // 0 unset, 1 free, 2 synchronised
    std::int64_t oldest = 0, newest = 0, acked = 0;
    int lost = 0;
};
// A text: this is no board of that map, and why.
[[nodiscard]] std::variant<KcmHead, std::string> decode_kcm_head(
    std::span<const std::uint16_t> words);

// Nothing where the place in the window is empty: it has neither number nor type. A code that the
// profile does not know becomes a `vendor` event with its words, never nothing.
[[nodiscard]] std::optional<KeyEvent> decode_kcm_record(const CabinetProfile& profile,
                                                        const std::string& cabinet,
                                                        std::int64_t boot,
                                                        std::span<const std::uint16_t> words);

// The UID of a tag, of its four words, as records and the registers of slots have it; 0: none.
[[nodiscard]] std::string kcm_tag(std::span<const std::uint16_t> words);

// Boot, seq and the sum of their four words.
[[nodiscard]] std::vector<std::uint16_t> kcm_ack(std::int64_t boot, std::int64_t seq);
[[nodiscard]] std::vector<std::uint16_t> kcm_clock(UtcMs now);

}  // namespace gatehouse::cabinet
