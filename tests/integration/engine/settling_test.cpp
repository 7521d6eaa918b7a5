// Prices that come late: what they change is shown before, signed by two people, and posted line by
// line as price settlements; whatever dies in between, nothing is posted twice. Amounts are worked
// out by hand beside each case.
#include <boost/json.hpp>

#include "tests/integration/engine/engine_house.hpp"
#include "tests/integration/store/other_hand.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using gatehouse::testing::field;
using gatehouse::testing::FileTexts;
using gatehouse::testing::flat_tariff;
using gatehouse::testing::House;
using gatehouse::testing::kDay;
using gatehouse::testing::kHour;
using gatehouse::testing::kMinute;
using gatehouse::testing::kMorning;
using gatehouse::testing::kSecond;
using gatehouse::testing::three_homes;

namespace {

using Rows = std::vector<std::string>;
constexpr UtcMs kMidnight24 = kMorning + 16 * kHour;  // Tuesday 2026-11-24T00:00:00+08:00

struct Late : House {
    explicit Late(const FileTexts& files, UtcMs begin = kMorning) {
        clock.wall = begin;
        open();
        const Reply reply = import(files);
        INFO(reply.detail << (reply.errors.empty() ? "" : reply.errors[0].message));
        REQUIRE(reply.kind == ReplyKind::ok);
    }
    // Two equal samples, the first of them at that instant.
    void read(const std::string& id, const std::string& face, UtcMs at) {
        pass(at - clock.wall);
        settle(id, face);
    }
    Rows lines(const std::string& id, const std::string& month) const {
        StoreReader reader(path());
        Rows rows;
        for (const WhyLine& line : reader.why(id, month).lines)
            rows.push_back(format_date(line.key.version) + " " +
                           (line.key.band.empty() ? std::to_string(line.key.tier) : line.key.band) +
                           " " + format(line.line.quantity) + " = " + format(line.line.posted));
        return rows;
    }
    // The newest rows of the book, without the number of the event.
    Rows newest(const std::string& id, std::size_t count) const {
        Rows rows = book(id);
        REQUIRE(rows.size() >= count);
        rows.erase(rows.begin(), rows.end() - static_cast<std::ptrdiff_t>(count));
        for (std::string& row : rows) row.erase(row.rfind(':'));
        return rows;
    }
    Rows entries_json(const std::string& id) const {
        Rows rows;
        for (const StoredEntry& row : entries(id))
            if (row.entry.kind == EntryKind::price_settlement)
                rows.push_back(row.entry.by + " " + row.entry.second + " " + row.note + " " +
                               row.entry.month);
        return rows;
    }
};

FileTexts late_version(const std::string& id, const std::string& old_text,
                       const std::string& version) {
    return {{"tariffs/" + id + ".toml", old_text + "[[tariff.version]]\n" + version}};
}

FileTexts dearer(const std::string& day, const std::string& price = "0.60") {
    return late_version("flat", flat_tariff("flat", "electricity", "0.5283"),
                        "valid_from = \"" + day + "\"\nladder = \"none\"\ntiers = [ { price = \"" +
                            price + "\" } ]\n");
}

// 10 kWh on Monday, 20 on Tuesday, and two more this morning that no midnight has seen.
void use_flat(Late& house) {
    house.settle("e-103", "1000.00");
    house.read("e-103", "1010.00", kMidnight24 + kMinute);
    house.read("e-103", "1030.00", kMidnight24 + kDay + kMinute);
    house.read("e-103", "1032.00", kMidnight24 + kDay + kHour);
}

boost::json::array money_of(const Reply& reply) {
    return boost::json::parse(reply.json).as_object().at("money").as_array();
}

}  // namespace

TEST_CASE("a price of yesterday: shown, refused unsigned, then settled on both lines") {
    Late house(three_homes());
    use_flat(house);
    // 30 x 0.5283 = 15.849; the two of this morning are not posted.
    CHECK(house.ledger("a-103") == "-15.85");
    CHECK(house.balance("a-103") == "-16.91");
    const Reply shown = house.import(dearer("2026-11-24"), true);
    REQUIRE(shown.kind == ReplyKind::ok);
    const auto money = money_of(shown);
    REQUIRE(money.size() == 1);
    const auto& row = money[0].as_object();
    // 10 x 0.5283 = 5.283 and 20 x 0.60 = 12.00.
    CHECK(row.at("account") == "a-103");
    CHECK(row.at("kind") == "price_settlement");
    CHECK(row.at("old") == "15.85");
    CHECK(row.at("new") == "17.28");
    CHECK(row.at("difference") == "1.43");
    CHECK(row.at("amount") == "-1.43");
    CHECK(field(shown.json, "money_total") == "-1.43");
    CHECK(house.events("registry.imported").size() == 1);
    CHECK(house.ledger("a-103") == "-15.85");

    const Reply refused = house.import(dearer("2026-11-24"));
    CHECK(refused.kind == ReplyKind::invalid);
    CHECK(refused.type == "late-version");
    REQUIRE(refused.errors.size() >= 3);
    CHECK(refused.errors[0].message.find("tariffs/flat.toml:") == 0);
    CHECK(refused.errors[0].message.find("version 2026-11-24 of tariff `flat`") !=
          std::string::npos);
    CHECK(refused.errors[0].message.find("--dry-run") != std::string::npos);
    CHECK(house.events("registry.imported").size() == 1);

    const Reply done = house.import_signed(dearer("2026-11-24"));
    INFO(done.detail);
    REQUIRE(done.kind == ReplyKind::ok);
    CHECK(money_of(done) == money);
    CHECK(house.newest("a-103", 2) ==
          Rows{"price_settlement 10.57 version", "price_settlement -12.00 version"});
    CHECK(house.lines("a-103", "2026-11") ==
          Rows{"2026-01-01 1 10.000 = 5.28", "2026-11-24 1 20.000 = 12.00"});
    CHECK(house.entries_json("a-103") == Rows{"s-01 s-02 the price was decided late 2026-11",
                                              "s-01 s-02 the price was decided late 2026-11"});
    CHECK(house.ledger("a-103") == "-17.28");
    CHECK(house.balance("a-103") == "-18.48");
    CHECK(house.proof() == "");
    const auto events = house.events("registry.imported");
    CHECK(events.back().body.find("\"late_versions\":[{\"tariff\":\"flat\",\"valid_from\":"
                                  "\"2026-11-24\"}]") != std::string::npos);
    CHECK(house.events("tariff.settled").size() == 1);

    // The same folder once more changes nothing, signed or not.
    const Reply again = house.import(dearer("2026-11-24"));
    REQUIRE(again.kind == ReplyKind::ok);
    CHECK(money_of(again).empty());
    CHECK(field(again.json, "unchanged") == "1");
    house.reopen();
    CHECK(house.balance("a-103") == "-18.48");
    house.read("e-103", "1040.00", kMidnight24 + 2 * kDay + kMinute);
    CHECK(house.book("a-103").back() == "charge -6.00 day:2026-11-25");
    CHECK(house.proof() == "");
    // And a version that was charged stays as it is.
    const Reply changed = house.import_signed(dearer("2026-11-24", "0.61"));
    CHECK(changed.kind == ReplyKind::invalid);
    CHECK(changed.errors.at(0).message.find("was charged already") != std::string::npos);
}

TEST_CASE("what two people who were logged in signed is said to be so on each entry of it") {
    for (const bool logged_in : {true, false}) {
        Late house(three_homes());
        use_flat(house);
        REQUIRE(house.import_signed(dearer("2026-11-24"), logged_in ? "staff:s-01+s-02" : "local")
                    .kind == ReplyKind::ok);
        int settled = 0;
        for (const StoredEntry& row : house.entries("a-103")) {
            if (row.entry.kind != EntryKind::price_settlement) continue;
            ++settled;
            CHECK(row.vouched == logged_in);
        }
        CHECK(settled == 2);
        CHECK(house.proof() == "");
    }
}

TEST_CASE("a version of today changes nothing that was posted, and is signed all the same") {
    Late house(three_homes());
    use_flat(house);
    CHECK(house.import(dearer("2026-11-25")).type == "late-version");
    const Reply done = house.import_signed(dearer("2026-11-25"));
    REQUIRE(done.kind == ReplyKind::ok);
    CHECK(money_of(done).empty());
    CHECK(house.ledger("a-103") == "-15.85");
    CHECK(house.balance("a-103") == "-17.05");
    CHECK(house.proof() == "");
    // Tomorrow's needs no signature.
    CHECK(house.import(dearer("2026-11-26", "0.70")).kind == ReplyKind::ok);
}

TEST_CASE("a ladder that was another one: counters, lines and rests as if it had held") {
    Late house(three_homes());
    house.settle("e-102", "100.00");
    // 2879 of the old system: 1 at 0.4883, the rest at 0.5383.
    house.read("e-102", "104.00", kMidnight24 + kMinute);
    house.read("e-102", "110.00", kMidnight24 + kDay + kMinute);
    CHECK(house.ledger("a-102") == "194.67");  // 0.4883 -> 0.49 and 9 x 0.5383 = 4.8447
    const std::string old_text = gatehouse::testing::beijing_tariff();
    SECTION("the same ladder at other prices") {
        const auto files = late_version(
            "beijing", old_text,
            "valid_from = \"2026-11-24\"\nladder = \"year\"\nladder_from = \"01-01\"\n"
            "tiers = [ { up_to = \"2885\", price = \"0.50\" }, { price = \"1.00\" } ]\n");
        REQUIRE(house.import_signed(files).kind == ReplyKind::ok);
        // 2883 stood on the counter: 2 at 0.50 and 4 at 1.00.
        CHECK(house.lines("a-102", "2026-11") ==
              Rows{"2026-01-01 1 1.000 = 0.49", "2026-01-01 2 3.000 = 1.61",
                   "2026-11-24 1 2.000 = 1.00", "2026-11-24 2 4.000 = 4.00"});
        house.read("e-102", "111.00", kMidnight24 + 2 * kDay + kMinute);
        CHECK(house.book("a-102").back() == "charge -1.00 day:2026-11-25");
    }
    SECTION("another period: its counter begins at 0 with it") {
        const auto files =
            late_version("beijing", old_text,
                         "valid_from = \"2026-11-24\"\nladder = \"month\"\n"
                         "tiers = [ { up_to = \"5\", price = \"0.50\" }, { price = \"1.00\" } ]\n"
                         "quantity_step = \"1\"\n");
        REQUIRE(house.import_signed(files).kind == ReplyKind::ok);
        CHECK(house.lines("a-102", "2026-11") ==
              Rows{"2026-01-01 1 1.000 = 0.49", "2026-01-01 2 3.000 = 1.61",
                   "2026-11-24 1 5.000 = 2.50", "2026-11-24 2 1.000 = 1.00"});
        house.reopen();
        house.read("e-102", "111.50", kMidnight24 + 2 * kDay + kMinute);
        CHECK(house.book("a-102").back() == "charge -1.00 day:2026-11-25");
    }
    CHECK(house.proof() == "");
}

TEST_CASE("bands that come late split days that have no freeze at their edges") {
    Late house(three_homes());
    house.read("e-103", "1000.00", kMidnight24 - kHour);
    house.read("e-103", "1000.00", kMidnight24);
    house.read("e-103", "1024.00", kMidnight24 + kDay);
    house.read("e-103", "1034.00", kMidnight24 + kDay + 10 * kHour);
    const auto files = late_version(
        "flat", flat_tariff("flat", "electricity", "0.5283"),
        "valid_from = \"2026-11-24\"\nladder = \"none\"\nbands = [\n"
        "{ name = \"peak\", from = \"08:00\", to = \"22:00\", price = \"0.568\" },\n"
        "{ name = \"valley\", from = \"22:00\", to = \"08:00\", price = \"0.288\" } ]\n");
    REQUIRE(house.import_signed(files).kind == ReplyKind::ok);
    // One an hour: 14 x 0.568 = 7.952 and 10 x 0.288.
    CHECK(house.lines("a-103", "2026-11") == Rows{"2026-01-01 1 0.000 = 0.00",
                                                  "2026-11-24 peak 14.000 = 7.95",
                                                  "2026-11-24 valley 10.000 = 2.88"});
    CHECK(house.proof() == "");
    // This morning had none at 08:00 either: 8 of the 10 lie before it, and 2.334 of the last 14,
    // since the total at 22:00 is 1036 + 11.666.
    house.read("e-103", "1036.00", kMidnight24 + kDay + 12 * kHour);
    house.reopen();
    house.read("e-103", "1050.00", kMidnight24 + 2 * kDay);
    CHECK(house.lines("a-103", "2026-11").size() == 3);
    CHECK(house.lines("a-103", "2026-11")[2] == "2026-11-24 valley 20.334 = 5.86");
    CHECK(house.proof() == "");
}

TEST_CASE("fees and a minimum of posted days and months are settled too") {
    const std::string old_text =
        "[[tariff]]\nid = \"flat\"\nservice = \"electricity\"\nsource = \"a test\"\n"
        "[[tariff.version]]\nvalid_from = \"2026-01-01\"\nladder = \"none\"\n"
        "tiers = [ { price = \"1.00\" } ]\nminimum = \"30.00\"\n"
        "fixed = [ { name = \"service\", per = \"month\", amount = \"2.00\" },\n"
        "          { name = \"line\", per = \"day\", amount = \"0.10\" } ]\n";
    FileTexts files = three_homes();
    files["tariffs/flat.toml"] = old_text;
    const UtcMs december = kMidnight24 + 7 * kDay;
    Late house(files, kMorning + 7 * kDay);  // 30 November
    house.settle("e-103", "1000.00");
    for (int day = 0; day <= 33; ++day)
        house.read("e-103", format_decimal(1000'00 + 50 * day, 2), december + day * kDay + kMinute);
    // December: 15.50 of 30.00; January has had two days of 0.50.
    CHECK(house.lines("a-103", "2026-12") ==
          Rows{"2026-01-01 1 15.500 = 15.50", "2026-01-01 minimum 14.500 = 14.50"});
    // 30 and 1, three months' 2.00, and 0.10 on 34 days.
    CHECK(house.ledger("a-103") == "-40.40");
    const auto files_late = late_version(
        "flat", old_text,
        "valid_from = \"2026-12-16\"\nladder = \"none\"\ntiers = [ { price = \"2.00\" } ]\n"
        "minimum = \"40.00\"\n"
        "fixed = [ { name = \"service\", per = \"month\", amount = \"3.00\" },\n"
        "          { name = \"line\", per = \"day\", amount = \"0.25\" } ]\n");
    const auto money = money_of(house.import(files_late, true));
    REQUIRE(money.size() == 1);
    const auto& row = money[0].as_object();
    // 7.5 x 1.00 and 8 x 2.00, up to 40.00, and 2.00 of January; 18 days of 0.15 and a month
    // of 1.00.
    CHECK(row.at("amount") == "-14.70");
    CHECK(row.at("usage") == boost::json::parse(R"({"old":"16.50","new":"25.50"})"));
    CHECK(row.at("minimum") == boost::json::parse(R"({"old":"14.50","new":"16.50"})"));
    CHECK(row.at("fees") == boost::json::parse(R"({"old":"7.30","new":"11.00"})"));
    REQUIRE(house.import_signed(files_late).kind == ReplyKind::ok);
    CHECK(house.newest("a-103", 8) ==
          Rows{"price_settlement 8.00 version", "price_settlement 14.50 version",
               "price_settlement -16.00 version", "price_settlement -16.50 version",
               "price_settlement 1.00 version", "price_settlement -2.00 version",
               "price_settlement -2.70 version", "price_settlement -1.00 version"});
    CHECK(house.ledger("a-103") == "-55.10");
    CHECK(house.proof() == "");
    house.reopen();
    // What comes later takes nothing from the old minimum, which is nobody's any more.
    house.read("e-103", "1017.00", december + 34 * kDay + kMinute);
    CHECK(house.ledger("a-103") == "-56.35");  // 0.50 x 2.00 and 0.25
    CHECK(house.lines("a-103", "2026-12") ==
          Rows{"2026-01-01 1 7.500 = 7.50", "2026-01-01 minimum 0.000 = 0.00",
               "2026-12-16 1 8.000 = 16.00", "2026-12-16 minimum 16.500 = 16.50"});
    CHECK(house.proof() == "");
}

TEST_CASE("accounts on trial, internal ones and closed ones: previewed anew, revalued, left") {
    FileTexts files = three_homes();
    files["accounts.csv"] =
        "account,unit,service,tariff,opening_balance,live_from,billing\n"
        "a-101,1-101,electricity,flat,100.00,2026-12-01,\n"
        "a-102,1-102,electricity,flat,,,internal\n"
        "a-103,1-103,electricity,flat,20.00,,\n";
    Late house(files);
    const auto read_all = [&](const char* face, UtcMs at) {
        for (const char* meter : {"e-101", "e-102", "e-103"}) house.read(meter, face, at);
    };
    for (const char* meter : {"e-101", "e-102", "e-103"}) house.settle(meter, "1000.00");
    read_all("1010.00", kMidnight24 + kMinute);
    read_all("1030.00", kMidnight24 + kDay + kMinute);
    CHECK(format(house.account("a-101").preview.value()) == "84.15");  // 100 - 15.85
    AdjustMoney adjust;
    adjust.act = {"local", "s-01", "s-02", "all of it", "k1", "h1"};
    adjust.account = "a-103";
    adjust.amount = "-4.15";
    adjust.reference = "paper 7";
    REQUIRE(house.ask(adjust).kind == ReplyKind::created);
    CloseAccount close;
    close.act = {"local", "s-01", "s-02", "gone", "k2", "h2"};
    close.account = "a-103";
    const Reply closed = house.ask(close);
    INFO(closed.detail);
    REQUIRE(closed.kind == ReplyKind::created);
    const Reply done = house.import_signed(dearer("2026-11-24"));
    REQUIRE(done.kind == ReplyKind::ok);
    const auto money = money_of(done);
    std::map<std::string, std::string> amounts;
    for (const auto& row : money)
        amounts[std::string(row.as_object().at("account").as_string())] =
            row.as_object().at("amount").as_string().c_str();
    CHECK(amounts["a-102"] == "0.00");
    CHECK(amounts.count("a-103") == 0);
    CHECK(format(house.account("a-101").preview.value()) == "82.72");
    CHECK(house.lines("a-102", "2026-11") ==
          Rows{"2026-01-01 1 10.000 = 0.00", "2026-11-24 1 20.000 = 0.00"});
    CHECK(house.book("a-102").empty());
    CHECK(house.lines("a-103", "2026-11") == Rows{"2026-01-01 1 30.000 = 15.85"});
    CHECK(house.ledger("a-103") == "0.00");
    CHECK(house.proof() == "");
    house.reopen();
    CHECK(house.proof() == "");
}

TEST_CASE("kill -9 anywhere between the import and its last settlement posts everything once") {
    int unfinished = 0;
    for (int turns = 1; turns <= 14; ++turns) {
        CAPTURE(turns);
        Late house(three_homes(), kMorning);
        for (const char* meter : {"e-101", "e-103"}) house.settle(meter, "1000.00");
        for (int day = 0; day < 2; ++day)
            for (const char* meter : {"e-101", "e-103"})
                house.read(meter, day == 0 ? "1010.00" : "1030.00",
                           kMidnight24 + day * kDay + kMinute);
        house.clock.look_costs = 5;  // so that a slice is over after an account
        ImportRegistry command;
        command.actor = "local";
        const FileTexts files = dearer("2026-11-24");
        command.files.assign(files.begin(), files.end());
        command.by = "s-01";
        command.second = "s-02";
        command.reason = "late";
        bool answered = false;
        REQUIRE(house.engine().submit(
            command, [&](const Reply& reply) { answered = reply.kind == ReplyKind::ok; }));
        for (int turn = 0; turn < turns; ++turn) house.step();
        house.crash();
        house.clock.look_costs = 0;
        house.open();
        const bool imported = house.events("registry.imported").size() == 2;
        CHECK((imported || !answered));
        if (imported && !answered) ++unfinished;
        for (int turn = 0; turn < 5; ++turn) house.pass(kSecond);
        if (!imported) REQUIRE(house.import_signed(files).kind == ReplyKind::ok);
        for (const char* account : {"a-101", "a-103"}) {
            CHECK(house.newest(account, 2) ==
                  Rows{"price_settlement 10.57 version", "price_settlement -12.00 version"});
            int count = 0;
            for (const std::string& row : house.book(account))
                count += row.rfind("price_settlement", 0) == 0 ? 1 : 0;
            CHECK(count == 2);
        }
        CHECK(house.events("tariff.settled").size() == 1);
        CHECK(house.proof() == "");
    }
    CHECK(unfinished > 0);
}

TEST_CASE("a row that was tampered with is named: price, reading, terms, posting, counter") {
    Late house(three_homes());
    house.settle("e-102", "100.00");
    house.settle("e-103", "1000.00");
    house.read("e-102", "104.00", kMidnight24 + kMinute);
    house.read("e-103", "1010.00", kMidnight24 + kMinute);
    house.read("e-103", "1030.00", kMidnight24 + kDay + kMinute);
    house.pass(gatehouse::testing::kSecond);
    REQUIRE(house.proof() == "");
    house.crash();
    const auto named = [&](const std::string& sql, const std::string& undo) {
        gatehouse::testing::OtherHand hand(house.path());
        REQUIRE(hand.run(sql) == "");
        const std::string found = house.proof();
        REQUIRE(hand.run(undo) == "");
        CHECK(house.proof() == "");
        return found;
    };
    const auto starts = [](const std::string& text, const std::string& with) {
        INFO(text);
        return text.rfind(with, 0) == 0;
    };
    CHECK(starts(named("UPDATE tariff_tier SET price=price+1000000 WHERE tariff='flat'",
                       "UPDATE tariff_tier SET price=price-1000000 WHERE tariff='flat'"),
                 "tariff flat, version 2026-01-01: "));
    CHECK(starts(named("UPDATE tariff_tier SET up_to=2881000 WHERE tariff='beijing' AND n=0",
                       "UPDATE tariff_tier SET up_to=2880000 WHERE tariff='beijing' AND n=0"),
                 "tariff beijing, version 2026-01-01: "));
    const std::string free =
        "DROP TRIGGER reading_keeps; DROP TRIGGER reading_stays; "
        "DROP TRIGGER meter_terms_keep;";
    CHECK(starts(named(free + "UPDATE reading SET total=total+1000 WHERE kind=1 AND seq="
                              "(SELECT max(reading) FROM mark)",
                       "UPDATE reading SET total=total-1000 WHERE kind=1 AND seq="
                       "(SELECT max(reading) FROM mark)"),
                 "reading "));
    CHECK(starts(named("UPDATE reading SET register=register+1 WHERE seq="
                       "(SELECT max(reading) FROM mark)",
                       "UPDATE reading SET register=register-1 WHERE seq="
                       "(SELECT max(reading) FROM mark)"),
                 "reading "));
    CHECK(starts(named("UPDATE meter_terms SET tariff='flat' WHERE tariff='beijing'",
                       "UPDATE meter_terms SET tariff='beijing' WHERE meter="
                       "(SELECT id FROM meter WHERE meter='e-102')"),
                 "reading "));
    CHECK(starts(named("UPDATE ladder_counter SET quantity=quantity+1",
                       "UPDATE ladder_counter SET quantity=quantity-1"),
                 "account a-102: ladder counter of tariff beijing"));
    CHECK(starts(named("UPDATE mark SET total=total+1 WHERE meter=(SELECT id FROM meter WHERE "
                       "meter='e-103')",
                       "UPDATE mark SET total=total-1 WHERE meter=(SELECT id FROM meter WHERE "
                       "meter='e-103')"),
                 "mark of meter e-103"));
    CHECK(starts(named("DELETE FROM posting WHERE cause='day:2026-11-24' AND account="
                       "(SELECT id FROM account WHERE account='a-103')",
                       "INSERT INTO posting SELECT 'day:2026-11-24',id FROM account WHERE "
                       "account='a-103'"),
                 "booked without its posting: "));
    CHECK(starts(named("UPDATE posting SET cause='day:2026-11-29' WHERE cause='day:2026-11-24' "
                       "AND account=(SELECT id FROM account WHERE account='a-101')",
                       "UPDATE posting SET cause='day:2026-11-24' WHERE cause='day:2026-11-29'"),
                 "posting: a day is missing or was never one: account a-101"));
    CHECK(starts(named("UPDATE line SET quantity=quantity+1 WHERE tariff='flat'",
                       "UPDATE line SET quantity=quantity-1 WHERE tariff='flat'"),
                 "line "));
    CHECK(starts(named("UPDATE line_part SET quantity=quantity+1 WHERE to_reading="
                       "(SELECT max(to_reading) FROM line_part)",
                       "UPDATE line_part SET quantity=quantity-1 WHERE to_reading="
                       "(SELECT max(to_reading) FROM line_part)"),
                 "line "));
    // What no amount follows from is known by its row.
    CHECK(named("UPDATE meter SET multiplier='20' WHERE meter='e-103'",
                "UPDATE meter SET multiplier='1' WHERE meter='e-103'") ==
          "meter e-103: its row is not as it was written");
    CHECK(named("UPDATE tariff_version SET minimum=minimum+1 WHERE tariff='flat'",
                "UPDATE tariff_version SET minimum=minimum-1 WHERE tariff='flat'") ==
          "version of tariff flat (2026-01-01): its row is not as it was written");
    CHECK(named("UPDATE account SET opening_balance=500 WHERE account='a-103'",
                "UPDATE account SET opening_balance=NULL WHERE account='a-103'") ==
          "account a-103: its row is not as it was written");
    CHECK(named("INSERT INTO account_tariff VALUES((SELECT id FROM account WHERE "
                "account='a-103'),7,'flat',NULL)",
                "DELETE FROM account_tariff WHERE n=7") ==
          "tariffs of account a-103 (7): its row is not as it was written");
    CHECK(named("INSERT INTO row_proof VALUES('unit','u-999','',1)",
                "DELETE FROM row_proof WHERE owner='u-999'") == "unit u-999: its row is gone");
    // The next start works out what follows from a day's figure.
    const std::string day = " WHERE reading=(SELECT max(reading) FROM meter_day)";
    CHECK(starts(named("UPDATE meter_day SET total=total+1" + day,
                       "UPDATE meter_day SET total=total-1" + day),
                 "day 2026-11-2"));
    const std::string other = "(SELECT max(seq) FROM reading)";
    CHECK(starts(named("UPDATE reading SET skew_ms=skew_ms+1 WHERE seq=" + other,
                       "UPDATE reading SET skew_ms=skew_ms-1 WHERE seq=" + other),
                 "reading "));
    CHECK(starts(named("DROP TRIGGER entry_keeps; UPDATE entry SET month='2026-10' WHERE "
                       "seq=(SELECT max(seq) FROM entry)",
                       "UPDATE entry SET month='2026-11' WHERE seq=(SELECT max(seq) FROM entry)"),
                 "entry "));
}
