// What status says of a line: the cable, the gateway, a second master, or one meter. As a table of
// what was counted and what is to be said.
#include "daemon/core/diagnosis.hpp"

#include "tests/support/catch.hpp"

using namespace gatehouse;

namespace {

struct Counted {
    std::uint64_t ok = 0, timeout = 0, crc = 0, foreign = 0, exception = 0, target = 0, path = 0;
};

ExchangeCounts counts(const Counted& counted) {
    ExchangeCounts all{};
    const auto put = [&](PollResult result, std::uint64_t n) {
        all[static_cast<std::size_t>(result)] = n;
    };
    put(PollResult::ok, counted.ok);
    put(PollResult::timeout, counted.timeout);
    put(PollResult::crc, counted.crc);
    put(PollResult::foreign_frame, counted.foreign);
    put(PollResult::exception, counted.exception);
    put(PollResult::gateway_target, counted.target);
    put(PollResult::gateway_path, counted.path);
    return all;
}

// A bus of meters at the addresses 1, 2, ...; a meter without a good reply is offline.
BusStatus bus_of(const std::vector<Counted>& meters, BusPhase phase = BusPhase::online) {
    BusStatus bus;
    bus.bus = "b2";
    bus.phase = phase;
    bus.reason = phase == BusPhase::offline ? "connection refused" : "";
    for (std::size_t i = 0; i < meters.size(); ++i) {
        MeterLine line;
        line.meter = "m" + std::to_string(i + 1);
        line.address = static_cast<int>(i) + 1;
        line.online = meters[i].ok > 0;
        line.reason = line.online ? "" : "no reply in time";
        line.exchanges = counts(meters[i]);
        for (std::size_t k = 0; k < kPollResults; ++k) bus.exchanges[k] += line.exchanges[k];
        bus.lines.push_back(line);
    }
    return bus;
}

BusDiagnosis said(const BusStatus& bus) {
    return diagnose(bus, RecentCounts().since(bus));
}

bool holds(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a line's fault is told from a meter's") {
    struct Row {
        const char* name;
        std::vector<Counted> meters;
        LineFault fault;
        const char* text;  // part of it; empty: nothing is said
    };
    const Counted good{100};
    const Row rows[] = {
        {"all is well", {good, good, good}, LineFault::none, ""},
        {"two lost replies in a hundred are nothing", {{98, 2}, good}, LineFault::none, ""},
        {"nobody answers", {{0, 9}, {0, 8}, {0, 9}}, LineFault::all_silent, "A and B swapped"},
        {"the gateway answers for them",
         {{0, 0, 0, 0, 0, 9}, {0, 0, 0, 0, 0, 9}},
         LineFault::behind_gateway,
         "the gateway lives and hears no meter"},
        {"the gateway's own line is off",
         {{0, 0, 0, 0, 0, 0, 9}, {0, 0, 0, 0, 0, 0, 9}},
         LineFault::gateway_path,
         "0x0A"},
        {"all replies are damaged",
         {{80, 0, 20}, {85, 0, 15}, {70, 0, 30}},
         LineFault::noise,
         "all meters of b2 have CRC errors (65 of 300 replies): check cable, termination and bias"},
        {"most replies are damaged, one meter is dead",
         {{80, 0, 20}, {85, 0, 15}, {0, 20}},
         LineFault::noise,
         "2 of 3 meters of b2 have CRC errors"},
        {"frames that nobody asked for",
         {{80, 0, 2, 20}, {85, 0, 1, 15}},
         LineFault::foreign,
         "a second master or a duplicate address"},
        {"one is silent",
         {good, good, {0, 9}},
         LineFault::meters,
         "only address 3 (m3) is silent: the meter or its wiring"},
        {"one is silent behind a gateway",
         {good, {0, 0, 0, 0, 0, 9}},
         LineFault::meters,
         "only address 2 (m2) is silent"},
        {"one is damaged", {good, good, good, {60, 0, 40}}, LineFault::meters, "two devices"},
        {"one is answered by somebody else",
         {good, good, good, {60, 0, 0, 40}},
         LineFault::meters,
         "answered by somebody else"},
        {"one refuses everything",
         {good, {0, 0, 0, 0, 9}},
         LineFault::meters,
         "only address 2 (m2) is refusing every reading: the wrong profile?"},
        {"one is unsteady", {good, {60, 40}}, LineFault::meters, "unsteady"},
        {"all are unsteady",
         {{60, 40}, {80, 20}, {70, 30}},
         LineFault::unsteady,
         "3 of 3 meters of b2 leave questions without a reply (90 of 300): the cable or the "
         "gateway rather than a meter"},
        {"two things at once",
         {good, good, good, {0, 9}, {60, 40}},
         LineFault::meters,
         "only address 4 (m4) is silent: the meter or its wiring; only address 5 (m5) is unsteady"},
        {"no meter at all", {}, LineFault::none, ""},
    };
    for (const Row& row : rows) {
        INFO(row.name);
        const BusDiagnosis diagnosis = said(bus_of(row.meters));
        INFO(diagnosis.text);
        CHECK(std::string(to_string(diagnosis.fault)) == to_string(row.fault));
        CHECK(holds(diagnosis.text, row.text));
        CHECK(diagnosis.text.empty() == std::string(row.text).empty());
        REQUIRE(diagnosis.meters.size() == row.meters.size());
    }
}

TEST_CASE("a bus that cannot be opened says why, and its meters nothing") {
    const BusDiagnosis diagnosis = said(bus_of({{0, 9}, {100}}, BusPhase::offline));
    CHECK(diagnosis.fault == LineFault::offline);
    CHECK(diagnosis.text == "the bus is offline: connection refused");
    for (const MeterDiagnosis& meter : diagnosis.meters) CHECK(meter.fault == MeterFault::none);
}

TEST_CASE("what is set aside is named with its reason") {
    BusStatus bus = bus_of({{100}, {100}});
    bus.lines[1].set_aside.push_back({4, 88, 2, "exception 2: illegal data address", 0, 0});
    const BusDiagnosis diagnosis = said(bus);
    CHECK(diagnosis.fault == LineFault::meters);
    CHECK(diagnosis.meters[1].fault == MeterFault::set_aside);
    CHECK(diagnosis.meters[1].text ==
          "reads without register 88 of function 4: exception 2: illegal data address");
}

TEST_CASE("many meters of one kind are counted, not listed") {
    std::vector<Counted> meters(30, Counted{100});
    for (std::size_t i = 0; i < 6; ++i) meters[i] = {0, 9};
    const BusDiagnosis diagnosis = said(bus_of(meters));
    CHECK(holds(diagnosis.text, "1 (m1), 2 (m2), 3 (m3), 4 (m4) and 2 more are silent"));
}

TEST_CASE("a fault that is mended leaves the diagnosis within two windows") {
    RecentCounts recent;
    BusStatus bus = bus_of({{100, 0, 50}, {100, 0, 50}});
    recent.note({bus}, 0);
    const auto poll = [&] {
        for (MeterLine& line : bus.lines) line.exchanges[0] += 60;
        bus.exchanges[0] += 120;
    };
    // Before the window is over everything since the first state counts: nothing bad since then.
    poll();
    CHECK(diagnose(bus, recent.since(bus)).fault == LineFault::none);
    for (MeterLine& line : bus.lines) {
        line.exchanges[static_cast<std::size_t>(PollResult::crc)] += 40;
    }
    CHECK(diagnose(bus, recent.since(bus)).fault == LineFault::noise);
    CHECK_FALSE(recent.due(RecentCounts::kWindowMs - 1));
    recent.note({bus}, RecentCounts::kWindowMs);
    poll();
    CHECK(diagnose(bus, recent.since(bus)).fault == LineFault::noise);
    recent.note({bus}, 2 * RecentCounts::kWindowMs);
    poll();
    CHECK(diagnose(bus, recent.since(bus)).fault == LineFault::none);
    // A bus that was changed counts from zero, and a meter that is new counts whole.
    BusStatus fresh = bus_of({{3}, {5, 0, 5}});
    fresh.lines[1].meter = "new";
    const RecentExchanges since = recent.since(fresh);
    CHECK(since.meters.at("m1")[0] == 3);
    CHECK(since.meters.at("new")[0] == 5);
}

TEST_CASE("a meter that answers without a reading is named, as long as its last poll had none") {
    BusStatus bus = bus_of({{60}, {60}});
    bus.lines[1].exchanges[static_cast<std::size_t>(PollResult::sentinel)] = 20;
    bus.lines[1].reason = "the billing register holds no reading: 7FC0 0000 f32 not a number";
    const BusDiagnosis diagnosis = said(bus);
    CHECK(diagnosis.meters.at(0).fault == MeterFault::none);
    CHECK(diagnosis.meters.at(1).fault == MeterFault::valueless);
    CHECK(holds(diagnosis.meters.at(1).text, "7FC0 0000"));
    CHECK(holds(diagnosis.text, "only address 2 (m2) is without a reading"));
    bus.lines[1].reason.clear();
    CHECK(said(bus).fault == LineFault::none);
}
