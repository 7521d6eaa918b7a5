#include "daemon/http/entry_parts.hpp"

#include <utility>

#include "daemon/core/settlement.hpp"

namespace gatehouse::http {
namespace {

EntryParts::Rest rest_of(const std::vector<WhyPart>& parts, std::size_t begin, std::size_t end) {
    EntryParts::Rest rest;
    bool one = true;
    const WhyPart& first = parts[begin];
    for (std::size_t at = begin; at < end; ++at) {
        rest.quantity += parts[at].part.quantity;
        one = one && parts[at].part.meter == first.part.meter &&
              parts[at].to.row.epoch == first.from.row.epoch;
    }
    const StoredReading& last = parts[end - 1].to;
    if (!one || first.from.row.seq == 0 || last.row.seq == 0) return rest;
    rest.start = first.from.row.register_value;
    rest.end = last.row.register_value;
    rest.multiplier = last.multiplier;
    return rest;
}

}  // namespace

EntryParts::Walk* EntryParts::walk_of(const StoredEntry& stored) {
    const std::string& month = stored.entry.line->scope;
    if (months_.insert(month).second)
        for (WhyLine& line : app_.readers.take()->why(account_, month).lines) {
            Walk walk{std::move(line), 0, {}, {}, false};
            for (const Fen amount : passed_[walk.line.id]) static_cast<void>(step(walk, amount));
            const std::int64_t id = walk.line.id;
            walks_.emplace(id, std::move(walk));
        }
    const auto found = walks_.find(stored.line);
    return found == walks_.end() ? nullptr : &found->second;
}

void EntryParts::pass(const StoredEntry& stored) {
    if (stored.entry.line) passed_[stored.line].push_back(stored.entry.amount);
}

std::optional<EntryParts::Rest> EntryParts::take(const StoredEntry& stored) {
    if (!stored.entry.line || is_minimum(*stored.entry.line)) return std::nullopt;
    Walk* walk = walk_of(stored);
    return walk == nullptr ? std::nullopt : step(*walk, stored.entry.amount);
}

std::optional<EntryParts::Rest> EntryParts::step(Walk& walk, Fen amount) {
    walk.posted -= amount;  // which is signed for the household
    if (walk.lost) return std::nullopt;
    const std::vector<WhyPart>& parts = walk.line.parts;
    Line so_far = walk.line.line;
    so_far.quantity = walk.quantity;
    const std::size_t begin = walk.next;
    while (walk.next < parts.size() && target(so_far) != walk.posted)
        so_far.quantity += parts[walk.next++].part.quantity;
    walk.lost = begin == walk.next || target(so_far) != walk.posted;
    walk.quantity = so_far.quantity;
    if (walk.lost) return std::nullopt;
    return rest_of(parts, begin, walk.next);
}

}  // namespace gatehouse::http
