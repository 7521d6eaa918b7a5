// Shared-area pools: what a main meter counted beyond the meters below it, priced and shared out
// among the members without losing a fen (prepaid-billing.md 2.4 I10, vectors V8 and V20). It reads
// no meter and books nothing. Pure, any thread.
#pragma once

#include <string>
#include <vector>

#include "daemon/core/registry.hpp"
#include "daemon/core/time.hpp"
#include "daemon/core/units.hpp"

namespace gatehouse {

// Shares of an amount by weight: each is rounded down to whole fen, and what is left goes fen by
// fen to those who lost most by that, the first of equals first. They sum to the amount exactly.
// The amount and every weight are not negative, and one weight is above zero (asserted).
[[nodiscard]] std::vector<Fen> share_out(Fen amount, const std::vector<std::int64_t>& weights);

// One meter of a pool through a month, or through the part of it that one price holds for.
struct PoolMeter {
    std::string meter;
    Milli from, to;  // totals
    bool estimated = false;
    friend bool operator==(const PoolMeter&, const PoolMeter&) = default;
};
// What one version of the tariff prices: the mains less the subs of its days.
struct PoolPart {
    LocalDate version;  // its valid_from
    LocalDate first, last;
    Price price;
    Milli quantity;
    Fen amount;
    friend bool operator==(const PoolPart&, const PoolPart&) = default;
};
struct PoolMember {
    std::string unit;
    std::int64_t weight = 0;  // 1; area in 1e-2 m2; use in 1e-3
    Fen amount;
    std::string account;       // who is charged; empty: nobody is
    bool paid_at_end = false;  // nobody is, since who left has paid a share of it
    friend bool operator==(const PoolMember&, const PoolMember&) = default;
};
// A month of a pool. With problems it is a draft that can be charged to nobody.
struct PoolSheet {
    std::string pool, month, tariff;
    Service service = Service::electricity;
    PoolShare share = PoolShare::equal;
    std::vector<PoolMeter> mains, subs;
    std::vector<PoolPart> parts;
    Milli quantity;
    Fen amount;
    std::vector<PoolMember> members;
    std::vector<std::string> problems;  // sentences that name place and remedy
    bool negative = false;              // the subs counted more than the mains: one is wrong
};

// Why a tariff cannot price a pool; empty: it can. A ladder, bands, fees, a minimum or a step mean
// a household and not what is left between meters.
[[nodiscard]] std::string pool_tariff_fault(const Tariff& tariff);

// Prices parts, adds up, and shares out among the members by their weights. Where something stands
// in the way, problems say so and amounts stay zero.
void settle_pool(PoolSheet& sheet);

}  // namespace gatehouse
