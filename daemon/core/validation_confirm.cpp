// How a sample stands to the baseline and to the sample before it, and what is confirmed, held or
// asked about by that.
#include <algorithm>
#include <utility>

#include "daemon/core/validation_judgement.hpp"

namespace gatehouse {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;
// The two samples of a first reading are as near as what this long can have used, at most.
constexpr std::int64_t kFirstPairMs = 3'600'000;
// How many samples must agree with each other, and not with the baseline, before staff are asked.
constexpr int kStreakToAsk = 3;
// How many samples running must be zeros before that is a meter's first reading.
constexpr int kBlankToBegin = 3;

}  // namespace

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
            refuse_uncountable("total");
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
// sample, because what lies in another run lies before it. What a day of it does not explain is
// asked about: no run may last as long as a leap needs.
Judgement::Elapsed Judgement::passed_since(const SampleTime& from) const {
    if (const auto known = elapsed_ms(from, time_)) return {*known, true};
    const std::int64_t surely = elapsed_ms(*state_.run_first, time_).value_or(0);
    return {surely, surely >= kDayMs};
}

Judgement::Elapsed Judgement::passed_since_baseline() const {
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
    const Milli cap = physical_cap(terms_.service, *terms_.traits, terms_.multiplier, elapsed);
    return compare(*quantity, Rational{cap.count, 1000}) <= 0;
}

Judgement::Classified Judgement::classify(const Rational& tolerance) const {
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
    const auto& modulus = terms_.traits->rollover;
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

bool Judgement::confirms(const MeterState::Neighbour& first, const Rational& unrolled) const {
    if (is_less(unrolled, first.unrolled)) return false;
    // Without growth since the baseline the check against the baseline said it already.
    if (state_.baseline && !is_less(state_.baseline->exact, first.unrolled)) return true;
    const auto growth = subtract(unrolled, first.unrolled);
    auto elapsed = elapsed_ms(first.value.time, time_);
    // Where nothing was confirmed before, time must not make up for what is missing: a day of
    // silence would let any foreign value be the first reading.
    const bool nothing_known = !state_.baseline || state_.baseline->opening;
    if (elapsed && nothing_known) elapsed = std::min(*elapsed, kFirstPairMs);
    return growth && elapsed && within_cap(*growth, *elapsed);
}

bool Judgement::is_blank() const {
    const auto& raw = sample_.raw;
    return !raw.empty() && std::all_of(raw.begin(), raw.end(), [](auto word) { return word == 0; });
}

void Judgement::accept(const Classified& classified) {
    MeterState::Neighbour now{value_, classified.unrolled, false, classified.rolled};
    state_.streak.reset();
    const bool blank = is_blank();
    if (blank) now.blank = state_.neighbour ? state_.neighbour->blank + 1 : 1;
    const bool too_few = blank && !state_.baseline && now.blank < kBlankToBegin;
    if (state_.neighbour && !too_few) {
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
    verdict_.wants_second = first && (!sample_.confirming || too_few);
    if (first) verdict_.reason = "the first reading waits for its second sample";
    if (too_few) verdict_.reason = "zeros alone are a first reading when three samples say so";
}

void Judgement::confirm(MeterState::Neighbour& neighbour, MeterState::Neighbour& follower) {
    const bool first = !state_.baseline || state_.baseline->opening;
    const auto counted = figure(neighbour.value.exact, terms_.multiplier);
    if (!state_.baseline) {
        const auto base = first_base(neighbour.value.exact, terms_.multiplier);
        if (!base) return;
        state_.base = *base;
    }
    const auto total = neighbour.rolled ? total_after_rollover(state_.base, neighbour.value.exact,
                                                               *terms_.traits->rollover)
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

}  // namespace gatehouse
