// One name as a part of a JSON Pointer (RFC 6901), where `~` and `/` mean something. Pure.
#pragma once

#include <string>
#include <string_view>

namespace gatehouse {

[[nodiscard]] inline std::string pointer_part(std::string_view name) {
    std::string part;
    for (const char c : name) {
        if (c == '~') {
            part += "~0";
        } else if (c == '/') {
            part += "~1";
        } else {
            part += c;
        }
    }
    return part;
}

}  // namespace gatehouse
