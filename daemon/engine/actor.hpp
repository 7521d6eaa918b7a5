// Who asks for a command: the field that every command has of it, wherever it stands. Engine thread
// only.
#pragma once

#include <string>
#include <variant>

#include "daemon/engine/engine.hpp"

namespace gatehouse {

template <class One>
std::string actor_in(const One& one) {
    if constexpr (requires { one.act.actor; })
        return one.act.actor;
    else if constexpr (requires { one.actor; })
        return one.actor;
    else
        return {};
}

inline std::string actor_of(const Command& command) {
    return std::visit([](const auto& one) { return actor_in(one); }, command);
}

}  // namespace gatehouse
