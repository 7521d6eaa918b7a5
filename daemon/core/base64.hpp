// Base64 with padding (RFC 4648, section 4), for the files of a registry in JSON. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace gatehouse {

[[nodiscard]] std::string base64_encode(std::string_view bytes);
// Nothing where the text is not exactly what base64_encode writes.
[[nodiscard]] std::optional<std::string> base64_decode(std::string_view text);

}  // namespace gatehouse
