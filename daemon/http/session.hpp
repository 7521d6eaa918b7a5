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
#include "daemon/http/request_head.hpp"

namespace gatehouse::http {

namespace asio = boost::asio;

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
            auto space = buffer_.prepare(kFirstBytes);
            const std::size_t got = co_await stream_.async_read_some(space, token);
            buffer_.commit(got);
            handle_.idle = false;
        }
        // From the first byte on, so that who sends one now and then does not keep the place.
        if (!error) {
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

    std::string peer() {
        if constexpr (std::is_same_v<Stream, beast::basic_stream<asio::local::stream_protocol>>) {
            return {};
        } else {
            boost::system::error_code error;
            const auto end = beast::get_lowest_layer(stream_).socket().remote_endpoint(error);
            return error ? std::string("unknown") : end.address().to_string();
        }
    }

    asio::awaitable<bool> answer(Parser& parser) {
        const auto& message = parser.get();
        head_ = message.method() == wire::verb::head;
        keep_alive_ = message.keep_alive();
        chunks_ = message.version() >= 11;
        auto request = std::make_shared<Request>();
        request->local = local_;
        request->peer = peer();
        Match match;
        Response refusal = read_head(message, *request, match);
        if (refusal.status != 0) {
            co_await send_last(refusal);
            co_return false;
        }
        co_return co_await run_route(parser, match, request);
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

    static constexpr std::size_t kFirstBytes = 4096;
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
