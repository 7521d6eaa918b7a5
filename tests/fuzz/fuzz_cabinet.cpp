// A cabinet's profile as a technician may write it, and the words of a board: whatever the text, it
// is a profile or problems with their places; whatever the words, a head or a reason, and records
// that bear the cabinet's own name and their own seq.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "drivers/cabinet/kcm.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using namespace gatehouse::cabinet;

const CabinetProfile& any_profile() {
    static const CabinetProfile kProfile;
    return kProfile;
}

void take_words(const CabinetProfile& profile, const std::vector<std::uint16_t>& words) {
    const auto head = decode_kcm_head(words);
    const auto* reason = std::get_if<std::string>(&head);
    if (reason != nullptr && reason->empty()) std::abort();
    for (std::size_t at = 0; at + kKcmRecordWords <= words.size(); at += kKcmRecordWords) {
        const auto first = words.begin() + static_cast<std::ptrdiff_t>(at);
        const std::vector<std::uint16_t> record(first, first + kKcmRecordWords);
        const auto event = decode_kcm_record(profile, "kc-01", 7, record);
        const std::int64_t seq = (std::int64_t{record[0]} << 16) | record[1];
        if (event.has_value() != (seq != 0)) std::abort();
        if (event && (event->id.seq != seq || event->id.source != "kc-01" || event->word.empty()))
            std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::vector<std::uint16_t> words;
    for (std::size_t at = 0; at + 1 < size; at += 2)
        words.push_back(static_cast<std::uint16_t>((data[at] << 8) | data[at + 1]));
    const std::string text(reinterpret_cast<const char*>(data), size);
    const ParsedCabinetProfile parsed = parse_cabinet_profile(text, "fuzz.toml");
    if (static_cast<bool>(parsed.profile) == !parsed.problems.empty()) std::abort();
    take_words(parsed.profile ? *parsed.profile : any_profile(), words);
    return 0;
}
