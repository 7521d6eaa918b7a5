// When interval readings stop, when the reserve is given up, and when all is as before.
#include "daemon/core/export_space.hpp"
#include "daemon/core/space.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;

namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;

}  // namespace

TEST_CASE("the reserve is a sixteenth of the file system, within its bounds") {
    struct Row {
        std::uint64_t file_system, reserve;
    };
    const Row rows[] = {
        {0, kMiB / 2},         {8 * kMiB, kMiB / 2},    {8 * kMiB + 16, kMiB / 2 + 1},
        {64 * kMiB, 4 * kMiB}, {256 * kMiB, 16 * kMiB}, {32'000 * kMiB, 16 * kMiB},
    };
    for (const Row& row : rows) CHECK(reserve_bytes_for(row.file_system) == row.reserve);
}

TEST_CASE("where space stands from now on") {
    using S = SpaceState;
    // A reserve of 16 MiB: low below 8, given up below 1, taken again at 16 + 8 + 2.
    struct Row {
        S before;
        std::uint64_t free_kib;
        bool held, failed;
        S after;
    };
    const Row rows[] = {
        {S::plenty, 100'000, true, false, S::plenty},
        {S::plenty, 8'192, true, false, S::plenty},
        {S::plenty, 8'191, true, false, S::low},
        {S::plenty, 1'023, true, false, S::reserve},
        {S::plenty, 100'000, true, true, S::reserve},  // quota: free by the numbers, yet refused
        {S::low, 8'192, true, false, S::low},
        {S::low, 10'239, true, false, S::low},
        {S::low, 10'240, true, false, S::plenty},
        {S::low, 1'024, true, false, S::low},
        {S::low, 1'023, true, false, S::reserve},
        {S::low, 5'000, true, true, S::reserve},
        {S::reserve, 0, false, false, S::reserve},
        {S::reserve, 26'623, false, false, S::reserve},
        {S::reserve, 26'624, false, false, S::plenty},
        {S::reserve, 26'624, false, true, S::reserve},
        // A start that finds no reserve takes it or stays without.
        {S::plenty, 20'000, false, false, S::reserve},
        {S::plenty, 26'624, false, false, S::plenty},
    };
    for (const Row& row : rows) {
        CAPTURE(to_string(row.before), row.free_kib, row.held, row.failed);
        const SpaceFacts facts{row.free_kib * 1024, 16 * kMiB, row.held, row.failed};
        CHECK(std::string(to_string(step_space(row.before, facts))) == to_string(row.after));
    }
}

TEST_CASE("what was taken again is not given up at once") {
    for (std::uint64_t free = 0; free < 64 * kMiB; free += kMiB / 8) {
        const SpaceState state = step_space(SpaceState::reserve, {free, 16 * kMiB, false, false});
        if (state == SpaceState::reserve) continue;
        CHECK(step_space(state, {free - 16 * kMiB, 16 * kMiB, true, false}) == SpaceState::plenty);
    }
}

TEST_CASE("a file beside the books ends before interval readings would") {
    // A reserve of 16 MiB: interval readings stop below 8 and come back at 10.
    struct Row {
        std::uint64_t free_kib, written_kib;
        bool goes_on;
    };
    const Row rows[] = {
        {10'240, 0, true},       {10'239, 0, false},       {8'192, 0, false},
        {12'288, 1'024, true},   {12'287, 1'024, false},   {0, 0, false},
        {100'000, 44'880, true}, {100'000, 44'881, false},
    };
    for (const Row& row : rows) {
        CAPTURE(row.free_kib, row.written_kib);
        CHECK(may_write_beside(row.free_kib * 1024, 16 * kMiB, row.written_kib * 1024) ==
              row.goes_on);
    }
}
