// What whole days say of a meter (C4, C5, C16, C17): it is flagged and told once, and neither held
// nor charged otherwise. And samples that come twice (C12).
#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

using Flags = std::vector<std::string>;

struct Reviewed : House {
    Reviewed() {
        open();
        FileTexts files = three_homes();
        files["units.csv"] =
            "unit,label,status\n1-101,1栋101,occupied\n1-102,1栋102,vacant\n"
            "1-103,1栋103,occupied\n";
        files["meters.csv"] =
            "meter,unit,service,role,parent,bus,address,profile,rated_amps\n"
            "main,,electricity,main,,b1,9,eastron-sdm120,1000\n"
            "e-101,1-101,electricity,unit,main,b1,1,eastron-sdm120,1000\n"
            "e-102,1-102,electricity,unit,main,b1,3,eastron-sdm120,1000\n";
        files["accounts.csv"] =
            "account,unit,service,tariff,opening_balance\n"
            "a-101,1-101,electricity,flat,1000.00\na-102,1-102,electricity,flat,1000.00\n";
        REQUIRE(import(files).kind == ReplyKind::ok);
        for (const char* id : {"main", "e-101", "e-102"}) {
            faces[id] = 100'000;
            show(id);
        }
    }
    // Hundredths of a kWh on the face.
    std::map<std::string, int> faces;
    void show(const std::string& id) { settle(id, format_decimal(faces[id], 2)); }
    // Up to a few seconds past the next midnight, when each meter stands on the edge with what it
    // used that day, in kWh; and until the review.
    UtcMs midnight = kMorning + 16 * kHour;
    void day(int main, int first, int second) {
        pass(midnight + kSecond - clock.wall);
        midnight += kDay;
        faces["main"] += main * 100;
        faces["e-101"] += first * 100;
        faces["e-102"] += second * 100;
        for (const auto& [id, face] : faces) show(id);
        pass(11 * kMinute);
    }
    [[nodiscard]] Flags flags(const std::string& id) const { return meter(id).flags; }
    [[nodiscard]] std::vector<std::string> told(const std::string& id) const {
        std::vector<std::string> all;
        for (const StoredEvent& event : events("meter.review")) {
            if (field(event.body, "meter") != id) continue;
            const auto at = event.body.find("\"flags\":");
            all.push_back(event.body.substr(at + 8, event.body.find(']', at) - at - 7));
        }
        return all;
    }
};

}  // namespace

TEST_CASE_METHOD(Reviewed,
                 "C4 and C16: a wild day and a sum that does not fit are flagged and told") {
    for (int i = 0; i < 4; ++i) day(4, 2, 2);
    CHECK(events("meter.review").empty());
    day(13, 11, 2);  // more than five times 2
    CHECK(flags("e-101") == Flags{"abnormal_use"});
    CHECK(flags("e-102").empty());
    CHECK(told("e-101") == Flags{"[\"abnormal_use\"]"});
    // It is charged all the same: 2 x 4 + 11 = 19 kWh x 0.5283 = 10.0377.
    CHECK(balance("a-101") == "989.96");
    day(5, 2, 2);  // 5 on the main meter, 4 below it
    CHECK(flags("e-101").empty());
    CHECK(flags("main") == Flags{"sum_apart"});
    day(4, 2, 2);
    CHECK(flags("main").empty());
    CHECK(told("e-101") == Flags{"[\"abnormal_use\"]", "[]"});
    CHECK(told("main") == Flags{"[\"sum_apart\"]", "[]"});
    CHECK(account("a-101").quality == Quality::confirmed);
}

TEST_CASE_METHOD(Reviewed,
                 "C5: a home that used and uses nothing is flagged, a vacant one is not") {
    for (int i = 0; i < 4; ++i) day(4, 2, 2);
    for (int i = 0; i < 6; ++i) day(0, 0, 0);
    CHECK(flags("e-101").empty());
    day(0, 0, 0);
    CHECK(flags("e-101") == Flags{"use_gone"});
    CHECK(flags("e-102").empty());
    reopen();
    pass(11 * kMinute);
    CHECK(flags("e-101") == Flags{"use_gone"});
    CHECK(told("e-101").size() == 1);  // a restart tells nothing twice
}

TEST_CASE_METHOD(Reviewed,
                 "C17: thirty days without an actual reading are a task, and cost nothing") {
    day(4, 2, 2);
    day(4, 2, 2);
    pass(kHour);
    show("e-101");
    const UtcMs last = clock.wall;
    const std::string before = balance("a-101");
    for (int i = 0; i < 6; ++i) {
        pass(5 * kDay - kMinute);
        show("e-102");
    }
    pass(last + 30 * kDay - clock.wall);
    CHECK(flags("e-101").empty());
    pass(11 * kMinute);
    CHECK(flags("e-101") == Flags{"no_reading"});
    CHECK(flags("e-102").empty());
    CHECK(told("e-101") == Flags{"[\"no_reading\"]"});
    CHECK(balance("a-101") == before);
    // Somebody walks there: what two people read at the dial is an actual reading.
    const Reply reply = ask(ReadFace{"local", "e-101", "1034.00", "", "s-01", "s-02", ""});
    REQUIRE(reply.kind == ReplyKind::created);
    pass(11 * kMinute);
    CHECK(flags("e-101").empty());
    // 4 + 30 kWh since the first reading, 9.949 of them in November: 5.2561 and 12.7061.
    CHECK(balance("a-101") == "982.03");
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Reviewed, "C12: a sample that comes twice is dropped and counted") {
    pass(kMinute);
    sample("e-101", "1001.00");
    sample("e-101", "1005.00");  // the same moment
    CHECK(meter("e-101").duplicates == 1);
    clock.mono -= 5 * kSecond;
    sample("e-101", "1001.00");
    CHECK(meter("e-101").duplicates == 2);
    CHECK(meter("e-101").total == Milli{1'000'000});
    clock.mono += kMinute;
    sample("e-101", "1001.00");
    CHECK(meter("e-101").duplicates == 2);
    CHECK(meter("e-101").total == Milli{1'001'000});
}
