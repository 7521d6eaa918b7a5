// The head of a request as it came over the wire, made into what handlers see, or refused. Pure, so
// that it can be tried with any bytes; the session calls it on the io_context thread.
#pragma once

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include "daemon/http/message.hpp"
#include "daemon/http/routes.hpp"

namespace gatehouse::http {

namespace beast = boost::beast;
namespace wire = boost::beast::http;

using WireRequest = wire::request<wire::string_body>;

// What a broken message deserves; status 0: the peer has gone or is too slow, nothing is sent.
[[nodiscard]] Response refusal_of(boost::system::error_code error);

// Fills the request, but for what only the socket knows (local, peer), and finds its route. Status
// 0: it may go on.
[[nodiscard]] Response read_head(const WireRequest& message, Request& request, Match& match);

}  // namespace gatehouse::http
