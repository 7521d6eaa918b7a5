// A cabinet that several things speak for, and keys in slots that are not theirs: what hangs in a
// slot proves nothing of the key whose slot it is, and who moved it is whoever had a badge there.
#include "daemon/core/key_custody.hpp"
#include "daemon/core/key_watch.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/zones.hpp"

using namespace gatehouse;

namespace {

using T = KeyEventType;
constexpr UtcMs kDay = 1'800'000'000'000;

KeyEvent at(const std::string& source, std::int64_t seq, T type, std::int64_t second, int slot = 0,
            const std::string& tag = "") {
    KeyEvent one;
    one.id = {source, 1, seq};
    one.type = type;
    one.at = kDay + second * 1'000;
    if (slot > 0) one.slot = slot;
    one.tag = tag;
    return one;
}
KeyEvent stock(const std::string& source, std::int64_t seq, std::int64_t second,
               std::vector<int> present) {
    KeyEvent one = at(source, seq, T::inventory, second);
    one.present = std::move(present);
    return one;
}

// Three keys with tags of one cabinet.
struct House {
    std::vector<Key> keys = std::vector<Key>(3);
    KeyIndex index;
    Custody custody;
    CustodyFindings findings;
    std::vector<KeyEvent> events;

    House() {
        for (int i = 0; i < 3; ++i) {
            Key& key = keys[static_cast<std::size_t>(i)];
            key.key = "k-" + std::to_string(i + 1);
            key.cabinet = "kc-01";
            key.slot = i + 1;
            key.tag = "T" + std::to_string(i + 1);
        }
        index = index_keys(keys);
    }
    // In whatever order it is told: the day is folded anew.
    void play(std::vector<KeyEvent> more) {
        events.insert(events.begin(), more.begin(), more.end());
        sort_events(events);
        custody = {};
        findings = {};
        for (const KeyEvent& one : events) apply(custody, one, index, findings);
    }
    // "k-1 out s-1; k-2 in 3": place, then who has it or which slot that is not its own.
    std::string book() {
        std::string text;
        for (const Key& key : keys) {
            const KeyState& state = custody.keys[key.key];
            text += (text.empty() ? "" : "; ") + key.key + " " + to_string(state.place);
            if (state.loan) text += " " + (state.loan->holder.empty() ? "?" : state.loan->holder);
            if (state.slot && state.slot != key.slot) text += " " + std::to_string(*state.slot);
        }
        return text;
    }
    std::string facts() const {
        std::string text;
        for (const KeyFact& fact : findings.facts)
            text += (text.empty() ? "" : " ") + std::string(to_string(fact.kind)) + "@" +
                    fact.subject + (fact.over_at ? "-" : "");
        return text;
    }
};

KeyEvent taken(std::int64_t seq, std::int64_t second, int slot, const std::string& tag,
               const std::string& person) {
    KeyEvent one = at("kc-01", seq, T::key_removed, second, slot, tag);
    one.person = person;
    return one;
}
KeyEvent brought(std::int64_t seq, std::int64_t second, int slot, const std::string& tag,
                 const std::string& person) {
    KeyEvent one = taken(seq, second, slot, tag, person);
    one.type = T::key_returned;
    return one;
}

}  // namespace

TEST_CASE("a key in another's slot closes nobody's loan and opens none") {
    House house;
    house.play({taken(1, 0, 1, "T1", "s-1"), taken(2, 10, 2, "T2", "s-2"),
                brought(3, 60, 1, "T2", "s-2")});
    REQUIRE(house.book() == "k-1 out s-1; k-2 in 1; k-3 in");
    SECTION("an inventory sees that something hangs there, and that its own slot is empty") {
        house.play({stock("kc-01", 4, 100, {1, 3})});
        CHECK(house.book() == "k-1 out s-1; k-2 in 1; k-3 in");
        CHECK(house.facts() == "wrong_slot@k-2");
    }
    SECTION("its slot is empty: it is out, and the other loan goes on") {
        house.play({stock("kc-01", 4, 100, {3})});
        CHECK(house.book() == "k-1 out s-1; k-2 out ?; k-3 in");
        CHECK(house.facts() == "wrong_slot@k-2- slot_state_jump@k-2");
    }
    SECTION("somebody hung it where it belongs, and nobody saw it") {
        house.play({stock("kc-01", 4, 100, {2, 3})});
        CHECK(house.book() == "k-1 out s-1; k-2 in; k-3 in");
        CHECK(house.facts() == "wrong_slot@k-2- slot_state_jump@k-2");
    }
    SECTION("a contact that speaks of the slot alone speaks of what hangs there") {
        house.play({taken(4, 100, 1, "", "s-3")});
        CHECK(house.book() == "k-1 out s-1; k-2 out s-3; k-3 in");
        house.play({brought(5, 110, 1, "", "s-1")});
        CHECK(house.book() == "k-1 in; k-2 out s-3; k-3 in");
    }
    SECTION("after a hole in the log as well") {
        house.play({at("kc-01", 9, T::door_closed, 90), stock("kc-01", 10, 100, {1, 3})});
        CHECK(house.book() == "k-1 unknown s-1; k-2 in 1; k-3 in");
    }
}

TEST_CASE("a tag that nobody registered proves nothing of the slot's own key") {
    House house;
    house.play({taken(1, 0, 1, "T1", "s-1"), brought(2, 60, 1, "FF", "s-2"),
                stock("kc-01", 3, 100, {1, 2, 3})});
    CHECK(house.book() == "k-1 out s-1; k-2 in; k-3 in");
    KeyEvent strange = at("kc-01", 4, T::key_unknown_tag, 110, 1);
    house.play({strange, taken(5, 120, 1, "", "s-3")});
    CHECK(house.book() == "k-1 out s-1; k-2 in; k-3 in");
    house.play({stock("kc-01", 6, 130, {1, 2, 3})});
    CHECK(house.book() == "k-1 in; k-2 in; k-3 in");
}

TEST_CASE("where an inventory can read tags it says which key hangs where") {
    House house;
    KeyEvent seen = stock("kc-01", 1, 100, {1, 2, 3});
    seen.tags = {{1, "t2"}, {2, "T1"}, {3, "FF"}};
    house.play({seen});
    CHECK(house.book() == "k-1 in 2; k-2 in 1; k-3 out ?");
    CHECK(house.facts() ==
          "unknown_tag@kc-01 wrong_slot@k-1 slot_state_jump@k-1 wrong_slot@k-2 "
          "slot_state_jump@k-2 slot_state_jump@k-3");
    KeyEvent again = seen;
    again.id.seq = 2;
    again.at += 10'000;
    house.play({again});
    CHECK(house.book() == "k-1 in 2; k-2 in 1; k-3 out ?");
    CHECK(house.findings.facts.size() == 6);
}

TEST_CASE("a badge at a reader and a contact of the module beside it: that person's, concluded") {
    const auto badge = [](std::int64_t seq, std::int64_t second, const std::string& person) {
        KeyEvent one = at("kc-01/reader", seq, T::access_granted, second);
        one.person = person;
        return one;
    };
    struct Row {
        const char* what;
        std::vector<KeyEvent> events;
        const char* book;
        const char* facts;
    };
    const Row rows[] = {
        {"one badge",
         {badge(1, 0, "s-1"), at("kc-01", 1, T::door_opened, 2),
          at("kc-01", 2, T::key_removed, 4, 1), at("kc-01", 3, T::door_closed, 6)},
         "k-1 out s-1; k-2 in; k-3 in",
         ""},
        {"in the same millisecond the badge was first",
         {at("kc-01", 1, T::key_removed, 4, 1), badge(1, 4, "s-1")},
         "k-1 out s-1; k-2 in; k-3 in",
         ""},
        {"two badges while the door stands open",
         {badge(1, 0, "s-1"), at("kc-01", 1, T::door_opened, 2), badge(2, 3, "s-2"),
          at("kc-01", 2, T::key_removed, 4, 1)},
         "k-1 out ?; k-2 in; k-3 in",
         "ambiguous_holder@k-1"},
        {"the module's door ended the session",
         {badge(1, 0, "s-1"), at("kc-01", 1, T::door_opened, 2), at("kc-01", 2, T::door_closed, 6),
          at("kc-01", 3, T::key_removed, 9, 1)},
         "k-1 out ?; k-2 in; k-3 in",
         "key_moved_no_auth@k-1"},
        {"the next badge at a shut door",
         {badge(1, 0, "s-1"), at("kc-01", 1, T::door_opened, 2), at("kc-01", 2, T::door_closed, 6),
          badge(2, 7, "s-2"), at("kc-01", 3, T::door_opened, 8),
          at("kc-01", 4, T::key_removed, 9, 1)},
         "k-1 out s-2; k-2 in; k-3 in",
         ""},
        {"a badge that the reader did not tell: nobody is named, and every key is where it was",
         {badge(1, 0, "s-1"), at("kc-01", 1, T::door_opened, 2), badge(3, 3, "s-2"),
          at("kc-01", 2, T::door_closed, 4)},
         "k-1 in; k-2 in; k-3 in",
         "log_gap@kc-01"},
        {"no badge at all: the door was forced",
         {at("kc-01", 1, T::door_opened, 2), at("kc-01", 2, T::key_removed, 4, 1)},
         "k-1 out ?; k-2 in; k-3 in",
         "cabinet_forced@kc-01 key_moved_no_auth@k-1"},
    };
    for (const Row& row : rows) {
        House house;
        house.play(row.events);
        INFO(row.what);
        CHECK(house.book() == row.book);
        CHECK(house.facts() == row.facts);
    }
    CHECK(is_reader("kc-01/reader"));
    CHECK(is_reader("kc-01/reader~2"));
    CHECK_FALSE(is_reader("kc-01/box"));
}

// Each step is a second: who badges at which door, which door opens or closes, which slot is empty
// then and by which door. 0: it names no door.
TEST_CASE("two doors: who was at the door by which it left, and nobody where two could have been") {
    struct Step {
        T type;
        int second, door, slot;
        const char* person;
    };
    const auto badge = [](int second, int door, const char* person) {
        return Step{T::access_granted, second, door, 0, person};
    };
    const auto opens = [](int second, int door) {
        return Step{T::door_opened, second, door, 0, ""};
    };
    const auto shuts = [](int second, int door) {
        return Step{T::door_closed, second, door, 0, ""};
    };
    const auto takes = [](int second, int door, int slot) {
        return Step{T::key_removed, second, door, slot, ""};
    };
    struct Row {
        const char* what;
        std::vector<Step> steps;
        const char* book;
    };
    const Row rows[] = {
        {"each of his own door, and of the one that is open still",
         {badge(0, 1, "s-3"), opens(1, 1), takes(2, 1, 1), badge(3, 2, "s-4"), opens(4, 2),
          takes(5, 2, 2), shuts(6, 1), takes(9, 2, 3)},
         "k-1 out s-3; k-2 out s-4; k-3 out s-4"},
        {"without a door either may have, until one has gone",
         {badge(0, 1, "s-3"), opens(1, 1), badge(3, 2, "s-4"), opens(4, 2), shuts(6, 1),
          takes(8, 0, 1), takes(9, 0, 2), shuts(11, 2), takes(14, 0, 3)},
         "k-1 out ?; k-2 out s-4; k-3 out ?"},
        {"two badges at one door of two",
         {badge(0, 1, "s-3"), opens(1, 1), badge(2, 1, "s-4"), takes(3, 1, 1), badge(4, 2, "s-5"),
          opens(5, 2), takes(6, 2, 2), takes(7, 1, 3)},
         "k-1 out ?; k-2 out s-5; k-3 out ?"},
        {"a badge that names no door may be at either",
         {badge(0, 0, "s-3"), opens(1, 1), badge(2, 2, "s-4"), opens(3, 2), shuts(4, 1),
          takes(8, 2, 1), shuts(9, 2), badge(12, 2, "s-4"), opens(13, 2), takes(14, 2, 2)},
         "k-1 out ?; k-2 out s-4; k-3 in"},
        {"the other door shuts before a badge has opened its own",
         {badge(0, 1, "s-3"), opens(1, 1), badge(3, 2, "s-4"), shuts(4, 1), opens(6, 2),
          takes(8, 2, 1)},
         "k-1 out s-4; k-2 in; k-3 in"},
        {"a badge that opened nothing is over once all is shut",
         {badge(0, 2, "s-4"), opens(1, 1), shuts(20, 1), takes(25, 0, 1)},
         "k-1 out ?; k-2 in; k-3 in"},
        {"a door that opened again is that one's who may be there still",
         {badge(0, 1, "s-3"), opens(1, 1), shuts(2, 1), opens(3, 1), badge(3, 1, "s-4"),
          takes(4, 1, 1)},
         "k-1 out ?; k-2 in; k-3 in"},
    };
    for (const Row& row : rows) {
        House house;
        std::vector<KeyEvent> events;
        std::int64_t seq = 0;
        for (const Step& step : row.steps) {
            events.push_back(at("kc-01", ++seq, step.type, step.second, step.slot));
            if (step.door > 0) events.back().door = step.door;
            events.back().person = step.person;
        }
        house.play(events);
        INFO(row.what);
        CHECK(house.book() == row.book);
    }
}

TEST_CASE("who has left is nobody's second") {
    for (const bool left : {false, true}) {
        House house;
        house.keys[0].needs_second = true;
        house.index.is_active = [&](const std::string& person, UtcMs) {
            return person != "s-9" || !left;
        };
        KeyEvent both = taken(1, 0, 1, "T1", "s-1");
        both.second = "s-9";
        house.play({both});
        CHECK(house.facts() == (left ? "second_missing@k-1" : ""));
        KeyEvent first = at("kc-01", 1, T::access_granted, 0), second = first;
        first.person = "s-1";
        second.person = "s-9";
        second.id.seq = 3;
        second.at += 3'000;
        House badges;
        badges.keys[0].needs_second = true;
        badges.index.is_active = house.index.is_active;
        badges.play({first, at("kc-01", 2, T::door_opened, 1), second,
                     at("kc-01", 4, T::key_removed, 5, 1)});
        CHECK(badges.facts() ==
              (left ? "ambiguous_holder@k-1 second_missing@k-1" : "ambiguous_holder@k-1"));
    }
}

TEST_CASE(
    "every attempt beyond the fifth is told again, and an attack ends after ten quiet minutes") {
    House house;
    std::vector<KeyEvent> denied;
    for (int i = 1; i <= 7; ++i) denied.push_back(at("kc-01", i, T::access_denied, i));
    house.play(denied);
    CHECK(house.findings.facts.size() == 3);
    KeyRules rules;
    rules.alerts = {"credential_attack"};
    const UtcMs last = kDay + 7'000;
    CabinetWatch cabinet;
    cabinet.cabinet = "kc-01";
    cabinet.denied_at = last;
    const std::vector<CabinetWatch> cabinets{cabinet};
    for (const bool quiet : {false, true}) {
        const KeyWatchInput input{{},
                                  {},
                                  {},
                                  house.findings.facts,
                                  cabinets,
                                  {},
                                  rules,
                                  test::kZone,
                                  last + (quiet ? 600'000 : 599'999)};
        for (const KeyCondition& one : key_conditions(input)) CHECK(one.goes_on == !quiet);
    }
}

TEST_CASE("what a badge may still explain is told five seconds later, where a reader is") {
    KeyFact forced;
    forced.kind = KeyFactKind::cabinet_forced;
    forced.subject = forced.cabinet = "kc-01";
    forced.at = kDay;
    const std::vector<KeyFact> facts{forced};
    KeyRules rules;
    rules.alerts = {"cabinet_forced"};
    CabinetWatch cabinet;
    cabinet.cabinet = "kc-01";
    for (const bool reader : {false, true}) {
        cabinet.has_reader = reader;
        const std::vector<CabinetWatch> cabinets{cabinet};
        const auto told = [&](std::int64_t after_ms) {
            const KeyWatchInput input{{}, {},    {},          facts,          cabinets,
                                      {}, rules, test::kZone, kDay + after_ms};
            return key_conditions(input).size();
        };
        CHECK(told(4'999) == (reader ? 0U : 1U));
        CHECK(told(5'000) == 1U);
    }
}

TEST_CASE("a tag that nobody typed in is its slot's own key, where that has none") {
    House house;
    for (std::size_t i : {0U, 1U}) house.keys[i].tag.clear();
    house.index = index_keys(house.keys);
    house.play({at("kc-01", 1, T::key_removed, 0, 1, "E00401500000AAAA")});
    CHECK(house.book() == "k-1 out ?; k-2 in; k-3 in");
    KeyEvent all = stock("kc-01", 2, 60, {1, 2, 3});
    all.tags = {{1, "E00401500000AAAA"}, {2, "E00401500000BBBB"}, {3, "T3"}};
    house.play({all});
    CHECK(house.book() == "k-1 in; k-2 in; k-3 in");
    // Where the tag is known, a strange one says nothing of the key.
    house.keys[0].tag = "T1";
    house.index = index_keys(house.keys);
    house.play({});
    CHECK(house.book() == "k-1 out ?; k-2 in; k-3 in");
}

TEST_CASE("a bitmap speaks of as many slots as it has digits") {
    House house;
    house.play({taken(1, 0, 3, "T3", "s-1")});
    KeyEvent bits = stock("kc-01", 2, 60, {2});
    bits.covers = 2;
    house.play({bits});
    CHECK(house.book() == "k-1 out ?; k-2 in; k-3 out s-1");
    bits.id.seq = 3;
    bits.covers.reset();
    bits.present = {1, 2, 3};
    house.play({bits});
    CHECK(house.book() == "k-1 in; k-2 in; k-3 in");
}

TEST_CASE("more time lifts the curfews that it reaches beyond, and no other") {
    const auto when = [](int day, int hour, int minute) {
        return test::at({2026, 11, day}, hour, minute);
    };
    struct Row {
        std::optional<UtcMs> until;
        UtcMs past_from;
    };
    const Row rows[] = {
        {std::nullopt, when(23, 18, 0)},    {when(23, 11, 30), when(23, 18, 0)},
        {when(23, 18, 0), when(23, 18, 0)}, {when(23, 20, 0), when(23, 20, 0)},
        {when(25, 9, 0), when(25, 9, 0)},
    };
    KeyRules rules;
    rules.alerts = {"key_past_curfew"};
    Key key;
    key.key = "k-1";
    for (const Row& row : rows) {
        KeyLoan loan;
        loan.out_at = when(23, 9, 0);
        loan.extended_until = row.until;
        const std::vector<LoanFacts> open{{&loan, &key, KeyPlace::out, {}}};
        const auto severity = [&](UtcMs now) {
            const KeyWatchInput input{open, {}, {}, {}, {}, {}, rules, test::kZone, now};
            const auto found = key_conditions(input);
            return found.empty() ? 0 : found.front().severity;
        };
        CHECK(severity(row.past_from - 11 * 60'000) == 0);
        CHECK(severity(row.past_from - 1) == 1);
        CHECK(severity(row.past_from) == 3);
    }
}

TEST_CASE("a clock that was wrong is so until it is set to the second") {
    CabinetWatch cabinet;
    cabinet.cabinet = "kc-01";
    KeyRules rules;
    rules.alerts = {"clock_skew"};
    const std::pair<double, bool> steps[] = {{60, false},  {70, true},   {58, true},  {-30, true},
                                             {5, true},    {4.9, false}, {59, false}, {-61, true},
                                             {-5.5, true}, {-4.5, false}};
    for (const auto& [seconds, wrong] : steps) {
        note_skew(cabinet, static_cast<std::int64_t>(seconds * 1'000), rules);
        const std::vector<CabinetWatch> cabinets{cabinet};
        const KeyWatchInput input{{}, {}, {}, {}, cabinets, {}, rules, test::kZone, kDay};
        INFO(seconds);
        CHECK(key_conditions(input).size() == (wrong ? 1 : 0));
    }
}

TEST_CASE("who gives no sign of life is missed after four hours in which the office is open") {
    const auto when = [](int day, int hour, int minute) {
        return test::at({2026, 11, day}, hour, minute);
    };
    const auto silent = [](UtcMs heard, UtcMs now) {
        return is_too_silent(heard, now, {}, test::kZone);
    };
    CHECK_FALSE(silent(when(23, 9, 0), when(23, 12, 59)));
    CHECK(silent(when(23, 9, 0), when(23, 13, 0)));
    CHECK_FALSE(silent(when(23, 18, 0), when(24, 10, 59)));  // half an hour, then the night
    CHECK(silent(when(23, 18, 0), when(24, 11, 0)));
    KeyRules never;
    never.shut_minute = never.open_minute;
    CHECK_FALSE(is_too_silent(when(23, 9, 0), when(24, 8, 59), never, test::kZone));
    CHECK(is_too_silent(when(23, 9, 0), when(24, 9, 0), never, test::kZone));
}
