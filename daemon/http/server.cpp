#include "daemon/http/server.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>
#include <cerrno>
#include <cstring>
#include <exception>
#include <thread>

#include "daemon/core/assert.hpp"
#include "daemon/http/exports.hpp"
#include "daemon/http/session.hpp"

namespace gatehouse::http {

namespace {

using Tcp = asio::ip::tcp;
using Local = asio::local::stream_protocol;
using LocalStream = beast::basic_stream<Local>;
using TlsStream = asio::ssl::stream<beast::tcp_stream>;

constexpr std::int64_t kGraceMs = 3'000;
constexpr std::int64_t kHeartbeatMs = 500;
constexpr std::int64_t kAcceptPauseMs = 100;

constexpr char kTooMany[] =
    "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
    "Content-Type: application/problem+json\r\nContent-Length: 131\r\n\r\n"
    "{\"type\":\"urn:gatehouse:problem:connections\",\"title\":\"Not available\",\"status\":503,"
    "\"detail\":\"Too many connections are open already.\"}";

[[noreturn]] void fail(const std::string& what, const std::string& why) {
    throw ServerError(what + ": " + why);
}

bool somebody_listens(const std::string& path) {
    asio::io_context context;
    Local::socket probe(context);
    boost::system::error_code error;
    probe.connect(Local::endpoint(path), error);
    return !error;
}

// A socket left behind by a process that was killed goes away; a live one is never taken over, and
// a file that is no socket is somebody else's.
void clear_stale(const std::string& path) {
    struct stat found {};
    if (::lstat(path.c_str(), &found) != 0) {
        if (errno == ENOENT) return;
        fail("http.socket " + path, std::strerror(errno));
    }
    if (!S_ISSOCK(found.st_mode)) fail("http.socket " + path, "is there and is no socket");
    if (somebody_listens(path)) {
        fail("http.socket " + path, "another gatehoused answers there; stop it first");
    }
    if (::unlink(path.c_str()) != 0) fail("http.socket " + path, std::strerror(errno));
}

}  // namespace

struct Server::Impl {
    Impl(ServerOptions given, EnginePort& engine, MeterReader& meters, Commissioning& commissioning,
         StatusSource& status, const Zone& zone, const Clock& clock, Random& random)
        : options(std::move(given)),
          app{options, engine, meters, commissioning,
              status,  zone,   clock,  ReaderPool(options.database_path),
              random},
          hub(app, context) {
        remove_left_exports(options.database_path);
    }

    // A house where nobody has a password yet is taken over by whoever reads its journal.
    void offer_setup() {
        if (options.listen_host.empty() || !options.say) return;
        try {
            if (!app.readers.take()->passwords().empty()) return;
        } catch (const StoreError&) {
            return;  // books that cannot be read have no accounts to give away
        }
        app.setup.draw(app.random, app.clock.mono_ms());
        options.say("nobody has a password yet: log in for the first time with the setup code " +
                    app.setup.text() +
                    " within 24 hours (POST /api/v1/setup), or give one with "
                    "`gatehousectl user passwd STAFF`");
    }

    void open_socket() {
        const std::string& path = options.socket_path;
        if (path.size() >= sizeof(sockaddr_un::sun_path)) {
            fail("http.socket " + path, "is longer than a socket's path may be (107 bytes)");
        }
        clear_stale(path);
        boost::system::error_code error;
        local_acceptor.open(Local(), error);
        // The mode is set before the name appears, so that nobody slips in between; the umask may
        // have narrowed it, which chmod puts right.
        if (!error) ::fchmod(local_acceptor.native_handle(), 0660);
        if (!error) local_acceptor.bind(Local::endpoint(path), error);
        if (error) fail("http.socket " + path, error.message());
        if (::chmod(path.c_str(), 0660) != 0) fail("http.socket " + path, std::strerror(errno));
        local_acceptor.listen(asio::socket_base::max_listen_connections, error);
        if (error) fail("http.socket " + path, error.message());
        struct stat made {};
        if (::lstat(path.c_str(), &made) == 0) socket_inode = made.st_ino;
    }

    void open_listener() {
        const std::string name =
            "http.listen " + options.listen_host + ":" + std::to_string(options.listen_port);
        boost::system::error_code error;
        Tcp::resolver resolver(context);
        const auto found =
            resolver.resolve(options.listen_host, std::to_string(options.listen_port),
                             Tcp::resolver::passive, error);
        if (error || found.empty()) fail(name, error ? error.message() : "no such host");
        const Tcp::endpoint endpoint = found.begin()->endpoint();
        const bool tls = !options.tls_cert_file.empty() && !options.tls_key_file.empty();
        if (!tls && !endpoint.address().is_loopback()) {
            fail(name, "is not loopback; give http.tls_cert_file and http.tls_key_file");
        }
        if (tls) tls_context = read_tls(options.tls_cert_file, options.tls_key_file);
        tcp_acceptor.open(endpoint.protocol(), error);
        if (!error) tcp_acceptor.set_option(asio::socket_base::reuse_address(true), error);
        if (!error) tcp_acceptor.bind(endpoint, error);
        if (!error) tcp_acceptor.listen(asio::socket_base::max_listen_connections, error);
        if (error) fail(name, error.message());
    }

    static std::shared_ptr<asio::ssl::context> read_tls(const std::string& cert_file,
                                                        const std::string& key_file) {
        auto tls = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
        boost::system::error_code error;
        tls->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                         asio::ssl::context::no_tlsv1_1);
        tls->use_certificate_chain_file(cert_file, error);
        if (error) fail("http.tls_cert_file " + cert_file, error.message());
        tls->use_private_key_file(key_file, asio::ssl::context::pem, error);
        if (error) fail("http.tls_key_file " + key_file, error.message());
        return tls;
    }

    template <class Stream>
    asio::awaitable<void> converse(Stream stream, bool local, std::size_t* open) {
        // On the heap: the session is large, and its address is what the hub holds.
        auto session = std::make_unique<Session<Stream>>(std::move(stream), hub, local);
        co_await session->run();
        --*open;
        app.counters.open.fetch_sub(1);
    }

    template <class Stream>
    void spawn(Stream stream, bool local, std::size_t& open) {
        ++open;
        app.counters.open.fetch_add(1);
        app.counters.connections.fetch_add(1);
        asio::co_spawn(context, converse(std::move(stream), local, &open), asio::detached);
    }

    template <class Acceptor>
    asio::awaitable<void> accept(Acceptor& acceptor, bool local, std::size_t& open) {
        using Socket = typename Acceptor::protocol_type::socket;
        boost::system::error_code error;
        auto token = asio::redirect_error(asio::use_awaitable, error);
        asio::steady_timer pause(context);
        while (!app.stopping) {
            Socket socket(context);
            co_await acceptor.async_accept(socket, token);
            if (app.stopping) break;
            if (error) {
                // Out of descriptors: those that are open go on, and accepting waits a little.
                pause.expires_after(std::chrono::milliseconds(kAcceptPauseMs));
                co_await pause.async_wait(token);
                continue;
            }
            if (open >= options.limits.connections) {
                app.counters.connections_refused.fetch_add(1);
                boost::system::error_code ignored;
                socket.non_blocking(true, ignored);
                if (local || !tls_context) {
                    socket.write_some(asio::buffer(kTooMany, sizeof kTooMany - 1), ignored);
                }
                continue;
            }
            welcome(std::move(socket), local, open);
        }
    }

    void welcome(Local::socket socket, bool local, std::size_t& open) {
        spawn(LocalStream(std::move(socket)), local, open);
    }
    void welcome(Tcp::socket socket, bool local, std::size_t& open) {
        boost::system::error_code ignored;
        socket.set_option(Tcp::no_delay(true), ignored);
        if (tls_context) {
            spawn(TlsStream(beast::tcp_stream(std::move(socket)), *tls_context), local, open);
        } else {
            spawn(beast::tcp_stream(std::move(socket)), local, open);
        }
    }

    void beat() {
        heartbeat = app.clock.mono_ms();
        if (app.stopping && hub.sessions.empty()) return;
        heart.expires_after(std::chrono::milliseconds(kHeartbeatMs));
        heart.async_wait([this](boost::system::error_code) {
            if (!app.stopping) beat();
        });
    }

    void begin_stop() {
        app.stopping = true;
        boost::system::error_code ignored;
        local_acceptor.close(ignored);
        tcp_acceptor.close(ignored);
        heart.cancel();
        for (SessionHandle* session : hub.sessions) {
            if (session->idle) session->close();
        }
        grace.expires_after(std::chrono::milliseconds(kGraceMs));
        grace.async_wait([this](boost::system::error_code error) {
            if (error) return;
            for (SessionHandle* session : hub.sessions) session->close();
        });
        watch_end();
    }

    // The grace ends early once the last session has gone.
    void watch_end() {
        if (hub.sessions.empty()) {
            grace.cancel();
            return;
        }
        heart.expires_after(std::chrono::milliseconds(10));
        heart.async_wait([this](boost::system::error_code) { watch_end(); });
    }

    void remove_socket() {
        struct stat found {};
        const std::string& path = options.socket_path;
        if (path.empty() || ::lstat(path.c_str(), &found) != 0) return;
        if (found.st_ino == socket_inode) ::unlink(path.c_str());
    }

    const ServerOptions options;
    asio::io_context context{1};
    App app;
    Hub hub;
    // OpenSSL counts its users: a connection keeps the one that it began with.
    std::shared_ptr<asio::ssl::context> tls_context;
    Local::acceptor local_acceptor{context};
    Tcp::acceptor tcp_acceptor{context};
    asio::steady_timer heart{context}, grace{context};
    std::size_t local_open = 0, tcp_open = 0;
    ino_t socket_inode = 0;
    std::atomic<MonoMs> heartbeat{0};
    std::thread thread;
};

Server::Server(ServerOptions options, EnginePort& engine, MeterReader& meters,
               Commissioning& commissioning, StatusSource& status, const Zone& zone,
               const Clock& clock, Random& random)
    : impl_(std::make_unique<Impl>(std::move(options), engine, meters, commissioning, status, zone,
                                   clock, random)) {
    impl_->offer_setup();
    if (!impl_->options.socket_path.empty()) impl_->open_socket();
    if (!impl_->options.listen_host.empty()) impl_->open_listener();
    impl_->heartbeat = clock.mono_ms();
}

Server::~Server() {
    stop();
    impl_->remove_socket();
}

void Server::start() {
    Impl& impl = *impl_;
    GH_ASSERT(!impl.thread.joinable());
    if (impl.local_acceptor.is_open()) {
        asio::co_spawn(impl.context,
                       impl.accept(impl.local_acceptor, /*local=*/true, impl.local_open),
                       asio::detached);
    }
    if (impl.tcp_acceptor.is_open()) {
        asio::co_spawn(impl.context, impl.accept(impl.tcp_acceptor, /*local=*/false, impl.tcp_open),
                       asio::detached);
    }
    impl.beat();
    impl.thread = std::thread([&impl] { impl.context.run(); });
}

void Server::stop() {
    Impl& impl = *impl_;
    if (impl.thread.joinable()) {
        asio::post(impl.context, [&impl] { impl.begin_stop(); });
        impl.thread.join();
    }
    impl.app.stopping = true;
    impl.hub.close_gate();
    impl.hub.stop_pool();
}

void Server::commit_came() {
    impl_->hub.commit_came();
}

std::function<void()> Server::prepare_tls(const std::string& cert_file,
                                          const std::string& key_file) {
    Impl& impl = *impl_;
    if (!impl.tls_context) fail("http.tls_cert_file " + cert_file, "the listener has no TLS");
    return [&impl, tls = Impl::read_tls(cert_file, key_file)] {
        asio::post(impl.context, [&impl, tls] { impl.tls_context = tls; });
    };
}

void Server::show_meters(bool show) {
    impl_->app.metrics_meters = show;
}

int Server::port() const {
    boost::system::error_code error;
    const auto endpoint = impl_->tcp_acceptor.local_endpoint(error);
    return error ? 0 : endpoint.port();
}

MonoMs Server::heartbeat_mono_ms() const {
    return impl_->heartbeat;
}

}  // namespace gatehouse::http
