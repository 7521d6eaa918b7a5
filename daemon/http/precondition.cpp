#include "daemon/http/precondition.hpp"

#include <algorithm>

#include "daemon/http/keyed.hpp"

namespace gatehouse::http {

namespace {

constexpr std::string_view kApi = "/api/v1/";

std::string tag_of(const Response& response) {
    for (const auto& [name, value] : response.headers)
        if (name == "ETag") return value;
    return '"' + sha256_hex(response.body) + '"';
}

// The GET route whose resource the path of a changing route is, or stands below; the longest.
const Route* resource_of(const Route& changing) {
    const std::string_view path = changing.pattern;
    const Route* best = nullptr;
    for (const Route& route : routes()) {
        const std::string_view pattern = route.pattern;
        if (std::string_view(route.method) != "GET" || route.handler == nullptr) continue;
        if (!path.starts_with(pattern) || !pattern.starts_with(kApi)) continue;
        if (path.size() > pattern.size() && path[pattern.size()] != '/') continue;
        if (best == nullptr || pattern.size() > std::string_view(best->pattern).size())
            best = &route;
    }
    return best;
}

Response stale(std::string_view detail) {
    return problem(412, "stale", detail);
}

}  // namespace

bool names_tag(std::string_view header, std::string_view tag, bool weak) {
    while (!header.empty()) {
        const std::size_t comma = header.find(',');
        std::string_view one = header.substr(0, comma);
        header.remove_prefix(comma == std::string_view::npos ? header.size() : comma + 1);
        while (!one.empty() && (one.front() == ' ' || one.front() == '\t')) one.remove_prefix(1);
        while (!one.empty() && (one.back() == ' ' || one.back() == '\t')) one.remove_suffix(1);
        if (weak && one.starts_with("W/")) one.remove_prefix(2);
        if (one == "*" || one == tag) return true;
    }
    return false;
}

void put_etag(const Route& route, const Request& request, Response& response) {
    if (request.method != "GET" || response.status != 200 || response.source != nullptr ||
        response.content_type != "application/json" ||
        !std::string_view(route.pattern).starts_with(kApi))
        return;
    const std::string tag = tag_of(response);
    if (std::none_of(response.headers.begin(), response.headers.end(),
                     [](const auto& header) { return header.first == "ETag"; }))
        response.headers.emplace_back("ETag", tag);
    if (request.if_none_match.empty() || !names_tag(request.if_none_match, tag, true)) return;
    response.status = 304;
    response.body.clear();
}

void check_if_match(const Route& route, const Call& call) {
    const std::string& given = call.request.if_match;
    if (call.request.method == "GET" || given.empty()) return;
    // What was done under this key has moved the resource itself; asking again is answered all the
    // same. The call's snapshot is older than this look into the books, so an act that is booked
    // between the two is no change to it yet.
    if (route.keyed != nullptr && call.request.idempotency_key && is_answered(call, route.keyed))
        return;
    const Route* resource = resource_of(route);
    if (resource == nullptr)
        throw Refused{stale("Nothing here has an ETag to compare If-Match with; send it without.")};
    Request look;
    look.method = "GET";
    look.segments = call.request.segments;
    look.local = call.request.local;
    // Some answers show more to who may read more, and that is what was looked at.
    look.authorization = call.request.authorization;
    look.peer = call.request.peer;
    std::vector<std::string> params = call.params;
    const auto braces = static_cast<std::size_t>(std::count(
        resource->pattern, resource->pattern + std::string_view(resource->pattern).size(), '{'));
    if (params.size() > braces) params.resize(braces);
    Call seen{call.app,    look,          std::move(params), call.actor,
              call.person, call.snapshot, /*compared=*/true};
    // What is not there matches nothing, "*" included.
    std::string tag;
    try {
        const Response now = resource->handler(seen);
        if (now.status == 200) tag = tag_of(now);
    } catch (const Refused&) {
        tag.clear();
    }
    if (!tag.empty() && names_tag(given, tag, false)) return;
    Response refusal = stale(
        "It is no longer what you looked at, and nothing was done. GET it again, look, and "
        "send its new ETag in If-Match.");
    if (!tag.empty()) refusal.headers.emplace_back("ETag", tag);
    throw Refused{std::move(refusal)};
}

}  // namespace gatehouse::http
