#include "drivers/modbus/link.hpp"

#include <fcntl.h>
#include <modbus/modbus.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>
#include <utility>

#include "drivers/modbus/frame.hpp"
#include "drivers/modbus/serial.hpp"
#include "drivers/modbus/socket.hpp"

namespace gatehouse::modbus {
namespace {

constexpr std::size_t kHeardMax = 1024;                 // bytes of a quiet time that are looked at
constexpr std::int64_t kSilenceUs = 40'000;             // after the owed reply was heard
constexpr std::int64_t kReplySlackUs = 50'000;          // of the whole reply, beside its bytes
constexpr std::int64_t kReplyUnknownLeastUs = 500'000;  // the same, where no speed is known

struct FreeContext {
    void operator()(modbus_t* context) const { ::modbus_free(context); }
};
using Context = std::unique_ptr<modbus_t, FreeContext>;

// libmodbus writes RTU frames with write(), which raises SIGPIPE on a closed socket. Blocked for
// this thread alone and swallowed, so that no process-wide handler is needed.
class SigpipeBlocked {
  public:
    explicit SigpipeBlocked(bool wanted) : wanted_(wanted) {
        if (!wanted_) return;
        sigemptyset(&pipe_);
        sigaddset(&pipe_, SIGPIPE);
        (void)::pthread_sigmask(SIG_BLOCK, &pipe_, &old_);
    }
    ~SigpipeBlocked() {
        if (!wanted_) return;
        const int error = errno;
        if (!sigismember(&old_, SIGPIPE)) {
            const timespec none{};
            if (error == EPIPE) (void)::sigtimedwait(&pipe_, nullptr, &none);
            (void)::pthread_sigmask(SIG_SETMASK, &old_, nullptr);
        }
        errno = error;
    }
    SigpipeBlocked(const SigpipeBlocked&) = delete;
    SigpipeBlocked& operator=(const SigpipeBlocked&) = delete;

  private:
    bool wanted_;
    sigset_t pipe_{};
    sigset_t old_{};
};

std::string errno_text(int error) {
    return std::generic_category().message(error);
}

// What the connection itself does not survive; all else is one exchange's failure.
bool breaks_connection(int error) {
    switch (error) {
        case ECONNRESET:
        case ECONNABORTED:
        case EPIPE:
        case EBADF:
        case EIO:
        case ENXIO:
        case ENODEV:
        case ENOTCONN:
        case EHOSTUNREACH:
        case ENETUNREACH:
        case ENETDOWN:
        case ECONNREFUSED:
            return true;
        default:
            return false;
    }
}

class ModbusLink final : public Link {
  public:
    explicit ModbusLink(BusSettings settings)
        : settings_(std::move(settings)),
          line_{settings_.baud, settings_.parity, settings_.stop_bits, settings_.data_bits},
          connector_(settings_.host, settings_.port) {
        // With transaction numbers no quiet time is long, and there are hundreds of such links.
        if (!numbered()) wake_ = Descriptor(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    }
    ~ModbusLink() override { close_now(); }
    ModbusLink(const ModbusLink&) = delete;
    ModbusLink& operator=(const ModbusLink&) = delete;

    std::string connect(std::int64_t timeout_ms) override;
    void close() override { close_now(); }
    Reply exchange(const Request& request) override;
    Reply write(const WriteRequest& request) override;
    Heard listen(std::int64_t for_ms, const Request& owed) override;
    std::string set_line(const LineSettings& line) override;
    void wake() override {
        if (wake_.valid()) (void)::eventfd_write(wake_.get(), 1);
    }

  private:
    [[nodiscard]] bool numbered() const {
        return settings_.transport == Transport::tcp && settings_.transaction_id_echoed;
    }
    [[nodiscard]] FrameKind framing() const {
        return rtu_frames() ? FrameKind::rtu : FrameKind::tcp;
    }
    [[nodiscard]] bool rtu_frames() const { return settings_.transport != Transport::tcp; }
    std::string connect_serial();
    std::string connect_stream(std::int64_t timeout_ms);
    std::string lock_serial();
    void close_now();
    void wait_for_gap(std::int64_t learned_us);
    // False: there is no line, or it broke; the reply says so.
    bool clear_line(const Request& request, Reply& reply);
    void exchange_numbered(const Request& request, Reply& reply);
    void exchange_raw(const Request& request, Reply& reply);
    bool swallow_echo(const Request& request, Reply& reply, std::int64_t deadline_us);
    void failed(Reply& reply, int error, bool sending) const;
    [[nodiscard]] std::int64_t char_us() const;
    [[nodiscard]] std::int64_t wire_us(const RegisterSpan& span) const;
    [[nodiscard]] std::int64_t whole_reply_us(const Request& request) const;
    // False: no byte came until then; the reply says so.
    bool wait_first_byte(Reply& reply, std::int64_t deadline_us) const;
    void allow_until(std::int64_t deadline_us);

    const BusSettings settings_;
    LineSettings line_;  // as it stands now
    Connector connector_;
    Context context_;
    Descriptor stream_;       // tcp and rtu_over_tcp
    Descriptor serial_lock_;  // rtu
    Descriptor wake_;
    int fd_ = -1;
    std::uint16_t transaction_ = 0;  // of the last numbered request
    std::int64_t last_byte_us_ = 0;
};

std::string ModbusLink::connect(std::int64_t timeout_ms) {
    close_now();
    const std::string reason =
        settings_.transport == Transport::rtu ? connect_serial() : connect_stream(timeout_ms);
    if (!reason.empty()) {
        close_now();
        return reason;
    }
    if (fd_ >= FD_SETSIZE) {
        const std::string number = std::to_string(fd_);
        close_now();
        return "descriptor " + number +
               " is too high for libmodbus, which uses select(): at most " +
               std::to_string(FD_SETSIZE) + " may be open; set LimitNOFILE=1024";
    }
    (void)::modbus_set_error_recovery(context_.get(), MODBUS_ERROR_RECOVERY_NONE);
    (void)::modbus_set_byte_timeout(context_.get(), 0, 0);  // the whole reply has one deadline
    transaction_ = 0;
    last_byte_us_ = steady_us();
    return "";
}

std::string ModbusLink::connect_serial() {
    line_ = {settings_.baud, settings_.parity, settings_.stop_bits, settings_.data_bits};
    if (std::string reason = baud_problem(settings_.baud); !reason.empty()) return reason;
    if (const std::string reason = lock_serial(); !reason.empty()) return reason;
    const char parity = settings_.parity == Parity::none   ? 'N'
                        : settings_.parity == Parity::even ? 'E'
                                                           : 'O';
    context_.reset(::modbus_new_rtu(settings_.device.c_str(), settings_.baud, parity,
                                    settings_.data_bits, settings_.stop_bits));
    if (!context_) return "cannot set up " + settings_.device + ": " + errno_text(errno);
    if (::modbus_connect(context_.get()) != 0) {
        return "cannot open " + settings_.device + ": " + errno_text(errno);
    }
    fd_ = ::modbus_get_socket(context_.get());
    (void)::ioctl(fd_, TIOCEXCL);
    ask_low_latency(fd_);
    return "";
}

// Applied to a line that is open; what libmodbus set on it otherwise stays.
std::string ModbusLink::set_line(const LineSettings& line) {
    if (settings_.transport != Transport::rtu) return Link::set_line(line);
    if (fd_ < 0) return "not connected";
    if (line == line_) return "";
    if (std::string reason = baud_problem(line.baud); !reason.empty()) return reason;
    if (std::string reason = apply_line(fd_, line); !reason.empty()) {
        return settings_.device + " does not take these settings: " + reason;
    }
    line_ = line;
    last_byte_us_ = steady_us();
    return "";
}

// The lock is taken on a descriptor of its own before libmodbus changes the line's settings, so
// that a line that somebody else uses is left alone.
std::string ModbusLink::lock_serial() {
    Descriptor lock(::open(settings_.device.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
    if (!lock.valid()) {
        const int error = errno;
        return "cannot open " + settings_.device + ": " + errno_text(error) +
               (error == EBUSY ? " (another program has the port)" : "");
    }
    if (::isatty(lock.get()) == 0) return settings_.device + " is no serial port";
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
        return settings_.device + " is in use: another bus or program has locked it";
    }
    serial_lock_ = std::move(lock);
    return "";
}

std::string ModbusLink::connect_stream(std::int64_t timeout_ms) {
    Opened opened =
        settings_.dial_in ? connector_.accept(timeout_ms) : connector_.connect(timeout_ms);
    if (!opened.socket.valid()) return opened.reason;
    stream_ = std::move(opened.socket);
    fd_ = stream_.get();
    if (settings_.transport == Transport::tcp) {
        context_.reset(::modbus_new_tcp("127.0.0.1", 502));  // the socket is ours, not by this
    } else {
        context_.reset(::modbus_new_rtu("/dev/null", 9600, 'N', 8, 1));
    }
    if (!context_) return "cannot set up libmodbus: " + errno_text(errno);
    (void)::modbus_set_socket(context_.get(), fd_);
    return "";
}

void ModbusLink::close_now() {
    if (context_ && fd_ >= 0) {
        if (stream_.valid()) {
            (void)::modbus_set_socket(context_.get(), -1);
        } else {
            (void)::ioctl(fd_, TIOCNXCL);
            ::modbus_close(context_.get());
        }
    }
    fd_ = -1;
    context_.reset();
    stream_.reset();
    serial_lock_.reset();
}

std::int64_t ModbusLink::char_us() const {
    return character_us(line_.baud, line_.data_bits, line_.parity != Parity::none, line_.stop_bits);
}

std::int64_t ModbusLink::wire_us(const RegisterSpan& span) const {
    // Request 8 bytes, reply 5 and its data.
    return char_us() * static_cast<std::int64_t>(13 + data_bytes(span));
}

// From the first byte's deadline on: a reply that began in time may still end.
std::int64_t ModbusLink::whole_reply_us(const Request& request) const {
    const std::int64_t wire = wire_us(request.span);
    if (wire > 0) return wire * 3 / 2 + kReplySlackUs;
    return std::max(request.timeout_ms * 1'000, kReplyUnknownLeastUs);
}

void ModbusLink::wait_for_gap(std::int64_t learned_us) {
    std::int64_t gap_us = settings_.gap_ms * 1'000;
    if (rtu_frames()) {
        gap_us = std::max({gap_us, frame_gap_us(line_.baud, char_us()), learned_us});
    }
    if (gap_us > 0 && steady_us() < last_byte_us_ + gap_us) sleep_until_us(last_byte_us_ + gap_us);
}

void ModbusLink::allow_until(std::int64_t deadline_us) {
    const std::int64_t left_us = std::max<std::int64_t>(deadline_us - steady_us(), 1);
    (void)::modbus_set_response_timeout(context_.get(),
                                        static_cast<std::uint32_t>(left_us / 1'000'000),
                                        static_cast<std::uint32_t>(left_us % 1'000'000));
}

bool ModbusLink::wait_first_byte(Reply& reply, std::int64_t deadline_us) const {
    for (;;) {
        const std::int64_t left_us = std::max<std::int64_t>(deadline_us - steady_us(), 0);
        pollfd entry{fd_, POLLIN, 0};
        const int ready = ::poll(&entry, 1, static_cast<int>((left_us + 999) / 1'000));
        if (ready < 0 && errno == EINTR) continue;
        if (ready > 0) return true;
        failed(reply, ready < 0 ? errno : ETIMEDOUT, /*sending=*/false);
        return false;
    }
}

bool ModbusLink::clear_line(const Request& request, Reply& reply) {
    if (fd_ < 0) {
        reply.result = PollResult::not_connected;
        reply.lost = reply.detail = "not connected";
        return false;
    }
    wait_for_gap(request.gap_us);
    // What lies there now answers nothing that will be asked.
    const Heard stale = listen(0, request);
    if (stale.lost.empty()) return true;
    reply.result = PollResult::not_connected;
    reply.lost = reply.detail = stale.lost;
    return false;
}

Reply ModbusLink::exchange(const Request& request) {
    Reply reply;
    if (!clear_line(request, reply)) return reply;
    const SigpipeBlocked blocked(settings_.transport == Transport::rtu_over_tcp);
    (void)::modbus_set_slave(context_.get(), request.address);
    const std::int64_t start_us = steady_us();
    if (numbered()) {
        exchange_numbered(request, reply);
    } else {
        exchange_raw(request, reply);
    }
    last_byte_us_ = steady_us();
    reply.busy_us = last_byte_us_ - start_us;
    reply.turnaround_us = std::max<std::int64_t>(reply.busy_us - wire_us(request.span), 0);
    return reply;
}

// libmodbus's own writing will do here: whatever it makes of the reply, the caller reads back.
Reply ModbusLink::write(const WriteRequest& request) {
    Reply reply;
    const auto count = static_cast<int>(request.words.size());
    const RegisterSpan span{RegisterTable::holding, request.first, count};
    if (!clear_line({request.address, span, request.timeout_ms}, reply)) return reply;
    const SigpipeBlocked blocked(settings_.transport == Transport::rtu_over_tcp);
    (void)::modbus_set_slave(context_.get(), request.address);
    const std::int64_t start_us = steady_us();
    allow_until(start_us + request.timeout_ms * 1'000 + 2 * wire_us(span));
    const int rc =
        request.function == 6
            ? ::modbus_write_register(context_.get(), request.first, request.words[0])
            : ::modbus_write_registers(context_.get(), request.first, count, request.words.data());
    const int error = errno;
    last_byte_us_ = steady_us();
    reply.busy_us = last_byte_us_ - start_us;
    reply.request = {static_cast<std::uint8_t>(request.address),
                     static_cast<std::uint8_t>(request.function)};
    if (rc >= 0) {
        reply.result = PollResult::ok;
    } else if (error > MODBUS_ENOBASE && error < MODBUS_ENOBASE + MODBUS_EXCEPTION_MAX) {
        set_exception(reply, error - MODBUS_ENOBASE);
    } else {
        failed(reply, error, /*sending=*/false);
    }
    return reply;
}

// With transaction numbers a reply under another one is not ours, however late or doubled, and the
// wait goes on. libmodbus itself would give up there, and it never looks at the unit, which is all
// that tells apart two meters behind a gateway; hence the frame is taken raw and checked here.
void ModbusLink::exchange_numbered(const Request& request, Reply& reply) {
    const std::int64_t deadline_us =
        steady_us() + request.timeout_ms * 1'000 + wire_us(request.span);
    ++transaction_;
    reply.request = tcp_frame(transaction_, request_pdu(request));
    const ssize_t sent = ::send(fd_, reply.request.data(), reply.request.size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(reply.request.size())) {
        // Half a request would put the stream out of step for good.
        failed(reply, sent < 0 ? errno : ECONNABORTED, /*sending=*/true);
        return;
    }
    bool others = false;
    for (;;) {
        const std::int64_t left_us = deadline_us - steady_us();
        allow_until(deadline_us);
        Bytes frame(MODBUS_MAX_ADU_LENGTH);
        const int rc =
            left_us > 0 ? ::modbus_receive_confirmation(context_.get(), frame.data()) : -1;
        if (rc < 0) {
            failed(reply, left_us > 0 ? errno : ETIMEDOUT, /*sending=*/false);
            if (others && reply.result == PollResult::timeout) {
                reply.result = PollResult::foreign_frame;
                reply.detail =
                    "only replies under other transaction numbers came; a gateway that "
                    "does not echo them needs tid=no";
            }
            return;
        }
        frame.resize(static_cast<std::size_t>(rc));
        if (frame.size() >= 2 && ((frame[0] << 8U) | frame[1]) == transaction_) {
            take_reply(request, frame, framing(), reply);
            return;
        }
        others = true;
    }
}

// Without them the frame is sent and taken raw, and every check of it is ours: libmodbus versions
// differ in what they check first.
void ModbusLink::exchange_raw(const Request& request, Reply& reply) {
    const Bytes pdu = request_pdu(request);
    if (rtu_frames()) {
        reply.request = pdu;
        append_crc(reply.request);
    } else {
        reply.request = tcp_frame(0, pdu);
    }
    // The request's own bytes are still on their way when it is handed over.
    const std::int64_t deadline_us = steady_us() + request.timeout_ms * 1'000 + 8 * char_us();
    if (::modbus_send_raw_request(context_.get(), pdu.data(), static_cast<int>(pdu.size())) < 0) {
        failed(reply, errno, /*sending=*/true);
        return;
    }
    if (settings_.local_echo && rtu_frames() && !swallow_echo(request, reply, deadline_us)) return;
    if (!wait_first_byte(reply, deadline_us)) return;
    allow_until(deadline_us + whole_reply_us(request));
    Bytes frame(MODBUS_MAX_ADU_LENGTH);
    const int rc = ::modbus_receive_confirmation(context_.get(), frame.data());
    if (rc < 0) {
        failed(reply, errno, /*sending=*/false);
        return;
    }
    if (rc == 0) {
        reply.result = PollResult::foreign_frame;
        reply.detail = "another address answered";
        return;
    }
    frame.resize(static_cast<std::size_t>(rc));
    take_reply(request, frame, framing(), reply);
}

// The adapter hears itself: the request comes back first, and must be the one that was sent.
bool ModbusLink::swallow_echo(const Request& request, Reply& reply, std::int64_t deadline_us) {
    Bytes echo;
    while (echo.size() < reply.request.size()) {
        const std::int64_t left_us = deadline_us - steady_us();
        pollfd entry{fd_, POLLIN, 0};
        const int ready =
            left_us <= 0 ? 0 : ::poll(&entry, 1, static_cast<int>((left_us + 999) / 1'000));
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) {
            reply.result = PollResult::timeout;
            reply.detail = "no echo of the request: does the url say echo=yes wrongly?";
            return false;
        }
        std::array<std::uint8_t, 16> chunk{};
        const std::size_t wanted = std::min(chunk.size(), reply.request.size() - echo.size());
        const ssize_t got = ::read(fd_, chunk.data(), wanted);
        if (got <= 0) {
            failed(reply, got == 0 ? ECONNRESET : errno, /*sending=*/false);
            return false;
        }
        echo.insert(echo.end(), chunk.begin(), chunk.begin() + got);
    }
    if (echo == reply.request) return true;
    reply.result = PollResult::foreign_frame;
    reply.detail = "the echo is not the request of address " + std::to_string(request.address) +
                   ": somebody else talks on the line";
    return false;
}

void ModbusLink::failed(Reply& reply, int error, bool sending) const {
    if (breaks_connection(error)) {
        reply.result = PollResult::not_connected;
        reply.lost = settings_.transport == Transport::rtu
                         ? settings_.device + ": " + errno_text(error)
                         : "connection lost: " + errno_text(error);
        reply.detail = reply.lost;
        return;
    }
    if (error == EMBBADCRC) {
        reply.result = PollResult::crc;
        reply.detail = "the checksum is wrong";
    } else if (error == ETIMEDOUT || error == EAGAIN) {
        reply.result = PollResult::timeout;
        reply.detail = sending ? "the line takes no request" : "no reply in time";
    } else {
        reply.result = PollResult::foreign_frame;
        reply.detail = std::string("not a reply: ") + ::modbus_strerror(error);
    }
}

Heard ModbusLink::listen(std::int64_t for_ms, const Request& owed) {
    Heard heard;
    Bytes kept;
    const std::int64_t start_us = steady_us();
    const std::int64_t end_us = start_us + for_ms * 1'000;
    for (;;) {
        const std::int64_t now_us = steady_us();
        const std::int64_t silent_at_us =
            heard.owed_reply ? std::min(end_us, last_byte_us_ + kSilenceUs) : end_us;
        const std::int64_t left_us = std::max<std::int64_t>(silent_at_us - now_us, 0);
        std::array<pollfd, 2> entries{pollfd{fd_, POLLIN, 0}, pollfd{wake_.get(), POLLIN, 0}};
        const int ready = ::poll(entries.data(), for_ms > 0 && wake_.valid() ? 2 : 1,
                                 static_cast<int>((left_us + 999) / 1'000));
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0 || entries[0].revents == 0) return heard;
        std::array<std::uint8_t, 512> chunk{};
        const ssize_t got = ::read(fd_, chunk.data(), chunk.size());
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (got <= 0) {
            const int error = got == 0 ? ECONNRESET : errno;
            heard.lost = settings_.transport == Transport::rtu
                             ? settings_.device + " is gone"
                             : "connection lost: " + errno_text(error);
            return heard;
        }
        last_byte_us_ = steady_us();
        heard.bytes += static_cast<std::size_t>(got);
        heard.last_byte_ms = (last_byte_us_ - start_us) / 1'000;
        if (kept.size() < kHeardMax) kept.insert(kept.end(), chunk.begin(), chunk.begin() + got);
        heard.owed_reply = rtu_frames() && holds_reply(kept, owed);
        if (steady_us() >= end_us && for_ms > 0) return heard;
        if (for_ms == 0 && heard.bytes > 64 * chunk.size()) return heard;
    }
}

}  // namespace

Reply Link::write(const WriteRequest&) {
    Reply reply;
    reply.result = PollResult::busy;
    reply.detail = "nothing is written on this bus";
    return reply;
}

std::string Link::set_line(const LineSettings&) {
    return "this bus has no serial line of its own to change";
}

std::unique_ptr<Link> make_link(const BusSettings& settings) {
    return std::make_unique<ModbusLink>(settings);
}

std::int64_t line_character_us(const BusSettings& settings) {
    return character_us(settings.baud, settings.data_bits, settings.parity != Parity::none,
                        settings.stop_bits);
}

}  // namespace gatehouse::modbus
