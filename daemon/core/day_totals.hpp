// What a meter's total was at the end of each of its newest days, without an allocation. Pure, any
// thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "daemon/core/units.hpp"

namespace gatehouse {

// The newest kDays calendar days up to the newest one put; a day may be absent.
template <std::size_t kDays>
class DayTotals {
    static_assert(kDays > 0 && kDays <= 64);

  public:
    // A day that lies too far before the newest one is not kept.
    void put(std::int64_t day, Milli total) {
        if (day > newest_) {
            if (day - newest_ >= kSpan) known_ = 0;
            for (std::int64_t gone = newest_ + 1; known_ != 0 && gone < day; ++gone)
                known_ &= ~bit(gone);
            newest_ = day;
        }
        if (day <= newest_ - kSpan) return;
        totals_[index(day)] = total;
        known_ |= bit(day);
    }
    [[nodiscard]] std::optional<Milli> at(std::int64_t day) const {
        if (day > newest_ || day <= newest_ - kSpan || (known_ & bit(day)) == 0)
            return std::nullopt;
        return totals_[index(day)];
    }

  private:
    static constexpr std::int64_t kSpan = static_cast<std::int64_t>(kDays);
    [[nodiscard]] static constexpr std::size_t index(std::int64_t day) {
        return static_cast<std::size_t>((day % kSpan + kSpan) % kSpan);
    }
    [[nodiscard]] static constexpr std::uint64_t bit(std::int64_t day) {
        return std::uint64_t{1} << index(day);
    }

    std::array<Milli, kDays> totals_{};
    std::uint64_t known_ = 0;   // a bit for each slot
    std::int64_t newest_ = -1;  // 1970 is older than any meter
};

}  // namespace gatehouse
