// People and keys over the engine: hand-overs that both say, move-ins that somebody must enter, and
// who has left.
#include <algorithm>

#include "tests/integration/engine/key_house.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

using T = KeyEventType;

}  // namespace

TEST_CASE("a hand-over waits for the other one ten minutes, a restart included") {
    KeyHouse keys;
    REQUIRE(keys.push({keys.event(T::key_removed, 0, "s-2", 1)}).kind == ReplyKind::ok);
    const auto act = [&](KeyAct::What what, const char* by, const char* to = "") {
        KeyAct one;
        one.what = what;
        one.key = "k-1";
        one.by = by;
        one.to = to;
        return keys.work(one);
    };
    using W = KeyAct::What;
    CHECK(act(W::offer, "s-2", "s-9").errors.at(0).pointer == "/to");
    REQUIRE(act(W::offer, "s-2", "s-3").kind == ReplyKind::ok);
    keys.house.reopen();
    keys.house.pass(400'000);
    REQUIRE(keys.key("k-1").loan->offered);
    keys.house.pass(210'000);
    CHECK_FALSE(keys.key("k-1").loan->offered);
    CHECK(keys.key("k-1").loan->holder == "s-2");
    REQUIRE(keys.house.events("key.lapsed").size() == 1);
    CHECK(field(keys.house.events("key.lapsed")[0].body, "origin") == "derived");
    CHECK(act(W::confirm, "s-3").type == "no-offer");
    REQUIRE(act(W::offer, "s-3").kind == ReplyKind::ok);
    CHECK(act(W::confirm, "s-3").errors.at(0).pointer == "/by");
    REQUIRE(act(W::confirm, "s-2").kind == ReplyKind::ok);
    CHECK(keys.key("k-1").loan->holder == "s-3");
    const auto handed = keys.house.events("key.handed");
    REQUIRE(handed.size() == 1);
    CHECK(field(handed[0].body, "by") == "s-3");
    CHECK(field(handed[0].body, "second") == "s-2");
    REQUIRE(act(W::offer, "s-3", "s-1").kind == ReplyKind::ok);
    REQUIRE(act(W::decline, "s-1").kind == ReplyKind::ok);
    keys.house.pass(kHour);
    CHECK(keys.house.events("key.lapsed").size() == 1);
    REQUIRE(keys.push({keys.event(T::key_returned, 0, "s-3", 1)}).kind == ReplyKind::ok);
    CHECK(keys.open_alerts().empty());
    CHECK(keys.house.proof().empty());
}

TEST_CASE("a move-in that nobody entered is told a day after the key was given") {
    KeyHouse keys;
    KeyAct given;
    given.what = KeyAct::What::give;
    given.key = "k-2";
    given.by = "s-1";
    given.reason = "the owner has moved in";
    REQUIRE(keys.work(given).kind == ReplyKind::ok);
    const auto told = [&] {
        const auto open = keys.open_alerts();
        return std::count(open.begin(), open.end(), "movein_not_entered@u-2");
    };
    for (int i = 0; i < 23; ++i) keys.house.pass(kHour);
    CHECK(told() == 0);
    for (int i = 0; i < 2; ++i) keys.house.pass(kHour);
    CHECK(told() == 1);
    WriteRegister record;
    record.kind = "handover";
    record.event = "unit.handover";
    record.unit = "u-2";
    record.by = "s-1";
    record.body = R"({"direction":"in","keys":{"door":"5"}})";
    REQUIRE(keys.work(record).kind == ReplyKind::created);
    keys.house.pass(kHour);
    // Whose flat it is stands nowhere yet.
    CHECK(told() == 1);
    FileTexts files;
    files["people.csv"] = "person,kind,name,unit\np-1,owner,Somebody,u-2\n";
    REQUIRE(keys.house.import(files).kind == ReplyKind::ok);
    keys.house.pass(2'000);
    CHECK(told() == 0);
    keys.house.reopen();
    for (int i = 0; i < 30; ++i) keys.house.pass(kHour);
    CHECK(told() == 0);
}

TEST_CASE("nobody who has left is sent") {
    KeyHouse keys;
    const std::string number = keys.ticket("u-1");
    FileTexts files;
    files["staff.csv"] =
        "staff,name,roles,active_to\ns-1,One,desk,\ns-2,Two,tech,2020-01-01\ns-3,Three,tech,\n";
    REQUIRE(keys.house.import(files).kind == ReplyKind::ok);
    const Reply refused = keys.move(number, TicketAction::dispatch);
    REQUIRE(refused.errors.size() == 1);
    CHECK(refused.errors[0].pointer == "/crew/0");
    CHECK(refused.errors[0].message ==
          "`s-2` left on 2020-01-01 (staff.csv); name somebody who is there");
}
