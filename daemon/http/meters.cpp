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
constexpr std::int64_t kHoursMax = 24 * 400;  // of one question
constexpr std::int64_t kDaysMax = 366 * 11;

// What a question for a history spans, and its page. Without `from` it begins where the history
// does, so that nobody takes the last days for all.
struct Span {
    std::optional<UtcMs> from;
    UtcMs to = 0;
    std::uint64_t limit = 0, after = 0;
};
Span span_of(Query& query, const Call& call) {
    Span span;
    span.to = query.time("to", call.app.zone).value_or(call.snapshot->now_ms);
    span.from = query.time("from", call.app.zone);
    span.limit = query.limit();
    span.after = query.after_seq();
    query.finish();
    if (span.from && *span.from >= span.to)
        throw Refused{problem(400, "query", "from is not before to.")};
    return span;
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

// Places (hours, days) of a question that are looked at for one page: from `first` on, to before
// `end`. A history that is longer than one look goes on in the next page, though this one be short.
struct Window {
    std::int64_t first = 0, end = 0;
    bool cut = false;
};
Window window_of(const Span& span, std::int64_t first, std::int64_t end, std::int64_t most) {
    // Whoever names where it begins is told that it is too much; who does not is led through it.
    if (span.from && end - first > most)
        throw Refused{problem(400, "query",
                              "from and to are more than " + std::to_string(most) +
                                  " hours or days apart; ask for less, or leave out from and page "
                                  "with after.")};
    Window window{first, end, false};
    if (span.after > static_cast<std::uint64_t>(first))
        window.first = std::min(static_cast<std::int64_t>(span.after), end);
    window.cut = end - window.first > most;
    if (window.cut) window.end = window.first + most;
    return window;
}

// Points with the point before the first, which only serves to tell the first one's consumption.
Response list_points(const std::vector<MeterPoint>& points, const Window& window, bool calendar,
                     const Span& span, const Zone& zone) {
    ListWriter list;
    bool has_more = false;
    std::uint64_t next = span.after;
    const MeterPoint* before = nullptr;
    for (const MeterPoint& point : points) {
        const std::int64_t place = calendar ? point.day : point.at / kHourMs;
        const MeterPoint* previous = std::exchange(before, &point);
        if (place < window.first || static_cast<std::uint64_t>(place) <= span.after) continue;
        if (list.count() == span.limit) {
            has_more = true;
            break;
        }
        std::optional<Milli> consumption;
        if (previous != nullptr) consumption = point.total - previous->total;
        list.item(point_json(point, consumption, calendar, zone));
        next = static_cast<std::uint64_t>(place);
    }
    if (!has_more && window.cut) {
        has_more = true;
        next = static_cast<std::uint64_t>(window.end - 1);
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

Response raw_readings(Call& call, const std::string& meter, const Span& span) {
    const ReadingPage page = call.app.readers.take()->meter_readings(
        meter, span.from.value_or(0), span.to, span.after, span.limit);
    ListWriter list;
    for (const StoredReading& item : page.items) list.item(reading_json(item, call.app.zone));
    list.end_items();
    return list.finish(page.next, page.has_more);
}

Response hour_points(Call& call, const std::string& meter, const Span& span) {
    const auto reader = call.app.readers.take();
    const std::int64_t end = (span.to + kHourMs - 1) / kHourMs;
    const std::int64_t first =
        span.from ? (*span.from + kHourMs - 1) / kHourMs : reader->first_hour(meter).value_or(end);
    const Window window = window_of(span, first, end, kHoursMax);
    const auto hours = reader->meter_hours(meter, (window.first - 1) * kHourMs,
                                           std::min(window.end * kHourMs, span.to));
    return list_points(hours, window, /*calendar=*/false, span, call.app.zone);
}

Response day_points(Call& call, const std::string& meter, const Span& span, bool months) {
    const Zone& zone = call.app.zone;
    const auto reader = call.app.readers.take();
    const std::int64_t end = days_since_epoch(zone.local(span.to - 1).date) + 1;
    const std::int64_t first = span.from ? days_since_epoch(zone.local(*span.from).date)
                                         : reader->first_day(meter).value_or(end);
    const Window window = window_of(span, first, end, kDaysMax);
    auto days = reader->meter_days(meter, window.first - (months ? 31 : 1), window.end);
    if (months) days = month_ends(days);
    return list_points(days, window, /*calendar=*/true, span, zone);
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
    if (step != "raw" && step != "hour" && step != "day" && step != "month")
        throw Refused{problem(400, "query", "step=" + step + " is none of raw, hour, day, month.")};
    const Span span = span_of(query, call);
    if (step == "raw") return raw_readings(call, meter, span);
    if (step == "hour") return hour_points(call, meter, span);
    return day_points(call, meter, span, step == "month");
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
