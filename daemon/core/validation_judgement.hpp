// One sample on its way through the machine of validation.hpp, which is its only door: what speaks
// against the sample by itself (validation_checks.cpp), how it stands to the baseline, and what is
// confirmed or held by that (validation_confirm.cpp). Lives for one call. Any thread.
#pragma once

#include "daemon/core/validation.hpp"

namespace gatehouse {

[[nodiscard]] inline bool is_less(const Rational& a, const Rational& b) {
    return compare(a, b) < 0;
}
[[nodiscard]] inline bool is_equal(const Rational& a, const Rational& b) {
    return compare(a, b) == 0;
}

class Judgement {
  public:
    Judgement(MeterState& state, const Sample& sample, const SampleTime& time,
              const MeterTerms& terms)
        : state_(state), sample_(sample), time_(time), terms_(terms) {}

    [[nodiscard]] Verdict run();
    // What people read from the face waits for no second sample, and is no neighbour of one.
    [[nodiscard]] Verdict run_face(const Rational& tolerance);
    [[nodiscard]] bool passes();

  private:
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

    [[nodiscard]] bool is_duplicate() const;
    void follow_multiplier();
    void follow_opening();
    [[nodiscard]] bool read_value();

    // What speaks against the sample by itself.
    void watch_stuck();
    [[nodiscard]] bool serial_allows();
    [[nodiscard]] bool ratio_allows();
    [[nodiscard]] bool profile_allows();
    [[nodiscard]] bool stays_in_quarantine();
    [[nodiscard]] bool leaps_back(const MeterState::Open& open) const;
    template <class Mark>
    [[nodiscard]] bool watch(Boxed<MeterState::Watch<Mark>>& box, const std::optional<Mark>& read,
                             bool same);

    // How it stands to the baseline and to the sample before.
    void compare_with_baseline();
    void compare_face(const Rational& tolerance);
    [[nodiscard]] Elapsed passed_since(const SampleTime& from) const;
    [[nodiscard]] Elapsed passed_since_baseline() const;
    [[nodiscard]] bool within_cap(const Rational& growth, std::int64_t elapsed) const;
    // `tolerance` is that of the value, where people typed it.
    [[nodiscard]] Classified classify(const Rational& tolerance) const;
    [[nodiscard]] QuarantineReason reason_for(Fit fit) const;
    // Whether a value in the lap of the baseline confirms the sample directly before it.
    [[nodiscard]] bool confirms(const MeterState::Neighbour& first, const Rational& unrolled) const;

    // What comes of it.
    void accept(const Classified& classified);
    bool is_blank() const;
    // `follower` is the sample after it, whose lap changes with the baseline's.
    void confirm(MeterState::Neighbour& neighbour, MeterState::Neighbour& follower);
    void hold(std::string reason);
    void hold_and_count(QuarantineReason reason, std::string why);
    void ask(QuarantineReason reason);
    void refuse_uncountable(const char* what);
    [[nodiscard]] std::string against_baseline(const char* relation) const;

    MeterState& state_;
    const Sample& sample_;
    const SampleTime& time_;
    const MeterTerms& terms_;
    ReadValue value_;
    Verdict verdict_;
};

}  // namespace gatehouse
