#include "tests/integration/modbus/slave.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pty.h>
#include <sys/socket.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <stdexcept>

namespace gatehouse::test {
namespace {

void pause_ms(int duration_ms) {
    const timespec duration{duration_ms / 1'000, duration_ms % 1'000 * 1'000'000L};
    ::nanosleep(&duration, nullptr);
}

}  // namespace

std::uint16_t crc16(const Bytes& bytes) {
    std::uint32_t crc = 0xFFFF;
    for (const std::uint8_t byte : bytes) {
        crc ^= byte;
        for (int bit = 0; bit < 8; ++bit) crc = (crc & 1U) != 0 ? (crc >> 1U) ^ 0xA001U : crc >> 1U;
    }
    return static_cast<std::uint16_t>(crc);
}

Bytes with_crc(Bytes frame) {
    const std::uint16_t crc = crc16(frame);
    frame.push_back(static_cast<std::uint8_t>(crc & 0xFFU));
    frame.push_back(static_cast<std::uint8_t>(crc >> 8U));
    return frame;
}

Bytes register_reply(const Bytes& request) {
    const int first = request[2] * 256 + request[3];
    const int count = request[4] * 256 + request[5];
    Bytes reply{request[0], request[1], static_cast<std::uint8_t>(2 * count)};
    for (int i = 0; i < count; ++i) {
        reply.push_back(static_cast<std::uint8_t>((first + i) >> 8));
        reply.push_back(static_cast<std::uint8_t>((first + i) & 0xFF));
    }
    return reply;
}

Slave::Slave(Kind kind, Script script) : kind_(kind), script_(std::move(script)) {
    if (kind == Kind::pty) {
        std::array<char, 128> name{};
        int slave = -1;
        termios raw{};
        ::cfmakeraw(&raw);
        if (::openpty(&master_, &slave, name.data(), &raw, nullptr) != 0) {
            throw std::runtime_error("openpty");
        }
        ::close(slave);
        device_ = name.data();
    } else {
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in local{};
        local.sin_family = AF_INET;
        local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof local;
        auto* address = reinterpret_cast<sockaddr*>(&local);
        if (::bind(listener_, address, length) != 0 || ::listen(listener_, 4) != 0) {
            throw std::runtime_error("bind");
        }
        ::getsockname(listener_, address, &length);
        port_ = ntohs(local.sin_port);
    }
    thread_ = std::thread([this] { run(); });
}

Slave::~Slave() {
    stopping_ = true;
    thread_.join();
    if (master_ >= 0) ::close(master_);
    if (listener_ >= 0) ::close(listener_);
}

void Slave::hang_up() {
    hang_up_ = true;
}

void Slave::run() {
    if (kind_ == Kind::pty) {
        serve(master_);
        return;
    }
    while (!stopping_) {
        pollfd entry{listener_, POLLIN, 0};
        if (::poll(&entry, 1, 20) <= 0) continue;
        const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) continue;
        ++connections_;
        serve(fd);
        ::close(fd);
    }
}

void Slave::serve(int fd) {
    Bytes pending;
    const std::size_t frame = kind_ == Kind::tcp ? 12 : 8;
    while (!stopping_) {
        if (hang_up_.exchange(false)) return;
        pollfd entry{fd, POLLIN, 0};
        if (::poll(&entry, 1, 10) <= 0) continue;
        std::array<std::uint8_t, 256> chunk{};
        const ssize_t got = ::read(fd, chunk.data(), chunk.size());
        if (got <= 0) {
            if (kind_ != Kind::pty) return;
            pause_ms(10);  // nobody has the slave side open
            continue;
        }
        pending.insert(pending.end(), chunk.begin(), chunk.begin() + got);
        while (pending.size() >= frame) {
            const Bytes request(pending.begin(), pending.begin() + static_cast<long>(frame));
            pending.erase(pending.begin(), pending.begin() + static_cast<long>(frame));
            ++requests_;
            for (const Chunk& part : script_(request)) {
                pause_ms(part.after_ms);
                if (::send(fd, part.bytes.data(), part.bytes.size(), MSG_NOSIGNAL) < 0) {
                    (void)!::write(fd, part.bytes.data(), part.bytes.size());
                }
            }
        }
    }
}

MonoMs SteadyClock::mono_ms() const {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1'000 + now.tv_nsec / 1'000'000;
}

UtcMs SteadyClock::wall_ms() const {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1'000 + now.tv_nsec / 1'000'000;
}

bool eventually(const std::function<bool()>& done) {
    const SteadyClock clock;
    const MonoMs end = clock.mono_ms() + 120'000;
    while (clock.mono_ms() < end) {
        if (done()) return true;
        pause_ms(5);
    }
    return done();
}

}  // namespace gatehouse::test
