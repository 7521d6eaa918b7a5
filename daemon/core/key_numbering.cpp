#include "daemon/core/key_numbering.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace gatehouse {
namespace {

constexpr std::int64_t kLaterMs = 60'000;  // clocks of whole seconds, set now and then

UtcMs last_of(const Numbering& numbering) {
    UtcMs last = 0;
    for (const auto& [boot, span] : numbering.boots) last = std::max(last, span.last);
    return last;
}

// A higher boot before a lower one began: of another board, or of one whose clock stood still while
// the power was away. Where a numbering knows nothing of the kind, it is that one's.
bool disagrees(const Numbering& numbering, std::int64_t boot, UtcMs at) {
    return std::any_of(numbering.boots.begin(), numbering.boots.end(),
                       [&](const auto& one) { return one.first < boot && at < one.second.first; });
}

// The number was used for something else; by a board that counts anew, or does a cabinet tell an
// old event in other words, with its clock set perhaps? Only what happened after all that boot ever
// told can be new, and not so near to what the number was used for.
bool is_used_again(const Numbering& numbering, std::int64_t boot, const Kept& kept,
                   std::optional<UtcMs> at) {
    if (!at) return true;
    const auto span = numbering.boots.find(boot);
    if (span == numbering.boots.end()) return true;
    return *at > span->second.last &&
           (*at > kept.at + kLaterMs || *at > span->second.last + kLaterMs);
}

}  // namespace

std::string numbering_source(const std::string& cabinet, std::size_t n) {
    return n <= 1 ? cabinet : cabinet + kNumberingMark + std::to_string(n);
}

bool is_later_numbering(const std::string& source) {
    return source.find(kNumberingMark) != std::string::npos;
}

std::string numbering_before(const std::string& source) {
    const std::size_t mark = source.find(kNumberingMark);
    const unsigned long n = std::strtoul(source.c_str() + mark + 1, nullptr, 10);
    return numbering_source(source.substr(0, mark), n - 1);
}

bool is_wrap(std::int64_t seq, std::int64_t next) {
    return seq == kSeqs - 1 && (next == 0 || next == 1);
}

bool is_beyond_wrap(std::int64_t seq, std::int64_t next) {
    return seq < kSeqs && next >= 0 && next < seq && next + kSeqs - seq < kLogMost;
}

bool contradicts(const Numbering& numbering, std::int64_t boot, UtcMs at) {
    return std::any_of(numbering.boots.begin(), numbering.boots.end(), [&](const auto& one) {
        return one.first > boot && at > one.second.last && at > one.second.first + kLaterMs;
    });
}

std::size_t numbering_of(const std::vector<Numbering>& numberings, const std::vector<Kept>& kept,
                         std::int64_t boot, std::optional<UtcMs> at) {
    const auto same = std::find_if(kept.rbegin(), kept.rend(),
                                   [](const Kept& one) { return one.as == KeptAs::same; });
    if (same != kept.rend()) return static_cast<std::size_t>(kept.rend() - same) - 1;
    // The one that was heard of last; without a time, the one that began last.
    std::optional<std::size_t> best;
    std::pair<bool, UtcMs> best_rank;
    for (std::size_t i = 0; i < numberings.size(); ++i) {
        if (kept[i].as != KeptAs::nothing || (at && contradicts(numberings[i], boot, *at)))
            continue;
        const std::pair rank{!at || !disagrees(numberings[i], boot, *at),
                             at ? last_of(numberings[i]) : 0};
        if (best && rank < best_rank) continue;
        best = i;
        best_rank = rank;
    }
    if (best) return *best;
    for (std::size_t i = numberings.size(); i-- > 0;)
        if (kept[i].as == KeptAs::other && (!at || !contradicts(numberings[i], boot, *at)) &&
            !is_used_again(numberings[i], boot, kept[i], at))
            return i;
    return numberings.size();
}

bool counts_anew(std::int64_t boot, std::int64_t newest, std::int64_t kept_boot,
                 std::int64_t kept_seq) {
    return boot < kept_boot || (boot == kept_boot && newest < kept_seq);
}

}  // namespace gatehouse
