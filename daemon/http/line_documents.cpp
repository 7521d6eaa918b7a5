#include "daemon/http/line_documents.hpp"

#include <algorithm>

#include "daemon/core/units.hpp"

namespace gatehouse::http {

namespace {

// A monotonic moment as wall-clock time, as far as both clocks agree now.
std::string at_text(const Call& call, MonoMs mono_ms) {
    const UtcMs now_ms = call.app.clock.wall_ms();
    return format_iso8601(now_ms - (call.app.clock.mono_ms() - mono_ms), call.app.zone);
}

void milliseconds(JsonWriter& json, const char* name, const std::optional<std::int64_t>& us) {
    json.key(name);
    us ? json.value(format_decimal(*us, 3)) : json.null();
}

void exchanges_of(JsonWriter& json, const ExchangeCounts& counts) {
    json.key("exchanges").begin_object();
    for (std::size_t i = 0; i < kPollResults; ++i) {
        json.field(to_string(static_cast<PollResult>(i)), counts[i]);
    }
    json.end_object();
}

void set_aside_of(JsonWriter& json, const Call& call, const MeterLine& line) {
    json.key("set_aside").begin_array();
    for (const SetAside& aside : line.set_aside) {
        json.begin_object()
            .field("function", aside.function)
            .field("register", aside.first)
            .field("count", aside.count)
            .field("reason", aside.reason)
            .field("since", at_text(call, aside.since_mono_ms))
            .field("retry_at", at_text(call, aside.retry_mono_ms))
            .end_object();
    }
    json.end_array();
}

void line_json(JsonWriter& json, const Call& call, const MeterLine& line,
               const MeterDiagnosis& diagnosis) {
    json.begin_object()
        .field("meter", line.meter)
        .field("address", line.address)
        .field("online", line.online)
        .field_if("reason", line.reason)
        .field("fault", to_string(diagnosis.fault))
        .field_if("diagnosis", diagnosis.text);
    exchanges_of(json, line.exchanges);
    json.field("busy_ms", line.busy_ms);
    milliseconds(json, "turnaround_p50_ms", line.turnaround_p50_us);
    milliseconds(json, "turnaround_p99_ms", line.turnaround_p99_us);
    json.field("timeout_ms", line.timeout_ms).key("last_good_at");
    line.last_good_mono_ms ? json.value(at_text(call, *line.last_good_mono_ms)) : json.null();
    if (line.next_probe_mono_ms) {
        json.field("next_probe_at", at_text(call, *line.next_probe_mono_ms));
    }
    json.key("blocks").begin_array();
    for (const RegisterSpan& block : line.blocks) {
        json.begin_object()
            .field("function", static_cast<int>(block.table))
            .field("register", block.first)
            .field("count", block.count)
            .end_object();
    }
    json.end_array();
    set_aside_of(json, call, line);
    json.end_object();
}

}  // namespace

void bus_json(JsonWriter& json, const Call& call, const BusStatus& bus, bool lines) {
    const BusDiagnosis diagnosis = call.app.status.diagnosis(bus);
    const std::int64_t counted_ms = call.app.clock.mono_ms() - bus.began_mono_ms;
    json.begin_object()
        .field("bus", bus.bus)
        .field("phase", to_string(bus.phase))
        .field("reason", bus.reason)
        .field("fault", to_string(diagnosis.fault))
        .field("diagnosis", diagnosis.text)
        .field("meters", bus.meters)
        .field("meters_online", bus.meters_online)
        .field("busy_ms", bus.busy_ms)
        .field("busy_percent",
               format_decimal(counted_ms > 0 ? bus.busy_ms * 10'000 / counted_ms : 0, 2));
    milliseconds(json, "turnaround_p50_ms", bus.turnaround_p50_us);
    milliseconds(json, "turnaround_p99_ms", bus.turnaround_p99_us);
    milliseconds(json, "character_ms", bus.character_us);
    exchanges_of(json, bus.exchanges);
    if (lines) {
        json.key("lines").begin_array();
        for (std::size_t i = 0; i < bus.lines.size(); ++i) {
            line_json(json, call, bus.lines[i], diagnosis.meters[i]);
        }
        json.end_array();
    }
    json.end_object();
}

std::string meter_line_json(const Call& call, const std::string& bus, const std::string& meter) {
    for (const BusStatus& status : call.app.status.buses()) {
        if (status.bus != bus) continue;
        const BusDiagnosis diagnosis = call.app.status.diagnosis(status);
        for (std::size_t i = 0; i < status.lines.size(); ++i) {
            if (status.lines[i].meter != meter) continue;
            JsonWriter json;
            line_json(json, call, status.lines[i], diagnosis.meters[i]);
            return json.take();
        }
    }
    return {};
}

}  // namespace gatehouse::http
