// The seal of a key that is kept for an emergency (keys-and-tickets.md K12, 5.9): which one it has,
// and what whoever opens it or puts a new one on may.
#include "daemon/core/key_custody.hpp"

namespace gatehouse {
namespace {

SealRefusal refused(const char* type, std::string text, const char* pointer = "") {
    return {pointer, type, std::move(text)};
}

std::optional<SealRefusal> check_open(const Key& key, const std::optional<KeySeal>& seal) {
    if (!seal)
        return refused("no-seal", "key " + key.key +
                                      " has no seal: its seal_no in keys.csv is empty, and none "
                                      "was put on; put one on first (seal, with its seal_no), or "
                                      "write down only that the key is taken (out)");
    if (!seal->broken) return std::nullopt;
    return refused("seal-broken", "the seal `" + seal->number + "` of key " + key.key +
                                      " was opened already" +
                                      (seal->person.empty() ? "" : " by " + seal->person) +
                                      "; put a new one on first (seal, with its seal_no)");
}

std::optional<SealRefusal> check_new(const Key& key, const std::optional<KeySeal>& seal,
                                     const std::string& number) {
    if (!seal && key.class_ != KeyClass::reserve_sealed)
        return refused("no-seal", "key " + key.key + " is of class " + to_string(key.class_) +
                                      " and has no seal_no in keys.csv: it is not kept sealed; "
                                      "give it the class reserve_sealed or a seal_no first");
    if (seal && !seal->broken)
        return refused("sealed", "key " + key.key + " has the seal `" + seal->number +
                                     "`, which nobody opened; write that down first (unseal)");
    if (number.empty())
        return refused("invalid", "is missing: write the number of the new seal", "/seal_no");
    if (number.size() > kSealNumberMax)
        return refused("invalid",
                       "longer than " + std::to_string(kSealNumberMax) +
                           " bytes; write the number that stands on the seal",
                       "/seal_no");
    if (seal && seal->number == number)
        return refused("invalid",
                       "`" + number +
                           "` is the seal that was opened; write the number of the "
                           "new one",
                       "/seal_no");
    return std::nullopt;
}

}  // namespace

std::optional<KeySeal> seal_of(const Key& key, const KeyState& state) {
    if (state.seal && state.seal->listed == key.seal_no) return state.seal;
    if (key.seal_no.empty()) return std::nullopt;
    KeySeal seal;
    seal.number = seal.listed = key.seal_no;
    return seal;
}

bool takes_two_to_seal(const Key& key) {
    return key.needs_second.value_or(false) || key.class_ == KeyClass::reserve_sealed ||
           key.class_ == KeyClass::no_loan;
}

std::optional<SealRefusal> judge_seal(const Key& key, const KeyState& state, SealStep step,
                                      const std::string& number) {
    if (state.place == KeyPlace::given || state.place == KeyPlace::lost)
        return refused("key-gone", "key " + key.key + " is " + to_string(state.place) +
                                       "; write down first that it is here again (found)");
    const std::optional<KeySeal> seal = seal_of(key, state);
    return step == SealStep::open ? check_open(key, seal) : check_new(key, seal, number);
}

}  // namespace gatehouse
