// A hand-over of a key that both of the two say (keys-and-tickets.md 5.9): what each of them may.
#include "daemon/core/key_custody.hpp"

namespace gatehouse {
namespace {

OfferRefusal refused(const char* type, std::string text, const char* pointer = "") {
    return {pointer, type, std::move(text)};
}

std::variant<KeyOffer, OfferRefusal> begin(const KeyLoan& loan, const std::string& by,
                                           const std::string& to, UtcMs now) {
    if (loan.holder.empty())
        return refused("no-holder", "nobody is known to have key " + loan.key +
                                        "; let the desk write its hand-over down");
    if (loan.offered)
        return refused("key-offered", "key " + loan.key + " goes from " + loan.offered->from +
                                          " to " + loan.offered->to +
                                          " already; confirm that, or decline it first");
    if (by != loan.holder && !to.empty() && to != by)
        return refused("invalid",
                       "`" + loan.holder + "` has key " + loan.key +
                           "; he begins it, or who takes it over does and names nobody else",
                       "/to");
    const std::string receiver = by == loan.holder ? to : by;
    if (receiver.empty()) return refused("invalid", "is missing: name who takes it over", "/to");
    if (receiver == loan.holder)
        return refused("invalid", "`" + receiver + "` has it already; name another", "/to");
    return KeyOffer{loan.holder, receiver, by, now};
}

}  // namespace

bool is_over(const KeyOffer& offer, UtcMs now) {
    return now >= offer.at + kOfferMs;
}

std::variant<KeyOffer, OfferRefusal> step_offer(const KeyLoan& loan, OfferStep step,
                                                const std::string& by, const std::string& to,
                                                UtcMs now) {
    if (step == OfferStep::offer) return begin(loan, by, to, now);
    if (!loan.offered || is_over(*loan.offered, now))
        return refused("no-offer", "no hand-over of key " + loan.key +
                                       " waits for an answer; one waits ten minutes, begin it "
                                       "anew");
    const KeyOffer& offer = *loan.offered;
    const std::string& other = offer.by == offer.from ? offer.to : offer.from;
    if (step == OfferStep::confirm && by != other)
        return refused("invalid", "`" + other + "` confirms it, by himself", "/by");
    if (step == OfferStep::decline && by != offer.from && by != offer.to)
        return refused("invalid",
                       "it lies between `" + offer.from + "` and `" + offer.to + "` alone", "/by");
    return offer;
}

}  // namespace gatehouse
