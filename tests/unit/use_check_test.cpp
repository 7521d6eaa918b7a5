// Checks over whole days (C4, C5, C16): they flag, and never hold or charge.
#include "daemon/core/use_check.hpp"

#include "tests/support/catch.hpp"

using namespace gatehouse;

namespace {

std::vector<Milli> days(std::initializer_list<int> units) {
    std::vector<Milli> list;
    for (const int unit : units) list.push_back(Milli{unit * 100});  // tenths
    return list;
}

}  // namespace

TEST_CASE("C4: a day of more than five times the mean and 5 kWh is to be looked at") {
    struct Row {
        std::vector<Milli> used;
        bool flagged;
    };
    const Row rows[] = {
        {days({}), false},
        {days({900}), false},
        {days({20, 20, 900}), false},  // two days are no mean
        {days({20, 20, 20, 101}), true},
        {days({20, 20, 20, 100}), false},  // five times, not more
        {days({5, 5, 5, 50}), false},      // 5 kWh, not more
        {days({5, 5, 5, 51}), true},
        {days({900, 1, 1, 1, 1, 1, 1, 1, 60}), true},  // the eighth day back counts no more
    };
    for (const Row& row : rows) {
        INFO(row.used.size() << " days");
        CHECK(is_abnormal_use(Service::electricity, row.used) == row.flagged);
    }
    CHECK(is_abnormal_use(Service::water, days({1, 1, 1, 11})));
    CHECK_FALSE(is_abnormal_use(Service::water, days({1, 1, 1, 10})));
}

TEST_CASE("C5: seven days of nothing after steady use are to be looked at") {
    struct Row {
        std::vector<Milli> used;
        bool flagged;
    };
    const Row rows[] = {
        {days({0, 0, 0, 0, 0, 0, 0}), false},
        {days({20, 20, 20, 0, 0, 0, 0, 0, 0, 0}), true},
        {days({20, 20, 20, 0, 0, 0, 0, 0, 0}), false},  // six days
        {days({20, 20, 20, 0, 0, 0, 1, 0, 0, 0}), false},
        {days({10, 10, 10, 0, 0, 0, 0, 0, 0, 0}), false},  // 1 kWh a day, not more
        {days({20, 20, 0, 0, 0, 0, 0, 0, 0}), false},
    };
    for (const Row& row : rows) {
        INFO(row.used.size() << " days");
        CHECK(is_use_gone(Service::electricity, row.used) == row.flagged);
    }
}

TEST_CASE("C16: a main meter and those below it may lie 5 % apart") {
    CHECK_FALSE(is_sum_apart(Milli{100'000}, Milli{95'000}));
    CHECK(is_sum_apart(Milli{100'000}, Milli{94'999}));
    CHECK_FALSE(is_sum_apart(Milli{100'000}, Milli{105'000}));
    CHECK(is_sum_apart(Milli{100'000}, Milli{105'001}));
    CHECK_FALSE(is_sum_apart(Milli{0}, Milli{0}));
    CHECK(is_sum_apart(Milli{0}, Milli{1}));
}
