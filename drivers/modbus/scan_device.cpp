// The scan's later phases: what a device that answers is, whether a second one answers with it, and
// how that compares with the registry.
#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "daemon/core/assert.hpp"
#include "drivers/modbus/scan.hpp"

namespace gatehouse::modbus {
namespace {

constexpr int kFailuresMax = 4;  // running; then nothing more is asked of a device
constexpr int kDeaf = 2;         // silent questions of one table: it does not know that function
constexpr int kRepeatsInDoubt = 10;
constexpr int kSameDevice = 3;  // equal ones in a row: it answers to any address
constexpr int kAnyAddressLeast = 8;
constexpr std::size_t kFiguresMax = 8;
// Of judge_duplicate: replies of one address damaged while those of the others are not.
constexpr int kDamagePercent = 20;
constexpr int kLineDamagePercent = 5;
constexpr int kAskedLeast = 4;

// What a person compares with the display.
constexpr std::array kShown{
    Measurement::energy_import, Measurement::volume,       Measurement::pulses,
    Measurement::voltage_l1,    Measurement::voltage_l2,   Measurement::voltage_l3,
    Measurement::power,         Measurement::flow,         Measurement::frequency,
    Measurement::power_factor,  Measurement::energy_total, Measurement::status,
};

bool is_answer(const Reply& reply) {
    if (reply.result == PollResult::ok || reply.result == PollResult::exception) return true;
    return reply.result == PollResult::busy && reply.exception != 0;
}

bool is_damaged(const Reply& reply) {
    return reply.result == PollResult::crc || reply.result == PollResult::foreign_frame;
}

std::string of(int part, int whole) {
    return std::to_string(part) + " of " + std::to_string(whole);
}

bool percent_above(int part, int whole, int percent) {
    return part * 100 > whole * percent;
}

}  // namespace

const char* to_string(DuplicateVerdict verdict) {
    switch (verdict) {
        case DuplicateVerdict::none:
            return "none";
        case DuplicateVerdict::possible:
            return "possible";
        case DuplicateVerdict::certain:
            return "certain";
    }
    return "?";
}

std::string to_string(const LineSettings& line) {
    const char parity = line.parity == Parity::none ? 'N' : line.parity == Parity::even ? 'E' : 'O';
    return std::to_string(line.baud) + " " + std::to_string(line.data_bits) + parity +
           std::to_string(line.stop_bits);
}

// One device alone never shows two serial numbers or two replies to one question, whatever the
// cable. Damage is another matter: a bad cable does that to all addresses, a collision to one.
DuplicateJudgement judge_duplicate(const DuplicateFacts& facts) {
    if (facts.serials.size() > 1) {
        std::string all;
        for (const std::string& serial : facts.serials) all += (all.empty() ? "" : ", ") + serial;
        return {DuplicateVerdict::certain, "different serial numbers answered in turn: " + all};
    }
    if (facts.second_replies > 1) {
        return {DuplicateVerdict::certain, "a second reply followed the first " +
                                               of(facts.second_replies, facts.asked) + " times"};
    }
    if (facts.falls > 1) {
        return {DuplicateVerdict::certain, "the register jumped back and forth " +
                                               std::to_string(facts.falls) +
                                               " times: two counters answer in turn"};
    }
    const bool line_clean =
        !percent_above(facts.line_damaged, facts.line_asked, kLineDamagePercent);
    const bool hurt =
        facts.damaged > 1 && percent_above(facts.damaged, facts.asked, kDamagePercent);
    if (hurt && !line_clean) {
        return {DuplicateVerdict::none,
                of(facts.damaged, facts.asked) + " replies were damaged, and " +
                    of(facts.line_damaged, facts.line_asked) +
                    " of the other addresses too: mend the cable first, then scan again"};
    }
    if (hurt) {
        return {DuplicateVerdict::possible,
                of(facts.damaged, facts.asked) +
                    " replies were damaged while the rest of the line is clean: two devices "
                    "with this address, or this device's own wiring"};
    }
    if (facts.stubborn > 1 && line_clean) {
        return {DuplicateVerdict::possible,
                std::to_string(facts.stubborn) +
                    " registers come damaged each time and others never: two devices that answer "
                    "at once hurt each other only where they differ"};
    }
    if (facts.second_replies == 1 || facts.falls == 1) {
        return {DuplicateVerdict::possible,
                facts.falls == 1 ? "the register once went back"
                                 : "bytes once followed a reply: a second device, or noise"};
    }
    const bool comes_and_goes =
        facts.through_gateway && facts.asked >= kAskedLeast && facts.silent > 1 &&
        percent_above(facts.silent, facts.asked, kDamagePercent) && facts.asked > facts.silent;
    if (comes_and_goes) {
        return {DuplicateVerdict::possible,
                "the gateway got no reply " + of(facts.silent, facts.asked) +
                    " times: it hides damaged replies, so two devices with this address look "
                    "like this, and so does bad wiring"};
    }
    return {};
}

std::vector<LineSettings> scan_lines(const BusSettings& settings, const ProfileTable& table) {
    const LineSettings own{settings.baud, settings.parity, settings.stop_bits, settings.data_bits};
    std::vector<LineSettings> lines{own};
    if (settings.transport != Transport::rtu) return lines;
    std::vector<std::pair<LineSettings, int>> factory;
    const auto count = [&](const LineSettings& line, int weight) {
        const auto same = std::find_if(factory.begin(), factory.end(),
                                       [&](const auto& entry) { return entry.first == line; });
        if (same == factory.end()) {
            factory.emplace_back(line, weight);
        } else {
            same->second += weight;
        }
    };
    for (const auto& [id, profile] : table.profiles) {
        if (profile->framings.empty()) continue;
        const Framing& first = profile->framings.front();
        count({first.baud,
               first.parity == 'E'   ? Parity::even
               : first.parity == 'O' ? Parity::odd
                                     : Parity::none,
               first.stop_bits, first.data_bits},
              1);
    }
    for (const int baud : {9'600, 2'400, 4'800, 19'200}) {
        for (const Parity parity : {Parity::none, Parity::even}) count({baud, parity, 1, 8}, 0);
    }
    for (const int baud : {1'200, 38'400, 115'200}) count({baud, Parity::none, 1, 8}, 0);
    std::stable_sort(factory.begin(), factory.end(),
                     [](const auto& a, const auto& b) { return a.second > b.second; });
    for (const auto& [line, weight] : factory) {
        if (!(line == own)) lines.push_back(line);
    }
    // The first one tried tells whether speed matters at all, so it must differ in that.
    const auto other = std::find_if(lines.begin() + 1, lines.end(), [&](const LineSettings& line) {
        return line.baud != own.baud;
    });
    if (other != lines.end()) std::rotate(lines.begin() + 1, other, other + 1);
    return lines;
}

bool ScanMachine::ask_identify() {
    fold_any_address();
    for (; device_ < devices_.size(); ++device_) {
        Device& device = devices_[device_];
        if (!device.found.readable) continue;
        if (device.settling) {
            RegisterSpan span = device.probe;
            if (device.question && device.question->count == span.count) ++span.count;
            ask(device.found.address, span, patient_ms(), 0);
            return true;
        }
        while (!device.question && device.asked < kScanQuestionsMax &&
               device.failures < kFailuresMax) {
            device.question = next_question(table_, device.image);
            if (!device.question) break;
            if (device.silent[device.question->table] < kDeaf) break;
            device.image.refused(*device.question);
            device.question.reset();
        }
        if (device.question) {
            ask(device.found.address, *device.question, patient_ms(), 0);
            return true;
        }
        end_identify(device);
    }
    return false;
}

void ScanMachine::heard_identify(const Reply& reply) {
    Device& device = devices_[device_];
    const bool busy = reply.result == PollResult::busy;
    if (std::exchange(device.settling, false)) {
        // Whatever came, the next question goes out; the bus refuses it where that is too early.
        if (reply.result == PollResult::timeout) ++device.failures;
        if (is_answer(reply)) device.failures = 0;
        return;
    }
    GH_ASSERT(device.question);
    const RegisterSpan span = *device.question;
    if (reply.result == PollResult::ok) {
        device.image.answered(span, reply.words);
        device.found.turnaround_us = std::max(device.found.turnaround_us, reply.turnaround_us);
        device.failures = device.silent[span.table] = 0;
    } else if (reply.result == PollResult::exception) {
        device.failures = device.silent[span.table] = 0;
        device.image.refused(span);
    } else if (device.retries + 1 < kScanTriesMax && device.failures < kFailuresMax) {
        ++device.retries;
        ++device.failures;
        device.settling = !plan_.transaction_numbers && !(busy && reply.exception != 0);
        return;
    } else {
        device.settling = !plan_.transaction_numbers;
        device.image.refused(span);
        if (is_damaged(reply)) {
            ++device.facts.stubborn;
        } else {
            ++device.silent[span.table];
        }
    }
    ++device.asked;
    device.retries = 0;
    device.question.reset();
    if (device.failures >= kFailuresMax) device.settling = false;
}

void ScanMachine::end_identify(Device& device) {
    FoundDevice& found = device.found;
    found.candidates = rank_candidates(table_, device.image);
    if (found.candidates.empty()) return;
    const Candidate& best = found.candidates.front();
    found.serial = best.fingerprint.serial;
    if (!found.serial.empty()) device.facts.serials = {found.serial};
    const Profile& profile = *best.profile;
    for (const Measurement measurement : kShown) {
        if (found.figures.size() == kFiguresMax) break;
        const Decoded decoded = profile.decode(measurement, 0, device.image.words());
        if (decoded.result != PollResult::ok) continue;
        found.figures.push_back(
            {measurement, decoded.text.empty() ? format_rational(decoded.number) : decoded.text,
             unit_of(measurement)});
    }
    found.findings = judge_values(profile, 0, device.image.words(), &table_).lines();
    compare_with_registry(found);
}

void ScanMachine::compare_with_registry(FoundDevice& device) const {
    if (device.line != 0) return;
    const Candidate& best = device.candidates.front();
    for (const KnownMeter& meter : plan_.known) {
        if (meter.address != device.address || meter.profile == best.profile->id) continue;
        const auto own = std::find_if(
            device.candidates.begin(), device.candidates.end(),
            [&](const Candidate& candidate) { return candidate.profile->id == meter.profile; });
        if (own == device.candidates.end()) {
            device.note = "the registry reads " + meter.id + " as " + meter.profile +
                          ", which does not fit what the device answers";
        } else if (own->fingerprint.match < best.fingerprint.match) {
            device.note = "the registry reads " + meter.id + " as " + meter.profile + ", but " +
                          best.profile->id + " fits better";
        }
    }
}

// A meter with a network connection of its own mostly answers whatever address it is asked by.
// Then every address of the range is there, and all are one device.
void ScanMachine::fold_any_address() {
    const int range = plan_.to - plan_.from + 1;
    const auto found = static_cast<int>(devices_.size() - first_device_);
    if (!plan_.stream || range < kAnyAddressLeast || found != range) return;
    if (device_ != first_device_ + kSameDevice) return;
    const FoundDevice& first = devices_[first_device_].found;
    for (std::size_t i = first_device_; i < device_; ++i) {
        const FoundDevice& other = devices_[i].found;
        const bool figures_equal = !first.figures.empty() && !other.figures.empty() &&
                                   first.figures.front().value == other.figures.front().value &&
                                   first.figures.front().value != "0";
        const bool same = first.serial.empty() ? other.serial.empty() && figures_equal
                                               : first.serial == other.serial;
        if (!same) return;
    }
    notes_.push_back("every address from " + std::to_string(plan_.from) + " to " +
                     std::to_string(plan_.to) +
                     " answers as the same device: it has a connection of its own and does not "
                     "look at the address; only one is shown");
    std::size_t kept = first_device_;
    for (std::size_t i = first_device_; i < devices_.size(); ++i) {
        if (!devices_[i].found.meters.empty()) {
            kept = i;
            break;
        }
    }
    if (kept >= device_)
        std::swap(devices_[first_device_].found.address, devices_[kept].found.address);
    if (kept >= device_)
        std::swap(devices_[first_device_].found.meters, devices_[kept].found.meters);
    if (kept < device_) std::swap(devices_[first_device_], devices_[kept]);
    devices_.erase(devices_.begin() + static_cast<std::ptrdiff_t>(first_device_) + 1,
                   devices_.end());
    device_ = devices_.size();
}

// The serial number, the register and the first question take turns: each has another length, so
// the reply to one is never taken for another's.
RegisterSpan ScanMachine::repeat_question(const Device& device) const {
    std::vector<RegisterSpan> spans;
    if (!device.found.candidates.empty()) {
        const Profile& profile = *device.found.candidates.front().profile;
        for (const Measurement what : {Measurement::serial, profile.billing}) {
            for (const RegisterSpan& span : profile.spans(what, 0)) {
                const bool fresh = std::none_of(
                    spans.begin(), spans.end(),
                    [&](const RegisterSpan& other) { return other.count == span.count; });
                if (fresh && device.image.has(span)) spans.push_back(span);
            }
        }
    }
    if (spans.size() < 2) {
        spans.push_back(device.probe);
        if (spans.size() == 1) {
            spans.push_back(device.probe);
            spans.back().count += 1;
        }
    }
    return spans[static_cast<std::size_t>(device.repeats) % spans.size()];
}

bool ScanMachine::ask_repeat() {
    for (; device_ < devices_.size(); ++device_) {
        Device& device = devices_[device_];
        const DuplicateFacts& facts = device.facts;
        const bool doubt = facts.damaged > 0 || facts.silent > 0 || facts.second_replies > 0 ||
                           facts.falls > 0 || facts.stubborn > 0 || facts.serials.size() > 1;
        if (device.repeats < (doubt ? kRepeatsInDoubt : kScanRepeats)) {
            const std::int64_t listen_ms =
                plan_.transaction_numbers
                    ? 0
                    : std::clamp<std::int64_t>(2 * device.found.turnaround_us / 1'000 + 30, 40,
                                               200);
            ask(device.found.address, repeat_question(device), patient_ms(), listen_ms);
            return true;
        }
        end_repeat(device);
    }
    return false;
}

void ScanMachine::heard_repeat(const ScanHeard& heard) {
    Device& device = devices_[device_];
    ++device.repeats;
    const Reply& reply = heard.reply;
    if (reply.result == PollResult::timeout || reply.result == PollResult::gateway_target) {
        ++device.facts.asked;
        ++device.facts.silent;
    }
    if (reply.result == PollResult::ok) {
        take_repeat(device, reply);
        if (heard.after.bytes > 0) ++device.facts.second_replies;
    }
}

void ScanMachine::take_repeat(Device& device, const Reply& reply) {
    if (device.found.candidates.empty()) return;
    const Profile& profile = *device.found.candidates.front().profile;
    device.image.answered(asked_->request.span, reply.words);
    const Decoded serial = profile.decode(Measurement::serial, 0, device.image.words());
    auto& serials = device.facts.serials;
    if (serial.result == PollResult::ok &&
        std::find(serials.begin(), serials.end(), serial.text) == serials.end()) {
        serials.push_back(serial.text);
    }
    const auto billing = profile.spans(profile.billing, 0);
    if (std::find(billing.begin(), billing.end(), asked_->request.span) == billing.end()) return;
    const Decoded figure = profile.decode(profile.billing, 0, device.image.words());
    if (figure.result != PollResult::ok) return;
    if (device.last_register && compare(figure.number, *device.last_register) < 0) {
        ++device.facts.falls;
    }
    device.last_register = figure.number;
}

void ScanMachine::end_repeat(Device& device) {
    DuplicateFacts& facts = device.facts;
    facts.line_asked = line_asked_ - (facts.asked - facts.silent);
    facts.line_damaged = line_damaged_ - facts.damaged;
    facts.through_gateway = plan_.transaction_numbers;
    device.found.duplicate = judge_duplicate(facts);
}

}  // namespace gatehouse::modbus
