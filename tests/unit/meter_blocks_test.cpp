// The blocks of one meter and what its refusals teach, against a meter that refuses by rule.
#include "daemon/core/meter_blocks.hpp"

#include <functional>
#include <random>
#include <set>

#include "tests/support/catch.hpp"

using namespace gatehouse;

namespace {

constexpr RegisterTable kIn = RegisterTable::input;

WireCost at_9600(std::int64_t turnaround_us = 20'000) {
    WireCost cost;
    cost.char_us = character_us(9600, 8, false, 1);
    cost.turnaround_us = turnaround_us;
    return cost;
}
WireCost at_no_cost() {
    return {};  // a network: everything is one read
}

std::shared_ptr<const MeterValues> meter(std::vector<RegisterSpan> values,
                                         std::vector<RegisterSpan> vital) {
    MeterValues meter;
    meter.routine = std::move(values);
    meter.vital = std::move(vital);
    return in_order(std::move(meter));
}

using Refuses = std::function<bool(const RegisterSpan&)>;
Refuses refuses_register(int bad) {
    return [bad](const RegisterSpan& read) { return read.first <= bad && bad < read.end(); };
}

// Polls as the machine does: what is refused is searched until the visit can be read whole. Returns
// the number of reads, or -1 where it does not come to an end.
int poll(MeterBlocks& blocks, const Refuses& refuses, const WireCost& cost, MonoMs now) {
    int reads = 0;
    for (int round = 0; round < 200; ++round) {
        (void)blocks.plan(cost, now);
        bool whole = true;
        for (const RegisterSpan& block : std::vector<RegisterSpan>(blocks.routine())) {
            ++reads;
            if (!refuses(block)) continue;
            whole = false;
            auto verdict = blocks.refused(block, "exception 2", now);
            while (verdict == MeterBlocks::Verdict::searching) {
                ++reads;
                verdict = blocks.search_answered(refuses(blocks.search_read()), "exception 2", now);
            }
            if (verdict == MeterBlocks::Verdict::hopeless) return reads;
            break;
        }
        if (whole) return reads;
    }
    return -1;
}

std::vector<RegisterSpan> eight() {
    std::vector<RegisterSpan> values;
    for (int i = 0; i < 8; ++i) values.push_back({kIn, 2 * i, 2});
    return values;
}

}  // namespace

TEST_CASE("the one bad register is found by halving, set aside with its reason, and left out") {
    for (int bad = 2; bad < 16; ++bad) {
        CAPTURE(bad);
        MeterBlocks blocks(meter(eight(), {{kIn, 0, 2}}));
        // The whole block, at most two reads each time it is halved, and the new plan.
        CHECK(poll(blocks, refuses_register(bad), at_9600(), 1'000) <= 1 + 2 * 3 + 2);
        const auto aside = blocks.set_aside();
        REQUIRE(aside.size() == 1);
        CHECK(aside[0].function == 4);
        CHECK(aside[0].first == bad / 2 * 2);
        CHECK(aside[0].count == 2);
        CHECK(aside[0].reason == "exception 2");
        CHECK(aside[0].since_mono_ms == 1'000);
        CHECK(aside[0].retry_mono_ms == 1'000 + MeterBlocks::kRetryFirstMs);
        for (const RegisterSpan& block : blocks.routine())
            CHECK_FALSE(block.contains({kIn, bad, 1}));
        CHECK(poll(blocks, refuses_register(bad), at_9600(), 2'000) ==
              static_cast<int>(blocks.routine().size()));
    }
}

TEST_CASE("a hole that the meter refuses, or a length, becomes a cut and costs no value") {
    const std::vector<RegisterSpan> values{{kIn, 0, 2}, {kIn, 4, 2}, {kIn, 20, 2}, {kIn, 22, 2}};
    MeterBlocks hole(meter(values, {{kIn, 0, 2}}));
    CHECK(poll(hole, refuses_register(12), at_no_cost(), 0) > 0);
    CHECK(hole.routine() == std::vector<RegisterSpan>{{kIn, 0, 6}, {kIn, 20, 4}});
    REQUIRE(hole.set_aside().size() == 1);
    CHECK(hole.set_aside()[0].count == 0);
    CHECK(hole.set_aside()[0].first == 20);
    MeterBlocks length(meter(eight(), {{kIn, 0, 2}}));
    CHECK(poll(
              length, [](const RegisterSpan& read) { return read.count > 10; }, at_9600(), 0) > 0);
    int values_read = 0;
    for (const RegisterSpan& block : length.routine()) values_read += block.count;
    CHECK(values_read == 16);
    for (const SetAside& aside : length.set_aside()) CHECK(aside.count == 0);
}

TEST_CASE(
    "the vital value is never set aside: refused, it is hopeless, and read alone after that") {
    MeterBlocks blocks(meter(eight(), {{kIn, 4, 2}}));
    CHECK(poll(blocks, refuses_register(5), at_9600(), 0) > 0);
    (void)blocks.plan(at_9600(), 0);
    const auto& routine = blocks.routine();
    CHECK(std::count(routine.begin(), routine.end(), RegisterSpan{kIn, 4, 2}) == 1);
    CHECK(blocks.refused({kIn, 4, 2}, "exception 2", 0) == MeterBlocks::Verdict::hopeless);
    CHECK(blocks.vital({kIn, 0, 10}));
    CHECK_FALSE(blocks.vital({kIn, 6, 10}));
    // Answered again, all is one block once the cuts were tried.
    CHECK(poll(blocks, refuses_register(99), at_9600(), MeterBlocks::kRetryFirstMs) == 1);
    CHECK(blocks.set_aside().empty());
}

TEST_CASE("what was set aside is tried again alone, later and later, and comes back") {
    MeterBlocks blocks(meter(eight(), {{kIn, 0, 2}}));
    MonoMs now = 0;
    CHECK(poll(blocks, refuses_register(7), at_9600(), now) > 0);
    CHECK_FALSE(blocks.retry(MeterBlocks::kRetryFirstMs - 1));
    MonoMs pause = MeterBlocks::kRetryFirstMs;
    for (int i = 0; i < 12; ++i) {
        now += pause;
        REQUIRE(blocks.retry(now) == RegisterSpan{kIn, 6, 2});
        blocks.retried({kIn, 6, 2}, /*refused=*/true, "exception 2", now);
        CHECK_FALSE(blocks.retry(now));
        pause = std::min(2 * pause, MeterBlocks::kRetryMaxMs);
        CHECK(blocks.set_aside()[0].retry_mono_ms == now + pause);
        CHECK(blocks.set_aside()[0].since_mono_ms == 0);
    }
    blocks.try_all_again(now + 5);  // the meter was away
    REQUIRE(blocks.retry(now + 5));
    blocks.retried({kIn, 6, 2}, /*refused=*/false, "", now + 5);
    CHECK(blocks.plan(at_9600(), now + 5));
    CHECK(blocks.routine() == std::vector<RegisterSpan>{{kIn, 0, 16}});
    CHECK(blocks.set_aside().empty());
}

TEST_CASE("values that share registers are set aside together or not at all") {
    const std::vector<RegisterSpan> values{{kIn, 0, 2}, {kIn, 10, 4}, {kIn, 12, 2}, {kIn, 20, 2}};
    MeterBlocks blocks(meter(values, {{kIn, 0, 2}}));
    CHECK(poll(blocks, refuses_register(13), at_no_cost(), 0) > 0);
    CHECK(blocks.set_aside().size() == 2);
    (void)blocks.plan(at_no_cost(), 0);
    CHECK(blocks.routine() == std::vector<RegisterSpan>{{kIn, 0, 2}, {kIn, 20, 2}});
}

TEST_CASE("any mixture of bad registers, holes and lengths ends with all that can be read") {
    for (std::uint32_t seed = 1; seed <= 400; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        const auto below = [&](unsigned sides) { return static_cast<int>(random() % sides); };
        std::vector<RegisterSpan> values;
        for (int at = 0, i = 0; i < 12; ++i, at += 1 + below(12)) {
            values.push_back({kIn, at, 1 + below(3)});
            at = values.back().end();
        }
        std::set<int> bad;
        for (int i = below(4); i > 0; --i) bad.insert(below(100));
        const int longest = 4 + below(60);
        const Refuses refuses = [&](const RegisterSpan& read) {
            return read.count > longest || std::any_of(bad.begin(), bad.end(), [&](int one) {
                       return read.first <= one && one < read.end();
                   });
        };
        const RegisterSpan vital = values[static_cast<std::size_t>(below(12))];
        MeterBlocks blocks(meter(values, {vital}));
        const WireCost cost = below(2) != 0 ? at_9600() : at_no_cost();
        REQUIRE(poll(blocks, refuses, cost, 0) > 0);
        if (refuses(vital)) continue;
        (void)blocks.plan(cost, 0);
        for (const RegisterSpan& value : values) {
            const bool covered =
                std::any_of(blocks.routine().begin(), blocks.routine().end(),
                            [&](const RegisterSpan& block) { return block.contains(value); });
            CHECK(covered == !refuses(value));
        }
        for (const RegisterSpan& block : blocks.routine()) CHECK_FALSE(refuses(block));
    }
}

TEST_CASE("the plan is kept until the turnaround moved enough to change it") {
    MeterBlocks blocks(meter({{kIn, 100, 2}, {kIn, 122, 2}}, {}));  // a hole of 20
    CHECK(blocks.plan(at_9600(20'000), 0));
    CHECK(blocks.routine().size() == 2);
    CHECK_FALSE(blocks.plan(at_9600(22'000), 0));
    CHECK_FALSE(blocks.plan(at_9600(23'000), 0));
    CHECK(blocks.plan(at_9600(50'000), 0));
    CHECK(blocks.routine() == std::vector<RegisterSpan>{{kIn, 100, 24}});
    CHECK_FALSE(blocks.plan(at_9600(80'000), 0));  // planned anew, to the same blocks
    CHECK(blocks.plan(at_9600(5'000), 0));
    CHECK(blocks.routine().size() == 2);
}
