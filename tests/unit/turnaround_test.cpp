// Percentiles of a fixed histogram, and the speed of a line from replies of two lengths.
#include "daemon/core/turnaround.hpp"

#include <random>

#include "tests/support/catch.hpp"

using namespace gatehouse;

TEST_CASE("a percentile is at most a quarter above the true one") {
    for (const std::int64_t us : {300, 1'000, 20'000, 33'333, 250'000, 3'000'000}) {
        CAPTURE(us);
        Turnaround one;
        CHECK_FALSE(one.percentile_us(99));
        for (int i = 0; i < 10; ++i) one.add(us);
        CHECK(*one.percentile_us(50) > us);
        CHECK(*one.percentile_us(50) <= us * 5 / 4 + 64);
        CHECK(one.percentile_us(99) == one.percentile_us(1));
    }
}

TEST_CASE("the ninety-ninth percentile sees the slow ones, the median does not") {
    Turnaround one;
    for (int i = 0; i < 980; ++i) one.add(20'000);
    for (int i = 0; i < 20; ++i) one.add(400'000);
    CHECK(*one.percentile_us(50) < 26'000);
    CHECK(*one.percentile_us(99) > 400'000);
}

TEST_CASE("what is out of range is counted at the edges") {
    Turnaround one;
    one.add(-5);
    CHECK(*one.percentile_us(99) < 400);
    one.add(std::int64_t{1} << 40);
    CHECK(*one.percentile_us(99) > 60'000'000);
}

TEST_CASE("old replies fade, so a station that became slower is known as such") {
    Turnaround one;
    for (std::uint32_t i = 0; i < 20 * Turnaround::kTotalMax; ++i) one.add(1'000);
    CHECK(one.total() < Turnaround::kTotalMax);
    for (std::uint32_t i = 0; i < 3 * Turnaround::kTotalMax; ++i) one.add(100'000);
    CHECK(*one.percentile_us(50) > 100'000);
    Turnarounds both;
    both.add(one);
    both.add(one);
    CHECK(both.total() == 2 * one.total());
    CHECK(both.percentile_us(50) == one.percentile_us(50));
}

TEST_CASE("what is watched from outside never fades, and a bound belongs to the bucket below it") {
    ResponseTimes times;
    for (const std::int64_t us : {-1, 1'000, 1'001, 5'000'000, 5'000'001}) times.add(us);
    CHECK(times.counts.front() == 2);
    CHECK(times.counts.at(1) == 1);
    CHECK(times.counts.at(times.counts.size() - 2) == 1);
    CHECK(times.counts.back() == 1);
    CHECK(times.sum_us == 10'002'002);
    for (std::uint32_t i = 0; i < 2 * Turnaround::kTotalMax; ++i) times.add(20'000);
    CHECK(times.counts.at(4) == 2 * Turnaround::kTotalMax);
}

TEST_CASE("the time of a character follows from the least times of two lengths") {
    std::mt19937 random(7);
    for (const std::int64_t character : {0, 87, 1'042, 4'583}) {
        CAPTURE(character);
        LengthTimes times;
        const auto took = [&](int bytes) {
            return character * bytes + 20'000 + static_cast<std::int64_t>(random() % 4'000);
        };
        for (int i = 0; i < 2; ++i) times.add(17, took(17));
        CHECK_FALSE(times.character_us());
        CHECK(times.longest_bytes() == 17);
        for (int i = 0; i < 40; ++i) {
            times.add(137, took(137));
            times.add(17, took(17));
            times.add(60, took(60));  // between the two: says nothing new
        }
        REQUIRE(times.character_us());
        CHECK(std::abs(*times.character_us() - character) <= 35);
        CHECK(times.longest_bytes() == 137);
    }
    LengthTimes near;
    for (int i = 0; i < 9; ++i) near.add(17, 1), near.add(21, 5'000);
    CHECK_FALSE(near.character_us());
}

TEST_CASE("the line's speed is the middle word of its stations; a network has none") {
    CHECK(line_character_us({}) == 0);
    CHECK(line_character_us({1'042}) == 1'042);
    CHECK(line_character_us({0, 1'030, 1'055}) == 1'030);
    CHECK(line_character_us({3, 0, 12}) == 0);
}
