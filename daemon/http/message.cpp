#include "daemon/http/message.hpp"

#include <algorithm>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <utility>

#include "daemon/engine/json_writer.hpp"

namespace gatehouse::http {

namespace {

const char* title(int status) {
    switch (status) {
        case 400:
            return "Bad request";
        case 401:
            return "Not authenticated";
        case 403:
            return "Not allowed";
        case 404:
            return "Not found";
        case 405:
            return "Method not allowed";
        case 409:
            return "Conflict";
        case 413:
            return "Body too large";
        case 422:
            return "Not accepted";
        case 429:
            return "Too many at once";
        case 431:
            return "Header too large";
        case 503:
            return "Not available";
        default:
            return "Failed";
    }
}

bool has_control(std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte < 0x20 || byte == 0x7F;
    });
}

struct Status {
    int code;
    const char* type;  // where the engine named none
};
Status status_of(ReplyKind kind) {
    switch (kind) {
        case ReplyKind::ok:
            return {200, ""};
        case ReplyKind::created:
            return {201, ""};
        case ReplyKind::invalid:
            return {422, "invalid"};
        case ReplyKind::bad_request:
            return {400, "bad-request"};
        case ReplyKind::not_found:
            return {404, "not-found"};
        case ReplyKind::conflict:
            return {409, "conflict"};
        case ReplyKind::key_reused:
            return {422, "key-reused"};
        case ReplyKind::refused:
            return {422, "refused"};
        case ReplyKind::unavailable:
            return {503, "unavailable"};
    }
    return {500, "internal"};
}

}  // namespace

Response problem(int status, std::string_view type, std::string_view detail,
                 const std::vector<FieldError>& errors) {
    JsonWriter json;
    json.begin_object()
        .field("type", "urn:gatehouse:problem:" + std::string(type))
        .field("title", title(status))
        .field("status", status)
        .field("detail", detail);
    if (!errors.empty()) {
        json.key("errors").begin_array();
        for (const FieldError& error : errors) {
            json.begin_object()
                .field("pointer", error.pointer)
                .field("detail", error.message)
                .end_object();
        }
        json.end_array();
    }
    json.end_object();
    Response response{status, json.take(), "application/problem+json", {}};
    if (status == 503) response.headers.emplace_back("Retry-After", "1");
    return response;
}

Response json_response(std::string body, int status) {
    return {status, std::move(body), "application/json", {}};
}

Response to_response(Reply reply) {
    const Status status = status_of(reply.kind);
    if (status.code < 300) return json_response(std::move(reply.json), status.code);
    return problem(status.code, reply.type.empty() ? status.type : reply.type, reply.detail,
                   reply.errors);
}

std::optional<Target> parse_target(std::string_view target) {
    const auto parsed = boost::urls::parse_origin_form({target.data(), target.size()});
    if (!parsed) return std::nullopt;
    Target result;
    for (const auto& segment : parsed->segments()) {
        std::string text = segment;
        if (has_control(text) || text.find('/') != std::string::npos) return std::nullopt;
        result.segments.push_back(std::move(text));
    }
    for (const auto& param : parsed->params()) {
        std::string value = param.has_value ? std::string(param.value) : std::string();
        if (has_control(param.key) || has_control(value)) return std::nullopt;
        result.query.emplace_back(std::string(param.key), std::move(value));
    }
    return result;
}

}  // namespace gatehouse::http
