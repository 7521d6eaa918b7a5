// What an alarm's end ends, however late it comes, and a cabinet that counts anew.
#include "tests/integration/engine/key_house.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

using T = KeyEventType;

}  // namespace

TEST_CASE("an alarm that ended before it was told to begin is none") {
    KeyHouse keys({"tamper", "door_held", "cabinet_forced"});
    for (const T type : {T::tamper, T::door_held}) {
        const KeyEvent start = keys.event(type, 20'000);
        KeyEvent clear = keys.event(type, 10'000);
        clear.begins = false;
        REQUIRE(keys.push({clear}).kind == ReplyKind::ok);
        REQUIRE(keys.push({start}).kind == ReplyKind::ok);
        CHECK(keys.open_alerts().empty());
        REQUIRE(keys.push({keys.event(type, 5'000)}).kind == ReplyKind::ok);
        CHECK(keys.open_alerts().size() == 1);
        KeyEvent end = keys.event(type, 1'000);
        end.begins = false;
        REQUIRE(keys.push({end}).kind == ReplyKind::ok);
        CHECK(keys.open_alerts().empty());
    }
}

TEST_CASE("what began more than three days ago ends by its end") {
    KeyHouse keys({"tamper"});
    REQUIRE(keys.push({keys.event(T::tamper, 0)}).kind == ReplyKind::ok);
    for (int i = 0; i < 80; ++i) keys.house.pass(kHour);
    CHECK(keys.open_alerts() == std::vector<std::string>{"tamper@kc-01"});
    keys.house.reopen();
    KeyEvent end = keys.event(T::tamper, 0);
    end.begins = false;
    REQUIRE(keys.push({end}).kind == ReplyKind::ok);
    CHECK(keys.open_alerts().empty());
    const auto cleared = keys.house.events("alert.cleared");
    REQUIRE(cleared.size() == 1);
    CHECK(field(cleared[0].body, "cleared_by") == "drift");
}

TEST_CASE("a cabinet that counts anew within its last minute is seen") {
    KeyHouse keys;
    std::vector<KeyEvent> before;
    for (int i = 0; i < 4; ++i) {
        before.push_back(keys.event(i % 2 == 0 ? T::key_removed : T::key_returned,
                                    200'000 - i * 55'000, "s-2", 1));
        before.back().id.boot = 7;
    }
    KeyPush old;
    old.source = "kc-01";
    old.boot = 7;
    old.events = before;
    REQUIRE(keys.work(old).kind == ReplyKind::ok);
    REQUIRE(keys.key("k-1").place == KeyPlace::in);
    // The last was 35 s ago; ten seconds later it counts from 1 again, under a lower boot.
    const auto push_new = [&](std::int64_t boot, const std::vector<KeyEvent>& events) {
        KeyPush push;
        push.source = "kc-01";
        push.boot = boot;
        push.events = events;
        for (KeyEvent& event : push.events) event.id.boot = boot;
        return keys.work(push);
    };
    keys.seq = 0;
    const std::vector<KeyEvent> after{keys.event(T::boot, 25'000),
                                      keys.event(T::key_removed, 20'000, "s-3", 1)};
    CHECK(push_new(1, after).json.find(R"("bad":[])") != std::string::npos);
    CHECK(keys.house.events("cabinet.log_restarted").size() == 1);
    REQUIRE(keys.key("k-1").loan);
    CHECK(format(keys.key("k-1").loan->id) == "kc-01~2/1/2");
    CHECK(field(push_new(1, after).json, "dup") == "2");
    CHECK(field(keys.work(old).json, "dup") == "4");
    CHECK(keys.house.events("cabinet.log_restarted").size() == 1);
    CHECK(keys.house.proof().empty());
}
