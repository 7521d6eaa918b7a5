// What is learned of how fast a station answers: a histogram of fixed size for its percentiles, one
// of a bus for whoever watches it from outside, and
// the least time of its shortest and longest replies, from which the speed of a line behind a
// gateway follows. Pure values; owned by the bus thread through its BusMachine.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace gatehouse {

// Counts in buckets of a quarter octave from 256 us to a minute. Old counts fade: at kTotalMax all
// are halved, so a station that became slower is known as such after some thousand replies.
class Turnarounds;
class Turnaround {
  public:
    static constexpr std::uint32_t kTotalMax = 4'096;
    void add(std::int64_t us);
    [[nodiscard]] std::uint32_t total() const { return total_; }
    // The upper edge of the bucket in which that share of the replies is complete: at most a
    // quarter more than the true one. Nothing before the first reply.
    [[nodiscard]] std::optional<std::int64_t> percentile_us(int percent) const;

  private:
    friend class Turnarounds;
    static constexpr std::size_t kBuckets = 72;
    [[nodiscard]] static std::size_t bucket(std::int64_t us);
    // Thousands of stations have one, and no count is larger than kTotalMax.
    std::array<std::uint16_t, kBuckets> counts_{};
    std::uint32_t total_ = 0;
};

// The replies of several stations together.
class Turnarounds {
  public:
    void add(const Turnaround& station);
    [[nodiscard]] std::uint32_t total() const { return total_; }
    [[nodiscard]] std::optional<std::int64_t> percentile_us(int percent) const;

  private:
    std::array<std::uint32_t, Turnaround::kBuckets> counts_{};
    std::uint32_t total_ = 0;
};

// All replies of a bus since it began, for /metrics: nothing fades, so that two looks at it can be
// subtracted.
struct ResponseTimes {
    static constexpr std::array<std::int64_t, 12> kBoundsUs{
        1'000,   2'500,   5'000,   10'000,    25'000,    50'000,
        100'000, 250'000, 500'000, 1'000'000, 2'500'000, 5'000'000};
    std::array<std::uint64_t, kBoundsUs.size() + 1> counts{};  // up to each bound; beyond the last
    std::uint64_t sum_us = 0;
    void add(std::int64_t us);
};

// The time of one character on a line that nobody described: the longer of two replies of one
// station takes longer by its additional characters. The least times are compared, because what a
// gateway or a station adds by chance only ever makes a reply later.
class LengthTimes {
  public:
    static constexpr int kRepliesLeast = 3;  // of each length, before they say something
    static constexpr int kBytesApart = 16;   // lengths that are closer say too little
    void add(int bytes, std::int64_t us);
    [[nodiscard]] std::optional<std::int64_t> character_us() const;
    [[nodiscard]] int longest_bytes() const { return std::max(shortest_.bytes, longest_.bytes); }

  private:
    struct Seen {
        int bytes = 0;
        int count = 0;
        std::int64_t least_us = 0;
        void take(std::int64_t us);
    };
    Seen shortest_, longest_;
};

// The middle one of what several stations say; 0 where the line is as fast as a network.
[[nodiscard]] std::int64_t line_character_us(std::vector<std::int64_t> said);

}  // namespace gatehouse
