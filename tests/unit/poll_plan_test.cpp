// The poll plan: blocks against the cost figures of the wire, deadlines and the urgent lane.
#include "daemon/core/poll_plan.hpp"

#include <functional>
#include <random>

#include "tests/support/catch.hpp"

using namespace gatehouse;

namespace {

constexpr RegisterTable kIn = RegisterTable::input;

WireCost cost_9600(std::int64_t turnaround_us) {
    WireCost cost;
    cost.char_us = character_us(9600, 8, false, 1);
    cost.turnaround_us = turnaround_us;
    return cost;
}

std::vector<RegisterSpan> pairs(std::initializer_list<int> firsts) {
    std::vector<RegisterSpan> spans;
    for (const int first : firsts) spans.push_back({kIn, first, 2});
    return spans;
}

}  // namespace

TEST_CASE("time of a character and of an exchange") {
    CHECK(character_us(9600, 8, false, 1) == 1042);
    CHECK(character_us(9600, 8, true, 1) == 1146);
    CHECK(frame_gap_us(9600, 1042) == 3647);
    CHECK(frame_gap_us(115200, 87) == 1750);
    // 2 registers with 20 ms turnaround at 9600 8N1 are 41.4 ms, 125 are 297.6.
    CHECK(cost_9600(20'000).exchange_us({kIn, 0, 2}) / 1'000 == 41);
    CHECK(cost_9600(20'000).exchange_us({kIn, 0, 125}) / 1'000 == 297);
}

TEST_CASE("a hole is filled where that is cheaper than another exchange") {
    // At 9600 8N1 the break-even hole is 17 registers with 20 ms turnaround, 10 with 5 ms.
    struct Row {
        int hole;
        std::int64_t turnaround_us;
        std::size_t blocks;
    };
    for (const Row& row : {Row{10, 5'000, 1}, Row{12, 5'000, 2}, Row{17, 20'000, 1},
                           Row{19, 20'000, 2}, Row{32, 50'000, 1}, Row{34, 50'000, 2}}) {
        CAPTURE(row.hole, row.turnaround_us);
        const auto blocks =
            plan_blocks(pairs({100, 102 + row.hole}), {}, cost_9600(row.turnaround_us));
        CHECK(blocks.size() == row.blocks);
    }
}

TEST_CASE("all values of an SDM120 are three blocks of 32, 10 and 4 registers") {
    const auto blocks = plan_blocks(
        pairs({0x00, 0x06, 0x0C, 0x12, 0x18, 0x1E, 0x46, 0x48, 0x4A, 0x4C, 0x4E, 0x156, 0x158}), {},
        cost_9600(20'000));
    REQUIRE(blocks.size() == 3);
    CHECK(blocks[0] == RegisterSpan{kIn, 0x00, 32});
    CHECK(blocks[1] == RegisterSpan{kIn, 0x46, 10});
    CHECK(blocks[2] == RegisterSpan{kIn, 0x156, 4});
}

TEST_CASE("limits of blocks hold and no value is cut") {
    BlockRules rules;
    SECTION("block limit") {
        rules.registers_max = 5;
        for (const RegisterSpan& block : plan_blocks(pairs({0, 2, 4, 6}), rules, {})) {
            CHECK(block.count == 4);
        }
    }
    SECTION("forbidden range") {
        rules.forbidden = {{kIn, 4, 1}};
        const auto blocks = plan_blocks(pairs({0, 6}), rules, {});
        REQUIRE(blocks.size() == 2);
        CHECK(plan_blocks(pairs({4}), rules, {}).empty());
    }
    SECTION("holes not filled") {
        rules.fill_holes = false;
        CHECK(plan_blocks(pairs({0, 2, 5}), rules, {}).size() == 2);
    }
    SECTION("tables are never mixed, doubles and overlaps read once") {
        std::vector<RegisterSpan> wanted = pairs({0, 0, 1});
        wanted.push_back({RegisterTable::holding, 2, 2});
        const auto blocks = plan_blocks(wanted, rules, {});
        REQUIRE(blocks.size() == 2);
        CHECK(blocks[0] == RegisterSpan{RegisterTable::holding, 2, 2});
        CHECK(blocks[1] == RegisterSpan{kIn, 0, 3});
    }
    SECTION("more than one read can carry is cut between values") {
        std::vector<RegisterSpan> wanted;
        for (int i = 0; i < 400; i += 4) wanted.push_back({kIn, i, 4});
        int registers = 0;
        for (const RegisterSpan& block : plan_blocks(wanted, rules, {})) {
            CHECK(block.count <= 125);
            CHECK(block.count % 4 == 0);
            registers += block.count;
        }
        CHECK(registers == 400);
    }
}

TEST_CASE("no partition is cheaper than the plan's, by trying all of them") {
    for (std::uint32_t seed = 1; seed <= 1'500; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        const auto below = [&](int sides) {
            return static_cast<int>(random() % static_cast<unsigned>(sides));
        };
        std::vector<RegisterSpan> values;
        for (int at = below(20), i = 0; i < 3 + below(9); ++i) {
            values.push_back({kIn, at, 1 + below(4)});
            at = values.back().end() + (below(3) == 0 ? 0 : below(40));
        }
        BlockRules rules;
        rules.registers_max = 4 + below(122);
        rules.fill_holes = below(4) != 0;
        if (below(2) != 0) rules.forbidden.push_back({kIn, 400 + below(60), 3});
        for (std::size_t i = 1; i < values.size(); ++i) {
            const int hole = values[i].first - values[i - 1].end();
            if (hole > 2 && below(6) == 0) {
                rules.forbidden.push_back({kIn, values[i - 1].end() + 1, 1});
            }
            if (below(8) == 0) rules.cuts.push_back({kIn, values[i].first});
        }
        WireCost cost = cost_9600(below(120'000));
        if (below(4) == 0) cost.char_us = below(3) * 87;
        cost.pause_us = below(3) * 50'000;
        // Whether the values from..to may be one read, by the rules' own words.
        const auto one_read = [&](std::size_t from, std::size_t to) -> std::optional<RegisterSpan> {
            const RegisterSpan read{kIn, values[from].first, values[to].end() - values[from].first};
            if (read.count > rules.registers_max) return std::nullopt;
            for (std::size_t i = from + 1; i <= to && !rules.fill_holes; ++i) {
                if (values[i].first > values[i - 1].end()) return std::nullopt;
            }
            for (const RegisterSpan& bad : rules.forbidden) {
                if (bad.first < read.end() && read.first < bad.end()) return std::nullopt;
            }
            for (const BlockCut& cut : rules.cuts) {
                if (to > from && read.first < cut.at && cut.at < read.end()) return std::nullopt;
            }
            return read;
        };
        std::int64_t best = -1;
        const std::function<void(std::size_t, std::int64_t)> try_from = [&](std::size_t from,
                                                                            std::int64_t so_far) {
            if (from == values.size()) {
                if (best < 0 || so_far < best) best = so_far;
                return;
            }
            for (std::size_t to = from; to < values.size(); ++to) {
                if (const auto read = one_read(from, to)) {
                    try_from(to + 1, so_far + cost.exchange_us(*read));
                }
            }
        };
        try_from(0, 0);
        const auto blocks = plan_blocks(values, rules, cost);
        std::int64_t planned = 0;
        for (const RegisterSpan& block : blocks) planned += cost.exchange_us(block);
        REQUIRE(best >= 0);
        CHECK(planned == best);
        for (const RegisterSpan& value : values) {
            CHECK(std::any_of(blocks.begin(), blocks.end(),
                              [&](const RegisterSpan& block) { return block.contains(value); }));
        }
    }
}

TEST_CASE("proofs are whole values of different lengths, shortest first") {
    const auto proofs = proof_blocks(pairs({0, 2, 10}), {}, 32);
    REQUIRE(proofs.size() == 4);
    CHECK(proofs[0].count == 2);
    CHECK(proofs[1].count == 4);
    CHECK(proofs[2].count == 10);
    CHECK(proofs[3].count == 12);
    CHECK(proof_blocks(pairs({0, 2, 10}), {}, 4).size() == 2);
}

TEST_CASE("deadlines: all at once first, then spread over the interval") {
    PollPlan plan;
    plan.reset(4, 60'000, 1'000);
    for (int expected = 0; expected < 4; ++expected) {
        const auto pick = plan.pick(1'000);
        REQUIRE(pick);
        CHECK(pick->index == expected);
        CHECK_FALSE(pick->urgent);
        plan.done(pick->index, 1'000);
    }
    CHECK_FALSE(plan.pick(1'000));
    CHECK(plan.next_at() == 16'000);  // the second meter; the first's next is 61'000
    CHECK(plan.due(0) == 61'000);
    CHECK(plan.due(3) == 46'000);
    // A late poll keeps the grid and catches nothing up.
    plan.done(1, 200'000);
    CHECK(plan.due(1) == 256'000);
}

TEST_CASE("the urgent lane goes before what is due, and holds bind both") {
    PollPlan plan;
    plan.reset(3, 1'000, 0);
    plan.poll_soon(2);
    REQUIRE(plan.pick(0));
    CHECK(plan.pick(0)->index == 2);
    CHECK(plan.pick(0)->urgent);
    plan.hold(2, 500);
    CHECK(plan.pick(0)->index == 0);
    plan.hold(0, 700);
    plan.hold(1, 600);
    CHECK_FALSE(plan.pick(499));
    CHECK(plan.next_at() == 500);
    CHECK(plan.pick(500)->index == 2);
    plan.clear_urgent(2);
    plan.done(2, 500);
    CHECK_FALSE(plan.pick(599));
}

TEST_CASE("a bus without meters has nothing to do") {
    PollPlan plan;
    plan.reset(0, 1'000, 0);
    CHECK_FALSE(plan.pick(10'000));
    CHECK_FALSE(plan.next_at());
}
