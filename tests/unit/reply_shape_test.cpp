// Blocks that could be taken for one another get lengths of their own.
#include "daemon/core/reply_shape.hpp"

#include <algorithm>

#include "tests/support/catch.hpp"

using namespace gatehouse;

namespace {

constexpr RegisterTable kHolding = RegisterTable::holding;
using Plans = std::vector<std::vector<RegisterSpan>>;

RegisterSpan at(int first, int count, RegisterTable table = kHolding) {
    return {table, first, count};
}

BlockRules rules(bool holes, int most = 125) {
    BlockRules rules;
    rules.fill_holes = holes;
    rules.registers_max = most;
    return rules;
}

struct Case {
    const char* what;
    Plans plans;
    std::vector<RegisterSpan> vital, values;
    BlockRules rules;
    Plans expected;
};

}  // namespace

TEST_CASE("a billing block whose length another block has grows by the fewest registers") {
    const std::vector<Case> cases{
        {"energy takes its neighbour along; power stays",
         {{at(0, 2), at(100, 2)}},
         {at(0, 2)},
         {at(0, 2), at(2, 2), at(100, 2)},
         rules(false),
         {{at(0, 4), at(100, 2)}}},
        {"the other block grows where that costs less",
         {{at(0x4000, 2), at(0x2004, 2)}},
         {at(0x4000, 2)},
         {at(0x2002, 2), at(0x2004, 2), at(0x4000, 2), at(0x400A, 2)},
         rules(true),
         {{at(0x4000, 2), at(0x2002, 4)}}},
        {"of two channels one takes the other's register along",
         {{at(10, 4)}, {at(14, 4)}},
         {at(10, 4), at(14, 4)},
         {at(10, 4), at(14, 4)},
         rules(false),
         {{at(10, 8)}, {at(14, 4)}}},
        {"other tables answer with another function code",
         {{at(0, 2), at(0, 2, RegisterTable::input)}},
         {at(0, 2)},
         {at(0, 2), at(2, 2), at(0, 2, RegisterTable::input)},
         rules(false),
         {{at(0, 2), at(0, 2, RegisterTable::input)}}},
        {"blocks without money may look alike",
         {{at(0, 4), at(100, 2), at(200, 2)}},
         {at(0, 2)},
         {at(0, 2), at(2, 2), at(100, 2), at(200, 2)},
         rules(false),
         {{at(0, 4), at(100, 2), at(200, 2)}}},
        {"where the meter refuses longer reads nothing changes",
         {{at(0, 2), at(100, 2)}},
         {at(0, 2)},
         {at(0, 2), at(2, 2), at(100, 2)},
         rules(false, 2),
         {{at(0, 2), at(100, 2)}}},
        {"a lone value stays alone",
         {{at(0, 2)}},
         {at(0, 2)},
         {at(0, 2)},
         rules(true),
         {{at(0, 2)}}},
    };
    for (const Case& one : cases) {
        CAPTURE(one.what);
        Plans plans = one.plans;
        tell_apart(plans, one.vital, {}, one.values, one.rules);
        CHECK(plans == one.expected);
    }
}

TEST_CASE("what is forbidden is not taken along, and blocks asked now and then count too") {
    BlockRules forbidding = rules(true);
    forbidding.forbidden = {at(2, 2)};
    Plans plans{{at(0, 2), at(100, 2)}};
    tell_apart(plans, {at(0, 2)}, {}, {at(0, 2), at(4, 2), at(100, 2), at(102, 2)}, forbidding);
    CHECK(plans == Plans{{at(0, 2), at(100, 4)}});
    plans = {{at(0, 2)}};
    tell_apart(plans, {at(0, 2)}, {at(50, 2)}, {at(0, 2), at(2, 2), at(50, 2)}, rules(false));
    CHECK(plans == Plans{{at(0, 4)}});
}

TEST_CASE("a block that another one grew over is not asked for twice") {
    Plans plans{{at(0, 2), at(2, 2)}};
    tell_apart(plans, {at(0, 2)}, {}, {at(0, 2), at(2, 2)}, rules(false));
    CHECK(plans == Plans{{at(0, 4)}});
}
