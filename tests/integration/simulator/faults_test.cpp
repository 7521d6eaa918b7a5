#include "drivers/simulator/faults.hpp"

#include <cmath>
#include <vector>

#include "tests/integration/simulator/fixture.hpp"

namespace gatehouse::simulator {
namespace {

// What came of each of `count` exchanges, as the fault's trace shows it.
std::vector<bool> strike(const std::string& rule, const std::string& id, std::uint64_t seed,
                         int count, int others = 0) {
    FaultPlan plan;
    for (const FaultRule& one : parse_fault(rule).rules) {
        plan.add(one);
    }
    Dice dice(mix(seed, id));
    Dice other(mix(seed, "other"));
    std::vector<bool> struck;
    for (int i = 0; i < count; ++i) {
        for (int k = 0; k < others; ++k) {
            static_cast<void>(plan.draw("other", other));
        }
        struck.push_back(plan.draw(id, dice)[Fault::silence]);
    }
    return struck;
}

TEST_CASE("faults happen at their rate, and the seed says when") {
    constexpr int kExchanges = 100'000;
    const auto struck = strike("silence=0.01", "e1", 1, kExchanges);
    const auto count = std::count(struck.begin(), struck.end(), true);
    CHECK(std::abs(static_cast<double>(count) - 1000) < 5 * std::sqrt(1000.0));
    CHECK(struck == strike("silence=0.01", "e1", 1, kExchanges));
    CHECK(struck != strike("silence=0.01", "e1", 2, kExchanges));
    CHECK(struck != strike("silence=0.01", "e2", 1, kExchanges));
}

TEST_CASE("what befalls one meter does not depend on how often others are asked") {
    CHECK(strike("silence=0.1", "e1", 5, 1000) == strike("silence=0.1", "e1", 5, 1000, 3));
}

TEST_CASE("rules name a fault, a probability and meters, and refuse all else") {
    const ParsedFault two = parse_fault("late-reply=0.25@e1,e2");
    REQUIRE(two.problem.empty());
    REQUIRE(two.rules.size() == 2);
    CHECK(two.rules[0].fault == Fault::late_reply);
    CHECK(two.rules[0].parts_per_billion == 250'000'000);
    CHECK(two.rules[1].meter == "e2");
    for (const char* wrong : {"silence", "silence=", "silence=x", "silence=1.1", "silence=-0.1",
                              "silence=1e-3", "noise=0.1", "silence=0.1@", "silence=0.1@a,"}) {
        INFO(wrong);
        CHECK_FALSE(parse_fault(wrong).problem.empty());
    }
    CHECK(parse_fault("noise=0.1").problem.find("stuck-value") != std::string::npos);
}

TEST_CASE("a rule for a meter wins over the rule for all, and a later rule over an earlier") {
    FaultPlan plan;
    Dice dice(1);
    plan.add({Fault::silence, 1'000'000'000, ""});
    plan.add({Fault::silence, 0, "calm"});
    CHECK(plan.draw("any", dice)[Fault::silence]);
    CHECK_FALSE(plan.draw("calm", dice)[Fault::silence]);
    plan.add({Fault::silence, 1'000'000'000, ""});
    CHECK(plan.draw("calm", dice)[Fault::silence]);
}

// A building whose one meter has that fault in every exchange.
struct Unlucky {
    explicit Unlucky(const std::string& fault,
                     modbus::Transport transport = modbus::Transport::rtu) {
        Site site = one_bus(transport);
        site.meters.push_back(meter("e1", 1, "eastron-sdm120", "5000"));
        BuildingSettings settings;
        settings.faults = parse_fault(fault + "=1").rules;
        settings.late_transactions = 3;
        building = std::make_unique<Building>(site, shipped(), settings);
        building->on_truth([this](const Truth& truth) { last = truth; });
    }
    Answer ask(std::int64_t now_ms = 1000) {
        return building->answer(0, 1, energy_question(), now_ms);
    }
    std::unique_ptr<Building> building;
    Truth last;
};

TEST_CASE("each fault does what its name says, and the truth is told all the same") {
    CHECK(Unlucky("silence").ask().silent);
    CHECK(Unlucky("exception").ask().pdu == Bytes{0x84, 4});
    CHECK(Unlucky("wrong-unit").ask().unit == 2);
    CHECK(Unlucky("bit-error").ask().bit_error);
    CHECK(Unlucky("bit-error", modbus::Transport::tcp).ask().pdu == Bytes{0x84, 0x0B});
    for (int i = 0; i < 20; ++i) {
        Unlucky late("late-reply");
        const Answer answer = late.ask();
        CHECK(answer.late_by >= 1);
        CHECK(answer.late_by <= 3);
    }
    Unlucky reset("counter-reset");
    static_cast<void>(reset.ask());
    CHECK(as_number(reset.last.value) == 0);
    CHECK(reset.last.fault == "counter-reset");

    Unlucky replaced("meter-replaced");
    const auto serial = [&] {
        return decoded(*replaced.building, 1, "eastron-sdm120", modbus::Measurement::serial, 0, 0)
            .text;
    };
    const std::string before = serial();
    static_cast<void>(replaced.ask());
    CHECK(as_number(replaced.last.value) < 2);
    CHECK(serial() != before);

    Unlucky stuck("stuck-value");
    static_cast<void>(stuck.ask());
    const Rational first = stuck.last.value;
    static_cast<void>(stuck.ask(20 * 60'000));
    CHECK(stuck.last.value.numerator == first.numerator);
    CHECK(stuck.last.value.denominator == first.denominator);
    const auto power =
        decoded(*stuck.building, 1, "eastron-sdm120", modbus::Measurement::power, 0, 20 * 60'000);
    CHECK(as_number(power.number) > 0);
}

}  // namespace
}  // namespace gatehouse::simulator
