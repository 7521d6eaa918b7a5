#include "daemon/core/validation.hpp"

#include <algorithm>
#include <limits>
#include <type_traits>
#include <utility>

namespace gatehouse {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;
// How many samples must agree with each other, and not with the baseline, before staff are asked.
constexpr int kStreakToAsk = 3;
// A wrong serial number or ratio read once holds at most that many samples that carry none.
constexpr int kWatchPatience = 16;

constexpr std::int64_t kStuckAfterMs = 600'000;
constexpr int kStuckSteps = 3;
// Between two samples further apart than this nobody knows what power flowed.
constexpr std::int64_t kLongestStillGapMs = 900'000;
// Rates are in 1e-6 of the service's unit an hour; this many rate x ms make one unit.
constexpr std::int64_t kRateMsPerUnit = 3'600'000'000'000;

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
        } else if (serial_allows() && ratio_allows() && profile_allows() &&
                   !stays_in_quarantine()) {
            compare_with_baseline();
        }
        return std::move(verdict_);
    }

    // What people read from the face waits for no second sample, and is no neighbour of one.
    Verdict run_face(const Rational& tolerance) {
        verdict_.stuck = state_.stuck;
        follow_multiplier();
        follow_opening();
        if (!read_value()) {
            verdict_.held = true;
            verdict_.reason = "the register is beyond what can be counted: not a reading";
            return std::move(verdict_);
        }
        compare_face(tolerance);
        return std::move(verdict_);
    }

    [[nodiscard]] bool passes() {
        if (!state_.baseline) return true;
        return read_value() && classify(Rational{0, 1}).fit == Fit::fits;
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
    [[nodiscard]] bool ratio_allows();
    [[nodiscard]] bool profile_allows();
    [[nodiscard]] bool stays_in_quarantine();
    [[nodiscard]] bool leaps_back(const MeterState::Open& open) const;
    void compare_with_baseline();
    void compare_face(const Rational& tolerance);

    [[nodiscard]] Elapsed passed_since(const SampleTime& from) const;
    [[nodiscard]] Elapsed passed_since_baseline() const;
    [[nodiscard]] bool within_cap(const Rational& growth, std::int64_t elapsed) const;
    [[nodiscard]] Classified classify(const Rational& tolerance) const;
    [[nodiscard]] QuarantineReason reason_for(Fit fit) const;
    template <class Mark>
    [[nodiscard]] bool watch(MeterState::Watch<Mark>& watched, const std::optional<Mark>& read,
                             bool same);
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
    begin_with_opening(state_, terms_);
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

// True where nothing speaks against the sample. Read once, another mark may be noise; read twice
// it is another device or setting, and so is every sample until the right one is read again.
template <class Mark>
bool Judgement::watch(MeterState::Watch<Mark>& watched, const std::optional<Mark>& read,
                      bool same) {
    if (read && same) {
        watched = {};
        return true;
    }
    if (!read) {
        if (watched.count == 0) return true;
        if (watched.count == 1 && ++watched.silent > kWatchPatience) {
            watched = {};
            return true;
        }
        return false;
    }
    watched.silent = 0;
    if (watched.count < 2) {
        bool again = false;
        if constexpr (std::is_same_v<Mark, Rational>)
            again = watched.other && is_equal(*watched.other, *read);
        else
            again = watched.other == read;
        watched.count = again ? 2 : 1;
    }
    watched.other = read;
    verdict_.wants_second = watched.count == 1 && !sample_.confirming;
    return false;
}

bool Judgement::serial_allows() {
    if (!terms_.serial) {
        state_.serial = {};
        return true;
    }
    const bool same = sample_.serial && is_same_serial(*sample_.serial, *terms_.serial);
    if (watch(state_.serial, sample_.serial, same)) return true;
    ++state_.doubts;
    hold("serial number " + state_.serial.other.value_or("(another)") + " was read, " +
         *terms_.serial + " is registered: held; enter a replacement or correct the serial");
    if (state_.serial.count >= 2) ask(QuarantineReason::serial_changed);
    return false;
}

bool Judgement::ratio_allows() {
    if (!terms_.device_ratio) {
        state_.ratio = {};
        return true;
    }
    const auto& read = sample_.device_ratio;
    if (watch(state_.ratio, read, read && is_equal(*read, *terms_.device_ratio))) return true;
    ++state_.doubts;
    hold("the ratio in the meter's registers is " +
         format_fraction(state_.ratio.other.value_or(Rational{0, 1})) + " and was " +
         format_fraction(*terms_.device_ratio) + ": held until staff release or reject it");
    if (state_.ratio.count >= 2) ask(QuarantineReason::multiplier_changed);
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
        reason == QuarantineReason::multiplier_changed ||
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
    if (!state_.baseline || classify(Rational{0, 1}).fit != Fit::fits) return false;
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
    const Classified classified = classify(Rational{0, 1});
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
            hold_and_count(reason_for(classified.fit), against_baseline("below"));
            return;
        case Fit::cap:
            hold_and_count(reason_for(classified.fit),
                           against_baseline("further than physics allows above"));
            return;
    }
}

QuarantineReason Judgement::reason_for(Fit fit) const {
    const MeterState::Baseline& baseline = *state_.baseline;
    if (baseline.opening || baseline.typed == Typed::replacement)
        return QuarantineReason::opening_mismatch;
    if (baseline.typed == Typed::dial) return QuarantineReason::manual_differs;
    return fit == Fit::decrease ? QuarantineReason::decrease : QuarantineReason::cap;
}

void Judgement::compare_face(const Rational& tolerance) {
    Classified classified{Fit::fits, value_.exact, false};
    if (state_.baseline) classified = classify(tolerance);
    if (classified.fit == Fit::fits) {
        MeterState::Neighbour face{value_, classified.unrolled, false, classified.rolled};
        MeterState::Neighbour follower = face;
        confirm(face, follower);
        if (!face.confirmed) {
            verdict_.held = true;
            verdict_.reason = "the total is beyond what can be counted: not a reading";
            return;
        }
        state_.baseline->tolerance = tolerance;
        state_.baseline->typed = Typed::dial;
        state_.neighbour.reset();
        state_.streak.reset();
        return;
    }
    if (classified.fit == Fit::unknown) {
        verdict_.held = true;
        verdict_.reason = "the clock is not trusted and the time since the last reading is unknown";
        return;
    }
    const bool below = classified.fit == Fit::decrease;
    hold(against_baseline(below ? "below" : "further than physics allows above"));
    // What two people read is not asked about as a difference between people and the electronics.
    const QuarantineReason reason = state_.baseline->opening ? QuarantineReason::opening_mismatch
                                    : below                  ? QuarantineReason::decrease
                                                             : QuarantineReason::cap;
    ask(reason);
}

std::string Judgement::against_baseline(const char* relation) const {
    const MeterState::Baseline& baseline = *state_.baseline;
    const bool opening = baseline.opening || baseline.typed == Typed::replacement;
    return "register " + format(value_.register_value) + " is " + relation +
           (opening                         ? " the opening register "
            : baseline.typed == Typed::dial ? " the reading by eye "
                                            : " the last confirmed ") +
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

// `tolerance` is that of the value, where people typed it.
Classified Judgement::classify(const Rational& tolerance) const {
    const MeterState::Baseline& baseline = *state_.baseline;
    const auto difference = subtract(value_.exact, baseline.exact);
    if (!difference) return {Fit::cap, value_.exact, false};
    const Elapsed elapsed = passed_since_baseline();
    const Fit beyond = elapsed.certain ? Fit::cap : Fit::unknown;
    if (difference->numerator >= 0) {
        const bool fits = difference->numerator == 0 || within_cap(*difference, elapsed.ms);
        return {fits ? Fit::fits : beyond, value_.exact, false};
    }
    const bool wider = is_less(baseline.tolerance, tolerance);
    const auto lowest = subtract(baseline.exact, wider ? tolerance : baseline.tolerance);
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
                                           true,
                                           Typed::no};
    verdict_.confirmed.push_back({neighbour.value, moved_at, rolled, first, false});
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

namespace {

// The sample that a face reading or a stored value would have been.
Sample sample_of(const Rational& face, const Stamp& at, const MeterTerms& terms) {
    Sample sample;
    sample.at = at;
    sample.register_value = subtract(face, terms.offset).value_or(face);
    return sample;
}

}  // namespace

Verdict judge_face(MeterState& state, const FaceReading& reading, const MeterTerms& terms) {
    const Sample sample = sample_of(reading.face, reading.at, terms);
    if (!state.run_first || state.run_first->run != reading.time.run)
        state.run_first = reading.time;
    return Judgement(state, sample, reading.time, terms).run_face(reading.tolerance);
}

bool fits(const MeterState& state, const ReadValue& value, const MeterTerms& terms) {
    MeterState copy = state;
    if (!copy.run_first) copy.run_first = value.time;
    const Sample sample = sample_of(value.exact, value.at, terms);
    return Judgement(copy, sample, value.time, terms).passes();
}

}  // namespace gatehouse
