#include "daemon/core/validation.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace gatehouse {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;
// How many samples must agree with each other, and not with the baseline, before staff are asked.
constexpr int kStreakToAsk = 3;
// A wrong serial number read once holds at most that many samples that carry none.
constexpr int kSerialPatience = 16;
// An opening register belongs to no run of this process.
constexpr std::int64_t kNoRun = -1;

constexpr std::int64_t kStuckAfterMs = 600'000;
constexpr int kStuckSteps = 3;
// Between two samples further apart than this nobody knows what power flowed.
constexpr std::int64_t kLongestStillGapMs = 900'000;
// Rates are in 1e-6 of the service's unit an hour; this many rate x ms make one unit.
constexpr std::int64_t kRateMsPerUnit = 3'600'000'000'000;

constexpr std::array<const char*, 7> kReasonWords{
    "decrease",           "cap",           "opening_mismatch", "serial_changed", "conflict_profile",
    "multiplier_changed", "manual_differs"};

bool is_less(const Rational& a, const Rational& b) {
    return compare(a, b) < 0;
}
bool is_equal(const Rational& a, const Rational& b) {
    return compare(a, b) == 0;
}

// A time that surely passed, and whether it is all that passed.
struct Elapsed {
    std::int64_t ms = 0;
    bool certain = false;
};

enum class Fit { fits, decrease, cap, unknown };
struct Classified {
    Fit fit = Fit::unknown;
    Rational unrolled;
    bool rolled = false;
};

// One sample on its way through the machine.
class Judgement {
  public:
    Judgement(MeterState& state, const Sample& sample, const SampleTime& time,
              const MeterTerms& terms)
        : state_(state), sample_(sample), time_(time), terms_(terms) {}

    Verdict run() {
        verdict_.stuck = state_.stuck;
        if (is_duplicate()) {
            verdict_.duplicate = true;
            return std::move(verdict_);
        }
        if (!state_.run_first || state_.run_first->run != time_.run) state_.run_first = time_;
        state_.last_sample = time_;
        watch_stuck();
        follow_multiplier();
        follow_opening();
        if (!read_value()) {
            hold("the register is beyond what can be counted: not a reading");
            ++verdict_.rejected;
        } else if (serial_allows() && profile_allows() && !stays_in_quarantine()) {
            compare_with_baseline();
        }
        return std::move(verdict_);
    }

  private:
    [[nodiscard]] bool is_duplicate() const {
        return state_.last_sample && state_.last_sample->run == time_.run &&
               time_.mono_ms <= state_.last_sample->mono_ms;
    }

    void watch_stuck();
    void follow_multiplier();
    void follow_opening();
    [[nodiscard]] bool read_value();
    [[nodiscard]] bool serial_allows();
    [[nodiscard]] bool profile_allows();
    [[nodiscard]] bool stays_in_quarantine();
    [[nodiscard]] bool leaps_back(const MeterState::Open& open) const;
    void compare_with_baseline();

    [[nodiscard]] Elapsed passed_since(const SampleTime& from) const;
    [[nodiscard]] Elapsed passed_since_baseline() const;
    [[nodiscard]] bool within_cap(const Rational& growth, std::int64_t elapsed) const;
    [[nodiscard]] Classified classify() const;
    [[nodiscard]] bool confirms(const MeterState::Neighbour& first, const Rational& unrolled) const;

    void accept(const Classified& classified);
    void confirm(MeterState::Neighbour& neighbour, MeterState::Neighbour& follower);
    void hold(std::string reason);
    void hold_and_count(QuarantineReason reason, std::string why);
    void ask(QuarantineReason reason);
    [[nodiscard]] std::string against_baseline(const char* relation) const;

    MeterState& state_;
    const Sample& sample_;
    const SampleTime& time_;
    const MeterTerms& terms_;
    ReadValue value_;
    Verdict verdict_;
};

void Judgement::watch_stuck() {
    const auto& read = terms_.service == Service::water ? sample_.flow_millilitre_per_hour
                                                        : sample_.power_milliwatt;
    const std::int64_t rate = std::max<std::int64_t>(read.value_or(0), 0);
    if (!state_.still || state_.still->raw != sample_.raw) {
        state_.still = MeterState::Still{sample_.raw, time_, time_, rate, 0};
    } else {
        MeterState::Still& still = *state_.still;
        const std::int64_t gap = elapsed_ms(still.last, time_).value_or(0);
        // The smaller of both ends: a load that was switched on just now proves nothing yet.
        std::int64_t more = 0;
        if (__builtin_mul_overflow(std::min(still.last_rate, rate),
                                   std::min(gap, kLongestStillGapMs), &more) ||
            __builtin_add_overflow(still.passed, more, &still.passed)) {
            still.passed = std::numeric_limits<std::int64_t>::max();
        }
        still.last = time_;
        still.last_rate = rate;
    }
    const auto steps = multiply(terms_.traits.step, Rational{kStuckSteps, 1});
    const std::int64_t still_ms = elapsed_ms(state_.still->since, time_).value_or(0);
    const bool stuck = steps && state_.still->passed > 0 && still_ms >= kStuckAfterMs &&
                       !is_less(Rational{state_.still->passed, kRateMsPerUnit}, *steps);
    verdict_.stuck_changed = stuck != state_.stuck;
    verdict_.stuck = state_.stuck = stuck;
}

// A change of multiplier begins a new base at the same total.
void Judgement::follow_multiplier() {
    if (!state_.baseline || is_equal(state_.base.multiplier, terms_.multiplier)) return;
    const auto base = new_base(state_.baseline->total, state_.baseline->exact, terms_.multiplier);
    if (base) state_.base = *base;
}

// Until the first reading stands, the opening register is the baseline, as the registry has it now.
void Judgement::follow_opening() {
    if (state_.baseline && !state_.baseline->opening) return;
    const auto& opening = terms_.opening_register;
    if (state_.baseline && state_.quarantine &&
        (!opening || !is_equal(state_.baseline->exact, *opening))) {
        // The registry was corrected, so that what staff were asked is answered.
        state_.quarantine.reset();
        verdict_.quarantine_resolved = true;
    }
    state_.baseline.reset();
    if (!opening) return;
    const auto base = first_base(*opening, terms_.multiplier);
    const auto register_value = round_to_milli(*opening);
    if (!base || !register_value) return;
    const SampleTime opened{kNoRun, 0, terms_.opening_at};
    state_.base = *base;
    state_.baseline = MeterState::Baseline{*opening,
                                           *register_value,
                                           base->base_total,
                                           terms_.opening_tolerance,
                                           opened,
                                           opened,
                                           true,
                                           terms_.opening_at.has_value()};
}

bool Judgement::read_value() {
    const auto face = add(sample_.register_value, terms_.offset);
    if (!face) return false;
    const auto register_value = round_to_milli(*face);
    const auto counted = figure(*face, terms_.multiplier);
    if (!register_value || !counted) return false;
    const auto total = state_.baseline ? total_at(state_.base, *face) : counted;
    if (!total) return false;
    value_ = {*face, *register_value, *counted, *total, sample_.at, time_, sample_.raw};
    return true;
}

// Another serial number than the epoch's: read once it may be noise, read twice it is another
// meter.
bool Judgement::serial_allows() {
    if (!terms_.serial) {
        state_.other_serial.reset();
        state_.other_serial_count = 0;
        return true;
    }
    if (sample_.serial == terms_.serial) {
        state_.other_serial.reset();
        state_.other_serial_count = 0;
        return true;
    }
    if (!sample_.serial) {
        if (state_.other_serial_count == 0) return true;
        if (state_.other_serial_count == 1 &&
            ++state_.samples_since_other_serial > kSerialPatience) {
            state_.other_serial.reset();
            state_.other_serial_count = 0;
            return true;
        }
    } else {
        state_.samples_since_other_serial = 0;
        if (state_.other_serial_count < 2) {
            const bool again = state_.other_serial == sample_.serial;
            state_.other_serial_count = again ? 2 : 1;
        }
        state_.other_serial = sample_.serial;
        verdict_.wants_second = state_.other_serial_count == 1 && !sample_.confirming;
    }
    ++state_.doubts;
    hold("serial number " + state_.other_serial.value_or("(another)") + " was read, " +
         *terms_.serial + " is registered: held; enter a replacement or correct the serial");
    if (state_.other_serial_count >= 2) ask(QuarantineReason::serial_changed);
    return false;
}

bool Judgement::profile_allows() {
    if (terms_.traits.status != MapStatus::conflict || state_.face_confirmed) return true;
    hold_and_count(QuarantineReason::conflict_profile,
                   "the sources of this profile disagree: held until a reading of the face is "
                   "confirmed");
    return false;
}

// While samples go on agreeing with an open quarantine nothing is confirmed, not even when the
// growing cap would let the value through by now: staff were asked. A single wrong value that
// lies lower or higher does not part them: agreeing is not below the value it opened at and
// within the cap of the highest since.
bool Judgement::stays_in_quarantine() {
    if (!state_.quarantine) return false;
    const QuarantineReason reason = state_.quarantine->asked.reason;
    if (reason == QuarantineReason::serial_changed ||
        reason == QuarantineReason::conflict_profile) {
        return false;  // what asked for it is gone, or the checks above had held the sample
    }
    MeterState::Open& open = *state_.quarantine;
    if (is_less(value_.exact, open.anchor)) return false;
    if (reason == QuarantineReason::decrease && leaps_back(open)) return false;
    if (!is_less(value_.exact, open.top)) {
        const auto growth = subtract(value_.exact, open.top);
        if (!growth || !within_cap(*growth, passed_since(open.top_time).ms)) return false;
        open.top = value_.exact;
        open.top_time = time_;
    }
    open.newest = value_;
    state_.streak.reset();
    ++state_.doubts;
    hold("quarantined (" + std::string(to_string(reason)) + "): staff release or reject it");
    return true;
}

// Whether a register that fell stands at or above its baseline again, with most of the way in one
// step: then it never fell. Another meter in its place counts its way up and passes the baseline in
// small steps, also where the rating lets any step through.
bool Judgement::leaps_back(const MeterState::Open& open) const {
    if (!state_.baseline || classify().fit != Fit::fits) return false;
    const auto step = subtract(value_.exact, open.top);
    const auto fall = subtract(state_.baseline->exact, open.anchor);
    const auto twice = step ? multiply(*step, Rational{2, 1}) : std::nullopt;
    return twice && fall && fall->numerator > 0 && is_less(*fall, *twice);
}

void Judgement::compare_with_baseline() {
    if (!state_.baseline) {
        accept({Fit::fits, value_.exact, false});
        return;
    }
    const bool opening = state_.baseline->opening;
    const Classified classified = classify();
    switch (classified.fit) {
        case Fit::fits:
            accept(classified);
            return;
        case Fit::unknown:
            state_.streak.reset();
            hold(
                "the clock is not trusted and the time since the last reading is unknown: held "
                "until enough time has surely passed");
            return;
        case Fit::decrease:
            hold_and_count(
                opening ? QuarantineReason::opening_mismatch : QuarantineReason::decrease,
                against_baseline("below"));
            return;
        case Fit::cap:
            hold_and_count(opening ? QuarantineReason::opening_mismatch : QuarantineReason::cap,
                           against_baseline("further than physics allows above"));
            return;
    }
}

std::string Judgement::against_baseline(const char* relation) const {
    return "register " + format(value_.register_value) + " is " + relation +
           (state_.baseline->opening ? " the opening register " : " the last confirmed ") +
           format(state_.baseline->register_value) + ": held";
}

// Where the times cannot be compared: what surely passed is the time since this run's first
// sample, because what lies in another run lies before it.
Elapsed Judgement::passed_since(const SampleTime& from) const {
    if (const auto known = elapsed_ms(from, time_)) return {*known, true};
    return {elapsed_ms(*state_.run_first, time_).value_or(0), false};
}

Elapsed Judgement::passed_since_baseline() const {
    const MeterState::Baseline& baseline = *state_.baseline;
    if (!baseline.opening) return passed_since(baseline.moved_at);
    if (!baseline.dated) return {kDayMs, true};
    if (!time_.trusted_utc_ms) return passed_since(baseline.moved_at);
    // An opening register dated in the future lets nothing through.
    return {std::max<std::int64_t>(*time_.trusted_utc_ms - *baseline.moved_at.trusted_utc_ms, 0),
            true};
}

bool Judgement::within_cap(const Rational& growth, std::int64_t elapsed) const {
    const auto quantity = multiply(growth, terms_.multiplier);
    if (!quantity) return false;
    const Milli cap = physical_cap(terms_.service, terms_.traits, terms_.multiplier, elapsed);
    return compare(*quantity, Rational{cap.count, 1000}) <= 0;
}

Classified Judgement::classify() const {
    const MeterState::Baseline& baseline = *state_.baseline;
    const auto difference = subtract(value_.exact, baseline.exact);
    if (!difference) return {Fit::cap, value_.exact, false};
    const Elapsed elapsed = passed_since_baseline();
    const Fit beyond = elapsed.certain ? Fit::cap : Fit::unknown;
    if (difference->numerator >= 0) {
        const bool fits = difference->numerator == 0 || within_cap(*difference, elapsed.ms);
        return {fits ? Fit::fits : beyond, value_.exact, false};
    }
    const auto lowest = subtract(baseline.exact, baseline.tolerance);
    if (lowest && !is_less(value_.exact, *lowest)) return {Fit::fits, value_.exact, false};
    // C2: what passes its end shows as a fall from the last twentieth to near nothing. Modulus
    // and nearness belong to the counter, which the offset is not part of.
    const auto& modulus = terms_.traits.rollover;
    const auto last = subtract(baseline.exact, terms_.offset);
    if (!modulus || !last || !near_end(*last, *modulus)) {
        return {Fit::decrease, value_.exact, false};
    }
    const auto unrolled = add(value_.exact, *modulus);
    const auto growth = unrolled ? subtract(*unrolled, baseline.exact) : std::nullopt;
    if (growth && growth->numerator >= 0 && within_cap(sample_.register_value, elapsed.ms) &&
        within_cap(*growth, elapsed.ms)) {
        return {Fit::fits, *unrolled, true};
    }
    return {elapsed.certain ? Fit::decrease : Fit::unknown, value_.exact, false};
}

// Whether a value in the lap of the baseline confirms the sample directly before it.
bool Judgement::confirms(const MeterState::Neighbour& first, const Rational& unrolled) const {
    if (is_less(unrolled, first.unrolled)) return false;
    // Without growth since the baseline the check against the baseline said it already.
    if (state_.baseline && !is_less(state_.baseline->exact, first.unrolled)) return true;
    const auto growth = subtract(unrolled, first.unrolled);
    const auto elapsed = elapsed_ms(first.value.time, time_);
    return growth && elapsed && within_cap(*growth, *elapsed);
}

void Judgement::accept(const Classified& classified) {
    MeterState::Neighbour now{value_, classified.unrolled, false, classified.rolled};
    state_.streak.reset();
    if (state_.neighbour) {
        MeterState::Neighbour& before = *state_.neighbour;
        if (is_equal(before.unrolled, now.unrolled)) {
            if (!before.confirmed) confirm(before, now);
            confirm(now, now);
        } else if (!before.confirmed) {
            if (confirms(before, now.unrolled)) {
                confirm(before, now);
            } else {
                ++state_.doubts;
            }
        }
    }
    state_.neighbour = std::move(now);
    const bool first = !state_.baseline || state_.baseline->opening;
    verdict_.wants_second = first && !sample_.confirming;
    if (first) verdict_.reason = "the first reading waits for its second sample";
}

// `follower` is the sample after it, whose lap changes with the baseline's.
void Judgement::confirm(MeterState::Neighbour& neighbour, MeterState::Neighbour& follower) {
    const bool first = !state_.baseline || state_.baseline->opening;
    const auto counted = figure(neighbour.value.exact, terms_.multiplier);
    if (!state_.baseline) {
        const auto base = first_base(neighbour.value.exact, terms_.multiplier);
        if (!base) return;
        state_.base = *base;
    }
    const auto total = neighbour.rolled ? total_after_rollover(state_.base, neighbour.value.exact,
                                                               *terms_.traits.rollover)
                                        : total_at(state_.base, neighbour.value.exact);
    if (!counted || !total) return;  // beyond 64 bits: stays a value without a total
    neighbour.value.figure = *counted;
    neighbour.value.total = state_.baseline ? std::max(*total, state_.baseline->total) : *total;
    neighbour.confirmed = true;
    const bool moved = !state_.baseline || !state_.baseline->dated ||
                       is_less(state_.baseline->exact, neighbour.unrolled);
    const SampleTime moved_at = moved ? neighbour.value.time : state_.baseline->moved_at;
    const bool rolled = neighbour.rolled;
    if (rolled) {
        // The lap ends here, so that a restart from this row counts on exactly alike.
        state_.base = CounterBase{neighbour.value.total, *counted, terms_.multiplier};
        neighbour.unrolled = neighbour.value.exact;
        neighbour.rolled = false;
        if (follower.rolled) {
            follower.unrolled = follower.value.exact;
            follower.rolled = false;
        }
    }
    state_.baseline = MeterState::Baseline{neighbour.value.exact,
                                           neighbour.value.register_value,
                                           neighbour.value.total,
                                           Rational{0, 1},
                                           neighbour.value.time,
                                           moved_at,
                                           false,
                                           true};
    verdict_.confirmed.push_back({neighbour.value, moved_at, rolled, first});
    verdict_.rejected += state_.doubts;
    state_.doubts = 0;
    if (state_.quarantine) verdict_.quarantine_resolved = true;
    state_.quarantine.reset();
}

// Parts the neighbours: a pair that confirms has nothing between its two.
void Judgement::hold(std::string reason) {
    state_.neighbour.reset();
    verdict_.held = true;
    verdict_.reason = std::move(reason);
}

void Judgement::hold_and_count(QuarantineReason reason, std::string why) {
    hold(std::move(why));
    ++state_.doubts;
    const auto agrees = [&](const MeterState::Streak& streak) {
        if (is_less(value_.exact, streak.exact)) return false;
        const auto growth = subtract(value_.exact, streak.exact);
        const auto elapsed = elapsed_ms(streak.moved_at, time_);
        return growth && elapsed && within_cap(*growth, *elapsed);
    };
    if (state_.streak && agrees(*state_.streak)) {
        MeterState::Streak& streak = *state_.streak;
        if (is_less(streak.exact, value_.exact)) streak.moved_at = time_;
        streak.exact = value_.exact;
        streak.time = time_;
        streak.count = std::min(streak.count + 1, kStreakToAsk);
    } else {
        state_.streak = MeterState::Streak{1, value_.exact, time_, time_};
    }
    if (state_.streak->count >= kStreakToAsk) ask(reason);
}

// Opens a quarantine, or moves the open one to where the samples agree now: staff are asked once.
void Judgement::ask(QuarantineReason reason) {
    if (!state_.quarantine) {
        verdict_.opened = Quarantine{reason, value_};
        state_.quarantine = MeterState::Open{*verdict_.opened, {}, {}, {}, std::nullopt};
    }
    MeterState::Open& open = *state_.quarantine;
    open.anchor = open.top = value_.exact;
    open.top_time = time_;
    open.newest = value_;
}

}  // namespace

std::optional<std::int64_t> elapsed_ms(const SampleTime& from, const SampleTime& to) {
    std::int64_t passed = 0;
    if (from.run == to.run) {
        passed = to.mono_ms - from.mono_ms;
    } else if (from.trusted_utc_ms && to.trusted_utc_ms) {
        passed = *to.trusted_utc_ms - *from.trusted_utc_ms;
    } else {
        return std::nullopt;
    }
    if (passed < 0) return std::nullopt;
    return passed;
}

const char* to_string(QuarantineReason reason) {
    const auto index = static_cast<std::size_t>(reason);
    GH_ASSERT(index < kReasonWords.size());
    return kReasonWords[index];
}

std::optional<QuarantineReason> parse_quarantine_reason(std::string_view text) {
    for (std::size_t i = 0; i < kReasonWords.size(); ++i) {
        if (text == kReasonWords[i]) return static_cast<QuarantineReason>(i);
    }
    return std::nullopt;
}

std::optional<MeterTerms> make_terms(const Meter& meter, const MeterTraits& profile,
                                     const Zone& zone) {
    MeterTerms terms;
    terms.service = meter.service;
    terms.traits = profile;
    const auto multiplier = parse_rational(meter.multiplier);
    if (!multiplier || multiplier->numerator <= 0) return std::nullopt;
    terms.multiplier = *multiplier;
    if (meter.offset) {
        const auto offset = parse_rational(*meter.offset);
        if (!offset) return std::nullopt;
        terms.offset = *offset;
    }
    if (meter.rated_amps) {
        terms.traits.rated_amps = parse_rational(*meter.rated_amps);
        if (!terms.traits.rated_amps || terms.traits.rated_amps->numerator <= 0) return {};
    }
    if (meter.rated_flow) {
        terms.traits.rated_flow = parse_rational(*meter.rated_flow);
        if (!terms.traits.rated_flow || terms.traits.rated_flow->numerator <= 0) return {};
    }
    if (meter.opening_register) {
        terms.opening_register = parse_rational(*meter.opening_register);
        const auto tolerance = typed_tolerance(*meter.opening_register, profile.step);
        if (!terms.opening_register || !tolerance) return std::nullopt;
        terms.opening_tolerance = *tolerance;
    }
    if (meter.opening_at) {
        terms.opening_at = parse_iso8601(*meter.opening_at, zone);
        if (!terms.opening_at) return std::nullopt;
    }
    if (!meter.serial.empty() && profile.reads_serial) terms.serial = meter.serial;
    return terms;
}

bool MeterState::has_pending() const {
    return neighbour && !neighbour->confirmed;
}

std::optional<Milli> MeterState::held_total() const {
    if (!quarantine || !quarantine->newest) return std::nullopt;
    return quarantine->newest->total;
}

Verdict judge(MeterState& state, const Sample& sample, const SampleTime& time,
              const MeterTerms& terms) {
    return Judgement(state, sample, time, terms).run();
}

MeterState restore(const LastReading& reading) {
    MeterState state;
    const Rational rounded{reading.register_value.count, 1000};
    const Rational exact = reading.exact.value_or(rounded);
    state.baseline =
        MeterState::Baseline{exact,         reading.register_value,
                             reading.total, reading.exact ? Rational{0, 1} : Rational{1, 2000},
                             reading.time,  reading.moved_at,
                             false,         true};
    state.base = CounterBase{reading.total, reading.figure, reading.multiplier};
    const auto counted = figure(exact, reading.multiplier);
    if (!counted) return state;
    // A figure that is not of this lap (a base older than a rollover) would move the total by a
    // whole lap; then the rounded register is the better witness.
    Int128 apart = Int128{counted->count} - reading.figure.count;
    if (apart < 0) apart = -apart;
    const Rational half_a_unit{reading.multiplier.numerator, reading.multiplier.denominator * 2};
    const auto allowed = add(half_a_unit, Rational{1, 1});
    if (reading.exact || !allowed || is_less(*allowed, Rational{apart, 1})) {
        state.base.base_figure = *counted;
    }
    return state;
}

void restore_quarantine(MeterState& state, const Quarantine& open) {
    state.quarantine =
        MeterState::Open{open, open.value.exact, open.value.exact, open.value.time, open.value};
    if (open.reason == QuarantineReason::serial_changed) state.other_serial_count = 2;
}

}  // namespace gatehouse
