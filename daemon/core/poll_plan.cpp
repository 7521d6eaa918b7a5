#include "daemon/core/poll_plan.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

#include "daemon/core/assert.hpp"

namespace gatehouse {
namespace {

// What every exchange costs even where the wire is free: a system call and a gateway's handling. It
// also makes the planner prefer fewer blocks among equals.
constexpr std::int64_t kExchangeLeastUs = 200;
constexpr int kBitsMax = 2000;

bool is_bits(RegisterTable table) {
    return table == RegisterTable::coils || table == RegisterTable::discrete_inputs;
}

int limit_of(RegisterTable table, const BlockRules& rules) {
    return is_bits(table) ? kBitsMax : rules.registers_max;
}

bool overlaps(const RegisterSpan& a, const RegisterSpan& b) {
    return a.table == b.table && a.first < b.end() && b.first < a.end();
}

bool allowed(const RegisterSpan& block, const BlockRules& rules) {
    if (block.count < 1 || block.count > limit_of(block.table, rules)) return false;
    return std::none_of(rules.forbidden.begin(), rules.forbidden.end(),
                        [&](const RegisterSpan& span) { return overlaps(block, span); });
}

bool passes_cut(const RegisterSpan& block, const BlockRules& rules) {
    return std::any_of(rules.cuts.begin(), rules.cuts.end(), [&](const BlockCut& cut) {
        return cut.table == block.table && block.first < cut.at && cut.at < block.end();
    });
}

void sort_unique(std::vector<RegisterSpan>& spans) {
    std::sort(spans.begin(), spans.end());
    spans.erase(std::unique(spans.begin(), spans.end()), spans.end());
}

// The cheapest cut of one table's sorted spans into runs, by dynamic programming: best[i] is the
// least cost of the first i spans.
void plan_table(const std::vector<RegisterSpan>& spans, const BlockRules& rules,
                const WireCost& cost, std::vector<RegisterSpan>& blocks) {
    constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
    const std::size_t count = spans.size();
    std::vector<std::int64_t> best(count + 1, kNever);
    std::vector<std::size_t> cut(count + 1, 0);
    best[0] = 0;
    for (std::size_t from = 0; from < count; ++from) {
        RegisterSpan block = spans[from];
        for (std::size_t to = from; to < count; ++to) {
            if (!rules.fill_holes && spans[to].first > block.end()) break;
            block.count = std::max(block.end(), spans[to].end()) - block.first;
            if (!allowed(block, rules)) break;
            if (to > from && passes_cut(block, rules)) break;
            const std::int64_t total = best[from] + cost.exchange_us(block);
            if (total < best[to + 1]) {
                best[to + 1] = total;
                cut[to + 1] = from;
            }
        }
    }
    const std::size_t found = blocks.size();
    for (std::size_t to = count; to > 0; to = cut[to]) {
        RegisterSpan block = spans[cut[to]];
        for (std::size_t i = cut[to]; i < to; ++i) {
            block.count = std::max(block.end(), spans[i].end()) - block.first;
        }
        blocks.insert(blocks.begin() + static_cast<std::ptrdiff_t>(found), block);
    }
}

}  // namespace

std::int64_t WireCost::exchange_us(const RegisterSpan& span) const {
    // Request 8 bytes, reply 5 and its data, 3.5 characters of silence; halves are kept by
    // doubling.
    const std::int64_t data = is_bits(span.table) ? (span.count + 7) / 8 : 2 * span.count;
    return (33 + 2 * data) * char_us / 2 + turnaround_us + pause_us + kExchangeLeastUs;
}

std::int64_t character_us(int baud, int data_bits, bool parity, int stop_bits) {
    if (baud <= 0) return 0;
    const std::int64_t bits = 1 + data_bits + (parity ? 1 : 0) + stop_bits;
    return (bits * 1'000'000 + baud - 1) / baud;
}

std::int64_t frame_gap_us(int baud, std::int64_t char_us) {
    if (baud <= 0) return 0;
    return baud > 19'200 ? 1'750 : (char_us * 7 + 1) / 2;
}

std::vector<RegisterSpan> plan_blocks(std::vector<RegisterSpan> wanted, const BlockRules& rules,
                                      const WireCost& cost) {
    sort_unique(wanted);
    std::erase_if(wanted, [&](const RegisterSpan& span) { return !allowed(span, rules); });
    std::vector<RegisterSpan> blocks;
    for (auto from = wanted.begin(); from != wanted.end();) {
        const auto to = std::find_if(from, wanted.end(), [&](const RegisterSpan& span) {
            return span.table != from->table;
        });
        plan_table({from, to}, rules, cost, blocks);
        from = to;
    }
    return blocks;
}

std::vector<RegisterSpan> proof_blocks(std::vector<RegisterSpan> values, const BlockRules& rules,
                                       int count_max) {
    sort_unique(values);
    std::map<std::pair<int, RegisterTable>, RegisterSpan> by_length;
    for (std::size_t from = 0; from < values.size(); ++from) {
        RegisterSpan block = values[from];
        for (std::size_t to = from; to < values.size(); ++to) {
            if (values[to].table != block.table) break;
            if (!rules.fill_holes && values[to].first > block.end()) break;
            block.count = std::max(block.end(), values[to].end()) - block.first;
            if (block.count > count_max || !allowed(block, rules)) break;
            by_length.emplace(std::pair{block.count, block.table}, block);
        }
    }
    std::vector<RegisterSpan> blocks;
    for (const auto& [length, block] : by_length) blocks.push_back(block);
    return blocks;
}

std::size_t PollPlan::at(int index) const {
    GH_ASSERT(index >= 0 && static_cast<std::size_t>(index) < entries_.size());
    return static_cast<std::size_t>(index);
}

void PollPlan::reset(int count, std::int64_t interval_ms, MonoMs now) {
    GH_ASSERT(count >= 0 && interval_ms > 0);
    interval_ms_ = interval_ms;
    entries_.assign(static_cast<std::size_t>(count), Entry{});
    for (int i = 0; i < count; ++i) {
        Entry& entry = entries_[static_cast<std::size_t>(i)];
        entry.due = now;
        entry.anchor = now + interval_ms * i / count;
        entry.visited = now - count + i;
    }
}

void PollPlan::inherit(int index, const PollPlan& from, int from_index) {
    const Entry& old = from.entries_[from.at(from_index)];
    Entry& entry = entries_[at(index)];
    entry.hold_until = old.hold_until;
    entry.visited = old.visited;
    entry.urgent = old.urgent;
    entry.due = std::min(old.due, entry.anchor + interval_ms_);
}

std::optional<PollPlan::Pick> PollPlan::pick(MonoMs now) const {
    const Entry* best = nullptr;
    for (const Entry& entry : entries_) {
        if (entry.hold_until > now || (!entry.urgent && entry.due > now)) continue;
        if (best == nullptr) {
            best = &entry;
            continue;
        }
        const auto rank = [](const Entry& e) {
            return std::tuple{!e.urgent, e.urgent ? e.visited : e.due, e.visited};
        };
        if (rank(entry) < rank(*best)) best = &entry;
    }
    if (best == nullptr) return std::nullopt;
    return Pick{static_cast<int>(best - entries_.data()), best->urgent};
}

std::optional<MonoMs> PollPlan::next_at() const {
    std::optional<MonoMs> next;
    for (const Entry& entry : entries_) {
        const MonoMs at = entry.urgent ? entry.hold_until : std::max(entry.due, entry.hold_until);
        if (!next || at < *next) next = at;
    }
    return next;
}

void PollPlan::done(int index, MonoMs now) {
    Entry& entry = entries_[at(index)];
    entry.visited = now;
    const MonoMs since = now - entry.anchor;
    const MonoMs periods = since < 0 ? 0 : since / interval_ms_ + 1;
    entry.due = entry.anchor + periods * interval_ms_;
}

}  // namespace gatehouse
