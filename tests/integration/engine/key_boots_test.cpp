// What a cabinet tells a second time because it was not acknowledged, over the engine and a real
// store: under another boot, after a crash, and where its numbers have begun again.
#include "tests/integration/engine/key_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

using T = KeyEventType;
constexpr std::int64_t kLast = 0xFFFF'FFFF;

// What one visit says: badge, door, key 1, door.
std::vector<KeyEvent> visit(KeyHouse& keys, std::int64_t ago_ms, T type = T::key_removed) {
    return {keys.event(T::access_granted, ago_ms, "s-2"), keys.event(T::door_opened, ago_ms - 1),
            keys.event(type, ago_ms - 2, "", 1), keys.event(T::door_closed, ago_ms - 3)};
}

// As a cabinet that is asked (`asked`) or one that pushes tells it under that boot.
Reply tell(KeyHouse& keys, bool asked, std::int64_t boot, std::vector<KeyEvent> events) {
    KeyPush push;
    push.source = "kc-01";
    push.boot = boot;
    if (asked) push.newest = events.back().id.seq;
    for (KeyEvent& event : events) event.id.boot = boot;
    push.events = std::move(events);
    return keys.work(std::move(push));
}

std::vector<std::string> ids(KeyHouse& keys) {
    std::vector<std::string> all;
    for (const char* kind : {"access.granted", "door.opened", "key.removed", "key.returned",
                             "door.closed", "cabinet.boot", "cabinet.log_overwritten"})
        for (const auto& row : keys.house.events(kind)) all.push_back(field(row.body, "id"));
    std::sort(all.begin(), all.end());
    return all;
}

template <class One>
std::vector<One> joined(std::vector<One> all, const std::vector<One>& more) {
    all.insert(all.end(), more.begin(), more.end());
    return all;
}

}  // namespace

TEST_CASE("committed, not acknowledged, and told again under another boot: once, after a crash") {
    const bool asked = GENERATE(true, false);
    const bool crash = GENERATE(true, false);
    INFO("asked " << asked << ", crash " << crash);
    KeyHouse keys;
    const auto crashes = [&] {
        if (!crash) return;
        keys.house.reopen();
        keys.house.pass(2'000);
    };
    const auto first = visit(keys, 60'000);
    REQUIRE(tell(keys, asked, 3, first).kind == ReplyKind::ok);
    crashes();
    std::vector<KeyEvent> again = first;
    again.push_back(keys.event(T::boot, 30'000));
    Reply reply = tell(keys, asked, 4, again);
    INFO(reply.json);
    CHECK(reply.json.starts_with(R"({"ack":{"boot":4,"seq":5},"dup":4,"bad":[],"gap":[])"));
    // Not acknowledged either; of two boots now, and some of it alone.
    crashes();
    again.push_back(keys.event(T::boot, 20'000));
    reply = tell(keys, asked, 5, again);
    CHECK(reply.json.starts_with(R"({"ack":{"boot":5,"seq":6},"dup":5,"bad":[],"gap":[])"));
    reply = tell(keys, asked, 6, {again.begin() + 2, again.end()});
    CHECK(reply.json.starts_with(R"({"ack":{"boot":6,"seq":6},"dup":4,"bad":[],"gap":[])"));
    CHECK(ids(keys) == std::vector<std::string>{"kc-01/3/1", "kc-01/3/2", "kc-01/3/3", "kc-01/3/4",
                                                "kc-01/4/5", "kc-01/5/6"});
    CHECK(keys.house.events("cabinet.log_gap").empty());
    CHECK(keys.house.events("cabinet.log_restarted").empty());
    CHECK(format(keys.key("k-1").loan->id) == "kc-01/3/3");
    // The log goes on under the newest.
    reply = tell(keys, asked, 6, visit(keys, 10'000, T::key_returned));
    CHECK(reply.json.starts_with(R"({"ack":{"boot":6,"seq":10},"dup":0,"bad":[],"gap":[])"));
    CHECK(keys.key("k-1").place == KeyPlace::in);
    CHECK(keys.house.events("cabinet.log_gap").empty());
}

TEST_CASE("a board that counts anew after each boot is believed, with a clock and without") {
    const bool asked = GENERATE(true, false);
    const bool clock = GENERATE(true, false);
    INFO("asked " << asked << ", clock " << clock);
    KeyHouse keys;
    for (std::int64_t boot = 3; boot < 6; ++boot) {
        keys.seq = 0;
        auto events =
            visit(keys, 600'000 - boot * 60'000, boot % 2 == 0 ? T::key_returned : T::key_removed);
        events[2].type = T::key_removed;
        if (!clock)
            for (KeyEvent& event : events) event.at = 0;
        const Reply reply = tell(keys, asked, boot, events);
        INFO(reply.json);
        CHECK(reply.json.find(R"("seq":4},"dup":0,"bad":[])") != std::string::npos);
    }
    CHECK(ids(keys).size() == 12);
}

TEST_CASE("what was overwritten is told from behind what is kept, also under another boot") {
    KeyHouse keys;
    REQUIRE(tell(keys, true, 3, visit(keys, 90'000)).kind == ReplyKind::ok);
    REQUIRE(tell(keys, true, 3, visit(keys, 60'000, T::key_returned)).kind == ReplyKind::ok);
    keys.house.reopen();
    keys.house.pass(2'000);
    // 5 to 8 are kept and were not acknowledged; the board has nothing before 12.
    KeyEvent loss = keys.event(T::log_overwritten, 30'000);
    loss.id.seq = loss.from = 5;
    loss.through = 11;
    keys.seq = 11;
    const Reply reply = tell(keys, true, 4, joined({loss}, visit(keys, 30'000)));
    CHECK(reply.json.starts_with(R"({"ack":{"boot":4,"seq":15},"dup":0,"bad":[],"gap":[])"));
    const auto told = keys.house.events("cabinet.log_overwritten");
    REQUIRE(told.size() == 1);
    CHECK(field(told[0].body, "from") == "9");
    CHECK(field(told[0].body, "to") == "11");
}

TEST_CASE("numbers at their end begin again: told, nothing lost, nothing twice, nothing unknown") {
    const bool asked = GENERATE(true, false);
    const bool crash = GENERATE(true, false);
    const std::int64_t zero = GENERATE(0, 1);  // where it counts from
    INFO("asked " << asked << ", crash " << crash << ", from " << zero);
    KeyHouse keys({"log_restarted", "key_moved_no_auth", "log_gap"});
    const auto crashes = [&] {
        if (!crash) return;
        keys.house.reopen();
        keys.house.pass(2'000);
    };
    keys.seq = kLast - 6;
    REQUIRE(tell(keys, asked, 3, visit(keys, 120'000)).kind == ReplyKind::ok);
    const auto before = visit(keys, 60'000, T::key_returned);  // its last two are behind the end
    REQUIRE(before[1].id.seq == kLast);
    auto behind = std::vector<KeyEvent>{before[2], before[3]};
    behind[0].id.seq = zero;
    behind[1].id.seq = zero + 1;
    const std::vector<KeyEvent> at_end{before[0], before[1]};
    for (int i = 0; i < 2; ++i) {
        const Reply reply = tell(keys, asked, 3, at_end);
        CHECK(field(reply.json, "dup") == (i == 0 ? "0" : "2"));
        crashes();
    }
    for (int i = 0; i < 2; ++i) {
        const Reply reply = tell(keys, asked, 3, behind);
        INFO(reply.json);
        CHECK(field(reply.json, "dup") == (i == 0 ? "0" : "2"));
        CHECK(reply.json.find("\"seq\":" + std::to_string(zero + 1) + "}") != std::string::npos);
        crashes();
    }
    const auto told = keys.house.events("cabinet.log_restarted");
    REQUIRE(told.size() == 1);
    CHECK(field(told[0].body, "detail") == "wrap");
    CHECK(field(told[0].body, "first") == "kc-01~2/3/" + std::to_string(zero));
    // The visit goes on across the end: who badged before brings it behind.
    CHECK(keys.key("k-1").place == KeyPlace::in);
    CHECK(keys.key("k-3").place == KeyPlace::in);
    CHECK(field(keys.house.events("key.returned").at(0).body, "person") == "s-2");
    keys.house.pass(2'000);
    CHECK(keys.open_alerts() == std::vector<std::string>{"log_restarted@kc-01"});
    keys.seq = zero + 1;
    REQUIRE(tell(keys, asked, 3, visit(keys, 10'000)).kind == ReplyKind::ok);
    CHECK(keys.key("k-1").loan->holder == "s-2");
    CHECK(keys.house.events("cabinet.log_gap").empty());
    CHECK(keys.house.events("cabinet.log_restarted").size() == 1);
}

TEST_CASE("a cabinet that pushes tells one from before the end of its numbers late") {
    KeyHouse keys;
    keys.seq = kLast - 4;
    auto before = visit(keys, 60'000);  // kLast - 3 to kLast
    keys.seq = 0;
    const auto behind = visit(keys, 30'000, T::key_returned);
    const KeyEvent late = before[1];
    before.erase(before.begin() + 1);
    REQUIRE(tell(keys, false, 3, before).kind == ReplyKind::ok);
    CHECK(keys.house.events("cabinet.log_gap").size() == 1);
    REQUIRE(tell(keys, false, 3, behind).kind == ReplyKind::ok);
    REQUIRE(tell(keys, false, 3, {late}).kind == ReplyKind::ok);
    CHECK(keys.house.events("cabinet.log_filled").size() == 1);
    CHECK(field(keys.house.events("door.opened").at(1).body, "id") ==
          "kc-01/3/" + std::to_string(kLast - 2));
    CHECK(keys.key("k-1").place == KeyPlace::in);
}
