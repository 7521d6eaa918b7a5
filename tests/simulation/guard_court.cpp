#include "tests/simulation/guard_court.hpp"

#include <iostream>
#include <utility>

namespace gatehouse::test {
namespace {

class Utc final : public Zone {
  public:
    [[nodiscard]] LocalTime local(UtcMs) const override { return {}; }
    [[nodiscard]] UtcMs midnight(LocalDate) const override { return 0; }
};

std::string kind_of(const std::string& reason) {
    for (const char* kind : {"below", "further than physics", "serial number", "quarantined",
                             "first reading", "beyond what can be counted"}) {
        if (reason.find(kind) != std::string::npos) return kind;
    }
    return reason;
}

void add_to(Tally& sum, const Tally& one) {
    sum.samples += one.samples;
    sum.false_samples += one.false_samples;
    sum.confirmed += one.confirmed;
    sum.wrong += one.wrong;
    sum.low_begins += one.low_begins;
    sum.rejected += one.rejected;
    sum.quarantines += one.quarantines;
    sum.quarantines_resolved += one.quarantines_resolved;
    sum.failures += one.failures;
    for (const auto& [reason, count] : one.held) sum.held[reason] += count;
}

}  // namespace

void Court::add(GuardLine& line, GuardMeter& meter, const modbus::Profile& profile) {
    Meter row;
    row.meter = meter.id;
    row.service = profile.service;
    row.profile = profile.id;
    if (meter.model == Model::sdm120) row.serial = std::to_string(meter.serial);
    Case one;
    one.line = &line;
    one.meter = &meter;
    one.terms = make_terms(row, profile.traits(), Utc{}).value();
    cases_.emplace(meter.id, std::move(one));
}

void Court::sample(Sample sample) {
    Case& one = cases_.at(sample.meter);
    const std::lock_guard lock(one.line->mutex);
    const std::int64_t truth = one.meter->billing.shown_milli(real_us());
    ++one.tally.samples;
    one.before_ms = std::exchange(one.now_ms, sample.at.mono_ms);
    const std::int64_t milli = round_to_milli(sample.register_value).value_or(Milli{-1}).count;
    const bool is_false = milli != one.meter->last_asked;
    if (is_false) ++one.tally.false_samples;
    one.line->note("sample " + sample.meter + " " + std::to_string(milli) +
                   (is_false ? " FALSE, asked " + std::to_string(one.meter->last_asked) : ""));
    if (planted_ == Planted::no_second_sample) {
        ++one.tally.confirmed;
        check(one, milli, truth);
        return;
    }
    const SampleTime time{1, sample.at.mono_ms * kWorldSpeed, std::nullopt};
    const Verdict verdict = judge(one.state, sample, time, one.terms);
    if (verdict.held) ++one.tally.held[kind_of(verdict.reason)];
    one.tally.rejected += static_cast<std::uint64_t>(verdict.rejected);
    if (verdict.opened) ++one.tally.quarantines;
    if (verdict.quarantine_resolved) ++one.tally.quarantines_resolved;
    for (const Confirmed& reading : verdict.confirmed) {
        ++one.tally.confirmed;
        check(one, reading.value.register_value.count, truth);
    }
    if (verdict.wants_second) service_->poll_soon(sample.meter);
}

// Whether two samples cannot tell it from a true first reading: a gateway that sends good frames
// flipped a bit of the first, and from there to the second lies no more than the cap of that time.
bool Court::is_low_begin(const Case& one, std::int64_t milli) {
    const bool framed = one.line->way() == Way::tcp || one.line->way() == Way::tcp_unnumbered;
    const std::int64_t begin = one.meter->billing.start_milli();
    const Milli cap = physical_cap(one.terms.service, *one.terms.traits, one.terms.multiplier,
                                   (one.now_ms - one.before_ms) * kWorldSpeed);
    return framed && one.last_milli < 0 && milli < begin && milli + cap.count >= begin;
}

// The first confirmed reading may not lie below where the register began either: what lies between
// would be charged.
void Court::check(Case& one, std::int64_t milli, std::int64_t truth_milli) {
    std::int64_t least = one.last_milli < 0 ? one.meter->billing.start_milli() : one.last_milli;
    if (is_low_begin(one, milli)) {
        ++one.tally.low_begins;
        ++low_begins_;
        least = milli;
    }
    if (milli > truth_milli || milli < least) {
        ++one.tally.wrong;
        if (++wrong_ <= 3) {
            std::cout << "WRONG " << one.meter->id << ": confirmed " << milli
                      << ", the register holds " << truth_milli << ", before it was " << least
                      << "\n";
            for (const std::string& line : one.line->diary) std::cout << "    " << line << "\n";
        }
    }
    one.last_milli = milli;
}

void Court::failure(PollFailure failure) {
    Case& one = cases_.at(failure.meter);
    const std::lock_guard lock(one.line->mutex);
    ++one.tally.failures;
    one.line->note("failure " + failure.meter + " " + to_string(failure.result) + ": " +
                   failure.detail);
}

std::array<Tally, kWays> Court::tallies() {
    std::array<Tally, kWays> all;
    for (auto& [id, one] : cases_) {
        const std::lock_guard lock(one.line->mutex);
        add_to(all[static_cast<std::size_t>(one.line->way())], one.tally);
    }
    return all;
}

}  // namespace gatehouse::test
