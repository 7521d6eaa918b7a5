#include "tests/simulation/money_plants.hpp"

#include <set>

#include "daemon/core/money.hpp"
#include "daemon/core/settlement.hpp"
#include "daemon/core/tariff.hpp"
#include "daemon/core/validation.hpp"
#include "daemon/engine/account_book.hpp"
#include "daemon/engine/late_end.hpp"
#include "daemon/store/account_books.hpp"
#include "daemon/store/store.hpp"

// The names that the linker gives a function and what stands in its place. Where one of them is
// changed, the link fails here and names it.
#define GATEHOUSE_REAL(symbol) __asm__("__real_" symbol)
#define GATEHOUSE_WRAP(symbol) __asm__("__wrap_" symbol)

namespace gatehouse::money {
namespace {

enum class Plant {
    nothing,
    half_down,         // half a fen is dropped
    day_twice,         // after a restart a day that was charged is charged again
    ladder_lost,       // a replacement begins the ladder anew
    end_tier,          // the price of the tier that was reached is taken for the whole interval
    held_baseline,     // a quarantined value becomes the baseline
    edge_up,           // the total at an edge is rounded up
    forgotten_key,     // an Idempotency-Key is not remembered
    tomorrows_price,   // a day is priced by the version of the day after
    one_sample,        // a sample needs no second one
    month_of_posting,  // the last day of a month falls into the month in which it is posted
    hour_late,         // a total at an hour is taken for that of the next one
    late_fees_stay,    // an end with a date takes nothing back
};
const std::vector<std::string> kNames{
    "nothing",          "half_down", "day_twice",     "ladder_lost",     "end_tier",
    "held_baseline",    "edge_up",   "forgotten_key", "tomorrows_price", "one_sample",
    "month_of_posting", "hour_late", "late_fees_stay"};
Plant planted = Plant::nothing;
std::int64_t postings = 0;

}  // namespace

std::vector<std::string> plant_names() {
    return kNames;
}

std::int64_t postings_made() {
    return postings;
}

void plant(const std::string& name) {
    for (std::size_t i = 0; i < kNames.size(); ++i)
        if (kNames[i] == name) planted = static_cast<Plant>(i);
}

Fen real_target(Price price, Milli quantity)
    GATEHOUSE_REAL("_ZN9gatehouse6targetENS_6AmountINS_9PriceUnitEEENS0_INS_9MilliUnitEEE");
Fen planted_target(Price price, Milli quantity)
    GATEHOUSE_WRAP("_ZN9gatehouse6targetENS_6AmountINS_9PriceUnitEEENS0_INS_9MilliUnitEEE");
Fen planted_target(Price price, Milli quantity) {
    const Fen right = real_target(price, quantity);
    const Int128 rest = Int128{price.count} * quantity.count % 1'000'000'000;
    return planted == Plant::half_down && rest == 500'000'000 ? right - Fen{1} : right;
}

bool real_add_posting(Store* store, const std::string& account, const std::string& cause)
    GATEHOUSE_REAL(
        "_ZN9gatehouse5Store11add_postingERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
        "S8_");
bool counted_add_posting(Store* store, const std::string& account, const std::string& cause)
    GATEHOUSE_WRAP(
        "_ZN9gatehouse5Store11add_postingERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
        "S8_");
bool counted_add_posting(Store* store, const std::string& account, const std::string& cause) {
    ++postings;
    return real_add_posting(store, account, cause);
}

void real_put_mark(Store* store, const MarkRow& mark, bool begins)
    GATEHOUSE_REAL("_ZN9gatehouse5Store8put_markERKNS_7MarkRowEb");
void planted_put_mark(Store* store, const MarkRow& mark, bool begins)
    GATEHOUSE_WRAP("_ZN9gatehouse5Store8put_markERKNS_7MarkRowEb");
void planted_put_mark(Store* store, const MarkRow& mark, bool begins) {
    static std::set<std::string> known;
    const bool fresh = known.insert(mark.account + "/" + mark.meter).second;
    if (fresh || planted != Plant::day_twice) real_put_mark(store, mark, begins);
}

bool real_post_meters(Context& context, std::size_t account, const std::vector<std::size_t>& meters,
                      UtcMs up_to_edge, const std::string& cause, const std::string& key)
    GATEHOUSE_REAL(
        "_ZN9gatehouse11post_metersERNS_7ContextEmRKSt6vectorImSaImEElRKNSt7__cxx1112basic_"
        "stringIcSt11char_traitsIcESaIcEEESE_");
bool planted_post_meters(Context& context, std::size_t account,
                         const std::vector<std::size_t>& meters, UtcMs up_to_edge,
                         const std::string& cause, const std::string& key)
    GATEHOUSE_WRAP(
        "_ZN9gatehouse11post_metersERNS_7ContextEmRKSt6vectorImSaImEElRKNSt7__cxx1112basic_"
        "stringIcSt11char_traitsIcESaIcEEESE_");
bool planted_post_meters(Context& context, std::size_t account,
                         const std::vector<std::size_t>& meters, UtcMs up_to_edge,
                         const std::string& cause, const std::string& key) {
    const bool done = real_post_meters(context, account, meters, up_to_edge, cause, key);
    if (planted == Plant::ladder_lost && cause.rfind("meter:", 0) == 0)
        context.world.accounts[account].settlement.counters.clear();
    return done;
}

std::vector<TierPart> real_split(const Ladder& ladder, Milli used, Milli quantity)
    GATEHOUSE_REAL("_ZN9gatehouse5splitERKNS_6LadderENS_6AmountINS_9MilliUnitEEES5_");
std::vector<TierPart> planted_split(const Ladder& ladder, Milli used, Milli quantity)
    GATEHOUSE_WRAP("_ZN9gatehouse5splitERKNS_6LadderENS_6AmountINS_9MilliUnitEEES5_");
std::vector<TierPart> planted_split(const Ladder& ladder, Milli used, Milli quantity) {
    std::vector<TierPart> parts = real_split(ladder, used, quantity);
    if (planted == Plant::end_tier && parts.size() > 1) {
        parts.erase(parts.begin(), parts.end() - 1);
        parts.back().quantity = quantity;
    }
    return parts;
}

Verdict real_judge(MeterState& state, const Sample& sample, const SampleTime& time,
                   const MeterTerms& terms)
    GATEHOUSE_REAL(
        "_ZN9gatehouse5judgeERNS_10MeterStateERKNS_6SampleERKNS_10SampleTimeERKNS_"
        "10MeterTermsE");
Verdict planted_judge(MeterState& state, const Sample& sample, const SampleTime& time,
                      const MeterTerms& terms)
    GATEHOUSE_WRAP(
        "_ZN9gatehouse5judgeERNS_10MeterStateERKNS_6SampleERKNS_10SampleTimeERKNS_"
        "10MeterTermsE");
Verdict planted_judge(MeterState& state, const Sample& sample, const SampleTime& time,
                      const MeterTerms& terms) {
    Verdict verdict = real_judge(state, sample, time, terms);
    if (planted == Plant::held_baseline && verdict.opened && state.baseline) {
        const ReadValue& value = verdict.opened->value;
        state.base.base_total = state.baseline->total;
        state.base.base_figure = value.figure;
        state.baseline->exact = value.exact;
        state.baseline->register_value = value.register_value;
    }
    if (planted == Plant::one_sample && verdict.confirmed.empty() && !verdict.held) {
        Sample again = sample;
        again.confirming = true;
        verdict = real_judge(state, again, time, terms);
    }
    return verdict;
}

Milli real_total_at_edge(Milli total0, UtcMs t0, Milli total1, UtcMs t1, UtcMs edge)
    GATEHOUSE_REAL("_ZN9gatehouse13total_at_edgeENS_6AmountINS_9MilliUnitEEElS2_ll");
Milli planted_total_at_edge(Milli total0, UtcMs t0, Milli total1, UtcMs t1, UtcMs edge)
    GATEHOUSE_WRAP("_ZN9gatehouse13total_at_edgeENS_6AmountINS_9MilliUnitEEElS2_ll");
Milli planted_total_at_edge(Milli total0, UtcMs t0, Milli total1, UtcMs t1, UtcMs edge) {
    const Milli right = real_total_at_edge(total0, t0, total1, t1, edge);
    const bool up = planted == Plant::edge_up && right > total0 && right < total1;
    return up ? right + Milli{1} : right;
}

std::optional<IdempotencyRow> real_idempotency(Store* store, const std::string& key) GATEHOUSE_REAL(
    "_ZN9gatehouse5Store11idempotencyERKNSt7__cxx1112basic_stringIcSt11char_"
    "traitsIcESaIcEEE");
std::optional<IdempotencyRow> planted_idempotency(Store* store, const std::string& key)
    GATEHOUSE_WRAP(
        "_ZN9gatehouse5Store11idempotencyERKNSt7__cxx1112basic_stringIcSt11char_"
        "traitsIcESaIcEEE");
std::optional<IdempotencyRow> planted_idempotency(Store* store, const std::string& key) {
    if (planted == Plant::forgotten_key) return std::nullopt;
    return real_idempotency(store, key);
}

bool real_add_idempotency(Store* store, const IdempotencyRow& row, const Stamp& at)
    GATEHOUSE_REAL("_ZN9gatehouse5Store15add_idempotencyERKNS_14IdempotencyRowERKNS_5StampE");
bool planted_add_idempotency(Store* store, const IdempotencyRow& row, const Stamp& at)
    GATEHOUSE_WRAP("_ZN9gatehouse5Store15add_idempotencyERKNS_14IdempotencyRowERKNS_5StampE");
bool planted_add_idempotency(Store* store, const IdempotencyRow& row, const Stamp& at) {
    return real_add_idempotency(store, row, at) || planted == Plant::forgotten_key;
}

const TariffVersion* real_version_on(const Tariff& tariff, LocalDate date)
    GATEHOUSE_REAL("_ZN9gatehouse10version_onERKNS_6TariffENS_9LocalDateE");
const TariffVersion* planted_version_on(const Tariff& tariff, LocalDate date)
    GATEHOUSE_WRAP("_ZN9gatehouse10version_onERKNS_6TariffENS_9LocalDateE");
const TariffVersion* planted_version_on(const Tariff& tariff, LocalDate date) {
    if (planted == Plant::tomorrows_price) date = date_from_days(days_since_epoch(date) + 1);
    return real_version_on(tariff, date);
}

std::string real_month_scope(LocalDate date)
    GATEHOUSE_REAL("_ZN9gatehouse11month_scopeB5cxx11ENS_9LocalDateE");
std::string planted_month_scope(LocalDate date)
    GATEHOUSE_WRAP("_ZN9gatehouse11month_scopeB5cxx11ENS_9LocalDateE");
std::string planted_month_scope(LocalDate date) {
    if (planted == Plant::month_of_posting) date = date_from_days(days_since_epoch(date) + 1);
    return real_month_scope(date);
}

std::optional<Milli> real_hour(AccountBooks* books, const std::string& meter, std::int64_t hour)
    GATEHOUSE_REAL(
        "_ZN9gatehouse12AccountBooks4hourERKNSt7__cxx1112basic_stringIcSt11char_"
        "traitsIcESaIcEEEl");
std::optional<Milli> planted_hour(AccountBooks* books, const std::string& meter, std::int64_t hour)
    GATEHOUSE_WRAP(
        "_ZN9gatehouse12AccountBooks4hourERKNSt7__cxx1112basic_stringIcSt11char_"
        "traitsIcESaIcEEEl");
std::optional<Milli> planted_hour(AccountBooks* books, const std::string& meter,
                                  std::int64_t hour) {
    return real_hour(books, meter, planted == Plant::hour_late ? hour - 1 : hour);
}

void real_take_back(Context& context, std::size_t account, UtcMs end, const Act& act)
    GATEHOUSE_REAL("_ZN9gatehouse19take_back_after_endERNS_7ContextEmlRKNS_3ActE");
void planted_take_back(Context& context, std::size_t account, UtcMs end, const Act& act)
    GATEHOUSE_WRAP("_ZN9gatehouse19take_back_after_endERNS_7ContextEmlRKNS_3ActE");
void planted_take_back(Context& context, std::size_t account, UtcMs end, const Act& act) {
    if (planted != Plant::late_fees_stay) real_take_back(context, account, end, act);
}

}  // namespace gatehouse::money
