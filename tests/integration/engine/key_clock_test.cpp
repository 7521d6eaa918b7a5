// Cabinets whose clock is wrong, over the engine and a real store: what is done by hand beside them
// still moves the key, a numbering that begins anew is seen, and staff hear of the clock.
#include "tests/integration/engine/key_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

using T = KeyEventType;
const std::unique_ptr<Zone> kZone = make_zone("Asia/Shanghai");

KeyAct act_on(const std::string& key, KeyAct::What what) {
    KeyAct act;
    act.key = key;
    act.what = what;
    act.by = "s-1";
    act.reason = "why";
    return act;
}

// What a cabinet of that boot says, without its clock beside it.
Reply say(KeyHouse& keys, std::int64_t boot, std::vector<KeyEvent> events,
          std::optional<UtcMs> now = std::nullopt) {
    KeyPush push;
    push.source = "kc-01";
    push.boot = boot;
    for (KeyEvent& event : events) event.id.boot = boot;
    push.events = std::move(events);
    push.device_now = now;
    return keys.work(std::move(push));
}

bool is_open(KeyHouse& keys, const std::string& alert) {
    keys.house.pass(2 * kSecond);
    const auto open = keys.open_alerts();
    return std::count(open.begin(), open.end(), alert + "@kc-01") == 1;
}

}  // namespace

TEST_CASE("what is done by hand after a cabinet's word is after it, though that clock is ahead") {
    KeyHouse keys;
    const UtcMs ahead = keys.house.clock.wall_ms() + 5 * kSecond;
    REQUIRE(say(keys, 1, {keys.event(T::key_removed, -5 * kSecond, "s-2", 1)}, ahead).kind ==
            ReplyKind::ok);
    KeyAct hand = act_on("k-1", KeyAct::What::hand);
    hand.to = "s-3";
    REQUIRE(keys.work(hand).kind == ReplyKind::ok);
    CHECK(keys.key("k-1").loan->holder == "s-3");
    REQUIRE(keys.work(act_on("k-1", KeyAct::What::lose)).kind == ReplyKind::ok);
    CHECK(keys.key("k-1").place == KeyPlace::lost);
    CHECK(keys.house.events("key.lost").size() == 1);
    CHECK(keys.house.events("ticket.reported").size() == 1);
    keys.house.reopen();
    keys.house.pass(4 * 60 * kSecond);
    CHECK(keys.key("k-1").place == KeyPlace::lost);
}

TEST_CASE(
    "a cabinet's clock that went back places its word later than it says, and acts behind it") {
    KeyHouse keys;
    keys.house.pass(kHour);
    REQUIRE(keys.push({keys.event(T::door_closed, 0),
                       keys.event(T::key_removed, 600 * kSecond, "s-2", 1)})
                .kind == ReplyKind::ok);
    KeyAct back = act_on("k-1", KeyAct::What::bring);
    back.at = format_iso8601(keys.house.clock.wall_ms() - 500 * kSecond, *kZone);
    const Reply refused = keys.work(back);
    CHECK(refused.kind == ReplyKind::invalid);
    REQUIRE(refused.errors.size() == 1);
    CHECK(refused.errors[0].pointer == "/at");
    CHECK(keys.key("k-1").place == KeyPlace::out);
    back.at.clear();
    REQUIRE(keys.work(back).kind == ReplyKind::ok);
    CHECK(keys.key("k-1").place == KeyPlace::in);
}

TEST_CASE("a numbering that begins anew is seen though its clock is ahead, or is the receipt's") {
    for (const std::int64_t ahead_s : {0, 1, 59, 70, 31'536'000}) {
        INFO(ahead_s);
        KeyHouse keys({"clock_skew", "log_restarted"});
        const std::int64_t ago = -ahead_s * kSecond;
        REQUIRE(say(keys, 8,
                    {keys.event(T::boot, ago + 20), keys.event(T::key_removed, ago + 10, "s-2", 1),
                     keys.event(T::key_returned, ago, "s-2", 1)})
                    .kind == ReplyKind::ok);
        keys.house.pass(2 * kHour);
        keys.house.reopen();
        keys.seq = 0;
        const std::vector<KeyEvent> after{keys.event(T::boot, ago),
                                          keys.event(T::key_removed, ago, "s-3", 1)};
        const Reply reply = say(keys, 1, after);
        CHECK(reply.json.starts_with(R"({"ack":{"boot":1,"seq":2},"dup":0,"bad":[])"));
        REQUIRE(keys.key("k-1").loan);
        CHECK(keys.key("k-1").loan->holder == "s-3");
        CHECK(keys.key("k-1").loan->id.source == "kc-01~2");
        CHECK(is_open(keys, "log_restarted"));
        CHECK(field(say(keys, 1, after).json, "dup") == "2");
        CHECK(keys.house.proof().empty());
    }
}

TEST_CASE("a time from the future shows a wrong clock, and stands until that is set") {
    KeyHouse keys({"clock_skew"});
    const auto skew = [&] {
        keys.house.step();
        return keys.house.engine().snapshot()->keys->cabinets[0].skew_ms / kSecond;
    };
    const auto say_at = [&](std::int64_t ahead_s) {
        REQUIRE(keys.push({keys.event(T::door_closed, -ahead_s * kSecond)}).kind == ReplyKind::ok);
    };
    say_at(-7'200);  // what comes late says nothing of the clock
    CHECK_FALSE(is_open(keys, "clock_skew"));
    CHECK(skew() == 0);
    say_at(70);
    CHECK(skew() == 70);
    CHECK(is_open(keys, "clock_skew"));
    say_at(30);
    CHECK(is_open(keys, "clock_skew"));
    keys.house.reopen();
    CHECK(is_open(keys, "clock_skew"));
    say_at(-7'200);
    CHECK(is_open(keys, "clock_skew"));
    say_at(0);
    CHECK(skew() == 0);
    CHECK_FALSE(is_open(keys, "clock_skew"));
    // One time that is wrong alone moves no other of its push.
    KeyEvent right = keys.event(T::key_removed, 60 * kSecond, "s-2", 1);
    const UtcMs out_at = right.at;
    REQUIRE(keys.push({right, keys.event(T::door_closed, -365 * 24 * kHour)}).kind ==
            ReplyKind::ok);
    CHECK(keys.key("k-1").loan->out_at == out_at);
}

TEST_CASE("who is unknown to the house by the cabinet's own word is not who had signed in") {
    KeyHouse keys;
    REQUIRE(
        keys.push({keys.event(T::access_granted, 5'000, "s-2"), keys.event(T::door_opened, 4'000)})
            .kind == ReplyKind::ok);
    KeyEvent card = keys.event(T::key_removed, 2'000, "", 2);
    card.card = "w34:999";
    REQUIRE(keys.push({keys.event(T::key_removed, 3'000, "ghost-7", 1), card,
                       keys.event(T::key_removed, 1'000, "", 3)})
                .kind == ReplyKind::ok);
    CHECK(keys.key("k-1").loan->holder.empty());
    CHECK(keys.key("k-2").loan->holder.empty());
    CHECK(keys.key("k-3").loan->holder == "s-2");
    keys.house.reopen();
    CHECK(keys.key("k-1").loan->holder.empty());
}

TEST_CASE("nothing is acknowledged where nothing is kept, and a count does not contradict itself") {
    KeyHouse keys;
    KeyPush push;
    push.source = "kc-01";
    push.bad = {{0, "seq"}};
    CHECK(keys.work(push).json == R"({"ack":null,"dup":0,"bad":[{"i":0,"code":"seq"}],"gap":[]})");
    // What cannot be read is no heartbeat either.
    keys.house.pass(6 * kMinute);
    CHECK(keys.house.events("cabinet.offline").empty());
    KeyAct count = act_on("k-1", KeyAct::What::count);
    count.present = true;
    count.counted = 0;
    const Reply refused = keys.work(count);
    CHECK(refused.kind == ReplyKind::invalid);
    REQUIRE(refused.errors.size() == 1);
    CHECK(refused.errors[0].pointer == "/count");
    count.present = false;
    CHECK(keys.work(count).kind == ReplyKind::ok);
}

TEST_CASE("the keys of an import stand in the answer after it, and tags are one in either case") {
    KeyHouse keys;
    FileTexts files;
    files["keys.csv"] = "key,class,cabinet,slot,opens,tag\nk-9,vacant,kc-01,9,u-2,ee01\n";
    REQUIRE(keys.house.import(files).kind == ReplyKind::ok);
    const auto shown = keys.house.engine().snapshot()->keys;
    CHECK(std::any_of(shown->keys.begin(), shown->keys.end(),
                      [](const KeyView& view) { return view.key == "k-9"; }));
    files["keys.csv"] += "k-8,vacant,kc-01,8,u-1,EE01\n";
    CHECK(keys.house.import(files).kind != ReplyKind::ok);
}
