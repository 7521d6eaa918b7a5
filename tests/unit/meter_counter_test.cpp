// The counter of an epoch: a total from a register, rollover (V9) and the physical cap (V10).
#include "daemon/core/meter_counter.hpp"

#include <limits>

#include "tests/support/catch.hpp"

using namespace gatehouse;

namespace {

Rational exact(const char* decimal) {
    return parse_rational(decimal).value();
}
std::string shown(std::optional<Milli> value) {
    return value ? format(*value) : "nothing";
}

}  // namespace

TEST_CASE("a figure is rounded once, after the multiplier") {
    CHECK(shown(figure(exact("123.456"), {1, 1})) == "123.456");
    CHECK(shown(figure(exact("0.0004"), {1, 1})) == "0.000");
    CHECK(shown(figure(exact("0.0004"), {120, 1})) == "0.048");  // not 120 x 0.000
    CHECK(shown(figure(exact("7"), exact("0.01"))) == "0.070");
    CHECK(shown(figure({1, 3}, {3, 1})) == "1.000");
    CHECK(shown(figure(exact("999999999999999999"), {1000, 1})) == "nothing");
}

TEST_CASE("the total is the opening register times the multiplier plus what passed") {
    struct Row {
        const char *opening, *multiplier, *face, *total;
    };
    const Row rows[] = {
        {"0", "1", "12.5", "12.500"},
        {"100", "1", "100", "100.000"},
        {"100.5", "40", "101.25", "4050.000"},
        {"1000", "0.01", "1250", "12.500"},
        {"5", "1", "4", "4.000"},  // what it would mean; whether it counts is validation's
    };
    for (const Row& row : rows) {
        const auto base = first_base(exact(row.opening), exact(row.multiplier));
        REQUIRE(base);
        CHECK(shown(total_at(*base, exact(row.face))) == row.total);
    }
}

TEST_CASE("a new multiplier or a new meter goes on from the same total") {
    auto base = first_base(exact("100"), {1, 1}).value();
    const Milli total = total_at(base, exact("130")).value();
    CHECK(shown(total) == "130.000");
    base = new_base(total, exact("130"), {40, 1}).value();  // a current transformer was forgotten
    CHECK(shown(total_at(base, exact("130"))) == "130.000");
    CHECK(shown(total_at(base, exact("131"))) == "170.000");
    base = new_base(Milli{170'000}, exact("0.3"), {1, 1}).value();  // the new meter starts at 0.3
    CHECK(shown(total_at(base, exact("0.8"))) == "170.500");
}

TEST_CASE("V9: 999999.50 to 0.30 on six digits is 0.80") {
    const auto base = first_base(exact("999999.50"), {1, 1}).value();
    CHECK(shown(total_after_rollover(base, exact("0.30"), {1'000'000, 1})) == "1000000.300");
    CHECK(near_end(exact("999999.50"), {1'000'000, 1}));
    CHECK(near_end(exact("950000"), {1'000'000, 1}));
    CHECK_FALSE(near_end(exact("949999.99"), {1'000'000, 1}));
    const auto scaled = first_base(exact("999999.50"), {20, 1}).value();
    const Milli before = total_at(scaled, exact("999999.50")).value();
    const Milli after = total_after_rollover(scaled, exact("0.30"), {1'000'000, 1}).value();
    CHECK(format(after - before) == "16.000");
}

TEST_CASE("V10: the cap of a 5(60) A meter") {
    MeterTraits traits;
    traits.step = exact("0.01");
    traits.rated_amps = Rational{60, 1};
    const std::int64_t quarter = 900'000;
    // 1.2 x 230 V x 60 A x 0.25 h = 4.14 kWh, and one step.
    CHECK(format(physical_cap(Service::electricity, traits, {1, 1}, quarter)) == "4.150");
    CHECK(format(physical_cap(Service::electricity, traits, {40, 1}, quarter)) == "166.000");
    CHECK(format(physical_cap(Service::electricity, traits, {1, 1}, 0)) == "0.010");
    CHECK(format(physical_cap(Service::electricity, traits, {1, 1}, -5)) == "0.010");
    CHECK(format(physical_cap(Service::electricity, traits, {1, 1}, 1)) == "0.011");  // up
    traits.phases = 3;
    CHECK(format(physical_cap(Service::electricity, traits, {1, 1}, quarter)) == "12.430");
    traits.rated_amps = Rational{std::numeric_limits<std::int64_t>::max(), 1};
    CHECK(physical_cap(Service::electricity, traits, {1'000'000, 1},
                       std::numeric_limits<std::int64_t>::max())
              .count == std::numeric_limits<std::int64_t>::max());
}

TEST_CASE("the cap of a water meter is its flow") {
    MeterTraits traits;
    traits.rated_flow = exact("3.125");
    CHECK(format(physical_cap(Service::water, traits, {1, 1}, 3'600'000)) == "3.751");
    traits.rated_flow.reset();  // a profile that names none
    CHECK(format(physical_cap(Service::water, traits, {1, 1}, 3'600'000)) == "12.001");
}

TEST_CASE("a typed value is as fine as it was typed") {
    CHECK((compare(unit_in_last_place("120").value(), {1, 1}) == 0));
    CHECK((compare(unit_in_last_place("120.50").value(), {1, 100}) == 0));
    CHECK_FALSE(unit_in_last_place("12o"));
    CHECK((compare(typed_tolerance("120.5", {1, 100}).value(), {1, 10}) == 0));
    CHECK((compare(typed_tolerance("120.500", {1, 100}).value(), {1, 100}) == 0));
}
