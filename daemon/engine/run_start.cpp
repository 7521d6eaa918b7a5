#include "daemon/engine/run_start.hpp"

#include <utility>

#include "daemon/engine/world.hpp"

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

void take_over(World& world, const World& before) {
    world.buses = before.buses;
    for (const auto& [id, watch] : before.bus_watch) {
        BusWatch& bus = world.bus_watch[id];
        const std::optional<std::string> alert = std::move(bus.alert);
        bus = watch;
        bus.alert = alert;
    }
    for (const MeterRuntime& old : before.meters) {
        const auto found = world.meter_index.find(old.row->meter);
        if (found == world.meter_index.end()) continue;
        MeterRuntime& meter = world.meters[found->second];
        meter.online = old.online;
        meter.seen = old.seen;
        meter.power_milliwatt = old.power_milliwatt;
        meter.flow_millilitre_per_hour = old.flow_millilitre_per_hour;
        meter.last_poll_at = old.last_poll_at;
        meter.watch = old.watch;
        meter.state_version = old.state_version + 1;
    }
}

}  // namespace gatehouse
