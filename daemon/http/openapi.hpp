// The OpenAPI document, compiled in from openapi.json beside this file.
#pragma once

#include <string_view>

namespace gatehouse::http {

[[nodiscard]] std::string_view openapi_document();

}  // namespace gatehouse::http
