// Work for the key room as an act: handed to the engine, whose reply becomes the answer. The
// io_context thread or the pool's.
#pragma once

#include <memory>
#include <utility>

#include "daemon/engine/key_room.hpp"
#include "daemon/http/params.hpp"

namespace gatehouse::http {

inline void submit_work(Call& call, RoomWork work, Respond respond) {
    RoomCommand command;
    command.actor = call.actor;
    command.work = std::make_shared<const RoomWork>(std::move(work));
    submit(call, std::move(command), std::move(respond));
}

}  // namespace gatehouse::http
