#include "drivers/modbus/fingerprint.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <utility>

#include "drivers/modbus/decode.hpp"
#include "drivers/modbus/plausibility.hpp"

namespace gatehouse::modbus {
namespace {

constexpr int kCertainScore = 100;
constexpr int kLikelyScore = 20;
constexpr int kGoodScore = 10;
// Two values that few wrong maps would give (a mains voltage and a mains frequency) make a profile
// likely without any rule.
constexpr int kLikelyValues = 2;
constexpr std::size_t kSpansMax = 10;

// What tells a wrong map from a right one at the least cost on the wire.
constexpr std::array kTelling{Measurement::voltage_l1, Measurement::frequency,
                              Measurement::power_factor, Measurement::battery};

struct RuleVerdict {
    enum class Kind { unknown, holds, fails, silent } kind = Kind::unknown;
    std::string text;
};

std::optional<Rational> masked(const IdentityRule& rule, const Rational& number) {
    if (rule.mask == 0) return multiply(number, rule.part.scale);
    if (number.denominator != 1 || number.numerator < 0) return std::nullopt;
    auto bits = static_cast<std::uint64_t>(number.numerator) & rule.mask;
    std::uint64_t mask = rule.mask;
    while ((mask & 1U) == 0) {
        mask >>= 1U;
        bits >>= 1U;
    }
    return Rational{static_cast<Int128>(bits), 1};
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same_letters(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return lower(x) == lower(y); });
}

bool text_holds(const IdentityRule& rule, std::string_view text) {
    const auto begins = [&](const std::string& start) {
        return text.size() >= start.size() && same_letters(text.substr(0, start.size()), start);
    };
    return std::any_of(rule.begins_with.begin(), rule.begins_with.end(), begins) ||
           std::any_of(rule.equals.begin(), rule.equals.end(),
                       [&](const std::string& whole) { return same_letters(text, whole); });
}

bool number_holds(const IdentityRule& rule, const Rational& number, int address) {
    if (rule.own_address && compare(number, {address, 1}) != 0) return false;
    if (rule.at_least && compare(number, *rule.at_least) < 0) return false;
    if (rule.at_most && compare(number, *rule.at_most) > 0) return false;
    return rule.one_of.empty() ||
           std::any_of(rule.one_of.begin(), rule.one_of.end(),
                       [&](const Rational& one) { return compare(number, one) == 0; });
}

RuleVerdict judge_rule(const IdentityRule& rule, const ProbeImage& image) {
    const auto words = image.words().get(rule.part.field.span);
    if (!words) {
        if (!image.is_refused(rule.part.field.span)) return {};
        return {RuleVerdict::Kind::silent, "it has no " + rule.name};
    }
    const FieldValue value = decode_field(rule.part.field, *words);
    if (value.state != FieldState::ok)
        return {RuleVerdict::Kind::fails, rule.name + " " + value.how};
    if (is_text(rule.part.field.encoding)) {
        const bool holds = text_holds(rule, value.text);
        return {holds ? RuleVerdict::Kind::holds : RuleVerdict::Kind::fails,
                rule.name + " \"" + value.text + "\""};
    }
    const auto number = masked(rule, value.number);
    const bool holds = number && number_holds(rule, *number, image.address());
    return {holds ? RuleVerdict::Kind::holds : RuleVerdict::Kind::fails,
            rule.name + " " + (number ? format_rational(*number) : value.how)};
}

void note(Fingerprint& fingerprint, const std::string& text) {
    if (text.empty()) return;
    if (!fingerprint.why.empty()) fingerprint.why += "; ";
    fingerprint.why += text;
}

void refuse(Fingerprint& fingerprint, const std::string& text) {
    if (fingerprint.match != Match::no) fingerprint.why.clear();
    fingerprint.match = Match::no;
    note(fingerprint, text);
}

void judge_rules(const Profile& profile, const ProbeImage& image, Fingerprint& fingerprint) {
    for (const IdentityRule& rule : profile.identify) {
        const RuleVerdict verdict = judge_rule(rule, image);
        switch (verdict.kind) {
            case RuleVerdict::Kind::unknown:
                break;
            case RuleVerdict::Kind::holds:
                fingerprint.score += rule.certain ? kCertainScore : kLikelyScore;
                fingerprint.match =
                    std::max(fingerprint.match, rule.certain ? Match::certain : Match::likely);
                note(fingerprint, verdict.text);
                break;
            case RuleVerdict::Kind::fails:
                if (!rule.refutes) {
                    fingerprint.score -= kGoodScore;
                    break;
                }
                refuse(fingerprint, verdict.text);
                return;
            case RuleVerdict::Kind::silent:
                // A firmware may lack the register of a rule; it is worth less then, not nothing.
                fingerprint.score -= rule.certain ? kLikelyScore : kGoodScore;
                break;
        }
    }
}

// The telling values, then the register itself.
void judge_telling(const Profile& profile, const ProbeImage& image, int channel,
                   Fingerprint& fingerprint) {
    int supporting = 0;
    std::vector<Measurement> all(kTelling.begin(), kTelling.end());
    all.push_back(profile.billing);
    for (const Measurement measurement : all) {
        if (profile.find(measurement) == nullptr) continue;
        const auto spans = profile.spans(measurement, channel);
        const bool refused = std::any_of(spans.begin(), spans.end(), [&](const RegisterSpan& span) {
            return image.is_refused(span);
        });
        if (refused) {
            refuse(fingerprint, std::string("it has no register for ") + to_string(measurement));
            return;
        }
        const Decoded decoded = profile.decode(measurement, channel, image.words());
        const Finding finding = judge_value(profile, measurement, decoded);
        const std::string text = std::string(to_string(measurement)) + " " + finding.value;
        if (finding.sense == Sense::against) {
            refuse(fingerprint, text + ": " + finding.text);
            return;
        }
        if (finding.sense != Sense::good) continue;
        fingerprint.score += kGoodScore;
        ++supporting;
        note(fingerprint, text);
    }
    if (supporting >= kLikelyValues) fingerprint.match = std::max(fingerprint.match, Match::likely);
}

}  // namespace

bool ProbeImage::is_refused(const RegisterSpan& span) const {
    return std::any_of(refused_.begin(), refused_.end(),
                       [&](const RegisterSpan& refused) { return span.contains(refused); });
}

const char* to_string(Match match) {
    switch (match) {
        case Match::no:
            return "no";
        case Match::possible:
            return "possible";
        case Match::likely:
            return "likely";
        case Match::certain:
            return "certain";
    }
    return "?";
}

std::vector<RegisterSpan> fingerprint_spans(const Profile& profile) {
    std::vector<RegisterSpan> spans;
    const auto want = [&](const RegisterSpan& span) {
        if (spans.size() < kSpansMax && std::find(spans.begin(), spans.end(), span) == spans.end())
            spans.push_back(span);
    };
    for (const IdentityRule& rule : profile.identify) want(rule.part.field.span);
    // The register before what merely supports it, so that the limit never leaves it out.
    for (const RegisterSpan& span : profile.spans(profile.billing, 0)) want(span);
    for (const Measurement measurement : kTelling)
        for (const RegisterSpan& span : profile.spans(measurement, 0)) want(span);
    for (const RegisterSpan& span : profile.spans(Measurement::serial, 0)) want(span);
    return spans;
}

Fingerprint fingerprint(const Profile& profile, const ProbeImage& image, int channel) {
    Fingerprint fingerprint;
    judge_rules(profile, image, fingerprint);
    if (fingerprint.match != Match::no) judge_telling(profile, image, channel, fingerprint);
    const auto spans = fingerprint_spans(profile);
    fingerprint.complete = std::all_of(
        spans.begin(), spans.end(), [&](const RegisterSpan& span) { return image.is_known(span); });
    const Decoded serial = profile.decode(Measurement::serial, channel, image.words());
    if (serial.result == PollResult::ok) fingerprint.serial = serial.text;
    if (fingerprint.match == Match::no) fingerprint.score = 0;
    return fingerprint;
}

std::vector<Candidate> rank_candidates(const ProfileTable& table, const ProbeImage& image) {
    std::vector<Candidate> candidates;
    for (const auto& [id, profile] : table.profiles) {
        Fingerprint judged = fingerprint(*profile, image);
        const auto billing = profile->spans(profile->billing, 0);
        const bool seen = std::all_of(billing.begin(), billing.end(),
                                      [&](const RegisterSpan& span) { return image.has(span); });
        // Nobody is offered a profile of whose register nothing was read.
        if (judged.match != Match::no && seen) candidates.push_back({profile, std::move(judged)});
    }
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Candidate& a, const Candidate& b) {
                         if (a.fingerprint.match != b.fingerprint.match)
                             return a.fingerprint.match > b.fingerprint.match;
                         return a.fingerprint.score > b.fingerprint.score;
                     });
    return candidates;
}

std::optional<RegisterSpan> next_question(const ProfileTable& table, const ProbeImage& image) {
    struct Wish {
        int likely = 0;  // the best score of a likely profile that wants it
        int profiles = 0;
        bool certain = false;
    };
    std::map<RegisterSpan, Wish> wishes;
    std::optional<RegisterSpan> of_certain;
    for (const auto& [id, profile] : table.profiles) {
        const Fingerprint judged = fingerprint(*profile, image);
        if (judged.match == Match::no) continue;
        for (const RegisterSpan& span : fingerprint_spans(*profile)) {
            if (image.is_known(span)) continue;
            if (judged.match == Match::certain && !of_certain) of_certain = span;
            Wish& wish = wishes[span];
            ++wish.profiles;
            if (judged.match == Match::likely) wish.likely = std::max(wish.likely, judged.score);
            for (const IdentityRule& rule : profile->identify)
                wish.certain = wish.certain || (rule.certain && rule.part.field.span == span);
        }
        // One that names itself leaves nothing to ask of the others.
        if (judged.match == Match::certain) return of_certain;
    }
    // What is likely is asked to its end first: a device that answers 0 to whatever it does not
    // have refutes nothing, and the questions end before its own registers are reached.
    const auto better = [](const auto& a, const auto& b) {
        if (a.second.likely != b.second.likely) return a.second.likely < b.second.likely;
        if (a.second.profiles != b.second.profiles) return a.second.profiles < b.second.profiles;
        return a.second.certain < b.second.certain;
    };
    const auto best = std::max_element(wishes.begin(), wishes.end(), better);
    if (best == wishes.end()) return std::nullopt;
    return best->first;
}

}  // namespace gatehouse::modbus
