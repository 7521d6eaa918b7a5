#include "daemon/http/request_head.hpp"

#include <algorithm>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/field.hpp>
#include <optional>
#include <utility>

#include "daemon/core/text.hpp"
#include "daemon/http/sessions.hpp"

namespace gatehouse::http {

namespace {

std::string text(beast::string_view view) {
    return {view.data(), view.size()};
}

// A length told twice or in two ways is how one request is smuggled inside another.
bool smuggles(const WireRequest& message) {
    const auto lengths = message.count(wire::field::content_length);
    const auto codings = message.count(wire::field::transfer_encoding);
    if (lengths > 1 || codings > 1 || (lengths == 1 && codings == 1)) return true;
    // Beast takes "2, 2" for 2; whoever stands before us may not.
    const beast::string_view length = message[wire::field::content_length];
    if (length.find_first_not_of("0123456789") != beast::string_view::npos) return true;
    return codings == 1 && !beast::iequals(message[wire::field::transfer_encoding], "chunked");
}

// Of "a=1; __Host-gatehouse=secret; b=2" the secret.
std::string session_cookie(const std::string& header) {
    const std::string name = std::string(kSessionCookie) + "=";
    std::size_t at = 0;
    while (at < header.size()) {
        const std::size_t end = std::min(header.find(';', at), header.size());
        const std::size_t begin = header.find_first_not_of(' ', at);
        if (begin < end && header.compare(begin, name.size(), name) == 0)
            return header.substr(begin + name.size(), end - begin - name.size());
        at = end + 1;
    }
    return {};
}

std::string lower(std::string text) {
    for (char& c : text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
    return text;
}

// The headers whose values handlers see, which may come to stand in an answer; null: all of those
// are UTF-8. Others may be of any bytes.
const char* foreign_bytes(const WireRequest& message) {
    for (const char* name :
         {"Authorization", "Content-Encoding", "Host", "Idempotency-Key", "If-Match",
          "If-None-Match", "Last-Event-ID", "Origin", "X-Gatehouse-Request"}) {
        const auto [first, end] = message.equal_range(name);
        for (auto each = first; each != end; ++each)
            if (!is_utf8({each->value().data(), each->value().size()})) return name;
    }
    return nullptr;
}

// What a head tells in a way that two readers of it may understand differently; null: nothing.
const char* ambiguity(const WireRequest& message) {
    if (smuggles(message)) return "The length of the body is told twice or in two ways.";
    const auto hosts = message.count(wire::field::host);
    if (hosts > 1) return "The header Host stands there more than once.";
    if (hosts == 0 && message.version() >= 11)
        return "HTTP/1.1 needs the header Host, which is missing.";
    const auto [first, end] = message.equal_range("Idempotency-Key");
    for (auto each = first; each != end; ++each)
        if (each->value() != first->value())
            return "There are two headers Idempotency-Key, and they differ.";
    return nullptr;
}

// Of http://host/path?query, which is what a proxy is asked for, the host goes where Host was read,
// and the rest is the path; nothing where no host stands in it (RFC 9112, 3.2.2).
std::optional<Target> read_target(std::string_view target, Request& request) {
    const std::string start = lower(std::string(target.substr(0, 8)));
    const std::size_t scheme = start.starts_with("http://") ? 7 : start == "https://" ? 8 : 0;
    if (scheme == 0) return parse_target(target);
    target.remove_prefix(scheme);
    const std::size_t end = std::min(target.find_first_of("/?#"), target.size());
    request.host = target.substr(0, end);
    if (request.host.empty() || request.host.find('@') != std::string::npos) return std::nullopt;
    target.remove_prefix(end);
    return parse_target(target.starts_with('/') ? std::string(target) : "/" + std::string(target));
}

Response no_route(const Match& match) {
    if (match.allow.empty()) {
        return problem(404, "no-route", "No such path. GET /api/v1/openapi.json lists them all.");
    }
    Response refusal = problem(405, "method", "This path takes " + match.allow + ".");
    refusal.headers.emplace_back("Allow", match.allow);
    return refusal;
}

}  // namespace

Response refusal_of(boost::system::error_code error) {
    if (error == wire::error::header_limit || error == wire::error::buffer_overflow) {
        return problem(431, "header-too-large", "The header is larger than 16 KiB.");
    }
    if (error == wire::error::body_limit) {
        return problem(413, "body-too-large", "The body is larger than this route takes.");
    }
    const bool message =
        error.category() == wire::make_error_code(wire::error::bad_method).category();
    if (!message || error == wire::error::end_of_stream || error == wire::error::partial_message) {
        return {0, {}, {}, {}};
    }
    return problem(400, "http", "The request is no HTTP/1.1: " + error.message() + ".");
}

Response read_head(const WireRequest& message, Request& request, Match& match) {
    if (const char* why = ambiguity(message); why != nullptr) return problem(400, "http", why);
    if (const char* name = foreign_bytes(message); name != nullptr)
        return problem(400, "http",
                       "The header " + std::string(name) +
                           " has bytes in it that are no UTF-8; send it as text.");
    const auto coding = message[wire::field::content_encoding];
    if (!coding.empty() && !beast::iequals(coding, "identity"))
        return problem(415, "content-encoding",
                       "The body is " + text(coding) + "; send it as it is, without an encoding.");
    const bool head = message.method() == wire::verb::head;
    request.method = head ? "GET" : text(message.method_string());
    request.authorization = text(message[wire::field::authorization]);
    const std::string accept = lower(text(message[wire::field::accept]));
    request.wants_html = accept.find("text/html") != std::string::npos;
    request.cookie = session_cookie(text(message[wire::field::cookie]));
    request.origin = text(message[wire::field::origin]);
    request.host = text(message[wire::field::host]);
    request.guard = text(message["X-Gatehouse-Request"]);
    request.if_none_match = text(message[wire::field::if_none_match]);
    request.if_match = text(message[wire::field::if_match]);
    request.last_event_id = text(message["Last-Event-ID"]);
    if (const auto key = message.find("Idempotency-Key"); key != message.end())
        request.idempotency_key = text(key->value());
    auto target = read_target({message.target().data(), message.target().size()}, request);
    if (!target)
        return problem(400, "target",
                       "The path or query is malformed: after each % stand two hexadecimal digits, "
                       "and what they stand for is printable text in UTF-8.");
    request.segments = std::move(target->segments);
    request.query = std::move(target->query);
    match = match_request(request, accept);
    if (match.route == nullptr) return no_route(match);
    return {0, {}, {}, {}};
}

}  // namespace gatehouse::http
