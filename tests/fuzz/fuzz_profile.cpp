// A meter profile as a technician may write it: whatever the text, it is a profile whose own
// vectors hold, or problems with their places, and never both nor neither.
#include <cstdlib>

#include "drivers/modbus/profile.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace gatehouse::modbus;
    const std::string text(reinterpret_cast<const char*>(data), size);
    const ParsedProfile parsed = parse_profile(text, "fuzz.toml");
    if (static_cast<bool>(parsed.profile) == !parsed.problems.empty()) std::abort();
    if (!parsed.profile) return 0;
    const Profile& profile = *parsed.profile;
    if (!run_vectors(profile).empty()) std::abort();
    for (int channel = 0; channel < profile.channels; ++channel) {
        for (const gatehouse::RegisterSpan& span : profile.full_spans(channel)) {
            if (span.count < 1 || span.first < 0 || span.end() > 0x10000) std::abort();
        }
    }
    return 0;
}
