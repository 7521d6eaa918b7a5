// One connection: requests one after the other, each within its limits, until the peer or a limit
// ends it. A coroutine on the io_context thread; included by server.cpp alone. Every awaited
// operation gets named objects only, because g++ 12 destroys some temporaries of a co_await twice.
#pragma once

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "daemon/http/hub.hpp"

namespace gatehouse::http {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace wire = boost::beast::http;

template <class Stream>
class Session {
  public:
    Session(Stream stream, Hub& hub, bool local)
        : stream_(std::move(stream)),
          hub_(hub),
          limits_(hub.app.options.limits),
          local_(local),
          buffer_(limits_.header_bytes + 64 * 1024) {}

    asio::awaitable<void> run() {
        handle_.close = [this] {
            beast::get_lowest_layer(stream_).close();
            if (waiting_ != nullptr) waiting_->wake.cancel();
        };
        const auto place = hub_.sessions.insert(hub_.sessions.end(), &handle_);
        bool open = true;
        if constexpr (kTls) open = co_await handshake();
        while (open && !hub_.app.stopping) open = co_await serve_one();
        co_await finish();
        hub_.sessions.erase(place);
    }

  private:
    static constexpr bool kTls =
        !std::is_same_v<Stream, beast::tcp_stream> &&
        !std::is_same_v<Stream, beast::basic_stream<asio::local::stream_protocol>>;
    using Parser = wire::request_parser<wire::string_body>;

    void expires(std::int64_t after_ms) {
        beast::get_lowest_layer(stream_).expires_after(std::chrono::milliseconds(after_ms));
    }

    asio::awaitable<bool> handshake() {
        boost::system::error_code error;
        auto token = asio::redirect_error(asio::use_awaitable, error);
        expires(limits_.header_timeout_ms);
        if constexpr (kTls) {
            co_await stream_.async_handshake(asio::ssl::stream_base::server, token);
        }
        co_return !error;
    }

    // False: the connection ends.
    asio::awaitable<bool> serve_one() {
        Parser parser;
        parser.header_limit(static_cast<std::uint32_t>(limits_.header_bytes));
        parser.body_limit(limits_.import_body_bytes);
        boost::system::error_code error;
        auto token = asio::redirect_error(asio::use_awaitable, error);
        if (buffer_.size() == 0) {
            handle_.idle = true;
            expires(limits_.idle_timeout_ms);
            co_await wire::async_read_some(stream_, buffer_, parser, token);
            handle_.idle = false;
        }
        if (!error && !parser.is_header_done()) {
            expires(limits_.header_timeout_ms);
            co_await wire::async_read_header(stream_, buffer_, parser, token);
        }
        if (error) {
            Response refusal = refusal_of(error);
            if (refusal.status != 0) co_await send_last(refusal);
            co_return false;
        }
        co_return co_await answer(parser);
    }

    // What a broken message deserves; status 0: the peer has gone or is too slow, nothing is sent.
    static Response refusal_of(boost::system::error_code error) {
        if (error == wire::error::header_limit || error == wire::error::buffer_overflow) {
            return problem(431, "header-too-large", "The header is larger than 16 KiB.");
        }
        if (error == wire::error::body_limit) {
            return problem(413, "body-too-large", "The body is larger than this route takes.");
        }
        const bool message =
            error.category() == wire::make_error_code(wire::error::bad_method).category();
        if (!message || error == wire::error::end_of_stream ||
            error == wire::error::partial_message) {
            return {0, {}, {}, {}};
        }
        return problem(400, "http", "The request is no HTTP/1.1: " + error.message() + ".");
    }

    // A length told twice or in two ways is how one request is smuggled inside another.
    static bool smuggles(const Parser::value_type& message) {
        const auto lengths = message.count(wire::field::content_length);
        const auto codings = message.count(wire::field::transfer_encoding);
        if (lengths > 1 || codings > 1 || (lengths == 1 && codings == 1)) return true;
        // Beast takes "2, 2" for 2; whoever stands before us may not.
        const beast::string_view length = message[wire::field::content_length];
        if (length.find_first_not_of("0123456789") != beast::string_view::npos) return true;
        return codings == 1 && !beast::iequals(message[wire::field::transfer_encoding], "chunked");
    }

    // Of "a=1; __Host-gatehouse=secret; b=2" the secret.
    static std::string session_cookie(const std::string& header) {
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

    std::string peer() {
        if constexpr (std::is_same_v<Stream, beast::basic_stream<asio::local::stream_protocol>>) {
            return {};
        } else {
            boost::system::error_code error;
            const auto end = beast::get_lowest_layer(stream_).socket().remote_endpoint(error);
            return error ? std::string("unknown") : end.address().to_string();
        }
    }

    static std::string text(beast::string_view view) { return {view.data(), view.size()}; }

    asio::awaitable<bool> answer(Parser& parser) {
        const auto& message = parser.get();
        head_ = message.method() == wire::verb::head;
        keep_alive_ = message.keep_alive();
        chunks_ = message.version() >= 11;
        if (smuggles(message)) {
            Response refusal =
                problem(400, "http", "The length of the body is told twice or in two ways.");
            co_await send_last(refusal);
            co_return false;
        }
        auto request = std::make_shared<Request>();
        request->local = local_;
        request->method = head_ ? "GET" : text(message.method_string());
        request->authorization = text(message[wire::field::authorization]);
        const auto accept = message[wire::field::accept];
        request->wants_html = accept.find("text/html") != accept.npos;
        request->cookie = session_cookie(text(message[wire::field::cookie]));
        request->origin = text(message[wire::field::origin]);
        request->host = text(message[wire::field::host]);
        request->guard = text(message["X-Gatehouse-Request"]);
        request->peer = peer();
        request->if_none_match = text(message[wire::field::if_none_match]);
        request->last_event_id = text(message["Last-Event-ID"]);
        if (const auto key = message.find("Idempotency-Key"); key != message.end()) {
            request->idempotency_key = text(key->value());
        }
        auto target = parse_target({message.target().data(), message.target().size()});
        if (!target) {
            Response refusal = problem(400, "target", "The path or query is malformed.");
            co_await send_last(refusal);
            co_return false;
        }
        request->segments = std::move(target->segments);
        request->query = std::move(target->query);
        Match match = match_request(*request, {accept.data(), accept.size()});
        if (match.route == nullptr) {
            Response refusal = no_route(match);
            co_await send_last(refusal);
            co_return false;
        }
        co_return co_await run_route(parser, match, request);
    }

    static Response no_route(const Match& match) {
        if (match.allow.empty()) {
            return problem(404, "no-route",
                           "No such path. GET /api/v1/openapi.json lists them all.");
        }
        Response refusal = problem(405, "method", "This path takes " + match.allow + ".");
        refusal.headers.emplace_back("Allow", match.allow);
        return refusal;
    }

    asio::awaitable<bool> run_route(Parser& parser, Match& match,
                                    std::shared_ptr<Request> request) {
        const Route& route = *match.route;
        std::string actor = "local";
        // Before the body: a stranger is not given 32 MiB of memory.
        if (!local_ && route.scope[0] != '\0') {
            Waiting waiting(hub_.context);
            std::uint64_t id = 0;
            Respond respond = hub_.expect(waiting, id);
            const bool taken = hub_.authorise(route, request, respond);
            Response verdict = co_await wait_for(waiting, id, taken, limits_.answer_timeout_ms);
            if (verdict.status != 0) {
                co_await send_last(verdict);
                co_return false;
            }
            actor = verdict.body;
        }
        Response refusal = co_await read_body(parser, route);
        if (refusal.status != 0) {
            co_await send_last(refusal);
            co_return false;
        }
        if (!parser.is_done()) co_return false;
        request->body = std::move(parser.get().body());
        Waiting waiting(hub_.context);
        std::uint64_t id = 0;
        Respond respond = hub_.expect(waiting, id);
        const bool taken =
            hub_.handle(route, std::move(match.params), request, std::move(actor), respond);
        const std::int64_t timeout_ms = request->format != Format::json ? limits_.export_timeout_ms
                                        : route.answer_timeout_ms != 0  ? route.answer_timeout_ms
                                                                        : limits_.answer_timeout_ms;
        Response response = co_await wait_for(waiting, id, taken, timeout_ms);
        co_return co_await send(response);
    }

    // Status 0: the body is here whole, or the peer has gone and parser.is_done() is false.
    asio::awaitable<Response> read_body(Parser& parser, const Route& route) {
        const std::size_t limit = route.large_body ? limits_.import_body_bytes : limits_.body_bytes;
        const auto told = parser.content_length();
        if (told && *told > limit) {
            co_return problem(413, "body-too-large",
                              "The body of " + std::to_string(*told) +
                                  " bytes is larger than the " + std::to_string(limit) +
                                  " that this route takes.");
        }
        parser.body_limit(limit);
        if (parser.is_done()) co_return Response{0, {}, {}, {}};
        boost::system::error_code error;
        auto token = asio::redirect_error(asio::use_awaitable, error);
        expires(limits_.body_timeout_ms);
        if (beast::iequals(parser.get()[wire::field::expect], "100-continue")) {
            wire::response<wire::empty_body> go_on(wire::status::continue_, 11);
            co_await wire::async_write(stream_, go_on, token);
            if (error) co_return Response{0, {}, {}, {}};
        }
        co_await wire::async_read(stream_, buffer_, parser, token);
        if (error) co_return refusal_of(error);
        co_return Response{0, {}, {}, {}};
    }

    asio::awaitable<Response> wait_for(Waiting& waiting, std::uint64_t id, bool taken,
                                       std::int64_t timeout_ms) {
        if (!taken) {
            hub_.forget(id);
            co_return problem(503, "busy", "Too many requests wait; ask again in a second.");
        }
        beast::get_lowest_layer(stream_).expires_never();
        boost::system::error_code error;
        auto token = asio::redirect_error(asio::use_awaitable, error);
        waiting_ = &waiting;
        waiting.wake.expires_after(std::chrono::milliseconds(timeout_ms));
        co_await waiting.wake.async_wait(token);
        waiting_ = nullptr;
        hub_.forget(id);
        if (waiting.response) co_return std::move(*waiting.response);
        co_return problem(503, "timeout",
                          "No answer came in time. Whether it was done is not known: ask again "
                          "with the same Idempotency-Key, or look.");
    }

    void count(int status) {
        Counters& counters = hub_.app.counters;
        (status < 400   ? counters.requests
         : status < 500 ? counters.refused
                        : counters.failed)
            .fetch_add(1);
    }

    template <class Message>
    void fill_header(Message& message, const Response& response) {
        message.set(wire::field::server, "gatehoused");
        message.set(wire::field::content_type, response.content_type);
        message.set(wire::field::cache_control, "no-store");
        message.set("X-Content-Type-Options", "nosniff");
        for (const auto& [name, value] : response.headers) message.set(name, value);
        if (response.source == nullptr) {
            message.content_length(response.body.size());
        } else if (response.length) {
            message.content_length(*response.length);
        } else if (chunks_) {
            message.chunked(true);
        } else {
            keep_alive_ = false;  // HTTP/1.0 knows no end but that of the connection
        }
        message.keep_alive(keep_alive_);
    }

    // True: the connection may carry another request.
    asio::awaitable<bool> send(Response& response) {
        boost::system::error_code error;
        auto token = asio::redirect_error(asio::use_awaitable, error);
        if (hub_.app.stopping) keep_alive_ = false;
        count(response.status);
        if (response.source != nullptr) co_return co_await send_stream(response);
        expires(limits_.write_timeout_ms);
        const auto status = static_cast<unsigned>(response.status);
        if (head_) {
            wire::response<wire::empty_body> message;
            message.result(status);
            fill_header(message, response);
            co_await wire::async_write(stream_, message, token);
        } else {
            wire::response<wire::string_body> message;
            message.result(status);
            fill_header(message, response);
            message.body() = std::move(response.body);
            co_await wire::async_write(stream_, message, token);
        }
        co_return !error && keep_alive_;
    }

    // Header first, then piece by piece; false as well where the answer was cut.
    asio::awaitable<bool> send_stream(Response& response) {
        boost::system::error_code error;
        auto token = asio::redirect_error(asio::use_awaitable, error);
        wire::response<wire::empty_body> message;
        message.result(static_cast<unsigned>(response.status));
        fill_header(message, response);
        if (head_) response.source.reset();  // with the place that it may hold
        wire::response_serializer<wire::empty_body> serializer(message);
        expires(limits_.write_timeout_ms);
        co_await wire::async_write_header(stream_, serializer, token);
        if (error) co_return false;
        if (head_) co_return keep_alive_;
        const bool chunked = chunks_ && !response.length;
        const bool whole = co_await send_pieces(response.source, chunked);
        if (whole && chunked) {
            auto last = wire::make_chunk_last();
            co_await asio::async_write(stream_, last, token);
        }
        co_return whole && !error && keep_alive_;
    }

    asio::awaitable<bool> send_pieces(std::shared_ptr<BodySource> source, bool chunked) {
        const MonoMs begun = hub_.app.clock.mono_ms();
        for (;;) {
            const std::uint64_t commits = hub_.commits;
            Waiting waiting(hub_.context);
            std::uint64_t id = 0;
            Respond respond = hub_.expect(waiting, id);
            hub_.produce(source, respond);
            Response piece = co_await wait_for(waiting, id, true, limits_.export_timeout_ms);
            const bool made = piece.status == kPieceMore || piece.status == kPieceWait ||
                              piece.status == kPieceEnd;
            if (!made) co_return false;
            const bool sent = co_await send_piece(piece.body, chunked);
            if (!sent) co_return false;
            if (piece.status == kPieceEnd) co_return true;
            if (piece.status == kPieceWait) {
                co_await wait_for_commit(commits);
                if (hub_.app.stopping) co_return false;
            } else if (hub_.app.clock.mono_ms() - begun > limits_.export_timeout_ms) {
                co_return false;
            }
        }
    }

    // A peer that has not taken it when the time is over is dropped.
    asio::awaitable<bool> send_piece(const std::string& bytes, bool chunked) {
        if (bytes.empty()) co_return true;
        boost::system::error_code error;
        auto token = asio::redirect_error(asio::use_awaitable, error);
        expires(limits_.write_timeout_ms);
        auto plain = asio::buffer(bytes);
        if (chunked) {
            auto chunk = wire::make_chunk(plain);
            co_await asio::async_write(stream_, chunk, token);
        } else {
            co_await asio::async_write(stream_, plain, token);
        }
        co_return !error;
    }

    // `seen`: how many commits there were when the source was asked.
    asio::awaitable<void> wait_for_commit(std::uint64_t seen) {
        if (hub_.commits != seen || hub_.app.stopping) co_return;
        boost::system::error_code error;
        auto token = asio::redirect_error(asio::use_awaitable, error);
        Waiting waiting(hub_.context);
        waiting_ = &waiting;
        handle_.idle = true;  // a daemon that stops waits for no events
        beast::get_lowest_layer(stream_).expires_never();
        waiting.wake.expires_after(std::chrono::milliseconds(limits_.heartbeat_ms));
        const auto place = hub_.sleepers.insert(hub_.sleepers.end(), &waiting.wake);
        co_await waiting.wake.async_wait(token);
        hub_.sleepers.erase(place);
        handle_.idle = false;
        waiting_ = nullptr;
    }

    asio::awaitable<void> send_last(Response& response) {
        keep_alive_ = false;
        lingering_ = true;
        co_await send(response);
    }

    // Closing with unread bytes would reset the connection and take the answer with it; so what
    // the peer still sends is read away for a moment.
    asio::awaitable<void> finish() {
        boost::system::error_code error;
        auto token = asio::redirect_error(asio::use_awaitable, error);
        expires(kLingerMs);
        if constexpr (kTls) co_await stream_.async_shutdown(token);
        auto& lowest = beast::get_lowest_layer(stream_);
        boost::system::error_code ignored;
        lowest.socket().shutdown(asio::socket_base::shutdown_send, ignored);
        error.clear();
        std::size_t left = lingering_ ? kLingerBytes : 0;
        std::string waste(4096, '\0');
        auto space = asio::buffer(waste);
        while (!error && left > 0) {
            const std::size_t got = co_await lowest.async_read_some(space, token);
            left -= std::min(left, got);
        }
        lowest.close();
    }

    static constexpr std::int64_t kLingerMs = 2'000;
    static constexpr std::size_t kLingerBytes = 64 * 1024 * 1024;

    Stream stream_;
    Hub& hub_;
    const Limits& limits_;
    bool local_;
    bool head_ = false;
    bool keep_alive_ = false;
    bool lingering_ = false;
    bool chunks_ = true;  // the peer speaks HTTP/1.1
    beast::flat_buffer buffer_;
    SessionHandle handle_;
    Waiting* waiting_ = nullptr;
};

}  // namespace gatehouse::http
