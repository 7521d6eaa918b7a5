// What the desk writes down of keys that no cabinet watches, over the engine and a real store:
// seals that are opened and renewed.
#include "tests/integration/engine/key_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

using W = KeyAct::What;

struct Drawer : KeyHouse {
    Drawer() {
        FileTexts files;
        files["keys.csv"] =
            "key,class,place,count,opens,seal_no\nk-7,reserve_sealed,safe,,u-1,F-1\n"
            "k-8,reserve_sealed,safe,,u-2,F-8\nk-9,equipment,drawer,3,u-3,\n";
        REQUIRE(house.import(files).kind == ReplyKind::ok);
        house.pass(2'000);
    }
    static KeyAct act(const std::string& key, W what) {
        KeyAct one;
        one.key = key;
        one.what = what;
        one.by = "s-1";
        one.reason = "water comes through the ceiling";
        return one;
    }
    // What is wrong with it: the field, else the kind of the problem.
    std::string refused(const KeyAct& one) {
        const Reply reply = work(one);
        if (reply.kind == ReplyKind::ok) return "";
        return reply.errors.empty() || reply.errors[0].pointer.empty() ? reply.type
                                                                       : reply.errors[0].pointer;
    }
};

}  // namespace

TEST_CASE_METHOD(Drawer, "a seal is opened by two with a reason, and renewed with another number") {
    KeyAct open = act("k-7", W::unseal);
    CHECK(refused(open) == "/second");
    open.second = "s-1";
    CHECK(refused(open) == "/second");
    open.second = "s-2";
    open.reason.clear();
    CHECK(refused(open) == "/reason");
    open.reason = "water comes through the ceiling";
    CHECK(refused(act("k-9", W::unseal)) == "no-seal");
    CHECK(house.events("key.unsealed").empty());
    REQUIRE(work(open).kind == ReplyKind::ok);
    CHECK(refused(open) == "seal-broken");
    const auto opened = house.events("key.unsealed");
    REQUIRE(opened.size() == 1);
    CHECK(field(opened[0].body, "seal_no") == "F-1");
    CHECK(field(opened[0].body, "person") == "s-1");
    CHECK(field(opened[0].body, "second") == "s-2");
    CHECK(opened[0].body.find("ceiling") == std::string::npos);
    house.reopen();
    house.pass(kMinute);
    REQUIRE(key("k-7").seal);
    CHECK(key("k-7").seal->broken);
    CHECK_FALSE(key("k-8").seal->broken);
    KeyAct renew = act("k-7", W::seal);
    renew.second = "s-3";
    CHECK(refused(renew) == "/seal_no");
    renew.seal_no = "F-8";
    CHECK(refused(renew) == "/seal_no");
    renew.seal_no = "F-2";
    renew.at = "2026-11-22T08:00";
    CHECK(refused(renew) == "/at");
    renew.at.clear();
    const Reply done = work(renew);
    REQUIRE(done.kind == ReplyKind::ok);
    CHECK(done.json.find(R"("seal":{"no":"F-2","state":"intact","person":"s-1","second":"s-3")") !=
          std::string::npos);
    CHECK(refused(renew) == "sealed");
    // Folded into the base for good it is the same.
    house.pass(4 * kDay);
    for (int i = 0; i < 3; ++i) house.pass(kMinute);
    house.reopen();
    CHECK(key("k-7").seal->number == "F-2");
    CHECK_FALSE(key("k-7").seal->broken);
    CHECK(house.proof().empty());
}
