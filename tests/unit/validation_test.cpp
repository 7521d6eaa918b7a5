// Validation: what is booked of what a noisy wire says. The tables read minute by minute: what the
// meter showed, and what was confirmed on hearing it.
#include "daemon/core/validation.hpp"

#include "tests/support/catch.hpp"

using namespace gatehouse;

namespace {

constexpr std::int64_t kMinuteMs = 60'000;

Rational exact(const std::string& decimal) {
    return parse_rational(decimal).value();
}

MeterTerms household() {  // 5(60) A, single phase, 0.01 kWh: at most 0.276 kWh a minute and a step
    MeterTerms terms;
    terms.traits.change().step = Rational{1, 100};
    terms.traits.change().rated_amps = Rational{60, 1};
    return terms;
}

SampleTime at_minute(std::int64_t minute, std::int64_t run = 1) {
    return {run, minute * kMinuteMs, 1'800'000'000'000 + minute * kMinuteMs};
}

Sample sample_of(const std::string& face, const SampleTime& time) {
    Sample sample;
    sample.register_value = exact(face);
    sample.at = {time.run, time.mono_ms, time.trusted_utc_ms.value_or(0)};
    for (const char c : face) sample.raw.push_back(static_cast<std::uint16_t>(c));
    return sample;
}

// What one verdict says, in words.
std::string words(const Verdict& verdict) {
    std::string text;
    const auto say = [&](const std::string& word) { text += (text.empty() ? "" : " ") + word; };
    for (const Confirmed& confirmed : verdict.confirmed) {
        say(format(confirmed.value.total) + (confirmed.rollover ? "(rollover)" : ""));
    }
    if (verdict.opened) say(std::string("ask:") + to_string(verdict.opened->reason));
    if (verdict.quarantine_resolved) say("resolved");
    if (verdict.rejected > 0) say("rejected:" + std::to_string(verdict.rejected));
    if (verdict.duplicate) say("duplicate");
    if (verdict.held) say("held");
    return text;
}

struct Row {
    std::int64_t minute;
    const char* shows;
    const char* outcome;  // totals that became confirmed, and what else happened; "" is: it waits
};

void play(MeterState& state, const MeterTerms& terms, const std::vector<Row>& rows,
          std::int64_t run = 1) {
    for (const Row& row : rows) {
        const SampleTime time = at_minute(row.minute, run);
        const Verdict verdict = judge(state, sample_of(row.shows, time), time, terms);
        INFO("minute " << row.minute << " shows " << row.shows << "; " << verdict.reason);
        CHECK(words(verdict) == row.outcome);
    }
}

LastReading stored(const char* face, const SampleTime& time) {
    LastReading reading;
    reading.exact = exact(face);
    reading.register_value = reading.figure = reading.total =
        round_to_milli(*reading.exact).value();
    reading.time = reading.moved_at = time;
    return reading;
}

}  // namespace

TEST_CASE("the first confirmed reading is the baseline, and each is confirmed by the next") {
    MeterState state;
    play(state, household(),
         {{0, "100.00", ""},
          {1, "100.10", "100.000"},
          {2, "100.20", "100.100"},
          {3, "100.20", "100.200 100.200"},  // equal: both
          {4, "100.20", "100.200"},
          {5, "100.30", ""},
          {6, "100.30", "100.300 100.300"}});
    CHECK_FALSE(state.has_pending());
}

TEST_CASE("a foreign value is no first reading, however long the meter is silent after it") {
    // Of 1,000,000 exchanges one pair: a foreign 0, twenty hours of silence, the meter's own word.
    MeterState state;
    play(state, household(),
         {{0, "0.00", ""}, {1200, "250.00", ""}, {1201, "250.10", "250.000 rejected:1"}});
    // What an hour can have used is believed after any silence: 16.56 kWh and a step.
    MeterState slow;
    play(slow, household(), {{0, "100.00", ""}, {1200, "116.57", "100.000"}});
    MeterState fast;
    play(fast, household(), {{0, "100.00", ""}, {1200, "116.58", ""}});
}

TEST_CASE("a first reading asks for its second at once, once") {
    MeterState state;
    Sample sample = sample_of("5.00", at_minute(0));
    const Verdict verdict = judge(state, sample, at_minute(0), household());
    CHECK(verdict.wants_second);
    CHECK(state.has_pending());
    sample.confirming = true;
    const SampleTime soon{1, 200, std::nullopt};
    const Verdict second = judge(state, sample, soon, household());
    REQUIRE(second.confirmed.size() == 2);
    CHECK(second.confirmed[0].first);
    CHECK_FALSE(second.confirmed[1].first);
    CHECK_FALSE(second.wants_second);
    CHECK(state.baseline->time == soon);
    CHECK(state.baseline->moved_at == at_minute(0));
}

TEST_CASE("zeros alone are a first reading only when three samples say so") {
    struct Blank {
        std::int64_t minute;
        const char* shows;
        bool asks_again;
        const char* outcome;
    };
    const auto play_raw = [](const std::vector<Blank>& rows) {
        MeterState state;
        for (const Blank& row : rows) {
            const SampleTime time = at_minute(row.minute);
            Sample sample = sample_of(row.shows, time);
            sample.confirming = row.minute > 0;  // each is the exchange that the one before wanted
            if (exact(row.shows).numerator == 0) sample.raw = {0, 0};
            const Verdict verdict = judge(state, sample, time, household());
            INFO("minute " << row.minute << " shows " << row.shows << "; " << verdict.reason);
            CHECK(words(verdict) == row.outcome);
            CHECK(verdict.wants_second == row.asks_again);
        }
    };
    SECTION("seed 3998132298: two foreign frames of zeros behind a gateway") {
        play_raw({{0, "0", true, ""},
                  {1, "0", true, ""},
                  {2, "4711.50", false, ""},
                  {3, "4711.50", false, "4711.500 4711.500 rejected:1"}});
    }
    SECTION("a new meter stands at zero, and is told so at once") {
        play_raw({{0, "0", true, ""},
                  {1, "0", true, ""},
                  {2, "0", false, "0.000 0.000"},
                  {3, "0.01", false, ""},
                  {4, "0.01", false, "0.010 0.010"}});
    }
    SECTION("what stands between parts them") {
        play_raw({{0, "0", true, ""},
                  {1, "0", true, ""},
                  {2, "4711.50", false, ""},
                  {3, "0", true, ""},
                  {4, "0", true, ""},
                  {5, "4711.50", false, ""}});
    }
}

TEST_CASE("single wrong values cost nothing and reject themselves") {
    MeterState state;
    play(state, household(), {{0, "5000.00", ""}, {1, "5000.00", "5000.000 5000.000"}});
    SECTION("a spike") {
        play(state, household(),
             {{2, "9113.00", "held"}, {3, "5000.10", ""}, {4, "5000.20", "5000.100 rejected:1"}});
    }
    SECTION("a zero after the meter rebooted") {
        play(state, household(),
             {{2, "0.00", "held"},
              {3, "5000.10", ""},
              {4, "5000.10", "5000.100 5000.100 rejected:1"}});
    }
    SECTION("a torn 32-bit read, 655.36 too high") {
        play(state, household(),
             {{2, "5655.36", "held"},
              {3, "5000.05", ""},
              {4, "5000.05", "5000.050 5000.050 rejected:1"}});
    }
    SECTION("a spike within the cap, then the truth below it") {
        play(state, household(),
             {{2, "5000.25", ""}, {3, "5000.05", ""}, {4, "5000.10", "5000.050 rejected:1"}});
    }
    SECTION("a held value parts its neighbours") {
        play(state, household(),
             {{2, "5000.05", ""},
              {3, "1.00", "held"},
              {4, "5000.10", ""},
              {5, "5000.12", "5000.100 rejected:1"}});
    }
    SECTION("two different wrong ones with the truth between") {
        play(state, household(),
             {{2, "5000.20", ""},
              {3, "5000.05", ""},
              {4, "5000.20", "5000.050 rejected:1"},
              {5, "5000.06", ""},
              {6, "5000.07", "5000.060 rejected:1"}});
    }
}

TEST_CASE("V10: forty kWh in a quarter of an hour costs nothing until staff decide") {
    MeterState state;
    play(state, household(),
         {{0, "100.00", ""},
          {15, "100.00", "100.000 100.000"},
          {30, "140.00", "held"},
          {45, "140.10", "held"},
          {60, "140.20", "ask:cap held"},
          {75, "140.30", "held"},
          {76, "140.10", "held"},    // lower, but not below what staff were asked about
          {2000, "141.00", "held"},  // by now the cap would let it through; staff were asked
          {2001, "141.10", "held"}});
    CHECK(state.held_total() == Milli{141'100});
    CHECK(state.baseline->total == Milli{100'000});
}

TEST_CASE("a quarantine resolves itself when the old baseline answers twice again") {
    MeterState state;
    play(state, household(),
         {{0, "500.00", ""},
          {1, "500.00", "500.000 500.000"},
          {2, "0.00", "held"},
          {3, "0.00", "held"},
          {4, "0.00", "ask:decrease held"},
          {5, "0.00", "held"},
          {6, "500.10", ""},
          {7, "0.00", "held"},  // not yet: parted
          {8, "500.20", ""},
          {9, "500.20", "500.200 500.200 resolved rejected:5"},
          {10, "500.20", "500.200"}});
}

TEST_CASE("a fall that goes back in one step never was one, whatever the rating lets through") {
    MeterTerms terms = household();
    terms.traits.change().rated_amps = Rational{10'000'000, 1};
    MeterState state;
    play(state, terms,
         {{0, "300.00", ""},
          {1, "300.00", "300.000 300.000"},
          {2, "10.00", "held"},
          {3, "10.00", "held"},
          {4, "10.00", "ask:decrease held"}});
    SECTION("the old meter answers again") {
        play(state, terms,
             {{5, "300.50", ""}, {6, "300.50", "300.500 300.500 resolved rejected:3"}});
    }
    SECTION("another meter counts its way up and passes the baseline") {
        play(state, terms,
             {{5, "100.00", "held"},
              {6, "200.00", "held"},
              {7, "299.00", "held"},
              {8, "301.00", "held"},
              {9, "302.00", "held"}});
    }
}

TEST_CASE("an open quarantine stays open over a restart, and is not asked about twice") {
    MeterState before;
    play(before, household(),
         {{0, "100.00", ""},
          {1, "100.00", "100.000 100.000"},
          {2, "140.00", "held"},
          {3, "140.00", "held"}});
    const SampleTime time = at_minute(4);
    const Verdict verdict = judge(before, sample_of("140.00", time), time, household());
    REQUIRE(verdict.opened);
    MeterState after = restore(stored("100.00", at_minute(1)));
    restore_quarantine(after, *verdict.opened);
    play(after, household(), {{600, "140.50", "held"}, {601, "140.60", "held"}}, 2);
    CHECK(after.held_total() == Milli{140'600});
}

TEST_CASE("V9: a register passes its end") {
    MeterTerms terms = household();
    terms.traits.change().rollover = Rational{1'000'000, 1};
    MeterState state = restore(stored("999999.50", at_minute(0)));
    SECTION("and 0.80 kWh are charged") {
        play(state, terms,
             {{10, "0.30", ""},
              {11, "0.40", "1000000.300(rollover)"},
              {12, "0.40", "1000000.400 1000000.400"}});
        CHECK(state.base.base_total == Milli{1'000'000'300});
        CHECK(state.base.base_figure == Milli{300});
    }
    SECTION("with both samples alike") {
        play(state, terms,
             {{10, "0.30", ""},
              {11, "0.30", "1000000.300(rollover) 1000000.300"},
              {12, "0.35", ""},
              {13, "0.35", "1000000.350 1000000.350"}});
    }
    SECTION("but a zero from a rebooted meter is none, once the truth speaks") {
        play(state, terms,
             {{10, "0.00", ""},
              {11, "999999.60", ""},
              {12, "999999.60", "999999.600 999999.600 rejected:1"}});
    }
    SECTION("and far from the end a fall is a fall") {
        MeterState half = restore(stored("500000.00", at_minute(0)));
        play(half, terms, {{10, "0.30", "held"}});
    }
}

TEST_CASE("an opening register is charged up to the first reading, within reason") {
    MeterTerms terms = household();
    terms.opening_register = exact("100");
    terms.opening_tolerance = typed_tolerance("100", terms.traits->step).value();
    MeterState state;
    SECTION("no date: one day's cap of 397.44 kWh and a step") {
        play(state, terms, {{0, "497.45", ""}, {1, "497.45", "497.450 497.450"}});
    }
    SECTION("beyond it staff are asked") {
        play(state, terms,
             {{0, "497.46", "held"},
              {1, "497.46", "held"},
              {2, "497.46", "ask:opening_mismatch held"}});
        CHECK(state.held_total() == Milli{497'460});
        SECTION("and a corrected registry answers them") {
            terms.opening_register = exact("497");
            play(state, terms,
                 {{3, "497.46", "resolved"}, {4, "497.46", "497.460 497.460 rejected:3"}});
        }
    }
    SECTION("below it too") {
        play(state, terms,
             {{0, "12.00", "held"},
              {1, "12.00", "held"},
              {2, "12.00", "ask:opening_mismatch held"}});
    }
    SECTION("less than the last typed place below counts as equal, and total never falls") {
        play(state, terms, {{0, "99.40", ""}, {1, "99.50", "100.000"}, {2, "100.10", "held"}});
    }
    SECTION("with a date: what passed since") {
        terms.opening_at = at_minute(0).trusted_utc_ms;
        play(state, terms, {{60, "116.57", ""}, {61, "116.57", "116.570 116.570"}});
        MeterState other;
        play(other, terms, {{60, "116.58", "held"}});
        MeterState early;
        play(early, terms, {{-60, "101.00", "held"}});
    }
    SECTION("with a multiplier") {
        terms.multiplier = Rational{40, 1};
        play(state, terms, {{0, "100.50", ""}, {1, "100.50", "4020.000 4020.000"}});
    }
}

TEST_CASE("after a restart totals go on to the thousandth") {
    MeterTerms terms = household();
    terms.multiplier = Rational{40, 1};
    MeterState running;
    MeterState restarted;
    Rational face = exact("10.0003");
    std::optional<LastReading> last;
    int compared = 0;
    for (std::int64_t minute = 0; minute < 200; ++minute) {
        const SampleTime time = at_minute(minute);
        Sample sample = sample_of("0", time);
        sample.register_value = face;
        const Verdict a = judge(running, sample, time, terms);
        const Verdict b = judge(restarted, sample, time, terms);
        REQUIRE(a.confirmed.size() == b.confirmed.size());
        for (std::size_t i = 0; i < a.confirmed.size(); ++i) {
            CHECK(a.confirmed[i].value.total == b.confirmed[i].value.total);
            ++compared;
        }
        if (!b.confirmed.empty()) {
            const Confirmed& newest = b.confirmed.back();
            const ReadValue& value = newest.value;
            last = LastReading{value.exact, value.register_value, value.figure,    value.total,
                               value.time,  newest.moved_at,      terms.multiplier};
        }
        if (last) {
            // Killed after every sample; every other time the store kept no exact register.
            LastReading kept = *last;
            if (minute % 2 == 0) kept.exact.reset();
            const auto pending = restarted.neighbour;
            restarted = restore(kept);
            restarted.neighbour = pending;
        }
        face = add(face, Rational{minute % 7 * 37, 30'000}).value();
    }
    CHECK(compared >= 190);
}

TEST_CASE("after a restart the time that passed decides, and unknown time holds") {
    MeterState state = restore(stored("100.00", at_minute(0)));
    SECTION("both clocks trusted") {
        play(state, household(), {{600, "110.00", ""}, {601, "110.00", "110.000 110.000"}}, 2);
    }
    SECTION("not trusted: held, without asking anybody, until it has surely passed") {
        for (int minute = 0; minute < 45; ++minute) {
            const SampleTime time{2, minute * kMinuteMs, std::nullopt};
            const Verdict verdict = judge(state, sample_of("110.00", time), time, household());
            INFO("minute " << minute);
            CHECK_FALSE(verdict.opened);
            // 10 kWh at 1.2 x 13.8 kW take 36.2 minutes.
            CHECK(verdict.held == (minute < 37));
            CHECK(verdict.confirmed.empty() == (minute < 38));
        }
    }
    SECTION("not trusted, and more than a day of this run explains: staff are asked") {
        // A day at 1.2 x 13.8 kW are 397.44 kWh.
        for (int hour = 0; hour <= 26; ++hour) {
            const SampleTime time{2, hour * 60 * kMinuteMs, std::nullopt};
            const Verdict verdict = judge(state, sample_of("600.00", time), time, household());
            INFO("hour " << hour);
            CHECK(verdict.held);
            // The third that agrees, a day after the first sample of the run.
            CHECK(verdict.opened.has_value() == (hour == 26));
        }
    }
    SECTION("a register that stood still needs no time") {
        const SampleTime time{2, 0, std::nullopt};
        CHECK_FALSE(judge(state, sample_of("100.00", time), time, household()).held);
    }
}

TEST_CASE("a sample not later than the last one is dropped") {
    MeterState state;
    play(state, household(),
         {{5, "1.00", ""},
          {5, "1.00", "duplicate"},
          {4, "1.00", "duplicate"},
          {6, "1.00", "1.000 1.000"}});
    // But the second exchange that was asked for is another, however fast the line.
    MeterState fast;
    Sample sample = sample_of("1.00", at_minute(5));
    CHECK(words(judge(fast, sample, at_minute(5), household())).empty());
    sample.confirming = true;
    CHECK(words(judge(fast, sample, at_minute(5), household())) == "1.000 1.000");
}

TEST_CASE("another serial number, read twice, is another meter") {
    MeterTerms terms = household();
    terms.serial = "A1";
    MeterState state = restore(stored("100.00", at_minute(0)));
    const auto read = [&](std::int64_t minute, const char* face, const char* serial) {
        Sample sample = sample_of(face, at_minute(minute));
        if (serial != nullptr) sample.serial = serial;
        return judge(state, sample, at_minute(minute), terms);
    };
    const Verdict once = read(1, "100.00", "B2");
    CHECK(once.held);
    CHECK(once.wants_second);
    CHECK_FALSE(once.opened);
    SECTION("once is noise when the right one follows") {
        CHECK_FALSE(read(2, "100.10", "A1").held);
        CHECK(words(read(3, "100.10", nullptr)) == "100.100 100.100 rejected:1");
    }
    SECTION("once is forgotten when no serial number is read any more") {
        for (int i = 0; i < 16; ++i) CHECK(read(2 + i, "100.00", nullptr).held);
        CHECK_FALSE(read(18, "100.00", nullptr).held);
    }
    SECTION("twice asks, once, and holds whatever the register says") {
        CHECK(words(read(2, "100.10", "B2")) == "ask:serial_changed held");
        for (int i = 0; i < 40; ++i) CHECK(words(read(3 + i, "100.20", nullptr)) == "held");
        CHECK(words(read(50, "100.20", "A1")) == "");  // plugged back
        CHECK(words(read(51, "100.20", "A1")) == "100.200 100.200 resolved rejected:42");
    }
}

TEST_CASE("a profile in conflict charges nothing until a face was confirmed") {
    MeterTerms terms = household();
    terms.traits.change().status = MapStatus::conflict;
    MeterState state;
    play(state, terms,
         {{0, "7.00", "held"},
          {1, "7.00", "held"},
          {2, "7.10", "ask:conflict_profile held"},
          {3, "7.10", "held"}});
    state.face_confirmed = true;
    play(state, terms, {{4, "7.20", ""}, {5, "7.20", "7.200 7.200 resolved rejected:4"}});
}

TEST_CASE("stuck is a flag where power flows and the words do not move") {
    MeterTerms terms = household();
    MeterState state;
    const auto read = [&](std::int64_t minute, const char* face, std::optional<std::int64_t> mw) {
        Sample sample = sample_of(face, at_minute(minute));
        sample.power_milliwatt = mw;
        return judge(state, sample, at_minute(minute), terms);
    };
    SECTION("three steps of 0.01 kWh at 2 kW pass in a minute; ten minutes must too") {
        for (int minute = 0; minute < 10; ++minute)
            CHECK_FALSE(read(minute, "5.00", 2'000'000).stuck);
        const Verdict verdict = read(10, "5.00", 2'000'000);
        CHECK(verdict.stuck);
        CHECK(verdict.stuck_changed);
        CHECK_FALSE(verdict.held);
        CHECK_FALSE(read(11, "5.00", 2'000'000).stuck_changed);
        const Verdict moved = read(12, "5.01", 2'000'000);
        CHECK_FALSE(moved.stuck);
        CHECK(moved.stuck_changed);
    }
    SECTION("no power read, no flag") {
        for (int minute = 0; minute < 60; ++minute) CHECK_FALSE(read(minute, "5.00", {}).stuck);
    }
    SECTION("a load that was switched on just now proves nothing") {
        for (int minute = 0; minute < 600; ++minute) CHECK_FALSE(read(minute, "5.00", 0).stuck);
        CHECK_FALSE(read(600, "5.00", 3'000'000).stuck);
    }
}

TEST_CASE("a changed multiplier goes on from the same total") {
    MeterTerms terms = household();
    MeterState state = restore(stored("100.00", at_minute(0)));
    terms.multiplier = Rational{40, 1};
    play(state, terms, {{1, "100.10", ""}, {2, "100.10", "104.000 104.000"}});
}

TEST_CASE("a register beyond what can be counted is no reading") {
    MeterTerms terms = household();
    terms.multiplier = Rational{1'000'000, 1};
    MeterState state;
    play(state, terms, {{0, "999999999999999999", "rejected:1 held"}, {1, "1.00", ""}});
}

TEST_CASE("pulses become the dial with the offset that was paired") {
    MeterTerms terms = household();
    terms.offset = exact("23.5");
    terms.traits.change().rollover = Rational{1000, 1};
    MeterState state;
    play(state, terms,
         {{0, "999.90", ""},
          {1, "999.90", "1023.400 1023.400"},
          {2, "0.05", ""},
          {3, "0.05", "1023.550(rollover) 1023.550"}});
}

TEST_CASE("terms come from registry and profile together") {
    class Utc : public Zone {
      public:
        [[nodiscard]] LocalTime local(UtcMs at) const override {
            return {date_from_days(at / 86'400'000), static_cast<int>(at % 86'400'000), 0};
        }
        [[nodiscard]] UtcMs midnight(LocalDate date) const override {
            return days_since_epoch(date) * 86'400'000;
        }
    } zone;
    Meter meter;
    meter.multiplier = "40";
    meter.rated_amps = "6";
    meter.opening_register = "12.5";
    meter.opening_at = "2026-01-01";
    meter.serial = "A1";
    MeterTraits profile;
    const auto terms = make_terms(meter, profile, zone);
    REQUIRE(terms);
    CHECK((compare(terms->multiplier, {40, 1}) == 0));
    CHECK((compare(*terms->traits->rated_amps, {6, 1}) == 0));
    // A rating that is known already makes no traits of its own.
    CHECK(&*make_terms(meter, terms->traits, zone)->traits == &*terms->traits);
    CHECK((compare(terms->opening_tolerance, {1, 10}) == 0));
    CHECK(terms->opening_at == days_since_epoch({2026, 1, 1}) * 86'400'000);
    CHECK_FALSE(terms->serial);  // the profile reads none
    profile.reads_serial = true;
    CHECK(make_terms(meter, profile, zone)->serial == "A1");
    for (const char* bad : {"", "0", "-1", "x"}) {
        Meter broken = meter;
        broken.multiplier = bad;
        CHECK_FALSE(make_terms(broken, profile, zone));
    }
    meter.opening_at = "soon";
    CHECK_FALSE(make_terms(meter, profile, zone));
}

TEST_CASE("quarantine reasons have the contract's words") {
    CHECK(parse_quarantine_reason("opening_mismatch") == QuarantineReason::opening_mismatch);
    CHECK(parse_quarantine_reason("manual_differs") == QuarantineReason::manual_differs);
    CHECK_FALSE(parse_quarantine_reason("because"));
}
