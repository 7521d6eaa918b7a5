// Who a key is with, over the engine and a real store: cards that were handed on, readers beside
// cabinets that know nobody, what a lead alone may give, and how often something happened.
#include <algorithm>

#include "tests/integration/engine/key_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

using T = KeyEventType;
const std::unique_ptr<Zone> kZone = make_zone("Asia/Shanghai");

FileTexts with_staff(const std::string& rows) {
    FileTexts files;
    files["staff.csv"] = "staff,name,roles,cards,active_to\n" + rows;
    return files;
}

KeyAct act_on(const std::string& key, KeyAct::What what) {
    KeyAct act;
    act.key = key;
    act.what = what;
    act.by = "s-1";
    return act;
}

std::string iso(const KeyHouse& keys, std::int64_t ago_ms) {
    return format_iso8601(keys.house.clock.wall_ms() - ago_ms, *kZone);
}

std::string payload(KeyHouse& keys) {
    REQUIRE(keys.house.engine().snapshot()->open_alerts.size() == 1);
    return keys.house.engine().snapshot()->open_alerts[0]->payload;
}

void acknowledge(KeyHouse& keys) {
    AckAlert ack;
    REQUIRE(keys.house.engine().snapshot()->open_alerts.size() == 1);
    ack.alert = keys.house.engine().snapshot()->open_alerts[0]->id;
    ack.by = "s-1";
    ack.via = "visit";
    REQUIRE(keys.house.ask(ack).kind == ReplyKind::ok);
}

// A module of contacts that is asked, and a reader beside it.
struct Contacts : KeyHouse {
    std::int64_t badges = 0;
    std::string badge(const std::string& person, std::int64_t ago_ms) {
        KeyPush push;
        push.source = "kc-01/reader";
        push.boot = 9;
        KeyEvent one;
        one.id = {push.source, 9, ++badges};
        one.type = T::access_granted;
        one.person = person;
        one.at = house.clock.wall_ms() - ago_ms;
        push.events = {one};
        return work(std::move(push)).json;
    }
    KeyEvent seen(T type, std::int64_t ago_ms, int slot = 0) {
        KeyEvent one = event(type, ago_ms, "", slot);
        one.origin = KeyOrigin::derived;
        return one;
    }
};

}  // namespace

TEST_CASE("a card belongs to who had it when it was shown, however late that is heard of") {
    KeyHouse keys;
    REQUIRE(keys.house.import(with_staff("s-2,Two,tech,w34:000000111,\n")).kind == ReplyKind::ok);
    keys.house.pass(600'000);
    // At ten the card goes from s-2 to s-3, and s-2 has a new one.
    REQUIRE(keys.house
                .import(with_staff("s-2,Two,tech,w34:000000222,\ns-3,Three,tech,w34:000000111,\n"))
                .kind == ReplyKind::ok);
    keys.house.pass(600'000);
    const auto taken = [&](const std::string& card, std::int64_t ago_ms, int slot) {
        KeyEvent one = keys.event(T::key_removed, ago_ms, "", slot);
        one.card = card;
        return one;
    };
    const auto holders = [&] {
        std::string all;
        for (const char* key : {"k-1", "k-2", "k-3"}) {
            const KeyView view = keys.key(key);
            all += std::string(all.empty() ? "" : " ") + (!view.loan ? "in"
                                                          : view.loan->holder.empty()
                                                              ? "nobody"
                                                              : view.loan->holder);
        }
        return all;
    };
    const auto push = [&] {
        keys.seq = 0;
        return keys.push({taken("w34:000000111", 900'000, 1), taken("w34:000000222", 800'000, 2),
                          taken("w34:000000111", 300'000, 3)});
    };
    SECTION("told at once") {
        REQUIRE(push().kind == ReplyKind::ok);
        CHECK(holders() == "s-2 s-2 s-3");
    }
    SECTION("and after a restart of the daemon, and another import") {
        keys.house.reopen();
        keys.house.pass(2'000);
        REQUIRE(keys.house.import(with_staff("s-1,One,desk,w34:000000333,\n")).kind ==
                ReplyKind::ok);
        REQUIRE(push().kind == ReplyKind::ok);
        CHECK(holders() == "s-2 s-2 s-3");
    }
}

TEST_CASE("a reader beside contacts names who moved a key, early or late, and is acknowledged") {
    Contacts keys;
    CHECK(keys.badge("s-2", 9'000) ==
          R"({"ack":{"boot":9,"seq":1},"dup":0,"bad":[],"gap":[],"src":"kc-01/reader"})");
    REQUIRE(keys.push({keys.seen(T::door_opened, 8'000), keys.seen(T::key_removed, 7'000, 1),
                       keys.seen(T::door_closed, 5'000)})
                .kind == ReplyKind::ok);
    CHECK(keys.key("k-1").loan->holder == "s-2");
    CHECK(keys.key("k-1").loan->origin == KeyOrigin::derived);
    // The module and the reader count apart, and what the reader says is no word of the module.
    CHECK(keys.house.engine().snapshot()->keys->cabinets[0].seq == 3);
    // The badge comes after what it explains; until five seconds have passed nobody is alarmed.
    keys.house.pass(60'000);
    REQUIRE(
        keys.push({keys.seen(T::door_opened, 4'000), keys.seen(T::key_removed, 3'000, 2)}).kind ==
        ReplyKind::ok);
    CHECK(keys.key("k-2").loan->holder.empty());
    CHECK(keys.open_alerts().empty());
    keys.badge("s-3", 4'500);
    CHECK(keys.key("k-2").loan->holder == "s-3");
    keys.house.pass(60'000);
    CHECK(keys.open_alerts().empty());
    // And beyond them the alarm is taken back.
    REQUIRE(keys.push({keys.seen(T::door_closed, 9'000), keys.seen(T::door_opened, 6'000),
                       keys.seen(T::key_removed, 5'500, 3)})
                .kind == ReplyKind::ok);
    keys.house.pass(2'000);
    CHECK(keys.open_alerts() ==
          std::vector<std::string>{"cabinet_forced@kc-01", "key_moved_no_auth@k-3"});
    keys.badge("s-2", 8'500);
    keys.house.pass(2'000);
    CHECK(keys.key("k-3").loan->holder == "s-2");
    CHECK(keys.open_alerts().empty());
    // All of it is the same after a crash.
    keys.house.reopen();
    keys.house.pass(2'000);
    CHECK(keys.key("k-3").loan->holder == "s-2");
    CHECK(keys.house.proof().empty());
}

TEST_CASE("a reader's clock is set beside the contacts' by what it says of itself") {
    Contacts keys;
    REQUIRE(
        keys.push({keys.seen(T::door_opened, 8'000), keys.seen(T::key_removed, 7'000, 1)}).kind ==
        ReplyKind::ok);
    KeyPush push;
    push.source = "kc-01/reader";
    push.boot = 1;
    push.device_now = keys.house.clock.wall_ms() + 20'000;
    KeyEvent one;
    one.id = {push.source, 1, 1};
    one.type = T::access_granted;
    one.person = "s-2";
    one.at = *push.device_now - 9'000;
    push.events = {one};
    REQUIRE(keys.work(std::move(push)).kind == ReplyKind::ok);
    CHECK(keys.key("k-1").loan->holder == "s-2");
}

TEST_CASE("a reader's line is shown with its cabinet's: newest event, clock, and what is missing") {
    Contacts keys;
    const auto board = [&] {
        keys.house.step();
        return keys.house.engine().snapshot()->keys;
    };
    CHECK_FALSE(board()->cabinets[0].reader);
    const auto push = [&](std::int64_t seq, std::optional<std::int64_t> ahead_ms) {
        KeyPush one;
        one.source = "kc-01/reader";
        one.boot = 7;
        if (ahead_ms) one.device_now = keys.house.clock.wall_ms() + *ahead_ms;
        KeyEvent badge;
        badge.id = {one.source, 7, seq};
        badge.type = T::access_granted;
        badge.person = "s-2";
        badge.at = keys.house.clock.wall_ms();
        one.events = {badge};
        REQUIRE(keys.work(std::move(one)).kind == ReplyKind::ok);
    };
    push(41, std::nullopt);
    REQUIRE(board()->cabinets[0].reader);
    CHECK(board()->cabinets[0].reader->seq == 41);
    CHECK_FALSE(board()->cabinets[0].reader->skew_ms);
    const UtcMs heard = keys.house.clock.wall_ms();
    push(44, 20'000);
    REQUIRE(keys.push({keys.seen(T::door_opened, 0)}).kind == ReplyKind::ok);
    const auto check = [&] {
        const CabinetView& cabinet = board()->cabinets[0];
        REQUIRE(cabinet.reader);
        CHECK(cabinet.reader->source == "kc-01/reader");
        CHECK(cabinet.reader->boot == 7);
        CHECK(cabinet.reader->seq == 44);
        CHECK(cabinet.reader->last_event_at == heard);
        CHECK(cabinet.reader->gaps == std::vector<SeqGap>{{42, 43}});
        CHECK(cabinet.gaps.empty());
        CHECK(cabinet.seq == 1);
    };
    check();
    CHECK(board()->cabinets[0].reader->skew_ms == 20'000);
    keys.house.reopen();
    check();
}

TEST_CASE("nothing happens to a key before it was taken") {
    KeyHouse keys;
    keys.house.pass(3'600'000);
    KeyAct take = act_on("k-1", KeyAct::What::take);
    take.person = "s-2";
    take.at = iso(keys, 1'800'000);
    REQUIRE(keys.work(take).kind == ReplyKind::created);
    for (const auto what : {KeyAct::What::bring, KeyAct::What::hand, KeyAct::What::lose,
                            KeyAct::What::give, KeyAct::What::count}) {
        KeyAct early = act_on("k-1", what);
        early.at = iso(keys, 3'000'000);
        early.reason = "why";
        early.to = "s-3";
        early.present = true;
        const Reply reply = keys.work(early);
        CHECK(reply.kind == ReplyKind::invalid);
        REQUIRE(reply.errors.size() == 1);
        CHECK(reply.errors[0].pointer == "/at");
        CHECK(reply.errors[0].message.find("key k-1 was taken at " + take.at) != std::string::npos);
    }
    KeyAct back = act_on("k-1", KeyAct::What::bring);
    back.at = iso(keys, 1'200'000);
    CHECK(keys.work(back).kind == ReplyKind::ok);
    // The next one cannot have it before it was back.
    take.at = iso(keys, 1'500'000);
    CHECK(keys.work(take).errors.size() == 1);
}

TEST_CASE("a promise to be back is no extension, and a lead alone gives more time") {
    KeyHouse keys({"key_past_curfew", "key_overdue"});
    REQUIRE(keys.house.import(with_staff("s-7,Seven,head,,\ns-8,Eight,duty,,\ns-1,One,desk,,\n"))
                .kind == ReplyKind::ok);
    KeyAct take = act_on("k-1", KeyAct::What::take);
    take.person = "s-2";
    take.until = "2026-12-30T12:00";
    REQUIRE(keys.work(take).kind == ReplyKind::created);
    const Zone& zone = *kZone;
    const auto due = [&] { return format_iso8601(*keys.key("k-1").due_at, zone).substr(0, 16); };
    CHECK(due() == "2026-11-23T16:00");  // eight hours
    CHECK(keys.key("k-1").loan->return_by == parse_iso8601("2026-12-30T12:00", zone));
    KeyAct more = act_on("k-1", KeyAct::What::extend);
    more.until = "2026-11-24T09:00";
    more.reason = "the owner is away";
    const Reply refused = keys.work(more);
    REQUIRE(refused.errors.size() == 1);
    CHECK(refused.errors[0].pointer == "/by");
    keys.house.pass(11 * kHour);
    CHECK(keys.open_alerts() == std::vector<std::string>{"key_overdue@k-1", "key_past_curfew@k-1"});
    more.by = "s-8";
    CHECK(keys.work(more).kind == ReplyKind::ok);
    keys.house.pass(2'000);
    CHECK(keys.open_alerts().empty());
    CHECK(due() == "2026-11-24T09:00");
}

TEST_CASE("an attack is over when somebody has looked into it and nobody tried for ten minutes") {
    KeyHouse keys({"credential_attack"});
    const auto deny = [&] {
        KeyEvent one = keys.event(T::access_denied, 0, "s-2");
        one.detail = "wrong_pin";
        REQUIRE(keys.push({one}).kind == ReplyKind::ok);
        keys.house.pass(5'000);
    };
    for (int i = 0; i < 5; ++i) deny();
    REQUIRE(keys.open_alerts() == std::vector<std::string>{"credential_attack@kc-01"});
    CHECK(field(payload(keys), "count") == "1");
    acknowledge(keys);
    keys.house.pass(2'000);
    CHECK(keys.open_alerts().size() == 1);
    for (int i = 0; i < 3; ++i) deny();
    CHECK(field(payload(keys), "count") == "4");
    keys.house.pass(580'000);
    CHECK(keys.open_alerts().size() == 1);
    keys.house.pass(30'000);
    CHECK(keys.open_alerts().empty());
    for (int i = 0; i < 5; ++i) deny();
    CHECK(keys.open_alerts().size() == 1);
    CHECK(field(payload(keys), "count") == "1");
}

TEST_CASE("what happens again while its alert is open is counted and not told each time") {
    KeyHouse keys({"key_moved_no_auth"});
    const auto move = [&] {
        REQUIRE(
            keys.push({keys.event(T::key_removed, 0, "", 1), keys.event(T::key_returned, 0, "", 1)})
                .kind == ReplyKind::ok);
        keys.house.pass(5'000);
    };
    move();
    const std::size_t told = keys.house.events("alert.raised").size();
    move();
    move();
    CHECK(field(payload(keys), "count") == "6");
    CHECK(keys.house.events("alert.raised").size() == told);
    keys.house.reopen();
    keys.house.pass(5'000);
    move();
    CHECK(field(payload(keys), "count") == "8");
    acknowledge(keys);
    keys.house.pass(2'000);
    CHECK(keys.open_alerts().empty());
    CHECK(field(keys.house.events("alert.cleared").back().body, "count") == "8");
    move();
    CHECK(field(payload(keys), "count") == "2");
}

// What is counted of an alert is what is known to have happened, whatever came first.
TEST_CASE("an alert's count is that of what is known, whatever order it came in") {
    const auto tampers = [](KeyHouse& keys) {
        std::vector<KeyEvent> all;
        for (const bool begins : {true, true, false, true, true, true}) {
            all.push_back(keys.event(T::tamper, 60'000 - static_cast<int>(all.size()) * 1'000));
            all.back().begins = begins;
        }
        return all;
    };
    const std::vector<std::vector<int>> orders{
        {0, 1, 2, 3, 4, 5}, {5, 4, 3, 2, 1, 0}, {0, 1, 3, 4, 5, 2}, {4, 0, 5, 2, 1, 3}};
    for (const auto& order : orders) {
        KeyHouse keys({"tamper"});
        const auto all = tampers(keys);
        for (const int one : order) {
            REQUIRE(keys.push({all[static_cast<std::size_t>(one)]}).kind == ReplyKind::ok);
            keys.house.pass(2'000);
        }
        CHECK(keys.open_alerts() == std::vector<std::string>{"tamper@kc-01"});
        CHECK(field(payload(keys), "count") == "3");
        keys.house.reopen();
        keys.house.pass(2'000);
        CHECK(field(payload(keys), "count") == "3");
    }
}

TEST_CASE("what late events take back is counted no more, after a restart as well") {
    KeyHouse keys({"key_moved_no_auth"});
    std::vector<KeyEvent> moves;
    KeyEvent badge = keys.event(T::access_granted, 10'000, "s-2");
    KeyEvent opened = keys.event(T::door_opened, 9'000);
    for (int i = 0; i < 4; ++i)
        moves.push_back(
            keys.event(i % 2 == 0 ? T::key_removed : T::key_returned, 8'000 - i * 1'000, "", 1));
    KeyEvent closed = keys.event(T::door_closed, 3'900);
    KeyEvent alone = keys.event(T::key_removed, 1'000, "", 1);
    REQUIRE(keys.push({moves[0], moves[1], moves[2], moves[3], alone}).kind == ReplyKind::ok);
    CHECK(field(payload(keys), "count") == "5");
    keys.house.reopen();
    keys.house.pass(2'000);
    // The badge comes late: four of them were somebody's.
    REQUIRE(keys.push({badge, opened, closed}).kind == ReplyKind::ok);
    keys.house.pass(2'000);
    CHECK(keys.open_alerts() == std::vector<std::string>{"key_moved_no_auth@k-1"});
    CHECK(field(payload(keys), "count") == "1");
}

TEST_CASE("a hole that is filled after the fold looked there for the last time is closed") {
    KeyHouse keys({"log_gap"});
    REQUIRE(keys.push({keys.event(T::door_opened, 3'000, "s-2")}).kind == ReplyKind::ok);
    std::vector<KeyEvent> missing{keys.event(T::door_closed, 2'500), keys.event(T::power, 2'000)};
    REQUIRE(keys.push({keys.event(T::door_closed, 1'000)}).kind == ReplyKind::ok);
    keys.house.pass(700'000);
    REQUIRE(keys.open_alerts() == std::vector<std::string>{"log_gap@kc-01"});
    for (int i = 0; i < 80; ++i) keys.house.pass(3'600'000);
    keys.house.pass(120'000);
    REQUIRE(keys.open_alerts() == std::vector<std::string>{"log_gap@kc-01"});
    REQUIRE(keys.push({missing[0]}).kind == ReplyKind::ok);
    keys.house.pass(2'000);
    CHECK(keys.open_alerts().size() == 1);
    REQUIRE(keys.push({missing[1]}).kind == ReplyKind::ok);
    keys.house.pass(2'000);
    CHECK(keys.open_alerts().empty());
    CHECK(keys.house.events("cabinet.log_filled").size() == 1);
}
