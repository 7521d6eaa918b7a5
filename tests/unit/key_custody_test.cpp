// Who has which key: tables that read as the day at a cabinet, and the property that arrival order
// changes nothing.
#include "daemon/core/key_custody.hpp"

#include <algorithm>
#include <random>

#include "tests/support/catch.hpp"

using namespace gatehouse;

namespace {

constexpr std::int64_t kSecondMs = 1'000;
constexpr UtcMs kDay = 1'800'000'000'000;

std::vector<Key> some_keys() {
    std::vector<Key> keys(4);
    const char* names[] = {"k-1", "k-2", "k-3", "k-4"};
    for (std::size_t i = 0; i < keys.size(); ++i) {
        keys[i].key = names[i];
        keys[i].cabinet = i < 3 ? "kc-01" : "";
        if (i < 3) keys[i].slot = static_cast<int>(i) + 1;
        keys[i].opens = {"u-" + std::to_string(i + 1)};
    }
    keys[1].needs_second = true;
    keys[2].tag = "E004";
    return keys;
}

KeyEvent event(std::int64_t seq, KeyEventType type, std::int64_t second, std::string person = "",
               int slot = 0) {
    KeyEvent one;
    one.id = {"kc-01", 1, seq};
    one.type = type;
    one.at = kDay + second * kSecondMs;
    one.person = std::move(person);
    if (slot > 0) one.slot = slot;
    return one;
}

struct House {
    std::vector<Key> keys = some_keys();
    KeyIndex index = index_keys(keys);
    Custody custody;
    CustodyFindings findings;

    void play(std::vector<KeyEvent> events) {
        sort_events(events);
        for (const KeyEvent& one : events) apply(custody, one, index, findings);
    }
    const KeyState& key(const std::string& id) { return custody.keys.at(id); }
    std::string facts() const {
        std::string text;
        for (const KeyFact& fact : findings.facts)
            text += (text.empty() ? "" : " ") + std::string(to_string(fact.kind)) + "@" +
                    fact.subject + (fact.over_at ? "-" : "");
        return text;
    }
};

using T = KeyEventType;

}  // namespace

TEST_CASE("one badge, one key: it is that person's, and it was concluded") {
    House house;
    house.play({event(1, T::access_granted, 0, "s-1"), event(2, T::door_opened, 2),
                event(3, T::key_removed, 5, "", 1), event(4, T::door_closed, 9)});
    REQUIRE(house.key("k-1").loan);
    CHECK(house.key("k-1").place == KeyPlace::out);
    CHECK(house.key("k-1").loan->holder == "s-1");
    CHECK(house.key("k-1").loan->origin == KeyOrigin::derived);
    CHECK(house.facts().empty());
}

TEST_CASE("no badge: the cabinet saw it go, and nobody is named") {
    House house;
    house.play({event(1, T::key_removed, 0, "", 1), event(2, T::key_returned, 60, "", 1)});
    REQUIRE(house.findings.moved.size() == 2);
    for (const KeyMoved& moved : house.findings.moved) {
        CHECK(moved.person.empty());
        CHECK(moved.origin == KeyOrigin::device);
    }
    // What the box itself concludes from contacts stays its conclusion.
    House contacts;
    KeyEvent seen = event(1, T::key_removed, 0, "", 1);
    seen.origin = KeyOrigin::derived;
    contacts.play({seen});
    CHECK(contacts.key("k-1").loan->origin == KeyOrigin::derived);
}

TEST_CASE("a hand-over that both say") {
    KeyLoan loan;
    loan.key = "k-1";
    loan.holder = "s-1";
    const auto step = [&](OfferStep what, const char* by, const char* to, std::int64_t second) {
        const auto judged = step_offer(loan, what, by, to, kDay + second * kSecondMs);
        if (const auto* refused = std::get_if<OfferRefusal>(&judged))
            return refused->type + refused->pointer;
        const auto& offer = std::get<KeyOffer>(judged);
        if (what == OfferStep::offer) loan.offered = offer;
        return offer.from + ">" + offer.to + " by " + offer.by;
    };
    using S = OfferStep;
    CHECK(step(S::confirm, "s-2", "", 0) == "no-offer");
    CHECK(step(S::offer, "s-1", "", 0) == "invalid/to");
    CHECK(step(S::offer, "s-1", "s-1", 0) == "invalid/to");
    CHECK(step(S::offer, "s-3", "s-2", 0) == "invalid/to");
    SECTION("its holder begins") {
        CHECK(step(S::offer, "s-1", "s-2", 0) == "s-1>s-2 by s-1");
        CHECK(step(S::offer, "s-1", "s-3", 1) == "key-offered");
        CHECK(step(S::confirm, "s-1", "", 1) == "invalid/by");
        CHECK(step(S::confirm, "s-3", "", 1) == "invalid/by");
        CHECK(step(S::decline, "s-3", "", 1) == "invalid/by");
        CHECK(step(S::decline, "s-1", "", 1) == "s-1>s-2 by s-1");
        CHECK(step(S::confirm, "s-2", "", 599) == "s-1>s-2 by s-1");
        CHECK(step(S::confirm, "s-2", "", 600) == "no-offer");
    }
    SECTION("or who takes it over") {
        CHECK(step(S::offer, "s-2", "", 0) == "s-1>s-2 by s-2");
        CHECK(step(S::confirm, "s-2", "", 1) == "invalid/by");
        CHECK(step(S::confirm, "s-1", "", 1) == "s-1>s-2 by s-2");
    }
    SECTION("nobody gives what nobody is known to have") {
        loan.holder.clear();
        CHECK(step(S::offer, "s-2", "", 0) == "no-holder");
    }
}

TEST_CASE("what one of the two said moves nothing until the other does") {
    House house;
    const auto said = [](std::int64_t seq, KeyEventType type, std::int64_t second) {
        KeyEvent one = event(seq, type, second, "s-1");
        one.id.source = kDeskSource;
        one.key = "k-1";
        one.to = "s-2";
        one.by = "s-1";
        one.origin = KeyOrigin::manual;
        return one;
    };
    house.play({event(1, T::key_removed, 0, "s-1", 1), said(1, T::key_offered, 10)});
    CHECK(house.key("k-1").loan->holder == "s-1");
    CHECK(house.key("k-1").loan->offered == KeyOffer{"s-1", "s-2", "s-1", kDay + 10 * kSecondMs});
    house.play({said(2, T::key_lapsed, 610)});
    CHECK(house.key("k-1").loan->holder == "s-1");
    CHECK_FALSE(house.key("k-1").loan->offered);
    KeyEvent handed = said(4, T::key_handed, 630);
    handed.second = "s-2";
    house.play({said(3, T::key_offered, 620), handed});
    CHECK(house.key("k-1").loan->holder == "s-2");
    CHECK_FALSE(house.key("k-1").loan->offered);
    CHECK(house.key("k-1").loan->handed.back().second == "s-2");
    house.play({said(5, T::key_offered, 640), event(2, T::key_returned, 650, "s-2", 1)});
    REQUIRE(house.findings.ended.size() == 1);
    CHECK_FALSE(house.findings.ended[0].offered);
    CHECK(house.facts().empty());
}

TEST_CASE("two badges in one open door: nobody is named") {
    House house;
    house.play({event(1, T::access_granted, 0, "s-1"), event(2, T::door_opened, 2),
                event(3, T::access_granted, 4, "s-2"), event(4, T::key_removed, 6, "", 1)});
    REQUIRE(house.key("k-1").loan);
    CHECK(house.key("k-1").loan->holder.empty());
    CHECK(house.key("k-1").loan->candidates == std::vector<std::string>{"s-1", "s-2"});
    CHECK(house.facts() == "ambiguous_holder@k-1");
}

TEST_CASE("the next badge at a shut door ends the session before it") {
    House house;
    house.play({event(1, T::access_granted, 0, "s-1"), event(2, T::door_opened, 2),
                event(3, T::key_removed, 3, "", 1), event(4, T::door_closed, 5),
                event(5, T::access_granted, 6, "s-2"), event(6, T::door_opened, 7),
                event(7, T::key_removed, 9, "", 3)});
    CHECK(house.key("k-1").loan->holder == "s-1");
    CHECK(house.key("k-3").loan->holder == "s-2");
    CHECK(house.facts().empty());
}

TEST_CASE("a session ends two seconds after the door, and after two minutes of nothing") {
    struct Row {
        std::int64_t closed, removed;
        const char* holder;
        const char* facts;
    };
    const Row rows[] = {
        {10, 12, "s-1", ""},
        {10, 13, "", "key_moved_no_auth@k-1"},
        {0, 120, "s-1", ""},
        {0, 121, "", "key_moved_no_auth@k-1"},
    };
    for (const Row& row : rows) {
        House house;
        std::vector<KeyEvent> events{event(1, T::access_granted, 0, "s-1"),
                                     event(2, T::door_opened, 0)};
        if (row.closed > 0) events.push_back(event(3, T::door_closed, row.closed));
        events.push_back(event(4, T::key_removed, row.removed, "", 1));
        if (row.closed == 0) events.back().id.seq = 3;
        house.play(events);
        INFO("closed at " << row.closed << ", removed at " << row.removed);
        CHECK(house.key("k-1").loan->holder == row.holder);
        CHECK(house.facts() == row.facts);
    }
}

TEST_CASE("a cabinet that knows who: device, and who brings another's key is told") {
    House house;
    house.play({event(1, T::key_removed, 0, "s-1", 1), event(2, T::key_returned, 60, "s-2", 1)});
    CHECK(house.key("k-1").place == KeyPlace::in);
    REQUIRE(house.findings.ended.size() == 1);
    CHECK(house.findings.ended[0].holder == "s-1");
    CHECK(house.findings.ended[0].returned_by == "s-2");
    CHECK(house.findings.ended[0].origin == KeyOrigin::device);
    CHECK(house.facts() == "returned_by_other@k-1");
}

TEST_CASE("a key for two leaves with one") {
    House house;
    house.play({event(1, T::key_removed, 0, "s-1", 2)});
    CHECK(house.facts() == "second_missing@k-2");
    House two;
    KeyEvent both = event(1, T::key_removed, 0, "s-1", 2);
    both.second = "s-2";
    two.play({both});
    CHECK(two.facts().empty());
    CHECK(two.key("k-2").loan->second == "s-2");
}

TEST_CASE("a badge that nobody knows is nobody, and two of a key that takes two are missing") {
    House house;
    KeyEvent stranger = event(1, T::access_granted, 0);
    stranger.card = "hmac256:ff";
    house.play({stranger, event(2, T::door_opened, 1), event(3, T::key_removed, 2, "", 1),
                event(4, T::key_removed, 3, "", 2)});
    CHECK(house.key("k-1").loan->holder.empty());
    CHECK(house.facts() == "key_moved_no_auth@k-1 key_moved_no_auth@k-2 second_missing@k-2");
    House both;
    both.play({stranger, event(2, T::door_opened, 1), event(3, T::access_granted, 2, "s-1"),
               event(4, T::key_removed, 3, "", 2)});
    CHECK(both.key("k-2").loan->holder.empty());
    CHECK(both.key("k-2").loan->candidates == std::vector<std::string>{"s-1"});
    CHECK(both.facts() == "ambiguous_holder@k-2 second_missing@k-2");
}

TEST_CASE("the cabinet's own word of somebody unknown goes before a session") {
    KeyEvent stranger = event(3, T::key_removed, 5, "", 1);
    stranger.stranger = true;
    House house;
    house.play({event(1, T::access_granted, 0, "s-1"), event(2, T::door_opened, 2), stranger,
                event(4, T::key_removed, 6, "", 3)});
    CHECK(house.key("k-1").loan->holder.empty());
    CHECK(house.key("k-1").loan->candidates.empty());
    CHECK(house.key("k-1").loan->origin == KeyOrigin::device);
    CHECK(house.key("k-3").loan->holder == "s-1");
    CHECK(house.facts() == "key_moved_no_auth@k-1");
    KeyEvent back = event(5, T::key_returned, 8, "", 3);
    back.stranger = true;
    house.play({back});
    CHECK(house.findings.ended.back().returned_by.empty());
}

TEST_CASE("tags: a key in another's slot, and a tag that nobody knows") {
    House house;
    KeyEvent out = event(1, T::key_removed, 0, "s-1", 3);
    out.tag = "e004";
    KeyEvent wrong = event(2, T::key_returned, 60, "s-1", 1);
    wrong.tag = "E004";
    KeyEvent stranger = event(3, T::key_returned, 70, "s-1", 2);
    stranger.tag = "FFFF";
    house.play({out, wrong, stranger});
    CHECK(house.facts() == "wrong_slot@k-3 unknown_tag@kc-01");
    CHECK(house.key("k-3").cabinet == "kc-01");
    CHECK(house.key("k-3").slot == 1);
    KeyEvent again = event(4, T::key_removed, 80, "s-1", 1);
    again.tag = "E004";
    house.play({again});
    CHECK(house.facts() == "wrong_slot@k-3- unknown_tag@kc-01");
}

TEST_CASE("a hole in the log makes what hangs there unknown, until it says so again") {
    House house;
    house.play({event(1, T::key_removed, 0, "s-1", 1), event(5, T::door_closed, 10)});
    CHECK(house.key("k-1").place == KeyPlace::unknown);
    CHECK(house.key("k-1").loan->holder == "s-1");
    CHECK(house.facts() == "log_gap@kc-01");
    CHECK(house.findings.facts[0].from == 2);
    CHECK(house.findings.facts[0].through == 4);
    KeyEvent stock = event(6, T::inventory, 20);
    stock.present = {2, 3};
    house.play({stock});
    CHECK(house.key("k-1").place == KeyPlace::out);
    CHECK(house.key("k-1").loan->holder == "s-1");
    CHECK(house.key("k-2").place == KeyPlace::in);
    CHECK(house.facts() == "log_gap@kc-01");
}

TEST_CASE("an inventory that differs is something that nobody saw, and names nobody") {
    House house;
    house.play({event(1, T::key_removed, 0, "s-1", 1)});
    KeyEvent stock = event(2, T::inventory, 20);
    stock.present = {1, 3};
    house.play({stock});
    CHECK(house.facts() == "slot_state_jump@k-1 slot_state_jump@k-2");
    CHECK(house.key("k-1").place == KeyPlace::in);
    CHECK(house.key("k-2").loan->holder.empty());
    CHECK(house.key("k-2").loan->origin == KeyOrigin::derived);
    REQUIRE(house.findings.ended.size() == 1);
    CHECK(house.findings.ended[0].returned_by.empty());
}

TEST_CASE("an unknown card is one too many at night and three by day, again after each time") {
    House house;
    std::vector<KeyEvent> events;
    for (int i = 1; i <= 6; ++i) {
        events.push_back(event(i, T::access_denied, i));
        events.back().detail = "unknown_card";
    }
    events.back().at = kDay + 3'600'000;
    house.index.off_hours = [](UtcMs at) { return at >= kDay + 3'600'000; };
    house.play(events);
    CHECK(house.facts() == "unknown_card@kc-01 credential_attack@kc-01 unknown_card@kc-01");
}

TEST_CASE("who signs in while the office is shut, and a door that opens without a badge") {
    House house;
    house.index.off_hours = [](UtcMs at) { return at >= kDay + 60'000; };
    house.play({event(1, T::access_granted, 0, "s-1"), event(2, T::door_opened, 2),
                event(3, T::door_closed, 9)});
    CHECK(house.facts().empty());
    house.play({event(4, T::access_granted, 60, "s-2"), event(5, T::door_opened, 62),
                event(6, T::door_closed, 69)});
    CHECK(house.facts() == "after_hours_access@kc-01");
    CHECK(house.findings.facts.back().person == "s-2");
    house.play({event(7, T::door_unlocked, 900), event(8, T::door_opened, 902)});
    CHECK(house.facts() == "after_hours_access@kc-01 after_hours_access@kc-01");
    CHECK(house.findings.facts.back().person.empty());
}

TEST_CASE("a bunch is counted piece by piece, and what an inventory found is told key by key") {
    House house;
    house.keys[3].count = 5;
    const auto counted = [&](std::int64_t seq, int pieces) {
        KeyEvent one = event(seq, T::key_counted, seq);
        one.id.source = kDeskSource;
        one.key = "k-4";
        one.detail = kCountedPieces;
        one.present = {pieces};
        return one;
    };
    house.play({counted(1, 5)});
    CHECK(house.facts().empty());
    house.play({counted(2, 4)});
    CHECK(house.facts() == "stock_mismatch@k-4");
    house.play({counted(3, 5)});
    CHECK(house.facts() == "stock_mismatch@k-4-");
    house.play({event(1, T::key_removed, 10, "s-1", 1)});
    KeyEvent stock = event(2, T::inventory, 20);
    stock.present = {1, 3};
    house.play({stock});
    REQUIRE(house.findings.jumps.size() == 2);
    CHECK(house.findings.jumps[0].key == "k-1");
    CHECK_FALSE(house.findings.jumps[0].out);
    CHECK(format(house.findings.jumps[0].loan) == "kc-01/1/1");
    CHECK(house.findings.jumps[1].out);
}

TEST_CASE("a door that nobody may open was forced, until it is shut") {
    House house;
    house.play({event(1, T::access_granted, 0, "s-1"), event(2, T::door_opened, 10),
                event(3, T::door_closed, 20), event(4, T::door_opened, 31)});
    CHECK(house.facts() == "cabinet_forced@kc-01");
    house.play({event(5, T::door_closed, 40)});
    CHECK(house.facts() == "cabinet_forced@kc-01-");
}

TEST_CASE("an alarm that ends begins nothing, whatever it is") {
    for (const T type :
         {T::door_held, T::door_forced, T::tamper, T::duress, T::emergency_release,
          T::remote_release, T::key_wrong_slot, T::key_unknown_tag, T::key_fault, T::slot_fault}) {
        INFO(to_string(type));
        REQUIRE(is_alarm(type));
        House house;
        KeyEvent end = event(1, type, 0, "", 2);
        end.begins = false;
        // What it ends may have authorised a door; that it is over does not.
        house.play({end, event(2, T::door_opened, 1)});
        CHECK(house.facts() == "cabinet_forced@kc-01");
        CHECK_FALSE(house.custody.keys.contains("k-2"));
    }
    CHECK_FALSE(is_alarm(T::key_removed));
    CHECK_FALSE(is_alarm(T::power));
}

TEST_CASE("a cabinet without tags says where what hangs in a strange slot belongs") {
    House house;
    KeyEvent wrong = event(2, T::key_wrong_slot, 60, "s-1", 3);
    wrong.home = 1;
    house.play({event(1, T::key_removed, 0, "s-1", 1), wrong});
    CHECK(house.facts() == "wrong_slot@k-1");
    CHECK_FALSE(house.key("k-1").loan);
    CHECK(house.key("k-1").slot == 3);
    REQUIRE(house.findings.ended.size() == 1);
    CHECK(house.findings.ended[0].returned_by == "s-1");
    KeyEvent over = event(3, T::key_wrong_slot, 90, "", 3);
    over.begins = false;
    SECTION("it says itself that this is over") {
        over.home = 1;
        house.play({over});
        CHECK(house.facts() == "wrong_slot@k-1-");
    }
    SECTION("by the slot alone") {
        house.play({over});
        CHECK(house.facts() == "wrong_slot@k-1-");
    }
    SECTION("or it is taken from there") {
        house.play({event(3, T::key_removed, 120, "s-1", 3)});
        REQUIRE(house.key("k-1").loan);
        CHECK(house.key("k-1").loan->holder == "s-1");
    }
    SECTION("a slot that is nobody's home is nobody's key") {
        KeyEvent none = event(3, T::key_wrong_slot, 100, "s-1", 2);
        none.home = 77;
        house.play({none});
        CHECK(house.facts() == "wrong_slot@k-1");
        CHECK_FALSE(house.custody.keys.contains("k-2"));
    }
}

TEST_CASE("an alarm ends what began before the fold looks") {
    House house;
    KeyEvent end = event(9, T::tamper, 0);
    end.begins = false;
    house.play({event(8, T::boot, -10), end});
    CHECK(house.facts().empty());
    CHECK(house.findings.ends.at({KeyFactKind::tamper, "kc-01"}) == kDay);
}

TEST_CASE("which seqs are missing, over restarts of the numbering") {
    struct Row {
        std::int64_t boot, seq, next_boot, next;
        std::int64_t from, through;  // 0: none is missing
    };
    const Row rows[] = {
        {1, 10, 1, 11, 0, 0}, {1, 10, 1, 14, 11, 13}, {1, 10, 2, 1, 0, 0}, {1, 10, 2, 0, 0, 0},
        {1, 10, 2, 11, 0, 0}, {1, 10, 2, 12, 11, 11}, {1, 10, 2, 4, 1, 3},
    };
    for (const Row& row : rows) {
        SourceState source;
        source.begun = true;
        source.boot = row.boot;
        source.seq = row.seq;
        const auto gap = gap_before(source, {"kc-01", row.next_boot, row.next});
        INFO(row.boot << "/" << row.seq << " then " << row.next_boot << "/" << row.next);
        CHECK(gap.value_or(SeqGap{}) == SeqGap{row.from, row.through});
    }
}

TEST_CASE("the desk: taken, handed on, extended, back; a drawer has no slot") {
    House house;
    const auto desk = [&](std::int64_t seq, T type, std::int64_t second) {
        KeyEvent one = event(seq, type, second, "p-9");
        one.id.source = kDeskSource;
        one.origin = KeyOrigin::manual;
        one.key = "k-4";
        one.by = "s-1";
        return one;
    };
    KeyEvent handed = desk(2, T::key_handed, 60);
    handed.to = "p-8";
    KeyEvent extended = desk(3, T::key_extended, 70);
    extended.until = kDay + 1'000'000;
    house.play({desk(1, T::key_removed, 0), handed, extended});
    REQUIRE(house.key("k-4").loan);
    CHECK(house.key("k-4").loan->holder == "p-8");
    CHECK(house.key("k-4").loan->origin == KeyOrigin::manual);
    CHECK(house.key("k-4").loan->handed.size() == 1);
    CHECK(house.key("k-4").loan->extended_until == kDay + 1'000'000);
    KeyEvent back = desk(4, T::key_returned, 90);
    back.person = "p-8";
    house.play({back});
    CHECK(house.key("k-4").place == KeyPlace::in);
    CHECK(house.findings.ended.at(0).returned_by == "p-8");
    CHECK(house.facts().empty());
}

// A day of three cabinets' worth of random traffic, in any order and with copies: the same book.
TEST_CASE("shuffled and doubled input gives the same custody as ordered input") {
    const unsigned seed = std::random_device()();
    WARN("seed " << seed);
    std::mt19937 random(seed);
    const auto pick = [&](int most) {
        return static_cast<int>(random() % static_cast<unsigned>(most));
    };
    std::vector<KeyEvent> events;
    std::map<std::string, std::int64_t> seqs, times;
    for (int i = 0; i < 400; ++i) {
        const std::string source = pick(2) == 0 ? "kc-01" : "kc-02";
        std::int64_t& at = times[source];
        at += pick(90);
        const T types[] = {T::access_granted, T::door_opened, T::key_removed,
                           T::key_returned,   T::door_closed, T::inventory,
                           T::door_held,      T::door_forced, T::tamper};
        KeyEvent one = event(++seqs[source], types[pick(9)], at);
        one.id.source = source;
        if (is_alarm(one.type)) one.begins = pick(2) == 0;
        if (one.type == T::access_granted) one.person = "s-" + std::to_string(pick(3));
        if (one.type == T::key_removed || one.type == T::key_returned) one.slot = pick(3) + 1;
        if (one.type == T::inventory)
            for (int slot = 1; slot <= 3; ++slot)
                if (pick(2) == 0) one.present.push_back(slot);
        events.push_back(one);
    }
    House ordered;
    ordered.play(events);
    for (int round = 0; round < 20; ++round) {
        std::vector<KeyEvent> shuffled = events;
        std::shuffle(shuffled.begin(), shuffled.end(), random);
        House house;
        house.play(shuffled);
        CHECK(house.custody == ordered.custody);
        CHECK(house.findings.ended == ordered.findings.ended);
        CHECK(house.facts() == ordered.facts());
    }
}

TEST_CASE("a loss over a restart of the board is told once, and no gap before it") {
    House house;
    KeyEvent loss = event(11, T::log_overwritten, 30);
    loss.id.boot = 2;
    loss.from = 11;
    loss.through = 29;
    KeyEvent next = event(30, T::door_closed, 31);
    next.id.boot = 2;
    std::vector<KeyEvent> events{loss, next};
    for (int seq = 1; seq <= 17; ++seq) events.push_back(event(seq, T::power, seq));
    house.play(events);
    CHECK(house.facts() == "log_overwritten@kc-01");
    CHECK(house.custody.sources.at("kc-01").seq == 30);
}

TEST_CASE("another numbering of a cabinet is told, and nothing there is known until seen") {
    House house;
    KeyEvent first = event(1, T::boot, 100);
    first.id = {"kc-01~2", 1, 1};
    house.play({event(1, T::key_removed, 0, "s-1", 1), first});
    CHECK(house.facts() == "log_restarted@kc-01");
    CHECK(house.key("k-1").place == KeyPlace::unknown);
    CHECK(house.key("k-1").loan->holder == "s-1");
    KeyEvent stock = event(1, T::inventory, 110);
    stock.id = {std::string("kc-01") + kBoxSuffix, 7, 1};
    stock.present = {1, 2, 3};
    house.play({stock});
    CHECK(house.key("k-1").place == KeyPlace::in);
    CHECK(house.facts() == "log_restarted@kc-01");
}

TEST_CASE("numbers that were at their end begin again, and nothing is unknown by that") {
    for (const std::int64_t last : {0xFFFF'FFFFLL, 0xFFFF'FFFELL}) {
        House house;
        KeyEvent badge = event(last - 1, T::access_granted, 0, "s-1");
        KeyEvent first = event(1, T::key_removed, 3, "", 1);
        first.id = {"kc-01~2", 1, 1};
        house.play({event(last - 2, T::key_returned, -9, "s-1", 2), badge,
                    event(last, T::door_opened, 1), first});
        const bool goes_on = last == 0xFFFF'FFFF;
        INFO(last);
        CHECK(house.key("k-1").loan->holder == (goes_on ? "s-1" : ""));
        CHECK(house.key("k-2").place == (goes_on ? KeyPlace::in : KeyPlace::unknown));
        CHECK(house.facts().starts_with("log_restarted@kc-01"));
    }
}

TEST_CASE("a log that was overwritten goes on behind its loss, and the loss is one fact") {
    House house;
    KeyEvent loss = event(2, T::log_overwritten, 4);
    loss.from = 2;
    loss.through = 40;
    house.play({event(1, T::access_granted, 0, "s-1"), loss, event(41, T::door_closed, 9)});
    CHECK(house.facts() == "log_overwritten@kc-01");
    CHECK(house.findings.facts[0].through == 40);
    CHECK(house.key("k-1").place == KeyPlace::unknown);
    // What the box saw afterwards has seqs of its own, and is of the same cabinet.
    KeyEvent stock = event(1, T::inventory, 10);
    stock.id = {std::string("kc-01") + kBoxSuffix, 7, 1};
    stock.origin = KeyOrigin::derived;
    stock.present = {1, 2};
    house.play({stock, event(42, T::door_opened, 20, "s-1")});
    CHECK(house.key("k-1").place == KeyPlace::in);
    CHECK(house.key("k-3").place == KeyPlace::out);
    CHECK(house.custody.sources.at("kc-01").seq == 42);
    CHECK(house.facts() == "log_overwritten@kc-01");
}
