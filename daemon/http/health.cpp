// Health, readiness, status, clock, and the OpenAPI document.
#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/http/line_documents.hpp"
#include "daemon/http/openapi.hpp"
#include "daemon/http/params.hpp"
#include "daemon/http/warnings.hpp"

namespace gatehouse::http {

namespace {

constexpr std::int64_t kClockOffS = 60;
constexpr std::size_t kClocksShown = 20;

void clock_fields(JsonWriter& json, const Call& call) {
    const Snapshot& snapshot = *call.snapshot;
    json.field("trusted", snapshot.clock_trusted)
        .field("reason", snapshot.clock_reason)
        .field("now", format_iso8601(snapshot.now_ms, call.app.zone))
        .field("wall", format_iso8601(call.app.clock.wall_ms(), call.app.zone));
}

void meters_fields(JsonWriter& json, const Snapshot& snapshot) {
    int online = 0;
    int held = 0;
    int disabled = 0;
    int by_eye = 0;
    for (std::size_t i = 0; i < snapshot.meters.size(); ++i) {
        const MeterView& meter = snapshot.meters[i];
        online += meter.online ? 1 : 0;
        held += meter.quality == Quality::held ? 1 : 0;
        disabled += meter.enabled || meter.by_eye ? 0 : 1;
        by_eye += meter.by_eye ? 1 : 0;
    }
    json.key("meters")
        .begin_object()
        .field("total", snapshot.meters.size())
        .field("online", online)
        .field("held", held)
        .field("disabled", disabled)
        .field("by_eye", by_eye)
        .end_object();
}

// Meters whose own clock is off: bands and freezes inside the meter go by it.
void meter_clocks_fields(JsonWriter& json, const Snapshot& snapshot) {
    std::vector<std::pair<std::int64_t, std::string>> off;
    std::size_t read = 0;
    for (std::size_t i = 0; i < snapshot.meters.size(); ++i) {
        const MeterView& meter = snapshot.meters[i];
        if (!meter.clock_drift_s) continue;
        ++read;
        if (std::llabs(*meter.clock_drift_s) <= kClockOffS) continue;
        off.emplace_back(*meter.clock_drift_s, meter.meter());
    }
    std::sort(off.begin(), off.end(), [](const auto& a, const auto& b) {
        return std::llabs(a.first) > std::llabs(b.first);
    });
    if (off.size() > kClocksShown) off.resize(kClocksShown);
    json.key("meter_clocks").begin_object().field("read", read).key("off").begin_array();
    for (const auto& [drift_s, meter] : off) {
        json.begin_object().field("meter", meter).field("drift_s", drift_s).end_object();
    }
    json.end_array().end_object();
}

std::uint64_t backlog(const Snapshot& snapshot) {
    return snapshot.event_seq > snapshot.mqtt_cursor ? snapshot.event_seq - snapshot.mqtt_cursor
                                                     : 0;
}

// Details are for those who may see the status; a stranger on the listener is told yes or no.
Response state(Call& call, bool good, const char* yes, const char* no,
               const std::vector<std::string>& reasons) {
    JsonWriter json;
    json.begin_object().field("status", good ? yes : no);
    if (!good && call.request.local) {
        json.key("reasons").begin_array();
        for (const std::string& reason : reasons) json.value(reason);
        json.end_array();
    }
    json.end_object();
    return json_response(json.take(), good ? 200 : 503);
}

}  // namespace

Response get_health(Call& call) {
    std::vector<std::string> reasons;
    for (const std::string& thread : call.app.status.process().stalled) {
        reasons.push_back("stalled: " + thread);
    }
    const bool alive = reasons.empty();
    return state(call, alive, "ok", "stalled", reasons);
}

Response get_ready(Call& call) {
    std::vector<std::string> reasons;
    if (!call.app.status.process().ready) reasons.emplace_back("starting");
    if (!call.snapshot->store_ok) reasons.push_back("store: " + call.snapshot->store_reason);
    const bool ready = reasons.empty();
    return state(call, ready, "ready", "not ready", reasons);
}

Response get_openapi(Call&) {
    return json_response(std::string(openapi_document()));
}

Response get_status(Call& call) {
    Query query(call.request);
    const bool brief = query.flag("brief");
    query.finish();
    const Snapshot& snapshot = *call.snapshot;
    const ProcessStatus process = call.app.status.process();
    const MqttStatus mqtt = call.app.status.mqtt();
    JsonWriter json;
    json.begin_object()
        .field("version", process.version)
        .field("run", snapshot.run_id)
        .field("site", call.app.options.site_id)
        .field_if("site_name", call.app.options.site_name)
        .field("started_at", format_iso8601(process.started_ms, call.app.zone))
        .field("uptime_ms", process.uptime_ms)
        .field("ready", process.ready && snapshot.store_ok);
    json.key("stalled").begin_array();
    for (const std::string& thread : process.stalled) json.value(thread);
    json.end_array();
    json.key("warnings").begin_array();
    if (!snapshot.calendar_warning.empty()) json.value(snapshot.calendar_warning);
    if (const auto* more = dynamic_cast<const Warnings*>(&call.app.status))
        for (const std::string& warning : more->warnings()) json.value(warning);
    json.end_array();
    json.key("clock").begin_object();
    clock_fields(json, call);
    json.end_object();
    meters_fields(json, snapshot);
    meter_clocks_fields(json, snapshot);
    json.key("buses").begin_array();
    for (const BusStatus& bus : call.app.status.buses()) bus_json(json, call, bus, !brief);
    json.end_array();
    json.key("mqtt")
        .begin_object()
        .field("configured", mqtt.configured)
        .field("connected", mqtt.connected)
        .field_if("reason", mqtt.reason)
        .field("backlog", mqtt.configured ? backlog(snapshot) : 0)
        .field("cursor", snapshot.mqtt_cursor)
        .end_object();
    json.key("store")
        .begin_object()
        .field("ok", snapshot.store_ok)
        .field_if("reason", snapshot.store_reason)
        .field("event_seq", snapshot.event_seq)
        .field("reading_seq", snapshot.reading_seq)
        .field("database_bytes", process.database_bytes)
        .field("disk_free_bytes", process.disk_free_bytes)
        .end_object();
    json.key("accounts")
        .begin_object()
        .field("total", snapshot.accounts.size())
        .field("low", snapshot.accounts_low)
        .end_object();
    json.key("alerts").begin_object().field("open", snapshot.open_alerts.size()).end_object();
    json.end_object();
    return json_response(json.take());
}

Response get_clock(Call& call) {
    Query(call.request).finish();
    JsonWriter json;
    json.begin_object();
    clock_fields(json, call);
    json.end_object();
    return json_response(json.take());
}

}  // namespace gatehouse::http
