// Alerts, their acknowledgement, and the event log.
#include <algorithm>
#include <optional>
#include <utility>

#include "daemon/engine/row_documents.hpp"
#include "daemon/http/act.hpp"

namespace gatehouse::http {

namespace {

// What came of it and what was said, which are told here and never published.
std::string with_words(const ReaderPool::Lease& reader, const std::string& id,
                       const std::string& payload) {
    if (payload.find("\"acked_by\"") == std::string::npos) return payload;
    const auto acks = reader->acks(id);
    if (acks.empty() || (acks.back().note.empty() && acks.back().result.empty())) return payload;
    JsonWriter words;
    words.begin_object()
        .field_if("result", acks.back().result)
        .field_if("note", acks.back().note)
        .end_object();
    return payload.substr(0, payload.size() - 1) + "," + words.take().substr(1);
}

Response no_alert(const std::string& after) {
    return problem(400, "cursor", "after=" + after + " names no alert.");
}

// Ids sort by opening, so that the place of an alert that has cleared since is found all the same.
Response open_alerts(const Call& call, const ReaderPool::Lease& reader, const std::string& after,
                     std::uint64_t limit) {
    const auto& alerts = call.snapshot->open_alerts;
    const bool listed = std::any_of(alerts.begin(), alerts.end(),
                                    [&](const auto& alert) { return alert->id == after; });
    if (!after.empty() && !listed && !reader->alert(after)) throw Refused{no_alert(after)};
    ListWriter list;
    std::string next = after;
    bool has_more = false;
    for (const auto& alert : alerts) {
        if (alert->id <= after) continue;
        has_more = list.count() == limit;
        if (has_more) break;
        list.item(with_words(reader, alert->id, alert->payload));
        next = alert->id;
    }
    list.end_items();
    return next.empty() ? list.finish(std::optional<std::string>(), has_more)
                        : list.finish(next, has_more);
}

}  // namespace

Response get_alerts(Call& call) {
    Query query(call.request);
    const std::string state = query.text("state").value_or("");
    if (!state.empty() && state != "open" && state != "all") {
        throw Refused{problem(400, "query", "state=" + state + " is neither open nor all.")};
    }
    const auto limit = query.limit();
    const std::string after = query.text("after").value_or("");
    query.finish();
    const auto reader = call.app.readers.take();
    if (state == "open") return open_alerts(call, reader, after, limit);
    if (!after.empty() && !reader->alert(after)) throw Refused{no_alert(after)};
    const auto rows = reader->alerts(/*open_only=*/false, after, limit + 1);
    ListWriter list;
    std::string next = after;
    for (const AlertRow& row : rows) {
        if (list.count() == limit) break;
        list.item(with_words(reader, row.id, row.payload));
        next = row.id;
    }
    list.end_items();
    const bool has_more = rows.size() > limit;
    return next.empty() ? list.finish(std::optional<std::string>(), has_more)
                        : list.finish(next, has_more);
}

void post_alert_test(Call& call, Respond respond) {
    submit_act<TestAlert>(call, std::move(respond), [](Body&, TestAlert&) {});
}

void post_alert_ack(Call& call, Respond respond) {
    submit_act<AckAlert>(call, std::move(respond), [&](Body& body, AckAlert& act) {
        act.alert = call.params[0];
        act.by = by_of(call, body);
        act.via = body.required_text("via");
        act.note = body.text("note");
        act.result = body.text("result");
    });
}

Response get_events(Call& call) {
    Query query(call.request);
    const auto limit = query.limit();
    const std::uint64_t after = query.after_seq();
    query.finish();
    const auto rows = call.app.readers.take()->events_after(after, limit + 1);
    ListWriter list;
    std::uint64_t next = after;
    for (const StoredEvent& event : rows) {
        if (list.count() == limit) break;
        list.item(event_json(event, call.app.zone));
        next = event.seq;
    }
    list.end_items();
    return list.finish(next, rows.size() > limit);
}

}  // namespace gatehouse::http
