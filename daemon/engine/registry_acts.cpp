#include "daemon/engine/registry_acts.hpp"

#include <utility>

namespace gatehouse {

void change_registry(Context& context, const std::function<void(Registry&)>& change) {
    Registry registry = *context.world.registry;
    change(registry);
    if (registry == *context.world.registry) return;
    context.store.put_registry(registry, context.now, context.world.registry.get());
    context.world.registry = std::make_shared<const Registry>(std::move(registry));
    bind_registry(context, context.world);
    context.registry_moved = true;
    for (std::size_t i = 0; i < context.world.meters.size(); ++i) context.dirty_meters.insert(i);
    for (std::size_t i = 0; i < context.world.accounts.size(); ++i)
        context.dirty_accounts.insert(i);
}

void change_meter_row(Context& context, std::size_t index,
                      const std::function<void(Meter&)>& change) {
    change_registry(context, [&](Registry& registry) { change(registry.meters[index]); });
}

Reply change_settings(Context& context, EngineOptions& options, const ChangeSettings& command) {
    options.alerts = command.alerts;
    options.store_interval_ms = command.store_interval_ms;
    bind_registry(context, context.world);
    for (std::size_t i = 0; i < context.world.accounts.size(); ++i) {
        ++context.world.accounts[i].state_version;
        context.dirty_accounts.insert(i);
        context.repriced.insert(i);
    }
    context.registry_moved = true;  // how buses are polled may have changed as well
    Reply reply;
    reply.json = "{}";
    return reply;
}

}  // namespace gatehouse
