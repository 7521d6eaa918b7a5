// A month that closes: what it takes, what its files say, and that nothing moves it afterwards.
#include <boost/json/parse.hpp>
#include <map>

#include "daemon/engine/period_checks.hpp"
#include "daemon/engine/period_documents.hpp"
#include "daemon/engine/sealed_text.hpp"
#include "tests/integration/engine/engine_house.hpp"
#include "tests/integration/store/other_hand.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

namespace json = boost::json;

using Rows = std::vector<std::string>;
constexpr UtcMs kDecember = kMorning + 7 * kDay + 16 * kHour;  // 2026-12-01T00:00:00+08:00
constexpr UtcMs kJanuary = kDecember + 31 * kDay;
const LocalDate kNovemberFirst{2026, 11, 1};

std::string text_of(const json::object& object, const char* name) {
    const json::value* value = object.if_contains(name);
    if (value == nullptr || value->is_null()) return {};
    return value->is_string() ? std::string(value->get_string().c_str())
                              : std::to_string(value->to_number<std::int64_t>());
}

struct Months : House {
    Months() {
        clock.wall = kDecember - 16 * kHour;
        open();
        REQUIRE(import(three_homes()).kind == ReplyKind::ok);
    }
    std::unique_ptr<Zone> zone = make_zone("Asia/Shanghai");
    void until(UtcMs at) { pass(at - clock.wall); }
    Reply begin(const std::string& month) { return ask(BeginPeriod{"local", month, "s-01"}); }
    std::vector<PeriodFile> write(LocalDate month) {
        StoreReader reader(path());
        return write_period(month, {"riverside", "CNY", false, zone.get()}, *engine().snapshot(),
                            reader);
    }
    void seal(const std::string& month, std::vector<PeriodFile> files) {
        for (Command& command : sealing("local", month, "s-01", std::move(files)))
            REQUIRE(ask(std::move(command)).kind == ReplyKind::ok);
    }
    void close(const std::string& month) {
        REQUIRE(begin(month).kind == ReplyKind::ok);
        seal(month, write(*parse_month(month)));
    }
    json::object file(const std::string& month, const std::string& name) {
        StoreReader reader(path());
        const auto sealed = reader.period_file(month, name);
        REQUIRE(sealed);
        return json::parse(open_sealed(*sealed)).as_object();
    }
    // "fields, one after the other", one a row.
    Rows rows(const std::string& month, const std::string& name, const Rows& fields) {
        Rows all;
        const json::object whole = file(month, name);
        for (const json::value& item : whole.at("items").as_array()) {
            std::string row;
            for (const std::string& field : fields)
                row += (row.empty() ? "" : " ") + text_of(item.as_object(), field.c_str());
            all.push_back(row);
        }
        return all;
    }
    // e-103 uses 10.5 kWh by the end of November: 10.5 x 0.5283 = 5.54715.
    void live_november() {
        settle("e-103", "1000.00");
        REQUIRE(top_up("a-103", "50.00", "k-1").kind == ReplyKind::created);
        until(kDecember - kMinute);
        settle("e-103", "1010.00");
        until(kDecember + 2 * kMinute);
        settle("e-103", "1010.50");
        until(kDecember + 10 * kMinute);
    }
};

}  // namespace

TEST_CASE_METHOD(Months, "a month closes once it is over and posted, in order, by somebody") {
    settle("e-103", "1000.00");
    CHECK(begin("2026-11").type == "period-running");
    CHECK(begin("2026-13").kind == ReplyKind::not_found);
    CHECK(ask(BeginPeriod{"local", "2026-11", "s-99"}).errors.at(0).pointer == "/by");
    until(kDecember - kMinute);
    settle("e-103", "1010.00");
    until(kDecember);
    const Reply early = begin("2026-11");
    CHECK(early.kind == ReplyKind::conflict);
    CHECK(early.type == "period-unposted");
    CHECK(early.detail.find("days of 2026-11 that are not posted yet") != std::string::npos);
    until(kDecember + 10 * kMinute);
    CHECK(begin("2026-10").kind == ReplyKind::not_found);
    CHECK(begin("2026-12").type == "period-running");
    until(kJanuary + 10 * kMinute);
    const Reply skipped = begin("2026-12");
    CHECK(skipped.type == "period-order");
    CHECK(skipped.detail.find("2026-11 is open") != std::string::npos);
    CHECK(events("period.").empty());
    close("2026-11");
    close("2026-12");
    CHECK(begin("2026-11").kind == ReplyKind::ok);
    CHECK(events("period.").size() == 2);
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Months, "its files tie lines, entries and balances together") {
    live_november();
    close("2026-11");
    CHECK(rows("2026-11", "charges",
               {"kind", "account", "tariff", "quantity", "price", "target", "amount"}) ==
          Rows{"line a-103 flat 10.500 0.5283 5.55 5.55"});
    CHECK(rows("2026-11", "charges", {"start", "end", "multiplier"}) ==
          Rows{"1000.000 1010.500 1"});
    // The last day is booked on the first of December.
    CHECK(rows("2026-11", "ledger", {"kind", "account", "amount"}) ==
          Rows{"opening a-101 100.00", "opening a-102 200.00", "topup a-103 50.00"});
    CHECK(rows("2026-11", "readings",
               {"meter", "start_register", "end_register", "quantity", "quality"})
              .at(3) == "e-103 1000.000 1010.500 10.500 good");
    const json::object summary = file("2026-11", "summary");
    const json::object& ledger = summary.at("ledger").as_object();
    CHECK(text_of(ledger, "opening") == "0.00");
    CHECK(text_of(ledger, "closing") == "350.00");
    const json::object& charges = summary.at("charges").as_object();
    CHECK(text_of(charges, "total") == "5.55");
    CHECK(text_of(charges, "booked_later") == "5.55");
    CHECK(text_of(charges, "of_earlier_periods") == "0.00");
    CHECK(text_of(charges, "booked_in_period") == "0.00");
    const json::object& counts = summary.at("checklist").as_object().at("counts").as_object();
    CHECK(text_of(counts, "unread") == "3");
    CHECK(text_of(counts, "unposted") == "0");
    StoreReader reader(path());
    for (const char* name : {"readings", "charges", "ledger"})
        CHECK(text_of(summary.at("files").as_object().at(name).as_object(), "sha256") ==
              reader.period_file("2026-11", name)->sha256);
    const std::vector<StoredEvent> told = events("period.closed");
    REQUIRE(told.size() == 1);
    CHECK(told[0].body.find(reader.period_file("2026-11", "summary")->sha256) != std::string::npos);

    until(kJanuary - kMinute);
    settle("e-103", "1010.50");
    until(kJanuary + 2 * kMinute);
    settle("e-103", "1010.50");
    until(kJanuary + 10 * kMinute);
    close("2026-12");
    const json::object december = file("2026-12", "summary");
    const json::object& booked = december.at("charges").as_object();
    CHECK(text_of(booked, "total") == "0.00");
    CHECK(text_of(booked, "booked_later") == "0.00");
    CHECK(text_of(booked, "of_earlier_periods") == "5.55");
    CHECK(text_of(booked, "booked_in_period") == "5.55");
    CHECK(text_of(december.at("ledger").as_object(), "opening") == "350.00");
    CHECK(text_of(december.at("ledger").as_object(), "closing") == "344.45");
}

TEST_CASE_METHOD(Months, "who was not read at the end is told with the newest row, freeze or not") {
    live_november();
    until(kDecember + 36 * kHour);
    settle("e-103", "1012.00");
    until(kJanuary + 10 * kMinute);
    StoreReader reader(path());
    const auto bounds = bounds_of({2026, 12, 1}, kJanuary, *zone);
    REQUIRE(bounds);
    const auto snapshot = engine().snapshot();
    const PeriodFacts facts = read_facts(reader, *snapshot, *bounds, snapshot->reading_seq);
    for (const PeriodCheck& check : checklist(facts, *bounds, *zone, false)) {
        if (check.meter != "e-103" || check.kind != PeriodCheck::Kind::unread) continue;
        REQUIRE(check.since);
        CHECK(*check.since >= kDecember + 36 * kHour);
        CHECK(check.text.find("newest figure kept 2026-12-02T12:00") != std::string::npos);
        return;
    }
    FAIL("e-103 is not on the list");
}

TEST_CASE_METHOD(Months, "money that went from one household to another foots on both sides") {
    live_november();
    until(kDecember - kMinute + 12 * kMinute);
    const Act act{"local", "s-01", "s-02", "wrong room", "k-9", "k-9"};
    REQUIRE(ask(TransferMoney{act, "a-101", "a-103", "30.00", ""}).kind == ReplyKind::created);
    close("2026-11");
    until(kJanuary + 10 * kMinute);
    close("2026-12");
    CHECK(rows("2026-12", "ledger", {"kind", "account", "unit", "amount"}) ==
          Rows{"charge a-103 1-103 -5.55", "transfer a-101 1-101 -30.00",
               "transfer a-103 1-103 30.00"});
    const json::object summary = file("2026-12", "summary");
    const json::object& ledger = summary.at("ledger").as_object();
    CHECK(text_of(ledger, "moved") == "-5.55");
    CHECK(text_of(ledger, "opening") == "350.00");
    CHECK(text_of(ledger, "closing") == "344.45");
    CHECK(proof() == "");
}

TEST_CASE("an opening register stands in its month with the date that was typed") {
    Months house;
    FileTexts files = three_homes();
    files["units.csv"] += "1-104,Flat 104\n";
    files["meters.csv"] =
        "meter,unit,service,bus,address,profile,rated_amps,opening_register,opening_at\n"
        "e-104,1-104,electricity,b1,9,eastron-sdm120,1000,990.00,2026-11-29\n";
    files["accounts.csv"] = "account,unit,service,tariff\na-104,1-104,electricity,flat\n";
    REQUIRE(house.import(files).kind == ReplyKind::ok);
    house.settle("e-104", "1000.00");
    house.until(kDecember + 10 * kMinute);
    house.close("2026-11");
    const Rows found = house.rows("2026-11", "readings", {"meter", "start_at", "start_register"});
    CHECK(std::count(found.begin(), found.end(), "e-104 2026-11-29T00:00:00+08:00 990.000") == 1);
}

TEST_CASE_METHOD(Months, "a meter that was put in and not read since has its row of the month") {
    live_november();
    close("2026-11");
    until(kDecember + 5 * kDay);
    settle("e-103", "1020.00");
    until(kDecember + 6 * kDay + 2 * kMinute);
    settle("e-103", "1022.00");
    until(kDecember + 6 * kDay + 3 * kHour);
    // Typed an hour later than it was put in, and read by nobody until the new year.
    REQUIRE(ask(ReplaceMeter{"local", "e-103", "2026-12-07T02:00:00+08:00", "1025.00", "B-0042",
                             "0.25", "", "s-01", "s-02"})
                .kind == ReplyKind::created);
    until(kJanuary + 10 * kMinute);
    close("2026-12");
    const Rows fields{"meter",  "epoch",        "serial",   "start_at", "start_register",
                      "end_at", "end_register", "quantity", "quality"};
    Rows december = rows("2026-12", "readings", fields);
    december.erase(december.begin(), december.end() - 2);
    CHECK(december == Rows{"e-103 1  2026-12-01T00:00:00+08:00 1010.500 2026-12-07T02:00:00+08:00 "
                           "1025.000 14.500 replaced",
                           "e-103 2 B-0042 2026-12-07T02:00:00+08:00 0.250 "
                           "2026-12-07T02:00:00+08:00 0.250 0.000 unread"});
    settle("e-103", "5.25");
    until(kJanuary + 31 * kDay + 2 * kMinute);
    settle("e-103", "9.25");
    until(kJanuary + 31 * kDay + 10 * kMinute);
    close("2027-01");
    const Rows january = rows("2027-01", "readings", fields);
    INFO(january.back());
    CHECK(january.back().rfind("e-103 2 B-0042 2027-01-01T00:00:00+08:00 ", 0) == 0);
    CHECK(std::count_if(january.begin(), january.end(),
                        [](const std::string& row) { return row.rfind("e-103", 0) == 0; }) == 1);
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Months, "a reading that staff have to judge holds up no month after a restart") {
    settle("e-103", "1000.00");
    until(kDecember - kHour);
    for (int i = 0; i < 3; ++i) {
        pass(kMinute);
        settle("e-103", "900000.00");
    }
    REQUIRE(events("meter.quarantined").size() == 1);
    crash();
    clock.pass(kHour + 10 * kMinute);
    open();
    sample("e-103", "900000.00");
    pass(2 * kSecond);
    CHECK(begin("2026-11").kind == ReplyKind::ok);
}

TEST_CASE_METHOD(Months, "a closed month that is taken out of the books is missed by their proof") {
    live_november();
    close("2026-11");
    REQUIRE(proof() == "");
    const std::string what = GENERATE("the month", "a file");
    crash();
    OtherHand hand(path());
    const auto remove = [&](const char* sql) {
        const std::string table = std::string(sql).substr(12, std::string(sql).find(' ', 12) - 12);
        std::string without;
        for (const char* end : {"_stays", "_keeps"})
            without += "DROP TRIGGER IF EXISTS " + table + end + ";";
        REQUIRE(hand.run(without + sql) == "");
    };
    if (what == "a file") {
        remove("DELETE FROM period_content WHERE name='charges'");
        remove("DELETE FROM period_file WHERE name='charges'");
    } else {
        remove("DELETE FROM period_content");
        remove("DELETE FROM period_file");
        remove("DELETE FROM period");
    }
    open();
    CAPTURE(what);
    CHECK(proof().find("2026-11") != std::string::npos);
}

TEST_CASE_METHOD(Months, "what comes late is a correction in the open month and points back") {
    settle("e-101", "1000.00");
    live_november();
    close("2026-11");
    StoreReader reader(path());
    const std::string sealed = open_sealed(*reader.period_file("2026-11", "charges"));
    // Silent since 30 November 08:00, and 20 kWh more on 10 December 08:00: 16 of 240 hours lie
    // in November, floor(20,000 x 16 / 240) = 1.333 kWh; 1.333 x 0.5283 = 0.7042.
    until(kDecember + 9 * kDay + 8 * kHour - kSecond);
    settle("e-101", "1020.00");
    until(kDecember + 10 * kDay);
    Rows corrections;
    for (const StoredEntry& entry : entries("a-101"))
        if (entry.entry.kind == EntryKind::correction)
            corrections.push_back(entry.entry.month + " " + entry.entry.line->scope + " " +
                                  format(entry.entry.amount));
    CHECK(corrections == Rows{"2026-12 2026-11 -0.70"});
    until(kJanuary + 10 * kMinute);
    close("2026-12");
    CHECK(rows("2026-12", "charges", {"kind", "account", "amount", "refers_to"}).back() ==
          "correction a-101 0.70 2026-11");
    CHECK(open_sealed(*reader.period_file("2026-11", "charges")) == sealed);
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Months, "a fee that was taken back is charged no more in the month's files") {
    FileTexts files = three_homes();
    std::string& tariff = files["tariffs/flat.toml"];
    tariff += "fixed = [ { name = \"service\", per = \"day\", amount = \"2.00\" } ]\n";
    tariff.replace(tariff.find("id = \"flat\""), 11, "id = \"flatfee\"");
    files["tariffs/fee.toml"] = tariff;
    files.erase("tariffs/flat.toml");
    files["units.csv"] += "1-104,1栋104\n";
    files["meters.csv"] += "e-104,1-104,electricity,b1,5,eastron-sdm120,1000\n";
    files["accounts.csv"] += "a-104,1-104,electricity,flatfee,,,\n";
    REQUIRE(import(files).kind == ReplyKind::ok);
    settle("e-104", "10.00");
    until(kDecember + 10 * kMinute);
    std::string fee;
    for (const StoredEntry& entry : entries("a-104"))
        if (entry.entry.kind == EntryKind::fee) fee = entry.entry.entry;
    REQUIRE_FALSE(fee.empty());
    close("2026-11");
    const Act act{"local", "s-01", "s-02", "waived", "k-7", "k-7"};
    REQUIRE(ask(ReverseEntry{act, fee}).kind == ReplyKind::created);
    until(kJanuary + 10 * kMinute);
    close("2026-12");
    Fen kept;
    for (const std::string month : {"2026-11", "2026-12"})
        for (const std::string& row : rows(month, "charges", {"account", "amount"}))
            if (row.starts_with("a-104 ")) kept += Fen{*parse_decimal(row.substr(6), 2)};
    // One day of November and 31 of December, of which one was taken back.
    CHECK(format(kept) == "62.00");
    const json::object summary = file("2026-12", "summary");
    const json::object& bridge = summary.at("charges").as_object();
    const auto fen = [&](const char* name) { return *parse_decimal(text_of(bridge, name), 2); };
    CHECK(fen("total") - fen("booked_later") + fen("of_earlier_periods") ==
          fen("booked_in_period"));
}

TEST_CASE_METHOD(Months, "a crash between the two steps changes nothing, and closing goes on") {
    live_november();
    REQUIRE(begin("2026-11").kind == ReplyKind::ok);
    const std::vector<PeriodFile> first = write(kNovemberFirst);
    // The books go on: what is used meanwhile is not of November.
    settle("e-103", "1011.50");
    REQUIRE(top_up("a-103", "10.00", "k-2").kind == ReplyKind::created);
    crash();
    open();
    CHECK(ask(SealPeriod{"local", "2026-12", "s-01", first}).type == "period-order");
    REQUIRE(begin("2026-11").kind == ReplyKind::ok);
    const std::vector<PeriodFile> again = write(kNovemberFirst);
    REQUIRE(again.size() == first.size());
    for (std::size_t i = 0; i < first.size(); ++i) CHECK(again[i].sha256 == first[i].sha256);
    // What was kept before the crash is kept anew.
    REQUIRE(ask(KeepPeriodPart{"2026-11", "charges", 0, "of a life before"}).kind == ReplyKind::ok);
    seal("2026-11", again);
    CHECK(ask(KeepPeriodPart{"2026-11", "charges", 0, "another"}).type == "period-order");
    CHECK(file("2026-11", "charges").at("items").as_array().size() == 1);
    CHECK(ask(SealPeriod{"local", "2026-11", "s-01", again}).type == "period-order");
    CHECK(events("period.closed").size() == 1);
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Months, "a clock that is set back books nothing into a closed month") {
    live_november();
    close("2026-11");
    crash();
    clock.wall = kDecember - kHour;
    synchronised = false;
    open();
    REQUIRE(top_up("a-103", "10.00", "k-9").kind == ReplyKind::created);
    CHECK(entries("a-103").back().entry.month == "2026-12");
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Months, "a payment under a clock that was lost is booked in no month before") {
    live_november();
    crash();
    clock.wall = 978'307'200'000;  // 2001-01-01
    synchronised = false;
    open();
    REQUIRE(top_up("a-103", "10.00", "k-9").kind == ReplyKind::created);
    CHECK(entries("a-103").back().entry.month == "2026-12");
    clock.wall = kDecember + kHour;
    synchronised = true;
    pass(10 * kMinute);
    close("2026-11");
    until(kJanuary + 10 * kMinute);
    close("2026-12");
    // Each payment stands in the ledger of one month.
    CHECK(rows("2026-12", "ledger", {"kind", "account", "amount"}).at(1) == "topup a-103 10.00");
    CHECK(text_of(file("2026-12", "summary").at("ledger").as_object(), "opening") ==
          text_of(file("2026-11", "summary").at("ledger").as_object(), "closing"));
    CHECK(proof() == "");
}
