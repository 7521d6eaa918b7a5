#include "daemon/core/forecast.hpp"

#include "daemon/core/tariff.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/tariffs.hpp"

using namespace gatehouse;
using namespace gatehouse::test;

namespace {

const LocalDate kDay{2026, 3, 1};

std::optional<DailyMean> steady(const char* a_day) {
    return daily_mean(std::vector<Milli>(7, quantity(a_day)));
}

std::optional<int> left(const char* balance, const Tariff& tariff, const char* counter,
                        std::optional<DailyMean> mean, LocalDate day = kDay) {
    return days_left(fen(balance), day, {{&tariff.versions[0], quantity(counter), mean}});
}

}  // namespace

TEST_CASE("the mean is over the last seven complete days, and needs three") {
    CHECK_FALSE(daily_mean({}));
    CHECK_FALSE(daily_mean({Milli{1}, Milli{2}}));
    CHECK(daily_mean({Milli{1}, Milli{2}, Milli{4}}) == DailyMean{Milli{7}, 3});
    CHECK(daily_mean({Milli{900}, Milli{1}, Milli{1}, Milli{1}, Milli{1}, Milli{1}, Milli{1},
                      Milli{2}}) == DailyMean{Milli{8}, 7});
}

TEST_CASE("V12: 8.62 days are 8 days, and a tier passed on the way counts") {
    CHECK(left("36.42", beijing_electricity(), "0", steady("8.65")) == 8);
    CHECK(left("36.42", beijing_electricity(), "2860", steady("8.65")) == 8);
    // 69.2 kWh from 2860 on cost 36.25036; a fen less than 36.26 does not last them, and at the
    // first tier's price alone 34.00 would.
    CHECK(left("36.26", beijing_electricity(), "2860", steady("8.65")) == 8);
    CHECK(left("36.25", beijing_electricity(), "2860", steady("8.65")) == 7);
    CHECK(left("36.25", beijing_electricity(), "0", steady("8.65")) == 8);
}

TEST_CASE("days left at the ends of their range") {
    const Tariff one = flat("1.00");
    CHECK(left("0.00", one, "0", steady("1")) == 0);
    CHECK(left("-3.27", one, "0", steady("1")) == 0);
    CHECK(left("0.00", one, "0", std::nullopt) == 0);
    CHECK(left("0.01", one, "0", steady("1")) == 0);
    CHECK(left("1.00", one, "0", steady("1")) == 1);
    CHECK(left("1.99", one, "0", steady("1")) == 1);
    CHECK(left("998.99", one, "0", steady("1")) == 998);
    CHECK(left("999.00", one, "0", steady("1")) == 999);
    CHECK(left("500000.00", one, "0", steady("1")) == 999);
    CHECK_FALSE(left("10.00", one, "0", std::nullopt));
    CHECK_FALSE(left("10.00", one, "0", steady("0")));
    CHECK_FALSE(days_left(fen("10.00"), kDay, {}));
    CHECK(left("10.00", flat("0.00"), "0", steady("1")) == 999);
}

TEST_CASE("a mean is never rounded before it is walked") {
    const Tariff one = flat("1.00");
    // 10 kWh in 3 days: 10.00 lasts exactly three, 9.99 does not.
    const auto mean = daily_mean({quantity("3"), quantity("3"), quantity("4")});
    CHECK(left("10.00", one, "0", mean) == 3);
    CHECK(left("9.99", one, "0", mean) == 2);
}

TEST_CASE("a ladder starts anew where its period does") {
    // 10 kWh a day cost 8.8886875 in the third tier until July ends, and 5.8886875 from August on:
    // three days are 26.6660625, the fourth brings them to 32.55475.
    const Tariff t = guangzhou();
    CHECK(left("26.67", t, "700", steady("10"), {2026, 7, 29}) == 3);
    CHECK(left("32.55", t, "700", steady("10"), {2026, 7, 29}) == 3);
    CHECK(left("32.56", t, "700", steady("10"), {2026, 7, 29}) == 4);
}

TEST_CASE("an account for two services pays for both") {
    const Tariff light = flat("0.50"), water = beijing_water();
    const std::vector<DailyUse> uses{{&light.versions[0], {}, steady("10")},
                                     {&water.versions[0], quantity("180"), steady("1")}};
    CHECK(days_left(fen("120.00"), kDay, uses) == 10);
    CHECK(days_left(fen("119.99"), kDay, uses) == 9);
    std::vector<DailyUse> unknown = uses;
    unknown[1].mean.reset();
    CHECK_FALSE(days_left(fen("120.00"), kDay, unknown));
}

// Day by day, in plain fractions: what the walk must agree with.
TEST_CASE("the walk agrees with counting day by day") {
    const Tariff month = guangzhou(), year = beijing_electricity();
    for (int balance = 1; balance < 400'000; balance += 7'919) {
        for (const int a_day : {900, 8'650, 31'000}) {
            Int128 money = Int128{balance} * 1'000'000'000;
            std::int64_t used_month = 100'000, used_year = 2'500'000;
            int days = 0;
            for (; days < 999; ++days) {
                const LocalDate day = date_from_days(days_since_epoch({2026, 11, 24}) + days);
                if (days > 0 && day.day == 1) used_month = 0;
                if (days > 0 && day.day == 1 && day.month == 1) used_year = 0;
                for (const TierPart& part :
                     split(ladder_in(month.versions[0], day.month, 0), {used_month}, {a_day}))
                    money -= Int128{part.price.count} * part.quantity.count;
                for (const TierPart& part :
                     split(ladder_in(year.versions[0], day.month, 0), {used_year}, {a_day}))
                    money -= Int128{part.price.count} * part.quantity.count;
                used_month += a_day;
                used_year += a_day;
                if (money < 0) break;
            }
            const DailyMean mean{Milli{a_day * 7}, 7};
            CAPTURE(balance, a_day);
            REQUIRE(days_left(Fen{balance}, {2026, 11, 24},
                              {{&month.versions[0], Milli{100'000}, mean},
                               {&year.versions[0], Milli{2'500'000}, mean}}) == days);
        }
    }
}

TEST_CASE("days count down from the reading they rest on") {
    constexpr UtcMs kDayMs = 86'400'000;
    CHECK(counted_down(8, 1000, 1000) == 8);
    CHECK(counted_down(8, 1000, 0) == 8);
    CHECK(counted_down(8, 0, kDayMs - 1) == 8);
    CHECK(counted_down(8, 0, kDayMs) == 7);
    CHECK(counted_down(8, 0, 8 * kDayMs) == 0);
    CHECK(counted_down(8, 0, 4000 * kDayMs) == 0);
}

TEST_CASE("bands cost what the same use of each costs now, and the adder comes on top") {
    const Tariff t = zhejiang_bands();
    const TariffVersion& v = t.versions[0];
    // Three days of 12 peak and 8 valley: 6.816 + 2.304 = 9.12 a day below the limit, 10.12 above.
    BandUse day{{"peak", quantity("12")}, {"valley", quantity("8")}};
    const std::optional<Int128> cost = band_cost(v, 7, day);
    REQUIRE(cost);
    CHECK(*cost == Int128{912} * 1'000'000'000);
    DailyUse use{&v, quantity("0"), DailyMean{quantity("60"), 3}, 0, *cost * 3, false};
    CHECK(days_left(fen("91.20"), kDay, {use}) == 10);
    CHECK(days_left(fen("91.19"), kDay, {use}) == 9);
    use.counter = quantity("2760");
    CHECK(days_left(fen("101.20"), kDay, {use}) == 10);
    CHECK(days_left(fen("101.19"), kDay, {use}) == 9);
    // A name that the version does not have says nothing about its prices.
    day["noon"] = Milli{1};
    CHECK_FALSE(band_cost(v, 7, day));
    // Where the month has no band of that name another month's price is the best there is.
    TariffVersion summer = v;
    summer.bands.push_back(band("sharp", 840, 960, "0.90"));
    summer.bands.back().months = {7, 8};
    summer.bands.push_back(band("sharp", 840, 960, "0.80"));
    summer.bands.back().months = {1};
    CHECK(band_cost(summer, 1, {{"sharp", quantity("1")}}) == Int128{80'000'000} * 1000);
    CHECK(band_cost(summer, 9, {{"sharp", quantity("1")}}) == Int128{90'000'000} * 1000);
}

TEST_CASE("daily fees fall due each day, monthly ones with the first day that has none") {
    Tariff t = flat("1.00");
    t.versions[0].fixed = {{"line", FeePeriod::day, fen("0.50")},
                           {"service", FeePeriod::month, fen("6.00")}};
    DailyUse use{&t.versions[0], {}, steady("1"), 0, 0, false};
    // From 29 July 1.50 a day; August the first costs 6.00 more: 4.50, 12.00, 13.50.
    const LocalDate day{2026, 7, 29};
    CHECK(days_left(fen("4.50"), day, {use}) == 3);
    CHECK(days_left(fen("11.99"), day, {use}) == 3);
    CHECK(days_left(fen("12.00"), day, {use}) == 4);
    CHECK(days_left(fen("13.50"), day, {use}) == 5);
    use.month_fees_due = true;
    CHECK(days_left(fen("7.49"), day, {use}) == 0);
    CHECK(days_left(fen("7.50"), day, {use}) == 1);
    CHECK(days_left(fen("18.00"), day, {use}) == 4);
    // Fees alone are no use, and beside another service's use they count.
    use.mean = steady("0");
    CHECK_FALSE(days_left(fen("7.50"), day, {use}));
    const Tariff water = beijing_water();
    CHECK(days_left(fen("17.50"), day, {use, {&water.versions[0], {}, steady("1")}}) == 2);
}

TEST_CASE("the walk through seasons, persons, bands and fees agrees with counting day by day") {
    Tariff t = guangzhou_bands("0.99500875", "0.22914475");
    TariffVersion& v = t.versions[0];
    v.per_person = PerPerson{5, quantity("30")};
    v.fixed = {{"line", FeePeriod::day, fen("0.37")}, {"service", FeePeriod::month, fen("3.10")}};
    constexpr int kPersons = 6;
    for (int balance = 1; balance < 300'000; balance += 6'571) {
        for (const int a_day : {900, 8'650, 31'000}) {
            const Int128 bands = band_cost(v, 4, {{"peak", Milli{a_day}}}).value();
            Int128 money = Int128{balance} * 1'000'000'000;
            std::int64_t used = 150'000;
            int days = 0;
            for (; days < 999; ++days) {
                const LocalDate day = date_from_days(days_since_epoch({2026, 4, 24}) + days);
                if (day.day == 1) {
                    used = 0;
                    money -= Int128{310} * 1'000'000'000;
                }
                money -= bands + Int128{37} * 1'000'000'000;
                const Ladder ladder = ladder_in(v, day.month, kPersons);
                for (const TierPart& part : split(ladder, {used}, {a_day}))
                    money -= Int128{part.price.count} * part.quantity.count;
                used += a_day;
                if (money < 0) break;
            }
            CAPTURE(balance, a_day);
            const DailyUse use{&v,       Milli{150'000}, DailyMean{Milli{a_day * 7}, 7},
                               kPersons, bands * 7,      false};
            REQUIRE(days_left(Fen{balance}, {2026, 4, 24}, {use}) == days);
        }
    }
}
