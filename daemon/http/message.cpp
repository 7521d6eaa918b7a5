#include "daemon/http/message.hpp"

#include <algorithm>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <utility>

#include "daemon/core/text.hpp"
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
        case 415:
            return "Unsupported encoding";
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

// What may stand in an answer, in a page and in the event log, which is JSON for good.
bool is_words(std::string_view text) {
    return is_utf8(text) && !has_unprintable(text);
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
        case ReplyKind::stale:
            return {412, "stale"};
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
        if (!is_words(text) || text.find('/') != std::string::npos) return std::nullopt;
        result.segments.push_back(std::move(text));
    }
    for (const auto& param : parsed->params()) {
        std::string value = param.has_value ? std::string(param.value) : std::string();
        std::string key(param.key);
        if (!is_words(key) || !is_words(value)) return std::nullopt;
        result.query.emplace_back(std::move(key), std::move(value));
    }
    return result;
}

Format take_suffix(std::vector<std::string>& segments) {
    if (segments.empty()) return Format::json;
    std::string& last = segments.back();
    for (const auto& [suffix, format] :
         {std::pair{std::string_view(".csv"), Format::csv}, {".xlsx", Format::xlsx}}) {
        if (last.size() <= suffix.size() || !last.ends_with(suffix)) continue;
        last.resize(last.size() - suffix.size());
        return format;
    }
    return Format::json;
}

Format accepted_format(std::string_view accept) {
    Format best = Format::json;
    int liked = 0;  // thousandths
    while (!accept.empty()) {
        std::string_view one = accept.substr(0, accept.find(','));
        accept.remove_prefix(std::min(accept.size(), one.size() + 1));
        while (one.starts_with(' ')) one.remove_prefix(1);
        const std::string_view type = one.substr(0, one.find_first_of("; "));
        const std::size_t weight = one.find("q=");
        int q = 1'000;
        if (weight != std::string_view::npos) {
            const std::string_view digits = one.substr(weight + 2);
            q = digits.starts_with('1') ? 1'000 : 0;
            for (std::size_t i = 2, place = 100; i < digits.size() && place > 0; ++i, place /= 10)
                if (digits[i] >= '0' && digits[i] <= '9')
                    q += (digits[i] - '0') * static_cast<int>(place);
        }
        Format format = Format::json;
        if (type == "text/csv") {
            format = Format::csv;
        } else if (type == "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet") {
            format = Format::xlsx;
        } else if (type != "application/json") {
            continue;
        }
        if (q > liked) best = format;
        liked = std::max(liked, q);
    }
    return best;
}

}  // namespace gatehouse::http
