// What the handlers of keys and tickets share. Work for the key room as an act: handed to the
// engine, whose reply becomes the answer. The io_context thread or the pool's.
#pragma once

#include <memory>
#include <utility>

#include "daemon/engine/key_room.hpp"
#include "daemon/http/params.hpp"

namespace gatehouse::http {

inline std::shared_ptr<const KeyBoard> board_of(const Call& call) {
    return call.snapshot->keys ? call.snapshot->keys : std::make_shared<const KeyBoard>();
}

// The cabinet that the path names. Throws Refused.
inline const CabinetView& find_cabinet(const Call& call, const KeyBoard& board) {
    for (const CabinetView& view : board.cabinets)
        if (view.cabinet == call.params[0]) return view;
    throw Refused{
        problem(404, "not-found", "No cabinet " + call.params[0] + " stands in gatehouse.toml.")};
}

inline void submit_work(Call& call, RoomWork work, Respond respond) {
    RoomCommand command;
    command.actor = call.actor;
    command.work = std::make_shared<const RoomWork>(std::move(work));
    submit(call, std::move(command), std::move(respond));
}

}  // namespace gatehouse::http
