#include "daemon/engine/service_desk.hpp"

#include <utility>

#include "daemon/engine/command_desk.hpp"
#include "daemon/engine/json_writer.hpp"

namespace gatehouse {
namespace {

const MeterRuntime* find_meter(const Context& context, const std::string& meter) {
    const auto found = context.world.meter_index.find(meter);
    return found == context.world.meter_index.end() ? nullptr
                                                    : &context.world.meters[found->second];
}

Reply no_such_meter(const std::string& meter) {
    return refusal(ReplyKind::not_found, "not-found",
                   "no meter " + meter + " stands in the registry");
}

bool confirms(const Verdict& verdict, const Sample& sample) {
    for (const Confirmed& confirmed : verdict.confirmed) {
        if (confirmed.value.at.mono_ms == sample.at.mono_ms) return true;
    }
    return false;
}

// What judge() said of the copy, in a word and a sentence.
struct Outcome {
    const char* word;
    std::string text;
};
Outcome outcome_of(const Verdict& verdict, const Sample& sample, const MeterState& before) {
    if (verdict.duplicate) {
        return {"not_later", "it is not later than the meter's last sample and moves nothing"};
    }
    if (confirms(verdict, sample)) {
        return {"confirmed", "it agrees with the sample before it and would be confirmed"};
    }
    if (verdict.opened) {
        return {"quarantined", "it would be quarantined and staff be asked: " +
                                   std::string(to_string(verdict.opened->reason))};
    }
    if (verdict.held) {
        return {"held", verdict.reason.empty() ? "it would be held until later samples decide"
                                               : "it would be held: " + verdict.reason};
    }
    if (!before.baseline) {
        return {"accepted", "it would be the first reading; the next sample confirms it"};
    }
    return {"accepted",
            "it is not lower than the last confirmed reading and within what the meter "
            "can have counted since; the next sample confirms it"};
}

bool is_staff(const Context& context, const std::string& by) {
    return context.world.staff.find(by) != context.world.staff.end();
}

void log_clock(Context& context, const NoteMeterClock& command, const std::string& kind) {
    JsonWriter subject, body;
    subject.begin_object().field("meter", command.meter).end_object();
    body.begin_object()
        .field("meter", command.meter)
        .field("by", command.by)
        .field_if("before", command.before)
        .field_if("set_to", command.set_to)
        .field_if("after", command.after)
        .field_if("reason", command.reason)
        .field("at", context.iso(context.now_ms()))
        .end_object();
    log_event(context, kind, subject.take(), body.take(), {"meter:" + command.meter});
}

}  // namespace

Reply judge_reading(const Context& context, const JudgeReading& command) {
    const MeterRuntime* meter = find_meter(context, command.sample.meter);
    if (meter == nullptr) return no_such_meter(command.sample.meter);
    MeterState copy = meter->state;
    const Sample& sample = command.sample;
    const SampleTime time{sample.at.run, sample.at.mono_ms, context.trusted(sample.at)};
    const Verdict verdict = judge(copy, sample, time, meter->terms);
    const Outcome outcome = outcome_of(verdict, sample, meter->state);
    Reply reply;
    JsonWriter json;
    json.begin_object().field("would_be", outcome.word).field("text", outcome.text);
    json.key("last_confirmed");
    if (meter->last) {
        json.begin_object()
            .field("register", format(meter->last->register_value))
            .field("at", context.iso(context.best(*meter->last)))
            .end_object();
    } else {
        json.null();
    }
    json.end_object();
    reply.json = json.take();
    return reply;
}

Reply order_meter_clock(Context& context, const OrderMeterClock& command) {
    const MeterRuntime* meter = find_meter(context, command.meter);
    if (meter == nullptr) return no_such_meter(command.meter);
    if (!is_staff(context, command.by)) {
        Reply reply =
            refusal(ReplyKind::invalid, "invalid", "`" + command.by + "` is nobody in staff.csv");
        reply.errors.push_back({"/by", reply.detail});
        return reply;
    }
    if (!context.clock.trusted()) {
        return refusal(ReplyKind::refused, "clock",
                       "the daemon's own clock is not trusted (" + context.clock.reason() +
                           "); no meter is set by it");
    }
    NoteMeterClock order;
    order.meter = command.meter;
    order.by = command.by;
    log_clock(context, order, "meter.clock_ordered");
    context.urgent = true;
    Reply reply;
    JsonWriter json;
    json.begin_object()
        .field("offset_ms", context.clock.offset_ms())
        .field("now", context.iso(context.now_ms()))
        .end_object();
    reply.json = json.take();
    return reply;
}

Reply note_meter_clock(Context& context, const NoteMeterClock& command) {
    log_clock(context, command, command.done ? "meter.clock_set" : "meter.clock_failed");
    context.urgent = true;
    Reply reply;
    reply.json = "{}";
    return reply;
}

}  // namespace gatehouse
