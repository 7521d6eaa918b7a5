// Figures that stand in the books and were wrong: a row supersedes another, what was estimated
// beside it is estimated anew, and each line whose target changes gets its entry. V16 is the first.
// Amounts are worked out by hand beside each case.
#include <boost/json.hpp>
#include <string>

#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

using Rows = std::vector<std::string>;
constexpr UtcMs kMidnight24 = kMorning + 16 * kHour;  // Tuesday 2026-11-24T00:00:00+08:00

struct Wrong : House {
    explicit Wrong(FileTexts files = three_homes(), UtcMs begin = kMorning) {
        clock.wall = begin;
        open();
        const Reply reply = import(files);
        INFO(reply.detail << (reply.errors.empty() ? "" : reply.errors[0].message));
        REQUIRE(reply.kind == ReplyKind::ok);
    }
    void read(const std::string& id, const std::string& face, UtcMs at) {
        pass(at - clock.wall);
        settle(id, face);
    }
    Reply correct(const std::string& id, std::uint64_t reading, const std::string& face,
                  const std::string& second = "s-02", const std::string& reason = "misread") {
        ReadFace act;
        act.actor = "local";
        act.meter = id;
        act.register_value = face;
        act.supersedes = reading;
        act.by = "s-01";
        act.second = second;
        act.reason = reason;
        return ask(act);
    }
    // The first row of the meter with that register.
    std::uint64_t row(const std::string& id, const std::string& face) const {
        std::uint64_t seq = 0;
        for (const StoredReading& one : readings(id))
            if (seq == 0 && format(one.row.register_value) == face + "0") seq = one.row.seq;
        REQUIRE(seq != 0);
        return seq;
    }
    Rows newest(const std::string& id, std::size_t count) const {
        Rows rows = book(id);
        REQUIRE(rows.size() >= count);
        rows.erase(rows.begin(), rows.end() - static_cast<std::ptrdiff_t>(count));
        for (std::string& one : rows) one.erase(one.rfind(':'));
        return rows;
    }
    Rows lines(const std::string& id, const std::string& month) const {
        StoreReader reader(path());
        Rows rows;
        for (const WhyLine& line : reader.why(id, month).lines)
            rows.push_back(std::to_string(line.key.tier) + " " + format(line.line.quantity) +
                           " = " + format(line.line.posted));
        return rows;
    }
};

FileTexts beijing_at(const std::string& used) {
    FileTexts files = three_homes();
    files["accounts.csv"] =
        "account,unit,service,tariff,opening_balance,opening_ladder\n"
        "a-102,1-102,electricity,beijing,," +
        used + "\na-103,1-103,electricity,flat,,\n";
    return files;
}

// cumulative, read wrongly, right; charged, what it should be, the correction
struct Vector16 {
    const char *used, *wrong, *right, *charged, *should, *correction;
};
constexpr Vector16 kVectors[] = {
    // V16: 2800 -> 3300 was charged, 2950 is right: 80 x 0.4883 = 39.06, 70 x 0.5383 = 37.68.
    {"2800", "1500.00", "1150.00", "-265.15", "-76.74", "188.41"},
    // Within one tier: 500 x 0.4883 = 244.15, 150 x 0.4883 = 73.245.
    {"0", "1500.00", "1150.00", "-244.15", "-73.25", "170.90"},
    // Nothing was used at all.
    {"2800", "1500.00", "1000.00", "-265.15", "0.00", "226.09"},
};

}  // namespace

TEST_CASE("V16: a wrong figure at the newest midnight, its ladder and what goes on after it") {
    for (const Vector16& vector : kVectors) {
        CAPTURE(vector.used, vector.right);
        Wrong house(beijing_at(vector.used));
        house.settle("e-102", "1000.00");
        house.read("e-102", vector.wrong, kMidnight24 + kMinute);
        CHECK(house.ledger("a-102") == vector.charged);
        // The meter itself stands lower: held, until what it was compared with is corrected.
        for (int i = 0; i < 5; ++i)
            house.read("e-102", vector.right, kMidnight24 + kHour + i * kMinute);
        REQUIRE(house.meter("e-102").reason != "");
        const std::uint64_t wrong = house.row("e-102", vector.wrong);
        const Reply done = house.correct("e-102", wrong, vector.right);
        INFO(done.detail);
        REQUIRE(done.kind == ReplyKind::created);
        CHECK(house.ledger("a-102") == vector.should);
        CHECK(house.newest("a-102", 1) ==
              Rows{std::string("correction ") + vector.correction + " correction"});
        CHECK(house.proof() == "");
        const auto money = boost::json::parse(done.json).as_object().at("money").as_array();
        REQUIRE(money.size() == 1);
        CHECK(money[0].as_object().at("kind") == "correction");
        const auto rows = house.readings("e-102");
        REQUIRE(rows.size() >= 2);
        const StoredReading& first = rows[rows.size() - 2];
        CHECK(first.row.supersedes == wrong);
        CHECK(first.row.quality == ReadingQuality::manual);
        CHECK(first.at.at == kMidnight24);
        // A minute later the wrong figure was read once more.
        CHECK(rows.back().row.supersedes == wrong + 1);
        // Asked again it says the same and does nothing more.
        const std::size_t entries = house.entries("a-102").size();
        CHECK(house.correct("e-102", wrong, vector.right).kind == ReplyKind::ok);
        CHECK(house.entries("a-102").size() == entries);
        // Judging goes on from the right figure, after a restart too, and on the right tier.
        house.reopen();
        house.read("e-102", vector.right, kMidnight24 + 2 * kHour);
        CHECK(house.meter("e-102").reason == "");
        const std::string ten =
            format_decimal_trimmed(parse_decimal(vector.right, 2).value() + 10'00, 2, 2);
        house.read("e-102", ten, kMidnight24 + kDay + kMinute);
        const bool second =
            std::string(vector.used) == "2800" && std::string(vector.right) == "1150.00";
        CHECK(house.book("a-102").back() ==
              (second ? "charge -5.38 day:2026-11-24" : "charge -4.88 day:2026-11-24"));
        CHECK(house.proof() == "");
    }
}

TEST_CASE("a figure between two others moves what was used from one day to the other") {
    FileTexts files = three_homes();
    files["tariffs/flat.toml"] +=
        "[[tariff.version]]\nvalid_from = \"2026-11-24\"\nladder = \"none\"\n"
        "tiers = [ { price = \"1.00\" } ]\n";
    Wrong house(files);
    house.settle("e-103", "1000.00");
    house.read("e-103", "1010.00", kMidnight24 + kMinute);
    house.read("e-103", "1030.00", kMidnight24 + kDay + kMinute);
    CHECK(house.ledger("a-103") == "-25.28");  // 5.283 and 20
    const std::uint64_t wrong = house.row("e-103", "1010.00");
    CHECK(house.correct("e-103", wrong, "1031.00").type == "not-between");
    CHECK(house.correct("e-103", wrong, "999.00").type == "not-between");
    CHECK(house.correct("e-103", wrong, "1008.00", "s-01").errors.at(0).pointer == "/second");
    CHECK(house.correct("e-103", wrong, "1008.00", "s-02", "").errors.at(0).pointer == "/reason");
    CHECK(house.correct("e-102", wrong, "1008.00").errors.at(0).pointer == "/supersedes");
    CHECK(house.correct("e-103", 4711, "1008.00").errors.at(0).pointer == "/supersedes");
    const std::uint64_t first = house.readings("e-103").front().row.seq;
    CHECK(house.correct("e-103", first, "1001.00").type == "not-correctable");
    CHECK(house.ledger("a-103") == "-25.28");
    CHECK(house.events("meter.reading_corrected").empty());
    REQUIRE(house.correct("e-103", wrong, "1008.00").kind == ReplyKind::created);
    // 8 x 0.5283 = 4.2264 and 22.
    CHECK(house.newest("a-103", 2) ==
          Rows{"correction 1.05 correction", "charge -2.00 correction"});
    CHECK(house.lines("a-103", "2026-11") == Rows{"1 8.000 = 4.23", "1 22.000 = 22.00"});
    CHECK(house.ledger("a-103") == "-26.23");
    // A correction of the correction, named by either row.
    REQUIRE(house.correct("e-103", wrong, "1009.00").kind == ReplyKind::created);
    const std::uint64_t newest = house.readings("e-103").back().row.seq;
    CHECK(house.ledger("a-103") == "-25.75");
    REQUIRE(house.correct("e-103", newest, "1010.00").kind == ReplyKind::created);
    CHECK(house.ledger("a-103") == "-25.28");
    CHECK(house.proof() == "");
    house.reopen();
    CHECK(house.proof() == "");
    house.read("e-103", "1031.00", kMidnight24 + 2 * kDay + kMinute);
    CHECK(house.book("a-103").back() == "charge -1.00 day:2026-11-25");
    CHECK(house.proof() == "");
}

TEST_CASE("what was estimated on the way to a wrong figure is estimated anew") {
    Wrong house;
    house.settle("e-103", "1000.00");
    house.read("e-103", "1000.00", kMidnight24 - 12 * kHour);
    house.fail("e-103");
    // Two days silent, then 400 too many: 12, 36 and 48 hours after the last sample.
    house.read("e-103", "1440.00", kMidnight24 + kDay + 12 * kHour - kSecond);
    house.pass(10 * kMinute);
    CHECK(house.ledger("a-103") == "-174.34");  // 330 x 0.5283
    const std::uint64_t wrong = house.row("e-103", "1440.00");
    const Reply done = house.correct("e-103", wrong, "1040.00");
    INFO(done.detail);
    REQUIRE(done.kind == ReplyKind::created);
    CHECK(field(done.json, "superseded") == "4");  // two estimates, and the figure twice
    CHECK(house.lines("a-103", "2026-11") == Rows{"1 30.000 = 15.85"});
    CHECK(house.newest("a-103", 1) == Rows{"correction 158.49 correction"});
    CHECK(house.balance("a-103") == "-21.13");  // 40 x 0.5283
    CHECK(house.proof() == "");
    for (int i = 0; i < 2; ++i) {
        if (i == 1) house.reopen();
        house.pass(kMinute);
        CHECK(house.balance("a-103") == "-21.13");
    }
    house.read("e-103", "1041.00", kMidnight24 + 2 * kDay + kMinute);
    CHECK(house.lines("a-103", "2026-11") == Rows{"1 41.000 = 21.66"});
    CHECK(house.proof() == "");
}

// Seed 5001 of the money simulation, 90 days of 40 households.
// Money simulation, seed 7019: what the edge's figure gave up was charged on neither side of it.
TEST_CASE("an edge of other terms that is estimated anew moves use from one side to the other") {
    FileTexts files = three_homes();
    files["tariffs/dear.toml"] =
        "[[tariff]]\nid = \"dear\"\nservice = \"electricity\"\nsource = \"a test\"\n"
        "[[tariff.version]]\nvalid_from = \"2026-01-01\"\nladder = \"none\"\n"
        "tiers = [ { price = \"1.00\" } ]\n";
    Wrong house(files);
    house.settle("e-103", "1000.00");
    house.pass(kMorning + 4 * kHour - house.clock.wall);
    FileTexts change;
    change["accounts.csv"] = "account,unit,service,tariff\na-103,1-103,electricity,dear\n";
    REQUIRE(house.import(change).kind == ReplyKind::ok);
    house.read("e-103", "1024.00", kMorning + kDay);
    house.pass(kMinute);
    // In 24 hours 24 kWh, of which 4 before noon and 12 until midnight: 4 x 0.5283 = 2.1132.
    CHECK(house.book("a-103") == Rows{"charge -2.11 registry:7", "charge -12.00 late:4"});
    const auto rows = house.readings("e-103");
    std::uint64_t midnight = 0;
    for (const StoredReading& one : rows)
        if (one.row.kind == ReadingKind::freeze) midnight = one.row.seq;
    REQUIRE(house.correct("e-103", midnight, "1010.00").kind == ReplyKind::created);
    // 10 kWh in 16 hours: some 2.5 before noon, x 0.5283, and the rest of it after.
    CHECK(house.lines("a-103", "2026-11") == Rows{"1 7.501 = 7.50", "1 2.499 = 1.32"});
    CHECK(house.proof() == "");
}

TEST_CASE("what was estimated over a row that nobody can date is estimated anew over it as well") {
    Wrong house;
    house.settle("e-103", "1000.00");
    house.read("e-103", "1001.00", kMidnight24 - 12 * kHour);
    house.crash();
    house.synchronised = false;
    house.open();
    house.settle("e-103", "1010.00");
    house.read("e-103", "1011.00", house.clock.wall + kHour);
    house.pass(kMinute);
    house.crash();
    house.synchronised = true;
    house.open();
    house.fail("e-103");
    house.read("e-103", "1013.00", kMidnight24 + kDay + 12 * kHour);
    house.read("e-103", "1014.00", kMidnight24 + 2 * kDay + kMinute);
    // The second of the two midnights that were estimated behind the row of the run without a
    // clock.
    const auto rows = house.readings("e-103");
    REQUIRE(rows.size() == 7);
    REQUIRE(format(rows[3].row.register_value) == "1011.000");
    REQUIRE(rows[5].row.quality == ReadingQuality::estimated);
    REQUIRE(format(rows[5].row.total) == "1008.799");
    const std::string before = house.balance("a-103");
    REQUIRE(house.correct("e-103", rows[5].row.seq, "1012.00").kind == ReplyKind::created);
    // Of 36 hours less a second, in which it counts 11, all but 24 hours lie before the first one.
    Rows now;
    for (const StoredReading& one : house.readings("e-103"))
        if (one.row.supersedes) now.push_back(format(one.row.total));
    CHECK(now == Rows{"1004.666", "1012.000"});
    CHECK(house.balance("a-103") == before);
    CHECK(house.proof() == "");
}

TEST_CASE("in a month that was sealed what is more is a correction as well") {
    const UtcMs december = kMidnight24 + 7 * kDay;
    Wrong house(three_homes(), december - 16 * kHour);
    house.settle("e-103", "1000.00");
    house.pass(december + kMinute - house.clock.wall);
    for (const char* face : {"1010.00", "1013.00", "1013.00"}) {
        house.sample("e-103", face);
        house.pass(kMinute);
    }
    house.read("e-103", "1030.00", december + kDay + kMinute);
    const std::uint64_t wrong = house.row("e-103", "1010.00");
    // From its first step on the month is shut.
    REQUIRE(house.ask(BeginPeriod{"local", "2026-11", "s-01"}).kind == ReplyKind::ok);
    REQUIRE(house.correct("e-103", wrong, "1012.00").kind == ReplyKind::created);
    // November: 12 x 0.5283 = 6.3396 instead of 5.28; December: 18 x 0.5283 = 9.5094, not 10.57.
    CHECK(house.newest("a-103", 2) ==
          Rows{"correction -1.06 correction", "correction 1.06 correction"});
    for (const StoredEntry& entry : house.entries("a-103"))
        if (entry.entry.kind == EntryKind::correction) CHECK(entry.entry.month == "2026-12");
    CHECK(house.proof() == "");
}
