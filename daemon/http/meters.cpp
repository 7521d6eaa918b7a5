// Units, meters, readings and quarantine.
#include <algorithm>
#include <optional>
#include <utility>

#include "daemon/core/units.hpp"
#include "daemon/engine/documents.hpp"
#include "daemon/engine/row_documents.hpp"
#include "daemon/http/body.hpp"
#include "daemon/http/line_documents.hpp"
#include "daemon/http/params.hpp"
#include "daemon/http/reading_query.hpp"

namespace gatehouse::http {

namespace {

constexpr std::int64_t kHourMs = 3'600'000;
constexpr std::int64_t kDayMs = 24 * kHourMs;
constexpr std::int64_t kHoursMax = 24 * 400;  // of one question
constexpr std::int64_t kDaysMax = 366 * 11;

struct Range {
    UtcMs from = 0, to = 0;
};
Range range_of(Query& query, const Call& call, std::int64_t span_default_ms) {
    const auto to = query.time("to", call.app.zone);
    const auto from = query.time("from", call.app.zone);
    Range range;
    range.to = to.value_or(call.snapshot->now_ms);
    range.from = from.value_or(range.to - span_default_ms);
    if (range.from >= range.to) {
        throw Refused{problem(400, "query", "from is not before to.")};
    }
    return range;
}

std::string point_json(const MeterPoint& point, const std::optional<Milli>& consumption,
                       bool calendar, const Zone& zone) {
    JsonWriter json;
    json.begin_object().field("at", format_iso8601(point.at, zone));
    if (calendar) json.field("day", format_date(date_from_days(point.day)));
    json.field("total", format(point.total));
    if (consumption) json.field("consumption", format(*consumption));
    json.field("quality", to_string(point.quality));
    if (point.reading != 0) json.field("reading", point.reading);
    json.end_object();
    return json.take();
}

// Points with the point before the first, which only serves to tell the first one's consumption.
Response list_points(std::vector<MeterPoint> points, std::int64_t first_wanted, bool calendar,
                     Query& query, const Zone& zone) {
    const auto limit = query.limit();
    const std::uint64_t after = query.after_seq();
    query.finish();
    ListWriter list;
    bool has_more = false;
    std::uint64_t next = after;
    const MeterPoint* before = nullptr;
    for (const MeterPoint& point : points) {
        const std::int64_t place = calendar ? point.day : point.at / kHourMs;
        const MeterPoint* previous = std::exchange(before, &point);
        if (place < first_wanted || static_cast<std::uint64_t>(place) <= after) continue;
        if (list.count() == limit) {
            has_more = true;
            break;
        }
        std::optional<Milli> consumption;
        if (previous != nullptr) consumption = point.total - previous->total;
        list.item(point_json(point, consumption, calendar, zone));
        next = static_cast<std::uint64_t>(place);
    }
    list.end_items();
    return list.finish(next, has_more);
}

// Of each month the last day that it has.
std::vector<MeterPoint> month_ends(const std::vector<MeterPoint>& days) {
    std::vector<MeterPoint> months;
    for (const MeterPoint& day : days) {
        const LocalDate date = date_from_days(day.day);
        if (!months.empty()) {
            const LocalDate last = date_from_days(months.back().day);
            if (last.year == date.year && last.month == date.month) months.pop_back();
        }
        months.push_back(day);
    }
    return months;
}

Response raw_readings(Call& call, const std::string& meter, Query& query) {
    const Range range = range_of(query, call, 7 * kDayMs);
    const auto limit = query.limit();
    const std::uint64_t after = query.after_seq();
    query.finish();
    const ReadingPage page =
        call.app.readers.take()->meter_readings(meter, range.from, range.to, after, limit);
    ListWriter list;
    for (const StoredReading& item : page.items) list.item(reading_json(item, call.app.zone));
    list.end_items();
    return list.finish(page.next, page.has_more);
}

void exchange_json(JsonWriter& json, const WireExchange& exchange) {
    const auto hex = [](const std::vector<std::uint8_t>& bytes) {
        static constexpr char kHex[] = "0123456789abcdef";
        std::string text;
        for (const std::uint8_t byte : bytes) {
            if (!text.empty()) text += ' ';
            text += kHex[byte >> 4U];
            text += kHex[byte & 0xFU];
        }
        return text;
    };
    json.begin_object()
        .field("request", hex(exchange.request))
        .field("reply", hex(exchange.reply))
        .field("took_ms", exchange.took_ms)
        .end_object();
}

void values_of(JsonWriter& json, const MeterReadOutcome& outcome) {
    json.key("values").begin_array();
    for (const DecodedValue& value : outcome.values) {
        json.begin_object()
            .field("measurement", value.measurement)
            .field("result", to_string(value.result))
            .field_if("value", value.value)
            .field_if("unit", value.unit)
            .field("raw", raw_words(value.raw))
            .field_if("steps", value.steps)
            .end_object();
    }
    json.end_array();
    json.key("exchanges").begin_array();
    for (const WireExchange& exchange : outcome.exchanges) exchange_json(json, exchange);
    json.end_array();
}

// `books`: what the engine says of the reading, a document; empty where it said nothing.
void verdict_of(JsonWriter& json, const MeterReadOutcome& outcome, const std::string& books) {
    json.key("verdict").begin_object().field("plausible", outcome.findings.empty());
    json.key("findings").begin_array();
    for (const std::string& finding : outcome.findings) json.value(finding);
    json.end_array().key("alternatives").begin_array();
    for (const ReadAlternative& other : outcome.alternatives) {
        json.begin_object()
            .field("measurement", other.measurement)
            .field("what", other.what)
            .field("value", other.value)
            .end_object();
    }
    json.end_array().key("books");
    books.empty() ? json.null() : json.raw(books);
    json.end_object();
}

Response read_response(const std::string& meter, const MeterReadOutcome& outcome,
                       const std::string& books, const Zone& zone) {
    JsonWriter json;
    json.begin_object()
        .field("meter", meter)
        .field("result", to_string(outcome.result))
        .field_if("detail", outcome.detail);
    if (outcome.sample) {
        const Sample& sample = *outcome.sample;
        const auto figure = round_to_milli(sample.register_value);
        json.field("at", format_iso8601(sample.at.wall_ms, zone));
        json.key("register");
        figure ? json.value(format(*figure)) : json.null();
        json.field("raw", raw_words(sample.raw));
        if (sample.power_milliwatt) json.field("power", format_power_w(*sample.power_milliwatt));
        if (sample.flow_millilitre_per_hour) {
            json.field("flow", format_flow_m3_per_hour(*sample.flow_millilitre_per_hour));
        }
        json.field_if("serial", sample.serial);
        verdict_of(json, outcome, books);
    }
    values_of(json, outcome);
    json.end_object();
    return json_response(json.take());
}

// Asks the engine whether the reading would be accepted, then answers. Where the engine does not
// take the question the answer goes out without it: what was read is worth showing.
void answer_read(EnginePort& engine, const std::string& meter, const MeterReadOutcome& outcome,
                 const Zone& zone, const Respond& respond) {
    if (outcome.sample) {
        const bool taken = engine.submit(
            JudgeReading{*outcome.sample}, [respond, meter, outcome, &zone](const Reply& reply) {
                respond(read_response(meter, outcome,
                                      reply.kind == ReplyKind::ok ? reply.json : std::string(),
                                      zone));
            });
        if (taken) return;
    }
    respond(read_response(meter, outcome, {}, zone));
}

}  // namespace

Response get_units(Call& call) {
    Query query(call.request);
    return list_rows(
        call.snapshot->registry->units, query, [](const Unit& unit) { return unit.unit; },
        [](const Unit&) { return true; }, unit_json);
}

Response get_meters(Call& call) {
    Query query(call.request);
    return list_rows(
        call.snapshot->meters, query, [](const MeterView& meter) { return meter.meter(); },
        [](const MeterView&) { return true; },
        [&](const MeterView& meter) { return meter_json(meter, call.app.zone); });
}

Response get_meter(Call& call) {
    Query(call.request).finish();
    const MeterView& meter =
        find_row(call.snapshot->meters, call.params[0], &MeterView::meter, "meter");
    std::string text = meter_json(meter, call.app.zone);
    const std::string line =
        meter.bus().empty() ? std::string() : meter_line_json(call, meter.bus(), meter.meter());
    if (!line.empty()) {
        text.pop_back();
        text += ",\"line\":" + line + "}";
    }
    return json_response(std::move(text));
}

Response get_meter_readings(Call& call) {
    const std::string& meter =
        find_row(call.snapshot->meters, call.params[0], &MeterView::meter, "meter").meter();
    Query query(call.request);
    const std::string step = query.text("step").value_or("raw");
    if (step == "raw") return raw_readings(call, meter, query);
    if (step != "hour" && step != "day" && step != "month") {
        throw Refused{problem(400, "query", "step=" + step + " is none of raw, hour, day, month.")};
    }
    const Zone& zone = call.app.zone;
    if (step == "hour") {
        const Range range = range_of(query, call, 2 * kDayMs);
        if ((range.to - range.from) / kHourMs > kHoursMax) {
            throw Refused{problem(400, "query", "More than 400 days of hours; ask for less.")};
        }
        auto hours = call.app.readers.take()->meter_hours(meter, range.from - kHourMs, range.to);
        return list_points(std::move(hours), (range.from + kHourMs - 1) / kHourMs,
                           /*calendar=*/false, query, zone);
    }
    const Range range = range_of(query, call, (step == "day" ? 31 : 366) * kDayMs);
    const std::int64_t from_day = days_since_epoch(zone.local(range.from).date);
    const std::int64_t to_day = days_since_epoch(zone.local(range.to - 1).date) + 1;
    if (to_day - from_day > kDaysMax) {
        throw Refused{problem(400, "query", "More than eleven years of days; ask for less.")};
    }
    const std::int64_t lead = step == "day" ? 1 : 31;
    auto days = call.app.readers.take()->meter_days(meter, from_day - lead, to_day);
    if (step == "month") days = month_ends(days);
    return list_points(std::move(days), from_day, /*calendar=*/true, query, zone);
}

ReadingFilter reading_filter(Query& query, const Zone& zone) {
    ReadingFilter filter;
    if (const auto kind = query.text("kind")) {
        filter.kind = parse_reading_kind(*kind);
        if (!filter.kind) {
            throw Refused{problem(400, "query",
                                  "kind=" + *kind +
                                      " is none of interval, freeze, month, switch, move, manual, "
                                      "replacement.")};
        }
    }
    if (const auto period = query.text("period")) {
        const auto month = parse_month(*period);
        if (!month) {
            throw Refused{
                problem(400, "query", "period=" + *period + " is no month; write 2026-11.")};
        }
        // A reading at the edge ends the month before it, so a period begins just after its edge.
        filter.from = zone.midnight(*month) + 1;
        filter.to = zone.midnight(next_month(*month)) + 1;
    }
    return filter;
}

Response get_readings(Call& call) {
    Query query(call.request);
    const auto limit = query.limit();
    const std::uint64_t after = query.after_seq();
    const ReadingFilter filter = reading_filter(query, call.app.zone);
    query.finish();
    const ReadingPage page = call.app.readers.take()->readings_after(after, limit, filter);
    ListWriter list;
    for (const StoredReading& item : page.items) list.item(reading_json(item, call.app.zone));
    JsonWriter& json = list.end_items();
    json.field("first", page.first);
    if (page.truncated) json.field("truncated", true);
    return list.finish(page.next, page.has_more);
}

Response get_quarantine(Call& call) {
    Query query(call.request);
    const auto limit = query.limit();
    const std::uint64_t after = query.after_seq();
    query.finish();
    auto reader = call.app.readers.take();
    const auto rows =
        reader->quarantine(QuarantineRow::State::open, static_cast<std::int64_t>(after), limit + 1);
    ListWriter list;
    std::uint64_t next = after;
    for (const QuarantineRow& row : rows) {
        if (list.count() == limit) break;
        list.item(quarantine_json(row, reader->time(row.at), call.app.zone));
        next = static_cast<std::uint64_t>(row.id);
    }
    list.end_items();
    return list.finish(next, rows.size() > limit);
}

void post_meter_read(Call& call, Respond respond) {
    Query(call.request).finish();
    Body(call.request.body, call.app.options.limits.json_depth).finish();
    const MeterView& meter =
        find_row(call.snapshot->meters, call.params[0], &MeterView::meter, "meter");
    if (meter.by_eye) {
        throw Refused{problem(
            422, "by-eye", "The meter " + meter.meter() + " has no bus; its face is read by eye.")};
    }
    if (!meter.enabled) {
        throw Refused{problem(422, "disabled",
                              "The meter " + meter.meter() + " is not polled: " + meter.reason)};
    }
    const std::string id = meter.meter();
    const Zone& zone = call.app.zone;
    std::string why;
    EnginePort& engine = call.app.engine;
    const bool taken = call.app.meters.read_now(
        id,
        [respond, id, &zone, &engine](const MeterReadOutcome& outcome) {
            answer_read(engine, id, outcome, zone, respond);
        },
        why);
    if (!taken) throw Refused{problem(503, "busy", "The meter cannot be read now: " + why)};
}

}  // namespace gatehouse::http
