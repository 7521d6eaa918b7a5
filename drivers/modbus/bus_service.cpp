#include "drivers/modbus/bus_service.hpp"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <utility>

#include "drivers/modbus/bus_worker.hpp"

namespace gatehouse::modbus {

struct BusService::Impl {
    struct Running {
        BusPlan plan;
        std::unique_ptr<BusWorker> worker;
    };

    Impl(const Clock& the_clock, Random& the_random, SampleSink& the_sink, std::int64_t the_run,
         LinkFactory the_links)
        : clock(the_clock),
          random(the_random),
          sink(the_sink),
          run(the_run),
          links(std::move(the_links)) {}

    const Clock& clock;
    Random& random;
    SampleSink& sink;
    std::int64_t run;
    LinkFactory links;
    std::mutex configuring;    // one configure() or stop() at a time; taken before `mutex`
    mutable std::mutex mutex;  // never held while a worker is joined
    std::map<std::string, Running> buses;
    std::map<std::string, std::string> bus_of;  // by meter
    std::vector<std::unique_ptr<BusWorker>> ending;
    std::atomic<bool> stopped{false};

    static bool keeps(const BusPlan& before, const BusPlan& now) {
        return before.settings == now.settings &&
               before.response_timeout_ms == now.response_timeout_ms;
    }
    // Workers that no plan keeps, out of the map and into `ending`.
    std::vector<std::unique_ptr<BusWorker>>& take_ended(const std::vector<BusPlan>& plans) {
        const std::lock_guard lock(mutex);
        for (auto entry = buses.begin(); entry != buses.end();) {
            const bool kept = std::any_of(plans.begin(), plans.end(), [&](const BusPlan& plan) {
                return plan.id == entry->first && keeps(entry->second.plan, plan);
            });
            if (kept) {
                ++entry;
                continue;
            }
            ending.push_back(std::move(entry->second.worker));
            entry = buses.erase(entry);
        }
        return ending;
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
    : impl_(std::make_unique<Impl>(clock, random, sink, run, std::move(links))) {}

BusService::~BusService() {
    stop();
}

std::vector<std::string> BusService::configure(std::vector<BusPlan> plans) {
    Impl& impl = *impl_;
    std::vector<std::string> refused;
    const std::lock_guard alone(impl.configuring);
    if (impl.stopped) return {"the bus service has stopped"};
    for (std::size_t i = kBusesMax; i < plans.size(); ++i) {
        refused.push_back("bus " + plans[i].id + " is left out: at most " +
                          std::to_string(kBusesMax) + " buses are served");
    }
    if (plans.size() > kBusesMax) plans.resize(kBusesMax);
    for (BusPlan& plan : plans) {
        std::erase_if(plan.meters, [](const MeterPlan& meter) { return !meter.profile; });
    }
    // A changed bus must let go of its port before its successor opens it.
    for (auto& worker : impl.take_ended(plans)) worker->ask_to_stop();
    impl.ending.clear();
    const std::lock_guard lock(impl.mutex);
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

std::string BusService::run_job(const std::string& bus, std::shared_ptr<BusJob> job) {
    const std::lock_guard lock(impl_->mutex);
    if (!job || impl_->buses.count(bus) == 0) return "there is no bus " + bus;
    return "bus " + bus + " takes no jobs";
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
    const std::lock_guard alone(impl_->configuring);
    impl_->stopped = true;
    for (auto& worker : impl_->take_ended({})) worker->ask_to_stop();
    impl_->ending.clear();
    const std::lock_guard lock(impl_->mutex);
    impl_->bus_of.clear();
}

}  // namespace gatehouse::modbus
