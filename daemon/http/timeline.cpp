// One line of what happened to a unit, key, ticket, person or meter, from the event log, with how
// sure each row is. Who may read the log reads it whole, so nothing of it is masked here.
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <utility>

#include "daemon/core/key_watch.hpp"
#include "daemon/engine/row_documents.hpp"
#include "daemon/http/params.hpp"

namespace gatehouse::http {

namespace json = boost::json;

namespace {

std::string member(const json::object& object, const char* name) {
    const json::value* value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

// How sure a row is: as it says itself; a link of older books by what it rests on; what somebody
// signed is his word, and what nobody did the box concluded. Nothing: its body was removed.
std::string origin_of_row(const StoredEvent& event) {
    boost::system::error_code error;
    const json::value parsed = json::parse(event.body, error);
    if (error || !parsed.is_object()) return "";
    const json::object& body = parsed.get_object();
    const std::string own = member(body, "origin");
    for (const KeyOrigin origin : {KeyOrigin::device, KeyOrigin::derived, KeyOrigin::manual})
        if (own == to_string(origin)) return own;
    if (event.kind.starts_with("custody."))
        if (const auto kind = parse_key_link_kind(member(body, "link")))
            return to_string(origin_of(*kind));
    const bool signed_by = !member(body, "by").empty() || !member(body, "acked_by").empty();
    return to_string(signed_by ? KeyOrigin::manual : KeyOrigin::derived);
}

std::string item_json(const StoredEvent& event, const Zone& zone) {
    std::string item = event_json(event, zone);
    const std::string origin = origin_of_row(event);
    if (origin.empty()) return item;
    item.pop_back();
    return item + ",\"origin\":\"" + origin + "\"}";
}

}  // namespace

// What happened to one unit, key, ticket, person or meter, oldest first, with how sure it is.
Response get_timeline(Call& call) {
    Query query(call.request);
    std::string about;
    for (const char* name : {"unit", "key", "ticket", "staff", "meter", "account", "cabinet"}) {
        const auto id = query.text(name);
        if (!id) continue;
        if (!about.empty())
            throw Refused{problem(400, "query",
                                  "Name one of unit, key, ticket, staff, meter, "
                                  "account and cabinet, not two.")};
        about = std::string(name) + ":" + *id;
    }
    const auto limit = query.limit();
    const std::uint64_t after = query.after_seq();
    query.finish();
    if (about.empty())
        throw Refused{problem(400, "query",
                              "Name what the timeline is about: unit=, key=, ticket=, staff=, "
                              "meter=, account= or cabinet=.")};
    const auto rows = call.app.readers.take()->events_about(about, after, limit + 1);
    ListWriter list;
    std::uint64_t next = after;
    for (const StoredEvent& event : rows) {
        if (list.count() == limit) break;
        list.item(item_json(event, call.app.zone));
        next = event.seq;
    }
    list.end_items();
    return list.finish(next, rows.size() > limit);
}

}  // namespace gatehouse::http
