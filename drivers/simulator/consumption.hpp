// What a household asks of its meter: a demand that follows the hours of a day, and a counter that
// adds it up in whole units. The same seed gives the same building. Pure; the simulator's thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace gatehouse::simulator {

enum class Pattern { home, shop, common, vacant };

// A small generator whose whole state is one number, so that each meter has its own and the order
// in which meters are asked changes nothing.
class Dice {
  public:
    explicit Dice(std::uint64_t state = 0) : state_(state) {}
    std::uint64_t next();
    // From 0 to below `limit`; the tiny unevenness of the remainder does not matter here.
    std::uint64_t below(std::uint64_t limit) { return limit == 0 ? 0 : next() % limit; }

  private:
    std::uint64_t state_;
};
[[nodiscard]] std::uint64_t mix(std::uint64_t seed, std::string_view text);

// Millionths of a kWh (or of a m3) an hour, at this moment of the local day. `meter_seed` stands
// for the household: its size, and its own noise from minute to minute.
[[nodiscard]] std::int64_t demand_micro_per_hour(Pattern pattern, bool water,
                                                 std::uint64_t meter_seed, std::int64_t day_ms);

// A register in millionths of its unit. What is less than a millionth is kept for the next step.
class Counter {
  public:
    explicit Counter(std::int64_t micro = 0) : micro_(micro) {}
    void advance(std::int64_t micro_per_hour, std::int64_t ms);
    void set(std::int64_t micro) {
        micro_ = micro;
        rest_ = 0;
    }
    [[nodiscard]] std::int64_t micro() const { return micro_; }

  private:
    std::int64_t micro_ = 0;
    std::int64_t rest_ = 0;  // micro-units x ms of an hour
};

}  // namespace gatehouse::simulator
