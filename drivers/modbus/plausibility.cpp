#include "drivers/modbus/plausibility.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "drivers/modbus/decode.hpp"

namespace gatehouse::modbus {
namespace {

constexpr std::int64_t kYearHours = 8'766;
constexpr std::int64_t kLifetimeHours = 30 * kYearHours;
constexpr std::int64_t kUsualAmps = 100;  // where neither profile nor maker says
constexpr std::int64_t kUsualFlow = 100;
constexpr std::int64_t kRatioMax = 10'000;   // CT x PT of a register on the primary side
constexpr std::size_t kAlternativesMax = 4;  // of one value

bool below(const Rational& a, const Rational& b) {
    return compare(a, b) < 0;
}
bool within(const Rational& value, const Rational& least, const Rational& most) {
    return !below(value, least) && !below(most, value);
}
Rational whole(std::int64_t number) {
    return {number, 1};
}
Rational absolute(const Rational& value) {
    return value.numerator < 0 ? Rational{-value.numerator, value.denominator} : value;
}
Rational product(const Rational& a, const Rational& b) {
    return multiply(a, b).value_or(Rational{});
}

Rational rated_amps(const Profile& profile) {
    return profile.traits_.rated_amps.value_or(whole(kUsualAmps));
}
// The power that the meter can pass, in W; a register on the primary side has the ratio in it.
Rational rated_watts(const Profile& profile) {
    const std::int64_t volts =
        std::int64_t{profile.traits_.phases} * profile.traits_.nominal_voltage_v;
    const std::int64_t ratio = profile.side == Side::primary ? kRatioMax : 1;
    return product(rated_amps(profile), whole(volts * ratio));
}

// Rounded to three places: people compare it with a display.
std::string shown(const Rational& value, const char* unit) {
    const auto milli = round_to_milli(value);
    std::string text = milli ? format_decimal_trimmed(milli->count, 3, 0) : format_rational(value);
    if (*unit != '\0') text += std::string(" ") + unit;
    return text;
}

struct Verdict {
    Sense sense = Sense::neutral;
    std::string text;
};
Verdict against(std::string text) {
    return {Sense::against, std::move(text)};
}
Verdict good(std::string text) {
    return {Sense::good, std::move(text)};
}

Verdict judge_voltage(const Profile& profile, const Rational& volts) {
    if (volts.numerator == 0) return {Sense::neutral, "no voltage on this phase"};
    const std::int64_t nominal = profile.traits_.nominal_voltage_v;
    if (within(volts, {nominal * 8, 10}, {nominal * 12, 10}))
        return good("a " + std::to_string(nominal) + " V supply");
    for (const std::int64_t other : {110, 120, 127, 220, 230, 240, 400}) {
        if (within(volts, {other * 88, 100}, {other * 112, 100}))
            return {Sense::neutral, "a " + std::to_string(other) +
                                        " V supply, where the profile's "
                                        "nominal voltage is " +
                                        std::to_string(nominal) + " V"};
    }
    return against("no mains voltage: " + std::to_string(nominal) + " V is expected");
}

Verdict judge_frequency(const Rational& hertz) {
    if (hertz.numerator == 0) return {Sense::neutral, "not measured"};
    if (within(hertz, whole(45), whole(65))) return good("a mains frequency");
    return against("no mains frequency: 45 to 65 Hz is expected");
}

Verdict judge_power_factor(const Rational& factor) {
    if (factor.numerator == 0) return {Sense::neutral, "no load"};
    if (within(absolute(factor), whole(0), {1'001, 1'000})) return good("between -1 and 1");
    return against("a power factor is between -1 and 1");
}

Verdict judge_limit(const Rational& value, const Rational& most, const char* what) {
    if (value.numerator == 0) return {};
    if (!below(most, absolute(value))) return {};
    return against(std::string("more than ") + what + ", " + shown(most, ""));
}

// A counter: never below zero, never beyond what its meter passes in thirty years, and never a
// crumb of a step, which is what a float in the wrong order often looks like.
Verdict judge_counter(const Profile& profile, const Rational& value, const Rational& most) {
    if (value.numerator < 0) return against("a counter is never below zero");
    if (value.numerator == 0) return {};
    if (below(most, value))
        return against("more than the meter can count in 30 years, " + shown(most, ""));
    const Rational crumb = product(profile.traits_.step, {1, 1'000});
    if (below(value, crumb)) return against("a thousandth of a step: no counter shows that");
    return {};
}

Verdict judge_energy(const Profile& profile, const Rational& kwh) {
    return judge_counter(profile, kwh, product(rated_watts(profile), {kLifetimeHours, 1'000}));
}

Verdict judge_volume(const Profile& profile, Measurement measurement, const Rational& volume) {
    const Rational flow = profile.traits_.rated_flow.value_or(whole(kUsualFlow));
    const Rational most = product(flow, whole(kLifetimeHours));
    if (measurement == Measurement::volume_net)  // it may be below zero where water flowed back
        return judge_limit(volume, most, "the meter can count in 30 years");
    return judge_counter(profile, volume, most);
}

Verdict judge_number(const Profile& profile, Measurement measurement, const Rational& number) {
    switch (measurement) {
        case Measurement::energy_import:
        case Measurement::energy_import_l1:
        case Measurement::energy_import_l2:
        case Measurement::energy_import_l3:
        case Measurement::energy_export:
        case Measurement::energy_total:
        case Measurement::energy_import_t1:
        case Measurement::energy_import_t2:
        case Measurement::energy_import_t3:
        case Measurement::energy_import_t4:
            return judge_energy(profile, number);
        case Measurement::volume:
        case Measurement::volume_reverse:
        case Measurement::volume_net:
            return judge_volume(profile, measurement, number);
        case Measurement::power:
        case Measurement::power_l1:
        case Measurement::power_l2:
        case Measurement::power_l3:
            return judge_limit(number, product(rated_watts(profile), {3, 2}),
                               "half as much again as the meter is rated for");
        case Measurement::flow:
            return judge_limit(
                number, product(profile.traits_.rated_flow.value_or(whole(kUsualFlow)), whole(2)),
                "twice the rated flow");
        case Measurement::voltage_l1:
        case Measurement::voltage_l2:
        case Measurement::voltage_l3:
            return judge_voltage(profile, number);
        case Measurement::current_l1:
        case Measurement::current_l2:
        case Measurement::current_l3:
            return judge_limit(
                number,
                product(rated_amps(profile), whole(profile.side == Side::primary ? kRatioMax : 2)),
                "twice the rated current");
        case Measurement::frequency:
            return judge_frequency(number);
        case Measurement::power_factor:
            return judge_power_factor(number);
        case Measurement::battery:
            if (within(number, {1, 2}, whole(60))) return {};
            return number.numerator == 0 ? Verdict{} : against("0.5 to 60 V is expected");
        case Measurement::temperature:
            if (within(number, whole(-50), whole(180))) return {};
            return against("-50 to 180 degrees are expected");
        case Measurement::pulses:
        case Measurement::serial:
        case Measurement::status:
        case Measurement::own_balance:
        case Measurement::own_purchases:
        case Measurement::clock:
            return {};
    }
    return {};
}

Verdict judge_serial(const Decoded& decoded) {
    const auto same = [&](char c) {
        return std::all_of(decoded.text.begin(), decoded.text.end(),
                           [c](char x) { return x == c; });
    };
    const bool filler = std::all_of(decoded.raw.begin(), decoded.raw.end(),
                                    [](std::uint16_t word) { return word == 0xFFFF; });
    if (decoded.text.empty() || same('0') || filler)
        return {Sense::neutral, "no serial number is set"};
    return {};
}

constexpr std::array kSupply{Measurement::voltage_l1, Measurement::voltage_l2,
                             Measurement::voltage_l3};
constexpr std::array kCurrents{Measurement::current_l1, Measurement::current_l2,
                               Measurement::current_l3};

// Watts as the registers give them against volts x amperes x power factor.
std::optional<Finding> judge_balance(const Profile& profile, int channel,
                                     const RegisterImage& image) {
    const Decoded power = profile.decode(Measurement::power, channel, image);
    if (power.result != PollResult::ok) return std::nullopt;
    Rational apparent;
    for (std::size_t i = 0; i < kSupply.size(); ++i) {
        if (static_cast<int>(i) >= profile.traits_.phases) break;
        const Decoded volts = profile.decode(kSupply[i], channel, image);
        const Decoded amps = profile.decode(kCurrents[i], channel, image);
        if (volts.result != PollResult::ok || amps.result != PollResult::ok) return std::nullopt;
        const auto share = multiply(absolute(volts.number), absolute(amps.number));
        const auto sum = share ? add(apparent, *share) : std::nullopt;
        if (!sum) return std::nullopt;
        apparent = *sum;
    }
    // Below 50 VA the least step of a current is a large share of it.
    if (below(apparent, whole(50))) return std::nullopt;
    Finding finding;
    finding.measurement = Measurement::power;
    finding.value = shown(power.number, "W");
    const std::string and_volts = "volts x amperes are " + shown(apparent, "VA");
    const Rational most = add(product(apparent, {115, 100}), whole(20)).value_or(apparent);
    const Rational least = product(apparent, {1, 20});
    if (below(most, absolute(power.number))) {
        finding.sense = Sense::against;
        finding.text = "more power than " + and_volts;
    } else if (below(absolute(power.number), least)) {
        finding.sense = Sense::against;
        finding.text = "hardly any power where " + and_volts;
    } else {
        finding.sense = Sense::good;
        finding.text = "fits: " + and_volts;
    }
    return finding;
}

// The registers of the meter's own tariffs, where it uses them, add up to its register or to its
// total (C16): to 0.02 kWh, to a step of each, or to what a float of that size can hold.
std::optional<Finding> judge_tariff_sum(const Profile& profile, int channel,
                                        const RegisterImage& image) {
    constexpr std::array kTariffs{Measurement::energy_import_t1, Measurement::energy_import_t2,
                                  Measurement::energy_import_t3, Measurement::energy_import_t4};
    Rational sum;
    int registers = 0;
    for (const Measurement tariff : kTariffs) {
        if (profile.find(tariff) == nullptr) continue;
        const Decoded one = profile.decode(tariff, channel, image);
        const auto more = add(sum, one.number);
        if (one.result != PollResult::ok || !more) return std::nullopt;
        sum = *more;
        ++registers;
    }
    if (registers < 2 || sum.numerator == 0) return std::nullopt;
    Rational allowed = product(profile.traits_.step, whole(registers));
    for (const Rational& other : {Rational{1, 50}, product(sum, {1, 2'000'000})}) {
        if (below(allowed, other)) allowed = other;
    }
    std::string register_text;
    for (const Measurement total : {profile.billing, Measurement::energy_total}) {
        const Decoded one = profile.decode(total, channel, image);
        const auto apart = subtract(sum, one.number);
        if (one.result != PollResult::ok || !apart) continue;
        if (!below(allowed, absolute(*apart))) return std::nullopt;
        if (register_text.empty()) register_text = shown(one.number, "kWh");
    }
    if (register_text.empty()) return std::nullopt;
    return Finding{Measurement::energy_import_t1, Sense::against, shown(sum, "kWh"),
                   "so much is in the registers of its tariffs together, and the register is " +
                       register_text};
}

std::string scale_name(const Rational& scale) {
    return "scale x " + format_rational(scale);
}

// The value as it would be with another field or scale; nothing where it does not decode.
std::optional<Finding> reread(const Profile& profile, const Value& value, int channel,
                              const RegisterImage& image, WordOrder order, const Rational& scale) {
    Part part = value.parts.front();
    part.field.order = order;
    part.field.span.first += part.field.stride * channel;
    const auto words = image.get(part.field.span);
    if (!words) return std::nullopt;
    const FieldValue field = decode_field(part.field, *words);
    if (field.state != FieldState::ok) return std::nullopt;
    const auto number = multiply(field.number, product(part.scale, scale));
    if (!number) return std::nullopt;
    Decoded decoded;
    decoded.number = *number;
    decoded.raw = *words;
    Finding finding = judge_value(profile, value.measurement, decoded);
    if (number->numerator == 0) finding.sense = Sense::neutral;
    return finding;
}

// What another order or scale would make of a value that cannot be true. An order alone explains
// more than a scale alone, and both together explain little: they are tried in that sequence.
void other_readings(const Profile& profile, const Value& value, int channel,
                    const RegisterImage& image, std::vector<Alternative>& found) {
    if (value.parts.size() != 1 || !value.factors.empty()) return;
    const Field& field = value.parts.front().field;
    if (is_text(field.encoding) || field.encoding == Encoding::bit) return;
    constexpr std::array kOrders{WordOrder::abcd, WordOrder::cdab, WordOrder::badc,
                                 WordOrder::dcba};
    const std::array<Rational, 6> scales{
        {{1, 10}, {10, 1}, {1, 100}, {100, 1}, {1, 1'000}, {1'000, 1}}};
    const std::size_t before = found.size();
    const auto keep = [&](WordOrder order, const Rational& scale, const std::string& what) {
        const auto finding = reread(profile, value, channel, image, order, scale);
        const bool counter = value.measurement <= Measurement::volume_net;
        if (!finding || finding->sense == Sense::against) return;
        if (finding->sense != Sense::good && !counter && value.measurement > Measurement::power_l3)
            return;
        if (found.size() - before < kAlternativesMax)
            found.push_back({value.measurement, what, finding->value});
    };
    for (const WordOrder order : kOrders) {
        if (order != field.order && (field.span.count > 1 || order == WordOrder::badc))
            keep(order, {1, 1}, std::string("word order ") + to_string(order));
    }
    if (found.size() != before) return;
    for (const Rational& scale : scales)
        keep(field.order, scale, scale_name(product(value.parts.front().scale, scale)));
}

// Sister profiles whose registers were read as well and whose value makes sense.
void other_profiles(const Profile& profile, int channel, const RegisterImage& image,
                    Measurement measurement, const ProfileTable& table,
                    std::vector<Alternative>& found) {
    for (const auto& [id, sister] : table.profiles) {
        if (id == profile.id || sister->maker != profile.maker ||
            sister->service != profile.service || channel >= sister->channels)
            continue;
        const Decoded decoded = sister->decode(measurement, channel, image);
        if (decoded.result != PollResult::ok || decoded.number.numerator == 0) continue;
        const Finding finding = judge_value(*sister, measurement, decoded);
        if (finding.sense != Sense::against)
            found.push_back({measurement, "profile " + id, finding.value});
    }
}

}  // namespace

Finding judge_value(const Profile& profile, Measurement measurement, const Decoded& decoded) {
    Finding finding;
    finding.measurement = measurement;
    if (decoded.result == PollResult::implausible) {
        finding.sense = Sense::against;
        finding.text = decoded.steps;
        return finding;
    }
    if (decoded.result != PollResult::ok) {
        finding.text = decoded.steps;
        return finding;
    }
    const bool text = measurement == Measurement::serial || measurement == Measurement::clock;
    finding.value = text ? decoded.text : shown(decoded.number, unit_of(measurement));
    Verdict verdict = measurement == Measurement::serial
                          ? judge_serial(decoded)
                          : judge_number(profile, measurement, decoded.number);
    const Value* value = profile.find(measurement);
    if (verdict.sense == Sense::against && value != nullptr && !value->factors.empty() &&
        measurement >= Measurement::voltage_l1 && measurement <= Measurement::voltage_l3) {
        // Behind a voltage transformer the primary side may be at any voltage.
        verdict = {Sense::neutral, "on the primary side of a transformer"};
    }
    finding.sense = verdict.sense;
    finding.text = std::move(verdict.text);
    return finding;
}

bool PlausibilityReport::plausible() const {
    return std::none_of(findings.begin(), findings.end(),
                        [](const Finding& f) { return f.sense == Sense::against; });
}

bool PlausibilityReport::supported() const {
    return plausible() && std::any_of(findings.begin(), findings.end(),
                                      [](const Finding& f) { return f.sense == Sense::good; });
}

std::vector<std::string> PlausibilityReport::lines() const {
    std::vector<std::string> lines;
    for (const Finding& finding : findings) {
        if (finding.sense != Sense::against) continue;
        std::string line = to_string(finding.measurement);
        if (!finding.value.empty()) line += " " + finding.value;
        lines.push_back(line + ": " + finding.text);
    }
    for (const Alternative& other : alternatives)
        lines.push_back(std::string(to_string(other.measurement)) + " would be " + other.value +
                        " with " + other.what);
    return lines;
}

PlausibilityReport judge_values(const Profile& profile, int channel, const RegisterImage& image,
                                const ProfileTable* table) {
    PlausibilityReport report;
    for (const Value& value : profile.values) {
        const Decoded decoded = profile.decode(value.measurement, channel, image);
        Finding finding = judge_value(profile, value.measurement, decoded);
        if (finding.sense == Sense::against) {
            other_readings(profile, value, channel, image, report.alternatives);
            if (table != nullptr)
                other_profiles(profile, channel, image, value.measurement, *table,
                               report.alternatives);
        }
        report.findings.push_back(std::move(finding));
    }
    if (auto balance = judge_balance(profile, channel, image)) {
        if (balance->sense == Sense::against && table != nullptr)
            other_profiles(profile, channel, image, Measurement::power, *table,
                           report.alternatives);
        report.findings.push_back(std::move(*balance));
    }
    if (auto apart = judge_tariff_sum(profile, channel, image))
        report.findings.push_back(std::move(*apart));
    return report;
}

std::string judge_growth(const Profile& profile, const Rational& growth, std::int64_t elapsed_ms,
                         const Rational& power_w) {
    // W x ms into kWh.
    const Rational expected = product(absolute(power_w), {elapsed_ms, 3'600'000'000});
    const Rational ten_steps = product(profile.traits_.step, whole(10));
    if (elapsed_ms <= 0 || below(expected, ten_steps)) return "";
    // Power is a sample and the register a sum: a load that comes and goes is off by two or three.
    if (within(growth, product(expected, {1, 4}), product(expected, whole(4)))) return "";
    for (const Rational scale :
         {Rational{1, 1'000}, {1, 100}, {1, 10}, {10, 1}, {100, 1}, {1'000, 1}}) {
        const Rational scaled = product(growth, scale);
        if (within(scaled, product(expected, {1, 2}), product(expected, whole(2))))
            return "the register grew by " + shown(growth, "kWh") + " where the power gives " +
                   shown(expected, "kWh") + ": another scale, x " + format_rational(scale) +
                   ", would fit";
    }
    return "the register grew by " + shown(growth, "kWh") + " where the power gives " +
           shown(expected, "kWh");
}

std::string judge_multiplier(const Profile& profile, int channel, const RegisterImage& image,
                             const Rational& multiplier) {
    if (profile.side != Side::primary) return "";
    if (compare(multiplier, whole(1)) == 0) return "";
    std::string ratios;
    for (const Factor& factor : profile.factors) {
        RegisterSpan span = factor.part.field.span;
        span.first += factor.part.field.stride * channel;
        const auto words = image.get(span);
        if (!words || factor.kind != Factor::Kind::ratio) continue;
        const auto number =
            multiply(decode_field(factor.part.field, *words).number, factor.part.scale);
        if (number)
            ratios += (ratios.empty() ? "" : ", ") + factor.name + " " + format_rational(*number);
    }
    return "the register of " + profile.id + " has its transformers in it" +
           (ratios.empty() ? "" : " (" + ratios + " in the meter)") + ": with the multiplier " +
           format_rational(multiplier) + " of the registry a ratio is applied twice";
}

}  // namespace gatehouse::modbus
