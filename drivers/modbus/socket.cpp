#include "drivers/modbus/socket.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <ctime>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace gatehouse::modbus {
namespace {

struct Address {
    sockaddr_storage storage{};
    socklen_t length = 0;
};

std::string error_text(int error) {
    return std::generic_category().message(error);
}

struct Resolved {
    std::vector<Address> addresses;
    std::string reason;
};

Resolved resolve(const std::string& host, int port, int flags) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags;
    addrinfo* list = nullptr;
    Resolved resolved;
    const int rc = ::getaddrinfo(host.empty() ? nullptr : host.c_str(),
                                 std::to_string(port).c_str(), &hints, &list);
    if (rc != 0) {
        resolved.reason = "cannot resolve " + host + ": " + ::gai_strerror(rc);
        return resolved;
    }
    for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
        Address address;
        address.length = entry->ai_addrlen;
        const auto* from = reinterpret_cast<const unsigned char*>(entry->ai_addr);
        std::copy(from, from + entry->ai_addrlen,
                  reinterpret_cast<unsigned char*>(&address.storage));
        resolved.addresses.push_back(address);
    }
    ::freeaddrinfo(list);
    return resolved;
}

bool wait_for(int fd, short events, std::int64_t deadline_us) {
    for (;;) {
        const std::int64_t left_us = deadline_us - steady_us();
        if (left_us <= 0) return false;
        pollfd entry{fd, events, 0};
        const int rc = ::poll(&entry, 1, static_cast<int>((left_us + 999) / 1'000));
        if (rc > 0) return true;
        if (rc < 0 && errno != EINTR) return false;
    }
}

void tune(int fd) {
    const int on = 1;
    const int user_timeout_ms = 30'000;
    (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof user_timeout_ms);
}

Opened connect_one(const Address& address, std::int64_t deadline_us) {
    Descriptor socket(
        ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket.valid()) return {Descriptor{}, error_text(errno)};
    const auto* target = reinterpret_cast<const sockaddr*>(&address.storage);
    if (::connect(socket.get(), target, address.length) != 0) {
        if (errno != EINPROGRESS) return {Descriptor{}, error_text(errno)};
        if (!wait_for(socket.get(), POLLOUT, deadline_us)) {
            return {Descriptor{}, "no answer in time"};
        }
        int error = 0;
        socklen_t length = sizeof error;
        (void)::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &length);
        if (error != 0) return {Descriptor{}, error_text(error)};
    }
    tune(socket.get());
    return {std::move(socket), ""};
}

}  // namespace

class Resolver {
  public:
    static Resolved ask(const std::shared_ptr<Resolver>& self, const std::string& host, int port,
                        std::int64_t deadline_us) {
        std::unique_lock lock(self->mutex_);
        if (!self->running_) {
            self->running_ = true;
            self->done_ = false;
            std::thread([self, host, port] {
                Resolved resolved = resolve(host, port, AI_ADDRCONFIG);
                const std::lock_guard guard(self->mutex_);
                self->resolved_ = std::move(resolved);
                self->done_ = true;
                self->running_ = false;
                self->condition_.notify_all();
            }).detach();
        }
        const auto left = std::chrono::microseconds(deadline_us - steady_us());
        if (!self->condition_.wait_for(lock, left, [&] { return self->done_; })) {
            return {{}, "cannot resolve " + host + ": the name server does not answer"};
        }
        return self->resolved_;
    }

  private:
    std::mutex mutex_;
    std::condition_variable condition_;
    bool running_ = false;
    bool done_ = false;
    Resolved resolved_;
};

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
    if (this != &other) {
        reset();
        fd_ = other.release();
    }
    return *this;
}

int Descriptor::release() {
    return std::exchange(fd_, -1);
}

void Descriptor::reset() {
    if (fd_ >= 0) (void)::close(fd_);
    fd_ = -1;
}

Connector::Connector(std::string host, int port)
    : host_(std::move(host)), port_(port), resolver_(std::make_shared<Resolver>()) {}

Connector::~Connector() = default;

Opened Connector::connect(std::int64_t timeout_ms) {
    const std::int64_t deadline_us = steady_us() + timeout_ms * 1'000;
    Resolved resolved = resolve(host_, port_, AI_NUMERICHOST);
    if (resolved.addresses.empty()) {
        resolved = Resolver::ask(resolver_, host_, port_, deadline_us);
    }
    if (resolved.addresses.empty()) return {Descriptor{}, resolved.reason};
    std::string reason;
    for (const Address& address : resolved.addresses) {
        Opened opened = connect_one(address, deadline_us);
        if (opened.socket.valid()) return opened;
        reason = opened.reason;
    }
    return {Descriptor{},
            "cannot connect to " + host_ + ":" + std::to_string(port_) + ": " + reason};
}

Opened Connector::accept(std::int64_t timeout_ms) {
    const std::int64_t deadline_us = steady_us() + timeout_ms * 1'000;
    const std::string place = host_ + ":" + std::to_string(port_);
    if (!listener_.valid()) {
        const Resolved resolved = resolve(host_, port_, AI_PASSIVE | AI_NUMERICHOST);
        if (resolved.addresses.empty()) {
            return {Descriptor{},
                    "cannot listen on " + place + ": dial_in needs a local address, not a name"};
        }
        const Address& address = resolved.addresses.front();
        Descriptor socket(
            ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        const int on = 1;
        (void)::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        const auto* local = reinterpret_cast<const sockaddr*>(&address.storage);
        if (::bind(socket.get(), local, address.length) != 0 || ::listen(socket.get(), 1) != 0) {
            return {Descriptor{}, "cannot listen on " + place + ": " + error_text(errno)};
        }
        listener_ = std::move(socket);
    }
    if (wait_for(listener_.get(), POLLIN, deadline_us)) {
        Descriptor socket(
            ::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (socket.valid()) {
            tune(socket.get());
            return {std::move(socket), ""};
        }
    }
    return {Descriptor{}, "no gateway has called on " + place};
}

std::int64_t steady_us() {
    timespec now{};
    (void)::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::int64_t>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1'000;
}

void sleep_until_us(std::int64_t at_us) {
    timespec at{};
    at.tv_sec = static_cast<time_t>(at_us / 1'000'000);
    at.tv_nsec = static_cast<long>(at_us % 1'000'000 * 1'000);
    while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr) == EINTR) {
    }
}

}  // namespace gatehouse::modbus
