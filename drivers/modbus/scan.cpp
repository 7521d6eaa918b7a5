#include "drivers/modbus/scan.hpp"

#include <algorithm>
#include <utility>

#include "daemon/core/assert.hpp"

namespace gatehouse::modbus {
namespace {

constexpr std::int64_t kBriefFirstMs = 200;  // before anybody answered
constexpr std::int64_t kBriefLeastMs = 80;   // the bytes' own time comes on top
constexpr std::int64_t kPatientLeastMs = 300;
constexpr std::int64_t kNetworkMs = 300;  // what a network may add to the first answer
constexpr int kLostMax = 3;
constexpr std::size_t kRecent = 4;
constexpr std::size_t kSettingsProbes = 3;
// Estimates for the time that is left.
constexpr std::int64_t kWireUs = 20'000;
constexpr std::int64_t kIdentifyUs = 12 * 60'000;
constexpr std::int64_t kRepeatUs = kScanRepeats * 150'000;

bool answered(const Reply& reply) {
    if (reply.result == PollResult::ok || reply.result == PollResult::exception) return true;
    return reply.result == PollResult::busy && reply.exception != 0;
}

bool damaged(const Reply& reply) {
    return reply.result == PollResult::crc || reply.result == PollResult::foreign_frame;
}

}  // namespace

const char* to_string(ScanPhase phase) {
    switch (phase) {
        case ScanPhase::sweep:
            return "sweep";
        case ScanPhase::patience:
            return "patience";
        case ScanPhase::settings:
            return "settings";
        case ScanPhase::identify:
            return "identify";
        case ScanPhase::repeat:
            return "repeat";
        case ScanPhase::done:
            return "done";
        case ScanPhase::failed:
            return "failed";
    }
    return "?";
}

ScanMachine::ScanMachine(ScanPlan plan, const ProfileTable& table)
    : plan_(std::move(plan)), table_(table) {
    GH_ASSERT(!plan_.lines.empty());
    GH_ASSERT(plan_.from >= kAddressFirst && plan_.from <= plan_.to && plan_.to <= kAddressLast);
    for (std::size_t line = 1; line < plan_.lines.size(); ++line) lines_left_.push_back(line);
    begin_line(0);
}

void ScanMachine::begin_line(std::size_t line) {
    line_ = line;
    phase_ = ScanPhase::sweep;
    probes_.clear();
    silent_.clear();
    settings_.clear();
    first_device_ = device_ = devices_.size();
    line_asked_ = line_damaged_ = 0;
    for (int address = plan_.from; address <= plan_.to; ++address) probes_.push_back({address, 0});
    if (line == 0 || settings_matter_) return;
    // Where those that were found answer at another speed just as well, speed means nothing here.
    settings_asked_ = settings_answers_ = 0;
    if (plan_.lines[line].baud == plan_.lines[0].baud) return;
    for (const Device& device : devices_) {
        if (device.found.line != 0 || !device.found.readable) continue;
        if (settings_.size() < kSettingsProbes) settings_.push_back({device.found.address, 0});
    }
    if (!settings_.empty()) phase_ = ScanPhase::settings;
}

void ScanMachine::next_line() {
    if (lines_left_.empty()) {
        phase_ = ScanPhase::done;
        return;
    }
    const std::size_t line = lines_left_.front();
    lines_left_.pop_front();
    begin_line(line);
}

std::optional<ScanAsk> ScanMachine::next() {
    if (asked_) return asked_;
    while (phase_ != ScanPhase::done && phase_ != ScanPhase::failed) {
        if (asks_ >= kScanAsksMax) {
            failure_ = "the scan ended after " + std::to_string(asks_) +
                       " questions; ask for fewer addresses at a time";
            phase_ = ScanPhase::failed;
            break;
        }
        if (step()) return asked_;
        advance();
    }
    return std::nullopt;
}

bool ScanMachine::step() {
    switch (phase_) {
        case ScanPhase::sweep:
        case ScanPhase::patience:
            return ask_probe();
        case ScanPhase::settings:
            return ask_settings();
        case ScanPhase::identify:
            return ask_identify();
        case ScanPhase::repeat:
            return ask_repeat();
        case ScanPhase::done:
        case ScanPhase::failed:
            break;
    }
    return false;
}

// What comes once a phase has nothing left to ask.
void ScanMachine::advance() {
    switch (phase_) {
        case ScanPhase::sweep:
            // Other settings get one round: a device that is silent to it is found once the bus is
            // set to them.
            if (line_ == 0 && !silent_.empty()) {
                std::sort(silent_.begin(), silent_.end());
                for (const int address : std::exchange(silent_, {})) {
                    if (device_at(address) == nullptr) probes_.push_back({address, 0});
                }
                phase_ = ScanPhase::patience;
                return;
            }
            [[fallthrough]];
        case ScanPhase::patience:
            std::sort(
                devices_.begin() + static_cast<std::ptrdiff_t>(first_device_), devices_.end(),
                [](const Device& a, const Device& b) { return a.found.address < b.found.address; });
            device_ = first_device_;
            phase_ = ScanPhase::identify;
            return;
        case ScanPhase::settings:
            end_settings();
            return;
        case ScanPhase::identify:
            device_ = first_device_;
            phase_ = ScanPhase::repeat;
            return;
        case ScanPhase::repeat:
            next_line();
            return;
        case ScanPhase::done:
        case ScanPhase::failed:
            return;
    }
}

void ScanMachine::ask(int address, const RegisterSpan& span, std::int64_t timeout_ms,
                      std::int64_t listen_ms) {
    ScanAsk ask;
    ask.line = line_;
    ask.request.address = address;
    ask.request.span = span;
    ask.request.timeout_ms = timeout_ms;
    ask.listen_ms = listen_ms;
    asked_ = ask;
}

std::int64_t ScanMachine::brief_ms() const {
    const std::int64_t ceiling = plan_.response_timeout_ms;
    if (gateway_answers_) return ceiling;
    if (was_late_) return patient_ms();
    const std::int64_t network = plan_.stream ? kNetworkMs : 0;
    if (turnaround_max_us_ == 0) return std::min(ceiling, kBriefFirstMs + network);
    const std::int64_t learned = 3 * turnaround_max_us_ / 1'000 + 30;
    return std::min(ceiling, std::clamp(learned, kBriefLeastMs, kPatientLeastMs + network));
}

std::int64_t ScanMachine::patient_ms() const {
    const std::int64_t ceiling = plan_.response_timeout_ms;
    if (gateway_answers_) return ceiling;
    // What the network adds is part of every answer that came through it.
    const std::int64_t network = plan_.stream && turnaround_max_us_ == 0 ? kNetworkMs : 0;
    return std::min(ceiling,
                    std::max(kPatientLeastMs + network, 4 * turnaround_max_us_ / 1'000 + 50));
}

// Holding register 0 first, input register 0 in the second round. Whoever is there answers or
// refuses. Every round and every try asks another length, so that a late reply to an earlier
// question cannot fit; the bus would refuse the same one for half a minute.
RegisterSpan ScanMachine::probe_span(int tries) const {
    const bool patience = phase_ == ScanPhase::patience;
    const int round = patience ? 1 : line_ == 0 ? 0 : static_cast<int>(line_) + 1;
    return {patience ? RegisterTable::input : RegisterTable::holding, 0,
            1 + tries + round * kScanTriesMax};
}

bool ScanMachine::ask_probe() {
    while (!probes_.empty() && device_at(probes_.front().address) != nullptr) probes_.pop_front();
    if (probes_.empty()) return false;
    const Probe& probe = probes_.front();
    const bool patient = phase_ == ScanPhase::patience || is_known(probe.address);
    ask(probe.address, probe_span(probe.tries), patient ? patient_ms() : brief_ms(), 0);
    return true;
}

void ScanMachine::heard(const ScanHeard& heard) {
    GH_ASSERT(asked_);
    const Reply& reply = heard.reply;
    ++asks_;
    done_us_ += reply.busy_us + asked_->listen_ms * 1'000;
    if (reply.result == PollResult::not_connected) {
        if (++lost_ < kLostMax) return;  // the same question once more
        failure_ = reply.detail;
        phase_ = ScanPhase::failed;
        asked_.reset();
        return;
    }
    lost_ = 0;
    if (answered(reply) || damaged(reply)) {
        ++line_asked_;
        if (damaged(reply)) ++line_damaged_;
        Device* device = device_at(asked_->request.address);
        if (device != nullptr) {
            ++device->facts.asked;
            if (damaged(reply)) ++device->facts.damaged;
        }
    }
    learn(reply);
    switch (phase_) {
        case ScanPhase::sweep:
        case ScanPhase::patience:
            heard_probe(reply);
            break;
        case ScanPhase::settings:
            heard_settings(reply);
            break;
        case ScanPhase::identify:
            heard_identify(reply);
            break;
        case ScanPhase::repeat:
            heard_repeat(heard);
            break;
        case ScanPhase::done:
        case ScanPhase::failed:
            break;
    }
    recent_.push_front(asked_->request.address);
    if (recent_.size() > kRecent) recent_.pop_back();
    asked_.reset();
}

void ScanMachine::learn(const Reply& reply) {
    if (answered(reply)) {
        turnaround_max_us_ = std::max<std::int64_t>({turnaround_max_us_, reply.turnaround_us, 1});
    }
    if (reply.result == PollResult::gateway_target) gateway_answers_ = true;
    if (reply.result == PollResult::gateway_path && !path_noted_) {
        path_noted_ = true;
        notes_.emplace_back(
            "the gateway says that its line is not available (exception 0x0A): check how its "
            "serial side is set");
    }
}

void ScanMachine::heard_probe(const Reply& reply) {
    Probe probe = probes_.front();
    probes_.pop_front();
    if (answered(reply)) {
        add_device(probe.address, /*readable=*/true, reply);
        return;
    }
    if (!damaged(reply)) {
        if (phase_ == ScanPhase::sweep) silent_.push_back(probe.address);
        return;
    }
    late_answer(reply);
    if (++probe.tries < kScanTriesMax) {
        probes_.push_front(probe);
    } else {
        add_device(probe.address, /*readable=*/false, reply);
    }
}

void ScanMachine::add_device(int address, bool readable, const Reply& reply) {
    if (device_at(address) != nullptr) return;
    Device device(address);
    device.found.line = line_;
    device.found.readable = readable;
    device.found.turnaround_us = reply.turnaround_us;
    device.probe = asked_->request.span;
    device.facts.asked = 1;
    device.facts.damaged = readable ? 0 : 1;
    if (line_ == 0) {
        for (const KnownMeter& meter : plan_.known) {
            if (meter.address == address) device.found.meters.push_back(meter.id);
        }
    }
    devices_.push_back(std::move(device));
}

// A frame of an address that was asked before: slow, and there. From now on nobody is hurried.
void ScanMachine::late_answer(const Reply& reply) {
    if (reply.result != PollResult::foreign_frame || plan_.transaction_numbers) return;
    was_late_ = true;
    if (reply.response.empty()) return;
    const int address = reply.response.front();
    if (address == asked_->request.address) return;
    if (std::find(recent_.begin(), recent_.end(), address) == recent_.end()) return;
    add_device(address, /*readable=*/true, reply);
}

bool ScanMachine::ask_settings() {
    if (settings_.empty()) return false;
    const Probe& probe = settings_.front();
    ask(probe.address, {RegisterTable::holding, 0, 1 + probe.tries}, patient_ms(), 0);
    return true;
}

void ScanMachine::heard_settings(const Reply& reply) {
    Probe probe = settings_.front();
    settings_.pop_front();
    if (damaged(reply) && ++probe.tries < kScanTriesMax) {
        settings_.push_front(probe);
        return;
    }
    ++settings_asked_;
    if (answered(reply)) ++settings_answers_;
}

// Twice, at two other speeds: one device of another speed at the same address would look alike.
void ScanMachine::end_settings() {
    if (settings_answers_ < settings_asked_) {
        settings_matter_ = true;
        phase_ = ScanPhase::sweep;
        return;
    }
    const auto third = std::find_if(lines_left_.begin(), lines_left_.end(), [&](std::size_t line) {
        return plan_.lines[line].baud != plan_.lines[0].baud &&
               plan_.lines[line].baud != plan_.lines[line_].baud;
    });
    if (++settings_without_effect_ == 1 && third != lines_left_.end()) {
        const std::size_t line = *third;
        lines_left_.erase(third);
        lines_left_.push_back(line_);
        begin_line(line);
        return;
    }
    notes_.emplace_back(
        "the devices answer at any speed: the settings of this line have no effect here (a "
        "pseudo-terminal or a converter with settings of its own), so no others were tried");
    lines_left_.clear();
    phase_ = ScanPhase::done;
}

ScanMachine::Device* ScanMachine::device_at(int address) {
    for (std::size_t i = first_device_; i < devices_.size(); ++i) {
        if (devices_[i].found.address == address) return &devices_[i];
    }
    return nullptr;
}

bool ScanMachine::is_known(int address) const {
    return std::any_of(plan_.known.begin(), plan_.known.end(),
                       [&](const KnownMeter& meter) { return meter.address == address; });
}

std::int64_t ScanMachine::left_us() const {
    if (phase_ == ScanPhase::done || phase_ == ScanPhase::failed) return 0;
    const auto probe_us = [](std::int64_t ms) { return ms * 1'000 + kWireUs; };
    const auto count = [](std::size_t n) { return static_cast<std::int64_t>(n); };
    const std::int64_t range = plan_.to - plan_.from + 1;
    std::int64_t left = count(lines_left_.size()) * range * probe_us(brief_ms());
    if (phase_ == ScanPhase::sweep) {
        left += count(probes_.size()) * probe_us(brief_ms());
        const std::int64_t silent = count(probes_.size() + silent_.size());
        if (line_ == 0) left += silent * probe_us(patient_ms());
    } else if (phase_ == ScanPhase::patience) {
        left += count(probes_.size()) * probe_us(patient_ms());
    } else if (phase_ == ScanPhase::settings) {
        left += range * probe_us(brief_ms());
    }
    const std::int64_t devices = count(devices_.size() - first_device_);
    const std::int64_t waiting = count(devices_.size() - std::max(device_, first_device_));
    if (phase_ == ScanPhase::repeat) return left + waiting * kRepeatUs;
    const std::int64_t unnamed = phase_ == ScanPhase::identify ? waiting : devices;
    return left + unnamed * kIdentifyUs + devices * kRepeatUs;
}

ScanProgress ScanMachine::progress() const {
    ScanProgress progress;
    progress.phase = phase_;
    progress.line = line_;
    progress.address = recent_.empty() ? plan_.from : recent_.front();
    progress.done_us = done_us_;
    progress.left_us = left_us();
    progress.asked = asks_;
    progress.found = devices_.size();
    return progress;
}

ScanReport ScanMachine::report() const {
    ScanReport report;
    for (const Device& device : devices_) report.devices.push_back(device.found);
    for (const KnownMeter& meter : plan_.known) {
        if (meter.address < plan_.from || meter.address > plan_.to) continue;
        const bool here = std::any_of(devices_.begin(), devices_.end(), [&](const Device& device) {
            return device.found.line == 0 && device.found.address == meter.address;
        });
        if (!here) report.silent.push_back(meter);
    }
    report.notes = notes_;
    report.failure = failure_;
    return report;
}

}  // namespace gatehouse::modbus
