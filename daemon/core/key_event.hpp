// What a key cabinet, or a person at the desk, says happened: the event model of
// keys-and-tickets.md 5.1, free of any maker. It attributes nothing (key_custody.hpp). Values only,
// any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/boxed.hpp"
#include "daemon/core/time.hpp"

namespace gatehouse {

// An event is the same one wherever and however often it arrives: (source, boot, seq). The order of
// a source is that of boot and seq, never that of time.
struct KeyEventId {
    std::string source;
    std::int64_t boot = 0, seq = 0;
    friend auto operator<=>(const KeyEventId&, const KeyEventId&) = default;
};
[[nodiscard]] std::string format(const KeyEventId& id);  // kc-01/7/18231
[[nodiscard]] std::optional<KeyEventId> parse_key_event_id(std::string_view text);

// Keys that are kept without an electronic slot are written down under this source.
inline constexpr const char* kDeskSource = "desk";

// Detail of key_counted whose `present` holds how many pieces hung there.
inline constexpr const char* kCountedPieces = "pieces";

enum class KeyEventType {
    session_open,
    session_close,
    access_granted,
    access_denied,  // detail: unknown_card, wrong_pin, lockout, expired, outside_window, ...
    door_unlocked,
    door_opened,
    door_closed,
    door_held,    // begins or ends
    door_forced,  // the same
    key_removed,
    key_returned,
    key_wrong_slot,
    key_unknown_tag,
    key_fault,
    slot_fault,
    tamper,  // begins or ends
    power,   // detail: lost, restored, battery_low
    duress,
    emergency_release,
    remote_release,
    clock_set,
    boot,
    inventory,
    log_gap,
    log_overwritten,
    device_offline,
    device_online,
    vendor,  // a word that nobody here knows: kept raw, never dropped
    // Written down by people alone.
    key_handed,  // from its holder to `to`
    key_lost,
    key_found,
    key_given,    // to the owner, for good
    key_counted,  // a stock-take: `present` says whether it was there
    key_extended,
    // A hand-over that both say: one of the two begins it, the other confirms it (key_handed),
    // either takes it back, or time does.
    key_offered,
    key_declined,
    key_lapsed,
    // Of a key that is kept sealed: its seal was opened, a new one was put on.
    key_unsealed,
    key_sealed,
};
// The words of 5.1, "key.removed"; what stands behind a dot too many is the detail: a cabinet may
// write "access.denied" with its detail apart or "access.denied.unknown_card".
[[nodiscard]] const char* to_string(KeyEventType type);
[[nodiscard]] KeyEventType parse_key_event_type(std::string_view word);  // vendor: not known
// Those that begin and end by events of one name (5.5): an end begins nothing.
[[nodiscard]] bool is_alarm(KeyEventType type);

// How honest an attribution is: the cabinet knew, the box concluded, or somebody wrote it down.
enum class KeyOrigin { device, derived, manual };
[[nodiscard]] const char* to_string(KeyOrigin origin);

struct SlotTag {
    int slot = 0;
    std::string tag;
    friend bool operator==(const SlotTag&, const SlotTag&) = default;
};

// Of a seal that was opened or put on: its number, and what keys.csv had when that was written
// down.
struct SealWritten {
    std::string number, listed;
};

// What the books said of a key as it was counted: where it is ("in"), who has it, and of how many
// pieces it is.
struct KeyExpected {
    std::string place, holder;
    int pieces = 1;
};

struct KeyEvent {
    KeyEventId id;
    KeyEventType type = KeyEventType::vendor;
    std::string word, detail;  // as the device said it; why, where the type has a reason
    bool begins = true;        // of what lasts: false where it ends
    std::optional<int> slot, door;
    std::optional<int> home;  // key_wrong_slot: where in that cabinet what hangs there belongs
    std::string tag;          // nothing on cabinets of contacts
    std::string key;          // written down by people; cabinets name slot or tag
    std::string card;         // "hmac256:..."; a card's number never comes so far
    std::string person;       // who, where the cabinet or a person knew it
    // It says itself how it was opened, and that was nobody known here: no session speaks for it.
    bool stranger = false;
    std::string second;          // the other one
    std::string to;              // key_handed, key_offered
    std::string by;              // who wrote it down
    std::string ticket;          // named at the cabinet
    std::string reason;          // likewise
    std::string session;         // of the device
    std::optional<UtcMs> until;  // key_extended; key_removed: when it is promised back
    KeyOrigin origin = KeyOrigin::device;
    std::vector<int> present;            // inventory: slots with a key; key_counted: {1} or {}
    Boxed<SealWritten> seal;             // key_unsealed, key_sealed
    Boxed<KeyExpected> expected;         // key_counted
    std::optional<int> covers;           // inventory: it speaks of slots 1 to this; absent: of all
    std::vector<SlotTag> tags;           // inventory: what hangs there, where that can be read
    std::int64_t from = 0, through = 0;  // log_gap, log_overwritten: the seqs that are gone
    UtcMs at = 0;                        // the device's clock, corrected where it was wrong
    std::optional<UtcMs> device_at;      // as the device said it, where that differs
    UtcMs received_at = 0;
    bool clocked = false;   // the device's clock was believed, and said the moment of the receipt
    std::string extra;      // what else the device said, as JSON, cut short
    std::uint64_t row = 0;  // of the event log; 0: not written yet
};

// What one push of a cabinet holds, however it came. What could not be read is told by its place
// in the push and kept as `vendor` where it has a number of its own.
struct KeyPush {
    std::string source;
    std::int64_t boot = 0;
    std::vector<KeyEvent> events;
    struct Bad {
        std::size_t index = 0;
        std::string code;  // slot_range, ts, seq, src_mismatch, type
    };
    std::vector<Bad> bad;
    std::optional<UtcMs> device_now;  // the cabinet's clock as it sent this
    // Of a cabinet that is asked: its newest seq of that boot, read with this. It counts so now.
    std::optional<std::int64_t> newest;
    std::string serial;  // of the cabinet's electronics, where it says so
};

// A cabinet that is asked: whether it answers, and how far its clock is from ours.
struct CabinetSeen {
    std::string cabinet;
    bool online = false;
    std::int64_t skew_ms = 0;
    std::string reason;  // why it does not answer
};

}  // namespace gatehouse
