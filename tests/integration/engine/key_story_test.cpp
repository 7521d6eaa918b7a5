// The one line of a flat, a person and a ticket: what joins a key with its ticket, and the alerts
// about it, stand there in their order; and what an alarm's end ends, however late it comes.
#include <algorithm>

#include "daemon/store/reader.hpp"
#include "tests/integration/engine/key_house.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

using T = KeyEventType;

// Kinds in order, alerts and links with what they are about.
std::vector<std::string> line(KeyHouse& keys, const std::string& about, std::uint64_t after = 0,
                              std::size_t limit = 100) {
    std::vector<std::string> all;
    for (const StoredEvent& event :
         StoreReader(keys.house.path()).events_about(about, after, limit)) {
        std::string one = event.kind;
        if (one.starts_with("alert.")) one += " " + field(event.body, "kind");
        if (one.starts_with("custody."))
            one += " " + field(event.body, "key") + " " + field(event.body, "link");
        all.push_back(one);
    }
    return all;
}

bool has(const std::vector<std::string>& lines, const std::string& one) {
    return std::find(lines.begin(), lines.end(), one) != lines.end();
}

}  // namespace

TEST_CASE("a flat's line has the links of its keys, and so has a person's") {
    KeyHouse keys;
    const std::string first = keys.ticket("u-1"), second = keys.ticket("u-2");
    REQUIRE(keys.move(first, TicketAction::dispatch).kind == ReplyKind::ok);
    REQUIRE(keys.push({keys.event(T::key_removed, 0, "s-2", 1)}).kind == ReplyKind::ok);
    CHECK(has(line(keys, "unit:u-1"), "custody.linked k-1 auto"));
    CHECK(has(line(keys, "staff:s-2"), "custody.linked k-1 auto"));
    CHECK_FALSE(has(line(keys, "unit:u-2"), "custody.linked k-1 auto"));
    // By hand it is another ticket's, of another flat; the first one loses it.
    TicketAct act;
    act.number = second;
    act.move.action = TicketAction::link;
    act.move.by = "s-1";
    act.key = "k-1";
    REQUIRE(keys.work(act).kind == ReplyKind::ok);
    CHECK(has(line(keys, "unit:u-1"), "custody.linked k-1 linked"));
    CHECK(has(line(keys, "unit:u-2"), "custody.linked k-1 linked"));
    for (const std::string& about : {std::string("unit:u-1"), "ticket:" + first}) {
        const auto story = line(keys, about);
        REQUIRE(has(story, "custody.unlinked k-1 auto"));
        CHECK(std::find(story.begin(), story.end(), "custody.linked k-1 auto") <
              std::find(story.begin(), story.end(), "custody.unlinked k-1 auto"));
    }
    CHECK(keys.house.proof().empty());
}

TEST_CASE("a link made by hand is undone by hand, with a reason, in rows of its own") {
    KeyHouse keys;
    const std::string first = keys.ticket("u-1"), second = keys.ticket("u-2");
    REQUIRE(keys.move(first, TicketAction::dispatch).kind == ReplyKind::ok);
    REQUIRE(keys.push({keys.event(T::key_removed, 0, "s-2", 1)}).kind == ReplyKind::ok);
    TicketAct act;
    act.number = second;
    act.move.action = TicketAction::link;
    act.move.by = "s-1";
    act.key = "k-1";
    REQUIRE(keys.work(act).kind == ReplyKind::ok);
    CHECK(keys.key("k-1").links.front().ticket == second);
    TicketAct undo = act;
    undo.move.action = TicketAction::unlink;
    undo.move.by = "s-3";
    Reply reply = keys.work(undo);
    REQUIRE(reply.errors.size() == 1);
    CHECK(reply.errors[0].pointer == "/reason");
    undo.move.reason = "the wrong slip";
    undo.number = first;  // that one was concluded
    reply = keys.work(undo);
    REQUIRE(reply.errors.size() == 1);
    CHECK(reply.errors[0].pointer == "/key");
    undo.number = second;
    if (GENERATE(false, true)) keys.house.reopen();
    keys.house.pass(2'000);
    reply = keys.work(undo);
    REQUIRE(reply.kind == ReplyKind::ok);
    CHECK(reply.json.find("the wrong slip") != std::string::npos);
    // What the box concludes stands again.
    CHECK(keys.key("k-1").links.front().ticket == first);
    CHECK(keys.key("k-1").links.front().kind == KeyLinkKind::auto_);
    CHECK(has(line(keys, "unit:u-2"), "custody.unlinked k-1 linked"));
    CHECK(has(line(keys, "ticket:" + second), "ticket.unlinked"));
    CHECK(has(line(keys, "staff:s-3"), "custody.unlinked k-1 linked"));
    const auto told = keys.house.events("custody.unlinked").back();
    CHECK(field(told.body, "by") == "s-3");
    CHECK(field(told.body, "origin") == "manual");
    CHECK(keys.work(undo).kind == ReplyKind::invalid);  // once
    keys.house.reopen();
    keys.house.pass(2'000);
    CHECK(keys.key("k-1").links.front().ticket == first);
    CHECK(keys.house.proof().empty());
}

TEST_CASE("a person's line has what that person did, and nobody else's") {
    KeyHouse keys({"key_moved_no_auth"});
    const std::string number = keys.ticket("u-1");  // s-1
    TicketAct sent;
    sent.number = number;
    sent.move.action = TicketAction::dispatch;
    sent.move.by = "s-3";
    sent.move.crew = {"s-2"};
    REQUIRE(keys.work(sent).kind == ReplyKind::ok);
    REQUIRE(keys.push({keys.event(T::key_removed, 0, "", 1)}).kind == ReplyKind::ok);
    AckAlert ack;
    REQUIRE(keys.house.engine().snapshot()->open_alerts.size() == 1);
    ack.alert = keys.house.engine().snapshot()->open_alerts[0]->id;
    ack.by = "s-3";
    ack.via = "visit";
    REQUIRE(keys.house.ask(ack).kind == ReplyKind::ok);
    WriteRegister given;
    given.kind = "document";
    given.event = "document.issued";
    given.subject = "rules";
    given.by = "s-1";
    given.body = R"({"name":"rules","receiver":"somebody","by":"s-1"})";
    given.log_body = R"({"by":"s-1"})";
    REQUIRE(keys.work(given).kind == ReplyKind::created);
    WriteRegister sheet = given;
    sheet.kind = "handover";
    sheet.event = "unit.handover";
    sheet.unit = "u-2";
    sheet.second = "s-3";
    sheet.body = sheet.log_body =
        R"({"direction":"in","readings":[{"meter":"m-1","register":"7"}],"by":"s-1",)"
        R"("second":"s-3"})";
    REQUIRE(keys.work(sheet).kind == ReplyKind::created);
    const auto one = line(keys, "staff:s-1"), three = line(keys, "staff:s-3");
    for (const char* kind : {"ticket.reported", "document.issued", "unit.handover"})
        CHECK(has(one, kind));
    for (const char* kind :
         {"ticket.dispatched", "alert.acknowledged key_moved_no_auth", "unit.handover"})
        CHECK(has(three, kind));
    CHECK_FALSE(has(one, "ticket.dispatched"));
    CHECK_FALSE(has(three, "document.issued"));
    CHECK(has(line(keys, "meter:m-1"), "unit.handover"));
}

TEST_CASE("a flat's line has the alerts about its keys, as far as they name flats") {
    KeyHouse keys;
    FileTexts files;
    files["keys.csv"] =
        "key,class,cabinet,slot,opens\nk-1,entrusted,kc-01,1,u-1\nk-2,vacant,kc-01,2,u-2\n"
        "k-3,vacant,kc-01,3,u-3\nk-4,vacant,kc-01,4,u-1;u-2\n";
    REQUIRE(keys.house.import(files).kind == ReplyKind::ok);
    REQUIRE(keys.push({keys.event(T::key_removed, 0, "s-2", 4)}).kind == ReplyKind::ok);
    keys.house.pass(16 * 60'000);
    REQUIRE(keys.push({keys.event(T::key_returned, 0, "s-2", 4)}).kind == ReplyKind::ok);
    keys.house.pass(2'000);
    const std::vector<std::string> told{"key.removed", "alert.raised key_out_no_ticket",
                                        "key.returned", "alert.cleared key_out_no_ticket"};
    CHECK(line(keys, "unit:u-1") == told);
    CHECK(line(keys, "unit:u-2") == told);
    CHECK(line(keys, "unit:u-3").empty());
    // And nobody signed in: a fact about the key.
    REQUIRE(keys.push({keys.event(T::key_removed, 0, "", 3)}).kind == ReplyKind::ok);
    CHECK(line(keys, "unit:u-3") ==
          std::vector<std::string>{"key.removed", "alert.raised key_moved_no_auth"});
    // Page by page, the same.
    const auto rows = StoreReader(keys.house.path()).events_about("unit:u-1", 0, 2);
    REQUIRE(rows.size() == 2);
    CHECK(line(keys, "unit:u-1", rows.back().seq, 2) ==
          std::vector<std::string>(told.begin() + 2, told.end()));
}

TEST_CASE("a key for everywhere is in the line of the flat whose ticket it was taken for") {
    KeyHouse keys;
    FileTexts files;
    std::string everywhere;
    files["units.csv"] = "unit,label\n";
    for (int i = 1; i <= 25; ++i) {
        files["units.csv"] += "u-" + std::to_string(i) + ",Flat " + std::to_string(i) + "\n";
        everywhere += (i == 1 ? "u-" : ";u-") + std::to_string(i);
    }
    files["keys.csv"] =
        "key,class,cabinet,slot,opens\nk-1,entrusted,kc-01,1,u-1\nk-2,vacant,kc-01,2,u-2\n"
        "k-3,vacant,kc-01,3,u-3\nk-4,vacant,kc-01,4," +
        everywhere + "\n";
    REQUIRE(keys.house.import(files).kind == ReplyKind::ok);
    REQUIRE(keys.move(keys.ticket("u-1"), TicketAction::dispatch).kind == ReplyKind::ok);
    REQUIRE(keys.push({keys.event(T::key_removed, 0, "s-2", 4)}).kind == ReplyKind::ok);
    CHECK(has(line(keys, "unit:u-1"), "custody.linked k-4 auto"));
    CHECK(line(keys, "unit:u-2").empty());
    keys.house.pass(9 * kHour);
    CHECK(has(line(keys, "unit:u-1"), "alert.raised key_overdue"));
    CHECK(line(keys, "unit:u-2").empty());
}

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

TEST_CASE("a board that counts anew under the same boot loses nothing, whatever its clock says") {
    const std::int64_t behind_ms = GENERATE(0, 30'000, 3'600'000);
    CAPTURE(behind_ms);
    KeyHouse keys;
    std::vector<KeyEvent> before;
    for (int i = 0; i < 4; ++i)
        before.push_back(keys.event(i % 2 == 0 ? T::key_removed : T::key_returned,
                                    200'000 - i * 55'000, "s-2", 1));
    REQUIRE(keys.push(before).kind == ReplyKind::ok);
    keys.seq = 0;
    const auto later = [&](KeyEventType type, std::int64_t ago_ms, int slot) {
        return keys.event(type, ago_ms + behind_ms, "s-3", slot);
    };
    // Its third says what the third of before said, and its fifth has a number that is free.
    const std::vector<KeyEvent> after{
        later(T::boot, 25'000, 0), later(T::duress, 20'000, 0), later(T::key_removed, 18'000, 1),
        later(T::access_granted, 17'000, 0), later(T::key_removed, 15'000, 2)};
    const Reply reply = keys.push(after);
    CHECK(field(reply.json, "dup") == "0");
    CHECK(reply.json.find(R"("bad":[])") != std::string::npos);
    CHECK(reply.json.find(R"("ack":{"boot":1,"seq":5})") != std::string::npos);
    CHECK(keys.house.events("cabinet.log_restarted").size() == 1);
    CHECK(keys.house.events("cabinet.duress").size() == 1);
    CHECK(field(keys.push(after).json, "dup") == "5");
    CHECK(field(keys.push(before).json, "dup") == "4");
    CHECK(keys.key("k-2").place == KeyPlace::out);
    if (behind_ms == 0) CHECK(keys.key("k-1").place == KeyPlace::out);
    CHECK(keys.house.proof().empty());
}

TEST_CASE("a restart of the box makes no silent cabinet heard, and misses who was heard before") {
    KeyHouse keys;
    const auto offline = [&] {
        const auto open = keys.open_alerts();
        return std::count(open.begin(), open.end(), "cabinet_offline@kc-01");
    };
    REQUIRE(keys.push({}).kind == ReplyKind::ok);
    keys.house.reopen();
    keys.house.pass(4 * kMinute);
    CHECK(offline() == 0);
    keys.house.pass(kMinute + 2'000);
    CHECK(offline() == 1);
    keys.house.reopen();
    keys.house.pass(2'000);
    CHECK(offline() == 1);
    CHECK(keys.house.events("alert.raised").size() == 1);
    REQUIRE(keys.push({}).kind == ReplyKind::ok);
    keys.house.pass(2'000);
    CHECK(offline() == 0);
    CHECK(keys.house.events("cabinet.online").size() == 1);
    CHECK(keys.house.proof().empty());
}

TEST_CASE("what was taken back for want of its neighbours is told again once they are there") {
    KeyHouse keys({"returned_by_other"});
    const std::vector<KeyEvent> all{keys.event(T::key_removed, 40'000, "s-2", 1),
                                    keys.event(T::key_returned, 30'000, "s-2", 1),
                                    keys.event(T::key_removed, 20'000, "s-2", 1),
                                    keys.event(T::key_returned, 10'000, "s-3", 1)};
    const auto told = [&] {
        const auto open = keys.open_alerts();
        return std::count(open.begin(), open.end(), "returned_by_other@k-1");
    };
    REQUIRE(keys.push({all[0], all[3]}).kind == ReplyKind::ok);
    CHECK(told() == 1);
    REQUIRE(keys.push({all[1]}).kind == ReplyKind::ok);
    CHECK(told() == 0);
    REQUIRE(keys.push({all[2]}).kind == ReplyKind::ok);
    CHECK(told() == 1);
    CHECK(keys.house.proof().empty());
}

TEST_CASE("a door that its cabinet says is held open is worse after five minutes") {
    KeyHouse keys({"door_held"});
    REQUIRE(keys.push({keys.event(T::door_held, 0)}).kind == ReplyKind::ok);
    keys.house.pass(2'000);
    CHECK(keys.house.events("alert.escalated").empty());
    keys.house.pass(5 * kMinute + 2'000);
    const auto worse = keys.house.events("alert.escalated");
    REQUIRE(worse.size() == 1);
    CHECK(field(worse[0].body, "level") == "3");
    CHECK(StoreReader(keys.house.path()).events_about("cabinet:kc-01", 0, 100).size() == 3);
}
