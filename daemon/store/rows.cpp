#include "daemon/store/rows.hpp"

#include <algorithm>
#include <array>

namespace gatehouse {
namespace {

constexpr std::array<const char*, 7> kKinds{"interval", "freeze", "month",      "switch",
                                            "move",     "manual", "replacement"};

}  // namespace

const char* to_string(ReadingKind kind) {
    return kKinds[static_cast<std::size_t>(kind)];
}

std::optional<ReadingKind> parse_reading_kind(std::string_view word) {
    const auto found = std::find(kKinds.begin(), kKinds.end(), word);
    if (found == kKinds.end()) return std::nullopt;
    return static_cast<ReadingKind>(found - kKinds.begin());
}

const char* to_string(ReadingQuality quality) {
    static constexpr std::array<const char*, 5> kWords{"good", "estimated", "manual", "released",
                                                       "void"};
    return kWords[static_cast<std::size_t>(quality)];
}

void RunTimes::set(std::vector<RunRow> runs) {
    runs_ = std::move(runs);
}

const RunRow* RunTimes::find(std::int64_t run) const {
    const auto found =
        std::lower_bound(runs_.begin(), runs_.end(), run,
                         [](const RunRow& row, std::int64_t value) { return row.run < value; });
    return found == runs_.end() || found->run != run ? nullptr : &*found;
}

RunTimes::Time RunTimes::time(const Stamp& stamp) const {
    const RunRow* run = find(stamp.run);
    if (!run || run->offsets.empty()) return {stamp.wall_ms, false};
    const auto& offsets = run->offsets;
    auto holds = std::upper_bound(
        offsets.begin(), offsets.end(), stamp.mono_ms,
        [](MonoMs mono, const RunOffset& offset) { return mono < offset.from_mono_ms; });
    // What came before the clock was trusted is dated back by the first offset.
    if (holds != offsets.begin()) --holds;
    return {stamp.mono_ms + holds->offset_ms, true};
}

}  // namespace gatehouse
