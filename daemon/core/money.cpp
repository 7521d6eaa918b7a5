#include "daemon/core/money.hpp"

namespace gatehouse {

Fen target(Price price, Milli quantity) {
    GH_ASSERT(price.count >= 0 && quantity.count >= 0);
    // 1e-8 x 1e-3 = 1e-11 of the currency; one fen is 1e9 of those.
    constexpr Int128 kFen = 1'000'000'000;
    const Int128 exact = Int128{price.count} * quantity.count;
    const Int128 fen = (exact + kFen / 2) / kFen;
    GH_ASSERT(fen <= INT64_MAX);
    return Fen{static_cast<std::int64_t>(fen)};
}

}  // namespace gatehouse
