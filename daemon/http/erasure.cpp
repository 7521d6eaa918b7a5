// Erasing a person, and who was erased. What was written about them is looked up here, beside the
// engine, which takes it away.
#include "daemon/http/act.hpp"
#include "daemon/http/params.hpp"

namespace gatehouse::http {

void post_person_erase(Call& call, Respond respond) {
    Query(call.request).finish();
    Body body(call.request.body, call.app.options.limits.json_depth);
    ErasePerson erase;
    erase.person = call.params[0];
    const Signed people = two_of(call, body);
    erase.act.by = people.by;
    erase.act.second = people.second;
    erase.act.actor = people.actor;
    erase.act.reason = body.required_text("reason");
    body.finish();
    erase.traces = call.app.readers.take()->traces(erase.person);
    submit(call, std::move(erase), std::move(respond));
}

Response get_erasures(Call& call) {
    Query query(call.request);
    const auto rows = call.app.readers.take()->erasures();
    return list_rows(
        rows, query, [](const ErasureRow& row) { return row.person; },
        [](const ErasureRow&) { return true; },
        [&](const ErasureRow& row) {
            JsonWriter json;
            json.begin_object()
                .field("person", row.person)
                .field("by", row.by)
                .field("second", row.second)
                .field("reason", row.reason)
                .field("at", format_iso8601(row.at, call.app.zone))
                .end_object();
            return json.take();
        });
}

}  // namespace gatehouse::http
