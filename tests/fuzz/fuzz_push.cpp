// A cabinet's push as a stranger might send it: whatever comes, what is taken bears the cabinet's
// own name, and stays within the limits.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "drivers/cabinet/push.hpp"
#include "tests/unit/zones.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace gatehouse;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto result = cabinet::decode_push(text, "kc-01", test::kZone);
    const auto* push = std::get_if<KeyPush>(&result);
    if (push == nullptr) return 0;
    if (push->source != "kc-01" || push->events.size() > cabinet::kPushEventsMax) std::abort();
    for (const KeyEvent& event : push->events)
        if (event.id.source != "kc-01" || event.id.seq < 0 || event.id.boot < 0) std::abort();
    return 0;
}
