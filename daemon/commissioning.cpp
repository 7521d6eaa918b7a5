#include "daemon/commissioning.hpp"

#include <algorithm>
#include <utility>

#include "daemon/ports.hpp"

namespace gatehouse {
namespace {

modbus::ScanPlan scan_plan(const modbus::BusPlan& bus, const http::ScanRequest& request,
                           const modbus::ProfileTable& profiles) {
    modbus::ScanPlan plan;
    plan.from = request.from;
    plan.to = request.to;
    plan.lines = modbus::scan_lines(bus.settings, profiles);
    if (request.own_settings) plan.lines.resize(1);
    plan.response_timeout_ms = bus.response_timeout_ms;
    plan.stream = bus.settings.transport != modbus::Transport::rtu;
    plan.transaction_numbers =
        bus.settings.transport == modbus::Transport::tcp && bus.settings.transaction_id_echoed;
    for (const modbus::MeterPlan& meter : bus.meters) {
        plan.known.push_back({meter.id, meter.address, meter.channel,
                              meter.profile ? meter.profile->id : std::string()});
    }
    return plan;
}

http::ScanDevice device_view(const modbus::FoundDevice& found, const modbus::ScanPlan& plan) {
    http::ScanDevice device;
    device.address = found.address;
    if (plan.lines.size() > 1) device.line = modbus::to_string(plan.lines[found.line]);
    device.own_line = found.line == 0;
    device.readable = found.readable;
    device.turnaround_us = found.turnaround_us;
    for (const modbus::Candidate& candidate : found.candidates) {
        http::ScanCandidate view;
        view.profile = candidate.profile->id;
        view.label = candidate.profile->maker + " " + candidate.profile->model;
        view.service = to_string(candidate.profile->service);
        view.match = modbus::to_string(candidate.fingerprint.match);
        view.why = candidate.fingerprint.why;
        view.score = candidate.fingerprint.score;
        view.channels = candidate.profile->channels;
        device.candidates.push_back(std::move(view));
    }
    device.serial = found.serial;
    for (const auto& figure : found.figures) {
        device.figures.push_back(
            {modbus::to_string(figure.measurement), figure.value, figure.unit});
    }
    device.findings = found.findings;
    device.duplicate = modbus::to_string(found.duplicate.verdict);
    device.duplicate_why = found.duplicate.why;
    device.meters = found.meters;
    device.note = found.note;
    return device;
}

modbus::MeterClock calendar_of(const LocalTime& local) {
    modbus::MeterClock clock;
    clock.year = local.date.year;
    clock.month = local.date.month;
    clock.day = local.date.day;
    clock.hour = local.ms_of_day / 3'600'000;
    clock.minute = local.ms_of_day / 60'000 % 60;
    clock.second = local.ms_of_day / 1'000 % 60;
    return clock;
}

http::ClockSetting setting_view(const modbus::ClockOutcome& outcome) {
    http::ClockSetting setting;
    setting.done = outcome.done;
    setting.reason = outcome.reason;
    if (outcome.before) setting.before = to_string(*outcome.before);
    if (outcome.set_to) setting.set_to = to_string(*outcome.set_to);
    if (outcome.after) setting.after = to_string(*outcome.after);
    if (outcome.before && outcome.set_to) {
        setting.before_off_s =
            modbus::calendar_seconds(*outcome.before) - modbus::calendar_seconds(*outcome.set_to);
    }
    return setting;
}

}  // namespace

void BusCommissioning::attach(modbus::BusService* buses, const Zone* zone, RegistryNow registry) {
    const std::lock_guard lock(mutex_);
    zone_ = zone;
    buses_ = buses;
    registry_ = std::move(registry);
}

std::shared_ptr<modbus::ScanJob> BusCommissioning::job_of(const std::string& bus) {
    const std::lock_guard lock(mutex_);
    const auto found = scans_.find(bus);
    return found == scans_.end() ? nullptr : found->second;
}

http::Commissioning::Started BusCommissioning::start_scan(const http::ScanRequest& request,
                                                          std::string& why) {
    const auto before = job_of(request.bus);
    if (before && before->look().state == modbus::ScanState::running) {
        why = "A scan of bus " + request.bus +
              " runs already; follow it with GET or end it with DELETE.";
        return Started::runs_already;
    }
    const std::lock_guard lock(mutex_);
    if (buses_ == nullptr) {
        why = "The buses are not started yet.";
        return Started::not_now;
    }
    const auto plans = bus_plans(*config_.now(), *registry_(), profiles_);
    const auto plan = std::find_if(plans.begin(), plans.end(), [&](const modbus::BusPlan& bus) {
        return bus.id == request.bus;
    });
    if (plan == plans.end()) {
        std::string all;
        for (const modbus::BusPlan& bus : plans) all += (all.empty() ? "" : ", ") + bus.id;
        why = "The configuration has no bus " + request.bus + "; it has " + all + ".";
        return Started::no_such_bus;
    }
    auto job =
        std::make_shared<modbus::ScanJob>(scan_plan(*plan, request, profiles_), profiles_, clock_);
    why = buses_->run_job(request.bus, job);
    if (!why.empty()) return Started::not_now;
    if (plan->settings.transport != modbus::Transport::rtu && !request.own_settings) {
        job->add_note(
            "the speed and parity of the line behind a gateway are set in the gateway, so no "
            "others were tried");
    }
    scans_[request.bus] = std::move(job);
    return Started::yes;
}

std::optional<http::ScanView> BusCommissioning::scan(const std::string& bus) {
    const auto job = job_of(bus);
    if (!job) return std::nullopt;
    const modbus::ScanSight sight = job->look();
    const modbus::ScanPlan& plan = job->plan();
    http::ScanView view;
    view.bus = bus;
    view.state = modbus::to_string(sight.state);
    view.reason = sight.reason;
    view.phase = modbus::to_string(sight.progress.phase);
    if (plan.lines.size() > 1) view.line = modbus::to_string(plan.lines[sight.progress.line]);
    view.from = plan.from;
    view.to = plan.to;
    view.address = sight.progress.address;
    view.started_ms = sight.started_ms;
    view.elapsed_ms = sight.elapsed_ms;
    view.left_ms = sight.left_ms;
    view.percent = sight.percent;
    view.asked = sight.progress.asked;
    for (const modbus::FoundDevice& found : sight.report.devices) {
        view.devices.push_back(device_view(found, plan));
    }
    if (sight.state == modbus::ScanState::done) {
        for (const modbus::KnownMeter& meter : sight.report.silent) {
            view.silent.push_back({meter.id, meter.profile, meter.address});
        }
    }
    view.notes = sight.report.notes;
    return view;
}

bool BusCommissioning::cancel_scan(const std::string& bus) {
    const auto job = job_of(bus);
    return job && job->cancel("it was ended by DELETE");
}

std::optional<BusCommissioning::Place> BusCommissioning::place_of(const std::string& meter,
                                                                  std::string& why) {
    if (buses_ == nullptr) {
        why = "the buses are not started yet";
        return std::nullopt;
    }
    for (const modbus::BusPlan& bus : bus_plans(*config_.now(), *registry_(), profiles_)) {
        for (const modbus::MeterPlan& plan : bus.meters) {
            if (plan.id != meter || !plan.profile) continue;
            if (plan.profile->clock && plan.profile->clock->write) {
                return Place{bus.id, plan.address, bus.response_timeout_ms, plan.profile};
            }
            why = "its profile " + plan.profile->id +
                  (plan.profile->clock ? " does not describe how its clock is set"
                                       : " knows no clock");
            return std::nullopt;
        }
    }
    why = "it stands on no bus with a known profile";
    return std::nullopt;
}

bool BusCommissioning::can_set_clock(const std::string& meter, std::string& why) {
    const std::lock_guard lock(mutex_);
    return place_of(meter, why).has_value();
}

bool BusCommissioning::set_clock(const std::string& meter, std::int64_t offset_ms,
                                 ClockHandler handler, std::string& why) {
    const std::lock_guard lock(mutex_);
    const auto place = place_of(meter, why);
    if (!place) return false;
    auto job = std::make_shared<modbus::ClockJob>(
        place->address, *place->profile->clock, place->timeout_ms,
        [this, offset_ms] { return calendar_of(zone_->local(clock_.mono_ms() + offset_ms)); },
        [handler = std::move(handler)](const modbus::ClockOutcome& outcome) {
            handler(setting_view(outcome));
        });
    why = buses_->run_job(place->bus, std::move(job));
    return why.empty();
}

void BusCommissioning::attach_cabinets(cabinet::CabinetService* cabinets) {
    const std::lock_guard lock(mutex_);
    cabinets_ = cabinets;
}

bool BusCommissioning::can_set_cabinet_clock(const std::string& cabinet, std::string& why) {
    const std::lock_guard lock(mutex_);
    why = cabinets_ == nullptr ? "it is not asked yet" : cabinets_->clock_problem(cabinet);
    return why.empty();
}

bool BusCommissioning::set_cabinet_clock(const std::string& cabinet, std::int64_t offset_ms,
                                         CabinetClockHandler handler, std::string& why) {
    const std::lock_guard lock(mutex_);
    if (cabinets_ == nullptr) return false;
    why = cabinets_->set_clock(cabinet, offset_ms,
                               [handler = std::move(handler)](const cabinet::ClockOutcome& came) {
                                   handler({came.done, came.before_ms, came.after_ms, came.reason});
                               });
    return why.empty();
}

}  // namespace gatehouse
