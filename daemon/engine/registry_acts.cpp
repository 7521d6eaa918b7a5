#include "daemon/engine/registry_acts.hpp"

#include <utility>

namespace gatehouse {

void change_meter_row(Context& context, std::size_t index,
                      const std::function<void(Meter&)>& change) {
    Registry registry = *context.world.registry;
    const Meter before = registry.meters[index];
    change(registry.meters[index]);
    if (registry.meters[index] == before) return;
    context.store.put_registry(registry, context.now);
    context.world.registry = std::make_shared<const Registry>(std::move(registry));
    bind_registry(context, context.world);
    context.registry_moved = true;
    for (std::size_t i = 0; i < context.world.meters.size(); ++i) context.dirty_meters.insert(i);
    for (std::size_t i = 0; i < context.world.accounts.size(); ++i)
        context.dirty_accounts.insert(i);
}

}  // namespace gatehouse
