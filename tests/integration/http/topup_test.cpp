// The top-up: header and body as the contract wants them, and one answer for one key.
#include <string>

#include "tests/integration/http/http_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

const std::string kPath = "/api/v1/accounts/a-0/topups";
const std::string kBody = R"({"amount":"100.00","method":"cash","by":"s-01"})";

std::string key(const std::string& value) {
    return "Idempotency-Key: " + value + "\r\n";
}

}  // namespace

TEST_CASE("a top-up reaches the engine as it was typed and its receipt comes back") {
    HttpHouse house;
    house.engine.script = [](const Command&) {
        return Reply{ReplyKind::created, R"({"entry":"en-2","receipt":"R-2"})", {}, {}, {}};
    };
    const Got got = house.ask(
        "POST", kPath,
        R"({"amount":"100.00","method":"qr","by":"s-01","reference":"7","payer":"张","note":"n",)"
        R"("receipt":"9","received_at":"2026-11-23"})",
        key("k-1"));
    REQUIRE(got.status == 201);
    REQUIRE(at(got.body, "/receipt") == "R-2");
    const TopUp topup = house.engine.seen<TopUp>().at(0);
    REQUIRE(topup.account == "a-0");
    REQUIRE(topup.amount == "100.00");
    REQUIRE(topup.method == "qr");
    REQUIRE(topup.payer == "张");
    REQUIRE(topup.receipt == "9");
    REQUIRE(topup.received_at == "2026-11-23");
    REQUIRE(topup.idempotency_key == "k-1");
    REQUIRE(topup.body_hash.size() == 64);
}

TEST_CASE("the same fields in another order have the same hash, other fields another") {
    HttpHouse house;
    const auto hash = [&](const std::string& path, const std::string& body) {
        REQUIRE(house.ask("POST", path, body, key("k")).status == 200);
        return house.engine.seen<TopUp>().back().body_hash;
    };
    const std::string first = hash(kPath, kBody);
    REQUIRE(hash(kPath, R"( {"by":"s-01", "amount":"100.00"} )") == first);
    REQUIRE(hash(kPath, R"({"by":"s-01","amount":"100.01"})") != first);
    REQUIRE(hash(kPath, R"({"by":"s-02","amount":"100.00"})") != first);
    REQUIRE(hash("/api/v1/accounts/a-1/topups", kBody) != first);
}

TEST_CASE("without a key nothing reaches the engine") {
    HttpHouse house;
    for (const std::string& header :
         {std::string(), key(""), key(std::string(129, 'k')), key("a b"), key("k\xc3\xa4")}) {
        INFO(header);
        const Got got = house.ask("POST", kPath, kBody, header);
        REQUIRE(got.status == 400);
    }
    REQUIRE(house.engine.seen<TopUp>().empty());
}

TEST_CASE("a body that tells an amount twice tells none") {
    HttpHouse house;
    const Got twice =
        house.ask("POST", kPath, R"({"amount":"1.00","by":"s-01","amount":"2.00"})", key("k"));
    REQUIRE(twice.status == 400);
    REQUIRE(house.engine.seen<TopUp>().empty());
    REQUIRE(house.ask("POST", kPath, R"({"amount":"1.00","by":"s-01","note":"a \":{ b"})", key("k"))
                .status == 200);
}

TEST_CASE("every wrong field is told at once, and an amount as a number with its remedy") {
    HttpHouse house;
    const Got number = house.ask("POST", kPath, R"({"amount":100.00,"by":"s-01"})", key("k"));
    REQUIRE(number.status == 422);
    REQUIRE(at(number.body, "/errors/0/pointer") == "/amount");
    REQUIRE(at(number.body, "/errors/0/detail").find("\"100.00\"") != std::string::npos);
    const Got many = house.ask("POST", kPath, R"({"amont":"1","method":1})", key("k"));
    REQUIRE(many.status == 422);
    REQUIRE(at(many.body, "/errors/3/pointer") != "(absent)");
    REQUIRE(house.ask("POST", kPath, R"({"amount":"1","by":"s\u0000"})", key("k")).status == 422);
    REQUIRE(house
                .ask("POST", kPath,
                     R"({"amount":"1","by":"s","note":")" + std::string(1001, 'x') + "\"}",
                     key("k"))
                .status == 422);
    REQUIRE(house.ask("POST", "/api/v1/accounts/none/topups", kBody, key("k")).status == 404);
    REQUIRE(house.engine.seen<TopUp>().empty());
}

TEST_CASE("no JSON, no object, and too deep are 400") {
    HttpHouse house;
    for (const std::string& body : {std::string("{"), std::string("[]"), std::string("{}x"),
                                    std::string("\"x\""), std::string("{\"amount\":\"\xff\"}"),
                                    "{\"a\":" + std::string(17, '[') + std::string(17, ']') + "}",
                                    std::string(100'000, '[')}) {
        INFO(body.substr(0, 40));
        REQUIRE(house.ask("POST", kPath, body, key("k")).status == 400);
    }
    const Got deep = house.ask(
        "POST", kPath, "{\"a\":" + std::string(17, '[') + std::string(17, ']') + "}", key("k"));
    REQUIRE(at(deep.body, "/type") == "urn:gatehouse:problem:json-depth");
}

TEST_CASE("what the engine says becomes the status that the contract names") {
    HttpHouse house;
    struct Case {
        ReplyKind kind;
        int status;
    };
    for (const Case c :
         {Case{ReplyKind::ok, 200}, Case{ReplyKind::created, 201}, Case{ReplyKind::invalid, 422},
          Case{ReplyKind::bad_request, 400}, Case{ReplyKind::not_found, 404},
          Case{ReplyKind::conflict, 409}, Case{ReplyKind::key_reused, 422},
          Case{ReplyKind::refused, 422}, Case{ReplyKind::unavailable, 503}}) {
        house.engine.script = [&](const Command&) {
            Reply reply;
            reply.kind = c.kind;
            reply.json = "{}";
            reply.type = "some-type";
            reply.detail = "because";
            reply.errors = {{"/amount", "is wrong"}};
            return reply;
        };
        const Got got = house.ask("POST", kPath, kBody, key("k"));
        REQUIRE(got.status == c.status);
        if (c.status >= 400) {
            REQUIRE(at(got.body, "/type") == "urn:gatehouse:problem:some-type");
            REQUIRE(at(got.body, "/detail") == "because");
            REQUIRE(at(got.body, "/errors/0/detail") == "is wrong");
        }
        if (c.status == 503) REQUIRE(got.header("Retry-After") == "1");
    }
}

TEST_CASE("a second request under a key that is in progress is 409 and is not handed on") {
    HttpHouse house;
    house.engine.hold();
    Wire first(house.socket_path);
    first.send(request_text("POST", kPath, kBody, key("k-1")));
    house.engine.wait_for_held(1);
    const Got second = house.ask("POST", kPath, kBody, key("k-1"));
    REQUIRE(second.status == 409);
    REQUIRE(at(second.body, "/type") == "urn:gatehouse:problem:in-progress");
    house.engine.release();
    REQUIRE(first.receive().status == 200);
    REQUIRE(house.engine.seen<TopUp>().size() == 1);
    REQUIRE(house.ask("POST", kPath, kBody, key("k-1")).status == 200);
}

TEST_CASE("a full queue is 503 with Retry-After, and the key is free again") {
    HttpHouse house;
    house.engine.refuse(true);
    const Got got = house.ask("POST", kPath, kBody, key("k-1"));
    REQUIRE(got.status == 503);
    REQUIRE(got.header("Retry-After") == "1");
    house.engine.refuse(false);
    REQUIRE(house.ask("POST", kPath, kBody, key("k-1")).status == 200);
}

TEST_CASE("an engine that does not answer in time leaves 503 and a late reply harms nobody") {
    HouseOptions options;
    options.limits.answer_timeout_ms = 50;
    HttpHouse house(options);
    house.engine.hold();
    const Got got = house.ask("POST", kPath, kBody, key("k-1"));
    REQUIRE(got.status == 503);
    REQUIRE(at(got.body, "/type") == "urn:gatehouse:problem:timeout");
    house.engine.release();
    REQUIRE(house.ask("GET", "/healthz").status == 200);
}
