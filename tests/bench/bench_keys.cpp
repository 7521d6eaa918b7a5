// A cabinet that was away tells its backlog beside what the window of three days holds already: how
// long one push of 256 late events holds the engine. One line of JSON a figure.
//
//   bench_keys             on the disk of /var/tmp
#include <stdlib.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <random>

#include "daemon/engine/key_room.hpp"
#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

constexpr int kSlots = 96;

double processor_ms() {
    return 1'000.0 * static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

struct Office : House {
    std::mt19937 random{20'261'126};
    std::map<std::string, std::int64_t> seqs;

    Office() {
        char folder[] = "/var/tmp/gatehouse-keys-XXXXXX";
        REQUIRE(::mkdtemp(folder) != nullptr);
        disk = folder;
        options.database_path = disk + "/gatehouse.db";
        auto keys = std::make_shared<KeyRoomOptions>();
        FileTexts files;
        files["units.csv"] = "unit,label\nu-1,Flat 1\n";
        files["staff.csv"] = "staff,name,roles\ns-1,One,tech\ns-2,Two,tech\ns-3,Three,tech\n";
        files["keys.csv"] = "key,class,cabinet,slot,opens\n";
        for (const std::string cabinet : {"kc-01", "kc-02", "kc-03"}) {
            keys->cabinets.push_back({cabinet, "kcm-1", "http"});
            options.cabinets.push_back(cabinet);
            for (int slot = 1; slot <= kSlots; ++slot) {
                const std::string number = std::to_string(slot);
                files["keys.csv"] += "k-" + cabinet + "-" + number + ",public," + cabinet + "," +
                                     number + ",lobby\n";
            }
        }
        options.keys = keys;
        open();
        REQUIRE(import(files).kind == ReplyKind::ok);
        pass(2'000);
    }
    ~Office() {
        crash();
        std::error_code ignored;
        std::filesystem::remove_all(disk, ignored);
    }
    // What a cabinet told of that span, spread over it.
    std::vector<KeyEvent> told(const std::string& cabinet, int count, UtcMs from, UtcMs to) {
        std::vector<KeyEvent> events;
        for (int i = 0; i < count; ++i) {
            const KeyEventType types[] = {KeyEventType::access_granted, KeyEventType::door_opened,
                                          KeyEventType::key_removed, KeyEventType::door_closed};
            KeyEvent one;
            one.id = {cabinet, 1, ++seqs[cabinet]};
            one.type = types[i % 4];
            if (i % 4 == 2 && (i / 4) % 2 == 1) one.type = KeyEventType::key_returned;
            if (i % 4 == 0) one.person = "s-" + std::to_string(1 + random() % 3);
            if (i % 4 == 2) one.slot = 1 + static_cast<int>(i / 8) % kSlots;
            one.at = from + (to - from) * i / count;
            events.push_back(one);
        }
        return events;
    }
    double push(std::vector<KeyEvent> events) {
        KeyPush push;
        push.source = events.front().id.source;
        push.boot = 1;
        push.events = std::move(events);
        RoomCommand command;
        command.work = std::make_shared<const RoomWork>(RoomWork{std::move(push)});
        const double before = processor_ms();
        REQUIRE(ask(std::move(command)).kind == ReplyKind::ok);
        return processor_ms() - before;
    }
    std::string disk;
};

}  // namespace

TEST_CASE("256 late events into a window of thousands") {
    for (const int held : {3'200, 6'000, 12'000}) {
        Office office;
        const UtcMs now = office.clock.wall_ms(), from = now - 70 * kHour;
        const std::vector<KeyEvent> there = office.told("kc-01", held, from, now - kMinute);
        double last = 0;
        for (std::size_t i = 0; i < there.size(); i += 200)
            last = office.push({there.begin() + static_cast<std::ptrdiff_t>(i),
                                there.begin() + static_cast<std::ptrdiff_t>(i + 200)});
        const double late = office.push(office.told("kc-02", 256, from, now - kMinute));
        std::printf(
            "{\"bench\":\"keys\",\"what\":\"256 late events into %d\",\"value\":%.1f,\"unit\":"
            "\"ms CPU\",\"in_order\":%.1f}\n",
            held, late, last);
    }
}
