#include "daemon/core/pool.hpp"

#include <algorithm>
#include <numeric>

#include "daemon/core/assert.hpp"
#include "daemon/core/money.hpp"

namespace gatehouse {

std::vector<Fen> share_out(Fen amount, const std::vector<std::int64_t>& weights) {
    GH_ASSERT(amount.count >= 0);
    Int128 all = 0;
    for (const std::int64_t weight : weights) {
        GH_ASSERT(weight >= 0);
        all += weight;
    }
    GH_ASSERT(all > 0);
    std::vector<Fen> shares;
    std::vector<Int128> lost;
    Fen left = amount;
    for (const std::int64_t weight : weights) {
        const Int128 product = Int128{amount.count} * weight;
        shares.push_back({static_cast<std::int64_t>(product / all)});
        lost.push_back(product % all);
        left -= shares.back();
    }
    std::vector<std::size_t> order(weights.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return lost[a] > lost[b]; });
    // Fewer are left than there are members: each lost less than one.
    GH_ASSERT(left.count >= 0 &&
              static_cast<std::size_t>(left.count) < std::max<std::size_t>(weights.size(), 1));
    for (std::int64_t i = 0; i < left.count; ++i) shares[order[static_cast<std::size_t>(i)]] += {1};
    return shares;
}

std::string pool_tariff_fault(const Tariff& tariff) {
    for (const TariffVersion& version : tariff.versions) {
        const bool flat = version.ladder == LadderPeriod::none && version.bands.empty() &&
                          version.tiers.size() == 1 && version.tiers.front().months.empty();
        const bool plain = version.fixed.empty() && version.minimum.count == 0 &&
                           version.quantity_step.count <= 1 && !version.per_person;
        if (!flat || !plain)
            return "tariff `" + tariff.tariff + "`, version " + format_date(version.valid_from) +
                   ", is more than one price; a pool is shared at a flat price without fees";
    }
    return {};
}

void settle_pool(PoolSheet& sheet) {
    sheet.quantity = {};
    sheet.amount = {};
    for (const PoolPart& part : sheet.parts) sheet.quantity += part.quantity;
    // A part below zero beside others above it is a meter that was read late, and no price of the
    // other days mends it.
    for (const PoolPart& part : sheet.parts) {
        if (part.quantity.count >= 0) continue;
        sheet.negative = true;
        sheet.problems.push_back(
            "from " + format_date(part.first) + " to " + format_date(part.last) +
            " the meters below counted " + format(-part.quantity) +
            " more than the main meters; one of them is wrong, or stands in the wrong list: look "
            "at the readings and at pools.csv");
        break;
    }
    if (sheet.members.empty()) sheet.problems.push_back("the pool has no members");
    Int128 weights = 0;
    for (const PoolMember& member : sheet.members) weights += member.weight;
    if (!sheet.members.empty() && weights == 0)
        sheet.problems.push_back("no member has a share: every " +
                                 std::string(sheet.share == PoolShare::area ? "area" : "use") +
                                 " is zero");
    if (!sheet.problems.empty()) return;
    for (PoolPart& part : sheet.parts) {
        part.amount = target(part.price, part.quantity);
        sheet.amount += part.amount;
    }
    std::vector<std::int64_t> list;
    for (const PoolMember& member : sheet.members) list.push_back(member.weight);
    const std::vector<Fen> shares = share_out(sheet.amount, list);
    for (std::size_t i = 0; i < shares.size(); ++i) sheet.members[i].amount = shares[i];
}

}  // namespace gatehouse
