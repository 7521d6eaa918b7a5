#include "drivers/simulator/line.hpp"

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <list>
#include <type_traits>
#include <utility>

#include "drivers/simulator/wire.hpp"

namespace gatehouse::simulator {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Error = boost::system::error_code;

constexpr std::size_t kStreamBytesMax = 4096;   // of requests not yet whole; more is dropped
constexpr std::size_t kUnsentBytesMax = 65536;  // to a client that does not read; more is dropped
constexpr auto kSilence = std::chrono::milliseconds(50);  // after it half a request is forgotten
constexpr auto kMute = std::chrono::seconds(5);
constexpr auto kSettle = std::chrono::milliseconds(500);
constexpr speed_t kNobodysSpeed = B50;
constexpr auto kRedial = std::chrono::milliseconds(1000);  // dial-in: between two attempts

// Questions out of bytes, the same for sockets and pseudo-terminals. `Stream` is an Asio stream.
template <class Stream>
class Connection : public Asker, public std::enable_shared_from_this<Connection<Stream>> {
  public:
    Connection(Stream stream, Wire& wire, bool tcp_frames, bool echo)
        : stream_(std::move(stream)),
          silence_(stream_.get_executor()),
          wire_(wire),
          tcp_frames_(tcp_frames),
          echo_(echo) {}

    void start(std::function<void()> on_end) {
        on_end_ = std::move(on_end);
        read();
    }
    void close() {
        Error ignored;
        stream_.close(ignored);
        silence_.cancel();
    }

    void send(const Bytes& bytes) override {
        if (!stream_.is_open() || unsent_.size() + bytes.size() > kUnsentBytesMax ||
            std::chrono::steady_clock::now() < muted_until_) {
            return;
        }
        unsent_.insert(unsent_.end(), bytes.begin(), bytes.end());
        if (writing_.empty()) {
            write();
        }
    }

    // A socket says nothing more until it is closed; a terminal, which nobody closes, for a while.
    void mute() override {
        constexpr bool ends = std::is_same_v<Stream, tcp::socket>;
        muted_until_ = ends ? std::chrono::steady_clock::time_point::max()
                            : std::chrono::steady_clock::now() + kMute;
    }

  private:
    void write() {
        writing_ = std::exchange(unsent_, {});
        auto self = this->shared_from_this();
        asio::async_write(stream_, asio::buffer(writing_), [self](const Error& error, std::size_t) {
            self->writing_.clear();
            if (!error && !self->unsent_.empty()) {
                self->write();
            }
        });
    }

    void read() {
        auto self = this->shared_from_this();
        stream_.async_read_some(asio::buffer(chunk_), [self](const Error& error, std::size_t n) {
            if (error) {
                self->end();
                return;
            }
            self->take(n);
        });
    }

    void end() {
        close();
        if (on_end_) {
            std::exchange(on_end_, nullptr)();
        }
    }

    void take(std::size_t count) {
        stream_bytes_.insert(stream_bytes_.end(), chunk_.begin(),
                             chunk_.begin() + static_cast<std::ptrdiff_t>(count));
        while (!stream_bytes_.empty()) {
            Parsed parsed = tcp_frames_ ? parse_tcp(stream_bytes_) : parse_rtu(stream_bytes_);
            if (parsed.state == Parsed::State::complete) {
                const auto end =
                    stream_bytes_.begin() + static_cast<std::ptrdiff_t>(parsed.frame.size);
                if (echo_) {
                    send(Bytes(stream_bytes_.begin(), end));
                }
                stream_bytes_.erase(stream_bytes_.begin(), end);
                wire_.ask(this->shared_from_this(), std::move(parsed.frame));
                continue;
            }
            if (parsed.state == Parsed::State::broken && tcp_frames_) {
                end();  // a TCP stream that lost its frames cannot find them again
                return;
            }
            break;
        }
        if (stream_bytes_.size() > kStreamBytesMax) {
            stream_bytes_.clear();
        }
        forget_after_silence();
        read();
    }

    // On a line, silence parts the frames: noise and half a request go away with it.
    void forget_after_silence() {
        silence_.cancel();
        if (tcp_frames_ || stream_bytes_.empty()) {
            return;
        }
        auto self = this->shared_from_this();
        silence_.expires_after(kSilence);
        silence_.async_wait([self](const Error& error) {
            if (!error) {
                self->stream_bytes_.clear();
            }
        });
    }

    Stream stream_;
    asio::steady_timer silence_;
    Wire& wire_;
    bool tcp_frames_;
    bool echo_;
    std::function<void()> on_end_;
    std::array<std::uint8_t, 512> chunk_{};
    Bytes stream_bytes_;
    Bytes writing_, unsent_;
    std::chrono::steady_clock::time_point muted_until_{};
};

using Socket = Connection<tcp::socket>;

// A port that clients connect to.
class PortLine : public Line {
  public:
    PortLine(asio::io_context& context, Building& building, const LineSettings& settings,
             const Now& now)
        : acceptor_(context),
          wire_(context, building, settings, now),
          bus_(building.site().buses[settings.bus]) {}

    std::string open(const LineSettings& settings) {
        const std::string host = settings.listen.empty() ? bus_.settings.host : settings.listen;
        const int port = settings.port < 0 ? bus_.settings.port : settings.port;
        Error error;
        tcp::resolver resolver(acceptor_.get_executor());
        const auto found =
            resolver.resolve(host, std::to_string(port), tcp::resolver::passive, error);
        if (error || found.empty()) {
            return "host '" + host + "' is unknown: " + error.message();
        }
        const tcp::endpoint endpoint = found.begin()->endpoint();
        static_cast<void>(acceptor_.open(endpoint.protocol(), error));
        if (!error) {
            static_cast<void>(acceptor_.set_option(tcp::acceptor::reuse_address(true), error));
            static_cast<void>(acceptor_.bind(endpoint, error));
        }
        if (!error) {
            static_cast<void>(acceptor_.listen(asio::socket_base::max_listen_connections, error));
        }
        if (error) {
            return "cannot listen on " + host + ":" + std::to_string(port) + ": " +
                   error.message() + "; choose another with --listen or --port";
        }
        accept();
        return "";
    }

    [[nodiscard]] std::string where() const override {
        Error error;
        const tcp::endpoint at = acceptor_.local_endpoint(error);
        const bool tcp_frames = bus_.settings.transport == modbus::Transport::tcp;
        return std::string(tcp_frames ? "modbus+tcp " : "modbus+rtu-tcp ") +
               at.address().to_string() + ":" + std::to_string(at.port());
    }

    void close() override {
        Error ignored;
        static_cast<void>(acceptor_.close(ignored));
        wire_.close();
        for (const std::shared_ptr<Socket>& connection : connections_) {
            connection->close();
        }
    }

  private:
    void accept() {
        acceptor_.async_accept([this](const Error& error, tcp::socket socket) {
            if (!acceptor_.is_open()) {
                return;
            }
            if (!error && connections_.size() < kConnectionsMax) {
                serve(std::move(socket));
            }
            accept();
        });
    }

    void serve(tcp::socket socket) {
        Error ignored;
        static_cast<void>(socket.set_option(tcp::no_delay(true), ignored));
        const bool tcp_frames = bus_.settings.transport == modbus::Transport::tcp;
        const auto connection = std::make_shared<Socket>(std::move(socket), wire_, tcp_frames,
                                                         bus_.settings.local_echo && !tcp_frames);
        connections_.push_back(connection);
        connection->start([this, raw = connection.get()] {
            connections_.remove_if([raw](const auto& one) { return one.get() == raw; });
        });
    }

    tcp::acceptor acceptor_;
    Wire wire_;
    const BusSpec& bus_;
    std::list<std::shared_ptr<Socket>> connections_;
};

// A gateway that calls the daemon (dial_in=yes) and calls again when it was hung up.
class DialLine : public Line {
  public:
    DialLine(asio::io_context& context, Building& building, const LineSettings& settings,
             const Now& now)
        : socket_(context),
          retry_(context),
          wire_(context, building, settings, now),
          bus_(building.site().buses[settings.bus]),
          port_(settings.port < 0 ? bus_.settings.port : settings.port) {}

    void dial() {
        Error error;
        tcp::resolver resolver(retry_.get_executor());
        const auto found = resolver.resolve(bus_.settings.host, std::to_string(port_), error);
        socket_ = tcp::socket(retry_.get_executor());
        if (error) {
            again();
            return;
        }
        asio::async_connect(socket_, found, [this](const Error& failed, const tcp::endpoint&) {
            if (closed_) {
                return;
            }
            if (failed) {
                again();
                return;
            }
            const bool tcp_frames = bus_.settings.transport == modbus::Transport::tcp;
            connection_ = std::make_shared<Socket>(std::move(socket_), wire_, tcp_frames, false);
            connection_->start([this] { again(); });
        });
    }
    [[nodiscard]] std::string where() const override {
        return "dials " + bus_.settings.host + ":" + std::to_string(port_);
    }
    void close() override {
        closed_ = true;
        retry_.cancel();
        wire_.close();
        Error ignored;
        static_cast<void>(socket_.close(ignored));
        if (connection_) {
            connection_->close();
        }
    }

  private:
    void again() {
        if (closed_) {
            return;
        }
        retry_.expires_after(kRedial);
        retry_.async_wait([this](const Error& error) {
            if (!error && !closed_) {
                dial();
            }
        });
    }

    tcp::socket socket_;
    asio::steady_timer retry_;
    Wire wire_;
    const BusSpec& bus_;
    int port_;
    bool closed_ = false;
    std::shared_ptr<Socket> connection_;
};

// A serial line without hardware: the daemon opens the link as it would open a port.
class TerminalLine : public Line {
  public:
    using Terminal = Connection<asio::posix::stream_descriptor>;

    TerminalLine(asio::io_context& context, Building& building, const LineSettings& settings,
                 const Now& now)
        : context_(context),
          wire_(context, building, settings, now),
          settle_(context),
          echo_(building.site().buses[settings.bus].settings.local_echo),
          link_(settings.link.empty() ? building.site().buses[settings.bus].settings.device
                                      : settings.link) {}
    ~TerminalLine() override { TerminalLine::close(); }

    std::string open() {
        const int master = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (master < 0 || ::grantpt(master) != 0 || ::unlockpt(master) != 0) {
            return std::string("no pseudo-terminal: ") + std::strerror(errno);
        }
        std::array<char, 128> name{};
        if (::ptsname_r(master, name.data(), name.size()) != 0) {
            ::close(master);
            return std::string("no name for the pseudo-terminal: ") + std::strerror(errno);
        }
        device_ = name.data();
        // Our own hand on the far end keeps the line up between two clients.
        slave_ = ::open(device_.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);
        termios raw{};
        if (slave_ >= 0 && ::tcgetattr(slave_, &raw) == 0) {
            ::cfmakeraw(&raw);
            ::tcsetattr(slave_, TCSANOW, &raw);
        }
        connection_ = std::make_shared<Terminal>(asio::posix::stream_descriptor(context_, master),
                                                 wire_, false, echo_);
        if (std::string problem = make_link(); !problem.empty()) {
            return problem;
        }
        connection_->start(nullptr);
        settle();
        return "";
    }

    [[nodiscard]] std::string where() const override {
        return "modbus+rtu " + link_ + " -> " + device_;
    }

    void close() override {
        settle_.cancel();
        wire_.close();
        if (connection_) {
            connection_->close();
            connection_.reset();
        }
        if (slave_ >= 0) {
            ::close(std::exchange(slave_, -1));
        }
        std::error_code error;
        if (linked_ && std::filesystem::read_symlink(link_, error) == device_) {
            std::filesystem::remove(link_, error);
        }
        linked_ = false;
    }

  private:
    // A pseudo-terminal has no parity, and glibc refuses a tcsetattr whose only change is one that
    // the kernel ignores: a client that was killed and comes back with the same parity would be
    // locked out. So the line is put to a speed that nobody asks for, which means nothing here.
    void settle() {
        termios now{};
        if (::tcgetattr(slave_, &now) == 0 && ::cfgetospeed(&now) != kNobodysSpeed) {
            ::cfsetispeed(&now, kNobodysSpeed);
            ::cfsetospeed(&now, kNobodysSpeed);
            ::tcsetattr(slave_, TCSANOW, &now);
        }
        settle_.expires_after(kSettle);
        settle_.async_wait([this](const Error& error) {
            if (!error) {
                settle();
            }
        });
    }

    // A link that an earlier run left behind is replaced; anything else is not ours to remove.
    std::string make_link() {
        std::error_code error;
        const auto status = std::filesystem::symlink_status(link_, error);
        if (std::filesystem::is_symlink(status)) {
            const std::string old = std::filesystem::read_symlink(link_, error).string();
            if (!old.starts_with("/dev/pts/")) {
                return link_ + " is a link to " + old + ", which is no pseudo-terminal";
            }
            std::filesystem::remove(link_, error);
        } else if (std::filesystem::exists(status)) {
            return link_ + " exists and is no link of ours; choose another with --link";
        }
        std::filesystem::create_symlink(device_, link_, error);
        if (error) {
            return "cannot create the link " + link_ + ": " + error.message() +
                   "; its folder must exist and be writable, or choose another with --link";
        }
        linked_ = true;
        return "";
    }

    asio::io_context& context_;
    Wire wire_;
    asio::steady_timer settle_;
    bool echo_;
    std::string link_, device_;
    int slave_ = -1;
    bool linked_ = false;
    std::shared_ptr<Terminal> connection_;
};

}  // namespace

OpenedLine open_line(asio::io_context& context, Building& building, const LineSettings& settings,
                     const Line::Now& now) {
    const BusSpec& bus = building.site().buses[settings.bus];
    const std::string named = "bus " + bus.id + ": ";
    if (bus.settings.transport == modbus::Transport::rtu) {
        auto line = std::make_unique<TerminalLine>(context, building, settings, now);
        const std::string problem = line->open();
        return problem.empty() ? OpenedLine{std::move(line), ""}
                               : OpenedLine{nullptr, named + problem};
    }
    if (bus.settings.dial_in) {
        auto line = std::make_unique<DialLine>(context, building, settings, now);
        line->dial();
        return {std::move(line), ""};
    }
    auto line = std::make_unique<PortLine>(context, building, settings, now);
    const std::string problem = line->open(settings);
    return problem.empty() ? OpenedLine{std::move(line), ""} : OpenedLine{nullptr, named + problem};
}

}  // namespace gatehouse::simulator
