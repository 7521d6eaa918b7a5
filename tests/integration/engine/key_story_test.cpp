// What an alarm's end ends, however late it comes, and a cabinet that counts anew.
#include "tests/integration/engine/key_house.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

using T = KeyEventType;

}  // namespace

TEST_CASE("an alarm that ended before it was told to begin is none") {
    KeyHouse keys({"tamper", "door_held", "cabinet_forced"});
    for (const T type : {T::tamper, T::door_held}) {
        const KeyEvent start = keys.event(type, 20'000);
        KeyEvent clear = keys.event(type, 10'000);
        clear.begins = false;
        REQUIRE(keys.push({clear}).kind == ReplyKind::ok);
        REQUIRE(keys.push({start}).kind == ReplyKind::ok);
        CHECK(keys.open_alerts().empty());
        REQUIRE(keys.push({keys.event(type, 5'000)}).kind == ReplyKind::ok);
        CHECK(keys.open_alerts().size() == 1);
        KeyEvent end = keys.event(type, 1'000);
        end.begins = false;
        REQUIRE(keys.push({end}).kind == ReplyKind::ok);
        CHECK(keys.open_alerts().empty());
    }
}

TEST_CASE("what began more than three days ago ends by its end") {
    KeyHouse keys({"tamper"});
    REQUIRE(keys.push({keys.event(T::tamper, 0)}).kind == ReplyKind::ok);
    for (int i = 0; i < 80; ++i) keys.house.pass(kHour);
    CHECK(keys.open_alerts() == std::vector<std::string>{"tamper@kc-01"});
    keys.house.reopen();
    KeyEvent end = keys.event(T::tamper, 0);
    end.begins = false;
    REQUIRE(keys.push({end}).kind == ReplyKind::ok);
    CHECK(keys.open_alerts().empty());
    const auto cleared = keys.house.events("alert.cleared");
    REQUIRE(cleared.size() == 1);
    CHECK(field(cleared[0].body, "cleared_by") == "drift");
}
