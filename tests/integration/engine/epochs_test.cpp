// Epochs: another meter at the same place is found, held, and entered by two people; the total and
// the ladder go on to the fen.
#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

struct Epochs : House {
    Epochs() {
        open();
        FileTexts files = three_homes();
        files["meters.csv"] =
            "meter,unit,service,bus,address,profile,rated_amps\n"
            "e-101,1-101,electricity,b1,1,abb-b23,1000\n"
            "e-102,1-102,electricity,b1,3,abb-b23,1000\n"
            "e-103,1-103,electricity,b1,4,eastron-sdm120,1000\n";
        files["accounts.csv"] =
            "account,unit,service,tariff,opening_balance,opening_ladder\n"
            "a-101,1-101,electricity,flat,100.00,\n"
            "a-102,1-102,electricity,beijing,200.00,2870\n"
            "a-103,1-103,electricity,flat,,\n";
        REQUIRE(import(files).kind == ReplyKind::ok);
        serials["e-102"] = "A-0017";
        settle("e-102", "4318.20");
    }
    Reply replace(const std::string& final_, const std::string& opening, const std::string& at = "",
                  const std::string& by = "s-01", const std::string& second = "s-02",
                  const std::string& address = "") {
        return ask(
            ReplaceMeter{"local", "e-102", at, final_, "B-0042", opening, address, by, second});
    }
    [[nodiscard]] std::vector<QuarantineRow> open_rows() const {
        return StoreReader(path()).quarantine(QuarantineRow::State::open, 0, 10);
    }
};

}  // namespace

TEST_CASE_METHOD(Epochs, "V11: a swap on the ladder costs 5.47, found by its serial number") {
    // Old 4318.20 to 4321.50, new 12.30 to 20.10, 2870 kWh used this year before.
    pass(kHour);
    fail("e-102");
    serials["e-102"] = "B-0042";
    pass(kHour);
    for (int i = 0; i < 3; ++i) {
        sample("e-102", "15.00");
        pass(kMinute);
    }
    REQUIRE(open_rows().size() == 1);
    CHECK(open_rows()[0].reason == "serial_changed");
    CHECK(open_rows()[0].serial == "B-0042");
    CHECK(balance("a-102") == "200.00");
    CHECK(account("a-102").quality == Quality::held);
    const std::string id = std::to_string(open_rows()[0].id);
    CHECK(ask(SettleQuarantine{"local", id, "s-01", "ours", true}).kind == ReplyKind::refused);
    reopen();
    sample("e-102", "15.00");
    CHECK(open_rows().size() == 1);
    const Reply reply = replace("4321.50", "12.30");
    REQUIRE(reply.kind == ReplyKind::created);
    // 3.30 x 0.4883 = 1.61139
    CHECK(balance("a-102") == "198.39");
    CHECK(book("a-102") ==
          std::vector<std::string>{"opening 200.00 opening",
                                   "charge -1.61 meter:" + field(reply.json, "old_epoch")});
    CHECK(open_rows().empty());
    CHECK(meter("e-102").serial == "B-0042");
    CHECK(meter("e-102").total == Milli{4'321'500});
    reopen();
    CHECK(balance("a-102") == "198.39");
    pass(kHour);
    settle("e-102", "20.10");
    // 10.00 x 0.4883 = 4.883 and 1.10 x 0.5383 = 0.59213: 5.47
    CHECK(balance("a-102") == "194.53");
    CHECK(meter("e-102").total == Milli{4'329'300});
    CHECK(account("a-102").quality == Quality::confirmed);
    const auto rows = readings("e-102");
    std::vector<std::string> kinds;
    for (const StoredReading& row : rows)
        if (row.row.kind == ReadingKind::replacement)
            kinds.push_back(row.serial + " " + format(row.row.register_value) + " " +
                            format(row.row.total));
    CHECK(kinds == std::vector<std::string>{"A-0017 4321.500 4321.500", "B-0042 12.300 4321.500"});
    CHECK(events("meter.replaced").size() == 1);
    pass(kDay);
    settle("e-102", "20.10");
    pass(10 * kMinute);
    CHECK(ledger("a-102") == "194.53");
    reopen();
    CHECK(balance("a-102") == "194.53");
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Epochs, "a replacement asked again is entered once") {
    pass(kHour);
    const Reply first = replace("4319.00", "0", "2026-11-23T08:30:00+08:00");
    REQUIRE(first.kind == ReplyKind::created);
    const Reply again = replace("4319.00", "0", "2026-11-23T08:30:00+08:00");
    CHECK(again.kind == ReplyKind::ok);
    CHECK(field(again.json, "event") == field(first.json, "event"));
    CHECK(events("meter.replaced").size() == 1);
    // 0.80 x 0.4883 = 0.39064
    CHECK(balance("a-102") == "199.61");
}

TEST_CASE_METHOD(Epochs, "a replacement written in whole minutes follows what was read since") {
    pass(kHour);
    settle("e-102", "4320.00");
    const std::string minute = "2026-11-23T09:00:00+08:00";
    REQUIRE(replace("4319.98", "0", minute).kind == ReplyKind::invalid);
    const Reply first = replace("4320.00", "0", minute);
    REQUIRE(first.kind == ReplyKind::created);
    CHECK(field(first.json, "at") > minute);
    // Asked again with what was written it is the same one.
    const Reply again = replace("4320.00", "0", minute);
    CHECK(again.kind == ReplyKind::ok);
    CHECK(field(again.json, "event") == field(first.json, "event"));
    CHECK(meter("e-102").total == Milli{4'320'000});
    serials["e-102"] = "B-0042";
    pass(kHour);
    settle("e-102", "10.00");
    CHECK(meter("e-102").total == Milli{4'330'000});
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Epochs, "a replacement between the last reading and a clock set forward") {
    clock.wall += 12 * kMinute;
    pass(90 * kSecond);
    // By the monotonic clock that lies before the reading of 08:00, by the wall after it.
    const Reply reply = replace("4318.30", "0", "2026-11-23T08:08:00+08:00");
    CHECK(reply.detail.empty());
    CHECK(reply.kind == ReplyKind::created);
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Epochs, "a replacement is refused with field and reason, and changes nothing") {
    pass(kHour);
    settle("e-102", "4320.00");
    const std::string before = balance("a-102");
    struct Row {
        const char *final_, *opening, *at, *by, *second, *address;
        const char* pointer;
    };
    const Row rows[] = {
        {"4319.98", "0", "", "s-01", "s-02", "", "/old_final"},  // two steps below
        {"43200.0", "0", "", "s-01", "s-02", "", "/old_final"},  // a digit too many
        {"4320.5", "zero", "", "s-01", "s-02", "", "/new_opening"},
        {"4320.5", "0", "", "s-01", "s-01", "", "/second"},
        {"4320.5", "0", "", "s-01", "s-77", "", "/second"},
        {"4320.5", "0", "2026-11-23T08:59:00+08:00", "s-01", "s-02", "", "/at"},  // read since
        {"4320.5", "0", "2026-11-25", "s-01", "s-02", "", "/at"},
        {"4320.5", "0", "", "s-01", "s-02", "4", "/new_address"},  // that of e-103
        {"4320.5", "0", "", "s-01", "s-02", "248", "/new_address"},
    };
    for (const Row& row : rows) {
        INFO(row.final_ << " " << row.opening << " " << row.at << " " << row.address);
        const Reply reply =
            replace(row.final_, row.opening, row.at, row.by, row.second, row.address);
        CHECK(reply.kind == ReplyKind::invalid);
        REQUIRE(!reply.errors.empty());
        CHECK(reply.errors[0].pointer == row.pointer);
        CHECK(!reply.detail.empty());
    }
    CHECK(ask(ReplaceMeter{"local", "none", "", "1", "x", "0", "", "s-01", "s-02"}).kind ==
          ReplyKind::not_found);
    CHECK(ask(ReplaceMeter{"local", "e-101", "", "1", "x", "0", "", "s-01", "s-02"}).kind ==
          ReplyKind::conflict);
    CHECK(balance("a-102") == before);
    CHECK(events("meter.replaced").empty());
    CHECK(meter("e-102").serial == "A-0017");
    // One step below is what rounding of a dial may hide.
    REQUIRE(replace("4319.99", "0").kind == ReplyKind::created);
    CHECK(balance("a-102") == before);
    CHECK(meter("e-102").total == Milli{4'320'000});
}

TEST_CASE_METHOD(Epochs, "a replacement across midnight splits its tail and gets a new address") {
    pass(16 * kHour);  // 00:00:01 of the next day
    pass(8 * kHour);
    fail("e-102");
    const int before = asked.registries;
    REQUIRE(replace("4348.20", "0.05", "2026-11-24T08:00:00+08:00", "s-01", "s-02", "9").kind ==
            ReplyKind::created);
    CHECK(asked.registries == before + 1);
    CHECK(meter("e-102").row->address == 9);
    // 30 kWh: 10 at 0.4883 (4.883) and 20 at 0.5383 (10.766)
    CHECK(balance("a-102") == "184.35");
    CHECK(ledger("a-102") == "184.35");
    serials["e-102"] = "B-0042";
    pass(kHour);
    settle("e-102", "1.05");
    CHECK(meter("e-102").total == Milli{4'349'200});
    CHECK(balance("a-102") == "183.82");  // 4.88 and 21 x 0.5383 = 11.3043
    pass(kMinute);
    step();
    reopen();
    CHECK(balance("a-102") == "183.82");
    CHECK(meter("e-102").row->address == 9);
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Epochs, "the opening that was typed and the new meter's own do not agree") {
    pass(kHour);
    REQUIRE(replace("4318.20", "12.30").kind == ReplyKind::created);
    serials["e-102"] = "B-0042";
    for (int i = 0; i < 3; ++i) {
        pass(kMinute);
        sample("e-102", "2.30");
    }
    REQUIRE(open_rows().size() == 1);
    CHECK(open_rows()[0].reason == "opening_mismatch");
    CHECK(balance("a-102") == "200.00");
    const std::string id = std::to_string(open_rows()[0].id);
    reopen();
    REQUIRE(ask(SettleQuarantine{"local", id, "s-01", "typed wrong", true}).kind == ReplyKind::ok);
    pass(kMinute);
    settle("e-102", "3.30");
    CHECK(meter("e-102").total == Milli{4'319'200});
    CHECK(balance("a-102") == "199.51");
}

TEST_CASE_METHOD(Epochs, "the serial number of an epoch is learned where the registry names none") {
    pass(kMinute);
    settle("e-102", "4318.30");
    reopen();
    serials["e-102"] = "C-0001";
    pass(kMinute);
    sample("e-102", "4318.40");
    pass(kMinute);
    sample("e-102", "4318.40");
    REQUIRE(open_rows().size() == 1);
    CHECK(open_rows()[0].reason == "serial_changed");
    SECTION("a serial number that goes on from the register may be released") {
        const std::string id = std::to_string(open_rows()[0].id);
        REQUIRE(ask(SettleQuarantine{"local", id, "s-01", "new board", true}).kind ==
                ReplyKind::ok);
        CHECK(meter("e-102").serial == "C-0001");
        pass(kMinute);
        settle("e-102", "4318.50");
        CHECK(open_rows().empty());
        CHECK(meter("e-102").total == Milli{4'318'500});
    }
    SECTION("and one that comes back resolves it") {
        serials["e-102"] = "a 0017";
        pass(kMinute);
        settle("e-102", "4318.50");
        CHECK(open_rows().empty());
    }
}

TEST_CASE_METHOD(House, "a meter behind a pulse module is exchanged, and the module counts on") {
    open();
    FileTexts files = three_homes();
    // One pulse is ten litres; the dial showed 12.00 m3, 1,200 pulses, when the counter stood at 0.
    files["meters.csv"] =
        "meter,unit,service,bus,address,channel,profile,multiplier,offset,serial,rated_flow\n"
        "w-101,1-101,water,b1,1,0,wirenboard-mcm8,0.01,1200,M-77,5000\n"
        "w-102,1-102,water,b1,2,0,wirenboard-mwac2,,,,5\n";
    files["accounts.csv"] =
        "account,unit,service,tariff,opening_balance\n"
        "a-101,1-101,water,water,100.00\n"
        "a-102,1-102,water,water,100.00\n";
    REQUIRE(import(files).kind == ReplyKind::ok);
    serials["w-101"] = "M-77";
    settle("w-101", "5000");
    settle("w-102", "20.000");
    pass(kHour);
    settle("w-101", "5030");
    CHECK(meter("w-101").total == Milli{62'300});  // (5030 + 1200) x 0.01
    CHECK(balance("a-101") == "98.50");            // 0.30 x 5.00
    const auto replace = [&](const std::string& id, const std::string& final_,
                             const std::string& opening) {
        return ask(ReplaceMeter{"local", id, "", final_, "W-9", opening, "", "s-01", "s-02"});
    };
    // The old dial shows 6,230 and two pulses more; the new one begins at 7.
    const Reply reply = replace("w-101", "6232", "7");
    REQUIRE(reply.kind == ReplyKind::created);
    // Counter 6232 - 1200 = 5032; dial minus counter 7 - 5032.
    CHECK(field(reply.json, "new_offset") == "-5025");
    CHECK(field(replace("w-101", "6232", "7").json, "new_offset") == "-5025");
    CHECK(balance("a-101") == "98.40");
    CHECK(meter("w-101").serial == "M-77");
    pass(kMinute);
    settle("w-101", "5032");
    CHECK(meter("w-101").register_value == Milli{7'000});
    pass(kHour);
    reopen();
    settle("w-101", "5042");
    CHECK(meter("w-101").register_value == Milli{17'000});
    CHECK(meter("w-101").total == Milli{62'420});
    CHECK(balance("a-101") == "97.90");  // 10 pulses, 0.10 x 5.00
    CHECK(StoreReader(path()).quarantine(QuarantineRow::State::open, 0, 10).empty());
    // One that was never paired is paired now: 0.500 - 20.000.
    CHECK(field(replace("w-102", "20.000", "0.500").json, "new_offset") == "-19.5");
    pass(kMinute);
    settle("w-102", "20.000");
    CHECK(meter("w-102").register_value == Milli{500});
    CHECK(meter("w-102").total == Milli{20'000});
    // A counter that had lost pulses says less than the new dial: staff are asked.
    pass(kHour);
    REQUIRE(replace("w-102", "0.900", "3.000").kind == ReplyKind::created);
    for (int i = 0; i < 3; ++i) {
        pass(kMinute);
        sample("w-102", "20.100");
    }
    const auto rows = StoreReader(path()).quarantine(QuarantineRow::State::open, 0, 10);
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].reason == "opening_mismatch");
    CHECK(proof() == "");
}
