// What the desk writes down of keys that no cabinet watches, over the engine and a real store:
// seals that are opened and renewed, and what is counted.
#include "daemon/engine/key_codec.hpp"
#include "tests/integration/engine/key_house.hpp"
#include "tests/integration/store/other_hand.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

using W = KeyAct::What;

struct Drawer : KeyHouse {
    Drawer() {
        FileTexts files;
        files["keys.csv"] =
            "key,class,place,count,opens,seal_no\nk-7,reserve_sealed,safe,,u-1,F-1\n"
            "k-8,reserve_sealed,safe,,u-2,F-8\nk-9,equipment,drawer,3,u-3,\n";
        REQUIRE(house.import(files).kind == ReplyKind::ok);
        house.pass(2'000);
    }
    static KeyAct act(const std::string& key, W what) {
        KeyAct one;
        one.key = key;
        one.what = what;
        one.by = "s-1";
        one.reason = "water comes through the ceiling";
        return one;
    }
    // What is wrong with it: the field, else the kind of the problem.
    std::string refused(const KeyAct& one) {
        const Reply reply = work(one);
        if (reply.kind == ReplyKind::ok) return "";
        return reply.errors.empty() || reply.errors[0].pointer.empty() ? reply.type
                                                                       : reply.errors[0].pointer;
    }
};

}  // namespace

TEST_CASE_METHOD(Drawer, "a seal is opened by two with a reason, and renewed with another number") {
    KeyAct open = act("k-7", W::unseal);
    CHECK(refused(open) == "/second");
    open.second = "s-1";
    CHECK(refused(open) == "/second");
    open.second = "s-2";
    open.reason.clear();
    CHECK(refused(open) == "/reason");
    open.reason = "water comes through the ceiling";
    CHECK(refused(act("k-9", W::unseal)) == "no-seal");
    CHECK(house.events("key.unsealed").empty());
    REQUIRE(work(open).kind == ReplyKind::ok);
    CHECK(refused(open) == "seal-broken");
    const auto opened = house.events("key.unsealed");
    REQUIRE(opened.size() == 1);
    CHECK(field(opened[0].body, "seal_no") == "F-1");
    CHECK(field(opened[0].body, "person") == "s-1");
    CHECK(field(opened[0].body, "second") == "s-2");
    CHECK(opened[0].body.find("ceiling") == std::string::npos);
    house.reopen();
    house.pass(kMinute);
    REQUIRE(key("k-7").seal);
    CHECK(key("k-7").seal->broken);
    CHECK_FALSE(key("k-8").seal->broken);
    KeyAct renew = act("k-7", W::seal);
    renew.second = "s-3";
    CHECK(refused(renew) == "/seal_no");
    renew.seal_no = "F-8";
    CHECK(refused(renew) == "/seal_no");
    renew.seal_no = "F-2";
    renew.at = "2026-11-22T08:00";
    CHECK(refused(renew) == "/at");
    renew.at.clear();
    const Reply done = work(renew);
    REQUIRE(done.kind == ReplyKind::ok);
    CHECK(done.json.find(R"("seal":{"no":"F-2","state":"intact","person":"s-1","second":"s-3")") !=
          std::string::npos);
    CHECK(refused(renew) == "sealed");
    // Folded into the base for good it is the same.
    house.pass(4 * kDay);
    for (int i = 0; i < 3; ++i) house.pass(kMinute);
    house.reopen();
    CHECK(key("k-7").seal->number == "F-2");
    CHECK_FALSE(key("k-7").seal->broken);
    CHECK(house.proof().empty());
}

TEST_CASE_METHOD(Drawer,
                 "what is counted keeps what the books said then, and who counted with whom") {
    KeyAct taken = act("k-8", W::take);
    taken.person = "s-2";
    taken.second = "s-3";
    REQUIRE(work(taken).kind == ReplyKind::created);
    const auto count = [&](const char* key, std::optional<int> pieces) {
        KeyAct one = act(key, W::count);
        one.second = "s-3";
        one.counted = pieces;
        if (!pieces) one.present = false;
        return refused(one);
    };
    KeyAct alone = act("k-9", W::count);
    alone.second = "s-1";
    alone.present = true;
    CHECK(refused(alone) == "/second");
    alone.second = "s-7";
    CHECK(refused(alone) == "/second");
    CHECK(count("k-9", 2).empty());
    CHECK(count("k-8", std::nullopt).empty());
    house.pass(kMinute);
    KeyAct back = act("k-8", W::bring);
    REQUIRE(work(back).kind == ReplyKind::ok);
    house.reopen();
    StoreReader reader(house.path());
    const UtcMs now = house.clock.wall_ms();
    const auto rows = reader.key_books().counts_between(now - kHour, now, 10);
    REQUIRE(rows.size() == 2);
    KeyEvent bunch, away;
    from_book(rows[0].body, bunch);
    from_book(rows[1].body, away);
    REQUIRE((bunch.expected && away.expected));
    CHECK(bunch.expected->place == "in");
    CHECK(bunch.expected->pieces == 3);
    CHECK(bunch.present == std::vector<int>{2});
    CHECK(bunch.second == "s-3");
    CHECK(away.expected->place == "out");
    CHECK(away.expected->holder == "s-2");
    CHECK(away.present.empty());
    CHECK(reader.key_books().counts_between(now - kHour, now, 1).size() == 1);
    CHECK(reader.key_books().counts_between(now, now + kHour, 10).empty());
}

// Books of a version that kept the time which was promised with a removal as if a lead had given
// it.
TEST_CASE_METHOD(Drawer, "what older books promised is a promise again after a restart") {
    const UtcMs promised = house.clock.wall_ms() + 6 * kDay, given = promised + kDay;
    const auto zone = make_zone(house.options.timezone);
    KeyAct take = act("k-9", W::take);
    take.person = "s-2";
    take.until = format_iso8601(promised, *zone);
    REQUIRE(work(take).kind == ReplyKind::created);
    take.key = "k-8";
    take.second = "s-3";
    REQUIRE(work(take).kind == ReplyKind::created);
    KeyAct more = act("k-8", W::extend);
    more.by = "s-9";
    more.until = format_iso8601(given, *zone);
    FileTexts lead;
    lead["staff.csv"] = "staff,name,roles\ns-9,Nine,head\n";
    REQUIRE(house.import(lead).kind == ReplyKind::ok);
    REQUIRE(work(more).kind == ReplyKind::ok);
    // Beyond the window: from the base, and from nothing else.
    house.pass(4 * kDay);
    for (int i = 0; i < 3; ++i) house.pass(kMinute);
    house.crash();
    {
        OtherHand hand(house.path());
        for (const char* table : {"key_base", "key_loan"}) {
            const bool base = std::string(table) == "key_base";
            const std::string at = base ? "$.loan." : "$.";
            const std::string which = base ? "kind='key' AND id='k-9'" : "key='k-9'";
            REQUIRE(hand.run("UPDATE " + std::string(table) +
                             " SET body=json_remove(json_set(body,'" + at +
                             "extended_until',json_extract(body,'" + at + "return_by')),'" + at +
                             "return_by') WHERE " + which)
                        .empty());
        }
    }
    house.open();
    house.pass(2'000);
    const auto check = [&] {
        REQUIRE(key("k-9").loan);
        CHECK(key("k-9").loan->return_by == promised);
        CHECK_FALSE(key("k-9").loan->extended_until);
        REQUIRE(key("k-8").loan);
        CHECK(key("k-8").loan->return_by == promised);
        CHECK(key("k-8").loan->extended_until == given);
        CHECK(key("k-8").due_at == given);
        // A promise makes nothing due later than the curfew does.
        CHECK(*key("k-9").due_at < promised);
    };
    check();
    const auto row = StoreReader(house.path()).key_books().loans_of("k-9", 1);
    REQUIRE(row.size() == 1);
    CHECK(row[0].body.find("extended_until") == std::string::npos);
    house.reopen();
    house.pass(2'000);
    check();
    CHECK(house.proof().empty());
}

TEST_CASE_METHOD(Drawer, "what is lost or given away is so once, and a key goes on to another") {
    REQUIRE(work(act("k-9", W::lose)).kind == ReplyKind::ok);
    CHECK(house.events("ticket.reported").size() == 1);
    for (const W what : {W::lose, W::give}) CHECK(refused(act("k-9", what)) == "key-gone");
    CHECK(house.events("ticket.reported").size() == 1);
    CHECK(house.events("key.lost").size() == 1);
    REQUIRE(work(act("k-9", W::find)).kind == ReplyKind::ok);
    REQUIRE(work(act("k-9", W::give)).kind == ReplyKind::ok);
    for (const W what : {W::lose, W::give}) CHECK(refused(act("k-9", what)) == "key-gone");
    KeyAct again = act("k-9", W::take);
    again.person = "s-2";
    CHECK(refused(again) == "key-gone");
    CHECK(house.events("key.given").size() == 1);
    CHECK(key("k-9").place == KeyPlace::given);
    KeyAct take = act("k-1", W::take);
    take.person = "s-2";
    REQUIRE(work(take).kind == ReplyKind::created);
    KeyAct hand = act("k-1", W::hand);
    hand.to = "s-2";
    CHECK(refused(hand) == "/to");
    CHECK(house.events("key.handed").empty());
    hand.to = "s-3";
    CHECK(refused(hand).empty());
}
