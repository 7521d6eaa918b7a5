// Buses over HTTP: the search for meters, what status and metrics say of a line, and the verdict on
// a reading.
#include <string>

#include "daemon/engine/key_room.hpp"
#include "tests/integration/http/http_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

http::ScanDevice device(int address, const std::string& profile, const std::string& match) {
    http::ScanDevice made;
    made.address = address;
    if (!profile.empty()) {
        http::ScanCandidate candidate;
        candidate.profile = profile;
        candidate.service = profile == "arad-octave" ? "water" : "electricity";
        candidate.match = match;
        made.candidates.push_back(candidate);
    }
    made.duplicate = "none";
    return made;
}

bool holds(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a scan is begun, followed and ended, and prints lines that can be imported") {
    HttpHouse house;
    REQUIRE(house.ask("GET", "/api/v1/buses/b1/scan").status == 404);
    REQUIRE(house.ask("DELETE", "/api/v1/buses/b1/scan").status == 404);
    http::ScanView& view = house.commissioning.view;
    view.state = "running";
    view.percent = 42;
    view.left_ms = 9'000;
    view.devices = {
        device(1, "eastron-sdm120", "certain"),  device(2, "arad-octave", "likely"),
        device(3, "eastron-sdm630", "possible"), device(4, "", ""),
        device(5, "eastron-sdm120", "certain"),  device(6, "eastron-sdm120", "certain"),
        device(7, "wirenboard-mwac2", "likely"), device(8, "eastron-sdm120", "certain")};
    view.devices[0].serial = "12,5";
    view.devices[2].candidates.push_back(view.devices[2].candidates.front());
    view.devices[4].meters = {"e-0"};
    view.devices[5].duplicate = "certain";
    view.devices[5].duplicate_why = "different serial numbers answered in turn: 1, 2";
    view.devices[6].candidates.front().channels = 2;
    view.devices[7].own_line = false;
    const Got begun = house.ask("POST", "/api/v1/buses/b1/scan", R"({"from":1,"to":20})");
    REQUIRE(begun.status == 202);
    REQUIRE(begun.header("Location") == "/api/v1/buses/b1/scan");
    REQUIRE(house.commissioning.asked.at(0).to == 20);
    REQUIRE_FALSE(house.commissioning.asked.at(0).own_settings);
    const Got running = house.ask("GET", "/api/v1/buses/b1/scan");
    REQUIRE(running.status == 200);
    REQUIRE(at(running.body, "/percent") == "42");
    REQUIRE(at(running.body, "/left_ms") == "9000");
    REQUIRE(at(running.body, "/registry").empty());

    view.state = "done";
    const Got done = house.ask("GET", "/api/v1/buses/b1/scan");
    REQUIRE(at(done.body, "/found") == "8");
    REQUIRE(at(done.body, "/devices/5/duplicate/verdict") == "certain");
    REQUIRE(at(done.body, "/registry") ==
            "meter,unit,service,role,bus,address,channel,profile,serial\r\n"
            "b1-1,,electricity,check,b1,1,,eastron-sdm120,\"12,5\"\r\n"
            "b1-2,,water,check,b1,2,,arad-octave,\r\n"
            "b1-7-0,,electricity,check,b1,7,0,wirenboard-mwac2,\r\n"
            "b1-7-1,,electricity,check,b1,7,1,wirenboard-mwac2,\r\n");
    const Got ended = house.ask("DELETE", "/api/v1/buses/b1/scan");
    REQUIRE(at(ended.body, "/state") == "cancelled");
}

TEST_CASE("what a scan cannot do is said with value and remedy") {
    HttpHouse house;
    struct Row {
        const char* body;
        int status;
        const char* pointer;
    };
    const Row rows[] = {
        {R"({"from":0})", 422, "/from"},
        {R"({"to":248})", 422, "/to"},
        {R"({"from":9,"to":8})", 422, "/from"},
        {R"({"from":"1"})", 422, "/from"},
        {R"({"own_settings":1})", 422, "/own_settings"},
        {R"({"baud":9600})", 422, "/baud"},
        {R"({"from":1.5})", 422, "/from"},
        {"", 202, ""},
    };
    for (const Row& row : rows) {
        INFO(row.body);
        const Got got = house.ask("POST", "/api/v1/buses/b1/scan", row.body);
        REQUIRE(got.status == row.status);
        if (row.status == 422) REQUIRE(at(got.body, "/errors/0/pointer") == row.pointer);
    }
    using Started = http::Commissioning::Started;
    for (const auto& [answer, status] :
         {std::pair{Started::no_such_bus, 404}, std::pair{Started::runs_already, 409},
          std::pair{Started::not_now, 503}}) {
        house.commissioning.answer = answer;
        REQUIRE(house.ask("POST", "/api/v1/buses/b1/scan").status == status);
    }
}

TEST_CASE("status says what is wrong with a line, and metrics keep households out") {
    HouseOptions options;
    options.metrics_meters = true;
    HttpHouse house(options);
    BusStatus& bus = house.status.all.front();
    bus.turnaround_p50_us = 20'500;
    bus.turnaround_p99_us = 61'000;
    for (const std::int64_t us : {900, 20'500, 61'000, 61'000, 9'000'000})
        bus.response_times.add(us);
    for (int i = 0; i < 2; ++i) {
        MeterLine line;
        line.meter = "e-" + std::to_string(i);
        line.address = i + 1;
        line.online = true;
        line.exchanges[static_cast<std::size_t>(PollResult::ok)] = 80;
        line.exchanges[static_cast<std::size_t>(PollResult::crc)] = 20;
        line.turnaround_p50_us = 20'500;
        line.last_good_mono_ms = house.clock.mono_ms();
        bus.lines.push_back(line);
    }
    bus.exchanges[static_cast<std::size_t>(PollResult::crc)] = 40;
    bus.lines[1].set_aside.push_back({4, 88, 2, "exception 2: illegal data address", 0, 0});
    const std::string status = house.ask("GET", "/api/v1/status").body;
    REQUIRE(at(status, "/buses/0/fault") == "noise");
    REQUIRE(holds(at(status, "/buses/0/diagnosis"), "check cable, termination and bias"));
    REQUIRE(at(status, "/buses/0/turnaround_p99_ms") == "61.000");
    REQUIRE(at(status, "/buses/0/lines/1/set_aside/0/register") == "88");
    REQUIRE(at(status, "/buses/0/lines/1/exchanges/crc") == "20");
    const std::string brief = house.ask("GET", "/api/v1/status?brief=1").body;
    REQUIRE(at(brief, "/buses/0/fault") == "noise");
    REQUIRE(at(brief, "/buses/0/lines") == "(absent)");
    const std::string metrics = house.ask("GET", "/metrics").body;
    REQUIRE(holds(metrics, "gatehouse_bus_fault{bus=\"b1\",fault=\"noise\"} 1\n"));
    for (const char* line :
         {"_bucket{bus=\"b1\",le=\"0.001\"} 1\n", "_bucket{bus=\"b1\",le=\"0.025\"} 2\n",
          "_bucket{bus=\"b1\",le=\"0.05\"} 2\n", "_bucket{bus=\"b1\",le=\"0.1\"} 4\n",
          "_bucket{bus=\"b1\",le=\"5\"} 4\n", "_bucket{bus=\"b1\",le=\"+Inf\"} 5\n",
          "_sum{bus=\"b1\"} 9.143400\n", "_count{bus=\"b1\"} 5\n"}) {
        INFO(line);
        CHECK(holds(metrics, std::string("gatehouse_modbus_response_seconds") + line));
    }
    REQUIRE(holds(metrics, "gatehouse_bus_registers_set_aside{bus=\"b1\"} 1\n"));
    REQUIRE(holds(metrics,
                  "gatehouse_meter_requests_total{bus=\"b1\",meter=\"e-1\",result=\"crc\"} 20\n"));
    REQUIRE_FALSE(holds(metrics, "h-0"));
}

TEST_CASE("without metrics_meters no series names a meter") {
    HttpHouse house;
    house.status.all.front().lines.push_back({});
    house.status.all.front().lines.front().meter = "e-0";
    REQUIRE_FALSE(holds(house.ask("GET", "/metrics").body, "e-0"));
}

TEST_CASE("a reading at once carries a verdict, of its values and of the books") {
    HttpHouse house;
    http::MeterReadOutcome outcome;
    outcome.result = PollResult::ok;
    Sample sample;
    sample.meter = "e-0";
    sample.register_value = Rational{42, 1};
    outcome.sample = sample;
    outcome.findings = {"voltage_l1 is 2300 V, which no mains has"};
    outcome.alternatives = {{"voltage_l1", "scale x 0.1", "230 V"}};
    house.meters.outcome = outcome;
    house.engine.script = [](const Command& command) {
        REQUIRE(std::holds_alternative<JudgeReading>(command));
        return Reply{ReplyKind::ok, R"({"would_be":"quarantined"})", {}, {}, {}};
    };
    const Got judged = house.ask("POST", "/api/v1/meters/e-0/read");
    REQUIRE(at(judged.body, "/verdict/plausible") == "false");
    REQUIRE(at(judged.body, "/verdict/alternatives/0/value") == "230 V");
    REQUIRE(at(judged.body, "/verdict/books/would_be") == "quarantined");
    // An engine that is busy keeps nobody from seeing what was read.
    house.engine.refuse(true);
    const Got unjudged = house.ask("POST", "/api/v1/meters/e-0/read");
    REQUIRE(unjudged.status == 200);
    REQUIRE(at(unjudged.body, "/verdict/books") == "null");
    REQUIRE(at(unjudged.body, "/register") == "42.000");
}

TEST_CASE("a cabinet's clock: the log first, then the wire, then the log; a pusher's never") {
    HttpHouse house;
    house.engine.script = [&](const Command& command) {
        const auto* room = std::get_if<RoomCommand>(&command);
        REQUIRE(room != nullptr);
        return Reply{ReplyKind::ok, R"({"offset_ms":1795000000000})", "", "", {}};
    };
    const auto post = [&](const char* body) {
        return house.ask("POST", "/api/v1/cabinets/kc-01/clock", body);
    };
    REQUIRE(house.ask("POST", "/api/v1/cabinets/kc-09/clock", R"({"by":"s-01"})").status == 404);
    const Got pusher = post(R"({"by":"s-01"})");
    REQUIRE(pusher.status == 422);
    REQUIRE(holds(pusher.body, "it pushes by http"));
    auto board = std::make_shared<KeyBoard>(*house.world().keys);
    board->cabinets[0].kind = "modbus";
    house.world().keys = board;
    house.show();
    REQUIRE(post("{}").status == 422);
    REQUIRE(holds(post(R"({"by":"s-01"})").body, "it has no clock that could be set"));
    REQUIRE(house.engine.seen<RoomCommand>().empty());

    house.commissioning.cabinet_setting = http::CabinetClockSetting{true, -3'600'400, 300, ""};
    const Got set = post(R"({"by":"s-01"})");
    REQUIRE(set.status == 200);
    REQUIRE(at(set.body, "/done") == "true");
    REQUIRE(at(set.body, "/skew_before_s") == "-3600");
    REQUIRE(at(set.body, "/skew_after_s") == "0");
    REQUIRE(house.commissioning.offset == 1'795'000'000'000);
    using What = CabinetClock::What;
    const auto what = [&](std::size_t i) {
        return std::get<CabinetClock>(house.engine.seen<RoomCommand>().at(i).work->what).what;
    };
    REQUIRE(what(0) == What::ordered);
    REQUIRE(what(1) == What::set);
    house.commissioning.busy = true;
    REQUIRE(at(post(R"({"by":"s-01"})").body, "/reason") == "its clock is being set already");
    REQUIRE(what(3) == What::failed);
}

TEST_CASE("a meter's clock is set only after the order is stored, and the log has both") {
    HttpHouse house;
    std::string order = R"({"offset_ms":1795000000000})";
    ReplyKind kind = ReplyKind::ok;
    house.engine.script = [&](const Command& command) {
        const bool ordered = std::holds_alternative<OrderMeterClock>(command);
        return Reply{ordered ? kind : ReplyKind::ok, ordered ? order : "{}", "clock", "no", {}};
    };
    const auto post = [&](const char* body) {
        return house.ask("POST", "/api/v1/meters/e-0/clock", body);
    };
    REQUIRE(post("{}").status == 422);
    const Got without = post(R"({"by":"s-01"})");
    REQUIRE(without.status == 422);
    REQUIRE(holds(without.body, "its profile knows no clock"));
    REQUIRE(house.engine.seen<OrderMeterClock>().empty());

    house.commissioning.setting = http::ClockSetting{
        true, "2026-11-23 08:00:00", "2026-11-23 08:02:00", "2026-11-23 08:02:00", -120, ""};
    kind = ReplyKind::refused;
    REQUIRE(post(R"({"by":"s-01"})").status == 422);
    REQUIRE(house.commissioning.offset == 0);
    REQUIRE(house.engine.seen<NoteMeterClock>().empty());

    kind = ReplyKind::ok;
    const Got set = post(R"({"by":"s-01"})");
    REQUIRE(set.status == 200);
    REQUIRE(at(set.body, "/done") == "true");
    REQUIRE(at(set.body, "/before_off_s") == "-120");
    REQUIRE(house.commissioning.offset == 1'795'000'000'000);
    REQUIRE(house.engine.seen<NoteMeterClock>().at(0).done);

    house.commissioning.busy = true;
    const Got busy = post(R"({"by":"s-01"})");
    REQUIRE(at(busy.body, "/done") == "false");
    REQUIRE(at(busy.body, "/reason") == "another job runs");
    REQUIRE_FALSE(house.engine.seen<NoteMeterClock>().at(1).done);
}
