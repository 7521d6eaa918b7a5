// Cabinets of contacts: bounce makes one event, an outage makes an inventory and no guess, and what
// was not committed is handed again as it was.
#include <random>

#include "tests/integration/cabinet/fixture.hpp"

using namespace gatehouse;
using namespace gatehouse::cabinet;

namespace {

ContactMap eight_slots() {
    ContactMap map;
    map.slots = {1, 2, 3, 4, 5, 6, 7, 8};
    map.inverted.resize(8);
    return map;
}

std::vector<bool> all_but(int slot) {
    std::vector<bool> levels(8, true);
    if (slot > 0) levels[static_cast<std::size_t>(slot) - 1] = false;
    return levels;
}

std::vector<KeyEvent> taken(ContactsBoard& board, const Moment& now) {
    const BoardAsk ask = board.next(now);
    if (ask.kind != BoardAsk::Kind::hand) return {};
    board.committed(true, now);
    return ask.push.events;
}

}  // namespace

TEST_CASE("bounce of 20 to 200 ms at any phase of the polls is one event at its first sample") {
    std::mt19937 dice(11);
    for (int round = 0; round < 2'000; ++round) {
        ContactsBoard board("kc", eight_slots(), 250, 1);
        const auto phase = static_cast<std::int64_t>(dice() % 250);
        const auto bounce = static_cast<std::int64_t>(20 + dice() % 181);
        std::optional<UtcMs> differed;
        std::vector<KeyEvent> events;
        for (std::int64_t at = 0; at < 5'000; at += 250) {
            std::vector<bool> levels = all_but(0);
            const std::int64_t since = at - 1'000 - phase;
            if (since >= 0) levels[3] = since < bounce && dice() % 2 == 0;
            if (!levels[3] && !differed) differed = at;
            board.take(levels, {at, at});
            for (KeyEvent& event : taken(board, {at, at})) events.push_back(std::move(event));
        }
        REQUIRE(events.size() == 2);
        CHECK(events[1].type == KeyEventType::key_removed);
        CHECK(events[1].slot == 4);
        CHECK(events[1].at == *differed);
        CHECK(events[1].origin == KeyOrigin::derived);
    }
}

TEST_CASE("a contact that never settles is a fault of its slot, until it does") {
    ContactsBoard board("kc", eight_slots(), 250, 1);
    std::int64_t at = 0;
    for (int i = 0; i < 60; ++i, at += 250) board.take(all_but(i % 2 == 0 ? 0 : 5), {at, at});
    const auto events = taken(board, {at, at});
    REQUIRE(events.size() == 2);
    CHECK(events[1].type == KeyEventType::key_fault);
    CHECK(events[1].slot == 5);
    CHECK(events[1].begins);
    for (int i = 0; i < 4; ++i, at += 250) board.take(all_but(5), {at, at});
    const auto after = taken(board, {at, at});
    REQUIRE(after.size() == 2);
    CHECK(after[0].type == KeyEventType::key_removed);
    CHECK(after[1].type == KeyEventType::key_fault);
    CHECK_FALSE(after[1].begins);
}

TEST_CASE("what was not committed is handed again as it was, with what came since behind it") {
    ContactsBoard board("kc", eight_slots(), 250, 9);
    board.take(all_but(0), {0, 0});
    BoardAsk first = board.next({0, 0});
    REQUIRE(first.kind == BoardAsk::Kind::hand);
    for (std::int64_t at = 250; at < 1'000; at += 250) board.take(all_but(2), {at, at});
    CHECK(board.next({1'000, 0}).kind == BoardAsk::Kind::read);  // polls go on meanwhile
    board.failed({1'000, 0});
    board.committed(false, {1'000, 0});
    CHECK(board.next({1'100, 0}).kind == BoardAsk::Kind::wait);
    BoardAsk again = board.next({3'100, 0});
    REQUIRE(again.kind == BoardAsk::Kind::hand);
    REQUIRE(again.push.events.size() == 2);
    CHECK(again.push.boot == 9);
    CHECK(describe(again.push.events[0]) == describe(first.push.events[0]));
    CHECK(describe(again.push.events[1]) == "key.removed slot=2 seq=2 at=250");
    board.committed(true, {3'100, 0});
    CHECK(board.pending().empty());
    for (std::int64_t at = 4'000; at < 4'750; at += 250) board.take(all_but(0), {at, at});
    CHECK(describe(taken(board, {5'000, 0}).at(0)) == "key.returned slot=2 seq=3 at=4000");
}

TEST_CASE("an outage ends with an inventory; nobody guesses what happened meanwhile") {
    ContactMap map = eight_slots();
    map.door = 0x20;
    ContactsBoard board("kc", map, 250, 1);
    const auto poll = [&](int out, bool open, std::int64_t at) {
        std::vector<bool> levels = all_but(out);
        levels.push_back(open);
        board.take(levels, {at, at});
    };
    REQUIRE(board.reads().size() == 2);
    poll(0, true, 0);  // a door that stands open already is no opening
    CHECK(taken(board, {0, 0}).size() == 1);
    board.was_away();
    poll(6, false, 60'000);
    auto events = taken(board, {60'000, 0});
    REQUIRE(events.size() == 1);
    CHECK(describe(events[0]) == "inventory present=1,2,3,4,5,7,8 seq=2 at=60000");
    poll(6, false, 60'250);
    poll(6, false, 60'500);
    events = taken(board, {60'500, 0});
    REQUIRE(events.size() == 1);
    CHECK(describe(events[0]) == "door.closed door=1 seq=3 at=60000");
}

TEST_CASE("a board of contacts tells of its housing, its mains and its battery") {
    ContactMap map = eight_slots();
    map.door = 0x20;
    map.of_device = true;
    ContactsBoard board("kc", map, 250, 1);
    REQUIRE(board.reads().size() == 2);
    CHECK(board.reads()[1].count == 4);
    const auto poll = [&](bool open, bool mains, bool low, std::int64_t at) {
        std::vector<bool> levels = all_but(0);
        for (const bool level : {false, open, mains, low}) levels.push_back(level);
        board.take(levels, {at, at});
        std::string text;
        for (const KeyEvent& one : taken(board, {at, 0})) text += describe(one) + "; ";
        return text;
    };
    // As it was found: what is wrong, and that the housing is shut.
    CHECK(poll(false, false, true, 0) ==
          "inventory present=1,2,3,4,5,6,7,8 seq=1 at=0; tamper ends seq=2 at=0; "
          "power detail=lost seq=3 at=0; power detail=battery_low seq=4 at=0; ");
    CHECK(poll(true, true, false, 250).empty());
    CHECK(poll(true, true, false, 500).empty());
    CHECK(poll(true, true, false, 750) ==
          "tamper seq=5 at=250; power detail=restored seq=6 at=250; "
          "power detail=battery_low ends seq=7 at=250; ");
    CHECK(poll(true, true, false, 1'000).empty());
    for (const std::int64_t at : {1'250, 1'500}) CHECK(poll(false, false, false, at).empty());
    CHECK(poll(false, false, false, 1'750) ==
          "tamper ends seq=8 at=1250; power detail=lost seq=9 at=1250; ");
}

TEST_CASE("a board that has a door and no more of these inputs is asked for its door") {
    ContactMap map = eight_slots();
    map.door = 0x20;
    map.of_device = true;
    ContactsBoard board("kc", map, 250, 1);
    std::int64_t at = 0;
    std::vector<RegisterSpan> asked;
    for (int i = 0; i < 6; ++i) {
        const BoardAsk ask = board.next({at, at});
        if (ask.kind == BoardAsk::Kind::hand) board.committed(true, {at, at});
        if (ask.kind == BoardAsk::Kind::wait) at = ask.until;
        if (ask.kind != BoardAsk::Kind::read) continue;
        asked.push_back(ask.span);
        const bool refused = ask.span.count == 4;
        const std::vector<std::uint16_t> words(refused ? 0U
                                                       : static_cast<std::size_t>(ask.span.count));
        CHECK(board.answered({words, refused ? 2 : 0}, {at, at}).empty());
    }
    REQUIRE(asked.size() >= 3);
    CHECK(asked[1].count == 4);
    CHECK(asked[2].count == 1);
    CHECK(asked[2].first == 0x20);
}

TEST_CASE("what nobody took for hours is lost with its exact range, and then looked at anew") {
    ContactsBoard board("kc", eight_slots(), 250, 1);
    board.take(all_but(0), {0, 0});
    std::int64_t at = 0;
    for (int change = 0; change < 5'000; ++change)
        for (int i = 0; i < 3; ++i) board.take(all_but(change % 2 == 0 ? 1 : 0), {++at, at});
    CHECK(board.pending().size() == 4'096);
    std::int64_t expected = 1;
    std::size_t pushes = 0;
    const KeyEvent* loss = nullptr;
    std::vector<KeyEvent> all;
    all.reserve(6'000);
    for (; pushes < 100; ++pushes) {
        board.take(all_but(0), {++at, at});
        for (KeyEvent& event : taken(board, {at, at})) all.push_back(std::move(event));
    }
    for (const KeyEvent& event : all) {
        CHECK(event.id.seq == expected);
        expected = (event.through != 0 ? event.through : event.id.seq) + 1;
        if (event.type == KeyEventType::log_overwritten) loss = &event;
    }
    REQUIRE(loss != nullptr);
    CHECK(loss->from == 4'097);
    CHECK(loss->through == 5'001);
    CHECK(all.back().type == KeyEventType::inventory);
}

TEST_CASE("shipped profiles hold their vectors; a broken one disables its cabinets alone") {
    const auto table =
        load_cabinet_profiles({std::string(GATEHOUSE_SOURCE_DIR) + "/drivers/cabinets"});
    for (const Problem& problem : table.problems) FAIL_CHECK(to_string(problem));
    CHECK(table.profiles.size() == 4);
    std::string reason;
    CHECK_FALSE(table.find("kcm1", &reason));
    CHECK(reason.find("did you mean \"kcm-1\"") != std::string::npos);
    const auto wrong = [](const std::string& text) {
        const auto parsed = parse_cabinet_profile(text, "x.toml");
        CHECK_FALSE(parsed.profile);
        return parsed.problems.empty() ? "" : to_string(parsed.problems.front());
    };
    const std::string head =
        "schema = 1\nid = \"x\"\nmaker = \"m\"\nmodel = \"m\"\nsource = \"s\"\nmap = \"document\"\n"
        "kind = \"contacts\"\n";
    CHECK(wrong("schema = ").find("x.toml:1:") == 0);
    CHECK(wrong(head + "kinds = 3\n").find("did you mean \"kind\"") != std::string::npos);
    CHECK(wrong(head + "[inputs]\nslots = [1, 1]\n").find("stands twice") != std::string::npos);
    CHECK(wrong(head + "[inputs]\nslots = [1, 2]\ndoor = 1\n").find("door") != std::string::npos);
    CHECK(wrong(head + "[inputs]\nslots = [1, 2]\n[[test]]\nname = \"t\"\ninputs = [\"11\"]\n"
                       "events = [\"inventory present=1 seq=1 at=0\"]\n")
              .find("instead of") != std::string::npos);
    CHECK(wrong(head + "[inputs]\nslots = [1, 2]\ninvert = \"1\"\n").find("invert") !=
          std::string::npos);
}
