#include "daemon/core/turnaround.hpp"

#include <algorithm>
#include <bit>

namespace gatehouse {
namespace {

constexpr int kUnitBits = 6;  // 64 us; four of them are the first bucket's lower edge
// Below it (some 500,000 baud) the time of a character decides nothing.
constexpr std::int64_t kCharacterLeastUs = 20;

template <class Counts>
std::optional<std::int64_t> percentile(const Counts& counts, std::uint32_t total, int percent) {
    if (total == 0) return std::nullopt;
    const std::uint64_t wanted = std::max<std::uint64_t>(
        (std::uint64_t{total} * static_cast<std::uint64_t>(percent) + 99) / 100, 1);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        seen += counts[i];
        if (seen < wanted) continue;
        const auto edge = static_cast<std::int64_t>(i % 4 + 5) << (i / 4);
        return edge << kUnitBits;
    }
    return std::nullopt;
}

}  // namespace

std::size_t Turnaround::bucket(std::int64_t us) {
    const auto units = static_cast<std::uint64_t>(std::max<std::int64_t>(us, 0)) >> kUnitBits;
    if (units < 4) return 0;
    const auto octave = static_cast<std::size_t>(std::bit_width(units)) - 3;
    const std::size_t quarter = (units >> octave) & 3U;
    return std::min(octave * 4 + quarter, kBuckets - 1);
}

void Turnaround::add(std::int64_t us) {
    ++counts_[bucket(us)];
    if (++total_ < kTotalMax) return;
    total_ = 0;
    for (std::uint16_t& count : counts_) {
        count = static_cast<std::uint16_t>(count / 2);
        total_ += count;
    }
}

std::optional<std::int64_t> Turnaround::percentile_us(int percent) const {
    return percentile(counts_, total_, percent);
}

void Turnarounds::add(const Turnaround& station) {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += station.counts_[i];
    total_ += station.total_;
}

std::optional<std::int64_t> Turnarounds::percentile_us(int percent) const {
    return percentile(counts_, total_, percent);
}

void ResponseTimes::add(std::int64_t us) {
    us = std::max<std::int64_t>(us, 0);
    const auto* bound = std::lower_bound(kBoundsUs.begin(), kBoundsUs.end(), us);
    ++counts[static_cast<std::size_t>(bound - kBoundsUs.begin())];
    sum_us += static_cast<std::uint64_t>(us);
}

void LengthTimes::Seen::take(std::int64_t us) {
    least_us = count == 0 ? us : std::min(least_us, us);
    ++count;
}

void LengthTimes::add(int bytes, std::int64_t us) {
    if (shortest_.count == 0 || bytes < shortest_.bytes) {
        if (longest_.count == 0) longest_ = shortest_;
        shortest_ = {bytes, 0, 0};
    } else if (bytes != shortest_.bytes && bytes > longest_.bytes) {
        longest_ = {bytes, 0, 0};
    }
    if (bytes == shortest_.bytes) shortest_.take(us);
    if (bytes == longest_.bytes) longest_.take(us);
}

std::optional<std::int64_t> LengthTimes::character_us() const {
    const int apart = longest_.bytes - shortest_.bytes;
    if (shortest_.count < kRepliesLeast || longest_.count < kRepliesLeast) return std::nullopt;
    if (apart < kBytesApart) return std::nullopt;
    return std::max<std::int64_t>((longest_.least_us - shortest_.least_us) / apart, 0);
}

std::int64_t line_character_us(std::vector<std::int64_t> said) {
    if (said.empty()) return 0;
    const auto middle = said.begin() + static_cast<std::ptrdiff_t>(said.size() / 2);
    std::nth_element(said.begin(), middle, said.end());
    return *middle < kCharacterLeastUs ? 0 : *middle;
}

}  // namespace gatehouse
