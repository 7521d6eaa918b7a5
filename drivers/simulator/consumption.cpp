#include "drivers/simulator/consumption.hpp"

#include <array>
#include <cstddef>

namespace gatehouse::simulator {
namespace {

constexpr std::int64_t kHourMs = 3'600'000;
constexpr std::int64_t kMinuteMs = 60'000;
constexpr std::int64_t kDayMs = 24 * kHourMs;

// Watts, and litres an hour, for each hour of the day: a flat with its morning and evening peak, a
// shop with opening hours, lifts and lights of a stairway.
using Hours = std::array<std::int64_t, 24>;
constexpr Hours kHomeWatts{120, 100, 90,  90,  90,  110, 400,  900,  600,  300,  250, 300,
                           600, 450, 300, 300, 350, 700, 1500, 1900, 1800, 1500, 900, 300};
constexpr Hours kShopWatts{250,  250,  250,  250,  250,  250,  300,  800,  2200, 3200, 3500, 3600,
                           3800, 3600, 3500, 3500, 3600, 3800, 4000, 4000, 3600, 2000, 600,  300};
constexpr Hours kCommonWatts{700, 700, 700, 700, 700, 700, 900,  1200, 900,  600,  600,  600,
                             700, 600, 600, 600, 700, 900, 1500, 1600, 1500, 1300, 1000, 800};
constexpr Hours kHomeLitres{0,  0,  0, 0, 0,  2,  25, 40, 20, 8,  8,  12,
                            20, 10, 6, 6, 10, 20, 35, 40, 35, 25, 12, 3};
constexpr Hours kShopLitres{0,  0,  0,  0,  0,  0,  2,  10, 30, 30, 40, 60,
                            70, 50, 30, 30, 40, 60, 70, 60, 40, 20, 5,  0};
constexpr Hours kCommonLitres{0,  0,  0,  0,  0,  0,  40, 60, 20, 20, 20, 20,
                              20, 20, 20, 20, 40, 60, 30, 10, 0,  0,  0,  0};

const Hours& hours_of(Pattern pattern, bool water) {
    switch (pattern) {
        case Pattern::shop:
            return water ? kShopLitres : kShopWatts;
        case Pattern::common:
            return water ? kCommonLitres : kCommonWatts;
        case Pattern::home:
        case Pattern::vacant:
            break;
    }
    return water ? kHomeLitres : kHomeWatts;
}

}  // namespace

std::uint64_t Dice::next() {
    state_ += 0x9E3779B97F4A7C15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31U);
}

std::uint64_t mix(std::uint64_t seed, std::string_view text) {
    std::uint64_t hash = 0xCBF29CE484222325ULL ^ Dice(seed).next();
    for (const char c : text) {
        hash ^= static_cast<unsigned char>(c);
        hash *= 0x100000001B3ULL;
    }
    return Dice(hash).next();
}

std::int64_t demand_micro_per_hour(Pattern pattern, bool water, std::uint64_t meter_seed,
                                   std::int64_t day_ms) {
    const std::int64_t of_day = ((day_ms % kDayMs) + kDayMs) % kDayMs;
    const auto hour = static_cast<std::size_t>(of_day / kHourMs);
    const Hours& hours = hours_of(pattern, water);
    // Between the hours the demand slides, so that it does not jump as the clock strikes.
    const std::int64_t here = hours[hour];
    const std::int64_t there = hours[(hour + 1) % hours.size()];
    const std::int64_t minute = (of_day % kHourMs) / kMinuteMs;
    std::int64_t milli = here * 1000 + (there - here) * 1000 * minute / 60;
    // A vacant flat keeps its router and its fridge, and no tap is opened.
    if (pattern == Pattern::vacant) {
        milli = water ? 0 : 15'000;
    }
    const auto size = static_cast<std::int64_t>(60 + Dice(meter_seed).below(81));  // 60 % to 140 %
    const std::uint64_t slot = meter_seed ^ static_cast<std::uint64_t>(day_ms / kMinuteMs);
    const auto noise = static_cast<std::int64_t>(70 + Dice(slot).below(61));  // 70 % to 130 %
    return milli * size / 100 * noise / 100;
}

void Counter::advance(std::int64_t micro_per_hour, std::int64_t ms) {
    rest_ += micro_per_hour * ms;
    micro_ += rest_ / kHourMs;
    rest_ %= kHourMs;
}

}  // namespace gatehouse::simulator
