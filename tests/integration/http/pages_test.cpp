// Lists go on from their place, whatever has happened to it, and lead through all that there is.
#include <memory>
#include <string>
#include <vector>

#include "tests/integration/http/http_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

// All pages of a list, by one member of its items. A page that says that there is more and does not
// move is a fault.
std::vector<std::string> walk(HttpHouse& house, const std::string& target, const char* member,
                              int limit) {
    std::vector<std::string> all;
    std::string after;
    for (bool more = true; more;) {
        const Got page = house.ask("GET", target + "&limit=" + std::to_string(limit) +
                                              (after.empty() ? "" : "&after=" + after));
        INFO(target << " after " << after << ": " << page.body);
        REQUIRE(page.status == 200);
        const std::size_t items = count_items(page.body);
        REQUIRE(items <= static_cast<std::size_t>(limit));
        for (std::size_t i = 0; i < items; ++i)
            all.push_back(at(page.body, "/items/" + std::to_string(i) + "/" + member));
        more = at(page.body, "/has_more") == "true";
        if (more) REQUIRE(at(page.body, "/next") != after);
        after = at(page.body, "/next");
    }
    return all;
}

void open_alert(HttpHouse& house, const std::string& id) {
    AlertRow row;
    row.id = id;
    row.kind = "low_balance";
    row.subject = id;
    row.state = "raised";
    row.payload = R"({"id":")" + id + "\"}";
    house.store->begin();
    house.store->put_alert(row);
    house.store->commit();
    AlertView view;
    view.id = id;
    view.payload = row.payload;
    house.world().open_alerts.push_back(std::make_shared<const AlertView>(view));
    house.show();
}

void clear_alert(HttpHouse& house, const std::string& id) {
    auto& open = house.world().open_alerts;
    std::erase_if(open, [&](const auto& alert) { return alert->id == id; });
    house.show();
}

}  // namespace

TEST_CASE("the open alerts go on behind one that has cleared since") {
    HttpHouse house;
    for (const char* id : {"01JE1", "01JE2", "01JE3"}) open_alert(house, id);
    const std::string path = "/api/v1/alerts?state=open&limit=2";
    const Got first = house.ask("GET", path);
    REQUIRE(at(first.body, "/next") == "01JE1");
    clear_alert(house, "01JE1");
    const Got rest = house.ask("GET", path + "&after=01JE1");
    REQUIRE(rest.status == 200);
    CHECK(at(rest.body, "/items/0/id") == "01JE2");
    CHECK(at(rest.body, "/items/1/id") == "01JE3");
    CHECK(at(rest.body, "/has_more") == "false");
    // So does a page whose every row has cleared, and an alert that never was is none.
    for (const char* id : {"01JE2", "01JE3"}) clear_alert(house, id);
    const Got none = house.ask("GET", path + "&after=01JE2");
    CHECK(none.status == 200);
    CHECK(count_items(none.body) == 0);
    CHECK(at(none.body, "/next") == "01JE2");
    CHECK(house.ask("GET", path + "&after=01JE9").status == 400);
}

TEST_CASE("a meter's rows without from begin with the first, page by page") {
    HttpHouse house;
    house.many_readings(700);
    const std::string path = "/api/v1/meters/e-0/readings?to=2026-11-24";
    const auto all = walk(house, path, "seq", 1000);
    REQUIRE(all.size() == 705);
    CHECK(walk(house, path, "seq", 100) == all);
    CHECK(walk(house, path, "seq", 33) == all);
    CHECK(walk(house, path + "&from=2026-01-01", "seq", 100) == all);
    CHECK(walk(house, "/api/v1/meters/e-1/readings?to=2026-11-24", "seq", 100).empty());
}

TEST_CASE("hours, days and months without from begin with the first, however old") {
    HttpHouse house;
    const std::int64_t today = days_since_epoch({2026, 11, 22});
    house.store->begin();
    for (int day = 0; day < 100; ++day)
        house.store->put_day({"e-0", today - 99 + day, house.readings.front(), Milli{day * 1'000},
                              ReadingQuality::good});
    // A meter that was away for longer than one look spans.
    for (const int back : {9, 8, 7}) {
        house.store->put_hour(
            {"e-0", (kMorning / 3'600'000) - 24 * 1'000 + back, Milli{back}, ReadingQuality::good});
        house.store->put_hour(
            {"e-0", (kMorning / 3'600'000) - back, Milli{1'000 - back}, ReadingQuality::good});
    }
    house.store->commit();
    const std::string path = "/api/v1/meters/e-0/readings?to=2026-11-24&step=";
    const auto days = walk(house, path + "day", "day", 1000);
    REQUIRE(days.size() == 100);
    CHECK(days.front() == "2026-08-15");
    CHECK(walk(house, path + "day", "day", 7) == days);
    CHECK(walk(house, path + "month", "day", 1) ==
          std::vector<std::string>{"2026-08-31", "2026-09-30", "2026-10-31", "2026-11-22"});
    CHECK(walk(house, path + "month", "consumption", 1).at(1) == "30.000");
    const auto hours = walk(house, path + "hour", "total", 1000);
    CHECK(hours == std::vector<std::string>{"0.007", "0.008", "0.009", "0.991", "0.992", "0.993"});
    CHECK(walk(house, path + "hour", "total", 1) == hours);
    CHECK(walk(house, "/api/v1/meters/e-1/readings?step=hour", "total", 10).empty());
    CHECK(walk(house, "/api/v1/meters/e-1/readings?step=month", "day", 10).empty());
    // Who names a begin that is too far is told so.
    CHECK(house.ask("GET", path + "hour&from=2025-01-01").status == 400);
}

TEST_CASE("a timeline says how sure each row is, page by page, and is whole or not at all") {
    HttpHouse house;
    struct Row {
        const char *kind, *body, *origin;
    };
    const Row rows[] = {
        {"key.removed", R"({"origin":"device","person":"s-02"})", "device"},
        {"custody.linked", R"({"link":"auto","ticket":"WX-1"})", "derived"},
        {"custody.linked", R"({"link":"linked","ticket":"WX-2"})", "manual"},
        {"custody.linked", R"({"link":"explicit","ticket":"WX-3"})", "device"},
        {"ticket.reported", R"({"number":"WX-1","by":"s-01"})", "manual"},
        {"alert.raised", R"({"kind":"low_balance","quality":"held"})", "derived"},
        {"alert.acknowledged", R"({"kind":"low_balance","acked_by":"s-01"})", "manual"},
        {"ticket.done", R"({"origin":"\"so\"","by":"s-01"})", "manual"},
    };
    house.store->begin();
    std::vector<std::string> kinds, origins;
    for (const Row& row : rows) {
        EventRow event;
        event.kind = row.kind;
        event.subject = "{}";
        event.body = row.body;
        event.at = {1, house.clock.mono_ms(), 0};
        event.about = {"unit:u-0", "key:k-1"};
        house.store->append_event(event);
        kinds.emplace_back(row.kind);
        origins.emplace_back(row.origin);
    }
    house.store->commit();
    for (const char* about : {"unit=u-0", "key=k-1"}) {
        const std::string target = std::string("/api/v1/timeline?") + about;
        CHECK(walk(house, target, "origin", 3) == origins);
        CHECK(walk(house, target, "kind", 1000) == kinds);
    }
    CHECK(house.ask("GET", "/api/v1/timeline?unit=u-0&limit=1001").status == 400);
    CHECK(house.ask("GET", "/api/v1/timeline?unit=u-0&key=k-1").status == 400);
    CHECK(house.ask("GET", "/api/v1/timeline").status == 400);
    // Money stands in it, so that it is read with the log's own scope, and not with the keys'.
    const std::string keys = house.add_token("k", {"keys:read", "tickets:read", "alerts:read"});
    CHECK(house.ask_tcp(keys, "GET", "/api/v1/timeline?unit=u-0").status == 403);
    const std::string log = house.add_token("l", {"events:read"});
    CHECK(house.ask_tcp(log, "GET", "/api/v1/timeline?unit=u-0").status == 200);
}

TEST_CASE("the language of a table may stand in the address of its JSON as well") {
    HttpHouse house;
    const std::string plain = house.ask("GET", "/api/v1/accounts").body;
    for (const char* lang : {"en", "zh", "zh-CN"}) {
        const Got got = house.ask("GET", std::string("/api/v1/accounts?lang=") + lang);
        CHECK(got.status == 200);
        CHECK(got.body == plain);
    }
    CHECK(house.ask("GET", "/api/v1/accounts?lang=fr").status == 400);
    CHECK(house.ask("GET", "/api/v1/accounts.csv?lang=zh-CN").status == 200);
    CHECK(house.ask("GET", "/api/v1/status?lang=en").status == 400);
}
