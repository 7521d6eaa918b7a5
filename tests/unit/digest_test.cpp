// Working days, when the digest of a day is due, and its sentence.
#include "daemon/core/digest.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/zones.hpp"

using namespace gatehouse;
using namespace gatehouse::test;

namespace {

const std::vector<CalendarDay> kCalendar{
    {{2026, 10, 1}, DayKind::holiday, "国庆节"},
    {{2026, 10, 10}, DayKind::workday, "调休"},
};

}  // namespace

TEST_CASE("working days are Monday to Friday, and what the calendar says otherwise") {
    struct Row {
        LocalDate date;
        bool working;
    };
    const Row rows[] = {
        {{2026, 11, 23}, true},  {{2026, 11, 27}, true},   // Monday, Friday
        {{2026, 11, 28}, false}, {{2026, 11, 29}, false},  // Saturday, Sunday
        {{2026, 9, 30}, true},   {{2026, 10, 1}, false},   // Thursday, a holiday
        {{2026, 10, 2}, true},   {{2026, 10, 10}, true},   // Saturday worked instead
        {{2026, 10, 17}, false}, {{2028, 2, 29}, true},
        {{1970, 1, 1}, true},    {{1970, 1, 3}, false},
    };
    for (const Row& row : rows) {
        CAPTURE(format_date(row.date));
        CHECK(is_working_day(row.date, kCalendar) == row.working);
    }
}

TEST_CASE("the digest is due once a working day from ten to nine on") {
    const LocalDate monday{2026, 11, 23}, friday{2026, 11, 20}, saturday{2026, 11, 28};
    const auto due = [&](LocalDate date, int hour, int minute, std::optional<LocalDate> last) {
        return is_digest_due(at(date, hour, minute), kZone, last, kCalendar);
    };
    CHECK_FALSE(due(monday, 8, 49, friday));
    CHECK(due(monday, 8, 50, friday));
    CHECK(due(monday, 8, 50, std::nullopt));
    CHECK(due(monday, 23, 59, friday));  // the box was off in the morning
    CHECK_FALSE(due(monday, 8, 50, monday));
    CHECK_FALSE(due(monday, 0, 0, friday));
    CHECK_FALSE(due(saturday, 8, 50, friday));
    CHECK_FALSE(due({2026, 10, 1}, 8, 50, std::nullopt));
    CHECK(due({2026, 10, 10}, 8, 50, std::nullopt));
    // A clock that was ahead once does not bring a second one.
    CHECK_FALSE(due(monday, 9, 0, LocalDate{2026, 11, 24}));
}

TEST_CASE("the sentence of the digest") {
    DigestCounts counts;
    counts.date = {2026, 11, 23};
    counts.checked = 1'640;
    counts.by_level = {1'609, 23, 6, 2, 0};
    counts.not_read = 4;
    counts.fresh = 9;
    counts.topped_up = 11;
    counts.uncontacted = {"3-2-1201", "5-1-0302", "商铺S-08"};
    CHECK(digest_sentence(counts, true) ==
          "【11月23日 水电余额日报】已检查 1640 个账户（未抄到 4 个）。余额用完 2 户，二级 6 "
          "户，一级 23 户；新增 9 户，充值解除 11 户；超过24小时未联系 3 "
          "户：3-2-1201、5-1-0302、商铺S-08。");
    CHECK(digest_sentence(counts, false) ==
          "[Balances on 2026-11-23] 1640 accounts checked (4 not read). 2 exhausted, 6 critical, "
          "23 low; 9 new, 11 cleared by a top-up; not contacted for 24 hours: 3: 3-2-1201, "
          "5-1-0302, 商铺S-08.");
    counts.by_level[4] = 1;
    counts.held = 5;
    counts.meters_offline = 7;
    counts.uncontacted.clear();
    CHECK(digest_sentence(counts, true) ==
          "【11月23日 水电余额日报】已检查 1640 个账户（未抄到 4 个，待核 5 个）。超透支 1 "
          "户，余额用完 2 户，二级 6 户，一级 23 户；新增 9 户，充值解除 11 户；通讯中断 7 "
          "块表。");
    CHECK(digest_sentence(counts, false) ==
          "[Balances on 2026-11-23] 1640 accounts checked (4 not read, 5 with a reading that "
          "awaits a check). 1 beyond overdraft, 2 exhausted, 6 critical, 23 low; 9 new, 11 cleared "
          "by a top-up; 7 meters offline.");
}

TEST_CASE("the digest tells of leaks, of use where nobody lives, and of the rest ahead") {
    DigestCounts counts;
    counts.date = {2026, 2, 9};
    counts.checked = 3;
    counts.vacant_use = 1;
    counts.leaks = 2;
    counts.rest = Calendar::Rest{{2026, 2, 15}, {2026, 2, 24}};
    counts.before_rest = 12;
    CHECK(digest_sentence(counts, true) ==
          "【2月9日 水电余额日报】已检查 3 个账户（未抄到 0 个）。余额用完 0 户，二级 0 "
          "户，一级 0 户；新增 0 户，充值解除 0 户；空置用量 1 块表；疑似漏水 2 "
          "块表；2月15日起放假、2月24日上班，节前需续费 12 户。");
    CHECK(digest_sentence(counts, false) ==
          "[Balances on 2026-02-09] 3 accounts checked (0 not read). 0 exhausted, 0 critical, 0 "
          "low; 0 new, 0 cleared by a top-up; use in vacant units: 1 meters; leak suspected: 2 "
          "meters; closed from 2026-02-15, back on 2026-02-24: 12 to renew before.");
}

TEST_CASE("a digest names twenty of those who were not contacted and counts the rest") {
    DigestCounts counts;
    for (int i = 0; i < 25; ++i) counts.uncontacted.push_back("u" + std::to_string(i));
    const std::string chinese = digest_sentence(counts, true);
    CHECK(chinese.find("25 户：u0、u1、") != std::string::npos);
    CHECK(chinese.find("u19等，另 5 户。") != std::string::npos);
    CHECK(chinese.find("u20") == std::string::npos);
    CHECK(digest_sentence(counts, false).find("u19 and 5 more.") != std::string::npos);
}
