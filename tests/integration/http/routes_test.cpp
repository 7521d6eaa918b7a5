// Every route: what it answers and what it refuses, over the socket.
#include <boost/json/parse.hpp>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>

#include "daemon/engine/registry_files.hpp"
#include "daemon/http/openapi.hpp"
#include "daemon/http/routes.hpp"
#include "tests/integration/http/http_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

TEST_CASE("the OpenAPI document and the table of routes name the same operations and scopes") {
    std::map<std::string, std::string> table;
    for (const http::Route& route : http::routes()) {
        table[std::string(route.method) + " " + route.pattern] = route.scope;
        REQUIRE((route.handler == nullptr) != (route.long_handler == nullptr));
    }
    std::map<std::string, std::string> told;
    const auto document = boost::json::parse(std::string(http::openapi_document()));
    for (const auto& path : document.at("paths").as_object()) {
        for (const auto& operation : path.value().as_object()) {
            std::string method = operation.key();
            for (char& c : method) c = static_cast<char>(std::toupper(c));
            const auto& security = operation.value().at("security").as_array();
            std::string scope;
            if (!security.empty()) {
                scope = security.at(0).at("bearer").as_array().at(0).as_string().c_str();
            }
            told[method + " " + std::string(path.key())] = scope;
        }
    }
    REQUIRE(told == table);
}

TEST_CASE("every route that only reads answers over the socket without a token") {
    HttpHouse house;
    house.commissioning.began = true;
    house.commissioning.view.bus = "b1";
    for (const http::Route& route : http::routes()) {
        if (std::string(route.method) != "GET") continue;
        std::string target = route.pattern;
        for (const auto& [name, id] :
             std::map<std::string, std::string>{{"{unit}", "h-0"},
                                                {"{meter}", "e-0"},
                                                {"{account}", "a-0"},
                                                {"{bus}", "b1"},
                                                {"{month}", "2026-10"},
                                                {"{pool}", "stairs"},
                                                {"{key}", "k-1"},
                                                {"{cabinet}", "kc-01"},
                                                {"{ticket}", "WX-202611-0001"},
                                                {"{action}", "lost"},
                                                {"{date}", "2026-11-23"},
                                                {"{entry}", "en-1"}}) {
            const std::size_t place = target.find(name);
            if (place != std::string::npos) target.replace(place, name.size(), id);
        }
        if (target.ends_with("-book")) target += "?account=a-0";
        if (target.ends_with("/timeline")) target += "?key=k-1";
        if (target.ends_with("/search")) target += "?q=h-0";
        if (target.ends_with("/stream")) continue;  // never ends; event_stream_test.cpp
        if (target.ends_with("{event}")) continue;  // nothing was re-mapped; e2e/openapi.py does
        const Got got = house.ask("GET", target);
        INFO(target << " " << got.body);
        REQUIRE(got.status == 200);
        REQUIRE(got.header("X-Content-Type-Options") == "nosniff");
        const Got head = house.ask("HEAD", target);
        REQUIRE(head.status == 200);
        REQUIRE(head.body.empty());
    }
}

TEST_CASE("a wrong method is 405 with Allow, an unknown path 404, both as problems") {
    HttpHouse house;
    const Got method = house.ask("DELETE", "/api/v1/meters");
    REQUIRE(method.status == 405);
    REQUIRE(method.header("Allow") == "GET, HEAD");
    REQUIRE(method.header("Content-Type") == "application/problem+json");
    REQUIRE(house.ask("BREW", "/api/v1/meters").status == 405);
    const Got path = house.ask("GET", "/api/v1/nothing");
    REQUIRE(path.status == 404);
    REQUIRE(at(path.body, "/type") == "urn:gatehouse:problem:no-route");
    REQUIRE(at(path.body, "/status") == "404");
    const Got both = house.ask("PUT", "/api/v1/registry");
    REQUIRE(both.header("Allow") == "GET, HEAD, POST");
}

TEST_CASE("meters and accounts carry their MQTT payload and what the route adds") {
    HttpHouse house;
    const Got meter = house.ask("GET", "/api/v1/meters/e-0");
    REQUIRE(at(meter.body, "/total") == "104.000");
    REQUIRE(at(meter.body, "/power") == "1234.5");
    REQUIRE(at(meter.body, "/unit_of_measure") == "kWh");
    REQUIRE(at(meter.body, "/availability") == "online");
    REQUIRE(at(meter.body, "/read_at") == "2026-11-23T08:00:00+08:00");
    const Got dead = house.ask("GET", "/api/v1/meters/e-1");
    REQUIRE(at(dead.body, "/availability") == "offline");
    REQUIRE(at(dead.body, "/reason") == "no answer");
    REQUIRE(at(dead.body, "/total") == "null");
    const Got account = house.ask("GET", "/api/v1/accounts/a-0");
    REQUIRE(at(account.body, "/ledger") == "100.00");
    REQUIRE(at(account.body, "/balance") == "98.05");
    REQUIRE(at(account.body, "/days_left") == "null");
    REQUIRE(at(account.body, "/tariff/0") == "flat");
    REQUIRE(at(account.body, "/thresholds/low_days") == "0");
    REQUIRE(house.ask("GET", "/api/v1/meters/none").status == 404);
    REQUIRE(house.ask("GET", "/api/v1/accounts/none").status == 404);
    REQUIRE(house.ask("GET", "/api/v1/units/none").status == 404);
    const Got low = house.ask("GET", "/api/v1/accounts?low=1");
    REQUIRE(count_items(low.body) == 2);
    REQUIRE(house.ask("GET", "/api/v1/accounts?low=maybe").status == 400);
}

TEST_CASE("lists go page by page to the end and refuse wrong cursors, limits and parameters") {
    HttpHouse house;
    for (const std::string path : {"/api/v1/meters", "/api/v1/accounts", "/api/v1/units"}) {
        std::string after;
        std::size_t seen = 0;
        for (int page = 0; page < 5; ++page) {
            const Got got = house.ask("GET", path + "?limit=1" + after);
            seen += count_items(got.body);
            after = "&after=" + at(got.body, "/next");
            if (at(got.body, "/has_more") == "false") break;
        }
        REQUIRE(seen == 3);
        REQUIRE(house.ask("GET", path + "?after=none").status == 400);
    }
    for (const std::string query :
         {"limit=0", "limit=1001", "limit=ten", "limit=1&limit=2", "limt=1", "limit=-1"}) {
        INFO(query);
        const Got got = house.ask("GET", "/api/v1/readings?" + query);
        REQUIRE(got.status == 400);
        REQUIRE(at(got.body, "/type") == "urn:gatehouse:problem:query");
    }
}

TEST_CASE("the billing office reads every reading once in one loop") {
    HttpHouse house;
    std::set<std::string> seen;
    std::string after = "0";
    for (bool more = true; more;) {
        const Got got = house.ask("GET", "/api/v1/readings?limit=2&after=" + after);
        REQUIRE(got.status == 200);
        REQUIRE(at(got.body, "/first") == std::to_string(house.readings.front()));
        for (std::size_t i = 0; i < count_items(got.body); ++i) {
            REQUIRE(seen.insert(at(got.body, "/items/" + std::to_string(i) + "/seq")).second);
        }
        after = at(got.body, "/next");
        more = at(got.body, "/has_more") == "true";
    }
    REQUIRE(seen.size() == house.readings.size());
    const Got none = house.ask("GET", "/api/v1/readings?after=" + after);
    REQUIRE(count_items(none.body) == 0);
    REQUIRE(at(none.body, "/next") == after);
    const Got item = house.ask("GET", "/api/v1/readings?limit=1");
    REQUIRE(at(item.body, "/items/0/register") == "100.000");
    REQUIRE(at(item.body, "/items/0/raw") == "0001 e240");
    REQUIRE(at(item.body, "/items/0/kind") == "interval");
    REQUIRE(at(item.body, "/items/0/at") == "2026-11-23T08:00:01+08:00");
    REQUIRE(count_items(house.ask("GET", "/api/v1/readings?kind=month").body) == 0);
    REQUIRE(count_items(house.ask("GET", "/api/v1/readings?period=2026-11").body) == 5);
    REQUIRE(count_items(house.ask("GET", "/api/v1/readings?period=2026-10").body) == 0);
    REQUIRE(house.ask("GET", "/api/v1/readings?kind=weekly").status == 400);
    REQUIRE(house.ask("GET", "/api/v1/readings?period=2026-13").status == 400);
}

TEST_CASE("a meter's history: raw within the time asked for, and wrong questions refused") {
    HttpHouse house;
    const std::string path = "/api/v1/meters/e-0/readings";
    const Got raw = house.ask("GET", path + "?from=2026-11-23&to=2026-11-24");
    REQUIRE(raw.status == 200);
    REQUIRE(count_items(raw.body) == 5);
    REQUIRE(house.ask("GET", path + "?step=hour&from=2026-11-23&to=2026-11-24").status == 200);
    REQUIRE(house.ask("GET", path + "?step=day").status == 200);
    REQUIRE(house.ask("GET", path + "?step=month").status == 200);
    REQUIRE(house.ask("GET", path + "?step=week").status == 400);
    REQUIRE(house.ask("GET", path + "?from=yesterday").status == 400);
    REQUIRE(house.ask("GET", path + "?from=2026-11-24&to=2026-11-23").status == 400);
    REQUIRE(house.ask("GET", path + "?step=hour&from=2000-01-01").status == 400);
    REQUIRE(house.ask("GET", path + "?step=day&from=1980-01-01").status == 400);
}

TEST_CASE("days and months tell the consumption between their ends") {
    HttpHouse house;
    house.store->begin();
    for (int day = 0; day < 40; ++day) {
        house.store->put_day({"e-0", days_since_epoch({2026, 9, 25}) + day, house.readings.front(),
                              Milli{100'000 + day * 2'000}, ReadingQuality::good});
    }
    house.store->commit();
    const std::string path = "/api/v1/meters/e-0/readings";
    const Got days = house.ask("GET", path + "?step=day&from=2026-10-01&to=2026-10-04");
    INFO(days.body);
    REQUIRE(count_items(days.body) == 3);
    REQUIRE(at(days.body, "/items/0/day") == "2026-10-01");
    REQUIRE(at(days.body, "/items/0/consumption") == "2.000");
    const Got next = house.ask("GET", path + "?step=day&from=2026-10-01&to=2026-10-04&limit=2");
    REQUIRE(at(next.body, "/has_more") == "true");
    const Got rest = house.ask(
        "GET", path + "?step=day&from=2026-10-01&to=2026-10-04&after=" + at(next.body, "/next"));
    REQUIRE(at(rest.body, "/items/0/day") == "2026-10-03");
    const Got months = house.ask("GET", path + "?step=month&from=2026-10-01&to=2026-11-01");
    REQUIRE(count_items(months.body) == 1);
    REQUIRE(at(months.body, "/items/0/consumption") == "62.000");
}

TEST_CASE("ledger and why show the same money, and why is of one moment") {
    HttpHouse house;
    const Got ledger = house.ask("GET", "/api/v1/accounts/a-0/ledger");
    REQUIRE(at(ledger.body, "/items/0/kind") == "topup");
    REQUIRE(at(ledger.body, "/items/0/amount") == "100.00");
    REQUIRE(at(ledger.body, "/items/0/balance_after") == "100.00");
    REQUIRE(at(ledger.body, "/items/0/receipt") == "R-1");
    const Got charges = house.ask("GET", "/api/v1/charges?limit=10");
    REQUIRE(charges.status == 200);  // a top-up is none
    REQUIRE(count_items(charges.body) == 0);
    REQUIRE(at(charges.body, "/has_more") == "false");
    const Got why = house.ask("GET", "/api/v1/accounts/a-0/why?month=2026-11");
    REQUIRE(at(why.body, "/ledger") == "100.00");
    REQUIRE(at(why.body, "/unposted") == "1.95");
    REQUIRE(at(why.body, "/balance") == "98.05");
    REQUIRE(at(why.body, "/entries/0/entry") == "en-1");
    REQUIRE(house.ask("GET", "/api/v1/accounts/a-0/why?month=11").status == 400);
    AccountView ahead = house.world().accounts[0];
    ahead.ledger = Fen{20'000};
    house.world().accounts.set(0, ahead);
    house.show();
    REQUIRE(house.ask("GET", "/api/v1/accounts/a-0/why").status == 503);
}

TEST_CASE("a household file has its people, and a list of units has none") {
    HttpHouse house;
    const Got file = house.ask("GET", "/api/v1/units/h-0");
    REQUIRE(at(file.body, "/holders/0/name") == "张**");
    REQUIRE(at(house.ask("GET", "/api/v1/units/h-0?reveal=1&reason=test").body,
               "/holders/0/name") == "张三");
    REQUIRE(at(file.body, "/meters/0/meter") == "e-0");
    REQUIRE(at(file.body, "/accounts/0/account") == "a-0");
    REQUIRE(at(file.body, "/ledger/0/entry") == "en-1");
    for (const std::string path : {"/api/v1/units", "/api/v1/meters", "/metrics"}) {
        REQUIRE(house.ask("GET", path).body.find("张三") == std::string::npos);
    }
}

TEST_CASE("events, alerts and quarantine") {
    HttpHouse house;
    const Got events = house.ask("GET", "/api/v1/events?limit=2");
    REQUIRE(count_items(events.body) == 2);
    REQUIRE(at(events.body, "/has_more") == "true");
    REQUIRE(at(events.body, "/items/0/subject/account") == "a-1");
    REQUIRE(at(events.body, "/items/0/body/n") == "0");
    REQUIRE(at(events.body, "/items/0/h").size() == 64);
    const Got open = house.ask("GET", "/api/v1/alerts?state=open");
    REQUIRE(at(open.body, "/items/0/id") == "01JDALERT");
    REQUIRE(count_items(house.ask("GET", "/api/v1/alerts").body) == 0);
    REQUIRE(house.ask("GET", "/api/v1/alerts?state=shut").status == 400);
    const Got held = house.ask("GET", "/api/v1/quarantine");
    REQUIRE(at(held.body, "/items/0/reason") == "decrease");
    REQUIRE(at(held.body, "/items/0/raw") == "0001 82b8");
    REQUIRE(at(held.body, "/items/0/held") == "0.00");
}

TEST_CASE("a removed event body reads null and says why") {
    HttpHouse house;
    house.store->begin();
    house.store->remove_event_body(1, "erasure");
    house.store->commit();
    const Got events = house.ask("GET", "/api/v1/events?limit=1");
    REQUIRE(at(events.body, "/items/0/body") == "null");
    REQUIRE(at(events.body, "/items/0/removed") == "erasure");
}

TEST_CASE("acknowledging, testing alerts, the clock and tokens are commands to the engine") {
    HttpHouse house;
    house.engine.script = [](const Command&) {
        return Reply{ReplyKind::ok, "{\"x\":1}", {}, {}, {}};
    };
    const Got ack = house.ask("POST", "/api/v1/alerts/01JDALERT/ack",
                              R"({"by":"s-01","via":"phone","note":"will pay"})");
    REQUIRE(ack.status == 200);
    REQUIRE(ack.body == "{\"x\":1}");
    const auto acks = house.engine.seen<AckAlert>();
    REQUIRE(acks.size() == 1);
    REQUIRE(acks[0].alert == "01JDALERT");
    REQUIRE(acks[0].actor == "local");
    REQUIRE(acks[0].note == "will pay");
    REQUIRE(house.ask("POST", "/api/v1/alerts/01JDALERT/ack", R"({"by":"s-01"})").status == 422);
    REQUIRE(house.ask("POST", "/api/v1/alerts/test").status == 200);
    REQUIRE(house.engine.seen<TestAlert>().size() == 1);
    REQUIRE(house.engine.seen<AckAlert>().size() == 1);
    REQUIRE(house.ask("POST", "/api/v1/clock/confirm", R"({"by":"s-01"})").status == 200);
    REQUIRE(house.engine.seen<ConfirmClock>().at(0).by == "s-01");
    REQUIRE(house.ask("POST", "/api/v1/tokens", R"({"name":"office","scopes":["readings:read"]})")
                .status == 200);
    REQUIRE(house.ask("POST", "/api/v1/tokens", R"({"name":"office","scopes":["everything"]})")
                .status == 422);
    // As the command line writes them.
    REQUIRE(
        house.ask("POST", "/api/v1/tokens", R"({"name":"two","scope":"readings:read,meters:read"})")
            .status == 200);
    REQUIRE(house.engine.seen<AddToken>().back().scopes ==
            std::vector<std::string>{"readings:read", "meters:read"});
    const Got unknown = house.ask("POST", "/api/v1/tokens", R"({"name":"office","scope":["all"]})");
    REQUIRE(unknown.status == 422);
    REQUIRE(at(unknown.body, "/errors/0/pointer") == "/scope/0");
    REQUIRE(house.ask("POST", "/api/v1/tokens", R"({"name":"office"})").status == 422);
    REQUIRE(house.ask("DELETE", "/api/v1/tokens/t1").status == 200);
    REQUIRE(house.engine.seen<RevokeToken>().at(0).id == "t1");
    REQUIRE(house.ask("GET", "/api/v1/tokens/t1").status == 405);
}

TEST_CASE("the registry goes in and out as files") {
    HttpHouse house;
    house.engine.script = [](const Command&) {
        return Reply{
            ReplyKind::ok, R"({"added":1,"changed":0,"unchanged":0,"money":[]})", {}, {}, {}};
    };
    const Got import = house.ask("POST", "/api/v1/registry?dry_run=1",
                                 R"({"files":{"units.csv":"dW5pdApoLTEK"},"by":"s-01"})");
    REQUIRE(import.status == 200);
    const auto seen = house.engine.seen<ImportRegistry>();
    REQUIRE(seen.at(0).dry_run);
    REQUIRE(seen.at(0).parsed);
    REQUIRE(seen.at(0).parsed->registry.units.at(0).unit == "h-1");
    for (const std::string body :
         {R"({})", R"({"files":{}})", R"({"files":{"units.csv":1}})",
          R"({"files":{"units.csv":"no base64"}})", R"({"files":{"../units.csv":"dW5pdAo="}})",
          R"({"files":{"units.csv":"dW5pdAo="},"force":true})"}) {
        INFO(body);
        REQUIRE(house.ask("POST", "/api/v1/registry", body).status == 422);
    }
    REQUIRE(house.engine.seen<ImportRegistry>().size() == 1);
    const Got export_ = house.ask("GET", "/api/v1/registry");
    REQUIRE(at(export_.body, "/files/units.csv") != "(absent)");
}

TEST_CASE("a reading at once shows the bytes on the wire, and says why there is none") {
    HttpHouse house;
    const std::string path = "/api/v1/meters/e-0/read";
    REQUIRE(house.ask("POST", path).status == 503);
    http::MeterReadOutcome outcome;
    outcome.result = PollResult::ok;
    Sample sample;
    sample.meter = "e-0";
    sample.at.wall_ms = kMorning;
    sample.register_value = {1'042, 10};
    sample.raw = {0x0000, 0x0412};
    outcome.sample = sample;
    outcome.exchanges.push_back({{0x01, 0x03, 0x00}, {0x01, 0x03, 0x04}, 21});
    house.meters.outcome = outcome;
    const Got got = house.ask("POST", path);
    REQUIRE(got.status == 200);
    REQUIRE(at(got.body, "/register") == "104.200");
    REQUIRE(at(got.body, "/raw") == "0000 0412");
    REQUIRE(at(got.body, "/exchanges/0/request") == "01 03 00");
    MeterView eye = house.world().meters[1];
    eye.by_eye = true;
    eye.enabled = false;  // it has no profile that could read it
    house.world().meters.set(1, eye);
    house.show();
    const std::string status = house.ask("GET", "/api/v1/status").body;
    REQUIRE(at(status, "/meters/by_eye") == "1");
    REQUIRE(at(status, "/meters/disabled") == "0");
    REQUIRE(house.ask("POST", "/api/v1/meters/e-1/read").status == 422);
}

TEST_CASE("health, readiness, status, clock, verify") {
    HttpHouse house;
    REQUIRE(at(house.ask("GET", "/healthz").body, "/status") == "ok");
    REQUIRE(at(house.ask("GET", "/readyz").body, "/status") == "ready");
    house.world().clock_trusted = false;
    house.show();
    REQUIRE(house.ask("GET", "/readyz").status == 200);
    house.world().store_ok = false;
    house.world().store_reason = "disk full";
    house.show();
    const Got full = house.ask("GET", "/readyz");
    REQUIRE(full.status == 503);
    REQUIRE(at(full.body, "/reasons/0") == "store: disk full");
    const Got stranger = house.ask_tcp("", "GET", "/readyz");
    REQUIRE(stranger.status == 503);
    REQUIRE(at(stranger.body, "/reasons") == "(absent)");
    const Got status = house.ask("GET", "/api/v1/status");
    REQUIRE(at(status.body, "/meters/online") == "1");
    REQUIRE(at(status.body, "/buses/0/exchanges/ok") == "17");
    REQUIRE(at(status.body, "/store/reason") == "disk full");
    REQUIRE(at(house.ask("GET", "/api/v1/clock").body, "/trusted") == "false");
    const Got proof = house.ask("POST", "/api/v1/verify");
    REQUIRE(proof.status == 200);
    REQUIRE(at(proof.body, "/ok") != "(absent)");
}

TEST_CASE("metrics name no unit, no account, and single meters only when asked to") {
    HttpHouse house;
    const Got plain = house.ask_tcp("", "GET", "/metrics");
    REQUIRE(plain.status == 200);
    REQUIRE(plain.header("Content-Type").find("text/plain; version=0.0.4") == 0);
    REQUIRE(plain.body.find("gatehouse_modbus_requests_total{bus=\"b1\",result=\"ok\"} 17\n") !=
            std::string::npos);
    REQUIRE(plain.body.find("gatehouse_alerts_open{kind=\"low_balance\"} 1\n") !=
            std::string::npos);
    // A rule can watch what is not open yet.
    for (const std::string kind : {"meter_offline", "leak_suspect", "log_gap", "key_overdue"})
        CHECK(plain.body.find("gatehouse_alerts_open{kind=\"" + kind + "\"} 0\n") !=
              std::string::npos);
    for (const std::string secret : {"h-0", "a-0", "e-0", "unit=", "account="}) {
        REQUIRE(plain.body.find(secret) == std::string::npos);
    }
    for (const std::string name :
         {"build_info", "modbus_response_seconds", "ledger_seq", "low_credit_units", "days_left",
          "db_bytes", "db_written_bytes_total", "clock_trusted"}) {
        INFO(name);
        CHECK(plain.body.find("# TYPE gatehouse_" + name + " ") != std::string::npos);
    }
    CHECK(plain.body.find("gatehouse_days_left_bucket{le=\"+Inf\"} ") != std::string::npos);
    HouseOptions options;
    options.metrics_meters = true;
    HttpHouse detailed(options);
    REQUIRE(detailed.ask("GET", "/metrics").body.find("gatehouse_meter_online{meter=\"e-0\"} 1") !=
            std::string::npos);
}

TEST_CASE("the dashboard and the alert rules of config name metrics that there are") {
    HttpHouse house;
    house.status.broker.configured = true;
    const std::string metrics = house.ask("GET", "/metrics").body;
    for (const char* name : {"grafana/gatehouse.json", "prometheus/gatehouse-rules.yml"}) {
        std::ifstream file(std::string(GATEHOUSE_CONFIG) + "/" + name);
        const std::string text{std::istreambuf_iterator<char>(file), {}};
        REQUIRE_FALSE(text.empty());
        const std::regex wanted("gatehouse_[a-z_]+");
        for (std::sregex_iterator at(text.begin(), text.end(), wanted), end; at != end; ++at) {
            INFO(name << ": " << at->str());
            // Of a histogram a query names the parts.
            const std::string metric = std::regex_replace(at->str(), std::regex("_bucket$"), "");
            const std::size_t type = metrics.find("# TYPE " + metric + " ");
            CHECK(type != std::string::npos);
            if (metric != at->str() && type != std::string::npos)
                CHECK(metrics.compare(type, metric.size() + 17,
                                      "# TYPE " + metric + " histogram") == 0);
        }
    }
}
