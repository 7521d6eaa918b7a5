#include "daemon/core/key_event.hpp"

#include <array>
#include <charconv>
#include <utility>

namespace gatehouse {
namespace {

struct Word {
    KeyEventType type;
    const char* word;
};
constexpr std::array kWords{
    Word{KeyEventType::session_open, "session.open"},
    Word{KeyEventType::session_close, "session.close"},
    Word{KeyEventType::access_granted, "access.granted"},
    Word{KeyEventType::access_denied, "access.denied"},
    Word{KeyEventType::door_unlocked, "door.unlocked"},
    Word{KeyEventType::door_opened, "door.opened"},
    Word{KeyEventType::door_closed, "door.closed"},
    Word{KeyEventType::door_held, "door.held"},
    Word{KeyEventType::door_forced, "door.forced"},
    Word{KeyEventType::key_removed, "key.removed"},
    Word{KeyEventType::key_returned, "key.returned"},
    Word{KeyEventType::key_wrong_slot, "key.wrong_slot"},
    Word{KeyEventType::key_unknown_tag, "key.unknown_tag"},
    Word{KeyEventType::key_fault, "key.fault"},
    Word{KeyEventType::slot_fault, "slot.fault"},
    Word{KeyEventType::tamper, "tamper"},
    Word{KeyEventType::power, "power"},
    Word{KeyEventType::duress, "duress"},
    Word{KeyEventType::emergency_release, "emergency_release"},
    Word{KeyEventType::remote_release, "remote_release"},
    Word{KeyEventType::clock_set, "clock.set"},
    Word{KeyEventType::boot, "boot"},
    Word{KeyEventType::inventory, "inventory"},
    Word{KeyEventType::log_gap, "log.gap"},
    Word{KeyEventType::log_overwritten, "log.overwritten"},
    Word{KeyEventType::device_offline, "device.offline"},
    Word{KeyEventType::device_online, "device.online"},
    Word{KeyEventType::vendor, "vendor"},
    Word{KeyEventType::key_handed, "key.handed"},
    Word{KeyEventType::key_lost, "key.lost"},
    Word{KeyEventType::key_found, "key.found"},
    Word{KeyEventType::key_given, "key.given"},
    Word{KeyEventType::key_counted, "key.counted"},
    Word{KeyEventType::key_extended, "key.extended"},
    Word{KeyEventType::key_offered, "key.offered"},
    Word{KeyEventType::key_declined, "key.declined"},
    Word{KeyEventType::key_lapsed, "key.lapsed"},
    Word{KeyEventType::key_unsealed, "key.unsealed"},
    Word{KeyEventType::key_sealed, "key.sealed"},
};

std::optional<std::int64_t> number(std::string_view text) {
    std::int64_t value = 0;
    const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || at != text.data() + text.size() || value < 0) return std::nullopt;
    return value;
}

}  // namespace

const char* to_string(KeyEventType type) {
    for (const Word& one : kWords)
        if (one.type == type) return one.word;
    return "";
}

KeyEventType parse_key_event_type(std::string_view word) {
    for (const Word& one : kWords)
        if (one.word == word) return one.type;
    return KeyEventType::vendor;
}

bool is_alarm(KeyEventType type) {
    switch (type) {
        case KeyEventType::door_held:
        case KeyEventType::door_forced:
        case KeyEventType::key_wrong_slot:
        case KeyEventType::key_unknown_tag:
        case KeyEventType::key_fault:
        case KeyEventType::slot_fault:
        case KeyEventType::tamper:
        case KeyEventType::duress:
        case KeyEventType::emergency_release:
        case KeyEventType::remote_release:
            return true;
        default:
            return false;
    }
}

const char* to_string(KeyOrigin origin) {
    switch (origin) {
        case KeyOrigin::device:
            return "device";
        case KeyOrigin::derived:
            return "derived";
        case KeyOrigin::manual:
            return "manual";
    }
    return "";
}

std::string format(const KeyEventId& id) {
    return id.source + "/" + std::to_string(id.boot) + "/" + std::to_string(id.seq);
}

std::optional<KeyEventId> parse_key_event_id(std::string_view text) {
    const std::size_t last = text.rfind('/');
    if (last == std::string_view::npos || last == 0) return std::nullopt;
    const std::size_t first = text.rfind('/', last - 1);
    if (first == std::string_view::npos || first == 0) return std::nullopt;
    const auto boot = number(text.substr(first + 1, last - first - 1));
    const auto seq = number(text.substr(last + 1));
    if (!boot || !seq) return std::nullopt;
    return KeyEventId{std::string(text.substr(0, first)), *boot, *seq};
}

}  // namespace gatehouse
