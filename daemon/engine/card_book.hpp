// Whose a card was, and from when to when (keys-and-tickets.md 5.7): a card that was handed on
// belongs to who had it when it was shown, however late that is heard of. Engine thread only.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/time.hpp"

namespace gatehouse {

struct Context;
struct Registry;
class KeyBooks;

struct CardSpan {
    std::string staff;
    UtcMs from = 0;  // 0: as far back as anything is known
    std::optional<UtcMs> to;
    friend bool operator==(const CardSpan&, const CardSpan&) = default;
};
struct CardHistory {
    std::vector<CardSpan> spans;  // in order of their beginning
};

// The registry's cards are taken down: what changed since the last time ends or begins at `now`.
// Who has a card first always had it: it was shown before the import, and was nobody else's.
void follow_cards(KeyBooks& books, const Registry& registry, UtcMs now);
// Nobody is told of any more as having had a card.
void forget_cards(KeyBooks& books, const std::string& person);

class CardBook {
  public:
    void load(KeyBooks& books);
    // Empty: nobody's then.
    [[nodiscard]] std::string holder(const std::string& card, UtcMs at) const;

  private:
    std::map<std::string, CardHistory> cards_;
};

}  // namespace gatehouse
