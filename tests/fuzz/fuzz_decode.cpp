// Words as they may come off the wire, through every value of every shipped profile. Byte 0 chooses
// the profile, byte 1 the channel; the rest fills its registers from the lowest on. Whatever the
// words, a value is a number with a positive denominator, a printable text, or says that it is
// none.
#include <algorithm>
#include <cstdlib>

#include "drivers/modbus/profile.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using namespace gatehouse;
using namespace gatehouse::modbus;

std::vector<std::shared_ptr<const Profile>> shipped() {
    const ProfileTable table = load_profiles({GATEHOUSE_METERS});
    std::vector<std::shared_ptr<const Profile>> all;
    for (const auto& [id, profile] : table.profiles) {
        if (profile) all.push_back(profile);
    }
    if (all.empty()) std::abort();
    return all;
}

void check(const Decoded& decoded) {
    if (decoded.result != PollResult::ok) return;
    if (decoded.number.denominator <= 0) std::abort();
    const auto printable = [](char c) { return c >= 0x20 && c <= 0x7E; };
    if (!std::all_of(decoded.text.begin(), decoded.text.end(), printable)) std::abort();
    (void)format_rational(decoded.number);
    (void)round_to_milli(decoded.number);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const std::vector<std::shared_ptr<const Profile>> kProfiles = shipped();
    if (size < 2) return 0;
    const Profile& profile = *kProfiles[data[0] % kProfiles.size()];
    const int channel = data[1] % profile.channels;
    std::vector<RegisterSpan> spans = profile.full_spans(channel);
    std::sort(spans.begin(), spans.end());
    RegisterImage image;
    std::size_t at = 2;
    for (const RegisterSpan& span : spans) {
        std::vector<std::uint16_t> words;
        for (int i = 0; i < span.count; ++i) {
            const int high = at < size ? data[at++] : 0;
            const int low = at < size ? data[at++] : 0;
            words.push_back(static_cast<std::uint16_t>(high << 8 | low));
        }
        image.set(span, words);
    }
    for (const Value& value : profile.values) {
        check(profile.decode(value.measurement, channel, image));
    }
    return 0;
}
