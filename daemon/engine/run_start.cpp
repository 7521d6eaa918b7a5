#include "daemon/engine/run_start.hpp"

namespace gatehouse {

std::string make_run_id(Random& random) {
    static constexpr const char* kDigits = "0123456789abcdef";
    std::string id;
    for (int i = 0; i < 2; ++i)
        for (std::uint64_t word = random.next_u64(), k = 0; k < 16; ++k, word >>= 4U)
            id += kDigits[word & 15U];
    return id;
}

ClockBook::Trust trust_of(EngineOptions::Trust trust) {
    switch (trust) {
        case EngineOptions::Trust::system:
            return ClockBook::Trust::system;
        case EngineOptions::Trust::manual:
            return ClockBook::Trust::manual;
        case EngineOptions::Trust::automatic:
            break;
    }
    return ClockBook::Trust::automatic;
}

StoreOptions store_options(const EngineOptions& options, const std::string& run_id,
                           const Clock& clock) {
    StoreOptions store;
    store.path = options.database_path;
    store.run_id = run_id;
    store.version = options.version;
    store.mono_ms = clock.mono_ms();
    store.wall_ms = clock.wall_ms();
    store.site_id = options.site_id;
    store.max_pages = options.max_pages;
    return store;
}

}  // namespace gatehouse
