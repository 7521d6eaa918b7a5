// The far end of a link, for tests: a socket or a pseudo-terminal on which a thread answers whole
// requests as the test says. Nothing of libmodbus is in it.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "drivers/modbus/frame.hpp"
#include "drivers/modbus/socket.hpp"

namespace gatehouse::modbus {

// A reply of holding or input registers that all hold `value`.
inline Bytes registers_pdu(int address, int function, int count, std::uint16_t value) {
    Bytes pdu{static_cast<std::uint8_t>(address), static_cast<std::uint8_t>(function),
              static_cast<std::uint8_t>(2 * count)};
    for (int i = 0; i < count; ++i) {
        pdu.push_back(static_cast<std::uint8_t>(value >> 8));
        pdu.push_back(static_cast<std::uint8_t>(value & 0xFF));
    }
    return pdu;
}
inline Bytes rtu(const Bytes& pdu) {
    Bytes frame;
    frame.reserve(pdu.size() + 2);
    frame.insert(frame.end(), pdu.begin(), pdu.end());
    append_crc(frame);
    return frame;
}

class Peer {
  public:
    struct Asked {
        Bytes frame;
        int address = 0, function = 0, count = 0;
        std::uint16_t transaction = 0;
        std::int64_t at_us = 0;  // when its last byte was there
    };
    // What goes back, piece by piece, each after so many milliseconds.
    struct Piece {
        Bytes bytes;
        std::int64_t after_ms = 0;
    };
    using Answer = std::function<std::vector<Piece>(const Asked&)>;

    Peer(FrameKind framing, Answer answer) : framing_(framing), answer_(std::move(answer)) {}
    ~Peer() { stop(); }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    // Returns the port on 127.0.0.1.
    int listen() {
        listener_ = Descriptor(::socket(AF_INET, SOCK_STREAM, 0));
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        (void)::bind(listener_.get(), reinterpret_cast<sockaddr*>(&at), sizeof at);
        (void)::listen(listener_.get(), 8);
        socklen_t size = sizeof at;
        (void)::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&at), &size);
        begin();
        return ntohs(at.sin_port);
    }
    // Calls a port until somebody listens there.
    void dial(int port) {
        dials_ = port;
        begin();
    }
    // Returns the device that the link opens.
    std::string open_terminal() {
        line_ = Descriptor(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
        (void)::grantpt(line_.get());
        (void)::unlockpt(line_.get());
        std::array<char, 128> name{};
        (void)::ptsname_r(line_.get(), name.data(), name.size());
        // Our own hand on the far end keeps the line up until the link has it, and makes it raw.
        hold_ = Descriptor(::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC));
        termios raw{};
        (void)::tcgetattr(hold_.get(), &raw);
        ::cfmakeraw(&raw);
        (void)::tcsetattr(hold_.get(), TCSANOW, &raw);
        begin();
        return name.data();
    }
    [[nodiscard]] termios settings() const {
        termios now{};
        (void)::tcgetattr(hold_.get(), &now);
        return now;
    }
    void stop() {
        ending_ = true;
        if (thread_.joinable()) thread_.join();
        line_.reset();
        hold_.reset();
        listener_.reset();
    }
    [[nodiscard]] std::vector<Asked> asked() const {
        const std::lock_guard lock(mutex_);
        return asked_;
    }
    [[nodiscard]] int connections() const { return connections_; }
    [[nodiscard]] std::int64_t last_sent_us() const { return last_sent_us_; }

  private:
    void begin() {
        thread_ = std::thread([this] { run(); });
    }
    void run() {
        while (!ending_) {
            if (!line_.valid() && !connect()) continue;
            serve();
        }
    }
    bool connect() {
        if (dials_ > 0) {
            Descriptor socket(::socket(AF_INET, SOCK_STREAM, 0));
            sockaddr_in to{};
            to.sin_family = AF_INET;
            to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            to.sin_port = htons(static_cast<std::uint16_t>(dials_));
            if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
                std::this_thread::sleep_for(std::chrono::milliseconds(10));
                return false;
            }
            line_ = std::move(socket);
        } else {
            pollfd entry{listener_.get(), POLLIN, 0};
            if (::poll(&entry, 1, 20) <= 0) return false;
            line_ = Descriptor(::accept(listener_.get(), nullptr, nullptr));
        }
        ++connections_;
        return line_.valid();
    }
    void serve() {
        pollfd entry{line_.get(), POLLIN, 0};
        if (::poll(&entry, 1, 20) <= 0) return;
        std::array<std::uint8_t, 512> chunk{};
        const ssize_t got = ::read(line_.get(), chunk.data(), chunk.size());
        if (got <= 0) {
            if (dials_ > 0 || listener_.valid()) line_.reset();
            buffer_.clear();
            return;
        }
        buffer_.insert(buffer_.end(), chunk.begin(), chunk.begin() + got);
        const std::size_t size = framing_ == FrameKind::rtu ? 8 : 12;
        while (buffer_.size() >= size) {
            const Bytes frame(buffer_.begin(), buffer_.begin() + static_cast<long>(size));
            buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<long>(size));
            reply(frame);
        }
    }
    void reply(const Bytes& frame) {
        const std::size_t at = framing_ == FrameKind::rtu ? 0 : 6;
        Asked asked;
        asked.frame = frame;
        asked.address = frame[at];
        asked.function = frame[at + 1];
        asked.count = frame[at + 4] * 256 + frame[at + 5];
        if (at > 0) asked.transaction = static_cast<std::uint16_t>(frame[0] * 256 + frame[1]);
        asked.at_us = steady_us();
        {
            const std::lock_guard lock(mutex_);
            asked_.push_back(asked);
        }
        for (const Piece& piece : answer_(asked)) {
            if (piece.after_ms > 0) {
                std::this_thread::sleep_for(std::chrono::milliseconds(piece.after_ms));
            }
            if (ending_) return;
            (void)send_all(line_.get(), piece.bytes);
            last_sent_us_ = steady_us();
        }
    }
    static int send_all(int fd, const Bytes& bytes) {
        return static_cast<int>(::write(fd, bytes.data(), bytes.size()));
    }

    FrameKind framing_;
    Answer answer_;
    Descriptor listener_, line_, hold_;
    int dials_ = 0;
    Bytes buffer_;
    mutable std::mutex mutex_;
    std::vector<Asked> asked_;
    std::atomic<int> connections_{0};
    std::atomic<std::int64_t> last_sent_us_{0};
    std::atomic<bool> ending_{false};
    std::thread thread_;
};

}  // namespace gatehouse::modbus
