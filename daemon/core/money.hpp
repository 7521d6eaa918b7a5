// Money: the one rounding rule of the house, and nothing else. A price times a cumulative quantity
// becomes whole fen here and nowhere else. Pure, any thread.
#pragma once

#include "daemon/core/units.hpp"

namespace gatehouse {

// Above these a figure is a typing error or a broken meter; below them no product leaves 64 bits.
// Who takes prices and quantities in refuses what is larger (why_not_yet, accrue).
inline constexpr Price kPriceMax{1'000'000'000'000};     // 10,000.00 for one kWh or m3
inline constexpr Milli kQuantityMax{1'000'000'000'000};  // 1e9 kWh or m3 on one line

// price x quantity in whole fen, half up. Half up is right for what is not negative only, so both
// are asserted to be: a line's cumulative quantity never is.
[[nodiscard]] Fen target(Price price, Milli quantity);

}  // namespace gatehouse
