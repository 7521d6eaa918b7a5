#include "daemon/core/meter_blocks.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "daemon/core/assert.hpp"
#include "daemon/core/reply_shape.hpp"

namespace gatehouse {
namespace {

bool overlaps(const RegisterSpan& a, const RegisterSpan& b) {
    return a.table == b.table && a.first < b.end() && b.first < a.end();
}

// A quarter more or less, and two milliseconds, before planning anew is worth a thought.
bool moved(std::int64_t before, std::int64_t now, std::int64_t least) {
    return std::abs(now - before) > std::max(before / 4, least);
}

std::vector<RegisterSpan> sorted(std::vector<RegisterSpan> spans) {
    std::sort(spans.begin(), spans.end());
    spans.erase(std::unique(spans.begin(), spans.end()), spans.end());
    return spans;
}

std::int64_t next_retry(std::int64_t before_ms) {
    if (before_ms == 0) return MeterBlocks::kRetryFirstMs;
    return std::min(before_ms * 2, MeterBlocks::kRetryMaxMs);
}

// The registers as one read from the first to the last of them.
RegisterSpan hull(const std::vector<RegisterSpan>& spans, std::size_t from, std::size_t to) {
    RegisterSpan all = spans[from];
    for (std::size_t i = from; i < to; ++i) {
        all.count = std::max(all.end(), spans[i].end()) - all.first;
    }
    return all;
}

}  // namespace

bool blames_block(int exception) {
    return exception >= 1 && exception <= 3;
}

std::shared_ptr<const MeterValues> in_order(MeterValues values) {
    for (auto* spans : {&values.routine, &values.vital, &values.identity}) {
        *spans = sorted(std::move(*spans));
    }
    return std::make_shared<const MeterValues>(std::move(values));
}

MeterBlocks::MeterBlocks(std::shared_ptr<const MeterValues> values) : values_(std::move(values)) {
    GH_ASSERT(values_->channels.empty() || values_->channel < values_->channels.size());
}

void MeterBlocks::inherit(const MeterBlocks& before) {
    if (before.values_->routine != values_->routine ||
        before.values_->identity != values_->identity) {
        return;
    }
    asides_ = before.asides_;
    grown_ = before.grown_;
    grow_at_ = before.grow_at_;
    grow_ms_ = before.grow_ms_;
}

const std::vector<RegisterSpan>& MeterBlocks::vital_values() const {
    return values_->vital.empty() ? values_->routine : values_->vital;
}

bool MeterBlocks::is_aside(const RegisterSpan& span) const {
    return std::any_of(asides_.begin(), asides_.end(),
                       [&](const Aside& aside) { return aside.active && aside.span == span; });
}

std::vector<RegisterSpan> MeterBlocks::wanted(const std::vector<RegisterSpan>& values) const {
    std::vector<RegisterSpan> left = values;
    std::erase_if(left, [&](const RegisterSpan& value) { return is_aside(value); });
    return left;
}

BlockRules MeterBlocks::rules_now() const {
    BlockRules rules = values_->rules;
    for (const Aside& aside : asides_) {
        if (!aside.active) continue;
        if (aside.span.count == 0) {
            rules.cuts.push_back({aside.span.table, aside.span.first});
            continue;
        }
        // A value that shares registers with it is still wanted and was not refused.
        const auto shared = [&](const RegisterSpan& value) {
            return overlaps(value, aside.span) && !is_aside(value);
        };
        const bool kept = std::any_of(values_->routine.begin(), values_->routine.end(), shared) ||
                          std::any_of(values_->identity.begin(), values_->identity.end(), shared);
        if (!kept) rules.forbidden.push_back(aside.span);
    }
    return rules;
}

std::vector<RegisterSpan> MeterBlocks::plan_routine(const BlockRules& rules,
                                                    const WireCost& cost) const {
    if (values_->channels.empty() || !grown_)
        return plan_blocks(wanted(values_->routine), rules, cost);
    // All meters of the address together, so that each comes to the same blocks.
    std::vector<std::vector<RegisterSpan>> plans;
    for (const auto& values : values_->channels)
        plans.push_back(plan_blocks(wanted(values), rules, cost));
    tell_apart(plans, values_->channels_vital, plan_blocks(wanted(values_->identity), rules, cost),
               wanted(values_->known), rules);
    return plans[values_->channel];
}

bool MeterBlocks::plan(const WireCost& cost, MonoMs now) {
    drop_cuts_due(now);
    if (!grown_ && grow_at_ <= now) {
        // The refusal may have been somebody else's: it has no length to be told by.
        grown_ = true;
        planned_ = false;
    }
    const bool same = planned_ && cost.pause_us == planned_for_.pause_us &&
                      !moved(planned_for_.char_us, cost.char_us, 10) &&
                      !moved(planned_for_.turnaround_us, cost.turnaround_us, 2'000);
    if (same) return false;
    const BlockRules rules = rules_now();
    std::vector<RegisterSpan> routine = plan_routine(rules, cost);
    std::vector<RegisterSpan> identity = plan_blocks(wanted(values_->identity), rules, cost);
    const bool changed = routine != routine_ || identity != identity_;
    routine_ = std::move(routine);
    identity_ = std::move(identity);
    planned_for_ = cost;
    planned_ = true;
    return changed;
}

bool MeterBlocks::vital(const RegisterSpan& block) const {
    const std::vector<RegisterSpan>& values = vital_values();
    return std::any_of(values.begin(), values.end(),
                       [&](const RegisterSpan& value) { return overlaps(value, block); });
}

MeterBlocks::Verdict MeterBlocks::refused(const RegisterSpan& block, const std::string& why,
                                          MonoMs now) {
    clusters_.clear();
    std::vector<RegisterSpan> values = wanted(values_->routine);
    const std::vector<RegisterSpan> described = wanted(values_->identity);
    values.insert(values.end(), described.begin(), described.end());
    std::vector<RegisterSpan> clusters;
    for (const RegisterSpan& value : sorted(std::move(values))) {
        if (!block.contains(value)) continue;
        if (!clusters.empty() && overlaps(clusters.back(), value)) {
            RegisterSpan& last = clusters.back();
            last.count = std::max(last.end(), value.end()) - last.first;
        } else {
            clusters.push_back(value);
        }
    }
    if (clusters.empty()) return Verdict::hopeless;
    if (grown_ && !values_->channels.empty() && hull(clusters, 0, clusters.size()) != block) {
        // It was read for its length alone, or for another meter of the address, which asks itself.
        grown_ = false;
        grow_ms_ = next_retry(grow_ms_);
        grow_at_ = now + grow_ms_;
        planned_ = false;
        return Verdict::settled;
    }
    if (clusters.size() == 1) return conclude(clusters.front(), why, now);
    clusters_ = std::move(clusters);
    low_ = 0;
    high_ = clusters_.size();
    right_half_ = false;
    return Verdict::searching;
}

RegisterSpan MeterBlocks::search_read() const {
    GH_ASSERT(searching() && high_ - low_ >= 2);
    const std::size_t middle = (low_ + high_) / 2;
    return right_half_ ? hull(clusters_, middle, high_) : hull(clusters_, low_, middle);
}

MeterBlocks::Verdict MeterBlocks::search_answered(bool refused, const std::string& why,
                                                  MonoMs now) {
    GH_ASSERT(searching());
    const std::size_t middle = (low_ + high_) / 2;
    if (!refused && !right_half_) {
        right_half_ = true;
        return Verdict::searching;
    }
    if (!refused) {
        const RegisterSpan right = clusters_[middle];
        put_aside({right.table, right.first, 0}, "read in one with what stands before it: " + why,
                  now);
        return Verdict::settled;
    }
    (right_half_ ? low_ : high_) = middle;
    right_half_ = false;
    if (high_ - low_ >= 2) return Verdict::searching;
    return conclude(clusters_[low_], why, now);
}

MeterBlocks::Verdict MeterBlocks::conclude(const RegisterSpan& cluster, const std::string& why,
                                           MonoMs now) {
    const bool alone = clusters_.empty();
    clusters_.clear();
    if (vital(cluster)) {
        if (alone) return Verdict::hopeless;
        // The others are read without it from here on, and it is asked for alone.
        put_aside({cluster.table, cluster.first, 0}, why, now);
        put_aside({cluster.table, cluster.end(), 0}, why, now);
        return Verdict::hopeless;
    }
    for (const auto* values : {&values_->routine, &values_->identity}) {
        for (const RegisterSpan& value : *values) {
            if (cluster.contains(value)) put_aside(value, why, now);
        }
    }
    return Verdict::settled;
}

void MeterBlocks::put_aside(const RegisterSpan& span, const std::string& why, MonoMs now) {
    clusters_.clear();
    planned_ = false;
    auto known = std::find_if(asides_.begin(), asides_.end(),
                              [&](const Aside& aside) { return aside.span == span; });
    if (known == asides_.end()) {
        asides_.push_back({span, "", now, now, 0, true});
        known = asides_.end() - 1;
    }
    if (!known->active) known->since = now;
    known->active = true;
    known->reason = why;
    known->retry_ms = next_retry(known->retry_ms);
    known->retry_at = now + known->retry_ms;
}

std::optional<RegisterSpan> MeterBlocks::retry(MonoMs now) const {
    for (const Aside& aside : asides_) {
        if (aside.active && aside.span.count > 0 && aside.retry_at <= now) return aside.span;
    }
    return std::nullopt;
}

void MeterBlocks::retried(const RegisterSpan& span, bool refused, const std::string& why,
                          MonoMs now) {
    for (Aside& aside : asides_) {
        if (aside.span != span || !aside.active) continue;
        if (refused) {
            put_aside(span, why, now);
            return;
        }
        aside.active = false;
        planned_ = false;
    }
}

void MeterBlocks::try_all_again(MonoMs now) {
    for (Aside& aside : asides_) aside.retry_at = std::min(aside.retry_at, now);
    planned_ = planned_ && grown_;
    grown_ = true;
    drop_cuts_due(now);
}

// A cut is tried by reading over it again: if that is refused, the search finds it in a few reads.
void MeterBlocks::drop_cuts_due(MonoMs now) {
    for (Aside& aside : asides_) {
        if (!aside.active || aside.span.count > 0 || aside.retry_at > now) continue;
        aside.active = false;
        planned_ = false;
    }
}

std::vector<SetAside> MeterBlocks::set_aside() const {
    std::vector<SetAside> all;
    for (const Aside& aside : asides_) {
        if (!aside.active) continue;
        all.push_back({static_cast<int>(aside.span.table), aside.span.first, aside.span.count,
                       aside.reason, aside.since, aside.retry_at});
    }
    return all;
}

}  // namespace gatehouse
