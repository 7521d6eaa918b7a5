#include "daemon/ctl/client.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <chrono>

namespace gatehouse::ctl {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace wire = boost::beast::http;

namespace {

constexpr std::size_t kAnswerMax = 256U * 1024 * 1024;  // a whole registry in base64

using Stream = beast::basic_stream<asio::local::stream_protocol>;

int given_s = 0;  // 0: none was given

// The daemon answers most requests within 30 seconds, with 503 if it must; what replays accounts,
// proves the books or carries all of them takes up to ten minutes there.
int seconds_for(std::string_view target) {
    constexpr int kAtOnce = 10, kUsual = 90, kLong = 660;
    if (given_s > 0) return given_s;
    const std::string_view path = target.substr(0, target.find('?'));
    if (path == "/api/v1/status" || path == "/api/v1/clock") return kAtOnce;
    const bool carries_all = path == "/api/v1/registry" || path == "/api/v1/verify" ||
                             path.starts_with("/api/v1/periods/") || path.ends_with("/occupant") ||
                             path.ends_with("/replacement");
    return carries_all ? kLong : kUsual;
}

std::string hangs(const std::string& path, std::string_view method, int limit_s) {
    return "gatehoused at " + path + " did not answer within " + std::to_string(limit_s) +
           " s: it hangs or is overloaded; look at `systemctl status gatehouse` and its journal, "
           "and restart it, or wait longer with --timeout" +
           (method == "GET" ? std::string()
                            : "; whether it was done is not known: look, or ask again with the "
                              "same --key");
}

std::string unreachable(const std::string& path, const boost::system::error_code& error) {
    std::string line = "cannot reach gatehoused at " + path + ": " + error.message();
    if (error == boost::system::errc::permission_denied) {
        return line + "; run it as root or as a member of the socket's group";
    }
    if (error == boost::system::errc::no_such_file_or_directory ||
        error == boost::system::errc::connection_refused) {
        return line + "; is it running, and is this the http.socket of its configuration?";
    }
    return line;
}

}  // namespace

void wait_at_most(int seconds) {
    given_s = seconds;
}

std::string encode(std::string_view text) {
    static constexpr char kHex[] = "0123456789ABCDEF";
    std::string result;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '~';
        if (plain) {
            result += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        result += '%';
        result += kHex[byte >> 4U];
        result += kHex[byte & 0xFU];
    }
    return result;
}

Answer call(const std::string& socket_path, std::string_view method, const std::string& target,
            const std::string& body, const Headers& headers) {
    // 107 bytes is what a socket's path may have; the endpoint would throw.
    if (socket_path.empty() || socket_path.size() > 107) {
        throw Unreachable("the socket's path " + socket_path + " is empty or too long");
    }
    asio::io_context context;
    Stream stream(context);
    boost::system::error_code error;
    const int limit_s = seconds_for(target);
    const auto done = [&](boost::system::error_code result, std::size_t = 0) { error = result; };
    const auto wait = [&] {
        context.restart();
        context.run();
        if (error == beast::error::timeout) throw Unreachable(hangs(socket_path, method, limit_s));
        return error;
    };
    stream.expires_after(std::chrono::seconds(limit_s));
    stream.async_connect(asio::local::stream_protocol::endpoint(socket_path), done);
    if (wait()) throw Unreachable(unreachable(socket_path, error));

    wire::request<wire::string_body> request;
    request.version(11);
    request.method_string({method.data(), method.size()});
    request.target({target.data(), target.size()});
    request.set(wire::field::host, "gatehouse");
    request.keep_alive(false);
    if (!body.empty()) request.set(wire::field::content_type, "application/json");
    for (const auto& [name, value] : headers) request.set(name, value);
    request.body() = body;
    request.prepare_payload();
    // A daemon that refuses a large body answers before it has read all of it, so what it says
    // counts more than how the writing ended.
    wire::async_write(stream, request, done);
    const boost::system::error_code write_error = wait();

    beast::flat_buffer buffer;
    wire::response_parser<wire::string_body> parser;
    parser.body_limit(kAnswerMax);
    wire::async_read(stream, buffer, parser, done);
    wait();
    if (error) {
        throw Unreachable("gatehoused at " + socket_path +
                          " did not answer: " + (write_error ? write_error : error).message());
    }
    return {static_cast<int>(parser.get().result_int()), std::move(parser.get().body())};
}

}  // namespace gatehouse::ctl
