// A gateway that sends whatever it likes, through the real link and libmodbus: byte 0 chooses how
// the link talks to it and what it asks, the rest comes as soon as the question was heard, and then
// the connection ends. Whatever comes, the exchange ends, and words are those of the question.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "drivers/modbus/link.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using namespace gatehouse;
using namespace gatehouse::modbus;

// Answers every first question on every connection with the bytes that it was given.
class Gateway {
  public:
    Gateway() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in local{};
        local.sin_family = AF_INET;
        local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof local;
        auto* address = reinterpret_cast<sockaddr*>(&local);
        if (::bind(listener_, address, length) != 0 || ::listen(listener_, 4) != 0 ||
            ::getsockname(listener_, address, &length) != 0)
            std::abort();
        port_ = ntohs(local.sin_port);
        std::thread([this] { serve(); }).detach();
    }
    [[nodiscard]] int port() const { return port_; }
    void will_say(const std::uint8_t* data, std::size_t size) {
        const std::lock_guard lock(mutex_);
        bytes_.assign(data, data + size);
    }

  private:
    void serve() {
        for (;;) {
            const int fd = ::accept(listener_, nullptr, nullptr);
            if (fd < 0) std::abort();
            std::array<std::uint8_t, 64> question{};
            if (::recv(fd, question.data(), question.size(), 0) > 0) {
                const std::lock_guard lock(mutex_);
                (void)::send(fd, bytes_.data(), bytes_.size(), MSG_NOSIGNAL);
            }
            (void)::shutdown(fd, SHUT_WR);
            (void)::recv(fd, question.data(), question.size(), 0);  // until the link closes
            // No port stays taken for a minute: there are thousands of these a second.
            const linger none{1, 0};
            (void)::setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
            (void)::close(fd);
        }
    }

    int listener_;
    int port_ = 0;
    std::mutex mutex_;
    std::vector<std::uint8_t> bytes_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static Gateway* const kGateway = new Gateway;  // its thread lives as long as the process
    if (size < 1) return 0;
    BusSettings settings;
    settings.host = "127.0.0.1";
    settings.port = kGateway->port();
    settings.baud = 0;
    settings.transport = (data[0] & 1U) != 0 ? Transport::rtu_over_tcp : Transport::tcp;
    settings.transaction_id_echoed = (data[0] & 2U) == 0;
    settings.local_echo = (data[0] & 4U) != 0;
    Request request;
    request.address = 1;
    request.span = {(data[0] & 8U) != 0 ? RegisterTable::coils : RegisterTable::holding, 0,
                    1 + (data[0] >> 4U)};
    request.timeout_ms = 100;
    kGateway->will_say(data + 1, size - 1);
    const auto link = make_link(settings);
    if (!link->connect(1'000).empty()) std::abort();
    const Reply reply = link->exchange(request);
    const auto count = static_cast<std::size_t>(request.span.count);
    if ((reply.result == PollResult::ok) != (reply.words.size() == count)) std::abort();
    if (reply.result != PollResult::ok && reply.detail.empty()) std::abort();
    return 0;
}
