// A house with a cabinet, three keys and three people, over the engine and a real store.
#pragma once

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "daemon/engine/key_room.hpp"
#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

namespace gatehouse::testing {

inline FileTexts key_files() {
    FileTexts files;
    files["units.csv"] = "unit,label\nu-1,Flat 1\nu-2,Flat 2\nu-3,Flat 3\n";
    files["staff.csv"] = "staff,name,roles\ns-1,One,desk\ns-2,Two,tech\ns-3,Three,tech\n";
    files["keys.csv"] =
        "key,class,cabinet,slot,opens\nk-1,entrusted,kc-01,1,u-1\nk-2,vacant,kc-01,2,u-2\n"
        "k-3,vacant,kc-01,3,u-3\n";
    return files;
}

struct KeyHouse {
    House house;
    std::int64_t seq = 0;

    explicit KeyHouse(std::set<std::string> alerts = {}) {
        auto keys = std::make_shared<KeyRoomOptions>();
        keys->cabinets = {{"kc-01", "kcm-1", "http"}};
        keys->rules.alerts = std::move(alerts);
        house.options.keys = keys;
        house.options.cabinets = {"kc-01"};
        house.open();
        REQUIRE(house.import(key_files()).kind == ReplyKind::ok);
        house.pass(2'000);
    }
    KeyEvent event(KeyEventType type, std::int64_t ago_ms, const std::string& person = "",
                   int slot = 0) {
        KeyEvent one;
        one.id = {"kc-01", 1, ++seq};
        one.type = type;
        one.at = house.clock.wall_ms() - ago_ms;
        one.person = person;
        if (slot > 0) one.slot = slot;
        return one;
    }
    Reply push(std::vector<KeyEvent> events) {
        KeyPush push;
        push.source = "kc-01";
        push.boot = 1;
        push.events = std::move(events);
        return work(std::move(push));
    }
    template <class Work>
    Reply work(Work what) {
        RoomCommand command;
        command.work = std::make_shared<const RoomWork>(RoomWork{std::move(what)});
        return house.ask(std::move(command));
    }
    std::string ticket(const std::string& unit) {
        OpenTicket open;
        open.kind = "repair";
        open.unit = unit;
        open.text = "a lamp";
        open.by = "s-1";
        const Reply reply = work(open);
        REQUIRE(reply.kind == ReplyKind::created);
        return field(reply.json, "number");
    }
    Reply move(const std::string& number, TicketAction action) {
        TicketAct act;
        act.number = number;
        act.move.action = action;
        act.move.by = "s-1";
        act.move.reason = "why";
        act.move.rating = "A";
        if (action == TicketAction::dispatch) act.move.crew = {"s-2"};
        return work(act);
    }
    KeyView key(const std::string& id) {
        house.step();
        for (const KeyView& view : house.engine().snapshot()->keys->keys)
            if (view.key == id) return view;
        return {};
    }
    std::vector<std::string> open_alerts() {
        std::vector<std::string> all;
        for (const auto& alert : house.engine().snapshot()->open_alerts)
            all.push_back(alert->kind + "@" + alert->subject);
        std::sort(all.begin(), all.end());
        return all;
    }
};

}  // namespace gatehouse::testing
