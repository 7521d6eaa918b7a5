// What the books hold and prove: append-only rows, both chains, the ledger, and the way from a
// balance to the words on the wire.
#include "tests/integration/store/store_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

struct House {
    Folder folder;
    std::string path = folder.file("books.db");
    std::unique_ptr<Store> store = open_store(path, "run-1");

    House() {
        store->begin();
        store->put_registry(homes(3), stamp_of(*store));
        store->commit();
    }
    Entry topup(int n, Fen amount) {
        Entry entry =
            topup_entry("a-1", amount, Method::cash, "s-01", "topup:k" + std::to_string(n));
        entry.entry = "E" + std::to_string(store->next(Series::entry));
        entry.receipt = "R" + std::to_string(store->draw(Series::receipt));
        entry.month = "2026-11";
        return entry;
    }
    // One month: two readings, one line, its charge, a top-up before it.
    void month() {
        store->begin();
        EpochRow epoch;
        epoch.meter = "e-1";
        epoch.serial = "s-1";
        epoch.opened = stamp_of(*store);
        epoch.id = store->put_epoch(epoch);
        ReadingRow reading = reading_of(*store, "e-1", 100'000, 2'000);
        reading.epoch = epoch.id;
        reading.account = "a-1";
        const std::uint64_t from = store->append_reading(reading);
        reading.kind = ReadingKind::freeze;
        reading.at.mono_ms = 902'000;
        reading.total = Milli{110'000};
        reading.stands_at = kMorning + 900'000;
        reading.raw = {0x0002, 0x0003};
        const std::uint64_t to = store->append_reading(reading);

        EntryExtra extra;
        extra.method = "cash";
        extra.payer = "Mr Li";
        extra.event = store->append_event(event_of(*store, "entry.topup", 1));
        store->append_entry(topup(1, Fen{10'000}), stamp_of(*store), extra);

        LineKey key{Service::electricity, "2026-11", "flat", {2026, 1, 1}, "", "", 1};
        Settlement settlement;
        settlement.lines[key] = {Price{48'830'000}, Milli{10'000}, Fen{0}};
        for (const Due& due : due(settlement)) {
            Entry entry = charge_entry("a-1", due, "day:2026-11-23");
            entry.entry = "E" + std::to_string(store->next(Series::entry));
            entry.month = "2026-11";
            CHECK(store->add_posting("a-1", "day:2026-11-23"));
            CHECK_FALSE(store->add_posting("a-1", "day:2026-11-23"));
            store->append_entry(entry, stamp_of(*store), {});
            mark_posted(settlement, due);
            const auto line = store->put_line("a-1", due.key, settlement.lines[key]);
            store->add_line_part(line, {"e-1", from, to, Milli{10'000}});
        }
        store->put_mark({"a-1", "e-1", to, Milli{110'000}});
        store->put_day({"e-1", 20'780, to, Milli{110'000}, ReadingQuality::good});
        store->put_counter({"a-1", "flat", {2026, 1, 1}, Milli{10'000}});
        store->commit();
    }
    std::string first_bad() {
        store.reset();
        StoreReader reader(path);
        return reader.verify().first_bad;
    }
};

}  // namespace

TEST_CASE("rows of the books refuse to be changed or deleted by anybody") {
    House house;
    house.month();
    house.store.reset();
    OtherHand hand(house.path);
    for (const char* sql :
         {"UPDATE event SET mono_ms=1", "DELETE FROM event", "UPDATE event_body SET body='{}'",
          "DELETE FROM event_body", "UPDATE reading SET total=1", "DELETE FROM reading",
          "UPDATE entry SET amount=1", "DELETE FROM entry", "UPDATE entry_leg SET amount=1",
          "DELETE FROM entry_leg"}) {
        INFO(sql);
        const std::string said = hand.run(sql);
        CHECK((contains(said, "append-only") || contains(said, "recorded reason")));
    }
    // Opened for retention, still nothing but interval readings up to the limit may go.
    REQUIRE(hand.run("INSERT INTO maintenance VALUES(1,1,NULL,NULL)") == "");
    CHECK(hand.run("DELETE FROM reading WHERE seq=2") != "");
    CHECK(hand.run("DELETE FROM reading WHERE seq=1") == "");
    CHECK(hand.run("UPDATE reading SET total=1") != "");
    CHECK(hand.run("DELETE FROM entry") != "");
    CHECK(hand.run("DELETE FROM event") != "");
}

TEST_CASE("verify holds for sound books and names the first row that was tampered with") {
    House house;
    house.month();
    house.store->begin();
    for (int i = 0; i < 5; ++i) house.store->append_event(event_of(*house.store, "x.y", i));
    house.store->commit();
    SECTION("nothing") {
        CHECK(house.first_bad() == "");
        StoreReader reader(house.path);
        const Proof proof = reader.verify();
        CHECK(proof.ok);
        CHECK(proof.events == 6);
        CHECK(proof.entries == 2);
        CHECK(proof.readings == 2);
        CHECK(proof.lines == 1);
    }
    struct Case {
        const char* tampering;
        const char* named;
    };
    const auto tampered = GENERATE(
        Case{"DROP TRIGGER event_keeps; UPDATE event SET mono_ms=mono_ms+1 WHERE seq=3", "event 3"},
        Case{"DROP TRIGGER event_keeps; UPDATE event SET kind=1 WHERE seq=4", "event 4"},
        Case{"DROP TRIGGER event_keeps; UPDATE event SET h=zeroblob(32) WHERE seq=2", "event 2"},
        Case{"DROP TRIGGER event_stays; DROP TRIGGER event_body_stays; "
             "DELETE FROM event_body WHERE seq=3; DELETE FROM event WHERE seq=3",
             "event 4"},
        Case{"DROP TRIGGER event_body_keeps; "
             "UPDATE event_body SET body='{\"n\":9}' WHERE seq=5",
             "event 5"},
        Case{"DROP TRIGGER event_body_stays; DELETE FROM event_body WHERE seq=2", "event 2"},
        Case{"DROP TRIGGER entry_keeps; UPDATE entry SET by='s-02' WHERE seq=1", "entry 1"},
        Case{"DROP TRIGGER entry_leg_keeps; UPDATE entry_leg SET amount=amount*2 WHERE entry=2",
             "entry 2"},
        Case{"DROP TRIGGER entry_leg_keeps; UPDATE entry_leg SET balance=1 WHERE entry=2 AND n=0",
             "entry 2"},
        Case{"UPDATE ledger_account SET balance=balance+1 WHERE name='household:a-1'",
             "household:a-1"},
        Case{"UPDATE line SET posted=posted+1", "line 1"},
        Case{"UPDATE line SET price=price*2", "line 1"},
        Case{"UPDATE line_part SET quantity=1", "line 1"},
        Case{"DROP TRIGGER reading_stays; DELETE FROM reading WHERE seq=1", "reading 2"});
    SECTION("tampering") {
        house.store.reset();
        INFO(tampered.tampering);
        {
            OtherHand hand(house.path);
            REQUIRE(hand.run(tampered.tampering) == "");
        }
        StoreReader reader(house.path);
        const Proof proof = reader.verify();
        CHECK_FALSE(proof.ok);
        INFO(proof.first_bad);
        CHECK(contains(proof.first_bad, tampered.named));
    }
}

TEST_CASE("a body can be removed with a reason, and the chain still holds") {
    House house;
    house.store->begin();
    EventRow event = event_of(*house.store, "entry.topup", 1);
    event.about = {"account:a-1"};
    house.store->append_event(event);
    house.store->append_event(event_of(*house.store, "entry.topup", 2));
    house.store->commit();
    house.store->begin();
    house.store->remove_event_body(1, "erasure");
    house.store->commit();
    StoreReader reader(house.path);
    const auto events = reader.events_after(0, 10);
    REQUIRE(events.size() == 2);
    CHECK(events[0].removed == "erasure");
    CHECK(events[0].body.empty());
    CHECK(events[0].h.size() == 64);
    CHECK(events[1].removed.empty());
    CHECK(events[1].body == R"({"n":2})");
    CHECK(events[1].subject == R"({"account":"a-1"})");
    CHECK(reader.events_about("account:a-1", 0, 10).size() == 1);
    CHECK(house.first_bad() == "");
}

TEST_CASE("a day is sealed once with the head of the log") {
    House house;
    StoreReader reader(house.path);
    CHECK(reader.newest_seal().day.empty());
    house.store->begin();
    house.store->append_event(event_of(*house.store, "meter.online", 1));
    const LogHead head = house.store->seal_day("2026-11-23", 1);
    house.store->append_event(event_of(*house.store, "meter.online", 2));
    CHECK(house.store->seal_day("2026-11-23", 2).seq == head.seq);
    CHECK(house.store->newest_seal().h == head.h);
    CHECK(house.store->newest_event([](const Stamp&) { return true; }) == 2);
    CHECK(house.store->newest_event([](const Stamp&) { return false; }) == 0);
    house.store->commit();
    CHECK(head.seq == 1);
    CHECK(head.h == reader.events_after(0, 1).at(0).h);
    CHECK(reader.newest_seal().h == head.h);
    CHECK(house.first_bad() == "");
}

TEST_CASE("the seals after a day come one by one, those of a year and no older") {
    House house;
    StoreReader reader(house.path);
    CHECK(reader.seal_after("").day.empty());
    house.store->begin();
    house.store->append_event(event_of(*house.store, "meter.online", 1));
    for (const char* day : {"2025-11-20", "2025-11-24", "2026-11-22", "2026-11-24"})
        static_cast<void>(house.store->seal_day(day, 1));
    house.store->put_note("told", "2026-11-22");
    house.store->commit();
    CHECK(reader.seal_after("").day == "2025-11-24");
    CHECK(reader.seal_after("2025-11-24").day == "2026-11-22");
    CHECK(reader.seal_after(reader.note("told")).day == "2026-11-24");
    CHECK(reader.seal_after("2026-11-24").day.empty());
    CHECK(reader.note("nothing").empty());
}

TEST_CASE("events are filtered by kind and by the front of a kind") {
    House house;
    house.store->begin();
    for (const char* kind : {"alert.raised", "entry.charge", "alert.cleared", "meter.online"}) {
        house.store->append_event(event_of(*house.store, kind, 0));
    }
    house.store->commit();
    StoreReader reader(house.path);
    CHECK(reader.events_after(0, 10, {"alert."}).size() == 2);
    CHECK(reader.events_after(1, 10, {"alert.", "meter.online"}).size() == 2);
    CHECK(reader.events_after(0, 1, {"alert."}).size() == 1);
    CHECK(reader.events_after(0, 10, {"alert"}).empty());
}

TEST_CASE("why leads from the ledger over a line to the words on the wire") {
    House house;
    house.month();
    StoreReader reader(house.path);
    const WhyMaterial why = reader.why("a-1", GENERATE("", "2026-11"));
    CHECK(why.ledger == Fen{10'000 - 488});
    REQUIRE(why.entries.size() == 2);
    CHECK(why.entries[0].entry.kind == EntryKind::topup);
    CHECK(why.entries[0].payer == "Mr Li");
    CHECK(why.entries[0].balance_after == Fen{10'000});
    CHECK(why.entries[1].entry.amount == Fen{-488});
    CHECK(why.entries[1].balance_after == Fen{9'512});
    REQUIRE(why.lines.size() == 1);
    CHECK(why.entries[1].line == why.lines[0].id);
    CHECK(why.lines[0].line.posted == Fen{488});
    REQUIRE(why.lines[0].parts.size() == 1);
    const WhyPart& part = why.lines[0].parts[0];
    CHECK(part.from.row.seq == 1);
    CHECK(part.to.row.raw == std::vector<std::uint16_t>{2, 3});
    CHECK(part.to.at.at == kMorning + 900'000);
    CHECK(reader.why("a-1", "2026-12").entries.empty());
    CHECK(reader.why("a-2", "").lines.empty());
}

TEST_CASE("the ledger of an account pages in order and knows each balance") {
    House house;
    house.store->begin();
    for (int i = 0; i < 5; ++i) {
        house.store->append_entry(house.topup(i, Fen{100}), stamp_of(*house.store), {});
    }
    house.store->commit();
    StoreReader reader(house.path);
    const EntryPage first = reader.ledger("a-1", 0, 2);
    REQUIRE(first.items.size() == 2);
    CHECK(first.has_more);
    CHECK(first.items[1].balance_after == Fen{200});
    const EntryPage rest = reader.ledger("a-1", first.next, 10);
    REQUIRE(rest.items.size() == 3);
    CHECK_FALSE(rest.has_more);
    CHECK(rest.items[2].balance_after == Fen{500});
    CHECK(rest.items[2].entry.receipt == "R5");
    CHECK(reader.ledger("a-2", 0, 10).items.empty());
    CHECK(reader.entries_after(0, 10, {EntryKind::charge}).items.empty());
    CHECK(reader.entries_after(3, 10).items.size() == 2);
    REQUIRE(reader.entry("E3"));
    CHECK(reader.entry("E3")->balance_after == Fen{300});
    CHECK(reader.entry("E3")->entry.receipt == "R3");
    CHECK(house.store->ledger_account("cash:s-01").balance == Fen{-500});
}

TEST_CASE("an entry whose id, receipt or reversal was there already is refused whole") {
    House house;
    house.store->begin();
    Entry entry = house.topup(1, Fen{100});
    house.store->append_entry(entry, stamp_of(*house.store), {});
    house.store->commit();
    house.store->begin();
    entry.entry = "E9";  // the same receipt
    CHECK_THROWS_AS(house.store->append_entry(entry, stamp_of(*house.store), {}), StoreError);
    house.store->rollback();
    CHECK(house.store->next(Series::entry) == 2);
    CHECK(house.first_bad() == "");
}
