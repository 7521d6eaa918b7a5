// The real link against real sockets and pseudo-terminals: quirks of gateways, deadlines, what two
// masters and echoes look like, and the limit of descriptors.
#include "drivers/modbus/link.hpp"

#include <signal.h>
#include <sys/resource.h>

#include "tests/drivers/peer.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::modbus;

namespace {

constexpr RegisterSpan kTwo{RegisterTable::input, 0x48, 2};

Peer::Answer right_away(FrameKind framing, std::uint16_t value = 7) {
    return [=](const Peer::Asked& asked) -> std::vector<Peer::Piece> {
        Bytes pdu = registers_pdu(asked.address, asked.function, asked.count, value);
        if (framing == FrameKind::rtu) return {{rtu(pdu)}};
        return {{tcp_frame(asked.transaction, pdu)}};
    };
}

BusSettings tcp(int port, Transport transport = Transport::tcp) {
    BusSettings settings;
    settings.transport = transport;
    settings.host = "127.0.0.1";
    settings.port = port;
    settings.baud = 0;
    return settings;
}
BusSettings serial(const std::string& device) {
    BusSettings settings;
    settings.transport = Transport::rtu;
    settings.device = device;
    return settings;
}

Reply ask(Link& link, std::int64_t timeout_ms = 5'000, RegisterSpan span = kTwo, int address = 1) {
    return link.exchange({address, span, timeout_ms});
}

}  // namespace

TEST_CASE("the three transports carry words, bytes and turnaround") {
    Peer numbers(FrameKind::tcp, right_away(FrameKind::tcp));
    Peer stream(FrameKind::rtu, right_away(FrameKind::rtu));
    Peer terminal(FrameKind::rtu, right_away(FrameKind::rtu));
    const std::vector<BusSettings> all{tcp(numbers.listen()),
                                       tcp(stream.listen(), Transport::rtu_over_tcp),
                                       serial(terminal.open_terminal())};
    for (const BusSettings& settings : all) {
        CAPTURE(static_cast<int>(settings.transport));
        const auto link = make_link(settings);
        REQUIRE(link->connect(5'000).empty());
        for (int i = 0; i < 3; ++i) {
            const Reply reply = ask(*link);
            CHECK(reply.result == PollResult::ok);
            CHECK(reply.words == std::vector<std::uint16_t>{7, 7});
            CHECK(reply.request.size() == (settings.transport == Transport::tcp ? 12U : 8U));
            CHECK(reply.response.size() == (settings.transport == Transport::tcp ? 13U : 9U));
            CHECK(reply.busy_us > 0);
        }
    }
}

TEST_CASE("tid=no: a gateway that counts by itself is read with the quirk and named without it") {
    Peer peer(FrameKind::tcp, [](const Peer::Asked& asked) -> std::vector<Peer::Piece> {
        return {{tcp_frame(static_cast<std::uint16_t>(asked.transaction + 77),
                           registers_pdu(asked.address, asked.function, asked.count, 5))}};
    });
    BusSettings settings = tcp(peer.listen());
    {
        const auto strict = make_link(settings);
        REQUIRE(strict->connect(5'000).empty());
        const Reply reply = ask(*strict, 200);
        CHECK(reply.result == PollResult::foreign_frame);
        CHECK(reply.detail.find("tid=no") != std::string::npos);
    }
    settings.transaction_id_echoed = false;
    const auto link = make_link(settings);
    REQUIRE(link->connect(5'000).empty());
    CHECK(ask(*link).words == std::vector<std::uint16_t>{5, 5});
}

TEST_CASE("a reply that bears an older number is passed over, and the right one is taken") {
    Peer peer(FrameKind::tcp, [](const Peer::Asked& asked) -> std::vector<Peer::Piece> {
        const Bytes wrong = registers_pdu(asked.address, asked.function, asked.count, 666);
        const auto old = static_cast<std::uint16_t>(asked.transaction - 1);
        return {{tcp_frame(old, wrong)},
                {tcp_frame(old, wrong), 10},
                {tcp_frame(asked.transaction,
                           registers_pdu(asked.address, asked.function, asked.count, 8)),
                 20}};
    });
    const auto link = make_link(tcp(peer.listen()));
    REQUIRE(link->connect(5'000).empty());
    for (int i = 0; i < 3; ++i) CHECK(ask(*link).words == std::vector<std::uint16_t>{8, 8});
}

TEST_CASE("gap= and the silent interval lie between a reply and the next question") {
    Peer gateway(FrameKind::tcp, right_away(FrameKind::tcp));
    Peer line(FrameKind::rtu, right_away(FrameKind::rtu));
    BusSettings gapped = tcp(gateway.listen());
    gapped.gap_ms = 60;
    const std::pair<BusSettings, Peer*> both[] = {{gapped, &gateway},
                                                  {serial(line.open_terminal()), &line}};
    for (const auto& [settings, peer] : both) {
        const auto link = make_link(settings);
        REQUIRE(link->connect(5'000).empty());
        std::vector<std::int64_t> ends;
        for (int i = 0; i < 4; ++i) {
            REQUIRE(ask(*link).result == PollResult::ok);
            ends.push_back(peer->last_sent_us());
        }
        const auto asked = peer->asked();
        REQUIRE(asked.size() == 4);
        // 3.5 characters of 1,042 us at 9600 8N1.
        const std::int64_t least_us = settings.gap_ms > 0 ? 60'000 : 3'600;
        for (std::size_t i = 1; i < 4; ++i) CHECK(asked[i].at_us - ends[i - 1] >= least_us - 200);
    }
}

TEST_CASE("echo=yes: the own question is taken off the line first, and missed where it is not") {
    const auto echoing = [](const Peer::Asked& asked) -> std::vector<Peer::Piece> {
        return {{asked.frame},
                {rtu(registers_pdu(asked.address, asked.function, asked.count, 9)), 5}};
    };
    Peer peer(FrameKind::rtu, echoing);
    BusSettings settings = serial(peer.open_terminal());
    settings.local_echo = true;
    const auto link = make_link(settings);
    REQUIRE(link->connect(10'000).empty());
    for (int i = 0; i < 3; ++i) CHECK(ask(*link).words == std::vector<std::uint16_t>{9, 9});
    Peer plain(FrameKind::rtu, [](const Peer::Asked&) { return std::vector<Peer::Piece>{}; });
    settings.device = plain.open_terminal();
    const auto wrong = make_link(settings);
    REQUIRE(wrong->connect(10'000).empty());
    const Reply reply = ask(*wrong, 100);
    CHECK(reply.result == PollResult::timeout);
    CHECK(reply.detail.find("echo=yes") != std::string::npos);
    // Without the quirk an echo is never taken for a reply.
    Peer again(FrameKind::rtu, echoing);
    const auto unaware = make_link(serial(again.open_terminal()));
    REQUIRE(unaware->connect(10'000).empty());
    CHECK(ask(*unaware, 200).result != PollResult::ok);
}

TEST_CASE("dial_in=yes: the gateway calls, hangs up, and calls again") {
    int port = 0;
    {
        Peer probe(FrameKind::rtu, right_away(FrameKind::rtu));
        port = probe.listen();
    }
    for (const Transport transport : {Transport::rtu_over_tcp, Transport::tcp}) {
        const FrameKind framing = transport == Transport::tcp ? FrameKind::tcp : FrameKind::rtu;
        BusSettings settings = tcp(port, transport);
        settings.dial_in = true;
        const auto link = make_link(settings);
        CHECK(link->connect(50).find("no gateway has called") != std::string::npos);
        for (int i = 0; i < 2; ++i) {
            Peer gateway(framing, right_away(framing));
            gateway.dial(port);
            REQUIRE(link->connect(10'000).empty());
            CHECK(ask(*link).words == std::vector<std::uint16_t>{7, 7});
            gateway.stop();
            CHECK_FALSE(ask(*link, 1'000).lost.empty());
        }
    }
}

TEST_CASE("a peer that accepts and says nothing takes the timeout and no more") {
    const auto nothing = [](const Peer::Asked&) { return std::vector<Peer::Piece>{}; };
    Peer numbers(FrameKind::tcp, nothing);
    Peer stream(FrameKind::rtu, nothing);
    for (const BusSettings& settings :
         {tcp(numbers.listen()), tcp(stream.listen(), Transport::rtu_over_tcp)}) {
        const auto link = make_link(settings);
        REQUIRE(link->connect(10'000).empty());
        const Reply reply = ask(*link, 150);
        CHECK(reply.result == PollResult::timeout);
        CHECK(reply.lost.empty());
        CHECK(reply.busy_us >= 150'000);
    }
}

TEST_CASE("a slave that trickles its bytes does not hold the line beyond the whole reply's time") {
    // 45 bytes at 60 ms are 2.7 s; each comes well within the timeout.
    const auto trickle = [](const Peer::Asked& asked) {
        std::vector<Peer::Piece> pieces;
        for (const std::uint8_t byte :
             rtu(registers_pdu(asked.address, asked.function, asked.count, 1))) {
            pieces.push_back({{byte}, 60});
        }
        return pieces;
    };
    Peer line(FrameKind::rtu, trickle);
    Peer stream(FrameKind::rtu, trickle);
    for (const BusSettings& settings :
         {serial(line.open_terminal()), tcp(stream.listen(), Transport::rtu_over_tcp)}) {
        const auto link = make_link(settings);
        REQUIRE(link->connect(10'000).empty());
        const Reply reply = ask(*link, 200, {RegisterTable::input, 0, 20});
        CHECK(reply.result != PollResult::ok);
        CHECK(reply.lost.empty());
        CHECK(reply.busy_us < 2'000'000);
    }
}

TEST_CASE("a reply that begins in time may end after the timeout of its first byte") {
    Peer peer(FrameKind::rtu, [](const Peer::Asked& asked) -> std::vector<Peer::Piece> {
        const Bytes whole = rtu(registers_pdu(asked.address, asked.function, asked.count, 4));
        return {{Bytes(whole.begin(), whole.begin() + 3)},
                {Bytes(whole.begin() + 3, whole.end()), 1'500}};
    });
    // 245 bytes of 9.2 ms each may end 3.3 s after the question, so that a busy machine has a
    // second to begin in and another to end in.
    BusSettings slow = serial(peer.open_terminal());
    slow.baud = 1'200;
    const auto link = make_link(slow);
    REQUIRE(link->connect(10'000).empty());
    CHECK(ask(*link, 1'000, {RegisterTable::input, 0, 120}).result == PollResult::ok);
}

TEST_CASE("another master's frames are foreign and never words") {
    Peer peer(FrameKind::rtu, [](const Peer::Asked& asked) -> std::vector<Peer::Piece> {
        // The other master's question to address 5, and its slave's answer.
        return {{rtu({5, 4, 0, 0, 0, 2})}, {rtu(registers_pdu(5, 4, asked.count, 3))}};
    });
    const auto link = make_link(serial(peer.open_terminal()));
    REQUIRE(link->connect(10'000).empty());
    for (int i = 0; i < 3; ++i) {
        const Reply reply = ask(*link, 100);
        CHECK(reply.result != PollResult::ok);
        CHECK(reply.words.empty());
        (void)link->listen(100, {1, kTwo, 100});
    }
}

TEST_CASE("an exception is taken at its own length, on every transport") {
    Peer line(FrameKind::rtu, [](const Peer::Asked& asked) -> std::vector<Peer::Piece> {
        return {{rtu({static_cast<std::uint8_t>(asked.address), 0x84, 2})}};
    });
    const auto link = make_link(serial(line.open_terminal()));
    REQUIRE(link->connect(10'000).empty());
    const Reply reply = ask(*link, 5'000, {RegisterTable::input, 0, 100});
    CHECK(reply.result == PollResult::exception);
    CHECK(reply.exception == 2);
    // Five bytes are complete at once: nobody waits for the two hundred that were asked for.
    CHECK(reply.busy_us < 2'000'000);
}

TEST_CASE("line settings change on an open port, and a network has none") {
    Peer peer(FrameKind::rtu, right_away(FrameKind::rtu));
    const auto link = make_link(serial(peer.open_terminal()));
    CHECK(link->set_line({19'200, Parity::even, 1, 8}) == "not connected");
    REQUIRE(link->connect(10'000).empty());
    CHECK(link->set_line({19'200, Parity::odd, 2, 8}).empty());
    const termios changed = peer.settings();
    CHECK(::cfgetospeed(&changed) == B19200);
    CHECK((peer.settings().c_cflag & CSTOPB) != 0);
    CHECK(ask(*link).result == PollResult::ok);
    CHECK(link->set_line({14'400, Parity::none, 1, 8}).find("14400") != std::string::npos);
    CHECK(link->set_line({9'600, Parity::none, 1, 8}).empty());
    CHECK((peer.settings().c_cflag & CSTOPB) == 0);
    Peer gateway(FrameKind::tcp, right_away(FrameKind::tcp));
    const auto network = make_link(tcp(gateway.listen()));
    REQUIRE(network->connect(1'000).empty());
    CHECK_FALSE(network->set_line({}).empty());
}

TEST_CASE("with 1,000 descriptors open a link still works, above 1,023 it is refused cleanly") {
    rlimit limit{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const rlimit before = limit;
    if (limit.rlim_cur < 1'200) {
        limit.rlim_cur = std::min<rlim_t>(1'200, limit.rlim_max);
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
    }
    Peer gateway(FrameKind::tcp, right_away(FrameKind::tcp));
    const int port = gateway.listen();
    std::vector<Descriptor> dummies;
    while (dummies.size() < 1'000) dummies.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const auto link = make_link(tcp(port));
    REQUIRE(link->connect(5'000).empty());
    CHECK(ask(*link).result == PollResult::ok);
    while (dummies.back().get() < 1'030)
        dummies.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const auto refused = make_link(tcp(port));
    const std::string reason = refused->connect(5'000);
    CHECK(reason.find("too high") != std::string::npos);
    CHECK(reason.find("LimitNOFILE=1024") != std::string::npos);
    CHECK(refused->exchange({1, kTwo, 50}).result == PollResult::not_connected);
    CHECK(ask(*link).result == PollResult::ok);
    dummies.clear();
    CHECK(refused->connect(5'000).empty());
    (void)::setrlimit(RLIMIT_NOFILE, &before);
}
