// What nobody should send, to every route that takes a body and to every list: each is refused with
// a problem and reaches nobody behind HTTP.
#include <map>
#include <string>

#include "daemon/core/text.hpp"
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
                                                                     {"{id}", "1"},
                                                                     {"{pool}", "x"},
                                                                     {"{entry}", "en-1"},
                                                                     {"{alert}", "x"},
                                                                     {"{event}", "1"},
                                                                     {"{month}", "2026-11"},
                                                                     {"{token}", "x"},
                                                                     {"{staff}", "s-01"},
                                                                     {"{person}", "p-1"},
                                                                     {"{cabinet}", "kc-1"},
                                                                     {"{key}", "k-1"},
                                                                     {"{ticket}", "WX202611-0001"},
                                                                     {"{action}", "dispatch"}}) {
        const std::size_t place = target.find(name);
        if (place != std::string::npos) target.replace(place, name.size(), id);
    }
    return target;
}

std::size_t asked_of_the_engine(HttpHouse& house) {
    return house.engine.seen<TopUp>().size() + house.engine.seen<ImportRegistry>().size() +
           house.engine.seen<RefundMoney>().size() + house.engine.seen<AdjustMoney>().size() +
           house.engine.seen<TransferMoney>().size() + house.engine.seen<ErasePerson>().size() +
           house.engine.seen<AddToken>().size() + house.engine.seen<ReadFace>().size() +
           house.engine.seen<SetPassword>().size() + house.engine.seen<AckAlert>().size() +
           house.engine.seen<TestAlert>().size() + house.engine.seen<BeginPeriod>().size() +
           house.engine.seen<ConfirmClock>().size() + house.engine.seen<HoldMeter>().size() +
           house.engine.seen<ReplaceMeter>().size() + house.engine.seen<AskAccess>().size();
}

}  // namespace

TEST_CASE("a body that is none, is too deep, is no UTF-8, or names what nobody knows") {
    HttpHouse house;
    const std::map<std::string, std::string> bodies{
        {"cut off", R"({"by":"s-01")"},
        {"no object", "[1,2,3]"},
        {"two", "{}{}"},
        {"too deep", R"({"by":)" + std::string(40, '[') + std::string(40, ']') + "}"},
        {"very deep", std::string(200'000, '{')},
        {"no UTF-8", "{\"by\":\"\xc3\x28\"}"},
        {"half a surrogate", R"({"by":"\ud800"})"},
        {"a number beyond every number", R"({"by":1e999999})"},
        {"a field that nobody knows", R"({"bye":"s-01"})"},
        {"a field twice", R"({"by":"s-01","by":"s-02"})"},
        {"a wrong type", R"({"by":{"a":[true,null]}})"},
        {"a long number", R"({"hours":)" + std::string(5'000, '9') + "}"},
        {"a control character", R"({"by":"s\u0007"})"},
        {"no character at all", R"({"by":"s\ufffe"})"},
    };
    for (const http::Route& route : http::routes()) {
        if (std::string(route.method) != "POST") continue;
        for (const auto& [what, body] : bodies) {
            const Got got =
                house.ask("POST", target_of(route), body, "Idempotency-Key: k-" + what + "\r\n");
            INFO(route.pattern << ", " << what << ": " << got.status << " " << got.body);
            CHECK(got.status >= 400);
            CHECK(got.status < 500);
            CHECK(got.header("Content-Type") == "application/problem+json");
            CHECK(at(got.body, "/type").rfind("urn:gatehouse:problem:", 0) == 0);
            CHECK_FALSE(at(got.body, "/detail").empty());
        }
    }
    CHECK(asked_of_the_engine(house) == 0);
    CHECK(house.ask("GET", "/healthz").status == 200);
}

TEST_CASE("cursors of the future end a list, and those that are no cursor are refused") {
    HttpHouse house;
    for (const std::string target :
         {"/api/v1/readings", "/api/v1/charges", "/api/v1/events", "/api/v1/accounts/a-0/ledger"}) {
        INFO(target);
        const Got ahead = house.ask("GET", target + "?after=9223372036854775807");
        REQUIRE(ahead.status == 200);
        CHECK(count_items(ahead.body) == 0);
        CHECK(at(ahead.body, "/has_more") == "false");
        for (const char* after : {"-1", "1.5", "9223372036854775808", "x", "0x10", "1%20", ""}) {
            INFO(after);
            CHECK(house.ask("GET", target + "?after=" + after).status == 400);
        }
        CHECK(house.ask("GET", target + "?after=1&after=2").status == 400);
        for (const char* limit : {"0", "1001", "-1", "many"})
            CHECK(house.ask("GET", target + "?limit=" + limit).status == 400);
    }
}

TEST_CASE("what is no UTF-8 once its escapes are decoded is refused before any handler sees it") {
    HttpHouse house;
    const auto refuses = [&](const std::string& method, const std::string& target,
                             const std::string& headers = {}) {
        const Got got = house.ask(method, target, method == "GET" ? "" : "{}", headers);
        INFO(method << " " << target << " " << headers << ": " << got.status << " " << got.body);
        CHECK(got.status == 400);
        CHECK(got.header("Content-Type") == "application/problem+json");
        CHECK(is_utf8(got.body));
        CHECK(is_utf8(got.head));
        CHECK_FALSE(at(got.body, "/detail").empty());
    };
    for (const http::Route& route : http::routes()) {
        const std::string target = target_of(route);
        for (const char* bytes : {"%ff", "%E4%B8", "%C0%AF", "%ED%A0%80", "%F4%90%80%80"}) {
            refuses(route.method, target + "?" + bytes + "=1");
            refuses(route.method, target + "?after=" + bytes);
            if (std::string_view(route.pattern).ends_with('}'))
                refuses(route.method, target.substr(0, target.rfind('/') + 1) + bytes);
        }
    }
    refuses("GET", "/api/v1/units/h-0?reveal=1&reason=%ff%fe");
    for (const std::string name : {"Idempotency-Key", "Last-Event-ID", "Content-Encoding",
                                   "If-Match", "Origin", "Authorization"})
        refuses("GET", "/api/v1/events/stream", name + ": a\xff\xfe\r\n");
    CHECK(house.engine.seen<NoteView>().empty());
    CHECK(asked_of_the_engine(house) == 0);
    // A name that is typed is UTF-8, and what no handler reads may be of any bytes.
    CHECK(house.ask("GET", "/api/v1/search?q=%E5%BC%A0", "", "User-Agent: caf\xe9\r\n").status ==
          200);
}

TEST_CASE("the place of an error is a JSON Pointer, and a header is none") {
    HttpHouse house;
    const auto pointer = [&](const std::string& target, const std::string& body) {
        return at(house.ask("POST", target, body).body, "/errors/0/pointer");
    };
    CHECK(pointer("/api/v1/registry", R"({"files":{"tariffs/a.toml":"!!!"}})") ==
          "/files/tariffs~1a.toml");
    CHECK(pointer("/api/v1/registry", R"({"files":{"../a~b":"YQ=="}})") == "/files/..~1a~0b");
    CHECK(pointer("/api/v1/registry", R"({"files":{"tariffs/a.toml":1}})") ==
          "/files/tariffs~1a.toml");
    CHECK(pointer("/api/v1/alerts/test", R"({"a/b":1})") == "/a~1b");
    for (const std::string& header : {std::string(), "Idempotency-Key: " + std::string(129, 'k')}) {
        const Got got = house.ask("POST", "/api/v1/accounts/a-0/topups", "{}",
                                  header.empty() ? "" : header + "\r\n");
        CHECK(got.status == 400);
        CHECK(at(got.body, "/errors") == "(absent)");
        CHECK(at(got.body, "/detail").find("Idempotency-Key") != std::string::npos);
    }
}
