// Seals of keys that are kept for an emergency: what may be opened, what may be put on, and which
// one a key has.
#include "daemon/core/key_custody.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;

namespace {

struct Envelope {
    std::vector<Key> keys = std::vector<Key>(1);
    Custody custody;
    std::int64_t seq = 0;

    Envelope() {
        keys[0].key = "k-1";
        keys[0].class_ = KeyClass::reserve_sealed;
        keys[0].seal_no = "F-1";
    }
    KeyState& state() { return custody.keys["k-1"]; }
    std::string refused(SealStep step, const std::string& number = "") {
        const auto why = judge_seal(keys[0], state(), step, number);
        return why ? why->type + why->pointer : "";
    }
    // Written down at the desk, or said by something else.
    void write(KeyEventType type, const std::string& number, const char* source = kDeskSource) {
        KeyEvent event;
        event.id = {source, 1, ++seq};
        event.type = type;
        event.key = "k-1";
        event.person = "s-1";
        event.second = "s-2";
        event.at = 1'000 * seq;
        if (source == std::string(kDeskSource)) event.seal = SealWritten{number, keys[0].seal_no};
        CustodyFindings findings;
        const KeyIndex index = index_keys(keys);
        apply(custody, event, index, findings);
    }
    std::string seal() {
        const auto one = seal_of(keys[0], state());
        return one ? one->number + (one->broken ? " broken" : "") : "none";
    }
};

using T = KeyEventType;

}  // namespace

TEST_CASE("a seal is opened once, and the next one has another number") {
    Envelope one;
    CHECK(one.seal() == "F-1");
    CHECK(one.refused(SealStep::open).empty());
    CHECK(one.refused(SealStep::renew, "F-2") == "sealed");
    one.write(T::key_unsealed, "F-1");
    CHECK(one.seal() == "F-1 broken");
    CHECK(one.refused(SealStep::open) == "seal-broken");
    CHECK(one.refused(SealStep::renew, "") == "invalid/seal_no");
    CHECK(one.refused(SealStep::renew, "F-1") == "invalid/seal_no");
    CHECK(one.refused(SealStep::renew, std::string(kSealNumberMax + 1, '7')) == "invalid/seal_no");
    CHECK(one.refused(SealStep::renew, std::string(kSealNumberMax, '7')).empty());
    one.write(T::key_sealed, "F-2");
    CHECK(one.seal() == "F-2");
    CHECK(one.refused(SealStep::open).empty());
    REQUIRE(one.state().seal);
    CHECK(one.state().seal->person == "s-1");
    CHECK(one.state().seal->second == "s-2");
    // The key itself is where it was.
    CHECK(one.state().place == KeyPlace::in);
    CHECK_FALSE(one.state().loan);
}

TEST_CASE("a key without a seal has none to open, and only a sealed class gets its first one") {
    Envelope one;
    one.keys[0].seal_no.clear();
    CHECK(one.seal() == "none");
    CHECK(one.refused(SealStep::open) == "no-seal");
    CHECK(one.refused(SealStep::renew, "F-1").empty());
    one.keys[0].class_ = KeyClass::equipment;
    CHECK(one.refused(SealStep::renew, "F-1") == "no-seal");
    CHECK_FALSE(takes_two_to_seal(one.keys[0]));
    one.keys[0].needs_second = true;
    CHECK(takes_two_to_seal(one.keys[0]));
}

TEST_CASE("a number that keys.csv changes is another seal, and no cabinet breaks one") {
    Envelope one;
    one.write(T::key_unsealed, "F-1", "kc-01");
    CHECK(one.seal() == "F-1");
    one.write(T::key_unsealed, "F-1");
    one.write(T::key_sealed, "F-2");
    one.keys[0].seal_no = "F-2";
    CHECK(one.seal() == "F-2");
    CHECK(seal_of(one.keys[0], one.state())->at == 0);
    one.state().place = KeyPlace::lost;
    CHECK(one.refused(SealStep::open) == "key-gone");
}
