// The containers that keep thousands of meters small: Boxed, ShortQueue, DayTotals.
#include <algorithm>
#include <map>
#include <random>
#include <string>

#include "daemon/core/boxed.hpp"
#include "daemon/core/day_totals.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;

TEST_CASE("a boxed value is copied with its box and costs a pointer") {
    Boxed<std::string> box;
    CHECK_FALSE(box);
    CHECK(box.value_or("none") == "none");
    box = std::string("held");
    Boxed<std::string> copy = box;
    *copy = "other";
    CHECK(*box == "held");
    CHECK(copy->size() == 5);
    copy = box;
    CHECK(*copy == "held");
    copy = std::optional<std::string>{};
    CHECK_FALSE(copy.has_value());
    box.reset();
    CHECK_FALSE(box);
    STATIC_REQUIRE(sizeof(box) == sizeof(void*));
}

TEST_CASE("a short queue gives back what came first") {
    ShortQueue<int> queue;
    CHECK(queue.empty());
    for (const int n : {1, 2, 3}) queue.push_back(n);
    CHECK(queue.size() == 3);
    int sum = 0;
    for (const int n : queue) sum = sum * 10 + n;
    CHECK(sum == 123);
    queue.pop_front();
    CHECK(queue.front() == 2);
    queue.pop_front();
    queue.pop_front();
    CHECK(queue.empty());
}

TEST_CASE("a shared value is one for its copies until one of them changes it") {
    Shared<std::string> one(std::string("meters of one profile"));
    const Shared<std::string> two = one;
    CHECK(&*one == &*two);
    one.change() = "another rating";
    CHECK(*one == "another rating");
    CHECK(*two == "meters of one profile");
    const Shared<std::string> none;
    CHECK(none->empty());
    CHECK(&*none == &*Shared<std::string>());
}

TEST_CASE("totals of days are those of a map that forgets old days") {
    constexpr std::int64_t kDays = 16;
    for (unsigned seed = 1; seed <= 20; ++seed) {
        INFO("seed " << seed);
        std::mt19937 draw(seed);
        DayTotals<kDays> totals;
        std::map<std::int64_t, std::int64_t> model;
        std::int64_t newest = 20'000;
        CHECK_FALSE(totals.at(newest).has_value());
        totals.put(newest, Milli{-1});
        model[newest] = -1;
        for (int step = 0; step < 300; ++step) {
            // Mostly the next day, at times one before it, at times a long silence.
            const auto kind = draw() % 10;
            const std::int64_t day = kind < 6   ? newest + 1
                                     : kind < 9 ? newest - static_cast<std::int64_t>(draw() % 20)
                                                : newest + static_cast<std::int64_t>(draw() % 40);
            newest = std::max(newest, day);
            totals.put(day, Milli{step});
            model[day] = step;
            std::erase_if(model, [&](const auto& item) { return item.first <= newest - kDays; });
            for (std::int64_t look = newest - 20; look <= newest + 2; ++look) {
                const auto found = model.find(look);
                const std::optional<Milli> at = totals.at(look);
                REQUIRE(at.has_value() == (found != model.end()));
                if (at) REQUIRE(at->count == found->second);
            }
        }
    }
}
