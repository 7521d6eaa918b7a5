// What a meter answers to a question, and what a fault makes of it.
#include <algorithm>
#include <cstddef>

#include "drivers/simulator/building.hpp"
#include "drivers/simulator/building_parts.hpp"

namespace gatehouse::simulator {
namespace {

using modbus::Value;

constexpr int kExceptionFunction = 1, kExceptionAddress = 2, kExceptionCount = 3;
constexpr int kExceptionDevice = 4, kExceptionPath = 0x0A, kExceptionTarget = 0x0B;
constexpr int kRegistersMax = 125, kBitsMax = 2000;
constexpr std::int64_t kNewRegisterMicroMax = 2'000'000;  // a meter comes with its test bench kWh

bool meets(const RegisterSpan& span, const modbus::Field& field, int channel) {
    const int first = field.span.first + field.stride * channel;
    return span.table == field.span.table && span.first < first + field.span.count &&
           first < span.end();
}

bool meets(const RegisterSpan& span, const Value& value, int channel) {
    return std::any_of(value.parts.begin(), value.parts.end(),
                       [&](const modbus::Part& part) { return meets(span, part.field, channel); });
}

// Between two registers that the meter has and that one read could join: it answers zero there.
bool in_hole(const Words& words, RegisterTable table, int address) {
    const auto above = words.upper_bound({table, address});
    if (above == words.end() || above->first.first != table || above == words.begin()) {
        return false;
    }
    const auto below = std::prev(above);
    return below->first.first == table && above->first.second - below->first.second < kRegistersMax;
}

std::string names_of(const Misfortune& misfortune) {
    std::string names;
    for (std::size_t i = 0; i < kFaultNames.size(); ++i) {
        if (misfortune.has[i]) {
            names += names.empty() ? "" : "+";
            names += kFaultNames[i];
        }
    }
    return names;
}

int word_at(const Bytes& pdu, std::size_t at) {
    return (pdu[at] << 8) | pdu[at + 1];
}

}  // namespace

std::vector<Building::Meter*> Building::touched(Device& device, const RegisterSpan& span) const {
    std::vector<Meter*> meters;
    for (Meter* meter : device.meters) {
        const auto& values = device.profile->values;
        if (device.meters.size() == 1 ||
            std::any_of(values.begin(), values.end(), [&](const Value& value) {
                return meets(span, value, meter->spec.channel);
            })) {
            meters.push_back(meter);
        }
    }
    if (meters.empty()) {
        meters.push_back(device.meters.front());
    }
    return meters;
}

// What stays with the meter: everything else a fault does concerns one reply alone.
void Building::befall(Meter& meter, const Misfortune& misfortune, std::int64_t now_ms) {
    if (misfortune[Fault::counter_reset]) {
        meter.counter.set(0);
    }
    if (misfortune[Fault::meter_replaced]) {
        meter.counter.set(static_cast<std::int64_t>(meter.dice.below(kNewRegisterMicroMax)));
        meter.serial = std::to_string(30'000'000 + meter.dice.below(9'999'999));
    }
    if (misfortune[Fault::stuck_value] && now_ms >= meter.stuck_until_ms) {
        meter.stuck_micro = meter.counter.micro();
        meter.stuck_until_ms = now_ms + kStuckMs;
    }
    if (misfortune[Fault::slow_start] && meter.slow_replies == 0) {
        meter.restarted_until_ms = now_ms + kRestartMs;
        meter.slow_replies = kSlowReplies;
    }
}

void Building::tell(Device& device, const RegisterSpan& span, const std::string& fault,
                    std::int64_t now_ms) {
    const Value* const value = device.profile->find(device.profile->billing);
    if (!on_truth_ || value == nullptr) {
        return;
    }
    for (Meter* meter : device.meters) {
        if (meets(span, *value, meter->spec.channel)) {
            Words scratch;
            const std::optional<Rational> written = encode_number(
                *device.profile, *value, meter->spec.channel, billing(*meter, now_ms), scratch);
            on_truth_({meter->spec.id, written.value_or(Rational{}), fault});
        }
    }
}

// The reply's PDU: the words, or the exception that says why not.
Bytes Building::read(Device& device, const RegisterSpan& span, std::int64_t now_ms) {
    const int function = static_cast<int>(span.table);
    const bool bits =
        span.table == RegisterTable::coils || span.table == RegisterTable::discrete_inputs;
    const BlockRules& rules = device.profile->rules;
    const int limit = bits ? kBitsMax : std::min(kRegistersMax, rules.registers_max);
    if (span.count < 1 || span.count > limit) {
        return exception_pdu(function, kExceptionCount);
    }
    Words words;
    fill(device, now_ms, words);
    const auto first = words.lower_bound({span.table, 0});
    if (first == words.end() || first->first.first != span.table) {
        return exception_pdu(function, kExceptionFunction);
    }
    const bool forbidden =
        std::any_of(rules.forbidden.begin(), rules.forbidden.end(), [&](const RegisterSpan& out) {
            return out.table == span.table && out.first < span.end() && span.first < out.end();
        });
    const std::size_t size = bits ? static_cast<std::size_t>((span.count + 7) / 8)
                                  : 2 * static_cast<std::size_t>(span.count);
    Bytes pdu{static_cast<std::uint8_t>(function), static_cast<std::uint8_t>(size)};
    pdu.resize(2 + size, 0);
    for (int i = 0; i < span.count; ++i) {
        const int address = span.first + i;
        const auto word = words.find({span.table, address});
        const bool hole = rules.fill_holes && in_hole(words, span.table, address);
        if (forbidden || (word == words.end() && !hole)) {
            return exception_pdu(function, kExceptionAddress);
        }
        const std::uint16_t held = word == words.end() ? std::uint16_t{0} : word->second;
        const auto at = static_cast<std::size_t>(i);
        if (bits) {
            std::uint8_t& byte = pdu[2 + at / 8];
            byte = static_cast<std::uint8_t>(byte | ((held & 1U) << (at % 8)));
        } else {
            pdu[2 + 2 * at] = static_cast<std::uint8_t>(held >> 8U);
            pdu[3 + 2 * at] = static_cast<std::uint8_t>(held & 0xFFU);
        }
    }
    return pdu;
}

// The content: what the meter or its gateway says instead. True: nothing shows that it is wrong.
bool Building::spoil_content(Device& device, Meter& meter, const RegisterSpan& span,
                             const Misfortune& misfortune, Answer& answer) {
    const int function = static_cast<int>(span.table);
    if (misfortune[Fault::exception]) {
        answer.pdu = exception_pdu(function, kExceptionDevice);
    }
    if (misfortune[Fault::gateway_path]) {
        answer.pdu = exception_pdu(function, kExceptionPath);
    }
    if (misfortune[Fault::gateway_target]) {
        answer.pdu = exception_pdu(function, kExceptionTarget);
    }
    if (misfortune[Fault::bit_error]) {
        // TCP carries no bit error to its end: there a gateway reports that its line failed.
        answer.bit_error = !device.tcp;
        answer.pdu = device.tcp ? exception_pdu(function, kExceptionTarget) : answer.pdu;
    }
    const bool has_data = answer.pdu.size() > 2 && answer.pdu[0] < 0x80;
    const bool flip = misfortune[Fault::payload_flip] && !meter.misled && has_data;
    if (flip) {
        Bytes data(answer.pdu.begin() + 2, answer.pdu.end());
        turn_bit(data, misfortune.which_bit);
        std::copy(data.begin(), data.end(), answer.pdu.begin() + 2);
    }
    return flip;
}

// The delivery: how the line is to send it, and who speaks before it. True as above.
bool Building::spoil_delivery(Device& device, Meter& meter, const RegisterSpan& span,
                              const Misfortune& misfortune, std::int64_t now_ms, Answer& answer) {
    if (misfortune[Fault::wrong_unit]) {
        answer.unit = answer.unit % 247 + 1;
    }
    if (misfortune[Fault::late_reply]) {
        const auto most = static_cast<std::uint64_t>(std::max(1, settings_.late_transactions));
        answer.late_by = 1 + static_cast<int>(misfortune.how_late % most);
    }
    answer.twice = misfortune[Fault::duplicate];
    answer.trickle = misfortune[Fault::trickle];
    answer.echo = misfortune[Fault::echo] && !device.tcp;
    answer.mute = misfortune[Fault::mute];
    if (misfortune[Fault::truncated]) {
        answer.cut = misfortune.how_much;
    }
    if (misfortune[Fault::foreign_frame]) {
        answer.other_unit = answer.unit % 247 + 1;
        answer.other_reply = answer.pdu;
    }
    if (misfortune[Fault::second_master] && !(device.tcp && meter.misled)) {
        // Its registers are the neighbours of ours, so that nothing but their place differs.
        RegisterSpan other = span;
        other.first = std::min(span.end(), 0xFFFF);
        answer.other_unit = answer.unit;
        answer.other_reply = read(device, other, now_ms);
        answer.other_question = {static_cast<std::uint8_t>(other.table),
                                 static_cast<std::uint8_t>(other.first >> 8),
                                 static_cast<std::uint8_t>(other.first & 0xFF),
                                 static_cast<std::uint8_t>(other.count >> 8),
                                 static_cast<std::uint8_t>(other.count & 0xFF)};
        if (device.tcp) {  // the gateway passes it on instead, with all checks right
            answer.pdu = answer.other_reply;
            answer.other_reply.clear();
            answer.other_question.clear();
            return true;
        }
    }
    return false;
}

Answer Building::answer(std::size_t bus, int unit, const Bytes& pdu, std::int64_t now_ms) {
    const auto found = devices_.find({bus, unit});
    const int function = pdu.empty() ? 0 : pdu.front();
    Answer answer;
    answer.unit = unit;
    if (const auto cabinet = cabinets_.find({bus, unit}); cabinet != cabinets_.end()) {
        answer.pdu = cabinet->second->answer(pdu, now_ms);
        answer.silent = answer.pdu.empty();
        return answer;
    }
    if (found == devices_.end()) {
        answer.silent = bus >= site_.buses.size() ||
                        site_.buses[bus].settings.transport != modbus::Transport::tcp;
        answer.pdu = exception_pdu(function, kExceptionTarget);
        return answer;
    }
    Device& device = *found->second;
    const bool read_function = function >= 1 && function <= 4 && pdu.size() == 5;
    RegisterSpan span{RegisterTable::holding, 0, 0};
    if (read_function) {
        span = {static_cast<RegisterTable>(function), word_at(pdu, 1), word_at(pdu, 3)};
    }
    const std::vector<Meter*> meters = touched(device, span);
    if (std::any_of(meters.begin(), meters.end(), [](const Meter* m) { return m->dead; })) {
        return answer;
    }
    Meter& meter = *meters.front();
    advance(meter, now_ms);
    const Misfortune misfortune = faults_.draw(meter.spec.id, meter.dice);
    befall(meter, misfortune, now_ms);
    if (read_function) {
        tell(device, span, names_of(misfortune), now_ms);
    }
    if (misfortune[Fault::silence] || now_ms < meter.restarted_until_ms) {
        return answer;
    }
    answer.silent = false;
    answer.which_bit = misfortune.which_bit;
    if (meter.slow_replies > 0) {
        --meter.slow_replies;
        answer.delay_ms = kSlowReplyMs;
    }
    if (!read_function) {
        answer.pdu = exception_pdu(function, kExceptionFunction);
        return answer;
    }
    answer.pdu = read(device, span, now_ms);
    const bool flipped = spoil_content(device, meter, span, misfortune, answer);
    const bool misled = spoil_delivery(device, meter, span, misfortune, now_ms, answer);
    meter.misled = flipped || misled;
    return answer;
}

}  // namespace gatehouse::simulator
