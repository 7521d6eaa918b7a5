#include "daemon/core/sample.hpp"

#include "daemon/core/assert.hpp"

namespace gatehouse {

const char* to_string(PollResult result) {
    static constexpr std::array<const char*, kPollResults> kWords{
        "ok",           "timeout",        "crc",      "foreign_frame", "exception",    "busy",
        "gateway_path", "gateway_target", "sentinel", "implausible",   "not_connected"};
    const auto index = static_cast<std::size_t>(result);
    GH_ASSERT(index < kWords.size());
    return kWords[index];
}

const char* to_string(BusPhase phase) {
    static constexpr std::array<const char*, 3> kWords{"connecting", "online", "offline"};
    const auto index = static_cast<std::size_t>(phase);
    GH_ASSERT(index < kWords.size());
    return kWords[index];
}

}  // namespace gatehouse
