// The search for meters on a bus: begun with POST, followed with GET, ended with DELETE. A scan
// that nobody asks after ends by itself, so an operator who goes away leaves nothing running.
#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "daemon/core/units.hpp"
#include "daemon/http/body.hpp"
#include "daemon/http/params.hpp"

namespace gatehouse::http {

namespace {

constexpr int kAddressFirst = 1;
constexpr int kAddressLast = 247;
constexpr const char* kColumns = "meter,unit,service,role,bus,address,channel,profile,serial\r\n";

// Which profile a registry line may name: what the device says of itself or what little else fits.
const ScanCandidate* line_profile(const ScanDevice& device) {
    if (device.candidates.empty()) return nullptr;
    const ScanCandidate& best = device.candidates.front();
    const bool sure = best.match == "certain" || best.match == "likely";
    return sure || device.candidates.size() == 1 ? &best : nullptr;
}

std::string fresh_id(const std::string& wanted, std::set<std::string>& taken) {
    std::string id = wanted;
    for (int i = 2; !taken.insert(id).second; ++i) id = wanted + "." + std::to_string(i);
    return id;
}

std::string csv_cell(const std::string& text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string cell = "\"";
    for (const char c : text) cell += c == '"' ? std::string("\"\"") : std::string(1, c);
    return cell + "\"";
}

// Role check: such a meter is read and charges nobody until somebody names its unit.
std::string registry_lines(const ScanView& view, const Registry& registry) {
    std::set<std::string> taken;
    for (const Meter& meter : registry.meters) taken.insert(meter.meter);
    std::string lines;
    for (const ScanDevice& device : view.devices) {
        const ScanCandidate* profile = line_profile(device);
        if (profile == nullptr || !device.meters.empty() || !device.own_line) continue;
        if (device.duplicate == "certain") continue;
        for (int channel = 0; channel < profile->channels; ++channel) {
            const bool many = profile->channels > 1;
            std::string wanted = view.bus + "-" + std::to_string(device.address);
            if (many) wanted += "-" + std::to_string(channel);
            lines += fresh_id(wanted, taken) + ",," + profile->service + ",check," + view.bus +
                     "," + std::to_string(device.address) + "," +
                     (many ? std::to_string(channel) : "") + "," + profile->profile + "," +
                     csv_cell(many ? "" : device.serial) + "\r\n";
        }
    }
    return lines.empty() ? lines : kColumns + lines;
}

void candidates_of(JsonWriter& json, const ScanDevice& device) {
    const ScanCandidate* best = device.candidates.empty() ? nullptr : &device.candidates.front();
    json.key("profile");
    best == nullptr ? json.null() : json.value(best->profile);
    json.key("match");
    best == nullptr ? json.null() : json.value(best->match);
    json.key("why");
    best == nullptr ? json.null() : json.value(best->why);
    json.key("candidates").begin_array();
    for (const ScanCandidate& candidate : device.candidates) {
        json.begin_object()
            .field("profile", candidate.profile)
            .field("label", candidate.label)
            .field("service", candidate.service)
            .field("match", candidate.match)
            .field("score", candidate.score)
            .field("why", candidate.why)
            .end_object();
    }
    json.end_array();
}

void device_json(JsonWriter& json, const ScanDevice& device) {
    json.begin_object()
        .field("address", device.address)
        .field_if("line", device.line)
        .field("own_line", device.own_line)
        .field("readable", device.readable)
        .field("turnaround_ms", format_decimal(device.turnaround_us, 3));
    candidates_of(json, device);
    json.field_if("serial", device.serial);
    json.key("figures").begin_array();
    for (const ScanFigure& figure : device.figures) {
        json.begin_object()
            .field("measurement", figure.measurement)
            .field("value", figure.value)
            .field_if("unit", figure.unit)
            .end_object();
    }
    json.end_array();
    json.field("plausible", device.findings.empty());
    json.key("findings").begin_array();
    for (const std::string& finding : device.findings) json.value(finding);
    json.end_array();
    json.key("duplicate")
        .begin_object()
        .field("verdict", device.duplicate)
        .field_if("why", device.duplicate_why)
        .end_object();
    json.key("meters").begin_array();
    for (const std::string& meter : device.meters) json.value(meter);
    json.end_array();
    json.field_if("note", device.note).end_object();
}

std::string scan_json(const ScanView& view, const Call& call) {
    JsonWriter json;
    json.begin_object()
        .field("bus", view.bus)
        .field("state", view.state)
        .field_if("reason", view.reason)
        .field("phase", view.phase)
        .field_if("line", view.line)
        .field("from", view.from)
        .field("to", view.to)
        .field("address", view.address)
        .field("percent", view.percent)
        .field("started_at", format_iso8601(view.started_ms, call.app.zone))
        .field("elapsed_ms", view.elapsed_ms)
        .field("left_ms", view.left_ms)
        .field("asked", view.asked)
        .field("found", view.devices.size());
    json.key("devices").begin_array();
    for (const ScanDevice& device : view.devices) device_json(json, device);
    json.end_array().key("silent").begin_array();
    for (const ScanSilent& meter : view.silent) {
        json.begin_object()
            .field("meter", meter.meter)
            .field("address", meter.address)
            .field("profile", meter.profile)
            .end_object();
    }
    json.end_array().key("notes").begin_array();
    for (const std::string& note : view.notes) json.value(note);
    json.end_array();
    const bool over = view.state != "running";
    json.field("registry", over ? registry_lines(view, *call.snapshot->registry) : std::string());
    json.end_object();
    return json.take();
}

ScanView current(Call& call) {
    auto view = call.app.commissioning.scan(call.params[0]);
    if (view) return std::move(*view);
    throw Refused{problem(404, "not-found",
                          "No scan of bus " + call.params[0] +
                              " was begun since the daemon started; begin one with POST.")};
}

}  // namespace

Response post_scan(Call& call) {
    Query(call.request).finish();
    Body body(call.request.body, call.app.options.limits.json_depth);
    ScanRequest request;
    request.bus = call.params[0];
    request.from =
        static_cast<int>(body.integer("from", kAddressFirst, kAddressLast).value_or(kAddressFirst));
    request.to =
        static_cast<int>(body.integer("to", kAddressFirst, kAddressLast).value_or(kAddressLast));
    request.own_settings = body.flag("own_settings");
    if (request.from > request.to) {
        body.wrong("/from", std::to_string(request.from) + " is above to, " +
                                std::to_string(request.to) + "; give the lower address first");
    }
    body.finish();
    std::string why;
    switch (call.app.commissioning.start_scan(request, why)) {
        case Commissioning::Started::yes:
            break;
        case Commissioning::Started::no_such_bus:
            throw Refused{problem(404, "not-found", why)};
        case Commissioning::Started::runs_already:
            throw Refused{problem(409, "scan-runs", why)};
        case Commissioning::Started::not_now:
            throw Refused{problem(503, "busy", why)};
    }
    Response response = json_response(scan_json(current(call), call), 202);
    response.headers.emplace_back("Location", "/api/v1/buses/" + request.bus + "/scan");
    return response;
}

Response get_scan(Call& call) {
    Query(call.request).finish();
    return json_response(scan_json(current(call), call));
}

Response delete_scan(Call& call) {
    Query(call.request).finish();
    (void)current(call);
    (void)call.app.commissioning.cancel_scan(call.params[0]);
    return json_response(scan_json(current(call), call));
}

}  // namespace gatehouse::http
