// How a row comes into the event log, and by whom it is found there.
#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <iterator>
#include <utility>

#include "daemon/engine/world.hpp"

namespace gatehouse {
namespace {

// Whoever of the staff did it finds it in a line of his own, whatever it is about: what he moved,
// took, acknowledged, signed or gave away. Ids alone, and what no person signed is not read.
void name_doers(const Context& context, const std::string& body, std::vector<std::string>& about) {
    constexpr const char* kDoers[] = {"by", "second", "acked_by"};
    const bool names = std::any_of(std::begin(kDoers), std::end(kDoers), [&](const char* name) {
        return body.find("\"" + std::string(name) + "\":\"") != std::string::npos;
    });
    if (!names) return;
    boost::system::error_code error;
    const boost::json::value parsed = boost::json::parse(body, error);
    if (error || !parsed.is_object()) return;
    for (const char* name : kDoers) {
        const boost::json::value* value = parsed.get_object().if_contains(name);
        if (value == nullptr || !value->is_string()) continue;
        std::string id(value->get_string());
        if (!context.world.staff.contains(id)) continue;
        std::string line = "staff:" + std::move(id);
        if (std::find(about.begin(), about.end(), line) == about.end())
            about.push_back(std::move(line));
    }
}

}  // namespace

std::uint64_t log_event(Context& context, const std::string& kind, const std::string& subject,
                        const std::string& body, std::vector<std::string> about,
                        const std::string& topic) {
    name_doers(context, body, about);
    EventRow row;
    row.kind = kind;
    row.subject = subject;
    row.body = body;
    row.at = context.now;
    row.about = std::move(about);
    const std::uint64_t seq = context.store.append_event(row);
    if (!topic.empty()) {
        context.world.topic_heads[topic] = seq;
        context.store.put_topic_head(topic, seq);
    }
    context.urgent = true;
    return seq;
}

}  // namespace gatehouse
