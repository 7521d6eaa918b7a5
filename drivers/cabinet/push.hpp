// What a cabinet pushes, over HTTP or MQTT, from its JSON into events: the shape of
// keys-and-tickets.md 5.1 and 5.6. It judges no person and no time, and keeps what it cannot read
// as `vendor`. Pure, any thread.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "daemon/core/key_event.hpp"

namespace gatehouse::cabinet {

inline constexpr std::size_t kPushBytesMax = 64 * 1024, kPushDepthMax = 8;
inline constexpr std::size_t kPushEventsMax = 256;

// Why nothing of a push could be taken; nothing was.
struct PushRefusal {
    std::string code;  // too-large, malformed, no-events, src-mismatch, too-many
    std::string text;
};
// Who may push for a cabinet: itself and its badge reader ("<cabinet>/reader"); one that is asked
// over its bus says nothing by itself, so that whatever is pushed under its name is the reader's.
enum class PushFrom { cabinet, reader_alone };
// One event, an array of events, or {"src","boot","events":[...]}. `cabinet` is whose topic or
// route it came by; what names another source, or two, is refused whole.
[[nodiscard]] std::variant<KeyPush, PushRefusal> decode_push(std::string_view body,
                                                             const std::string& cabinet,
                                                             const Zone& zone,
                                                             PushFrom from = PushFrom::cabinet);

}  // namespace gatehouse::cabinet
