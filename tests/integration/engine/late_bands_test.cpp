// Prices that come late with bands that nobody took a freeze for: what the meter had counted at
// their edges is told by the hours that are kept, stands in the books from then on, and follows a
// figure that is corrected. Amounts are worked out by hand beside each case.
#include <boost/json.hpp>

#include "tests/integration/engine/engine_house.hpp"
#include "tests/integration/store/other_hand.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

using Rows = std::vector<std::string>;
constexpr UtcMs kMidnight24 = kMorning + 16 * kHour;  // Tuesday 2026-11-24T00:00:00+08:00

FileTexts bands_from(const std::string& day, const std::string& begin, const std::string& end,
                     const std::string& before = "") {
    return {{"tariffs/flat.toml",
             flat_tariff("flat", "electricity", "0.5283") + before +
                 "[[tariff.version]]\nvalid_from = \"" + day +
                 "\"\nladder = \"none\"\nbands = [\n{ name = \"peak\", from = \"" + begin +
                 "\", to = \"" + end + "\", price = \"2\" },\n{ name = \"valley\", from = \"" +
                 end + "\", to = \"" + begin + "\", price = \"0.1\" } ]\n"}};
}

// The bands that hold before the late ones.
const std::string kSevenToTen =
    "[[tariff.version]]\nvalid_from = \"2026-02-01\"\nladder = \"none\"\nbands = [\n"
    "{ name = \"peak\", from = \"07:00\", to = \"22:00\", price = \"2\" },\n"
    "{ name = \"valley\", from = \"22:00\", to = \"07:00\", price = \"0.1\" } ]\n";

FileTexts homes_with_bands() {
    FileTexts files = three_homes();
    files["tariffs/flat.toml"] = flat_tariff("flat", "electricity", "0.5283") + kSevenToTen;
    return files;
}

struct Day : House {
    explicit Day(const FileTexts& files = three_homes()) {
        open();
        REQUIRE(import(files).kind == ReplyKind::ok);
    }
    void read(const std::string& face, UtcMs at) {
        pass(at - clock.wall);
        settle("e-103", face);
    }
    Rows lines(const std::string& id = "a-103") const {
        StoreReader reader(path());
        Rows rows;
        for (const WhyLine& line : reader.why(id, "2026-11").lines)
            if (line.line.quantity.count != 0)
                rows.push_back(format_date(line.key.version) + " " +
                               (line.key.band.empty() ? "flat" : line.key.band) + " " +
                               format(line.line.quantity) + " = " + format(line.line.posted));
        return rows;
    }
    // The figures at edges of the account's parts, each once.
    Rows edges(const std::string& id = "a-103") const {
        StoreReader reader(path());
        std::map<UtcMs, std::string> found;
        for (const WhyLine& line : reader.why(id, "2026-11").lines)
            for (const WhyPart& part : line.parts)
                for (const EdgeFigureRow& edge : part.edges) found[edge.at] = format(edge.total);
        Rows rows;
        for (const auto& [at, total] : found)
            rows.push_back(std::to_string((at - kMidnight24) / kMinute) + " " + total);
        return rows;
    }
    Reply correct(const std::string& wrong, const std::string& right, bool dry_run = false) {
        ReadFace act;
        act.actor = "local";
        act.meter = "e-103";
        act.register_value = right;
        act.by = "s-01";
        act.second = "s-02";
        act.reason = "misread";
        act.dry_run = dry_run;
        for (const StoredReading& one : readings("e-103"))
            if (act.supersedes == 0 && format(one.row.register_value) == wrong + "0")
                act.supersedes = one.row.seq;
        return ask(act);
    }
};

// Nothing by day, and twelve kilowatt-hours at night, between two readings of one minute.
void use_at_night(Day& house) {
    house.read("1000.00", kMidnight24 - kHour);
    house.read("1000.00", kMidnight24);
    for (const int hour : {8, 12, 20, 22}) house.read("1000.00", kMidnight24 + hour * kHour);
    house.read("1000.00", kMidnight24 + 23 * kHour);
    house.read("1012.00", kMidnight24 + 23 * kHour + kMinute);
    house.read("1012.00", kMidnight24 + kDay);
}

std::string amount_of(const Reply& reply) {
    const auto money = boost::json::parse(reply.json).as_object().at("money").as_array();
    REQUIRE(money.size() == 1);
    return money[0].as_object().at("amount").as_string().c_str();
}

}  // namespace

TEST_CASE("what was used at night is not charged by day because the price came late") {
    Day house;
    use_at_night(house);
    REQUIRE(house.lines() == Rows{"2026-01-01 flat 12.000 = 6.34"});
    const auto files = bands_from("2026-11-24", "08:00", "20:00");
    // 12 x 0.1 = 1.20; 6.34 - 1.20 come back. The preview says the same.
    CHECK(amount_of(house.import(files, /*dry_run=*/true)) == "5.14");
    CHECK(house.edges() == Rows{});
    const Reply done = house.import_signed(files);
    REQUIRE(done.kind == ReplyKind::ok);
    CHECK(amount_of(done) == "5.14");
    CHECK(house.lines() == Rows{"2026-11-24 valley 12.000 = 1.20"});
    CHECK(house.edges() == Rows{"480 1000.000", "1200 1000.000"});
    CHECK(house.ledger("a-103") == "-1.20");
    CHECK(house.proof() == "");
    // The hours are dropped after a year; what rests on them stays.
    house.crash();
    {
        OtherHand hand(house.path());
        REQUIRE(hand.run("DELETE FROM meter_hour") == "");
    }
    CHECK(house.proof() == "");
    house.open();
    CHECK(house
              .import_signed(bands_from("2026-11-24", "08:00", "20:00",
                                        "[[tariff.version]]\nvalid_from = \"2026-11-01\"\nladder "
                                        "= \"none\"\ntiers = [ { price = \"0.60\" } ]\n"))
              .kind == ReplyKind::ok);
    CHECK(house.lines() == Rows{"2026-11-24 valley 12.000 = 1.20"});
    CHECK(house.proof() == "");
    // A figure that somebody changed is named.
    house.crash();
    OtherHand hand(house.path());
    REQUIRE(hand.run("DROP TRIGGER edge_figure_keeps; UPDATE edge_figure SET total=total+1 WHERE "
                     "at_ms=(SELECT max(at_ms) FROM edge_figure)") == "");
    CHECK(house.proof().rfind("figure at an edge of account a-103 (", 0) == 0);
}

TEST_CASE("an edge between two hours lies on the line between them") {
    Day house;
    use_at_night(house);
    // 00:30 of the 24th to 22:45: the hours at 22:00 and 23:00 say 1000.
    REQUIRE(house.import_signed(bands_from("2026-11-24", "00:30", "22:45")).kind == ReplyKind::ok);
    CHECK(house.lines() == Rows{"2026-11-24 valley 12.000 = 1.20"});
    CHECK(house.proof() == "");
}

TEST_CASE("a silent meter's edge lies between the hours at which it was read") {
    Day house;
    house.read("1000.00", kMidnight24 - kHour);
    house.read("1000.00", kMidnight24);
    house.read("1010.00", kMidnight24 + 20 * kHour);
    house.read("1016.00", kMidnight24 + 23 * kHour);
    house.read("1016.00", kMidnight24 + kDay);
    // 10 in 20 hours, 2 an hour from then on: 4 by 08:00, 14 by 22:00.
    REQUIRE(house.import_signed(bands_from("2026-11-24", "08:00", "22:00")).kind == ReplyKind::ok);
    CHECK(house.edges() == Rows{"480 1004.000", "1320 1014.000"});
    CHECK(house.lines() ==
          Rows{"2026-11-24 peak 10.000 = 20.00", "2026-11-24 valley 6.000 = 0.60"});
    CHECK(house.proof() == "");
}

TEST_CASE("bands that come in the course of their first day know what was read before") {
    Day house;
    house.read("1000.00", kMidnight24 - kHour);
    house.read("1000.00", kMidnight24);
    house.read("1003.00", kMidnight24 + 7 * kHour);
    house.read("1003.00", kMidnight24 + 8 * kHour);
    house.read("1003.00", kMidnight24 + 20 * kHour);
    house.read("1011.00", kMidnight24 + 21 * kHour);
    house.read("1011.00", kMidnight24 + 22 * kHour);
    REQUIRE(house.import_signed(bands_from("2026-11-24", "08:00", "20:00")).kind == ReplyKind::ok);
    house.read("1011.00", kMidnight24 + 22 * kHour + 30 * kMinute);
    house.reopen();
    house.read("1012.00", kMidnight24 + 23 * kHour);
    house.read("1012.00", kMidnight24 + kDay);
    CHECK(house.lines() == Rows{"2026-11-24 valley 12.000 = 1.20"});
    CHECK(house.proof() == "");
}

TEST_CASE("other bands that come when the edges of those before were passed") {
    for (const bool restarts : {false, true}) {
        CAPTURE(restarts);
        Day house(homes_with_bands());
        house.read("1000.00", kMidnight24 - kHour);
        house.read("1000.00", kMidnight24);
        house.read("1000.00", kMidnight24 + 7 * kHour);
        house.read("1003.00", kMidnight24 + 8 * kHour);
        house.read("1003.00", kMidnight24 + 20 * kHour);
        house.read("1011.00", kMidnight24 + 21 * kHour);
        house.read("1011.00", kMidnight24 + 22 * kHour);
        house.read("1011.00", kMidnight24 + 23 * kHour);
        CHECK(house.balance("a-103") == "-22.00");
        // From seven to eight and from eight to nine in the evening was peak, and is valley now.
        REQUIRE(house.import_signed(bands_from("2026-11-24", "08:00", "20:00", kSevenToTen)).kind ==
                ReplyKind::ok);
        house.pass(kSecond);
        CHECK(house.balance("a-103") == "-1.10");
        if (restarts) house.reopen();
        house.read("1012.00", kMidnight24 + 23 * kHour + kMinute);
        CHECK(house.balance("a-103") == "-1.20");
        house.read("1012.00", kMidnight24 + kDay);
        CHECK(house.lines() == Rows{"2026-11-24 valley 12.000 = 1.20"});
        CHECK(house.edges() == Rows{"480 1003.000", "1200 1003.000"});
        CHECK(house.proof() == "");
        house.reopen();
        CHECK(house.ledger("a-103") == "-1.20");
        CHECK(house.proof() == "");
    }
}

TEST_CASE("seed 7000: no edge of late bands lies before a replacement, after a restart either") {
    for (const bool restarts : {false, true}) {
        CAPTURE(restarts);
        Day house(homes_with_bands());
        house.read("1000.00", kMidnight24 - kHour);
        house.read("1000.00", kMidnight24);
        house.read("1001.00", kMidnight24 + 7 * kHour);
        house.read("1004.00", kMidnight24 + 10 * kHour);
        ReplaceMeter act;
        act.actor = "local";
        act.meter = "e-103";
        act.old_final = "1006.00";
        act.new_serial = "N-2";
        act.new_opening = "5.00";
        act.by = "s-01";
        act.second = "s-02";
        house.pass(2 * kHour);
        const Reply done = house.ask(act);
        INFO(done.detail << (done.errors.empty() ? "" : done.errors[0].message));
        REQUIRE(done.kind == ReplyKind::created);
        // 1 in the valley and 5 at the peak, posted with the meter that ended at noon.
        CHECK(house.ledger("a-103") == "-10.10");
        if (restarts) house.reopen();
        // From eight to nine in the evening: 1 of the 3 that were used from seven to ten is valley.
        REQUIRE(house.import_signed(bands_from("2026-11-24", "08:00", "20:00", kSevenToTen)).kind ==
                ReplyKind::ok);
        CHECK(house.ledger("a-103") == "-8.20");
        if (restarts) house.reopen();
        house.read("5.00", kMidnight24 + 13 * kHour);
        house.read("6.00", kMidnight24 + 20 * kHour);
        house.read("8.00", kMidnight24 + kDay);
        CHECK(house.ledger("a-103") == "-10.40");
        CHECK(house.proof() == "");
    }
}

TEST_CASE("a figure that is corrected moves the edges beside it, and them alone") {
    Day house;
    house.read("1000.00", kMidnight24 - kHour);
    house.read("1000.00", kMidnight24);
    house.read("1001.00", kMidnight24 + 8 * kHour);
    house.read("1010.00", kMidnight24 + 20 * kHour);
    house.read("1016.00", kMidnight24 + 23 * kHour);
    house.read("1016.00", kMidnight24 + kDay);
    REQUIRE(house.import_signed(bands_from("2026-11-24", "08:00", "22:00")).kind == ReplyKind::ok);
    // 1 before 08:00; 1010 at 20:00, 1014 at 22:00, 1016 at 23:00.
    CHECK(house.edges() == Rows{"480 1001.000", "1320 1014.000"});
    CHECK(house.lines() ==
          Rows{"2026-11-24 peak 13.000 = 26.00", "2026-11-24 valley 3.000 = 0.30"});
    // 1004 at 20:00 and not 1010: four an hour to 23:00, 1012 at 22:00. Two go from peak to valley.
    const Reply look = house.correct("1010.00", "1004.00", true);
    INFO(look.detail << (look.errors.empty() ? "" : look.errors[0].message));
    CHECK(amount_of(look) == "3.80");
    REQUIRE(house.correct("1010.00", "1004.00").kind == ReplyKind::created);
    CHECK(house.edges() == Rows{"480 1001.000", "1320 1012.000"});
    CHECK(house.lines() ==
          Rows{"2026-11-24 peak 11.000 = 22.00", "2026-11-24 valley 5.000 = 0.50"});
    CHECK(house.ledger("a-103") == "-22.50");
    CHECK(house.proof() == "");
    // The hours follow.
    StoreReader reader(house.path());
    Rows hours;
    for (const MeterPoint& hour :
         reader.meter_hours("e-103", kMidnight24, kMidnight24 + 24 * kHour))
        hours.push_back(std::to_string((hour.at - kMidnight24) / kHour) + " " + format(hour.total));
    CHECK(hours == Rows{"0 1000.000", "8 1001.000", "20 1004.000", "23 1016.000"});
    house.reopen();
    CHECK(house.proof() == "");
}
