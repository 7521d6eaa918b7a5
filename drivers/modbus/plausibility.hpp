// Does what was read make sense? A value in the wrong word order or scale often looks like a
// number; this says whether it can be true of the meter (a mains voltage, a mains frequency, power
// that fits volts and amperes, a register that a meter can have reached), and which other order,
// scale or profile would make sense of the same words. It is asked at commissioning (`read --raw`,
// scan) and decides nothing about money: readings are confirmed in core. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "drivers/modbus/profile.hpp"

namespace gatehouse::modbus {

enum class Sense {
    against,  // it cannot be true of this meter
    neutral,  // it says nothing: not read, zero, or nothing to compare with
    good      // few wrong maps would give it
};

struct Finding {
    Measurement measurement = Measurement::energy_import;
    Sense sense = Sense::neutral;
    std::string value;  // with its unit
    std::string text;   // one line for a person
};

// One value alone. `decoded` is of that measurement and `profile`.
[[nodiscard]] Finding judge_value(const Profile& profile, Measurement measurement,
                                  const Decoded& decoded);

// Another way to read the words of a value that speaks against the profile.
struct Alternative {
    Measurement measurement = Measurement::energy_import;
    std::string what;   // "word order CDAB", "scale x 0.1", "profile chint-dtsu666-401e"
    std::string value;  // what it would be, with its unit
};

struct PlausibilityReport {
    std::vector<Finding> findings;  // in the profile's order; what compares several of them last
    std::vector<Alternative> alternatives;
    [[nodiscard]] bool plausible() const;                  // nothing speaks against it
    [[nodiscard]] bool supported() const;                  // and something speaks for it
    [[nodiscard]] std::vector<std::string> lines() const;  // for a person, empty where all is well
};
// All values of one channel. `table`, if given, is searched for sister profiles (same maker and
// service) whose registers were read as well.
[[nodiscard]] PlausibilityReport judge_values(const Profile& profile, int channel,
                                              const RegisterImage& image,
                                              const ProfileTable* table = nullptr);

// Whether the register moved as far as the power of that time would move it: a scale that is wrong
// by ten shows here and nowhere else. Empty where it fits or says nothing (below ten steps).
//   growth: register now - register before, kWh; elapsed_ms: time between; power_w: the mean of
//   both
[[nodiscard]] std::string judge_growth(const Profile& profile, const Rational& growth,
                                       std::int64_t elapsed_ms, const Rational& power_w);

// Whether a transformer ratio is applied twice: by the meter and by the registry's multiplier.
// Empty where not; else one line that names the registers. `image` may lack the ratios.
[[nodiscard]] std::string judge_multiplier(const Profile& profile, int channel,
                                           const RegisterImage& image, const Rational& multiplier);

}  // namespace gatehouse::modbus
