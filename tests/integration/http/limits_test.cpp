// Each limit is hit, and peers that are slow, broken or hostile are shed.
#include <sys/stat.h>
#include <unistd.h>

#include <fcntl.h>

#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "daemon/engine/registry_files.hpp"
#include "daemon/http/message.hpp"
#include "tests/integration/http/http_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

TEST_CASE("a header beyond 16 KiB is 431") {
    HttpHouse house;
    const Got fits =
        house.ask("GET", "/healthz", "", "X-Pad: " + std::string(15'000, 'x') + "\r\n");
    REQUIRE(fits.status == 200);
    const Got large =
        house.ask("GET", "/healthz", "", "X-Pad: " + std::string(17'000, 'x') + "\r\n");
    REQUIRE(large.status == 431);
    REQUIRE(house.ask("GET", "/" + std::string(17'000, 'x')).status == 431);
}

TEST_CASE("a body beyond 1 MiB is 413, told by its length or found in its chunks") {
    HttpHouse house;
    const std::string large(1024 * 1024 + 1, ' ');
    const Got told = house.ask("POST", "/api/v1/alerts/test", large);
    REQUIRE(told.status == 413);
    Wire chunked(house.socket_path);
    chunked.send(
        "POST /api/v1/alerts/test HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    const std::string chunk = "40000\r\n" + std::string(0x40000, ' ') + "\r\n";
    for (int i = 0; i < 5; ++i) chunked.send(chunk);
    chunked.send("0\r\n\r\n");
    REQUIRE(chunked.receive().status == 413);
    REQUIRE(house.engine.seen<TestAlert>().empty());
    const Got fits =
        house.ask("POST", "/api/v1/alerts/test", std::string(1024 * 1024 - 2, ' ') + "{}");
    REQUIRE(fits.status == 200);
    REQUIRE(house.engine.seen<TestAlert>().size() == 1);
}

TEST_CASE("an import takes 32 MiB and no more") {
    HttpHouse house;
    const std::string large =
        R"({"files":{"units.csv":")" + std::string(8 * 1024 * 1024, 'A') + "\"}}";
    REQUIRE(house.ask("POST", "/api/v1/registry", large).status == 200);
    const auto seen = house.engine.seen<ImportRegistry>().at(0).parsed;
    REQUIRE(seen);
    REQUIRE_FALSE(seen->ok());  // six megabytes of zeros are no units
    Wire wire(house.socket_path);
    wire.send("POST /api/v1/registry HTTP/1.1\r\nHost: x\r\nContent-Length: 33554433\r\n\r\n{");
    REQUIRE(wire.receive().status == 413);
}

TEST_CASE("a stranger's large body is not read before the token is checked") {
    HttpHouse house;
    Wire wire(house.server->port());
    wire.send("POST /api/v1/registry HTTP/1.1\r\nHost: x\r\nContent-Length: 33000000\r\n\r\n");
    REQUIRE(wire.receive().status == 401);
}

TEST_CASE("connections beyond the limit are told 503, and the next one after a leave is served") {
    HouseOptions options;
    options.limits.connections = 3;
    HttpHouse house(options);
    std::vector<Wire> open;
    for (int i = 0; i < 3; ++i) {
        open.emplace_back(house.socket_path);
        open.back().send(request_text("GET", "/healthz", "", ""));
        REQUIRE(open.back().receive().status == 200);
    }
    Wire beyond(house.socket_path);
    const Got got = beyond.receive();
    REQUIRE(got.status == 503);
    REQUIRE(at(got.body, "/type") == "urn:gatehouse:problem:connections");
    REQUIRE(beyond.ended());
    // The listener has a count of its own: whoever fills one leaves the other open.
    REQUIRE(house.ask_tcp("", "GET", "/healthz").status == 200);
    open.pop_back();
    int status = 503;
    for (int i = 0; i < 2000 && status != 200; ++i) {
        Wire next(house.socket_path);
        next.send(request_text("GET", "/healthz", "", ""));
        status = next.receive().status;
        if (status != 200) ::usleep(5'000);
    }
    REQUIRE(status == 200);
}

TEST_CASE("a peer that drips its header, stops in its body, or says nothing is shed") {
    HouseOptions options;
    options.limits.header_timeout_ms = 200;
    options.limits.idle_timeout_ms = 200;
    options.limits.body_timeout_ms = 200;
    HttpHouse house(options);
    Wire silent(house.socket_path);
    Wire header(house.server->port());
    header.send("GET /healthz HT");
    Wire body(house.socket_path);
    body.send("POST /api/v1/alerts/test HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{");
    // A byte now and then does not buy a header more time.
    Wire dripping(house.server->port());
    for (int i = 0; i < 10; ++i) {
        dripping.send(i == 0 ? "GET / HTTP/1.1\r\nX: " : "x");
        ::usleep(50'000);
    }
    REQUIRE(silent.ended());
    REQUIRE(header.ended());
    REQUIRE(body.ended());
    REQUIRE(dripping.ended());
    REQUIRE(house.engine.seen<TestAlert>().empty());
    REQUIRE(house.ask("GET", "/healthz").status == 200);
}

TEST_CASE("the first byte of a header starts its time, however long a silence is allowed") {
    HouseOptions options;
    options.limits.header_timeout_ms = 300;
    options.limits.idle_timeout_ms = 60'000;
    HttpHouse house(options);
    Wire one_byte(house.server->port());
    one_byte.send("G");
    Wire dripping(house.server->port());
    for (int i = 0; i < 12; ++i) {
        dripping.send("G");
        ::usleep(50'000);
    }
    Wire silent(house.socket_path);
    REQUIRE(one_byte.ended());
    REQUIRE(dripping.ended());
    // Who says nothing yet, or nothing more, keeps its idle time, and a slow header within its time
    // is served.
    ::usleep(400'000);
    for (int round = 0; round < 2; ++round) {
        silent.send("GET /healthz HT");
        ::usleep(100'000);
        silent.send("TP/1.1\r\nHost: x\r\n\r\n");
        REQUIRE(silent.receive().status == 200);
        ::usleep(400'000);
    }
}

TEST_CASE("more waiting requests than the queue takes are 503") {
    HouseOptions options;
    options.limits.waiting_requests = 0;
    HttpHouse house(options);
    const Got got = house.ask("GET", "/api/v1/meters");
    REQUIRE(got.status == 503);
    REQUIRE(at(got.body, "/type") == "urn:gatehouse:problem:busy");
    REQUIRE(house.ask("GET", "/healthz").status == 200);
}

TEST_CASE("a body whose length is told twice or in two ways is refused and the connection ends") {
    HttpHouse house;
    const std::string start = "POST /api/v1/alerts/test HTTP/1.1\r\nHost: x\r\n";
    for (const std::string lengths :
         {"Content-Length: 2\r\nContent-Length: 2\r\n",
          "Content-Length: 2\r\nContent-Length: 30\r\n",
          "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
          "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", "Transfer-Encoding: gzip\r\n",
          "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
          "Transfer-Encoding: gzip, chunked\r\n", "Content-Length: -2\r\n",
          "Content-Length: 0x2\r\n", "Content-Length: 2, 2\r\n", "Content-Length : 2\r\n"}) {
        INFO(lengths);
        Wire wire(house.socket_path);
        wire.send(start + lengths + "\r\n{}GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        REQUIRE(wire.receive().status == 400);
        REQUIRE(wire.receive().status == 0);
    }
    REQUIRE(house.engine.seen<TestAlert>().empty());
}

TEST_CASE("the end of a chunked body may come byte by byte, right or wrong") {
    HttpHouse house;
    for (const std::string end : {"0\r\n\r\n", "0\r\nx\r\n\r\n", "0\r\nTrailer: a\r\n\r\n"}) {
        Wire wire(house.socket_path);
        wire.send(
            "POST /api/v1/alerts/test HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n");
        for (const char byte : end) {
            ::usleep(5'000);
            wire.send(std::string(1, byte));
        }
        const Got got = wire.receive();
        INFO(end << got.status);
        CHECK((got.status == 200 || got.status == 400 || got.status == 0));
    }
    REQUIRE(house.ask("GET", "/healthz").status == 200);
}

TEST_CASE("what is no HTTP is 400 or shed, never more") {
    HttpHouse house;
    for (const std::string bytes :
         {"\x16\x03\x01\x02\x00\x01\x00\x01", "GET /healthz\r\n\r\n", "\r\n\r\n\r\n",
          "GET http://x/healthz HTTP/1.1\r\n\r\n", "GET /healthz HTTP/3.7\r\n\r\n",
          "GET / HTTP/1.1\r\nBad Header: x\r\n\r\n", "GET / HTTP/1.1\r\nX: a\r\n b\x01\r\n\r\n"}) {
        INFO(bytes);
        Wire wire(house.server->port());
        wire.send(std::string(bytes) + "\r\n\r\n");
        const Got got = wire.receive();
        REQUIRE((got.status == 0 || (got.status >= 400 && got.status < 500)));
    }
    REQUIRE(house.ask("GET", "/healthz").status == 200);
}

TEST_CASE("a head that tells one thing twice, or not at all, is refused with the reason") {
    HttpHouse house;
    const std::string topup = R"({"amount":"1.00","method":"cash","by":"s-01"})";
    const auto post = [&](const std::string& headers) {
        return "POST /api/v1/accounts/a-0/topups HTTP/1.1\r\nHost: x\r\n" + headers +
               "Content-Type: application/json\r\nContent-Length: " + std::to_string(topup.size()) +
               "\r\n\r\n" + topup;
    };
    struct Row {
        const char* what;
        std::string bytes;
        int status;
        const char* word;
    };
    const Row rows[] = {
        {"no host", "GET /healthz HTTP/1.1\r\n\r\n", 400, "Host"},
        {"two hosts", "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "Host"},
        {"HTTP/1.0 needs none", "GET /healthz HTTP/1.0\r\n\r\n", 200, "ok"},
        {"two keys", post("Idempotency-Key: a\r\nIdempotency-Key: b\r\n"), 400, "Idempotency-Key"},
        {"a coding", post("Idempotency-Key: c\r\nContent-Encoding: gzip\r\n"), 415, "gzip"},
        {"the same key twice", post("Idempotency-Key: d\r\nIdempotency-Key: d\r\n"), 200, ""},
        {"no coding", post("Idempotency-Key: e\r\nContent-Encoding: Identity\r\n"), 200, ""},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        Wire wire(house.socket_path);
        wire.send(row.bytes);
        const Got got = wire.receive();
        CHECK(got.status == row.status);
        CHECK(got.body.find(row.word) != std::string::npos);
    }
    CHECK(house.engine.seen<TopUp>().size() == 2);
}

TEST_CASE("a target with scheme and host is the path that stands in it") {
    HttpHouse house;
    struct Row {
        const char* target;
        int status;
    };
    const Row rows[] = {
        {"http://localhost:8470/healthz", 200},
        {"HTTP://x/api/v1/meters?limit=1", 200},
        {"https://x/api/v1/meters/e-0", 200},
        {"http://x/nothing", 404},
        {"http://x", 404},
        {"http://x?limit=1", 404},
        {"http:///healthz", 400},
        {"http://who@x/healthz", 400},
        {"http://x/api/v1/meters/e%2f0", 400},
        {"ftp://x/healthz", 400},
    };
    for (const Row& row : rows) {
        INFO(row.target);
        CHECK(house.ask("GET", row.target).status == row.status);
    }
}

TEST_CASE("what is accepted is told in any case, and an answer says that it depended on it") {
    HttpHouse house;
    const Got csv = house.ask("GET", "/api/v1/meters", "", "Accept: Text/CSV\r\n");
    CHECK(csv.header("Content-Type") == "text/csv; charset=utf-8");
    CHECK(csv.header("Vary") == "Accept");
    const Got list = house.ask("GET", "/api/v1/meters", "", "Accept: TEXT/csv;Q=0.1, */*\r\n");
    CHECK(list.status == 200);
    const Got json = house.ask("GET", "/api/v1/meters");
    CHECK(json.header("Content-Type") == "application/json");
    CHECK(json.header("Vary") == "Accept");
    CHECK(house.ask("GET", "/api/v1/meters", "", "If-None-Match: " + json.header("ETag") + "\r\n")
              .header("Vary") == "Accept");
}

TEST_CASE("paths that try to be others reach no route") {
    HttpHouse house;
    for (const std::string target :
         {"/api/v1/meters/%2e%2e", "/api/v1/meters/..", "/api/v1//meters", "/api/v1/meters/",
          "/api/v1/meters/e-0/../e-1", "//api/v1/meters", "/API/v1/meters",
          "/api/v1/meters/e-0;x"}) {
        INFO(target);
        REQUIRE(house.ask("GET", target).status == 404);
    }
    for (const std::string target : {"/api/v1/meters/e%2f0", "/api/v1/meters/e%00",
                                     "/api/v1/meters/%zz", "/api/v1/meters/%0a", "*"}) {
        INFO(target);
        REQUIRE(house.ask("GET", target).status == 400);
    }
    REQUIRE(house.ask("GET", "/api/v1/meters/e%2D0").status == 200);
}

TEST_CASE("one connection carries many requests, also when they arrive together") {
    HttpHouse house;
    Wire wire(house.socket_path);
    const std::string one = request_text("GET", "/api/v1/meters/e-0", "", "");
    wire.send(one + one + request_text("POST", "/api/v1/alerts/test", "{}", "") + one);
    for (int i = 0; i < 4; ++i) REQUIRE(wire.receive().status == 200);
    wire.send(request_text("GET", "/healthz", "", "Connection: close\r\n"));
    REQUIRE(wire.receive().header("Connection") == "close");
    REQUIRE(wire.ended());
}

TEST_CASE("a client that waits for 100 Continue gets it, unless its body is refused") {
    HttpHouse house;
    Wire wire(house.socket_path);
    wire.send(
        "POST /api/v1/alerts/test HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
        "Expect: 100-continue\r\n\r\n");
    REQUIRE(wire.receive().status == 100);
    wire.send("{}");
    REQUIRE(wire.receive().status == 200);
    Wire large(house.socket_path);
    large.send(
        "POST /api/v1/alerts/test HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n"
        "Expect: 100-continue\r\n\r\n");
    REQUIRE(large.receive().status == 413);
}

TEST_CASE("a peer that half-closes after its request still gets the answer") {
    HttpHouse house;
    Wire wire(house.socket_path);
    wire.send("GET /healthz HTTP/1.0\r\n\r\n");
    REQUIRE(wire.receive().status == 200);
    REQUIRE(wire.ended());
}

TEST_CASE("the socket has mode 0660, a stale one is replaced, a live one and a file are not") {
    HttpHouse house;
    struct stat found {};
    REQUIRE(::stat(house.socket_path.c_str(), &found) == 0);
    REQUIRE((found.st_mode & 0777U) == 0660U);
    http::ServerOptions options;
    options.socket_path = house.socket_path;
    options.database_path = house.folder.file("books.db");
    const auto open = [&] {
        http::Server(options, house.engine, house.meters, house.commissioning, house.status,
                     house.zone, house.clock, house.random);
    };
    REQUIRE_THROWS_AS(open(), http::ServerError);
    REQUIRE(house.ask("GET", "/healthz").status == 200);
    options.socket_path = house.folder.file("plain");
    REQUIRE(::close(::creat(options.socket_path.c_str(), 0600)) == 0);
    REQUIRE_THROWS_AS(open(), http::ServerError);
    REQUIRE(std::filesystem::exists(options.socket_path));
    options.socket_path = house.folder.file(std::string(120, 'x'));
    REQUIRE_THROWS_AS(open(), http::ServerError);
    options.socket_path = house.folder.file("stale");
    const std::string kept = house.folder.file("kept");
    {
        http::Server dying(options, house.engine, house.meters, house.commissioning, house.status,
                           house.zone, house.clock, house.random);
        std::filesystem::create_hard_link(options.socket_path, kept);
    }
    REQUIRE_FALSE(std::filesystem::exists(options.socket_path));
    std::filesystem::rename(kept, options.socket_path);
    REQUIRE_NOTHROW(open());
}

TEST_CASE("plain HTTP on other than loopback is refused") {
    HttpHouse house;
    http::ServerOptions options;
    options.listen_host = "0.0.0.0";
    options.database_path = house.folder.file("books.db");
    REQUIRE_THROWS_AS(http::Server(options, house.engine, house.meters, house.commissioning,
                                   house.status, house.zone, house.clock, house.random),
                      http::ServerError);
}

TEST_CASE("stopping answers what the engine still answers, and ends everything else") {
    HttpHouse house;
    house.engine.hold();
    Wire asking(house.socket_path);
    asking.send(request_text("POST", "/api/v1/alerts/test", "{}", ""));
    Wire idle(house.socket_path);
    idle.send(request_text("GET", "/healthz", "", ""));
    REQUIRE(idle.receive().status == 200);
    house.engine.wait_for_held(1);
    std::thread answer([&] {
        REQUIRE(idle.ended());
        house.engine.release();
    });
    house.server->stop();
    answer.join();
    const Got got = asking.receive();
    REQUIRE(got.status == 200);
    REQUIRE(got.header("Connection") == "close");
}

TEST_CASE("a target is taken apart strictly") {
    const auto good = http::parse_target("/a%20b/c?x=1&y=%2B&z");
    REQUIRE(good);
    REQUIRE(good->segments == std::vector<std::string>{"a b", "c"});
    REQUIRE(good->query.at(1) == std::pair<std::string, std::string>("y", "+"));
    REQUIRE(good->query.at(2).second.empty());
    for (const std::string bad : {"", "a", "/%", "/%0", "/%00", "/a%2Fb", "/?x=%0a", "/ x", "/%ff",
                                  "/?x=%E4%B8", "/?%ff=x"}) {
        INFO(bad);
        REQUIRE_FALSE(http::parse_target(bad));
    }
}
