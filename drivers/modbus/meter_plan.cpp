// What the worker and the dry run share: a meter's blocks, and values and bytes for people.
#include <algorithm>

#include "drivers/modbus/bus_worker.hpp"
#include "drivers/modbus/decode.hpp"

namespace gatehouse::modbus {
namespace {

constexpr int kProofRegistersMax = 32;

std::vector<RegisterSpan> sorted(std::vector<RegisterSpan> spans) {
    std::sort(spans.begin(), spans.end());
    spans.erase(std::unique(spans.begin(), spans.end()), spans.end());
    return spans;
}

void append(std::vector<RegisterSpan>& all, const std::vector<RegisterSpan>& some) {
    all.insert(all.end(), some.begin(), some.end());
}

bool may_read(const RegisterSpan& span, const BlockRules& rules) {
    if (span.count < 1 || span.count > rules.registers_max) return false;
    const auto meets = [&](const RegisterSpan& no) {
        return no.table == span.table && no.first < span.end() && span.first < no.end();
    };
    if (std::any_of(rules.forbidden.begin(), rules.forbidden.end(), meets)) return false;
    return std::none_of(rules.cuts.begin(), rules.cuts.end(), [&](const BlockCut& cut) {
        return cut.table == span.table && span.first < cut.at && cut.at < span.end();
    });
}

// The words of a proof are no value, so it may end within one, or lie over a hole. What a meter
// refuses of these is left out by the machine; where nothing else has another length, one lost
// reply would otherwise silence the meter for as long as a reply may be pending.
void append_spare_proofs(std::vector<RegisterSpan>& proofs, const std::vector<RegisterSpan>& values,
                         const BlockRules& rules) {
    const auto offer = [&](const RegisterSpan& span) {
        const bool known = std::any_of(proofs.begin(), proofs.end(), [&](const RegisterSpan& one) {
            return one.table == span.table && one.count == span.count;
        });
        if (!known && may_read(span, rules)) proofs.push_back(span);
    };
    if (rules.fill_holes) {
        for (const RegisterSpan& span : proof_blocks(values, rules, kProofRegistersMax)) {
            offer(span);
        }
    }
    for (const RegisterSpan& value : values) offer({value.table, value.first, value.count - 1});
    if (!rules.fill_holes) return;
    for (const RegisterSpan& value : values) offer({value.table, value.first, value.count + 1});
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

BusMeter plan_meter(const MeterPlan& meter) {
    const Profile& profile = *meter.profile;
    BusMeter plan;
    plan.id = meter.id;
    plan.address = meter.address;
    plan.pause_ms = profile.pause_ms;
    plan.rules = profile.rules;
    plan.routine = profile.routine_spans(meter.channel);
    plan.vital = profile.spans(profile.billing, meter.channel);
    plan.identity = profile.identity_spans(meter.channel);
    if (profile.clock) plan.identity.push_back(profile.clock->span);
    // A person who asks for everything sees each value's own bytes, refused ones included.
    plan.full = sorted(profile.full_spans(meter.channel));
    std::vector<RegisterSpan> all;
    plan.channel = static_cast<std::size_t>(meter.channel);
    for (int channel = 0; channel < profile.channels; ++channel) {
        plan.channels.push_back(sorted(profile.routine_spans(channel)));
        append(plan.channels_vital, profile.spans(profile.billing, channel));
        append(all, profile.full_spans(channel));
    }
    plan.known = sorted(all);
    BlockRules whole = profile.rules;
    whole.fill_holes = false;
    plan.proofs = proof_blocks(all, whole, kProofRegistersMax);
    append_spare_proofs(plan.proofs, plan.known, profile.rules);
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
            read.number = decoded.number;
        }
        values.push_back(std::move(read));
    }
    return values;
}

}  // namespace gatehouse::modbus
