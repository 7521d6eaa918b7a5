// The link over the real libmodbus: the three transports, deadlines, and everything that bites.
#include "drivers/modbus/link.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "tests/integration/modbus/slave.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::modbus;
using test::Bytes;
using test::Chunk;
using test::Slave;

namespace {

BusSettings settings_of(const Slave& slave, Transport transport) {
    BusSettings settings;
    settings.transport = transport;
    settings.host = "127.0.0.1";
    settings.port = slave.port();
    settings.device = slave.device();
    settings.baud = transport == Transport::rtu_over_tcp ? 0 : 9600;
    return settings;
}

Request request(int first, int count, std::int64_t timeout_ms = 300) {
    return {1, {RegisterTable::holding, first, count}, timeout_ms};
}

std::vector<Chunk> rtu_answer(const Bytes& asked) {
    return {{0, test::with_crc(test::register_reply(asked))}};
}

Bytes tcp_reply(const Bytes& asked, bool echo_number = true) {
    const Bytes pdu = test::register_reply({asked.begin() + 6, asked.end()});
    Bytes reply{asked[0], asked[1], 0, 0, 0, static_cast<std::uint8_t>(pdu.size())};
    if (!echo_number) reply[1] = static_cast<std::uint8_t>(reply[1] + 1);
    reply.insert(reply.end(), pdu.begin(), pdu.end());
    return reply;
}

}  // namespace

TEST_CASE("one exchange over each transport, with its words and bytes") {
    Slave pty(Slave::Kind::pty, rtu_answer);
    Slave over(Slave::Kind::rtu_over_tcp, rtu_answer);
    Slave tcp(Slave::Kind::tcp, [](const Bytes& asked) {
        return std::vector<Chunk>{{0, tcp_reply(asked)}};
    });
    for (const auto& [slave, transport] :
         {std::pair<Slave*, Transport>{&pty, Transport::rtu},
          std::pair<Slave*, Transport>{&over, Transport::rtu_over_tcp},
          std::pair<Slave*, Transport>{&tcp, Transport::tcp}}) {
        CAPTURE(static_cast<int>(transport));
        const auto link = make_link(settings_of(*slave, transport));
        REQUIRE(link->connect(1'000) == "");
        for (int round = 0; round < 3; ++round) {
            const Reply reply = link->exchange(request(100 + round, 3));
            REQUIRE(reply.result == PollResult::ok);
            CHECK(reply.words ==
                  std::vector<std::uint16_t>{static_cast<std::uint16_t>(100 + round),
                                             static_cast<std::uint16_t>(101 + round),
                                             static_cast<std::uint16_t>(102 + round)});
            CHECK(reply.request.size() == (transport == Transport::tcp ? 12U : 8U));
            CHECK(reply.response.size() == (transport == Transport::tcp ? 15U : 11U));
            CHECK(reply.busy_us > 0);
        }
    }
}

TEST_CASE("a host name is resolved at connection, and an unknown one says so") {
    Slave tcp(Slave::Kind::tcp, [](const Bytes& asked) {
        return std::vector<Chunk>{{0, tcp_reply(asked)}};
    });
    BusSettings settings = settings_of(tcp, Transport::tcp);
    settings.host = "localhost";
    CHECK(make_link(settings)->connect(3'000) == "");
    settings.host = "no-such-host.invalid";
    CHECK(make_link(settings)->connect(3'000).find("cannot resolve no-such-host.invalid") !=
          std::string::npos);
}

TEST_CASE("a trickling slave holds no more than the deadline") {
    Slave pty(Slave::Kind::pty, [](const Bytes& asked) {
        std::vector<Chunk> chunks;
        for (const std::uint8_t byte : test::with_crc(test::register_reply(asked))) {
            chunks.push_back({90, {byte}});
        }
        return chunks;
    });
    const auto link = make_link(settings_of(pty, Transport::rtu));
    REQUIRE(link->connect(1'000) == "");
    const Reply reply = link->exchange(request(0, 4, 200));
    CHECK(reply.result == PollResult::timeout);
    CHECK(reply.busy_us < 400'000);  // 200 ms, the wire time of the frames, and a slow machine
}

TEST_CASE("damaged and foreign replies are told apart from timeouts, and never a value") {
    enum class Way { crc, address, function, length, shorter, silence, exception, busy, path };
    std::atomic<Way> way{Way::crc};
    Slave pty(Slave::Kind::pty, [&](const Bytes& asked) -> std::vector<Chunk> {
        Bytes reply = test::register_reply(asked);
        switch (way.load()) {
            case Way::crc: {
                Bytes frame = test::with_crc(reply);
                frame[3] ^= 0x10U;
                return {{0, frame}};
            }
            case Way::address:
                reply[0] = 9;
                break;
            case Way::function:
                reply[1] = 4;
                break;
            case Way::length:
                reply = test::register_reply({1, 3, 0, 0, 0, 5});
                break;
            case Way::shorter:
                reply = test::register_reply({1, 3, 0, 0, 0, 1});
                break;
            case Way::silence:
                return {};
            case Way::exception:
                reply = {1, 0x83, 2};
                break;
            case Way::busy:
                reply = {1, 0x83, 6};
                break;
            case Way::path:
                reply = {1, 0x83, 0x0B};
                break;
        }
        return {{0, test::with_crc(reply)}};
    });
    const auto link = make_link(settings_of(pty, Transport::rtu));
    REQUIRE(link->connect(1'000) == "");
    for (const auto& [one, result] :
         {std::pair{Way::crc, PollResult::crc}, std::pair{Way::address, PollResult::foreign_frame},
          std::pair{Way::function, PollResult::foreign_frame},
          std::pair{Way::length, PollResult::foreign_frame},
          std::pair{Way::shorter, PollResult::foreign_frame},
          std::pair{Way::silence, PollResult::timeout},
          std::pair{Way::exception, PollResult::exception}, std::pair{Way::busy, PollResult::busy},
          std::pair{Way::path, PollResult::gateway_target}}) {
        way = one;
        const Reply reply = link->exchange(request(0, 2));
        CAPTURE(static_cast<int>(one), reply.detail);
        CHECK(reply.result == result);
        CHECK(reply.words.empty());
        CHECK(reply.lost.empty());
        CHECK_FALSE(reply.detail.empty());
        (void)link->listen(50, request(0, 2));
    }
}

TEST_CASE("listening hears the owed reply whole, and ends early when it has") {
    Slave pty(Slave::Kind::pty, [](const Bytes& asked) {
        return std::vector<Chunk>{{300, test::with_crc(test::register_reply(asked))}};
    });
    const auto link = make_link(settings_of(pty, Transport::rtu));
    REQUIRE(link->connect(1'000) == "");
    CHECK(link->exchange(request(0, 2, 50)).result == PollResult::timeout);
    const test::SteadyClock clock;
    const MonoMs before = clock.mono_ms();
    const Heard heard = link->listen(10'000, request(0, 2));
    CHECK(heard.owed_reply);
    CHECK(heard.bytes == 9);
    CHECK(clock.mono_ms() - before < 5'000);
    // Another length is heard too, but is not what was owed.
    CHECK(link->exchange(request(0, 2, 50)).result == PollResult::timeout);
    CHECK_FALSE(link->listen(600, request(0, 3)).owed_reply);
}

TEST_CASE("a gateway that does not echo the transaction number needs tid=no") {
    Slave tcp(Slave::Kind::tcp, [](const Bytes& asked) {
        return std::vector<Chunk>{{0, tcp_reply(asked, false)}};
    });
    BusSettings settings = settings_of(tcp, Transport::tcp);
    {
        const auto strict = make_link(settings);
        REQUIRE(strict->connect(1'000) == "");
        CHECK(strict->exchange(request(7, 2)).result == PollResult::foreign_frame);
    }
    settings.transaction_id_echoed = false;
    const auto lenient = make_link(settings);
    REQUIRE(lenient->connect(1'000) == "");
    const Reply reply = lenient->exchange(request(7, 2));
    CHECK(reply.result == PollResult::ok);
    CHECK(reply.words == std::vector<std::uint16_t>{7, 8});
}

TEST_CASE("a numbered reply must bear the unit that was asked, and its own length") {
    enum class Way { unit, protocol, length };
    std::atomic<Way> way{Way::unit};
    Slave tcp(Slave::Kind::tcp, [&](const Bytes& asked) {
        Bytes reply = tcp_reply(asked, true);
        if (way == Way::unit) reply[6] = static_cast<std::uint8_t>(reply[6] + 1);
        if (way == Way::protocol) reply[2] = 1;
        if (way == Way::length) ++reply[5];
        return std::vector<Chunk>{{0, reply}};
    });
    const auto link = make_link(settings_of(tcp, Transport::tcp));
    REQUIRE(link->connect(1'000) == "");
    for (const Way one : {Way::unit, Way::protocol, Way::length}) {
        way = one;
        const Reply reply = link->exchange(request(7, 2));
        CAPTURE(static_cast<int>(one), reply.detail);
        CHECK(reply.result == PollResult::foreign_frame);
        CHECK(reply.words.empty());
        (void)link->listen(50, request(7, 2));
    }
}

TEST_CASE("replies under older numbers are passed over, and the right one is taken") {
    Slave tcp(Slave::Kind::tcp, [](const Bytes& asked) {
        Bytes old = tcp_reply(asked, true);
        old[1] = static_cast<std::uint8_t>(old[1] - 1);
        old[10] = 0x77;  // of its data
        return std::vector<Chunk>{{0, old}, {5, old}, {5, tcp_reply(asked, true)}};
    });
    const auto link = make_link(settings_of(tcp, Transport::tcp));
    REQUIRE(link->connect(1'000) == "");
    for (int i = 0; i < 3; ++i) {
        const Reply reply = link->exchange(request(7, 2));
        CHECK(reply.result == PollResult::ok);
        CHECK(reply.words == std::vector<std::uint16_t>{7, 8});
    }
}

TEST_CASE("an adapter that hears itself needs echo=yes") {
    Slave pty(Slave::Kind::pty, [](const Bytes& asked) {
        return std::vector<Chunk>{{0, asked}, {5, test::with_crc(test::register_reply(asked))}};
    });
    BusSettings settings = settings_of(pty, Transport::rtu);
    settings.local_echo = true;
    const auto link = make_link(settings);
    REQUIRE(link->connect(1'000) == "");
    const Reply reply = link->exchange(request(5, 1));
    CHECK(reply.result == PollResult::ok);
    CHECK(reply.words == std::vector<std::uint16_t>{5});
}

TEST_CASE("the gap between transactions is kept") {
    Slave over(Slave::Kind::rtu_over_tcp, rtu_answer);
    BusSettings settings = settings_of(over, Transport::rtu_over_tcp);
    settings.gap_ms = 60;
    const auto link = make_link(settings);
    REQUIRE(link->connect(1'000) == "");
    const test::SteadyClock clock;
    const MonoMs before = clock.mono_ms();
    for (int i = 0; i < 5; ++i) CHECK(link->exchange(request(0, 1)).result == PollResult::ok);
    CHECK(clock.mono_ms() - before >= 5 * 60);
}

TEST_CASE("a gateway that calls us is waited for") {
    Slave idle(Slave::Kind::tcp, [](const Bytes&) { return std::vector<Chunk>{}; });
    BusSettings settings = settings_of(idle, Transport::rtu_over_tcp);
    settings.dial_in = true;
    CHECK(make_link(settings)->connect(50).find("cannot listen") != std::string::npos);
    settings.port = 0;  // any free one
    CHECK(make_link(settings)->connect(50).find("no gateway has called") != std::string::npos);
}

TEST_CASE("a port that is missing, no terminal, of an unknown rate, or in use says so") {
    Slave pty(Slave::Kind::pty, rtu_answer);
    BusSettings settings = settings_of(pty, Transport::rtu);
    settings.device = "/dev/no-such-port";
    CHECK(make_link(settings)->connect(100).find("cannot open /dev/no-such-port") !=
          std::string::npos);
    settings.device = "/dev/null";
    CHECK(make_link(settings)->connect(100) == "/dev/null is no serial port");
    settings = settings_of(pty, Transport::rtu);
    settings.baud = 14'400;
    CHECK(make_link(settings)->connect(100).find("baud 14400 is not served") != std::string::npos);
    settings.baud = 9'600;
    const auto first = make_link(settings);
    REQUIRE(first->connect(100) == "");
    const auto second = make_link(settings);
    CHECK(second->connect(100) != "");
    first->close();
    CHECK(second->connect(100) == "");
    settings.transport = Transport::tcp;
    settings.host = "127.0.0.1";
    settings.port = 1;
    CHECK(make_link(settings)->connect(500).find("cannot connect to 127.0.0.1:1") !=
          std::string::npos);
}

TEST_CASE("a closed connection is lost, not a timeout, and raises no signal") {
    for (const Slave::Kind kind : {Slave::Kind::tcp, Slave::Kind::rtu_over_tcp}) {
        Slave slave(kind, [](const Bytes&) { return std::vector<Chunk>{}; });
        const auto link = make_link(settings_of(
            slave, kind == Slave::Kind::tcp ? Transport::tcp : Transport::rtu_over_tcp));
        REQUIRE(link->connect(1'000) == "");
        slave.hang_up();
        Reply reply;
        CHECK(test::eventually([&] {
            reply = link->exchange(request(0, 1, 50));
            return !reply.lost.empty();
        }));
        CHECK(reply.result == PollResult::not_connected);
        link->close();
        CHECK(link->exchange(request(0, 1)).result == PollResult::not_connected);
        CHECK(link->connect(1'000) == "");
    }
}

TEST_CASE("a descriptor of 1024 or above is refused and does not kill the process") {
    Slave tcp(Slave::Kind::tcp, [](const Bytes& asked) {
        return std::vector<Chunk>{{0, tcp_reply(asked)}};
    });
    std::vector<int> taken;
    int fd = 0;
    while ((fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0 && fd < 1'100) taken.push_back(fd);
    if (fd >= 0) taken.push_back(fd);
    const auto link = make_link(settings_of(tcp, Transport::tcp));
    const std::string reason = link->connect(1'000);
    for (const int one : taken) ::close(one);
    // Where the process may not open that many, the socket itself is refused.
    CHECK((reason.find("too high for libmodbus") != std::string::npos ||
           reason.find("Too many open files") != std::string::npos));
    CHECK(make_link(settings_of(tcp, Transport::tcp))->connect(1'000) == "");
}

TEST_CASE("a listening link can be woken") {
    Slave pty(Slave::Kind::pty, [](const Bytes&) { return std::vector<Chunk>{}; });
    const auto link = make_link(settings_of(pty, Transport::rtu));
    REQUIRE(link->connect(1'000) == "");
    std::thread waker([&] { link->wake(); });
    const test::SteadyClock clock;
    const MonoMs before = clock.mono_ms();
    (void)link->listen(20'000, request(0, 1));
    CHECK(clock.mono_ms() - before < 10'000);
    waker.join();
}
