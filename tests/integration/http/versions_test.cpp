// ETags of what is answered, If-Match on what changes it, and addresses that a token holds from.
#include <iterator>
#include <set>
#include <string>

#include "daemon/engine/act_routes.hpp"
#include "daemon/http/addresses.hpp"
#include "daemon/http/app.hpp"
#include "daemon/http/precondition.hpp"
#include "daemon/http/routes.hpp"
#include "tests/integration/http/http_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

std::string match(const std::string& tag) {
    return "If-Match: " + tag + "\r\n";
}

// A token that holds from those addresses alone.
std::string bound_token(HttpHouse& house, const std::string& id,
                        const std::vector<std::string>& addresses) {
    TokenRow token;
    token.id = id;
    token.name = id;
    token.scopes = {"meters:read"};
    token.secret_hash = http::sha256_hex("secret");
    token.addresses = addresses;
    house.store->begin();
    house.store->put_token(token);
    house.store->commit();
    house.happen(1);
    return "gh_" + id + "_secret";
}

}  // namespace

TEST_CASE("every JSON answer of a GET has an ETag, and who has it already is not sent it again") {
    HttpHouse house;
    for (const std::string target :
         {"/api/v1/meters", "/api/v1/accounts/a-0", "/api/v1/registry", "/api/v1/openapi.json"}) {
        INFO(target);
        const Got first = house.ask("GET", target);
        const std::string tag = first.header("ETag");
        REQUIRE(tag.size() == 66);
        const Got again = house.ask("GET", target, "", "If-None-Match: \"x\", W/" + tag + "\r\n");
        CHECK(again.status == 304);
        CHECK(again.body.empty());
        CHECK(again.header("ETag") == tag);
        CHECK(house.ask("GET", target, "", "If-None-Match: \"x\"\r\n").status == 200);
        CHECK(house.ask("HEAD", target, "", "If-None-Match: *\r\n").status == 304);
    }
    CHECK(house.ask("GET", "/healthz").header("ETag").empty());
    CHECK(house.ask("GET", "/metrics").header("ETag").empty());
}

TEST_CASE("If-Match: what is no longer what was looked at is not changed") {
    HttpHouse house;
    const std::string account = house.ask("GET", "/api/v1/accounts/a-0").header("ETag");
    const std::string body = R"({"amount":"100.00","by":"s-01"})";
    const auto pay = [&](const std::string& key, const std::string& tag) {
        return house.ask("POST", "/api/v1/accounts/a-0/topups", body,
                         "Idempotency-Key: " + key + "\r\n" + match(tag));
    };
    CHECK(pay("k-1", account).status == 200);
    CHECK(pay("k-2", "\"other\", " + account).status == 200);
    CHECK(pay("k-3", "*").status == 200);
    const Got stale = pay("k-4", "\"other\"");
    CHECK(stale.status == 412);
    CHECK(at(stale.body, "/type") == "urn:gatehouse:problem:stale");
    CHECK(stale.header("ETag") == account);
    CHECK(pay("k-5", "W/" + account).status == 412);  // weak tags prove nothing
    CHECK(house.engine.seen<TopUp>().size() == 3);

    AccountView changed = house.world().accounts[0];
    changed.balance = Fen{1};
    house.world().accounts.set(0, changed);
    house.show();
    CHECK(pay("k-6", account).status == 412);
    CHECK(house
              .ask("POST", "/api/v1/accounts/none/topups", body,
                   "Idempotency-Key: k-7\r\n" + match("*"))
              .status == 412);
    CHECK(house.engine.seen<TopUp>().size() == 3);
}

TEST_CASE("a key that was used is answered by the engine, whatever If-Match says by now") {
    HttpHouse house;
    house.store->begin();
    CHECK(house.store->add_idempotency({"k-done", "topup", "h", 1, "{}"}, stamp_of(*house.store)));
    CHECK(house.store->add_idempotency({"refund k-back", "refund", "h", 1, "{}"},
                                       stamp_of(*house.store)));
    house.store->commit();
    const std::string two = R"({"amount":"1.00","reason":"x","by":"s-01","second":"s-02"})";
    const auto ask = [&](const std::string& act, const std::string& key) {
        return house
            .ask("POST", "/api/v1/accounts/a-0/" + act,
                 act == "topups" ? R"({"amount":"100.00","by":"s-01"})" : two,
                 "Idempotency-Key: " + key + "\r\n" + match("\"old\""))
            .status;
    };
    CHECK(ask("topups", "k-done") == 200);
    CHECK(ask("refunds", "k-back") == 200);
    CHECK(ask("refunds", "k-done") == 200);  // that it is another act is the engine's to say
    CHECK(ask("topups", "k-new") == 412);
    CHECK(ask("refunds", "k-new") == 412);
    CHECK(ask("topups", std::string(129, 'k')) == 400);
    CHECK(house.engine.seen<TopUp>().size() == 1);
    CHECK(house.engine.seen<RefundMoney>().size() == 2);
    // What is not done once for its key has no answer to give again.
    CHECK(house
              .ask("POST", "/api/v1/meters/e-0/unhold", "{}",
                   "Idempotency-Key: k-done\r\n" + match("\"old\""))
              .status == 412);

    house.engine.hold();
    Wire first(house.socket_path);
    first.send(request_text("POST", "/api/v1/accounts/a-0/topups",
                            R"({"amount":"100.00","by":"s-01"})", "Idempotency-Key: k-slow\r\n"));
    house.engine.wait_for_held(1);
    CHECK(ask("topups", "k-slow") == 409);
    house.engine.release();
    CHECK(first.receive().status == 200);
}

TEST_CASE("every act that takes a key in the books is marked in the table of routes") {
    std::set<std::string> words;
    for (const http::Route& route : http::routes())
        if (route.keyed != nullptr) words.insert(route.keyed);
    CHECK(words == std::set<std::string>(std::begin(act_route::kAll), std::end(act_route::kAll)));
}

TEST_CASE("If-Match where nothing can be compared is refused and not ignored") {
    HttpHouse house;
    CHECK(house.ask("POST", "/api/v1/alerts/test", "{}", match("\"x\"")).status == 412);
    CHECK(house.ask("POST", "/api/v1/verify", "{}", match("*")).status == 412);
    CHECK(house.engine.seen<TestAlert>().empty());
}

TEST_CASE("an import names the registry that was looked at, and the engine compares it again") {
    HttpHouse house;
    const Got seen = house.ask("GET", "/api/v1/registry");
    REQUIRE(seen.status == 200);
    CHECK(at(seen.body, "/exported/by") == "local");
    const std::string tag = seen.header("ETag");
    const std::string body = R"({"files":{"units.csv":"dW5pdAo="}})";
    CHECK(house.ask("POST", "/api/v1/registry?dry_run=1", body, match(tag)).status == 200);
    CHECK(house.ask("POST", "/api/v1/registry", body, match("\"old\"")).status == 412);
    CHECK(house.ask("POST", "/api/v1/registry", body).status == 200);
    const auto imports = house.engine.seen<ImportRegistry>();
    REQUIRE(imports.size() == 2);
    CHECK(imports[0].seen == house.engine.snapshot()->registry);
    CHECK(imports[1].seen == nullptr);
    // Comparing is no export; only the two looks before the first import are.
    CHECK(house.engine.seen<NoteView>().size() == 1);

    house.engine.script = [](const Command&) {
        return Reply{ReplyKind::stale, "", "stale", "it has changed", {}};
    };
    CHECK(house.ask("POST", "/api/v1/registry", body, match("*")).status == 412);
}

TEST_CASE("entity tags are compared as RFC 9110 says") {
    CHECK(http::names_tag("\"a\"", "\"a\"", false));
    CHECK(http::names_tag(" \"b\" ,\t\"a\"", "\"a\"", false));
    CHECK(http::names_tag("*", "\"a\"", false));
    CHECK_FALSE(http::names_tag("W/\"a\"", "\"a\"", false));
    CHECK(http::names_tag("W/\"a\"", "\"a\"", true));
    CHECK_FALSE(http::names_tag("", "\"a\"", true));
    CHECK_FALSE(http::names_tag("\"ab\"", "\"a\"", true));
    CHECK_FALSE(http::names_tag("a", "\"a\"", true));
}

TEST_CASE("a token holds from its addresses alone") {
    HttpHouse house;
    const std::string here = bound_token(house, "here", {"192.0.2.0/24", "127.0.0.0/8"});
    const std::string away = bound_token(house, "away", {"192.0.2.0/24"});
    CHECK(house.ask_tcp(here, "GET", "/api/v1/meters").status == 200);
    const Got refused = house.ask_tcp(away, "GET", "/api/v1/meters");
    CHECK(refused.status == 403);
    CHECK(at(refused.body, "/type") == "urn:gatehouse:problem:address");
    CHECK(refused.body.find("127.0.0.1") != std::string::npos);
    // What is not in force leaves no trace of use.
    for (const TouchToken& used : house.engine.seen<TouchToken>()) CHECK(used.id == "here");
    CHECK(at(house.ask("GET", "/api/v1/tokens").body, "/items/0/addresses/0") == "192.0.2.0/24");
}

TEST_CASE("addresses of a new token are judged, and stand in the command") {
    HttpHouse house;
    const auto add = [&](const std::string& addresses) {
        return house.ask(
            "POST", "/api/v1/tokens",
            R"({"name":"office","scopes":["readings:read"],"addresses":)" + addresses + "}");
    };
    CHECK(add(R"(["192.0.2.7","2001:db8::/32"])").status == 200);
    REQUIRE(house.engine.seen<AddToken>().size() == 1);
    CHECK(house.engine.seen<AddToken>()[0].addresses ==
          std::vector<std::string>{"192.0.2.7", "2001:db8::/32"});
    for (const char* wrong :
         {R"(["office"])", R"(["192.0.2.0/33"])", R"(["192.0.2.7/"])", R"(["192.0.2.0/-1"])",
          R"(["2001:db8::/129"])", R"("192.0.2.7")", "[]"}) {
        INFO(wrong);
        CHECK(add(wrong).status == 422);
    }
}

TEST_CASE("networks are compared bit by bit") {
    CHECK(http::is_within("192.0.2.255", {"192.0.2.0/24"}));
    CHECK_FALSE(http::is_within("192.0.3.0", {"192.0.2.0/24"}));
    CHECK(http::is_within("192.0.2.129", {"192.0.2.128/25"}));
    CHECK_FALSE(http::is_within("192.0.2.127", {"192.0.2.128/25"}));
    CHECK(http::is_within("203.0.113.9", {"0.0.0.0/0"}));
    CHECK(http::is_within("::ffff:192.0.2.7", {"192.0.2.7"}));
    CHECK(http::is_within("2001:db8:1::1", {"2001:db8::/32"}));
    CHECK_FALSE(http::is_within("2001:db9::1", {"2001:db8::/32"}));
    CHECK_FALSE(http::is_within("192.0.2.7", {"2001:db8::/32"}));
    CHECK_FALSE(http::is_within("unknown", {"0.0.0.0/0"}));
}
