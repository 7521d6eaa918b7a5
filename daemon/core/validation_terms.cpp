// What judging rests on: the terms of registry and profile, the state after a restart, and what
// staff decided about a held value.
#include <algorithm>
#include <array>
#include <cctype>

#include "daemon/core/validation.hpp"

namespace gatehouse {
namespace {

constexpr std::array<const char*, 7> kReasonWords{
    "decrease",           "cap",           "opening_mismatch", "serial_changed", "conflict_profile",
    "multiplier_changed", "manual_differs"};

// An opening register belongs to no run of this process.
constexpr std::int64_t kNoRun = -1;

// A value that comes from the store may be rounded to 1e-3: its own sample must not seem lower.
constexpr Rational kHalfAStep{1, 2000};

}  // namespace

std::optional<std::int64_t> elapsed_ms(const SampleTime& from, const SampleTime& to) {
    const auto forward = [](std::int64_t passed) {
        return passed < 0 ? std::nullopt : std::optional(passed);
    };
    if (from.run == to.run && to.mono_ms >= from.mono_ms) return forward(to.mono_ms - from.mono_ms);
    // What people typed after the clock was set forward lies, by the monotonic one, before.
    if (from.trusted_utc_ms && to.trusted_utc_ms)
        return forward(*to.trusted_utc_ms - *from.trusted_utc_ms);
    return std::nullopt;
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

namespace {

// What the registry says of a rating stands before the profile's; where it says the same, the
// traits stay those of many meters. False: it says nothing that can be read.
bool narrow(Shared<MeterTraits>& traits, std::optional<Rational> MeterTraits::*rating,
            const std::optional<std::string>& text) {
    if (!text) return true;
    const std::optional<Rational> said = parse_rational(*text);
    if (!said || said->numerator <= 0) return false;
    const std::optional<Rational>& known = (*traits).*rating;
    if (!known || compare(*known, *said) != 0) traits.change().*rating = said;
    return true;
}

}  // namespace

std::optional<MeterTerms> make_terms(const Meter& meter, const Shared<MeterTraits>& profile,
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
    if (!narrow(terms.traits, &MeterTraits::rated_amps, meter.rated_amps) ||
        !narrow(terms.traits, &MeterTraits::rated_flow, meter.rated_flow))
        return std::nullopt;
    if (meter.opening_register) {
        terms.opening_register = parse_rational(*meter.opening_register);
        const auto tolerance = typed_tolerance(*meter.opening_register, profile->step);
        if (!terms.opening_register || !tolerance ||
            !counts_from(*terms.opening_register, terms.multiplier))
            return std::nullopt;
        terms.opening_tolerance = *tolerance;
    }
    if (meter.opening_at) {
        terms.opening_at = parse_iso8601(*meter.opening_at, zone);
        if (!terms.opening_at) return std::nullopt;
    }
    if (!meter.serial.empty() && profile->reads_serial) terms.serial = meter.serial;
    return terms;
}

bool is_same_serial(std::string_view a, std::string_view b) {
    const auto plain = [](std::string_view serial) {
        std::string text;
        for (const char c : serial) {
            if (c == ' ' || c == '-' || (c == '0' && text.empty())) continue;
            text += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        }
        return text;
    };
    return plain(a) == plain(b);
}

MeterState restore(const LastReading& reading) {
    MeterState state;
    const Rational rounded{reading.register_value.count, 1000};
    const Rational exact = reading.exact.value_or(rounded);
    MeterState::Baseline baseline;
    baseline.exact = exact;
    baseline.register_value = reading.register_value;
    baseline.total = reading.total;
    baseline.tolerance = reading.exact ? Rational{0, 1} : kHalfAStep;
    if (reading.typed != Typed::no && compare(baseline.tolerance, reading.tolerance) < 0)
        baseline.tolerance = reading.tolerance;
    baseline.time = reading.time;
    baseline.moved_at = reading.moved_at;
    baseline.typed = reading.typed;
    state.baseline = baseline;
    state.base = CounterBase{reading.total, reading.figure, reading.multiplier};
    const auto counted = figure(exact, reading.multiplier);
    if (!counted) return state;
    // A figure that is not of this lap (a base older than a rollover) would move the total by a
    // whole lap; then the rounded register is the better witness.
    Int128 apart = Int128{counted->count} - reading.figure.count;
    if (apart < 0) apart = -apart;
    // A dial that was typed a step too low left the total where it was: that belongs to the figure
    // of before, else what lies between would be counted once more with the next sample.
    const Rational half_a_unit{reading.multiplier.numerator, reading.multiplier.denominator * 2};
    auto slack = std::optional(half_a_unit);
    if (reading.typed != Typed::no) {
        slack = multiply(baseline.tolerance, reading.multiplier);
        slack = slack ? multiply(*slack, Rational{1'000, 1}) : slack;
    }
    if (slack && compare(*slack, half_a_unit) < 0) slack = half_a_unit;
    const auto allowed = slack ? add(*slack, Rational{1, 1}) : slack;
    const bool exact_sample = reading.exact && reading.typed == Typed::no;
    if (exact_sample || !allowed || compare(*allowed, Rational{apart, 1}) < 0)
        state.base.base_figure = *counted;
    return state;
}

void restore_quarantine(MeterState& state, const Quarantine& open, const std::string& mark) {
    state.quarantine =
        MeterState::Open{open, open.value.exact, open.value.exact, open.value.time, open.value};
    if (open.reason == QuarantineReason::serial_changed) {
        state.serial =
            MeterState::Watch<std::string>{mark.empty() ? std::nullopt : std::optional(mark), 2};
    }
    if (open.reason == QuarantineReason::multiplier_changed) {
        state.ratio = MeterState::Watch<Rational>{parse_fraction(mark), 2};
    }
}

void begin_with_opening(MeterState& state, const MeterTerms& terms) {
    if (state.baseline || !terms.opening_register) return;
    const auto base = first_base(*terms.opening_register, terms.multiplier);
    const auto register_value = round_to_milli(*terms.opening_register);
    if (!base || !register_value) return;
    state.base = *base;
    MeterState::Baseline baseline;
    baseline.exact = *terms.opening_register;
    baseline.register_value = *register_value;
    baseline.total = base->base_total;
    baseline.tolerance = terms.opening_tolerance;
    baseline.time = baseline.moved_at = SampleTime{kNoRun, 0, terms.opening_at};
    baseline.opening = true;
    baseline.dated = terms.opening_at.has_value();
    state.baseline = baseline;
}

std::optional<Confirmed> release(MeterState& state, const ReadValue& held, const MeterTerms& terms,
                                 bool rebase) {
    begin_with_opening(state, terms);
    const bool first = !state.baseline || state.baseline->opening;
    const bool below = state.baseline && compare(held.exact, state.baseline->exact) < 0;
    CounterBase base = state.base;
    if (!state.baseline || (first && below)) {
        const auto begun = first_base(held.exact, terms.multiplier);
        if (!begun) return std::nullopt;
        base = *begun;
    } else if (rebase || below) {
        const auto begun = new_base(state.baseline->total, held.exact, terms.multiplier);
        if (!begun) return std::nullopt;
        base = *begun;
    }
    const auto total = total_at(base, held.exact);
    const auto counted = figure(held.exact, terms.multiplier);
    if (!total || !counted) return std::nullopt;
    Confirmed released;
    released.value = held;
    released.value.figure = *counted;
    released.value.total = *total;
    released.moved_at = held.time;
    released.first = first;
    released.rebased = state.baseline && (below || rebase);
    state.base = base;
    state.baseline = MeterState::Baseline{held.exact, held.register_value, *total, kHalfAStep,
                                          held.time,  held.time,           false,  true,
                                          Typed::no};
    reject(state);
    return released;
}

void reject(MeterState& state) {
    state.quarantine.reset();
    state.streak.reset();
    state.neighbour.reset();
    state.doubts = 0;
    state.serial.reset();
    state.ratio.reset();
}

}  // namespace gatehouse
