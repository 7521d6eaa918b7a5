// Who may do what on the listener.
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "daemon/core/base64.hpp"
#include "daemon/http/routes.hpp"
#include "tests/integration/http/http_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

std::string target_of(const http::Route& route) {
    std::string target = route.pattern;
    for (const auto& [name, id] : std::map<std::string, std::string>{{"{unit}", "h-0"},
                                                                     {"{meter}", "e-0"},
                                                                     {"{account}", "a-0"},
                                                                     {"{bus}", "b1"},
                                                                     {"{id}", "x"},
                                                                     {"{pool}", "stairs"},
                                                                     {"{key}", "k-1"},
                                                                     {"{cabinet}", "kc-01"},
                                                                     {"{ticket}", "WX-202611-0001"},
                                                                     {"{action}", "lost"},
                                                                     {"{entry}", "en-1"},
                                                                     {"{alert}", "x"},
                                                                     {"{event}", "1"},
                                                                     {"{person}", "p-1"},
                                                                     {"{month}", "2026-10"},
                                                                     {"{date}", "2026-11-23"},
                                                                     {"{token}", "x"},
                                                                     {"{staff}", "s-01"}}) {
        const std::size_t place = target.find(name);
        if (place != std::string::npos) target.replace(place, name.size(), id);
    }
    return target;
}

}  // namespace

TEST_CASE("every route is closed without its scope and open with it") {
    HttpHouse house;
    int number = 0;
    std::map<std::string, std::string> token_of;
    for (const char* scope : http::scopes()) {
        token_of[scope] = house.add_token("t" + std::to_string(number++), {scope});
    }
    for (const http::Route& route : http::routes()) {
        const std::string target = target_of(route);
        const Got stranger = house.ask_tcp("", route.method, target);
        INFO(route.method << " " << target);
        if (std::string(route.scope).empty()) {
            REQUIRE(stranger.status != 401);
            REQUIRE(stranger.status != 403);
            continue;
        }
        REQUIRE(stranger.status == 401);
        REQUIRE(stranger.header("WWW-Authenticate").find("Bearer") == 0);
        REQUIRE(stranger.header("Content-Type") == "application/problem+json");
        for (const auto& [scope, token] : token_of) {
            INFO(scope);
            // The head is enough, and all that a stream of events has an end of.
            Wire wire(house.server->port());
            wire.send(
                request_text(route.method, target, "", "Authorization: Bearer " + token + "\r\n"));
            const int status = wire.receive(/*head_only=*/true).status;
            if (scope == route.scope || scope == "admin") {  // who may make a token of any
                REQUIRE(status != 401);
                REQUIRE(status != 403);
            } else {
                REQUIRE(status == 403);
            }
        }
    }
}

TEST_CASE("a token that is wrong in any way is 401") {
    HttpHouse house;
    const std::string good = house.add_token("abc", {"meters:read"});
    REQUIRE(house.ask_tcp(good, "GET", "/api/v1/meters").status == 200);
    for (const std::string& bad :
         {std::string("gh_abc_secret-abd"), std::string("gh_abd_secret-abc"),
          std::string("gh_abc_"), std::string("gh__secret-abc"), std::string("gh_abc"),
          std::string("secret-abc"), good + "x", good.substr(0, good.size() - 1),
          std::string(5000, 'x'), "gh_abc_" + std::string(64, '0')}) {
        INFO(bad);
        REQUIRE(house.ask_tcp(bad, "GET", "/api/v1/meters").status == 401);
    }
    const Got basic =
        house.ask_tcp("", "GET", "/api/v1/meters", "", "Authorization: Basic " + good + "\r\n");
    REQUIRE(basic.status == 401);
    const Got lower =
        house.ask_tcp("", "GET", "/api/v1/meters", "", "Authorization: bearer " + good + "\r\n");
    REQUIRE(lower.status == 200);
    // Never in an address, where it would stand in logs.
    REQUIRE(house.ask_tcp("", "GET", "/api/v1/meters?token=" + good).status == 401);
}

TEST_CASE("a revoked token is refused from the next request on, an expired one as well") {
    HttpHouse house;
    const std::string token = house.add_token("abc", {"meters:read"});
    Wire wire(house.server->port());
    const std::string request =
        request_text("GET", "/api/v1/meters", "", "Authorization: Bearer " + token + "\r\n");
    wire.send(request);
    REQUIRE(wire.receive().status == 200);
    house.revoke_token("abc");
    wire.send(request);
    REQUIRE(wire.receive().status == 401);
    const std::string past = house.add_token("past", {"meters:read"}, kMorning);
    REQUIRE(house.ask_tcp(past, "GET", "/api/v1/meters").status == 401);
    const std::string future = house.add_token("future", {"meters:read"}, kMorning + 1);
    REQUIRE(house.ask_tcp(future, "GET", "/api/v1/meters").status == 200);
}

TEST_CASE("what a token does is done in its name, and its use is noted once a minute") {
    HttpHouse house;
    const std::string token = house.add_token("abc", {"alerts:write"});
    for (int i = 0; i < 3; ++i) {
        REQUIRE(house.ask_tcp(token, "POST", "/api/v1/alerts/test").status == 200);
    }
    REQUIRE(house.engine.seen<TestAlert>().at(2).actor == "abc");
    REQUIRE(house.engine.seen<TouchToken>().size() == 1);
}

TEST_CASE("a document of several parts leaves out those whose scope the token lacks") {
    HttpHouse house;
    auto registry = std::make_shared<Registry>(*house.world().registry);
    registry->keys.push_back({});
    registry->keys.back().key = "h-77";
    house.world().registry = std::move(registry);
    house.show();
    const auto ask = [&](const std::string& id, const std::vector<std::string>& scopes,
                         const std::string& target, const std::string& headers = {}) {
        const Got got = house.ask_tcp(house.add_token(id, scopes), "GET", target, "", headers);
        REQUIRE(got.status == 200);
        return got.body;
    };
    const std::string shift = "/api/v1/reports/shift";
    const std::string keys = ask("k", {"keys:read"}, shift);
    CHECK(at(keys, "/keys_out") != "(absent)");
    for (const char* part : {"/tickets", "/alerts", "/alert_items"})
        CHECK(at(keys, part) == "(absent)");
    CHECK(ask("k-csv", {"keys:read"}, shift + ".csv").find("01JDALERT") == std::string::npos);
    CHECK(ask("k-html", {"keys:read"}, shift, "Accept: text/html\r\n").find("low_balance") ==
          std::string::npos);
    const std::string alerts = ask("ka", {"keys:read", "alerts:read"}, shift);
    CHECK(at(alerts, "/alert_items/0/id") == "01JDALERT");
    CHECK(at(alerts, "/tickets") == "(absent)");
    CHECK(at(ask("kt", {"keys:read", "tickets:read"}, shift), "/tickets") != "(absent)");
    CHECK(ask("ka-csv", {"admin"}, shift + ".csv").find("01JDALERT") != std::string::npos);
    CHECK(at(house.ask("GET", shift).body, "/alerts") == "1");

    const std::string search = "/api/v1/search?q=h-77";
    CHECK(count_items(ask("t", {"tickets:read"}, search)) == 0);
    CHECK(at(ask("tk", {"tickets:read", "keys:read"}, search), "/items/0/key") == "h-77");
}

TEST_CASE("no list of tokens shows a secret or its hash") {
    HttpHouse house;
    (void)house.add_token("abc", {"admin"});
    const Got got = house.ask("GET", "/api/v1/tokens");
    REQUIRE(at(got.body, "/items/0/id") == "abc");
    REQUIRE(got.body.find("hash") == std::string::npos);
    REQUIRE(got.body.find("secret") == std::string::npos);
}

TEST_CASE("base64 goes there and back, and takes nothing that an encoder does not write") {
    for (const std::string& bytes : {std::string(), std::string("f"), std::string("fo"),
                                     std::string("foo"), std::string("\0\xff\x80", 3)}) {
        REQUIRE(base64_decode(base64_encode(bytes)) == bytes);
    }
    REQUIRE(base64_encode("foobar") == "Zm9vYmFy");
    for (const std::string bad :
         {"Z", "Zg", "Zg=", "Zh==", "Z===", "====", "Zg==Zg==", "Zm 9", "Zm9=", "Zm-_"}) {
        INFO(bad);
        REQUIRE_FALSE(base64_decode(bad));
    }
}
