// What a technician asks of one meter: a verdict on a reading, which changes nothing, and the
// meter's own clock.
#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

Sample reading(House& house, const std::string& face) {
    Sample sample;
    sample.meter = "e-103";
    sample.at = {house.engine().snapshot()->run, house.clock.mono, house.clock.wall};
    sample.register_value = *parse_rational(face);
    sample.raw = {1, 2};
    return sample;
}

}  // namespace

TEST_CASE("a reading is judged on a copy: the verdict is the books', and they do not move") {
    House house;
    house.open();
    REQUIRE(house.import(three_homes()).kind == ReplyKind::ok);
    house.settle("e-103", "1000.00");
    house.pass(kHour);
    struct Row {
        const char* face;
        const char* would_be;
    };
    const Row rows[] = {
        {"1000.00", "confirmed"},  // as the sample before it
        {"1000.50", "accepted"},   // the next one confirms it
        {"999.00", "held"},        // lower: later samples decide
        {"5000.00", "held"},       // more than the meter can have counted
    };
    for (const Row& row : rows) {
        INFO(row.face);
        const std::size_t stored = house.readings("e-103").size();
        for (int twice = 0; twice < 2; ++twice) {
            const Reply reply = house.ask(JudgeReading{reading(house, row.face)});
            REQUIRE(reply.kind == ReplyKind::ok);
            CHECK(field(reply.json, "would_be") == row.would_be);
            CHECK(reply.json.find("\"register\":\"1000.000\"") != std::string::npos);
        }
        CHECK(house.readings("e-103").size() == stored);
        CHECK(format(*house.meter("e-103").register_value) == "1000.000");
    }
    Sample early = reading(house, "1000.00");
    early.at.mono_ms -= 2 * kHour;
    CHECK(field(house.ask(JudgeReading{early}).json, "would_be") == "not_later");
    early.meter = "nobody";
    CHECK(house.ask(JudgeReading{early}).kind == ReplyKind::not_found);
    CHECK(house.proof() == "");
}

TEST_CASE("a meter's clock is ordered by staff, under a trusted clock, and logged") {
    House house;
    house.options.trust = EngineOptions::Trust::manual;
    house.open();
    REQUIRE(house.import(three_homes()).kind == ReplyKind::ok);
    CHECK(house.ask(OrderMeterClock{"local", "nobody", "s-01"}).kind == ReplyKind::not_found);
    CHECK(house.ask(OrderMeterClock{"local", "e-103", "x"}).kind == ReplyKind::invalid);
    CHECK(house.ask(OrderMeterClock{"local", "e-103", "s-01"}).kind == ReplyKind::refused);
    CHECK(house.events("meter.clock_ordered").empty());
    REQUIRE(house.ask(ConfirmClock{"local", "s-01"}).kind == ReplyKind::ok);
    const Reply ordered = house.ask(OrderMeterClock{"local", "e-103", "s-01"});
    REQUIRE(ordered.kind == ReplyKind::ok);
    CHECK(field(ordered.json, "offset_ms") == std::to_string(house.clock.wall - house.clock.mono));
    CHECK(house.events("meter.clock_ordered").size() == 1);
    NoteMeterClock note;
    note.meter = "e-103";
    note.by = "s-01";
    note.done = true;
    note.set_to = "2026-11-23 08:00:00";
    REQUIRE(house.ask(note).kind == ReplyKind::ok);
    note.done = false;
    note.reason = "no reply in time";
    REQUIRE(house.ask(note).kind == ReplyKind::ok);
    REQUIRE(house.events("meter.clock_set").size() == 1);
    CHECK(house.events("meter.clock_set").front().body.find("08:00:00") != std::string::npos);
    CHECK(house.events("meter.clock_failed").size() == 1);
    CHECK(house.proof() == "");
}

TEST_CASE("a meter's own calendar is compared with local time, once ours is trusted") {
    House house;
    house.options.trust = EngineOptions::Trust::manual;
    house.open();
    REQUIRE(house.import(three_homes()).kind == ReplyKind::ok);
    const auto poll = [&](std::int64_t calendar_s) {
        Sample sample = reading(house, "1000.00");
        sample.own_clock_s = calendar_s;
        house.engine().sink().sample(sample);
        house.step();
        house.pass(kSecond);
    };
    // 08:00 in Shanghai, as the meter's face shows it two minutes late.
    const std::int64_t face_s = (kMorning + 8 * kHour) / kSecond - 120;
    poll(face_s);
    CHECK_FALSE(house.meter("e-103").clock_drift_s);
    REQUIRE(house.ask(ConfirmClock{"local", "s-01"}).kind == ReplyKind::ok);
    poll(face_s + 1);
    CHECK(house.meter("e-103").clock_drift_s == -120);
    CHECK(house.meter("e-103").clock_read_at == kMorning + kSecond);
}
