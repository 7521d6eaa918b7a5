#include "drivers/cabinet/cabinet_service.hpp"

#include <map>
#include <mutex>
#include <utility>

#include "drivers/cabinet/cabinet_line.hpp"
#include "drivers/cabinet/contacts.hpp"
#include "drivers/cabinet/kcm_board.hpp"

namespace gatehouse::cabinet {
namespace {

std::string place_of(const modbus::BusSettings& settings) {
    if (settings.transport == modbus::Transport::rtu) return settings.device;
    return settings.host + ":" + std::to_string(settings.port);
}

CabinetPoller make_poller(const CabinetSettings& cabinet, std::int64_t run) {
    PollerSettings settings;
    settings.cabinet = cabinet.id;
    settings.address = cabinet.address;
    settings.poll_interval_ms =
        cabinet.poll_interval_ms.value_or(cabinet.profile->poll_interval_ms);
    settings.response_timeout_ms = cabinet.response_timeout_ms;
    settings.numbered =
        cabinet.bus.transport == modbus::Transport::tcp && cabinet.bus.transaction_id_echoed;
    std::unique_ptr<Board> board;
    if (cabinet.profile->kind == CabinetKind::kcm)
        board =
            std::make_unique<KcmBoard>(cabinet.id, cabinet.profile, settings.poll_interval_ms, run);
    else
        board = std::make_unique<ContactsBoard>(cabinet.id, cabinet.profile->contacts,
                                                settings.poll_interval_ms, run);
    return {std::move(settings), std::move(board)};
}

}  // namespace

struct CabinetService::Impl {
    const Clock& clock;
    const std::int64_t run;
    const PushSink push;
    const SeenSink seen;
    const modbus::LinkFactory links;
    mutable std::mutex mutex;
    std::vector<std::unique_ptr<CabinetLine>> lines;
    std::vector<CabinetStatus> left_out;
};

CabinetService::CabinetService(const Clock& clock, std::int64_t run, PushSink push, SeenSink seen,
                               modbus::LinkFactory links)
    : impl_(new Impl{clock, run, std::move(push), std::move(seen), std::move(links), {}, {}, {}}) {}

CabinetService::~CabinetService() {
    stop();
}

void CabinetService::start(std::vector<CabinetSettings> cabinets) {
    struct Group {
        modbus::BusSettings settings;
        std::vector<CabinetPoller> pollers;
    };
    std::map<std::string, Group> groups;
    std::vector<CabinetSeen> lost;
    const std::lock_guard lock(impl_->mutex);
    for (const CabinetSettings& cabinet : cabinets) {
        if (!cabinet.profile) {
            CabinetStatus status;
            status.cabinet = cabinet.id;
            status.reason = cabinet.problem;
            impl_->left_out.push_back(std::move(status));
            lost.push_back({cabinet.id, false, 0, cabinet.problem});
            continue;
        }
        Group& group = groups[place_of(cabinet.bus)];
        if (group.pollers.empty()) group.settings = cabinet.bus;
        group.pollers.push_back(make_poller(cabinet, impl_->run));
    }
    for (auto& [place, group] : groups) {
        impl_->lines.push_back(std::make_unique<CabinetLine>(
            impl_->clock, impl_->push, impl_->seen, place, group.settings,
            impl_->links(group.settings), std::move(group.pollers)));
        impl_->lines.back()->start();
    }
    for (CabinetSeen& one : lost) impl_->seen(std::move(one));
}

void CabinetService::stop() {
    std::vector<std::unique_ptr<CabinetLine>> ending;
    {
        const std::lock_guard lock(impl_->mutex);
        ending.swap(impl_->lines);
    }
    for (const auto& line : ending) line->ask_to_stop();
    for (const auto& line : ending) line->join();
}

std::string CabinetService::clock_problem(const std::string& cabinet) const {
    const std::lock_guard lock(impl_->mutex);
    for (const auto& line : impl_->lines)
        if (auto problem = line->clock_problem(cabinet)) return *problem;
    for (const CabinetStatus& status : impl_->left_out)
        if (status.cabinet == cabinet) return status.reason;
    return "it is not asked";
}

std::string CabinetService::set_clock(const std::string& cabinet, std::int64_t offset_ms,
                                      ClockDone done) {
    const std::lock_guard lock(impl_->mutex);
    std::string problem;
    for (const auto& line : impl_->lines)
        if (line->set_clock(cabinet, offset_ms, done, problem)) return problem;
    for (const CabinetStatus& status : impl_->left_out)
        if (status.cabinet == cabinet) return status.reason;
    return "it is not asked";
}

std::vector<CabinetStatus> CabinetService::status() const {
    const std::lock_guard lock(impl_->mutex);
    std::vector<CabinetStatus> all = impl_->left_out;
    for (const auto& line : impl_->lines)
        for (CabinetStatus& status : line->status()) all.push_back(std::move(status));
    return all;
}

std::vector<modbus::Heartbeat> CabinetService::heartbeats() const {
    const std::lock_guard lock(impl_->mutex);
    std::vector<modbus::Heartbeat> all;
    for (const auto& line : impl_->lines) all.push_back(line->heartbeat());
    return all;
}

}  // namespace gatehouse::cabinet
