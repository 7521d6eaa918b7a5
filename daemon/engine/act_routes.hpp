// The acts that are done once under one Idempotency-Key: their words, which stand in a key's cause
// and in front of the stored key, and that stored key. Pure.
#pragma once

#include <string>
#include <string_view>

namespace gatehouse {

namespace act_route {
inline constexpr const char *kReversal = "reversal", *kRefund = "refund", *kTransfer = "transfer",
                            *kAdjustment = "adjustment", *kClose = "close", *kOccupant = "occupant",
                            *kPool = "pool", *kRemap = "remap", *kTopUp = "topup",
                            *kHandover = "handover";
inline constexpr const char* kAll[] = {kReversal, kRefund, kTransfer, kAdjustment, kClose,
                                       kOccupant, kPool,   kRemap,    kTopUp,      kHandover};
}  // namespace act_route

// Keys hold no blank, so none of another route can look like this one. Those of top-ups came first
// and stand bare.
[[nodiscard]] inline std::string stored_key(std::string_view route, std::string_view key) {
    std::string text;
    if (route != act_route::kTopUp) text.append(route).append(" ");
    return text.append(key);
}

}  // namespace gatehouse
