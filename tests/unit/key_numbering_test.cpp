// Which numbering an event belongs to: tables, and the property that the order of arrival changes
// nothing where clocks are right.
#include "daemon/core/key_numbering.hpp"

#include <algorithm>
#include <random>

#include "daemon/core/key_custody.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;

namespace {

constexpr UtcMs kDay = 1'800'000'000'000;
constexpr std::int64_t kMinute = 60'000;

// Boot 5 from minute 0 to 10, boot 7 from 60 to 70.
Numbering one_board() {
    return {"kc-01",
            "",
            {{5, {kDay, kDay + 10 * kMinute}}, {7, {kDay + 60 * kMinute, kDay + 70 * kMinute}}}};
}

}  // namespace

TEST_CASE("sources of numberings are of their cabinet") {
    CHECK(numbering_source("kc-01", 1) == "kc-01");
    CHECK(numbering_source("kc-01", 2) == "kc-01~2");
    CHECK(cabinet_of("kc-01~2") == "kc-01");
    CHECK(cabinet_of("kc-01/box") == "kc-01");
    CHECK(is_later_numbering("kc-01~2"));
    CHECK_FALSE(is_later_numbering("kc-01/box"));
    const KeyEventId id{"kc-01~2", 1, 3};
    CHECK(parse_key_event_id(format(id)) == id);
}

TEST_CASE("behind the last number of 32 bits comes 0, or 1 where that is none") {
    constexpr std::int64_t kLast = 0xFFFF'FFFF;
    CHECK(is_wrap(kLast, 0));
    CHECK(is_wrap(kLast, 1));
    CHECK_FALSE(is_wrap(kLast, 2));
    CHECK_FALSE(is_wrap(kLast - 1, 0));
    CHECK(is_beyond_wrap(kLast - 5, 0));
    CHECK(is_beyond_wrap(kLast, 4'000));
    CHECK_FALSE(is_beyond_wrap(kLast, kLogMost));  // too far for one log
    CHECK_FALSE(is_beyond_wrap(5, 3));
    CHECK_FALSE(is_beyond_wrap(3, 5));
    CHECK_FALSE(is_beyond_wrap(kSeqs, 0));  // a cabinet that counts further
    CHECK_FALSE(is_beyond_wrap(-1, 0));
    CHECK(numbering_before("kc-01~2") == "kc-01");
    CHECK(numbering_before("kc-01~11") == "kc-01~10");
    CHECK(numbering_before("kc-01/reader~3") == "kc-01/reader~2");
}

TEST_CASE("where an event of one board's numbering belongs") {
    struct Row {
        const char* what;
        std::int64_t boot;
        std::optional<double> minute;  // nothing: no clock of its own
        KeptAs kept;
        std::size_t place;  // 1: it begins another numbering
    };
    const Row rows[] = {
        {"the next", 7, 71, KeptAs::nothing, 0},
        {"late, in a hole", 7, 62, KeptAs::nothing, 0},
        {"late, of the boot before", 5, 9, KeptAs::nothing, 0},
        {"late, of a boot between", 6, 30, KeptAs::nothing, 0},
        {"the next boot", 8, 90, KeptAs::nothing, 0},
        {"the next boot, its clock a little behind", 8, 50, KeptAs::nothing, 0},
        {"again", 7, 65, KeptAs::same, 0},
        {"again, from a board without a clock", 7, std::nullopt, KeptAs::same, 0},
        {"a lower boot, later", 1, 80, KeptAs::nothing, 1},
        {"a lower boot, in the minute after the last of a longer one", 6, 70.5, KeptAs::nothing, 1},
        {"a lower boot, before the last", 6, 69.5, KeptAs::nothing, 0},
        {"the same number in the minute after the last", 7, 70.5, KeptAs::other, 1},
        {"the same number told with a time of the minute after its own", 7, 61, KeptAs::other, 0},
        {"a lower boot, later, under a number that was used", 5, 80, KeptAs::other, 1},
        {"the same boot, later, under a number that was used", 7, 80, KeptAs::other, 1},
        {"an old one told in other words", 7, 65, KeptAs::other, 0},
        {"no clock, another event under the same number", 7, std::nullopt, KeptAs::other, 1},
        {"no clock, a lower boot: nothing proves it", 1, std::nullopt, KeptAs::nothing, 0},
        {"the next boot, its clock stood still while the power was away", 8, 25, KeptAs::nothing,
         0},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        const auto at = row.minute ? std::optional(kDay + static_cast<UtcMs>(*row.minute * kMinute))
                                   : std::nullopt;
        // What is kept under that number happened in the boot's first minute.
        const UtcMs kept_at = row.boot == 7 ? kDay + 60 * kMinute : kDay;
        CHECK(numbering_of({one_board()}, {{row.kept, kept_at}}, row.boot, at) == row.place);
    }
}

TEST_CASE("what began within a minute, or was told under a newer number, proves nothing") {
    struct Row {
        const char* what;
        BootSpan span;  // of boot 7, in seconds
        KeptAs kept;
        std::int64_t kept_second, boot, second;
        std::size_t place;
    };
    const Row rows[] = {
        {"a board that ran for half a minute", {0, 30}, KeptAs::nothing, 0, 1, 50, 0},
        {"and a minute after its first", {0, 30}, KeptAs::nothing, 0, 1, 61, 1},
        {"the newest told again with its clock set", {0, 300}, KeptAs::other, 300, 7, 330, 0},
        {"an old one told again with its clock set", {0, 300}, KeptAs::other, 100, 7, 150, 0},
        {"an old number, something new", {0, 300}, KeptAs::other, 100, 7, 301, 1},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        const Numbering board{
            "kc-01", "", {{7, {kDay + row.span.first * 1'000, kDay + row.span.last * 1'000}}}};
        CHECK(numbering_of({board}, {{row.kept, kDay + row.kept_second * 1'000}}, row.boot,
                           kDay + row.second * 1'000) == row.place);
    }
}

TEST_CASE("a cabinet that is asked counts anew by its own word") {
    CHECK(counts_anew(1, 900, 7, 30));
    CHECK(counts_anew(7, 29, 7, 30));
    CHECK_FALSE(counts_anew(7, 30, 7, 30));
    CHECK_FALSE(counts_anew(8, 0, 7, 30));
}

TEST_CASE("two boards, their events in any order: each comes to its own numbering") {
    const unsigned seed = std::random_device()();
    WARN("seed " << seed);
    std::mt19937 random(seed);
    struct Told {
        int board = 0;
        std::int64_t boot = 0;
        UtcMs at = 0;
    };
    for (int round = 0; round < 50; ++round) {
        std::vector<Told> told;
        UtcMs at = kDay;
        for (const int board : {1, 2}) {
            std::int64_t boot = board == 1 ? 4 + static_cast<int>(random() % 4) : 1;
            for (int i = 0; i < 60; ++i) {
                at += 1'000 + static_cast<int>(random() % 120'000);
                // The second board stays below what the first one counted to.
                if (random() % 10 == 0 && (board == 1 || boot < 3)) ++boot;
                told.push_back({board, boot, at});
            }
            at += 1'000;  // its memory was lost at once, or another board screwed in soon after
        }
        // The cabinet was in use before: something of its first board is known.
        std::shuffle(told.begin() + 1, told.end(), random);
        std::vector<Numbering> numberings{{"kc-01", "", {}}};
        std::vector<std::vector<int>> boards{{}};
        for (const Told& one : told) {
            const std::vector<Kept> kept(numberings.size());
            const std::size_t place = numbering_of(numberings, kept, one.boot, one.at);
            if (place == numberings.size()) {
                numberings.push_back({numbering_source("kc-01", place + 1), "", {}});
                boards.emplace_back();
            }
            auto& span =
                numberings[place].boots.emplace(one.boot, BootSpan{one.at, one.at}).first->second;
            span = {std::min(span.first, one.at), std::max(span.last, one.at)};
            boards[place].push_back(one.board);
        }
        INFO("round " << round);
        for (const auto& list : boards)
            CHECK(std::count(list.begin(), list.end(), list.front()) ==
                  static_cast<std::ptrdiff_t>(list.size()));
        CHECK(numberings.size() == 2);
    }
}
