// What speaks against a sample by itself: a register that stands still under load, another serial
// number or ratio, a profile in conflict, and a quarantine that it only adds to.
#include <algorithm>
#include <limits>
#include <type_traits>

#include "daemon/core/validation_judgement.hpp"

namespace gatehouse {
namespace {

// A wrong serial number or ratio read once holds at most that many samples that carry none.
constexpr int kWatchPatience = 16;

constexpr std::int64_t kStuckAfterMs = 600'000;
constexpr int kStuckSteps = 3;
// Between two samples further apart than this nobody knows what power flowed.
constexpr std::int64_t kLongestStillGapMs = 900'000;
// Rates are in 1e-6 of the service's unit an hour; this many rate x ms make one unit.
constexpr std::int64_t kRateMsPerUnit = 3'600'000'000'000;

}  // namespace

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
    const auto steps = multiply(terms_.traits->step, Rational{kStuckSteps, 1});
    const std::int64_t still_ms = elapsed_ms(state_.still->since, time_).value_or(0);
    const bool stuck = steps && state_.still->passed > 0 && still_ms >= kStuckAfterMs &&
                       !is_less(Rational{state_.still->passed, kRateMsPerUnit}, *steps);
    verdict_.stuck_changed = stuck != state_.stuck;
    verdict_.stuck = state_.stuck = stuck;
}

// True where nothing speaks against the sample. Read once, another mark may be noise; read twice
// it is another device or setting, and so is every sample until the right one is read again.
template <class Mark>
bool Judgement::watch(Boxed<MeterState::Watch<Mark>>& box, const std::optional<Mark>& read,
                      bool same) {
    if (read && same) box.reset();
    if (!box) {
        if (!read || same) return true;
        box = MeterState::Watch<Mark>{};
    }
    MeterState::Watch<Mark>& watched = *box;
    if (!read) {
        if (watched.count == 1 && ++watched.silent > kWatchPatience) {
            box.reset();
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
        state_.serial.reset();
        return true;
    }
    const bool same = sample_.serial && is_same_serial(*sample_.serial, *terms_.serial);
    if (watch(state_.serial, sample_.serial, same)) return true;
    ++state_.doubts;
    hold("serial number " + state_.serial->other.value_or("(another)") + " was read, " +
         *terms_.serial + " is registered: held; enter a replacement or correct the serial");
    if (state_.serial->count >= 2) ask(QuarantineReason::serial_changed);
    return false;
}

bool Judgement::ratio_allows() {
    if (!terms_.device_ratio) {
        state_.ratio.reset();
        return true;
    }
    const auto& read = sample_.device_ratio;
    if (watch(state_.ratio, read, read && is_equal(*read, *terms_.device_ratio))) return true;
    ++state_.doubts;
    hold("the ratio in the meter's registers is " +
         format_fraction(state_.ratio->other.value_or(Rational{0, 1})) + " and was " +
         format_fraction(*terms_.device_ratio) + ": held until staff release or reject it");
    if (state_.ratio->count >= 2) ask(QuarantineReason::multiplier_changed);
    return false;
}

bool Judgement::profile_allows() {
    if (terms_.traits->status != MapStatus::conflict || state_.face_confirmed) return true;
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

}  // namespace gatehouse
