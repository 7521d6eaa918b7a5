// A request and an answer as handlers see them, without a socket and without Beast. Values only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/engine/engine.hpp"

namespace gatehouse::http {

enum class Format { json, csv, xlsx };

struct Request {
    std::string method;                                      // HEAD arrives as GET
    std::vector<std::string> segments;                       // of the path, percent-decoded
    std::vector<std::pair<std::string, std::string>> query;  // decoded, in order
    std::optional<std::string> idempotency_key;
    std::string authorization;
    std::string if_none_match, if_match;
    std::string last_event_id;
    std::string body;
    std::string cookie;  // of a session; empty: none was sent
    std::string origin, host;
    std::string guard;             // X-Gatehouse-Request: what a foreign page cannot send
    std::string peer;              // address of the caller; empty: through the socket
    bool wants_html = false;       // Accept names text/html
    Format format = Format::json;  // by Accept or the suffix of the path, where the route has it
    bool listed = false;           // the route has other formats than JSON
    bool local = false;            // through the Unix socket
};

// A body that is made while it is sent. The session asks for the next piece when the peer has taken
// the last, so that a source holds one piece in memory and no thread while a slow peer reads.
class BodySource {
  public:
    enum class Next {
        more,
        wait,  // nothing more until the next commit, or until the heartbeat is due
        end,
    };
    virtual ~BodySource() = default;
    // Appends to `piece`, some tens of KiB at a time. On an export thread, one call at a time. What
    // it throws cuts the answer: the connection closes without the end that a whole answer has.
    virtual Next next(std::string& piece) = 0;
};

struct Response {
    int status = 200;
    std::string body;
    std::string content_type = "application/json";
    std::vector<std::pair<std::string, std::string>> headers;
    std::shared_ptr<BodySource> source{};   // instead of body
    std::optional<std::uint64_t> length{};  // of what the source gives, where that is known
};

// RFC 9457. `type` is the stable word that programs switch on; it becomes
// `urn:gatehouse:problem:<type>`.
[[nodiscard]] Response problem(int status, std::string_view type, std::string_view detail,
                               const std::vector<FieldError>& errors = {});

// Thrown by what handlers call, caught by the wall around the handler: the answer is ready.
struct Refused {
    Response response;
};

[[nodiscard]] Response json_response(std::string body, int status = 200);

// What the engine said, in HTTP's words.
[[nodiscard]] Response to_response(Reply reply);

// Splits a request target in origin form into segments and query; nothing where it is none, has a
// bad escape, stands for bytes that are no UTF-8, or hides a control character or slash.
struct Target {
    std::vector<std::string> segments;
    std::vector<std::pair<std::string, std::string>> query;
};
[[nodiscard]] std::optional<Target> parse_target(std::string_view target);

// `.csv` or `.xlsx` at the end of the last segment, which loses it; json: neither.
[[nodiscard]] Format take_suffix(std::vector<std::string>& segments);
// What an Accept header likes best of the three; json where it names none of them.
[[nodiscard]] Format accepted_format(std::string_view accept);

}  // namespace gatehouse::http
