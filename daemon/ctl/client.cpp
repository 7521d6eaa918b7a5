#include "daemon/ctl/client.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

namespace gatehouse::ctl {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace wire = boost::beast::http;

namespace {

constexpr std::size_t kAnswerMax = 256U * 1024 * 1024;  // a whole registry in base64

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
    asio::io_context context;
    asio::local::stream_protocol::socket socket(context);
    boost::system::error_code error;
    // 107 bytes is what a socket's path may have; the endpoint would throw.
    if (socket_path.empty() || socket_path.size() > 107) {
        throw Unreachable("the socket's path " + socket_path + " is empty or too long");
    }
    socket.connect(asio::local::stream_protocol::endpoint(socket_path), error);
    if (error) throw Unreachable(unreachable(socket_path, error));

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
    boost::system::error_code write_error;
    wire::write(socket, request, write_error);

    beast::flat_buffer buffer;
    wire::response_parser<wire::string_body> parser;
    parser.body_limit(kAnswerMax);
    wire::read(socket, buffer, parser, error);
    if (error) {
        throw Unreachable("gatehoused at " + socket_path +
                          " did not answer: " + (write_error ? write_error : error).message());
    }
    return {static_cast<int>(parser.get().result_int()), std::move(parser.get().body())};
}

}  // namespace gatehouse::ctl
