// Meters that were mixed up: shown before, signed by two, every line that differs settled on both
// households, the registry set right from then on, and the same after a crash, a late price and a
// change of mind. Amounts are worked out by hand beside each case.
#include <boost/json.hpp>
#include <string>

#include "tests/integration/engine/engine_house.hpp"
#include "tests/integration/store/other_hand.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

using Rows = std::vector<std::string>;
constexpr UtcMs kMidnight24 = kMorning + 16 * kHour;  // Tuesday 2026-11-24T00:00:00+08:00

// a-102 pays Beijing's ladder, with 2860 of 2880 kWh used; a-103 a flat price.
struct Crossed : House {
    Crossed() {
        open();
        FileTexts files = three_homes();
        files["units.csv"] += "1-104,1栋104\n";
        files["accounts.csv"] =
            "account,unit,service,tariff,opening_balance,opening_ladder\n"
            "a-102,1-102,electricity,beijing,,2860\n"
            "a-103,1-103,electricity,flat,,\n"
            "a-104,1-104,electricity,flat,,\n";
        REQUIRE(import(files).kind == ReplyKind::ok);
        settle("e-102", "1000.00");
        settle("e-103", "5000.00");
    }
    void read(UtcMs at, const std::string& e102, const std::string& e103) {
        pass(at - clock.wall);
        settle("e-102", e102);
        settle("e-103", e103);
        pass(kMinute);
    }
    // Monday 10 and 5 kWh, Tuesday 40 and 2, Wednesday 30 and 1.
    void use() {
        read(kMidnight24 + kSecond, "1010.00", "5005.00");
        read(kMidnight24 + kDay + kSecond, "1050.00", "5007.00");
        read(kMidnight24 + 2 * kDay + kSecond, "1080.00", "5008.00");
    }
    Reply remap(const std::string& key, bool dry_run = false, const std::string& with = "e-103",
                const std::string& from = "2026-11-24", const std::string& meter = "e-102") {
        RemapMeter act;
        act.act = {"local", "s-01", "s-02", "the risers were crossed", key, key};
        act.meter = meter;
        act.with = with;
        act.from = from;
        act.reference = "basis 7";
        act.dry_run = dry_run;
        return ask(act);
    }
    Rows lines(const std::string& id, const std::string& month = "2026-11") const {
        StoreReader reader(path());
        Rows rows;
        for (const WhyLine& line : reader.why(id, month).lines)
            rows.push_back(std::to_string(line.key.tier) + " " + format(line.line.quantity) +
                           " = " + format(line.line.posted));
        return rows;
    }
    // Entries of re-mappings, without the number of the event.
    Rows settled(const std::string& id) const {
        Rows rows;
        for (std::string row : book(id)) {
            if (row.find(" remap:") == std::string::npos) continue;
            row.erase(row.rfind(':'));
            rows.push_back(row);
        }
        return rows;
    }
    // "a-102 2026-11 1: 20.000 = 9.77 -> 13.000 = 6.35", as the statement says.
    static Rows statement(const Reply& reply) {
        Rows rows;
        const auto document = boost::json::parse(reply.json);
        for (const auto& one : document.as_object().at("accounts").as_array()) {
            const auto& account = one.as_object();
            for (const auto& two : account.at("lines").as_array()) {
                const auto& line = two.as_object();
                const auto text = [&](const char* name) {
                    return std::string(line.at(name).as_string());
                };
                rows.push_back(std::string(account.at("account").as_string()) + " " +
                               std::to_string(line.at("tier").as_int64()) + ": " +
                               text("old_quantity") + " = " + text("old_target") + " -> " +
                               text("quantity") + " = " + text("target"));
            }
            rows.push_back(std::string(account.at("account").as_string()) + " " +
                           std::string(account.at("amount").as_string()));
        }
        return rows;
    }
};

}  // namespace

TEST_CASE_METHOD(Crossed, "two meters are set right from a day on, line by line on both accounts") {
    use();
    // Ladder 2860: 20 x 0.4883 = 9.766, 60 x 0.5383 = 32.298. Flat: 8 x 0.5283 = 4.2264.
    CHECK(lines("a-102") == Rows{"1 20.000 = 9.77", "2 60.000 = 32.30"});
    CHECK(lines("a-103") == Rows{"1 8.000 = 4.23"});
    // From Tuesday on a-102 used what e-103 counted: 10 + 3 = 13 x 0.4883 = 6.3479; and a-103 what
    // e-102 did: 5 + 70 = 75 x 0.5283 = 39.6225.
    const Rows shown{"a-102 1: 20.000 = 9.77 -> 13.000 = 6.35",
                     "a-102 2: 60.000 = 32.30 -> 0.000 = 0.00", "a-102 35.72",
                     "a-103 1: 8.000 = 4.23 -> 75.000 = 39.62", "a-103 -35.39"};
    const std::uint64_t before = engine().snapshot()->event_seq;
    const Reply dry = remap("", true);
    INFO(dry.detail << (dry.errors.empty() ? "" : dry.errors[0].message));
    REQUIRE(dry.kind == ReplyKind::ok);
    CHECK(statement(dry) == shown);
    CHECK(engine().snapshot()->event_seq == before);
    CHECK(meter("e-102").account == "a-102");
    const Reply done = remap("k-1");
    INFO(done.detail);
    REQUIRE(done.kind == ReplyKind::created);
    CHECK(statement(done) == shown);
    CHECK(settled("a-102") == Rows{"correction 3.42 remap", "correction 32.30 remap"});
    CHECK(settled("a-103") == Rows{"charge -35.39 remap"});
    CHECK(lines("a-102") == Rows{"1 13.000 = 6.35", "2 0.000 = 0.00"});
    CHECK(lines("a-103") == Rows{"1 75.000 = 39.62"});
    CHECK(ledger("a-102") == "-6.35");
    CHECK(ledger("a-103") == "-39.62");
    CHECK(meter("e-102").account == "a-103");
    CHECK(meter("e-102").unit() == "1-103");
    CHECK(meter("e-103").account == "a-102");
    CHECK(remap("k-1").json == done.json);
    CHECK(events("meter.remapped").size() == 1);
    // Both flats' lines have it and what it moved; what was used otherwise is in `why`.
    const auto line = [&](const char* about) {
        Rows kinds;
        for (const StoredEvent& event : StoreReader(path()).events_about(about, 0, 1'000))
            if (event.kind == "meter.remapped" || event.kind.starts_with("entry."))
                kinds.push_back(event.kind);
        return kinds;
    };
    CHECK(line("unit:1-102") == Rows{"meter.remapped", "entry.correction", "entry.correction"});
    CHECK(line("unit:1-103") == Rows{"meter.remapped", "entry.charge"});
    CHECK(proof() == "");
    // Three more and four more this morning, each for its own household now.
    settle("e-102", "1083.00");
    settle("e-103", "5012.00");
    // 2873 + 4: still the first tier. 17 x 0.4883 = 8.3011, 78 x 0.5283 = 41.2074.
    CHECK(balance("a-102") == "-8.30");
    CHECK(balance("a-103") == "-41.21");
    reopen();
    CHECK(balance("a-102") == "-6.35");
    settle("e-102", "1083.00");
    settle("e-103", "5012.00");
    CHECK(balance("a-102") == "-8.30");
    read(kMidnight24 + 3 * kDay + kSecond, "1083.00", "5012.00");
    CHECK(ledger("a-102") == "-8.30");
    CHECK(ledger("a-103") == "-41.21");
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Crossed, "a re-mapping that was wrong is taken back by another") {
    use();
    REQUIRE(remap("k-1").kind == ReplyKind::created);
    // Nothing was posted since: the figures that it rests on are the same.
    CHECK(remap("k-2").type == "not-posted");
    read(kMidnight24 + 3 * kDay + kSecond, "1090.00", "5020.00");
    const Reply back = remap("k-3");
    INFO(back.detail);
    REQUIRE(back.kind == ReplyKind::created);
    // As if nobody had ever done anything: 90 and 20 kWh.
    // 20 x 0.4883 = 9.766, 70 x 0.5383 = 37.681; 20 x 0.5283 = 10.566.
    CHECK(lines("a-102") == Rows{"1 20.000 = 9.77", "2 70.000 = 37.68"});
    CHECK(lines("a-103") == Rows{"1 20.000 = 10.57"});
    CHECK(meter("e-102").account == "a-102");
    CHECK(proof() == "");
    read(kMidnight24 + 4 * kDay + kSecond, "1091.00", "5021.00");
    reopen();
    pass(kMinute);
    CHECK(lines("a-103") == Rows{"1 21.000 = 11.09"});
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Crossed,
                 "a meter that belongs to a unit without one, and a price that comes late") {
    use();
    const Reply done = remap("k-1", false, "1-104", "2026-11-25", "e-103");
    INFO(done.detail);
    REQUIRE(done.kind == ReplyKind::created);
    // Until Wednesday a-103: 7 x 0.5283 = 3.6981; from it on a-104: 1 x 0.5283.
    CHECK(lines("a-103") == Rows{"1 7.000 = 3.70"});
    CHECK(lines("a-104") == Rows{"1 1.000 = 0.53"});
    CHECK(meter("e-103").account == "a-104");
    CHECK(proof() == "");
    // 0.60 from Tuesday on: 5 x 0.5283 = 2.6415 and 2 x 0.60, and 1 x 0.60.
    const FileTexts dearer{
        {"tariffs/flat.toml", flat_tariff("flat", "electricity", "0.5283") +
                                  "[[tariff.version]]\nvalid_from = \"2026-11-24\"\n"
                                  "ladder = \"none\"\ntiers = [ { price = \"0.60\" } ]\n"}};
    REQUIRE(import_signed(dearer).kind == ReplyKind::ok);
    CHECK(lines("a-103") == Rows{"1 5.000 = 2.64", "1 2.000 = 1.20"});
    CHECK(lines("a-104") == Rows{"1 0.000 = 0.00", "1 1.000 = 0.60"});
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Crossed, "what a re-mapping refuses, and says why") {
    use();
    struct Row {
        const char *meter, *with, *from, *type;
    };
    const Row rows[] = {{"e-102", "e-999", "2026-11-24", "invalid"},
                        {"e-102", "e-102", "2026-11-24", "invalid"},
                        {"e-102", "w-101", "2026-11-24", "invalid"},
                        {"e-102", "e-103", "24.11.2026", "invalid"},
                        {"e-102", "e-103", "2026-12-24", "invalid"},
                        {"e-999", "e-103", "2026-11-24", "not-found"},
                        {"e-102", "1-102", "2026-11-24", "nothing-moves"},
                        {"e-102", "1-101", "2026-11-24", "not-remappable"},
                        {"e-102", "e-103", "2026-11-22", "not-remappable"}};
    const std::uint64_t before = engine().snapshot()->event_seq;
    for (const Row& row : rows) {
        INFO(row.meter << " " << row.with << " " << row.from);
        CHECK(remap("k-9", false, row.with, row.from, row.meter).type == row.type);
        CHECK(remap("", true, row.with, row.from, row.meter).type == row.type);
    }
    CHECK(engine().snapshot()->event_seq == before);
    RemapMeter alone;
    alone.act = {"local", "s-01", "s-01", "", "k-9", "k-9"};
    alone.meter = "e-102";
    alone.with = "e-103";
    alone.from = "2026-11-24";
    const Reply reply = ask(alone);
    REQUIRE(reply.errors.size() == 2);
    CHECK(reply.errors[0].pointer == "/second");
    CHECK(reply.errors[1].pointer == "/reason");
}

TEST_CASE_METHOD(Crossed,
                 "what was re-mapped is not corrected row by row, and verify names a hand") {
    use();
    REQUIRE(remap("k-1").kind == ReplyKind::created);
    std::uint64_t tuesday = 0;
    for (const StoredReading& row : readings("e-102"))
        if (row.row.total == Milli{1'050'000} && tuesday == 0) tuesday = row.row.seq;
    ReadFace face;
    face.actor = "local";
    face.meter = "e-102";
    face.register_value = "1040.00";
    face.supersedes = tuesday;
    face.by = "s-01";
    face.second = "s-02";
    face.reason = "misread";
    CHECK(ask(face).type == "not-correctable");
    pass(31 * kSecond);
    crash();
    {
        OtherHand hand(path());
        CHECK(hand.run("UPDATE remap SET from_ms=from_ms+86400000") ==
              "what was re-mapped is append-only");
        REQUIRE(hand.run("DROP TRIGGER remap_keeps; UPDATE remap SET from_ms=from_ms+86400000") ==
                "");
    }
    open();
    CHECK(proof().find("a-10") != std::string::npos);
}

TEST_CASE("kill -9 between the re-mapping and its settlements posts everything once") {
    for (int turns = 1; turns <= 10; ++turns) {
        CAPTURE(turns);
        Crossed house;
        house.use();
        house.clock.look_costs = 5;  // so that a slice is over after an account
        RemapMeter act;
        act.act = {"local", "s-01", "s-02", "the risers were crossed", "k-1", "k-1"};
        act.meter = "e-102";
        act.with = "e-103";
        act.from = "2026-11-24";
        bool answered = false;
        REQUIRE(house.engine().submit(
            act, [&](const Reply& reply) { answered = reply.kind == ReplyKind::created; }));
        for (int turn = 0; turn < turns; ++turn) house.step();
        house.crash();
        house.clock.look_costs = 0;
        house.open();
        const bool done = house.events("meter.remapped").size() == 1;
        CHECK((done || !answered));
        for (int turn = 0; turn < 5; ++turn) house.pass(kSecond);
        if (!done) REQUIRE(house.ask(act).kind == ReplyKind::created);
        CHECK(house.ledger("a-102") == "-6.35");
        CHECK(house.ledger("a-103") == "-39.62");
        CHECK(house.proof() == "");
    }
}
