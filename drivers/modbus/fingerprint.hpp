// Which profile is this? Judges the words that an unknown device answered against a profile: its
// identification rules where it has some, and otherwise whether its values make sense. It reads
// nothing itself: the scan asks what next_question() names, for water meters as for electricity
// meters, and hands the answers in. Pure; any thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "drivers/modbus/profile.hpp"

namespace gatehouse::modbus {

// What one address answered so far. Only whole questions are kept: an answer to a span, or that it
// was refused (an exception, or silence that the scan gave up on).
class ProbeImage {
  public:
    explicit ProbeImage(int address) : address_(address) {}
    [[nodiscard]] int address() const { return address_; }
    void answered(const RegisterSpan& span, const std::vector<std::uint16_t>& words) {
        image_.set(span, words);
    }
    void refused(const RegisterSpan& span) { refused_.push_back(span); }
    [[nodiscard]] const RegisterImage& words() const { return image_; }
    [[nodiscard]] bool has(const RegisterSpan& span) const { return image_.get(span).has_value(); }
    // A span is refused where it was, or where it holds one that was.
    [[nodiscard]] bool is_refused(const RegisterSpan& span) const;
    // Answered or refused: asking again tells nothing.
    [[nodiscard]] bool is_known(const RegisterSpan& span) const {
        return has(span) || is_refused(span);
    }

  private:
    int address_;
    RegisterImage image_;
    std::vector<RegisterSpan> refused_;
};

// In rising order. The consequence for the scan's registry line stands beside each.
enum class Match {
    no,        // a rule or a value speaks against it: not offered
    possible,  // nothing speaks against it: offered as a choice, for a person to compare
    likely,    // rules or values that few others share speak for it: offered first
    certain,   // the device names its model: written into the line
};
[[nodiscard]] const char* to_string(Match match);

struct Fingerprint {
    Match match = Match::possible;
    int score = 0;          // orders profiles of one match: rules and values that speak for it
    bool complete = false;  // every span of fingerprint_spans() is known
    std::string why;        // one line for a person: what spoke for it or against it
    std::string serial;     // where the profile names one and it was read
};
// `channel` of a module's inputs is judged alone; 0 for all else.
[[nodiscard]] Fingerprint fingerprint(const Profile& profile, const ProbeImage& image,
                                      int channel = 0);

// The spans that judge this profile, each a whole value: rules first, then voltage and frequency,
// the billing register with its factors, the serial number. Short: ten at most.
[[nodiscard]] std::vector<RegisterSpan> fingerprint_spans(const Profile& profile);

struct Candidate {
    std::shared_ptr<const Profile> profile;
    Fingerprint fingerprint;
};
// All but `no`, best first; equal ones in order of id.
[[nodiscard]] std::vector<Candidate> rank_candidates(const ProfileTable& table,
                                                     const ProbeImage& image);

// The next span to read at this address: one that a likely profile wants, the best of them first,
// else the one that most profiles still in question want, rules before values. Nothing once one
// profile is certain and complete, or all are judged. The number of questions is bounded by the
// spans of all profiles; a scan may stop earlier.
[[nodiscard]] std::optional<RegisterSpan> next_question(const ProfileTable& table,
                                                        const ProbeImage& image);

}  // namespace gatehouse::modbus
