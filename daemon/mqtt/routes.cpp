#include "daemon/mqtt/routes.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <string>
#include <string_view>

namespace gatehouse::mqtt {
namespace {

constexpr std::size_t kBodyMax = 64 * 1024;

// Ids and kinds stand in topics; what could be a wildcard or a level is not ours to publish.
bool fits_topic_level(std::string_view text) {
    return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-' || c == '.';
    });
}

std::string_view text_field(const boost::json::object& body, std::string_view name) {
    const boost::json::value* field = body.if_contains(name);
    if (field == nullptr || !field->is_string()) return {};
    return field->get_string();
}

// Every transition on its kind's topic, and the retained copy that lives as long as the alert.
Routed alert_route(const LogRow& row, const boost::json::object& body, const Settings& settings) {
    const std::string_view kind = text_field(body, "kind");
    const std::string_view id = text_field(body, "id");
    const std::string_view state = text_field(body, "state");
    if (!fits_topic_level(kind) || !fits_topic_level(id) || state.empty()) {
        return {.messages = {}, .broken = true};
    }
    Routed routed;
    routed.messages.push_back({.topic = full_topic(settings, "alert/" + std::string(kind)),
                               .payload = *row.body,
                               .qos = 1,
                               .retained = false});
    // A test alert has no life of its own, so nothing of it may stay behind at the broker.
    if (kind == "test") return routed;
    routed.messages.push_back({.topic = full_topic(settings, "alert/active/" + std::string(id)),
                               .payload = state == "cleared" ? std::string() : *row.body,
                               .qos = 1,
                               .retained = true});
    return routed;
}

Routed digest_route(const LogRow& row, const boost::json::object&, const Settings& settings) {
    return {.messages = {{.topic = full_topic(settings, "alert/digest"),
                          .payload = *row.body,
                          .qos = 1,
                          .retained = true}},
            .broken = false};
}

// What a key cabinet said, or somebody wrote down of a key that hangs in one. Keys of a drawer have
// no cabinet and no topic.
Routed cabinet_route(const LogRow& row, const boost::json::object& body,
                     const Settings& settings) {
    const std::string_view cabinet = text_field(body, "cabinet");
    if (!body.contains("event_type") || !fits_topic_level(cabinet)) return {};
    return {.messages = {{.topic = full_topic(settings,
                                              "cabinet/" + std::string(cabinet) + "/event"),
                          .payload = *row.body,
                          .qos = 1,
                          .retained = false}},
            .broken = false};
}

Routed ticket_route(const LogRow& row, const boost::json::object& body, const Settings& settings) {
    const std::string_view number = text_field(body, "number");
    const std::string_view state = text_field(body, "state");
    if (!fits_topic_level(number) || state.empty()) return {.messages = {}, .broken = true};
    const bool over = state == "closed" || state == "cancelled";
    return {.messages = {{.topic = full_topic(settings, "ticket/" + std::string(number)),
                          .payload = over ? std::string() : *row.body,
                          .qos = 1,
                          .retained = true}},
            .broken = false};
}

struct Route {
    std::string_view prefix;
    Routed (*messages)(const LogRow&, const boost::json::object&, const Settings&);
};
// The first prefix that fits rules.
constexpr std::array kRoutes{
    Route{"alert.digest", &digest_route}, Route{"alert.", &alert_route},
    Route{"key.", &cabinet_route},        Route{"door.", &cabinet_route},
    Route{"access.", &cabinet_route},     Route{"session.", &cabinet_route},
    Route{"slot.", &cabinet_route},       Route{"cabinet.", &cabinet_route},
    Route{"ticket.", &ticket_route},
};

}  // namespace

std::string push_topic(const Settings& settings, const std::string& cabinet) {
    return full_topic(settings, "cabinet/" + cabinet + "/push");
}

Routed route(const LogRow& row, const Settings& settings) {
    const auto found = std::find_if(kRoutes.begin(), kRoutes.end(), [&](const Route& candidate) {
        return row.kind.starts_with(candidate.prefix);
    });
    // A removed body (erasure, retention) has nothing left to say.
    if (found == kRoutes.end() || !row.body) return {};
    if (row.body->size() > kBodyMax) return {.messages = {}, .broken = true};
    boost::system::error_code error;
    const boost::json::value body = boost::json::parse(*row.body, error);
    if (error || !body.is_object()) return {.messages = {}, .broken = true};
    return found->messages(row, body.get_object(), settings);
}

}  // namespace gatehouse::mqtt
