// What people read and decide, as the machine takes it: tables of a face against the books, of a
// release on each side of the baseline, and of a ratio that changes in the device.
#include <string>

#include "daemon/core/validation.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;

namespace {

constexpr std::int64_t kHourMs = 3'600'000;

Rational exact(const std::string& decimal) {
    return parse_rational(decimal).value();
}

MeterTerms household() {  // 5(60) A, single phase, 0.01 kWh: 16.56 kWh an hour and a step
    MeterTerms terms;
    terms.traits.change().step = Rational{1, 100};
    terms.traits.change().rated_amps = Rational{60, 1};
    return terms;
}

SampleTime at_hour(std::int64_t hour) {
    return {1, hour * kHourMs, 1'800'000'000'000 + hour * kHourMs};
}

MeterState standing_at(const std::string& face) {
    LastReading reading;
    reading.exact = exact(face);
    reading.register_value = reading.figure = reading.total =
        round_to_milli(*reading.exact).value();
    reading.time = reading.moved_at = at_hour(0);
    return restore(reading);
}

Verdict read_face(MeterState& state, const std::string& face, std::int64_t hour,
                  const MeterTerms& terms) {
    const auto tolerance = typed_tolerance(face, terms.traits->step).value();
    return judge_face(state, {exact(face), tolerance, {}, at_hour(hour)}, terms);
}

Verdict read_sample(MeterState& state, const std::string& face, std::int64_t hour,
                    const MeterTerms& terms, std::int64_t ms = 0) {
    Sample sample;
    sample.register_value = exact(face);
    SampleTime time = at_hour(hour);
    time.mono_ms += ms;
    *time.trusted_utc_ms += ms;
    return judge(state, sample, time, terms);
}

std::string outcome(const Verdict& verdict) {
    if (verdict.opened) return std::string("ask:") + to_string(verdict.opened->reason);
    if (verdict.held) return "held";
    std::string text;
    for (const Confirmed& confirmed : verdict.confirmed)
        text += (text.empty() ? "" : " ") + format(confirmed.value.total);
    return text;
}

}  // namespace

TEST_CASE("a face that two people read is a baseline at once, or is asked about at once") {
    struct Row {
        const char *face, *outcome;
    };
    const Row rows[] = {
        {"100.00", "100.000"},  // nothing was used
        {"133.00", "133.000"},  // two hours allow 33.12 kWh and a step
        {"133.14", "ask:cap"},  //
        {"99.99", "100.000"},   // one step below is rounding; the total never falls
        {"99.98", "ask:decrease"}, {"99.9", "100.000"},  // the last place of the dial is its
                                                         // tolerance
        {"99", "100.000"},         {"98", "ask:decrease"}, {"0", "ask:decrease"},
    };
    for (const Row& row : rows) {
        INFO(row.face);
        MeterState state = standing_at("100.00");
        CHECK(outcome(read_face(state, row.face, 2, household())) == row.outcome);
        CHECK(state.quarantine.has_value() == (std::string(row.outcome).starts_with("ask")));
    }
}

TEST_CASE("the electronics come back after a reading by eye") {
    struct Row {
        const char *face, *outcome;
    };
    const Row rows[] = {
        {"104.20", "104.200 104.200"},
        {"104.11", "104.200 104.200"},  // within 0.1 below: the dial's total stands
        {"104.09", "held"},             // below it
        {"120.00", "120.000 120.000"},  // an hour allows 16.56
        {"121.00", "held"},
    };
    for (const Row& row : rows) {
        INFO(row.face);
        MeterState state = standing_at("100.00");
        REQUIRE(outcome(read_face(state, "104.2", 2, household())) == "104.200");
        read_sample(state, row.face, 3, household());
        const Verdict second = read_sample(state, row.face, 3, household(), 1'000);
        CHECK(outcome(second) == row.outcome);
        const Verdict third = read_sample(state, row.face, 3, household(), 2'000);
        if (second.held) CHECK(outcome(third) == "ask:manual_differs");
    }
}

TEST_CASE("a release charges what lies above the baseline, and counts on from what lies below") {
    struct Row {
        const char* face;
        bool rebase;
        const char *total, *next;  // of the release, and of one kWh more
        bool rebased;
    };
    const Row rows[] = {
        {"900.00", false, "900.000", "901.000", false},
        {"100.00", false, "100.000", "101.000", false},
        {"3.00", false, "100.000", "101.000", true},
        {"200.00", true, "100.000", "101.000", true},  // the ratio doubled
    };
    for (const Row& row : rows) {
        INFO(row.face);
        MeterState state = standing_at("100.00");
        ReadValue held;
        held.exact = exact(row.face);
        held.register_value = round_to_milli(held.exact).value();
        held.time = at_hour(1);
        const auto released = release(state, held, household(), row.rebase);
        REQUIRE(released);
        CHECK(format(released->value.total) == row.total);
        CHECK(released->rebased == row.rebased);
        CHECK_FALSE(released->first);
        const std::string more = format(held.register_value + Milli{1'000});
        read_sample(state, more, 2, household());
        CHECK(outcome(read_sample(state, more, 3, household())) ==
              std::string(row.next) + " " + row.next);
    }
}

TEST_CASE("a first reading that contradicts its opening register, released on either side") {
    struct Row {
        const char *opening, *face, *total;
        bool rebased;
    };
    const Row rows[] = {
        {"1000", "1500.00", "1500.000", false},  // the difference is charged
        {"1000", "40.00", "40.000", true},       // the opening was wrong and counts for nothing
    };
    for (const Row& row : rows) {
        INFO(row.face);
        MeterTerms terms = household();
        terms.opening_register = exact(row.opening);
        terms.opening_tolerance = Rational{1, 1};
        terms.opening_at = at_hour(0).trusted_utc_ms;
        MeterState state;
        Verdict verdict;
        for (int hour = 1; hour < 4; ++hour) verdict = read_sample(state, row.face, hour, terms);
        REQUIRE(outcome(verdict) == "ask:opening_mismatch");
        const auto released = release(state, verdict.opened->value, terms, false);
        REQUIRE(released);
        CHECK(released->first);
        CHECK(released->rebased == row.rebased);
        CHECK(format(released->value.total) == row.total);
    }
}

TEST_CASE("a rejected value leaves the old baseline, and is asked about again if it stays") {
    MeterState state = standing_at("100.00");
    for (int i = 0; i < 3; ++i) read_sample(state, "9.00", 1, household(), i * 1'000);
    REQUIRE(state.quarantine);
    reject(state);
    CHECK_FALSE(state.quarantine);
    CHECK(format(state.baseline->total) == "100.000");
    read_sample(state, "100.10", 2, household());
    CHECK(outcome(read_sample(state, "100.10", 3, household())) == "100.100 100.100");
    Verdict verdict;
    for (int i = 0; i < 3; ++i) verdict = read_sample(state, "9.00", 4, household(), i * 1'000);
    CHECK(outcome(verdict) == "ask:decrease");
}

TEST_CASE("another ratio in the device, read twice, is held whatever the register says") {
    MeterTerms terms = household();
    terms.device_ratio = Rational{20, 1};
    MeterState state = standing_at("100.00");
    const auto read = [&](std::int64_t hour, const char* face, std::int64_t ratio) {
        Sample sample;
        sample.register_value = exact(face);
        if (ratio != 0) sample.device_ratio = Rational{ratio, 1};
        return outcome(judge(state, sample, at_hour(hour), terms));
    };
    CHECK(read(1, "101.00", 40) == "held");
    SECTION("once is noise") {
        CHECK(read(2, "101.00", 20).empty());
        CHECK(read(3, "101.00", 20) == "101.000 101.000");
    }
    SECTION("twice it is asked about, and the old one resolves it") {
        CHECK(read(2, "101.00", 40) == "ask:multiplier_changed");
        CHECK(read(3, "101.00", 0) == "held");
        CHECK(read(4, "101.00", 20).empty());
        CHECK(read(5, "101.00", 20) == "101.000 101.000");
        CHECK_FALSE(state.quarantine);
    }
}

TEST_CASE("how a serial number is written does not make another meter") {
    struct Row {
        const char *a, *b;
        bool same;
    };
    const Row rows[] = {
        {"18057772", "18057772", true}, {"00018057772", "18057772", true},
        {"ab-0012", "AB 0012", true},   {"18057772", "18057773", false},
        {"A0012", "A012", false},       {"", "0", true},
    };
    for (const Row& row : rows) {
        INFO(row.a << " and " << row.b);
        CHECK(is_same_serial(row.a, row.b) == row.same);
    }
}
