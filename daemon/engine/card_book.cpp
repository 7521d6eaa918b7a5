#include "daemon/engine/card_book.hpp"

#include <algorithm>
#include <utility>

#include "daemon/core/registry.hpp"
#include "daemon/engine/key_codec.hpp"
#include "daemon/store/key_books.hpp"

namespace gatehouse {
namespace {

constexpr const char* kKind = "card";  // of key_base: the card's hash -> its history

std::map<std::string, CardHistory> read(KeyBooks& books) {
    std::map<std::string, CardHistory> cards;
    for (const auto& [card, body] : books.bases(kKind)) from_book(body, cards[card]);
    return cards;
}

}  // namespace

void follow_cards(KeyBooks& books, const Registry& registry, UtcMs now) {
    std::map<std::string, CardHistory> cards = read(books);
    std::map<std::string, std::string> holders;
    for (const Staff& staff : registry.staff)
        for (const std::string& card : staff.cards) holders.emplace(card, staff.staff);
    for (const auto& [card, staff] : holders) cards.try_emplace(card);
    for (auto& [card, history] : cards) {
        auto& spans = history.spans;
        const auto holder = holders.find(card);
        const std::string staff = holder == holders.end() ? "" : holder->second;
        const bool open = !spans.empty() && !spans.back().to;
        if ((open ? spans.back().staff : "") == staff) continue;
        // A clock that was set back ends nothing before it began.
        if (open) spans.back().to = std::max(now, spans.back().from);
        if (!staff.empty()) spans.push_back({staff, spans.empty() ? 0 : now, std::nullopt});
        books.put_base(kKind, card, to_book(history));
    }
}

void forget_cards(KeyBooks& books, const std::string& person) {
    for (auto& [card, history] : read(books)) {
        bool had = false;
        for (CardSpan& span : history.spans) {
            if (span.staff != person) continue;
            // Its time stays: who has the card next did not have it then.
            span.staff.clear();
            had = true;
        }
        if (had) books.put_base(kKind, card, to_book(history));
    }
}

void CardBook::load(KeyBooks& books) {
    cards_ = read(books);
}

std::string CardBook::holder(const std::string& card, UtcMs at) const {
    const auto known = cards_.find(card);
    if (known == cards_.end()) return "";
    const auto& spans = known->second.spans;
    const auto span = std::find_if(spans.rbegin(), spans.rend(), [&](const CardSpan& one) {
        return one.from <= at && (!one.to || at < *one.to);
    });
    return span == spans.rend() ? "" : span->staff;
}

}  // namespace gatehouse
