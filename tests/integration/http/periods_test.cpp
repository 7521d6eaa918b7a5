// Months over HTTP: what is told of them, and the files of a closed one.
#include <boost/json/parse.hpp>

#include "tests/integration/http/http_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

boost::json::value json_of(const Got& got) {
    return boost::json::parse(got.body);
}

}  // namespace

TEST_CASE("a file of a closed month is the same bytes under its hash, and 304 for who has it") {
    HttpHouse house;
    const std::string path = "/api/v1/periods/2026-10/ledger";
    const Got first = house.ask("GET", path);
    REQUIRE(first.status == 200);
    REQUIRE(first.body == "{\"file\":\"ledger\"}\n");
    // printf '{"file":"ledger"}\n' | sha256sum
    REQUIRE(first.header("ETag") ==
            "\"3bf096e59f363db83060f1b765677e89fa6b642f75bdb9e5facd4f2889f86a5f\"");
    REQUIRE(first.header("Cache-Control").find("immutable") != std::string::npos);
    REQUIRE(house.ask("GET", path).body == first.body);
    const Got again = house.ask("GET", path, "", "If-None-Match: " + first.header("ETag") + "\r\n");
    REQUIRE(again.status == 304);
    REQUIRE(again.body.empty());
}

TEST_CASE("months are told as they stand, and an open one has a checklist and no files") {
    HttpHouse house;
    const Got list = house.ask("GET", "/api/v1/periods?limit=1");
    const boost::json::value items = json_of(list).at("items");
    REQUIRE(items.at(0).at("state") == "running");
    REQUIRE(items.at(0).at("month") == "2026-11");
    const Got running = house.ask("GET", "/api/v1/periods/2026-11");
    REQUIRE(json_of(running).at("checklist").at("counts").at("quarantined") == 1);
    const Got closed = house.ask("GET", "/api/v1/periods/2026-10");
    REQUIRE(json_of(closed).at("state") == "closed");
    REQUIRE(json_of(closed).at("closed_by") == "s-01");
    REQUIRE(json_of(closed).at("files").as_array().size() == 4);
    REQUIRE(house.ask("GET", "/api/v1/periods/2026-11/charges").status == 409);
    REQUIRE(house.ask("GET", "/api/v1/periods/2026-09/charges").status == 404);
    REQUIRE(house.ask("GET", "/api/v1/periods/2026-1/charges").status == 404);
    REQUIRE(house.ask("GET", "/api/v1/periods/2026-10/other").status == 404);
}

TEST_CASE("closing asks for who does it, and passes on what the engine refuses") {
    HttpHouse house;
    const std::string path = "/api/v1/periods/2026-11/close";
    REQUIRE(house.ask("POST", path, "{}").status == 422);
    REQUIRE(house.ask("POST", path, R"({"by":"s-01","who":"x"})").status == 422);
    REQUIRE(house.engine.seen<BeginPeriod>().empty());
    house.engine.script = [](const Command&) {
        Reply reply;
        reply.kind = ReplyKind::conflict;
        reply.type = "period-running";
        reply.detail = "2026-11 runs until the end of 2026-11-30";
        return reply;
    };
    const Got refused = house.ask("POST", path, R"({"by":"s-01"})");
    REQUIRE(refused.status == 409);
    REQUIRE(refused.body.find("runs until") != std::string::npos);
    REQUIRE(house.engine.seen<BeginPeriod>().at(0).by == "s-01");
    REQUIRE(house.engine.seen<SealPeriod>().empty());
}
