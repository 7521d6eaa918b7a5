#include "daemon/core/validation.hpp"

#include <utility>

#include "daemon/core/validation_judgement.hpp"

namespace gatehouse {
namespace {

// The sample that a face reading or a stored value would have been.
Sample sample_of(const Rational& face, const Stamp& at, const MeterTerms& terms) {
    Sample sample;
    sample.at = at;
    sample.register_value = subtract(face, terms.offset).value_or(face);
    return sample;
}

}  // namespace

Verdict Judgement::run() {
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
        state_.neighbour.reset();
        refuse_uncountable("register");
        ++verdict_.rejected;
    } else if (serial_allows() && ratio_allows() && profile_allows() && !stays_in_quarantine()) {
        compare_with_baseline();
    }
    return std::move(verdict_);
}

Verdict Judgement::run_face(const Rational& tolerance) {
    verdict_.stuck = state_.stuck;
    follow_multiplier();
    follow_opening();
    if (read_value())
        compare_face(tolerance);
    else
        refuse_uncountable("register");
    return std::move(verdict_);
}

bool Judgement::passes() {
    if (!state_.baseline) return true;
    return read_value() && classify(Rational{0, 1}).fit == Fit::fits;
}

// The second exchange that was asked for may follow within the same millisecond; it is another.
bool Judgement::is_duplicate() const {
    if (!state_.last_sample || state_.last_sample->run != time_.run) return false;
    const MonoMs last = state_.last_sample->mono_ms;
    return time_.mono_ms < last || (time_.mono_ms == last && !sample_.confirming);
}

// What leaves 64 bits is nothing that staff could be asked about.
void Judgement::refuse_uncountable(const char* what) {
    verdict_.held = true;
    verdict_.uncountable = true;
    verdict_.reason = std::string("the ") + what + " is beyond what can be counted: not a reading";
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