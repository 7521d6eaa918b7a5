#include "daemon/core/reply_shape.hpp"

#include <algorithm>
#include <optional>

namespace gatehouse {
namespace {

constexpr int kRoundsMax = 32;

using Spans = std::vector<RegisterSpan>;

bool looks_like(const RegisterSpan& a, const RegisterSpan& b) {
    return a != b && a.table == b.table && a.count == b.count;
}

class Shapes {
  public:
    Shapes(std::vector<Spans>& plans, const Spans& vital, const Spans& others, const Spans& values,
           const BlockRules& rules)
        : plans_(plans), vital_(vital), others_(others), values_(values), rules_(rules) {
        std::sort(values_.begin(), values_.end());
    }

    // One pair that looks alike is told apart; false: none is left that can be.
    bool improve() {
        for (const Spans& plan : plans_) {
            for (const RegisterSpan& block : plan) {
                if (!is_vital(block)) continue;
                const auto twin = find_twin(block);
                if (!twin) continue;
                const auto grown = grow(block);
                const auto grown_twin = is_planned(*twin) ? grow(*twin) : std::nullopt;
                if (!grown && !grown_twin) continue;
                const bool twin_is_cheaper =
                    grown_twin &&
                    (!grown || grown_twin->count - twin->count < grown->count - block.count);
                if (twin_is_cheaper) {
                    replace(*twin, *grown_twin);
                } else {
                    replace(block, *grown);
                }
                return true;
            }
        }
        return false;
    }

  private:
    [[nodiscard]] bool is_vital(const RegisterSpan& block) const {
        return std::any_of(vital_.begin(), vital_.end(),
                           [&](const RegisterSpan& span) { return block.contains(span); });
    }
    [[nodiscard]] bool is_planned(const RegisterSpan& block) const {
        return std::any_of(plans_.begin(), plans_.end(), [&](const Spans& plan) {
            return std::find(plan.begin(), plan.end(), block) != plan.end();
        });
    }
    [[nodiscard]] std::optional<RegisterSpan> find_twin(const RegisterSpan& block) const {
        const auto alike = [&](const RegisterSpan& other) { return looks_like(block, other); };
        for (const Spans& plan : plans_) {
            const auto found = std::find_if(plan.begin(), plan.end(), alike);
            if (found != plan.end()) return *found;
        }
        const auto found = std::find_if(others_.begin(), others_.end(), alike);
        if (found != others_.end()) return *found;
        return std::nullopt;
    }
    // The least larger block of whole values around this one that looks like no other.
    [[nodiscard]] std::optional<RegisterSpan> grow(const RegisterSpan& block) const {
        std::optional<RegisterSpan> best;
        for (std::size_t from = 0; from < values_.size(); ++from) {
            if (values_[from].table != block.table) continue;
            RegisterSpan larger = values_[from];
            for (std::size_t to = from; to < values_.size(); ++to) {
                if (values_[to].table != block.table) break;
                if (!rules_.fill_holes && values_[to].first > larger.end()) break;
                larger.count = std::max(larger.end(), values_[to].end()) - larger.first;
                if (larger.count > rules_.registers_max || meets_forbidden(larger)) break;
                if (!larger.contains(block) || larger == block || find_twin(larger)) continue;
                if (!best || larger.count < best->count) best = larger;
            }
        }
        return best;
    }
    [[nodiscard]] bool meets_forbidden(const RegisterSpan& block) const {
        return std::any_of(rules_.forbidden.begin(), rules_.forbidden.end(),
                           [&](const RegisterSpan& span) {
                               return span.table == block.table && span.first < block.end() &&
                                      block.first < span.end();
                           }) ||
               std::any_of(rules_.cuts.begin(), rules_.cuts.end(), [&](const BlockCut& cut) {
                   return cut.table == block.table && block.first < cut.at && cut.at < block.end();
               });
    }
    // What the larger block holds now is not asked for twice.
    void replace(RegisterSpan old, RegisterSpan grown) {
        for (Spans& plan : plans_) {
            const auto found = std::find(plan.begin(), plan.end(), old);
            if (found == plan.end()) continue;
            *found = grown;
            Spans kept;
            for (const RegisterSpan& block : plan) {
                const bool again = std::find(kept.begin(), kept.end(), block) != kept.end();
                if (!again && (block == grown || !grown.contains(block))) kept.push_back(block);
            }
            plan = std::move(kept);
        }
    }

    std::vector<Spans>& plans_;
    const Spans& vital_;
    const Spans& others_;
    Spans values_;
    const BlockRules& rules_;
};

}  // namespace

void tell_apart(std::vector<std::vector<RegisterSpan>>& plans,
                const std::vector<RegisterSpan>& vital, const std::vector<RegisterSpan>& others,
                const std::vector<RegisterSpan>& values, const BlockRules& rules) {
    Shapes shapes(plans, vital, others, values, rules);
    for (int round = 0; round < kRoundsMax && shapes.improve(); ++round) {
    }
}

}  // namespace gatehouse
