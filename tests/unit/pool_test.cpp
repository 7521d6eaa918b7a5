#include "daemon/core/pool.hpp"

#include <random>

#include "tests/support/catch.hpp"

using namespace gatehouse;

namespace {

std::vector<std::string> shared(const std::string& amount,
                                const std::vector<std::int64_t>& weights) {
    std::vector<std::string> texts;
    for (const Fen share : share_out(Fen{*parse_decimal(amount, 2)}, weights))
        texts.push_back(format(share));
    return texts;
}
using Texts = std::vector<std::string>;

PoolSheet sheet_of(const std::string& quantity, const std::string& price, std::size_t members) {
    PoolSheet sheet;
    sheet.parts.push_back({{2026, 1, 1},
                           {2026, 11, 1},
                           {2026, 11, 30},
                           Price{*parse_decimal(price, 8)},
                           Milli{*parse_decimal(quantity, 3)},
                           {}});
    for (std::size_t i = 0; i < members; ++i)
        sheet.members.push_back({"u-" + std::to_string(i), 1, {}, "a-" + std::to_string(i)});
    return sheet;
}

Fen sum_of(const PoolSheet& sheet) {
    Fen sum;
    for (const PoolMember& member : sheet.members) sum += member.amount;
    return sum;
}

Tariff flat() {
    Tariff tariff;
    tariff.tariff = "flat";
    tariff.versions.push_back({});
    tariff.versions.front().tiers.push_back({{}, {}, Price{52'830'000}, {}});
    return tariff;
}

}  // namespace

TEST_CASE("V8: an amount by area and in three equal shares sums to the fen") {
    CHECK(shared("100.00", {8937, 12000, 8937}) == Texts{"29.92", "40.17", "29.91"});
    CHECK(shared("100.00", {1, 1, 1}) == Texts{"33.34", "33.33", "33.33"});
    CHECK(shared("0.02", {1, 1, 1}) == Texts{"0.01", "0.01", "0.00"});
    CHECK(shared("0.00", {3, 1}) == Texts{"0.00", "0.00"});
    CHECK(shared("7.00", {0, 1, 0}) == Texts{"0.00", "7.00", "0.00"});
}

TEST_CASE("V8b: 128 homes share 3517.4 kWh at 0.5283, and no fen is lost") {
    PoolSheet sheet = sheet_of("3517.4", "0.5283", 128);
    settle_pool(sheet);
    CHECK(format(sheet.amount) == "1858.24");
    CHECK(sum_of(sheet) == sheet.amount);
    // 185824 = 128 x 1451 + 96: the first 96 pay the odd fen.
    CHECK(format(sheet.members[95].amount) == "14.52");
    CHECK(format(sheet.members[96].amount) == "14.51");
}

TEST_CASE("V20: where the meters below counted more than the main one nobody is charged") {
    PoolSheet sheet = sheet_of("-3.20", "0.5283", 3);
    settle_pool(sheet);
    CHECK(sheet.negative);
    REQUIRE(sheet.problems.size() == 1);
    CHECK(sheet.problems.front().find("3.200 more than the main meters") != std::string::npos);
    CHECK(sheet.amount.count == 0);
    CHECK(sum_of(sheet).count == 0);
    // A part below zero is not hidden by a good one.
    PoolSheet mixed = sheet_of("100", "0.5283", 3);
    mixed.parts.push_back(mixed.parts.front());
    mixed.parts.back().quantity = Milli{-1};
    settle_pool(mixed);
    CHECK(mixed.negative);
    CHECK(mixed.amount.count == 0);
}

TEST_CASE("a pool that two prices hold for is priced part by part") {
    PoolSheet sheet = sheet_of("3.000", "0.5583", 2);
    sheet.parts.push_back(sheet.parts.front());
    sheet.parts.back().price = Price{60'000'000};
    settle_pool(sheet);
    CHECK(format(sheet.amount) == "3.47");  // 1.67 + 1.80, as V7
    CHECK(format(sheet.members[0].amount) == "1.74");
    CHECK(format(sheet.members[1].amount) == "1.73");
}

TEST_CASE("a pool without members or weights says so") {
    PoolSheet none = sheet_of("1", "1", 0);
    settle_pool(none);
    CHECK(none.problems == Texts{"the pool has no members"});
    PoolSheet idle = sheet_of("1", "1", 2);
    idle.share = PoolShare::usage;
    for (PoolMember& member : idle.members) member.weight = 0;
    settle_pool(idle);
    CHECK(idle.problems == Texts{"no member has a share: every use is zero"});
}

TEST_CASE("shares of any weights sum to the amount and differ from it by less than a fen") {
    const std::uint64_t seed = 20261126;
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    for (int round = 0; round < 2'000; ++round) {
        std::vector<std::int64_t> weights;
        Int128 all = 0;
        for (std::size_t i = 0; i < 1 + random() % 40; ++i) {
            weights.push_back(static_cast<std::int64_t>(random() % 100'000));
            all += weights.back();
        }
        if (all == 0) continue;
        const Fen amount{static_cast<std::int64_t>(random() % 100'000'000)};
        const std::vector<Fen> shares = share_out(amount, weights);
        Fen sum;
        for (std::size_t i = 0; i < shares.size(); ++i) {
            sum += shares[i];
            const Int128 off = Int128{shares[i].count} * all - Int128{amount.count} * weights[i];
            REQUIRE(off < all);
            REQUIRE(-off < all);
        }
        REQUIRE(sum == amount);
    }
}

TEST_CASE("a pool is priced by one price without fees") {
    CHECK(pool_tariff_fault(flat()).empty());
    Tariff fee = flat();
    fee.versions.front().fixed.push_back({"service", FeePeriod::month, Fen{200}});
    CHECK(pool_tariff_fault(fee).find("without fees") != std::string::npos);
    Tariff ladder = flat();
    ladder.versions.front().ladder = LadderPeriod::year;
    CHECK_FALSE(pool_tariff_fault(ladder).empty());
    Tariff step = flat();
    step.versions.front().quantity_step = Milli{1'000};
    CHECK_FALSE(pool_tariff_fault(step).empty());
}
