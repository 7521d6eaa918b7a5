// From a sample to a confirmed reading (DESIGN.md 4): one pure machine a meter. It moves no money
// and stores nothing; it says what may be booked. Values only, any thread.
//
// Why no wrong value is confirmed, as long as never two samples running are wrong. A value is
// confirmed only by the sample that came directly after it, and only if that one is not lower.
// Nothing is skipped between the two: any sample that was held, of whatever kind, parts its
// neighbours. So of the two at least one is true.
//   - The first is true: then it is what the register held.
//   - The second is true: the first is not higher, so the register holds at least that much when
//     it is confirmed. A wrong value below the truth costs nothing: the next pair catches up.
//   - Equal values: one of the two is true, so the value is, whoever sent it. That is why the
//     second may be confirmed with the first, and why two kinds of noise cannot conspire: they
//     would have to be neighbours. A later equal value extends the pair only as its neighbour.
// Hence the baseline never stands above the register, and what is compared with it (not lower,
// within the cap, in unrolled figures where the register passed its end) never moves it back.
// Zeros in every word are the one figure that unlike devices have in common: a foreign master's
// slave, an empty buffer and a new meter say it alike. Where nothing is known of a meter yet, so
// that every true register would stand beyond the cap of such a baseline, a third sample must say
// it too.
// The cap counts from the register's last move: from the first sample that showed the value, less
// than one step had passed unseen, and that step is allowed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/boxed.hpp"
#include "daemon/core/meter_counter.hpp"
#include "daemon/core/registry.hpp"
#include "daemon/core/sample.hpp"
#include "daemon/core/time.hpp"
#include "daemon/core/units.hpp"

namespace gatehouse {

// When something was read, as far as times can be compared.
struct SampleTime {
    std::int64_t run = 0;
    MonoMs mono_ms = 0;
    std::optional<UtcMs> trusted_utc_ms;  // absent while this run's clock is not trusted
    friend bool operator==(const SampleTime&, const SampleTime&) = default;
};
// Same run, and later in it: the monotonic difference. Else both trusted: that of UTC. Else, or if
// it would be negative: nothing, and the consequence is that the sample is held.
[[nodiscard]] std::optional<std::int64_t> elapsed_ms(const SampleTime& from, const SampleTime& to);

// The words of CONTRACT.md 5.
enum class QuarantineReason {
    decrease,
    cap,
    opening_mismatch,
    serial_changed,
    conflict_profile,
    multiplier_changed,
    manual_differs,
};
[[nodiscard]] const char* to_string(QuarantineReason reason);
[[nodiscard]] std::optional<QuarantineReason> parse_quarantine_reason(std::string_view text);

// What judge() must know of a meter beside its state.
struct MeterTerms {
    Service service = Service::electricity;
    Shared<MeterTraits> traits;  // narrowed by rated_amps and rated_flow
    Rational multiplier{1, 1};
    Rational offset{0, 1};              // face = what was read + offset
    Boxed<Rational> opening_register;   // face
    Rational opening_tolerance{0, 1};   // of a comparison with the typed opening register
    std::optional<UtcMs> opening_at;    // absent: one day's cap
    std::optional<std::string> serial;  // the epoch's; absent: none is compared
    Boxed<Rational> device_ratio;       // as Sample's; absent: none is compared
};
// The terms that registry and profile give together; nothing where a decimal or a date of the row
// does not parse (the import refuses such a row, so a caller may take that for a disabled meter).
[[nodiscard]] std::optional<MeterTerms> make_terms(const Meter& meter,
                                                   const Shared<MeterTraits>& profile,
                                                   const Zone& zone);

// Blanks, hyphens, leading zeros and case are how a serial number is written, not what it is.
[[nodiscard]] bool is_same_serial(std::string_view a, std::string_view b);

// One value with all that a stored row needs of it.
struct ReadValue {
    Rational exact;        // the face, exactly
    Milli register_value;  // the face in 1e-3, rounded half up
    Milli figure;          // face x multiplier in 1e-3, rounded half up once
    Milli total;           // the billing cumulative that it is, or would mean if held
    Stamp at;              // of its sample
    SampleTime time;
    std::vector<std::uint16_t> raw;  // words on the wire
};
struct Confirmed {
    ReadValue value;
    SampleTime moved_at;    // since when the register shows this; store it for restore
    bool rollover = false;  // the register passed its end since the one before; the state's base
                            // began anew with it, so an epoch's stored base must be replaced
    bool first = false;     // the first of this epoch: a baseline, or what an opening
                            // register is charged up to
    bool rebased = false;   // staff released what contradicts the books: the total stayed and
                            // counting goes on from this face. Of a first reading: the opening
                            // register was wrong and counts for nothing. As rollover, the epoch's
                            // stored base must be replaced.
};
struct Quarantine {
    QuarantineReason reason = QuarantineReason::decrease;
    ReadValue value;  // total: what it would mean by plain arithmetic
};

// Whether people typed the baseline, and what for: what then contradicts it is asked about under
// another reason than a wrong sample.
enum class Typed { no, dial, replacement };

// Everything the machine remembers of a meter. A copyable value; only judge() and the functions
// below write it, others read baseline, quarantine and stuck.
struct MeterState {
    struct Baseline {  // the last confirmed reading, or the opening register
        Rational exact;
        Milli register_value;
        Milli total;
        Rational tolerance{0, 1};  // how far below it a sample still counts as equal
        SampleTime time, moved_at;
        bool opening = false;  // the registry's, no sample was confirmed yet
        bool dated = true;     // false: an opening without a date, one day's cap
        Typed typed = Typed::no;
    };
    struct Neighbour {  // the sample directly before, where it was accepted
        ReadValue value;
        Rational unrolled;  // its face in the lap of the baseline
        bool confirmed = false;
        bool rolled = false;
        int blank = 0;  // how many samples running, this the last, were zeros in every word
    };
    struct Streak {  // samples that agree with each other, not the baseline
        int count = 0;
        Rational exact;
        SampleTime time, moved_at;
    };
    struct Open {              // an open quarantine
        Quarantine asked;      // what staff are asked about
        Rational anchor, top;  // the value it opened at, the highest that agreed since
        SampleTime top_time;
        std::optional<ReadValue> newest;
    };
    // Something that belongs to the device and must not change: seen different once it may be
    // noise, the same difference seen twice is another device or another setting.
    template <class Mark>
    struct Watch {
        std::optional<Mark> other;
        int count = 0;
        int silent = 0;  // samples since that did not carry it
    };
    struct Still {  // for the stuck check
        std::vector<std::uint16_t> raw;
        SampleTime since, last;
        std::int64_t last_rate = 0;  // power in mW or flow in ml/h, never negative
        std::int64_t passed = 0;     // rate x ms since then, saturating
    };

    std::optional<Baseline> baseline;
    CounterBase base;
    std::optional<Neighbour> neighbour;
    Boxed<Streak> streak;
    Boxed<Open> quarantine;
    std::optional<Still> still;
    std::optional<SampleTime> run_first;  // first sample that this run saw
    std::optional<SampleTime> last_sample;
    Boxed<Watch<std::string>> serial;  // read instead of the epoch's
    Boxed<Watch<Rational>> ratio;      // likewise
    int doubts = 0;                    // held values that the next confirmation rejects
    bool face_confirmed = false;       // staff confirmed a face reading of a conflict profile
    bool stuck = false;

    // An accepted value waits for its second sample: on a freeze, a level change or an alert the
    // engine asks the poller for one at once.
    [[nodiscard]] bool has_pending() const;
    // What newest held value would make the total while a quarantine is open, for the provisional
    // balance; may lie below the confirmed total.
    [[nodiscard]] std::optional<Milli> held_total() const;
};

struct Verdict {
    std::vector<Confirmed> confirmed;  // in order; all of them, often none
    std::optional<Quarantine> opened;  // staff are asked now
    bool quarantine_resolved = false;  // later samples confirmed against the old baseline
    int rejected = 0;                  // held values that rejected themselves
    bool duplicate = false;            // dropped: not later than the last sample
    bool wants_second = false;         // ask the poller for an immediate second exchange
    bool held = false;                 // this sample is not on its way to a reading; see reason
    bool uncountable = false;          // nor can staff be asked: register or total leave 64 bits
    bool stuck_changed = false;
    bool stuck = false;
    std::string reason;  // one line for the meter's display; empty: nothing wrong
};
[[nodiscard]] Verdict judge(MeterState& state, const Sample& sample, const SampleTime& time,
                            const MeterTerms& terms);

// A register that people read from the face; it is confirmed at once, for two of them looked.
struct FaceReading {
    Rational face;
    Rational tolerance;  // typed_tolerance() of what was typed
    Stamp at;            // of the act
    SampleTime time;     // when it was read, as far as times can be compared
};
// The same checks as a sample passes. It either is confirmed and the new baseline (any open
// quarantine is resolved by that), or is held and staff are asked at once. The caller refuses what
// is not later than the last confirmed reading, and a reading while a quarantine is open that it
// would only add to.
[[nodiscard]] Verdict judge_face(MeterState& state, const FaceReading& reading,
                                 const MeterTerms& terms);

// Where no reading stands yet the registry's opening register is the baseline, if it names one.
void begin_with_opening(MeterState& state, const MeterTerms& terms);

// Whether a value passes the checks against the baseline; true where there is none.
[[nodiscard]] bool fits(const MeterState& state, const ReadValue& value, const MeterTerms& terms);

// Staff say that a held value is right. Above the baseline what passed is charged, below it, or
// where `rebase` says so, the total stays and counting goes on from here. Nothing where the total
// leaves 64 bits; the state is unchanged then.
[[nodiscard]] std::optional<Confirmed> release(MeterState& state, const ReadValue& held,
                                               const MeterTerms& terms, bool rebase);
// Staff say that what was held is wrong: later samples go on against the old baseline.
void reject(MeterState& state);

// What a store kept of a meter's last confirmed reading.
struct LastReading {
    std::optional<Rational> exact;  // the face exactly (parse_fraction of what was stored)
    Milli register_value;           // used where exact is absent, then good to half a step
    Milli figure;                   // total minus the epoch's (base_total - base_figure)
    Milli total;
    SampleTime time, moved_at;  // moved_at unknown: the reading's time
    Rational multiplier{1, 1};  // that figure was made with
    Typed typed = Typed::no;
    Rational tolerance{0, 1};  // of a typed one
};
// The state after a restart. Totals go on without a thousandth lost, over rollovers too. Serves a
// replacement as well: the new meter's opening with its figure, the old total, and its instant.
[[nodiscard]] MeterState restore(const LastReading& reading);
// A change of multiplier at an edge that the last confirmed reading has passed: what it counts as
// from the edge on is the caller's arithmetic, and from it the new multiplier goes on.
void rebase(MeterState& state, Milli total, const Rational& multiplier);
// An open quarantine of the store, so that what agrees with it stays held after a restart. `mark`
// is the serial number or the ratio (format_fraction) that was read where that is the reason.
void restore_quarantine(MeterState& state, const Quarantine& open, const std::string& mark = "");

}  // namespace gatehouse
