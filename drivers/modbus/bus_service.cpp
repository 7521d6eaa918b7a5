#include "drivers/modbus/bus_service.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "drivers/modbus/bus_host.hpp"
#include "drivers/modbus/bus_worker.hpp"

namespace gatehouse::modbus {
namespace {

// One meter behind Modbus TCP: nothing is shared, and with transaction numbers no turn is long.
bool pooled(const BusPlan& plan) {
    return plan.settings.transport == Transport::tcp && plan.settings.transaction_id_echoed &&
           !plan.settings.dial_in && plan.meters.size() <= 1;
}

bool keeps(const BusPlan& before, const BusPlan& now) {
    return before.settings == now.settings && before.response_timeout_ms == now.response_timeout_ms;
}

}  // namespace

struct BusService::Impl {
    struct Running {
        BusPlan plan;
        std::shared_ptr<BusWorker> worker;
        std::shared_ptr<BusHost> host;
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
    mutable std::mutex mutex;  // never held while a turn is waited for
    std::map<std::string, Running> buses;
    std::map<std::string, std::string> bus_of;  // by meter
    std::vector<BusStatus> left_out;
    std::shared_ptr<BusHost> pool;  // made with the first bus that wants it
    bool stopped = false;

    std::shared_ptr<BusHost> host_for(const BusPlan& plan) {
        if (!pooled(plan)) return std::make_shared<BusHost>(clock, plan.id, 1);
        if (!pool) pool = std::make_shared<BusHost>(clock, "pool", kPoolThreads);
        return pool;
    }
    const Running* running_of(const std::string& meter) const {
        const auto bus = bus_of.find(meter);
        if (bus == bus_of.end()) return nullptr;
        const auto found = buses.find(bus->second);
        return found == buses.end() ? nullptr : &found->second;
    }
    std::vector<std::string> leave_out(std::vector<BusPlan>& plans);
    void end_those_not_in(const std::vector<BusPlan>& plans);
    void apply(BusPlan plan);
};

// More than there are threads or descriptors for. The first ones stay.
std::vector<std::string> BusService::Impl::leave_out(std::vector<BusPlan>& plans) {
    std::vector<std::string> refused;
    std::vector<BusStatus> out;
    std::size_t threaded = 0;
    std::size_t shared = 0;
    std::erase_if(plans, [&](const BusPlan& plan) {
        const bool in_pool = pooled(plan);
        if (in_pool ? ++shared <= kPooledBusesMax : ++threaded <= kThreadedBusesMax) return false;
        BusStatus status;
        status.bus = plan.id;
        status.phase = BusPhase::offline;
        status.meters = static_cast<int>(plan.meters.size());
        status.since_mono_ms = clock.mono_ms();
        status.reason = in_pool ? "left out: at most " + std::to_string(kPooledBusesMax) +
                                      " buses with one meter behind Modbus TCP are served"
                                : "left out: at most " + std::to_string(kThreadedBusesMax) +
                                      " serial lines and gateways with several meters are served";
        refused.push_back("bus " + plan.id + " is " + status.reason);
        out.push_back(std::move(status));
        return true;
    });
    const std::lock_guard lock(mutex);
    left_out = std::move(out);
    return refused;
}

void BusService::Impl::end_those_not_in(const std::vector<BusPlan>& plans) {
    std::vector<Running> ending;
    {
        const std::lock_guard lock(mutex);
        for (auto entry = buses.begin(); entry != buses.end();) {
            const bool kept = std::any_of(plans.begin(), plans.end(), [&](const BusPlan& plan) {
                return plan.id == entry->first && keeps(entry->second.plan, plan);
            });
            if (kept) {
                ++entry;
                continue;
            }
            ending.push_back(std::move(entry->second));
            entry = buses.erase(entry);
        }
    }
    for (const Running& one : ending) one.worker->ask_to_stop();
    for (const Running& one : ending) {
        one.host->wake(*one.worker);
        one.host->remove(*one.worker);
        one.worker->close();
    }
}

void BusService::Impl::apply(BusPlan plan) {
    const auto found = buses.find(plan.id);
    if (found == buses.end()) {
        Running fresh;
        fresh.worker = std::make_shared<BusWorker>(plan, clock, random.next_u64(), sink, run,
                                                   links(plan.settings));
        fresh.host = host_for(plan);
        fresh.plan = plan;
        fresh.host->add(fresh.worker);
        const std::lock_guard lock(mutex);
        buses[plan.id] = std::move(fresh);
        return;
    }
    Running& running = found->second;
    if (running.plan == plan) return;
    running.worker->update(plan);
    if (pooled(plan) != pooled(running.plan)) {
        // It goes on where it was, with another thread.
        const std::shared_ptr<BusHost> before = running.host;
        before->remove(*running.worker);
        const std::shared_ptr<BusHost> host = host_for(plan);
        host->add(running.worker);
        const std::lock_guard lock(mutex);
        running.host = host;
        running.plan = std::move(plan);
        return;
    }
    running.host->wake(*running.worker);
    const std::lock_guard lock(mutex);
    running.plan = std::move(plan);
}

BusService::BusService(const Clock& clock, Random& random, SampleSink& sink, std::int64_t run,
                       LinkFactory links)
    : impl_(std::make_unique<Impl>(clock, random, sink, run, std::move(links))) {}

BusService::~BusService() {
    stop();
}

std::vector<std::string> BusService::configure(std::vector<BusPlan> plans) {
    Impl& impl = *impl_;
    const std::lock_guard alone(impl.configuring);
    if (impl.stopped) return {"the bus service has stopped"};
    for (BusPlan& plan : plans) {
        std::erase_if(plan.meters, [](const MeterPlan& meter) { return !meter.profile; });
    }
    std::vector<std::string> refused = impl.leave_out(plans);
    for (const BusStatus& status : impl.left_out) impl.sink.bus(status);
    // A changed bus must let go of its port before its successor opens it.
    impl.end_those_not_in(plans);
    std::map<std::string, std::string> bus_of;
    for (const BusPlan& plan : plans) {
        for (const MeterPlan& meter : plan.meters) bus_of[meter.id] = plan.id;
    }
    for (BusPlan& plan : plans) impl.apply(std::move(plan));
    const std::lock_guard lock(impl.mutex);
    impl.bus_of = std::move(bus_of);
    return refused;
}

void BusService::poll_soon(const std::string& meter) {
    const std::lock_guard lock(impl_->mutex);
    const Impl::Running* running = impl_->running_of(meter);
    if (running == nullptr) return;
    running->worker->poll_soon(meter);
    running->host->wake(*running->worker);
}

bool BusService::read_now(const std::string& meter, ReadHandler handler) {
    const std::lock_guard lock(impl_->mutex);
    const Impl::Running* running = impl_->running_of(meter);
    if (running == nullptr || !running->worker->read_now(meter, std::move(handler))) return false;
    running->host->wake(*running->worker);
    return true;
}

std::string BusService::run_job(const std::string& bus, std::shared_ptr<BusJob> job) {
    const std::lock_guard lock(impl_->mutex);
    const auto found = impl_->buses.find(bus);
    if (found == impl_->buses.end()) return "there is no bus " + bus + " that is served";
    std::string reason = found->second.worker->run_job(std::move(job));
    if (reason.empty()) found->second.host->wake(*found->second.worker);
    return reason;
}

std::vector<BusStatus> BusService::status() const {
    const std::lock_guard lock(impl_->mutex);
    std::vector<BusStatus> all;
    for (const auto& [id, running] : impl_->buses) all.push_back(running.worker->status());
    all.insert(all.end(), impl_->left_out.begin(), impl_->left_out.end());
    return all;
}

std::vector<Heartbeat> BusService::heartbeats() const {
    const std::lock_guard lock(impl_->mutex);
    std::vector<Heartbeat> all;
    if (impl_->pool) all = impl_->pool->heartbeats();
    for (const auto& [id, running] : impl_->buses) {
        if (running.host == impl_->pool) continue;
        for (Heartbeat& beat : running.host->heartbeats()) all.push_back(std::move(beat));
    }
    return all;
}

void BusService::stop() {
    const std::lock_guard alone(impl_->configuring);
    impl_->end_those_not_in({});
    const std::lock_guard lock(impl_->mutex);
    impl_->stopped = true;
    impl_->bus_of.clear();
    impl_->left_out.clear();
}

}  // namespace gatehouse::modbus
