// Where a corrected figure is told: the files of a month, the lines of an account and the readings
// they rest on say what stands in its place now. And what one figure is, and what lies beside it.
#include <algorithm>
#include <boost/json/parse.hpp>
#include <map>
#include <string>

#include "daemon/engine/period_documents.hpp"
#include "daemon/engine/row_documents.hpp"
#include "daemon/engine/sealed_text.hpp"
#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

namespace json = boost::json;

using Rows = std::vector<std::string>;
constexpr UtcMs kDecember = kMorning + 7 * kDay + 16 * kHour;  // 2026-12-01T00:00:00+08:00
constexpr UtcMs kJanuary = kDecember + 31 * kDay;
constexpr const char* kMidnight = "2026-12-01T00:00:00+08:00";

std::string text_of(const json::object& object, const char* name) {
    const json::value* value = object.if_contains(name);
    if (value == nullptr || value->is_null()) return {};
    return value->is_string() ? std::string(value->get_string().c_str())
                              : std::to_string(value->to_number<std::int64_t>());
}

struct Corrected : House {
    Corrected() {
        clock.wall = kDecember - 2 * kDay - 16 * kHour;  // Saturday 2026-11-28T08:00:00+08:00
        open();
        FileTexts files = three_homes();
        files["meters.csv"] =
            "meter,unit,service,bus,address,profile,rated_amps\n"
            "e-101,1-101,electricity,b1,1,eastron-sdm120,60\n"
            "w-101,1-101,water,,,,\n"
            "e-102,1-102,electricity,b1,3,chint-dtsu666,60\n"
            "e-103,1-103,electricity,b1,4,eastron-sdm120,60\n";
        REQUIRE(import(files).kind == ReplyKind::ok);
    }
    std::unique_ptr<Zone> zone = make_zone("Asia/Shanghai");
    void until(UtcMs at) { pass(at - clock.wall); }
    Reply dial(const std::string& meter, const std::string& face, const std::string& at = "") {
        return ask(ReadFace{"local", meter, face, at, "s-01", "s-02", ""});
    }
    Reply correct(const std::string& meter, std::uint64_t reading, const std::string& face) {
        ReadFace act;
        act.actor = "local";
        act.meter = meter;
        act.register_value = face;
        act.supersedes = reading;
        act.by = "s-01";
        act.second = "s-02";
        act.reason = "misread";
        return ask(act);
    }
    // The rows that stand at that instant, in order of their seqs.
    std::vector<StoredReading> at(const std::string& meter, UtcMs at) const {
        std::vector<StoredReading> rows;
        for (StoredReading& one : readings(meter))
            if (one.at.at == at) rows.push_back(std::move(one));
        return rows;
    }
    void begin(const std::string& month) {
        REQUIRE(ask(BeginPeriod{"local", month, "s-01"}).kind == ReplyKind::ok);
    }
    void seal(const std::string& month) {
        StoreReader reader(path());
        for (Command& command :
             sealing("local", month, "s-01",
                     write_period(*parse_month(month), {"riverside", "CNY", false, zone.get()},
                                  *engine().snapshot(), reader)))
            REQUIRE(ask(std::move(command)).kind == ReplyKind::ok);
    }
    // "fields, one after the other" of the rows of that meter.
    Rows sealed(const std::string& month, const std::string& name, const Rows& fields,
                const std::string& meter) {
        const auto file = StoreReader(path()).period_file(month, name);
        REQUIRE(file);
        Rows all;
        const json::object whole = json::parse(open_sealed(*file)).as_object();
        for (const json::value& item : whole.at("items").as_array()) {
            const json::object& one = item.as_object();
            const json::value* meters = one.if_contains("meters");
            const std::string of = meters != nullptr && !meters->as_array().empty()
                                       ? meters->as_array()[0].as_string().c_str()
                                       : text_of(one, "meter");
            if (of != meter) continue;
            std::string row;
            for (const std::string& field : fields)
                row += (row.empty() ? "" : " ") + text_of(one, field.c_str());
            all.push_back(row);
        }
        return all;
    }
    // "month: quantity", and "register quality [of] ..." of its readings; each part must be what
    // lies between the two readings that it names.
    Rows why(const std::string& id, const std::string& month) {
        StoreReader reader(path());
        WhyMaterial material = reader.why(id, month);
        const AccountView view = account(id);
        const std::string text = why_json(view, material, month, "CNY", Registry{}, *zone);
        Rows rows;
        const json::object whole = json::parse(text).as_object();
        for (const json::value& one : whole.at("lines").as_array()) {
            const json::object& line = one.as_object();
            std::map<std::int64_t, Milli> totals;
            std::string row = text_of(line, "quantity") + ":";
            for (const json::value& item : line.at("readings").as_array()) {
                const json::object& reading = item.as_object();
                totals[reading.at("seq").as_int64()] =
                    Milli{parse_decimal(text_of(reading, "total"), 3).value()};
                row += " " + text_of(reading, "register");
                if (reading.contains("supersedes"))
                    row += "(" + text_of(reading, "quality") + " of " +
                           text_of(reading, "supersedes") + ")";
            }
            for (const json::value& item : line.at("parts").as_array()) {
                const json::object& part = item.as_object();
                CHECK(format(totals.at(part.at("to").as_int64()) -
                             totals.at(part.at("from").as_int64())) == text_of(part, "quantity"));
            }
            rows.push_back(row);
        }
        return rows;
    }
    // Four days silent: the midnights of 29 and 30 November, 1 and 2 December are estimated.
    std::uint64_t silent_over_the_month() {
        settle("e-103", "1000.00");
        fail("e-103");
        until(kDecember + kDay + 8 * kHour);
        settle("e-103", "1012.00");
        until(clock.wall + 10 * kMinute);
        const auto rows = at("e-103", kDecember);
        REQUIRE(rows.size() == 1);
        REQUIRE(rows[0].row.quality == ReadingQuality::estimated);
        return rows[0].row.seq;
    }
};

const Rows kFigures = {"start_register", "end_register", "quantity", "quality", "end_seq"};
const Rows kFaces = {"quantity", "start", "end"};

}  // namespace

TEST_CASE_METHOD(Corrected, "a month that closes after a correction tells the figure that stands") {
    const std::uint64_t wrong = silent_over_the_month();
    REQUIRE(correct("e-103", wrong, "1002.00").kind == ReplyKind::created);
    const std::uint64_t right = at("e-103", kDecember).back().row.seq;
    REQUIRE(right != wrong);
    const std::string seq = std::to_string(right);
    begin("2026-11");
    seal("2026-11");
    CHECK(sealed("2026-11", "readings", kFigures, "e-103") ==
          Rows{"1000.000 1002.000 2.000 manual " + seq});
    CHECK(sealed("2026-11", "charges", kFaces, "e-103") == Rows{"2.000 1000.000 1002.000"});
    // The midnights before it lie on the line to it: 16 of 64 hours, and 40.
    CHECK(why("a-103", "2026-11") ==
          Rows{"2.000: 1000.000 1000.499(estimated of " + std::to_string(wrong - 2) +
               ") 1001.249(estimated of " + std::to_string(wrong - 1) + ") 1002.000(manual of " +
               std::to_string(wrong) + ")"});
    const Rows december = why("a-103", "2026-12");
    REQUIRE(december.size() == 1);
    CHECK(december[0].find(": 1002.000(manual of ") != std::string::npos);
    until(kJanuary - kMinute);
    settle("e-103", "1030.00");
    until(kJanuary + 2 * kMinute);
    settle("e-103", "1030.00");
    until(kJanuary + 10 * kMinute);
    begin("2026-12");
    seal("2026-12");
    const Rows figures = {"start_register", "start_seq", "end_register", "quantity"};
    CHECK(sealed("2026-12", "readings", figures, "e-103") ==
          Rows{"1002.000 " + seq + " 1030.000 28.000"});
    CHECK(sealed("2026-12", "charges", kFaces, "e-103") == Rows{"28.000 1002.000 1030.000"});
    const auto day = days_since_epoch(LocalDate{2026, 11, 30});
    const auto days = StoreReader(path()).meter_days("e-103", day, day + 1);
    REQUIRE(days.size() == 1);
    CHECK(days[0].reading == right);
    CHECK(days[0].total == Milli{1'002'000});
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Corrected, "what is corrected once a month closes leaves its files as they are") {
    const std::uint64_t wrong = silent_over_the_month();
    const std::string old = format(at("e-103", kDecember).front().row.register_value);
    begin("2026-11");
    REQUIRE(correct("e-103", wrong, "1002.00").kind == ReplyKind::created);
    seal("2026-11");
    const std::string used = format(at("e-103", kDecember).front().row.total - Milli{1'000'000});
    CHECK(sealed("2026-11", "readings", kFigures, "e-103") ==
          Rows{"1000.000 " + old + " " + used + " estimated " + std::to_string(wrong)});
    CHECK(sealed("2026-11", "charges", kFaces, "e-103") == Rows{used + " 1000.000 " + old});
    const auto before = StoreReader(path()).period_file("2026-11", "readings");
    REQUIRE(correct("e-103", wrong, "1003.00").kind == ReplyKind::created);
    CHECK(StoreReader(path()).period_file("2026-11", "readings")->sha256 == before->sha256);
    const Rows told = why("a-103", "2026-11");
    REQUIRE(told.size() == 1);
    CHECK(told[0].find("1003.000(manual of " + std::to_string(wrong) + ")") != std::string::npos);
}

TEST_CASE_METHOD(Corrected, "rows of one instant with one total are one figure") {
    REQUIRE(dial("w-101", "700").kind == ReplyKind::created);
    until(kDecember + kDay + 9 * kHour);
    REQUIRE(dial("w-101", "707", kMidnight).kind == ReplyKind::created);
    REQUIRE(dial("w-101", "710").kind == ReplyKind::created);
    until(clock.wall + 10 * kMinute);
    const auto twins = at("w-101", kDecember);
    REQUIRE(twins.size() == 2);
    REQUIRE(twins[0].row.kind == ReadingKind::month);
    REQUIRE(twins[1].row.kind == ReadingKind::manual);
    for (const std::size_t named : {std::size_t{1}, std::size_t{0}}) {
        CAPTURE(named);
        const std::uint64_t wrong = twins[named].row.seq;
        REQUIRE(correct("w-101", wrong, "705").kind == ReplyKind::created);
        CHECK(why("a-101", "2026-11").at(0).find("5.000: 700.000") == 0);
        CHECK(why("a-101", "2026-12").at(0).find(": 705.000(manual of ") != std::string::npos);
        // Up again, over what its own twin says.
        REQUIRE(correct("w-101", wrong, "709").kind == ReplyKind::created);
        CHECK(why("a-101", "2026-11").at(0).find("9.000: 700.000") == 0);
        CHECK(correct("w-101", wrong, "710.001").type == "not-between");
        CHECK(correct("w-101", wrong, "699.999").type == "not-between");
        reopen();
        CHECK(proof() == "");
    }
}

TEST_CASE_METHOD(Corrected, "where the meter stands at two rows of one figure it stands at both") {
    REQUIRE(dial("w-101", "700").kind == ReplyKind::created);
    until(kDecember + 9 * kHour);
    REQUIRE(dial("w-101", "707", kMidnight).kind == ReplyKind::created);
    until(clock.wall + 10 * kMinute);
    const auto twins = at("w-101", kDecember);
    REQUIRE(twins.size() == 2);
    for (const char* face : {"705", "704", "703"}) {
        REQUIRE(correct("w-101", twins[0].row.seq, face).kind == ReplyKind::created);
        CHECK(format(*meter("w-101").total) == std::string(face) + ".000");
        // A second correction of where the meter stands is known after a restart as well.
        reopen();
        CHECK(format(*meter("w-101").total) == std::string(face) + ".000");
        CHECK(proof() == "");
    }
    CHECK(why("a-101", "2026-11").at(0).find("3.000: 700.000") == 0);
}

TEST_CASE_METHOD(Corrected, "neighbours of a midnight that came late are those in time") {
    const bool stays = GENERATE(true, false);
    CAPTURE(stays);
    settle("e-103", "700.00");
    crash();
    synchronised = false;
    clock.pass(4 * kDay);
    open();
    settle("e-103", "713.00");
    for (int i = 0; i < 2; ++i) {
        pass(kHour);
        settle("e-103", "713.00");
    }
    if (!stays) reopen();
    settle("e-103", "713.00");
    synchronised = true;
    pass(kMinute);
    settle("e-103", "713.00");
    pass(10 * kMinute);
    const auto midnight = at("e-103", kDecember);
    REQUIRE(midnight.size() == 1);
    const std::uint64_t wrong = midnight[0].row.seq;
    const auto all = readings("e-103");
    std::string rows;
    for (const StoredReading& one : all)
        rows += std::to_string(one.row.seq) + " " + format_iso8601(one.at.at, *zone) + " " +
                format(one.row.total) + "; ";
    INFO(rows);
    REQUIRE(std::any_of(all.begin(), all.end(), [&](const StoredReading& one) {
        return one.row.seq < wrong && one.at.at > kDecember;
    }));
    const Reply refused = correct("e-103", wrong, "713.01");
    CHECK(refused.type == "not-between");
    CHECK(refused.errors.at(0).message.find("between 700.000 (reading ") != std::string::npos);
    CHECK(refused.errors.at(0).message.find(" and 713.000 (reading ") != std::string::npos);
    CHECK(correct("e-103", wrong, "699.99").type == "not-between");
    REQUIRE(correct("e-103", wrong, "711.50").kind == ReplyKind::created);
    CHECK(why("a-103", "2026-11").at(0).find("11.500: 700.000") == 0);
    CHECK(why("a-103", "2026-12").at(0).find(": 711.500(manual of ") != std::string::npos);
    // Another one of them lies between the one that was corrected and the beginning.
    const auto earlier = at("e-103", kDecember - kDay);
    REQUIRE(earlier.size() == 2);
    CHECK(correct("e-103", earlier[0].row.seq, "711.51").type == "not-between");
    REQUIRE(correct("e-103", earlier[0].row.seq, "705.00").kind == ReplyKind::created);
    CHECK(why("a-103", "2026-11").at(0).find("11.500: 700.000") == 0);
    reopen();
    CHECK(proof() == "");
}

// Two-year seed 1 of the money world: a box whose clock began in 2001 read twice and lost its power
// again; the estimates of a correction lay on a line from a midnight, over what was read since.
TEST_CASE_METHOD(Corrected, "what nobody could date hides no neighbour of a correction") {
    const UtcMs wrong_clock = GENERATE(UtcMs{978'333'861'223}, kDecember - kHour, kJanuary);
    CAPTURE(wrong_clock);
    until(kDecember - kDay - kMinute);
    settle("e-103", "700.00");
    until(kDecember - kDay + kMinute);
    settle("e-103", "700.00");
    until(kDecember - kDay + 9 * kHour);
    settle("e-103", "704.00");
    pass(kMinute);
    const UtcMs left = clock.wall;
    crash();
    synchronised = false;
    clock.wall = wrong_clock;
    clock.mono = 30'140;
    open();
    for (const char* face : {"705.00", "706.00", "707.00"}) {
        settle("e-103", face);
        pass(kHour);
    }
    crash();
    synchronised = true;
    clock.wall = left + 3 * kDay;
    clock.mono = 47'840;
    open();
    // The time since then is not known: what was used must fit into this run.
    for (int i = 0; i < 2; ++i) {
        settle("e-103", "734.00");
        pass(2 * kHour);
    }
    std::string rows;

    std::uint64_t read_before = 0, undated = 0;
    for (const StoredReading& one : readings("e-103")) {
        rows += std::to_string(one.row.seq) + " " + format_iso8601(one.at.at, *zone) + " " +
                format(one.row.total) + (one.at.trusted ? "; " : " undated; ");
        if (one.row.total == Milli{704'000}) read_before = one.row.seq;
        if (one.row.total == Milli{706'000} && !one.at.trusted) undated = one.row.seq;
    }
    INFO(rows);
    REQUIRE(read_before != 0);
    REQUIRE(undated != 0);
    const auto midnight = at("e-103", kDecember + kDay);
    REQUIRE(midnight.size() == 1);
    REQUIRE(midnight[0].row.quality == ReadingQuality::estimated);
    const Reply refused = correct("e-103", midnight[0].row.seq, "734.01");
    CHECK(refused.type == "not-between");
    INFO(refused.errors.at(0).message);
    CHECK(refused.errors.at(0).message.find("between 704.000 (reading " +
                                            std::to_string(read_before) + " ") !=
          std::string::npos);
    CHECK(refused.errors.at(0).message.find(" and 734.000 (reading ") != std::string::npos);
    // What has no time lies between those that came before and after it.
    CHECK(correct("e-103", undated, "703.99").type == "not-between");
    const Reply over = correct("e-103", undated, "707.01");
    CHECK(over.type == "not-between");
    CHECK(over.errors.at(0).message.find(" of a time that is not known)") != std::string::npos);
    REQUIRE(correct("e-103", undated, "705.50").kind == ReplyKind::created);
    REQUIRE(correct("e-103", midnight[0].row.seq, "714.00").kind == ReplyKind::created);
    const auto first = at("e-103", kDecember);
    REQUIRE(first.size() == 2);
    CHECK(format(first[1].row.total) == "707.846");  // 15 of 39 hours
    reopen();
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Corrected, "a figure that was repeated while nobody knew the time goes with it") {
    const UtcMs wrong_clock = GENERATE(UtcMs{978'333'861'223}, kJanuary);
    CAPTURE(wrong_clock);
    until(kDecember - kDay - kMinute);
    settle("e-103", "700.00");
    pass(9 * kHour);
    settle("e-103", "704.00");
    pass(kMinute);
    const UtcMs left = clock.wall;
    crash();
    synchronised = false;
    clock.wall = wrong_clock;
    clock.mono = 30'140;
    open();
    for (int i = 0; i < 3; ++i) {
        settle("e-103", "704.00");
        pass(kHour);
    }
    crash();
    synchronised = true;
    clock.wall = left + 6 * kHour;
    clock.mono = 47'840;
    open();
    std::uint64_t wrong = 0;
    int undated = 0;
    for (const StoredReading& one : readings("e-103")) {
        if (one.row.total != Milli{704'000}) continue;
        if (wrong == 0) wrong = one.row.seq;
        undated += one.at.trusted ? 0 : 1;
    }
    REQUIRE(undated == 3);
    REQUIRE(correct("e-103", wrong, "702.00").kind == ReplyKind::created);
    CHECK(format(*meter("e-103").total) == "702.000");
    // The rows in their place are no more dated than they were.
    for (const StoredReading& one : readings("e-103"))
        if (one.row.supersedes && !one.at.trusted) --undated;
    CHECK(undated == 0);
    reopen();
    CHECK(format(*meter("e-103").total) == "702.000");
    for (int i = 0; i < 2; ++i) {
        settle("e-103", "703.00");
        pass(kHour);
    }
    until(kDecember + kSecond);
    settle("e-103", "703.00");
    pass(10 * kMinute);
    CHECK(format(*meter("e-103").total) == "703.000");
    const Rows told = why("a-103", "2026-11");
    INFO(told.at(0));
    CHECK(told.at(0).find("3.000: 700.000") == 0);
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Corrected, "what nobody could date still bounds what was read beside it") {
    until(kDecember - kDay + 9 * kHour);
    settle("e-103", "700.00");
    pass(kMinute);
    UtcMs left = clock.wall;
    const auto without_a_clock = [&](const char* face) {
        crash();
        synchronised = false;
        clock.wall = 978'333'861'223;
        clock.mono = 30'140;
        open();
        for (int i = 0; i < 2; ++i) {
            settle("e-103", face);
            pass(kHour);
        }
        crash();
        synchronised = true;
        left += 3 * kHour;
        clock.wall = left;
        clock.mono = 47'840;
        open();
    };
    const auto with_one = [&](const char* face) {
        for (int i = 0; i < 2; ++i) {
            settle("e-103", face);
            pass(kHour);
        }
        left = clock.wall;
    };
    without_a_clock("702.00");
    with_one("704.00");
    without_a_clock("706.00");
    with_one("708.00");
    std::uint64_t wrong = 0;
    std::string rows;
    for (const StoredReading& one : readings("e-103")) {
        rows += std::to_string(one.row.seq) + " " + format(one.row.total) +
                (one.at.trusted ? "; " : " undated; ");
        if (one.row.total == Milli{704'000}) wrong = one.row.seq;
    }
    INFO(rows);
    REQUIRE(wrong != 0);
    const Reply under = correct("e-103", wrong, "701.99");
    REQUIRE(under.type == "not-between");
    INFO(under.errors.at(0).message);
    CHECK(under.errors.at(0).message.find("between 702.000 (reading ") != std::string::npos);
    CHECK(under.errors.at(0).message.find(" and 706.000 (reading ") != std::string::npos);
    CHECK(correct("e-103", wrong, "706.01").type == "not-between");
    CHECK(correct("e-103", wrong, "705.99").kind == ReplyKind::created);
    CHECK(correct("e-103", wrong, "702.00").kind == ReplyKind::created);
    CHECK(proof() == "");
}
