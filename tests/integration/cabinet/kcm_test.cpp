// A board with a log: whatever breaks between window, commit and acknowledgement, each of its
// events is kept once, in order, and what the board lost is said with its exact range.
#include <random>

#include "tests/integration/cabinet/fixture.hpp"

using namespace gatehouse;
using namespace gatehouse::cabinet;

namespace {

std::vector<std::int64_t> range(std::int64_t from, std::int64_t through) {
    std::vector<std::int64_t> all;
    for (std::int64_t seq = from; seq <= through; ++seq) all.push_back(seq);
    return all;
}

void act(simulator::Cabinet& cabinet, const std::string& what, std::int64_t now_ms) {
    INFO(what);
    REQUIRE(cabinet.act(what, now_ms).empty());
}

}  // namespace

TEST_CASE("the log is read in windows, handed, acknowledged, and followed by what hangs there") {
    simulator::Cabinet cabinet(board_of(24), 1, Life::kEpochMs);
    std::int64_t now = 1'000;
    act(cabinet, "badge w34:012345678", now);
    act(cabinet, "open", now);
    for (int slot = 1; slot <= 10; ++slot) act(cabinet, "take " + std::to_string(slot), now + slot);
    act(cabinet, "close", now + 100);
    Books books;
    Life life(cabinet, Life::kcm(5), now);
    std::vector<std::size_t> sizes;
    life.sink = [&](const KeyPush& push) {
        CHECK(push.source == "kc-01");
        CHECK(push.device_now);
        sizes.push_back(push.events.size());
        books.keep(push);
        return true;
    };
    life.run_for(5'000);
    CHECK(books.seqs("kc-01") == range(1, 13));
    CHECK(sizes == std::vector<std::size_t>{7, 6, 1});
    CHECK(cabinet.acked() == 13);
    const KeyEvent& removed = books.order[2];
    CHECK(describe(removed) ==
          "key.removed slot=1 card=w34:012345678 tag=E004015000000001 seq=3 "
          "at=" +
              std::to_string(Life::kEpochMs + 1'001));
    CHECK(removed.origin == KeyOrigin::device);
    const KeyEvent* stock = books.last(KeyEventType::inventory);
    REQUIRE(stock != nullptr);
    CHECK(stock->id == KeyEventId{"kc-01/box", 5, 1});
    CHECK(stock->origin == KeyOrigin::derived);
    CHECK(stock->present.size() == 14);
    CHECK(stock->present.front() == 11);
    REQUIRE(stock->tags.size() == 14);
    CHECK(stock->tags.front() == SlotTag{11, "E00401500000000B"});
    CHECK(stock->at >= books.order[12].at);
    // Nothing new: nothing is told.
    life.run_for(60'000);
    CHECK(books.order.size() == 14);
    CHECK(books.again == 0);
    // An event in the very second that the inventory ends with comes after it.
    act(cabinet, "take 20", now);
    life.run_for(2'000);
    CHECK(books.order.back().at > stock->at);
}

TEST_CASE("a thousand kills between window, commit and acknowledgement: each event once") {
    std::mt19937 dice(20261126);
    simulator::Cabinet cabinet(board_of(24), 1, Life::kEpochMs);
    std::int64_t now = 1'000;
    Books books;
    int kills = 0;
    std::int64_t runs = 0;
    while (kills < 1'000) {
        Life life(cabinet, Life::kcm(++runs), now);
        bool killed = false;
        const auto kill = [&] { return killed = dice() % 8 == 0; };
        // Killed before it kept anything, or after it kept and before anybody heard of it.
        life.sink = [&](const KeyPush& push) {
            if (kill()) return false;
            books.keep(push);
            (void)kill();
            return true;
        };
        // Killed with a question or an acknowledgement on the wire, or with its answer.
        life.before = [&](const PollerAction&) { return killed || dice() % 50 != 0 || !kill(); };
        while (!killed) {
            (void)life.step();
            if (dice() % 6 == 0) act(cabinet, "flood " + std::to_string(1 + dice() % 9), now);
        }
        ++kills;
    }
    Life last(cabinet, Life::kcm(++runs), now);
    last.sink = [&](const KeyPush& push) {
        books.keep(push);
        return true;
    };
    last.run_for(3'600'000);
    CHECK(cabinet.newest() > 1'000);
    CHECK(cabinet.acked() == cabinet.newest());
    CHECK(books.seqs("kc-01") == range(1, cabinet.newest()));
    CHECK(books.again > 0);
    CHECK(books.last(KeyEventType::log_overwritten) == nullptr);
    WARN(kills << " kills, " << cabinet.newest() << " events, " << books.again << " came again");
}

TEST_CASE("a boot between window and confirmation: the window is void, and no event comes twice") {
    simulator::Cabinet cabinet(board_of(8), 1, Life::kEpochMs);
    std::int64_t now = 1'000;
    act(cabinet, "flood 5", now);
    Books books;
    Life life(cabinet, Life::kcm(1), now);
    bool window_read = false, booted = false;
    life.before = [&](const PollerAction& action) {
        if (window_read && !booted) {
            booted = true;
            act(cabinet, "power off", now);
            act(cabinet, "power on", now);
        }
        window_read = action.kind == PollerAction::Kind::read && action.request.span.first == 0x100;
        return true;
    };
    life.sink = [&](const KeyPush& push) {
        if (push.events.front().type != KeyEventType::inventory) CHECK(push.boot == cabinet.boot());
        books.keep(push);
        return true;
    };
    life.run_for(5'000);
    CHECK(booted);
    CHECK(books.seqs("kc-01") == range(1, 8));
    for (const KeyEvent& event : books.order)
        if (event.id.source == "kc-01") CHECK(event.id.boot == 2);
    CHECK(books.order[5].type == KeyEventType::power);
    CHECK(books.order[6].type == KeyEventType::boot);
    // Committed, and the power goes before the acknowledgement is there.
    act(cabinet, "flood 3", now);
    int acks = 0;
    life.before = [&](const PollerAction& action) {
        if (action.kind == PollerAction::Kind::write && ++acks == 1) {
            act(cabinet, "power off", now);
            act(cabinet, "power on", now);
        }
        return true;
    };
    life.run_for(10'000);
    CHECK(acks > 1);
    CHECK(cabinet.boot() == 3);
    CHECK(books.seqs("kc-01") == range(1, cabinet.newest()));
    CHECK(books.last(KeyEventType::inventory)->id.seq >= 2);
}

TEST_CASE("what was overwritten is told with its exact range, and what hangs there is looked at") {
    simulator::Cabinet cabinet(board_of(8, 10), 1, Life::kEpochMs);
    std::int64_t now = 1'000;
    act(cabinet, "flood 4", now);
    Books books;
    Life life(cabinet, Life::kcm(1), now);
    life.sink = [&](const KeyPush& push) {
        books.keep(push);
        return true;
    };
    life.run_for(5'000);
    REQUIRE(books.seqs("kc-01") == range(1, 4));
    SECTION("while nobody asked") {
        act(cabinet, "flood 37", now);  // 5 to 41, of which 32 to 41 are left
        life.run_for(5'000);
        const KeyEvent* loss = books.last(KeyEventType::log_overwritten);
        REQUIRE(loss != nullptr);
        CHECK(loss->id == KeyEventId{"kc-01", 1, 5});
        CHECK(loss->from == 5);
        CHECK(loss->through == 31);
        std::vector<std::int64_t> expected = range(1, 5);
        for (const std::int64_t seq : range(32, 41)) expected.push_back(seq);
        CHECK(books.seqs("kc-01") == expected);
        CHECK(books.seqs("kc-01/box") == range(1, 2));
    }
    SECTION("between window and acknowledgement, with events that were committed") {
        act(cabinet, "flood 8", now);  // 5 to 12
        bool flooded = false;
        life.sink = [&](const KeyPush& push) {
            books.keep(push);
            if (!flooded) act(cabinet, "flood 20", now);  // 13 to 32, of which 23 to 32 are left
            flooded = true;
            return true;
        };
        life.run_for(5'000);
        const KeyEvent* loss = books.last(KeyEventType::log_overwritten);
        REQUIRE(loss != nullptr);
        CHECK(loss->from == 12);  // 5 to 11 were in the first window
        CHECK(loss->through == 22);
        CHECK(books.last(KeyEventType::tamper)->id.seq == 32);
    }
    SECTION("more of it between the head and the window") {
        act(cabinet, "flood 15", now);  // 5 to 19, of which 10 to 19 are left
        bool flooded = false;
        life.before = [&](const PollerAction& action) {
            const bool window = action.request.span.first == 0x100;
            if (window && !flooded) act(cabinet, "flood 6", now);  // 20 to 25; 16 to 25 are left
            flooded = flooded || window;
            return true;
        };
        life.run_for(5'000);
        const KeyEvent* loss = books.last(KeyEventType::log_overwritten);
        REQUIRE(loss != nullptr);
        CHECK(loss->from == 5);
        CHECK(loss->through == 15);
    }
    CHECK(cabinet.acked() == cabinet.newest());
}

TEST_CASE("not committed: the same events come again, and nothing is acknowledged before") {
    simulator::Cabinet cabinet(board_of(8), 1, Life::kEpochMs);
    std::int64_t now = 1'000;
    act(cabinet, "flood 9", now);
    Life life(cabinet, Life::kcm(1), now);
    std::vector<std::vector<std::int64_t>> handed;
    Books books;
    life.sink = [&](const KeyPush& push) {
        std::vector<std::int64_t> seqs;
        for (const KeyEvent& event : push.events) seqs.push_back(event.id.seq);
        handed.push_back(seqs);
        if (handed.size() <= 3) {
            CHECK(cabinet.acked() == 0);
            return false;
        }
        books.keep(push);
        return true;
    };
    life.run_for(20'000);
    REQUIRE(handed.size() == 6);
    CHECK(handed[1] == handed[0]);
    CHECK(handed[3] == handed[0]);
    CHECK(books.seqs("kc-01") == range(1, 9));
}

TEST_CASE("offline after three failed polls of three questions, and an inventory once it is back") {
    simulator::Cabinet cabinet(board_of(8), 1, Life::kEpochMs);
    std::int64_t now = 1'000;
    Books books;
    Life life(cabinet, Life::kcm(1), now);
    life.sink = [&](const KeyPush& push) {
        books.keep(push);
        return true;
    };
    CHECK_FALSE(life.poller().seen(life.moment()));  // not known yet
    life.run_for(5'000);
    auto seen = life.poller().seen(life.moment());
    REQUIRE(seen);
    CHECK(seen->online);
    CHECK(std::abs(seen->skew_ms) <= 1'000);
    CHECK_FALSE(life.poller().seen(life.moment()));  // once
    life.silent = true;
    const auto before = life.poller().status().counts.timeouts;
    while (life.poller().status().online) (void)life.step();
    CHECK(life.poller().status().counts.timeouts - before == 9);
    seen = life.poller().seen(life.moment());
    REQUIRE(seen);
    CHECK_FALSE(seen->online);
    CHECK(seen->reason == "no reply in time");
    life.run_for(60'000);
    // One question every five seconds, no more.
    CHECK(life.poller().status().counts.timeouts - before <= 9 + 13);
    life.silent = false;
    act(cabinet, "take 3", now);
    life.run_for(8'000);
    seen = life.poller().seen(life.moment());
    REQUIRE(seen);
    CHECK(seen->online);
    CHECK(books.seqs("kc-01/box") == range(1, 2));
    CHECK(books.last(KeyEventType::inventory)->present == std::vector<int>{1, 2, 4, 5, 6, 7, 8});
}

TEST_CASE("a clock that is off is told, and set on command alone") {
    simulator::CabinetSpec spec = board_of(8);
    spec.clock_off_ms = 3'600'000;
    simulator::Cabinet cabinet(spec, 1, Life::kEpochMs);
    std::int64_t now = 1'000;
    Books books;
    Life life(cabinet, Life::kcm(1), now);
    life.sink = [&](const KeyPush& push) {
        books.keep(push);
        return true;
    };
    // It does not answer yet.
    CHECK_FALSE(life.poller().set_clock(Life::kEpochMs, life.moment()).empty());
    life.run_for(5'000);
    auto seen = life.poller().seen(life.moment());
    REQUIRE(seen);
    CHECK(seen->skew_ms > 3'599'000);
    life.run_for(60'000);
    CHECK(books.last(KeyEventType::clock_set) == nullptr);
    CHECK(life.poller().set_clock(Life::kEpochMs, life.moment()).empty());
    CHECK(life.poller().clock_problem() == "its clock is being set already");
    life.run_for(2'000);
    REQUIRE(books.last(KeyEventType::clock_set) != nullptr);
    const auto outcome = life.poller().clock_outcome(life.moment());
    REQUIRE(outcome);
    CHECK(outcome->done);
    CHECK(outcome->before_ms.value_or(0) > 3'599'000);
    CHECK(std::abs(outcome->after_ms.value_or(9'999)) <= 1'000);
    CHECK_FALSE(life.poller().clock_outcome(life.moment()));
    CHECK(life.poller().clock_problem().empty());
    seen = life.poller().seen(life.moment());
    REQUIRE(seen);
    CHECK(std::abs(seen->skew_ms) <= 1'000);
}

TEST_CASE("what was logged before the clock was set is told by the clock that it was logged with") {
    simulator::CabinetSpec spec = board_of(8);
    spec.clock_off_ms = 3'600'000;
    simulator::Cabinet cabinet(spec, 1, Life::kEpochMs);
    std::int64_t now = 1'000;
    std::map<std::int64_t, std::int64_t> off;  // by seq: the clock of its push before ours
    Life life(cabinet, Life::kcm(1), now);
    life.sink = [&](const KeyPush& push) {
        for (const KeyEvent& event : push.events)
            if (event.id.source == "kc-01")
                off[event.id.seq] = *push.device_now - (Life::kEpochMs + now);
        return true;
    };
    life.run_for(5'000);
    // Between the head that says that all is read and the write somebody takes a key.
    life.before = [&](const PollerAction& action) {
        if (action.kind == PollerAction::Kind::write && action.write.first == kKcmClock)
            act(cabinet, "take 3", now);
        return true;
    };
    REQUIRE(life.poller().set_clock(Life::kEpochMs, life.moment()).empty());
    life.run_for(3'000);
    REQUIRE(off.size() == 2);  // the key, and the clock
    CHECK(off[1] > 3'599'000);
    CHECK(std::abs(off[2]) <= 1'000);
}

TEST_CASE("the clock: a board that refuses it, one that goes away meanwhile, one that is busy") {
    std::int64_t now = 1'000;
    simulator::Cabinet cabinet(board_of(4), 1, Life::kEpochMs);
    Life life(cabinet, Life::kcm(1), now);
    bool keeps = true;
    life.sink = [&](const KeyPush&) { return keeps; };
    life.run_for(5'000);
    life.silent = true;
    REQUIRE(life.poller().set_clock(Life::kEpochMs, life.moment()).empty());
    life.run_for(10'000);
    auto outcome = life.poller().clock_outcome(life.moment());
    REQUIRE(outcome);
    CHECK(outcome->reason.starts_with("it does not answer any more: "));
    life.silent = false;
    life.run_for(10'000);
    // Not carried out later, when nobody waits for it.
    CHECK(cabinet.newest() == 0);

    act(cabinet, "flood 20", now);
    keeps = false;  // nothing can be kept, so the log is never empty
    life.run_for(5'000);
    REQUIRE(life.poller().set_clock(Life::kEpochMs, life.moment()).empty());
    life.run_for(12'000);
    outcome = life.poller().clock_outcome(life.moment());
    REQUIRE(outcome);
    CHECK(outcome->done);
}

TEST_CASE(
    "a board in another's place counts anew: it is believed the second time, and read whole") {
    std::int64_t now = 1'000;
    simulator::Cabinet cabinet(board_of(8), 1, Life::kEpochMs);
    act(cabinet, "power off", now);
    act(cabinet, "power on", now);
    act(cabinet, "flood 30", now);
    std::vector<KeyPush> pushes;
    Life life(cabinet, Life::kcm(1), now);
    life.sink = [&](const KeyPush& push) {
        pushes.push_back(push);
        return true;
    };
    life.run_for(20'000);
    REQUIRE(cabinet.acked() == cabinet.newest());
    for (const bool same_boot : {false, true}) {
        INFO("the same boot number " << same_boot);
        act(cabinet, "swap", now);
        act(cabinet, "flood 9", now);
        pushes.clear();
        life.run_for(20'000);
        std::vector<std::int64_t> seqs;
        for (const KeyPush& push : pushes) {
            for (const KeyEvent& event : push.events) {
                if (event.id.source != "kc-01") continue;
                CHECK(event.id.boot == 1);
                CHECK(push.newest == cabinet.newest());
                seqs.push_back(event.id.seq);
            }
        }
        CHECK(seqs == range(1, 10));
        CHECK(cabinet.acked() == 10);
        CHECK(pushes.back().events.back().type == KeyEventType::inventory);
    }
}

TEST_CASE("a board of the map without a log is asked like one of contacts") {
    simulator::Cabinet cabinet(board_of(8), 1, Life::kEpochMs);
    std::int64_t now = 1'000;
    // It counts nothing at all, or something that nobody can read.
    if (GENERATE(true, false)) act(cabinet, "flood 2", now);
    KcmBoard board("kc-01", shipped("kcm-1"), 500, 4);
    const auto ask = [&] {
        Moment moment{now, Life::kEpochMs + now};
        BoardAsk asked = board.next(moment);
        if (asked.kind == BoardAsk::Kind::wait) now = asked.until;
        if (asked.kind != BoardAsk::Kind::read) return asked;
        PollerAction action;
        action.kind = PollerAction::Kind::read;
        action.request.span = asked.span;
        auto reply = reply_of(cabinet.answer(pdu_of(action), ++now), asked.span.count);
        if (asked.span.first == kKcmWindow) reply = reply_of({0x84, 2}, 0);
        CHECK(board.answered({reply.words, reply.exception}, moment).empty());
        return asked;
    };
    KeyPush push;
    const auto next_push = [&] {
        for (int i = 0; i < 100; ++i) {
            BoardAsk asked = ask();
            if (asked.kind != BoardAsk::Kind::hand) continue;
            board.committed(true, {now, 0});
            return asked.push.events;
        }
        return std::vector<KeyEvent>{};
    };
    auto events = next_push();
    REQUIRE(events.size() == 2);
    CHECK(events[0].id == KeyEventId{"kc-01", 4, 1});
    CHECK(events[0].present == std::vector<int>{1, 2, 3, 4, 5, 6, 7, 8});
    CHECK(events[1].type == KeyEventType::tamper);
    CHECK_FALSE(events[1].begins);
    act(cabinet, "take 8", now);
    now += 200;
    events = next_push();
    REQUIRE(events.size() == 1);
    CHECK(events[0].type == KeyEventType::key_removed);
    CHECK(events[0].slot == 8);
    // What it has no log for is read of its inputs.
    act(cabinet, "tamper on", now);
    now += 200;
    events = next_push();
    REQUIRE(events.size() == 1);
    CHECK(events[0].type == KeyEventType::tamper);
    CHECK(events[0].begins);
}

TEST_CASE("another device at the address is no cabinet, and says why") {
    std::vector<std::uint16_t> words(17);
    words[0] = 0x1234;
    const auto head = decode_kcm_head(words);
    REQUIRE(std::holds_alternative<std::string>(head));
    CHECK(std::get<std::string>(head).find("1234") != std::string::npos);
    words = {0x4B43, 2};
    words.resize(17);
    CHECK(std::holds_alternative<std::string>(decode_kcm_head(words)));
    // By hand: boot 7, seq 18231 = 0x4737; 0 + 7 + 0 + 0x4737 = 0x473E.
    CHECK(kcm_ack(7, 18'231) == std::vector<std::uint16_t>{0, 7, 0, 0x4737, 0x473E});
    CHECK(kcm_ack(0xFFFF'FFFF, 0x1'0000)[4] == 0xFFFF);  // FFFF + FFFF + 1 + 0, of 16 bits
    CHECK(kcm_clock(1'779'080'864'250) == std::vector<std::uint16_t>{0x6A0A, 0x9EA0, 250});
}
