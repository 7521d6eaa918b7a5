#include "drivers/modbus/bus_service.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "drivers/modbus/bus_worker.hpp"

namespace gatehouse::modbus {

struct BusService::Impl {
    struct Running {
        BusPlan plan;
        std::unique_ptr<BusWorker> worker;
    };

    const Clock& clock;
    Random& random;
    SampleSink& sink;
    std::int64_t run;
    LinkFactory links;
    mutable std::mutex mutex;
    std::map<std::string, Running> buses;
    std::map<std::string, std::string> bus_of;  // by meter
    bool stopped = false;

    static bool keeps(const BusPlan& before, const BusPlan& now) {
        return before.settings == now.settings &&
               before.response_timeout_ms == now.response_timeout_ms;
    }
    BusWorker* worker_of(const std::string& meter) const {
        const auto bus = bus_of.find(meter);
        if (bus == bus_of.end()) return nullptr;
        const auto found = buses.find(bus->second);
        return found == buses.end() ? nullptr : found->second.worker.get();
    }
};

BusService::BusService(const Clock& clock, Random& random, SampleSink& sink, std::int64_t run,
                       LinkFactory links)
    : impl_(new Impl{clock, random, sink, run, std::move(links), {}, {}, {}, false}) {}

BusService::~BusService() {
    stop();
}

std::vector<std::string> BusService::configure(std::vector<BusPlan> plans) {
    Impl& impl = *impl_;
    std::vector<std::string> refused;
    std::vector<std::unique_ptr<BusWorker>> ending;
    const std::lock_guard lock(impl.mutex);
    if (impl.stopped) return {"the bus service has stopped"};
    for (std::size_t i = kBusesMax; i < plans.size(); ++i) {
        refused.push_back("bus " + plans[i].id + " is left out: at most " +
                          std::to_string(kBusesMax) + " buses are served");
    }
    if (plans.size() > kBusesMax) plans.resize(kBusesMax);
    std::set<std::string> wanted;
    for (BusPlan& plan : plans) {
        std::erase_if(plan.meters, [](const MeterPlan& meter) { return !meter.profile; });
        wanted.insert(plan.id);
    }
    for (auto entry = impl.buses.begin(); entry != impl.buses.end();) {
        const auto now = std::find_if(plans.begin(), plans.end(), [&](const BusPlan& plan) {
            return plan.id == entry->first && Impl::keeps(entry->second.plan, plan);
        });
        if (now != plans.end()) {
            ++entry;
            continue;
        }
        ending.push_back(std::move(entry->second.worker));
        ending.back()->ask_to_stop();
        entry = impl.buses.erase(entry);
    }
    // A changed bus must let go of its port before its successor opens it.
    ending.clear();
    impl.bus_of.clear();
    for (BusPlan& plan : plans) {
        for (const MeterPlan& meter : plan.meters) impl.bus_of[meter.id] = plan.id;
        const auto running = impl.buses.find(plan.id);
        if (running != impl.buses.end()) {
            if (running->second.plan == plan) continue;
            running->second.worker->update(plan);
            running->second.plan = std::move(plan);
            continue;
        }
        Impl::Running fresh;
        fresh.plan = plan;
        fresh.worker = std::make_unique<BusWorker>(plan, impl.clock, impl.random.next_u64(),
                                                   impl.sink, impl.run, impl.links(plan.settings));
        impl.buses[plan.id] = std::move(fresh);
    }
    return refused;
}

void BusService::poll_soon(const std::string& meter) {
    const std::lock_guard lock(impl_->mutex);
    if (BusWorker* worker = impl_->worker_of(meter)) worker->poll_soon(meter);
}

bool BusService::read_now(const std::string& meter, ReadHandler handler) {
    const std::lock_guard lock(impl_->mutex);
    BusWorker* worker = impl_->worker_of(meter);
    return worker != nullptr && worker->read_now(meter, std::move(handler));
}

std::vector<BusStatus> BusService::status() const {
    const std::lock_guard lock(impl_->mutex);
    std::vector<BusStatus> all;
    for (const auto& [id, running] : impl_->buses) all.push_back(running.worker->status());
    return all;
}

std::vector<Heartbeat> BusService::heartbeats() const {
    const std::lock_guard lock(impl_->mutex);
    std::vector<Heartbeat> all;
    for (const auto& [id, running] : impl_->buses) all.push_back(running.worker->heartbeat());
    return all;
}

void BusService::stop() {
    std::map<std::string, Impl::Running> ending;
    {
        const std::lock_guard lock(impl_->mutex);
        impl_->stopped = true;
        ending = std::exchange(impl_->buses, {});
        impl_->bus_of.clear();
    }
    for (auto& [id, running] : ending) running.worker->ask_to_stop();
    for (auto& [id, running] : ending) running.worker->join();
}

}  // namespace gatehouse::modbus
