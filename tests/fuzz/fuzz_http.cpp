// A request as anybody may send it, in pieces whose size its first byte says: parsed with the
// server's limits, made into a request, and given to what every handler does with a query, a body
// and entity tags. Whatever the bytes, it is refused with a problem or it has a route, and nothing
// that goes on holds a control character in its path or has a length that is told twice.
#include <algorithm>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/http/parser.hpp>
#include <cstdlib>
#include <string>

#include "daemon/http/addresses.hpp"
#include "daemon/http/params.hpp"
#include "daemon/http/precondition.hpp"
#include "daemon/http/request_head.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using namespace gatehouse;

void demand(bool holds) {
    if (!holds) std::abort();
}

class East : public Zone {
  public:
    [[nodiscard]] LocalTime local(UtcMs at) const override {
        const UtcMs here = at + 28'800'000;
        return {date_from_days(here / 86'400'000), static_cast<int>(here % 86'400'000)};
    }
    [[nodiscard]] UtcMs midnight(LocalDate date) const override {
        return days_since_epoch(date) * 86'400'000 - 28'800'000;
    }
};

void ask_query(const http::Request& request) {
    http::Query query(request);
    try {
        (void)query.limit();
        (void)query.after_seq();
        (void)query.flag("dry_run");
        (void)query.time("from", East());
        (void)query.text("lang");
        query.finish();
    } catch (const http::Refused& refused) {
        demand(refused.response.status == 400);
    }
}

void check(const http::WireRequest& message) {
    http::Request request;
    http::Match match;
    const http::Response refusal = http::read_head(message, request, match);
    demand((refusal.status == 0) == (match.route != nullptr));
    if (refusal.status != 0) {
        demand(refusal.status >= 400 && refusal.status < 500);
        demand(refusal.body.find("urn:gatehouse:problem:") != std::string::npos);
        return;
    }
    for (const std::string& segment : request.segments) {
        demand(segment.find('/') == std::string::npos);
        demand(std::none_of(segment.begin(), segment.end(),
                            [](char c) { return static_cast<unsigned char>(c) < 0x20; }));
    }
    demand(message.count(http::wire::field::content_length) +
               message.count(http::wire::field::transfer_encoding) <=
           1);
    demand(request.method == match.route->method);
    ask_query(request);
    (void)http::names_tag(request.if_match, "\"a\"", false);
    (void)http::names_tag(request.if_none_match, "\"a\"", true);
    (void)http::is_within(request.host, {request.origin, "192.0.2.0/24", "2001:db8::/32"});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const std::size_t piece = 1 + data[0];
    std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    http::wire::request_parser<http::wire::string_body> parser;
    parser.header_limit(16 * 1024);
    parser.body_limit(std::uint64_t{1024 * 1024});
    std::size_t have = 0;
    std::size_t given = 0;
    boost::system::error_code error;
    while (!parser.is_done() && given < bytes.size()) {
        have = std::min(bytes.size(), std::max(have, given) + piece);
        const std::size_t used =
            parser.put(boost::asio::const_buffer(bytes.data() + given, have - given), error);
        given += used;
        if (error == http::wire::error::need_more && have < bytes.size()) {
            error = {};
            continue;
        }
        if (error) break;
        if (used == 0 && have == bytes.size()) break;
    }
    if (error && error != http::wire::error::need_more) {
        const http::Response refusal = http::refusal_of(error);
        demand(refusal.status == 0 || refusal.status >= 400);
    }
    if (parser.is_header_done()) check(parser.get());
    return 0;
}
