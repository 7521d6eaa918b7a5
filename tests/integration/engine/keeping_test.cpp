// What is kept and how long: seals of the log, hours, and retention.
#include <algorithm>

#include "daemon/engine/command_desk.hpp"
#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

constexpr UtcMs kMidnight24 = kMorning + 16 * kHour;  // 2026-11-24T00:00:00+08:00

struct Kept : House {
    Kept() {
        open();
        REQUIRE(import(three_homes()).kind == ReplyKind::ok);
    }
    void until(UtcMs at) { pass(at - clock.wall); }
    void settle_from(const std::string& id, const std::string& face, UtcMs at) {
        until(at);
        settle(id, face);
    }
    LogHead seal() const { return StoreReader(path()).newest_seal(); }
    StoredEvent event(std::uint64_t seq) const {
        return StoreReader(path()).events_after(seq - 1, 1).at(0);
    }
    std::vector<std::string> hours(const std::string& id, UtcMs from, UtcMs to) const {
        std::vector<std::string> rows;
        for (const MeterPoint& hour : StoreReader(path()).meter_hours(id, from, to))
            rows.push_back(std::to_string((hour.at - kMorning) / kHour) + " " + format(hour.total) +
                           " " + to_string(hour.quality));
        return rows;
    }
    std::size_t count(const std::string& id, bool intervals) const {
        const auto rows = readings(id);
        return static_cast<std::size_t>(std::count_if(rows.begin(), rows.end(), [&](const auto& r) {
            return (r.row.kind == ReadingKind::interval) == intervals;
        }));
    }
};

}  // namespace

TEST_CASE("the log's head of a day is sealed before the first row of the next") {
    Kept house;
    CHECK(house.seal().day.empty());
    house.settle_from("e-103", "1000.00", kMidnight24 - kHour);
    house.top_up("a-101", "10.00", "k-1");
    const std::uint64_t head = house.engine().snapshot()->event_seq;
    house.clock.pass(kMidnight24 + kMinute - house.clock.wall);
    house.top_up("a-101", "20.00", "k-2");  // the first turn of the new day
    LogHead seal = house.seal();
    CHECK(seal.day == "2026-11-23");
    CHECK(seal.seq == head);
    CHECK(seal.h == house.event(head).h);
    CHECK(house.engine().snapshot()->event_seq > head);

    SECTION("days without a daemon have the head of the last day that had one") {
        const std::uint64_t last = house.engine().snapshot()->event_seq;
        house.crash();
        house.clock.pass(3 * kDay);
        house.open();
        seal = house.seal();
        CHECK(seal.day == "2026-11-26");
        CHECK(seal.seq == last);
        CHECK(seal.h == house.event(last).h);
    }
    SECTION("a clock that nobody vouches for seals nothing until it is trusted") {
        const std::uint64_t last = house.engine().snapshot()->event_seq;
        house.crash();
        house.synchronised = false;
        house.clock.mono = 1'000;
        house.clock.wall = 86'400'000;
        house.open();
        house.pass(kMinute);
        CHECK(house.seal().day == "2026-11-23");
        house.clock.wall = kMidnight24 + kDay + kHour;
        house.synchronised = true;
        house.pass(kMinute);
        seal = house.seal();
        CHECK(seal.day == "2026-11-24");
        CHECK(seal.seq == last);
    }
    CHECK(house.proof() == "");
}

TEST_CASE("the newest day whose seal was acknowledged is noted, survives, and never falls back") {
    Kept house;
    const auto noted = [&] { return StoreReader(house.path()).note(kSealToldNote); };
    CHECK(noted().empty());
    REQUIRE(house.ask(MqttCursor{1, "2026-11-23"}).kind == ReplyKind::ok);
    REQUIRE(house.ask(MqttCursor{2, "2026-11-22"}).kind == ReplyKind::ok);
    REQUIRE(house.ask(MqttCursor{3, ""}).kind == ReplyKind::ok);
    house.pass(31 * kSecond);  // with the next commit
    CHECK(noted() == "2026-11-23");
    CHECK(house.engine().snapshot()->mqtt_cursor == 3);
    house.reopen();
    CHECK(noted() == "2026-11-23");
}

TEST_CASE("hours: the total at each end that samples surround, and none invented") {
    Kept house;
    house.settle_from("e-103", "1000.00", kMorning + 30 * kMinute);
    house.settle_from("e-103", "1010.00", kMorning + 90 * kMinute);
    // Between 08:30:01 and 09:30:00 10 kWh, 1799 of 3599 seconds before nine: 4.998
    house.settle_from("e-103", "1012.00", kMorning + 2 * kHour + 2 * kMinute);
    // Five hours of silence; the next sample stands on two o'clock.
    house.settle_from("e-103", "1020.00", kMorning + 7 * kHour + 3 * kMinute);
    house.pass(31 * kSecond);
    const std::vector<std::string> expected{"1 1004.998 estimated", "2 1012.000 good",
                                            "7 1020.000 good"};
    CHECK(house.hours("e-103", kMorning, kMorning + kDay) == expected);
    house.reopen();
    house.settle_from("e-103", "1021.00", kMorning + 8 * kHour + kMinute);
    house.pass(31 * kSecond);
    CHECK(house.hours("e-103", kMorning + 8 * kHour, kMorning + kDay) ==
          std::vector<std::string>{"8 1021.000 good"});
}

TEST_CASE("retention drops intervals after 100 days and hours after 13 months, in slices") {
    Kept house;
    house.settle("e-101", "700.00");
    house.pass(kMinute);
    for (int i = 0; i < 3; ++i) {
        house.sample("e-101", "650.00");
        house.pass(kMinute);
    }
    const auto held = StoreReader(house.path()).quarantine(QuarantineRow::State::open, 0, 10);
    REQUIRE(held.size() == 1);
    REQUIRE(house.ask(SettleQuarantine{"local", std::to_string(held[0].id), "s-01", "ours", true})
                .kind == ReplyKind::ok);
    for (int i = 0; i < 40; ++i)
        house.settle_from("e-103", "10" + std::to_string(10 + i) + ".00",
                          kMorning + i * 15 * kMinute);
    house.settle_from("e-103", "1050.00", kMidnight24 + kMinute);
    house.settle_from("e-102", "5000.00", kMidnight24 + 2 * kMinute);
    house.pass(31 * kSecond);
    CHECK(house.count("e-103", true) >= 39);
    const std::size_t others = house.count("e-103", false);
    const std::uint64_t first = house.readings("e-103").front().row.seq;
    const std::string balance = house.balance("a-103");
    house.settle_from("e-103", "1050.00", kMorning + 99 * kDay);
    house.pass(31 * kSecond);
    CHECK(house.count("e-103", true) >= 39);
    house.settle_from("e-103", "1050.00", kMorning + 102 * kDay);
    for (int i = 0; i < 40; ++i) house.pass(kSecond);
    house.pass(31 * kSecond);
    CHECK(house.count("e-103", true) <= 4);
    // Where its charging began: the first bill is explained by it.
    CHECK(house.readings("e-103").front().row.seq == first);
    CHECK(house.count("e-103", false) >= others);
    // The last row of a meter that went silent stays: a restart begins from it.
    CHECK(house.count("e-102", true) == 1);
    CHECK(StoreReader(house.path()).readings_after(0, 10).truncated);
    CHECK(house.hours("e-103", kMorning, kMidnight24).size() >= 9);
    house.reopen();
    CHECK(house.balance("a-103") == balance);
    CHECK(house.proof() == "");

    house.settle_from("e-103", "1050.00", kMorning + 430 * kDay);
    for (int i = 0; i < 60; ++i) house.pass(kSecond);
    house.pass(31 * kSecond);
    CHECK(house.hours("e-103", kMorning, kMidnight24).empty());
    CHECK(
        StoreReader(house.path())
            .meter_days("e-103", days_since_epoch({2026, 11, 23}), days_since_epoch({2026, 11, 24}))
            .size() == 1);
    CHECK(house.proof() == "");
}
