// The event log as a stream: resumed by seq, woken by commits, shed where nobody reads.
#include <unistd.h>

#include <string>
#include <vector>

#include "tests/integration/http/http_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

const std::string kPath = "/api/v1/events/stream";

struct Stream {
    Wire wire;
    Got head;
    std::string text;

    Stream(Wire given, const std::string& target, const std::string& headers = {})
        : wire(std::move(given)) {
        wire.send(request_text("GET", target, "", headers));
        head = wire.receive(/*head_only=*/true);
    }
    // Reads until `word` has come; false: the stream ended before.
    bool read_until(const std::string& word) {
        std::string chunk;
        while (text.find(word) == std::string::npos) {
            if (!wire.receive_chunk(chunk) || chunk.empty()) return false;
            text += chunk;
        }
        return true;
    }
    [[nodiscard]] std::vector<std::uint64_t> ids() const {
        std::vector<std::uint64_t> found;
        for (std::size_t at = 0; (at = text.find("id: ", at)) != std::string::npos; ++at)
            found.push_back(std::stoull(text.substr(at + 4)));
        return found;
    }
};

std::string id_line(std::uint64_t seq) {
    return "id: " + std::to_string(seq) + "\n";
}

}  // namespace

TEST_CASE("a stream begins behind Last-Event-ID, goes on with each commit, without gap or double") {
    HttpHouse house;
    const std::uint64_t head = house.world().event_seq;
    Stream stream(Wire(house.socket_path), kPath, "Last-Event-ID: 1\r\n");
    REQUIRE(stream.head.status == 200);
    REQUIRE(stream.head.header("Content-Type") == "text/event-stream");
    REQUIRE(stream.read_until(id_line(head)));
    for (int i = 0; i < 20; ++i) house.happen(30);
    REQUIRE(stream.read_until(id_line(head + 600)));
    std::vector<std::uint64_t> expected;
    for (std::uint64_t seq = 2; seq <= head + 600; ++seq) expected.push_back(seq);
    REQUIRE(stream.ids() == expected);
    const std::size_t data = stream.text.find("data: ");
    const std::string event = stream.text.substr(data + 6, stream.text.find('\n', data) - data - 6);
    REQUIRE(at(event, "/seq") == "2");
}

TEST_CASE("a stream without a place begins now, and the header wins over the address") {
    HttpHouse house;
    const std::uint64_t head = house.world().event_seq;
    Stream now(Wire(house.socket_path), kPath);
    REQUIRE(now.read_until("retry:"));
    Stream later(Wire(house.socket_path), kPath + "?after=0",
                 "Last-Event-ID: " + std::to_string(head) + "\r\n");
    REQUIRE(later.read_until("retry:"));
    house.happen(1);
    REQUIRE(now.read_until(id_line(head + 1)));
    REQUIRE(later.read_until(id_line(head + 1)));
    REQUIRE(now.ids() == std::vector<std::uint64_t>{head + 1});
    REQUIRE(later.ids() == std::vector<std::uint64_t>{head + 1});
    REQUIRE(house.ask("GET", kPath, "", "Last-Event-ID: x\r\n").status == 400);
    REQUIRE(house.ask("GET", kPath + "?from=1").status == 400);
    const Got head_only = house.ask("HEAD", kPath);
    REQUIRE(head_only.status == 200);
}

TEST_CASE("a quiet stream is kept alive by comments") {
    HouseOptions options;
    options.limits.heartbeat_ms = 50;
    HttpHouse house(options);
    Stream stream(Wire(house.socket_path), kPath);
    REQUIRE(stream.read_until(": nothing new\n\n"));
    stream.text.clear();
    REQUIRE(stream.read_until(": nothing new\n\n"));
}

TEST_CASE("more streams than the limit are 429, and a stream that ended makes room") {
    HouseOptions options;
    options.limits.event_streams = 2;
    options.limits.heartbeat_ms = 20;
    HttpHouse house(options);
    std::vector<Stream> open;
    for (int i = 0; i < 2; ++i) {
        open.emplace_back(Wire(house.socket_path), kPath);
        REQUIRE(open.back().read_until("retry:"));
    }
    const Got beyond = house.ask("GET", kPath);
    REQUIRE(beyond.status == 429);
    REQUIRE(at(beyond.body, "/type") == "urn:gatehouse:problem:event-streams");
    REQUIRE(beyond.header("Retry-After") == "15");
    open.pop_back();
    int status = 429;
    for (int i = 0; i < 2000 && status != 200; ++i) {
        Stream next(Wire(house.socket_path), kPath);
        status = next.head.status;
        if (status != 200) ::usleep(5'000);
    }
    REQUIRE(status == 200);
}

TEST_CASE("a stream that nobody reads is dropped after its time, and others hear all meanwhile") {
    HouseOptions options;
    options.limits.write_timeout_ms = 300;
    options.limits.event_streams = 2;
    HttpHouse house(options);
    const std::uint64_t head = house.world().event_seq;
    Stream deaf(Wire(house.socket_path), kPath);
    Stream hears(Wire(house.socket_path), kPath);
    constexpr int kRounds = 40, kEach = 500;
    for (int i = 0; i < kRounds; ++i) {
        house.happen(kEach);
        REQUIRE(hears.read_until(id_line(head + static_cast<std::uint64_t>(i + 1) * kEach)));
        hears.text.clear();
    }
    // Its place is free again although it never read and never left.
    int status = 429;
    for (int i = 0; i < 2000 && status != 200; ++i) {
        Stream next(Wire(house.socket_path), kPath);
        status = next.head.status;
        if (status != 200) ::usleep(5'000);
    }
    REQUIRE(status == 200);
}

TEST_CASE("over the listener a stream needs its scope, and a revoked token hears nothing more") {
    HttpHouse house;
    const std::string token = house.add_token("aa", {"events:read"});
    const std::string other = house.add_token("bb", {"meters:read"});
    REQUIRE(house.ask_tcp(other, "GET", kPath).status == 403);
    REQUIRE(house.ask_tcp("", "GET", kPath).status == 401);
    Stream stream(Wire(house.server->port()), kPath, "Authorization: Bearer " + token + "\r\n");
    REQUIRE(stream.read_until("retry:"));
    const std::uint64_t head = house.world().event_seq;
    house.happen(1);
    REQUIRE(stream.read_until(id_line(head + 1)));
    house.revoke_token("aa");
    house.happen(1);
    REQUIRE_FALSE(stream.read_until(id_line(head + 2)));
}

TEST_CASE("who logged out hears nothing more") {
    HttpHouse house;
    house.give_password("r-desk");
    const std::string mine = house.log_in("r-desk");
    Stream stream(Wire(house.server->port()), kPath, "Cookie: " + mine + "\r\n");
    REQUIRE(stream.read_until("retry:"));
    const std::uint64_t head = house.world().event_seq;
    house.happen(1);
    REQUIRE(stream.read_until(id_line(head + 1)));
    REQUIRE(house.ask_as(mine, "DELETE", "/api/v1/session").status == 200);
    house.happen(1);
    REQUIRE_FALSE(stream.read_until(id_line(head + 2)));
}

TEST_CASE("a server that stops waits for no stream") {
    HttpHouse house;
    Stream stream(Wire(house.socket_path), kPath);
    REQUIRE(stream.read_until("retry:"));
    const MonoMs before = house.clock.mono_ms();
    house.server->stop();
    REQUIRE(house.clock.mono_ms() - before < 2'500);
    REQUIRE_FALSE(stream.read_until(": never"));
}
