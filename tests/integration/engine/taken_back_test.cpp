// A correction that is taken back, and what a correction leaves alone: the figures that others
// read, and the line on which the next midnight lies.
#include <algorithm>
#include <map>
#include <string>

#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

using Rows = std::vector<std::string>;
constexpr UtcMs kDecember = kMorning + 7 * kDay + 16 * kHour;  // 2026-12-01T00:00:00+08:00

struct TakenBack : House {
    TakenBack() {
        clock.wall = kDecember - 2 * kDay - 16 * kHour;  // Saturday 2026-11-28T08:00:00+08:00
        open();
        FileTexts files = three_homes();
        files["tariffs/even.toml"] = flat_tariff("even", "electricity", "1.00");
        files["meters.csv"] =
            "meter,unit,service,bus,address,profile,rated_amps\n"
            "e-101,1-101,electricity,,,,\n"
            "e-102,1-102,electricity,b1,5,eastron-sdm120,60\n"
            "e-103,1-103,electricity,b1,4,eastron-sdm120,60\n";
        files["people.csv"] = "person,kind,name\np-0,tenant,a\np-1,tenant,b\n";
        files["accounts.csv"] =
            "account,unit,service,tariff,holder\na-101,1-101,electricity,even,\n"
            "a-103,1-103,electricity,even,p-0\n";
        REQUIRE(import(files).kind == ReplyKind::ok);
    }
    void until(UtcMs at) { pass(at - clock.wall); }
    Reply dial(const std::string& face) {
        const Reply reply = ask(ReadFace{"local", "e-101", face, "", "s-01", "s-02", ""});
        INFO(reply.detail);
        REQUIRE(reply.kind == ReplyKind::created);
        return reply;
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
    // The first row with that figure, or the last.
    std::uint64_t row(const std::string& meter, const std::string& total, bool last = false) const {
        std::uint64_t found = 0;
        for (const StoredReading& one : readings(meter))
            if (format(one.row.total) == total && (last || found == 0)) found = one.row.seq;
        REQUIRE(found != 0);
        return found;
    }
    // What stands in each place now, in order of the first rows.
    Rows stand(const std::string& meter) const {
        std::map<std::uint64_t, std::string> totals;
        for (const StoredReading& one : readings(meter))
            totals[one.row.supersedes.value_or(one.row.seq)] = format(one.row.total);
        Rows rows;
        for (const auto& [seq, total] : totals) rows.push_back(total);
        return rows;
    }
    // A run whose clock begins in 2001 and that nobody corrects reads that.
    void without_a_clock(const std::string& face) {
        const UtcMs left = clock.wall;
        crash();
        synchronised = false;
        clock.wall = 978'333'861'223;
        clock.mono = 30'140;
        open();
        for (int i = 0; i < 3; ++i) {
            settle("e-103", face);
            settle("e-102", face);
            pass(kHour);
        }
        crash();
        synchronised = true;
        clock.wall = left + 4 * kHour;
        clock.mono = 47'840;
    }
    // Since the time that passed is not known, what was used must fit into this run.
    void with_one(const std::string& face) {
        for (int i = 0; i < 2; ++i) {
            settle("e-103", face);
            settle("e-102", face);
            pass(kHour);
        }
    }
    std::string midnight(UtcMs at, const std::string& meter = "e-103") const {
        std::string total;
        for (const StoredReading& one : readings(meter))
            if (one.at.at == at) total = format(one.row.total);
        return total;
    }
};

}  // namespace

TEST_CASE_METHOD(TakenBack, "a correction taken back leaves what others read behind it") {
    dial("700");
    until(kDecember - kDay - 12 * kHour);
    dial("705");
    pass(kDay);
    dial("710");
    until(kDecember + kHour);
    const Rows first = stand("e-101");
    const std::string ledger_before = ledger("a-101"), balance_before = balance("a-101");
    const std::uint64_t wrong = row("e-101", "705.000");
    for (int i = 0; i < 2; ++i) {
        REQUIRE(correct("e-101", wrong, "710").kind == ReplyKind::created);
        REQUIRE(correct("e-101", wrong, "705").kind == ReplyKind::created);
        CHECK(stand("e-101") == first);
        CHECK(ledger("a-101") == ledger_before);
        CHECK(balance("a-101") == balance_before);
        reopen();
        CHECK(balance("a-101") == balance_before);
        CHECK(proof() == "");
    }
}

TEST_CASE_METHOD(TakenBack, "what was corrected together is taken back together") {
    settle("e-103", "700.00");
    until(kDecember - kDay - 12 * kHour);
    for (int i = 0; i < 4; ++i) {
        settle("e-103", "710.00");
        pass(12 * kHour);
    }
    const std::string ledger_before = ledger("a-103");
    const Rows first = stand("e-103");
    REQUIRE(std::count(first.begin(), first.end(), "710.000") >= 4);
    const std::uint64_t wrong = row("e-103", "710.000");
    REQUIRE(correct("e-103", wrong, "706.00").kind == ReplyKind::created);
    CHECK(ledger("a-103") != ledger_before);
    // The next poll goes on from what the face says.
    settle("e-103", "710.00");
    pass(kMinute);
    CHECK(correct("e-103", wrong, "710.01").type == "not-between");
    REQUIRE(correct("e-103", wrong, "710.00").kind == ReplyKind::created);
    Rows now = stand("e-103");
    REQUIRE(now.size() > first.size());
    CHECK(std::all_of(now.begin() + static_cast<std::ptrdiff_t>(first.size()), now.end(),
                      [](const std::string& total) { return total == "710.000"; }));
    now.resize(first.size());
    CHECK(now == first);
    CHECK(ledger("a-103") == ledger_before);
    reopen();
    CHECK(ledger("a-103") == ledger_before);
    CHECK(proof() == "");
}

TEST_CASE_METHOD(TakenBack, "a correction before a run without a clock moves no later midnight") {
    settle("e-102", "700.00");
    settle("e-103", "700.00");
    until(kDecember - kDay - 12 * kHour);
    settle("e-103", "704.00");
    until(kDecember - kDay + kSecond);
    settle("e-103", "705.00");
    until(kDecember - 4 * kHour);
    settle("e-102", "715.00");
    settle("e-103", "715.00");
    pass(kMinute);
    const bool corrected = GENERATE(true, false);
    CAPTURE(corrected);
    if (corrected) {
        REQUIRE(correct("e-103", row("e-103", "704.000", true), "704.50").kind ==
                ReplyKind::created);
    }
    without_a_clock("715.00");
    clock.wall = kDecember + 20 * kHour;
    open();
    with_one("717.00");
    // Of 24 hours and some since 20:00, in which it counts 2, four lie before it.
    CHECK(midnight(kDecember) == "715.319");
    CHECK(midnight(kDecember, "e-102") == "715.319");
    CHECK(proof() == "");
}

TEST_CASE_METHOD(TakenBack, "midnights split late hide nothing that was read behind them") {
    settle("e-103", "700.00");
    crash();
    synchronised = false;
    clock.pass(2 * kDay + 10 * kHour);  // Monday evening
    open();
    for (int i = 0; i < 3; ++i) {
        settle("e-103", "713.00");
        pass(kHour);
    }
    synchronised = true;
    pass(kMinute);
    REQUIRE(midnight(kDecember - kDay) != "");
    const bool without = GENERATE(true, false);
    CAPTURE(without);
    if (without) {
        without_a_clock("713.00");
        clock.wall = kDecember + 8 * kHour;
        open();
    } else {
        reopen();
        CHECK(format(*meter("e-103").total) == "713.000");
        pass(kDecember + 8 * kHour - clock.wall);
    }
    with_one("715.00");
    INFO(midnight(kDecember));
    CHECK(midnight(kDecember) > "713.000");
    CHECK(proof() == "");
}

TEST_CASE_METHOD(TakenBack, "the first row after a holder came is corrected like any other") {
    settle("e-103", "700.00");
    pass(kHour);
    settle("e-103", "701.00");
    ChangeOccupant change;
    change.act = {"local", "s-01", "s-02", "on", "k", "h"};
    change.unit = "1-103";
    change.holder = "p-1";
    change.settle = "debt";
    const Reply moved = ask(change);
    INFO(moved.detail << (moved.errors.empty() ? "" : moved.errors[0].message));
    REQUIRE(moved.kind == ReplyKind::created);
    const std::string came = meter("e-103").account;
    REQUIRE(came != "a-103");
    const std::string gone = ledger("a-103");
    pass(2 * kHour);
    settle("e-103", "703.00");
    pass(2 * kHour);
    settle("e-103", "705.00");
    pass(kMinute);
    const std::uint64_t wrong = row("e-103", "703.000", true);
    CHECK(correct("e-103", wrong, "700.99").type == "not-between");
    REQUIRE(correct("e-103", wrong, "704.00").kind == ReplyKind::created);
    until(kDecember - 2 * kDay + kSecond);
    settle("e-103", "705.00");
    pass(10 * kMinute);
    CHECK(ledger("a-103") == gone);
    CHECK(ledger(came) == "-4.00");
    reopen();
    CHECK(proof() == "");
}
