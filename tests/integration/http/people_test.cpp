// People who log in: cookies, roles, the first account, two people, household files, and rates.
#include <boost/json/parse.hpp>
#include <fstream>
#include <future>
#include <sstream>

#include "daemon/http/roles.hpp"
#include "daemon/http/routes.hpp"
#include "tests/integration/http/http_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

std::string login_body(const std::string& staff, const std::string& password) {
    return R"({"staff":")" + staff + R"(","password":")" + password + R"("})";
}

constexpr const char* kRefund = R"({"amount":"5.00","reason":"moved out"})";

std::string target_of(const std::string& pattern) {
    std::string target = pattern;
    for (const auto& [name, id] : std::map<std::string, std::string>{{"{unit}", "h-0"},
                                                                     {"{meter}", "e-0"},
                                                                     {"{account}", "a-0"},
                                                                     {"{bus}", "b1"},
                                                                     {"{id}", "1"},
                                                                     {"{date}", "2026-11-23"},
                                                                     {"{entry}", "en-1"},
                                                                     {"{alert}", "x"},
                                                                     {"{event}", "1"},
                                                                     {"{person}", "p-1"},
                                                                     {"{token}", "x"},
                                                                     {"{month}", "2026-10"},
                                                                     {"{pool}", "stairs"},
                                                                     {"{key}", "k-1"},
                                                                     {"{cabinet}", "kc-01"},
                                                                     {"{ticket}", "WX-202611-0001"},
                                                                     {"{action}", "lost"},
                                                                     {"{staff}", "r-other"}}) {
        const std::size_t place = target.find(name);
        if (place != std::string::npos) target.replace(place, name.size(), id);
    }
    return target;
}

}  // namespace

TEST_CASE("a session is a cookie that no script reads and no other site sends") {
    HttpHouse house;
    house.give_password("r-desk");
    const Got got =
        house.ask_tcp("", "POST", "/api/v1/session", login_body("r-desk", HttpHouse::kPassword));
    REQUIRE(got.status == 201);
    const std::string cookie = got.header("Set-Cookie");
    CHECK(cookie.find("__Host-gatehouse=") == 0);
    CHECK(cookie.find("; Path=/; Secure; HttpOnly; SameSite=Strict") != std::string::npos);
    CHECK(at(got.body, "/staff") == "r-desk");
    const std::string mine = cookie.substr(0, cookie.find(';'));
    CHECK(house.ask_as(mine, "GET", "/api/v1/session").status == 200);
    CHECK(house.ask_as(mine, "GET", "/api/v1/accounts").status == 200);
    // Another page's form sends the cookie at most, never this header.
    const Got forged =
        house.ask_tcp("", "POST", "/api/v1/alerts/test", "{}", "Cookie: " + mine + "\r\n");
    CHECK(forged.status == 403);
    CHECK(at(forged.body, "/type") == "urn:gatehouse:problem:foreign");
    CHECK(house
              .ask_as(mine, "POST", "/api/v1/alerts/test", "{}",
                      "Origin: https://elsewhere.example\r\n")
              .status == 403);
    CHECK(house.ask_as(mine, "POST", "/api/v1/alerts/test", "{}", "Origin: http://gatehouse\r\n")
              .status == 200);
    CHECK(house.ask_as(mine, "DELETE", "/api/v1/session").status == 200);
    CHECK(house.ask_as(mine, "GET", "/api/v1/session").status == 401);
}

TEST_CASE("a wrong password, an unknown person and one without a password look the same") {
    HttpHouse house;
    house.give_password("r-desk");
    const auto answer = [&](const std::string& staff) {
        const Got got =
            house.ask_tcp("", "POST", "/api/v1/session", login_body(staff, "not the words"));
        return std::to_string(got.status) + got.body;
    };
    const std::string wrong = answer("r-desk");
    CHECK(wrong.find("401") == 0);
    CHECK(answer("nobody") == wrong);
    CHECK(answer("r-duty") == wrong);
}

TEST_CASE("failures cost a growing wait and never lock anybody out") {
    http::Attempts attempts;
    MonoMs now = 1'000'000;
    for (int i = 0; i < http::Attempts::kFree; ++i) CHECK(attempts.begin("a", now) == 0);
    CHECK(attempts.begin("a", now) == 0);  // from this one on it costs
    CHECK(attempts.begin("a", now) == 1'000);
    now += 1'000;
    CHECK(attempts.begin("a", now) == 0);
    CHECK(attempts.begin("a", now) == 2'000);
    CHECK(attempts.begin("b", now) == 0);
    for (int i = 0; i < 40; ++i) now += attempts.begin("a", now);
    CHECK(attempts.begin("a", now) <= http::Attempts::kWaitMaxMs);
    attempts.succeeded("a");
    CHECK(attempts.begin("a", now) == 0);

    HttpHouse house;
    house.give_password("r-desk");
    Got got;
    for (int i = 0; i < 6 && got.status != 429; ++i)
        got = house.ask_tcp("", "POST", "/api/v1/session", login_body("r-desk", "wrong words"));
    CHECK(got.status == 429);
    CHECK(std::stoi(got.header("Retry-After")) >= 1);
    CHECK(house.log_in("r-desk").empty());
}

TEST_CASE("sessions end idle, end anyway, and give way") {
    LockedRandom random;
    http::Sessions sessions(random);
    MonoMs now = 5'000'000;
    const std::string first = sessions.open("s-1", now);
    CHECK(sessions.use(first, now + http::kSessionIdleMs - 1) == "s-1");
    now += 2 * http::kSessionIdleMs - 2;
    CHECK(sessions.use(first, now) == "s-1");
    CHECK_FALSE(sessions.use(first, now + http::kSessionIdleMs));
    CHECK_FALSE(sessions.use(first, now));  // gone is gone
    const std::string long_one = sessions.open("s-1", now);
    const MonoMs opened = now;
    for (; now - opened < http::kSessionMs; now += http::kSessionIdleMs / 2)
        CHECK(sessions.use(long_one, now));
    CHECK_FALSE(sessions.use(long_one, now));
    std::vector<std::string> many;
    for (std::size_t i = 0; i <= http::kSessionsAPerson; ++i)
        many.push_back(sessions.open("s-2", now + static_cast<MonoMs>(i)));
    CHECK_FALSE(sessions.use(many.front(), now + 100));
    CHECK(sessions.use(many.back(), now + 100) == "s-2");
    sessions.close_all("s-2");
    CHECK_FALSE(sessions.use(many.back(), now + 100));
    CHECK_FALSE(sessions.use("", now));
}

TEST_CASE("the first account needs the code of the journal, and that once") {
    HttpHouse house;
    REQUIRE(house.said.size() == 1);
    const std::string line = house.said.front();
    const std::size_t begin = line.find("setup code ") + 11;
    const std::string code = line.substr(begin, line.find(' ', begin) - begin);
    CHECK(house.ask_tcp("", "GET", "/api/v1/setup").body == R"({"needed":true})");
    const auto body = [&](const std::string& told, const std::string& staff,
                          const std::string& password) {
        return R"({"code":")" + told + R"(","staff":")" + staff + R"(","password":")" + password +
               R"("})";
    };
    const auto ask = [&](const std::string& text) {
        return house.ask_tcp("", "POST", "/api/v1/setup", text);
    };
    CHECK(ask(body("aaaa-aaaa-aaaa", "r-admin", "three quiet words")).status == 403);
    CHECK(at(ask(body(code, "r-admin", "12345678")).body, "/errors/0/pointer") == "/password");
    CHECK(at(ask(body(code, "r-desk", "three quiet words")).body, "/errors/0/pointer") == "/staff");
    CHECK(ask(body(code, "r-admin", "three quiet words")).status == 200);
    REQUIRE(house.engine.seen<SetPassword>().size() == 1);
    const SetPassword kept = house.engine.seen<SetPassword>().front();
    CHECK(kept.staff == "r-admin");
    CHECK(kept.hash.find("$argon2id$") == 0);
    CHECK(kept.hash.find("quiet") == std::string::npos);
    CHECK(ask(body(code, "r-admin", "three quiet words")).status == 403);
}

TEST_CASE("passwords: long enough, not the first that is tried, no rule of letters") {
    const auto fault = [](const std::string& password) {
        return http::password_fault(password, "zhang.wei", "Riverside Garden");
    };
    CHECK(fault("three quiet words").empty());
    CHECK(fault("一二三四五六").empty());
    CHECK(fault("short12").find("8 characters") != std::string::npos);
    for (const char* common :
         {"12345678", "Password1", "aaaaaaaaaa", "ZHANG.WEI", "riverside garden", "woaini1314"})
        CHECK_FALSE(fault(common).empty());
    CHECK_FALSE(fault(std::string(129, 'x')).empty());
    CHECK(fault(std::string(100, 'x') + "y").empty());
}

TEST_CASE("one's own password needs the old one, another's the administrator") {
    HttpHouse house;
    for (const char* staff : {"r-desk", "r-admin"}) house.give_password(staff);
    const std::string desk = house.log_in("r-desk"), admin = house.log_in("r-admin");
    REQUIRE_FALSE(desk.empty());
    const std::string fresh = R"({"password":"four other quiet words"})";
    CHECK(house.ask_as(desk, "POST", "/api/v1/staff/r-duty/password", fresh).status == 403);
    CHECK(house.ask_as(desk, "POST", "/api/v1/staff/r-desk/password", fresh).status == 422);
    const auto own = [&](const std::string& current) {
        return house
            .ask_as(desk, "POST", "/api/v1/staff/r-desk/password",
                    R"({"password":"four other quiet words","current":")" + current + R"("})")
            .status;
    };
    CHECK(own("not the words") == 401);
    CHECK(own(HttpHouse::kPassword) == 200);
    // What was open under the old one is closed.
    CHECK(house.ask_as(desk, "GET", "/api/v1/session").status == 401);
    CHECK(house.ask_as(admin, "POST", "/api/v1/staff/r-duty/password", fresh).status == 200);
    CHECK(house.ask_as(admin, "DELETE", "/api/v1/staff/r-duty/password").status == 200);
    CHECK(house.engine.seen<SetPassword>().back().hash.empty());
    CHECK(house.engine.seen<SetPassword>().back().actor == "staff:r-admin");
    // The local administrator and nobody in between.
    CHECK(house.ask("POST", "/api/v1/staff/r-duty/password", fresh).status == 200);
}

TEST_CASE("who is logged in acts in his own name") {
    HttpHouse house;
    house.give_password("r-collector");
    const std::string mine = house.log_in("r-collector");
    const std::string key = "Idempotency-Key: k-1\r\n";
    const std::string as_other = R"({"amount":"5.00","by":"r-cashier"})";
    CHECK(at(house.ask_as(mine, "POST", "/api/v1/accounts/a-0/topups", as_other, key).body,
             "/errors/0/pointer") == "/by");
    CHECK(house.ask_as(mine, "POST", "/api/v1/accounts/a-0/topups", R"({"amount":"5.00"})", key)
              .status == 200);
    REQUIRE(house.engine.seen<TopUp>().size() == 1);
    CHECK(house.engine.seen<TopUp>().front().by == "r-collector");
    CHECK(house.engine.seen<TopUp>().front().actor == "staff:r-collector");
}

TEST_CASE("an act of two needs a code of the second, who saw it in a session of his own") {
    HttpHouse house;
    for (const char* staff : {"r-cashier", "r-head", "r-duty"}) house.give_password(staff);
    const std::string cashier = house.log_in("r-cashier"), head = house.log_in("r-head");
    const std::string key = "Idempotency-Key: k-1\r\n";
    const auto refund = [&](const std::string& more) {
        std::string body = kRefund;
        body.insert(body.size() - 1, more);
        return house.ask_as(cashier, "POST", "/api/v1/accounts/a-0/refunds", body, key);
    };
    CHECK(at(refund(R"(,"second":"r-head")").body, "/errors/0/pointer") == "/approval");
    CHECK(at(refund(R"(,"approval":"00000000")").body, "/errors/0/pointer") == "/approval");
    const Got code = house.ask_as(head, "POST", "/api/v1/session/approvals", "{}");
    REQUIRE(code.status == 201);
    const std::string agreed = R"(,"approval":")" + at(code.body, "/code") + R"(")";
    CHECK(at(refund(agreed + R"(,"second":"r-desk")").body, "/errors/0/pointer") == "/second");
    const Got again = house.ask_as(head, "POST", "/api/v1/session/approvals", "{}");
    const std::string holds = R"(,"approval":")" + at(again.body, "/code") + R"(")";
    CHECK(refund(holds).status == 200);
    // Asked again under the same key it is the same request; for another act the code is used up.
    CHECK(refund(holds).status == 200);
    REQUIRE(house.engine.seen<RefundMoney>().size() == 2);
    CHECK(house.engine.seen<RefundMoney>()[1].act.actor == "staff:r-cashier+r-head");
    std::string other = kRefund;
    other.insert(other.size() - 1, holds);
    CHECK(at(house
                 .ask_as(cashier, "POST", "/api/v1/accounts/a-0/refunds", other,
                         "Idempotency-Key: k-2\r\n")
                 .body,
             "/errors/0/pointer") == "/approval");
    const RefundMoney seen = house.engine.seen<RefundMoney>().front();
    CHECK(seen.act.by == "r-cashier");
    CHECK(seen.act.second == "r-head");
    CHECK(seen.act.actor == "staff:r-cashier+r-head");
    CHECK(house.ask_as(house.log_in("r-duty"), "POST", "/api/v1/session/approvals", "{}").status ==
          403);
}

TEST_CASE("an act of two that has no key is asked again with the same code and the same words") {
    HttpHouse house;
    for (const char* staff : {"r-cashier", "r-head"}) house.give_password(staff);
    const std::string cashier = house.log_in("r-cashier"), head = house.log_in("r-head");
    const Got code = house.ask_as(cashier, "POST", "/api/v1/session/approvals", "{}");
    REQUIRE(code.status == 201);
    const auto erase = [&](const std::string& person, const std::string& reason) {
        return house.ask_as(
            head, "POST", "/api/v1/people/" + person + "/erase",
            R"({"reason":")" + reason + R"(","approval":")" + at(code.body, "/code") + R"("})");
    };
    CHECK(erase("p-1", "asked in writing").status == 200);
    CHECK(erase("p-1", "asked in writing").status == 200);
    CHECK(at(erase("p-1", "another reason").body, "/errors/0/pointer") == "/approval");
    CHECK(at(erase("p-2", "asked in writing").body, "/errors/0/pointer") == "/approval");
    REQUIRE(house.engine.seen<ErasePerson>().size() == 2);
    CHECK(house.engine.seen<ErasePerson>()[1].act.actor == "staff:r-head+r-cashier");
    CHECK(house.engine.seen<ErasePerson>()[1].person == "p-1");
}

TEST_CASE("a household's file is customer service's; others ask, and every look is noted") {
    HttpHouse house;
    for (const char* staff : {"r-desk", "r-duty", "r-admin", "r-head"}) house.give_password(staff);
    const std::string desk = house.log_in("r-desk"), duty = house.log_in("r-duty");
    const Got file = house.ask_as(desk, "GET", "/api/v1/units/h-0");
    REQUIRE(file.status == 200);
    CHECK(at(file.body, "/holders/0/name") == "张**");
    CHECK(at(file.body, "/holders/0/phone") == "138****5678");
    CHECK(house.ask_as(desk, "GET", "/api/v1/units/h-0?reveal=1").status == 400);
    const Got shown = house.ask_as(desk, "GET", "/api/v1/units/h-0?reveal=1&reason=complaint");
    CHECK(at(shown.body, "/holders/0/name") == "张三");
    const auto noted = house.engine.seen<NoteView>();
    REQUIRE(noted.size() == 2);
    CHECK(noted[0].actor == "staff:r-desk");
    CHECK(noted[1].revealed == "names and phones");
    CHECK(noted[1].reason == "complaint");

    for (const std::string& other : {duty, house.log_in("r-admin")}) {
        const Got closed = house.ask_as(other, "GET", "/api/v1/units/h-0");
        CHECK(closed.status == 403);
        CHECK(at(closed.body, "/type") == "urn:gatehouse:problem:file-access");
    }
    CHECK(house.engine.seen<NoteView>().size() == 2);
    CHECK(house.ask_as(duty, "POST", "/api/v1/units/h-0/access", R"({"reason":"water damage"})")
              .status == 200);
    CHECK(house.engine.seen<AskAccess>().front().staff == "r-duty");
    CHECK(house.ask_as(duty, "POST", "/api/v1/access/1/grant", "{}").status == 403);
    CHECK(house.ask_as(house.log_in("r-head"), "POST", "/api/v1/access/1/grant", "{}").status ==
          200);
    CHECK(house.engine.seen<AnswerAccess>().front().by == "r-head");

    AccessRow row;
    row.staff = "r-duty";
    row.unit = "h-0";
    row.reason = "water damage";
    row.hours = 24;
    row.asked_at = kMorning;
    row.state = AccessRow::State::granted;
    row.answered_by = "r-head";
    row.expires_at = kMorning + 1;
    house.store->begin();
    row.id = house.store->put_access(row);
    house.store->commit();
    CHECK(house.ask_as(duty, "GET", "/api/v1/units/h-0").status == 200);
    CHECK(house.ask_as(duty, "GET", "/api/v1/units/h-1").status == 403);
    row.expires_at = kMorning;
    house.store->begin();
    house.store->put_access(row);
    house.store->commit();
    CHECK(house.ask_as(duty, "GET", "/api/v1/units/h-0").status == 403);
}

TEST_CASE("the administrator's export of the registry leaves the people out") {
    HttpHouse house;
    for (const char* staff : {"r-admin"}) house.give_password(staff);
    const Got got = house.ask_as(house.log_in("r-admin"), "GET", "/api/v1/registry");
    REQUIRE(got.status == 200);
    CHECK(at(got.body, "/files/staff.csv") != "(absent)");
    CHECK(at(got.body, "/files/people.csv") == "(absent)");
    CHECK(at(house.ask("GET", "/api/v1/registry").body, "/files/people.csv") != "(absent)");
}

TEST_CASE("who left is not let in, and is let out") {
    HttpHouse house;
    house.give_password("r-desk");
    const std::string mine = house.log_in("r-desk");
    Registry people = *house.world().registry;
    for (Staff& staff : people.staff)
        if (staff.staff == "r-desk") staff.active_to = LocalDate{2026, 11, 22};
    house.world().registry = std::make_shared<const Registry>(people);
    house.show();
    CHECK(house.ask_as(mine, "GET", "/api/v1/session").status == 401);
    CHECK(house.log_in("r-desk").empty());
}

TEST_CASE("what is open does not keep a session awake") {
    LockedRandom random;
    http::Sessions sessions(random);
    const std::string secret = sessions.open("s-1", 0);
    CHECK(sessions.use(secret, http::kSessionIdleMs - 1, false));
    CHECK_FALSE(sessions.use(secret, http::kSessionIdleMs, false));
}

TEST_CASE("an address has few attempts to log in, whomever they name") {
    HouseOptions options;
    options.limits.logins_a_second = 0.001;
    options.limits.logins_burst = 4;
    HttpHouse house(options);
    house.give_password("r-desk");
    for (int i = 0; i < 4; ++i)
        CHECK(house
                  .ask_tcp("", "POST", "/api/v1/session",
                           login_body("nobody-" + std::to_string(i), "some other words"))
                  .status == 401);
    const Got got =
        house.ask_tcp("", "POST", "/api/v1/session", login_body("r-desk", HttpHouse::kPassword));
    CHECK(got.status == 429);
    CHECK(std::stoi(got.header("Retry-After")) >= 1);
}

TEST_CASE("too many requests are told to wait, each by who asks, and the socket never") {
    HouseOptions options;
    options.limits.rate_a_second = 1;
    options.limits.rate_burst = 5;
    HttpHouse house(options);
    const std::string busy = house.add_token("busy", {"meters:read"});
    const std::string calm = house.add_token("calm", {"meters:read"});
    Got got;
    for (int i = 0; i < 20 && got.status != 429; ++i)
        got = house.ask_tcp(busy, "GET", "/api/v1/meters");
    CHECK(got.status == 429);
    CHECK(at(got.body, "/type") == "urn:gatehouse:problem:rate");
    CHECK(std::stoi(got.header("Retry-After")) >= 1);
    CHECK(house.ask_tcp(calm, "GET", "/api/v1/meters").status == 200);
    for (int i = 0; i < 20; ++i) CHECK(house.ask("GET", "/api/v1/meters").status == 200);
}

// Each cell of the matrix as a person reads it stands in roles.txt; a route that is new or a role
// that may more shows there first.
TEST_CASE("every role against every route") {
    HttpHouse house;
    const std::vector<std::string> roles{"desk", "duty", "collector", "cashier",   "billing",
                                         "tech", "head", "admin",     "contractor"};
    std::map<std::string, std::string> cookies;
    for (const std::string& role : roles) {
        house.give_password("r-" + role);
        cookies[role] = house.log_in("r-" + role);
        REQUIRE_FALSE(cookies[role].empty());
    }
    std::string seen;
    for (const http::Route& route : http::routes()) {
        if (route.scope[0] == '\0') continue;
        std::string row = std::string(route.method) + " " + route.pattern;
        for (const std::string& role : roles) {
            // Logging out would end what the other rows need.
            if (row == "DELETE /api/v1/session") continue;
            // A stream never ends by itself; its head says the same.
            const bool stream = row.find("/stream") != std::string::npos;
            const Got got = house.ask_as(cookies[role], stream ? "HEAD" : route.method,
                                         target_of(route.pattern), "", "Idempotency-Key: k\r\n");
            INFO(row << " as " << role << ": " << got.body);
            REQUIRE(got.status != 401);
            const bool allowed = got.status != 403;
            if (allowed) row += " " + role;
        }
        seen += row + "\n";
    }
    std::ifstream file(GATEHOUSE_ROLES);
    std::ostringstream expected;
    expected << file.rdbuf();
    if (expected.str() != seen) std::ofstream("roles.seen.txt") << seen;
    CHECK(expected.str() == seen);
}
