// What the worker and the dry run share: a meter's blocks, and values and bytes for people.
#include <algorithm>

#include "daemon/core/reply_shape.hpp"
#include "drivers/modbus/bus_worker.hpp"
#include "drivers/modbus/decode.hpp"

namespace gatehouse::modbus {
namespace {

constexpr int kProofRegistersMax = 32;

std::vector<RegisterSpan> without(std::vector<RegisterSpan> spans,
                                  const std::vector<RegisterSpan>& aside) {
    std::erase_if(spans, [&](const RegisterSpan& span) {
        return std::find(aside.begin(), aside.end(), span) != aside.end();
    });
    std::sort(spans.begin(), spans.end());
    spans.erase(std::unique(spans.begin(), spans.end()), spans.end());
    return spans;
}

void append(std::vector<RegisterSpan>& all, const std::vector<RegisterSpan>& some) {
    all.insert(all.end(), some.begin(), some.end());
}

std::string hex_bytes(const std::vector<std::uint8_t>& bytes) {
    constexpr char kDigits[] = "0123456789ABCDEF";
    std::string text;
    for (const std::uint8_t byte : bytes) {
        if (!text.empty()) text.push_back(' ');
        text.push_back(kDigits[byte >> 4]);
        text.push_back(kDigits[byte & 0xF]);
    }
    return text;
}

}  // namespace

BusMeter plan_meter(const MeterPlan& meter, const BusSettings& settings, std::int64_t turnaround_us,
                    int caution, const std::vector<RegisterSpan>& aside) {
    const Profile& profile = *meter.profile;
    WireCost cost;
    cost.char_us = line_character_us(settings);
    cost.turnaround_us = turnaround_us;
    cost.pause_us = std::max(profile.pause_ms, settings.gap_ms) * 1'000;
    BlockRules rules = profile.rules;
    rules.fill_holes = rules.fill_holes && caution == 0;
    const auto blocks = [&](std::vector<RegisterSpan> spans) {
        spans = without(std::move(spans), aside);
        return caution >= 2 ? spans : plan_blocks(std::move(spans), rules, cost);
    };
    BusMeter plan;
    plan.id = meter.id;
    plan.address = meter.address;
    plan.pause_ms = profile.pause_ms;
    plan.routine = blocks(profile.routine_spans(meter.channel));
    plan.identity = blocks(profile.identity_spans(meter.channel));
    if (caution < 2) {
        // All channels of the address together, so that each meter comes to the same blocks.
        std::vector<std::vector<RegisterSpan>> plans;
        std::vector<RegisterSpan> vital;
        std::vector<RegisterSpan> values;
        for (int channel = 0; channel < profile.channels; ++channel) {
            plans.push_back(blocks(profile.routine_spans(channel)));
            append(vital, profile.spans(profile.billing, channel));
            append(values, without(profile.full_spans(channel), aside));
        }
        tell_apart(plans, vital, plan.identity, values, rules);
        plan.routine = plans.at(static_cast<std::size_t>(meter.channel));
    }
    // A person who asks for everything sees each value's own bytes, refused ones included.
    plan.full = without(profile.full_spans(meter.channel), {});
    std::vector<RegisterSpan> all;
    for (int channel = 0; channel < profile.channels; ++channel) {
        append(all, profile.full_spans(channel));
    }
    rules.fill_holes = false;
    plan.proofs = proof_blocks(without(std::move(all), aside), rules, kProofRegistersMax);
    return plan;
}

ExchangeTrace trace_of(const RegisterSpan& span, const Reply& reply) {
    ExchangeTrace trace;
    trace.span = span;
    trace.result = reply.result;
    trace.detail = reply.detail;
    trace.request_hex = hex_bytes(reply.request);
    trace.response_hex = hex_bytes(reply.response);
    trace.busy_us = reply.busy_us;
    return trace;
}

std::vector<ReadValue> read_values(const MeterPlan& meter, const RegisterImage& image) {
    std::vector<ReadValue> values;
    for (const Value& value : meter.profile->values) {
        const Decoded decoded = meter.profile->decode(value.measurement, meter.channel, image);
        ReadValue read;
        read.measurement = value.measurement;
        read.result = decoded.result;
        read.unit = unit_of(value.measurement);
        read.raw = decoded.raw;
        read.steps = decoded.steps;
        if (decoded.result == PollResult::ok) {
            read.value = decoded.text.empty() ? format_rational(decoded.number) : decoded.text;
        }
        values.push_back(std::move(read));
    }
    return values;
}

}  // namespace gatehouse::modbus
