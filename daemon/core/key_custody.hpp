// Who has which key: a fold over the events of all cabinets and the desk in one order that does not
// depend on when they arrived. State changes by events alone, and nobody is named where two could
// have been it (keys-and-tickets.md 5.2, 5.3): staff are fined from this book. It links no ticket
// and raises no alert (key_watch.hpp). Pure, any thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "daemon/core/key_event.hpp"
#include "daemon/core/registry.hpp"

namespace gatehouse {

// A session ends so long after the door closed, or without a slot that changed, or at the next
// grant while the door is shut (5.3).
inline constexpr std::int64_t kSessionAfterDoorMs = 2'000, kSessionIdleMs = 120'000;
// A door that opens so long after the last grant, unlocking or release was forced (5.8).
inline constexpr std::int64_t kForcedAfterMs = 10'000;
// Events this old are no longer put in their place: what they would change has been acted on.
inline constexpr std::int64_t kCustodyWindowMs = 72 * 3'600'000LL;

// What the box itself saw of a cabinet with a log of its own is no row of that log: its source is
// the cabinet's name and "/box", with seqs of its own. Of any source, later numberings included
// (key_numbering.hpp), the cabinet.
inline constexpr const char* kBoxSuffix = "/box";
[[nodiscard]] std::string cabinet_of(const std::string& source);
// A badge reader beside a cabinet that knows nobody: its source is the cabinet's name and
// "/reader", with boots and seqs of its own. It sees doors and people, and no key.
inline constexpr const char* kReaderSuffix = "/reader";
[[nodiscard]] bool is_reader(std::string_view source);

// The registry's keys as events find them. Pointers into the registry, which outlives it.
struct KeyIndex {
    // Whether the office is shut at that moment, by the cabinets' calendar; absent: it never is.
    std::function<bool(UtcMs)> off_hours;
    // Whether that person was still here at that moment; absent: everybody was.
    std::function<bool(const std::string&, UtcMs)> is_active;
    std::map<std::string, const Key*> by_id, by_tag;
    std::map<std::pair<std::string, int>, const Key*> by_slot;
};
[[nodiscard]] std::string tag_name(std::string tag);  // as by_tag has it
[[nodiscard]] KeyIndex index_keys(const std::vector<Key>& keys);

// `second`: who confirmed it; empty: one person alone wrote it down.
struct KeyHandOver {
    std::string from, to, by;
    UtcMs at = 0;
    std::string second;
    friend bool operator==(const KeyHandOver&, const KeyHandOver&) = default;
};
// A hand-over that one of the two began (`by`: `from` or `to`) and the other has not confirmed yet.
// Until then, and where nobody does in ten minutes, the key is `from`'s (5.9).
inline constexpr std::int64_t kOfferMs = 600'000;
struct KeyOffer {
    std::string from, to, by;
    UtcMs at = 0;
    friend bool operator==(const KeyOffer&, const KeyOffer&) = default;
};
[[nodiscard]] bool is_over(const KeyOffer& offer, UtcMs now);
// One time that a key was out: from its removal on, until it came back.
struct KeyLoan {
    KeyEventId id;  // of the removal
    std::string key;
    std::string holder;                   // empty: nobody is named
    std::vector<std::string> candidates;  // who it could have been, where several
    std::string second;                   // who was there as well
    KeyOrigin origin = KeyOrigin::device;
    std::string ticket, reason;  // as named with the removal
    std::string issued_by;       // who wrote it down
    UtcMs out_at = 0;
    std::optional<UtcMs> in_at;
    std::optional<UtcMs> lost_at;  // it ended so, and nothing came back
    std::string returned_by, received_by;
    // How it ended: by an event, or it was only found that the key is there again.
    std::optional<KeyOrigin> return_origin;
    std::vector<KeyHandOver> handed;
    std::optional<UtcMs> return_by;       // as promised when it was taken
    std::optional<UtcMs> extended_until;  // a lead's word, instead of all that makes it due
    std::optional<KeyOffer> offered;
    friend bool operator==(const KeyLoan&, const KeyLoan&) = default;
};

// One of the two begins the hand-over of a loan: its holder names the other one (`to`), or who
// takes it over names nobody and is the other one. Or the one who has not spoken yet confirms it,
// or either takes it back.
enum class OfferStep { offer, confirm, decline };
struct OfferRefusal {
    std::string pointer, type, text;  // type: "invalid", "key-offered", "no-offer", "no-holder"
};
[[nodiscard]] std::variant<KeyOffer, OfferRefusal> step_offer(const KeyLoan& loan, OfferStep step,
                                                              const std::string& by,
                                                              const std::string& to, UtcMs now);

enum class KeyPlace { in, out, given, lost, unknown };
[[nodiscard]] const char* to_string(KeyPlace place);
[[nodiscard]] std::optional<KeyPlace> parse_key_place(std::string_view word);
// A seal as it was last written down: by whom it was opened or put on. `listed`: what keys.csv had
// then; another number there is another seal.
struct KeySeal {
    std::string number, listed;
    bool broken = false;
    std::string person, second;
    UtcMs at = 0;  // 0: as keys.csv has it
    friend bool operator==(const KeySeal&, const KeySeal&) = default;
};
struct KeyState {
    KeyPlace place = KeyPlace::in;
    std::string cabinet;      // where it hangs; empty: at home
    std::optional<int> slot;  // likewise
    std::optional<KeyLoan> loan;
    UtcMs since = 0;
    std::optional<KeySeal> seal;  // absent: nobody wrote anything down of it
    friend bool operator==(const KeyState&, const KeyState&) = default;
};

// The seal that a key has or had; nothing: it is not kept sealed.
[[nodiscard]] std::optional<KeySeal> seal_of(const Key& key, const KeyState& state);
// Whether its class asks for a second person who is there.
[[nodiscard]] bool takes_two_to_seal(const Key& key);
enum class SealStep { open, renew };
struct SealRefusal {
    std::string pointer, type, text;  // "no-seal", "seal-broken", "sealed", "key-gone", "invalid"
};
inline constexpr std::size_t kSealNumberMax = 64;
// Why the seal of a key cannot be opened, or a new one of that number be put on; nothing: it can.
[[nodiscard]] std::optional<SealRefusal> judge_seal(const Key& key, const KeyState& state,
                                                    SealStep step, const std::string& number);

struct KeySession {
    std::string person, card;
    UtcMs opened_at = 0, changed_at = 0;
    std::optional<UtcMs> closed_at;  // the door was shut
    std::optional<int> door;         // that it is of; absent: it may be of any
    friend bool operator==(const KeySession&, const KeySession&) = default;
};
struct SourceState {
    std::int64_t boot = 0, seq = 0;  // newest folded
    bool begun = false;
    std::optional<UtcMs> offline_since;
    friend bool operator==(const SourceState&, const SourceState&) = default;
};
// What hangs in a slot that is another key's, or no key's of the registry (by its tag).
struct SlotGuest {
    int slot = 0;
    std::string key, tag;
    friend bool operator==(const SlotGuest&, const SlotGuest&) = default;
};
// Of a cabinet, whichever of its sources told it: a reader, a module of contacts, any numbering.
struct CabinetState {
    std::vector<KeySession> sessions;
    std::set<int> open_doors;
    std::optional<UtcMs> door_open_since;       // the first of them
    std::optional<UtcMs> authorised_at;         // grant, unlocking, release
    std::vector<UtcMs> unknown_cards, denials;  // of the newest minutes
    std::vector<SlotGuest> guests;
    friend bool operator==(const CabinetState&, const CabinetState&) = default;
};

// What somebody may have to hear of once, found while folding. `over_at`: it ended by itself.
enum class KeyFactKind {
    ambiguous_holder,
    key_moved_no_auth,
    slot_state_jump,
    wrong_slot,
    unknown_tag,
    returned_by_other,
    second_missing,
    cabinet_forced,
    door_held,
    unknown_card,
    credential_attack,
    duress,
    tamper,
    log_gap,
    log_overwritten,
    stock_mismatch,
    log_restarted,  // it counts anew: another board, or one without memory
    after_hours_access,
    unit_entered_twice,  // found among loans of a week, and not while folding
};
[[nodiscard]] const char* to_string(KeyFactKind kind);  // the code of 5.8 in lower case
struct KeyFact {
    KeyFactKind kind = KeyFactKind::key_moved_no_auth;
    KeyEventId event;
    std::string subject;  // key or cabinet
    std::string cabinet, key, person;
    std::vector<std::string> candidates;
    std::int64_t from = 0, through = 0;  // log_gap, log_overwritten
    UtcMs at = 0;
    std::optional<UtcMs> over_at;
};

struct Custody {
    std::map<std::string, KeyState> keys;
    std::map<std::string, SourceState> sources;
    std::map<std::string, CabinetState> cabinets;
    friend bool operator==(const Custody&, const Custody&) = default;
};
// Who moved what, by one event.
struct KeyMoved {
    KeyEventId event;
    std::string key, person;
    KeyOrigin origin = KeyOrigin::device;
    KeyEventId loan;  // that began or ended by it; no source: none did
};
// A key that an inventory found elsewhere than was known: nobody saw it move.
struct KeyJump {
    KeyEventId event;  // the inventory
    std::string key, cabinet;
    std::optional<int> slot;
    bool out = false;
    KeyEventId loan;  // that began or ended by it
    friend bool operator==(const KeyJump&, const KeyJump&) = default;
};
// What a fold found on its way.
struct CustodyFindings {
    std::vector<KeyJump> jumps;
    std::vector<KeyMoved> moved;
    std::vector<KeyLoan> ended;        // in order of return
    std::vector<KeyFact> facts;        // in order of the fold
    std::vector<std::size_t> lasting;  // of them, those that end by something and have not yet
    // When what lasts was seen to end last, by kind and subject: what began before the fold looks
    // ends by that as well.
    std::map<std::pair<KeyFactKind, std::string>, UtcMs> ends;
};
void apply(Custody& custody, const KeyEvent& event, const KeyIndex& index,
           CustodyFindings& findings);

// Sets the events into the one order: each source by (boot, seq), the sources merged by time, where
// no event stands before one of its own source.
void sort_events(std::vector<KeyEvent>& events);
void sort_events(std::vector<std::unique_ptr<KeyEvent>>& events);

// Seqs that are missing between the newest folded one of a source and `next`: within a boot every
// hole; of a new boot those before its first, where it goes on counting. Nothing: none is missing.
struct SeqGap {
    std::int64_t from = 0, through = 0;
    friend auto operator<=>(const SeqGap&, const SeqGap&) = default;
};
[[nodiscard]] std::optional<SeqGap> gap_before(const SourceState& source, const KeyEventId& next);

}  // namespace gatehouse
