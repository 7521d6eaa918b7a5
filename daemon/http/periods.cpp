// Months: which there are, what is open in them, closing one, and the files of a closed one, which
// are the same bytes for ever.
#include <algorithm>
#include <memory>
#include <utility>

#include "daemon/engine/period_checks.hpp"
#include "daemon/engine/period_documents.hpp"
#include "daemon/engine/sealed_text.hpp"
#include "daemon/http/body.hpp"
#include "daemon/http/params.hpp"
#include "daemon/http/period_tables.hpp"

namespace gatehouse::http {

namespace {

constexpr std::size_t kMonthsMax = 1'200;

LocalDate month_param(Call& call) {
    const auto month = parse_month(call.params[0]);
    if (!month) {
        throw Refused{
            problem(404, "not-found", call.params[0] + " is no month; write one as 2026-11.")};
    }
    return *month;
}

const StoredPeriod* find_period(const std::vector<StoredPeriod>& periods,
                                const std::string& month) {
    const auto found = std::find_if(periods.begin(), periods.end(), [&](const StoredPeriod& one) {
        return one.row.month == month;
    });
    return found == periods.end() ? nullptr : &*found;
}

void period_fields(JsonWriter& json, const std::string& month, const StoredPeriod* period,
                   bool over, const Zone& zone) {
    const LocalDate first = *parse_month(month);
    const bool closed = period != nullptr && period->row.state == PeriodRow::State::closed;
    json.field("month", month)
        .field("state", closed              ? "closed"
                        : period != nullptr ? "closing"
                        : over              ? "open"
                                            : "running")
        .field("from", format_iso8601(zone.midnight(first), zone))
        .field("to", format_iso8601(zone.midnight(next_month(first)), zone));
    if (!closed) return;
    json.field("closed_by", period->row.by);
    if (period->closed_at) json.field("closed_at", format_iso8601(period->closed_at->at, zone));
    json.field("event", period->row.event)
        .field("last_entry", period->row.last_entry)
        .field("last_reading", period->row.last_reading)
        .key("files")
        .begin_array();
    for (const PeriodFile& file : period->files)
        json.begin_object()
            .field("name", file.name)
            .field("sha256", file.sha256)
            .field("bytes", file.bytes)
            .end_object();
    json.end_array();
}

bool is_over(const Call& call, LocalDate month) {
    return call.snapshot->now_ms >= call.app.zone.midnight(next_month(month));
}

// One month: how it stands, and while it is not closed what people should look at before.
std::string period_json(Call& call, LocalDate month) {
    const auto reader = call.app.readers.take();
    const auto periods = reader->periods();
    const std::string name = month_scope(month);
    const StoredPeriod* period = find_period(periods, name);
    const std::string oldest = reader->oldest_month();
    const LocalDate today = call.app.zone.local(call.snapshot->now_ms).date;
    if (period == nullptr && (oldest.empty() || name < oldest || name > month_scope(today))) {
        throw Refused{problem(404, "not-found",
                              "The books hold nothing of " + name +
                                  (oldest.empty() ? "." : "; they begin with " + oldest + "."))};
    }
    JsonWriter json;
    json.begin_object();
    period_fields(json, name, period, is_over(call, month), call.app.zone);
    json.key("checklist");
    if (period != nullptr && period->row.state == PeriodRow::State::closed) {
        // The file of the summary keeps what was open when it was closed.
        json.null();
    } else if (const auto bounds = bounds_of(month, call.snapshot->now_ms, call.app.zone)) {
        const PeriodFacts facts =
            read_facts(*reader.operator->(), *call.snapshot, *bounds, call.snapshot->reading_seq);
        checklist_json(json, checklist(facts, *bounds, call.app.zone, call.app.options.chinese),
                       call.app.zone);
    } else {
        json.null();
    }
    json.end_object();
    return json.take();
}

// Keeps two requests from writing the files of a month at once.
class Closing {
  public:
    Closing(App& app, const std::string& month) : keys_(app.keys), key_("period " + month) {
        if (!keys_->enter(key_)) {
            throw Refused{problem(409, "in-progress",
                                  month + " is being closed by another request; ask how it stands "
                                          "in a minute.")};
        }
    }
    ~Closing() { keys_->leave(key_); }
    Closing(const Closing&) = delete;
    Closing& operator=(const Closing&) = delete;

  private:
    std::shared_ptr<KeysInFlight> keys_;
    std::string key_;
};

std::vector<PeriodFile> write_files(Call& call, LocalDate month) {
    const PeriodSite site{call.app.options.site_id, call.app.options.currency,
                          call.app.options.chinese, &call.app.zone};
    const auto reader = call.app.readers.take();
    return write_period(month, site, *call.snapshot, *reader.operator->());
}

bool is_closed(Call& call, const std::string& month) {
    const auto periods = call.app.readers.take()->periods();
    const StoredPeriod* period = find_period(periods, month);
    return period != nullptr && period->row.state == PeriodRow::State::closed;
}

}  // namespace

Response get_periods(Call& call) {
    Query query(call.request);
    const auto reader = call.app.readers.take();
    const auto periods = reader->periods();
    const std::string now = month_scope(call.app.zone.local(call.snapshot->now_ms).date);
    std::vector<std::string> months;
    for (auto month = parse_month(reader->oldest_month());
         month && month_scope(*month) <= now && months.size() < kMonthsMax;
         month = next_month(*month))
        months.push_back(month_scope(*month));
    return list_rows(
        months, query, [](const std::string& month) { return month; },
        [](const std::string&) { return true; },
        [&](const std::string& month) {
            JsonWriter json;
            json.begin_object();
            period_fields(json, month, find_period(periods, month),
                          is_over(call, *parse_month(month)), call.app.zone);
            json.end_object();
            return json.take();
        });
}

Response get_period(Call& call) {
    Query(call.request).finish();
    return json_response(period_json(call, month_param(call)));
}

Response post_period_close(Call& call) {
    Query(call.request).finish();
    const LocalDate month = month_param(call);
    Body body(call.request.body, call.app.options.limits.json_depth);
    const std::string by = by_of(call, body);
    body.finish();
    const std::string name = month_scope(month);
    const Closing closing(call.app, name);
    ask_engine(call, BeginPeriod{call.actor, name, by});
    if (!is_closed(call, name)) {
        call.snapshot = call.app.engine.snapshot();
        for (Command& command : sealing(call.actor, name, by, write_files(call, month)))
            ask_engine(call, std::move(command));
    }
    call.snapshot = call.app.engine.snapshot();
    return json_response(period_json(call, month));
}

namespace {

PeriodFile closed_file(Call& call, LocalDate month) {
    const std::string name = call.request.segments.back();
    auto file = call.app.readers.take()->period_file(month_scope(month), name);
    if (file) return *std::move(file);
    static_cast<void>(period_json(call, month));  // 404 where the books hold nothing of it
    throw Refused{problem(409, "period-open",
                          month_scope(month) +
                              " is not closed; its files come to be when it is. Close it with "
                              "POST /api/v1/periods/" +
                              month_scope(month) + "/close.")};
}

}  // namespace

Response get_period_file(Call& call) {
    Query(call.request).finish();
    const PeriodFile file = closed_file(call, month_param(call));
    const std::string tag = "\"" + file.sha256 + "\"";
    Response response;
    response.headers = {{"ETag", tag}, {"Cache-Control", "private, immutable, max-age=31536000"}};
    if (call.request.if_none_match.find(tag) != std::string::npos) {
        response.status = 304;
        return response;
    }
    response.body = open_sealed(file);
    return response;
}

Response table_period_file(Call& call) {
    Query query(call.request);
    static_cast<void>(query.text("lang"));
    query.finish();
    const LocalDate month = month_param(call);
    const PeriodFile file = closed_file(call, month);
    const auto periods = call.app.readers.take()->periods();
    return period_table(call, month_scope(month), *find_period(periods, month_scope(month)), file);
}

}  // namespace gatehouse::http
