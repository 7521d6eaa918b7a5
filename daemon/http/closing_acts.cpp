// The end of an account and the change of a unit's occupant. Before the engine is asked, each meter
// of it is read twice, so that the books close on what it shows now; a meter that does not answer
// is the engine's to judge.
#include <memory>
#include <mutex>
#include <set>
#include <utility>

#include "daemon/http/act_body.hpp"
#include "daemon/http/handover.hpp"

namespace gatehouse::http {

namespace {

// The second of two readings confirms the first.
constexpr int kReadings = 2;

// Samples of several meters that are read at once, and what is done when all have ended.
class Gathering {
  public:
    Gathering(std::size_t meters, std::function<void(std::vector<Sample>)> done)
        : waiting_(meters), done_(std::move(done)) {}
    void add(Sample sample) {
        const std::lock_guard lock(mutex_);
        samples_.push_back(std::move(sample));
    }
    void ended() {
        std::vector<Sample> samples;
        {
            const std::lock_guard lock(mutex_);
            if (--waiting_ > 0) return;
            samples = std::move(samples_);
        }
        done_(std::move(samples));
    }

  private:
    std::mutex mutex_;
    std::size_t waiting_;
    std::vector<Sample> samples_;
    std::function<void(std::vector<Sample>)> done_;
};

void read_on(MeterReader& reader, const std::string& meter, int left,
             const std::shared_ptr<Gathering>& gathering) {
    std::string why;
    const bool taken = left > 0 && reader.read_now(
                                       meter,
                                       [&reader, meter, left, gathering](MeterReadOutcome outcome) {
                                           if (!outcome.sample) return gathering->ended();
                                           gathering->add(*std::move(outcome.sample));
                                           read_on(reader, meter, left - 1, gathering);
                                       },
                                       why);
    if (!taken) gathering->ended();
}

template <class Command>
void read_then_submit(Call& call, const std::vector<std::string>& meters, const char* route,
                      Command command, const Respond& respond) {
    const KeyInProgress key(call, route, command.act.idempotency_key);
    // One more than there are meters: nothing ends before all were asked.
    const auto gathering = std::make_shared<Gathering>(
        meters.size() + 1,
        [&engine = call.app.engine, key, command, respond](std::vector<Sample> samples) mutable {
            command.fresh = std::move(samples);
            key.submit(engine, std::move(command), respond);
        });
    for (const std::string& meter : meters) read_on(call.app.meters, meter, kReadings, gathering);
    gathering->ended();
}

// Those on a bus that the accounts pay for.
std::vector<std::string> meters_of(const Snapshot& snapshot,
                                   const std::set<std::string>& accounts) {
    std::vector<std::string> meters;
    for (std::size_t i = 0; i < snapshot.meters.size(); ++i) {
        const MeterView& meter = snapshot.meters[i];
        if (!meter.by_eye && meter.enabled && accounts.contains(meter.account))
            meters.push_back(meter.meter());
    }
    return meters;
}

std::set<std::string> accounts_of(const Snapshot& snapshot, const std::string& unit) {
    std::set<std::string> accounts;
    for (std::size_t i = 0; i < snapshot.accounts.size(); ++i)
        if (snapshot.accounts[i].unit == unit && snapshot.accounts[i].open)
            accounts.insert(snapshot.accounts[i].account);
    for (std::size_t i = 0; i < snapshot.meters.size(); ++i)
        if (snapshot.meters[i].unit() == unit && !snapshot.meters[i].account.empty())
            accounts.insert(snapshot.meters[i].account);
    return accounts;
}

}  // namespace

void post_close(Call& call, Respond respond) {
    CloseAccount close = read_act<CloseAccount>(call, [&](Body& body, CloseAccount& command) {
        command.account = call.params[0];
        command.accept_last_reading = body.flag("accept_last_reading");
        return fields_hash({command.accept_last_reading ? "1" : ""});
    });
    const std::vector<std::string> meters = meters_of(*call.snapshot, {close.account});
    read_then_submit(call, meters, act_route::kClose, std::move(close), respond);
}

void post_occupant(Call& call, Respond respond) {
    ChangeOccupant change =
        read_act<ChangeOccupant>(call, [&](Body& body, ChangeOccupant& command) {
            command.unit = call.params[0];
            command.at = body.text("at");
            command.holder = body.required_text("holder");
            command.settle = body.required_text("settle");
            command.to = body.text("to");
            command.method = body.text("method");
            command.reference = body.text("reference");
            command.ladder = body.text("ladder");
            command.accept_last_reading = body.flag("accept_last_reading");
            std::string record;
            if (has_handover(body)) {
                WriteRegister row = read_handover(
                    call, body, {command.act.by, command.act.second, command.act.actor}, "in",
                    command.at,
                    /*whole=*/false);
                // What the electronics say may change until the same act is asked again.
                record = call.request.body;
                command.record = std::make_shared<const RoomWork>(RoomWork{std::move(row)});
            }
            return fields_hash({command.at, command.holder, command.settle, command.to,
                                command.method, command.reference, command.ladder,
                                command.accept_last_reading ? "1" : "", record});
        });
    const std::vector<std::string> meters =
        meters_of(*call.snapshot, accounts_of(*call.snapshot, change.unit));
    read_then_submit(call, meters, act_route::kOccupant, std::move(change), respond);
}

}  // namespace gatehouse::http
